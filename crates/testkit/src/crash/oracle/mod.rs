//! The judge: from the simulated cloud's event log and the durable bytes to violated invariants.
//!
//! It shares no code with plan, saga, state or journal: it reads JSON as JSON, with its own checksum, and decides by
//! names. What it knows of the plan is what the journal says.

mod book;
mod ledger;
mod rules;
mod trial;

use std::collections::{BTreeMap, VecDeque};

use skyloom_core::Timestamp;
use skyloom_provider::sim::{SimEvent, SimEventKind};

use super::disk::{Disk, JOURNAL, LEASE, STATE};
use super::script::{ATTEMPTS, Script, Wish};
use super::sim::Told;
use book::{Book, Shelf};
use ledger::{Ledger, Thing};

/// What must hold of every controller, at every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// No orphan: what lives and is ours is in the state, observed in the journal, or named by a durable intent.
    I1,
    /// No duplicate: at most one live thing per replica and generation, one per replica at rest.
    I2,
    /// What was told to be done is durable.
    I3,
    /// Order: nothing starts before its dependencies' conditions; removal goes the other way.
    I4,
    /// Convergence: without faults a plan succeeds, and the next one is empty.
    I5,
    /// A rollback restores what was there, and the last healthy replica is never removed.
    I6,
    /// Fencing: every mutation carries an epoch that was granted, and none follows a later one.
    I7,
    /// A torn or damaged file is found out, and its good prefix is used.
    I8,
    /// Calls in flight, repetitions and rates stay within what is configured, and everything ends.
    I9,
    /// The same seed gives the same event log.
    I10,
    /// Each change from outside is found in one scan, what does not matter is not, and healing does not loop.
    I11,
    /// No secret in journal, state or log.
    I12,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::I9,
        Self::I10,
        Self::I11,
        Self::I12,
    ];
}

/// What has been seen so far, and what was wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Oracle {
    book: Book,
    shelf: Shelf,
    ledger: Ledger,
    secret: String,
    parallelism: usize,
    calls_per_second: usize,
    /// Times of calls within the last second.
    recent: VecDeque<Timestamp>,
    /// Calls of dead controllers that may come on top of the rate.
    late: usize,
    crashes: u32,
    creations: BTreeMap<String, u32>,
    /// What every metric says of the new generation.
    metric_is_bad: bool,
    /// What a plan that failed is to be followed by.
    expected_back: Option<trial::TrialView>,
    /// The first thing that was wrong, per invariant.
    pub(super) violations: BTreeMap<Invariant, String>,
}

impl Oracle {
    pub(super) fn new(script: &Script) -> Self {
        Self {
            book: Book::default(),
            shelf: Shelf::default(),
            ledger: Ledger::default(),
            secret: script.secret.clone(),
            parallelism: script.saga.parallelism.get() as usize,
            // Each call under way may have been let through a moment before it was made.
            calls_per_second: (script.calls_per_second + script.burst + script.saga.parallelism.get()) as usize,
            recent: VecDeque::new(),
            late: 0,
            crashes: 0,
            creations: BTreeMap::new(),
            metric_is_bad: script.metric() > 0,
            expected_back: None,
            violations: BTreeMap::new(),
        }
    }

    pub(super) fn is_content(&self) -> bool {
        self.violations.is_empty()
    }

    pub(super) fn blame(&mut self, invariant: Invariant, why: String) {
        self.violations.entry(invariant).or_insert(why);
    }

    /// Takes in what has become durable and what has happened since the last look.
    pub(super) fn look(&mut self, disk: &Disk, events: &[SimEvent], (in_flight, now): (usize, Timestamp)) {
        let begun = self.book.read(disk.durable(JOURNAL));
        self.shelf.read(disk.durable(STATE), disk.durable(LEASE));
        if begun {
            self.back_again();
            self.ledger.new_plan(&self.book);
            self.creations.clear();
            self.crashes = 0;
        }
        if self.book.mentions(&self.secret) || self.shelf.mentions(&self.secret) {
            self.blame(Invariant::I12, String::from("a secret is in a file"));
        }
        for event in events {
            self.count(event);
            self.rules(event);
        }
        self.known();
        self.gates(now.as_micros());
        if in_flight > self.parallelism {
            self.blame(
                Invariant::I9,
                format!("{in_flight} calls at once, {} allowed", self.parallelism),
            );
        }
        let ended = self.book.take_end();
        if let Some(outcome) = &ended {
            self.ended(outcome);
        }
        if let Some(why) = ended.and_then(|outcome| self.ledger.after(&outcome, &self.book.plan.old_first)) {
            self.blame(Invariant::I6, why);
        }
    }

