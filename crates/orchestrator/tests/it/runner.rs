//! Drives a saga against a world: what the runtime does, with every choice of order left to dice.

use skyloom_core::{Class, Millionths, Plan, StepId, Timestamp};
use skyloom_orchestrator::{Command, Event, Record, Saga, SagaConfig, SagaStatus};

use crate::fixture::Dice;
use crate::world::{World, is_call};

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails without effect.
    Refused(Class),
    /// It has its effect and the answer is lost, or beyond understanding.
    Lost(Class),
    /// Neither effect nor answer.
    Silent,
}

/// Decides what goes wrong: which step, what call of that step (from 0), what command.
pub(crate) type Faults = Box<dyn FnMut(StepId, u32, &Command) -> Option<Fault>>;

pub(crate) struct Runner<'a> {
    pub(crate) saga: Saga,
    pub(crate) world: &'a mut World,
    pub(crate) journal: Vec<Record>,
    pub(crate) dice: Dice,
    pub(crate) now: Timestamp,
    /// Every command in order, for comparison.
    pub(crate) log: Vec<Command>,
    plan: Plan,
    parallelism: usize,
    unsynced: Vec<(u64, Record)>,
    calls: Vec<Command>,
    calls_made: std::collections::BTreeMap<StepId, u32>,
    pub(crate) faults: Faults,
    /// What every metric is; `None`: no source knows it.
    pub(crate) measurement: Option<Millionths>,
}

/// Moves after which a run that has not ended never will.
const MOVES_MAX: usize = 20_000;

impl<'a> Runner<'a> {
    pub(crate) fn new(plan: &Plan, config: SagaConfig, world: &'a mut World, seed: u64) -> Self {
        let saga = Saga::new(plan.clone(), config, 1).unwrap();
        Self {
            saga,
            world,
            journal: Vec::new(),
            dice: Dice(seed),
            now: Timestamp::EPOCH,
            log: Vec::new(),
            plan: plan.clone(),
            parallelism: config.parallelism.get() as usize,
            unsynced: Vec::new(),
            calls: Vec::new(),
            calls_made: std::collections::BTreeMap::new(),
            faults: Box::new(|_, _, _| None),
            measurement: Some(Millionths::from_millionths(0)),
        }
    }

    pub(crate) fn with_faults(mut self, faults: impl FnMut(StepId, u32, &Command) -> Option<Fault> + 'static) -> Self {
        self.faults = Box::new(faults);
        self
    }

    /// Runs to the end, which must come.
    pub(crate) fn finish(&mut self) -> SagaStatus {
        for _ in 0..MOVES_MAX {
            if !self.step(usize::MAX) {
                let status = self.saga.status();
                assert!(
                    status.is_final(),
                    "nothing to do and not over: {status:?}, {:?}",
                    self.saga.progress()
                );
                assert_eq!(self.saga.poll_deadline(), None);
                let over = self.saga.progress();
                assert_eq!((over.calling, over.waiting), (0, 0), "{over:?}");
                return status;
            }
        }
        panic!("no end: {:?}", self.saga.status());
    }

    /// Runs until exactly `records` are durable, or to the end; then the controller dies. Calls under way may or may not
    /// have had their effect.
    pub(crate) fn crash_after(&mut self, records: usize) {
        for _ in 0..MOVES_MAX {
            if self.journal.len() >= records || !self.step(records) {
                break;
            }
        }
        for call in std::mem::take(&mut self.calls) {
            let fault = self.fault(&call);
            if self.dice.one_in(2) && matches!(fault, None | Some(Fault::Lost(_))) {
                self.perform(&call);
            }
        }
    }

    /// A new controller takes the journal up.
    pub(crate) fn resume(&mut self, config: SagaConfig) {
        let epoch = self.saga.epoch() + 1;
        let saga = Saga::resume(self.plan.clone(), config, epoch, &self.journal);
        let saga = saga.unwrap_or_else(|error| panic!("{error}: {:#?}", self.journal));
        // A resumed saga counts from the journal, one that runs with each change.
        let counts = |saga: &Saga| {
            let progress = saga.progress();
            (progress.total, progress.done, progress.failed, progress.undone)
        };
        assert_eq!(counts(&saga), counts(&self.saga), "{:#?}", self.journal);
        let idle = saga.progress();
        assert_eq!((idle.calling, idle.waiting), (0, 0));
        self.saga = saga;
        self.unsynced.clear();
        self.calls.clear();
    }

    pub(crate) fn handle(&mut self, event: Event) {
        self.saga
            .handle(event.clone(), self.now)
            .unwrap_or_else(|error| panic!("{error}: {event:?}"));
    }

