//! What kernels need of the machine that they run on.
// A build that has no card for them leaves most of it without a use.
#![cfg_attr(not(any(feature = "cuda", test)), allow(dead_code))]

use std::any::Any;

use candle_core::{CpuStorage, Layout, Result, Shape, Storage, Tensor};

/// Values on a machine: an address there, whose memory somebody else keeps alive.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct View {
    /// 0 stands for "none".
    pub at: u64,
    /// Values.
    pub len: usize,
}

impl View {
    pub const NONE: Self = Self { at: 0, len: 0 };

    /// Without the first `count` values.
    pub fn from(self, count: usize) -> Self {
        Self {
            at: self.at + 4 * count as u64,
            len: self.len.saturating_sub(count),
        }
    }
}

/// `len` values of 4 bytes on a machine. Dropping it frees them once what was launched before has run.
#[derive(Debug)]
pub(in crate::kernels) struct Memory {
    pub at: u64,
    pub len: usize,
    pub owner: Box<dyn Any + Send + Sync>,
}

impl Memory {
    pub fn view(&self) -> View {
        View {
            at: self.at,
            len: self.len,
        }
    }
}

/// What memory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kernels) enum Values {
    F32,
    U32,
}

/// An argument of a kernel.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) enum Arg {
    At(u64),
    Int(i32),
    Long(i64),
    Float(f32),
}

impl From<View> for Arg {
    fn from(view: View) -> Self {
        Self::At(view.at)
    }
}

impl From<&Memory> for Arg {
    fn from(memory: &Memory) -> Self {
        Self::At(memory.at)
    }
}

impl From<usize> for Arg {
    /// Sizes of dimensions; `i32::MAX` of a larger one, which [`int`] has refused before.
    fn from(value: usize) -> Self {
        Self::Int(i32::try_from(value).unwrap_or(i32::MAX))
    }
}

impl From<i32> for Arg {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

impl From<f32> for Arg {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

/// An error where `value` is too large for a kernel's argument.
pub(super) fn int(value: usize) -> Result<usize> {
    match i32::try_from(value) {
        Ok(_) => Ok(value),
        Err(_) => candle_core::bail!("{value} rows or values are too many for one kernel"),
    }
}

macro_rules! kernels {
    ($($variant:ident $name:literal $cooperates:literal,)*) => {
        /// The kernels of `*.cu`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::kernels) enum Kernel { $($variant),* }

        // Which of them a machine asks depends on the machine.
        #[allow(dead_code)]
        impl Kernel {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Whether its threads exchange values.
            pub fn cooperates(self) -> bool {
                match self { $(Self::$variant => $cooperates),* }
            }
        }
    };
}

kernels! {
    DepthwiseNorm "depthwise_norm" true,
    DepthwiseInputGradient "depthwise_input_gradient" false,
    DepthwiseKernelGradient "depthwise_kernel_gradient" true,
    RmsNorm "rms_norm" true,
    RmsNormGradient "rms_norm_gradient" true,
    UnitNormGradient "unit_norm_gradient" true,
    BiasGelu "bias_gelu" false,
    BiasGeluGradient "bias_gelu_gradient" true,
    ColumnSums "column_sums" true,
    SumParts "sum_parts" true,
    Total "total" true,
    AddRow "add_row" false,
    CopyColumns "copy_columns" false,
    FoldWeights "fold_weights" false,
    UnfoldUp "unfold_up" true,
    UnfoldDown "unfold_down" true,
    Shuffle "shuffle" false,
    NearestCode "nearest_code" true,
    CodebookSums "codebook_sums" true,
    PyramidAbsolute "pyramid_absolute" true,
    PyramidBand "pyramid_band" true,
    PyramidHalve "pyramid_halve" false,
    PyramidBack "pyramid_back" false,
    MapChannels "map_channels" false,
    TextureStrength "texture_strength" true,
    TextureGradient "texture_gradient" false,
    GradientSquares "gradient_squares" true,
    RootOfTotal "root_of_total" true,
    AdamW "adamw" false,
}

/// Blocks and threads of a launch.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Grid {
    pub x: usize,
    pub y: usize,
    pub threads: u32,
}

/// Threads of a block, where a kernel does not care.
pub(super) const THREADS: u32 = 256;
/// Lanes of a warp.
pub(super) const WARP: usize = 32;
/// Blocks of a kernel whose threads go on until all is done: enough for any card.
const MOST_BLOCKS: usize = 4096;

impl Grid {
    /// A thread per value, some of which do several.
    pub fn over(values: usize) -> Self {
        let blocks = values.div_ceil(THREADS as usize);
        Self {
            x: blocks.clamp(1, MOST_BLOCKS),
            y: 1,
            threads: THREADS,
        }
    }

