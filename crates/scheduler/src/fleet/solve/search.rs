//! The most valuable load of one machine: exact depth-first search within what a bound leaves open.
//!
//! Given resource prices `λ` and a bound from `carrier`, any load worth more than the threshold may lose at most
//! `bound - threshold` against it, which leaves few candidates. What a partial load can still gain is bounded by `tables`.
//! All integers, rounded outwards.

use crate::fleet::folded::{Folded, Pattern};
use crate::fleet::problem::{Amounts, DIMENSIONS_MAX};

use super::blocks::{Block, Blocks, fits, minus};
use super::carrier::{Bound, Carrier, Load, whole_devices};
use super::greedy::fill;
use super::tables::{Plain, Tables};

/// Loads kept of one search.
const KEPT: usize = 4;

/// A load with its value in billionths of a dollar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: i64,
    pub(super) pattern: Pattern,
}

/// What a search says of a shape.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// No load is worth more.
    pub(super) upper: i64,
    /// Loads above the threshold, the best first.
    pub(super) found: Vec<Found>,
    /// Partial loads looked at.
    pub(super) nodes: u64,
    /// Whether every load above the threshold was seen or excluded.
    pub(super) complete: bool,
}

/// A search of a machine without classes on several devices.
struct Descent<'a> {
    folded: &'a Folded,
    bound: Bound,
    /// What plain items add to the bound.
    plain_part: i64,
    tables: Tables,
    plain: Vec<Plain>,
    blocks: Vec<Block>,
    threshold: i64,
    nodes: u64,
    nodes_max: u64,
    chosen: Vec<(u32, u32)>,
    placed: Vec<u32>,
    found: Vec<Found>,
    shape: usize,
}

/// Looks for loads of a shape that are worth more than `threshold`, in at most so many partial loads.
///
/// Classes on several devices are branched on first, with prices fitted to each branch: one price for all branches would
/// leave a gap of some percent.
pub(super) fn search(
    carrier: &Carrier,
    folded: &Folded,
    values: &[i64],
    bound: &Bound,
    threshold: i64,
    nodes_max: u64,
) -> Outcome {
    let mut hunt = Hunt {
        folded,
        values,
        threshold,
        nodes: 0,
        nodes_max,
        open: i64::MIN,
        found: Vec::new(),
    };
    if let Some(found) = fill(carrier, folded, values).filter(|found| found.value > threshold) {
        hunt.threshold = found.value;
        hunt.found.push(found);
    }
    let margin = bound.upper.saturating_sub(hunt.threshold).max(0);
    let mut root = carrier.within(folded, values, bound, margin);
    root.whole.sort_by_key(|load| std::cmp::Reverse(whole_devices(folded.classes[load.class as usize].devices)));
    let start = bound.lambda.of_capacity(&root.capacity, folded.dimensions);
    hunt.branch(&root, &mut Vec::new(), 0, start);
    let best = hunt.found.first().map_or(threshold, |f| f.value);
    Outcome {
        upper: best.max(hunt.open).min(bound.upper),
        nodes: hunt.nodes,
        complete: hunt.open == i64::MIN,
        found: hunt.found,
    }
}

/// A search over what stands on several devices.
struct Hunt<'a> {
    folded: &'a Folded,
    values: &'a [i64],
    /// Rises with what is found.
    threshold: i64,
    nodes: u64,
    nodes_max: u64,
    /// The most that a part which was not searched to its end may be worth.
    open: i64,
    found: Vec<Found>,
}

