//! What two plans have apart: for a reviewer who has read the first, and for a stored plan that is made anew.
//!
//! Steps are told apart by what they do, not by their number: a step that only moved down a line has not changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Action, After, Plan, Step, Until};
use crate::{Digest, MicroUsdPerHour, StepId};

/// The differences from one plan to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanDiff {
    /// The first plan.
    pub from: Digest,
    /// The second plan.
    pub to: Digest,
    /// Steps that only the second has, in its order.
    pub added: Vec<Step>,
    /// Steps that only the first has, in its order.
    pub removed: Vec<Step>,
    /// Steps of both that are about the same thing and differ, in the order of the second.
    pub changed: Vec<ChangedStep>,
    /// Price of all machines after the first and after the second.
    pub price_after: (MicroUsdPerHour, MicroUsdPerHour),
}

/// A step that is in both plans, about the same thing, and differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedStep {
    /// As the first plan has it.
    pub from: Step,
    /// As the second plan has it.
    pub to: Step,
    /// What differs: `action`, `why`, `order`, `precondition`, `compensation`, `price`.
    pub fields: Vec<String>,
}

impl PlanDiff {
    /// Whether both plans do the same, in the same order, for the same reasons.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What a step is about: kind and thing. Several of one key are paired in their order.
type Key = (&'static str, String);

fn key(action: &Action) -> Key {
    match action {
        Action::CreateMachine { machine } => ("create-machine", machine.id.to_string()),
        Action::CreateReplica { spec } => ("create-replica", spec.replica.to_string()),
        Action::DeleteReplica { resource, .. } => ("delete-replica", resource.to_string()),
        Action::AwaitReplica { resource, .. } => ("await-replica", resource.to_string()),
        Action::DeleteMachine { machine, .. } => ("delete-machine", machine.to_string()),
        Action::RenameReplica { resource, .. } => ("rename-replica", resource.to_string()),
        Action::AdoptReplica { resource, .. } => ("adopt-replica", resource.to_string()),
        Action::AdoptMachine { resource, .. } => ("adopt-machine", resource.to_string()),
        Action::SyncData { data, .. } => ("sync-data", data.to_string()),
        Action::Gate { gate } => ("gate", gate.service.to_string()),
    }
}

/// Each step's key with a number that tells several of one key apart.
fn keys(plan: &Plan) -> Vec<(Key, usize)> {
    let mut seen: BTreeMap<Key, usize> = BTreeMap::new();
    let numbered = plan.steps.iter().map(|step| {
        let key = key(&step.action);
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        (key, *count)
    });
    numbered.collect()
}

/// The edges of a step by what they wait for, so that numbers do not matter.
fn order<'a>(plan: &Plan, names: &'a [(Key, usize)], step: &Step) -> Vec<(Option<&'a (Key, usize)>, Until)> {
    let name = |after: &After| (names.get(after.step.0 as usize), after.until);
    let mut edges: Vec<_> = plan.all_after(step).iter().map(name).collect();
    edges.sort();
    edges
}

impl Plan {
    /// What is different in `other`. Linear in steps and in the edges of steps that are in both.
    #[must_use]
    pub fn diff(&self, other: &Self) -> PlanDiff {
        let (old_names, new_names) = (keys(self), keys(other));
        let old: BTreeMap<_, &Step> = old_names.iter().zip(&self.steps).collect();
        let new: BTreeMap<_, &Step> = new_names.iter().zip(&other.steps).collect();
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for (name, step) in new_names.iter().zip(&other.steps) {
            let Some(before) = old.get(name) else {
                added.push(step.clone());
                continue;
            };
            let orders = (order(self, &old_names, before), order(other, &new_names, step));
            let fields = fields(before, step, orders.0 == orders.1);
            if !fields.is_empty() {
                let (from, to) = ((*before).clone(), step.clone());
                changed.push(ChangedStep { from, to, fields });
            }
        }
        let removed = old_names.iter().zip(&self.steps);
        let removed = removed.filter(|(name, _)| !new.contains_key(name));
        PlanDiff {
            from: self.id(),
            to: other.id(),
            added,
            removed: removed.map(|(_, step)| step.clone()).collect(),
            changed,
            price_after: (self.price_after, other.price_after),
        }
    }
}

fn fields(before: &Step, after: &Step, same_order: bool) -> Vec<String> {
    let differs = [
        ("action", before.action != after.action),
        ("why", before.why != after.why),
        ("order", !same_order),
        ("precondition", before.precondition != after.precondition),
        ("compensation", before.compensation != after.compensation),
        (
            "price",
            (before.price_before, before.price_after) != (after.price_before, after.price_after),
        ),
    ];
    let differing = differs.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(field, _)| String::from(field)).collect()
}

impl fmt::Display for PlanDiff {
    /// A line per step: `added`, `removed`, or `changed` with what differs; then the prices where they differ.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "from plan {} to plan {}", self.from.short(), self.to.short())?;
        if self.is_empty() {
            writeln!(f, "  the same steps")?;
        }
        let line = |f: &mut fmt::Formatter<'_>, word: &str, id: StepId, text: &dyn fmt::Display| {
            writeln!(f, "  {word:<8}{:>5}  {text}", id.to_string())
        };
        for step in &self.removed {
            line(f, "removed", step.id, &format_args!("{}  {}", step.action, step.why))?;
        }
        for step in &self.added {
            line(f, "added", step.id, &format_args!("{}  {}", step.action, step.why))?;
        }
        for ChangedStep { from, to, fields } in &self.changed {
            let was = if from.action.to_string() == to.action.to_string() {
                String::new()
            } else {
                format!(", was {}", from.action)
            };
            line(
                f,
                "changed",
                to.id,
                &format_args!("{}  {}{was}", to.action, fields.join(", ")),
            )?;
        }
        let (from, to) = self.price_after;
        if from == to {
            write!(f, "price after {from}, unchanged")
        } else {
            write!(f, "price after {from} -> {to}")
        }
    }
}
