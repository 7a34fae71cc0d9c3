//! The storage lane: one named thread owns the project file; everybody else sends it work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::engine::lanes::worker::from_panic;
use crate::error::{Error, Kind, Result};
use crate::project::{CheckpointRow, CheckpointWrite, NewCheckpoint, Project};

/// Tasks that may wait before their senders are held up.
const WAITING_TASKS: usize = 64;

/// How many times as long as a piece of a checkpoint took the lane is left alone after it,
const REST: u32 = 15;
/// but no longer than this.
const LONGEST_REST: Duration = Duration::from_millis(500);

type Task = Box<dyn FnOnce(&mut Project) + Send>;

/// A handle to an open project. Clones share it; the file is closed when the last one is dropped.
#[derive(Clone)]
pub struct Storage {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    sender: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
    /// Nothing ever comes; it breaks off when the file is closed.
    closed: Receiver<()>,
}

/// A project that may still be open here: a job of the session that was left can hold it.
#[derive(Clone)]
pub struct WeakStorage {
    path: PathBuf,
    shared: Weak<Shared>,
    closed: Receiver<()>,
}

impl WeakStorage {
    /// The project, where `path` names it and it is open; where it is being closed, waits until it is. `None` where it can be
    /// opened as any other.
    pub(crate) fn reopened(&self, path: &Path) -> Option<Storage> {
        let same = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if same(&self.path) != same(path) {
            return None;
        }
        let open = self.upgrade();
        if open.is_none() {
            // Broken off is what it waits for.
            let _ = self.closed.recv();
        }
        open
    }

    /// `None` where the project has been closed.
    pub(crate) fn upgrade(&self) -> Option<Storage> {
        self.shared.upgrade().map(|shared| Storage { shared })
    }

    /// Whether nobody holds the project any more, and its file is closed.
    pub fn is_closed(&self) -> bool {
        matches!(
            self.closed.try_recv(),
            Err(crossbeam_channel::TryRecvError::Disconnected)
        )
    }
}

impl std::fmt::Debug for WeakStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WeakStorage({})", self.path.display())
    }
}

impl Storage {
    /// Makes a new project.
    ///
    /// # Errors
    /// As [`Project::create`].
    pub fn create(path: &Path) -> Result<Self> {
        Self::start(path, Project::create)
    }

    /// Opens a project for reading and writing and holds its lock.
    ///
    /// # Errors
    /// As [`Project::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::start(path, Project::open)
    }

    fn start(path: &Path, open: fn(&Path) -> Result<Project>) -> Result<Self> {
        let (sender, receiver) = bounded::<Task>(WAITING_TASKS);
        let (opened_sender, opened) = bounded(1);
        let (closing, closed) = bounded(0);
        let path = path.to_path_buf();
        let thread = std::thread::Builder::new()
            .name("tessera-storage".into())
            .spawn({
                let path = path.clone();
                move || {
                    lane(&path, open, &opened_sender, &receiver);
                    drop(closing);
                }
            })
            .map_err(|source| Error::io("could not start the storage thread", &path, &source))?;
        opened.recv().map_err(|_| gone(&path))??;
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                sender: Some(sender),
                thread: Some(thread),
                closed,
            }),
        })
    }

    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// A handle that does not keep the project open.
    pub fn downgrade(&self) -> WeakStorage {
        WeakStorage {
            path: self.shared.path.clone(),
            shared: Arc::downgrade(&self.shared),
            closed: self.shared.closed.clone(),
        }
    }

    /// Runs `work` on the storage thread and waits for its answer.
    ///
    /// # Errors
    /// What `work` returns; `Internal` where it panics.
    pub fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Project) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        crate::window_thread::count_blocking("waiting for the project's file");
        let (sender, answer) = bounded(1);
        let task: Task = Box::new(move |project| {
            let result = catch_unwind(AssertUnwindSafe(|| work(project)))
                .unwrap_or_else(|panic| Err(from_panic(panic.as_ref())));
            // The caller waits for the answer, so it can only be gone together with its thread.
            let _ = sender.send(result);
        });
        let Some(lane) = &self.shared.sender else {
            return Err(gone(&self.shared.path));
        };
        lane.send(task).map_err(|_| gone(&self.shared.path))?;
        answer.recv().map_err(|_| gone(&self.shared.path))?
    }

    /// Stores a checkpoint in short pieces, between which the lane does what else is waiting: a stroke never waits for the
    /// whole of it. Until `hurry` is set the lane is left alone most of the time: few strokes meet a piece at all.
    ///
    /// # Errors
    /// As [`Project::save_checkpoint`].
    pub fn save_checkpoint(
        &self,
        new: NewCheckpoint<'static>,
        hurry: &AtomicBool,
    ) -> Result<CheckpointRow> {
        let mut write = CheckpointWrite::new(new)?;
        loop {
            let began = Instant::now();
            let (back, stored) = self.call(move |project| {
                let stored = write.advance(project);
                Ok((write, stored))
            })?;
            if let Some(row) = stored? {
                return Ok(row);
            }
            write = back;
            if !hurry.load(Ordering::Relaxed) {
                std::thread::sleep((began.elapsed() * REST).min(LONGEST_REST));
            }
        }
    }

    /// Gives the file's unused space back to the disk, likewise in pieces.
    ///
    /// # Errors
    /// `DiskFull`, `ReadOnly` or `Io` from the operating system.
    pub(crate) fn give_space_back(&self) -> Result<()> {
        while self.call(|project| project.give_back_some(0))? {}
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // Tasks cannot unwind the thread; joining makes the file closed when the handle is gone.
            let _ = thread.join();
        }
    }
}

