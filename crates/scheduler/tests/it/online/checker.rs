//! The independent checker finds what is wrong: states that were right, with one thing changed.

use skyloom_core::{Affinity, Bytes, Jurisdiction, MachineId, ServiceName, Site, SpreadOver, SpreadRule, ZoneName};
use skyloom_scheduler::online::*;

use super::worlds::{node, pod, resources};

/// Two nodes with two devices each, in two zones.
fn nodes() -> Vec<NodeSpec> {
    let site = |zone: &str| Site {
        region: "alpha/eu-1".parse().unwrap(),
        zone: Some(ZoneName::new(zone).unwrap()),
    };
    let at = |id: &str, zone| NodeSpec {
        site: Some(site(zone)),
        ..node(id, 8, 8, 2000).with_gpu_model("A")
    };
    vec![at("a", "x"), at("b", "y")]
}

fn of_workload(mut pod: PodSpec, name: &str) -> PodSpec {
    pod.workload = Some(ServiceName::new(name).unwrap());
    pod
}

fn faults(claims: &[(&PodSpec, &str, &[usize])]) -> Vec<Fault> {
    let ids: Vec<MachineId> = claims
        .iter()
        .map(|(_, node, _)| MachineId::new(*node).unwrap())
        .collect();
    let claims: Vec<Claim<'_>> = claims
        .iter()
        .zip(&ids)
        .map(|((pod, _, devices), node)| Claim {
            pod,
            node,
            devices: devices.to_vec(),
        })
        .collect();
    let quotas = [Quota {
        tenant: "t".to_owned(),
        max: resources(4, 4, 1000),
    }];
    let fresh: Vec<usize> = (0..claims.len()).collect();
    audit(&nodes(), &quotas, &claims, &fresh)
}

fn id(name: &str) -> MachineId {
    MachineId::new(name).unwrap()
}

#[test]
fn what_is_right_has_no_faults() {
    let (share, whole, plain) = (pod(1, 1, 500), pod(1, 1, 2000), pod(5, 5, 0));
    assert_eq!(
        faults(&[
            (&share, "a", &[1]),
            (&share, "a", &[1]),
            (&plain, "a", &[]),
            (&whole, "b", &[0, 1])
        ]),
        []
    );
}

#[test]
fn amounts_that_are_too_much_are_found() {
    let (share, whole, half, large) = (pod(1, 1, 600), pod(1, 1, 1000), pod(5, 3, 0), pod(3, 5, 0));
    assert_eq!(
        faults(&[(&half, "a", &[]), (&half, "a", &[])]),
        [Fault::OverCapacity(id("a"), "cpu".to_owned())]
    );
    assert_eq!(
        faults(&[(&large, "a", &[]), (&large, "a", &[])]),
        [Fault::OverCapacity(id("a"), "memory".to_owned())]
    );
    assert_eq!(
        faults(&[(&share, "a", &[1]), (&share, "a", &[1])]),
        [Fault::OverDevice(id("a"), 1)]
    );
    assert_eq!(
        faults(&[(&share, "a", &[0]), (&whole, "a", &[0])]),
        [Fault::OverDevice(id("a"), 0)]
    );
    let mut net = pod(1, 1, 0);
    net.extra.insert("net".to_owned(), 1);
    assert_eq!(
        faults(&[(&net, "a", &[])]),
        [Fault::OverCapacity(id("a"), "net".to_owned())]
    );
    let mut disk = pod(1, 1, 0);
    disk.request = disk.request.with_disk(Bytes::from_gib(1));
    assert_eq!(
        faults(&[(&disk, "a", &[])]),
        [Fault::OverCapacity(id("a"), "disk".to_owned())]
    );
    let mut owned = pod(3, 1, 0);
    owned.tenant = Some("t".to_owned());
    assert_eq!(
        faults(&[(&owned, "a", &[]), (&owned, "b", &[])]),
        [Fault::OverQuota("t".to_owned())]
    );
}

#[test]
fn devices_that_are_wrong_are_found() {
    let (share, two, plain) = (pod(1, 1, 600), pod(1, 1, 2000), pod(1, 1, 0));
    let rows: [(&PodSpec, &[usize]); 6] = [
        (&share, &[]),
        (&share, &[0, 1]),
        (&two, &[0]),
        (&two, &[1, 1]),
        (&plain, &[0]),
        (&share, &[2]),
    ];
    for (pod, devices) in rows {
        assert!(
            faults(&[(pod, "a", devices)]).contains(&Fault::WrongDevices(0)),
            "{devices:?}"
        );
    }
    assert_eq!(faults(&[(&plain, "z", &[])]), [Fault::NoSuchNode(0)]);
}

#[test]
fn rules_that_are_broken_are_found() {
    let barred = |rule: &str| vec![Fault::Barred(0, rule.to_owned())];
    let mut model = pod(1, 1, 500);
    model.gpu_models = ["B".to_owned()].into();
    assert_eq!(faults(&[(&model, "a", &[0])]), barred("gpu model"));
    let mut label = pod(1, 1, 0);
    label.labels.insert("k".to_owned(), "v".to_owned());
    assert_eq!(faults(&[(&label, "a", &[])]), barred("labels"));
    let mut law = pod(1, 1, 0);
    law.residency.deny = [Jurisdiction::new("US").unwrap()].into();
    assert_eq!(faults(&[(&law, "a", &[])]), barred("residency"));
    let mut clean = pod(1, 1, 0);
    clean.carbon_g_per_kwh_max = Some(9);
    assert_eq!(faults(&[(&clean, "a", &[])]), barred("carbon"));
    let mut near = pod(1, 1, 0);
    near.round_trip_max.insert("users".to_owned(), std::time::Duration::MAX);
    assert_eq!(faults(&[(&near, "a", &[])]), barred("latency"));
}

#[test]
fn pods_that_should_be_apart_together_or_even_are_found() {
    let name = |name: &str| ServiceName::new(name).unwrap();
    let rule = |service: &str, within| Affinity {
        service: name(service),
        within,
    };
    let plain = of_workload(pod(1, 1, 0), "web");
    let mut apart = of_workload(pod(1, 1, 0), "db");
    apart.anti_affinity.push(rule("web", SpreadOver::Zone));
    assert_eq!(faults(&[(&plain, "a", &[]), (&apart, "b", &[])]), []);
    assert_eq!(
        faults(&[(&plain, "a", &[]), (&apart, "a", &[])]),
        [Fault::NotApart(1, name("web"))]
    );
    let mut near = of_workload(pod(1, 1, 0), "db");
    near.affinity.push(rule("web", SpreadOver::Region));
    assert_eq!(faults(&[(&plain, "a", &[]), (&near, "b", &[])]), []);
    near.affinity[0].within = SpreadOver::Machine;
    assert_eq!(
        faults(&[(&plain, "a", &[]), (&near, "b", &[])]),
        [Fault::NotNear(1, name("web"))]
    );
    let mut even = of_workload(pod(1, 1, 0), "web");
    even.spread.push(SpreadRule {
        over: SpreadOver::Machine,
        max_skew: 1.try_into().unwrap(),
    });
    assert_eq!(faults(&[(&even, "a", &[])]), []);
    assert_eq!(
        faults(&[(&even, "a", &[]), (&even, "a", &[])]),
        [Fault::Uneven(0), Fault::Uneven(1)]
    );
    even.spread[0].max_skew = 2.try_into().unwrap();
    assert_eq!(faults(&[(&even, "a", &[]), (&even, "a", &[])]), []);
}
