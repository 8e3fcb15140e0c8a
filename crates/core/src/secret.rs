//! Secrets by reference, and a wrapper that never prints what it holds.
//!
//! Plans, journals and logs carry [`SecretRef`]; the value itself is a [`Secret`], which cannot be serialised.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a secret value is kept: `backend:name#version`. Safe to store and to print.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretRef {
    /// Which store the embedder registered, such as `env` or `vault`.
    pub backend: String,
    /// Name in that store.
    pub name: String,
    /// Version, where the store has versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.backend, self.name)?;
        self.version.as_ref().map_or(Ok(()), |v| write!(f, "#{v}"))
    }
}

/// A value that must not be seen: prints as `[redacted]`, has no `Serialize`, is handed out only by [`Secret::expose`].
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value; every call site is a place to review.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
