//! Paint in latent space: a stroke changes codes, and only the pixels that those codes reach are decoded anew.
//!
//! ```text
//! cargo run --release --example 03_paint [PICTURE] [OUT.png]    # without names, a sample picture, and no file is written
//! ```
#![allow(clippy::print_stdout)] // a program to be read

use std::path::{Path, PathBuf};

use tessera::canvas::{self, LiveCanvas};
use tessera::dataset::{Limits, decode_file};
use tessera::document::script::EditScript;
use tessera::document::{Level, Source, Wrap};
use tessera::engine::{ModelSource, write_samples};
use tessera::error::Result;
use tessera::export::{Existing, Metadata, write_png};

fn main() -> Result<()> {
    let work = tempfile::tempdir().expect("a folder for temporary files");
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let picture = match arguments.next() {
        Some(picture) => picture,
        None => {
            write_samples(work.path())?;
            work.path().join("fragrant-chamomile.jpg")
        }
    };

    // The model that comes inside the program. Opening a picture encodes it once; nothing is edited yet.
    let model = ModelSource::Base.load(&candle_core::Device::Cpu)?;
    let decoded = decode_file(&picture, &Limits::default())?;
    let source = Source::from_rgba8(decoded.width, decoded.height, decoded.rgba8)?;
    let mut document = canvas::open(&model.codec, source, Wrap::default(), &())?;
    let mut live = LiveCanvas::new(
        model.codec.clone(),
        &document,
        LiveCanvas::DEFAULT_BUDGET_BYTES,
    )?;

    // Edit scripts do what the tools of the window do; each operation is one stroke that undo takes back.
    let script = EditScript::from_json(
        r#"{
          "tessera_edits": 1,
          "operations": [
            {"op": "paint", "level": "structure", "code": 17, "detail": "keep",
             "points": [[2.5, 2.5], [7.5, 4.5]], "brush": {"size": 2}},
            {"op": "clone", "level": "detail", "source": [40, 40], "points": [[12, 12], [16, 12]], "brush": {"size": 4}}
          ]
        }"#,
    )?;
    let applied = script.apply_with(&mut document, &model.alphabet()?)?;
    println!(
        "{} structure and {} detail cells differ from the picture as it came in",
        document.changed_cells(Level::Structure).count(),
        document.changed_cells(Level::Detail).count()
    );

    // The canvas decodes windows around what changed, however large the picture is.
    let mut pixels = 0;
    for stroke in &applied.strokes {
        for rect in live.apply(&stroke.deltas)?.rects() {
            pixels += live.patch(*rect, 8)?.rect.area();
        }
    }
    println!(
        "{pixels} pixels were decoded anew, of {}",
        document.geometry().bounds().area()
    );

    let edited = canvas::render_document(&model.codec, &document, 8, &())?;
    if let Some(out) = arguments.next() {
        write_png(
            Path::new(&out),
            Existing::Refuse,
            &edited,
            &Metadata::default(),
        )?;
    }

    // Taken back, the picture is its source again, byte for byte.
    while document.undo().is_some() {}
    let undone = canvas::render_document(&model.codec, &document, 8, &())?;
    assert_eq!(
        undone.rgba8().as_ref(),
        document.source().rgba8().as_slice()
    );
    println!("all undone: the source, byte for byte");
    Ok(())
}
