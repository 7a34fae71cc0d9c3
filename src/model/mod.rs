//! A model as one safetensors file: what is the same for every kind of model. Files may come from strangers: everything is
//! bounded and checked before it is used.
//!
//! The tensors are `F32` or `F16`. The file's metadata has one entry, `tessera`, a JSON object: `kind`, `format` (1), `blake3` (of
//! the tensors, see [`tensor_hash`]), `config` (the layout, as the kind describes it), `needs` (other models that this one is of
//! no use without; left out where there are none), and what the model says about itself. One entry, so that the same model always
//! gives the same bytes.
//!
//! Nothing here knows a network: weights are numbers with names and shapes.
//!
//! # Limitations
//! No other container is read, and nothing is converted between kinds.

pub(crate) mod container;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use half::f16;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};
use container::{Fault, HostTensor, Limits, Reader, Values};

/// Readable up to this one.
const FORMAT: u64 = 1;
const METADATA_KEY: &str = "tessera";
const LIMITS: Limits = Limits {
    file: 1 << 30,
    header: 4 << 20,
};

/// Weights by name: sides and values in row-major order.
pub type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Sides of each tensor of a model, by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    F32,
    F16,
}

/// Another model that one builds on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub kind: String,
    /// Its [`tensor_hash`].
    pub blake3: String,
}

/// A model and what it says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// What it is a model of: `tessera-codec`.
    pub kind: String,
    /// The layout, from which the tensors' names and shapes follow.
    pub config: Value,
    pub tensors: Weights,
    pub needs: Vec<Need>,
    /// Scores, origin and the like, as whoever made it describes them.
    pub about: Map<String, Value>,
}

/// All of a file but the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHeader {
    pub kind: String,
    format: u64,
    /// [`tensor_hash`] of the tensors, once the file is read as a whole; until then what the file says.
    pub blake3: String,
    pub config: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    #[serde(flatten)]
    pub about: Map<String, Value>,
}

impl ModelHeader {
    /// Reads the header alone; `kind` is what the file must be.
    ///
    /// # Errors
    /// [`Kind::Foreign`] for what is no Tessera model or one of another kind, [`Kind::Newer`], [`Kind::Damaged`], and
    /// [`Kind::Limit`] for one that is too large.
    pub fn read(bytes: &[u8], kind: &str) -> Result<Self> {
        /// What can be read of any version.
        #[derive(Deserialize)]
        struct Any {
            kind: String,
            format: u64,
        }
        let text = container::read_text(bytes, METADATA_KEY, LIMITS).map_err(explained)?;
        let unreadable =
            |error: serde_json::Error| damaged(format!("its description cannot be read ({error})"));
        let any: Any = serde_json::from_str(&text).map_err(unreadable)?;
        if any.kind != kind {
            return Err(foreign("it is a Tessera file of another kind"));
        }
        if any.format > FORMAT {
            return Err(Error::new(
                Kind::Newer,
                "could not load the model",
                format!(
                    "it was written by a newer Tessera (format {}, this one reads up to {FORMAT})",
                    any.format
                ),
                "Update Tessera",
            ));
        }
        serde_json::from_str(&text).map_err(unreadable)
    }
}

impl ModelFile {
    /// Reads a file of this kind. `shapes` checks the layout and says which tensors belong to it, before any is read.
    ///
    /// # Errors
    /// As [`ModelHeader::read`] and `shapes`; [`Kind::Damaged`] for tensors that are not those of the layout, not finite, or not
    /// those that were saved; [`Kind::Unsupported`] for numbers of another type.
    pub fn read(
        bytes: &[u8],
        kind: &str,
        shapes: impl FnOnce(&Value) -> Result<Shapes>,
    ) -> Result<Self> {
        let header = ModelHeader::read(bytes, kind)?;
        let shapes = shapes(&header.config)?;
        let file = Reader::new(bytes).map_err(explained)?;
        let found = file.names().len();
        if found != shapes.len() {
            return Err(damaged(format!(
                "it has {found} tensors, its layout asks for {}",
                shapes.len()
            )));
        }
        let mut tensors = Weights::new();
        for (name, shape) in shapes {
            if file.shape(&name).map_err(explained)? != shape {
                return Err(damaged(format!("{name} has another shape than its layout")));
            }
            let Values::F32(values) = file.tensor(&name).map_err(explained)?.values else {
                let why = format!("{name} holds whole numbers; F32 and F16 can be read");
                return Err(explained(Fault::Unsupported(why)));
            };
            tensors.insert(name, (shape, values));
        }
        if tensor_hash(&tensors) != header.blake3 {
            return Err(damaged(
                "the weights are not those that were saved (their hash differs)".to_owned(),
            ));
        }
        Ok(Self {
            kind: header.kind,
            config: header.config,
            tensors,
            needs: header.needs,
            about: header.about,
        })
    }

    /// The file's bytes; the weights are rounded to `precision`.
    ///
    /// # Errors
    /// [`Kind::NotFinite`] if a weight is not finite, or too large for `F16`.
    pub fn into_bytes(mut self, precision: Precision) -> Result<Vec<u8>> {
        let halve = precision == Precision::F16;
        for (name, (_, values)) in &mut self.tensors {
            if halve {
                for value in values.iter_mut() {
                    *value = f16::from_f32(*value).to_f32();
                }
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Err(Error::new(
                    Kind::NotFinite,
                    "could not save the model",
                    format!("{name} holds a number that is not finite in this precision"),
                    "Go back to the last checkpoint",
                ));
            }
        }
        let header = ModelHeader {
            kind: self.kind,
            format: FORMAT,
            blake3: tensor_hash(&self.tensors),
            config: self.config,
            needs: self.needs,
            about: self.about,
        };
        let text = serde_json::to_string(&header).map_err(|error| internal(error.to_string()))?;
        let host = |(name, (shape, values))| {
            let values = Values::F32(values);
            (name, HostTensor { shape, values })
        };
        let tensors = self.tensors.into_iter().map(host).collect();
        container::write(&tensors, METADATA_KEY, text, halve).map_err(internal)
    }
}

