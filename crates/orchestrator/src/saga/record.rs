//! What a saga writes into the journal. State is derived from these records only, so a journal's prefix is a state.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Digest, Millionths, OperationId, ResourceId, StepId, Timestamp, Token, Until};

/// Version of the persisted form; a reader refuses a later one.
pub const RECORD_VERSION: u32 = 1;

/// One entry of a saga's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record")]
pub enum Record {
    /// The first: which plan is carried out.
    Begun {
        /// Version of the form, [`RECORD_VERSION`].
        version: u32,
        /// The plan's id.
        plan: Digest,
        /// The snapshot's generation.
        generation: u64,
        /// The controller's epoch.
        epoch: u64,
    },
    /// A controller took over after a crash.
    Resumed {
        /// Its epoch; not below the ones before.
        epoch: u64,
    },
    /// A call may have been made from here on.
    Intent {
        /// Which step.
        step: StepId,
        /// Name of the operation.
        operation: OperationId,
        /// Makes a repeated creation harmless.
        token: Token,
        /// Generation of the token, from 1; a new one only where the provider refuses the old and nothing is there.
        attempt: u32,
        /// Digest of what is asked for.
        parameters: Digest,
    },
    /// The thing exists.
    Observed {
        /// Which step.
        step: StepId,
        /// The operation that made it.
        operation: OperationId,
        /// What the provider calls it.
        resource: ResourceId,
    },
    /// The thing has reached a condition.
    Ready {
        /// Which step.
        step: StepId,
        /// What it has reached.
        until: Until,
    },
    /// A step that deletes is done.
    Gone {
        /// Which step.
        step: StepId,
    },
    /// A gate was reached: new replicas are watched from here on.
    GateOpened {
        /// Which step.
        step: StepId,
        /// When.
        at: Timestamp,
    },
    /// A metric was measured at a gate.
    Measured {
        /// Which step.
        step: StepId,
        /// Position in the gate's analysis.
        analysis: u32,
        /// What was measured; `None`: it could not be.
        value: Option<Millionths>,
        /// Whether it was as it has to be.
        good: bool,
        /// When.
        at: Timestamp,
    },
    /// A gate was passed.
    Passed {
        /// Which step.
        step: StepId,
    },
    /// A call, a look-up or a wait failed.
    Failed {
        /// Which step.
        step: StepId,
        /// What kind of failure.
        class: Class,
        /// What was said, for people; no secrets.
        detail: String,
        /// Failures of this step (or of its undoing) so far, from 1.
        attempt: u32,
        /// What follows from it.
        verdict: Verdict,
    },
    /// An intent that came to nothing: nothing was called, or nothing is there and nothing will be.
    Withdrawn {
        /// Which step.
        step: StepId,
    },
    /// The caller asked to stop.
    CancelRequested,
    /// Undoing a step may have been called from here on.
    CompensationIntent {
        /// Which step.
        step: StepId,
        /// Name of the operation.
        operation: OperationId,
        /// What is deleted.
        resource: ResourceId,
    },
    /// A step is undone.
    Compensated {
        /// Which step.
        step: StepId,
    },
    /// The last.
    Ended {
        /// How it ended.
        outcome: Outcome,
    },
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The step goes on.
    Again,
    /// The step is given up and left nothing behind (or what it left is known).
    GivenUp,
    /// The step is given up and it cannot be told whether it left something behind.
    InDoubt,
}

/// How a saga ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step is done.
    Succeeded,
    /// All that was to be created is there; something that was to be deleted is too.
    Incomplete,
    /// A step failed and what the plan had made is deleted again.
    RolledBack,
    /// The caller asked to stop.
    Cancelled,
    /// Something could not be undone or is in doubt.
    Stuck,
}

impl Record {
    /// The step it is about, if it is about one.
    #[must_use]
    pub const fn step(&self) -> Option<StepId> {
        match self {
            Self::Begun { .. } | Self::Resumed { .. } | Self::CancelRequested | Self::Ended { .. } => None,
            Self::Intent { step, .. }
            | Self::Observed { step, .. }
            | Self::Ready { step, .. }
            | Self::Gone { step }
            | Self::GateOpened { step, .. }
            | Self::Measured { step, .. }
            | Self::Passed { step }
            | Self::Failed { step, .. }
            | Self::Withdrawn { step }
            | Self::CompensationIntent { step, .. }
            | Self::Compensated { step } => Some(*step),
        }
    }

    /// The word that tells its kind, as in its persisted form.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Begun { .. } => "begun",
            Self::Resumed { .. } => "resumed",
            Self::Intent { .. } => "intent",
            Self::Observed { .. } => "observed",
            Self::Ready { .. } => "ready",
            Self::Gone { .. } => "gone",
            Self::GateOpened { .. } => "gate-opened",
            Self::Measured { .. } => "measured",
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "failed",
            Self::Withdrawn { .. } => "withdrawn",
            Self::CancelRequested => "cancel-requested",
            Self::CompensationIntent { .. } => "compensation-intent",
            Self::Compensated { .. } => "compensated",
            Self::Ended { .. } => "ended",
        }
    }
}
