//! The sources side by side: codes of both levels in flat lists, and which cells may be taken.

use serde::{Deserialize, Serialize};

use super::request::{Request, WHAT, usage};
use super::space::{self, Point};
use crate::document::{Codes, EMPTY, Level, Vectors};
use crate::error::{Error, Kind, Result};

/// Where a cell is taken from, in cells of its own level.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Coordinate {
    pub source: u16,
    pub y: u16,
    pub x: u16,
}

impl Coordinate {
    /// A kept cell that comes from none of the sources.
    pub const NONE: Self = Self {
        source: u16::MAX,
        y: 0,
        x: 0,
    };

    /// Moved within its source; whether that is still inside is for [`Sources::holds`] to say.
    pub(super) fn moved(self, dy: i32, dx: i32) -> Place {
        Place {
            source: self.source,
            y: i32::from(self.y) + dy,
            x: i32::from(self.x) + dx,
        }
    }
}

/// A coordinate that may lie outside its source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub source: u16,
    pub y: i32,
    pub x: i32,
}

/// Size and start of one source in the flat lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// In structure cells.
    pub height: usize,
    pub width: usize,
    /// Of its first structure cell; of its first detail cell it is 16 times that.
    pub start: usize,
}

/// A detail cell's margin to the border of its source: there codes know less of their surroundings.
const MARGIN: usize = 2;

#[derive(Debug)]
pub(super) struct Sources {
    pub extents: Vec<Extent>,
    /// Rows of [`Sources::structure_points`], source by source.
    pub structure: Vec<u16>,
    /// Rows of [`Sources::detail_points`], source by source.
    pub detail: Vec<u16>,
    /// May be taken as structure.
    pub structure_ok: Vec<bool>,
    /// May be taken as detail, as the middle of a patch.
    pub detail_ok: Vec<bool>,
    /// Empty where no source has labels.
    pub labels: Vec<u8>,
    pub colours: Vec<[f32; 3]>,
    /// Of all three numbers together; above 0.
    pub colour_variance: f32,
    pub structure_points: Vec<Point>,
    pub detail_points: Vec<Point>,
}

impl Sources {
    /// # Errors
    /// `Usage` where codes are not the model's or nothing may be taken.
    pub fn gather(request: &Request, vectors: &Vectors) -> Result<Self> {
        let controls = &request.controls;
        let mut all = Self {
            extents: Vec::new(),
            structure: Vec::new(),
            detail: Vec::new(),
            structure_ok: Vec::new(),
            detail_ok: Vec::new(),
            labels: Vec::new(),
            colours: Vec::new(),
            colour_variance: 1.0,
            structure_points: Vec::new(),
            detail_points: Vec::new(),
        };
        let has_labels = request.sources.iter().any(|s| s.labels.is_some());
        for source in &request.sources {
            check_codes(&source.codes, vectors)?;
            let grid = &source.codes.structure;
            let start = all.structure.len();
            all.extents.push(Extent {
                height: grid.height() as usize,
                width: grid.width() as usize,
                start,
            });
            all.structure.extend_from_slice(grid.cells());
            let empty = vectors.detail.codes() as u16;
            let rows = source.codes.detail.cells().iter();
            all.detail
                .extend(rows.map(|&c| if c == EMPTY { empty } else { c }));
            match &source.usable {
                Some(usable) => all.structure_ok.extend_from_slice(usable),
                None => all.structure_ok.resize(all.structure.len(), true),
            }
            if has_labels {
                match &source.labels {
                    Some(labels) => all.labels.extend_from_slice(labels),
                    None => all.labels.resize(all.structure.len(), 0),
                }
            }
            if let Some(colours) = &source.colours {
                all.colours.extend_from_slice(colours);
            }
        }
        if !all.structure_ok.contains(&true) {
            return Err(Error::new(
                Kind::NoPictures,
                WHAT,
                "the pictures to take from are transparent throughout, or all of them is to be filled",
                "Choose a picture with something on it",
            ));
        }
        all.judge(&controls.muted_structure, &controls.muted_detail);
        if !all.structure_ok.contains(&true) || !all.detail_ok.contains(&true) {
            return Err(usage(
                "every code of the pictures to take from is muted",
                "Unmute some codes, or take from more pictures",
            ));
        }
        all.colour_variance = colour_variance(&all.colours).max(1e-9);
        all.structure_points = space::points(
            &vectors.structure,
            &counts(&all.structure, vectors.structure.codes()),
        );
        all.detail_points = space::points(
            &vectors.detail,
            &counts(&all.detail, vectors.detail.codes()),
        );
        Ok(all)
    }

