//! Pictures under several models of one project: their palettes, and codes that a fine-tune has brought.

use candle_core::{Device, Tensor};
use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use serde_json::json;
use tessera::app::{
    CheckpointChoice, CheckpointKind, DocumentCommand, FileCommand, ToolCommand, TrainCommand,
};
use tessera::codec::Codec;
use tessera::codec::checkpoint::Precision;
use tessera::document::Level;
use tessera::project::{CheckpointId, DocumentId, NewCheckpoint};

use crate::support::Window;

const BASE: &[u8] = include_bytes!("../../models/base.safetensors");

/// The base model with each structure code's vector under the number before it. Its checkpoint file, and its hash.
fn turned_model() -> (Vec<u8>, String) {
    let mut codec = Codec::load_bytes(BASE, &Device::Cpu).unwrap();
    let mut state = codec.structure.state_tensors().unwrap();
    let codebook = state.get_mut("structure.codebook").unwrap();
    let rows = codebook.dims()[0];
    let parts = [
        codebook.narrow(0, 1, rows - 1).unwrap(),
        codebook.narrow(0, 0, 1).unwrap(),
    ];
    *codebook = Tensor::cat(&parts, 0).unwrap();
    codec.structure.restore(&state).unwrap();
    let bytes = codec.save_bytes(Precision::F32).unwrap();
    let hash = Codec::load_bytes(&bytes, &Device::Cpu).unwrap();
    (bytes, hash.model_hash().unwrap())
}

/// What a fine-tune leaves in the project: its best and its last checkpoint, here of the same step.
fn leave_checkpoints(window: &mut Window) -> [CheckpointId; 2] {
    let (bytes, hash) = turned_model();
    let project = window.state().session.project.as_ref().unwrap();
    let made = project.storage().call(move |project| {
        let save = |kind, project: &mut tessera::project::Project| {
            project.save_checkpoint(&NewCheckpoint {
                run: None,
                kind,
                step: 45,
                name: kind_name(kind),
                config: json!({}),
                metrics: json!({ "model_hash": hash }),
                weights: bytes.as_slice().into(),
                training_state: None,
            })
        };
        Ok([
            save(CheckpointKind::Best, project)?.id,
            save(CheckpointKind::Last, project)?.id,
        ])
    });
    made.unwrap()
}

fn kind_name(kind: CheckpointKind) -> &'static str {
    match kind {
        CheckpointKind::Best => "turned, best",
        _ => "turned, last",
    }
}

fn open_sample(window: &mut Window, name: &'static str) -> DocumentId {
    let before = window.canvas().id;
    window.apply(FileCommand::OpenSample(name));
    window.until("the picture", |state| {
        (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id != before)
            && state.session.palette.is_some()
    });
    window.canvas().id
}

#[test]
fn each_picture_has_the_codes_of_its_own_model_however_fast_tabs_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let first = window.canvas().id;
    let [best, _] = leave_checkpoints(&mut window);
    window.apply(TrainCommand::UseModel(CheckpointChoice::Id(best)));
    let before = window.canvas().id;
    window.apply(FileCommand::OpenSample("parrot.png"));
    window.until("the picture", |state| {
        (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id != before)
    });
    let second = window.canvas().id;
    assert_ne!(window.canvas().model_hash(), "");
    // Its codes are being drawn: back and forth meanwhile.
    for to in [first, second, first, second, first] {
        window.app().apply(DocumentCommand::SwitchTo(to));
        window.harness.run_steps(1);
    }
    for _ in 0..3 {
        for to in [second, first] {
            window.apply(DocumentCommand::SwitchTo(to));
            window.until("its codes", |state| {
                state.session.palette.is_some() && state.is_idle()
            });
            let drawn = window.state().session.palette.as_ref().unwrap();
            assert_eq!(drawn.palette.model_hash, window.canvas().model_hash());
        }
    }
}

#[test]
fn new_codes_are_offered_only_where_they_are_missing_and_take_the_edits_along() {
    const NEWS: &str = "Your codes are ready";
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let code = window.unused_code(Level::Structure).max(1);
    window.apply(ToolCommand::SelectCode(Level::Structure, code));
    window.drag_cells(Modifiers::NONE, &[(3, 3), (8, 3)]);
    let [_, last] = leave_checkpoints(&mut window);
    // Opened with the last checkpoint of the run, which is its best.
    window.apply(TrainCommand::UseModel(CheckpointChoice::Id(last)));
    let old = window.canvas().id;
    let new = open_sample(&mut window, "parrot.png");
    window.apply(TrainCommand::UseModel(CheckpointChoice::Best));
    window.app().state.session.training.has_news = true;
    window.steps(3);
    let is_offered = |window: &Window| window.harness.query_by_label(NEWS).is_some();
    assert!(!is_offered(&window), "it has them");
    window.apply(DocumentCommand::SwitchTo(old));
    assert!(is_offered(&window));

    let edited = window.canvas().document.edited().clone();
    window.click("Open a copy with the new codes");
    window.until("the copy", |state| {
        let id = state.session.canvas.as_ref().map(|canvas| canvas.id);
        id.is_some_and(|id| id != old && id != new) && state.session.palette.is_some()
    });
    window.steps(3);
    assert!(!is_offered(&window));
    // One step of the history: each code became the one with its vector.
    assert_eq!(window.strokes(), 1);
    let document = &window.canvas().document;
    let changed: Vec<u32> = document.changed_cells(Level::Structure).collect();
    assert!(!changed.is_empty());
    let layer = &document.layers().layers()[0];
    for (index, carried) in layer.cells(Level::Structure).iter() {
        assert_eq!(edited.structure.at(index), Some(code));
        assert_eq!(carried, code - 1);
    }
    window.key(Modifiers::COMMAND, Key::Z);
    assert!(!window.canvas().document.is_edited());

    // The picture itself is as it was, and the offer can be declined.
    window.apply(DocumentCommand::SwitchTo(old));
    assert_eq!(window.canvas().document.edited(), &edited);
    assert!(is_offered(&window));
    window.click("Not now");
    assert!(!is_offered(&window));
}
