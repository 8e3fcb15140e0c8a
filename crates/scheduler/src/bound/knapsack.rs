//! The most valuable content of one machine: a bounded knapsack in four dimensions, by depth-first search.
//!
//! Its answer comes with an upper bound that holds whatever was cut off: where a branch is given up, what it could have
//! been worth is kept. Values are whole numbers held in floats; only the bounds round, and they are pushed up by
//! [`OUTWARD`], which is far above what the few operations can lose.

use super::relaxed::{Demand, Shape};

/// Relative room for the rounding of a bound: some hundred operations of 2^-53 each.
const OUTWARD: f64 = 1.0 + 1e-9;

/// A branch is given up when it could be better by less than this share.
const WORTH: f64 = 1.0 + 1.0 / 8192.0;

/// Weights of CPU against memory of which the fractional bound is the least.
const MIXES: [f64; 3] = [0.25, 0.5, 0.75];

/// Content of a machine.
#[derive(Debug)]
pub(super) struct Content {
    /// How many of each demand.
    pub(super) counts: Vec<u64>,
    /// What they are worth.
    pub(super) value: f64,
    /// No content is worth more.
    pub(super) upper: f64,
}

/// One demand that may be aboard.
struct Item {
    demand: usize,
    value: f64,
    request: [u64; 4],
    most: u64,
}

struct Search<'i> {
    items: Vec<Item>,
    demands: &'i [Demand],
    /// Per measure its weights per dimension, and per position the best value per load of the items from there on.
    measures: Vec<([f64; 4], Vec<f64>)>,
    /// Per position the value of all items from there on, each as often as it may be.
    all: Vec<f64>,
    counts: Vec<u64>,
    best: Content,
    steps: u32,
}

/// No content of `shape` is worth more than this; quick.
pub(super) fn at_most(shape: &Shape, demands: &[Demand], values: &[f64]) -> f64 {
    let items = items(shape, demands, values);
    let measures = measures(shape, &items);
    let all = suffix_sums(&items);
    fractional(&measures, &all, 0, &shape.capacity)
}

/// The best content of `shape` for these values (as many as demands; those not above zero stay out), by at most `steps`
/// steps.
pub(super) fn best_content(shape: &Shape, demands: &[Demand], values: &[f64], steps: u32) -> Content {
    let mut items = items(shape, demands, values);
    let share = |item: &Item| {
        let parts = item.request.iter().zip(&shape.capacity);
        parts
            .filter(|(_, whole)| **whole > 0)
            .map(|(part, whole)| float(*part) / float(*whole))
            .fold(f64::MIN_POSITIVE, f64::max)
    };
    items.sort_by(|a, b| (b.value / share(b)).total_cmp(&(a.value / share(a))));
    let mut search = Search {
        measures: measures(shape, &items),
        all: suffix_sums(&items),
        counts: vec![0; items.len()],
        items,
        demands,
        best: Content {
            counts: vec![0; demands.len()],
            value: 0.0,
            upper: 0.0,
        },
        steps,
    };
    search.descend(0, shape.capacity, 0.0);
    let mut best = search.best;
    best.upper = best.upper.max(best.value) * OUTWARD;
    best
}

impl Search<'_> {
    fn descend(&mut self, at: usize, free: [u64; 4], value: f64) {
        if value > self.best.value {
            self.best.value = value;
            self.best.counts.iter_mut().for_each(|count| *count = 0);
            for (item, count) in self.items.iter().zip(&self.counts) {
                self.best.counts[item.demand] = *count;
            }
        }
        if at == self.items.len() {
            return;
        }
        let could_be = (value + fractional(&self.measures, &self.all, at, &free)) * OUTWARD;
        if could_be <= self.best.value * WORTH || self.steps == 0 {
            self.best.upper = self.best.upper.max(could_be);
            return;
        }
        self.steps -= 1;
        let item = &self.items[at];
        let (request, worth) = (item.request, item.value);
        let aboard = |other: &usize| {
            self.items[..at]
                .iter()
                .zip(&self.counts)
                .any(|(i, n)| i.demand == *other && *n > 0)
        };
        let kept_away = self.demands[item.demand].apart.iter().any(aboard);
        let most = if kept_away {
            0
        } else {
            copies(&request, &free).min(item.most)
        };
        for count in (0..=most).rev() {
            self.counts[at] = count;
            let mut left = free;
            left.iter_mut()
                .zip(request)
                .for_each(|(free, part)| *free -= part * count);
            self.descend(at + 1, left, value + worth * float(count));
        }
        self.counts[at] = 0;
    }
}

fn items(shape: &Shape, demands: &[Demand], values: &[f64]) -> Vec<Item> {
    let item = |(demand, asked): (usize, &Demand)| {
        let most = copies(&asked.request, &shape.capacity).min(asked.most_together);
        let value = values[demand] - shape.extra[demand];
        (shape.open[demand] && most > 0 && value > 0.0).then_some(Item {
            demand,
            value,
            request: asked.request,
            most,
        })
    };
    demands.iter().enumerate().filter_map(item).collect()
}

/// Ways to weigh the dimensions: each alone, and mixes of CPU and memory.
fn measures(shape: &Shape, items: &[Item]) -> Vec<([f64; 4], Vec<f64>)> {
    let unit = |d: usize| {
        if shape.capacity[d] == 0 {
            0.0
        } else {
            1.0 / float(shape.capacity[d])
        }
    };
    let alone = (0..4).filter(|d| shape.capacity[*d] > 0).map(|d| {
        let mut weights = [0.0; 4];
        weights[d] = unit(d);
        weights
    });
    let mixed = MIXES.map(|share| [share * unit(0), (1.0 - share) * unit(1), 0.0, 0.0]);
    let with_ratios = |weights: [f64; 4]| {
        let mut ratios = vec![0.0; items.len() + 1];
        for (at, item) in items.iter().enumerate().rev() {
            let load = load(&weights, &item.request);
            let ratio = if load > 0.0 { item.value / load } else { f64::INFINITY };
            ratios[at] = ratio.max(ratios[at + 1]);
        }
        (weights, ratios)
    };
    alone.chain(mixed).map(with_ratios).collect()
}

fn suffix_sums(items: &[Item]) -> Vec<f64> {
    let mut all = vec![0.0; items.len() + 1];
    for (at, item) in items.iter().enumerate().rev() {
        all[at] = all[at + 1] + item.value * float(item.most);
    }
    all
}

/// What the items from `at` on can add at most: under every measure, the free load times the best value per load.
fn fractional(measures: &[([f64; 4], Vec<f64>)], all: &[f64], at: usize, free: &[u64; 4]) -> f64 {
    let under = |(weights, ratios): &([f64; 4], Vec<f64>)| {
        let ratio = ratios[at];
        // Nothing of infinite worth per load fits into no load, but what asks for none of it does.
        if ratio.is_finite() {
            load(weights, free) * ratio
        } else {
            f64::INFINITY
        }
    };
    measures.iter().map(under).fold(all[at], f64::min)
}

fn load(weights: &[f64; 4], amounts: &[u64; 4]) -> f64 {
    weights.iter().zip(amounts).map(|(w, a)| w * float(*a)).sum()
}

/// How many requests fit.
fn copies(request: &[u64; 4], free: &[u64; 4]) -> u64 {
    let per_dimension = request
        .iter()
        .zip(free)
        .filter_map(|(part, whole)| whole.checked_div(*part));
    per_dimension.min().unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "of bounds only, which are pushed outward")]
fn float(amount: u64) -> f64 {
    amount as f64
}
