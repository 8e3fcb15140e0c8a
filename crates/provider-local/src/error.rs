//! The border where operating-system errors become causes a caller can act on. Nothing else in this crate looks at an
//! error number.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use skyloom_core::Class;
use skyloom_provider::{Cause, DriverError};
use thiserror::Error;

use crate::record::Damage;

/// Name of the driver in errors and capabilities.
pub(crate) const PROVIDER: &str = "local";

/// The folder of a driver cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be made, read or written.
    #[error("use `{path}` as the folder of the local driver")]
    Folder {
        /// The file or folder concerned.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the folder is not what this driver wrote.
    #[error("use the folder of the local driver: `{path}` is {damage}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, for people.
        damage: String,
    },
    /// Another driver kept the folder's lock for too long.
    #[error("lock `{path}`")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

impl OpenError {
    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Folder { source, .. } => cause_of(source, "open the folder").class(),
            Self::Damaged { .. } => Class::Bug,
            Self::Locked { .. } => Class::Transient,
        }
    }
}

/// An operating-system error with what was tried on which file.
#[derive(Debug, Error)]
#[error("{action} `{}`", path.display())]
pub(crate) struct FileError {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    #[source]
    pub(crate) source: io::Error,
}

/// A cause with the raw error behind it, before it is known which call it belongs to.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) cause: Cause,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    subject: Option<String>,
}

impl Fault {
    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let cause = cause_of(&source, &format!("{action} `{}`", path.display()));
        Self::from(cause).with_source(FileError { action, path, source })
    }

    pub(crate) fn system(action: &str, source: io::Error) -> Self {
        Self::from(cause_of(&source, action)).with_source(source)
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::from(Cause::Invalid { detail: detail.into() })
    }

    pub(crate) fn unexpected(detail: impl Into<String>) -> Self {
        Self::from(Cause::Unexpected { detail: detail.into() })
    }

    pub(crate) fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Whether a file of this folder is damaged beyond use, and not merely newer than this driver.
    pub(crate) fn is_damage(&self) -> bool {
        let source = self
            .source
            .as_deref()
            .and_then(|source| source.downcast_ref::<Damage>());
        source.is_some_and(|damage| !matches!(damage, Damage::Version { .. }))
    }

    /// About this thing, where that is not the thing of the call.
    pub(crate) fn on(mut self, subject: impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    pub(crate) fn into_error(self, operation: &'static str, subject: Option<String>) -> DriverError {
        DriverError {
            provider: PROVIDER.to_owned(),
            operation,
            subject: self.subject.or(subject),
            cause: self.cause,
            source: self.source,
        }
    }
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            source: None,
            subject: None,
        }
    }
}

/// What an error number means for the caller of a driver.
fn cause_of(error: &io::Error, action: &str) -> Cause {
    let exhausted = |what: &str| Cause::SystemExhausted { what: what.to_owned() };
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => exhausted("disk space"),
        Some(Errno::FBIG) => exhausted("room in files"),
        Some(Errno::MFILE | Errno::NFILE) => exhausted("open files"),
        Some(Errno::NOMEM) => exhausted("memory"),
        Some(Errno::AGAIN) => exhausted("processes"),
        Some(Errno::ADDRNOTAVAIL) => exhausted("ports"),
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Cause::Denied,
        Some(Errno::TOOBIG) => Cause::Invalid {
            detail: "the command with its environment is longer than the system allows".to_owned(),
        },
        _ => Cause::Unavailable {
            detail: format!("cannot {action}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_become_classes_that_retry_can_look_at() {
        let rows = [
            (Errno::NOSPC, Class::Exhausted),
            (Errno::DQUOT, Class::Exhausted),
            (Errno::MFILE, Class::Exhausted),
            (Errno::AGAIN, Class::Exhausted),
            (Errno::NOMEM, Class::Exhausted),
            (Errno::ROFS, Class::Denied),
            (Errno::ACCESS, Class::Denied),
            (Errno::TOOBIG, Class::Invalid),
            (Errno::IO, Class::Transient),
        ];
        for (errno, class) in rows {
            let fault = Fault::file("write", Path::new("/state/x"), errno.into());
            let error = fault.into_error("create", None);
            assert_eq!(error.class(), class, "{errno:?}");
            let source = std::error::Error::source(&error).unwrap();
            assert_eq!(source.to_string(), "write `/state/x`", "the file is named");
            assert!(source.source().unwrap().is::<io::Error>(), "the raw error is kept");
        }
    }
}
