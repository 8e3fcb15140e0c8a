//! A controller cut into moves: between any two of them the process can die.
//!
//! It does what the runtime does around a saga (`apply`, `carry`, `observe`): write and sync records, make calls, tell
//! what happened, make the state durable, empty the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skyloom_core::{
    Action, Class, Manifest, Node, ObservedReplica, Plan, ReplicaState, ResourceId, Snapshot, Step, StepId, StopSpec,
    Timestamp,
};
use skyloom_orchestrator::{
    Command, Event, Record, Saga, SagaError, SagaStatus, SeenCondition, SeenThing, Started, destroy, drift,
    for_planning, jobs_are_done, plan, way_back,
};
use skyloom_provider::{Admission, RateLimit, Resource, ResourceState};
use skyloom_runtime::store::{Interrupted, JournalEntry, LogEnd, State, read_log};

use super::disk::{JOURNAL, LEASE, STATE};
use super::mutant::Mutant;
use super::port::{Port, owner, step_of};
use super::script::Wish;
use super::sim::{Late, Told, World};

/// Time between two looks at a thing that is starting.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Repetitions of a look at everything.
const LOOKS_MAX: usize = 60;

/// The smallest thing a controller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Records go to the file.
    Write,
    /// The file is synced and the records acknowledged.
    Sync,
    /// A call reaches the provider.
    Effect(StepId),
    /// Its answer arrives.
    Reply(StepId),
    /// The state is replaced (or emptied first, by a mutant).
    Save,
    /// The journal is emptied.
    Reset,
    /// Time passes.
    Wait,
}

/// A call under way.
#[derive(Debug, Clone)]
struct Flight {
    command: Command,
    not_before: Timestamp,
    /// When nobody waits for it any more.
    until: Timestamp,
    /// Calls that the rate limit has let through for it.
    paid: u32,
    answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    None,
    Here(Event),
    /// It never comes.
    Lost,
}

/// A plan under way.
#[derive(Debug, Clone)]
struct Run {
    plan: Arc<Plan>,
    manifest: Option<Manifest>,
    saga: Saga,
    /// Whether the plan's entry is in the journal.
    begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settling {
    No,
    Emptied,
    Saved,
    WasReset,
}

#[derive(Debug, Clone)]
pub(super) struct Controller {
    epoch: u64,
    state: State,
    end: LogEnd,
    pace: RateLimit,
    run: Option<Run>,
    queue: Vec<(u64, JournalEntry)>,
    unsynced: Vec<(u64, JournalEntry)>,
    flights: BTreeMap<StepId, Flight>,
    settling: Settling,
    /// What the last look has shown.
    seen: Vec<SeenThing>,
}

/// What a move has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moved {
    On,
    /// The plan has ended and the state is durable.
    Ended(SagaStatus),
    /// A later controller, or a journal that refuses: nothing more can be done.
    Died,
}

impl Controller {
    /// Takes the lease and reads what is there. Also: how many whole entries the journal had.
    pub(super) fn boot(world: &mut World) -> Result<(Self, usize), String> {
        let epoch = 1 + lease(world.disk.durable(LEASE))?;
        world.disk.replace(LEASE, format!("{epoch:020}\n").as_bytes());
        let state = match world.disk.durable(STATE) {
            [] if world.disk.exists(STATE) => State::from_bytes(b""),
            [] => Ok(State::default()),
            bytes => State::from_bytes(bytes),
        }?;
        let (entries, end) = read_journal(world)?;
        let count = entries.len();
        let mut controller = Self {
            epoch,
            state,
            end,
            pace: world.script.pace(world.mutant),
            run: None,
            queue: Vec::new(),
            unsynced: Vec::new(),
            flights: BTreeMap::new(),
            settling: Settling::No,
            seen: Vec::new(),
        };
        if let Some(interrupted) = Interrupted::from_entries(entries, &controller.state) {
            controller.resume(world, interrupted)?;
        }
        Ok((controller, count))
    }

