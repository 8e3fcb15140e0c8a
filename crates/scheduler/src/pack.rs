//! Packing by price: each replica goes where it adds least, and a machine to buy is charged only for the part of it that
//! what remains to be placed would not use. Improving a packing is `improve`'s.

use skyloom_core::{Dimension, Resources, SpreadOver};

use crate::construct::{EgressAt, machine_cost};
use crate::effort::Effort;
use crate::model::{Model, Opt};
use crate::rules::View;
use crate::state::{HOURS, State};

/// How a packing chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tactic {
    /// What may be bought.
    pub(crate) only: Only,
    /// Charge a bought machine by how much of it what remains would use, instead of in full.
    pub(crate) amortise: bool,
}

/// What a packing may buy. A service that can use nothing of it may buy anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    Anything,
    /// In one region.
    Region(usize),
    /// One type in one region, for one kind of purchase.
    Group(usize),
}

impl Only {
    fn admits(self, option: &Opt<'_>) -> bool {
        match self {
            Self::Anything => true,
            Self::Region(region) => option.region == region,
            Self::Group(group) => option.group == group,
        }
    }
}

/// Least price per hour of a machine that could hold one replica; 1 where nothing can be bought, so that weights stay
/// above zero.
pub(crate) fn weights(model: &Model<'_>) -> Vec<i128> {
    let least = |s: &crate::model::Service<'_>| s.buyable.first().map_or(0, |o| model.options[*o].price.as_micros());
    model.services.iter().map(|s| i128::from(least(s).max(1))).collect()
}

/// Places each of `todo` in its order; what fits nowhere is tried once more at the end, when rules may have opened up,
/// and then anywhere.
pub(crate) fn pack(model: &Model<'_>, state: &mut State, todo: &[usize], tactic: Tactic, work: &mut Effort<'_>) {
    let weights = weights(model);
    let mut missed = Vec::new();
    for (index, &replica) in todo.iter().enumerate() {
        if !place_one(model, state, replica, &todo[index..], tactic, &weights, work) {
            missed.push(replica);
        }
    }
    let anywhere = Tactic {
        only: Only::Anything,
        ..tactic
    };
    for (index, &replica) in missed.iter().enumerate() {
        place_one(model, state, replica, &missed[index..], anywhere, &weights, work);
    }
}

/// Units of work for the rules of one replica: they look at every site when it is to be spread.
pub(crate) fn view_units(model: &Model<'_>, replica: usize) -> usize {
    let spec = &model.services[model.service_of[replica]];
    1 + spec.eligible.len() * spec.spec.spread.len()
}

/// Places one replica, the first of `remaining`; whether it found a place.
fn place_one(
    model: &Model<'_>,
    state: &mut State,
    replica: usize,
    remaining: &[usize],
    tactic: Tactic,
    weights: &[i128],
    work: &mut Effort<'_>,
) -> bool {
    let service = model.service_of[replica];
    let view = View::new(model, state, replica);
    let mut egress = EgressAt::new(model, state, service);
    // (charged, paid, to buy, number): the least wins.
    let mut best: Option<(i128, i128, bool, usize)> = None;
    work.add(state.slots.len() + view_units(model, replica));
    for slot in 0..state.slots.len() {
        let bought = slot >= model.node_count;
        let option = state.slots[slot].option;
        if (bought && state.slots[slot].residents.is_empty()) || view.reject(model, state, option, Some(slot)).is_some()
        {
            continue;
        }
        let extra =
            machine_cost(model, state, option, Some(slot)) + egress.delta(model, state, model.options[option].site);
        best = least(best, (extra, extra, false, slot));
    }
    let spec = &model.services[service];
    let usable = spec.shortlist.iter().any(|o| tactic.only.admits(&model.options[*o]));
    let only = if usable { tactic.only } else { Only::Anything };
    let mut counts = vec![0u64; model.services.len()];
    remaining.iter().for_each(|r| counts[model.service_of[*r]] += 1);
    let total: i128 = counts.iter().zip(weights).map(|(n, w)| i128::from(*n) * w).sum();
    let mut filled = (usize::MAX, 1);
    for &option in &spec.shortlist {
        let opt = &model.options[option];
        if !only.admits(opt) {
            continue;
        }
        let full = i128::from(opt.price.as_micros()) * HOURS;
        let floor = if tactic.amortise {
            full * weights[service] / total.max(1)
        } else {
            full
        };
        // Prices rise along the shortlist; egress cannot fall by more than there is of it.
        if best.is_some_and(|(charged, ..)| floor - egress.base > charged) {
            break;
        }
        work.add(1);
        if view.reject(model, state, option, None).is_some() {
            continue;
        }
        if tactic.amortise && filled.0 != opt.group {
            filled = (opt.group, fill(model, option, service, &counts, weights));
        }
        let charged = if tactic.amortise {
            full * weights[service] / filled.1.max(1)
        } else {
            full
        };
        let delta = egress.delta(model, state, opt.site);
        best = least(best, (charged + delta, full + delta, true, option));
    }
    let Some((_, _, buy, number)) = best else { return false };
    let slot = if buy { state.open(model, number) } else { number };
    state.add(model, replica, slot);
    true
}

