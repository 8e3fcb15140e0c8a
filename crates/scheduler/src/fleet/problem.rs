//! What a fleet purchase is asked: workloads to hold, machines to buy, and what limits the buying.
//!
//! Plain data with public fields; nothing is checked before [`super::buy`] does. How a manifest or a price list becomes
//! such a question does not belong here.

use serde::{Deserialize, Serialize};

/// Most additive dimensions (CPU, memory, …) that a question may have: vectors are held inline.
pub const DIMENSIONS_MAX: usize = 8;

/// Thousandths of one device.
pub const DEVICE_MILLI: u32 = 1000;

/// Amounts in the additive dimensions of a question, in their order; those beyond its last are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amounts(pub [u64; DIMENSIONS_MAX]);

/// Devices (GPUs) of one machine that a workload takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Devices {
    /// None.
    #[default]
    None,
    /// Thousandths of one device, 1 to 999; it may not straddle two.
    Share(u32),
    /// So many whole devices.
    Whole(u32),
}

/// Workloads that are alike. Each copy goes to one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// What each copy takes.
    pub need: Amounts,
    /// Which devices each copy takes.
    pub devices: Devices,
    /// How many copies.
    pub copies: u64,
    /// Most copies of it on one machine; `None`: as many as fit.
    pub per_machine_max: Option<u32>,
    /// Positions of the offers that may carry it, in [`FleetProblem::eligibility`]; `None`: any offer.
    pub eligible: Option<usize>,
}

/// A kind of machine that can be bought, any number of times unless a limit says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineOffer {
    /// What it holds.
    pub capacity: Amounts,
    /// Devices it has.
    pub devices: u32,
    /// Billionths of a dollar per hour; published prices have up to seven decimals.
    pub nano_usd_per_hour: u64,
}

/// The machines bought of some offers are limited together: a quota of a region, a reservation, a commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What it is called in reasons.
    pub name: String,
    /// Most that may be taken, in all.
    pub max: u64,
    /// Positions of offers, rising, with what one machine of each takes of it.
    pub takes: Vec<(usize, u64)>,
}

/// The question: the cheapest machines that hold these workloads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FleetProblem {
    /// Names of the additive dimensions, at most [`DIMENSIONS_MAX`], each once.
    pub dimensions: Vec<String>,
    /// Workloads; equal ones may stand apart.
    pub workloads: Vec<Workload>,
    /// What can be bought.
    pub offers: Vec<MachineOffer>,
    /// Sets of offers (positions, rising) that [`Workload::eligible`] names.
    pub eligibility: Vec<Vec<usize>>,
    /// Hard limits on what is bought.
    pub limits: Vec<Limit>,
    /// Billionths of a dollar per hour that are paid whatever is bought, such as a commitment.
    pub fixed_nano_usd_per_hour: u64,
    /// Hard limit on the whole, in billionths of a dollar per hour.
    pub budget_nano_usd_per_hour: Option<u64>,
}

impl FleetProblem {
    /// A question in these additive dimensions, with nothing to hold and nothing to buy yet.
    #[must_use]
    pub fn new(dimensions: Vec<String>) -> Self {
        Self {
            dimensions,
            ..Self::default()
        }
    }
}
