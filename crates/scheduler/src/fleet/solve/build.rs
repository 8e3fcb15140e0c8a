//! Machines bought one after the other under given prices, always the load that loses least for its worth.
//!
//! A machine's loss is its price less what its load is worth. What is left of classes only shrinks, so a shape's best load
//! stays its best as long as it can be had, and only shapes whose load is used up are looked at again. Which workloads are
//! to be placed, and whether the result is worth taking, is the caller's.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};
use crate::fleet::greedy;

use super::carrier::{Carrier, as_signed};
use super::fill::fill;
use super::part::Part;
use super::search::search;

/// Shapes for which a better load is searched for before one is taken, and partial loads looked at for each.
const SEARCHED: usize = 2;
const NODES: u64 = 300;
/// Steps to the prices of dimensions that such a search is bounded by.
const STEPS: u32 = 12;

/// What may be bought and what it is worth.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    folded: &'a Folded,
    values: &'a [i64],
    /// Values up to a tenth lower, by which loads are filled, for variety.
    shaken: Vec<i64>,
    shapes: &'a [usize],
    /// By shape that may be bought.
    loads: Vec<Option<Offer>>,
    /// Classes looked at for one shape, in all.
    pub(super) units: u64,
}

/// The best load known for a shape.
#[derive(Debug, Clone)]
struct Offer {
    /// Loss as a share of worth.
    rate: f64,
    pattern: Pattern,
    searched: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(folded: &'a Folded, values: &'a [i64], shapes: &'a [usize], dice: &mut ChaCha8Rng) -> Self {
        let mut shaken = |value: &i64| {
            let part = i64::try_from(dice.next_u64() % 1024).unwrap_or(0);
            value - value / 10240 * part
        };
        Self {
            folded,
            values,
            shaken: values.iter().map(&mut shaken).collect(),
            shapes,
            loads: vec![None; shapes.len()],
            units: 0,
        }
    }

    /// A purchase of all that is to be placed beside machines that are bought already; what no effort is left for goes to
    /// the greedy rules. `None` when something has no machine that is worth anything.
    pub(super) fn complete(
        mut self,
        counts: &[u64],
        bought: Vec<(Pattern, u64)>,
        effort: &mut Effort<'_>,
    ) -> Option<Bought> {
        let mut left = counts.to_vec();
        let mut machines: BTreeMap<Pattern, u64> = BTreeMap::new();
        for (pattern, times) in bought {
            take(&pattern, times, &mut left);
            *machines.entry(pattern).or_default() += times;
        }
        while left.iter().any(|n| *n > 0) {
            if !effort.within(1.0) {
                let part = Part::new(self.folded, &left, &[]);
                let rest = greedy::first(&part.folded, effort, 1.0);
                for (pattern, times) in part.bought_outside(&rest) {
                    *machines.entry(pattern).or_default() += times;
                }
                break;
            }
            let before = self.units;
            let pattern = self.next(&left)?;
            effort.spend(self.units - before + 1);
            let times = held(&pattern, &left);
            take(&pattern, times, &mut left);
            *machines.entry(pattern).or_default() += times;
        }
        Some(Bought {
            machines: machines.into_iter().collect(),
            left_out: vec![0; left.len()],
        })
    }

    /// The next load to buy, `None` when nothing that is left is worth something on any of the shapes.
    pub(super) fn next(&mut self, left: &[u64]) -> Option<Pattern> {
        for at in 0..self.shapes.len() {
            if self.loads[at]
                .as_ref()
                .is_none_or(|offer| held(&offer.pattern, left) == 0)
            {
                self.loads[at] = self.filled(self.shapes[at], left);
            }
        }
        let mut searches = 0;
        loop {
            let rate = |at: &usize| self.loads[*at].as_ref().map(|offer| offer.rate);
            let best = (0..self.loads.len())
                .filter_map(|at| Some((rate(&at)?, at)))
                .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
            let offer = self.loads[best.1].as_ref()?;
            if offer.searched || searches >= SEARCHED {
                return Some(offer.pattern.clone());
            }
            searches += 1;
            self.search(best.1, left);
        }
    }

    fn filled(&mut self, shape: usize, left: &[u64]) -> Option<Offer> {
        self.units += left.len() as u64;
        let carrier = Carrier::new(self.folded, shape, left);
        let pattern = fill(&carrier, self.folded, &self.shaken)?.pattern;
        Some(self.offer(pattern, false))
    }

    fn offer(&self, pattern: Pattern, searched: bool) -> Offer {
        let worth = worth(&pattern, self.values);
        let rate = as_signed(loss(self.folded, self.values, &pattern)) / as_signed(worth.max(1));
        Offer {
            rate,
            pattern,
            searched,
        }
    }

    /// Looks for a load of the shape at `at` that is worth more than the known one.
    fn search(&mut self, at: usize, left: &[u64]) {
        let Some(known) = self.loads[at].take() else { return };
        self.units += 4 * left.len() as u64;
        let carrier = Carrier::new(self.folded, self.shapes[at], left);
        let value = worth(&known.pattern, self.values);
        let mut lambda = carrier.even(value, self.folded.dimensions);
        let bound = carrier.tighten(self.folded, self.values, &mut lambda, 0, STEPS);
        let outcome = search(&carrier, self.folded, self.values, &bound, value, NODES);
        let better = outcome.found.into_iter().next().filter(|found| found.value > value);
        let pattern = better.map_or(known.pattern, |found| found.pattern);
        self.loads[at] = Some(self.offer(pattern, true));
    }
}

/// How many machines of a load what is left fills.
pub(super) fn held(pattern: &Pattern, left: &[u64]) -> u64 {
    let of = |(class, copies): &(u32, u32)| left[*class as usize] / u64::from(*copies);
    pattern.items.iter().map(of).min().unwrap_or(0)
}

/// Takes what so many machines of a load carry from what is left.
pub(super) fn take(pattern: &Pattern, times: u64, left: &mut [u64]) {
    for (class, copies) in &pattern.items {
        left[*class as usize] -= u64::from(*copies) * times;
    }
}

/// What a load is worth.
pub(super) fn worth(machine: &Pattern, values: &[i64]) -> i64 {
    let of = |(class, copies): &(u32, u32)| values[*class as usize].saturating_mul(i64::from(*copies));
    machine.items.iter().map(of).fold(0, i64::saturating_add)
}

/// What a machine costs more than its load is worth.
pub(super) fn loss(folded: &Folded, values: &[i64], machine: &Pattern) -> i64 {
    i64::try_from(folded.shapes[machine.shape].price)
        .unwrap_or(i64::MAX)
        .saturating_sub(worth(machine, values))
}
