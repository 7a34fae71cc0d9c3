//! Measures import and sampling: time and peak memory of a process that does nothing else.
//!
//! ```text
//! cargo bench --bench measure_import -- generate DIR 100000   # many small pictures to import
//! cargo bench --bench measure_import -- import DIR [THREADS]  # files/s, peak memory
//! cargo bench --bench measure_import -- again DIR             # into a project twice: seconds and their ratio
//! cargo bench --bench measure_import -- index COUNT           # reading an index of so many pictures of 384²
//! cargo bench --bench measure_import -- list COUNT            # a training run's list of so many pictures
//! cargo bench --bench measure_import -- crops DIR             # crops/s on one core
//! ```
#![allow(clippy::print_stdout)] // a command line tool

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;
use image::{Rgba, RgbaImage};
use tessera::dataset::{CropSource, Crops, CropsConfig, Fingerprint, ImportOptions, Picture, scan};
use tessera::document::{Codes, Geometry, Level};
use tessera::engine::pictures::encodings::Encodings;
use tessera::engine::{DeviceChoice, ImportJob, ModelSource, Storage, Worker, usable_pictures};
use tessera::project::{ContentHash, EncodingModel, NewEncoding, NewPicture, PictureFilter};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["generate", dir, count] => generate(Path::new(dir), count.parse()?),
        ["import", dir] => import(Path::new(dir), 0),
        ["import", dir, threads] => import(Path::new(dir), threads.parse()?),
        ["again", dir] => again(Path::new(dir)),
        ["index", count] => index(count.parse()?, true),
        ["list", count] => index(count.parse()?, false),
        ["crops", dir] => crops(Path::new(dir)),
        _ => Err("usage: measure_import generate DIR COUNT | import DIR [THREADS] | again DIR | index COUNT | list COUNT | crops DIR".into()),
    }
}

/// Small pictures, 32 to 96 px, a thousand per folder: PNG with and without alpha, and JPEG.
fn generate(dir: &Path, count: u32) -> Result<(), Box<dyn Error>> {
    let mut state = 1u32;
    for i in 0..count {
        let folder = dir.join(format!("set_{:03}", i / 1000));
        std::fs::create_dir_all(&folder)?;
        let mut next = |n: u32| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % n
        };
        let (width, height) = (32 + next(65), 32 + next(65));
        let back = [next(256), next(256), next(256)].map(|v| v as u8);
        let mut image =
            RgbaImage::from_pixel(width, height, Rgba([back[0], back[1], back[2], 255]));
        let has_alpha = i % 3 == 0;
        if has_alpha {
            image.pixels_mut().for_each(|p| p.0[3] = 0);
        }
        for _ in 0..3 + next(6) {
            let colour = [next(256) as u8, next(256) as u8, next(256) as u8, 255];
            let (x, y) = (next(width) as i64, next(height) as i64);
            let radius = i64::from(4 + next(20));
            let is_round = next(2) == 0;
            for (px, py, p) in image.enumerate_pixels_mut() {
                let (dx, dy) = ((i64::from(px) - x).abs(), (i64::from(py) - y).abs());
                let inside = if is_round {
                    dx * dx + dy * dy < radius * radius
                } else {
                    dx < radius && dy < radius / 2
                };
                if inside {
                    *p = Rgba(colour);
                }
            }
        }
        if i % 3 == 1 {
            image::DynamicImage::ImageRgba8(image)
                .into_rgb8()
                .save(folder.join(format!("{i:06}.jpg")))?;
        } else {
            image.save(folder.join(format!("{i:06}.png")))?;
        }
    }
    Ok(())
}

