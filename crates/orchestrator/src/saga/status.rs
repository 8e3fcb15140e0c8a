//! How a saga is, for whoever watches it.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, StepId};

/// A step that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which step.
    pub step: StepId,
    /// What kind of failure.
    pub class: Class,
    /// What was said.
    pub detail: String,
}

/// Why a saga does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopCause {
    /// A creation, or the wait for what was created, was given up.
    Failed(Failure),
    /// The caller asked for it.
    Cancelled,
}

/// How a saga is. Lists are sorted by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SagaStatus {
    /// Steps are carried out.
    Running,
    /// Nothing new is begun; calls under way are waited for.
    Stopping {
        /// Why.
        cause: StopCause,
    },
    /// What was created is deleted again.
    Compensating {
        /// Why.
        cause: StopCause,
    },
    /// Every step is done.
    Succeeded,
    /// All that was to be created is there; these deletions were given up, and those that wait for them not begun.
    Incomplete {
        /// Deletions that failed.
        left: Vec<Failure>,
    },
    /// A step failed and what the plan had made is deleted again.
    RolledBack {
        /// The failure.
        cause: Failure,
        /// What stays because something old has been deleted in exchange for it, or for what rests on it.
        kept: Vec<StepId>,
    },
    /// The caller asked to stop.
    Cancelled {
        /// What was created and stays.
        kept: Vec<StepId>,
    },
    /// Something could not be undone, or it is not known whether it is there.
    Stuck {
        /// Why it stopped in the first place.
        cause: StopCause,
        /// What may be left behind.
        left: Vec<Failure>,
    },
    /// The journal or a later controller forbids to go on. A resumed saga takes up from the journal.
    Halted {
        /// What kind of failure.
        class: Class,
        /// What was said.
        detail: String,
    },
}

impl SagaStatus {
    /// Whether no further command will come.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Running | Self::Stopping { .. } | Self::Compensating { .. })
    }
}

/// How far a saga is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// Steps of the plan.
    pub total: u64,
    /// Steps that are done: created and as ready as somebody needs them, deleted, or waited for.
    pub done: u64,
    /// Steps with a call under way.
    pub calling: u64,
    /// Steps that wait for readiness.
    pub waiting: u64,
    /// Steps that were given up.
    pub failed: u64,
    /// Steps that were undone.
    pub undone: u64,
}
