//! How a picture is made: what a person chooses.

use std::path::PathBuf;

use super::gather::Gathered;
use crate::document::{Codebooks, Geometry, Level, Source};
use crate::engine::pictures::read;
use crate::error::{Error, Result};
use crate::quilt::{Controls, Sketch};

/// A code of a level.
pub type Code = (Level, u16);

/// A code as people write it: `s12` (structure) or `d40` (detail).
///
/// # Errors
/// What is wrong with another text, in words.
pub fn parse_code(text: &str) -> std::result::Result<Code, String> {
    let level = match text.chars().next() {
        Some('s') => Level::Structure,
        Some('d') => Level::Detail,
        _ => return Err("codes are written s12 (structure) or d40 (detail)".into()),
    };
    let number = text[1..]
        .parse()
        .map_err(|_| format!("“{text}” is no code: a number up to 65535 follows its letter"))?;
    Ok((level, number))
}

/// What [`parse_code`] reads.
pub fn code_text((level, code): Code) -> String {
    match level {
        Level::Structure => format!("s{code}"),
        Level::Detail => format!("d{code}"),
    }
}

/// How it is made; see [`Controls`] for the ranges.
#[derive(Debug, Clone, Default)]
pub struct GenerateLook {
    pub seed: u64,
    pub freedom: f32,
    pub variety: f32,
    /// In pixels, rounded down to multiples of 16.
    pub largest_piece_px: Option<u32>,
    pub height: f32,
    /// A picture of the result's size whose opaque pixels are colours to come close to.
    pub guide: Option<PathBuf>,
    pub guide_weight: f32,
    /// A picture of the result's size: each colour is a label, and a cell of it comes from where the source's label map has the
    /// same colour. Transparent where any cell will do.
    pub labels: Option<PathBuf>,
    /// One of each source's size, in their order.
    pub source_labels: Vec<PathBuf>,
    pub muted: Vec<(Level, u16)>,
    pub boosted: Vec<(Level, u16)>,
    /// Whether pictures are also taken from as a mirror shows them.
    pub is_mirrored: bool,
    /// Whether pictures are also taken from turned by quarters.
    pub is_turned: bool,
}

impl GenerateLook {
    /// Checks that the codes that it names are the model's: muting one that there is not would be a promise about nothing.
    ///
    /// # Errors
    /// As [`Codebooks::check`].
    pub fn check_codes(&self, codebooks: Codebooks) -> Result<()> {
        (self.muted.iter().chain(&self.boosted))
            .try_for_each(|(level, code)| codebooks.check(*level, Some(*code)))
    }
}

/// The controls of a quilt of this size, and the labels of its sources, by number.
pub fn controls(
    look: &GenerateLook,
    gathered: &Gathered,
    result: Geometry,
) -> Result<(Controls, Vec<Option<Vec<u8>>>)> {
    let list = |codes: &[Code], level: Level| {
        let of_level = || {
            codes
                .iter()
                .filter(|(l, _)| *l == level)
                .map(|(_, code)| *code)
        };
        let mut flags = vec![false; of_level().max().map_or(0, |most| usize::from(most) + 1)];
        for code in of_level() {
            flags[usize::from(code)] = true;
        }
        flags
    };
    let sketch = match &look.guide {
        Some(path) => Some(Sketch {
            colours: guide_colours(&of_size(path, "guide", result)?),
            weight: look.guide_weight,
        }),
        None => None,
    };
    let (labels, of_sources) = match &look.labels {
        Some(path) => {
            let map = LabelMap::new(&of_size(path, "label map", result)?)
                .map_err(|error| error.at(path))?;
            let of_sources = gathered.labels(&look.source_labels, &map.colours)?;
            (Some(map.cells), of_sources)
        }
        None => (None, vec![None; gathered.count()]),
    };
    let controls = Controls {
        seed: look.seed,
        freedom: look.freedom,
        variety: look.variety,
        largest_piece: look.largest_piece_px.map(|px| px / 16),
        muted_structure: list(&look.muted, Level::Structure),
        muted_detail: list(&look.muted, Level::Detail),
        boosted_structure: list(&look.boosted, Level::Structure),
        boosted_detail: list(&look.boosted, Level::Detail),
        sketch,
        labels,
        height: look.height,
        is_quick: false,
    };
    Ok((controls, of_sources))
}

/// A picture that steers a result of this size.
fn of_size(path: &std::path::Path, name: &str, result: Geometry) -> Result<Source> {
    let found = read::load_source(path)?;
    let padded = |geometry: Geometry| (geometry.padded_width(), geometry.padded_height());
    if padded(found.geometry()) == padded(result) {
        return Ok(found);
    }
    Err(Error::usage(
        format!("could not use the {name}"),
        format!(
            "it has {} × {} pixels and the result {} × {}",
            found.width(),
            found.height(),
            result.width(),
            result.height()
        ),
        format!("Use a {name} of the result's size"),
    )
    .at(path))
}

/// Labels of structure cells, by colour.
struct LabelMap {
    /// Label n + 1 has colour n.
    colours: Vec<[u8; 3]>,
    cells: Vec<u8>,
}

