//! The lane that keeps the window's pixels up to date while somebody paints.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use candle_core::Device;
use tessera::canvas::{Patch, open, render_document};
use tessera::codec::{Codec, CodecConfig};
use tessera::document::tools::{BrushStroke, Easel, Medium, Setup};
use tessera::document::{
    Alphabet, Brush, CellDelta, Codebooks, DetailPolicy, Document, LayerLook, Level, Raster, Rect,
    Samples, Source, Target, Wrap,
};
use tessera::engine::{DecodeLane, DecodedPatch, Shown};

const PATIENCE: Duration = Duration::from_secs(120);

fn codec() -> Arc<Codec> {
    Arc::new(Codec::new(CodecConfig::tiny(), 5, &Device::Cpu).unwrap())
}

fn document(codec: &Codec, width: u32, height: u32) -> Document {
    let pixel = |i: u32| {
        [
            (i * 7) as u8,
            (i / width * 5) as u8,
            (i % 251 * 9) as u8,
            255,
        ]
    };
    let samples = (0..width * height).flat_map(pixel).collect();
    let source = Source::from_rgba8(width, height, samples).unwrap();
    open(codec, source, Wrap::default(), &()).unwrap()
}

/// What the document looks like, decoded whole.
fn whole(codec: &Codec, document: &Document) -> Raster {
    render_document(codec, document, 8, &()).unwrap()
}

/// A window: what it shows, and how it learns that there is more.
struct Window {
    lane: DecodeLane,
    woken: Arc<(Mutex<usize>, Condvar)>,
    shown: Vec<u8>,
    width: u32,
}

impl Window {
    fn start(codec: &Arc<Codec>, document: &Document) -> Self {
        let woken = Arc::new((Mutex::new(0), Condvar::new()));
        let lane = DecodeLane::start({
            let woken = Arc::clone(&woken);
            Arc::new(move || {
                *woken.0.lock().unwrap() += 1;
                woken.1.notify_all();
            })
        })
        .unwrap();
        let mut window = Self {
            lane,
            woken,
            shown: Vec::new(),
            width: 0,
        };
        window.open(codec, document);
        window
    }

    fn open(&mut self, codec: &Arc<Codec>, document: &Document) {
        self.lane.open(Arc::clone(codec), document, Shown::Source);
        self.shown = Raster::from_source(document.source(), 8).rgba8().to_vec();
        self.width = document.width();
    }

    fn draw(&mut self, patch: &Patch) {
        let Rect { x, y, width, .. } = patch.rect;
        let Samples::Rgba8(samples) = &patch.samples else {
            panic!("8 bits are shown")
        };
        for (row, pixels) in samples.chunks_exact(width.max(1) as usize * 4).enumerate() {
            let start = ((y as usize + row) * self.width as usize + x as usize) * 4;
            self.shown[start..start + pixels.len()].copy_from_slice(pixels);
        }
    }

    /// Draws what comes until `revision` is shown. Returns the revisions of the patches.
    fn wait_for(&mut self, revision: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut revisions = Vec::new();
        loop {
            for DecodedPatch { revision, patch } in self.lane.take() {
                self.draw(&patch.unwrap());
                revisions.push(revision);
            }
            if revisions.last() == Some(&revision) {
                return revisions;
            }
            assert!(start.elapsed() < PATIENCE, "{revisions:?}");
            let woken = self.woken.0.lock().unwrap();
            drop(self.woken.1.wait_timeout(woken, Duration::from_millis(20)));
        }
    }
}

const BOOKS: Codebooks = Codebooks {
    structure: 24,
    detail: 32,
};

