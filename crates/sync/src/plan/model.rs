//! What will be moved and deleted: immutable data, complete enough that executing it leaves no choice.

use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Digest, MicroUsd, SyncMode};
use thiserror::Error;

use crate::store::{Condition, Etag, SkipReason, StoreId};
use crate::{BaseError, ContentHash, Key};

/// Version of the persisted form of a plan.
pub const SYNC_PLAN_VERSION: u32 = 1;

/// One of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one given first; of a mirror the original.
    Left,
    /// The one given second; of a mirror the copy.
    Right,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

/// Groups of operations. Those of one phase may run in any order and at once; a phase begins when the one before ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The contents that lose a conflict get their copies, before anything is replaced.
    Preserve,
    /// Deletes, before copies: a file may take the name of a folder that goes.
    Delete,
    /// Copies.
    Copy,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Preserve, Self::Delete, Self::Copy];
}

/// Number of an operation in its plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u32);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One change of one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OperationId,
    /// When it runs.
    pub phase: Phase,
    /// What it does.
    pub action: Action,
    /// Operations of earlier phases that must have succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<OperationId>,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Writes an object's content under a key.
    Copy {
        /// Where it is read.
        from: Side,
        /// Its key there.
        key: Key,
        /// Its version there: another one is not copied.
        source: Etag,
        /// Where it is written, possibly the same store.
        to: Side,
        /// Its key there.
        to_key: Key,
        /// Hash of the content.
        hash: ContentHash,
        /// Bytes of the content.
        size: u64,
        /// What must be so at the destination.
        precondition: Condition,
    },
    /// Deletes an object.
    Delete {
        /// Where.
        side: Side,
        /// Its key.
        key: Key,
        /// Hash of the content that goes.
        hash: ContentHash,
        /// Bytes that go.
        size: u64,
        /// What must be so.
        precondition: Condition,
    },
}

impl Action {
    /// The store that it changes, and the key.
    #[must_use]
    pub const fn target(&self) -> (Side, &Key) {
        match self {
            Self::Copy { to, to_key, .. } => (*to, to_key),
            Self::Delete { side, key, .. } => (*side, key),
        }
    }

    /// Bytes that it moves between the stores.
    #[must_use]
    pub fn bytes_between(&self) -> u64 {
        match self {
            Self::Copy { from, to, size, .. } if from != to => *size,
            _ => 0,
        }
    }
}

/// How two sides contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Both have a new content, not the same.
    BothChanged,
    /// In a mirror: changed on the right, where nobody should, and not on the left.
    CopyChanged,
    /// Deleted on the left, changed on the right.
    LeftDeletedRightChanged,
    /// Changed on the left, deleted on the right.
    LeftChangedRightDeleted,
}

/// A contradiction, and what the plan does about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The key.
    pub key: Key,
    /// How.
    pub kind: ConflictKind,
    /// The key that the losing content gets; none when there is no loser.
    pub copy: Option<Key>,
}

/// A key that is left alone on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The key.
    pub key: Key,
    /// Why.
    pub reason: HeldReason,
}

/// Why a key is left alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HeldReason {
    /// Something that is no object has its name, or that of a folder it lies in.
    Skipped {
        /// Where.
        side: Side,
        /// What it is.
        reason: SkipReason,
    },
    /// Only the copy of a mirror has it, and it did not come from here: it may be somebody's only copy.
    Untracked,
    /// There are two contents of it, and the rule is to hold.
    Conflict,
    /// A folder and an object would have one name at a store that cannot have both.
    FolderClash {
        /// Where.
        side: Side,
        /// The other name.
        with: String,
    },
    /// Two keys differ in case only, at a store to which they are one.
    CaseClash {
        /// Where.
        side: Side,
        /// The other key.
        with: Key,
    },
    /// A segment is longer than the store takes.
    NameTooLong {
        /// Where.
        side: Side,
    },
    /// No name is free for the conflict copy.
    NoConflictName,
}

/// A key that both sides have with equal content: nothing moves, the base takes note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// The key.
    pub key: Key,
    /// Hash of the content.
    pub hash: ContentHash,
    /// Bytes of the content.
    pub size: u64,
    /// Its version on the left.
    pub left: Etag,
    /// Its version on the right.
    pub right: Etag,
}

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeRef {
    /// The store.
    pub store: StoreId,
    /// [`Tree::digest`](crate::Tree::digest).
    pub digest: ContentHash,
    /// Objects in it.
    pub objects: u64,
}

/// What will be done. Made by [`plan()`](crate::plan()), carried out by [`execute`](crate::execute). Fields are sorted:
/// `operations` by phase and key, the others by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncPlan {
    /// Version of the form, [`SYNC_PLAN_VERSION`].
    pub version: u32,
    /// Direction.
    pub mode: SyncMode,
    /// The left tree.
    pub left: TreeRef,
    /// The right tree.
    pub right: TreeRef,
    /// The merge base, by [`Base::digest`](crate::Base::digest).
    pub base: ContentHash,
    /// What to do.
    pub operations: Vec<Operation>,
    /// Contradictions, and what the operations do about them.
    pub conflicts: Vec<Conflict>,
    /// Keys that are left alone although they differ, with the reason.
    pub held: Vec<Held>,
    /// Pairs of keys that differ in case only, of both sides together: fine here, but not everywhere.
    pub case_pairs: Vec<(Key, Key)>,
    /// Keys that became equal without us.
    pub adopted: Vec<Adopted>,
    /// Keys that went on both sides without us.
    pub forgotten: Vec<Key>,
    /// Bytes that move between the stores.
    pub bytes_to_move: u64,
    /// What moving them costs, where the configuration says what a byte costs.
    pub price: Option<MicroUsd>,
}

impl SyncPlan {
    /// Name of the plan: the digest of all of it.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(self)
    }

    /// Whether no store is changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Whether neither a store nor the base is changed.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.is_empty() && self.adopted.is_empty() && self.forgotten.is_empty()
    }

    /// Number of deletes on a side.
    #[must_use]
    pub fn deletes(&self, side: Side) -> u64 {
        let on_side = |op: &&Operation| matches!(op.action, Action::Delete { side: at, .. } if at == side);
        self.operations.iter().filter(on_side).count() as u64
    }
}

/// Why no plan can be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Left and right are one store.
    #[error("plan a synchronisation of store `{store}` with itself (a copied folder brings its `.skyloom` along)")]
    SameStore {
        /// The store.
        store: StoreId,
    },
    /// The base is of other stores.
    #[error("plan a synchronisation")]
    Base(#[source] BaseError),
    /// A store that is written cannot keep conditions.
    #[error("plan a synchronisation that writes to store `{store}`: it has no {what}")]
    Unconditional {
        /// The store.
        store: StoreId,
        /// What it lacks.
        what: &'static str,
    },
    /// The plan would delete too much.
    #[error("plan {deletes} deletes of {objects} objects on the {side}: {allowed} are allowed")]
    TooManyDeletes {
        /// Where.
        side: Side,
        /// Deletes of the plan.
        deletes: u64,
        /// Objects there.
        objects: u64,
        /// Deletes that are allowed.
        allowed: u64,
    },
    /// More operations, bytes or money than can be counted.
    #[error("plan a synchronisation of more {what} than can be counted")]
    Overflow {
        /// What.
        what: &'static str,
    },
}

impl PlanError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Base(error) => error.class(),
            Self::SameStore { .. } | Self::Overflow { .. } => Class::Invalid,
            Self::Unconditional { .. } => Class::Unsupported,
            Self::TooManyDeletes { .. } => Class::Denied,
        }
    }
}
