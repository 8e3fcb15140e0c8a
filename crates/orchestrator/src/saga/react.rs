//! What follows from a record that has become durable: the next call, the next steps, the end.

use skyloom_core::{Action, Class, Compensation, StepId, StopSpec, Until};

use super::answer::leaves_doubt;
use super::durable::{Stage, creates, deletes};
use super::machine::Saga;
use super::names;
use super::network::index;
use super::record::Verdict;
use super::step::{Activity, Call, Writing};
use super::{Command, Record};

impl Saga {
    /// The record has been applied already.
    pub(super) fn react(&mut self, record: Record) {
        match record {
            Record::Begun { .. } | Record::Resumed { .. } => self.start(),
            Record::Intent { step, .. } if self.stopping() => self.withdraw(step),
            Record::Intent { step, .. } if deletes(&self.plan.steps[index(step)].action) => {
                self.begin(step, Call::Delete);
            }
            Record::Intent { step, .. } => self.begin(step, Call::Create),
            Record::Observed { step, .. } => {
                self.incoming.remove(&step);
                self.satisfy(step, Until::Done);
                self.await_next(step);
            }
            Record::Ready { step, until } => {
                self.satisfy(step, until);
                self.await_next(step);
            }
            Record::Gone { step } | Record::Passed { step } => {
                self.set(step, Activity::Idle);
                self.satisfy(step, Until::Completed);
            }
            Record::GateOpened { step, .. } => self.look(step),
            Record::Measured { step, .. } => self.measured(step),
            Record::Failed {
                step,
                class,
                verdict: Verdict::Again,
                ..
            } => self.go_on(step, class),
            Record::Failed { step, .. } => {
                self.set(step, Activity::Idle);
                self.stop_if_due();
            }
            Record::Withdrawn { step } => self.set(step, Activity::Idle),
            Record::CancelRequested => self.stop_if_due(),
            Record::CompensationIntent { step, .. } => self.begin(step, Call::Undo),
            Record::Compensated { step } => {
                self.set(step, Activity::Idle);
                self.undone(index(step));
            }
            Record::Ended { .. } => {}
        }
    }

    /// Makes a call, or writes the intent to.
    pub(super) fn begin(&mut self, step: StepId, call: Call) {
        let stop = self.stop_spec(step);
        match call {
            Call::Begin if self.is_gate(step) => return self.open(step),
            Call::Begin => return self.intend(step, 1),
            Call::BeginUndo => return self.intend_undo(step),
            Call::Await => return self.await_next(step),
            Call::Create | Call::LookUp { .. } => {
                let command = self.creation(step, call);
                self.send(command);
            }
            Call::Delete | Call::Undo => {
                if let Some(command) = self.deletion(step, call, stop) {
                    self.send(command);
                }
            }
        }
        let grace = if matches!(call, Call::Delete | Call::Undo) {
            stop.grace
        } else {
            std::time::Duration::ZERO
        };
        // Copying takes as long as there is data.
        let within = match &self.plan.steps[index(step)].action {
            Action::SyncData { .. } => self.config.call_within.max(self.config.complete_within),
            _ => self.config.call_within,
        };
        let deadline = self.now.saturating_add(within.saturating_add(grace));
        self.set(step, Activity::Calling { call, deadline });
    }

    /// Asks for the next condition that somebody needs, if there is one.
    pub(super) fn await_next(&mut self, step: StepId) {
        if matches!(self.durable.stage(step), Stage::Watching(_)) {
            return self.look(step);
        }
        let next = match self.durable.stage(step) {
            Stage::Observed {
                resource,
                level,
                broken: false,
                ..
            } if !self.stopping() => {
                let need = self.network.needs[index(step)].iter().find(|need| *need > level);
                need.map(|until| (*until, resource.clone()))
            }
            _ => None,
        };
        let Some((until, resource)) = next else {
            return self.set(step, Activity::Idle);
        };
        self.send(Command::AwaitReady { step, resource, until });
        let deadline = self.now.saturating_add(self.ready_within(step, until));
        self.set(step, Activity::Awaiting { until, deadline });
    }

    /// Begins, or goes on after a crash: what each step does next follows from its stage.
    fn start(&mut self) {
        self.started = true;
        let free: Vec<usize> = (0..self.waits.len()).filter(|node| self.waits[*node] == 0).collect();
        free.into_iter().for_each(|node| self.release(node));
        for i in 0..self.plan.steps.len() {
            let step = self.plan.steps[i].id;
            match self.durable.stage(step).clone() {
                Stage::Intended { .. } if deletes(&self.plan.steps[i].action) => self.queue_call(step, Call::Delete),
                Stage::Intended { .. } => self.queue_call(step, Call::LookUp { settled: false }),
                Stage::Observed { level, .. } => {
                    self.satisfy(step, level);
                    self.await_next(step);
                }
                Stage::Gone | Stage::Passed => self.satisfy(step, Until::Completed),
                Stage::Watching(_) => self.look(step),
                _ => {}
            }
        }
    }

    /// Tells the steps that wait for `step` that it has reached `level`.
    fn satisfy(&mut self, step: StepId, level: Until) {
        let before = self.reached[index(step)].replace(level);
        let newly = |until: Option<Until>| until <= Some(level) && until > before;
        let edges = &self.network.out[index(step)];
        let targets: Vec<usize> = edges.iter().filter(|e| newly(e.until)).map(|e| e.target).collect();
        targets.into_iter().for_each(|target| self.satisfied(target));
    }

