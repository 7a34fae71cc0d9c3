//! The texture lane: one named thread that works out what a texture stroke leaves behind, so that the window never waits for a
//! search. It paints on a copy of the document and hands over what it has put down, dab by dab.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::document::tools::{Easel, Generated, TextureLook, TextureMaker, TextureStroke};
use crate::document::{Alphabet, Brush, Document, Selection, Vectors};
use crate::engine::lanes::monitor::Monitor;
use crate::engine::lanes::queue::Wake;
use crate::engine::lanes::storage::WeakStorage;
use crate::engine::lanes::thread;
use crate::engine::lanes::worker::from_panic;
use crate::engine::models::loading::Model;
use crate::engine::pictures::quilting::{self, Material, Quilter};
use crate::error::{Error, Result};
use crate::progress::{Observer, Stop};

/// Points that may wait; whoever draws faster loses corners, not memory.
const WAITING_POINTS: usize = 4096;
/// Picture files kept for the next stroke.
const KEPT_MATERIALS: usize = 4;

/// A texture stroke that begins.
pub struct TextureStart {
    /// As it is before the stroke.
    pub document: Document,
    pub selection: Option<Selection>,
    pub model: Model,
    pub brush: Brush,
    pub look: TextureLook,
    /// Codes that must not appear, structure and detail, by number.
    pub muted: [Vec<bool>; 2],
    /// A picture file to take from; the document itself where there is none.
    pub from: Option<PathBuf>,
    /// The project that keeps that picture.
    pub project: WeakStorage,
    /// In canvas pixels.
    pub at_px: (f32, f32),
}

/// What comes back of a stroke.
#[derive(Debug)]
pub enum TextureReply {
    /// Cells to put down.
    Made(Generated),
    /// All of them were handed over.
    Done,
    /// No more will come, and the stroke is to be taken back.
    Failed(Error),
}

/// A handle to the lane. Dropping it ends the thread.
pub struct TextureLane {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Monitor<State>,
    /// The stroke that is worked on; those before it are not wanted any more.
    current: AtomicU64,
    wake: Wake,
}

#[derive(Default)]
struct State {
    asked: VecDeque<Ask>,
    out: Vec<(u64, TextureReply)>,
    is_closed: bool,
}

enum Ask {
    Begin(u64, Box<TextureStart>),
    To((f32, f32)),
    End,
}

impl TextureLane {
    /// `wake` is called on the lane's thread after each reply.
    ///
    /// # Errors
    /// `Io` where the system gives no thread.
    pub fn start(wake: Wake) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Monitor::default(),
            current: AtomicU64::new(0),
            wake,
        });
        let thread = thread::start("tessera-texture", "the texture thread", {
            let shared = shared.clone();
            move || lane(&shared)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Begins a stroke and gives its number, which its replies carry; one before it is dropped.
    pub fn begin(&self, start: TextureStart) -> u64 {
        let mut state = self.shared.state.lock();
        let number = self.shared.current.fetch_add(1, Ordering::SeqCst) + 1;
        state.asked.clear();
        state.out.clear();
        state.asked.push_back(Ask::Begin(number, Box::new(start)));
        drop(state);
        self.shared.state.notify();
        number
    }

    /// Goes on to a point, in canvas pixels.
    pub fn go_on(&self, to_px: (f32, f32)) {
        let mut state = self.shared.state.lock();
        if state.asked.len() < WAITING_POINTS {
            state.asked.push_back(Ask::To(to_px));
        }
        drop(state);
        self.shared.state.notify();
    }

    /// No more points will come: after what is still to be made comes [`TextureReply::Done`].
    pub fn end(&self) {
        self.shared.state.lock().asked.push_back(Ask::End);
        self.shared.state.notify();
    }

    /// Drops the stroke; nothing more comes of it.
    pub fn cancel(&self) {
        let mut state = self.shared.state.lock();
        self.shared.current.fetch_add(1, Ordering::SeqCst);
        state.asked.clear();
        state.out.clear();
    }

    /// All replies so far of the stroke that is worked on, oldest first.
    pub fn take(&self) -> Vec<(u64, TextureReply)> {
        std::mem::take(&mut self.shared.state.lock().out)
    }
}

impl Drop for TextureLane {
    fn drop(&mut self) {
        self.cancel();
        self.shared.state.lock().is_closed = true;
        self.shared.state.notify();
        if let Some(thread) = self.thread.take() {
            // Work cannot unwind the thread: panics become errors in it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The next thing to do; `None` when the lane is closed.
    fn next(&self) -> Option<Ask> {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(ask) = state.asked.pop_front() {
                return Some(ask);
            }
            state = self.state.wait(state);
        }
    }

    fn reply(&self, number: u64, reply: TextureReply) {
        let mut state = self.state.lock();
        if self.current.load(Ordering::SeqCst) == number {
            state.out.push((number, reply));
        }
        drop(state);
        (self.wake)();
    }
}

/// Stops as soon as its stroke is not wanted any more.
struct While<'a>(&'a Shared, u64);

impl Observer for While<'_> {
    fn stop(&self) -> Option<Stop> {
        (self.0.current.load(Ordering::SeqCst) != self.1).then_some(Stop::Cancel)
    }
}

