//! What a rebalance is asked from, and its answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Filter, MachineId, MicroUsd, MicroUsdPerHour, Ratio, ReplicaId, Resources, Timestamp};
use thiserror::Error;

use crate::formulas::{CostBenefit, Imbalance, Mean};
use crate::problem::{PlaceError, Problem};

/// What is running, and how much of it is used.
#[derive(Debug, Clone, Copy)]
pub struct RebalanceInput<'a> {
    /// Manifest, snapshot and catalogue. The snapshot says where replicas are and, where it is measured, how utilised
    /// each machine is; its time is the present.
    pub problem: Problem<'a>,
    /// Measured use of each replica; one that is absent counts as using what it asks for.
    pub usage: &'a BTreeMap<ReplicaId, Resources>,
    /// When the last rebalance moved something.
    pub last_moved: Option<Timestamp>,
}

/// Bounds and prices of a rebalance. Nothing that costs money has a default.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RebalanceConfig {
    /// Most moves.
    pub moves_max: u32,
    /// How long a move's saving is counted.
    pub horizon: Duration,
    /// What one move costs by its disruption, besides the transfer of the replica's disk.
    pub move_cost: MicroUsd,
    /// What an hour at an imbalance (root mean square of `LB_i`) of 1 would cost; expected revenue is a fair value. Zero
    /// counts money only.
    pub balance_value: MicroUsdPerHour,
    /// Largest `CE` (cost of moving over saving, formula 3) at which a move is taken.
    pub ce_max: f64,
    /// `Ū` of formula 2.
    pub mean: Mean,
    /// The only machine that may receive; `None`: any.
    pub target: Option<MachineId>,
    /// Shortest time between two rebalances.
    pub cooldown: Duration,
}

impl RebalanceConfig {
    /// Takes moves that earn more than they cost (`CE` below 1) against the arithmetic mean, to any machine, without a
    /// cooldown.
    #[must_use]
    pub const fn new(moves_max: u32, horizon: Duration, move_cost: MicroUsd, balance_value: MicroUsdPerHour) -> Self {
        Self {
            moves_max,
            horizon,
            move_cost,
            balance_value,
            ce_max: 1.0,
            mean: Mean::Arithmetic,
            target: None,
            cooldown: Duration::ZERO,
        }
    }

    /// The same with another threshold: 0.5 asks for twice the saving.
    #[must_use]
    pub const fn with_ce_max(mut self, ce_max: f64) -> Self {
        self.ce_max = ce_max;
        self
    }

    /// The same against another mean.
    #[must_use]
    pub const fn with_mean(mut self, mean: Mean) -> Self {
        self.mean = mean;
        self
    }

    /// The same with one machine that receives.
    #[must_use]
    pub fn with_target(mut self, machine: MachineId) -> Self {
        self.target = Some(machine);
        self
    }

    /// The same with a rest between rebalances.
    #[must_use]
    pub const fn with_cooldown(mut self, cooldown: Duration) -> Self {
        self.cooldown = cooldown;
        self
    }
}

/// One replica to another machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// Which replica.
    pub replica: ReplicaId,
    /// Where it is.
    pub from: MachineId,
    /// Where it goes.
    pub to: MachineId,
    /// What it costs: disruption and transfer.
    pub cost: MicroUsd,
    /// What it saves over the horizon: machines, egress and imbalance.
    pub saving: MicroUsd,
    /// `CE` of the move.
    pub ce: CostBenefit,
    /// Root mean square of `LB_i` before this move.
    pub rms_before: f64,
    /// And after it.
    pub rms_after: f64,
    /// Why, and what the next best target would have given.
    pub because: String,
}

/// Why nothing is moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Refusal {
    /// The last rebalance was too short a time ago.
    TooSoon {
        /// Time left to wait.
        wait: Duration,
    },
    /// Fewer than two machines are ready, or nothing runs on them.
    NothingToMove,
    /// A replica that the manifest asks for is nowhere, or its machine is not: it is to be placed first.
    NotWhole {
        /// Which.
        replica: ReplicaId,
    },
    /// The machine named as the target is not there or not ready.
    NoSuchTarget {
        /// Which.
        machine: MachineId,
    },
    /// No move would save anything.
    Even {
        /// Root mean square of `LB_i`.
        rms: f64,
    },
    /// Moves would save something, but not enough for what they cost.
    NotWorthIt {
        /// The best of them.
        best: CostBenefit,
        /// The largest that is taken.
        ce_max: f64,
    },
    /// Moves would save something, but hard rules forbid them.
    Forbidden {
        /// Moves that each rule forbids.
        rejected: BTreeMap<Filter, u32>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSoon { wait } => write!(f, "the last rebalance is too recent: wait {wait:?} more"),
            Self::NothingToMove => f.write_str("there are not two ready machines with something to move"),
            Self::NotWhole { replica } => write!(f, "`{replica}` runs nowhere and is to be placed first"),
            Self::NoSuchTarget { machine } => write!(f, "the target `{machine}` is not there or not ready"),
            Self::Even { rms } => write!(f, "no move would save anything at an imbalance of {rms:.4}"),
            Self::NotWorthIt { best, ce_max } => {
                write!(f, "the best move has a CE of {best}, and at most {ce_max:.4} is taken")
            }
            Self::Forbidden { rejected } => {
                let parts: Vec<String> = rejected.iter().map(|(rule, n)| format!("{n} by {rule}")).collect();
                write!(f, "every useful move is forbidden: {}", parts.join(", "))
            }
        }
    }
}

/// The decision to move, or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rebalance {
    /// Moves in the order to make them; each replica at most once.
    pub moves: Vec<Move>,
    /// Why there are none; `None` when there are some.
    pub refusal: Option<Refusal>,
    /// Evenness of the ready machines before.
    pub imbalance_before: Imbalance,
    /// And after all moves.
    pub imbalance_after: Imbalance,
    /// `CE` of all moves together; `None` when there are none.
    pub ce: Option<CostBenefit>,
    /// `U_i` of the ready machines before, by machine.
    pub utilisation_before: BTreeMap<MachineId, Ratio>,
    /// And after all moves.
    pub utilisation_after: BTreeMap<MachineId, Ratio>,
}

/// Why a rebalance could not be decided.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RebalanceError {
    /// Manifest, snapshot or catalogue contradict themselves.
    #[error("read the problem")]
    Problem(#[from] PlaceError),
    /// A number of the configuration is NaN, infinite or negative.
    #[error("accept `{value}` as {what}: it must be finite and not negative")]
    NotANumber {
        /// What was given.
        value: f64,
        /// What it stands for.
        what: &'static str,
    },
}

impl RebalanceError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Problem(source) => source.class(),
            Self::NotANumber { .. } => Class::Invalid,
        }
    }
}
