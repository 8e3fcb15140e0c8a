//! From a journal back to a saga.

use skyloom_core::{Class, Digest, Plan};
use thiserror::Error;

use super::machine::Saga;
use super::network::MalformedPlan;
use super::{RECORD_VERSION, Record, SagaConfig};

/// Why a saga cannot go on from a journal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The plan does not hold together.
    #[error(transparent)]
    Malformed(#[from] MalformedPlan),
    /// The journal is another plan's.
    #[error("resume plan `{}`: the journal is of plan `{}`", ours.short(), journal.short())]
    OtherPlan {
        /// The plan that was given.
        ours: Digest,
        /// The plan that the journal names.
        journal: Digest,
    },
    /// The journal was written by a later version.
    #[error("read the journal: its version is {version}, the latest known is {RECORD_VERSION}")]
    FutureVersion {
        /// The journal's version.
        version: u32,
    },
    /// A controller with a later epoch has written into the journal.
    #[error("resume with epoch {ours}: the journal has seen epoch {journal}")]
    Fenced {
        /// The epoch that was given.
        ours: u64,
        /// The latest in the journal.
        journal: u64,
    },
    /// A record that cannot follow the ones before.
    #[error("read record {position} (`{record}`) of the journal: {because}")]
    Impossible {
        /// Its position, from 0.
        position: usize,
        /// Its kind.
        record: &'static str,
        /// Why not.
        because: &'static str,
    },
}

impl ReplayError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Malformed(_) => Class::Invalid,
            Self::OtherPlan { .. } | Self::Fenced { .. } => Class::Conflict,
            Self::FutureVersion { .. } => Class::Unsupported,
            Self::Impossible { .. } => Class::Bug,
        }
    }
}

impl Saga {
    /// A saga that goes on from a journal: any prefix of the records of one plan, in order. Whatever was under way is
    /// looked up before it is done again. Without records it begins; after an end it stays ended.
    ///
    /// # Errors
    /// [`ReplayError`] names the record that does not belong there.
    pub fn resume(plan: Plan, config: SagaConfig, epoch: u64, records: &[Record]) -> Result<Self, ReplayError> {
        if records.is_empty() {
            return Ok(Self::new(plan, config, epoch)?);
        }
        let mut saga = Self::idle(plan, config, epoch)?;
        for (position, record) in records.iter().enumerate() {
            if let Record::Begun { version, plan, .. } = record {
                if *version > RECORD_VERSION {
                    return Err(ReplayError::FutureVersion { version: *version });
                }
                if *plan != saga.id {
                    let (ours, journal) = (saga.id, *plan);
                    return Err(ReplayError::OtherPlan { ours, journal });
                }
            }
            saga.durable
                .apply(&saga.plan, record)
                .map_err(|because| ReplayError::Impossible {
                    position,
                    record: record.kind(),
                    because,
                })?;
        }
        if let Some(journal) = saga.durable.epoch.filter(|journal| *journal > epoch) {
            return Err(ReplayError::Fenced { ours: epoch, journal });
        }
        saga.tally_all();
        if saga.durable.ended.is_none() {
            saga.write(Record::Resumed { epoch });
        }
        Ok(saga)
    }
}
