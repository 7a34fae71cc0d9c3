//! The window's errands: one named thread that reads lists and thumbnails from the open project and writes what
//! the window decided (strokes, choices, names), so that drawing never waits for a disk.
//!
//! Writes are never lost and keep their order; reads are newest-wins and wait behind them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;

use crate::dataset::{Limits, decode_bytes};
use crate::document::{Raster, Samples, Stroke};
use crate::engine::lanes::monitor::Monitor;
use crate::engine::lanes::queue::Wake;
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::thread;
use crate::engine::lanes::worker::from_panic;
use crate::engine::models::loading::MODEL_HASH;
use crate::error::{Error, Kind, Notice, Result};
use crate::project::{
    CheckpointKind, CheckpointRow, DocumentId, DocumentRow, MetricRow, PictureCounts,
    PictureFilter, PictureId, PictureRow, Project, RunId, RunRow,
};

/// Metric rows of one run read for its plots.
const MAX_METRIC_ROWS: u64 = 20_000;

/// Lists of the open project, as the panels show them.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    pub counts: PictureCounts,
    pub documents: Vec<DocumentRow>,
    /// The documents that began with a stroke that was made and not painted, newest first, each with what it was.
    pub made: Vec<(DocumentRow, String)>,
    pub runs: Vec<RunRow>,
    pub checkpoints: Vec<CheckpointRow>,
    /// A run that was interrupted and can go on.
    pub resumable_run: Option<RunId>,
    /// The setting [`CODE_MARKS`]: what the user said about codes.
    pub code_marks: Value,
    /// The setting [`BRUSHES`]: named brushes.
    pub brushes: Value,
    /// The setting [`LAST_DOCUMENT`].
    pub last_document: Option<DocumentId>,
}

impl Overview {
    /// Hash of the model that [`crate::engine::models::loading::CheckpointChoice::Best`] stands for, where the project has one and knows it.
    pub fn best_model_hash(&self) -> Option<&str> {
        let newest = |kind: CheckpointKind| {
            let of_kind = self.checkpoints.iter().filter(|row| row.kind == kind);
            of_kind.max_by_key(|row| row.id)
        };
        let best = newest(CheckpointKind::Best).or_else(|| newest(CheckpointKind::Base))?;
        best.metrics.get(MODEL_HASH)?.as_str()
    }
}

/// The key of the project's setting with names and favourites of codes.
pub const CODE_MARKS: &str = "code_marks";
/// The key of the project's setting with named brushes.
pub const BRUSHES: &str = "brushes";
/// The key of the project's setting with the document that was open last.
pub const LAST_DOCUMENT: &str = "last_document";

/// Which rows of the dataset index are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    pub filter: PictureFilter,
    pub offset: u64,
    pub limit: u64,
}

#[derive(Debug, Clone)]
pub struct Page {
    pub request: PageRequest,
    /// Rows that the filter lets through altogether.
    pub total: u64,
    pub rows: Vec<PictureRow>,
}

#[derive(Debug)]
pub enum DeskReply {
    Overview(Box<Overview>),
    Page(Page),
    /// `None` where the project has none that can be shown.
    Thumbnail(PictureId, Option<Raster>),
    Metrics(RunId, Vec<MetricRow>),
    /// Strokes of a document up to the one of this number, oldest first.
    Strokes(DocumentId, u64, Vec<Stroke>),
    /// Bytes that the program uses.
    Memory(u64),
    /// A write or a read that went wrong.
    Failed(Notice),
    /// What was looked for is there.
    Found(PathBuf),
}

type Task = Box<dyn FnOnce() -> Result<()> + Send>;

/// A handle to the thread. Dropping it ends the thread after the last write.
pub struct Desk {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Monitor<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    project: Option<Storage>,
    /// Counts projects, so that what was read from the one before is thrown away.
    turn: u64,
    tasks: VecDeque<Task>,
    wants_overview: bool,
    page: Option<PageRequest>,
    metrics: Option<RunId>,
    strokes: Option<StrokesRequest>,
    /// In the order they are wanted.
    thumbnails: VecDeque<PictureId>,
    /// The one that is being read.
    thumbnail: Option<PictureId>,
    wants_memory: bool,
    out: VecDeque<DeskReply>,
    is_closed: bool,
}

/// Strokes of a document: up to this number, and how many cells they may change together.
type StrokesRequest = (DocumentId, u64, usize);

