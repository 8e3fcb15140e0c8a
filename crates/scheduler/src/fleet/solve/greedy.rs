//! A good load of one machine quickly: always the class that gives most for its share of what is left.
//!
//! Shares of what is left steer towards loads that use up all dimensions together, which matters where hundreds of classes
//! are worth nearly the same per resource. It proves nothing: that is `search`'s.

use crate::fleet::folded::{Folded, Pattern};
use crate::fleet::problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX, Devices};

use super::blocks::fits;
use super::carrier::{Carrier, as_float, as_signed};
use super::search::Found;

/// A class is taken in steps of this share of what fits of it.
const STEP_PARTS: u64 = 12;

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
        for d in 0..dimensions {
            weights[d] = 1.0 / as_float(self.left.0[d]).max(1.0);
        }
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
