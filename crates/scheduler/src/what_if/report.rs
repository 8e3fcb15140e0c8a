//! Consequences as data, and as text for people.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{DataName, Filter, Machine, MachineId, MicroUsd, Placement, RegionKey, ReplicaId};

use super::WhatIfError;
use super::apply::World;
use super::change::Change;
use crate::problem::{Decision, PlaceError, unsatisfied};

/// What follows from a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Consequences {
    /// What was supposed.
    pub changes: Vec<Change>,
    /// Today's decision, which the rest takes as carried out.
    pub before: Outcome,
    /// The plan of least cost, in which everything may move.
    pub least_cost: Outcome,
    /// The plan in which only what must moves: without moves, it is the price of staying put.
    pub least_moves: Outcome,
    /// Cost of the plan of least cost less today's, per month; `None` where either is not to be had.
    pub cost_delta: Option<MicroUsd>,
    /// Copies of data sets that are gone, in the order of the manifest.
    pub lost_copies: Vec<LostCopy>,
}

/// A copy of a data set that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostCopy {
    /// Which data set.
    pub data: DataName,
    /// Where the copy was.
    pub region: RegionKey,
    /// Copies that are left.
    pub left: usize,
}

/// A plan, or the rule that allows none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A plan; replicas without a place are in it, each with its reason.
    Plan(Box<PlanAfter>),
    /// A rule over the whole cannot be met.
    Unsatisfiable {
        /// Which rule.
        rule: Filter,
        /// What is needed and what is allowed, for people.
        reason: String,
    },
}

/// A plan with its difference from what runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanAfter {
    /// The decision; its full lists of rejected options are left out, the folded reasons say it shorter.
    pub decision: Decision,
    /// Replicas that ran and are elsewhere then, sorted by replica.
    pub moves: Vec<MovedReplica>,
    /// Machines to buy, sorted by id.
    pub bought: Vec<Machine>,
    /// Machines that would be given back or are gone, sorted by id.
    pub given_back: Vec<Machine>,
}

/// A replica that would be elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedReplica {
    /// Which.
    pub replica: ReplicaId,
    /// Where it runs.
    pub from: MachineId,
    /// Where it would run; `None`: nowhere.
    pub to: Option<MachineId>,
}

impl Outcome {
    /// Machines and egress per month; `None` without a plan.
    #[must_use]
    pub fn total(&self) -> Option<MicroUsd> {
        match self {
            Self::Plan(plan) => Some(plan.decision.placement.cost.total_per_month),
            Self::Unsatisfiable { .. } => None,
        }
    }

    /// The plan with fewer replicas left out, then the cheaper, then the one with fewer moves.
    pub(super) fn better_of(self, other: &Self) -> Self {
        let rank = |outcome: &Self| match outcome {
            Self::Plan(plan) => {
                let placement = &plan.decision.placement;
                (
                    placement.unplaced.len(),
                    placement.cost.total_per_month,
                    plan.moves.len(),
                )
            }
            Self::Unsatisfiable { .. } => (usize::MAX, MicroUsd::MAX, usize::MAX),
        };
        if rank(other) < rank(&self) { other.clone() } else { self }
    }
}

/// A decision's outcome against what runs; an error only where the problem contradicts itself.
pub(super) fn outcome(
    decided: Result<Decision, PlaceError>,
    world: &World,
    running: Option<&Placement>,
) -> Result<Outcome, WhatIfError> {
    let mut decision = match decided {
        Ok(decision) => decision,
        Err(error @ PlaceError::Unsatisfiable { .. }) => {
            let reason = error.to_string();
            let PlaceError::Unsatisfiable { rule, .. } = error else {
                return Err(error.into());
            };
            return Ok(Outcome::Unsatisfiable { rule, reason });
        }
        Err(error) => return Err(error.into()),
    };
    decision.placement.rejections.clear();
    let there: BTreeSet<&MachineId> = world.snapshot.nodes.iter().map(|n| &n.machine.id).collect();
    let placement = &decision.placement;
    let used: BTreeSet<&MachineId> = placement.machines.iter().map(|m| &m.id).collect();
    let bought = placement
        .machines
        .iter()
        .filter(|m| !there.contains(&m.id))
        .cloned()
        .collect();
    let given_back = running.map_or_else(Vec::new, |running| {
        running
            .machines
            .iter()
            .filter(|m| !used.contains(&m.id))
            .cloned()
            .collect()
    });
    let moves = running.map_or_else(Vec::new, |running| moves(running, placement));
    Ok(Outcome::Plan(Box::new(PlanAfter {
        moves,
        bought,
        given_back,
        decision,
    })))
}

