//! The reconstruction loss: an L1 term and a Laplacian pyramid of the difference, weighted towards edges.
//!
//! ```text
//! d₀ = reconstruction − target;   band_l = d_l − blur(d_l);   d_{l+1} = mean of 2×2 of d_l;   l < 4
//! loss = l1·mean|d₀|·c + pyramid·( Σ_l mean(|band_l|·c·(1 + edges·min(1, 4·|band_l of the target|))) + mean|d₄|·c )
//! ```
//! `blur` is the binomial kernel 1-2-1 on both axes, zero beyond the picture (beyond it the difference *is* zero; for
//! the target's own band the edge weight at the rim is a little high, which does no harm). `c` weighs channels: the
//! alpha channel has its own weight. Pixels are premultiplied, so the colour under alpha 0 is not asked for anything
//! but black. Bands follow Burt & Adelson, "The Laplacian pyramid as a compact image code" (1983), without decimation.
//!
//! The loss is a sum over pictures, so on the CPU each picture is one parallel task that computes its loss and its
//! gradient together; elsewhere the composition of candle's operators runs. A test holds them together.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::kernels::{self, Padding, plain};

/// Channels of a picture.
const CHANNELS: usize = 4;
/// Bands of the pyramid. Sides are multiples of 16, so four halvings always work.
const BANDS: usize = 4;
/// A band of the target this strong (of a range of 2) counts as a full edge: its inverse.
const EDGE_GAIN: f32 = 4.0;

/// The weights of the terms above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PyramidWeights {
    pub l1: f32,
    pub pyramid: f32,
    pub edges: f32,
    /// Weight of the alpha channel; the colour channels have 1.
    pub alpha: f32,
}

/// The loss of `reconstruction` against `target`, both `[n, h, w, 4]` in `[-1, 1]`, sides multiples of 16. A scalar,
/// differentiable in `reconstruction` only.
///
/// # Errors
/// On other shapes.
pub fn pyramid_loss(
    reconstruction: &Tensor,
    target: &Tensor,
    weights: PyramidWeights,
) -> Result<Tensor> {
    let (_, height, width, channels) = reconstruction.dims4()?;
    if reconstruction.dims() != target.dims()
        || channels != CHANNELS
        || height % (1 << BANDS) != 0
        || width % (1 << BANDS) != 0
    {
        candle_core::bail!(
            "a loss needs two equal batches of RGBA pictures with sides that are multiples of 16, not {:?} and {:?}",
            reconstruction.dims(),
            target.dims()
        );
    }
    let target = target.detach();
    if kernels::fused_on(reconstruction.device()) {
        let op = FusedPyramid {
            weights,
            gradient: Mutex::default(),
        };
        reconstruction
            .contiguous()?
            .apply_op2(&target.contiguous()?, op)
    } else {
        composed(reconstruction, &target, weights)
    }
}

fn composed(reconstruction: &Tensor, target: &Tensor, weights: PyramidWeights) -> Result<Tensor> {
    let device = reconstruction.device();
    let channel = Tensor::new(&[1.0, 1.0, 1.0, weights.alpha], device)?;
    let blur = Tensor::new(&[1.0f32, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0], device)?;
    let blur = (blur / 16.0)?
        .reshape((3, 3, 1))?
        .repeat((1, 1, CHANNELS))?;
    let no_bias = channel.zeros_like()?;
    let band = |x: &Tensor| x - plain::depthwise3x3(x, &blur, &no_bias, Padding::Zero)?;
    let mean = |x: Tensor| x.broadcast_mul(&channel)?.mean_all();

    let mut difference = (reconstruction - target)?;
    let mut target = target.clone();
    let mut loss = (mean(difference.abs()?)? * f64::from(weights.l1))?;
    for _ in 0..BANDS {
        let edge = (band(&target)?.abs()? * f64::from(EDGE_GAIN))?.minimum(1.0)?;
        let edge = edge.affine(f64::from(weights.edges), 1.0)?;
        let term = mean((band(&difference)?.abs()? * edge)?)?;
        loss = (loss + (term * f64::from(weights.pyramid))?)?;
        difference = halve(&difference)?;
        target = halve(&target)?;
    }
    loss + (mean(difference.abs()?)? * f64::from(weights.pyramid))?
}

