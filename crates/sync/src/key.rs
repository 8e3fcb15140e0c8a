//! Names of objects: what may be a key, and why a name is refused.
//!
//! A key is refused at the border rather than rewritten. Rewriting (folding case, resolving `..`, normalising Unicode)
//! would map two objects to one name, and one of them would be lost.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

/// Longest key in bytes: the limit of S3, GCS and Azure Blob.
pub const KEY_BYTES_MAX: usize = 1024;

/// Name that no segment may have: the folder in which a [`LocalDisk`](crate::LocalDisk) keeps its own records.
pub const RESERVED_SEGMENT: &str = ".skyloom";

/// The name of an object: 1 to 1,024 bytes of UTF-8 in segments parted by `/`. No segment is empty, `.`, `..` or
/// `.skyloom`; no character is an ASCII control character. Ordered by bytes, as object stores list. Cheap to clone.
///
/// ```
/// use skyloom_sync::Key;
///
/// assert!(Key::new("orders/2026/1.json").is_ok());
/// assert!(Key::new("../etc/passwd").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

/// Why a name is no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty.
    #[error("accept an empty key")]
    Empty,
    /// The name is longer than [`KEY_BYTES_MAX`].
    #[error("accept a key of {bytes} bytes: the longest is {KEY_BYTES_MAX}")]
    TooLong {
        /// Length of the name.
        bytes: usize,
    },
    /// A segment is empty: a slash at the start, at the end, or two in a row.
    #[error("accept `{key}` as a key: it has an empty segment")]
    EmptySegment {
        /// The name.
        key: String,
    },
    /// A segment is `.`, `..` or `.skyloom`.
    #[error("accept `{key}` as a key: no segment may be `{segment}`")]
    ForbiddenSegment {
        /// The name.
        key: String,
        /// The segment.
        segment: String,
    },
    /// A character is an ASCII control character.
    #[error("accept `{key}` as a key: it has a control character")]
    ControlCharacter {
        /// The name, escaped.
        key: String,
    },
}

impl KeyError {
    /// What kind of failure it is: always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Key {
    /// A checked key.
    ///
    /// # Errors
    /// [`KeyError`] names the rule that the text breaks.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        let key = || text.to_owned();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong { bytes: text.len() });
        }
        if text.bytes().any(|b| b.is_ascii_control()) {
            return Err(KeyError::ControlCharacter {
                key: text.escape_debug().to_string(),
            });
        }
        for segment in text.split('/') {
            if segment.is_empty() {
                return Err(KeyError::EmptySegment { key: key() });
            }
            if matches!(segment, "." | ".." | RESERVED_SEGMENT) {
                let segment = segment.to_owned();
                return Err(KeyError::ForbiddenSegment { key: key(), segment });
            }
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The folder part with its closing slash (empty at the top), and the last segment.
    #[must_use]
    pub fn split_last(&self) -> (&str, &str) {
        let cut = self.0.rfind('/').map_or(0, |at| at + 1);
        self.0.split_at(cut)
    }

    /// Every folder that the key lies in, shortest first, without closing slashes.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// The text with case folded: two keys with one folded text are one file where case does not count.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.as_ref().to_owned()
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_it_is_or_refused() {
        let long = "k".repeat(KEY_BYTES_MAX);
        for good in ["a", "a/b", "ä/ß 1", "...", ".hidden", "a\\b", "é", "e\u{301}", &long] {
            assert_eq!(Key::new(good).unwrap().as_str(), good);
        }
        let too_long = "k".repeat(KEY_BYTES_MAX + 1);
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "a/../b",
            ".",
            "..",
            "a\nb",
            "a\0",
            ".skyloom/x",
            "x/.skyloom",
            &too_long,
        ] {
            assert_eq!(Key::new(bad).unwrap_err().class(), Class::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn parts_of_a_key() {
        let key = Key::new("a/b/c.txt").unwrap();
        assert_eq!(key.split_last(), ("a/b/", "c.txt"));
        assert_eq!(key.ancestors().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(Key::new("c").unwrap().split_last(), ("", "c"));
    }
}
