//! The question with each tariff replaced by a straight line below it, and with a price on time: a min-sum model, whose
//! least cost is a lower bound of every plan's.
//!
//! Tiers couple all flows of a sender; under a line each byte costs the same, and the coupling is gone. Deadlines couple
//! all tasks of a path; a price per millisecond on some paths, paid back for the time allowed, is never dearer for a plan
//! that is in time (Lagrangian relaxation; Handler and Zang, Networks 10, 1980, for one path). Both in integers, rounded
//! down. Which lines and prices to take is the search's.

use crate::effort::Effort;
use crate::minsum::{self, FORBIDDEN, Limits, MinsumError, Model};

use super::compile::{Compiled, End, NO_DEADLINE};
use super::labels::Forest;
use super::network::FREE;
use super::node::{Domains, Spans};
use super::tariff::{GRAINS, Line};
use super::windows::Windows;

/// Bits of the largest sum of costs that the solver gets; it accepts two more.
const SUM_BITS: u32 = 54;

/// Prices on time: `rate` per millisecond for each time that one of some paths uses a task or flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tolls {
    /// Scaled cost per millisecond.
    pub(super) rate: i64,
    /// How many of the paths go through each task.
    pub(super) tasks: Vec<u32>,
    /// How many of the paths go over each flow.
    pub(super) flows: Vec<u32>,
    /// Sum over the paths of the time that each may take.
    pub(super) allowed: i128,
}

impl Tolls {
    /// None.
    pub(super) fn none(compiled: &Compiled<'_>) -> Self {
        Self {
            rate: 0,
            tasks: vec![0; compiled.steps.len()],
            flows: vec![0; compiled.flows.len()],
            allowed: 0,
        }
    }
}

/// What is solved.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) domains: &'q Domains,
    /// Volumes that the meters are confined to.
    pub(super) confined: &'q Spans,
    pub(super) lines: &'q [Line],
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
    /// No plan with a choice is cheaper than this, by position in the domains; empty unless asked for.
    pub(super) marginals: Vec<Vec<i128>>,
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

    /// The cheapest assignment under the lines and tolls.
    pub(super) fn solve(&self, question: &Question<'_>, effort: &mut Effort<'_>) -> Relaxed {
        let constant = self.constant(question);
        // The least scaled cost that is no longer cheaper than `beat`; below 1 everything is dearer.
        let beat = self.scaled(question.beat - constant + (1 << self.shift) - 1);
        if beat <= 0 {
            return Relaxed {
                picks: None,
                bound: constant,
                marginals: Vec::new(),
            };
        }
        let costs = Costs::new(self, question);
        let pairs: Vec<usize> = (0..self.compiled.flows.len()).filter(|f| costs.is_pair(*f)).collect();
        let fill = |pair: usize, table: &mut [i64]| costs.fill(pairs[pair], table);
        let model = Model::new(
            costs.unary(),
            pairs.iter().map(|flow| costs.ends(*flow)).collect(),
            &fill,
        );
        let outcome = match minsum::solve(&model, &question.limits, beat, effort) {
            Ok(outcome) => outcome,
            // Tolls beyond what can be held: no bound from them.
            Err(MinsumError::TooDear { .. } | MinsumError::Negative { .. } | MinsumError::UnknownVariable { .. }) => {
                return Relaxed {
                    picks: None,
                    bound: 0,
                    marginals: Vec::new(),
                };
            }
        };
        let grains = |scaled: i64| {
            if scaled >= beat {
                question.beat
            } else {
                self.grains(scaled) + constant
            }
        };
        let name = |(domain, state): (&Vec<usize>, usize)| domain[state];
        Relaxed {
            picks: outcome
                .best
                .map(|(_, states)| question.domains.iter().zip(states).map(name).collect()),
            bound: grains(outcome.bound),
            marginals: outcome
                .marginals
                .iter()
                .map(|costs| costs.iter().map(|c| grains(*c)).collect())
                .collect(),
        }
    }

    /// The cheapest assignment in time under the lines alone, where the graph is a forest and labels are few enough.
    pub(super) fn solve_by_labels(&self, forest: &Forest, question: &Question<'_>) -> Option<Relaxed> {
        let constant = self.constant(question);
        let beat = self.scaled(question.beat - constant + (1 << self.shift) - 1);
        let costs = Costs::new(self, question);
        let found = forest.cheapest(&costs, beat).ok()?;
        let name = |(domain, state): (&Vec<usize>, usize)| domain[state];
        Some(match found {
            Some((cost, states)) => Relaxed {
                bound: self.grains(cost) + constant,
                picks: Some(question.domains.iter().zip(states).map(name).collect()),
                marginals: Vec::new(),
            },
            None => Relaxed {
                bound: question.beat,
                picks: None,
                marginals: Vec::new(),
            },
        })
    }

    /// What the lines and tolls add to every assignment.
    fn constant(&self, question: &Question<'_>) -> i128 {
        let offsets: i128 = question.lines.iter().map(|line| line.offset).sum();
        let back = question.tolls.allowed.saturating_mul(i128::from(question.tolls.rate));
        offsets - (back << self.shift)
    }
}