/// The mean of each 2×2.
fn halve(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    x.reshape(&[n, h / 2, 2, w / 2, 2, c][..])?
        .mean((2, 4))?
        .contiguous()
}

struct FusedPyramid {
    weights: PyramidWeights,
    /// The gradient of the loss in the reconstruction, made by the forward pass for the backward one.
    gradient: Mutex<Option<Tensor>>,
}

impl CustomOp2 for FusedPyramid {
    fn name(&self) -> &'static str {
        "pyramid_loss"
    }

    fn cpu_fwd(
        &self,
        reconstruction: &CpuStorage,
        layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, height, width, _) = layout.shape().dims4()?;
        let reconstruction = contiguous(reconstruction, layout)?;
        let target = contiguous(target, target_layout)?;
        let size = height * width * CHANNELS;
        let mut gradient = vec![0.0f32; n * size];
        let losses: Vec<f64> = gradient
            .par_chunks_mut(size)
            .zip(reconstruction.par_chunks(size))
            .zip(target.par_chunks(size))
            .map(|((gradient, reconstruction), target)| {
                picture_loss(
                    reconstruction,
                    target,
                    (height, width),
                    n,
                    self.weights,
                    gradient,
                )
            })
            .collect();
        let gradient = Tensor::from_vec(gradient, layout.shape(), &candle_core::Device::Cpu)?;
        *self.gradient.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
        let loss = losses.iter().sum::<f64>() as f32;
        Ok((CpuStorage::F32(vec![loss]), Shape::from(())))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = self
            .gradient
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(gradient) = gradient else {
            candle_core::bail!("the pyramid loss was differentiated twice");
        };
        let scale = f64::from(upstream.to_scalar::<f32>()?);
        let gradient = if scale == 1.0 {
            gradient
        } else {
            (gradient * scale)?
        };
        Ok((Some(gradient), None))
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("the pyramid loss takes contiguous f32 tensors"),
    }
}

/// One picture's share of the loss; its gradient is written to `gradient`.
fn picture_loss(
    reconstruction: &[f32],
    target: &[f32],
    (height, width): (usize, usize),
    pictures: usize,
    weights: PyramidWeights,
    gradient: &mut [f32],
) -> f64 {
    let mut scratch = Vec::new();
    let mut loss = 0.0f64;
    let mut difference: Vec<f32> = reconstruction
        .iter()
        .zip(target)
        .map(|(r, t)| r - t)
        .collect();
    let share = 1.0 / (pictures * difference.len()) as f32;
    loss += f64::from(l1(&difference, weights.l1 * share, weights.alpha, gradient));

    let mut target = target.to_vec();
    let mut size = (height, width);
    // The gradient of each band term in its `d_l`, fine to coarse.
    let mut signs: Vec<Vec<f32>> = Vec::with_capacity(BANDS);
    for _ in 0..BANDS {
        let scale = weights.pyramid / (pictures * difference.len()) as f32;
        let mut sign = vec![0.0; difference.len()];
        band(&difference, size, &mut scratch, &mut sign);
        let mut edge = vec![0.0; target.len()];
        band(&target, size, &mut scratch, &mut edge);
        let mut sum = 0.0f64;
        for (value, edge) in sign
            .chunks_exact_mut(CHANNELS)
            .zip(edge.chunks_exact(CHANNELS))
        {
            let mut pixel = 0.0f32;
            for (channel, (value, edge)) in value.iter_mut().zip(edge).enumerate() {
                let channel = if channel == 3 { weights.alpha } else { 1.0 };
                let weight =
                    scale * channel * (1.0 + weights.edges * (EDGE_GAIN * edge.abs()).min(1.0));
                pixel += weight * value.abs();
                *value = weight * sign_of(*value);
            }
            sum += f64::from(pixel);
        }
        loss += sum;
        signs.push(sign);
        difference = halve_slice(&difference, size);
        target = halve_slice(&target, size);
        size = (size.0 / 2, size.1 / 2);
    }
    let mut coarser = vec![0.0; difference.len()];
    let scale = weights.pyramid / (pictures * difference.len()) as f32;
    loss += f64::from(l1(&difference, scale, weights.alpha, &mut coarser));

    // band and halve are linear and the blur is symmetric: walk back from coarse to fine.
    for (level, sign) in signs.iter().enumerate().rev() {
        let size = (height >> level, width >> level);
        let mut here = vec![0.0; sign.len()];
        band(sign, size, &mut scratch, &mut here);
        add_doubled(&coarser, size, &mut here);
        coarser = here;
    }
    for (gradient, value) in gradient.iter_mut().zip(&coarser) {
        *gradient += value;
    }
    loss
}

