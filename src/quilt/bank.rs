//! All patches of the sources at one size, and the search for the nearest.

use rayon::prelude::*;

use super::features::{Field, Plan};
use super::random::{Draws, Purpose};
use super::request::Controls;
use super::sources::{Coordinate, Sources};
use super::watch::Watch;
use crate::error::Result;

/// Columns beside the components: three of colour, their square, the height and the entry's own norm.
const COLOUR: usize = 0;
const COLOUR_SQUARE: usize = 3;
const HEIGHT: usize = 4;
const NORM: usize = 5;
const EXTRA: usize = 6;

/// Fewer patches than this are too few to choose from, where smaller ones can be had.
pub(super) const ENOUGH: usize = 16;
/// Pairs of query and entry per search: bounds the time where many pictures feed a large result.
const MOST_PAIRS: usize = 1 << 26;
const FEWEST_ENTRIES: usize = 4096;
/// Scores of one product, 1 MiB, so that they stay in the second-level cache.
const TILE_SCORES: usize = 1 << 18;
const TILE_ENTRIES: usize = 256;
const MOST_TILE_QUERIES: usize = 512;
/// Sources whose patches decide over the components.
const SAMPLE_SOURCES: usize = 16;
/// How much nearer an entry of boosted codes alone appears, in mean squared distances.
const BOOST: f32 = 0.5;

/// One found patch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub entry: u32,
    /// Squared, over all components kept.
    pub distance: f32,
    /// What it was chosen by: the distance with guides, boosts and variety.
    score: f32,
}

/// Which entries a query may take: `key & mask == want`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Filter {
    pub mask: u16,
    pub want: u16,
}

impl Filter {
    /// Of a source cell: its label, and whether its row and column are odd.
    pub fn key(label: u8, y: u16, x: u16) -> u16 {
        u16::from(label) | (y & 1) << 8 | (x & 1) << 9
    }

    pub const fn takes(self, key: u16) -> bool {
        key & self.mask == self.want
    }
}

/// What is searched for, beside the patch itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    pub filter: Filter,
    pub colour: Option<[f32; 3]>,
    /// From 0 at the top to 1 at the bottom.
    pub height: f32,
}

#[derive(Debug)]
pub(super) struct Bank {
    pub plan: Plan,
    /// Middle of each entry.
    pub at: Vec<Coordinate>,
    keys: Vec<u16>,
    /// Entry × (components + [`EXTRA`]).
    rows: Vec<f32>,
    /// Added to |entry|²: boosts.
    columns: usize,
    colour_weight: f32,
    height_weight: f32,
}

/// How entries are chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// Nearest entries per query.
    pub nearest: usize,
    /// Off where infinite: α of d / (α + the entry's distance to what is nearest to it), in mean squared distances.
    pub variety: f32,
    pub filtered: bool,
}

impl Bank {
    /// Middles of the whole patches of `side` that may be taken.
    pub fn places(sources: &Sources, side: usize) -> Vec<Coordinate> {
        let r = side / 2;
        let of = |(number, extent): (usize, &super::sources::Extent)| {
            let ok = &sources.structure_ok[extent.start..][..extent.height * extent.width];
            let mut found = Vec::new();
            if extent.height < side || extent.width < side {
                return found;
            }
            for y in r..extent.height - r {
                let rows = ok[(y - r) * extent.width..(y + r + 1) * extent.width]
                    .chunks_exact(extent.width);
                for x in r..extent.width - r {
                    if rows.clone().all(|row| !row[x - r..=x + r].contains(&false)) {
                        found.push(Coordinate {
                            source: number as u16,
                            y: y as u16,
                            x: x as u16,
                        });
                    }
                }
            }
            found
        };
        let lists: Vec<_> = sources.extents.par_iter().enumerate().map(of).collect();
        lists.concat()
    }

