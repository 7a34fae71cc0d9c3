use proptest::prelude::*;

use super::*;
use crate::document::alphabet::vectors::{CodeVectors, Vectors};
use crate::document::edit::selection::Combine;
use crate::document::grid::codes::Codes;
use crate::document::grid::geometry::{Geometry, Level, Rect, Wrap};
use crate::document::grid::source::Source;
use crate::document::tools::brush::Brush;
use crate::document::tools::{Path, Symmetry};

const BOOKS: Codebooks = Codebooks {
    structure: 32,
    detail: 32,
};

fn document(wrap: Wrap) -> Document {
    let geometry = Geometry::new(160, 96).unwrap();
    let source = Source::from_rgba8(160, 96, vec![128; 160 * 96 * 4]).unwrap();
    let mut codes = Codes::blank(geometry);
    for level in Level::ALL {
        for i in 0..geometry.cell_count(level) as u32 {
            codes.level_mut(level).set(i, Some((i % 11) as u16));
        }
    }
    Document::new(source, codes, wrap, "m").unwrap()
}

fn run(doc: &mut Document, operations: &str) -> Result<Applied> {
    EditScript::from_json(&format!(
        r#"{{"tessera_edits": 1, "operations": [{operations}]}}"#
    ))?
    .apply(doc, BOOKS)
}

fn error(operations: &str) -> String {
    run(&mut document(Wrap::default()), operations)
        .unwrap_err()
        .to_string()
}

#[test]
fn painting_structure_empties_detail_unless_told() {
    let mut doc = document(Wrap::default());
    let op = r#"{"op":"paint","level":"structure","code":20,"points":[[2.5,2.5]]}"#;
    run(&mut doc, op).unwrap();
    assert_eq!(doc.edited().structure.get(2, 2), Some(20));
    assert_eq!(doc.edited().detail.get(8, 8), None);
    assert_eq!(doc.changed_cells(Level::Detail).count(), 16);
    let keep = op.replace("\"points\"", "\"detail\":\"keep\",\"points\"");
    let mut doc = document(Wrap::default());
    run(&mut doc, &keep).unwrap();
    assert_eq!(doc.changed_cells(Level::Detail).count(), 0);
}

#[test]
fn pixels_and_cells_meet() {
    let mut doc = document(Wrap::default());
    run(
        &mut doc,
        r#"{"op":"paint","level":"detail","code":20,"unit":"pixels","points":[[41,41]]},
           {"op":"fill","level":"structure","code":21,"unit":"pixels","rect":{"x":15,"y":0,"width":2,"height":1}}"#,
    )
    .unwrap();
    assert_eq!(doc.edited().detail.get(10, 10), Some(20));
    let structure: Vec<_> = doc.changed_cells(Level::Structure).collect();
    assert_eq!(structure, [0, 1]);
}

#[test]
fn copied_stamps_bring_detail_along() {
    let mut doc = document(Wrap::default());
    run(
        &mut doc,
        r#"{"op":"stamp","level":"structure","at":[5,3],"copy":{"x":0,"y":0,"width":2,"height":2}}"#,
    )
    .unwrap();
    let (old, new) = (doc.encoded(), doc.edited());
    for (x, y) in [(0, 0), (1, 1)] {
        assert_eq!(new.structure.get(5 + x, 3 + y), old.structure.get(x, y));
    }
    assert_eq!(new.detail.get(27, 19), old.detail.get(7, 7));
}

#[test]
fn stamps_are_cut_at_the_border_or_wrap() {
    let op = r#"{"op":"stamp","level":"detail","at":[39,23],"pattern":{"width":2,"height":2,"codes":[25,26,null,27]}}"#;
    let mut doc = document(Wrap::default());
    run(&mut doc, op).unwrap();
    assert_eq!(doc.changed_cells(Level::Detail).count(), 1);
    let mut doc = document(Wrap { x: true, y: true });
    run(&mut doc, op).unwrap();
    assert_eq!(doc.edited().detail.get(0, 0), Some(27));
    assert_eq!(doc.edited().detail.get(39, 0), None);
    assert_eq!(doc.edited().detail.get(0, 23), Some(26));
}

#[test]
fn replacing_hits_every_cell_of_that_code_and_no_other() {
    let mut doc = document(Wrap::default());
    run(
        &mut doc,
        r#"{"op":"replace","level":"detail","from":3,"to":null},
           {"op":"replace","level":"detail","from":4,"to":30,"rect":{"x":0,"y":0,"width":20,"height":1}}"#,
    )
    .unwrap();
    for (old, new) in doc
        .encoded()
        .detail
        .cells()
        .iter()
        .zip(doc.edited().detail.cells())
        .skip(20)
    {
        assert_eq!(*new, if *old == 3 { u16::MAX } else { *old });
    }
    let thirty = doc.edited().detail.cells().iter().filter(|&&c| c == 30);
    assert_eq!(thirty.count(), 2);
}

