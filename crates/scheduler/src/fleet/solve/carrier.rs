//! What one shape can carry, and the Lagrangian bound on what that is worth.
//!
//! A machine is worth at most `λ·capacity + Σ max(0, value - λ·need)` over what it may carry, for any prices `λ >= 0` on
//! its additive dimensions; devices are kept apart exactly, by a knapsack over one device's thousandths. Everything is in
//! integers and rounded outwards, so the bound needs no trust in floats; only the choice of `λ` uses them. Finding the
//! best load itself is `search`'s.

use crate::fleet::folded::Folded;
use crate::fleet::problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX, Devices};

use super::devices::DeviceValues;

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
    /// The same if copies of what stands on devices were without end: losses of single classes are against it.
    pub(super) endless: i64,
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
    /// By cells left of a device that is being filled.
    cells: Vec<i64>,
    dimensions: usize,
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

impl Cut {
    /// The same when a device is being filled that has so many cells left.
    pub(super) fn reach_filling(&self, devices: u32, cells: u32, left: &Amounts, value: i64, whole: bool) -> i64 {
        self.reach(devices, left, value, whole, self.dimensions)
            .saturating_add(self.cells[cells as usize])
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
        let rest = self.endless.saturating_sub(self.lambda.cost_up(capacity, dimensions));
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

    /// A value spread evenly over dimensions and devices, as prices to begin with.
    pub(super) fn even(&self, value: i64, dimensions: usize) -> [f64; DIMENSIONS_MAX] {
        let mut start = [0.0; DIMENSIONS_MAX];
        let parts = as_float(dimensions as u64 + u64::from(self.devices > 0));
        start[..dimensions].fill(as_signed(value) / parts);
        start
    }

    /// What is left of the machine, for classes without devices.
    pub(super) fn rest(&self, folded: &Folded, left: &Amounts, devices: u32) -> Self {
        let kept = |load: &Load| {
            let need = &folded.classes[load.class as usize].need;
            let all = (0..folded.dimensions).all(|d| need.0[d].saturating_mul(u64::from(load.most)) <= left.0[d]);
            if all {
                return Some(*load);
            }
            let fit = u32::try_from(folded.fitting(need, left)).unwrap_or(u32::MAX);
            let most = load.most.min(fit);
            (most > 0).then_some(Load { most, ..*load })
        };
        Self {
            capacity: *left,
            devices,
            plain: self.plain.iter().filter_map(kept).collect(),
            shares: Vec::new(),
            whole: Vec::new(),
            ..*self
        }
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

    /// The bound under given prices.
    pub(super) fn evaluate(&self, folded: &Folded, values: &[i64], lambda: Lambda) -> Bound {
        let mut upper = i128::from(lambda.cost_up(&self.capacity, folded.dimensions));
        for load in &self.plain {
            let value = values[load.class as usize];
            if value > 0 {
                let need = &folded.classes[load.class as usize].need;
                let gain = value.saturating_sub(lambda.cost_down(need, folded.dimensions));
                upper += i128::from(gain.max(0)) * i128::from(load.most);
            }
        }
        let (mut per_device, mut endless) = (0, upper);
        if self.devices > 0 {
            let devices = DeviceValues::new(self, folded, values, lambda);
            per_device = devices.best_of_one;
            upper += i128::from(devices.total());
            endless += i128::from(devices.endless);
        }
        Bound {
            upper: narrow(upper),
            endless: narrow(endless),
            per_device,
            lambda,
        }
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
        Cut {
            lambda,
            dimensions: folded.dimensions,
            cells: devices.cells.iter().map(|(value, _)| *value).collect(),
            with_shares: devices
                .shares_by_devices()
                .into_iter()
                .map(|v| v.saturating_add(plain))
                .collect(),
            with_whole: devices
                .by_devices()
                .into_iter()
                .map(|v| v.saturating_add(plain))
                .collect(),
        }
    }

    /// The lowest bound found by moving prices from `start` (billionths of a dollar that each dimension's whole capacity
    /// costs), in at most so many steps; ends early at `target`. Polyak's subgradient steps; leaves the best prices in
    /// `start` for the next time. The steps are taken in floats, and the bound under the best prices then in integers.
    pub(super) fn tighten(
        &self,
        folded: &Folded,
        values: &[i64],
        start: &mut [f64; DIMENSIONS_MAX],
        target: i64,
        steps: u32,
    ) -> Bound {
        let dimensions = folded.dimensions;
        let mut sketch = Sketch::new(self, folded, values);
        let target_worth = as_signed(target);
        (0..dimensions)
            .filter(|d| self.capacity.0[*d] == 0)
            .for_each(|d| start[d] = 0.0);
        let mut here = *start;
        let (mut best, mut used) = sketch.evaluate(&here);
        let (mut best_used, mut factor, mut failures) = (used, 1.0, 0);
        for _ in 0..steps {
            if best < target_worth {
                break;
            }
            let mut slope = [0.0; DIMENSIONS_MAX];
            for d in 0..dimensions {
                slope[d] = if here[d] <= 0.0 {
                    (1.0 - used[d]).min(0.0)
                } else {
                    1.0 - used[d]
                };
            }
            let norm: f64 = slope.iter().map(|s| s * s).sum();
            if norm < 1e-12 {
                break;
            }
            let step = factor * (best - target_worth).max(best * 1e-6) / norm;
            let mut next = here;
            for d in 0..dimensions {
                next[d] = (here[d] - step * slope[d]).max(0.0);
            }
            let (bound, next_used) = sketch.evaluate(&next);
            (here, used) = (next, next_used);
            if bound < best {
                (best, best_used, failures, *start) = (bound, next_used, 0, next);
                continue;
            }
            failures += 1;
            if failures >= PATIENCE {
                factor *= 0.5;
                failures = 0;
                (here, used) = (*start, best_used);
            }
        }
        self.evaluate(folded, values, self.unit_prices(start, dimensions))
    }

    /// Prices per unit from what the whole capacity costs.
    fn unit_prices(&self, whole: &[f64; DIMENSIONS_MAX], dimensions: usize) -> Lambda {
        let mut prices = [0.0; DIMENSIONS_MAX];
        for d in 0..dimensions {
            if self.capacity.0[d] > 0 {
                prices[d] = whole[d] / as_float(self.capacity.0[d]);
            }
        }
        Lambda::new(&prices)
    }
}

/// A carrier in floats, laid out for speed: the search for good prices looks at every class many times.
struct Sketch<'a> {
    carrier: &'a Carrier,
    folded: &'a Folded,
    values: &'a [i64],
    /// By dimension, by plain class: its need as a share of the capacity.
    needs: Vec<Vec<f64>>,
    /// By plain class.
    worth: Vec<f64>,
    most: Vec<f64>,
    gains: Vec<f64>,
}

impl<'a> Sketch<'a> {
    fn new(carrier: &'a Carrier, folded: &'a Folded, values: &'a [i64]) -> Self {
        let valued = || carrier.plain.iter().filter(|load| values[load.class as usize] > 0);
        let need = |load: &Load, d: usize| {
            let capacity = carrier.capacity.0[d];
            // Without capacity only classes that need nothing of it are in the list.
            if capacity > 0 {
                as_float(folded.classes[load.class as usize].need.0[d]) / as_float(capacity)
            } else {
                0.0
            }
        };
        let worth: Vec<f64> = valued().map(|load| as_signed(values[load.class as usize])).collect();
        Self {
            carrier,
            folded,
            values,
            needs: (0..folded.dimensions)
                .map(|d| valued().map(|load| need(load, d)).collect())
                .collect(),
            most: valued().map(|load| f64::from(load.most)).collect(),
            gains: vec![0.0; worth.len()],
            worth,
        }
    }

