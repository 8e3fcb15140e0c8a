//! A good load of one machine quickly: always the class that gives most for its share of what is left.
//!
//! Shares of what is left steer towards loads that use up all dimensions together, which matters where hundreds of classes
//! are worth nearly the same per resource. It proves nothing: that is `search`'s.

use crate::fleet::folded::{Folded, Pattern};
use crate::fleet::problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX, Devices};

use super::blocks::fits;
use super::carrier::{Bound, Carrier, Lambda, Load, as_float, as_signed};
use super::search::Found;

/// A class is taken in steps of this share of what fits of it.
const STEP_PARTS: u64 = 12;
/// Exchanges of single copies tried at most, and steps to prices of a rest.
const EXCHANGES_MAX: usize = 24;
const PACK_STEPS: u32 = 10;

/// What is left of a machine while it is filled.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) left: Amounts,
    /// Thousandths left of each device.
    pub(super) devices: Vec<u32>,
}

struct Candidate {
    class: u32,
    most: u32,
    value: f64,
    need: Amounts,
    devices: Devices,
}

impl Room {
    /// The whole of a machine.
    pub(super) fn new(capacity: Amounts, devices: u32) -> Self {
        Self {
            left: capacity,
            devices: vec![DEVICE_MILLI; devices as usize],
        }
    }

    /// Whether one copy fits.
    pub(super) fn holds(&self, need: &Amounts, devices: Devices, dimensions: usize) -> bool {
        fits(need, &self.left, dimensions)
            && match devices {
                Devices::None => true,
                Devices::Share(milli) => self.devices.iter().any(|left| *left >= milli),
                Devices::Whole(count) => {
                    self.devices.iter().filter(|left| **left == DEVICE_MILLI).count() >= count as usize
                }
            }
    }

    /// Puts one copy in that fits; a share goes to the fullest device that holds it.
    pub(super) fn put(&mut self, need: &Amounts, devices: Devices, dimensions: usize) {
        (0..dimensions).for_each(|d| self.left.0[d] -= need.0[d]);
        match devices {
            Devices::None => {}
            Devices::Share(milli) => {
                let fullest = self.devices.iter_mut().filter(|left| **left >= milli).min();
                if let Some(left) = fullest {
                    *left -= milli;
                }
            }
            Devices::Whole(count) => {
                let empty = self.devices.iter_mut().filter(|left| **left == DEVICE_MILLI);
                empty.take(count as usize).for_each(|left| *left = 0);
            }
        }
    }

    /// How scarce each dimension is: one over what is left of it.
    fn scarcity(&self, dimensions: usize) -> ([f64; DIMENSIONS_MAX], f64) {
        let mut weights = [0.0; DIMENSIONS_MAX];
        let pairs = weights.iter_mut().zip(&self.left.0).take(dimensions);
        pairs.for_each(|(weight, left)| *weight = 1.0 / as_float(*left).max(1.0));
        let milli: u64 = self.devices.iter().map(|left| u64::from(*left)).sum();
        (weights, 1.0 / as_float(milli).max(1.0))
    }
}

/// A load of a machine that is worth much under values, `None` where nothing fits that is worth something.
pub(super) fn fill(carrier: &Carrier, folded: &Folded, values: &[i64]) -> Option<Found> {
    let dimensions = folded.dimensions;
    let loads = carrier.plain.iter().chain(&carrier.shares).chain(&carrier.whole);
    let mut candidates: Vec<Candidate> = loads
        .filter(|load| values[load.class as usize] > 0)
        .map(|load| {
            let class = &folded.classes[load.class as usize];
            Candidate {
                class: load.class,
                most: load.most,
                value: as_signed(values[load.class as usize]),
                need: class.need,
                devices: class.devices,
            }
        })
        .collect();
    let mut room = Room::new(carrier.capacity, carrier.devices);
    let mut items: Vec<(u32, u32)> = Vec::new();
    loop {
        candidates.retain(|c| c.most > 0 && room.holds(&c.need, c.devices, dimensions));
        let (weights, device_weight) = room.scarcity(dimensions);
        let rate = |c: &Candidate| {
            let amounts: f64 = (0..dimensions).map(|d| as_float(c.need.0[d]) * weights[d]).sum();
            let milli = match c.devices {
                Devices::None => 0.0,
                Devices::Share(milli) => f64::from(milli),
                Devices::Whole(count) => f64::from(count * DEVICE_MILLI),
            };
            c.value / (amounts + milli * device_weight).max(1e-300)
        };
        let best = (0..candidates.len())
            .map(|at| (rate(&candidates[at]), at))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, at)) = best else { break };
        let taken = &mut candidates[at];
        let fit = folded.fitting(&taken.need, &room.left).min(u64::from(taken.most));
        let wanted = fit.div_ceil(STEP_PARTS).max(1);
        let mut copies = 0;
        while copies < wanted && room.holds(&taken.need, taken.devices, dimensions) {
            room.put(&taken.need, taken.devices, dimensions);
            copies += 1;
        }
        let copies = u32::try_from(copies).unwrap_or(u32::MAX);
        taken.most -= copies;
        items.push((taken.class, copies));
    }
    if items.is_empty() {
        return None;
    }
    let items = super::search::merged(items);
    let value = items
        .iter()
        .map(|(class, copies)| values[*class as usize] * i64::from(*copies))
        .sum();
    Some(Found {
        value,
        pattern: Pattern {
            shape: carrier.shape,
            items,
        },
    })
}

