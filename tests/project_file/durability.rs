//! Processes that are killed, and two processes on one project.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tessera::document::{Codes, Level, Stroke};
use tessera::error::Kind;
use tessera::project::{CheckpointKind, MetricRow, PictureFilter, Project, RunStatus};

use super::support::*;

const PROJECT: &str = "TESSERA_TEST_PROJECT";
const TASK: &str = "TESSERA_TEST_TASK";

/// Starts this test binary again to do `task` on a project.
fn child(task: &str, project: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "durability::child_process",
        ])
        .env(PROJECT, project)
        .env(TASK, task)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "the body of the child processes that other tests start and kill"]
fn child_process() {
    let path = std::env::var_os(PROJECT).expect("only started by another test");
    let mut project = Project::open(Path::new(&path)).unwrap();
    match std::env::var(TASK).unwrap().as_str() {
        "hold" => {
            say("open");
            std::thread::sleep(Duration::from_secs(600));
        }
        "paint" => {
            let id = project.documents().unwrap()[0].id;
            let loaded = project.load_document(id).unwrap();
            let mut edited = loaded.edited;
            for number in loaded.row.strokes + 1.. {
                let stroke = numbered_stroke(&mut edited, number);
                assert_eq!(project.append_stroke(id, &stroke).unwrap(), number);
                say(&format!("done {number}"));
            }
        }
        "train" => {
            let run = project.runs().unwrap().remove(0);
            let first = project
                .resumable_checkpoint(run.id)
                .unwrap()
                .map_or(1, |c| c.step + 1);
            project
                .set_run_status(run.id, RunStatus::Running, None)
                .unwrap();
            say("open");
            for step in first.. {
                let numbers = BTreeMap::from([("loss".to_owned(), step as f64)]);
                project
                    .add_metrics(run.id, &[MetricRow { step, numbers }])
                    .unwrap();
                save(
                    &mut project,
                    Some(&run),
                    CheckpointKind::Last,
                    step,
                    &noise(step, WEIGHTS_BYTES),
                    Some(&noise(step + 1_000_000, WEIGHTS_BYTES)),
                );
                say(&format!("done {step}"));
            }
        }
        other => panic!("unknown task {other}"),
    }
}

const WEIGHTS_BYTES: usize = 9 << 20;

/// A stroke that depends on its number only, given the strokes before it.
fn numbered_stroke(codes: &mut Codes, number: u64) -> Stroke {
    let cells = geometry().cell_count(Level::Detail) as u64;
    let index = (number * 7 % cells) as u32;
    let code = (number % 299) as u16;
    let after = if codes.detail.at(index) == Some(code) {
        299
    } else {
        code
    };
    stroke(codes, index, after)
}

fn rounds(default: u64) -> u64 {
    std::env::var("TESSERA_KILL_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(default)
}

/// Moments to kill at, which no two runs share: what is lost must be nothing at any of them.
struct Moments {
    random: ChaCha8Rng,
    seed: u64,
}

impl Moments {
    fn new() -> Self {
        let seed = std::env::var("TESSERA_KILL_SEED").map_or_else(
            |_| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                u64::from(now.subsec_nanos()) ^ now.as_secs()
            },
            |seed| seed.parse().unwrap(),
        );
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { random, seed }
    }

    fn within(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_micros(self.random.random_range(from_ms * 1000..to_ms * 1000))
    }
}

/// Lets the child work for `work`, kills it, and returns the last number it said was done.
fn kill_after(mut child: Child, work: Duration) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Its clock starts when it has begun to work.
    for line in lines.by_ref() {
        let line = line.unwrap();
        if line == "open" || line.starts_with("done ") {
            break;
        }
    }
    std::thread::sleep(work);
    child.kill().unwrap(); // SIGKILL: no handler runs
    child.wait().unwrap();
    lines
        .filter_map(|line| line.unwrap().strip_prefix("done ")?.parse().ok())
        .last()
        .unwrap_or(0)
}

#[test]
fn every_finished_stroke_survives_a_kill() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let saved = save(&mut project, None, CheckpointKind::Base, 0, b"w", None);
    let id = add_document(&mut project, saved.hash).id;
    project.close().unwrap();
    let (mut expected, mut stored) = (codes(), 0);
    let mut moments = Moments::new();
    let seed = moments.seed;
    for round in 0..rounds(20) {
        let told = kill_after(child("paint", &path), moments.within(0, 160));
        let project = Project::open(&path).unwrap();
        let loaded = project.load_document(id).unwrap();
        let strokes = loaded.row.strokes;
        assert!(
            strokes >= told.max(stored),
            "seed {seed}, round {round}: {strokes} of {told}"
        );
        for number in stored + 1..=strokes {
            numbered_stroke(&mut expected, number);
        }
        assert!(loaded.edited == expected, "seed {seed}, round {round}");
        stored = strokes;
        assert_eq!(project.check(&()).unwrap(), []);
        project.close().unwrap();
        assert_eq!(contents(folder.path()).len(), 1);
    }
    assert!(stored > 0, "the children did paint");
    eprintln!("{} kills, {stored} strokes, none lost", rounds(20));
}

