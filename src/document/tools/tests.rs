//! What an artist does with each tool: press, drag, release, undo; which codes are there then.

#[path = "area_tests.rs"]
mod area;

use super::*;
use crate::document::alphabet::companions::Companions;
use crate::document::alphabet::vectors::{CodeVectors, Vectors};
use crate::document::edit::document::Document;
use crate::document::edit::selection::Combine;
use crate::document::grid::codes::Codes;
use crate::document::grid::geometry::{Geometry, Wrap};
use crate::document::grid::source::Source;
use crate::document::grid::turn::Turn;
use crate::document::tools::block::Block;
use crate::document::tools::brush::{Brush, Shape};

/// 10 × 6 structure cells: each row its own code (0 to 5), detail 1 everywhere.
fn document() -> Document {
    let geometry = Geometry::new(160, 96).unwrap();
    let source = Source::from_rgba8(160, 96, vec![128; 160 * 96 * 4]).unwrap();
    let mut codes = Codes::blank(geometry);
    for i in 0..60 {
        codes.structure.set(i, Some((i / 10) as u16));
    }
    for i in 0..960 {
        codes.detail.set(i, Some(1));
    }
    Document::new(source, codes, Wrap::default(), "m").unwrap()
}

/// 32 codes a level, on a line in the order of their numbers.
fn alphabet() -> Alphabet {
    let line = || CodeVectors::new(1, (0..32).map(|i| i as f32).collect()).unwrap();
    Alphabet::new(Arc::new(Vectors {
        structure: line(),
        detail: line(),
    }))
}

fn setup(level: Level, medium: Medium) -> Setup {
    Setup::new(level, Brush::default(), medium)
}

/// The middle of a structure cell, in pixels.
fn cell(x: u32, y: u32) -> (f32, f32) {
    (x as f32 * 16.0 + 8.0, y as f32 * 16.0 + 8.0)
}

struct Artist {
    document: Document,
    selection: Option<Selection>,
    alphabet: Alphabet,
}

impl Artist {
    fn new() -> Self {
        Self {
            document: document(),
            selection: None,
            alphabet: alphabet(),
        }
    }

    fn easel(&mut self) -> Easel<'_> {
        Easel::new(&mut self.document, self.selection.as_ref(), &self.alphabet)
    }

    fn drag(&mut self, setup: Setup, points: &[(f32, f32)]) -> Option<Arc<Stroke>> {
        let mut easel = self.easel();
        let mut stroke = BrushStroke::press(&mut easel, setup, "stroke", points[0]).unwrap();
        for point in &points[1..] {
            stroke.drag(&mut easel, *point).unwrap();
        }
        stroke.release(&mut easel).unwrap()
    }

    fn select(&mut self, a: (f32, f32), b: (f32, f32), how: Combine) {
        let mut outline = Outline::press(AreaShape::Rectangle, Level::Structure, how, a);
        outline.drag(b, false);
        self.selection = outline.release(self.document.geometry(), self.selection.as_ref());
    }

    /// The structure grid, one character a cell: digits and then letters.
    fn structure(&self) -> Vec<String> {
        (0..6)
            .map(|y| {
                (0..10)
                    .map(|x| {
                        let code = self.document.edited().structure.get(x, y).unwrap();
                        char::from_digit(u32::from(code), 36).unwrap()
                    })
                    .collect()
            })
            .collect()
    }

    /// One undo takes everything back.
    fn undo_to_the_start(&mut self) {
        self.document.undo().unwrap();
        assert!(!self.document.is_edited());
        self.document.redo().unwrap();
    }
}

#[test]
fn a_stroke_is_one_undo_and_stays_within_the_selection() {
    let mut artist = Artist::new();
    artist.select(cell(2, 0), cell(4, 5), Combine::Replace);
    artist.select(cell(6, 2), cell(6, 2), Combine::Add);
    // A press and release in one place selects nothing, so the added cell is none.
    let stroke = artist.drag(
        setup(Level::Structure, Medium::Code(Some(9))),
        &[cell(0, 2), cell(9, 2)],
    );
    assert_eq!(artist.structure()[2], "2299922222");
    assert_eq!(stroke.unwrap().deltas.len(), 3 * 17);
    artist.undo_to_the_start();
    assert_eq!(artist.document.edited().detail.get(8, 8), None);
    assert_eq!(artist.document.edited().detail.get(7, 8), Some(1));
}

#[test]
fn escape_takes_a_stroke_back() {
    let mut artist = Artist::new();
    let setup = setup(Level::Structure, Medium::Code(Some(9)));
    let mut easel = artist.easel();
    let mut stroke = BrushStroke::press(&mut easel, setup, "stroke", cell(0, 0)).unwrap();
    stroke.drag(&mut easel, cell(5, 0)).unwrap();
    assert_eq!(easel.take_deltas().len(), 6 * 17);
    assert!(easel.document.is_edited());
    let taken_back = stroke.abort(easel.document).unwrap();
    assert_eq!(taken_back.deltas.len(), 6 * 17);
    assert!(!artist.document.is_edited() && !artist.document.history().can_undo());
}

