//! Documents as quilts see them, and quilts as cells of a document.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::canvas;
use crate::document::tools::{Generated, GeneratedDetail, TextureMaker, Wanted};
use crate::document::{
    CodeGrid, Codes, Coordinate, DETAIL_STRIDE_PX, Document, Geometry, Level, OWN_SOURCE, Rect,
    STRUCTURE_STRIDE_PX, Source, SourcePicture, SourcePictures, SourceRef, Sources, Turn, Vectors,
    Wrap,
};
use crate::engine::lanes::job::file_name;
use crate::engine::models::loading::Model;
use crate::engine::pictures::{documents, read};
use crate::error::{Error, Kind, Result};
use crate::progress::Observer;
use crate::quilt::{self, Canvas, Controls, Home, Kept, Quilt, Request, Start};

/// Structure cells that lie wholly in a picture: columns, rows.
pub(crate) const fn whole_cells(geometry: Geometry) -> (u32, u32) {
    (
        geometry.width() / STRUCTURE_STRIDE_PX,
        geometry.height() / STRUCTURE_STRIDE_PX,
    )
}

/// Structure cells that lie wholly in a picture and are not transparent throughout, row by row.
pub(crate) fn usable(source: &Source) -> Vec<bool> {
    let geometry = source.geometry();
    let (columns, rows) = whole_cells(geometry);
    let side = STRUCTURE_STRIDE_PX as usize;
    let (pixels, _) = source.rgba8().as_chunks::<4>();
    let line = source.width() as usize;
    cells(geometry)
        .map(|(x, y)| {
            y < rows
                && x < columns
                && (0..side).any(|row| {
                    let start = (y as usize * side + row) * line + x as usize * side;
                    pixels[start..start + side].iter().any(|pixel| pixel[3] > 0)
                })
        })
        .collect()
}

fn cells(geometry: Geometry) -> impl Iterator<Item = (u32, u32)> {
    let bounds = geometry.grid_bounds(Level::Structure);
    (0..bounds.height).flat_map(move |y| (0..bounds.width).map(move |x| (x, y)))
}

/// What a document shows, to take from.
pub(crate) fn source_of(document: &Document) -> quilt::Source {
    quilt::Source {
        usable: Some(usable_of(
            document,
            document.geometry().grid_bounds(Level::Structure),
        )),
        ..quilt::Source::new(Arc::clone(document.edited()))
    }
}

/// As [`usable`] of what a document shows, of a rectangle of structure cells. A cell that was copied is as opaque as its source; a
/// painted one may be taken.
fn usable_of(document: &Document, rect: Rect) -> Vec<bool> {
    let (columns, rows) = whole_cells(document.geometry());
    let mut known: HashMap<u16, Option<Arc<SourcePicture>>> = HashMap::new();
    let mut shows = |index: u32| {
        let Some(from) = document.origin(index) else {
            return true;
        };
        if from.source == OWN_SOURCE {
            return shows_at(document.source(), from);
        }
        let picture =
            (known.entry(from.source)).or_insert_with(|| document.sources().picture(from.source));
        picture
            .as_ref()
            .is_none_or(|picture| shows_at(&picture.source, from))
    };
    let wide = document.geometry().grid_width(Level::Structure);
    (rect.y..rect.bottom())
        .flat_map(|y| (rect.x..rect.right()).map(move |x| (x, y)))
        .map(|(x, y)| {
            x < columns && y < rows && document.detail_under(y * wide + x).any(&mut shows)
        })
        .collect()
}

/// Whether any pixel of a detail cell can be seen.
fn shows_at(source: &Source, at: Coordinate) -> bool {
    let side = DETAIL_STRIDE_PX;
    let (left, top) = (u32::from(at.x) * side, u32::from(at.y) * side);
    (top..(top + side).min(source.height())).any(|y| {
        (left..(left + side).min(source.width()))
            .any(|x| source.rgba8()[((y * source.width() + x) * 4 + 3) as usize] > 0)
    })
}

