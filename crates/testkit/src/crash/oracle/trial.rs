//! What the journal says of gates and floors, by arithmetic of its own: how long new replicas are to be watched, what waits
//! for that, and how many of each service have to run at any time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Invariant;
use super::Oracle;
use super::book::{list, text};
use super::ledger::Thing;
use crate::crash::script::NO_GOOD;

/// A gate of the plan.
#[derive(Debug, Clone, Default)]
struct GateView {
    length_micros: i64,
    is_judged: bool,
    /// What it watches.
    watched: Vec<u64>,
    opened_at: Option<i64>,
}

/// What the plan in the journal says of gates and forms.
#[derive(Debug, Clone, Default)]
pub(super) struct TrialView {
    gates: BTreeMap<u64, GateView>,
    passed: BTreeSet<u64>,
    /// Gates that were passed since the last look.
    fresh: Vec<u64>,
    /// Per creation: the gates that it waits for, and what it starts.
    waits: BTreeMap<u64, (Vec<u64>, String)>,
    by_token: BTreeMap<String, u64>,
    /// The manifest, and what its services run.
    pub(super) manifest: String,
    pub(super) forms: BTreeMap<String, String>,
    /// Replicas and how many of them may be missing.
    sizes: BTreeMap<String, (u64, u64)>,
    jobs: BTreeSet<String>,
}

impl TrialView {
    pub(super) fn new(plan: &Value, manifest: &Value) -> Self {
        let mut view = Self::of_manifest(manifest);
        for step in list(&plan["steps"]) {
            let id = step["id"].as_u64().unwrap_or_default();
            let action = &step["action"];
            if action["kind"] == "gate" {
                view.gates.insert(id, gate(&action["gate"]));
            } else if action["kind"] == "create-replica" {
                let after = list(&step["after"]).iter().filter_map(|after| after["step"].as_u64());
                let gates = after.filter(|step| view.gates.contains_key(step)).collect();
                view.waits.insert(id, (gates, action["spec"]["run"].to_string()));
            }
        }
        view
    }

    pub(super) fn of_manifest(manifest: &Value) -> Self {
        let mut view = Self {
            manifest: manifest.to_string(),
            ..Self::default()
        };
        for service in list(&manifest["services"]) {
            let name = text(&service["name"]);
            let replicas = service["replicas"].as_u64().unwrap_or_default();
            let missing = service["rollout"]["max_unavailable"].as_u64().unwrap_or_default();
            view.forms.insert(name.clone(), service["run"].to_string());
            view.sizes.insert(name, (replicas, missing));
            let completed = list(&service["depends_on"])
                .iter()
                .filter(|d| d["condition"] == "completed");
            view.jobs.extend(completed.map(|d| text(&d["service"])));
        }
        view
    }

    /// A record of the journal.
    pub(super) fn record(&mut self, kind: &str, record: &Value) {
        let step = record["step"].as_u64().unwrap_or_default();
        match kind {
            "intent" => drop(self.by_token.insert(text(&record["token"]), step)),
            "gate-opened" => {
                if let Some(gate) = self.gates.get_mut(&step) {
                    gate.opened_at = record["at"].as_i64();
                }
            }
            "passed" => {
                self.passed.insert(step);
                self.fresh.push(step);
            }
            _ => {}
        }
    }

    fn size(&self, service: &str) -> Option<(u64, u64)> {
        self.sizes.get(service).copied()
    }
}

fn gate(gate: &Value) -> GateView {
    let micros = |time: &Value| {
        let (secs, nanos) = (time["secs"].as_i64(), time["nanos"].as_i64());
        secs.unwrap_or_default() * 1_000_000 + nanos.unwrap_or_default() / 1_000
    };
    let analysis = list(&gate["analysis"]);
    let measured = analysis.iter().map(|analysis| {
        let (over, interval) = (micros(&analysis["over"]), micros(&analysis["interval"]).max(1));
        (over / interval).max(1) * interval
    });
    GateView {
        length_micros: measured.chain([micros(&gate["hold"])]).max().unwrap_or_default(),
        is_judged: !analysis.is_empty(),
        watched: list(&gate["watched"]).iter().filter_map(Value::as_u64).collect(),
        opened_at: None,
    }
}

impl Oracle {
    /// I6: a gate is passed when its time is over, and not when what is measured says no.
    pub(super) fn gates(&mut self, now_micros: i64) {
        for step in std::mem::take(&mut self.book.trial.fresh) {
            let Some(gate) = self.book.trial.gates.get(&step).cloned() else {
                continue;
            };
            let early = gate.opened_at.is_none_or(|at| now_micros - at < gate.length_micros);
            if early {
                self.blame(Invariant::I6, format!("gate {step} was passed before its time"));
            }
            let form = |step: &u64| self.book.trial.waits.get(step).map(|(_, form)| form.as_str());
            let no_good = gate.watched.iter().filter_map(form).any(|form| form.contains(NO_GOOD));
            if gate.is_judged && self.metric_is_bad && no_good {
                let why = format!("gate {step} was passed though its metric is bad");
                self.blame(Invariant::I6, why);
            }
        }
    }

