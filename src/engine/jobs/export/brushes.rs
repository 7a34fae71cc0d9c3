//! Brush packs as files.

use std::path::PathBuf;

use crate::document::tools::brushes::{BrushPack, MAX_PACK_BYTES};
use crate::engine::lanes::job::{Job, Lane, WhenLeft};
use crate::engine::lanes::worker::JobContext;
use crate::error::Result;
use crate::export::{Existing, write_bytes};
use crate::foundation::files::read_text;

/// Reads a pack and checks it.
pub struct ImportBrushesJob {
    pub path: PathBuf,
}

impl Job for ImportBrushesJob {
    type Output = BrushPack;
    const LANE: Lane = Lane::Foreground;

    fn title(&self) -> &'static str {
        "Reading brushes"
    }

    fn run(self, _: &JobContext) -> Result<BrushPack> {
        let text = read_text(
            &self.path,
            MAX_PACK_BYTES as u64,
            "could not read the brushes",
        )?;
        BrushPack::from_json(&text).map_err(|error| error.at(&self.path))
    }
}

/// Writes a pack and gives the file.
pub struct ExportBrushesJob {
    pub pack: BrushPack,
    pub path: PathBuf,
    pub existing: Existing,
}

impl Job for ExportBrushesJob {
    type Output = PathBuf;
    const LANE: Lane = Lane::Foreground;
    const WHEN_LEFT: WhenLeft = WhenLeft::Finish;

    fn title(&self) -> &'static str {
        "Writing brushes"
    }

    fn run(self, _: &JobContext) -> Result<PathBuf> {
        let text = self.pack.to_json()?;
        write_bytes(&self.path, self.existing, text.as_bytes())?;
        Ok(self.path)
    }
}
