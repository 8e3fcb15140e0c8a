//! Names for a state whose replicas may all have moved, such that as few as possible do.
//!
//! Machines that are alike and replicas of one service are interchangeable to every rule, so a search that ignores who
//! was where may give them back their places afterwards, at no cost.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::state::State;

/// Replicas of each service on a machine.
type Load = BTreeMap<usize, usize>;

/// The same state with names of machines and replicas as in `before` wherever that is possible.
pub(crate) fn renamed(model: &Model<'_>, before: &State, after: &State) -> State {
    let homes = homes(model, before, after);
    let mut next = State::new(model);
    let mut free: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    for (slot, machine) in after.slots.iter().enumerate().filter(|(_, m)| !m.residents.is_empty()) {
        let mut needs = load(model, &machine.residents);
        let home = homes.get(&slot).copied();
        let stay = home.map_or(&[][..], |home| &before.slots[home].residents);
        let mut residents = Vec::new();
        for &replica in stay {
            let service = model.service_of[replica];
            if let Some(count) = needs.get_mut(&service).filter(|count| **count > 0) {
                *count -= 1;
                residents.push(replica);
            }
        }
        // Bought slots must be opened in the order of their numbers, so they are opened when all are named.
        moved.insert(slot, home.unwrap_or(usize::MAX));
        for (service, count) in needs {
            free.entry(service).or_default().extend(vec![slot; count]);
        }
        place(model, &mut next, &mut moved, (slot, machine.option), &residents);
    }
    for (service, slots) in free {
        let spec = &model.services[service];
        let homeless = (spec.first..spec.first + spec.count).filter(|r| next.at[*r].is_none());
        let homeless: Vec<usize> = homeless.collect();
        for (replica, slot) in homeless.into_iter().zip(slots) {
            place(
                model,
                &mut next,
                &mut moved,
                (slot, after.slots[slot].option),
                &[replica],
            );
        }
    }
    next
}

/// Puts replicas on the machine that stands for a slot, which is opened when it is first needed.
fn place(
    model: &Model<'_>,
    next: &mut State,
    moved: &mut BTreeMap<usize, usize>,
    (slot, option): (usize, usize),
    replicas: &[usize],
) {
    for &replica in replicas {
        let target = moved.get(&slot).copied().filter(|target| *target != usize::MAX);
        let target = target.unwrap_or_else(|| next.open(model, option));
        moved.insert(slot, target);
        next.add(model, replica, target);
    }
}

/// The machine that is there for each slot in use: itself, or one that is alike and carried most of the same. A bought
/// slot for which none is left has none.
fn homes(model: &Model<'_>, before: &State, after: &State) -> BTreeMap<usize, usize> {
    let used: Vec<usize> = (0..after.slots.len())
        .filter(|s| !after.slots[*s].residents.is_empty())
        .collect();
    let mut pairs: Vec<(usize, bool, usize, usize)> = Vec::new();
    for &slot in &used {
        let needs = load(model, &after.slots[slot].residents);
        for node in 0..model.node_count {
            if node == slot || alike(model, after, &needs, slot, node) {
                let had = load(model, &before.slots[node].residents);
                let shared: usize = needs.iter().map(|(s, n)| had.get(s).map_or(0, |h| (*h).min(*n))).sum();
                pairs.push((shared, node == slot, slot, node));
            }
        }
    }
    pairs.sort_by(|a, b| {
        b.0.cmp(&a.0)
            .then(b.1.cmp(&a.1))
            .then(a.2.cmp(&b.2))
            .then(a.3.cmp(&b.3))
    });
    let mut homes = BTreeMap::new();
    let mut taken = vec![false; model.node_count];
    for (_, _, slot, node) in pairs {
        if !taken[node] && !homes.contains_key(&slot) {
            taken[node] = true;
            homes.insert(slot, node);
        }
    }
    homes
}

/// Whether what is on a slot may as well be on a machine that is there: of the same kind, place and price, and with
/// nothing else on either.
fn alike(model: &Model<'_>, after: &State, needs: &Load, slot: usize, node: usize) -> bool {
    let (here, there) = (&model.options[after.slots[slot].option], &model.options[node]);
    let instance = |option: &crate::model::Opt<'_>| {
        let offered = option.offer.map(|offer| offer.key.instance.clone());
        offered.or_else(|| option.node.map(|node| node.machine.instance.clone()))
    };
    let plain = |at: usize| after.slots[at].foreign.is_empty();
    here.site == there.site
        && here.purchase == there.purchase
        && here.price == there.price
        && here.capacity == there.capacity
        && instance(here) == instance(there)
        && plain(slot)
        && plain(node)
        && needs
            .keys()
            .all(|service| model.services[*service].statics[node].is_none())
}

fn load(model: &Model<'_>, residents: &[usize]) -> Load {
    let mut load = Load::new();
    for replica in residents {
        *load.entry(model.service_of[*replica]).or_insert(0) += 1;
    }
    load
}
