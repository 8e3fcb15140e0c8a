//! What it costs to send bytes: marginal tiers by source cloud and destination.

use serde::{Deserialize, Serialize};

use crate::{Bytes, CloudId, Date, MicroUsd};

use super::SourceId;

/// Where bytes go, as seen from their source.
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

/// One step of a price list: holds for the part of a month's volume up to `up_to` that earlier tiers do not cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressTier {
    /// Upper edge of the tier on the month's volume; `None`: no edge.
    pub up_to: Option<Bytes>,
    /// Price per GiB (2^30 bytes, what the clouds bill as a GB).
    pub per_gib: MicroUsd,
}

/// Price list of one source and destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressRule {
    /// Cloud that the bytes leave.
    pub from: CloudId,
    /// Prefix of the source regions it holds for; empty: all. The longest match wins.
    pub region_prefix: String,
    /// Where they go.
    pub scope: EgressScope,
    /// Tiers, edges rising; the last has none.
    pub tiers: Vec<EgressTier>,
    /// When it held.
    pub as_of: Date,
    /// Who published it.
    pub source: SourceId,
}

/// Price of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressQuote {
    /// What it costs.
    pub cost: MicroUsd,
    /// Whether no public figure was known for the pair, so that the internet tier was taken.
    pub assumed: bool,
}
