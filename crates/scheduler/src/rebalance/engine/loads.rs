//! Utilisations of nodes (formula 1) and the root mean square of `LB_i` (formula 2), kept while workloads move.
//!
//! A move changes two utilisations and, where nodes differ in size, the mean that all others are compared with. Weighing
//! one must not walk over all nodes: in large worlds the sum of squares is kept with its first two derivatives by the
//! mean, whose own change is of the order of one over the number of nodes, so that what is cut off is far below rounding
//! of what is reported. Small worlds are summed exactly.

use crate::formulas::{as_f64, wide};

/// Up to so many nodes every weighing sums over all of them.
const EXACT_NODES_MAX: usize = 48;

/// The mean may drift by this part of itself before the derivatives are taken anew.
const DRIFT_MAX: f64 = 1e-3;

/// What is used where, in numbers.
#[derive(Debug, Clone)]
pub(crate) struct Loads {
    dims: usize,
    /// One over the capacity, by node and dimension; 0 where a node has nothing of it.
    inverse: Vec<f64>,
    /// What is used, by node and dimension.
    used: Vec<u64>,
    /// What each workload uses, by workload and dimension; exact, so that moving there and back changes nothing.
    use_of: Vec<u64>,
    /// The same, for weighing.
    use_near: Vec<f64>,
    /// What is used over what there is, by node and dimension.
    share: Vec<f64>,
    /// By node: what was measured of it beyond (or below) what its workloads are known to use.
    offset: Vec<f64>,
    /// By node: whether it counts in the mean and the balance.
    counted: Vec<bool>,
    /// By node: `U_i`, 0 to 1.
    level: Vec<f64>,
    count: usize,
    supplied_mean: Option<f64>,
    sum: f64,
    moments: Moments,
}

/// Sum of `LB_i²` and its derivatives by the mean, at one mean.
#[derive(Debug, Clone, Default)]
struct Moments {
    mean: f64,
    total: [f64; 3],
    /// The terms of each node.
    of: Vec<[f64; 3]>,
}

/// One node's `LB²` and its first two derivatives by the mean.
fn terms(u: f64, mean: f64) -> [f64; 3] {
    let sum = u + mean;
    if sum <= 0.0 {
        return [0.0; 3];
    }
    let inverse = 1.0 / sum;
    let lb = (u - mean) * inverse;
    let first = -2.0 * u * inverse * inverse;
    let second = -2.0 * first * inverse;
    [lb * lb, 2.0 * lb * first, 2.0 * (first * first + lb * second)]
}

/// `LB²` of one node.
fn square(u: f64, mean: f64) -> f64 {
    let sum = u + mean;
    if sum <= 0.0 {
        return 0.0;
    }
    let lb = (u - mean) / sum;
    lb * lb
}

impl Loads {
    /// Nothing is used yet; `use_of` has `dims` numbers per workload.
    pub(crate) fn new(dims: usize, use_of: Vec<u64>, supplied_mean: Option<f64>) -> Self {
        Self {
            dims,
            inverse: Vec::new(),
            used: Vec::new(),
            use_near: use_of.iter().map(|amount| wide(*amount)).collect(),
            share: Vec::new(),
            use_of,
            offset: Vec::new(),
            counted: Vec::new(),
            level: Vec::new(),
            count: 0,
            supplied_mean,
            sum: 0.0,
            moments: Moments::default(),
        }
    }

    /// Adds a node with what is used of it by others; levels follow at the next [`Loads::refresh`].
    pub(crate) fn add_node(&mut self, capacity: &[u64], used: &[u64], counted: bool) {
        let inverse = |c: &u64| if *c == 0 { 0.0 } else { 1.0 / wide(*c) };
        self.inverse.extend(capacity.iter().map(inverse));
        self.used.extend(used);
        self.share.extend(used.iter().map(|_| 0.0));
        self.offset.push(0.0);
        self.counted.push(counted);
        self.count += usize::from(counted);
        self.level.push(0.0);
        self.moments.of.push([0.0; 3]);
    }

    /// Says that a node was measured as used to this part, whatever its workloads are known to use; all of them must
    /// have been put.
    pub(crate) fn measure(&mut self, node: usize, level: f64) {
        self.reshare(node);
        self.offset[node] = level - self.raw(node);
    }

    /// Takes a node into the mean and the balance, or out of them.
    pub(crate) fn set_counted(&mut self, node: usize, counted: bool) {
        if self.counted[node] == counted {
            return;
        }
        self.counted[node] = counted;
        let (sign, level) = if counted {
            (1.0, self.level[node])
        } else {
            (-1.0, self.level[node])
        };
        self.count = if counted { self.count + 1 } else { self.count - 1 };
        self.sum += sign * level;
        let parts = if counted {
            terms(level, self.moments.mean)
        } else {
            self.moments.of[node]
        };
        add(&mut self.moments.total, parts, sign);
        self.moments.of[node] = if counted { parts } else { [0.0; 3] };
        self.follow_mean();
    }

