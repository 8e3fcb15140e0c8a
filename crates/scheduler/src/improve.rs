//! Local search for the least total of machines and egress, by moves that keep every rule.
//!
//! Moves: put one replica elsewhere, drain a machine, swap a machine's offer, replace two machines by one, pull several
//! machines' replicas onto a new one, rebuild two machines, take a service to another region. Each is tried in a fixed
//! order and the first improvement is taken, so that equal input gives equal output. What runs already is not moved.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::Dimension;

use crate::construct::{Order, ordered};
use crate::effort::Effort;
use crate::model::Model;
use crate::pack::{Only, Tactic, pack, view_units};
use crate::portfolio::{portfolio, regions_by_estimate};
use crate::rules::{View, all_hold, settle};
use crate::state::{HOURS, State};

/// Packings that the local search starts from. The best packing does not always lead to the best end.
const STARTS_MAX: usize = 4;

/// Up to this many machines one replica gives way to another machine's: the ways grow with their cube.
const ROOM_MACHINES_MAX: usize = 12;

/// Up to this many machines pairs of them are rebuilt; beyond it the pairs grow faster than they pay.
const PAIRS_MACHINES_MAX: usize = 40;

/// Machines of one kind and price, in their places, that are tried for one content.
const FILLS_MAX: usize = 8;

/// Units of work that copying one machine of a state takes, next to looking at an option.
const COPY_UNITS: usize = 4;

/// From so many machines on, machines that are alike are tried only so often: what does not help one does not help its
/// twin. Two are kept, as two alike may be merged.
const TWINS_FROM: usize = 12;
const TWINS_KEPT: usize = 2;

/// Type of a machine, and the services on it.
type Twin = (usize, Vec<usize>);

/// The search's view: what may move and how much work is left.
#[derive(Debug)]
pub(crate) struct Search<'s, 'm, 'e> {
    pub(crate) model: &'s Model<'m>,
    /// Replicas that stay where they are.
    pub(crate) pinned: &'s [bool],
    pub(crate) work: &'s mut Effort<'e>,
}

/// Replicas without a place, then millionths of a dollar per month.
pub(crate) type Cost = (usize, i128);

/// Completes `start` as cheaply as the work budget allows. `also`: another beginning; of what is equally cheap it wins.
pub(crate) fn cheapest(search: &mut Search<'_, '_, '_>, start: &State, also: Option<&State>) -> State {
    let mut packed = portfolio(search, start);
    packed.truncate(STARTS_MAX);
    if let Some(also) = also {
        let missing: Vec<usize> = (0..also.at.len()).filter(|r| also.at[*r].is_none()).collect();
        let order = ordered(search.model, Order::Targets, &missing);
        packed.insert(0, search.first(also, &order, ANYWHERE));
    }
    let mut best: Option<(Cost, State)> = None;
    for (_, state) in packed {
        let state = descend(search, state);
        let cost = search.cost(&state);
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, state));
        }
        if search.work.exhausted() {
            break;
        }
    }
    best.map_or_else(|| start.clone(), |(_, state)| state)
}

