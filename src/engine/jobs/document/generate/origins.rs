//! Where the cells of a result come from, as figures, a picture and a list.

use std::collections::HashMap;

use serde_json::json;

use super::SourceShare;
use super::gather::Gathered;
use crate::document::{Raster, Samples, Source, Wrap};
use crate::error::{Error, Kind, Result};
use crate::quilt::Quilt;

/// What a result says about its sources.
pub struct Origins {
    /// By falling share.
    pub shares: Vec<SourceShare>,
    /// Name of each source, by number.
    names: Vec<String>,
    is_made: Vec<bool>,
    width: usize,
}

impl Origins {
    /// `made` says which structure cells were made; all where it is `None`.
    pub fn new(gathered: &Gathered, quilt: &Quilt, made: Option<&[bool]>) -> Self {
        let mut shares: Vec<SourceShare> = (gathered.listed(&quilt.shares).into_iter())
            .enumerate()
            .filter(|(_, source)| source.share > 0.0)
            .map(|(number, source)| SourceShare {
                picture: gathered.name_of(number as u16),
                content: source.content,
                share: source.share,
            })
            .collect();
        shares.sort_by(|a, b| b.share.total_cmp(&a.share));
        let cells = quilt.structure_at.len();
        Self {
            shares,
            names: (0..gathered.count())
                .map(|i| gathered.name_of(i as u16))
                .collect(),
            is_made: (0..cells)
                .map(|i| made.is_none_or(|made| made[i]))
                .collect(),
            width: quilt.codes.structure.width() as usize,
        }
    }

    /// A pixel per detail cell: the hue says from which source, the shade from where in it; kept cells are grey.
    pub fn picture(&self, made: &Quilt) -> Result<Raster> {
        let across = self.width * 4;
        let rgba = (made.detail_at.iter().enumerate())
            .flat_map(|(i, at)| {
                if !self.is_made[i / across / 4 * self.width + i % across / 4] {
                    return [96, 96, 96, 255];
                }
                let hue = f32::from(at.source) * 0.618_034;
                let channel = |phase: f32| {
                    let wave = (std::f32::consts::TAU * (hue + phase)).cos() * 0.25 + 0.5;
                    let y = (f32::from(at.y) * 0.11).sin() * 0.2;
                    let x = (f32::from(at.x) * 0.07 + phase * 3.0).sin() * 0.2;
                    ((wave + y + x).clamp(0.0, 1.0) * 255.0) as u8
                };
                [channel(0.0), channel(0.33), channel(0.67), 255]
            })
            .collect();
        let grid = &made.codes.detail;
        Raster::new(grid.width(), grid.height(), Samples::Rgba8(rgba))
    }

    /// Settings, shares, the largest piece and, row by row, the place of each detail cell.
    pub fn json(&self, made: &Quilt, notes: &str) -> Result<Vec<u8>> {
        let failed = |source: serde_json::Error| {
            Error::new(
                Kind::Internal,
                "could not list the origins",
                source.to_string(),
                "",
            )
        };
        let settings: serde_json::Value = serde_json::from_str(notes).map_err(failed)?;
        let piece = &made.largest_piece;
        let cells: Vec<[u16; 3]> = made
            .detail_at
            .iter()
            .map(|at| [at.source, at.y, at.x])
            .collect();
        let all = json!({
            "settings": settings,
            "sources": self.names,
            "largest_piece": {
                "source": piece.source,
                "detail_cells": piece.cells,
                "from": piece.from,
                "on_the_canvas": [piece.to.0, piece.to.1],
            },
            "seam_share": made.seam_share,
            "detail_width": made.codes.detail.width(),
            "detail_height": made.codes.detail.height(),
            "detail_cells": cells,
        });
        serde_json::to_vec(&all).map_err(failed)
    }
}

/// Structure cells (down, right) by which a tile is shifted so that the step across each border that wraps is closest to the mean
/// step between neighbouring pixels, in what is copied: no line of the picture lies at its border.
pub fn quietest_cut(gathered: &Gathered, quilt: &Quilt, wrap: Wrap) -> (u32, u32) {
    if !wrap.x && !wrap.y {
        return (0, 0);
    }
    let (width, height) = (
        quilt.codes.detail.width() as usize * 4,
        quilt.codes.detail.height() as usize * 4,
    );
    let grey = copied(gathered, quilt);
    // Step from each line to the one before it, around.
    let steps = |lines: usize, along: usize, at: &dyn Fn(usize, usize) -> usize| {
        let step = |line: usize| {
            let before = (line + lines - 1) % lines;
            (0..along)
                .map(|i| f64::from((grey[at(line, i)] - grey[at(before, i)]).abs()))
                .sum::<f64>()
        };
        (0..lines).map(step).collect::<Vec<f64>>()
    };
    let quietest = |steps: &[f64]| {
        let mean = steps.iter().sum::<f64>() / steps.len().max(1) as f64;
        let off = |cell: &usize| (steps[cell * 16] - mean).abs();
        (0..steps.len() / 16)
            .min_by(|a, b| off(a).total_cmp(&off(b)))
            .unwrap_or(0) as u32
    };
    let down = if wrap.y {
        quietest(&steps(height, width, &|y, x| y * width + x))
    } else {
        0
    };
    let right = if wrap.x {
        quietest(&steps(width, height, &|x, y| y * width + x))
    } else {
        0
    };
    (down, right)
}

/// Sums of red, green and blue of the pixels at the places that cells come from.
fn copied(gathered: &Gathered, quilt: &Quilt) -> Vec<i32> {
    let mut known: HashMap<u16, Option<Source>> = HashMap::new();
    let wide = quilt.codes.detail.width() as usize;
    let line = wide * 4;
    let mut grey = vec![0; quilt.detail_at.len() * 16];
    for (index, at) in quilt.detail_at.iter().enumerate() {
        // Whoever shows the result tells what is gone.
        let source = (known.entry(at.source)).or_insert_with(|| gathered.pixels(at.source).ok());
        let Some(source) = source else { continue };
        let (pixels, _) = source.rgba8().as_chunks::<4>();
        for i in 0..4 {
            for j in 0..4 {
                let (y, x) = (usize::from(at.y) * 4 + i, usize::from(at.x) * 4 + j);
                if x < source.width() as usize
                    && let Some(pixel) = pixels.get(y * source.width() as usize + x)
                {
                    let to = (index / wide * 4 + i) * line + index % wide * 4 + j;
                    grey[to] = pixel[..3].iter().map(|v| i32::from(*v)).sum();
                }
            }
        }
    }
    grey
}