fn least<T: Ord>(best: Option<T>, next: T) -> Option<T> {
    Some(match best {
        Some(best) if best <= next => best,
        _ => next,
    })
}

/// Weight of what a new machine could carry: one replica of `first`, then what remains, service by service.
fn fill(model: &Model<'_>, option: usize, first: usize, counts: &[u64], weights: &[i128]) -> i128 {
    let mut free = model.options[option].capacity;
    let mut weight = 0;
    let mut aboard: Vec<usize> = Vec::new();
    let others = (0..model.services.len()).rev().filter(|s| *s != first);
    for service in std::iter::once(first).chain(others) {
        let spec = &model.services[service];
        let conflict = aboard.iter().any(|s| spec.conflicts.binary_search(s).is_ok());
        if counts[service] == 0 || conflict || spec.statics[option].is_some() {
            continue;
        }
        let taken = counts[service]
            .min(limit_per_machine(model, service))
            .min(copies(&spec.spec.resources, &free));
        if taken > 0 {
            free = less(&free, &spec.spec.resources, taken);
            weight += i128::from(taken) * weights[service];
            aboard.push(service);
        }
    }
    weight
}

/// Most replicas of a service that rules between them let share a machine.
fn limit_per_machine(model: &Model<'_>, service: usize) -> u64 {
    let spec = &model.services[service];
    let own = if spec.conflicts.binary_search(&service).is_ok() {
        1
    } else {
        u64::MAX
    };
    let domains = |over| match over {
        SpreadOver::Machine | SpreadOver::Zone => spec.eligible.len(),
        SpreadOver::Region | SpreadOver::Cloud => spec.eligible.len() / 3,
    };
    let rules = spec.spec.spread.iter().filter(|rule| domains(rule.over) > 1);
    rules.map(|rule| u64::from(rule.max_skew.get())).fold(own, u64::min)
}

/// How many requests fit into what is free, GPU devices counted by their sum (this only estimates).
fn copies(request: &Resources, free: &Resources) -> u64 {
    let per_dimension = Dimension::ALL
        .into_iter()
        .filter_map(|d| free.get(d).checked_div(request.get(d)));
    per_dimension.min().unwrap_or(u64::MAX)
}

/// What is free after so many copies, which must fit.
fn less(free: &Resources, request: &Resources, times: u64) -> Resources {
    let taken = (
        request.cpu.checked_mul(times),
        request.memory.checked_mul(times),
        request.disk.checked_mul(times),
        request.gpu.checked_mul(times),
    );
    let (Some(cpu), Some(memory), Some(disk), Some(gpu)) = taken else {
        return Resources::ZERO;
    };
    free.checked_sub(&Resources { cpu, memory, disk, gpu })
        .unwrap_or(Resources::ZERO)
}