    fn resume(&mut self, world: &mut World, interrupted: Interrupted) -> Result<(), String> {
        let Interrupted {
            plan,
            manifest,
            mut records,
        } = interrupted;
        if world.mutant == Some(Mutant::GateSkipped) {
            records = with_gates_passed(records);
        }
        for record in &records {
            self.state.record(&plan, record);
        }
        let config = world.script.saga_of(world.mutant);
        let saga = Saga::resume(plan.clone(), config, self.epoch, &records).map_err(|error| error.to_string())?;
        self.run = Some(Run {
            plan: Arc::new(plan),
            manifest,
            saga,
            begun: true,
        });
        self.drain(world);
        Ok(())
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.run.is_none()
    }

    /// Whether a plan has failed whose way back is to be made.
    pub(super) const fn must_go_back(&self) -> bool {
        self.state.reverting.is_some()
    }

    /// The plan back to the manifest in force, as the runtime makes it; `false`: there is nothing to do, and that is kept.
    pub(super) fn propose_back(&mut self, world: &mut World, before: &Wish) -> Result<bool, String> {
        self.settle_doubts(world)?;
        let manifest = self.state.manifest.clone().ok_or("nothing is in force")?;
        let snapshot = jobs_are_done(&manifest, &self.observe(world)?);
        let back = way_back(&manifest);
        let made = plan(&back, &before.placement(&snapshot), &snapshot);
        let mut made = made.map_err(|error| error.to_string())?;
        if made.is_empty() {
            let mut state = self.state.clone();
            state.reverting = None;
            world.disk.replace(STATE, &state.to_bytes());
            self.state = state;
            return Ok(false);
        }
        if world.mutant == Some(Mutant::RevertDeletesFirst) {
            let deletes = |step: &&mut Step| matches!(step.action, Action::DeleteReplica { .. });
            for step in made.steps.iter_mut().filter(deletes) {
                step.after.clear();
                step.after_all.clear();
            }
        }
        self.begin_plan(world, made, Some(manifest))?;
        Ok(true)
    }

    /// The plan from here to a wish, and the plan is put into the journal unless there is nothing to do.
    pub(super) fn propose(&mut self, world: &mut World, wish: &Wish) -> Result<bool, String> {
        self.settle_doubts(world)?;
        let snapshot = match &wish.manifest {
            Some(manifest) => self.observe_changes(world, manifest)?,
            None => self.observe(world)?,
        };
        let made = match &wish.manifest {
            Some(manifest) => {
                let manifest = broken_manifest(manifest, world.mutant);
                plan(&manifest, &wish.placement(&snapshot), &snapshot)
            }
            None => destroy(
                &"shop".parse().map_err(|_| "a name")?,
                &snapshot,
                self.state.manifest.as_ref(),
            ),
        };
        let mut made = made.map_err(|error| error.to_string())?;
        if made.is_empty() {
            return Ok(false);
        }
        break_plan(&mut made, world.mutant);
        self.begin_plan(world, made, wish.manifest.clone())?;
        Ok(true)
    }

    fn begin_plan(&mut self, world: &World, made: Plan, manifest: Option<Manifest>) -> Result<(), String> {
        let config = world.script.saga_of(world.mutant);
        let saga = Saga::new(made.clone(), config, self.epoch).map_err(|error| error.to_string())?;
        let plan = Box::new(made.clone());
        self.queue.push((
            0,
            JournalEntry::Plan {
                plan,
                manifest: manifest.clone().map(Box::new),
            },
        ));
        self.run = Some(Run {
            plan: Arc::new(made),
            manifest,
            saga,
            begun: false,
        });
        Ok(())
    }

    // --- moves -------------------------------------------------------------------------------------------------------

