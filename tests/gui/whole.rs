//! What the screen, the document and the project's file agree on whatever happens: each test does what once left
//! them apart; [`crate::support::Window::sweep`] compares.

use eframe::egui::{Key, Modifiers};
use tessera::app::{
    CodeCommand, Command, DocumentCommand, FileCommand, HistoryCommand, LayerCommand,
    SelectionCommand, Severity, ToolCommand,
};
use tessera::document::{LayerLook, Level};
use tessera::engine::{ReplaceJob, RewrapJob};
use tessera::project::DocumentId;

use crate::support::Window;

const CTRL: Modifiers = Modifiers::COMMAND;
const REDO: Modifiers = CTRL.plus(Modifiers::SHIFT);
const NONE: Modifiers = Modifiers::NONE;

fn open(folder: &tempfile::TempDir) -> Window {
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window
}

fn id(window: &Window) -> DocumentId {
    window.canvas().id
}

/// A second picture, with its tab; the first one is parked.
fn open_second(window: &mut Window) -> (DocumentId, DocumentId) {
    let first = id(window);
    window.apply(FileCommand::OpenSample("parrot.png"));
    window.until("the second picture", |state| {
        (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id != first)
    });
    (first, id(window))
}

/// Presses at the first of these cells and goes to the others, and does not let go. Nothing is waited for.
fn press(window: &mut Window, cells: &[(u32, u32)]) {
    for (place, cell) in cells.iter().enumerate() {
        let at = window.on_cell(*cell);
        window.harness.hover_at(at);
        window.harness.run_steps(1);
        if place == 0 {
            window.harness.drag_at(at);
            window.harness.run_steps(1);
        }
    }
}

fn let_go(window: &mut Window, cell: (u32, u32)) {
    let at = window.on_cell(cell);
    window.harness.drop_at(at);
    window.steps(2);
}

fn told(window: &Window, text: &str) -> bool {
    let mut history = window.state().notices.history();
    history.any(|entry| entry.text().contains(text))
}

fn look(window: &Window, change: impl FnOnce(&mut LayerLook)) -> LayerCommand {
    let document = &window.canvas().document;
    let id = document.active().layer;
    let mut look = document.layers().get(id).unwrap().look().clone();
    change(&mut look);
    LayerCommand::SetLook(id, look)
}

#[test]
fn layer_edits_are_undone_and_redone_on_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.drag_cells(NONE, &[(3, 3), (9, 3)]);
    window.apply(LayerCommand::Add);
    let code = window.unused_code(Level::Structure);
    window.apply(ToolCommand::SelectCode(Level::Structure, code));
    window.drag_cells(NONE, &[(5, 2), (5, 8)]);
    window.apply(HistoryCommand::TakeSnapshot);
    let hide = look(&window, |look| look.is_visible = false);
    let fade = look(&window, |look| look.opacity_percent = 40);
    let back = Command::from(HistoryCommand::BackToSnapshot(1));
    for edit in [
        hide.into(),
        fade.into(),
        LayerCommand::Lower.into(),
        LayerCommand::Delete.into(),
        back.clone(),
    ] {
        let strokes = window.strokes();
        window.apply(edit.clone());
        if edit != back {
            assert_eq!(window.strokes(), strokes + 1, "{edit:?}");
        }
        window.key(CTRL, Key::Z);
        window.key(REDO, Key::Z);
        window.key(CTRL, Key::Z);
    }
    window.apply(LayerCommand::Delete);
    window.apply(HistoryCommand::GoTo(0));
    window.apply(HistoryCommand::GoTo(
        window.canvas().document.history().strokes().len(),
    ));
    window.apply(HistoryCommand::BackToSnapshot(1));
    window.key(CTRL, Key::Z);
}

