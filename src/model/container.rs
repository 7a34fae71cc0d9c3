//! Named tensors and one JSON text in a safetensors file. Such files come from strangers: lengths are checked before memory is
//! taken for what they announce.

use std::collections::{BTreeMap, HashMap};

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Upper bounds for a file, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub file: u64,
    /// The header lists the tensors and holds the JSON text.
    pub header: u64,
}

/// A tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostTensor {
    pub shape: Vec<usize>,
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// Also what a file holds as `F16`.
    F32(Vec<f32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
}

/// What is wrong with a file, in words for its reader to put into an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file belongs to another program, or is of another kind.
    Foreign(&'static str),
    Damaged(String),
    Unsupported(String),
    /// Bytes it has.
    TooLarge(u64),
}

/// The JSON text under `key`, without reading a tensor.
pub(crate) fn read_text(bytes: &[u8], key: &str, limits: Limits) -> Result<String, Fault> {
    if bytes.len() as u64 > limits.file {
        return Err(Fault::TooLarge(bytes.len() as u64));
    }
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Fault::Damaged("the file ends before it begins".to_owned()));
    };
    if rest.first() != Some(&b'{') {
        return Err(Fault::Foreign("it is no safetensors file"));
    }
    let header_bytes = u64::from_le_bytes(*length);
    if header_bytes > limits.header || header_bytes > rest.len() as u64 {
        let why = "its header is longer than the file or the limit";
        return Err(Fault::Damaged(why.to_owned()));
    }
    let (_, listed) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let text = (listed.metadata().as_ref()).and_then(|entries| entries.get(key));
    text.cloned().ok_or(Fault::Foreign(
        "it is a safetensors file of another program",
    ))
}

/// The tensors of a file whose header [`read_text`] accepted.
pub(crate) struct Reader<'a>(SafeTensors<'a>);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        SafeTensors::deserialize(bytes).map(Self).map_err(damaged)
    }

    pub fn names(&self) -> Vec<String> {
        self.0
            .names()
            .into_iter()
            .map(ToString::to_string)
            .collect()
    }

    pub fn shape(&self, name: &str) -> Result<Vec<usize>, Fault> {
        Ok(self.view(name)?.shape().to_vec())
    }

    /// # Errors
    /// `Unsupported` for a type that Tessera does not write, `Damaged` for numbers that are not finite.
    pub fn tensor(&self, name: &str) -> Result<HostTensor, Fault> {
        let view = self.view(name)?;
        let bytes = view.data();
        let values = match view.dtype() {
            Dtype::F32 => Values::F32(numbers(bytes, f32::from_le_bytes)),
            Dtype::F16 => Values::F32(numbers(bytes, |b| f16::from_le_bytes(b).to_f32())),
            Dtype::I64 => Values::I64(numbers(bytes, i64::from_le_bytes)),
            Dtype::U8 => Values::U8(bytes.to_vec()),
            other => {
                let why = format!("{name} is stored as {other:?}; F32 and F16 can be read");
                return Err(Fault::Unsupported(why));
            }
        };
        match &values {
            Values::F32(values) if !values.iter().all(|value| value.is_finite()) => Err(
                Fault::Damaged(format!("{name} holds NaN or infinite numbers")),
            ),
            _ => Ok(HostTensor {
                shape: view.shape().to_vec(),
                values,
            }),
        }
    }

    fn view(&self, name: &str) -> Result<TensorView<'_>, Fault> {
        (self.0.tensor(name)).map_err(|_| Fault::Damaged(format!("{name} is missing")))
    }
}

/// One file with `text` under `key`. The same tensors and text always give the same bytes. `halve` stores `f32` as `F16`.
///
/// # Errors
/// What safetensors has against it.
pub(crate) fn write(
    tensors: &BTreeMap<String, HostTensor>,
    key: &str,
    text: String,
    halve: bool,
) -> Result<Vec<u8>, String> {
    let packed: Vec<(Dtype, Vec<u8>)> = tensors
        .values()
        .map(|tensor| match &tensor.values {
            Values::F32(values) if halve => (
                Dtype::F16,
                bytes(values, |v| f16::from_f32(v).to_le_bytes()),
            ),
            Values::F32(values) => (Dtype::F32, bytes(values, f32::to_le_bytes)),
            Values::I64(values) => (Dtype::I64, bytes(values, i64::to_le_bytes)),
            Values::U8(values) => (Dtype::U8, values.clone()),
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&packed)
        .map(|((name, tensor), (dtype, bytes))| {
            let view = TensorView::new(*dtype, tensor.shape.clone(), bytes);
            view.map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let metadata = HashMap::from([(key.to_owned(), text)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
}

fn numbers<T, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| number(*chunk)).collect()
}

fn bytes<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * N);
    for value in values {
        out.extend_from_slice(&bytes(*value));
    }
    out
}

fn damaged(error: impl ToString) -> Fault {
    Fault::Damaged(error.to_string())
}