/// What stays between strokes.
#[derive(Default)]
struct Kept {
    /// By the hash of its model.
    vectors: Option<(String, Arc<Vectors>)>,
    /// By file and model.
    materials: VecDeque<(PathBuf, String, Material, Arc<Vec<u8>>)>,
}

/// A stroke on the lane's own copy of the document.
struct Open {
    number: u64,
    document: Document,
    selection: Option<Selection>,
    alphabet: Alphabet,
    stroke: TextureStroke,
}

fn lane(shared: &Shared) {
    let mut kept = Kept::default();
    let mut open: Option<Open> = None;
    while let Some(ask) = shared.next() {
        let number = match (&ask, &open) {
            (Ask::Begin(number, _), _) => *number,
            (_, Some(open)) => open.number,
            (_, None) => continue,
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(shared, &mut kept, &mut open, ask)));
        let failed = match done {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(panic) => from_panic(panic.as_ref()),
        };
        open = None;
        if !failed.is_cancelled() {
            shared.reply(number, TextureReply::Failed(failed));
        }
    }
}

fn work(shared: &Shared, kept: &mut Kept, open: &mut Option<Open>, ask: Ask) -> Result<()> {
    match ask {
        Ask::Begin(number, start) => {
            let at = start.at_px;
            *open = None;
            let mut begun = begin(shared, kept, number, *start)?;
            begun.dab(shared, at)?;
            *open = Some(begun);
        }
        Ask::To(point) => {
            if let Some(open) = open {
                for at in open.stroke.steps(point) {
                    open.dab(shared, at)?;
                }
            }
        }
        Ask::End => {
            if let Some(Open { number, .. }) = open.take() {
                shared.reply(number, TextureReply::Done);
            }
        }
    }
    Ok(())
}

fn begin(shared: &Shared, kept: &mut Kept, number: u64, start: TextureStart) -> Result<Open> {
    let observer = While(shared, number);
    let model = &start.model;
    let vectors = match &kept.vectors {
        Some((hash, vectors)) if *hash == model.hash => vectors.clone(),
        _ => Arc::new(model.vectors()?),
    };
    kept.vectors = Some((model.hash.clone(), vectors.clone()));
    let (mut materials, mut look) = (HashMap::new(), start.look);
    look.from.clear();
    if let Some(path) = start.from {
        let is_it = |(known, hash, ..): &&(PathBuf, String, Material, Arc<Vec<u8>>)| {
            *known == path && *hash == model.hash
        };
        let known = kept.materials.iter().find(is_it).cloned();
        let (_, _, material, bytes) = match known {
            Some(known) => known,
            None => {
                let (material, bytes) = quilting::material(&path, model, &observer)?;
                let found = (path.clone(), model.hash.clone(), material, Arc::new(bytes));
                kept.materials.push_back(found.clone());
                if kept.materials.len() > KEPT_MATERIALS {
                    kept.materials.pop_front();
                }
                found
            }
        };
        if let Some(project) = start.project.upgrade() {
            // Before the first cell that comes from it: its texture outlives the file.
            project.call(move |project| project.keep_picture(&bytes))?;
        }
        let name = path.to_string_lossy().into_owned();
        look.from.push(name.clone());
        materials.insert(name, material);
    }
    let maker: Arc<dyn TextureMaker> = Arc::new(Quilter {
        vectors,
        materials,
        muted: start.muted,
    });
    let alphabet = model.alphabet()?;
    let mut document = start.document;
    let mut easel = Easel::new(&mut document, start.selection.as_ref(), &alphabet);
    let how = (start.brush, look);
    let stroke = TextureStroke::press(&mut easel, how, maker, "Texture", start.at_px)?;
    Ok(Open {
        number,
        document,
        selection: start.selection,
        alphabet,
        stroke,
    })
}

impl Open {
    fn dab(&mut self, shared: &Shared, at_px: (f32, f32)) -> Result<()> {
        let observer = While(shared, self.number);
        observer.check()?;
        let mut easel = Easel::new(&mut self.document, self.selection.as_ref(), &self.alphabet);
        if let Some(made) = self.stroke.dab(&mut easel, at_px, &observer)? {
            shared.reply(self.number, TextureReply::Made(made));
        }
        Ok(())
    }
}