/// Makes every new stroke fail to reach the file, as a full disk does, or ends that.
fn refuse_strokes(window: &Window, refuses: bool) {
    let project = window.state().session.project.as_ref().unwrap();
    let connection = rusqlite::Connection::open(&project.path).unwrap();
    connection
        .busy_timeout(std::time::Duration::from_secs(20))
        .unwrap();
    // The newest stroke is the only one that fits.
    let newest = "SELECT coalesce(max(number), 0) FROM strokes";
    let newest: i64 = connection.query_row(newest, [], |row| row.get(0)).unwrap();
    let sql = match refuses {
        true => {
            format!("CREATE UNIQUE INDEX no_room ON strokes (document) WHERE number >= {newest}")
        }
        false => "DROP INDEX no_room".into(),
    };
    connection.execute_batch(&sql).unwrap();
}

#[test]
fn strokes_that_could_not_be_stored_stay_and_are_stored_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.drag_cells(NONE, &[(2, 2), (6, 2)]);
    window.allow_unstored(true);
    refuse_strokes(&window, true);
    window.drag_cells(NONE, &[(2, 4), (6, 4)]);
    window.drag_cells(NONE, &[(2, 6), (6, 6)]);
    assert!(told(&window, "ould not store a stroke"));
    assert!(window.canvas().is_unstored());
    // An undo takes back what is seen last, not what was stored last.
    window.key(CTRL, Key::Z);
    let applied = |window: &Window| {
        let project = window.state().session.project.as_ref().unwrap();
        let id = id(window);
        let row = project.storage().call(move |project| project.document(id));
        let row = row.unwrap();
        (row.applied_strokes, row.strokes)
    };
    assert_eq!((window.strokes(), applied(&window)), (2, (1, 1)));
    refuse_strokes(&window, false);
    window.allow_unstored(false);
    window.drag_cells(NONE, &[(2, 8), (6, 8)]);
    assert_eq!((window.strokes(), applied(&window)), (3, (3, 3)));

    // Saving tries again as well; so does what is undone to before the stroke that failed.
    window.allow_unstored(true);
    refuse_strokes(&window, true);
    window.drag_cells(NONE, &[(9, 2), (9, 6)]);
    window.key(CTRL, Key::Z);
    window.key(CTRL, Key::Z);
    assert_eq!(applied(&window), (2, 3));
    window.key(REDO, Key::Z);
    window.key(REDO, Key::Z);
    refuse_strokes(&window, false);
    window.allow_unstored(false);
    window.key(CTRL, Key::S);
    window.settle();
    assert_eq!((window.strokes(), applied(&window)), (4, (4, 4)));
    window.sweep();
    window.close();
    let again = open(&folder);
    assert_eq!(again.strokes(), 4);
}

#[test]
fn a_tab_left_before_its_pixels_came_shows_them_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    let (first, second) = open_second(&mut window);
    let switch = |window: &mut Window, to| {
        let app = window.app();
        app.apply(DocumentCommand::SwitchTo(to));
    };
    switch(&mut window, first);
    window.steps(2);
    window.drag_cells(NONE, &[(2, 3), (9, 3)]);
    window.drag_cells(NONE, &[(2, 7), (9, 7)]);
    // Undone, and left at once: nothing has been decoded yet.
    window.app().apply(HistoryCommand::Undo);
    switch(&mut window, second);
    window.steps(2);
    switch(&mut window, first);
    window.steps(2);
    // The same with a stroke that is still in its tab.
    window.app().apply(HistoryCommand::Redo);
    switch(&mut window, second);
    window.harness.run_steps(1);
    switch(&mut window, first);
    window.app().apply(HistoryCommand::Undo);
    window.app().apply(HistoryCommand::Undo);
    switch(&mut window, second);
    switch(&mut window, first);
    window.steps(2);
    assert_eq!(window.strokes(), 0);
}