/// Where a quilt lies on a document, and what its sources are there.
pub(crate) struct Laid<'a> {
    /// The document's first structure cell (column, row) that the quilt covers; on a canvas that wraps it may go around.
    pub corner: (u32, u32),
    /// Which of the quilt's sources is the document as it is, and that source's first structure cell (column, row) there.
    pub own: Option<(u16, (u32, u32))>,
    /// The others, by number; what is said of the own one does not matter.
    pub references: &'a [SourceRef],
    /// Per structure cell of the quilt, whether it was made; all of them where it is `None`.
    pub made: Option<&'a [bool]>,
    pub settings: Option<Arc<str>>,
}

/// The cells that a quilt has made, for [`crate::document::tools::put_generated`].
pub(crate) fn generated(document: &Document, quilt: &Quilt, laid: &Laid<'_>) -> Generated {
    let geometry = document.geometry();
    let bounds = geometry.grid_bounds(Level::Structure);
    let columns = geometry.grid_width(Level::Detail);
    let (width, height) = (
        quilt.codes.structure.width(),
        quilt.codes.structure.height(),
    );
    let mut found = Generated {
        settings: laid.settings.clone(),
        ..Generated::default()
    };
    let mut numbers: HashMap<Listed, u16> = HashMap::new();
    for y in 0..height {
        for x in 0..width {
            let at = (y * width + x) as usize;
            if laid.made.is_some_and(|made| !made[at]) {
                continue;
            }
            let to_x = (laid.corner.0 + x) % bounds.width;
            let to_y = (laid.corner.1 + y) % bounds.height;
            if let Some(code) = quilt.codes.structure.at(at as u32) {
                found.structure.push((to_y * bounds.width + to_x, code));
            }
            for dy in 0..4 {
                for dx in 0..4 {
                    let under = ((y * 4 + dy) * width + x) * 4 + dx;
                    let place = quilt.detail_at[under as usize];
                    let from = origin(document, laid, place);
                    let from = from.map(|(listed, y, x)| Coordinate {
                        source: number(document, laid, listed, &mut numbers, &mut found.sources),
                        y,
                        x,
                    });
                    found.details.push(GeneratedDetail {
                        index: (to_y * 4 + dy) * columns + to_x * 4 + dx,
                        code: quilt.codes.detail.at(under),
                        from,
                    });
                }
            }
        }
    }
    found
}

/// A source: the document's own picture, one that it lists, or one of the quilt's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Listed {
    Own,
    Document(u16),
    Quilt(u16),
}

fn origin(
    document: &Document,
    laid: &Laid<'_>,
    place: quilt::Coordinate,
) -> Option<(Listed, u16, u16)> {
    let corner = match laid.own {
        Some((own, corner)) if own == place.source => corner,
        _ => return Some((Listed::Quilt(place.source), place.y, place.x)),
    };
    let columns = document.geometry().grid_width(Level::Detail);
    let (y, x) = (
        u32::from(place.y) + corner.1 * 4,
        u32::from(place.x) + corner.0 * 4,
    );
    let at = document.origin(y * columns + x)?;
    let listed = match at.source {
        OWN_SOURCE => Listed::Own,
        number => Listed::Document(number),
    };
    Some((listed, at.y, at.x))
}

fn number(
    document: &Document,
    laid: &Laid<'_>,
    listed: Listed,
    numbers: &mut HashMap<Listed, u16>,
    sources: &mut Vec<SourceRef>,
) -> u16 {
    *numbers.entry(listed).or_insert_with(|| {
        let reference = match listed {
            Listed::Own => None,
            Listed::Document(number) => document.sources().get(number),
            Listed::Quilt(number) => laid.references.get(usize::from(number)),
        };
        let Some(reference) = reference else {
            return OWN_SOURCE;
        };
        sources.push(reference.clone());
        sources.len() as u16
    })
}

