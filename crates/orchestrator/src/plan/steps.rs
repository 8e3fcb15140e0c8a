//! The growing list of steps: numbers them, knows prices and sites, and writes each kind in one place.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::{
    Action, After, Barrier, BarrierId, Compensation, Gate, Machine, MachineId, MicroUsdPerHour, Node, ObservedReplica,
    PLAN_VERSION, Plan, Precondition, ReplicaId, ReplicaSpec, ResourceId, ServiceName, SnapshotRef, Step, StepId,
    StopSpec, Until,
};

use super::PlanError;
use super::claiming::ClaimSteps;

/// What a step waits for.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    pub(super) after: Vec<After>,
    pub(super) after_all: Vec<BarrierId>,
}

impl Waits {
    pub(super) fn step(mut self, step: StepId, until: Until) -> Self {
        self.after.push(After { step, until });
        self
    }

    pub(super) fn all(mut self, barriers: impl IntoIterator<Item = BarrierId>) -> Self {
        self.after_all.extend(barriers);
        self
    }
}

/// Steps in the order in which they are pushed.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    nodes: &'a BTreeMap<&'a MachineId, &'a Node>,
    steps: Vec<Step>,
    barriers: Vec<Barrier>,
    /// The step that creates each new machine.
    makers: BTreeMap<&'a MachineId, (StepId, &'a Machine)>,
    /// The step that takes each machine over.
    pub(super) adopted_machines: BTreeMap<&'a MachineId, StepId>,
    /// The step that takes each replica over or renames it.
    pub(super) claimed: ClaimSteps<'a>,
    /// The names under which replicas still run.
    old_names: BTreeMap<&'a ResourceId, &'a ReplicaId>,
    /// Deletions on each machine, for the end of the machine.
    deletions: BTreeMap<&'a MachineId, Vec<StepId>>,
}

impl<'a> Steps<'a> {
    pub(super) const fn new(nodes: &'a BTreeMap<&'a MachineId, &'a Node>) -> Self {
        Self {
            nodes,
            steps: Vec::new(),
            barriers: Vec::new(),
            makers: BTreeMap::new(),
            adopted_machines: BTreeMap::new(),
            claimed: BTreeMap::new(),
            old_names: BTreeMap::new(),
            deletions: BTreeMap::new(),
        }
    }

    /// The steps so far.
    pub(super) fn written(&self) -> &[Step] {
        &self.steps
    }

    /// Tells under which name a replica runs whose name is moved.
    pub(super) fn runs_as(&mut self, resource: &'a ResourceId, name: &'a ReplicaId) {
        self.old_names.insert(resource, name);
    }

    pub(super) fn create_machine(&mut self, machine: &'a Machine) -> Result<StepId, PlanError> {
        let id = self.push(
            Action::CreateMachine {
                machine: machine.clone(),
            },
            String::from("replicas are placed on it"),
            Waits::default(),
            Precondition::Absent,
            Compensation::Delete,
            (MicroUsdPerHour::ZERO, machine.price),
        )?;
        self.makers.insert(&machine.id, (id, machine));
        Ok(id)
    }

    /// Creates a replica once its machine runs; `replaces`: the old one of the same name.
    pub(super) fn create_replica(
        &mut self,
        spec: &ReplicaSpec,
        replaces: Option<&ObservedReplica>,
        why: String,
        waits: Waits,
    ) -> Result<StepId, PlanError> {
        let waits = match self.makers.get(&spec.machine) {
            Some((maker, _)) => waits.step(*maker, Until::Healthy),
            None => match self.adopted_machines.get(&spec.machine) {
                Some(adopter) => waits.step(*adopter, Until::Done),
                None => waits,
            },
        };
        let precondition = replaces.map_or(Precondition::Absent, |old| Precondition::AbsentBut {
            resource: old.resource.clone(),
        });
        let price = self.price(&spec.machine);
        let action = Action::CreateReplica { spec: spec.clone() };
        self.push(action, why, waits, precondition, Compensation::Delete, (price, price))
    }

