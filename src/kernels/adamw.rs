//! `AdamW` (Loshchilov & Hutter, arXiv 1711.05101) with clipping by global norm and an exponential moving average of
//! the weights, in one multi-threaded pass on the CPU and one kernel on CUDA.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Tensor};
use rayon::prelude::*;

use super::cuda::{self, Tables, Update, UpdateRates};
use super::grads::{GradValue, Grads, with_host_slice};
use super::params::{Param, ParamStore};
use super::switch::is_stand_in;

/// Values per parallel piece. Sums are formed per piece and then in order, so they do not depend on the threads.
const PIECE: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub struct AdamWConfig {
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// Decoupled decay, times the learning rate; of tensors with two or more axes only.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global l2 norm.
    pub clip_norm: Option<f64>,
    /// Decay of the weights' moving average per step, in `[0, 1)`; starts lower: `min(decay, (1+t)/(10+t))`.
    pub ema_decay: f64,
    /// Learning-rate factors by name prefix; the longest matching prefix holds, 1 where none does.
    /// 0 freezes: no update, no decay, and the gradient does not count towards the norm.
    pub lr_scales: Vec<(String, f64)>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.01,
            clip_norm: Some(1.0),
            ema_decay: 0.999,
            lr_scales: Vec::new(),
        }
    }
}

impl AdamWConfig {
    fn lr_scale(&self, name: &str) -> f64 {
        self.lr_scales
            .iter()
            .filter(|(prefix, _)| name.starts_with(prefix))
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(1.0, |(_, scale)| *scale)
    }
}

/// The optimiser's state over all parameters that the store held when it was made.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    entries: Vec<Entry>,
    /// Steps taken by the optimiser as a whole; sets the moving average's start.
    step: u64,
    tables: Tables,
}

#[derive(Debug)]
struct Entry {
    param: Param,
    lr_scale: f64,
    /// Updates of this parameter; it may lack a gradient in some steps.
    updates: u64,
    moments: Moments,
}

#[derive(Debug)]
enum Moments {
    Host {
        first: Vec<f32>,
        second: Vec<f32>,
        ema: Vec<f32>,
    },
    Device {
        first: Tensor,
        second: Tensor,
        ema: Tensor,
    },
}

