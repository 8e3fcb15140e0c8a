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

/// Shares of CPU against memory under which the contents are weighed as one amount; the least bound of all holds.
const MIXES: [f64; 9] = [0.5, 0.3, 0.7, 0.1, 0.9, 0.2, 0.4, 0.6, 0.8];

/// Measures kept for the search: those that bound the empty machine best.
const KEPT: usize = 3;

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

/// One amount for several dimensions, under which a content weighs no more than the machine has room for.
struct Measure {
    weights: [f64; 4],
    /// Items by value per load, the best first.
    order: Vec<usize>,
    /// Load of each item.
    loads: Vec<f64>,
}

struct Search<'i> {
    items: Vec<Item>,
    demands: &'i [Demand],
    measures: Vec<Measure>,
    counts: Vec<u64>,
    best: Content,
    steps: u32,
}

/// No content of `shape` is worth more than this; quick.
pub(super) fn at_most(shape: &Shape, demands: &[Demand], values: &[f64], enough: f64) -> f64 {
    let items = items(shape, demands, values);
    let all: f64 = items.iter().map(|item| item.value * float(item.most)).sum();
    let mut least = all * OUTWARD;
    for weights in weights(shape) {
        if least <= enough {
            break;
        }
        let measure = Measure::new(weights, &items);
        least = least.min(measure.fill(&items, 0, &shape.capacity) * OUTWARD);
    }
    least
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
    // The large first: once they are settled, the small fill what is left almost as the bound has it.
    items.sort_by(|a, b| share(b).total_cmp(&share(a)));
    let mut measures: Vec<(f64, Measure)> = weights(shape)
        .map(|weights| {
            let measure = Measure::new(weights, &items);
            (measure.fill(&items, 0, &shape.capacity), measure)
        })
        .collect();
    measures.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut search = Search {
        measures: measures.into_iter().take(KEPT).map(|(_, measure)| measure).collect(),
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
        let more = self.measures.iter().map(|measure| measure.fill(&self.items, at, &free));
        let could_be = (value + more.fold(f64::INFINITY, f64::min)) * OUTWARD;
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

/// Ways to weigh the dimensions: mixes of CPU and memory, the even one first, then each dimension alone.
fn weights(shape: &Shape) -> impl Iterator<Item = [f64; 4]> + '_ {
    let unit = |d: usize| {
        if shape.capacity[d] == 0 {
            0.0
        } else {
            1.0 / float(shape.capacity[d])
        }
    };
    let mixed = MIXES
        .iter()
        .map(move |share| [share * unit(0), (1.0 - share) * unit(1), 0.0, 0.0]);
    let alone = (0..4).filter(|d| shape.capacity[*d] > 0).map(move |d| {
        let mut weights = [0.0; 4];
        weights[d] = unit(d);
        weights
    });
    mixed.chain(alone)
}

impl Measure {
    fn new(weights: [f64; 4], items: &[Item]) -> Self {
        let loads: Vec<f64> = items.iter().map(|item| load(&weights, &item.request)).collect();
        let mut order: Vec<usize> = (0..items.len()).collect();
        // What has no load is worth infinitely much per load: it comes first.
        order.sort_by(|a, b| (items[*b].value / loads[*b]).total_cmp(&(items[*a].value / loads[*a])));
        Self { weights, order, loads }
    }

    /// What the items from `at` on can add at most: the best per load as often as it may be, the last in part.
    fn fill(&self, items: &[Item], at: usize, free: &[u64; 4]) -> f64 {
        let mut room = load(&self.weights, free);
        let mut worth = 0.0;
        for &number in self.order.iter().filter(|number| **number >= at) {
            let (item, load) = (&items[number], self.loads[number]);
            let all = load * float(item.most);
            if all <= room {
                room -= all;
                worth += item.value * float(item.most);
            } else {
                return worth + item.value * (room / load);
            }
        }
        worth
    }
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
