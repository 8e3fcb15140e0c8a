//! A small price catalogue, built in code: cheap to place on, and no test's answer moves when real prices do.

use skyloom_core::catalogue::{
    CatalogueParts, EgressRule, EgressScope, EgressTier, Price, RegionPrefixes, Source, SourceId,
};
use skyloom_core::{
    Bytes, Catalogue, Date, GeoPoint, MicroUsd, MicroUsdPerHour, Millicores, Offer, OfferKey, RegionInfo, Resources,
};

/// Region, the law it is under, its place in hundredths of a degree, its zones, and its prices in percent.
type Row = (
    &'static str,
    &'static [&'static str],
    (i32, i32),
    &'static [&'static str],
    i64,
);

const REGIONS: &[Row] = &[
    (
        "alpha/eu-1",
        &["DE", "EU"],
        (5011, 868),
        &["eu-1a", "eu-1b", "eu-1c"],
        100,
    ),
    ("alpha/us-1", &["US"], (3904, -7749), &["us-1a", "us-1b"], 90),
    ("beta/ams", &["NL", "EU"], (5237, 490), &[], 95),
];

/// Machine type, cores, memory in GiB.
const TYPES: &[(&str, u32, u32)] = &[("s1", 1, 2), ("s2", 2, 4), ("s4", 4, 8), ("m2", 2, 16)];

/// What a core and a GiB cost per hour at 100 percent, in millionths of a US dollar.
const CORE: i64 = 30_000;
/// See [`CORE`].
const GIB: i64 = 4_000;

/// Two invented clouds with three regions (two in the European Union, one in the United States), four machine types in
/// each, and egress prices between them. All on demand; the dearest machine costs 0.152 USD per hour.
///
/// # Panics
/// Never: the rows are constant.
#[must_use]
pub fn catalogue() -> Catalogue {
    let parts = CatalogueParts {
        offers: REGIONS.iter().flat_map(offers).collect(),
        regions: REGIONS.iter().map(region).collect(),
        egress: vec![
            egress("alpha", EgressScope::InterZone, 10_000),
            egress("alpha", EgressScope::InterRegion, 20_000),
            egress("alpha", EgressScope::Internet, 90_000),
            egress("beta", EgressScope::Internet, 10_000),
        ],
        sources: vec![Source {
            name: "testkit".to_owned(),
        }],
    };
    Catalogue::new(parts).expect("invariant: the rows are a catalogue")
}

fn region(&(key, laws, (lat, lon), zones, _): &Row) -> RegionInfo {
    let laws = laws.iter().map(|law| law.parse().expect("invariant: a jurisdiction"));
    RegionInfo {
        key: key.parse().expect("invariant: a region"),
        jurisdictions: laws.collect(),
        location: Some(GeoPoint {
            lat_centidegrees: lat,
            lon_centidegrees: lon,
        }),
        zones: zones
            .iter()
            .map(|zone| zone.parse().expect("invariant: a zone"))
            .collect(),
    }
}

fn offers(&(key, _, _, _, percent): &Row) -> impl Iterator<Item = Offer> {
    TYPES.iter().map(move |&(instance, cores, gib)| {
        let micros = (i64::from(cores) * CORE + i64::from(gib) * GIB) * percent / 100;
        let capacity = Resources::new(Millicores::from_cores(cores), Bytes::from_gib(gib));
        Offer {
            key: OfferKey {
                region: key.parse().expect("invariant: a region"),
                instance: instance.parse().expect("invariant: a machine type"),
                zone: None,
            },
            vcpus: Millicores::from_cores(cores),
            capacity: capacity.with_disk(Bytes::from_gib(1000)),
            arch: "x86_64".to_owned(),
            accelerator: None,
            on_demand: Some(Price {
                per_hour: MicroUsdPerHour::from_micros(micros),
                as_of: as_of(),
                source: SourceId(0),
            }),
            spot: None,
        }
    })
}

fn egress(cloud: &str, scope: EgressScope, micros_per_gib: i64) -> EgressRule {
    EgressRule {
        from: cloud.parse().expect("invariant: a cloud"),
        scope,
        from_regions: RegionPrefixes::ALL,
        to_regions: RegionPrefixes::ALL,
        tiers: vec![EgressTier {
            up_to: None,
            per_gib: MicroUsd::from_micros(micros_per_gib),
        }],
        as_of: as_of(),
        source: SourceId(0),
    }
}

fn as_of() -> Date {
    "2026-06-18".parse().expect("invariant: a date")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_its_rows_say() {
        let catalogue = catalogue();
        assert_eq!(catalogue.offers().len(), REGIONS.len() * TYPES.len());
        assert_eq!(catalogue.remarks(), []);
        let prices = catalogue.offers().iter().filter_map(|offer| offer.on_demand);
        let dearest = prices.map(|price| price.per_hour).max();
        assert_eq!(dearest, Some(MicroUsdPerHour::from_micros(152_000)));
    }
}
