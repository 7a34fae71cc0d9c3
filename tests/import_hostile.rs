//! What only a file system can hold: loops, pipes, names that are no text, files that may not be read.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test that cannot go on may panic

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tessera::dataset::{ImportOptions, ImportReport, Picture, scan};
use tessera::error::{Error, Kind};
use tessera::progress::{Observer, Stop};

/// A valid picture; different for each `seed`.
fn png(seed: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(48, 40, |x, y| {
        let v = (x * (seed % 7 + 1) + y * y * (seed % 5 + 1) + seed * 97) % 256;
        image::Rgb([v as u8, (v * 3 % 256) as u8, (x * 5) as u8])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn import(roots: &[&Path]) -> (Vec<Picture>, ImportReport) {
    let roots: Vec<PathBuf> = roots.iter().map(|r| r.to_path_buf()).collect();
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let worker = std::thread::Builder::new().spawn(move || {
        let mut pictures = Vec::new();
        let report = scan(&roots, &ImportOptions::default(), &(), &mut |p| {
            pictures.push(p);
            Ok(())
        });
        sender.send((pictures, report.unwrap())).unwrap();
    });
    // An import that opens a pipe or runs round a loop never comes back.
    let result = receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("the import hangs or failed");
    worker.unwrap().join().unwrap();
    result
}

fn names(pictures: &[Picture]) -> Vec<&[u8]> {
    pictures
        .iter()
        .map(|p| p.relative.as_os_str().as_bytes())
        .collect()
}

fn reason<'a>(report: &'a ImportReport, end: &str) -> Option<&'a str> {
    report
        .skipped
        .iter()
        .chain(&report.rejected)
        .find(|n| n.path.as_deref().is_some_and(|p| p.ends_with(end)))
        .map(|n| n.why.as_str())
}

fn fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn nothing_in_a_file_system_stops_an_import() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("folder");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("ok.png"), png(1)).unwrap();
    fs::write(root.join("new\nline.png"), png(2)).unwrap();
    let latin1 = OsStr::from_bytes(b"latin1_\xe9\xff.png");
    let holds_any_name = fs::write(root.join(latin1), png(3)).is_ok();
    fs::create_dir(root.join("loop")).unwrap();
    symlink("..", root.join("loop/up")).unwrap();
    symlink("selfloop", root.join("selfloop")).unwrap();
    symlink("missing.png", root.join("dangling.png")).unwrap();
    symlink("ok.png", root.join("a_link_to_ok.png")).unwrap();
    symlink(dir.path(), root.join("parent")).unwrap();
    symlink("/dev/zero", root.join("zero.png")).unwrap();
    fifo(&root.join("fifo.png"));
    symlink("fifo.png", root.join("link_to_fifo.png")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.png")).unwrap();
    fs::create_dir(root.join("folder.png")).unwrap();
    fs::write(root.join("unreadable.png"), png(4)).unwrap();
    fs::set_permissions(
        root.join("unreadable.png"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    // Outside the folder, reached by links only.
    let outside = dir.path().join("elsewhere");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("far.png"), png(5)).unwrap();
    symlink(&outside, root.join("other_album")).unwrap();
    symlink(outside.join("far.png"), root.join("z_far_again.png")).unwrap();

    let (pictures, report) = import(&[&root]);
    let can_read_all = fs::File::open(root.join("unreadable.png")).is_ok();
    let mut expected: Vec<&[u8]> = vec![b"new\nline.png", b"ok.png", b"other_album/far.png"];
    if holds_any_name {
        expected.push(b"latin1_\xe9\xff.png");
    }
    if can_read_all {
        expected.push(b"unreadable.png");
    } else {
        let why = reason(&report, "unreadable.png").unwrap();
        assert!(why.to_lowercase().contains("permission"), "{why}");
    }
    expected.sort_unstable();
    assert_eq!(names(&pictures), expected);
    for p in &pictures {
        assert_eq!(fs::read(&p.path).unwrap().len() as u64, p.file_bytes);
    }
    for (end, word) in [
        ("loop/up", "imported already"),
        ("selfloop", "nowhere"),
        ("dangling.png", "nowhere"),
        ("a_link_to_ok.png", "imported already"),
        ("/parent", "around"),
        ("zero.png", "device"),
        ("/fifo.png", "pipe"),
        ("link_to_fifo.png", "pipe"),
        ("socket.png", "socket"),
        ("z_far_again.png", "imported already"),
    ] {
        let why = reason(&report, end).unwrap_or_else(|| panic!("no reason for {end}"));
        assert!(why.contains(word), "{end}: {why}");
    }
    let album = pictures
        .iter()
        .find(|p| p.relative.ends_with("far.png"))
        .unwrap();
    assert_eq!(album.label.as_deref(), Some("other_album"));
}

#[test]
fn what_systems_keep_beside_pictures_is_left_out_and_said() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cat.png"), png(1)).unwrap();
    let folders = [
        "@eaDir/cat.png",
        "#RECYCLE",
        "$RECYCLE.BIN",
        "lost+found",
        "__MACOSX",
    ];
    for (seed, folder) in (2..).zip(folders) {
        let folder = dir.path().join("trip").join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("SYNOPHOTO_THUMB_XL.png"), png(seed)).unwrap();
    }
    // Only the whole name counts, and a picture may be called so.
    fs::create_dir(dir.path().join("recycle")).unwrap();
    fs::write(dir.path().join("recycle/lost+found"), png(9)).unwrap();
    let (pictures, report) = import(&[dir.path()]);
    assert_eq!(names(&pictures), [&b"cat.png"[..], b"recycle/lost+found"]);
    for name in [
        "@eaDir",
        "#RECYCLE",
        "$RECYCLE.BIN",
        "lost+found",
        "__MACOSX",
    ] {
        let why = reason(&report, name).expect(name);
        assert!(why.starts_with("it ") || why.starts_with("a NAS "), "{why}");
    }
    assert_eq!(report.skipped.len(), 5, "{:?}", report.skipped);
}

