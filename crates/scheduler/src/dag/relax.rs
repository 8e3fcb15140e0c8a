//! The question with each tariff replaced by charges flow by flow that are together below it, and with a price on time: a
//! min-sum model, whose least cost is a lower bound of every plan's.
//!
//! Tiers couple all flows of a sender; where each flow is charged by itself, the coupling is gone. Deadlines couple
//! all tasks of a path; a price per millisecond on some paths, paid back for the time allowed, is never dearer for a plan
//! that is in time (Lagrangian relaxation; Handler and Zang, Networks 10, 1980, for one path). Both in integers, rounded
//! down. Which charges and prices to take is `prices`'.

use crate::effort::Effort;
use crate::minsum::{self, FORBIDDEN, Limits, MinsumError, Model, Pairs, Rows};

use super::compile::{Compiled, End, NO_DEADLINE};
use super::labels::Forest;
use super::network::FREE;
use super::node::{Domains, Volumes};
use super::tariff::{Curve, GRAINS};
use super::windows::Windows;

/// Bits of the largest sum of costs that the solver gets; it accepts two more.
const SUM_BITS: u32 = 54;

/// Prices on time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tolls {
    /// Scaled cost per millisecond of each task.
    pub(super) tasks: Vec<i64>,
    /// The same of each flow.
    pub(super) flows: Vec<i64>,
    /// Scaled cost that is paid back for the time allowed.
    pub(super) back: i128,
}

impl Tolls {
    /// None.
    pub(super) fn none(compiled: &Compiled<'_>) -> Self {
        Self {
            tasks: vec![0; compiled.steps.len()],
            flows: vec![0; compiled.flows.len()],
            back: 0,
        }
    }
}

/// What is solved.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) domains: &'q Domains,
    pub(super) volumes: &'q Volumes,
    /// By meter.
    pub(super) curves: &'q [Curve],
    pub(super) tolls: &'q Tolls,
    /// Where time is limited.
    pub(super) windows: Option<&'q Windows>,
    /// Only what is cheaper, in grains, is looked for.
    pub(super) beat: i128,
    pub(super) limits: Limits,
}

/// What came of it, in grains.
#[derive(Debug)]
pub(super) struct Relaxed {
    /// Choices of the cheapest assignment, by position in each step.
    pub(super) picks: Option<Vec<usize>>,
    /// No plan within the question's domains and volumes is cheaper; at least `beat` where none can be cheaper than that.
    pub(super) bound: i128,
    /// What all assignments cost at least, in grains.
    pub(super) constant: i128,
    /// No plan with a choice is cheaper than this (scaled, without the constant), by position in the domains; empty unless
    /// asked for.
    pub(super) marginals: Rows<i64>,
}

impl Relaxed {
    /// Nothing is known but a bound.
    fn bound(bound: i128) -> Self {
        Self {
            picks: None,
            bound,
            constant: 0,
            marginals: Rows::with_capacity(0, 0),
        }
    }
}

/// How costs are scaled, so that all of them fit the solver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relaxation<'c> {
    compiled: &'c Compiled<'c>,
    /// Bits of a grain that are dropped; 0 for anything that costs less than a few million dollars, and no loss as long as
    /// all costs are multiples.
    shift: u32,
}

impl<'c> Relaxation<'c> {
    pub(super) fn new(compiled: &'c Compiled<'c>) -> Self {
        let dearest =
            |step: &super::compile::Step<'_>| step.choices.iter().map(|c| i128::from(c.cost)).max().unwrap_or(0);
        let tasks: i128 = compiled.steps.iter().map(dearest).sum();
        let bytes: i128 = compiled.flows.iter().map(|flow| i128::from(flow.bytes)).sum();
        let rates = compiled.network.meters.iter().flat_map(|meter| meter.tariff.rates());
        let total = tasks * GRAINS + bytes * i128::from(rates.max().unwrap_or(0));
        let bits = i128::BITS - total.leading_zeros();
        Self {
            compiled,
            shift: bits.saturating_sub(SUM_BITS),
        }
    }

    /// A scaled cost in grains.
    pub(super) const fn grains(&self, scaled: i64) -> i128 {
        (scaled as i128) << self.shift
    }

    /// Grains as a scaled cost, rounded down.
    pub(super) fn scaled(&self, grains: i128) -> i64 {
        i64::try_from(grains >> self.shift).unwrap_or(if grains < 0 { i64::MIN } else { FORBIDDEN })
    }

