//! The saga itself: its parts, its borders, and the one match over events.
//!
//! What follows from an answer is in `answer`, what follows from a durable record in `react`, undoing in `undo`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use skyloom_core::{Class, Digest, Plan, ResourceId, StepId, Timestamp, Until};

use super::durable::{Durable, Stage, creates};
use super::network::{MalformedPlan, Network, index};
use super::record::Outcome;
use super::status::{Failure, Progress, SagaStatus, StopCause};
use super::step::{Activity, Call};
use super::undo::Undo;
use super::{Command, Event, RECORD_VERSION, Record, SagaConfig, SagaError};

/// Carries out one plan. Equal events give equal commands.
///
/// Drive it so: poll commands until there are none; carry them out (records in order, calls as you like); hand what
/// happened to [`Saga::handle`]; send [`Event::Tick`] when [`Saga::poll_deadline`] is reached; stop when
/// [`Saga::status`] is final.
///
/// A creation or a wait that is given up stops the plan: nothing new is begun, calls under way are finished, and what
/// was created is deleted in reverse order. What stays is what something old was deleted for, with all that it rests
/// on: a rollback never takes the last replica. A deletion that is given up does not stop the plan: what waits for it
/// is not begun, all else goes on, and the next plan tries again.
#[derive(Debug, Clone)]
pub struct Saga {
    pub(super) plan: Plan,
    pub(super) id: Digest,
    pub(super) config: SagaConfig,
    pub(super) epoch: u64,
    pub(super) network: Network,
    pub(super) durable: Durable,
    pub(super) now: Timestamp,
    activity: Vec<Activity>,
    /// Look-ups that failed in a row, per step.
    pub(super) probes: Vec<u32>,
    /// Whether a step's token was sent before a look-up found nothing: then the provider may have spent it.
    pub(super) reused: Vec<bool>,
    /// Resources whose observation is on its way to the journal.
    pub(super) incoming: BTreeMap<StepId, ResourceId>,
    /// What the look under way at each gate was asked to measure: an answer that comes late says nothing of what has
    /// become due since.
    pub(super) asked: BTreeMap<StepId, Vec<u32>>,
    /// Edges that each node still waits for, and what each step has reached in their eyes.
    pub(super) waits: Vec<usize>,
    pub(super) reached: Vec<Option<Until>>,
    queue: BTreeSet<(Reverse<u32>, StepId)>,
    due: BTreeSet<(Timestamp, StepId)>,
    pub(super) tally: Progress,
    busy: usize,
    slots_used: usize,
    seq: u64,
    pub(super) pending: VecDeque<(u64, Record)>,
    outbox: VecDeque<Command>,
    pub(super) started: bool,
    pub(super) cancelling: bool,
    pub(super) undo: Option<Undo>,
    ending: bool,
    halted: Option<(Class, String)>,
}

impl Saga {
    /// A saga that begins a plan, under the controller's epoch.
    ///
    /// # Errors
    /// [`MalformedPlan`] when the plan does not hold together.
    pub fn new(plan: Plan, config: SagaConfig, epoch: u64) -> Result<Self, MalformedPlan> {
        let mut saga = Self::idle(plan, config, epoch)?;
        let (plan, generation) = (saga.id, saga.plan.snapshot.generation);
        saga.write(Record::Begun {
            version: RECORD_VERSION,
            plan,
            generation,
            epoch,
        });
        Ok(saga)
    }

