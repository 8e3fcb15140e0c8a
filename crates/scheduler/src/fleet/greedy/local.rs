//! Local search: take a few machines away and buy anew for what was on them.
//!
//! This one move drains a node, makes one smaller, merges two and mends wasteful ones, whichever pays. Machines are
//! taken in proportion to what they waste, that is their price beyond the value of what they carry, which is what
//! separates a purchase from the bound when the values are dual prices. A slightly dearer outcome is accepted while
//! there is time (record-to-record travel, Dueck 1993), the best one is kept. It works on groups of equal machines, so
//! its cost does not grow with their number.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::fill::{Cart, Order, Steering, fill};
use super::prices::{corrected, float, fluid};
use super::stock::Stock;
use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};

/// Groups taken away at once, at most.
const GROUPS_MAX: u64 = 8;

/// Attempts without success, per group, after which the search ends.
const PATIENCE: usize = 60;

/// How far above the best a purchase may be, in millionths of it, phase by phase of the effort.
const SLACK: [u64; 8] = [400, 300, 200, 150, 100, 50, 20, 0];

/// Shapes that one attempt may buy besides those it took away.
const SHAPES_TRIED: u64 = 12;

/// The same purchase or a better one; ends by this share of the effort, or when nothing helps any more.
pub(crate) fn polish(folded: &Folded, bought: Bought, effort: &mut Effort<'_>, share: f64) -> Bought {
    let values = corrected(folded, &fluid(folded), &bought, 0.5);
    travel(folded, &values, bought, effort, share)
}

/// As [`polish`], by values of copies that the caller knows.
pub(crate) fn travel(folded: &Folded, values: &[f64], bought: Bought, effort: &mut Effort<'_>, share: f64) -> Bought {
    let mut search = Search::new(folded, values.to_vec(), bought);
    let mut best = search.bought();
    let mut best_cost = search.cost;
    let mut without = 0;
    for (phase, slack) in (1u32..).zip(SLACK) {
        let until = share * f64::from(phase) / 8.0;
        while effort.within(until) && without < PATIENCE * search.groups.len().max(8) {
            without += 1;
            let room = best_cost.1 / 1_000_000 * u128::from(slack);
            search.attempt(effort, share, (best_cost.0, best_cost.1 + room));
            if search.cost < best_cost {
                best_cost = search.cost;
                best = search.bought();
                without = 0;
            }
        }
    }
    best
}

struct Search<'a> {
    folded: &'a Folded,
    groups: Vec<(Pattern, u64)>,
    /// What is lost on one machine of each group.
    waste: Vec<f64>,
    left_out: Vec<u64>,
    stock: Stock,
    values: Vec<f64>,
    /// Copies without a machine, then the price of all machines.
    cost: (u64, u128),
    dice: ChaCha8Rng,
    /// By shape, how well it has done: attempts that it was part of and that were accepted.
    merit: Vec<u64>,
}

impl<'a> Search<'a> {
    fn new(folded: &'a Folded, values: Vec<f64>, bought: Bought) -> Self {
        let mut stock = Stock::of(folded);
        let mut merit = vec![1u64; folded.shapes.len()];
        for (pattern, machines) in &bought.machines {
            stock.buy(folded, pattern.shape, *machines);
            merit[pattern.shape] += 4 + machines.min(&20);
        }
        let cost = (bought.missing(), bought.price(folded));
        let mut search = Self {
            folded,
            waste: Vec::new(),
            groups: bought.machines,
            left_out: bought.left_out,
            stock,
            values,
            cost,
            dice: ChaCha8Rng::seed_from_u64(1),
            merit,
        };
        search.waste = search.groups.iter().map(|(pattern, _)| search.loss(pattern)).collect();
        search
    }

    fn loss(&self, pattern: &Pattern) -> f64 {
        let value: f64 = pattern
            .items
            .iter()
            .map(|(c, n)| self.values[*c as usize] * f64::from(*n))
            .sum();
        let price = float(self.folded.shapes[pattern.shape].price);
        (price - value).max(0.0) + price * 0.002
    }

    fn roll(&mut self, sides: u64) -> u64 {
        // The bias is sides / 2^64.
        self.dice.next_u64() % sides.max(1)
    }

    /// A group, in two of three draws the more wasteful of some.
    fn draw(&mut self) -> usize {
        let len = self.groups.len() as u64;
        let tries = 1 + self.roll(4);
        let mut best = usize::try_from(self.roll(len)).unwrap_or(0);
        for _ in 1..tries {
            let other = usize::try_from(self.roll(len)).unwrap_or(0);
            if self.waste[other] > self.waste[best] {
                best = other;
            }
        }
        best
    }

