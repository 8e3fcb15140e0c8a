//! What one shape can carry, and the Lagrangian bound on what that is worth.
//!
//! A machine is worth at most `λ·capacity + Σ max(0, value - λ·need)` over what it may carry, for any prices `λ >= 0` on
//! its additive dimensions; devices are kept apart exactly, by a knapsack over one device's thousandths. Everything is in
//! integers and rounded outwards, so the bound needs no trust in floats; only the choice of `λ` uses them. Finding the
//! best load itself is `search`'s.

use crate::fleet::folded::Folded;
use crate::fleet::problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX, Devices};

/// Fixed-point fraction of a resource price: billionths of a dollar per unit, times 2^40.
const FRACTION_BITS: u32 = 40;
/// Improvements of `λ` tried in a row without success before the step is halved.
const PATIENCE: u32 = 2;

/// A class with the most copies that one machine can hold of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) class: u32,
    pub(super) most: u32,
}

/// A machine of one shape, or what is left of it, with the classes it may carry, by what they take of devices.
#[derive(Debug, Clone)]
pub(super) struct Carrier {
    pub(super) shape: usize,
    pub(super) capacity: Amounts,
    pub(super) devices: u32,
    pub(super) plain: Vec<Load>,
    pub(super) shares: Vec<Load>,
    pub(super) whole: Vec<Load>,
    /// Thousandths of a device are counted in steps of this many.
    pub(super) step: u32,
}

/// Prices of the additive dimensions in fixed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lambda(pub(super) [i64; DIMENSIONS_MAX]);

/// A bound with what it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// No load is worth more, in billionths of a dollar.
    pub(super) upper: i64,
    /// The best that one device adds to it.
    pub(super) per_device: i64,
    pub(super) lambda: Lambda,
}

/// A bound on whatever is left of a machine: what is left, priced, plus the most that devices and plain classes add.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    lambda: Lambda,
    /// By devices left, with classes on whole devices and without.
    with_whole: Vec<i64>,
    with_shares: Vec<i64>,
}

impl Cut {
    /// The most that a partial load worth `value` may become.
    pub(super) fn reach(&self, devices: u32, left: &Amounts, value: i64, whole: bool, dimensions: usize) -> i64 {
        let adds = if whole { &self.with_whole } else { &self.with_shares };
        value
            .saturating_add(self.lambda.cost_up(left, dimensions))
            .saturating_add(adds[devices as usize])
    }
}

impl Bound {
    /// What something on one device loses against the best on one device, never below zero.
    pub(super) fn loss_on_device(&self, value: i64, need: &Amounts, dimensions: usize) -> i64 {
        let gain = value.saturating_sub(self.lambda.cost_down(need, dimensions));
        self.per_device.saturating_sub(gain).max(0)
    }

    /// What classes without devices add to the bound of a machine of this capacity on which none takes several devices.
    pub(super) fn plain_part(&self, capacity: &Amounts, devices: u32, dimensions: usize) -> i64 {
        let rest = self.upper.saturating_sub(self.lambda.cost_up(capacity, dimensions));
        rest.saturating_sub(self.per_device.saturating_mul(i64::from(devices)))
    }
}

