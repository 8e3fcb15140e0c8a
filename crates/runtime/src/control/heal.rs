//! Healing: one look at everything, the orchestrator's decision, and a plan like any other.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use skyloom_core::{DriftPolicy, Manifest, ReplicaId, ReplicaState, ResourceId, Snapshot};
use skyloom_orchestrator::{Drift, HealAction, HealDecision, jobs_are_done, shield};
use skyloom_scheduler::Cheapest;
use skyloom_security::access::{Action, Principal};
use tokio::time::sleep;

use super::around::{Around, Outage};
use super::claim::Ground;
use super::failover::FailoverReport;
use super::plane::Inner;
use super::{ControlPlane, histories};
use crate::error::Error;
use crate::event::Event;
use crate::observe::{Seen, observe};

/// What one look at everything has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HealReport {
    /// Replicas that were replaced.
    pub healed: Vec<Healed>,
    /// Sick replicas that have to wait, or that are given up: the caller may want to tell somebody.
    pub left_alone: Vec<HealAction>,
    /// What the look has come to at places as a whole.
    pub failover: FailoverReport,
}

/// A replica that was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Healed {
    /// Which.
    pub replica: ReplicaId,
    /// What the provider called the lost one; `None` when there never was one.
    pub killed: Option<ResourceId>,
    /// What it calls the new one.
    pub replaced: ResourceId,
    /// From detection to healthy.
    pub took: Duration,
}

impl ControlPlane {
    /// Looks at every place and every replica once, fails over and back where the failover policy says so, and replaces the
    /// replicas that the healing policy says to replace now. A region that does not answer hides nothing of the others.
    ///
    /// # Errors
    /// [`Error::Denied`] and [`Error::AuditUnavailable`] when something is to be replaced; otherwise as
    /// [`ControlPlane::apply`].
    pub async fn heal(&self, principal: &Principal) -> Result<HealReport, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        let Some(manifest) = inner.state.manifest_in_force().cloned() else {
            return Ok(HealReport::default());
        };
        self.settle_doubts(&mut inner).await?;
        let begun = self.shared.now();
        let mut seen = observe(&self.shared, &inner.state).await?;
        let failover = self.look_at_places(&mut inner, &manifest, &seen, principal).await?;
        if failover.acted() {
            seen = observe(&self.shared, &inner.state).await?;
        }
        let snapshot = jobs_are_done(&manifest, &seen.snapshot);
        let snapshot = shield(&snapshot, &inner.outage.out_of_reach(&seen.silent, begun));
        let policy = &self.shared.config.heal;
        // What was changed from outside and is to be corrected is replaced as what is sick: with backoff, within the budget.
        let sick = with_changes_as_sickness(&snapshot, &seen.drifts);
        let decision = skyloom_orchestrator::heal(&manifest, &sick, &inner.heal, policy, begun);
        let replaced: BTreeSet<ReplicaId> = decision.replacements().cloned().collect();
        if replaced.is_empty() {
            inner.heal = decision.history;
            return Ok(HealReport {
                healed: Vec::new(),
                left_alone: decision.actions,
                failover,
            });
        }
        let names: Vec<String> = replaced.iter().map(ToString::to_string).collect();
        let places = inner
            .state
            .replicas
            .values()
            .filter(|known| replaced.contains(&known.spec.replica));
        let regions = places.map(|known| known.spec.site.region.clone()).collect();
        let admitted = self
            .shared
            .admit(principal, Action::Heal, &manifest.name, regions, names.join(" "))?;
        let result = self.replace(&mut inner, &seen, decision, &replaced).await;
        let mut report = self.shared.close(admitted, result)?;
        report.failover = failover;
        for healed in &report.healed {
            if let Some(killed) = healed.killed.clone() {
                let Healed {
                    replica,
                    replaced,
                    took,
                    ..
                } = healed.clone();
                self.shared.tell(Event::Healed {
                    replica,
                    killed,
                    replaced,
                    took,
                });
            }
        }
        Ok(report)
    }

    async fn replace(
        &self,
        inner: &mut Inner,
        seen: &Seen,
        decision: HealDecision,
        replaced: &BTreeSet<ReplicaId>,
    ) -> Result<HealReport, Error> {
        // The history is durable before anything is done: a controller that crashes here again and again still keeps
        // to the budget.
        histories::save(&self.shared.hold, &decision.history).await?;
        let begun = seen.snapshot.taken_at;
        inner.heal = decision.history;
        let manifest = inner.state.manifest.clone().ok_or(Error::NothingDeployed)?;
        let Outage { history, .. } = &inner.outage;
        let scope = (history, inner.outage.out_of_reach(&seen.silent, begun));
        let patient = with_patience(&manifest, &jobs_are_done(&manifest, &seen.snapshot), replaced);
        let ground = Ground::in_force(&patient);
        let Around { proposal, stranded } =
            self.decide_around(&inner.state, &manifest, &ground, &Cheapest, scope, &seen.unreachable)?;
        inner.outage.strand(&stranded, &self.shared.config.failover, begun);
        let before = inner.state.replicas.clone();
        self.carry_out_watched(inner, proposal.plan, manifest).await?;
        let took = self.shared.now().saturating_since(begun);
        let resource_of = |replica: &ReplicaId, known: &crate::store::KnownReplica| known.spec.replica == *replica;
        let healed = replaced.iter().filter_map(|replica| {
            let killed = before
                .iter()
                .find(|(_, known)| resource_of(replica, known))
                .map(|(id, _)| id.clone());
            // What a lost place had is still known beside the new one.
            let (new, _) = inner
                .state
                .replicas
                .iter()
                .find(|(id, known)| resource_of(replica, known) && !before.contains_key(*id))?;
            Some(Healed {
                replica: replica.clone(),
                killed,
                replaced: new.clone(),
                took,
            })
        });
        let healed = healed.collect();
        let is_left = |action: &HealAction| !matches!(action, HealAction::Replace { .. });
        Ok(HealReport {
            healed,
            left_alone: decision.actions.into_iter().filter(is_left).collect(),
            failover: FailoverReport::default(),
        })
    }

    /// Heals again and again until `stop` resolves. A pass that fails is told to watchers and tried again: a provider
    /// that cannot be asked for a while is no reason to stop looking.
    pub async fn supervise(&self, principal: &Principal, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        let mut given_up = BTreeSet::new();
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = sleep(self.shared.config.supervise_every) => {}
            }
            if let Err(error) = self.look_after(principal, &mut given_up).await {
                tracing::warn!(%error, "a look at the replicas failed");
                self.shared.tell(Event::SupervisionFailed {
                    detail: crate::call::chain(&error),
                });
            }
        }
    }

    /// One pass of supervision: a plan that was interrupted (the disk was full for a while) is finished first. Who is
    /// given up is told once.
    async fn look_after(&self, principal: &Principal, given_up: &mut BTreeSet<ReplicaId>) -> Result<(), Error> {
        {
            let mut inner = self.inner.lock().await;
            self.recover_as(&mut inner, principal, Action::Heal).await?;
        }
        let report = self.heal(principal).await?;
        let mut still = BTreeSet::new();
        for action in report.left_alone {
            if let HealAction::GiveUp {
                replica, replacements, ..
            } = action
            {
                if !given_up.contains(&replica) {
                    self.shared.tell(Event::GivenUp {
                        replica: replica.clone(),
                        replacements,
                    });
                }
                still.insert(replica);
            }
        }
        *given_up = still;
        Ok(())
    }
}

