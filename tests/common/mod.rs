//! What several tests need: where the shared picture sets are, and what an edit may touch.
#![allow(dead_code)] // each test binary uses its own part

pub mod many;

use std::path::PathBuf;

use tessera::codec::Codec;
use tessera::document::{Document, Level};

/// `TESSERA_SHARED`, else the folder `shared` beside the checkout. `None`, with a printed message, where it is absent.
pub fn shared_data() -> Option<PathBuf> {
    let root = std::env::var_os("TESSERA_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let data = root.join("data");
    if data.is_dir() {
        Some(data)
    } else {
        eprintln!("skipped: no picture sets at {}", data.display());
        None
    }
}

/// Pixels that some changed cell can reach, by the receptive field alone.
pub fn halo(codec: &Codec, document: &Document) -> Vec<bool> {
    let geometry = document.geometry();
    let (width, height) = (geometry.width() as i64, geometry.height() as i64);
    let bounds = geometry.padded_bounds();
    let field = codec.receptive_field();
    let mut inside = vec![false; (width * height) as usize];
    let axis = |at: i64, size: u32, wraps: bool| {
        let size = i64::from(size);
        match (0..size).contains(&at) {
            true => Some(at),
            false => wraps.then(|| at.rem_euclid(size)),
        }
    };
    for level in Level::ALL {
        let reach = match level {
            Level::Structure => field.structure.decode_px,
            Level::Detail => field.detail.decode_px,
        } as i64;
        for delta in document.changes().iter().filter(|d| d.level == level) {
            let cell = geometry.cell_pixels(level, delta.index);
            let (x0, y0) = (i64::from(cell.x), i64::from(cell.y));
            let side = i64::from(cell.width);
            for y in y0 - reach..y0 + side + reach {
                let Some(y) = axis(y, bounds.height, document.wrap().y).filter(|y| *y < height)
                else {
                    continue;
                };
                for x in x0 - reach..x0 + side + reach {
                    let x = axis(x, bounds.width, document.wrap().x).filter(|x| *x < width);
                    if let Some(x) = x {
                        inside[(y * width + x) as usize] = true;
                    }
                }
            }
        }
    }
    inside
}
