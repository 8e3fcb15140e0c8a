//! "Why not that one?": the verdict on any machine or offer for any replica of a finished placement.
//!
//! Everything else stays where the placement has it. The same filters and the same score answer as when the decision was
//! made, so the answer cannot disagree with it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Candidate, Class, Filter, InstanceType, MachineId, MicroUsd, Placement, Purchase, RegionKey, ReplicaId, ZoneName,
};
use thiserror::Error;

use super::detail::detail;
use super::judge::Place;
use super::reasons::{Part, scored};
use super::{candidate, lost_because};
use crate::construct::{EgressAt, Ranked, budget_left, choice, machine_cost, reject_with_budget};
use crate::model::Model;
use crate::policy::Policy;
use crate::problem::{PlaceConfig, PlaceError, Problem};
use crate::rules::View;
use crate::state::State;

/// An option that is asked after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// A machine that is there, or that the placement buys.
    Machine(MachineId),
    /// A new machine of a type.
    Offer {
        /// Where.
        region: RegionKey,
        /// In which zone; `None`: in whichever gets furthest.
        zone: Option<ZoneName>,
        /// Its type.
        instance: InstanceType,
        /// How it is paid; `None`: in whichever way gets furthest.
        purchase: Option<Purchase>,
    },
}

/// The text does not name an option.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read `{text}` as an option: expected a machine's id or `cloud/region[:zone] type [spot|on-demand]`")]
pub struct WantedError {
    /// What was given (cut to a printable length).
    pub text: String,
}

impl FromStr for Wanted {
    type Err = WantedError;

    /// `m-1-2`, or `aws/eu-west-1 m7g.large`, with `:zone` behind the region and `spot` or `on-demand` behind the type.
    fn from_str(text: &str) -> Result<Self, WantedError> {
        let wrong = || WantedError {
            text: text.chars().take(80).collect(),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (place, instance, purchase) = match words.as_slice() {
            [machine] => return MachineId::new(*machine).map(Self::Machine).map_err(|_| wrong()),
            [place, instance] => (place, instance, None),
            [place, instance, "spot"] => (place, instance, Some(Purchase::Spot)),
            [place, instance, "on-demand"] => (place, instance, Some(Purchase::OnDemand)),
            _ => return Err(wrong()),
        };
        let (region, zone) = place.split_once(':').map_or((*place, None), |(r, z)| (r, Some(z)));
        Ok(Self::Offer {
            region: region.parse().map_err(|_| wrong())?,
            zone: zone.map(str::parse).transpose().map_err(|_| wrong())?,
            instance: instance.parse().map_err(|_| wrong())?,
            purchase,
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(id) => write!(f, "{id}"),
            Self::Offer {
                region,
                zone,
                instance,
                purchase,
            } => {
                write!(f, "{region}")?;
                zone.as_ref().map_or(Ok(()), |zone| write!(f, ":{zone}"))?;
                write!(f, " {instance}")?;
                purchase.map_or(Ok(()), |purchase| write!(f, " {purchase}"))
            }
        }
    }
}

/// A replica and an option for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Which replica.
    pub replica: ReplicaId,
    /// Which option.
    pub option: Wanted,
}

/// What is to be said of an option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// The replica is there.
    Chosen {
        /// The parts of its score, everything else staying where it is.
        parts: Vec<Part>,
    },
    /// It passes every filter, and another was preferred.
    Feasible {
        /// What taking it would add to the month's bill, everything else staying where it is.
        extra_per_month: MicroUsd,
        /// The parts of its score, compared one after the other, lower being better.
        parts: Vec<Part>,
        /// The same of where the replica is; empty where it is nowhere.
        chosen: Vec<Part>,
        /// The difference that decided, in words.
        because: String,
    },
    /// A hard rule forbids it.
    Rejected {
        /// The first filter that rejects it.
        filter: Filter,
        /// What was asked and what is there.
        detail: String,
    },
}

/// A question's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// Which replica.
    pub replica: ReplicaId,
    /// The option; of several zones or ways to pay the one that gets furthest.
    pub candidate: Candidate,
    /// The verdict on it.
    pub verdict: Verdict,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            replica,
            candidate,
            verdict,
        } = self;
        match verdict {
            Verdict::Chosen { .. } => write!(f, "{replica} is on {candidate}"),
            Verdict::Feasible { because, .. } => write!(f, "{replica} could be on {candidate}, but {because}"),
            Verdict::Rejected { filter, detail } => {
                write!(f, "{replica} cannot be on {candidate} by the {filter} rule: {detail}")
            }
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WhyError {
    /// The problem contradicts itself.
    #[error(transparent)]
    Problem(#[from] PlaceError),
    /// The manifest asks for no such replica.
    #[error("find replica `{replica}` in the manifest")]
    NoSuchReplica {
        /// Which.
        replica: ReplicaId,
    },
    /// There is no such machine, and no such type for sale there.
    #[error("find `{option}` among the machines and offers")]
    NoSuchOption {
        /// What was asked after.
        option: String,
    },
    /// The placement was made from another problem.
    #[error("find `{what}` of the placement in the problem")]
    OtherProblem {
        /// A machine or replica of the placement.
        what: String,
    },
}

impl WhyError {
    /// What kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Problem(error) => error.class(),
            Self::NoSuchReplica { .. } | Self::NoSuchOption { .. } => Class::NotFound,
            Self::OtherProblem { .. } => Class::Conflict,
        }
    }
}

