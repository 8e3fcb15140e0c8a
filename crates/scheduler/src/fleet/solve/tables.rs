//! Knapsack tables over what is left of a machine: exact in one dimension and in devices, the other dimensions priced.
//!
//! A table entry is the most that a remainder can still add, so that value so far plus entry plus the priced rest bounds
//! every way to go on. Entries are small integers, rounded up. Going down the search is `search`'s.

use crate::fleet::folded::Folded;
use crate::fleet::problem::{Amounts, DEVICE_MILLI};

use super::carrier::{Bound, Carrier, Lambda, Load, whole_devices};

/// Cells of all rows of the plain table at most.
const TABLE_CELLS_MAX: usize = 6_000_000;
/// Steps of the main dimension at most.
const STEPS_MAX: usize = 1536;
/// The same on machines with devices, whose tables have a further dimension.
const STEPS_WITH_DEVICES_MAX: usize = 800;
/// Table entries are below this, so that sums of two stay inside their integer.
const ENTRY_MAX: i64 = 1 << 29;

/// A class without devices that may be in a load above the threshold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub(super) class: u32,
    pub(super) most: u32,
    pub(super) need: Amounts,
    pub(super) value: i64,
}

/// The tables of one machine, or of what is left of one.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) dimensions: usize,
    /// Prices of all dimensions but the main one.
    others: Lambda,
    main: usize,
    unit: u64,
    divisor: i64,
    width: usize,
    /// By plain item, by steps left: the most that items from this one on can add.
    suffix: Vec<i32>,
    /// By devices left, by steps left: the most that devices and all plain items can add.
    devices: Vec<i32>,
    /// By cells of one device left, by steps left: the most that shares can add on that device; empty without shares.
    cells: Vec<i32>,
    /// By cells of one device left, by steps left: the same with all further devices and plain items; made when asked.
    with_cells: Vec<i32>,
}

impl Tables {
    /// Tables over plain items (in the order of their rows), shares, and classes on one whole device.
    pub(super) fn new(
        carrier: &Carrier,
        folded: &Folded,
        values: &[i64],
        bound: &Bound,
        plain: &[Plain],
        main: usize,
    ) -> Self {
        let needs = plain.iter().map(|item| &item.need);
        let others = carrier
            .shares
            .iter()
            .chain(&carrier.whole)
            .map(|l| &folded.classes[l.class as usize].need);
        let steps_max = if carrier.devices > 0 {
            STEPS_WITH_DEVICES_MAX
        } else {
            STEPS_MAX
        };
        let steps = (TABLE_CELLS_MAX / (plain.len() + 1)).clamp(64, steps_max);
        let unit = unit_of(carrier.capacity.0[main], needs.chain(others), main, steps);
        let mut tables = Self {
            dimensions: folded.dimensions,
            others: bound.lambda.without(main),
            main,
            unit,
            divisor: (bound.upper.max(1) / ENTRY_MAX).saturating_mul(2) + 1,
            width: usize::try_from(carrier.capacity.0[main] / unit).unwrap_or(0) + 1,
            suffix: Vec::new(),
            devices: Vec::new(),
            cells: Vec::new(),
            with_cells: Vec::new(),
        };
        tables.suffix = tables.plain_table(plain);
        tables.devices = tables.suffix[..tables.width].to_vec();
        if carrier.devices > 0 {
            let one = tables.one_device(carrier, folded, values);
            let several = tables.several(carrier, folded, values);
            tables.device_table(&one, &several, carrier.devices);
        }
        tables
    }

    /// What may still come of a partial load worth `value` when so many devices are empty.
    pub(super) fn with_devices(&self, devices: u32, left: &Amounts, value: i64) -> i64 {
        self.reach(&self.devices, devices as usize, left, value)
    }

    /// The same when only plain items from `row` on follow.
    pub(super) fn with_plain(&self, row: usize, left: &Amounts, value: i64) -> i64 {
        self.reach(&self.suffix, row, left, value)
    }

    /// The same when so many cells of a device that is being filled are left, and all further devices.
    pub(super) fn with_cells(&self, cells: usize, left: &Amounts, value: i64) -> i64 {
        self.reach(&self.with_cells, cells, left, value)
    }

