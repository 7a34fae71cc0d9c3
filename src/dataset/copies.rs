//! Which pictures are copies of others, in whatever order they come.

use std::collections::HashMap;

use super::fingerprint::Fingerprint;
use super::flags::Flag;
use super::near::NearIndex;

/// A picture that is in the project already, outside the scanned folders: copies of it are flagged.
#[derive(Debug, Clone)]
pub struct Known {
    /// How flags name it.
    pub name: String,
    pub content_hash: [u8; 32],
    pub fingerprint: Fingerprint,
    /// Flat pictures have no layout, so nothing is a near copy of them.
    pub is_flat: bool,
}

/// Finds copies among the pictures inserted so far.
pub(super) struct Copies {
    by_hash: HashMap<[u8; 32], usize>,
    near: NearIndex,
    /// Index in `near` to index in `names`.
    near_names: Vec<usize>,
    /// How pictures are named in flags.
    names: Vec<String>,
}

impl Copies {
    pub fn new(known: &[Known]) -> Self {
        let mut copies = Self {
            by_hash: HashMap::new(),
            near: NearIndex::new(),
            near_names: Vec::new(),
            names: Vec::new(),
        };
        for k in known {
            let print = (!k.is_flat).then_some(k.fingerprint);
            copies.insert(k.name.clone(), k.content_hash, print);
        }
        copies
    }

    /// Adds a picture that later ones may be copies of. `print`: `None` for a flat one.
    pub fn insert(&mut self, name: String, hash: [u8; 32], print: Option<Fingerprint>) {
        let index = self.names.len();
        self.names.push(name);
        self.by_hash.entry(hash).or_insert(index);
        if let Some(print) = print {
            self.near.insert(print);
            self.near_names.push(index);
        }
    }

    /// What the picture is a copy of; one with other bytes than all before is added.
    pub fn flag(
        &mut self,
        name: impl FnOnce() -> String,
        hash: [u8; 32],
        print: Option<Fingerprint>,
    ) -> Option<Flag> {
        if let Some(index) = self.by_hash.get(&hash) {
            let of = self.names[*index].clone();
            return Some(Flag::Duplicate { of });
        }
        let near = print.and_then(|print| self.near.find(&print));
        let flag = near.map(|(index, distance)| Flag::NearDuplicate {
            of: self.names[self.near_names[index]].clone(),
            distance,
        });
        self.insert(name(), hash, print);
        flag
    }
}
