//! New pixels from existing pictures: a selection filled on the canvas.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::{
    DatasetCommand, DocumentCommand, FileCommand, FillFrom, ImportJob, SelectionCommand,
    ToolCommand, ToolOption, WindowCommand, Workspace,
};
use tessera::canvas::render_document;
use tessera::document::Level;
use tessera::engine::{DeviceChoice, Existing, FillJob, GenerateAgainJob, Storage, Worker};
use tessera::window_thread::blocking_calls;

use crate::support::Window;

const NONE: Modifiers = Modifiers::NONE;

/// Tiles of two colours, with grain.
fn tiles(folder: &Path, name: &str, (width, height): (u32, u32), base: [u8; 3]) -> PathBuf {
    let path = folder.join(name);
    let pixel = |i: u32| {
        let (y, x) = (i / width, i % width);
        let grain = (i.wrapping_mul(2_654_435_761) >> 27) as u8;
        let shade = u8::from((y / 12 + x / 20) % 2 == 0) * 70;
        let [r, g, b] = base.map(|v| v + shade + grain);
        [r, g, b, 255]
    };
    let rgba: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    image::save_buffer(&path, &rgba, width, height, image::ExtendedColorType::Rgba8).unwrap();
    path
}

fn open(folder: &Path, picture: &Path) -> Window {
    let mut window = Window::open(folder, &[picture.to_path_buf()]);
    window.until_paintable();
    window
}

fn told(window: &Window, text: &str) -> bool {
    let mut history = window.state().notices.history();
    history.any(|entry| entry.text().contains(text))
}

/// Draws a rectangle around cells, without asking for anything yet.
fn select(window: &mut Window, from: (u32, u32), to: (u32, u32)) {
    window.key(NONE, Key::M);
    window.drag_cells(NONE, &[from, to]);
}

fn until_filled(window: &mut Window) {
    window.until("the end of the fill", |state| !state.has_job::<FillJob>());
    window.settle();
    window.sweep();
}

/// What a project makes again of the newest generated stroke of a document, as pixels.
fn made_again(folder: &Path, project: Storage, document: &str) -> Vec<u8> {
    let out = folder.join("again.png");
    let job = GenerateAgainJob {
        project,
        document: Some(document.into()),
        seed: None,
        count: 1,
        keeps: false,
        has_sheet: false,
        has_origins: false,
        out: out.clone(),
        existing: Existing::Refuse,
        device: DeviceChoice::Cpu,
    };
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    worker.run(job, |_| None).unwrap();
    image::open(out).unwrap().to_rgba8().into_raw()
}