/// How many structure cells around what is made are looked at: half of the largest patch, and the voters around those.
const MARGIN: u32 = 6;
/// The same for a dab.
const DAB_MARGIN: u32 = 3;
/// A dab takes from this many structure cells on each axis around it: 768 pixels.
const DAB_SOURCE: u32 = 48;

/// # Errors
/// `Usage` for a picture below 32 × 32 pixels, which is too small to take from.
pub(crate) fn check_size(source: &Source) -> Result<()> {
    let least = quilt::MIN_SOURCE_CELLS * STRUCTURE_STRIDE_PX;
    if source.width().min(source.height()) >= least {
        return Ok(());
    }
    Err(Error::usage(
        "could not take from a picture",
        format!(
            "it has {} × {} pixels, and at least {least} × {least} are needed",
            source.width(),
            source.height()
        ),
        "Choose a larger picture",
    ))
}

/// A picture file that textures are taken from.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    pub reference: SourceRef,
    pub source: quilt::Source,
    pub pixels: Source,
}

/// Opens a picture file to take from; its bytes as well.
///
/// # Errors
/// Those of reading and encoding it; `Usage` for one below 32 × 32 pixels.
pub(crate) fn material(
    path: &Path,
    model: &Model,
    observer: &dyn Observer,
) -> Result<(Material, Vec<u8>)> {
    let (source, bytes) = read::load_with_bytes(path)?;
    check_size(&source).map_err(|error| error.at(path))?;
    let codes = canvas::encode(&model.codec, &source, Wrap::default(), observer)?;
    let material = Material {
        reference: documents::reference(&bytes, source.geometry(), &file_name(path)),
        source: quilt::Source {
            usable: Some(usable(&source)),
            ..quilt::Source::new(Arc::new(codes))
        },
        pixels: source,
    };
    Ok((material, bytes))
}

/// Finds pictures in one place first, and then where a document found them before.
#[derive(Debug)]
pub(crate) struct Both<T>(pub T, pub Sources);

impl<T: SourcePictures> SourcePictures for Both<T> {
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>> {
        (self.0.picture(of)).or_else(|| self.1.picture(self.1.number_of(of)?))
    }
}

/// Makes textures by quilting.
#[derive(Debug)]
pub(crate) struct Quilter {
    pub vectors: Arc<Vectors>,
    /// By the name that a look has for it.
    pub materials: HashMap<String, Material>,
    /// Codes that must not appear, structure and detail, by number; empty: none.
    pub muted: [Vec<bool>; 2],
}

impl SourcePictures for Arc<Quilter> {
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>> {
        let found = (self.materials.values()).find(|known| known.reference.is_same(of))?;
        Some(Arc::new(SourcePicture {
            source: found.pixels.clone(),
            codes: Arc::clone(&found.source.codes),
            wrap: Wrap::default(),
        }))
    }
}

