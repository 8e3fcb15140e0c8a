//! What a plan says: moves with their reasons, or why there are none.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{MachineId, MicroUsd, MicroUsdPerHour};

use super::describe::WorkloadId;
use crate::formulas::{CostBenefit, Imbalance};

/// What can forbid a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The node receives nothing.
    NotReady,
    /// The node is not among those the workload may be on.
    Nodes,
    /// The node lacks a label.
    Labels,
    /// The node has a taint that is not tolerated.
    Taints,
    /// What is requested does not fit beside what is requested already.
    Room,
    /// No device, or not enough whole devices, are left.
    Devices,
    /// The node would be used beyond the ceiling.
    Ceiling,
    /// The node holds a workload that it must be apart from.
    Apart,
    /// The group would be spread too unevenly.
    Spread,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotReady => "readiness",
            Self::Nodes => "allowed nodes",
            Self::Labels => "labels",
            Self::Taints => "taints",
            Self::Room => "room",
            Self::Devices => "devices",
            Self::Ceiling => "ceiling",
            Self::Apart => "anti-affinity",
            Self::Spread => "spread",
        })
    }
}

/// Why a workload moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Why {
    /// Its node is used more than others.
    Evens {
        /// Utilisation of the giver before and after.
        giver: [f64; 2],
        /// Utilisation of the receiver before and after.
        receiver: [f64; 2],
    },
    /// Its node is given back.
    Drains {
        /// The price of that node.
        price: MicroUsdPerHour,
    },
    /// It slows its neighbours down.
    Noisy {
        /// The largest use over request among its resources.
        factor: f64,
        /// The sum of the slow-downs that end.
        relieves: f64,
    },
    /// Its neighbours slow it down.
    Suffers {
        /// By how much.
        slowed: f64,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evens { giver, receiver } => write!(
                f,
                "the giver goes from U {:.4} to {:.4}, the receiver from {:.4} to {:.4}",
                giver[0], giver[1], receiver[0], receiver[1]
            ),
            Self::Drains { price } => write!(f, "its node is given back, which saves {price}"),
            Self::Noisy { factor, relieves } => {
                write!(
                    f,
                    "it uses {factor:.2} times its request and slows its neighbours by {relieves:.4} in all"
                )
            }
            Self::Suffers { slowed } => write!(f, "its neighbours slow it by {slowed:.4}"),
        }
    }
}

/// The receiver that was second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NextBest {
    /// Which.
    pub node: MachineId,
    /// What this one move would have saved there over the horizon by evenness and money; may be negative.
    pub saving: MicroUsd,
    /// The root mean square of `LB_i` it would have left.
    pub rms_after: f64,
}

/// One workload to another node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// Which.
    pub workload: WorkloadId,
    /// Where it is.
    pub from: MachineId,
    /// Where it goes.
    pub to: MachineId,
    /// What it costs.
    pub cost: MicroUsd,
    /// What it saves over the horizon: its part, by cost, of what its step saves.
    pub saving: MicroUsd,
    /// Number of its step in [`Plan::steps`], from 0.
    pub step: usize,
    /// Root mean square of `LB_i` before it.
    pub rms_before: f64,
    /// And after it.
    pub rms_after: f64,
    /// Why.
    pub why: Why,
    /// What the next best receiver would have given; `None`: no other may take it.
    pub next_best: Option<NextBest>,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workload,
            from,
            to,
            saving,
            cost,
            ..
        } = self;
        write!(
            f,
            "`{workload}` from `{from}` to `{to}`: saves {saving}, costs {cost}; {}",
            self.why
        )?;
        match &self.next_best {
            Some(next) => write!(
                f,
                "; next best is `{}` (saves {}, rms {:.4})",
                next.node, next.saving, next.rms_after
            ),
            None => f.write_str("; no other node may take it"),
        }
    }
}

