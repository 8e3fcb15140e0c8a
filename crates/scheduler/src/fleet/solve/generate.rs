//! Column generation: prices from the master, loads from the search, and after each round a bound proven in integers.
//!
//! The bound is Farley's: if no load of shape `t` is worth more than `u_t` under values `y`, then `θ·y` with
//! `θ = min price_t / u_t` is a feasible dual, and `θ·Σ count·y` (less what limits cost) is below every purchase.
//! Rounds use values between the best so far and the master's (Neame's smoothing), which keeps them from swinging.
//! Turning fractions into machines is `dive`'s and `build`'s.

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};
use crate::fleet::problem::DIMENSIONS_MAX;

use super::carrier::{Carrier, as_float, as_signed};
use super::master::{Column, Master};
use super::rows::Rows;
use super::search::search;

/// Loads below a shape's price by less than this share are not looked for.
const TOLERANCE: f64 = 1e-6;

/// Values of classes and what they prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Values of classes, in billionths of a dollar.
    pub(crate) values: Vec<i64>,
    /// Prices of limits, in billionths of a dollar per unit taken.
    pub(crate) limits: Vec<i64>,
    /// By shape: no load of it is worth more than this under the values.
    pub(crate) uppers: Vec<i64>,
}

impl Proof {
    /// The lower bound for so many copies of each class, in billionths of a dollar per hour.
    pub(crate) fn bound(&self, folded: &Folded, counts: &[u64]) -> u128 {
        let worth: i128 = counts
            .iter()
            .zip(&self.values)
            .map(|(n, y)| i128::from(*n) * i128::from(*y))
            .sum();
        let limits: i128 = folded
            .limits
            .iter()
            .zip(&self.limits)
            .map(|(limit, price)| i128::from(limit.max) * i128::from(*price))
            .sum();
        let total = worth - limits;
        if total <= 0 {
            return 0;
        }
        // θ as the smallest price over (upper - limits' part), compared as fractions.
        let (mut over, mut under) = (1i128, 1i128);
        for (at, shape) in folded.shapes.iter().enumerate() {
            let taken: i128 = folded
                .limits
                .iter()
                .zip(&self.limits)
                .map(|(limit, price)| i128::from(limit.takes[at]) * i128::from(*price))
                .sum();
            let upper = i128::from(self.uppers[at]) - taken;
            let price = i128::from(shape.price);
            if upper > price && price * under < over * upper {
                (over, under) = (price, upper);
            }
        }
        u128::try_from(total * over / under).unwrap_or(0)
    }
}

/// The state of column generation.
#[derive(Debug, Clone)]
pub(super) struct Generation<'a> {
    pub(super) folded: &'a Folded,
    pub(super) counts: Vec<u64>,
    pub(super) rows: Rows,
    pub(super) master: Master,
    /// Pattern of each column of the master; `None` for artificial, surplus and slack columns.
    pub(super) patterns: Vec<Option<Pattern>>,
    pub(super) carriers: Vec<Carrier>,
    /// By shape: prices of dimensions that bounded it best the last time.
    lambdas: Vec<[f64; DIMENSIONS_MAX]>,
    pub(super) proof: Option<Proof>,
    pub(super) best_bound: u128,
    pub(super) last: Option<Proof>,
    /// Values of classes and prices of limits that gave the best bound.
    center: Option<(Vec<i64>, Vec<i64>)>,
    smoothing: f64,
    /// Shapes searched in one round, those first whose bound is furthest above their price.
    breadth: usize,
    nodes_max: u64,
    pub(super) nodes_limit: u64,
}

/// What one look at all shapes gave.
struct Sweep {
    proof: Proof,
    /// Columns added.
    added: usize,
    /// Whether every search came to its end.
    complete: bool,
    /// Shapes that were bounded above their price and not searched.
    skipped: usize,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Columns were added.
    Added,
    /// Nothing is to be added: the program is solved as far as the search can tell.
    Solved,
}

