//! How a picture came to be: its journal of strokes as a moving picture.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::canvas::{LiveCanvas, Patch};
use crate::document::{CellDelta, Document, Raster, Rect, Samples, SamplesMut};
use crate::engine::device::choice::DeviceChoice;
use crate::engine::jobs::document::edit::{free_path, open_row};
use crate::engine::lanes::job::{Job, Report, WhenLeft, file_name};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::engine::pictures::documents;
use crate::error::{Error, Result};
use crate::export::{AnimationSize, AnimationWriter, Existing, Frame, Shrunk};
use crate::progress::Observer;

/// Frames where the user does not say how many strokes each shows.
const USUAL_FRAMES: usize = 240;
/// Memory for decoded tiles; a replay looks at a place once.
const BUDGET_BYTES: u64 = 192 << 20;

/// What is replayed.
pub enum TimelapseOf {
    /// As it is in the window.
    Open {
        name: String,
        document: Box<Document>,
        model: Box<Model>,
    },
    /// A document of a project: name or number; the newest where it is left out.
    Stored {
        project: Storage,
        document: Option<String>,
        device: DeviceChoice,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimelapseLook {
    /// The longer side of the frames, at most that of the picture.
    pub longest_px: u32,
    pub frames_per_second: f32,
    /// `None`: as many as give about [`USUAL_FRAMES`] frames.
    pub strokes_per_frame: Option<u32>,
    /// How long the finished picture stays.
    pub hold_ms: u32,
}

impl Default for TimelapseLook {
    fn default() -> Self {
        Self {
            longest_px: 720,
            frames_per_second: 12.0,
            strokes_per_frame: None,
            hold_ms: 2000,
        }
    }
}

/// Writes the strokes of a document one after the other: `.gif`, `.png`/`.apng`, or a folder of PNG files.
pub struct TimelapseJob {
    pub of: TimelapseOf,
    pub look: TimelapseLook,
    /// `None`: as the path says.
    pub writer: Option<&'static AnimationWriter>,
    pub path: PathBuf,
    pub existing: Existing,
}

/// A timelapse that was written.
#[derive(Debug, Serialize)]
pub struct TimelapseWritten {
    /// The document's name.
    pub document: String,
    pub strokes: usize,
    pub frames: u32,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    /// A folder where the frames are files of their own.
    #[serde(skip)]
    pub file: PathBuf,
}

impl fmt::Display for TimelapseWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Wrote {} strokes as {} frames to {}.",
            self.strokes,
            self.frames,
            file_name(&self.file)
        )
    }
}

impl Report for TimelapseWritten {
    fn files(&self) -> Vec<&Path> {
        vec![&self.file]
    }
}

impl Job for TimelapseJob {
    type Output = TimelapseWritten;
    const WHEN_LEFT: WhenLeft = WhenLeft::Finish;

    fn title(&self) -> &'static str {
        "Making a timelapse"
    }

    fn run(self, context: &JobContext) -> Result<TimelapseWritten> {
        let writer = match self.writer {
            Some(writer) => writer,
            None => AnimationWriter::of(&self.path)?,
        };
        if !(0.1..=100.0).contains(&self.look.frames_per_second) {
            return Err(Error::usage(
                "could not make the timelapse",
                "its frames per second are not between 0.1 and 100",
                "Change them",
            ));
        }
        let is_open = matches!(self.of, TimelapseOf::Open { .. });
        let path = match (is_open, self.existing) {
            // In the window a name that is taken gets a number, as with pictures.
            (true, Existing::Refuse) => free_path(&self.path),
            _ => self.path,
        };
        writer.check(&path, self.existing)?;
        let (name, document, model) = match self.of {
            TimelapseOf::Open {
                name,
                document,
                model,
            } => (name, *document, *model),
            TimelapseOf::Stored {
                project,
                document,
                device,
            } => {
                let row = project.call(move |p| documents::find(p, document.as_deref()))?;
                let (stored, model) = open_row(&project, row.id, device)?;
                stored.tell(context);
                (stored.name, stored.document, model)
            }
        };
        let applied = document.history().cursor();
        if applied == 0 {
            return Err(Error::usage(
                "could not make the timelapse",
                format!("“{name}” has no strokes"),
                "Paint something first",
            ));
        }
        let mut replay = Replay::new(document, &model, self.look, context)?;
        let size = replay.size();
        let mut next = || replay.next(context);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| Error::io("could not make the folder", folder, &source))?;
        }
        writer.write(&path, self.existing, size, &mut next)?;
        Ok(TimelapseWritten {
            document: name,
            strokes: applied,
            frames: size.frames,
            width: size.width,
            height: size.height,
            file: path,
        })
    }
}

