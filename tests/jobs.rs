//! Jobs on the worker, as the window uses it: each ends exactly once, also where it cannot work or is stopped.
#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tessera::engine::{
    Budget, CheckJob, CheckpointChoice, CodebookJob, DecodeJob, DeviceChoice, EditJob, EncodeJob,
    EventKind, Existing, ExportJob, ExportTarget, ImportJob, ImportOptions, IndexJob, InfoJob, Job,
    JobContext, JobId, ModelSource, NewJob, OpenJob, Preset, ReconstructJob, Storage, TrainJob,
    TrainStart, Worker, write_samples,
};
use tessera::error::Kind;
use tessera::progress::Stop;

const PATIENCE: Duration = Duration::from_secs(300);

fn target(path: &Path) -> ExportTarget {
    ExportTarget {
        path: path.to_path_buf(),
        existing: Existing::Refuse,
        has_restore_data: true,
    }
}

/// A job of any kind that waits to be submitted.
struct Waiting {
    title: &'static str,
    submit: Box<dyn FnOnce(&Worker) -> JobId>,
}

impl<J: Job> From<J> for Waiting {
    fn from(job: J) -> Self {
        Self {
            title: job.title(),
            submit: Box::new(|worker| worker.submit(job).unwrap().job),
        }
    }
}

/// Every job of the command line, none of which can succeed: nothing that they name exists.
fn hopeless_jobs(folder: &Path) -> Vec<Waiting> {
    let project = Storage::create(&folder.join("p.tessera")).unwrap();
    let missing = folder.join("missing.png");
    let out = folder.join("out.png");
    let model = ModelSource::File(folder.join("missing.safetensors"));
    let device = DeviceChoice::Cpu;
    let existing = Existing::Refuse;
    let budget = Some(Budget::Steps(1));
    vec![
        NewJob {
            path: folder.join("p.tessera"),
        }
        .into(),
        OpenJob {
            project: project.clone(),
            image: missing.clone(),
            device,
        }
        .into(),
        TrainJob {
            project: project.clone(),
            start: TrainStart::New {
                config: Box::new(Preset::Quick.config(0)),
                model: None,
            },
            device,
        }
        .into(),
        TrainJob {
            project: project.clone(),
            start: TrainStart::Resume { budget },
            device,
        }
        .into(),
        ReconstructJob {
            models: vec![("x".into(), model.clone())],
            inputs: vec![missing.clone()],
            out: folder.join("out"),
            existing,
            device,
        }
        .into(),
        EncodeJob {
            model: model.clone(),
            image: missing.clone(),
            out: out.clone(),
            existing,
            device,
        }
        .into(),
        DecodeJob {
            model: model.clone(),
            codes: missing.clone(),
            out: out.clone(),
            existing,
            structure_only: false,
            device,
        }
        .into(),
        EditJob {
            model: ModelSource::Project(project.clone(), CheckpointChoice::Best),
            target: missing.clone(),
            script: missing.clone(),
            out: target(&out),
            device,
        }
        .into(),
        IndexJob {
            project: project.clone(),
            model: model.clone(),
            verify: true,
            device,
        }
        .into(),
        CodebookJob {
            model,
            out: out.clone(),
            existing,
            device,
        }
        .into(),
        ExportJob {
            project,
            document: None,
            out: target(&out),
            device,
        }
        .into(),
        InfoJob {
            path: missing.clone(),
            device,
        }
        .into(),
        CheckJob { path: missing }.into(),
    ]
}

/// The events of `id` up to its final one.
fn until_final(worker: &Worker, id: JobId) -> Vec<EventKind> {
    let mut events = Vec::new();
    loop {
        let event = worker.events().pop(PATIENCE).expect("a job always ends");
        if event.job == id {
            let is_final = event.kind.is_final();
            events.push(event.kind);
            if is_final {
                return events;
            }
        }
    }
}

fn assert_ends_once(events: &[EventKind]) {
    assert!(matches!(events[0], EventKind::Started { .. }), "{events:?}");
    let finals = events.iter().filter(|event| event.is_final()).count();
    assert_eq!(finals, 1, "{events:?}");
}

#[test]
fn every_job_that_cannot_work_fails_once_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    for job in hopeless_jobs(folder.path()) {
        let title = job.title;
        let id = (job.submit)(&worker);
        let events = until_final(&worker, id);
        assert_ends_once(&events);
        let Some(EventKind::Failed { kind, notice }) = events.last() else {
            panic!("{title}: {events:?}")
        };
        assert_ne!(*kind, Kind::Internal, "{title}: {notice}");
        assert!(!notice.what.is_empty() && !notice.why.is_empty(), "{title}");
    }
    assert!(!folder.path().join("out.png").exists());
}

/// Breaks off in the way of a defect.
struct Boom;

impl Job for Boom {
    type Output = u32;

    fn title(&self) -> &'static str {
        "Breaking off"
    }

    fn run(self, _: &JobContext) -> tessera::error::Result<u32> {
        panic!("boom")
    }
}

#[test]
fn a_panic_is_a_failure_without_an_output_and_the_worker_goes_on() {
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    for _ in 0..2 {
        let ticket = worker.submit(Boom).unwrap();
        let events = until_final(&worker, ticket.job);
        assert_ends_once(&events);
        let Some(EventKind::Failed { kind, notice }) = events.last() else {
            panic!("{events:?}")
        };
        assert_eq!(*kind, Kind::Internal);
        assert!(notice.why.contains("boom"), "{notice}");
        assert!(ticket.take().is_none());
    }
}

#[test]
fn every_job_that_is_stopped_while_it_waits_is_cancelled_once() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start(Arc::new(|| {})).unwrap();
    let jobs = hopeless_jobs(folder.path());
    // Something to wait behind.
    let busy = Storage::create(&folder.path().join("busy.tessera")).unwrap();
    write_samples(&folder.path().join("pictures")).unwrap();
    worker
        .submit(ImportJob {
            project: busy,
            paths: vec![folder.path().join("pictures")],
            options: ImportOptions::default(),
            device: DeviceChoice::Cpu,
        })
        .unwrap();
    let ids: Vec<JobId> = jobs.into_iter().map(|job| (job.submit)(&worker)).collect();
    for &id in &ids {
        worker.stop(id, Stop::Cancel);
    }
    for id in ids {
        let events = until_final(&worker, id);
        assert_ends_once(&events);
        assert!(
            matches!(events.last(), Some(EventKind::Cancelled { .. })),
            "{events:?}"
        );
    }
}

#[test]
fn the_waker_is_called_and_dropping_the_worker_ends_its_thread() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start({
        let wakes = wakes.clone();
        Arc::new(move || {
            wakes.fetch_add(1, Ordering::Relaxed);
        })
    })
    .unwrap();
    let path = folder.path().join("n.tessera");
    let ticket = worker.submit(NewJob { path: path.clone() }).unwrap();
    let events = until_final(&worker, ticket.job);
    assert!(
        matches!(events.last(), Some(EventKind::Finished)),
        "{events:?}"
    );
    assert_eq!(ticket.take().unwrap().file, path);
    assert!(ticket.take().is_none(), "an output is given once");
    drop(worker);
    // Its thread has ended, so every event's wake-up has been counted.
    assert!(wakes.load(Ordering::Relaxed) >= 2);
    // The job closed its project: it can be opened again.
    Storage::open(&path).unwrap();
}
