//! A codec as a model file ([`crate::model`]): its tensors are those of [`CodecConfig::tensor_shapes`], its config is the
//! [`CodecConfig`], and about itself it says what [`CheckpointInfo`] holds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codec::Codec;
use crate::codec::config::CodecConfig;
use crate::error::{Error, Kind, Result};
use crate::model::{ModelFile, Weights, damaged, read_model_file, tensor_hash};

pub use crate::model::Precision;

/// The kind of model file that holds a codec.
pub const FILE_KIND: &str = "tessera-codec";

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

impl Codec {
    /// BLAKE3 of all tensors as `f32`, in hex: the same whether loaded from an `F16` file or stored again as `F32`.
    ///
    /// # Errors
    /// [`Kind::Internal`] if tensors cannot be read back.
    pub fn model_hash(&self) -> Result<String> {
        Ok(tensor_hash(&self.weights()?))
    }

    /// The checkpoint file's bytes.
    ///
    /// # Errors
    /// [`Kind::NotFinite`] if a weight is not finite, or too large for `F16`.
    pub fn save_bytes(&self, precision: Precision) -> Result<Vec<u8>> {
        let info = CheckpointInfo {
            reseeded_structure: self.structure.reseeded(),
            reseeded_detail: self.detail.reseeded(),
            ..self.info.clone()
        };
        let about = match serde_json::to_value(&info).map_err(internal)? {
            Value::Object(about) => about,
            // A struct is an object.
            _ => serde_json::Map::new(),
        };
        let file = ModelFile {
            kind: FILE_KIND.to_owned(),
            config: serde_json::to_value(self.config()).map_err(internal)?,
            tensors: self.weights()?,
            needs: Vec::new(),
            about,
        };
        file.into_bytes(precision)
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
        let shapes = |config: &Value| Ok(layout(config)?.tensor_shapes());
        let file = ModelFile::read(bytes, FILE_KIND, shapes)?;
        let config = layout(&file.config)?;
        let tensors = file
            .tensors
            .into_iter()
            .map(|(name, (shape, values))| Ok((name, Tensor::from_vec(values, shape, device)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let mut codec = Self::from_tensors(config, tensors, device)?;
        codec.info = CheckpointInfo::deserialize(Value::Object(file.about)).map_err(undescribed)?;
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

    fn weights(&self) -> Result<Weights> {
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

/// Bounded: nothing is made of what the file says before.
fn layout(config: &Value) -> Result<CodecConfig> {
    let config = CodecConfig::deserialize(config).map_err(undescribed)?;
    config.validate()?;
    Ok(config)
}

fn undescribed(error: serde_json::Error) -> Error {
    damaged(format!("its description cannot be read ({error})"))
}

fn internal(error: serde_json::Error) -> Error {
    Error::new(
        Kind::Internal,
        "could not save the model",
        error.to_string(),
        "Report it with the log",
    )
}
