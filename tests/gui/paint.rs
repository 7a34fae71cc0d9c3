//! Painting: the first minute of a new user.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::{State, Tool, Workspace};
use tessera::document::Level;

use crate::support::Window;

#[test]
fn a_first_start_shows_the_steps_and_a_sample_that_can_be_painted() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::first_start(folder.path(), &[]);
    window.until_paintable();
    assert!(
        window
            .harness
            .query_by_label("Welcome to Tessera")
            .is_some()
    );
    window.click("Start painting");
    window.drag(&[(0.3, 0.3), (0.5, 0.4)]);
    assert_eq!(window.strokes(), 1);
    window.close();
    // Seen once, the welcome does not come again, and the stroke is there.
    let mut again = Window::first_start(folder.path(), &[]);
    again.until_paintable();
    assert!(again.harness.query_by_label("Welcome to Tessera").is_none());
    assert_eq!(again.strokes(), 1);
}

#[test]
fn strokes_are_drawn_undone_redone_and_erased() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let revision_shown = |window: &mut Window| {
        window.until("the new pixels", |state| {
            let canvas = state.session.canvas.as_ref().unwrap();
            canvas.shown_revision >= canvas.document.revision()
        });
    };
    window.drag(&[(0.2, 0.2), (0.6, 0.3), (0.7, 0.6)]);
    revision_shown(&mut window);
    let canvas = window.state().session.canvas.as_ref().unwrap();
    let painted = canvas.document.changed_cells(Level::Structure).count();
    assert!(painted > 5, "{painted} cells");

    window.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.strokes(), 0);
    assert!(
        !window
            .state()
            .session
            .canvas
            .as_ref()
            .unwrap()
            .document
            .is_edited()
    );
    window.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    assert_eq!(window.strokes(), 1);

    // The eraser over the same way brings the source back.
    window.key(Modifiers::NONE, Key::E);
    assert_eq!(window.state().paint.tool, Tool::Eraser);
    for _ in 0..4 {
        window.key(Modifiers::NONE, Key::CloseBracket);
    }
    window.drag(&[(0.2, 0.2), (0.6, 0.3), (0.7, 0.6)]);
    let canvas = window.state().session.canvas.as_ref().unwrap();
    assert_eq!(canvas.document.changed_cells(Level::Structure).count(), 0);
    assert_eq!(window.strokes(), 2);

    // The history list goes back to any state.
    window.click("As opened");
    assert_eq!(window.strokes(), 0);
}

#[test]
fn the_eyedropper_and_the_palette_choose_codes() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.key(Modifiers::NONE, Key::I);
    let at = window.on_picture(0.5, 0.5);
    window.harness.hover_at(at);
    window.harness.run_steps(1);
    window.harness.drag_at(at);
    window.harness.run_steps(1);
    window.harness.drop_at(at);
    window.harness.run_steps(2);
    let state = window.state();
    let canvas = state.session.canvas.as_ref().unwrap();
    let (x, y) = (canvas.document.width() / 32, canvas.document.height() / 32);
    let under = canvas.document.edited().structure.get(x, y);
    assert_eq!(Some(state.paint.code.get(Level::Structure)), under);
    assert_eq!(state.paint.tool, Tool::Brush);

    window.key(Modifiers::NONE, Key::D);
    assert_eq!(window.state().paint.level, Level::Detail);
    let first = window
        .harness
        .get_all_by_label_contains("detail code")
        .next()
        .expect("swatches are named");
    first.click();
    window.harness.run_steps(3);
    assert_eq!(window.state().workspace, Workspace::Paint);
    window.drag(&[(0.4, 0.4), (0.5, 0.5)]);
    let canvas = window.state().session.canvas.as_ref().unwrap();
    assert_eq!(canvas.document.changed_cells(Level::Structure).count(), 0);
    assert!(canvas.document.changed_cells(Level::Detail).count() > 0);
}

#[test]
fn each_stroke_has_its_picture_in_the_history_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.2, 0.3), (0.3, 0.3)]);
    window.drag(&[(0.6, 0.7), (0.8, 0.7)]);
    let have_pictures = |state: &State| {
        let canvas = state.session.canvas.as_ref().expect("a picture is open");
        let strokes = canvas.document.history().strokes();
        strokes.len() == 2
            && strokes
                .iter()
                .all(|stroke| canvas.pictures.of(stroke).is_some())
    };
    window.until("the strokes' pictures", have_pictures);
    // An undone stroke keeps its picture, and one that takes its place gets its own.
    window.key(Modifiers::COMMAND, Key::Z);
    assert!(have_pictures(window.state()));
    window.drag(&[(0.4, 0.2), (0.5, 0.6)]);
    window.until("the new stroke's picture", have_pictures);
    window.close();

    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    again.until("the pictures, drawn anew", have_pictures);
}
