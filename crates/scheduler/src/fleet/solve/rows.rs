//! Which prices classes may have: one of their own, or one shared by a group that is affine in what a class needs.
//!
//! A row of the master is a feature of classes; the value of a class is its features times the row prices. With a row per
//! class prices are free. With many classes that converges far too slowly, so alike classes share `a + b·need`, which
//! only restricts the dual: every bound stays valid. Choosing prices is the master's.

use std::collections::BTreeSet;

use crate::fleet::folded::{Class, Folded, Shape};
use crate::fleet::problem::{DEVICE_MILLI, Devices};

use super::carrier::{as_float, as_signed};

/// Kinds of devices that are kept apart; where there are more, only shares from whole ones.
const DEVICE_KINDS_MAX: usize = 16;

/// Rows of the master, with what each class has of them.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// By class: row and coefficient, rows rising.
    pub(super) features: Vec<Vec<(u32, f64)>>,
    /// By row: what all copies have of it together.
    pub(super) sums: Vec<f64>,
    /// By row: the class that it is the price of, if it is one's own.
    own: Vec<Option<usize>>,
}

/// Groups of classes that share a price formula.
pub(super) type Groups = Vec<Vec<usize>>;

impl Rows {
    /// One row per class in a group of few, `1 + dimensions` rows in a larger one.
    pub(super) fn new(folded: &Folded, groups: &Groups) -> Self {
        let mut rows = Self {
            features: vec![Vec::new(); folded.classes.len()],
            sums: Vec::new(),
            own: Vec::new(),
        };
        for group in groups {
            if group.len() <= shared_rows(folded, group) {
                group.iter().for_each(|class| rows.single(folded, *class));
            } else {
                rows.shared(folded, group);
            }
        }
        rows
    }

    fn single(&mut self, folded: &Folded, class: usize) {
        let row = self.next();
        self.features[class].push((row, 1.0));
        self.sums.push(as_float(folded.classes[class].count));
        self.own.push(Some(class));
    }

    fn shared(&mut self, folded: &Folded, group: &[usize]) {
        let counted = |of: &dyn Fn(usize) -> f64| -> f64 {
            group.iter().map(|c| of(*c) * as_float(folded.classes[*c].count)).sum()
        };
        let copies = counted(&|_| 1.0);
        let row = self.next();
        group.iter().for_each(|class| self.features[*class].push((row, 1.0)));
        self.sums.push(copies);
        self.own.push(None);
        for d in 0..=folded.dimensions {
            let need = |class: usize| amount(folded, class, d);
            let mean = counted(&need) / copies;
            if !varies(folded, group, d) {
                continue;
            }
            let row = self.next();
            group
                .iter()
                .for_each(|class| self.features[*class].push((row, need(*class) / mean)));
            self.sums.push(copies);
            self.own.push(None);
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
    pub(super) fn values(&self, prices: &[f64], base: &[i64]) -> Vec<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "saturates; any value is a valid one")]
        let value = |(features, base): (&Vec<(u32, f64)>, &i64)| -> i64 {
            let own: f64 = features.iter().map(|(row, x)| prices[*row as usize] * x).sum();
            base.saturating_add(own.floor() as i64)
        };
        self.features.iter().zip(base).map(value).collect()
    }

    /// By row: what more than its sum costs. A price of its own keeps a class's value from falling below zero.
    pub(super) fn surplus_costs(&self, base: &[i64], costs: &[f64]) -> Vec<f64> {
        let cost = |(own, cost): (&Option<usize>, &f64)| own.map_or(*cost, |class| as_signed(base[class]));
        self.own.iter().zip(costs).map(cost).collect()
    }
}

