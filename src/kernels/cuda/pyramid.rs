//! The reconstruction loss of `train::loss::pyramid::pyramid_loss`, with its gradient.

use std::sync::{Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Storage, Tensor};

use super::machine::{
    Arg, Grid, Kernel, Machine, Memory, Values, View, int, on_host, view_on_host,
};
use super::rows::total;
use super::{Operator, machine, machine_of};

const CHANNELS: usize = 4;

/// The weights of its terms.
#[derive(Debug, Clone, Copy)]
pub struct PyramidTerms {
    pub l1: f32,
    pub pyramid: f32,
    pub edges: f32,
    pub alpha: f32,
    /// Halvings.
    pub bands: usize,
}

/// The loss of `x` against `target`, both `[n, h, w, 4]` with sides that `2^bands` divides: a scalar, differentiable in `x` only.
/// `None` where the composition has to do it.
pub fn pyramid_loss(x: &Tensor, target: &Tensor, terms: PyramidTerms) -> Result<Option<Tensor>> {
    if x.dtype() != DType::F32 || machine(x.device(), Operator::PyramidLoss)?.is_none() {
        return Ok(None);
    }
    let operator = PyramidOp {
        terms,
        gradient: Mutex::default(),
    };
    let loss = x
        .contiguous()?
        .apply_op2(&target.detach().contiguous()?, operator)?;
    Ok(Some(loss))
}

struct PyramidOp {
    terms: PyramidTerms,
    /// Of the loss in `x`, made by the forward pass for the backward one.
    gradient: Mutex<Option<Tensor>>,
}

/// A picture pyramid's level.
#[derive(Clone, Copy)]
struct Level {
    n: usize,
    height: usize,
    width: usize,
}

impl Level {
    fn len(self) -> usize {
        self.n * self.height * self.width * CHANNELS
    }

    fn half(self) -> Self {
        Self {
            height: self.height / 2,
            width: self.width / 2,
            ..self
        }
    }

    fn sizes(self) -> [Arg; 3] {
        [self.n.into(), self.height.into(), self.width.into()]
    }
}

impl PyramidTerms {
    /// The loss, and its gradient in `x`.
    fn run(
        self,
        machine: &dyn Machine,
        x: View,
        target: View,
        finest: Level,
    ) -> Result<(Memory, Memory)> {
        let mut levels = vec![finest];
        for band in 0..self.bands {
            levels.push(levels[band].half());
        }
        // Every term writes the parts of its loss behind those of the terms before.
        let blocks = |level: Level| Grid::over(level.len()).x;
        let count = blocks(finest) + levels.iter().copied().map(blocks).sum::<usize>();
        let parts = machine.alloc(int(count)?)?;
        let mut next = parts.view();
        let scale = |weight: f32, level: Level| weight / level.len() as f32;

        let mut difference = machine.alloc(finest.len())?;
        let base = machine.alloc(finest.len())?;
        let args: [Arg; 8] = [
            x.into(),
            target.into(),
            (&difference).into(),
            (&base).into(),
            next.into(),
            (finest.len() as i64).into(),
            scale(self.l1, finest).into(),
            self.alpha.into(),
        ];
        machine.launch(Kernel::PyramidAbsolute, Grid::over(finest.len()), &args)?;
        next = next.from(blocks(finest));

        let mut grads = Vec::with_capacity(self.bands);
        let mut half_target: Option<Memory> = None;
        for &level in &levels[..self.bands] {
            let target_here = half_target.as_ref().map_or(target, Memory::view);
            let grad = machine.alloc(level.len())?;
            let [n, h, w] = level.sizes();
            let args: [Arg; 10] = [
                (&difference).into(),
                target_here.into(),
                (&grad).into(),
                next.into(),
                n,
                h,
                w,
                scale(self.pyramid, level).into(),
                self.edges.into(),
                self.alpha.into(),
            ];
            machine.launch(Kernel::PyramidBand, Grid::over(level.len()), &args)?;
            next = next.from(blocks(level));
            grads.push(grad);
            let half = level.half();
            let (smaller, smaller_target) =
                (machine.alloc(half.len())?, machine.alloc(half.len())?);
            let args: [Arg; 7] = [
                (&difference).into(),
                target_here.into(),
                (&smaller).into(),
                (&smaller_target).into(),
                (half.len() as i64).into(),
                half.height.into(),
                half.width.into(),
            ];
            machine.launch(Kernel::PyramidHalve, Grid::over(half.len()), &args)?;
            difference = smaller;
            half_target = Some(smaller_target);
        }

        let coarsest = levels[self.bands];
        let mut coarser = machine.alloc(coarsest.len())?;
        let args: [Arg; 8] = [
            (&difference).into(),
            View::NONE.into(),
            View::NONE.into(),
            (&coarser).into(),
            next.into(),
            (coarsest.len() as i64).into(),
            scale(self.pyramid, coarsest).into(),
            self.alpha.into(),
        ];
        machine.launch(Kernel::PyramidAbsolute, Grid::over(coarsest.len()), &args)?;

        // Band and halving are linear and the blur is symmetric: walk back from coarse to fine.
        for (index, grad) in grads.iter().enumerate().rev() {
            let level = levels[index];
            let here = machine.alloc(level.len())?;
            let [n, h, w] = level.sizes();
            let base = if index == 0 { base.view() } else { View::NONE };
            let args: [Arg; 7] = [
                grad.into(),
                (&coarser).into(),
                base.into(),
                (&here).into(),
                n,
                h,
                w,
            ];
            machine.launch(Kernel::PyramidBack, Grid::over(level.len()), &args)?;
            coarser = here;
        }
        let loss = total(machine, Kernel::Total, &parts, count)?;
        Ok((loss, coarser))
    }
}

impl PyramidOp {
    fn forward(
        &self,
        device: &candle_core::Device,
        x: View,
        target: View,
        shape: &Shape,
    ) -> Result<Storage> {
        let Some(machine) = machine_of(device)? else {
            candle_core::bail!("{device:?} has no fused kernels");
        };
        let (n, height, width, channels) = shape.dims4()?;
        let sides = 1 << self.terms.bands;
        if channels != CHANNELS
            || height % sides != 0
            || width % sides != 0
            || self.terms.bands == 0
        {
            candle_core::bail!("the pyramid loss does not take {shape:?}");
        }
        let level = Level { n, height, width };
        int(level.len())?;
        let (loss, gradient) = self.terms.run(&*machine, x, target, level)?;
        let gradient = machine.tensor(gradient, shape)?;
        *self.gradient.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
        machine.storage(loss, Values::F32)
    }
}

impl CustomOp2 for PyramidOp {
    fn name(&self) -> &'static str {
        "pyramid_loss"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, target) = (
            view_on_host(x, layout)?,
            view_on_host(target, target_layout)?,
        );
        let result =
            on_host(self.forward(&candle_core::Device::Cpu, x, target, layout.shape())?)?;
        Ok((result, Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        layout: &Layout,
        target: &CudaStorage,
        target_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        use super::device::view;
        let device = candle_core::Device::Cuda(x.device.clone());
        let (x, target) = (view(x, layout)?, view(target, target_layout)?);
        let result = super::device::on_card(self.forward(&device, x, target, layout.shape())?)?;
        Ok((result, Shape::from(())))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradient = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(gradient) = gradient.take() else {
            candle_core::bail!("the pyramid loss was differentiated twice");
        };
        // A scalar where it is: reading it would make the device wait.
        Ok((Some(gradient.broadcast_mul(upstream)?), None))
    }
}
