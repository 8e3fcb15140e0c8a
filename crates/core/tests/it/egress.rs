//! Egress prices: marginal, continuous and monotone, against an oracle that adds up one GiB at a time.

use proptest::prelude::*;
use skyloom_core::catalogue::{
    CatalogueParts, EgressError, EgressQuote, EgressRule, EgressScope, EgressTarget, EgressTier, RegionPrefixes,
    Source, SourceId,
};
use skyloom_core::{Bytes, Catalogue, Class, MicroUsd, RegionKey};

const GIB: u64 = 1 << 30;

fn key(text: &str) -> RegionKey {
    text.parse().unwrap()
}

fn rule(cloud: &str, scope: EgressScope, tiers: &[(Option<u32>, i64)]) -> EgressRule {
    EgressRule {
        from: cloud.parse().unwrap(),
        scope,
        from_regions: RegionPrefixes::ALL,
        to_regions: RegionPrefixes::ALL,
        tiers: tiers
            .iter()
            .map(|(gib, micros)| EgressTier {
                up_to: gib.map(Bytes::from_gib),
                per_gib: MicroUsd::from_micros(*micros),
            })
            .collect(),
        as_of: "2026-11-01".parse().unwrap(),
        source: SourceId(0),
    }
}

fn catalogue(egress: Vec<EgressRule>) -> Catalogue {
    let sources = vec![Source {
        name: "test".to_owned(),
    }];
    Catalogue::new(CatalogueParts {
        egress,
        sources,
        ..CatalogueParts::default()
    })
    .unwrap()
}

/// Micro-dollars of whole GiB, one at a time: GiB number n (from 1) costs the rate of the first tier that reaches n.
fn oracle(tiers: &[(Option<u32>, i64)], gib: u32) -> i64 {
    (1..=gib)
        .map(|n| {
            tiers
                .iter()
                .find(|(edge, _)| edge.is_none_or(|edge| n <= edge))
                .unwrap()
                .1
        })
        .sum()
}

/// The tiers by which a widely used planner encodes AWS's list: 1 GB free.
const AWS_ONE_FREE: [(Option<u32>, i64); 5] = [
    (Some(1), 0),
    (Some(10_240), 90_000),
    (Some(51_200), 85_000),
    (Some(153_600), 70_000),
    (None, 50_000),
];

#[test]
fn the_worked_volumes_cost_what_marginal_tiers_say() {
    let catalogue = catalogue(vec![rule("aws", EgressScope::Internet, &AWS_ONE_FREE)]);
    // That planner takes one rate for the whole volume and gets 921.42, 0, 7167.74, 0, 716.80, 23295.91, 7680.05.
    let rows = [
        (10_239, "921.42 USD"),
        (10_240, "921.51 USD"),
        (51_199, "4403.025 USD"),
        (51_200, "4403.11 USD"),
        (61_440, "5119.91 USD"),
        (153_600, "11571.11 USD"),
        (153_601, "11571.16 USD"),
    ];
    for (gib, expected) in rows {
        let quote = catalogue
            .egress_cost(&key("aws/us-east-2"), EgressTarget::Internet, Bytes::from_gib(gib))
            .unwrap();
        assert_eq!(
            (quote.cost.to_string().as_str(), quote.assumed),
            (expected, false),
            "{gib} GiB"
        );
        assert_eq!(quote.cost.as_micros(), oracle(&AWS_ONE_FREE, gib), "{gib} GiB");
    }
}

#[test]
fn every_builtin_edge_is_marginal() {
    let catalogue = Catalogue::builtin();
    for rule in catalogue.egress_rules() {
        let tiers: Vec<(Option<u32>, i64)> = rule
            .tiers
            .iter()
            .map(|t| {
                (
                    t.up_to.map(|b| u32::try_from(b.as_bytes() / GIB).unwrap()),
                    t.per_gib.as_micros(),
                )
            })
            .collect();
        for edge in tiers.iter().filter_map(|(edge, _)| *edge) {
            for gib in [edge - 1, edge, edge + 1] {
                let cost = rule.cost(Bytes::from_gib(gib)).unwrap();
                assert_eq!(
                    cost.as_micros(),
                    oracle(&tiers, gib),
                    "{} {} at {gib} GiB",
                    rule.from,
                    rule.scope
                );
            }
        }
    }
}

