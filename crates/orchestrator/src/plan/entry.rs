//! One wanted replica at a time: in which order its new and old ones come and go, and in which company.

use std::collections::BTreeMap;

use skyloom_core::{
    After, BarrierId, MachineId, ObservedReplica, ReplicaState, Rollout, RolloutStrategy, ServiceSpec, Site, StepId,
    StopSpec, Until,
};

use super::PlanError;
use super::claim::Claims;
use super::diff::Entry;
use super::room::Room;
use super::steps::{Steps, Waits};
use super::trial::{Trial, is_update};

/// What is the same for all replicas of a service.
#[derive(Debug)]
pub(super) struct Context<'a, 'b> {
    pub(super) service: &'a ServiceSpec,
    /// Barriers of its dependencies.
    pub(super) dependencies: Vec<BarrierId>,
    pub(super) rooms: &'b BTreeMap<&'a MachineId, Room>,
    /// Machines that must be cleared before anything new comes.
    pub(super) cleared: &'b BTreeMap<&'a MachineId, BarrierId>,
    pub(super) claims: &'b Claims,
    /// Whether all new ones enter the endpoints in one moment, in place of the old ones.
    pub(super) switches: bool,
}

/// What the replicas of a service have come to.
#[derive(Debug, Default)]
pub(super) struct Written<'a> {
    /// Steps that create.
    pub(super) created: Vec<StepId>,
    /// For each of them, the edge at which it is ready.
    pub(super) ready: Vec<After>,
    /// How many of them bring a new form of what serves.
    pub(super) updates: usize,
    /// Where the first of them is.
    site: Option<Site>,
    /// What replaces something that does not serve, and is repaired before anything that serves goes first.
    pub(super) repaired: Vec<After>,
    pub(super) trial: Trial,
    /// Old ones that go when all new ones of the service are ready (blue-green).
    later: Vec<&'a ObservedReplica>,
    /// For each replacement of a running replica so far, the edge at which it is complete.
    complete: Vec<After>,
}

impl<'a> Context<'a, '_> {
    /// When a new replica counts as ready: when it is healthy, or runs where it has no health check. That it was asked for
    /// is not enough: it may still be pending when the old one is gone.
    pub(super) const READY: Until = Until::Healthy;

    /// Writes the steps that bring a missing, moved or outdated replica about.
    pub(super) fn replace(
        &self,
        steps: &mut Steps<'a>,
        entry: &Entry<'a>,
        written: &mut Written<'a>,
    ) -> Result<(), PlanError> {
        let machine = &entry.spec.machine;
        let gone_early = |old: &&&ObservedReplica| old.state.is_live() && self.room(&old.machine) == Room::ClearFirst;
        let rest: Vec<&ObservedReplica> = entry.olds.iter().filter(|old| !gone_early(old)).copied().collect();
        let (first, then): (Vec<_>, Vec<_>) = rest.into_iter().partition(|old| self.goes_first(old, machine));
        let gate = self.gate(entry, !first.is_empty(), written);
        let mut waits = Waits::default().all(self.dependencies.iter().copied());
        waits = waits.all(self.cleared.get(machine).copied());
        for old in &first {
            let repaired = steps.barrier(
                format!("{} repaired", self.service.name),
                written.repaired.clone(),
                Vec::new(),
            )?;
            let gated = gate.iter().fold(Waits::default().all(repaired), |w, after| {
                w.step(after.step, after.until)
            });
            let deleted = steps.delete_replica(old, self.service.stop, self.goes_because(old, entry), gated)?;
            waits = waits.step(deleted, Until::Done);
        }
        if first.is_empty() {
            waits = gate.iter().fold(waits, |w, after| w.step(after.step, after.until));
        }
        let replaces = first.first().or(entry.olds.first()).copied();
        let created = steps.create_replica(&entry.spec, replaces, self.comes_because(entry), waits)?;
        steps.starts(created, self.service.rollout.within, self.switches);
        let ready = self.ready(steps, created, &entry.spec)?;
        written.created.push(created);
        written.ready.push(ready);
        written.updates += usize::from(is_update(entry));
        written.site.get_or_insert_with(|| entry.spec.site.clone());
        let mut complete = ready;
        for old in then {
            if self.strategy() == RolloutStrategy::BlueGreen {
                written.later.push(old);
                continue;
            }
            let waits = Waits::default().step(ready.step, ready.until);
            let step = steps.delete_replica(old, self.service.stop, self.goes_because(old, entry), waits)?;
            complete = After {
                step,
                until: Until::Done,
            };
        }
        if self.serves(entry) {
            written.complete.push(complete);
        } else {
            written.repaired.push(ready);
        }
        let mut trial = std::mem::take(&mut written.trial);
        let tried = self.tried(steps, &mut trial, entry, (created, ready));
        written.trial = trial;
        tried
    }

    /// Deletes what blue-green has kept until now.
    pub(super) fn switch(&self, steps: &mut Steps<'a>, written: &mut Written<'a>) -> Result<(), PlanError> {
        let mut trial = std::mem::take(&mut written.trial);
        let tried = self.tried_all(steps, &mut trial);
        written.trial = trial;
        tried?;
        if written.later.is_empty() {
            return Ok(());
        }
        let until = Self::READY;
        let after = written
            .created
            .iter()
            .map(|step| After { step: *step, until })
            .collect();
        let all_new = steps.barrier(format!("all new {} ready", self.service.name), after, Vec::new())?;
        let later = std::mem::take(&mut written.later);
        let promoted = self.promote(steps, written, (written.site.clone(), &later), all_new)?;
        let until = Until::Done;
        written.ready.extend(promoted.map(|step| After { step, until }));
        for old in later {
            let waits = Waits::default().all(all_new);
            let waits = promoted.into_iter().fold(waits, |waits, gate| waits.step(gate, until));
            let why = String::from("all new ones of its service are ready");
            steps.delete_replica(old, self.service.stop, why, waits)?;
        }
        Ok(())
    }

    const fn strategy(&self) -> RolloutStrategy {
        self.service.rollout.strategy
    }

    fn room(&self, machine: &MachineId) -> Room {
        self.rooms.get(machine).copied().unwrap_or_default()
    }

    /// Whether an old replica has to make room before its successor comes.
    fn goes_first(&self, old: &ObservedReplica, machine: &MachineId) -> bool {
        let in_place = old.machine == *machine;
        let fixed_port = self.service.run.ports.iter().any(|port| port.port.is_some());
        let no_room = self.room(machine) != Room::SideBySide || fixed_port;
        let no_surge = self.service.rollout.max_surge == 0 && self.strategy() != RolloutStrategy::BlueGreen;
        old.state.is_live() && (in_place && no_room || no_surge)
    }

    /// What must be complete before this replacement begins: so many at a time as the rollout allows. Replicas that
    /// serve nobody are replaced at once.
    fn gate(&self, entry: &Entry<'_>, first: bool, written: &Written<'_>) -> Vec<After> {
        let Rollout {
            strategy,
            max_unavailable,
            max_surge,
            ..
        } = self.service.rollout;
        let beside = !first && strategy == RolloutStrategy::BlueGreen;
        if !self.serves(entry) || beside {
            return Vec::new();
        }
        let begun = written.complete.len();
        let canary_only = strategy == RolloutStrategy::Canary && begun == 1;
        let at_a_time = match (canary_only, first) {
            (true, _) => 1,
            (false, true) => max_unavailable.max(1),
            (false, false) => max_surge.max(1),
        };
        let index = begun.checked_sub(at_a_time as usize);
        let complete = index.and_then(|index| written.complete.get(index).copied());
        complete.into_iter().chain(written.trial.gate).collect()
    }

    /// Whether the entry replaces a replica that serves until then; one whose old replica is cleared away early does not.
    pub(super) fn serves(&self, entry: &Entry<'_>) -> bool {
        let cleared = |old: &&ObservedReplica| old.state.is_live() && self.room(&old.machine) == Room::ClearFirst;
        is_rolled(entry) && !entry.olds.iter().any(cleared)
    }

    /// Whether the new ones can enter the endpoints all at once: none of them needs an old one to go first.
    pub(super) fn can_switch<'e>(&self, mut entries: impl Iterator<Item = &'e Entry<'a>>) -> bool
    where
        'a: 'e,
    {
        let stays_beside = |entry: &Entry<'_>| {
            let machine = &entry.spec.machine;
            let cleared = |old: &ObservedReplica| old.state.is_live() && self.room(&old.machine) == Room::ClearFirst;
            !entry
                .olds
                .iter()
                .any(|old| cleared(old) || self.goes_first(old, machine))
        };
        self.strategy() == RolloutStrategy::BlueGreen && entries.all(stays_beside)
    }
}

