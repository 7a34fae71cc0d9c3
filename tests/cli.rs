//! The command line as a person uses it: every command on real files, exit codes, and what is written.
#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tessera::codec::checkpoint::Precision;
use tessera::codec::{Codec, CodecConfig};

/// A folder with a small model in it, so that each command takes a moment only.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let codec = Codec::new(CodecConfig::tiny(), 3, &candle_core::Device::Cpu).unwrap();
        codec
            .save_file(&folder.path().join("tiny.safetensors"), Precision::F32)
            .unwrap();
        tessera::engine::write_samples(&folder.path().join("pictures")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tessera-cli"))
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    /// Runs with `--json`, expects success, and gives the final event.
    fn ok(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        let events = events(&output);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        let last = events.last().unwrap().clone();
        assert_eq!(last["event"], "finished", "{arguments:?}: {events:?}");
        last
    }

    /// Expects this exit code and gives what was said.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            text(&output)
        );
        text(&output)
    }
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Each line is one event; each started job has exactly one final event.
fn events(output: &Output) -> Vec<Value> {
    let events: Vec<Value> = String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let is = |event: &Value, names: &[&str]| names.iter().any(|name| event["event"] == *name);
    let started = events.iter().filter(|e| is(e, &["started"])).count();
    let ended = events
        .iter()
        .filter(|e| is(e, &["finished", "cancelled", "failed"]))
        .count();
    assert_eq!(started, ended, "{events:?}");
    events
}

fn size(path: &Path) -> (u32, u32) {
    image::image_dimensions(path).unwrap()
}

#[test]
fn the_main_job_from_a_folder_to_an_exported_edit() {
    let bench = Bench::new();
    let imported = bench.ok(&["import", "p.tessera", "pictures"]);
    assert_eq!(imported["report"]["added"], 22);
    let again = bench.ok(&["import", "p.tessera", "pictures"]);
    assert_eq!(again["report"]["added"], 0);
    assert_eq!(again["report"]["unchanged"], 22);

    let trained = bench.ok(&[
        "train",
        "p.tessera",
        "--model",
        "tiny.safetensors",
        "--steps",
        "6",
    ]);
    assert_eq!(trained["report"]["steps"], 6);
    assert!(trained["report"]["best"]["psnr_db"].as_f64().unwrap() > 3.0);

    let project = ["--project", "p.tessera"];
    let picture = "pictures/kitten-on-lawn.jpg";
    bench.ok(&[
        &["reconstruct", picture, "pictures/parrot.png", "--out", "r"],
        &project[..],
    ]
    .concat());
    assert_eq!(size(&bench.path("r/parrot.reconstruction.png")), (255, 256));
    assert!(bench.path("r/sheet.png").exists());

    // Its codes from the picture itself, before the project has an index.
    bench.ok(&[&["encode", picture, "-o", "direct.json"], &project[..]].concat());
    bench.ok(&[&["codebook", "-o", "codes.png"], &project[..]].concat());
    assert!(size(&bench.path("codes.png")).0 > 500);
    // The sheet counted all pictures that are used, and what it encoded is kept.
    let indexed = bench.ok(&["index", "p.tessera"]);
    let usable = indexed["report"]["kept"].as_u64().unwrap();
    assert!(usable > 15 && indexed["report"]["new"] == 0, "{indexed}");

    bench.ok(&[&["encode", picture, "-o", "k.json"], &project[..]].concat());
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    assert_eq!(read("k.json"), read("direct.json"));
    bench.ok(&[&["decode", "k.json", "-o", "k.png"], &project[..]].concat());
    assert_eq!(size(&bench.path("k.png")), (384, 260));

    let script = r#"{"tessera_edits": 1, "operations": [
        {"op": "paint", "level": "structure", "code": 1, "points": [[2.5, 2.5], [5.5, 2.5]]}]}"#;
    std::fs::write(bench.path("s.json"), script).unwrap();
    bench.ok(&[
        &["edit", picture, "--script", "s.json", "-o", "e.png"],
        &project[..],
    ]
    .concat());
    assert_eq!(size(&bench.path("e.png")), (384, 260));
    bench.ok(&["export", "p.tessera", "-o", "again.png"]);
    let pixels = |name: &str| image::open(bench.path(name)).unwrap().to_rgba8();
    assert_eq!(pixels("again.png"), pixels("e.png"));
    bench.ok(&["export", "p.tessera", "-o", "again.webp"]);
    assert_eq!(pixels("again.webp"), pixels("e.png"));

    let info = bench.ok(&["info", "p.tessera"]);
    assert_eq!(info["report"]["pictures"]["total"], 22);
    assert_eq!(info["report"]["documents"][0]["strokes"], 1);
    bench.ok(&["check", "p.tessera"]);
}

