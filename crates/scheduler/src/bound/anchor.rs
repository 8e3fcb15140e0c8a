//! Where a service of one replica is decides what the others pay to reach it: the bound is taken place by place.
//!
//! With the place of such an anchor supposed, its traffic has a price and its neighbours their regions; the least over
//! all places is a bound. One anchor that may move is supposed in turn everywhere, those that stay are where they are.

use super::least;
use super::relaxed::Relaxed;
use crate::model::Model;
use crate::state::State;

/// Places for which the bound is worked out; with more than these in question the anchor is not supposed anywhere.
const PLACES_MAX: usize = 64;

/// A bound of the total; never above `total`, at which it need not be better.
pub(super) fn anchored(model: &Model<'_>, state: &State, free: &[usize], pinned: &[bool], total: i128) -> i128 {
    let single = |service: &usize| {
        let spec = &model.services[*service];
        spec.count == 1 && state.at[spec.first].is_some() && concerns_others(model, *service)
    };
    let singles: Vec<usize> = (0..model.services.len()).filter(single).collect();
    let stays = |service: &usize| pinned[model.services[*service].first];
    let place = |service: usize| {
        let slot = state.at[model.services[service].first]?;
        Some((service, model.options[state.slots[slot].option].region))
    };
    let fixed: Vec<(usize, usize)> = singles.iter().copied().filter(|s| stays(s)).filter_map(place).collect();
    let bound = |anchors: &[(usize, usize)]| least(&Relaxed::of(model, state, free, pinned, anchors));
    let plain = bound(&fixed);
    debug_assert!(plain <= total, "a bound of {plain} above a cost of {total}");
    let moving = singles.into_iter().filter(|s| !stays(s));
    let Some(anchor) = moving.max_by_key(|s| (model.egress.exchanged(*s), std::cmp::Reverse(*s))) else {
        return plain;
    };
    let regions = regions_of(model, anchor);
    if plain >= total || regions.len() > PLACES_MAX {
        return plain;
    }
    let mut best = total;
    for region in regions {
        let mut anchors = fixed.clone();
        anchors.push((anchor, region));
        best = best.min(bound(&anchors));
        if best <= plain {
            return plain;
        }
    }
    best
}

/// Whether where a service is matters to where others may be, or to what they pay.
fn concerns_others(model: &Model<'_>, service: usize) -> bool {
    let spec = &model.services[service];
    let near = spec.latency_from.iter().map(|(from, _)| from);
    let beside = spec.affinity_from.iter().map(|(from, _)| from);
    model.egress.exchanged(service) > 0 || near.chain(beside).any(|from| *from != service)
}

/// Regions in which a service may be.
fn regions_of(model: &Model<'_>, service: usize) -> Vec<usize> {
    let eligible = &model.services[service].eligible;
    let mut regions: Vec<usize> = eligible.iter().map(|(site, _)| model.sites[*site].region).collect();
    regions.dedup();
    regions
}
