//! `AdamW` over all parameters at once.

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Result, Tensor};

use super::machine::{Arg, Grid, Kernel, Machine, Memory, View};
use super::rows::total;
use super::{Operator, machine, view};

/// Values that a block looks after, as CHUNK in adamw.cu.
const CHUNK: usize = 4096;
const THREADS: u32 = 256;

/// One parameter, as the kernels' `Entry`.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Entry {
    weight: u64,
    grad: u64,
    first: u64,
    second: u64,
    ema: u64,
    count: u32,
    keep: f32,
    rate: f32,
    second_scale: f32,
}

/// One parameter of an update; all tensors are contiguous and of one size.
pub(in crate::kernels) struct Update<'a> {
    pub weight: &'a Tensor,
    /// `None`: only the moving average follows.
    pub grad: Option<&'a Tensor>,
    pub first: &'a Tensor,
    pub second: &'a Tensor,
    pub ema: &'a Tensor,
    /// What the weight is multiplied with.
    pub keep: f32,
    pub rate: f32,
    pub second_scale: f32,
}

/// Of the whole update.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Rates {
    /// Gradients are scaled down to this global norm; 0 does not.
    pub clip_norm: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub ema_follow: f32,
}

/// Which blocks do which parameters, as uploaded last.
#[derive(Debug, Default)]
pub(in crate::kernels) struct Tables(Mutex<Option<(Vec<u32>, Memory)>>);

/// The chunks of values of `counts`, entry and first value of each.
fn chunks(counts: impl Iterator<Item = usize>) -> Vec<u32> {
    let of_entry = |(index, count): (usize, usize)| {
        (0..count)
            .step_by(CHUNK)
            .flat_map(move |first| [index as u32, first as u32])
    };
    counts.enumerate().flat_map(of_entry).collect()
}

impl Tables {
    /// Runs `launch` with the table of chunks and their number.
    fn with_chunks<T>(
        &self,
        machine: &dyn Machine,
        wanted: Vec<u32>,
        launch: impl FnOnce(View, usize) -> Result<T>,
    ) -> Result<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = wanted.len() / 2;
        let memory = match kept.take() {
            Some((chunks, memory)) if chunks == wanted => memory,
            _ => machine.upload(&wanted)?,
        };
        let result = launch(memory.view(), count);
        *kept = Some((wanted, memory));
        result
    }
}

/// The l2 norm of all `grads`, a scalar; `None` where the composition has to do it.
pub(in crate::kernels) fn norm(device: &Device, grads: &[&Tensor]) -> Result<Option<Tensor>> {
    let Some(machine) = machine(device, Operator::AdamW)? else {
        return Ok(None);
    };
    if grads.is_empty() {
        return Ok(None);
    }
    let entry = |grad: &&Tensor| -> Result<Entry> {
        Ok(Entry {
            grad: view(grad)?.at,
            count: grad.elem_count() as u32,
            ..bytemuck::Zeroable::zeroed()
        })
    };
    let entries = grads.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let table = machine.upload(bytemuck::cast_slice(&entries))?;
    let chunks = chunks(grads.iter().map(|grad| grad.elem_count()));
    let count = chunks.len() / 2;
    let chunks = machine.upload(&chunks)?;
    let parts = machine.alloc(count)?;
    let args: [Arg; 3] = [(&table).into(), (&chunks).into(), (&parts).into()];
    machine.launch(
        Kernel::GradientSquares,
        Grid::blocks(count, 1, THREADS),
        &args,
    )?;
    let norm = total(&*machine, Kernel::RootOfTotal, &parts, count)?;
    machine.tensor(norm, ()).map(Some)
}

/// One update of all parameters; nothing changes where `norm`, a scalar on the device, is not finite.
///
/// # Errors
/// Where [`super::is_fused`] is false.
pub(in crate::kernels) fn step(
    device: &Device,
    updates: &[Update<'_>],
    norm: &Tensor,
    rates: Rates,
    tables: &Tables,
) -> Result<()> {
    let Some(machine) = machine(device, Operator::AdamW)? else {
        candle_core::bail!("{device:?} has no fused AdamW");
    };
    let entry = |update: &Update<'_>| -> Result<Entry> {
        let count = update.weight.elem_count();
        let at = |tensor: &Tensor| -> Result<u64> {
            let view = view(tensor)?;
            if view.len != count {
                candle_core::bail!("a gradient or a moment has another size than its parameter");
            }
            Ok(view.at)
        };
        Ok(Entry {
            weight: at(update.weight)?,
            grad: update.grad.map_or(Ok(0), at)?,
            first: at(update.first)?,
            second: at(update.second)?,
            ema: at(update.ema)?,
            count: count as u32,
            keep: update.keep,
            rate: update.rate,
            second_scale: update.second_scale,
        })
    };
    let entries = updates.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let table = machine.upload(bytemuck::cast_slice(&entries))?;
    let wanted = chunks(entries.iter().map(|entry| entry.count as usize));
    let norm = view(norm)?;
    tables.with_chunks(&*machine, wanted, |chunks, count| {
        let args: [Arg; 8] = [
            (&table).into(),
            chunks.into(),
            norm.into(),
            rates.clip_norm.into(),
            rates.beta1.into(),
            rates.beta2.into(),
            rates.eps.into(),
            rates.ema_follow.into(),
        ];
        machine.launch(Kernel::AdamW, Grid::blocks(count, 1, THREADS), &args)
    })
}
