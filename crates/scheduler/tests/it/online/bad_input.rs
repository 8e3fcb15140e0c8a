//! Input that makes no sense: a typed error that names the place, or a refusal with its reason, and never a panic.

use skyloom_core::{Affinity, Bytes, Class, Millicores, Milligpus, Resources, ServiceName, SpreadOver};
use skyloom_scheduler::online::policy::{BUILTIN, Policy, Trial};
use skyloom_scheduler::online::*;

use super::worlds::{node, placer, pod};

fn failure(nodes: Vec<NodeSpec>, config: &OnlineConfig) -> String {
    Placer::new(nodes, policy::by_name("best").unwrap(), config)
        .unwrap_err()
        .to_string()
}

#[test]
fn what_contradicts_itself_is_a_typed_error() {
    let plain = OnlineConfig::new(0);
    assert_eq!(
        failure(vec![node("a", 1, 1, 0), node("a", 2, 2, 0)], &plain),
        "tell two nodes `a` apart"
    );
    assert_eq!(
        failure(vec![node("a", 1, 1, 65_000)], &plain),
        "number the `65` GPU devices of node `a`: at most `64` are"
    );
    let quota = |tenant: &str| Quota {
        tenant: tenant.to_owned(),
        max: Resources::ZERO,
    };
    let twice = plain.clone().with_quotas(vec![quota("t"), quota("s"), quota("t")]);
    assert_eq!(failure(Vec::new(), &twice), "tell two quotas of tenant `t` apart");
    for weight in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(failure(Vec::new(), &plain.clone().with_carbon_weight(weight)).starts_with("weigh carbon by"));
        let moves = Moves {
            per_placement_max: 1,
            share_max: weight,
        };
        assert!(failure(Vec::new(), &plain.clone().with_moves(moves)).starts_with("weigh the share of moves by"));
    }
    let odd = Expected {
        pod: pod(1, 1, 1500),
        count: 1,
    };
    assert!(failure(Vec::new(), &plain.with_expected(vec![odd])).starts_with("give `1500` thousandths of GPU"));
}

#[test]
fn ids_and_classes_of_others_are_not_found() {
    let nodes = [node("a", 4, 4, 0)];
    let mut one = placer(&nodes, "fast", &OnlineConfig::new(0).with_classes_max(1));
    let class = one.class(&pod(1, 1, 0)).unwrap();
    assert_eq!(one.class(&pod(1, 1, 0)).unwrap(), class);
    let error = one.class(&pod(2, 1, 0)).unwrap_err();
    assert_eq!(
        (error.class(), error),
        (Class::Exhausted, OnlineError::TooManyClasses { allowed: 1 })
    );
    assert!(matches!(
        one.class(&pod(1, 1, 2001)),
        Err(OnlineError::TooManyClasses { .. } | OnlineError::GpuNotWhole { .. })
    ));
    let mut empty = placer(&nodes, "fast", &OnlineConfig::new(0));
    assert_eq!(empty.place(class).unwrap_err().class(), Class::NotFound);
    assert!(empty.scan(class).is_err() && empty.explain(class).is_err() && empty.place_gang(&[class]).is_err());
    let gone = one.place(class).unwrap().placed().unwrap().pod;
    one.release(gone).unwrap();
    let next = one.place(class).unwrap().placed().unwrap().pod;
    assert_ne!(gone, next);
    assert_eq!(one.release(gone), Err(OnlineError::UnknownPod { pod: gone }));
    assert_eq!(empty.release(next), Err(OnlineError::UnknownPod { pod: next }));
}

