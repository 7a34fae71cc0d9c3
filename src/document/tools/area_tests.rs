//! Bucket, gradient, replacement and moves: the tools for areas.

use super::*;

#[test]
fn the_bucket_fills_what_is_alike() {
    let mut artist = Artist::new();
    artist.drag(
        setup(Level::Structure, Medium::Code(Some(2))),
        &[cell(4, 4)],
    );
    let fill = |artist: &mut Artist, takes: (f32, bool)| {
        let stroke = artist.easel().stroke("Bucket", |easel| {
            bucket(
                easel,
                Level::Structure,
                25,
                takes,
                Some(8),
                DetailPolicy::Keep,
            )
        });
        stroke.unwrap().unwrap()
    };
    fill(&mut artist, (0.0, true));
    assert_eq!(
        artist.structure()[2..5],
        ["8888888888", "3333333333", "4444244444"]
    );
    artist.document.undo();
    fill(&mut artist, (0.0, false));
    assert_eq!(
        artist.structure()[2..5],
        ["8888888888", "3333333333", "4444844444"]
    );
    artist.document.undo();
    // One step is 1 / 13.1 of the spread of 32 codes in a row.
    fill(&mut artist, (0.08, true));
    assert_eq!(artist.structure()[1..4], ["8888888888"; 3]);
    artist.document.undo();
    artist.selection = Some(Selection::of_cells(
        artist.document.geometry(),
        Level::Structure,
        [20, 21],
    ));
    let stroke = fill(&mut artist, (0.0, true));
    assert_eq!(stroke.deltas.len(), 2);
}

#[test]
fn a_gradient_goes_through_the_codes_between() {
    let mut artist = Artist::new();
    let sweep = Gradient {
        level: Level::Structure,
        shape: GradientShape::Linear,
        codes: (10, 19),
        from_px: cell(0, 0),
        to_px: cell(9, 0),
        scatter: 0.0,
        seed: 1,
        detail: DetailPolicy::Empty,
    };
    let draw = |artist: &mut Artist, sweep: Gradient| {
        let easel = &mut artist.easel();
        easel
            .stroke("Gradient", |easel| gradient(easel, &sweep))
            .unwrap();
    };
    draw(&mut artist, sweep);
    assert_eq!(artist.structure(), ["abcdefghij"; 6]);
    artist.undo_to_the_start();
    let radial = Gradient {
        shape: GradientShape::Radial,
        from_px: cell(4, 2),
        to_px: cell(9, 2),
        ..sweep
    };
    draw(&mut artist, radial);
    let row = artist.structure()[2].clone();
    assert_eq!(&row[4..], "acefhj");
    assert_eq!(row[..4].chars().rev().collect::<String>(), row[5..9]);
    let scattered = Gradient {
        scatter: 0.5,
        ..sweep
    };
    draw(&mut artist, scattered);
    assert_ne!(artist.structure()[0], artist.structure()[1]);
}

#[test]
fn replacing_hits_one_code_within_the_selection() {
    let mut artist = Artist::new();
    artist.select(cell(0, 0), cell(4, 5), Combine::Replace);
    let easel = &mut artist.easel();
    let codes = (Some(3), Some(11));
    easel
        .stroke("Replace", |easel| {
            replace(easel, Level::Structure, codes, None, DetailPolicy::Keep)
        })
        .unwrap();
    assert_eq!(artist.structure()[3], "bbbbb33333");
    assert_eq!(artist.document.changed_cells(Level::Detail).count(), 0);
}

#[test]
fn a_selection_moves_with_its_detail_or_is_duplicated() {
    for is_copy in [false, true] {
        let mut artist = Artist::new();
        artist.drag(setup(Level::Detail, Medium::Code(Some(7))), &[(17.0, 1.0)]);
        artist.select(cell(1, 0), cell(2, 1), Combine::Replace);
        let work = Transfer {
            level: Level::Structure,
            by: (7, 1),
            is_copy,
            leaves: 12,
        };
        let mut moved = None;
        let stroke = artist.easel().stroke("Move", |easel| {
            moved = Some(transfer(easel, &work)?);
            Ok(())
        });
        assert!(stroke.unwrap().is_some());
        let left = if is_copy { "0000000000" } else { "0cc0000000" };
        assert_eq!(artist.structure()[0], left);
        let below = if is_copy { "1111111100" } else { "1cc1111100" };
        assert_eq!(artist.structure()[1..3], [below, "2222222211"]);
        let detail = &artist.document.edited().detail;
        assert_eq!(detail.get(32, 4), Some(7));
        assert_eq!(detail.get(4, 0), is_copy.then_some(7));
        assert_eq!(moved.unwrap().bounds(), Rect::new(32, 4, 8, 8));
        artist.document.undo().unwrap();
        assert_eq!(artist.document.history().cursor(), 1);
        assert_eq!(artist.structure()[0], "0000000000");
    }
}

#[test]
fn on_a_layer_a_move_takes_the_layers_cells_and_leaves_nothing_behind() {
    let mut artist = Artist::new();
    artist.document.add_layer().unwrap();
    artist.drag(
        setup(Level::Structure, Medium::Code(Some(9))),
        &[cell(1, 1), cell(2, 1)],
    );
    let work = Transfer {
        level: Level::Structure,
        by: (3, 2),
        is_copy: false,
        leaves: 12,
    };
    let carry = |artist: &mut Artist, work: Transfer| {
        let stroke = artist
            .easel()
            .stroke("Move", |easel| transfer(easel, &work).map(drop));
        stroke.unwrap().unwrap()
    };
    carry(&mut artist, work);
    assert_eq!(artist.structure()[1], "1111111111");
    assert_eq!(artist.structure()[3], "3333993333");
    // A copy is of what is seen, from whatever layer.
    artist.select(cell(0, 0), cell(1, 0), Combine::Replace);
    let copy = Transfer {
        by: (0, 5),
        is_copy: true,
        ..work
    };
    carry(&mut artist, copy);
    assert_eq!(artist.structure()[5], "0055555555");
    assert_eq!(artist.structure()[0], "0000000000");
    // Erasing on the layer shows what is below.
    artist.selection = None;
    let eraser = setup(Level::Structure, Medium::Source);
    artist.drag(eraser, &[cell(4, 3), cell(5, 3)]);
    artist.document.undo();
    artist.document.undo();
    artist.document.undo();
    assert_eq!(artist.structure()[1], "1991111111");
}
