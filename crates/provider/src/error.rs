//! What can go wrong at a provider, in causes that a caller can act on. Drivers translate once, at their border.

use std::time::Duration;

use skyloom_core::Class;
use thiserror::Error;

/// A failed call: where, at what, and why.
#[derive(Debug, Error)]
#[error("{operation} at `{provider}`{}: {cause}", subject.as_ref().map(|s| format!(" on `{s}`")).unwrap_or_default())]
pub struct DriverError {
    /// Driver, with region where one is concerned.
    pub provider: String,
    /// Operation, as the trait's method name.
    pub operation: &'static str,
    /// The thing it was about.
    pub subject: Option<String>,
    /// Why.
    pub cause: Cause,
    /// What the provider said, where it said more.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DriverError {
    /// A failed call without a raw error behind it.
    #[must_use]
    pub fn new(provider: impl Into<String>, operation: &'static str, cause: Cause) -> Self {
        Self {
            provider: provider.into(),
            operation,
            subject: None,
            cause,
            source: None,
        }
    }

    /// The same, about this thing.
    #[must_use]
    pub fn on(mut self, subject: impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// The same, keeping the raw error.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What kind of failure it is: what retry and unwind look at.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.cause.class()
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The connection was lost or the provider answered that it is unavailable; the effect is in doubt.
    #[error("the provider did not answer: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// No answer within the time allowed; the effect is in doubt.
    #[error("no answer within {after:?}")]
    Timeout {
        /// The time allowed.
        after: Duration,
    },
    /// Too many calls.
    #[error("too many calls")]
    Throttled {
        /// When the provider says to come back.
        retry_after: Option<Duration>,
    },
    /// The account may not have more of this.
    #[error("quota `{quota}` allows {allowed}, asked for {asked}")]
    QuotaExceeded {
        /// Which quota.
        quota: String,
        /// What there would be.
        asked: u64,
        /// What may be.
        allowed: u64,
    },
    /// The provider has no more of this here for now.
    #[error("no capacity for `{what}`")]
    NoCapacity {
        /// Type and place.
        what: String,
    },
    /// The local system has no more of this (disk space, processes).
    #[error("the system has no more {what}")]
    SystemExhausted {
        /// What ran out.
        what: String,
    },
    /// The credentials do not allow it.
    #[error("not allowed")]
    Denied,
    /// The thing is not there.
    #[error("no such thing")]
    NotFound,
    /// The idempotency token was used before with other parameters, or for a thing deleted since.
    #[error("the idempotency token was used for something else")]
    TokenReused,
    /// A controller with a later epoch has been here.
    #[error("epoch {seen} has been here, this call carries {ours}")]
    StaleEpoch {
        /// Latest epoch seen.
        seen: u64,
        /// Epoch of the call.
        ours: u64,
    },
    /// The thing belongs to somebody else than the request says.
    #[error("it belongs to {}", owner.as_ref().map_or_else(|| String::from("nobody"), |owner| format!("`{owner}`")))]
    OtherOwner {
        /// Whose it is; `None`: it carries no owner tag.
        owner: Option<skyloom_core::OwnerTag>,
    },
    /// The port is taken.
    #[error("port {port} is in use")]
    PortInUse {
        /// Number.
        port: u16,
    },
    /// The machine still carries replicas.
    #[error("still in use by `{by}`")]
    InUse {
        /// One of them.
        by: String,
    },
    /// The command is not known to the embedder's resolver, or not executable.
    #[error("cannot start `{command}`")]
    CommandNotFound {
        /// First word of the command.
        command: String,
    },
    /// The request can never succeed as it is.
    #[error("invalid request: {detail}")]
    Invalid {
        /// What is wrong with it.
        detail: String,
    },
    /// The driver cannot do that; see its capabilities.
    #[error("not supported by this driver")]
    Unsupported,
    /// The provider broke its own contract, or the driver did.
    #[error("unexpected answer: {detail}")]
    Unexpected {
        /// What was unexpected.
        detail: String,
    },
    /// The answer is about something that was not asked for; the effect of the call is in doubt.
    #[error("the answer is about another {what}, `{got}`")]
    OtherThing {
        /// What does not fit: the owner, the operation, the token, the name or the id.
        what: &'static str,
        /// What the answer says.
        got: Box<str>,
    },
}

impl Cause {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } => Class::Transient,
            Self::Throttled { .. } => Class::Throttled,
            Self::QuotaExceeded { .. } | Self::NoCapacity { .. } | Self::SystemExhausted { .. } => Class::Exhausted,
            Self::Denied | Self::OtherOwner { .. } => Class::Denied,
            Self::NotFound => Class::NotFound,
            Self::TokenReused | Self::StaleEpoch { .. } | Self::PortInUse { .. } | Self::InUse { .. } => {
                Class::Conflict
            }
            Self::CommandNotFound { .. } | Self::Invalid { .. } => Class::Invalid,
            Self::Unsupported => Class::Unsupported,
            Self::Unexpected { .. } | Self::OtherThing { .. } => Class::Bug,
        }
    }
}
