//! A paused run as bytes: one safetensors file with the weights, the optimiser, the codebooks' averages, and a JSON
//! header with everything else. All randomness is a function of (seed, step), so no generator needs to be stored.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::codec::{Codec, CodecConfig};
use crate::error::{Error, Kind, Result};

use super::config::TrainConfig;
use super::sink::Evaluation;

const METADATA_KEY: &str = "tessera-run";
/// With everything in it.
const WHOLE: u32 = 1;
/// Without the averaged weights, which lie in the model kept beside it. The newest one that can be read.
const BESIDE_MODEL: u32 = 2;
/// Names of the averaged weights.
pub(super) const AVERAGES: &str = "optimizer.ema.";

/// All of a state but the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateHeader {
    pub format: u32,
    pub config: TrainConfig,
    pub codec: CodecConfig,
    pub progress: Progress,
    /// Of the pictures' contents, in order.
    pub pictures_blake3: String,
    /// Longer side of the decoded pictures that crops are cut from, px.
    pub working_side_px: u32,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Seconds spent training.
    pub seconds: f64,
    /// False while a new network trains without quantization.
    pub has_codebooks: bool,
    /// What the run began with: the model it goes on from, or of a new one its first score.
    #[serde(default)]
    pub first: Option<Evaluation>,
    pub best: Option<Evaluation>,
    pub latest: Option<Evaluation>,
    /// Evaluations since the best one that counted as a gain.
    pub without_gain: u32,
    /// The score that the next gain is measured from, dB.
    pub gain_from_db: Option<f64>,
}

/// Reads the header alone.
///
/// # Errors
/// `Damaged`, `Foreign` or `Newer`.
pub fn read_header(bytes: &[u8]) -> Result<StateHeader> {
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get(METADATA_KEY))
        .ok_or_else(|| {
            Error::new(
                Kind::Foreign,
                "could not resume the run",
                "this is not the state of a training run",
                "Start a new run",
            )
        })?;
    #[derive(Deserialize)]
    struct AnyHeader {
        format: u32,
    }
    let any: AnyHeader = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    if any.format > BESIDE_MODEL {
        return Err(Error::new(
            Kind::Newer,
            "could not resume the run",
            format!(
                "it was paused by a newer Tessera (format {}, this one reads up to {BESIDE_MODEL})",
                any.format
            ),
            "Resume it with that version",
        ));
    }
    serde_json::from_str(text).map_err(|error| damaged(error.to_string()))
}

/// `has_model`: the averaged weights are left out, since the model kept beside the state has them.
pub(super) fn pack(
    has_model: bool,
    config: &TrainConfig,
    codec: &CodecConfig,
    progress: &Progress,
    pictures_blake3: &str,
    working_side_px: u32,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Vec<u8>> {
    let header = StateHeader {
        format: if has_model { BESIDE_MODEL } else { WHOLE },
        config: config.clone(),
        codec: codec.clone(),
        progress: progress.clone(),
        pictures_blake3: pictures_blake3.to_owned(),
        working_side_px,
    };
    let text = serde_json::to_string(&header).map_err(internal)?;
    let packed = tensors
        .iter()
        .filter(|(name, _)| !(has_model && name.starts_with(AVERAGES)))
        .map(|(name, tensor)| Ok((name.as_str(), tensor.dims().to_vec(), to_bytes(tensor)?)))
        .collect::<Result<Vec<_>>>()?;
    let views = packed
        .iter()
        .map(|(name, shape, (dtype, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(internal)?;
            Ok((*name, view))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), text)]);
    safetensors::serialize(views, Some(metadata)).map_err(internal)
}

/// The header and the tensors, on the CPU. `model` is the checkpoint's file, for a state without the averaged weights.
pub(super) fn unpack(
    bytes: &[u8],
    model: Option<&[u8]>,
) -> Result<(StateHeader, BTreeMap<String, Tensor>)> {
    let header = read_header(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let mut tensors = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let tensor = from_view(&view)
                .ok_or_else(|| damaged(format!("{name} has a type that does not belong here")))??;
            Ok((name, tensor))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    if header.format == BESIDE_MODEL {
        let model = model.ok_or_else(|| damaged("the model kept beside it is missing".into()))?;
        let model = Codec::load_bytes(model, &Device::Cpu)?;
        let averages = model.params().params();
        tensors.extend((averages.iter()).map(|param| {
            let name = format!("{AVERAGES}{}", param.name());
            (name, param.tensor().detach())
        }));
    }
    Ok((header, tensors))
}

fn to_bytes(tensor: &Tensor) -> Result<(Dtype, Vec<u8>)> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    Ok(match flat.dtype() {
        DType::U8 => (Dtype::U8, flat.to_vec1::<u8>()?),
        DType::I64 => (
            Dtype::I64,
            le_bytes(&flat.to_vec1::<i64>()?, |v| v.to_le_bytes()),
        ),
        _ => {
            let values = flat.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            (Dtype::F32, le_bytes(&values, |v| v.to_le_bytes()))
        }
    })
}

fn le_bytes<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * N);
    for value in values {
        out.extend_from_slice(&bytes(*value));
    }
    out
}

/// `None` for a type that states do not have.
fn from_view(view: &TensorView<'_>) -> Option<Result<Tensor>> {
    let (bytes, shape) = (view.data(), view.shape());
    let tensor = match view.dtype() {
        Dtype::U8 => Tensor::from_slice(bytes, shape, &Device::Cpu),
        Dtype::I64 => {
            let (values, _) = bytes.as_chunks::<8>();
            let values: Vec<i64> = values.iter().map(|v| i64::from_le_bytes(*v)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        Dtype::F32 => {
            let (values, _) = bytes.as_chunks::<4>();
            let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        _ => return None,
    };
    Some(tensor.map_err(Error::from))
}

pub(super) fn damaged(why: String) -> Error {
    Error::new(
        Kind::Damaged,
        "could not resume the run",
        why,
        "Start a new run from the best checkpoint",
    )
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(
        Kind::Internal,
        "could not pack the run's state",
        error.to_string(),
        "Report this with the log",
    )
}