    /// What can happen next, in a fixed order. Waiting is always possible and comes last.
    pub(super) fn moves(&self, now: Timestamp) -> Vec<Move> {
        let mut moves = Vec::new();
        if !self.unsynced.is_empty() {
            moves.push(Move::Sync);
        } else if !self.queue.is_empty() {
            moves.push(Move::Write);
        }
        for (step, flight) in &self.flights {
            match &flight.answer {
                Answer::None if flight.not_before <= now => moves.push(Move::Effect(*step)),
                Answer::Here(_) => moves.push(Move::Reply(*step)),
                Answer::None | Answer::Lost => {}
            }
        }
        if moves.is_empty()
            && self
                .run
                .as_ref()
                .is_some_and(|run| run.begun && run.saga.status().is_final())
        {
            moves.push(match self.settling {
                Settling::No | Settling::Emptied | Settling::WasReset => Move::Save,
                Settling::Saved => Move::Reset,
            });
        }
        moves
    }

    pub(super) fn make(&mut self, world: &mut World, chosen: Move) -> Moved {
        match chosen {
            Move::Write => self.write(world),
            Move::Sync => self.sync(world),
            Move::Effect(step) => self.effect(world, step),
            Move::Reply(step) => {
                if let Some(Flight {
                    answer: Answer::Here(event),
                    ..
                }) = self.flights.remove(&step)
                {
                    self.handle(world, event);
                }
            }
            Move::Save | Move::Reset => return self.settle(world, chosen),
            Move::Wait => self.wait(world),
        }
        self.drain(world);
        let halted = self
            .run
            .as_ref()
            .is_some_and(|run| matches!(run.saga.status(), SagaStatus::Halted { .. }));
        if halted { Moved::Died } else { Moved::On }
    }

    fn write(&mut self, world: &mut World) {
        self.unsynced = std::mem::take(&mut self.queue);
        let entries: Vec<&JournalEntry> = self.unsynced.iter().map(|(_, entry)| entry).collect();
        let (bytes, end) = self.end.append(&entries);
        self.end = end;
        world.disk.append(JOURNAL, &bytes);
    }

    fn sync(&mut self, world: &mut World) {
        world.disk.sync(JOURNAL);
        let synced = std::mem::take(&mut self.unsynced);
        let Some(run) = &mut self.run else { return };
        let plan = Arc::clone(&run.plan);
        for (seq, entry) in synced {
            let JournalEntry::Saga { record } = entry else {
                run.begun = true;
                continue;
            };
            self.state.record(&plan, &record);
            world.told.extend(Told::of(&record));
            // What cannot be is a mutant's doing; the run goes on with what it has.
            let _ = run.saga.handle(Event::Recorded { seq }, world.cloud.now());
        }
    }

    fn effect(&mut self, world: &mut World, step: StepId) {
        let jitter = world.dice.below(5);
        world.cloud.advance(Duration::from_millis(jitter as u64));
        let now = world.cloud.now();
        let (Some(flight), Some(run)) = (self.flights.get_mut(&step), &self.run) else {
            return;
        };
        // A look-up is two calls: by token, then by owner and operation. A look at a gate is one per replica.
        let price = match &flight.command {
            Command::Lookup { .. } => 2,
            Command::Look { watched, .. } => u32::try_from(watched.len()).unwrap_or(u32::MAX),
            _ => 1,
        };
        while flight.paid < price {
            match self.pace.take(now) {
                Admission::Go => flight.paid += 1,
                Admission::Wait(wait) => {
                    flight.not_before = now.saturating_add(wait);
                    return;
                }
            }
        }
        flight.paid = 0;
        let answer = world.port_call(self.epoch, &run.plan, &flight.command);
        match answer {
            Some(event) => flight.answer = Answer::Here(event),
            None => flight.not_before = world.cloud.now().saturating_add(LOOK_EVERY),
        }
    }

