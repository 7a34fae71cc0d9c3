//! Pictures to codes and back, as files.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::canvas;
use crate::dataset::{Limits, read_file};
use crate::document::{CodeGrid, Codes, Geometry, Wrap};
use crate::engine::device::choice::{DeviceChoice, open_device};
use crate::engine::lanes::job::{Job, Report};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::{Model, ModelSource};
use crate::engine::pictures::encodings::Encodings;
use crate::engine::pictures::read;
use crate::error::{Error, Kind, Result};
use crate::export::check_png;
use crate::export::{Existing, Metadata, Provenance, check_writable, write_bytes, write_png};
use crate::foundation::files::read_text;
use crate::project::ContentHash;

const FORMAT: u32 = 1;
/// A canvas of 8192² has 4.5 million cells of at most 6 characters.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A codes file: JSON that other programs can read and write. Cells are row by row; empty detail is 65,535.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodesFile {
    tessera_codes: u32,
    /// Hash of the model that the codes belong to.
    model: String,
    /// Pixels, before padding to whole cells.
    width: u32,
    height: u32,
    structure: CodeGrid,
    detail: CodeGrid,
}

/// Writes a picture's codes.
pub struct EncodeJob {
    pub model: ModelSource,
    pub image: PathBuf,
    pub out: PathBuf,
    pub existing: Existing,
    pub device: DeviceChoice,
}

/// A picture's codes that were written.
#[derive(Debug, Serialize)]
pub struct Encoded {
    /// Hash of the model.
    pub model: String,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    #[serde(skip)]
    pub structure_cells: usize,
    #[serde(skip)]
    pub detail_cells: usize,
    #[serde(skip)]
    pub file: PathBuf,
}

impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Encoded into {} structure and {} detail codes.",
            self.structure_cells, self.detail_cells
        )
    }
}

impl Report for Encoded {
    fn files(&self) -> Vec<&Path> {
        vec![&self.file]
    }
}

impl Job for EncodeJob {
    type Output = Encoded;

    fn title(&self) -> &'static str {
        "Encoding a picture"
    }

    fn run(self, context: &JobContext) -> Result<Encoded> {
        check_writable(&self.out, self.existing)?;
        let model = self.model.load(&open_device(self.device)?.device)?;
        let indexed = match self.model.project() {
            Some(project) => indexed_codes(project, &model, &self.image)?,
            None => None,
        };
        let (codes, width, height) = match indexed {
            Some(found) => found,
            None => {
                let source = read::load_source(&self.image)?;
                let codes = canvas::encode(&model.codec, &source, Wrap::default(), context)?;
                (codes, source.width(), source.height())
            }
        };
        let cells = (codes.structure.cells().len(), codes.detail.cells().len());
        let file = CodesFile {
            tessera_codes: FORMAT,
            model: model.hash,
            width,
            height,
            structure: codes.structure,
            detail: codes.detail,
        };
        let bytes = serde_json::to_vec(&file).map_err(|source| {
            Error::new(
                Kind::Internal,
                "could not write the codes",
                source.to_string(),
                "",
            )
        })?;
        write_bytes(&self.out, self.existing, &bytes)?;
        Ok(Encoded {
            model: file.model,
            width: file.width,
            height: file.height,
            structure_cells: cells.0,
            detail_cells: cells.1,
            file: self.out,
        })
    }
}

/// The codes of a picture that the project's index has in its full size, with that size in pixels.
fn indexed_codes(
    project: &Storage,
    model: &Model,
    image: &Path,
) -> Result<Option<(Codes, u32, u32)>> {
    let hash = ContentHash::of(&read_file(image, &Limits::default())?);
    let found = project.call(move |project| {
        let Some(id) = project.picture_by_content(hash)? else {
            return Ok(None);
        };
        project.picture(id).map(Some)
    })?;
    let Some(row) = found else { return Ok(None) };
    let indexed = Encodings::new(project, model)?
        .of(&[row.id])
        .next()
        .transpose()?;
    Ok(indexed
        .filter(|found| (found.width, found.height) == (row.width, row.height))
        .map(|found| (found.codes, found.width, found.height)))
}

/// Decodes a codes file.
pub struct DecodeJob {
    pub model: ModelSource,
    pub codes: PathBuf,
    pub out: PathBuf,
    pub existing: Existing,
    pub structure_only: bool,
    pub device: DeviceChoice,
}

/// A picture that was decoded from codes.
#[derive(Debug, Serialize)]
pub struct DecodedCodes {
    /// Pixels.
    #[serde(skip)]
    pub width: u32,
    #[serde(skip)]
    pub height: u32,
    #[serde(skip)]
    pub file: PathBuf,
}

impl fmt::Display for DecodedCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoded {} × {} pixels.", self.width, self.height)
    }
}

impl Report for DecodedCodes {
    fn files(&self) -> Vec<&Path> {
        vec![&self.file]
    }
}

impl Job for DecodeJob {
    type Output = DecodedCodes;

    fn title(&self) -> &'static str {
        "Decoding codes"
    }

    fn run(self, context: &JobContext) -> Result<DecodedCodes> {
        check_png(&self.out, self.existing)?;
        let model = self.model.load(&open_device(self.device)?.device)?;
        let file = read_codes(&self.codes)?;
        if file.model != model.hash {
            return Err(Error::usage(
                "could not decode the codes",
                format!(
                    "they belong to the model {:.12}, this one is {:.12}",
                    file.model, model.hash
                ),
                "Name the model that encoded them with --model or --project",
            )
            .at(&self.codes));
        }
        let geometry = Geometry::new(file.width, file.height).map_err(|e| e.at(&self.codes))?;
        let mut codes = Codes {
            structure: file.structure,
            detail: file.detail,
        };
        codes
            .check(geometry, Some(model.codebooks()))
            .map_err(|error| error.at(&self.codes))?;
        if self.structure_only {
            codes.detail = CodeGrid::filled(codes.detail.width(), codes.detail.height(), None);
        }
        let decoded = read::decode(&model.codec, &codes, geometry, context)?;
        let metadata = Metadata {
            notes: None,
            provenance: Some(Provenance::Generated),
            restore: None,
        };
        write_png(&self.out, self.existing, &decoded, &metadata)?;
        Ok(DecodedCodes {
            width: file.width,
            height: file.height,
            file: self.out,
        })
    }
}

fn read_codes(path: &Path) -> Result<CodesFile> {
    let text = read_text(path, MAX_FILE_BYTES, "could not read the codes")?;
    let malformed = |why: String| {
        Error::new(
            Kind::Damaged,
            "could not read the codes",
            why,
            "Encode the picture again",
        )
        .at(path)
    };
    let file: CodesFile = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
    if file.tessera_codes > FORMAT {
        return Err(Error::new(
            Kind::Newer,
            "could not read the codes",
            format!(
                "they have format {}, this Tessera reads {FORMAT}",
                file.tessera_codes
            ),
            "Use a newer Tessera",
        )
        .at(path));
    }
    Ok(file)
}
