//! The codec against an independent implementation in PyTorch (`tests/golden/`), on the same weights: encoding, codes,
//! decoding, and one training step's loss and gradients, with the plain and with the fused operators.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use tessera::codec::{Codec, CodecConfig, DetailMask, EMPTY, TrainOptions};
use tessera::kernels::{Padding, set_plain_ops};

/// Largest difference allowed, absolute for pixels and vectors (of size about 1), relative for gradients.
const TOLERANCE: f32 = 1e-4;

struct Golden {
    config: CodecConfig,
    weights: BTreeMap<String, Tensor>,
    expected: BTreeMap<String, Tensor>,
}

impl Golden {
    fn load() -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let config = &metadata.metadata().as_ref().unwrap()["config"];
        let mut weights = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for (name, tensor) in candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap() {
            match name.strip_prefix("golden.") {
                Some(name) => expected.insert(name.to_owned(), tensor),
                None => weights.insert(name, tensor),
            };
        }
        Self {
            config: serde_json::from_str(config).unwrap(),
            weights,
            expected,
        }
    }

    fn codec(&self) -> Codec {
        Codec::from_tensors(self.config.clone(), self.weights.clone(), &Device::Cpu).unwrap()
    }

    fn codes(&self, level: &str) -> Tensor {
        let codes = &self.expected[&format!("{level}_codes")];
        codes.to_dtype(DType::U32).unwrap()
    }

    fn assert_close(&self, name: &str, found: &Tensor) {
        let expected = &self.expected[name];
        assert_eq!(found.dims(), expected.dims(), "{name}");
        let difference = largest(&(found - expected).unwrap());
        eprintln!("{name}: largest difference {difference:e}");
        assert!(difference <= TOLERANCE, "{name}: {difference}");
    }

    fn assert_same_codes(&self, level: &str, found: &Tensor) {
        let margins = host(&self.expected[&format!("{level}_margin")]);
        let closest = margins.iter().copied().fold(f32::INFINITY, f32::min);
        eprintln!(
            "{level} codes: closest tie among {} is {closest:e}",
            margins.len()
        );
        let wanted: Vec<u32> = self.codes(level).flatten_all().unwrap().to_vec1().unwrap();
        let found: Vec<u32> = found.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(found.len(), wanted.len());
        let mut compared = 0;
        for ((found, wanted), margin) in found.iter().zip(&wanted).zip(&margins) {
            if *margin > TOLERANCE {
                assert_eq!(found, wanted, "{level}, margin {margin}");
                compared += 1;
            }
        }
        assert!(compared * 100 >= margins.len() * 95);
        let distinct: std::collections::BTreeSet<_> = wanted.iter().collect();
        assert!(distinct.len() > 4, "the codes do not vary");
    }
}

