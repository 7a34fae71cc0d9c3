use candle_core::{Device, Result, Tensor};
use candle_nn::Init;
use tessera::kernels::{AdamW, AdamWConfig, Param, ParamStore, fan_in};

fn store() -> (ParamStore, Vec<Tensor>) {
    let store = ParamStore::new(7, &Device::Cpu);
    let layer = store.root().pp("layer");
    let weight = Param::get(&layer, "weight", (5, 3), fan_in(3)).unwrap();
    let bias = Param::get(&layer, "bias", 5, Init::Const(0.1)).unwrap();
    drop(layer);
    let tensors = vec![weight.tensor().clone(), bias.tensor().clone()];
    (store, tensors)
}

fn loss(tensors: &[Tensor], target: f64) -> Result<Tensor> {
    (tensors[0].broadcast_add(&tensors[1].reshape((5, 1))?)? - target)?
        .sqr()?
        .sum_all()
}

fn bits(store: &ParamStore) -> Vec<u32> {
    store
        .params()
        .iter()
        .flat_map(|p| p.tensor().flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .map(f32::to_bits)
        .collect()
}

/// One step by the textbook formula in f64.
#[test]
fn a_step_follows_the_formula() {
    let (store, tensors) = store();
    let config = AdamWConfig {
        clip_norm: Some(0.5),
        ema_decay: 0.05,
        ..AdamWConfig::default()
    };
    let mut adamw = AdamW::new(&store, &config).unwrap();
    let mut weight: Vec<f64> = flat(&tensors[0]);
    let mut ema = weight.clone();
    let (mut first, mut second) = (vec![0.0; 15], vec![0.0; 15]);
    for step in 1..=3 {
        let grads = store.backward(&loss(&tensors, 2.0).unwrap()).unwrap();
        let grad = flat(&grads.get("layer.weight").unwrap().unwrap());
        let bias_grad = flat(&grads.get("layer.bias").unwrap().unwrap());
        let norm = grad
            .iter()
            .chain(&bias_grad)
            .map(|g| g * g)
            .sum::<f64>()
            .sqrt();
        let reported = adamw.step(&grads, 0.01).unwrap();
        assert!((f64::from(reported) - norm).abs() < 1e-4 * norm);
        for i in 0..15 {
            let g = grad[i] * (0.5 / norm).min(1.0);
            first[i] = 0.9 * first[i] + 0.1 * g;
            second[i] = 0.99 * second[i] + 0.01 * g * g;
            let m = first[i] / (1.0 - 0.9f64.powi(step));
            let v: f64 = second[i] / (1.0 - 0.99f64.powi(step));
            weight[i] = weight[i] * (1.0 - 0.01 * 0.01) - 0.01 * m / (v.sqrt() + 1e-8);
            ema[i] = 0.05 * ema[i] + 0.95 * weight[i];
        }
    }
    let ema_now = &adamw.ema_tensors().unwrap()["layer.weight"];
    for i in 0..15 {
        assert!((flat(&tensors[0])[i] - weight[i]).abs() < 1e-6);
        assert!((flat(ema_now)[i] - ema[i]).abs() < 1e-6);
    }
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f64::from).collect()
}

#[test]
fn a_restored_run_continues_bit_identically() {
    let run = |interrupted: bool| {
        let (store, tensors) = store();
        let config = AdamWConfig::default();
        let mut adamw = AdamW::new(&store, &config).unwrap();
        for step in 0..6 {
            if interrupted && step == 3 {
                let state = adamw.state_tensors().unwrap();
                adamw = AdamW::new(&store, &config).unwrap();
                adamw.restore(state).unwrap();
            }
            let grads = store.backward(&loss(&tensors, 1.0).unwrap()).unwrap();
            adamw.step(&grads, 0.01).unwrap();
        }
        let ema = flat(&adamw.ema_tensors().unwrap()["layer.bias"]);
        (bits(&store), ema)
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn an_incomplete_state_is_refused_and_changes_nothing() {
    let (store, _) = store();
    let mut adamw = AdamW::new(&store, &AdamWConfig::default()).unwrap();
    let mut state = adamw.state_tensors().unwrap();
    state.remove("second.layer.bias").unwrap();
    let error = adamw.restore(state).unwrap_err().to_string();
    assert!(error.contains("second.layer.bias"), "{error}");
}

#[test]
fn a_frozen_prefix_stays_and_does_not_count() {
    let (store, tensors) = store();
    let config = AdamWConfig {
        lr_scales: vec![("layer".into(), 0.0), ("layer.b".into(), 1.0)],
        ..AdamWConfig::default()
    };
    let mut adamw = AdamW::new(&store, &config).unwrap();
    let (weight, bias) = (flat(&tensors[0]), flat(&tensors[1]));
    let grads = store.backward(&loss(&tensors, 1.0).unwrap()).unwrap();
    let norm = adamw.step(&grads, 0.1).unwrap();
    assert_eq!(weight, flat(&tensors[0]));
    assert_ne!(bias, flat(&tensors[1]));
    let bias_norm = flat(&grads.get("layer.bias").unwrap().unwrap())
        .iter()
        .map(|g| g * g)
        .sum::<f64>()
        .sqrt();
    assert!((f64::from(norm) - bias_norm).abs() < 1e-4 * bias_norm);
}

#[test]
fn a_nan_gradient_is_an_error_and_changes_nothing() {
    let (store, tensors) = store();
    let mut adamw = AdamW::new(&store, &AdamWConfig::default()).unwrap();
    let before = bits(&store);
    let loss = (loss(&tensors, 1.0).unwrap() * f64::NAN).unwrap();
    let grads = store.backward(&loss).unwrap();
    assert!(adamw.step(&grads, 0.1).is_err());
    assert_eq!(before, bits(&store));
    assert_eq!(adamw.steps(), 0);
}
