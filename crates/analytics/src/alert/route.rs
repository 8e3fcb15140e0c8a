//! Whom an alert goes to: a tree of routes, silences, and inhibitions.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::Timestamp;

use super::{Labels, Matcher, matcher};

/// A node of the routing tree. An alert goes down to the first child that matches, and on to the next ones where
/// [`Route::with_continue`] says so; where no child matches, the node itself takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Route {
    /// Name of the receiver (a webhook of the caller's).
    pub receiver: String,
    /// Which alerts; those of the root are not looked at.
    pub matchers: Vec<Matcher>,
    /// Labels that make a group; alerts of one group go out in one notification.
    pub group_by: Vec<String>,
    /// How the notifications of a group are timed.
    pub timing: Timing,
    /// Whether the routes after this one are tried as well.
    pub continues: bool,
    /// Tried in order.
    pub children: Vec<Route>,
}

/// When the notifications of a group go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// How long a new group waits for more of its alerts.
    pub wait: Duration,
    /// How often a group is looked at after that.
    pub interval: Duration,
    /// After how long an unchanged group is sent again.
    pub repeat: Duration,
}

impl Default for Timing {
    /// Alertmanager's: 30 s, 5 min, 4 h.
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            interval: Duration::from_secs(300),
            repeat: Duration::from_secs(4 * 3600),
        }
    }
}

/// Alerts that match are not sent for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// All of these must match.
    pub matchers: Vec<Matcher>,
    /// From then on,
    pub starts_at: Timestamp,
    /// until just before then.
    pub ends_at: Timestamp,
    /// Who and why.
    pub comment: String,
}

/// While a source fires, its targets are not sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inhibition {
    /// What fires (a whole cluster is down).
    pub source: Vec<Matcher>,
    /// What is then not news (one of its nodes is down).
    pub target: Vec<Matcher>,
    /// Labels in which source and target must agree; both lacking one is agreement.
    pub equal: Vec<String>,
}

impl Route {
    /// Takes everything, as one group, with the usual timing.
    #[must_use]
    pub fn new(receiver: impl Into<String>) -> Self {
        Self {
            receiver: receiver.into(),
            matchers: Vec::new(),
            group_by: Vec::new(),
            timing: Timing::default(),
            continues: false,
            children: Vec::new(),
        }
    }

    /// Only what matches.
    #[must_use]
    pub fn with_matchers(mut self, matchers: Vec<Matcher>) -> Self {
        self.matchers = matchers;
        self
    }

    /// Grouped by these labels, timed so.
    #[must_use]
    pub fn with_groups(mut self, group_by: &[&str], timing: Timing) -> Self {
        self.group_by = group_by.iter().map(|name| (*name).to_owned()).collect();
        self.timing = timing;
        self
    }

    /// The routes after this one are tried as well.
    #[must_use]
    pub const fn with_continue(mut self) -> Self {
        self.continues = true;
        self
    }

    /// With a further child.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// The routes that take an alert, each with its place in the tree (the positions of the children on the way).
    pub(super) fn takers<'a>(&'a self, labels: &Labels) -> Vec<(Vec<usize>, &'a Self)> {
        let mut takers = Vec::new();
        for (i, child) in self.children.iter().enumerate() {
            if matcher::all(&child.matchers, labels) {
                takers.extend(child.takers(labels).into_iter().map(|(mut place, route)| {
                    place.insert(0, i);
                    (place, route)
                }));
                if !child.continues {
                    break;
                }
            }
        }
        if takers.is_empty() {
            takers.push((Vec::new(), self));
        }
        takers
    }

    /// The route at a place, if the tree still has it.
    pub(super) fn at(&self, place: &[usize]) -> Option<&Self> {
        place.iter().try_fold(self, |route, i| route.children.get(*i))
    }
}

impl Silence {
    /// Whether it keeps this alert back now.
    #[must_use]
    pub fn covers(&self, labels: &Labels, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at && matcher::all(&self.matchers, labels)
    }
}

impl Inhibition {
    /// Whether `source`, which fires, keeps `target` back. What is source and target at once is not kept back by itself,
    /// nor by another one like it.
    pub(super) fn inhibits(&self, source: &Labels, target: &Labels) -> bool {
        let is_both = |labels: &Labels| matcher::all(&self.source, labels) && matcher::all(&self.target, labels);
        matcher::all(&self.source, source)
            && matcher::all(&self.target, target)
            && self.equal.iter().all(|name| source.get(name) == target.get(name))
            && !(is_both(source) && is_both(target))
    }
}
