//! One line of the audit log.

use serde::{Deserialize, Serialize};
use skyloom_core::{ServiceName, Timestamp};

use crate::access::{Action, Effect};

/// Version of the form of a line. It stands in every line, so that a log may go on in a later form.
pub const AUDIT_RECORD_VERSION: u32 = 1;

/// Who did what when, and whether it was allowed. Its JSON line, which begins with [`AUDIT_RECORD_VERSION`], is the leaf
/// that is hashed.
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

/// A line as it is written.
#[derive(Serialize)]
struct LineOut<'a> {
    version: u32,
    #[serde(flatten)]
    record: &'a AuditRecord,
}

/// The part of a line that every version has.
#[derive(Deserialize)]
struct LineVersion {
    version: u32,
}

impl AuditRecord {
    /// The bytes of the leaf: one line of JSON, without the line end.
    ///
    /// # Panics
    /// Never: a record has no map with keys that are not text.
    #[must_use]
    pub fn to_line(&self) -> String {
        let line = LineOut {
            version: AUDIT_RECORD_VERSION,
            record: self,
        };
        serde_json::to_string(&line).expect("invariant: a record has a JSON form")
    }

    /// The record in a line; `None` where the line is no record, names no version, or a later one.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let LineVersion { version } = serde_json::from_str(line).ok()?;
        (version == AUDIT_RECORD_VERSION)
            .then(|| serde_json::from_str(line).ok())
            .flatten()
    }
}
