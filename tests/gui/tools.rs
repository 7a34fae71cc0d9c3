//! Each tool as an artist uses it: keys, press, drag, release, undo; which cells have changed then.

use std::collections::BTreeSet;

use eframe::egui::{self, Key, Modifiers, Vec2};
use tessera::app::{CodeCommand, Tool, ToolCommand, ToolOption};
use tessera::document::{Level, Rect};

use crate::support::Window;

const NONE: Modifiers = Modifiers::NONE;
const SHIFT: Modifiers = Modifiers::SHIFT;
const ALT: Modifiers = Modifiers::ALT;
const CTRL: Modifiers = Modifiers::COMMAND;

fn open(folder: &tempfile::TempDir) -> Window {
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window
}

/// Columns and rows of the structure cells that differ from the source.
fn changed(window: &Window) -> Vec<(u32, u32)> {
    let document = &window.canvas().document;
    let columns = document.geometry().grid_width(Level::Structure);
    let cells = document.changed_cells(Level::Structure);
    cells
        .map(|index| (index % columns, index / columns))
        .collect()
}

fn undo(window: &mut Window) {
    window.key(CTRL, Key::Z);
    assert!(
        !window.canvas().document.is_edited(),
        "one undo takes it back"
    );
    window.until("the old pixels", |state| {
        let canvas = state.session.canvas.as_ref();
        canvas.is_some_and(|canvas| canvas.shown_revision >= canvas.document.revision())
    });
}

/// A code that the picture does not use, so that every painted cell is a changed one.
fn unused_code(window: &mut Window) -> u16 {
    let code = window.unused_code(Level::Structure);
    let app = window.app();
    app.apply(ToolCommand::SelectCode(Level::Structure, code));
    app.apply(ToolCommand::SetBrushSize(1));
    code
}

#[test]
fn a_selection_restricts_the_brush_and_is_added_to_cut_and_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    unused_code(&mut window);
    window.key(NONE, Key::M);
    assert_eq!(window.state().paint.tool, Tool::SelectRectangle);
    let selected = |window: &Window| {
        let session = &window.state().session;
        session.selection(window.canvas().id).map(|s| s.bounds())
    };
    window.drag_cells(NONE, &[(2, 2), (5, 4)]);
    assert_eq!(selected(&window), Some(Rect::new(8, 8, 16, 12)));
    window.drag_cells(SHIFT, &[(8, 2), (9, 4)]);
    assert_eq!(selected(&window), Some(Rect::new(8, 8, 32, 12)));
    window.drag_cells(ALT, &[(2, 2), (3, 4)]);
    assert_eq!(selected(&window), Some(Rect::new(16, 8, 24, 12)));
    window.drag_cells(SHIFT.plus(ALT), &[(0, 3), (12, 12)]);
    assert_eq!(selected(&window), Some(Rect::new(16, 12, 24, 8)));

    window.key(NONE, Key::B);
    window.drag_cells(NONE, &[(0, 3), (12, 3)]);
    assert_eq!(changed(&window), [(4, 3), (5, 3), (8, 3), (9, 3)]);
    undo(&mut window);
    window.key(CTRL.plus(SHIFT), Key::I);
    window.drag_cells(NONE, &[(3, 3), (6, 3)]);
    assert_eq!(changed(&window), [(3, 3), (6, 3)]);
    undo(&mut window);
    // Escape takes an outline back before it is one.
    window.key(CTRL.plus(SHIFT), Key::A);
    assert_eq!(selected(&window), None);
    window.key(CTRL.plus(SHIFT), Key::D);
    assert!(selected(&window).is_some());
    window.key(CTRL, Key::A);
    let (columns, rows) = window.cells();
    let all = Rect::new(0, 0, columns * 4, rows * 4);
    assert_eq!(selected(&window), Some(all));
}

