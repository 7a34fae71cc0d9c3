//! Which formats are written: one picture, or a moving one.

use std::fmt;
use std::path::Path;

use super::animation::{AnimationSize, Frame, write_apng, write_folder, write_gif};
use super::png::{Metadata, write_png};
use super::webp::write_webp;
use crate::document::Raster;
use crate::error::{Error, Result};
use crate::foundation::files::{Existing, check_writable, write_atomic};
use crate::foundation::formats::Format;

/// Writes a picture.
pub struct Writer {
    pub format: &'static Format,
    /// What to know when choosing it.
    pub hint: &'static str,
    /// Whether its files can carry what brings a document back.
    pub restores: bool,
    write: fn(&Path, Existing, &Raster, &Metadata<'_>) -> Result<()>,
}

/// The one list of what pictures are written as. The first is what is meant where nothing was chosen.
pub static WRITERS: [Writer; 2] = [
    Writer {
        format: Format::PNG,
        hint: "Every pixel as it is; can bring the document back",
        restores: true,
        write: write_png,
    },
    Writer {
        format: Format::WEBP,
        hint: "Every pixel as it is, smaller files",
        restores: false,
        write: write_webp,
    },
];

impl Writer {
    /// By the ending of a file's name.
    ///
    /// # Errors
    /// `Usage` for an ending that nothing is written as.
    pub fn of(path: &Path) -> Result<&'static Self> {
        let ending = path.extension().unwrap_or_default();
        let mut writers = WRITERS.iter();
        (writers.find(|writer| writer.format.has_ending(ending))).ok_or_else(|| {
            let usual: Vec<String> = WRITERS.iter().map(|w| format!(".{}", w.ending())).collect();
            Error::usage(
                "could not export",
                format!("the file name does not end in {}", usual.join(" or ")),
                format!("Name a {} file", usual.join(" or ")),
            )
            .at(path)
        })
    }

    /// The ending of the names it gives, without the point.
    pub fn ending(&self) -> &'static str {
        self.format.endings[0]
    }

    /// # Errors
    /// As [`write_atomic`]; `Limit` for a size that the format does not have.
    pub fn write(
        &self,
        path: &Path,
        existing: Existing,
        raster: &Raster,
        metadata: &Metadata<'_>,
    ) -> Result<()> {
        (self.write)(path, existing, raster, metadata)
    }
}

impl PartialEq for Writer {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.format.fmt(f)
    }
}

/// Writes frames that the last argument gives one after the other.
type WriteFrames =
    fn(&Path, Existing, AnimationSize, &mut dyn FnMut() -> Result<Frame>) -> Result<()>;

/// Writes a moving picture.
pub struct AnimationWriter {
    /// The name people know it by.
    pub name: &'static str,
    /// What to know when choosing it.
    pub hint: &'static str,
    /// Endings of its files in small letters, the usual one first; empty for a folder of files.
    pub endings: &'static [&'static str],
    write: WriteFrames,
}

/// The one list of what moving pictures are written as. The first is what is meant where nothing was chosen.
pub static ANIMATION_WRITERS: [AnimationWriter; 3] = [
    AnimationWriter {
        name: "GIF",
        hint: "Plays everywhere; 256 colours for each change",
        endings: Format::GIF.endings,
        write: |path, existing, size, next| {
            write_atomic(path, existing, |file| write_gif(file, size, next))
        },
    },
    AnimationWriter {
        name: "APNG",
        hint: "All colours; plays in browsers",
        endings: Format::PNG.endings,
        write: |path, existing, size, next| {
            write_atomic(path, existing, |file| write_apng(file, size, next))
        },
    },
    AnimationWriter {
        name: "PNG files",
        hint: "A numbered file for each frame, for other programs",
        endings: &[],
        write: write_folder,
    },
];

impl AnimationWriter {
    /// By the name of the file; a name without an ending is a folder of PNG files.
    ///
    /// # Errors
    /// `Usage` for an ending that nothing is written as.
    pub fn of(path: &Path) -> Result<&'static Self> {
        let ending = path.extension();
        let mut writers = ANIMATION_WRITERS.iter();
        let found = writers.find(|writer| match ending {
            Some(ending) => {
                let mut own = writer.endings.iter();
                own.any(|own| ending.eq_ignore_ascii_case(own))
            }
            None => writer.is_folder(),
        });
        found.ok_or_else(|| {
            let endings = ANIMATION_WRITERS.iter().flat_map(|writer| writer.endings);
            let endings: Vec<String> = endings.map(|ending| format!(".{ending}")).collect();
            Error::usage(
                "could not export",
                format!("the file name does not end in {}", endings.join(" or ")),
                "Give one of these, or a name without ending for a folder of PNG files",
            )
            .at(path)
        })
    }

    /// Whether it writes a folder of files instead of one.
    pub fn is_folder(&self) -> bool {
        self.endings.is_empty()
    }

    /// Whether it could be written here, for asking before the work that makes it.
    ///
    /// # Errors
    /// As [`check_writable`]. A folder is made when there is something to write into it.
    pub fn check(&self, path: &Path, existing: Existing) -> Result<()> {
        let parent = path.parent();
        let has_parent =
            parent.is_none_or(|parent| parent.as_os_str().is_empty() || parent.exists());
        match self.is_folder() || !has_parent {
            true => Ok(()),
            false => check_writable(path, existing),
        }
    }

    /// Writes exactly `size.frames` frames, which `next` gives one after the other, looping for ever.
    ///
    /// # Errors
    /// As [`write_atomic`]; `Limit` for a size that the format does not have; those of `next`. Of a folder, the files
    /// written so far stay.
    pub fn write(
        &self,
        path: &Path,
        existing: Existing,
        size: AnimationSize,
        next: &mut dyn FnMut() -> Result<Frame>,
    ) -> Result<()> {
        (self.write)(path, existing, size, next).map_err(|e| e.at(path))
    }
}

impl PartialEq for AnimationWriter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for AnimationWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