impl AdamW {
    pub fn new(store: &ParamStore, config: &AdamWConfig) -> Result<Self> {
        let entries = store
            .params()
            .into_iter()
            .map(|param| {
                let value = param.var().as_detached_tensor();
                let moments = if store.device().is_cpu() && !is_stand_in() {
                    let ema = with_host_slice(&value, <[f32]>::to_vec)?;
                    Moments::Host {
                        first: vec![0.0; ema.len()],
                        second: vec![0.0; ema.len()],
                        ema,
                    }
                } else {
                    Moments::Device {
                        first: value.zeros_like()?,
                        second: value.zeros_like()?,
                        ema: value.copy()?,
                    }
                };
                Ok(Entry {
                    lr_scale: config.lr_scale(param.name()),
                    param,
                    updates: 0,
                    moments,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            config: config.clone(),
            entries,
            step: 0,
            tables: Tables::default(),
        })
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// One update with the learning rate `lr`. Returns the gradients' l2 norm before clipping. A norm that is not
    /// finite is an error, and nothing is changed.
    pub fn step(&mut self, grads: &Grads, lr: f64) -> Result<f32> {
        let norm = read_scalars(&[&self.norm(grads)?])?[0];
        self.step_with_norm(grads, lr, norm)?;
        Ok(norm as f32)
    }

    /// As [`Self::step`], with the norm that [`Self::norm`] gave.
    pub fn step_with_norm(&mut self, grads: &Grads, lr: f64, norm: f64) -> Result<()> {
        if !norm.is_finite() {
            candle_core::bail!("the gradients are not finite at step {}", self.step + 1);
        }
        if let Some(device) = self.fused_device(grads) {
            return self.fused_step(grads, lr, &Tensor::new(norm as f32, &device)?);
        }
        self.step += 1;
        let clip = match self.config.clip_norm {
            Some(limit) if norm > limit => limit / norm,
            _ => 1.0,
        };
        let ema_decay = self.ema_decay();
        let config = &self.config;
        self.entries
            .par_iter_mut()
            .try_for_each(|entry| -> Result<()> {
                let grad = grads
                    .value(entry.param.name())
                    .filter(|_| entry.lr_scale != 0.0);
                if grad.is_some() {
                    entry.updates += 1;
                }
                let rates = Rates::new(config, entry, lr, clip, ema_decay);
                entry.update(grad, rates)?;
                if grad.is_some() {
                    entry.param.has_changed();
                }
                Ok(())
            })
    }

    /// As [`Self::step`], but where the weights are on an accelerator it is not waited for: the norm comes as a scalar there. Nothing
    /// is changed where it is not finite, and whoever reads it learns that.
    pub fn step_unread(&mut self, grads: &Grads, lr: f64) -> Result<Tensor> {
        let norm = self.norm(grads)?;
        if self.fused_device(grads).is_some() {
            self.fused_step(grads, lr, &norm)?;
        } else {
            self.step_with_norm(grads, lr, read_scalars(&[&norm])?[0])?;
        }
        Ok(norm)
    }

    fn ema_decay(&self) -> f64 {
        let warm_up = (1.0 + self.step as f64) / (10.0 + self.step as f64);
        self.config.ema_decay.min(warm_up)
    }

    /// Where the whole update is one kernel.
    fn fused_device(&self, grads: &Grads) -> Option<Device> {
        let device = self.entries.first()?.param.var().device();
        let is_there = |entry: &Entry| {
            let grad = grads.value(entry.param.name());
            matches!(entry.moments, Moments::Device { .. })
                && !matches!(grad, Some(GradValue::Host(_)))
        };
        let is_fused = cuda::is_fused(device, cuda::Operator::AdamW);
        (is_fused && self.entries.iter().all(is_there)).then(|| device.clone())
    }

    fn fused_step(&mut self, grads: &Grads, lr: f64, norm: &Tensor) -> Result<()> {
        self.step += 1;
        let ema_decay = self.ema_decay();
        let config = &self.config;
        let mut updates = Vec::with_capacity(self.entries.len());
        for entry in &mut self.entries {
            let grad = match grads.value(entry.param.name()) {
                Some(GradValue::Tensor(grad) | GradValue::Kept(grad)) if entry.lr_scale != 0.0 => {
                    entry.updates += 1;
                    Some(grad)
                }
                _ => None,
            };
            let entry: &Entry = entry;
            let rates = Rates::new(config, entry, lr, 1.0, ema_decay);
            if let Moments::Device { first, second, ema } = &entry.moments {
                updates.push(Update {
                    weight: entry.param.var(),
                    grad,
                    first,
                    second,
                    ema,
                    keep: rates.keep,
                    rate: rates.rate,
                    second_scale: rates.second_scale,
                });
                if grad.is_some() {
                    entry.param.has_changed();
                }
            }
        }
        let rates = UpdateRates {
            clip_norm: config.clip_norm.unwrap_or(0.0) as f32,
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            eps: config.eps as f32,
            ema_follow: (1.0 - ema_decay) as f32,
        };
        if updates.is_empty() {
            return Ok(());
        }
        cuda::adamw_step(norm.device(), &updates, norm, rates, &self.tables)
    }

    /// The l2 norm of all gradients that count, a scalar where they are: reading it makes an accelerator wait, see [`read_scalars`].
    pub fn norm(&self, grads: &Grads) -> Result<Tensor> {
        let counted = self.entries.iter().filter(|entry| entry.lr_scale != 0.0);
        let counted: Vec<&GradValue> = counted
            .filter_map(|entry| grads.value(entry.param.name()))
            .collect();
        let on_device = counted.iter().filter_map(|grad| match grad {
            GradValue::Tensor(tensor) | GradValue::Kept(tensor)
                if !tensor.device().is_cpu() || is_stand_in() =>
            {
                Some(tensor)
            }
            _ => None,
        });
        let on_device: Vec<&Tensor> = on_device.collect();
        if let Some(first) = on_device.first()
            && let Some(norm) = cuda::gradient_norm(first.device(), &on_device)?
        {
            return Ok(norm);
        }
        let squares = on_device
            .iter()
            .map(|tensor| tensor.sqr()?.sum_all())
            .collect::<Result<Vec<_>>>()?;
        if !squares.is_empty() {
            return Tensor::stack(&squares, 0)?.sum_all()?.sqrt();
        }
        let squares: Vec<f64> = counted
            .par_iter()
            .map(|grad| match grad {
                GradValue::Host(values) => Ok(sum_of_squares(values)),
                GradValue::Tensor(tensor) | GradValue::Kept(tensor) => {
                    with_host_slice(tensor, sum_of_squares)
                }
            })
            .collect::<Result<_>>()?;
        Tensor::new(squares.iter().sum::<f64>().sqrt(), &Device::Cpu)
    }

    /// The weights' moving average by parameter name.
    pub fn ema_tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        self.entries
            .iter()
            .map(|entry| Ok((entry.param.name().to_owned(), entry.tensors()?[2].clone())))
            .collect()
    }

    /// Everything that a bit-identical continuation needs beside the weights: `first.NAME`, `second.NAME`,
    /// `ema.NAME` in the parameters' shapes, and `updates` (one count per parameter in name order, then the steps).
    pub fn state_tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for entry in &self.entries {
            for (kind, tensor) in KINDS.iter().zip(entry.tensors()?) {
                state.insert(format!("{kind}.{}", entry.param.name()), tensor);
            }
        }
        let counts: Vec<i64> = self
            .entries
            .iter()
            .map(|entry| entry.updates as i64)
            .chain([self.step as i64])
            .collect();
        state.insert(
            "updates".to_owned(),
            Tensor::from_vec(counts, self.entries.len() + 1, &Device::Cpu)?,
        );
        Ok(state)
    }

    /// Takes over what [`Self::state_tensors`] gave. On an error nothing is changed.
    pub fn restore(&mut self, mut state: BTreeMap<String, Tensor>) -> Result<()> {
        let mut take = |name: String, shape: &[usize]| match state.remove(&name) {
            Some(tensor) if tensor.dims() == shape => Ok(tensor),
            Some(tensor) => candle_core::bail!(
                "optimiser state {name} has the shape {:?}, not {shape:?}",
                tensor.dims()
            ),
            None => candle_core::bail!("optimiser state {name} is missing"),
        };
        let counts = take("updates".to_owned(), &[self.entries.len() + 1])?.to_vec1::<i64>()?;
        if counts.iter().any(|count| *count < 0) {
            candle_core::bail!("optimiser state holds a negative step count");
        }
        let mut restored = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let name = entry.param.name();
            let shape = entry.param.var().dims();
            let [first, second, ema] = KINDS.map(|kind| take(format!("{kind}.{name}"), shape));
            restored.push(match entry.moments {
                Moments::Host { .. } => Moments::Host {
                    first: host_values(&first?)?,
                    second: host_values(&second?)?,
                    ema: host_values(&ema?)?,
                },
                Moments::Device { .. } => {
                    let device = entry.param.var().device();
                    Moments::Device {
                        first: first?.to_device(device)?,
                        second: second?.to_device(device)?,
                        ema: ema?.to_device(device)?,
                    }
                }
            });
        }
        for ((entry, moments), updates) in self.entries.iter_mut().zip(restored).zip(&counts) {
            entry.moments = moments;
            entry.updates = *updates as u64;
        }
        self.step = counts.last().map_or(0, |steps| *steps as u64);
        Ok(())
    }
}

