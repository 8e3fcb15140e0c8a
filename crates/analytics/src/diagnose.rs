//! Diagnosis: when something alarms, who moved first, and what had just been changed there.
//!
//! Suspects are the services that the alarmed one depends on, directly or not, and itself. One is the more suspect the surer
//! it moved, the earlier, the nearer in the graph, and the less its movement is explained by a dependency of its own that
//! had moved before. That is a ranking for people who look next, not a proof: a correlation in time and the direction of
//! dependencies is all it knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{ServiceName, Timestamp};

/// A dependency further away counts this much less per hop.
const HOP_FACTOR: f64 = 0.9;
/// A movement that a dependency's earlier one explains counts this much.
const EXPLAINED_FACTOR: f64 = 0.3;
/// A change shortly before the movement makes it this much more suspect.
const CHANGED_FACTOR: f64 = 1.5;
/// Movements at the end of the time looked back over count this much less than those at its beginning.
const LATE_FACTOR: f64 = 0.5;

/// Who needs whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DependencyGraph(BTreeMap<ServiceName, BTreeSet<ServiceName>>);

/// A metric left what was expected of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    /// Of which service.
    pub service: ServiceName,
    /// Which metric.
    pub metric: String,
    /// The first value that did.
    pub at: Timestamp,
    /// The detector's score, 0..=1; other numbers are cut to that, NaN counts as 0.
    pub score: f64,
}

/// Somebody or something changed a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// Of which service.
    pub service: ServiceName,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ChangeKind,
    /// For people: which version, how many replicas.
    pub note: String,
}

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A new version or configuration.
    Deploy,
    /// More or fewer replicas.
    Scale,
    /// A machine is about to be taken back.
    SpotNotice,
    /// A machine failed or was replaced.
    NodeFailure,
}

/// A service and metric that may be where it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Suspect {
    /// The service.
    pub service: ServiceName,
    /// The metric.
    pub metric: String,
    /// When it moved.
    pub moved_at: Timestamp,
    /// How long before the alarm.
    pub before_alarm: Duration,
    /// Dependencies between it and the alarmed service; 0 for that one itself.
    pub hops: u32,
    /// A dependency of its own that moved before it and may explain it.
    pub explained_by: Option<ServiceName>,
    /// What was changed there within the time looked back over, before it moved, the latest first.
    pub changes: Vec<ChangeEvent>,
    /// What the ranking is by: 0 (none) to 1.5.
    pub suspicion: f64,
}

impl DependencyGraph {
    /// `service` needs `dependency`. Cycles are allowed.
    #[must_use]
    pub fn with(mut self, service: ServiceName, dependency: ServiceName) -> Self {
        self.0.entry(service).or_default().insert(dependency);
        self
    }

    fn dependencies(&self, service: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        self.0.get(service).into_iter().flatten()
    }

    /// Hops from a service to everything that it needs, itself included.
    fn hops_from(&self, service: &ServiceName) -> BTreeMap<ServiceName, u32> {
        let mut hops = BTreeMap::from([(service.clone(), 0)]);
        let mut queue = VecDeque::from([(service.clone(), 0_u32)]);
        while let Some((next, distance)) = queue.pop_front() {
            for dependency in self.dependencies(&next) {
                if !hops.contains_key(dependency) {
                    hops.insert(dependency.clone(), distance + 1);
                    queue.push_back((dependency.clone(), distance + 1));
                }
            }
        }
        hops
    }
}

