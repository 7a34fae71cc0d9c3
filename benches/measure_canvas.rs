//! Endurance and size of the canvas, without a window. Each prints its figures and fails where a promise is broken.
//!
//! ```text
//! cargo bench --bench measure_canvas -- draw [SECONDS]     # drawing without a pause at 120 events/s on 4096²
//! cargo bench --bench measure_canvas -- edits [COUNT]      # random edits, saved and reopened
//! cargo bench --bench measure_canvas -- journal [STROKES]  # how long a long history takes to open
//! cargo bench --bench measure_canvas -- checkpoint [SECONDS]  # dabs while checkpoints are being written, and without
//! cargo bench --bench measure_canvas -- size WIDTH HEIGHT  # memory and time of a large canvas
//! ```
//!
//! `TESSERA_KILL_ROUNDS=200 cargo test --test project_file every_finished_stroke` kills a painting process that often.
#![allow(clippy::print_stdout)] // a command line tool

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tessera::canvas::{self, LiveCanvas};
use tessera::dataset::{Limits, decode_bytes};
use tessera::document::tools::{BrushStroke, Easel, Medium, Setup};
use tessera::document::{
    Alphabet, Brush, CellDelta, Codebooks, Codes, Document, Geometry, LayerLook, Level, Rect,
    Shape, Source, Stroke, Wrap,
};
use tessera::engine::{DecodeLane, Desk, Model, ModelSource, SAMPLES, Shown, Storage};
use tessera::project::{
    CheckpointKind, DocumentId, NewCheckpoint, NewDocument, NewSource, Project,
};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    tessera::process::configure();
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let model = ModelSource::Base.load(&Device::Cpu)?;
    match args[..] {
        ["draw"] => draw(&model, 60),
        ["draw", seconds] => draw(&model, seconds.parse()?),
        ["edits"] => edits(&model, 1000),
        ["edits", count] => edits(&model, count.parse()?),
        ["journal"] => journal(&model, 100_000),
        ["journal", strokes] => journal(&model, strokes.parse()?),
        ["size", width, height] => size(&model, width.parse()?, height.parse()?),
        ["checkpoint"] => checkpoint(&model, 15),
        ["checkpoint", seconds] => checkpoint(&model, seconds.parse()?),
        _ => Err(
            "usage: measure_canvas draw | edits | journal | checkpoint | size WIDTH HEIGHT".into(),
        ),
    }
}

/// A gradient whose codes are hashes of their places: nothing that a cache could profit from.
fn random_document(model: &Model, width: u32, height: u32) -> Result<Document, Box<dyn Error>> {
    let geometry = Geometry::new(width, height)?;
    let rgba = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [(x >> 3) as u8, (y >> 3) as u8, 128, 255]))
        .collect();
    let mut codes = Codes::blank(geometry);
    let books = model.codebooks();
    for level in Level::ALL {
        for index in 0..geometry.cell_count(level) as u32 {
            let code = (index.wrapping_mul(2_654_435_761) >> 8) % books.size(level);
            codes.level_mut(level).set(index, Some(code as u16));
        }
    }
    let source = Source::from_rgba8(width, height, rgba)?;
    Ok(Document::new(source, codes, Wrap::default(), &model.hash)?)
}

/// Stores a document whose source is `bytes`.
fn store(
    storage: &Storage,
    model: &Model,
    document: &Document,
    bytes: Vec<u8>,
) -> Result<DocumentId, Box<dyn Error>> {
    let checkpoint = model.keep_in(storage)?;
    let (geometry, wrap, codebooks) = (document.geometry(), document.wrap(), model.codebooks());
    let codes = document.encoded().clone();
    let row = storage.call(move |project| {
        project.create_document(&NewDocument {
            name: "Measured",
            source: NewSource::Embedded(&bytes),
            geometry,
            checkpoint,
            codebooks,
            wrap,
            codes: &codes,
        })
    })?;
    Ok(row.id)
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((share * last as f64).round() as usize)
        .copied()
        .unwrap_or(0.0)
}