    fn wait(&mut self, world: &mut World) {
        let now = world.cloud.now();
        let deadline = self.run.as_ref().and_then(|run| run.saga.poll_deadline());
        let flights = self.flights.values().filter(|flight| flight.answer == Answer::None);
        // Who watches goes on watching, however slow the rest is.
        let looks_again = |flight: &Flight| {
            let watches = matches!(flight.command, Command::AwaitReady { .. } | Command::Look { .. });
            let soon = now.saturating_add(LOOK_EVERY);
            if watches {
                flight.not_before.max(soon)
            } else {
                flight.not_before
            }
        };
        let next = flights.map(looks_again).filter(|at| *at > now);
        let late = world.late.iter().map(|late| late.at).filter(|at| *at > now);
        let until = next.chain(late).chain(deadline).min().unwrap_or(now);
        world.cloud.advance(until.saturating_since(now));
        let now = world.cloud.now();
        self.give_up(world, now);
        if let Some(run) = &mut self.run
            && deadline.is_some_and(|at| at <= now)
        {
            let _ = run.saga.handle(Event::Tick, now);
        }
    }

    /// Calls whose time is over are dropped; each may still have its effect.
    fn give_up(&mut self, world: &mut World, now: Timestamp) {
        let over = |flight: &Flight| {
            flight.until <= now && !matches!(flight.command, Command::AwaitReady { .. } | Command::Look { .. })
        };
        let steps: Vec<StepId> = self
            .flights
            .iter()
            .filter(|(_, flight)| over(flight))
            .map(|(step, _)| *step)
            .collect();
        for step in steps {
            let dropped = self.flights.remove(&step);
            if let (Some(dropped), Some(run)) = (dropped, &self.run) {
                let plan = Arc::clone(&run.plan);
                self.drop_call(world, &plan, &dropped);
            }
        }
    }

    /// A call that nobody waits for any more may be on its way all the same.
    fn drop_call(&mut self, world: &mut World, plan: &Plan, dropped: &Flight) {
        let mutates = matches!(dropped.command, Command::Create { .. } | Command::Delete { .. });
        if mutates
            && dropped.answer == Answer::None
            && world.dice.one_in(2)
            && self.pace.take(world.cloud.now()) == Admission::Go
        {
            let _ = world.port_call(self.epoch, plan, &dropped.command);
        }
    }

    // --- the saga ------------------------------------------------------------------------------------------------------

    fn handle(&mut self, world: &mut World, event: Event) {
        let Some(run) = &mut self.run else { return };
        match run.saga.handle(event, world.cloud.now()) {
            Err(SagaError::SecondResource { other, .. }) => self.remove(world, &other),
            Err(SagaError::TooLate { resource, .. }) => self.remove(world, &resource),
            Ok(()) | Err(_) => {}
        }
    }

    /// Removes a thing that belongs to nobody.
    fn remove(&mut self, world: &mut World, stray: &ResourceId) {
        let _ = self.repeat(world, |port| port.delete(stray, StopSpec::default()));
    }

    pub(super) fn cancel(&mut self, world: &mut World) {
        self.handle(world, Event::CancelRequested);
        self.drain(world);
    }

    fn drain(&mut self, world: &mut World) {
        loop {
            let Some(run) = self.run.as_mut().filter(|run| run.begun) else {
                return;
            };
            let Some(command) = run.saga.poll_command() else { return };
            match command {
                Command::Record { seq, record } => {
                    let ahead =
                        world.mutant == Some(Mutant::CallBeforeIntent) && matches!(record, Record::Intent { .. });
                    self.queue.push((seq, JournalEntry::Saga { record }));
                    if ahead {
                        let _ = run.saga.handle(Event::Recorded { seq }, world.cloud.now());
                    }
                }
                Command::StopAwaiting { step } => {
                    self.flights.remove(&step);
                }
                call => self.begin(world, call),
            }
        }
    }

