//! The most valuable load of one machine: exact depth-first search within what a bound leaves open.
//!
//! Given resource prices `λ` and a bound from `carrier`, any load worth more than the threshold may lose at most
//! `bound - threshold` against it, which leaves few candidates. What a partial load can still gain is bounded by `tables`.
//! All integers, rounded outwards.

use crate::fleet::folded::{Folded, Pattern};
use crate::fleet::problem::{Amounts, DIMENSIONS_MAX};

use super::blocks::{Block, Blocks, fits, minus};
use super::carrier::{Bound, Carrier, Cut, Lambda, Load, whole_devices};
use super::fill::{fill, fill_well};
use super::tables::{Plain, Tables};

/// Loads kept of one search.
const KEPT: usize = 4;
/// One branch may use this part of a search's nodes, and some more: the last ten-thousandth of one branch must not keep
/// the others from being looked at.
const LEAF_PARTS: u64 = 20;
const LEAF_NODES: u64 = 100;
/// Bounds of branches kept at most.
const CUTS_MAX: usize = 48;

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
    let mut found = Vec::new();
    let mut least = threshold;
    if let Some(filled) = fill_well(carrier, folded, values, bound).filter(|filled| filled.value > threshold) {
        least = filled.value;
        found.push(filled);
    }
    let margin = bound.endless.saturating_sub(least).max(0);
    let mut root = carrier.within(folded, values, bound, margin);
    root.whole
        .sort_by_key(|load| std::cmp::Reverse(whole_devices(folded.classes[load.class as usize].devices)));
    let several = |load: &Load| whole_devices(folded.classes[load.class as usize].devices) > 1;
    let branched = root.whole.iter().filter(|load| several(load)).count();
    // First with one price for all that takes one device, which is enough where loads mix well.
    let mut hunt = Hunt::new(&root, folded, values, (least, nodes_max), branched);
    hunt.run(&root, bound);
    let mut nodes = hunt.nodes;
    let mut open = hunt.open;
    found.append(&mut hunt.found);
    if open.is_some() && root.whole.len() > branched {
        let least = found.iter().map(|f| f.value).max().unwrap_or(least).max(least);
        let mut hunt = Hunt::new(&root, folded, values, (least, nodes_max), root.whole.len());
        hunt.run(&root, bound);
        nodes += hunt.nodes;
        open = hunt.open.min(open);
        found.append(&mut hunt.found);
    }
    found.sort_by(|a, b| (b.value, &a.pattern).cmp(&(a.value, &b.pattern)));
    found.dedup();
    found.truncate(KEPT);
    let best = found.first().map_or(threshold, |f| f.value);
    Outcome {
        upper: best.max(open.unwrap_or(best)).min(bound.upper),
        nodes,
        complete: open.is_none(),
        found,
    }
}

/// The same for a machine, or a rest of one, without classes on several devices.
pub(super) fn descend(
    carrier: &Carrier,
    folded: &Folded,
    values: &[i64],
    bound: &Bound,
    threshold: i64,
    nodes_max: u64,
) -> Outcome {
    Descent::run(carrier, folded, values, bound, threshold, nodes_max)
}

/// A search over what stands on whole devices.
struct Hunt<'a> {
    folded: &'a Folded,
    values: &'a [i64],
    machine: &'a Carrier,
    /// Rises with what is found.
    threshold: i64,
    nodes: u64,
    nodes_max: u64,
    /// So many classes on whole devices are branched on, the first ones; the others are left to the leaves.
    branched: usize,
    /// The most that a part which was not searched to its end may be worth; `None`: there is no such part.
    open: Option<i64>,
    found: Vec<Found>,
    /// Tables of the whole machine: they exclude most branches at once.
    root: Option<Tables>,
    /// Bounds under prices that fitted some branch: they exclude branches like it.
    cuts: Vec<Cut>,
}

impl<'a> Hunt<'a> {
    fn new(
        machine: &'a Carrier,
        folded: &'a Folded,
        values: &'a [i64],
        (threshold, nodes_max): (i64, u64),
        branched: usize,
    ) -> Self {
        Self {
            folded,
            values,
            machine,
            threshold,
            nodes: 0,
            nodes_max,
            branched,
            open: None,
            found: Vec::new(),
            root: None,
            cuts: Vec::new(),
        }
    }

    fn run(&mut self, root: &Carrier, bound: &Bound) {
        if self.branched > 0 {
            let margin = bound.endless.saturating_sub(self.threshold).max(0);
            let main = bound.lambda.main_dimension(&root.capacity, self.folded.dimensions);
            let plain = candidates(root, self.folded, self.values, bound, margin);
            let tables = Tables::new(root, self.folded, self.values, bound, &plain, main);
            let upper = tables.with_devices(root.devices, &root.capacity, 0);
            self.root = Some(tables);
            if upper <= self.threshold {
                return;
            }
        }
        let start = bound.lambda.of_capacity(&root.capacity, self.folded.dimensions);
        self.branch(root, self.branched, &mut Vec::new(), 0, start);
    }

