//! Evaluating rules: pending, firing, resolved.
//!
//! The state machine is that of Prometheus (`rules/alerting.go`): an alert fires once its condition has held for
//! `hold_for` since the first evaluation that saw it, and resolves once it has not held for `keep_firing_for`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::labels::{ALERT_NAME, METRIC_NAME};
use super::rule::{Readings, Rule, SeriesId};
use super::{Labels, SeriesIndex};

/// The rules and what is active of them.
///
/// ```
/// use std::time::Duration;
/// use skyloom_analytics::alert::{Comparison, Condition, Engine, Labels, Matcher, Rule, SeriesIndex};
/// use skyloom_core::Timestamp;
///
/// let mut index = SeriesIndex::default();
/// index.insert(Labels::from_iter([("__name__", "queue"), ("job", "web")]));
/// let long = Condition::Value { is: Comparison::Above, than: 100.0 };
/// let rule = Rule::new("QueueLong", vec![Matcher::equal("__name__", "queue")], long)
///     .with_holds(Duration::from_secs(60), Duration::ZERO);
/// let mut engine = Engine::new(vec![rule])?;
/// let at = Timestamp::from_secs;
/// assert!(engine.evaluate(&index, [150.0].as_slice(), at(0)).is_empty()); // pending
/// assert!(engine.evaluate(&index, [150.0].as_slice(), at(60))[0].ends_at.is_none()); // firing
/// assert!(engine.evaluate(&index, [50.0].as_slice(), at(75))[0].ends_at.is_some()); // resolved
/// # Ok::<(), skyloom_analytics::alert::EngineError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    rules: Vec<Tracked>,
}

#[derive(Debug, Clone)]
struct Tracked {
    rule: Rule,
    /// The series selected so far, and how many of the index were looked at.
    series: Vec<SeriesId>,
    looked_at: usize,
    active: BTreeMap<SeriesId, Active>,
}

/// A condition that holds, or held a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Active {
    /// First evaluation that saw it hold.
    since: Timestamp,
    /// When it fired.
    fired: Option<Timestamp>,
    /// First evaluation since when it holds no more.
    gone: Option<Timestamp>,
}

/// An alert that fires, or has just resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// Labels of the series (without the name of its metric) and of the rule, and `alertname`.
    pub labels: Labels,
    /// The rule's, with the value as `value`.
    pub annotations: Labels,
    /// When it fired.
    pub starts_at: Timestamp,
    /// When it resolved; `None` while it fires.
    pub ends_at: Option<Timestamp>,
}

/// What is active, by names instead of numbers: outlives rules and an index that were put together anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineState(Vec<SavedAlert>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedAlert {
    rule: String,
    series: Labels,
    active: Active,
}

/// Why rules are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Two rules have one name, so their alerts could not be told apart.
    #[error("take two rules of the name `{name}`")]
    Twice {
        /// That name.
        name: String,
    },
}

