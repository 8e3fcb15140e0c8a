//! The answer: a placement as any other, with the bound, and per service what was chosen and what stopped the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skyloom_core::{Filter, InstanceType, MicroUsd, MicroUsdPerHour, Placement, Purchase, RegionKey, ServiceName};

use crate::effort::EffortLog;
use crate::model::Model;
use crate::state::State;

/// Most rejected offers that are listed per service; all are counted.
pub(crate) const REJECTED_MAX: usize = 200;

/// A fleet for a manifest, with the proof of how near to the cheapest possible it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ManifestFleet {
    /// Where everything runs, priced; explanations per replica are there up to the limit of the options.
    pub placement: Placement,
    /// No placement of the replicas that are placed costs less per month, machines and traffic together.
    pub lower_bound_per_month: MicroUsd,
    /// Per service, by name: what was chosen and what was rejected.
    pub choices: Vec<ServiceChoice>,
    /// What it took, for a replay.
    pub effort: EffortLog,
}

impl ManifestFleet {
    /// (cost - bound) / bound; 0 when both are zero, infinite when only the bound is.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio for people; the integers are beside it"
    )]
    pub fn gap(&self) -> f64 {
        let cost = self.placement.cost.total_per_month.as_micros();
        let bound = self.lower_bound_per_month.as_micros();
        if cost == bound {
            0.0
        } else {
            (cost - bound) as f64 / bound as f64
        }
    }
}

/// What was chosen for a service, and what could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceChoice {
    /// Which service.
    pub service: ServiceName,
    /// Machine types that carry it, with how many of its replicas each carries.
    pub chosen: Vec<(RegionKey, InstanceType, Purchase, u32)>,
    /// Offers that pass every filter.
    pub feasible: u32,
    /// Offers that do not, by the first filter that rejects them (zones of an offer count once).
    pub rejected: BTreeMap<Filter, u32>,
    /// Some of them, the cheapest first.
    pub examples: Vec<RejectedOffer>,
}

/// An offer that a service could not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedOffer {
    /// Where.
    pub region: RegionKey,
    /// Which type.
    pub instance: InstanceType,
    /// How it is paid.
    pub purchase: Purchase,
    /// What it costs.
    pub price: MicroUsdPerHour,
    /// The first filter that rejects it.
    pub filter: Filter,
}

/// The choices of all services.
pub(crate) fn choices(model: &Model<'_>, state: &State) -> Vec<ServiceChoice> {
    (0..model.services.len())
        .map(|service| choice(model, state, service))
        .collect()
}

fn choice(model: &Model<'_>, state: &State, service: usize) -> ServiceChoice {
    let mut chosen: BTreeMap<(RegionKey, InstanceType, Purchase), u32> = BTreeMap::new();
    for (_, slot) in state.placed_of(model, service) {
        let option = state.slots[slot].option;
        if let Some(instance) = instance(model, option) {
            let key = (
                model.regions[model.options[option].region].key.clone(),
                instance,
                model.options[option].purchase,
            );
            *chosen.entry(key).or_default() += 1;
        }
    }
    // Of an offer's zones the one that comes furthest counts: no filter at all, or the last of them.
    let mut verdicts: BTreeMap<usize, (bool, Option<Filter>, usize)> = BTreeMap::new();
    for (option, filter) in model.services[service]
        .statics
        .iter()
        .enumerate()
        .skip(model.node_count)
    {
        let verdict = (filter.is_none(), *filter, option);
        let known = verdicts.entry(model.options[option].group).or_insert(verdict);
        if (verdict.0, verdict.1) > (known.0, known.1) {
            *known = verdict;
        }
    }
    let mut rejected = BTreeMap::new();
    let mut examples = Vec::new();
    for (filter, option) in verdicts
        .values()
        .filter_map(|(_, filter, option)| Some((filter.as_ref()?, *option)))
    {
        *rejected.entry(*filter).or_insert(0u32) += 1;
        if let Some(instance) = instance(model, option) {
            examples.push(RejectedOffer {
                region: model.regions[model.options[option].region].key.clone(),
                instance,
                purchase: model.options[option].purchase,
                price: model.options[option].price,
                filter: *filter,
            });
        }
    }
    examples.sort_by(|a, b| {
        (a.price, &a.region, &a.instance, a.purchase).cmp(&(b.price, &b.region, &b.instance, b.purchase))
    });
    examples.truncate(REJECTED_MAX);
    let feasible = verdicts.values().filter(|(passes, ..)| *passes).count();
    ServiceChoice {
        service: model.services[service].spec.name.clone(),
        chosen: chosen
            .into_iter()
            .map(|((region, instance, purchase), n)| (region, instance, purchase, n))
            .collect(),
        feasible: u32::try_from(feasible).unwrap_or(u32::MAX),
        rejected,
        examples,
    }
}

fn instance(model: &Model<'_>, option: usize) -> Option<InstanceType> {
    let option = &model.options[option];
    let of_node = option.node.map(|node| node.machine.instance.clone());
    of_node.or_else(|| option.offer.map(|offer| offer.key.instance.clone()))
}
