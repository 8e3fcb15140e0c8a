//! What can stand on one device: a class that takes it whole, or a fill of shares.
//!
//! Of the many fills only those are made that can still be part of a load above the threshold, by tables that are exact
//! in the main dimension. Combining them is `search`'s.

use crate::fleet::folded::Folded;
use crate::fleet::problem::{Amounts, DEVICE_MILLI};

use super::carrier::{Bound, Carrier};
use super::tables::Tables;

/// Fills made at most for one search; where there are more, the search is not complete.
const FILLS_MAX: usize = 4000;
/// Partial fills looked at, at most.
const PARTIAL_MAX: u32 = 200_000;

/// Something that takes one whole device.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) need: Amounts,
    /// In billionths of a dollar.
    pub(super) value: i64,
    /// What it loses against the best on one device, under the bound's prices.
    pub(super) loss: i64,
    /// Class, copies, and the most copies of the class on the machine.
    pub(super) items: Vec<(u32, u32, u32)>,
}

/// Blocks in the order in which they are tried: those that lose least first.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) list: Vec<Block>,
    /// Whether no block that may be in a load above the threshold is missing.
    pub(super) complete: bool,
}

struct Share {
    cells: usize,
    value: i64,
    class: u32,
    most: u32,
    need: Amounts,
}

struct Filling<'a> {
    bound: &'a Bound,
    tables: &'a Tables,
    devices: u32,
    shares: Vec<Share>,
    threshold: i64,
    partial: u32,
    items: Vec<(u32, u32, u32)>,
    list: Vec<Block>,
}

impl Blocks {
    /// The blocks of a machine that may be in a load worth more than `threshold`.
    pub(super) fn new(
        carrier: &Carrier,
        folded: &Folded,
        values: &[i64],
        bound: &Bound,
        tables: &mut Tables,
        threshold: i64,
    ) -> Self {
        let mut blocks = Self {
            list: Vec::new(),
            complete: true,
        };
        if carrier.devices == 0 {
            return blocks;
        }
        let dimensions = folded.dimensions;
        for load in &carrier.whole {
            let (need, value) = (folded.classes[load.class as usize].need, values[load.class as usize]);
            let left = minus(&carrier.capacity, &need, dimensions);
            let reach = tables.with_devices(carrier.devices - 1, &left, value);
            if reach > threshold {
                blocks.list.push(Block {
                    need,
                    value,
                    loss: bound.loss_on_device(value, &need, dimensions),
                    items: vec![(load.class, 1, load.most)],
                });
            }
        }
        if !carrier.shares.is_empty() {
            tables.prepare_cells(carrier.devices - 1);
            let mut filling = Filling::new(carrier, folded, values, (bound, tables), threshold);
            let cells = (DEVICE_MILLI / carrier.step) as usize;
            blocks.complete = filling.fill(0, cells, 0, Amounts::default(), carrier.capacity);
            blocks.list.append(&mut filling.list);
        }
        blocks.list.sort_by(|a, b| (a.loss, &a.items).cmp(&(b.loss, &b.items)));
        blocks
    }
}

impl<'a> Filling<'a> {
    fn new(carrier: &Carrier, folded: &Folded, values: &[i64], by: (&'a Bound, &'a Tables), threshold: i64) -> Self {
        let mut shares: Vec<Share> = carrier
            .shares
            .iter()
            .map(|load| {
                let class = &folded.classes[load.class as usize];
                Share {
                    cells: carrier.cells_of(class.devices),
                    value: values[load.class as usize],
                    class: load.class,
                    most: load.most,
                    need: class.need,
                }
            })
            .filter(|share| share.value > 0)
            .collect();
        shares.sort_by_key(|share| (std::cmp::Reverse(share.cells), share.class));
        Self {
            bound: by.0,
            tables: by.1,
            devices: carrier.devices,
            shares,
            threshold,
            partial: 0,
            items: Vec::new(),
            list: Vec::new(),
        }
    }

    /// Makes every promising fill from this share on; false when they are too many.
    fn fill(&mut self, from: usize, cells: usize, value: i64, need: Amounts, left: Amounts) -> bool {
        if !self.items.is_empty() {
            let reach = self.tables.with_devices(self.devices - 1, &left, value);
            if reach > self.threshold {
                if self.list.len() >= FILLS_MAX {
                    return false;
                }
                self.list.push(Block {
                    need,
                    value,
                    loss: self.bound.loss_on_device(value, &need, self.tables.dimensions),
                    items: self.items.clone(),
                });
            }
        }
        for at in from..self.shares.len() {
            let share = &self.shares[at];
            let dimensions = self.tables.dimensions;
            if share.cells > cells || !fits(&share.need, &left, dimensions) {
                continue;
            }
            let (next, rest) = (value + share.value, minus(&left, &share.need, dimensions));
            if self.tables.with_cells(cells - share.cells, &rest, next) <= self.threshold {
                continue;
            }
            self.partial += 1;
            if self.partial > PARTIAL_MAX {
                return false;
            }
            let (class, most, taken, own) = (share.class, share.most, share.cells, share.need);
            if !self.push(class, most) {
                continue;
            }
            let sum = plus(&need, &own, dimensions);
            let done = self.fill(at, cells - taken, next, sum, rest);
            self.pop();
            if !done {
                return false;
            }
        }
        true
    }

    fn push(&mut self, class: u32, most: u32) -> bool {
        match self.items.last_mut().filter(|last| last.0 == class) {
            Some(last) if last.1 >= most => return false,
            Some(last) => last.1 += 1,
            None => self.items.push((class, 1, most)),
        }
        true
    }

    fn pop(&mut self) {
        if let Some(last) = self.items.last_mut() {
            last.1 -= 1;
            if last.1 == 0 {
                self.items.pop();
            }
        }
    }
}

/// Whether a need fits into what is left.
pub(super) fn fits(need: &Amounts, left: &Amounts, dimensions: usize) -> bool {
    (0..dimensions).all(|d| need.0[d] <= left.0[d])
}

/// What is left beside a need that fits.
pub(super) fn minus(left: &Amounts, need: &Amounts, dimensions: usize) -> Amounts {
    let mut rest = *left;
    (0..dimensions).for_each(|d| rest.0[d] -= need.0[d]);
    rest
}

fn plus(a: &Amounts, b: &Amounts, dimensions: usize) -> Amounts {
    let mut sum = *a;
    (0..dimensions).for_each(|d| sum.0[d] += b.0[d]);
    sum
}