impl<'a> Generation<'a> {
    /// A generation for so many copies of each class, beginning with given loads.
    pub(super) fn new(folded: &'a Folded, counts: Vec<u64>, rows: Rows, start: &Bought) -> Self {
        let carriers: Vec<Carrier> = (0..folded.shapes.len())
            .map(|s| Carrier::new(folded, s, &counts))
            .collect();
        let costs = artificial_costs(folded, &rows, &carriers);
        let limits = folded.limits.iter().map(|limit| as_float(limit.max));
        let sums: Vec<f64> = rows.sums.iter().copied().chain(limits).collect();
        let mut master = Master::new(&sums, &costs);
        let mut patterns: Vec<Option<Pattern>> = vec![None; sums.len()];
        for (row, covering) in (0u32..).zip(&rows.covering) {
            let cost = if *covering { 0.0 } else { costs[row as usize] };
            master.add(Column {
                cost,
                entries: vec![(row, -1.0)],
            });
            patterns.push(None);
        }
        let lambdas = folded
            .shapes
            .iter()
            .map(|shape| {
                let mut start = [0.0; DIMENSIONS_MAX];
                let parts = as_float(folded.dimensions as u64 + u64::from(shape.devices > 0));
                start[..folded.dimensions].fill(as_float(shape.price) / parts);
                start
            })
            .collect();
        let mut this = Self {
            folded,
            counts,
            center: None,
            breadth: 12,
            rows,
            master,
            patterns,
            carriers,
            lambdas,
            proof: None,
            best_bound: 0,
            last: None,
            smoothing: 0.0,
            nodes_max: 1_000,
            nodes_limit: 1_000,
        };
        for (pattern, _) in &start.machines {
            this.add(pattern.clone());
        }
        this
    }

    /// The same program with other rows: all loads found so far, and the best bound.
    pub(super) fn with_rows(self, rows: Rows) -> Self {
        let start = Bought {
            machines: self
                .patterns
                .iter()
                .flatten()
                .map(|pattern| (pattern.clone(), 1))
                .collect(),
            left_out: Vec::new(),
        };
        let mut finer = Self::new(self.folded, self.counts, rows, &start);
        finer.lambdas = self.lambdas;
        finer.proof = self.proof;
        finer.best_bound = self.best_bound;
        finer.center = self.center;
        finer.smoothing = 0.5;
        finer
    }

    /// Loads that are in the solution or cost little more than they are worth, the best first.
    pub(super) fn best_loads(&self, most: usize) -> Vec<Pattern> {
        let loads = self.patterns.iter().flatten();
        let mut by_loss: Vec<(f64, &Pattern)> = loads
            .map(|load| {
                let column = self.column(load);
                (self.master.reduced(&column) / column.cost.max(1.0), load)
            })
            .collect();
        by_loss.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        by_loss.into_iter().take(most).map(|(_, load)| load.clone()).collect()
    }

    /// The master's column of a load.
    pub(super) fn column(&self, pattern: &Pattern) -> Column {
        let mut entries: Vec<(u32, f64)> = Vec::new();
        for (class, copies) in &pattern.items {
            for (row, x) in &self.rows.features[*class as usize] {
                entries.push((*row, x * f64::from(*copies)));
            }
        }
        for (limit, row) in self.folded.limits.iter().zip(self.rows.len()..) {
            let takes = limit.takes[pattern.shape];
            if takes > 0 {
                entries.push((u32::try_from(row).unwrap_or(u32::MAX), as_float(takes)));
            }
        }
        entries.sort_unstable_by_key(|(row, _)| *row);
        entries.dedup_by(|b, a| {
            let same = a.0 == b.0;
            if same {
                a.1 += b.1;
            }
            same
        });
        Column {
            cost: as_float(self.folded.shapes[pattern.shape].price),
            entries,
        }
    }

    pub(super) fn add(&mut self, pattern: Pattern) {
        let column = self.column(&pattern);
        self.master.add(column);
        self.patterns.push(Some(pattern));
    }

    /// One round: solve the master, price every shape, add what improves.
    pub(super) fn round(&mut self, effort: &mut Effort<'_>) -> Round {
        let pivots = self.master.solve(20_000);
        effort.spend(u64::from(pivots) * (self.rows.len() as u64 / 8 + 1));
        loop {
            let (values, limits) = self.smoothed();
            let sweep = self.price(values, limits, effort);
            let bound = sweep.proof.bound(self.folded, &self.counts);
            self.last = Some(sweep.proof.clone());
            if bound > self.best_bound {
                self.best_bound = bound;
                self.center = Some((sweep.proof.values.clone(), sweep.proof.limits.clone()));
                self.proof = Some(sweep.proof);
            }
            if sweep.added > 0 {
                self.smoothing = (self.smoothing * 0.5 + 0.4).min(0.8);
                return Round::Added;
            }
            if self.smoothing > 0.0 && self.center.is_some() {
                self.smoothing = if self.smoothing < 0.2 {
                    0.0
                } else {
                    self.smoothing * 0.5
                };
            } else if sweep.skipped > 0 {
                self.breadth *= 4;
            } else if !sweep.complete && self.nodes_max < self.nodes_limit {
                self.nodes_max *= 8;
            } else {
                return Round::Solved;
            }
            if !effort.within(1.0) {
                return Round::Solved;
            }
        }
    }

