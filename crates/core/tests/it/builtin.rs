//! What the built-in catalogue promises.

use std::collections::BTreeSet;

use skyloom_core::catalogue::{EgressTarget, GPU_HOUR_MIN, VCPU_HOUR_MIN};
use skyloom_core::{Bytes, Catalogue, Date, Offer, RegionKey};

fn has_law(catalogue: &Catalogue, region: &RegionKey, law: &str) -> bool {
    catalogue
        .region(region)
        .unwrap()
        .jurisdictions
        .contains(&law.parse().unwrap())
}

#[test]
fn it_has_many_offers_of_many_clouds() {
    let catalogue = Catalogue::builtin();
    assert!(catalogue.offers().len() >= 900, "{} offers", catalogue.offers().len());
    let clouds: Vec<&str> = catalogue.clouds().into_iter().map(|c| c.as_str()).collect();
    assert_eq!(
        clouds,
        [
            "aws", "azure", "do", "gcp", "lambda", "linode", "nebius", "oci", "ovh", "vultr"
        ]
    );
    for cloud in ["aws", "azure", "gcp", "oci"] {
        let of_cloud = |o: &&Offer| o.key.region.cloud.as_str() == cloud;
        let with_spot = catalogue
            .offers()
            .iter()
            .filter(of_cloud)
            .filter(|o| o.spot.is_some())
            .count();
        assert!(with_spot >= 50, "{cloud}: {with_spot}");
    }
    for region in ["aws/eu-central-1", "gcp/europe-west3", "azure/germanywestcentral"] {
        assert!(catalogue.in_region(&region.parse().unwrap()).len() >= 15, "{region}");
    }
}

#[test]
fn beyond_the_three_large_clouds_others_sell_plain_machines_in_the_union() {
    let catalogue = Catalogue::builtin();
    let others: BTreeSet<&str> = catalogue
        .offers()
        .iter()
        .filter(|o| o.accelerator.is_none() && has_law(&catalogue, &o.key.region, "EU"))
        .map(|o| o.key.region.cloud.as_str())
        .filter(|cloud| !["aws", "azure", "gcp"].contains(cloud))
        .collect();
    assert!(others.len() >= 3, "{others:?}");
}

#[test]
fn every_device_class_is_there() {
    let catalogue = Catalogue::builtin();
    let models: BTreeSet<&str> = catalogue
        .offers()
        .iter()
        .filter_map(|o| o.accelerator.as_ref())
        .map(|a| a.name.as_str())
        .collect();
    for model in ["T4", "A10G", "L4", "A100", "H100"] {
        assert!(models.contains(model), "{model} of {models:?}");
    }
    assert!(catalogue.offers().iter().filter(|o| o.arch == "arm64").count() >= 50);
    assert!(
        catalogue
            .offers()
            .iter()
            .all(|o| o.arch == "arm64" || o.arch == "x86_64")
    );
}

#[test]
fn offers_are_sorted_unique_dated_and_priced() {
    let catalogue = Catalogue::builtin();
    assert!(catalogue.offers().is_sorted_by(|a, b| a.key < b.key));
    let (first, last): (Date, Date) = ("2022-12-01".parse().unwrap(), "2026-11-30".parse().unwrap());
    for offer in catalogue.offers() {
        let prices: Vec<_> = [offer.on_demand, offer.spot].into_iter().flatten().collect();
        assert!(!prices.is_empty());
        for price in prices {
            assert!(price.as_of >= first && price.as_of <= last);
            assert!(!catalogue.source(price.source).unwrap().name.is_empty());
            assert!(price.per_hour >= VCPU_HOUR_MIN);
            assert!(offer.accelerator.is_none() || price.per_hour >= GPU_HOUR_MIN);
        }
        if let (Some(on_demand), Some(spot)) = (offer.on_demand, offer.spot) {
            assert!(spot.per_hour <= on_demand.per_hour, "{}", offer.key);
        }
    }
    assert_eq!(catalogue.remarks(), []);
}

#[test]
fn every_region_has_a_place_and_a_law() {
    let catalogue = Catalogue::builtin();
    for offer in catalogue.offers() {
        assert!(catalogue.region(&offer.key.region).is_some(), "{}", offer.key);
    }
    for region in catalogue.regions() {
        assert!(
            !region.jurisdictions.is_empty() && region.location.is_some(),
            "{}",
            region.key
        );
        assert!(
            !catalogue.in_region(&region.key).is_empty(),
            "{} has no offers",
            region.key
        );
        // The cloud's own words: a zone's name begins with its region's where the cloud does so.
        if ["aws", "gcp"].contains(&region.key.cloud.as_str()) {
            assert!(region.zones.len() >= 2);
            assert!(
                region
                    .zones
                    .iter()
                    .all(|z| z.as_str().starts_with(region.key.region.as_str()))
            );
        }
    }
}

