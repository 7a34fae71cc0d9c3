//! The decode lane: one named thread that keeps the pixels of the open canvas up to date with its codes, beside
//! whatever job is running. What waits is merged, so it never falls behind by more than one decode.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::canvas::{LiveCanvas, Patch};
use crate::codec::Codec;
use crate::document::{
    CellDelta, Dirty, Document, EMPTY, LayerStack, Level, Rect, Samples, Sources,
};
use crate::engine::lanes::monitor::Monitor;
use crate::engine::lanes::queue::Wake;
use crate::engine::lanes::thread;
use crate::engine::lanes::worker::{free_unused_memory, from_panic};
use crate::error::Result;
use crate::progress::{Observer, Stop};

/// Patches that may wait for the window before decoding waits for it.
const WAITING_PATCHES: usize = 64;
/// Patches of a change go before the next change for so long: about what a window takes for a frame.
const PATCHES_FIRST: Duration = Duration::from_millis(33);
/// From here on the lane compares all cells instead of being told which have changed: that costs the window's
/// thread nothing.
const MANY_CELLS: usize = 1 << 14;
/// Patches are cut to this side, so that newer strokes get their turn while a large area is decoded.
const PATCH_PX: u32 = 512;

/// What comes out.
#[derive(Debug)]
pub struct DecodedPatch {
    /// The newest revision of the document whose changes are all in patches up to this one.
    pub revision: u64,
    /// The pixels, or why there are none.
    pub patch: Result<Patch>,
}

/// A handle to the lane. Dropping it ends the thread.
pub struct DecodeLane {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Monitor<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    /// A document to show from now on.
    opened: Option<Box<Opened>>,
    /// Cells that have changed, and what they are now.
    changed: BTreeSet<(Level, u32)>,
    now: Option<Now>,
    /// Whether any cell of the document came from elsewhere since it was opened: then codes alone do not say what it
    /// looks like.
    has_coordinates: bool,
    /// The pictures that cells come from.
    sources: Sources,
    revision: u64,
    /// [`Document::arrangement`] of the layers that were handed over last.
    arrangement: u64,
    /// What the window shows, in picture pixels: computed first, and ahead of strokes.
    view: Option<Rect>,
    out: Vec<DecodedPatch>,
    /// Whether all that was taken over has been decoded.
    is_idle: bool,
    is_closed: bool,
}

/// A document to show.
struct Opened {
    codec: Arc<Codec>,
    document: Document,
    shown: Shown,
}

/// What the window shows of a document when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The source, untouched: only what edits change is decoded.
    Source,
    /// Some earlier state, or parts of several: patches for the whole picture follow.
    Unknown,
}

/// The state of a document after changes.
enum Now {
    /// All that matters are the picture's codes in the changed cells.
    Codes(BTreeMap<(Level, u32), u16>),
    /// Layers as before, with other cells.
    Cells(Box<LayerStack>),
    /// Other layers, or shown differently, or many other cells.
    Layers(Box<LayerStack>),
}

