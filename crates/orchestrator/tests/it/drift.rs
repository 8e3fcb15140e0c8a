//! Each single change from outside is found with its field and policy; what is ignored never is.

use std::collections::BTreeMap;

use skyloom_core::{
    Attributes, DriftField, DriftPolicy, EnvValue, Machine, Manifest, ReplicaSpec, ReplicaState, ResourceId, Resources,
    SecretRef, Snapshot,
};
use skyloom_orchestrator::{SeenCondition, SeenThing, Started, TAG_NAME, drift, for_planning, plan};

use crate::fixture::{machine, manifest, observed, place, replica, resource, service, snapshot};

fn world() -> (Manifest, Machine, ReplicaSpec, Vec<SeenThing>) {
    let mut spec = service("a", 1);
    spec.run.image = Some(String::from("a:1"));
    spec.run.command = vec![String::from("a"), String::from("--serve")];
    let secret = SecretRef {
        backend: String::from("env"),
        name: String::from("KEY"),
        version: None,
    };
    spec.run.env = BTreeMap::from([
        (String::from("MODE"), EnvValue::Text(String::from("fast"))),
        (
            String::from("PEERS"),
            EnvValue::Text(String::from("{service.a.endpoints}")),
        ),
        (String::from("KEY"), EnvValue::Secret(secret)),
    ]);
    let manifest = manifest(vec![spec.clone()]);
    let on = machine("m", 4);
    let started = ReplicaSpec {
        replica: replica("a/0"),
        machine: on.id.clone(),
        site: on.site.clone(),
        request: spec.resources,
        run: spec.run,
        health: None,
        stop: spec.stop,
    };
    let tags = |name: &str| Some(BTreeMap::from([(TAG_NAME.to_owned(), name.to_owned())]));
    let shown = Attributes {
        image: Some(String::from("a:1")),
        command: Some(started.run.command.clone()),
        env: Some(BTreeMap::from([
            (String::from("MODE"), Some(String::from("fast"))),
            (String::from("PEERS"), Some(String::from("127.0.0.1:80"))),
            (String::from("KEY"), None),
            (String::from("PATH"), Some(String::from("/bin"))),
        ])),
        tags: tags("a/0"),
        request: Some(started.request),
        instance: None,
    };
    let of = |id: &str, name: &str, attributes| SeenThing {
        resource: resource(id),
        name: name.to_owned(),
        is_ours: true,
        condition: SeenCondition::Up,
        attributes,
    };
    let carrier = Attributes {
        instance: Some(on.instance.clone()),
        tags: tags("m"),
        ..Attributes::default()
    };
    let seen = vec![of("r-a", "a/0", shown), of("vm-m", "m", carrier)];
    (manifest, on, started, seen)
}

fn found(manifest: &Manifest, on: &Machine, spec: &ReplicaSpec, seen: &[SeenThing]) -> Vec<(DriftField, DriftPolicy)> {
    let replicas: BTreeMap<ResourceId, &ReplicaSpec> = BTreeMap::from([(resource("r-a"), spec)]);
    let machines: BTreeMap<ResourceId, &Machine> = BTreeMap::from([(resource("vm-m"), on)]);
    let started = Started {
        manifest,
        replicas: &replicas,
        machines: &machines,
    };
    let all = drift(&started, seen);
    all.into_iter().map(|drift| (drift.field, drift.policy)).collect()
}

type Edit = fn(&mut Vec<SeenThing>);