/// The picture as it was before the first stroke, and then after more and more of them.
struct Replay {
    document: Document,
    live: LiveCanvas,
    raster: Raster,
    shrunk: Shrunk,
    strokes: usize,
    strokes_per_frame: usize,
    look: TimelapseLook,
    frame: usize,
}

impl Replay {
    fn new(
        mut document: Document,
        model: &Model,
        look: TimelapseLook,
        context: &JobContext,
    ) -> Result<Self> {
        let strokes = document.history().cursor();
        while document.undo().is_some() {}
        let mut live = LiveCanvas::new(model.codec.clone(), &document, BUDGET_BYTES)?;
        // Not the source where strokes older than those in memory came before.
        let raster = live.render(8, context)?;
        let usual = strokes.div_ceil(USUAL_FRAMES);
        Ok(Self {
            shrunk: Shrunk::new(&raster, look.longest_px),
            document,
            live,
            raster,
            strokes,
            strokes_per_frame: look.strokes_per_frame.map_or(usual, |n| n as usize).max(1),
            look,
            frame: 0,
        })
    }

    /// The start, then a frame for every few strokes.
    fn size(&self) -> AnimationSize {
        AnimationSize {
            width: self.shrunk.width(),
            height: self.shrunk.height(),
            frames: 1 + self.strokes.div_ceil(self.strokes_per_frame) as u32,
        }
    }

    fn next(&mut self, context: &JobContext) -> Result<Frame> {
        context.check()?;
        let done = self.document.history().cursor();
        context.progress(done as u64, self.strokes as u64);
        let mut shown = Rect::new(0, 0, self.shrunk.width(), self.shrunk.height());
        if self.frame > 0 {
            // Something of every frame must be written, though it may look as before.
            shown = Rect::new(0, 0, 1, 1);
            let arrangement = self.document.arrangement();
            let mut deltas: Vec<CellDelta> = Vec::new();
            for _ in done..(done + self.strokes_per_frame).min(self.strokes) {
                let Some(stroke) = self.document.redo() else {
                    break;
                };
                deltas.extend(stroke.deltas.iter().copied());
            }
            let layers = self.document.layers().clone();
            let cells: Vec<_> = deltas.iter().map(|d| (d.level, d.index)).collect();
            let dirty = if arrangement == self.document.arrangement() {
                self.live.follow(layers, &cells)?
            } else {
                self.live.rearrange(layers)?
            };
            let mut is_first = true;
            for rect in dirty.rects() {
                let patch = self.live.patch(*rect, 8)?;
                if patch.rect.is_empty() {
                    continue;
                }
                self.paste(&patch);
                let part = self.shrunk.follow(&self.raster, patch.rect);
                shown = if is_first { part } else { shown.union(&part) };
                is_first = false;
            }
        }
        self.frame += 1;
        let is_last = self.frame as u32 == self.size().frames;
        let delay_ms = (1000.0 / self.look.frames_per_second) as u32;
        Ok(Frame {
            rect: shown,
            rgba8: self.shrunk.part(shown),
            delay_ms: if is_last {
                self.look.hold_ms.max(delay_ms)
            } else {
                delay_ms
            },
        })
    }

    fn paste(&mut self, patch: &Patch) {
        let width = self.raster.width() as usize;
        let (SamplesMut::Rgba8(to), Samples::Rgba8(from)) =
            (self.raster.samples_mut(), &patch.samples)
        else {
            return; // Both were asked for with 8 bits.
        };
        let line = patch.rect.width as usize * 4;
        for (row, pixels) in (patch.rect.y..).zip(from.chunks_exact(line)) {
            let start = (row as usize * width + patch.rect.x as usize) * 4;
            to[start..start + line].copy_from_slice(pixels);
        }
    }
}