    /// A saga that has not said anything yet.
    pub(super) fn idle(plan: Plan, config: SagaConfig, epoch: u64) -> Result<Self, MalformedPlan> {
        let network = Network::build(&plan)?;
        let count = plan.steps.len();
        Ok(Self {
            id: plan.id(),
            durable: Durable::new(&plan),
            waits: network.waits(),
            activity: vec![Activity::Idle; count],
            probes: vec![0; count],
            reused: vec![false; count],
            reached: vec![None; count],
            incoming: BTreeMap::new(),
            asked: BTreeMap::new(),
            queue: BTreeSet::new(),
            due: BTreeSet::new(),
            pending: VecDeque::new(),
            outbox: VecDeque::new(),
            now: Timestamp::EPOCH,
            tally: Progress {
                total: count as u64,
                ..Progress::default()
            },
            busy: 0,
            slots_used: 0,
            seq: 0,
            started: false,
            cancelling: false,
            undo: None,
            ending: false,
            halted: None,
            plan,
            config,
            epoch,
            network,
        })
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// [`SagaError`] for an event that cannot be; the state is as before. Events that may well come twice or late are
    /// ignored, as [`Event`] says for each.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Result<(), SagaError> {
        if let Some(step) = step_of(&event)
            && self.plan.step(step).is_none()
        {
            return Err(SagaError::UnknownStep { step });
        }
        if self.halted.is_some() {
            return Ok(());
        }
        self.now = now;
        match event {
            Event::Recorded { seq } => self.recorded(seq)?,
            Event::RecordFailed { class, detail } => self.halt(class, detail),
            Event::Created { step, resource } => self.created(step, resource)?,
            Event::Found { step, resource } => self.found(step, resource),
            Event::Gone { step } => self.gone(step)?,
            Event::Ready { step, until } => self.ready(step, until)?,
            Event::Looked { step, sick, measured } => self.looked(step, sick, &measured),
            Event::CallFailed { step, class, detail } => self.call_failed(step, class, detail),
            Event::Fenced { seen } => {
                let detail = format!("epoch {seen} is at work, ours is {}", self.epoch);
                self.halt(Class::Conflict, detail);
            }
            Event::CancelRequested => self.cancel(),
            Event::Tick => self.tick(),
        }
        self.drive();
        Ok(())
    }