    /// A warp per row.
    pub fn warps(rows: usize) -> Self {
        Self {
            x: rows.div_ceil(THREADS as usize / WARP).max(1),
            y: 1,
            threads: THREADS,
        }
    }

    pub fn blocks(x: usize, y: usize, threads: u32) -> Self {
        Self { x, y, threads }
    }
}

/// `c = a·b`, or `c += a·b`; matrices lie row by row. A turned one is given as its transpose.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Product {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    /// `[m, k]`, or turned `[k, m]`.
    pub a: View,
    pub is_a_turned: bool,
    /// `[k, n]`, or turned `[n, k]`.
    pub b: View,
    pub is_b_turned: bool,
    /// `[m, n]`
    pub c: View,
    pub accumulate: bool,
}

/// Memory, kernels and matrix products. Everything runs in the order of the calls, after they have returned.
pub(in crate::kernels) trait Machine {
    /// Memory with anything in it.
    fn alloc(&self, count: usize) -> Result<Memory>;

    /// Values of 4 bytes in memory of their own.
    fn upload(&self, words: &[u32]) -> Result<Memory>;

    /// The caller vouches that the arguments are those of the kernel, and that their memory is as large as the kernel's
    /// description says.
    fn launch(&self, kernel: Kernel, grid: Grid, args: &[Arg]) -> Result<()>;

    fn product(&self, product: Product) -> Result<()>;

    /// Memory of this machine as a tensor's.
    fn storage(&self, memory: Memory, values: Values) -> Result<Storage>;
}

impl dyn Machine + '_ {
    pub fn tensor(&self, memory: Memory, shape: impl Into<Shape>) -> Result<Tensor> {
        let storage = self.storage(memory, Values::F32)?;
        Ok(from_storage(storage, shape))
    }

    pub fn u32_tensor(&self, memory: Memory, shape: impl Into<Shape>) -> Result<Tensor> {
        let storage = self.storage(memory, Values::U32)?;
        Ok(from_storage(storage, shape))
    }
}

fn from_storage(storage: Storage, shape: impl Into<Shape>) -> Tensor {
    Tensor::from_storage(storage, shape, candle_core::op::BackpropOp::none(), false)
}

/// The memory of a result that was worked out on the CPU.
pub(super) fn on_host(result: Storage) -> Result<CpuStorage> {
    match result {
        Storage::Cpu(result) => Ok(result),
        _ => candle_core::bail!("the result is elsewhere"),
    }
}

/// The values of a contiguous tensor on the CPU.
pub(super) fn view_on_host(storage: &CpuStorage, layout: &Layout) -> Result<View> {
    let (at, size) = match storage {
        CpuStorage::F32(values) => (values.as_ptr() as u64, values.len()),
        CpuStorage::U32(values) => (values.as_ptr() as u64, values.len()),
        _ => candle_core::bail!("fused kernels take f32"),
    };
    within(at, size, layout)
}

/// The part of `size` values at `at` that `layout` means.
pub(super) fn within(at: u64, size: usize, layout: &Layout) -> Result<View> {
    match layout.contiguous_offsets() {
        Some((start, end)) if end <= size => Ok(View {
            at: at + 4 * start as u64,
            len: end - start,
        }),
        _ => candle_core::bail!("expected a contiguous tensor"),
    }
}
