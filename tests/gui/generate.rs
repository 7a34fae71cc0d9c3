//! New pixels from existing pictures: a selection filled on the canvas, and the page that makes pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{Key, Modifiers, Pos2, Rect, Vec2};
use egui_kittest::kittest::Queryable;
use tessera::app::{
    Command, DatasetCommand, DocumentCommand, FileCommand, FillFrom, GenerateCommand, GenerateForm,
    ImportJob, Making, SelectionCommand, State, Tool, ToolCommand, ToolOption, WindowCommand,
    Workspace,
};
use tessera::canvas::render_document;
use tessera::document::Level;
use tessera::engine::{
    DeviceChoice, Existing, FillJob, GenerateAgainJob, MadeFacts, Storage, Worker,
};
use tessera::project::DocumentId;
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

    // Where it was copied from is told in colours and words.
    window.click("Where from");
    let legend = &window.state().tools.legend;
    assert_eq!(legend.len(), 1, "{legend:?}");
    let share = (4 * 4) as f32 / (15 * 13) as f32;
    assert!((legend[0].share - share).abs() < 0.01, "{legend:?}");
    let told = "This picture, from another place  8 %";
    assert!(window.harness.query_by_label(told).is_some());
    select(&mut window, (1, 1), (2, 2));
    window.app().apply(SelectionCommand::Fill);
    window.steps(2);
    let names: Vec<&str> = (window.state().tools.legend.iter())
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(names, ["This picture, from another place", "Painted"]);
    window.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.state().tools.legend.len(), 1);
    window.click("Where from");
    assert!(window.harness.query_by_label(told).is_none());
    select(&mut window, (4, 3), (7, 6));

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
    // At once: a frame may take as long as the fill.
    window.until("nothing else to stop", State::is_idle);
    window.app().apply(SelectionCommand::FillTexture);
    window.app().apply(WindowCommand::CancelJob);
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

fn form(window: &mut Window, change: impl FnOnce(&mut GenerateForm)) {
    let mut form = window.state().session.generate.form.clone();
    change(&mut form);
    window.apply(GenerateCommand::SetForm(Box::new(form)));
}

fn results(state: &State) -> Vec<(DocumentId, String)> {
    (state.results())
        .map(|row| (row.id, row.name.clone()))
        .collect()
}

/// Until so many results are there and have been looked at.
fn until_seen(window: &mut Window, count: usize) {
    window.until("the results", |state| {
        let rows = results(state);
        !state.is_making()
            && rows.len() == count
            && rows
                .iter()
                .all(|(id, _)| state.session.generate.view(*id).is_some())
    });
}

fn facts(window: &Window, id: DocumentId) -> &MadeFacts {
    let view = window.state().session.generate.view(id);
    &view.expect("it has been looked at").facts
}

#[test]
fn tiles_are_made_shown_painted_made_again_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let picture = tiles(folder.path(), "wall.png", (160, 128), [70, 50, 40]);
    let before = blocking_calls();
    let mut window = open(folder.path(), &picture);
    window.click("Generate");
    assert_eq!(window.state().workspace, Workspace::Generate);
    window.click("New picture");
    assert_eq!(window.state().session.generate.form.making, Making::New);
    window.click("Seamless tile");
    window.click("This picture");
    form(&mut window, |form| {
        (form.width, form.height, form.count) = (128, 96, 2);
        form.seed = 7;
    });
    window.click("Keep the seed");
    window.click("Make");
    assert!(window.state().is_making());
    until_seen(&mut window, 2);
    assert_eq!(window.state().session.generate.form.seed, 7);
    let rows = results(window.state());
    let names: Vec<&str> = rows.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["Tile of wall 8", "Tile of wall 7"], "newest first");
    let first = rows[1].0;
    assert_eq!(window.state().session.generate.selected, Some(first));
    let told = facts(&window, first);
    assert_eq!((told.size, told.seed), ((128, 96), 7));
    for step in told.border_step {
        let step = step.expect("it joins on both axes");
        assert!((0.3..2.0).contains(&step), "{step}");
    }
    let copied: f32 = told.shares.iter().map(|one| one.share).sum();
    assert!((copied - 1.0).abs() < 1e-3, "{copied}");
    assert_eq!(told.shares[0].picture, "wall");
    assert!(told.largest_piece.as_ref().unwrap().width_px >= 4);
    for text in ["Step across the border", "Copied from wall (100 %)"] {
        assert!(
            window.harness.query_by_label_contains(text).is_some(),
            "{text}"
        );
    }
    window.click("Show 3 × 3");
    assert!(window.state().session.generate.is_tiled);

    // The same pictures in the same way, with other luck.
    window.click("Make again with another seed");
    until_seen(&mut window, 3);
    let newest = results(window.state())[0].clone();
    assert!(newest.1.starts_with("Tile of wall "), "{}", newest.1);
    assert_eq!(window.state().session.generate.selected, Some(newest.0));
    assert_ne!(facts(&window, newest.0).seed, 7);

    // On the canvas it is a picture like any other.
    window.click("Result Tile of wall 7");
    window.click("Paint on it");
    window.until("it on the canvas", |state| {
        (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id == first)
    });
    assert_eq!(window.state().workspace, Workspace::Paint);
    assert_eq!(window.strokes(), 1);
    window.apply(ToolCommand::SetTool(Tool::Brush));
    window.drag_cells(NONE, &[(1, 1), (4, 3)]);
    assert_eq!(window.strokes(), 2);
    window.settle();
    window.click("Generate");
    window.until("it as it is now", |state| {
        let view = state.session.generate.view(first).unwrap();
        let copied: f32 = view.facts.shares.iter().map(|one| one.share).sum();
        copied < 0.98
    });

    window.click("Delete");
    window.click("Keep it");
    assert_eq!(results(window.state()).len(), 3);
    window.click("Delete");
    window.click("Yes, delete");
    window.until("its end", |state| results(state).len() == 2);
    assert_ne!(window.state().session.generate.selected, Some(first));
    assert_eq!(window.state().workspace, Workspace::Generate);
    window.settle();
    assert_eq!(blocking_calls(), before, "see the log for what was done");

    // The strip survives a restart.
    let rows = results(window.state());
    window.close();
    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    again.click("Generate");
    until_seen(&mut again, 2);
    assert_eq!(results(again.state()), rows);
    again.click(&format!("Result {}", rows[0].1));
    assert_eq!(facts(&again, rows[0].0).seed, facts(&again, newest.0).seed);
}

