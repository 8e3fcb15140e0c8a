//! Loads of a machine with devices, by what stands on the devices: every combination of it that learned prices leave open.
//!
//! Once it is settled what stands on devices, the classes without devices fill the rest, and with many classes the bound
//! on that rest is nearly exact. So combinations are gone through with cheap bounds (one line per price learned), and only
//! those that survive are bounded with prices of their own, which are then learned. Where few classes make the rest hard
//! to bound, `search` goes another way.

use std::collections::BinaryHeap;

use crate::fleet::folded::Folded;
use crate::fleet::problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX};

use super::blocks::{fits, minus};
use super::carrier::{Bound, Carrier, Cut, Load, whole_devices};
use super::fill::pack;
use super::search::{Found, Outcome, descend, merged};

/// Prices kept at most.
const CUTS_MAX: usize = 64;
/// Steps in which a branch's or a rest's own prices are found.
const STEPS: u32 = 32;
/// Partial loads that cost as much as finding prices.
const TIGHTEN_NODES: u64 = 40;
/// Partial loads of a rest looked at beyond its bound, at most.
const REST_NODES: u64 = 100;
/// A rest whose bound is above the threshold by less than this part of it is left open without a further look.
const CLOSE_PART: i64 = 3000;

/// Something on devices.
#[derive(Debug, Clone, Copy)]
struct Piece {
    load: Load,
    /// Whole devices, or cells of one.
    takes: u32,
    need: Amounts,
    value: i64,
}

/// What is still to be filled, and what it is worth so far.
#[derive(Debug, Clone, Copy)]
struct State {
    devices: u32,
    /// Cells left on the device that is being filled.
    cells: u32,
    left: Amounts,
    value: i64,
}

/// What may still be added to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Classes on whole devices from this one on, then shares.
    Whole(usize),
    /// Shares from the first on the device that is being filled, which began with the second; later devices begin no earlier.
    Shares(usize, usize),
    /// Only what needs no devices.
    Closed,
}

/// A partial load, as a step from another one.
#[derive(Debug, Clone, Copy)]
struct Node {
    state: State,
    stage: Stage,
    parent: usize,
    class: Option<u32>,
}

struct Combine<'a> {
    machine: &'a Carrier,
    folded: &'a Folded,
    values: &'a [i64],
    whole: Vec<Piece>,
    shares: Vec<Piece>,
    /// Prices, the last useful ones first.
    cuts: Vec<Cut>,
    threshold: i64,
    nodes: u64,
    nodes_max: u64,
    open: Option<i64>,
    tree: Vec<Node>,
    /// What is to be looked at: the most that it may become, its number, and whether prices were fitted to it.
    queue: BinaryHeap<(i64, std::cmp::Reverse<usize>, bool)>,
    /// Prices of the whole capacity that the last tightening ended with.
    start: [f64; DIMENSIONS_MAX],
    found: Vec<Found>,
}

/// Looks for loads worth more than `threshold` in about so many partial loads.
pub(super) fn combine(
    machine: &Carrier,
    folded: &Folded,
    values: &[i64],
    bound: &Bound,
    threshold: i64,
    nodes_max: u64,
) -> Outcome {
    let mut this = Combine {
        machine,
        folded,
        values,
        whole: pieces(&machine.whole, machine, folded, values, bound),
        shares: pieces(&machine.shares, machine, folded, values, bound),
        cuts: vec![machine.cut(folded, values, bound.lambda)],
        threshold,
        nodes: 0,
        nodes_max,
        open: None,
        tree: Vec::new(),
        queue: BinaryHeap::new(),
        start: bound.lambda.of_capacity(&machine.capacity, folded.dimensions),
        found: Vec::new(),
    };
    let root = State {
        devices: machine.devices,
        cells: 0,
        left: machine.capacity,
        value: 0,
    };
    this.put(
        Node {
            state: root,
            stage: Stage::Whole(0),
            parent: usize::MAX,
            class: None,
        },
        i64::MAX,
    );
    this.run();
    let best = this.found.last().map_or(threshold, |found| found.value);
    this.found.reverse();
    Outcome {
        upper: best.max(this.open.unwrap_or(best)).min(bound.upper),
        nodes: this.nodes,
        complete: this.open.is_none(),
        found: this.found,
    }
}

