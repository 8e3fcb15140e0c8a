//! What comes back: a plan with its price and its bound, task by task, and why not otherwise.
//!
//! Plain data; making it is `plan`'s and `explain`'s.

use serde::{Deserialize, Serialize};
use skyloom_core::{Bytes, MicroUsd, RegionKey};

use super::error::Rule;
use super::types::NodeId;

/// A plan. Equal input, also in another order, gives an equal plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DagPlan {
    /// What tasks and traffic cost: tasks rounded half up to a micro-dollar each, traffic added up per sender and price
    /// list, tiers applied to the sum, and all of it rounded half up once.
    pub cost: MicroUsd,
    /// The part of the traffic: `cost` without the tasks.
    pub egress: MicroUsd,
    /// No plan that meets the rules costs less; where the objective is time, no plan that is as fast.
    pub cost_lower_bound: MicroUsd,
    /// From the start of the first task to the end of the last and of its outputs, in milliseconds.
    pub makespan_ms: u64,
    /// No plan that meets the rules is faster; 0 where the objective is cost.
    pub makespan_lower_bound_ms: u64,
    /// How far what the objective asks for may be from its optimum: (found - bound) / bound; 0: proven optimal. Infinite
    /// where the bound is 0 and the plan is not.
    pub gap: f64,
    /// Whether a price list had to be assumed for some traffic.
    pub has_assumed_prices: bool,
    /// Tasks by name.
    pub tasks: Vec<TaskPlan>,
    /// What each region sends under each price list, by region; only what is above zero.
    pub sent: Vec<Sent>,
}

/// Where a task runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskPlan {
    /// Which task.
    pub id: NodeId,
    /// The chosen offer.
    pub offer: String,
    /// Its region.
    pub region: RegionKey,
    /// What it costs there, all nodes together, without traffic.
    pub cost: MicroUsd,
    /// When it starts, in milliseconds after the start of the whole.
    pub start_ms: u64,
    /// When it ends.
    pub end_ms: u64,
    /// The next best for this task with all others as they are; `None`: nothing else is allowed, or no explanation was
    /// asked for.
    pub runner_up: Option<RunnerUp>,
    /// All other candidates, by region and offer; empty where no explanation was asked for.
    pub rejected: Vec<Rejected>,
}

/// The next best candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunnerUp {
    /// Its offer.
    pub offer: String,
    /// Its region.
    pub region: RegionKey,
    /// What the whole would cost more, traffic included.
    pub dearer_by: MicroUsd,
}

/// A candidate that was not chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rejected {
    /// Its offer.
    pub offer: String,
    /// Its region.
    pub region: RegionKey,
    /// Why, first reason first.
    pub reason: Reason,
}

/// Why a candidate was not chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A hard rule of the task forbids it.
    Forbidden(Rule),
    /// With all others as they are the whole would cost this much more (or the same).
    Dearer(MicroUsd),
    /// With all others as they are it would be cheaper by this and end too late, or later than the plan where time is
    /// the objective.
    Slower(MicroUsd),
}

/// Traffic of one sender under one price list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sent {
    /// From where.
    pub region: RegionKey,
    /// How much, without what was sent already.
    pub bytes: Bytes,
    /// What it costs after what was sent already, rounded half up.
    pub cost: MicroUsd,
    /// Whether the price list is assumed.
    pub is_assumed: bool,
}

/// Plans of which none is both cheaper and faster than another, from the cheapest to the fastest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Front {
    /// The plans: cost rises, makespan falls.
    pub plans: Vec<DagPlan>,
    /// For every plan there could be, one of these takes at most `1 + time_gap` times its time ...
    pub time_gap: f64,
    /// ... and costs at most `1 + cost_gap` times as much. Both 0: this is the front itself.
    pub cost_gap: f64,
}
