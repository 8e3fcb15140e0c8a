//! Filters whose answer does not depend on where other replicas are, asked once per service and option.
//!
//! The last of them is a look-ahead: a latency limit or an affinity to another service also excludes regions near which
//! that service could never be. Without it a greedy order places one end where the other cannot follow.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Dimension, Filter, Link, Purchase, PurchasePreference, Residency, ServiceSpec, SpreadOver};

use super::{Model, Opt};
use crate::state::devices_hold;

/// Fills `statics`, `eligible`, `buyable` and `shortlist` of every service.
pub(super) fn fill(model: &mut Model<'_>) {
    let mut statics: Vec<Vec<Option<Filter>>> = (0..model.services.len())
        .map(|s| {
            let regions = region_verdicts(model, model.services[s].spec);
            let verdict = |o: &Opt<'_>| regions[o.region].or_else(|| option_verdict(model, model.services[s].spec, o));
            let filters: Vec<Option<Filter>> = model.options.iter().map(verdict).collect();
            let near_data = data_latency(model, model.services[s].spec);
            filters
                .into_iter()
                .zip(&model.options)
                .map(|(filter, o)| filter.or((!near_data[o.region]).then_some(Filter::Latency)))
                .zip(&model.options)
                .map(|(filter, o)| filter.or(model.beyond_quota(o, &[]).map(|_| Filter::Quota)))
                .collect()
        })
        .collect();
    exclude_hopeless_regions(model, &mut statics);
    for (service, filters) in model.services.iter_mut().zip(statics) {
        let mut eligible: BTreeMap<usize, bool> = BTreeMap::new();
        let passing = model.options.iter().enumerate().filter(|(i, _)| filters[*i].is_none());
        for (index, option) in passing {
            *eligible.entry(option.site).or_default() |= option.node.is_none();
            if option.node.is_none() {
                service.buyable.push(index);
            }
        }
        service.buyable.sort_by_key(|i| (model.options[*i].price, *i));
        service.eligible = eligible.into_iter().collect();
        service.statics = filters;
    }
    shorten(model);
}

/// Place and residency, per region.
fn region_verdicts(model: &Model<'_>, spec: &ServiceSpec) -> Vec<Option<Filter>> {
    let unknown = BTreeSet::new();
    let residencies: Vec<&Residency> = std::iter::once(&model.problem.manifest.residency)
        .chain(&spec.residency)
        .collect();
    let verdict = |region: &super::Region<'_>| {
        let cloud_ok = spec.clouds.is_empty() || spec.clouds.contains(&region.key.cloud);
        let region_ok = spec.regions.is_empty() || spec.regions.contains(region.key);
        let laws = region.info.map_or(&unknown, |info| &info.jurisdictions);
        if !(cloud_ok && region_ok) {
            Some(Filter::Place)
        } else if !residencies.iter().all(|r| r.permits(laws)) {
            Some(Filter::Residency)
        } else {
            None
        }
    };
    model.regions.iter().map(verdict).collect()
}

/// Readiness, purchase, labels, taints and size of one option.
fn option_verdict(model: &Model<'_>, spec: &ServiceSpec, option: &Opt<'_>) -> Option<Filter> {
    if option.node.is_some_and(|n| !n.ready) {
        return Some(Filter::NotReady);
    }
    let purchase_ok = match spec.purchase {
        PurchasePreference::Any => true,
        PurchasePreference::OnDemand => option.purchase == Purchase::OnDemand,
        PurchasePreference::Spot => option.purchase == Purchase::Spot,
    };
    if !purchase_ok {
        return Some(Filter::Purchase);
    }
    let label_ok = |(key, value): (&String, &String)| label(model, option, key).is_some_and(|found| found == *value);
    if !spec.labels.iter().all(label_ok) {
        return Some(Filter::Labels);
    }
    let taints = option.node.map_or(&[][..], |n| &n.taints);
    if !taints
        .iter()
        .all(|taint| spec.tolerations.iter().any(|t| t.covers(taint)))
    {
        return Some(Filter::Taints);
    }
    // A machine without processor or memory can run nothing, however little is asked.
    let empty = [Dimension::Cpu, Dimension::Memory]
        .into_iter()
        .find(|d| option.capacity.get(*d) == 0);
    if let Some(dimension) = empty.or_else(|| spec.resources.first_excess(&option.capacity)) {
        return Some(Filter::from(dimension));
    }
    let gpu = spec.resources.gpu.as_milligpus();
    (!devices_hold(option.capacity.gpu.as_milligpus(), &[], gpu)).then_some(Filter::Gpu)
}

/// The value of a label of an option: the built-in ones are facts and cannot be overridden by a machine's own.
pub(crate) fn label(model: &Model<'_>, option: &Opt<'_>, key: &str) -> Option<String> {
    let site = &model.sites[option.site];
    let region = model.regions[option.region].key;
    match key {
        "cloud" => Some(region.cloud.to_string()),
        "region" => Some(region.region.to_string()),
        "zone" => site.zone.map(ToString::to_string),
        "instance" => option
            .node
            .map(|n| n.machine.instance.to_string())
            .or_else(|| option.offer.map(|o| o.key.instance.to_string())),
        "arch" => option
            .node
            .map(|n| n.machine.arch.clone())
            .or_else(|| option.offer.map(|o| o.arch.clone())),
        "purchase" => Some(option.purchase.to_string()),
        _ => option.node.and_then(|n| n.labels.get(key).cloned()),
    }
}

