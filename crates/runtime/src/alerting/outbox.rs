//! Notifications on their way out: a bounded queue for each webhook, sent again while that may help.
//!
//! What waits is kept by group, and a newer notification of a group takes the place of an older one with what that one would
//! have resolved: a receiver that was away learns the present, not the past. Each webhook has a loop of its own, so one that
//! hangs delays nobody else. A receiver may get a body twice (its answer was lost) and tells by the alerts' fingerprints.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use skyloom_analytics::alert::{Notification, Payload};
use skyloom_core::{RetryDecision, RetryPolicy};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::http::{Bounds, HttpError, HttpUrl, post_json};

/// Groups that may wait for one webhook; the oldest is given up for a newer one.
pub const GROUPS_QUEUED_MAX: usize = 256;
/// What a receiver answers is only looked at for an error text.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where notifications of one receiver's name go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Webhook {
    /// The address.
    pub url: HttpUrl,
    /// How long an answer may take.
    pub within: Duration,
    /// When a body that was not taken is sent again, and when not any more.
    pub retry: RetryPolicy,
}

impl Webhook {
    /// An answer within ten seconds; again after 1, 2, 4 … s, at most five minutes apart, twenty times in all (about an
    /// hour).
    #[must_use]
    pub const fn new(url: HttpUrl) -> Self {
        Self {
            url,
            within: Duration::from_secs(10),
            retry: RetryPolicy::new(20, Duration::from_secs(1), Duration::from_secs(300)),
        }
    }

    /// The same with other patience.
    #[must_use]
    pub const fn with_patience(mut self, within: Duration, retry: RetryPolicy) -> Self {
        (self.within, self.retry) = (within, retry);
        self
    }
}

/// How often what has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct OutboxReport {
    /// Bodies that were taken.
    pub sent: u64,
    /// Attempts that failed and were repeated.
    pub retried: u64,
    /// Notifications that a newer one of their group replaced before they were sent.
    pub replaced: u64,
    /// Notifications given up: refused for good, tried too often, too many groups, or no such receiver.
    pub given_up: u64,
}

/// The queues of all webhooks.
#[derive(Debug)]
pub struct Outbox {
    lanes: BTreeMap<String, Lane>,
    report: Mutex<OutboxReport>,
}

#[derive(Debug)]
struct Lane {
    webhook: Webhook,
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// Oldest first, each group once.
    waiting: VecDeque<Payload>,
    /// What is being sent; it counts as unsent until it is taken.
    sending: Option<Payload>,
}

/// Whether a newer body took an older one's place, or an older one fell out.
#[derive(Debug, Default)]
struct Put {
    replaced: bool,
    fell_out: Option<Payload>,
}

impl Outbox {
    /// Webhooks by the names that routes have for them.
    #[must_use]
    pub fn new(webhooks: BTreeMap<String, Webhook>) -> Self {
        let lane = |(name, webhook)| {
            let lane = Lane {
                webhook,
                queue: Mutex::default(),
                news: Notify::new(),
            };
            (name, lane)
        };
        Self {
            lanes: webhooks.into_iter().map(lane).collect(),
            report: Mutex::default(),
        }
    }

    /// Queues a notification; never waits. One for a receiver without a webhook is given up at once, and said so.
    pub fn put(&self, notification: Notification) {
        let Notification { receiver, payload, .. } = notification;
        let Some(lane) = self.lanes.get(&receiver) else {
            tracing::warn!(receiver, "a notification has no webhook to go to");
            self.report().given_up += 1;
            return;
        };
        let put = lane.queue().put(payload);
        let mut report = self.report();
        report.replaced += u64::from(put.replaced);
        if let Some(payload) = put.fell_out {
            tracing::warn!(
                receiver,
                group = payload.group_key,
                "too many groups wait for a webhook"
            );
            report.given_up += 1;
        }
        drop(report);
        lane.news.notify_one();
    }