    /// Values of classes and prices of limits between the best so far and the master's.
    fn smoothed(&self) -> (Vec<i64>, Vec<i64>) {
        let prices = self.master.prices();
        let values = self.rows.values(prices);
        #[expect(clippy::cast_possible_truncation, reason = "saturates; any price is a valid one")]
        let limits: Vec<i64> = prices[self.rows.len()..]
            .iter()
            .map(|p| (-p).max(0.0).floor() as i64)
            .collect();
        let Some((center_values, center_limits)) = &self.center else {
            return (values, limits);
        };
        #[expect(clippy::cast_possible_truncation, reason = "between two numbers that fit")]
        let between = |center: &[i64], here: &[i64]| -> Vec<i64> {
            center
                .iter()
                .zip(here)
                .map(|(c, h)| (self.smoothing * as_signed(*c) + (1.0 - self.smoothing) * as_signed(*h)).floor() as i64)
                .collect()
        };
        (between(center_values, &values), between(center_limits, &limits))
    }

    /// Prices every shape; adds loads that improve the master.
    fn price(&mut self, values: Vec<i64>, limits: Vec<i64>, effort: &mut Effort<'_>) -> Sweep {
        let shapes = self.folded.shapes.len();
        let mut bounds = Vec::with_capacity(shapes);
        let mut above: Vec<(f64, usize)> = Vec::new();
        let mut thresholds = Vec::with_capacity(shapes);
        for at in 0..shapes {
            let price = self.price_with_limits(at, &limits);
            #[expect(clippy::cast_possible_truncation, reason = "a share of a price")]
            let threshold = price.saturating_add((as_signed(price) * TOLERANCE) as i64);
            let carrier = &self.carriers[at];
            let bound = carrier.tighten(self.folded, &values, &mut self.lambdas[at], threshold, 24);
            effort.spend(carrier.plain.len() as u64 / 16 + 8);
            if bound.upper > threshold {
                above.push((as_signed(bound.upper) / as_signed(price.max(1)), at));
            }
            bounds.push(bound);
            thresholds.push(threshold);
        }
        above.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut sweep = Sweep {
            added: 0,
            complete: true,
            skipped: above.len().saturating_sub(self.breadth),
            proof: Proof {
                uppers: bounds.iter().map(|b| b.upper).collect(),
                values,
                limits,
            },
        };
        for (_, at) in above.into_iter().take(self.breadth) {
            let carrier = &self.carriers[at];
            let values = &sweep.proof.values;
            let outcome = search(
                carrier,
                self.folded,
                values,
                &bounds[at],
                thresholds[at],
                self.nodes_max,
            );
            effort.spend(outcome.nodes / 4 + 200);
            sweep.proof.uppers[at] = outcome.upper;
            sweep.complete &= outcome.complete;
            for found in outcome.found {
                let column = self.column(&found.pattern);
                if self.master.reduced(&column) < -1e-7 * column.cost {
                    self.add(found.pattern);
                    sweep.added += 1;
                }
            }
        }
        sweep
    }

    fn price_with_limits(&self, shape: usize, limits: &[i64]) -> i64 {
        let taken: i64 = self
            .folded
            .limits
            .iter()
            .zip(limits)
            .map(|(limit, price)| {
                i64::try_from(limit.takes[shape])
                    .unwrap_or(i64::MAX)
                    .saturating_mul(*price)
            })
            .fold(0, i64::saturating_add);
        i64::try_from(self.folded.shapes[shape].price)
            .unwrap_or(i64::MAX)
            .saturating_add(taken)
    }
}

/// What it costs to leave a row's sum uncovered: several times what the dearest of its classes costs alone; nothing for
/// limits.
fn artificial_costs(folded: &Folded, rows: &Rows, carriers: &[Carrier]) -> Vec<f64> {
    let mut alone = vec![f64::MAX; folded.classes.len()];
    for carrier in carriers {
        let price = as_float(folded.shapes[carrier.shape].price);
        for load in carrier.plain.iter().chain(&carrier.shares).chain(&carrier.whole) {
            let cost = &mut alone[load.class as usize];
            *cost = cost.min(price / f64::from(load.most.max(1)));
        }
    }
    let mut costs = vec![1.0f64; rows.len() + folded.limits.len()];
    for (class, features) in rows.features.iter().enumerate() {
        for (row, _) in features {
            let cost = &mut costs[*row as usize];
            *cost = cost.max(alone[class].min(1e15) * 10.0);
        }
    }
    costs[rows.len()..].fill(0.0);
    costs
}