/// A class without devices while a rest is packed.
struct Item {
    class: u32,
    /// Copies not taken.
    spare: u32,
    taken: u32,
    value: i64,
    need: Amounts,
}

/// A load of a rest without devices: in the order of what classes give for what they take at these prices, then improved
/// by exchanging single copies. Near the bound where there are many classes and the prices are the bound's.
pub(super) fn pack(carrier: &Carrier, folded: &Folded, values: &[i64], lambda: Lambda) -> Found {
    let dimensions = folded.dimensions;
    let item = |load: &Load| {
        let need = folded.classes[load.class as usize].need;
        let value = values[load.class as usize];
        let cost = as_signed(lambda.cost_down(&need, dimensions)).max(1.0);
        (value > 0).then_some((
            as_signed(value) / cost,
            Item {
                class: load.class,
                spare: load.most,
                taken: 0,
                value,
                need,
            },
        ))
    };
    let mut rated: Vec<(f64, Item)> = carrier.plain.iter().filter_map(item).collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.class.cmp(&b.1.class)));
    let mut items: Vec<Item> = rated.into_iter().map(|(_, item)| item).collect();
    let mut left = carrier.capacity;
    take_what_fits(&mut items, &mut left, folded);
    for _ in 0..EXCHANGES_MAX {
        let Some((out, into)) = best_exchange(&items, &left, dimensions) else {
            break;
        };
        for d in 0..dimensions {
            left.0[d] = left.0[d] + items[out].need.0[d] - items[into].need.0[d];
        }
        items[out].taken -= 1;
        items[out].spare += 1;
        items[into].taken += 1;
        items[into].spare -= 1;
        take_what_fits(&mut items, &mut left, folded);
    }
    let mut taken: Vec<(u32, u32)> = items
        .iter()
        .filter(|i| i.taken > 0)
        .map(|i| (i.class, i.taken))
        .collect();
    taken.sort_unstable();
    Found {
        value: items
            .iter()
            .map(|i| i.value.saturating_mul(i64::from(i.taken)))
            .fold(0, i64::saturating_add),
        pattern: Pattern {
            shape: carrier.shape,
            items: taken,
        },
    }
}

/// Takes as many copies as fit, class by class.
fn take_what_fits(items: &mut [Item], left: &mut Amounts, folded: &Folded) {
    for item in items.iter_mut().filter(|item| item.spare > 0) {
        if !fits(&item.need, left, folded.dimensions) {
            continue;
        }
        let copies = folded.fitting(&item.need, left).min(u64::from(item.spare));
        (0..folded.dimensions).for_each(|d| left.0[d] -= item.need.0[d] * copies);
        let copies = u32::try_from(copies).unwrap_or(item.spare);
        item.taken += copies;
        item.spare -= copies;
    }
}

/// The copy to take out and the copy to take in instead by which the load gains most.
fn best_exchange(items: &[Item], left: &Amounts, dimensions: usize) -> Option<(usize, usize)> {
    let mut best: Option<(i64, usize, usize)> = None;
    for (out, taken) in items.iter().enumerate().filter(|(_, item)| item.taken > 0) {
        let mut room = *left;
        (0..dimensions).for_each(|d| room.0[d] += taken.need.0[d]);
        for (into, item) in items.iter().enumerate() {
            let gain = item.value - taken.value;
            if gain > best.map_or(0, |b| b.0) && item.spare > 0 && fits(&item.need, &room, dimensions) {
                best = Some((gain, out, into));
            }
        }
    }
    best.map(|(_, out, into)| (out, into))
}

/// A load of any machine: what [`fill`] puts on devices, and the rest packed at prices of its own.
pub(super) fn fill_well(carrier: &Carrier, folded: &Folded, values: &[i64], bound: &Bound) -> Option<Found> {
    if carrier.devices == 0 {
        let packed = pack(carrier, folded, values, bound.lambda);
        return (packed.value > 0).then_some(packed);
    }
    let filled = fill(carrier, folded, values)?;
    let on_devices = |(class, _): &(u32, u32)| folded.classes[*class as usize].devices != Devices::None;
    let mut items: Vec<(u32, u32)> = filled.pattern.items.iter().copied().filter(on_devices).collect();
    let mut left = carrier.capacity;
    for (class, copies) in &items {
        let need = &folded.classes[*class as usize].need;
        (0..folded.dimensions).for_each(|d| left.0[d] -= need.0[d] * u64::from(*copies));
    }
    let rest = carrier.rest(folded, &left, 0);
    let mut start = carrier.rescaled(
        &bound.lambda.of_capacity(&carrier.capacity, folded.dimensions),
        &left,
        folded.dimensions,
    );
    let own = rest.tighten(folded, values, &mut start, 0, PACK_STEPS);
    let packed = pack(&rest, folded, values, own.lambda);
    let worth = |(class, copies): &(u32, u32)| values[*class as usize].saturating_mul(i64::from(*copies));
    let value = items.iter().map(worth).sum::<i64>().saturating_add(packed.value);
    if value <= filled.value {
        return Some(filled);
    }
    items.extend(packed.pattern.items);
    items.sort_unstable();
    Some(Found {
        value,
        pattern: Pattern {
            shape: carrier.shape,
            items,
        },
    })
}
