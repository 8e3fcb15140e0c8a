//! The catalogue's construction: what it refuses, what order does to it (nothing), and the laws of merging.

use proptest::prelude::*;
use skyloom_core::catalogue::{
    ATTACHABLE_DISK, Accelerator, CatalogueError, CatalogueParts, EgressRule, EgressScope, EgressTier, Price, Problem,
    RegionPrefixes, Remark, Source, SourceId,
};
use skyloom_core::{
    Bytes, Catalogue, Class, Date, GeoPoint, MicroUsd, MicroUsdPerHour, Millicores, Milligpus, Offer, OfferKey,
    RegionInfo, Resources,
};

fn date() -> Date {
    "2026-11-01".parse().unwrap()
}

fn price(micros: i64, source: u16) -> Price {
    Price {
        per_hour: MicroUsdPerHour::from_micros(micros),
        as_of: date(),
        source: SourceId(source),
    }
}

fn key(region: &str, instance: &str, zone: Option<&str>) -> OfferKey {
    OfferKey {
        region: region.parse().unwrap(),
        instance: instance.parse().unwrap(),
        zone: zone.map(|z| z.parse().unwrap()),
    }
}

fn offer(key: OfferKey, micros: i64) -> Offer {
    let cpu = Millicores::from_cores(2);
    Offer {
        key,
        vcpus: cpu,
        capacity: Resources::new(cpu, Bytes::from_gib(8)).with_disk(ATTACHABLE_DISK),
        arch: "x86_64".to_owned(),
        accelerator: None,
        on_demand: Some(price(micros, 0)),
        spot: None,
    }
}

fn region(key: &str, zones: &[&str]) -> RegionInfo {
    RegionInfo {
        key: key.parse().unwrap(),
        jurisdictions: std::iter::once("EU".parse().unwrap()).collect(),
        location: Some(GeoPoint {
            lat_centidegrees: 5011,
            lon_centidegrees: 868,
        }),
        zones: zones.iter().map(|z| z.parse().unwrap()).collect(),
    }
}

fn flat_rule(cloud: &str, scope: EgressScope, micros: i64) -> EgressRule {
    EgressRule {
        from: cloud.parse().unwrap(),
        scope,
        from_regions: RegionPrefixes::ALL,
        to_regions: RegionPrefixes::ALL,
        tiers: vec![EgressTier {
            up_to: None,
            per_gib: MicroUsd::from_micros(micros),
        }],
        as_of: date(),
        source: SourceId(0),
    }
}

fn parts() -> CatalogueParts {
    CatalogueParts {
        offers: vec![
            offer(key("c/r1", "m", None), 100_000),
            offer(key("c/r1", "m", Some("z1")), 90_000),
        ],
        regions: vec![region("c/r1", &["z2", "z1", "z2"])],
        egress: vec![flat_rule("c", EgressScope::Internet, 90_000)],
        sources: vec![Source {
            name: "list".to_owned(),
        }],
    }
}

/// What a spoilt copy of good parts is refused with.
fn refused(spoil: impl FnOnce(&mut CatalogueParts)) -> String {
    let mut parts = parts();
    spoil(&mut parts);
    let error = Catalogue::new(parts).unwrap_err();
    assert_eq!(error.class(), Class::Invalid);
    error.to_string()
}

#[test]
fn good_parts_are_sorted_and_found() {
    let catalogue = Catalogue::new(parts()).unwrap();
    let r1 = "c/r1".parse().unwrap();
    assert_eq!(catalogue.in_region(&r1).len(), 2);
    assert_eq!(catalogue.in_region(&"c/r0".parse().unwrap()), []);
    assert_eq!(catalogue.in_region(&"d/r2".parse().unwrap()), []);
    assert_eq!(
        catalogue
            .offer(&key("c/r1", "m", Some("z1")))
            .unwrap()
            .on_demand
            .unwrap(),
        price(90_000, 0)
    );
    assert_eq!(catalogue.offer(&key("c/r1", "m", Some("z2"))), None);
    assert_eq!(catalogue.region(&r1).unwrap().zones.len(), 2);
    assert_eq!(catalogue.source(SourceId(0)).unwrap().name, "list");
    assert_eq!(catalogue.clouds().len(), 1);
    assert!(
        catalogue
            .offers()
            .iter()
            .all(|o| catalogue.in_region(&o.key.region).contains(o))
    );
}

