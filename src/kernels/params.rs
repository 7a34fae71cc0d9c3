//! Named trainable tensors with a reproducible start, handed out by candle's [`VarBuilder`].
//!
//! Three things of candle-nn are not used, because they are wrong here. `VarMap` lists its tensors in the order of a hash map:
//! two runs would not be the same. [`Init::var`] draws from a generator that cannot be seeded on the CPU. `layer_norm`,
//! `rms_norm` and `softmax_last_dim` drop gradients, as functions and as modules.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use candle_core::{DType, Device, Result, Shape, Tensor, TensorId, Var};
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::grads::{GradSlot, grad_enabled};

/// Keeps the variance of the activations of a layer without a non-linearity: standard deviation `1/sqrt(inputs)`.
pub fn fan_in(inputs: usize) -> Init {
    Init::Randn {
        mean: 0.0,
        stdev: f64::from((1.0 / inputs as f32).sqrt()),
    }
}

/// One trainable tensor, with what fused operators keep for it from step to step. Clones share it.
#[derive(Debug, Clone)]
pub struct Param(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    var: Var,
    /// The same storage without gradient tracking.
    detached: Tensor,
    slot: Arc<GradSlot>,
    version: AtomicU64,
}

/// A builder gives tensors; by their ids the parameters are found again that a store made of them.
static KNOWN: LazyLock<Mutex<HashMap<TensorId, Weak<Inner>>>> = LazyLock::new(Mutex::default);

impl Param {
    /// The tensor `name` of a builder: of a [`ParamStore`], or of any other, whose tensor is then trainable on its own.
    ///
    /// # Errors
    /// What the builder has against it: a missing tensor, another shape.
    pub fn get(
        vb: &VarBuilder<'_>,
        name: &str,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Result<Self> {
        let tensor = vb.get_with_hints(shape, name, init)?;
        let known = (locked(&KNOWN).get(&tensor.id())).and_then(Weak::upgrade);
        match known {
            Some(inner) => Ok(Self(inner)),
            None => Self::new(&joined(&vb.prefix(), name), &tensor),
        }
    }

    fn new(name: &str, values: &Tensor) -> Result<Self> {
        let var = Var::from_tensor(values)?;
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            detached: var.as_detached_tensor(),
            var,
            slot: Arc::default(),
            version: AtomicU64::default(),
        });
        locked(&KNOWN).insert(inner.var.id(), Arc::downgrade(&inner));
        Ok(Self(inner))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The value for a forward pass: tracked for gradients, except within [`super::no_grad`].
    pub fn tensor(&self) -> &Tensor {
        if grad_enabled() {
            self.0.var.as_tensor()
        } else {
            &self.0.detached
        }
    }

    /// Gives it other values, of the same shape.
    pub fn set(&self, values: &Tensor) -> Result<()> {
        self.0.var.set(values)?;
        self.has_changed();
        Ok(())
    }

    /// Whoever writes through it calls [`Self::has_changed`].
    pub(super) fn var(&self) -> &Var {
        &self.0.var
    }

    /// Counts changes of the values: what was made from them is out of date when it moves.
    pub(super) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    pub(super) fn has_changed(&self) {
        self.0.version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn slot(&self) -> &Arc<GradSlot> {
        &self.0.slot
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        locked(&KNOWN).remove(&self.var.id());
    }
}

/// Such a map only ever gains or loses whole entries, so a panic elsewhere leaves it sound.
fn locked<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
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

    /// Builds modules whose parameters are this store's: one name is one parameter, however often it is asked for.
    pub fn root(&self) -> VarBuilder<'_> {
        VarBuilder::from_backend(Box::new(Backend(self)), DType::F32, self.device.clone())
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
        let param = Param::new(&name, &start)?;
        params.insert(name, param.clone());
        Ok(param)
    }
}

struct Backend<'a>(&'a ParamStore);

