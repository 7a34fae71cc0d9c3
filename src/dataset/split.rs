//! Which pictures are held out of training, to measure what was learned and not what was remembered.

use std::collections::BTreeMap;

use super::fingerprint::Fingerprint;
use super::near::earliest_near;

/// Indices into the list that was split, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    pub train: Vec<usize>,
    /// Never trained on, and nothing like them either. Where there are too few pictures to spare any, these are the
    /// training pictures themselves.
    pub held_out: Vec<usize>,
    /// False where `held_out` repeats training pictures: then the scores say less, and the user is told.
    pub is_separate: bool,
}

/// Fewer pictures than this are all trained on.
pub const MIN_PICTURES_TO_HOLD_OUT: usize = 8;
/// More held-out pictures than this cost time and tell nothing new.
pub const MAX_HELD_OUT: usize = 64;

/// Splits pictures by content: the same pictures give the same split in any order and on any machine, and a picture
/// added later moves few others. Near duplicates stay on one side. About a tenth is held out, at least 1, at most 64.
pub fn split_held_out(pictures: &[([u8; 32], Fingerprint)]) -> Split {
    let all: Vec<usize> = (0..pictures.len()).collect();
    if pictures.len() < MIN_PICTURES_TO_HOLD_OUT {
        return Split {
            train: all.clone(),
            held_out: all,
            is_separate: false,
        };
    }
    let groups = groups(pictures);
    // Each group's place depends on its content alone.
    let mut ordered: Vec<([u8; 32], Vec<usize>)> = groups
        .into_iter()
        .map(|members| {
            let mut first = [255; 32];
            for m in &members {
                first = first.min(pictures[*m].0);
            }
            let mut hasher = blake3::Hasher::new_derive_key("tessera held-out split v1");
            hasher.update(&first);
            (*hasher.finalize().as_bytes(), members)
        })
        .collect();
    ordered.sort();
    let wanted = (pictures.len() / 10).clamp(1, MAX_HELD_OUT);
    // A group larger than what may be held out would leave too little to train on.
    let most = wanted.max(pictures.len() / 5);
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for (_, members) in ordered {
        if held_out.len() < wanted && held_out.len() + members.len() <= most {
            held_out.extend(members);
        } else {
            train.extend(members);
        }
    }
    train.sort_unstable();
    held_out.sort_unstable();
    if held_out.is_empty() {
        // Everything looks alike.
        return Split {
            train: all.clone(),
            held_out: all,
            is_separate: false,
        };
    }
    Split {
        train,
        held_out,
        is_separate: true,
    }
}

/// Pictures that are near each other, directly or through others.
fn groups(pictures: &[([u8; 32], Fingerprint)]) -> Vec<Vec<usize>> {
    // In order of content, so that the groups do not depend on the order given.
    let mut order: Vec<usize> = (0..pictures.len()).collect();
    order.sort_by_key(|i| (pictures[*i].0, *i));
    let mut group_of: Vec<usize> = (0..pictures.len()).collect();
    // Files with the same bytes stand side by side.
    let mut distinct: Vec<usize> = Vec::with_capacity(order.len());
    for i in order {
        match distinct.last() {
            Some(&same) if pictures[same].0 == pictures[i].0 => group_of[i] = same,
            _ => distinct.push(i),
        }
    }
    let prints: Vec<Fingerprint> = distinct.iter().map(|i| pictures[*i].1).collect();
    for (near, i) in earliest_near(&prints).into_iter().zip(&distinct) {
        if let Some(near) = near {
            group_of[*i] = group_of[distinct[near]];
        }
    }
    for i in 0..pictures.len() {
        group_of[i] = group_of[group_of[i]];
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, group) in group_of.into_iter().enumerate() {
        groups.entry(group).or_default().push(i);
    }
    groups.into_values().collect()
}
