//! From alerts to notifications: grouped, not repeated, held back where a silence or an inhibition says so.
//!
//! The rules when a group is sent are Alertmanager's (`notify.DedupStage`): something new fires, something that was told has
//! resolved, or nothing has changed for the time of repetition. Sending does not belong here: the caller posts what
//! [`Notifier::poll`] gives and may post it again when that fails.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use skyloom_core::Timestamp;

use super::payload::{Payload, Status, payload};
use super::route::{Inhibition, Route, Silence, Timing};
use super::{Alert, Labels};

/// Groups, and what was last told about each. Its whole state goes through serde: nothing is lost or told twice over a
/// restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notifier {
    root: Route,
    inhibitions: Vec<Inhibition>,
    silences: BTreeMap<u64, Silence>,
    silences_made: u64,
    groups: Vec<Group>,
}

/// A notification to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notification {
    /// The receiver of the route.
    pub receiver: String,
    /// The body of the webhook.
    pub payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Group {
    place: Vec<usize>,
    labels: Labels,
    alerts: Vec<Alert>,
    next_at: Timestamp,
    told: Option<Told>,
}

/// What was last sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    at: Timestamp,
    firing: BTreeSet<u64>,
    resolved: BTreeSet<u64>,
}

impl Notification {
    /// A body for a receiver.
    #[must_use]
    pub const fn new(receiver: String, payload: Payload) -> Self {
        Self { receiver, payload }
    }
}

impl Notifier {
    /// Nothing to tell yet.
    #[must_use]
    pub const fn new(root: Route, inhibitions: Vec<Inhibition>) -> Self {
        Self {
            root,
            inhibitions,
            silences: BTreeMap::new(),
            silences_made: 0,
            groups: Vec::new(),
        }
    }

    /// Adds a silence and gives its number.
    pub fn silence(&mut self, silence: Silence) -> u64 {
        self.silences_made += 1;
        self.silences.insert(self.silences_made, silence);
        self.silences_made
    }

    /// Ends a silence now; whether there was one of that number.
    pub fn unsilence(&mut self, number: u64) -> bool {
        self.silences.remove(&number).is_some()
    }

    /// Takes what an evaluation gave: alerts that fire are kept until they resolve.
    pub fn take(&mut self, alerts: &[Alert], now: Timestamp) {
        for alert in alerts {
            let takers: Vec<(Vec<usize>, Labels, Timing)> = self
                .root
                .takers(&alert.labels)
                .into_iter()
                .map(|(place, route)| (place, alert.labels.only(&route.group_by), route.timing))
                .collect();
            for (place, labels, timing) in takers {
                self.group(place, labels, timing, now).put(alert);
            }
        }
    }

    fn group(&mut self, place: Vec<usize>, labels: Labels, timing: Timing, now: Timestamp) -> &mut Group {
        let key = |group: &Group| (group.place.clone(), group.labels.clone());
        let at = match self.groups.binary_search_by_key(&(place.clone(), labels.clone()), key) {
            Ok(at) => at,
            Err(at) => {
                let next_at = now.saturating_add(timing.wait);
                let group = Group {
                    place,
                    labels,
                    alerts: Vec::new(),
                    next_at,
                    told: None,
                };
                self.groups.insert(at, group);
                at
            }
        };
        &mut self.groups[at]
    }

    /// When [`Notifier::poll`] has something to look at next.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Timestamp> {
        self.groups.iter().map(|group| group.next_at).min()
    }

    /// The notifications that are due, by place in the tree, then by labels of the group. Calling it more often than due
    /// gives nothing more.
    pub fn poll(&mut self, now: Timestamp) -> Vec<Notification> {
        self.silences.retain(|_, silence| now < silence.ends_at);
        let firing = self.sources();
        let mut notifications = Vec::new();
        for i in 0..self.groups.len() {
            if self.groups[i].next_at > now {
                continue;
            }
            let Some(route) = self.root.at(&self.groups[i].place) else {
                self.groups[i].alerts.clear();
                continue;
            };
            let (timing, receiver) = (route.timing, route.receiver.clone());
            let heard: Vec<Alert> = {
                let audible = |alert: &&Alert| !self.is_held_back(alert, &firing, now);
                self.groups[i].alerts.iter().filter(audible).cloned().collect()
            };
            let group = &mut self.groups[i];
            group.next_at = now.saturating_add(timing.interval);
            if group.is_news(&heard, timing, now) {
                let payload = payload(&receiver, &group.place, &group.labels, &heard);
                notifications.push(Notification { receiver, payload });
            }
            group.alerts.retain(|alert| alert.ends_at.is_none());
        }
        self.groups.retain(|group| !group.alerts.is_empty());
        notifications
    }

    /// Labels of everything that fires and could hold something back.
    fn sources(&self) -> Vec<Labels> {
        if self.inhibitions.is_empty() {
            return Vec::new();
        }
        let is_source = |labels: &&Labels| self.inhibitions.iter().any(|i| super::matcher::all(&i.source, labels));
        let firing = self
            .groups
            .iter()
            .flat_map(|group| &group.alerts)
            .filter(|alert| alert.ends_at.is_none());
        let sources: BTreeSet<&Labels> = firing.map(|alert| &alert.labels).filter(is_source).collect();
        sources.into_iter().cloned().collect()
    }

    fn is_held_back(&self, alert: &Alert, sources: &[Labels], now: Timestamp) -> bool {
        self.silences.values().any(|silence| silence.covers(&alert.labels, now))
            || self
                .inhibitions
                .iter()
                .any(|inhibition| sources.iter().any(|source| inhibition.inhibits(source, &alert.labels)))
    }
}

impl Group {
    fn put(&mut self, alert: &Alert) {
        match self.alerts.binary_search_by(|other| other.labels.cmp(&alert.labels)) {
            Ok(at) => self.alerts[at] = alert.clone(),
            Err(at) => self.alerts.insert(at, alert.clone()),
        }
    }

    /// Whether to tell, and then remembers that it was told.
    fn is_news(&mut self, heard: &[Alert], timing: Timing, now: Timestamp) -> bool {
        let of = |status: Status| {
            let same = heard.iter().filter(|alert| Status::of(alert) == status);
            same.map(|alert| alert.labels.fingerprint()).collect::<BTreeSet<u64>>()
        };
        let (firing, resolved) = (of(Status::Firing), of(Status::Resolved));
        let is_news = match &self.told {
            None => !firing.is_empty(),
            Some(told) if !firing.is_subset(&told.firing) => true,
            Some(told) if firing.is_empty() => !told.firing.is_empty() && !resolved.is_empty(),
            Some(told) => {
                let is_gone = resolved
                    .iter()
                    .any(|one| told.firing.contains(one) && !told.resolved.contains(one));
                is_gone || now.saturating_since(told.at) >= timing.repeat
            }
        };
        if is_news {
            self.told = Some(Told {
                at: now,
                firing,
                resolved,
            });
        }
        is_news
    }
}
