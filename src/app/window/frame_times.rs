//! How long frames take, what made one long, and how soon a dab's pixels are shown.
//!
//! # Limitations
//! What the graphics processor does after a frame was handed to it is not seen.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::app::state::State;

/// A frame that takes longer is told to the log, with what was done in it.
const LONG_FRAME_MS: f32 = 8.0;
/// Frames farther apart than this did not follow upon each other.
const STILL: Duration = Duration::from_millis(150);
/// How old the figure of the memory in use may be while frames are drawn.
const MEMORY_AGE: Duration = Duration::from_secs(5);

/// Measures the frames of one window and keeps the figures in its [`State`].
#[derive(Default)]
pub(super) struct FrameTimes {
    frames: u64,
    started: Option<Instant>,
    /// When the newest frame began.
    began: Option<Instant>,
    /// What this frame did so far, with milliseconds since its start.
    done: Vec<(&'static str, f32)>,
    is_paintable: bool,
    /// Revisions whose pixels are still to come, with when they were asked for.
    dabs: VecDeque<(u64, Instant)>,
    opening: u64,
    revision: u64,
    memory_asked: Option<Instant>,
}

impl FrameTimes {
    /// A frame begins; `whole` is what the one before took on this thread, drawing commands included, in seconds.
    pub fn begin(&mut self, state: &mut State, whole: Option<f32>) {
        if let Some(seconds) = whole {
            state.whole_frames.push(seconds * 1000.0);
        }
        let now = Instant::now();
        if let Some(before) = self.began.replace(now) {
            let since = now - before;
            if since < STILL {
                state.intervals.push(since.as_secs_f32() * 1000.0);
            }
        }
        if self.frames == 1 {
            log::info!("the first frame is on the screen");
        }
        self.frames += 1;
        self.started = Some(now);
        self.done.clear();
    }

    /// Notes that part of a frame's work has been done.
    pub fn did(&mut self, what: &'static str) {
        if let Some(started) = self.started {
            self.done.push((what, milliseconds(started)));
        }
    }

    /// Notes dabs as soon as they are in the document.
    pub fn watch(&mut self, state: &State) {
        let Some(canvas) = &state.session.canvas else {
            return;
        };
        let revision = canvas.document.revision();
        if self.opening != canvas.opening {
            self.opening = canvas.opening;
            self.dabs.clear();
        } else if revision > self.revision {
            let since = self.started.unwrap_or_else(Instant::now);
            self.dabs.push_back((revision, since));
        }
        self.revision = revision;
    }

    /// The frame is drawn.
    pub fn end(&mut self, state: &mut State) {
        if let Some(canvas) = &state.session.canvas {
            while let Some((_, since)) = self
                .dabs
                .pop_front_if(|(revision, _)| *revision <= canvas.shown_revision)
            {
                state.dabs.push(milliseconds(since));
            }
            if !self.is_paintable && state.session.palette.is_some() {
                self.is_paintable = true;
                log::info!("ready to paint");
            }
        }
        let Some(started) = self.started.take() else {
            return;
        };
        let took = milliseconds(started);
        state.frames.push(took);
        if took > LONG_FRAME_MS {
            let mut text = String::new();
            let mut before = 0.0;
            for (what, at) in &self.done {
                text.push_str(&format!(", {what} {:.1}", at - before));
                before = *at;
            }
            log::info!("a frame took {took:.1} ms{text}");
        }
    }

    /// Whether the figure of the memory in use should be read anew. Nothing is asked while nothing is drawn.
    pub fn is_memory_due(&mut self) -> bool {
        let is_due = (self.memory_asked).is_none_or(|asked| asked.elapsed() >= MEMORY_AGE);
        if is_due {
            self.memory_asked = Some(Instant::now());
        }
        is_due
    }
}

fn milliseconds(since: Instant) -> f32 {
    since.elapsed().as_secs_f32() * 1000.0
}

/// Writes the figures of the whole run to the log.
pub(super) fn log_summary(state: &State) {
    for (what, durations) in [
        ("frames decided and drawn", &state.frames),
        (
            "frames with the graphics driver's part",
            &state.whole_frames,
        ),
        ("intervals between moving frames", &state.intervals),
        ("dabs to their pixels", &state.dabs),
    ] {
        log::info!("{} {what}: {}", durations.count(), durations.summary());
    }
}