#[test]
fn undo_redo_and_erase() {
    let mut doc = document(Wrap::default());
    let applied = run(
        &mut doc,
        r#"{"op":"fill","level":"structure","code":9,"rect":{"x":0,"y":0,"width":4,"height":4}},
           {"op":"empty_detail"},
           {"op":"undo","count":2},
           {"op":"redo"},
           {"op":"erase","rect":{"x":0,"y":0,"width":4,"height":3}},
           {"op":"erase","points":[[0.5,3.5],[3.5,3.5]]}"#,
    )
    .unwrap();
    assert!(!doc.is_edited());
    assert_eq!(applied.strokes.len(), 4);
    assert_eq!(doc.history().strokes().len(), 3);
    assert!(!applied.dirty.is_empty());
}

#[test]
fn a_failing_script_changes_nothing_and_names_the_operation() {
    let mut doc = document(Wrap::default());
    let before = doc.edited().clone();
    let message = run(
        &mut doc,
        r#"{"op":"fill","level":"structure","code":9,"rect":{"x":0,"y":0,"width":4,"height":4}},
           {"op":"fill","level":"structure","code":99,"rect":{"x":0,"y":0,"width":1,"height":1}}"#,
    )
    .unwrap_err()
    .to_string();
    assert!(message.contains("operation 1 (fill)"), "{message}");
    assert!(message.contains("no structure code 99"), "{message}");
    assert_eq!(doc.edited(), &before);
    assert!(!doc.history().can_undo());
}