/// Classes on devices that are worth something: those on most devices first, of these those that lose least.
fn pieces(loads: &[Load], machine: &Carrier, folded: &Folded, values: &[i64], bound: &Bound) -> Vec<Piece> {
    let piece = |load: &Load| {
        let class = &folded.classes[load.class as usize];
        let takes =
            whole_devices(class.devices).max(u32::try_from(machine.cells_of(class.devices)).unwrap_or(u32::MAX));
        Piece {
            load: *load,
            takes,
            need: class.need,
            value: values[load.class as usize],
        }
    };
    let mut pieces: Vec<Piece> = loads.iter().map(piece).filter(|piece| piece.value > 0).collect();
    pieces.sort_by_key(|piece| {
        let gain = piece
            .value
            .saturating_sub(bound.lambda.cost_down(&piece.need, folded.dimensions));
        (std::cmp::Reverse((piece.takes, gain)), piece.load.class)
    });
    pieces
}

impl State {
    fn beside(&self, piece: &Piece, devices: u32, cells: u32, dimensions: usize) -> Self {
        Self {
            devices,
            cells,
            left: minus(&self.left, &piece.need, dimensions),
            value: self.value.saturating_add(piece.value),
        }
    }
}

impl Combine<'_> {
    /// The most that a state may become, by the first price that excludes it, or by the best of all.
    fn reach(&mut self, state: &State, whole: bool) -> i64 {
        let mut reach = i64::MAX;
        for at in 0..self.cuts.len() {
            let cut = &self.cuts[at];
            reach = reach.min(cut.reach_filling(state.devices, state.cells, &state.left, state.value, whole));
            if reach <= self.threshold {
                // What excluded this excludes its like.
                self.cuts.swap(at / 2, at);
                break;
            }
        }
        reach
    }

    /// Puts a partial load into the queue unless it can come to no more than the threshold.
    fn put(&mut self, node: Node, most: i64) {
        self.nodes += 1;
        let reach = self.reach_of(&node).min(most);
        if reach > self.threshold {
            self.tree.push(node);
            self.queue.push((reach, std::cmp::Reverse(self.tree.len() - 1), false));
        }
    }

    fn reach_of(&mut self, node: &Node) -> i64 {
        match node.stage {
            Stage::Whole(_) => self.reach(&node.state, true),
            Stage::Shares(..) => self.reach(&node.state, false),
            Stage::Closed => {
                let closed = State {
                    devices: 0,
                    cells: 0,
                    ..node.state
                };
                self.reach(&closed, false)
            }
        }
    }

    /// Looks at partial loads, those first that may become most: whatever is left when nodes run out bounds the rest.
    fn run(&mut self) {
        while let Some((reach, std::cmp::Reverse(at), fitted)) = self.queue.pop() {
            if reach <= self.threshold {
                return;
            }
            if self.nodes >= self.nodes_max {
                self.open = self.open.max(Some(reach));
                return;
            }
            let node = self.tree[at];
            // Prices learned since it was put there may say less.
            let mut now = self.reach_of(&node).min(reach);
            if !fitted && now > self.threshold && node.stage != Stage::Closed && node.state.devices > 0 {
                now = now.min(self.tightened(&node));
            }
            if now <= self.threshold {
                continue;
            }
            if now < reach && self.queue.peek().is_some_and(|(other, _, _)| *other > now) {
                self.queue.push((now, std::cmp::Reverse(at), true));
                continue;
            }
            self.expand(at, now);
        }
    }

    fn expand(&mut self, at: usize, most: i64) {
        let node = self.tree[at];
        match node.stage {
            Stage::Whole(from) => {
                for piece in from..self.whole.len() {
                    let added = self.whole[piece];
                    if added.takes <= node.state.devices {
                        let devices = node.state.devices - added.takes;
                        self.add(at, &added, (devices, 0), Stage::Whole(piece), most);
                    }
                }
                let stage = if self.shares.is_empty() {
                    Stage::Closed
                } else {
                    Stage::Shares(0, 0)
                };
                self.put(
                    Node {
                        stage,
                        parent: at,
                        class: None,
                        ..node
                    },
                    most,
                );
            }
            Stage::Shares(on, first) => {
                let full = DEVICE_MILLI / self.machine.step;
                for piece in on..self.shares.len() {
                    let added = self.shares[piece];
                    if added.takes <= node.state.cells {
                        let left = (node.state.devices, node.state.cells - added.takes);
                        self.add(at, &added, left, Stage::Shares(piece, first), most);
                    }
                }
                for piece in if node.state.devices > 0 {
                    first..self.shares.len()
                } else {
                    0..0
                } {
                    let added = self.shares[piece];
                    let left = (node.state.devices - 1, full - added.takes);
                    self.add(at, &added, left, Stage::Shares(piece, piece), most);
                }
                self.put(
                    Node {
                        stage: Stage::Closed,
                        parent: at,
                        class: None,
                        ..node
                    },
                    most,
                );
            }
            Stage::Closed => self.rest(at),
        }
    }

    /// Puts a partial load with one more copy into the queue if that fits.
    fn add(&mut self, to: usize, piece: &Piece, (devices, cells): (u32, u32), stage: Stage, most: i64) {
        let dimensions = self.folded.dimensions;
        let state = self.tree[to].state;
        if !fits(&piece.need, &state.left, dimensions) || self.copies(to, piece.load.class) >= piece.load.most {
            return;
        }
        let node = Node {
            state: state.beside(piece, devices, cells, dimensions),
            stage,
            parent: to,
            class: Some(piece.load.class),
        };
        self.put(node, most);
    }

    /// What stands on devices, copy by copy.
    fn chosen(&self, at: usize) -> impl Iterator<Item = u32> {
        let parent = |at: &usize| Some(self.tree[*at].parent).filter(|parent| *parent != usize::MAX);
        std::iter::successors(Some(at), parent).filter_map(|at| self.tree[at].class)
    }

    fn copies(&self, at: usize, class: u32) -> u32 {
        self.chosen(at).filter(|other| *other == class).map(|_| 1).sum()
    }

    /// A partial load bounded with prices of its own, which are learned.
    fn tightened(&mut self, node: &Node) -> i64 {
        let state = node.state;
        let whole = match node.stage {
            Stage::Whole(from) => self.whole[from..].iter().map(|piece| piece.load).collect(),
            Stage::Shares(..) | Stage::Closed => Vec::new(),
        };
        let rest = Carrier {
            whole,
            shares: self.machine.shares.clone(),
            // A device that is being filled counts as an empty one.
            ..self
                .machine
                .rest(self.folded, &state.left, state.devices + u32::from(state.cells > 0))
        };
        self.own_prices(&rest, &state).upper.saturating_add(state.value)
    }

    fn own_prices(&mut self, rest: &Carrier, state: &State) -> Bound {
        let dimensions = self.folded.dimensions;
        let mut start = self.machine.rescaled(&self.start, &rest.capacity, dimensions);
        let bound = rest.tighten(
            self.folded,
            self.values,
            &mut start,
            self.threshold - state.value,
            STEPS,
        );
        self.nodes += TIGHTEN_NODES;
        self.cuts.truncate(CUTS_MAX - 1);
        self.cuts
            .insert(0, self.machine.cut(self.folded, self.values, bound.lambda));
        bound
    }

    /// Fills what is left with classes that need no devices.
    fn rest(&mut self, at: usize) {
        let state = self.tree[at].state;
        let rest = self.machine.rest(self.folded, &state.left, 0);
        let bound = self.own_prices(&rest, &state);
        if bound.upper.saturating_add(state.value) <= self.threshold {
            return;
        }
        let filled = pack(&rest, self.folded, self.values, bound.lambda);
        self.keep(filled, at);
        let threshold = self.threshold - state.value;
        if bound.upper <= threshold {
            return;
        }
        if bound.upper - threshold <= self.threshold / CLOSE_PART {
            self.open = self.open.max(Some(bound.upper.saturating_add(state.value)));
            return;
        }
        let outcome = descend(&rest, self.folded, self.values, &bound, threshold, REST_NODES);
        self.nodes += outcome.nodes + TIGHTEN_NODES;
        if !outcome.complete {
            self.open = self.open.max(Some(outcome.upper.saturating_add(state.value)));
        }
        for found in outcome.found.into_iter().rev() {
            self.keep(found, at);
        }
    }

    /// Notes a rest with what stands on devices if it is above the threshold, which then rises to it.
    fn keep(&mut self, mut found: Found, at: usize) {
        found.value = found.value.saturating_add(self.tree[at].state.value);
        if found.value > self.threshold {
            self.threshold = found.value;
            found.pattern.items = merged(
                self.chosen(at)
                    .map(|class| (class, 1))
                    .chain(found.pattern.items)
                    .collect(),
            );
            self.found.push(found);
        }
    }
}
