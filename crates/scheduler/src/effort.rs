//! How long an engine may go on: units of work, or a caller's own measure of what is used up.
//!
//! Engines have no clock, and yet a caller wants "the best you find in three seconds" and, later, the same bytes again.
//! So an engine asks [`Effort::within`] at points that its own progress determines, and the answers are logged by their
//! number: a replay gives the same answers at the same points, whatever the machine. Reading time, and what is done at
//! a point, do not belong here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which of an engine's questions were answered with "no more": enough to give the same answers again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EffortLog {
    /// Units of work done.
    pub units: u64,
    /// Numbers of the questions (counted from 0) that were answered with "no more", rising.
    pub ended: Vec<u64>,
}

enum Source<'a> {
    Units(u64),
    Watched(&'a dyn Fn() -> f64),
    Replayed(&'a EffortLog),
}

/// An allowance of work that one decision uses up.
///
/// ```
/// use skyloom_scheduler::Effort;
///
/// let mut effort = Effort::units(10);
/// effort.spend(6);
/// assert!(!effort.within(0.5) && effort.within(1.0));
/// let log = effort.log();
/// let mut again = Effort::replayed(&log);
/// assert!(!again.within(0.5) && again.within(1.0));
/// ```
pub struct Effort<'a> {
    source: Source<'a>,
    done: u64,
    asked: u64,
    ended: Vec<u64>,
    /// The part of the allowance that shares are of.
    window: (f64, f64),
}

impl fmt::Debug for Effort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Units(max) => format!("at most {max} units"),
            Source::Watched(_) => "watched by the caller".to_owned(),
            Source::Replayed(log) => format!("replayed, {} units", log.units),
        };
        write!(f, "Effort({source}, {} units done)", self.done)
    }
}

impl<'a> Effort<'a> {
    /// At most this many units of work; what a unit is, the engine says.
    #[must_use]
    pub const fn units(max: u64) -> Self {
        Self::from(Source::Units(max))
    }

    /// As long as the caller's measure is below 1. `spent` gives the share of the allowance that is used up, such as
    /// seconds gone over seconds allowed; it should not fall from one call to the next, and a value that is not a number
    /// counts as all of it. It is called often: it should take well under a microsecond.
    #[must_use]
    pub const fn watched(spent: &'a dyn Fn() -> f64) -> Self {
        Self::from(Source::Watched(spent))
    }

    /// Gives an engine the answers that it was given when `log` was written, so that it decides the same.
    #[must_use]
    pub const fn replayed(log: &'a EffortLog) -> Self {
        Self::from(Source::Replayed(log))
    }

    const fn from(source: Source<'a>) -> Self {
        Self {
            source,
            done: 0,
            asked: 0,
            ended: Vec::new(),
            window: (0.0, 1.0),
        }
    }

    /// Lets a part of an engine believe that the allowance reaches from one share of it to another.
    pub(crate) fn between<T>(&mut self, from: f64, to: f64, part: impl FnOnce(&mut Self) -> T) -> T {
        let (low, high) = self.window;
        self.window = (low + from * (high - low), low + to * (high - low));
        let result = part(self);
        self.window = (low, high);
        result
    }

    /// Counts work as done.
    pub const fn spend(&mut self, units: u64) {
        self.done = self.done.saturating_add(units);
    }

    /// Counts work as done, by a count of things.
    pub(crate) const fn add(&mut self, units: usize) {
        self.spend(units as u64);
    }

    /// Whether the allowance is used up.
    pub(crate) fn exhausted(&mut self) -> bool {
        !self.within(1.0)
    }

    /// Whether less than `share` (0 to 1) of the allowance is used up: a phase that may take half of it asks with 0.5.
    pub fn within(&mut self, share: f64) -> bool {
        let question = self.asked;
        self.asked = self.asked.saturating_add(1);
        let share = self.window.0 + share * (self.window.1 - self.window.0);
        let more = match self.source {
            #[expect(
                clippy::cast_precision_loss,
                reason = "units beyond 2^53 are beyond any run; the answer is logged"
            )]
            Source::Units(max) => (self.done as f64) < share * max as f64,
            Source::Watched(spent) => spent() < share,
            Source::Replayed(log) => log.ended.binary_search(&question).is_err(),
        };
        if !more {
            self.ended.push(question);
        }
        more
    }

    /// Units of work done so far.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// What a replay needs to answer the same.
    #[must_use]
    pub fn log(&self) -> EffortLog {
        EffortLog {
            units: self.done,
            ended: self.ended.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// An engine of two phases that counts its rounds.
    fn rounds(effort: &mut Effort<'_>) -> (u32, u32) {
        let mut counts = (0, 0);
        while effort.within(0.25) {
            counts.0 += 1;
            effort.spend(3);
        }
        while effort.within(1.0) {
            counts.1 += 1;
            effort.spend(5);
        }
        counts
    }

    #[test]
    fn a_replay_gives_the_answers_of_the_first_run() {
        let mut by_units = Effort::units(100);
        let counts = rounds(&mut by_units);
        assert_eq!(counts, (9, 15));
        let clock = Cell::new(0.0);
        let spent = || {
            clock.set(clock.get() + 0.03);
            clock.get()
        };
        let mut watched = Effort::watched(&spent);
        let by_clock = rounds(&mut watched);
        for (log, expected) in [(by_units.log(), counts), (watched.log(), by_clock)] {
            let mut again = Effort::replayed(&log);
            assert_eq!(rounds(&mut again), expected);
            assert_eq!(again.log(), log);
        }
    }

    #[test]
    fn a_part_of_the_allowance_is_shared_out_as_the_whole_is() {
        let mut effort = Effort::units(100);
        effort.spend(30);
        assert!(effort.within(0.31) && !effort.within(0.3));
        effort.between(0.2, 0.6, |effort| {
            assert!(effort.within(0.26) && !effort.within(0.24));
            effort.between(0.5, 1.0, |effort| assert!(effort.within(0.0)));
        });
        assert!(!effort.within(0.3));
    }

    #[test]
    fn a_measure_that_is_no_number_ends_the_work() {
        let spent = || f64::NAN;
        assert!(!Effort::watched(&spent).within(1.0));
        assert!(!Effort::units(0).within(1.0));
    }
}
