//! Rebalancing: measured use goes to the scheduler, its moves become a plan like any other.
//!
//! Replicas that are not sound are left where they are: whether and when they are replaced is healing's, within its
//! budget.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use skyloom_core::{
    Assignment, Bytes, CostSummary, Machine, Manifest, MicroUsd, MicroUsdPerHour, Millicores, ObservedReplica,
    Placement, ReplicaId, ReplicaState, ResourceId, Resources, Snapshot, Timestamp, share_price,
};
use skyloom_scheduler::formulas::measured_utilisation;
use skyloom_scheduler::{Problem, Rebalance, RebalanceConfig, RebalanceInput, Refusal};
use skyloom_security::access::{Action, Principal};

use super::ControlPlane;
use super::plane::{Inner, Outcome};
use crate::error::Error;
use crate::hold::Hold;
use crate::insight::{Metric, Metrics};
use crate::observe::observe;
use crate::store::{Document, StoreError};

/// Samples that make up "now": enough to smooth one odd value, few enough to follow a change within seconds.
const RECENT_SAMPLES: usize = 10;

/// A decision to move or not, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rebalanced {
    /// The decision with its reasons.
    pub decision: Rebalance,
    /// What carrying it out came to; `None` when nothing was moved.
    pub outcome: Option<Outcome>,
}

impl ControlPlane {
    /// What rebalancing would move now, by the use measured last. Touches nothing.
    ///
    /// # Errors
    /// [`Error::NothingDeployed`], [`Error::Rebalance`], or a provider that cannot be asked.
    pub async fn rebalance_decision(&self, config: &RebalanceConfig) -> Result<Rebalance, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        self.settle_doubts(&mut inner).await?;
        let (_, _, decision) = self.decide_rebalance(&inner, config).await?;
        Ok(decision)
    }

    /// Decides as [`ControlPlane::rebalance_decision`] and carries the moves out.
    ///
    /// # Errors
    /// As [`ControlPlane::apply`] when there is something to move.
    pub async fn rebalance(&self, config: &RebalanceConfig, principal: &Principal) -> Result<Rebalanced, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        self.settle_doubts(&mut inner).await?;
        let (manifest, snapshot, decision) = self.decide_rebalance(&inner, config).await?;
        if decision.moves.is_empty() {
            return Ok(Rebalanced {
                decision,
                outcome: None,
            });
        }
        let placement = after_moves(&snapshot, &decision);
        let request = skyloom_orchestrator::PlanRequest::new(&manifest, &placement, &snapshot);
        let plan = skyloom_orchestrator::plan_for(&request.with_verified(&inner.state.verified))?;
        let regions = super::plane::regions_of(&plan);
        let subject = format!("plan {}", plan.id().short());
        let admitted = self
            .shared
            .admit(principal, Action::Rebalance, &manifest.name, regions, subject)?;
        // Durable before anything is moved: moves that fail halfway are a disturbance too, and count for the cooldown.
        let result = match save_last_moved(&self.shared.hold, self.shared.now()).await {
            Ok(()) => self.carry_out(&mut inner, plan, Some(manifest)).await,
            Err(error) => Err(error.into()),
        };
        let outcome = self.shared.close(admitted, result)?;
        Ok(Rebalanced {
            decision,
            outcome: Some(outcome),
        })
    }

    async fn decide_rebalance(
        &self,
        inner: &Inner,
        config: &RebalanceConfig,
    ) -> Result<(Manifest, Snapshot, Rebalance), Error> {
        let manifest = inner.state.manifest_in_force().cloned().ok_or(Error::NothingDeployed)?;
        // Who can be moved where is a question about everything.
        let mut snapshot = observe(&self.shared, &inner.state).await?.whole()?.snapshot;
        let usage = usage(&snapshot, &*self.metrics.lock().await);
        measure(&mut snapshot, &usage);
        let movable = movable(&snapshot);
        let problem = Problem {
            manifest: &manifest,
            snapshot: &movable,
            catalogue: &self.shared.catalogue,
        };
        let input = RebalanceInput {
            problem,
            usage: &usage,
            last_moved: load_last_moved(&self.shared.hold).await?,
        };
        let mut decision = skyloom_scheduler::rebalance(&input, config)?;
        if let (false, Some(replica)) = (decision.moves.is_empty(), missing(&manifest, &snapshot)) {
            decision.moves.clear();
            decision.refusal = Some(Refusal::NotWhole { replica });
            decision.ce = None;
            decision.imbalance_after = decision.imbalance_before;
            decision.utilisation_after = decision.utilisation_before.clone();
        }
        Ok((manifest, with_patience(snapshot), decision))
    }
}