    /// Takes some machines away and buys anew, and keeps that if all together stay within `limit`.
    fn attempt(&mut self, effort: &mut Effort<'_>, share: f64, limit: (u64, u128)) {
        if self.groups.is_empty() {
            return;
        }
        let wanted = 1 + self.roll(GROUPS_MAX);
        let mut taken: Vec<(usize, u64)> = Vec::new();
        for _ in 0..wanted {
            let group = self.draw();
            if taken.iter().all(|(other, _)| *other != group) {
                let machines = if self.roll(3) > 0 { 1 } else { self.groups[group].1 };
                taken.push((group, machines));
            }
        }
        let (mut cart, before) = self.without(&taken);
        let classes: Vec<u32> = (0u32..)
            .zip(&cart.left)
            .filter(|(_, left)| **left > 0)
            .map(|(c, _)| c)
            .collect();
        let values = self.shaken(&classes);
        let shapes = self.shapes(&taken);
        let steering = Steering {
            values: &values,
            order: if self.roll(2) == 0 { Order::Density } else { Order::Size },
            shapes: &shapes,
            classes: &classes,
        };
        fill(self.folded, &mut cart, steering, effort, share);
        let price =
            |(pattern, n): (&Pattern, &u64)| u128::from(self.folded.shapes[pattern.shape].price) * u128::from(*n);
        let missing = cart.left.iter().sum::<u64>();
        let cost = (
            missing,
            self.cost.1 - before + cart.machines.iter().map(price).sum::<u128>(),
        );
        if cost <= limit {
            self.accept(&taken, cart, cost);
        }
    }

    /// Shapes of what was taken, and some others, those that did well more often.
    fn shapes(&mut self, taken: &[(usize, u64)]) -> Vec<usize> {
        let mut shapes: Vec<usize> = taken.iter().map(|(group, _)| self.groups[*group].0.shape).collect();
        if self.folded.shapes.len() as u64 <= SHAPES_TRIED * 2 {
            return (0..self.folded.shapes.len()).collect();
        }
        let total: u64 = self.merit.iter().sum();
        for _ in 0..SHAPES_TRIED {
            let mut at = self.roll(total);
            let found = self.merit.iter().position(|merit| {
                let here = at < *merit;
                at = at.saturating_sub(*merit);
                here
            });
            shapes.extend(found);
        }
        let any = usize::try_from(self.roll(self.folded.shapes.len() as u64)).unwrap_or(0);
        shapes.push(any);
        shapes.sort_unstable();
        shapes.dedup();
        shapes
    }

    /// A cart with what was on these machines, and what they cost.
    fn without(&self, taken: &[(usize, u64)]) -> (Cart, u128) {
        let mut cart = Cart {
            left: self.left_out.clone(),
            stock: self.stock.clone(),
            machines: BTreeMap::new(),
        };
        let mut price = 0u128;
        for (group, machines) in taken {
            let pattern = &self.groups[*group].0;
            price += u128::from(self.folded.shapes[pattern.shape].price) * u128::from(*machines);
            cart.stock.give_back(self.folded, pattern.shape, *machines);
            for (class, copies) in &pattern.items {
                cart.left[*class as usize] += u64::from(*copies) * machines;
            }
        }
        (cart, price)
    }

    /// Values up to a fifth lower, for variety.
    fn shaken(&mut self, classes: &[u32]) -> Vec<f64> {
        let mut values = vec![0.0; self.values.len()];
        for class in classes {
            let part = float(self.roll(1024)) / 1024.0;
            values[*class as usize] = self.values[*class as usize] * (1.0 - 0.2 * part);
        }
        values
    }

    fn accept(&mut self, taken: &[(usize, u64)], cart: Cart, cost: (u64, u128)) {
        for (group, machines) in taken {
            self.groups[*group].1 -= machines;
        }
        let mut group = 0;
        while group < self.groups.len() {
            if self.groups[group].1 == 0 {
                self.groups.swap_remove(group);
                self.waste.swap_remove(group);
            } else {
                group += 1;
            }
        }
        for (pattern, machines) in cart.machines {
            self.merit[pattern.shape] += 1;
            self.waste.push(self.loss(&pattern));
            self.groups.push((pattern, machines));
        }
        self.left_out = cart.left;
        self.stock = cart.stock;
        self.cost = cost;
    }

    fn bought(&self) -> Bought {
        let mut machines: BTreeMap<Pattern, u64> = BTreeMap::new();
        for (pattern, count) in &self.groups {
            *machines.entry(pattern.clone()).or_default() += count;
        }
        Bought {
            machines: machines.into_iter().collect(),
            left_out: self.left_out.clone(),
        }
    }
}
