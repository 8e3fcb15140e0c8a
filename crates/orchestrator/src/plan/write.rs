//! The plan as a whole: machines first, then services in dependency order, then what nobody needs any more.
//!
//! What is merely not needed goes last, when all that is new is ready: until then a failure can be undone. The obvious
//! order, deletions as early as they may be, saves minutes of rent and costs the way back.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    After, BarrierId, Condition, DataName, DataNeed, MachineId, Manifest, ObservedReplica, Placement, Plan,
    ReplicaState, ServiceName, ServiceSpec, Snapshot, StepId, Until,
};

use super::PlanError;
use super::claim::{Adopted, Claims};
use super::diff::{Diff, Entry};
use super::entry::{Context, Written, is_rolled, stop_of};
use super::request::PlanRequest;
use super::room::{Room, overfull, rooms};
use super::steps::{Steps, Waits};
use super::target::TargetError;
use crate::ServiceGraph;

/// The steps from `snapshot` to `placement`. Nothing to do gives an empty plan. Equal input gives equal bytes; the order
/// of services in the manifest does not matter. About linear in replicas, machines and dependencies.
///
/// - A machine is created before its replicas; given back when nobody uses it, after its replicas are gone.
/// - A replica is created when its machine runs and its dependencies have reached their conditions. What is there
///   already and has not reached them yet is waited for.
/// - A replica that moved, is out of date by [`skyloom_core::ReplicaSpec::digest`], unhealthy or dead is replaced: the new one comes
///   first and the old one goes when it is ready, as many at a time as the rollout allows. Where both do not fit (room,
///   a fixed port, a rollout without surge) the old one goes first.
/// - A replica that nobody asks for goes when all that is new is ready, dependents before their dependencies.
///
/// A replica that ended with success stays when its service is a job: somebody waits for its completion, or it has
/// neither ports nor a health check. A dead replica whose machine is gone from the snapshot needs no deletion.
///
/// # Errors
/// [`PlanError`]: services without an order, an incomplete placement, a placement for another snapshot, or one that
/// contradicts manifest or snapshot.
pub fn plan(manifest: &Manifest, placement: &Placement, snapshot: &Snapshot) -> Result<Plan, PlanError> {
    plan_for(&PlanRequest::new(manifest, placement, snapshot))
}

/// As [`plan`], knowing more:
///
/// - **claims** ([`crate::claim`]): what runs under an old name is renamed, what is nobody's or somebody else's is taken
///   over first. Neither is restarted unless it differs from what the manifest says; then it is replaced like any other.
/// - **previous**: services that the manifest does not have any more go in reverse dependency order too, each after
///   whatever needed it under the previous manifest.
/// - **targets** ([`crate::confine`]): nothing else is touched. Of what the targets need, only what is missing is brought
///   about; machines are bought and given back for the targets only.
/// - **verified**: a service that waits for a data set starts when its copies are verified equal: in this plan, or at
///   most as long ago as the service allows.
///
/// # Errors
/// As [`plan`]; [`PlanError::Target`] when the targets have room only if others make it.
pub fn plan_for(request: &PlanRequest<'_>) -> Result<Plan, PlanError> {
    let PlanRequest {
        manifest,
        placement,
        snapshot,
        ..
    } = *request;
    let graph = ServiceGraph::build(manifest)?;
    let reference = snapshot.reference();
    if placement.snapshot != reference {
        return Err(PlanError::OtherSnapshot {
            placement: placement.snapshot,
            snapshot: reference,
        });
    }
    if !placement.unplaced.is_empty() {
        let unplaced = placement.unplaced.clone();
        return Err(PlanError::Incomplete { unplaced });
    }
    let diff = Diff::new(request)?;
    if request.targets.is_some()
        && let Some(machine) = overfull(&diff)
    {
        let machine = machine.clone();
        return Err(TargetError::NoRoom { machine }.into());
    }
    let nothing = Claims::default();
    let mut writer = Writer::new(&graph, &diff, *request, request.claims.unwrap_or(&nothing));
    for machine in diff.machines.values().filter(|m| !diff.nodes.contains_key(&m.id)) {
        if writer.is_needed(&machine.id) {
            writer.steps.create_machine(machine)?;
        }
    }
    writer.claim()?;
    writer.clear_machines()?;
    for service in graph.order() {
        writer.service(diff.services[service])?;
    }
    writer.remove_unwanted()?;
    let mut plan = writer.steps.finish(manifest.name.clone(), reference)?;
    plan.targets = request.targets.cloned();
    Ok(plan)
}

