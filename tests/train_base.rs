//! A base model from a recipe, in pieces: all stages, paused and gone on with.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use candle_core::Device;
use tessera::codec::{CodecConfig, EmbeddingHead, WordsHead};
use tessera::engine::{BaseTrained, DeviceChoice, EventKind, ModelSource, TrainBaseJob, Worker};
use tessera::train::base::recipe::{DataRecipe, Group, Recipe};
use tessera::train::{Budget, EmbeddingTraining, EvaluationConfig, Sharpening, TrainConfig};

fn training(steps: u64) -> TrainConfig {
    TrainConfig {
        budget: Budget::Steps(steps),
        batch: 4,
        crop_px: 32,
        evaluation: EvaluationConfig {
            at_least: 1,
            pictures: 2,
            side_px: 32,
            previews: 0,
        },
        early_stop: None,
        ..TrainConfig::default()
    }
}

fn write_data(folder: &Path) {
    let mut list = "file,source_repo,source_path\n".to_owned();
    std::fs::create_dir_all(folder.join("set/photos")).unwrap();
    for i in 0..16u32 {
        let file = format!("photos/{i}.png");
        let shade = |v: u32| (v * (i + 3) % 256) as u8;
        let picture = image::RgbImage::from_fn(48, 48, |x, y| {
            image::Rgb([shade(x), shade(y), shade(x + y)])
        });
        picture.save(folder.join("set").join(&file)).unwrap();
        list += &format!("{file},repo/photos,origin {i}\n");
    }
    std::fs::write(folder.join("set/ATTRIBUTION.csv"), list).unwrap();
}

fn recipe() -> Recipe {
    Recipe {
        name: "test".into(),
        data: DataRecipe {
            folder: "set".into(),
            groups: vec![Group {
                folder: "photos".into(),
                licence: "CC0".into(),
                weight: 1.0,
            }],
            procedural_weight: 0.0,
            excluded: Vec::new(),
            excluded_folders: Vec::new(),
            held_out_percent: 50,
            working_side_px: 64,
        },
        codec: CodecConfig::tiny(),
        training: training(30),
        sharpening: vec![TrainConfig {
            sharpening: Some(Sharpening {
                weight: 0.5,
                learning_rate: 1e-3,
                width: 8,
                warmup_steps: 2,
            }),
            ..training(6)
        }],
        embedding: Some(EmbeddingTraining {
            head: WordsHead { words: 6, bands: 2 },
            seed: 1,
            steps: 20,
            batch: 4,
            crop_px: 32,
            learning_rate: 0.01,
        }),
    }
}

fn train(worker: &Worker, folder: &Path, minutes: Option<f64>) -> BaseTrained {
    let job = TrainBaseJob {
        recipe: folder.join("recipe.json"),
        data: folder.to_path_buf(),
        out: folder.join("model.safetensors"),
        minutes,
        device: DeviceChoice::Cpu,
    };
    let ticket = worker.submit(job).unwrap();
    loop {
        let event = worker.events().pop(Duration::from_secs(300)).unwrap();
        if event.job == ticket.job && event.kind.is_final() {
            match event.kind {
                EventKind::Finished => return ticket.take().unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_recipe_is_trained_in_pieces_to_a_model_that_loads() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    write_data(folder);
    let text = serde_json::to_string(&recipe()).unwrap();
    std::fs::write(folder.join("recipe.json"), text).unwrap();
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    // No time at all: it only leaves a state to go on from.
    let paused = train(&worker, folder, Some(0.0));
    assert!(paused.to_string().contains("go on"), "{paused}");
    assert!(!folder.join("model.safetensors").exists());

    let done = train(&worker, folder, None);
    let steps: Vec<u64> = done.stages.iter().map(|stage| stage.steps).collect();
    assert_eq!(steps, [30, 6]);
    let load = |name: &str| {
        let source = ModelSource::File(folder.join(name));
        source.load(&Device::Cpu).unwrap()
    };
    let [plain, sharp] = ["model.stage1.safetensors", "model.stage2.safetensors"].map(load);
    let done = load("model.safetensors");
    assert_ne!(plain.hash, sharp.hash, "the second stage changed it");
    assert_ne!(sharp.hash, done.hash, "the head of words is new");
    let head = WordsHead { words: 6, bands: 2 };
    let found = done.codec.config().embedding;
    assert_eq!(found, Some(EmbeddingHead::Words(head)));
    for (file, phase) in [("model.stage2.jsonl", "eval"), ("model.jsonl", "embedding")] {
        let figures = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(figures.contains(&format!("\"{phase}\"")), "{figures}");
    }

    // At its end, the same command changes nothing.
    train(&worker, folder, None);
    assert_eq!(load("model.safetensors").hash, done.hash);
}
