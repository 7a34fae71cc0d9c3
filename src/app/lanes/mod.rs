//! The threads behind the window. Nothing on the window's own thread touches a disk or a model: it sends work
//! to these and reads what comes back.
//!
//! # Limitations
//! A lane does one thing at a time, in order. Nothing that was handed to one can be looked at or reordered afterwards; jobs can be
//! stopped, textures and dialogs cannot.

mod dialogs;
mod textures;

pub use dialogs::{Picker, system_picker};

pub(in crate::app) use dialogs::Dialogs;
pub(in crate::app) use textures::{Loaded, Subject, TextureRequest, of_raster};

use eframe::egui::Context;

use super::state::JobKey;
use textures::Textures;

use crate::engine::{DecodeLane, Desk, Event, Job, JobId, Lane, TextureLane, Ticket, Wake, Worker};
use crate::error::Result;
use crate::progress::Stop;
use crate::render::Gpu;

/// The lanes of a window, each a thread or more.
pub(in crate::app) struct Lanes {
    training: Worker,
    background: Worker,
    foreground: Worker,
    upkeep: Worker,
    pub decode: DecodeLane,
    /// New texture for the texture brush.
    pub texture: TextureLane,
    pub desk: Desk,
    pub textures: Textures,
}

impl Lanes {
    /// # Errors
    /// `Io` where the system gives no threads.
    pub fn start(ctx: &Context, gpu: Option<&Gpu>, wake: &Wake) -> Result<Self> {
        Ok(Self {
            training: Worker::start(wake.clone())?,
            background: Worker::start(wake.clone())?,
            foreground: Worker::start(wake.clone())?,
            upkeep: Worker::start(wake.clone())?,
            decode: DecodeLane::start(wake.clone())?,
            texture: TextureLane::start(wake.clone())?,
            desk: Desk::start(wake.clone())?,
            textures: Textures::start(ctx, gpu, wake)?,
        })
    }

    fn worker(&self, lane: Lane) -> &Worker {
        match lane {
            Lane::Training => &self.training,
            Lane::Background => &self.background,
            Lane::Foreground => &self.foreground,
            Lane::Upkeep => &self.upkeep,
        }
    }

    /// Queues a job on its lane.
    ///
    /// # Errors
    /// `Limit` where too many wait.
    pub fn submit<J: Job>(&self, job: J) -> Result<Ticket<J::Output>> {
        self.worker(J::LANE).submit(job)
    }

    /// Asks a job to stop; its last event says when it has.
    pub fn stop(&self, key: JobKey, stop: Stop) {
        self.worker(key.lane).stop(key.id, stop);
    }

    /// What jobs have told since the last call, oldest first per lane.
    pub fn events(&self) -> Vec<(JobKey, Event)> {
        let mut all = Vec::new();
        for lane in [
            Lane::Foreground,
            Lane::Background,
            Lane::Training,
            Lane::Upkeep,
        ] {
            while let Some(event) = self.worker(lane).events().try_pop() {
                let id: JobId = event.job;
                all.push((JobKey { lane, id }, event));
            }
        }
        all
    }
}
