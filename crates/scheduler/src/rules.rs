//! The hard rules between replicas, for one replica about to be placed and for a finished state.
//!
//! While a decision grows, the other end of a rule may not be placed yet; then the rule holds for now, and `settle`
//! takes back at the end what was placed in vain.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Filter, SpreadOver};

use crate::model::Model;
use crate::state::State;

/// A machine, site, region or cloud; which of them is known from the rule it stands in.
type Domain = usize;

/// Stands for any machine that is not opened yet.
const NEW_MACHINE: Domain = usize::MAX;

/// Domains a replica may be in; `None`: all.
type Allowed = Option<BTreeSet<Domain>>;

/// What the state allows one replica, worked out once and asked for every option.
#[derive(Debug)]
pub(crate) struct View {
    service: usize,
    /// Per region, whether all round trips are short enough; empty: no such rule.
    near: Vec<bool>,
    together: Vec<(SpreadOver, BTreeSet<Domain>)>,
    spread: Vec<SpreadView>,
}

#[derive(Debug)]
struct SpreadView {
    over: SpreadOver,
    max_skew: u32,
    counts: BTreeMap<Domain, u32>,
    least: u32,
}

impl View {
    /// What `state` allows `replica`, which must not be placed in it.
    pub(crate) fn new(model: &Model<'_>, state: &State, replica: usize) -> Self {
        let service = model.service_of[replica];
        Self {
            service,
            near: near_regions(model, state, replica),
            together: together(model, state, replica),
            spread: spread_views(model, state, service),
        }
    }

    /// The first filter that rejects an option, or a slot of it.
    pub(crate) fn reject(
        &self,
        model: &Model<'_>,
        state: &State,
        option: usize,
        slot: Option<usize>,
    ) -> Option<Filter> {
        let service = &model.services[self.service];
        if let Some(filter) = service.statics[option] {
            return Some(filter);
        }
        if let Some(filter) = slot.and_then(|slot| state.lacks(model, slot, &service.spec.resources)) {
            return Some(filter);
        }
        let region = model.options[option].region;
        if self.near.get(region).is_some_and(|near| !near) {
            return Some(Filter::Latency);
        }
        let within = |over| domain_of(model, over, option, slot);
        if self
            .together
            .iter()
            .any(|(over, allowed)| !allowed.contains(&within(*over)))
        {
            return Some(Filter::Affinity);
        }
        if slot.is_some_and(|slot| conflicts(model, state, self.service, slot)) {
            return Some(Filter::AntiAffinity);
        }
        let uneven = |rule: &SpreadView| {
            let there = rule.counts.get(&within(rule.over)).copied().unwrap_or(0);
            (there + 1).saturating_sub(rule.least) > rule.max_skew
        };
        if self.spread.iter().any(uneven) {
            return Some(Filter::Spread);
        }
        let paid = slot.is_some_and(|slot| !state.slots[slot].residents.is_empty());
        let beyond = !paid && model.beyond_quota(&model.options[option], &state.quota_used).is_some();
        beyond.then_some(Filter::Quota)
    }
}

fn domain_of(model: &Model<'_>, over: SpreadOver, option: usize, slot: Option<usize>) -> Domain {
    let option = &model.options[option];
    match over {
        SpreadOver::Machine => slot.unwrap_or(NEW_MACHINE),
        SpreadOver::Zone => option.site,
        SpreadOver::Region => option.region,
        SpreadOver::Cloud => option.cloud,
    }
}

/// Site, region or cloud of a site; its machine is not known.
fn site_domain(model: &Model<'_>, over: SpreadOver, site: usize) -> Domain {
    let region = model.sites[site].region;
    match over {
        SpreadOver::Machine | SpreadOver::Zone => site,
        SpreadOver::Region => region,
        SpreadOver::Cloud => model.regions[region].cloud,
    }
}

fn within(model: &Model<'_>, a: usize, b: usize, max: u64) -> bool {
    model.round_trip(a, b).is_some_and(|t| t <= max)
}

