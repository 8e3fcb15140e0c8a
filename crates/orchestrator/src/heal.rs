//! Which sick replicas are replaced now, which later, and which no more.
//!
//! A decision and no loop: whoever asks twice at the same time gets the same answer, and whoever stores the history that
//! comes with it can never replace more than the budget allows, however sick the world is.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Manifest, ReplicaId, ReplicaState, RetryDecision, RetryPolicy, Snapshot, Timestamp};

use crate::plan::jobs;

/// Version of the persisted form of [`HealHistory`].
pub const HEAL_VERSION: u32 = 1;

/// How eagerly replicas are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HealPolicy {
    /// Time from one replacement of a replica to the next, and how many replacements without a stable time between them
    /// before it is given up.
    pub backoff: RetryPolicy,
    /// Replacements of all replicas together within `window`, at most.
    pub budget: u32,
    /// Length of the window.
    pub window: Duration,
    /// A replica that was well for this long starts anew: earlier replacements do not count.
    pub stable_after: Duration,
    /// A replica that cannot be found is replaced after this long: lost contact is not death. One that has failed is
    /// replaced at once.
    pub lost_after: Duration,
}

impl HealPolicy {
    /// Five replacements of one replica from 1 s to 5 min apart; 20 replacements in 10 minutes; stable after 10 minutes;
    /// lost after 30 s.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            backoff: RetryPolicy::new(6, Duration::from_secs(1), Duration::from_secs(300)),
            budget: 20,
            window: Duration::from_secs(600),
            stable_after: Duration::from_secs(600),
            lost_after: Duration::from_secs(30),
        }
    }

    /// The same with this backoff.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: RetryPolicy) -> Self {
        self.backoff = backoff;
        self
    }

    /// The same with at most `budget` replacements in each `window`.
    #[must_use]
    pub const fn with_budget(mut self, budget: u32, window: Duration) -> Self {
        (self.budget, self.window) = (budget, window);
        self
    }

    /// The same with this stable time.
    #[must_use]
    pub const fn with_stable_after(mut self, stable_after: Duration) -> Self {
        self.stable_after = stable_after;
        self
    }

    /// The same with this patience with lost replicas.
    #[must_use]
    pub const fn with_lost_after(mut self, lost_after: Duration) -> Self {
        self.lost_after = lost_after;
        self
    }
}

impl Default for HealPolicy {
    /// [`HealPolicy::new`].
    fn default() -> Self {
        Self::new()
    }
}

/// What was replaced and when. Bounded by the manifest's replicas and the budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealHistory {
    /// Version of the form, [`HEAL_VERSION`].
    version: u32,
    /// The latest time a decision was made at; a clock that goes backwards does not free any budget.
    latest: Timestamp,
    replicas: BTreeMap<ReplicaId, Course>,
    /// Replacements within the last window, oldest first.
    recent: VecDeque<Timestamp>,
}

/// The course of one replica's sickness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Course {
    /// Since when it is sick.
    sick_since: Option<Timestamp>,
    /// Since when it is well, after a replacement.
    well_since: Option<Timestamp>,
    /// Replacements since it was last stable.
    replaced: u32,
    /// The last of them.
    replaced_at: Option<Timestamp>,
}

impl HealHistory {
    /// Nothing was ever replaced.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            version: HEAL_VERSION,
            latest: Timestamp::from_micros(i64::MIN),
            replicas: BTreeMap::new(),
            recent: VecDeque::new(),
        }
    }

    /// Replacements of a replica since it was last stable.
    #[must_use]
    pub fn replacements(&self, replica: &ReplicaId) -> u32 {
        self.replicas.get(replica).map_or(0, |course| course.replaced)
    }
}

impl Default for HealHistory {
    /// [`HealHistory::new`].
    fn default() -> Self {
        Self::new()
    }
}

/// What is wrong with a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sickness {
    /// Its health check fails.
    Unhealthy,
    /// It ended with a failure.
    Failed,
    /// It ended with success, but its service is no job.
    Ended,
    /// It cannot be found.
    Lost,
}

/// Why a replacement has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitReason {
    /// It was replaced too shortly before.
    Backoff,
    /// Too many replicas were replaced within the window.
    Budget,
    /// It may only be out of sight.
    OutOfSight,
}