/// When the last rebalance moved something; `None` when none ever did. Beside the state: a restart does not shorten the
/// cooldown.
async fn load_last_moved(hold: &Hold) -> Result<Option<Timestamp>, StoreError> {
    let Some(bytes) = hold.read(Document::REBALANCED).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| StoreError::Format {
            path: hold.path(Document::REBALANCED.name()),
            detail: error.to_string(),
        })
}

async fn save_last_moved(hold: &Hold, at: Timestamp) -> Result<(), StoreError> {
    let json = serde_json::to_vec(&at).expect("invariant: a time has a JSON form");
    hold.replace(Document::REBALANCED, &json).await
}

/// The replica of each name that stays, by the planner's order: the soundest, then the first by what the provider calls
/// it. While one moves, and after a plan that failed, there are two of a name.
fn best_of_each(snapshot: &Snapshot) -> BTreeMap<&ReplicaId, &ObservedReplica> {
    let rank = |replica: &ObservedReplica| match replica.state {
        ReplicaState::Completed => 0,
        ReplicaState::Healthy => 1,
        ReplicaState::Started => 2,
        ReplicaState::Pending | ReplicaState::Unhealthy => 3,
        ReplicaState::Failed | ReplicaState::Lost => 4,
    };
    let mut best: BTreeMap<&ReplicaId, &ObservedReplica> = BTreeMap::new();
    for replica in &snapshot.replicas {
        let kept = best.entry(&replica.replica).or_insert(replica);
        if (rank(replica), &replica.resource) < (rank(kept), &kept.resource) {
            *kept = replica;
        }
    }
    best
}

/// The snapshot as the scheduler is to see it: what lives, once. What has ended is not moved, since moving it would run
/// it again.
fn movable(snapshot: &Snapshot) -> Snapshot {
    let live = best_of_each(snapshot).into_values().filter(|r| r.state.is_live());
    Snapshot {
        replicas: live.cloned().collect(),
        ..snapshot.clone()
    }
}

/// The snapshot as the plan is to see it: a replica that is not sound counts all the same, so that the plan leaves it
/// alone, unless there is a sounder one of its name.
fn with_patience(mut snapshot: Snapshot) -> Snapshot {
    let best: BTreeSet<ResourceId> = best_of_each(&snapshot)
        .into_values()
        .map(|replica| replica.resource.clone())
        .collect();
    for replica in &mut snapshot.replicas {
        let is_sick = matches!(
            replica.state,
            ReplicaState::Unhealthy | ReplicaState::Failed | ReplicaState::Lost
        );
        if is_sick && best.contains(&replica.resource) {
            replica.state = ReplicaState::Healthy;
        }
    }
    snapshot
}

/// The first replica that the manifest asks for and that is on no machine.
fn missing(manifest: &Manifest, snapshot: &Snapshot) -> Option<ReplicaId> {
    let best = best_of_each(snapshot);
    let is_placed = |replica: &ReplicaId| {
        best.get(replica)
            .is_some_and(|there| snapshot.node(&there.machine).is_some())
    };
    let wanted = manifest
        .services
        .iter()
        .flat_map(|service| (0..service.replicas.get()).map(|index| ReplicaId::new(service.name.clone(), index)));
    wanted.into_iter().find(|replica| !is_placed(replica))
}

/// What each replica used lately; those never sampled are absent.
fn usage(snapshot: &Snapshot, metrics: &Metrics) -> BTreeMap<ReplicaId, Resources> {
    let used = snapshot.replicas.iter().filter_map(|replica| {
        let cores = metrics.recent_mean(&replica.replica, Metric::Cpu, RECENT_SAMPLES)?;
        let bytes = metrics.recent_mean(&replica.replica, Metric::Memory, RECENT_SAMPLES)?;
        let used = Resources::new(
            Millicores::from_millicores(whole(cores * 1000.0)),
            Bytes::from_bytes(whole(bytes)),
        );
        Some((replica.replica.clone(), used))
    });
    used.collect()
}

/// A measured amount as an integer; measurements are finite and not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits"
)]
fn whole(amount: f64) -> u64 {
    // 2^53: beyond it floats are not exact, and no measurement comes near.
    amount.clamp(0.0, 9_007_199_254_740_992.0) as u64
}

/// Enters each machine's utilisation by what its live replicas use.
fn measure(snapshot: &mut Snapshot, usage: &BTreeMap<ReplicaId, Resources>) {
    for node in &mut snapshot.nodes {
        let here = snapshot
            .replicas
            .iter()
            .filter(|replica| replica.machine == node.machine.id && replica.state.is_live());
        let used = here.map(|replica| (&replica.request, usage.get(&replica.replica)));
        node.utilisation = measured_utilisation(&node.machine.capacity, used);
    }
}

