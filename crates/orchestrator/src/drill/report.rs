//! The report as data.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    CloudId, MachineId, MicroUsd, MicroUsdPerHour, RegionKey, ServiceName, Timestamp, Unplaced, ZoneName,
};

use super::data::{DataRecovery, SurvivingCopy};
use crate::Place;

/// Version of the persisted form of [`DrillReport`].
pub const DRILL_VERSION: u32 = 1;

/// What is supposed to be lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// All regions of a cloud.
    Cloud(CloudId),
    /// A region with everything in it.
    Region(RegionKey),
    /// A zone with everything in it; its region still answers.
    Zone(RegionKey, ZoneName),
    /// One machine with what runs on it.
    Machine(MachineId),
}

impl Loss {
    /// The place that is lost; `None`: a machine.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Cloud(cloud) => Some(Place::Cloud(cloud.clone())),
            Self::Region(region) => Some(Place::Region(region.clone())),
            Self::Zone(region, zone) => Some(Place::Zone(region.clone(), zone.clone())),
            Self::Machine(_) => None,
        }
    }
}

impl From<Place> for Loss {
    fn from(place: Place) -> Self {
        match place {
            Place::Cloud(cloud) => Self::Cloud(cloud),
            Place::Region(region) => Self::Region(region),
            Place::Zone(region, zone) => Self::Zone(region, zone),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.place()) {
            (Self::Cloud(cloud), _) => write!(f, "cloud {cloud}"),
            (Self::Machine(machine), _) => write!(f, "machine {machine}"),
            (Self::Region(region), _) => write!(f, "region {region}"),
            (Self::Zone(..), place) => write!(f, "zone {}", place.map(|p| p.to_string()).unwrap_or_default()),
        }
    }
}

/// How a drill was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum DrillMode {
    /// The control loop itself, on a simulated copy of the inventory in virtual time.
    Rehearsal {
        /// The seed of chance.
        seed: u64,
    },
    /// The decision only, from the real inventory; times follow from supposed start-up times and the plan's order.
    DryRun,
}

/// What became of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceRecovery {
    /// Which.
    pub service: ServiceName,
    /// Replicas that the manifest asks for.
    pub replicas: u32,
    /// Those that were lost.
    pub lost: u32,
    /// Those that were healthy at the end of the drill.
    pub healthy: u32,
    /// From the loss until as many were healthy as the manifest asks for; zero where none was lost, `None`: not within
    /// the drill.
    pub rto: Option<Duration>,
    /// The least number of healthy replicas that its rollout promises: the replicas less `max_unavailable`.
    pub floor: u32,
    /// How long fewer than that were healthy.
    pub below_floor: Duration,
}

impl ServiceRecovery {
    /// What is known before anything has happened: nothing has recovered.
    #[must_use]
    pub const fn new(service: ServiceName, replicas: u32, lost: u32, floor: u32) -> Self {
        Self {
            service,
            replicas,
            lost,
            healthy: 0,
            rto: None,
            floor,
            below_floor: Duration::ZERO,
        }
    }
}

/// What a loss costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrillCost {
    /// All machines before the loss.
    pub before: MicroUsdPerHour,
    /// The most that ran at one time from the loss to the end, what is lost and still charged included.
    pub during: MicroUsdPerHour,
    /// All machines afterwards, without what is lost.
    pub after: MicroUsdPerHour,
    /// What is lost and charged until somebody can give it back.
    pub lost_but_charged: MicroUsdPerHour,
    /// What the new machines cost until all services were healthy again; `None`: they were not.
    pub failover: Option<MicroUsd>,
    /// Traffic between services per month before, as the placement has it.
    pub egress_before_per_month: MicroUsd,
    /// The same afterwards; `None`: there is no placement.
    pub egress_after_per_month: Option<MicroUsd>,
    /// Whether a price of traffic was assumed, because none is published for the pair.
    pub egress_assumed: bool,
}

/// Something that there was too little of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shortfall {
    /// What, in the provider's words.
    pub what: String,
    /// How often it was asked for in vain.
    pub refused: u32,
}

/// What a rehearsed loss has come to. Equal input and seed give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrillReport {
    /// Version of the form, [`DRILL_VERSION`].
    pub version: u32,
    /// What was lost.
    pub loss: Loss,
    /// How the drill was made.
    #[serde(flatten)]
    pub mode: DrillMode,
    /// When it was lost, by the clock of the inventory.
    pub at: Timestamp,
    /// Machines that were lost.
    pub machines_lost: u32,
    /// Replicas that were lost.
    pub replicas_lost: u32,
    /// From the loss until it was declared; `None`: it was not, as for a machine, which is healed.
    pub declared_after: Option<Duration>,
    /// Per service, sorted by name.
    pub services: Vec<ServiceRecovery>,
    /// Per data set, in the manifest's order.
    pub data: Vec<DataRecovery>,
    /// In money.
    pub cost: DrillCost,
    /// Replicas without another place, sorted by replica, each with the rule that said no.
    pub unplaced: Vec<Unplaced>,
    /// The rule over the whole that said no to any placement, such as the budget.
    pub refused: Option<String>,
    /// Quotas and capacities that were used up, sorted.
    pub shortfalls: Vec<Shortfall>,
}

impl DrillReport {
    /// A report of a loss in which nothing has been found out yet.
    #[must_use]
    pub fn new(loss: Loss, mode: DrillMode, at: Timestamp) -> Self {
        Self {
            version: DRILL_VERSION,
            loss,
            mode,
            at,
            machines_lost: 0,
            replicas_lost: 0,
            declared_after: None,
            services: Vec::new(),
            data: Vec::new(),
            cost: DrillCost::default(),
            unplaced: Vec::new(),
            refused: None,
            shortfalls: Vec::new(),
        }
    }

    /// From the loss until all services were healthy again; `None`: some were not, or never had a place.
    #[must_use]
    pub fn rto(&self) -> Option<Duration> {
        let times: Option<Vec<Duration>> = self.services.iter().map(|service| service.rto).collect();
        times.map(|times| times.into_iter().max().unwrap_or_default())
    }

    /// The largest age of a data set's newest surviving copy; `None`: of some it is not known, or there is none.
    #[must_use]
    pub fn rpo(&self) -> Option<Duration> {
        let age = |data: &DataRecovery| match &data.copy {
            SurvivingCopy::Primary { .. } => Some(Duration::ZERO),
            SurvivingCopy::Synced { age, .. } => Some(*age),
            SurvivingCopy::Unknown { .. } | SurvivingCopy::None => None,
        };
        let ages: Option<Vec<Duration>> = self.data.iter().map(age).collect();
        ages.map(|ages| ages.into_iter().max().unwrap_or_default())
    }

    /// Whether everything had another place.
    #[must_use]
    pub const fn is_placed(&self) -> bool {
        self.unplaced.is_empty() && self.refused.is_none()
    }
}