/// What is to be done about one sick replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum HealAction {
    /// Plan and apply now: the plan replaces it.
    Replace {
        /// Which.
        replica: ReplicaId,
        /// What is wrong with it.
        sickness: Sickness,
        /// Which replacement it is since the replica was last stable, from 1.
        replacement: u32,
    },
    /// Leave it alone until then.
    Wait {
        /// Which.
        replica: ReplicaId,
        /// What is wrong with it.
        sickness: Sickness,
        /// When to ask again.
        until: Timestamp,
        /// Why.
        because: WaitReason,
    },
    /// Leave it alone and tell somebody: replacing does not help.
    GiveUp {
        /// Which.
        replica: ReplicaId,
        /// What is wrong with it.
        sickness: Sickness,
        /// How often it was replaced in vain.
        replacements: u32,
    },
}

impl HealAction {
    /// The replica it is about.
    #[must_use]
    pub const fn replica(&self) -> &ReplicaId {
        match self {
            Self::Replace { replica, .. } | Self::Wait { replica, .. } | Self::GiveUp { replica, .. } => replica,
        }
    }
}

/// A decision, to be stored before it is acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealDecision {
    /// One entry per sick replica, sorted by replica.
    pub actions: Vec<HealAction>,
    /// The history with this decision in it: what the next one needs.
    pub history: HealHistory,
    /// When to ask again at the latest, if nothing happens before.
    pub ask_again: Option<Timestamp>,
}

impl HealDecision {
    /// The replicas to replace now, sorted.
    pub fn replacements(&self) -> impl Iterator<Item = &ReplicaId> {
        let replace = |action: &&HealAction| matches!(action, HealAction::Replace { .. });
        self.actions.iter().filter(replace).map(HealAction::replica)
    }
}

/// Decides over every replica that the manifest asks for. Of several sick ones, those that are sick for longest come
/// first where the budget is short. Replicas that the manifest does not ask for are forgotten.
///
/// Ask when no plan is being carried out: a replacement that is still under way looks like one that did not help.
///
/// ```
/// use skyloom_core::{Manifest, Snapshot, Timestamp};
/// use skyloom_orchestrator::{HealAction, HealHistory, HealPolicy, heal};
///
/// let text = r#"
/// version = 1
/// name = "shop"
/// [[service]]
/// name = "web"
/// replicas = 1
/// resources = { cpu = "1", memory = "1GiB" }
/// run = { command = ["web"] }
/// "#;
/// let manifest = Manifest::parse(text, "shop.toml")?;
/// let nothing_there = Snapshot::empty(1, Timestamp::EPOCH);
/// let (history, policy) = (HealHistory::new(), HealPolicy::new());
/// let first = heal(&manifest, &nothing_there, &history, &policy, Timestamp::EPOCH);
/// assert!(matches!(first.actions[0], HealAction::Wait { .. })); // it may only be out of sight
/// let later = first.ask_again.expect("a wait ends");
/// let second = heal(&manifest, &nothing_there, &first.history, &policy, later);
/// assert!(matches!(second.actions[0], HealAction::Replace { replacement: 1, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn heal(
    manifest: &Manifest,
    snapshot: &Snapshot,
    history: &HealHistory,
    policy: &HealPolicy,
    now: Timestamp,
) -> HealDecision {
    let now = now.max(history.latest);
    let mut next = HealHistory {
        version: HEAL_VERSION,
        latest: now,
        replicas: BTreeMap::new(),
        recent: history.recent.clone(),
    };
    while next
        .recent
        .front()
        .is_some_and(|at| now.saturating_since(*at) >= policy.window)
    {
        next.recent.pop_front();
    }
    let mut sick: Vec<(Timestamp, ReplicaId, Sickness)> = Vec::new();
    for (replica, sickness) in condition_of_all(manifest, snapshot) {
        let before = history.replicas.get(&replica).copied().unwrap_or_default();
        let course = before.observe(sickness, policy, now);
        if let (Some(sickness), Some(since)) = (sickness, course.sick_since) {
            sick.push((since, replica.clone(), sickness));
        }
        if course != Course::default() {
            next.replicas.insert(replica, course);
        }
    }
    sick.sort();
    let mut actions: Vec<HealAction> = sick
        .into_iter()
        .map(|(since, replica, sickness)| next.decide(replica, sickness, since, policy, now))
        .collect();
    actions.sort_by(|a, b| a.replica().cmp(b.replica()));
    let times = actions.iter().filter_map(|action| match action {
        HealAction::Wait { until, .. } => Some(*until),
        HealAction::Replace { .. } | HealAction::GiveUp { .. } => None,
    });
    HealDecision {
        ask_again: times.min(),
        actions,
        history: next,
    }
}

