//! The matrix of one world: a crash before every move of its second wish and after the last, a second crash in each
//! recovery, a lost answer at every call; then what only an undisturbed world can show.

use super::controller::{Controller, Move};
use super::mutant::Mutant;
use super::oracle::Invariant;
use super::sim::{Sim, Stage};

/// Moves into a recovery within which the second crash comes.
const SECOND_WITHIN: usize = 40;

/// What a world has come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Explored {
    pub(super) crashes: u64,
    pub(super) lost_replies: u64,
    pub(super) violations: Vec<(Invariant, String)>,
    /// What led to the first violation, line by line, if anybody asked.
    pub(super) story: Vec<String>,
}

impl Explored {
    fn take(&mut self, sim: Sim) {
        if self.is_content() && !sim.oracle.is_content() {
            self.story = sim.story.unwrap_or_default();
        }
        self.violations.extend(sim.oracle.violations);
    }

    fn is_content(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Explores one world, up to its first violations.
pub(super) fn explore(seed: u64, mutant: Option<Mutant>, with_story: bool) -> Explored {
    let mut explored = Explored::default();
    let mut base = Sim::new(seed, mutant);
    base.story = with_story.then(Vec::new);
    base.run_to(Stage::Test);
    while base.stage == Stage::Test && base.oracle.is_content() && explored.is_content() {
        explored.take(crash_twice(&base));
        explored.crashes += 2;
        let chosen = base.choose();
        if let Some(Move::Reply(step)) = chosen {
            for silently in [false, true] {
                explored.take(lose(&base, step, silently));
                explored.lost_replies += 1;
            }
        }
        base.make(chosen);
    }
    if base.oracle.is_content() && explored.is_content() {
        explored.take(crash_twice(&base));
        explored.crashes += 2;
    }
    base.run_to(Stage::Done);
    if base.oracle.is_content() && explored.is_content() {
        explored
            .violations
            .extend(super::calm::violations(seed, mutant, &mut base));
    }
    explored.take(base);
    explored
}

/// Dies here, recovers, dies again on the way, recovers, comes to rest.
fn crash_twice(base: &Sim) -> Sim {
    let mut sim = base.clone();
    sim.crash();
    let moves = 1 + sim.world.dice.below(SECOND_WITHIN);
    for _ in 0..moves {
        if sim.stage == Stage::Done || !sim.oracle.is_content() {
            return sim;
        }
        sim.step();
    }
    sim.crash();
    sim.run_to(Stage::Done);
    sim
}

fn lose(base: &Sim, step: skyloom_core::StepId, silently: bool) -> Sim {
    let mut sim = base.clone();
    if let Some(controller) = &mut sim.controller {
        Controller::lose_reply(controller, step, silently);
    }
    sim.run_to(Stage::Done);
    sim
}