/// What is to be said of one option for one replica, everything else staying where `placement` has it.
///
/// `policy` and `config` are those of the decision. For a policy that decides replica by replica the scores are those of
/// the finished placement, not of the moment of the choice.
///
/// ```
/// use skyloom_core::{Placement};
/// use skyloom_scheduler::{Cheapest, PlaceConfig, Problem, Question, WhyError, why};
///
/// # fn ask(problem: &Problem<'_>, placement: &Placement) -> Result<(), Box<dyn std::error::Error>> {
/// let question = Question { replica: "frontend/0".parse()?, option: "aws/eu-west-1 m7g.large".parse()? };
/// println!("{}", why(problem, &Cheapest, &PlaceConfig::new(), placement, &question)?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// - [`WhyError::Problem`]: the problem contradicts itself.
/// - [`WhyError::NoSuchReplica`], [`WhyError::NoSuchOption`]: the question names something that is not there.
/// - [`WhyError::OtherProblem`]: the placement does not belong to the problem.
pub fn why(
    problem: &Problem<'_>,
    policy: &dyn Policy,
    config: &PlaceConfig,
    placement: &Placement,
    question: &Question,
) -> Result<Answer, WhyError> {
    let model = Model::build(problem, config)?;
    let (mut state, ids) = restored(&model, placement)?;
    let replica = model.replicas.binary_search(&question.replica);
    let replica = replica.map_err(|_| WhyError::NoSuchReplica {
        replica: question.replica.clone(),
    })?;
    let places = places(&model, &state, &ids, &question.option);
    let home = state.remove(&model, replica);
    let here = home.map(|slot| {
        let open = slot < model.node_count || !state.slots[slot].residents.is_empty();
        Place {
            option: state.slots[slot].option,
            slot: open.then_some(slot),
        }
    });
    let mut judge = Judge {
        view: View::new(&model, &state, replica),
        egress: EgressAt::new(&model, &state, model.service_of[replica]),
        left: budget_left(&model, &state),
        model: &model,
        state: &mut state,
        policy,
        replica,
    };
    let chosen = here.map(|here| judge.ranked(here));
    let judged = places.into_iter().map(|place| {
        let place = match home {
            // Its machine was opened for it alone: without it, it is one that could be bought.
            Some(slot) if place.slot == Some(slot) => here.unwrap_or(place),
            _ => place,
        };
        (judge.rejected(place), place)
    });
    let judged: Vec<(Option<Filter>, Place)> = judged.collect();
    let furthest = judged.into_iter().map(|(filter, place)| {
        let ranked = judge.ranked(place);
        (filter, place, ranked)
    });
    let order = |a: &(Option<Filter>, Place, Ranked), b: &(Option<Filter>, Place, Ranked)| {
        let rejected = a.0.is_some().cmp(&b.0.is_some());
        let later = b.0.cmp(&a.0);
        let not_here = (Some(a.1) != here).cmp(&(Some(b.1) != here));
        rejected.then(not_here).then(later).then(a.2.score.compare(&b.2.score))
    };
    let best = furthest.min_by(order).ok_or_else(|| WhyError::NoSuchOption {
        option: question.option.to_string(),
    })?;
    Ok(answer(
        &model,
        judge.state,
        policy,
        &ids,
        question,
        best,
        here.zip(chosen),
    ))
}

/// What is needed to judge options of one replica.
struct Judge<'j, 'm> {
    model: &'j Model<'m>,
    state: &'j mut State,
    view: View,
    egress: EgressAt,
    left: Option<i128>,
    policy: &'j dyn Policy,
    replica: usize,
}

impl Judge<'_, '_> {
    fn rejected(&mut self, place: Place) -> Option<Filter> {
        let option = (place.option, place.slot);
        reject_with_budget(self.model, self.state, &self.view, &mut self.egress, option, self.left)
    }

    fn ranked(&mut self, place: Place) -> Ranked {
        let site = self.model.options[place.option].site;
        let extra = machine_cost(self.model, self.state, place.option, place.slot)
            + self.egress.delta(self.model, self.state, site);
        let facts = choice(self.model, self.state, self.replica, place.option, place.slot, extra);
        Ranked {
            option: place.option,
            slot: place.slot,
            score: self.policy.score(&facts),
            extra,
        }
    }
}

