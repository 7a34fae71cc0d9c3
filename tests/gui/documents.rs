//! Several pictures, blank canvases, wrap, crops, other models and timelapses in the window.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::{
    ANIMATION_WRITERS, CheckpointChoice, Command, DocumentCommand, ExportCommand, FileCommand,
    NewCanvas, Reframe, TimelapseForm, ToolCommand,
};
use tessera::document::{Document, Level, Wrap};
use tessera::engine::ReplaceJob;
use tessera::project::DocumentId;
use tessera::render::Compare;

use crate::support::Window;

fn document(window: &Window) -> &Document {
    &(window.state().session.canvas.as_ref())
        .expect("a picture is open")
        .document
}

fn id(window: &Window) -> DocumentId {
    (window.state().session.canvas.as_ref())
        .expect("a picture is open")
        .id
}

fn apply(window: &mut Window, command: impl Into<Command>) {
    window.app().apply(command);
}

fn until_another_opens(window: &mut Window) {
    let before = id(window);
    window.until("the new picture", |state| {
        state
            .session
            .canvas
            .as_ref()
            .is_some_and(|canvas| canvas.id != before)
    });
}

#[test]
fn two_pictures_in_tabs_keep_their_strokes_and_views() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.3, 0.3), (0.6, 0.3)]);
    let (first, painted) = (id(&window), document(&window).edited().clone());
    let app = window.app();
    app.apply(FileCommand::OpenSample("parrot.png"));
    until_another_opens(&mut window);
    let second = id(&window);
    assert_eq!(window.state().session.tabs.order, [first, second]);
    window.drag(&[(0.3, 0.6), (0.6, 0.6)]);
    window.click("Tab kitten-on-lawn");
    assert_eq!(id(&window), first);
    assert_eq!(document(&window).edited(), &painted);
    window.until("its pixels", |state| {
        let canvas = state.session.canvas.as_ref().expect("a picture is open");
        canvas.shown_revision >= canvas.document.revision()
    });
    window.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::PageDown);
    assert_eq!((id(&window), window.strokes()), (second, 1));
    // A picture that is open is shown, not opened twice.
    window.app().apply(DocumentCommand::Open(first));
    assert_eq!(id(&window), first);
    window.click("Close kitten-on-lawn");
    assert_eq!(
        (id(&window), window.state().session.tabs.order.len()),
        (second, 1)
    );
    assert!(
        window.harness.query_by_label("Tab parrot").is_none(),
        "one picture needs no tabs"
    );
}

#[test]
fn a_wrapping_picture_is_painted_across_its_border_and_keeps_its_strokes() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.4, 0.3), (0.6, 0.3)]);
    let cells: Vec<u32> = document(&window).changed_cells(Level::Structure).collect();
    apply(&mut window, DocumentCommand::ToggleWrapX);
    window.until("the picture encoded anew", |state| {
        let canvas = state.session.canvas.as_ref().expect("a picture is open");
        canvas.document.wrap() == Wrap { x: true, y: false }
    });
    let after: Vec<u32> = document(&window).changed_cells(Level::Structure).collect();
    assert_eq!(after, cells, "edits stay through the change");
    assert_eq!(window.strokes(), 1);
    window.key(Modifiers::SHIFT, Key::W);
    assert!(window.state().look.is_wrap_preview_on);
    window.key(Modifiers::SHIFT, Key::W);
    // Across the right border: it goes on at the left.
    window.drag(&[(0.95, 0.6), (1.05, 0.6)]);
    let columns = document(&window).geometry().grid_width(Level::Structure);
    let new: Vec<u32> = document(&window)
        .changed_cells(Level::Structure)
        .filter(|cell| !cells.contains(cell))
        .map(|cell| cell % columns)
        .collect();
    assert!(new.contains(&0) && new.contains(&(columns - 1)), "{new:?}");
    for _ in 0..2 {
        window.key(Modifiers::COMMAND, Key::Z);
    }
    assert!(!document(&window).is_edited());
    window.close();
    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    assert_eq!(document(&again).wrap(), Wrap { x: true, y: false });
    again.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    assert_eq!(
        document(&again).changed_cells(Level::Structure).count(),
        cells.len()
    );
}

#[test]
fn a_blank_canvas_is_painted_cropped_and_extended() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let new = NewCanvas {
        width: 300,
        height: 200,
        wrap: Wrap::default(),
    };
    let code = window.state().paint.code.get(Level::Structure);
    apply(&mut window, DocumentCommand::New(new));
    until_another_opens(&mut window);
    let blank = document(&window);
    assert_eq!((blank.width(), blank.height()), (300, 200));
    assert!(
        blank
            .edited()
            .structure
            .cells()
            .iter()
            .all(|cell| *cell == code)
    );
    window
        .app()
        .apply(ToolCommand::SelectCode(Level::Structure, code ^ 1));
    window.drag(&[(0.5, 0.5), (0.7, 0.5)]);
    let painted = document(&window).changed_cells(Level::Structure).count();
    assert!(painted > 0);
    // Larger by two cells above and on the left: the strokes move along.
    let to = Reframe::Crop {
        x: -32,
        y: -32,
        width: 400,
        height: 260,
    };
    apply(&mut window, DocumentCommand::Reframe(to));
    until_another_opens(&mut window);
    let extended = document(&window);
    assert_eq!((extended.width(), extended.height()), (400, 260));
    let structure = extended.layers().layers()[0].cells(Level::Structure).len();
    assert_eq!(structure, painted);
    assert_eq!(
        &extended.source().rgba8()[..4],
        [0; 4],
        "what is new is transparent"
    );
    let scale = Reframe::Scale {
        width: 100,
        height: 65,
    };
    apply(&mut window, DocumentCommand::Reframe(scale));
    until_another_opens(&mut window);
    assert_eq!(document(&window).width(), 100);
    assert!(!document(&window).is_edited());
    assert_eq!(window.state().session.tabs.order.len(), 4);
    // Its forms can be reached.
    window.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::N);
    assert!(window.harness.query_by_label("Make canvas").is_some());
    window.key(Modifiers::NONE, Key::Escape);
    assert!(window.state().overlay.is_none());
}

