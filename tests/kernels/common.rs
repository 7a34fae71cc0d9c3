use candle_core::{Device, Result, Tensor};
use tessera::kernels::{Padding, ParamStore};

/// Values in about ±2 from a small generator, so that each test says its own seed.
pub fn random(shape: &[usize], seed: u64) -> Tensor {
    let count = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let values: Vec<f32> = (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 4.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Gives every parameter of `store` random values: gains and scales too, or their gradients would hide mistakes.
pub fn randomise(store: &ParamStore, seed: u64) {
    for (i, param) in store.params().iter().enumerate() {
        let fan: usize = param.tensor().dims().iter().skip(1).product();
        let value = random(param.tensor().dims(), seed + 31 * i as u64);
        let value = (value / (fan.max(1) as f64).sqrt()).unwrap();
        param.set(&value).unwrap();
    }
}

/// The largest difference, relative to the larger root mean square of the two.
pub fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (values(a), values(b));
    let rms = |v: &[f32]| (v.iter().map(|v| v * v).sum::<f32>() / v.len() as f32).sqrt();
    // Values that cancel to almost nothing (a norm over few channels) are compared with the terms they come from.
    let scale = rms(&a).max(rms(&b)).max(0.05);
    a.iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs() / scale)
        // Not `max`, which would drop a NaN.
        .fold(0.0, |worst, d| if d <= worst { worst } else { d })
}

pub fn wraps() -> [Padding; 4] {
    [
        Padding::Zero,
        Padding::Wrap { x: true, y: false },
        Padding::Wrap { x: false, y: true },
        Padding::Wrap { x: true, y: true },
    ]
}

/// Compares the value and all gradients of `fused` and `plain`, which take the input and the parameters of `store`.
pub fn compare(
    store: &ParamStore,
    input: &Tensor,
    fused: impl Fn(&Tensor) -> Result<Tensor>,
    plain: impl Fn(&Tensor) -> Result<Tensor>,
) {
    let run = |operator: &dyn Fn(&Tensor) -> Result<Tensor>| {
        let x = candle_core::Var::from_tensor(input).unwrap();
        let y = operator(&x).unwrap();
        let probe = random(y.dims(), 99);
        let loss = (&y * &probe).unwrap().sum_all().unwrap();
        let dx = loss.backward().unwrap().get(&x).cloned().unwrap();
        (y, dx, store.backward(&loss).unwrap())
    };
    let (y, dx, grads) = run(&fused);
    let (plain_y, plain_dx, plain_grads) = run(&plain);
    assert!(
        difference(&y, &plain_y) < 2e-5,
        "value {}",
        difference(&y, &plain_y)
    );
    assert!(
        difference(&dx, &plain_dx) < 1e-4,
        "input {}",
        difference(&dx, &plain_dx)
    );
    for param in store.params() {
        let name = param.name();
        let grad = grads.get(name).unwrap().expect(name);
        let plain = plain_grads.get(name).unwrap().expect(name);
        let difference = difference(&grad, &plain);
        assert!(difference < 2e-4, "{name}: {difference}");
    }
}
