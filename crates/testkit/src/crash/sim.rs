//! A world with a controller in it: one move at a time, judged after each.

use std::sync::Arc;
use std::time::Duration;

use skyloom_core::{Plan, Timestamp};
use skyloom_orchestrator::{Command, Event, Record, SagaStatus, StopCause};
use skyloom_provider::sim::{SimCloud, SimEvent, SimFaults, SimThing};
use skyloom_provider::{Kind, ResourceState};

use super::controller::{Controller, Move, Moved};
use super::dice::Dice;
use super::disk::Disk;
use super::mutant::Mutant;
use super::oracle::{Invariant, Oracle};
use super::port::Port;
use super::script::{LATE_WITHIN, Script, TOKEN_MEMORY};

/// Moves after which a world that has not come to rest never will.
const MOVES_MAX: usize = 6_000;
/// Plans that are made at most until there is nothing left to do; a crash may cost one before it is in the journal.
const ROUNDS_MAX: usize = 12;

/// A call that outlives its caller.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) at: Timestamp,
    epoch: u64,
    plan: Arc<Plan>,
    command: Command,
}

impl Late {
    pub(super) fn new(at: Timestamp, epoch: u64, plan: &Arc<Plan>, command: &Command) -> Self {
        let (plan, command) = (Arc::clone(plan), command.clone());
        Self {
            at,
            epoch,
            plan,
            command,
        }
    }
}

/// What a watcher was told to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) step: u32,
    /// The journal's word for it.
    pub(super) kind: &'static str,
}

impl Told {
    pub(super) fn of(record: &Record) -> Option<Self> {
        let told = matches!(
            record,
            Record::Observed { .. } | Record::Gone { .. } | Record::Compensated { .. }
        );
        let step = record.step().filter(|_| told)?.0;
        Some(Self {
            step,
            kind: record.kind(),
        })
    }
}

/// Everything outside of the controller.
#[derive(Debug)]
pub(super) struct World {
    pub(super) script: Arc<Script>,
    pub(super) mutant: Option<Mutant>,
    pub(super) cloud: SimCloud,
    pub(super) disk: Disk,
    pub(super) dice: Dice,
    pub(super) late: Vec<Late>,
    pub(super) told: Vec<Told>,
    pub(super) in_flight: usize,
    /// Whether providers say what they were given, in the middle of a failure.
    talkative: bool,
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            script: Arc::clone(&self.script),
            mutant: self.mutant,
            cloud: self.cloud.fork(),
            disk: self.disk.clone(),
            dice: self.dice.clone(),
            late: self.late.clone(),
            told: self.told.clone(),
            in_flight: self.in_flight,
            talkative: self.talkative,
        }
    }
}

impl World {
    pub(super) fn port(&self, epoch: u64) -> Port<'_> {
        Port {
            cloud: &self.cloud,
            secret: &self.script.secret,
            talkative: self.talkative,
            mutant: self.mutant,
            epoch,
            metric: self.script.metric(),
            jobs: &self.script.jobs,
        }
    }

    pub(super) fn port_call(&mut self, epoch: u64, plan: &Plan, command: &Command) -> Option<Event> {
        let mut dice = self.dice.clone();
        let answer = self.port(epoch).call(plan, command, &mut dice);
        self.dice = dice;
        answer
    }

    /// Lets this much time pass for somebody who waits within one move.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.cloud.now().saturating_add(time);
        let next = self.late.iter().map(|late| late.at).filter(|at| *at <= until).min();
        if let Some(at) = next {
            self.cloud.advance(at.saturating_since(self.cloud.now()));
            self.deliver_late();
        }
        self.cloud.advance(until.saturating_since(self.cloud.now()));
        self.deliver_late();
    }

    /// Lets calls arrive whose caller is dead.
    pub(super) fn deliver_late(&mut self) {
        let now = self.cloud.now();
        let (due, left): (Vec<Late>, Vec<Late>) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.at <= now);
        self.late = left;
        for late in due {
            let _ = self.port_call(late.epoch, &late.plan, &late.command);
        }
    }
}

