//! The catalogue itself: sorted, checked on construction, cheap to look into.
//!
//! Its fields are private and every way in (readers, merging, deserialising) goes through the same checks, so that an
//! engine never meets a zero price, an unknown region or a falling tier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CloudId, RegionInfo, RegionKey, ZoneName};

use super::bounds::{SPOT_OVER_ON_DEMAND_PERCENT, check_offer, check_region, check_rule};
use super::{CatalogueError, EgressRule, Offer, OfferKey, Price, Problem, Source, SourceId};

/// What a catalogue is made of, unchecked and in any order. A [`SourceId`] is a position in `sources`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CatalogueParts {
    /// Machine types by region, with prices.
    pub offers: Vec<Offer>,
    /// The regions of the offers; others may be among them.
    pub regions: Vec<RegionInfo>,
    /// Egress tiers.
    pub egress: Vec<EgressRule>,
    /// Where prices come from.
    pub sources: Vec<Source>,
}

/// Offers, regions and egress prices, sorted and checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "CatalogueParts", into = "CatalogueParts")]
pub struct Catalogue {
    offers: Vec<Offer>,
    regions: BTreeMap<RegionKey, RegionInfo>,
    egress: Vec<EgressRule>,
    sources: Vec<Source>,
}

/// Something odd that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// The spot price is above [`SPOT_OVER_ON_DEMAND_PERCENT`] of the on-demand price.
    SpotAboveOnDemand {
        /// Which offer.
        key: OfferKey,
        /// Its spot price.
        spot: Price,
        /// Its on-demand price.
        on_demand: Price,
    },
}

impl Catalogue {
    /// A catalogue of these parts, sorted by key; sources are sorted by name and named once. The order of the parts does
    /// not matter.
    ///
    /// # Errors
    /// - [`CatalogueError::Offer`]: an offer is there twice, has no price or an impossible one, an impossible size, or
    ///   names a region, zone or source that is not there.
    /// - [`CatalogueError::Region`]: a region is there twice or is not on Earth.
    /// - [`CatalogueError::Egress`]: tiers do not rise, are open in the middle or closed at the end, have an impossible
    ///   price, or the same rule is there twice.
    /// - [`CatalogueError::TooManySources`]: more than 65,536 sources.
    pub fn new(parts: CatalogueParts) -> Result<Self, CatalogueError> {
        let mut parts = parts;
        sort_sources(&mut parts)?;
        let regions = sorted_regions(parts.regions)?;
        let sources = parts.sources.len();
        let offers = sorted_offers(parts.offers, &regions, sources)?;
        let egress = sorted_rules(parts.egress, sources)?;
        Ok(Self {
            offers,
            regions,
            egress,
            sources: parts.sources,
        })
    }

    /// The parts, sorted: what [`Catalogue::new`] makes this catalogue of.
    #[must_use]
    pub fn into_parts(self) -> CatalogueParts {
        CatalogueParts {
            offers: self.offers,
            regions: self.regions.into_values().collect(),
            egress: self.egress,
            sources: self.sources,
        }
    }

    /// The offers, sorted by key.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The offer of that key.
    #[must_use]
    pub fn offer(&self, key: &OfferKey) -> Option<&Offer> {
        let at = self.offers.binary_search_by(|offer| offer.key.cmp(key)).ok()?;
        self.offers.get(at)
    }

    /// The offers of a region, sorted by instance type and zone; empty where it has none.
    #[must_use]
    pub fn in_region(&self, region: &RegionKey) -> &[Offer] {
        let start = self.offers.partition_point(|offer| offer.key.region < *region);
        let len = self.offers[start..].partition_point(|offer| offer.key.region == *region);
        &self.offers[start..start + len]
    }

