//! Pushing out pods of lower priority, the cheapest set of them, and never one of equal or higher priority.
//!
//! On each node all lower pods are thought away, and then brought back, the highest priority first, as long as the
//! newcomer still fits (the way of kube-scheduler's preemption). Of the nodes the one is taken whose highest victim is
//! lowest, then with fewest victims, then with least GPU and CPU given up. Members of a gang fall together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::PodId;
use super::placer::Placer;
use super::room::Devices;

/// Nodes that are tried in earnest.
const TRIES_MAX: usize = 64;

/// Victims on one node, in the order by which nodes are preferred.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Victims {
    highest: i32,
    count: usize,
    gpu: u64,
    cpu: u64,
    node: usize,
    slots: BTreeSet<u32>,
}

impl Placer {
    /// The place that is free after evictions, which are made; `None`: nothing is changed.
    pub(super) fn push_out(&mut self, class: usize, evicted: &mut Vec<PodId>) -> Option<(usize, Devices)> {
        if !self.preempts {
            return None;
        }
        let gangs = self.gangs_below(self.classes[class].spec.priority);
        let mut sets: Vec<Victims> = (0..self.nodes.len())
            .filter(|node| self.classes[class].barred[self.nodes.profile(*node)].is_none())
            .filter_map(|node| self.victims(class, node, &gangs))
            .collect();
        sets.sort_unstable();
        sets.iter()
            .take(TRIES_MAX)
            .find_map(|victims| self.try_evictions(class, victims, evicted))
    }

    fn try_evictions(&mut self, class: usize, victims: &Victims, evicted: &mut Vec<PodId>) -> Option<(usize, Devices)> {
        let nested = self.journal.is_some();
        let kept = self.journal.get_or_insert_default().len();
        for slot in &victims.slots {
            self.lift(*slot);
        }
        let levels = self.rules.levels(&self.classes[class]);
        let allowed = self
            .rules
            .first_broken(&self.classes[class], victims.node, &levels)
            .is_none();
        let devices = if allowed {
            self.devices_on(class, victims.node)
        } else {
            None
        };
        match devices {
            // The slots of victims are closed with the journal, which may yet be undone.
            Some(_) => evicted.extend(victims.slots.iter().map(|slot| self.pods.id(*slot))),
            None => self.undo(kept),
        }
        if !nested {
            self.journal = None;
            if devices.is_some() {
                victims.slots.iter().for_each(|slot| self.pods.close(*slot));
            }
        }
        devices.map(|devices| (victims.node, devices))
    }

    /// The cheapest victims on a node; `None`: the class would not fit without any lower pod either.
    fn victims(&self, class: usize, node: usize, gangs: &BTreeMap<u64, Vec<u32>>) -> Option<Victims> {
        let newcomer = &self.classes[class];
        let mut room = self.nodes.room(node).sketch();
        let mut lower = Vec::new();
        for slot in &self.nodes.residents[node] {
            let pod = self.pods.get(*slot)?;
            let other = &self.classes[pod.class];
            if other.spec.priority < newcomer.spec.priority && (pod.gang == 0 || gangs.contains_key(&pod.gang)) {
                room.give(other, pod.devices);
                lower.push((
                    Reverse(other.spec.priority),
                    Reverse(other.gpu_milli()),
                    Reverse(other.cpu),
                    *slot,
                ));
            }
        }
        if !room.as_ref().fits(newcomer) {
            return None;
        }
        lower.sort_unstable();
        let mut slots = BTreeSet::new();
        for (.., slot) in lower {
            let pod = self.pods.get(slot)?;
            let mut with = room.clone();
            with.take(&self.classes[pod.class], pod.devices);
            if with.as_ref().fits(newcomer) {
                room = with;
            } else {
                slots.insert(slot);
                slots.extend(gangs.get(&pod.gang).into_iter().flatten());
            }
        }
        let classes = || {
            slots
                .iter()
                .filter_map(|slot| Some(&self.classes[self.pods.get(*slot)?.class]))
        };
        Some(Victims {
            highest: classes().map(|class| class.spec.priority).max().unwrap_or(i32::MIN),
            count: slots.len(),
            gpu: classes().map(|class| u64::from(class.gpu_milli())).sum(),
            cpu: classes().map(|class| class.cpu).fold(0, u64::saturating_add),
            node,
            slots,
        })
    }

    /// Slots of the gangs of which every member has a lower priority.
    fn gangs_below(&self, priority: i32) -> BTreeMap<u64, Vec<u32>> {
        let mut gangs: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for (slot, pod) in self.pods.iter().filter(|(_, pod)| pod.gang > 0) {
            gangs.entry(pod.gang).or_default().push(slot);
            if self.classes[pod.class].spec.priority >= priority {
                kept.insert(pod.gang);
            }
        }
        gangs.retain(|gang, _| !kept.contains(gang));
        gangs
    }
}