    /// The least scaled cost that is not cheaper than `beat`, without a constant.
    fn scaled_beat(&self, beat: i128, constant: i128) -> i64 {
        self.scaled(beat - constant + (1 << self.shift) - 1)
    }

    /// Drops from the domains what no plan cheaper than `beat` has; gives how many
    /// choices were dropped.
    pub(super) fn drop_useless(&self, relaxed: &Relaxed, beat: i128, domains: &mut Domains) -> usize {
        let limit = self.scaled_beat(beat, relaxed.constant);
        let mut dropped = 0;
        for (domain, marginals) in domains.iter_mut().zip(relaxed.marginals.iter()) {
            if marginals.iter().all(|bound| *bound < limit) {
                continue;
            }
            let (before, mut bounds) = (domain.len(), marginals.iter());
            domain.retain(|_| bounds.next().is_none_or(|bound| *bound < limit));
            dropped += before - domain.len();
        }
        dropped
    }

    /// The cheapest assignment under the curves and tolls.
    pub(super) fn solve(&self, question: &Question<'_>, effort: &mut Effort<'_>) -> Relaxed {
        let constant = self.constant(question);
        // Below 1 everything is dearer.
        let beat = self.scaled_beat(question.beat, constant);
        if beat <= 0 {
            return Relaxed::bound(constant);
        }
        let costs = Costs::new(self, question);
        let pairs = costs.pairs.iter().map(|pair| (pair.from, pair.to)).collect();
        let model = Model::new(costs.unary(), pairs, &costs);
        let outcome = match minsum::solve(&model, &question.limits, beat, effort) {
            Ok(outcome) => outcome,
            // Tolls beyond what can be held: no bound from them.
            Err(MinsumError::TooDear { .. } | MinsumError::Negative { .. } | MinsumError::UnknownVariable { .. }) => {
                return Relaxed::bound(0);
            }
        };
        let name = |(domain, state): (&Vec<usize>, usize)| domain[state];
        Relaxed {
            picks: outcome
                .best
                .map(|(_, states)| question.domains.iter().zip(states).map(name).collect()),
            bound: if outcome.bound >= beat {
                question.beat
            } else {
                self.grains(outcome.bound) + constant
            },
            constant,
            marginals: outcome.marginals,
        }
    }

    /// The cheapest assignment in time under the curves alone, where the graph is a forest and labels are few enough.
    pub(super) fn solve_by_labels(
        &self,
        forest: &Forest,
        question: &Question<'_>,
        effort: &mut Effort<'_>,
    ) -> Option<Relaxed> {
        let constant = self.constant(question);
        let beat = self.scaled_beat(question.beat, constant);
        let costs = Costs::new(self, question);
        let found = forest.cheapest(&costs, beat, effort).ok()?;
        let name = |(domain, state): (&Vec<usize>, usize)| domain[state];
        let mut relaxed = Relaxed::bound(question.beat);
        if let Some((cost, states)) = found {
            relaxed.bound = self.grains(cost) + constant;
            relaxed.picks = Some(question.domains.iter().zip(states).map(name).collect());
        }
        Some(relaxed)
    }

    /// What the curves and tolls add to every assignment.
    fn constant(&self, question: &Question<'_>) -> i128 {
        let offsets: i128 = question.curves.iter().map(|curve| curve.offset).sum();
        offsets - (question.tolls.back << self.shift)
    }
}

/// A flow between two tasks.
#[derive(Debug, Clone, Copy)]
struct Pair {
    flow: usize,
    from: usize,
    to: usize,
}

/// What tasks and flows cost in a question.
#[derive(Debug)]
pub(super) struct Costs<'q> {
    relaxation: &'q Relaxation<'q>,
    question: &'q Question<'q>,
    /// Region of each choice left.
    regions: Rows<u32>,
    pairs: Vec<Pair>,
    /// By meter, bytes up to which a flow is charged by the rate alone in 64 bits.
    straight_up_to: Vec<u64>,
    /// Grains per byte at most.
    rate_max: i64,
}

