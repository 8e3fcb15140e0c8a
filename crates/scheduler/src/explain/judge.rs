//! Every machine and offer, judged for one replica by the first filter that rejects it.

use std::collections::BTreeMap;

use skyloom_core::{Filter, MachineId, Rejection};

use super::candidate;
use super::detail::detail;
use crate::construct::{EgressAt, budget_left, reject_with_budget};
use crate::model::Model;
use crate::rules::View;
use crate::state::State;

/// A machine that is there or open, or a type that can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) option: usize,
    pub(super) slot: Option<usize>,
}

/// Every machine and every offer (its zones taken together), with the first filter that rejects it for a replica that
/// is not placed; of an offer's zones the one that comes furthest counts.
pub(super) fn judge(
    model: &Model<'_>,
    state: &mut State,
    service: usize,
    replica: usize,
) -> Vec<(Place, Option<Filter>)> {
    let view = View::new(model, state, replica);
    let mut egress = EgressAt::new(model, state, service);
    let left = budget_left(model, state);
    let mut judged: Vec<(Place, Option<Filter>)> = Vec::new();
    for slot in (0..state.slots.len())
        .filter(|s| *s < model.node_count || !state.slots[*s].residents.is_empty())
        .collect::<Vec<_>>()
    {
        let option = state.slots[slot].option;
        let filter = reject_with_budget(model, state, &view, &mut egress, (option, Some(slot)), left);
        judged.push((
            Place {
                option,
                slot: Some(slot),
            },
            filter,
        ));
    }
    let bought = judged.len();
    for option in model.node_count..model.options.len() {
        let filter = reject_with_budget(model, state, &view, &mut egress, (option, None), left);
        match judged.get_mut(bought..).and_then(|j| j.last_mut()) {
            Some((last, known)) if model.options[last.option].group == model.options[option].group => {
                if known.is_some() && (filter.is_none() || filter > *known) {
                    (*last, *known) = (Place { option, slot: None }, filter);
                }
            }
            _ => judged.push((Place { option, slot: None }, filter)),
        }
    }
    judged
}

/// Options that no replica of a service could take, everything else staying where it is.
pub(super) fn rejections_of(
    model: &Model<'_>,
    state: &mut State,
    service: usize,
    ids: &BTreeMap<usize, MachineId>,
) -> Vec<Rejection> {
    let spec = &model.services[service];
    let mut one_per_slot: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for replica in spec.first..spec.first + spec.count {
        one_per_slot.entry(state.at[replica]).or_insert(replica);
    }
    // A machine that holds a replica of the service is no rejected option, though a second replica might not fit.
    let taken = one_per_slot.keys().flatten().map(|s| Place {
        option: model.options[state.slots[*s].option].group,
        slot: Some(*s),
    });
    let mut rejected: BTreeMap<Place, Option<(Filter, String)>> = taken.map(|place| (place, None)).collect();
    for (slot, replica) in one_per_slot {
        state.remove(model, replica);
        for (place, filter) in judge(model, state, service, replica) {
            // Zones of one offer are one place; a machine that this replica alone was on is its type again.
            let key = Place {
                option: model.options[place.option].group,
                slot: place.slot,
            };
            let entry = filter.map(|f| (f, place));
            match (rejected.get(&key), entry) {
                (Some(None), _) => {}
                (_, None) => drop(rejected.insert(key, None)),
                (Some(Some(_)), _) => {}
                (None, Some((f, place))) => {
                    rejected.insert(key, Some((f, detail(model, state, service, place, f))));
                }
            }
        }
        if let Some(slot) = slot {
            state.add(model, replica, slot);
        }
    }
    let first_of_group = first_options(model);
    let mut all = Vec::new();
    for (place, verdict) in rejected {
        let Some((filter, detail)) = verdict else { continue };
        let option = first_of_group[place.option];
        let mut candidate = candidate(model, option, place.slot.and_then(|s| ids.get(&s)));
        if candidate.machine.is_none() {
            candidate.site.zone = model.options[option].offer.and_then(|o| o.key.zone.clone());
        }
        all.push(Rejection {
            candidate,
            filter,
            detail,
        });
    }
    all
}

/// The first option of each group.
fn first_options(model: &Model<'_>) -> Vec<usize> {
    let groups = model.options.iter().map(|o| o.group).max().map_or(0, |g| g + 1);
    let mut first = vec![0; groups];
    for (index, option) in model.options.iter().enumerate().rev() {
        first[option.group] = index;
    }
    first
}
