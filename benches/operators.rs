//! Each operator at the shipped shapes (batch 8 at 128²), fused and plain, beside the machine's own matrix product.
//!
//! `cargo bench --bench operators`. Throughput is in floating-point operations of the matrix products, so "Gelem/s" reads
//! GFLOP/s and compares with `product/2048`; operators without products count their values.

#![allow(clippy::unwrap_used)] // a failure ends the run

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use candle_nn::Module;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use tessera::kernels::{
    AdamW, AdamWConfig, Block, Linear, Padding, ParamStore, RmsNorm, blocks, nearest_code, no_grad,
    set_plain_ops, space_to_depth,
};

const BATCH: usize = 8;
/// Stride, cells per side, channels.
const STAGES: [(usize, usize, usize); 3] = [(4, 32, 96), (8, 16, 160), (16, 8, 256)];

fn normal(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap()
}

/// Runs `work` fused, then as the plain composition.
fn both(c: &mut Criterion, name: &str, id: &str, count: usize, work: impl Fn()) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(count as u64));
    for (kind, plain) in [("fused", false), ("plain", true)] {
        set_plain_ops(plain);
        group.bench_function(BenchmarkId::new(kind, id), |b| b.iter(&work));
    }
    set_plain_ops(false);
    group.finish();
}

fn product(c: &mut Criterion) {
    let a = normal(&[2048, 2048]);
    let mut group = c.benchmark_group("product");
    group.throughput(Throughput::Elements(2 * 2048u64.pow(3)));
    group.bench_function("2048", |b| b.iter(|| black_box(a.matmul(&a).unwrap())));
    group.finish();
}

fn block(c: &mut Criterion) {
    for (stride, side, channels) in STAGES {
        let store = ParamStore::new(1, &Device::Cpu);
        let layer = Block::new(channels, store.root()).unwrap();
        let x = Var::from_tensor(&normal(&[BATCH, side, side, channels])).unwrap();
        let flops = 16 * channels * channels * BATCH * side * side;
        let id = format!("s{stride}");
        both(c, "block/infer", &id, flops, || {
            let x = x.as_detached_tensor();
            black_box(no_grad(|| layer.forward(&x, Padding::Zero)).unwrap());
        });
        both(c, "block/train", &id, 3 * flops, || {
            let y = layer.forward(&x, Padding::Zero).unwrap();
            black_box(store.backward(&y.sum_all().unwrap()).unwrap());
        });
        let row = vec![layer.clone(); 4];
        both(c, "blocks4/train", &id, 12 * flops, || {
            let y = blocks(&row, &x, Padding::Zero).unwrap();
            black_box(store.backward(&y.sum_all().unwrap()).unwrap());
        });
    }
}

fn pointwise(c: &mut Criterion) {
    for (inputs, outputs, side) in [(64, 96, 32), (96, 64, 32), (160, 384, 16), (256, 640, 8)] {
        let store = ParamStore::new(1, &Device::Cpu);
        let layer = Linear::new(inputs, outputs, store.root()).unwrap();
        let x = Var::from_tensor(&normal(&[BATCH, side, side, inputs])).unwrap();
        let flops = 6 * inputs * outputs * BATCH * side * side;
        both(
            c,
            "linear/train",
            &format!("{inputs}x{outputs}"),
            flops,
            || {
                let y = layer.forward(&x).unwrap();
                black_box(store.backward(&y.sum_all().unwrap()).unwrap());
            },
        );
    }
    let store = ParamStore::new(1, &Device::Cpu);
    let norm = RmsNorm::new(192, store.root()).unwrap();
    let x = Var::from_tensor(&normal(&[BATCH, 32, 32, 192])).unwrap();
    both(c, "norm/train", "s4", x.elem_count(), || {
        let y = norm.forward(&x).unwrap();
        black_box(store.backward(&y.sum_all().unwrap()).unwrap());
    });
    let x = normal(&[BATCH, 128, 128, 4]);
    both(c, "space_to_depth", "4", x.elem_count(), || {
        black_box(space_to_depth(&x, 4).unwrap());
    });
}

fn codes(c: &mut Criterion) {
    let x = normal(&[BATCH * 32 * 32, 16]);
    let codebook = normal(&[2048, 16]);
    both(
        c,
        "nearest_code",
        "8192x2048x16",
        2 * 8192 * 2048 * 16,
        || {
            black_box(nearest_code(&x, &codebook).unwrap());
        },
    );
}

fn adamw(c: &mut Criterion) {
    let store = ParamStore::new(1, &Device::Cpu);
    let layers: Vec<_> = (0..8)
        .map(|i| Block::new(256, store.root().pp(i)).unwrap())
        .collect();
    let x = normal(&[1, 4, 4, 256]);
    let y = blocks(&layers, &x, Padding::Zero).unwrap();
    let grads = store.backward(&y.sum_all().unwrap()).unwrap();
    let mut optimiser = AdamW::new(&store, &AdamWConfig::default()).unwrap();
    let count: usize = store.params().iter().map(|p| p.tensor().elem_count()).sum();
    let mut group = c.benchmark_group("adamw");
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("step", |b| {
        b.iter(|| black_box(optimiser.step(&grads, 1e-6).unwrap()));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = product, block, pointwise, codes, adamw
}

fn main() {
    tessera::process::configure();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
