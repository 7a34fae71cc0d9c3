//! Which of a project's pictures are held out, kept in the project: telling the near duplicates among a hundred thousand
//! takes seconds, and every look at a picture's crops asks for it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::dataset::{Fingerprint, Split, split_held_out};
use crate::engine::lanes::storage::Storage;
use crate::error::Result;
use crate::project::ContentHash;

/// The key of the project's setting.
const HELD_OUT: &str = "held_out";

#[derive(Serialize, Deserialize)]
struct Kept {
    /// [`hash_of`] the pictures that were split.
    of: ContentHash,
    held_out: Vec<ContentHash>,
    is_separate: bool,
}

/// As [`split_held_out`], from the project where it knows the answer for these pictures.
///
/// # Errors
/// As reading a setting.
pub(crate) fn split(project: &Storage, pictures: &[([u8; 32], Fingerprint)]) -> Result<Split> {
    let of = hash_of(pictures);
    let kept = project.call(|project| project.setting(HELD_OUT))?;
    // One that cannot be read is as good as none.
    let kept = kept.and_then(|value| serde_json::from_value::<Kept>(value).ok());
    if let Some(split) = kept
        .filter(|kept| kept.of == of)
        .and_then(|kept| parted(pictures, &kept))
    {
        return Ok(split);
    }
    let split = split_held_out(pictures);
    let kept = Kept {
        of,
        held_out: (split.held_out.iter().filter(|_| split.is_separate))
            .map(|&index| ContentHash(pictures[index].0))
            .collect(),
        is_separate: split.is_separate,
    };
    // The same now as later, where files with the same bytes were not thought alike.
    let parted = parted(pictures, &kept);
    let stored = serde_json::to_value(kept)
        .map(|value| project.call(move |project| project.set_setting(HELD_OUT, &value)));
    // It is told again then: a list too long for a setting, or a full disk.
    if let Ok(Err(error)) = stored {
        log::info!("{error}");
    }
    Ok(parted.unwrap_or(split))
}

/// `None` where the kept list does not leave pictures on both sides.
fn parted(pictures: &[([u8; 32], Fingerprint)], kept: &Kept) -> Option<Split> {
    let all = 0..pictures.len();
    if !kept.is_separate {
        return Some(Split {
            train: all.clone().collect(),
            held_out: all.collect(),
            is_separate: false,
        });
    }
    let is_listed: HashSet<[u8; 32]> = kept.held_out.iter().map(|hash| hash.0).collect();
    let (held_out, train): (Vec<usize>, Vec<usize>) =
        all.partition(|&index| is_listed.contains(&pictures[index].0));
    (!held_out.is_empty() && !train.is_empty()).then_some(Split {
        train,
        held_out,
        is_separate: true,
    })
}

/// A hash of a set of pictures: their order does not change it.
fn hash_of(pictures: &[([u8; 32], Fingerprint)]) -> ContentHash {
    let mut all: Vec<_> = (pictures.iter())
        .map(|(hash, print)| (*hash, print.to_bytes()))
        .collect();
    all.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key("tessera pictures that were split v1");
    for (hash, print) in &all {
        hasher.update(hash).update(print);
    }
    ContentHash::from(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::pixels::Premultiplied;

    fn pictures(count: u32) -> Vec<([u8; 32], Fingerprint)> {
        (0..count)
            .map(|seed| {
                let hash = blake3::hash(&seed.to_le_bytes());
                let mut rgba = vec![0; 16 * 16 * 4];
                hash_bytes(seed, &mut rgba);
                let picture = Premultiplied {
                    width: 16,
                    height: 16,
                    rgba,
                };
                (*hash.as_bytes(), Fingerprint::of(&picture))
            })
            .collect()
    }

    fn hash_bytes(seed: u32, bytes: &mut [u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(&seed.to_le_bytes())
            .finalize_xof()
            .fill(bytes);
    }

    fn kept(project: &Storage) -> serde_json::Value {
        let setting = project.call(|project| project.setting(HELD_OUT));
        setting.unwrap().unwrap()
    }

    #[test]
    fn the_kept_split_is_that_of_these_pictures_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let project = Storage::create(&folder.path().join("p.tessera")).unwrap();
        for count in [3, 40, 41] {
            let mut pictures = pictures(count);
            let told = split_held_out(&pictures);
            assert_eq!(split(&project, &pictures).unwrap(), told);
            let first = kept(&project);
            // From what is kept, in another order too.
            pictures.reverse();
            let again = split(&project, &pictures).unwrap();
            let last = pictures.len() - 1;
            let mut turned: Vec<usize> = again.held_out.iter().map(|index| last - index).collect();
            turned.sort_unstable();
            assert_eq!(turned, told.held_out);
            assert_eq!(kept(&project), first);
        }
        // What a stranger may have written.
        let pictures = pictures(40);
        let of = hash_of(&pictures);
        let everything: Vec<_> = pictures
            .iter()
            .map(|(hash, _)| ContentHash(*hash))
            .collect();
        for held_out in [everything, Vec::new()] {
            let forged = Kept {
                of,
                held_out,
                is_separate: true,
            };
            let value = serde_json::to_value(forged).unwrap();
            let set = project.call(move |project| project.set_setting(HELD_OUT, &value));
            set.unwrap();
            assert_eq!(
                split(&project, &pictures).unwrap(),
                split_held_out(&pictures)
            );
        }
    }
}
