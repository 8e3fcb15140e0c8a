//! Deciding and planning around what is out of reach: the engines are shown a world in which nothing can be decided about
//! it, and a plan that would have to touch it all the same is refused.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{
    Assignment, Candidate, Catalogue, Explanation, Filter, Manifest, MicroUsdPerHour, Placement, Plan, RegionKey,
    ReplicaId, ResourceId, Snapshot, Timestamp, Unplaced, check_places,
};
use skyloom_orchestrator::{FailoverAction, FailoverHistory, FailoverPolicy, OutOfReach, Place, ServiceGraph, shield};
use skyloom_scheduler::{Policy, Problem, place, unsatisfied};

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
    /// What the last look said, so that only what is new is told.
    told: Vec<FailoverAction>,
}

impl Outage {
    pub(super) const fn new(history: FailoverHistory) -> Self {
        Self {
            history,
            stranded: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// What a look says that the one before did not.
    pub(super) fn news(&mut self, said: &[FailoverAction]) -> Vec<FailoverAction> {
        let news = said
            .iter()
            .filter(|action| !self.told.contains(action))
            .cloned()
            .collect();
        self.told = said.to_vec();
        news
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
        let snapshot = ground.snapshot;
        let shown = shield(snapshot, &out);
        check_places(manifest, &self.shared.catalogue)?;
        ServiceGraph::build(manifest)?;
        let problem = Problem {
            manifest,
            snapshot: &shown,
            catalogue: &catalogue,
        };
        let mut placement = place(&problem, policy, &self.shared.config.place)?;
        let stranded = left_where_they_are(&mut placement, snapshot, &out);
        let left_out = unsatisfied(&placement);
        if !left_out.is_empty() {
            return Err(Error::Unsatisfied(left_out));
        }
        out.stranded
            .extend(stranded.iter().map(|unplaced| unplaced.replica.clone()));
        let shown = shield(snapshot, &out);
        // Decided without those who have no other place, planned with them where they are: so they stay, and count for no
        // rule of the others.
        placement.snapshot = shown.reference();
        let shown = Ground {
            snapshot: &shown,
            ..*ground
        };
        let proposal = self.planned(state, manifest, &shown, placement)?;
        refuse_touching(&proposal.plan, unreachable)?;
        Ok(Around { proposal, stranded })
    }
}

/// Puts those without a place, who were in a lost one, back where they were, and returns them with the rule that said no.
fn left_where_they_are(placement: &mut Placement, snapshot: &Snapshot, out: &OutOfReach) -> Vec<Unplaced> {
    let mut stranded = Vec::new();
    let mut still = Vec::new();
    for unplaced in std::mem::take(&mut placement.unplaced) {
        let there = snapshot
            .replicas
            .iter()
            .find(|replica| replica.replica == unplaced.replica);
        let home = there.and_then(|there| Some((there, snapshot.node(&there.machine)?)));
        let Some((there, node)) = home.filter(|(_, node)| out.is_lost(node)) else {
            still.push(unplaced);
            continue;
        };
        let machine = &node.machine;
        let at = placement.assignments.partition_point(|a| a.replica < unplaced.replica);
        placement.assignments.insert(
            at,
            Assignment {
                replica: unplaced.replica.clone(),
                machine: machine.id.clone(),
                request: there.request,
                share: MicroUsdPerHour::ZERO,
            },
        );
        placement.explanations.insert(
            at,
            Explanation {
                replica: unplaced.replica.clone(),
                chosen: Candidate {
                    machine: Some(machine.id.clone()),
                    site: machine.site.clone(),
                    instance: machine.instance.clone(),
                    purchase: machine.purchase,
                    price: machine.price,
                },
                because: format!("its place is lost, and there is no other: {}", unplaced.reason),
                runner_up: None,
                feasible: 0,
            },
        );
        if placement.machines.iter().all(|known| known.id != machine.id) {
            let at = placement.machines.partition_point(|known| known.id < machine.id);
            placement.machines.insert(at, machine.clone());
        }
        stranded.push(unplaced);
    }
    placement.unplaced = still;
    stranded
}

/// The placement as it was decided: without those who were left where they are.
pub(super) fn decided(placement: &Placement, left_behind: &BTreeSet<ReplicaId>) -> Placement {
    let mut decided = placement.clone();
    let stays = |replica: &ReplicaId| !left_behind.contains(replica);
    decided.assignments.retain(|assignment| stays(&assignment.replica));
    decided.explanations.retain(|explanation| stays(&explanation.replica));
    let used: BTreeSet<_> = decided.assignments.iter().map(|a| a.machine.clone()).collect();
    decided.machines.retain(|machine| used.contains(&machine.id));
    let unplaced = left_behind.iter().map(|replica| Unplaced {
        replica: replica.clone(),
        filter: Filter::NotReady,
        reason: String::from("its place is lost, and there is no other"),
        rejected: BTreeMap::new(),
    });
    decided.unplaced.extend(unplaced);
    decided
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
