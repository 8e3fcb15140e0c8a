//! One machine type in one region, with its prices.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, Date, InstanceType, MicroUsdPerHour, Millicores, RegionKey, Resources, ZoneName};

/// Block storage that an offer counts as its disk, 8 TiB. Every cloud of the catalogue attaches volumes of any size to
/// any machine, billed apart from it, and the catalogue does not price them yet. The largest single volume is 10 TB at
/// the smallest of these clouds and 16 to 64 TiB at the others; a need above this constant is unsatisfiable.
pub const ATTACHABLE_DISK: Bytes = Bytes::from_gib(8 * 1024);

/// What tells one offer from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OfferKey {
    /// Where.
    pub region: RegionKey,
    /// Type in the cloud's words.
    pub instance: InstanceType,
    /// The zone where the price is per zone; `None`: the price holds in the whole region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
}

impl fmt::Display for OfferKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.region, self.instance)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, " ({zone})"))
    }
}

/// How a machine is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purchase {
    /// By the hour, not interrupted.
    OnDemand,
    /// By the hour, may be taken back.
    Spot,
}

impl fmt::Display for Purchase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
        })
    }
}

/// Position of a [`Source`] in its catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(pub u16);

/// Where prices come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Whose price list, for people.
    pub name: String,
}

/// A price with its date and source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Price {
    /// Per hour, above zero.
    pub per_hour: MicroUsdPerHour,
    /// When it held.
    pub as_of: Date,
    /// Who published it.
    pub source: SourceId,
}

/// Devices that a machine brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerator {
    /// Model, such as `A100`.
    pub name: String,
}

/// A machine type in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What and where.
    pub key: OfferKey,
    /// Nominal virtual CPUs.
    pub vcpus: Millicores,
    /// What can be used all the time. On a shared or burstable type the CPU is the baseline, below `vcpus`: such types
    /// win every comparison that takes their nominal CPU. The disk is [`ATTACHABLE_DISK`].
    pub capacity: Resources,
    /// CPU architecture (`x86_64`, `arm64`); empty where the source does not say.
    pub arch: String,
    /// Devices, counted in `capacity.gpu`.
    pub accelerator: Option<Accelerator>,
    /// On-demand price; `None`: not offered so.
    pub on_demand: Option<Price>,
    /// Spot price; `None`: none is known.
    pub spot: Option<Price>,
}

impl Offer {
    /// The price for a kind of purchase.
    #[must_use]
    pub const fn price(&self, purchase: Purchase) -> Option<Price> {
        match purchase {
            Purchase::OnDemand => self.on_demand,
            Purchase::Spot => self.spot,
        }
    }
}
