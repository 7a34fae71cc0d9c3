//! What a job tells the world. The window and the command line read the same events.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::jobs::crops::CropSheet;
use super::jobs::reskin::Reskin;
use super::jobs::session::OpenDocument;
use super::jobs::thumbnails::Thumbnails;
use super::palette::Palette;
use super::storage::Storage;
use crate::document::Companions;
use crate::document::brushes::BrushPack;
use crate::error::{Error, Notice};

/// Numbers jobs in the order they were submitted, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

#[derive(Debug, Clone, Serialize)]
pub struct Event {
    pub job: JobId,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Each `Started` is followed by exactly one of `Finished`, `Cancelled` and `Failed`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    Started {
        title: String,
    },
    /// `total` is 0 while unknown; `eta_secs` is absent until the estimate is stable.
    Progress {
        done: u64,
        total: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        eta_secs: Option<f64>,
    },
    Metrics(Metrics),
    /// A held-out picture as source, before and now, side by side.
    Preview(#[serde(serialize_with = "shared")] Arc<Preview>),
    Warning(Notice),
    Finished(Outcome),
    /// `kept` says in words what was kept.
    Cancelled {
        kept: String,
    },
    Failed {
        kind: crate::error::Kind,
        #[serde(flatten)]
        notice: Notice,
    },
}

fn shared<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(serializer)
}

impl EventKind {
    pub fn failed(error: Error) -> Self {
        Self::Failed {
            kind: error.kind,
            notice: *error.notice,
        }
    }

    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Finished(_) | Self::Cancelled { .. } | Self::Failed { .. }
        )
    }

    /// Whether a newer event of the same kind and job makes this one worthless.
    pub(super) fn is_latest_wins(&self) -> bool {
        matches!(
            self,
            Self::Progress { .. } | Self::Metrics(_) | Self::Preview(_)
        )
    }
}

/// Named figures of one training step or evaluation, as they go into the project's metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    pub step: u64,
    /// `train` or `eval`.
    pub phase: &'static str,
    pub values: std::collections::BTreeMap<String, f64>,
}

/// Straight RGBA8, `width × height × 4` bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    pub step: u64,
    pub width: u32,
    pub height: u32,
    #[serde(skip)]
    pub rgba: Vec<u8>,
}

/// What a finished job leaves behind: a sentence, figures, and the files it wrote.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    pub summary: String,
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub report: serde_json::Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What it hands over in memory; for the window.
    #[serde(skip)]
    pub product: Option<Product>,
}

/// What a finished job hands over to the window.
#[derive(Clone)]
pub enum Product {
    Project(Storage),
    Document(Arc<OpenDocument>),
    Palette(Arc<Palette>),
    Companions(Arc<Companions>),
    Brushes(Arc<BrushPack>),
    Crops(Arc<CropSheet>),
    Reskin(Arc<Reskin>),
    Thumbnails(Arc<Thumbnails>),
}

impl std::fmt::Debug for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Project(project) => write!(f, "Project({})", project.path().display()),
            Self::Document(document) => write!(f, "Document({})", document.name),
            Self::Reskin(reskin) => write!(f, "Reskin({})", reskin.model),
            Self::Palette(palette) => write!(f, "Palette({})", palette.model_hash),
            Self::Brushes(pack) => write!(f, "Brushes({})", pack.brushes.len()),
            Self::Companions(table) => write!(f, "Companions({})", table.origin),
            Self::Crops(sheet) => write!(f, "Crops({})", sheet.picture),
            Self::Thumbnails(made) => write!(f, "Thumbnails({})", made.of.len()),
        }
    }
}

impl PartialEq for Product {
    /// The very same thing.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Project(a), Self::Project(b)) => a.path() == b.path(),
            (Self::Document(a), Self::Document(b)) => Arc::ptr_eq(a, b),
            (Self::Reskin(a), Self::Reskin(b)) => Arc::ptr_eq(a, b),
            (Self::Palette(a), Self::Palette(b)) => Arc::ptr_eq(a, b),
            (Self::Companions(a), Self::Companions(b)) => Arc::ptr_eq(a, b),
            (Self::Brushes(a), Self::Brushes(b)) => Arc::ptr_eq(a, b),
            (Self::Crops(a), Self::Crops(b)) => Arc::ptr_eq(a, b),
            (Self::Thumbnails(a), Self::Thumbnails(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Outcome {
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn with_report(mut self, report: serde_json::Value) -> Self {
        self.report = report;
        self
    }

    #[must_use]
    pub fn with_product(mut self, product: Product) -> Self {
        self.product = Some(product);
        self
    }

    #[must_use]
    pub fn with_file(mut self, path: &std::path::Path) -> Self {
        self.files.push(path.to_string_lossy().into_owned());
        self
    }
}