impl Search<'_, '_, '_> {
    fn cost(&self, state: &State) -> Cost {
        (state.unplaced(), state.total_per_month(self.model))
    }

    /// A packing on top of `start`; what would break a rule stays out of it.
    pub(crate) fn first(&mut self, start: &State, todo: &[usize], tactic: Tactic) -> (Cost, State) {
        let mut state = start.clone();
        pack(self.model, &mut state, todo, tactic, self.work);
        self.work.add(state.at.len());
        settle(self.model, &mut state, self.pinned);
        (self.cost(&state), state)
    }

    /// A packing on top of `start`, unless it breaks a rule.
    fn packed(&mut self, start: &State, todo: &[usize], tactic: Tactic) -> Option<(Cost, State)> {
        let mut state = start.clone();
        pack(self.model, &mut state, todo, tactic, self.work);
        self.work.add(state.at.len());
        all_hold(self.model, &state, self.pinned).then(|| (self.cost(&state), state))
    }

    /// The state with `removed` packed anew, when that is cheaper.
    fn rebuilt(&mut self, state: &State, removed: &[usize], tactic: Tactic, order: Order) -> Option<State> {
        if removed.is_empty() {
            return None;
        }
        self.work.add(COPY_UNITS * state.slots.len());
        let mut trial = state.clone();
        for replica in removed {
            trial.remove(self.model, *replica);
        }
        let todo = ordered(self.model, order, removed);
        let (cost, trial) = self.packed(&trial, &todo, tactic)?;
        (cost < self.cost(state)).then_some(trial)
    }

    /// The state with all of `replicas` on one new machine of `option`, when that is allowed and cheaper.
    fn housed(&mut self, state: &State, replicas: &[usize], option: usize) -> Option<State> {
        self.work.add(COPY_UNITS * state.slots.len());
        let mut trial = state.clone();
        for replica in replicas {
            trial.remove(self.model, *replica);
        }
        let mut slot = None;
        for &replica in replicas {
            self.work.add(view_units(self.model, replica));
            let view = View::new(self.model, &trial, replica);
            if view.reject(self.model, &trial, option, slot).is_some() {
                return None;
            }
            let target = *slot.get_or_insert_with(|| trial.open(self.model, option));
            trial.add(self.model, replica, target);
        }
        let better = self.cost(&trial) < self.cost(state) && all_hold(self.model, &trial, self.pinned);
        better.then_some(trial)
    }

    /// Puts `content` on one machine of `options`: the one that takes most of it, the first of equals. Gives what it did
    /// not take.
    pub(crate) fn fill_one(&mut self, state: &mut State, options: &[usize], content: Vec<usize>) -> Vec<usize> {
        let mut best: Option<(usize, State, Vec<usize>)> = None;
        for &option in options.iter().take(FILLS_MAX) {
            self.work.add(COPY_UNITS * state.slots.len());
            let there = option < self.model.node_count;
            if there && !state.slots[option].residents.iter().all(|r| self.pinned[*r]) {
                continue;
            }
            let mut trial = state.clone();
            let mut slot = there.then_some(option);
            let mut missed = Vec::new();
            for &replica in &content {
                self.work.add(view_units(self.model, replica));
                let view = View::new(self.model, &trial, replica);
                if view.reject(self.model, &trial, option, slot).is_some() {
                    missed.push(replica);
                } else {
                    let target = *slot.get_or_insert_with(|| trial.open(self.model, option));
                    trial.add(self.model, replica, target);
                }
            }
            let done = missed.is_empty();
            if best.as_ref().is_none_or(|(least, ..)| missed.len() < *least) {
                best = Some((missed.len(), trial, missed));
            }
            if done {
                break;
            }
        }
        match best {
            Some((_, filled, missed)) => {
                *state = filled;
                missed
            }
            None => content,
        }
    }

    /// Replicas of a slot that may move; `None` when some may not.
    fn movable(&self, state: &State, slot: usize) -> Option<Vec<usize>> {
        let residents = &state.slots[slot].residents;
        let free = !residents.is_empty() && residents.iter().all(|r| !self.pinned[*r]);
        free.then(|| residents.clone())
    }

    /// Machines in use of which every replica may move, the dearest first.
    fn open_machines(&self, state: &State) -> Vec<(usize, Vec<usize>)> {
        let all = (0..state.slots.len()).filter_map(|slot| Some((slot, self.movable(state, slot)?)));
        let mut machines: Vec<(usize, Vec<usize>)> = all.collect();
        machines.sort_by_key(|(slot, _)| (std::cmp::Reverse(self.price(state, *slot)), *slot));
        if machines.len() > TWINS_FROM {
            let mut seen: BTreeMap<Twin, usize> = BTreeMap::new();
            machines.retain(|(slot, _)| {
                let times = seen.entry(self.twin(state, *slot)).or_insert(0);
                *times += 1;
                *times <= TWINS_KEPT
            });
        }
        machines
    }

    /// What makes two machines alike: their type, and the services on them.
    fn twin(&self, state: &State, slot: usize) -> Twin {
        let slot = &state.slots[slot];
        let services = slot.residents.iter().map(|r| self.model.service_of[*r]).collect();
        (self.model.options[slot.option].group, services)
    }

    fn price(&self, state: &State, slot: usize) -> i128 {
        i128::from(self.model.options[state.slots[slot].option].price.as_micros())
    }
}

