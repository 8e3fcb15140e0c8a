//! A provider as a model: things with tokens, capacity and readiness. Shares no code with the engine; asserts what must
//! hold at every moment.

use std::collections::BTreeMap;

use skyloom_core::{
    Action, Class, Machine, Node, ObservedReplica, Plan, ReplicaSpec, ReplicaState, ResourceId, Snapshot, StepId,
    Timestamp, Token, Until,
};
use skyloom_orchestrator::Command;

use crate::fixture::resource;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Thing {
    Machine(Machine),
    Replica(Box<ReplicaSpec>, ReplicaState),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) things: BTreeMap<ResourceId, Thing>,
    /// Which thing a token made, for ever.
    pub(crate) tokens: BTreeMap<Token, ResourceId>,
    /// What each step of the plan under way has made.
    pub(crate) made: BTreeMap<StepId, Vec<ResourceId>>,
    /// What the world has told of each step.
    pub(crate) told: BTreeMap<StepId, Until>,
    pub(crate) next: u32,
    /// What is there and not ours: what may be taken over.
    pub(crate) foreign: BTreeMap<ResourceId, Thing>,
    /// Checks capacity after every creation.
    pub(crate) check_capacity: bool,
}

impl World {
    /// Forgets which steps made what: a new plan begins.
    pub(crate) fn new_plan(&mut self) {
        self.made.clear();
        self.told.clear();
    }

    pub(crate) fn create(
        &mut self,
        plan: &Plan,
        step: StepId,
        token: &Token,
        machine: Option<&ResourceId>,
    ) -> Result<ResourceId, Class> {
        if let Some(id) = self.tokens.get(token) {
            return if self.things.contains_key(id) {
                Ok(id.clone())
            } else {
                Err(Class::Conflict)
            };
        }
        self.assert_order(plan, step);
        let action = &plan.step(step).unwrap().action;
        if let Some(claimed) = self.claim(action) {
            let id = claimed?;
            self.tokens.insert(token.clone(), id.clone());
            self.told.entry(step).or_insert(Until::Done);
            return Ok(id);
        }
        let thing = match &plan.step(step).unwrap().action {
            Action::CreateMachine { machine } => Thing::Machine(machine.clone()),
            Action::CreateReplica { spec } => {
                let on = machine.expect("a replica is created on a machine that the provider knows");
                match self.things.get(on) {
                    Some(Thing::Machine(m)) => assert_eq!(m.id, spec.machine, "step {step} names another machine"),
                    other => panic!("step {step} wants {on}, which is {other:?}"),
                }
                Thing::Replica(spec.clone().into(), ReplicaState::Started)
            }
            other => panic!("step {step} does not create: {other:?}"),
        };
        let live: Vec<_> = self
            .made
            .get(&step)
            .into_iter()
            .flatten()
            .filter(|id| self.things.contains_key(*id))
            .collect();
        assert!(live.is_empty(), "I2: step {step} makes a second thing beside {live:?}");
        self.next += 1;
        let id = resource(&format!("thing-{}", self.next));
        self.things.insert(id.clone(), thing);
        self.tokens.insert(token.clone(), id.clone());
        self.made.entry(step).or_default().push(id.clone());
        self.told.entry(step).or_insert(Until::Done);
        if self.check_capacity {
            self.assert_capacity();
        }
        Ok(id)
    }

    /// Takes over or renames what is there, once; nothing is made.
    fn claim(&mut self, action: &Action) -> Option<Result<ResourceId, Class>> {
        match action {
            Action::RenameReplica { spec, was, resource } => {
                let Some(Thing::Replica(there, _)) = self.things.get_mut(resource) else {
                    return Some(Err(Class::NotFound));
                };
                assert!(
                    [was, &spec.replica].contains(&&there.replica),
                    "{resource} is {}",
                    there.replica
                );
                there.replica = spec.replica.clone();
                assert_eq!(there.digest(), spec.digest(), "{resource} is renamed only");
                Some(Ok(resource.clone()))
            }
            Action::AdoptReplica { spec, resource, .. } => {
                let on = self
                    .things
                    .values()
                    .any(|t| matches!(t, Thing::Machine(m) if m.id == spec.machine));
                assert!(on, "{resource} is taken over before its machine");
                let taken = self.foreign.remove(resource);
                if let Some(Thing::Replica(_, state)) = taken {
                    self.things
                        .insert(resource.clone(), Thing::Replica(spec.clone().into(), state));
                }
                Some(
                    self.things
                        .get(resource)
                        .map(|_| resource.clone())
                        .ok_or(Class::NotFound),
                )
            }
            Action::AdoptMachine { machine, resource, .. } => {
                if self.foreign.remove(resource).is_some() {
                    self.things.insert(resource.clone(), Thing::Machine(machine.clone()));
                }
                Some(
                    self.things
                        .get(resource)
                        .map(|_| resource.clone())
                        .ok_or(Class::NotFound),
                )
            }
            Action::SyncData { data, .. } => Some(Ok(resource(&format!("data:{data}")))),
            _ => None,
        }
    }

