//! All jobs. A job owns what it needs; nothing is shared with its sender but the project's handle.

use super::event::Outcome;
use super::jobs::bench::BenchJob;
use super::jobs::brushes::{ExportBrushesJob, ImportBrushesJob};
use super::jobs::canvas::{BlankJob, ReframeJob, RewrapJob};
use super::jobs::carry::CarryOverJob;
use super::jobs::codebook::{CodebookJob, PaletteJob};
use super::jobs::codes::{DecodeJob, EncodeJob};
use super::jobs::companions::CompanionsJob;
use super::jobs::crops::CropsJob;
use super::jobs::edit::{EditJob, ExportJob, OpenJob, SnapshotJob};
use super::jobs::files::CheckFilesJob;
use super::jobs::import::ImportJob;
use super::jobs::project::{CheckJob, InfoJob, NewJob};
use super::jobs::quality::QualityJob;
use super::jobs::reconstruct::ReconstructJob;
use super::jobs::replace::ReplaceJob;
use super::jobs::reskin::ReskinJob;
use super::jobs::selftest::SelfTestJob;
use super::jobs::session::{DeviceJob, OpenDocumentJob, OpenProjectJob, SaveCopyJob};
use super::jobs::thumbnails::ThumbnailsJob;
use super::jobs::timelapse::TimelapseJob;
use super::jobs::train::TrainJob;
use super::jobs::train_base::TrainBaseJob;
use super::worker::JobContext;
use crate::error::Result;

macro_rules! jobs {
    ($($variant:ident($job:ty) = $title:literal),* $(,)?) => {
        pub enum Job {
            $($variant($job)),*
        }

        impl Job {
            /// In words, for the status bar and the log.
            pub fn title(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $title),*
                }
            }

            pub(super) fn run(self, context: &JobContext) -> Result<Outcome> {
                match self {
                    $(Self::$variant(job) => job.run(context)),*
                }
            }
        }

        $(impl From<$job> for Job {
            fn from(job: $job) -> Self {
                Self::$variant(job)
            }
        })*
    };
}

jobs! {
    New(NewJob) = "Making a project",
    Import(ImportJob) = "Importing pictures",
    Open(OpenJob) = "Opening a picture",
    Train(TrainJob) = "Fine-tuning",
    TrainBase(TrainBaseJob) = "Training the base model",
    Quality(QualityJob) = "Measuring quality",
    Reconstruct(ReconstructJob) = "Reconstructing pictures",
    Encode(EncodeJob) = "Encoding a picture",
    Decode(DecodeJob) = "Decoding codes",
    Edit(EditJob) = "Editing a picture",
    OpenProject(OpenProjectJob) = "Opening a project",
    OpenDocument(OpenDocumentJob) = "Opening a picture",
    Rewrap(RewrapJob) = "Encoding the picture anew",
    Blank(BlankJob) = "Making a canvas",
    Reframe(ReframeJob) = "Making a canvas of another size",
    CarryOver(CarryOverJob) = "Opening a picture with other codes",
    Replace(ReplaceJob) = "Replacing a code in all pictures",
    Reskin(ReskinJob) = "Looking through another model",
    Thumbnails(ThumbnailsJob) = "Drawing the history",
    Timelapse(TimelapseJob) = "Making a timelapse",
    Device(DeviceJob) = "Looking for the device",
    CheckFiles(CheckFilesJob) = "Looking for the pictures' files",
    Crops(CropsJob) = "Cutting crops of a picture",
    SaveCopy(SaveCopyJob) = "Saving a copy of the project",
    Palette(PaletteJob) = "Working out the codes",
    ImportBrushes(ImportBrushesJob) = "Reading brushes",
    ExportBrushes(ExportBrushesJob) = "Writing brushes",
    Companions(CompanionsJob) = "Finding textures for structure codes",
    Snapshot(SnapshotJob) = "Exporting a picture",
    Codebook(CodebookJob) = "Drawing the codebook",
    Export(ExportJob) = "Exporting a document",
    Info(InfoJob) = "Reading the project",
    Check(CheckJob) = "Checking the project",
    SelfTest(SelfTestJob) = "Checking the device",
    Bench(BenchJob) = "Measuring this machine",
}
