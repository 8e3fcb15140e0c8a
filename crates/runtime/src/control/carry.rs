//! From a plan to a new generation of the state: journal, saga, state, in this order.

use std::time::Duration;

use skyloom_core::{Manifest, Plan, ReplicaId, StopSpec};
use skyloom_orchestrator::SagaStatus;
use skyloom_provider::{Epoch, Kind, Resource};
use tokio::time::sleep;

use super::plane::{ControlPlane, Inner, Outcome};
use crate::apply::{Applying, append};
use crate::drivers::retry;
use crate::error::Error;
use crate::observe::observe;
use crate::reach::list_all;
use crate::store::{Document, Interrupted, JournalEntry, State};

/// Time between two looks for what is in doubt.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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
        let mut state = inner.state.clone();
        // Before anything is written: a plan that does not hold together must not get into the journal.
        let applying = Applying::new(&self.shared, &mut state, plan.clone(), manifest.as_ref())?;
        // From here on a dropped future, like a crash, leaves the plan to be resumed. What is in the journal by then is
        // read back from it; nothing is, when the drop came before the write.
        inner.interrupted = Some(Interrupted {
            plan: plan.clone(),
            manifest: manifest.clone(),
            records: Vec::new(),
        });
        let entry = JournalEntry::Plan {
            plan: Box::new(plan.clone()),
            manifest: manifest.clone().map(Box::new),
        };
        if let Err(error) = append(&self.shared, vec![entry]).await {
            // Where the store has not answered, the plan may be in the journal all the same: it is read back before
            // anything else is begun.
            if !error.is_in_doubt() {
                inner.interrupted = None;
            }
            return Err(error.into());
        }
        let status = {
            let _under_way = self.shared.recall.begin(&inner.state);
            applying.run().await?
        };
        self.settle(inner, state, &plan, manifest, &status).await?;
        self.conclude(inner, &plan, status).await
    }

    /// Goes on with an interrupted plan, or stops it where `and_stop` says so; `None` when there is none.
    pub(super) async fn resume(&self, inner: &mut Inner, and_stop: bool) -> Result<Option<Resumed>, Error> {
        let Some(Interrupted {
            plan,
            manifest,
            records,
        }) = self.read_interrupted(inner).await?
        else {
            inner.interrupted = None;
            return Ok(None);
        };
        if let Some(manifest) = &manifest {
            self.shared.data.adopt(manifest)?;
        }
        let mut state = inner.state.clone();
        for record in &records {
            state.record(&plan, record);
        }
        // Replicas of before the crash enter the endpoints before any that depend on them are started.
        observe(&self.shared, &state).await?;
        let mut applying = Applying::resume(&self.shared, &mut state, plan.clone(), manifest.as_ref(), &records)?;
        if and_stop {
            applying.stop().await;
        }
        let status = {
            let _under_way = self.shared.recall.begin(&inner.state);
            applying.run().await?
        };
        self.settle(inner, state, &plan, manifest, &status).await?;
        Ok(Some(Resumed { plan, status }))
    }

    /// The interrupted plan with every record that is durable by now, read back from the journal.
    async fn read_interrupted(&self, inner: &Inner) -> Result<Option<Interrupted>, Error> {
        if inner.interrupted.is_none() {
            return Ok(None);
        }
        let entries = self.shared.hold.entries().await?;
        Ok(Interrupted::from_entries(entries, &inner.state))
    }

    /// Looks for what ended plans have left in doubt, until it is found or past the consistency window, and knows it then.
    ///
    /// Without this a creation whose answer was lost, and whose look-ups failed until the plan gave up, would be nobody's.
    pub(super) async fn settle_doubts(&self, inner: &mut Inner) -> Result<(), Error> {
        if inner.state.in_doubt.is_empty() {
            return Ok(());
        }
        let mut state = inner.state.clone();
        let until = self
            .shared
            .now()
            .saturating_add(self.shared.drivers.consistency_window());
        let complete = loop {
            let (all, complete) = list_all(&self.shared, &self.shared.owner).await;
            for resource in all {
                state.adopt(&resource.operation, &resource.id);
            }
            let left = until.saturating_since(self.shared.now());
            if state.in_doubt.is_empty() || left.is_zero() {
                break complete;
            }
            sleep(left.min(LOOK_AGAIN)).await;
        };
        // A provider that does not answer may have it: it stays in doubt until somebody can know.
        if complete {
            state.in_doubt.clear();
        }
        if state != inner.state {
            self.shared.hold.replace(Document::STATE, &state.to_bytes()).await?;
        }
        inner.state = state;
        Ok(())
    }

    /// Makes the reached state durable and empties the journal. A halted plan stays in the journal, to be resumed.
    async fn settle(
        &self,
        inner: &mut Inner,
        mut state: State,
        plan: &Plan,
        manifest: Option<Manifest>,
        status: &SagaStatus,
    ) -> Result<(), Error> {
        if matches!(status, SagaStatus::Halted { .. }) {
            return Err(Error::PlanFailed(Box::new(status.clone())));
        }
        let reverting = state.must_revert(plan, manifest.as_ref(), status);
        state.settle(plan, manifest, status);
        state.reverting = reverting.filter(|_| self.shared.config.auto_revert);
        self.shared.hold.replace(Document::STATE, &state.to_bytes()).await?;
        inner.state = state;
        inner.interrupted = None;
        if let Some(manifest) = &inner.state.manifest {
            self.shared.data.adopt(manifest)?;
        }
        self.shared.hold.reset().await?;
        Ok(())
    }

    /// Removes what carries our owner tag and is in no state: left by a call that was given up, or by hand. All are
    /// tried; the first failure is told.
    ///
    /// This is not journalled: what is removed is in no state before, and the owner tag still finds it after a crash.
    pub(super) async fn remove_strangers(&self, state: &State) -> Result<(), Error> {
        let mut strangers = observe(&self.shared, state).await?.strangers;
        // Replicas before the machines that carry them.
        strangers.sort_by_key(|resource| std::cmp::Reverse(resource.kind));
        let mut first_failure = None;
        for resource in strangers {
            let Some(driver) = self.shared.drivers.for_cloud(&resource.site.region.cloud) else {
                continue;
            };
            let (stop, epoch) = (stop_of(state, &resource), Epoch(self.shared.epoch()));
            let removed = retry(&self.shared.config.saga.retry, || {
                driver.delete(&resource.id, stop, epoch)
            })
            .await;
            if let Err(error) = removed {
                tracing::error!(resource = %resource.id, %error, "a stranger could not be removed");
                first_failure.get_or_insert(error);
            }
        }
        first_failure.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// How a stranger is stopped: as its service is, where its name says of which it is and the manifest knows that one.
fn stop_of(state: &State, resource: &Resource) -> StopSpec {
    let replica: Option<ReplicaId> = Some(resource)
        .filter(|resource| resource.kind == Kind::Replica)
        .and_then(|resource| resource.name.parse().ok());
    let service = replica
        .zip(state.manifest.as_ref())
        .and_then(|(replica, manifest)| manifest.service(replica.service()).map(|service| service.stop));
    service.unwrap_or_default()
}

/// An interrupted plan that has come to its end.
pub(super) struct Resumed {
    pub(super) plan: Plan,
    pub(super) status: SagaStatus,
}

impl Outcome {
    /// An outcome; short of success it is an error.
    pub(super) fn of(plan: &Plan, status: SagaStatus) -> Result<Self, Error> {
        match status {
            SagaStatus::Succeeded => Ok(Self {
                plan: plan.id(),
                steps: plan.steps.len() as u64,
                status,
            }),
            status => Err(Error::PlanFailed(Box::new(status))),
        }
    }
}
