//! A result of a project made again, with the settings that its stroke keeps.

use std::path::PathBuf;

use super::gather::Gathered;
use super::make::Maker;
use super::recipe::Recipe;
use super::{GenerateLook, Generated, GeneratedPicture, Plan, outs};
use crate::document::Document;
use crate::engine::device::choice::DeviceChoice;
use crate::engine::jobs::document::edit::open_row;
use crate::engine::lanes::job::Job;
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::engine::pictures::documents;
use crate::error::{Error, Kind, Result};
use crate::export::Existing;
use crate::project::DocumentId;

/// Makes what the last generated stroke of a document holds again, and writes it as PNG: the same bytes for the same seed, as long
/// as the pictures that it was made from are there. The project stays as it is, unless results are kept.
pub struct GenerateAgainJob {
    pub project: Storage,
    /// Name or number; the newest where it is left out.
    pub document: Option<String>,
    /// Another seed than the one it was made with.
    pub seed: Option<u64>,
    /// Pictures made, of seeds that follow each other.
    pub count: u32,
    /// Whether each result becomes a document of its own.
    pub keeps: bool,
    pub has_sheet: bool,
    pub has_origins: bool,
    /// A `.png` file; a folder for more than one picture.
    pub out: PathBuf,
    pub existing: Existing,
    pub device: DeviceChoice,
}

impl Job for GenerateAgainJob {
    type Output = Generated;

    fn title(&self) -> &'static str {
        "Making a picture again"
    }

    fn run(self, context: &JobContext) -> Result<Generated> {
        let wanted = self.document.clone();
        let row = (self.project).call(move |p| documents::find(p, wanted.as_deref()))?;
        let prepared = Prepared::new(&self.project, row.id, self.seed, self.device, context)?;
        let plan = Plan {
            outs: outs(&self.out, prepared.look.seed, self.count, self.existing)?,
            existing: self.existing,
            maps: Vec::new(),
            has_sheet: self.has_sheet,
            has_origins: self.has_origins,
        };
        if self.keeps && prepared.document.history().cursor() > 0 {
            return Err(not_to_keep("Leave --keep out, and open the file"));
        }
        let project = Some(&self.project).filter(|_| self.keeps);
        prepared.run(project, context, |maker| maker.all(&plan))
    }
}

fn not_to_keep(next: &str) -> Error {
    Error::usage(
        "could not keep the result as a document",
        "it was put onto a picture that had been edited already",
        next,
    )
}

/// Makes the last generated stroke of a document once more with another seed, as a new document of its project.
pub struct AnotherJob {
    pub project: Storage,
    pub document: DocumentId,
    pub seed: u64,
    /// What the new document is called, with its seed.
    pub name: String,
    pub device: DeviceChoice,
}

impl Job for AnotherJob {
    type Output = Vec<GeneratedPicture>;

    fn title(&self) -> &'static str {
        "Making another one"
    }

    fn run(self, context: &JobContext) -> Result<Vec<GeneratedPicture>> {
        let seed = Some(self.seed);
        let prepared = Prepared::new(&self.project, self.document, seed, self.device, context)?;
        if prepared.document.history().cursor() > 0 {
            return Err(not_to_keep("Open it, and fill it there"));
        }
        prepared.run(Some(&self.project), context, |maker| {
            maker.documents(&self.name, 1)
        })
    }
}

/// A document as it was before its last generated stroke, with all that made it.
struct Prepared {
    document: Document,
    made: Option<Vec<bool>>,
    gathered: Gathered,
    recipe: Recipe,
    look: GenerateLook,
    model: Model,
}

impl Prepared {
    fn new(
        project: &Storage,
        id: DocumentId,
        seed: Option<u64>,
        device: DeviceChoice,
        context: &JobContext,
    ) -> Result<Self> {
        let (stored, model) = open_row(project, id, device)?;
        stored.tell(context);
        let mut document = stored.document;
        let recipe = before(&mut document, &stored.name)?;
        let mut look = recipe.look()?;
        look.seed = seed.unwrap_or(look.seed);
        look.check_codes(model.codebooks())?;
        let cells = document
            .geometry()
            .cell_count(crate::document::Level::Structure);
        let made = recipe.made_cells(cells)?;
        let mut gathered = Gathered::new(&look);
        let mut sources = recipe.sources.as_slice();
        if recipe.what.has_surroundings() {
            let made = made.as_deref().unwrap_or_default();
            gathered.add_own(&document, made, &model, context)?;
            if let Some(own) = sources.first() {
                gathered.rename_own(&own.picture);
            }
            sources = sources.get(1..).unwrap_or_default();
        }
        gathered.add_again(sources, made.as_deref(), project, &model, context)?;
        Ok(Self {
            document,
            made,
            gathered,
            recipe,
            look,
            model,
        })
    }

    /// Makes it; results are kept in `project`.
    fn run<T>(
        self,
        project: Option<&Storage>,
        context: &JobContext,
        make: impl FnOnce(Maker<'_>) -> Result<T>,
    ) -> Result<T> {
        make(Maker {
            project,
            stored: None,
            made: self.made,
            document: self.document,
            gathered: self.gathered,
            recipe: self.recipe,
            look: &self.look,
            model: &self.model,
            context,
        })
    }
}

/// Takes strokes back until the last generated one is undone, and gives the settings of that.
fn before(document: &mut Document, name: &str) -> Result<Recipe> {
    while let Some(stroke) = document.undo() {
        if let Some(recipe) = Recipe::of(&stroke)? {
            return Ok(recipe);
        }
    }
    Err(Error::new(
        Kind::NotFound,
        format!("could not make “{name}” again"),
        "none of its strokes was generated, or that was too long ago to be undone",
        "Name a document that `generate` has made or filled",
    ))
}
