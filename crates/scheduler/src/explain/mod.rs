//! Why each replica is where it is, why others are nowhere, and what stopped every option that nobody took.
//!
//! Texts name what was asked and what was there. They are made after the decision and never change it.

mod detail;
mod judge;
mod reasons;
mod why;

use std::collections::BTreeMap;

use skyloom_core::{
    Candidate, Dimension, Explanation, Filter, Link, MachineId, MicroUsd, Rejection, RunnerUp, ServiceName, Site,
    Unplaced,
};

use crate::construct::{Ranked, Survey, budget_left, survey};
use crate::effort::Effort;
use crate::model::Model;
use crate::policy::{Policy, Score};
use crate::state::State;
use detail::detail;
use judge::{Place, judge, rejections_of};

pub(crate) use reasons::reasons;
pub use reasons::{Part, Reasons, Rejected, Scored};
pub use why::{Answer, Question, Verdict, Wanted, WantedError, WhyError, why};

/// What a choice looked like when it was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) best: Ranked,
    pub(crate) second: Option<Ranked>,
    pub(crate) feasible: u32,
}

impl Taken {
    /// Of a survey with at least one feasible option.
    ///
    /// # Panics
    /// When nothing is feasible, which callers exclude.
    pub(crate) fn of(model: &Model<'_>, survey: &Survey) -> Self {
        let best = *survey
            .ranked
            .first()
            .expect("invariant: asked only after a choice was made");
        Self::with_chosen(model, survey, best)
    }

    fn with_chosen(model: &Model<'_>, survey: &Survey, best: Ranked) -> Self {
        let second = survey.ranked.iter().find(|r| !r.same_as(&best, model)).copied();
        let feasible = u32::try_from(survey.ranked.len()).unwrap_or(u32::MAX);
        Self { best, second, feasible }
    }
}

/// What the explanation is made from besides the state.
pub(crate) struct Report<'r> {
    pub(crate) policy: &'r dyn Policy,
    pub(crate) ids: &'r BTreeMap<usize, MachineId>,
    pub(crate) pinned: &'r [bool],
    pub(crate) taken: &'r BTreeMap<usize, Taken>,
    pub(crate) settled: &'r BTreeMap<usize, Filter>,
    pub(crate) fell_back: bool,
}

type Explained = (Vec<Explanation>, Vec<Unplaced>, BTreeMap<ServiceName, Vec<Rejection>>);

/// Explanations of the placed, reasons of the unplaced, rejections per service. The state is unchanged afterwards.
pub(crate) fn explain(model: &Model<'_>, state: &mut State, report: &Report<'_>) -> Explained {
    let mut explanations = Vec::new();
    let mut unplaced = Vec::new();
    // Replicas of one service on one machine have the same options.
    let mut known: BTreeMap<(usize, usize), Taken> = BTreeMap::new();
    let mut counted: BTreeMap<usize, Tally> = BTreeMap::new();
    for replica in 0..model.replicas.len() {
        let service = model.service_of[replica];
        match state.at[replica] {
            Some(slot) => {
                let taken = report.taken.get(&replica).copied();
                let taken = taken.unwrap_or_else(|| {
                    *known
                        .entry((service, slot))
                        .or_insert_with(|| in_hindsight(model, state, replica, report.policy))
                });
                explanations.push(explanation(model, report, replica, slot, &taken));
            }
            None => {
                let tally = counted.entry(service).or_insert_with(|| tally(model, state, replica));
                let settled = report.settled.get(&replica).copied();
                let entry = unplaced_entry(model, replica, tally, settled);
                // The root of it is elsewhere: everything else that could be said of this one would mislead.
                let root = homeless_target(model, state, service);
                unplaced.push(match root {
                    Some((filter, reason)) => Unplaced {
                        filter,
                        reason,
                        ..entry
                    },
                    None => entry,
                });
            }
        }
    }
    let rejections = (0..model.services.len())
        .map(|s| {
            (
                model.services[s].spec.name.clone(),
                rejections_of(model, state, s, report.ids),
            )
        })
        .collect();
    (explanations, unplaced, rejections)
}

/// How a replica's place compares with all others, everything else staying where it is.
fn in_hindsight(model: &Model<'_>, state: &mut State, replica: usize, policy: &dyn Policy) -> Taken {
    let slot = state
        .remove(model, replica)
        .expect("invariant: asked for placed replicas only");
    let left = budget_left(model, state);
    let option = state.slots[slot].option;
    let there = slot < model.node_count || !state.slots[slot].residents.is_empty();
    let survey = survey(model, state, replica, policy, left, &mut Effort::units(u64::MAX));
    let here = |r: &&Ranked| {
        if there {
            r.slot == Some(slot)
        } else {
            r.slot.is_none() && r.option == option
        }
    };
    let fallback = Ranked {
        option,
        slot: there.then_some(slot),
        score: Score([0.0; 4]),
        extra: 0,
    };
    let chosen = survey.ranked.iter().find(here).copied().unwrap_or(fallback);
    state.add(model, replica, slot);
    Taken::with_chosen(model, &survey, chosen)
}

