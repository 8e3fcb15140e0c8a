//! Why a placer cannot be made, or cannot take an order. A pod that fits nowhere is no error: it is refused, with reasons.

use skyloom_core::{Class, MachineId};
use thiserror::Error;

use super::PodId;

/// What an order to an online placer can fail with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnlineError {
    /// Two nodes have one id.
    #[error("tell two nodes `{node}` apart")]
    DuplicateNode {
        /// The id.
        node: MachineId,
    },
    /// Two quotas are for one tenant.
    #[error("tell two quotas of tenant `{tenant}` apart")]
    DuplicateQuota {
        /// The tenant.
        tenant: String,
    },
    /// A node has more GPU devices than a set of devices can name.
    #[error("number the `{devices}` GPU devices of node `{node}`: at most `{allowed}` are")]
    TooManyDevices {
        /// The node.
        node: MachineId,
        /// Its devices.
        devices: u64,
        /// The most.
        allowed: u64,
    },
    /// More than one device is asked for, and not whole ones.
    #[error("give `{milligpus}` thousandths of GPU: a share is of one device, more than one device are whole ones")]
    GpuNotWhole {
        /// What was asked for.
        milligpus: u64,
    },
    /// A weight is negative, infinite or not a number.
    #[error("weigh {what} by `{weight}`: a weight is finite and at least 0")]
    Weight {
        /// What it weighs.
        what: &'static str,
        /// The weight, as text.
        weight: String,
    },
    /// More classes than the configuration accepts.
    #[error("remember one more class of pods: `{allowed}` are")]
    TooManyClasses {
        /// Limit of the configuration.
        allowed: usize,
    },
    /// More nodes than an index can name.
    #[error("index `{nodes}` nodes: at most `{allowed}` are")]
    TooManyNodes {
        /// How many.
        nodes: usize,
        /// The most.
        allowed: usize,
    },
    /// The class is not one of this placer.
    #[error("find class `{class}`: it is not of this placer")]
    UnknownClass {
        /// Its number.
        class: usize,
    },
    /// The pod is not placed (any more).
    #[error("find pod `{pod}`: it is not placed")]
    UnknownPod {
        /// The pod.
        pod: PodId,
    },
}

impl OnlineError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::DuplicateNode { .. } | Self::DuplicateQuota { .. } => Class::Conflict,
            Self::TooManyClasses { .. } | Self::TooManyNodes { .. } => Class::Exhausted,
            Self::UnknownClass { .. } | Self::UnknownPod { .. } => Class::NotFound,
            Self::TooManyDevices { .. } | Self::GpuNotWhole { .. } | Self::Weight { .. } => Class::Invalid,
        }
    }
}