#[test]
fn lasso_ellipse_and_wand_select_what_the_bucket_fills() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    let code = unused_code(&mut window);
    window.key(NONE, Key::L);
    window.drag_cells(NONE, &[(2, 2), (8, 2), (8, 8), (2, 8)]);
    window.key(SHIFT, Key::Backspace);
    let in_lasso = changed(&window);
    assert!((30..=49).contains(&in_lasso.len()), "{in_lasso:?}");
    // What was just filled hangs together.
    window.key(CTRL.plus(SHIFT), Key::A);
    window.key(NONE, Key::W);
    window.drag_cells(NONE, &[(5, 5)]);
    let selection = window
        .state()
        .session
        .selection(window.canvas().id)
        .unwrap();
    assert_eq!(selection.count() as usize, in_lasso.len() * 16);
    window.key(NONE, Key::Delete);
    assert!(!window.canvas().document.is_edited());
    window.key(SHIFT, Key::M);
    window.drag_cells(NONE, &[(2, 2), (6, 6)]);
    window.key(CTRL, Key::Z);
    window.key(CTRL, Key::Z);
    assert!(!window.canvas().document.is_edited());

    // With everything alike the bucket fills the selection and nothing else.
    let app = window.app();
    app.apply(ToolCommand::SetOption(ToolOption::TolerancePercent(100)));
    app.apply(ToolCommand::SetOption(ToolOption::Contiguous(false)));
    window.key(NONE, Key::G);
    window.drag_cells(NONE, &[(4, 4)]);
    let filled = changed(&window);
    let all = window.canvas().document.edited();
    assert!(filled.len() > 10 && filled.len() <= 25, "{}", filled.len());
    assert!(
        filled
            .iter()
            .all(|&(x, y)| all.structure.get(x, y) == Some(code))
    );
    undo(&mut window);
}

#[test]
fn lines_symmetry_and_a_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    unused_code(&mut window);
    let (columns, rows) = window.cells();
    // Shift: straight, whatever way the hand took.
    window.drag_cells(SHIFT, &[(2, 2), (5, 9), (8, 2)]);
    let line: Vec<_> = (2..=8).map(|x| (x, 2)).collect();
    assert_eq!(changed(&window), line);
    undo(&mut window);
    window.app().apply(ToolCommand::ToggleMirrorX);
    window.drag_cells(NONE, &[(1, 3), (3, 3)]);
    let mirrored: Vec<_> = [1, 2, 3, columns - 4, columns - 3, columns - 2]
        .map(|x| (x, 3))
        .into();
    assert_eq!(changed(&window), mirrored);
    undo(&mut window);
    window.app().apply(ToolCommand::ToggleMirrorX);

    window.key(SHIFT, Key::G);
    assert_eq!(window.state().paint.tool, Tool::Gradient);
    window.drag_cells(NONE, &[(0, 0), (columns - 1, 0)]);
    let document = &window.canvas().document;
    let paint = &window.state().paint;
    let grid = &document.edited().structure;
    assert_eq!(grid.get(0, rows - 1), Some(paint.code.structure));
    assert_eq!(grid.get(columns - 1, 0), Some(paint.second_code.structure));
    let between: BTreeSet<u16> = (0..columns).filter_map(|x| grid.get(x, 0)).collect();
    let ends = [paint.code.structure, paint.second_code.structure];
    let between: Vec<u16> = between.into_iter().filter(|c| !ends.contains(c)).collect();
    assert!(!between.is_empty(), "the codes between the two");
    undo(&mut window);

    // A muted code is not mixed in either.
    for code in &between {
        let mute = CodeCommand::ToggleMuted(Level::Structure, *code);
        window.app().apply(mute);
    }
    window.drag_cells(NONE, &[(0, 0), (columns - 1, 0)]);
    let grid = &window.canvas().document.edited().structure;
    let has_muted = grid.cells().iter().any(|code| between.contains(code));
    assert!(!has_muted);
    assert_eq!(grid.get(columns - 1, 0), Some(ends[1]));
    undo(&mut window);
}

#[test]
fn a_block_is_picked_up_stamped_and_turned() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.key(NONE, Key::B);
    window.drag_cells(CTRL.plus(SHIFT), &[(2, 3), (4, 4)]);
    assert_eq!(window.state().paint.tool, Tool::Pattern);
    let block = window.state().tools.block.clone().unwrap();
    assert_eq!((block.width, block.height), (3, 2));
    window.drag_cells(NONE, &[(10, 8)]);
    let document = &window.canvas().document;
    // A block of three columns has its middle on the cell's, one of two rows on its edge.
    let stamped = (9..12).flat_map(|x| (7..9).map(move |y| (x, y)));
    let fits = |dy: u32| {
        stamped.clone().all(|(x, y)| {
            let at = document.edited().structure.get(x, y + dy);
            at == document.encoded().structure.get(x - 7, y - 4)
        })
    };
    assert!(fits(0) || fits(1));
    undo(&mut window);
    window.app().apply(ToolCommand::TurnBlock);
    let laid = window.state().tools.laid_block().unwrap();
    assert_eq!((laid.width, laid.height), (2, 3));
    assert_eq!(laid.at(1, 0), block.at(0, 0));
}