#[test]
fn a_selection_is_filled_as_one_step_that_keeps_its_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let picture = tiles(folder.path(), "wall.png", (240, 208), [70, 50, 40]);
    let before = blocking_calls();
    let mut window = open(folder.path(), &picture);
    window.key(NONE, Key::M);
    window.click("Fill with new texture");
    assert!(told(&window, "Draw around what should be made anew"));
    window.dismiss_notices();

    select(&mut window, (4, 3), (7, 6));
    window.click("Fill with new texture");
    assert!(window.state().has_job::<FillJob>());
    until_filled(&mut window);
    assert!(told(&window, "Filled with pieces of this picture"));
    assert_eq!(window.strokes(), 1);
    let document = &window.canvas().document;
    let columns = document.geometry().grid_width(Level::Detail);
    let cells: Vec<u32> = document.coordinates().iter().map(|(i, _)| i).collect();
    assert_eq!(cells.len(), 4 * 4 * 16);
    for index in cells {
        let (x, y) = (index % columns / 4, index / columns / 4);
        assert!((4..=7).contains(&x) && (3..=6).contains(&y), "{x}, {y}");
    }
    let stroke = document.history().strokes()[0].clone();
    let settings = stroke.settings.as_deref().unwrap();
    assert!(settings.contains(r#""what":"fill""#), "{settings}");
    let filled = document.edited().clone();

    window.key(Modifiers::COMMAND, Key::Z);
    assert!(!window.canvas().document.is_edited());
    window.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    assert_eq!(window.canvas().document.edited(), &filled);
    window.settle();
    assert_eq!(blocking_calls(), before, "see the log for what was done");

    let shown = {
        let canvas = window.canvas();
        let whole = render_document(canvas.codec(), &canvas.document, 8, &()).unwrap();
        whole.rgba8().into_owned()
    };
    let project = window.state().session.project.as_ref().unwrap();
    let again = made_again(folder.path(), project.storage().clone(), "wall");
    assert_eq!(again, shown, "the recipe makes the same picture");

    // Another fill draws anew.
    window.key(Modifiers::COMMAND, Key::Z);
    let fill_again = Modifiers::COMMAND.plus(Modifiers::SHIFT);
    window.key(fill_again, Key::F);
    until_filled(&mut window);
    assert_eq!(window.strokes(), 1);
    assert_ne!(window.canvas().document.edited(), &filled);
}

#[test]
fn a_fill_does_not_touch_a_picture_that_was_changed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let picture = tiles(folder.path(), "wall.png", (240, 208), [70, 50, 40]);
    let mut window = open(folder.path(), &picture);
    select(&mut window, (4, 3), (7, 6));
    window.app().apply(SelectionCommand::FillTexture);
    window.app().apply(SelectionCommand::Fill);
    until_filled(&mut window);
    assert!(told(
        &window,
        "was changed before the new texture was ready"
    ));
    assert_eq!(window.strokes(), 1, "what was painted stays");
    assert!(
        window
            .canvas()
            .document
            .coordinates()
            .iter()
            .next()
            .is_none()
    );
    window.dismiss_notices();

    // Stopped, it leaves nothing.
    window.app().apply(SelectionCommand::FillTexture);
    window.harness.run_steps(1);
    window.click("Cancel the running job");
    until_filled(&mut window);
    assert_eq!(window.strokes(), 1);
    window.dismiss_notices();

    // What lies in another tab by then gets it all the same; what was closed does not.
    let first = window.canvas().id;
    window.app().apply(FileCommand::OpenSample("parrot.png"));
    window.until("the other picture", |state| {
        (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id != first)
    });
    let second = window.canvas().id;
    window.apply(DocumentCommand::SwitchTo(first));
    window.app().apply(SelectionCommand::FillTexture);
    window.app().apply(DocumentCommand::SwitchTo(second));
    until_filled(&mut window);
    assert_eq!(window.strokes(), 0);
    window.apply(DocumentCommand::SwitchTo(first));
    assert_eq!(window.strokes(), 2);
    window.app().apply(SelectionCommand::FillTexture);
    window.app().apply(DocumentCommand::CloseTab(first));
    until_filled(&mut window);
    assert!(told(&window, "was closed before the new texture was ready"));
}

#[test]
fn a_fill_takes_from_the_project_where_that_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    tiles(&pictures, "blue.png", (128, 128), [10, 30, 120]);
    let picture = tiles(folder.path(), "wall.png", (144, 112), [70, 50, 40]);
    let mut window = open(folder.path(), &picture);
    window.app().apply(DatasetCommand::Import(vec![pictures]));
    window.until("the import", |state| {
        !state.has_job::<ImportJob>() && state.overview().is_some_and(|o| o.counts.total == 1)
    });
    window.apply(WindowCommand::Show(Workspace::Paint));
    window.dismiss_notices();
    window.key(Modifiers::COMMAND, Key::A);
    window.key(NONE, Key::M);
    window.click("Fill with new texture");
    until_filled(&mut window);
    assert!(told(&window, "nothing is left to copy from"));
    assert_eq!(window.strokes(), 0);
    window.dismiss_notices();

    window.click("New texture from");
    window.click("My pictures");
    assert_eq!(window.state().tools.fill_from, FillFrom::Project);
    window.click("Fill with new texture");
    until_filled(&mut window);
    assert_eq!(window.strokes(), 1);
    let sources = window.canvas().document.sources().list();
    assert_eq!(sources[0].name, "blue.png");

    // A file that is none is said.
    window.key(Modifiers::COMMAND, Key::Z);
    let gone = folder.path().join("gone.png");
    window.app().apply(ToolCommand::TextureFrom(Some(gone)));
    let option = ToolOption::FillFrom(FillFrom::File);
    window.app().apply(ToolCommand::SetOption(option));
    window.click("Fill with new texture");
    until_filled(&mut window);
    assert_eq!(window.strokes(), 0);
    assert!(window.harness.query_by_label_contains("gone.png").is_some());
    window.dismiss_notices();
}
