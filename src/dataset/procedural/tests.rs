use super::*;

#[test]
fn the_same_numbers_give_the_same_picture() {
    for index in 0..40 {
        let first = procedural(7, index, 64);
        // Others in between change nothing.
        procedural(8, index, 48);
        assert_eq!(first, procedural(7, index, 64), "{index}");
        assert_ne!(first, procedural(8, index, 64), "{index}");
    }
    let all: std::collections::BTreeSet<Vec<u8>> =
        (0..200).map(|i| procedural(1, i, 32).rgba).collect();
    assert!(all.len() > 195, "{} different pictures", all.len());
}

#[test]
fn pixels_are_premultiplied_and_complete() {
    for index in 0..200 {
        let picture = procedural(3, index, 48);
        assert_eq!(picture.rgba.len(), 48 * 48 * 4);
        for p in picture.rgba.chunks_exact(4) {
            assert!(p[..3].iter().all(|c| *c <= p[3]), "{index}: {p:?}");
        }
    }
    // Sizes that are no multiple of anything.
    for side in [1, 2, 17, 200] {
        for kind in 0..KINDS.len() {
            assert_eq!(procedural_of_kind(kind, 1, 2, side).width, side);
        }
    }
}

/// Shares of opaque, clear and partly transparent pixels over a sample.
#[test]
fn alpha_is_varied() {
    let (mut opaque, mut clear, mut partial, mut cut_out) = (0, 0, 0, 0);
    let count = 600;
    for index in 0..count {
        let picture = procedural(5, index, 64);
        let mut has_clear = false;
        for p in picture.rgba.chunks_exact(4) {
            match p[3] {
                255 => opaque += 1,
                0 => {
                    clear += 1;
                    has_clear = true;
                }
                _ => partial += 1,
            }
        }
        cut_out += u32::from(has_clear);
    }
    let total = f64::from(opaque + clear + partial);
    let share = |n: i32| f64::from(n) / total;
    assert!(
        (0.7..0.95).contains(&share(opaque)),
        "opaque {}",
        share(opaque)
    );
    assert!(
        (0.05..0.3).contains(&share(clear)),
        "clear {}",
        share(clear)
    );
    assert!(share(partial) > 0.005, "partial {}", share(partial));
    let cut_out = f64::from(cut_out) / f64::from(count as u32);
    assert!(
        (0.12..0.4).contains(&cut_out),
        "with transparency {cut_out}"
    );
}

#[test]
fn colours_and_contrast_are_those_of_pictures() {
    let (mut means, mut deviations) = ([0.0; 3], Vec::new());
    let mut chroma = 0.0;
    let count = 400;
    for index in 0..count {
        let picture = procedural(11, index, 48);
        let n = (48 * 48) as f64;
        let mut luma_sum = [0.0; 2];
        for p in picture.rgba.chunks_exact(4) {
            let rgb = [p[0], p[1], p[2]].map(|v| f64::from(v) / 255.0);
            for (mean, v) in means.iter_mut().zip(rgb) {
                *mean += v / n / f64::from(count as u32);
            }
            let luma = (rgb[0] + rgb[1] + rgb[2]) / 3.0;
            luma_sum[0] += luma / n;
            luma_sum[1] += luma * luma / n;
            let (low, high) = (
                rgb.iter().copied().fold(1.0, f64::min),
                rgb.iter().copied().fold(0.0, f64::max),
            );
            chroma += (high - low) / n / f64::from(count as u32);
        }
        deviations.push((luma_sum[1] - luma_sum[0] * luma_sum[0]).max(0.0).sqrt());
    }
    for mean in means {
        assert!((0.25..0.65).contains(&mean), "{means:?}");
    }
    assert!((0.08..0.35).contains(&chroma), "chroma {chroma}");
    deviations.sort_by(f64::total_cmp);
    let median = deviations[deviations.len() / 2];
    assert!((0.08..0.3).contains(&median), "median contrast {median}");
    let flat = deviations.iter().filter(|d| **d < 0.01).count();
    assert!(flat < deviations.len() / 20, "{flat} flat pictures");
}

/// Power at a frequency falls about as 1/f² in natural scenes: a step twice as long differs more, by less than on a
/// slope (4) and by more than in noise without structure (1).
#[test]
fn leaves_have_structure_at_all_scales() {
    let mut steps = [0.0; 4];
    for index in 0..60 {
        let picture = procedural_of_kind(0, 2, index, 96);
        for (level, step) in steps.iter_mut().enumerate() {
            let by = 1 << level;
            for y in 0..96usize {
                for x in 0..96 - by {
                    let at = |x: usize| f64::from(picture.rgba[(y * 96 + x) * 4 + 1]);
                    *step += (at(x + by) - at(x)).powi(2) / (96 * (96 - by)) as f64;
                }
            }
        }
    }
    for pair in steps.windows(2) {
        assert!((1.15..2.6).contains(&(pair[1] / pair[0])), "{steps:?}");
    }
}
