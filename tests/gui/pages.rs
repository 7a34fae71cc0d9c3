//! Every page can be reached and says what to do.

use std::path::PathBuf;

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::{Overlay, Workspace};

use crate::support::Window;

#[test]
fn every_page_and_overlay_draws_in_both_themes() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    for _ in 0..2 {
        for (page, workspace) in [
            ("Pictures", Workspace::Dataset),
            ("Fine-tune", Workspace::FineTune),
            ("Codebook", Workspace::Codebook),
            ("Generate", Workspace::Generate),
            ("Export", Workspace::Export),
            ("Paint", Workspace::Paint),
        ] {
            window.click(page);
            assert_eq!(window.state().workspace, workspace);
        }
        window.click("Dark or light");
    }
    for (modifiers, key, overlay) in [
        (
            Modifiers::COMMAND.plus(Modifiers::SHIFT),
            Key::P,
            Overlay::Commands,
        ),
        (Modifiers::COMMAND, Key::Comma, Overlay::Settings),
        (Modifiers::NONE, Key::F1, Overlay::Help),
    ] {
        window.key(modifiers, key);
        assert_eq!(window.state().overlay, Some(overlay));
        window.key(Modifiers::NONE, Key::Escape);
        assert_eq!(window.state().overlay, None);
    }
}

#[test]
fn a_folder_is_imported_and_training_says_why_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    std::fs::write(pictures.join("broken.png"), b"not a picture").unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.click("Fine-tune");
    let why = window
        .harness
        .query_by_label_contains("the project has no pictures");
    assert!(why.is_some(), "Start tells why it is disabled");

    window.click("Pictures");
    window.answer(&pictures);
    let import = window
        .harness
        .get_all_by_label("Import folder…")
        .next()
        .unwrap();
    import.click();
    window.until("the imported pictures", |state| {
        let overview = state
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref());
        overview.is_some_and(|overview| overview.counts.total == 22)
            && state.session.gallery.total == Some(22)
            && state.is_idle()
    });
    assert_eq!(window.state().workspace, Workspace::Dataset);
    let report = window.state().session.import_report.as_ref().unwrap();
    assert_eq!(report.rejected.len(), 1, "{report:?}");

    // Its eye leaves a picture out.
    window
        .harness
        .get_by_label("Leave out elephant.png")
        .click();
    window.until("the exclusion", |state| {
        let overview = state
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref());
        overview.is_some_and(|overview| overview.counts.usable == 21)
    });
    window.click("Fine-tune");
    let why = window
        .harness
        .query_by_label_contains("the project has no pictures");
    assert!(why.is_none());
}

#[test]
fn an_exported_picture_dropped_on_the_window_brings_its_strokes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.3, 0.3), (0.6, 0.6)]);
    window.key(Modifiers::COMMAND, Key::E);
    window.until("the exported file", |state| {
        state.session.last_export.is_some()
    });
    let file = window.state().session.last_export.clone().unwrap();
    assert!(file.is_file());
    let before = window.state().session.canvas.as_ref().unwrap();
    let (id, codes) = (before.id, before.document.edited().clone());

    let dropped: Vec<PathBuf> = vec![file];
    window
        .app()
        .apply(tessera::app::FileCommand::OpenFiles(dropped));
    window.until("the document in the file", |state| {
        state
            .session
            .canvas
            .as_ref()
            .is_some_and(|canvas| canvas.id != id)
    });
    let canvas = window.state().session.canvas.as_ref().unwrap();
    assert_eq!(canvas.document.edited(), &codes);
}

#[test]
fn where_the_system_has_no_file_dialog_a_path_can_be_typed() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    // No answer is scripted, so that the dialog is over at once.
    window.key(Modifiers::COMMAND, Key::I);
    window.until("the question for a path", |state| {
        state.overlay == Some(Overlay::OpenPath)
    });
    window.write("Path", &pictures.display().to_string());
    window.until("the imported pictures", |state| {
        state
            .session
            .import_report
            .as_ref()
            .is_some_and(|report| report.imported == 22)
    });
}

#[test]
fn a_damaged_project_is_told_and_the_window_opens_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("mine.tessera");
    std::fs::write(&damaged, vec![7; 4096]).unwrap();
    let mut window = Window::open(folder.path(), std::slice::from_ref(&damaged));
    window.until_paintable();
    let has_told = window.state().notices.history().any(|entry| {
        entry
            .notice
            .path
            .as_deref()
            .is_some_and(|path| path.contains("mine"))
    });
    assert!(has_told);
    assert_eq!(std::fs::read(&damaged).unwrap(), vec![7; 4096]);
}