const EDITS: [(DriftField, Edit); 11] = [
    (DriftField::Missing, |seen| drop(seen.remove(0))),
    (DriftField::State, |seen| seen[0].condition = SeenCondition::Stopped),
    (DriftField::State, |seen| seen[0].condition = SeenCondition::Completed),
    (DriftField::Image, |seen| {
        seen[0].attributes.image = Some(String::from("a:2"))
    }),
    (DriftField::Command, |seen| {
        seen[0].attributes.command = Some(vec![String::from("b")])
    }),
    (DriftField::Env, |seen| {
        let env = seen[0].attributes.env.as_mut().unwrap();
        env.insert(String::from("MODE"), Some(String::from("slow")));
    }),
    (DriftField::Env, |seen| {
        drop(seen[0].attributes.env.as_mut().unwrap().remove("KEY"))
    }),
    (DriftField::Env, |seen| {
        drop(seen[0].attributes.env.as_mut().unwrap().remove("PEERS"))
    }),
    (DriftField::Tags, |seen| {
        seen[0].attributes.tags.as_mut().unwrap().clear()
    }),
    (DriftField::Size, |seen| {
        seen[0].attributes.request = Some(Resources::ZERO)
    }),
    (DriftField::Owner, |seen| seen[0].is_ours = false),
];

#[test]
fn each_single_change_is_found_with_its_field_and_policy() {
    let (manifest, on, spec, seen) = world();
    assert_eq!(found(&manifest, &on, &spec, &seen), []);
    for (field, edit) in EDITS {
        for policy in [DriftPolicy::Correct, DriftPolicy::Report, DriftPolicy::Ignore] {
            let mut manifest = manifest.clone();
            manifest.services[0].drift.insert(field, policy);
            let mut seen = seen.clone();
            edit(&mut seen);
            let expected = match (field, policy) {
                (DriftField::Owner, _) => vec![(field, DriftPolicy::Report)],
                (_, DriftPolicy::Ignore) => vec![],
                _ => vec![(field, policy)],
            };
            assert_eq!(found(&manifest, &on, &spec, &seen), expected, "{field} {policy:?}");
        }
    }
}

#[test]
fn strangers_and_machines_are_told_and_what_is_not_shown_is_no_change() {
    let (manifest, on, spec, mut seen) = world();
    seen[1].attributes.instance = Some("m5.xlarge".parse().unwrap());
    let mut stray = seen[0].clone();
    stray.resource = resource("r-stray");
    seen.push(stray);
    seen[0].attributes = Attributes::default();
    let report = DriftPolicy::Report;
    assert_eq!(
        found(&manifest, &on, &spec, &seen),
        [(DriftField::Extra, report), (DriftField::Size, report)]
    );
}

/// What is corrected is replaced by the next plan; what is reported, ignored or another's gives no step.
#[test]
fn only_what_is_to_be_corrected_gives_steps() {
    let (base, on, spec, seen) = world();
    for (field, edit) in EDITS {
        for policy in [DriftPolicy::Correct, DriftPolicy::Report, DriftPolicy::Ignore] {
            let mut manifest = base.clone();
            manifest.services[0].drift.insert(field, policy);
            let mut seen = seen.clone();
            edit(&mut seen);
            let state = match field {
                DriftField::Missing => ReplicaState::Lost,
                DriftField::State => ReplicaState::Failed,
                _ => ReplicaState::Healthy,
            };
            let mut there: Snapshot = snapshot(&["m"], vec![observed(&manifest, "a/0", "m", state)]);
            there.replicas[0].resource = resource("r-a");
            let replicas: BTreeMap<ResourceId, &ReplicaSpec> = BTreeMap::from([(resource("r-a"), &spec)]);
            let machines: BTreeMap<ResourceId, &Machine> = BTreeMap::from([(resource("vm-m"), &on)]);
            let started = Started {
                manifest: &manifest,
                replicas: &replicas,
                machines: &machines,
            };
            let planned = for_planning(&manifest, &there, &drift(&started, &seen));
            let placement = place(&manifest, &planned, |_| 4, |_| String::from("m"));
            let plan = plan(&manifest, &placement, &planned).unwrap();
            let corrects = policy == DriftPolicy::Correct && field.has_policy();
            assert_eq!(!plan.is_empty(), corrects, "{field} {policy:?}: {plan}");
        }
    }
}
