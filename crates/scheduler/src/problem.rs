//! What a placement is asked from, within which bounds, and why it can fail as a whole.
//!
//! A replica that fits nowhere is no failure: it is `unplaced` in the answer, with its reason. An error means that the
//! question contradicts itself or that a rule over the whole cannot be met.

use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Catalogue, Class, Filter, Location, MachineId, Manifest, Placement, ServiceName, Snapshot};
use thiserror::Error;

use crate::bound::LowerBound;
use crate::explain::Reasons;
use crate::quotas::Quota;

/// The question: what is wanted, what is there, what can be bought.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// What is wanted (formula 4 of `docs/fidelity.md`).
    pub manifest: &'a Manifest,
    /// What is there.
    pub snapshot: &'a Snapshot,
    /// What can be bought, and what traffic costs.
    pub catalogue: &'a Catalogue,
}

/// Units of work (one unit: one option looked at for one replica) that a decision may take by default: well under a
/// second of one core in a release build.
pub const WORK_MAX_DEFAULT: u64 = 6_000_000;

/// Replicas that one decision takes at most by default; memory and the first answer grow with it.
pub const REPLICAS_MAX_DEFAULT: u32 = 10_000;

/// Bounds of a decision. Not the money: that is the manifest's budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlaceConfig {
    /// Units of work for the search; a first complete answer is always made, whatever it takes.
    pub work_max: u64,
    /// Most replicas accepted.
    pub replicas_max: u32,
    /// What the account may hold per region and family. Hard.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// Whether what runs may move where that makes the whole cheaper. If not, it stays as long as its rules allow.
    #[serde(default)]
    pub may_move: bool,
}

impl PlaceConfig {
    /// The default bounds.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            work_max: WORK_MAX_DEFAULT,
            replicas_max: REPLICAS_MAX_DEFAULT,
            quotas: Vec::new(),
            may_move: false,
        }
    }

    /// The same with another work budget.
    #[must_use]
    pub const fn with_work_max(mut self, units: u64) -> Self {
        self.work_max = units;
        self
    }

    /// The same with another limit on replicas.
    #[must_use]
    pub const fn with_replicas_max(mut self, replicas: u32) -> Self {
        self.replicas_max = replicas;
        self
    }

    /// The same with what runs free to move, or not.
    #[must_use]
    pub const fn with_moves(mut self, may_move: bool) -> Self {
        self.may_move = may_move;
        self
    }

    /// The same under these quotas, in place of those it had.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Vec<Quota>) -> Self {
        self.quotas = quotas;
        self
    }
}

impl Default for PlaceConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// A placement with its proof and what it took to find it. Equal input gives an equal decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// The answer.
    pub placement: Placement,
    /// Below it, no placement of the same replicas can cost. `None` for a policy that does not look for the least cost.
    pub lower_bound: Option<LowerBound>,
    /// Per class of equal replicas: the choice, and every other option counted by what stopped it.
    pub reasons: Vec<Reasons>,
    /// Units of work done.
    pub work_done: u64,
    /// Whether the search ended because its work budget was used up, so that more work might find better.
    pub work_exhausted: bool,
}

impl Decision {
    /// How far the cost may be above the least, at most: (cost - bound) / bound. `None` where no bound was asked for, or
    /// where it is zero and the cost is not.
    #[must_use]
    pub fn gap(&self) -> Option<f64> {
        self.lower_bound?.gap(self.placement.cost.total_per_month)
    }
}

/// Why there is no placement at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A hard rule over the whole cannot be met.
    #[error("meet the {rule} rule of `{source_name}`{}: asked for `{asked}`, allowed is `{allowed}`", at_text(at.as_ref()))]
    Unsatisfiable {
        /// The manifest, as its parser was told.
        source_name: String,
        /// Which rule.
        rule: Filter,
        /// Where it was written, if it was read from text.
        at: Option<Location>,
        /// What the manifest needs: for a budget the least cost found, for residency the place.
        asked: String,
        /// What the rule allows.
        allowed: String,
    },
    /// More replicas than the configuration accepts.
    #[error("place `{asked}` replicas: at most `{allowed}` are accepted at once")]
    TooManyReplicas {
        /// Replicas of the manifest.
        asked: u64,
        /// Limit of the configuration.
        allowed: u32,
    },
    /// Two services have one name.
    #[error("tell two services named `{service}` apart")]
    DuplicateService {
        /// The name.
        service: ServiceName,
    },
    /// Two machines of the snapshot have one id.
    #[error("tell two machines `{machine}` apart")]
    DuplicateMachine {
        /// The id.
        machine: MachineId,
    },
    /// A rule of a service names something that the manifest does not have.
    #[error("find `{target}`, which {rule} of service `{service}` names")]
    UnknownTarget {
        /// Whose rule.
        service: ServiceName,
        /// Which rule.
        rule: &'static str,
        /// What it names.
        target: String,
    },
    /// A latency limit to the internet, which is no place.
    #[error("measure the latency from service `{service}` to the internet: it is not a place")]
    LatencyToInternet {
        /// Whose rule.
        service: ServiceName,
    },
    /// A price is below zero.
    #[error("accept a price below zero for `{what}`")]
    NegativePrice {
        /// Which machine or offer.
        what: String,
    },
    /// A sum of money cannot be held.
    #[error("hold the {what}: it is beyond what an amount of money can be")]
    Overflow {
        /// Which sum.
        what: &'static str,
    },
}

fn at_text(at: Option<&Location>) -> String {
    at.map_or_else(String::new, |at| format!(", line {at}"))
}

impl PlaceError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Unsatisfiable {
                rule: Filter::Budget | Filter::Quota,
                ..
            } => Class::Exhausted,
            Self::DuplicateMachine { .. } => Class::Conflict,
            _ => Class::Invalid,
        }
    }
}

/// One service of which replicas have no place, with the rule that stopped them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsatisfied {
    /// Which service.
    pub service: ServiceName,
    /// The rule that stopped its replicas (of the first of them).
    pub rule: Filter,
    /// How many replicas have no place.
    pub replicas: u32,
    /// The reason, for people.
    pub reason: String,
}

impl fmt::Display for Unsatisfied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            rule,
            replicas,
            reason,
        } = self;
        write!(
            f,
            "{replicas} of `{service}` have no place by the {rule} rule: {reason}"
        )
    }
}

/// Which rules left replicas without a place: one entry per service, sorted by service; empty when all are placed.
#[must_use]
pub fn unsatisfied(placement: &Placement) -> Vec<Unsatisfied> {
    let mut entries: Vec<Unsatisfied> = Vec::new();
    for unplaced in &placement.unplaced {
        let service = unplaced.replica.service();
        match entries.last_mut().filter(|last| last.service == *service) {
            Some(last) => last.replicas = last.replicas.saturating_add(1),
            None => entries.push(Unsatisfied {
                service: service.clone(),
                rule: unplaced.filter,
                replicas: 1,
                reason: unplaced.reason.clone(),
            }),
        }
    }
    entries
}