    /// The entries at `places`, or an even share of them where those are too many for so many queries.
    pub fn new(
        sources: &Sources,
        fields: &[Field],
        side: usize,
        mut places: Vec<Coordinate>,
        queries: usize,
        controls: &Controls,
        watch: &Watch<'_>,
    ) -> Result<Self> {
        let most = (MOST_PAIRS / queries.max(1)).max(FEWEST_ENTRIES);
        if places.len() > most {
            let draws = Draws::new(controls.seed, Purpose::Subset, side as u64);
            let all = places.len();
            places = (0..most)
                .map(|i| {
                    let (from, to) = (i * all / most, (i + 1) * all / most);
                    places[from + draws.below(i as u64, 0, to - from)]
                })
                .collect();
        }
        let plan = Plan::new(side, &samples(fields, side));
        watch.check()?;
        let columns = plan.terms() + EXTRA;
        let mut bank = Self {
            at: places,
            keys: Vec::new(),
            rows: Vec::new(),
            columns,
            colour_weight: 0.0,
            height_weight: 0.0,
            plan,
        };
        bank.fill(sources, fields, watch)?;
        bank.weigh(sources, controls);
        Ok(bank)
    }

    /// Components of every entry, source by source.
    fn fill(&mut self, sources: &Sources, fields: &[Field], watch: &Watch<'_>) -> Result<()> {
        let (side, columns, terms) = (self.plan.side, self.columns, self.plan.terms());
        let r = side / 2;
        self.rows = vec![0.0; self.at.len() * columns];
        let mut parts = Vec::new();
        let (mut rows, mut at) = (self.rows.as_mut_slice(), self.at.as_slice());
        while let Some(first) = at.first() {
            let count = at.partition_point(|place| place.source == first.source);
            let (here, rest) = rows.split_at_mut(count * columns);
            let (these, others) = at.split_at(count);
            parts.push((these, here));
            (rows, at) = (rest, others);
        }
        let plan = &self.plan;
        parts.into_par_iter().for_each(|(places, rows)| {
            if watch.is_stopped() {
                return;
            }
            let field = &fields[usize::from(places[0].source)];
            let found = plan.project(field);
            let wide = field.width - side + 1;
            for (place, row) in places.iter().zip(rows.chunks_exact_mut(columns)) {
                let index = (usize::from(place.y) - r) * wide + usize::from(place.x) - r;
                row[..terms].copy_from_slice(&found[index * terms..][..terms]);
            }
        });
        watch.check()?;
        self.keys = (self.at.iter())
            .map(|&at| {
                let label = sources.labels.get(sources.structure_index(at));
                Filter::key(label.copied().unwrap_or(0), at.y, at.x)
            })
            .collect();
        Ok(())
    }

    /// Norms, boosts and guides.
    fn weigh(&mut self, sources: &Sources, controls: &Controls) {
        let terms = self.plan.terms();
        let spread = self.plan.variance.max(1e-6);
        let has_boost = [&controls.boosted_structure, &controls.boosted_detail]
            .iter()
            .any(|list| list.contains(&true));
        let boosts: Vec<f32> = if has_boost {
            let shares = boosted_shares(sources, controls);
            let r = i32::from(self.plan.side as u16 / 2);
            let mean = |at: &Coordinate| {
                let cells = (-r..=r).flat_map(|i| (-r..=r).map(move |j| (i, j)));
                let sum: f32 = cells
                    .filter_map(|(i, j)| {
                        sources.holds(crate::document::Level::Structure, at.moved(i, j))
                    })
                    .map(|at| shares[sources.structure_index(at)])
                    .sum();
                sum / (self.plan.side * self.plan.side) as f32
            };
            self.at.iter().map(mean).collect()
        } else {
            Vec::new()
        };
        if let Some(sketch) = &controls.sketch {
            self.colour_weight = sketch.weight * spread / sources.colour_variance;
        }
        // Heights are even between 0 and 1: their variance is a twelfth.
        self.height_weight = controls.height * spread * 12.0;
        for (i, (row, &at)) in (self.rows.chunks_exact_mut(self.columns))
            .zip(&self.at)
            .enumerate()
        {
            let (components, extra) = row.split_at_mut(terms);
            let mut norm: f32 = components.iter().map(|v| v * v).sum();
            if let Some(share) = boosts.get(i) {
                norm -= BOOST * spread * 2.0 * share;
            }
            if self.colour_weight > 0.0 {
                let colour = sources.colours[sources.structure_index(at)];
                extra[COLOUR..COLOUR + 3].copy_from_slice(&colour);
                extra[COLOUR_SQUARE] = colour.iter().map(|v| v * v).sum();
            }
            if self.height_weight > 0.0 {
                let height = sources.extents[usize::from(at.source)].height;
                let height = (f32::from(at.y) + 0.5) / height as f32;
                extra[HEIGHT] = height;
                norm += self.height_weight * height * height;
            }
            extra[NORM] = norm;
        }
    }