#[test]
fn impossible_offers_are_refused_by_key() {
    insta::assert_snapshot!(refused(|p| p.offers.push(p.offers[0].clone())), @"use the offer `c/r1 m`: it is there more than once");
    insta::assert_snapshot!(refused(|p| p.offers[0].on_demand = None), @"use the offer `c/r1 m`: there is neither an on-demand nor a spot price");
    insta::assert_snapshot!(refused(|p| p.offers[0].on_demand = Some(price(0, 0))), @"use the offer `c/r1 m`: the on-demand price is zero");
    insta::assert_snapshot!(refused(|p| p.offers[1].spot = Some(price(-1, 0))), @"use the offer `c/r1 m (z1)`: the spot price is negative");
    insta::assert_snapshot!(refused(|p| p.offers[0].on_demand = Some(price(10_000_001, 0))), @"use the offer `c/r1 m`: the on-demand price of `10.000001 USD/h` is outside `0.0002 USD/h` to `10.00 USD/h`, the sane range for this size");
    insta::assert_snapshot!(refused(|p| p.offers[0].on_demand = Some(price(199, 0))), @"use the offer `c/r1 m`: the on-demand price of `0.000199 USD/h` is outside `0.0002 USD/h` to `10.00 USD/h`, the sane range for this size");
    insta::assert_snapshot!(refused(|p| p.offers[0].vcpus = Millicores::from_cores(5000)), @"use the offer `c/r1 m`: `5000` vCPUs are outside 1m to `4096`");
    insta::assert_snapshot!(refused(|p| p.offers[0].capacity.cpu = Millicores::from_cores(3)), @"use the offer `c/r1 m`: the sustained CPU of `3` is above the nominal `2`");
    insta::assert_snapshot!(refused(|p| p.offers[0].capacity.memory = Bytes::from_gib(200_000)), @"use the offer `c/r1 m`: `200000GiB` of memory are outside 1B to `128TiB`");
    insta::assert_snapshot!(refused(|p| p.offers[0].capacity.gpu = Milligpus::from_milligpus(1)), @"use the offer `c/r1 m`: accelerator and accelerator count do not go together");
    insta::assert_snapshot!(refused(|p| p.offers[0].on_demand = Some(price(100_000, 1))), @"use the offer `c/r1 m`: source 65535 is not among the 1 sources of the catalogue");
    insta::assert_snapshot!(refused(|p| p.offers[1].key = key("c/r1", "m", Some("z9"))), @"use the offer `c/r1 m (z9)`: the region has no zone `z9`");
    insta::assert_snapshot!(refused(|p| p.offers[0].key = key("c/r2", "m", None)), @"use the offer `c/r2 m`: the catalogue has no region `c/r2`");
}

#[test]
fn a_device_at_the_price_of_a_slipped_decimal_point_is_refused() {
    let b200 = |micros| {
        let mut parts = parts();
        parts.offers[0].accelerator = Some(Accelerator {
            name: "B200".to_owned(),
        });
        parts.offers[0].capacity.gpu = Milligpus::from_milligpus(1000);
        parts.offers[0].on_demand = Some(price(micros, 0));
        Catalogue::new(parts)
    };
    assert!(matches!(
        b200(10_000).unwrap_err(),
        CatalogueError::Offer {
            problem: Problem::AbsurdPrice { .. },
            ..
        }
    ));
    assert!(b200(3_450_000).is_ok());
    assert!(b200(100_000_000).is_err());
}

#[test]
fn impossible_regions_and_tiers_are_refused() {
    let tier = |up_to: Option<u32>, micros| EgressTier {
        up_to: up_to.map(Bytes::from_gib),
        per_gib: MicroUsd::from_micros(micros),
    };
    insta::assert_snapshot!(refused(|p| p.regions.push(p.regions[0].clone())), @"use the region `c/r1`: it is there more than once");
    insta::assert_snapshot!(refused(|p| p.regions[0].location = Some(GeoPoint { lat_centidegrees: 9001, lon_centidegrees: 0 })), @"use the region `c/r1`: the location is outside -90..=90 degrees of latitude or -180..=180 of longitude");
    insta::assert_snapshot!(refused(|p| p.egress.push(p.egress[0].clone())), @"use the internet egress tiers of `c`: it is there more than once");
    insta::assert_snapshot!(refused(|p| p.egress[0].tiers.clear()), @"use the internet egress tiers of `c`: the last tier, and only it, must be without an upper edge");
    insta::assert_snapshot!(refused(|p| p.egress[0].tiers = vec![tier(Some(1), 1)]), @"use the internet egress tiers of `c`: the last tier, and only it, must be without an upper edge");
    insta::assert_snapshot!(refused(|p| p.egress[0].tiers = vec![tier(None, 1), tier(None, 1)]), @"use the internet egress tiers of `c`: the last tier, and only it, must be without an upper edge");
    insta::assert_snapshot!(refused(|p| p.egress[0].tiers = vec![tier(Some(5), 1), tier(Some(5), 1), tier(None, 1)]), @"use the internet egress tiers of `c`: the tier edge `5GiB` does not rise above `5GiB`");
    insta::assert_snapshot!(refused(|p| p.egress[0].tiers = vec![tier(Some(0), 1), tier(None, 1)]), @"use the internet egress tiers of `c`: the tier edge `0B` does not rise above `0B`");
    insta::assert_snapshot!(refused(|p| p.egress[0].tiers = vec![tier(None, -1)]), @"use the internet egress tiers of `c`: the tier price of `-0.000001 USD` per GiB is outside 0 to `1.00 USD`");
    insta::assert_snapshot!(refused(|p| p.egress[0].source = SourceId(7)), @"use the internet egress tiers of `c`: source 65535 is not among the 1 sources of the catalogue");
}

