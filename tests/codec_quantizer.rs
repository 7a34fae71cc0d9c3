//! Codebooks: k-means start, learning, dead codes, ties, resume.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tessera::codec::{CodeUsage, CodebookTraining, Codec, CodecConfig, Quantizer, TrainOptions};
use tessera::error::Kind;

const CODES: usize = 24;
const DIM: usize = 6;

fn quantizer(cosine: bool) -> Quantizer {
    let mut config = CodecConfig::tiny();
    config.structure.cosine = cosine;
    Codec::new(config, 1, &Device::Cpu).unwrap().structure
}

fn normal(rng: &mut ChaCha8Rng) -> f32 {
    (0..12)
        .map(|_| rng.next_u32() as f32 / u32::MAX as f32)
        .sum::<f32>()
        - 6.0
}

/// `count` vectors around each of `clusters` well separated centres.
fn clustered(clusters: usize, count: usize, seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut centres = ChaCha8Rng::seed_from_u64(99);
    let mut values = Vec::new();
    for _ in 0..clusters {
        let centre: Vec<f32> = (0..DIM).map(|_| 10.0 * normal(&mut centres)).collect();
        for _ in 0..count {
            values.extend(centre.iter().map(|value| value + 0.01 * normal(&mut rng)));
        }
    }
    Tensor::from_vec(values, (clusters * count, DIM), &Device::Cpu).unwrap()
}