    /// A later call of a step supersedes an earlier one, which may still have its effect.
    fn begin(&mut self, world: &mut World, command: Command) {
        let (Some(step), Some(run)) = (step_of(&command), &self.run) else {
            return;
        };
        let now = world.cloud.now();
        let mut answer = Answer::None;
        if world.mutant == Some(Mutant::ObservationBeforeCall) && matches!(command, Command::Create { .. }) {
            let resource = ResourceId::new(format!("promised-{}", step.0)).expect("invariant: a name");
            answer = Answer::Here(Event::Created { step, resource });
            world.late.push(Late::new(
                now.saturating_add(Duration::from_secs(2)),
                self.epoch,
                &run.plan,
                &command,
            ));
        }
        let plan = Arc::clone(&run.plan);
        let grace = if let Command::Delete { stop, .. } = &command {
            stop.grace
        } else {
            Duration::ZERO
        };
        let within = world.script.saga.call_within.saturating_add(grace);
        let flight = Flight {
            command,
            not_before: now,
            until: now.saturating_add(within),
            paid: 0,
            answer,
        };
        if let Some(earlier) = self.flights.insert(step, flight) {
            self.drop_call(world, &plan, &earlier);
        }
        world.in_flight = self.in_flight();
    }

    fn in_flight(&self) -> usize {
        let waits = |flight: &&Flight| matches!(flight.command, Command::AwaitReady { .. } | Command::Look { .. });
        self.flights.values().filter(|flight| !waits(flight)).count()
    }

    /// The answer that is on its way is lost: with a word about it, or without any.
    pub(super) fn lose_reply(&mut self, step: StepId, silently: bool) {
        let Some(flight) = self.flights.get_mut(&step) else {
            return;
        };
        let lost = Event::CallFailed {
            step,
            class: Class::Transient,
            detail: String::from("the connection was lost"),
        };
        flight.answer = if silently { Answer::Lost } else { Answer::Here(lost) };
    }

    /// Mutations that are on their way when the process dies.
    pub(super) fn orphaned_calls(self) -> (u64, Option<Arc<Plan>>, Vec<Command>) {
        let on_its_way = |flight: Flight| {
            let mutates = matches!(flight.command, Command::Create { .. } | Command::Delete { .. });
            (flight.answer == Answer::None && mutates).then_some(flight.command)
        };
        let calls = self.flights.into_values().filter_map(on_its_way).collect();
        (self.epoch, self.run.map(|run| run.plan), calls)
    }

    // --- the end of a plan ----------------------------------------------------------------------------------------------

    fn settle(&mut self, world: &mut World, chosen: Move) -> Moved {
        let swapped = world.mutant == Some(Mutant::ResetBeforeSave);
        if swapped && self.settling == Settling::No {
            self.empty_journal(world);
            self.settling = Settling::WasReset;
            return Moved::On;
        }
        let Some(run) = &self.run else { return Moved::On };
        let status = run.saga.status();
        if chosen == Move::Save {
            if world.mutant == Some(Mutant::StateInPlace) && self.settling == Settling::No {
                world.disk.replace(STATE, b"");
                self.settling = Settling::Emptied;
                return Moved::On;
            }
            let mut state = self.state.clone();
            let reverting = state.must_revert(&run.plan, run.manifest.as_ref(), &status);
            state.settle(&run.plan, run.manifest.clone(), &status);
            state.reverting = reverting.filter(|_| world.mutant != Some(Mutant::NoRevert));
            world.disk.replace(STATE, &state.to_bytes());
            self.state = state;
            if self.settling != Settling::WasReset {
                self.settling = Settling::Saved;
                return Moved::On;
            }
        } else {
            self.empty_journal(world);
        }
        self.settling = Settling::No;
        self.flights.clear();
        self.run = None;
        Moved::Ended(status)
    }

    fn empty_journal(&mut self, world: &mut World) {
        world.disk.replace(JOURNAL, &LogEnd::empty_log());
        self.end = LogEnd::EMPTY;
    }

    /// Looks for what ended plans have left in doubt, until it is found or past the consistency window.
    fn settle_doubts(&mut self, world: &mut World) -> Result<(), String> {
        if self.state.in_doubt.is_empty() {
            return Ok(());
        }
        let mut state = self.state.clone();
        let until = world
            .cloud
            .now()
            .saturating_add(world.script.saga_of(world.mutant).consistency_window);
        loop {
            for resource in self.repeat(world, |port| port.list())? {
                state.adopt(&resource.operation, &resource.id);
            }
            if state.in_doubt.is_empty() || until <= world.cloud.now() {
                break;
            }
            world.pass(Duration::from_millis(500));
        }
        state.in_doubt.clear();
        world.disk.replace(STATE, &state.to_bytes());
        self.state = state;
        Ok(())
    }

