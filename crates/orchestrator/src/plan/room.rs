//! Which replacements may stand beside what they replace. Capacity is a hard limit also for the minutes of a change.

use std::collections::{BTreeMap, BTreeSet};

use skyloom_core::{Dimension, MachineId, ObservedReplica, Resources, ServiceName};

use super::diff::{Diff, Entry};

/// How replicas of one machine may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Room {
    /// New and old fit side by side.
    #[default]
    SideBySide,
    /// Each new one fits once the old one in the same place is gone.
    OneByOne,
    /// Nothing new comes before all that leaves is gone.
    ClearFirst,
}

type Sum = [u128; Dimension::ALL.len()];

#[derive(Debug, Default)]
struct Load<'a> {
    stays: Sum,
    leaves: Sum,
    comes: Sum,
    /// In-place replacements, each with the larger of old and new in every dimension.
    larger: Sum,
    in_place_old: Sum,
    in_place_new: Sum,
    leaving: bool,
    /// Services with a fixed port that leave, and that come from elsewhere.
    ports_leave: BTreeSet<&'a ServiceName>,
    ports_come: BTreeSet<&'a ServiceName>,
}

/// The room on each machine where something comes or goes; absent: side by side.
pub(super) fn rooms<'a>(diff: &Diff<'a>) -> BTreeMap<&'a MachineId, Room> {
    let mut loads: BTreeMap<&MachineId, Load> = BTreeMap::new();
    for (name, entries) in &diff.entries {
        let fixed = diff.services[name].run.ports.iter().any(|port| port.port.is_some());
        for entry in entries {
            add_entry(diff, &mut loads, entry, fixed.then_some(*name));
        }
    }
    for other in diff.left_alone.iter().filter(|other| other.state.is_live()) {
        add(&mut loads.entry(&other.machine).or_default().stays, &other.request);
    }
    for old in diff.unwanted.iter().filter(|old| old.state.is_live()) {
        let load = loads.entry(&old.machine).or_default();
        load.leaving = true;
        add(&mut load.leaves, &old.request);
    }
    let room = |(id, load): (&'a MachineId, Load)| (id, load.room(capacity(diff, id)));
    loads.into_iter().map(room).collect()
}

fn add_entry<'a>(
    diff: &Diff<'a>,
    loads: &mut BTreeMap<&'a MachineId, Load<'a>>,
    entry: &Entry<'a>,
    fixed_port: Option<&'a ServiceName>,
) {
    // The key must outlive the entry: it is the machine's own.
    let Some((&machine, _)) = diff.machines.get_key_value(&entry.spec.machine) else {
        return;
    };
    let live = || entry.olds.iter().filter(|old| old.state.is_live());
    if let Some(kept) = entry.kept.filter(|kept| kept.state.is_live()) {
        add(&mut loads.entry(machine).or_default().stays, &kept.request);
    }
    let in_place = |old: &&&ObservedReplica| entry.kept.is_none() && old.machine == *machine;
    for old in live() {
        let load = loads.entry(&old.machine).or_default();
        load.leaving = true;
        if !in_place(&old) {
            add(&mut load.leaves, &old.request);
            load.ports_leave.extend(fixed_port);
        }
    }
    if entry.kept.is_some() {
        return;
    }
    let load = loads.entry(machine).or_default();
    let mut old_sum = Sum::default();
    live().filter(in_place).for_each(|old| add(&mut old_sum, &old.request));
    if old_sum == Sum::default() {
        add(&mut load.comes, &entry.spec.request);
        load.ports_come.extend(fixed_port);
        return;
    }
    let mut new_sum = Sum::default();
    add(&mut new_sum, &entry.spec.request);
    for i in 0..new_sum.len() {
        load.larger[i] += old_sum[i].max(new_sum[i]);
        load.in_place_old[i] += old_sum[i];
        load.in_place_new[i] += new_sum[i];
    }
}

impl Load<'_> {
    fn room(&self, capacity: Resources) -> Room {
        let fits = |parts: &[&Sum]| {
            (0..Dimension::ALL.len()).all(|i| {
                let there = u128::from(capacity.get(Dimension::ALL[i]));
                parts.iter().map(|part| part[i]).sum::<u128>() <= there
            })
        };
        let all = [
            &self.stays,
            &self.leaves,
            &self.comes,
            &self.in_place_old,
            &self.in_place_new,
        ];
        let port_taken = !self.ports_come.is_disjoint(&self.ports_leave);
        if !self.leaving || fits(&all) && !port_taken {
            Room::SideBySide
        } else if fits(&[&self.stays, &self.leaves, &self.comes, &self.larger]) && !port_taken {
            Room::OneByOne
        } else {
            Room::ClearFirst
        }
    }
}

/// The first machine on which what comes does not fit beside what stays, even when all that leaves is gone.
pub(super) fn overfull<'a>(diff: &Diff<'a>) -> Option<&'a MachineId> {
    let comes = |entry: &&Entry<'_>| entry.kept.is_none();
    let coming: BTreeSet<&MachineId> = diff
        .entries
        .values()
        .flatten()
        .filter(comes)
        .filter_map(|entry| diff.machines.get_key_value(&entry.spec.machine))
        .map(|(id, _)| *id)
        .collect();
    coming.into_iter().find(|id| {
        let mut load = Sum::default();
        let of_entries = diff
            .entries
            .values()
            .flatten()
            .filter(|entry| entry.spec.machine == **id);
        of_entries.for_each(|entry| add(&mut load, &entry.kept.map_or(entry.spec.request, |kept| kept.request)));
        let others = diff
            .left_alone
            .iter()
            .filter(|o| o.machine == **id && o.state.is_live());
        others.for_each(|other| add(&mut load, &other.request));
        let capacity = capacity(diff, id);
        Dimension::ALL
            .iter()
            .zip(load)
            .any(|(dimension, load)| load > u128::from(capacity.get(*dimension)))
    })
}

fn capacity(diff: &Diff<'_>, id: &MachineId) -> Resources {
    let there = diff.nodes.get(id).map(|node| node.machine.capacity);
    let wanted = || diff.machines.get(id).map(|machine| machine.capacity);
    there.or_else(wanted).unwrap_or(Resources::ZERO)
}

fn add(sum: &mut Sum, request: &Resources) {
    for (i, dimension) in Dimension::ALL.into_iter().enumerate() {
        sum[i] += u128::from(request.get(dimension));
    }
}
