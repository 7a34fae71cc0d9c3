//! What holds after every step of every window test, whatever the test is about:
//! - no stroke is open while the pointer is up;
//! - the picture on the screen is what [`render_document`] makes of the document;
//! - the project's file has the documents of all tabs with their layers and the same history;
//! - nothing is shown that belongs to another picture or project.

use std::collections::HashMap;

use tessera::app::{Canvas, Gesture, State};
use tessera::canvas::render_document;
use tessera::document::Stroke;
use tessera::project::DocumentId;

use super::Window;

/// A patch is decoded in other windows than the whole picture, with other roundings.
const MAX_DIFFERENCE: u8 = 1;

/// What was looked at last, so that nothing is compared twice.
#[derive(Default)]
pub struct Sweep {
    /// Opening and revision of the picture on the canvas.
    shown: Option<(u64, u64)>,
    /// History and revision of each open picture.
    stored: HashMap<DocumentId, (u64, usize, u64)>,
    pub may_be_unstored: bool,
}

/// As a file has it, which lists sources by document.
fn unlisted(stroke: &Stroke) -> Stroke {
    Stroke {
        sources: Vec::new(),
        ..stroke.clone()
    }
}

impl Sweep {
    pub fn look(&mut self, window: &mut Window) {
        let is_pressed = (window.harness.ctx).input(|input| input.pointer.any_down());
        if is_pressed {
            return;
        }
        if matches!(
            window.state().tools.gesture,
            Some(Gesture::Texture {
                is_ending: true,
                ..
            })
        ) {
            // What is still to be made comes from its lane.
            window.settle();
        }
        if let Some(canvas) = &window.state().session.canvas {
            assert!(window.state().tools.gesture.is_none(), "a gesture goes on");
            assert!(!canvas.document.is_stroke_open(), "a stroke is open");
        }
        self.nothing_foreign(window.state());
        if self.is_known(window.state()) {
            return;
        }
        window.settle();
        let state = window.state();
        if let Some(canvas) = &state.session.canvas {
            let now = (canvas.opening, canvas.document.revision());
            if self.shown.replace(now) != Some(now) {
                pixels(canvas);
            }
        }
        for canvas in canvases(state) {
            let now = history(canvas);
            if self.stored.insert(canvas.id, now) != Some(now) {
                self.file(state, canvas);
            }
        }
    }

    fn is_known(&self, state: &State) -> bool {
        let shown = (state.session.canvas.as_ref()).map(|c| (c.opening, c.document.revision()));
        shown == self.shown && canvases(state).all(|c| self.stored.get(&c.id) == Some(&history(c)))
    }

    fn nothing_foreign(&self, state: &State) {
        let ids: Vec<DocumentId> = canvases(state).map(|canvas| canvas.id).collect();
        for id in &state.session.tabs.order {
            assert!(ids.contains(id), "tab {id} has no picture");
        }
        assert_eq!(
            ids.len(),
            state.session.tabs.order.len(),
            "a picture has no tab"
        );
        if let (Some(canvas), Some(view)) = (&state.session.canvas, &state.session.palette) {
            let (shown, drawn) = (canvas.model_hash(), &view.palette.model_hash);
            assert_eq!(shown, drawn, "the palette is another picture's");
        }
    }

    fn file(&self, state: &State, canvas: &Canvas) {
        let project = state
            .session
            .project
            .as_ref()
            .expect("pictures lie in a project");
        let id = canvas.id;
        let loaded = (project.storage()).call(move |project| project.load_document(id));
        let loaded = loaded.expect("the file has every open picture");
        if self.may_be_unstored && canvas.is_unstored() {
            return;
        }
        assert!(!canvas.is_unstored(), "strokes wait though all is at rest");
        let history = canvas.document.history();
        assert_eq!(loaded.row.applied_strokes, history.applied(), "applied");
        let strokes = history.older() + history.strokes().len() as u64;
        assert_eq!(loaded.row.strokes, strokes, "strokes in the file");
        let of_file = loaded.history.strokes().iter().rev();
        let of_window = history.strokes().iter().rev();
        assert!(
            of_file.zip(of_window).all(|(a, b)| **a == unlisted(b)),
            "strokes differ"
        );
        if canvas.document.is_trying() {
            return;
        }
        let is_same = loaded.edited == **canvas.document.edited();
        assert!(is_same, "the codes in the file differ");
        let is_same = loaded.layers.layers() == canvas.document.layers().layers();
        assert!(is_same, "the layers in the file differ");
    }
}

fn canvases(state: &State) -> impl Iterator<Item = &Canvas> {
    let tabs = &state.session.tabs;
    let parked = tabs.order.iter().filter_map(|id| tabs.parked(*id));
    state.session.canvas.iter().chain(parked)
}

fn history(canvas: &Canvas) -> (u64, usize, u64) {
    let history = canvas.document.history();
    (
        history.applied(),
        history.strokes().len(),
        canvas.document.revision(),
    )
}

fn pixels(canvas: &Canvas) {
    let document = &canvas.document;
    let whole = render_document(canvas.codec(), document, 8, &()).expect("it can be rendered");
    let shown = canvas.surface.pixels().expect("drawn without wgpu");
    let (shown, _) = shown.as_chunks::<4>();
    let wanted = whole.rgba8();
    let (wanted, _) = wanted.as_chunks::<4>();
    assert_eq!(shown.len(), wanted.len());
    let differs = |(a, b): &(&[u8; 4], &[u8; 4])| {
        let mut channels = a.iter().zip(*b);
        channels.any(|(a, b)| a.abs_diff(*b) > MAX_DIFFERENCE)
    };
    let count = shown.iter().zip(wanted).filter(differs).count();
    assert_eq!(count, 0, "pixels on the screen are not the document's");
}
