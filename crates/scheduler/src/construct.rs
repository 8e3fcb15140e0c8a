//! One pass: each replica in turn goes where a policy's score is lowest. Searching for the least total is `improve`'s.

use skyloom_core::{Dimension, Filter, MicroUsd};

use crate::effort::Effort;
use crate::formulas::wide;
use crate::model::Model;
use crate::policy::{Choice, Policy, Score};
use crate::rules::View;
use crate::state::{HOURS, State, change_count};

/// Cost of egress as it would be with one more replica, site by site, worked out when asked.
#[derive(Debug)]
pub(crate) struct EgressAt {
    service: usize,
    pub(crate) base: i128,
    by_site: Vec<Option<i128>>,
}

impl EgressAt {
    pub(crate) fn new(model: &Model<'_>, state: &State, service: usize) -> Self {
        let concerned = model.egress.concerns(service);
        Self {
            service,
            base: if concerned {
                model.egress.per_month(&state.counts, &model.sites, &model.regions).0
            } else {
                0
            },
            by_site: if concerned {
                vec![None; model.sites.len()]
            } else {
                Vec::new()
            },
        }
    }

    /// What one more replica in `site` adds to the month's egress.
    pub(crate) fn delta(&mut self, model: &Model<'_>, state: &mut State, site: usize) -> i128 {
        let (service, base) = (self.service, self.base);
        let Some(slot) = self.by_site.get_mut(site) else {
            return 0;
        };
        *slot.get_or_insert_with(|| {
            change_count(&mut state.counts[service], site, true);
            let with = model.egress.per_month(&state.counts, &model.sites, &model.regions).0;
            change_count(&mut state.counts[service], site, false);
            with - base
        })
    }
}

/// A feasible option with its rank.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) option: usize,
    /// The machine, when it is there or open.
    pub(crate) slot: Option<usize>,
    pub(crate) score: Score,
    /// What it adds to the month's bill.
    pub(crate) extra: i128,
}

impl Ranked {
    /// Whether the two are one machine, or one type that could be bought in several zones.
    pub(crate) fn same_as(&self, other: &Self, model: &Model<'_>) -> bool {
        match (self.slot, other.slot) {
            (Some(a), Some(b)) => a == b,
            (None, None) => model.options[self.option].group == model.options[other.option].group,
            _ => false,
        }
    }
}

/// All options of one replica, judged.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Feasible ones, best first.
    pub(crate) ranked: Vec<Ranked>,
}

/// Judges every option of `replica`, which must not be placed. `left` is what the budget still allows per month.
pub(crate) fn survey(
    model: &Model<'_>,
    state: &mut State,
    replica: usize,
    policy: &dyn Policy,
    left: Option<i128>,
    work: &mut Effort<'_>,
) -> Survey {
    let service = model.service_of[replica];
    let view = View::new(model, state, replica);
    let mut egress = EgressAt::new(model, state, service);
    let mut ranked = Vec::new();
    let slots = (0..state.slots.len()).filter(|s| *s < model.node_count || !state.slots[*s].residents.is_empty());
    let open: Vec<(usize, Option<usize>)> = slots.map(|s| (state.slots[s].option, Some(s))).collect();
    let to_buy = (model.node_count..model.options.len()).map(|o| (o, None));
    work.add(open.len() + model.options.len() - model.node_count);
    for (option, slot) in open.into_iter().chain(to_buy) {
        if view.reject(model, state, option, slot).is_some() {
            continue;
        }
        let extra = machine_cost(model, state, option, slot) + egress.delta(model, state, model.options[option].site);
        if left.is_some_and(|left| extra > left) {
            continue;
        }
        let score = policy.score(&choice(model, state, replica, option, slot, extra));
        ranked.push(Ranked {
            option,
            slot,
            score,
            extra,
        });
    }
    // What is open stands first in the list and the sort is stable: that breaks ties.
    ranked.sort_by(|a, b| a.score.compare(&b.score));
    Survey { ranked }
}