#[test]
fn mistakes_are_named() {
    for (operation, expected) in [
        (
            r#"{"op":"paint","level":"detail","points":[[1,1]]}"#,
            "missing field `code`",
        ),
        (
            r#"{"op":"paint","level":"detail","code":1,"points":[]}"#,
            "`points` is empty",
        ),
        (
            r#"{"op":"paint","level":"detail","code":1,"points":[[1,1]],"colour":2}"#,
            "unknown field `colour`",
        ),
        (
            r#"{"op":"paint","level":"detail","code":1,"points":[[1,1]],"brush":{"siz":2}}"#,
            "unknown field `siz`",
        ),
        (
            r#"{"op":"paint","level":"detail","code":70000,"points":[[1,1]]}"#,
            "70000",
        ),
        (
            r#"{"op":"paint","level":"structure","code":null,"points":[[1,1]]}"#,
            "only detail cells can be empty",
        ),
        (r#"{"op":"smear"}"#, "unknown variant `smear`"),
        (r#"{"op":"erase"}"#, "either `rect` or `points`"),
        (
            r#"{"op":"stamp","level":"detail","at":[0,0]}"#,
            "either `pattern` or `copy`",
        ),
        (
            r#"{"op":"stamp","level":"detail","at":[0,0],"pattern":{"width":9,"height":1,"codes":[1]}}"#,
            "width × height",
        ),
        (
            r#"{"op":"stamp","level":"detail","at":[0,0],"copy":{"x":0,"y":0,"width":4294967295,"height":4294967295}}"#,
            "cells",
        ),
        (
            r#"{"op":"fill","level":"detail","code":1,"rect":{"x":39,"y":0,"width":2,"height":1}}"#,
            "does not lie within",
        ),
        (
            r#"{"op":"fill","level":"detail","code":1,"rect":{"x":4294967295,"y":0,"width":4294967295,"height":1}}"#,
            "does not lie within",
        ),
        (
            r#"{"op":"paint","level":"detail","code":1,"points":[[0,0],[3e38,0]],"brush":{"size":512}}"#,
            "too long",
        ),
    ] {
        let message = error(operation);
        assert!(message.contains("operation 0"), "{message}");
        assert!(message.contains(expected), "{message}\nwanted: {expected}");
    }
}

#[test]
fn other_versions_and_other_files_are_told_apart() {
    let newer = r#"{"tessera_edits": 9, "operations": [], "layers": []}"#;
    assert_eq!(EditScript::from_json(newer).unwrap_err().kind, Kind::Newer);
    for text in [
        "",
        "[]",
        "{}",
        r#"{"tessera_edits":0,"operations":[]}"#,
        r#"{"tessera_edits":1}"#,
    ] {
        assert_eq!(
            EditScript::from_json(text).unwrap_err().kind,
            Kind::Usage,
            "{text}"
        );
    }
}

#[test]
fn what_is_written_is_read_back() {
    let script = EditScript::new(vec![
        Operation::Paint {
            level: Level::Detail,
            code: None,
            points: vec![(1.5, 2.5)],
            unit: Unit::Pixels,
            brush: Brush::default(),
            detail: DetailPolicy::Keep,
            symmetry: Symmetry::default(),
            path: Path::Line,
            pressure: vec![0.5],
        },
        Operation::Select {
            area: Area::Grown(2),
            how: Combine::Add,
            level: Level::Detail,
            unit: Unit::Cells,
        },
        Operation::Erase {
            level: Level::Structure,
            rect: Some(Rect::new(0, 0, 1, 1)),
            points: None,
            unit: Unit::Cells,
            brush: Brush::default(),
            to: EraseTo::Empty,
            symmetry: Symmetry::default(),
            path: Path::Freehand,
        },
        Operation::Redo { count: 3 },
    ]);
    let text = serde_json::to_string(&script).unwrap();
    assert_eq!(EditScript::from_json(&text).unwrap(), script);
}

fn operation() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just("structure"), Just("detail")];
    (level, 0u16..32, 0u32..10, 0u32..6, 1u32..5, 0u32..6).prop_map(
        |(level, code, x, y, size, which)| match which {
            0 => format!(
                r#"{{"op":"paint","level":"{level}","code":{code},"points":[[{x},{y}],[{y},{x}]],"brush":{{"size":{size},"scatter":0.3,"seed":{code}}}}}"#
            ),
            1 => format!(
                r#"{{"op":"stamp","level":"{level}","at":[{x},{y}],"copy":{{"x":0,"y":0,"width":{size},"height":{size}}}}}"#
            ),
            2 => format!(r#"{{"op":"replace","level":"{level}","from":{x},"to":{code}}}"#),
            3 => format!(r#"{{"op":"erase","level":"{level}","points":[[{x},{y}]],"brush":{{"size":{size}}}}}"#),
            4 => r#"{"op":"empty_detail","rect":{"x":1,"y":1,"width":9,"height":3}}"#.to_owned(),
            _ => format!(r#"{{"op":"undo","count":{}}}"#, size % 3),
        },
    )
}

proptest! {
    #[test]
    fn undo_after_do_is_the_identity(
        operations in prop::collection::vec(operation(), 1..12), x in any::<bool>(), y in any::<bool>()
    ) {
        let mut doc = document(Wrap { x, y });
        let start = doc.edited().clone();
        run(&mut doc, &operations.join(",")).unwrap();
        let end = doc.edited().clone();
        let mut steps = 0;
        while doc.undo().is_some() { steps += 1; }
        prop_assert_eq!(doc.edited(), &start);
        for _ in 0..steps { doc.redo().unwrap(); }
        prop_assert_eq!(doc.edited(), &end);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
        let _ = EditScript::from_json(&text);
        let _ = run(&mut document(Wrap::default()), &text);
    }
}

fn run_with_vectors(doc: &mut Document, operations: &str) -> Result<Applied> {
    let line = || CodeVectors::new(1, (0..32).map(|i| i as f32).collect()).unwrap();
    let alphabet = Alphabet::new(Arc::new(Vectors {
        structure: line(),
        detail: line(),
    }));
    EditScript::from_json(&format!(
        r#"{{"tessera_edits": 1, "operations": [{operations}]}}"#
    ))?
    .apply_with(doc, &alphabet)
}

fn changed(doc: &Document, level: Level) -> Vec<u32> {
    doc.changed_cells(level).collect()
}

#[test]
fn a_selection_restricts_what_comes_after_it() {
    let mut doc = document(Wrap::default());
    run(
        &mut doc,
        r#"{"op":"select","area":{"rect":{"x":3,"y":3,"width":2,"height":1}}},
           {"op":"fill","level":"structure","code":30,"detail":"keep"},
           {"op":"select","how":"add","area":{"rect":{"x":7,"y":3,"width":1,"height":1}}},
           {"op":"select","area":{"grown":1}},
           {"op":"select","area":{"shrunk":1}},
           {"op":"paint","level":"structure","code":31,"points":[[0.5,3.5],[9.5,3.5]],"detail":"keep"},
           {"op":"select","area":"inverted"},
           {"op":"replace","level":"structure","from":0,"to":29,"detail":"keep"},
           {"op":"select","area":"none"},
           {"op":"paint","level":"structure","code":28,"points":[[9.5,5.5]],"detail":"keep"}"#,
    )
    .unwrap();
    let grid = &doc.edited().structure;
    // Growing and shrinking has closed the gap between the two.
    assert_eq!([3, 5, 7].map(|x| grid.get(x, 3)), [Some(31); 3]);
    assert_eq!(grid.get(2, 3), doc.encoded().structure.get(2, 3));
    assert_eq!([grid.get(0, 0), grid.get(9, 5)], [Some(29), Some(28)]);
}

#[test]
fn every_tool_can_be_scripted() {
    let cases = [
        (
            r#"{"op":"bucket","level":"structure","at":[0.5,0.5],"code":20,"contiguous":false,"detail":"keep"}"#,
            6,
        ),
        (
            r#"{"op":"gradient","level":"structure","from":[0,0],"to":[10,0],"codes":[20,30],"detail":"keep"}"#,
            60,
        ),
        (
            r#"{"op":"pattern","level":"structure","block":{"level":"structure","width":1,"height":2,"codes":[20,21]},
                "turn":{"quarters":1},"points":[[5,3.5]],"detail":"keep"}"#,
            2,
        ),
        (
            r#"{"op":"pattern","level":"structure","copy":{"x":0,"y":0,"width":2,"height":1},"layout":"tile",
                "aligned":true,"path":"rectangle","points":[[0.5,5.5],[1.5,5.5]]}"#,
            2,
        ),
        (
            r#"{"op":"clone","level":"structure","source":[0.5,0.5],"points":[[4.5,2.5],[5.5,2.5]]}"#,
            2,
        ),
        (
            r#"{"op":"smudge","level":"structure","points":[[0.5,0.5],[4.5,0.5]],"strength":1,"detail":"keep"}"#,
            4,
        ),
        (
            r#"{"op":"select","area":{"rect":{"x":0,"y":0,"width":1,"height":1}}},
               {"op":"move","level":"structure","by":[3,2],"leaves":20}"#,
            2,
        ),
        (
            r#"{"op":"paint","level":"structure","code":20,"points":[[1.5,1.5]],"symmetry":{"x":true,"y":true}}"#,
            4,
        ),
        (
            r#"{"op":"select","area":{"ellipse":{"x":0,"y":0,"width":3,"height":3}}},
               {"op":"fill","level":"structure","code":20}"#,
            9,
        ),
        (
            r#"{"op":"select","area":{"lasso":[[0,0],[3,0],[0,3]]}},{"op":"fill","level":"structure","code":20}"#,
            3,
        ),
        (
            r#"{"op":"select","area":{"wand":{"at":[0.5,0.5],"contiguous":false}}},
               {"op":"fill","level":"structure","code":20}"#,
            6,
        ),
        (r#"{"op":"erase","to":"empty","points":[[0.5,0.5]]}"#, 0),
    ];
    for (operations, structure_cells) in cases {
        let mut doc = document(Wrap::default());
        run_with_vectors(&mut doc, operations).unwrap();
        let cells = changed(&doc, Level::Structure).len();
        assert_eq!(cells, structure_cells, "{operations}");
        assert!(doc.is_edited(), "{operations}");
        doc.undo().unwrap();
        assert!(!doc.is_edited(), "{operations}");
    }
}

#[test]
fn mistakes_with_the_tools_are_named() {
    for (operation, expected) in [
        (
            r#"{"op":"smudge","level":"detail","points":[[1,1]]}"#,
            "vectors",
        ),
        (r#"{"op":"select","area":"some"}"#, "unknown variant `some`"),
        (
            r#"{"op":"select","area":{"rect":{"x":9,"y":0,"width":2,"height":1}}}"#,
            "does not lie within",
        ),
        (
            r#"{"op":"bucket","level":"detail","at":[-1,0],"code":1}"#,
            "does not lie in the picture",
        ),
        (
            r#"{"op":"pattern","level":"detail","points":[[1,1]]}"#,
            "either `block` or `copy`",
        ),
        (
            r#"{"op":"paint","level":"detail","code":1,"points":[[1,1]],"symmetry":{"turns":99}}"#,
            "turns",
        ),
        (
            r#"{"op":"gradient","level":"detail","from":[0,0],"to":[1,1],"codes":[0,1],"scatter":3}"#,
            "scatter",
        ),
    ] {
        let message = error(operation);
        assert!(message.contains(expected), "{message}\nwanted: {expected}");
    }
}

#[test]
fn the_scripts_shown_in_the_readme_are_sound() {
    for text in [
        include_str!("../../../assets/demo-edits.json"),
        include_str!("../../../assets/edits/alpenglow.json"),
        include_str!("../../../assets/edits/desert-moon.json"),
        include_str!("../../../assets/edits/sunken-hall.json"),
    ] {
        let script = EditScript::from_json(text).unwrap();
        assert!(!script.operations.is_empty() && !script.pulls_detail());
    }
}