    pub(super) fn delete_replica(
        &mut self,
        old: &'a ObservedReplica,
        stop: StopSpec,
        why: String,
        waits: Waits,
    ) -> Result<StepId, PlanError> {
        let node = self.node(old)?;
        let replica = self.old_names.get(&old.resource).copied().unwrap_or(&old.replica);
        // Before it is ours it cannot be deleted.
        let waits = match self.claimed.get(&old.resource) {
            Some(claimed) => waits.step(*claimed, Until::Done),
            None => waits,
        };
        let action = Action::DeleteReplica {
            replica: replica.clone(),
            resource: old.resource.clone(),
            machine: old.machine.clone(),
            site: node.machine.site.clone(),
            stop,
        };
        let compensation = Compensation::Nothing {
            because: String::from("what is deleted cannot be brought back; its successor, if it has one, is kept"),
        };
        let precondition = Precondition::PresentOrGone {
            resource: old.resource.clone(),
        };
        let price = node.machine.price;
        let id = self.push(action, why, waits, precondition, compensation, (price, price))?;
        self.deletions.entry(&old.machine).or_default().push(id);
        Ok(id)
    }

    pub(super) fn await_replica(&mut self, spec: &ReplicaSpec, kept: &ObservedReplica) -> Result<StepId, PlanError> {
        let price = self.price(&spec.machine);
        self.push(
            Action::AwaitReplica {
                replica: spec.replica.clone(),
                resource: kept.resource.clone(),
                machine: spec.machine.clone(),
                site: spec.site.clone(),
                health: spec.health.clone(),
            },
            String::from("runs already; later steps wait for it"),
            Waits::default(),
            Precondition::PresentOrGone {
                resource: kept.resource.clone(),
            },
            Compensation::Nothing {
                because: String::from("nothing is changed"),
            },
            (price, price),
        )
    }

    /// Gives a machine back once all replicas on it are gone.
    pub(super) fn delete_machine(&mut self, node: &'a Node, waits: Waits) -> Result<StepId, PlanError> {
        let gone = self.deletions.get(&node.machine.id).map_or(&[][..], Vec::as_slice);
        let adopter = self.adopted_machines.get(&node.machine.id);
        let first = gone.iter().chain(adopter);
        let waits = first.fold(waits, |waits, step| waits.step(*step, Until::Done));
        self.push(
            Action::DeleteMachine {
                machine: node.machine.id.clone(),
                resource: node.resource.clone(),
                site: node.machine.site.clone(),
            },
            String::from("nobody uses it any more"),
            waits,
            Precondition::PresentOrGone {
                resource: node.resource.clone(),
            },
            Compensation::Nothing {
                because: String::from("it was empty"),
            },
            (node.machine.price, MicroUsdPerHour::ZERO),
        )
    }

    /// A barrier over these edges and barriers; `None` when there is nothing to wait for. One that would only repeat
    /// another barrier is that barrier.
    pub(super) fn barrier(
        &mut self,
        name: String,
        after: Vec<After>,
        after_all: Vec<BarrierId>,
    ) -> Result<Option<BarrierId>, PlanError> {
        if after.is_empty() && after_all.len() < 2 {
            return Ok(after_all.first().copied());
        }
        let id = u32::try_from(self.barriers.len()).map_err(|_| PlanError::TooManySteps)?;
        self.barriers.push(Barrier { name, after, after_all });
        Ok(Some(BarrierId(id)))
    }