/// A stroke of one dab that changes at least the cell under it: the codes count up from `code` to the first that differs.
fn paint(document: &mut Document, lane: &DecodeLane, level: Level, at: (f32, f32), code: u16) {
    let cell = at.1 as u32 * document.geometry().grid_width(level) + at.0 as u32;
    let is_there = document.edited().level(level).at(cell) == Some(code);
    let medium = Medium::Code(Some(code + u16::from(is_there)));
    let stride = level.stride_px() as f32;
    let alphabet = Alphabet::plain(BOOKS);
    let mut easel = Easel::new(document, None, &alphabet);
    let setup = Setup::new(level, Brush::default(), medium);
    let at = (at.0 * stride, at.1 * stride);
    let stroke = BrushStroke::press(&mut easel, setup, "paint", at).unwrap();
    stroke.release(&mut easel).unwrap();
    let deltas = easel.take_deltas();
    assert!(!deltas.is_empty());
    lane.change(&deltas, document);
}

/// Within one level of 255: a patch is decoded in other windows than the whole, with other roundings.
fn assert_alike(shown: &[u8], whole: &Raster) {
    let whole = whole.rgba8();
    let far = shown.iter().zip(whole.iter()).map(|(a, b)| a.abs_diff(*b));
    assert!(far.max().unwrap() <= 1);
}

#[test]
fn strokes_undo_and_another_document_end_in_the_right_pixels() {
    let codec = codec();
    let mut first = document(&codec, 208, 144);
    let mut window = Window::start(&codec, &first);
    window.lane.look_at(Rect::new(0, 0, 208, 144));
    for step in 0u8..40 {
        let at = (f32::from(step % 12) + 0.5, f32::from(step % 8) + 0.5);
        let level = Level::ALL[usize::from(step) % 2];
        paint(&mut first, &window.lane, level, at, u16::from(step % 23));
        if step % 9 == 0 {
            window.wait_for(first.revision());
        }
    }
    let revisions = window.wait_for(first.revision());
    assert!(revisions.is_sorted(), "{revisions:?}");
    assert_alike(&window.shown, &whole(&codec, &first));

    while let Some(undone) = first.undo() {
        window.lane.change(&undone.deltas, &first);
    }
    window.wait_for(first.revision());
    assert_eq!(window.shown, **first.source().rgba8());

    // Much is waiting when another, smaller document comes: none of it may be shown there.
    for x in 0..12u8 {
        paint(
            &mut first,
            &window.lane,
            Level::Structure,
            (f32::from(x), 3.0),
            7,
        );
    }
    let mut second = document(&codec, 64, 48);
    window.open(&codec, &second);
    paint(&mut second, &window.lane, Level::Structure, (1.5, 1.5), 9);
    window.wait_for(second.revision());
    assert_alike(&window.shown, &whole(&codec, &second));
}