/// Why a replica of a service goes that nobody asks for any more.
const DROPPED: &str = "its service is not in the manifest any more";

struct Writer<'a, 'b> {
    graph: &'b ServiceGraph,
    diff: &'b Diff<'a>,
    request: PlanRequest<'a>,
    claims: &'a Claims,
    /// Barriers of data sets that have been asked for; `None`: nothing to wait for.
    equal: BTreeMap<&'a DataName, Option<BarrierId>>,
    steps: Steps<'a>,
    rooms: BTreeMap<&'a MachineId, Room>,
    cleared: BTreeMap<&'a MachineId, BarrierId>,
    /// Steps that create or wait for replicas, per service: what its dependents wait for.
    replicas: BTreeMap<&'a ServiceName, Vec<(StepId, Option<ReplicaState>)>>,
    /// Barriers of services that have been asked for.
    reached: BTreeMap<(&'a ServiceName, Condition), Option<BarrierId>>,
    /// What is new and when it is ready.
    news: Vec<After>,
    /// Unwanted replicas that had to go early, per service.
    early: BTreeMap<&'a ServiceName, Vec<StepId>>,
}

impl<'a, 'b: 'a> Writer<'a, 'b> {
    fn new(graph: &'b ServiceGraph, diff: &'b Diff<'a>, request: PlanRequest<'a>, claims: &'a Claims) -> Self {
        Self {
            request,
            claims,
            equal: BTreeMap::new(),
            steps: Steps::new(&diff.nodes),
            rooms: rooms(diff),
            cleared: BTreeMap::new(),
            replicas: BTreeMap::new(),
            reached: BTreeMap::new(),
            news: Vec::new(),
            early: BTreeMap::new(),
            graph,
            diff,
        }
    }

    /// Whether a machine is to be bought: a partial plan buys for its own replicas only.
    fn is_needed(&self, machine: &MachineId) -> bool {
        let comes = |entry: &Entry<'_>| entry.kept.is_none() && entry.spec.machine == *machine;
        self.request.targets.is_none() || self.diff.entries.values().flatten().any(comes)
    }

    /// Takes over and renames, before anything else is done with it.
    fn claim(&mut self) -> Result<(), PlanError> {
        let (diff, claims) = (self.diff, self.claims);
        for (machine, adopted) in &claims.machines {
            if let Some(node) = diff.nodes.get(machine) {
                self.steps.adopt_machine(&node.machine, &node.resource, adopted)?;
            }
        }
        for (resource, name) in &claims.renamed {
            self.steps.runs_as(resource, name);
        }
        for entry in diff.entries.values().flatten() {
            let there = entry.kept.into_iter().chain(entry.olds.iter().copied());
            for observed in there {
                if let Some(adopted) = claims.adopted.get(&observed.resource) {
                    let why = adoption(adopted, entry);
                    self.steps.adopt_replica(adopted, &observed.resource, why)?;
                }
            }
            if let Some(kept) = entry.kept
                && let Some(was) = claims.renamed.get(&kept.resource)
            {
                self.steps.rename_replica(&entry.spec, was, &kept.resource)?;
            }
        }
        Ok(())
    }

    /// Deletes all that leaves a machine on which nothing new fits before.
    fn clear_machines(&mut self) -> Result<(), PlanError> {
        let diff = self.diff;
        let moved = diff.entries.values().flatten().flat_map(|entry| &entry.olds);
        let unwanted: BTreeSet<_> = diff.unwanted.iter().map(|old| &old.resource).collect();
        let mut cleared: BTreeMap<&MachineId, Vec<After>> = BTreeMap::new();
        for old in moved.chain(&diff.unwanted) {
            if !self.goes_early(old) {
                continue;
            }
            let name = old.replica.service();
            let stop = stop_of(diff.services.get(name).copied());
            let why = format!("makes room on {}", old.machine);
            let step = self.steps.delete_replica(old, stop, why, Waits::default())?;
            let until = Until::Done;
            cleared.entry(&old.machine).or_default().push(After { step, until });
            if unwanted.contains(&old.resource) {
                self.early.entry(name).or_default().push(step);
            }
        }
        for (machine, after) in cleared {
            if let Some(barrier) = self.steps.barrier(format!("{machine} cleared"), after, Vec::new())? {
                self.cleared.insert(machine, barrier);
            }
        }
        Ok(())
    }

