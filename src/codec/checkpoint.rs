//! A codec as one safetensors file. Files may come from strangers: everything is bounded and checked before it is used.
//!
//! The tensors are those of [`CodecConfig::tensor_shapes`], each `F32` or `F16`. The file's metadata has one entry,
//! `tessera`, a JSON object: `kind` (`"tessera-codec"`), `format` (1), `blake3` (of the tensors, see [`tensor_hash`]),
//! `config`, and the fields of [`CheckpointInfo`]. One entry, so that the same codec always gives the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::codec::config::CodecConfig;
use crate::codec::{Codec, damaged};
use crate::error::{Error, Kind, Result};

const FILE_KIND: &str = "tessera-codec";
/// Readable up to this one.
const FORMAT: u64 = 1;
const METADATA_KEY: &str = "tessera";
const MAX_FILE_BYTES: u64 = 1 << 30;
/// The header lists tensors and holds the metadata.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// What a checkpoint says about itself beside its weights.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CheckpointInfo {
    /// Scores on pictures never trained on, as the trainer reports them.
    #[serde(default)]
    pub metrics: serde_json::Value,
    /// What it was trained on and how, as the trainer describes it.
    #[serde(default)]
    pub training: serde_json::Value,
    /// Codes that stand for something else than in the model that the run started from.
    #[serde(default)]
    pub reseeded_structure: Vec<u32>,
    #[serde(default)]
    pub reseeded_detail: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    format: u64,
    blake3: String,
    config: CodecConfig,
    #[serde(flatten)]
    info: CheckpointInfo,
}

/// What can be read of any version.
#[derive(Deserialize)]
struct AnyHeader {
    kind: String,
    format: u64,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    F32,
    F16,
}

impl Codec {
    /// BLAKE3 of all tensors as `f32`, in hex: the same whether loaded from an `F16` file or stored again as `F32`.
    ///
    /// # Errors
    /// [`Kind::Internal`] if tensors cannot be read back.
    pub fn model_hash(&self) -> Result<String> {
        Ok(tensor_hash(&self.host_tensors()?))
    }

    /// The checkpoint file's bytes.
    ///
    /// # Errors
    /// [`Kind::NotFinite`] if a weight is not finite, or too large for `F16`.
    pub fn save_bytes(&self, precision: Precision) -> Result<Vec<u8>> {
        let mut tensors = self.host_tensors()?;
        for (name, (_, values)) in &mut tensors {
            if precision == Precision::F16 {
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
        let header = Header {
            kind: FILE_KIND.to_owned(),
            format: FORMAT,
            blake3: tensor_hash(&tensors),
            config: self.config().clone(),
            info: CheckpointInfo {
                reseeded_structure: self.structure.reseeded(),
                reseeded_detail: self.detail.reseeded(),
                ..self.info.clone()
            },
        };
        let json = serde_json::to_string(&header).map_err(|error| internal(error.to_string()))?;
        let (dtype, bytes) = match precision {
            Precision::F32 => (Dtype::F32, encode(&tensors, |value| value.to_le_bytes())),
            Precision::F16 => (
                Dtype::F16,
                encode(&tensors, |value| f16::from_f32(value).to_le_bytes()),
            ),
        };
        let views = tensors
            .iter()
            .zip(&bytes)
            .map(|((name, (shape, _)), bytes)| {
                TensorView::new(dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| internal(error.to_string()))?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), json)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| internal(error.to_string()))
    }

    /// Writes the checkpoint beside `path` and then renames it, so that `path` never holds half a file.
    ///
    /// # Errors
    /// As [`Self::save_bytes`], and for failed file operations.
    pub fn save_file(&self, path: &Path, precision: Precision) -> Result<()> {
        let bytes = self.save_bytes(precision)?;
        let failed = |error: &std::io::Error| Error::io("could not save the model", path, error);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
        file.write_all(&bytes).map_err(|error| failed(&error))?;
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        file.persist(path).map_err(|error| failed(&error.error))?;
        Ok(())
    }

    /// A codec from a checkpoint's bytes.
    ///
    /// # Errors
    /// [`Kind::Foreign`] for what is no Tessera model, [`Kind::Newer`], [`Kind::Damaged`], [`Kind::Unsupported`], and
    /// [`Kind::Limit`] for one that is too large.
    pub fn load_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        let (header, tensors) = read(bytes)?;
        let tensors = tensors
            .into_iter()
            .map(|(name, (shape, values))| Ok((name, Tensor::from_vec(values, shape, device)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let mut codec = Self::from_tensors(header.config, tensors, device)?;
        codec.info = header.info;
        Ok(codec)
    }

    /// As [`Self::load_bytes`], from a file.
    ///
    /// # Errors
    /// As [`Self::load_bytes`], and for failed file operations; the path is in the error.
    pub fn load_file(path: &Path, device: &Device) -> Result<Self> {
        let bytes = read_model_file(path)?;
        Self::load_bytes(&bytes, device).map_err(|error| error.at(path))
    }

    fn host_tensors(&self) -> Result<HostTensors> {
        self.tensors()
            .into_iter()
            .map(|(name, tensor)| {
                let shape = tensor.dims().to_vec();
                let values = tensor
                    .to_dtype(DType::F32)?
                    .flatten_all()?
                    .to_vec1::<f32>()?;
                Ok((name, (shape, values)))
            })
            .collect()
    }
}

type HostTensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// BLAKE3 over the tensors in name order: length of the name, name, rank, sides (each `u64`), values (`f32`), all
/// little-endian.
fn tensor_hash(tensors: &HostTensors) -> String {
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

fn encode<const N: usize>(tensors: &HostTensors, number: fn(f32) -> [u8; N]) -> Vec<Vec<u8>> {
    tensors
        .values()
        .map(|(_, values)| values.iter().flat_map(|&value| number(value)).collect())
        .collect()
}

/// The bytes of a checkpoint file, of limited length.
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
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(metadata.len()).at(path));
    }
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// The description in the file's header.
fn listed_header(bytes: &[u8]) -> Result<Header> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged("the file ends before it begins".to_owned()));
    };
    if rest.first() != Some(&b'{') {
        return Err(foreign("it is no safetensors file"));
    }
    let header_bytes = u64::from_le_bytes(*length);
    if header_bytes > MAX_HEADER_BYTES || header_bytes > rest.len() as u64 {
        return Err(damaged(
            "its header is longer than the file or the limit".to_owned(),
        ));
    }
    let (_, listed) =
        SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let json = listed
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(METADATA_KEY))
        .ok_or_else(|| foreign("it is a safetensors file of another program"))?;
    let header = read_header(json)?;
    header.config.validate()?;
    Ok(header)
}

