//! Each file that cannot be opened has its own kind and words, and stays as it was.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;
use tessera::error::{Error, Kind};
use tessera::project::Project;

use super::support::{codes, contents, folder, full_project, new_run, stroke};

/// Opening must fail and leave no trace in the folder.
fn refused(folder: &Path, path: &Path) -> Error {
    let before = contents(folder);
    let error = Project::open(path).unwrap_err();
    let after = contents(folder);
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>(),
        "{error}"
    );
    assert!(before == after, "bytes changed: {error}");
    assert!(!error.notice.why.is_empty() && !error.notice.next.is_empty());
    assert!(error.path().is_some(), "{error}");
    error
}

fn patch(path: &Path, offset: usize, bytes: &[u8]) {
    let mut file = std::fs::read(path).unwrap();
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    std::fs::write(path, file).unwrap();
}

#[test]
fn a_new_project_opens_again_and_leaves_nothing_beside_it() {
    let folder = folder();
    let path = folder.path().join("häh ?#%1.tessera");
    let mut project = Project::create(&path).unwrap();
    let id = project.project_id().unwrap();
    assert_eq!(id.len(), 32);
    project.create_run(&new_run()).unwrap();
    assert!(contents(folder.path()).len() > 1, "lock and log are there");
    project.close().unwrap();
    assert_eq!(contents(folder.path()).len(), 1);

    let project = Project::open(&path).unwrap();
    assert_eq!(project.project_id().unwrap(), id);
    assert_eq!(project.runs().unwrap().len(), 1);
    drop(project);
    assert_eq!(contents(folder.path()).len(), 1);
    let header = std::fs::read(&path).unwrap();
    assert_eq!(&header[68..72], b"TSRA");
    assert_eq!(header[60..64], 5_u32.to_be_bytes());
    assert_eq!(header[18..20], [2, 2], "write-ahead log");
}

#[test]
fn an_existing_file_is_never_overwritten_by_a_new_project() {
    let folder = folder();
    let path = folder.path().join("notes.tessera");
    std::fs::write(&path, "my notes").unwrap();
    let error = Project::create(&path).unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    assert_eq!(std::fs::read(&path).unwrap(), b"my notes");
    assert_eq!(contents(folder.path()).len(), 1);
}

#[test]
fn each_unusable_file_has_its_own_words_and_stays_as_it_was() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let good = std::fs::read(full_project(folder.path())).unwrap();
    std::fs::remove_file(at("full.tessera")).unwrap();
    let mut words = HashSet::new();
    let mut expect = |path: &Path, kind: Kind, part: &str| {
        let error = refused(folder.path(), path);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        words.insert(error.notice.why.clone());
    };

    expect(&at("none.tessera"), Kind::NotFound, "");
    std::fs::create_dir(at("folder.tessera")).unwrap();
    expect(&at("folder.tessera"), Kind::Usage, "folder");
    std::fs::write(at("empty.tessera"), "").unwrap();
    expect(&at("empty.tessera"), Kind::Damaged, "empty");
    std::fs::write(at("text.tessera"), "just some text, ".repeat(50)).unwrap();
    expect(&at("text.tessera"), Kind::Foreign, "not a Tessera project");

    let other = Connection::open(at("other.tessera")).unwrap();
    other.execute_batch("CREATE TABLE bookmarks (url)").unwrap();
    drop(other);
    expect(&at("other.tessera"), Kind::Foreign, "another program");

    std::fs::write(at("newer.tessera"), &good).unwrap();
    patch(&at("newer.tessera"), 60, &99_u32.to_be_bytes());
    expect(&at("newer.tessera"), Kind::Newer, "format 99");

    std::fs::write(at("cut.tessera"), &good[..good.len() - 8192 * 3]).unwrap();
    expect(&at("cut.tessera"), Kind::Damaged, "cut off");

    std::fs::write(at("header.tessera"), &good).unwrap();
    patch(&at("header.tessera"), 3, b"xxx");
    expect(&at("header.tessera"), Kind::Damaged, "header");

    std::fs::write(at("pages.tessera"), &good).unwrap();
    for page in 3..8 {
        patch(&at("pages.tessera"), page * 8192, &[0xA5; 512]);
    }
    expect(&at("pages.tessera"), Kind::Damaged, "damaged");

    std::fs::write(at("journal.tessera"), &good).unwrap();
    std::fs::write(at("journal.tessera-journal"), [0xD9; 600]).unwrap();
    expect(&at("journal.tessera"), Kind::Damaged, "rollback journal");

    assert_eq!(words.len(), 10, "{words:#?}");
}

