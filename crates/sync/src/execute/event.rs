//! What a synchronisation tells while it runs. A library draws no progress bar.

use crate::Key;
use crate::execute::Outcome;
use crate::plan::{OperationId, Side};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncEvent {
    /// A store was listed.
    Scanned {
        /// Which.
        side: Side,
        /// Objects in it.
        objects: u64,
        /// Things in it that are no objects.
        skipped: u64,
    },
    /// There is a plan.
    Planned {
        /// Operations of it.
        operations: u64,
        /// Bytes that move between the stores.
        bytes: u64,
    },
    /// An operation began.
    Started {
        /// Its number.
        id: OperationId,
        /// The key that it changes.
        key: Key,
    },
    /// Bytes were handed to the destination. Counted again when an operation is tried again.
    Moved {
        /// The operation.
        id: OperationId,
        /// Bytes since the last such event.
        bytes: u64,
    },
    /// An operation ended.
    Finished {
        /// Its number.
        id: OperationId,
        /// How.
        outcome: Outcome,
    },
    /// The merge base was saved.
    BaseSaved {
        /// Objects in it.
        objects: u64,
    },
}

/// Who is told. Called on the task that runs the synchronisation, between its steps: it must not block for long.
pub trait Observer: Send + Sync {
    /// Takes note of something that happened.
    fn observe(&self, event: &SyncEvent);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: &SyncEvent) {}
}

impl<F: Fn(&SyncEvent) + Send + Sync> Observer for F {
    fn observe(&self, event: &SyncEvent) {
        self(event);
    }
}