fn answer(
    model: &Model<'_>,
    state: &State,
    policy: &dyn Policy,
    ids: &BTreeMap<usize, MachineId>,
    question: &Question,
    (filter, place, ranked): (Option<Filter>, Place, Ranked),
    chosen: Option<(Place, Ranked)>,
) -> Answer {
    let of = scored(model, policy, ids, &ranked);
    let same_kind = |here: Place| here == place;
    let verdict = match (filter, chosen) {
        (_, Some((here, _))) if same_kind(here) => Verdict::Chosen { parts: of.parts },
        (Some(filter), _) => {
            let service = state_service(model, question);
            Verdict::Rejected {
                filter,
                detail: detail(model, state, service, place, filter),
            }
        }
        (None, chosen) => {
            let because = chosen.map_or_else(
                || "the search found it no place there".to_owned(),
                |(_, chosen)| lost_because(&policy.parts(), chosen, ranked),
            );
            Verdict::Feasible {
                extra_per_month: of.extra_per_month,
                parts: of.parts,
                chosen: chosen.map_or_else(Vec::new, |(_, chosen)| scored(model, policy, ids, &chosen).parts),
                because,
            }
        }
    };
    Answer {
        replica: question.replica.clone(),
        candidate: candidate(model, place.option, place.slot.and_then(|s| ids.get(&s))),
        verdict,
    }
}

fn state_service(model: &Model<'_>, question: &Question) -> usize {
    let at = model.replicas.binary_search(&question.replica).unwrap_or_default();
    model.service_of[at]
}

/// The options that a question means.
fn places(model: &Model<'_>, state: &State, ids: &BTreeMap<usize, MachineId>, wanted: &Wanted) -> Vec<Place> {
    match wanted {
        Wanted::Machine(id) => {
            let there = (0..model.node_count).filter(|n| model.options[*n].node.is_some_and(|n| n.machine.id == *id));
            let opened = ids.iter().filter(|(_, known)| *known == id).map(|(slot, _)| *slot);
            let place = |slot: usize| Place {
                option: state.slots[slot].option,
                slot: Some(slot),
            };
            there.chain(opened).take(1).map(place).collect()
        }
        Wanted::Offer {
            region,
            zone,
            instance,
            purchase,
        } => {
            let meant = |option: &usize| {
                let option = &model.options[*option];
                option.offer.is_some_and(|offer| offer.key.instance == *instance)
                    && model.regions[option.region].key == region
                    && purchase.is_none_or(|only| only == option.purchase)
                    && (zone.is_none() || model.sites[option.site].zone == zone.as_ref())
            };
            let options = (model.node_count..model.options.len()).filter(meant);
            options.map(|option| Place { option, slot: None }).collect()
        }
    }
}

/// The state that a placement describes, and the names of its slots.
fn restored(model: &Model<'_>, placement: &Placement) -> Result<(State, BTreeMap<usize, MachineId>), WhyError> {
    let mut state = State::new(model);
    let mut ids: BTreeMap<usize, MachineId> = BTreeMap::new();
    let mut slots: BTreeMap<&MachineId, usize> = BTreeMap::new();
    for assignment in &placement.assignments {
        let other = |what: String| WhyError::OtherProblem { what };
        let replica = model.replicas.binary_search(&assignment.replica);
        let replica = replica.map_err(|_| other(assignment.replica.to_string()))?;
        let slot = match slots.get(&assignment.machine) {
            Some(slot) => *slot,
            None => {
                let option = option_of(model, placement, &assignment.machine);
                let option = option.ok_or_else(|| other(assignment.machine.to_string()))?;
                if option < model.node_count {
                    option
                } else {
                    state.open(model, option)
                }
            }
        };
        let request = model.request(model.service_of[replica]);
        if state.at[replica].is_some() || state.lacks(model, slot, request).is_some() {
            return Err(other(assignment.replica.to_string()));
        }
        slots.insert(&assignment.machine, slot);
        ids.insert(slot, assignment.machine.clone());
        state.add(model, replica, slot);
    }
    Ok((state, ids))
}

/// The option of a placement's machine.
fn option_of(model: &Model<'_>, placement: &Placement, id: &MachineId) -> Option<usize> {
    let there = (0..model.node_count).find(|n| model.options[*n].node.is_some_and(|n| n.machine.id == *id));
    there.or_else(|| {
        let machine = placement.machines.iter().find(|m| m.id == *id)?;
        (model.node_count..model.options.len()).find(|index| {
            let option = &model.options[*index];
            option.offer.is_some_and(|offer| offer.key.instance == machine.instance)
                && *model.regions[option.region].key == machine.site.region
                && model.sites[option.site].zone == machine.site.zone.as_ref()
                && option.purchase == machine.purchase
                && option.price == machine.price
        })
    })
}
