//! Tessera's side of the comparison with PyTorch; `benches/peer/run` drives it.
//!
//! `peer_worker DIR` makes a codec of the shipped default with random weights and codebooks, saves it as
//! `DIR/model.safetensors`, and saves `DIR/ours.safetensors`: inputs, and what Tessera computes from them. Then it reads
//! one word per line (`step`, `encode`, `decode`, `product`), does it once, and prints the seconds that took.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring tool: a failure ends it

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use tessera::codec::checkpoint::Precision;
use tessera::codec::{
    CodebookTraining, Codec, CodecConfig, DetailMask, TrainForward, TrainOptions,
};
use tessera::kernels::{AdamW, AdamWConfig, Padding};
use tessera::train::loss::losses::{LossWeights, pyramid_loss};
use tessera::train::measure::step_time::random_pixels;

const BATCH: usize = 8;
const CROP_PX: usize = 128;
const PICTURE_PX: usize = 1024;

fn main() {
    tessera::process::configure();
    let Some(folder) = std::env::args().skip(1).find(|a| !a.starts_with('-')) else {
        println!("peer_worker is driven by benches/peer/run");
        return;
    };
    let folder = PathBuf::from(folder);
    let mut codec = Codec::new(CodecConfig::default(), 1, &Device::Cpu).unwrap();
    codec
        .save_file(&folder.join("model.safetensors"), Precision::F32)
        .unwrap();
    let crops = pictures(BATCH, CROP_PX);
    let picture = pictures(1, PICTURE_PX);
    let (structure, detail) = codec.encode(&picture, Padding::Zero).unwrap();
    save_results(&codec, &crops, &picture, (&structure, &detail), &folder);
    println!("ready");

    let product = Tensor::ones((2048, 2048), DType::F32, &Device::Cpu).unwrap();
    let mut optimiser = AdamW::new(codec.params(), &AdamWConfig::default()).unwrap();
    for line in std::io::stdin().lock().lines() {
        let started = Instant::now();
        match line.unwrap().as_str() {
            "step" => {
                let (pass, loss) = forward(&codec, &crops);
                let grads = codec.params().backward(&loss).unwrap();
                optimiser.step(&grads, 1e-6).unwrap();
                codec
                    .update_codebooks(&pass, &CodebookTraining::default())
                    .unwrap();
            }
            "encode" => drop(codec.encode(&picture, Padding::Zero).unwrap()),
            "decode" => drop(codec.decode(&structure, &detail, Padding::Zero).unwrap()),
            "product" => drop(product.matmul(&product).unwrap()),
            word => panic!("unknown request {word}"),
        }
        println!("{}", started.elapsed().as_secs_f64());
    }
}

fn forward(codec: &Codec, pixels: &Tensor) -> (TrainForward, Tensor) {
    let cells = CROP_PX / 4;
    let mask = DetailMask::none((BATCH, cells, cells), &Device::Cpu).unwrap();
    let pass = codec
        .forward_train(pixels, &mask, &TrainOptions::default())
        .unwrap();
    let weights = LossWeights::default().reconstruction();
    let whole = pyramid_loss(&pass.recon, pixels, weights).unwrap();
    let alone = pyramid_loss(pass.structure_recon.as_ref().unwrap(), pixels, weights).unwrap();
    let loss = (whole + (alone * 0.5).unwrap()).unwrap();
    let loss = (loss + (&pass.commit_loss * 0.25).unwrap()).unwrap();
    (pass, loss)
}

fn save_results(
    codec: &Codec,
    crops: &Tensor,
    picture: &Tensor,
    (structure, detail): (&Tensor, &Tensor),
    folder: &std::path::Path,
) {
    let (pass, loss) = forward(codec, crops);
    let grads = codec.params().backward(&loss).unwrap();
    let decoded = codec.decode(structure, detail, Padding::Zero).unwrap();
    let (structure_vectors, detail_vectors) = codec.encode_vectors(picture, Padding::Zero).unwrap();
    let as_i64 = |codes: &Tensor| codes.to_dtype(DType::I64).unwrap();
    let mut tensors: BTreeMap<String, Tensor> = [
        ("crops", crops.clone()),
        ("picture", picture.clone()),
        ("structure_codes", as_i64(structure)),
        ("detail_codes", as_i64(detail)),
        ("structure_vectors", structure_vectors),
        ("detail_vectors", detail_vectors),
        ("decoded", decoded),
        ("recon", pass.recon.detach()),
        ("loss", loss.detach().reshape(1).unwrap()),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor.contiguous().unwrap()))
    .into();
    for name in grads.names() {
        let grad = grads.get(name).unwrap().unwrap();
        tensors.insert(format!("grad.{name}"), grad);
    }
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    candle_core::safetensors::save(&tensors, folder.join("ours.safetensors")).unwrap();
}

fn pictures(count: usize, side: usize) -> Tensor {
    Tensor::from_vec(
        random_pixels(count, side),
        (count, side, side, 4),
        &Device::Cpu,
    )
    .unwrap()
}