    /// I4: what waits for a gate comes when that is passed, and what a plan creates is what it says.
    pub(super) fn behind_gates(&mut self, thing: &mut Thing) {
        let trial = &self.book.trial;
        let Some((gates, form)) = trial.by_token.get(&thing.token).and_then(|step| trial.waits.get(step)) else {
            return;
        };
        thing.form.clone_from(form);
        if let Some(gate) = gates.iter().find(|gate| !trial.passed.contains(gate)) {
            let why = format!("{} came before gate {gate} was passed", thing.name);
            self.blame(Invariant::I4, why);
        }
    }

    /// I6: never fewer than `replicas - max_unavailable` of a service run, but for what breaks down by itself. Where the
    /// plan says that there is no room for two, one more may be missing; what it says has to make room goes as it must.
    pub(super) fn floor(&mut self, id: &str, gone: &Thing) {
        let plan = &self.book.plan;
        let (service, index) = parts(&gone.name);
        let (trial, before) = (&self.book.trial, &self.shelf.trial);
        let (Some((new, missing)), Some((old, _))) = (trial.size(service), before.size(service)) else {
            return;
        };
        let (counted, is_job) = (
            new.min(old),
            trial.jobs.contains(service) || before.jobs.contains(service),
        );
        let broken = self.ledger.broken.iter().any(|name| parts(name).0 == service);
        if plan.makes_room.contains(id) || !gone.running || is_job || broken || index >= counted {
            return;
        }
        let no_room = plan.old_first.iter().any(|name| parts(name).0 == service);
        let floor = counted.saturating_sub(missing.max(u64::from(no_room)));
        // Undoing need not keep what did not run before.
        let ran = |index: &u64| self.ledger.ran_before.contains(&format!("{service}/{index}"));
        let undone = self.book.undoing && gone.plan == plan.number;
        let floor = if undone {
            floor.min((0..counted).filter(ran).count() as u64)
        } else {
            floor
        };
        let runs = |index: &u64| {
            let name = format!("{service}/{index}");
            self.ledger.of(&name).any(|thing| thing.running)
        };
        let running = (0..counted).filter(runs).count() as u64;
        if running < floor && !runs(&index) {
            let why = format!("{} was removed: {running} of {service} run, {floor} have to", gone.name);
            self.blame(Invariant::I6, why);
        }
    }

    /// I6: the plan after one that failed leads back, unless undoing has brought everything back already.
    pub(super) fn back_again(&mut self) {
        let Some(expected) = self.expected_back.take() else {
            return;
        };
        if self.book.trial.manifest == expected.manifest || !self.is_displaced(&expected) {
            return;
        }
        let why = String::from("after a plan that failed the next one does not lead back");
        self.blame(Invariant::I6, why);
    }

    /// Whether something that `wanted` asks for is not there in its form.
    fn is_displaced(&self, wanted: &TrialView) -> bool {
        let servers = wanted
            .sizes
            .iter()
            .filter(|(service, _)| !wanted.jobs.contains(*service));
        let mut names = servers.flat_map(|(service, (replicas, _))| (0..*replicas).map(move |i| (service, i)));
        names.any(|(service, i)| {
            let form = &wanted.forms[service];
            !self
                .ledger
                .of(&format!("{service}/{i}"))
                .any(|thing| thing.form == *form)
        })
    }

    /// A plan has ended: whether it is to be followed by a way back.
    pub(super) fn ended(&mut self, outcome: &str) {
        let other = self.book.trial.manifest != self.shelf.trial.manifest;
        let failed = outcome == "rolled-back" && !self.book.plan.teardown;
        if failed && other && self.shelf.is_up && !self.shelf.trial.sizes.is_empty() {
            self.expected_back = Some(self.shelf.trial.clone());
        }
    }

    /// I5, I6: what runs at rest is of the generation that is wanted.
    pub(super) fn of_the_wanted_form(&mut self, manifest: &Value, refused: bool) {
        let wanted = TrialView::of_manifest(manifest);
        let other = self.ledger.alive().find(|(_, thing)| {
            let (service, _) = parts(&thing.name);
            let form = wanted.forms.get(service);
            let is_job = wanted.jobs.contains(service);
            !is_job && form.is_some_and(|form| *form != thing.form)
        });
        if let Some(name) = other.map(|(_, thing)| thing.name.clone()) {
            let invariant = if refused { Invariant::I6 } else { Invariant::I5 };
            self.blame(invariant, format!("{name} is not of the generation that is wanted"));
        }
    }
}

fn parts(replica: &str) -> (&str, u64) {
    let (service, index) = replica.split_once('/').unwrap_or((replica, "0"));
    (service, index.parse().unwrap_or_default())
}
