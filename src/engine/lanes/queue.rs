//! The way events leave the worker: bounded, lossless for what matters, latest-wins for what is only news.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::lanes::event::Event;
use crate::engine::lanes::monitor::Monitor;

/// Lossless events that may wait before a job is held up.
const CAPACITY: usize = 1024;

/// Called after each event, on the worker's thread. The window passes `request_repaint`.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Many writers, one reader. Clones share the queue.
#[derive(Clone)]
pub struct EventQueue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Monitor<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    is_closed: bool,
}

impl EventQueue {
    pub fn new(wake: Wake) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Monitor::default(),
                wake,
            }),
        }
    }

    /// Waits while the queue is full, unless `event` can take the place of an older one of its kind.
    /// After [`close`](Self::close) events are dropped: nobody is left to read them.
    pub fn push(&self, event: Event) {
        let mut state = self.shared.state.lock();
        if event.kind.is_latest_wins()
            && let Some(old) = state.events.iter_mut().rev().find(|old| {
                old.job == event.job
                    && std::mem::discriminant(&old.kind) == std::mem::discriminant(&event.kind)
            })
        {
            *old = event;
        } else {
            while state.events.len() >= CAPACITY && !state.is_closed {
                state = self.shared.state.wait(state);
            }
            if state.is_closed {
                return;
            }
            state.events.push_back(event);
        }
        drop(state);
        self.shared.state.notify();
        (self.shared.wake)();
    }

    pub fn try_pop(&self) -> Option<Event> {
        let event = self.shared.state.lock().events.pop_front();
        if event.is_some() {
            self.shared.state.notify();
        }
        event
    }

    /// `None` after `timeout` without an event.
    pub fn pop(&self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                self.shared.state.notify();
                return Some(event);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.shared.state.wait_for(state, left);
        }
    }

    /// The reader is gone: writers no longer wait.
    pub fn close(&self) {
        self.shared.state.lock().is_closed = true;
        self.shared.state.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::lanes::event::{EventKind, JobId};
    use crate::error::Notice;

    fn progress(job: u64, done: u64) -> Event {
        Event {
            job: JobId(job),
            kind: EventKind::Progress {
                done,
                total: 10,
                eta_secs: None,
            },
        }
    }

    fn warning(text: &str) -> Event {
        Event {
            job: JobId(1),
            kind: EventKind::Warning(Notice::new(text, "", "")),
        }
    }

    fn drain(queue: &EventQueue) -> Vec<Event> {
        std::iter::from_fn(|| queue.try_pop()).collect()
    }

    #[test]
    fn progress_is_replaced_and_warnings_are_kept() {
        let queue = EventQueue::new(Arc::new(|| {}));
        for done in 0..5000 {
            queue.push(progress(1, done));
            queue.push(progress(2, done));
        }
        queue.push(warning("first"));
        queue.push(warning("second"));
        let events = drain(&queue);
        assert_eq!(events.len(), 4);
        assert!(matches!(
            events[0].kind,
            EventKind::Progress { done: 4999, .. }
        ));
        assert!(matches!(
            events[1].kind,
            EventKind::Progress { done: 4999, .. }
        ));
    }

    #[test]
    fn a_full_queue_holds_its_writer_and_loses_nothing() {
        let queue = EventQueue::new(Arc::new(|| {}));
        let writer = std::thread::Builder::new()
            .name("writer".into())
            .spawn({
                let queue = queue.clone();
                move || {
                    for number in 0..CAPACITY * 3 {
                        queue.push(warning(&number.to_string()));
                    }
                }
            })
            .unwrap();
        let mut seen = 0;
        while seen < CAPACITY * 3 {
            let event = queue
                .pop(Duration::from_secs(20))
                .expect("the writer goes on");
            let EventKind::Warning(notice) = event.kind else {
                panic!("only warnings were written")
            };
            assert_eq!(notice.what, seen.to_string());
            seen += 1;
        }
        writer.join().unwrap();
    }

    #[test]
    fn a_closed_queue_frees_its_writer() {
        let queue = EventQueue::new(Arc::new(|| {}));
        for number in 0..CAPACITY {
            queue.push(warning(&number.to_string()));
        }
        queue.close();
        queue.push(warning("dropped"));
        assert_eq!(drain(&queue).len(), CAPACITY);
    }
}
