//! Prices of classes from the fluid program: every workload may be cut, every machine bought in fractions.
//!
//! Where there are many classes with few copies each, cutting loses little, and this program has a row per shape and
//! measure instead of one per class: its prices are free and come in a fraction of a second. Where machines hold only a
//! few workloads it is weak, and column generation goes on from here. The simplex is `simplex`'s; what prices prove is
//! established in integers by `generate`.

mod simplex;
#[cfg(test)]
mod tests;

use crate::effort::Effort;
use crate::fleet::folded::{Bought, Folded};
use crate::fleet::problem::{DEVICE_MILLI, DIMENSIONS_MAX, Devices};

use super::carrier::{Carrier, as_float};
use simplex::{Carrying, Simplex};

/// Steps to see whether a shape could save something, and how much of its price that must be.
const LOOK_STEPS: u32 = 40;
const SAVING_MIN: f64 = 1e-6;
/// Shapes taken in at once.
const SHAPES_AT_ONCE: usize = 8;

/// Prices with what they come from.
#[derive(Debug, Clone)]
pub(super) struct FluidPrices {
    /// Values of classes, in billionths of a dollar.
    pub(super) values: Vec<i64>,
    /// Shapes with what their dimensions cost, each for the whole capacity.
    pub(super) dimensions: Vec<(usize, [f64; DIMENSIONS_MAX])>,
}

/// Prices under which no shape that was looked at is worth more than it costs: all of them if the effort sufficed.
pub(super) fn fluid(folded: &Folded, carriers: &[Carrier], start: &Bought, effort: &mut Effort<'_>) -> FluidPrices {
    let measures = Measures::of(folded);
    let needs = (0..folded.classes.len())
        .flat_map(|class| measures.need(folded, class))
        .collect();
    let counts = folded.classes.iter().map(|class| as_float(class.count)).collect();
    let homes = homes(folded, start);
    let mut shapes: Vec<usize> = homes.clone();
    shapes.sort_unstable();
    shapes.dedup();
    let home = homes
        .iter()
        .map(|shape| shapes.binary_search(shape).unwrap_or(0))
        .collect();
    let carrying = |shape: usize| measures.carrying(folded, &carriers[shape]);
    let mut simplex = Simplex::new(
        measures.len(),
        needs,
        counts,
        shapes.iter().map(|s| carrying(*s)).collect(),
        home,
    );
    loop {
        let look = (folded.classes.len() * shapes.len() * measures.len() / 64) as u64;
        let row = (shapes.len() * measures.len()) as u64;
        let mut asked = true;
        let solved = simplex.solve(|pivots| {
            effort.spend(look + u64::from(pivots) * (row * row / 64 + 1));
            asked = effort.within(1.0);
            asked
        });
        let prices = prices(folded, &simplex, &shapes);
        if !solved || !asked {
            return prices;
        }
        let wanted = wanted(folded, carriers, &shapes, &prices, effort);
        if wanted.is_empty() {
            return prices;
        }
        for shape in wanted {
            simplex.add_shape(carrying(shape));
            shapes.push(shape);
        }
    }
}

fn prices(folded: &Folded, simplex: &Simplex, shapes: &[usize]) -> FluidPrices {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; any value is a valid one")]
    let values = simplex.values().into_iter().map(|value| value.floor() as i64).collect();
    let of_shape = |(at, shape): (usize, &usize)| {
        let mut own = [0.0; DIMENSIONS_MAX];
        let prices = simplex.prices_of(at);
        own[..folded.dimensions].copy_from_slice(&prices[..folded.dimensions]);
        (*shape, own)
    };
    FluidPrices {
        values,
        dimensions: shapes.iter().enumerate().map(of_shape).collect(),
    }
}

