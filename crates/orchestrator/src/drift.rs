//! What was changed from outside, found in one scan, and what follows from each change.
//!
//! A pure comparison: what was started against what a provider shows now. What a driver cannot observe is never a change.
//! Correcting is not done here: the corrected snapshot makes the next plan replace what has changed, within the bounds of
//! its rollout, as it would for a new form of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Attributes, Digest, DriftField, DriftPolicy, EnvValue, Machine, Manifest, ReplicaSpec, ReplicaState, ResourceId,
    ServiceName, Snapshot, TemplatePart, parse_template,
};

use crate::plan::jobs;

/// The tag by which a thing carries our name for it, where a provider has tags.
pub const TAG_NAME: &str = "skyloom-name";

/// A thing as a provider shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenThing {
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Our name for it.
    pub name: String,
    /// Whether it carries our owner tag.
    pub is_ours: bool,
    /// How it is.
    pub condition: SeenCondition,
    /// What else is shown.
    pub attributes: Attributes,
}

/// How a thing is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenCondition {
    /// It runs, or is about to.
    Up,
    /// It was stopped, or taken back.
    Stopped,
    /// Its program ended with success.
    Completed,
    /// Its program ended otherwise.
    Ended,
}

/// What was started, as the state knows it.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// The manifest in force: its policies hold.
    pub manifest: &'a Manifest,
    /// Replicas by what the provider calls them.
    pub replicas: &'a BTreeMap<ResourceId, &'a ReplicaSpec>,
    /// Machines by what the provider calls them.
    pub machines: &'a BTreeMap<ResourceId, &'a Machine>,
}

/// One change from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Drift {
    /// The replica or machine, by our name.
    pub name: String,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// What has changed.
    pub field: DriftField,
    /// How it was started.
    pub want: String,
    /// How it is.
    pub have: String,
    /// What follows.
    pub policy: DriftPolicy,
}

/// Every change from outside that somebody is to be told of, sorted; those of ignored fields are none. Things that nobody
/// started and things of others are always only reported, and so are machines: another size would move all that is on
/// them. Linear in things and their attributes.
#[must_use]
pub fn drift(started: &Started<'_>, seen: &[SeenThing]) -> Vec<Drift> {
    let by_id: BTreeMap<&ResourceId, &SeenThing> = seen.iter().map(|thing| (&thing.resource, thing)).collect();
    let jobs = jobs(started.manifest);
    let mut all = Vec::new();
    for (resource, spec) in started.replicas {
        let changes = match by_id.get(resource) {
            None => vec![missing()],
            Some(thing) if !thing.is_ours => vec![another()],
            Some(thing) => of_replica(spec, thing, jobs.contains(spec.replica.service())),
        };
        let service = spec.replica.service();
        all.extend(changes.into_iter().map(|(field, want, have)| Drift {
            name: spec.replica.to_string(),
            resource: resource.clone(),
            policy: policy_of(started.manifest, service, field),
            field,
            want,
            have,
        }));
    }
    for (resource, machine) in started.machines {
        let changes = match by_id.get(resource) {
            None => vec![missing()],
            Some(thing) if !thing.is_ours => vec![another()],
            Some(thing) => of_machine(machine, thing),
        };
        all.extend(changes.into_iter().map(|(field, want, have)| Drift {
            name: machine.id.to_string(),
            resource: resource.clone(),
            field,
            want,
            have,
            policy: DriftPolicy::Report,
        }));
    }
    let known = |id: &ResourceId| started.replicas.contains_key(id) || started.machines.contains_key(id);
    all.extend(
        seen.iter()
            .filter(|t| t.is_ours && !known(&t.resource))
            .map(|thing| Drift {
                name: thing.name.clone(),
                resource: thing.resource.clone(),
                field: DriftField::Extra,
                want: String::from("nothing"),
                have: String::from("a thing that no plan has made"),
                policy: DriftPolicy::Report,
            }),
    );
    all.retain(|drift| drift.policy != DriftPolicy::Ignore);
    all.sort();
    all
}

/// What a service says of a field; [`DriftPolicy::Correct`] where it says nothing, [`DriftPolicy::Report`] for fields that
/// nobody may correct.
#[must_use]
pub fn policy_of(manifest: &Manifest, service: &ServiceName, field: DriftField) -> DriftPolicy {
    if !field.has_policy() {
        return DriftPolicy::Report;
    }
    let said = manifest.service(service).and_then(|service| service.drift.get(&field));
    said.copied().unwrap_or_default()
}