impl TextureMaker for Quilter {
    fn make(
        &self,
        document: &Document,
        wanted: &Wanted<'_>,
        observer: &dyn Observer,
    ) -> Result<Generated> {
        let bounds = document.geometry().grid_bounds(Level::Structure);
        let margin = if wanted.is_dab { DAB_MARGIN } else { MARGIN };
        let window = Window::around(wanted.cells, bounds, document.wrap(), margin);
        let mut fill = vec![false; window.width as usize * window.height as usize];
        for &index in wanted.cells {
            if let Some(at) = window.index(index, bounds) {
                fill[at as usize] = true;
            }
        }
        let (mut sources, mut references, mut own, mut home) = (Vec::new(), Vec::new(), None, None);
        if wanted.look.from.is_empty() {
            let rect = match wanted.is_dab {
                true => window.surroundings(bounds),
                false => bounds,
            };
            let mut usable = usable_of(document, rect);
            for &index in wanted.cells {
                let (x, y) = (index % bounds.width, index / bounds.width);
                if rect.contains(x, y) {
                    usable[((y - rect.y) * rect.width + x - rect.x) as usize] = false;
                }
            }
            sources.push(quilt::Source {
                usable: Some(usable),
                ..quilt::Source::new(Arc::new(cut(document.edited(), rect, bounds)?))
            });
            references.extend(document.sources().named(OWN_SOURCE).cloned());
            references.resize(1, nameless(document));
            own = Some((0, (rect.x, rect.y)));
            home = (!window.goes_around(bounds)).then(|| Home {
                source: 0,
                y: rect.y as i32 - window.y as i32,
                x: rect.x as i32 - window.x as i32,
            });
        }
        for name in &wanted.look.from {
            let material = self.materials.get(name).ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    "could not make a texture",
                    format!("the picture “{name}” was not opened"),
                    "",
                )
            })?;
            sources.push(material.source.clone());
            references.push(material.reference.clone());
        }
        let request = Request {
            sources,
            canvas: Canvas {
                width: window.width,
                height: window.height,
                wrap: window.wrap,
                kept: Some(Kept {
                    codes: Arc::new(window.codes(document)?),
                    fill: fill.clone(),
                    home,
                }),
            },
            start: Start::Grown,
            controls: Controls {
                seed: wanted.look.seed ^ wanted.number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                freedom: wanted.look.freedom,
                muted_structure: self.muted[0].clone(),
                muted_detail: self.muted[1].clone(),
                is_quick: wanted.is_dab,
                ..Controls::default()
            },
        };
        let quilt = quilt::quilt(&request, &self.vectors, observer, &mut |_| {})?;
        let laid = Laid {
            corner: (window.x, window.y),
            own,
            references: &references,
            made: Some(&fill),
            settings: None,
        };
        Ok(generated(document, &quilt, &laid))
    }
}

/// Stands for the document's own picture where that has no name; what it says does not matter.
fn nameless(document: &Document) -> SourceRef {
    SourceRef {
        content_hash: String::new(),
        width: document.width(),
        height: document.height(),
        name: String::new(),
        turn: Turn::default(),
    }
}

/// Structure cells of a document around those to be made. On an axis that wraps it may go around the border.
#[derive(Debug, Clone, Copy)]
struct Window {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    /// Axes on which it is the whole canvas, and wraps.
    wrap: Wrap,
}

impl Window {
    fn around(cells: &[u32], bounds: Rect, wrap: Wrap, margin: u32) -> Self {
        let axis = |places: &mut dyn Iterator<Item = u32>, length: u32, wraps: bool| {
            let mut is_in = vec![false; length as usize];
            places.for_each(|at| is_in[at as usize] = true);
            span(&is_in, wraps, margin)
        };
        let (x, width) = axis(
            &mut cells.iter().map(|i| i % bounds.width),
            bounds.width,
            wrap.x,
        );
        let (y, height) = axis(
            &mut cells.iter().map(|i| i / bounds.width),
            bounds.height,
            wrap.y,
        );
        Self {
            x,
            y,
            width,
            height,
            wrap: Wrap {
                x: wrap.x && width == bounds.width,
                y: wrap.y && height == bounds.height,
            },
        }
    }

    fn goes_around(&self, bounds: Rect) -> bool {
        self.x + self.width > bounds.width || self.y + self.height > bounds.height
    }

    /// Where a cell of the document lies in it.
    fn index(&self, cell: u32, bounds: Rect) -> Option<u32> {
        let x = (cell % bounds.width + bounds.width - self.x) % bounds.width;
        let y = (cell / bounds.width + bounds.height - self.y) % bounds.height;
        (x < self.width && y < self.height).then_some(y * self.width + x)
    }

    /// What a dab takes from: cells of the document around it.
    fn surroundings(&self, bounds: Rect) -> Rect {
        let axis = |at: u32, own: u32, length: u32| {
            let size = DAB_SOURCE.max(own).min(length);
            let first = (at + own / 2).saturating_sub(size / 2).min(length - size);
            (first, size)
        };
        let (x, width) = axis(self.x, self.width, bounds.width);
        let (y, height) = axis(self.y, self.height, bounds.height);
        Rect::new(x, y, width, height)
    }

