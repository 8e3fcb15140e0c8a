//! Coming and going of pods, with everything that has to be kept true, and taking it back.

use super::placer::Placer;
use super::pods::Pod;
use super::room::Devices;
use super::score::view;

/// What was done, so that it can be undone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    /// A pod came to a slot.
    Put(u32),
    /// This pod left a slot.
    Lifted(u32, Pod),
}

impl Placer {
    /// A pod comes to a node on which it fits.
    pub(super) fn put(&mut self, slot: u32, class: usize, node: usize, devices: Devices, gang: u64) {
        let pod = Pod {
            class,
            node,
            devices,
            gang,
        };
        let class = &self.classes[pod.class];
        self.nodes.take(node, slot, class, devices);
        self.rules.count(class, node, true);
        if let Some(account) = class.quota.map(|at| &mut self.accounts[at]) {
            account.used = account.used.checked_add(&class.spec.request).unwrap_or(account.used);
        }
        self.pods.set(slot, Some(pod));
        self.changed(node);
        if let Some(journal) = &mut self.journal {
            journal.push(Entry::Put(slot));
        }
    }

    /// The pod of a slot leaves its node; the slot stays its own.
    pub(super) fn lift(&mut self, slot: u32) -> Option<Pod> {
        let pod = *self.pods.get(slot)?;
        let class = &self.classes[pod.class];
        self.nodes.give(pod.node, slot, class, pod.devices);
        self.rules.count(class, pod.node, false);
        if let Some(account) = class.quota.map(|at| &mut self.accounts[at]) {
            account.used = account.used.checked_sub(&class.spec.request).unwrap_or(account.used);
        }
        self.pods.set(slot, None);
        self.changed(pod.node);
        if let Some(journal) = &mut self.journal {
            journal.push(Entry::Lifted(slot, pod));
        }
        Some(pod)
    }

    /// Whether one more pod of the class stays within its tenant's quota.
    pub(super) fn within_quota(&self, class: usize) -> bool {
        let class = &self.classes[class];
        let within = |at: usize| {
            let account = &self.accounts[at];
            let sum = account.used.checked_add(&class.spec.request);
            sum.is_some_and(|sum| sum.fits_in(&account.quota.max))
        };
        class.quota.is_none_or(within)
    }

    /// Takes back what was done after the first `kept` entries of the journal, the last first. Slots are not closed.
    pub(super) fn undo(&mut self, kept: usize) {
        let Some(mut journal) = self.journal.take() else { return };
        for entry in journal.drain(kept..).rev() {
            match entry {
                Entry::Put(slot) => drop(self.lift(slot)),
                Entry::Lifted(slot, pod) => self.put(slot, pod.class, pod.node, pod.devices, pod.gang),
            }
        }
        self.journal = Some(journal);
    }

    fn changed(&mut self, node: usize) {
        self.nodes.entries[node].value = self.policy.value(&view(&self.nodes, node));
        self.changes.note(node);
    }
}