impl Hunt<'_> {
    /// Searches what is left of a machine beside `base`, which is worth `value`.
    fn branch(&mut self, rest: &Carrier, base: &mut Vec<(u32, u32)>, value: i64, start: [f64; DIMENSIONS_MAX]) {
        let several = rest
            .whole
            .iter()
            .take_while(|load| whole_devices(self.folded.classes[load.class as usize].devices) > 1)
            .count();
        for at in 0..several {
            if self.nodes >= self.nodes_max {
                // What the children may be worth is bounded by this node's own bound.
                let mut from = start;
                let bound = rest.tighten(self.folded, self.values, &mut from, self.threshold - value, 8);
                self.open = self.open.max(value.saturating_add(bound.upper));
                break;
            }
            let Some(child) = rest.beside(self.folded, at) else { continue };
            let class = rest.whole[at].class;
            let with = value + self.values[class as usize];
            let mut from = rest.rescaled(&start, &child.capacity, self.folded.dimensions);
            let bound = child.tighten(self.folded, self.values, &mut from, self.threshold - with, 16);
            self.nodes += 20;
            if bound.upper.saturating_add(with) > self.threshold {
                base.push((class, 1));
                self.branch(&child, base, with, from);
                base.pop();
            }
        }
        let mut leaf = rest.clone();
        leaf.whole.drain(..several);
        self.leaf(&leaf, base, value, start);
    }

    fn leaf(&mut self, leaf: &Carrier, base: &[(u32, u32)], value: i64, mut start: [f64; DIMENSIONS_MAX]) {
        let bound = leaf.tighten(self.folded, self.values, &mut start, self.threshold - value, 24);
        self.nodes += 20;
        if bound.upper.saturating_add(value) <= self.threshold {
            return;
        }
        if self.nodes >= self.nodes_max {
            self.open = self.open.max(bound.upper.saturating_add(value));
            return;
        }
        let threshold = self.threshold - value;
        let nodes_max = self.nodes_max - self.nodes;
        let outcome = Descent::run(leaf, self.folded, self.values, &bound, threshold, nodes_max);
        self.nodes += outcome.nodes;
        if !outcome.complete {
            self.open = self.open.max(outcome.upper.saturating_add(value));
        }
        for mut found in outcome.found.into_iter().rev() {
            found.value += value;
            found.pattern.items = merged(base.iter().chain(&found.pattern.items).copied().collect());
            self.threshold = self.threshold.max(found.value);
            self.found.insert(0, found);
        }
        self.found.sort_by_key(|found| std::cmp::Reverse(found.value));
        self.found.truncate(KEPT);
    }
}

/// Copies of equal classes added up, classes rising.
pub(super) fn merged(mut items: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    items.sort_unstable();
    items.dedup_by(|b, a| {
        let same = a.0 == b.0;
        if same {
            a.1 += b.1;
        }
        same
    });
    items
}

impl<'a> Descent<'a> {
    fn run(
        carrier: &Carrier,
        folded: &'a Folded,
        values: &[i64],
        bound: &Bound,
        threshold: i64,
        nodes_max: u64,
    ) -> Outcome {
        let margin = bound.upper.saturating_sub(threshold).max(0);
        let main = bound.lambda.main_dimension(&carrier.capacity, folded.dimensions);
        let mut plain = candidates(carrier, folded, values, bound, margin);
        plain.sort_by_key(|item| (std::cmp::Reverse(item.need.0[main]), item.class));
        let mut tables = Tables::new(carrier, folded, values, bound, &plain, main);
        let root = tables.with_devices(carrier.devices, &carrier.capacity, 0);
        let mut outcome = Outcome {
            upper: threshold,
            nodes: 0,
            complete: true,
            found: Vec::new(),
        };
        if root <= threshold {
            return outcome;
        }
        let blocks = Blocks::new(carrier, folded, values, bound, &mut tables, threshold);
        let mut descent = Descent {
            folded,
            bound: *bound,
            plain_part: bound.plain_part(&carrier.capacity, carrier.devices, folded.dimensions),
            tables,
            plain,
            blocks: blocks.list,
            threshold,
            nodes: 0,
            nodes_max,
            chosen: Vec::new(),
            placed: vec![0; folded.classes.len()],
            found: Vec::new(),
            shape: carrier.shape,
        };
        descent.with_devices(0, carrier.devices, carrier.capacity, 0);
        outcome.complete = blocks.complete && descent.nodes < descent.nodes_max;
        outcome.nodes = descent.nodes;
        outcome.found = descent.found;
        outcome.upper = if outcome.complete {
            outcome.found.first().map_or(threshold, |f| f.value)
        } else {
            bound.upper.min(root)
        };
        outcome
    }
}

