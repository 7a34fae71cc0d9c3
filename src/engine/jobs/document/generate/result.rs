//! A generated document as it looks now, and what can be said of it: also after it was painted on, and after a restart.

use super::SourceShare;
use super::recipe::{Recipe, What};
use crate::canvas;
use crate::dataset::pixels::{Premultiplied, fit, unpremultiply};
use crate::document::{DETAIL_STRIDE_PX, Document, Level, Raster, Samples, SourceRef, Wrap};
use crate::engine::device::choice::DeviceChoice;
use crate::engine::jobs::document::edit::open_row;
use crate::engine::lanes::job::{Job, Lane};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::error::{Error, Kind, Result};
use crate::project::DocumentId;
use crate::quilt::{Coordinate, largest_piece};

/// Longer side of a result's small picture, px.
const SMALL_PX: u32 = 160;
/// Longest side of the picture itself, px: as much as a window shows of it.
const LARGE_PX: u32 = 2048;

/// Opens a document that was generated, and shows it.
pub struct ResultJob {
    pub project: Storage,
    pub document: DocumentId,
    pub device: DeviceChoice,
}

/// What [`ResultJob`] finds.
#[derive(Debug)]
pub struct MadePicture {
    pub facts: MadeFacts,
    /// As it is now, 8 bits, at most 2,048 pixels a side.
    pub picture: Raster,
    /// The same, at most 160 pixels a side.
    pub small: Raster,
}

/// What can be said of a generated document.
#[derive(Debug, Clone)]
pub struct MadeFacts {
    pub document: DocumentId,
    /// In pixels.
    pub size: (u32, u32),
    /// Of its newest recipe.
    pub what: What,
    pub seed: u64,
    pub wrap: Wrap,
    /// The step across the left and right border, and across the top and bottom one, over the mean step between neighbours within
    /// the picture, where it wraps: 1 cannot be seen.
    pub border_step: [Option<f32>; 2],
    /// Pictures that its cells come from, by falling share of all cells; what was painted over comes from none.
    pub shares: Vec<SourceShare>,
    /// Box around the largest piece that was copied as one, in pixels, and its share of all cells; `None` where none is copied.
    pub largest_piece: Option<LargestPiece>,
}

/// A piece of a picture that was copied as one.
#[derive(Debug, Clone, PartialEq)]
pub struct LargestPiece {
    pub width_px: u32,
    pub height_px: u32,
    pub share: f32,
    pub picture: String,
}

impl Job for ResultJob {
    type Output = MadePicture;
    const LANE: Lane = Lane::Foreground;
    const IS_QUIET: bool = true;

    fn title(&self) -> &'static str {
        "Looking at a result"
    }

    fn run(self, context: &JobContext) -> Result<MadePicture> {
        let (stored, model) = open_row(&self.project, self.document, self.device)?;
        let document = stored.document;
        let recipe = newest_recipe(&document, &stored.name)?;
        let picture = canvas::render_document(&model.codec, &document, 8, context)?;
        let (shares, largest_piece) = origins(&document);
        let facts = MadeFacts {
            document: stored.id,
            size: (picture.width(), picture.height()),
            border_step: border_steps(&picture, document.wrap()),
            what: recipe.what,
            seed: recipe.seed,
            wrap: document.wrap(),
            shares,
            largest_piece,
        };
        Ok(MadePicture {
            facts,
            small: shrunk(&picture, SMALL_PX)?,
            picture: shrunk(&picture, LARGE_PX)?,
        })
    }
}

fn newest_recipe(document: &Document, name: &str) -> Result<Recipe> {
    let history = document.history();
    for stroke in history.strokes()[..history.cursor()].iter().rev() {
        if let Some(recipe) = Recipe::of(stroke)? {
            return Ok(recipe);
        }
    }
    Err(Error::new(
        Kind::NotFound,
        format!("could not say how “{name}” was made"),
        "the stroke that made it was undone, or is too long ago",
        "Open it to see it",
    ))
}

