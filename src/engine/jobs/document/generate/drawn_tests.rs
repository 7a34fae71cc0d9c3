//! Drawn pictures, flat or cut out, keep their colours and their borders where pieces meet.

use super::*;

const INK: [[u8; 3]; 3] = [[238, 139, 114], [41, 138, 190], [46, 73, 110]];

/// Whether a pixel is within a disc about the middle of its 64 × 64.
fn is_in(x: u32, y: u32, radius: u32) -> bool {
    let (x, y) = ((x % 64).abs_diff(32), (y % 64).abs_diff(32));
    x * x + y * y < radius * radius
}

/// Discs within discs on ground, each in one colour; with alpha the ground is transparent.
fn drawn(side: u32, has_alpha: bool) -> Vec<u8> {
    let pixel = |i: u32| {
        let (x, y) = (i % side, i / side);
        let (ink, alpha) = match (is_in(x, y, 14), is_in(x, y, 26)) {
            (true, _) => (INK[0], 255),
            (_, true) => (INK[1], 255),
            _ => (INK[2], if has_alpha { 0 } else { 255 }),
        };
        [ink[0], ink[1], ink[2], alpha]
    };
    (0..side * side).flat_map(pixel).collect()
}

fn apart(pixel: &[u8], ink: [u8; 3]) -> u8 {
    (pixel.iter().zip(ink))
        .map(|(a, b)| a.abs_diff(b))
        .max()
        .unwrap_or(0)
}

fn made(has_alpha: bool, seed: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let source = save(at("drawn.png"), 128, 128, drawn(128, has_alpha));
    let mut job = job(tile(), vec![source], at("tile.png"));
    job.look.seed = seed;
    run(job).unwrap();
    read(&at("tile.png"))
}

#[test]
fn flat_colours_stay_those_of_the_source() {
    for seed in 0..2 {
        let pixels = made(false, seed);
        let others =
            (pixels.chunks_exact(4)).filter(|pixel| INK.iter().all(|ink| apart(pixel, *ink) > 3));
        let share = others.count() as f32 * 4.0 / pixels.len() as f32;
        assert!(
            share < 0.05,
            "{share} of the pixels have colours of no piece"
        );
    }
}

#[test]
fn a_cut_out_figure_has_no_dark_fringe() {
    for seed in 0..2 {
        let pixels = made(true, seed);
        let seen = || pixels.chunks_exact(4).filter(|pixel| pixel[3] > 0);
        assert!(seen().count() > 500 && seen().count() * 4 < pixels.len());
        // What is seen lies between the two inks that the source shows.
        let darkest = seen().map(|pixel| pixel[..3].iter().map(|v| u32::from(*v)).sum::<u32>());
        let (darkest, least) = (darkest.min().unwrap(), 41 + 138 + 190);
        assert!(darkest + 12 >= least, "{darkest} is darker than {least}");
        let soft = seen().filter(|pixel| pixel[3] < 250).count() as f32;
        let share = soft / seen().count() as f32;
        assert!(share < 0.05, "{share} of what is seen is half transparent");
    }
}
