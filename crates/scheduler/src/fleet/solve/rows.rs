//! Which prices classes may have: one of their own, or one shared by a group that is affine in what a class needs.
//!
//! A row of the master is a feature of classes; the value of a class is its features times the row prices. With a row per
//! class prices are free. With many classes that converges far too slowly, so alike classes share `a + b·need`, which
//! only restricts the dual: every bound stays valid. Choosing prices is the master's.

use crate::fleet::folded::Folded;
use crate::fleet::problem::{DEVICE_MILLI, Devices};

use super::carrier::as_float;

/// Rows of the master, with what each class has of them.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// By class: row and coefficient, rows rising.
    pub(super) features: Vec<Vec<(u32, f64)>>,
    /// By row: what all copies have of it together.
    pub(super) sums: Vec<f64>,
    /// By row: whether more than the sum may be carried at no loss, so that the price is not negative.
    pub(super) covering: Vec<bool>,
}

/// Groups of classes that share a price formula.
pub(super) type Groups = Vec<Vec<usize>>;

impl Rows {
    /// One row per class in a group of few, `1 + dimensions` rows in a larger one.
    pub(super) fn new(folded: &Folded, groups: &Groups) -> Self {
        let mut rows = Self {
            features: vec![Vec::new(); folded.classes.len()],
            sums: Vec::new(),
            covering: Vec::new(),
        };
        for group in groups {
            if group.len() <= shared_rows(folded) {
                group.iter().for_each(|class| rows.own(folded, *class));
            } else {
                rows.shared(folded, group);
            }
        }
        rows
    }

    fn own(&mut self, folded: &Folded, class: usize) {
        let row = self.next();
        self.features[class].push((row, 1.0));
        self.sums.push(as_float(folded.classes[class].count));
        self.covering.push(true);
    }

    fn shared(&mut self, folded: &Folded, group: &[usize]) {
        let counted = |of: &dyn Fn(usize) -> f64| -> f64 {
            group.iter().map(|c| of(*c) * as_float(folded.classes[*c].count)).sum()
        };
        let copies = counted(&|_| 1.0);
        let row = self.next();
        group.iter().for_each(|class| self.features[*class].push((row, 1.0)));
        self.sums.push(copies);
        self.covering.push(false);
        for d in 0..=folded.dimensions {
            let need = |class: usize| amount(folded, class, d);
            let mean = counted(&need) / copies;
            if mean <= 0.0 {
                continue;
            }
            let row = self.next();
            group
                .iter()
                .for_each(|class| self.features[*class].push((row, need(*class) / mean)));
            self.sums.push(copies);
            self.covering.push(false);
        }
    }

    fn next(&self) -> u32 {
        u32::try_from(self.sums.len()).unwrap_or(u32::MAX)
    }

    /// Rows in all.
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    /// Value of each class under row prices, in whole billionths of a dollar.
    pub(super) fn values(&self, prices: &[f64]) -> Vec<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "saturates; any value is a valid one")]
        let value = |features: &Vec<(u32, f64)>| -> i64 {
            features
                .iter()
                .map(|(row, x)| prices[*row as usize] * x)
                .sum::<f64>()
                .floor() as i64
        };
        self.features.iter().map(value).collect()
    }
}

/// Groups for about `rows_max` rows: each class alone if they are few, else alike ones together, split where the needs
/// differ most. More rows only split further.
pub(super) fn grouped(folded: &Folded, rows_max: usize) -> Groups {
    let all = folded.classes.len();
    if all <= rows_max {
        return (0..all).map(|class| vec![class]).collect();
    }
    let kind = |class: usize| {
        let spec = &folded.classes[class];
        (spec.eligible, spec.per_machine_max.min(1 << 16))
    };
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by_key(|class| (kind(*class), *class));
    let mut groups: Groups = Vec::new();
    for class in order {
        match groups.last_mut() {
            Some(group) if kind(group[0]) == kind(class) => group.push(class),
            _ => groups.push(vec![class]),
        }
    }
    let cost = |group: &Vec<usize>| group.len().min(shared_rows(folded));
    let mut rows: usize = groups.iter().map(cost).sum();
    while rows < rows_max {
        let widest = (0..groups.len())
            .filter(|g| groups[*g].len() > shared_rows(folded))
            .map(|g| (spread(folded, &groups[g]), g))
            .max_by(|a, b| a.0.0.total_cmp(&b.0.0).then(b.1.cmp(&a.1)));
        let Some(((width, dimension, cut), at)) = widest.filter(|((width, _, _), _)| *width > 0.0) else {
            break;
        };
        debug_assert!(width > 0.0);
        let group = groups.swap_remove(at);
        rows -= cost(&group);
        let (low, high): (Vec<usize>, Vec<usize>) = group
            .into_iter()
            .partition(|class| coordinate(folded, *class, dimension) <= cut);
        rows += cost(&low) + cost(&high);
        groups.push(low);
        groups.push(high);
    }
    groups
}

/// How far a group is spread, weighted by what depends on it: the measure, the dimension, and where to cut.
fn spread(folded: &Folded, group: &[usize]) -> (f64, usize, f64) {
    let mut widest = (0.0, 0, 0.0);
    let weight = |class: &usize| as_float(folded.classes[*class].count);
    let copies: f64 = group.iter().map(weight).sum();
    for d in 0..=folded.dimensions {
        let mean = group.iter().map(|c| coordinate(folded, *c, d) * weight(c)).sum::<f64>() / copies;
        let variance = group
            .iter()
            .map(|c| (coordinate(folded, *c, d) - mean) * (coordinate(folded, *c, d) - mean) * weight(c))
            .sum::<f64>();
        let high = group.iter().map(|c| coordinate(folded, *c, d)).fold(f64::MIN, f64::max);
        // The mean of equal numbers may round above them: nothing is to be cut there.
        if variance > widest.0 + 1e-9 && mean < high {
            widest = (variance, d, mean);
        }
    }
    widest
}

/// A need on the scale on which alike means alike: by ratio.
fn coordinate(folded: &Folded, class: usize, dimension: usize) -> f64 {
    libm::log2(amount(folded, class, dimension) + 1.0)
}

/// Rows of a group that shares a formula: a constant, one per dimension, one for devices.
fn shared_rows(folded: &Folded) -> usize {
    2 + folded.dimensions
}

/// A need in a dimension; beyond the last one stand thousandths of devices.
fn amount(folded: &Folded, class: usize, dimension: usize) -> f64 {
    let spec = &folded.classes[class];
    if dimension < folded.dimensions {
        return as_float(spec.need.0[dimension]);
    }
    match spec.devices {
        Devices::None => 0.0,
        Devices::Share(milli) => f64::from(milli),
        Devices::Whole(count) => f64::from(count) * f64::from(DEVICE_MILLI),
    }
}