/// How far a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first wish is brought about, undisturbed.
    Setup,
    /// The second wish, with faults and crashes.
    Test,
    /// Without faults, until there is nothing left to do.
    Calm,
    Done,
}

#[derive(Debug, Clone)]
pub(super) struct Sim {
    pub(super) world: World,
    pub(super) controller: Option<Controller>,
    pub(super) oracle: Oracle,
    pub(super) stage: Stage,
    pub(super) moves: usize,
    /// Moves in the second wish.
    test_moves: usize,
    rounds: usize,
    /// Whether the new generation of a world in which it is no good has been refused: then what was before is wanted.
    pub(super) refused: bool,
    /// Whether the plan under way is the way back from another.
    going_back: bool,
    /// Of the last move.
    events: Vec<SimEvent>,
    /// What happened, for people, if anybody asked for it.
    pub(super) story: Option<Vec<String>>,
    /// Lines of the journal that are in the story.
    lines_told: usize,
}

impl Sim {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let script = Arc::new(Script::new(seed, mutant));
        let world = World {
            cloud: SimCloud::new(script.cloud.clone()),
            disk: Disk::new(mutant),
            dice: Dice::new(seed ^ 0x0dd5_0f5e_ed00_0001),
            late: Vec::new(),
            told: Vec::new(),
            in_flight: 0,
            talkative: false,
            mutant,
            script,
        };
        Self {
            oracle: Oracle::new(&world.script),
            world,
            controller: None,
            stage: Stage::Setup,
            moves: 0,
            test_moves: 0,
            rounds: 0,
            refused: false,
            going_back: false,
            events: Vec::new(),
            story: None,
            lines_told: 0,
        }
    }

    /// Runs until a stage is reached, or something is wrong.
    pub(super) fn run_to(&mut self, stage: Stage) {
        while self.stage != stage && self.stage != Stage::Done && self.oracle.is_content() {
            self.step();
        }
    }

    /// What can happen next; the last one when nothing else can.
    pub(super) fn choose(&mut self) -> Option<Move> {
        let controller = self.controller.as_ref().filter(|controller| !controller.is_idle())?;
        let moves = controller.moves(self.world.cloud.now());
        let unseeded = (self.world.mutant == Some(Mutant::UnseededChoice)).then(unseeded);
        let Some(last) = moves.len().checked_sub(1) else {
            return Some(Move::Wait);
        };
        // Now and then everything is slower than anybody waits for; not where nothing may go wrong.
        if self.stage == Stage::Test && self.world.dice.one_in(150) {
            return Some(Move::Wait);
        }
        let drawn = self.world.dice.below(moves.len());
        Some(moves[unseeded.map_or(drawn, |n| n % (last + 1))])
    }

    /// One move of whoever is next.
    pub(super) fn step(&mut self) {
        let chosen = self.choose();
        self.make(chosen);
    }

    pub(super) fn make(&mut self, chosen: Option<Move>) {
        self.moves += 1;
        self.events.clear();
        if self.moves > MOVES_MAX {
            self.oracle.blame(Invariant::I9, String::from("it never ends"));
            return;
        }
        self.world.deliver_late();
        if self.world.script.dead && self.stage == Stage::Test {
            let faults = if chosen.is_some() {
                dead()
            } else {
                self.world.script.faults
            };
            self.world.cloud.set_faults(faults);
        }
        match chosen {
            None => self.between_plans(),
            Some(chosen) => self.carry_on(chosen),
        }
        self.judge();
        let last = chosen.map_or_else(|| String::from("between plans"), |chosen| format!("{chosen:?}"));
        self.tell(&last);
    }

    fn tell(&mut self, what: &str) {
        let Some(story) = &mut self.story else { return };
        story.push(format!("{} {:?}: {what}", self.world.cloud.now(), self.stage));
        story.extend(self.events.iter().map(|event| format!("    {:?}", event.what)));
        let journal = String::from_utf8_lossy(self.world.disk.durable(super::disk::JOURNAL)).into_owned();
        let lines: Vec<&str> = journal.lines().collect();
        let known = std::mem::replace(&mut self.lines_told, lines.len());
        story.extend(
            lines
                .iter()
                .skip(known.min(lines.len()))
                .map(|line| format!("  journal {line}")),
        );
    }

    fn carry_on(&mut self, chosen: Move) {
        let Some(controller) = &mut self.controller else { return };
        if self.stage == Stage::Test {
            self.test_moves += 1;
            if self.world.script.cancel_at == Some(self.test_moves) {
                controller.cancel(&mut self.world);
            }
        }
        match controller.make(&mut self.world, chosen) {
            Moved::On => {}
            Moved::Died => self.die(),
            Moved::Ended(status) => self.ended(&status),
        }
    }

    fn ended(&mut self, status: &SagaStatus) {
        let no_good = self.world.script.trouble.is_some() && self.stage != Stage::Setup;
        let back_is_due = self.controller.as_ref().is_some_and(Controller::must_go_back);
        let was_back = std::mem::take(&mut self.going_back);
        if has_failed(status) && no_good && !was_back {
            self.refused = true;
            if self.stage == Stage::Calm {
                return;
            }
        }
        if self.stage == Stage::Test {
            // The way back is part of what is tested.
            if !back_is_due {
                self.calm_down();
            }
        } else if *status != SagaStatus::Succeeded && self.world.mutant.is_none() {
            let why = format!("a plan without faults is {status:?}");
            self.oracle.blame(Invariant::I5, why);
        }
    }

    fn between_plans(&mut self) {
        if self.controller.is_none() {
            return self.boot();
        }
        let script = Arc::clone(&self.world.script);
        let wish = match self.stage {
            Stage::Setup => &script.first,
            Stage::Test => &script.then,
            Stage::Calm | Stage::Done => self.wish(&script),
        };
        let Some(controller) = &mut self.controller else { return };
        self.rounds += 1;
        let back = controller.must_go_back();
        let proposed = if back {
            controller.propose_back(&mut self.world, &script.first)
        } else {
            controller.propose(&mut self.world, wish)
        };
        self.going_back = back && proposed == Ok(true);
        if back && proposed == Ok(false) {
            // Undoing had brought everything back.
            if self.stage == Stage::Test {
                self.calm_down();
            }
            return;
        }
        match proposed {
            Ok(true) if self.rounds > ROUNDS_MAX => {
                let why = String::from("plan after plan and still something to do");
                self.oracle.blame(Invariant::I5, why);
            }
            Ok(true) => {}
            Ok(false) => self.nothing_to_do(),
            Err(why) => self.oracle.blame(Invariant::I5, format!("no plan can be made: {why}")),
        }
    }

    fn nothing_to_do(&mut self) {
        self.rounds = 0;
        match self.stage {
            Stage::Setup => {
                self.stage = Stage::Test;
                self.damage();
                self.world.cloud.set_faults(self.world.script.faults);
                self.world.talkative = self.world.script.talkative;
            }
            Stage::Test => self.calm_down(),
            Stage::Calm | Stage::Done => {
                // Whatever is still on its way arrives, and is judged too.
                self.world.cloud.advance(LATE_WITHIN + Duration::from_secs(6));
                self.world.deliver_late();
                self.judge();
                let script = Arc::clone(&self.world.script);
                self.oracle.at_rest(self.wish(&script), self.refused);
                self.stage = Stage::Done;
            }
        }
    }

    /// What is wanted in the end.
    pub(super) fn wish<'s>(&self, script: &'s Script) -> &'s super::script::Wish {
        if self.refused { &script.first } else { &script.then }
    }

    fn calm_down(&mut self) {
        self.stage = Stage::Calm;
        self.world.cloud.set_faults(SimFaults::none());
        self.world.talkative = false;
    }

    fn boot(&mut self) {
        match Controller::boot(&mut self.world) {
            Ok((controller, entries)) => {
                self.oracle.booted(entries);
                self.controller = Some(controller);
            }
            Err(why) => self.oracle.blame(Invariant::I8, format!("nothing can be read: {why}")),
        }
    }

    /// Running replicas break down while nobody looks.
    fn damage(&mut self) {
        let runs =
            |thing: &SimThing| thing.resource.kind == Kind::Replica && thing.resource.state == ResourceState::Running;
        for _ in 0..self.world.script.damage {
            let running: Vec<SimThing> = self.world.cloud.oracle().into_iter().filter(runs).collect();
            if running.is_empty() {
                return;
            }
            let victim = &running[self.world.dice.below(running.len())].resource.id;
            let _ = self.world.cloud.crash(victim);
        }
    }

    /// The process dies. Calls on their way arrive now, later or never; the machine may be down for long.
    pub(super) fn crash(&mut self) {
        let world = &mut self.world;
        let mut on_their_way = 0;
        if let Some((epoch, Some(plan), calls)) = self.controller.take().map(Controller::orphaned_calls) {
            on_their_way = calls.len();
            for command in calls {
                let within = world.dice.below(usize::try_from(LATE_WITHIN.as_millis()).unwrap_or(0));
                let at = world.cloud.now().saturating_add(Duration::from_millis(within as u64));
                match world.dice.below(3) {
                    0 => {}
                    1 => drop(world.port_call(epoch, &plan, &command)),
                    _ => world.late.push(Late::new(at, epoch, &plan, &command)),
                }
            }
        }
        world.disk.crash(&mut world.dice);
        world.told.clear();
        world.in_flight = 0;
        let down = [
            Duration::ZERO,
            Duration::from_secs(1),
            Duration::from_secs(20),
            TOKEN_MEMORY * 2,
        ][world.dice.below(4)];
        self.oracle.crashed(on_their_way);
        if down > LATE_WITHIN {
            world.cloud.advance(LATE_WITHIN);
            world.deliver_late();
        }
        world.cloud.advance(down.saturating_sub(LATE_WITHIN));
        self.judge();
        self.tell("CRASH");
    }

    fn die(&mut self) {
        self.controller = None;
        self.oracle.crashed(0);
    }

    /// One move, with the cloud's events as bytes at the end of `log`.
    pub(super) fn step_logged(&mut self, log: &mut Vec<u8>) {
        self.step();
        for event in &self.events {
            serde_json::to_writer(&mut *log, event).expect("invariant: an event has a JSON form");
            log.push(b'\n');
        }
    }

    /// Carries one plan out from rest, if there is something to do.
    pub(super) fn run_plan(&mut self) {
        self.step();
        while self.oracle.is_content() && self.controller.as_ref().is_none_or(|controller| !controller.is_idle()) {
            self.step();
        }
        self.rounds = 0;
        self.moves = 0;
    }

    pub(super) fn judge(&mut self) {
        let events = self.world.cloud.take_events();
        let now = self.world.cloud.now();
        self.oracle.look(&self.world.disk, &events, (self.world.in_flight, now));
        self.events.extend(events);
        for told in self.world.told.drain(..) {
            self.oracle.told(told);
        }
    }
}

/// Whether a plan has failed, as opposed to having been stopped.
fn has_failed(status: &SagaStatus) -> bool {
    let failed = |cause: &StopCause| matches!(cause, StopCause::Failed(_));
    match status {
        SagaStatus::RolledBack { .. } => true,
        SagaStatus::Stuck { cause, .. } => failed(cause),
        _ => false,
    }
}

/// Nothing arrives.
fn dead() -> SimFaults {
    let always = skyloom_provider::PerMille::ALWAYS;
    SimFaults::none().with_calls(skyloom_provider::FaultRates::none().with_lost_requests(always))
}

/// What a program must not ask.
fn unseeded() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}
