//! Project files come from strangers: whatever they hold gives an error, never a panic.

use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;
use rusqlite::Connection;
use tessera::document::{CellDelta, Codes, Geometry, Level};
use tessera::error::{Error, Kind};
use tessera::project::journal::{decode_codes, decode_deltas, encode_codes, encode_deltas};
use tessera::project::{EncodingsOf, PictureFilter, PictureId, Project};

use super::support::*;

fn delta() -> impl Strategy<Value = CellDelta> {
    let index = prop_oneof![any::<u32>(), 0..2000_u32];
    (any::<bool>(), index, any::<u16>(), any::<u16>()).prop_map(
        |(is_detail, index, before, after)| CellDelta {
            level: if is_detail {
                Level::Detail
            } else {
                Level::Structure
            },
            index,
            before,
            after,
        },
    )
}

fn deflated(raw: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(vec![1], Compression::fast());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

fn plain(raw: &[u8]) -> Vec<u8> {
    [&[2], raw].concat()
}

proptest! {
    #[test]
    fn strokes_come_back_from_their_bytes(deltas in prop::collection::vec(delta(), 0..300)) {
        let stored = encode_deltas(&deltas);
        prop_assert_eq!(&decode_deltas(&stored, deltas.len()).unwrap(), &deltas);
        if !deltas.is_empty() {
            prop_assert!(decode_deltas(&stored, deltas.len() - 1).is_err());
            prop_assert!(decode_deltas(&stored[..stored.len() / 2], deltas.len()).is_err());
        }
    }

    #[test]
    fn random_bytes_are_errors_not_panics(raw in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_deltas(&raw, 1000);
        let _ = decode_deltas(&deflated(&raw), 1000);
        let _ = decode_deltas(&plain(&raw), 1000);
        let _ = decode_codes(&raw, geometry());
        prop_assert!(decode_codes(&deflated(&raw), geometry()).is_err());
    }

    #[test]
    fn code_grids_come_back_from_their_bytes(width in 1..200_u32, height in 1..200_u32, seed: u64) {
        let geometry = Geometry::new(width, height).unwrap();
        let mut codes = Codes::blank(geometry);
        for level in Level::ALL {
            let bytes = noise(seed, 2 * geometry.cell_count(level));
            for (i, pair) in bytes.as_chunks::<2>().0.iter().enumerate() {
                let code = u16::from_le_bytes(*pair);
                codes.level_mut(level).set(i as u32, (code != u16::MAX).then_some(code));
            }
        }
        let stored = encode_codes(&codes);
        prop_assert_eq!(decode_codes(&stored, geometry).unwrap(), codes);
        let other = Geometry::new(width + 16, height).unwrap();
        prop_assert_eq!(decode_codes(&stored, other).unwrap_err().kind, Kind::Damaged);
    }
}

#[test]
fn a_small_file_cannot_ask_for_much_memory() {
    // A stroke of 2^60 cells in a dozen bytes.
    let mut raw = vec![0xFF; 8];
    raw.push(0x0F);
    for stored in [deflated(&raw), plain(&raw)] {
        let error = decode_deltas(&stored, usize::MAX).unwrap_err();
        assert_eq!(error.kind, Kind::Damaged);
    }
    // 256 MB of zeros in 256 kB: reading stops where the picture is full.
    let bomb = deflated(&vec![0; 256 << 20]);
    assert!(bomb.len() < 2 << 20);
    assert_eq!(
        decode_codes(&bomb, geometry()).unwrap_err().kind,
        Kind::Damaged
    );
    assert!(decode_deltas(&bomb, 1000).is_err());
    // A number of eleven bytes.
    assert!(decode_deltas(&deflated(&[0xFF; 11]), usize::MAX).is_err());
}

/// Reads everything a program would; the first error, if there is one.
fn use_all(project: &mut Project) -> Result<(), Error> {
    let findings = project.check(&())?;
    project.imports()?;
    project.import_notices(1, 0, 100)?;
    project.picture_counts()?;
    project.setting("palette")?;
    for row in project.pictures(&PictureFilter::default(), 0, 100)? {
        project.thumbnail(row.id)?;
    }
    let everything = EncodingsOf::Matching(PictureFilter::default());
    let encoded = project.encodings_after(&encoding_model(), &everything, PictureId::MIN)?;
    for row in encoded.rows {
        row.codes.check(row.geometry, Some(CODEBOOKS))?;
    }
    for run in project.runs()? {
        project.metrics(run.id, 0, 100)?;
        project.resumable_checkpoint(run.id)?;
    }
    for row in project.checkpoints()? {
        project.checkpoint_weights(row.id)?;
        project.checkpoint_training_state(row.id)?;
    }
    for row in project.documents()? {
        project.document_source(row.id)?;
        let mut edited = project.load_document(row.id)?.edited;
        project.stroke_rows(row.id, 0, 100)?;
        project.redo_stroke(row.id)?;
        project.undo_stroke(row.id)?;
        let stroke = stroke(&mut edited, 5, 9);
        project.append_stroke(row.id, &stroke)?;
    }
    match findings.into_iter().next() {
        Some(finding) => Err(Error {
            kind: Kind::Damaged,
            notice: Box::new(finding),
        }),
        None => Ok(()),
    }
}

#[test]
fn flipped_bits_never_panic_and_a_refusal_changes_nothing() {
    let count: u64 = std::env::var("TESSERA_FLIPS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(150);
    let source = folder();
    let good = std::fs::read(full_project(source.path())).unwrap();
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    for round in 0..count {
        let folder = folder();
        let path = folder.path().join("flipped.tessera");
        let mut bytes = good.clone();
        let random = noise(round, 16);
        let number = |at: usize| u64::from_le_bytes(random[at..at + 8].try_into().unwrap());
        // Every third round hits the header and the schema, the others anything.
        let reach = if round % 3 == 0 { 600 } else { bytes.len() };
        for flip in 0..1 + number(0) % 4 {
            let bit = (number(8).wrapping_mul(flip * 2 + 1) % (reach as u64 * 8)) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        std::fs::write(&path, &bytes).unwrap();
        let outcome = catch_unwind(|| match Project::open(&path) {
            Err(error) => {
                assert!(
                    matches!(error.kind, Kind::Damaged | Kind::Foreign | Kind::Newer),
                    "{error}"
                );
                assert!(std::fs::read(&path).unwrap() == bytes, "{error}");
                assert_eq!(contents(folder.path()).len(), 1, "{error}");
                0
            }
            Ok(mut project) => usize::from(use_all(&mut project).is_ok()) + 1,
        });
        match outcome.unwrap_or_else(|_| panic!("round {round}")) {
            0 => refused += 1,
            1 => found += 1,
            _ => harmless += 1,
        }
    }
    eprintln!(
        "{count} damaged files: {refused} refused, {found} with findings, {harmless} harmless"
    );
    assert!(refused > 0);
}

/// Changes a whole project with SQL; then opening or using it must report damage.
fn forged(sql: &str) {
    let folder = folder();
    let path = full_project(folder.path());
    let forger = Connection::open(&path).unwrap();
    forger.pragma_update(None, "foreign_keys", false).unwrap();
    forger.execute_batch(sql).unwrap();
    drop(forger);
    let outcome = Project::open(&path).and_then(|mut project| use_all(&mut project));
    let error = outcome.expect_err(sql);
    assert!(
        matches!(error.kind, Kind::Damaged | Kind::Limit | Kind::NotFound),
        "{sql}: {error}"
    );
}

#[test]
fn forged_entries_are_reported() {
    for sql in [
        "UPDATE blobs SET length = 9223372036854775807",
        "UPDATE blobs SET length = -1",
        "UPDATE blobs SET length = length + 1",
        "UPDATE blobs SET blake3 = zeroblob(32)",
        "UPDATE blobs SET blake3 = zeroblob(31)",
        "UPDATE blob_chunks SET number = number + 1",
        "UPDATE blob_chunks SET bytes = zeroblob(length(bytes))",
        "UPDATE blob_chunks SET bytes = zeroblob(100000000)",
        "UPDATE checkpoints SET weights = 77",
        "UPDATE checkpoints SET kind = 'evil'",
        "UPDATE checkpoints SET config = '{'",
        "UPDATE checkpoints SET metrics = '' || hex(zeroblob(2000000))",
        "UPDATE checkpoints SET config = replace(hex(zeroblob(100000)), '0', '[')",
        "UPDATE checkpoints SET step = -5",
        "UPDATE runs SET status = 'asleep'",
        "UPDATE runs SET number = -1",
        "UPDATE runs SET name = hex(zeroblob(1000000))",
        "UPDATE metrics SET numbers = '[1]'",
        "UPDATE pictures SET width = -1 WHERE id = 3",
        "UPDATE pictures SET width = 99999999999 WHERE id = 3",
        "UPDATE pictures SET path = zeroblob(200000) WHERE id = 3",
        "UPDATE pictures SET phash = zeroblob(5000) WHERE id = 3",
        "UPDATE thumbnails SET bytes = zeroblob(20000000) WHERE picture = 3",
        "UPDATE documents SET width = 4000000000",
        "UPDATE documents SET width = 32768, height = 8192",
        "UPDATE documents SET width = 32",
        "UPDATE documents SET applied_strokes = 11",
        "UPDATE documents SET applied_strokes = -1",
        "UPDATE documents SET detail_codes = 20",
        "UPDATE documents SET structure_codes = 0",
        "UPDATE documents SET checkpoint = zeroblob(32)",
        "DELETE FROM document_codes",
        "DELETE FROM document_codes WHERE applied_strokes = 0",
        "UPDATE document_codes SET codes = zeroblob(100000000)",
        "UPDATE document_codes SET codes = x'01'",
        "UPDATE document_codes SET applied_strokes = 5 WHERE applied_strokes > 0",
        "DELETE FROM strokes WHERE number = 4",
        "DELETE FROM strokes WHERE number = 1",
        "UPDATE strokes SET number = 9223372036854775807 WHERE number = 10",
        "UPDATE strokes SET deltas = x'0102030405' WHERE number = 10",
        "UPDATE strokes SET deltas = (SELECT deltas FROM strokes WHERE number = 2) WHERE number = 5",
        "UPDATE strokes SET label = hex(zeroblob(100000))",
        "DELETE FROM blobs",
        "DELETE FROM imports",
    ] {
        forged(sql);
    }
}

#[test]
fn a_log_of_another_project_is_not_taken_for_this_one() {
    let (one, other) = (folder(), folder());
    let path = full_project(one.path());
    let stranger = other.path().join("full.tessera");
    let mut open = Project::create(&stranger).unwrap();
    open.create_run(&new_run()).unwrap();
    std::fs::copy(with_wal(&stranger), with_wal(&path)).unwrap();
    drop(open);
    match Project::open(&path) {
        Ok(mut project) => {
            use_all(&mut project).map_or_else(|e| assert_eq!(e.kind, Kind::Damaged), drop)
        }
        Err(error) => assert_eq!(error.kind, Kind::Damaged, "{error}"),
    }
}

fn with_wal(path: &Path) -> std::path::PathBuf {
    path.with_extension("tessera-wal")
}
