//! Gradients by parameter name, and the scope that computes without them.
//!
//! candle accumulates a gradient as "zeros, then add", in new buffers each time. Fused operators therefore write a
//! parameter's gradient straight into a buffer that the [`Param`] keeps from step to step; [`ParamStore::backward`]
//! unites those with what candle's own operators give.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, DType, Result, Shape, Storage, Tensor};

use super::cuda::{self, View};
use super::params::{Param, ParamStore};

thread_local! {
    static GRAD_ENABLED: Cell<bool> = const { Cell::new(true) };
}

/// Runs `work` without recording a graph: nothing is kept for a backward pass, so memory stays bounded.
/// Holds for this thread and the parameters' own part of the graph; an input that is tracked stays tracked.
pub fn no_grad<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            GRAD_ENABLED.set(self.0);
        }
    }
    let _restore = Restore(GRAD_ENABLED.replace(false));
    work()
}

pub(super) fn grad_enabled() -> bool {
    GRAD_ENABLED.get()
}

/// Where fused operators accumulate the gradient of one parameter.
#[derive(Debug, Default)]
pub(super) struct GradSlot(Mutex<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    values: Vec<f32>,
    /// The same on an accelerator; one of the two is in use.
    on_device: Option<Tensor>,
    /// False: what is there is left over from an earlier step.
    written: bool,
}

/// Where kernels of an accelerator write a parameter's gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct GradTarget {
    pub view: View,
    /// Whether a part of this step's gradient is there already: add to it. Else overwrite all.
    pub accumulate: bool,
}

/// What a slot has collected.
enum Taken {
    Host(Vec<f32>),
    Device(Tensor),
}

impl GradSlot {
    fn lock(&self) -> MutexGuard<'_, SlotState> {
        // A panic half way leaves a partial gradient; the step that would use it fails with that panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `write(values, accumulate)`: the buffer of `count` values, and whether it already holds a part of this
    /// step's gradient (add to it) or old values (overwrite all).
    pub(super) fn accumulate(&self, count: usize, write: impl FnOnce(&mut [f32], bool)) {
        let mut slot = self.lock();
        let accumulate = slot.written && slot.values.len() == count;
        slot.on_device = None;
        slot.values.resize(count, 0.0);
        write(&mut slot.values, accumulate);
        slot.written = true;
    }

    /// The sum of `parts`, in order, each of `count` values at `offset`.
    pub(super) fn add_parts<P: std::ops::Deref<Target = [f32]>>(
        &self,
        count: usize,
        parts: &[P],
        offset: usize,
    ) {
        self.accumulate(count, |to, more| {
            if !more {
                to.fill(0.0);
            }
            for part in parts {
                for (to, value) in to.iter_mut().zip(&part[offset..offset + count]) {
                    *to += value;
                }
            }
        });
    }

    /// As [`Self::accumulate`], for kernels that are launched before the next call. `make` gives a tensor of the shape.
    pub(super) fn target(
        &self,
        shape: &Shape,
        make: impl FnOnce(&Shape) -> Result<Tensor>,
    ) -> Result<GradTarget> {
        let mut slot = self.lock();
        let tensor = match slot.on_device.take() {
            Some(tensor) if tensor.shape() == shape => tensor,
            _ => {
                slot.written = false;
                make(shape)?
            }
        };
        let view = cuda::view(&tensor)?;
        slot.on_device = Some(tensor);
        Ok(GradTarget {
            view,
            accumulate: std::mem::replace(&mut slot.written, true),
        })
    }

    fn clear(&self) {
        self.lock().written = false;
    }

    fn take(&self) -> Option<Taken> {
        let mut slot = self.lock();
        if !std::mem::take(&mut slot.written) {
            return None;
        }
        Some(match slot.on_device.take() {
            Some(tensor) => Taken::Device(tensor),
            None => Taken::Host(std::mem::take(&mut slot.values)),
        })
    }

    fn give_back_tensor(&self, tensor: Tensor) {
        let mut slot = self.lock();
        if slot.on_device.is_none() {
            slot.on_device = Some(tensor);
        }
    }

