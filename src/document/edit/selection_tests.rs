use super::*;
use crate::document::alphabet::vectors::Alphabet;
use crate::document::grid::codes::{Codebooks, Codes};

fn geometry() -> Geometry {
    Geometry::new(160, 96).unwrap()
}

/// Rows of the structure grid (10 × 6), `#` where it is selected.
fn picture(selection: &Selection) -> Vec<String> {
    (0..6)
        .map(|y| {
            (0..10)
                .map(|x| {
                    let is_on = selection.allows(Level::Structure, y * 10 + x);
                    if is_on { '#' } else { '.' }
                })
                .collect()
        })
        .collect()
}

#[test]
fn a_rectangle_takes_every_cell_it_touches_and_is_cut_at_the_canvas() {
    let s = Selection::rectangle(geometry(), Level::Structure, (47.0, 31.9), (16.0, 16.0));
    assert_eq!(
        picture(&s),
        [
            "..........",
            ".##.......",
            "..........",
            "..........",
            "..........",
            ".........."
        ]
    );
    assert_eq!(s.count(), 2 * 16);
    assert_eq!(s.bounds(), Rect::new(4, 4, 8, 4));
    let s = Selection::rectangle(geometry(), Level::Structure, (-50.0, 90.0), (1e6, 1e6));
    assert_eq!(picture(&s)[5], "##########");
    assert_eq!(s.count(), 10 * 16);
    assert!(Selection::rectangle(geometry(), Level::Detail, (-9.0, 0.0), (-5.0, 9.0)).is_empty());
}

#[test]
fn an_ellipse_is_round_and_a_lasso_follows_its_line() {
    let s = Selection::ellipse(geometry(), Level::Structure, (0.0, 0.0), (159.0, 95.0));
    assert_eq!(
        picture(&s),
        [
            "..######..",
            ".########.",
            "##########",
            "##########",
            ".########.",
            "..######.."
        ]
    );
    let triangle = [(0.0, 0.0), (160.0, 0.0), (0.0, 96.0)];
    let s = Selection::lasso(geometry(), Level::Structure, &triangle);
    assert_eq!(picture(&s)[0], "#########.");
    assert_eq!(picture(&s)[3], "####......");
    assert_eq!(picture(&s)[5], "#.........");
    // Drawn over itself it stays filled.
    let twice: Vec<_> = triangle.iter().chain(&triangle).copied().collect();
    assert_eq!(Selection::lasso(geometry(), Level::Structure, &twice), s);
    for few in [&[][..], &[(3.0, 3.0)], &[(3.0, 3.0), (90.0, 50.0)]] {
        assert!(Selection::lasso(geometry(), Level::Detail, few).is_empty());
    }
}

#[test]
fn areas_add_subtract_and_intersect() {
    let left = Selection::rectangle(geometry(), Level::Structure, (0.0, 0.0), (79.0, 95.0));
    let top = Selection::rectangle(geometry(), Level::Structure, (0.0, 0.0), (159.0, 47.0));
    let combined = |how| {
        let mut s = left.clone();
        s.combine(&top, how);
        s.count() / 16
    };
    assert_eq!(combined(Combine::Replace), 30);
    assert_eq!(combined(Combine::Add), 45);
    assert_eq!(combined(Combine::Subtract), 15);
    assert_eq!(combined(Combine::Intersect), 15);
    let mut inverted = left.clone();
    inverted.invert();
    assert_eq!(inverted.count(), 30 * 16);
    inverted.combine(&left, Combine::Add);
    assert_eq!(inverted, Selection::all(geometry()));
}

#[test]
fn growing_and_shrinking_are_inverse_on_a_rectangle_and_heed_the_border() {
    let wrap = Wrap::default();
    let start = Selection::rectangle(geometry(), Level::Structure, (32.0, 32.0), (63.0, 63.0));
    let mut s = start.clone();
    s.grow(4, wrap);
    assert_eq!(s.count(), 16 * 16);
    assert_eq!(picture(&s)[1], ".####.....");
    s.shrink(4, wrap);
    assert_eq!(s, start);
    let mut all = Selection::all(geometry());
    all.shrink(9, wrap);
    assert_eq!(all, Selection::all(geometry()));

    // Across column 64 of the bits, and around a wrapping canvas.
    let wide = Geometry::new(400, 64).unwrap();
    let mut s = Selection::of_cells(wide, Level::Detail, [63]);
    s.grow(1, wrap);
    assert_eq!(s.bounds(), Rect::new(62, 0, 3, 2));
    let mut s = Selection::of_cells(wide, Level::Detail, [0]);
    s.grow(1, Wrap { x: true, y: true });
    assert_eq!(s.count(), 9);
    assert!(s.contains(99, 15) && s.contains(1, 1));
    let mut s = Selection::of_cells(wide, Level::Detail, [5]);
    s.grow(100_000, wrap);
    assert_eq!(s, Selection::all(wide));
}

#[test]
fn half_a_structure_cell_is_enough_for_a_structure_tool() {
    let mut s = Selection::of_cells(
        geometry(),
        Level::Detail,
        (0..7).map(|i| i % 4 + i / 4 * 40),
    );
    assert!(!s.allows(Level::Structure, 0));
    s.combine(
        &Selection::of_cells(geometry(), Level::Detail, [43]),
        Combine::Add,
    );
    assert!(s.allows(Level::Structure, 0));
    assert!(!s.allows(Level::Structure, 60) && !s.allows(Level::Detail, u32::MAX));
    assert_eq!(s.cells(Level::Detail).count(), 8);
}

#[test]
fn the_wand_finds_what_hangs_together_or_all_of_it() {
    let mut codes = Codes::blank(geometry());
    for index in [11, 12, 22, 38] {
        codes.structure.set(index, Some(3));
    }
    let alphabet = Alphabet::plain(Codebooks {
        structure: 8,
        detail: 8,
    });
    let alike = alphabet.alike(Level::Structure, Some(3), 0.0).unwrap();
    let wand = |contiguous, wrap| {
        Selection::wand(
            geometry(),
            &codes.structure,
            Level::Structure,
            12,
            &alike,
            contiguous,
            wrap,
        )
        .count()
            / 16
    };
    assert_eq!(wand(true, Wrap::default()), 3);
    assert_eq!(wand(false, Wrap::default()), 4);
}

#[test]
fn a_selection_moves_and_what_leaves_is_gone_or_wraps() {
    let s = Selection::rectangle(geometry(), Level::Structure, (128.0, 0.0), (159.0, 31.0));
    let moved = s.moved((4, 4), Wrap::default());
    assert_eq!(picture(&moved)[1], ".........#");
    assert_eq!(moved.count(), 2 * 16);
    let wrapped = s.moved((4, -4), Wrap { x: true, y: true });
    assert_eq!(picture(&wrapped)[5], "#........#");
    assert_eq!(wrapped.count(), s.count());
    assert_eq!(
        s.to_mask().iter().filter(|&&m| m == 255).count() as u64,
        s.count()
    );
}