    /// The clouds that have an offer, sorted, each once.
    #[must_use]
    pub fn clouds(&self) -> Vec<&CloudId> {
        let mut clouds: Vec<&CloudId> = self.offers.iter().map(|offer| &offer.key.region.cloud).collect();
        clouds.dedup();
        clouds
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

    /// The source of that number.
    #[must_use]
    pub fn source(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(usize::from(id.0))
    }

    /// The egress rules, sorted.
    #[must_use]
    pub fn egress_rules(&self) -> &[EgressRule] {
        &self.egress
    }

    /// The same without the offers for which `keep` is false. Regions, egress rules and sources stay: bytes still go to
    /// places where nothing is bought.
    ///
    /// ```
    /// use skyloom_core::Catalogue;
    ///
    /// let without_devices = Catalogue::builtin().retain(|offer| offer.accelerator.is_none());
    /// assert!(without_devices.offers().iter().all(|offer| offer.capacity.gpu.is_zero()));
    /// ```
    #[must_use]
    pub fn retain(mut self, keep: impl FnMut(&Offer) -> bool) -> Self {
        self.offers.retain(keep);
        self
    }

    /// The same without what is offered in places that are `gone`: a whole region (asked for without a zone), or a zone of
    /// one. A region all of whose zones are gone offers nothing. Regions, egress rules and sources stay.
    #[must_use]
    pub fn without_places(mut self, gone: impl Fn(&RegionKey, Option<&ZoneName>) -> bool) -> Self {
        let mut empty = std::collections::BTreeSet::new();
        for region in self.regions.values_mut() {
            let had_zones = !region.zones.is_empty();
            region.zones.retain(|zone| !gone(&region.key, Some(zone)));
            if had_zones && region.zones.is_empty() {
                empty.insert(region.key.clone());
            }
        }
        self.offers.retain(|offer| {
            let key = &offer.key;
            let zone_gone = key.zone.is_some() && gone(&key.region, key.zone.as_ref());
            !gone(&key.region, None) && !zone_gone && !empty.contains(&key.region)
        });
        self
    }

    /// What is odd but no error, sorted by key.
    #[must_use]
    pub fn remarks(&self) -> Vec<Remark> {
        self.offers
            .iter()
            .filter_map(|offer| {
                let (on_demand, spot) = (offer.on_demand?, offer.spot?);
                let limit = on_demand.per_hour.checked_mul(SPOT_OVER_ON_DEMAND_PERCENT)?;
                let odd = spot.per_hour.checked_mul(100)? > limit;
                odd.then(|| Remark::SpotAboveOnDemand {
                    key: offer.key.clone(),
                    spot,
                    on_demand,
                })
            })
            .collect()
    }
}

impl TryFrom<CatalogueParts> for Catalogue {
    type Error = CatalogueError;
    fn try_from(parts: CatalogueParts) -> Result<Self, CatalogueError> {
        Self::new(parts)
    }
}

impl From<Catalogue> for CatalogueParts {
    fn from(catalogue: Catalogue) -> Self {
        catalogue.into_parts()
    }
}

/// Sorts the sources, names each once and renumbers the prices. A number beyond the list is left as it is, and found
/// by the check of the offer or rule.
fn sort_sources(parts: &mut CatalogueParts) -> Result<(), CatalogueError> {
    let (count, most) = (parts.sources.len(), usize::from(u16::MAX) + 1);
    if count > most {
        return Err(CatalogueError::TooManySources { count, most });
    }
    let mut sorted = parts.sources.clone();
    sorted.sort();
    sorted.dedup();
    let renumbered: Vec<u16> = parts
        .sources
        .iter()
        .map(|source| {
            sorted
                .binary_search(source)
                .ok()
                .and_then(|at| u16::try_from(at).ok())
                .unwrap_or(u16::MAX)
        })
        .collect();
    let renumber = |id: &mut SourceId| {
        id.0 = renumbered.get(usize::from(id.0)).copied().unwrap_or(u16::MAX);
    };
    for offer in &mut parts.offers {
        for price in [&mut offer.on_demand, &mut offer.spot].into_iter().flatten() {
            renumber(&mut price.source);
        }
    }
    parts.egress.iter_mut().for_each(|rule| renumber(&mut rule.source));
    parts.sources = sorted;
    Ok(())
}

fn sorted_regions(regions: Vec<RegionInfo>) -> Result<BTreeMap<RegionKey, RegionInfo>, CatalogueError> {
    let mut sorted = BTreeMap::new();
    for mut region in regions {
        let key = region.key.clone();
        check_region(&region).map_err(|problem| CatalogueError::Region {
            key: key.clone(),
            problem,
        })?;
        region.zones.sort();
        region.zones.dedup();
        if sorted.insert(key.clone(), region).is_some() {
            return Err(CatalogueError::Region {
                key,
                problem: Problem::Duplicate,
            });
        }
    }
    Ok(sorted)
}

fn sorted_offers(
    mut offers: Vec<Offer>,
    regions: &BTreeMap<RegionKey, RegionInfo>,
    sources: usize,
) -> Result<Vec<Offer>, CatalogueError> {
    offers.sort_by(|a, b| a.key.cmp(&b.key));
    let fail = |offer: &Offer, problem| CatalogueError::Offer {
        key: Box::new(offer.key.clone()),
        problem,
    };
    for offer in &offers {
        check_offer(offer).map_err(|problem| fail(offer, problem))?;
        check_places(offer, regions).map_err(|problem| fail(offer, problem))?;
        for price in [offer.on_demand, offer.spot].into_iter().flatten() {
            check_source(price.source, sources).map_err(|problem| fail(offer, problem))?;
        }
    }
    match offers.windows(2).find(|pair| pair[0].key == pair[1].key) {
        Some(pair) => Err(fail(&pair[0], Problem::Duplicate)),
        None => Ok(offers),
    }
}

fn check_places(offer: &Offer, regions: &BTreeMap<RegionKey, RegionInfo>) -> Result<(), Problem> {
    let key = &offer.key.region;
    let region = regions
        .get(key)
        .ok_or_else(|| Problem::UnknownRegion { region: key.clone() })?;
    match &offer.key.zone {
        Some(zone) if region.zones.binary_search(zone).is_err() => Err(Problem::UnknownZone { zone: zone.clone() }),
        Some(_) | None => Ok(()),
    }
}

fn check_source(id: SourceId, known: usize) -> Result<(), Problem> {
    if usize::from(id.0) < known {
        Ok(())
    } else {
        Err(Problem::UnknownSource { number: id.0, known })
    }
}

fn sorted_rules(mut rules: Vec<EgressRule>, sources: usize) -> Result<Vec<EgressRule>, CatalogueError> {
    rules.sort();
    let fail = |rule: &EgressRule, problem| CatalogueError::Egress {
        from: rule.from.clone(),
        scope: rule.scope,
        problem,
    };
    for rule in &rules {
        check_rule(rule)
            .and_then(|()| check_source(rule.source, sources))
            .map_err(|problem| fail(rule, problem))?;
    }
    let key = |rule: &EgressRule| {
        (
            rule.from.clone(),
            rule.scope,
            rule.from_regions.clone(),
            rule.to_regions.clone(),
        )
    };
    match rules.windows(2).find(|pair| key(&pair[0]) == key(&pair[1])) {
        Some(pair) => Err(fail(&pair[0], Problem::Duplicate)),
        None => Ok(rules),
    }
}