fn host(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn usage_of(quantizer: &Quantizer, vectors: &Tensor) -> CodeUsage {
    let mut usage = CodeUsage::new(CODES);
    usage.add(&quantizer.nearest(vectors).unwrap()).unwrap();
    usage
}

#[test]
fn k_means_finds_the_clusters() {
    let data = clustered(CODES, 50, 1);
    let mut quantizer = quantizer(false);
    quantizer.start_from(&data, 5, &()).unwrap();
    let usage = usage_of(&quantizer, &data);
    assert_eq!(usage.counts(), [50; CODES]);
    // Every centre is the mean of its cluster.
    let codes: Vec<u32> = quantizer.nearest(&data).unwrap().to_vec1().unwrap();
    let codebook = host(quantizer.codebook());
    for (rows, code) in host(&data).chunks(50 * DIM).zip(codes.iter().step_by(50)) {
        for column in 0..DIM {
            let mean = rows.iter().skip(column).step_by(DIM).sum::<f32>() / 50.0;
            let value = codebook[*code as usize * DIM + column];
            assert!((value - mean).abs() < 1e-3, "{value} {mean}");
        }
    }
}

#[test]
fn k_means_repeats_exactly() {
    let data = clustered(40, 30, 2);
    let run = || {
        let mut quantizer = quantizer(true);
        quantizer.start_from(&data, 3, &()).unwrap();
        host(quantizer.codebook())
    };
    assert_eq!(run(), run());
}

#[test]
fn fewer_distinct_vectors_than_codes_still_give_distinct_codes() {
    for cosine in [false, true] {
        let data = Tensor::ones((100, DIM), candle_core::DType::F32, &Device::Cpu).unwrap();
        let mut quantizer = quantizer(cosine);
        quantizer.start_from(&data, 2, &()).unwrap();
        let codebook = host(quantizer.codebook());
        assert!(codebook.iter().all(|value| value.is_finite()));
        let rows: Vec<&[f32]> = codebook.chunks(DIM).collect();
        for (index, row) in rows.iter().enumerate() {
            assert!(rows[..index].iter().all(|other| other != row));
        }
    }
}

#[test]
fn learning_follows_the_data() {
    let mut quantizer = quantizer(false);
    quantizer
        .start_from(&clustered(CODES, 50, 1), 5, &())
        .unwrap();
    let moved = (clustered(CODES, 50, 2) + 0.5).unwrap();
    let before = mean_error(&quantizer, &moved);
    let training = CodebookTraining {
        decay: 0.9,
        ..CodebookTraining::default()
    };
    for _ in 0..100 {
        let codes = quantizer.nearest(&moved).unwrap();
        assert_eq!(quantizer.update(&moved, &codes, &training).unwrap(), 0);
    }
    let after = mean_error(&quantizer, &moved);
    assert!(before > 0.2 && after < 0.001, "{before} {after}");
    assert!(quantizer.reseeded().is_empty());
}

fn mean_error(quantizer: &Quantizer, vectors: &Tensor) -> f32 {
    let codes = quantizer.nearest(vectors).unwrap();
    let found = quantizer.codebook().index_select(&codes, 0).unwrap();
    let difference = (found - vectors).unwrap().sqr().unwrap();
    difference.mean_all().unwrap().to_scalar().unwrap()
}

#[test]
fn dead_codes_come_back_and_are_recorded() {
    let mut quantizer = quantizer(false);
    // A start that knows one cluster only, then data with sixteen.
    quantizer.start_from(&clustered(1, 50, 1), 5, &()).unwrap();
    let data = clustered(16, 50, 3);
    let before = mean_error(&quantizer, &data);
    let training = CodebookTraining {
        decay: 0.9,
        ..CodebookTraining::default()
    };
    let mut replaced = 0;
    for _ in 0..200 {
        let codes = quantizer.nearest(&data).unwrap();
        replaced += quantizer.update(&data, &codes, &training).unwrap();
    }
    let after = mean_error(&quantizer, &data);
    assert!(before > 10.0 && after < 0.01, "{before} {after}");
    assert!(usage_of(&quantizer, &data).used() >= CODES * 8 / 10);
    let recorded = quantizer.reseeded();
    assert!(!recorded.is_empty() && recorded.len() <= replaced);
    // A code that was replaced is one whose id is recorded; nothing is replaced where that is switched off.
    let mut fixed = quantizer.clone();
    let keep = CodebookTraining {
        dead_below: 0.0,
        ..training
    };
    let narrow = clustered(2, 50, 3);
    for _ in 0..300 {
        let codes = fixed.nearest(&narrow).unwrap();
        assert_eq!(fixed.update(&narrow, &codes, &keep).unwrap(), 0);
    }
    assert_eq!(fixed.reseeded(), recorded);
}

#[test]
fn a_cosine_codebook_stays_on_its_sphere() {
    let mut quantizer = quantizer(true);
    let data = clustered(30, 20, 4);
    for _ in 0..20 {
        let codes = quantizer.nearest(&data).unwrap();
        quantizer
            .update(&data, &codes, &CodebookTraining::default())
            .unwrap();
    }
    for row in host(quantizer.codebook()).chunks(DIM) {
        let mean_square = row.iter().map(|value| value * value).sum::<f32>() / DIM as f32;
        assert!((mean_square - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_tie_goes_to_the_lowest_id() {
    let codec = Codec::new(CodecConfig::tiny(), 1, &Device::Cpu).unwrap();
    let mut tensors = codec.tensors();
    // Codes 5 and 9 are the same vector.
    let mut codebook = host(&tensors["structure.codebook"]);
    codebook.copy_within(9 * DIM..10 * DIM, 5 * DIM);
    let wanted = codebook[9 * DIM..10 * DIM].to_vec();
    let codebook = Tensor::from_vec(codebook, (CODES, DIM), &Device::Cpu).unwrap();
    tensors.insert("structure.codebook".to_owned(), codebook);
    let codec = Codec::from_tensors(CodecConfig::tiny(), tensors, &Device::Cpu).unwrap();
    let x = Tensor::from_vec(wanted.repeat(37), (37, DIM), &Device::Cpu).unwrap();
    for plain in [false, true] {
        tessera::kernels::set_plain_ops(plain);
        let codes: Vec<u32> = codec.structure.nearest(&x).unwrap().to_vec1().unwrap();
        tessera::kernels::set_plain_ops(false);
        assert_eq!(codes, [5; 37]);
    }
}

#[test]
fn not_a_number_is_an_error() {
    let mut quantizer = quantizer(false);
    let before = host(quantizer.codebook());
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = host(&clustered(4, 5, 1));
        values[17] = bad;
        let data = Tensor::from_vec(values, (20, DIM), &Device::Cpu).unwrap();
        assert_eq!(quantizer.nearest(&data).unwrap_err().kind, Kind::NotFinite);
        let codes = Tensor::zeros(20, candle_core::DType::U32, &Device::Cpu).unwrap();
        let refused = quantizer.update(&data, &codes, &CodebookTraining::default());
        assert_eq!(refused.unwrap_err().kind, Kind::NotFinite);
        let refused = quantizer.start_from(&data, 1, &());
        assert_eq!(refused.unwrap_err().kind, Kind::NotFinite);
    }
    assert_eq!(host(quantizer.codebook()), before);
}

#[test]
fn resumed_learning_is_bit_identical() {
    let batches: Vec<Tensor> = (0..40).map(|seed| clustered(4, 9, seed)).collect();
    let training = CodebookTraining {
        decay: 0.8,
        ..CodebookTraining::default()
    };
    let learn = |quantizer: &mut Quantizer, batches: &[Tensor]| {
        for batch in batches {
            let codes = quantizer.nearest(batch).unwrap();
            quantizer.update(batch, &codes, &training).unwrap();
        }
    };
    let mut whole = quantizer(true);
    whole.start_from(&clustered(12, 9, 1), 2, &()).unwrap();
    let mut first = whole.clone();
    learn(&mut whole, &batches);

    learn(&mut first, &batches[..17]);
    let state = first.state_tensors().unwrap();
    // Another start and seed: all of it is replaced.
    let mut second = Codec::new(CodecConfig::tiny(), 77, &Device::Cpu)
        .unwrap()
        .structure;
    second.restore(&state).unwrap();
    learn(&mut second, &batches[17..]);

    let state = |quantizer: &Quantizer| -> BTreeMap<String, Vec<u8>> {
        quantizer
            .state_tensors()
            .unwrap()
            .into_iter()
            .map(|(name, tensor)| {
                let bytes = safetensors::View::data(&tensor).into_owned();
                (name, bytes)
            })
            .collect()
    };
    assert_eq!(state(&whole), state(&second));
    assert!(!whole.reseeded().is_empty());
}

#[test]
fn a_damaged_state_is_refused() {
    let mut quantizer = quantizer(true);
    let good = quantizer.state_tensors().unwrap();
    for name in good.keys() {
        let mut missing = good.clone();
        missing.remove(name);
        let refused = quantizer.restore(&missing).unwrap_err();
        assert_eq!(refused.kind, Kind::Damaged);
        let mut reshaped = good.clone();
        let wrong = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap();
        reshaped.insert(name.clone(), wrong);
        assert!(quantizer.restore(&reshaped).is_err());
    }
    quantizer.restore(&good).unwrap();
}

#[test]
fn codebooks_start_from_pictures() {
    let mut codec = Codec::new(CodecConfig::tiny(), 3, &Device::Cpu).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let batches: Vec<Tensor> = (0..3)
        .map(|_| {
            let values = (0..4 * 64 * 64 * 4).map(|_| normal(&mut rng)).collect();
            Tensor::from_vec::<_, f32>(values, (4, 64, 64, 4), &Device::Cpu).unwrap()
        })
        .collect();
    codec.start_codebooks(&batches, 4, &()).unwrap();
    let mut structure = CodeUsage::new(24);
    let mut detail = CodeUsage::new(32);
    for batch in &batches {
        let (s, d) = codec
            .encode(batch, tessera::kernels::Padding::Zero)
            .unwrap();
        structure.add(&s).unwrap();
        detail.add(&d).unwrap();
    }
    assert_eq!(structure.used(), 24);
    assert_eq!(detail.used(), 32);

    let mask = tessera::codec::DetailMask::none((4, 16, 16), &Device::Cpu).unwrap();
    let warm_up = TrainOptions {
        quantize: false,
        ..TrainOptions::default()
    };
    let pass = codec.forward_train(&batches[0], &mask, &warm_up).unwrap();
    assert!(pass.structure.codes.is_none());
    let pass = codec
        .forward_train(&batches[0], &mask, &TrainOptions::default())
        .unwrap();
    codec
        .update_codebooks(&pass, &CodebookTraining::default())
        .unwrap();
}
