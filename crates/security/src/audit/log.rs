//! The growing end of a log, and the verification of a whole one.

use skyloom_core::Class;
use thiserror::Error;

use super::{
    AuditRecord, Checkpoint, CheckpointError, Hash, LogKey, MerkleFrontier, VerifyingLogKey, leaf_hash, root_of,
};

/// The growing end: the right edge of the tree over the lines so far, which stays small however long the log is. It
/// writes nothing: the caller makes [`AuditLog::next_line`]'s line durable first and then tells by
/// [`AuditLog::appended`]. Proofs are made from the lines themselves, by [`leaf_hash`] and
/// [`inclusion_proof`](super::inclusion_proof).
#[derive(Debug, Clone, Default)]
pub struct AuditLog {
    frontier: MerkleFrontier,
}

impl AuditLog {
    /// The log over lines that are there already (as read back by the caller), in order.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut log = Self::default();
        lines.into_iter().for_each(|line| log.appended(line));
        log
    }

    /// The log over lines and the newest checkpoint as they are found after a stop, to go on with: signing more is safe
    /// only over what was signed before. A stop between a line and its checkpoint leaves one line unsigned, so that many
    /// may be: one behind the checkpoint, or one and no checkpoint.
    ///
    /// What this cannot show is a log and a checkpoint that were put back together; see [`verify`]'s `last_seen`.
    ///
    /// # Errors
    /// [`AuditVerifyError`]: the lines that the checkpoint covers are not there unchanged, the key did not sign it, more
    /// than one line is unsigned, or a line is no record.
    pub fn resume(lines: &[&str], note: Option<&str>, key: &VerifyingLogKey) -> Result<Self, AuditVerifyError> {
        let unsigned = match note {
            Some(note) => verify(lines, note, key, None)?.unsigned,
            None => {
                check_records(lines)?;
                lines.len() as u64
            }
        };
        if unsigned > 1 {
            return Err(AuditVerifyError::Unsigned { records: unsigned });
        }
        Ok(Self::from_lines(lines.iter().copied()))
    }

    /// Number of lines.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.frontier.size()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frontier.size() == 0
    }

    /// The record's line, with its sequence number set to the next.
    #[must_use]
    pub fn next_line(&self, mut record: AuditRecord) -> String {
        record.sequence = self.len();
        record.to_line()
    }

    /// Takes note of a line that is durable now.
    pub fn appended(&mut self, line: &str) {
        self.frontier.push(leaf_hash(line.as_bytes()));
    }

    /// A signed checkpoint over all lines so far. Logarithmic in their number.
    #[must_use]
    pub fn checkpoint(&self, key: &LogKey) -> String {
        key.sign(&Checkpoint {
            origin: key.name().to_owned(),
            size: self.len(),
            root: self.frontier.root(),
        })
    }
}

/// What a verification has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Records that the checkpoint covers: unchanged, complete, in order.
    pub records: u64,
    /// Records after it: well-formed, not yet signed.
    pub unsigned: u64,
    /// The checkpoint, to be kept elsewhere as the next `last_seen`.
    pub checkpoint: Checkpoint,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuditVerifyError {
    /// The checkpoint itself is not good.
    #[error("verify the audit log")]
    Checkpoint(#[from] CheckpointError),
    /// There are fewer records than the checkpoint covers.
    #[error("verify the audit log: the checkpoint covers {signed} records, {found} are there")]
    Truncated {
        /// Records covered.
        signed: u64,
        /// Records there.
        found: u64,
    },
    /// The records are not the ones that were signed.
    #[error("verify the audit log: the first {size} records are not the ones that were signed")]
    Altered {
        /// Records covered.
        size: u64,
    },
    /// A line is no record, one of a later version, or not the one due at its place.
    #[error("verify the audit log: line {line} is not record {line}")]
    BadRecord {
        /// Line, from 0.
        line: u64,
    },
    /// More records are unsigned than a stop between a record and its checkpoint leaves.
    #[error("verify the audit log: {records} records are not signed, and a stop leaves one at most")]
    Unsigned {
        /// Records behind the newest checkpoint.
        records: u64,
    },
    /// The checkpoint is older than one seen before, or the log was rewritten since.
    #[error("verify the audit log: it was rolled back or rewritten since {seen} records were seen")]
    RolledBack {
        /// Size that was seen before.
        seen: u64,
    },
}

impl AuditVerifyError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Checkpoint(error) => error.class(),
            Self::Truncated { .. }
            | Self::Altered { .. }
            | Self::BadRecord { .. }
            | Self::Unsigned { .. }
            | Self::RolledBack { .. } => Class::Denied,
        }
    }
}

/// Checks a log's lines against its signed checkpoint and, where given, against a checkpoint seen before and kept
/// elsewhere (which is what detects a rollback of log and checkpoint together).
///
/// # Errors
/// [`AuditVerifyError`] names the first thing that does not hold.
pub fn verify(
    lines: &[&str],
    note: &str,
    key: &VerifyingLogKey,
    last_seen: Option<&Checkpoint>,
) -> Result<Verified, AuditVerifyError> {
    let checkpoint = key.open(note)?;
    let found = lines.len() as u64;
    let covered = usize::try_from(checkpoint.size).ok().and_then(|size| lines.get(..size));
    let Some(covered) = covered else {
        return Err(AuditVerifyError::Truncated {
            signed: checkpoint.size,
            found,
        });
    };
    let leaves: Vec<Hash> = covered.iter().map(|line| leaf_hash(line.as_bytes())).collect();
    if root_of(&leaves) != checkpoint.root {
        return Err(AuditVerifyError::Altered { size: checkpoint.size });
    }
    check_records(lines)?;
    if let Some(seen) = last_seen {
        let prefix = usize::try_from(seen.size).ok().and_then(|size| leaves.get(..size));
        if prefix.is_none_or(|prefix| root_of(prefix) != seen.root) {
            return Err(AuditVerifyError::RolledBack { seen: seen.size });
        }
    }
    Ok(Verified {
        records: checkpoint.size,
        unsigned: found - checkpoint.size,
        checkpoint,
    })
}

/// Every line is the record due at its place.
fn check_records(lines: &[&str]) -> Result<(), AuditVerifyError> {
    for (line, text) in (0u64..).zip(lines) {
        if AuditRecord::from_line(text).is_none_or(|record| record.sequence != line) {
            return Err(AuditVerifyError::BadRecord { line });
        }
    }
    Ok(())
}
