//! The codec as its users see it: shapes, determinism, locality, tiling, errors.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use tessera::codec::{
    Codec, CodecConfig, DetailDropout, DetailMask, EMPTY, PictureCodes, TrainOptions,
};
use tessera::error::Kind;
use tessera::kernels::Padding;

/// Deterministic noise in [-1, 1].
fn noise(shape: &[usize], seed: u64) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u64)
        .map(|index| hash(index ^ (seed << 32)) as f32 / u32::MAX as f32 * 2.0 - 1.0)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn hash(value: u64) -> u32 {
    let mut x = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 32) as u32
}

fn random_codes(shape: &[usize], known: usize, seed: u64) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<u32> = (0..count as u64)
        .map(|index| hash(index ^ (seed << 32)) % known as u32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn tiny(seed: u64) -> Codec {
    Codec::new(CodecConfig::tiny(), seed, &Device::Cpu).unwrap()
}

fn detail_at_8() -> CodecConfig {
    let mut config = CodecConfig::tiny();
    config.detail.stride = 8;
    config
}

fn values(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn codes(x: &Tensor) -> Vec<u32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn max_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    values(a)
        .iter()
        .zip(values(b))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn shapes_follow_the_config() {
    for (config, finer) in [(CodecConfig::tiny(), 4), (detail_at_8(), 2)] {
        let codec = Codec::new(config, 1, &Device::Cpu).unwrap();
        let pixels = noise(&[2, 32, 48, 4], 1);
        let (structure, detail) = codec.encode(&pixels, Padding::Zero).unwrap();
        assert_eq!(structure.dims(), [2, 2, 3]);
        assert_eq!(structure.dtype(), DType::U32);
        assert_eq!(detail.dims(), [2, 2 * finer, 3 * finer]);
        let decoded = codec.decode(&structure, &detail, Padding::Zero).unwrap();
        assert_eq!(decoded.dims(), pixels.dims());
    }
}

#[test]
fn the_same_seed_gives_the_same_codec_and_another_seed_another() {
    let (a, b, c) = (tiny(7), tiny(7), tiny(8));
    assert_eq!(a.model_hash().unwrap(), b.model_hash().unwrap());
    assert_ne!(a.model_hash().unwrap(), c.model_hash().unwrap());
    let pixels = noise(&[1, 32, 32, 4], 2);
    let encode = |codec: &Codec| codes(&codec.encode(&pixels, Padding::Zero).unwrap().1);
    assert_eq!(encode(&a), encode(&b));
}

#[test]
fn empty_detail_everywhere_is_the_structure_alone() {
    let codec = tiny(3);
    let structure = random_codes(&[1, 3, 2], 24, 3);
    let empty = Tensor::full(EMPTY, (1, 12, 8), &Device::Cpu).unwrap();
    let through_detail = codec.decode(&structure, &empty, Padding::Zero).unwrap();
    let alone = codec
        .decode_structure_only(&structure, Padding::Zero)
        .unwrap();
    assert!(max_difference(&through_detail, &alone) < 1e-6);
}

#[test]
fn the_stages_make_up_the_decode() {
    let codec = tiny(3);
    let structure = random_codes(&[1, 3, 2], 24, 3);
    let detail = random_codes(&[1, 12, 8], 32, 4);
    let mut x = codec.trunk_start(&structure, Padding::Zero).unwrap();
    let field = codec.receptive_field().clone();
    for (step, stage) in field.trunk.iter().enumerate() {
        if step > 0 {
            x = codec.trunk_step(step, &x, Padding::Zero).unwrap();
        }
        let sides = [48 / stage.stride_px, 32 / stage.stride_px, stage.width];
        assert_eq!(x.dims()[1..], sides);
    }
    assert!(codec.trunk_step(3, &x, Padding::Zero).is_err());
    let pixels = codec.head(&x, &detail, Padding::Zero).unwrap();
    let whole = codec.decode(&structure, &detail, Padding::Zero).unwrap();
    assert_eq!(max_difference(&pixels, &whole), 0.0);
}

#[test]
fn a_training_pass_reconstructs_as_encode_and_decode_do() {
    let codec = tiny(5);
    let pixels = noise(&[2, 32, 32, 4], 5);
    let mask = DetailMask::none((2, 8, 8), &Device::Cpu).unwrap();
    let pass = codec
        .forward_train(&pixels, &mask, &TrainOptions::default())
        .unwrap();
    let (structure, detail) = codec.encode(&pixels, Padding::Zero).unwrap();
    assert_eq!(codes(&pass.structure.codes.unwrap()), codes(&structure));
    assert_eq!(codes(&pass.detail.codes.unwrap()), codes(&detail));
    let decoded = codec.decode(&structure, &detail, Padding::Zero).unwrap();
    assert!(max_difference(&pass.recon, &decoded) < 1e-4);
    let alone = codec
        .decode_structure_only(&structure, Padding::Zero)
        .unwrap();
    assert!(max_difference(&pass.structure_recon.unwrap(), &alone) < 1e-4);
}

#[test]
fn every_parameter_gets_a_gradient() {
    let codec = tiny(5);
    let pixels = noise(&[2, 32, 32, 4], 5);
    let mut mask = vec![0f32; 2 * 8 * 8];
    mask[..20].fill(1.0);
    let mask = Tensor::from_vec(mask, (2, 8, 8), &Device::Cpu).unwrap();
    let options = TrainOptions {
        embedding: true,
        ..TrainOptions::default()
    };
    let pass = codec
        .forward_train(&pixels, &DetailMask::from_tensor(&mask).unwrap(), &options)
        .unwrap();
    let distance = |recon: &Tensor| {
        (recon - &pixels)
            .unwrap()
            .abs()
            .unwrap()
            .mean_all()
            .unwrap()
    };
    let loss = (distance(&pass.recon)
        + distance(&pass.structure_recon.unwrap())
        + pass.commit_loss
        + pass.embedding.unwrap().sqr().unwrap().mean_all().unwrap())
    .unwrap();
    let grads = codec.params().backward(&loss).unwrap();
    for param in codec.params().params() {
        let grad = grads.get(param.name()).unwrap();
        let size: f32 = grad.map_or(0.0, |grad| values(&grad).iter().map(|g| g.abs()).sum());
        assert!(size > 0.0 && size.is_finite(), "{}: {size}", param.name());
    }
}

#[test]
fn dropped_detail_is_empty() {
    let mut rng = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(1);
    let dropout = DetailDropout::default();
    let mask = DetailMask::sample((200, 8, 6), &dropout, &mut rng, &Device::Cpu).unwrap();
    let grids = mask.tensor().unwrap().reshape((200, 48)).unwrap();
    let shares: Vec<f32> = grids.mean(1).unwrap().to_vec1().unwrap();
    let whole = shares.iter().filter(|&&share| share == 1.0).count();
    let none = shares.iter().filter(|&&share| share == 0.0).count();
    assert!((2..30).contains(&whole), "{whole}");
    assert!((60..140).contains(&none), "{none}");
}

#[test]
fn bad_input_is_refused() {
    let codec = tiny(1);
    let kind = |result: tessera::error::Result<_>| result.map(|_: Tensor| ()).unwrap_err().kind;
    let encode = |pixels: &Tensor| codec.encode(pixels, Padding::Zero).map(|codes| codes.0);
    assert_eq!(kind(encode(&noise(&[1, 20, 32, 4], 1))), Kind::Usage);
    assert_eq!(kind(encode(&noise(&[1, 32, 32, 3], 1))), Kind::Usage);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut pixels = values(&noise(&[1, 32, 32, 4], 1));
        pixels[1000] = bad;
        let pixels = Tensor::from_vec(pixels, (1, 32, 32, 4), &Device::Cpu).unwrap();
        assert_eq!(kind(encode(&pixels)), Kind::NotFinite);
    }
    let structure = random_codes(&[1, 2, 2], 24, 1);
    let detail = random_codes(&[1, 8, 8], 32, 1);
    let decode = |s: &Tensor, d: &Tensor| codec.decode(s, d, Padding::Zero);
    assert!(decode(&structure, &detail).is_ok());
    let plus = |x: &Tensor, by: f64| (x + by).unwrap();
    assert_eq!(kind(decode(&plus(&structure, 24.0), &detail)), Kind::Usage);
    assert_eq!(kind(decode(&structure, &plus(&detail, 33.0))), Kind::Usage);
    let small = random_codes(&[1, 4, 8], 32, 1);
    assert_eq!(kind(decode(&structure, &small)), Kind::Usage);
}

fn noise_rgba(width: usize, height: usize) -> Vec<u8> {
    (0..width * height * 4)
        .map(|index| (hash(index as u64) >> 24) as u8)
        .collect()
}

#[test]
fn tiles_change_nothing() {
    let paddings = [
        Padding::Zero,
        Padding::Wrap { x: true, y: false },
        Padding::Wrap { x: true, y: true },
    ];
    for config in [CodecConfig::tiny(), detail_at_8()] {
        let codec = Codec::new(config, 11, &Device::Cpu).unwrap();
        // Several tiles along one axis, and along both; whole cells, so that it can be compared.
        for (width, height) in [(1_216, 32), (48, 720), (656, 640)] {
            for padding in paddings {
                let rgba = noise_rgba(width, height);
                let tiled = codec
                    .encode_picture(&rgba, (width, height), padding, &())
                    .unwrap();
                let pixels: Vec<f32> = rgba
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .flat_map(|&pixel| tessera::codec::pixels::from_rgba8(pixel))
                    .collect();
                let pixels = Tensor::from_vec(pixels, (1, height, width, 4), &Device::Cpu).unwrap();
                let (structure, detail) = codec.encode(&pixels, padding).unwrap();
                assert_eq!(tiled.structure, codes(&structure), "{padding:?}");
                assert_eq!(tiled.detail, codes(&detail), "{padding:?}");

                let decoded = codec.decode_picture(&tiled, padding, &()).unwrap();
                let whole = values(&codec.decode(&structure, &detail, padding).unwrap());
                for (pixel, whole) in decoded
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .zip(whole.as_chunks::<4>().0)
                {
                    let whole = tessera::codec::pixels::to_rgba8(*whole);
                    for (a, b) in pixel.iter().zip(whole) {
                        assert!(a.abs_diff(b) <= 1, "{pixel:?} {whole:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn pictures_of_any_size_keep_their_size() {
    let codec = tiny(2);
    for (width, height) in [(1, 1), (17, 5), (16, 33)] {
        let rgba = noise_rgba(width, height);
        let found = codec
            .encode_picture(&rgba, (width, height), Padding::Zero, &())
            .unwrap();
        let decoded = codec.decode_picture(&found, Padding::Zero, &()).unwrap();
        assert_eq!(decoded.len(), rgba.len());
        assert!(
            codec
                .encode_picture(&rgba[4..], (width, height), Padding::Zero, &())
                .is_err()
        );
    }
    let huge = PictureCodes {
        width: 1 << 20,
        height: 1 << 20,
        detail_stride_px: 4,
        structure: vec![],
        detail: vec![],
    };
    let refused = codec.decode_picture(&huge, Padding::Zero, &()).unwrap_err();
    assert_eq!(refused.kind, Kind::Limit);
}

/// Pixels (or cells) along `axis` at which two NHWC tensors differ: the first and the last.
fn differing(a: &Tensor, b: &Tensor, axis: usize) -> Option<(usize, usize)> {
    let difference = (a - b).unwrap().abs().unwrap();
    let other = if axis == 1 { 2 } else { 1 };
    // From the last axis to the first, so that the numbers of the others stay.
    let line = difference
        .max(3)
        .unwrap()
        .max(other)
        .unwrap()
        .max(0)
        .unwrap();
    let line: Vec<f32> = line.flatten_all().unwrap().to_vec1().unwrap();
    let first = line.iter().position(|&value| value > 0.0)?;
    let last = line.iter().rposition(|&value| value > 0.0)?;
    Some((first, last))
}

fn with_one_changed(codes: &Tensor, index: usize, known: u32) -> Tensor {
    let mut changed: Vec<u32> = codes.flatten_all().unwrap().to_vec1().unwrap();
    changed[index] = (changed[index] + 1) % known;
    Tensor::from_vec(changed, codes.shape(), &Device::Cpu).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Nothing outside the receptive field changes, and with random weights something at its border does.
    #[test]
    fn the_decoder_reaches_exactly_as_far_as_computed(
        depths in proptest::array::uniform3(0usize..3),
        detail_at_8: bool,
        seed in 0u64..1000,
    ) {
        let mut config = CodecConfig::tiny();
        for (stage, depth) in config.stages.iter_mut().zip(depths) {
            stage.decoder_depth = depth;
        }
        if detail_at_8 {
            config.detail.stride = 8;
        }
        let codec = Codec::new(config.clone(), seed, &Device::Cpu).unwrap();
        let field = codec.receptive_field().clone();
        let side = 15; // structure cells; the changed one is in the middle
        let finer = 16 / config.detail.stride;
        let structure = random_codes(&[1, side, side], 24, seed);
        let detail = random_codes(&[1, side * finer, side * finer], 32, seed);
        let before = codec.decode(&structure, &detail, Padding::Zero).unwrap();

        let middle = side / 2;
        let changed = with_one_changed(&structure, middle * side + middle, 24);
        let after = codec.decode(&changed, &detail, Padding::Zero).unwrap();
        for axis in [1, 2] {
            let (first, last) = differing(&before, &after, axis).unwrap();
            prop_assert_eq!(first, middle * 16 - field.structure.decode_px);
            prop_assert_eq!(last, middle * 16 + 15 + field.structure.decode_px);
        }

        let (width, stride) = (side * finer, config.detail.stride);
        let middle = width / 2;
        let changed = with_one_changed(&detail, middle * width + middle, 32);
        let after = codec.decode(&structure, &changed, Padding::Zero).unwrap();
        for axis in [1, 2] {
            let (first, last) = differing(&before, &after, axis).unwrap();
            prop_assert_eq!(first, middle * stride - field.detail.decode_px);
            prop_assert_eq!(last, middle * stride + stride - 1 + field.detail.decode_px);
        }
    }

    /// A structure vector depends on exactly the pixels that the receptive field names, a detail vector on no others.
    #[test]
    fn the_encoder_reaches_no_farther_than_computed(
        depths in proptest::array::uniform3(0usize..3),
        detail_at_8: bool,
        offset in 0usize..16,
        seed in 0u64..1000,
    ) {
        let mut config = CodecConfig::tiny();
        for (stage, depth) in config.stages.iter_mut().zip(depths) {
            stage.encoder_depth = depth;
        }
        if detail_at_8 {
            config.detail.stride = 8;
        }
        let codec = Codec::new(config.clone(), seed, &Device::Cpu).unwrap();
        let field = codec.receptive_field().clone();
        let side = 19;
        let pixels = noise(&[1, side * 16, side * 16, 4], seed);
        let at = (side / 2) * 16 + offset;
        let mut changed = values(&pixels);
        for value in &mut changed[(at * side * 16 + at) * 4..][..4] {
            *value = -*value;
        }
        let changed = Tensor::from_vec(changed, pixels.shape(), &Device::Cpu).unwrap();
        let before = codec.encode_vectors(&pixels, Padding::Zero).unwrap();
        let after = codec.encode_vectors(&changed, Padding::Zero).unwrap();
        for (before, after, reach, exact) in [
            (&before.0, &after.0, field.structure, true),
            (&before.1, &after.1, field.detail, false),
        ] {
            // Cells whose surroundings hold the changed pixel.
            let lowest = (at - reach.encode_px) / reach.stride_px;
            let highest = (at + reach.encode_px) / reach.stride_px;
            for axis in [1, 2] {
                let (first, last) = differing(before, after, axis).unwrap();
                prop_assert!(first >= lowest && last <= highest);
                if exact {
                    prop_assert_eq!((first, last), (lowest, highest));
                }
            }
        }
    }
}