/// The values of scalars, in order; those on an accelerator in one transfer, for which it has to finish what it was given.
pub fn read_scalars(scalars: &[&Tensor]) -> Result<Vec<f64>> {
    let waiting: Vec<Tensor> = scalars
        .iter()
        .filter(|scalar| !scalar.device().is_cpu())
        .map(|scalar| scalar.to_dtype(DType::F32))
        .collect::<Result<_>>()?;
    let mut fetched = Vec::new();
    if !waiting.is_empty() {
        fetched = Tensor::stack(&waiting, 0)?.to_vec1::<f32>()?;
    }
    let mut fetched = fetched.into_iter().map(f64::from);
    let read = |scalar: &&Tensor| {
        if scalar.device().is_cpu() {
            return scalar.to_dtype(DType::F64)?.to_scalar();
        }
        (fetched.next()).ok_or_else(|| candle_core::Error::Msg("a scalar is missing".into()))
    };
    scalars.iter().map(read).collect()
}

const KINDS: [&str; 3] = ["first", "second", "ema"];

/// The factors of one parameter's update.
#[derive(Debug, Clone, Copy)]
struct Rates {
    keep: f32,
    clip: f32,
    beta1: f32,
    beta2: f32,
    /// Learning rate over the first moment's bias.
    rate: f32,
    /// `1/sqrt` of the second moment's bias.
    second_scale: f32,
    eps: f32,
    ema_follow: f32,
}