/// Takes improvements until no move gives one or the work is used up.
pub(crate) fn descend(search: &mut Search<'_, '_, '_>, mut state: State) -> State {
    type Neighbourhood = fn(&mut Search<'_, '_, '_>, &State) -> Option<State>;
    const MOVES: [Neighbourhood; 9] = [
        rescue,
        relocate,
        drain,
        swap,
        merge,
        absorb,
        take_service,
        rebuild_pairs,
        make_room,
    ];
    let mut index = 0;
    while index < MOVES.len() && !search.work.exhausted() {
        match MOVES[index](search, &state) {
            // Back to the cheap moves after each improvement.
            Some(better) => (state, index) = (better, 0),
            None => index += 1,
        }
    }
    state
}

const ANYWHERE: Tactic = Tactic {
    only: Only::Anything,
    amortise: false,
};
const ANYWHERE_AMORTISED: Tactic = Tactic {
    only: Only::Anything,
    amortise: true,
};

/// A replica without a place together with the replicas of one machine on a new machine: what must be on one machine
/// may have begun on one that is too small.
fn rescue(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    let lost = (0..state.at.len()).find(|r| state.at[*r].is_none())?;
    let machines = search.open_machines(state);
    machines.into_iter().find_map(|(_, mut together)| {
        together.push(lost);
        onto_one(search, state, &together, i128::MAX)
    })
}

/// One replica elsewhere.
fn relocate(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    let mut tried: BTreeSet<(usize, Option<Twin>)> = BTreeSet::new();
    for replica in (0..state.at.len()).filter(|r| !search.pinned[*r]).collect::<Vec<_>>() {
        let alike = (
            search.model.service_of[replica],
            state.at[replica].map(|slot| search.twin(state, slot)),
        );
        if search.work.exhausted() {
            return None;
        }
        if tried.insert(alike)
            && let Some(better) = search.rebuilt(state, &[replica], ANYWHERE, Order::Targets)
        {
            return Some(better);
        }
    }
    None
}

/// One machine's replicas elsewhere.
fn drain(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    for (_, residents) in search.open_machines(state) {
        for tactic in [ANYWHERE, ANYWHERE_AMORTISED] {
            if search.work.exhausted() {
                return None;
            }
            if let Some(better) = search.rebuilt(state, &residents, tactic, Order::Largest) {
                return Some(better);
            }
        }
    }
    None
}

/// One machine's replicas on a cheaper machine.
fn swap(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    for (slot, residents) in search.open_machines(state) {
        // Egress may fall with a move by all there is of it, no more.
        let egress = search.cost(state).1 - state.machines_per_hour(search.model) * HOURS;
        let limit = search.price(state, slot) + egress / HOURS + 1;
        if let Some(better) = onto_one(search, state, &residents, limit) {
            return Some(better);
        }
    }
    None
}

/// Two machines' replicas on one.
fn merge(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    let machines = search.open_machines(state);
    for (index, (a, first)) in machines.iter().enumerate() {
        for (b, second) in &machines[index + 1..] {
            let together: Vec<usize> = first.iter().chain(second).copied().collect();
            let limit = search.price(state, *a) + search.price(state, *b);
            if let Some(better) = onto_one(search, state, &together, limit) {
                return Some(better);
            }
            if search.work.exhausted() {
                return None;
            }
        }
    }
    None
}

/// All of `replicas` on the first new machine under a price that makes the whole cheaper.
fn onto_one(search: &mut Search<'_, '_, '_>, state: &State, replicas: &[usize], limit: i128) -> Option<State> {
    let model = search.model;
    let lead = *replicas.first()?;
    let services: BTreeSet<usize> = replicas.iter().map(|r| model.service_of[*r]).collect();
    let apart = |a: usize, b: usize| {
        model.services[model.service_of[a]]
            .conflicts
            .binary_search(&model.service_of[b])
            .is_ok()
    };
    let conflict = replicas
        .iter()
        .enumerate()
        .any(|(i, a)| replicas[i + 1..].iter().any(|b| apart(*a, *b)));
    if conflict {
        return None;
    }
    let total = |d| {
        let requests = replicas.iter().map(|r| model.request(model.service_of[*r]).get(d));
        requests.into_iter().try_fold(0u64, u64::checked_add)
    };
    let sums = Dimension::ALL.map(|d| (d, total(d)));
    for &option in &model.services[model.service_of[lead]].shortlist {
        let opt = &model.options[option];
        if i128::from(opt.price.as_micros()) >= limit || search.work.exhausted() {
            return None;
        }
        search.work.add(1);
        let large = sums
            .iter()
            .all(|(d, sum)| sum.is_some_and(|sum| sum <= opt.capacity.get(*d)));
        let open = services.iter().all(|s| model.services[*s].statics[option].is_none());
        if large
            && open
            && let Some(better) = search.housed(state, replicas, option)
        {
            return Some(better);
        }
    }
    None
}

/// A new machine that takes whole machines' replicas until it is full.
fn absorb(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    let model = search.model;
    let mut offers: Vec<usize> = model
        .services
        .iter()
        .flat_map(|s| s.shortlist.iter().copied())
        .collect();
    offers.sort_by_key(|o| (model.options[*o].price, *o));
    offers.dedup();
    let dearest_first = search.open_machines(state);
    let cheapest_first: Vec<(usize, Vec<usize>)> = dearest_first.iter().rev().cloned().collect();
    let all: i128 = dearest_first.iter().map(|(slot, _)| search.price(state, *slot)).sum();
    for option in offers {
        if i128::from(model.options[option].price.as_micros()) >= all {
            return None;
        }
        for machines in [&dearest_first, &cheapest_first] {
            if search.work.exhausted() {
                return None;
            }
            if let Some(better) = pulled(search, state, machines, option) {
                return Some(better);
            }
        }
    }
    None
}

/// The state with a new machine of `option` that took whole machines in their order, when that is cheaper.
fn pulled(
    search: &mut Search<'_, '_, '_>,
    state: &State,
    machines: &[(usize, Vec<usize>)],
    option: usize,
) -> Option<State> {
    let model = search.model;
    let mut free = model.options[option].capacity;
    let mut chosen: Vec<usize> = Vec::new();
    let mut freed = 0;
    search.work.add(machines.len());
    for (slot, residents) in machines {
        let left = residents.iter().try_fold(free, |free, r| {
            let service = model.service_of[*r];
            let open = model.services[service].statics[option].is_none();
            open.then(|| free.checked_sub(model.request(service))).flatten()
        });
        if let Some(left) = left {
            free = left;
            freed += search.price(state, *slot);
            chosen.extend(residents);
        }
    }
    let worth = freed > i128::from(model.options[option].price.as_micros());
    if worth && chosen.len() > 1 {
        search.housed(state, &chosen, option)
    } else {
        None
    }
}

/// One service, or all of them, in another region.
fn take_service(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    let model = search.model;
    for service in 0..model.services.len() {
        let spec = &model.services[service];
        let movable: Vec<usize> = (spec.first..spec.first + spec.count)
            .filter(|r| !search.pinned[*r])
            .collect();
        for region in regions_by_estimate(model, &movable) {
            let tactic = Tactic {
                only: Only::Region(region),
                amortise: true,
            };
            if search.work.exhausted() {
                return None;
            }
            if let Some(better) = search.rebuilt(state, &movable, tactic, Order::Targets) {
                return Some(better);
            }
        }
    }
    None
}

/// Two machines' replicas packed anew.
fn rebuild_pairs(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    let machines = search.open_machines(state);
    if machines.len() > PAIRS_MACHINES_MAX {
        return None;
    }
    for (index, (_, first)) in machines.iter().enumerate() {
        for (_, second) in &machines[index + 1..] {
            let removed: Vec<usize> = first.iter().chain(second).copied().collect();
            let ways = [
                (ANYWHERE_AMORTISED, Order::Largest),
                (ANYWHERE, Order::Largest),
                (ANYWHERE_AMORTISED, Order::Rounds),
            ];
            for (tactic, order) in ways {
                if search.work.exhausted() {
                    return None;
                }
                if let Some(better) = search.rebuilt(state, &removed, tactic, order) {
                    return Some(better);
                }
            }
        }
    }
    None
}

/// One replica to another open machine, though that alone does not pay, and then a machine's replicas elsewhere.
fn make_room(search: &mut Search<'_, '_, '_>, state: &State) -> Option<State> {
    let in_use = state.slots.iter().filter(|s| !s.residents.is_empty()).count();
    if in_use > ROOM_MACHINES_MAX {
        return None;
    }
    let machines = search.open_machines(state);
    for replica in (0..state.at.len()).filter(|r| !search.pinned[*r]).collect::<Vec<_>>() {
        let Some(from) = state.at[replica] else { continue };
        for to in (0..state.slots.len()).filter(|to| *to != from && !state.slots[*to].residents.is_empty()) {
            let mut moved = state.clone();
            moved.remove(search.model, replica);
            search
                .work
                .add(COPY_UNITS * state.slots.len() + view_units(search.model, replica));
            let view = View::new(search.model, &moved, replica);
            let option = moved.slots[to].option;
            if view.reject(search.model, &moved, option, Some(to)).is_some() {
                continue;
            }
            moved.add(search.model, replica, to);
            for (_, residents) in machines.iter().filter(|(slot, _)| *slot != to) {
                if search.work.exhausted() {
                    return None;
                }
                let drained: Vec<usize> = residents.iter().copied().filter(|r| *r != replica).collect();
                let better = search.rebuilt(&moved, &drained, ANYWHERE, Order::Largest);
                if let Some(better) = better.filter(|b| search.cost(b) < search.cost(state)) {
                    return Some(better);
                }
            }
        }
    }
    None
}
