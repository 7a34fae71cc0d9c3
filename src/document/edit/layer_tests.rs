//! What an artist does with layers.

use super::*;
use crate::document::alphabet::vectors::Alphabet;
use crate::document::edit::detail_policy::DetailPolicy;
use crate::document::edit::history::History;
use crate::document::grid::codes::Codebooks;
use crate::document::grid::codes::{Codes, EMPTY};
use crate::document::grid::geometry::{Geometry, Wrap};
use crate::document::grid::source::Source;
use crate::document::tools::brush::{Brush, Shape};
use crate::document::tools::{BrushStroke, Easel, Medium, Setup};

fn document() -> Document {
    let geometry = Geometry::new(96, 64).unwrap();
    let source = Source::from_rgba8(96, 64, vec![9; 96 * 64 * 4]).unwrap();
    let mut codes = Codes::blank(geometry);
    for index in 0..geometry.cell_count(Level::Detail) as u32 {
        codes.detail.set(index, Some(index as u16 % 7));
    }
    Document::new(source, codes, Wrap::default(), "abc").unwrap()
}

fn paint(doc: &mut Document, index: u32, code: u16) {
    doc.begin("paint").unwrap();
    doc.paint_cell(Level::Structure, index, Some(code), DetailPolicy::Empty)
        .unwrap();
    doc.commit();
}

fn erase(doc: &mut Document, index: u32) {
    doc.begin("erase").unwrap();
    doc.erase_cell(Level::Structure, index).unwrap();
    doc.commit();
}

fn look(doc: &Document, id: LayerId) -> LayerLook {
    doc.layers().get(id).unwrap().look().clone()
}

fn show(doc: &mut Document, id: LayerId, is_visible: bool) {
    let look = LayerLook {
        is_visible,
        ..look(doc, id)
    };
    doc.set_layer_look(id, look).unwrap();
}

fn structure(doc: &Document, index: u32) -> Option<u16> {
    doc.edited().structure.at(index)
}

/// Undoes everything to the start and does it all again; each state must come back.
fn walks_through_its_history(doc: &mut Document) {
    let end = (doc.edited().clone(), doc.layers().layers().to_vec());
    let mut states = vec![end.clone()];
    while doc.undo().is_some() {
        states.push((doc.edited().clone(), doc.layers().layers().to_vec()));
        let whole = doc.layers().compose(usize::MAX, doc.encoded());
        assert_eq!(
            **doc.edited(),
            whole,
            "cells are composed one by one as all at once"
        );
    }
    assert!(!doc.is_edited());
    states.pop();
    while let Some(state) = states.pop() {
        doc.redo().unwrap();
        assert_eq!(
            (doc.edited().clone(), doc.layers().layers().to_vec()),
            state
        );
    }
    assert!(doc.redo().is_none());
}

#[test]
fn an_upper_layer_hides_and_its_eraser_shows_what_is_below() {
    let mut doc = document();
    paint(&mut doc, 1, 5);
    doc.add_layer().unwrap();
    let upper = doc.active().layer;
    paint(&mut doc, 1, 6);
    paint(&mut doc, 2, 6);
    assert_eq!([1, 2].map(|i| structure(&doc, i)), [Some(6); 2]);
    show(&mut doc, upper, false);
    assert_eq!([1, 2].map(|i| structure(&doc, i)), [Some(5), Some(0)]);
    show(&mut doc, upper, true);
    erase(&mut doc, 1);
    assert_eq!(structure(&doc, 1), Some(5));
    erase(&mut doc, 2);
    assert!(doc.layers().get(upper).unwrap().is_empty());
    doc.set_active(Target::default());
    erase(&mut doc, 1);
    assert!(!doc.is_edited(), "erasing all brings the source back");
    walks_through_its_history(&mut doc);
}

