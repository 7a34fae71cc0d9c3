//! Jobs, events, cancellation, lanes and devices: all that runs behind the window and the command line.
//!
//! # Limitations
//! One process, one machine. Jobs are not taken up again after the program has ended, but for fine-tunes, which the project keeps.

pub mod device;
mod jobs;
mod lanes;
mod models;
pub mod pictures;

pub use device::choice::{ChosenDevice, DeviceChoice, open_device, remember_devices_in};
pub use jobs::data::crops::{CropSheet, CropsJob, PictureRole};
pub use jobs::data::files::{CheckFilesJob, FilesChecked};
pub use jobs::data::import::{ImportJob, Imported};
pub use jobs::data::index::{IndexJob, IndexReport};
pub use jobs::diagnose::bench::{BenchJob, BenchOptions};
pub use jobs::diagnose::project::{CheckJob, InfoJob, NewJob};
pub use jobs::diagnose::quality::{QualityJob, QualityReport};
pub use jobs::diagnose::reconstruct::ReconstructJob;
pub use jobs::diagnose::selftest::SelfTestJob;
pub use jobs::document::canvas::{BlankJob, Reframe, ReframeJob, RewrapJob};
pub use jobs::document::carry::CarryOverJob;
pub use jobs::document::companions::CompanionsJob;
pub use jobs::document::edit::{EditJob, ExportJob, ExportTarget, OpenJob, SnapshotJob};
pub use jobs::document::generate::{
    AnotherJob, CreateJob, Creating, FillJob, Filled, FromPictures, FromProject, GenerateAgainJob,
    GenerateJob, GenerateLook, Generated, GeneratedPicture, LargestPiece, MadeFacts, MadePicture,
    Making, OpenPicture, ResultJob, SourceShare, What, parse_code,
};
pub use jobs::document::replace::ReplaceJob;
pub use jobs::document::reskin::{ExportReskinJob, Reskin, ReskinJob};
pub use jobs::document::session::{
    DeviceInUse, DeviceJob, OpenDocument, OpenDocumentJob, OpenProjectJob, OpenWhat, ProjectFile,
    SaveCopyJob,
};
pub use jobs::document::thumbnails::{Thumbnails, ThumbnailsJob};
pub use jobs::export::brushes::{ExportBrushesJob, ImportBrushesJob};
pub use jobs::export::codebook::{CodebookJob, CountUsageJob, PaletteJob};
pub use jobs::export::codes::{DecodeJob, EncodeJob};
pub use jobs::export::timelapse::{TimelapseJob, TimelapseLook, TimelapseOf};
pub use jobs::train::fine_tune::{TrainJob, TrainStart, Trained, usable_pictures};
pub use jobs::train::train_base::{BaseTrained, TrainBaseJob};
pub use lanes::decode_lane::{DecodeLane, DecodedPatch, Shown};
pub use lanes::desk::{
    BRUSHES, CODE_MARKS, Desk, DeskReply, LAST_DOCUMENT, Overview, Page, PageRequest,
};
pub use lanes::event::{Event, EventKind, JobId, Metrics, Preview};
pub use lanes::job::{Job, Lane, Report, WhenLeft};
pub use lanes::journal::Journal;
pub use lanes::queue::{EventQueue, Wake};
pub use lanes::storage::{Storage, WeakStorage};
pub use lanes::texture_lane::{TextureLane, TextureReply, TextureStart};
pub use lanes::worker::{JobContext, Ticket, Worker};
pub use models::loading::{CheckpointChoice, Model, ModelSource};
pub use models::palette::{Palette, PaletteLevel};
pub use pictures::samples::{SAMPLES, write_samples};

// What callers of the engine need of the modules below it.
pub use crate::dataset::ImportOptions;
pub use crate::document::{Level, Wrap};
pub use crate::export::{
    ANIMATION_WRITERS, AnimationWriter, Existing, WRITERS, Writer, write_bytes,
};
pub use crate::kernels::set_plain_ops;
pub use crate::train::measure::quality::QualityOptions;
pub use crate::train::{Budget, Preset};
