//! Which model a job uses, and loading it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::Device;
use serde_json::json;

use crate::codec::{Codec, CodecConfig};
use crate::document::{Alphabet, CodeVectors, Codebooks, Vectors};
use crate::engine::lanes::storage::Storage;
use crate::error::{Error, Kind, Result};
use crate::model::read_model_file;
use crate::project::{
    CheckpointId, CheckpointKind, CheckpointRow, ContentHash, NewCheckpoint, Project, RunRow,
};

/// The checkpoint that is shipped inside the program; see `models/README.md`.
const BASE_MODEL: &[u8] = include_bytes!("../../../models/base.safetensors");

/// Where a job takes its model from.
#[derive(Clone)]
pub enum ModelSource {
    /// The model inside the program.
    Base,
    /// A safetensors file.
    File(PathBuf),
    /// A checkpoint of a project.
    Project(Storage, CheckpointChoice),
}

/// Which of a project's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckpointChoice {
    /// The newest run's best by held-out score; the base model before any training.
    #[default]
    Best,
    /// Where the newest run stands.
    Last,
    Id(CheckpointId),
}

impl FromStr for CheckpointChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "best" => Ok(Self::Best),
            "last" => Ok(Self::Last),
            number => (number.parse().map(Self::Id))
                .map_err(|_| "expected best, last or a checkpoint's number".into()),
        }
    }
}

/// A loaded model with the bytes it came from.
#[derive(Clone)]
pub struct Model {
    pub codec: Arc<Codec>,
    /// The checkpoint file; a project knows the model by these bytes' hash.
    pub bytes: Arc<Cow<'static, [u8]>>,
    /// BLAKE3 of the weights themselves: what exported pictures name.
    pub hash: String,
    /// In words: "the base model", "best checkpoint of Run 2".
    pub name: String,
}

impl Model {
    /// Reads a checkpoint file's bytes.
    ///
    /// # Errors
    /// As [`Codec::load_bytes`].
    pub fn from_bytes(
        bytes: impl Into<Cow<'static, [u8]>>,
        name: String,
        device: &Device,
    ) -> Result<Self> {
        let bytes = bytes.into();
        crate::window_thread::count_blocking("loading a model");
        let codec = Codec::load_bytes(&bytes, device)?;
        Ok(Self {
            hash: codec.model_hash()?,
            codec: Arc::new(codec),
            bytes: Arc::new(bytes),
            name,
        })
    }

    pub fn codebooks(&self) -> Codebooks {
        let config = self.codec.config();
        // A valid config has at most 65,534 codes a level.
        Codebooks {
            structure: config.structure.codes as u32,
            detail: config.detail.codes as u32,
        }
    }

    /// What painting tools need to know of its codes.
    ///
    /// # Errors
    /// `Damaged` for codebooks that hold values that are no numbers.
    pub fn alphabet(&self) -> Result<Alphabet> {
        Ok(Alphabet::new(Arc::new(self.vectors()?)))
    }

    /// The vectors of its codes.
    ///
    /// # Errors
    /// As [`Self::alphabet`].
    pub fn vectors(&self) -> Result<Vectors> {
        let of = |codebook: &candle_core::Tensor| {
            let (_, width) = codebook.dims2()?;
            CodeVectors::new(width, codebook.flatten_all()?.to_vec1::<f32>()?)
        };
        Ok(Vectors {
            structure: of(self.codec.structure.codebook())?,
            detail: of(self.codec.detail.codebook())?,
        })
    }

    /// Makes the project hold this model and returns the hash that its documents name it by.
    ///
    /// # Errors
    /// As [`Project::save_checkpoint`].
    pub fn keep_in(&self, project: &Storage) -> Result<ContentHash> {
        let model = self.clone();
        project.call(move |project| {
            let hash = ContentHash::of(&model.bytes);
            if project.checkpoint_by_hash(hash)?.is_none() {
                project.save_checkpoint(&NewCheckpoint {
                    run: None,
                    kind: CheckpointKind::Base,
                    step: 0,
                    name: &model.name,
                    config: config_json(model.codec.config())?,
                    metrics: json!({ MODEL_HASH: model.hash }),
                    weights: Cow::Borrowed(&model.bytes),
                    training_state: None,
                })?;
            }
            Ok(hash)
        })
    }
}

/// The key under which a checkpoint's metrics hold [`Model::hash`].
pub(crate) const MODEL_HASH: &str = "model_hash";

fn config_json(config: &CodecConfig) -> Result<serde_json::Value> {
    serde_json::to_value(config).map_err(|source| {
        Error::new(
            Kind::Internal,
            "could not describe the model",
            source.to_string(),
            "",
        )
    })
}

impl ModelSource {
    /// # Errors
    /// `NotFound` where there is no checkpoint of that number; as [`Codec::load_bytes`] otherwise.
    pub fn load(&self, device: &Device) -> Result<Model> {
        match self {
            Self::Base => base_model(device),
            Self::File(path) => {
                let codec_bytes = read_model_file(path)?;
                Model::from_bytes(codec_bytes, path.display().to_string(), device)
                    .map_err(|error| error.at(path))
            }
            Self::Project(project, choice) => {
                let choice = *choice;
                let found = project.call(move |project| {
                    let Some(row) = choose(project, choice)? else {
                        return Ok(None);
                    };
                    let run = row.run.map(|run| project.run(run)).transpose()?;
                    Ok(Some((
                        project.checkpoint_weights(row.id)?,
                        checkpoint_name(&row, run.as_ref()),
                    )))
                })?;
                match found {
                    Some((bytes, name)) => Model::from_bytes(bytes, name, device)
                        .map_err(|error| error.at(project.path())),
                    None => base_model(device),
                }
            }
        }
    }

    /// The project behind it, where there is one.
    pub fn project(&self) -> Option<&Storage> {
        match self {
            Self::Project(project, _) => Some(project),
            _ => None,
        }
    }
}

fn base_model(device: &Device) -> Result<Model> {
    Model::from_bytes(BASE_MODEL, "base model".into(), device)
}

fn choose(project: &Project, choice: CheckpointChoice) -> Result<Option<CheckpointRow>> {
    match choice {
        CheckpointChoice::Id(id) => project.checkpoint(id).map(Some),
        // Before its codebooks exist a run has a state, but no model.
        CheckpointChoice::Last => Ok(project
            .newest_checkpoint(CheckpointKind::Last)?
            .filter(|row| row.weights_bytes > 0)),
        CheckpointChoice::Best => match project.newest_checkpoint(CheckpointKind::Best)? {
            Some(best) => Ok(Some(best)),
            None => project.newest_checkpoint(CheckpointKind::Base),
        },
    }
}

fn checkpoint_name(row: &CheckpointRow, run: Option<&RunRow>) -> String {
    if !row.name.is_empty() {
        return row.name.clone();
    }
    let of = run.map_or_else(|| format!("checkpoint {}", row.id), |run| run.name.clone());
    format!("{of} ({}, step {})", row.kind.as_str(), row.step)
}
