//! What a synchronisation did.

use serde::Serialize;
use skyloom_core::{Class, Digest, Timestamp};

use crate::Key;
use crate::plan::{Conflict, Held, OperationId, Side};
use crate::store::Skipped;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done, and what arrived was verified.
    Done,
    /// It had been done before, by a run that was cut short.
    AlreadyDone,
    /// The world had moved: nothing was changed.
    Conflict,
    /// It failed.
    Failed,
    /// It was not begun: an operation that it needs did not succeed, or the destination is full.
    NotStarted,
}

/// A plan met a world that had moved on. Nothing was changed; the next plan takes the new state into account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncConflict {
    /// The operation.
    pub id: OperationId,
    /// The key that it would have changed.
    pub key: Key,
    /// What had moved.
    pub cause: ConflictCause,
}

/// What had moved since the plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictCause {
    /// The object that was to be copied was changed or is gone.
    Source(Side),
    /// The object that was to be replaced, created or deleted was changed, is gone or has appeared.
    Destination(Side),
}

/// An operation that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The operation.
    pub id: OperationId,
    /// The key that it would have changed.
    pub key: Key,
    /// What kind of failure it is.
    pub class: Class,
    /// The error and its sources, for people.
    pub error: String,
}

/// What a synchronisation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SyncReport {
    /// The plan that was carried out.
    pub plan: Digest,
    /// `now` of the call.
    pub at: Timestamp,
    /// Objects that both sides have in common afterwards.
    pub objects: u64,
    /// Copies that were made, conflict copies included.
    pub copied: u64,
    /// Objects that were deleted.
    pub deleted: u64,
    /// Operations that an earlier run had done already.
    pub already_done: u64,
    /// Bytes that were moved between the stores by the copies that succeeded.
    pub bytes_moved: u64,
    /// Copies whose bytes were read back from the destination and had the planned content hash.
    pub verified: u64,
    /// Contradictions that the plan resolved, by key.
    pub resolved: Vec<Conflict>,
    /// Operations that met a world that had moved, by number.
    pub conflicts: Vec<SyncConflict>,
    /// Operations that failed, by number.
    pub failures: Vec<Failure>,
    /// Operations that were not begun, by number.
    pub not_started: Vec<OperationId>,
    /// Keys that were left alone although they differ, by key.
    pub held: Vec<Held>,
    /// What is no object, by side and name.
    pub skipped: Vec<(Side, Skipped)>,
}

impl SyncReport {
    /// Whether every operation of the plan is done; a copy is done only when it was verified. Keys that are held do not
    /// count: see [`SyncReport::held`].
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.conflicts.is_empty() && self.failures.is_empty() && self.not_started.is_empty()
    }
}
