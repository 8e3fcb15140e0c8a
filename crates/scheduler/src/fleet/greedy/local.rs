//! Local search: take a few machines away and buy anew for what was on them.
//!
//! This one move drains a node, makes one smaller, merges two and mends wasteful ones, whichever pays. It works on
//! groups of equal machines, so its cost does not grow with their number.

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
const PATIENCE: usize = 20;

/// The same purchase or a better one; ends by this share of the effort, or when nothing helps any more.
pub(crate) fn polish(folded: &Folded, bought: Bought, effort: &mut Effort<'_>, share: f64) -> Bought {
    let mut search = Search::new(folded, bought);
    let mut without = 0;
    while without < PATIENCE * search.groups.len().max(8) && effort.within(share) {
        without += 1;
        if search.attempt(effort, share) {
            without = 0;
        }
    }
    search.into_bought()
}

struct Search<'a> {
    folded: &'a Folded,
    groups: Vec<(Pattern, u64)>,
    left_out: Vec<u64>,
    stock: Stock,
    values: Vec<f64>,
    dice: ChaCha8Rng,
    shapes: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(folded: &'a Folded, bought: Bought) -> Self {
        let mut stock = Stock::of(folded);
        for (pattern, machines) in &bought.machines {
            stock.buy(folded, pattern.shape, *machines);
        }
        Self {
            folded,
            values: corrected(folded, &fluid(folded), &bought, 0.5),
            groups: bought.machines,
            left_out: bought.left_out,
            stock,
            dice: ChaCha8Rng::seed_from_u64(1),
            shapes: (0..folded.shapes.len()).collect(),
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        // The bias is sides / 2^64.
        self.dice.next_u64() % sides.max(1)
    }

    /// Takes some machines away and buys anew; whether that was cheaper, otherwise nothing has changed.
    fn attempt(&mut self, effort: &mut Effort<'_>, share: f64) -> bool {
        if self.groups.is_empty() {
            return false;
        }
        let wanted = 1 + self.roll(GROUPS_MAX);
        let mut taken: Vec<(usize, u64)> = Vec::new();
        for _ in 0..wanted {
            let Ok(group) = usize::try_from(self.roll(self.groups.len() as u64)) else {
                continue;
            };
            if taken.iter().all(|(other, _)| *other != group) {
                let machines = if self.roll(3) == 0 { 1 } else { self.groups[group].1 };
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
        let steering = Steering {
            values: &values,
            order: if self.roll(2) == 0 { Order::Density } else { Order::Size },
            shapes: &self.shapes,
            classes: &classes,
        };
        fill(self.folded, &mut cart, steering, effort, share);
        let price =
            |(pattern, n): (&Pattern, &u64)| u128::from(self.folded.shapes[pattern.shape].price) * u128::from(*n);
        let after = (
            cart.left.iter().sum::<u64>(),
            cart.machines.iter().map(price).sum::<u128>(),
        );
        if after >= before {
            return false;
        }
        self.accept(&taken, cart);
        true
    }

    /// A cart with what was on these machines, and what they leave out and cost.
    fn without(&self, taken: &[(usize, u64)]) -> (Cart, (u64, u128)) {
        let mut cart = Cart {
            left: self.left_out.clone(),
            stock: self.stock.clone(),
            machines: std::collections::BTreeMap::new(),
        };
        let missing = cart.left.iter().sum();
        let mut price = 0u128;
        for (group, machines) in taken {
            let pattern = &self.groups[*group].0;
            price += u128::from(self.folded.shapes[pattern.shape].price) * u128::from(*machines);
            cart.stock.give_back(self.folded, pattern.shape, *machines);
            for (class, copies) in &pattern.items {
                cart.left[*class as usize] += u64::from(*copies) * machines;
            }
        }
        (cart, (missing, price))
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

    fn accept(&mut self, taken: &[(usize, u64)], cart: Cart) {
        for (group, machines) in taken {
            self.groups[*group].1 -= machines;
        }
        self.groups.retain(|(_, machines)| *machines > 0);
        self.groups.extend(cart.machines);
        self.left_out = cart.left;
        self.stock = cart.stock;
    }

    fn into_bought(self) -> Bought {
        let mut machines: std::collections::BTreeMap<Pattern, u64> = std::collections::BTreeMap::new();
        for (pattern, count) in self.groups {
            *machines.entry(pattern).or_default() += count;
        }
        Bought {
            machines: machines.into_iter().collect(),
            left_out: self.left_out,
        }
    }
}
