//! What an embedder may choose about the runtime. Policies and their numbers belong to the engines.

use std::time::Duration;

use skyloom_orchestrator::{FailoverPolicy, HealPolicy, SagaConfig};
use skyloom_scheduler::PlaceConfig;

use crate::hold::LeaseConfig;
use crate::pace::Adaptive;
use crate::sources::GatherConfig;
/// Bounds and intervals of a control plane.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RuntimeConfig {
    /// How plans are carried out.
    pub saga: SagaConfig,
    /// How much work a placement may take.
    pub place: PlaceConfig,
    /// When lost replicas are replaced, and when not any more.
    pub heal: HealPolicy,
    /// How long a lease lasts and how long the store is waited for.
    pub lease: LeaseConfig,
    /// Whether a plan that fails after something old was gone is followed by a plan back to the generation before.
    pub auto_revert: bool,
    /// When a region or zone counts as lost, and how it comes back.
    pub failover: FailoverPolicy,
    /// Time from a replica's leaving the endpoints to its being told to stop: longer than a caller takes from reading the
    /// list to being connected.
    pub drain_for: Duration,
    /// Time between two looks at all replicas while supervising.
    pub supervise_every: Duration,
    /// Samples kept of each metric of each replica.
    pub samples_kept_max: usize,
    /// How seldom drivers may be asked about replicas that hardly change; `None` asks about each whenever
    /// [`crate::ControlPlane::sample`] is called.
    pub sampling: Option<Adaptive>,
    /// Bounds on the named series.
    pub gather: GatherConfig,
}

/// Callers that read the list for each request are connected within milliseconds.
const DRAIN_FOR: Duration = Duration::from_millis(500);
/// A day at one sample in 30 seconds.
const SAMPLES_KEPT: usize = 2880;

impl RuntimeConfig {
    /// The engines' defaults; back by itself when a plan fails; half a second to drain; a look every half second; a day of
    /// samples.
    #[must_use]
    pub fn new() -> Self {
        Self {
            saga: SagaConfig::new(),
            place: PlaceConfig::new(),
            heal: HealPolicy::new(),
            lease: LeaseConfig::new(),
            auto_revert: true,
            failover: FailoverPolicy::new(),
            drain_for: DRAIN_FOR,
            supervise_every: Duration::from_millis(500),
            samples_kept_max: SAMPLES_KEPT,
            sampling: None,
            gather: GatherConfig::new(),
        }
    }

    /// The same with another time between looks.
    #[must_use]
    pub const fn with_supervise_every(mut self, every: Duration) -> Self {
        self.supervise_every = every;
        self
    }

    /// The same with these bounds on carrying out plans.
    #[must_use]
    pub const fn with_saga(mut self, saga: SagaConfig) -> Self {
        self.saga = saga;
        self
    }

    /// The same with these bounds on placing.
    #[must_use]
    pub fn with_place(mut self, place: PlaceConfig) -> Self {
        self.place = place;
        self
    }

    /// The same with another lease.
    #[must_use]
    pub const fn with_lease(mut self, lease: LeaseConfig) -> Self {
        self.lease = lease;
        self
    }

    /// The same with or without the automatic way back.
    #[must_use]
    pub const fn with_auto_revert(mut self, auto_revert: bool) -> Self {
        self.auto_revert = auto_revert;
        self
    }

    /// The same with drivers asked adaptively: a replica whose use stands still is asked less often, and what is held
    /// meanwhile is wrong by the tolerance at most, root mean square.
    #[must_use]
    pub const fn with_sampling(mut self, sampling: Adaptive) -> Self {
        self.sampling = Some(sampling);
        self
    }

    /// The same with other bounds on the named series.
    #[must_use]
    pub fn with_gather(mut self, gather: GatherConfig) -> Self {
        self.gather = gather;
        self
    }

    /// The same with another failover policy.
    #[must_use]
    pub const fn with_failover(mut self, failover: FailoverPolicy) -> Self {
        self.failover = failover;
        self
    }

    /// The same with another time between leaving the endpoints and being told to stop.
    #[must_use]
    pub const fn with_drain_for(mut self, drain_for: Duration) -> Self {
        self.drain_for = drain_for;
        self
    }

    /// The same with another healing policy.
    #[must_use]
    pub fn with_heal(mut self, heal: HealPolicy) -> Self {
        self.heal = heal;
        self
    }
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self::new()
    }
}
