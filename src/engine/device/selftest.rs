//! Whether a device computes what it should: each check runs on the device and, as its reference, as a composition of
//! candle's plain operators on the CPU. A device that fails is not used: a wrong number is worse than a slow one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use candle_nn::Module;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::codec::{Codec, CodecConfig, DetailDropout, DetailMask, TrainForward, TrainOptions};
use crate::engine::device::choice::ChosenDevice;
use crate::engine::device::precision::PrecisionRequest;
use crate::engine::lanes::worker::from_panic;
use crate::engine::models::loading::ModelSource;
use crate::error::{Error, Kind, Result};
use crate::kernels::cuda::{self, Operator};
use crate::kernels::{
    self, AdamW, AdamWConfig, Block, Chain, Layer, Linear, Padding, ParamStore, RmsNorm,
    read_scalars,
};
use crate::progress::Observer;
use crate::train::loss::losses::{LossWeights, opponent, pyramid_loss, texture_loss};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    pub name: String,
    /// Largest difference from the reference, as a share of the reference's largest value.
    pub difference: Option<f64>,
    pub tolerance: f64,
    /// Why there is no difference to tell: an error, or a panic.
    pub error: Option<String>,
}

impl CheckResult {
    pub fn has_passed(&self) -> bool {
        // NaN has not.
        self.difference.is_some_and(|found| found <= self.tolerance)
    }

    /// What was found, in words.
    pub fn found(&self) -> String {
        match (&self.error, self.difference) {
            (Some(error), _) => error.clone(),
            (None, Some(found)) => {
                format!(
                    "differs by {found:.1e}, at most {:.0e} is allowed",
                    self.tolerance
                )
            }
            (None, None) => "it gave nothing".to_owned(),
        }
    }
}

/// All checks of a device, for a person to read and to attach to a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTestReport {
    pub version: String,
    pub system: String,
    pub device: String,
    pub reason: String,
    pub checks: Vec<CheckResult>,
    /// Fused operators of an accelerator that gave something else and were left out of use, each with the reason.
    #[serde(default)]
    pub slow_operators: Vec<String>,
    pub seconds: f64,
}

impl SelfTestReport {
    pub fn has_passed(&self) -> bool {
        self.checks.iter().all(CheckResult::has_passed)
    }

    /// One line per check.
    pub fn lines(&self) -> Vec<String> {
        let line = |check: &CheckResult| {
            let mark = if check.has_passed() {
                "ok    "
            } else {
                "FAILED"
            };
            format!("{mark} {}: {}", check.name, check.found())
        };
        let slow = self
            .slow_operators
            .iter()
            .map(|line| format!("slow   {line}"));
        self.checks.iter().map(line).chain(slow).collect()
    }
}

/// What a check computes; the values are compared.
type Compute = fn(&Device) -> Result<Vec<f32>>;

/// Single-precision sums of some hundred terms, added in another order.
const ROUNDING: f64 = 2e-4;
/// The same through a whole network and back.
const DEEP: f64 = 2e-3;

