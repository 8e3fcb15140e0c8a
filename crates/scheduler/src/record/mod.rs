//! A decision written down with all that it was made from, and made again from that to the letter.
//!
//! The file is JSON: fields in a fixed order, maps sorted, so that equal records are equal bytes. It names its version
//! and a reader refuses what it does not know; a field that is added later gets a default, one whose meaning changes a
//! new version. Reading and writing files is the caller's.

mod difference;

use serde::{Deserialize, Serialize};
use skyloom_core::{Catalogue, Class, Digest, Manifest, Snapshot};
use thiserror::Error;

use crate::effort::{Effort, EffortLog};
use crate::place::decide_within;
use crate::policy::by_name;
use crate::problem::{Decision, PlaceConfig, PlaceError, Problem};
use difference::first_difference;

/// Version of the format that is written, and the only one that is read.
pub const RECORD_VERSION: u32 = 1;

/// A policy of [`crate::policy::BUILTIN`] by its name; what makes it the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyName {
    /// Its name.
    pub name: String,
    /// Its seed; policies that draw nothing ignore it.
    #[serde(default)]
    pub seed: u64,
}

/// The price list of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priced {
    /// The list itself.
    Whole(Box<Catalogue>),
    /// Only its name: whoever replays the record supplies the list.
    ByDigest(Digest),
}

/// A decision with its snapshot and everything else that it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Version of the format.
    pub version: u32,
    /// What was wanted.
    pub manifest: Manifest,
    /// What was there.
    pub snapshot: Snapshot,
    /// What could be bought.
    pub catalogue: Priced,
    /// Who chose.
    pub policy: PolicyName,
    /// Within which bounds.
    pub config: PlaceConfig,
    /// How long it went on.
    pub effort: EffortLog,
    /// What was decided, with the full lists of rejected options left out (the folded reasons stay).
    pub decision: Decision,
    /// Digest of the whole placement, those lists included.
    pub placement: Digest,
}

/// Why no record was made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// No policy has that name, so that a reader could not make it again.
    #[error("find a policy named `{name}`")]
    UnknownPolicy {
        /// The name.
        name: String,
    },
    /// There is no decision.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl RecordError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::UnknownPolicy { .. } => Class::NotFound,
            Self::Place(error) => error.class(),
        }
    }
}

/// Why a record is not read, or not confirmed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A version that this reader does not know.
    #[error("read a record of version `{found}`: version `{known}` is known")]
    UnknownVersion {
        /// What the record says.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// The text is no record.
    #[error("read a record")]
    Format(#[source] serde_json::Error),
    /// The record names its price list only, and it was not supplied.
    #[error("replay a record without its catalogue `{digest}`")]
    CatalogueMissing {
        /// The list's name.
        digest: Digest,
    },
    /// Another price list was supplied than the record names.
    #[error("replay with catalogue `{given}`: the record was made with `{expected}`")]
    OtherCatalogue {
        /// The record's.
        expected: Digest,
        /// The one supplied.
        given: Digest,
    },
    /// The decision cannot be made at all.
    #[error(transparent)]
    Decide(#[from] RecordError),
    /// Another decision is made.
    #[error("confirm the decision at `{path}`: recorded is `{expected}`, made is `{actual}`")]
    Differs {
        /// Where the two part first, as a JSON pointer into the record.
        path: String,
        /// What the record has there; `nothing` where it has nothing.
        expected: String,
        /// What was made now.
        actual: String,
    },
}

impl ReplayError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::UnknownVersion { .. } => Class::Unsupported,
            Self::Format(_) => Class::Invalid,
            Self::CatalogueMissing { .. } => Class::NotFound,
            Self::OtherCatalogue { .. } | Self::Differs { .. } => Class::Conflict,
            Self::Decide(error) => error.class(),
        }
    }
}

/// Decides and writes down, for as long as `effort` allows; the record holds the whole price list.
///
/// ```
/// use skyloom_core::{Catalogue, Manifest, Snapshot, Timestamp};
/// use skyloom_scheduler::record::{PolicyName, Record, record, replay};
/// use skyloom_scheduler::{Effort, PlaceConfig, Problem};
///
/// # fn keep(manifest: &Manifest, catalogue: &Catalogue) -> Result<(), Box<dyn std::error::Error>> {
/// let snapshot = Snapshot::empty(1, Timestamp::EPOCH);
/// let problem = Problem { manifest, snapshot: &snapshot, catalogue };
/// let policy = PolicyName { name: "cheapest".to_owned(), seed: 0 };
/// let text = record(&problem, &policy, &PlaceConfig::new(), &mut Effort::units(500_000))?.to_json();
/// let again = replay(&Record::from_json(&text)?)?;
/// assert!(again.placement.unplaced.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - [`RecordError::UnknownPolicy`]: the policy is none of the crate's table.
/// - [`RecordError::Place`]: there is no decision.
pub fn record(
    problem: &Problem<'_>,
    policy: &PolicyName,
    config: &PlaceConfig,
    effort: &mut Effort<'_>,
) -> Result<Record, RecordError> {
    let mut decision = made(problem, policy, config, effort)?;
    let placement = Digest::of(&decision.placement);
    decision.placement.rejections.clear();
    Ok(Record {
        version: RECORD_VERSION,
        manifest: problem.manifest.clone(),
        snapshot: problem.snapshot.clone(),
        catalogue: Priced::Whole(Box::new(problem.catalogue.clone())),
        policy: policy.clone(),
        config: config.clone(),
        effort: effort.log(),
        decision,
        placement,
    })
}

