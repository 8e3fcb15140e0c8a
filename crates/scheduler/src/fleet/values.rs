//! What a copy of each class is worth at least in machines, proven in integers: no filling of any machine is worth more
//! than its price, so the values of all copies together are below what any machines that hold them cost.
//!
//! A price per unit of each dimension with that property comes from the small linear program of `greedy`; it is rounded
//! and then judged in integers, shape by shape, so the program need not be trusted.

use crate::fleet::folded::{Class, Folded, Shape};
use crate::fleet::greedy::dimension_prices;
use crate::fleet::problem::{DEVICE_MILLI, DIMENSIONS_MAX, Devices};

/// Prices per unit are counted in these parts of a billionth of a dollar: a byte costs very little.
const UNIT_BITS: u32 = 30;

/// What all values are scaled down by is counted in these parts of 1.
const SCALE_BITS: u32 = 32;

/// A value for each class, in billionths of a dollar per hour.
pub(crate) fn values(folded: &Folded) -> Vec<u64> {
    let units = units(folded);
    let within = |shape: &Shape| {
        let worth = total(&units, &shape.capacity.0, shape.devices);
        let limit = u128::from(shape.price) << UNIT_BITS;
        // A price is at most 2^62, so this fits.
        (limit << SCALE_BITS).checked_div(worth).unwrap_or(1 << SCALE_BITS)
    };
    let scale = folded.shapes.iter().map(within).fold(1 << SCALE_BITS, u128::min);
    folded.classes.iter().map(|class| value(class, &units, scale)).collect()
}

/// No purchase that holds everything costs less, in billionths of a dollar per hour: quick, and far from tight.
pub(crate) fn bound(folded: &Folded) -> u128 {
    let worth = folded.classes.iter().zip(values(folded));
    worth
        .map(|(class, value)| u128::from(class.count) * u128::from(value))
        .sum()
}

/// Prices of the dimensions and of devices, per unit.
fn units(folded: &Folded) -> [u128; DIMENSIONS_MAX + 1] {
    let mut units = [0u128; DIMENSIONS_MAX + 1];
    for (unit, price) in units.iter_mut().zip(dimension_prices(folded)) {
        *unit = whole(price * f64::from(1u32 << UNIT_BITS));
    }
    // The last is of devices; it is counted in thousandths.
    units[DIMENSIONS_MAX] /= u128::from(DEVICE_MILLI);
    units
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped into range, and judged in integers afterwards"
)]
fn whole(price: f64) -> u128 {
    price.clamp(0.0, 1e18) as u128
}

fn total(units: &[u128; DIMENSIONS_MAX + 1], amounts: &[u64; DIMENSIONS_MAX], devices: u32) -> u128 {
    let devices = u128::from(devices) * u128::from(DEVICE_MILLI);
    thousandths(units, amounts, devices)
}

/// Saturates, which only makes a machine's worth, and so the scale, no larger than it is.
fn thousandths(units: &[u128; DIMENSIONS_MAX + 1], amounts: &[u64; DIMENSIONS_MAX], milli: u128) -> u128 {
    let amounts = amounts.iter().map(|amount| u128::from(*amount)).chain([milli]);
    let products = units
        .iter()
        .zip(amounts)
        .map(|(unit, amount)| unit.saturating_mul(amount));
    products.fold(0, u128::saturating_add)
}

fn value(class: &Class, units: &[u128; DIMENSIONS_MAX + 1], scale: u128) -> u64 {
    let milli = match class.devices {
        Devices::None => 0,
        Devices::Share(milli) => u128::from(milli),
        Devices::Whole(devices) => u128::from(devices) * u128::from(DEVICE_MILLI),
    };
    let worth = thousandths(units, &class.need.0, milli);
    let scaled = match worth.checked_mul(scale) {
        Some(product) => product >> SCALE_BITS,
        None => (worth >> SCALE_BITS).saturating_mul(scale),
    };
    u64::try_from(scaled >> UNIT_BITS).unwrap_or(0)
}
