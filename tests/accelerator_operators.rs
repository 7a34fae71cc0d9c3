//! The network computes with operators that candle's CUDA and Metal backends get right, forward and backward.
//!
//! candle keeps a graph's operators to itself, so the sources that build graphs are read instead: every call of a
//! tensor method has to be on the allow-list below. `tessera-cli selftest` is the check at run time.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the lists below were made from: a newer candle has to be looked at again.
const CANDLE: &str = "0.11.1";

/// Files and folders that compute with tensors on any device. What runs on the CPU alone is not among them.
const SOURCES: [&str; 9] = [
    "src/kernels/mod.rs",
    "src/kernels/plain.rs",
    "src/kernels/adamw.rs",
    "src/codec",
    "src/train/loss",
    "src/train/measure/evaluate.rs",
    "src/train/run/codec_task.rs",
    "src/canvas/decode.rs",
    "src/engine/device/selftest.rs",
];

/// Correct on both backends, with a correct gradient where the network needs one. `where_cond` only with a condition of
/// `u8` or `u32`; `index_select` only on tables that are not trained (its gradient would be an `index_add`).
const ALLOWED: &str = "
    abs add affine arange broadcast_add broadcast_as broadcast_div broadcast_eq broadcast_mul broadcast_sub cat clamp
    contiguous copy div eq exp eye flatten_all from_slice from_vec full gelu index_select log matmul max_keepdim maximum mean mean_all
    mean_keepdim min min_keepdim minimum narrow ne neg ones ones_like pad_with_zeros permute powf recip relu repeat reshape
    sqr sqrt squeeze stack sum sum_all sum_keepdim t tanh to_device to_dtype to_scalar to_vec1 to_vec2 to_vec3
    transpose unsqueeze where_cond zeros zeros_like";

/// Of tensors, too, but computing nothing; `apply_op2` and `inplace_op1` run our own operators, which the CPU alone has.
const ABOUT_TENSORS: &str = "
    apply_op2 as_detached_tensor as_tensor contiguous_offsets detach device dim dims dims2 dims3 dims4 dtype elem_count
    inplace_op1 is_cpu new rank shape";

/// Methods of Rust's own types. What this crate defines need not be listed.
const ELSEWHERE: &str = "
    and_then any as_chunks as_chunks_mut as_file as_os_str as_ref as_secs_f64 cast_signed cast_unsigned chunks_exact
    chunks_exact_mut clone cloned collect concat copy_from_slice copysign cos div div_ceil div_euclid elapsed enumerate
    err extend_from_slice filter_map first first_mut flat_map flatten fold for_each get_mut into into_iter is_err
    is_multiple_of is_nan is_none is_none_or is_ok is_some is_some_and iter_mut last last_mut ln map_err map_or max
    max_by_key ne next_u32 next_u64 ok ok_or_else par_chunks par_chunks_mut par_iter par_iter_mut parent partition
    persist pow powi pp random_range resize rev reverse rotate_left rposition saturating_add saturating_mul
    saturating_sub set_stream sin sort_by split_at starts_with step_by sync_all then then_some to_bits to_owned
    to_string to_vec total_cmp truncate try_for_each unsigned_abs unwrap unwrap_or unwrap_or_else wrapping_mul write_all
    zip";

/// Methods of candle's tensors by name that are called of something else here: parameters, iterators, maps, numbers. (Of a tensor, `norm`
/// and `var` would be compositions, the others sound.)
const OF_OTHERS: &str = "cos flatten get max norm pow sin var";

/// All that candle's `Tensor` can be asked for, read off its sources: what is not on a list above is not allowed, whatever it is.
fn tensor_methods() -> BTreeSet<String> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .unwrap();
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let mut candle = packages.filter(|package| package["name"] == "candle-core");
    let candle = candle.next().unwrap();
    assert_eq!(
        candle["version"], CANDLE,
        "candle has another version: look at its operators again, then correct the lists"
    );
    let manifest = Path::new(candle["manifest_path"].as_str().unwrap());
    let sources = manifest.parent().unwrap().join("src");
    let mut names = BTreeSet::new();
    for file in [
        "tensor.rs",
        "tensor_cat.rs",
        "sort.rs",
        "conv.rs",
        "custom_op.rs",
    ] {
        let text = std::fs::read_to_string(sources.join(file)).unwrap();
        let public = text
            .match_indices("pub fn ")
            .map(|(at, start)| at + start.len());
        let made = MACROS.iter().flat_map(|name| {
            let starts = text.match_indices(name);
            starts
                .map(|(at, start)| at + start.len())
                .collect::<Vec<_>>()
        });
        for at in public.chain(made) {
            let name = text[at..].split(|c: char| !is_word(c)).next().unwrap();
            names.insert(name.to_owned());
        }
    }
    names
}

