//! The price catalogue: dated offers, regions and egress tiers of several clouds, and its readers.
//!
//! Prices are facts with a date and a source. Which offer is best is the scheduler's business.

mod egress;
mod offer;

pub use egress::{EgressQuote, EgressRule, EgressScope, EgressTier};
pub use offer::{Accelerator, Offer, OfferKey, Price, Purchase, Source, SourceId};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RegionInfo, RegionKey};

/// Offers, regions and egress prices, sorted and checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Catalogue {
    offers: Vec<Offer>,
    regions: BTreeMap<RegionKey, RegionInfo>,
    egress: Vec<EgressRule>,
    sources: Vec<Source>,
}

impl Catalogue {
    /// The offers, sorted by key.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// What is known of a region; `None`: the catalogue has no such region.
    #[must_use]
    pub fn region(&self, key: &RegionKey) -> Option<&RegionInfo> {
        self.regions.get(key)
    }

    /// All regions, sorted by key.
    pub fn regions(&self) -> impl ExactSizeIterator<Item = &RegionInfo> {
        self.regions.values()
    }

    /// Where prices come from; a [`SourceId`] is a position in it.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The egress rules.
    #[must_use]
    pub fn egress_rules(&self) -> &[EgressRule] {
        &self.egress
    }
}