/// Classes without devices that lose no more than the margin, with the copies that stay within it.
fn candidates(carrier: &Carrier, folded: &Folded, values: &[i64], bound: &Bound, margin: i64) -> Vec<Plain> {
    let keep = |load: &Load| {
        let need = folded.classes[load.class as usize].need;
        let value = values[load.class as usize];
        let loss = bound.lambda.cost_down(&need, folded.dimensions).saturating_sub(value);
        if value <= 0 || loss > margin {
            return None;
        }
        let within = if loss > 0 { margin / loss } else { i64::MAX };
        Some(Plain {
            class: load.class,
            most: load.most.min(u32::try_from(within).unwrap_or(u32::MAX)),
            need,
            value,
        })
    };
    carrier.plain.iter().filter_map(keep).collect()
}

impl Descent<'_> {
    fn exhausted(&mut self) -> bool {
        self.nodes += 1;
        self.nodes >= self.nodes_max
    }

    /// Fills devices, blocks in rising order, then what needs none.
    ///
    /// Blocks are sorted by loss, so all devices filled from here on lose at least as much as the next block each.
    fn with_devices(&mut self, from: usize, devices: u32, left: Amounts, value: i64) {
        let dimensions = self.folded.dimensions;
        let per_device = self.bound.per_device;
        let priced = self.bound.lambda.cost_up(&left, dimensions) + per_device * i64::from(devices);
        let reach = value.saturating_add(priced).saturating_add(self.plain_part);
        for at in if devices > 0 { from..self.blocks.len() } else { 0..0 } {
            let loss = self.blocks[at].loss.min(per_device) * i64::from(devices);
            if reach - loss <= self.threshold {
                break;
            }
            let block = &self.blocks[at];
            if !fits(&block.need, &left, dimensions) {
                continue;
            }
            let rest = minus(&left, &block.need, dimensions);
            let next = value + block.value;
            if self.tables.with_devices(devices - 1, &rest, next) <= self.threshold {
                continue;
            }
            if self.exhausted() {
                return;
            }
            if self.take(at) {
                self.with_devices(at, devices - 1, rest, next);
                self.untake(at);
            }
        }
        if self.tables.with_plain(0, &left, value) > self.threshold {
            self.without_devices(0, left, value);
        } else {
            self.keep(value);
        }
    }

    fn take(&mut self, at: usize) -> bool {
        let block = &self.blocks[at];
        let within = block.items.iter().all(|(class, copies, most)| self.placed[*class as usize] + copies <= *most);
        if within {
            for (class, copies, _) in &block.items {
                self.placed[*class as usize] += copies;
                self.chosen.push((*class, *copies));
            }
        }
        within
    }

    fn untake(&mut self, at: usize) {
        for (class, copies, _) in &self.blocks[at].items {
            self.placed[*class as usize] -= copies;
            self.chosen.pop();
        }
    }

    /// Adds classes without devices, in order, as many copies as fit first.
    fn without_devices(&mut self, from: usize, left: Amounts, value: i64) {
        self.keep(value);
        for at in from..self.plain.len() {
            if self.tables.with_plain(at, &left, value) <= self.threshold {
                return;
            }
            let item = self.plain[at];
            let most = self.folded.fitting(&item.need, &left).min(u64::from(item.most));
            for copies in (1..=u32::try_from(most).unwrap_or(u32::MAX)).rev() {
                let rest = without(&left, &item.need, copies, self.folded.dimensions);
                let next = value + item.value * i64::from(copies);
                if self.tables.with_plain(at + 1, &rest, next) <= self.threshold {
                    continue;
                }
                if self.exhausted() {
                    return;
                }
                self.chosen.push((item.class, copies));
                self.without_devices(at + 1, rest, next);
                self.chosen.pop();
            }
        }
    }

    /// Notes the present load if it is above the threshold, which then rises to it.
    fn keep(&mut self, value: i64) {
        if value <= self.threshold {
            return;
        }
        self.threshold = value;
        let items = merged(self.chosen.clone());
        let pattern = Pattern {
            shape: self.shape,
            items,
        };
        self.found.insert(0, Found { value, pattern });
        self.found.truncate(KEPT);
    }
}

fn without(left: &Amounts, need: &Amounts, copies: u32, dimensions: usize) -> Amounts {
    let mut rest = *left;
    (0..dimensions).for_each(|d| rest.0[d] -= need.0[d] * u64::from(copies));
    rest
}
