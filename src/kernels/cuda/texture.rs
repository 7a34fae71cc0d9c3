//! The loss of texture strength of `train::loss::losses::texture_loss`, with its gradient.

use std::sync::{Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Storage, Tensor};

use super::machine::{Arg, Grid, Kernel, Values, View, int, on_host, view_on_host};
use super::rows::total;
use super::{Operator, machine, machine_of};

/// The sum over cells of `side`² positions and channels of `|strength of x − strength of target|·kept`; a strength is the root mean
/// square of the cell's 4-neighbour Laplacians. `x` and `target` are `[n, h, w, c]` with sides that `side` divides, `kept`
/// `[n, h / side, w / side, 1]`. A scalar, differentiable in `x` only; `None` where the composition has to do it.
pub fn texture_sum(
    x: &Tensor,
    target: &Tensor,
    side: usize,
    kept: &Tensor,
) -> Result<Option<Tensor>> {
    let (n, h, w, _) = x.dims4()?;
    let is_fit = x.dtype() == DType::F32
        && x.dims() == target.dims()
        && side > 0
        && h % side == 0
        && w % side == 0
        && kept.dims() == [n, h / side, w / side, 1];
    if !is_fit || x.elem_count() == 0 || machine(x.device(), Operator::TextureLoss)?.is_none() {
        return Ok(None);
    }
    let operator = TextureOp {
        side,
        gradient: Mutex::default(),
    };
    let (target, kept) = (target.detach().contiguous()?, kept.detach().contiguous()?);
    x.contiguous()?
        .apply_op3(&target, &kept, operator)
        .map(Some)
}

struct TextureOp {
    side: usize,
    /// Of the sum in `x`, made by the forward pass for the backward one.
    gradient: Mutex<Option<Tensor>>,
}

impl TextureOp {
    fn run(&self, device: &Device, [x, target, kept]: [View; 3], shape: &Shape) -> Result<Storage> {
        let Some(machine) = machine_of(device)? else {
            candle_core::bail!("{device:?} has no fused kernels");
        };
        let (n, h, w, c) = shape.dims4()?;
        int(shape.elem_count())?;
        let sizes: [Arg; 5] = [n, h, w, c, self.side].map(Arg::from);
        let cells = shape.elem_count() / (self.side * self.side);
        let grid = Grid::over(cells);
        let (grad, parts) = (machine.alloc(cells)?, machine.alloc(grid.x)?);
        let mut args = vec![
            x.into(),
            target.into(),
            kept.into(),
            Arg::from(&grad),
            Arg::from(&parts),
        ];
        args.extend(sizes);
        machine.launch(Kernel::TextureStrength, grid, &args)?;
        let gradient = machine.alloc(shape.elem_count())?;
        let mut args = vec![x.into(), Arg::from(&grad), Arg::from(&gradient)];
        args.extend(sizes);
        machine.launch(
            Kernel::TextureGradient,
            Grid::over(shape.elem_count()),
            &args,
        )?;
        let loss = total(&*machine, Kernel::Total, &parts, grid.x)?;
        let gradient = machine.tensor(gradient, shape)?;
        *self.gradient.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
        machine.storage(loss, Values::F32)
    }
}

impl CustomOp3 for TextureOp {
    fn name(&self) -> &'static str {
        "texture_sum"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
        kept: &CpuStorage,
        kept_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let views = [
            view_on_host(x, layout)?,
            view_on_host(target, target_layout)?,
            view_on_host(kept, kept_layout)?,
        ];
        let result = on_host(self.run(&Device::Cpu, views, layout.shape())?)?;
        Ok((result, Shape::from(())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        layout: &Layout,
        target: &CudaStorage,
        target_layout: &Layout,
        kept: &CudaStorage,
        kept_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        use super::device::view;
        let device = Device::Cuda(x.device.clone());
        let views = [
            view(x, layout)?,
            view(target, target_layout)?,
            view(kept, kept_layout)?,
        ];
        let result = super::device::on_card(self.run(&device, views, layout.shape())?)?;
        Ok((result, Shape::from(())))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradient = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(gradient) = gradient.take() else {
            candle_core::bail!("the texture loss was differentiated twice");
        };
        Ok((Some(gradient.broadcast_mul(upstream)?), None, None))
    }
}
