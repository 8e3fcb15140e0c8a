//! What can go wrong with files of the control plane; each names the file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use skyloom_core::Class;
use skyloom_security::audit::AuditVerifyError;
use thiserror::Error;

/// Why something could not be read from or made durable on disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system refused.
    #[error("{operation} `{}`", path.display())]
    Io {
        /// What was tried: `read`, `write`, `sync` …
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record in the middle is damaged: later ones are good, so it is no torn tail.
    #[error("read record {record} of `{}`: it is damaged, and later ones are not", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Position, from 0.
        record: usize,
    },
    /// The file has a later version than this program knows; it was left as it is.
    #[error("read `{}`: it has version {found}, version {understood} is understood", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest version that is understood.
        understood: u32,
    },
    /// The file has another form.
    #[error("read `{}`: {detail}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What was found and what is understood.
        detail: String,
    },
    /// An earlier write failed so that the end of the file is unknown; it must be opened anew.
    #[error("append to `{}`: an earlier write failed, open it anew", path.display())]
    Poisoned {
        /// Which file.
        path: PathBuf,
    },
    /// The audit trail is not what was signed, or was signed by another key; going on would sign what is there now.
    #[error("go on with `{}`: it is not what was signed", path.display())]
    AuditAltered {
        /// Which file.
        path: PathBuf,
        /// What does not hold.
        source: AuditVerifyError,
    },
    /// Another controller holds the lease.
    #[error("take the lease `{}`: {} holds it", path.display(), holder.as_deref().unwrap_or("another controller"))]
    Held {
        /// Which file, or what the store is called.
        path: PathBuf,
        /// Who, where the store knows.
        holder: Option<String>,
        /// It lapses after this time unless it is renewed, where the store knows.
        lapses_within: Option<Duration>,
    },
    /// The lease is another controller's by now, or was given back; nothing was changed.
    #[error("write to `{}` with epoch {epoch}: {}", place.display(), taken_over(*by))]
    Fenced {
        /// Which store.
        place: PathBuf,
        /// The epoch of the write.
        epoch: u64,
        /// The epoch of the holder, where it is known.
        by: Option<u64>,
    },
    /// The lease could not be renewed in time. Another controller may take it, so nothing is begun; once it is renewed
    /// after all, this controller goes on.
    #[error("write to `{}` with epoch {epoch}: the lease was not renewed in time", place.display())]
    Lapsed {
        /// Which store.
        place: PathBuf,
        /// The epoch of the lease.
        epoch: u64,
    },
    /// The store has not answered in time. Whether anything was changed is not known.
    #[error("{operation} `{}`: no answer within {after:?}", place.display())]
    Late {
        /// What was tried.
        operation: &'static str,
        /// Which store.
        place: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
    /// The store cannot be asked. Whether anything was changed is not known.
    #[error("{operation} `{}`", place.display())]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// Which store.
        place: PathBuf,
        /// What kind of failure it is.
        class: Class,
        /// What was said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The journal is not where this session has left it: an earlier write of its own, whose answer was lost, has come
    /// through. Reading the journal shows what is there.
    #[error("go on in `{}`: an earlier write without an answer has changed it", place.display())]
    Moved {
        /// Which store.
        place: PathBuf,
    },
    /// The server takes conditional writes and does not keep their conditions: it cannot hold a lease.
    #[error("use `{}`: it overwrites an object that was to be written only if absent or unchanged", place.display())]
    Unconditional {
        /// Which store.
        place: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    Class::Exhausted
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Class::Denied,
                io::ErrorKind::NotFound => Class::NotFound,
                _ => Class::Transient,
            },
            Self::Damaged { .. } | Self::Format { .. } | Self::Version { .. } => Class::Invalid,
            Self::AuditAltered { .. } => Class::Denied,
            Self::Poisoned { .. } | Self::Held { .. } | Self::Fenced { .. } | Self::Moved { .. } => Class::Conflict,
            Self::Lapsed { .. } | Self::Late { .. } => Class::Transient,
            Self::Unavailable { class, .. } => *class,
            Self::Unconditional { .. } => Class::Unsupported,
        }
    }

    /// Whether a write that failed so may have happened all the same.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Late { .. } | Self::Unavailable { .. } | Self::Moved { .. })
    }

    /// Whether it says that the lease is not this controller's now.
    #[must_use]
    pub const fn is_lease_lost(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Lapsed { .. })
    }
}

fn taken_over(by: Option<u64>) -> String {
    by.map_or_else(
        || "the lease is not held any more".to_owned(),
        |epoch| format!("a controller with epoch {epoch} has taken over"),
    )
}