#[test]
fn many_roots_give_each_file_once() {
    let dir = tempfile::tempdir().unwrap();
    let sub = dir.path().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(dir.path().join("a.png"), png(1)).unwrap();
    fs::write(sub.join("b.png"), png(2)).unwrap();
    let file = sub.join("b.png");
    let (pictures, _) = import(&[dir.path(), dir.path(), &sub, &file]);
    assert_eq!(names(&pictures), [&b"a.png"[..], b"sub/b.png"]);
    // A single file, a pipe and something that is not there.
    let pipe = dir.path().join("pipe");
    fifo(&pipe);
    let (pictures, report) = import(&[&file, &pipe, &dir.path().join("gone")]);
    assert_eq!(names(&pictures), [&b"b.png"[..]]);
    assert_eq!(pictures[0].label, None);
    assert_eq!(report.rejected.len(), 2);
}

#[test]
fn names_of_every_byte_survive() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for b in 1..=255u8 {
        if b == b'/' {
            continue;
        }
        let name = [b'n', b, b'.', b'p', b'n', b'g'];
        if fs::write(dir.path().join(OsStr::from_bytes(&name)), png(u32::from(b))).is_ok() {
            expected.push(name.to_vec());
        }
    }
    expected.sort();
    let (pictures, report) = import(&[dir.path()]);
    assert_eq!(names(&pictures), expected);
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
}

struct StopAfter(u64, std::sync::atomic::AtomicU64);

impl Observer for StopAfter {
    fn stop(&self) -> Option<Stop> {
        (self.1.load(std::sync::atomic::Ordering::SeqCst) >= self.0).then_some(Stop::Cancel)
    }
    fn progress(&self, done: u64, _total: u64) {
        self.1.store(done, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn a_stopped_import_keeps_what_it_gave() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..600 {
        fs::write(dir.path().join(format!("{i:03}.png")), png(i)).unwrap();
    }
    let observer = StopAfter(5, 0.into());
    let mut given = 0;
    let error = scan(
        &[dir.path().to_owned()],
        &ImportOptions::default(),
        &observer,
        &mut |_| {
            given += 1;
            Ok(())
        },
    )
    .unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(given, 5);
    // What the receiver reports ends the import too.
    let full = Error::new(Kind::DiskFull, "could not write", "no space is left", "");
    let error = scan(
        &[dir.path().to_owned()],
        &ImportOptions::default(),
        &(),
        &mut |_| Err(full.clone()),
    )
    .unwrap_err();
    assert_eq!(error.kind, Kind::DiskFull);
}