    /// The plan, without barriers for which nobody waits.
    pub(super) fn finish(mut self, deployment: ServiceName, snapshot: SnapshotRef) -> Result<Plan, PlanError> {
        self.drop_unused_barriers();
        // What is taken over costs somebody else until then.
        let ours = |id: &&MachineId| !self.adopted_machines.contains_key(*id);
        let ours = self.nodes.iter().filter(|(id, _)| ours(id));
        let before = MicroUsdPerHour::checked_sum(ours.map(|(_, node)| node.machine.price));
        let before = before.ok_or(PlanError::PriceOverflow)?;
        let change =
            |total: MicroUsdPerHour, step: &Step| total.checked_add(step.price_after)?.checked_sub(step.price_before);
        let after = self
            .steps
            .iter()
            .try_fold(before, change)
            .ok_or(PlanError::PriceOverflow)?;
        let used = self.steps.iter().filter_map(|step| match &step.action {
            Action::CreateReplica { spec } => self.nodes.get_key_value(&spec.machine),
            _ => None,
        });
        Ok(Plan {
            version: PLAN_VERSION,
            deployment,
            snapshot,
            machines: used.map(|(id, node)| ((*id).clone(), node.resource.clone())).collect(),
            steps: self.steps,
            barriers: self.barriers,
            price_before: before,
            price_after: after,
            targets: None,
        })
    }

    fn drop_unused_barriers(&mut self) {
        let index = |id: &BarrierId| id.0 as usize;
        let mut used = vec![false; self.barriers.len()];
        self.steps
            .iter()
            .flat_map(|s| &s.after_all)
            .for_each(|id| used[index(id)] = true);
        // Parts come before the whole: backwards, every whole is seen before its parts.
        for whole in (0..used.len()).rev() {
            if used[whole] {
                self.barriers[whole]
                    .after_all
                    .iter()
                    .for_each(|id| used[index(id)] = true);
            }
        }
        let mut kept = 0;
        let mut renumbered = Vec::with_capacity(used.len());
        for used in &used {
            renumbered.push(BarrierId(kept));
            kept += u32::from(*used);
        }
        let mut position = 0..;
        self.barriers
            .retain(|_| position.next().is_some_and(|i: usize| used[i]));
        let of_steps = self.steps.iter_mut().flat_map(|s| &mut s.after_all);
        let of_barriers = self.barriers.iter_mut().flat_map(|b| &mut b.after_all);
        of_steps.chain(of_barriers).for_each(|id| *id = renumbered[index(id)]);
    }

    pub(super) fn push(
        &mut self,
        action: Action,
        why: String,
        waits: Waits,
        precondition: Precondition,
        compensation: Compensation,
        (price_before, price_after): (MicroUsdPerHour, MicroUsdPerHour),
    ) -> Result<StepId, PlanError> {
        let id = StepId(u32::try_from(self.steps.len()).map_err(|_| PlanError::TooManySteps)?);
        let Waits {
            mut after,
            mut after_all,
        } = waits;
        after.sort_unstable();
        after.dedup();
        after_all.sort_unstable();
        after_all.dedup();
        self.steps.push(Step {
            id,
            action,
            why,
            after,
            after_all,
            precondition,
            compensation,
            price_before,
            price_after,
            within: None,
            aside: false,
        });
        Ok(id)
    }

    /// How the replica that a step creates may start.
    pub(super) fn starts(&mut self, step: StepId, within: Option<Duration>, aside: bool) {
        if let Some(step) = self.steps.get_mut(step.0 as usize) {
            (step.within, step.aside) = (within, aside);
        }
    }

    /// Watches what is new; passed when all of it has held.
    pub(super) fn gate(&mut self, gate: Gate, why: String, waits: Waits) -> Result<StepId, PlanError> {
        let compensation = Compensation::Nothing {
            because: String::from("nothing is made"),
        };
        let free = (MicroUsdPerHour::ZERO, MicroUsdPerHour::ZERO);
        let action = Action::Gate { gate };
        self.push(action, why, waits, Precondition::Always, compensation, free)
    }

    fn node(&self, old: &ObservedReplica) -> Result<&'a Node, PlanError> {
        let node = self.nodes.get(&old.machine).copied();
        node.ok_or_else(|| PlanError::UnknownMachine {
            replica: old.replica.clone(),
            machine: old.machine.clone(),
        })
    }

    pub(super) fn price(&self, machine: &MachineId) -> MicroUsdPerHour {
        let there = self.nodes.get(machine).map(|node| node.machine.price);
        let made = || self.makers.get(machine).map(|(_, machine)| machine.price);
        there.or_else(made).unwrap_or_default()
    }
}
