//! Named brushes, packs as files, and textures pulled under structure.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::{BrushCommand, FileCommand, Overlay, Tool, ToolCommand};
use tessera::document::tools::brushes::BrushPack;
use tessera::document::{DetailPolicy, Level};

use crate::support::Window;

const NONE: Modifiers = Modifiers::NONE;

#[test]
fn a_brush_is_saved_used_again_and_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let app = window.app();
    app.apply(ToolCommand::SelectCode(Level::Structure, 5));
    app.apply(ToolCommand::SetBrushSize(7));
    app.apply(ToolCommand::SetScatter(30));
    window.click("Save as a brush");
    window.key(NONE, Key::B);
    let held = Modifiers::COMMAND.plus(Modifiers::SHIFT);
    window.drag_cells(held, &[(2, 2), (3, 4)]);
    window.click("Save as a brush");
    assert_eq!(window.state().session.brushes.len(), 2);
    window.close();

    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.until("the brushes", |state| state.session.brushes.len() == 2);
    window.click("Brush: Block of 2 × 3");
    assert_eq!(window.state().paint.tool, Tool::Pattern);
    window.click("Brush: structure 5");
    let paint = &window.state().paint;
    assert_eq!((paint.tool, paint.level), (Tool::Brush, Level::Structure));
    assert_eq!((paint.current_code(), paint.size.structure), (5, 7));
    assert_eq!(paint.scatter_percent, 30);
    window.app().apply(BrushCommand::Delete(0));
    assert_eq!(window.state().session.brushes.len(), 1);
}

#[test]
fn a_pack_for_another_codebook_is_refused_or_mapped_as_the_user_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let app = window.app();
    app.apply(ToolCommand::SelectCode(Level::Structure, 9));
    app.apply(BrushCommand::Save);
    let file = folder.path().join("mine");
    window.answers.lock().unwrap().push(file.clone());
    window.click("Export brushes…");
    let file = file.with_extension("tessera-brushes");
    window.until("the file", |_| file.is_file());
    window.until("the end of the job", |state| state.is_idle());

    // For the same codebook it is taken as it is.
    window.answers.lock().unwrap().push(file.clone());
    window.click("Import brushes…");
    window.until("the brushes", |state| state.session.brushes.len() == 2);
    assert_eq!(
        window.state().session.brushes[0],
        window.state().session.brushes[1]
    );

    // The same numbers with other vectors: code 9 looks there as code 300 does here.
    let text = std::fs::read_to_string(&file).unwrap();
    let pack = BrushPack::from_json(&text).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["structure"]["blake3"] = "0123456789".into();
    let level = window
        .state()
        .session
        .palette
        .as_ref()
        .unwrap()
        .palette
        .level(Level::Structure);
    let width = level.vectors.len() / level.codes();
    let other = &level.vectors[300 * width..301 * width];
    json["structure_vectors"]["9"] = serde_json::to_value(other).unwrap();
    std::fs::write(&file, json.to_string()).unwrap();
    assert_eq!(pack.brushes.len(), 1);

    for (answer, brushes) in [("Do not import", 2), ("Use the nearest codes", 3)] {
        let app = window.app();
        app.apply(FileCommand::OpenFiles(vec![file.clone()]));
        window.until("the question", |state| {
            state.overlay == Some(Overlay::BrushPack)
        });
        let why = window.harness.query_by_label_contains("other vectors");
        assert!(why.is_some(), "the reason is told");
        window.click(answer);
        assert_eq!(window.state().overlay, None);
        assert_eq!(window.state().session.brushes.len(), brushes);
    }
    window.app().apply(BrushCommand::Use(2));
    assert_eq!(window.state().paint.current_code(), 300);

    std::fs::write(&file, "{}").unwrap();
    let app = window.app();
    app.apply(FileCommand::OpenFiles(vec![file.clone()]));
    window.until("the refusal", |state| {
        let told = state.notices.history().next();
        told.is_some_and(|entry| entry.text().contains("Could not read the brushes"))
    });
}

#[test]
fn pulled_textures_come_from_the_picture_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let app = window.app();
    app.apply(ToolCommand::SetDetailPolicy(DetailPolicy::Pull));
    window.until("the table", |state| state.session.companions.is_some());
    let told = window
        .state()
        .notices
        .history()
        .next()
        .map(|entry| entry.text());
    assert!(told.is_some_and(|text| text.contains("this picture")));
    // The code of one cell, painted elsewhere, brings details that stood over it.
    let document = &window.canvas().document;
    let code = document.edited().structure.get(3, 9).unwrap();
    let app = window.app();
    app.apply(ToolCommand::SelectCode(Level::Structure, code));
    app.apply(ToolCommand::SetBrushSize(1));
    window.drag_cells(NONE, &[(12, 1), (14, 1)]);
    let codes = window.canvas().document.edited();
    assert_eq!(codes.structure.get(13, 1), Some(code));
    assert!((0..4).all(|x| codes.detail.get(52 + x, 5).is_some()));
    window.key(Modifiers::COMMAND, Key::Z);
    assert!(!window.canvas().document.is_edited());
}
