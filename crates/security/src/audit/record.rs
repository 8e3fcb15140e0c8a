//! One line of the audit log.

use serde::{Deserialize, Serialize};
use skyloom_core::{ServiceName, Timestamp};

use crate::access::{Action, Effect};

/// Who did what when, and whether it was allowed. Its JSON line is the leaf that is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Position in the log, from 0.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub principal: String,
    /// What was asked for.
    pub action: Action,
    /// On which deployment.
    pub deployment: ServiceName,
    /// The answer.
    pub effect: Effect,
    /// Why that answer was given.
    pub reason: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What exactly: a plan's digest, a data set's name. Never a secret: whoever writes it passes names and digests.
    pub subject: String,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was refused and nothing was done.
    Refused,
    /// It was allowed and begins now; a later record says how it ended.
    Begun,
    /// It ended well.
    Succeeded,
    /// It ended otherwise.
    Failed {
        /// Class of the failure and the place, for people.
        detail: String,
    },
}

impl AuditRecord {
    /// The bytes of the leaf: one line of JSON, without the line end.
    ///
    /// # Panics
    /// Never: a record has no map with keys that are not text.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("invariant: a record has a JSON form")
    }
}
