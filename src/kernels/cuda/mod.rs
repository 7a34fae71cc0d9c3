//! The operators as fused kernels for accelerators: what CUDA runs in place of the compositions.
//!
//! Everything here is written against a [`Machine`], which holds memory, launches the kernels of `*.cu` and multiplies matrices:
//! a CUDA device (`device.rs`, with feature `cuda`), or in tests the CPU, for which the same kernels are compiled as C++ (`host.rs`).
//! So all but the device's own calls is tested where there is no card.
//!
//! Run on an H100 in November 2026; benches/README.md has the figures.
//!
//! The self-test checks every operator on each card; one that fails there runs as a composition ([`set_faulty`]).
//!
//! # Limitations
//! One card. Kernels are compiled for compute capability 8.0 and translated by the driver for newer ones; older ones are refused. A
//! step is launched kernel by kernel, not as a captured graph.

mod adamw;
mod block;
mod chain;
mod channels;
mod codebook;
#[cfg(feature = "cuda")]
mod device;
mod fold;
#[cfg(test)]
mod host;
mod machine;
mod nearest;
mod pyramid;
mod rows;
#[cfg(test)]
mod tests;
#[cfg(not(feature = "cuda"))]
mod without {
    //! What a build without CUDA has to do for a device: nothing.

    use candle_core::{Device, Result};

    pub fn prepare(_: &Device) -> Result<()> {
        Ok(())
    }
}
mod texture;

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Result, Storage, Tensor};

use super::switch::is_plain;
#[cfg(test)]
use super::switch::is_stand_in;
#[cfg(test)]
pub use super::switch::with_stand_in;

pub(super) use adamw::{
    Rates as UpdateRates, Tables, Update, norm as gradient_norm, step as adamw_step,
};
pub(super) use chain::run as run_chain;
pub use channels::map_channels;
pub use codebook::codebook_sums;
#[cfg(feature = "cuda")]
pub use device::prepare;
pub(super) use fold::FoldCell;
pub(super) use machine::{Machine, View};
pub use nearest::nearest_code;
pub use pyramid::{PyramidTerms, pyramid_loss};
pub use texture::texture_sum;
#[cfg(not(feature = "cuda"))]
pub use without::prepare;

/// What a card may get right or wrong by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    Linear,
    Norm,
    Block,
    Shuffle,
    NearestCode,
    PyramidLoss,
    TextureLoss,
    AdamW,
    CodebookSums,
}

impl Operator {
    pub const ALL: [Self; 9] = [
        Self::Linear,
        Self::Norm,
        Self::Block,
        Self::Shuffle,
        Self::NearestCode,
        Self::PyramidLoss,
        Self::TextureLoss,
        Self::AdamW,
        Self::CodebookSums,
    ];
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear layer",
            Self::Norm => "norm",
            Self::Block => "block",
            Self::Shuffle => "space to depth",
            Self::NearestCode => "nearest code",
            Self::PyramidLoss => "pyramid loss",
            Self::TextureLoss => "texture loss",
            Self::AdamW => "AdamW",
            Self::CodebookSums => "codebook sums",
        })
    }
}

/// Why operators run as compositions. Of all cards together: a program uses one.
static FAULTS: Mutex<BTreeMap<Operator, String>> = Mutex::new(BTreeMap::new());

fn lock_faults() -> std::sync::MutexGuard<'static, BTreeMap<Operator, String>> {
    // Entries come and go as a whole.
    FAULTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on `operator` runs as a composition on accelerators, for the reason `why`; `None` takes that back.
pub fn set_faulty(operator: Operator, why: Option<String>) {
    let mut faults = lock_faults();
    match why {
        Some(why) => faults.insert(operator, why),
        None => faults.remove(&operator),
    };
}

/// The operators that run as compositions on accelerators, each with its reason.
pub fn faults() -> Vec<(Operator, String)> {
    let faults = lock_faults();
    let listed = faults
        .iter()
        .map(|(operator, why)| (*operator, why.clone()));
    listed.collect()
}

/// What runs `operator` on `device`, if it does not run as a composition.
pub(super) fn machine(device: &Device, operator: Operator) -> Result<Option<Rc<dyn Machine>>> {
    if is_plain() || lock_faults().contains_key(&operator) {
        return Ok(None);
    }
    machine_of(device)
}

/// Whether `operator` runs as a kernel of this module on `device`.
pub fn is_fused(device: &Device, operator: Operator) -> bool {
    matches!(machine(device, operator), Ok(Some(_)))
}

/// Whether kernels of this module run on `device` at all.
pub fn runs_on(device: &Device) -> bool {
    !is_plain() && matches!(machine_of(device), Ok(Some(_)))
}

fn machine_of(device: &Device) -> Result<Option<Rc<dyn Machine>>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => device::machine(device).map(Some),
        #[cfg(test)]
        Device::Cpu if is_stand_in() => host::machine().map(Some),
        _ => Ok(None),
    }
}

/// The values of a contiguous `f32` tensor, where they are.
pub(super) fn view(tensor: &Tensor) -> Result<View> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => machine::view_on_host(storage, layout),
        #[cfg(feature = "cuda")]
        Storage::Cuda(storage) => device::view(storage, layout),
        _ => candle_core::bail!("fused kernels run on CUDA"),
    }
}