#[test]
fn an_exported_png_brings_its_document_back() {
    let bench = Bench::new();
    bench.ok(&["new", "p.tessera"]);
    bench.ok(&["import", "p.tessera", "pictures"]);
    bench.ok(&[
        "train",
        "p.tessera",
        "--model",
        "tiny.safetensors",
        "--steps",
        "2",
    ]);
    let script = r#"{"tessera_edits": 1, "operations": [
        {"op": "stamp", "level": "structure", "at": [0, 0], "copy": {"x": 8, "y": 8, "width": 3, "height": 3}}]}"#;
    std::fs::write(bench.path("s.json"), script).unwrap();
    let edit = [
        "edit",
        "pictures/pig.png",
        "--script",
        "s.json",
        "-o",
        "e.png",
        "--project",
        "p.tessera",
    ];
    bench.ok(&edit);

    let imported = bench.ok(&["import", "p.tessera", "e.png"]);
    assert_eq!(imported["report"]["restored_documents"], 1);
    let opened = bench.ok(&["open", "p.tessera", "e.png"]);
    assert_eq!(opened["report"]["name"], "e 2");
    bench.ok(&["export", "p.tessera", "e 2", "-o", "back.png"]);
    let pixels = |name: &str| image::open(bench.path(name)).unwrap().to_rgba8();
    assert_eq!(pixels("back.png"), pixels("e.png"));

    // Undoing what came back gives the source.
    let undo = r#"{"tessera_edits": 1, "operations": [{"op": "undo"}]}"#;
    std::fs::write(bench.path("undo.json"), undo).unwrap();
    bench.ok(&[
        "edit",
        "e 2",
        "--script",
        "undo.json",
        "-o",
        "source.png",
        "--project",
        "p.tessera",
    ]);
    assert_eq!(pixels("source.png"), pixels("pictures/pig.png"));
}

#[test]
fn bench_measures_everything_it_says() {
    let bench = Bench::new();
    let model = ["bench", "--model", "tiny.safetensors"];
    let sizes = [
        "--rounds",
        "1",
        "--batch",
        "1",
        "--crop",
        "32",
        "--picture",
        "64",
        "--canvas",
        "64,96",
        "--dabs",
        "3",
    ];
    let done = bench.ok(&[&model[..], &sizes[..]].concat());
    let report = &done["report"];
    let above_zero = |value: &Value| value.as_f64().is_some_and(|v| v > 0.0);
    for figure in [
        "/threads",
        "/training/pictures_per_second",
        "/training/step_ms",
        "/training/product_gflops",
        "/pictures/encode_megapixels_per_second",
        "/pictures/decode_megapixels_per_second",
        "/pictures/nearest_codes_per_second",
        "/memory/training_peak_mib",
        "/memory/peak_mib",
    ] {
        let value = report.pointer(figure).unwrap_or(&Value::Null);
        assert!(above_zero(value), "{figure}: {report}");
    }
    assert!(report["training"]["share_of_product_rate"].is_f64());
    assert_eq!(report["options"]["canvas_px"], serde_json::json!([64, 96]));
    let dabs = report["dabs"].as_array().unwrap();
    let kinds: Vec<_> = (dabs.iter())
        .map(|dab| (dab["level"].as_str().unwrap(), dab["canvas_px"].as_u64()))
        .collect();
    let (small, large) = (Some(64), Some(96));
    let [d, s] = ["detail", "structure"];
    assert_eq!(kinds, [(d, small), (d, large), (s, small), (s, large)]);
    for dab in dabs {
        assert!(above_zero(&dab["p50_ms"]), "{dab}");
        assert!(dab["p95_ms"].as_f64() >= dab["p50_ms"].as_f64(), "{dab}");
    }

    let said = text(&bench.run(&[&model[..], &sizes[..]].concat()));
    assert!(said.contains("pictures/s"), "{said}");
    assert!(said.contains("canvas_px 96"), "{said}");

    let said = bench.fails(2, &[&model[..], &["--crop", "40"]].concat());
    assert!(said.contains("multiple of 16"), "{said}");
    bench.fails(2, &[&model[..], &["--rounds", "0"]].concat());
}