    /// Gives back what was taken over or renamed; `false`: it was made.
    fn release(&mut self, action: &Action, id: &ResourceId) -> bool {
        match action {
            Action::RenameReplica { was, .. } => {
                if let Some(Thing::Replica(there, _)) = self.things.get_mut(id) {
                    there.replica = was.clone();
                }
                true
            }
            Action::AdoptReplica { .. } | Action::AdoptMachine { .. } => {
                if let Some(thing) = self.things.remove(id) {
                    self.foreign.insert(id.clone(), thing);
                }
                true
            }
            _ => false,
        }
    }

    pub(crate) fn look_up(&self, token: &Token) -> Option<ResourceId> {
        self.tokens
            .get(token)
            .filter(|id| self.things.contains_key(*id))
            .cloned()
    }

    pub(crate) fn delete(&mut self, plan: &Plan, step: StepId, id: &ResourceId, undo: bool) -> Result<(), Class> {
        if !undo {
            self.assert_order(plan, step);
            self.told.insert(step, Until::Completed);
        }
        if undo && self.release(&plan.step(step).unwrap().action, id) {
            return Ok(());
        }
        if let Some(Thing::Machine(machine)) = self.things.get(id) {
            let carried = self.replicas().find(|(_, spec, _)| spec.machine == machine.id);
            assert!(carried.is_none(), "I4: {id} is deleted while it carries {carried:?}");
        }
        self.things.remove(id);
        Ok(())
    }

    /// What is waited for comes true.
    pub(crate) fn ready(&mut self, step: StepId, id: &ResourceId, until: Until) {
        if let Some(Thing::Replica(_, state)) = self.things.get_mut(id) {
            *state = if until == Until::Completed {
                ReplicaState::Completed
            } else {
                ReplicaState::Healthy
            };
        }
        let told = self.told.entry(step).or_insert(until);
        *told = until.max(*told);
    }

    /// What is wrong with these replicas.
    pub(crate) fn sick(&self, watched: &[(StepId, ResourceId)]) -> Option<String> {
        let well = |id: &ResourceId| {
            let well = [ReplicaState::Healthy, ReplicaState::Completed];
            matches!(self.things.get(id), Some(Thing::Replica(_, state)) if well.contains(state))
        };
        let sick = watched.iter().find(|(_, id)| !well(id));
        sick.map(|(_, id)| format!("{id} is not healthy"))
    }

    pub(crate) fn replicas(&self) -> impl Iterator<Item = (&ResourceId, &ReplicaSpec, ReplicaState)> {
        self.things.iter().filter_map(|(id, thing)| match thing {
            Thing::Replica(spec, state) => Some((id, &**spec, *state)),
            Thing::Machine(_) => None,
        })
    }

    pub(crate) fn snapshot(&self, generation: u64) -> Snapshot {
        let node = |(id, thing): (&ResourceId, &Thing)| match thing {
            Thing::Machine(machine) => Some(Node {
                resource: id.clone(),
                ..crate::fixture::node(machine.clone())
            }),
            Thing::Replica(..) => None,
        };
        let mut nodes: Vec<Node> = self.things.iter().filter_map(node).collect();
        nodes.sort_by(|a, b| a.machine.id.cmp(&b.machine.id));
        let mut replicas: Vec<ObservedReplica> = self
            .replicas()
            .map(|(id, spec, state)| ObservedReplica {
                replica: spec.replica.clone(),
                machine: spec.machine.clone(),
                resource: id.clone(),
                request: spec.request,
                spec: spec.digest(),
                state,
            })
            .collect();
        replicas.sort_by(|a, b| (&a.replica, &a.resource).cmp(&(&b.replica, &b.resource)));
        Snapshot {
            generation,
            taken_at: Timestamp::EPOCH,
            nodes,
            replicas,
        }
    }

    /// I4: whatever the step waits for has come true in the world.
    fn assert_order(&self, plan: &Plan, step: StepId) {
        for after in plan.all_after(plan.step(step).unwrap()) {
            let told = self.told.get(&after.step).copied();
            assert!(
                told >= Some(after.until),
                "I4: step {step} begins, {} is {told:?} and not {:?}",
                after.step,
                after.until
            );
        }
    }

    /// No machine ever carries more than it can.
    fn assert_capacity(&self) {
        let mut used: BTreeMap<_, u64> = BTreeMap::new();
        for (_, spec, _) in self.replicas().filter(|(_, _, state)| state.is_live()) {
            *used.entry(&spec.machine).or_default() += spec.request.cpu.as_millicores();
        }
        for thing in self.things.values() {
            if let Thing::Machine(machine) = thing {
                let used = used.get(&machine.id).copied().unwrap_or(0);
                let there = machine.capacity.cpu.as_millicores();
                assert!(used <= there, "{} carries {used} of {there} millicores", machine.id);
            }
        }
    }
}

/// Whether a command is a call that takes a slot.
pub(crate) const fn is_call(command: &Command) -> bool {
    matches!(
        command,
        Command::Create { .. } | Command::Lookup { .. } | Command::Delete { .. }
    )
}
