//! Checkpoint files: nothing is lost, and nothing that a stranger writes into one does harm.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use candle_core::{Device, Tensor};
use serde_json::json;
use tessera::codec::checkpoint::Precision;
use tessera::codec::{CheckpointInfo, Codec, CodecConfig};
use tessera::error::Kind;
use tessera::kernels::Padding;

fn codec() -> Codec {
    let mut codec = Codec::new(CodecConfig::tiny(), 4, &Device::Cpu).unwrap();
    codec.info = CheckpointInfo {
        metrics: json!({"psnr_db": 21.5}),
        training: json!({"pictures": 12, "licence": "CC0"}),
        ..CheckpointInfo::default()
    };
    codec
}

fn load(bytes: &[u8]) -> Result<Codec, Kind> {
    Codec::load_bytes(bytes, &Device::Cpu).map_err(|error| {
        assert!(!error.notice.why.is_empty());
        error.kind
    })
}

fn refused(bytes: &[u8]) -> Kind {
    load(bytes).map(|_| ()).unwrap_err()
}

/// The file with its JSON header changed, as someone with a text editor and patience could.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    change(&mut header);
    let header = serde_json::to_vec(&header).unwrap();
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend(header);
    changed.extend(&bytes[8 + length..]);
    changed
}

/// The same for what Tessera itself keeps in the header.
fn with_description(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    with_header(bytes, |header| {
        let text = header["__metadata__"]["tessera"].as_str().unwrap();
        let mut description = serde_json::from_str(text).unwrap();
        change(&mut description);
        header["__metadata__"]["tessera"] = description.to_string().into();
    })
}

#[test]
fn a_saved_codec_is_the_same_codec() {
    let codec = codec();
    let bytes = codec.save_bytes(Precision::F32).unwrap();
    assert_eq!(bytes, codec.save_bytes(Precision::F32).unwrap());
    let loaded = load(&bytes).unwrap();
    assert_eq!(loaded.config(), codec.config());
    assert_eq!(loaded.info, codec.info);
    assert_eq!(loaded.model_hash().unwrap(), codec.model_hash().unwrap());
    let pixels = Tensor::rand(-1f32, 1f32, (1, 32, 32, 4), &Device::Cpu).unwrap();
    let codes = |codec: &Codec| -> Vec<u32> {
        let (_, detail) = codec.encode(&pixels, Padding::Zero).unwrap();
        detail.flatten_all().unwrap().to_vec1().unwrap()
    };
    assert_eq!(codes(&loaded), codes(&codec));
}

#[test]
fn half_precision_halves_the_file_and_keeps_its_hash_from_then_on() {
    let codec = codec();
    let single = codec.save_bytes(Precision::F32).unwrap();
    let half = codec.save_bytes(Precision::F16).unwrap();
    assert!(half.len() < single.len() * 2 / 3);
    let loaded = load(&half).unwrap();
    let hash = loaded.model_hash().unwrap();
    assert_ne!(hash, codec.model_hash().unwrap());
    let again = load(&loaded.save_bytes(Precision::F32).unwrap()).unwrap();
    assert_eq!(again.model_hash().unwrap(), hash);
}

#[test]
fn files_are_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let codec = codec();
    codec.save_file(&path, Precision::F32).unwrap();
    codec.save_file(&path, Precision::F16).unwrap();
    Codec::load_file(&path, &Device::Cpu).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let missing = Codec::load_file(&folder.path().join("none"), &Device::Cpu).unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound);
    assert!(missing.path().is_some());
    let no_file = Codec::load_file(folder.path(), &Device::Cpu).unwrap_err();
    assert_eq!(no_file.kind, Kind::Foreign);
}

#[test]
fn other_files_are_told_apart() {
    let good = codec().save_bytes(Precision::F32).unwrap();
    assert_eq!(refused(&[]), Kind::Damaged);
    assert_eq!(refused(b"\x89PNG\r\n\x1a\n and more bytes"), Kind::Foreign);
    assert_eq!(refused(&good[..good.len() - 1]), Kind::Damaged);
    assert_eq!(refused(&good[..300]), Kind::Damaged);
    let foreign = with_header(&good, |header| {
        header.as_object_mut().unwrap().remove("__metadata__");
    });
    assert_eq!(refused(&foreign), Kind::Foreign);
    let other_kind = with_description(&good, |d| d["kind"] = "tessera-prior".into());
    assert_eq!(refused(&other_kind), Kind::Foreign);
    let newer = with_description(&good, |d| {
        d["format"] = 2.into();
        d["config"] = "something new".into();
    });
    assert_eq!(refused(&newer), Kind::Newer);
}