fn explanation(model: &Model<'_>, report: &Report<'_>, replica: usize, slot: usize, taken: &Taken) -> Explanation {
    let parts = report.policy.parts();
    let chosen = candidate(model, taken.best.option, report.ids.get(&slot));
    let usd = |extra: i128| MicroUsd::from_micros(i64::try_from(extra).unwrap_or(i64::MAX));
    let because = if report.pinned[replica] {
        "it runs there already and still satisfies every rule".to_owned()
    } else if report.fell_back {
        "the policy's own choices would exceed the budget, so the cheapest was taken".to_owned()
    } else if report.policy.minimises_cost() {
        let joined = taken.best.slot.is_some() && taken.best.extra == 0;
        if joined {
            "it joins a machine that others pay, at no extra cost".to_owned()
        } else {
            format!(
                "it adds {} per month, and nothing cheaper was found for the whole",
                usd(taken.best.extra)
            )
        }
    } else {
        format!(
            "lowest {}: {:.4}",
            parts[deciding(taken)],
            taken.best.score.0[deciding(taken)]
        )
    };
    let runner_up = taken.second.map(|second| RunnerUp {
        candidate: candidate(model, second.option, second.slot.and_then(|s| report.ids.get(&s))),
        lost_because: lost_because(&parts, taken.best, second),
    });
    Explanation {
        replica: model.replicas[replica].clone(),
        chosen,
        because,
        runner_up,
        feasible: taken.feasible,
    }
}

/// The part of the score that separated the best from the second.
fn deciding(taken: &Taken) -> usize {
    taken
        .second
        .and_then(|s| taken.best.score.first_difference(&s.score))
        .unwrap_or(0)
}

fn lost_because(parts: &[&str; 4], best: Ranked, second: Ranked) -> String {
    let usd = |micros: i128| MicroUsd::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
    match best.score.first_difference(&second.score) {
        None => "it is as good in every respect; the chosen one comes first by name".to_owned(),
        Some(part) if parts[part].contains("USD") => {
            let (more, than) = (
                second.extra - best.extra,
                if second.extra >= best.extra { "more" } else { "less" },
            );
            format!(
                "it would add {} per month, {} {than} than the chosen one",
                usd(second.extra),
                usd(more.abs())
            )
        }
        Some(part) => {
            format!(
                "its {} is {:.4} against {:.4}",
                parts[part], second.score.0[part], best.score.0[part]
            )
        }
    }
}

fn candidate(model: &Model<'_>, option: usize, machine: Option<&MachineId>) -> Candidate {
    let opt = &model.options[option];
    if let Some(node) = opt.node {
        return Candidate {
            machine: Some(node.machine.id.clone()),
            site: node.machine.site.clone(),
            instance: node.machine.instance.clone(),
            purchase: opt.purchase,
            price: opt.price,
        };
    }
    let offer = opt.offer.expect("invariant: an option is a machine or an offer");
    Candidate {
        machine: machine.cloned(),
        site: Site {
            region: offer.key.region.clone(),
            zone: model.sites[opt.site].zone.cloned(),
        },
        instance: offer.key.instance.clone(),
        purchase: opt.purchase,
        price: opt.price,
    }
}

/// Options of a replica that is nowhere, counted by the first filter that rejects each.
struct Tally {
    counts: BTreeMap<Filter, u32>,
    /// Of the last filter in their order: what was asked and what there was at best.
    last: Option<(Filter, String)>,
}

fn tally(model: &Model<'_>, state: &mut State, replica: usize) -> Tally {
    let service = model.service_of[replica];
    let judged = judge(model, state, service, replica);
    let mut counts = BTreeMap::new();
    for (_, filter) in judged.iter().filter_map(|(j, f)| f.map(|f| (j, f))) {
        *counts.entry(filter).or_insert(0u32) += 1;
    }
    let last = counts.keys().next_back().copied();
    let last = last.and_then(|last| {
        let rejected = judged.iter().filter(|(_, f)| *f == Some(last)).map(|(place, _)| *place);
        let dimension = Dimension::ALL.into_iter().find(|d| Filter::from(*d) == last);
        let room = |place: &Place| dimension.map_or(0, |d| model.options[place.option].capacity.get(d));
        let closest = rejected.rev().max_by_key(room)?;
        Some((last, detail(model, state, service, closest, last)))
    });
    Tally { counts, last }
}

fn unplaced_entry(model: &Model<'_>, replica: usize, tally: &Tally, settled: Option<Filter>) -> Unplaced {
    let spec = model.services[model.service_of[replica]].spec;
    let (filter, reason) = match (settled, &tally.last) {
        (Some(filter), _) => (
            filter,
            format!("its {filter} rule cannot be met by where the other replicas are"),
        ),
        (None, Some((filter, detail))) => {
            let counts: Vec<String> = tally.counts.iter().map(|(f, n)| format!("{n} by {f}")).collect();
            (
                *filter,
                format!(
                    "no option is left for {}: {detail}; rejected {}",
                    spec.resources,
                    counts.join(", ")
                ),
            )
        }
        (None, None) => (Filter::Place, "there is no machine and no offer to buy one".to_owned()),
    };
    Unplaced {
        replica: model.replicas[replica].clone(),
        filter,
        reason,
        rejected: tally.counts.clone(),
    }
}

/// A service that this one must be near and that has no place itself.
fn homeless_target(model: &Model<'_>, state: &State, service: usize) -> Option<(Filter, String)> {
    let spec = model.services[service].spec;
    let near = spec.latency.iter().filter_map(|limit| match &limit.to {
        Link::Service(name) => Some((name, Filter::Latency)),
        Link::Data(_) | Link::Internet => None,
    });
    let beside = spec
        .affinity
        .iter()
        .map(|affinity| (&affinity.service, Filter::Affinity));
    let homeless = |name: &ServiceName| {
        let target = model.services.iter().position(|other| other.spec.name == *name);
        target.is_some_and(|target| target != service && state.placed_of(model, target).next().is_none())
    };
    let (name, filter) = near.chain(beside).find(|(name, _)| homeless(name))?;
    Some((filter, format!("`{name}`, which it must be near, has no place itself")))
}
