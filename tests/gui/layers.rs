//! Layers in the window: what lies over the picture, and what an artist does with it.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::LayerCommand;
use tessera::document::{Document, Level};

use crate::support::Window;

fn document(window: &Window) -> &Document {
    &window
        .state()
        .session
        .canvas
        .as_ref()
        .expect("a picture is open")
        .document
}

fn names(window: &Window) -> Vec<String> {
    let layers = document(window).layers().layers().iter();
    layers.map(|layer| layer.look().name.clone()).collect()
}

fn changed(window: &Window) -> usize {
    document(window).changed_cells(Level::Structure).count()
}

fn until_drawn(window: &mut Window) {
    window.until("the new pixels", |state| {
        let canvas = state.session.canvas.as_ref().expect("a picture is open");
        canvas.shown_revision >= canvas.document.revision()
    });
}

#[test]
fn strokes_on_a_new_layer_can_be_hidden_moved_merged_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.2, 0.2), (0.6, 0.2)]);
    let below = changed(&window);
    window.click("New layer");
    assert_eq!(names(&window), ["Layer 1", "Layer 2"]);
    window.drag(&[(0.2, 0.7), (0.6, 0.7)]);
    let both = changed(&window);
    assert!(both > below);

    window.click("Hide Layer 2");
    assert_eq!(changed(&window), below);
    until_drawn(&mut window);
    // A hidden layer takes no stroke, and says so.
    window.drag(&[(0.4, 0.4), (0.5, 0.4)]);
    assert_eq!(changed(&window), below);
    let says = |window: &Window, text: &str| {
        let mut history = window.state().notices.history();
        history.any(|entry| entry.text().contains(text))
    };
    assert!(says(&window, "“Layer 2” is hidden"));
    window.click("Show Layer 2");
    window.click("Lock Layer 2");
    window.drag(&[(0.4, 0.4), (0.5, 0.4)]);
    assert!(says(&window, "“Layer 2” is locked"));
    window.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(changed(&window), both);

    // Down with it, and a stroke goes to the layer that is chosen.
    window.key(Modifiers::COMMAND, Key::PageDown);
    assert_eq!(names(&window), ["Layer 2", "Layer 1"]);
    window.click("Layer 1");
    assert_eq!(document(&window).active().layer, 0);
    window.click("Merge down");
    assert_eq!(names(&window), ["Layer 2"]);
    assert_eq!(changed(&window), both);
    window.key(Modifiers::COMMAND, Key::Z);
    window.click("Duplicate layer");
    let layers = document(&window).layers().layers().to_vec();
    assert_eq!(layers.len(), 3);
    until_drawn(&mut window);
    let strokes = window.strokes();
    window.close();

    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    assert_eq!(document(&again).layers().layers(), layers);
    assert_eq!((again.strokes(), changed(&again)), (strokes, both));
    for _ in 0..strokes {
        again.key(Modifiers::COMMAND, Key::Z);
    }
    assert!(!document(&again).is_edited());
    assert_eq!(names(&again), ["Layer 1"]);
}

#[test]
fn opacity_follows_the_slider_and_is_one_step_of_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.3, 0.3), (0.6, 0.5)]);
    window.click("New layer");
    window.drag(&[(0.5, 0.3), (0.3, 0.5)]);
    let strokes = window.strokes();
    let id = document(&window).active().layer;
    let opacity = |window: &Window| {
        let layer = document(window).layers().get(id).unwrap();
        layer.look().opacity_percent
    };
    for percent in [90, 60, 30] {
        let tried = LayerCommand::TryOpacity(id, percent);
        window.app().apply(tried);
        assert_eq!(opacity(&window), percent);
    }
    until_drawn(&mut window);
    assert_eq!(window.strokes(), strokes);
    let mut look = document(&window).layers().get(id).unwrap().look().clone();
    look.opacity_percent = 25;
    let set = LayerCommand::SetLook(id, look);
    window.app().apply(set);
    until_drawn(&mut window);
    assert_eq!((opacity(&window), window.strokes()), (25, strokes + 1));
    assert!(window.harness.query_all_by_label("Opacity").count() > 0);
    window.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(opacity(&window), 100);
}

#[test]
fn a_mask_hides_what_the_brush_covers() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.click("New layer");
    window.drag(&[(0.3, 0.4), (0.7, 0.4)]);
    let painted = changed(&window);
    window.click("Paint on the mask");
    window.drag(&[(0.3, 0.4), (0.5, 0.4)]);
    let left = changed(&window);
    assert!(0 < left && left < painted, "{left} of {painted}");
    window.click("Turn off the mask of Layer 2");
    assert_eq!(changed(&window), painted);
    until_drawn(&mut window);
}

#[test]
fn a_snapshot_survives_undo_and_restart_and_brings_its_state_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.2, 0.3), (0.6, 0.3)]);
    window.click("New layer");
    window.drag(&[(0.2, 0.6), (0.6, 0.6)]);
    let painted = changed(&window);
    window.click("Take a snapshot");
    // Undone and painted over: the history has forgotten those strokes.
    window.click("As opened");
    window.drag(&[(0.5, 0.5), (0.5, 0.6)]);
    assert_eq!((names(&window).len(), window.strokes()), (1, 1));
    window.close();

    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    again.click("Back to Snapshot 1");
    assert_eq!((names(&again).len(), changed(&again)), (2, painted));
    until_drawn(&mut again);
    again.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(names(&again).len(), 1);
    again.click("Delete Snapshot 1");
    assert!(again.harness.query_by_label("Delete Snapshot 1").is_none());
}
