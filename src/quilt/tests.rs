//! What holds for every result, on small grids.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::document::{CodeVectors, EMPTY, Level, Wrap};
use crate::error::Kind;
use crate::progress::Stop;

const CODES: u16 = 24;

fn vectors() -> Vectors {
    let book = |phase: f32| {
        let values = (0..usize::from(CODES) * 6).map(|i| (i as f32 * 1.7 + phase).sin());
        CodeVectors::new(6, values.collect()).unwrap()
    };
    Vectors {
        structure: book(0.0),
        detail: book(0.9),
    }
}

/// Waves of codes with some noise, so that neighbouring cells have to do with each other.
fn picture(height: u32, width: u32, seed: u32) -> Codes {
    let grid = |scale: u32| {
        let cells = (0..height * width * scale * scale).map(|i| {
            let (y, x) = (i / (width * scale) / scale, i % (width * scale) / scale);
            let noise = (i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)) >> 29;
            ((y * (2 + seed % 3) + x * 3 + noise + seed) % u32::from(CODES)) as u16
        });
        CodeGrid::from_cells(width * scale, height * scale, cells.collect()).unwrap()
    };
    Codes {
        structure: grid(1),
        detail: grid(4),
    }
}

fn source(height: u32, width: u32, seed: u32) -> Source {
    Source::new(Arc::new(picture(height, width, seed)))
}

fn tile(sources: Vec<Source>, height: u32, width: u32) -> Request {
    Request {
        sources,
        canvas: Canvas {
            width,
            height,
            wrap: Wrap { x: true, y: true },
            kept: None,
        },
        start: Start::Blocks,
        controls: Controls::default(),
    }
}

/// A picture with the cells that `hole` names to be filled from the rest of it.
fn filled(height: u32, width: u32, seed: u32, hole: impl Fn(u32, u32) -> bool) -> Request {
    let codes = Arc::new(picture(height, width, seed));
    let fill: Vec<bool> = (0..height * width)
        .map(|i| hole(i / width, i % width))
        .collect();
    Request {
        sources: vec![Source {
            usable: Some(fill.iter().map(|fill| !fill).collect()),
            ..Source::new(codes.clone())
        }],
        canvas: Canvas {
            width,
            height,
            wrap: Wrap::default(),
            kept: Some(Kept {
                codes,
                fill,
                home: Some(Home {
                    source: 0,
                    y: 0,
                    x: 0,
                }),
            }),
        },
        start: Start::Grown,
        controls: Controls::default(),
    }
}

fn make(request: &Request) -> Result<Quilt> {
    quilt(request, &vectors(), &(), &mut |_| {})
}