/// candle's macros that define methods; their first argument is the name.
const MACROS: [&str; 4] = [
    "\n    unary_op!(",
    "\n    binary_op!(",
    "\n    binary_op_scalar!(",
    "\n    broadcast_binary_op!(",
];

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_path_buf()];
    }
    let entries = std::fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect()
}

/// Names that are called as methods (`.name(`) or of the type itself (`Tensor::name(`).
fn called(source: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for start in [".", "Tensor::"] {
        for (at, _) in source.match_indices(start) {
            let rest = &source[at + start.len()..];
            let name = rest.split(|c| !is_word(c)).next().unwrap_or_default();
            let after = &rest[name.len()..];
            let is_call = after.starts_with('(') || after.starts_with("::<");
            if is_call && !name.is_empty() {
                names.insert(name);
            }
        }
    }
    names
}

fn words(list: &str) -> BTreeSet<&str> {
    list.split_whitespace().collect()
}

/// Functions that some source defines.
fn defined(source: &str) -> impl Iterator<Item = &str> {
    let starts = source.match_indices("fn ");
    starts.filter_map(move |(at, start)| {
        let name = source[at + start.len()..].split(|c| !is_word(c)).next()?;
        (!name.is_empty()).then_some(name)
    })
}

/// What is called and must not be: methods of tensors (`methods`) that no list allows, and what nobody here (`own`) defines.
fn forbidden<'a>(
    source: &'a str,
    methods: &BTreeSet<String>,
    own: &BTreeSet<String>,
) -> Vec<&'a str> {
    let known = |lists: &[&'static str]| -> BTreeSet<&str> {
        lists.iter().copied().flat_map(words).collect()
    };
    let of_tensors = known(&[ALLOWED, ABOUT_TENSORS, OF_OTHERS]);
    let elsewhere = known(&[ELSEWHERE]);
    let is_fine = |name: &&str| {
        of_tensors.contains(name)
            || (!methods.contains(*name) && (own.contains(*name) || elsewhere.contains(name)))
    };
    let mut called: Vec<_> = called(source).into_iter().collect();
    called.retain(|name| !is_fine(name));
    called
}

#[test]
fn graphs_are_built_of_allowed_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let methods = tensor_methods();
    let own: BTreeSet<String> = files(&root.join("src"))
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            defined(&text).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let mut seen = BTreeSet::new();
    for file in SOURCES.iter().flat_map(|source| files(&root.join(source))) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            forbidden(&text, &methods, &own),
            Vec::<&str>::new(),
            "{}: look at what candle's CUDA and Metal backends make of these, forward and backward, then list them",
            file.display()
        );
        seen.extend(called(&text).into_iter().map(str::to_owned));
    }
    // An empty list of sources would pass too.
    assert!(
        ["matmul", "narrow", "broadcast_mul", "where_cond"]
            .iter()
            .all(|name| seen.contains(*name))
    );
}

#[test]
fn what_is_not_on_a_list_is_found() {
    let methods = tensor_methods();
    // Of each file and each macro that defines some.
    for name in [
        "matmul",
        "cat",
        "sort_last_dim",
        "conv2d",
        "apply_op2",
        "gelu",
        "sub",
        "maximum",
        "broadcast_mul",
    ] {
        assert!(methods.contains(name), "{name}");
    }
    let own = BTreeSet::from(["our_own".to_owned(), "embedding".to_owned()]);
    let forbidden = |source: &'static str| forbidden(source, &methods, &own);
    assert_eq!(forbidden("let y = x.conv2d(&w, 1, 1, 1, 1)?;"), ["conv2d"]);
    assert_eq!(forbidden("Tensor::randn(0f32, 1.0, 3, device)"), ["randn"]);
    assert_eq!(
        forbidden("x.matmul(&y)?.upsample_nearest2d(4, 4)"),
        ["upsample_nearest2d"]
    );
    // What is neither ours nor of a list, for example an operator that is called through a trait.
    assert_eq!(
        forbidden("x.our_own()?.fused_attention(&y)"),
        ["fused_attention"]
    );
    // A function of ours does not hide an operator of the same name that nobody has looked at.
    assert_eq!(forbidden("x.embedding(&ids)"), ["embedding"]);
    assert!(forbidden("// conv2d is not used\nlet conv2d = x.narrow(0, 1, 2)?;").is_empty());
}