#[test]
fn the_picture_is_seen_through_a_checkpoint_and_written_as_a_timelapse() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    for y in [0.3, 0.5, 0.7] {
        window.drag(&[(0.3, y), (0.6, y)]);
    }
    apply(&mut window, DocumentCommand::Reskin(CheckpointChoice::Best));
    window.until("the other model's picture", |state| {
        state
            .session
            .canvas
            .as_ref()
            .is_some_and(|canvas| canvas.reskin.is_some())
    });
    assert!(matches!(window.state().look.compare, Compare::Split(_)));
    let revision = |window: &Window| {
        let canvas = window
            .state()
            .session
            .canvas
            .as_ref()
            .expect("a picture is open");
        canvas.reskin.as_ref().map(|reskin| reskin.revision)
    };
    assert_eq!(revision(&window), Some(document(&window).revision()));
    window.key(Modifiers::COMMAND, Key::Z);
    window.until("it to follow", |state| {
        let canvas = state.session.canvas.as_ref().expect("a picture is open");
        canvas
            .reskin
            .as_ref()
            .is_some_and(|r| r.revision == canvas.document.revision())
    });
    window.click("Blend");
    assert!(matches!(window.state().look.compare, Compare::Blend(_)));
    window.click("Export what the other model shows");
    window.until("the exported picture", |state| {
        state.session.last_export.is_some() && !state.is_exporting()
    });
    window.click("Close the other model");
    assert!(
        window
            .state()
            .session
            .canvas
            .as_ref()
            .is_some_and(|canvas| canvas.reskin.is_none())
    );

    let form = TimelapseForm {
        writer: &ANIMATION_WRITERS[1],
        longest_px: 128,
        frames_per_second: 10.0,
    };
    apply(&mut window, ExportCommand::SetTimelapse(form));
    apply(&mut window, ExportCommand::WriteTimelapse);
    window.until("the timelapse", |state| {
        let path = state.session.last_export.as_ref();
        path.is_some_and(|path| path.to_string_lossy().contains("timelapse"))
    });
    let path = window
        .state()
        .session
        .last_export
        .clone()
        .expect("just written");
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let reader = png::Decoder::new(file).read_info().unwrap();
    // As opened, and one for each of the two strokes that are not undone.
    let control = reader.info().animation_control().expect("it moves");
    assert_eq!((control.num_frames, reader.info().width), (3, 128));
}

#[test]
fn a_code_is_replaced_in_all_pictures_open_or_not() {
    const LEVEL: Level = Level::Structure;
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    // The same code is painted into three pictures; one is closed, one lies in a tab, one is shown.
    let from = window.unused_code(LEVEL);
    let to = from.checked_sub(1).unwrap_or(from + 1);
    let app = window.app();
    app.apply(ToolCommand::SelectCode(LEVEL, from));
    app.apply(ToolCommand::SetBrushSize(2));
    let mut pictures = Vec::new();
    for sample in [None, Some("parrot.png"), Some("pig.png")] {
        if let Some(sample) = sample {
            window.app().apply(FileCommand::OpenSample(sample));
            until_another_opens(&mut window);
        }
        window.drag(&[(0.3, 0.4), (0.6, 0.4)]);
        pictures.push(id(&window));
    }
    let uses = |window: &Window, code: u16| {
        let cells = document(window).edited().level(LEVEL).cells();
        cells.iter().filter(|cell| **cell == code).count()
    };
    let painted = uses(&window, from);
    assert!(painted > 0);
    let replaced_before = uses(&window, to);
    window.click("Close kitten-on-lawn");

    window.click("Codebook");
    window.click("Number");
    window.click(&format!("structure code {from}"));
    window.click("Replace it everywhere…");
    window.click(&format!("structure code {to}"));
    window.click("In all pictures");
    assert_eq!(uses(&window, from), 0, "in the picture on the screen");
    assert_eq!(uses(&window, to), replaced_before + painted);
    window.until("the job's end", |state| !state.has_job::<ReplaceJob>());
    let said = window.state().notices.shown().last().unwrap().text();
    assert!(said.contains("in 1 other picture"), "{said}");

    window.click("Paint");
    for picture in [pictures[1], pictures[0]] {
        let open = DocumentCommand::Open(picture);
        window.app().apply(open);
        window.until("the picture", |state| {
            (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id == picture)
        });
        assert_eq!(uses(&window, from), 0);
        assert!(uses(&window, to) > 0);
        // Each takes it back by itself.
        window.key(Modifiers::COMMAND, Key::Z);
        assert!(uses(&window, from) > 0);
        window.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
        assert_eq!(uses(&window, from), 0);
    }
    window.close();

    // All of it was stored.
    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    for picture in pictures {
        again.app().apply(DocumentCommand::Open(picture));
        again.until("the picture", |state| {
            (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.id == picture)
        });
        assert_eq!(uses(&again, from), 0);
        assert!(uses(&again, to) > 0);
    }
}