/// A stroke of one dab, and the cells that it changed; `centre` is in cells.
fn dab(
    document: &mut Document,
    books: Codebooks,
    setup: Setup,
    centre: (f32, f32),
) -> Result<(Option<Arc<Stroke>>, Vec<CellDelta>), Box<dyn Error>> {
    let alphabet = Alphabet::plain(books);
    let stride = setup.level.stride_px() as f32;
    let mut easel = Easel::new(document, None, &alphabet);
    let at = (centre.0 * stride, centre.1 * stride);
    let stroke = BrushStroke::press(&mut easel, setup, "dab", at)?.release(&mut easel)?;
    Ok((stroke, easel.take_deltas()))
}

/// 120 dabs a second, a stroke each second, structure and detail in turn, each stroke journaled when it ends.
fn draw(model: &Model, seconds: u64) -> Outcome {
    const SIDE: u32 = 4096;
    const PER_SECOND: u64 = 120;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("draw.tessera");
    let storage = Storage::create(&path)?;
    let mut document = random_document(model, SIDE, SIDE)?;
    let id = store(&storage, model, &document, b"a gradient".to_vec())?;
    let lane = DecodeLane::start(Arc::new(|| {}))?;
    let desk = Desk::start(Arc::new(|| {}))?;
    desk.turn_to(Some(storage.clone()));
    lane.open(model.codec.clone(), &document, Shown::Source);
    lane.look_at(Rect::new(1536, 1536, 1024, 1024));
    // The view is computed before somebody paints in it.
    std::thread::sleep(Duration::from_secs(8));
    lane.take();

    let brush = Brush {
        shape: Shape::Square,
        size: 3,
        ..Brush::default()
    };
    let books = model.codebooks();
    let alphabet = Alphabet::plain(books);
    let mut stroke: Option<BrushStroke> = None;
    let mut waiting: VecDeque<(u64, Instant)> = VecDeque::new();
    let (mut shown_ms, mut longest_queue, mut latest_ms) = (Vec::new(), 0, 0.0f64);
    let (mut dabs, mut strokes, mut patches) = (0u64, 0u64, 0u64);
    let mut memory = Vec::new();
    let take = |waiting: &mut VecDeque<(u64, Instant)>, shown_ms: &mut Vec<f64>| {
        let mut count = 0;
        for decoded in lane.take() {
            decoded.patch?;
            count += 1;
            while let Some((_, at)) = waiting.front().filter(|(r, _)| *r <= decoded.revision) {
                shown_ms.push(at.elapsed().as_secs_f64() * 1000.0);
                waiting.pop_front();
            }
        }
        Ok::<u64, Box<dyn Error>>(count)
    };
    let start = Instant::now();
    for event in 0..seconds * PER_SECOND {
        let due = start + Duration::from_micros(event * 1_000_000 / PER_SECOND);
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(wait);
        }
        latest_ms = latest_ms.max(due.elapsed().as_secs_f64() * 1000.0);
        let level = Level::ALL[(event / PER_SECOND % 2) as usize];
        let angle = event as f32 * 0.02;
        let place = |phase: f32| SIDE as f32 / 2.0 + 460.0 * phase.sin();
        let at = (place(angle * 0.9), place(angle * 0.7 + 1.0));
        let mut easel = Easel::new(&mut document, None, &alphabet);
        match &mut stroke {
            Some(stroke) => stroke.drag(&mut easel, at)?,
            None => {
                let code = (event / PER_SECOND * 7 % u64::from(books.size(level))) as u16;
                let setup = Setup::new(level, brush, Medium::Code(Some(code)));
                stroke = Some(BrushStroke::press(&mut easel, setup, "draw", at)?);
            }
        }
        let deltas = easel.take_deltas();
        dabs += 1;
        if !deltas.is_empty() {
            waiting.push_back((document.revision(), Instant::now()));
            lane.change(&deltas, &document);
        }
        longest_queue = longest_queue.max(waiting.len());
        patches += take(&mut waiting, &mut shown_ms)?;
        if event % PER_SECOND == PER_SECOND - 1 {
            let mut easel = Easel::new(&mut document, None, &alphabet);
            let ended = stroke.take().map(|stroke| stroke.release(&mut easel));
            if let Some(stroke) = ended.transpose()?.flatten() {
                strokes += 1;
                desk.write(move |project| project.append_stroke(id, &stroke).map(drop));
            }
            if (event / PER_SECOND) % 5 == 4 {
                memory.push(resident_mib());
            }
        }
    }
    let took = start.elapsed();
    let end = Instant::now();
    while !waiting.is_empty() && end.elapsed() < Duration::from_secs(30) {
        patches += take(&mut waiting, &mut shown_ms)?;
        std::thread::sleep(Duration::from_millis(2));
    }
    let drained = end.elapsed();
    drop(desk);
    drop(storage);
    let project = Project::open(&path)?;
    let loaded = project.load_document(id)?;
    shown_ms.sort_by(f64::total_cmp);
    println!(
        "{dabs} events in {:.1} s, the latest {latest_ms:.1} ms after its time",
        took.as_secs_f64()
    );
    println!(
        "{patches} patches; at most {longest_queue} dabs waited to be shown; the last one came {:.0} ms after the end",
        drained.as_secs_f64() * 1000.0
    );
    println!(
        "dab to patch: half within {:.1} ms, 95 of 100 within {:.1} ms, longest {:.1} ms",
        quantile(&shown_ms, 0.5),
        quantile(&shown_ms, 0.95),
        quantile(&shown_ms, 1.0)
    );
    println!("resident memory every 5 s, MiB: {memory:.0?}");
    println!(
        "{} of {strokes} strokes in the reopened project",
        loaded.row.strokes
    );
    if !waiting.is_empty() || loaded.row.strokes != strokes || loaded.edited != **document.edited()
    {
        return Err("events were lost".into());
    }
    Ok(())
}

