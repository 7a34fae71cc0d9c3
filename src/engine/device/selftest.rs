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
use crate::engine::device::precision::Wish;
use crate::engine::lanes::worker::from_panic;
use crate::engine::models::loading::ModelSource;
use crate::error::{Error, Kind, Result};
use crate::kernels::{self, AdamW, AdamWConfig, Block, Linear, Padding, ParamStore, RmsNorm};
use crate::progress::Observer;
use crate::train::loss::losses::{LossWeights, opponent, pyramid_loss};

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
        self.checks.iter().map(line).collect()
    }
}

/// What a check computes; the values are compared.
type Compute = fn(&Device) -> Result<Vec<f32>>;

/// Single-precision sums of some hundred terms, added in another order.
const ROUNDING: f64 = 2e-4;
/// The same through a whole network and back.
const DEEP: f64 = 2e-3;

const CHECKS: [(&str, Compute, f64); 11] = [
    ("values survive the way there and back", there_and_back, 0.0),
    ("linear layer and its gradients", linear, ROUNDING),
    ("normalisation and its gradients", norm, ROUNDING),
    ("block and its gradients", block_zero, ROUNDING),
    (
        "block on a wrapped canvas and its gradients",
        block_wrapped,
        ROUNDING,
    ),
    ("space to depth and back", shuffles, 0.0),
    (
        "nearest codes, ties and values that are no numbers",
        nearest,
        0.0,
    ),
    ("losses and their gradients", losses, ROUNDING),
    (
        "gradients of a whole training step",
        training_gradients,
        DEEP,
    ),
    (
        "weights and codebooks after a training step",
        training_step,
        DEEP,
    ),
    (
        "encoding and decoding with the base model",
        base_model,
        DEEP,
    ),
];

/// Products of factors with 10 bits of mantissa, through one operator and through a whole network and back. Factors rounded like
/// that on the CPU gave 4.2e-4 and 5.7e-4.
const REDUCED: f64 = 2e-3;
const REDUCED_DEEP: f64 = 5e-3;

/// What training with reduced precision computes with. Codes are not compared: a vector between two may take either.
const REDUCED_CHECKS: [(&str, Compute, f64); 3] = [
    ("linear layer and its gradients", linear, REDUCED),
    ("block and its gradients", block_zero, REDUCED),
    (
        "gradients of a training step without codes",
        gradients_without_codes,
        REDUCED_DEEP,
    ),
];

/// Runs all checks; one that fails or panics does not stop the others.
///
/// # Errors
/// `Cancelled`.
pub fn self_test(chosen: &ChosenDevice, observer: &dyn Observer) -> Result<SelfTestReport> {
    let _exact = Wish::exact();
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
    let _fast = Wish::fast();
    run(&REDUCED_CHECKS, chosen, observer)
}

fn run(
    all: &[(&str, Compute, f64)],
    chosen: &ChosenDevice,
    observer: &dyn Observer,
) -> Result<SelfTestReport> {
    let started = Instant::now();
    let mut checks = Vec::new();
    for (index, &(name, compute, tolerance)) in all.iter().enumerate() {
        observer.check()?;
        observer.progress(index as u64, all.len() as u64);
        let found = compared(compute, &chosen.device);
        checks.push(CheckResult {
            name: name.to_owned(),
            error: found.as_ref().err().map(ToString::to_string),
            difference: found.ok(),
            tolerance,
        });
    }
    observer.progress(all.len() as u64, all.len() as u64);
    Ok(SelfTestReport {
        version: crate::version::version(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: chosen.name.clone(),
        reason: chosen.reason.clone(),
        checks,
        seconds: started.elapsed().as_secs_f64(),
    })
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
    let layer = Linear::new(37, 50, store.root())?;
    with_gradients(&store, &[2, 9, 7, 37], |x| layer.forward(x))
}

fn norm(device: &Device) -> Result<Vec<f32>> {
    let store = ParamStore::new(12, device);
    let layer = RmsNorm::new(40, store.root())?;
    with_gradients(&store, &[2, 5, 6, 40], |x| layer.forward(x))
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
    let x = noise(&[2, 8, 12, 6], 4, device)?;
    let deep = kernels::space_to_depth(&x, 4)?;
    let mut values = host(&deep)?;
    values.extend(host(&kernels::depth_to_space(&deep, 2)?)?);
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

fn losses(device: &Device) -> Result<Vec<f32>> {
    let store = ParamStore::new(14, device);
    let target = noise(&[2, 32, 48, 4], 7, device)?;
    let weights = LossWeights::default().reconstruction();
    with_gradients(&store, &[2, 32, 48, 4], |x| {
        let plain = pyramid_loss(x, &target, weights)?;
        plain + pyramid_loss(&opponent(x, 2.0)?, &opponent(&target, 2.0)?, weights)?
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
mod tests {
    use super::*;
    use crate::engine::device::choice::{DeviceChoice, open_device};
    use crate::kernels::fused_on;

    #[test]
    fn the_cpu_agrees_with_plain_operators() {
        let chosen = open_device(DeviceChoice::Cpu).unwrap();
        let report = self_test(&chosen, &()).unwrap();
        assert!(report.has_passed(), "{:#?}", report.lines());
        assert_eq!(report.checks.len(), CHECKS.len());
        let compared = report
            .checks
            .iter()
            .filter(|check| check.difference > Some(0.0));
        assert!(
            compared.count() >= 6,
            "fused and plain operators both ran: {report:?}"
        );
    }

    #[test]
    fn reduced_precision_has_checks_of_its_own() {
        let chosen = open_device(DeviceChoice::Cpu).unwrap();
        let report = self_test_reduced(&chosen, &()).unwrap();
        assert!(report.has_passed(), "{:#?}", report.lines());
        assert_eq!(report.checks.len(), REDUCED_CHECKS.len());
    }

    #[test]
    fn wrong_values_errors_and_panics_are_failures() {
        // The reference comes second: what a faulty device gives first differs from it.
        fn faulty(device: &Device) -> Result<Vec<f32>> {
            let value = if fused_on(device) { 1.01 } else { 1.0 };
            Ok(vec![value, -2.0])
        }
        fn not_a_number(device: &Device) -> Result<Vec<f32>> {
            Ok(vec![if fused_on(device) { f32::NAN } else { 0.0 }, 1.0])
        }
        fn broken(_: &Device) -> Result<Vec<f32>> {
            panic!("driver lost")
        }
        let check = |compute: Compute| {
            let found = compared(compute, &Device::Cpu);
            CheckResult {
                name: "x".into(),
                error: found.as_ref().err().map(ToString::to_string),
                difference: found.ok(),
                tolerance: 1e-3,
            }
        };
        let wrong = check(faulty);
        assert!(!wrong.has_passed());
        assert!(
            (wrong.difference.unwrap() - 0.005).abs() < 1e-6,
            "{wrong:?}"
        );
        assert!(!check(not_a_number).has_passed());
        let broken = check(broken);
        assert!(!broken.has_passed() && broken.error.unwrap().contains("driver lost"));
        assert!(fused_on(&Device::Cpu), "the operators are as they were");
    }
}
