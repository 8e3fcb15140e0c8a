//! What a step of a running saga is doing right now. All of it is lost in a crash, and none of it is missed.

use skyloom_core::{Timestamp, Until};

/// A call that a step is to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Write the intent, then create or delete.
    Begin,
    /// Create (again, with the same token).
    Create,
    /// Look for what an earlier creation left. `settled`: the consistency window has passed.
    LookUp { settled: bool },
    /// Delete (again).
    Delete,
    /// Watch for the next condition (again); takes no slot.
    Await,
    /// Write the intent to undo, then delete.
    BeginUndo,
    /// Delete what was created (again).
    Undo,
}

/// What a record on its way to the journal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// An intent, also to undo: no call was made yet.
    Intent,
    /// A success.
    Success,
    /// A failure after which the step goes on.
    Again,
    /// The end of the step without success.
    End,
}

/// What a step is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing.
    Idle,
    /// Waiting for a free slot.
    Queued(Call),
    /// Waiting for a record to be durable.
    Writing(Writing),
    /// Waiting for an answer.
    Calling { call: Call, deadline: Timestamp },
    /// Waiting for a time.
    Sleeping { call: Call, until: Timestamp },
    /// Waiting for readiness.
    Awaiting { until: Until, deadline: Timestamp },
}

impl Activity {
    /// When something is due.
    pub(super) const fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Calling { deadline, .. } | Self::Awaiting { deadline, .. } => Some(*deadline),
            Self::Sleeping { until, .. } => Some(*until),
            Self::Idle | Self::Queued(_) | Self::Writing(_) => None,
        }
    }
}
