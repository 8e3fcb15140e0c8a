//! How many rounds of relaxations a part gets, and what they leave behind.
//!
//! Counting alone; what a round does is the search's.

use super::node::Volumes;
use super::prices::Prices;
use super::tally::Tally;
use super::windows::Windows;

/// Rounds of curves and tolls at the first part and at later ones.
const ROUNDS_MAX: (usize, usize) = (60, 6);

/// Rounds that drop nothing and gain little after which a part is split, at the first part and at later ones.
const IDLE_ROUNDS_MAX: (usize, usize) = (12, 3);

/// Rounds without marginals after some that dropped little.
const MARGINALS_EVERY: u32 = 3;

/// How far the rounds of a part have come.
#[derive(Debug)]
pub(super) struct Rounds {
    pub(super) is_first: bool,
    pub(super) prices: Prices,
    pub(super) done: usize,
    /// Since something was dropped or the bound rose by much.
    pub(super) idle: usize,
    /// Rounds until marginals are asked for again; they are as much work as the relaxation itself.
    pub(super) waiting: u32,
    pub(super) narrowed: Option<(Volumes, Option<Windows>)>,
    /// The last solution, and that with the best bound.
    pub(super) last: Option<Tally>,
    pub(super) leading: Option<Tally>,
}

/// What comes after a round.
pub(super) enum Next {
    Round,
    Split,
    /// Nothing better is in the part.
    Closed,
    /// The best plan is good enough.
    Enough,
}

impl Rounds {
    pub(super) const fn first(prices: Prices, is_first: bool) -> Self {
        Self {
            is_first,
            prices,
            done: 0,
            idle: 0,
            waiting: 0,
            narrowed: None,
            last: None,
            leading: None,
        }
    }

    /// Whether there were as many rounds as there may be.
    pub(super) const fn are_done(&self) -> bool {
        self.done >= if self.is_first { ROUNDS_MAX.0 } else { ROUNDS_MAX.1 }
    }

    /// Whether there were as many idle ones as there may be.
    pub(super) const fn are_idle(&self) -> bool {
        self.idle
            >= if self.is_first {
                IDLE_ROUNDS_MAX.0
            } else {
                IDLE_ROUNDS_MAX.1
            }
    }

    /// Counts one that asked for marginals or not, dropped much or not, gained or not, and found a solution or not.
    pub(super) const fn count(&mut self, with_marginals: bool, is_much: bool, is_gain: bool, is_solved: bool) {
        self.waiting = match (with_marginals, is_much) {
            (true, true) => 0,
            (true, false) => MARGINALS_EVERY,
            (false, _) => self.waiting.saturating_sub(1),
        };
        self.idle = if is_gain { 0 } else { self.idle + 1 };
        self.idle += if is_solved { 0 } else { 1 };
    }
}
