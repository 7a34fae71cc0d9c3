//! The program in a real window on a virtual screen, with a real mouse and keyboard. Needs Xvfb and xdotool; where
//! they are absent it says so, unless `TESSERA_WINDOW_TEST=required`.
#![cfg(all(target_os = "linux", feature = "gui"))]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tessera::canvas::{self, Chain, Direct};
use tessera::dataset::{Limits, decode_bytes};
use tessera::document::Level;
use tessera::engine::{DeviceChoice, ModelSource, SAMPLES, open_device};
use tessera::export::read_restore_data;
use tessera::project::Project;
use tessera::settings::{Folders, Settings};

const PATIENCE: Duration = Duration::from_secs(120);

/// Ended, not merely asked to end, when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Screen {
    display: String,
    _server: Running,
}

impl Screen {
    fn start() -> Option<Self> {
        let server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut server = Running(server);
        let mut number = String::new();
        BufReader::new(server.0.stdout.take()?)
            .read_line(&mut number)
            .ok()?;
        Some(Self {
            display: format!(":{}", number.trim()),
            _server: server,
        })
    }

    fn xdotool(&self, words: &str) -> Option<String> {
        let output = Command::new("xdotool")
            .args(words.split_whitespace())
            .env("DISPLAY", &self.display)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(text)
    }
}

fn until(what: &str, log: &Path, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(
            Instant::now() < deadline,
            "{what} did not come; the program said: {}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn write_preferences(home: &Path) {
    let settings = Settings {
        welcome_seen: true,
        ..Settings::default()
    };
    let file = Folders::within(home).settings_file();
    settings.save(&file).expect("a folder to write to");
}

#[test]
fn a_picture_is_opened_painted_exported_and_survives_a_kill() {
    let screen = Screen::start().filter(|screen| screen.xdotool("version").is_some());
    let Some(screen) = screen else {
        assert!(
            std::env::var_os("TESSERA_WINDOW_TEST").is_none(),
            "Xvfb and xdotool are required here"
        );
        eprintln!("not run: Xvfb or xdotool is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    write_preferences(&home);
    let picture = folder.path().join("parrot.png");
    let (_, sample) = SAMPLES
        .iter()
        .find(|(name, _)| *name == "parrot.png")
        .unwrap();
    std::fs::write(&picture, sample).unwrap();
    let log: PathBuf = folder.path().join("log");
    let program = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .arg(&picture)
        .env("DISPLAY", &screen.display)
        .env_remove("WAYLAND_DISPLAY")
        .env("TESSERA_HOME", &home)
        .env("RUST_LOG", "info,wgpu_core=error,wgpu_hal=off,naga=error")
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut program = Running(program);
    let said = |text: &str| std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
    until("the window", &log, || {
        screen
            .xdotool("search --onlyvisible --name ^Tessera$ windowmove 0 0 windowfocus")
            .is_some()
    });
    until("the picture", &log, || {
        said("Opened “parrot”") && said("ready to paint")
    });
    std::thread::sleep(Duration::from_secs(2));

    screen.xdotool("mousemove 420 380").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    screen.xdotool("mousedown 1").unwrap();
    for step in 1..=20 {
        let at = format!("mousemove {} {}", 420 + step * 8, 380 + step * 4);
        screen.xdotool(&at).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    screen.xdotool("mouseup 1").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    screen.xdotool("key ctrl+e").unwrap();
    let exported = home.join("Exports/parrot.png");
    until("the exported file", &log, || exported.is_file());
    program.0.kill().unwrap();
    program.0.wait().unwrap();

    // What the file carries is what the project kept, and its pixels are what those codes give.
    let bytes = std::fs::read(&exported).unwrap();
    let restored = read_restore_data(&bytes)
        .unwrap()
        .expect("the edits are inside");
    let document = &restored.document;
    let changed = document.changed_cells(Level::Structure).count();
    assert!((5..400).contains(&changed), "{changed} cells changed");
    let project = Project::open_read_only(&Folders::within(&home).first_project()).unwrap();
    let row = project
        .document_by_name("parrot")
        .unwrap()
        .expect("it was opened");
    assert_eq!(row.applied_strokes, 1);
    let kept = project.load_document(row.id).unwrap();
    assert_eq!(&kept.edited, &**document.edited());

    let device = open_device(DeviceChoice::Cpu).unwrap().device;
    let model = ModelSource::Base.load(&device).unwrap();
    assert_eq!(restored.header.model, model.hash);
    let chain = Chain::new(&model.codec, document.geometry(), document.wrap()).unwrap();
    let mut decoder = Direct::new(chain, document.encoded(), document.edited());
    let expected =
        canvas::render(&document.edits(), document.source(), &mut decoder, 8, &()).unwrap();
    let pixels = decode_bytes(&bytes, &Limits::default()).unwrap();
    assert_eq!(pixels.rgba8, expected.rgba8().into_owned());
}