impl Course {
    fn observe(mut self, sickness: Option<Sickness>, policy: &HealPolicy, now: Timestamp) -> Self {
        if sickness.is_some() {
            self.well_since = None;
            self.sick_since.get_or_insert(now);
            return self;
        }
        self.sick_since = None;
        if self.replaced == 0 {
            return Self::default();
        }
        let since = *self.well_since.get_or_insert(now);
        if now.saturating_since(since) >= policy.stable_after {
            return Self::default();
        }
        self
    }
}

impl HealHistory {
    fn decide(
        &mut self,
        replica: ReplicaId,
        sickness: Sickness,
        since: Timestamp,
        policy: &HealPolicy,
        now: Timestamp,
    ) -> HealAction {
        let course = self.replicas.entry(replica.clone()).or_default();
        let mut earliest = since;
        let mut because = WaitReason::Backoff;
        if let Some(at) = course.replaced_at {
            match policy.backoff.decide(course.replaced, Class::Transient, 0) {
                RetryDecision::After(wait) => earliest = at.saturating_add(wait),
                RetryDecision::GiveUp => {
                    return HealAction::GiveUp {
                        replica,
                        sickness,
                        replacements: course.replaced,
                    };
                }
            }
        }
        if sickness == Sickness::Lost && since.saturating_add(policy.lost_after) > earliest {
            (earliest, because) = (since.saturating_add(policy.lost_after), WaitReason::OutOfSight);
        }
        let spent = self.recent.len() >= policy.budget as usize;
        if earliest <= now && spent {
            let oldest = self.recent.front().copied().unwrap_or(now);
            (earliest, because) = (oldest.saturating_add(policy.window), WaitReason::Budget);
        } else if earliest <= now {
            course.replaced = course.replaced.saturating_add(1);
            course.replaced_at = Some(now);
            // The new one begins a course of its own: it is out of sight, or sick, from its own time on.
            course.sick_since = None;
            self.recent.push_back(now);
            return HealAction::Replace {
                replacement: course.replaced,
                replica,
                sickness,
            };
        }
        HealAction::Wait {
            replica,
            sickness,
            until: earliest,
            because,
        }
    }
}

/// Every wanted replica with what is wrong with it; of several things of one name the best counts.
fn condition_of_all(manifest: &Manifest, snapshot: &Snapshot) -> BTreeMap<ReplicaId, Option<Sickness>> {
    let mut states: BTreeMap<&ReplicaId, Vec<ReplicaState>> = BTreeMap::new();
    for observed in &snapshot.replicas {
        states.entry(&observed.replica).or_default().push(observed.state);
    }
    let jobs = jobs(manifest);
    let mut all = BTreeMap::new();
    for service in &manifest.services {
        let job = jobs.contains(&service.name);
        for index in 0..service.replicas.get() {
            let replica = ReplicaId::new(service.name.clone(), index);
            let there = states.get(&replica).map_or(&[][..], Vec::as_slice);
            // `None`, well, is the least.
            let best = there.iter().map(|state| sickness_of(*state, job)).min();
            all.insert(replica, best.unwrap_or(Some(Sickness::Lost)));
        }
    }
    all
}

const fn sickness_of(state: ReplicaState, job: bool) -> Option<Sickness> {
    match state {
        ReplicaState::Pending | ReplicaState::Started | ReplicaState::Healthy => None,
        ReplicaState::Completed if job => None,
        ReplicaState::Completed => Some(Sickness::Ended),
        ReplicaState::Unhealthy => Some(Sickness::Unhealthy),
        ReplicaState::Failed => Some(Sickness::Failed),
        ReplicaState::Lost => Some(Sickness::Lost),
    }
}