#[test]
fn mistakes_are_explained_and_nothing_is_lost() {
    let bench = Bench::new();
    let tiny = ["--model", "tiny.safetensors"];
    let said = bench.fails(1, &["info", "missing.tessera"]);
    assert!(said.contains("missing.tessera"), "{said}");
    bench.fails(2, &["train"]);
    bench.fails(2, &["no-such-command"]);
    bench.fails(2, &["--device", "abacus", "info", "p.tessera"]);

    bench.ok(&["new", "p.tessera"]);
    let said = bench.fails(1, &["train", "p.tessera", "--steps", "1", "--from-scratch"]);
    assert!(
        said.contains("no usable pictures") && said.contains("Import"),
        "{said}"
    );
    bench.ok(&["import", "p.tessera", "pictures/pig.png"]);
    let said = bench.fails(1, &["train", "p.tessera", "--resume"]);
    assert!(said.contains("no run"), "{said}");
    let said = bench.fails(2, &["new", "p.tessera"]);
    assert!(said.contains("p.tessera"), "{said}");

    std::fs::write(
        bench.path("s.json"),
        r#"{"tessera_edits": 1, "operations": [{"op": "pain"}]}"#,
    )
    .unwrap();
    let edit = [
        "edit",
        "pictures/pig.png",
        "--script",
        "s.json",
        "-o",
        "e.png",
    ];
    let said = bench.fails(2, &[&edit[..], &tiny[..]].concat());
    assert!(said.contains("operation 0"), "{said}");
    assert!(!bench.path("e.png").exists());

    let encode = ["encode", "pictures/pig.png", "-o", "tiny.safetensors"];
    let before = std::fs::read(bench.path("tiny.safetensors")).unwrap();
    let said = bench.fails(2, &[&encode[..], &tiny[..]].concat());
    assert!(
        said.contains("exists") || said.contains("already"),
        "{said}"
    );
    assert_eq!(
        std::fs::read(bench.path("tiny.safetensors")).unwrap(),
        before
    );

    std::fs::write(bench.path("x.tessera"), "Dear diary").unwrap();
    let said = bench.fails(1, &["check", "x.tessera"]);
    assert!(said.contains("x.tessera"), "{said}");
    assert_eq!(
        std::fs::read(bench.path("x.tessera")).unwrap(),
        b"Dear diary"
    );
}