    // --- looking --------------------------------------------------------------------------------------------------------

    /// As [`Self::observe`], with what was changed from outside taken into account.
    fn observe_changes(&mut self, world: &mut World, manifest: &Manifest) -> Result<Snapshot, String> {
        let snapshot = self.observe(world)?;
        let mut manifest = manifest.clone();
        if world.mutant == Some(Mutant::IgnoredDriftTriggers) {
            manifest.services.iter_mut().for_each(|service| service.drift.clear());
        }
        if matches!(world.mutant, Some(Mutant::BlindScan | Mutant::BlindToFields)) {
            return Ok(snapshot);
        }
        let seen = std::mem::take(&mut self.seen);
        let replicas = self.state.replicas.iter().map(|(id, known)| (id.clone(), &known.spec));
        let machines = self
            .state
            .machines
            .values()
            .map(|known| (known.resource.clone(), &known.machine));
        let started = Started {
            manifest: &manifest,
            replicas: &replicas.collect(),
            machines: &machines.collect(),
        };
        Ok(for_planning(&manifest, &snapshot, &drift(&started, &seen)))
    }

    /// What providers say, joined with what the state knows.
    pub(super) fn observe(&mut self, world: &mut World) -> Result<Snapshot, String> {
        let mut seen: BTreeMap<ResourceId, Resource> = BTreeMap::new();
        if world.mutant != Some(Mutant::BlindScan) {
            for resource in self.repeat(world, |port| port.list())? {
                seen.insert(resource.id.clone(), resource);
            }
            let known = self
                .state
                .replicas
                .keys()
                .chain(self.state.machines.values().map(|known| &known.resource));
            let unlisted: Vec<ResourceId> = known.filter(|id| !seen.contains_key(*id)).cloned().collect();
            for id in unlisted {
                if let Some(resource) = self.repeat(world, |port| match port.get(&id) {
                    Ok(resource) => Ok(Some(resource)),
                    Err(error) if error.class() == Class::NotFound => Ok(None),
                    Err(error) => Err(error),
                })? {
                    seen.insert(id, resource);
                }
            }
        }
        self.seen = seen.values().map(seen_thing).collect();
        let blind = world.mutant == Some(Mutant::BlindScan);
        let state_of = |id: &ResourceId| seen.get(id).map(|resource| resource.state.clone());
        let nodes = self.state.machines.values().map(|known| Node {
            machine: known.machine.clone(),
            resource: known.resource.clone(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            ready: blind || matches!(state_of(&known.resource), Some(ResourceState::Running)),
            utilisation: None,
        });
        let replicas = self.state.replicas.iter().map(|(id, known)| ObservedReplica {
            replica: known.spec.replica.clone(),
            machine: known.spec.machine.clone(),
            resource: id.clone(),
            request: known.spec.request,
            spec: known.spec.digest(),
            state: if blind {
                ReplicaState::Healthy
            } else {
                replica_state(state_of(id))
            },
        });
        let mut replicas: Vec<_> = replicas.collect();
        replicas.sort_by(|a, b| (&a.replica, &a.resource).cmp(&(&b.replica, &b.resource)));
        Ok(Snapshot {
            generation: self.state.generation,
            taken_at: world.cloud.now(),
            nodes: nodes.collect(),
            replicas,
        })
    }

    /// Asks until there is an answer, within the rate that is allowed.
    fn repeat<T>(
        &mut self,
        world: &mut World,
        ask: impl Fn(&Port<'_>) -> Result<T, skyloom_provider::DriverError>,
    ) -> Result<T, String> {
        for _ in 0..LOOKS_MAX {
            if let Admission::Wait(wait) = self.pace.take(world.cloud.now()) {
                world.pass(wait);
                let _ = self.pace.take(world.cloud.now());
            }
            match ask(&world.port(self.epoch)) {
                Ok(answer) => return Ok(answer),
                Err(error) if error.class().is_retryable() => world.pass(Duration::from_millis(300)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(String::from("the provider never answers"))
    }
}

fn seen_thing(resource: &Resource) -> SeenThing {
    SeenThing {
        resource: resource.id.clone(),
        name: resource.name.clone(),
        is_ours: resource.owner == owner(),
        condition: match resource.state {
            ResourceState::Pending | ResourceState::Running => SeenCondition::Up,
            ResourceState::Stopped | ResourceState::Evicted => SeenCondition::Stopped,
            ResourceState::Exited { code: Some(0) } => SeenCondition::Completed,
            ResourceState::Exited { .. } => SeenCondition::Ended,
        },
        attributes: resource.observed.clone(),
    }
}

fn replica_state(state: Option<ResourceState>) -> ReplicaState {
    match state {
        None => ReplicaState::Lost,
        Some(ResourceState::Pending) => ReplicaState::Pending,
        Some(ResourceState::Running) => ReplicaState::Healthy,
        Some(ResourceState::Exited { code: Some(0) }) => ReplicaState::Completed,
        Some(ResourceState::Stopped | ResourceState::Evicted | ResourceState::Exited { .. }) => ReplicaState::Failed,
    }
}

fn lease(bytes: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?.trim();
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| String::from("the lease holds no number"))
}

/// The journal's entries, its torn end cut off.
fn read_journal(world: &mut World) -> Result<(Vec<JournalEntry>, LogEnd), String> {
    let bytes = world.disk.durable(JOURNAL);
    if world.mutant == Some(Mutant::NoChecksum) {
        let entries = careless(bytes);
        let (lines, end) = LogEnd::EMPTY.append(&entries);
        let whole = [LogEnd::empty_log(), lines].concat();
        world.disk.replace(JOURNAL, &whole);
        return Ok((entries, end));
    }
    let read = read_log(bytes).map_err(|error| error.to_string())?;
    let Some(end) = read.end else {
        world.disk.replace(JOURNAL, &LogEnd::empty_log());
        return Ok((read.records, LogEnd::EMPTY));
    };
    world.disk.truncate(JOURNAL, end.len);
    Ok((read.records, end))
}

/// Reads whatever looks like an entry.
pub(super) fn careless(bytes: &[u8]) -> Vec<JournalEntry> {
    let lines = bytes.split(|byte| *byte == b'\n').skip(1);
    lines
        .filter_map(|line| serde_json::from_slice(line.get(9..)?).ok())
        .collect()
}

/// Whatever gate was reached counts as passed.
fn with_gates_passed(records: Vec<Record>) -> Vec<Record> {
    let is_passed = |step: &StepId| records.contains(&Record::Passed { step: *step });
    // What was measured after the gate counts as passed cannot follow.
    let left = records
        .iter()
        .filter(|record| !matches!(record, Record::Measured { .. }));
    let skip = |record: &Record| match record {
        Record::GateOpened { step, .. } if !is_passed(step) => vec![record.clone(), Record::Passed { step: *step }],
        record => vec![record.clone()],
    };
    left.flat_map(skip).collect()
}

fn broken_manifest(manifest: &Manifest, mutant: Option<Mutant>) -> Manifest {
    let mut broken = manifest.clone();
    if mutant == Some(Mutant::FloorOffByOne) {
        broken
            .services
            .iter_mut()
            .for_each(|service| service.rollout.max_unavailable += 1);
    }
    broken
}

fn break_plan(plan: &mut Plan, mutant: Option<Mutant>) {
    for step in &mut plan.steps {
        let deletes = matches!(step.action, Action::DeleteReplica { .. });
        if mutant == Some(Mutant::NoOrder) || deletes && mutant == Some(Mutant::RollbackTakesAll) {
            step.after.clear();
            step.after_all.clear();
        }
    }
}