fn import(dir: &Path, threads: usize) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let (mut pixels, mut thumbnails) = (0u64, 0u64);
    let report = scan(
        &[PathBuf::from(dir)],
        &ImportOptions {
            threads,
            ..ImportOptions::default()
        },
        &(),
        &mut |p: Picture| {
            pixels += u64::from(p.width) * u64::from(p.height);
            thumbnails += p.thumbnail.len() as u64;
            Ok(())
        },
    )?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} imported ({} flagged: {:?}), {} rejected, {} skipped",
        report.imported,
        report.flagged,
        report.flag_counts,
        report.rejected.len(),
        report.skipped_total
    );
    println!(
        "{:.0} Mpx, {:.1} MB of thumbnails, {seconds:.1} s, {:.0} files/s",
        pixels as f64 / 1e6,
        thumbnails as f64 / 1e6,
        report.imported as f64 / seconds
    );
    println!("peak memory {} MiB", peak_mib());
    Ok(())
}

/// Imports a folder into a new project, then again with nothing changed.
fn again(dir: &Path) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let project = Storage::create(&folder.path().join("p.tessera"))?;
    let worker = Worker::start(Arc::new(|| {}))?;
    let import = || -> Result<f64, Box<dyn Error>> {
        let start = Instant::now();
        let job = ImportJob {
            project: project.clone(),
            paths: vec![dir.to_path_buf()],
            options: ImportOptions::default(),
            device: DeviceChoice::Cpu,
        };
        let imported = worker.run(job, |_| None)?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{seconds:.2} s: {imported}");
        Ok(seconds)
    };
    let first = import()?;
    let second = import()?;
    println!("the second time took 1/{:.0} of the first", first / second);
    println!("peak memory {} MiB", peak_mib());
    Ok(())
}

/// Fills a project with `count` pictures and their codes under the base model, all made up, and reads them as the program does.
fn index(count: u32, has_codes: bool) -> Result<(), Box<dyn Error>> {
    const SIDE_PX: u32 = 384;
    let folder = tempfile::tempdir()?;
    let project = Storage::create(&folder.path().join("p.tessera"))?;
    let model = ModelSource::Base.load(&Device::Cpu)?;
    let encodings = Encodings::new(&project, &model)?;
    let index_model = EncodingModel {
        hash: model.hash.parse()?,
        codebooks: model.codebooks(),
        embedding_len: model
            .codec
            .config()
            .embedding
            .map_or(0, |head| head.length()),
    };
    let geometry = Geometry::new(SIDE_PX, SIDE_PX)?;
    let made_up = |index: u32| {
        let mut bytes = blake3::Hasher::new()
            .update(&index.to_le_bytes())
            .finalize_xof();
        move |below: u32| {
            let mut number = [0; 4];
            bytes.fill(&mut number);
            u32::from_le_bytes(number) % below
        }
    };
    let content = |index: u32| ContentHash::of(&index.to_le_bytes());
    project.call(move |project| {
        let mut import = project.begin_import(Path::new("/none"))?;
        for start in (0..count).step_by(500) {
            let batch: Vec<NewPicture> = (start..(start + 500).min(count))
                .map(|index| {
                    let mut number = made_up(index);
                    NewPicture {
                        path: format!("/none/{:03}/picture {index}.png", index / 1000).into(),
                        label: Some(format!("{:03}", index / 1000)),
                        blake3: content(index),
                        file_bytes: 100_000,
                        modified_ms: 0,
                        changed_ns: None,
                        analysis: 1,
                        width: SIDE_PX,
                        height: SIDE_PX,
                        format: "PNG".into(),
                        bit_depth: 8,
                        has_alpha: false,
                        phash: Some((0..Fingerprint::BYTES).map(|_| number(256) as u8).collect()),
                        flags: Vec::new(),
                        thumbnail: Vec::new(),
                        excluded: false,
                    }
                })
                .collect();
            project.add_pictures(&mut import, &batch)?;
        }
        project.finish_import(import, true)
    })?;
    let start = Instant::now();
    for first in (0..if has_codes { count } else { 0 }).step_by(64) {
        let batch: Vec<NewEncoding> = (first..(first + 64).min(count))
            .map(|index| {
                let mut number = made_up(index);
                let mut codes = Codes::blank(geometry);
                for level in Level::ALL {
                    let known = index_model.codebooks.size(level);
                    for cell in 0..geometry.cell_count(level) as u32 {
                        codes.level_mut(level).set(cell, Some(number(known) as u16));
                    }
                }
                NewEncoding {
                    picture: i64::from(index) + 1,
                    content_hash: content(index),
                    geometry,
                    codes,
                    embedding: (0..index_model.embedding_len)
                        .map(|_| number(1000) as f32)
                        .collect(),
                }
            })
            .collect();
        project.call(move |project| project.add_encodings(&index_model, &batch))?;
    }
    let bytes = project.call(|project| Ok(project.size_bytes()))?;
    println!(
        "{count} pictures of {SIDE_PX}² px: written in {:.1} s, {:.1} KB each in the file",
        start.elapsed().as_secs_f64(),
        bytes as f64 / 1e3 / f64::from(count)
    );
    println!("memory before reading {} MiB", now_mib());
    let timed = |what: &str, work: &dyn Fn() -> Result<String, Box<dyn Error>>| {
        let start = Instant::now();
        let found = work()?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{what}: {seconds:.2} s ({found}), memory {} MiB", now_mib());
        Ok::<_, Box<dyn Error>>(())
    };
    for time in ["first", "again"] {
        timed(&format!("list for a training run, {time}"), &|| {
            let usable = usable_pictures(&project)?;
            let (train, held_out) = (usable.train.len(), usable.held_out.len());
            Ok(format!("{train} + {held_out} pictures"))
        })?;
    }
    if !has_codes {
        return Ok(());
    }
    timed("codes of 400 pictures counted", &|| {
        let ids = project.call(|project| project.picture_ids(&PictureFilter::usable()))?;
        let step = ids.len().div_ceil(400).max(1);
        let chosen: Vec<i64> = ids.into_iter().step_by(step).collect();
        let mut counts = vec![0u64; 1 << 16];
        for picture in encodings.of(&chosen) {
            for &code in picture?.codes.detail.cells() {
                counts[usize::from(code)] += 1;
            }
        }
        Ok(format!("{} cells", counts.iter().sum::<u64>()))
    })?;
    timed("how many are there", &|| {
        Ok(format!("{:?}", encodings.counts(&PictureFilter::usable())?))
    })?;
    timed("all embeddings", &|| {
        let mut sum = 0.0;
        encodings.for_each_embedding(&PictureFilter::usable(), |_, embedding| {
            sum += f64::from(embedding[0]);
            Ok(())
        })?;
        Ok(format!("{sum:.0}"))
    })?;
    timed("all codes", &|| {
        let mut cells = 0;
        for picture in encodings.all() {
            cells += picture?.codes.detail.cells().len();
        }
        Ok(format!("{cells} cells"))
    })?;
    println!("peak memory {} MiB", peak_mib());
    Ok(())
}

