//! First complete packings to improve on: several orders, anywhere, region by region, and fleets of one type.
//!
//! Which of them is best changes with the instance, so all are made and the best few are improved. Improving is
//! `improve`'s.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::Dimension;

use crate::bound::{Planned, contents};
use crate::construct::{Order, ordered};
use crate::improve::{Cost, Search};
use crate::model::Model;
use crate::pack::{Only, Tactic, weights};
use crate::state::State;

/// Regions tried for whole placements and for services, cheapest estimates first. Beyond the first few the estimate is
/// far above the best; with 48 every region of the usual catalogues' cheapest half is tried.
const REGIONS_MAX: usize = 48;

/// Fleets of one type that are tried, cheapest estimates first.
const GROUPS_MAX: usize = 48;

/// Packings in several orders, anywhere and region by region; the cheapest first, equal costs once.
pub(crate) fn portfolio(search: &mut Search<'_, '_, '_>, start: &State) -> Vec<(Cost, State)> {
    let todo: Vec<usize> = (0..start.at.len()).filter(|r| start.at[*r].is_none()).collect();
    let mut found: Vec<(Cost, State)> = Vec::new();
    for planned in contents(search.model, start, &todo, search.pinned, search.work) {
        found.push(from_contents(search, start, &todo, planned));
    }
    for order in [Order::Targets, Order::Largest, Order::Dependents, Order::Rounds] {
        for amortise in [true, false] {
            let tactic = Tactic {
                only: Only::Anything,
                amortise,
            };
            found.push(search.first(start, &ordered(search.model, order, &todo), tactic));
            // Half of the work is left to the local search.
            if !search.work.within(0.5) {
                return sorted(found);
            }
        }
    }
    let order = ordered(search.model, Order::Targets, &todo);
    let rounds = ordered(search.model, Order::Rounds, &todo);
    for group in groups_by_estimate(search.model, &todo) {
        let tactic = Tactic {
            only: Only::Group(group),
            amortise: false,
        };
        found.push(search.first(start, &rounds, tactic));
        if !search.work.within(0.25) {
            break;
        }
    }
    for region in regions_by_estimate(search.model, &todo) {
        for amortise in [true, false] {
            let tactic = Tactic {
                only: Only::Region(region),
                amortise,
            };
            found.push(search.first(start, &order, tactic));
        }
        if !search.work.within(0.5) {
            break;
        }
    }
    sorted(found)
}

/// Machines with the contents that a fractional cover says, as far as rules allow; the rest is packed.
fn from_contents(
    search: &mut Search<'_, '_, '_>,
    start: &State,
    todo: &[usize],
    planned: Vec<Planned>,
) -> (Cost, State) {
    let model = search.model;
    let mut state = start.clone();
    let mut left: Vec<Vec<usize>> = vec![Vec::new(); model.services.len()];
    for replica in todo.iter().rev() {
        left[model.service_of[*replica]].push(*replica);
    }
    for machine in planned {
        let mut content = Vec::new();
        for (services, count) in &machine.content {
            let mut wanted = usize::try_from(*count).unwrap_or(usize::MAX);
            for service in services {
                let from = left[*service].len().saturating_sub(wanted);
                wanted -= left[*service].len() - from;
                content.extend(left[*service].drain(from..));
            }
        }
        for replica in search.fill_one(&mut state, &machine.options, content) {
            left[model.service_of[replica]].push(replica);
        }
    }
    let mut rest: Vec<usize> = left.concat();
    rest.sort_unstable();
    let tactic = Tactic {
        only: Only::Anything,
        amortise: true,
    };
    search.first(&state, &ordered(model, Order::Targets, &rest), tactic)
}

fn sorted(mut found: Vec<(Cost, State)>) -> Vec<(Cost, State)> {
    found.sort_by_key(|(cost, _)| *cost);
    found.dedup_by_key(|(cost, _)| *cost);
    found
}

/// Regions by what the replicas would cost there each on its own machine, the cheapest first.
pub(crate) fn regions_by_estimate(model: &Model<'_>, todo: &[usize]) -> Vec<usize> {
    let anywhere = weights(model);
    let mut estimates = vec![0i128; model.regions.len()];
    let mut usable = vec![false; model.regions.len()];
    let mut counts = vec![0i128; model.services.len()];
    todo.iter().for_each(|r| counts[model.service_of[*r]] += 1);
    for (service, spec) in model.services.iter().enumerate().filter(|(s, _)| counts[*s] > 0) {
        let mut here: Vec<Option<i128>> = vec![None; model.regions.len()];
        for &option in &spec.shortlist {
            let opt = &model.options[option];
            here[opt.region].get_or_insert(i128::from(opt.price.as_micros()));
            usable[opt.region] = true;
        }
        for (estimate, price) in estimates.iter_mut().zip(here) {
            *estimate += counts[service] * price.unwrap_or(anywhere[service]);
        }
    }
    let mut regions: Vec<usize> = (0..usable.len()).filter(|r| usable[*r]).collect();
    regions.sort_by_key(|r| (estimates[*r], *r));
    regions.truncate(REGIONS_MAX);
    regions
}

/// Types (each in its region, for one kind of purchase) by what a fleet of that type alone would cost at least, the
/// cheapest first; only types that every service may use.
fn groups_by_estimate(model: &Model<'_>, todo: &[usize]) -> Vec<usize> {
    let mut sums = [0u128; 4];
    for replica in todo {
        let request = model.request(model.service_of[*replica]);
        for (sum, dimension) in sums.iter_mut().zip(Dimension::ALL) {
            *sum += u128::from(request.get(dimension));
        }
    }
    let services: BTreeSet<usize> = todo.iter().map(|r| model.service_of[*r]).collect();
    let open = |option: usize| services.iter().all(|s| model.services[*s].statics[option].is_none());
    let shortlists = services.iter().flat_map(|s| &model.services[*s].shortlist);
    let mut estimates: BTreeMap<usize, i128> = BTreeMap::new();
    for &option in shortlists.filter(|o| open(**o)) {
        let opt = &model.options[option];
        let machines = sums
            .iter()
            .zip(Dimension::ALL)
            .map(|(sum, d)| match u128::from(opt.capacity.get(d)) {
                0 => 0,
                capacity => sum.div_ceil(capacity),
            });
        let machines = i128::try_from(machines.max().unwrap_or(0)).unwrap_or(i128::MAX);
        let estimate = machines.saturating_mul(i128::from(opt.price.as_micros()));
        estimates.entry(opt.group).or_insert(estimate);
    }
    let mut groups: Vec<(i128, usize)> = estimates
        .into_iter()
        .map(|(group, estimate)| (estimate, group))
        .collect();
    groups.sort_unstable();
    groups.truncate(GROUPS_MAX);
    groups.into_iter().map(|(_, group)| group).collect()
}
