//! Cheapest plan within a deadline: bound, drop, go through, split.
//!
//! A part of all assignments is bounded by the relaxation; lines and tolls follow what its solution does wrong; choices
//! that no better plan has are dropped; what is small is gone through; the rest is split, by the volume of the meter that
//! is priced worst, or by a choice of a task. The part with the lowest bound comes next, so that the bound of all rises.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::effort::Effort;
use crate::minsum::Limits;

use super::compile::{Compiled, End, NO_DEADLINE};
use super::descend::{descend, gathered};
use super::direct::direct;
use super::labels::Forest;
use super::network::FREE;
use super::node::{Node, Spans};
use super::prices::{Prices, late_path};
use super::relax::{Question, Relaxation, Relaxed, Tolls};
use super::tally::{Tally, Timing, region};
use super::tariff::{GRAINS, rounded};
use super::windows::Windows;

/// Rounds of lines and tolls at the first part and at later ones.
const ROUNDS_MAX: (usize, usize) = (24, 6);

/// Rounds that drop nothing and gain little after which a part is split.
const IDLE_ROUNDS_MAX: usize = 3;

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
struct Search<'s> {
    compiled: &'s Compiled<'s>,
    relaxation: Relaxation<'s>,
    rules: Rules,
    timed: bool,
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

    /// Offers a plan, and what it leads to by single moves.
    fn offer_improved(&mut self, picks: &[usize], all: bool) {
        let mut tally = Tally::of(self.compiled, picks.to_vec());
        let deadline = self.timed.then_some(self.rules.deadline);
        if self.timed && !Timing::of(self.compiled, picks).is_within(self.compiled, self.rules.deadline) {
            return;
        }
        self.offer(tally.clone());
        descend(self.compiled, &mut tally, deadline, all);
        self.offer(tally);
    }

    /// The parts that are left of a part.
    fn examine(
        &mut self,
        mut node: Node,
        mut prices: Prices,
        is_first: bool,
        effort: &mut Effort<'_>,
    ) -> Vec<(Node, Prices)> {
        let rounds = if is_first { ROUNDS_MAX.0 } else { ROUNDS_MAX.1 };
        let mut idle = 0;
        let mut last: Option<Vec<usize>> = None;
        for round in 0..rounds {
            let Some((spans, windows)) = self.narrowed(&mut node) else {
                return Vec::new();
            };
            if node.assignments() <= self.rules.direct_max {
                let (better, looked_at) = direct(self.compiled, &node.domains, self.rules.deadline, self.beat);
                effort.spend(looked_at / 100 + 1);
                if let Some(tally) = better {
                    self.offer(tally);
                }
                return Vec::new();
            }
            let at = self.best.as_ref().map(|tally| tally.volumes.clone());
            prices.fit(self.compiled, &spans, at.as_deref());
            let relaxed = self.relax(&node, &prices, windows.as_ref(), round > 0, effort);
            let relaxed = self.in_time(relaxed, &node, &prices, windows.as_ref(), effort);
            let gained = relaxed.bound - node.bound;
            node.bound = node.bound.max(relaxed.bound);
            if let Some(picks) = relaxed.picks.as_ref().filter(|picks| last.as_ref() != Some(*picks)) {
                effort.spend(self.descent_work());
                self.offer_improved(picks, false);
            }
            if node.bound >= self.beat {
                return Vec::new();
            }
            if self.is_enough() {
                return vec![(node, prices)];
            }
            if is_first && round == 0 {
                self.gather();
            }
            let dropped = self.drop_useless(&mut node, &relaxed);
            let gap = self.beat.saturating_sub(node.bound);
            idle = if dropped || gained > gap / 10 { 0 } else { idle + 1 };
            let Some(picks) = relaxed.picks else {
                idle += 1;
                if idle > IDLE_ROUNDS_MAX { break } else { continue }
            };
            let moved = prices.follow(self.compiled, &spans, &picks, self.timed.then_some(self.rules.deadline));
            last = Some(picks);
            if idle >= IDLE_ROUNDS_MAX || (!moved && !dropped) || (round > 0 && !effort.within(self.rules.share)) {
                break;
            }
        }
        let Some((spans, _)) = self.narrowed(&mut node) else {
            return Vec::new();
        };
        self.split(node, &spans, &prices, last.as_deref())
    }

    /// What the tasks may still choose in time, and the volumes that follow; `None`: nothing is left.
    fn narrowed(&self, node: &mut Node) -> Option<(Spans, Option<Windows>)> {
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
        Some((node.spans(self.compiled)?, windows))
    }

    fn relax(
        &self,
        node: &Node,
        prices: &Prices,
        windows: Option<&Windows>,
        marginals: bool,
        effort: &mut Effort<'_>,
    ) -> Relaxed {
        let question = self.question(node, prices, &prices.tolls, windows, marginals);
        effort.spend((node.choices() + self.compiled.flows.len()) as u64 / 16 + 4);
        self.relaxation.solve(&question, effort)
    }

    fn question<'q>(
        &self,
        node: &'q Node,
        prices: &'q Prices,
        tolls: &'q Tolls,
        windows: Option<&'q Windows>,
        marginals: bool,
    ) -> Question<'q> {
        Question {
            domains: &node.domains,
            confined: &node.confined,
            lines: &prices.lines,
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
        let question = self.question(node, prices, &tolls, windows, false);
        effort.spend(node.choices() as u64);
        match self.relaxation.solve_by_labels(&forest, &question) {
            // Too many labels here are too many elsewhere.
            None => relaxed,
            Some(found) => {
                self.forest = Some(forest);
                Relaxed {
                    bound: found.bound.max(relaxed.bound),
                    picks: found.picks,
                    marginals: relaxed.marginals,
                }
            }
        }
    }

    /// Offers the plans in one region each, and what the best of them leads to.
    fn gather(&mut self) {
        let plans = gathered(self.compiled, false)
            .into_iter()
            .map(|picks| Tally::of(self.compiled, picks));
        if let Some(best) = plans.min_by_key(Tally::cost)
            && best.cost() < self.beat
        {
            self.offer_improved(&best.picks, true);
        }
    }

    /// Drops choices that no better plan has.
    fn drop_useless(&self, node: &mut Node, relaxed: &Relaxed) -> bool {
        let mut dropped = false;
        for (domain, marginals) in node.domains.iter_mut().zip(&relaxed.marginals) {
            let before = domain.len();
            let mut bounds = marginals.iter();
            domain.retain(|_| bounds.next().is_none_or(|bound| *bound < self.beat));
            dropped |= domain.len() < before;
        }
        dropped
    }

    /// Two parts that together are the part.
    fn split(&self, node: Node, spans: &Spans, prices: &Prices, picks: Option<&[usize]>) -> Vec<(Node, Prices)> {
        if let Some(picks) = picks {
            let tally = Tally::of(self.compiled, picks.to_vec());
            if let Some((meter, at)) = prices.worst(self.compiled, spans, &tally) {
                return self.split_volume(&node, prices, meter, at);
            }
            if let Some(task) = self.task_to_blame(&node, prices, &tally) {
                return self.split_task(&node, prices, task, picks[task]);
            }
        }
        let widest = (0..node.domains.len()).max_by_key(|task| (node.domains[*task].len(), Reverse(*task)));
        let Some(task) = widest.filter(|task| node.domains[*task].len() > 1) else {
            return Vec::new();
        };
        let pick = picks.map_or(node.domains[task][0], |picks| picks[task]);
        self.split_task(&node, prices, task, pick)
    }

    fn split_volume(&self, node: &Node, prices: &Prices, meter: usize, at: u64) -> Vec<(Node, Prices)> {
        let (low, high) = node.confined[meter];
        let part = |span: (u64, u64)| {
            let mut part = node.clone();
            part.confined[meter] = span;
            (part, prices.clone())
        };
        vec![part((at, high)), part((low, at))]
    }

    /// A task with a choice whose flows are on the meter that is priced worst, or that is on the path that is late.
    fn task_to_blame(&self, node: &Node, prices: &Prices, tally: &Tally) -> Option<usize> {
        let open = |task: &usize| node.domains[*task].len() > 1;
        if let Some(meter) = prices.worst_any(self.compiled, tally) {
            let flows = self.compiled.flows.iter().filter(|flow| {
                let (from, to) = (
                    region(self.compiled, &tally.picks, flow.from),
                    region(self.compiled, &tally.picks, flow.to),
                );
                let on = self.compiled.network.meter_of(from, to);
                on != FREE && on as usize == meter
            });
            let mut best: Option<(u64, usize)> = None;
            for flow in flows {
                for end in [flow.from, flow.to] {
                    if let End::Task(task) = end
                        && open(&task)
                        && best.is_none_or(|(bytes, other)| (flow.bytes, Reverse(task)) > (bytes, Reverse(other)))
                    {
                        best = Some((flow.bytes, task));
                    }
                }
            }
            if let Some((_, task)) = best {
                return Some(task);
            }
        }
        if !self.timed {
            return None;
        }
        let path = late_path(self.compiled, &tally.picks, self.rules.deadline)?;
        let saving = |task: usize| {
            let choices = &self.compiled.steps[task].choices;
            let least = node.domains[task]
                .iter()
                .map(|choice| choices[*choice].millis)
                .min()
                .unwrap_or(0);
            choices[tally.picks[task]].millis.saturating_sub(least)
        };
        path.tasks
            .into_iter()
            .filter(open)
            .max_by_key(|task| (saving(*task), Reverse(*task)))
    }

    /// With and without the region of a choice, or where only one region is left, the choice itself.
    fn split_task(&self, node: &Node, prices: &Prices, task: usize, pick: usize) -> Vec<(Node, Prices)> {
        let choices = &self.compiled.steps[task].choices;
        let region = choices[pick].region;
        let several = node.domains[task]
            .iter()
            .any(|choice| choices[*choice].region != region);
        let part = |wanted: bool| {
            let mut part = node.clone();
            let is_in = |choice: &usize| {
                if several {
                    choices[*choice].region == region
                } else {
                    *choice == pick
                }
            };
            part.domains[task].retain(|choice| is_in(choice) == wanted);
            (part, prices.clone())
        };
        vec![part(false), part(true)]
    }
}
