//! Access to candle's CPU storage, and how a fused operator joins candle's graph.

use std::ops::{Deref, Range};
use std::sync::OnceLock;

use candle_core::{CpuStorage, DType, Device, Layout, Result, Storage, Tensor, Var};

use super::grads::grad_enabled;
use super::switch::fused_on;

/// The values of a contiguous `f32` tensor on the CPU, locked for reading.
pub(super) struct HostRef<'a> {
    storage: Box<dyn Deref<Target = Storage> + Sync + 'a>,
    range: Range<usize>,
}

impl<'a> HostRef<'a> {
    pub(super) fn new(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let range = contiguous(layout)?;
        if !matches!(&*storage, Storage::Cpu(CpuStorage::F32(_))) {
            candle_core::bail!("expected an f32 tensor on the CPU");
        }
        Ok(Self {
            storage: Box::new(storage),
            range,
        })
    }
}

impl Deref for HostRef<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &**self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.range.clone()],
            // `new` has let only this kind through.
            _ => &[],
        }
    }
}

/// The values of an operator's argument.
pub(super) fn argument<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(&values[contiguous(layout)?]),
        _ => candle_core::bail!("fused operators take f32"),
    }
}

fn contiguous(layout: &Layout) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => candle_core::bail!("expected a contiguous tensor"),
    }
}

/// Whether the fused operators take `x`.
pub(super) fn takes(x: &Tensor) -> bool {
    fused_on(x.device()) && x.dtype() == DType::F32 && x.elem_count() > 0
}

/// Whether an operator on `x` is recorded for a backward pass.
pub(super) fn tracked(x: &Tensor) -> bool {
    grad_enabled() || x.track_op()
}

/// A constant variable as an operator's last argument: operators hold their parameters themselves, and candle calls the
/// backward pass only of operators that depend on some variable.
pub(super) fn anchor() -> Result<&'static Tensor> {
    static ANCHOR: OnceLock<Var> = OnceLock::new();
    Ok(match ANCHOR.get() {
        Some(anchor) => anchor,
        None => {
            let made = Var::zeros(1, DType::F32, &Device::Cpu)?;
            ANCHOR.get_or_init(|| made)
        }
    })
}