#[test]
fn a_stored_catalogue_is_checked_when_it_is_read_again() {
    let catalogue = Catalogue::new(parts()).unwrap();
    let json = serde_json::to_string(&catalogue).unwrap();
    assert_eq!(serde_json::from_str::<Catalogue>(&json).unwrap(), catalogue);
    let spoilt = json.replace("90000", "0");
    assert!(
        serde_json::from_str::<Catalogue>(&spoilt)
            .unwrap_err()
            .to_string()
            .contains("price is zero")
    );
}

#[test]
fn spot_far_above_on_demand_is_remarked_on_and_kept() {
    let mut parts = parts();
    parts.offers[0].spot = Some(price(110_000, 0));
    parts.offers[1].spot = Some(price(99_001, 0));
    let remarks = Catalogue::new(parts).unwrap().remarks();
    assert_eq!(remarks.len(), 1);
    assert!(matches!(&remarks[0], Remark::SpotAboveOnDemand { key, .. } if key.zone.is_some()));
}

#[test]
fn a_later_catalogue_wins_by_key_and_takes_nothing_away_by_not_knowing() {
    let mut own = parts();
    own.offers = vec![
        offer(key("c/r1", "m", None), 50_000),
        offer(key("c/new", "m", None), 60_000),
    ];
    own.sources[0].name = "ours".to_owned();
    let unknown = |name: &str| RegionInfo {
        key: name.parse().unwrap(),
        jurisdictions: std::collections::BTreeSet::new(),
        location: None,
        zones: Vec::new(),
    };
    own.regions = vec![unknown("c/r1"), unknown("c/new")];
    own.egress = vec![flat_rule("c", EgressScope::Internet, 10_000)];
    let merged = Catalogue::new(parts())
        .unwrap()
        .merge(Catalogue::new(own).unwrap())
        .unwrap();

    let of = |k: &OfferKey| merged.offer(k).unwrap().on_demand.unwrap();
    let ours = of(&key("c/r1", "m", None));
    assert_eq!(ours.per_hour.as_micros(), 50_000);
    assert_eq!(merged.source(ours.source).unwrap().name, "ours");
    let theirs = of(&key("c/r1", "m", Some("z1")));
    assert_eq!(merged.source(theirs.source).unwrap().name, "list");
    let known = merged.region(&"c/r1".parse().unwrap()).unwrap();
    assert_eq!(
        (known.jurisdictions.len(), known.zones.len(), known.location.is_some()),
        (1, 2, true)
    );
    assert_eq!(merged.region(&"c/new".parse().unwrap()).unwrap().location, None);
    assert_eq!(merged.egress_rules().len(), 1);
    assert_eq!(merged.egress_rules()[0].tiers[0].per_gib.as_micros(), 10_000);
}