#[cfg(unix)]
#[test]
fn a_read_only_project_can_only_be_viewed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = full_project(folder.path());
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&path, 0o444);
    let file_error = refused(folder.path(), &path);
    assert_eq!(file_error.kind, Kind::ReadOnly);
    assert!(file_error.notice.why.contains("file"), "{file_error}");

    mode(&path, 0o644);
    mode(folder.path(), 0o555);
    let folder_error = refused(folder.path(), &path);
    assert_eq!(folder_error.kind, Kind::ReadOnly);
    assert!(folder_error.notice.why.contains("folder"), "{folder_error}");

    mode(&path, 0o444);
    let before = contents(folder.path());
    let mut view = Project::open_read_only(&path).unwrap();
    assert!(view.is_read_only());
    assert_eq!(view.picture_counts().unwrap().total, 20);
    assert_eq!(view.check(&()).unwrap(), []);
    assert_eq!(
        view.create_run(&new_run()).unwrap_err().kind,
        Kind::ReadOnly
    );
    view.close().unwrap();
    assert!(before == contents(folder.path()));
    mode(folder.path(), 0o755);
}

#[test]
fn viewing_a_closed_project_writes_nothing() {
    let folder = folder();
    let path = full_project(folder.path());
    let before = contents(folder.path());
    let view = Project::open_read_only(&path).unwrap();
    assert_eq!(view.documents().unwrap().len(), 1);
    assert!(before == contents(folder.path()));
    drop(view);
    assert!(before == contents(folder.path()));
}

#[test]
fn a_newer_format_in_the_log_is_refused_too() {
    let folder = folder();
    let path = full_project(folder.path());
    // A newer program that was killed: its format number has only reached the log.
    let newer = Connection::open(&path).unwrap();
    newer
        .set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            true,
        )
        .unwrap();
    newer.pragma_update(None, "user_version", 77).unwrap();
    drop(newer);
    std::fs::remove_file(folder.path().join("full.tessera-shm")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap()[60..64], 5_u32.to_be_bytes());
    let error = refused(folder.path(), &path);
    assert_eq!(error.kind, Kind::Newer);
    assert!(error.notice.why.contains("77"), "{error}");
}

#[test]
fn foreign_tables_and_triggers_are_refused() {
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM checkpoints; END",
        "CREATE VIEW v AS SELECT * FROM runs",
        "CREATE TABLE extra (x)",
        "DROP TABLE strokes",
    ] {
        let folder = folder();
        let path = full_project(folder.path());
        let other = Connection::open(&path).unwrap();
        other.execute_batch(sql).unwrap();
        drop(other);
        let error = refused(folder.path(), &path);
        assert_eq!(error.kind, Kind::Damaged, "{sql}: {error}");
        assert!(error.notice.why.contains("tables"), "{sql}: {error}");
    }
}

#[test]
fn the_same_process_is_told_that_it_has_the_project_open() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut first = Project::create(&path).unwrap();
    first.create_run(&new_run()).unwrap();
    let error = Project::open(&path).unwrap_err();
    assert_eq!(error.kind, Kind::Locked);
    // Viewing goes on beside it, and sees what is stored.
    let view = Project::open_read_only(&path).unwrap();
    assert_eq!(view.runs().unwrap().len(), 1);
    first.create_run(&new_run()).unwrap();
    assert_eq!(view.runs().unwrap().len(), 2);
    drop(view);
    first.close().unwrap();
    Project::open(&path).unwrap().close().unwrap();
    assert_eq!(contents(folder.path()).len(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_shares_the_lock_of_its_target() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let link = folder.path().join("link.tessera");
    let first = Project::create(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(Project::open(&link).unwrap_err().kind, Kind::Locked);
    drop(first);
    Project::open(&link).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_lock_file_is_not_followed() {
    let folder = folder();
    let path = full_project(folder.path());
    let victim = folder.path().join("victim.txt");
    std::fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join("full.tessera.lock")).unwrap();
    assert_eq!(Project::open(&path).unwrap_err().kind, Kind::Foreign);
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

/// `fixtures/projects/version-1.tessera.gz` was written by the program before there were layers: one document,
/// 300 strokes with a snapshot after 256, the last two undone.
#[test]
fn a_project_of_the_version_before_opens_with_its_document_and_history() {
    use std::io::Read;
    let stored = include_bytes!("../fixtures/projects/version-1.tessera.gz");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&stored[..])
        .read_to_end(&mut bytes)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.tessera");
    std::fs::write(&path, bytes).unwrap();
    let mut edited = codes();
    for i in 0..298 {
        stroke(&mut edited, i * 5 % 97, (i * 3 % 290) as u16);
    }
    let mut project = Project::open(&path).unwrap();
    let row = project.documents().unwrap().remove(0);
    let loaded = project.load_document(row.id).unwrap();
    assert_eq!(loaded.encoded, codes());
    assert_eq!(loaded.edited, edited);
    assert_eq!(loaded.layers.layers().len(), 1);
    assert_eq!(loaded.history.strokes().len(), 300);
    assert_eq!(loaded.history.cursor(), 298);
    assert!(project.check(&()).unwrap().is_empty());
    // It goes on where it was left.
    let added = stroke(&mut edited, 50, 7);
    project.append_stroke(row.id, &added).unwrap();
    project.close().unwrap();
    let project = Project::open(&path).unwrap();
    assert_eq!(project.load_document(row.id).unwrap().edited, edited);
    assert!(project.check(&()).unwrap().is_empty());
}