/// What a machine adds to the month's bill when one more replica goes there: nothing once another pays it.
pub(crate) fn machine_cost(model: &Model<'_>, state: &State, option: usize, slot: Option<usize>) -> i128 {
    let paid = slot.is_some_and(|s| !state.slots[s].residents.is_empty());
    if paid {
        0
    } else {
        i128::from(model.options[option].price.as_micros()) * HOURS
    }
}

/// The first filter that rejects an option for `replica`, counting the budget as the last.
pub(crate) fn reject_with_budget(
    model: &Model<'_>,
    state: &mut State,
    view: &View,
    egress: &mut EgressAt,
    (option, slot): (usize, Option<usize>),
    left: Option<i128>,
) -> Option<Filter> {
    let rejected = view.reject(model, state, option, slot);
    rejected.or_else(|| {
        let left = left?;
        let extra = machine_cost(model, state, option, slot) + egress.delta(model, state, model.options[option].site);
        (extra > left).then_some(Filter::Budget)
    })
}

/// What the manifest's budget still allows per month; `None`: there is no budget.
pub(crate) fn budget_left(model: &Model<'_>, state: &State) -> Option<i128> {
    let budget = model.problem.manifest.budget?;
    Some(i128::from(budget.per_month.as_micros()) - state.total_per_month(model))
}

/// The facts of one option.
pub(crate) fn choice<'m>(
    model: &'m Model<'_>,
    state: &State,
    replica: usize,
    option: usize,
    slot: Option<usize>,
    extra: i128,
) -> Choice<'m> {
    let service = model.service_of[replica];
    let opt = &model.options[option];
    let load_before = slot.map_or(0.0, |s| load(model, state, s));
    let peers = |matches: &dyn Fn(usize) -> bool| {
        let counts = state.counts[service].iter().filter(|(site, _)| matches(*site));
        counts.map(|(_, n)| n).sum::<u32>()
    };
    let peers_on_machine = slot.map_or(0, |s| {
        // Replicas of a service have neighbouring numbers, and residents are sorted.
        let residents = &state.slots[s].residents;
        let first = residents.partition_point(|r| model.service_of[*r] < service);
        let same = residents[first..]
            .iter()
            .take_while(|r| model.service_of[**r] == service);
        u32::try_from(same.count()).unwrap_or(u32::MAX)
    });
    let ordinal = slot
        .filter(|s| *s >= model.node_count)
        .map_or(0, |s| (s as u64).rotate_left(32));
    Choice {
        replica: &model.replicas[replica],
        option: opt.hash ^ ordinal,
        open: slot.is_some(),
        extra_per_month: MicroUsd::from_micros(i64::try_from(extra).unwrap_or(i64::MAX)),
        load_before,
        load_after: load_before + dominant(model, option, service),
        room_after: room_after(model, state, service, option, slot),
        peers_on_machine,
        peers_in_zone: peers(&|site| site == opt.site),
        peers_in_region: peers(&|site| model.sites[site].region == opt.region),
    }
}

/// Utilisation of a slot: measured where known, plus what this decision adds; else requested over capacity.
fn load(model: &Model<'_>, state: &State, slot: usize) -> f64 {
    let option = state.slots[slot].option;
    let opt = &model.options[option];
    match opt.node.and_then(|n| n.utilisation) {
        Some(measured) => {
            let added = state.slots[slot]
                .residents
                .iter()
                .filter(|r| model.home[**r] != Some(slot));
            measured.get()
                + added
                    .map(|r| dominant(model, option, model.service_of[*r]))
                    .sum::<f64>()
        }
        None => {
            let share = |d: Dimension| ratio(state.slots[slot].used.get(d), opt.capacity.get(d));
            Dimension::ALL.into_iter().map(share).fold(0.0, f64::max)
        }
    }
}

/// Dominant share of one replica of a service on a machine.
fn dominant(model: &Model<'_>, option: usize, service: usize) -> f64 {
    let (request, capacity) = (model.request(service), &model.options[option].capacity);
    Dimension::ALL
        .into_iter()
        .map(|d| ratio(request.get(d), capacity.get(d)))
        .fold(0.0, f64::max)
}

