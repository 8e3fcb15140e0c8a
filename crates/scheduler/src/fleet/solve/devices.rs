//! What the devices of a machine can add under given resource prices: a knapsack over devices that respects how many
//! copies there are.
//!
//! Whole-device classes of one size compete, so only the best copies of each size count. Shares are bounded twice: each
//! device by its best fill with copies without end, and all together by what the copies there are come to if shares could
//! straddle devices. Choosing prices is `carrier`'s.

use crate::fleet::folded::Folded;
use crate::fleet::problem::{DEVICE_MILLI, DIMENSIONS_MAX, Devices};

use super::carrier::{Carrier, Lambda, Load, add_use, as_float, whole_devices};

/// The most that devices can add, and how.
#[derive(Debug)]
pub(super) struct DeviceValues {
    /// The best that one device can add, copies without end.
    pub(super) best_of_one: i64,
    /// Best value by cells of one device, and the share (position in `shares`) that ends it.
    pub(super) cells: Vec<(i64, Option<usize>)>,
    /// By number of devices: the most that shares can add, whether that is by pooled copies.
    shares: Vec<(i64, bool)>,
    /// Shares by what they add per cell, falling: cells, gain, position.
    pooled: Vec<(u64, i64, usize)>,
    sizes: Vec<Size>,
    /// By number of devices.
    best: Vec<i64>,
    /// The most that devices can add, copies without end.
    pub(super) endless: i64,
}

/// Whole-device classes of one size.
#[derive(Debug)]
struct Size {
    takes: usize,
    /// Positions in `whole` of the best copies, falling by gain.
    at: Vec<usize>,
    /// Their gains, added up from none on.
    sums: Vec<i64>,
    /// By number of devices, how many of them are taken.
    taken: Vec<usize>,
}

impl DeviceValues {
    pub(super) fn new(carrier: &Carrier, folded: &Folded, values: &[i64], lambda: Lambda) -> Self {
        let gain = |load: &Load| {
            let need = &folded.classes[load.class as usize].need;
            values[load.class as usize].saturating_sub(lambda.cost_down(need, folded.dimensions))
        };
        let devices = carrier.devices as usize;
        let cells = carrier.cells(folded, gain);
        let fill = cells.last().map_or(0, |(value, _)| *value);
        let pooled = pooled(carrier, folded, gain);
        let shares: Vec<(i64, bool)> = (0..=devices)
            .map(|count| {
                let fills = fill.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
                let all = pool(&pooled, carrier, count);
                (fills.min(all), all < fills)
            })
            .collect();
        let mut whole: Vec<(usize, i64, usize)> = carrier
            .whole
            .iter()
            .enumerate()
            .map(|(at, load)| {
                (
                    whole_devices(folded.classes[load.class as usize].devices) as usize,
                    gain(load),
                    at,
                )
            })
            .filter(|(takes, gain, _)| *gain > 0 && *takes <= devices)
            .collect();
        whole.sort_unstable_by_key(|(takes, gain, at)| (*takes, std::cmp::Reverse(*gain), *at));
        let mut best: Vec<i64> = shares.iter().map(|(value, _)| *value).collect();
        let mut best_of_one = fill;
        let mut sizes = Vec::new();
        for group in whole.chunk_by(|a, b| a.0 == b.0) {
            let (takes, gain, _) = group[0];
            if takes == 1 {
                best_of_one = best_of_one.max(gain);
            }
            sizes.push(Size::new(group, carrier, devices, &mut best));
        }
        let endless = endlessly(&whole, best_of_one, devices);
        Self {
            best_of_one,
            cells,
            shares,
            pooled,
            sizes,
            best,
            endless,
        }
    }

    /// The most that all devices add.
    pub(super) fn total(&self) -> i64 {
        self.best.last().copied().unwrap_or(0)
    }

    /// The most by number of devices.
    pub(super) fn by_devices(self) -> Vec<i64> {
        self.best
    }

    /// The most that shares add, by number of devices.
    pub(super) fn shares_by_devices(&self) -> Vec<i64> {
        self.shares.iter().map(|(value, _)| *value).collect()
    }