/// BLAKE3 over the tensors in name order: length of the name, name, rank, sides (each `u64`), values (`f32`), all
/// little-endian; in hex. The same whether a model is stored as `F16` or again as `F32`.
pub fn tensor_hash(tensors: &Weights) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, (shape, values)) in tensors {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(shape.len() as u64).to_le_bytes());
        for &side in shape {
            hasher.update(&(side as u64).to_le_bytes());
        }
        for chunk in values.chunks(4_096) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// The bytes of a model file, of limited length.
///
/// # Errors
/// `Foreign` for what is no file, `Limit`, and failed file operations.
pub fn read_model_file(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: &std::io::Error| Error::io("could not open the model", path, error);
    // Before opening: opening a pipe would wait for ever.
    let metadata = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(foreign("it is not a file").at(path));
    }
    if metadata.len() > LIMITS.file {
        return Err(explained(Fault::TooLarge(metadata.len())).at(path));
    }
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(LIMITS.file + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn explained(fault: Fault) -> Error {
    match fault {
        Fault::Foreign(why) => foreign(why),
        Fault::Damaged(why) => damaged(why),
        Fault::Unsupported(why) => Error::new(
            Kind::Unsupported,
            "could not load the model",
            why,
            "Use a model made by Tessera",
        ),
        Fault::TooLarge(bytes) => Error::new(
            Kind::Limit,
            "could not load the model",
            format!("it has {bytes} bytes; models have at most {}", LIMITS.file),
            "Choose a Tessera model file",
        ),
    }
}

fn foreign(why: &str) -> Error {
    Error::new(
        Kind::Foreign,
        "could not load the model",
        why,
        "Choose a Tessera model file",
    )
}

/// Bytes that are not what they claim to be.
pub(crate) fn damaged(why: String) -> Error {
    Error::new(
        Kind::Damaged,
        "could not load the model",
        why,
        "Get the model file again from where it came",
    )
}

fn internal(why: String) -> Error {
    Error::new(
        Kind::Internal,
        "could not save the model",
        why,
        "Report it with the log",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(needs: Vec<Need>) -> ModelFile {
        let about = json!({ "metrics": { "psnr_db": 30.5 } });
        ModelFile {
            kind: "tessera-prior".to_owned(),
            config: json!({ "width": 2, "depth": 1 }),
            tensors: [("w".to_owned(), (vec![2, 2], vec![1.0, -0.5, 0.25, 0.1]))].into(),
            needs,
            about: about.as_object().cloned().unwrap_or_default(),
        }
    }

    fn shapes(_: &Value) -> Result<Shapes> {
        Ok([("w".to_owned(), vec![2, 2])].into())
    }

    #[test]
    fn a_model_of_any_kind_comes_back_with_what_it_needs() {
        let need = Need {
            kind: "tessera-codec".to_owned(),
            blake3: "00ff".to_owned(),
        };
        for needs in [Vec::new(), vec![need]] {
            let before = model(needs);
            let bytes = before.clone().into_bytes(Precision::F32).unwrap();
            let after = ModelFile::read(&bytes, "tessera-prior", shapes).unwrap();
            assert_eq!(after, before);
            assert_eq!(after.into_bytes(Precision::F32).unwrap(), bytes);
            let header = ModelHeader::read(&bytes, "tessera-prior").unwrap();
            assert_eq!(header.blake3, tensor_hash(&before.tensors));
            let other = ModelHeader::read(&bytes, "tessera-codec").unwrap_err();
            assert_eq!(other.kind, Kind::Foreign);
        }
    }

    #[test]
    fn the_hash_is_that_of_the_numbers_whatever_they_are_stored_as() {
        let half = model(Vec::new()).into_bytes(Precision::F16).unwrap();
        let half = ModelFile::read(&half, "tessera-prior", shapes).unwrap();
        let again = half.clone().into_bytes(Precision::F32).unwrap();
        let again = ModelFile::read(&again, "tessera-prior", shapes).unwrap();
        assert_eq!(tensor_hash(&half.tensors), tensor_hash(&again.tensors));
        assert_ne!(half.tensors, model(Vec::new()).tensors, "0.1 was rounded");
    }

    #[test]
    fn a_layout_is_refused_before_a_tensor_is_read() {
        let mut bytes = model(Vec::new()).into_bytes(Precision::F32).unwrap();
        // Only who reads the tensors can tell.
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        let refuse = |_: &Value| -> Result<Shapes> {
            Err(Error::usage("could not load the model", "too wide", ""))
        };
        let kind = |read: Result<ModelFile>| read.unwrap_err().kind;
        assert_eq!(
            kind(ModelFile::read(&bytes, "tessera-prior", refuse)),
            Kind::Usage
        );
        assert_eq!(
            kind(ModelFile::read(&bytes, "tessera-prior", shapes)),
            Kind::Damaged
        );
    }

    #[test]
    fn a_header_longer_than_allowed_is_refused_by_its_length_alone() {
        let mut bytes = (LIMITS.header + 1).to_le_bytes().to_vec();
        bytes.extend(b"{\"");
        let error = ModelHeader::read(&bytes, "tessera-codec").unwrap_err();
        assert_eq!(error.kind, Kind::Damaged);
        assert!(error.to_string().contains("longer"), "{error}");
    }
}
