//! The whole training step of the shipped codec, as a rate and as a share of the machine's own matrix product rate.
//!
//! `cargo bench --bench training_step -- [--rounds N] [--plain-ops]`. Each round times one product of 2048³ and one
//! step, so that both see the same machine; medians and best of all rounds are printed.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // prints its result; a failure ends it

use std::time::Instant;

use candle_core::{Device, Tensor};
use tessera::codec::{
    CodebookTraining, Codec, CodecConfig, DetailDropout, DetailMask, TrainOptions,
};
use tessera::kernels::{self, AdamW, AdamWConfig};
use tessera::train::loss::losses::{LossWeights, pyramid_loss};
use tessera::train::measure::step_time::{forward_flops, random_pixels};

const BATCH: usize = 8;
const SIDE_PX: usize = 128;

fn main() {
    tessera::process::configure();
    let arguments: Vec<String> = std::env::args().collect();
    let rounds = arguments
        .iter()
        .position(|a| a == "--rounds")
        .and_then(|i| arguments.get(i + 1)?.parse().ok())
        .unwrap_or(20);
    kernels::set_plain_ops(arguments.iter().any(|a| a == "--plain-ops"));

    let device = Device::Cpu;
    let mut codec = Codec::new(CodecConfig::default(), 1, &device).unwrap();
    let mut optimiser = AdamW::new(codec.params(), &AdamWConfig::default()).unwrap();
    let shape = (BATCH, SIDE_PX, SIDE_PX, 4);
    let pixels = Tensor::from_vec(random_pixels(BATCH, SIDE_PX), shape, &device).unwrap();
    let mut rng: rand_chacha::ChaCha8Rng = rand::SeedableRng::seed_from_u64(1);
    let a = Tensor::randn(0f32, 1.0, (2048, 2048), &device).unwrap();

    let mut product = Vec::new();
    let mut step = Vec::new();
    let mut parts: [Vec<f64>; 4] = Default::default();
    for round in 0..rounds + 2 {
        let started = Instant::now();
        drop(a.matmul(&a).unwrap());
        let product_secs = started.elapsed().as_secs_f64();

        let side = SIDE_PX / 4;
        let mask = DetailMask::sample(
            (BATCH, side, side),
            &DetailDropout::default(),
            &mut rng,
            &device,
        )
        .unwrap();
        let started = Instant::now();
        let pass = codec
            .forward_train(&pixels, &mask, &TrainOptions::default())
            .unwrap();
        let forward = started.elapsed().as_secs_f64();
        let weights = LossWeights::default().reconstruction();
        let whole = pyramid_loss(&pass.recon, &pixels, weights).unwrap();
        let alone = pyramid_loss(pass.structure_recon.as_ref().unwrap(), &pixels, weights).unwrap();
        let loss = (whole + (alone * 0.5).unwrap()).unwrap();
        let loss = (loss + (&pass.commit_loss * 0.25).unwrap()).unwrap();
        assert!(loss.to_scalar::<f32>().unwrap().is_finite());
        let losses = started.elapsed().as_secs_f64();
        let grads = codec.params().backward(&loss).unwrap();
        let backward = started.elapsed().as_secs_f64();
        optimiser.step(&grads, 1e-4).unwrap();
        codec
            .update_codebooks(&pass, &CodebookTraining::default())
            .unwrap();
        drop((pass, loss, grads));
        let step_secs = started.elapsed().as_secs_f64();
        if round >= 2 {
            product.push(product_secs);
            step.push(step_secs);
            let ends = [forward, losses, backward, step_secs];
            let mut begin = 0.0;
            for (part, end) in parts.iter_mut().zip(ends) {
                part.push(end - begin);
                begin = end;
            }
        }
    }

    let product_rate = |secs: f64| 2.0 * 2048f64.powi(3) / secs / 1e9;
    let flops = 3.0 * forward_flops(codec.config(), BATCH, SIDE_PX);
    let step_rate = |secs: f64| flops / secs / 1e9;
    for (name, choose) in [("median", median as fn(&[f64]) -> f64), ("best", best)] {
        let (product, step) = (choose(&product), choose(&step));
        println!(
            "{name:>6}: product {:6.1} GFLOP/s, step {:6.1} ms = {:5.2} pictures/s = {:6.1} GFLOP/s = {:4.1} % of it",
            product_rate(product),
            step * 1e3,
            BATCH as f64 / step,
            step_rate(step),
            100.0 * step_rate(step) / product_rate(product),
        );
        let [forward, losses, backward, update] = parts.each_ref().map(|part| choose(part) * 1e3);
        println!(
            "        forward {forward:.1} ms, losses {losses:.1}, backward {backward:.1}, update {update:.1}"
        );
    }
    println!(
        "step: {:.1} GFLOP of matrix products, counted once",
        flops / 1e9
    );
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}