impl Lambda {
    /// From prices (billionths of a dollar per unit), rounded to what can be held.
    fn new(prices: &[f64; DIMENSIONS_MAX]) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, and any value is a valid price"
        )]
        let fixed = |price: f64| (price.max(0.0) * (1u64 << FRACTION_BITS) as f64) as i64;
        Self(prices.map(fixed))
    }

    /// What an amount costs under these prices, rounded down.
    pub(super) fn cost_down(&self, amount: &Amounts, dimensions: usize) -> i64 {
        narrow(self.wide(amount, dimensions) >> FRACTION_BITS)
    }

    /// What an amount costs under these prices, rounded up.
    pub(super) fn cost_up(&self, amount: &Amounts, dimensions: usize) -> i64 {
        narrow((self.wide(amount, dimensions) + (1 << FRACTION_BITS) - 1) >> FRACTION_BITS)
    }

    fn wide(&self, amount: &Amounts, dimensions: usize) -> i128 {
        self.0[..dimensions]
            .iter()
            .zip(&amount.0)
            .map(|(price, n)| i128::from(*price) * i128::from(*n))
            .sum()
    }

    /// What the whole of a capacity costs by dimension, in billionths of a dollar.
    pub(super) fn of_capacity(&self, capacity: &Amounts, dimensions: usize) -> [f64; DIMENSIONS_MAX] {
        let mut whole = [0.0; DIMENSIONS_MAX];
        for (d, cost) in whole.iter_mut().enumerate().take(dimensions) {
            *cost = as_signed(self.0[d]) * as_float(capacity.0[d]) / (1u64 << FRACTION_BITS) as f64;
        }
        whole
    }

    /// The same without a price on one dimension.
    pub(super) fn without(mut self, dimension: usize) -> Self {
        self.0[dimension] = 0;
        self
    }

    /// The dimension on which the most money stands at this capacity.
    pub(super) fn main_dimension(&self, capacity: &Amounts, dimensions: usize) -> usize {
        let weight = |d: usize| i128::from(self.0[d]) * i128::from(capacity.0[d]);
        (0..dimensions)
            .max_by_key(|d| (weight(*d), dimensions - d))
            .unwrap_or(0)
    }
}

fn narrow(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(i64::MAX)
}

impl Carrier {
    /// Which classes a shape may carry; `counts` are the copies that are there to be carried.
    pub(super) fn new(folded: &Folded, shape: usize, counts: &[u64]) -> Self {
        let this = &folded.shapes[shape];
        let mut carrier = Self {
            shape,
            capacity: this.capacity,
            devices: this.devices,
            plain: Vec::new(),
            shares: Vec::new(),
            whole: Vec::new(),
            step: DEVICE_MILLI,
        };
        for (class, spec) in (0u32..).zip(&folded.classes) {
            let count = counts[class as usize];
            if count == 0 || !folded.accepts(shape, class as usize) {
                continue;
            }
            let fit = folded.fitting(&spec.need, &this.capacity);
            let by_devices = match spec.devices {
                Devices::None => u64::MAX,
                Devices::Share(milli) => u64::from(DEVICE_MILLI / milli) * u64::from(this.devices),
                Devices::Whole(devices) => u64::from(this.devices / devices),
            };
            let most = count.min(fit).min(by_devices).min(u64::from(spec.per_machine_max));
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            if most == 0 {
                continue;
            }
            let load = Load { class, most };
            match spec.devices {
                Devices::None => carrier.plain.push(load),
                Devices::Share(milli) => {
                    carrier.step = gcd(carrier.step, milli);
                    carrier.shares.push(load);
                }
                Devices::Whole(_) => carrier.whole.push(load),
            }
        }
        carrier
    }

    /// The same without what loses more than a margin against the bound: no load within the margin holds it.
    pub(super) fn within(&self, folded: &Folded, values: &[i64], bound: &Bound, margin: i64) -> Self {
        let keep = |load: &Load, devices: i64| {
            let value = values[load.class as usize];
            let cost = bound
                .lambda
                .cost_down(&folded.classes[load.class as usize].need, folded.dimensions);
            let loss = cost
                .saturating_sub(value)
                .saturating_add(bound.per_device.saturating_mul(devices));
            if value <= 0 || loss > margin {
                return None;
            }
            let within = if loss > 0 { margin / loss } else { i64::MAX };
            let most = load.most.min(u32::try_from(within).unwrap_or(u32::MAX));
            Some(Load {
                class: load.class,
                most,
            })
        };
        let whole = |load: &Load| i64::from(whole_devices(folded.classes[load.class as usize].devices));
        Self {
            plain: self.plain.iter().filter_map(|load| keep(load, 0)).collect(),
            // A share's own loss says nothing before the rest of its device is known.
            shares: self.shares.clone(),
            whole: self.whole.iter().filter_map(|load| keep(load, whole(load))).collect(),
            ..*self
        }
    }