    /// One move; `false` when there is none. Makes no record beyond `records` durable.
    pub(crate) fn step(&mut self, records: usize) -> bool {
        self.drain();
        let room = records.saturating_sub(self.journal.len()).min(self.unsynced.len());
        if room > 0 && (self.calls.is_empty() || self.dice.one_in(2)) {
            let count = 1 + self.dice.below(room);
            let synced: Vec<_> = self.unsynced.drain(..count).collect();
            let seq = synced.last().unwrap().0;
            for (_, record) in synced {
                // What a gate is waited for has come true in the world when it is passed.
                if let Record::Passed { step } = &record {
                    self.world.told.insert(*step, skyloom_core::Until::Completed);
                }
                self.journal.push(record);
            }
            self.handle(Event::Recorded { seq });
            return true;
        }
        if !self.calls.is_empty() {
            let i = self.dice.below(self.calls.len());
            let call = self.calls.swap_remove(i);
            self.answer(&call);
            return true;
        }
        let Some(deadline) = self.saga.poll_deadline() else {
            return false;
        };
        self.now = self.now.max(deadline);
        self.handle(Event::Tick);
        true
    }

    fn drain(&mut self) {
        while let Some(command) = self.saga.poll_command() {
            self.log.push(command.clone());
            match &command {
                Command::Record { seq, record } => self.unsynced.push((*seq, record.clone())),
                Command::StopAwaiting { step } => self.calls.retain(|c| step_of(c) != *step),
                _ => {
                    self.assert_written_ahead(&command);
                    self.calls.retain(|c| step_of(c) != step_of(&command));
                    self.calls.push(command);
                }
            }
        }
        let calls = self.calls.iter().filter(|c| is_call(c)).count();
        assert!(calls <= self.parallelism, "I9: {calls} calls at once");
    }

    fn answer(&mut self, call: &Command) {
        let step = step_of(call);
        let fault = self.fault(call);
        let failed = |class: Class| Event::CallFailed {
            step,
            class,
            detail: format!("{class}"),
        };
        let event = match fault {
            Some(Fault::Refused(class)) => failed(class),
            Some(Fault::Lost(class)) => {
                self.perform(call);
                failed(class)
            }
            // The deadline will tell.
            Some(Fault::Silent) => return,
            None => self.perform(call),
        };
        self.handle(event);
    }

    fn fault(&mut self, call: &Command) -> Option<Fault> {
        let step = step_of(call);
        let nth = self.calls_made.entry(step).or_default();
        *nth += 1;
        (self.faults)(step, *nth - 1, call)
    }

    /// Lets a call have its effect and gives its answer.
    fn perform(&mut self, call: &Command) -> Event {
        let failed = |step, class| Event::CallFailed {
            step,
            class,
            detail: format!("{class}"),
        };
        match call {
            Command::Create {
                step, token, machine, ..
            } => match self.world.create(&self.plan, *step, token, machine.as_ref()) {
                Ok(resource) => Event::Created { step: *step, resource },
                Err(class) => failed(*step, class),
            },
            Command::Lookup { step, token, .. } => Event::Found {
                step: *step,
                resource: self.world.look_up(token),
            },
            Command::Look { step, watched, due } => Event::Looked {
                step: *step,
                sick: self.world.sick(watched),
                measured: due.iter().filter_map(|i| Some((*i, self.measurement?))).collect(),
            },
            Command::AwaitReady { step, resource, until } => {
                self.world.ready(*step, resource, *until);
                let (step, until) = (*step, *until);
                Event::Ready { step, until }
            }
            Command::Delete {
                step,
                operation,
                resource,
                ..
            } => {
                let undo = operation.as_str().ends_with("-undo");
                match self.world.delete(&self.plan, *step, resource, undo) {
                    Ok(()) => Event::Gone { step: *step },
                    Err(class) => failed(*step, class),
                }
            }
            Command::Record { .. } | Command::StopAwaiting { .. } => unreachable!("not a call"),
        }
    }

    /// No call without its durable intent, no wait without its durable observation.
    fn assert_written_ahead(&self, command: &Command) {
        let written = self.journal.iter().any(|record| match (command, record) {
            (
                Command::Create {
                    step, operation, token, ..
                }
                | Command::Lookup { step, operation, token },
                Record::Intent {
                    step: s,
                    operation: o,
                    token: t,
                    ..
                },
            ) => (step, operation, token) == (s, o, t),
            (
                Command::Delete { step, operation, .. },
                Record::Intent {
                    step: s, operation: o, ..
                }
                | Record::CompensationIntent {
                    step: s, operation: o, ..
                },
            ) => (step, operation) == (s, o),
            (Command::AwaitReady { step, .. }, Record::Observed { step: s, .. })
            | (Command::Look { step, .. }, Record::GateOpened { step: s, .. }) => step == s,
            _ => false,
        });
        let waits_only = matches!(command, Command::AwaitReady { step, .. }
            if matches!(self.plan.step(*step).unwrap().action, skyloom_core::Action::AwaitReplica { .. }));
        assert!(written || waits_only, "{command:?} is not written ahead");
    }
}

pub(crate) fn step_of(command: &Command) -> StepId {
    match command {
        Command::Create { step, .. }
        | Command::Lookup { step, .. }
        | Command::AwaitReady { step, .. }
        | Command::Look { step, .. }
        | Command::StopAwaiting { step }
        | Command::Delete { step, .. } => *step,
        Command::Record { .. } => unreachable!("records have no step of their own"),
    }
}