/// Regions with a replica of a service, each at least once.
fn regions_in_use<'s>(model: &'s Model<'_>, state: &'s State, service: usize) -> impl Iterator<Item = usize> + 's {
    let mut last = None;
    let regions = state.counts[service].iter().map(|(site, _)| model.sites[*site].region);
    // Sites are sorted by region.
    regions.filter(move |region| last.replace(*region) != Some(*region))
}

fn slot_domain(model: &Model<'_>, state: &State, over: SpreadOver, slot: usize) -> Domain {
    domain_of(model, over, state.slots[slot].option, Some(slot))
}

/// Whether a slot holds a replica that `service` must be away from, or that must be away from it.
fn conflicts(model: &Model<'_>, state: &State, service: usize, slot: usize) -> bool {
    let conflicts = &model.services[service].conflicts;
    if conflicts.is_empty() {
        return false;
    }
    let slot = &state.slots[slot];
    let services = slot
        .residents
        .iter()
        .map(|r| model.service_of[*r])
        .chain(slot.foreign.iter().copied());
    services.into_iter().any(|s| conflicts.binary_search(&s).is_ok())
}

/// Per region, whether it is near enough to what `replica` must be near, and to what waits for it.
fn near_regions(model: &Model<'_>, state: &State, replica: usize) -> Vec<bool> {
    let service = model.service_of[replica];
    let spec = &model.services[service];
    if spec.latency.is_empty() && spec.latency_from.is_empty() {
        return Vec::new();
    }
    let mut near = vec![true; model.regions.len()];
    for &(to, max) in &spec.latency {
        if !state.counts[to].is_empty() {
            let reaches = |r: usize| regions_in_use(model, state, to).any(|t| within(model, r, t, max));
            near.iter_mut().enumerate().for_each(|(r, ok)| *ok = *ok && reaches(r));
        }
    }
    let last = pending(model, state, service) <= 1;
    for &(from, max) in spec.latency_from.iter().filter(|(from, _)| *from != service) {
        let served = |r: usize| regions_in_use(model, state, service).any(|t| within(model, r, t, max));
        let waiting: Vec<usize> = regions_in_use(model, state, from).filter(|r| !served(*r)).collect();
        let serves = |r: usize| {
            let mut hits = waiting.iter().map(|w| within(model, *w, r, max));
            if last {
                hits.all(|h| h)
            } else {
                waiting.is_empty() || hits.any(|h| h)
            }
        };
        near.iter_mut().enumerate().for_each(|(r, ok)| *ok = *ok && serves(r));
    }
    near
}

/// Domains that `replica` must be in one of, rule by rule.
fn together(model: &Model<'_>, state: &State, replica: usize) -> Vec<(SpreadOver, BTreeSet<Domain>)> {
    let service = model.service_of[replica];
    let mut rules: Vec<(SpreadOver, BTreeSet<Domain>)> = Vec::new();
    for &(to, within) in &model.services[service].affinity {
        if let Some(allowed) = beside(model, state, to, replica, within) {
            rules.push((within, allowed));
        }
    }
    let last = pending(model, state, service) <= 1;
    for &(from, within) in model.services[service]
        .affinity_from
        .iter()
        .filter(|(from, _)| *from != service)
    {
        let served: BTreeSet<Domain> = state
            .placed_of(model, service)
            .map(|(_, slot)| slot_domain(model, state, within, slot))
            .collect();
        let waiting: BTreeSet<Domain> = state
            .placed_of(model, from)
            .map(|(_, slot)| slot_domain(model, state, within, slot))
            .filter(|d| !served.contains(d))
            .collect();
        match waiting.len() {
            0 => {}
            // The last replica can be in one domain only: with two that wait none will do.
            2.. if last => rules.push((within, BTreeSet::new())),
            _ => rules.push((within, waiting)),
        }
    }
    rules
}

/// Domains in which a replica of `to` other than `replica` is; `None` while none is placed.
fn beside(model: &Model<'_>, state: &State, to: usize, replica: usize, within: SpreadOver) -> Allowed {
    let domains: BTreeSet<Domain> = others(model, state, to, replica)
        .map(|(_, slot)| slot_domain(model, state, within, slot))
        .collect();
    (!domains.is_empty()).then_some(domains)
}