#[test]
fn a_stroke_below_a_covering_layer_is_kept_though_nobody_sees_it() {
    let mut doc = document();
    doc.add_layer().unwrap();
    paint(&mut doc, 3, 8);
    doc.set_active(Target::default());
    let brush = Brush {
        shape: Shape::Square,
        size: 1,
        ..Brush::default()
    };
    let alphabet = Alphabet::plain(Codebooks {
        structure: 24,
        detail: 32,
    });
    let mut easel = Easel::new(&mut doc, None, &alphabet);
    let setup = Setup::new(Level::Structure, brush, Medium::Code(Some(4)));
    let stroke = BrushStroke::press(&mut easel, setup, "below", (56.0, 8.0)).unwrap();
    stroke.release(&mut easel).unwrap().unwrap();
    let changed = easel.take_deltas();
    assert_eq!(changed.len(), 17);
    assert!(changed.iter().all(|delta| delta.before == delta.after));
    assert_eq!(structure(&doc, 3), Some(8));
    doc.delete_layer(1).unwrap();
    assert_eq!(structure(&doc, 3), Some(4));
    walks_through_its_history(&mut doc);
}

#[test]
fn layers_are_reordered_duplicated_and_merged() {
    let mut doc = document();
    paint(&mut doc, 0, 3);
    doc.add_layer().unwrap();
    paint(&mut doc, 0, 4);
    paint(&mut doc, 5, 4);
    doc.move_layer(1, 0).unwrap().unwrap();
    assert_eq!([0, 5].map(|i| structure(&doc, i)), [Some(3), Some(4)]);
    assert!(doc.move_layer(1, 0).unwrap().is_none());
    doc.move_layer(1, 9).unwrap().unwrap();
    doc.duplicate_layer(1).unwrap();
    let copy = doc.active().layer;
    assert_eq!(look(&doc, copy).name, "Layer 2 copy");
    paint(&mut doc, 5, 9);
    let before = doc.edited().clone();
    doc.merge_down(copy).unwrap();
    doc.merge_down(1).unwrap();
    assert_eq!(doc.edited(), &before, "merging full layers changes nothing");
    assert_eq!(doc.layers().layers().len(), 1);
    assert_eq!(doc.active(), Target::default());
    assert!(doc.merge_down(BASE_LAYER).is_err());
    assert!(doc.delete_layer(BASE_LAYER).is_err());
    walks_through_its_history(&mut doc);
    // An id never comes back as another layer, though the first one is undone.
    let ids: Vec<LayerId> = (0..2)
        .map(|_| {
            doc.undo();
            doc.add_layer().unwrap();
            doc.active().layer
        })
        .collect();
    assert!(ids[0] > copy && ids[1] > ids[0]);
}

#[test]
fn a_mask_hides_without_forgetting() {
    let mut doc = document();
    doc.add_layer().unwrap();
    paint(&mut doc, 2, 7);
    let mask = Target {
        layer: 1,
        is_mask: true,
    };
    assert!(doc.set_active(mask));
    paint(&mut doc, 2, 1);
    paint(&mut doc, 2, 3);
    assert!(
        !doc.is_edited(),
        "detail under a hidden cell is hidden with it"
    );
    let off = LayerLook {
        is_mask_on: false,
        ..look(&doc, 1)
    };
    doc.set_layer_look(1, off).unwrap();
    assert_eq!(structure(&doc, 2), Some(7));
    doc.undo();
    erase(&mut doc, 2);
    assert_eq!(structure(&doc, 2), Some(7));
    assert_eq!(doc.edited().detail.at(8), None);
    paint(&mut doc, 2, 1);
    doc.clear_mask(1).unwrap().unwrap();
    assert!(doc.clear_mask(1).unwrap().is_none());
    assert_eq!(structure(&doc, 2), Some(7));
    walks_through_its_history(&mut doc);
}

#[test]
fn a_locked_or_hidden_layer_refuses_strokes_and_says_why() {
    let mut doc = document();
    let locked = LayerLook {
        is_locked: true,
        ..look(&doc, BASE_LAYER)
    };
    doc.set_layer_look(BASE_LAYER, locked).unwrap();
    let error = doc.begin("paint").unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    assert!(error.notice.why.contains("“Layer 1” is locked"), "{error}");
    assert!(doc.set_cell(Level::Structure, 0, Some(1)).is_err());
    doc.undo();
    show(&mut doc, BASE_LAYER, false);
    assert!(
        doc.begin("paint")
            .unwrap_err()
            .notice
            .why
            .contains("hidden")
    );
    doc.undo();
    doc.begin("paint").unwrap();
    assert!(doc.add_layer().is_err(), "not in the middle of a stroke");
    assert!(!doc.set_active(Target::default()));
}

