//! What the control plane keeps on disk: a journal of what it is doing, the state it has reached, the audit log, and
//! the lease that keeps a second controller out.
//!
//! What has to outlive a controller is behind [`ControlStore`]: a directory by default, an object store or a database by
//! choice. The audit log and the endpoints file always are files of this machine. Nothing here decides anything.
//! See `docs/runtime/stores.md`.

mod atomic;
mod audit_file;
pub mod conformance;
mod control_store;
mod dir;
mod entry;
mod error;
mod journal;
mod lease;
mod log;
#[cfg(feature = "object-store")]
pub mod object;
#[cfg(feature = "postgres")]
pub mod postgres;
mod seed;
mod state;

pub use atomic::{read_if_there, replace_file, swap_file};
pub use audit_file::AuditFile;
pub use control_store::{Ask, ControlStore, Document, Entry, Session};
pub use dir::DirStore;
pub use entry::{Interrupted, JournalEntry};
pub use error::StoreError;
pub use journal::{FileJournal, Medium, Opened};
pub use lease::Lease;
pub use log::{LogEnd, LogError, LogRead, read_log};
pub(crate) use seed::seed;
pub use state::{Aim, KnownMachine, KnownReplica, Reverting, STATE_VERSION, State};
