//! From a plan to a new generation of the state: journal, saga, state, in this order.

use skyloom_core::{Manifest, Plan};
use skyloom_orchestrator::SagaStatus;
use skyloom_provider::Epoch;

use super::plane::{ControlPlane, Inner, Interrupted, Outcome};
use crate::apply::{Applying, JournalEntry, append};
use crate::drivers::retry;
use crate::error::Error;
use crate::observe::observe;
use crate::store::State;

impl ControlPlane {
    /// Journals a plan and carries it out. `manifest` is what comes into force with it; `None` when all is taken down.
    pub(super) async fn carry_out(
        &self,
        inner: &mut Inner,
        plan: Plan,
        manifest: Option<Manifest>,
    ) -> Result<Outcome, Error> {
        if let Some(manifest) = &manifest {
            self.shared.data.adopt(manifest)?;
        }
        let entry = JournalEntry::Plan {
            plan: Box::new(plan.clone()),
            manifest: manifest.clone().map(Box::new),
        };
        append(&inner.journal, vec![entry]).await?;
        // From here on a dropped future, like a crash, leaves the plan to be resumed. What is in the journal by then is
        // read back from it.
        inner.interrupted = Some(Interrupted {
            plan: plan.clone(),
            manifest: manifest.clone(),
            records: Vec::new(),
        });
        let mut state = inner.state.clone();
        let applying = Applying::new(&self.shared, &inner.journal, &mut state, plan.clone())?;
        let status = applying.run().await?;
        self.finish(inner, state, &plan, manifest, status)
    }

    /// Goes on with an interrupted plan, or stops it where `and_stop` says so. Nothing to do gives an empty outcome.
    pub(super) async fn resume(&self, inner: &mut Inner, and_stop: bool) -> Result<Option<Outcome>, Error> {
        let Some(interrupted) = inner.read_interrupted()? else {
            return Ok(None);
        };
        let Interrupted {
            plan,
            manifest,
            records,
        } = interrupted;
        if let Some(manifest) = &manifest {
            self.shared.data.adopt(manifest)?;
        }
        let mut state = inner.state.clone();
        let mut applying = Applying::resume(&self.shared, &inner.journal, &mut state, plan.clone(), &records)?;
        if and_stop {
            applying.stop().await;
        }
        match applying.run().await? {
            status @ SagaStatus::Cancelled { .. } if and_stop => {
                let steps = plan.steps.len() as u64;
                self.settle(inner, state, &plan, manifest, &status)?;
                Ok(Some(Outcome {
                    plan: plan.id(),
                    steps,
                    status,
                }))
            }
            status => self.finish(inner, state, &plan, manifest, status).map(Some),
        }
    }

    /// Makes the reached state durable and empties the journal; an outcome short of success is an error.
    fn finish(
        &self,
        inner: &mut Inner,
        state: State,
        plan: &Plan,
        manifest: Option<Manifest>,
        status: SagaStatus,
    ) -> Result<Outcome, Error> {
        if matches!(status, SagaStatus::Halted { .. }) {
            return Err(Error::PlanFailed(Box::new(status)));
        }
        self.settle(inner, state, plan, manifest, &status)?;
        match status {
            SagaStatus::Succeeded => Ok(Outcome {
                plan: plan.id(),
                steps: plan.steps.len() as u64,
                status,
            }),
            status => Err(Error::PlanFailed(Box::new(status))),
        }
    }

    fn settle(
        &self,
        inner: &mut Inner,
        mut state: State,
        plan: &Plan,
        manifest: Option<Manifest>,
        status: &SagaStatus,
    ) -> Result<(), Error> {
        state.generation = state.generation.saturating_add(1);
        state.last_plan = Some(plan.id());
        if !matches!(status, SagaStatus::RolledBack { .. }) {
            state.deployment = manifest.is_some().then(|| plan.deployment.clone());
            state.manifest = manifest;
        }
        let nothing_left = state.replicas.is_empty() && state.machines.is_empty();
        if !nothing_left && state.deployment.is_none() {
            // A teardown that left something: it still is somebody's.
            state.deployment = Some(plan.deployment.clone());
            state.manifest = inner.state.manifest.clone();
        }
        state.save(&inner.state_path)?;
        inner.state = state;
        inner.interrupted = None;
        inner
            .journal
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .reset()?;
        Ok(())
    }

    /// Removes what carries our owner tag and is in no state: after a teardown nothing of ours may stay.
    pub(super) async fn remove_strangers(&self, state: &State) -> Result<(), Error> {
        let mut strangers = observe(&self.shared, state).await?.strangers;
        // Replicas before the machines that carry them.
        strangers.sort_by_key(|resource| std::cmp::Reverse(resource.kind));
        for resource in strangers {
            if let Some(driver) = self.shared.drivers.for_cloud(&resource.site.region.cloud) {
                let stop = skyloom_core::StopSpec::default();
                let epoch = Epoch(self.shared.epoch());
                retry(&self.shared.config.saga.retry, || {
                    driver.delete(&resource.id, stop, epoch)
                })
                .await?;
            }
        }
        Ok(())
    }
}
