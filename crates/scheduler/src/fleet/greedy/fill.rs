//! Buying machine by machine, each time the shape whose filling is worth most for its price.
//!
//! The worth of every shape is looked up again only when it may be the best: what is left to place shrinks, so worth
//! rarely rises. A filling is bought as often as what is left allows.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use super::prices::{dot, extent_of_class, extent_of_shape, float};
use super::room::Room;
use super::stock::Stock;
use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded, Pattern};
use crate::fleet::layout::layout;
use crate::fleet::problem::DIMENSIONS_MAX;

/// In which order classes are offered to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By value for the part of the machine that a copy takes.
    Density,
    /// By value.
    Size,
}

/// A purchase in the making.
#[derive(Debug, Clone)]
pub(crate) struct Cart {
    /// Copies by class without a machine.
    pub(crate) left: Vec<u64>,
    pub(crate) stock: Stock,
    pub(crate) machines: BTreeMap<Pattern, u64>,
}

impl Cart {
    pub(crate) fn empty(folded: &Folded) -> Self {
        Self {
            left: folded.classes.iter().map(|class| class.count).collect(),
            stock: Stock::of(folded),
            machines: BTreeMap::new(),
        }
    }

    /// Buys so many equal machines, which must be allowed and needed.
    pub(crate) fn buy(&mut self, folded: &Folded, pattern: Pattern, machines: u64) {
        for (class, copies) in &pattern.items {
            self.left[*class as usize] -= u64::from(*copies) * machines;
        }
        self.stock.buy(folded, pattern.shape, machines);
        *self.machines.entry(pattern).or_default() += machines;
    }

    pub(crate) fn is_done(&self) -> bool {
        self.left.iter().all(|left| *left == 0)
    }

    pub(crate) fn into_bought(self) -> Bought {
        Bought {
            machines: self.machines.into_iter().collect(),
            left_out: self.left,
        }
    }
}

/// How a shape does at the moment; the best one is on top of a heap.
#[derive(Debug, Clone, PartialEq)]
struct Offer {
    /// Value for the price.
    worth: f64,
    /// Value for what a machine takes of the limit that it uses up most: tells machines apart that cost nothing.
    thrift: f64,
    shape: Reverse<usize>,
}

impl Eq for Offer {}

impl PartialOrd for Offer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Offer {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_limits = self.thrift.total_cmp(&other.thrift);
        self.worth
            .total_cmp(&other.worth)
            .then(by_limits)
            .then(self.shape.cmp(&other.shape))
    }
}

/// What steers a filling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steering<'a> {
    /// Value of a copy by class.
    pub(crate) values: &'a [f64],
    pub(crate) order: Order,
    /// Shapes that may be bought, rising.
    pub(crate) shapes: &'a [usize],
    /// Classes to place, rising; others have none left.
    pub(crate) classes: &'a [u32],
}

/// Buys until nothing is left that fits any of the shapes, or the share of the effort is used up.
pub(crate) fn fill(folded: &Folded, cart: &mut Cart, steering: Steering<'_>, effort: &mut Effort<'_>, share: f64) {
    let mut orders: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    let mut patterns: BTreeMap<usize, Pattern> = BTreeMap::new();
    let open = |shape: &usize| Offer {
        worth: f64::INFINITY,
        thrift: f64::INFINITY,
        shape: Reverse(*shape),
    };
    let mut heap: BinaryHeap<Offer> = steering.shapes.iter().map(open).collect();
    while let Some(Offer { worth, thrift, shape }) = heap.pop() {
        let shape = shape.0;
        let allowed = cart.stock.allows(folded, shape);
        if allowed == 0 {
            continue;
        }
        let is_current = |pattern: &&Pattern| {
            worth.is_finite()
                && pattern
                    .items
                    .iter()
                    .all(|(c, n)| u64::from(*n) <= cart.left[*c as usize])
        };
        if let Some(pattern) = patterns.get(&shape).filter(is_current) {
            let times = pattern
                .items
                .iter()
                .map(|(c, n)| cart.left[*c as usize] / u64::from(*n))
                .min();
            let times = times.unwrap_or(0).min(allowed);
            cart.buy(folded, pattern.clone(), times);
            heap.push(Offer {
                worth,
                thrift,
                shape: Reverse(shape),
            });
            continue;
        }
        if !effort.within(share) {
            return;
        }
        effort.spend(steering.classes.len() as u64);
        let order = orders.entry(shape).or_insert_with(|| order(folded, shape, steering));
        order.retain(|class| cart.left[*class as usize] > 0);
        let pattern = pattern(folded, shape, order, &cart.left);
        if pattern.items.is_empty() {
            continue;
        }
        let value: f64 = pattern
            .items
            .iter()
            .map(|(c, n)| steering.values[*c as usize] * f64::from(*n))
            .sum();
        // A price of zero is worth everything, yet not as much as "not known".
        let worth = (value / float(folded.shapes[shape].price)).min(f64::MAX);
        patterns.insert(shape, pattern);
        heap.push(Offer {
            worth,
            thrift: (value / cart.stock.part(folded, shape)).min(f64::MAX),
            shape: Reverse(shape),
        });
    }
}

/// Classes that a shape can carry, best first.
fn order(folded: &Folded, shape: usize, steering: Steering<'_>) -> Vec<u32> {
    let room = Room::of(&folded.shapes[shape], folded.dimensions);
    let capacity = extent_of_shape(folded, shape);
    let mut inverse = [0.0; DIMENSIONS_MAX + 1];
    for (inverse, capacity) in inverse.iter_mut().zip(capacity) {
        *inverse = if capacity > 0.0 { 1.0 / capacity } else { 0.0 };
    }
    let fits = |class: &&u32| {
        let class = **class as usize;
        folded.accepts(shape, class) && room.copies(&folded.classes[class], 1) == 1
    };
    let key = |class: &u32| {
        let value = steering.values[*class as usize];
        let size = match steering.order {
            Order::Size => 1.0,
            Order::Density => dot(&extent_of_class(&folded.classes[*class as usize]), &inverse),
        };
        (value / size.max(f64::MIN_POSITIVE), *class)
    };
    let mut keyed: Vec<(f64, u32)> = steering.classes.iter().filter(fits).map(key).collect();
    keyed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    keyed.into_iter().map(|(_, class)| class).collect()
}

/// Fills one machine with classes in this order.
pub(crate) fn pattern(folded: &Folded, shape: usize, order: &[u32], left: &[u64]) -> Pattern {
    let mut room = Room::of(&folded.shapes[shape], folded.dimensions);
    let mut items = Vec::new();
    for &class in order {
        let spec = &folded.classes[class as usize];
        let copies = room.copies(spec, left[class as usize]).min(u64::from(u32::MAX));
        if copies > 0 {
            room.take(spec, copies);
            items.push((class, u32::try_from(copies).unwrap_or(u32::MAX)));
        }
    }
    items.sort_unstable();
    with_layout(folded, Pattern { shape, items })
}

/// The pattern without those shares for which no layout is found. Room is counted as it is taken, so this is rare.
pub(crate) fn with_layout(folded: &Folded, mut pattern: Pattern) -> Pattern {
    use crate::fleet::problem::Devices;
    let is_share = |class: u32| matches!(folded.classes[class as usize].devices, Devices::Share(_));
    while pattern.items.iter().any(|(class, _)| is_share(*class)) && layout(folded, &pattern).is_none() {
        if let Some((_, copies)) = pattern.items.iter_mut().rev().find(|(class, _)| is_share(*class)) {
            *copies -= 1;
        }
        pattern.items.retain(|(_, copies)| *copies > 0);
    }
    pattern
}
