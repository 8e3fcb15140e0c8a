//! Rebalancing: measured use goes to the scheduler, its moves become a plan like any other.

use std::collections::BTreeMap;

use serde::Serialize;
use skyloom_core::{
    Assignment, Bytes, CostSummary, Machine, Manifest, MicroUsd, MicroUsdPerHour, Millicores, Placement, ReplicaId,
    Resources, Snapshot, share_price,
};
use skyloom_scheduler::formulas::{Fold, utilisation_of};
use skyloom_scheduler::{Problem, Rebalance, RebalanceConfig, RebalanceInput};
use skyloom_security::access::{Action, Principal};

use super::ControlPlane;
use super::plane::{Inner, Outcome};
use crate::error::Error;
use crate::insight::{Metric, Metrics};
use crate::observe::observe;

/// Samples that make up "now": enough to smooth one odd value, few enough to follow a change within seconds.
const RECENT_SAMPLES: usize = 10;

/// A decision to move or not, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        let inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
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
        let (manifest, snapshot, decision) = self.decide_rebalance(&inner, config).await?;
        if decision.moves.is_empty() {
            return Ok(Rebalanced {
                decision,
                outcome: None,
            });
        }
        let placement = after_moves(&snapshot, &decision);
        let plan = skyloom_orchestrator::plan(&manifest, &placement, &snapshot)?;
        let regions = plan
            .steps
            .iter()
            .map(|step| step.action.site().region.clone())
            .collect();
        let subject = format!("plan {}", plan.id().short());
        let admitted = self
            .shared
            .admit(principal, Action::Rebalance, &manifest.name, regions, subject)?;
        let result = self.carry_out(&mut inner, plan, Some(manifest)).await;
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
        let manifest = inner.state.manifest.clone().ok_or(Error::NothingDeployed)?;
        let mut snapshot = observe(&self.shared, &inner.state).await?.snapshot;
        let usage = usage(&snapshot, &*self.metrics.lock().await);
        measure(&mut snapshot, &usage);
        let problem = Problem {
            manifest: &manifest,
            snapshot: &snapshot,
            catalogue: &self.shared.catalogue,
        };
        let input = RebalanceInput {
            problem,
            usage: &usage,
            last_moved: None,
        };
        let decision = skyloom_scheduler::rebalance(&input, config)?;
        Ok((manifest, snapshot, decision))
    }
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

/// Enters each machine's measured utilisation (formula 1). A rehearsal's processes share one real machine and may use
/// more than the planned one has; a machine is then fully used.
fn measure(snapshot: &mut Snapshot, usage: &BTreeMap<ReplicaId, Resources>) {
    for node in &mut snapshot.nodes {
        let capacity = node.machine.capacity;
        let here = snapshot
            .replicas
            .iter()
            .filter(|replica| replica.machine == node.machine.id);
        let measured = here.filter_map(|replica| usage.get(&replica.replica));
        let used = measured.fold(Resources::ZERO, |sum, used| {
            let sum = sum.checked_add(used).unwrap_or(capacity);
            Resources {
                cpu: sum.cpu.min(capacity.cpu),
                memory: sum.memory.min(capacity.memory),
                ..Resources::ZERO
            }
        });
        node.utilisation = utilisation_of(&used, &capacity, Fold::default()).ok();
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
    let live = snapshot.replicas.iter().filter(|replica| replica.state.is_live());
    let mut assignments: Vec<Assignment> = live
        .map(|replica| Assignment {
            replica: replica.replica.clone(),
            machine: target(&replica.replica).unwrap_or_else(|| replica.machine.clone()),
            request: replica.request,
            share: MicroUsdPerHour::ZERO,
        })
        .collect();
    assignments.sort_by(|a, b| a.replica.cmp(&b.replica));
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