#[test]
fn chosen_pictures_feed_new_ones_and_the_open_one_is_varied_and_extended() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    tiles(&pictures, "blue.png", (96, 96), [10, 30, 120]);
    tiles(&pictures, "moss.png", (96, 80), [20, 90, 30]);
    let picture = tiles(folder.path(), "wall.png", (128, 96), [70, 50, 40]);
    let mut window = open(folder.path(), &picture);
    window.app().apply(DatasetCommand::Import(vec![pictures]));
    window.until("the import", |state| {
        !state.has_job::<ImportJob>() && state.overview().is_some_and(|o| o.counts.total == 2)
    });
    window.dismiss_notices();
    window.click("Generate");
    window.click("New picture");
    window.click("Chosen");
    let why = window
        .harness
        .query_by_label_contains("choose pictures to copy from");
    assert!(why.is_some(), "it says what is missing");
    window.until("the project's pictures", |state| {
        state.session.gallery.total == Some(2)
    });
    window.click("Copy from moss.png");
    form(&mut window, |form| {
        (form.width, form.height, form.seed) = (96, 64, 3);
    });
    window.click("Make");
    until_seen(&mut window, 1);
    let made = results(window.state())[0].clone();
    assert_eq!(made.1, "Picture 3");
    let told = facts(&window, made.0);
    assert_eq!((told.size, told.border_step), ((96, 64), [None, None]));
    let from: Vec<&str> = told.shares.iter().map(|one| one.picture.as_str()).collect();
    assert_eq!(from, ["moss.png"]);
    assert_ne!(
        window.state().session.generate.form.seed,
        3,
        "the dice rolled"
    );

    window.click("This picture");
    window.click("Variations");
    window.click("Make");
    until_seen(&mut window, 2);
    let id = results(window.state())[0].0;
    assert_eq!(facts(&window, id).size, (128, 96));
    window.click("Extend");
    form(&mut window, |form| form.by_px = [0; 4]);
    let why = window
        .harness
        .query_by_label_contains("at which side the picture shall grow");
    assert!(why.is_some());
    form(&mut window, |form| form.by_px = [0, 32, 16, 0]);
    window.click("Make");
    until_seen(&mut window, 3);
    let id = results(window.state())[0].0;
    assert_eq!(facts(&window, id).size, (160, 112));

    // Stopped, what was not made is not there, and the page can make again.
    form(&mut window, |form| {
        form.making = Making::Tile;
        form.count = GenerateForm::MAX_COUNT;
    });
    window.click("Make");
    window.click("Cancel");
    window.until("its end", |state| !state.is_making());
    window.settle();
    assert!(results(window.state()).len() < 3 + GenerateForm::MAX_COUNT as usize);
    window.dismiss_notices();
    assert!(Command::from(GenerateCommand::Make).is_possible(window.state()));
}

#[test]
fn the_page_fits_small_windows_in_both_themes() {
    let folder = tempfile::tempdir().unwrap();
    let picture = tiles(folder.path(), "wall.png", (96, 96), [70, 50, 40]);
    let mut window = open(folder.path(), &picture);
    window.click("Generate");
    form(&mut window, |form| (form.width, form.height) = (64, 64));
    window.click("Make");
    until_seen(&mut window, 1);
    for size in [Vec2::new(1280.0, 720.0), Vec2::new(860.0, 560.0)] {
        window.harness.set_size(size);
        for making in ["Variations", "Extend", "New picture", "Seamless tile"] {
            window.click(making);
            window.click("Dark or light");
            let screen = Rect::from_min_size(Pos2::ZERO, size);
            for label in [
                "Make",
                "Paint on it",
                "Make again with another seed",
                "Export…",
                "Delete",
                "Generate",
                "Export",
                "Dark or light",
            ] {
                let rect = window.harness.get_by_label(label).rect();
                assert!(
                    screen.contains_rect(rect),
                    "{label} at {rect:?} of {size:?}"
                );
            }
        }
    }
}

#[test]
fn a_fill_can_be_reached_in_a_small_window() {
    let folder = tempfile::tempdir().unwrap();
    let picture = tiles(folder.path(), "wall.png", (160, 128), [70, 50, 40]);
    let mut window = open(folder.path(), &picture);
    let size = Vec2::new(860.0, 560.0);
    window.harness.set_size(size);
    window.steps(2);
    select(&mut window, (3, 3), (5, 5));
    let screen = Rect::from_min_size(Pos2::ZERO, size);
    for label in ["New texture", "Undo", "Fit"] {
        let rect = window.harness.get_by_label(label).rect();
        assert!(screen.contains_rect(rect), "{label} at {rect:?}");
    }
    window.click("New texture");
    window.click("Fill with new texture");
    until_filled(&mut window);
    assert_eq!(window.strokes(), 1);
}