#[test]
fn the_builtin_catalogue_prices_known_pairs_and_flags_the_others() {
    let catalogue = Catalogue::builtin();
    let quote = |from: &str, to: EgressTarget<'_>, gib: u32| -> (String, bool) {
        let EgressQuote { cost, assumed } = catalogue.egress_cost(&key(from), to, Bytes::from_gib(gib)).unwrap();
        (cost.to_string(), assumed)
    };
    let to = |from: &str, to: &str, gib: u32| quote(from, EgressTarget::Region(&key(to)), gib);
    let known = |text: &str| (text.to_owned(), false);
    let assumed = |text: &str| (text.to_owned(), true);

    assert_eq!(
        quote("aws/eu-central-1", EgressTarget::SameZone, 1000),
        known("0.00 USD")
    );
    assert_eq!(
        quote("aws/eu-central-1", EgressTarget::OtherZone, 100),
        known("2.00 USD")
    );
    assert_eq!(to("aws/eu-central-1", "aws/eu-central-1", 100), known("2.00 USD"));
    assert_eq!(to("aws/us-east-1", "aws/us-east-2", 100), known("1.00 USD"));
    assert_eq!(to("aws/us-east-1", "aws/us-west-2", 100), known("2.00 USD"));
    assert_eq!(to("aws/ap-northeast-1", "aws/us-west-2", 100), known("9.00 USD"));
    // 100 GiB a month are free of charge, to another cloud as to the internet.
    assert_eq!(to("aws/eu-central-1", "gcp/europe-west3", 1100), known("90.00 USD"));
    assert_eq!(
        quote("azure/westeurope", EgressTarget::Internet, 1100),
        known("87.00 USD")
    );
    assert_eq!(
        to("azure/westeurope", "azure/germanywestcentral", 100),
        known("2.00 USD")
    );
    assert_eq!(to("azure/westeurope", "azure/eastus", 100), known("5.00 USD"));
    assert_eq!(
        quote("azure/westeurope", EgressTarget::OtherZone, 100),
        known("0.00 USD")
    );
    assert_eq!(
        quote("gcp/europe-west3", EgressTarget::Internet, 1025),
        known("122.99 USD")
    );
    assert_eq!(to("gcp/europe-west3", "gcp/europe-west4", 100), known("2.00 USD"));
    assert_eq!(to("gcp/europe-west3", "gcp/us-central1", 100), known("5.00 USD"));
    assert_eq!(
        quote("oci/eu-frankfurt-1", EgressTarget::Internet, 10_240),
        known("0.00 USD")
    );
    assert_eq!(to("oci/eu-frankfurt-1", "oci/us-ashburn-1", 10_340), known("0.85 USD"));
    assert_eq!(
        quote("linode/eu-central", EgressTarget::Internet, 1000),
        known("5.00 USD")
    );
    // No figure for the pair: the cloud's internet tiers.
    assert_eq!(
        to("gcp/australia-southeast1", "gcp/europe-west3", 100),
        assumed("12.00 USD")
    );
    assert_eq!(to("vultr/ams", "vultr/fra", 100), assumed("1.00 USD"));
    assert_eq!(quote("do/ams3", EgressTarget::OtherZone, 100), assumed("1.00 USD"));
    // A region that none of the cloud's internet rules covers takes the dearest of them, nothing free.
    assert_eq!(quote("aws/me-south-1", EgressTarget::Internet, 10), assumed("1.26 USD"));
    // A cloud without any rule takes the dearest internet tier of the catalogue.
    assert_eq!(
        quote("nebius/eu-north1", EgressTarget::Internet, 100),
        assumed("12.60 USD")
    );
    assert_eq!(quote("unheard/of", EgressTarget::Internet, 100), assumed("12.60 USD"));
}

#[test]
fn an_unknown_price_is_never_zero() {
    let free = rule("c", EgressScope::Internet, &[(None, 0)]);
    let paid = rule("d", EgressScope::Internet, &[(Some(100), 0), (None, 20_000)]);
    let both = catalogue(vec![free.clone(), paid]);
    let elsewhere = key("c/r2");
    let cost = |volume| {
        both.egress_cost(&key("c/r1"), EgressTarget::Region(&elsewhere), volume)
            .unwrap()
    };
    assert_eq!(
        cost(Bytes::from_gib(1)),
        EgressQuote {
            cost: MicroUsd::from_micros(20_000),
            assumed: true
        }
    );
    assert_eq!(
        cost(Bytes::from_bytes(1)),
        EgressQuote {
            cost: MicroUsd::from_micros(1),
            assumed: true
        }
    );
    assert_eq!(
        cost(Bytes::ZERO),
        EgressQuote {
            cost: MicroUsd::ZERO,
            assumed: false
        }
    );
    let known = both
        .egress_cost(&key("c/r1"), EgressTarget::Internet, Bytes::from_gib(9))
        .unwrap();
    assert_eq!(
        known,
        EgressQuote {
            cost: MicroUsd::ZERO,
            assumed: false
        }
    );

    let none = catalogue(vec![free]);
    let error = none
        .egress_cost(&key("x/r1"), EgressTarget::OtherZone, Bytes::from_gib(1))
        .unwrap_err();
    assert_eq!(
        (error.class(), matches!(error, EgressError::Unknown { .. })),
        (Class::NotFound, true)
    );
    insta::assert_snapshot!(error, @"price bytes leaving `x/r1`: the catalogue has no internet price to assume");
}