    /// Counts a workload's use in, without keeping levels; for building.
    pub(crate) fn put(&mut self, workload: usize, node: usize) {
        for d in 0..self.dims {
            let used = &mut self.used[node * self.dims + d];
            *used = used.saturating_add(self.use_of[workload * self.dims + d]);
        }
    }

    /// Takes levels, mean and derivatives anew, so that they depend on nothing but what is where.
    pub(crate) fn refresh(&mut self) {
        for node in 0..self.level.len() {
            self.reshare(node);
            self.level[node] = self.clamped(node, self.raw(node));
        }
        let counted = || {
            self.counted
                .iter()
                .zip(&self.level)
                .filter(|(c, _)| **c)
                .map(|(_, u)| *u)
        };
        self.sum = counted().fold(0.0, |sum, u| sum + u);
        self.anchor();
    }

    fn anchor(&mut self) {
        let mean = self.mean_of(self.sum);
        self.moments.mean = mean;
        self.moments.of.clear();
        self.moments.total = [0.0; 3];
        for (u, counted) in self.level.iter().zip(&self.counted) {
            let parts = if *counted { terms(*u, mean) } else { [0.0; 3] };
            add(&mut self.moments.total, parts, 1.0);
            self.moments.of.push(parts);
        }
    }

    /// `U_i`, 0 to 1.
    pub(crate) fn level(&self, node: usize) -> f64 {
        self.level[node]
    }

    /// `U_i` of the nodes that count, in their order.
    pub(crate) fn levels(&self) -> Vec<f64> {
        let counted = self.counted.iter().zip(&self.level).filter(|(c, _)| **c);
        counted.map(|(_, u)| *u).collect()
    }

    pub(crate) fn counts(&self, node: usize) -> bool {
        self.counted[node]
    }

    /// The mean that `LB_i` compares with.
    pub(crate) fn mean(&self) -> f64 {
        self.mean_of(self.sum)
    }

    fn mean_of(&self, sum: f64) -> f64 {
        self.supplied_mean
            .unwrap_or_else(|| (sum / as_f64(self.count.max(1))).max(0.0))
    }

    fn clamped(&self, node: usize, raw: f64) -> f64 {
        (raw + self.offset[node]).clamp(0.0, 1.0)
    }

    fn reshare(&mut self, node: usize) {
        for at in node * self.dims..(node + 1) * self.dims {
            self.share[at] = wide(self.used[at]) * self.inverse[at];
        }
    }

    fn raw(&self, node: usize) -> f64 {
        let shares = &self.share[node * self.dims..(node + 1) * self.dims];
        shares.iter().fold(0.0, |max: f64, share| max.max(*share))
    }

    /// Level of a node without `out` and with `into`, before it is clamped.
    pub(crate) fn raw_after(&self, node: usize, out: Option<usize>, into: Option<usize>) -> f64 {
        let mut max = 0.0f64;
        for d in 0..self.dims {
            let of = |w: Option<usize>| w.map_or(0.0, |w| self.use_near[w * self.dims + d]);
            let at = node * self.dims + d;
            max = max.max(self.share[at] + (of(into) - of(out)) * self.inverse[at]);
        }
        max + self.offset[node]
    }

    /// As [`Loads::raw_after`], 0 to 1.
    pub(crate) fn level_after(&self, node: usize, out: Option<usize>, into: Option<usize>) -> f64 {
        self.raw_after(node, out, into).clamp(0.0, 1.0)
    }

    /// Moves a workload's use.
    pub(crate) fn shift(&mut self, workload: usize, from: usize, to: usize) {
        for d in 0..self.dims {
            let amount = self.use_of[workload * self.dims + d];
            let left = &mut self.used[from * self.dims + d];
            *left = left.saturating_sub(amount);
            let more = &mut self.used[to * self.dims + d];
            *more = more.saturating_add(amount);
        }
        self.reshare(from);
        self.reshare(to);
        // A machine that was measured below what its workloads are said to use is idle without them, not less than idle.
        let raw = self.raw(from);
        if self.offset[from] < -raw {
            self.offset[from] = -raw;
        }
        for node in [from, to] {
            let level = self.clamped(node, self.raw(node));
            self.sum += if self.counted[node] {
                level - self.level[node]
            } else {
                0.0
            };
            self.level[node] = level;
            let mean = self.moments.mean;
            let parts = if self.counted[node] {
                terms(level, mean)
            } else {
                [0.0; 3]
            };
            let old = self.moments.of[node];
            add(&mut self.moments.total, old, -1.0);
            add(&mut self.moments.total, parts, 1.0);
            self.moments.of[node] = parts;
        }
        self.follow_mean();
    }