    fn codes(&self, document: &Document) -> Result<Codes> {
        let level = |level: Level| {
            let per = STRUCTURE_STRIDE_PX / level.stride_px();
            let grid = document.edited().level(level);
            let (width, height) = (self.width * per, self.height * per);
            let cells = (0..height)
                .flat_map(|y| (0..width).map(move |x| (x, y)))
                .map(|(x, y)| {
                    let x = (x + self.x * per) % grid.width();
                    let y = (y + self.y * per) % grid.height();
                    grid.cells()[(y * grid.width() + x) as usize]
                })
                .collect();
            CodeGrid::from_cells(width, height, cells)
        };
        Ok(Codes {
            structure: level(Level::Structure)?,
            detail: level(Level::Detail)?,
        })
    }
}

/// The codes of a rectangle of structure cells.
fn cut(codes: &Arc<Codes>, rect: Rect, bounds: Rect) -> Result<Codes> {
    if rect == bounds {
        return Ok(Codes::clone(codes));
    }
    let level = |level: Level| {
        let per = STRUCTURE_STRIDE_PX / level.stride_px();
        let (grid, rect) = (codes.level(level), rect.to_pixels(per));
        let cells = (rect.y..rect.bottom())
            .flat_map(|y| {
                let start = (y * grid.width() + rect.x) as usize;
                &grid.cells()[start..start + rect.width as usize]
            })
            .copied()
            .collect();
        CodeGrid::from_cells(rect.width, rect.height, cells)
    };
    Ok(Codes {
        structure: level(Level::Structure)?,
        detail: level(Level::Detail)?,
    })
}

/// The shortest stretch of an axis with all marked places and `margin` more on each side: its start and its length.
fn span(is_in: &[bool], wraps: bool, margin: u32) -> (u32, u32) {
    let length = is_in.len() as u32;
    let first = is_in.iter().position(|is_in| *is_in).unwrap_or(0) as u32;
    let last = is_in.iter().rposition(|is_in| *is_in).unwrap_or(0) as u32;
    if !wraps {
        let start = first.saturating_sub(margin);
        return (start, (last + 1 + margin).min(length) - start);
    }
    // The longest stretch without a marked place, around the border too.
    let (mut best, mut run) = ((0, first), 0u32);
    for step in 0..=length {
        let at = (first + step) % length;
        if is_in[at as usize] {
            if run > best.0 {
                best = (run, at);
            }
            run = 0;
        } else {
            run += 1;
        }
    }
    let marked = length - best.0;
    let wide = marked + 2 * margin;
    if wide >= length {
        return (0, length);
    }
    ((best.1 + length - margin) % length, wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_goes_around_a_border_that_wraps() {
        let of = |marked: &[usize], wraps| {
            let mut is_in = [false; 20];
            marked.iter().for_each(|at| is_in[*at] = true);
            span(&is_in, wraps, 2)
        };
        assert_eq!(of(&[5, 7], false), (3, 7));
        assert_eq!(of(&[5, 7], true), (3, 7));
        assert_eq!(of(&[0], false), (0, 3));
        assert_eq!(of(&[0], true), (18, 5));
        assert_eq!(of(&[19, 1], true), (17, 7));
        assert_eq!(of(&[19, 1], false), (0, 20));
        assert_eq!(of(&[0, 6, 12], true), (18, 17));
        assert_eq!(of(&[0, 5, 10, 15], true), (0, 20));
        let bounds = Rect::new(0, 0, 20, 10);
        let wrap = Wrap { x: true, y: false };
        let window = Window::around(&[19, 21], bounds, wrap, 2);
        assert_eq!(
            (window.x, window.width, window.y, window.height),
            (17, 7, 0, 4)
        );
        assert!(window.goes_around(bounds) && window.wrap == Wrap::default());
        assert_eq!(window.index(19, bounds), Some(2));
        assert_eq!(window.index(21, bounds), Some(7 + 4));
        assert_eq!(window.index(10, bounds), None);
    }
}
