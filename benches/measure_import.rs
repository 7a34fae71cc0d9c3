//! Measures import and sampling: time and peak memory of a process that does nothing else.
//!
//! ```text
//! cargo bench --bench measure_import -- generate DIR 100000   # many small pictures to import
//! cargo bench --bench measure_import -- import DIR [THREADS]  # files/s, peak memory
//! cargo bench --bench measure_import -- crops DIR             # crops/s on one core
//! ```
#![allow(clippy::print_stdout)] // a command line tool

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::{Rgba, RgbaImage};
use tessera::dataset::{Crops, CropsConfig, ImportOptions, Picture, Source, scan};

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
        ["crops", dir] => crops(Path::new(dir)),
        _ => Err(
            "usage: measure_import generate DIR COUNT | import DIR [THREADS] | crops DIR".into(),
        ),
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

fn crops(dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut sources = Vec::new();
    scan(
        &[PathBuf::from(dir)],
        &ImportOptions::default(),
        &(),
        &mut |p: Picture| {
            sources.push(Source {
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
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kib| kib / 1024)
}