impl Rates {
    fn new(config: &AdamWConfig, entry: &Entry, lr: f64, clip: f64, ema_decay: f64) -> Self {
        let lr = lr * entry.lr_scale;
        let decay = if entry.param.var().rank() >= 2 {
            config.weight_decay
        } else {
            0.0
        };
        let updates = entry.updates.max(1) as f64;
        Self {
            keep: (1.0 - lr * decay) as f32,
            clip: clip as f32,
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            rate: (lr / (1.0 - config.beta1.powf(updates))) as f32,
            second_scale: (1.0 / (1.0 - config.beta2.powf(updates)).sqrt()) as f32,
            eps: config.eps as f32,
            ema_follow: (1.0 - ema_decay) as f32,
        }
    }
}

impl Entry {
    fn tensors(&self) -> Result<[Tensor; 3]> {
        let shape = self.param.var().shape();
        let device = self.param.var().device();
        Ok(match &self.moments {
            Moments::Host { first, second, ema } => [
                Tensor::from_slice(first, shape, device)?,
                Tensor::from_slice(second, shape, device)?,
                Tensor::from_slice(ema, shape, device)?,
            ],
            // Copies: the next step changes them where they are.
            Moments::Device { first, second, ema } => [first.copy()?, second.copy()?, ema.copy()?],
        })
    }