/// The snapshot as healing is to see it: a replica that was changed from outside, and is to be corrected, is not well.
fn with_changes_as_sickness(snapshot: &Snapshot, drifts: &[Drift]) -> Snapshot {
    let correct = drifts.iter().filter(|drift| drift.policy == DriftPolicy::Correct);
    let changed: BTreeSet<&ResourceId> = correct.map(|drift| &drift.resource).collect();
    let mut seen = snapshot.clone();
    for replica in &mut seen.replicas {
        if replica.state == ReplicaState::Healthy && changed.contains(&replica.resource) {
            replica.state = ReplicaState::Unhealthy;
        }
    }
    seen
}

/// The snapshot as the plan is to see it: replicas that are not to be replaced now count as well, and as what is asked for.
fn with_patience(manifest: &Manifest, snapshot: &Snapshot, replaced: &BTreeSet<ReplicaId>) -> Snapshot {
    let mut patient = snapshot.clone();
    for replica in &mut patient.replicas {
        let is_sick = !matches!(
            replica.state,
            ReplicaState::Pending | ReplicaState::Started | ReplicaState::Healthy | ReplicaState::Completed
        );
        if replaced.contains(&replica.replica) {
            continue;
        }
        if is_sick {
            replica.state = ReplicaState::Healthy;
        }
        if let Some(service) = manifest.service(replica.replica.service()) {
            replica.spec = service.form(&replica.replica);
        }
    }
    patient
}
