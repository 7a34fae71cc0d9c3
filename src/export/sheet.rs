//! Contact sheets: labelled pictures in a grid, for looking and comparing.

use super::text::{Canvas, Colour, Typeface};
use crate::document::{Raster, Samples};
use crate::error::{Error, Kind, Result};

/// Larger sheets are refused: split them into pages.
const MAX_SHEET_PIXELS: u64 = 100_000_000;

const BACKGROUND: Colour = [27, 28, 31];
const FRAME: Colour = [46, 48, 53];
const TEXT: Colour = [232, 233, 236];
const MUTED: Colour = [150, 154, 163];
const CHECKER: [f32; 2] = [102.0, 76.0];
const CHECKER_PX: u32 = 8;

const MARGIN_PX: u32 = 28;

/// One picture of a sheet.
#[derive(Debug, Clone, Copy)]
pub struct SheetItem<'a> {
    pub picture: &'a Raster,
    /// Under the picture; may be empty.
    pub label: &'a str,
    /// Smaller, under the label; may be empty.
    pub note: &'a str,
}

/// How a sheet is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Sheet<'a> {
    pub title: &'a str,
    /// A muted line under the title; may be empty.
    pub subtitle: &'a str,
    /// Heads above the columns ("source", "before", "after"); may be fewer than columns.
    pub column_heads: &'a [&'a str],
    /// Pictures per row, at least 1.
    pub columns: u32,
    /// Side of the square that each picture is fitted into, 16 to 1,024 pixels. Smaller pictures
    /// are enlarged by whole factors without smoothing, larger ones are averaged down.
    pub box_px: u32,
}

/// Draws a sheet: rows filled from left to right.
///
/// # Errors
/// `Usage` without pictures or with a layout out of range; `Limit` above 100 million pixels.
pub fn render_sheet(sheet: &Sheet, items: &[SheetItem]) -> Result<Raster> {
    if items.is_empty() || sheet.columns == 0 || !(16..=1024).contains(&sheet.box_px) {
        return Err(Error::usage(
            "could not draw the sheet",
            "it needs at least one picture, one column and boxes of 16 to 1,024 pixels",
            "",
        ));
    }
    let layout = Layout::new(sheet, items);
    let (width, height) = layout.size();
    if width * height > MAX_SHEET_PIXELS || width.max(height) > u64::from(u16::MAX) {
        return Err(Error::new(
            Kind::Limit,
            "could not draw the sheet",
            format!("it would have {width} × {height} pixels"),
            "Show fewer pictures or smaller ones",
        ));
    }
    let face = Typeface::new()?;
    let mut canvas = Canvas::filled(width as u32, height as u32, BACKGROUND);
    let left = MARGIN_PX as f32;
    let text_width = width as f32 - 2.0 * left;
    if !sheet.title.is_empty() {
        let title = face.fit(sheet.title, TITLE_PX, text_width);
        face.draw(
            &mut canvas,
            left,
            MARGIN_PX as f32 + 22.0,
            TITLE_PX,
            TEXT,
            &title,
        );
    }
    if !sheet.subtitle.is_empty() {
        let line = face.fit(sheet.subtitle, layout.label_px, text_width);
        let y = layout.subtitle_y as f32;
        face.draw(&mut canvas, left, y, layout.label_px, MUTED, &line);
    }
    for (column, head) in sheet
        .column_heads
        .iter()
        .enumerate()
        .take(layout.columns as usize)
    {
        let x = layout.box_at(column as u32).0 as f32;
        let head = face.fit(head, layout.label_px, sheet.box_px as f32);
        face.draw(
            &mut canvas,
            x,
            layout.heads_y as f32,
            layout.label_px,
            MUTED,
            &head,
        );
    }
    for (i, item) in items.iter().enumerate() {
        let (x, y) = layout.box_at(i as u32);
        place(&mut canvas, item.picture, x, y, sheet.box_px);
        let mut baseline = (y + sheet.box_px) as f32 + layout.label_px + 3.0;
        for (text, size, colour) in [
            (item.label, layout.label_px, TEXT),
            (item.note, layout.note_px, MUTED),
        ] {
            if !text.is_empty() {
                let line = face.fit(text, size, layout.pitch_x() as f32 - 4.0);
                face.draw(&mut canvas, x as f32, baseline, size, colour, &line);
                baseline += size + 4.0;
            }
        }
    }
    let rgba = canvas
        .rgb
        .chunks_exact(3)
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    Raster::new(canvas.width, canvas.height, Samples::Rgba8(rgba))
}

const TITLE_PX: f32 = 28.0;

struct Layout {
    columns: u32,
    rows: u32,
    box_px: u32,
    gap_x: u32,
    label_px: f32,
    note_px: f32,
    /// Height of the text under each picture.
    caption_px: u32,
    subtitle_y: u32,
    heads_y: u32,
    top: u32,
}

impl Layout {
    fn new(sheet: &Sheet, items: &[SheetItem]) -> Self {
        // Swatch sheets have small boxes: their labels and gaps shrink along, within reason.
        let small = sheet.box_px < 96;
        let (label_px, note_px): (f32, f32) = if small { (14.0, 12.0) } else { (17.0, 14.0) };
        let label = items.iter().any(|i| !i.label.is_empty());
        let note = items.iter().any(|i| !i.note.is_empty());
        let caption =
            if label { label_px + 7.0 } else { 0.0 } + if note { note_px + 4.0 } else { 0.0 };
        let mut y = MARGIN_PX;
        if !sheet.title.is_empty() {
            y += 32;
        }
        let subtitle_y = y + label_px as u32;
        if !sheet.subtitle.is_empty() {
            y += label_px as u32 + 10;
        }
        let heads_y = y + label_px as u32 + 6;
        if !sheet.column_heads.is_empty() {
            y += label_px as u32 + 16;
        } else if y > MARGIN_PX {
            y += 14;
        }
        let count = items.len().min(u32::MAX as usize) as u32;
        let columns = sheet.columns.min(count);
        Self {
            columns,
            rows: count.div_ceil(columns),
            box_px: sheet.box_px,
            gap_x: if small { 12 } else { 20 },
            label_px,
            note_px,
            caption_px: caption.ceil() as u32,
            subtitle_y,
            heads_y,
            top: y,
        }
    }

