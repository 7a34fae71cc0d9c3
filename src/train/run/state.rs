//! A paused run as bytes: one safetensors file with the weights, the optimiser, the codebooks' averages, and a JSON
//! header with everything else. All randomness is a function of (seed, step), so no generator needs to be stored.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::codec::CodecConfig;
use crate::error::{Error, Kind, Result};
use crate::model::container::{self, Fault, HostTensor, Limits, Reader, Values};

use crate::train::measure::evaluate::Evaluation;
use crate::train::run::codec_task::CodecTask;
use crate::train::run::config::TrainConfig;
use crate::train::run::task::Task;

const METADATA_KEY: &str = "tessera-run";
const LIMITS: Limits = Limits {
    file: 4 << 30,
    header: 4 << 20,
};
/// With everything in it.
const WHOLE: u32 = 1;
/// Without the averaged weights, which lie in the model kept beside it. The newest one that can be read.
const BESIDE_MODEL: u32 = 2;
/// Names of the averaged weights.
pub const AVERAGES: &str = "optimizer.ema.";

/// All of a state but the tensors; of a codec's run where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateHeader<C = TrainConfig, L = CodecConfig, E = Evaluation> {
    pub format: u32,
    /// [`crate::train::run::task::Task::NAME`].
    #[serde(default = "codec")]
    pub task: String,
    pub config: C,
    /// What the model is made from.
    #[serde(rename = "codec")]
    pub layout: L,
    pub progress: Progress<E>,
    /// Hash of the pictures' contents, in order.
    pub pictures_blake3: String,
    /// Longer side of the decoded pictures that crops are cut from, px.
    pub working_side_px: u32,
}

/// The header of a task's state.
pub(crate) type HeaderOf<T> =
    StateHeader<<T as Task>::Config, <T as Task>::Layout, <T as Task>::Evaluation>;

/// States had no such entry while there was nothing else.
fn codec() -> String {
    CodecTask::NAME.to_owned()
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress<E = Evaluation> {
    /// Steps done.
    pub step: u64,
    /// Seconds spent training.
    pub seconds: f64,
    /// False while there is no model to evaluate: a new codec first trains without quantization.
    #[serde(rename = "has_codebooks")]
    pub has_begun: bool,
    /// What the run began with: the model it goes on from, or of a new one its first score.
    #[serde(default = "none")]
    pub first: Option<E>,
    pub best: Option<E>,
    pub latest: Option<E>,
    /// Evaluations since the best one that counted as a gain.
    pub without_gain: u32,
    /// The score that the next gain is measured from.
    #[serde(rename = "gain_from_db")]
    pub gain_from: Option<f64>,
}

fn none<E>() -> Option<E> {
    None
}

impl<E> Default for Progress<E> {
    fn default() -> Self {
        Self {
            step: 0,
            seconds: 0.0,
            has_begun: false,
            first: None,
            best: None,
            latest: None,
            without_gain: 0,
            gain_from: None,
        }
    }
}

/// Reads the header of a codec's state alone.
///
/// # Errors
/// `Damaged`, `Foreign` or `Newer`.
pub fn read_header(bytes: &[u8]) -> Result<StateHeader> {
    read_header_of::<CodecTask>(bytes)
}

fn read_header_of<T: Task>(bytes: &[u8]) -> Result<HeaderOf<T>> {
    let text = container::read_text(bytes, METADATA_KEY, LIMITS).map_err(explained)?;
    #[derive(Deserialize)]
    struct AnyHeader {
        format: u32,
        #[serde(default = "codec")]
        task: String,
    }
    let any: AnyHeader = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if any.task != T::NAME {
        return Err(foreign());
    }
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
    serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))
}

/// `header.format` is set: with `has_model` the averaged weights are left out, since the model kept beside the state has them.
pub(crate) fn pack<T: Task>(
    has_model: bool,
    mut header: HeaderOf<T>,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Vec<u8>> {
    header.format = if has_model { BESIDE_MODEL } else { WHOLE };
    let text = serde_json::to_string(&header).map_err(internal)?;
    let tensors = tensors
        .iter()
        .filter(|(name, _)| !(has_model && name.starts_with(AVERAGES)))
        .map(|(name, tensor)| Ok((name.clone(), on_host(tensor)?)))
        .collect::<Result<_>>()?;
    container::write(&tensors, METADATA_KEY, text, false).map_err(internal)
}

/// The header and the tensors, on the CPU. `model` is the checkpoint's file, for a state without the averaged weights.
pub(crate) fn unpack<T: Task>(
    bytes: &[u8],
    model: Option<&[u8]>,
) -> Result<(HeaderOf<T>, BTreeMap<String, Tensor>)> {
    let header = read_header_of::<T>(bytes)?;
    let file = Reader::new(bytes).map_err(explained)?;
    let mut tensors = BTreeMap::new();
    for name in file.names() {
        let HostTensor { shape, values } = file.tensor(&name).map_err(explained)?;
        let tensor = match values {
            Values::F32(values) => Tensor::from_vec(values, shape, &Device::Cpu),
            Values::I64(values) => Tensor::from_vec(values, shape, &Device::Cpu),
            Values::U8(values) => Tensor::from_vec(values, shape, &Device::Cpu),
        };
        tensors.insert(name, tensor?);
    }
    if header.format == BESIDE_MODEL {
        let model = model.ok_or_else(|| damaged("the model kept beside it is missing".into()))?;
        let averages = T::averages(model)?.into_iter();
        tensors.extend(averages.map(|(name, tensor)| (format!("{AVERAGES}{name}"), tensor)));
    }
    Ok((header, tensors))
}

fn on_host(tensor: &Tensor) -> Result<HostTensor> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    let values = match flat.dtype() {
        DType::U8 => Values::U8(flat.to_vec1()?),
        DType::I64 => Values::I64(flat.to_vec1()?),
        _ => Values::F32(flat.to_dtype(DType::F32)?.to_vec1()?),
    };
    Ok(HostTensor {
        shape: tensor.dims().to_vec(),
        values,
    })
}

fn foreign() -> Error {
    Error::new(
        Kind::Foreign,
        "could not resume the run",
        "this is not the state of such a training run",
        "Start a new run",
    )
}

fn explained(fault: Fault) -> Error {
    match fault {
        Fault::Foreign(_) => foreign(),
        Fault::Damaged(why) | Fault::Unsupported(why) => damaged(why),
        Fault::TooLarge(bytes) => damaged(format!(
            "it has {bytes} bytes; states have at most {}",
            LIMITS.file
        )),
    }
}

pub(crate) fn damaged(why: String) -> Error {
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
