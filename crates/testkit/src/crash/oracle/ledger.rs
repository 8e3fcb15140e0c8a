//! What is there and what has become of it, from the cloud's event log.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_provider::Kind;

use super::book::Book;

#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) operation: String,
    pub(super) token: String,
    /// The plan during which it was made.
    pub(super) plan: u32,
    pub(super) alive: bool,
    pub(super) running: bool,
    pub(super) ran: bool,
    pub(super) completed: bool,
    /// What it runs, as the plan that made it says.
    pub(super) form: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) things: BTreeMap<String, Thing>,
    /// Replicas that ran when the plan began.
    pub(super) ran_before: BTreeSet<String>,
    /// Things that broke down by themselves since.
    pub(super) broken: BTreeSet<String>,
    /// Epoch of each call that is being served.
    pub(super) epochs: BTreeMap<u64, u64>,
    /// The latest epoch that had an effect.
    pub(super) latest: u64,
}

impl Ledger {
    pub(super) fn new_plan(&mut self, book: &Book) {
        let running = self
            .things
            .values()
            .filter(|thing| thing.alive && thing.running && thing.kind == Kind::Replica);
        // What was made before its plan was durable belongs to no earlier plan.
        let earlier = running.filter(|thing| thing.plan < book.plan.number);
        self.ran_before = earlier.map(|thing| thing.name.clone()).collect();
        self.broken.clear();
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = (&str, &Thing)> {
        self.things
            .iter()
            .filter(|(_, thing)| thing.alive)
            .map(|(id, thing)| (id.as_str(), thing))
    }

    pub(super) fn is_alive(&self, id: &str) -> bool {
        self.things.get(id).is_some_and(|thing| thing.alive)
    }

    /// Live things of this name.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Thing> {
        self.things
            .values()
            .filter(move |thing| thing.alive && thing.name == name)
    }

    pub(super) fn twice_in_a_plan(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        let twice = self.alive().find(|(_, thing)| !seen.insert((thing.plan, &thing.name)));
        twice.map(|(_, thing)| thing.name.clone())
    }

    /// Names of live replicas, sorted, each as often as it is there.
    pub(super) fn replicas(&self) -> Vec<String> {
        let replicas = self.alive().filter(|(_, thing)| thing.kind == Kind::Replica);
        let mut names: Vec<String> = replicas.map(|(_, thing)| thing.name.clone()).collect();
        names.sort();
        names
    }

    /// I6: after a rollback what ran before is there, but for what was given up on purpose or broke down.
    pub(super) fn after(&self, outcome: &str, old_first: &BTreeSet<String>) -> Option<String> {
        if outcome != "rolled-back" {
            return None;
        }
        let excused = |name: &String| self.broken.contains(name) || old_first.contains(name);
        let lost = self
            .ran_before
            .iter()
            .find(|name| !excused(name) && self.of(name).next().is_none());
        lost.map(|name| format!("{name} ran before and is gone after a rollback"))
    }
}