    /// A query: so that −2 · (query · row) is the entry's score, up to what all entries share.
    fn query(&self, components: &[f32], wish: &Wish, to: &mut [f32]) {
        let (terms, extra) = to.split_at_mut(components.len());
        terms.copy_from_slice(components);
        extra.fill(0.0);
        if let Some(colour) = wish.colour {
            for (to, value) in extra[COLOUR..].iter_mut().zip(colour) {
                *to = self.colour_weight * value;
            }
            extra[COLOUR_SQUARE] = -0.5 * self.colour_weight;
        }
        extra[HEIGHT] = self.height_weight * wish.height;
        extra[NORM] = -0.5;
    }

    /// The nearest entries of each query, best first; fewer than asked for where filters leave fewer. `components` is query ×
    /// component, as [`Plan::project`] gives them.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn nearest(
        &self,
        components: &[f32],
        wishes: &[Wish],
        choice: Choice,
        watch: &Watch<'_>,
    ) -> Result<Vec<Vec<Found>>> {
        let terms = self.plan.terms();
        let mut queries = vec![0.0; wishes.len() * self.columns];
        (queries.par_chunks_exact_mut(self.columns))
            .zip(components.par_chunks_exact(terms))
            .zip(wishes)
            .for_each(|((to, components), wish)| self.query(components, wish, to));
        // What all scores of a query lack: with it the best is at least near 0, as `variety` needs.
        let norms: Vec<f32> = (components.chunks_exact(terms))
            .zip(wishes)
            .map(|(row, wish)| {
                let colour = wish.colour.map_or(0.0, |c| c.iter().map(|v| v * v).sum());
                row.iter().map(|v| v * v).sum::<f32>()
                    + self.colour_weight * colour
                    + self.height_weight * wish.height * wish.height
            })
            .collect();
        let search = Search {
            bank: self,
            queries: &queries,
            norms: &norms,
            wishes,
            choice,
        };
        let mut best = if choice.variety.is_finite() {
            search.by_entries(watch)
        } else {
            search.by_queries(watch)
        };
        watch.check()?;
        // Distances proper, of the few that were chosen.
        best.par_iter_mut()
            .zip(components.par_chunks_exact(terms))
            .for_each(|(found, components)| {
                for found in found {
                    let row = &self.rows[found.entry as usize * self.columns..][..terms];
                    found.distance = (row.iter().zip(components))
                        .map(|(a, b)| (a - b) * (a - b))
                        .sum();
                }
            });
        Ok(best)
    }
}

struct Search<'a> {
    bank: &'a Bank,
    queries: &'a [f32],
    norms: &'a [f32],
    wishes: &'a [Wish],
    choice: Choice,
}

