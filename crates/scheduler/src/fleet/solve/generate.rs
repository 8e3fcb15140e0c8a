//! Column generation: prices from the master, loads from the search, and after each round a bound proven in integers.
//!
//! The bound is Farley's: if no load of shape `t` is worth more than `u_t` under values `y`, then `θ·y` with
//! `θ = min price_t / u_t` is a feasible dual, and `θ·Σ count·y` (less what limits cost) is below every purchase.
//! Rounds use values between the best so far and the master's (Neame's smoothing), which keeps them from swinging.
//! Turning fractions into machines is `dive`'s and `build`'s.

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};
use crate::fleet::problem::DIMENSIONS_MAX;

use super::build::{held, take};
use super::carrier::{Bound, Carrier, as_float, as_signed};
use super::combine::combine;
use super::fill::fill_well;
use super::fluid::fluid;
use super::master::{Column, Master};
use super::rows::Rows;
use super::search::search;

/// Loads worth more than a shape's price by less than a share are not looked for: at first by this share, at last by this.
const TOLERANCE: f64 = 1e-3;
const TOLERANCE_MIN: f64 = 1e-6;
/// A quick round finds prices of resources in so many steps, adds so many loads, and only such that save this share.
const QUICK_STEPS: u32 = 8;
const QUICK_COLUMNS: usize = 64;
const QUICK_MIN: f64 = 1e-4;
/// Quick rounds in a row at most.
const QUICK_ROW: u32 = 20;
/// Shapes that carry so many classes without devices are searched by what stands on devices.
const MANY_CLASSES: usize = 64;
/// Up to so many classes exact columns and free prices come to the end soonest; with more, columns are first looked for
/// quickly, and prices are corrections of the fluid program's.
pub(super) const FEW: usize = 300;
/// With few classes, searches look at more partial loads after so many sweeps that proved nothing better; with many, at
/// once.
const STALE_SWEEPS: u32 = 3;
/// Such a search may look at so many times as many partial loads: each is cheaper.
const COMBINE_NODES: u64 = 8;
/// Steps to prices of dimensions under the fluid program's values, and how near its bound must be to be begun with.
const FLUID_STEPS: u32 = 100;
const FLUID_NEAR: f64 = 0.98;

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
        // Dividing first only rounds further down.
        let scaled = total
            .checked_mul(over)
            .map_or(total / under * over, |product| product / under);
        u128::try_from(scaled).unwrap_or(0)
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
    /// Values of classes and prices of limits that gave the best bound.
    center: Option<(Vec<i64>, Vec<i64>)>,
    smoothing: f64,
    /// Shapes searched in one round, those first whose bound is furthest above their price.
    breadth: usize,
    nodes_max: u64,
    pub(super) nodes_limit: u64,
    tolerance: f64,
    /// Rounds until the next quick one, and how many of these failed in a row.
    quick_wait: u32,
    quick_failures: u32,
    quick_row: u32,
    /// Sweeps in a row that were incomplete and proved nothing better.
    stale: u32,
    /// Full sweeps made.
    pub(super) sweeps: usize,
    /// By shape: whether it is searched by what stands on devices.
    combining: Vec<bool>,
    /// Values that the master's prices are added to.
    pub(super) base: Vec<i64>,
    /// Shapes of the fluid program.
    fluid_shapes: Vec<usize>,
    /// What the fluid program's prices prove.
    fluid_bound: u128,
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
        Self::upon(vec![0; folded.classes.len()], folded, counts, rows, start)
    }

    /// The same with prices that are added to a base.
    fn upon(base: Vec<i64>, folded: &'a Folded, counts: Vec<u64>, rows: Rows, start: &Bought) -> Self {
        let carriers: Vec<Carrier> = (0..folded.shapes.len())
            .map(|s| Carrier::new(folded, s, &counts))
            .collect();
        let costs = artificial_costs(folded, &rows, &carriers);
        let surplus = rows.surplus_costs(&base, &costs);
        let limits = folded.limits.iter().map(|limit| as_float(limit.max));
        let sums: Vec<f64> = rows.sums.iter().copied().chain(limits).collect();
        let mut master = Master::new(&sums, &costs);
        let mut patterns: Vec<Option<Pattern>> = vec![None; sums.len()];
        for (row, cost) in (0u32..).zip(&surplus) {
            master.add(Column {
                cost: *cost,
                scale: cost.abs(),
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
        let many = folded.classes.len() > FEW;
        let combining = carriers
            .iter()
            .map(|carrier| carrier.plain.len() >= MANY_CLASSES)
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
            smoothing: 0.0,
            nodes_max: 1_000,
            nodes_limit: if many { 4_000 } else { 1_000 },
            tolerance: if many { TOLERANCE } else { TOLERANCE_MIN },
            quick_wait: 0,
            quick_failures: 0,
            quick_row: 0,
            stale: 0,
            sweeps: 0,
            combining,
            base,
            fluid_shapes: Vec::new(),
            fluid_bound: 0,
        };
        for (pattern, _) in &start.machines {
            this.add(pattern.clone());
        }
        this
    }

    /// Proves what the fluid program's prices prove. As a base the program's prices are added to them; else they are its centre
    /// where they are near to what the start costs.
    pub(super) fn begin_fluid(&mut self, start: &Bought, is_base: bool, effort: &mut Effort<'_>) {
        let prices = fluid(self.folded, &self.carriers, start, effort);
        for (shape, own) in &prices.dimensions {
            self.lambdas[*shape] = *own;
        }
        let limits = vec![0; self.folded.limits.len()];
        let upper = |at: usize| {
            let price = self.price_with_limits(at, &limits);
            self.carriers[at]
                .tighten(
                    self.folded,
                    &prices.values,
                    &mut { self.lambdas[at] },
                    price,
                    FLUID_STEPS,
                )
                .upper
        };
        let proof = Proof {
            uppers: (0..self.carriers.len()).map(upper).collect(),
            values: prices.values,
            limits,
        };
        self.fluid_bound = proof.bound(self.folded, &self.counts);
        self.fluid_shapes = prices.dimensions.into_iter().map(|(shape, _)| shape).collect();
        #[expect(clippy::cast_precision_loss, reason = "decides where to begin, nothing else")]
        let near = self.fluid_bound as f64 > FLUID_NEAR * start.price(self.folded) as f64;
        if is_base {
            self.base.clone_from(&proof.values);
        }
        if is_base || near {
            self.best_bound = self.fluid_bound;
            self.center = Some((proof.values.clone(), proof.limits.clone()));
            self.proof = Some(proof);
        }
    }

    /// The best lower bound proven.
    pub(super) fn bound(&self) -> u128 {
        self.best_bound.max(self.fluid_bound)
    }

    /// What the master's solution costs.
    pub(super) fn objective(&self) -> f64 {
        let base: f64 = self
            .base
            .iter()
            .zip(&self.counts)
            .map(|(b, n)| as_signed(*b) * as_float(*n))
            .sum();
        base + self.master.objective()
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
        let mut finer = Self::upon(self.base, self.folded, self.counts, rows, &start);
        finer.lambdas = self.lambdas;
        finer.proof = self.proof;
        finer.best_bound = self.best_bound;
        finer.center = self.center;
        finer.combining = self.combining;
        finer.nodes_max = self.nodes_max;
        finer.breadth = self.breadth;
        finer.fluid_shapes = self.fluid_shapes;
        finer.fluid_bound = self.fluid_bound;
        finer.smoothing = 0.5;
        finer
    }

    /// Loads that are in the solution or cost little more than they are worth, the best first.
    pub(super) fn best_loads(&self, most: usize) -> Vec<Pattern> {
        let loads = self.patterns.iter().flatten();
        let mut by_loss: Vec<(f64, &Pattern)> = loads
            .map(|load| {
                let column = self.column(load);
                (self.master.reduced(&column) / column.scale.max(1.0), load)
            })
            .collect();
        by_loss.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        by_loss.into_iter().take(most).map(|(_, load)| load.clone()).collect()
    }

    /// Machines that the program's solution buys whole.
    pub(super) fn whole_machines(&mut self) -> Vec<(Pattern, u64)> {
        self.master.solve(20_000);
        let mut left = self.counts.clone();
        let mut machines = Vec::new();
        for (column, level) in self.master.solution() {
            let Some(pattern) = &self.patterns[column] else {
                continue;
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count of machines, not negative"
            )]
            let times = ((level + 1e-6).floor() as u64).min(held(pattern, &left));
            if times > 0 {
                take(pattern, times, &mut left);
                machines.push((pattern.clone(), times));
            }
        }
        machines
    }

    /// Shapes of the program's solution and of a purchase, rising.
    pub(super) fn shapes_in_use(&self, bought: &Bought) -> Vec<usize> {
        let solution = self.master.solution();
        let used = solution.iter().filter(|(_, x)| *x > 1e-3);
        let mut shapes: Vec<usize> = used
            .filter_map(|(c, _)| Some(self.patterns[*c].as_ref()?.shape))
            .collect();
        shapes.extend(bought.machines.iter().map(|(pattern, _)| pattern.shape));
        shapes.extend(&self.fluid_shapes);
        shapes.sort_unstable();
        shapes.dedup();
        shapes
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
        let price = as_float(self.folded.shapes[pattern.shape].price);
        let worth: f64 = pattern
            .items
            .iter()
            .map(|(class, copies)| as_signed(self.base[*class as usize]) * f64::from(*copies))
            .sum();
        Column {
            cost: price - worth,
            scale: price,
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
        if self.quick_round(effort) {
            return Round::Added;
        }
        while effort.within(1.0) {
            let (values, limits) = self.smoothed();
            let Some(sweep) = self.price(values, limits, effort) else {
                break;
            };
            self.sweeps += 1;
            let bound = sweep.proof.bound(self.folded, &self.counts);
            if bound > self.best_bound {
                self.best_bound = bound;
                self.center = Some((sweep.proof.values.clone(), sweep.proof.limits.clone()));
                self.proof = Some(sweep.proof);
                self.stale = 0;
            } else if !sweep.complete && self.stale < STALE_SWEEPS && !self.many() {
                self.stale += 1;
            } else if !sweep.complete {
                self.stale = 0;
                self.nodes_max = (self.nodes_max * 2).min(self.nodes_limit);
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
            } else if self.tolerance > TOLERANCE_MIN {
                self.tolerance = (self.tolerance * 0.1).max(TOLERANCE_MIN);
            } else {
                return Round::Solved;
            }
        }
        Round::Solved
    }

    /// Whether there are too many classes for exact columns and free prices from the start.
    pub(super) fn many(&self) -> bool {
        self.folded.classes.len() > FEW
    }

    /// The last level: searches may be as thorough as they can.
    pub(super) fn be_thorough(&mut self) {
        self.nodes_limit = if self.many() { 16_000 } else { 8_000_000 };
    }

    /// Adds loads that are found quickly under the master's own prices; proves nothing. After failures it is left out for
    /// some rounds.
    fn quick_round(&mut self, effort: &mut Effort<'_>) -> bool {
        if !self.many() {
            return false;
        }
        if self.quick_wait > 0 {
            self.quick_wait -= 1;
            return false;
        }
        let values = self.rows.values(self.master.prices(), &self.base);
        let limits = self.limit_prices();
        let mut above: Vec<(f64, Bound, usize)> = Vec::new();
        for at in 0..self.folded.shapes.len() {
            let price = self.price_with_limits(at, &limits);
            let bound = self.carriers[at].tighten(self.folded, &values, &mut self.lambdas[at], price, QUICK_STEPS);
            if bound.upper > self.threshold(price) {
                above.push((as_signed(bound.upper) / as_signed(price.max(1)), bound, at));
            }
            effort.spend(self.carriers[at].plain.len() as u64 / 32 + 8);
            if !effort.within(1.0) {
                return false;
            }
        }
        above.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)));
        let added = self.add_quickly(above, values, effort);
        if added > 0 {
            self.quick_failures = 0;
            self.quick_row += 1;
            if self.quick_row >= QUICK_ROW {
                (self.quick_row, self.quick_wait) = (0, 1);
            }
            return true;
        }
        self.quick_failures = (self.quick_failures + 1).min(4);
        self.quick_wait = (1 << self.quick_failures) - 1;
        false
    }

    /// Fills each shape again and again, every time without the classes that this round has loads for already, so that all
    /// prices learn something; gives the loads added.
    fn add_quickly(
        &mut self,
        mut above: Vec<(f64, Bound, usize)>,
        mut values: Vec<i64>,
        effort: &mut Effort<'_>,
    ) -> usize {
        let mut added = 0;
        while !above.is_empty() {
            let mut again = Vec::new();
            for (share, bound, at) in above {
                if added >= QUICK_COLUMNS || !effort.within(1.0) {
                    return added;
                }
                effort.spend(50);
                let filled = fill_well(&self.carriers[at], self.folded, &values, &bound);
                let column = filled.map(|filled| (self.column(&filled.pattern), filled.pattern));
                if let Some((_, pattern)) = column.filter(|(c, _)| self.master.reduced(c) < -QUICK_MIN * c.scale) {
                    pattern.items.iter().for_each(|(class, _)| values[*class as usize] = 0);
                    self.add(pattern);
                    added += 1;
                    again.push((share, bound, at));
                }
            }
            above = again;
        }
        added
    }

    /// Values of classes and prices of limits between the best so far and the master's.
    fn smoothed(&self) -> (Vec<i64>, Vec<i64>) {
        let values = self.rows.values(self.master.prices(), &self.base);
        let limits = self.limit_prices();
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

    /// The master's prices of limits.
    fn limit_prices(&self) -> Vec<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "saturates; any price is a valid one")]
        let price = |p: &f64| (-p).max(0.0).floor() as i64;
        self.master.prices()[self.rows.len()..].iter().map(price).collect()
    }

    /// Loads worth no more than this are not looked for.
    fn threshold(&self, price: i64) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a share of a price")]
        let more = (as_signed(price) * self.tolerance) as i64;
        price.saturating_add(more)
    }

    /// Prices every shape; adds loads that improve the master.
    fn price(&mut self, values: Vec<i64>, limits: Vec<i64>, effort: &mut Effort<'_>) -> Option<Sweep> {
        let shapes = self.folded.shapes.len();
        let mut bounds = Vec::with_capacity(shapes);
        let mut above: Vec<(f64, usize)> = Vec::new();
        let mut thresholds = Vec::with_capacity(shapes);
        for at in 0..shapes {
            let price = self.price_with_limits(at, &limits);
            let threshold = self.threshold(price);
            let carrier = &self.carriers[at];
            let bound = carrier.tighten(self.folded, &values, &mut self.lambdas[at], threshold, 24);
            effort.spend(carrier.plain.len() as u64 / 16 + 8);
            if bound.upper > threshold {
                above.push((as_signed(bound.upper) / as_signed(price.max(1)), at));
            }
            bounds.push(bound);
            thresholds.push(threshold);
            if !effort.within(1.0) {
                return None;
            }
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
            if !effort.within(1.0) {
                sweep.complete = false;
                break;
            }
            let carrier = &self.carriers[at];
            let values = &sweep.proof.values;
            let engine = if carrier.devices > 0 && self.combining[at] {
                combine
            } else {
                search
            };
            let nodes_max = if self.combining[at] {
                self.nodes_max * COMBINE_NODES
            } else {
                self.nodes_max
            };
            let outcome = engine(carrier, self.folded, values, &bounds[at], thresholds[at], nodes_max);
            effort.spend(outcome.nodes / 4 + 200);
            sweep.proof.uppers[at] = outcome.upper;
            sweep.complete &= outcome.complete;
            for found in outcome.found {
                let column = self.column(&found.pattern);
                if self.master.reduced(&column) < -1e-7 * column.scale {
                    self.add(found.pattern);
                    sweep.added += 1;
                }
            }
        }
        Some(sweep)
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