    /// Adds what the best use of all devices takes of each dimension.
    pub(super) fn add_uses(&self, carrier: &Carrier, folded: &Folded, used: &mut [f64; DIMENSIONS_MAX]) {
        let mut left = carrier.devices as usize;
        for size in self.sizes.iter().rev() {
            let taken = size.taken[left];
            for at in &size.at[..taken] {
                let need = &folded.classes[carrier.whole[*at].class as usize].need;
                add_use(used, need, 1.0, folded.dimensions);
            }
            left -= taken * size.takes;
        }
        if self.shares[left].1 {
            let mut cells = (left as u64) * u64::from(DEVICE_MILLI / carrier.step);
            for (takes, _, at) in &self.pooled {
                let load = &carrier.shares[*at];
                let taken = cells.min(takes * u64::from(load.most));
                let need = &folded.classes[load.class as usize].need;
                add_use(used, need, as_float(taken) / as_float(*takes), folded.dimensions);
                cells -= taken;
            }
            return;
        }
        let mut cell = self.cells.len() - 1;
        while let (_, Some(at)) = self.cells[cell] {
            let class = &folded.classes[carrier.shares[at].class as usize];
            add_use(used, &class.need, as_float(left as u64), folded.dimensions);
            cell -= carrier.cells_of(class.devices);
        }
    }
}

impl Size {
    /// The best copies of a size (`group`: takes, gain and position, gains falling); raises what devices add by them.
    fn new(group: &[(usize, i64, usize)], carrier: &Carrier, devices: usize, best: &mut Vec<i64>) -> Self {
        let takes = group[0].0;
        let most = devices / takes;
        let mut size = Self {
            takes,
            at: Vec::with_capacity(most),
            sums: vec![0],
            taken: vec![0; devices + 1],
        };
        let mut sum = 0i64;
        for (_, gain, at) in group {
            for _ in 0..carrier.whole[*at].most {
                if size.at.len() == most {
                    break;
                }
                sum = sum.saturating_add(*gain);
                size.at.push(*at);
                size.sums.push(sum);
            }
            if size.at.len() == most {
                break;
            }
        }
        let before = best.clone();
        for (count, best) in best.iter_mut().enumerate() {
            for (copies, sum) in size.sums.iter().enumerate().take(count / takes + 1) {
                let with = before[count - copies * takes].saturating_add(*sum);
                if with > *best {
                    (*best, size.taken[count]) = (with, copies);
                }
            }
        }
        size
    }
}

/// The most that devices can add when copies are without end.
fn endlessly(whole: &[(usize, i64, usize)], best_of_one: i64, devices: usize) -> i64 {
    let mut best = vec![0i64];
    for count in 1..=devices {
        let mut here = best[count - 1].saturating_add(best_of_one);
        for group in whole.chunk_by(|a, b| a.0 == b.0) {
            let (takes, gain, _) = group[0];
            if takes <= count {
                here = here.max(best[count - takes].saturating_add(gain));
            }
        }
        best.push(here);
    }
    best[devices]
}

/// Shares that add something, by what they add per cell, falling.
fn pooled(carrier: &Carrier, folded: &Folded, gain: impl Fn(&Load) -> i64) -> Vec<(u64, i64, usize)> {
    let share = |(at, load): (usize, &Load)| {
        (
            carrier.cells_of(folded.classes[load.class as usize].devices) as u64,
            gain(load),
            at,
        )
    };
    let mut pooled: Vec<(u64, i64, usize)> = carrier
        .shares
        .iter()
        .enumerate()
        .map(share)
        .filter(|(_, gain, _)| *gain > 0)
        .collect();
    let per = |gain: i64, cells: u64| i128::from(gain) * i128::from(cells);
    pooled.sort_unstable_by(|a, b| per(b.1, a.0).cmp(&per(a.1, b.0)).then(a.2.cmp(&b.2)));
    pooled
}

/// The most that shares add on so many devices if they may straddle them, rounded up.
fn pool(pooled: &[(u64, i64, usize)], carrier: &Carrier, devices: usize) -> i64 {
    let mut cells = (devices as u64) * u64::from(DEVICE_MILLI / carrier.step);
    let mut sum = 0i128;
    for (takes, gain, at) in pooled {
        let taken = cells.min(takes * u64::from(carrier.shares[*at].most));
        let all = i128::from(*gain) * i128::from(taken);
        sum += (all + i128::from(*takes) - 1) / i128::from((*takes).max(1));
        cells -= taken;
        if cells == 0 {
            break;
        }
    }
    i64::try_from(sum).unwrap_or(i64::MAX)
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