    fn update(&mut self, grad: Option<&GradValue>, rates: Rates) -> Result<()> {
        match &mut self.moments {
            Moments::Host { first, second, ema } => {
                let mut apply = |grad: Option<&[f32]>| {
                    let pass = HostPass {
                        state: Mutex::new((&mut *first, &mut *second, &mut *ema)),
                        grad,
                        rates,
                    };
                    self.param.var().inplace_op1(&pass)
                };
                match grad {
                    None => apply(None),
                    Some(GradValue::Host(values)) => apply(Some(values)),
                    Some(GradValue::Tensor(tensor) | GradValue::Kept(tensor)) => {
                        with_host_slice(tensor, |values| apply(Some(values)))?
                    }
                }
            }
            Moments::Device { first, second, ema } => {
                let var = self.param.var();
                if let Some(grad) = grad {
                    let grad = match grad {
                        GradValue::Host(values) => {
                            Tensor::from_slice(values, var.shape(), var.device())?
                        }
                        GradValue::Tensor(tensor) | GradValue::Kept(tensor) => tensor.clone(),
                    };
                    let grad = (grad * f64::from(rates.clip))?;
                    let (beta1, beta2) = (f64::from(rates.beta1), f64::from(rates.beta2));
                    *first = ((&*first * beta1)? + (&grad * (1.0 - beta1))?)?;
                    *second = ((&*second * beta2)? + (grad.sqr()? * (1.0 - beta2))?)?;
                    let root =
                        ((second.sqrt()? * f64::from(rates.second_scale))? + f64::from(rates.eps))?;
                    let change = (first.div(&root)? * f64::from(rates.rate))?;
                    let kept = (var.as_detached_tensor() * f64::from(rates.keep))?;
                    var.set(&(kept - change)?)?;
                }
                let gap = (var.as_detached_tensor() - &*ema)?;
                *ema = (&*ema + (gap * f64::from(rates.ema_follow))?)?;
                Ok(())
            }
        }
    }
}

/// candle hands an operator's storage out for change only through `InplaceOp1`.
struct HostPass<'a> {
    state: Mutex<(&'a mut Vec<f32>, &'a mut Vec<f32>, &'a mut Vec<f32>)>,
    grad: Option<&'a [f32]>,
    rates: Rates,
}

impl InplaceOp1 for HostPass<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            candle_core::bail!("a parameter is f32 and contiguous");
        };
        let weights = &mut values[start..end];
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, second, ema) = &mut *state;
        let rates = self.rates;
        let Some(grad) = self.grad else {
            ema.par_chunks_mut(PIECE)
                .zip(weights.par_chunks(PIECE))
                .for_each(|(ema, weights)| follow(ema, weights, rates.ema_follow));
            return Ok(());
        };
        if grad.len() != weights.len() {
            candle_core::bail!("a gradient has another size than its parameter");
        }
        weights
            .par_chunks_mut(PIECE)
            .zip(grad.par_chunks(PIECE))
            .zip(first.par_chunks_mut(PIECE))
            .zip(second.par_chunks_mut(PIECE))
            .zip(ema.par_chunks_mut(PIECE))
            .for_each(|((((weights, grad), first), second), ema)| {
                pulp::Arch::new()
                    .dispatch(|| update_piece(weights, grad, first, second, ema, rates));
            });
        Ok(())
    }
}

#[inline(always)]
fn update_piece(
    weights: &mut [f32],
    grad: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    ema: &mut [f32],
    rates: Rates,
) {
    let Rates {
        keep,
        clip,
        beta1,
        beta2,
        rate,
        second_scale,
        eps,
        ema_follow,
    } = rates;
    let moments = first.iter_mut().zip(second.iter_mut());
    for (((weight, grad), (first, second)), ema) in weights
        .iter_mut()
        .zip(grad)
        .zip(moments)
        .zip(ema.iter_mut())
    {
        let grad = grad * clip;
        *first = beta1 * *first + (1.0 - beta1) * grad;
        *second = beta2 * *second + (1.0 - beta2) * grad * grad;
        *weight = keep * *weight - rate * *first / (second.sqrt() * second_scale + eps);
        *ema += ema_follow * (*weight - *ema);
    }
}

fn follow(ema: &mut [f32], weights: &[f32], rate: f32) {
    for (ema, weight) in ema.iter_mut().zip(weights) {
        *ema += rate * (weight - *ema);
    }
}

fn sum_of_squares(values: &[f32]) -> f64 {
    let pieces: Vec<f64> = values
        .par_chunks(PIECE)
        .map(|piece| piece.iter().map(|v| f64::from(*v) * f64::from(*v)).sum())
        .collect();
    pieces.iter().sum()
}

fn host_values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor
        .to_device(&candle_core::Device::Cpu)?
        .to_dtype(DType::F32)?
        .flatten_all()?
        .to_vec1()
}
