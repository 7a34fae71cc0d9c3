//! Another picture put together as a document is.

use std::sync::Arc;

use super::composite::{Version, WindowDecoder, render};
use super::decode::Reach;
use super::influence::Edits;
use super::residual::Join;
use crate::document::{Document, Raster, Rect, Source, SourcePicture, Sources};
use crate::error::Result;
use crate::progress::Observer;

/// Puts another picture (of normals, heights or roughness) together by the coordinates of a document's cells, 8 or 16 bits per
/// channel as `own` has. `own` stands for the document's own picture and has its size; `others` finds what stands for the pictures
/// that its cells come from, in the order of their numbers. Where pieces meet, their values are faded into each other; cells
/// without a coordinate show `own`, painted ones nothing.
///
/// # Errors
/// `Cancelled`.
pub fn render_map(
    document: &Document,
    own: &Source,
    others: &Sources,
    observer: &dyn Observer,
) -> Result<Raster> {
    let edits = Edits {
        sources: others,
        ..document.edits()
    };
    render(
        &edits,
        own,
        &mut Nothing(document),
        own.depth_bits(),
        observer,
    )
}

/// Decodes everything to nothing: what is left of a picture without its decode is all of it.
struct Nothing<'a>(&'a Document);

/// Pixels of tiles, as [`WindowDecoder::encoded_tiles`] cuts them.
const TILE_PX: u32 = super::cache::TILE_PX;
/// No colour and no alpha.
const NOTHING: f32 = -1.0;

impl WindowDecoder for Nothing<'_> {
    fn reach(&self) -> Reach {
        Reach {
            structure_px: 0,
            detail_px: 0,
        }
    }

    fn join(&self) -> Join {
        Join::Mean
    }

    fn decode(&mut self, _: Version, rect: Rect) -> Result<Vec<f32>> {
        Ok(vec![NOTHING; rect.area() as usize * 4])
    }

    fn encoded_tiles(
        &mut self,
        (_, picture): (u16, Option<&SourcePicture>),
        tiles: &[(u32, u32)],
    ) -> Result<Vec<Arc<Vec<f32>>>> {
        let geometry = picture.map_or(self.0.geometry(), |picture| picture.source.geometry());
        let padded = geometry.padded_bounds();
        let of = |&(x, y): &(u32, u32)| {
            let width = TILE_PX.min(padded.width - x * TILE_PX);
            let height = TILE_PX.min(padded.height - y * TILE_PX);
            Arc::new(vec![NOTHING; (width * height) as usize * 4])
        };
        Ok(tiles.iter().map(of).collect())
    }
}
