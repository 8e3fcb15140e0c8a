//! A plan as it is offered for review: the manifest, the priced and explained placement, and the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Action, Digest, Manifest, Placement, Plan, RegionKey, StepId};

/// What would be done, and why; nothing has been touched. Plain data: it can be stored, compared, and applied later,
/// as long as the world has not moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// What was asked for.
    pub manifest: Manifest,
    /// Where everything runs, what that costs, and what was not chosen.
    pub placement: Placement,
    /// The steps.
    pub plan: Plan,
}

impl Proposal {
    /// Name of the plan.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.plan.id()
    }

    /// Regions that the steps touch.
    #[must_use]
    pub fn regions(&self) -> BTreeSet<RegionKey> {
        super::plane::regions_of(&self.plan)
    }

    /// The first step that makes a machine or a replica which the placement does not have there.
    pub(super) fn step_elsewhere(&self) -> Option<StepId> {
        let assigned = self.placement.assignments.iter();
        let assigned: BTreeSet<_> = assigned.map(|a| (&a.replica, &a.machine)).collect();
        let machines: BTreeMap<_, _> = self.placement.machines.iter().map(|m| (&m.id, m)).collect();
        let of_placement = |action: &Action| match action {
            Action::CreateMachine { machine } => machines.get(&machine.id) == Some(&machine),
            Action::CreateReplica { spec } => assigned.contains(&(&spec.replica, &spec.machine)),
            _ => true,
        };
        let step = self.plan.steps.iter().find(|step| !of_placement(&step.action))?;
        Some(step.id)
    }
}

impl fmt::Display for Proposal {
    /// The placement with its reasons, then the steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} runs on {} machines:",
            self.manifest.name,
            self.placement.machines.len()
        )?;
        for (assignment, explanation) in self.placement.assignments.iter().zip(&self.placement.explanations) {
            writeln!(
                f,
                "  {} at {}, {}",
                assignment.replica, explanation.chosen, assignment.share
            )?;
            writeln!(f, "    {}", explanation.because)?;
            if let Some(runner_up) = &explanation.runner_up {
                writeln!(f, "    runner-up {}: {}", runner_up.candidate, runner_up.lost_because)?;
            }
        }
        let cost = &self.placement.cost;
        writeln!(
            f,
            "{}, {} a month with {} of egress{}",
            cost.machines_per_hour,
            cost.total_per_month,
            cost.egress_per_month,
            if cost.egress_assumed { " (partly assumed)" } else { "" },
        )?;
        write!(f, "{}", self.plan)
    }
}