    /// What is left of the machine beside one copy of the class at `at`, which fits, with the classes on whole devices from
    /// there on; and how many of the first `branched` of these are left.
    pub(super) fn beside(&self, folded: &Folded, at: usize, branched: usize) -> (Self, usize) {
        let class = &folded.classes[self.whole[at].class as usize];
        let devices = self.devices - whole_devices(class.devices);
        let mut capacity = self.capacity;
        (0..folded.dimensions).for_each(|d| capacity.0[d] -= class.need.0[d]);
        let kept = |load: &Load| {
            let spec = &folded.classes[load.class as usize];
            let fit = u32::try_from(folded.fitting(&spec.need, &capacity)).unwrap_or(u32::MAX);
            let most = load.most.min(fit);
            (most > 0 && whole_devices(spec.devices) <= devices).then_some(Load { most, ..*load })
        };
        let mut first = self.whole[at];
        first.most -= 1;
        let early = std::iter::once(&first).chain(&self.whole[at + 1..branched]);
        let mut whole: Vec<Load> = early.filter_map(kept).collect();
        let branched_left = whole.len();
        whole.extend(self.whole[branched..].iter().filter_map(kept));
        let rest = Self {
            capacity,
            devices,
            plain: self.plain.iter().filter_map(kept).collect(),
            shares: self.shares.iter().filter_map(kept).collect(),
            whole,
            ..*self
        };
        (rest, branched_left)
    }

    /// Prices of this capacity as a whole, for another capacity at the same price per unit.
    pub(super) fn rescaled(
        &self,
        whole: &[f64; DIMENSIONS_MAX],
        to: &Amounts,
        dimensions: usize,
    ) -> [f64; DIMENSIONS_MAX] {
        let mut scaled = *whole;
        for d in 0..dimensions {
            if self.capacity.0[d] > 0 {
                scaled[d] *= as_float(to.0[d]) / as_float(self.capacity.0[d]);
            }
        }
        scaled
    }

    /// The bound under given prices, and what the best load would use of each dimension.
    fn evaluate(&self, folded: &Folded, values: &[i64], lambda: Lambda) -> (Bound, [f64; DIMENSIONS_MAX]) {
        let mut used = [0.0; DIMENSIONS_MAX];
        let mut upper = i128::from(lambda.cost_up(&self.capacity, folded.dimensions));
        for load in &self.plain {
            let class = &folded.classes[load.class as usize];
            let gain = values[load.class as usize].saturating_sub(lambda.cost_down(&class.need, folded.dimensions));
            if gain > 0 {
                upper += i128::from(gain) * i128::from(load.most);
                add_use(&mut used, &class.need, f64::from(load.most), folded.dimensions);
            }
        }
        let mut per_device = 0;
        if self.devices > 0 {
            let devices = DeviceValues::new(self, folded, values, lambda);
            per_device = devices.best_of_one;
            upper += i128::from(devices.best(self.devices));
            devices.add_uses(self, folded, self.devices, &mut used);
        }
        let bound = Bound {
            upper: narrow(upper),
            per_device,
            lambda,
        };
        (bound, used)
    }

    /// The bound under given prices for whatever is left of this machine.
    pub(super) fn cut(&self, folded: &Folded, values: &[i64], lambda: Lambda) -> Cut {
        let mut plain = 0i64;
        for load in &self.plain {
            let need = &folded.classes[load.class as usize].need;
            let gain = values[load.class as usize].saturating_sub(lambda.cost_down(need, folded.dimensions));
            plain = plain.saturating_add(gain.max(0).saturating_mul(i64::from(load.most)));
        }
        let devices = DeviceValues::new(self, folded, values, lambda);
        let shares = devices.cells.last().map_or(0, |(value, _)| *value);
        Cut {
            lambda,
            with_whole: devices
                .by_devices(self.devices)
                .iter()
                .map(|(v, _)| v.saturating_add(plain))
                .collect(),
            with_shares: (0..=i64::from(self.devices))
                .map(|n| shares.saturating_mul(n).saturating_add(plain))
                .collect(),
        }
    }

