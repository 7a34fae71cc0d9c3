//! What a job tells the world. The window and the command line read the same events.

use std::sync::Arc;

use serde::{Serialize, Serializer};

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
    /// Its output is with its [`Ticket`](crate::engine::lanes::worker::Ticket).
    Finished,
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
            Self::Finished | Self::Cancelled { .. } | Self::Failed { .. }
        )
    }

    /// Whether a newer event of the same kind and job makes this one worthless.
    pub(crate) fn is_latest_wins(&self) -> bool {
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