    fn goes_early(&self, old: &ObservedReplica) -> bool {
        old.state.is_live() && self.rooms.get(&old.machine) == Some(&Room::ClearFirst)
    }

    fn service(&mut self, service: &'a ServiceSpec) -> Result<(), PlanError> {
        let diff = self.diff;
        let entries = diff.entries.get(&service.name).map_or(&[][..], Vec::as_slice);
        let mut awaited = self.awaited(&service.name);
        // What serves goes only when enough others do: also those that stay have to be there.
        if entries.iter().any(|entry| entry.kept.is_none() && is_rolled(entry)) {
            awaited = awaited.max(Some(Condition::Healthy));
        }
        let mut repaired = Vec::new();
        for entry in entries {
            if let Some(kept) = entry.kept {
                repaired.extend(self.keep(service, entry, kept, awaited)?);
            }
        }
        if entries.iter().all(|entry| entry.kept.is_some()) {
            return Ok(());
        }
        let mut context = Context {
            service,
            dependencies: self.dependencies(service)?,
            rooms: &self.rooms,
            cleared: &self.cleared,
            claims: self.claims,
            switches: false,
        };
        let replaced = || entries.iter().filter(|entry| entry.kept.is_none());
        context.switches = replaced().any(is_rolled) && context.can_switch(replaced());
        let mut written = Written::default();
        written.repaired = repaired;
        // What does not serve is repaired first: what serves goes only when enough others do.
        let (rolled, broken): (Vec<_>, Vec<_>) = replaced().partition(|entry| context.serves(entry));
        for entry in broken.into_iter().chain(rolled) {
            context.replace(&mut self.steps, entry, &mut written)?;
        }
        context.switch(&mut self.steps, &mut written)?;
        self.news
            .extend(written.ready.iter().copied().chain(written.trial.gate));
        let created = written.created.into_iter().map(|step| (step, None));
        self.replicas.entry(&service.name).or_default().extend(created);
        Ok(())
    }

    /// The strongest condition that a service's running replicas must reach before something new of another service
    /// comes.
    fn awaited(&self, service: &ServiceName) -> Option<Condition> {
        let creates = |name: &&ServiceName| {
            let entries = self.diff.entries.get(name);
            entries.is_some_and(|entries| entries.iter().any(|entry| entry.kept.is_none()))
        };
        let dependents = self.graph.dependents(service).into_iter();
        dependents
            .filter(|(name, _)| creates(name))
            .map(|(_, condition)| condition)
            .max()
    }

    /// Waits for a replica that stays, where somebody must, and deletes its doubles. The edge at which it serves.
    fn keep(
        &mut self,
        service: &'a ServiceSpec,
        entry: &'a Entry<'a>,
        kept: &'a ObservedReplica,
        awaited: Option<Condition>,
    ) -> Result<Option<After>, PlanError> {
        let doubles: Vec<_> = entry.olds.iter().filter(|old| !self.goes_early(old)).collect();
        let condition = if doubles.is_empty() {
            awaited
        } else {
            awaited.max(Some(Condition::Healthy))
        };
        let met = condition.is_none_or(|condition| is_met(service, kept.state, condition));
        let mut waits = Waits::default();
        let mut waited_for = None;
        if !met {
            let step = self.steps.await_replica(&entry.spec, kept)?;
            let replicas = self.replicas.entry(&service.name).or_default();
            replicas.push((step, Some(kept.state)));
            let until = Until::Healthy;
            waits = waits.step(step, until);
            waited_for = Some(After { step, until });
            // Nothing that can still be needed goes while somebody may fail to come up.
            self.news.extend(waited_for);
        }
        for old in doubles {
            let why = String::from("runs twice");
            self.steps.delete_replica(old, service.stop, why, waits.clone())?;
        }
        Ok(waited_for)
    }

    /// The barriers that new replicas of a service wait for.
    fn dependencies(&mut self, service: &'a ServiceSpec) -> Result<Vec<BarrierId>, PlanError> {
        let mut barriers = BTreeSet::new();
        for (name, condition) in self.graph.dependencies(&service.name) {
            let Some((&name, &spec)) = self.diff.services.get_key_value(name) else {
                continue;
            };
            let key = (name, condition);
            if !self.reached.contains_key(&key) {
                let barrier = self.reach(spec, condition)?;
                self.reached.insert(key, barrier);
            }
            barriers.extend(self.reached[&key]);
        }
        for need in &service.synced {
            barriers.extend(self.copies_equal(service, need)?);
        }
        Ok(barriers.into_iter().collect())
    }

