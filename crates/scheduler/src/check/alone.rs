//! Rules that concern one replica and its machine only.

use std::collections::BTreeSet;
use std::time::Duration;

use skyloom_core::{Dimension, Filter, Link, Machine, Node, Purchase, PurchasePreference, RegionKey, ServiceSpec};

use super::Placed;
use crate::problem::Problem;

/// Rules that one placed replica breaks.
pub(super) fn broken(problem: &Problem<'_>, placed: &Placed<'_>) -> Vec<Filter> {
    broken_on(problem, placed.service, placed.machine, placed.node)
}

/// Rules that a service would break on a machine, whatever else is where.
pub(super) fn broken_on(
    problem: &Problem<'_>,
    service: &ServiceSpec,
    machine: &Machine,
    node: Option<&Node>,
) -> Vec<Filter> {
    let mut broken = Vec::new();
    let region = &machine.site.region;
    if node.is_some_and(|n| !n.ready) {
        broken.push(Filter::NotReady);
    }
    let wrong_cloud = !service.clouds.is_empty() && !service.clouds.contains(&region.cloud);
    let wrong_region = !service.regions.is_empty() && !service.regions.contains(region);
    if wrong_cloud || wrong_region {
        broken.push(Filter::Place);
    }
    if !resident(problem, service, region) {
        broken.push(Filter::Residency);
    }
    match (service.purchase, machine.purchase) {
        (PurchasePreference::OnDemand, Purchase::Spot) | (PurchasePreference::Spot, Purchase::OnDemand) => {
            broken.push(Filter::Purchase);
        }
        _ => {}
    }
    for (key, wanted) in &service.labels {
        let found: Option<String> = match key.as_str() {
            "cloud" => Some(region.cloud.to_string()),
            "region" => Some(region.region.to_string()),
            "zone" => machine.site.zone.as_ref().map(ToString::to_string),
            "instance" => Some(machine.instance.to_string()),
            "arch" => Some(machine.arch.clone()),
            "purchase" => Some(machine.purchase.to_string()),
            other => node.and_then(|n| n.labels.get(other)).cloned(),
        };
        if found.as_ref() != Some(wanted) {
            broken.push(Filter::Labels);
        }
    }
    for taint in node.iter().flat_map(|n| &n.taints) {
        let tolerated = |t: &skyloom_core::Toleration| {
            t.key == taint.key && t.value.as_ref().is_none_or(|value| *value == taint.value)
        };
        if !service.tolerations.iter().any(tolerated) {
            broken.push(Filter::Taints);
        }
    }
    for limit in &service.latency {
        if let Link::Data(name) = &limit.to {
            let copies = problem.manifest.data_set(name).map_or(&[][..], |d| &d.replicas);
            if !copies
                .iter()
                .any(|copy| within(problem, region, &copy.region, limit.max))
            {
                broken.push(Filter::Latency);
            }
        }
    }
    broken
}

/// Whether the manifest and the service allow a region.
fn resident(problem: &Problem<'_>, service: &ServiceSpec, region: &RegionKey) -> bool {
    let laws = problem
        .catalogue
        .region(region)
        .map_or_else(BTreeSet::new, |info| info.jurisdictions.clone());
    let mut rules = vec![&problem.manifest.residency];
    rules.extend(&service.residency);
    rules.into_iter().all(|rule| {
        let no_rule = rule.allow.is_empty() && rule.deny.is_empty();
        let inside = rule.allow.is_empty() || rule.allow.iter().any(|law| laws.contains(law));
        let outside_denied = !rule.deny.iter().any(|law| laws.contains(law));
        no_rule || (!laws.is_empty() && inside && outside_denied)
    })
}

/// Whether the estimated round trip between two regions is known and short enough.
pub(super) fn within(problem: &Problem<'_>, a: &RegionKey, b: &RegionKey, max: Duration) -> bool {
    const SAME_REGION: Duration = Duration::from_millis(1);
    match (problem.catalogue.region(a), problem.catalogue.region(b)) {
        (Some(a), Some(b)) => a.round_trip_to(b).is_some_and(|t| t <= max),
        _ => a == b && SAME_REGION <= max,
    }
}

/// Whether an empty machine of that size holds one replica.
pub(super) fn holds_one(service: &ServiceSpec, machine: &Machine) -> bool {
    let fits = Dimension::ALL
        .into_iter()
        .all(|d| service.resources.get(d) <= machine.capacity.get(d));
    let runs = !machine.capacity.cpu.is_zero() && !machine.capacity.memory.is_zero();
    let gpu = service.resources.gpu.as_milligpus();
    let gpus = if gpu > 0 { vec![gpu] } else { Vec::new() };
    fits && runs && devices_suffice(machine.capacity.gpu.as_milligpus(), &gpus)
}

/// Steps of the exact device search; far above what machines with up to sixteen devices need.
const STEPS_MAX: u32 = 200_000;

/// Whether some assignment of shares to devices exists; exact, by trying.
pub(super) fn devices_suffice(capacity: u64, requests: &[u64]) -> bool {
    let whole_asked: u128 = requests.iter().filter(|r| **r >= 1000).map(|r| u128::from(*r)).sum();
    if requests.iter().any(|r| *r > 1000 && r % 1000 != 0) || whole_asked > u128::from(capacity / 1000 * 1000) {
        return false;
    }
    let mut shares: Vec<u64> = requests.iter().copied().filter(|r| *r < 1000 && *r > 0).collect();
    shares.sort_unstable_by(|a, b| b.cmp(a));
    let whole_left = u64::try_from((u128::from(capacity / 1000 * 1000) - whole_asked) / 1000).unwrap_or(0);
    let usable = usize::try_from(whole_left).unwrap_or(usize::MAX).min(shares.len());
    let mut devices = vec![1000; usable];
    devices.push(capacity % 1000);
    let mut steps = 0;
    assign(&shares, &mut devices, &mut steps)
}

fn assign(shares: &[u64], devices: &mut [u64], steps: &mut u32) -> bool {
    let Some((share, rest)) = shares.split_first() else {
        return true;
    };
    *steps += 1;
    if *steps > STEPS_MAX {
        return false;
    }
    for index in 0..devices.len() {
        let first_of_its_kind = !devices[..index].contains(&devices[index]);
        if first_of_its_kind && devices[index] >= *share {
            devices[index] -= share;
            let done = assign(rest, devices, steps);
            devices[index] += share;
            if done {
                return true;
            }
        }
    }
    false
}