/// Every cell that was made has its source's code, may be taken and is not muted; every other is as it was.
fn check(request: &Request, quilt: &Quilt) {
    let (width, controls) = (request.canvas.width as usize, &request.controls);
    for level in Level::ALL {
        let (at, scale, muted) = match level {
            Level::Structure => (&quilt.structure_at, 1, &controls.muted_structure),
            Level::Detail => (&quilt.detail_at, 4, &controls.muted_detail),
        };
        let cells = quilt.codes.level(level).cells();
        assert_eq!(cells.len(), at.len());
        for (index, (&code, at)) in cells.iter().zip(at).enumerate() {
            let across = width * scale;
            let over = index / across / scale * width + index % across / scale;
            if let Some(kept) = &request.canvas.kept
                && !kept.fill[over]
            {
                assert_eq!(Some(code), kept.codes.level(level).raw_at(index as u32));
                continue;
            }
            let source = &request.sources[usize::from(at.source)];
            let grid = source.codes.level(level);
            let there = grid
                .index(at.x.into(), at.y.into())
                .expect("inside its source");
            assert_eq!(Some(code), grid.raw_at(there), "{level} cell {index}");
            assert_ne!(
                muted.get(usize::from(code)),
                Some(&true),
                "muted {level} {code}"
            );
            let wide = source.codes.structure.width() as usize;
            let from = usize::from(at.y) / scale * wide + usize::from(at.x) / scale;
            assert!(source.usable.as_ref().is_none_or(|usable| usable[from]));
        }
    }
    assert!((quilt.shares.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    assert!((0.0..=1.0).contains(&quilt.seam_share));
    assert!(quilt.largest_piece.cells > 0);
}

#[test]
fn every_cell_has_the_code_of_its_source() {
    check_made(&tile(vec![source(12, 14, 1), source(9, 3, 2)], 11, 13));
    check_made(&filled(12, 12, 3, |y, x| {
        (4..9).contains(&y) && (3..8).contains(&x)
    }));
    let mut vary = tile(vec![source(12, 10, 5)], 12, 10);
    vary.start = Start::Moved {
        source: 0,
        reach: 0.4,
    };
    vary.controls.freedom = 0.5;
    check_made(&vary);
}

fn check_made(request: &Request) -> Quilt {
    let quilt = make(request).unwrap();
    check(request, &quilt);
    quilt
}

#[test]
fn a_fill_continues_what_is_around_it() {
    // A picture without noise, periodic in both directions: the one right filling is the picture itself.
    let mut request = filled(18, 18, 0, |y, x| {
        (7..11).contains(&y) && (6..11).contains(&x)
    });
    let clean = |scale: u32| {
        let cells = (0..18 * 18 * scale * scale).map(|i| {
            let (y, x) = (i / (18 * scale), i % (18 * scale));
            ((y % (4 * scale)) * 5 + x % (3 * scale)) as u16 % CODES
        });
        CodeGrid::from_cells(18 * scale, 18 * scale, cells.collect()).unwrap()
    };
    let codes = Arc::new(Codes {
        structure: clean(1),
        detail: clean(4),
    });
    request.sources[0].codes = codes.clone();
    request.canvas.kept.as_mut().unwrap().codes = codes.clone();
    let quilt = check_made(&request);
    assert_eq!(quilt.codes.structure, codes.structure);
    let same = (quilt.codes.detail.cells().iter())
        .zip(codes.detail.cells())
        .filter(|(a, b)| a == b)
        .count();
    assert_eq!(same, codes.detail.cells().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn muted_codes_never_appear(
        seed in 0u64..1 << 40,
        muted in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        muted_detail in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        shape in (2u32..7, 2u32..7, 1u32..6, 1u32..6),
        freedom in 0f32..1.0,
        piece in prop::option::of(2u32..5),
        is_fill: bool,
    ) {
        let (height, width, tall, wide) = shape;
        let mut request = if is_fill {
            filled(height + 1, width + 1, seed as u32 % 1000, |y, x| y * x % 3 == 1)
        } else {
            tile(vec![source(height, width, seed as u32 % 1000), source(width, height, 7)], tall, wide)
        };
        let list = |chosen: &[prop::sample::Index]| {
            let mut list = vec![false; usize::from(CODES)];
            for index in chosen {
                list[index.index(usize::from(CODES))] = true;
            }
            list
        };
        request.controls = Controls {
            seed,
            freedom,
            largest_piece: piece,
            muted_structure: list(&muted),
            muted_detail: list(&muted_detail),
            ..Controls::default()
        };
        match make(&request) {
            Ok(quilt) => check(&request, &quilt),
            Err(error) => prop_assert_eq!(error.kind, Kind::Usage, "{}", error),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn locked_cells_never_change(
        seed in 0u64..1 << 40,
        fill in prop::collection::vec(any::<bool>(), 80),
        wraps: (bool, bool),
    ) {
        let mut request = filled(8, 10, seed as u32 % 50, |y, x| fill[(y * 10 + x) as usize]);
        request.canvas.wrap = Wrap { x: wraps.0, y: wraps.1 };
        request.controls.seed = seed;
        request.controls.freedom = 1.0;
        match make(&request) {
            Ok(quilt) => check(&request, &quilt),
            Err(error) => prop_assert!(!fill.contains(&true) || !fill.contains(&false), "{}", error),
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_result_on_any_number_of_threads() {
    let mut request = tile(vec![source(20, 17, 4), source(14, 22, 9)], 19, 23);
    request.controls = Controls {
        seed: 11,
        freedom: 0.7,
        largest_piece: Some(7),
        ..Controls::default()
    };
    let mut varied = request.clone();
    varied.controls.variety = 1.0;
    let fill = filled(22, 25, 8, |y, x| y > 6 && x > 9 && y < 17);
    for request in [request, varied, fill] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| make(&request).unwrap())
        };
        let one = on(1);
        for threads in [2, 3, 5] {
            assert!(on(threads) == one, "{threads} threads");
        }
    }
}

/// Share of the neighbours across a line (of detail cells) that are neighbours in their source as well.
fn continued(
    quilt: &Quilt,
    width: usize,
    pairs: impl Iterator<Item = (usize, usize, bool)>,
) -> f32 {
    let (mut all, mut good) = (0, 0);
    for (from, to, is_down) in pairs {
        let (a, b) = (quilt.detail_at[from], quilt.detail_at[to]);
        let next = if is_down {
            (a.y + 1, a.x)
        } else {
            (a.y, a.x + 1)
        };
        all += 1;
        good += usize::from(a.source == b.source && (b.y, b.x) == next);
    }
    assert!(width > 0 && all > 0);
    good as f32 / all as f32
}

#[test]
fn a_tile_continues_across_its_borders_as_often_as_inside() {
    let (mut across, mut inside) = (0.0, 0.0);
    for seed in 0..6 {
        let mut request = tile(vec![source(24, 24, seed as u32)], 16, 16);
        request.controls.seed = seed;
        let quilt = make(&request).unwrap();
        let n = 64;
        let border =
            (0..n).flat_map(|i| [((n - 1) * n + i, i, true), (i * n + n - 1, i * n, false)]);
        across += continued(&quilt, n, border);
        let all = (0..n - 1).flat_map(|k| {
            (0..n).flat_map(move |i| {
                [
                    (k * n + i, (k + 1) * n + i, true),
                    (i * n + k, i * n + k + 1, false),
                ]
            })
        });
        inside += continued(&quilt, n, all);
    }
    assert!(across > 0.8 * inside, "{across} across, {inside} inside");
    assert!(inside > 0.0);
}

#[test]
fn a_rolled_tile_is_the_same_tile() {
    let request = tile(vec![source(20, 20, 3)], 9, 11);
    let quilt = make(&request).unwrap();
    let rolled = quilt.clone().rolled(4, 7);
    check(&request, &rolled);
    assert_ne!(rolled.codes, quilt.codes);
    let (y, x) = rolled.largest_piece.to;
    assert_eq!(
        rolled.detail_at[(y * 44 + x) as usize],
        rolled.largest_piece.at
    );
    assert!(rolled.rolled(5, 4) == quilt);
}

#[test]
fn two_seeds_differ() {
    let mut request = tile(vec![source(24, 24, 1)], 16, 16);
    let first = make(&request).unwrap();
    request.controls.seed = 1;
    let second = make(&request).unwrap();
    let same = (first.detail_at.iter().zip(&second.detail_at)).filter(|(a, b)| a == b);
    assert!(same.count() * 4 < first.detail_at.len());
}

#[test]
fn no_piece_is_larger_than_asked_for() {
    for (seed, most) in [(1, 2), (2, 3), (3, 5)] {
        let mut request = tile(vec![source(24, 24, seed)], 17, 20);
        request.controls.largest_piece = Some(most);
        let free = make(&tile(vec![source(24, 24, seed)], 17, 20)).unwrap();
        let piece = check_made(&request).largest_piece;
        assert!(
            piece.from.width <= most * 4 && piece.from.height <= most * 4,
            "{piece:?}"
        );
        assert!(free.largest_piece.cells > piece.cells);
    }
}

#[test]
fn labels_choose_what_may_feed_a_cell() {
    let mut request = tile(vec![source(12, 12, 1), source(12, 12, 2)], 10, 10);
    for (source, label) in request.sources.iter_mut().zip([1, 2]) {
        source.labels = Some(vec![label; 144]);
    }
    request.controls.labels = Some((0..100).map(|i| if i % 10 < 5 { 1 } else { 2 }).collect());
    let quilt = check_made(&request);
    for (index, at) in quilt.detail_at.iter().enumerate() {
        assert_eq!(at.source, u16::from(index % 40 >= 20));
    }
    request.controls.labels = Some(vec![3; 100]);
    assert_eq!(make(&request).unwrap_err().kind, Kind::Usage);
}

#[test]
fn guides_draw_the_result_towards_them() {
    // Bright above, dark below.
    let mut request = tile(vec![source(20, 20, 1)], 12, 12);
    let shade = |i: usize| if i / 20 < 10 { [1.0; 3] } else { [0.0; 3] };
    request.sources[0].colours = Some((0..400).map(shade).collect());
    let bright = |quilt: &Quilt| {
        let rows = quilt.structure_at.chunks_exact(12);
        let halves = rows.map(|row| {
            row.iter()
                .map(|at| (at.x < 6, at.y < 10))
                .collect::<Vec<_>>()
        });
        let cells: Vec<_> = halves.flat_map(|row| row.into_iter().enumerate()).collect();
        let right = cells
            .iter()
            .filter(|(x, (_, is_top))| (*x < 6) == *is_top)
            .count();
        right as f32 / cells.len() as f32
    };
    let free = bright(&make(&request).unwrap());
    request.controls.sketch = Some(Sketch {
        colours: (0..144)
            .map(|i| Some(if i % 12 < 6 { [1.0; 3] } else { [0.0; 3] }))
            .collect(),
        weight: 1.0,
    });
    let guided = bright(&check_made(&request));
    assert!(guided > free + 0.2 && guided > 0.8, "{free} → {guided}");

    request.controls.sketch = None;
    request.canvas.wrap = Wrap::default();
    let off = |request: &Request| {
        let quilt = check_made(request);
        let apart = quilt
            .structure_at
            .iter()
            .enumerate()
            .map(|(i, at)| ((i / 12) as f32 / 12.0 - f32::from(at.y) / 20.0).abs());
        apart.sum::<f32>() / 144.0
    };
    let free = off(&request);
    request.controls.height = 1.0;
    assert!(off(&request) < 0.6 * free);
}

#[test]
fn boosted_codes_appear_more_often() {
    let share = |boosted: bool| {
        let count = |seed| {
            let mut request = tile(vec![source(24, 24, 3)], 14, 14);
            request.controls.seed = seed;
            if boosted {
                request.controls.boosted_structure = (0..CODES).map(|code| code < 6).collect();
            }
            let quilt = check_made(&request);
            quilt
                .codes
                .structure
                .cells()
                .iter()
                .filter(|code| **code < 6)
                .count()
        };
        (0..4).map(count).sum::<usize>()
    };
    let (plain, boosted) = (share(false), share(true));
    assert!(boosted * 10 > plain * 11, "{plain} → {boosted}");
}

#[test]
fn empty_detail_is_taken_as_it_is() {
    let mut codes = picture(8, 8, 1);
    for index in 0..512 {
        codes.detail.set(index, None);
    }
    let request = tile(vec![Source::new(Arc::new(codes))], 8, 8);
    let quilt = check_made(&request);
    assert!(quilt.codes.detail.cells().contains(&EMPTY));
}

#[test]
fn bad_input_is_refused_in_words() {
    let kind = |request: &Request| make(request).unwrap_err().kind;
    assert_eq!(kind(&tile(vec![], 4, 4)), Kind::NoPictures);
    // 1 × 20,000 pixels, padded: one cell wide.
    assert_eq!(kind(&tile(vec![source(1250, 1, 1)], 4, 4)), Kind::Usage);
    assert_eq!(kind(&tile(vec![source(4, 4, 1)], 0, 4)), Kind::Limit);
    assert_eq!(kind(&tile(vec![source(4, 4, 1)], 4, 3000)), Kind::Limit);
    let mut transparent = tile(vec![source(4, 4, 1)], 4, 4);
    transparent.sources[0].usable = Some(vec![false; 16]);
    assert_eq!(kind(&transparent), Kind::NoPictures);
    let mut silent = tile(vec![source(4, 4, 1)], 4, 4);
    silent.controls.muted_detail = vec![true; usize::from(CODES)];
    assert_eq!(kind(&silent), Kind::Usage);
    assert_eq!(kind(&filled(6, 6, 1, |_, _| false)), Kind::Usage);
    assert_eq!(kind(&filled(6, 6, 1, |_, _| true)), Kind::NoPictures);
    let mut guide = tile(vec![source(4, 4, 1)], 4, 4);
    guide.controls.labels = Some(vec![0; 15]);
    assert_eq!(kind(&guide), Kind::Usage);
    guide.controls.labels = None;
    guide.controls.sketch = Some(Sketch {
        colours: vec![None; 99],
        weight: 0.5,
    });
    assert_eq!(kind(&guide), Kind::Usage);
    let mut mask = filled(6, 6, 1, |y, _| y == 2);
    mask.canvas.kept.as_mut().unwrap().fill.pop();
    assert_eq!(kind(&mask), Kind::Usage);
    let mut free = tile(vec![source(4, 4, 1)], 4, 4);
    free.controls.freedom = f32::NAN;
    assert_eq!(kind(&free), Kind::Usage);
    let mut foreign = picture(4, 4, 1);
    foreign.detail.set(3, Some(CODES));
    assert_eq!(
        kind(&tile(vec![Source::new(Arc::new(foreign))], 4, 4)),
        Kind::Usage
    );
}

#[test]
fn small_and_flat_sources_and_odd_canvases_give_a_result() {
    let flat = Codes {
        structure: CodeGrid::filled(6, 6, Some(3)),
        detail: CodeGrid::filled(24, 24, Some(5)),
    };
    let quilt = check_made(&tile(vec![Source::new(Arc::new(flat))], 9, 9));
    assert!(quilt.codes.detail.cells().iter().all(|code| *code == 5));
    check_made(&tile(vec![source(2, 2, 1)], 12, 12));
    check_made(&tile(vec![source(2, 40, 1)], 3, 30));
    check_made(&tile(vec![source(12, 12, 1)], 1, 1));
    check_made(&tile(vec![source(12, 12, 1)], 1, 40));
    // All of the canvas is to be filled from another picture.
    let mut request = filled(9, 9, 2, |_, _| true);
    request.sources = vec![source(12, 12, 4)];
    check_made(&request);
}

#[test]
fn the_first_searches_are_shown_and_progress_ends_where_it_said() {
    struct Seen(AtomicUsize, AtomicUsize);
    impl Observer for Seen {
        fn progress(&self, done: u64, total: u64) {
            assert!(done <= total);
            self.0.store(done as usize, Ordering::Relaxed);
            self.1.store(total as usize, Ordering::Relaxed);
        }
    }
    for request in [
        tile(vec![source(16, 16, 1)], 12, 12),
        tile(vec![source(4, 4, 1)], 2, 12),
    ] {
        let seen = Seen(AtomicUsize::new(0), AtomicUsize::new(0));
        let mut previews = 0;
        quilt(&request, &vectors(), &seen, &mut |preview| {
            previews += 1;
            assert_eq!(preview.detail_at.len(), preview.codes.detail.cells().len());
        })
        .unwrap();
        assert_eq!(previews, 1);
        assert_eq!(seen.0.into_inner(), seen.1.into_inner());
    }
}

#[test]
fn a_stop_is_obeyed_wherever_it_comes() {
    /// Stops at the n-th question and notes when.
    struct After(AtomicUsize);
    impl Observer for After {
        fn stop(&self) -> Option<Stop> {
            let left = self.0.load(Ordering::Relaxed);
            self.0.store(left.saturating_sub(1), Ordering::Relaxed);
            (left == 0).then_some(Stop::Cancel)
        }
    }
    let mut request = tile(vec![source(24, 24, 1), source(20, 30, 2)], 24, 24);
    let run = |request: &Request, questions| {
        let after = After(AtomicUsize::new(questions));
        let end = quilt(request, &vectors(), &after, &mut |_| {});
        (end, questions - after.0.into_inner())
    };
    for variety in [0.0, 1.0] {
        request.controls.variety = variety;
        let (end, asked) = run(&request, 1 << 40);
        assert!(end.is_ok() && asked > 100, "{asked}");
        for part in 0..7 {
            let (end, _) = run(&request, asked * part / 8);
            assert!(end.unwrap_err().is_cancelled());
        }
    }
    assert!(run(&request, 0).0.unwrap_err().is_cancelled());
}

#[test]
fn every_search_asks_whether_to_stop_all_along() {
    #[derive(Default)]
    struct Questions(AtomicUsize, std::sync::Mutex<Vec<usize>>);
    impl Observer for Questions {
        fn stop(&self) -> Option<Stop> {
            self.0.fetch_add(1, Ordering::Relaxed);
            None
        }
        fn progress(&self, _: u64, _: u64) {
            self.1.lock().unwrap().push(self.0.load(Ordering::Relaxed));
        }
    }
    // Comparisons of two patches, or cells searched for, between two questions on one thread: some milliseconds.
    const MOST_PAIRS: usize = 512 * 256;
    const MOST_CELLS: usize = 4 * 64;
    let mut request = tile(vec![source(64, 64, 1)], 56, 56);
    let cells = 56 * 56;
    for variety in [0.0, 1.0] {
        request.controls.variety = variety;
        let questions = Questions::default();
        quilt(&request, &vectors(), &questions, &mut |_| {}).unwrap();
        let steps = questions.1.into_inner().unwrap();
        let searches = steps.len() - detail::STEPS as usize;
        for (number, pair) in steps.windows(2).enumerate() {
            let least = if number + 1 < searches {
                cells * (64 - 8) * (64 - 8) / MOST_PAIRS
            } else {
                cells * 16 / MOST_CELLS
            };
            let asked = pair[1] - pair[0];
            assert!(
                asked >= least,
                "step {number}: {asked} questions, {least} at least"
            );
        }
    }
}