impl LabelMap {
    fn new(map: &Source) -> Result<Self> {
        let found = most_common(map);
        let mut colours: Vec<[u8; 3]> = found.iter().flatten().copied().collect();
        colours.sort_unstable();
        colours.dedup();
        if colours.len() > usize::from(u8::MAX) {
            return Err(Error::usage(
                "could not use the label map",
                format!(
                    "it has {} colours in its cells; 255 are the most",
                    colours.len()
                ),
                "Use few plain colours, without soft edges",
            ));
        }
        if colours.is_empty() {
            return Err(Error::usage(
                "could not use the label map",
                "it is transparent throughout",
                "Paint what shall come from where",
            ));
        }
        let cells = labels_of(&found, &colours);
        Ok(Self { colours, cells })
    }
}

/// The label of each cell: 0 where its colour is none of these.
fn labels_of(found: &[Option<[u8; 3]>], colours: &[[u8; 3]]) -> Vec<u8> {
    let label = |colour: &Option<[u8; 3]>| {
        let place = colour.and_then(|colour| colours.binary_search(&colour).ok());
        place.map_or(0, |place| place as u8 + 1)
    };
    found.iter().map(label).collect()
}

/// The labels of a source's cells, by the colours of the result's label map.
pub fn source_labels(map: &Source, colours: &[[u8; 3]]) -> Vec<u8> {
    labels_of(&most_common(map), colours)
}

/// The colour that most pixels of each structure cell have (the darkest of several); `None` where it is mostly transparent.
fn most_common(map: &Source) -> Vec<Option<[u8; 3]>> {
    let bounds = map.geometry().grid_bounds(Level::Structure);
    let (pixels, _) = map.rgba8().as_chunks::<4>();
    let line = map.width();
    let of = |x: u32, y: u32| {
        let rows = y * 16..((y + 1) * 16).min(map.height());
        let mut seen: Vec<[u8; 4]> = rows
            .flat_map(|row| {
                let columns = x * 16..((x + 1) * 16).min(line);
                columns.map(move |column| pixels[(row * line + column) as usize])
            })
            .map(|pixel| {
                if pixel[3] > 127 {
                    [pixel[0], pixel[1], pixel[2], 255]
                } else {
                    [0; 4]
                }
            })
            .collect();
        seen.sort_unstable();
        let mut best = (0, [0; 4]);
        for run in seen.chunk_by(|a, b| a == b) {
            if run.len() > best.0 {
                best = (run.len(), run[0]);
            }
        }
        let [r, g, b, a] = best.1;
        (a > 0).then_some([r, g, b])
    };
    (0..bounds.height)
        .flat_map(|y| (0..bounds.width).map(move |x| (x, y)))
        .map(|(x, y)| of(x, y))
        .collect()
}

/// Mean of the opaque pixels of each structure cell, and their share.
fn means(source: &Source) -> Vec<([f32; 3], f32)> {
    let geometry = source.geometry();
    let (wide, high) = (
        geometry.grid_width(Level::Structure) as usize,
        geometry.grid_height(Level::Structure) as usize,
    );
    let mut sums = vec![([0.0f32; 3], 0.0f32, 0.0f32); wide * high];
    let (pixels, _) = source.rgba8().as_chunks::<4>();
    for (i, pixel) in pixels.iter().enumerate() {
        let (y, x) = (i / source.width() as usize, i % source.width() as usize);
        let (sum, alphas, count) = &mut sums[y / 16 * wide + x / 16];
        let alpha = f32::from(pixel[3]) / 255.0;
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += f32::from(*value) / 255.0 * alpha;
        }
        *alphas += alpha;
        *count += 1.0;
    }
    (sums.into_iter())
        .map(|(sum, alphas, count)| (sum.map(|v| v / alphas.max(1e-6)), alphas / count.max(1.0)))
        .collect()
}

/// Mean colour of each structure cell of a source.
pub fn colours(source: &Source) -> Vec<[f32; 3]> {
    means(source)
        .into_iter()
        .map(|(colour, _)| colour)
        .collect()
}

/// Colours of a guide; `None` where it is mostly transparent.
fn guide_colours(guide: &Source) -> Vec<Option<[f32; 3]>> {
    (means(guide).into_iter())
        .map(|(colour, alpha)| (alpha >= 0.5).then_some(colour))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_label_of_its_most_common_colour() {
        let pixel = |i: u32| match (i % 48 / 16, i / 48 % 16) {
            (0, 0..=2) | (1, _) => [200, 0, 0, 255],
            (0, _) => [0, 0, 200, 255],
            _ => [9, 9, 9, 0],
        };
        let map = Source::from_rgba8(48, 16, (0..48 * 16).flat_map(pixel).collect()).unwrap();
        let labels = LabelMap::new(&map).unwrap();
        assert_eq!(labels.colours, [[0, 0, 200], [200, 0, 0]]);
        assert_eq!(labels.cells, [1, 2, 0]);
        assert_eq!(source_labels(&map, &[[200, 0, 0]]), [0, 1, 0]);
        let clear = Source::from_rgba8(16, 16, vec![0; 1024]).unwrap();
        assert!(LabelMap::new(&clear).is_err());
    }
}
