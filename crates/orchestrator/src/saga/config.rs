//! What the owner of a saga may choose.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::RetryPolicy;

/// What becomes of what was created when a plan is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnCancel {
    /// It stays; the next plan goes on from there.
    #[default]
    Keep,
    /// It is deleted in reverse order, as after a failure.
    Compensate,
}

/// Bounds of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SagaConfig {
    /// Calls under way at the same time (creations, deletions, look-ups). Waiting for readiness does not count.
    pub parallelism: NonZeroU32,
    /// When a failed call is repeated. Its number of attempts bounds the calls of a step, over crashes too.
    pub retry: RetryPolicy,
    /// A call without an answer after this long counts as failed with its effect in doubt. A deletion gets its grace on
    /// top.
    pub call_within: Duration,
    /// A replica without a health check of its own and a machine must run within this time; one with a health check has
    /// its `start_within` or this, whichever is longer.
    pub ready_within: Duration,
    /// A replica that somebody waits for must end with success within this time.
    pub complete_within: Duration,
    /// How long after a creation a thing may be absent from look-ups: the longest of the drivers concerned.
    pub consistency_window: Duration,
    /// What becomes of what was created when the plan is cancelled.
    pub on_cancel: OnCancel,
    /// From one look at the new replicas of a gate to the next.
    #[serde(default = "look_every_usual")]
    pub look_every: Duration,
}

/// A dead replica is noticed within a second or so.
const fn look_every_usual() -> Duration {
    Duration::from_secs(1)
}

impl SagaConfig {
    /// Ten calls at a time, as Terraform has it; five attempts from 200 ms to 10 s; a minute per call, five to get
    /// ready, a day to complete; no consistency window; a cancelled plan keeps what it made.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            parallelism: NonZeroU32::MIN.saturating_add(9),
            retry: RetryPolicy::new(5, Duration::from_millis(200), Duration::from_secs(10)),
            call_within: Duration::from_secs(60),
            ready_within: Duration::from_secs(300),
            complete_within: Duration::from_secs(24 * 3600),
            consistency_window: Duration::ZERO,
            on_cancel: OnCancel::Keep,
            look_every: look_every_usual(),
        }
    }

    /// The same with this many calls at a time.
    #[must_use]
    pub const fn with_parallelism(mut self, parallelism: NonZeroU32) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// The same with this retry policy.
    #[must_use]
    pub const fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same with this much time per call.
    #[must_use]
    pub const fn with_call_within(mut self, within: Duration) -> Self {
        self.call_within = within;
        self
    }

    /// The same with this much time to get ready.
    #[must_use]
    pub const fn with_ready_within(mut self, within: Duration) -> Self {
        self.ready_within = within;
        self
    }

    /// The same with this much time to complete.
    #[must_use]
    pub const fn with_complete_within(mut self, within: Duration) -> Self {
        self.complete_within = within;
        self
    }

    /// The same with this consistency window.
    #[must_use]
    pub const fn with_consistency_window(mut self, window: Duration) -> Self {
        self.consistency_window = window;
        self
    }

    /// The same with this much time between two looks at a gate.
    #[must_use]
    pub const fn with_look_every(mut self, look_every: Duration) -> Self {
        self.look_every = look_every;
        self
    }

    /// The same with this behaviour on cancel.
    #[must_use]
    pub const fn with_on_cancel(mut self, on_cancel: OnCancel) -> Self {
        self.on_cancel = on_cancel;
        self
    }
}

impl Default for SagaConfig {
    /// [`SagaConfig::new`].
    fn default() -> Self {
        Self::new()
    }
}