impl<'q> Costs<'q> {
    fn new(relaxation: &'q Relaxation<'q>, question: &'q Question<'q>) -> Self {
        let compiled = relaxation.compiled;
        let choices = question.domains.iter().map(Vec::len).sum();
        let mut regions = Rows::with_capacity(question.domains.len(), choices);
        for (domain, step) in question.domains.iter().zip(&compiled.steps) {
            let region = |choice: &usize| u32::try_from(step.choices[*choice].region).unwrap_or(0);
            regions.push(domain.iter().map(region));
        }
        let pair = |(flow, ends): (usize, &super::compile::Flow)| match (ends.from, ends.to) {
            (End::Task(from), End::Task(to)) => Some(Pair { flow, from, to }),
            _ => None,
        };
        let held = |curve: &Curve| u64::try_from(i64::MAX / curve.rate.max(1)).unwrap_or(0);
        Self {
            regions,
            pairs: compiled.flows.iter().enumerate().filter_map(pair).collect(),
            straight_up_to: question
                .curves
                .iter()
                .map(|curve| curve.straight_up_to.min(curve.room).min(held(curve)))
                .collect(),
            rate_max: question.curves.iter().map(Curve::rate_max).max().unwrap_or(0),
            relaxation,
            question,
        }
    }

    /// When a task with a choice can start as far as data sets matter, and when it must have ended.
    pub(super) fn alone(&self, task: usize, state: usize) -> (u64, u64) {
        let compiled = self.relaxation.compiled;
        let region = self.regions.row(task)[state] as usize;
        let inputs = compiled
            .flows_of
            .row(task)
            .iter()
            .filter_map(|flow| match compiled.flows[*flow].from {
                End::Data(from) => Some(compiled.millis(*flow, from, region)),
                End::Task(_) => None,
            });
        let latest = self
            .question
            .windows
            .map_or(NO_DEADLINE, |windows| windows.latest[task][state]);
        (inputs.max().unwrap_or(0), latest)
    }

    /// How long a task runs with a choice.
    pub(super) fn run(&self, task: usize, state: usize) -> u64 {
        self.relaxation.compiled.steps[task].choices[self.question.domains[task][state]].millis
    }

    /// Cost and time of the flows between two tasks, by the states of both, those of `first` outermost.
    pub(super) fn joint(&self, first: usize, second: usize, flows: &[usize]) -> Vec<(i64, u64)> {
        let compiled = self.relaxation.compiled;
        let (rows, columns) = (self.regions.row(first).len(), self.regions.row(second).len());
        let mut joint = vec![(0i64, 0u64); rows * columns];
        let mut table = vec![0; rows * columns];
        for &flow in flows {
            let Ok(number) = self.pairs.binary_search_by_key(&flow, |pair| pair.flow) else {
                continue;
            };
            self.fill(number, &mut table);
            let is_turned = self.pairs[number].from != first;
            for row in 0..rows {
                for column in 0..columns {
                    let at = if is_turned {
                        column * rows + row
                    } else {
                        row * columns + column
                    };
                    let (here, there) = (
                        self.regions.row(first)[row] as usize,
                        self.regions.row(second)[column] as usize,
                    );
                    let (from, to) = if is_turned { (there, here) } else { (here, there) };
                    let (cost, millis) = &mut joint[row * columns + column];
                    *cost = cost.saturating_add(table[at]).min(FORBIDDEN);
                    *millis = (*millis).max(compiled.millis(flow, from, to));
                }
            }
        }
        joint
    }

    /// Costs of the tasks, with their flows from and to data sets and their tolls.
    pub(super) fn unary(&self) -> Rows<i64> {
        let compiled = self.relaxation.compiled;
        let choices = self.question.domains.iter().map(Vec::len).sum();
        let mut unary = Rows::with_capacity(self.question.domains.len(), choices);
        for (task, domain) in self.question.domains.iter().enumerate() {
            let step = &compiled.steps[task];
            let rate = self.question.tolls.tasks[task];
            let own = |choice: &usize| {
                let choice = &step.choices[*choice];
                self.relaxation
                    .scaled(i128::from(choice.cost) * GRAINS)
                    .saturating_add(toll(rate, choice.millis))
            };
            unary.push(domain.iter().map(own));
            for &flow in compiled.flows_of.row(task) {
                let ends = (compiled.flows[flow].from, compiled.flows[flow].to);
                if !matches!(ends, (End::Data(_), _) | (_, End::Data(_))) {
                    continue;
                }
                for (cost, region) in unary.row_mut(task).iter_mut().zip(self.regions.row(task)) {
                    let region = *region as usize;
                    let (from, to) = match ends {
                        (End::Data(from), _) => (from, region),
                        (_, End::Data(to)) => (region, to),
                        _ => (region, region),
                    };
                    let time = toll(self.question.tolls.flows[flow], compiled.millis(flow, from, to));
                    let more = self.traffic(flow, from, to).saturating_add(time);
                    *cost = cost.saturating_add(more).min(FORBIDDEN);
                }
            }
        }
        unary
    }