#[test]
fn a_code_replaced_in_a_picture_behind_is_seen_when_it_comes_forward() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    let encoded = window.canvas().document.encoded().structure.get(4, 4);
    let code = window.unused_code(Level::Structure);
    window.apply(ToolCommand::SelectCode(Level::Structure, code));
    window.apply(ToolCommand::SetBrushSize(1));
    window.drag_cells(NONE, &[(4, 4)]);
    let (first, _) = open_second(&mut window);
    // Back to what it was encoded as: nothing differs from the source any more.
    window.apply(CodeCommand::ReplaceInProject {
        level: Level::Structure,
        from: code,
        to: encoded.unwrap(),
    });
    window.until("the job's end", |state| !state.has_job::<ReplaceJob>());
    window.apply(DocumentCommand::SwitchTo(first));
    assert_eq!(
        window
            .canvas()
            .document
            .changed_cells(Level::Structure)
            .count(),
        0
    );
}

#[test]
fn nothing_is_changed_in_a_picture_that_is_being_wrapped() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.drag_cells(NONE, &[(3, 3), (6, 3)]);
    let changed = |window: &Window| {
        let document = &window.canvas().document;
        document.changed_cells(Level::Structure).count()
    };
    let before = changed(&window);
    window.apply(SelectionCommand::All);
    window.app().apply(DocumentCommand::ToggleWrapX);
    let mut tries = 0;
    let level = Level::Structure;
    let from = window
        .canvas()
        .document
        .edited()
        .structure
        .get(0, 0)
        .unwrap();
    let to = window.unused_code(level);
    while !window.canvas().document.wrap().x {
        window.harness.step();
        if window.harness.state().app.is_settled() && window.state().has_job::<RewrapJob>()
            || tries > 0
        {
            // From the moment it is encoded until it is on the canvas again.
            for command in [
                Command::from(SelectionCommand::Fill),
                SelectionCommand::Erase.into(),
                CodeCommand::Replace { level, from, to }.into(),
                LayerCommand::Add.into(),
                HistoryCommand::Undo.into(),
            ] {
                if !window.canvas().document.wrap().x {
                    window.app().apply(command);
                    tries += 1;
                }
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(tries > 0);
    window.steps(3);
    assert_eq!((changed(&window), window.strokes()), (before, 1));
    assert!(told(&window, "being encoded anew"));
    // And afterwards it can.
    window.apply(SelectionCommand::Erase);
    assert_eq!((changed(&window), window.strokes()), (0, 2));
}

#[test]
fn a_picture_that_opens_during_a_stroke_waits_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    let first = id(&window);
    press(&mut window, &[(3, 3), (6, 3)]);
    let parrot = FileCommand::OpenSample("parrot.png");
    window.app().apply(parrot);
    let is_opening = |window: &Window| window.state().is_opening_document();
    while is_opening(&window) {
        window.harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for _ in 0..40 {
        window.harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(
        id(&window),
        first,
        "the tab stays while the pointer is down"
    );
    press(&mut window, &[]);
    let at = window.on_cell((9, 3));
    window.harness.hover_at(at);
    window.harness.run_steps(1);
    let_go(&mut window, (9, 3));
    window.until("its tab", |state| state.session.tabs.order.len() == 2);
    // Something was painted since it was asked for: it waits in its tab.
    assert_eq!((id(&window), window.strokes()), (first, 1));
    assert!(told(&window, "“parrot” is open in its tab"));
    window.click("Tab parrot");
    assert_ne!(id(&window), first);
    window.drag_cells(NONE, &[(2, 2), (5, 2)]);
    assert_eq!(window.strokes(), 1);
}

#[test]
fn a_stroke_is_done_when_its_tab_or_project_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    let (first, second) = open_second(&mut window);
    press(&mut window, &[(3, 3), (6, 3)]);
    window.app().apply(DocumentCommand::SwitchTo(first));
    window.harness.run_steps(1);
    let_go(&mut window, (6, 3));
    assert_eq!((id(&window), window.strokes()), (first, 0));
    window.apply(DocumentCommand::SwitchTo(second));
    assert_eq!(window.strokes(), 1, "what was painted is kept");

    press(&mut window, &[(3, 6), (6, 6)]);
    window.app().apply(DocumentCommand::CloseTab(second));
    window.harness.run_steps(1);
    let_go(&mut window, (6, 6));
    assert_eq!(
        (id(&window), window.state().session.tabs.order.len()),
        (first, 1)
    );
    window.apply(DocumentCommand::Open(second));
    window.until("it is back", |state| {
        (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id == second)
    });
    assert_eq!(window.strokes(), 2);

    press(&mut window, &[(8, 2), (8, 6)]);
    let at = window.on_cell((8, 6));
    let other = folder.path().join("other.tessera");
    let app = window.app();
    app.apply(FileCommand::CreateProjectAt(other.clone()));
    window.until("the other project", |state| {
        (state.session.project.as_ref()).is_some_and(|project| project.name() == "other")
    });
    window.harness.drop_at(at);
    window.until("its first picture", |state| state.session.canvas.is_some());
    assert_eq!(window.strokes(), 0);
    window.close();
    let mut window = Window::open(folder.path(), &[]);
    let path = tessera::settings::Folders::within(folder.path()).first_project();
    window.apply(FileCommand::OpenProjectAt(path.clone()));
    window.until("the first project", |state| {
        (state.session.project.as_ref()).is_some_and(|project| project.path == path)
            && (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id == second)
    });
    assert_eq!(window.strokes(), 3);
}

#[test]
fn a_picture_that_could_not_be_decoded_is_whole_again_with_the_next_stroke() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.drag_cells(NONE, &[(3, 3), (9, 3)]);
    // A code that the model does not have: a defect somewhere else.
    let code = window.unused_code(Level::Structure);
    {
        let app = window.app();
        app.apply(ToolCommand::SelectCode(Level::Structure, code));
        // Not decoded yet when it goes wrong.
        app.apply(SelectionCommand::Fill);
        let canvas = app.state.session.canvas.as_mut().unwrap();
        canvas.document.begin("defect").unwrap();
        let set = canvas.document.set_cell(Level::Structure, 0, Some(60_000));
        assert!(set.unwrap());
        canvas.document.commit().unwrap();
        // Now it has to be looked at as a whole.
        let id = canvas.document.layers().layers()[0].id();
        let app = window.app();
        app.apply(LayerCommand::TryOpacity(id, 50));
    }
    let errors = |window: &Window| {
        let history = window.state().notices.history();
        let errors = history.filter(|entry| entry.severity == Severity::Error);
        errors.count()
    };
    for _ in 0..200 {
        window.harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
        if errors(&window) > 0 && window.harness.state().app.is_settled() {
            break;
        }
    }
    assert!(errors(&window) > 0, "it is told");
    let canvas = window.app().state.session.canvas.as_mut().unwrap();
    canvas.document.undo().unwrap();
    // The next stroke, elsewhere, brings everything.
    let other = code.checked_sub(1).unwrap_or(1);
    let app = window.app();
    app.apply(ToolCommand::SelectCode(Level::Structure, other));
    window.drag_cells(NONE, &[(3, 7), (9, 7)]);
    for _ in 0..3 {
        window.key(CTRL, Key::Z);
    }
    assert!(!window.canvas().document.is_edited());
}

#[test]
fn undo_goes_on_in_the_file_where_the_history_left_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.app().state.most_history_cells = 120;
    let mut states = vec![window.canvas().document.edited().clone()];
    for row in 0..8 {
        window.drag_cells(NONE, &[(2, 1 + row), (8, 1 + row)]);
        states.push(window.canvas().document.edited().clone());
    }
    let history = window.canvas().document.history();
    assert!(history.older() > 0 && history.strokes().len() < 8);
    assert_eq!(history.applied(), 8);
    for applied in (0..8).rev() {
        window.harness.key_press_modifiers(CTRL, Key::Z);
        window.until("the undo", |state| {
            let canvas = state.session.canvas.as_ref().unwrap();
            canvas.document.history().applied() == applied
        });
        assert_eq!(window.canvas().document.edited(), &states[applied as usize]);
    }
    assert!(!window.canvas().document.history().can_undo());
    for state in &states[1..] {
        window.key(REDO, Key::Z);
        assert_eq!(window.canvas().document.edited(), state);
    }
    window.close();
    let again = open(&folder);
    assert_eq!(again.strokes(), 8);
}