    fn give_back(&self, values: Vec<f32>) {
        let mut slot = self.lock();
        if slot.values.is_empty() {
            slot.values = values;
        }
    }
}

/// The gradients of one backward pass. A parameter that the loss does not depend on has none.
#[derive(Debug)]
pub struct Grads(BTreeMap<String, Grad>);

#[derive(Debug)]
struct Grad {
    param: Param,
    value: GradValue,
}

#[derive(Debug)]
pub(super) enum GradValue {
    Host(Vec<f32>),
    Tensor(Tensor),
    /// A slot's, which goes back there.
    Kept(Tensor),
}

impl Grads {
    /// A copy of the gradient of the parameter `name`, in its shape.
    pub fn get(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(grad) = self.0.get(name) else {
            return Ok(None);
        };
        Ok(Some(match &grad.value {
            GradValue::Host(values) => {
                Tensor::from_slice(values, grad.param.var().shape(), grad.param.var().device())?
            }
            GradValue::Tensor(tensor) => tensor.clone(),
            GradValue::Kept(tensor) => tensor.copy()?,
        }))
    }

    /// Changes all gradients in name order, on the host: what several processes need to agree.
    ///
    /// # Errors
    /// When an accelerator's cannot be copied.
    pub fn change(&mut self, mut change: impl FnMut(&str, &mut [f32]) -> Result<()>) -> Result<()> {
        for (name, grad) in &mut self.0 {
            match &mut grad.value {
                GradValue::Host(values) => change(name, values)?,
                GradValue::Tensor(tensor) | GradValue::Kept(tensor) => {
                    let mut values = tensor.flatten_all()?.to_vec1::<f32>()?;
                    change(name, &mut values)?;
                    *tensor = Tensor::from_vec(values, tensor.shape(), tensor.device())?;
                }
            }
        }
        Ok(())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn value(&self, name: &str) -> Option<&GradValue> {
        self.0.get(name).map(|grad| &grad.value)
    }
}

impl Drop for Grads {
    fn drop(&mut self) {
        for grad in std::mem::take(&mut self.0).into_values() {
            match grad.value {
                GradValue::Host(values) => grad.param.slot().give_back(values),
                GradValue::Kept(tensor) => grad.param.slot().give_back_tensor(tensor),
                GradValue::Tensor(_) => {}
            }
        }
    }
}

impl ParamStore {
    /// The gradients of the scalar `loss` with respect to all parameters of this store. One backward pass at a time
    /// per store: a second thread waits.
    pub fn backward(&self, loss: &Tensor) -> Result<Grads> {
        let _one_at_a_time = self.backward_lock();
        let params = self.params();
        for param in &params {
            param.slot().clear();
        }
        let mut graph = loss.backward()?;
        let mut grads = BTreeMap::new();
        for param in params {
            let tensor = graph.remove(param.var());
            let value = match (param.slot().take(), tensor) {
                (None, None) => continue,
                (Some(Taken::Host(values)), None) => GradValue::Host(values),
                (Some(Taken::Device(values)), None) => GradValue::Kept(values),
                (Some(Taken::Device(values)), Some(tensor)) => {
                    GradValue::Tensor((values + tensor)?)
                }
                (None, Some(tensor)) => {
                    GradValue::Tensor(tensor.to_dtype(DType::F32)?.contiguous()?)
                }
                (Some(Taken::Host(mut values)), Some(tensor)) => {
                    with_host_slice(&tensor.contiguous()?, |other| {
                        for (value, other) in values.iter_mut().zip(other) {
                            *value += other;
                        }
                    })?;
                    GradValue::Host(values)
                }
            };
            grads.insert(param.name().to_owned(), Grad { param, value });
        }
        Ok(Grads(grads))
    }
}

/// The values of a contiguous `f32` tensor on the CPU, without a copy.
pub(super) fn with_host_slice<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(values)) = &*storage else {
        candle_core::bail!("expected an f32 tensor on the CPU");
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(read(&values[start..end])),
        None => candle_core::bail!("expected a contiguous tensor"),
    }
}
