//! Why there is no plan. Each error names the task, edge or rule.

use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::catalogue::EgressError;
use skyloom_core::{Class, MicroUsd};
use thiserror::Error;

use super::NodeId;

/// A hard rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The task's list of clouds.
    Clouds,
    /// The task's list of regions.
    Regions,
    /// The task's residency.
    Residency,
    /// The task's own deadline, or that of the whole.
    Deadline,
    /// The budget.
    Budget,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clouds => "clouds",
            Self::Regions => "regions",
            Self::Residency => "residency",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
        })
    }
}

/// Why there is no plan. The `Display` text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum DagError {
    /// A task or data set without a name.
    #[error("accept a task or data set with an empty name")]
    EmptyName,
    /// Two tasks or data sets have one name.
    #[error("tell two nodes named `{id}` apart")]
    DuplicateNode {
        /// The name.
        id: NodeId,
    },
    /// A task has nothing to run on.
    #[error("run task `{task}`: it has no candidate")]
    NoCandidate {
        /// Which task.
        task: NodeId,
    },
    /// An edge names something that is not there.
    #[error("find `{missing}`, which the edge from `{from}` to `{to}` names")]
    UnknownNode {
        /// Sender of the edge.
        from: NodeId,
        /// Receiver of the edge.
        to: NodeId,
        /// The name that is unknown.
        missing: NodeId,
    },
    /// An edge joins two data sets: nothing runs that would send.
    #[error("send from data set `{from}` to data set `{to}`: one end of an edge must be a task")]
    DataToData {
        /// Sender.
        from: NodeId,
        /// Receiver.
        to: NodeId,
    },
    /// Tasks wait for each other.
    #[error("order the tasks: {}", loop_text(tasks))]
    Cycle {
        /// A shortest loop, from the task of lowest name, each waiting for the one before; the first is not repeated.
        tasks: Vec<NodeId>,
    },
    /// A run time or deadline that is none.
    #[error("accept `{seconds}` seconds as the {what} of {of}: it must be in 0..={max}")]
    BadSeconds {
        /// Which time.
        what: &'static str,
        /// Whose: a task with its offer, or the plan.
        of: String,
        /// What was given.
        seconds: f64,
        /// Largest that is accepted.
        max: f64,
    },
    /// A price below zero.
    #[error("accept the price of `{offer}` of task `{task}`: it is negative")]
    NegativePrice {
        /// Whose candidate.
        task: NodeId,
        /// Its offer.
        offer: String,
    },
    /// A candidate of no machines.
    #[error("run task `{task}` on zero nodes of `{offer}`")]
    ZeroNodes {
        /// Whose candidate.
        task: NodeId,
        /// Its offer.
        offer: String,
    },
    /// A speed of zero: nothing would ever arrive.
    #[error("send at zero bytes per second {between}")]
    ZeroSpeed {
        /// Between what.
        between: String,
    },
    /// A volume beyond what is accepted.
    #[error("accept `{bytes}` bytes {of}: at most `{max}` are accepted in all")]
    TooManyBytes {
        /// Which edge, or what was sent already.
        of: String,
        /// How many.
        bytes: u64,
        /// Largest sum that is accepted.
        max: u64,
    },
    /// Costs beyond what is accepted.
    #[error("hold the cost of {of}: it is beyond what a plan may cost")]
    TooDear {
        /// Which task and offer, or all of it.
        of: String,
    },
    /// More tasks, edges or candidates than are accepted.
    #[error("plan `{count}` {what}: at most `{max}` are accepted")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many.
        count: usize,
        /// Largest number.
        max: usize,
    },
    /// Traffic has no price.
    #[error("price the traffic between tasks")]
    Egress(#[from] EgressError),
    /// No candidate of a task meets the rules.
    #[error("place task `{task}`: none of its `{candidates}` candidates meets its rules, {rule} first")]
    Unsatisfiable {
        /// Which task.
        task: NodeId,
        /// The first rule that leaves it nothing.
        rule: Rule,
        /// How many candidates it has.
        candidates: usize,
    },
    /// No plan is fast enough.
    #[error("finish {of} within `{asked_ms}` milliseconds: it takes at least `{least_ms}`")]
    TooSlow {
        /// A task, or all tasks.
        of: String,
        /// The deadline.
        asked_ms: u64,
        /// Lower bound of what it takes.
        least_ms: u64,
    },
    /// No plan meets all deadlines; which one cannot be met depends on the others.
    #[error("meet the deadlines of all tasks together")]
    DeadlinesContradict,
    /// No plan is cheap enough.
    #[error("stay within the budget of `{asked}`: the cheapest plan costs at least `{least}`")]
    OverBudget {
        /// The budget.
        asked: MicroUsd,
        /// Lower bound of the cost.
        least: MicroUsd,
    },
    /// The work was used up before any plan within the rules was found; there may be one.
    #[error("find a plan that meets the {rule} within the work allowed; there may be one")]
    OutOfWork {
        /// The rule that makes it hard.
        rule: Rule,
    },
}

impl DagError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Unsatisfiable { .. }
            | Self::TooSlow { .. }
            | Self::DeadlinesContradict
            | Self::OverBudget { .. }
            | Self::OutOfWork { .. } => Class::Exhausted,
            Self::UnknownNode { .. } => Class::NotFound,
            Self::Egress(error) => error.class(),
            _ => Class::Invalid,
        }
    }
}

fn loop_text(tasks: &[NodeId]) -> String {
    let mut text = String::new();
    for task in tasks {
        text.push_str(&format!("`{task}` before "));
    }
    tasks
        .first()
        .map_or_else(String::new, |first| text + &format!("`{first}`"))
}
