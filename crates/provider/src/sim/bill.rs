//! What a simulated cloud charges: machines by the time that they run, what is stopped and still kept, and the bytes that
//! leave a region, to the micro-dollar.
//!
//! As the public clouds do it: by the second, each start of a machine for a minute at least. Every line is a price times
//! a length, rounded once, so that any sum can be checked by hand or from the event log.

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Bytes, InstanceType, MicroUsd, MicroUsdPerHour, OwnerTag, Purchase, RegionKey, ResourceId, Site, Timestamp,
};

/// What an interval is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charge {
    /// The machine ran.
    #[default]
    Running,
    /// It ran for less than the minimum charge: the rest of it. Such an interval begins when the machine ended, and may
    /// reach into the future.
    Minimum,
    /// It was stopped and kept: its disk and its address.
    Stopped,
}

/// One uninterrupted interval in which a machine was charged at one price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// What the cloud calls the machine.
    pub id: ResourceId,
    /// Our name for it.
    pub name: String,
    /// Who pays.
    pub owner: OwnerTag,
    /// Where it is.
    pub site: Site,
    /// Its type.
    pub instance: InstanceType,
    /// How it is paid.
    pub purchase: Purchase,
    /// What for.
    #[serde(default)]
    pub charge: Charge,
    /// When it began to run (to be stopped), or when the price changed.
    pub from: Timestamp,
    /// When it stopped running, or when the price changed; the moment of the bill while `open`.
    pub until: Timestamp,
    /// Whether it goes on.
    pub open: bool,
    /// Price per hour in this interval.
    pub price: MicroUsdPerHour,
    /// `price` x (`until` - `from`) in whole microseconds, rounded once, half away from zero, to a micro-dollar.
    pub cost: MicroUsd,
}

/// Where a replica sends bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// To a region; within its own region a replica sends free of charge.
    Region(RegionKey),
    /// Out of the cloud.
    Internet,
}

/// All that one replica has sent to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressItem {
    /// What the cloud calls the replica.
    pub id: ResourceId,
    /// Our name for it.
    pub name: String,
    /// Who pays.
    pub owner: OwnerTag,
    /// The region that the bytes left.
    pub from: RegionKey,
    /// Where they went.
    pub to: Destination,
    /// How many.
    pub bytes: Bytes,
    /// Price per GiB (2^30 bytes).
    pub per_gib: MicroUsd,
    /// `bytes` x `per_gib` / 2^30, rounded once, half up, to a micro-dollar.
    pub cost: MicroUsd,
}

/// All that has been charged so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bill {
    /// Sorted by `from`, then by id and charge. Intervals of no length are left out.
    pub items: Vec<LineItem>,
    /// Sorted by id, then by destination. What costs nothing is left out.
    #[serde(default)]
    pub egress: Vec<EgressItem>,
}

impl Bill {
    /// The sum of the items' costs, or `None` when it cannot be held (beyond 9 million million dollars).
    #[must_use]
    pub fn total(&self) -> Option<MicroUsd> {
        let machines = self.items.iter().map(|item| item.cost);
        MicroUsd::checked_sum(machines.chain(self.egress.iter().map(|item| item.cost)))
    }

    /// What one owner pays.
    #[must_use]
    pub fn of(&self, owner: &OwnerTag) -> Self {
        Self {
            items: self.items.iter().filter(|item| item.owner == *owner).cloned().collect(),
            egress: self
                .egress
                .iter()
                .filter(|item| item.owner == *owner)
                .cloned()
                .collect(),
        }
    }

    pub(super) fn sort(&mut self) {
        self.items
            .sort_by(|a, b| (a.from, &a.id, a.charge).cmp(&(b.from, &b.id, b.charge)));
        self.egress.sort_by(|a, b| (&a.id, &a.to).cmp(&(&b.id, &b.to)));
    }
}

/// What bytes cost at a price per GiB; the largest amount where it cannot be held.
pub(super) fn cost_of(bytes: Bytes, per_gib: MicroUsd) -> MicroUsd {
    const GIB: i128 = 1 << 30;
    let product = i128::from(bytes.as_bytes()) * i128::from(per_gib.as_micros());
    let rounded = (product + GIB / 2).div_euclid(GIB);
    i64::try_from(rounded).map_or(MicroUsd::MAX, MicroUsd::from_micros)
}