#[test]
fn no_amount_is_too_large_or_too_small() {
    let most = Resources::new(Millicores::MAX, Bytes::MAX).with_disk(Bytes::MAX);
    let half = Resources::new(Millicores::from_millicores(1 << 63), Bytes::from_bytes(1 << 63));
    let mut wide = node("wide", 0, 0, 64_000);
    wide.capacity = most.with_gpu(Milligpus::from_milligpus(64_000));
    wide.extra.insert("net".to_owned(), u64::MAX);
    let nodes = [node("empty", 0, 0, 0), wide];
    for builtin in BUILTIN {
        let quota = Quota {
            tenant: "t".to_owned(),
            max: most.with_gpu(Milligpus::MAX),
        };
        let config = OnlineConfig::new(0).with_quotas(vec![quota]).with_preempt(true);
        let mut placer = placer(&nodes, builtin.name, &config);
        let mut ask = |request: Resources, tenant: Option<&str>| {
            let mut pod = PodSpec::new(request);
            pod.tenant = tenant.map(str::to_owned);
            let class = placer.class(&pod).unwrap();
            let first = placer.place(class).unwrap().placed().map(|placed| placed.node);
            (first, placer.explain(class).unwrap().totals())
        };
        let (first, then) = ask(half, Some("t"));
        assert_eq!(first, Some(1), "{}", builtin.name);
        assert_eq!(
            then,
            [(Filter::Quota, 2)].into(),
            "two halves are one more than the most"
        );
        assert_eq!(ask(half, None).1, [(Filter::Size, 1), (Filter::Cpu, 1)].into());
        assert!(ask(Resources::ZERO, None).0.is_some(), "nothing fits anywhere");
        let gpus = Resources::ZERO.with_gpu(Milligpus::from_milligpus(u64::MAX / 1000 * 1000));
        assert_eq!(ask(gpus, None), (None, [(Filter::Size, 2)].into()));
    }
}

#[test]
fn a_cluster_without_nodes_refuses_and_a_quota_of_zero_admits_nothing() {
    let mut none = placer(&[], "best", &OnlineConfig::new(0).with_preempt(true));
    let class = none.class(&pod(1, 1, 500)).unwrap();
    assert_eq!(none.place(class).unwrap(), Outcome::Refused);
    let quota = Quota {
        tenant: "t".to_owned(),
        max: Resources::ZERO,
    };
    let mut strict = placer(
        &[node("a", 4, 4, 0)],
        "best",
        &OnlineConfig::new(0).with_quotas(vec![quota]),
    );
    let mut pod = pod(1, 1, 0);
    pod.tenant = Some("t".to_owned());
    let class = strict.class(&pod).unwrap();
    assert_eq!(strict.place(class).unwrap(), Outcome::Refused);
    assert_eq!(
        strict.explain(class).unwrap().to_string(),
        "fits 0 nodes; quota refuses 1"
    );
}

#[test]
fn rules_that_contradict_each_other_are_refusals_with_reasons() {
    let mut placer = placer(&[node("a", 4, 4, 0)], "best", &OnlineConfig::new(0));
    let web = ServiceName::new("web").unwrap();
    let rule = Affinity {
        service: web.clone(),
        within: SpreadOver::Machine,
    };
    let mut plain = pod(1, 1, 0);
    plain.workload = Some(web);
    let mut torn = pod(1, 1, 0);
    torn.affinity.push(rule.clone());
    torn.anti_affinity.push(rule);
    let (plain, torn) = (placer.class(&plain).unwrap(), placer.class(&torn).unwrap());
    assert_eq!(
        placer.explain(torn).unwrap().to_string(),
        "fits 0 nodes; affinity refuses 1"
    );
    placer.place(plain).unwrap();
    assert_eq!(
        placer.explain(torn).unwrap().to_string(),
        "fits 0 nodes; anti-affinity refuses 1"
    );
    assert_eq!(placer.place(torn).unwrap(), Outcome::Refused);
}

/// Costs that are no numbers.
#[derive(Debug)]
struct Nonsense;

impl Policy for Nonsense {
    fn name(&self) -> &'static str {
        "nonsense"
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        if trial.before.cpu == 4000 {
            f64::NAN
        } else {
            f64::INFINITY
        }
    }
}

#[test]
fn a_policy_that_gives_no_number_loses_but_refuses_nobody() {
    let nodes = vec![node("a", 4, 4, 1000), node("b", 8, 8, 1000)];
    let mut placer = Placer::new(nodes, Box::new(Nonsense), &OnlineConfig::new(0)).unwrap();
    let class = placer.class(&pod(4, 1, 100)).unwrap();
    let mut place = || placer.place(class).unwrap().placed().map(|placed| placed.node);
    assert_eq!([place(), place(), place(), place()], [Some(1), Some(0), Some(1), None]);
}
