//! Carrying out a plan: the saga says what to do, this does it and tells what happened.
//!
//! Records are written in batches with one sync each; calls run beside each other as tasks. Nothing is decided here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use skyloom_core::{Action, Manifest, Plan, ResourceId, StepId};
use skyloom_orchestrator::{Command, Event as SagaEvent, Record, Saga, SagaConfig, SagaError, SagaStatus};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::call::{self, Call};
use crate::error::Error;
use crate::event::Event;
use crate::shared::Shared;
use crate::store::{FileJournal, State, StoreError};

/// An entry of the control plane's journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub(crate) enum JournalEntry {
    /// The plan that the following records belong to, with the manifest that it brings into force.
    Plan {
        /// The plan.
        plan: Box<Plan>,
        /// The manifest; `None` when the deployment is taken down.
        manifest: Option<Box<Manifest>>,
    },
    /// A record of the saga.
    Saga {
        /// The record.
        record: Record,
    },
}

/// A plan under way.
pub(crate) struct Applying<'a> {
    shared: &'a Arc<Shared>,
    journal: &'a Arc<Mutex<FileJournal>>,
    state: &'a mut State,
    plan: Arc<Plan>,
    saga: Saga,
    /// Every call under way ends as an event of its step.
    calls: JoinSet<SagaEvent>,
    awaiting: BTreeMap<StepId, AbortHandle>,
}

