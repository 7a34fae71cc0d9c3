//! Where the cells of a result come from, as figures, a picture and a list.

use serde_json::json;

use crate::document::{Raster, Samples, Wrap};
use crate::engine::jobs::document::generate::SourceShare;
use crate::engine::jobs::document::generate::gather::Gathered;
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
    pub fn new(gathered: &Gathered, made: &Quilt) -> Self {
        let mut shares: Vec<SourceShare> = (made.shares.iter().enumerate())
            .filter(|(_, share)| **share > 0.0)
            .map(|(source, &share)| SourceShare {
                picture: gathered.name_of(source as u16),
                content: gathered.content_of(source),
                share,
            })
            .collect();
        shares.sort_by(|a, b| b.share.total_cmp(&a.share));
        let cells = made.structure_at.len();
        Self {
            shares,
            names: (0..gathered.count())
                .map(|i| gathered.name_of(i as u16))
                .collect(),
            is_made: (0..cells).map(|i| gathered.is_made(i)).collect(),
            width: gathered.canvas.width as usize,
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
/// step between neighbouring pixels: no line of the picture lies at its border.
pub fn quietest_cut(raster: &Raster, wrap: Wrap) -> (u32, u32) {
    let rgba8 = raster.rgba8();
    let (width, height) = (raster.width() as usize, raster.height() as usize);
    let grey: Vec<i32> = (rgba8.chunks_exact(4))
        .map(|p| i32::from(p[0]) + i32::from(p[1]) + i32::from(p[2]))
        .collect();
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