    /// What a flow costs that costs so much for its bytes, with these states of its sender and its receiver: its toll as
    /// well, and forbidden what is late together.
    fn in_time(&self, windows: &Windows, pair: Pair, (sender, receiver): (usize, usize), traffic: i64) -> i64 {
        let compiled = self.relaxation.compiled;
        let regions = (self.regions.row(pair.from)[sender], self.regions.row(pair.to)[receiver]);
        let millis = compiled.millis(pair.flow, regions.0 as usize, regions.1 as usize);
        let run = compiled.steps[pair.to].choices[self.question.domains[pair.to][receiver]].millis;
        let end = windows.earliest[pair.from][sender]
            .saturating_add(millis)
            .saturating_add(run);
        if end > windows.latest[pair.to][receiver] {
            return FORBIDDEN;
        }
        let time = toll(self.question.tolls.flows[pair.flow], millis);
        traffic.saturating_add(time).min(FORBIDDEN)
    }

    /// What a flow costs from one region to another.
    fn traffic(&self, flow: usize, from: usize, to: usize) -> i64 {
        let meter = self.relaxation.compiled.network.meter_of(from, to);
        if meter == FREE {
            0
        } else {
            self.charge(flow, meter as usize)
        }
    }

    /// What a flow costs on a meter.
    fn charge(&self, flow: usize, meter: usize) -> i64 {
        let bytes = self.relaxation.compiled.flows[flow].bytes;
        let curve = &self.question.curves[meter];
        if bytes <= self.straight_up_to[meter]
            && let Ok(bytes) = i64::try_from(bytes)
        {
            return (bytes * curve.rate) >> self.relaxation.shift;
        }
        if self.question.volumes.is_certain[flow] {
            return self.relaxation.scaled(i128::from(bytes) * i128::from(curve.rate));
        }
        if bytes > curve.room {
            return FORBIDDEN;
        }
        self.relaxation.scaled(curve.charge(bytes))
    }
}

impl Pairs for Costs<'_> {
    const HAS_SINGLE: bool = true;

    fn fill(&self, pair: usize, table: &mut [i64]) {
        let Pair { flow, from, to } = self.pairs[pair];
        let width = self.regions.row(to).len();
        if width == 0 {
            return;
        }
        let network = &self.relaxation.compiled.network;
        let by_meter: Vec<i64> = (0..network.meters.len())
            .map(|meter| self.charge(flow, meter))
            .collect();
        for (row, sender) in table.chunks_exact_mut(width).zip(self.regions.row(from)) {
            let meters = network.meters_from(*sender as usize);
            for (cost, receiver) in row.iter_mut().zip(self.regions.row(to)) {
                // A number that no meter has stands for what is free.
                let charge = by_meter.get(meters[*receiver as usize] as usize);
                *cost = charge.copied().unwrap_or(0);
            }
        }
        if let Some(windows) = self.question.windows {
            for (sender, row) in table.chunks_exact_mut(width).enumerate() {
                for (receiver, cost) in row.iter_mut().enumerate() {
                    *cost = self.in_time(windows, self.pairs[pair], (sender, receiver), *cost);
                }
            }
        }
    }

    fn single(&self, pair: usize) -> impl Fn(usize, usize) -> i64 {
        let pair = self.pairs[pair];
        let (senders, receivers) = (self.regions.row(pair.from), self.regions.row(pair.to));
        let network = &self.relaxation.compiled.network;
        move |sender, receiver| {
            let meter = network.meter_of(senders[sender] as usize, receivers[receiver] as usize);
            let traffic = if meter == FREE {
                0
            } else {
                self.charge(pair.flow, meter as usize)
            };
            match self.question.windows {
                None => traffic,
                Some(windows) => self.in_time(windows, pair, (sender, receiver), traffic),
            }
        }
    }

    fn dearest(&self, pair: usize) -> i64 {
        let flow = self.pairs[pair].flow;
        let compiled = self.relaxation.compiled;
        let traffic = i128::from(compiled.flows[flow].bytes) * i128::from(self.rate_max);
        let rate = self.question.tolls.flows[flow];
        let time = if rate > 0 {
            toll(rate, compiled.millis_max(flow))
        } else {
            0
        };
        self.relaxation.scaled(traffic).saturating_add(time)
    }
}

/// A toll, below what the solver accepts for one cost.
fn toll(rate: i64, millis: u64) -> i64 {
    if rate == 0 {
        return 0;
    }
    let toll = i128::from(rate) * i128::from(millis);
    i64::try_from(toll).unwrap_or(minsum::COST_MAX).min(minsum::COST_MAX)
}
