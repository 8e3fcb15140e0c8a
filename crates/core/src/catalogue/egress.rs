//! What it costs to send bytes: marginal tiers by source and destination, exact in integers.
//!
//! Tiers are marginal: each rate holds only for the part of the month's volume inside its tier. Applying one rate to
//! the whole volume, as is often done, makes a transfer cheaper by sending more at every edge.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, CloudId, Date, MicroUsd, RegionKey, RegionName};

use super::SourceId;

/// Where bytes go, as a price list sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EgressScope {
    /// Another zone of the region.
    InterZone,
    /// Another region of the cloud.
    InterRegion,
    /// The internet or another cloud.
    Internet,
}

impl fmt::Display for EgressScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InterZone => "inter-zone",
            Self::InterRegion => "inter-region",
            Self::Internet => "internet",
        })
    }
}

/// Where bytes go, as the sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressTarget<'a> {
    /// The same fault domain: free of charge everywhere.
    SameZone,
    /// Another fault domain of the same region.
    OtherZone,
    /// A region. The source region itself counts as [`EgressTarget::OtherZone`], since the zone is not known; a region
    /// of another cloud counts as [`EgressTarget::Internet`].
    Region(&'a RegionKey),
    /// Anywhere outside the cloud.
    Internet,
}

impl EgressTarget<'_> {
    /// The scope of the price list; `None`: free.
    #[must_use]
    pub fn scope_from(self, from: &RegionKey) -> Option<EgressScope> {
        match self {
            Self::SameZone => None,
            Self::OtherZone => Some(EgressScope::InterZone),
            Self::Region(to) if to == from => Some(EgressScope::InterZone),
            Self::Region(to) if to.cloud == from.cloud => Some(EgressScope::InterRegion),
            Self::Region(_) | Self::Internet => Some(EgressScope::Internet),
        }
    }
}

/// Regions by the beginnings of their names, such as `europe-|northamerica-`. Empty: all regions.
///
/// Clouds price by continent. AWS and GCP name theirs by it, so that one prefix covers a continent; for Azure the list
/// holds whole names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct RegionPrefixes(Vec<String>);

impl RegionPrefixes {
    /// Every region.
    pub const ALL: Self = Self(Vec::new());

    /// From prefixes separated by `|`; blanks and empty alternatives are dropped, order and repetition do not matter.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut prefixes: Vec<String> = text
            .split('|')
            .map(str::trim)
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect();
        prefixes.sort();
        prefixes.dedup();
        Self(prefixes)
    }

    /// How closely a region is named: the length of the longest prefix of its name, 0 where all regions are meant,
    /// `None` where it is not meant.
    #[must_use]
    pub fn closeness(&self, region: &RegionName) -> Option<usize> {
        if self.0.is_empty() {
            return Some(0);
        }
        self.0
            .iter()
            .filter(|p| region.as_str().starts_with(p.as_str()))
            .map(String::len)
            .max()
    }
}

impl fmt::Display for RegionPrefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.join("|"))
    }
}

impl From<String> for RegionPrefixes {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<RegionPrefixes> for String {
    fn from(prefixes: RegionPrefixes) -> Self {
        prefixes.to_string()
    }
}

/// One step of a price list: holds for the part of a month's volume up to `up_to` that earlier tiers do not cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EgressTier {
    /// Upper edge of the tier on the month's volume; `None`: no edge.
    pub up_to: Option<Bytes>,
    /// Price per GiB (2^30 bytes, what the clouds bill as a GB).
    pub per_gib: MicroUsd,
}

/// Price list of one source and destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EgressRule {
    /// Cloud that the bytes leave.
    pub from: CloudId,
    /// Where they go.
    pub scope: EgressScope,
    /// Source regions it holds for. Among rules that hold, the one that names the source most closely wins, then the one
    /// that names the destination most closely.
    #[serde(default)]
    pub from_regions: RegionPrefixes,
    /// Destination regions it holds for; only looked at between regions.
    #[serde(default)]
    pub to_regions: RegionPrefixes,
    /// Tiers, edges rising; the last has none.
    pub tiers: Vec<EgressTier>,
    /// When it held.
    pub as_of: Date,
    /// Who published it.
    pub source: SourceId,
}

/// What to do with tiers of price zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FreeTiers {
    /// They are free, as published.
    Free,
    /// They cost what the first tier costs that is not free: an assumed price must not be zero.
    Charged,
}

impl EgressRule {
    /// What a month's volume costs under this rule, rounded half up to a millionth of a dollar once, at the end; `None`
    /// when the cost cannot be held. Zero bytes cost zero; the cost rises with the volume and does not jump at an edge.
    #[must_use]
    pub fn cost(&self, volume: Bytes) -> Option<MicroUsd> {
        marginal_cost(&self.tiers, volume, FreeTiers::Free)
    }
}

/// Sum over the tiers of (bytes inside the tier × price per GiB), over 2^30.
pub(super) fn marginal_cost(tiers: &[EgressTier], volume: Bytes, free: FreeTiers) -> Option<MicroUsd> {
    let mut below = 0u64;
    let mut sum = 0i128;
    for (i, tier) in tiers.iter().enumerate() {
        let top = tier.up_to.map_or(u64::MAX, Bytes::as_bytes).min(volume.as_bytes());
        let inside = top.saturating_sub(below);
        let rate = match free {
            FreeTiers::Charged if tier.per_gib == MicroUsd::ZERO => first_charged(&tiers[i..]),
            FreeTiers::Free | FreeTiers::Charged => tier.per_gib,
        };
        sum = sum.checked_add(i128::from(inside).checked_mul(i128::from(rate.as_micros()))?)?;
        below = below.max(top);
    }
    const GIB: i128 = 1 << 30;
    let rounded = sum.checked_add(GIB / 2)?.div_euclid(GIB);
    i64::try_from(rounded).ok().map(MicroUsd::from_micros)
}

fn first_charged(tiers: &[EgressTier]) -> MicroUsd {
    tiers
        .iter()
        .map(|t| t.per_gib)
        .find(|rate| *rate != MicroUsd::ZERO)
        .unwrap_or(MicroUsd::ZERO)
}

/// Price of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressQuote {
    /// What it costs.
    pub cost: MicroUsd,
    /// Whether no public figure was known for the pair, so that an internet tier was taken.
    pub assumed: bool,
}