/// `scale · Σ|x|·c`, and its gradient.
fn l1(x: &[f32], scale: f32, alpha: f32, gradient: &mut [f32]) -> f32 {
    let mut sum = 0.0f64;
    for (x, gradient) in x
        .chunks_exact(CHANNELS)
        .zip(gradient.chunks_exact_mut(CHANNELS))
    {
        let colour = x[0].abs() + x[1].abs() + x[2].abs();
        sum += f64::from(colour + alpha * x[3].abs());
        for channel in 0..3 {
            gradient[channel] = scale * sign_of(x[channel]);
        }
        gradient[3] = scale * alpha * sign_of(x[3]);
    }
    sum as f32 * scale
}

/// 0 at 0 and NaN for NaN, as candle's gradient of `abs` has it.
fn sign_of(x: f32) -> f32 {
    if x == 0.0 {
        0.0
    } else {
        1.0f32.copysign(x) + 0.0 * x
    }
}

/// `out = x − blur(x)`, `x` of `height × width` pixels; `scratch` is a buffer to reuse.
fn band(x: &[f32], (height, width): (usize, usize), scratch: &mut Vec<f32>, out: &mut [f32]) {
    let row = width * CHANNELS;
    let zeros = vec![0.0f32; row];
    scratch.clear();
    scratch.resize(row + 2 * CHANNELS, 0.0);
    for y in 0..height {
        let at = |y: usize| &x[y * row..(y + 1) * row];
        let above = if y == 0 { &zeros[..] } else { at(y - 1) };
        let below = if y + 1 == height {
            &zeros[..]
        } else {
            at(y + 1)
        };
        let middle = at(y);
        let column = &mut scratch[CHANNELS..CHANNELS + row];
        for (((column, above), middle), below) in
            column.iter_mut().zip(above).zip(middle).zip(below)
        {
            *column = above + 2.0 * middle + below;
        }
        let (left, centre, right) = (
            &scratch[..row],
            &scratch[CHANNELS..],
            &scratch[2 * CHANNELS..],
        );
        let out = &mut out[y * row..(y + 1) * row];
        for ((((out, middle), left), centre), right) in
            out.iter_mut().zip(middle).zip(left).zip(centre).zip(right)
        {
            *out = middle - (left + 2.0 * centre + right) * (1.0 / 16.0);
        }
    }
}

fn halve_slice(x: &[f32], (height, width): (usize, usize)) -> Vec<f32> {
    let row = width * CHANNELS;
    let mut out = Vec::with_capacity(x.len() / 4);
    for y in 0..height / 2 {
        let (upper, lower) = x[2 * y * row..(2 * y + 2) * row].split_at(row);
        for (upper, lower) in upper
            .chunks_exact(2 * CHANNELS)
            .zip(lower.chunks_exact(2 * CHANNELS))
        {
            for c in 0..CHANNELS {
                out.push(0.25 * (upper[c] + upper[c + CHANNELS] + lower[c] + lower[c + CHANNELS]));
            }
        }
    }
    out
}

