//! New pictures from existing ones: how they are asked for, and those that were made.

use std::collections::HashMap;
use std::path::PathBuf;

use eframe::egui::TextureHandle;
use strum::IntoEnumIterator;

use super::State;
use super::jobs::RunningJob;
use crate::document::Wrap;
use crate::engine::{AnotherJob, CreateJob, MadeFacts, Overview, What};
use crate::project::{DocumentId, DocumentRow, PictureId};

/// What the page can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
pub enum Making {
    Tile,
    New,
    Vary,
    Extend,
}

impl Making {
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Whether it begins with the picture on the canvas.
    pub const fn needs_picture(self) -> bool {
        matches!(self, Self::Vary | Self::Extend)
    }
}

/// Which pictures are copied from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// The one on the canvas alone.
    Picture,
    /// [`GenerateForm::chosen`].
    Chosen,
    /// Those of the project with this label.
    Label(String),
    /// All of the project.
    Project,
}

/// A picture of the project that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenPicture {
    pub id: PictureId,
    pub path: PathBuf,
}

/// How pictures are made.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateForm {
    pub making: Making,
    pub feed: Feed,
    pub chosen: Vec<ChosenPicture>,
    /// Pixels, of what begins with no picture.
    pub width: u32,
    pub height: u32,
    /// The sides of a tile that join.
    pub wrap: Wrap,
    /// How far a variation goes.
    pub reach_percent: u32,
    /// What is added at each side: top, right, bottom, left.
    pub by_px: [u32; 4],
    pub freedom_percent: u32,
    pub largest_piece_px: Option<u32>,
    pub count: u32,
    pub seed: u32,
    /// Whether the next one is made with the same seed.
    pub is_seed_kept: bool,
}

impl GenerateForm {
    pub const MAX_COUNT: u32 = 16;
    /// Sizes that can be asked for, in pixels.
    pub const SIDES_PX: std::ops::RangeInclusive<u32> = 64..=2048;
    pub const MAX_SEED: u32 = 9999;
    /// Choices for the largest piece that is copied as one, in pixels.
    pub const PIECES_PX: [u32; 4] = [32, 64, 128, 256];
}

impl Default for GenerateForm {
    fn default() -> Self {
        Self {
            making: Making::Tile,
            feed: Feed::Picture,
            chosen: Vec::new(),
            width: 512,
            height: 512,
            wrap: Wrap { x: true, y: true },
            reach_percent: 40,
            by_px: [0, 128, 0, 0],
            freedom_percent: 20,
            largest_piece_px: None,
            count: 1,
            seed: 1,
            is_seed_kept: false,
        }
    }
}

/// A picture that was made, as it was looked at last.
pub struct ResultView {
    pub facts: MadeFacts,
    pub small: TextureHandle,
    /// Of those looked at lately.
    pub large: Option<TextureHandle>,
    /// Of its document, when it was looked at.
    pub(in crate::app) modified_ms: i64,
    pub(in crate::app) last_used: u64,
}

/// The page's form, and the pictures that were made.
#[derive(Default)]
pub struct Generate {
    pub form: GenerateForm,
    /// The result that is shown large.
    pub selected: Option<DocumentId>,
    /// Whether it is shown beside itself, as it repeats.
    pub is_tiled: bool,
    pub(in crate::app) views: HashMap<DocumentId, ResultView>,
    /// The result that is being looked at, and when it was changed last.
    pub(in crate::app) asked: Option<(DocumentId, i64)>,
    /// Those that could not be looked at.
    pub(in crate::app) failed: HashMap<DocumentId, i64>,
    pub(in crate::app) clock: u64,
}

impl Generate {
    /// Large pictures kept; of the others the small ones are.
    pub(in crate::app) const MAX_LARGE: usize = 8;

    pub fn view(&self, id: DocumentId) -> Option<&ResultView> {
        self.views.get(&id)
    }

    /// Whether it could not be looked at.
    pub fn has_failed(&self, row: &DocumentRow) -> bool {
        self.failed.get(&row.id) == Some(&row.modified_ms)
    }
}

impl State {
    /// The documents of the project that were made as a whole, newest first.
    pub fn results(&self) -> impl Iterator<Item = &DocumentRow> {
        let made = self.overview().map(|overview: &Overview| &overview.made);
        // A picture that was filled is the artist's own.
        (made.into_iter().flatten())
            .filter(|(_, what)| what != What::Fill.name())
            .map(|(row, _)| row)
    }

    /// Whether pictures are being made.
    pub fn is_making(&self) -> bool {
        self.making_job().is_some()
    }

    /// The job that makes pictures.
    pub fn making_job(&self) -> Option<&RunningJob> {
        (self.session.jobs.values()).find(|job| job.is::<CreateJob>() || job.is::<AnotherJob>())
    }

    /// Why nothing can be made as the form says, in words; `None` where it can.
    pub fn why_no_making(&self) -> Option<&'static str> {
        let form = &self.session.generate.form;
        let has_picture = self.session.canvas.is_some();
        if self.session.project.is_none() {
            return Some("no project is open yet");
        }
        if (form.making.needs_picture() || form.feed == Feed::Picture) && !has_picture {
            return Some("open a picture first, on the Paint page");
        }
        if form.making == Making::Extend && form.by_px == [0; 4] {
            return Some("say at which side the picture shall grow");
        }
        if form.making == Making::Tile && !form.wrap.x && !form.wrap.y {
            return Some("a seamless tile joins at one axis at least");
        }
        let usable = self.overview().map_or(0, |overview| overview.counts.usable);
        match &form.feed {
            Feed::Chosen if form.chosen.is_empty() => Some("choose pictures to copy from"),
            Feed::Project | Feed::Label(_) if usable == 0 => {
                Some("the project has no pictures: import some on the Pictures page")
            }
            _ => None,
        }
    }
}