/// Shapes outside the program that would save most.
fn wanted(
    folded: &Folded,
    carriers: &[Carrier],
    shapes: &[usize],
    prices: &FluidPrices,
    effort: &mut Effort<'_>,
) -> Vec<usize> {
    let mut saving: Vec<(f64, usize)> = Vec::new();
    for carrier in carriers.iter().filter(|carrier| !shapes.contains(&carrier.shape)) {
        let price = i64::try_from(folded.shapes[carrier.shape].price).unwrap_or(i64::MAX);
        let mut start = carrier.even(price, folded.dimensions);
        let bound = carrier.tighten(folded, &prices.values, &mut start, price, LOOK_STEPS);
        effort.spend(carrier.plain.len() as u64 / 16 + 8);
        #[expect(clippy::cast_precision_loss, reason = "chooses, and proves nothing")]
        let above = (bound.upper - price) as f64 / (price.max(1)) as f64;
        if above > SAVING_MIN {
            saving.push((above, carrier.shape));
        }
    }
    saving.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    saving
        .into_iter()
        .take(SHAPES_AT_ONCE)
        .map(|(_, shape)| shape)
        .collect()
}

/// By class: the shape that carries most of its copies.
fn homes(folded: &Folded, start: &Bought) -> Vec<usize> {
    let mut most = vec![(0u64, 0usize); folded.classes.len()];
    let mut copies: std::collections::BTreeMap<(u32, usize), u64> = std::collections::BTreeMap::new();
    for (pattern, machines) in &start.machines {
        for (class, each) in &pattern.items {
            *copies.entry((*class, pattern.shape)).or_default() += u64::from(*each) * machines;
        }
    }
    for ((class, shape), copies) in copies {
        let most = &mut most[class as usize];
        *most = (*most).max((copies, shape));
    }
    most.into_iter().map(|(_, shape)| shape).collect()
}

/// What is measured of classes and shapes: the additive dimensions, thousandths of devices, and (where shares do not
/// divide a device) devices of which more than half is taken, of which one holds one.
struct Measures {
    dimensions: usize,
    devices: bool,
    halves: bool,
}

impl Measures {
    fn of(folded: &Folded) -> Self {
        let any = |test: &dyn Fn(Devices) -> bool| folded.classes.iter().any(|class| test(class.devices));
        Self {
            dimensions: folded.dimensions,
            devices: any(&|devices| devices != Devices::None),
            halves: any(&|devices| matches!(devices, Devices::Share(milli) if !DEVICE_MILLI.is_multiple_of(milli))),
        }
    }

    fn len(&self) -> usize {
        self.dimensions + usize::from(self.devices) + usize::from(self.halves)
    }

    fn need(&self, folded: &Folded, class: usize) -> Vec<f64> {
        let spec = &folded.classes[class];
        let mut need: Vec<f64> = spec.need.0[..self.dimensions].iter().map(|n| as_float(*n)).collect();
        let (milli, halves) = match spec.devices {
            Devices::None => (0.0, 0.0),
            Devices::Share(milli) if milli == DEVICE_MILLI / 2 => (f64::from(milli), 0.5),
            Devices::Share(milli) => (f64::from(milli), f64::from(u8::from(milli > DEVICE_MILLI / 2))),
            Devices::Whole(count) => (f64::from(count) * f64::from(DEVICE_MILLI), f64::from(count)),
        };
        need.extend(self.devices.then_some(milli));
        need.extend(self.halves.then_some(halves));
        need
    }

    fn carrying(&self, folded: &Folded, carrier: &Carrier) -> Carrying {
        let inverse = |capacity: f64| if capacity > 0.0 { 1.0 / capacity } else { 0.0 };
        let devices = f64::from(carrier.devices);
        let mut inverse_capacity: Vec<f64> = carrier.capacity.0[..self.dimensions]
            .iter()
            .map(|capacity| inverse(as_float(*capacity)))
            .collect();
        inverse_capacity.extend(self.devices.then_some(inverse(devices * f64::from(DEVICE_MILLI))));
        inverse_capacity.extend(self.halves.then_some(inverse(devices)));
        let mut holds = vec![false; folded.classes.len()];
        for load in carrier.plain.iter().chain(&carrier.shares).chain(&carrier.whole) {
            holds[load.class as usize] = true;
        }
        Carrying {
            price: as_float(folded.shapes[carrier.shape].price),
            inverse_capacity,
            holds,
        }
    }
}
