use candle_core::{Device, Result, Tensor};
use proptest::prelude::*;
use tessera::kernels::{Block, Padding, ParamStore, blocks, no_grad, plain};

use crate::common::{compare, random, randomise, values, wraps};

fn block(channels: usize, seed: u64) -> (ParamStore, Block) {
    let store = ParamStore::new(seed, &Device::Cpu);
    let block = Block::new(channels, store.root()).unwrap();
    randomise(&store, seed);
    // A norm of channels that cancel to almost nothing multiplies the rounding of both sides without bound: the bias
    // keeps the depthwise result away from zero.
    let weight = (block.depthwise.tensor() / 4.0).unwrap();
    block.depthwise.set(&weight).unwrap();
    let bias = block.depthwise_bias.tensor();
    let away = (bias.sign().unwrap() * 2.0).unwrap();
    block.depthwise_bias.set(&(bias + away).unwrap()).unwrap();
    (store, block)
}

fn plain_block(block: &Block, x: &Tensor, padding: Padding) -> Result<Tensor> {
    let y = plain::depthwise3x3(
        x,
        block.depthwise.tensor(),
        block.depthwise_bias.tensor(),
        padding,
    )?;
    let y = plain::rms_norm(&y, block.norm.gain.tensor())?;
    let linear = |x: &Tensor, layer: &tessera::kernels::Linear| {
        plain::linear(x, layer.weight.tensor(), Some(layer.bias.tensor()))
    };
    let y = linear(&plain::gelu(&linear(&y, &block.up)?)?, &block.down)?;
    x + y.broadcast_mul(block.scale.tensor())?
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn agrees_with_the_composition(
        n in 1usize..4, h in 1usize..21, w in 1usize..21, channels in 2usize..41,
        padding in 0usize..4, seed in 0u64..1000,
    ) {
        let padding = wraps()[padding];
        let (store, block) = block(channels, seed);
        let x = random(&[n, h, w, channels], seed + 5);
        compare(
            &store,
            &x,
            |x| block.forward(x, padding),
            |x| plain_block(&block, x, padding),
        );
    }
}

/// The shapes of the shipped network, at which a picture spans several chunks.
#[test]
fn agrees_at_the_shipped_widths() {
    for (channels, side) in [(96, 17), (160, 12), (256, 9)] {
        let (store, block) = block(channels, 3);
        let x = random(&[2, side, side + 1, channels], 4);
        let padding = Padding::Wrap { x: true, y: false };
        compare(
            &store,
            &x,
            |x| block.forward(x, padding),
            |x| plain_block(&block, x, padding),
        );
    }
}

/// The gradient predicts what a small step along it changes.
#[test]
fn the_gradient_agrees_with_finite_differences() {
    let (store, block) = block(6, 8);
    let x = random(&[1, 4, 5, 6], 2);
    let padding = Padding::Wrap { x: false, y: true };
    let probe = random(&[1, 4, 5, 6], 3);
    let loss = || {
        (block.forward(&x, padding).unwrap() * &probe)
            .unwrap()
            .sum_all()
            .unwrap()
    };
    let grads = store.backward(&loss()).unwrap();
    for param in store.params() {
        let start = param.tensor().copy().unwrap();
        let grad = grads.get(param.name()).unwrap().unwrap();
        let direction = random(start.dims(), 77);
        let at = |step: f64| {
            let moved = (&start + (&direction * step).unwrap()).unwrap();
            param.set(&moved).unwrap();
            f64::from(loss().to_scalar::<f32>().unwrap())
        };
        let measured = (at(1e-3) - at(-1e-3)) / 2e-3;
        param.set(&start).unwrap();
        let predicted: f32 = values(&grad)
            .iter()
            .zip(values(&direction))
            .map(|(g, d)| g * d)
            .sum();
        let tolerance = 2e-2 * measured.abs().max(1.0);
        assert!(
            (measured - f64::from(predicted)).abs() < tolerance,
            "{}: {measured} against {predicted}",
            param.name()
        );
    }
}

#[test]
fn two_runs_give_the_same_bits() {
    let run = || {
        let (store, block) = block(96, 1);
        let x = random(&[3, 33, 31, 96], 2);
        let y = block.forward(&x, Padding::Zero).unwrap();
        let grads = store
            .backward(&y.sqr().unwrap().sum_all().unwrap())
            .unwrap();
        let mut bits: Vec<u32> = values(&y).into_iter().map(f32::to_bits).collect();
        for name in grads.names() {
            let grad = grads.get(name).unwrap().unwrap();
            bits.extend(values(&grad).into_iter().map(f32::to_bits));
        }
        bits
    };
    let first = run();
    assert!((0..3).all(|_| run() == first));
    // Nor does the number of threads matter.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    assert!(pool.install(run) == first);
}

#[test]
fn a_block_used_twice_sums_its_gradients() {
    let (store, block) = block(5, 1);
    let x = random(&[1, 3, 3, 5], 2);
    let twice = |x: &Tensor| block.forward(&block.forward(x, Padding::Zero)?, Padding::Zero);
    compare(&store, &x, twice, |x| {
        plain_block(
            &block,
            &plain_block(&block, x, Padding::Zero)?,
            Padding::Zero,
        )
    });
}

#[test]
fn blocks_in_a_row_agree_with_one_after_the_other() {
    let store = ParamStore::new(1, &Device::Cpu);
    let row: Vec<Block> = (0..3)
        .map(|i| Block::new(9, store.root().pp(i)).unwrap())
        .collect();
    randomise(&store, 4);
    let x = random(&[2, 15, 17, 9], 2);
    let padding = Padding::Wrap { x: true, y: false };
    compare(
        &store,
        &x,
        |x| blocks(&row, x, padding),
        |x| {
            row.iter()
                .try_fold(x.clone(), |x, block| plain_block(block, &x, padding))
        },
    );
    let none = blocks(&[], &x, padding).unwrap();
    assert_eq!(values(&none), values(&x));
}

#[test]
fn nan_and_infinity_stay_visible() {
    let (store, block) = block(7, 1);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut x = values(&random(&[1, 3, 3, 7], 2));
        x[4 * 7 + 3] = bad;
        let x = Tensor::from_vec(x, (1, 3, 3, 7), &Device::Cpu).unwrap();
        let y = block.forward(&x, Padding::Zero).unwrap();
        // Every position is within the window of the bad one.
        for row in values(&y).chunks(7) {
            assert!(row.iter().any(|v| !v.is_finite()), "{row:?}");
        }
        let grads = store.backward(&y.sum_all().unwrap()).unwrap();
        let grad = values(&grads.get("up.weight").unwrap().unwrap());
        assert!(grad.iter().any(|v| !v.is_finite()));
    }
}

#[test]
fn no_grad_records_nothing() {
    let (store, block) = block(5, 1);
    let x = random(&[1, 3, 3, 5], 2);
    let y = no_grad(|| block.forward(&x, Padding::Zero)).unwrap();
    assert!(!y.track_op());
    let tracked = block.forward(&x, Padding::Zero).unwrap();
    assert_eq!(values(&y), values(&tracked));
    assert!(tracked.track_op());
    drop(store);
}