    fn follow_mean(&mut self) {
        if (self.mean() - self.moments.mean).abs() > DRIFT_MAX * self.moments.mean {
            self.anchor();
        }
    }

    /// Root mean square of `LB_i`.
    pub(crate) fn rms(&self) -> f64 {
        self.root(if self.count <= EXACT_NODES_MAX {
            self.exact_total(&[])
        } else {
            self.close_total()
        })
    }

    /// The sums with one node at another level: what every receiver of a workload has in common.
    pub(crate) fn leaving(&self, node: usize, level: f64) -> Leaving {
        let mut leaving = Leaving {
            node,
            level,
            total: self.moments.total,
            sum: self.sum,
        };
        self.replace(&mut leaving.total, &mut leaving.sum, node, level);
        leaving
    }

    /// Root mean square of `LB_i` with one node left and another at this level.
    pub(crate) fn rms_after(&self, leaving: &Leaving, node: usize, level: f64) -> f64 {
        if self.count <= EXACT_NODES_MAX {
            return self.root(self.exact_total(&[(leaving.node, leaving.level), (node, level)]));
        }
        let (mut total, mut sum) = (leaving.total, leaving.sum);
        self.replace(&mut total, &mut sum, node, level);
        let drift = self.mean_of(sum) - self.moments.mean;
        self.root(total[0] + drift * (total[1] + drift * total[2] / 2.0))
    }

    fn replace(&self, total: &mut [f64; 3], sum: &mut f64, node: usize, level: f64) {
        if self.counted[node] {
            add(total, self.moments.of[node], -1.0);
            add(total, terms(level, self.moments.mean), 1.0);
            *sum += level - self.level[node];
        }
    }

    fn root(&self, total: f64) -> f64 {
        (total.max(0.0) / as_f64(self.count.max(1))).sqrt()
    }

    fn exact_total(&self, changed: &[(usize, f64)]) -> f64 {
        let level = |node: usize| {
            let new = changed.iter().find(|(n, _)| *n == node);
            new.map_or(self.level[node], |(_, u)| *u)
        };
        let nodes = || (0..self.level.len()).filter(|n| self.counted[*n]);
        let mean = self.mean_of(nodes().fold(0.0, |sum, n| sum + level(n)));
        nodes().fold(0.0, |sum, n| sum + square(level(n), mean))
    }

    fn close_total(&self) -> f64 {
        let drift = self.mean() - self.moments.mean;
        let total = self.moments.total;
        total[0] + drift * (total[1] + drift * total[2] / 2.0)
    }
}

/// Sums in which one node has another level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    node: usize,
    level: f64,
    total: [f64; 3],
    sum: f64,
}

fn add(total: &mut [f64; 3], parts: [f64; 3], sign: f64) {
    for (sum, part) in total.iter_mut().zip(parts) {
        *sum += sign * part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hundred nodes of three sizes with one workload each, and one workload that can be anywhere.
    fn world() -> Loads {
        let uses: Vec<u64> = (0..=200).map(|i| 1 + (i * 37) % 100).collect();
        let mut loads = Loads::new(1, uses, None);
        for node in 0..200 {
            loads.add_node(&[200 + 100 * (node % 3)], &[0], true);
            loads.put(usize::try_from(node).unwrap(), usize::try_from(node).unwrap());
        }
        loads.put(200, 0);
        loads.refresh();
        loads
    }

    #[test]
    fn what_is_close_is_exact_to_rounding() {
        let loads = world();
        let given = loads.level_after(0, Some(200), None);
        for to in 1..200 {
            let taken = loads.level_after(to, None, Some(200));
            let close = loads.rms_after(&loads.leaving(0, given), to, taken);
            let exact = loads.root(loads.exact_total(&[(0, given), (to, taken)]));
            // One weighing moves the mean by about 1/1000: the third order is below 1e-9 of a sum near 20.
            assert!((close - exact).abs() < 1e-9, "{close} {exact}");
        }
    }

    #[test]
    fn levels_after_many_moves_are_those_taken_anew() {
        let mut loads = world();
        for step in 0..1000usize {
            loads.shift(200, step * 7 % 200, (step + 1) * 7 % 200);
        }
        let (kept, exact) = (loads.close_total(), loads.exact_total(&[]));
        assert!((kept - exact).abs() < 1e-9, "{kept} {exact}");
        loads.refresh();
        assert!((loads.close_total() - exact).abs() < 1e-12);
    }
}
