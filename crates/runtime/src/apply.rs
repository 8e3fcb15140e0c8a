//! Carrying out a plan: the saga says what to do, this does it and tells what happened.
//!
//! Calls run beside each other as tasks; the records that follow from all answers that are there share one sync (group
//! commit). Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use skyloom_core::{Action, Class, Manifest, Plan, ResourceId, ServiceName, StepId, StopSpec};
use skyloom_orchestrator::{
    Command, Event as SagaEvent, Record, Saga, SagaConfig, SagaError, SagaStatus, jobs, undo_operation_id,
};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::call::{self, Call};
use crate::error::Error;
use crate::event::Event;
use crate::shared::Shared;
use crate::store::{Entry, JournalEntry, State, StoreError};
use crate::telemetry::{self, StepSpans};

/// A plan under way.
pub(crate) struct Applying<'a> {
    shared: &'a Arc<Shared>,
    state: &'a mut State,
    plan: Arc<Plan>,
    /// Services whose replicas may end with success.
    jobs: Arc<BTreeSet<ServiceName>>,
    saga: Saga,
    /// Calls under way, and removals of strays.
    tasks: JoinSet<Ended>,
    /// Calls so far.
    calls: u64,
    /// The last call of each step.
    latest: BTreeMap<StepId, Latest>,
    /// Requests to stop that came after the beginning.
    cancels: watch::Receiver<u64>,
    spans: StepSpans,
    is_teardown: bool,
}

/// The last call of a step. Earlier ones are superseded.
struct Latest {
    call: u64,
    is_wait: bool,
    handle: AbortHandle,
}

/// How a task has ended.
enum Ended {
    /// A call, with the saga's event of its step.
    Call { step: StepId, call: u64, event: SagaEvent },
    /// The removal of a stray; nobody waits for it.
    Stray,
}