/// The snapshot as plans are made from it: what has changed and is to be corrected counts as out of date; what is missing
/// or has ended and is only reported or ignored, and what is another's, counts as it was, so that no plan touches it.
#[must_use]
pub fn for_planning(manifest: &Manifest, snapshot: &Snapshot, drifts: &[Drift]) -> Snapshot {
    let in_place = |drift: &&Drift| !matches!(drift.field, DriftField::Missing | DriftField::State);
    let correct = drifts.iter().filter(|drift| drift.policy == DriftPolicy::Correct);
    let outdated: BTreeSet<&ResourceId> = correct.filter(in_place).map(|drift| &drift.resource).collect();
    let others = drifts.iter().filter(|drift| drift.field == DriftField::Owner);
    let others: BTreeSet<&ResourceId> = others.map(|drift| &drift.resource).collect();
    let mut planned = snapshot.clone();
    for observed in &mut planned.replicas {
        let field = match observed.state {
            ReplicaState::Lost => DriftField::Missing,
            _ => DriftField::State,
        };
        let policy = policy_of(manifest, observed.replica.service(), field);
        let is_down = matches!(observed.state, ReplicaState::Lost | ReplicaState::Failed);
        if others.contains(&observed.resource) || is_down && policy != DriftPolicy::Correct {
            observed.state = ReplicaState::Healthy;
        }
        if outdated.contains(&observed.resource) {
            observed.spec = Digest::of(&("changed from outside", observed.spec));
        }
    }
    planned
}

/// A change: the field, how it was started, how it is.
type Change = (DriftField, String, String);

fn missing() -> Change {
    (DriftField::Missing, String::from("there"), String::from("gone"))
}

fn another() -> Change {
    (DriftField::Owner, String::from("ours"), String::from("another's"))
}

fn of_replica(spec: &ReplicaSpec, thing: &SeenThing, is_job: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut differ = |field, want: String, have: String| {
        if want != have {
            changes.push((field, want, have));
        }
    };
    let condition = match thing.condition {
        SeenCondition::Completed if is_job => SeenCondition::Up,
        condition => condition,
    };
    differ(DriftField::State, text(&SeenCondition::Up), text(&condition));
    let seen = &thing.attributes;
    if let (Some(image), Some(want)) = (&seen.image, &spec.run.image) {
        differ(DriftField::Image, want.clone(), image.clone());
    }
    if let Some(command) = &seen.command {
        differ(DriftField::Command, text(&spec.run.command), text(command));
    }
    if let Some(env) = &seen.env {
        let (want, have) = environments(spec, env);
        differ(DriftField::Env, text(&want), text(&have));
    }
    if let Some(tags) = &seen.tags {
        let have = tags.get(TAG_NAME).cloned().unwrap_or_default();
        differ(DriftField::Tags, spec.replica.to_string(), have);
    }
    if let Some(request) = &seen.request {
        differ(DriftField::Size, text(&spec.request), text(request));
    }
    changes
}

fn of_machine(machine: &Machine, thing: &SeenThing) -> Vec<Change> {
    let mut changes = Vec::new();
    if thing.condition != SeenCondition::Up {
        changes.push((DriftField::State, text(&SeenCondition::Up), text(&thing.condition)));
    }
    if let Some(instance) = thing.attributes.instance.as_ref().filter(|i| **i != machine.instance) {
        changes.push((DriftField::Size, machine.instance.to_string(), instance.to_string()));
    }
    if let Some(tags) = &thing.attributes.tags {
        let have = tags.get(TAG_NAME).cloned().unwrap_or_default();
        if have != machine.id.to_string() {
            changes.push((DriftField::Tags, machine.id.to_string(), have));
        }
    }
    changes
}

/// The variables that were set, as they were and as they are. Values that are secret, rendered at start, or not shown are
/// compared by being there only; variables that others add are no change.
fn environments(
    spec: &ReplicaSpec,
    seen: &BTreeMap<String, Option<String>>,
) -> (BTreeMap<String, Option<String>>, BTreeMap<String, Option<String>>) {
    let plain = |value: &EnvValue| match value {
        EnvValue::Text(text) => parse_template(text).ok().and_then(|parts| match parts.as_slice() {
            [] => Some(String::new()),
            [TemplatePart::Text(text)] => Some(text.clone()),
            _ => None,
        }),
        EnvValue::Secret(_) => None,
    };
    let mut want = BTreeMap::new();
    let mut have = BTreeMap::new();
    for (name, value) in &spec.run.env {
        let shown = seen.get(name);
        let compared = plain(value).filter(|_| shown.is_none_or(Option::is_some));
        if let Some(shown) = shown {
            have.insert(name.clone(), shown.clone().filter(|_| compared.is_some()));
        }
        want.insert(name.clone(), compared);
    }
    (want, have)
}

/// The words of a value, for people and for comparing.
fn text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}