/// Small catalogues over few keys, so that they overlap.
fn small() -> impl Strategy<Value = CatalogueParts> {
    let zone = prop_oneof![Just(None), Just(Some("z1")), Just(Some("z2"))];
    let one = (
        prop_oneof![Just("c/r1"), Just("c/r2"), Just("d/r1")],
        prop_oneof![Just("a"), Just("b")],
        zone,
        1_000i64..9_000_000,
        0u16..2,
    );
    let offers = proptest::collection::vec(one, 0..8);
    let rules = proptest::collection::vec(
        (prop_oneof![Just("c"), Just("d")], any::<bool>(), 0i64..200_000, 0u16..2),
        0..4,
    );
    let laws = proptest::collection::vec(prop_oneof![Just(None), Just(Some("EU")), Just(Some("US"))], 3);
    (
        offers,
        rules,
        laws,
        proptest::sample::subsequence(vec!["z1", "z2", "z3"], 0..=3),
    )
        .prop_map(|(offers, rules, laws, zones)| {
            let mut parts = CatalogueParts {
                sources: vec![Source { name: "s".into() }, Source { name: "q".into() }],
                ..Default::default()
            };
            for (region, instance, zone, micros, source) in offers {
                let mut made = offer(key(region, instance, zone), micros);
                made.on_demand = Some(price(micros, source));
                parts.offers.retain(|o| o.key != made.key);
                parts.offers.push(made);
            }
            for (name, law) in ["c/r1", "c/r2", "d/r1"].into_iter().zip(laws) {
                let mut info = region(name, &zones);
                info.jurisdictions = law.iter().map(|l| l.parse().unwrap()).collect();
                info.location = law.and(info.location);
                info.zones.extend(
                    parts
                        .offers
                        .iter()
                        .filter(|o| o.key.region == info.key)
                        .filter_map(|o| o.key.zone.clone()),
                );
                parts.regions.push(info);
            }
            for (cloud, internet, micros, source) in rules {
                let scope = if internet {
                    EgressScope::Internet
                } else {
                    EgressScope::InterRegion
                };
                let mut rule = flat_rule(cloud, scope, micros);
                rule.source = SourceId(source);
                parts.egress.retain(|r| (&r.from, r.scope) != (&rule.from, rule.scope));
                parts.egress.push(rule);
            }
            parts
        })
}

fn checked() -> impl Strategy<Value = Catalogue> {
    small().prop_map(|parts| Catalogue::new(parts).unwrap())
}

proptest! {
    #[test]
    fn the_order_of_parts_does_not_matter(parts in small(), seed in any::<u64>()) {
        let mut turned = parts.clone();
        let by = |n: usize| usize::try_from(seed % 97).unwrap() % n.max(1);
        let (offers, regions, egress) = (by(turned.offers.len()), by(turned.regions.len()), by(turned.egress.len()));
        turned.offers.rotate_left(offers);
        turned.offers.reverse();
        turned.regions.rotate_left(regions);
        turned.egress.rotate_left(egress);
        prop_assert_eq!(Catalogue::new(turned).unwrap(), Catalogue::new(parts).unwrap());
    }

    #[test]
    fn parts_taken_out_make_the_same_catalogue(catalogue in checked()) {
        prop_assert_eq!(Catalogue::new(catalogue.clone().into_parts()).unwrap(), catalogue);
    }

    #[test]
    fn merging_is_associative(a in checked(), b in checked(), c in checked()) {
        let left = a.clone().merge(b.clone()).unwrap().merge(c.clone()).unwrap();
        let right = a.merge(b.merge(c).unwrap()).unwrap();
        prop_assert_eq!(left, right);
    }

    #[test]
    fn merging_is_idempotent_and_nothing_is_neutral(a in checked()) {
        prop_assert_eq!(a.clone().merge(a.clone()).unwrap(), a.clone());
        prop_assert_eq!(a.clone().merge(Catalogue::default()).unwrap(), a.clone());
        prop_assert_eq!(Catalogue::default().merge(a.clone()).unwrap(), a);
    }

    #[test]
    fn after_merging_each_offer_is_the_later_one_or_else_the_earlier(a in checked(), b in checked()) {
        let merged = a.clone().merge(b.clone()).unwrap();
        let per_hour = |o: &Offer| o.on_demand.map(|p| p.per_hour);
        for offer in merged.offers() {
            let expected = b.offer(&offer.key).or_else(|| a.offer(&offer.key)).unwrap();
            prop_assert_eq!(per_hour(offer), per_hour(expected));
        }
        for offer in a.offers().iter().chain(b.offers()) {
            prop_assert!(merged.offer(&offer.key).is_some());
        }
    }

    #[test]
    fn retaining_keeps_exactly_what_is_wanted(a in checked(), limit in 1_000i64..9_000_000) {
        let cheap = |o: &Offer| o.on_demand.is_some_and(|p| p.per_hour.as_micros() <= limit);
        let kept = a.clone().retain(cheap);
        prop_assert_eq!(kept.offers().len(), a.offers().iter().filter(|o| cheap(o)).count());
        prop_assert!(kept.offers().iter().all(cheap));
    }
}
