//! The kernels, compiled for the host, against the compositions.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::Module;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Operator, codebook_sums, faults, is_fused, nearest_code, set_faulty, with_stand_in};
use crate::kernels::{
    AdamW, AdamWConfig, Block, Chain, Layer, Linear, Padding, ParamStore, RmsNorm, no_grad, plain,
    with_plain_ops,
};

fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Values and gradients by name.
type Found = BTreeMap<String, Vec<f32>>;

/// Every parameter with noise added: those that start at zero would hide mistakes.
fn stir(store: &ParamStore) {
    for (index, param) in store.params().iter().enumerate() {
        let stirred = (param.tensor().detach() + noise(param.tensor().dims(), 70 + index as u64))
            .and_then(|sum| sum * 0.5)
            .unwrap();
        param.set(&stirred).unwrap();
    }
}

fn with_gradients(
    store: &ParamStore,
    inputs: &[Tensor],
    run: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Found {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| Var::from_tensor(x).unwrap())
        .collect();
    let arguments: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let loss = |y: &Tensor| (y * noise(y.dims(), 99)).unwrap().sum_all().unwrap();
    let y = run(&arguments).unwrap();
    let mut found = Found::from([("y".to_owned(), values(&y))]);
    let grads = loss(&y).backward().unwrap();
    for (index, var) in vars.iter().enumerate() {
        if let Some(grad) = grads.get(var) {
            found.insert(format!("input {index}"), values(grad));
        }
    }
    // Twice in one graph: gradients of parameters add up.
    let both = (loss(&run(&arguments).unwrap()) + loss(&run(&arguments).unwrap())).unwrap();
    let grads = store.backward(&both).unwrap();
    for name in grads.names() {
        found.insert(name.to_owned(), values(&grads.get(name).unwrap().unwrap()));
    }
    let without = no_grad(|| run(inputs)).unwrap();
    found.insert("y without gradients".to_owned(), values(&without));
    found
}

/// Alike within rounding, compared with the largest value and with [`SMALLEST_SIZE`] at least.
fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected
        .iter()
        .fold(SMALLEST_SIZE, |max, value| max.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= 3e-5 * size,
            "{what} at {index}: {found}, not {expected}"
        );
    }
}

/// The terms that are added up are about 1; where they cancel, what is left is their rounding. (A norm of one channel leaves nothing
/// else of its gradient, so that shapes begin with two.)
const SMALLEST_SIZE: f32 = 0.1;

/// The kernels and the compositions give the same, and as many gradients.
fn assert_same(store: &ParamStore, inputs: &[Tensor], run: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let found = with_stand_in(|| with_gradients(store, inputs, &run));
    let expected = with_plain_ops(|| with_gradients(store, inputs, &run));
    let names = |found: &Found| found.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, expected) in &expected {
        assert_near(&found[name], expected, name);
    }
}

/// Shapes that each test tries.
const CASES: u32 = 6;

const PADDINGS: [Padding; 4] = [
    Padding::Zero,
    Padding::Wrap { x: true, y: false },
    Padding::Wrap { x: false, y: true },
    Padding::Wrap { x: true, y: true },
];

fn assert_blocks(channels: usize, shape: [usize; 3], padding: Padding) {
    let store = ParamStore::new(3, &Device::Cpu);
    let layers: Vec<Layer> = (0..2)
        .map(|i| Block::new(channels, store.root().pp(i)).unwrap())
        .map(|block| Layer::Block(Box::new(block)))
        .collect();
    stir(&store);
    let chain = Chain::from(layers);
    let [n, h, w] = shape;
    let x = noise(&[n, h, w, channels], 1);
    assert_same(&store, &[x], |x| chain.forward(&x[0], padding));
}