/// The suspects for an alarm of `service` at `at`, the most suspect first (then the earliest, then by name), looking back over
/// `look_back`. Movements and changes outside of that time, and of services that the alarmed one does not need, are not
/// looked at; only the first movement of each metric counts.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::diagnose::{DependencyGraph, Movement, diagnose};
/// use skyloom_core::{ServiceName, Timestamp};
///
/// let name = |text: &str| text.parse::<ServiceName>();
/// let graph = DependencyGraph::default().with(name("web")?, name("api")?).with(name("api")?, name("db")?);
/// let moved = |service: &str, metric: &str, second| -> Result<Movement, skyloom_core::IdError> {
///     Ok(Movement { service: name(service)?, metric: metric.into(), at: Timestamp::from_secs(second), score: 0.8 })
/// };
/// let movements = [moved("web", "errors", 130)?, moved("api", "latency", 110)?, moved("db", "locks", 100)?];
/// let suspects = diagnose(&graph, &name("web")?, Timestamp::from_secs(140), Duration::from_secs(600), &movements, &[]);
/// assert_eq!(suspects[0].metric, "locks");
/// # Ok::<(), skyloom_core::IdError>(())
/// ```
#[must_use]
pub fn diagnose(
    graph: &DependencyGraph,
    service: &ServiceName,
    at: Timestamp,
    look_back: Duration,
    movements: &[Movement],
    changes: &[ChangeEvent],
) -> Vec<Suspect> {
    let hops = graph.hops_from(service);
    let is_recent = |when: Timestamp| when <= at && at.saturating_since(when) <= look_back;
    let mut first: BTreeMap<(&ServiceName, &str), &Movement> = BTreeMap::new();
    for movement in movements
        .iter()
        .filter(|m| is_recent(m.at) && hops.contains_key(&m.service))
    {
        let known = first.entry((&movement.service, &movement.metric)).or_insert(movement);
        if movement.at < known.at {
            *known = movement;
        }
    }
    let mut earliest: BTreeMap<&ServiceName, Timestamp> = BTreeMap::new();
    for movement in first.values() {
        let known = earliest.entry(&movement.service).or_insert(movement.at);
        *known = movement.at.min(*known);
    }
    let suspect = |movement: &&Movement| {
        let explains = |dependency: &&ServiceName| {
            **dependency != movement.service && earliest.get(*dependency).is_some_and(|when| *when < movement.at)
        };
        let explained_by = graph.dependencies(&movement.service).find(explains).cloned();
        let is_cause = |change: &&ChangeEvent| {
            change.service == movement.service && is_recent(change.at) && change.at <= movement.at
        };
        let mut changes: Vec<ChangeEvent> = changes.iter().filter(is_cause).cloned().collect();
        changes.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| (a.kind, &a.note).cmp(&(b.kind, &b.note))));
        let hops = hops.get(&movement.service).copied().unwrap_or(0);
        let before_alarm = at.saturating_since(movement.at);
        Suspect {
            service: movement.service.clone(),
            metric: movement.metric.clone(),
            moved_at: movement.at,
            before_alarm,
            hops,
            suspicion: suspicion(
                movement.score,
                before_alarm,
                look_back,
                hops,
                explained_by.is_some(),
                !changes.is_empty(),
            ),
            explained_by,
            changes,
        }
    };
    let mut suspects: Vec<Suspect> = first.values().map(suspect).collect();
    suspects.sort_by(|a, b| {
        let by_name = || (&a.service, &a.metric).cmp(&(&b.service, &b.metric));
        b.suspicion
            .total_cmp(&a.suspicion)
            .then(a.moved_at.cmp(&b.moved_at))
            .then_with(by_name)
    });
    suspects
}

fn suspicion(
    score: f64,
    before: Duration,
    look_back: Duration,
    hops: u32,
    is_explained: bool,
    is_changed: bool,
) -> f64 {
    let score = if score.is_nan() { 0.0 } else { score.clamp(0.0, 1.0) };
    let earliness = before.as_secs_f64() / look_back.as_secs_f64().max(f64::MIN_POSITIVE);
    let early = LATE_FACTOR + (1.0 - LATE_FACTOR) * earliness.clamp(0.0, 1.0);
    let near = libm::pow(HOP_FACTOR, f64::from(hops));
    let explained = if is_explained { EXPLAINED_FACTOR } else { 1.0 };
    let changed = if is_changed { CHANGED_FACTOR } else { 1.0 };
    score * early * near * explained * changed
}