#[test]
fn lines_and_rectangles_wait_for_their_end() {
    let mut artist = Artist::new();
    let line = Setup {
        path: Path::Line,
        ..setup(Level::Structure, Medium::Code(Some(9)))
    };
    // The way there does not matter.
    artist.drag(line.clone(), &[cell(1, 1), cell(8, 5), cell(4, 1)]);
    assert_eq!(artist.structure()[1], "1999911111");
    artist.undo_to_the_start();
    artist.document.undo();
    let rectangle = Setup {
        path: Path::Rectangle,
        ..line
    };
    artist.drag(rectangle, &[cell(3, 3), cell(1, 4)]);
    assert_eq!(
        artist.structure()[3..],
        ["3999333333", "4999444444", "5555555555"]
    );
    artist.undo_to_the_start();
    assert_eq!(
        constrained(Path::Rectangle, (0.0, 0.0), (-3.0, 9.0)),
        (-9.0, 9.0)
    );
    let (x, y) = constrained(Path::Line, (0.0, 0.0), (10.0, 1.0));
    assert!((x - 10.05).abs() < 0.01 && y.abs() < 1e-3);
}

#[test]
fn symmetry_mirrors_and_turns_every_dab() {
    let mut artist = Artist::new();
    let mirrored = Setup {
        symmetry: Symmetry {
            x: true,
            y: true,
            ..Symmetry::default()
        },
        ..setup(Level::Structure, Medium::Code(Some(9)))
    };
    artist.drag(mirrored.clone(), &[cell(1, 0), cell(2, 0)]);
    let expected = [
        "0990000990",
        "1111111111",
        "2222222222",
        "3333333333",
        "4444444444",
        "5995555995",
    ];
    assert_eq!(artist.structure(), expected);
    artist.undo_to_the_start();
    artist.document.undo();
    // A quarter turn about the middle of a cell.
    let turned = Setup {
        symmetry: Symmetry {
            turns: 4,
            centre: Some((40.0, 40.0)),
            ..Symmetry::default()
        },
        ..mirrored
    };
    artist.drag(turned, &[cell(2, 0)]);
    assert_eq!(
        artist.structure()[..5],
        [
            "0090000000",
            "1111111111",
            "9222922222",
            "3333333333",
            "4494444444"
        ]
    );
    artist.undo_to_the_start();
}

#[test]
fn scatter_and_even_brushes_are_mirrored_exactly() {
    let mut artist = Artist::new();
    let scattered = Setup {
        brush: Brush {
            shape: Shape::Square,
            size: 6,
            scatter: 0.5,
            seed: 3,
        },
        symmetry: Symmetry {
            x: true,
            ..Symmetry::default()
        },
        ..setup(Level::Detail, Medium::Code(Some(9)))
    };
    artist.drag(scattered, &[(31.0, 30.0), (50.0, 60.0)]);
    let detail = &artist.document.edited().detail;
    let painted = detail.cells().iter().filter(|&&code| code == 9).count();
    assert!((20..300).contains(&painted), "{painted}");
    for y in 0..24 {
        for x in 0..40 {
            assert_eq!(detail.get(x, y), detail.get(39 - x, y));
        }
    }
}

#[test]
fn the_erasers_bring_the_source_back_or_empty_the_detail() {
    let mut artist = Artist::new();
    artist.drag(
        setup(Level::Structure, Medium::Code(Some(9))),
        &[cell(0, 0), cell(9, 0)],
    );
    artist.drag(
        setup(Level::Structure, Medium::Source),
        &[cell(3, 0), cell(5, 0)],
    );
    assert_eq!(artist.structure()[0], "9990009999");
    assert_eq!(artist.document.edited().detail.get(12, 0), Some(1));
    artist.drag(setup(Level::Structure, Medium::Code(None)), &[cell(4, 1)]);
    assert_eq!(artist.structure()[1], "1111111111");
    assert_eq!(artist.document.edited().detail.get(16, 4), None);
    artist.drag(setup(Level::Detail, Medium::Code(None)), &[cell(8, 3)]);
    assert_eq!(artist.document.edited().detail.get(34, 14), None);
    assert_eq!(artist.document.edited().detail.get(35, 14), Some(1));
}

