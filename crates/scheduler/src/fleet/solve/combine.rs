//! Loads of a machine with devices, by what stands on the devices: every combination of it that learned prices leave open.
//!
//! Once it is settled what stands on devices, the classes without devices fill the rest, and with many classes the bound
//! on that rest is nearly exact. So combinations are gone through with cheap bounds (one line per price learned), and only
//! those that survive are bounded with prices of their own, which are then learned. Where few classes make the rest hard
//! to bound, `search` goes another way.

use crate::fleet::folded::{Folded, Pattern};
use crate::fleet::problem::{Amounts, DEVICE_MILLI, DIMENSIONS_MAX};

use super::blocks::{fits, minus};
use super::carrier::{Bound, Carrier, Cut, Load, whole_devices};
use super::greedy::fill;
use super::search::{Found, Outcome, descend, merged};

/// Prices kept at most.
const CUTS_MAX: usize = 64;
/// Steps in which a branch's or a rest's own prices are found.
const STEPS: u32 = 10;
/// Partial loads that cost as much as finding prices.
const TIGHTEN_NODES: u64 = 40;
/// Partial loads of a rest looked at beyond its bound, at most.
const REST_NODES: u64 = 200;

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
    chosen: Vec<(u32, u32)>,
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
        chosen: Vec::new(),
        start: bound.lambda.of_capacity(&machine.capacity, folded.dimensions),
        found: Vec::new(),
    };
    let root = State {
        devices: machine.devices,
        cells: 0,
        left: machine.capacity,
        value: 0,
    };
    this.whole(0, root);
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
        let takes = whole_devices(class.devices).max(u32::try_from(machine.cells_of(class.devices)).unwrap_or(u32::MAX));
        Piece {
            load: *load,
            takes,
            need: class.need,
            value: values[load.class as usize],
        }
    };
    let mut pieces: Vec<Piece> = loads.iter().map(piece).filter(|piece| piece.value > 0).collect();
    pieces.sort_by_key(|piece| {
        let gain = piece.value.saturating_sub(bound.lambda.cost_down(&piece.need, folded.dimensions));
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

    /// Counts a state; true when no more may be looked at, which leaves it open.
    fn exhausted(&mut self, reach: i64) -> bool {
        self.nodes += 1;
        if self.nodes >= self.nodes_max {
            self.open = self.open.max(Some(reach));
        }
        self.nodes >= self.nodes_max
    }

    /// How many copies of a class are chosen in a row at the end.
    fn copies(&self, class: u32) -> u32 {
        self.chosen.iter().rev().take_while(|(other, _)| *other == class).map(|(_, n)| n).sum()
    }

    /// Adds classes on whole devices from this one on, then shares.
    fn whole(&mut self, from: usize, state: State) {
        for at in from..self.whole.len() {
            let piece = self.whole[at];
            if piece.takes > state.devices || !fits(&piece.need, &state.left, self.folded.dimensions) {
                continue;
            }
            if self.copies(piece.load.class) >= piece.load.most {
                continue;
            }
            let next = state.beside(&piece, state.devices - piece.takes, 0, self.folded.dimensions);
            let mut reach = self.reach(&next, true);
            if reach <= self.threshold {
                continue;
            }
            if self.exhausted(reach) {
                continue;
            }
            if next.devices > 0 && self.cuts.len() < CUTS_MAX {
                reach = reach.min(self.tightened(&next, at));
            }
            if reach > self.threshold {
                self.chosen.push((piece.load.class, 1));
                self.whole(at, next);
                self.chosen.pop();
            }
        }
        self.shares((0, 0), state);
    }

    /// Adds shares: from `on` on the device that is being filled, whose first share was `first`; later devices begin with
    /// no earlier one. Then closes the devices.
    fn shares(&mut self, (on, first): (usize, usize), state: State) {
        let reach = self.reach(&state, false);
        if reach <= self.threshold || (self.nodes >= self.nodes_max && self.exhausted(reach)) {
            return;
        }
        let full = DEVICE_MILLI / self.machine.step;
        for (from, opens) in [(on, false), (first, true)] {
            if opens && state.devices == 0 {
                continue;
            }
            let room = if opens { full } else { state.cells };
            for at in from..self.shares.len() {
                let piece = self.shares[at];
                if piece.takes > room || !fits(&piece.need, &state.left, self.folded.dimensions) {
                    continue;
                }
                let placed: u32 = self.chosen.iter().filter(|(c, _)| *c == piece.load.class).map(|(_, n)| n).sum();
                if placed >= piece.load.most {
                    continue;
                }
                let devices = state.devices - u32::from(opens);
                let next = state.beside(&piece, devices, room - piece.takes, self.folded.dimensions);
                let reach = self.reach(&next, false);
                if reach <= self.threshold || self.exhausted(reach) {
                    continue;
                }
                self.chosen.push((piece.load.class, 1));
                self.shares((at, if opens { at } else { first }), next);
                self.chosen.pop();
            }
        }
        self.rest(state);
    }

    /// A branch bounded with prices of its own, which are learned.
    fn tightened(&mut self, state: &State, from: usize) -> i64 {
        let rest = Carrier {
            whole: self.whole[from..].iter().map(|piece| piece.load).collect(),
            shares: self.machine.shares.clone(),
            ..self.machine.rest(self.folded, &state.left, state.devices)
        };
        self.own_prices(&rest, state).upper.saturating_add(state.value)
    }

    fn own_prices(&mut self, rest: &Carrier, state: &State) -> Bound {
        let dimensions = self.folded.dimensions;
        let mut start = self.machine.rescaled(&self.start, &rest.capacity, dimensions);
        let bound = rest.tighten(self.folded, self.values, &mut start, self.threshold - state.value, STEPS);
        self.nodes += TIGHTEN_NODES;
        if self.cuts.len() < CUTS_MAX {
            self.cuts.insert(0, self.machine.cut(self.folded, self.values, bound.lambda));
        }
        bound
    }

    /// Fills what is left with classes that need no devices.
    fn rest(&mut self, state: State) {
        let closed = State {
            devices: 0,
            cells: 0,
            ..state
        };
        let reach = self.reach(&closed, false);
        if reach <= self.threshold || self.exhausted(reach) {
            return;
        }
        let rest = self.machine.rest(self.folded, &state.left, 0);
        let bound = self.own_prices(&rest, &state);
        if bound.upper.saturating_add(state.value) <= self.threshold {
            return;
        }
        let filled = fill(&rest, self.folded, self.values).unwrap_or(Found {
            value: 0,
            pattern: Pattern {
                shape: self.machine.shape,
                items: Vec::new(),
            },
        });
        self.keep(filled, state.value);
        let threshold = self.threshold - state.value;
        if bound.upper <= threshold {
            return;
        }
        let outcome = descend(&rest, self.folded, self.values, &bound, threshold, REST_NODES);
        self.nodes += outcome.nodes + TIGHTEN_NODES;
        if !outcome.complete {
            self.open = self.open.max(Some(outcome.upper.saturating_add(state.value)));
        }
        for found in outcome.found.into_iter().rev() {
            self.keep(found, state.value);
        }
    }

    /// Notes a rest with what stands on devices if it is above the threshold, which then rises to it.
    fn keep(&mut self, mut found: Found, value: i64) {
        found.value = found.value.saturating_add(value);
        if found.value > self.threshold {
            self.threshold = found.value;
            found.pattern.items = merged(self.chosen.iter().chain(&found.pattern.items).copied().collect());
            self.found.push(found);
        }
    }
}
