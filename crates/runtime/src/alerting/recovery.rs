//! What an alert leads to: a recovery that is proposed to people, or begun in somebody's name.
//!
//! Which alert asks for what is data; whether the somebody may is decided by access control when it is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use skyloom_analytics::alert::{Alert, Labels, Matcher};
use skyloom_core::Timestamp;
use skyloom_scheduler::RebalanceConfig;
use skyloom_security::access::Action;

/// A step of the embedder's own: start more replicas, drain a queue, page somebody.
#[async_trait]
pub trait OwnRemedy: Send + Sync + fmt::Debug {
    /// The right that it takes.
    fn action(&self) -> Action;

    /// Carries it out once. It may be asked again for a later alert, so doing it twice must do no harm; dropping the future
    /// may leave it half done.
    ///
    /// # Errors
    /// What went wrong, for the audit log.
    async fn act(&self, alert: &Alert) -> Result<(), String>;
}

/// What is done.
#[derive(Debug, Clone)]
pub enum Remedy {
    /// Lost and unhealthy replicas are replaced, within the healing policy.
    Heal,
    /// Replicas are moved to where there is room, if it pays.
    Rebalance(Box<RebalanceConfig>),
    /// Something of the embedder's own.
    Own(Arc<dyn OwnRemedy>),
}

impl Remedy {
    /// The right that it takes.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::Heal => Action::Heal,
            Self::Rebalance(_) => Action::Rebalance,
            Self::Own(own) => own.action(),
        }
    }
}

/// Whether a recovery waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is only told.
    Propose,
    /// It is begun, if the principal may.
    Trigger,
}

/// Which alerts lead to what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recovery {
    /// Its name, in events and in the audit log.
    pub name: String,
    /// All of these must match the alert's labels.
    pub select: Vec<Matcher>,
    /// What is done.
    pub remedy: Remedy,
    /// Whether it waits for a person.
    pub mode: Mode,
    /// How long it rests after it was begun, whatever fires meanwhile.
    pub rest: Duration,
}

impl Recovery {
    /// Proposed for alerts that match; ten minutes of rest.
    #[must_use]
    pub fn new(name: impl Into<String>, select: Vec<Matcher>, remedy: Remedy) -> Self {
        Self {
            name: name.into(),
            select,
            remedy,
            mode: Mode::Propose,
            rest: Duration::from_secs(600),
        }
    }

    /// Begun instead of proposed, at most once in `rest`.
    #[must_use]
    pub const fn triggered(mut self, rest: Duration) -> Self {
        (self.mode, self.rest) = (Mode::Trigger, rest);
        self
    }
}

/// Recoveries, and what they have answered already.
#[derive(Debug, Default)]
pub struct Recoveries {
    all: Vec<Recovery>,
    /// When each was begun last.
    begun: BTreeMap<usize, Timestamp>,
    /// Alerts that fire and were answered, by recovery.
    answered: BTreeSet<(usize, Labels)>,
}

/// One answer to one alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reaction {
    /// The recovery's name.
    pub recovery: String,
    /// The alert's name.
    pub alert: String,
    /// What came of it.
    pub ended: Ended,
}

/// What came of a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "ended", content = "detail")]
pub enum Ended {
    /// It waits for a person.
    Proposed,
    /// It was carried out.
    Done,
    /// The principal may not.
    Denied(String),
    /// It was begun and failed.
    Failed(String),
}

impl Recoveries {
    /// Tried in order; an alert may lead to several.
    #[must_use]
    pub const fn new(all: Vec<Recovery>) -> Self {
        Self {
            all,
            begun: BTreeMap::new(),
            answered: BTreeSet::new(),
        }
    }

    /// What these alerts ask for and has not been answered: each recovery once for each alert while it fires, and no
    /// triggered one while it rests. An alert that came while a recovery rested is answered afterwards, if it still fires.
    pub(crate) fn due(&mut self, alerts: &[Alert], now: Timestamp) -> Vec<(Recovery, Alert)> {
        let firing: BTreeSet<&Labels> = alerts
            .iter()
            .filter(|a| a.ends_at.is_none())
            .map(|a| &a.labels)
            .collect();
        self.answered.retain(|(_, labels)| firing.contains(labels));
        let mut due = Vec::new();
        for (i, recovery) in self.all.iter().enumerate() {
            for alert in alerts.iter().filter(|alert| alert.ends_at.is_none()) {
                let is_meant = recovery.select.iter().all(|matcher| matcher.matches(&alert.labels));
                let key = (i, alert.labels.clone());
                if !is_meant || self.answered.contains(&key) {
                    continue;
                }
                if recovery.mode == Mode::Trigger {
                    let last = self.begun.get(&i);
                    if last.is_some_and(|last| now.saturating_since(*last) < recovery.rest) {
                        continue;
                    }
                    self.begun.insert(i, now);
                }
                self.answered.insert(key);
                due.push((recovery.clone(), alert.clone()));
            }
        }
        due
    }
}