    fn satisfied(&mut self, node: usize) {
        self.waits[node] -= 1;
        if self.waits[node] == 0 {
            self.release(node);
        }
    }

    /// A node waits for nothing any more: a step is queued, a barrier passes it on.
    fn release(&mut self, node: usize) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if node < self.network.steps {
                let step = self.plan.steps[node].id;
                if !self.stopping() && *self.durable.stage(step) == Stage::Waiting {
                    self.queue_call(step, Call::Begin);
                }
                continue;
            }
            for i in 0..self.network.out[node].len() {
                let target = self.network.out[node][i].target;
                self.waits[target] -= 1;
                if self.waits[target] == 0 {
                    open.push(target);
                }
            }
        }
    }

    /// A failure after which the step goes on.
    fn go_on(&mut self, step: StepId, class: Class) {
        let wait = self.backoff(step);
        match self.durable.stage(step).clone() {
            Stage::Intended { .. } if deletes(&self.plan.steps[index(step)].action) => {
                self.sleep(step, Call::Delete, wait);
            }
            Stage::Intended { .. } if leaves_doubt(class) => self.begin(step, Call::LookUp { settled: false }),
            Stage::Intended { .. } if self.stopping() => self.withdraw(step),
            Stage::Intended { attempt, .. } if class == Class::Conflict => self.intend(step, attempt + 1),
            Stage::Intended { .. } => self.sleep(step, Call::Create, wait),
            Stage::Undoing { .. } => self.sleep(step, Call::Undo, wait),
            Stage::Observed { .. } if !self.stopping() => self.sleep(step, Call::Await, wait),
            _ => self.set(step, Activity::Idle),
        }
    }

    /// From the first cause on nothing new is begun; what is in doubt is still looked up, deletions are finished.
    fn stop_if_due(&mut self) {
        if !self.stopping() || self.undo.is_some() {
            return;
        }
        for i in 0..self.plan.steps.len() {
            let step = self.plan.steps[i].id;
            match self.activity(step) {
                Activity::Queued(Call::Begin) | Activity::Sleeping { call: Call::Await, .. } => {
                    self.set(step, Activity::Idle);
                }
                Activity::Queued(Call::Create) | Activity::Sleeping { call: Call::Create, .. } => self.withdraw(step),
                Activity::Awaiting { .. } => {
                    self.send(Command::StopAwaiting { step });
                    self.set(step, Activity::Idle);
                }
                _ => {}
            }
        }
    }

    fn intend(&mut self, step: StepId, attempt: u32) {
        let parameters = names::parameters(&self.plan.steps[index(step)]);
        self.reused[index(step)] = false;
        self.write(Record::Intent {
            step,
            operation: names::operation_id(&self.id, step),
            token: names::token(&self.id, step, attempt, &parameters),
            attempt,
            parameters,
        });
        self.set(step, Activity::Writing(Writing::Intent));
    }

    fn intend_undo(&mut self, step: StepId) {
        let Some(resource) = self.durable.stage(step).resource().cloned() else {
            return self.set(step, Activity::Idle);
        };
        self.write(Record::CompensationIntent {
            step,
            operation: names::undo_operation_id(&self.id, step),
            resource,
        });
        self.set(step, Activity::Writing(Writing::Intent));
    }

    fn creation(&self, step: StepId, call: Call) -> Command {
        let attempt = match self.durable.stage(step) {
            Stage::Intended { attempt, .. } => *attempt,
            _ => 1,
        };
        let parameters = names::parameters(&self.plan.steps[index(step)]);
        let operation = names::operation_id(&self.id, step);
        let token = names::token(&self.id, step, attempt, &parameters);
        if call == Call::Create {
            Command::Create {
                step,
                operation,
                token,
                machine: self.machine_of(step),
            }
        } else {
            Command::Lookup { step, operation, token }
        }
    }

    /// What the provider calls the machine of a replica that is to be created.
    fn machine_of(&self, step: StepId) -> Option<skyloom_core::ResourceId> {
        let Action::CreateReplica { spec } = &self.plan.steps[index(step)].action else {
            return None;
        };
        if let Some(resource) = self.plan.machines.get(&spec.machine) {
            return Some(resource.clone());
        }
        let maker = self.network.makers.get(&spec.machine)?;
        self.durable.stages[*maker].resource().cloned()
    }

    fn deletion(&self, step: StepId, call: Call, stop: StopSpec) -> Option<Command> {
        let (operation, resource) = match (&self.plan.steps[index(step)].action, call) {
            (_, Call::Undo) => {
                let resource = self.durable.stage(step).resource()?.clone();
                (names::undo_operation_id(&self.id, step), resource)
            }
            (Action::DeleteReplica { resource, .. } | Action::DeleteMachine { resource, .. }, _) => {
                (names::operation_id(&self.id, step), resource.clone())
            }
            _ => return None,
        };
        Some(Command::Delete {
            step,
            operation,
            resource,
            stop,
        })
    }

    fn stop_spec(&self, step: StepId) -> StopSpec {
        match &self.plan.steps[index(step)].action {
            Action::DeleteReplica { stop, .. } => *stop,
            Action::CreateReplica { spec } => spec.stop,
            _ => StopSpec::default(),
        }
    }

    /// Whether a step made or took something that a rollback may delete or give back.
    pub(super) fn can_be_undone(&self, step: StepId) -> bool {
        let plan_step = &self.plan.steps[index(step)];
        let undone = match &plan_step.compensation {
            Compensation::Delete | Compensation::Release => true,
            Compensation::Nothing { .. } => false,
        };
        creates(&plan_step.action) && undone
    }
}