impl<'a> Applying<'a> {
    /// A plan from its first step.
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        state: &'a mut State,
        plan: Plan,
        manifest: Option<&Manifest>,
    ) -> Result<Self, Error> {
        let saga = Saga::new(plan.clone(), saga_config(shared), shared.epoch())?;
        Ok(Self::over(shared, state, (plan, manifest), saga))
    }

    /// A plan from where its journal ends.
    pub(crate) fn resume(
        shared: &'a Arc<Shared>,
        state: &'a mut State,
        plan: Plan,
        manifest: Option<&Manifest>,
        records: &[Record],
    ) -> Result<Self, Error> {
        let saga = Saga::resume(plan.clone(), saga_config(shared), shared.epoch(), records).map_err(Error::Replay)?;
        for record in records {
            state.record(&plan, record);
        }
        Ok(Self::over(shared, state, (plan, manifest), saga))
    }

    fn over(
        shared: &'a Arc<Shared>,
        state: &'a mut State,
        (plan, manifest): (Plan, Option<&Manifest>),
        saga: Saga,
    ) -> Self {
        let jobs = manifest.map(jobs).into_iter().flatten().cloned().collect();
        Self {
            shared,
            state,
            plan: Arc::new(plan),
            jobs: Arc::new(jobs),
            saga,
            tasks: JoinSet::new(),
            calls: 0,
            latest: BTreeMap::new(),
            cancels: shared.cancels(),
            spans: StepSpans::default(),
            is_teardown: manifest.is_none(),
        }
    }

    /// Asks the saga to stop before it goes on: what is under way is settled, nothing new is begun.
    pub(crate) async fn stop(&mut self) {
        self.handle(SagaEvent::CancelRequested);
    }

    /// Carries the plan out to its end, or to where the journal or a later controller stops it.
    pub(crate) async fn run(self) -> Result<SagaStatus, Error> {
        let (begun, is_teardown) = (Instant::now(), self.is_teardown);
        let span = telemetry::apply_span(&self.plan, self.shared.epoch());
        let ended = self.run_within().instrument(span).await;
        telemetry::applied(is_teardown, &ended, begun.elapsed());
        ended
    }

    async fn run_within(mut self) -> Result<SagaStatus, Error> {
        let progress = self.saga.progress();
        self.shared.tell(Event::PlanBegun {
            steps: progress.total,
            done: progress.done,
        });
        loop {
            // Before anything follows from what has come: without the lease nothing is begun and nothing recorded.
            if let Err(lost) = self.shared.hold.gate().check() {
                return Err(self.halt(lost).await);
            }
            self.carry_out_commands().await?;
            let status = self.saga.status();
            if status.is_final() {
                self.wind_up().await;
                self.shared.tell(Event::PlanEnded {
                    outcome: outcome_text(&status).to_owned(),
                });
                return Ok(status);
            }
            if let Some(event) = self.next_event().await {
                self.take(event);
            }
            self.take_what_is_there();
        }
    }

    /// Takes every answer that has come by now, so that what follows from all of them is made durable with one sync.
    fn take_what_is_there(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Some(event) = self.event_of(ended) {
                self.take(event);
            }
        }
    }

    /// Lets end what is under way after the saga has: it may have had its effect. Waits are dropped at once, the rest
    /// when its time is over.
    async fn wind_up(&mut self) {
        let waits = self.latest.values().filter(|latest| latest.is_wait);
        waits.for_each(|wait| wait.handle.abort());
        let grace = self.plan.steps.iter().map(|step| stop_of(&step.action).grace).max();
        let patience = self
            .shared
            .config
            .saga
            .call_within
            .saturating_add(grace.unwrap_or_default());
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Some(event) = self.event_of(ended) {
                    self.take(event);
                }
            }
        };
        if timeout(patience, ending).await.is_err() {
            tracing::error!(tasks = self.tasks.len(), "calls that did not end are dropped");
            self.tasks.abort_all();
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
            self.spans.close(|step| self.latest.contains_key(&step));
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
        match append(self.shared, entries).await {
            Ok(()) => {
                for (_, record) in &records {
                    self.state.record(&self.plan, record);
                    telemetry::recorded(&self.plan, record);
                    self.spans.recorded(record);
                }
                self.switch(&records);
                self.handle(SagaEvent::Recorded { seq: last });
                self.tell_done(&records);
                Ok(())
            }
            Err(error) => Err(self.halt(error).await),
        }
    }

    /// Stops where the journal is: what cannot be recorded is not done. Calls under way are waited for.
    async fn halt(&mut self, error: StoreError) -> Error {
        let (class, detail) = (error.class(), call::chain(&error));
        self.handle(SagaEvent::RecordFailed { class, detail });
        self.wind_up().await;
        error.into()
    }

    /// Shows the endpoints as a gate that is passed, or one whose replicas are undone, leaves them. Before the saga goes
    /// on: the old ones are shown again before the first new one is stopped.
    fn switch(&self, records: &[(u64, Record)]) {
        let switches = |record: &Record| matches!(record, Record::Passed { .. } | Record::CompensationIntent { .. });
        if !records.iter().any(|(_, record)| switches(record)) {
            return;
        }
        if let Err(error) = self.shared.endpoints().arrange(&self.state.aside()) {
            // The next look at everything shows them.
            tracing::error!(%error, "the endpoints could not be written");
        }
    }

    /// Tells watchers which steps' effects are durable by now, whether an answer or a look-up has shown them.
    fn tell_done(&self, records: &[(u64, Record)]) {
        let effects = records.iter().filter_map(|(_, record)| match record {
            Record::Observed { step, .. } | Record::Gone { step } | Record::Compensated { step } => Some(*step),
            _ => None,
        });
        let mut effects = effects.peekable();
        if effects.peek().is_none() || self.shared.events.receiver_count() == 0 {
            return;
        }
        let done = self.saga.progress().done;
        effects.for_each(|step| self.shared.tell(Event::StepDone { step, done }));
    }

    fn begin(&mut self, command: Command) {
        let call = match command {
            Command::Record { .. } => return,
            Command::StopAwaiting { step } => {
                if let Some(waiting) = self.latest.remove(&step) {
                    waiting.handle.abort();
                }
                return;
            }
            Command::Create {
                step,
                operation,
                token,
                machine,
            } => {
                self.tell_begun(step);
                Call::Create {
                    step,
                    operation,
                    token,
                    machine,
                }
            }
            Command::Lookup { step, operation, token } => Call::Lookup { step, operation, token },
            Command::AwaitReady { step, resource, until } => Call::AwaitReady { step, resource, until },
            Command::Look { step, watched, due } => Call::Look { step, watched, due },
            Command::Delete {
                step,
                operation,
                resource,
                stop,
            } => {
                self.tell_begun(step);
                Call::Delete {
                    step,
                    operation,
                    resource,
                    stop,
                }
            }
        };
        self.spawn(call);
    }

    fn tell_begun(&self, step: StepId) {
        let action = self.plan.step(step).map(|step| step.action.to_string());
        self.shared.tell(Event::StepBegun {
            step,
            action: action.unwrap_or_default(),
        });
    }

    /// Begins a call; an earlier one of the step is superseded.
    fn spawn(&mut self, call: Call) {
        self.calls += 1;
        let (step, number, is_wait) = (
            call.step(),
            self.calls,
            matches!(call, Call::AwaitReady { .. } | Call::Look { .. }),
        );
        let span = self.spans.call(&self.plan, step, call.operation());
        let carried_out = call::carry_out(
            Arc::clone(self.shared),
            Arc::clone(&self.plan),
            Arc::clone(&self.jobs),
            call,
        )
        .instrument(span);
        let handle = self.tasks.spawn(async move {
            // Nothing that a panic could leave half-changed is used afterwards: locks are taken all the same, see
            // `Shared`.
            let event = AssertUnwindSafe(carried_out).catch_unwind().await;
            Ended::Call {
                step,
                call: number,
                event: event.unwrap_or_else(|_| panicked(step)),
            }
        });
        let latest = Latest {
            call: number,
            is_wait,
            handle,
        };
        if let Some(earlier) = self.latest.insert(step, latest) {
            earlier.handle.abort();
        }
    }

    /// What happens next; `None`: nothing that concerns the saga.
    async fn next_event(&mut self) -> Option<SagaEvent> {
        let gate = self.shared.hold.gate();
        let until = self
            .saga
            .poll_deadline()
            .map(|at| at.saturating_since(self.shared.now()));
        tokio::select! {
            // First, so that a request to stop is heard before the next step is begun.
            biased;
            () = gate.closed() => None,
            Ok(()) = self.cancels.changed() => Some(SagaEvent::CancelRequested),
            Some(ended) = self.tasks.join_next() => self.event_of(ended),
            () = async { match until { Some(wait) => sleep(wait).await, None => std::future::pending().await } } => {
                Some(SagaEvent::Tick)
            }
        }
    }

    /// The event of a task that has ended. A superseded call may still tell of an effect; that it failed or found
    /// nothing says nothing about the call in its place.
    fn event_of(&mut self, ended: Result<Ended, JoinError>) -> Option<SagaEvent> {
        let (step, number, event) = match ended {
            Ok(Ended::Call { step, call, event }) => (step, call, event),
            Ok(Ended::Stray) => return None,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a task panicked");
                }
                return None;
            }
        };
        let is_latest = self.latest.get(&step).is_some_and(|latest| latest.call == number);
        if is_latest {
            self.latest.remove(&step);
        }
        let is_about_itself = matches!(
            event,
            SagaEvent::CallFailed { .. } | SagaEvent::Found { resource: None, .. }
        );
        (is_latest || !is_about_itself).then_some(event)
    }

    /// Tells watchers and the saga.
    fn take(&mut self, event: SagaEvent) {
        if let SagaEvent::CallFailed { step, detail, .. } = &event {
            tracing::warn!(%step, detail, "a call failed");
            self.shared.tell(Event::StepFailed {
                step: *step,
                detail: detail.clone(),
            });
        }
        self.handle(event);
    }

    fn handle(&mut self, event: SagaEvent) {
        match self.saga.handle(event, self.shared.now()) {
            Ok(()) => {}
            Err(
                SagaError::SecondResource {
                    other: resource, step, ..
                }
                | SagaError::TooLate { resource, step },
            ) => {
                self.remove_stray(step, resource);
            }
            // The saga's state is as before; its deadlines go on.
            Err(error) => tracing::error!(%error, "an event that cannot be"),
        }
    }

    /// Removes a thing that belongs to nobody, beside all else. Where that fails, the owner tag still shows it to the
    /// next observation.
    fn remove_stray(&mut self, step: StepId, resource: ResourceId) {
        let (shared, plan) = (Arc::clone(self.shared), Arc::clone(&self.plan));
        self.tasks.spawn(async move {
            if let Some(step) = plan.step(step) {
                let operation = undo_operation_id(&plan.id(), step.id);
                let removed = call::undo(&shared, &step.action, operation, &resource, stop_of(&step.action)).await;
                if let Err(error) = removed {
                    tracing::error!(%resource, error = call::chain(&error), "a stray thing could not be removed");
                }
            }
            Ended::Stray
        });
    }
}

/// How what a step makes or removes is stopped.
fn stop_of(action: &Action) -> StopSpec {
    match action {
        Action::CreateReplica { spec } => spec.stop,
        Action::DeleteReplica { stop, .. } => *stop,
        _ => StopSpec::default(),
    }
}

/// What the saga is told of a driver that broke off: a creation may have had its effect.
fn panicked(step: StepId) -> SagaEvent {
    tracing::error!(%step, "the driver panicked");
    SagaEvent::CallFailed {
        step,
        class: Class::Bug,
        // Without the panic's text, which may quote anything: the journal is no place for secrets.
        detail: "the driver panicked".to_owned(),
    }
}

/// Makes entries durable, with one sync.
pub(crate) async fn append(shared: &Shared, entries: Vec<JournalEntry>) -> Result<(), StoreError> {
    let raw = |entry: &JournalEntry| serde_json::value::to_raw_value(entry);
    let entries: Result<Vec<Entry>, _> = entries.iter().map(raw).collect();
    let entries = entries.expect("invariant: an entry of the journal has a JSON form");
    let begun = Instant::now();
    let written = shared.hold.append(&entries).await;
    telemetry::journal_appended(entries.len(), written.is_ok(), begun.elapsed());
    written
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