/// Writes the solver's tables.
#[derive(Debug)]
pub(super) struct Costs<'q> {
    relaxation: &'q Relaxation<'q>,
    question: &'q Question<'q>,
    /// Region of each choice left.
    regions: Vec<Vec<usize>>,
    /// Grains per byte by sender and receiver.
    rates: Vec<i64>,
    rate_max: i64,
    /// Bytes above which a single flow is more than some meter may count.
    bytes_max: u64,
}

impl<'q> Costs<'q> {
    fn new(relaxation: &'q Relaxation<'q>, question: &'q Question<'q>) -> Self {
        let compiled = relaxation.compiled;
        let count = compiled.network.regions.len();
        let rate = |meter: &u32| {
            if *meter == FREE {
                0
            } else {
                question.lines[*meter as usize].rate
            }
        };
        let rates: Vec<i64> = (0..count)
            .flat_map(|from| compiled.network.meters_from(from))
            .map(rate)
            .collect();
        let region = |(domain, step): (&Vec<usize>, &super::compile::Step<'_>)| {
            domain.iter().map(|choice| step.choices[*choice].region).collect()
        };
        Self {
            regions: question.domains.iter().zip(&compiled.steps).map(region).collect(),
            rate_max: rates.iter().copied().max().unwrap_or(0),
            rates,
            bytes_max: question.confined.iter().map(|span| span.1).min().unwrap_or(u64::MAX),
            relaxation,
            question,
        }
    }

    fn is_pair(&self, flow: usize) -> bool {
        let flow = &self.relaxation.compiled.flows[flow];
        matches!((flow.from, flow.to), (End::Task(_), End::Task(_)))
    }

    fn ends(&self, flow: usize) -> (usize, usize) {
        let flow = &self.relaxation.compiled.flows[flow];
        match (flow.from, flow.to) {
            (End::Task(from), End::Task(to)) => (from, to),
            (End::Task(task), End::Data(_)) | (End::Data(_), End::Task(task)) => (task, task),
            (End::Data(_), End::Data(_)) => (0, 0),
        }
    }

    /// When a task with a choice can start as far as data sets matter, and when it must have ended.
    pub(super) fn alone(&self, task: usize, state: usize) -> (u64, u64) {
        let compiled = self.relaxation.compiled;
        let region = self.regions[task][state];
        let inputs = compiled.flows_of[task]
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
        let (rows, columns) = (self.regions[first].len(), self.regions[second].len());
        let mut joint = vec![(0i64, 0u64); rows * columns];
        let mut table = vec![0; rows * columns];
        for &flow in flows {
            self.fill(flow, &mut table);
            let turned = self.ends(flow).0 != first;
            for row in 0..rows {
                for column in 0..columns {
                    let at = if turned {
                        column * rows + row
                    } else {
                        row * columns + column
                    };
                    let (from, to) = (self.regions[first][row], self.regions[second][column]);
                    let (from, to) = if turned { (to, from) } else { (from, to) };
                    let (cost, millis) = &mut joint[row * columns + column];
                    *cost = cost.saturating_add(table[at]);
                    *millis = (*millis).max(compiled.millis(flow, from, to));
                }
            }
        }
        joint
    }