fn others<'s>(
    model: &Model<'_>,
    state: &'s State,
    service: usize,
    replica: usize,
) -> impl Iterator<Item = (usize, usize)> + 's {
    state.placed_of(model, service).filter(move |(r, _)| *r != replica)
}

/// Replicas of a service that are nowhere yet.
fn pending(model: &Model<'_>, state: &State, service: usize) -> usize {
    let placed: u32 = state.counts[service].iter().map(|(_, n)| n).sum();
    model.services[service].count - usize::try_from(placed).unwrap_or(0)
}

fn spread_views(model: &Model<'_>, state: &State, service: usize) -> Vec<SpreadView> {
    let rules = &model.services[service].spec.spread;
    rules
        .iter()
        .map(|rule| {
            let mut counts = BTreeMap::new();
            for (_, slot) in state.placed_of(model, service) {
                *counts.entry(slot_domain(model, state, rule.over, slot)).or_insert(0) += 1;
            }
            let eligible = eligible_domains(model, state, service, rule.over);
            let least = eligible
                .iter()
                .map(|d| counts.get(d).copied().unwrap_or(0))
                .min()
                .unwrap_or(0);
            SpreadView {
                over: rule.over,
                max_skew: rule.max_skew.get(),
                counts,
                least,
            }
        })
        .collect()
}

/// Domains in which some option passes the static filters, the latency limits and the affinities of a service, given
/// where the other services are. A machine that could be bought counts as one empty domain.
fn eligible_domains(model: &Model<'_>, state: &State, service: usize, over: SpreadOver) -> BTreeSet<Domain> {
    let spec = &model.services[service];
    // A service with a rule towards itself does not limit where its first replica could be.
    let placed = |to: usize| to != service && !state.counts[to].is_empty();
    let latency: Vec<(usize, u64)> = spec.latency.iter().copied().filter(|(to, _)| placed(*to)).collect();
    let affinity: Vec<(usize, SpreadOver)> = spec.affinity.iter().copied().filter(|(to, _)| placed(*to)).collect();
    let site_passes = |site: usize| {
        let here = model.sites[site].region;
        let near = |&(to, max): &(usize, u64)| regions_in_use(model, state, to).any(|r| within(model, here, r, max));
        let beside = |&(to, over): &(usize, SpreadOver)| {
            // Two machines of one zone are as near as a machine that is not bought can be known to be.
            let shared = |other: usize| match over {
                SpreadOver::Machine | SpreadOver::Zone => other == site,
                SpreadOver::Region | SpreadOver::Cloud => {
                    site_domain(model, over, other) == site_domain(model, over, site)
                }
            };
            state.counts[to].iter().any(|(other, _)| shared(*other))
        };
        latency.iter().all(near) && affinity.iter().all(beside)
    };
    let sites = spec.eligible.iter().filter(|(site, _)| site_passes(*site));
    match over {
        SpreadOver::Zone => sites.map(|(site, _)| *site).collect(),
        SpreadOver::Region => sites.map(|(site, _)| model.sites[*site].region).collect(),
        SpreadOver::Cloud => sites
            .map(|(site, _)| model.regions[model.sites[*site].region].cloud)
            .collect(),
        SpreadOver::Machine => {
            let mut machines: BTreeSet<Domain> = BTreeSet::new();
            for &(site, can_buy) in sites {
                let nodes =
                    (0..model.node_count).filter(|n| model.options[*n].site == site && spec.statics[*n].is_none());
                machines.extend(nodes);
                if can_buy {
                    machines.insert(NEW_MACHINE);
                }
            }
            machines
        }
    }
}

