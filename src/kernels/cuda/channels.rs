//! A linear map of a picture's four channels.

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Device, Layout, Result, Shape, Storage, Tensor,
};

use super::machine::{Arg, Grid, Kernel, Values, View, view_on_host};
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
        match self.run(&Device::Cpu, view_on_host(x, layout)?)? {
            Storage::Cpu(y) => Ok((y, layout.shape().clone())),
            _ => candle_core::bail!("the result is elsewhere"),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = Device::Cuda(x.device.clone());
        match self.run(&device, super::device::view(x, layout)?)? {
            Storage::Cuda(y) => Ok((y, layout.shape().clone())),
            _ => candle_core::bail!("the result is elsewhere"),
        }
    }

    #[cfg(not(feature = "cuda"))]
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        candle_core::bail!("this build has no CUDA support")
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
