//! Quilting: new code grids from those of existing pictures, each cell with the place that it comes from.
//!
//! Two stages, without training. Structure: overlapping patches of structure codes vote from large to small, each standing for its
//! nearest among all patches of the sources (Kwatra et al. 2005; Elnekave & Weiss, "Generating natural images with direct patch
//! distributions matching", ECCV 2022, for the searches over few components). Detail: `PatchMatch` from there. Codes are never
//! invented: every cell that is made has the code of its source at its coordinate.
//!
//! Only integers and code vectors are known here; pixels, models and files are their callers'. The same request gives
//! the same result on any number of threads.
//!
//! # Limitations
//! Whole cells alone are placed, on the raster of 16 px. Memory grows with the sources' cells; nothing is kept from one request to the
//! next.

mod bank;
mod coherence;
mod detail;
mod features;
mod pieces;
mod random;
mod regions;
mod request;
mod sources;
mod space;
mod start;
mod structure;
mod watch;

#[cfg(test)]
mod tests;

use crate::document::{CodeGrid, Codes, Vectors};
use crate::error::Result;
use crate::progress::Observer;
use detail::{Cells, Detail};
use regions::Regions;
use sources::Sources;
use structure::{Layout, Stage};
use watch::Watch;

pub use pieces::{Piece, largest as largest_piece};
pub use request::{
    Canvas, Controls, Home, Kept, MAX_CANVAS_CELLS, MAX_SOURCES, MIN_SOURCE_CELLS, Request, Sketch,
    Source, Start,
};
pub use sources::Coordinate;

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Quilt {
    /// Of the whole canvas; kept cells are as they were.
    pub codes: Codes,
    /// Per structure cell. Kept cells have the place that [`Kept::home`] says, or [`Coordinate::NONE`].
    pub structure_at: Vec<Coordinate>,
    /// Per detail cell, as [`Self::structure_at`].
    pub detail_at: Vec<Coordinate>,
    /// Share of each source among the detail cells that were made; they sum to 1.
    pub shares: Vec<f32>,
    /// The largest piece of a source that was taken as one.
    pub largest_piece: Piece,
    /// Share of the detail cells made that have a neighbour from elsewhere, 0 to 1.
    pub seam_share: f32,
}

impl Quilt {
    /// The same tile cut elsewhere: the structure cell `down` and `right` of its first comes first. Only of axes that wrap.
    #[must_use]
    pub fn rolled(self, down: u32, right: u32) -> Self {
        let (width, height) = (self.codes.structure.width(), self.codes.structure.height());
        let roll = |scale: u32| {
            let (width, height) = (width * scale, height * scale);
            let (down, right) = (down * scale % height, right * scale % width);
            move |index: usize| {
                let (y, x) = (index as u32 / width, index as u32 % width);
                (((y + down) % height) * width + (x + right) % width) as usize
            }
        };
        let grid = |grid: CodeGrid, scale: u32| {
            let (width, height) = (grid.width(), grid.height());
            let mut rolled = CodeGrid::filled(width, height, None);
            let from = roll(scale);
            for index in 0..grid.cells().len() {
                rolled.set(index as u32, grid.at(from(index) as u32));
            }
            rolled
        };
        let places = |at: &[Coordinate], scale: u32| {
            let from = roll(scale);
            (0..at.len()).map(|index| at[from(index)]).collect()
        };
        let (tall, wide) = (height * 4, width * 4);
        let (y, x) = self.largest_piece.to;
        Self {
            structure_at: places(&self.structure_at, 1),
            detail_at: places(&self.detail_at, 4),
            largest_piece: Piece {
                to: (
                    (y + tall - down * 4 % tall) % tall,
                    (x + wide - right * 4 % wide) % wide,
                ),
                ..self.largest_piece
            },
            codes: Codes {
                structure: grid(self.codes.structure, 1),
                detail: grid(self.codes.detail, 4),
            },
            ..self
        }
    }
}

/// A result on the way: structure is coarse, detail follows it.
pub struct Preview<'a> {
    pub codes: Codes,
    pub detail_at: &'a [Coordinate],
}