    /// The lowest bound found by moving prices from `start` (billionths of a dollar that each dimension's whole capacity
    /// costs), in at most so many steps; ends early at `target`. Polyak's subgradient steps; leaves the best prices in
    /// `start` for the next time.
    pub(super) fn tighten(
        &self,
        folded: &Folded,
        values: &[i64],
        start: &mut [f64; DIMENSIONS_MAX],
        target: i64,
        steps: u32,
    ) -> Bound {
        let capacity = &self.capacity;
        let unit = |whole: &[f64; DIMENSIONS_MAX]| {
            let mut prices = [0.0; DIMENSIONS_MAX];
            for d in 0..folded.dimensions {
                if capacity.0[d] > 0 {
                    prices[d] = whole[d] / as_float(capacity.0[d]);
                }
            }
            Lambda::new(&prices)
        };
        let mut here = *start;
        let (mut best, mut used) = self.evaluate(folded, values, unit(&here));
        let (mut factor, mut failures) = (1.0, 0);
        for _ in 0..steps {
            if best.upper <= target {
                break;
            }
            let mut slope = [0.0; DIMENSIONS_MAX];
            for d in 0..folded.dimensions {
                let share = if capacity.0[d] > 0 {
                    used[d] / as_float(capacity.0[d])
                } else {
                    1.0
                };
                slope[d] = 1.0 - share;
                if here[d] <= 0.0 && slope[d] > 0.0 {
                    slope[d] = 0.0;
                }
            }
            let norm: f64 = slope.iter().map(|s| s * s).sum();
            if norm < 1e-12 {
                break;
            }
            let step = factor * as_signed(best.upper.saturating_sub(target)) / norm;
            let mut next = here;
            for d in 0..folded.dimensions {
                next[d] = (here[d] - step * slope[d]).max(0.0);
            }
            let (bound, next_used) = self.evaluate(folded, values, unit(&next));
            if bound.upper < best.upper {
                (best, failures, *start) = (bound, 0, next);
            } else {
                failures += 1;
            }
            (here, used) = (next, next_used);
            if failures >= PATIENCE {
                factor *= 0.5;
                failures = 0;
                here = *start;
                used = self.evaluate(folded, values, unit(&here)).1;
            }
        }
        best
    }
}

/// What the devices of a machine can add, by number of devices.
pub(super) struct DeviceValues {
    best_of_one: i64,
    /// Best value by cells of one device, and the share (position in `shares`) that ends it.
    cells: Vec<(i64, Option<usize>)>,
    /// The whole-device class that is better than any shares, for one device.
    single: Option<usize>,
    /// Values of whole-device classes on several devices: devices, value, position in `whole`.
    several: Vec<(u32, i64, usize)>,
}

impl DeviceValues {
    pub(super) fn new(carrier: &Carrier, folded: &Folded, values: &[i64], lambda: Lambda) -> Self {
        let gain = |load: &Load| {
            let need = &folded.classes[load.class as usize].need;
            values[load.class as usize].saturating_sub(lambda.cost_down(need, folded.dimensions))
        };
        let cells = carrier.cells(folded, gain);
        let mut best_of_one = cells.last().map_or(0, |(value, _)| *value);
        let (mut single, mut several) = (None, Vec::new());
        for (at, load) in carrier.whole.iter().enumerate() {
            let value = gain(load);
            match folded.classes[load.class as usize].devices {
                Devices::Whole(1) if value > best_of_one => (best_of_one, single) = (value, Some(at)),
                Devices::Whole(devices) if devices > 1 && value > 0 => several.push((devices, value, at)),
                _ => {}
            }
        }
        Self {
            best_of_one,
            cells,
            single,
            several,
        }
    }

    /// Best value by cells of one device.
    pub(super) fn cells(&self) -> impl Iterator<Item = i64> {
        self.cells.iter().map(|(value, _)| *value)
    }

    fn best(&self, devices: u32) -> i64 {
        self.by_devices(devices).last().map_or(0, |(value, _)| *value)
    }

