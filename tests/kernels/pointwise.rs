use candle_core::{Device, Tensor};
use candle_nn::Module;
use proptest::prelude::*;
use tessera::kernels::{
    self, Linear, ParamStore, RmsNorm, depth_to_space, nearest_code, plain, space_to_depth,
};

use crate::common::{compare, random, randomise, values};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn linear_agrees_with_the_composition(
        rows in 1usize..700, inputs in 1usize..70, outputs in 1usize..70, seed in 0u64..1000,
    ) {
        let store = ParamStore::new(seed, &Device::Cpu);
        let layer = Linear::new(inputs, outputs, store.root()).unwrap();
        randomise(&store, seed);
        let x = random(&[1, rows, inputs], seed);
        compare(
            &store,
            &x,
            |x| layer.forward(x),
            |x| plain::linear(x, layer.weight.tensor(), Some(layer.bias.tensor())),
        );
    }

    #[test]
    fn norm_agrees_with_the_composition(
        n in 1usize..4, h in 1usize..21, channels in 2usize..70, seed in 0u64..1000,
    ) {
        let store = ParamStore::new(seed, &Device::Cpu);
        let norm = RmsNorm::new(channels, store.root()).unwrap();
        randomise(&store, seed);
        let x = random(&[n, h, h, channels], seed);
        compare(
            &store,
            &x,
            |x| norm.forward(x),
            |x| plain::rms_norm(x, norm.gain.tensor()),
        );
    }

    #[test]
    fn shuffles_agree_with_the_composition(
        n in 1usize..4, h in 1usize..6, w in 1usize..6, channels in 1usize..9, factor in 1usize..5,
    ) {
        let store = ParamStore::new(1, &Device::Cpu);
        let fine = random(&[n, h * factor, w * factor, channels], 3);
        compare(
            &store,
            &fine,
            |x| space_to_depth(x, factor),
            |x| plain::space_to_depth(x, factor),
        );
        let coarse = random(&[n, h, w, channels * factor * factor], 4);
        compare(
            &store,
            &coarse,
            |x| depth_to_space(x, factor),
            |x| plain::depth_to_space(x, factor),
        );
        let back = depth_to_space(&space_to_depth(&fine, factor).unwrap(), factor).unwrap();
        prop_assert_eq!(values(&back), values(&fine));
    }
}

#[test]
fn sides_that_do_not_divide_are_errors() {
    let x = random(&[1, 5, 4, 3], 1);
    assert!(space_to_depth(&x, 2).is_err());
    assert!(depth_to_space(&x, 2).is_err());
    assert!(space_to_depth(&x, 0).is_err());
}

#[test]
fn an_input_of_another_width_is_an_error() {
    let store = ParamStore::new(1, &Device::Cpu);
    let x = random(&[2, 5], 1);
    let layer = Linear::new(4, 3, store.root().pp("layer")).unwrap();
    assert!(layer.forward(&x).is_err());
    let norm = RmsNorm::new(4, store.root().pp("norm")).unwrap();
    assert!(norm.forward(&x).is_err());
}

#[test]
fn nan_stays_nan() {
    let store = ParamStore::new(1, &Device::Cpu);
    let layer = Linear::new(4, 3, store.root().pp("layer")).unwrap();
    let norm = RmsNorm::new(4, store.root().pp("norm")).unwrap();
    let x = Tensor::new(
        &[[1.0, f32::NAN, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]],
        &Device::Cpu,
    )
    .unwrap();
    for y in [layer.forward(&x).unwrap(), norm.forward(&x).unwrap()] {
        let rows = y.to_vec2::<f32>().unwrap();
        assert!(rows[0].iter().all(|v| v.is_nan()));
        assert!(rows[1].iter().all(|v| v.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_nearest_code_is_nearest(
        rows in 1usize..300, codes in 1usize..200, dim in 1usize..40, seed in 0u64..1000,
    ) {
        let x = random(&[rows, dim], seed);
        let codebook = random(&[codes, dim], seed + 1);
        let ids: Vec<u32> = nearest_code(&x, &codebook).unwrap().to_vec1().unwrap();
        let (x, codebook) = (values(&x), values(&codebook));
        let distance = |row: &[f32], code: usize| -> f64 {
            row.iter()
                .zip(&codebook[code * dim..])
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum()
        };
        for (row, id) in x.chunks(dim).zip(ids) {
            let nearest = (0..codes).map(|code| distance(row, code)).fold(f64::MAX, f64::min);
            let found = distance(row, id as usize);
            prop_assert!(found <= nearest + 1e-4 * (1.0 + nearest), "{found} {nearest}");
        }
    }

    #[test]
    fn a_tie_goes_to_the_lowest_id(
        dim in 1usize..20, copies in prop::collection::vec(0usize..7, 1..150), seed in 0u64..1000,
    ) {
        // Seven different codes, each at several ids.
        let different = random(&[7, dim], seed);
        let rows = values(&different);
        let book: Vec<f32> = copies.iter().flat_map(|c| rows[c * dim..][..dim].to_vec()).collect();
        let book = Tensor::from_vec(book, (copies.len(), dim), &Device::Cpu).unwrap();
        let ids: Vec<u32> = nearest_code(&different, &book).unwrap().to_vec1().unwrap();
        for (code, id) in ids.into_iter().enumerate() {
            if let Some(first) = copies.iter().position(|c| *c == code) {
                prop_assert_eq!(id as usize, first);
            }
        }
    }

    #[test]
    fn unit_rms_agrees_with_the_composition(rows in 1usize..90, dim in 2usize..40, seed in 0u64..1000) {
        let store = ParamStore::new(1, &Device::Cpu);
        let x = random(&[rows, dim], seed);
        let ones = Tensor::ones(dim, candle_core::DType::F32, &Device::Cpu).unwrap();
        compare(&store, &x, kernels::unit_rms, |x| plain::rms_norm(x, &ones));
    }
}

#[test]
fn vectors_that_are_not_finite_are_an_error() {
    let book = random(&[40, 3], 1);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = values(&random(&[9, 3], 2));
        x[13] = bad;
        let x = Tensor::from_vec(x, (9, 3), &Device::Cpu).unwrap();
        assert!(nearest_code(&x, &book).is_err(), "{bad}");
        assert!(nearest_code(&book, &x).is_err(), "{bad}");
    }
}
