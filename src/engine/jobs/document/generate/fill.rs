//! A part of an open document made anew: the cells for it, which whoever holds the document puts down.

use super::gather::Gathered;
use super::make::Maker;
use super::recipe::{Recipe, What, runs};
use super::{FromPictures, GenerateLook, GeneratedPicture, add_pictures};
use crate::document::tools::Generated as Cells;
use crate::document::{Document, Level};
use crate::engine::lanes::job::{Job, Lane};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::error::{Error, Kind, Result};

/// Makes structure cells of a document anew, from what it shows around them and from other pictures, which its project keeps. The
/// document stays as it is: the cells are for [`put_generated`](crate::document::tools::put_generated), and hold for the document
/// as it was handed over.
pub struct FillJob {
    /// The project of the document.
    pub project: Storage,
    pub document: Box<Document>,
    pub model: Model,
    /// Structure cells to fill, row by row.
    pub cells: Vec<bool>,
    pub from: FromPictures,
    pub look: GenerateLook,
}

/// What [`FillJob`] makes.
pub struct Filled {
    /// With the recipe as its settings.
    pub cells: Cells,
    /// What the stroke is called in a history.
    pub label: &'static str,
    pub told: GeneratedPicture,
}

impl Job for FillJob {
    type Output = Filled;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Filling the selection"
    }

    fn run(self, context: &JobContext) -> Result<Filled> {
        let Self {
            project,
            document,
            model,
            cells,
            from,
            look,
        } = self;
        check(&document, &cells, &from)?;
        look.check_codes(model.codebooks())?;
        let mut gathered = Gathered::new(&look);
        gathered.add_own(&document, &cells, &model, context)?;
        add_pictures(&mut gathered, &from, Some(&project), &model, context)?;
        gathered.add_turns(&look, Some(&cells), &model, context)?;
        let size = (document.geometry(), document.wrap());
        let mut recipe = Recipe::new(What::Fill, size, &look, &model.hash)?;
        recipe.made = runs(&cells);
        let maker = Maker {
            project: Some(&project),
            stored: None,
            made: Some(cells),
            document: *document,
            gathered,
            recipe,
            look: &look,
            model: &model,
            context,
        };
        let (cells, told) = maker.cells()?;
        Ok(Filled {
            cells,
            label: What::Fill.label(),
            told,
        })
    }
}

fn check(document: &Document, cells: &[bool], from: &FromPictures) -> Result<()> {
    const WHAT: &str = "could not fill the selection";
    if cells.len() != document.geometry().cell_count(Level::Structure) {
        return Err(Error::usage(WHAT, "it is of a picture of another size", ""));
    }
    if !cells.contains(&true) {
        return Err(Error::usage(
            WHAT,
            "nothing is selected",
            "Select what should be made anew",
        ));
    }
    let is_alone = from.files.is_empty() && from.project.is_none();
    if is_alone && !cells.contains(&false) {
        return Err(Error::new(
            Kind::NoPictures,
            WHAT,
            "all of the picture is selected, so that nothing is left to copy from",
            "Select less, or copy from other pictures",
        ));
    }
    Ok(())
}
