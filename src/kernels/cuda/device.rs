//! A CUDA device as a [`Machine`].
//!
//! candle gives each thread of the system its own stream of a device, so all that depends on a stream is kept by thread: also the
//! cuBLAS handle, whose workspace two streams must not share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::cuda::gemm_reduced_precision_f32;
use candle_core::cuda_backend::cudarc::cublas::{CudaBlas, result as cublas, sys};
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaStream, DevicePtr, LaunchConfig, PushKernelArg, result as driver,
    sys as driver_sys,
};
use candle_core::cuda_backend::{CudaDevice, CudaStorageSlice, DeviceId};
use candle_core::{CudaStorage, Device, Error, Layout, Result, Storage};

use super::machine::{Arg, Grid, Kernel, Machine, Memory, Product, Values, View, within};

/// Made by build.rs of kernels.cu.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));
const MODULE: &str = "tessera";

struct Gpu {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    /// In the order of [`Kernel::ALL`].
    functions: Vec<CudaFunction>,
    blas: CudaBlas,
}

thread_local! {
    static GPUS: RefCell<Vec<(DeviceId, Rc<Gpu>)>> = const { RefCell::new(Vec::new()) };
}

/// The machine of `device` for this thread.
pub(super) fn machine(device: &CudaDevice) -> Result<Rc<dyn Machine>> {
    GPUS.with_borrow_mut(|gpus| {
        if let Some((_, gpu)) = gpus.iter().find(|(id, _)| *id == device.id()) {
            return Ok(Rc::clone(gpu) as Rc<dyn Machine>);
        }
        let gpu = Rc::new(Gpu::new(device)?);
        gpus.push((device.id(), Rc::clone(&gpu)));
        Ok(gpu as Rc<dyn Machine>)
    })
}

/// Settles how `device` keeps memory; to be called once, before anything is computed on it.
///
/// Freed memory stays with the process: left to itself the driver gives it back whenever the host waits for the device, and maps it anew
/// in every step. And no events are made for each buffer: candle uses one stream per thread, for which cudarc makes but never uses them.
///
/// # Errors
/// What the driver has against it.
pub fn prepare(device: &Device) -> Result<()> {
    let Device::Cuda(device) = device else {
        return Ok(());
    };
    let stream = device.cuda_stream();
    let context = stream.context();
    // SAFETY: cudarc orders nothing by these events unless a context has streams of its own, and this one has none.
    unsafe { device.disable_event_tracking() };
    context.bind_to_thread().map_err(Error::wrap)?;
    let mut keep = u64::MAX;
    // SAFETY: the device is the context's, and the attribute is a number of 64 bits.
    unsafe {
        let pool =
            driver::device::get_default_mem_pool(context.cu_device()).map_err(Error::wrap)?;
        let attribute = driver_sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        driver::mem_pool::set_attribute(pool, attribute, (&raw mut keep).cast())
    }
    .map_err(Error::wrap)
}

/// The memory of a result that was worked out on a card.
pub(super) fn on_card(result: Storage) -> Result<CudaStorage> {
    match result {
        Storage::Cuda(result) => Ok(result),
        _ => candle_core::bail!("the result is elsewhere"),
    }
}

/// The values of a contiguous tensor.
pub(super) fn view(storage: &CudaStorage, layout: &Layout) -> Result<View> {
    let (at, size) = match &storage.slice {
        CudaStorageSlice::F32(slice) => address(slice),
        CudaStorageSlice::U32(slice) => address(slice),
        _ => candle_core::bail!("fused kernels take f32"),
    };
    within(at, size, layout)
}

fn address<T>(slice: &CudaSlice<T>) -> (u64, usize) {
    // Nothing is recorded when the guard goes: there are no events.
    let (at, _guard) = slice.device_ptr(slice.stream());
    (at, slice.len())
}

impl Gpu {
    fn new(device: &CudaDevice) -> Result<Self> {
        let load = |kernel: &Kernel| -> Result<CudaFunction> {
            let function = device.get_or_load_custom_func(kernel.name(), MODULE, PTX)?;
            Ok(function.into_cuda_function())
        };
        let functions = Kernel::ALL.iter().map(load).collect::<Result<_>>()?;
        let stream = device.cuda_stream();
        Ok(Self {
            device: device.clone(),
            functions,
            blas: CudaBlas::new(Arc::clone(&stream)).map_err(Error::wrap)?,
            stream,
        })
    }
}

