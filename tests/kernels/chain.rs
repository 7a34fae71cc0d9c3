use candle_core::{D, Device, Result, Tensor, Var};
use proptest::prelude::*;
use tessera::kernels::{Block, Chain, Layer, Linear, Padding, ParamStore, RmsNorm, plain};

use crate::common::{compare, random, randomise, values, wraps};

/// One layer of each kind, of `channels` in and out of every part.
struct Parts {
    store: ParamStore,
    norm: RmsNorm,
    linear: Linear,
    block: Block,
    add: Linear,
}

const CHANNELS: usize = 8;
const SECOND: usize = 3;

impl Parts {
    fn new(seed: u64, norm_channels: usize) -> Self {
        let store = ParamStore::new(seed, &Device::Cpu);
        let part = |name: &str| store.root().pp(name);
        let parts = Self {
            norm: RmsNorm::new(norm_channels, part("norm")).unwrap(),
            linear: Linear::new(norm_channels, CHANNELS, part("linear")).unwrap(),
            block: Block::new(CHANNELS, part("block")).unwrap(),
            add: Linear::new(SECOND, CHANNELS, part("add")).unwrap(),
            store,
        };
        randomise(&parts.store, seed);
        parts
    }

    /// What follows the first layer: every other kind.
    fn rest(&self) -> [Layer; 6] {
        [
            Layer::RmsNorm(self.norm.clone()),
            Layer::Linear(self.linear.clone()),
            Layer::Block(Box::new(self.block.clone())),
            Layer::DepthToSpace(2),
            Layer::SpaceToDepth(2),
            Layer::UnitRms,
        ]
    }

    fn plain_rest(&self, x: &Tensor, padding: Padding) -> Result<Tensor> {
        let x = plain::rms_norm(x, self.norm.gain.tensor())?;
        let x = plain_linear(&self.linear, &x)?;
        let block = &self.block;
        let y = plain::depthwise3x3(
            &x,
            block.depthwise.tensor(),
            block.depthwise_bias.tensor(),
            padding,
        )?;
        let y = plain::rms_norm(&y, block.norm.gain.tensor())?;
        let y = plain_linear(&block.down, &plain::gelu(&plain_linear(&block.up, &y)?)?)?;
        let x = (x + y.broadcast_mul(block.scale.tensor())?)?;
        let x = plain::space_to_depth(&plain::depth_to_space(&x, 2)?, 2)?;
        plain::rms_norm(&x, &Tensor::ones(CHANNELS, x.dtype(), x.device())?)
    }
}

fn plain_linear(layer: &Linear, x: &Tensor) -> Result<Tensor> {
    plain::linear(x, layer.weight.tensor(), Some(layer.bias.tensor()))
}

/// A second argument that depends on the first, so that one gradient shows both.
fn second_of(x: &Tensor) -> Result<Tensor> {
    x.narrow(3, 1, SECOND)? * 0.7
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn side_by_side_then_every_layer(
        n in 1usize..3, h in 1usize..9, w in 1usize..9, padding in 0usize..4, seed in 0u64..1000,
    ) {
        let padding = wraps()[padding];
        let parts = Parts::new(seed, CHANNELS + SECOND);
        let chain = Chain::from([Layer::Concat].into_iter().chain(parts.rest()));
        let x = random(&[n, h, w, CHANNELS], seed + 1);
        compare_but(
            &["add.weight", "add.bias"], &parts.store, &x,
            |x| chain.forward_with(x, &second_of(x)?, padding),
            |x| parts.plain_rest(&Tensor::cat(&[x, &second_of(x)?], 3)?, padding),
        );
    }

    #[test]
    fn a_linear_map_added_then_every_layer(
        n in 1usize..3, h in 1usize..9, w in 1usize..9, padding in 0usize..4, seed in 0u64..1000,
    ) {
        let padding = wraps()[padding];
        let parts = Parts::new(seed, CHANNELS);
        let first = Layer::AddLinear(parts.add.clone());
        let chain = Chain::from([first].into_iter().chain(parts.rest()));
        let x = random(&[n, h, w, CHANNELS], seed + 1);
        compare(
            &parts.store, &x,
            |x| chain.forward_with(x, &second_of(x)?, padding),
            |x| parts.plain_rest(&(x + plain_linear(&parts.add, &second_of(x)?)?)?, padding),
        );
        // One row for all positions.
        let row = |x: &Tensor| second_of(x)?.mean((0, 1, 2));
        compare(
            &parts.store, &x,
            |x| chain.forward_with(x, &row(x)?, padding),
            |x| {
                let added = plain_linear(&parts.add, &row(x)?.unsqueeze(0)?)?;
                parts.plain_rest(&x.broadcast_add(&added)?, padding)
            },
        );
    }
}

