//! A decision's reasons, folded: one entry per class of equal replicas, one line per filter, so that they stay small
//! whatever the catalogue holds. Asking after one option is `why`'s.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Candidate, Explanation, Filter, MachineId, MicroUsd, Placement, ReplicaId, RunnerUp, ServiceName};

use super::candidate;
use super::detail::detail;
use super::judge::{Place, judge};
use crate::construct::{Ranked, budget_left, survey};
use crate::effort::Effort;
use crate::model::Model;
use crate::policy::Policy;
use crate::state::State;

/// Feasible options named per class, the best first; the rest is counted.
const NAMED_MAX: usize = 4;

/// Classes explained; a decision with more (as many services as this, each on its own type) counts the rest with none.
const CLASSES_MAX: usize = 512;

/// Why replicas of one service that are on machines of one kind are there, or why they are nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reasons {
    /// Which service.
    pub service: ServiceName,
    /// How many replicas this says it of.
    pub replicas: u32,
    /// The first of them, through whose eyes the options are judged, everything else staying where it is.
    pub first: ReplicaId,
    /// Where it is; `None`: nowhere.
    pub chosen: Option<Candidate>,
    /// The reason in one sentence.
    pub because: String,
    /// The best option that was not taken.
    pub runner_up: Option<RunnerUp>,
    /// Machines and offers (an offer's zones counted once) that pass every filter.
    pub feasible: u32,
    /// The best of those, at most four, the best first, with the parts of their scores.
    pub best: Vec<Scored>,
    /// All others, by the first filter that rejects each.
    pub rejected: BTreeMap<Filter, Rejected>,
}

/// Options that one filter rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// How many machines and offers.
    pub options: u32,
    /// The cheapest of them.
    pub cheapest: Candidate,
    /// What it lacks.
    pub detail: String,
}

/// A feasible option with its score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// Which.
    pub candidate: Candidate,
    /// What taking it adds to the month's bill, everything else staying where it is.
    pub extra_per_month: MicroUsd,
    /// The parts of its score by the policy, compared one after the other, lower being better.
    pub parts: Vec<Part>,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it is, by the policy.
    pub name: String,
    /// Its value.
    pub value: f64,
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Some(chosen) => writeln!(f, "{} of `{}` on {chosen}", self.replicas, self.service)?,
            None => writeln!(f, "{} of `{}` nowhere", self.replicas, self.service)?,
        }
        writeln!(f, "  because {}", self.because)?;
        if let Some(runner_up) = &self.runner_up {
            writeln!(f, "  runner-up {}: {}", runner_up.candidate, runner_up.lost_because)?;
        }
        write!(f, "  {} options pass every filter", self.feasible)?;
        for (filter, rejected) in &self.rejected {
            write!(
                f,
                "\n  {} rejected by {filter}; the cheapest, {}, {}",
                rejected.options, rejected.cheapest, rejected.detail
            )?;
        }
        Ok(())
    }
}

/// The reasons of a finished decision, sorted by service and first replica. The state is unchanged afterwards.
pub(crate) fn reasons(
    model: &Model<'_>,
    state: &mut State,
    policy: &dyn Policy,
    ids: &BTreeMap<usize, MachineId>,
    placement: &Placement,
) -> Vec<Reasons> {
    let mut classes: BTreeMap<(usize, Option<usize>), (usize, u32)> = BTreeMap::new();
    for replica in 0..model.replicas.len() {
        let kind = state.at[replica].map(|slot| model.options[state.slots[slot].option].group);
        let class = classes.entry((model.service_of[replica], kind)).or_insert((replica, 0));
        class.1 += 1;
    }
    let mut firsts: Vec<(usize, u32)> = classes.into_values().collect();
    firsts.sort_unstable();
    firsts.truncate(CLASSES_MAX);
    let class = |(first, replicas): (usize, u32)| {
        let mut reasons = reasons_of(model, state, policy, ids, first, replicas);
        match explanation_of(placement, &reasons.first) {
            Ok(explanation) => {
                reasons.chosen = Some(explanation.chosen.clone());
                reasons.because.clone_from(&explanation.because);
                reasons.runner_up.clone_from(&explanation.runner_up);
            }
            Err(reason) => reasons.because = reason,
        }
        reasons
    };
    firsts.into_iter().map(class).collect()
}

/// The explanation of a placed replica, or the reason why it has no place.
fn explanation_of<'p>(placement: &'p Placement, replica: &ReplicaId) -> Result<&'p Explanation, String> {
    let at = placement.explanations.binary_search_by(|e| e.replica.cmp(replica));
    at.map(|at| &placement.explanations[at]).map_err(|_| {
        let unplaced = placement.unplaced.iter().find(|u| u.replica == *replica);
        unplaced.map_or_else(String::new, |u| u.reason.clone())
    })
}

fn reasons_of(
    model: &Model<'_>,
    state: &mut State,
    policy: &dyn Policy,
    ids: &BTreeMap<usize, MachineId>,
    first: usize,
    replicas: u32,
) -> Reasons {
    let service = model.service_of[first];
    let slot = state.remove(model, first);
    let mut rejected: BTreeMap<Filter, (u32, Place)> = BTreeMap::new();
    let mut feasible = 0;
    let price = |place: &Place| model.options[place.option].price;
    for (place, filter) in judge(model, state, service, first) {
        let Some(filter) = filter else {
            feasible += 1;
            continue;
        };
        let entry = rejected.entry(filter).or_insert((0, place));
        entry.0 += 1;
        if price(&place) < price(&entry.1) {
            entry.1 = place;
        }
    }
    let named = |place: &Place| candidate(model, place.option, place.slot.and_then(|s| ids.get(&s)));
    let rejected = rejected.into_iter().map(|(filter, (options, place))| {
        let rejected = Rejected {
            options,
            cheapest: named(&place),
            detail: detail(model, state, service, place, filter),
        };
        (filter, rejected)
    });
    let rejected = rejected.collect();
    let best = best(model, state, policy, ids, first);
    if let Some(slot) = slot {
        state.add(model, first, slot);
    }
    Reasons {
        service: model.services[service].spec.name.clone(),
        replicas,
        first: model.replicas[first].clone(),
        chosen: None,
        because: String::new(),
        runner_up: None,
        feasible,
        best,
        rejected,
    }
}

/// The best feasible options, each offer once.
fn best(
    model: &Model<'_>,
    state: &mut State,
    policy: &dyn Policy,
    ids: &BTreeMap<usize, MachineId>,
    replica: usize,
) -> Vec<Scored> {
    let left = budget_left(model, state);
    let survey = survey(model, state, replica, policy, left, &mut Effort::units(u64::MAX));
    let mut shown: Vec<Ranked> = Vec::new();
    for ranked in survey.ranked {
        if shown.len() == NAMED_MAX {
            break;
        }
        if !shown.iter().any(|known| known.same_as(&ranked, model)) {
            shown.push(ranked);
        }
    }
    shown.iter().map(|ranked| scored(model, policy, ids, ranked)).collect()
}

/// A ranked option as data.
pub(super) fn scored(
    model: &Model<'_>,
    policy: &dyn Policy,
    ids: &BTreeMap<usize, MachineId>,
    ranked: &Ranked,
) -> Scored {
    let parts = policy.parts().into_iter().zip(ranked.score.0);
    Scored {
        candidate: candidate(model, ranked.option, ranked.slot.and_then(|s| ids.get(&s))),
        extra_per_month: MicroUsd::from_micros(i64::try_from(ranked.extra).unwrap_or(i64::MAX)),
        parts: parts
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| Part {
                name: name.to_owned(),
                value,
            })
            .collect(),
    }
}