#[test]
fn blended_layers_make_passes() {
    let mut doc = document();
    let opacity = |doc: &mut Document, id, opacity_percent| {
        let look = LayerLook {
            opacity_percent,
            ..look(doc, id)
        };
        doc.set_layer_look(id, look).unwrap();
    };
    for _ in 0..3 {
        doc.add_layer().unwrap();
    }
    let passes = |doc: &Document| -> Vec<_> {
        let passes = doc.layers().passes();
        passes
            .into_iter()
            .map(|p| (p.layers, p.opacity_percent))
            .collect()
    };
    assert_eq!(passes(&doc), [(0..4, 100)]);
    opacity(&mut doc, 2, 40);
    assert_eq!(passes(&doc), [(0..2, 100), (2..3, 40), (3..4, 100)]);
    opacity(&mut doc, 3, 0);
    show(&mut doc, 0, false);
    assert_eq!(passes(&doc), [(1..2, 100), (2..3, 40)]);
    for id in [1, 2] {
        show(&mut doc, id, false);
    }
    assert_eq!(passes(&doc), [(0..0, 100)]);
    assert!(doc.set_layer_look(1, LayerLook::new(" ")).is_err());
    // A blended layer that puts the source's code over another still changes the picture.
    let mut doc = document();
    paint(&mut doc, 1, 5);
    doc.add_layer().unwrap();
    paint(&mut doc, 1, 0);
    opacity(&mut doc, 1, 50);
    doc.begin("same detail").unwrap();
    for under in doc.detail_under(1).collect::<Vec<_>>() {
        doc.set_cell(Level::Detail, under, doc.encoded().detail.at(under))
            .unwrap();
    }
    doc.commit();
    assert_eq!(doc.edited(), doc.encoded());
    assert!(doc.is_edited());
    assert_eq!(doc.changes().len(), 17);
}

#[test]
fn a_snapshot_brings_all_layers_back_as_one_step() {
    let mut doc = document();
    paint(&mut doc, 1, 5);
    doc.add_layer().unwrap();
    paint(&mut doc, 2, 6);
    let snapshot = doc.layers().clone();
    doc.delete_layer(1).unwrap();
    paint(&mut doc, 1, 9);
    doc.replace_layers("Back to “Good”", snapshot.clone())
        .unwrap()
        .unwrap();
    assert_eq!([1, 2].map(|i| structure(&doc, i)), [Some(5), Some(6)]);
    assert!(doc.replace_layers("again", snapshot).unwrap().is_none());
    doc.undo();
    assert_eq!([1, 2].map(|i| structure(&doc, i)), [Some(9), Some(0)]);
    doc.redo();
    walks_through_its_history(&mut doc);
}

#[test]
fn strokes_know_whether_they_follow() {
    let mut doc = document();
    paint(&mut doc, 1, 5);
    doc.add_layer().unwrap();
    paint(&mut doc, 2, 6);
    doc.merge_down(1).unwrap();
    let strokes = doc.history().strokes().to_vec();
    let mut stack = LayerStack::default();
    for stroke in &strokes {
        assert!(stroke.follows(&stack, doc.encoded()), "{}", stroke.label);
        stroke.check(doc.geometry()).unwrap();
        stroke.apply(&mut stack, doc.encoded());
    }
    assert_eq!(stack.layers(), doc.layers().layers());
    let start = LayerStack::default();
    assert!(
        strokes[2..]
            .iter()
            .all(|stroke| !stroke.follows(&start, doc.encoded()))
    );
    // A stored document is what it was.
    let history = History::from_parts(strokes, 4).unwrap();
    let (source, encoded) = (doc.source().clone(), Codes::clone(doc.encoded()));
    let mut again =
        Document::with_layers(source, encoded, stack, Wrap::default(), "abc", history).unwrap();
    assert_eq!(again.edited(), doc.edited());
    assert!(again.layers().fresh_id() > 1);
    walks_through_its_history(&mut again);
    let mut odd = (*again.history().strokes()[0]).clone();
    odd.deltas[0].after = EMPTY;
    assert!(odd.check(doc.geometry()).is_err());
}