fn moves(running: &Placement, after: &Placement) -> Vec<MovedReplica> {
    let known: BTreeSet<&ReplicaId> = after.unplaced.iter().map(|u| &u.replica).collect();
    let moved = running.assignments.iter().filter_map(|was| {
        let is = after.assignments.binary_search_by(|a| a.replica.cmp(&was.replica));
        let to = match is {
            Ok(at) => Some(after.assignments[at].machine.clone()),
            // A service that shrinks has replicas that are not asked for any more: they do not move.
            Err(_) if known.contains(&was.replica) => None,
            Err(_) => return None,
        };
        (to.as_ref() != Some(&was.machine)).then(|| MovedReplica {
            replica: was.replica.clone(),
            from: was.machine.clone(),
            to,
        })
    });
    moved.collect()
}

/// Rows of a kind that text names before it only counts them.
const ROWS_MAX: usize = 12;

impl fmt::Display for Consequences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "suppose {change}")?;
        }
        writeln!(f, "today: {}{}", Priced(&self.before), Proven(&self.before))?;
        for copy in &self.lost_copies {
            writeln!(
                f,
                "  data set `{}` loses its copy in {}; {} left",
                copy.data, copy.region, copy.left
            )?;
        }
        writeln!(
            f,
            "then, at least cost: {}{}",
            Priced(&self.least_cost),
            Proven(&self.least_cost)
        )?;
        if let Some(delta) = self.cost_delta {
            let (sign, word) = if delta < MicroUsd::ZERO {
                (-1, "less")
            } else {
                (1, "more")
            };
            let amount = delta.checked_mul(sign).unwrap_or(delta);
            writeln!(f, "  {amount} per month {word} than today")?;
        }
        write!(f, "{}", Detailed(&self.least_cost))?;
        let still = matches!(&self.least_moves, Outcome::Plan(plan) if plan.moves.is_empty() && plan.bought.is_empty());
        let name = if still { "staying put" } else { "moving only what must" };
        write!(f, "{name}: {}", Priced(&self.least_moves))?;
        if let Outcome::Plan(plan) = &self.least_moves
            && !still
        {
            write!(f, ", {} moves, {} machines to buy", plan.moves.len(), plan.bought.len())?;
        }
        Ok(())
    }
}

/// One line: what it costs, or why there is no plan.
struct Priced<'o>(&'o Outcome);

impl fmt::Display for Priced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Unsatisfiable { rule, reason } => {
                write!(f, "unsatisfiable by the {rule} rule: failed to {reason}")
            }
            Outcome::Plan(plan) => {
                let placement = &plan.decision.placement;
                let (total, machines) = (placement.cost.total_per_month, placement.machines.len());
                write!(f, "{total} per month on {machines} machines")
            }
        }
    }
}

/// How good a plan is, where everything was free to move.
struct Proven<'o>(&'o Outcome);

impl fmt::Display for Proven<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome::Plan(plan) = self.0 else { return Ok(()) };
        match (plan.decision.lower_bound, plan.decision.gap()) {
            (Some(bound), Some(gap)) => {
                write!(
                    f,
                    " (no plan costs less than {}, gap {:.2} %)",
                    bound.total_per_month,
                    gap * 100.0
                )
            }
            _ => Ok(()),
        }
    }
}

/// What moves, is bought and given back, and what has no place.
struct Detailed<'o>(&'o Outcome);

impl fmt::Display for Detailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome::Plan(plan) = self.0 else { return Ok(()) };
        rows(
            f,
            "moves",
            plan.moves.iter().map(|m| {
                let to = m.to.as_ref().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
                format!("{}: {} -> {to}", m.replica, m.from)
            }),
        )?;
        let machine = |m: &Machine| format!("{} {} {} {} {}", m.id, m.site, m.instance, m.purchase, m.price);
        rows(f, "machines to buy", plan.bought.iter().map(machine))?;
        rows(f, "machines given back or gone", plan.given_back.iter().map(machine))?;
        rows(
            f,
            "services without a place",
            unsatisfied(&plan.decision.placement).iter().map(ToString::to_string),
        )
    }
}

fn rows(f: &mut fmt::Formatter<'_>, name: &str, rows: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    let count = rows.len();
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "  {count} {name}:")?;
    for row in rows.take(ROWS_MAX) {
        writeln!(f, "    {row}")?;
    }
    if count > ROWS_MAX {
        writeln!(f, "    and {} more", count - ROWS_MAX)?;
    }
    Ok(())
}