#[test]
fn a_block_is_stamped_or_tiled_free_or_aligned() {
    let pattern = |artist: &Artist, layout, is_aligned| {
        let codes = artist.document.edited();
        let mut block = Block::take(codes, Level::Structure, Rect::new(0, 4, 2, 2))
            .unwrap()
            .unwrap();
        block.codes[0] = Some(10);
        Medium::Pattern {
            block: Arc::new(block),
            layout,
            is_aligned,
        }
    };
    let mut artist = Artist::new();
    let stamp = pattern(&artist, Layout::Stamp, false);
    artist.drag(
        setup(Level::Structure, stamp),
        &[(32.0, 16.0), (50.0, 16.0), (66.0, 16.0)],
    );
    assert_eq!(artist.structure()[..2], ["0a4a400000", "1555511111"]);
    assert_eq!(
        artist.document.edited().detail.get(4, 0),
        Some(1),
        "its detail came along"
    );
    artist.undo_to_the_start();
    artist.document.undo();
    // Aligned, the block lies on a grid of blocks.
    let stamp = pattern(&artist, Layout::Stamp, true);
    artist.drag(setup(Level::Structure, stamp), &[cell(3, 1)]);
    assert_eq!(artist.structure()[..2], ["00a4000000", "1155111111"]);
    artist.document.undo();
    let tile = pattern(&artist, Layout::Tile, true);
    let wide = Setup {
        path: Path::Rectangle,
        ..setup(Level::Structure, tile)
    };
    artist.drag(wide, &[cell(1, 0), cell(6, 2)]);
    assert_eq!(
        artist.structure()[..3],
        ["04a4a4a000", "1555555111", "24a4a4a222"]
    );
    artist.undo_to_the_start();
}

#[test]
fn a_turned_block_keeps_its_codes_and_changes_their_places() {
    let mut artist = Artist::new();
    let codes = artist.document.edited();
    let column = Block::take(codes, Level::Structure, Rect::new(0, 1, 1, 3))
        .unwrap()
        .unwrap();
    let turn = Turn {
        is_mirrored: false,
        quarters: 1,
    };
    let medium = Medium::Pattern {
        block: Arc::new(column.turned(turn)),
        layout: Layout::Stamp,
        is_aligned: false,
    };
    artist.drag(setup(Level::Structure, medium), &[cell(4, 5)]);
    assert_eq!(artist.structure()[5], "5553215555");
}

#[test]
fn cloning_paints_what_was_there_when_the_stroke_began() {
    let mut artist = Artist::new();
    artist.drag(
        setup(Level::Structure, Medium::Code(Some(9))),
        &[cell(1, 0)],
    );
    let offset = offset_between(Level::Structure, cell(3, 4), cell(1, 0));
    assert_eq!(offset, (-2, -4));
    // Over its own source: codes that this stroke has painted are not painted again.
    artist.drag(
        setup(Level::Structure, Medium::Clone { offset }),
        &[cell(3, 4), cell(5, 4)],
    );
    assert_eq!(artist.structure()[4], "4449004444");
    assert_eq!(
        artist.document.edited().detail.get(12, 16),
        None,
        "its empty detail came along"
    );
    assert_eq!(artist.document.edited().detail.get(16, 16), Some(1));
    let beyond = Medium::Clone { offset: (-8, 0) };
    assert_eq!(
        artist.drag(setup(Level::Structure, beyond), &[cell(3, 3)]),
        None
    );
}

#[test]
fn a_smudge_drags_codes_along_through_those_between() {
    let mut artist = Artist::new();
    let smudge = Setup {
        detail: DetailPolicy::Keep,
        ..setup(Level::Structure, Medium::Smudge { strength: 1.0 })
    };
    artist.drag(smudge.clone(), &[cell(3, 0), cell(3, 3)]);
    let column = |artist: &Artist| -> String {
        artist
            .structure()
            .iter()
            .map(|row| row.chars().nth(3).unwrap())
            .collect()
    };
    assert_eq!(column(&artist), "000045");
    artist.undo_to_the_start();
    artist.document.undo();
    let gentle = Setup {
        medium: Medium::Smudge { strength: 0.5 },
        ..smudge
    };
    artist.drag(gentle, &[cell(3, 5), cell(3, 0)]);
    // 5; (4+5)/2 = 4.5; (3+4.5)/2 = 3.75; then 2.875, 1.94 and 0.97.
    assert_eq!(column(&artist)[..4], *"1234");
    assert_eq!(artist.document.changed_cells(Level::Detail).count(), 0);
    artist.undo_to_the_start();
    // Empty cells are left alone.
    artist.drag(
        setup(Level::Detail, Medium::Code(None)),
        &[(2.0, 2.0), (40.0, 2.0)],
    );
    let over_empty = setup(Level::Detail, Medium::Smudge { strength: 1.0 });
    assert_eq!(artist.drag(over_empty, &[(2.0, 2.0), (40.0, 2.0)]), None);
}