    /// Costs of the tasks, with their flows from and to data sets and their tolls.
    pub(super) fn unary(&self) -> Vec<Vec<i64>> {
        let compiled = self.relaxation.compiled;
        let tolls = self.question.tolls;
        let cost = |task: usize, at: usize, choice: usize| {
            let choice = &compiled.steps[task].choices[choice];
            let mut cost = self.relaxation.scaled(i128::from(choice.cost) * GRAINS);
            cost = cost.saturating_add(toll(tolls.rate, tolls.tasks[task], choice.millis));
            for &flow in &compiled.flows_of[task] {
                let (from, to) = match (compiled.flows[flow].from, compiled.flows[flow].to) {
                    (End::Data(from), End::Task(_)) => (from, self.regions[task][at]),
                    (End::Task(_), End::Data(to)) => (self.regions[task][at], to),
                    _ => continue,
                };
                cost = cost.saturating_add(self.traffic(flow, from, to));
                if tolls.rate > 0 {
                    cost = cost.saturating_add(toll(tolls.rate, tolls.flows[flow], compiled.millis(flow, from, to)));
                }
            }
            cost
        };
        let of_task = |(task, domain): (usize, &Vec<usize>)| {
            domain
                .iter()
                .enumerate()
                .map(|(at, choice)| cost(task, at, *choice))
                .collect()
        };
        self.question.domains.iter().enumerate().map(of_task).collect()
    }

    /// Costs of a flow between two tasks.
    fn fill(&self, flow: usize, table: &mut [i64]) {
        let compiled = self.relaxation.compiled;
        let (from, to) = self.ends(flow);
        let bytes = compiled.flows[flow].bytes;
        let width = self.regions[to].len();
        if width == 0 {
            return;
        }
        let count = compiled.network.regions.len();
        let small = i64::try_from(bytes)
            .ok()
            .filter(|bytes| bytes.checked_mul(self.rate_max).is_some());
        if let Some(bytes) = small.filter(|_| bytes <= self.bytes_max) {
            for (row, sender) in table.chunks_exact_mut(width).zip(&self.regions[from]) {
                let rates = &self.rates[sender * count..(sender + 1) * count];
                for (cost, receiver) in row.iter_mut().zip(&self.regions[to]) {
                    *cost = (bytes * rates[*receiver]) >> self.relaxation.shift;
                }
            }
        } else {
            for (row, sender) in table.chunks_exact_mut(width).zip(&self.regions[from]) {
                for (cost, receiver) in row.iter_mut().zip(&self.regions[to]) {
                    *cost = self.traffic(flow, *sender, *receiver);
                }
            }
        }
        self.add_time(flow, table);
    }

    /// Forbids what is late together, and adds the tolls.
    fn add_time(&self, flow: usize, table: &mut [i64]) {
        let compiled = self.relaxation.compiled;
        let tolls = self.question.tolls;
        let toll_here = tolls.rate > 0 && tolls.flows[flow] > 0;
        let (from, to) = self.ends(flow);
        let Some(windows) = self.question.windows else {
            return;
        };
        let width = self.regions[to].len();
        for (row, sender) in table.chunks_exact_mut(width).zip(0..) {
            for (cost, receiver) in row.iter_mut().zip(0..) {
                let millis = compiled.millis(flow, self.regions[from][sender], self.regions[to][receiver]);
                let run = compiled.steps[to].choices[self.question.domains[to][receiver]].millis;
                let end = windows.earliest[from][sender]
                    .saturating_add(millis)
                    .saturating_add(run);
                if end > windows.latest[to][receiver] {
                    *cost = FORBIDDEN;
                } else if toll_here && *cost != FORBIDDEN {
                    *cost = cost.saturating_add(toll(tolls.rate, tolls.flows[flow], millis));
                }
            }
        }
    }

    /// What a flow costs under the lines.
    fn traffic(&self, flow: usize, from: usize, to: usize) -> i64 {
        let compiled = self.relaxation.compiled;
        let bytes = compiled.flows[flow].bytes;
        let meter = compiled.network.meter_of(from, to);
        if meter == FREE {
            return 0;
        }
        if bytes > self.question.confined[meter as usize].1 {
            return FORBIDDEN;
        }
        let rate = self.rates[from * compiled.network.regions.len() + to];
        self.relaxation.scaled(i128::from(bytes) * i128::from(rate))
    }
}

/// A toll, below what the solver accepts for one cost.
fn toll(rate: i64, times: u32, millis: u64) -> i64 {
    if rate == 0 || times == 0 {
        return 0;
    }
    let toll = i128::from(rate) * i128::from(times) * i128::from(millis);
    i64::try_from(toll).unwrap_or(minsum::COST_MAX).min(minsum::COST_MAX)
}