fn crops(dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut sources = Vec::new();
    scan(
        &[PathBuf::from(dir)],
        &ImportOptions::default(),
        &(),
        &mut |p: Picture| {
            sources.push(CropSource {
                path: p.path,
                content_hash: p.content_hash,
                width: p.width,
                height: p.height,
            });
            Ok(())
        },
    )?;
    let crops = Crops::new(sources, CropsConfig::default())?;
    println!(
        "{} pictures, working copies of {} px",
        crops.sources().len(),
        crops.working_side_px()
    );
    for round in ["cold", "warm"] {
        let start = Instant::now();
        let mut count = 0;
        for step in 0..(2 * crops.sources().len() as u64).div_ceil(16).min(300) {
            for slot in 0..16 {
                crops.crop(step, slot)?;
                count += 1;
            }
        }
        let each = start.elapsed().as_secs_f64() / f64::from(count);
        println!(
            "{round}: {count} crops of 128 px, {:.3} ms each, 25 per second take {:.2} % of a core",
            each * 1e3,
            each * 25.0 * 100.0
        );
    }
    println!("peak memory {} MiB", peak_mib());
    Ok(())
}

/// The most memory this process ever held, where the system tells (Linux).
fn peak_mib() -> u64 {
    status_mib("VmHWM:")
}

fn now_mib() -> u64 {
    status_mib("VmRSS:")
}

fn status_mib(name: &str) -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|l| l.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kib| kib / 1024)
}
