//! Deciding and planning around what is out of reach: the engines are shown a world in which nothing can be decided about
//! it, and a plan that would have to touch it all the same is refused.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Catalogue, Manifest, Placement, Plan, RegionKey, ReplicaId, ResourceId, Timestamp, Unplaced};
use skyloom_orchestrator::{FailoverHistory, FailoverPolicy, OutOfReach, Place, shield};
use skyloom_scheduler::{Policy, Problem, place};

use super::claim::Ground;
use super::{ControlPlane, Proposal};
use crate::error::Error;
use crate::store::State;

/// What is remembered of lost places.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// How places stand.
    pub(super) history: FailoverHistory,
    /// Replicas of lost places for which there was no other place, and until when that is taken for granted.
    stranded: BTreeMap<ReplicaId, Timestamp>,
}

impl Outage {
    pub(super) const fn new(history: FailoverHistory) -> Self {
        Self {
            history,
            stranded: BTreeMap::new(),
        }
    }

    /// What is out of reach in a look.
    pub(super) fn out_of_reach(&self, silent: &BTreeSet<ResourceId>, now: Timestamp) -> OutOfReach {
        let still = |(replica, until): (&ReplicaId, &Timestamp)| (now < *until).then(|| replica.clone());
        OutOfReach {
            lost: self.history.out(),
            silent: silent.clone(),
            stranded: self.stranded.iter().filter_map(still).collect(),
        }
    }

    /// Remembers who has no other place.
    pub(super) fn strand(&mut self, unplaced: &[Unplaced], policy: &FailoverPolicy, now: Timestamp) {
        let until = now.saturating_add(policy.avoid_for);
        let entries = unplaced.iter().map(|unplaced| (unplaced.replica.clone(), until));
        self.stranded.extend(entries);
    }

    /// Asks anew for everybody: the world or the wish has changed.
    pub(super) fn forget_stranded(&mut self) {
        self.stranded.clear();
    }
}

/// A proposal, and who it leaves where he is because there is no other place.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) proposal: Proposal,
    pub(super) stranded: Vec<Unplaced>,
}

impl ControlPlane {
    /// Decides and plans on a snapshot of which parts are out of reach.
    pub(super) fn decide_around(
        &self,
        state: &State,
        manifest: &Manifest,
        ground: &Ground<'_>,
        policy: &(dyn Policy + Sync),
        (history, mut out): (&FailoverHistory, OutOfReach),
        unreachable: &BTreeMap<RegionKey, String>,
    ) -> Result<Around, Error> {
        let now = self.shared.now();
        if out.is_empty() && !history.avoids_any(now) {
            let proposal = self.decide(state, manifest, ground, policy)?;
            return Ok(Around {
                proposal,
                stranded: Vec::new(),
            });
        }
        let catalogue = offered(&self.shared.catalogue, &out.lost, |region| {
            history.avoids(region, now) || unreachable.contains_key(region)
        });
        let problem_of = |snapshot| Problem {
            manifest,
            snapshot,
            catalogue: &catalogue,
        };
        let snapshot = ground.snapshot;
        let first = shield(snapshot, &out);
        let placement = place(&problem_of(&first), policy, &self.shared.config.place)?;
        let there: BTreeSet<&ReplicaId> = snapshot.replicas.iter().map(|replica| &replica.replica).collect();
        let stranded: Vec<Unplaced> = placement
            .unplaced
            .iter()
            .filter(|unplaced| there.contains(&unplaced.replica))
            .cloned()
            .collect();
        out.stranded
            .extend(stranded.iter().map(|unplaced| unplaced.replica.clone()));
        let shielded = shield(snapshot, &out);
        let shielded = Ground {
            snapshot: &shielded,
            catalogue: &catalogue,
            ..*ground
        };
        let proposal = self.decide(state, manifest, &shielded, policy)?;
        refuse_touching(&proposal.plan, unreachable)?;
        Ok(Around { proposal, stranded })
    }
}

/// What can be bought outside of what is lost or avoided. The regions stay: data sets and distances are still theirs.
pub(super) fn offered(
    catalogue: &Catalogue,
    lost: &BTreeSet<Place>,
    avoided: impl Fn(&RegionKey) -> bool,
) -> Catalogue {
    let gone = |region: &RegionKey, zone: Option<&skyloom_core::ZoneName>| {
        avoided(region) || lost.iter().any(|place| place.covers(region, zone))
    };
    catalogue.clone().without_places(gone)
}

/// The replicas that a placement leaves in lost places: its maker knew no other place for them.
pub(super) fn left_behind(placement: &Placement, lost: &BTreeSet<Place>) -> BTreeSet<ReplicaId> {
    let is_lost = |machine: &skyloom_core::MachineId| {
        let machine = placement.machines.iter().find(|m| m.id == *machine);
        machine.is_some_and(|machine| lost.iter().any(|place| place.covers_site(&machine.site)))
    };
    let left = placement.assignments.iter().filter(|a| is_lost(&a.machine));
    left.map(|assignment| assignment.replica.clone()).collect()
}

/// A plan whose steps are in regions that cannot be asked cannot be carried out.
pub(super) fn refuse_touching(plan: &Plan, unreachable: &BTreeMap<RegionKey, String>) -> Result<(), Error> {
    let touched: BTreeMap<RegionKey, String> = plan
        .steps
        .iter()
        .filter_map(|step| unreachable.get_key_value(&step.action.site().region))
        .map(|(region, said)| (region.clone(), said.clone()))
        .collect();
    Error::refuse_unreachable(&touched)
}