#[test]
fn laws_follow_borders() {
    let catalogue = Catalogue::builtin();
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("aws/eu-central-1", &["DE", "EU"], &["UK", "US"]),
        ("gcp/europe-west3", &["DE", "EU"], &["CH"]),
        ("aws/eu-west-2", &["GB", "UK"], &["EU"]),
        ("azure/uksouth", &["GB", "UK"], &["EU"]),
        ("linode/eu-west", &["GB", "UK"], &["EU"]),
        ("oci/uk-london-1", &["GB", "UK"], &["EU"]),
        ("azure/switzerlandnorth", &["CH"], &["EU"]),
        ("gcp/europe-west6", &["CH"], &["EU"]),
        ("azure/norwayeast", &["NO"], &["EU"]),
        ("aws/us-east-1", &["US"], &["EU"]),
        ("nebius/eu-north1", &["FI", "EU"], &["US"]),
    ];
    for (region, within, without) in rows {
        let key = region.parse().unwrap();
        assert!(within.iter().all(|law| has_law(&catalogue, &key, law)), "{region}");
        assert!(!without.iter().any(|law| has_law(&catalogue, &key, law)), "{region}");
    }
    // Whoever is in the union lies within its outermost points (Azores and Canaries aside).
    for region in catalogue.regions().filter(|r| has_law(&catalogue, &r.key, "EU")) {
        let place = region.location.unwrap();
        assert!((3500..=7010).contains(&place.lat_centidegrees), "{}", region.key);
        assert!((-1000..=3460).contains(&place.lon_centidegrees), "{}", region.key);
    }
}

#[test]
fn distances_are_what_a_map_says() {
    let catalogue = Catalogue::builtin();
    let ms = |a: &str, b: &str| {
        let of = |key: &str| catalogue.region(&key.parse().unwrap()).unwrap();
        of(a).round_trip_to(of(b)).unwrap().as_millis()
    };
    assert!(ms("aws/eu-central-1", "gcp/europe-west3") <= 2, "both are in Frankfurt");
    assert!((5..=15).contains(&ms("aws/eu-central-1", "aws/eu-west-3")));
    assert!((60..=130).contains(&ms("aws/eu-central-1", "aws/us-east-1")));
    assert!(ms("aws/eu-central-1", "aws/ap-southeast-2") > 200);
}

#[test]
fn shared_cpus_count_by_what_they_sustain() {
    let catalogue = Catalogue::builtin();
    let milli = |region: &str, instance: &str| {
        let key: RegionKey = region.parse().unwrap();
        let offer = catalogue
            .in_region(&key)
            .iter()
            .find(|o| o.key.instance.as_str() == instance)
            .unwrap();
        (offer.vcpus.as_millicores(), offer.capacity.cpu.as_millicores())
    };
    assert_eq!(milli("aws/eu-central-1", "t3.medium"), (2000, 400));
    assert_eq!(milli("azure/westeurope", "Standard_B2s"), (2000, 400));
    assert_eq!(milli("gcp/europe-west3", "e2-medium"), (2000, 1000));
    assert_eq!(milli("linode/eu-central", "g6-standard-2"), (2000, 1000));
    assert_eq!(milli("linode/eu-central", "g6-dedicated-2"), (2000, 2000));
    assert_eq!(milli("aws/eu-central-1", "m5.large"), (2000, 2000));
}

#[test]
fn every_pair_of_regions_has_an_egress_price() {
    let catalogue = Catalogue::builtin();
    let keys: Vec<&RegionKey> = catalogue.regions().map(|r| &r.key).collect();
    for from in &keys {
        for to in &keys {
            let quote = catalogue
                .egress_cost(from, EgressTarget::Region(to), Bytes::from_gib(200))
                .unwrap();
            assert!(!quote.assumed || quote.cost.as_micros() > 0, "{from} to {to}");
        }
    }
}

#[test]
fn the_guide_counts_right() {
    let catalogue = Catalogue::builtin();
    let guide = include_str!("../../../../docs/catalogue.md");
    let table = guide
        .lines()
        .skip_while(|line| !line.starts_with("| cloud | offers |"))
        .take_while(|l| !l.is_empty());
    let mut rows = 0;
    for row in table.skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let cloud = cells[0].split('`').nth(1).unwrap();
        let offers = || {
            catalogue
                .offers()
                .iter()
                .filter(|o| o.key.region.cloud.as_str() == cloud)
        };
        let regions: BTreeSet<_> = offers().map(|o| &o.key.region).collect();
        let types: BTreeSet<_> = offers().map(|o| &o.key.instance).collect();
        let with_spot = offers().filter(|o| o.spot.is_some()).count();
        let counted = [offers().count(), regions.len(), types.len(), with_spot].map(|n| n.to_string());
        assert_eq!(cells[1..5], counted, "{cloud}");
        rows += 1;
    }
    assert_eq!(rows, catalogue.clouds().len());
}
