//! The nodes in dense numbers, sorted by id: what is free on each, which pods are on it, and what it is.

use std::collections::BTreeMap;

use skyloom_core::Resources;

use super::class::Class;
use super::room::{DEVICE, DEVICES_MAX, Devices, Room, RoomMut, RoomRef};
use super::{NodeSpec, OnlineError};

/// Nodes that keys of an index can name.
const NODES_MAX: usize = 1 << 30;

/// Facts about a node that do not change, in the numbers that policies use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Millicores.
    pub cpu: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Thousandths of GPU.
    pub gpu: u32,
    /// Devices.
    pub devices: usize,
    /// Place of its GPU model in [`super::policy::World::models`].
    pub model: usize,
}

/// Nodes that differ in nothing but their id.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// The first node of it.
    pub(super) first: usize,
    pub(super) facts: Facts,
}

/// A node's own part of the tables.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) room: Room,
    pub(super) profile: u32,
    device_at: u32,
    device_count: u32,
    /// What the policy makes of what is free.
    pub(super) value: f64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    pub(super) specs: Vec<NodeSpec>,
    pub(super) profiles: Vec<Profile>,
    /// Names of further resources, sorted.
    pub(super) extra_names: Vec<String>,
    /// GPU models, sorted.
    pub(super) models: Vec<String>,
    pub(super) entries: Vec<Entry>,
    devices: Vec<u16>,
    extra: Vec<u64>,
    /// Slots of the pods on each, sorted.
    pub(super) residents: Vec<Vec<u32>>,
    /// How many pods on each ask for which thousandths of GPU, sorted.
    pub(super) asks: Vec<Vec<(u32, u32)>>,
}

impl Nodes {
    /// # Errors
    /// Of [`OnlineError`]: a duplicate id, too many devices on a node, too many nodes.
    pub(super) fn new(mut specs: Vec<NodeSpec>) -> Result<Self, OnlineError> {
        if specs.len() > NODES_MAX {
            return Err(OnlineError::TooManyNodes {
                nodes: specs.len(),
                allowed: NODES_MAX,
            });
        }
        specs.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(pair) = specs.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(OnlineError::DuplicateNode {
                node: pair[0].id.clone(),
            });
        }
        let mut models: Vec<String> = specs.iter().map(|s| s.gpu_model.clone()).collect();
        let mut extra_names: Vec<String> = specs.iter().flat_map(|s| s.extra.keys().cloned()).collect();
        for names in [&mut models, &mut extra_names] {
            names.sort_unstable();
            names.dedup();
        }
        let count = specs.len();
        let mut nodes = Self {
            specs: Vec::with_capacity(count),
            profiles: Vec::new(),
            extra_names,
            models,
            entries: Vec::with_capacity(count),
            devices: Vec::new(),
            extra: Vec::new(),
            residents: vec![Vec::new(); count],
            asks: vec![Vec::new(); count],
        };
        let mut known = BTreeMap::new();
        for spec in specs {
            nodes.add(spec, &mut known)?;
        }
        Ok(nodes)
    }

    pub(super) fn len(&self) -> usize {
        self.specs.len()
    }

    #[inline]
    pub(super) fn profile(&self, node: usize) -> usize {
        self.entries[node].profile as usize
    }

    #[inline]
    pub(super) fn facts(&self, node: usize) -> &Facts {
        &self.profiles[self.profile(node)].facts
    }

    #[inline]
    pub(super) fn room(&self, node: usize) -> RoomRef<'_> {
        let entry = &self.entries[node];
        let extras = self.extra_names.len();
        RoomRef {
            room: &entry.room,
            devices: &self.devices[entry.device_at as usize..][..entry.device_count as usize],
            extra: &self.extra[node * extras..][..extras],
        }
    }

    /// A pod of this class comes to a node where it fits.
    pub(super) fn take(&mut self, node: usize, slot: u32, class: &Class, devices: Devices) {
        self.room_mut(node).take(class, devices);
        let residents = &mut self.residents[node];
        residents.insert(residents.partition_point(|r| *r < slot), slot);
        let asks = &mut self.asks[node];
        match asks.binary_search_by_key(&class.gpu_milli(), |(ask, _)| *ask) {
            Ok(at) => asks[at].1 += 1,
            Err(at) => asks.insert(at, (class.gpu_milli(), 1)),
        }
    }

    /// The pod leaves.
    pub(super) fn give(&mut self, node: usize, slot: u32, class: &Class, devices: Devices) {
        self.room_mut(node).give(class, devices);
        if let Ok(at) = self.residents[node].binary_search(&slot) {
            self.residents[node].remove(at);
        }
        let asks = &mut self.asks[node];
        if let Ok(at) = asks.binary_search_by_key(&class.gpu_milli(), |(ask, _)| *ask) {
            asks[at].1 -= 1;
            if asks[at].1 == 0 {
                asks.remove(at);
            }
        }
    }

    fn room_mut(&mut self, node: usize) -> RoomMut<'_> {
        let entry = &mut self.entries[node];
        let extras = self.extra_names.len();
        RoomMut {
            room: &mut entry.room,
            devices: &mut self.devices[entry.device_at as usize..][..entry.device_count as usize],
            extra: &mut self.extra[node * extras..][..extras],
        }
    }

    fn add(&mut self, spec: NodeSpec, known: &mut BTreeMap<String, usize>) -> Result<(), OnlineError> {
        let devices = devices_of(&spec)?;
        let Resources { cpu, memory, disk, .. } = spec.capacity;
        let room = Room::of(cpu.as_millicores(), memory.as_bytes(), disk.as_bytes(), &devices);
        let node = self.specs.len();
        let facts = Facts {
            cpu: room.cpu,
            memory: room.memory,
            gpu: devices.iter().map(|d| u32::from(*d)).sum(),
            devices: devices.len(),
            model: self.models.binary_search(&spec.gpu_model).unwrap_or(0),
        };
        let profile = *known.entry(likeness(&spec)).or_insert_with(|| {
            self.profiles.push(Profile { first: node, facts });
            self.profiles.len() - 1
        });
        let amounts = self
            .extra_names
            .iter()
            .map(|name| spec.extra.get(name).copied().unwrap_or(0));
        self.extra.extend(amounts);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.entries.push(Entry {
            room,
            profile: number(profile),
            device_at: number(self.devices.len()),
            device_count: number(devices.len()),
            value: 0.0,
        });
        self.devices.extend(devices);
        self.specs.push(spec);
        Ok(())
    }
}

/// Thousandths of each device.
fn devices_of(spec: &NodeSpec) -> Result<Vec<u16>, OnlineError> {
    let gpu = spec.capacity.gpu.as_milligpus();
    let device = u64::from(DEVICE);
    let count = gpu.div_ceil(device);
    if count > DEVICES_MAX as u64 {
        return Err(OnlineError::TooManyDevices {
            node: spec.id.clone(),
            devices: count,
            allowed: DEVICES_MAX as u64,
        });
    }
    let of = |n: u64| u16::try_from((gpu - n * device).min(device)).unwrap_or(DEVICE);
    Ok((0..count).map(of).collect())
}

/// Equal for nodes that differ in nothing but their id.
fn likeness(spec: &NodeSpec) -> String {
    let nameless = (
        (&spec.capacity, &spec.extra, &spec.gpu_model, &spec.site),
        (&spec.jurisdictions, &spec.labels, &spec.taints),
        (&spec.round_trip, spec.carbon_g_per_kwh),
    );
    format!("{nameless:?}")
}