    /// The barrier at which the copies of a data set are verified equal; `None`: they were, not longer ago than allowed.
    fn copies_equal(&mut self, service: &ServiceSpec, need: &'a DataNeed) -> Result<Option<BarrierId>, PlanError> {
        let now = self.request.snapshot.taken_at;
        let last = self
            .request
            .verified
            .and_then(|verified| verified.get(&need.data))
            .copied();
        let is_fresh = |age| last.is_some_and(|last| last <= now && now.saturating_since(last) <= age);
        if need.max_age.is_some_and(is_fresh) {
            return Ok(None);
        }
        if let Some(known) = self.equal.get(&need.data) {
            return Ok(*known);
        }
        let set = self.request.manifest.data_set(&need.data);
        let set = set.ok_or_else(|| PlanError::UnknownData {
            service: service.name.clone(),
            data: need.data.clone(),
        })?;
        let step = self.steps.sync_data(set, now, last)?;
        let until = Until::Done;
        let after = step.into_iter().map(|step| After { step, until }).collect();
        let barrier = self
            .steps
            .barrier(format!("data {} equal", set.name), after, Vec::new())?;
        self.equal.insert(&need.data, barrier);
        Ok(barrier)
    }

    fn reach(&mut self, service: &'a ServiceSpec, condition: Condition) -> Result<Option<BarrierId>, PlanError> {
        let until = match condition {
            Condition::Started => Until::Done,
            Condition::Healthy => Until::Healthy,
            Condition::Completed => Until::Completed,
        };
        let steps = self.replicas.get(&service.name).map_or(&[][..], Vec::as_slice);
        let open = steps
            .iter()
            .filter(|(_, state)| state.is_none_or(|state| !is_met(service, state, condition)));
        let after = open.map(|(step, _)| After { step: *step, until }).collect();
        let name = format!("{} {}", service.name, crate::graph::condition_text(condition));
        self.steps.barrier(name, after, Vec::new())
    }

    /// Deletes what nobody asks for, dependents first, then the machines that nobody uses.
    fn remove_unwanted(&mut self) -> Result<(), PlanError> {
        let news = std::mem::take(&mut self.news);
        let ready = self
            .steps
            .barrier(String::from("all that is new ready"), news, Vec::new())?;
        let diff = self.diff;
        let mut left: BTreeMap<&ServiceName, Vec<&'a ObservedReplica>> = BTreeMap::new();
        for old in diff.unwanted.iter().filter(|old| !self.goes_early(old)) {
            left.entry(old.replica.service()).or_default().push(old);
        }
        let mut removal = Removal::default();
        for service in self.graph.order().rev() {
            let olds = left.remove(service).unwrap_or_default();
            let early = self.early.remove(service).unwrap_or_default();
            let stop = stop_of(diff.services.get(service).copied());
            let why = "more than the manifest asks for";
            removal.service(&mut self.steps, self.graph, service, &olds, &early, (why, stop, ready))?;
        }
        self.remove_dropped(left, ready)?;
        for node in diff
            .nodes
            .values()
            .filter(|node| !diff.machines.contains_key(&node.machine.id))
        {
            if self.is_left(&node.machine.id) {
                self.steps.delete_machine(node, Waits::default().all(ready))?;
            }
        }
        Ok(())
    }

