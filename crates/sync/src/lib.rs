//! Keeps a data set equal in two places, and proves it by content hash.
//!
//! A pure planner compares three trees (left, right, and the merge base: what both had in common last time) and gives a
//! [`SyncPlan`]: immutable, priced, every write and delete with a precondition. An executor over the narrow [`Store`]
//! port carries it out and verifies what arrived. [`LocalDisk`] and [`InMemory`] need nothing installed.
//!
//! No clock, no runtime, no thread: `now` is an argument and futures run on whatever executor the caller has. The disk
//! store blocks, so on tokio run a synchronisation on a thread that may block (`spawn_blocking` with
//! `Handle::block_on`). `docs/sync.md` has the semantics, the conflict rules and the limits.
//!
//! ```
//! # futures::executor::block_on(async {
//! use skyloom_core::Timestamp;
//! use skyloom_sync::{BaseFile, LocalDisk, SyncConfig, SyncMode, sync, verify};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! # std::fs::create_dir(folder.join("primary"))?;
//! std::fs::write(folder.join("primary/orders.json"), "[1, 2]")?;
//! let left = LocalDisk::open(folder.join("primary"))?;
//! let right = LocalDisk::open(folder.join("copy"))?;
//! let base = BaseFile::new(folder.join("base.json"));
//! let config = SyncConfig::new(SyncMode::Mirror);
//!
//! let first = sync(&left, &right, &base, &config, Timestamp::EPOCH).await?;
//! assert_eq!((first.copied, first.bytes_moved), (1, 6));
//! assert!(verify(&left, &right, &config).await?.is_equal());
//!
//! let again = sync(&left, &right, &base, &config, Timestamp::EPOCH).await?;
//! assert_eq!(again.bytes_moved, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod base;
mod base_store;
mod error;
mod execute;
mod filter;
mod hash;
mod key;
mod plan;
mod store;
mod sync;
#[cfg(feature = "testkit")]
pub mod testkit;
mod tree;
mod verify;

pub use base::{BASE_VERSION, Base, BaseEntry};
pub use base_store::{BaseError, BaseFile, BaseStore, InMemoryBase};
pub use error::SyncError;
pub use execute::{ConflictCause, Failure, Observer, Outcome, Silent, SyncConflict, SyncEvent, SyncReport, execute};
pub use filter::{Filter, PATTERN_BYTES_MAX, Pattern, PatternError};
pub use hash::{ContentHash, ContentHashParseError};
pub use key::{KEY_BYTES_MAX, Key, KeyError, RESERVED_SEGMENT};
pub use plan::{
    Action, Adopted, Conflict, ConflictKind, ConflictRule, Held, HeldReason, MaxDelete, Operation, OperationId, Phase,
    PlanError, SYNC_PLAN_VERSION, Side, SyncConfig, SyncMode, SyncPlan, TransferPrice, TreeRef, conflict_key, plan,
};
pub use store::{
    ByteStream, BytesBody, CHUNK_BYTES_MAX, Capabilities, Cause, Condition, Cursor, Download, Durability, Etag, Head,
    InMemory, LocalDisk, METADATA_BYTES_MAX, Metadata, MetadataError, ObjectMeta, PAGE_OBJECTS_MAX, Page, SkipReason,
    Skipped, Store, StoreError, StoreId, StoreOperation,
};
pub use sync::{prepare, sync, sync_observed};
pub use tree::{Tree, TreeEntry, scan};
pub use verify::{VerifyReport, verify};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/sync.md")]
struct Guide;