#[test]
fn clone_smudge_move_and_the_eraser_to_empty_detail() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.key(NONE, Key::K);
    window.app().apply(ToolCommand::SetBrushSize(1));
    window.drag_cells(NONE, &[(3, 3)]);
    assert_eq!(window.strokes(), 0, "nothing to clone from yet");
    window.drag_cells(CTRL, &[(2, 2)]);
    window.drag_cells(NONE, &[(9, 6), (11, 6)]);
    let document = &window.canvas().document;
    for x in 0..3 {
        let (from, to) = (document.encoded(), document.edited());
        assert_eq!(to.structure.get(9 + x, 6), from.structure.get(2 + x, 2));
        assert_eq!(to.detail.get(36 + 4 * x, 24), from.detail.get(8 + 4 * x, 8));
    }
    undo(&mut window);

    window.key(NONE, Key::R);
    unused_code(&mut window);
    let code = window.state().paint.current_code();
    window.key(NONE, Key::B);
    window.drag_cells(NONE, &[(4, 4)]);
    window.key(NONE, Key::R);
    window
        .app()
        .apply(ToolCommand::SetOption(ToolOption::SmudgePercent(100)));
    window.drag_cells(NONE, &[(4, 4), (7, 4)]);
    let row = |window: &Window, x| window.canvas().document.edited().structure.get(x, 4);
    assert_eq!(
        (4..=7).map(|x| row(&window, x)).collect::<Vec<_>>(),
        [Some(code); 4]
    );
    window.key(CTRL, Key::Z);
    undo(&mut window);

    // Move: a painted cell goes elsewhere with Alt as a copy.
    window.key(NONE, Key::B);
    window.drag_cells(NONE, &[(4, 4)]);
    window.key(NONE, Key::M);
    window.drag_cells(NONE, &[(4, 4), (5, 5)]);
    window.key(NONE, Key::V);
    window.drag_cells(ALT, &[(4, 4), (8, 4)]);
    assert_eq!([4, 8].map(|x| row(&window, x)), [Some(code); 2]);
    let selection = window
        .state()
        .session
        .selection(window.canvas().id)
        .unwrap();
    assert_eq!(selection.bounds(), Rect::new(32, 16, 8, 8), "it goes along");
    window.drag_cells(NONE, &[(8, 4), (8, 7)]);
    let second = window.state().paint.second_code.structure;
    assert_eq!(row(&window, 8), Some(second));
    for _ in 0..3 {
        window.key(CTRL, Key::Z);
    }
    assert!(!window.canvas().document.is_edited());

    window.key(CTRL, Key::D);
    window.key(NONE, Key::E);
    window
        .app()
        .apply(ToolCommand::SetOption(ToolOption::ErasesToEmpty(true)));
    window.drag_cells(NONE, &[(4, 4), (5, 4)]);
    let document = &window.canvas().document;
    assert_eq!(document.changed_cells(Level::Structure).count(), 0);
    assert_eq!(document.edited().detail.get(17, 17), None);
    assert_eq!(
        document.edited().detail.get(24, 17),
        document.encoded().detail.get(24, 17)
    );
    undo(&mut window);
}

#[test]
fn escape_takes_a_stroke_back_and_enter_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    unused_code(&mut window);
    for (key, strokes) in [(Key::Escape, 0), (Key::Enter, 1)] {
        let at = |window: &Window, x: u32| window.on_cell((x, 3));
        let (from, to) = (at(&window, 2), at(&window, 6));
        window.harness.hover_at(from);
        window.harness.run_steps(1);
        window.harness.drag_at(from);
        window.harness.run_steps(1);
        window.harness.hover_at(to);
        window.harness.run_steps(1);
        assert_eq!(changed(&window).len(), 5);
        window.key(NONE, key);
        assert_eq!(window.strokes(), strokes);
        assert_eq!(window.canvas().document.is_edited(), strokes == 1);
        window.harness.hover_at(to + Vec2::new(0.0, 40.0));
        window.harness.run_steps(1);
        window.harness.drop_at(to);
        window.harness.run_steps(2);
        assert_eq!(window.strokes(), strokes);
    }
}

#[test]
fn overlays_show_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    unused_code(&mut window);
    for label in ["Code colours", "Changed cells"] {
        window.click(label);
        assert!(window.state().tools.overlay.has_tint());
        window.key(NONE, Key::B);
        window.drag_cells(NONE, &[(2, 2), (6, 2)]);
        window.click(label);
        assert!(!window.state().tools.overlay.has_tint());
    }
}

