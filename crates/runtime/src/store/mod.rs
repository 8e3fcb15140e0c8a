//! What the control plane keeps on disk: a journal of what it is doing, the state it has reached, the audit log, and
//! the lease that keeps a second controller out.
//!
//! All of it lives in one directory. Nothing here decides anything.

mod atomic;
mod audit_file;
mod entry;
mod error;
mod journal;
mod lease;
mod log;
mod seed;
mod state;

pub use atomic::{read_if_there, replace_file, swap_file};
pub use audit_file::AuditFile;
pub use entry::{Interrupted, JournalEntry};
pub use error::StoreError;
pub use journal::{FileJournal, Medium, Opened};
pub use lease::Lease;
pub use log::{LogEnd, LogError, LogRead, read_log};
pub(crate) use seed::seed;
pub use state::{Aim, KnownMachine, KnownReplica, Reverting, STATE_VERSION, State};