impl DecodeLane {
    /// `wake` is called on the lane's thread after each patch.
    ///
    /// # Errors
    /// `Io` where the system gives no thread.
    pub fn start(wake: Wake) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Monitor::default(),
            wake,
        });
        let thread = thread::start("tessera-decode", "the decode thread", {
            let shared = shared.clone();
            move || lane(&shared)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Shows a document with its edits from now on; what waited for the one before is dropped. After a patch that
    /// is an error nothing more comes until this is called again.
    pub fn open(&self, codec: Arc<Codec>, document: &Document, shown: Shown) {
        let mut state = self.shared.state.lock();
        state.opened = Some(Box::new(Opened {
            codec,
            document: document.clone(),
            shown,
        }));
        state.is_idle = false;
        state.changed.clear();
        state.now = None;
        state.out.clear();
        state.view = None;
        state.has_coordinates = document.layers().has_coordinates();
        state.sources = document.sources().clone();
        state.revision = document.revision();
        state.arrangement = document.arrangement();
        drop(state);
        self.shared.state.notify();
    }

    /// Takes over that these cells of the document, or its layers, have changed: by a dab, a stroke, an undo.
    /// Never waits for a decode.
    pub fn change(&self, deltas: &[CellDelta], document: &Document) {
        let mut state = self.shared.state.lock();
        let cells = deltas.iter().map(|delta| (delta.level, delta.index));
        let is_rearranged = state.arrangement != document.arrangement();
        let is_large = deltas.len() > MANY_CELLS;
        let layers = || Box::new(document.layers().clone());
        state.has_coordinates |= document.layers().has_coordinates();
        if state.has_coordinates {
            state.sources = document.sources().clone();
        }
        let needs_layers = state.has_coordinates || document.layers().passes().len() > 1;
        state.now = Some(match state.now.take() {
            Some(Now::Layers(_)) => Now::Layers(layers()),
            _ if is_rearranged || is_large => Now::Layers(layers()),
            _ if needs_layers => Now::Cells(layers()),
            before => {
                let mut codes = match before {
                    Some(Now::Codes(codes)) => codes,
                    _ => BTreeMap::new(),
                };
                for (level, index) in cells.clone() {
                    let raw = document.edited().level(level).raw_at(index);
                    codes.insert((level, index), raw.unwrap_or(EMPTY));
                }
                Now::Codes(codes)
            }
        });
        if !matches!(state.now, Some(Now::Layers(_))) {
            state.changed.extend(cells);
        }
        state.revision = document.revision();
        state.arrangement = document.arrangement();
        state.is_idle = false;
        drop(state);
        self.shared.state.notify();
    }

    /// Says what the window shows, so that the first dab there is as fast as the others.
    pub fn look_at(&self, view: Rect) {
        self.shared.state.lock().view = Some(view);
        self.shared.state.notify();
    }

    /// Whether every change so far has been decoded and its patches taken.
    pub fn is_settled(&self) -> bool {
        let state = self.shared.state.lock();
        state.is_idle && state.out.is_empty()
    }

    /// All patches that are ready, oldest first.
    pub fn take(&self) -> Vec<DecodedPatch> {
        let out = std::mem::take(&mut self.shared.state.lock().out);
        self.shared.state.notify();
        out
    }
}

impl Drop for DecodeLane {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.state.notify();
        if let Some(thread) = self.thread.take() {
            // Work cannot unwind the thread: panics become errors in it.
            let _ = thread.join();
        }
    }
}

/// What the lane does next.
enum Work {
    Open(Box<Opened>),
    Change(BTreeSet<(Level, u32)>, Now, Sources, u64),
    Warm(Rect),
    Patch,
}

fn lane(shared: &Shared) {
    let mut canvas: Option<LiveCanvas> = None;
    // What is to be decoded for the changes taken over so far.
    let mut dirty: Vec<Rect> = Vec::new();
    // Of those changes, and of the last ones that were wholly decoded.
    let mut revision = 0;
    let mut shown = 0;
    // Who draws without a pause still sees what they draw: after a change comes a patch, whatever waits, and more of
    // them for a while.
    let mut owes_patch = false;
    let mut patches_until = Instant::now();
    loop {
        let comes_first = owes_patch || Instant::now() < patches_until;
        let Some(work) = next(shared, canvas.is_some(), !dirty.is_empty(), comes_first) else {
            break;
        };
        owes_patch = matches!(work, Work::Change(..));
        if owes_patch {
            patches_until = Instant::now() + PATCHES_FIRST;
        }
        let result = catch_unwind(AssertUnwindSafe(|| -> Result<()> {
            match (work, &mut canvas) {
                (Work::Open(opened), canvas) => {
                    dirty.clear();
                    *canvas = None;
                    let Opened {
                        codec,
                        document,
                        shown: before,
                    } = *opened;
                    revision = document.revision();
                    let opened =
                        LiveCanvas::new(codec, &document, LiveCanvas::DEFAULT_BUDGET_BYTES)?;
                    match before {
                        Shown::Source => {
                            let edited = document.changes();
                            let edited = edited.iter().map(|delta| (delta.level, delta.index));
                            add(&mut dirty, &opened.reached(edited));
                        }
                        Shown::Unknown => {
                            let mut whole = Dirty::default();
                            whole.add(document.geometry().bounds());
                            add(&mut dirty, &whole);
                        }
                    }
                    shown = revision.saturating_sub(u64::from(!dirty.is_empty()));
                    *canvas = Some(opened);
                }
                (Work::Change(cells, now, sources, newest), Some(canvas)) => {
                    revision = newest;
                    canvas.set_sources(sources);
                    add(&mut dirty, &take_over(canvas, cells, now)?);
                    if dirty.is_empty() {
                        // Nothing looks different; the window still wants to know that this is all.
                        shown = revision;
                        let nothing = Patch {
                            rect: Rect::default(),
                            samples: Samples::Rgba8(Vec::new()),
                        };
                        give(shared, Ok(nothing), shown);
                    }
                }
                (Work::Warm(view), Some(canvas)) => {
                    let began = Instant::now();
                    match canvas.warm(view, &UntilNeeded(shared)) {
                        Err(error) if error.is_cancelled() => {
                            // What is warm already costs nothing the next time.
                            shared.state.lock().view.get_or_insert(view);
                        }
                        other => {
                            other?;
                            free_unused_memory(began);
                        }
                    }
                }
                (Work::Patch, Some(canvas)) => {
                    if let Some(rect) = dirty.pop() {
                        let patch = canvas.patch(rect, 8)?;
                        if dirty.is_empty() {
                            shown = revision;
                        }
                        give(shared, Ok(patch), shown);
                    }
                }
                (_, None) => {}
            }
            Ok(())
        }));
        let failed = match result {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(panic) => from_panic(panic.as_ref()),
        };
        // Its codes and caches may be half changed, and what waited to be decoded may be what fails.
        canvas = None;
        dirty.clear();
        give(shared, Err(failed), shown);
    }
}

