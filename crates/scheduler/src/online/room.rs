//! What is free on one node, and taking and giving of it: the arithmetic that everything else here rests on.
//!
//! Amounts are kept, not recomputed, so each `take` has its `give`; whether a rule allows it is not asked here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::class::Class;

/// Thousandths of a whole device.
pub(super) const DEVICE: u16 = 1000;
/// Devices that a set can name.
pub(super) const DEVICES_MAX: usize = 64;

/// A set of GPU devices of one node, by their numbers from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Devices(u64);

impl Devices {
    /// No device.
    pub const NONE: Self = Self(0);

    /// One device.
    pub(super) const fn one(device: usize) -> Self {
        Self(1 << device)
    }

    pub(super) fn insert(&mut self, device: usize) {
        self.0 |= 1 << device;
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Their numbers, rising.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = left.trailing_zeros() as usize;
            (left != 0).then(|| {
                left &= left - 1;
                next
            })
        })
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.iter().map(|d| d.to_string()).collect();
        f.write_str(&numbers.join(","))
    }
}

/// Free amounts of a node; its devices and further resources are kept beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Room {
    pub(super) cpu: u64,
    pub(super) memory: u64,
    pub(super) disk: u64,
    /// Devices of full size of which nothing is taken.
    pub(super) whole: u16,
    /// Most thousandths free on one device.
    pub(super) widest: u16,
}

/// What is free on a node, all of it, to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomRef<'a> {
    pub(super) room: &'a Room,
    pub(super) devices: &'a [u16],
    pub(super) extra: &'a [u64],
}

/// What is free on a node, all of it, to change.
#[derive(Debug)]
pub(super) struct RoomMut<'a> {
    pub(super) room: &'a mut Room,
    pub(super) devices: &'a mut [u16],
    pub(super) extra: &'a mut [u64],
}

/// A copy of what is free on a node, to try things on.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    room: Room,
    devices: Vec<u16>,
    extra: Vec<u64>,
}

impl Room {
    /// Everything free.
    pub(super) fn of(cpu: u64, memory: u64, disk: u64, devices: &[u16]) -> Self {
        let mut room = Self {
            cpu,
            memory,
            disk,
            whole: 0,
            widest: 0,
        };
        room.look_at(devices);
        room
    }

    fn look_at(&mut self, devices: &[u16]) {
        self.widest = devices.iter().copied().fold(0, u16::max);
        self.whole = devices.iter().fold(0, |n, free| n + u16::from(*free == DEVICE));
    }
}

impl RoomRef<'_> {
    /// Whether the class has room in every dimension. Rules are not asked.
    #[inline]
    pub(super) fn fits(&self, class: &Class) -> bool {
        let room = self.room;
        let plain = class.cpu <= room.cpu
            && class.memory <= room.memory
            && class.share <= room.widest
            && class.whole <= room.whole
            && class.disk <= room.disk;
        plain && class.extra.iter().all(|(at, amount)| *amount <= self.extra[*at])
    }

    /// Whether the class has the GPU that it asks for.
    pub(super) fn has_devices(&self, class: &Class) -> bool {
        class.share <= self.room.widest && class.whole <= self.room.whole
    }

    /// The devices that a class takes when the one that is left fullest serves, the lowest among equals. It must fit.
    pub(super) fn fullest(&self, class: &Class) -> Devices {
        if class.share > 0 {
            let fitting = self
                .devices
                .iter()
                .enumerate()
                .filter(|(_, free)| **free >= class.share);
            let best = fitting.min_by_key(|(device, free)| (**free, *device));
            return best.map_or(Devices::NONE, |(device, _)| Devices::one(device));
        }
        self.whole_devices(class.whole)
    }

    /// The lowest devices of which nothing is taken.
    pub(super) fn whole_devices(&self, count: u16) -> Devices {
        let mut devices = Devices::NONE;
        let free = self.devices.iter().enumerate().filter(|(_, free)| **free == DEVICE);
        free.take(usize::from(count)).for_each(|(d, _)| devices.insert(d));
        devices
    }

    pub(super) fn sketch(&self) -> Sketch {
        Sketch {
            room: self.room.clone(),
            devices: self.devices.to_vec(),
            extra: self.extra.to_vec(),
        }
    }
}

impl RoomMut<'_> {
    /// Takes what a class asks for, which must fit on these devices.
    pub(super) fn take(&mut self, class: &Class, devices: Devices) {
        self.room.cpu -= class.cpu;
        self.room.memory -= class.memory;
        self.room.disk -= class.disk;
        let from_each = class.per_device();
        devices.iter().for_each(|device| self.devices[device] -= from_each);
        class.extra.iter().for_each(|(at, amount)| self.extra[*at] -= amount);
        if !devices.is_empty() {
            self.room.look_at(self.devices);
        }
    }

    /// Gives back what was taken.
    pub(super) fn give(&mut self, class: &Class, devices: Devices) {
        self.room.cpu += class.cpu;
        self.room.memory += class.memory;
        self.room.disk += class.disk;
        let from_each = class.per_device();
        devices.iter().for_each(|device| self.devices[device] += from_each);
        class.extra.iter().for_each(|(at, amount)| self.extra[*at] += amount);
        if !devices.is_empty() {
            self.room.look_at(self.devices);
        }
    }
}

impl Sketch {
    pub(super) fn as_ref(&self) -> RoomRef<'_> {
        RoomRef {
            room: &self.room,
            devices: &self.devices,
            extra: &self.extra,
        }
    }

    fn as_mut(&mut self) -> RoomMut<'_> {
        RoomMut {
            room: &mut self.room,
            devices: &mut self.devices,
            extra: &mut self.extra,
        }
    }

    pub(super) fn take(&mut self, class: &Class, devices: Devices) {
        self.as_mut().take(class, devices);
    }

    pub(super) fn give(&mut self, class: &Class, devices: Devices) {
        self.as_mut().give(class, devices);
    }
}