fn lane(
    path: &Path,
    open: fn(&Path) -> Result<Project>,
    opened: &Sender<Result<()>>,
    tasks: &Receiver<Task>,
) {
    let mut project = match open(path) {
        Ok(project) => {
            let _ = opened.send(Ok(()));
            project
        }
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    for task in tasks {
        task(&mut project);
    }
}

fn gone(path: &Path) -> Error {
    Error::new(
        Kind::Internal,
        "the project is not open any more",
        "its storage thread has ended",
        "Open the project again; finished strokes are safe in it",
    )
    .at(path)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use serde_json::json;

    use super::*;
    use crate::engine::lanes::thread;
    use crate::project::CheckpointKind;

    #[test]
    fn other_work_gets_its_turn_while_a_checkpoint_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::create(&folder.path().join("p.tessera")).unwrap();
        let (others, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        // Were it one piece, the other work would get a turn before it and one after it.
        let row = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    storage.call(|_| Ok(())).unwrap();
                    others.fetch_add(1, Ordering::Relaxed);
                }
            });
            while others.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            let before = others.load(Ordering::Relaxed);
            let new = NewCheckpoint {
                run: None,
                kind: CheckpointKind::Named,
                step: 3,
                name: "large",
                config: json!({}),
                metrics: json!({}),
                weights: vec![7; 40 << 20].into(),
                training_state: None,
            };
            let row = storage.save_checkpoint(new, &AtomicBool::new(true));
            let meanwhile = others.load(Ordering::Relaxed) - before;
            is_over.store(true, Ordering::Relaxed);
            assert!(meanwhile > 2, "{meanwhile}");
            row.unwrap()
        });
        let stored = storage.call(move |project| project.checkpoint_weights(row.id));
        assert!(stored.unwrap() == [7; 40 << 20]);
    }

    #[test]
    fn a_project_that_is_still_held_or_being_closed_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.tessera");
        let first = Storage::create(&path).unwrap();
        let weak = first.downgrade();
        let again = weak.reopened(&path).unwrap();
        assert!(Arc::ptr_eq(&first.shared, &again.shared));
        assert!(weak.reopened(&folder.path().join("q.tessera")).is_none());
        drop(again);
        for _ in 0..20 {
            let held = Storage::open(&path).err().map(|error| error.kind);
            assert_eq!(held, Some(Kind::Locked));
        }
        let closer = thread::start("closer", "a thread of the test", move || drop(first)).unwrap();
        let opened = (weak.reopened(&path)).map_or_else(|| Storage::open(&path), Ok);
        opened.unwrap();
        closer.join().unwrap();
    }
}