#[test]
fn a_pen_that_is_pressed_less_paints_narrower_and_a_mouse_paints_fully() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    unused_code(&mut window);
    window.app().apply(ToolCommand::SetBrushSize(4));
    let touch = |window: &mut Window, phase, cell, force| {
        let pos = window.on_cell(cell);
        window.harness.event(egui::Event::Touch {
            device_id: egui::TouchDeviceId(1),
            id: egui::TouchId(1),
            phase,
            pos,
            force,
        });
    };
    // As windowing systems tell it: the touch, then the pointer that follows it.
    touch(&mut window, egui::TouchPhase::Start, (4, 4), Some(0.2));
    window.harness.drag_at(window.on_cell((4, 4)));
    window.harness.run_steps(1);
    touch(&mut window, egui::TouchPhase::End, (4, 4), None);
    window.harness.drop_at(window.on_cell((4, 4)));
    window.harness.run_steps(2);
    assert_eq!(changed(&window), [(4, 4)]);
    undo(&mut window);
    window.drag_cells(NONE, &[(4, 4)]);
    assert!(changed(&window).len() > 8, "{:?}", changed(&window));
}

#[test]
fn structure_is_painted_together_with_the_detail_in_hand() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    let code = unused_code(&mut window);
    let detail = window.unused_code(Level::Detail);
    let app = window.app();
    app.apply(ToolCommand::SelectCode(Level::Detail, detail));
    app.apply(ToolCommand::SetLevel(Level::Structure));
    app.apply(ToolCommand::SetBrushSize(1));
    window.harness.run_steps(2);
    window.click("Texture under structure");
    window.harness.run_steps(2);
    window.click("Both levels");
    window.drag_cells(NONE, &[(3, 2)]);
    let edited = window.canvas().document.edited();
    assert_eq!(edited.structure.get(3, 2), Some(code));
    assert!((8..12).all(|y| (12..16).all(|x| edited.detail.get(x, y) == Some(detail))));
}

#[test]
fn the_texture_brush_makes_new_cells_beside_the_window_s_thread() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = open(&folder);
    window.key(NONE, Key::T);
    assert_eq!(window.state().paint.tool, Tool::Texture);
    assert_eq!(window.state().paint.level, Level::Structure);
    window.app().apply(ToolCommand::SetBrushSize(2));
    window.drag_cells(NONE, &[(3, 3), (7, 4)]);
    window.settle();
    assert_eq!(window.strokes(), 1, "one step, whatever the dabs");
    let document = &window.canvas().document;
    assert!(!document.is_stroke_open());
    let columns = document.geometry().grid_width(Level::Detail);
    let cells: BTreeSet<u32> = (document.coordinates().iter())
        .map(|(index, _)| index)
        .collect();
    // 2 × 2 cells at the start and at the end at least.
    assert!(cells.len() >= 2 * 4 * 16, "{}", cells.len());
    for index in cells {
        let (x, y) = (index % columns / 4, index / columns / 4);
        assert!((2..=8).contains(&x) && (2..=5).contains(&y), "{x}, {y}");
    }
    undo(&mut window);
    window.key(CTRL.plus(SHIFT), Key::Z);
    window.settle();
    assert!(window.canvas().document.is_edited());
    window.key(CTRL, Key::Z);
    window.settle();

    // Esc in the middle takes all of it back; what the lane still had in hand does not come.
    let before = window.strokes();
    let (from, to) = (window.on_cell((2, 8)), window.on_cell((12, 8)));
    window.harness.drag_at(from);
    window.steps(2);
    window.harness.hover_at(to);
    window.steps(2);
    window.key(NONE, Key::Escape);
    window.harness.drop_at(to);
    window.settle();
    assert_eq!(window.strokes(), before);
    assert!(!window.canvas().document.is_edited() && !window.canvas().document.is_stroke_open());

    // From another picture: kept in the project, so that its texture stays.
    let other = folder.path().join("other.png");
    let grain = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let rgba: Vec<u8> = (0..96 * 96u32)
        .flat_map(|i| [grain(i), 90, 40, 255])
        .collect();
    image::save_buffer(&other, &rgba, 96, 96, image::ExtendedColorType::Rgba8).unwrap();
    window
        .app()
        .apply(ToolCommand::TextureFrom(Some(other.clone())));
    window.drag_cells(NONE, &[(5, 5), (6, 5)]);
    window.settle();
    let document = &window.canvas().document;
    assert_eq!(document.sources().list()[0].name, "other.png");
    std::fs::remove_file(&other).unwrap();
    assert!(document.sources().picture(1).is_some());

    // A file that is none is said, and leaves no open stroke.
    window.app().apply(ToolCommand::TextureFrom(Some(
        folder.path().join("none.png"),
    )));
    let before = window.strokes();
    window.drag_cells(NONE, &[(8, 8)]);
    window.settle();
    assert_eq!(window.strokes(), before);
    assert!(!window.canvas().document.is_stroke_open());
    assert!(window.state().notices.shown().next().is_some());
    window.dismiss_notices();
}