/// Per region: whether every data set with a limit has a copy near enough.
fn data_latency(model: &Model<'_>, spec: &ServiceSpec) -> Vec<bool> {
    let mut near = vec![true; model.regions.len()];
    for limit in &spec.latency {
        let Link::Data(name) = &limit.to else { continue };
        let copies: Vec<usize> = model
            .problem
            .manifest
            .data_set(name)
            .map(|d| {
                d.replicas
                    .iter()
                    .filter_map(|r| model.region_index(&r.region))
                    .collect()
            })
            .unwrap_or_default();
        for (region, ok) in near.iter_mut().enumerate() {
            let within = |copy: &usize| {
                model
                    .round_trip(region, *copy)
                    .is_some_and(|t| u128::from(t) <= limit.max.as_micros())
            };
            *ok &= copies.iter().any(within);
        }
    }
    near
}

/// Excludes regions from which a service that it depends on, or that depends on its only replica, is out of reach;
/// until nothing changes.
fn exclude_hopeless_regions(model: &Model<'_>, statics: &mut [Vec<Option<Filter>>]) {
    let linked = model
        .services
        .iter()
        .any(|s| !s.latency.is_empty() || !s.affinity.is_empty());
    if !linked {
        return;
    }
    let mut possible: Vec<Vec<bool>> = statics.iter().map(|filters| regions_left(model, filters)).collect();
    loop {
        let mut changed = false;
        for (from, service) in model.services.iter().enumerate() {
            let limits = service
                .latency
                .iter()
                .map(|&(to, max)| (to, Filter::Latency, Reach::RoundTrip(max)));
            let affinities = service
                .affinity
                .iter()
                .map(|&(to, within)| (to, Filter::Affinity, Reach::Shared(within)));
            for (to, filter, reach) in limits.chain(affinities) {
                changed |= narrow(model, statics, &mut possible, (from, to), filter, reach);
                if model.services[to].count == 1 {
                    changed |= narrow(model, statics, &mut possible, (to, from), filter, reach);
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// How near two replicas must be.
#[derive(Clone, Copy)]
enum Reach {
    RoundTrip(u64),
    Shared(SpreadOver),
}

fn regions_left(model: &Model<'_>, filters: &[Option<Filter>]) -> Vec<bool> {
    let mut left = vec![false; model.regions.len()];
    for (option, filter) in model.options.iter().zip(filters) {
        left[option.region] |= filter.is_none();
    }
    left
}

/// Removes regions of `pair.0` from which no region of `pair.1` is in reach; whether any was removed. When the other
/// service can be nowhere at all nothing is removed: its own filters say why.
fn narrow(
    model: &Model<'_>,
    statics: &mut [Vec<Option<Filter>>],
    possible: &mut [Vec<bool>],
    pair: (usize, usize),
    filter: Filter,
    reach: Reach,
) -> bool {
    let (from, to) = pair;
    if from == to || !possible[to].contains(&true) {
        return false;
    }
    let in_reach = |a: usize, b: usize| match reach {
        Reach::RoundTrip(max) => model.round_trip(a, b).is_some_and(|t| t <= max),
        Reach::Shared(SpreadOver::Cloud) => model.regions[a].cloud == model.regions[b].cloud,
        Reach::Shared(_) => a == b,
    };
    let hopeless: Vec<usize> = (0..model.regions.len())
        .filter(|a| possible[from][*a] && !(0..model.regions.len()).any(|b| possible[to][b] && in_reach(*a, b)))
        .collect();
    for &region in &hopeless {
        possible[from][region] = false;
        let in_region = statics[from]
            .iter_mut()
            .zip(&model.options)
            .filter(|(_, o)| o.region == region);
        in_region
            .filter(|(f, _)| f.is_none())
            .for_each(|(f, _)| *f = Some(filter));
    }
    !hopeless.is_empty()
}

/// Leaves out of each shortlist the offers that another one of the same site and kind outdoes: at least as large in
/// every dimension, no dearer, and open to every service that the offer is open to.
fn shorten(model: &mut Model<'_>) {
    let mut by_site: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, option) in model.options.iter().enumerate().skip(model.node_count) {
        by_site.entry(option.site).or_default().push(index);
    }
    let open_to = |model: &Model<'_>, index: usize| -> Vec<bool> {
        model.services.iter().map(|s| s.statics[index].is_none()).collect()
    };
    let mut outdone = vec![false; model.options.len()];
    for members in by_site.values_mut() {
        members.sort_by_key(|i| (model.options[*i].price, *i));
        let mut leaders: Vec<(usize, Vec<bool>)> = Vec::new();
        for &index in members.iter() {
            let open = open_to(model, index);
            let beats = |(leader, leader_open): &(usize, Vec<bool>)| {
                model.options[index].capacity.fits_in(&model.options[*leader].capacity)
                    && open.iter().zip(leader_open).all(|(mine, theirs)| *theirs || !*mine)
            };
            outdone[index] = !open.contains(&true) || leaders.iter().any(beats);
            if !outdone[index] {
                leaders.push((index, open));
            }
        }
    }
    for service in &mut model.services {
        service.shortlist = service.buyable.iter().copied().filter(|i| !outdone[*i]).collect();
    }
}