    /// Best value by number of devices, with the class on several devices that ends it.
    fn by_devices(&self, devices: u32) -> Vec<(i64, Option<usize>)> {
        let mut best: Vec<(i64, Option<usize>)> = vec![(0, None)];
        for count in 1..=devices {
            let mut here = (best[count as usize - 1].0.saturating_add(self.best_of_one), None);
            for (position, (takes, value, _)) in self.several.iter().enumerate() {
                if *takes <= count {
                    let with = best[(count - takes) as usize].0.saturating_add(*value);
                    if with > here.0 {
                        here = (with, Some(position));
                    }
                }
            }
            best.push(here);
        }
        best
    }

    fn add_uses(&self, carrier: &Carrier, folded: &Folded, devices: u32, used: &mut [f64; DIMENSIONS_MAX]) {
        let best = self.by_devices(devices);
        let (mut left, mut ones) = (devices, 0.0);
        while left > 0 {
            match best[left as usize].1 {
                None => {
                    ones += 1.0;
                    left -= 1;
                }
                Some(position) => {
                    let (takes, _, at) = self.several[position];
                    let need = &folded.classes[carrier.whole[at].class as usize].need;
                    add_use(used, need, 1.0, folded.dimensions);
                    left -= takes;
                }
            }
        }
        if let Some(at) = self.single {
            let need = &folded.classes[carrier.whole[at].class as usize].need;
            add_use(used, need, ones, folded.dimensions);
            return;
        }
        let mut cell = self.cells.len() - 1;
        while let (_, Some(at)) = self.cells[cell] {
            let class = &folded.classes[carrier.shares[at].class as usize];
            add_use(used, &class.need, ones, folded.dimensions);
            cell -= carrier.cells_of(class.devices);
        }
    }
}

impl Carrier {
    /// How many cells of one device a share takes.
    pub(super) fn cells_of(&self, devices: Devices) -> usize {
        match devices {
            Devices::Share(milli) => (milli / self.step) as usize,
            Devices::None | Devices::Whole(_) => 0,
        }
    }

    /// Best value by cells of one device that shares can have, copies unlimited.
    fn cells(&self, folded: &Folded, gain: impl Fn(&Load) -> i64) -> Vec<(i64, Option<usize>)> {
        let count = (DEVICE_MILLI / self.step) as usize;
        let mut best: Vec<(i64, Option<usize>)> = vec![(0, None); count + 1];
        let offers: Vec<(usize, i64, usize)> = self
            .shares
            .iter()
            .enumerate()
            .map(|(at, load)| {
                (
                    self.cells_of(folded.classes[load.class as usize].devices),
                    gain(load),
                    at,
                )
            })
            .filter(|(_, value, _)| *value > 0)
            .collect();
        for (takes, value, at) in best_by_size(offers, count) {
            for cell in takes..=count {
                let with = best[cell - takes].0.saturating_add(value);
                if with > best[cell].0 {
                    best[cell] = (with, Some(at));
                }
            }
        }
        best
    }
}

/// Of offers of one size only the best matters.
fn best_by_size(offers: Vec<(usize, i64, usize)>, sizes: usize) -> Vec<(usize, i64, usize)> {
    let mut best: Vec<Option<(usize, i64, usize)>> = vec![None; sizes + 1];
    for offer in offers {
        if best[offer.0].is_none_or(|other| offer.1 > other.1) {
            best[offer.0] = Some(offer);
        }
    }
    best.into_iter().flatten().collect()
}

fn add_use(used: &mut [f64; DIMENSIONS_MAX], need: &Amounts, copies: f64, dimensions: usize) {
    for d in 0..dimensions {
        used[d] += as_float(need.0[d]) * copies;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "guides the choice of prices; nothing is proven by it"
)]
pub(super) fn as_float(n: u64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "guides the choice of prices; nothing is proven by it"
)]
pub(super) fn as_signed(n: i64) -> f64 {
    n as f64
}

/// Whole devices that a class takes.
pub(super) fn whole_devices(devices: Devices) -> u32 {
    match devices {
        Devices::Whole(count) => count,
        Devices::None | Devices::Share(_) => 0,
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
