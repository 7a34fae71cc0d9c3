//! Ablations of the base model: the recipe's first stage, made short and small, with one choice changed at a time.
//!
//! ```text
//! cargo bench --bench ablate -- ../shared/data OUT [STEPS]   # one row after the other; a row that is there is not made again
//! ```
//! Prints the Markdown table that models/README.md holds: scores on 256² squares of `photos-test`.
#![allow(clippy::print_stdout)] // a command line tool

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tessera::engine::{
    DeviceChoice, EventKind, Job, ModelSource, QualityJob, QualityOptions, TrainBaseJob, Worker,
};
use tessera::export::Existing;

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/recipe.json");
const STEPS: u64 = 600;

/// Half the widths and quarter crops: what is compared is the choice, not the model. A codebook begins once the
/// encoder has settled, as in the recipe.
fn small(steps: u64) -> Value {
    json!({
        "codec": { "stages": [
            { "stride": 4, "width": 48, "encoder_depth": 1, "decoder_depth": 1 },
            { "stride": 8, "width": 80, "encoder_depth": 1, "decoder_depth": 1 },
            { "stride": 16, "width": 128, "encoder_depth": 2, "decoder_depth": 2 },
        ] },
        "training": {
            "budget": { "steps": steps },
            "batch": 16,
            "crop_px": 64,
            "codebook_start": { "warmup_steps": steps / 4 },
            "evaluate_every": steps,
            "checkpoint_every": steps,
        },
        "sharpening": [],
    })
}

fn choices() -> Vec<(&'static str, Value)> {
    let detail = |change: Value| json!({ "codec": { "detail": change } });
    let both = |change: Value| json!({ "codec": { "structure": change, "detail": change } });
    let losses = |change: Value| json!({ "training": { "losses": change } });
    vec![
        (
            "as shipped: detail at 4 px, 2,048 codes, dimension 16, cosine",
            json!({}),
        ),
        ("detail at 8 px", detail(json!({ "stride": 8 }))),
        ("1,024 detail codes", detail(json!({ "codes": 1024 }))),
        ("8,192 detail codes", detail(json!({ "codes": 8192 }))),
        ("dimension 8", both(json!({ "dim": 8 }))),
        ("dimension 32", both(json!({ "dim": 32 }))),
        (
            "plain distance instead of cosine",
            both(json!({ "cosine": false })),
        ),
        (
            "no detail dropout, no loss on structure alone",
            json!({ "training": {
                "losses": { "structure": 0.0 },
                "detail_dropout": { "whole": 0.0, "rectangles": 0.0 },
            } }),
        ),
        (
            "colour differences of structure alone weigh 1, not 2",
            losses(json!({ "structure_chroma": 1.0 })),
        ),
        ("no pyramid loss", losses(json!({ "pyramid": 0.0 }))),
        ("texture loss 1.0", losses(json!({ "texture": 1.0 }))),
        ("contrastive loss 0.1", losses(json!({ "contrast": 0.1 }))),
    ]
}

/// Sets what `patch` says, and keeps the rest.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

fn run<J: Job>(worker: &Worker, job: J) -> Result<J::Output, Box<dyn Error>> {
    let ticket = worker.submit(job)?;
    loop {
        let event = worker.events().pop(Duration::from_secs(3600));
        match event
            .filter(|event| event.job == ticket.job)
            .map(|event| event.kind)
        {
            Some(EventKind::Finished) => return ticket.take().ok_or_else(|| "no output".into()),
            Some(EventKind::Failed { notice, .. }) => return Err(format!("{notice:?}").into()),
            _ => {}
        }
    }
}

fn row(
    worker: &Worker,
    data: &Path,
    folder: &Path,
    recipe: &Value,
) -> Result<Value, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let recipe_file = folder.join("recipe.json");
    std::fs::write(&recipe_file, serde_json::to_vec_pretty(recipe)?)?;
    let model = folder.join("model.safetensors");
    let train = TrainBaseJob {
        recipe: recipe_file,
        data: data.to_path_buf(),
        out: model.clone(),
        minutes: None,
        device: DeviceChoice::Auto,
    };
    run(worker, train)?;
    let quality = QualityJob {
        model: ModelSource::File(model),
        folders: vec![data.join("photos-test")],
        options: QualityOptions {
            crop_px: Some(256),
            limit: None,
            samples: 6,
            has_rivals: false,
        },
        out: Some(folder.to_path_buf()),
        existing: Existing::Replace,
        device: DeviceChoice::Auto,
    };
    Ok(serde_json::to_value(run(worker, quality)?)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    tessera::process::configure();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let (data, out, steps) = match arguments.as_slice() {
        [data, out] => (data, out, STEPS),
        [data, out, steps] => (data, out, steps.parse()?),
        _ => return Err("usage: ablate DATA OUT [STEPS]".into()),
    };
    let (data, out) = (PathBuf::from(data), PathBuf::from(out));
    let worker = Worker::start(Arc::new(|| {}))?;
    println!(
        "| {steps} steps | PSNR dB | SSIM | gradient energy | structure alone dB | bits/px | codes used | halves found again |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (number, (name, change)) in choices().into_iter().enumerate() {
        let mut recipe: Value = serde_json::from_slice(&std::fs::read(RECIPE)?)?;
        merge(&mut recipe, &small(steps));
        merge(&mut recipe, &change);
        let folder = out.join(number.to_string());
        let scores = folder.join("scores.json");
        let report = match std::fs::read(&scores) {
            Ok(kept) => serde_json::from_slice(&kept)?,
            Err(_) => {
                let report = row(&worker, &data, &folder, &recipe)?;
                std::fs::write(&scores, report.to_string())?;
                report
            }
        };
        let set = |key: &str| report["sets"][0][key].as_f64().unwrap_or(f64::NAN);
        println!(
            "| {name} | {:.2} | {:.3} | {:.3} | {:.2} | {:.3} | {:.0} % + {:.0} % | {:.0} % |",
            set("psnr_db"),
            set("ssim"),
            set("sharpness"),
            set("structure_psnr_db"),
            set("bits_per_pixel"),
            set("structure_usage") * 100.0,
            set("detail_usage") * 100.0,
            report["retrieval"]["embedding"]
                .as_f64()
                .unwrap_or(f64::NAN)
                * 100.0,
        );
    }
    Ok(())
}