impl Search<'_> {
    /// Scores of a rectangle of queries and entries: `to` is query × entry and takes query · row.
    fn products(
        &self,
        queries: std::ops::Range<usize>,
        entries: std::ops::Range<usize>,
        to: &mut [f32],
    ) {
        let columns = self.bank.columns;
        let (m, n) = (queries.len(), entries.len());
        let lhs = &self.queries[queries.start * columns..queries.end * columns];
        let rhs = &self.bank.rows[entries.start * columns..entries.end * columns];
        assert!(to.len() >= m * n && lhs.len() == m * columns && rhs.len() == n * columns);
        let stride = columns as isize;
        // SAFETY: the strides stay within the three slices, whose lengths were checked just now; `to` is borrowed mutably, so
        // that it overlaps neither of the others.
        unsafe {
            gemm::gemm(
                m,
                n,
                columns,
                to.as_mut_ptr(),
                1,
                n as isize,
                false,
                lhs.as_ptr(),
                1,
                stride,
                rhs.as_ptr(),
                stride,
                1,
                0.0f32,
                1.0f32,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }

    /// Queries in tiles, all entries for each.
    fn by_queries(&self, watch: &Watch<'_>) -> Vec<Vec<Found>> {
        let (count, entries) = (self.wishes.len(), self.bank.at.len());
        // Entries are packed anew for every tile of queries: few large tiles. Where that leaves few tasks, the entries are cut.
        let tile = count
            .div_ceil(count.div_ceil(MOST_TILE_QUERIES).max(1))
            .max(1);
        let cut = entries
            .div_ceil(8)
            .next_multiple_of(TILE_ENTRIES)
            .max(TILE_ENTRIES);
        let tasks: Vec<(usize, usize)> = (0..count.div_ceil(tile))
            .flat_map(|q| (0..entries.div_ceil(cut)).map(move |e| (q, e)))
            .collect();
        let parts: Vec<Vec<Vec<Found>>> = tasks
            .par_iter()
            .map(|&(q, e)| {
                let queries = q * tile..((q + 1) * tile).min(count);
                let mut best = vec![Vec::with_capacity(self.choice.nearest); queries.len()];
                let mut scores = vec![0.0; tile * TILE_ENTRIES];
                let end = ((e + 1) * cut).min(entries);
                for first in (e * cut..end).step_by(TILE_ENTRIES) {
                    if watch.is_stopped() {
                        break;
                    }
                    let block = first..(first + TILE_ENTRIES).min(end);
                    self.products(queries.clone(), block.clone(), &mut scores);
                    for ((best, row), query) in (best.iter_mut())
                        .zip(scores.chunks_exact(block.len()))
                        .zip(queries.clone())
                    {
                        self.keep_best(query, first, row, best);
                    }
                }
                best
            })
            .collect();
        let cuts = entries.div_ceil(cut);
        let mut all = Vec::with_capacity(count);
        for parts in parts.chunks(cuts.max(1)) {
            let mut merged = parts[0].clone();
            for part in &parts[1..] {
                for (best, more) in merged.iter_mut().zip(part) {
                    merge(best, more, self.choice.nearest);
                }
            }
            all.append(&mut merged);
        }
        all
    }

    /// Keeps the best of one row of products (entries from `first`).
    fn keep_best(&self, query: usize, first: usize, row: &[f32], best: &mut Vec<Found>) {
        const CHUNK: usize = 16;
        let filter = self.wishes[query].filter;
        let norm = self.norms[query];
        let k = self.choice.nearest;
        let mut bar = bar_of(best, k, norm);
        for (number, chunk) in row.chunks(CHUNK).enumerate() {
            let mut top = f32::NEG_INFINITY;
            for &value in chunk {
                top = if value > top { value } else { top };
            }
            if top <= bar {
                continue;
            }
            for (i, &value) in chunk.iter().enumerate() {
                let entry = first + number * CHUNK + i;
                if value <= bar || (self.choice.filtered && !filter.takes(self.bank.keys[entry])) {
                    continue;
                }
                insert(best, entry, norm - 2.0 * value, k);
                bar = bar_of(best, k, norm);
            }
        }
    }

    /// Entries in tiles, all queries for each: an entry's distance to its nearest query weighs its scores.
    fn by_entries(&self, watch: &Watch<'_>) -> Vec<Vec<Found>> {
        let (count, entries) = (self.wishes.len(), self.bank.at.len());
        let block = (TILE_SCORES / count.max(1)).clamp(32, TILE_ENTRIES);
        // Where a result is many times larger than its sources, all of them is in use many times over: what little is not must
        // not draw everything to it.
        let crowd = (count as f32 / (2 * entries.max(1)) as f32).max(1.0);
        let alpha = self.choice.variety * crowd * 2.0 * self.bank.plan.variance.max(1e-6);
        let starts: Vec<usize> = (0..entries).step_by(block).collect();
        let mut all: Vec<Vec<Found>> = vec![Vec::new(); count];
        // In groups, so that partial results of many tiles need not be kept.
        for group in starts.chunks(16) {
            let parts: Vec<Vec<Vec<Found>>> = group
                .par_iter()
                .map(|&first| {
                    if watch.is_stopped() {
                        return Vec::new();
                    }
                    let tile = first..(first + block).min(entries);
                    let n = tile.len();
                    let mut scores = vec![0.0; count * n];
                    for from in (0..count).step_by(1024) {
                        if watch.is_stopped() {
                            return Vec::new();
                        }
                        let to = (from + 1024).min(count);
                        self.products(from..to, tile.clone(), &mut scores[from * n..to * n]);
                    }
                    let mut least = vec![f32::INFINITY; n];
                    for (row, norm) in scores.chunks_exact_mut(n).zip(self.norms) {
                        for (score, least) in row.iter_mut().zip(&mut least) {
                            *score = norm - 2.0 * *score;
                            *least = if *score < *least { *score } else { *least };
                        }
                    }
                    let weights: Vec<f32> =
                        least.iter().map(|d| 1.0 / (alpha + d.max(0.0))).collect();
                    (scores.chunks_exact(n))
                        .enumerate()
                        .map(|(query, row)| {
                            let filter = self.wishes[query].filter;
                            let mut best = Vec::with_capacity(self.choice.nearest);
                            for (i, (score, weight)) in row.iter().zip(&weights).enumerate() {
                                let entry = first + i;
                                if self.choice.filtered && !filter.takes(self.bank.keys[entry]) {
                                    continue;
                                }
                                insert(&mut best, entry, score * weight, self.choice.nearest);
                            }
                            best
                        })
                        .collect()
                })
                .collect();
            if watch.is_stopped() {
                break;
            }
            for part in &parts {
                for (best, more) in all.iter_mut().zip(part) {
                    merge(best, more, self.choice.nearest);
                }
            }
        }
        all
    }
}

/// The product that an entry must beat.
fn bar_of(best: &[Found], k: usize, norm: f32) -> f32 {
    match best.last() {
        Some(last) if best.len() >= k => (norm - last.score) * 0.5,
        _ => f32::NEG_INFINITY,
    }
}

/// Of equal scores the earlier entry stays first.
fn insert(best: &mut Vec<Found>, entry: usize, score: f32, k: usize) {
    if best.len() >= k && best.last().is_some_and(|last| score >= last.score) {
        return;
    }
    let at = best.partition_point(|found| found.score <= score);
    if best.len() >= k {
        best.pop();
    }
    let found = Found {
        entry: entry as u32,
        distance: 0.0,
        score,
    };
    best.insert(at, found);
}

fn merge(best: &mut Vec<Found>, more: &[Found], k: usize) {
    for found in more {
        insert(best, found.entry as usize, found.score, k);
    }
}

/// A few fields, evenly over all that hold a patch.
fn samples(fields: &[Field], side: usize) -> Vec<Field> {
    let large: Vec<&Field> = (fields.iter())
        .filter(|field| field.height >= side && field.width >= side)
        .collect();
    let step = large.len().div_ceil(SAMPLE_SOURCES).max(1);
    // A very large field: its middle will do.
    const MOST: usize = 48;
    let cut = |field: &Field| {
        let (height, width) = (field.height.min(MOST), field.width.min(MOST));
        let (top, left) = ((field.height - height) / 2, (field.width - width) / 2);
        let rows = field.cells.chunks_exact(field.width).skip(top).take(height);
        Field {
            height,
            width,
            cells: rows
                .flat_map(|row| &row[left..left + width])
                .copied()
                .collect(),
        }
    };
    large.into_iter().step_by(step).map(cut).collect()
}

/// Per structure cell: how much of it is of boosted codes, 0 to 1.
fn boosted_shares(sources: &Sources, controls: &Controls) -> Vec<f32> {
    let has = |list: &[bool], code: u16| list.get(usize::from(code)) == Some(&true);
    let mut shares = Vec::with_capacity(sources.structure.len());
    for extent in &sources.extents {
        for y in 0..extent.height {
            for x in 0..extent.width {
                let code = sources.structure[extent.start + y * extent.width + x];
                let under = (0..16).filter(|i| {
                    let (y, x) = (y * 4 + i / 4, x * 4 + i % 4);
                    let row = sources.detail[extent.start * 16 + y * extent.width * 4 + x];
                    has(&controls.boosted_detail, row)
                });
                let whole = if has(&controls.boosted_structure, code) {
                    1.0
                } else {
                    0.0
                };
                shares.push(f32::max(whole, under.count() as f32 / 16.0));
            }
        }
    }
    shares
}
