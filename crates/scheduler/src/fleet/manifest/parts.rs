//! Services as parts that each go to one site: a service whose replicas must be spread is cut into as few parts as its
//! rules allow.
//!
//! A cut is a choice of ours, so parts serve the search only; the bound speaks of whole services.

use std::collections::BTreeSet;

use skyloom_core::SpreadOver;

use crate::model::Model;

/// Replicas of one service that go to one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) service: usize,
    /// Replicas `first..first + count` of the service.
    pub(crate) first: usize,
    pub(crate) count: usize,
}

/// What a site belongs to, at one level.
pub(crate) fn domain(model: &Model<'_>, over: SpreadOver, site: usize) -> usize {
    let region = model.sites[site].region;
    match over {
        SpreadOver::Machine | SpreadOver::Zone => site,
        SpreadOver::Region => region,
        SpreadOver::Cloud => model.regions[region].cloud,
    }
}

/// Domains that a service could be in.
fn domains(model: &Model<'_>, service: usize, over: SpreadOver) -> BTreeSet<usize> {
    let eligible = model.services[service].eligible.iter();
    eligible.map(|(site, _)| domain(model, over, *site)).collect()
}

/// Most replicas of a service on one machine by its own rules; `None`: as many as fit.
pub(crate) fn per_machine_max(model: &Model<'_>, service: usize) -> Option<u32> {
    let spec = &model.services[service];
    let alone = spec.conflicts.binary_search(&service).is_ok().then_some(1);
    // A machine that can be bought counts as an empty one, so no machine may be ahead of none by more than the skew.
    let can_buy = !spec.buyable.is_empty();
    let rules = spec
        .spec
        .spread
        .iter()
        .filter(|rule| rule.over == SpreadOver::Machine && can_buy);
    rules.map(|rule| rule.max_skew.get()).chain(alone).min()
}

/// Every service cut as its rules of spreading ask for.
pub(crate) fn parts(model: &Model<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (service, spec) in model.services.iter().enumerate() {
        let mut pieces = 1;
        for rule in spec.spec.spread.iter().filter(|rule| rule.over != SpreadOver::Machine) {
            let domains = domains(model, service, rule.over).len();
            let skew = usize::try_from(rule.max_skew.get()).unwrap_or(usize::MAX);
            if domains > 1 {
                pieces = pieces.max(spec.count.div_ceil(skew).min(domains));
            }
        }
        let (each, more) = (spec.count / pieces, spec.count % pieces);
        let mut first = 0;
        for piece in 0..pieces {
            let count = each + usize::from(piece < more);
            if count > 0 {
                parts.push(Part { service, first, count });
            }
            first += count;
        }
    }
    parts
}

/// Whether a rule of spreading keeps two parts of a service out of one domain: so many parts were cut for it.
pub(crate) fn keeps_apart(model: &Model<'_>, service: usize, pieces: usize, a: usize, b: usize) -> bool {
    let rules = model.services[service].spec.spread.iter();
    rules.filter(|rule| rule.over != SpreadOver::Machine).any(|rule| {
        let enough = domains(model, service, rule.over).len() >= pieces;
        enough && domain(model, rule.over, a) == domain(model, rule.over, b)
    })
}
