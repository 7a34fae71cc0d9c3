//! The sample pictures inside the program: CC0, see `assets/samples`.

use std::path::Path;

use crate::error::{Error, Result};
use crate::export::{Existing, write_bytes};

macro_rules! samples {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../assets/samples/", $name)).as_slice())),*]
    };
}

/// File name and bytes of each sample picture.
pub const SAMPLES: &[(&str, &[u8])] = samples![
    "blue-periwinkle.jpg",
    "budgie-branch.jpg",
    "colorful-wall.jpg",
    "dragonfly-on-lavender.jpg",
    "elephant.png",
    "extreme-desert-hike.jpg",
    "fragrant-chamomile.jpg",
    "giraffe.png",
    "hippo.png",
    "kitten-on-lawn.jpg",
    "lake-sherburne.jpg",
    "orange-hallway.jpg",
    "parrot.png",
    "penguin.png",
    "pig.png",
    "rabbit.png",
    "serene.jpg",
    "snake.png",
    "solaris-grapes.jpg",
    "tea-gardens.jpg",
    "tunnel-zion-park.jpg",
    "valley-coral.jpg",
];

/// Writes the sample pictures into `folder`; files that are there already are left alone.
///
/// # Errors
/// As [`write_bytes`], except where the file exists.
pub fn write_samples(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::io("could not make the folder", folder, &source))?;
    for (name, bytes) in SAMPLES {
        let path = folder.join(name);
        if !path.exists() {
            write_bytes(&path, Existing::Refuse, bytes)?;
        }
    }
    Ok(())
}