impl<'a> Applying<'a> {
    /// A plan from its first step.
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        journal: &'a Arc<Mutex<FileJournal>>,
        state: &'a mut State,
        plan: Plan,
    ) -> Result<Self, Error> {
        let saga = Saga::new(plan.clone(), saga_config(shared), shared.epoch())?;
        let plan = Arc::new(plan);
        Ok(Self {
            shared,
            journal,
            state,
            plan,
            saga,
            calls: JoinSet::new(),
            awaiting: BTreeMap::new(),
        })
    }

    /// Asks the saga to stop before it goes on: what is under way is settled, nothing new is begun.
    pub(crate) async fn stop(&mut self) {
        self.handle(SagaEvent::CancelRequested).await;
    }

    /// A plan from where its journal ends.
    pub(crate) fn resume(
        shared: &'a Arc<Shared>,
        journal: &'a Arc<Mutex<FileJournal>>,
        state: &'a mut State,
        plan: Plan,
        records: &[Record],
    ) -> Result<Self, Error> {
        let saga = Saga::resume(plan.clone(), saga_config(shared), shared.epoch(), records).map_err(Error::Replay)?;
        for record in records {
            state.record(&plan, record);
        }
        let plan = Arc::new(plan);
        Ok(Self {
            shared,
            journal,
            state,
            plan,
            saga,
            calls: JoinSet::new(),
            awaiting: BTreeMap::new(),
        })
    }

    /// Carries the plan out to its end, or to where the journal or a later controller stops it.
    pub(crate) async fn run(mut self) -> Result<SagaStatus, Error> {
        let progress = self.saga.progress();
        self.shared.tell(Event::PlanBegun {
            steps: progress.total,
            done: progress.done,
        });
        loop {
            self.carry_out_commands().await?;
            let status = self.saga.status();
            if status.is_final() && self.calls.is_empty() {
                self.shared.tell(Event::PlanEnded {
                    outcome: outcome_text(&status).to_owned(),
                });
                return Ok(status);
            }
            let event = self.next_event().await;
            self.take(event).await;
        }
    }

    /// Hands out what the saga wants until it wants nothing more for now.
    async fn carry_out_commands(&mut self) -> Result<(), Error> {
        loop {
            let (mut records, mut calls) = (Vec::new(), Vec::new());
            while let Some(command) = self.saga.poll_command() {
                match command {
                    Command::Record { seq, record } => records.push((seq, record)),
                    other => calls.push(other),
                }
            }
            for command in calls {
                self.begin(command);
            }
            if records.is_empty() {
                return Ok(());
            }
            self.make_durable(records).await?;
        }
    }

    /// Writes records with one sync, then takes them into the state and acknowledges them.
    async fn make_durable(&mut self, records: Vec<(u64, Record)>) -> Result<(), Error> {
        let Some(last) = records.last().map(|(seq, _)| *seq) else {
            return Ok(());
        };
        let entries = records
            .iter()
            .map(|(_, record)| JournalEntry::Saga { record: record.clone() })
            .collect();
        match append(self.journal, entries).await {
            Ok(()) => {
                for (_, record) in &records {
                    self.state.record(&self.plan, record);
                }
                self.handle(SagaEvent::Recorded { seq: last }).await;
                Ok(())
            }
            Err(error) => {
                let (class, detail) = (error.class(), error.to_string());
                self.handle(SagaEvent::RecordFailed { class, detail }).await;
                // What is under way may have had its effect: let it end, so that nothing is left half-told.
                self.awaiting.values().for_each(AbortHandle::abort);
                while self.calls.join_next().await.is_some() {}
                Err(Error::Store(error))
            }
        }
    }

    fn begin(&mut self, command: Command) {
        let call = match command {
            Command::Record { .. } => return,
            Command::StopAwaiting { step } => {
                if let Some(waiting) = self.awaiting.remove(&step) {
                    waiting.abort();
                }
                return;
            }
            Command::Create {
                step,
                operation,
                token,
                machine,
            } => {
                let action = self
                    .plan
                    .step(step)
                    .map(|step| step.action.to_string())
                    .unwrap_or_default();
                self.shared.tell(Event::StepBegun { step, action });
                Call::Create {
                    step,
                    operation,
                    token,
                    machine,
                }
            }
            Command::Lookup { step, operation, token } => Call::Lookup { step, operation, token },
            Command::AwaitReady { step, resource, until } => Call::AwaitReady { step, resource, until },
            Command::Delete {
                step, resource, stop, ..
            } => {
                let action = self
                    .plan
                    .step(step)
                    .map(|step| step.action.to_string())
                    .unwrap_or_default();
                self.shared.tell(Event::StepBegun { step, action });
                Call::Delete { step, resource, stop }
            }
        };
        let (step, is_wait) = (call.step(), matches!(call, Call::AwaitReady { .. }));
        let handle = self
            .calls
            .spawn(call::carry_out(Arc::clone(self.shared), Arc::clone(&self.plan), call));
        if is_wait && let Some(earlier) = self.awaiting.insert(step, handle) {
            earlier.abort();
        }
    }

    async fn next_event(&mut self) -> SagaEvent {
        let until = self
            .saga
            .poll_deadline()
            .map(|at| at.saturating_since(self.shared.now()));
        tokio::select! {
            Some(ended) = self.calls.join_next() => match ended {
                Ok(event) => event,
                // Aborted on request, or a panic in a driver: the saga's deadline covers the latter.
                Err(_) => SagaEvent::Tick,
            },
            () = async { match until { Some(wait) => sleep(wait).await, None => std::future::pending().await } } => {
                SagaEvent::Tick
            }
            () = self.shared.cancelled() => SagaEvent::CancelRequested,
        }
    }

    /// Tells watchers and the saga.
    async fn take(&mut self, event: SagaEvent) {
        match &event {
            SagaEvent::Created { step, .. } | SagaEvent::Gone { step } => {
                self.shared.tell(Event::StepDone {
                    step: *step,
                    done: self.saga.progress().done,
                });
            }
            SagaEvent::CallFailed { step, detail, .. } => {
                tracing::warn!(%step, detail, "a call failed");
                self.shared.tell(Event::StepFailed {
                    step: *step,
                    detail: detail.clone(),
                });
            }
            _ => {}
        }
        self.handle(event).await;
    }

    async fn handle(&mut self, event: SagaEvent) {
        match self.saga.handle(event, self.shared.now()) {
            Ok(()) => {}
            Err(
                SagaError::SecondResource {
                    other: resource, step, ..
                }
                | SagaError::TooLate { resource, step },
            ) => {
                self.remove_stray(step, &resource).await;
            }
            // The saga's state is as before; its deadlines go on.
            Err(error) => tracing::error!(%error, "an event that cannot be"),
        }
    }

    /// Removes a thing that belongs to nobody. Where that fails, the owner tag still shows it to the next observation.
    async fn remove_stray(&self, step: StepId, resource: &ResourceId) {
        let Some(step) = self.plan.step(step) else { return };
        let stop = match &step.action {
            Action::CreateReplica { spec } => spec.stop,
            _ => skyloom_core::StopSpec::default(),
        };
        if let Err(error) = call::delete(self.shared, &step.action, resource, stop).await {
            tracing::error!(%resource, %error, "a stray thing could not be removed");
        }
    }
}

/// Makes entries durable without blocking the executor.
pub(crate) async fn append(journal: &Arc<Mutex<FileJournal>>, entries: Vec<JournalEntry>) -> Result<(), StoreError> {
    let journal = Arc::clone(journal);
    let written =
        tokio::task::spawn_blocking(move || journal.lock().unwrap_or_else(PoisonError::into_inner).append(&entries));
    written
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn saga_config(shared: &Shared) -> SagaConfig {
    shared
        .config
        .saga
        .with_consistency_window(shared.drivers.consistency_window())
}

/// One word for people.
pub(crate) const fn outcome_text(status: &SagaStatus) -> &'static str {
    match status {
        SagaStatus::Running => "running",
        SagaStatus::Stopping { .. } => "stopping",
        SagaStatus::Compensating { .. } => "rolling back",
        SagaStatus::Succeeded => "succeeded",
        SagaStatus::Incomplete { .. } => "incomplete",
        SagaStatus::RolledBack { .. } => "rolled back",
        SagaStatus::Cancelled { .. } => "cancelled",
        SagaStatus::Stuck { .. } => "stuck",
        SagaStatus::Halted { .. } => "halted",
    }
}