    /// Deletes the replicas of services that the manifest does not have any more, in reverse order of the manifest that
    /// had them: each after all that needed it, whether that goes too or is replaced by something that does not.
    fn remove_dropped(
        &mut self,
        mut left: BTreeMap<&ServiceName, Vec<&'a ObservedReplica>>,
        ready: Option<BarrierId>,
    ) -> Result<(), PlanError> {
        let previous = self.request.previous.filter(|_| !left.is_empty());
        // What was in force has an order; one that has none tells nothing.
        let order = previous.and_then(|manifest| Some((manifest, ServiceGraph::build(manifest).ok()?)));
        if let Some((manifest, graph)) = &order {
            let mut gone: BTreeMap<ServiceName, Vec<StepId>> = BTreeMap::new();
            for step in self.steps.written() {
                if let skyloom_core::Action::DeleteReplica { replica, .. } = &step.action {
                    gone.entry(replica.service().clone()).or_default().push(step.id);
                }
            }
            let mut removal = Removal::default();
            for service in graph.order().rev() {
                let olds = left.remove(service).unwrap_or_default();
                let early = gone.remove(service).unwrap_or_default();
                let marks = (DROPPED, stop_of(manifest.service(service)), ready);
                removal.service(&mut self.steps, graph, service, &olds, &early, marks)?;
            }
        }
        for old in left.into_values().flatten() {
            let why = self.claims.kept_apart.get(&old.resource).cloned();
            let why = why.unwrap_or_else(|| String::from(DROPPED));
            let waits = Waits::default().all(ready);
            self.steps.delete_replica(old, stop_of(None), why, waits)?;
        }
        Ok(())
    }

    /// Whether a machine that nobody is placed on is given back: a partial plan gives back what it has emptied.
    fn is_left(&self, machine: &MachineId) -> bool {
        let Some(targets) = self.request.targets else {
            return true;
        };
        let there = &self.request.snapshot.replicas;
        let mut there = there.iter().filter(|old| old.machine == *machine).peekable();
        let ours = |old: &ObservedReplica| targets.services.contains(old.replica.service());
        let kept = self.diff.entries.values().flatten().filter_map(|entry| entry.kept);
        let is_used = kept.into_iter().any(|kept| kept.machine == *machine);
        there.peek().is_some() && there.all(ours) && !is_used
    }
}

/// Deletions in reverse dependency order, service by service, dependents first.
#[derive(Debug, Default)]
pub(super) struct Removal {
    gone: BTreeMap<ServiceName, BarrierId>,
}

impl Removal {
    /// Deletes `olds` after everything that depends on the service, directly or not; `early` have been deleted already.
    pub(super) fn service<'a>(
        &mut self,
        steps: &mut Steps<'a>,
        graph: &ServiceGraph,
        service: &ServiceName,
        olds: &[&'a ObservedReplica],
        early: &[StepId],
        (why, stop, ready): (&str, skyloom_core::StopSpec, Option<BarrierId>),
    ) -> Result<(), PlanError> {
        let dependents = graph.dependents(service).into_iter();
        let above: BTreeSet<BarrierId> = dependents
            .filter_map(|(name, _)| self.gone.get(name).copied())
            .collect();
        let mut own = early.to_vec();
        for old in olds {
            let waits = Waits::default().all(ready).all(above.iter().copied());
            own.push(steps.delete_replica(old, stop, why.to_owned(), waits)?);
        }
        let until = Until::Done;
        let after = own.into_iter().map(|step| After { step, until }).collect();
        let barrier = steps.barrier(format!("{service} removed"), after, above.into_iter().collect())?;
        self.gone.extend(barrier.map(|barrier| (service.clone(), barrier)));
        Ok(())
    }
}

/// Why a thing is taken over, and what becomes of it.
fn adoption(adopted: &Adopted, entry: &Entry<'_>) -> String {
    let whose = adopted.taken_from.as_ref();
    let whose = whose.map_or_else(|| String::from("nobody's"), |owner| format!("that of `{owner}`"));
    let (is, wanted) = (&adopted.spec, &entry.spec);
    let differing: Vec<&str> = [
        ("image", is.run.image != wanted.run.image),
        ("command", is.run.command != wanted.run.command),
        ("env", is.run.env != wanted.run.env),
        ("ports", is.run.ports != wanted.run.ports),
        ("request", is.request != wanted.request),
        ("machine", is.machine != wanted.machine),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect();
    if entry.kept.is_some() {
        format!("is {whose} and what the manifest says: it runs on")
    } else if differing.is_empty() {
        format!("is {whose} and does not serve: it is replaced")
    } else {
        format!(
            "is {whose} and not what the manifest says ({}): it is replaced",
            differing.join(", ")
        )
    }
}

/// Whether a running replica has reached a condition.
const fn is_met(service: &ServiceSpec, state: ReplicaState, condition: Condition) -> bool {
    match (condition, state) {
        (_, ReplicaState::Completed) | (Condition::Started, _) | (Condition::Healthy, ReplicaState::Healthy) => true,
        (Condition::Healthy, ReplicaState::Started) => service.health.is_none(),
        (Condition::Healthy | Condition::Completed, _) => false,
    }
}
