//! What can go wrong with files of the control plane; each names the file.

use std::io;
use std::path::{Path, PathBuf};

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
    #[error("take the lease `{}`: another controller holds it", path.display())]
    Held {
        /// Which file.
        path: PathBuf,
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
            Self::Poisoned { .. } | Self::Held { .. } => Class::Conflict,
        }
    }
}