impl SimpleBackend for Backend<'_> {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, _: &Device) -> Result<Tensor> {
        let param = self.0.get(name.to_owned(), shape.dims(), init)?;
        Ok(param.var().as_tensor().clone())
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        let found = self.0.lock().get(name).cloned();
        match found {
            Some(param) => Ok(param.var().as_tensor().clone()),
            None => candle_core::bail!("parameter {name} is not there yet, and has no shape"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        let is_loaded =
            |loaded: &Mutex<BTreeMap<String, Tensor>>| locked(loaded).contains_key(name);
        self.0.lock().contains_key(name) || self.0.loaded.as_ref().is_some_and(is_loaded)
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

/// Values that depend on seed and name only. Normal ones are cut at two standard deviations.
fn initial(init: Init, shape: &[usize], seed: u64, name: &str, device: &Device) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(name.as_bytes()));
    let mut normal = |mean: f64, std: f64| -> Vec<f32> {
        let values = (0..count).map(|_| mean as f32 + std as f32 * cut_normal(&mut rng));
        values.collect()
    };
    let values = match init {
        Init::Const(value) => vec![value as f32; count],
        Init::Randn { mean, stdev } => normal(mean, stdev),
        Init::Uniform { lo, up } => uniform(&mut rng, count, lo, up),
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            let inputs = fan.for_shape(&Shape::from(shape));
            let std = non_linearity.gain() / (inputs as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(0.0, std),
                NormalOrUniform::Uniform => {
                    let bound = 3f64.sqrt() * std;
                    uniform(&mut rng, count, -bound, bound)
                }
            }
        }
    };
    Tensor::from_vec(values, shape, device)
}

fn uniform(rng: &mut impl Rng, count: usize, lo: f64, up: f64) -> Vec<f32> {
    let values = (0..count).map(|_| lo as f32 + (up - lo) as f32 * unit(rng));
    values.collect()
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

#[cfg(test)]
mod tests {
    use candle_nn::Module;

    use super::*;
    use crate::kernels::Linear;

    #[test]
    fn a_store_gives_the_same_parameter_for_a_name_and_any_builder_will_do() {
        let store = ParamStore::new(3, &Device::Cpu);
        let layer = Linear::new(4, 3, store.root().pp("layer")).unwrap();
        let params = store.params();
        let names: Vec<_> = params.iter().map(Param::name).collect();
        assert_eq!(names, ["layer.bias", "layer.weight"]);
        assert!(Arc::ptr_eq(&params[1].0, &layer.weight.0));
        let again = Param::get(&store.root(), "layer.weight", (3, 4), Init::Const(1.0)).unwrap();
        assert!(Arc::ptr_eq(&again.0, &layer.weight.0));
        assert!(Param::get(&store.root(), "layer.weight", (4, 4), fan_in(4)).is_err());

        let builder = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let other = Linear::new(4, 3, builder.pp("other")).unwrap();
        assert_eq!(other.weight.name(), "other.weight");
        let x = Tensor::ones((2, 4), DType::F32, &Device::Cpu).unwrap();
        let y = other.forward(&x).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(y, [[0.0; 3]; 2]);
    }

    #[test]
    fn parameters_that_are_gone_are_forgotten() {
        let id = {
            let store = ParamStore::new(3, &Device::Cpu);
            let layer = Linear::new(4, 3, store.root()).unwrap();
            let id = layer.weight.var().id();
            assert!(locked(&KNOWN).contains_key(&id));
            id
        };
        assert!(!locked(&KNOWN).contains_key(&id));
    }

    #[test]
    fn every_start_depends_on_seed_and_name_alone() {
        let start = |seed, name: &str, init| -> Vec<f32> {
            let store = ParamStore::new(seed, &Device::Cpu);
            let param = Param::get(&store.root(), name, (40, 50), init).unwrap();
            param.tensor().flatten_all().unwrap().to_vec1().unwrap()
        };
        let uniform = Init::Uniform { lo: -2.0, up: 1.0 };
        for init in [
            fan_in(50),
            uniform,
            candle_nn::init::DEFAULT_KAIMING_NORMAL,
            candle_nn::init::DEFAULT_KAIMING_UNIFORM,
        ] {
            let values = start(1, "a", init);
            assert_eq!(values, start(1, "a", init));
            assert_ne!(values, start(2, "a", init));
            assert_ne!(values, start(1, "b", init));
        }
        let spread = |init| {
            let values = start(1, "a", init);
            (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt()
        };
        // Cutting at two deviations leaves 0.88 of one.
        assert!((spread(fan_in(50)) * 50f32.sqrt() - 0.88).abs() < 0.03);
        assert!((spread(candle_nn::init::DEFAULT_KAIMING_UNIFORM) - 0.2).abs() < 0.01);
        let values = start(1, "a", uniform);
        assert!(values.iter().all(|v| (-2.0..1.0).contains(v)));
    }
}
