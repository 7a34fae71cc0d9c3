//! The jobs lane: one named thread that runs one job after the other and reports each one's end exactly once.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::engine::lanes::event::{Event, EventKind, JobId, Metrics, Preview};
use crate::engine::lanes::job::Job;
use crate::engine::lanes::queue::{EventQueue, Wake};
use crate::engine::lanes::thread;
use crate::error::{Error, Kind, Notice, Result};
use crate::foundation::panics::panic_message;
use crate::kernels::free_scratch;
use crate::process::give_memory_back;
use crate::progress::{Observer, Stop};
use crate::train::run::eta::Eta;

/// Jobs that may wait behind the running one.
const WAITING_JOBS: usize = 256;
/// How often [`Worker::run`] asks whether to stop while nothing happens.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Progress is reported at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Runs jobs in the order of their submission. Dropping it cancels what runs and what waits, and joins the thread.
pub struct Worker {
    sender: Option<Sender<Submitted>>,
    controls: Controls,
    events: EventQueue,
    next_id: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

/// Runs a job and leaves its output with its ticket.
type Work = Box<dyn FnOnce(&JobContext) -> Result<()> + Send>;

struct Submitted {
    id: JobId,
    title: &'static str,
    work: Work,
    control: Arc<Control>,
}

/// A job that was submitted, and the way to its output.
pub struct Ticket<T> {
    pub job: JobId,
    output: Receiver<T>,
}

impl<T> Ticket<T> {
    /// The output, once [`EventKind::Finished`] has been read; `None` before that and where the job did not finish.
    pub fn take(&self) -> Option<T> {
        self.output.try_recv().ok()
    }
}

/// Jobs that have not ended.
type Controls = Arc<Mutex<BTreeMap<JobId, Arc<Control>>>>;

impl Worker {
    /// # Errors
    /// `Io` where the system gives no thread.
    pub fn start(wake: Wake) -> Result<Self> {
        let (sender, receiver) = bounded(WAITING_JOBS);
        let events = EventQueue::new(wake);
        let controls = Controls::default();
        let thread = thread::start("tessera-jobs", "the background worker", {
            let (events, controls) = (events.clone(), controls.clone());
            move || lane(&receiver, &events, &controls)
        })?;
        Ok(Self {
            sender: Some(sender),
            controls,
            events,
            next_id: AtomicU64::new(1),
            thread: Some(thread),
        })
    }

    /// Queues a job without waiting.
    ///
    /// # Errors
    /// `Limit` where too many jobs wait already.
    pub fn submit<J: Job>(&self, job: J) -> Result<Ticket<J::Output>> {
        let id = JobId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let control = Arc::new(Control::default());
        lock(&self.controls).insert(id, control.clone());
        let (sender, output) = bounded(1);
        let submitted = Submitted {
            id,
            title: job.title(),
            work: Box::new(move |context| {
                let made = job.run(context)?;
                // Whoever has thrown the ticket away does not want it.
                let _ = sender.send(made);
                Ok(())
            }),
            control,
        };
        let sent = match &self.sender {
            Some(sender) => sender.try_send(submitted),
            None => Err(TrySendError::Disconnected(submitted)),
        };
        sent.map(|()| Ticket { job: id, output }).map_err(|error| {
            lock(&self.controls).remove(&id);
            let why = match error {
                TrySendError::Full(_) => format!("{WAITING_JOBS} jobs are waiting already"),
                TrySendError::Disconnected(_) => "the background worker has ended".into(),
            };
            Error::new(
                Kind::Limit,
                "could not queue the job",
                why,
                "Wait for some to finish",
            )
        })
    }