/// Whether the entry replaces a replica that serves: one that is healthy, or runs where it has no health check.
pub(super) fn is_rolled(entry: &Entry<'_>) -> bool {
    let runs_is_enough = entry.spec.health.is_none();
    let serves = |state| match state {
        ReplicaState::Healthy => true,
        ReplicaState::Started => runs_is_enough,
        _ => false,
    };
    entry.olds.iter().any(|old| serves(old.state))
}

impl Context<'_, '_> {
    /// Why a new replica comes; for one whose name is moved also why it is not kept.
    fn comes_because(&self, entry: &Entry<'_>) -> String {
        let why = comes_because(entry);
        let moved = entry.olds.iter().find(|old| self.claims.name_of(old) != &old.replica);
        match moved {
            Some(old) => format!(
                "`{}` has this name now and cannot be kept: {why}",
                self.claims.name_of(old)
            ),
            None => why,
        }
    }

    /// Why an old replica goes.
    fn goes_because(&self, old: &ObservedReplica, entry: &Entry<'_>) -> String {
        if self.claims.name_of(old) == &old.replica {
            goes_because(old, entry)
        } else {
            format!("is replaced by `{}`", entry.spec.replica)
        }
    }
}

/// Why a new replica comes.
fn comes_because(entry: &Entry<'_>) -> String {
    let Some(old) = entry.olds.iter().min_by_key(|old| !old.state.is_live()) else {
        return String::from("does not run yet");
    };
    match old.state {
        ReplicaState::Failed => String::from("the old one has failed"),
        ReplicaState::Lost => String::from("the old one is lost"),
        ReplicaState::Completed => String::from("the old one has ended"),
        ReplicaState::Unhealthy => String::from("the old one is unhealthy"),
        _ if old.machine != entry.spec.machine => format!("moves from {}", old.machine),
        _ => String::from("the old one is out of date"),
    }
}

/// Why an old replica goes.
fn goes_because(old: &ObservedReplica, entry: &Entry<'_>) -> String {
    if old.machine == entry.spec.machine {
        String::from("is replaced")
    } else {
        format!("moves to {}", entry.spec.machine)
    }
}

/// How a replica of a service is stopped; the default for services that nobody knows any more.
pub(super) fn stop_of(service: Option<&ServiceSpec>) -> StopSpec {
    service.map(|service| service.stop).unwrap_or_default()
}
