//! Undoing what a plan has made, in reverse order, but for what something old was given up for.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Action, Precondition, ServiceName, Step, StepId, Until};

use super::OnCancel;
use super::durable::{Stage, deletes};
use super::machine::Saga;
use super::network::index;
use super::status::StopCause;
use super::step::Call;

/// The state of undoing, derived from the journal.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    member: Vec<bool>,
    /// How many nodes that rest on each node are not out of the way yet.
    waits: Vec<usize>,
}

impl Saga {
    /// The steps whose things are to be deleted, those that are deleted already included.
    pub(super) fn to_undo(&self) -> Vec<StepId> {
        if self.durable.cause == Some(StopCause::Cancelled) && self.config.on_cancel == OnCancel::Keep {
            return Vec::new();
        }
        let kept = self.kept();
        let exists = |step: &StepId| self.durable.stage(*step).resource().is_some();
        let steps = self.plan.steps.iter().map(|step| step.id);
        steps
            .filter(|step| exists(step) && !kept[index(*step)] && self.can_be_undone(*step))
            .collect()
    }

    /// Sets the order up and queues what nothing rests on.
    pub(super) fn begin_undo(&mut self) {
        let mut member = vec![false; self.network.out.len()];
        self.to_undo().into_iter().for_each(|step| member[index(step)] = true);
        let waits: Vec<usize> = self.network.out.iter().map(Vec::len).collect();
        let free: Vec<usize> = (0..waits.len()).filter(|node| waits[*node] == 0).collect();
        self.undo = Some(Undo { member, waits });
        free.into_iter().for_each(|node| self.reach(node));
    }

    /// What was made by this node is gone.
    pub(super) fn undone(&mut self, node: usize) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for i in 0..self.network.into[node].len() {
                let source = self.network.into[node][i];
                let Some(undo) = &mut self.undo else { return };
                undo.waits[source] -= 1;
                if undo.waits[source] == 0 && !self.hold(source) {
                    open.push(source);
                }
            }
        }
    }

    /// Nothing rests on this node any more.
    fn reach(&mut self, node: usize) {
        if !self.hold(node) {
            self.undone(node);
        }
    }

    /// Queues a node that has to be undone first; `false`: there is nothing to wait for.
    fn hold(&mut self, node: usize) -> bool {
        if !self.undo.as_ref().is_some_and(|undo| undo.member[node]) {
            return false;
        }
        let step = self.plan.steps[node].id;
        match self.durable.stage(step) {
            Stage::Observed { .. } => self.queue_call(step, Call::BeginUndo),
            Stage::Undoing { .. } => self.queue_call(step, Call::Undo),
            Stage::NotUndone { .. } => {}
            _ => return false,
        }
        true
    }

    /// What must stay, per node: a thing in exchange for which an old one was deleted, or may have been, a creation in
    /// doubt, and whatever such a thing or such a deletion rests on.
    fn kept(&self) -> Vec<bool> {
        let mut kept = vec![false; self.network.out.len()];
        let mut given_up = BTreeSet::new();
        let mut open = Vec::new();
        for step in &self.plan.steps {
            if *self.durable.stage(step.id) == (Stage::GivenUp { in_doubt: true }) {
                open.push(index(step.id));
            }
            let begun = !matches!(self.durable.stage(step.id), Stage::Waiting | Stage::Withdrawn);
            if begun && deletes(&step.action) {
                open.push(index(step.id));
                if let Action::DeleteReplica { resource, .. } = &step.action {
                    given_up.insert(resource);
                }
            }
        }
        for step in &self.plan.steps {
            if let Precondition::AbsentBut { resource } = &step.precondition
                && given_up.contains(resource)
            {
                open.push(index(step.id));
            }
        }
        self.keep_with_all_below(&mut kept, open);
        let stand_ins = self.stand_ins(&kept);
        self.keep_with_all_below(&mut kept, stand_ins);
        kept
    }

    fn keep_with_all_below(&self, kept: &mut [bool], mut open: Vec<usize>) {
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut kept[node], true) {
                open.extend(&self.network.into[node]);
            }
        }
    }

    /// Where more old replicas of a service were given up than successors of them are kept and known to serve, others that
    /// were made stay in their place: undoing takes nobody below what the plan itself would have come to.
    fn stand_ins(&self, kept: &[bool]) -> Vec<usize> {
        let is_there = |step: &Step| matches!(self.durable.stage(step.id), Stage::Observed { broken: false, .. });
        let serves = |step: &Step| {
            let stage = self.durable.stage(step.id);
            matches!(stage, Stage::Observed { level, broken: false, .. } if *level >= Until::Healthy)
        };
        let mut missing: BTreeMap<&ServiceName, i64> = BTreeMap::new();
        for step in &self.plan.steps {
            let begun = !matches!(self.durable.stage(step.id), Stage::Waiting | Stage::Withdrawn);
            let change = match &step.action {
                Action::DeleteReplica { .. } if begun => 1,
                Action::CreateReplica { .. } if kept[index(step.id)] && serves(step) => -1,
                _ => continue,
            };
            if let Some(replica) = step.action.replica() {
                *missing.entry(replica.service()).or_default() += change;
            }
        }
        let mut stay = Vec::new();
        // Those that are known to serve first; of the others it is not known, so that each may be needed.
        for wanted in [true, false] {
            let others = self.plan.steps.iter().filter(|step| !kept[index(step.id)]);
            for step in others.filter(|step| is_there(step) && serves(step) == wanted) {
                let Action::CreateReplica { spec } = &step.action else {
                    continue;
                };
                if let Some(missing) = missing.get_mut(spec.replica.service()).filter(|n| **n > 0) {
                    *missing -= i64::from(wanted);
                    stay.push(index(step.id));
                }
            }
        }
        stay
    }
}