fn host(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn largest(x: &Tensor) -> f32 {
    host(x).iter().map(|value| value.abs()).fold(0.0, f32::max)
}

fn encode_and_decode(golden: &Golden) {
    let codec = golden.codec();
    let pixels = &golden.expected["pixels"];
    let (structure, detail) = codec.encode_vectors(pixels, Padding::Zero).unwrap();
    golden.assert_close("structure_vectors", &structure);
    golden.assert_close("detail_vectors", &detail);
    let (structure, detail) = codec.encode(pixels, Padding::Zero).unwrap();
    golden.assert_same_codes("structure", &structure);
    golden.assert_same_codes("detail", &detail);

    let structure = golden.codes("structure");
    let holes = golden.expected["holes"].ne(0f32).unwrap();
    let detail = golden.codes("detail");
    let empty = Tensor::full(EMPTY, detail.shape(), &Device::Cpu).unwrap();
    let detail = holes.where_cond(&empty, &detail).unwrap();
    let wrap = Padding::Wrap { x: true, y: true };
    golden.assert_close(
        "decoded",
        &codec.decode(&structure, &detail, Padding::Zero).unwrap(),
    );
    golden.assert_close("wrapped", &codec.decode(&structure, &detail, wrap).unwrap());
    golden.assert_close(
        "structure_only",
        &codec
            .decode_structure_only(&structure, Padding::Zero)
            .unwrap(),
    );
}

fn training_step(golden: &Golden) {
    let codec = golden.codec();
    let pixels = &golden.expected["pixels"];
    let mask = DetailMask::from_tensor(&golden.expected["dropped"]).unwrap();
    let pass = codec
        .forward_train(pixels, &mask, &TrainOptions::default())
        .unwrap();
    let l1 = |recon: &Tensor| (recon - pixels).unwrap().abs().unwrap().mean_all().unwrap();
    let loss = ((l1(&pass.recon) + (l1(&pass.structure_recon.unwrap()) * 0.5).unwrap()).unwrap()
        + (pass.commit_loss * 0.25).unwrap())
    .unwrap();
    golden.assert_close("loss", &loss);
    let grads = codec.params().backward(&loss).unwrap();
    let mut worst = (0f32, String::new());
    for param in codec.params().params() {
        let name = param.name();
        let found = grads.get(name).unwrap().unwrap();
        let expected = &golden.expected[&format!("grad.{name}")];
        let size = largest(expected);
        assert!(size > 0.0, "{name} has no gradient to compare");
        let difference = largest(&(found - expected).unwrap()) / size;
        assert!(difference <= TOLERANCE, "{name}: {difference}");
        if difference > worst.0 {
            worst = (difference, name.to_owned());
        }
    }
    eprintln!("gradients: largest relative difference {worst:?}");
}

/// One test, because the choice of operators holds for the whole process.
#[test]
fn agrees_with_pytorch() {
    let golden = Golden::load();
    for plain in [true, false] {
        eprintln!("— {} operators", if plain { "plain" } else { "fused" });
        set_plain_ops(plain);
        encode_and_decode(&golden);
        training_step(&golden);
    }
}

/// PyTorch's side, where this machine has Python with numpy, torch and safetensors; `TESSERA_PYTHON` names another interpreter.
fn python_with_torch() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("TESSERA_PYTHON").unwrap_or_else(|| "python3".into());
    let imports = std::process::Command::new(&python)
        .args(["-c", "import numpy, torch, safetensors.torch"])
        .output();
    let has_them = imports.is_ok_and(|output| output.status.success());
    has_them.then_some(python)
}

#[test]
fn the_twin_reads_the_shipped_model() {
    let Some(python) = python_with_torch() else {
        eprintln!("skipped: needs python3 (or TESSERA_PYTHON) with numpy, torch and safetensors");
        return;
    };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let model = root.join("models/base.safetensors");
    let codec = Codec::load_file(&model, &Device::Cpu).unwrap();
    let picture = image::open(root.join("assets/samples/parrot.png")).unwrap();
    let picture = picture.crop_imm(40, 40, 96, 64).into_rgb8();
    let pixels: Vec<f32> = picture
        .pixels()
        .flat_map(|p| [p[0], p[1], p[2], 255].map(|v| f32::from(v) * (2.0 / 255.0) - 1.0))
        .collect();
    let pixels = Tensor::from_vec(pixels, (1, 64, 96, 4), &Device::Cpu).unwrap();
    let (structure, detail) = codec.encode(&pixels, Padding::Zero).unwrap();
    let decoded = codec.decode(&structure, &detail, Padding::Zero).unwrap();
    let embedding = codec.embed(&pixels, Padding::Zero).unwrap().unwrap();
    let whole = |codes: Tensor| codes.to_dtype(DType::I64).unwrap();
    let tensors = std::collections::HashMap::from([
        ("pixels", pixels),
        ("structure_codes", whole(structure)),
        ("detail_codes", whole(detail)),
        ("decoded", decoded),
        ("embedding", embedding),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("tessera.safetensors");
    candle_core::safetensors::save(&tensors, &ours).unwrap();
    let output = std::process::Command::new(python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(root.join("tests/golden/check_model.py"))
        .args([&model, &ours])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    eprint!("{out}");
}