proptest! {
    // Fixed: whether rounding stays within its bounds must not be a matter of luck.
    #![proptest_config(ProptestConfig {
        cases: CASES,
        rng_seed: RngSeed::Fixed(23),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn blocks_of_odd_shapes(
        channels in 2usize..50, n in 1usize..3, h in 1usize..6, w in 1usize..7, padding in 0usize..4,
    ) {
        assert_blocks(channels, [n, h, w], PADDINGS[padding]);
    }

    #[test]
    fn linear_layers_and_norms_of_odd_shapes(inputs in 2usize..90, outputs in 2usize..140, rows in 1usize..40) {
        let store = ParamStore::new(4, &Device::Cpu);
        let layers = [
            Layer::RmsNorm(RmsNorm::new(inputs, store.root().pp("norm")).unwrap()),
            Layer::Linear(Linear::new(inputs, outputs, store.root().pp("linear")).unwrap()),
            Layer::UnitRms,
        ];
        stir(&store);
        let chain = Chain::from(layers);
        assert_same(&store, &[noise(&[rows, inputs], 5)], |x| chain.forward(&x[0], Padding::Zero));
    }

    #[test]
    fn second_arguments(own in 2usize..40, more in 1usize..40, h in 1usize..5, w in 1usize..5) {
        let store = ParamStore::new(5, &Device::Cpu);
        let concat = Chain::from([
            Layer::Concat,
            Layer::Linear(Linear::new(own + more, 7, store.root().pp("linear")).unwrap()),
        ]);
        let add = Chain::from([
            Layer::AddLinear(Linear::new(more, own, store.root().pp("add")).unwrap()),
            Layer::UnitRms,
        ]);
        stir(&store);
        let x = noise(&[2, h, w, own], 6);
        let inputs = [x.clone(), noise(&[2, h, w, more], 7)];
        for chain in [&concat, &add] {
            assert_same(&store, &inputs, |x| chain.forward_with(&x[0], &x[1], Padding::Zero));
        }
        // One row for all positions.
        let inputs = [x, noise(&[more], 8)];
        assert_same(&store, &inputs, |x| add.forward_with(&x[0], &x[1], Padding::Zero));
    }

    #[test]
    fn shuffles_there_and_back(n in 1usize..3, h in 1usize..4, w in 1usize..5, c in 1usize..6, f in 1usize..5) {
        let store = ParamStore::new(6, &Device::Cpu);
        for layer in [Layer::SpaceToDepth(f), Layer::DepthToSpace(f)] {
            let chain = Chain::from([layer]);
            let x = noise(&[n, h * f, w * f, c * f * f], 9);
            assert_same(&store, &[x], |x| chain.forward(&x[0], Padding::Zero));
        }
    }

    #[test]
    fn the_nearest_code(rows in 1usize..80, codes in 1usize..600, dim in 1usize..40, wide in any::<bool>()) {
        let dim = if wide { dim } else { 16 };
        // Coarse values: many codes are equally far, and some are equal.
        let coarse = |shape: &[usize], seed| (noise(shape, seed) * 2.0).unwrap().round().unwrap();
        let (x, book) = (coarse(&[rows, dim], 10), coarse(&[codes, dim], 11));
        let found = with_stand_in(|| nearest_code(&x, &book)).unwrap().unwrap();
        let expected = plain::nearest_code(&x, &book).unwrap();
        prop_assert_eq!(found.to_vec1::<u32>().unwrap(), expected.to_vec1::<u32>().unwrap());
    }

    #[test]
    fn sums_by_code(rows in 1usize..3000, codes in 1usize..70, dim in 1usize..40) {
        let vectors = noise(&[rows, dim], 12);
        let mut rng = ChaCha8Rng::seed_from_u64(13);
        let ids: Vec<u32> = (0..rows).map(|_| rng.random_range(0..codes as u32)).collect();
        let mut counts = vec![0f32; codes];
        let mut sums = vec![0f32; codes * dim];
        for (row, id) in values(&vectors).chunks_exact(dim).zip(&ids) {
            counts[*id as usize] += 1.0;
            for (sum, value) in sums[*id as usize * dim..].iter_mut().zip(row) {
                *sum += value;
            }
        }
        let ids = Tensor::from_vec(ids, rows, &Device::Cpu).unwrap();
        let run = || with_stand_in(|| codebook_sums(&vectors, &ids, codes)).unwrap().unwrap();
        let found = run();
        prop_assert_eq!(values(&found.0), counts);
        assert_near(&values(&found.1), &sums, "sums");
        prop_assert_eq!(values(&run().1), values(&found.1));
    }
}

#[test]
fn blocks_as_wide_as_the_codecs_and_wider() {
    for channels in [96, 160, 256, 300] {
        assert_blocks(channels, [1, 2, 3], Padding::Zero);
    }
    // More rows than there are partial sums.
    assert_blocks(3, [2, 1100, 2], Padding::Wrap { x: true, y: true });
}

