//! The desktop window.
//!
//! | room | what is in it |
//! |---|---|
//! | `state` | what the window knows |
//! | `command` | what a user can ask for, with words and keys |
//! | `lanes` | the threads behind the window |
//! | `apply` | what each command does, and what comes back from the lanes |
//! | `window` | the window itself, from the command line to the last frame |
//!
//! Each knows those above it and none below. [`ui`](crate::ui) knows `state` and `command`; `window` alone knows `ui`.
//!
//! # Limitations
//! Nothing here is meant as a library: what other programs can build on is in [`engine`](crate::engine) and below.

mod apply;
pub(crate) mod command;
mod lanes;
pub(crate) mod state;
mod window;

pub use apply::{App, Options};
pub use command::{
    BrushCommand, CodeCommand, Command, DatasetCommand, DocumentCommand, ExportCommand,
    FileCommand, GenerateCommand, HistoryCommand, LayerCommand, NewCanvas, Question,
    SelectionCommand, ToolCommand, TrainCommand, ViewCommand, WindowCommand,
};
pub use lanes::Picker;
pub use state::{
    ANIMATION_WRITERS, Canvas, CheckpointChoice, CheckpointKind, Feed, FillFrom, Gallery,
    GenerateForm, Gesture, ImportJob, Making, OpenProjectJob, Overlay, Overview, PictureCounts,
    PictureRole, Preset, Reframe, RunStatus, Severity, State, TimelapseForm, Tool, ToolOption,
    TrainForm, Workspace,
};
pub use window::{MainWindow, run};
