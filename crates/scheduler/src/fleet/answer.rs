//! What a fleet purchase answers: the machines, who is on them, the proof, and who has no place.

use serde::{Deserialize, Serialize};

use crate::effort::EffortLog;

/// One copy of a workload on a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resident {
    /// Position of the workload in [`super::FleetProblem::workloads`].
    pub workload: usize,
    /// Devices of the machine that it has, rising; one for a share.
    pub devices: Vec<u32>,
}

/// One machine to buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoughtMachine {
    /// Position of its offer in [`super::FleetProblem::offers`].
    pub offer: usize,
    /// Who is on it, by position of the workload.
    pub residents: Vec<Resident>,
}

/// Copies of a workload without a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Position of the workload.
    pub workload: usize,
    /// How many of its copies.
    pub copies: u64,
    /// Why.
    pub reason: LeftOutReason,
}

/// Why copies have no machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOutReason {
    /// No offer may carry it.
    NoEligibleOffer,
    /// It is larger than every eligible offer: the dimension (or `devices`) that is exceeded on the one nearest to it.
    TooLarge {
        /// Which dimension.
        dimension: String,
        /// What it takes.
        needs: u64,
        /// The most that an eligible offer has.
        largest: u64,
    },
    /// A limit is used up.
    Limited {
        /// The limits that stand in the way, by name.
        limits: Vec<String>,
    },
}

/// The cheapest machines found, with the proof of how near to the cheapest possible that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FleetAnswer {
    /// What the machines cost, in billionths of a dollar per hour, with what is paid in any case.
    pub nano_usd_per_hour: u128,
    /// No purchase that holds what this one holds costs less; proven in integers.
    pub lower_bound_nano_usd_per_hour: u128,
    /// The machines, sorted by offer, then by residents.
    pub machines: Vec<BoughtMachine>,
    /// What has no machine, by workload.
    pub left_out: Vec<LeftOut>,
    /// What it took, for a replay.
    pub effort: EffortLog,
}

impl FleetAnswer {
    /// (cost - bound) / bound; 0 when both are zero, infinite when only the bound is.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio for people; the integers are beside it"
    )]
    pub fn gap(&self) -> f64 {
        let (cost, bound) = (self.nano_usd_per_hour as f64, self.lower_bound_nano_usd_per_hour as f64);
        if self.nano_usd_per_hour == self.lower_bound_nano_usd_per_hour {
            0.0
        } else {
            (cost - bound) / bound
        }
    }
}
