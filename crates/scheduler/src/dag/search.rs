//! Cheapest plan within a deadline: bound, drop, go through, split.
//!
//! A part of all assignments is bounded by the relaxation; charges and tolls follow what its solution does wrong;
//! choices that no better plan has are dropped; what is small is gone through; the rest is split, by the volume of the meter that
//! is priced worst, or by a choice of a task. The part with the lowest bound comes next, so that the bound of all rises.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::effort::Effort;
use crate::minsum::Limits;

use super::blend::blend;
use super::compile::{Compiled, NO_DEADLINE};
use super::descend::descend;
use super::direct::direct;
use super::labels::Forest;
use super::node::{Node, Volumes};
use super::prices::{Prices, late_path};
use super::relax::{Question, Relaxation, Relaxed, Tolls};
use super::rounds::{Next, Rounds};
use super::starts::{naive_lists, untouched};
use super::tally::{Tally, Timing};
use super::tariff::{Curve, GRAINS, rounded};
use super::windows::Windows;

/// The part of the choices that must have been dropped for it to be much: one in so many.
const DROPPED_SHARE: usize = 64;

/// Choices of all open parts together, at most: the memory that splitting may take.
const OPEN_CHOICES_MAX: usize = 1 << 23;

/// What the search may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Milliseconds, or [`NO_DEADLINE`].
    pub(super) deadline: u64,
    pub(super) direct_max: u64,
    pub(super) table_entries_max: u64,
    /// A plan that costs no more micro-dollars is good enough to stop.
    pub(super) enough: Option<i64>,
    /// The share of the effort that may be used up when the search ends.
    pub(super) share: f64,
}

/// The cheapest plan found, and a bound.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) best: Option<Tally>,
    /// No plan in time costs less, in micro-dollars; `None`: there is no plan in time.
    pub(super) bound: Option<i64>,
}

/// Grains as micro-dollars, rounded half up.
pub(super) fn micros(grains: i128) -> i64 {
    i64::try_from(rounded(grains)).unwrap_or(i64::MAX)
}

/// A part that waits, the lowest bound first, of equals the latest.
#[derive(Debug)]
struct Waiting {
    key: (i128, Reverse<u64>),
    node: Node,
    prices: Prices,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.key.cmp(&self.key)
    }
}

/// The search's progress.
#[derive(Debug)]
pub(super) struct Search<'s> {
    pub(super) compiled: &'s Compiled<'s>,
    relaxation: Relaxation<'s>,
    pub(super) rules: Rules,
    pub(super) timed: bool,
    /// Where time matters and the graph is one whose labels are not too many.
    forest: Option<Forest>,
    best: Option<Tally>,
    /// Plans that cost this many grains or more are no better than the best, to the micro-dollar.
    beat: i128,
}

/// More than any plan costs.
const DEAREST: i128 = 1 << 100;

/// The cheapest plan in time. `known` are plans to begin with; those that are late are left aside.
pub(super) fn cheapest(compiled: &Compiled<'_>, rules: Rules, known: &[Vec<usize>], effort: &mut Effort<'_>) -> Found {
    let timed = rules.deadline != NO_DEADLINE || compiled.has_deadlines();
    let mut search = Search {
        compiled,
        relaxation: Relaxation::new(compiled),
        rules,
        timed,
        forest: if timed { Forest::of(compiled) } else { None },
        best: None,
        beat: DEAREST,
    };
    for picks in known {
        search.offer(Tally::of(compiled, picks.clone()));
    }
    if !timed {
        for picks in untouched(compiled) {
            search.offer(Tally::of(compiled, picks));
        }
    }
    search.run(effort)
}