/// Runs with both outputs piped, reads `lines` of the first and closes it; gives the exit code and what was said.
fn leave_after(bench: &Bench, lines: usize, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tessera-cli"))
        .args(arguments)
        .current_dir(bench.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..lines {
        out.read_line(&mut String::new()).unwrap();
    }
    drop(out);
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly_and_keeps_a_fine_tune() {
    let bench = Bench::new();
    bench.ok(&["import", "p.tessera", "pictures"]);
    for arguments in [
        &["info", "p.tessera"][..],
        &["--json", "info", "p.tessera"],
        &["check", "p.tessera", "--json"],
        &["--help"],
    ] {
        let (code, said) = leave_after(&bench, 0, arguments);
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        // Whether the work was done by then is a matter of moments.
        assert!(
            matches!(code, Some(0 | 141)),
            "{arguments:?}: {code:?} {said}"
        );
    }
    let train = ["train", "p.tessera", "--model", "tiny.safetensors"];
    let train = [&["--json"], &train[..], &["--steps", "100000"]].concat();
    let (code, said) = leave_after(&bench, 3, &train);
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(code, Some(141), "as one ended by SIGPIPE: {said}");
    let info = bench.ok(&["info", "p.tessera"]);
    assert_eq!(info["report"]["runs"][0]["status"], "paused");
    let resumed = bench.ok(&["train", "p.tessera", "--resume", "--steps", "1"]);
    assert_eq!(resumed["report"]["run"], info["report"]["runs"][0]["id"]);
}

#[test]
fn mistakes_are_found_before_anything_is_done() {
    let bench = Bench::new();
    let tiny = ["--model", "tiny.safetensors"];
    bench.ok(&["new", "p.tessera"]);
    bench.ok(&["import", "p.tessera", "pictures/pig.png"]);
    let before = entries(&bench);
    let steps = ["train", "p.tessera", "--steps", "0"];
    assert!(bench.fails(2, &steps).contains("--steps"));
    for minutes in ["0", "-1", "nan", "inf"] {
        let minutes = format!("--minutes={minutes}");
        bench.fails(2, &["train", "p.tessera", &minutes]);
        bench.fails(2, &["demo", "new", &minutes]);
    }
    bench.fails(2, &["timelapse", "p.tessera", "-o", "t.gif", "--fps", "0"]);
    bench.fails(2, &["timelapse", "p.tessera", "-o", "t.doc"]);
    bench.fails(2, &["bench", "--picture", "100"]);

    // Nothing is made for what is not there, or is no picture.
    let said = bench.fails(1, &["import", "new.tessera", "pictures", "missing"]);
    assert!(said.contains("missing"), "{said}");
    bench.fails(1, &["open", "new.tessera", "missing.png"]);
    bench.fails(1, &["open", "new.tessera", "tiny.safetensors"]);
    bench.fails(2, &["reconstruct", "tiny.safetensors", "--out", "r"]);
    assert_eq!(entries(&bench), before);

    // Nor where the result could not be written.
    let script = r#"{"tessera_edits": 1, "operations": [
        {"op": "paint", "level": "structure", "code": 1, "points": [[2.5, 2.5]]}]}"#;
    std::fs::write(bench.path("s.json"), script).unwrap();
    let before = entries(&bench);
    for (out, code) in [
        ("no/such/folder/e.png", 1),
        ("pictures", 2),
        ("tiny.safetensors", 2),
        ("e.doc", 2),
        ("s.json", 2),
    ] {
        let edit = ["edit", "pictures/pig.png", "--script", "s.json", "-o", out];
        bench.fails(code, &[&edit[..], &["--project", "p.tessera"]].concat());
        let codebook = ["codebook", "-o", out];
        bench.fails(code, &[&codebook[..], &tiny].concat());
    }
    // The script is read before the picture is stored, and what it cannot do takes the picture back.
    let impossible = script.replace("\"code\": 1", "\"code\": 60000");
    std::fs::write(bench.path("s.json"), impossible).unwrap();
    let edit = [
        "edit",
        "pictures/pig.png",
        "--script",
        "s.json",
        "-o",
        "e.png",
    ];
    let edit = [&edit[..], &["--project", "p.tessera"]].concat();
    bench.fails(2, &edit);
    assert_eq!(entries(&bench), before);
    let info = bench.ok(&["info", "p.tessera"]);
    assert_eq!(info["report"]["documents"], serde_json::json!([]));
}

/// The names in the folder.
fn entries(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.folder.path()).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn info_reads_like_a_page() {
    let bench = Bench::new();
    bench.ok(&["import", "p.tessera", "pictures"]);
    let output = bench.run(&["info", "p.tessera"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.starts_with("p.tessera · "), "{page}");
    assert!(page.contains("\n22 pictures: "), "{page}");
    assert!(!page.contains(['{', '[', '"']), "{page}");
}