    /// Makes the table behind [`Tables::with_cells`], for one device being filled with `devices` further ones empty.
    pub(super) fn prepare_cells(&mut self, devices: u32) {
        let width = self.width;
        let further = self.devices[devices as usize * width..(devices as usize + 1) * width].to_vec();
        let mut with_cells = Vec::with_capacity(self.cells.len());
        for row in self.cells.chunks(width) {
            with_cells.extend(combined(&edges(row), &further));
        }
        self.with_cells = with_cells;
    }

    fn reach(&self, table: &[i32], row: usize, left: &Amounts, value: i64) -> i64 {
        let steps = usize::try_from(left.0[self.main] / self.unit)
            .unwrap_or(0)
            .min(self.width - 1);
        let more = i64::from(table[row * self.width + steps]) * self.divisor;
        value + more + self.others.cost_up(left, self.dimensions)
    }

    /// What an item adds to a table: its value with the other dimensions priced, rounded up; and its steps.
    fn entry(&self, value: i64, need: &Amounts) -> (i32, usize) {
        let net = value.saturating_sub(self.others.cost_down(need, self.dimensions));
        let entry = net.div_euclid(self.divisor) + i64::from(net.rem_euclid(self.divisor) > 0);
        let entry = i32::try_from(entry.clamp(-ENTRY_MAX, ENTRY_MAX)).unwrap_or(0);
        (
            entry,
            usize::try_from(need.0[self.main] / self.unit).unwrap_or(usize::MAX),
        )
    }

    fn plain_table(&self, plain: &[Plain]) -> Vec<i32> {
        let width = self.width;
        let mut table = vec![0i32; (plain.len() + 1) * width];
        for (at, item) in plain.iter().enumerate().rev() {
            let (head, tail) = table.split_at_mut((at + 1) * width);
            let row = &mut head[at * width..];
            row.copy_from_slice(&tail[..width]);
            let (entry, steps) = self.entry(item.value, &item.need);
            if entry > 0 {
                add_copies(row, entry, steps, item.most);
            }
        }
        table
    }

    /// Fills `cells`, and gives the best of one device by steps.
    fn one_device(&mut self, carrier: &Carrier, folded: &Folded, values: &[i64]) -> Vec<i32> {
        let width = self.width;
        let entry = |load: &Load| self.entry(values[load.class as usize], &folded.classes[load.class as usize].need);
        let shares: Vec<(usize, i32, usize)> = carrier
            .shares
            .iter()
            .map(|load| {
                let (entry, steps) = entry(load);
                (
                    carrier.cells_of(folded.classes[load.class as usize].devices),
                    entry,
                    steps,
                )
            })
            .filter(|(_, entry, steps)| *entry > 0 && *steps < width)
            .collect();
        let mut best = vec![0i32; width];
        if !carrier.shares.is_empty() {
            let count = (DEVICE_MILLI / carrier.step) as usize;
            let mut cells = vec![0i32; (count + 1) * width];
            let shares = undominated(shares);
            for cell in 1..=count {
                let (done, row) = cells.split_at_mut(cell * width);
                let row = &mut row[..width];
                row.copy_from_slice(&done[(cell - 1) * width..]);
                for (takes, entry, steps) in shares.iter().filter(|(takes, _, _)| *takes <= cell) {
                    let from = &done[(cell - takes) * width..(cell - takes + 1) * width];
                    raise(&mut row[*steps..], from, *entry);
                }
            }
            best.copy_from_slice(&cells[count * width..]);
            self.cells = cells;
        }
        for load in carrier
            .whole
            .iter()
            .filter(|l| whole_devices(folded.classes[l.class as usize].devices) == 1)
        {
            let (entry, steps) = self.entry(values[load.class as usize], &folded.classes[load.class as usize].need);
            if steps < width {
                best[steps..].iter_mut().for_each(|cell| *cell = (*cell).max(entry));
            }
        }
        best
    }

