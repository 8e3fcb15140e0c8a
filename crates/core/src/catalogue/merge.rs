//! Laying one catalogue over another: the user's prices over the built-in ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::{CloudId, RegionInfo, RegionKey, ZoneName};

use super::{Catalogue, CatalogueError, CatalogueParts, EgressScope, Offer, OfferKey, SourceId};

impl Catalogue {
    /// This catalogue with `later` laid over it.
    ///
    /// - Offers: by key (region, instance type, zone), the later one wins whole.
    /// - Regions: what the later one knows wins, fact by fact; an empty set of jurisdictions, no location and no zones
    ///   mean "not known" and take nothing away. Zones that a surviving offer names are kept.
    /// - Egress: by source cloud and scope, the later price list wins whole, so that a flat rate of one's own is not
    ///   undercut by a closer built-in rule.
    /// - Sources: both.
    ///
    /// Associative and idempotent; [`Catalogue::default`] is its neutral element.
    ///
    /// # Errors
    /// [`CatalogueError::TooManySources`] when the two list more than 65,536 sources between them.
    pub fn merge(self, later: Self) -> Result<Self, CatalogueError> {
        let (mut base, over) = (self.into_parts(), later.into_parts());
        let shift = base.sources.len();
        let (count, most) = (shift + over.sources.len(), usize::from(u16::MAX) + 1);
        if count > most {
            return Err(CatalogueError::TooManySources { count, most });
        }
        base.sources.extend(over.sources);
        let renumber = |id: SourceId| SourceId(u16::try_from(usize::from(id.0) + shift).unwrap_or(u16::MAX));

        let mut offers: BTreeMap<OfferKey, Offer> = base.offers.into_iter().map(|o| (o.key.clone(), o)).collect();
        for mut offer in over.offers {
            for price in [&mut offer.on_demand, &mut offer.spot].into_iter().flatten() {
                price.source = renumber(price.source);
            }
            offers.insert(offer.key.clone(), offer);
        }

        let replaced: BTreeSet<(CloudId, EgressScope)> =
            over.egress.iter().map(|rule| (rule.from.clone(), rule.scope)).collect();
        base.egress
            .retain(|rule| !replaced.contains(&(rule.from.clone(), rule.scope)));
        base.egress.extend(over.egress.into_iter().map(|mut rule| {
            rule.source = renumber(rule.source);
            rule
        }));

        let offers: Vec<Offer> = offers.into_values().collect();
        let regions = merged_regions(base.regions, over.regions, &offers);
        Self::new(CatalogueParts {
            offers,
            regions,
            egress: base.egress,
            sources: base.sources,
        })
    }
}

fn merged_regions(base: Vec<RegionInfo>, over: Vec<RegionInfo>, offers: &[Offer]) -> Vec<RegionInfo> {
    let mut regions: BTreeMap<RegionKey, RegionInfo> = base.into_iter().map(|r| (r.key.clone(), r)).collect();
    for later in over {
        match regions.get_mut(&later.key) {
            Some(known) => {
                if !later.jurisdictions.is_empty() {
                    known.jurisdictions = later.jurisdictions;
                }
                known.location = later.location.or(known.location);
                if !later.zones.is_empty() {
                    known.zones = later.zones;
                }
            }
            None => {
                regions.insert(later.key.clone(), later);
            }
        }
    }
    let named = offers
        .iter()
        .filter_map(|offer| Some((&offer.key.region, offer.key.zone.as_ref()?)));
    for (region, zone) in named {
        if let Some(info) = regions.get_mut(region) {
            keep_zone(&mut info.zones, zone);
        }
    }
    regions.into_values().collect()
}

fn keep_zone(zones: &mut Vec<ZoneName>, zone: &ZoneName) {
    if !zones.contains(zone) {
        zones.push(zone.clone());
    }
}
