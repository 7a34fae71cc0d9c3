//! Jobs, events, cancellation, lanes and devices: all that runs behind the window and the command line.

mod album;
mod background;
mod companions;
mod decode_lane;
mod desk;
mod device;
mod documents;
pub mod encodings;
mod event;
mod held_out;
mod job;
mod jobs;
mod journal;
mod model;
mod palette;
mod pictures;
mod precision;
mod queue;
mod quilting;
mod samples;
pub mod selftest;
mod storage;
mod texture_lane;
mod thread;
mod verdicts;
mod worker;

pub use decode_lane::{DecodeLane, DecodedPatch, Shown};
pub use desk::{BRUSHES, CODE_MARKS, Desk, DeskReply, LAST_DOCUMENT, Overview, Page, PageRequest};
pub use device::{ChosenDevice, DeviceChoice, open_device, remember_devices_in};
pub use event::{Event, EventKind, JobId, Metrics, Preview};
pub use job::{Job, Lane, Report, WhenLeft};
pub use jobs::bench::{BenchJob, BenchOptions};
pub use jobs::brushes::{ExportBrushesJob, ImportBrushesJob};
pub use jobs::canvas::{BlankJob, Reframe, ReframeJob, RewrapJob};
pub use jobs::carry::CarryOverJob;
pub use jobs::codebook::{CodebookJob, CountUsageJob, PaletteJob};
pub use jobs::codes::{DecodeJob, EncodeJob};
pub use jobs::companions::CompanionsJob;
pub use jobs::crops::{CropSheet, CropsJob, PictureRole};
pub use jobs::edit::{EditJob, ExportJob, ExportTarget, OpenJob, SnapshotJob};
pub use jobs::files::{CheckFilesJob, FilesChecked};
pub use jobs::generate::{
    FromPictures, FromProject, GenerateAgainJob, GenerateJob, GenerateLook, Generated,
    GeneratedPicture, Making, SourceShare,
};
pub use jobs::import::{ImportJob, Imported};
pub use jobs::index::{IndexJob, IndexReport};
pub use jobs::project::{CheckJob, InfoJob, NewJob};
pub use jobs::quality::{QualityJob, QualityReport};
pub use jobs::reconstruct::ReconstructJob;
pub use jobs::replace::ReplaceJob;
pub use jobs::reskin::{ExportReskinJob, Reskin, ReskinJob};
pub use jobs::selftest::SelfTestJob;
pub use jobs::session::{
    DeviceInUse, DeviceJob, OpenDocument, OpenDocumentJob, OpenProjectJob, OpenWhat, ProjectFile,
    SaveCopyJob,
};
pub use jobs::thumbnails::{Thumbnails, ThumbnailsJob};
pub use jobs::timelapse::{TimelapseJob, TimelapseLook, TimelapseOf};
pub use jobs::train::{TrainJob, TrainStart, Trained, usable_pictures};
pub use jobs::train_base::{BaseTrained, TrainBaseJob};
pub use journal::Journal;
pub use model::{CheckpointChoice, Model, ModelSource};
pub use palette::{Palette, PaletteLevel};
pub use queue::{EventQueue, Wake};
pub use samples::{SAMPLES, write_samples};
pub use storage::{Storage, WeakStorage};
pub use texture_lane::{TextureLane, TextureReply, TextureStart};
#[cfg(feature = "gui")]
pub(crate) use worker::from_panic;
pub use worker::{JobContext, Ticket, Worker};

// What callers of the engine need of the modules below it.
pub use crate::dataset::ImportOptions;
pub use crate::document::{Level, Wrap};
pub use crate::export::{
    ANIMATION_WRITERS, AnimationWriter, Existing, WRITERS, Writer, write_bytes,
};
pub use crate::kernels::set_plain_ops;
pub use crate::train::quality::QualityOptions;
pub use crate::train::{Budget, Preset};
