//! The way back to the generation before, when a plan has failed after something old was gone.
//!
//! Undoing alone, the saga's part, cannot bring back what was deleted. The way back is a plan like any other, made from
//! the manifest of before and what is there now, so that it is journalled, resumed and bounded by the same machinery.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Manifest, ObservedReplica, ReplicaId, ReplicaState, Snapshot};

use crate::plan::jobs;

/// The manifest of before as it is planned on the way back: without the pauses, measurements and keeping of its rollouts.
/// What was in force is not tried out again; its bounds (`max_unavailable`, `max_surge`, `ready_for`) hold.
#[must_use]
pub fn way_back(manifest: &Manifest) -> Manifest {
    let mut back = manifest.clone();
    for service in &mut back.services {
        service.rollout = service.rollout.without_trial();
    }
    back
}

/// The snapshot as plans that repair see it: a job that has ended with success counts as what the manifest asks for,
/// whatever it was started from. A way back and a repair do not run jobs again.
#[must_use]
pub fn jobs_are_done(manifest: &Manifest, snapshot: &Snapshot) -> Snapshot {
    let jobs = jobs(manifest);
    let services: BTreeMap<_, _> = manifest.services.iter().map(|s| (&s.name, s)).collect();
    let mut seen = snapshot.clone();
    let ended = |o: &&mut ObservedReplica| o.state == ReplicaState::Completed && jobs.contains(o.replica.service());
    for observed in seen.replicas.iter_mut().filter(ended) {
        if let Some(service) = services.get(observed.replica.service()) {
            observed.spec = service.form(&observed.replica);
        }
    }
    seen
}

/// Replicas of the manifest that do not run (or, jobs, have not ended with success) in its own form, sorted: what a way
/// back has to bring about.
#[must_use]
pub fn displaced(manifest: &Manifest, snapshot: &Snapshot) -> BTreeSet<ReplicaId> {
    let seen = jobs_are_done(manifest, snapshot);
    let jobs = jobs(manifest);
    let there = seen.replicas.iter().filter(|o| {
        let service = o.replica.service();
        o.state.is_live() || o.state == ReplicaState::Completed && jobs.contains(service)
    });
    let there: BTreeSet<_> = there.map(|o| (&o.replica, o.spec)).collect();
    let wanted = manifest.services.iter().flat_map(|service| {
        let ids = (0..service.replicas.get()).map(|index| ReplicaId::new(service.name.clone(), index));
        ids.map(move |replica| (service.form(&replica), replica))
    });
    wanted
        .filter(|(form, replica)| !there.contains(&(replica, *form)))
        .map(|(_, replica)| replica)
        .collect()
}