/// Makes what `request` asks for. `preview` is called once, after the first searches.
///
/// # Errors
/// `Usage`, `Limit` or `NoPictures` for a request that cannot be met; `Cancelled` soon after the observer asks to stop.
pub fn quilt(
    request: &Request,
    vectors: &Vectors,
    observer: &dyn Observer,
    preview: &mut dyn FnMut(Preview<'_>),
) -> Result<Quilt> {
    request.check()?;
    let sources = Sources::gather(request, vectors)?;
    let canvas = &request.canvas;
    let (height, width) = (canvas.height as usize, canvas.width as usize);
    let schedule = structure::schedule(request, &sources);
    let searches: usize = schedule.iter().map(|(_, rounds)| rounds).sum();
    let watch = Watch::new(observer, searches as u64 + detail::STEPS);
    let kept = match &canvas.kept {
        Some(kept) => {
            sources::check_codes(&kept.codes, vectors)?;
            let detail = kept.codes.detail.cells().iter();
            let detail: Vec<u16> = detail.map(|&code| sources.detail_row(code)).collect();
            Some((kept.codes.structure.cells(), detail))
        }
        None => None,
    };
    let all = vec![true; height * width];
    let fill = canvas.kept.as_ref().map_or(&all, |kept| &kept.fill);
    let regions = Regions::new(
        height,
        width,
        canvas.wrap,
        request.controls.largest_piece,
        request.controls.labels.clone(),
        request.controls.seed,
    );
    let work = Work {
        request,
        schedule: &schedule,
        sources: &sources,
        regions: &regions,
        fill,
        kept: kept
            .as_ref()
            .map(|(structure, detail)| (*structure, detail.as_slice())),
        watch: &watch,
    };
    let layout = work.structure(preview)?;
    let structure = work.structure_rows(&layout);
    let detail = work.detail(&structure);
    let cells = detail.run(detail.spread(&layout, work.kept.map(|(_, detail)| detail)))?;
    let is_made: Vec<bool> = (0..height * width * 16)
        .map(|i| fill[(i / (width * 4) / 4) * width + i % (width * 4) / 4])
        .collect();
    let size = (height * 4, width * 4);
    let Some(largest_piece) = pieces::largest(&cells.at, &is_made, size, canvas.wrap) else {
        return Err(request::usage("there is no cell to fill", ""));
    };
    Ok(Quilt {
        codes: work.codes(&structure, &cells)?,
        structure_at: layout.at,
        shares: pieces::shares(&cells.at, &is_made, request.sources.len()),
        largest_piece,
        seam_share: pieces::seam_share(&cells.at, &is_made, size, canvas.wrap),
        detail_at: cells.at,
    })
}

struct Work<'a> {
    request: &'a Request,
    schedule: &'a [(usize, usize)],
    sources: &'a Sources,
    regions: &'a Regions,
    fill: &'a [bool],
    /// Rows of points of both levels.
    kept: Option<(&'a [u16], &'a [u16])>,
    watch: &'a Watch<'a>,
}

impl Work<'_> {
    fn structure(&self, preview: &mut dyn FnMut(Preview<'_>)) -> Result<Layout> {
        let stage = Stage {
            request: self.request,
            schedule: self.schedule,
            sources: self.sources,
            regions: self.regions,
            fill: self.fill,
            kept: self.kept.map(|(structure, _)| structure),
            watch: self.watch,
        };
        stage.run(&mut |layout| {
            let structure = self.structure_rows(layout);
            let kept = self.kept.map(|(_, detail)| detail);
            let cells = self.detail(&structure).spread(layout, kept);
            if let Ok(codes) = self.codes(&structure, &cells) {
                preview(Preview {
                    codes,
                    detail_at: &cells.at,
                });
            }
        })
    }

    fn structure_rows(&self, layout: &Layout) -> Vec<u16> {
        (layout.at.iter().zip(self.fill).enumerate())
            .map(|(index, (&at, &is_made))| match self.kept {
                Some((structure, _)) if !is_made => structure[index],
                _ => self.sources.structure[self.sources.structure_index(at)],
            })
            .collect()
    }

    fn detail<'b>(&'b self, structure: &'b [u16]) -> Detail<'b> {
        let canvas = &self.request.canvas;
        Detail {
            sources: self.sources,
            regions: self.regions,
            wrap: canvas.wrap,
            height: canvas.height as usize * 4,
            width: canvas.width as usize * 4,
            fill: self.fill,
            structure,
            seed: self.request.controls.seed,
            watch: self.watch,
        }
    }

    fn codes(&self, structure: &[u16], cells: &Cells) -> Result<Codes> {
        let canvas = &self.request.canvas;
        let detail = cells
            .codes
            .iter()
            .map(|&row| self.sources.stored_detail(row));
        Ok(Codes {
            structure: CodeGrid::from_cells(canvas.width, canvas.height, structure.to_vec())?,
            detail: CodeGrid::from_cells(canvas.width * 4, canvas.height * 4, detail.collect())?,
        })
    }
}
