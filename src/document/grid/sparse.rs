//! A few values on a large grid: what a layer changes, and what a mask hides.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Cells of a run; runs are shared between copies until one of them changes.
const RUN_CELLS: u32 = 1024;

/// Values of some cells of a grid. Two with the same values are equal, whatever was there in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SparseGrid<T = u16> {
    runs: BTreeMap<u32, Arc<Run<T>>>,
    len: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Run<T> {
    present: [u64; (RUN_CELLS / 64) as usize],
    /// The default value where there is none.
    values: [T; RUN_CELLS as usize],
    count: u32,
}

impl<T: Copy + Default> Run<T> {
    fn empty() -> Self {
        Self {
            present: [0; (RUN_CELLS / 64) as usize],
            values: [T::default(); RUN_CELLS as usize],
            count: 0,
        }
    }
}

impl<T: Copy + Default + PartialEq> SparseGrid<T> {
    /// How many cells have a value.
    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, index: u32) -> Option<T> {
        let run = self.runs.get(&(index / RUN_CELLS))?;
        let at = index % RUN_CELLS;
        (run.present[(at / 64) as usize] >> (at % 64) & 1 == 1).then(|| run.values[at as usize])
    }

    pub fn contains(&self, index: u32) -> bool {
        self.get(index).is_some()
    }

    /// Sets or, with `None`, takes away a value. Returns what was there.
    pub fn set(&mut self, index: u32, value: Option<T>) -> Option<T> {
        let before = self.get(index);
        if before == value {
            return before;
        }
        let key = index / RUN_CELLS;
        let run = (self.runs.entry(key)).or_insert_with(|| Arc::new(Run::empty()));
        let run = Arc::make_mut(run);
        let at = index % RUN_CELLS;
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        run.values[at as usize] = value.unwrap_or_default();
        match (before, value) {
            (None, Some(_)) => {
                run.present[word] |= bit;
                run.count += 1;
                self.len += 1;
            }
            (Some(_), None) => {
                run.present[word] &= !bit;
                run.count -= 1;
                self.len -= 1;
            }
            _ => {}
        }
        if run.count == 0 {
            self.runs.remove(&key);
        }
        before
    }

    /// Cells and values, by rising index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, T)> + '_ {
        self.runs.iter().flat_map(|(key, run)| {
            let words = (0u32..).zip(run.present);
            words.flat_map(move |(word, mut bits)| {
                std::iter::from_fn(move || {
                    let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                    bits &= bits - 1;
                    let at = word * 64 + bit;
                    Some((key * RUN_CELLS + at, run.values[at as usize]))
                })
            })
        })
    }

    /// The largest index with a value.
    pub fn last_index(&self) -> Option<u32> {
        let (key, run) = self.runs.last_key_value()?;
        let word = run.present.iter().rposition(|bits| *bits != 0)?;
        let bit = 63 - run.present[word].leading_zeros();
        Some(key * RUN_CELLS + word as u32 * 64 + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_map_from_cells_to_values(
            steps in proptest::collection::vec((0u32..5000, proptest::option::of(0u16..9)), 0..300)
        ) {
            let mut grid: SparseGrid = SparseGrid::default();
            let mut map = BTreeMap::new();
            for (index, value) in steps {
                let before = match value {
                    Some(value) => map.insert(index, value),
                    None => map.remove(&index),
                };
                prop_assert_eq!(grid.set(index, value), before);
                prop_assert_eq!(grid.get(index), value);
            }
            prop_assert_eq!(grid.len(), map.len());
            prop_assert_eq!(grid.last_index(), map.keys().next_back().copied());
            prop_assert_eq!(grid.iter().collect::<Vec<_>>(), map.into_iter().collect::<Vec<_>>());
            let cells: Vec<u32> = grid.iter().map(|(index, _)| index).collect();
            for index in cells {
                grid.set(index, None);
            }
            prop_assert_eq!(grid, SparseGrid::default());
        }
    }
}