/// Stops warming as soon as there is something better to do.
struct UntilNeeded<'a>(&'a Shared);

impl Observer for UntilNeeded<'_> {
    fn stop(&self) -> Option<Stop> {
        let state = self.0.state.lock();
        let is_needed = state.is_closed || state.opened.is_some() || state.now.is_some();
        is_needed.then_some(Stop::Cancel)
    }
}

/// Waits for something to do: opening first, then a patch that is owed, changes, other patches, and warming.
fn next(shared: &Shared, is_open: bool, is_dirty: bool, patch_first: bool) -> Option<Work> {
    let mut state = shared.state.lock();
    loop {
        if state.is_closed {
            return None;
        }
        if let Some(opened) = state.opened.take() {
            return Some(Work::Open(opened));
        }
        let may_decode = is_dirty && state.out.len() < WAITING_PATCHES;
        if patch_first && may_decode {
            return Some(Work::Patch);
        }
        if is_open && let Some(now) = state.now.take() {
            let cells = std::mem::take(&mut state.changed);
            return Some(Work::Change(
                cells,
                now,
                state.sources.clone(),
                state.revision,
            ));
        }
        if may_decode {
            return Some(Work::Patch);
        }
        // Warming makes no patches.
        state.is_idle = !is_dirty;
        if let Some(view) = state.view.take()
            && is_open
        {
            return Some(Work::Warm(view));
        }
        state = shared.state.wait(state);
    }
}

fn take_over(canvas: &mut LiveCanvas, cells: BTreeSet<(Level, u32)>, now: Now) -> Result<Dirty> {
    match now {
        Now::Codes(codes) => {
            let deltas: Vec<CellDelta> = (codes.into_iter())
                .map(|((level, index), after)| CellDelta {
                    level,
                    index,
                    before: after,
                    after,
                })
                .collect();
            canvas.apply(&deltas)
        }
        Now::Cells(layers) => canvas.follow(*layers, &cells.into_iter().collect::<Vec<_>>()),
        // It finds out itself which cells have changed, also before the layers did.
        Now::Layers(layers) => canvas.rearrange(*layers),
    }
}

/// Adds rectangles in pieces of at most [`PATCH_PX`], leaving out what waits already.
fn add(waiting: &mut Vec<Rect>, dirty: &Dirty) {
    for rect in dirty.rects() {
        for y in (rect.y..rect.y + rect.height).step_by(PATCH_PX as usize) {
            for x in (rect.x..rect.x + rect.width).step_by(PATCH_PX as usize) {
                let piece = rect.intersect(&Rect::new(x, y, PATCH_PX, PATCH_PX));
                if waiting.iter().any(|other| other.intersect(&piece) == piece) {
                    continue;
                }
                waiting.retain(|other| piece.intersect(other) != *other);
                waiting.push(piece);
            }
        }
    }
}

fn give(shared: &Shared, patch: Result<Patch>, revision: u64) {
    let mut state = shared.state.lock();
    // A document opened meanwhile has no use for it.
    if state.opened.is_none() {
        state.out.push(DecodedPatch { revision, patch });
    }
    drop(state);
    (shared.wake)();
}