/// The present placement with the moves made; machines that become empty are given back.
fn after_moves(snapshot: &Snapshot, decision: &Rebalance) -> Placement {
    let target = |replica: &ReplicaId| {
        decision
            .moves
            .iter()
            .find(|m| m.replica == *replica)
            .map(|m| m.to.clone())
    };
    let mut assignments: Vec<Assignment> = best_of_each(snapshot)
        .into_values()
        .map(|replica| Assignment {
            replica: replica.replica.clone(),
            machine: target(&replica.replica).unwrap_or_else(|| replica.machine.clone()),
            request: replica.request,
            share: MicroUsdPerHour::ZERO,
        })
        .collect();
    let is_used = |machine: &&Machine| assignments.iter().any(|assignment| assignment.machine == machine.id);
    let machines: Vec<Machine> = snapshot
        .nodes
        .iter()
        .map(|node| &node.machine)
        .filter(is_used)
        .cloned()
        .collect();
    for machine in &machines {
        let here: Vec<usize> = (0..assignments.len())
            .filter(|i| assignments[*i].machine == machine.id)
            .collect();
        let requests: Vec<Resources> = here.iter().map(|i| assignments[*i].request).collect();
        for (i, share) in here
            .into_iter()
            .zip(share_price(machine.price, &machine.capacity, &requests))
        {
            assignments[i].share = share;
        }
    }
    let per_hour = MicroUsdPerHour::checked_sum(machines.iter().map(|machine| machine.price));
    let per_hour = per_hour.unwrap_or(MicroUsdPerHour::MAX);
    let per_month = per_hour.per_month().unwrap_or(MicroUsd::MAX);
    Placement {
        snapshot: snapshot.reference(),
        policy: "rebalance".to_owned(),
        machines,
        assignments,
        unplaced: Vec::new(),
        explanations: Vec::new(),
        rejections: BTreeMap::new(),
        cost: CostSummary {
            machines_per_hour: per_hour,
            machines_per_month: per_month,
            total_per_month: per_month,
            ..CostSummary::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use skyloom_core::Digest;

    use super::*;
    use crate::gate::Gate;

    fn observed(replica: &str, resource: &str, state: ReplicaState) -> ObservedReplica {
        ObservedReplica {
            replica: replica.parse().unwrap(),
            machine: skyloom_core::MachineId::new("m").unwrap(),
            resource: ResourceId::new(resource).unwrap(),
            request: Resources::ZERO,
            spec: Digest::of(&0),
            state,
        }
    }

    #[test]
    fn the_scheduler_sees_what_lives_once_and_the_plan_leaves_the_sick_alone() {
        use ReplicaState::{Completed, Failed, Healthy, Lost, Unhealthy};
        let mut snapshot = Snapshot::empty(1, Timestamp::EPOCH);
        snapshot.replicas = vec![
            observed("web/0", "a", Lost),
            observed("web/0", "b", Healthy),
            observed("web/0", "c", Healthy),
            observed("web/1", "d", Failed),
            observed("web/2", "e", Unhealthy),
            observed("job/0", "f", Completed),
        ];
        let movable = movable(&snapshot);
        let seen: Vec<&str> = movable.replicas.iter().map(|r| r.resource.as_str()).collect();
        assert_eq!(seen, ["b", "e"]);
        let patient = with_patience(snapshot);
        let states: Vec<ReplicaState> = patient.replicas.iter().map(|r| r.state).collect();
        assert_eq!(states, [Lost, Healthy, Healthy, Healthy, Healthy, Completed]);
    }

    async fn hold(folder: &std::path::Path) -> Hold {
        let store = crate::store::DirStore::new(folder);
        let lease = crate::hold::LeaseConfig::new();
        Hold::take(&store, &lease, "a".to_owned(), Gate::default(), None)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_last_rebalance_is_remembered_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::from_secs(7);
        {
            let hold = hold(folder.path()).await;
            assert_eq!(load_last_moved(&hold).await.unwrap(), None);
            save_last_moved(&hold, at).await.unwrap();
        }
        let hold = hold(folder.path()).await;
        assert_eq!(load_last_moved(&hold).await.unwrap(), Some(at));
        std::fs::write(folder.path().join("rebalanced.json"), "soon").unwrap();
        assert!(matches!(load_last_moved(&hold).await, Err(StoreError::Format { .. })));
    }
}