    /// Runs a job and waits for its end. `watch` gets each event, `None` ten times a second while there is none, and says
    /// whether the job is to stop. For programs without a window, which run one job at a time: events of others are dropped.
    ///
    /// # Errors
    /// As [`Self::submit`]; `Cancelled`; what the job failed with.
    pub fn run<J: Job>(
        &self,
        job: J,
        mut watch: impl FnMut(Option<&Event>) -> Option<Stop>,
    ) -> Result<J::Output> {
        let ticket = self.submit(job)?;
        loop {
            let event = self.events.pop(WATCH_INTERVAL);
            let event = event.filter(|event| event.job == ticket.job);
            if let Some(stop) = watch(event.as_ref()) {
                self.stop(ticket.job, stop);
            }
            match event.map(|event| event.kind) {
                Some(EventKind::Finished) => {
                    return ticket.take().ok_or_else(|| {
                        Error::new(
                            Kind::Internal,
                            "could not report",
                            "the job finished without its result",
                            "Please report this",
                        )
                    });
                }
                Some(EventKind::Cancelled { .. }) => return Err(Error::cancelled()),
                Some(EventKind::Failed { kind, notice }) => {
                    return Err(Error {
                        kind,
                        notice: Box::new(notice),
                    });
                }
                _ => {}
            }
        }
    }

    /// Asks a waiting or running job to pause or cancel. A job that has ended is left as it is.
    pub fn stop(&self, id: JobId, stop: Stop) {
        if let Some(control) = lock(&self.controls).get(&id) {
            control.ask(stop);
        }
    }

    pub fn events(&self) -> &EventQueue {
        &self.events
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        for control in lock(&self.controls).values() {
            control.ask(Stop::Cancel);
        }
        self.events.close();
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic outside any job was already reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Jobs that run now, in all workers of the process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

fn lane(receiver: &Receiver<Submitted>, events: &EventQueue, controls: &Controls) {
    for submitted in receiver {
        let Submitted {
            id,
            title,
            work,
            control,
        } = submitted;
        RUNNING.fetch_add(1, Ordering::Relaxed);
        let context = JobContext {
            id,
            events: events.clone(),
            control,
            throttle: Mutex::new(Throttle::default()),
        };
        let began = Instant::now();
        run_to_its_end(&context, title, work);
        lock(controls).remove(&id);
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        if receiver.is_empty() {
            free_unused_memory(began);
        }
    }
}

/// Shorter work leaves little behind, and the next stroke would have to ask for its buffers anew.
const LONG_WORK: Duration = Duration::from_millis(250);

/// After work since `began`. A fine-tune keeps its buffers from step to step; when no job runs any more, they are the user's
/// memory.
pub(crate) fn free_unused_memory(began: Instant) {
    if RUNNING.load(Ordering::Relaxed) == 0 && began.elapsed() > LONG_WORK {
        free_scratch();
        // Each thread's heap holds back what it allocated, whoever freed it.
        rayon::broadcast(|_| give_memory_back());
        give_memory_back();
    }
}

/// Emits `Started`, runs `work`, and emits the one final event, also where `work` panics.
fn run_to_its_end(context: &JobContext, title: &str, work: impl FnOnce(&JobContext) -> Result<()>) {
    context.emit(EventKind::Started {
        title: title.to_owned(),
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        context.check()?;
        work(context)
    }));
    context.emit(match result {
        Ok(Ok(())) => EventKind::Finished,
        Ok(Err(error)) if error.is_cancelled() => EventKind::Cancelled {
            kept: error.notice.next,
        },
        Ok(Err(error)) => EventKind::failed(error),
        Err(panic) => EventKind::failed(from_panic(panic.as_ref())),
    });
}

/// A panic as an error a person can report.
pub(crate) fn from_panic(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic_message(panic);
    Error::new(
        Kind::Internal,
        "the job broke off",
        format!("a defect in Tessera: {text}"),
        "Your project is as it was after the last finished step; please report this",
    )
}

#[derive(Debug, Default)]
struct Control {
    stop: AtomicU8,
}

impl Control {
    const PAUSE: u8 = 1;
    const CANCEL: u8 = 2;

    fn ask(&self, stop: Stop) {
        let code = match stop {
            Stop::Pause => Self::PAUSE,
            Stop::Cancel => Self::CANCEL,
        };
        self.stop.fetch_max(code, Ordering::Relaxed);
    }