enum Work {
    Task(Task),
    Overview(Storage),
    Page(Storage, PageRequest),
    Metrics(Storage, RunId),
    Strokes(Storage, StrokesRequest),
    Thumbnail(Storage, PictureId),
    Memory,
}

impl Desk {
    /// `wake` is called on the desk's thread after each reply.
    ///
    /// # Errors
    /// `Io` where the system gives no thread.
    pub fn start(wake: Wake) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Monitor::default(),
            wake,
        });
        let thread = thread::start("tessera-desk", "the thread for the project's lists", {
            let shared = shared.clone();
            move || lane(&shared)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Reads from and writes to this project from now on. Writes for the one before are still made.
    pub fn turn_to(&self, project: Option<Storage>) {
        let mut state = self.shared.state.lock();
        let before = std::mem::replace(&mut state.project, project);
        state.turn += 1;
        // Closing a file is disk work.
        state.tasks.push_back(Box::new(move || {
            drop(before);
            Ok(())
        }));
        state.page = None;
        state.metrics = None;
        state.strokes = None;
        state.thumbnails.clear();
        state.thumbnail = None;
        // A write that failed is told all the same.
        (state.out).retain(|reply| matches!(reply, DeskReply::Failed(_)));
        state.wants_overview = state.project.is_some();
        drop(state);
        self.shared.state.notify();
    }

    /// Changes the open project, after all that was asked for before. Without a project nothing happens.
    pub fn write(&self, work: impl FnOnce(&mut Project) -> Result<()> + Send + 'static) {
        let mut state = self.shared.state.lock();
        if let Some(project) = state.project.clone() {
            state.tasks.push_back(Box::new(move || project.call(work)));
        }
        drop(state);
        self.shared.state.notify();
    }

    /// Any other short disk work, in its turn.
    pub fn run(&self, task: impl FnOnce() -> Result<()> + Send + 'static) {
        self.shared.state.lock().tasks.push_back(Box::new(task));
        self.shared.state.notify();
    }

    /// Looks whether there is something at a path: [`DeskReply::Found`], or `Failed` with `what` in its notice.
    pub fn look_for(&self, path: PathBuf, what: &'static str) {
        let shared = self.shared.clone();
        let turn = shared.state.lock().turn;
        self.run(move || {
            std::fs::metadata(&path).map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => Error::new(
                    Kind::NotFound,
                    what,
                    "there is nothing at this path",
                    "Correct it and try again",
                )
                .at(&path),
                _ => Error::io(what, &path, &source),
            })?;
            shared.reply(turn, DeskReply::Found(path));
            Ok(())
        });
    }

    pub fn read_overview(&self) {
        self.shared.state.lock().wants_overview = true;
        self.shared.state.notify();
    }

    pub fn read_page(&self, request: PageRequest) {
        self.shared.state.lock().page = Some(request);
        self.shared.state.notify();
    }

    pub fn read_metrics(&self, run: RunId) {
        self.shared.state.lock().metrics = Some(run);
        self.shared.state.notify();
    }

    /// The strokes up to the one of this number, as far back as they change at most `cells` cells.
    pub fn read_strokes(&self, document: DocumentId, last: u64, cells: usize) {
        self.shared.state.lock().strokes = Some((document, last, cells));
        self.shared.state.notify();
    }

    /// The thumbnails wanted now, most wanted first; what was asked for before is forgotten.
    pub fn read_thumbnails(&self, pictures: impl IntoIterator<Item = PictureId>) {
        let mut state = self.shared.state.lock();
        // Those that are being read, or wait to be taken, are on their way already.
        let on_its_way = |picture: &PictureId| {
            state.thumbnail == Some(*picture)
                || (state.out.iter())
                    .any(|reply| matches!(reply, DeskReply::Thumbnail(id, _) if id == picture))
        };
        let wanted: VecDeque<PictureId> = (pictures.into_iter())
            .filter(|picture| !on_its_way(picture))
            .collect();
        let has_work = !wanted.is_empty();
        state.thumbnails = wanted;
        drop(state);
        if has_work {
            self.shared.state.notify();
        }
    }

    pub fn read_memory(&self) {
        self.shared.state.lock().wants_memory = true;
        self.shared.state.notify();
    }

    /// At most so many replies, oldest first, and whether there are more.
    pub fn take(&self, most: usize) -> (Vec<DeskReply>, bool) {
        let out = &mut self.shared.state.lock().out;
        let taken = out.drain(..most.min(out.len())).collect();
        (taken, !out.is_empty())
    }

    /// Whether every write asked for so far has been made.
    pub fn is_settled(&self) -> bool {
        self.shared.state.lock().tasks.is_empty()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.state.notify();
        if let Some(thread) = self.thread.take() {
            // Errands cannot unwind the thread: panics become replies.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Hands over what was read in this `turn`; of another project only failures matter, which may be of writes.
    fn reply(&self, turn: u64, reply: DeskReply) {
        let mut state = self.state.lock();
        if state.turn == turn && matches!(reply, DeskReply::Thumbnail(..)) {
            state.thumbnail = None;
        }
        if state.turn == turn || matches!(reply, DeskReply::Failed(_) | DeskReply::Memory(_)) {
            state.out.push_back(reply);
        }
        drop(state);
        (self.wake)();
    }
}

fn lane(shared: &Shared) {
    while let Some((turn, work)) = next(shared) {
        let is_task = matches!(work, Work::Task(_));
        let done = catch_unwind(AssertUnwindSafe(|| perform(work)))
            .unwrap_or_else(|panic| Err(from_panic(panic.as_ref())));
        match done {
            Ok(Some(reply)) => shared.reply(turn, reply),
            Ok(None) => {}
            Err(error) => shared.reply(turn, DeskReply::Failed(*error.notice)),
        }
        if is_task {
            shared.state.lock().tasks.pop_front();
            (shared.wake)();
        }
    }
}

/// Waits for something to do: writes in their order, then reads.
fn next(shared: &Shared) -> Option<(u64, Work)> {
    let mut state = shared.state.lock();
    loop {
        let turn = state.turn;
        if let Some(task) = state.tasks.front_mut() {
            // Its place stays taken until it is done: `is_settled` must not say so earlier.
            let task = std::mem::replace(task, Box::new(|| Ok(())));
            return Some((turn, Work::Task(task)));
        }
        if state.is_closed {
            return None;
        }
        if std::mem::take(&mut state.wants_memory) {
            return Some((turn, Work::Memory));
        }
        if let Some(project) = state.project.clone() {
            if std::mem::take(&mut state.wants_overview) {
                return Some((turn, Work::Overview(project)));
            }
            if let Some(request) = state.strokes.take() {
                return Some((turn, Work::Strokes(project, request)));
            }
            if let Some(request) = state.page.take() {
                return Some((turn, Work::Page(project, request)));
            }
            if let Some(run) = state.metrics.take() {
                return Some((turn, Work::Metrics(project, run)));
            }
            if let Some(picture) = state.thumbnails.pop_front() {
                state.thumbnail = Some(picture);
                return Some((turn, Work::Thumbnail(project, picture)));
            }
        }
        state = shared.state.wait(state);
    }
}

fn perform(work: Work) -> Result<Option<DeskReply>> {
    Ok(match work {
        Work::Task(task) => {
            task()?;
            None
        }
        Work::Overview(project) => {
            let overview = project.call(|project| {
                let documents = project.documents()?;
                let row = |id: DocumentId| documents.iter().find(|row| row.id == id).cloned();
                let made = (project.made_documents()?.into_iter())
                    .filter_map(|(id, what)| Some((row(id)?, what)))
                    .collect();
                Ok(Overview {
                    counts: project.picture_counts()?,
                    documents,
                    made,
                    runs: project.runs()?,
                    checkpoints: project.checkpoints()?,
                    resumable_run: project.resumable_run()?.map(|run| run.id),
                    code_marks: project.setting(CODE_MARKS)?.unwrap_or_default(),
                    brushes: project.setting(BRUSHES)?.unwrap_or_default(),
                    last_document: project
                        .setting(LAST_DOCUMENT)?
                        .and_then(|value| value.as_i64()),
                })
            })?;
            Some(DeskReply::Overview(Box::new(overview)))
        }
        Work::Page(project, request) => {
            let page = project.call(move |project| {
                Ok(Page {
                    total: project.picture_count(&request.filter)?,
                    rows: project.pictures(&request.filter, request.offset, request.limit)?,
                    request,
                })
            })?;
            Some(DeskReply::Page(page))
        }
        Work::Metrics(project, run) => {
            let rows = project.call(move |project| project.metrics(run, 0, MAX_METRIC_ROWS))?;
            Some(DeskReply::Metrics(run, rows))
        }
        Work::Strokes(project, (document, last, cells)) => {
            let strokes =
                project.call(move |project| project.strokes_up_to(document, last, cells))?;
            Some(DeskReply::Strokes(document, last, strokes))
        }
        Work::Memory => Some(DeskReply::Memory(crate::process::memory_bytes())),
        Work::Thumbnail(project, picture) => {
            let bytes = project.call(move |project| project.thumbnail(picture))?;
            // A thumbnail that cannot be read is shown as missing: the picture itself may be sound.
            let raster = bytes.and_then(|bytes| {
                let decoded = decode_bytes(&bytes, &Limits::default()).ok()?;
                Raster::new(decoded.width, decoded.height, Samples::Rgba8(decoded.rgba8)).ok()
            });
            Some(DeskReply::Thumbnail(picture, raster))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn project(folder: &std::path::Path) -> Storage {
        Storage::create(&folder.join("desk.tessera")).unwrap()
    }

    fn replies(desk: &Desk, mut enough: impl FnMut(&[DeskReply]) -> bool) -> Vec<DeskReply> {
        let mut all = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !enough(&all) {
            assert!(Instant::now() < deadline, "no answer; so far {all:?}");
            all.extend(desk.take(usize::MAX).0);
            std::thread::sleep(Duration::from_millis(2));
        }
        all
    }

    #[test]
    fn writes_come_before_reads_and_survive_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let storage = project(folder.path());
        let desk = Desk::start(Arc::new(|| {})).unwrap();
        desk.turn_to(Some(storage.clone()));
        for value in 0..50 {
            desk.write(move |project| project.set_setting("n", &value.into()));
        }
        desk.run(|| {
            std::thread::sleep(Duration::from_millis(30));
            Ok(())
        });
        desk.write(|project| project.set_setting("last", &true.into()));
        drop(desk);
        let stored = storage.call(|project| Ok((project.setting("n")?, project.setting("last")?)));
        assert_eq!(stored.unwrap(), (Some(49.into()), Some(true.into())));
    }

    #[test]
    fn what_was_read_from_the_project_before_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (project(folder.path()), folder.path().join("second.tessera"));
        let second = Storage::create(&second).unwrap();
        let desk = Desk::start(Arc::new(|| {})).unwrap();
        desk.turn_to(Some(first.clone()));
        let settled = replies(&desk, |all| !all.is_empty());
        assert!(matches!(settled[..], [DeskReply::Overview(_)]));
        // While the first project's thread is busy, the desk waits for it with a page in hand.
        let (go, wait) = crossbeam_channel::bounded::<()>(0);
        let (busy, is_busy) = crossbeam_channel::bounded::<()>(0);
        let holder = thread::start("holder", "a thread of the test", move || {
            let held = first.call(move |_| {
                let _ = busy.send(());
                let _ = wait.recv();
                Ok(())
            });
            held.unwrap();
        });
        let holder = holder.unwrap();
        is_busy.recv().unwrap();
        let filter = PictureFilter::default();
        desk.read_page(PageRequest {
            filter,
            offset: 0,
            limit: 10,
        });
        while desk.shared.state.lock().page.is_some() {
            std::thread::yield_now();
        }
        desk.turn_to(Some(second));
        go.send(()).unwrap();
        holder.join().unwrap();
        let all = replies(&desk, |all| !all.is_empty() && desk.is_settled());
        assert!(matches!(all[..], [DeskReply::Overview(_)]), "{all:?}");
    }

    #[test]
    fn what_goes_wrong_is_told_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::start(Arc::new(|| {})).unwrap();
        desk.turn_to(Some(project(folder.path())));
        desk.write(|_| panic!("boom"));
        desk.write(|project| project.rename_document(77, "no such"));
        desk.read_page(PageRequest {
            filter: PictureFilter::default(),
            offset: 0,
            limit: 10,
        });
        let all = replies(&desk, |all| {
            all.iter().any(|reply| matches!(reply, DeskReply::Page(_)))
        });
        let failures = all
            .iter()
            .filter(|reply| matches!(reply, DeskReply::Failed(_)))
            .count();
        assert_eq!(failures, 2, "{all:?}");
        let overview = all
            .iter()
            .any(|reply| matches!(reply, DeskReply::Overview(_)));
        assert!(overview && desk.is_settled());
    }
}