/// [`compare`] where the parameters `left_out` have no part.
fn compare_but(
    left_out: &[&str],
    store: &ParamStore,
    x: &Tensor,
    fused: impl Fn(&Tensor) -> Result<Tensor>,
    plain: impl Fn(&Tensor) -> Result<Tensor>,
) {
    let with_them = |y: Tensor| -> Result<Tensor> {
        let mut y = y;
        for param in store.params() {
            if left_out.contains(&param.name()) {
                y = y.broadcast_add(&param.tensor().sum_all()?)?;
            }
        }
        Ok(y)
    };
    compare(store, x, |x| with_them(fused(x)?), |x| with_them(plain(x)?));
}

#[test]
fn the_gradients_agree_with_finite_differences() {
    let parts = Parts::new(3, CHANNELS);
    let first = Layer::AddLinear(parts.add.clone());
    let chain = Chain::from([first].into_iter().chain(parts.rest()));
    let inputs = [
        random(&[1, 3, 4, CHANNELS], 5),
        random(&[1, 3, 4, SECOND], 6),
    ];
    let probe = random(&[1, 3, 4, CHANNELS], 7);
    let loss = |inputs: &[Tensor; 2]| {
        let y = chain
            .forward_with(&inputs[0], &inputs[1], Padding::Zero)
            .unwrap();
        (y * &probe).unwrap().sum_all().unwrap()
    };
    let vars = [0, 1].map(|i| Var::from_tensor(&inputs[i]).unwrap());
    let tracked = [0, 1].map(|i| vars[i].as_tensor().clone());
    let grads = loss(&tracked).backward().unwrap();
    for (i, var) in vars.iter().enumerate() {
        let direction = random(inputs[i].dims(), 77);
        let at = |step: f64| {
            let mut moved = inputs.clone();
            moved[i] = (&inputs[i] + (&direction * step).unwrap()).unwrap();
            f64::from(loss(&moved).to_scalar::<f32>().unwrap())
        };
        let measured = (at(1e-3) - at(-1e-3)) / 2e-3;
        let predicted: f32 = values(grads.get(var).unwrap())
            .iter()
            .zip(values(&direction))
            .map(|(g, d)| g * d)
            .sum();
        let tolerance = 2e-2 * measured.abs().max(1.0);
        assert!(
            (measured - f64::from(predicted)).abs() < tolerance,
            "argument {i}: {measured} against {predicted}"
        );
    }
}

/// Weights are packed once; a change of any of them must be seen.
#[test]
fn changed_parameters_are_packed_again() {
    let parts = Parts::new(4, CHANNELS);
    let first = Layer::AddLinear(parts.add.clone());
    let chain = Chain::from([first].into_iter().chain(parts.rest()));
    let x = random(&[1, 4, 4, CHANNELS], 5);
    let second = second_of(&x).unwrap();
    let run = || -> Vec<f32> { values(&chain.forward_with(&x, &second, Padding::Zero).unwrap()) };
    let mut before = run();
    assert_eq!(run(), before);
    for param in parts.store.params() {
        param.set(&(param.tensor() * 1.5).unwrap()).unwrap();
        let after = run();
        assert_ne!(after, before, "{}", param.name());
        before = after;
    }
}

#[test]
fn an_input_without_gradient_still_gives_the_parameters_theirs() {
    let parts = Parts::new(5, CHANNELS);
    let chain = Chain::from([Layer::SpaceToDepth(1)].into_iter().chain(parts.rest()));
    let x = random(&[2, 4, 4, CHANNELS], 5);
    let y = chain.forward(&x, Padding::Zero).unwrap();
    let fused = parts
        .store
        .backward(&y.sqr().unwrap().sum(D::Minus1).unwrap().sum_all().unwrap());
    let y = parts.plain_rest(&x, Padding::Zero).unwrap();
    let plain = parts.store.backward(&y.sqr().unwrap().sum_all().unwrap());
    let (fused, plain) = (fused.unwrap(), plain.unwrap());
    let names: Vec<&str> = fused.names().collect();
    assert_eq!(names, plain.names().collect::<Vec<_>>());
    assert!(names.contains(&"linear.weight"));
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let parts = Parts::new(6, CHANNELS);
    let x = random(&[1, 4, 4, CHANNELS], 1);
    let concat = Chain::from([Layer::Concat]);
    let add = Chain::from([Layer::AddLinear(parts.add.clone())]);
    for second in [
        random(&[1, 4, 3, SECOND], 2),
        random(&[2, SECOND], 2),
        random(&[1, 4, 4, SECOND + 1], 2),
    ] {
        let concat_fits = second.dims()[..3.min(second.rank())] == [1, 4, 4];
        let y = concat.forward_with(&x, &second, Padding::Zero);
        assert_eq!(y.is_ok(), concat_fits, "{second:?}");
        assert!(add.forward_with(&x, &second, Padding::Zero).is_err());
    }
    assert!(concat.forward(&x, Padding::Zero).is_err());
    let flat = x.reshape((16, CHANNELS)).unwrap();
    for layer in [
        Layer::SpaceToDepth(2),
        Layer::DepthToSpace(2),
        Layer::Block(Box::new(parts.block.clone())),
    ] {
        let chain = Chain::from([layer]);
        assert!(chain.forward(&x, Padding::Zero).is_ok());
        assert!(chain.forward(&flat, Padding::Zero).is_err());
    }
}