    /// Sends what is and what will be queued, until `stop` resolves; what is not sent then stays in [`Outbox::unsent`].
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let lanes = join_all(self.lanes.iter().map(|(name, lane)| self.serve(name, lane)));
        tokio::select! {
            () = stop => {}
            _ = lanes => {}
        }
        // A body that was on its way has no answer: it goes back to the others.
        self.lanes.values().for_each(|lane| lane.queue().give_back());
    }

    /// One webhook, one body at a time, for ever.
    async fn serve(&self, name: &str, lane: &Lane) {
        loop {
            let taken = lane.queue().take();
            match taken {
                Some(payload) => self.deliver(name, lane, &payload).await,
                None => lane.news.notified().await,
            }
        }
    }

    /// Sends one body until it is taken, replaced by a newer one, or given up.
    async fn deliver(&self, name: &str, lane: &Lane, payload: &Payload) {
        let body = match serde_json::to_vec(payload) {
            Ok(body) => hyper::body::Bytes::from(body),
            Err(error) => return self.give_up(name, lane, payload, &error.to_string()),
        };
        let bounds = Bounds {
            within: lane.webhook.within,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        for attempt in 1_u32.. {
            let error = match post_json(&lane.webhook.url, body.clone(), bounds).await {
                // A long answer to a body that was taken is no reason to send it again.
                Ok(()) | Err(HttpError::TooLong { .. }) => {
                    lane.queue().sending = None;
                    self.report().sent += 1;
                    return;
                }
                Err(error) => error,
            };
            match lane.webhook.retry.decide(attempt, error.class(), 0) {
                RetryDecision::GiveUp => return self.give_up(name, lane, payload, &error.to_string()),
                RetryDecision::After(wait) => {
                    tracing::debug!(receiver = name, %error, attempt, ?wait, "a webhook did not take a notification");
                    self.report().retried += 1;
                    sleep(wait).await;
                }
            }
            // The present is told instead of the past, as soon as there is one.
            if lane.queue().yield_to_newer() {
                self.report().replaced += 1;
                return;
            }
        }
    }

    fn give_up(&self, name: &str, lane: &Lane, payload: &Payload, why: &str) {
        tracing::warn!(
            receiver = name,
            group = payload.group_key,
            why,
            "a notification was given up"
        );
        lane.queue().sending = None;
        self.report().given_up += 1;
    }

    /// What waits or is under way, to be kept over a restart.
    #[must_use]
    pub fn unsent(&self) -> Vec<Notification> {
        let of_lane = |lane: &Lane| {
            let queue = lane.queue();
            queue
                .sending
                .iter()
                .chain(&queue.waiting)
                .cloned()
                .collect::<Vec<Payload>>()
        };
        let all = self.lanes.iter().flat_map(|(name, lane)| {
            let named = move |payload| Notification::new(name.clone(), payload);
            of_lane(lane).into_iter().map(named)
        });
        all.collect()
    }

    /// How often what has happened so far.
    #[must_use]
    pub fn counts(&self) -> OutboxReport {
        *self.report()
    }

    fn report(&self) -> MutexGuard<'_, OutboxReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn put(&mut self, mut payload: Payload) -> Put {
        let mut put = Put::default();
        let same = self
            .waiting
            .iter()
            .position(|other| other.group_key == payload.group_key);
        if let Some(older) = same.and_then(|at| self.waiting.remove(at)) {
            payload.absorb(older);
            put.replaced = true;
        } else if self.waiting.len() >= GROUPS_QUEUED_MAX {
            put.fell_out = self.waiting.pop_front();
        }
        self.waiting.push_back(payload);
        put
    }

    fn take(&mut self) -> Option<Payload> {
        self.sending = self.waiting.pop_front();
        self.sending.clone()
    }

    /// Whether a newer body of the same group waits; it then takes over what the one under way would have told, and goes
    /// first.
    fn yield_to_newer(&mut self) -> bool {
        let Some(sending) = &self.sending else { return false };
        let newer = self
            .waiting
            .iter()
            .position(|other| other.group_key == sending.group_key);
        let Some(mut newer) = newer.and_then(|at| self.waiting.remove(at)) else {
            return false;
        };
        if let Some(older) = self.sending.take() {
            newer.absorb(older);
        }
        self.waiting.push_front(newer);
        true
    }

    fn give_back(&mut self) {
        if !self.yield_to_newer()
            && let Some(sending) = self.sending.take()
        {
            self.waiting.push_front(sending);
        }
    }
}