    /// I1 and I2, after whatever has happened.
    fn known(&mut self) {
        let known = |id: &str, thing: &Thing| {
            let recorded = self.book.knows(id, &thing.token) || self.shelf.knows(id);
            recorded || self.shelf.looks_for(&thing.operation)
        };
        let orphan = self.ledger.alive().find(|(id, thing)| !known(id, thing));
        if let Some(why) = orphan.map(|(id, thing)| format!("{id} ({}) is known to nobody", thing.name)) {
            self.blame(Invariant::I1, why);
        }
        if let Some(name) = self.ledger.twice_in_a_plan() {
            self.blame(Invariant::I2, format!("{name} is there twice"));
        }
    }

    /// I9: rates and repetitions.
    fn count(&mut self, event: &SimEvent) {
        let SimEventKind::Called { operation, subject, .. } = &event.what else {
            return;
        };
        let second = std::time::Duration::from_secs(1);
        self.recent.push_back(event.at);
        while self
            .recent
            .front()
            .is_some_and(|at| at.saturating_add(second) <= event.at)
        {
            self.recent.pop_front();
        }
        let allowed = self.calls_per_second + self.late;
        if self.recent.len() > allowed {
            self.blame(
                Invariant::I9,
                format!("{} calls in a second, {allowed} allowed", self.recent.len()),
            );
        }
        if let (skyloom_provider::Operation::Create, Some(subject)) = (operation, subject) {
            let count = self.creations.entry(subject.clone()).or_default();
            *count += 1;
            // A crash may forget one attempt; a token that was spent by somebody else gives a new one, twice.
            let most = ATTEMPTS + 2 * (self.crashes + 1);
            if *count > most {
                self.blame(Invariant::I9, format!("{subject} was asked for more than {most} times"));
            }
        }
    }

    /// I3: what was told to be done must be in the journal by now.
    pub(super) fn told(&mut self, told: Told) {
        if !self.book.has(told.step, told.kind) {
            let why = format!(
                "step {} was told to be {}, the journal does not say so",
                told.step, told.kind
            );
            self.blame(Invariant::I3, why);
        }
    }

    /// The controller is dead; `late` of its calls may still arrive.
    pub(super) fn crashed(&mut self, late: usize) {
        self.recent.clear();
        self.late += late;
        self.crashes += 1;
    }

    /// I8: a controller read so many entries of the journal as are whole.
    pub(super) fn booted(&mut self, entries: usize) {
        let whole = self.book.entries();
        if entries != whole {
            self.blame(Invariant::I8, format!("{entries} entries were used, {whole} are whole"));
        }
    }

    /// I1, I2 and I5 when there is nothing left to do.
    pub(super) fn at_rest(&mut self, wish: &Wish, refused: bool) {
        let unknown = self
            .ledger
            .alive()
            .find(|(id, _)| !self.shelf.knows(id))
            .map(|(id, _)| id.to_owned());
        if let Some(id) = unknown {
            self.blame(Invariant::I1, format!("{id} is in no state at rest"));
        }
        let ghost = self.shelf.ids().find(|id| !self.ledger.is_alive(id)).map(str::to_owned);
        if let Some(id) = ghost {
            self.blame(Invariant::I5, format!("the state has {id}, which is not there"));
        }
        let names = self.ledger.replicas();
        if let Some(name) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            self.blame(Invariant::I2, format!("{} is there twice at rest", name[0]));
        }
        let mut wanted = Vec::new();
        for service in wish.manifest.iter().flat_map(|manifest| &manifest.services) {
            wanted.extend((0..service.replicas.get()).map(|index| format!("{}/{index}", service.name)));
        }
        wanted.sort();
        if let Some(manifest) = &wish.manifest {
            let manifest = serde_json::to_value(manifest).unwrap_or_default();
            self.of_the_wanted_form(&manifest, refused);
        }
        if names != wanted {
            self.blame(
                Invariant::I5,
                format!("at rest there is {names:?}, wanted is {wanted:?}"),
            );
        }
    }
}