#[test]
fn a_kill_while_storing_a_checkpoint_loses_only_that_one() {
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    let run = project.create_run(&new_run()).unwrap();
    project.close().unwrap();
    let mut stored = 0;
    let mut moments = Moments::new();
    for round in 0..rounds(20).div_ceil(3) {
        let told = kill_after(child("train", &path), moments.within(150, 550));
        let project = Project::open(&path).unwrap();
        assert_eq!(project.run(run.id).unwrap().status, RunStatus::Paused);
        let step = match project.resumable_checkpoint(run.id).unwrap() {
            None => 0,
            Some(row) => {
                let weights = project.checkpoint_weights(row.id).unwrap();
                assert!(weights == noise(row.step, WEIGHTS_BYTES));
                let state = project.checkpoint_training_state(row.id).unwrap().unwrap();
                assert!(state == noise(row.step + 1_000_000, WEIGHTS_BYTES));
                row.step
            }
        };
        let seed = moments.seed;
        assert!(
            step >= told.max(stored),
            "seed {seed}, round {round}: {step} of {told}"
        );
        stored = step;
        assert!(project.checkpoints().unwrap().len() <= 1);
        assert_eq!(project.check(&()).unwrap(), []);
        project.close().unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(size < 2 * WEIGHTS_BYTES as u64 + (1 << 20), "{size}");
    }
}

#[test]
fn a_second_process_is_told_who_holds_the_project() {
    let folder = folder();
    let path = full_project(folder.path());
    let mut holder = child("hold", &path);
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "open"));

    let error = Project::open(&path).unwrap_err();
    assert_eq!(error.kind, Kind::Locked);
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", holder.id())), "{text}");
    assert!(
        text.contains(" on ") && text.contains(" since 20"),
        "{text}"
    );
    // Viewing is possible beside it.
    let view = Project::open_read_only(&path).unwrap();
    assert_eq!(view.picture_counts().unwrap().total, 20);
    drop(view);

    holder.kill().unwrap();
    holder.wait().unwrap();
    let sidecar = folder.path().join("full.tessera.lock");
    assert!(sidecar.exists(), "the killed process left it");
    let project = Project::open(&path).unwrap();
    let text = std::fs::read_to_string(&sidecar).unwrap();
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    project.close().unwrap();
    assert_eq!(contents(folder.path()).len(), 1);
}

/// `TESSERA_IMPORT_PICTURES=100000` gives the figure of the design.
#[test]
fn many_pictures_are_stored_in_batches() {
    let total: usize = std::env::var("TESSERA_IMPORT_PICTURES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(5_000);
    let folder = folder();
    let path = folder.path().join("p.tessera");
    let mut project = Project::create(&path).unwrap();
    for pass in 0..2 {
        let start = Instant::now();
        let mut import = project.begin_import(Path::new("/none")).unwrap();
        for first in (0..total).step_by(500) {
            let batch: Vec<_> = (first..total.min(first + 500))
                .map(|i| {
                    let mut new =
                        picture(&format!("/none/{:03}/{i:06}.png", i / 1000), &i.to_string());
                    new.thumbnail = noise(i as u64, 5_000);
                    new
                })
                .collect();
            project.add_pictures(&mut import, &batch).unwrap();
        }
        let summary = project.finish_import(import, true).unwrap();
        let known = if pass == 0 {
            summary.added
        } else {
            summary.unchanged
        };
        assert_eq!(known, total as u64);
        eprintln!(
            "pass {pass}: {total} pictures in {:.1} s, {} MB on disk, peak memory {}",
            start.elapsed().as_secs_f64(),
            project.size_bytes() >> 20,
            peak_memory()
        );
    }
    let start = Instant::now();
    let page = project
        .pictures(&PictureFilter::default(), total as u64 - 100, 100)
        .unwrap();
    assert_eq!(page.len(), 100);
    let paged = start.elapsed();
    assert_eq!(project.picture_counts().unwrap().total, total as u64);
    eprintln!(
        "last page in {paged:.1?}, counts in {:.1?}",
        start.elapsed() - paged
    );
    project.close().unwrap();
    let start = Instant::now();
    Project::open(&path).unwrap();
    eprintln!("opened and closed in {:.1?}", start.elapsed());
}

fn peak_memory() -> String {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
            Some(line.trim_start_matches("VmHWM:").trim().to_owned())
        })
        .unwrap_or_else(|| "unknown".to_owned())
}