/// What cells come from: shares of all of them, and the largest piece.
fn origins(document: &Document) -> (Vec<SourceShare>, Option<LargestPiece>) {
    let bounds = document.geometry().grid_bounds(Level::Detail);
    let (width, height) = (bounds.width as usize, bounds.height as usize);
    let mut at = vec![
        Coordinate {
            source: 0,
            y: 0,
            x: 0
        };
        width * height
    ];
    let mut is_copied = vec![false; width * height];
    let list = document.sources().list();
    let mut counts = vec![0_u32; list.len() + 1];
    for (index, from) in document.coordinates().iter() {
        let Some(place) = at.get_mut(index as usize) else {
            continue;
        };
        *place = Coordinate {
            source: from.source,
            y: from.y,
            x: from.x,
        };
        is_copied[index as usize] = true;
        if let Some(count) = counts.get_mut(usize::from(from.source)) {
            *count += 1;
        }
    }
    let cells = at.len().max(1) as f32;
    let name = |number: usize| (document.sources().named(number as u16)).map(called);
    let mut shares: Vec<SourceShare> = (counts.iter().enumerate())
        .filter(|(_, count)| **count > 0)
        .map(|(number, count)| SourceShare {
            picture: name(number).unwrap_or_else(|| "the picture itself".into()),
            content: (document.sources().named(number as u16))
                .map_or_else(String::new, |source| source.content_hash.clone()),
            share: *count as f32 / cells,
        })
        .collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share));
    let piece = largest_piece(&at, &is_copied, (height, width), document.wrap());
    let piece = piece.map(|piece| LargestPiece {
        width_px: piece.from.width * DETAIL_STRIDE_PX,
        height_px: piece.from.height * DETAIL_STRIDE_PX,
        share: piece.cells as f32 / cells,
        picture: name(usize::from(piece.source)).unwrap_or_else(|| "the picture itself".into()),
    });
    (shares, piece)
}

fn called(source: &SourceRef) -> String {
    match source.turn.is_none() {
        true => source.name.clone(),
        false => format!("{} (turned)", source.name),
    }
}

fn shrunk(picture: &Raster, longest_px: u32) -> Result<Raster> {
    let size = (picture.width(), picture.height());
    let target = fit(size.0, size.1, longest_px);
    let mut small = Premultiplied::shrunk(&picture.rgba8(), size, target);
    unpremultiply(&mut small.rgba);
    Raster::new(small.width, small.height, Samples::Rgba8(small.rgba))
}

/// See [`MadeFacts::border_step`].
fn border_steps(picture: &Raster, wrap: Wrap) -> [Option<f32>; 2] {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let rgba = picture.rgba8();
    let step = |a: usize, b: usize| -> f64 {
        (0..3)
            .map(|c| f64::from(rgba[a * 4 + c].abs_diff(rgba[b * 4 + c])))
            .sum()
    };
    // Mean step from each line to the next one; the last goes on at the first.
    let ratio = |lines: usize, along: usize, at: &dyn Fn(usize, usize) -> usize| {
        if lines < 3 || along == 0 {
            return None;
        }
        let of = |line: usize| -> f64 {
            let next = (line + 1) % lines;
            (0..along).map(|i| step(at(line, i), at(next, i))).sum()
        };
        let within = (0..lines - 1).map(of).sum::<f64>() / (lines - 1) as f64;
        // A picture of one colour has no step anywhere.
        Some(match within > 0.0 {
            true => (of(lines - 1) / within) as f32,
            false => 1.0,
        })
    };
    [
        (wrap.x)
            .then(|| ratio(width, height, &|x, y| y * width + x))
            .flatten(),
        (wrap.y)
            .then(|| ratio(height, width, &|y, x| y * width + x))
            .flatten(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, shade: impl Fn(u32, u32) -> u8) -> Raster {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let rgba = (pixels)
            .flat_map(|(x, y)| [shade(x, y), 0, 0, 255])
            .collect();
        Raster::new(width, height, Samples::Rgba8(rgba)).unwrap()
    }

    #[test]
    fn the_step_across_a_border_is_told_against_those_within() {
        let all = Wrap { x: true, y: true };
        // A ramp of one a column falls back at its border; rows do not differ.
        let ramp = picture(20, 8, |x, _| x as u8);
        assert_eq!(border_steps(&ramp, all), [Some(19.0), Some(1.0)]);
        let wave = picture(20, 8, |x, _| x.min(20 - x) as u8);
        assert_eq!(border_steps(&wave, all), [Some(1.0), Some(1.0)]);
        assert_eq!(border_steps(&ramp, Wrap::default()), [None, None]);
        let line = picture(2, 1, |x, _| x as u8);
        assert_eq!(border_steps(&line, all), [None, None]);
    }
}
