//! Pods that are placed, under ids that are never given twice.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::room::Devices;

/// A pod that was placed. Ids of one placer are never used again, so one that is kept too long finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodId {
    slot: u32,
    /// How many pods had the slot before.
    turn: u32,
}

impl fmt::Display for PodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.turn)
    }
}

/// Where a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) class: usize,
    pub(super) node: usize,
    pub(super) devices: Devices,
    /// Number of its gang; 0: none.
    pub(super) gang: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    turn: u32,
    closed: bool,
    pod: Option<Pod>,
}

/// All of them, by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Pods {
    slots: Vec<Slot>,
    free: Vec<u32>,
    pub(super) placed: u64,
}

impl Pods {
    /// A slot for a pod to come, with its id.
    pub(super) fn open(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize].closed = false;
            return slot;
        }
        self.slots.push(Slot {
            turn: 0,
            closed: false,
            pod: None,
        });
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    /// Gives a slot up for good; ids of it are void.
    pub(super) fn close(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        entry.turn = entry.turn.wrapping_add(1);
        entry.closed = true;
        self.free.push(slot);
    }

    pub(super) fn is_closed(&self, slot: u32) -> bool {
        self.slots[slot as usize].closed
    }

    pub(super) fn id(&self, slot: u32) -> PodId {
        PodId {
            slot,
            turn: self.slots[slot as usize].turn,
        }
    }

    pub(super) fn slot(&self, id: PodId) -> Option<u32> {
        let entry = self.slots.get(id.slot as usize)?;
        (entry.turn == id.turn && entry.pod.is_some()).then_some(id.slot)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Pod> {
        self.slots[slot as usize].pod.as_ref()
    }

    pub(super) fn set(&mut self, slot: u32, pod: Option<Pod>) {
        let entry = &mut self.slots[slot as usize];
        self.placed += u64::from(pod.is_some());
        self.placed -= u64::from(entry.pod.is_some());
        entry.pod = pod;
    }

    /// Slots in use, rising.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Pod)> {
        let numbered = (0..).zip(&self.slots);
        numbered.filter_map(|(slot, entry)| entry.pod.as_ref().map(|pod| (slot, pod)))
    }
}
