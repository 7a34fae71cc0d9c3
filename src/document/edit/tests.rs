//! Strokes on a document as transactions.

use super::*;
use crate::document::edit::detail_policy::DetailPolicy;

fn document() -> Document {
    let geometry = Geometry::new(40, 24).unwrap();
    let source = Source::from_rgba8(40, 24, vec![9; 40 * 24 * 4]).unwrap();
    let mut codes = Codes::blank(geometry);
    for i in 0..geometry.cell_count(Level::Detail) as u32 {
        codes.detail.set(i, Some(i as u16 % 7));
    }
    Document::new(source, codes, Wrap::default(), "abc").unwrap()
}

#[test]
fn a_stroke_merges_repeated_changes_and_undoes_to_the_start() {
    let mut doc = document();
    let start = Arc::clone(doc.edited());
    doc.begin("paint").unwrap();
    for code in [3, 5, 9] {
        doc.paint_cell(Level::Structure, 1, Some(code), DetailPolicy::Empty)
            .unwrap();
    }
    let stroke = doc.commit().unwrap();
    assert_eq!(stroke.deltas.len(), 1 + 16);
    assert_eq!(doc.edited().structure.at(1), Some(9));
    assert_eq!(doc.changed_cells(Level::Detail).count(), 16);
    doc.undo().unwrap();
    assert_eq!(doc.edited(), &start);
    assert!(!doc.is_edited());
    doc.redo().unwrap();
    assert_eq!(doc.edited().structure.at(1), Some(9));
    assert!(doc.redo().is_none());
}

#[test]
fn a_stroke_that_ends_where_it_began_is_not_recorded() {
    let mut doc = document();
    doc.begin("nothing").unwrap();
    doc.set_cell(Level::Detail, 3, None).unwrap();
    doc.set_cell(Level::Detail, 3, Some(3)).unwrap();
    assert!(doc.commit().is_none());
    assert!(!doc.history().can_undo());
}

#[test]
fn an_aborted_stroke_leaves_no_trace() {
    let mut doc = document();
    doc.begin("paint").unwrap();
    doc.set_cell(Level::Detail, 8, None).unwrap();
    assert_eq!(doc.abort().unwrap().deltas.len(), 1);
    assert!(!doc.is_edited());
    assert!(doc.undo().is_none());
}

#[test]
fn a_new_stroke_forgets_what_was_undone() {
    let mut doc = document();
    for code in 1..=3 {
        doc.begin("paint").unwrap();
        doc.set_cell(Level::Structure, 0, Some(code)).unwrap();
        doc.commit().unwrap();
    }
    doc.undo().unwrap();
    doc.undo().unwrap();
    doc.begin("other").unwrap();
    doc.set_cell(Level::Structure, 1, Some(4)).unwrap();
    doc.commit().unwrap();
    assert_eq!(doc.history().strokes().len(), 2);
    assert!(!doc.history().can_redo());
}

#[test]
fn erasing_a_structure_cell_restores_its_detail() {
    let mut doc = document();
    doc.begin("paint").unwrap();
    doc.paint_cell(Level::Structure, 2, Some(5), DetailPolicy::Empty)
        .unwrap();
    doc.commit();
    doc.begin("erase").unwrap();
    assert!(doc.erase_cell(Level::Structure, 2).unwrap());
    doc.commit();
    assert!(!doc.is_edited());
    assert_eq!(doc.history().strokes().len(), 2);
}

#[test]
fn mistakes_are_errors_and_change_nothing() {
    let mut doc = document();
    assert_eq!(
        doc.set_cell(Level::Detail, 0, None).unwrap_err().kind,
        Kind::Internal
    );
    doc.begin("a").unwrap();
    assert!(doc.begin("b").is_err());
    assert!(doc.set_cell(Level::Structure, 0, None).is_err());
    assert!(doc.set_cell(Level::Detail, u32::MAX, Some(1)).is_err());
    assert!(!doc.is_edited());
}