    /// From which cells are usable to which may be taken.
    fn judge(&mut self, muted_structure: &[bool], muted_detail: &[bool]) {
        let usable = self.structure_ok.clone();
        let is_muted = |list: &[bool], code: u16| list.get(usize::from(code)) == Some(&true);
        for (ok, &code) in self.structure_ok.iter_mut().zip(&self.structure) {
            *ok &= !is_muted(muted_structure, code);
        }
        // First with whole patches of usable cells; where a source has none such, without.
        for extent in &self.extents {
            let (height, width) = (extent.height * 4, extent.width * 4);
            let under = |y: usize, x: usize| extent.start + (y / 4) * extent.width + x / 4;
            let mut judged = vec![false; height * width];
            for margin in [MARGIN, 0] {
                for y in margin..height.saturating_sub(margin) {
                    for x in margin..width.saturating_sub(margin) {
                        let is_whole = usable[under(y - margin, x - margin)]
                            && usable[under(y - margin, x + margin)]
                            && usable[under(y + margin, x - margin)]
                            && usable[under(y + margin, x + margin)];
                        let code = self.detail[extent.start * 16 + y * width + x];
                        judged[y * width + x] = is_whole
                            && self.structure_ok[under(y, x)]
                            && !is_muted(muted_detail, code);
                    }
                }
                if judged.contains(&true) {
                    break;
                }
            }
            self.detail_ok.extend_from_slice(&judged);
        }
    }

    /// Index of a structure cell.
    #[inline(always)]
    pub fn structure_index(&self, at: Coordinate) -> usize {
        let extent = &self.extents[usize::from(at.source)];
        extent.start + usize::from(at.y) * extent.width + usize::from(at.x)
    }

    /// Index of a detail cell.
    #[inline(always)]
    pub fn detail_index(&self, at: Coordinate) -> usize {
        let extent = &self.extents[usize::from(at.source)];
        extent.start * 16 + usize::from(at.y) * extent.width * 4 + usize::from(at.x)
    }

    /// Index of the structure cell over a detail cell.
    #[inline(always)]
    pub fn over(&self, at: Coordinate) -> usize {
        let extent = &self.extents[usize::from(at.source)];
        extent.start + usize::from(at.y / 4) * extent.width + usize::from(at.x / 4)
    }

    /// The coordinate of a place of a level, if it lies in its source.
    #[inline(always)]
    pub fn holds(&self, level: Level, place: Place) -> Option<Coordinate> {
        let extent = self.extents.get(usize::from(place.source))?;
        let scale = match level {
            Level::Structure => 1,
            Level::Detail => 4,
        };
        let inside = place.y >= 0
            && place.x >= 0
            && (place.y as usize) < extent.height * scale
            && (place.x as usize) < extent.width * scale;
        inside.then_some(Coordinate {
            source: place.source,
            y: place.y as u16,
            x: place.x as u16,
        })
    }

    /// The coordinate of a structure cell by index.
    pub fn structure_at(&self, index: usize) -> Coordinate {
        let number = self.extents.partition_point(|extent| extent.start <= index) - 1;
        let extent = &self.extents[number];
        let within = index - extent.start;
        Coordinate {
            source: number as u16,
            y: (within / extent.width) as u16,
            x: (within % extent.width) as u16,
        }
    }

    /// The coordinate of a detail cell by index.
    pub fn detail_at(&self, index: usize) -> Coordinate {
        let number = self
            .extents
            .partition_point(|extent| extent.start * 16 <= index)
            - 1;
        let extent = &self.extents[number];
        let within = index - extent.start * 16;
        Coordinate {
            source: number as u16,
            y: (within / (extent.width * 4)) as u16,
            x: (within % (extent.width * 4)) as u16,
        }
    }

    /// A code as the document stores it.
    pub fn stored_detail(&self, row: u16) -> u16 {
        if usize::from(row) + 1 == self.detail_points.len() {
            EMPTY
        } else {
            row
        }
    }

    /// The row of a stored detail code.
    pub fn detail_row(&self, code: u16) -> u16 {
        if code == EMPTY {
            (self.detail_points.len() - 1) as u16
        } else {
            code
        }
    }
}

fn colour_variance(colours: &[[f32; 3]]) -> f32 {
    let count = colours.len().max(1) as f64;
    (0..3)
        .map(|c| {
            let values = || colours.iter().map(|colour| f64::from(colour[c]));
            let mean = values().sum::<f64>() / count;
            (values().map(|v| (v - mean).powi(2)).sum::<f64>() / count) as f32
        })
        .sum()
}

fn counts(rows: &[u16], codes: usize) -> Vec<u32> {
    let mut counts = vec![0; codes];
    for &row in rows {
        if let Some(count) = counts.get_mut(usize::from(row)) {
            *count += 1;
        }
    }
    counts
}

/// # Errors
/// `Usage` for a code that the codebooks do not have, or an empty structure cell.
pub(super) fn check_codes(codes: &Codes, vectors: &Vectors) -> Result<()> {
    for level in Level::ALL {
        let known = vectors.level(level).codes();
        let highest = codes.level(level).max_code().map_or(0, usize::from);
        if highest >= known {
            return Err(usage(
                format!("a picture has {level} code {highest}, and this model has {known}"),
                "Encode the pictures with the model in use",
            ));
        }
    }
    if codes.structure.cells().contains(&EMPTY) {
        return Err(usage(
            "a structure cell of a picture is empty; only detail cells may be",
            "Encode the picture again",
        ));
    }
    Ok(())
}