/// Mean over the machine's dimensions of what remains free with one more replica of a service.
fn room_after(model: &Model<'_>, state: &State, service: usize, option: usize, slot: Option<usize>) -> f64 {
    let (request, capacity) = (model.request(service), &model.options[option].capacity);
    let there = Dimension::ALL.into_iter().filter(|d| capacity.get(*d) > 0);
    let (mut sum, mut count) = (0.0, 0.0);
    for dimension in there {
        let used = slot
            .map_or(0, |s| state.slots[s].used.get(dimension))
            .saturating_add(request.get(dimension));
        sum += 1.0 - ratio(used, capacity.get(dimension));
        count += 1.0;
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { wide(part) / wide(whole) }
}

/// Which services are placed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// What others must be near, the larger before the smaller.
    Targets,
    /// The larger before the smaller, whatever the rules.
    Largest,
    /// What must be near others.
    Dependents,
    /// One replica of each service, then the next of each; what must be spread or kept apart leads each round. So that
    /// machines carry one of each, where two of one kind would waste them.
    Rounds,
}

/// The replicas of `todo` in that order.
pub(crate) fn ordered(model: &Model<'_>, order: Order, todo: &[usize]) -> Vec<usize> {
    let size = |s: usize| {
        let least = model.services[s].buyable.first().map(|o| model.options[*o].price);
        let request = model.request(s);
        (least, request.gpu, request.cpu, request.memory, request.disk)
    };
    let mut left: Vec<usize> = (0..model.services.len()).collect();
    let free = |s: usize| order == Order::Rounds && model.services[s].spec.spread.is_empty() && !apart(model, s);
    left.sort_by(|a, b| free(*a).cmp(&free(*b)).then(size(*b).cmp(&size(*a))).then(a.cmp(b)));
    let mut rank = vec![0; model.services.len()];
    for position in 0..rank.len() {
        let linked = |s: usize| {
            let spec = &model.services[s];
            let targets = spec
                .latency
                .iter()
                .map(|(to, _)| *to)
                .chain(spec.affinity.iter().map(|(to, _)| *to));
            let sources = spec
                .latency_from
                .iter()
                .map(|(f, _)| *f)
                .chain(spec.affinity_from.iter().map(|(f, _)| *f));
            let mut others: Vec<usize> = match order {
                Order::Targets => targets.collect(),
                Order::Dependents => sources.collect(),
                Order::Largest | Order::Rounds => Vec::new(),
            };
            others.retain(|o| *o != s);
            others
        };
        let next = left.iter().position(|s| linked(*s).iter().all(|o| !left.contains(o)));
        let service = left.remove(next.unwrap_or(0));
        rank[service] = position;
    }
    let mut replicas = todo.to_vec();
    replicas.sort_by_key(|r| {
        let service = model.service_of[*r];
        let round = if order == Order::Rounds {
            r - model.services[service].first
        } else {
            0
        };
        (round, rank[service], *r)
    });
    replicas
}

/// Whether no two replicas of a service may share a machine.
fn apart(model: &Model<'_>, service: usize) -> bool {
    model.services[service].conflicts.binary_search(&service).is_ok()
}

/// Places each of `todo` where the policy's score is lowest, within the budget; `on_choice` sees each survey before the
/// first of it is taken. What fits nowhere stays out.
pub(crate) fn one_pass(
    model: &Model<'_>,
    state: &mut State,
    todo: &[usize],
    policy: &dyn Policy,
    work: &mut Effort<'_>,
    mut on_choice: impl FnMut(&State, usize, &Survey),
) {
    for &replica in todo {
        let left = budget_left(model, state);
        let survey = survey(model, state, replica, policy, left, work);
        if let Some(best) = survey.ranked.first() {
            on_choice(state, replica, &survey);
            let slot = best.slot.unwrap_or_else(|| state.open(model, best.option));
            state.add(model, replica, slot);
        }
    }
}
