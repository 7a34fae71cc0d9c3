//! Named trainable tensors with a reproducible start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::grads::{GradSlot, grad_enabled};

/// How a parameter starts where no checkpoint gives it.
#[derive(Debug, Clone, Copy)]
pub enum Init {
    Const(f32),
    /// Normal with this standard deviation, cut at two of them.
    Normal {
        std: f32,
    },
}

impl Init {
    /// Keeps the variance of the activations: std `1/sqrt(fan_in)`.
    pub fn fan_in(inputs: usize) -> Self {
        Init::Normal {
            std: (1.0 / inputs as f32).sqrt(),
        }
    }
}

/// One trainable tensor. Clones share it.
#[derive(Debug, Clone)]
pub struct Param {
    name: Arc<str>,
    var: Var,
    /// The same storage without gradient tracking.
    detached: Tensor,
    slot: Arc<GradSlot>,
    version: Arc<AtomicU64>,
}

impl Param {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value for a forward pass: tracked for gradients, except within [`no_grad`].
    pub fn tensor(&self) -> &Tensor {
        if grad_enabled() {
            self.var.as_tensor()
        } else {
            &self.detached
        }
    }

    /// Gives it other values, of the same shape.
    pub fn set(&self, values: &Tensor) -> Result<()> {
        self.var.set(values)?;
        self.has_changed();
        Ok(())
    }

    /// Whoever writes through it calls [`Self::has_changed`].
    pub(super) fn var(&self) -> &Var {
        &self.var
    }

    /// Counts changes of the values: what was made from them is out of date when it moves.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn has_changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn slot(&self) -> &Arc<GradSlot> {
        &self.slot
    }
}

/// Such a map only ever gains or loses whole entries, so a panic elsewhere leaves it sound.
fn locked<T>(map: &Mutex<BTreeMap<String, T>>) -> MutexGuard<'_, BTreeMap<String, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All parameters of a network by name. Iteration is in name order, so that a run repeats exactly.
#[derive(Debug)]
pub struct ParamStore {
    params: Mutex<BTreeMap<String, Param>>,
    backward: Mutex<()>,
    /// What parameters are taken from, each once, so that its values are not held twice.
    loaded: Option<Mutex<BTreeMap<String, Tensor>>>,
    seed: u64,
    device: Device,
}

impl ParamStore {
    /// Parameters start at random from `seed`; each depends on the seed and its own name only.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self {
            params: Mutex::default(),
            backward: Mutex::default(),
            loaded: None,
            seed,
            device: device.clone(),
        }
    }

    /// Parameters are taken from `tensors`; one that is missing or has another shape is an error.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>, device: &Device) -> Self {
        Self {
            loaded: Some(Mutex::new(tensors)),
            ..Self::new(0, device)
        }
    }

    pub fn root(&self) -> Scope<'_> {
        Scope {
            store: self,
            prefix: String::new(),
        }
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All parameters, sorted by name.
    pub fn params(&self) -> Vec<Param> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn backward_lock(&self) -> MutexGuard<'_, ()> {
        self.backward.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Param>> {
        locked(&self.params)
    }

    fn get(&self, name: String, shape: &[usize], init: Init) -> Result<Param> {
        let mut params = self.lock();
        if let Some(param) = params.get(&name) {
            if param.tensor().dims() != shape {
                candle_core::bail!("parameter {name} is asked for in two shapes");
            }
            return Ok(param.clone());
        }
        let start = match &self.loaded {
            Some(loaded) => match locked(loaded).remove(&name) {
                Some(tensor) if tensor.dims() == shape => tensor
                    .to_device(&self.device)?
                    .to_dtype(candle_core::DType::F32)?,
                Some(tensor) => candle_core::bail!(
                    "parameter {name} has the shape {:?}, not {shape:?}",
                    tensor.dims()
                ),
                None => candle_core::bail!("parameter {name} is missing"),
            },
            None => initial(init, shape, self.seed, &name, &self.device)?,
        };
        let var = Var::from_tensor(&start)?;
        let param = Param {
            name: name.as_str().into(),
            detached: var.as_detached_tensor(),
            var,
            slot: Arc::default(),
            version: Arc::default(),
        };
        params.insert(name, param.clone());
        Ok(param)
    }
}

/// A name prefix within a store, as candle's `VarBuilder` has it.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    store: &'a ParamStore,
    prefix: String,
}

impl Scope<'_> {
    #[must_use]
    pub fn pp(&self, part: impl std::fmt::Display) -> Self {
        Self {
            store: self.store,
            prefix: self.path(&part.to_string()),
        }
    }

    pub fn get(&self, name: &str, shape: &[usize], init: Init) -> Result<Param> {
        self.store.get(self.path(name), shape, init)
    }

    pub fn device(&self) -> &Device {
        &self.store.device
    }

    fn path(&self, part: &str) -> String {
        if self.prefix.is_empty() {
            part.to_owned()
        } else {
            format!("{}.{part}", self.prefix)
        }
    }
}

fn initial(init: Init, shape: &[usize], seed: u64, name: &str, device: &Device) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let values = match init {
        Init::Const(value) => vec![value; count],
        Init::Normal { std } => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(name.as_bytes()));
            (0..count).map(|_| std * cut_normal(&mut rng)).collect()
        }
    };
    Tensor::from_vec(values, shape, device)
}

/// A standard normal value within ±2 (Box–Muller, drawn again outside).
fn cut_normal(rng: &mut impl Rng) -> f32 {
    loop {
        let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
        let value = radius * (std::f32::consts::TAU * unit(rng)).cos();
        if value.abs() <= 2.0 {
            return value;
        }
    }
}

/// Uniform in `[0, 1)` with 24 random bits.
fn unit(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