#[test]
fn pulled_details_are_those_that_went_with_the_structure() {
    let mut artist = Artist::new();
    let mut seen = Codes::blank(artist.document.geometry());
    for i in 0..60 {
        seen.structure.set(i, Some(9));
    }
    for i in 0..960 {
        seen.detail.set(i, Some(20));
    }
    let books = artist.alphabet.codebooks;
    let table = Companions::count("one picture", books, [&seen].into_iter());
    artist.alphabet = alphabet().with_companions(Some(Arc::new(table)));
    let pull = |code| Setup {
        detail: DetailPolicy::Pull,
        ..setup(Level::Structure, Medium::Code(Some(code)))
    };
    artist.drag(pull(9), &[cell(2, 2)]);
    artist.drag(pull(10), &[cell(4, 2)]);
    let detail = &artist.document.edited().detail;
    assert_eq!((detail.get(8, 8), detail.get(11, 11)), (Some(20), Some(20)));
    assert_eq!(
        detail.get(16, 8),
        None,
        "never seen: empty, so that the code shows"
    );
}

#[test]
fn both_levels_are_painted_at_once() {
    let mut artist = Artist::new();
    let both = |detail| Setup {
        detail: DetailPolicy::Code(detail),
        ..setup(Level::Structure, Medium::Code(Some(9)))
    };
    artist.drag(both(7), &[cell(2, 2)]);
    let edited = artist.document.edited();
    assert_eq!(edited.structure.get(2, 2), Some(9));
    let detail = &edited.detail;
    assert!((8..12).all(|y| (8..12).all(|x| detail.get(x, y) == Some(7))));
    assert_ne!(detail.get(12, 8), Some(7), "of another cell");
    let last = u16::try_from(artist.alphabet.codebooks.detail).unwrap();
    let alphabet = artist.alphabet.clone();
    let mut easel = Easel::new(&mut artist.document, None, &alphabet);
    let refused = BrushStroke::press(&mut easel, both(last), "beyond", (40.0, 40.0));
    assert!(refused.is_err(), "there is no such detail code");
}

#[test]
fn a_pen_pressed_less_paints_narrower() {
    let mut artist = Artist::new();
    let wide = Setup {
        brush: Brush {
            shape: Shape::Square,
            size: 3,
            ..Brush::default()
        },
        pressure: 0.1,
        ..setup(Level::Structure, Medium::Code(Some(9)))
    };
    let alphabet = artist.alphabet.clone();
    let mut easel = Easel::new(&mut artist.document, None, &alphabet);
    let (from, to) = (cell(1, 2), cell(8, 2));
    let mut stroke = BrushStroke::press(&mut easel, wide, "pen", from).unwrap();
    stroke.set_pressure(1.0);
    stroke.drag(&mut easel, to).unwrap();
    stroke.release(&mut easel).unwrap();
    let height = |x: u32| {
        let column = (0..6).filter(|y| artist.document.edited().structure.get(x, *y) == Some(9));
        column.count()
    };
    let heights: Vec<usize> = (1..=8).map(height).collect();
    assert_eq!((heights[0], heights[7]), (1, 3));
    assert!(heights.is_sorted(), "{heights:?}");
}

#[test]
fn what_cannot_be_painted_is_refused_and_leaves_no_stroke_open() {
    let mut artist = Artist::new();
    let bad = [
        setup(Level::Structure, Medium::Code(Some(99))),
        setup(Level::Structure, Medium::Smudge { strength: 0.0 }),
        setup(Level::Structure, Medium::Smudge { strength: f32::NAN }),
        Setup {
            symmetry: Symmetry {
                turns: 0,
                ..Symmetry::default()
            },
            ..setup(Level::Structure, Medium::Source)
        },
    ];
    for setup in bad {
        let easel = &mut artist.easel();
        assert!(BrushStroke::press(easel, setup, "bad", cell(0, 0)).is_err());
        assert!(!artist.document.is_stroke_open());
    }
    artist.alphabet = Alphabet::plain(artist.alphabet.codebooks);
    let smudge = setup(Level::Detail, Medium::Smudge { strength: 0.5 });
    let easel = &mut artist.easel();
    assert!(BrushStroke::press(easel, smudge, "bad", cell(0, 0)).is_err());
    let failed = easel.stroke("bad", |easel| {
        fill(
            easel,
            Level::Structure,
            Some(Rect::new(0, 0, 2, 2)),
            Some(3),
            DetailPolicy::Keep,
        )?;
        fill(easel, Level::Structure, None, Some(99), DetailPolicy::Keep)
    });
    assert!(failed.is_err() && easel.take_deltas().is_empty());
    let no_code = u16::try_from(easel.alphabet.codebooks.detail).unwrap();
    let failed = easel.stroke("fill", |easel| {
        fill(
            easel,
            Level::Structure,
            None,
            Some(3),
            DetailPolicy::Code(no_code),
        )
    });
    assert!(failed.is_err(), "there is no such detail code");
    assert!(!artist.document.is_edited());
}