fn read(bytes: &[u8]) -> Result<(Header, HostTensors)> {
    let header = listed_header(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let shapes = header.config.tensor_shapes();
    if file.len() != shapes.len() {
        return Err(damaged(format!(
            "it has {} tensors, its layout asks for {}",
            file.len(),
            shapes.len()
        )));
    }
    let mut tensors = HostTensors::new();
    for (name, shape) in shapes {
        let view = file
            .tensor(&name)
            .map_err(|_| damaged(format!("{name} is missing")))?;
        if view.shape() != shape {
            return Err(damaged(format!("{name} has another shape than its layout")));
        }
        let values = decode(&name, &view)?;
        tensors.insert(name, (shape, values));
    }
    if tensor_hash(&tensors) != header.blake3 {
        return Err(damaged(
            "the weights are not those that were saved (their hash differs)".to_owned(),
        ));
    }
    Ok((header, tensors))
}

/// The layout and [`Codec::model_hash`] that a checkpoint's bytes name, without reading the tensors: for bytes that are
/// known to be good.
///
/// # Errors
/// As [`Codec::load_bytes`], of the header alone.
pub fn describe(bytes: &[u8]) -> Result<(CodecConfig, String)> {
    let header = listed_header(bytes)?;
    Ok((header.config, header.blake3))
}

fn read_header(json: &str) -> Result<Header> {
    let any: AnyHeader = serde_json::from_str(json)
        .map_err(|error| damaged(format!("its description cannot be read ({error})")))?;
    if any.kind != FILE_KIND {
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
    serde_json::from_str(json)
        .map_err(|error| damaged(format!("its description cannot be read ({error})")))
}

fn decode(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let (halves, _) = view.data().as_chunks::<2>();
    let (singles, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => singles.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => halves
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        other => {
            return Err(Error::new(
                Kind::Unsupported,
                "could not load the model",
                format!("{name} is stored as {other:?}; F32 and F16 can be read"),
                "Use a model made by Tessera",
            ));
        }
    };
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(damaged(format!("{name} holds NaN or infinite numbers")))
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

fn too_large(bytes: u64) -> Error {
    Error::new(
        Kind::Limit,
        "could not load the model",
        format!("it has {bytes} bytes; models have at most {MAX_FILE_BYTES}"),
        "Choose a Tessera model file",
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