    /// The next thing to do, if any.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.outbox.pop_front()
    }

    /// When [`Event::Tick`] is due, if at all.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Timestamp> {
        self.due.first().filter(|_| self.halted.is_none()).map(|(at, _)| *at)
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> SagaStatus {
        if let Some((class, detail)) = self.halted.clone() {
            return SagaStatus::Halted { class, detail };
        }
        let cause = || self.durable.cause.clone().unwrap_or(StopCause::Cancelled);
        match (self.durable.ended, &self.durable.cause) {
            (Some(Outcome::Succeeded), _) => SagaStatus::Succeeded,
            (Some(Outcome::Incomplete), _) => SagaStatus::Incomplete {
                left: sorted(self.durable.undeleted.clone()),
            },
            (Some(Outcome::RolledBack), Some(StopCause::Failed(failure))) => SagaStatus::RolledBack {
                cause: failure.clone(),
                kept: self.remaining(),
            },
            (Some(Outcome::RolledBack | Outcome::Cancelled), _) => SagaStatus::Cancelled { kept: self.remaining() },
            (Some(Outcome::Stuck), _) => SagaStatus::Stuck {
                cause: cause(),
                left: self.left_behind(),
            },
            (None, None) => SagaStatus::Running,
            (None, Some(_)) if self.undo.is_some() => SagaStatus::Compensating { cause: cause() },
            (None, Some(_)) => SagaStatus::Stopping { cause: cause() },
        }
    }

    /// What the provider calls each thing that this plan has made or taken over and not undone.
    #[must_use]
    pub fn resources(&self) -> BTreeMap<StepId, ResourceId> {
        let known = |step: &skyloom_core::Step| match self.durable.stage(step.id) {
            Stage::Undone { .. } => None,
            stage => stage.resource().map(|resource| (step.id, resource.clone())),
        };
        self.plan
            .steps
            .iter()
            .filter(|s| creates(&s.action) && !matches!(s.action, skyloom_core::Action::SyncData { .. }))
            .filter_map(known)
            .collect()
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan's id.
    #[must_use]
    pub const fn plan_id(&self) -> &Digest {
        &self.id
    }

    /// The controller's epoch, which goes with every call.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The epoch of the journal's last controller, if it has begun.
    #[must_use]
    pub const fn journal_epoch(&self) -> Option<u64> {
        self.durable.epoch
    }

    // Below: bookkeeping that the other rooms of this module use.

    pub(super) fn activity(&self, step: StepId) -> Activity {
        self.activity[index(step)]
    }

    pub(super) const fn stopping(&self) -> bool {
        self.durable.cause.is_some()
    }

    pub(super) fn send(&mut self, command: Command) {
        self.outbox.push_back(command);
    }

    pub(super) fn write(&mut self, record: Record) {
        self.seq += 1;
        self.pending.push_back((self.seq, record.clone()));
        self.outbox.push_back(Command::Record { seq: self.seq, record });
    }

    /// Changes what a step is doing, and with it the queue, the deadlines and the counts.
    pub(super) fn set(&mut self, step: StepId, next: Activity) {
        let before = std::mem::replace(&mut self.activity[index(step)], next);
        self.tally_activity(before, next);
        let key = (Reverse(self.network.height[index(step)]), step);
        if let Some(at) = before.due() {
            self.due.remove(&(at, step));
        }
        if let Some(at) = next.due() {
            self.due.insert((at, step));
        }
        if matches!(before, Activity::Queued(_)) {
            self.queue.remove(&key);
        }
        if matches!(next, Activity::Queued(_)) {
            self.queue.insert(key);
        }
        let slot = |activity| usize::from(matches!(activity, Activity::Calling { .. } | Activity::Writing(_)));
        self.slots_used = self.slots_used + slot(next) - slot(before);
        let busy = |activity| usize::from(activity != Activity::Idle);
        self.busy = self.busy + busy(next) - busy(before);
    }

    /// Fills free slots, longest remaining path first, and ends when there is nothing left to do.
    pub(super) fn drive(&mut self) {
        if self.halted.is_some() || !self.started {
            return;
        }
        loop {
            while self.slots_used < self.config.parallelism.get() as usize {
                let Some((_, step)) = self.queue.pop_first() else {
                    break;
                };
                if let Activity::Queued(call) = self.activity(step) {
                    self.begin(step, call);
                }
            }
            let over = self.busy == 0 && self.pending.is_empty() && !self.ending;
            if !over {
                return;
            }
            if self.stopping() && self.undo.is_none() {
                self.begin_undo();
                continue;
            }
            self.ending = true;
            let outcome = self.outcome();
            self.write(Record::Ended { outcome });
            return;
        }
    }

    fn outcome(&self) -> Outcome {
        let fine = |stage: &Stage| {
            matches!(
                stage,
                Stage::Gone | Stage::Passed | Stage::Observed { broken: false, .. }
            )
        };
        match &self.durable.cause {
            None if self.durable.stages.iter().all(fine) => Outcome::Succeeded,
            None => Outcome::Incomplete,
            Some(_) if !self.left_behind().is_empty() => Outcome::Stuck,
            Some(StopCause::Failed(_)) => Outcome::RolledBack,
            Some(StopCause::Cancelled) => Outcome::Cancelled,
        }
    }

    fn remaining(&self) -> Vec<StepId> {
        self.resources().into_keys().collect()
    }

    fn left_behind(&self) -> Vec<Failure> {
        let mut left = self.durable.stuck.clone();
        let blocked = self.to_undo().into_iter().filter(|step| {
            matches!(
                self.durable.stage(*step),
                Stage::Observed { .. } | Stage::Undoing { .. }
            )
        });
        left.extend(blocked.map(|step| Failure {
            step,
            class: Class::Conflict,
            detail: String::from("what rests on it could not be undone"),
        }));
        sorted(left)
    }

    fn cancel(&mut self) {
        let over = self.ending || self.durable.ended.is_some();
        if !over && !self.cancelling && !self.stopping() {
            self.cancelling = true;
            self.write(Record::CancelRequested);
        }
    }

    fn halt(&mut self, class: Class, detail: String) {
        self.halted = Some((class, detail));
        self.outbox.clear();
    }

    fn recorded(&mut self, seq: u64) -> Result<(), SagaError> {
        if seq > self.seq {
            return Err(SagaError::NotHandedOut { seq, last: self.seq });
        }
        while let Some((number, record)) = self.pending.pop_front() {
            if number > seq {
                self.pending.push_front((number, record));
                break;
            }
            let apply = |saga: &mut Self| saga.durable.apply(&saga.plan, &record);
            let applied = match record.step() {
                Some(step) => self.tallied(index(step), apply),
                None => apply(self),
            };
            debug_assert_eq!(applied, Ok(()), "{record:?}");
            if matches!(record, Record::Begun { .. }) {
                self.tally_all();
            }
            self.react(record);
        }
        Ok(())
    }

    fn tick(&mut self) {
        while let Some((at, step)) = self.due.first().copied()
            && at <= self.now
        {
            self.due.pop_first();
            self.expire(step);
        }
    }

    pub(super) fn queue_call(&mut self, step: StepId, call: Call) {
        self.set(step, Activity::Queued(call));
    }
}

fn sorted(mut failures: Vec<Failure>) -> Vec<Failure> {
    failures.sort_by_key(|failure| failure.step);
    failures
}

const fn step_of(event: &Event) -> Option<StepId> {
    match event {
        Event::Created { step, .. }
        | Event::Found { step, .. }
        | Event::Gone { step }
        | Event::Ready { step, .. }
        | Event::Looked { step, .. }
        | Event::CallFailed { step, .. } => Some(*step),
        Event::Recorded { .. }
        | Event::RecordFailed { .. }
        | Event::Fenced { .. }
        | Event::CancelRequested
        | Event::Tick => None,
    }
}
