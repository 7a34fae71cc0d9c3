//! The examples do what their pages say. `cargo test` builds them before it runs this.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::path::PathBuf;
use std::process::Command;

/// Runs an example and gives what it printed.
fn printed(name: &str, arguments: &[&str]) -> String {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(|deps| deps.parent()).unwrap();
    let mut program: PathBuf = built.join("examples").join(name);
    program.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.is_file(),
        "{name} is not built: run `cargo build --examples` before this test alone"
    );
    let output = Command::new(program).args(arguments).output().unwrap();
    let [said, failed] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{name}: {said}{failed}");
    said
}

#[test]
fn an_import_lists_what_it_found() {
    let said = printed("01_import", &[]);
    assert!(said.contains("fragrant-chamomile.jpg"), "{said}");
}

#[test]
fn a_fine_tune_tells_its_scores_and_leaves_a_model() {
    let said = printed("02_fine_tune", &["2"]);
    assert!(
        said.contains("held-out pictures") && said.contains("Trained 2 steps"),
        "{said}"
    );
}

#[test]
fn painting_decodes_a_part_and_comes_back_to_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("in.png"), folder.path().join("out.png"));
    let picture = image::RgbaImage::from_fn(160, 160, |x, y| {
        image::Rgba([x as u8, y as u8, (x ^ y) as u8, 255])
    });
    picture.save(&source).unwrap();
    let said = printed(
        "03_paint",
        &[source.to_str().unwrap(), out.to_str().unwrap()],
    );
    assert!(said.contains("byte for byte"), "{said}");
    assert!(image::open(out).unwrap().to_rgba8() != picture);
}

#[test]
fn an_exported_picture_is_editable_again() {
    let said = printed("04_export", &[]);
    assert!(said.contains("is open again; edited: true"), "{said}");
}