    fn asked(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Relaxed) {
            Self::PAUSE => Some(Stop::Pause),
            Self::CANCEL => Some(Stop::Cancel),
            _ => None,
        }
    }
}

/// What a running job sees of the worker.
pub struct JobContext {
    id: JobId,
    events: EventQueue,
    control: Arc<Control>,
    throttle: Mutex<Throttle>,
}

#[derive(Default)]
struct Throttle {
    last_sent: Option<Instant>,
    last_done: Option<(u64, Instant)>,
    eta: Eta,
}

impl Throttle {
    /// The time since the last call, shared among the units done since then.
    fn record(&mut self, done: u64, now: Instant) {
        if let Some((last_done, last)) = self.last_done
            && let Ok(units) = u32::try_from(done.saturating_sub(last_done))
            && units > 0
        {
            self.eta.record((now - last) / units);
        }
        self.last_done = Some((done, now));
    }
}

impl JobContext {
    fn emit(&self, kind: EventKind) {
        self.events.push(Event { job: self.id, kind });
    }

    pub fn metrics(&self, metrics: Metrics) {
        self.emit(EventKind::Metrics(metrics));
    }

    pub fn preview(&self, preview: Preview) {
        self.emit(EventKind::Preview(Arc::new(preview)));
    }
}

impl Observer for JobContext {
    fn stop(&self) -> Option<Stop> {
        self.control.asked()
    }

    fn progress(&self, done: u64, total: u64) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        throttle.record(done, now);
        let is_due = throttle
            .last_sent
            .is_none_or(|last| now - last >= PROGRESS_INTERVAL);
        if is_due || (done == total && total > 0) {
            throttle.last_sent = Some(now);
            let eta_secs = throttle
                .eta
                .remaining(total.saturating_sub(done))
                .map(|left| left.as_secs_f64());
            drop(throttle);
            self.emit(EventKind::Progress {
                done,
                total,
                eta_secs,
            });
        }
    }

    fn warning(&self, notice: Notice) {
        self.emit(EventKind::Warning(notice));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Guarded maps change by whole entries, so a panicked holder leaves them sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `work` as a job with this stop asked for, and gives the events.
    fn events_of(
        stop: Option<Stop>,
        work: impl FnOnce(&JobContext) -> Result<()>,
    ) -> Vec<EventKind> {
        let events = EventQueue::new(Arc::new(|| {}));
        let control = Control::default();
        if let Some(stop) = stop {
            control.ask(stop);
        }
        let context = JobContext {
            id: JobId(1),
            events: events.clone(),
            control: Arc::new(control),
            throttle: Mutex::default(),
        };
        run_to_its_end(&context, "Testing", work);
        std::iter::from_fn(|| events.try_pop().map(|event| event.kind)).collect()
    }

    #[test]
    fn each_way_out_gives_exactly_one_final_event() {
        let boom = |_: &JobContext| -> Result<()> { panic!("boom") };
        let fails = |_: &JobContext| Err(Error::usage("could not", "because", "do this"));
        let works = |context: &JobContext| {
            context.warning(Notice::new("a", "b", "c"));
            context.progress(1, 1);
            Ok(())
        };
        for (stop, work, expected) in [
            (None, &boom as &dyn Fn(&JobContext) -> Result<()>, "failed"),
            (None, &fails, "failed"),
            (None, &works, "finished"),
            (Some(Stop::Cancel), &works, "cancelled"),
            (Some(Stop::Pause), &works, "cancelled"),
        ] {
            let events = events_of(stop, work);
            assert!(matches!(events[0], EventKind::Started { .. }));
            let finals: Vec<_> = events.iter().filter(|event| event.is_final()).collect();
            assert_eq!(finals.len(), 1, "{events:?}");
            assert!(events.last().unwrap().is_final());
            let name = serde_json::to_value(finals[0]).unwrap();
            assert_eq!(name["event"], expected);
        }
    }

    #[test]
    fn a_panic_is_told_in_words() {
        let events = events_of(None, |_| panic!("index {} is off", 7));
        let EventKind::Failed { kind, notice } = events.last().unwrap() else {
            panic!("{events:?}")
        };
        assert_eq!(*kind, Kind::Internal);
        assert!(notice.why.contains("index 7 is off"));
    }

    #[test]
    fn a_cancel_is_not_weakened_to_a_pause() {
        let control = Control::default();
        control.ask(Stop::Cancel);
        control.ask(Stop::Pause);
        assert_eq!(control.asked(), Some(Stop::Cancel));
    }
}