#[test]
fn no_volume_overflows() {
    let dear = catalogue(vec![rule("c", EgressScope::Internet, &[(None, 1_000_000)])]);
    let quote = dear
        .egress_cost(&key("c/r1"), EgressTarget::Internet, Bytes::MAX)
        .unwrap();
    assert_eq!(
        quote.cost.as_micros(),
        (1i64 << 34) * 1_000_000,
        "2^64 - 1 bytes round up to 2^34 GiB"
    );
}

#[test]
fn the_closest_rule_wins() {
    let with = |from: &str, to: &str, micros: i64| EgressRule {
        from_regions: RegionPrefixes::new(from),
        to_regions: RegionPrefixes::new(to),
        ..rule("c", EgressScope::InterRegion, &[(None, micros)])
    };
    let catalogue = catalogue(vec![
        with("", "", 5),
        with("eu-", "", 4),
        with("eu-", "eu-|us-", 3),
        with("eu-west-1| eu-west-2", "", 2),
        with("", "moon", 1),
    ]);
    let per_gib = |from: &str, to: &str| {
        let target = key(to);
        let quote = catalogue
            .egress_cost(&key(from), EgressTarget::Region(&target), Bytes::from_gib(1))
            .unwrap();
        quote.cost.as_micros()
    };
    assert_eq!(per_gib("c/ap-1", "c/eu-west-1"), 5);
    assert_eq!(per_gib("c/eu-3", "c/ap-1"), 4);
    assert_eq!(per_gib("c/eu-3", "c/us-1"), 3);
    assert_eq!(
        per_gib("c/eu-west-2", "c/us-1"),
        2,
        "the source counts before the destination"
    );
    assert_eq!(per_gib("c/ap-1", "c/moon"), 1);
}

fn tiers() -> impl Strategy<Value = Vec<(Option<u32>, i64)>> {
    let edges = proptest::collection::btree_set(1u32..2000, 0..5);
    (edges, proptest::collection::vec(0i64..200_000, 6))
        .prop_map(|(edges, rates)| edges.into_iter().map(Some).chain([None]).zip(rates).collect())
}

proptest! {
    #[test]
    fn whole_gib_cost_what_the_oracle_says_at_every_edge(tiers in tiers(), gib in 0u32..2500) {
        let rule = rule("c", EgressScope::Internet, &tiers);
        let edges = tiers.iter().filter_map(|(edge, _)| *edge).flat_map(|e| [e - 1, e, e + 1]);
        for gib in edges.chain([gib]) {
            prop_assert_eq!(rule.cost(Bytes::from_gib(gib)).unwrap().as_micros(), oracle(&tiers, gib));
        }
    }

    #[test]
    fn more_bytes_never_cost_less_and_no_edge_is_a_cliff(tiers in tiers(), volume in 0u64..2500 * GIB, more in 0u64..GIB, assumed in any::<bool>()) {
        let dearest = tiers.iter().map(|(_, rate)| *rate).max().unwrap();
        prop_assume!(!assumed || dearest > 0);
        // An assumed quote comes from another scope's rule.
        let catalogue = catalogue(vec![rule("c", EgressScope::Internet, &tiers)]);
        let target = if assumed { EgressTarget::OtherZone } else { EgressTarget::Internet };
        let edges = tiers.iter().filter_map(|(edge, _)| *edge).map(|gib| u64::from(gib) * GIB);
        for from in edges.flat_map(|edge| [edge - 1, edge]).chain([volume]) {
            let cost = |bytes| catalogue.egress_cost(&key("c/r"), target, Bytes::from_bytes(bytes)).unwrap().cost.as_micros();
            let step = cost(from + more) - cost(from);
            prop_assert!(step >= 0);
            // At most the dearest rate for the bytes added, plus the rounding of the two ends.
            let most = i128::from(more) * i128::from(dearest) / i128::from(GIB) + 2;
            prop_assert!(i128::from(step) <= most, "{} micro-dollars for {} more bytes", step, more);
        }
    }

    #[test]
    fn bytes_are_rounded_once_half_up(tiers in tiers(), volume in 0u64..2500 * GIB) {
        let rule = rule("c", EgressScope::Internet, &tiers);
        let whole = u32::try_from(volume / GIB).unwrap();
        let rest = i128::from(volume % GIB);
        let rate = oracle(&tiers, whole + 1) - oracle(&tiers, whole);
        let exact = i128::from(oracle(&tiers, whole)) * i128::from(GIB) + rest * i128::from(rate);
        let rounded = (exact * 2 + i128::from(GIB)).div_euclid(2 * i128::from(GIB));
        prop_assert_eq!(i128::from(rule.cost(Bytes::from_bytes(volume)).unwrap().as_micros()), rounded);
    }
}