fn made(
    problem: &Problem<'_>,
    policy: &PolicyName,
    config: &PlaceConfig,
    effort: &mut Effort<'_>,
) -> Result<Decision, RecordError> {
    let policy = by_name(&policy.name, policy.seed).ok_or_else(|| RecordError::UnknownPolicy {
        name: policy.name.clone(),
    })?;
    Ok(decide_within(problem, policy.as_ref(), config, effort)?)
}

impl Record {
    /// The same with the price list by its digest only, for callers that keep their lists.
    #[must_use]
    pub fn without_catalogue(mut self) -> Self {
        if let Priced::Whole(catalogue) = &self.catalogue {
            self.catalogue = Priced::ByDigest(Digest::of(catalogue.as_ref()));
        }
        self
    }

    /// The record as JSON; equal records give equal bytes.
    ///
    /// # Panics
    /// Never: every part of a record has a JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("invariant: every part of a record has a JSON form")
    }

    /// Reads a record.
    ///
    /// # Errors
    /// - [`ReplayError::UnknownVersion`]: another version wrote it.
    /// - [`ReplayError::Format`]: it is no record.
    pub fn from_json(text: &str) -> Result<Self, ReplayError> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        let header: Header = serde_json::from_str(text).map_err(ReplayError::Format)?;
        known(header.version)?;
        serde_json::from_str(text).map_err(ReplayError::Format)
    }
}

const fn known(version: u32) -> Result<(), ReplayError> {
    if version == RECORD_VERSION {
        Ok(())
    } else {
        Err(ReplayError::UnknownVersion {
            found: version,
            known: RECORD_VERSION,
        })
    }
}

/// Makes a record's decision again and confirms that it is the same to the last byte; gives it, with the full lists of
/// rejected options.
///
/// # Errors
/// - [`ReplayError::UnknownVersion`]: another version wrote it.
/// - [`ReplayError::CatalogueMissing`]: it names its price list only; [`replay_with`] takes it.
/// - [`ReplayError::Decide`]: there is no decision now.
/// - [`ReplayError::Differs`]: another decision is made, with the first place where the two part.
pub fn replay(record: &Record) -> Result<Decision, ReplayError> {
    match &record.catalogue {
        Priced::Whole(catalogue) => replayed(record, catalogue),
        Priced::ByDigest(digest) => Err(ReplayError::CatalogueMissing { digest: *digest }),
    }
}

/// As [`replay`], with a price list that the record names only.
///
/// # Errors
/// As [`replay`], and [`ReplayError::OtherCatalogue`] when it is not the list that the record was made with.
pub fn replay_with(record: &Record, catalogue: &Catalogue) -> Result<Decision, ReplayError> {
    let given = Digest::of(catalogue);
    let expected = match &record.catalogue {
        Priced::Whole(own) => Digest::of(own.as_ref()),
        Priced::ByDigest(digest) => *digest,
    };
    if given == expected {
        replayed(record, catalogue)
    } else {
        Err(ReplayError::OtherCatalogue { expected, given })
    }
}

fn replayed(record: &Record, catalogue: &Catalogue) -> Result<Decision, ReplayError> {
    known(record.version)?;
    let problem = Problem {
        manifest: &record.manifest,
        snapshot: &record.snapshot,
        catalogue,
    };
    let mut effort = Effort::replayed(&record.effort);
    let mut decision = made(&problem, &record.policy, &record.config, &mut effort)?;
    let placement = Digest::of(&decision.placement);
    let rejections = std::mem::take(&mut decision.placement.rejections);
    differs("/decision", &record.decision, &decision)?;
    differs("/placement", &record.placement, &placement)?;
    differs("/effort", &record.effort, &effort.log())?;
    decision.placement.rejections = rejections;
    Ok(decision)
}

fn differs<T: Serialize>(path: &str, expected: &T, actual: &T) -> Result<(), ReplayError> {
    let value = |of: &T| serde_json::to_value(of).map_err(ReplayError::Format);
    match first_difference(path, &value(expected)?, &value(actual)?) {
        None => Ok(()),
        Some(found) => Err(ReplayError::Differs {
            path: found.path,
            expected: found.expected,
            actual: found.actual,
        }),
    }
}
