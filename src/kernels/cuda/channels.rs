//! A linear map of a picture's four channels.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Storage, Tensor};

use super::machine::{Arg, Grid, Kernel, Values, View, on_host, view_on_host};
use super::{Operator, machine, machine_of};

const CHANNELS: usize = 4;

/// `x·matrix` for each pixel of `x` `[.., 4]`; the matrix row by row. `None` where the composition has to do it.
pub fn map_channels(x: &Tensor, matrix: [f32; 16]) -> Result<Option<Tensor>> {
    let is_fit = x.dtype() == DType::F32 && x.dims().last() == Some(&CHANNELS);
    if !is_fit || x.elem_count() == 0 || machine(x.device(), Operator::PyramidLoss)?.is_none() {
        return Ok(None);
    }
    x.contiguous()?.apply_op1(MapChannels { matrix }).map(Some)
}

struct MapChannels {
    matrix: [f32; 16],
}

impl MapChannels {
    fn run(&self, device: &Device, x: View) -> Result<Storage> {
        let Some(machine) = machine_of(device)? else {
            candle_core::bail!("{device:?} has no fused kernels");
        };
        let pixels = x.len / CHANNELS;
        let y = machine.alloc(x.len)?;
        let mut args = vec![x.into(), Arg::from(&y), Arg::Long(pixels as i64)];
        args.extend(self.matrix.map(Arg::from));
        machine.launch(Kernel::MapChannels, Grid::over(pixels), &args)?;
        machine.storage(y, Values::F32)
    }
}

impl CustomOp1 for MapChannels {
    fn name(&self) -> &'static str {
        "map_channels"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let result = on_host(self.run(&Device::Cpu, view_on_host(x, layout)?)?)?;
        Ok((result, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = Device::Cuda(x.device.clone());
        let result = super::device::on_card(self.run(&device, super::device::view(x, layout)?)?)?;
        Ok((result, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut turned = [0.0; 16];
        for (index, value) in turned.iter_mut().enumerate() {
            *value = self.matrix[index % CHANNELS * CHANNELS + index / CHANNELS];
        }
        let back = Self { matrix: turned };
        grad.contiguous()?.apply_op1_no_bwd(&back).map(Some)
    }
}