/// Random dabs, erasures, undos and layer changes; closed and opened again after every 20, compared after every 100.
fn edits(model: &Model, count: u32) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("edits.tessera");
    let sample = SAMPLES
        .iter()
        .find(|(name, _)| *name == "kitten-on-lawn.jpg");
    let (_, bytes) = sample.ok_or("no sample picture")?;
    let picture = decode_bytes(bytes, &Limits::default())?;
    let source = Source::from_rgba8(picture.width, picture.height, picture.rgba8)?;
    let mut document = canvas::open(&model.codec, source.clone(), Wrap::default(), &())?;
    let geometry = document.geometry();
    let storage = Storage::create(&path)?;
    let id = store(&storage, model, &document, bytes.to_vec())?;
    drop(storage);
    let mut project = Project::open(&path)?;
    let reach = LiveCanvas::new(model.codec.clone(), &document, 1 << 20)?.reach();
    let mut reached = vec![false; geometry.bounds().area() as usize];
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut reopened, mut compared) = (0, 0);
    for edit in 1..=count {
        let before = document.history().cursor();
        let strokes = random_edit(&mut document, model.codebooks(), &mut random)?;
        for stroke in &strokes {
            for delta in &stroke.deltas {
                let cell = geometry.cell_pixels(delta.level, delta.index);
                let halo = cell
                    .inflate(reach.of(delta.level))
                    .intersect(&geometry.bounds());
                for y in halo.y..halo.bottom() {
                    let row = (y * geometry.width()) as usize;
                    reached[row + halo.x as usize..row + halo.right() as usize].fill(true);
                }
            }
            project.append_stroke(id, stroke)?;
        }
        if strokes.is_empty() && document.history().cursor() != before {
            project.set_applied_strokes(id, document.history().cursor() as u64)?;
        }
        if edit % 20 == 0 {
            project.close()?;
            project = Project::open(&path)?;
            let loaded = project.load_document(id)?;
            if loaded.layers.layers() != document.layers().layers() {
                return Err(format!("other layers after edit {edit}").into());
            }
            document = Document::with_layers(
                source.clone(),
                loaded.encoded,
                loaded.layers,
                loaded.row.wrap,
                &model.hash,
                loaded.history,
            )?;
            reopened += 1;
        }
        if edit % 100 == 0 {
            let raster = canvas::render_document(&model.codec, &document, 8, &())?;
            let pixels = raster.rgba8();
            let pairs = pixels.chunks_exact(4).zip(source.rgba8().chunks_exact(4));
            let odd = pairs
                .zip(&reached)
                .filter(|((now, before), may)| now != before && !**may);
            if odd.count() > 0 {
                return Err(format!("pixels outside every halo changed by edit {edit}").into());
            }
            compared += 1;
        }
    }
    let outside = reached.iter().filter(|may| !**may).count();
    println!("{count} edits, closed and opened {reopened} times, compared {compared} times");
    println!(
        "{outside} of {} pixels lie outside every halo: all as in the source",
        reached.len()
    );
    let findings = project.check(&())?;
    while document.undo().is_some() {}
    let raster = canvas::render_document(&model.codec, &document, 8, &())?;
    if raster.rgba8() != source.rgba8().as_slice() || !findings.is_empty() {
        return Err("all undone is not the source".into());
    }
    println!("all undone: the source, byte for byte; the project is sound");
    Ok(())
}

