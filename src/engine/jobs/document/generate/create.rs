//! New pictures as documents of a project, without files: what a window makes.

use super::base::{Base, shown};
use super::make::Maker;
use super::picture;
use super::{FromPictures, GenerateLook, GeneratedPicture, gather_all};
use crate::document::{Document, Wrap};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::Job;
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{CheckpointChoice, Model, ModelSource};
use crate::error::{Error, Result};

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Creating {
    /// A picture of this many pixels, without a seam where it repeats on the axes that wrap, whose sides are multiples of 16.
    New { width: u32, height: u32, wrap: Wrap },
    /// The open picture with so many pixels more at each side, rounded up to multiples of 16: top, right, bottom, left.
    Extend { by_px: [u32; 4] },
    /// Another picture like the open one, its content moved by up to `reach` (0 to 1) of half its size.
    Vary { reach: f32, wrap: Wrap },
}

/// A picture that is open for editing, as it is at this moment.
pub struct OpenPicture {
    pub name: String,
    pub document: Box<Document>,
    /// The model of the document.
    pub model: Model,
}

/// Makes pictures, each a document of the project with its recipe.
pub struct CreateJob {
    pub project: Storage,
    /// The model of the new documents.
    pub model: CheckpointChoice,
    pub creating: Creating,
    /// The picture that is extended or varied; for a new one, a picture to take from.
    pub picture: Option<OpenPicture>,
    /// What is taken from besides.
    pub from: FromPictures,
    pub look: GenerateLook,
    /// Pictures made, of seeds that follow each other.
    pub count: u32,
    /// What the documents are called, each with its seed.
    pub name: String,
    pub device: DeviceChoice,
}

impl Job for CreateJob {
    type Output = Vec<GeneratedPicture>;

    fn title(&self) -> &'static str {
        "Making new pictures"
    }

    fn run(self, context: &JobContext) -> Result<Vec<GeneratedPicture>> {
        let source = ModelSource::Project(self.project.clone(), self.model);
        let model = source.load(&open_device(self.device)?.device)?;
        self.look.check_codes(model.codebooks())?;
        let loaded = (self.picture.as_ref())
            .map(|open| shown(&open.name, &open.document, &open.model, context))
            .transpose()?;
        let needs_one = || {
            Error::usage(
                "could not make the picture",
                "no picture is open",
                "Open the picture that it shall be made from",
            )
        };
        let mut base = match (self.creating, loaded) {
            (
                Creating::New {
                    width,
                    height,
                    wrap,
                },
                loaded,
            ) => Base {
                first: loaded.map(|loaded| (loaded, false)),
                ..Base::blank(&model, (width, height), wrap, context)?
            },
            (Creating::Vary { reach, wrap }, Some(loaded)) => {
                Base::varied(&model, (loaded, false), (reach, wrap), context)?
            }
            (Creating::Extend { by_px }, Some(loaded)) => {
                Base::extended(&model, &loaded, by_px, context)?
            }
            (Creating::Vary { .. } | Creating::Extend { .. }, None) => return Err(needs_one()),
        };
        let gathered = gather_all(
            &mut base,
            (&self.look, &self.from),
            Some(&self.project),
            &model,
            context,
        )?;
        if gathered.count() == 0 {
            return Err(picture::nothing());
        }
        let project = Some(&self.project);
        Maker::of(base, gathered, project, &self.look, &model, context)?
            .documents(&self.name, self.count)
    }
}