impl Machine for Gpu {
    fn alloc(&self, count: usize) -> Result<Memory> {
        // SAFETY: whoever asks for memory writes to it before it is read.
        let slice = unsafe { self.stream.alloc::<f32>(count.max(1)) }.map_err(Error::wrap)?;
        Ok(Memory {
            at: address(&slice).0,
            len: count,
            owner: Box::new(slice),
        })
    }

    fn upload(&self, words: &[u32]) -> Result<Memory> {
        let slice = self.stream.clone_htod(words).map_err(Error::wrap)?;
        Ok(Memory {
            at: address(&slice).0,
            len: words.len(),
            owner: Box::new(slice),
        })
    }

    fn launch(&self, kernel: Kernel, grid: Grid, args: &[Arg]) -> Result<()> {
        let Some(function) = self.functions.get(kernel as usize) else {
            candle_core::bail!("there is no kernel {}", kernel.name());
        };
        let mut builder = self.stream.launch_builder(function);
        for arg in args {
            match arg {
                Arg::At(value) => builder.arg(value),
                Arg::Int(value) => builder.arg(value),
                Arg::Long(value) => builder.arg(value),
                Arg::Float(value) => builder.arg(value),
            };
        }
        let config = LaunchConfig {
            grid_dim: (grid.x as u32, grid.y as u32, 1),
            block_dim: (grid.threads, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the caller vouches for arguments and memory.
        unsafe { builder.launch(config) }.map_err(|why| {
            Error::Msg(format!("the kernel {} did not start: {why}", kernel.name()))
        })?;
        Ok(())
    }

    fn product(&self, product: Product) -> Result<()> {
        let Product {
            m, n, k, a, b, c, ..
        } = product;
        if a.len < m * k || b.len < k * n || c.len < m * n {
            candle_core::bail!("a matrix product of {m}x{k} and {k}x{n} lacks values");
        }
        let compute = if gemm_reduced_precision_f32() {
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32
        } else {
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F
        };
        let operation = |is_turned: bool| {
            if is_turned {
                sys::cublasOperation_t::CUBLAS_OP_T
            } else {
                sys::cublasOperation_t::CUBLAS_OP_N
            }
        };
        let real = sys::cudaDataType_t::CUDA_R_32F;
        let (alpha, beta) = (1.0f32, if product.accumulate { 1.0f32 } else { 0.0 });
        let a_stride = if product.is_a_turned { m } else { k };
        let b_stride = if product.is_b_turned { k } else { n };
        // cuBLAS counts by columns: read so, a matrix is its transpose, and cᵀ = bᵀ·aᵀ.
        // SAFETY: the sizes are checked above, and the caller keeps the memory.
        let done = unsafe {
            cublas::gemm_ex(
                *self.blas.handle(),
                operation(product.is_b_turned),
                operation(product.is_a_turned),
                n as i32,
                m as i32,
                k as i32,
                (&raw const alpha).cast(),
                b.at as *const _,
                real,
                b_stride as i32,
                a.at as *const _,
                real,
                a_stride as i32,
                (&raw const beta).cast(),
                c.at as *mut _,
                real,
                n as i32,
                compute,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        };
        done.map_err(Error::wrap)
    }

    fn storage(&self, memory: Memory, values: Values) -> Result<Storage> {
        let Ok(slice) = memory.owner.downcast::<CudaSlice<f32>>() else {
            candle_core::bail!("the memory is not the device's");
        };
        let device = self.device.clone();
        Ok(Storage::Cuda(match values {
            Values::F32 => CudaStorage::wrap_cuda_slice(*slice, device),
            Values::U32 => {
                let count = slice.len();
                // SAFETY: the same bytes, owned by one of the two at a time.
                let slice = unsafe { self.stream.upgrade_device_ptr::<u32>(slice.leak(), count) };
                CudaStorage::wrap_cuda_slice(slice, device)
            }
        }))
    }
}
