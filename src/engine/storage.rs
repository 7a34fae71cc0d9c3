//! The storage lane: one named thread owns the project file; everybody else sends it work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::worker::from_panic;
use crate::error::{Error, Kind, Result};
use crate::project::Project;

/// Tasks that may wait before their senders are held up.
const WAITING_TASKS: usize = 64;

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
}

/// A handle that does not keep the project open.
#[derive(Clone)]
pub(super) struct WeakStorage(Weak<Shared>);

impl std::fmt::Debug for WeakStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakStorage")
    }
}

impl WeakStorage {
    /// `None` where the project has been closed.
    pub fn upgrade(&self) -> Option<Storage> {
        self.0.upgrade().map(|shared| Storage { shared })
    }
}

impl Storage {
    pub(super) fn downgrade(&self) -> WeakStorage {
        WeakStorage(Arc::downgrade(&self.shared))
    }

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
        let path = path.to_path_buf();
        let thread = std::thread::Builder::new()
            .name("tessera-storage".into())
            .spawn({
                let path = path.clone();
                move || lane(&path, open, &opened_sender, &receiver)
            })
            .map_err(|source| Error::io("could not start the storage thread", &path, &source))?;
        opened.recv().map_err(|_| gone(&path))??;
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                sender: Some(sender),
                thread: Some(thread),
            }),
        })
    }

    pub fn path(&self) -> &Path {
        &self.shared.path
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