/// Groups for about `rows_max` rows: each class alone if they are few, else alike ones together, split where the needs
/// differ most. More rows only split further.
pub(super) fn grouped(folded: &Folded, rows_max: usize) -> Groups {
    let all = folded.classes.len();
    if all <= rows_max {
        return (0..all).map(|class| vec![class]).collect();
    }
    let kinds = kinds(folded);
    let kind = |class: usize| kinds[class];
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by_key(|class| (kind(*class), *class));
    let mut groups: Groups = Vec::new();
    for class in order {
        match groups.last_mut() {
            Some(group) if kind(group[0]) == kind(class) => group.push(class),
            _ => groups.push(vec![class]),
        }
    }
    let cost = |group: &Vec<usize>| group.len().min(shared_rows(folded, group));
    let weights = weights(folded);
    let mut rows: usize = groups.iter().map(cost).sum();
    while rows < rows_max {
        let widest = (0..groups.len())
            .filter(|g| groups[*g].len() > shared_rows(folded, &groups[*g]))
            .map(|g| (spread(folded, &weights, &groups[g]), g))
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
fn spread(folded: &Folded, weights: &[f64], group: &[usize]) -> (f64, usize, f64) {
    let mut widest = (0.0, 0, 0.0);
    let weight = |class: &usize| weights[*class];
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

/// Which classes may share a formula: those with the same offers, about the same limit per machine, and the same devices
/// (or, where these are of many kinds, devices of the same sort).
fn kinds(folded: &Folded) -> Vec<(usize, u32, Devices)> {
    let distinct: BTreeSet<Devices> = folded.classes.iter().map(|class| class.devices).collect();
    let devices = |devices: Devices| match devices {
        exact if distinct.len() <= DEVICE_KINDS_MAX => exact,
        Devices::None => Devices::None,
        Devices::Share(_) => Devices::Share(1),
        Devices::Whole(_) => Devices::Whole(1),
    };
    let limit = |class: &Class| {
        let binds = u64::from(class.per_machine_max) < class.count;
        if binds {
            class.per_machine_max.ilog2()
        } else {
            u32::BITS
        }
    };
    folded
        .classes
        .iter()
        .map(|class| (class.eligible, limit(class), devices(class.devices)))
        .collect()
}

/// About what all copies of a class cost: what they take of the cheapest machine for them. Prices must be fine where
/// money is.
fn weights(folded: &Folded) -> Vec<f64> {
    let weight = |class: usize| {
        let spec = &folded.classes[class];
        let of_shape = |shape: &Shape| {
            let amounts = (0..folded.dimensions)
                .filter(|d| shape.capacity.0[*d] > 0)
                .map(|d| as_float(spec.need.0[d]) / as_float(shape.capacity.0[d]));
            let milli = f64::from(shape.devices) * f64::from(DEVICE_MILLI);
            let devices = if milli > 0.0 {
                amount(folded, class, folded.dimensions) / milli
            } else {
                0.0
            };
            as_float(shape.price) * amounts.fold(devices, f64::max)
        };
        let carrying = folded.shapes.iter().enumerate().filter(|(at, shape)| {
            folded.accepts(*at, class)
                && folded.fitting(&spec.need, &shape.capacity) > 0
                && (spec.devices == Devices::None || shape.devices > 0)
        });
        let least = carrying
            .map(|(_, shape)| of_shape(shape))
            .min_by(f64::total_cmp)
            .unwrap_or(1.0);
        least.max(1.0) * as_float(spec.count)
    };
    (0..folded.classes.len()).map(weight).collect()
}

/// A need on the scale on which alike means alike: by ratio.
fn coordinate(folded: &Folded, class: usize, dimension: usize) -> f64 {
    libm::log2(amount(folded, class, dimension) + 1.0)
}

/// Rows of a group that shares a formula: a constant, and one per dimension (and for devices) in which it differs.
fn shared_rows(folded: &Folded, group: &[usize]) -> usize {
    1 + (0..=folded.dimensions).filter(|d| varies(folded, group, *d)).count()
}

/// Whether classes of a group need different amounts.
fn varies(folded: &Folded, group: &[usize], dimension: usize) -> bool {
    let raw = |class: usize| amount(folded, class, dimension).to_bits();
    group.iter().any(|class| raw(*class) != raw(group[0]))
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