    /// Classes on several devices: devices, entry, steps.
    fn several(&self, carrier: &Carrier, folded: &Folded, values: &[i64]) -> Vec<(usize, i32, usize)> {
        let several = carrier.whole.iter().map(|load| {
            let class = &folded.classes[load.class as usize];
            let (entry, steps) = self.entry(values[load.class as usize], &class.need);
            (whole_devices(class.devices) as usize, entry, steps)
        });
        undominated(
            several
                .filter(|(takes, entry, steps)| *takes > 1 && *entry > 0 && *steps < self.width)
                .collect(),
        )
    }

    fn device_table(&mut self, one: &[i32], several: &[(usize, i32, usize)], devices: u32) {
        let (edges, width) = (edges(one), self.width);
        for count in 1..=devices as usize {
            let mut row = combined(&edges, &self.devices[(count - 1) * width..]);
            for (takes, entry, steps) in several.iter().filter(|(takes, _, _)| *takes <= count) {
                let from = &self.devices[(count - takes) * width..(count - takes + 1) * width];
                raise(&mut row[*steps..], from, *entry);
            }
            self.devices.extend(row);
        }
    }
}

/// Where a rising row rises, with its value there.
fn edges(row: &[i32]) -> Vec<(usize, i32)> {
    let mut last = 0;
    let rises = row.iter().enumerate().filter(|(_, value)| {
        let rises = **value > last;
        last = last.max(**value);
        rises
    });
    rises.map(|(at, value)| (at, *value)).collect()
}

/// The best of one row's step (or none) with the rest in another, by steps.
fn combined(edges: &[(usize, i32)], rest: &[i32]) -> Vec<i32> {
    let mut best = rest.to_vec();
    for (steps, value) in edges {
        raise(&mut best[*steps..], rest, *value);
    }
    best
}

fn raise(target: &mut [i32], from: &[i32], entry: i32) {
    target.iter_mut().zip(from).for_each(|(t, f)| *t = (*t).max(f + entry));
}

/// Adds up to `most` copies of an item to a row: `row[c]` becomes the best with at most `c` steps.
fn add_copies(row: &mut [i32], entry: i32, steps: usize, most: u32) {
    let held = |copies: u32| i32::try_from((i64::from(entry) * i64::from(copies)).min(ENTRY_MAX)).unwrap_or(i32::MAX);
    if steps == 0 {
        let all = held(most);
        row.iter_mut().for_each(|cell| *cell = cell.saturating_add(all));
        return;
    }
    let mut left = most.min(u32::try_from(row.len() / steps).unwrap_or(u32::MAX));
    let mut chunk = 1u32;
    while left > 0 {
        let copies = chunk.min(left);
        left -= copies;
        chunk = chunk.saturating_mul(2);
        let taken = steps * copies as usize;
        let gain = held(copies);
        for cell in (taken..row.len()).rev() {
            row[cell] = row[cell].max(row[cell - taken].saturating_add(gain));
        }
    }
}

/// Shares that no other of as few cells and steps is worth more than.
fn undominated(mut shares: Vec<(usize, i32, usize)>) -> Vec<(usize, i32, usize)> {
    shares.sort_unstable_by_key(|(takes, entry, steps)| (*takes, *steps, std::cmp::Reverse(*entry)));
    let mut kept: Vec<(usize, i32, usize)> = Vec::new();
    for share in shares {
        if !kept.iter().any(|k| k.0 <= share.0 && k.2 <= share.2 && k.1 >= share.1) {
            kept.push(share);
        }
    }
    kept
}

/// The step of the main dimension in which needs lose least by rounding down, of those that give at most `steps` steps.
fn unit_of<'a>(capacity: u64, needs: impl Iterator<Item = &'a Amounts>, main: usize, steps: usize) -> u64 {
    let least = capacity.div_ceil(steps as u64).max(1);
    let needs: Vec<u64> = needs
        .map(|need| need.0[main])
        .filter(|need| *need > 0)
        .take(512)
        .collect();
    let common = needs.iter().fold(0, |a, b| gcd(a, *b));
    if common >= least {
        return common;
    }
    let stride = (least / 64).max(1);
    let lost = |unit: u64| -> u64 { needs.iter().map(|need| (need % unit) * 1024 / need).sum() };
    (0..64)
        .map(|k| least + k * stride)
        .min_by_key(|unit| (lost(*unit), *unit))
        .unwrap_or(least)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