/// A check, and the fused operator of an accelerator that is left out of use where it fails.
type Check = (&'static str, Compute, f64, Option<Operator>);

#[rustfmt::skip]
const CHECKS: [Check; 14] = [
    ("values survive the way there and back", there_and_back, 0.0, None),
    ("linear layers and their gradients", linear, ROUNDING, Some(Operator::Linear)),
    ("normalisation and its gradients", norm, ROUNDING, Some(Operator::Norm)),
    ("block and its gradients", block_zero, ROUNDING, Some(Operator::Block)),
    ("block on a wrapped canvas and its gradients", block_wrapped, ROUNDING, Some(Operator::Block)),
    ("space to depth and back", shuffles, 0.0, Some(Operator::Shuffle)),
    ("nearest codes, ties and values that are no numbers", nearest, 0.0, Some(Operator::NearestCode)),
    ("losses and their gradients", losses, ROUNDING, Some(Operator::PyramidLoss)),
    ("loss of texture and its gradient", texture, ROUNDING, Some(Operator::TextureLoss)),
    ("steps of the optimiser", optimizer_steps, ROUNDING, Some(Operator::AdamW)),
    ("what codebooks learn from a batch", codebook_sums, ROUNDING, Some(Operator::CodebookSums)),
    ("gradients of a whole training step", training_gradients, DEEP, None),
    ("weights and codebooks after a training step", training_step, DEEP, None),
    ("encoding and decoding with the base model", base_model, DEEP, None),
];

/// Products of factors with 10 bits of mantissa, through one operator and through a whole network and back. Factors rounded like
/// that on the CPU gave 4.2e-4 and 5.7e-4.
const REDUCED: f64 = 2e-3;
const REDUCED_DEEP: f64 = 5e-3;

/// What training with reduced precision computes with. Codes are not compared: a vector between two may take either.
#[rustfmt::skip]
const REDUCED_CHECKS: [Check; 3] = [
    ("linear layers and their gradients", linear, REDUCED, None),
    ("block and its gradients", block_zero, REDUCED, None),
    ("gradients of a training step without codes", gradients_without_codes, REDUCED_DEEP, None),
];

/// Runs all checks; one that fails or panics does not stop the others.
///
/// # Errors
/// `Cancelled`.
pub fn self_test(chosen: &ChosenDevice, observer: &dyn Observer) -> Result<SelfTestReport> {
    let _exact = PrecisionRequest::exact();
    run(&CHECKS, chosen, observer)
}

/// Whether training stays right on the device with reduced precision.
///
/// # Errors
/// `Cancelled`.
pub(crate) fn self_test_reduced(
    chosen: &ChosenDevice,
    observer: &dyn Observer,
) -> Result<SelfTestReport> {
    let _fast = PrecisionRequest::fast();
    run(&REDUCED_CHECKS, chosen, observer)
}

fn run(all: &[Check], chosen: &ChosenDevice, observer: &dyn Observer) -> Result<SelfTestReport> {
    let started = Instant::now();
    let mut checks = Vec::new();
    let is_judged =
        cuda::runs_on(&chosen.device) && all.iter().any(|(_, _, _, operator)| operator.is_some());
    if is_judged {
        // What was left out of use may have been mended by a new driver.
        for operator in Operator::ALL {
            cuda::set_faulty(operator, None);
        }
    }
    for (index, &(name, compute, tolerance, operator)) in all.iter().enumerate() {
        observer.check()?;
        observer.progress(index as u64, all.len() as u64);
        let check = || {
            let found = compared(compute, &chosen.device);
            CheckResult {
                name: name.to_owned(),
                error: found.as_ref().err().map(ToString::to_string),
                difference: found.ok(),
                tolerance,
            }
        };
        let mut result = check();
        if let Some(operator) = operator
            && !result.has_passed()
            && cuda::runs_on(&chosen.device)
        {
            log::warn!("{operator} runs as a composition: {}", result.found());
            cuda::set_faulty(operator, Some(result.found()));
            result = check();
        }
        checks.push(result);
    }
    observer.progress(all.len() as u64, all.len() as u64);
    Ok(SelfTestReport {
        version: crate::version::version(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: chosen.name.clone(),
        reason: chosen.reason.clone(),
        checks,
        slow_operators: if is_judged {
            slow_operators()
        } else {
            Vec::new()
        },
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn slow_operators() -> Vec<String> {
    let faults = cuda::faults().into_iter();
    let line = |(operator, why)| format!("{operator} runs in its slow form: {why}");
    faults.map(line).collect()
}

fn compared(compute: Compute, device: &Device) -> Result<f64> {
    let guarded = |device: &Device| {
        catch_unwind(AssertUnwindSafe(|| compute(device)))
            .unwrap_or_else(|panic| Err(from_panic(panic.as_ref())))
    };
    let found = guarded(device)?;
    let reference = kernels::with_plain_ops(|| guarded(&Device::Cpu))?;
    if found.len() != reference.len() {
        return Err(failure(format!(
            "{} values came back, not {}",
            found.len(),
            reference.len()
        )));
    }
    let scale = reference.iter().fold(0f32, |max, v| max.max(v.abs()));
    let far = found.iter().zip(&reference).fold(0f64, |max, (a, b)| {
        let difference = f64::from(a - b).abs();
        // `max` would drop a NaN.
        if difference.is_nan() || max.is_nan() {
            f64::NAN
        } else {
            max.max(difference)
        }
    });
    Ok(far / f64::from(scale).max(f64::from(f32::MIN_POSITIVE)))
}

fn failure(why: impl Into<String>) -> Error {
    Error::new(Kind::Device, "a check of the device failed", why, "")
}

/// Values in `[-1, 1)`, the same on every device.
fn noise(shape: &[usize], seed: u64, device: &Device) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let value = |_| (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let values = (0..shape.iter().product()).map(value).collect();
    Ok(Tensor::from_vec(values, shape, device)?)
}

fn host(x: &Tensor) -> Result<Vec<f32>> {
    Ok(x.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?)
}

/// The values of `run` on noise, and the gradients of their weighted sum in the input and in every parameter.
fn with_gradients(
    store: &ParamStore,
    shape: &[usize],
    run: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<Vec<f32>> {
    let x = Var::from_tensor(&noise(shape, 1, store.device())?)?;
    let y = run(x.as_tensor())?;
    let weights = noise(y.dims(), 2, store.device())?;
    let loss = (&y * weights)?.sum_all()?;
    let mut values = host(&y)?;
    if let Some(gradient) = loss.backward()?.get(&x) {
        values.extend(host(gradient)?);
    }
    // Again for the parameters: their gradients are gathered elsewhere.
    let y = run(x.as_tensor())?;
    let weights = noise(y.dims(), 2, store.device())?;
    let grads = store.backward(&(y * weights)?.sum_all()?)?;
    for name in grads.names() {
        if let Some(gradient) = grads.get(name)? {
            values.extend(host(&gradient)?);
        }
    }
    Ok(values)
}

fn there_and_back(device: &Device) -> Result<Vec<f32>> {
    let mut values = host(&noise(&[3, 5, 7], 3, device)?)?;
    values.extend([f32::MIN_POSITIVE, 0.0, 1e30].into_iter().map(|v| {
        let there = Tensor::new(&[v], device).and_then(|t| t.to_vec1::<f32>());
        there.map_or(f32::NAN, |back| back[0])
    }));
    Ok(values)
}

fn linear(device: &Device) -> Result<Vec<f32>> {
    let store = ParamStore::new(11, device);
    let layer = Linear::new(37, 50, store.root().pp("layer"))?;
    let add = Linear::new(37, 50, store.root().pp("add"))?;
    let join = Linear::new(87, 21, store.root().pp("join"))?;
    let add = Chain::from([Layer::AddLinear(add)]);
    let join = Chain::from([Layer::Concat, Layer::Linear(join)]);
    with_gradients(&store, &[2, 9, 7, 37], |x| {
        let y = add.forward_with(&layer.forward(x)?, x, Padding::Zero)?;
        join.forward_with(&y, x, Padding::Zero)
    })
}

fn norm(device: &Device) -> Result<Vec<f32>> {
    let store = ParamStore::new(12, device);
    let layer = RmsNorm::new(40, store.root())?;
    with_gradients(&store, &[2, 5, 6, 40], |x| {
        layer.forward(x)? + kernels::unit_rms(x)?
    })
}

fn block_zero(device: &Device) -> Result<Vec<f32>> {
    block(device, Padding::Zero)
}

fn block_wrapped(device: &Device) -> Result<Vec<f32>> {
    block(device, Padding::Wrap { x: true, y: true })
}

fn block(device: &Device, padding: Padding) -> Result<Vec<f32>> {
    let store = ParamStore::new(13, device);
    let layers = [0, 1].map(|i| Block::new(48, store.root().pp(i)));
    let [first, second] = layers;
    let layers = [first?, second?];
    with_gradients(&store, &[2, 11, 13, 48], |x| {
        kernels::blocks(&layers, x, padding)
    })
}

fn shuffles(device: &Device) -> Result<Vec<f32>> {
    let x = Var::from_tensor(&noise(&[2, 8, 12, 6], 4, device)?)?;
    let deep = kernels::space_to_depth(&x, 4)?;
    let wide = kernels::depth_to_space(&deep, 2)?;
    let mut values = host(&deep)?;
    values.extend(host(&wide)?);
    let loss = (&wide * noise(wide.dims(), 5, device)?)?.sum_all()?;
    if let Some(gradient) = loss.backward()?.get(&x) {
        values.extend(host(gradient)?);
    }
    Ok(values)
}

fn nearest(device: &Device) -> Result<Vec<f32>> {
    let codebook = noise(&[64, 16], 5, device)?;
    // Every code twice: the lower id has to win.
    let codebook = Tensor::cat(&[&codebook, &codebook], 0)?;
    let exact = codebook.narrow(0, 64, 64)?;
    let x = Tensor::cat(&[&noise(&[200, 16], 6, device)?, &exact], 0)?;
    let ids = kernels::nearest_code(&x, &codebook)?;
    let no_number = Tensor::new(&[[f32::NAN; 16]], device)?;
    if kernels::nearest_code(&no_number, &codebook).is_ok() {
        return Err(failure("a vector that is no number was given a code"));
    }
    let ids: Vec<u32> = ids.to_device(&Device::Cpu)?.to_vec1()?;
    if let Some(high) = ids.iter().find(|id| **id >= 64) {
        return Err(failure(format!("a tie was given to code {high}")));
    }
    Ok(ids.into_iter().map(|id| id as f32).collect())
}

/// Parameters and averages after steps with gradients above and below the norm that clips.
fn optimizer_steps(device: &Device) -> Result<Vec<f32>> {
    let store = ParamStore::new(16, device);
    let layer = Linear::new(70, 90, store.root())?;
    let mut optimizer = AdamW::new(&store, &AdamWConfig::default())?;
    let mut values = Vec::new();
    for (step, size) in [(0, 1.0), (1, 1e-3)] {
        let y = layer.forward(&noise(&[8, 70], 20 + step, device)?)?;
        let loss = ((y * noise(&[8, 90], 30 + step, device)?)?.sum_all()? * size)?;
        let grads = store.backward(&loss)?;
        let norm = optimizer.step_unread(&grads, 1e-2)?;
        values.push(read_scalars(&[&norm])?[0] as f32 / size as f32);
    }
    for tensor in optimizer.ema_tensors()?.values() {
        values.extend(host(tensor)?);
    }
    for param in store.params() {
        values.extend(host(param.tensor())?);
    }
    Ok(values)
}

fn codebook_sums(device: &Device) -> Result<Vec<f32>> {
    let (codes, dim, rows) = (40, 16, 3000);
    let ids = (0..rows).map(|i| (i * i % 37) as u32).collect();
    let ids = Tensor::from_vec(ids, rows, device)?;
    let (counts, sums) = crate::codec::code_totals(&noise(&[rows, dim], 17, device)?, &ids, codes)?;
    let mut values = host(&counts)?;
    values.extend(host(&sums)?);
    Ok(values)
}

fn losses(device: &Device) -> Result<Vec<f32>> {
    let store = ParamStore::new(14, device);
    let target = noise(&[2, 32, 48, 4], 7, device)?;
    let weights = LossWeights::default().reconstruction();
    with_gradients(&store, &[2, 32, 48, 4], |x| {
        let plain = pyramid_loss(x, &target, weights)?;
        plain + pyramid_loss(&opponent(x, 2.0)?, &opponent(&target, 2.0)?, weights)?
    })
}

fn texture(device: &Device) -> Result<Vec<f32>> {
    let store = ParamStore::new(14, device);
    let target = (noise(&[2, 24, 32, 4], 7, device)? * 0.5)?;
    let kept = noise(&[2, 6, 8, 1], 8, device)?.relu()?;
    with_gradients(&store, &[2, 24, 32, 4], |x| {
        texture_loss(x, &target, 4, &kept)
    })
}

/// A small codec after a forward pass, and the loss of a training step on it.
fn small_step(device: &Device, quantize: bool) -> Result<(Codec, TrainForward, Tensor)> {
    let codec = Codec::new(CodecConfig::tiny(), 15, device)?;
    let pixels = noise(&[2, 32, 32, 4], 8, device)?;
    let cells = 32 / codec.config().detail.stride;
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mask = DetailMask::sample(
        (2, cells, cells),
        &DetailDropout::default(),
        &mut rng,
        device,
    )?;
    let options = TrainOptions {
        quantize,
        ..TrainOptions::default()
    };
    let pass = codec.forward_train(&pixels, &mask, &options)?;
    let weights = LossWeights::default().reconstruction();
    let mut loss = (pyramid_loss(&pass.recon, &pixels, weights)? + &pass.commit_loss)?;
    if let Some(structure) = &pass.structure_recon {
        loss = (loss + pyramid_loss(structure, &pixels, weights)?)?;
    }
    Ok((codec, pass, loss))
}

fn training_gradients(device: &Device) -> Result<Vec<f32>> {
    gradients(device, true)
}

fn gradients_without_codes(device: &Device) -> Result<Vec<f32>> {
    gradients(device, false)
}

fn gradients(device: &Device, quantize: bool) -> Result<Vec<f32>> {
    let (codec, _, loss) = small_step(device, quantize)?;
    let mut values = host(&loss)?;
    let grads = codec.params().backward(&loss)?;
    for name in grads.names() {
        if let Some(gradient) = grads.get(name)? {
            values.extend(host(&gradient)?);
        }
    }
    Ok(values)
}

fn training_step(device: &Device) -> Result<Vec<f32>> {
    let (mut codec, pass, loss) = small_step(device, true)?;
    let mut optimizer = AdamW::new(codec.params(), &AdamWConfig::default())?;
    let grads = codec.params().backward(&loss)?;
    // A gradient that is nothing but rounding moves its weight by the whole rate, so the rate is below the tolerance.
    optimizer.step(&grads, 1e-4)?;
    codec.update_codebooks(&pass, &crate::codec::CodebookTraining::default())?;
    let mut values = Vec::new();
    for tensor in codec.tensors().values() {
        values.extend(host(tensor)?);
    }
    Ok(values)
}

fn base_model(device: &Device) -> Result<Vec<f32>> {
    let codec = ModelSource::Base.load(device)?.codec;
    // Smooth, as pictures are; noise has vectors that lie between codes.
    let side = 64;
    let pixel = |i: usize| {
        let (x, y) = ((i % side) as f32 / 9.0, (i / side) as f32 / 13.0);
        [
            x.sin() * 0.8,
            (x + y).cos() * 0.7,
            (y * 0.6).sin() * 0.9,
            1.0,
        ]
    };
    let pixels = (0..side * side).flat_map(pixel).collect();
    let pixels = Tensor::from_vec(pixels, (1, side, side, 4), device)?;
    let (structure, detail) = codec.encode(&pixels, Padding::Zero)?;
    let (structure_vectors, detail_vectors) = codec.encode_vectors(&pixels, Padding::Zero)?;
    let mut values = host(&structure_vectors)?;
    values.extend(host(&detail_vectors)?);
    // A vector halfway between two codes may go either way, so decoding starts from codes that are given.
    let given = |codes: &Tensor, count: usize| -> Result<Tensor> {
        let cells = codes.elem_count();
        let codes_of = (0..cells).map(|i| (i * 37 % count) as u32).collect();
        Ok(Tensor::from_vec(codes_of, codes.shape(), device)?)
    };
    let structure = given(&structure, codec.config().structure.codes)?;
    let detail = given(&detail, codec.config().detail.codes)?;
    values.extend(host(&codec.decode(&structure, &detail, Padding::Zero)?)?);
    values.extend(host(
        &codec.decode_structure_only(&structure, Padding::Zero)?,
    )?);
    Ok(values)
}

#[cfg(test)]
#[path = "selftest_tests.rs"]
mod tests;