#[test]
fn a_revision_is_told_only_when_all_of_it_is_shown() {
    let codec = codec();
    // Two far corners of a picture of several patches.
    let mut document = document(&codec, 1600, 1040);
    let mut window = Window::start(&codec, &document);
    paint(&mut document, &window.lane, Level::Detail, (1.0, 1.0), 3);
    paint(
        &mut document,
        &window.lane,
        Level::Detail,
        (398.0, 258.0),
        3,
    );
    let newest = document.revision();
    let mut told = false;
    let start = Instant::now();
    let mut shown = Vec::new();
    while !told {
        for DecodedPatch { revision, patch } in window.lane.take() {
            let patch = patch.unwrap();
            shown.push(patch.rect);
            window.draw(&patch);
            if revision == newest {
                told = true;
                break;
            }
        }
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(shown.iter().any(|rect| rect.x == 0 && rect.y == 0));
    assert!(
        shown
            .iter()
            .any(|rect| rect.right() == 1600 && rect.bottom() == 1040)
    );
    assert_alike(&window.shown, &whole(&codec, &document));
}

#[test]
fn nobody_taking_patches_blocks_neither_painting_nor_the_end() {
    let codec = codec();
    let mut document = document(&codec, 1600, 96);
    let woken = Arc::new(AtomicUsize::new(0));
    let lane = DecodeLane::start({
        let woken = Arc::clone(&woken);
        Arc::new(move || {
            woken.fetch_add(1, Ordering::Relaxed);
        })
    })
    .unwrap();
    lane.open(Arc::clone(&codec), &document, Shown::Source);
    let mut slowest = Duration::ZERO;
    for step in 0..400u16 {
        let at = (f32::from(step % 400) + 0.5, f32::from(step % 24) + 0.5);
        let start = Instant::now();
        paint(&mut document, &lane, Level::Detail, at, step % 31);
        slowest = slowest.max(start.elapsed());
    }
    // Generous for a busy machine, and still far below one decode of everything that waits.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let waiting = lane.take().len();
    assert!(waiting <= 64, "{waiting}");
    drop(lane);
    let count = woken.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(woken.load(Ordering::Relaxed), count, "its thread has ended");
}

#[test]
fn layers_are_followed_while_they_are_painted_moved_and_blended() {
    let codec = codec();
    let mut doc = document(&codec, 208, 144);
    let mut window = Window::start(&codec, &doc);
    let stroke = |window: &Window, doc: &mut Document, code: u16| {
        for step in 0u8..8 {
            let at = (
                f32::from(step) + 0.5,
                f32::from((step + code as u8) % 8) + 0.5,
            );
            paint(
                doc,
                &window.lane,
                Level::ALL[usize::from(step) % 2],
                at,
                code,
            );
        }
    };
    let settle = |window: &mut Window, doc: &Document| {
        window.wait_for(doc.revision());
        assert_alike(&window.shown, &whole(&codec, doc));
    };
    let opacity = |doc: &mut Document, id, opacity_percent| {
        let look = doc.layers().get(id).unwrap().look().clone();
        let look = LayerLook {
            opacity_percent,
            ..look
        };
        doc.set_layer_look(id, look).unwrap();
    };
    stroke(&window, &mut doc, 3);
    for code in [5, 9] {
        doc.add_layer().unwrap();
        // Not told at once: the next stroke brings the new layer along.
        stroke(&window, &mut doc, code);
    }
    settle(&mut window, &doc);
    opacity(&mut doc, 1, 40);
    window.lane.change(&[], &doc);
    settle(&mut window, &doc);
    // On every layer of a blended stack: below, in it, and above.
    for layer in [0, 1, 2] {
        doc.set_active(Target {
            layer,
            is_mask: false,
        });
        stroke(&window, &mut doc, 12 + layer as u16);
        settle(&mut window, &doc);
    }
    doc.move_layer(1, 2).unwrap();
    window.lane.change(&[], &doc);
    settle(&mut window, &doc);
    doc.try_opacity(1, 80);
    window.lane.change(&[], &doc);
    settle(&mut window, &doc);
    while let Some(undone) = doc.undo() {
        window.lane.change(&undone.deltas, &doc);
    }
    window.wait_for(doc.revision());
    assert_eq!(window.shown, **doc.source().rgba8());
}

#[test]
fn whatever_was_shown_before_is_painted_over() {
    let codec = codec();
    let mut doc = document(&codec, 600, 144);
    let mut window = Window::start(&codec, &doc);
    for x in 0..30u8 {
        let at = (f32::from(x) + 0.5, 3.5);
        paint(&mut doc, &window.lane, Level::Structure, at, 7);
    }
    window.wait_for(doc.revision());
    // Undone while another picture is shown: nothing says which cells these were.
    while doc.undo().is_some() {}
    let shown = Shown::Unknown;
    window.lane.open(Arc::clone(&codec), &doc, shown);
    window.wait_for(doc.revision());
    assert_eq!(window.shown, **doc.source().rgba8());
    // The last patch is taken a moment before its thread knows that nothing is left.
    let start = Instant::now();
    while !window.lane.is_settled() {
        assert!(start.elapsed() < PATIENCE, "the lane does not come to rest");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn after_a_failure_the_document_is_opened_again_and_whole() {
    let codec = codec();
    let mut doc = document(&codec, 208, 144);
    let mut window = Window::start(&codec, &doc);
    paint(&mut doc, &window.lane, Level::Structure, (3.5, 3.5), 7);
    window.wait_for(doc.revision());
    // Two changes at once, one of them of a code that there is not: neither is decoded.
    doc.begin("paint").unwrap();
    let cell = doc.geometry().grid_width(Level::Structure) + 1;
    let unknown = doc.set_cell(Level::Structure, cell, Some(60_000));
    assert!(unknown.unwrap());
    let delta = |index: u32| CellDelta {
        level: Level::Structure,
        index,
        before: 0,
        after: 60_000,
    };
    window.lane.change(&[delta(cell)], &doc);
    let start = Instant::now();
    let mut failure = None;
    while failure.is_none() {
        failure = window.lane.take().into_iter().find_map(|d| d.patch.err());
        assert!(start.elapsed() < PATIENCE, "no failure is told");
        std::thread::sleep(Duration::from_millis(2));
    }
    doc.abort();
    // Nothing is decoded until it is opened again; then everything is.
    paint(&mut doc, &window.lane, Level::Structure, (8.5, 5.5), 9);
    window.lane.open(Arc::clone(&codec), &doc, Shown::Unknown);
    window.wait_for(doc.revision());
    assert_alike(&window.shown, &whole(&codec, &doc));
}

#[test]
fn who_draws_without_a_pause_sees_what_they_draw() {
    let codec = codec();
    let mut doc = document(&codec, 256, 256);
    let mut window = Window::start(&codec, &doc);
    let start = Instant::now();
    let (mut patches, mut dabs) = (0, 0u32);
    while patches < 5 {
        assert!(start.elapsed() < PATIENCE, "{patches} patches, {dabs} dabs");
        // Whenever the lane looks, a change is waiting.
        let at = ((dabs % 64) as f32, (dabs / 64 % 64) as f32);
        paint(&mut doc, &window.lane, Level::Detail, at, (dabs % 3) as u16);
        dabs += 1;
        for ready in window.lane.take() {
            window.draw(&ready.patch.unwrap());
            patches += 1;
        }
    }
    window.wait_for(doc.revision());
    assert_alike(&window.shown, &whole(&codec, &doc));
}

#[test]
fn cells_that_bring_their_texture_are_shown_with_it_and_without_it_again() {
    let codec = codec();
    let mut doc = document(&codec, 256, 192);
    let mut window = Window::start(&codec, &doc);
    let alphabet = Alphabet::plain(BOOKS);
    let brush_at = |window: &Window, doc: &mut Document, medium: Medium, at: (f32, f32)| {
        let brush = Brush {
            size: 3,
            ..Brush::default()
        };
        let setup = Setup {
            detail: DetailPolicy::Keep,
            ..Setup::new(Level::Structure, brush, medium)
        };
        let mut easel = Easel::new(doc, None, &alphabet);
        let stroke = BrushStroke::press(&mut easel, setup, "stroke", at).unwrap();
        stroke.release(&mut easel).unwrap();
        let deltas = easel.take_deltas();
        window.lane.change(&deltas, doc);
    };
    let clone = || Medium::Clone { offset: (6, 4) };
    brush_at(&window, &mut doc, clone(), (40.0, 40.0));
    window.wait_for(doc.revision());
    assert!(!doc.coordinates().is_empty());
    assert_alike(&window.shown, &whole(&codec, &doc));
    // Painted over on a layer above, then undone, and the clone as well.
    doc.add_layer().unwrap();
    window.lane.change(&[], &doc);
    brush_at(&window, &mut doc, Medium::Code(Some(5)), (56.0, 40.0));
    window.wait_for(doc.revision());
    assert_alike(&window.shown, &whole(&codec, &doc));
    while let Some(undone) = doc.undo() {
        window.lane.change(&undone.deltas, &doc);
        window.wait_for(doc.revision());
        assert_alike(&window.shown, &whole(&codec, &doc));
    }
    assert_eq!(window.shown, **doc.source().rgba8());
    // Opened with them, as after a restart.
    brush_at(&window, &mut doc, clone(), (80.0, 60.0));
    window.open(&codec, &doc);
    window.wait_for(doc.revision());
    assert_alike(&window.shown, &whole(&codec, &doc));
}