/// Moves that are worth it together, none of them alone or in a shorter row: both ways of an exchange, the emptying of a
/// node. Whoever stops between two steps has had what was paid for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// How many moves; those of the first step come first.
    pub moves: usize,
    /// What they save over the horizon.
    pub saving: MicroUsd,
    /// What they cost, with the draining of nodes.
    pub cost: MicroUsd,
    /// Formula 3: cost over saving.
    pub ce: CostBenefit,
}

/// A node that is empty after the plan and is given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GivenBack {
    /// Which.
    pub node: MachineId,
    /// What it cost.
    pub price: MicroUsdPerHour,
    /// The step after which it is empty; `None`: it is empty now.
    pub step: Option<usize>,
}

/// A machine that is bought before the first move to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bought {
    /// What it is called in the plan: `new-` and a number.
    pub node: MachineId,
    /// Which offer.
    pub offer: String,
    /// What it costs.
    pub price: MicroUsdPerHour,
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Refusal {
    /// There are not two nodes, or nothing on them may move, or no move is allowed by the settings.
    NothingToMove,
    /// Nothing that could be moved would save anything.
    NothingToGain {
        /// Root mean square of `LB_i`.
        rms: f64,
    },
    /// Moves would save something, but not enough for what they cost.
    NotWorthIt {
        /// Cost over saving of the best of them.
        best: CostBenefit,
        /// Saving over cost that was asked for.
        threshold: f64,
    },
    /// Moves would be worth it, but rules forbid them.
    Forbidden {
        /// Moves that each rule forbids, of those looked at.
        rejected: BTreeMap<Rule, u32>,
    },
    /// What would be worth it takes more moves than are allowed.
    TooManyMoves {
        /// Moves allowed.
        moves_max: u32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToMove => f.write_str("there are not two nodes with something that may move"),
            Self::NothingToGain { rms } => write!(f, "no move would save anything at an imbalance of {rms:.4}"),
            Self::NotWorthIt { best, threshold } => {
                write!(
                    f,
                    "the best move has a CE of {best}, and a saving of {threshold:.4} times the cost is asked for"
                )
            }
            Self::Forbidden { rejected } => {
                let parts: Vec<String> = rejected.iter().map(|(rule, n)| format!("{n} by {rule}")).collect();
                write!(f, "every useful move is forbidden: {}", parts.join(", "))
            }
            Self::TooManyMoves { moves_max } => write!(f, "what is worth it takes more than {moves_max} moves"),
        }
    }
}

/// The decision: moves in the order to make them, or a refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// Every state in between keeps every rule.
    pub moves: Vec<Move>,
    /// Which moves pay only together.
    pub steps: Vec<Step>,
    /// Nodes to give back, in the order in which they become empty.
    pub given_back: Vec<GivenBack>,
    /// Machines to buy, in the order in which they are needed.
    pub bought: Vec<Bought>,
    /// Why nothing is done; `None` when something is.
    pub refusal: Option<Refusal>,
    /// Evenness of the ready nodes before.
    pub imbalance_before: Imbalance,
    /// And after.
    pub imbalance_after: Imbalance,
    /// What all nodes cost before.
    pub price_before: MicroUsdPerHour,
    /// And after.
    pub price_after: MicroUsdPerHour,
    /// What all moves save over the horizon.
    pub saving: MicroUsd,
    /// What they cost.
    pub cost: MicroUsd,
    /// Formula 3 of all moves: cost over saving; `None` when nothing is done.
    pub ce: Option<CostBenefit>,
    /// Measured slow-downs that the moves are expected to change, by workload.
    pub slowed_after: BTreeMap<WorkloadId, f64>,
    /// Whether more was worth it but exceeded the moves, or the effort, that were allowed. When this is false, a second
    /// run on the result plans nothing.
    pub more: bool,
    /// Whether all assignments within reach were weighed: nothing better is within reach then.
    pub exhaustive: bool,
}

impl Plan {
    /// Whether nothing is to be done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.given_back.is_empty() && self.bought.is_empty()
    }
}