impl EngineError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Engine {
    /// Rules of which nothing is active yet.
    ///
    /// # Errors
    /// [`EngineError::Twice`] when a name is repeated.
    pub fn new(rules: Vec<Rule>) -> Result<Self, EngineError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = rules.iter().find(|rule| !names.insert(rule.name.clone())) {
            return Err(EngineError::Twice {
                name: twice.name.clone(),
            });
        }
        let track = |rule| Tracked {
            rule,
            series: Vec::new(),
            looked_at: 0,
            active: BTreeMap::new(),
        };
        Ok(Self {
            rules: rules.into_iter().map(track).collect(),
        })
    }

    /// Evaluates every rule over every series that it selects, and gives every alert that fires or has just resolved,
    /// by rule, then by number of series. A series is looked up in the index once, when it is new. Where a condition cannot be
    /// told (no value), it does not hold.
    ///
    /// Cost: one condition per rule and selected series.
    pub fn evaluate<R: Readings + ?Sized>(&mut self, index: &SeriesIndex, readings: &R, now: Timestamp) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for tracked in &mut self.rules {
            tracked.evaluate(index, readings, now, &mut alerts);
        }
        alerts
    }

    /// Number of alerts that wait for their `hold_for`, and that fire.
    #[must_use]
    pub fn pending_and_firing(&self) -> (usize, usize) {
        let active = || self.rules.iter().flat_map(|tracked| tracked.active.values());
        let firing = active().filter(|active| active.fired.is_some()).count();
        (active().count() - firing, firing)
    }

    /// What is active, to be kept over a restart.
    #[must_use]
    pub fn save(&self, index: &SeriesIndex) -> EngineState {
        let of_rule = |tracked: &Tracked| {
            let saved = tracked.active.iter().filter_map(|(id, active)| {
                Some(SavedAlert {
                    rule: tracked.rule.name.clone(),
                    series: index.labels(*id)?.clone(),
                    active: *active,
                })
            });
            saved.collect::<Vec<_>>()
        };
        EngineState(self.rules.iter().flat_map(of_rule).collect())
    }

    /// Takes over what was active; alerts of rules that are gone are dropped, series that the index lacks are added.
    pub fn restore(&mut self, state: EngineState, index: &mut SeriesIndex) {
        for saved in state.0 {
            if let Some(tracked) = self.rules.iter_mut().find(|tracked| tracked.rule.name == saved.rule) {
                tracked.active.insert(index.insert(saved.series), saved.active);
            }
        }
    }
}

impl Tracked {
    fn evaluate<R: Readings + ?Sized>(
        &mut self,
        index: &SeriesIndex,
        readings: &R,
        now: Timestamp,
        alerts: &mut Vec<Alert>,
    ) {
        if self.looked_at < index.len() {
            self.series.extend(index.select(&self.rule.select, self.looked_at));
            self.looked_at = index.len();
        }
        for id in &self.series {
            let holds = self.rule.condition.holds(*id, readings) == Some(true);
            if !holds && self.active.is_empty() {
                continue;
            }
            let Some(next) = step(&self.rule, self.active.get(id).copied(), holds, now) else {
                continue;
            };
            if let Some(labels) = index.labels(*id)
                && let Some(starts_at) = next.active.fired
            {
                alerts.push(self.rule.alert(labels, readings.value(*id), starts_at, next.ends_at));
            }
            if next.is_over {
                self.active.remove(id);
            } else {
                self.active.insert(*id, next.active);
            }
        }
    }
}

/// Where an alert goes at one evaluation.
struct Next {
    active: Active,
    ends_at: Option<Timestamp>,
    is_over: bool,
}

/// `None`: nothing was and nothing is.
fn step(rule: &Rule, before: Option<Active>, holds: bool, now: Timestamp) -> Option<Next> {
    let fresh = Active {
        since: now,
        fired: None,
        gone: None,
    };
    let mut active = match before {
        Some(active) => active,
        None if holds => fresh,
        None => return None,
    };
    if holds {
        active.gone = None;
        if active.fired.is_none() && now.saturating_since(active.since) >= rule.hold_for {
            active.fired = Some(now);
        }
        return Some(Next {
            active,
            ends_at: None,
            is_over: false,
        });
    }
    let gone = *active.gone.get_or_insert(now);
    let is_kept = active.fired.is_some() && now.saturating_since(gone) < rule.keep_firing_for;
    Some(Next {
        active,
        ends_at: (!is_kept).then_some(now),
        is_over: !is_kept,
    })
}

impl Rule {
    fn alert(&self, series: &Labels, value: Option<f64>, starts_at: Timestamp, ends_at: Option<Timestamp>) -> Alert {
        let own = series.iter().filter(|(name, _)| *name != METRIC_NAME);
        let labels: Labels = own.chain(self.labels.iter()).collect();
        let value = value
            .filter(|value| value.is_finite())
            .map_or_else(String::new, |value| value.to_string());
        Alert {
            labels: labels.with(ALERT_NAME, self.name.as_str()),
            annotations: self.annotations.clone().with("value", value),
            starts_at,
            ends_at,
        }
    }
}
