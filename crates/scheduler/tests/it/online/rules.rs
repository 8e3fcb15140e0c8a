//! Each filter alone, by the reason that an explanation gives, and rules that meet pods which came before them.

use std::time::Duration;

use skyloom_core::{Affinity, Jurisdiction, ServiceName, Site, SpreadOver, SpreadRule, Taint, ZoneName};
use skyloom_scheduler::online::*;

use super::worlds::{node, placer, pod};

fn workload(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

fn rule(name: &str, within: SpreadOver) -> Affinity {
    Affinity {
        service: workload(name),
        within,
    }
}

/// Four nodes in two zones of one region and one in another cloud, without rules of their own.
fn zoned() -> Vec<NodeSpec> {
    let sites = [
        ("a1", "alpha/eu-1", "a"),
        ("a2", "alpha/eu-1", "a"),
        ("b1", "alpha/eu-1", "b"),
        ("c1", "beta/ams", "x"),
    ];
    let at = |(id, region, zone): (&str, &str, &str)| NodeSpec {
        site: Some(Site {
            region: region.parse().unwrap(),
            zone: Some(ZoneName::new(zone).unwrap()),
        }),
        ..node(id, 8, 8, 0)
    };
    sites.map(at).to_vec()
}

#[test]
fn each_filter_says_its_name() {
    let mut able = node("able", 8, 8, 2000).with_gpu_model("A");
    able.labels.insert("disk".to_owned(), "ssd".to_owned());
    able.round_trip.insert("users".to_owned(), Duration::from_millis(10));
    able.carbon_g_per_kwh = Some(100);
    able.jurisdictions = [Jurisdiction::new("EU").unwrap()].into();
    able.extra.insert("net".to_owned(), 5);
    let mut other = node("other", 8, 8, 2000).with_gpu_model("B");
    other.extra.insert("net".to_owned(), 0);
    type Change = fn(&mut PodSpec);
    let rows: [(Filter, Change); 7] = [
        (Filter::Residency, |p| {
            p.residency.allow = [Jurisdiction::new("EU").unwrap()].into()
        }),
        (Filter::Labels, |p| {
            drop(p.labels.insert("disk".to_owned(), "ssd".to_owned()))
        }),
        (Filter::Latency, |p| {
            p.round_trip_max.insert("users".to_owned(), Duration::from_millis(10));
        }),
        (Filter::Carbon, |p| p.carbon_g_per_kwh_max = Some(100)),
        (Filter::GpuModel, |p| p.gpu_models = ["A".to_owned()].into()),
        (Filter::Size, |p| {
            p.extra.insert("net".to_owned(), 5);
        }),
        (Filter::Taints, |p| p.tolerations.clear()),
    ];
    for (filter, change) in rows {
        let mut other = other.clone();
        if filter == Filter::Taints {
            other.taints.push(Taint {
                key: "k".to_owned(),
                value: String::new(),
            });
        }
        let mut placer = placer(&[able.clone(), other], "best_fit", &OnlineConfig::new(0));
        let mut asking = pod(1, 1, 1000);
        change(&mut asking);
        let class = placer.class(&asking).unwrap();
        let why = placer.explain(class).unwrap();
        assert_eq!(why.totals(), [(filter.clone(), 1)].into());
        assert_eq!((why.fitting, why.best.unwrap().node), (1, 0), "{filter}");
        assert_eq!(why.refusals[0].like.as_str(), "other");
    }
}

#[test]
fn what_is_taken_is_told_from_what_is_too_small() {
    let mut placer = placer(&[node("n", 8, 8, 1500)], "fgd", &OnlineConfig::new(0));
    let mut why = |pod: &PodSpec| {
        let class = placer.class(pod).unwrap();
        let totals = placer.explain(class).unwrap().totals();
        placer.place(class).unwrap();
        totals.into_keys().next()
    };
    assert_eq!(why(&pod(1, 1, 2000)), Some(Filter::Size));
    assert_eq!(why(&pod(9, 1, 0)), Some(Filter::Size));
    assert_eq!(why(&pod(1, 1, 700)), None);
    // 300 and 500 are left on two devices: a share does not straddle them.
    assert_eq!(why(&pod(1, 1, 600)), Some(Filter::Gpu));
    assert_eq!(why(&pod(1, 1, 1000)), Some(Filter::Gpu));
    assert_eq!(why(&pod(1, 1, 500)), None);
    assert_eq!(why(&pod(7, 1, 0)), Some(Filter::Cpu));
    assert_eq!(why(&pod(1, 7, 0)), Some(Filter::Memory));
}

#[test]
fn rules_count_pods_that_came_before_them() {
    for builtin in policy::BUILTIN {
        let mut placer = placer(&zoned(), builtin.name, &OnlineConfig::new(3));
        let mut place = |pod: &PodSpec| {
            let class = placer.class(pod).unwrap();
            let outcome = placer.place(class).unwrap();
            outcome
                .placed()
                .map(|placed| placer.node(placed.node).unwrap().id.to_string())
        };
        let mut db = pod(1, 1, 0);
        db.workload = Some(workload("db"));
        db.labels.clear();
        let home = place(&db).unwrap();
        let zone = |id: &str| id.chars().next();
        let mut near = pod(1, 1, 0);
        near.affinity.push(rule("db", SpreadOver::Zone));
        assert_eq!(zone(&place(&near).unwrap()), zone(&home), "{}", builtin.name);
        let mut far = pod(2, 1, 0);
        far.workload = Some(workload("web"));
        far.anti_affinity.push(rule("db", SpreadOver::Zone));
        assert_ne!(zone(&place(&far).unwrap()), zone(&home), "{}", builtin.name);
        // The rule holds for those that come later without one: the second `db` is not beside `web`.
        for _ in 0..6 {
            let web_zones: Vec<_> = place(&far).iter().map(|id| zone(id)).collect();
            let again = place(&db);
            assert!(
                again.is_none_or(|id| !web_zones.contains(&zone(&id))),
                "{}",
                builtin.name
            );
        }
    }
}

#[test]
fn the_first_of_a_workload_may_insist_on_its_own() {
    let mut placer = placer(&zoned(), "worst_fit", &OnlineConfig::new(0));
    let mut own = pod(1, 1, 0);
    own.workload = Some(workload("own"));
    own.affinity.push(rule("own", SpreadOver::Zone));
    let class = placer.class(&own).unwrap();
    let nodes: Vec<usize> = (0..4)
        .map(|_| placer.place(class).unwrap().placed().unwrap().node)
        .collect();
    // Worst fit alternates, within the zone of the first.
    assert_eq!(nodes, [0, 1, 0, 1]);
}

#[test]
fn a_workload_is_spread_over_zones_even_when_one_is_full() {
    let mut placer = placer(&zoned(), "best_fit", &OnlineConfig::new(0));
    let mut even = pod(4, 1, 0);
    even.workload = Some(workload("even"));
    even.spread.push(SpreadRule {
        over: SpreadOver::Zone,
        max_skew: 1.try_into().unwrap(),
    });
    let class = placer.class(&even).unwrap();
    let nodes: Vec<Option<usize>> = (0..8)
        .map(|_| placer.place(class).unwrap().placed().map(|p| p.node))
        .collect();
    // Three zones, of which two hold two pods each: then the first may have no third either.
    assert_eq!(
        nodes,
        [Some(0), Some(2), Some(3), Some(0), Some(2), Some(3), Some(1), None]
    );
    assert_eq!(
        placer.explain(class).unwrap().to_string(),
        "fits 0 nodes; cpu refuses 3; spread refuses 1"
    );
}

#[test]
fn clean_electricity_is_preferred_by_its_weight() {
    let grams = |id: &str, carbon| NodeSpec {
        carbon_g_per_kwh: carbon,
        ..node(id, 8, 8, 0)
    };
    let nodes = [grams("a", Some(400)), grams("b", Some(30)), grams("c", None)];
    for (weight, expected) in [(0.0, [0, 0, 1]), (1.0, [1, 1, 0])] {
        let mut placer = placer(&nodes, "best_fit", &OnlineConfig::new(0).with_carbon_weight(weight));
        let class = placer.class(&pod(4, 1, 0)).unwrap();
        let nodes: Vec<usize> = (0..3)
            .map(|_| placer.place(class).unwrap().placed().unwrap().node)
            .collect();
        assert_eq!(nodes, expected, "weight {weight}");
    }
}
