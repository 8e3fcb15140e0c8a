//! What a problem must not contain. Manifests read from text are checked by their reader; those built in code come here.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{DataName, Filter, Link, Manifest, MicroUsdPerHour, Residency, ServiceName, ServiceSpec};

use super::{Region, region_index};
use crate::problem::{PlaceConfig, PlaceError, Problem};

/// Names, sizes and prices.
pub(super) fn check_input(problem: &Problem<'_>, config: &PlaceConfig) -> Result<(), PlaceError> {
    let manifest = problem.manifest;
    let asked = manifest
        .services
        .iter()
        .fold(0u64, |n, s| n.saturating_add(u64::from(s.replicas.get())));
    if asked > u64::from(config.replicas_max) {
        return Err(PlaceError::TooManyReplicas {
            asked,
            allowed: config.replicas_max,
        });
    }
    let mut names = BTreeMap::new();
    for service in &manifest.services {
        if names.insert(&service.name, service).is_some() {
            return Err(PlaceError::DuplicateService {
                service: service.name.clone(),
            });
        }
    }
    for service in &manifest.services {
        check_targets(manifest, service)?;
    }
    let mut ids = BTreeSet::new();
    for node in &problem.snapshot.nodes {
        if !ids.insert(&node.machine.id) {
            return Err(PlaceError::DuplicateMachine {
                machine: node.machine.id.clone(),
            });
        }
        if node.machine.price < MicroUsdPerHour::ZERO {
            return Err(PlaceError::NegativePrice {
                what: node.machine.id.to_string(),
            });
        }
    }
    let negative = |o: &&skyloom_core::Offer| {
        [o.on_demand, o.spot]
            .iter()
            .flatten()
            .any(|p| p.per_hour < MicroUsdPerHour::ZERO)
    };
    match problem.catalogue.offers().iter().find(negative) {
        Some(offer) => Err(PlaceError::NegativePrice {
            what: offer.key.to_string(),
        }),
        None => Ok(()),
    }
}

/// Every name in a rule of `service` is known.
fn check_targets(manifest: &Manifest, service: &ServiceSpec) -> Result<(), PlaceError> {
    let unknown = |rule, target: String| PlaceError::UnknownTarget {
        service: service.name.clone(),
        rule,
        target,
    };
    let service_known = |rule, name: &ServiceName| match manifest.service(name) {
        Some(_) => Ok(()),
        None => Err(unknown(rule, name.to_string())),
    };
    let data_known = |rule, name: &DataName| match manifest.data_set(name) {
        Some(_) => Ok(()),
        None => Err(unknown(rule, name.to_string())),
    };
    let link_known = |rule, link: &Link| match link {
        Link::Service(name) => service_known(rule, name),
        Link::Data(name) => data_known(rule, name),
        Link::Internet => Ok(()),
    };
    for limit in &service.latency {
        if limit.to == Link::Internet {
            return Err(PlaceError::LatencyToInternet {
                service: service.name.clone(),
            });
        }
        link_known("a latency limit", &limit.to)?;
    }
    service.egress.iter().try_for_each(|e| link_known("an egress", &e.to))?;
    service
        .affinity
        .iter()
        .try_for_each(|a| service_known("an affinity", &a.service))?;
    service.data.iter().try_for_each(|d| data_known("the data list", d))
    // An anti-affinity may name a service that is gone from the manifest but still runs.
}

/// No copy of a data set lies outside the manifest's residency: a byte is bound by it as a replica is.
pub(super) fn check_data_residency(problem: &Problem<'_>, regions: &[Region<'_>]) -> Result<(), PlaceError> {
    let rule = &problem.manifest.residency;
    for copy in problem.manifest.data.iter().flat_map(|d| &d.replicas) {
        let info = region_index(regions, &copy.region).and_then(|i| regions[i].info);
        let permitted = rule.permits(info.map_or(&BTreeSet::new(), |i| &i.jurisdictions));
        if !permitted {
            return Err(PlaceError::Unsatisfiable {
                source_name: problem.manifest.source.clone(),
                rule: Filter::Residency,
                at: copy.at.or(rule.at),
                asked: copy.region.to_string(),
                allowed: residency_text(rule),
            });
        }
    }
    Ok(())
}

/// A residency rule for people: `EU, CH` or `all but US`.
pub(crate) fn residency_text(rule: &Residency) -> String {
    let list = |codes: &BTreeSet<skyloom_core::Jurisdiction>| {
        codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match (rule.allow.is_empty(), rule.deny.is_empty()) {
        (true, true) => "any place".to_owned(),
        (false, true) => list(&rule.allow),
        (true, false) => format!("all but {}", list(&rule.deny)),
        (false, false) => format!("{}, but not {}", list(&rule.allow), list(&rule.deny)),
    }
}
