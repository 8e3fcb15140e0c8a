//! Many worlds, and what they have shown.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::explore::{Explored, explore};
use super::mutant::Mutant;
use super::oracle::Invariant;

/// What a matrix has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MatrixReport {
    /// Worlds that were explored.
    pub worlds: u64,
    /// Crashes, first and second ones.
    pub crashes: u64,
    /// Answers that were lost.
    pub lost_replies: u64,
    /// How many worlds violated each invariant; all of them are named.
    pub violations: BTreeMap<String, u64>,
    /// Seeds of worlds with a violation, and the first of it, for people.
    pub seeds: BTreeMap<u64, String>,
}

impl MatrixReport {
    /// Whether nothing was violated.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.seeds.is_empty()
    }

    fn add(&mut self, seed: u64, explored: &Explored) {
        self.worlds += 1;
        self.crashes += explored.crashes;
        self.lost_replies += explored.lost_replies;
        let violated: BTreeSet<Invariant> = explored.violations.iter().map(|(invariant, _)| *invariant).collect();
        for invariant in violated {
            *self.violations.entry(format!("{invariant:?}")).or_default() += 1;
        }
        if let Some((invariant, why)) = explored.violations.first() {
            self.seeds.insert(seed, format!("{invariant:?}: {why}"));
        }
    }
}

/// Explores the worlds of these seeds on as many threads. The report does not depend on their number.
///
/// # Panics
/// When a thread panics, with its panic.
#[must_use]
pub fn worlds(seeds: std::ops::Range<u64>, threads: NonZeroUsize) -> MatrixReport {
    let next = AtomicU64::new(seeds.start);
    let explore_some = || {
        let mut explored = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return explored;
            }
            explored.push((seed, explore(seed, None, false)));
        }
    };
    let parts: Vec<Vec<(u64, Explored)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.get()).map(|_| scope.spawn(explore_some)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let mut report = MatrixReport {
        violations: Invariant::ALL
            .iter()
            .map(|invariant| (format!("{invariant:?}"), 0))
            .collect(),
        ..MatrixReport::default()
    };
    for (seed, explored) in parts.iter().flatten() {
        report.add(*seed, explored);
    }
    report
}

/// For each mutant the first violation that shows it within so many worlds; `None`: it was not caught.
#[must_use]
pub fn mutants(worlds_each: u64) -> BTreeMap<Mutant, Option<(u64, Invariant, String)>> {
    let caught = |mutant: Mutant| {
        let first = |seed| {
            let violation = explore(seed, Some(mutant), false).violations.into_iter().next();
            violation.map(|(invariant, why)| (seed, invariant, why))
        };
        (mutant, (0..worlds_each).find_map(first))
    };
    Mutant::ALL.into_iter().map(caught).collect()
}

/// What led to the first violation of a world, line by line: moves, the cloud's events, the journal. Empty: none.
#[must_use]
pub fn story(seed: u64, mutant: Option<Mutant>) -> Vec<String> {
    explore(seed, mutant, true).story
}
