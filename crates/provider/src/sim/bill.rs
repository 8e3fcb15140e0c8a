//! What a simulated cloud charges: machines by the time that they run, to the micro-dollar.
//!
//! The public clouds bill by the second with a minimum of a minute. This bill is pro rata without a minimum, so that
//! any sum can be checked by hand: price x time.

use serde::{Deserialize, Serialize};
use skyloom_core::{InstanceType, MicroUsd, MicroUsdPerHour, OwnerTag, Purchase, ResourceId, Site, Timestamp};

/// One uninterrupted interval in which a machine ran at one price.
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
    /// When it began to run, or when the price changed.
    pub from: Timestamp,
    /// When it stopped running, or when the price changed; the moment of the bill while `open`.
    pub until: Timestamp,
    /// Whether it still runs.
    pub open: bool,
    /// Price per hour in this interval.
    pub price: MicroUsdPerHour,
    /// `price` x (`until` - `from`) in whole microseconds, rounded once, half away from zero, to a micro-dollar.
    pub cost: MicroUsd,
}

/// All that has been charged so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bill {
    /// Sorted by `from`, then by id. Intervals of no length are left out.
    pub items: Vec<LineItem>,
}

impl Bill {
    /// The sum of the items' costs, or `None` when it cannot be held (beyond 9 million million dollars).
    #[must_use]
    pub fn total(&self) -> Option<MicroUsd> {
        MicroUsd::checked_sum(self.items.iter().map(|item| item.cost))
    }

    /// What one owner pays.
    #[must_use]
    pub fn of(&self, owner: &OwnerTag) -> Self {
        let theirs = |item: &&LineItem| item.owner == *owner;
        Self {
            items: self.items.iter().filter(theirs).cloned().collect(),
        }
    }
}