impl Search<'_> {
    fn run(mut self, effort: &mut Effort<'_>) -> Found {
        let mut number = 0u64;
        let mut open_choices = 0;
        let mut waiting = BinaryHeap::new();
        waiting.push(Waiting {
            key: (0, Reverse(0)),
            node: Node::all(self.compiled),
            prices: Prices::first(self.compiled),
        });
        let mut abandoned = DEAREST;
        while let Some(Waiting { node, prices, .. }) = waiting.pop() {
            open_choices -= if number == 0 { 0 } else { node.choices() };
            if node.bound >= self.beat {
                break;
            }
            if self.is_enough() {
                abandoned = abandoned.min(node.bound);
                break;
            }
            if number > 0 && !effort.within(self.rules.share) {
                abandoned = abandoned.min(node.bound);
                break;
            }
            for (node, prices) in self.examine(node, prices, number == 0, effort) {
                open_choices += node.choices();
                if open_choices > OPEN_CHOICES_MAX {
                    open_choices -= node.choices();
                    abandoned = abandoned.min(node.bound);
                    continue;
                }
                number += 1;
                let key = (node.bound, Reverse(number));
                waiting.push(Waiting { key, node, prices });
            }
            number = number.max(1);
        }
        let bound = abandoned.min(self.beat);
        Found {
            bound: (bound < DEAREST).then(|| micros(bound)),
            best: self.best,
        }
    }

    /// About what a relaxation takes beside the costs that it looks at: choices, curves, and an order of elimination where
    /// there are rings.
    fn relaxation_work(&self, node: &Node) -> u64 {
        let (tasks, flows) = (self.compiled.steps.len(), self.compiled.flows.len());
        let rings = flows.saturating_sub(tasks).min(tasks);
        ((node.choices() + flows) / 128 + self.compiled.network.meters.len() / 8 + rings / 2 + 2) as u64
    }

    /// About what a descent takes in units of effort: a look at each task, and where time is limited at all for many.
    fn descent_work(&self) -> u64 {
        let tasks = self.compiled.steps.len() as u64;
        tasks / 8 + if self.timed { tasks } else { 0 }
    }

    fn is_enough(&self) -> bool {
        let cost = self.best.as_ref().map(|best| micros(best.cost()));
        cost.zip(self.rules.enough).is_some_and(|(cost, enough)| cost <= enough)
    }

    /// Keeps a plan that is in time and cheaper.
    fn offer(&mut self, tally: Tally) -> bool {
        let cost = tally.cost();
        let in_time =
            |tally: &Tally| Timing::of(self.compiled, &tally.picks).is_within(self.compiled, self.rules.deadline);
        let better = cost < self.beat && (!self.timed || in_time(&tally));
        if better {
            self.beat = rounded(cost) * GRAINS - GRAINS / 2;
            self.best = Some(tally);
        }
        better
    }

    /// Offers a plan, and what it leads to by parts of the best one and by single moves.
    fn offer_improved(&mut self, tally: &Tally, by_moves: bool, effort: &mut Effort<'_>) {
        if self.timed {
            self.offer(tally.clone());
            effort.spend(self.descent_work());
            self.descend_from(tally.clone(), false);
            return;
        }
        let mut is_better = self.offer(tally.clone());
        if let Some(best) = self.best.clone() {
            let (one, other) = (
                blend(self.compiled, &best, &tally.picks),
                blend(self.compiled, tally, &best.picks),
            );
            is_better |= self.offer(one) | self.offer(other);
        }
        if is_better && by_moves {
            effort.spend(self.descent_work());
            self.descend_from_best(false);
        }
    }

    fn descend_from_best(&mut self, all: bool) {
        if let Some(best) = self.best.clone() {
            self.descend_from(best, all);
        }
    }

    /// Offers what single moves make of a plan that is in time.
    fn descend_from(&mut self, mut tally: Tally, all: bool) {
        let deadline = self.timed.then_some(self.rules.deadline);
        if deadline.is_none_or(|deadline| Timing::of(self.compiled, &tally.picks).is_within(self.compiled, deadline)) {
            descend(self.compiled, &mut tally, deadline, all);
            self.offer(tally);
        }
    }

    /// The parts that are left of a part.
    fn examine(
        &mut self,
        mut node: Node,
        prices: Prices,
        is_first: bool,
        effort: &mut Effort<'_>,
    ) -> Vec<(Node, Prices)> {
        let mut rounds = Rounds::first(prices, is_first);
        loop {
            match self.round(&mut node, &mut rounds, effort) {
                Next::Round => rounds.done += 1,
                Next::Split => break,
                Next::Closed => return Vec::new(),
                Next::Enough => return vec![(node, rounds.prices)],
            }
        }
        if is_first && !self.timed {
            effort.spend(self.descent_work());
            self.descend_from_best(true);
        }
        let mut prices = rounds.prices;
        prices.back_to_best(self.compiled);
        let Some((volumes, _)) = self.narrowed(&mut node) else {
            return Vec::new();
        };
        prices.fit(self.compiled, &volumes);
        self.split(node, &prices, rounds.leading.as_ref())
    }

    /// Bounds a part once, takes what its solution says about plans and choices, and moves the prices.
    fn round(&mut self, node: &mut Node, rounds: &mut Rounds, effort: &mut Effort<'_>) -> Next {
        if rounds.are_done() {
            return Next::Split;
        }
        if rounds.narrowed.is_none() {
            rounds.narrowed = self.narrowed(node);
        }
        let Some((volumes, windows)) = &rounds.narrowed else {
            return Next::Closed;
        };
        if node.assignments() <= self.rules.direct_max {
            self.go_through(node, effort);
            return Next::Closed;
        }
        rounds.prices.fit(self.compiled, volumes);
        let with_marginals = rounds.done > 0 && rounds.waiting == 0;
        let relaxed = self.relax(node, &rounds.prices, volumes, windows.as_ref(), with_marginals, effort);
        let relaxed = self.in_time(relaxed, node, &rounds.prices, volumes, windows.as_ref(), effort);
        let (before, gained) = (self.beat, relaxed.bound - node.bound);
        node.bound = node.bound.max(relaxed.bound);
        let tally = relaxed
            .picks
            .as_ref()
            .map(|picks| Tally::of(self.compiled, picks.clone()));
        if let Some(tally) = tally.as_ref().filter(|tally| rounds.last.as_ref() != Some(*tally)) {
            self.offer(tally.clone());
            if node.bound < self.beat {
                self.offer_improved(tally, !rounds.is_first, effort);
            }
        }
        if node.bound >= self.beat {
            return Next::Closed;
        }
        if self.is_enough() {
            return Next::Enough;
        }
        if rounds.is_first && rounds.done == 0 {
            self.begin(node, volumes, windows.as_ref(), effort);
        }
        let dropped = self.relaxation.drop_useless(&relaxed, self.beat, &mut node.domains);
        // Volumes of more choices than are left hold as well; windows are in the order of the choices.
        let is_much = dropped > node.choices() / DROPPED_SHARE;
        if is_much || self.timed && (dropped > 0 || self.beat < before) || node.is_empty() {
            rounds.narrowed = None;
        }
        let is_gain = is_much || gained > self.beat.saturating_sub(node.bound) / 10;
        rounds.count(with_marginals, is_much, is_gain, tally.is_some());
        let is_idle = rounds.are_idle();
        let Some(tally) = tally else {
            return if is_idle { Next::Split } else { Next::Round };
        };
        let deadline = self.timed.then_some(self.rules.deadline);
        let moved = rounds
            .prices
            .follow(self.compiled, (relaxed.bound, self.beat), &tally, deadline);
        if gained > 0 || rounds.leading.is_none() {
            rounds.leading = Some(tally.clone());
        }
        rounds.last = Some(tally);
        let is_spent = rounds.done > 0 && !effort.within(self.rules.share);
        if is_idle || is_spent || !moved && dropped == 0 {
            Next::Split
        } else {
            Next::Round
        }
    }

    /// Goes through all assignments of a part.
    fn go_through(&mut self, node: &Node, effort: &mut Effort<'_>) {
        let (better, looked_at) = direct(self.compiled, &node.domains, self.rules.deadline, self.beat);
        effort.spend(looked_at / 100 + 1);
        if let Some(tally) = better {
            self.offer(tally);
        }
    }

    /// What the tasks may still choose in time, and the volumes that follow; `None`: nothing is left.
    fn narrowed(&self, node: &mut Node) -> Option<(Volumes, Option<Windows>)> {
        let mut windows = None;
        if self.timed {
            loop {
                let found = Windows::of(self.compiled, &node.domains, self.rules.deadline);
                let dropped = found.drop_late(&mut node.domains);
                if node.is_empty() {
                    return None;
                }
                if !dropped {
                    windows = Some(found);
                    break;
                }
            }
        }
        if node.is_empty() {
            return None;
        }
        Some((node.volumes(self.compiled, self.beat)?, windows))
    }

    fn relax(
        &self,
        node: &Node,
        prices: &Prices,
        volumes: &Volumes,
        windows: Option<&Windows>,
        marginals: bool,
        effort: &mut Effort<'_>,
    ) -> Relaxed {
        let question = self.question(node, (&prices.curves, &prices.tolls), volumes, windows, marginals);
        effort.spend(self.relaxation_work(node) * if marginals { 2 } else { 1 });
        self.relaxation.solve(&question, effort)
    }

    fn question<'q>(
        &self,
        node: &'q Node,
        (curves, tolls): (&'q [Curve], &'q Tolls),
        volumes: &'q Volumes,
        windows: Option<&'q Windows>,
        marginals: bool,
    ) -> Question<'q> {
        Question {
            domains: &node.domains,
            volumes,
            curves,
            tolls,
            windows,
            beat: self.beat,
            limits: Limits {
                table_entries_max: self.rules.table_entries_max,
                marginals,
                ..Limits::default()
            },
        }
    }

    /// Where a relaxation's solution is late and the graph is a forest: the cheapest one that is not.
    fn in_time(
        &mut self,
        relaxed: Relaxed,
        node: &Node,
        prices: &Prices,
        volumes: &Volumes,
        windows: Option<&Windows>,
        effort: &mut Effort<'_>,
    ) -> Relaxed {
        let is_late = |picks: &Vec<usize>| late_path(self.compiled, picks, self.rules.deadline).is_some();
        if relaxed.bound >= self.beat || !relaxed.picks.as_ref().is_none_or(is_late) {
            return relaxed;
        }
        let Some(forest) = self.forest.take() else {
            return relaxed;
        };
        let tolls = Tolls::none(self.compiled);
        let question = self.question(node, (&prices.curves, &tolls), volumes, windows, false);
        effort.spend(2 * self.relaxation_work(node));
        match self.relaxation.solve_by_labels(&forest, &question, effort) {
            // Too many labels here are too many elsewhere.
            None => relaxed,
            Some(found) => {
                self.forest = Some(forest);
                Relaxed {
                    bound: found.bound.max(relaxed.bound),
                    picks: found.picks,
                    ..relaxed
                }
            }
        }
    }

    /// Offers what naive readings of the price lists lead to.
    fn begin(&mut self, node: &Node, volumes: &Volumes, windows: Option<&Windows>, effort: &mut Effort<'_>) {
        if self.timed {
            return;
        }
        let tolls = Tolls::none(self.compiled);
        for list in naive_lists(self.compiled) {
            let mut question = self.question(node, (&list, &tolls), volumes, windows, false);
            question.beat = DEAREST;
            effort.spend(self.relaxation_work(node));
            if let Some(picks) = self.relaxation.solve(&question, effort).picks {
                self.offer_improved(&Tally::of(self.compiled, picks), false, effort);
            }
        }
    }
}
