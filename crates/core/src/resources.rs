//! Vectors of resources: what a replica asks for and what a machine has.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Millicores, Milligpus};

/// One dimension of [`Resources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Processor time.
    Cpu,
    /// Main memory.
    Memory,
    /// Attached block storage.
    Disk,
    /// Accelerator devices.
    Gpu,
}

impl Dimension {
    /// All dimensions, in the order that breaks ties.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Disk, Self::Gpu];
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Gpu => "gpu",
        })
    }
}

/// Amounts of CPU, memory, disk and GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time.
    pub cpu: Millicores,
    /// Main memory.
    pub memory: Bytes,
    /// Attached block storage.
    #[serde(default)]
    pub disk: Bytes,
    /// Accelerator devices; a share of one device, or whole devices.
    #[serde(default)]
    pub gpu: Milligpus,
}

impl Resources {
    /// Nothing in any dimension.
    pub const ZERO: Self = Self {
        cpu: Millicores::ZERO,
        memory: Bytes::ZERO,
        disk: Bytes::ZERO,
        gpu: Milligpus::ZERO,
    };

    /// CPU and memory, no disk, no GPU.
    #[must_use]
    pub const fn new(cpu: Millicores, memory: Bytes) -> Self {
        Self {
            cpu,
            memory,
            disk: Bytes::ZERO,
            gpu: Milligpus::ZERO,
        }
    }

    /// The same with this much disk.
    #[must_use]
    pub const fn with_disk(mut self, disk: Bytes) -> Self {
        self.disk = disk;
        self
    }

    /// The same with this much GPU.
    #[must_use]
    pub const fn with_gpu(mut self, gpu: Milligpus) -> Self {
        self.gpu = gpu;
        self
    }

    /// The bare amount in one dimension (millicores, bytes, bytes, thousandths of a device).
    #[must_use]
    pub const fn get(&self, dimension: Dimension) -> u64 {
        match dimension {
            Dimension::Cpu => self.cpu.as_millicores(),
            Dimension::Memory => self.memory.as_bytes(),
            Dimension::Disk => self.disk.as_bytes(),
            Dimension::Gpu => self.gpu.as_milligpus(),
        }
    }

    /// Whether all of it fits into `capacity`.
    #[must_use]
    pub fn fits_in(&self, capacity: &Self) -> bool {
        self.first_excess(capacity).is_none()
    }

    /// The first dimension in which this is more than `capacity`, if any.
    #[must_use]
    pub fn first_excess(&self, capacity: &Self) -> Option<Dimension> {
        Dimension::ALL.into_iter().find(|d| self.get(*d) > capacity.get(*d))
    }

    /// The sum, or `None` when a dimension cannot be held.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        Some(Self {
            cpu: self.cpu.checked_add(other.cpu)?,
            memory: self.memory.checked_add(other.memory)?,
            disk: self.disk.checked_add(other.disk)?,
            gpu: self.gpu.checked_add(other.gpu)?,
        })
    }

    /// The difference, or `None` when a dimension would be below zero.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        Some(Self {
            cpu: self.cpu.checked_sub(other.cpu)?,
            memory: self.memory.checked_sub(other.memory)?,
            disk: self.disk.checked_sub(other.disk)?,
            gpu: self.gpu.checked_sub(other.gpu)?,
        })
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cpu, {}", self.cpu, self.memory)?;
        if !self.disk.is_zero() {
            write!(f, ", {} disk", self.disk)?;
        }
        if !self.gpu.is_zero() {
            write!(f, ", {} gpu", self.gpu)?;
        }
        Ok(())
    }
}