#[test]
fn a_changed_weight_is_noticed() {
    let mut bytes = codec().save_bytes(Precision::F32).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    assert_eq!(refused(&bytes), Kind::Damaged);
}

#[test]
fn numbers_that_are_none_are_refused() {
    let mut bytes = codec().save_bytes(Precision::F32).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(refused(&bytes), Kind::Damaged);

    let broken = codec();
    let param = broken.params().params().remove(0);
    let poisoned = (param.tensor().detach() * f64::NAN).unwrap();
    param.set(&poisoned).unwrap();
    let error = broken.save_bytes(Precision::F32).unwrap_err();
    assert_eq!(error.kind, Kind::NotFinite);
    let large = codec();
    let param = large.params().params().remove(0);
    let values = (param.tensor().ones_like().unwrap() * 1e6).unwrap();
    param.set(&values).unwrap();
    assert!(large.save_bytes(Precision::F32).is_ok());
    let error = large.save_bytes(Precision::F16).unwrap_err();
    assert_eq!(error.kind, Kind::NotFinite);
}

#[test]
fn layouts_are_bounded_before_anything_is_made() {
    let good = codec().save_bytes(Precision::F32).unwrap();
    let with_config = |pointer: &str, value: serde_json::Value| {
        with_description(&good, |description| {
            *description["config"].pointer_mut(pointer).unwrap() = value;
        })
    };
    for (pointer, value, kind) in [
        ("/stages/0/width", json!(1u64 << 40), Kind::Limit),
        ("/stages/0/width", json!(0), Kind::Limit),
        ("/stages/2/encoder_depth", json!(1_000_000), Kind::Limit),
        ("/structure/codes", json!(4_000_000_000u64), Kind::Limit),
        ("/detail/dim", json!(0), Kind::Limit),
        ("/embedding", json!(0), Kind::Limit),
        ("/embedding", json!({"words": 300, "bands": 3}), Kind::Limit),
        ("/embedding", json!({"words": 0, "bands": 3}), Kind::Limit),
        (
            "/embedding",
            json!({"words": u64::MAX, "bands": u64::MAX}),
            Kind::Limit,
        ),
        ("/embedding", json!({"words": 8}), Kind::Damaged),
        ("/detail/stride", json!(3), Kind::Unsupported),
        ("/detail/stride", json!(16), Kind::Unsupported),
        ("/stages/2/stride", json!(32), Kind::Unsupported),
        ("/stages", json!([]), Kind::Unsupported),
        ("/stages/0/stride", json!(-4), Kind::Damaged),
        ("/stages/0/width", json!(9), Kind::Damaged),
    ] {
        let bytes = with_config(pointer, value);
        assert_eq!(refused(&bytes), kind, "{pointer}");
    }
    let mut long = good.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(refused(&long), Kind::Damaged);
    let renamed = with_header(&good, |header| {
        let object = header.as_object_mut().unwrap();
        let tensor = object.remove("detail.empty").unwrap();
        object.insert("detail.full".to_owned(), tensor);
    });
    assert_eq!(refused(&renamed), Kind::Damaged);
    let retyped = with_header(&good, |header| {
        header["detail.empty"]["dtype"] = "I32".into()
    });
    assert_eq!(refused(&retyped), Kind::Unsupported);
}

proptest::proptest! {
    /// Any byte changed, or the file cut anywhere: an error or the same codec, never a panic.
    #[test]
    fn damage_never_panics(at: proptest::sample::Index, value: u8, cut: bool) {
        let good = codec().save_bytes(Precision::F16).unwrap();
        let mut bytes = good.clone();
        if cut {
            bytes.truncate(at.index(good.len()));
        } else {
            // Mostly in the header, where the meaning is.
            let place = at.index(good.len().min(12_000));
            bytes[place] = value;
        }
        if bytes != good {
            let _ = load(&bytes);
        }
    }
}

#[test]
fn the_layout_lists_every_tensor() {
    for config in [CodecConfig::tiny(), CodecConfig::default()] {
        let codec = Codec::new(config.clone(), 1, &Device::Cpu).unwrap();
        let shapes: std::collections::BTreeMap<_, _> = codec
            .tensors()
            .into_iter()
            .map(|(name, tensor)| (name, tensor.dims().to_vec()))
            .collect();
        assert_eq!(shapes, config.tensor_shapes());
    }
}