/// The transpose of [`halve_slice`], added to `out` of `height × width` pixels.
fn add_doubled(x: &[f32], (_, width): (usize, usize), out: &mut [f32]) {
    let row = width * CHANNELS;
    for (pair, x) in out.chunks_exact_mut(2 * row).zip(x.chunks_exact(row / 2)) {
        for out in pair.chunks_exact_mut(row) {
            for (out, x) in out
                .chunks_exact_mut(2 * CHANNELS)
                .zip(x.chunks_exact(CHANNELS))
            {
                for c in 0..CHANNELS {
                    out[c] += 0.25 * x[c];
                    out[c + CHANNELS] += 0.25 * x[c];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const WEIGHTS: PyramidWeights = PyramidWeights {
        l1: 1.0,
        pyramid: 0.7,
        edges: 1.5,
        alpha: 2.0,
    };

    fn noise(seed: u64, shape: (usize, usize, usize, usize)) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = shape.0 * shape.1 * shape.2 * shape.3;
        let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn both(seed: u64, shape: (usize, usize, usize, usize)) -> [(f32, Vec<f32>); 2] {
        let x = Var::from_tensor(&noise(seed, shape)).unwrap();
        let target = noise(seed + 1, shape);
        let run = |loss: Tensor| {
            let grads = loss.backward().unwrap();
            let grad = grads
                .get(&x)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            (loss.to_scalar::<f32>().unwrap(), grad)
        };
        let fused = FusedPyramid {
            weights: WEIGHTS,
            gradient: Mutex::default(),
        };
        // Times 3, so that the upstream gradient is not 1.
        [
            run((x.apply_op2(&target, fused).unwrap() * 3.0).unwrap()),
            run((composed(&x, &target, WEIGHTS).unwrap() * 3.0).unwrap()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn fused_and_composed_agree(seed in 0u64..1000, n in 1usize..3, h in 1usize..4, w in 1usize..4) {
            let [(fused, fused_grad), (composed, composed_grad)] = both(seed, (n, 16 * h, 16 * w, 4));
            prop_assert!((fused - composed).abs() < 1e-4 * composed.abs());
            let size = composed_grad.iter().fold(0.0f32, |m, g| m.max(g.abs()));
            for (a, b) in fused_grad.iter().zip(&composed_grad) {
                prop_assert!((a - b).abs() < 1e-4 * size, "{a} and {b}");
            }
        }
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let shape = (1, 16, 32, 4);
        let x = noise(3, shape);
        let target = noise(4, shape);
        let value = |x: &Tensor| {
            let loss = pyramid_loss(x, &target, WEIGHTS).unwrap();
            f64::from(loss.to_scalar::<f32>().unwrap())
        };
        let var = Var::from_tensor(&x).unwrap();
        let grads = pyramid_loss(&var, &target, WEIGHTS)
            .unwrap()
            .backward()
            .unwrap();
        let direction = noise(5, shape);
        let slope: f32 = (grads.get(&var).unwrap() * &direction)
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar()
            .unwrap();
        let step = 1e-3;
        let ahead = value(&(&x + (&direction * step).unwrap()).unwrap());
        let behind = value(&(&x - (&direction * step).unwrap()).unwrap());
        let measured = (ahead - behind) / (2.0 * step);
        assert!(
            (measured - f64::from(slope)).abs() < 2e-2 * measured.abs().max(0.1),
            "{measured} {slope}"
        );
    }

    #[test]
    fn equal_pictures_cost_nothing_and_nan_shows() {
        let x = noise(1, (2, 16, 16, 4));
        let loss: f32 = pyramid_loss(&x, &x, WEIGHTS).unwrap().to_scalar().unwrap();
        assert_eq!(loss, 0.0);
        let bad = (&x * f64::NAN).unwrap();
        let loss: f32 = pyramid_loss(&bad, &x, WEIGHTS)
            .unwrap()
            .to_scalar()
            .unwrap();
        assert!(loss.is_nan());
        assert!(
            pyramid_loss(
                &noise(1, (1, 24, 16, 4)),
                &noise(1, (1, 24, 16, 4)),
                WEIGHTS
            )
            .is_err()
        );
    }

    #[test]
    fn an_edge_error_costs_more_than_the_same_error_in_a_flat_area() {
        // A white half beside a black half; the same bump once at the border, once far from it.
        let (side, bump) = (32, 0.3f32);
        let mut target = vec![-1.0f32; side * side * 4];
        for (index, pixel) in target.chunks_exact_mut(4).enumerate() {
            if index % side >= side / 2 {
                pixel.fill(1.0);
            }
        }
        let cost = |x: usize| {
            let mut picture = target.clone();
            picture[(16 * side + x) * 4] -= bump;
            let tensor = |values: &[f32]| {
                Tensor::from_slice(values, (1, side, side, 4), &Device::Cpu).unwrap()
            };
            pyramid_loss(&tensor(&picture), &tensor(&target), WEIGHTS)
                .unwrap()
                .to_scalar::<f32>()
                .unwrap()
        };
        assert!(cost(16) > 1.2 * cost(24), "{} {}", cost(16), cost(24));
    }
}
