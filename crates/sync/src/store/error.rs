//! What goes wrong at a store: which store, which operation, which key, and why.

use std::error::Error;
use std::fmt;
use std::io;

use skyloom_core::Class;

use super::{Condition, Etag, SkipReason};
use crate::{ContentHash, Key};

/// A call to a store that failed. Names the store, the operation, the key where there is one, and the cause.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoreError {
    /// Name of the store, see [`Store::name`](super::Store::name).
    pub store: String,
    /// What was asked of it.
    pub operation: StoreOperation,
    /// The object, where the operation is about one.
    pub key: Option<Key>,
    /// Why it failed.
    pub cause: Cause,
}

/// What was asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StoreOperation {
    /// Opening the store.
    Open,
    /// Listing.
    List,
    /// Reading what is known of an object.
    Head,
    /// Reading an object.
    Get,
    /// Writing an object.
    Put,
    /// Deleting an object.
    Delete,
}

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// There is no such object.
    NotFound,
    /// The object is not as the condition wants it; nothing was changed.
    Precondition {
        /// What was asked for.
        expected: Condition,
        /// Tag of what is there, if anything is.
        found: Option<Etag>,
    },
    /// Something that is no object has this name: a folder, a link, a socket. It was left alone.
    Occupied {
        /// What it is.
        by: SkipReason,
    },
    /// The content changed while it was read; what was read so far must not be used.
    Changed,
    /// The bytes are not the ones that were announced.
    WrongContent {
        /// Announced.
        expected: ContentHash,
        /// Found.
        found: ContentHash,
    },
    /// The store cannot do that.
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
    /// The operating system or the service refused; its words are the error's source.
    Io {
        /// What kind of failure it is.
        class: Class,
        /// The raw error.
        source: io::Error,
    },
}

impl StoreError {
    /// An error of `operation` on `store`.
    #[must_use]
    pub fn new(store: impl Into<String>, operation: StoreOperation, key: Option<&Key>, cause: Cause) -> Self {
        Self {
            store: store.into(),
            operation,
            key: key.cloned(),
            cause,
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match &self.cause {
            Cause::NotFound => Class::NotFound,
            Cause::Precondition { .. } | Cause::Occupied { .. } | Cause::Changed => Class::Conflict,
            Cause::WrongContent { .. } => Class::Bug,
            Cause::Unsupported { .. } => Class::Unsupported,
            Cause::Io { class, .. } => *class,
        }
    }
}

impl Cause {
    /// An error of the operating system, classed: a full disk is [`Class::Exhausted`], a missing right
    /// [`Class::Denied`], a missing thing [`Cause::NotFound`]; what nobody foresaw is [`Class::Bug`].
    #[must_use]
    pub fn from_io(source: io::Error) -> Self {
        use io::ErrorKind as K;
        let class = match source.kind() {
            K::NotFound => return Self::NotFound,
            K::StorageFull | K::QuotaExceeded | K::OutOfMemory | K::FileTooLarge => Class::Exhausted,
            K::PermissionDenied | K::ReadOnlyFilesystem => Class::Denied,
            K::InvalidInput | K::InvalidFilename => Class::Invalid,
            K::Unsupported | K::CrossesDevices => Class::Unsupported,
            K::AlreadyExists | K::NotADirectory | K::IsADirectory | K::DirectoryNotEmpty => Class::Conflict,
            K::Interrupted | K::WouldBlock | K::TimedOut | K::ResourceBusy | K::StaleNetworkFileHandle => {
                Class::Transient
            }
            // Out of file descriptors, which has no kind of its own yet.
            _ if matches!(source.raw_os_error(), Some(23 | 24)) => Class::Exhausted,
            _ => Class::Bug,
        };
        Self::Io { class, source }
    }
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::List => "list",
            Self::Head => "look up",
            Self::Get => "read",
            Self::Put => "write",
            Self::Delete => "delete",
        })
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{} `{key}` in store `{}`", self.operation, self.store)?,
            None => write!(f, "{} store `{}`", self.operation, self.store)?,
        }
        match &self.cause {
            Cause::NotFound => f.write_str(": it is not there"),
            Cause::Precondition { expected, found: None } => write!(f, ": {expected} was asked, nothing is there"),
            Cause::Precondition {
                expected,
                found: Some(tag),
            } => write!(f, ": {expected} was asked, tag `{tag}` is there"),
            Cause::Occupied { by } => write!(f, ": the name is taken by {by}"),
            Cause::Changed => f.write_str(": it changed while it was read"),
            Cause::WrongContent { expected, found } => {
                write!(f, ": its content hash is `{found}`, expected `{expected}`")
            }
            Cause::Unsupported { what } => write!(f, ": the store has no {what}"),
            Cause::Io { class, .. } => write!(f, " ({class})"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_classed() {
        // Linux errno numbers.
        let rows = [
            (28, Class::Exhausted),
            (122, Class::Exhausted),
            (24, Class::Exhausted),
            (13, Class::Denied),
            (30, Class::Denied),
            (2, Class::NotFound),
            (36, Class::Invalid),
            (20, Class::Conflict),
            (18, Class::Unsupported),
            (4, Class::Transient),
            (5, Class::Bug),
        ];
        for (errno, class) in rows {
            let cause = Cause::from_io(io::Error::from_raw_os_error(errno));
            assert_eq!(
                StoreError::new("s", StoreOperation::Put, None, cause).class(),
                class,
                "{errno}"
            );
        }
    }

    #[test]
    fn texts_name_store_operation_and_key() {
        let key = Key::new("a/b").unwrap();
        let cause = Cause::from_io(io::Error::from_raw_os_error(28));
        let error = StoreError::new("/data", StoreOperation::Put, Some(&key), cause);
        insta::assert_snapshot!(error, @"write `a/b` in store `/data` (exhausted)");
        assert!(error.source().is_some());
        let cause = Cause::Precondition {
            expected: Condition::IfAbsent,
            found: Some(Etag::new("7")),
        };
        let error = StoreError::new("/data", StoreOperation::Put, Some(&key), cause);
        insta::assert_snapshot!(error, @"write `a/b` in store `/data`: absence was asked, tag `7` is there");
    }
}