    fn leave_open(&mut self, upper: i64) {
        self.open = self.open.max(Some(upper));
    }

    /// The most that what is left may come to, by all bounds at hand.
    fn reach(&self, devices: u32, left: &Amounts, value: i64, whole: bool) -> i64 {
        let dimensions = self.folded.dimensions;
        let by_tables = self
            .root
            .as_ref()
            .map_or(i64::MAX, |tables| tables.with_devices(devices, left, value));
        let mut reach = by_tables;
        for cut in &self.cuts {
            if reach <= self.threshold {
                break;
            }
            reach = reach.min(cut.reach(devices, left, value, whole, dimensions));
        }
        reach
    }

    /// Keeps prices that excluded something.
    fn learn(&mut self, lambda: Lambda) {
        if self.cuts.len() < CUTS_MAX {
            let cut = self.machine.cut(self.folded, self.values, lambda);
            self.cuts.push(cut);
        }
    }

    /// Searches what is left of a machine beside `base`, which is worth `value`; the first `branched` classes on whole
    /// devices are branched on.
    fn branch(
        &mut self,
        rest: &Carrier,
        branched: usize,
        base: &mut Vec<(u32, u32)>,
        value: i64,
        start: [f64; DIMENSIONS_MAX],
    ) {
        let dimensions = self.folded.dimensions;
        for at in 0..branched {
            let class = rest.whole[at].class;
            let spec = &self.folded.classes[class as usize];
            let Some(devices) = rest.devices.checked_sub(whole_devices(spec.devices)) else {
                continue;
            };
            if !fits(&spec.need, &rest.capacity, dimensions) {
                continue;
            }
            let left = minus(&rest.capacity, &spec.need, dimensions);
            let with = value.saturating_add(self.values[class as usize]);
            let reach = self.reach(devices, &left, with, true);
            self.nodes += 1;
            if reach <= self.threshold {
                continue;
            }
            if self.nodes >= self.nodes_max {
                self.leave_open(reach);
                continue;
            }
            let (child, branched) = rest.beside(self.folded, at, branched);
            let mut from = rest.rescaled(&start, &child.capacity, dimensions);
            let bound = child.tighten(self.folded, self.values, &mut from, self.threshold - with, 16);
            self.nodes += 20;
            if bound.upper.saturating_add(with) > self.threshold {
                base.push((class, 1));
                self.branch(&child, branched, base, with, from);
                base.pop();
            } else {
                self.learn(bound.lambda);
            }
        }
        let last = branched == rest.whole.len();
        if last && self.reach(rest.devices, &rest.capacity, value, false) <= self.threshold {
            return;
        }
        let mut leaf = rest.clone();
        leaf.whole.drain(..branched);
        self.leaf(&leaf, base, value, start, last);
    }

    fn leaf(&mut self, leaf: &Carrier, base: &[(u32, u32)], value: i64, mut start: [f64; DIMENSIONS_MAX], last: bool) {
        let bound = leaf.tighten(self.folded, self.values, &mut start, self.threshold - value, 24);
        self.nodes += 20;
        if bound.upper.saturating_add(value) <= self.threshold {
            if last {
                self.learn(bound.lambda);
            }
            return;
        }
        if self.nodes >= self.nodes_max {
            self.leave_open(bound.upper.saturating_add(value));
            return;
        }
        if let Some(filled) = fill(leaf, self.folded, self.values) {
            self.keep(filled, base, value);
        }
        let threshold = self.threshold - value;
        if bound.upper <= threshold {
            return;
        }
        let nodes_max = (self.nodes_max / LEAF_PARTS + LEAF_NODES).min(self.nodes_max - self.nodes);
        let outcome = Descent::run(leaf, self.folded, self.values, &bound, threshold, nodes_max);
        self.nodes += outcome.nodes;
        if !outcome.complete {
            self.leave_open(outcome.upper.saturating_add(value));
        }
        for found in outcome.found.into_iter().rev() {
            self.keep(found, base, value);
        }
    }

    /// Notes a load of what is left beside `base` if it is above the threshold, which then rises to it.
    fn keep(&mut self, mut found: Found, base: &[(u32, u32)], value: i64) {
        found.value = found.value.saturating_add(value);
        if found.value > self.threshold {
            self.threshold = found.value;
            found.pattern.items = merged(base.iter().chain(&found.pattern.items).copied().collect());
            self.found.push(found);
        }
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
        let margin = bound.endless.saturating_sub(threshold).max(0);
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
        let all = per_device.saturating_mul(i64::from(devices));
        let priced = self.bound.lambda.cost_up(&left, dimensions).saturating_add(all);
        let reach = value.saturating_add(priced).saturating_add(self.plain_part);
        for at in if devices > 0 { from..self.blocks.len() } else { 0..0 } {
            let loss = self.blocks[at].loss.min(per_device).saturating_mul(i64::from(devices));
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
        let within = block
            .items
            .iter()
            .all(|(class, copies, most)| self.placed[*class as usize] + copies <= *most);
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