    /// The bound under given prices of the whole capacity, and the share of each dimension that its best load would use.
    fn evaluate(&mut self, whole: &[f64; DIMENSIONS_MAX]) -> (f64, [f64; DIMENSIONS_MAX]) {
        let dimensions = self.folded.dimensions;
        let mut used = [0.0; DIMENSIONS_MAX];
        let mut upper: f64 = whole[..dimensions].iter().sum();
        self.gains.copy_from_slice(&self.worth);
        for (price, needs) in whole.iter().zip(&self.needs) {
            self.gains
                .iter_mut()
                .zip(needs)
                .for_each(|(gain, need)| *gain -= price * need);
        }
        upper += sum_of(&self.gains, &self.most, |gain, most| gain.max(0.0) * most);
        // From here on copies taken.
        self.gains
            .iter_mut()
            .zip(&self.most)
            .for_each(|(gain, most)| *gain = if *gain > 0.0 { *most } else { 0.0 });
        for (used, needs) in used.iter_mut().zip(&self.needs) {
            *used = sum_of(&self.gains, needs, |copies, need| copies * need);
        }
        let carrier = self.carrier;
        if carrier.devices > 0 {
            let lambda = carrier.unit_prices(whole, dimensions);
            let devices = DeviceValues::new(carrier, self.folded, self.values, lambda);
            upper += as_signed(devices.total());
            let mut amounts = [0.0; DIMENSIONS_MAX];
            devices.add_uses(carrier, self.folded, &mut amounts);
            for d in (0..dimensions).filter(|d| carrier.capacity.0[*d] > 0) {
                used[d] += amounts[d] / as_float(carrier.capacity.0[d]);
            }
        }
        (upper, used)
    }
}

/// A sum over pairs in eight parallel parts, which processors add faster than one.
fn sum_of(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut parts = [0.0; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_parts
        .remainder()
        .iter()
        .zip(b_parts.remainder())
        .map(|(x, y)| term(*x, *y))
        .sum();
    for (x, y) in a_parts.zip(b_parts) {
        for (part, (x, y)) in parts.iter_mut().zip(x.iter().zip(y)) {
            *part += term(*x, *y);
        }
    }
    rest + parts.iter().sum::<f64>()
}

/// Adds what copies of a need take.
pub(super) fn add_use(used: &mut [f64; DIMENSIONS_MAX], need: &Amounts, copies: f64, dimensions: usize) {
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
