//! Splits positions into ranges by their number alone, never by the threads: sums over ranges then repeat bit for bit.

use std::ops::Range;

/// Ranges of about equal length, at most `longest` (a multiple of `step`), that start at multiples of `step`; their
/// number is a multiple of `parts` where there are enough positions, so that `parts` tasks have about equal work.
pub(super) fn even(count: usize, longest: usize, step: usize, parts: usize) -> Vec<Range<usize>> {
    split(count, count.div_ceil(longest).next_multiple_of(parts), step)
}

/// At most `most` ranges of about equal length, that start at multiples of `step`.
pub(super) fn groups(count: usize, most: usize, step: usize) -> Vec<Range<usize>> {
    split(count, most, step)
}

fn split(count: usize, parts: usize, step: usize) -> Vec<Range<usize>> {
    let length = count.div_ceil(parts.max(1)).next_multiple_of(step).max(1);
    (0..count)
        .step_by(length)
        .map(|start| start..count.min(start + length))
        .collect()
}

/// The parts of `values` that belong to adjoining `ranges` of positions, of `per_position` values each.
pub(super) fn split_mut<'a>(
    mut values: &'a mut [f32],
    ranges: &[Range<usize>],
    per_position: usize,
) -> Vec<&'a mut [f32]> {
    ranges
        .iter()
        .map(|range| {
            let (part, rest) = std::mem::take(&mut values).split_at_mut(range.len() * per_position);
            values = rest;
            part
        })
        .collect()
}