/// What the history gets; nothing for an undo or where nothing changed. Edits stay in the left half.
fn random_edit(
    document: &mut Document,
    books: Codebooks,
    random: &mut ChaCha8Rng,
) -> Result<Vec<Arc<Stroke>>, Box<dyn Error>> {
    let layers = document.layers().layers();
    let layer = layers[random.random_range(0..layers.len())].clone();
    let look = layer.look().clone();
    let kept = match random.random_range(0..20u32) {
        0 if layers.len() < 4 => vec![document.add_layer()?],
        1 if layers.len() > 1 => vec![document.delete_layer(layer.id())?],
        2 => document
            .move_layer(layer.id(), random.random_range(0..4))?
            .into_iter()
            .collect(),
        3 => {
            let opacity_percent = [30, 60, 100, 100][random.random_range(0..4)];
            let look = LayerLook {
                opacity_percent,
                ..look
            };
            document
                .set_layer_look(layer.id(), look)?
                .into_iter()
                .collect()
        }
        4 => {
            document.undo();
            Vec::new()
        }
        _ => {
            let mut target = document.active();
            target.layer = layer.id();
            document.set_active(target);
            let level = Level::ALL[random.random_range(0..2)];
            let bounds = document.geometry().grid_bounds(level);
            let centre = (
                random.random_range(0.0..bounds.width as f32 * 0.3),
                random.random_range(0.0..bounds.height as f32),
            );
            let brush = Brush {
                size: random.random_range(1..4),
                scatter: 0.2,
                seed: random.random(),
                ..Brush::default()
            };
            let code = random.random_range(0..books.size(level)) as u16;
            let medium = match random.random_range(0..4) {
                0 => Medium::Source,
                _ => Medium::Code(Some(code)),
            };
            let setup = Setup::new(level, brush, medium);
            dab(document, books, setup, centre)?.0.into_iter().collect()
        }
    };
    Ok(kept)
}

/// Structure dabs to their pixels and strokes to the file, in turn with nothing else and with checkpoints written without
/// a pause, by the storage lane's own way.
fn checkpoint(model: &Model, seconds: u64) -> Outcome {
    const ROUNDS: usize = 4;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("checkpoint.tessera");
    let storage = Storage::create(&path)?;
    let mut document = random_document(model, 1024, 1024)?;
    let id = store(&storage, model, &document, b"a gradient".to_vec())?;
    let lane = DecodeLane::start(Arc::new(|| {}))?;
    lane.open(model.codec.clone(), &document, Shown::Source);
    lane.look_at(Rect::new(0, 0, 1024, 1024));
    std::thread::sleep(Duration::from_secs(4));
    lane.take();
    // As large as the base model's weights and a run's state, of bytes that do not repeat.
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut noise = |bytes: usize| -> Vec<u8> { (0..bytes).map(|_| random.random()).collect() };
    let (weights, state) = (noise(12 << 20), noise(36 << 20));
    // With nothing else, then beside the writing: dab to pixels, stroke to the file.
    let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    let mut written = 0u64;
    for round in 0..2 * ROUNDS {
        let is_beside = round % 2 == 1;
        let ends = AtomicBool::new(!is_beside);
        std::thread::scope(|scope| -> Outcome {
            let writer = scope.spawn(|| -> Result<u64, tessera::error::Error> {
                let (mut kept, mut step) = (0, 0);
                while !ends.load(Ordering::Relaxed) {
                    step += 1;
                    let mut weights = weights.clone();
                    weights[..8].copy_from_slice(&[round as u8, step, 1, 2, 3, 4, 5, 6]);
                    let new = NewCheckpoint {
                        run: None,
                        kind: CheckpointKind::Named,
                        step: u64::from(step),
                        name: "",
                        config: json!({}),
                        metrics: json!({}),
                        weights: weights.into(),
                        training_state: Some(state.clone().into()),
                    };
                    kept += (weights_and_state(&new)) as u64;
                    storage.save_checkpoint(new, &ends)?;
                }
                Ok(kept)
            });
            let painted = dabs(model, &lane, &storage, (&mut document, id), seconds);
            ends.store(true, Ordering::Relaxed);
            written += writer.join().map_err(|_| "the writer panicked")??;
            for (all, new) in times[usize::from(is_beside)].iter_mut().zip(painted?) {
                all.extend(new);
            }
            Ok(())
        })?;
    }
    for all in times.iter_mut().flatten() {
        all.sort_by(f64::total_cmp);
    }
    println!(
        "{} dabs each way, {:.0} MiB of checkpoints written beside one half",
        times[0][0].len(),
        written as f64 / (1 << 20) as f64
    );
    for (number, what) in ["dab to pixels", "stroke to the file"].iter().enumerate() {
        let of = |beside: usize, share| quantile(&times[beside][number], share);
        println!(
            "{what}: half within {:.1} ms alone, {:.1} beside; 95 of 100 within {:.1} alone, {:.1} beside: {:.2} times",
            of(0, 0.5),
            of(1, 0.5),
            of(0, 0.95),
            of(1, 0.95),
            of(1, 0.95) / of(0, 0.95)
        );
    }
    Ok(())
}