#[test]
fn a_vector_that_is_no_number_gets_the_last_code() {
    let mut x = vec![0.5f32; 3 * 16];
    x[16] = f32::NAN;
    x[40] = f32::INFINITY;
    let x = Tensor::from_vec(x, (3, 16), &Device::Cpu).unwrap();
    let book = noise(&[40, 16], 1);
    let ids = with_stand_in(|| nearest_code(&x, &book)).unwrap().unwrap();
    let ids = ids.to_vec1::<u32>().unwrap();
    assert!(ids[0] < 40);
    assert_eq!(ids[1..], [39, 39]);
    with_stand_in(|| assert!(crate::kernels::nearest_code(&x, &book).is_err()));
}

/// A store with what [`AdamW`] treats differently: matrices and vectors, one frozen, one without a gradient.
fn trained(steps: usize) -> Found {
    let store = ParamStore::new(8, &Device::Cpu);
    let first = Linear::new(90, 70, store.root().pp("first")).unwrap();
    let frozen = Linear::new(70, 3, store.root().pp("frozen")).unwrap();
    let unused = Linear::new(5, 3, store.root().pp("unused")).unwrap();
    assert_eq!(unused.weight.tensor().dims(), [3, 5]);
    let config = AdamWConfig {
        clip_norm: Some(0.5),
        weight_decay: 0.1,
        lr_scales: vec![("frozen".to_owned(), 0.0), ("first.bias".to_owned(), 0.5)],
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(&store, &config).unwrap();
    let mut norms = Vec::new();
    for step in 0..steps {
        let y = first.forward(&noise(&[20, 90], 30 + step as u64)).unwrap();
        let loss = frozen
            .forward(&y)
            .unwrap()
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap();
        let grads = store.backward(&loss).unwrap();
        if step % 2 == 0 {
            norms.push(optimizer.step(&grads, 1e-2).unwrap());
        } else {
            let norm = optimizer.step_unread(&grads, 1e-2).unwrap();
            norms.push(crate::kernels::read_scalars(&[&norm]).unwrap()[0] as f32);
        }
    }
    let mut found = Found::from([("norms".to_owned(), norms)]);
    for param in store.params() {
        found.insert(param.name().to_owned(), values(param.tensor()));
    }
    for (name, tensor) in optimizer.state_tensors().unwrap() {
        if name != "updates" {
            found.insert(name, values(&tensor));
        }
    }
    found
}

#[test]
fn adamw_takes_the_same_steps() {
    let (found, expected) = (with_stand_in(|| trained(6)), trained(6));
    assert_eq!(found.len(), expected.len());
    for (name, expected) in &expected {
        assert_near(&found[name], expected, name);
    }
    assert_ne!(trained(1)["first.weight"], expected["first.weight"]);
}

#[test]
fn a_gradient_that_is_no_number_changes_nothing() {
    with_stand_in(|| {
        let store = ParamStore::new(8, &Device::Cpu);
        let layer = Linear::new(4, 3, store.root()).unwrap();
        let mut optimizer = AdamW::new(&store, &AdamWConfig::default()).unwrap();
        let before = values(layer.weight.tensor());
        let x = Tensor::full(f32::NAN, (2, 4), &Device::Cpu).unwrap();
        let loss = layer.forward(&x).unwrap().sum_all().unwrap();
        let grads = store.backward(&loss).unwrap();
        let norm = optimizer.step_unread(&grads, 1e-2).unwrap();
        assert!(!norm.to_scalar::<f32>().unwrap().is_finite());
        assert_eq!(values(layer.weight.tensor()), before);
        assert!(optimizer.step(&grads, 1e-2).is_err());
    });
}

#[test]
fn an_operator_that_is_out_of_use_runs_as_its_composition() {
    let store = ParamStore::new(6, &Device::Cpu);
    let chain = Chain::from([
        Layer::SpaceToDepth(2),
        Layer::Linear(Linear::new(12, 5, store.root()).unwrap()),
        Layer::UnitRms,
    ]);
    stir(&store);
    let x = noise(&[2, 4, 6, 3], 3);
    set_faulty(Operator::Shuffle, Some("it was slow".to_owned()));
    assert!(faults().contains(&(Operator::Shuffle, "it was slow".to_owned())));
    with_stand_in(|| {
        assert!(!is_fused(&Device::Cpu, Operator::Shuffle));
        assert!(is_fused(&Device::Cpu, Operator::Linear));
    });
    assert_same(&store, &[x], |x| chain.forward(&x[0], Padding::Zero));
    set_faulty(Operator::Shuffle, None);
    assert!(
        faults()
            .iter()
            .all(|(operator, _)| *operator != Operator::Shuffle)
    );
}