/// The rule between replicas that a placed replica breaks, if any. A rule whose other end still has replicas to place,
/// or a spread that those could even out, is not broken while `patient`. `spread` are the views of its service.
fn broken_rule(
    model: &Model<'_>,
    state: &State,
    replica: usize,
    patient: bool,
    spread: &[SpreadView],
) -> Option<Filter> {
    let slot = state.at[replica]?;
    let service = model.service_of[replica];
    let spec = &model.services[service];
    let site = model.options[state.slots[slot].option].site;
    let alone = |to: usize| to == service && spec.count == 1;
    let waits = |to: usize| patient && pending(model, state, to) > 0;
    // Sites of the other replicas of a service.
    let other_sites = |to: usize| {
        let others = move |(s, n): &&(usize, u32)| *n > u32::from(to == service && *s == site);
        state.counts[to].iter().filter(others).map(|(s, _)| *s)
    };
    for &(to, max) in spec.latency.iter().filter(|(to, _)| !alone(*to)) {
        let near = |other: usize| within(model, model.sites[site].region, model.sites[other].region, max);
        if !other_sites(to).any(near) && !waits(to) {
            return Some(Filter::Latency);
        }
    }
    for &(to, over) in spec.affinity.iter().filter(|(to, _)| !alone(*to)) {
        let same = |r: &usize| *r != replica && model.service_of[*r] == to;
        let beside = match over {
            SpreadOver::Machine => state.slots[slot].residents.iter().any(same),
            SpreadOver::Zone | SpreadOver::Region | SpreadOver::Cloud => {
                let here = site_domain(model, over, site);
                other_sites(to).any(|other| site_domain(model, over, other) == here)
            }
        };
        if !beside && !waits(to) {
            return Some(Filter::Affinity);
        }
    }
    let slot_state = &state.slots[slot];
    let neighbours = slot_state
        .residents
        .iter()
        .filter(|r| **r != replica)
        .map(|r| model.service_of[*r]);
    let mut neighbours = neighbours.chain(slot_state.foreign.iter().copied());
    if neighbours.any(|s| spec.conflicts.binary_search(&s).is_ok()) {
        return Some(Filter::AntiAffinity);
    }
    let uneven = |rule: &SpreadView| {
        let here = rule
            .counts
            .get(&slot_domain(model, state, rule.over, slot))
            .copied()
            .unwrap_or(0);
        let over = here.saturating_sub(rule.least) > rule.max_skew;
        over && !(patient && can_even_out(model, state, service, rule))
    };
    spread.iter().any(uneven).then_some(Filter::Spread)
}

/// Whether the replicas still to be placed suffice to lift every eligible domain to where the rule holds.
fn can_even_out(model: &Model<'_>, state: &State, service: usize, rule: &SpreadView) -> bool {
    let most = rule.counts.values().copied().max().unwrap_or(0);
    let floor = most.saturating_sub(rule.max_skew);
    let missing: u64 = eligible_domains(model, state, service, rule.over)
        .iter()
        .map(|d| u64::from(floor.saturating_sub(rule.counts.get(d).copied().unwrap_or(0))))
        .sum();
    missing <= u64::try_from(pending(model, state, service)).unwrap_or(u64::MAX)
}

/// Takes back replicas that break a rule until none does, those of `pinned` last; gives what was taken back.
pub(crate) fn settle(model: &Model<'_>, state: &mut State, pinned: &[bool]) -> BTreeMap<usize, Filter> {
    let mut removed = BTreeMap::new();
    loop {
        // The highest number first: it is the one that joined last.
        let worst = broken(model, state, pinned).min_by_key(|(r, _)| (pinned[*r], std::cmp::Reverse(*r)));
        let Some((replica, filter)) = worst else { return removed };
        state.remove(model, replica);
        removed.insert(replica, filter);
    }
}

/// Whether no placed replica breaks a rule.
pub(crate) fn all_hold(model: &Model<'_>, state: &State, pinned: &[bool]) -> bool {
    broken(model, state, pinned).next().is_none()
}

/// Placed replicas that break a rule, with the rule; pinned ones are patient.
fn broken<'s>(
    model: &'s Model<'_>,
    state: &'s State,
    pinned: &'s [bool],
) -> impl Iterator<Item = (usize, Filter)> + 's {
    let has_rules = |s: &crate::model::Service<'_>| {
        !(s.latency.is_empty() && s.affinity.is_empty() && s.conflicts.is_empty() && s.spec.spread.is_empty())
    };
    let ruled = (0..model.services.len()).filter(move |s| has_rules(&model.services[*s]));
    ruled.flat_map(move |service| {
        let views = spread_views(model, state, service);
        let replicas = model.services[service].first..model.services[service].first + model.services[service].count;
        replicas.filter_map(move |r| broken_rule(model, state, r, pinned[r], &views).map(|filter| (r, filter)))
    })
}