fn weights_and_state(new: &NewCheckpoint<'_>) -> usize {
    new.weights.len() + new.training_state.as_ref().map_or(0, |state| state.len())
}

/// Eight strokes of one structure dab a second, and for each how many milliseconds passed until its pixels came and until
/// it was in the file.
fn dabs(
    model: &Model,
    lane: &DecodeLane,
    storage: &Storage,
    (document, id): (&mut Document, DocumentId),
    seconds: u64,
) -> Result<[Vec<f64>; 2], Box<dyn Error>> {
    let (mut shown, mut stored) = (Vec::new(), Vec::new());
    let brush = Brush {
        size: 3,
        ..Brush::default()
    };
    let first = document.revision();
    for number in 0..seconds * 8 {
        let code = ((first + number) * 7 % u64::from(model.codebooks().structure)) as u16;
        let setup = Setup::new(Level::Structure, brush, Medium::Code(Some(code)));
        let centre = ((number % 50 + 7) as f32, (number * 13 % 47 + 7) as f32);
        let start = Instant::now();
        let (stroke, deltas) = dab(document, model.codebooks(), setup, centre)?;
        lane.change(&deltas, document);
        let revision = document.revision();
        let mut is_shown = deltas.is_empty();
        while !is_shown {
            for ready in lane.take() {
                ready.patch?;
                is_shown |= ready.revision >= revision;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        shown.push(start.elapsed().as_secs_f64() * 1000.0);
        if let Some(stroke) = stroke {
            let start = Instant::now();
            storage.call(move |project| project.append_stroke(id, &stroke).map(drop))?;
            stored.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        if let Some(rest) = Duration::from_millis(125).checked_sub(start.elapsed()) {
            std::thread::sleep(rest);
        }
    }
    Ok([shown, stored])
}

/// Strokes of 9 to 25 cells on 2048², written one by one as painting does, then opened.
fn journal(model: &Model, strokes: u64) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("journal.tessera");
    let mut document = random_document(model, 2048, 2048)?;
    let source = document.source().clone();
    let storage = Storage::create(&path)?;
    let id = store(&storage, model, &document, b"a gradient".to_vec())?;
    drop(storage);
    let mut project = Project::open(&path)?;
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let start = Instant::now();
    for _ in 0..strokes {
        let level = Level::Detail;
        let brush = Brush {
            shape: Shape::Square,
            size: random.random_range(3..6),
            ..Brush::default()
        };
        let code = random.random_range(0..model.codebooks().detail) as u16;
        let setup = Setup::new(level, brush, Medium::Code(Some(code)));
        let centre = (
            random.random_range(5.0..500.0),
            random.random_range(5.0..500.0),
        );
        let (stroke, _) = dab(&mut document, model.codebooks(), setup, centre)?;
        if let Some(stroke) = stroke {
            project.append_stroke(id, &stroke)?;
        }
    }
    let wrote = start.elapsed();
    project.close()?;
    let bytes = std::fs::metadata(&path)?.len();
    println!(
        "{strokes} strokes written in {:.1} s ({:.2} ms each); the project has {:.1} MiB",
        wrote.as_secs_f64(),
        wrote.as_secs_f64() * 1000.0 / strokes as f64,
        bytes as f64 / (1 << 20) as f64
    );
    for _ in 0..3 {
        let start = Instant::now();
        let project = Project::open(&path)?;
        let opened = start.elapsed();
        let loaded = project.load_document(id)?;
        let read = start.elapsed();
        let again = Document::with_layers(
            source.clone(),
            loaded.encoded,
            loaded.layers,
            loaded.row.wrap,
            &model.hash,
            loaded.history,
        )?;
        println!(
            "opened in {:.2} s: file {:.2} s, journal {:.2} s, document {:.2} s; {} strokes of history",
            start.elapsed().as_secs_f64(),
            opened.as_secs_f64(),
            (read - opened).as_secs_f64(),
            (start.elapsed() - read).as_secs_f64(),
            again.history().strokes().len()
        );
        if again.edited() != document.edited() {
            return Err("the journal gives other codes".into());
        }
    }
    Ok(())
}

/// A large canvas: stored, opened, painted on. Peak memory of this process.
fn size(model: &Model, width: u32, height: u32) -> Outcome {
    let mut document = random_document(model, width, height)?;
    println!(
        "{width} × {height}: document {:.0} MiB resident",
        resident_mib()
    );
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("size.tessera");
    let storage = Storage::create(&path)?;
    let start = Instant::now();
    let id = store(&storage, model, &document, b"a gradient".to_vec())?;
    println!("stored in {:.2} s", start.elapsed().as_secs_f64());
    paint_large(model, &mut document, &storage, id)?;
    drop(storage);
    println!(
        "peak memory {:.0} MiB",
        tessera::process::peak_bytes() as f64 / (1 << 20) as f64
    );
    report_file(&path)
}

fn paint_large(
    model: &Model,
    document: &mut Document,
    storage: &Storage,
    id: DocumentId,
) -> Outcome {
    let mut live = LiveCanvas::new(
        model.codec.clone(),
        document,
        LiveCanvas::DEFAULT_BUDGET_BYTES,
    )?;
    let corner = Rect::new(
        document.width() - 1024,
        document.height() - 1024,
        1024,
        1024,
    );
    live.warm(corner, &())?;
    for level in Level::ALL {
        let mut times = Vec::new();
        for number in 0..100u16 {
            let stride = level.stride_px();
            let at = |start: u32, step: u32| ((start + 64 + step * 8) / stride) as f32;
            let centre = (
                at(corner.x, u32::from(number)),
                at(corner.y, u32::from(number % 37)),
            );
            let brush = Brush {
                shape: Shape::Square,
                size: 3,
                ..Brush::default()
            };
            let setup = Setup::new(level, brush, Medium::Code(Some(number * 7)));
            let start = Instant::now();
            let (stroke, deltas) = dab(document, model.codebooks(), setup, centre)?;
            for rect in live.apply(&deltas)?.rects() {
                live.patch(*rect, 8)?;
            }
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            if let Some(stroke) = stroke {
                storage.call(move |project| project.append_stroke(id, &stroke).map(drop))?;
            }
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{level} dab to patch: half within {:.1} ms, 95 of 100 within {:.1} ms",
            quantile(&times, 0.5),
            quantile(&times, 0.95)
        );
    }
    Ok(())
}

fn report_file(path: &Path) -> Outcome {
    let start = Instant::now();
    let project = Project::open(path)?;
    let row = project.documents()?.remove(0);
    project.load_document(row.id)?;
    println!(
        "opened again in {:.2} s from {:.1} MiB",
        start.elapsed().as_secs_f64(),
        std::fs::metadata(path)?.len() as f64 / (1 << 20) as f64
    );
    Ok(())
}
