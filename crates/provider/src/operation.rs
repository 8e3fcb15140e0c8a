//! The operations of the driver trait as data, for fault scripts, logs and records.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One method of [`crate::Driver`] that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// [`crate::Driver::create`].
    Create,
    /// [`crate::Driver::get`].
    Get,
    /// [`crate::Driver::list`].
    List,
    /// [`crate::Driver::find_by_token`].
    FindByToken,
    /// [`crate::Driver::delete`].
    Delete,
    /// [`crate::Driver::stop`].
    Stop,
    /// [`crate::Driver::start`].
    Start,
    /// [`crate::Driver::logs`].
    Logs,
    /// [`crate::Driver::usage`].
    Usage,
    /// [`crate::Driver::exec`].
    Exec,
    /// [`crate::Driver::quotas`].
    Quotas,
    /// [`crate::Driver::inspect`].
    Inspect,
    /// [`crate::Driver::others`].
    Others,
    /// [`crate::Driver::retag`].
    Retag,
}

impl Operation {
    /// All operations, in the order of the trait.
    pub const ALL: [Self; 14] = [
        Self::Create,
        Self::Get,
        Self::List,
        Self::FindByToken,
        Self::Delete,
        Self::Stop,
        Self::Start,
        Self::Logs,
        Self::Usage,
        Self::Exec,
        Self::Quotas,
        Self::Inspect,
        Self::Others,
        Self::Retag,
    ];

    /// The method's name, as [`crate::DriverError`] carries it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::List => "list",
            Self::FindByToken => "find_by_token",
            Self::Delete => "delete",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Logs => "logs",
            Self::Usage => "usage",
            Self::Exec => "exec",
            Self::Quotas => "quotas",
            Self::Inspect => "inspect",
            Self::Others => "others",
            Self::Retag => "retag",
        }
    }

    /// Whether a call may change the outside: what carries an epoch.
    #[must_use]
    pub const fn is_mutation(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Delete | Self::Stop | Self::Start | Self::Retag
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
