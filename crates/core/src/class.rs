//! The error taxonomy that retry and unwind look at. Texts are for people; classes are for decisions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure an error is. Each error enum of the workspace has `class()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// May succeed if repeated: a lost connection, a time-out, a 503.
    Transient,
    /// May succeed if repeated later and slower: a rate limit.
    Throttled,
    /// Will not succeed here for now: quota, capacity, disk space, budget. Another place may.
    Exhausted,
    /// The thing is not there.
    NotFound,
    /// The world is not as the request assumed: a precondition, a generation, a duplicate, a port in use.
    Conflict,
    /// The caller may not.
    Denied,
    /// The request can never succeed as it is.
    Invalid,
    /// This driver or store cannot do that; known before any call.
    Unsupported,
    /// A broken promise of our own or of the other side.
    Bug,
}

impl Class {
    /// Whether the same request may be sent again.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Throttled)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Exhausted => "exhausted",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Bug => "bug",
        })
    }
}