    const fn pitch_x(&self) -> u32 {
        self.box_px + self.gap_x
    }

    const fn pitch_y(&self) -> u32 {
        self.box_px + self.caption_px + self.gap_x
    }

    const fn box_at(&self, index: u32) -> (u32, u32) {
        (
            MARGIN_PX + index % self.columns * self.pitch_x(),
            self.top + index / self.columns * self.pitch_y(),
        )
    }

    const fn size(&self) -> (u64, u64) {
        let margin = MARGIN_PX as u64;
        (
            2 * margin + self.columns as u64 * self.pitch_x() as u64 - self.gap_x as u64,
            self.top as u64 + margin + self.rows as u64 * self.pitch_y() as u64 - self.gap_x as u64,
        )
    }
}

/// Fits a picture into its box, centred, on a checkerboard where it is transparent.
fn place(canvas: &mut Canvas, picture: &Raster, x: u32, y: u32, box_px: u32) {
    let (width, height) = (picture.width(), picture.height());
    let longest = width.max(height);
    let scaled = |side: u32| -> u32 {
        if longest <= box_px {
            side * (box_px / longest)
        } else {
            ((u64::from(side) * u64::from(box_px) / u64::from(longest)) as u32).max(1)
        }
    };
    let (shown_w, shown_h) = (scaled(width), scaled(height));
    let (x0, y0) = (x + (box_px - shown_w) / 2, y + (box_px - shown_h) / 2);
    canvas.fill(x0 - 1, y0 - 1, shown_w + 2, shown_h + 2, FRAME);
    let rgba = picture.rgba8();
    for dy in 0..shown_h {
        let rows = source_span(dy, shown_h, height);
        for dx in 0..shown_w {
            let columns = source_span(dx, shown_w, width);
            let mut sum = [0f32; 4];
            for sy in rows.clone() {
                for sx in columns.clone() {
                    let at = (sy as usize * width as usize + sx as usize) * 4;
                    let alpha = f32::from(rgba[at + 3]) / 255.0;
                    for c in 0..3 {
                        sum[c] += f32::from(rgba[at + c]) * alpha;
                    }
                    sum[3] += alpha;
                }
            }
            let n = (rows.len() * columns.len()) as f32;
            let square = ((dx / CHECKER_PX + dy / CHECKER_PX) % 2) as usize;
            let behind = CHECKER[square] * (1.0 - sum[3] / n);
            let colour = [0, 1, 2].map(|c| (sum[c] / n + behind).round() as u8);
            canvas.blend(i64::from(x0 + dx), i64::from(y0 + dy), colour, 1.0);
        }
    }
}

/// The source pixels that one shown pixel averages: at least one.
fn source_span(at: u32, shown: u32, source: u32) -> std::ops::Range<u32> {
    let start = u64::from(at) * u64::from(source) / u64::from(shown);
    let end = (u64::from(at) + 1) * u64::from(source) / u64::from(shown);
    start as u32..(end as u32).max(start as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(side: u32, rgba: [u8; 4]) -> Raster {
        Raster::new(
            side,
            side,
            Samples::Rgba8(rgba.repeat((side * side) as usize)),
        )
        .unwrap()
    }

    fn sheet<'a>() -> Sheet<'a> {
        Sheet {
            title: "Reconstruction",
            subtitle: "",
            column_heads: &[],
            columns: 2,
            box_px: 64,
        }
    }

    fn has(raster: &Raster, colour: [u8; 3]) -> bool {
        raster.rgba8().chunks_exact(4).any(|p| p[..3] == colour)
    }

    #[test]
    fn pictures_keep_their_colours_and_alpha_shows_the_checkerboard() {
        let (red, clear) = (flat(200, [200, 10, 20, 255]), flat(7, [255, 255, 255, 0]));
        let item = |picture| SheetItem {
            picture,
            label: "a label that is far too long for its place",
            note: "",
        };
        let drawn = render_sheet(&sheet(), &[item(&red), item(&clear)]).unwrap();
        assert!(has(&drawn, [200, 10, 20]));
        assert!(has(&drawn, [102; 3]) && has(&drawn, [76; 3]));
        assert!(!has(&drawn, [255; 3]), "white hidden under alpha 0 shows");
    }

    #[test]
    fn impossible_sheets_are_refused() {
        assert_eq!(render_sheet(&sheet(), &[]).unwrap_err().kind, Kind::Usage);
        let dot = flat(1, [0, 0, 0, 255]);
        let items = vec![
            SheetItem {
                picture: &dot,
                label: "",
                note: ""
            };
            200
        ];
        let big = Sheet {
            columns: 10,
            box_px: 1024,
            ..sheet()
        };
        assert_eq!(render_sheet(&big, &items).unwrap_err().kind, Kind::Limit);
    }

    #[test]
    fn averaging_covers_every_source_pixel_once() {
        for (shown, source) in [(7, 100), (64, 64), (64, 65), (90, 30)] {
            let spans: Vec<_> = (0..shown)
                .map(|at| source_span(at, shown, source))
                .collect();
            assert_eq!(spans[0].start, 0);
            assert_eq!(spans[shown as usize - 1].end, source);
            assert!(spans.windows(2).all(|p| p[1].start <= p[0].end));
        }
    }
}
