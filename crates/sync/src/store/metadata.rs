//! User metadata of an object: names and values that every store can carry unchanged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

/// Most bytes of all names and values together: the limit of S3.
pub const METADATA_BYTES_MAX: usize = 2048;

/// Sorted names and values. Names are of `a-z0-9-`, values of printable ASCII, 2,048 bytes together: what travels in
/// HTTP headers of every cloud without being changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Metadata(BTreeMap<String, String>);

/// Why metadata is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The name has another form.
    #[error("accept `{name}` as a metadata name: expected a-z, 0-9 and -")]
    Name {
        /// The name, escaped.
        name: String,
    },
    /// The value has another form.
    #[error("accept the value of metadata `{name}`: expected printable ASCII without spaces at its ends")]
    Value {
        /// The name.
        name: String,
    },
    /// All of it is longer than [`METADATA_BYTES_MAX`].
    #[error("accept {bytes} bytes of metadata: the most is {METADATA_BYTES_MAX}")]
    TooLong {
        /// Bytes of names and values.
        bytes: usize,
    },
}

impl MetadataError {
    /// What kind of failure it is: always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Metadata {
    /// No metadata.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The same with one more name, or with a new value of it.
    ///
    /// # Errors
    /// [`MetadataError`] when name or value has another form or the whole gets too long.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self, MetadataError> {
        let (name, value) = (name.into(), value.into());
        let name_ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || !name.bytes().all(name_ok) {
            let name = name.escape_debug().to_string();
            return Err(MetadataError::Name { name });
        }
        // Spaces at the ends of a header's value are dropped in transit.
        if value.trim() != value || !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(MetadataError::Value { name });
        }
        self.0.insert(name, value);
        let bytes = self.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLong { bytes });
        }
        Ok(self)
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<String, String>> for Metadata {
    type Error = MetadataError;
    fn try_from(map: BTreeMap<String, String>) -> Result<Self, MetadataError> {
        map.into_iter()
            .try_fold(Self::new(), |metadata, (name, value)| metadata.with(name, value))
    }
}

impl From<Metadata> for BTreeMap<String, String> {
    fn from(metadata: Metadata) -> Self {
        metadata.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_travels_unchanged_is_accepted() {
        assert_eq!(Metadata::new().with("a-1", "x y").unwrap().get("a-1"), Some("x y"));
        for (name, value) in [
            ("", "x"),
            ("A", "x"),
            ("a b", "x"),
            ("a", " x"),
            ("a", "ä"),
            ("a", "x\n"),
        ] {
            assert!(Metadata::new().with(name, value).is_err(), "{name:?} {value:?}");
        }
        assert!(Metadata::new().with("a", "x".repeat(METADATA_BYTES_MAX)).is_err());
    }
}
