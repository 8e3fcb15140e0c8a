//! What the parts of a control plane have in common: drivers, rules, clock, files, and who watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skyloom_core::{Catalogue, OwnerTag, ResourceId, Timestamp};
use skyloom_security::access::Authorizer;
use tokio::sync::{broadcast, watch};

use crate::analysis::Sources;
use crate::clock::Clock;
use crate::config::RuntimeConfig;
use crate::data::DataPlaces;
use crate::drivers::Drivers;
use crate::endpoints::Endpoints;
use crate::env::SecretResolver;
use crate::event::Event;
use crate::health::HealthTracker;
use crate::hold::Hold;
use crate::recall::Recall;
use crate::steady::Steady;
use crate::store::AuditFile;
use crate::telemetry;

/// Shared by the calls and tasks of one control plane.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: RuntimeConfig,
    pub(crate) owner: OwnerTag,
    pub(crate) drivers: Drivers,
    pub(crate) catalogue: Catalogue,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Arc<dyn SecretResolver>,
    pub(crate) sources: Sources,
    pub(crate) data: DataPlaces,
    pub(crate) events: broadcast::Sender<Event>,
    /// Counts the requests to stop. A number, not a signal: whoever has read it sees every later request, also one that
    /// comes while nobody waits.
    cancels: watch::Sender<u64>,
    pub(crate) hold: Hold,
    pub(crate) recall: Recall,
    steady: Steady,
    audit: Mutex<AuditFile>,
    endpoints: Mutex<Endpoints>,
    /// Held by whoever writes the endpoints' file.
    pub(crate) endpoints_turn: tokio::sync::Mutex<()>,
    health: Mutex<BTreeMap<ResourceId, HealthTracker>>,
}

/// What [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) config: RuntimeConfig,
    pub(crate) owner: OwnerTag,
    pub(crate) drivers: Drivers,
    pub(crate) catalogue: Catalogue,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Arc<dyn SecretResolver>,
    pub(crate) sources: Sources,
    pub(crate) data: DataPlaces,
    pub(crate) hold: Hold,
    pub(crate) audit: AuditFile,
    pub(crate) endpoints: Endpoints,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            config,
            owner,
            drivers,
            catalogue,
            authorizer,
            clock,
            secrets,
            sources,
            data,
            hold,
            audit,
            endpoints,
        } = parts;
        let drivers = drivers.checked(&owner).timed(config.saga.call_within);
        Self {
            config,
            owner,
            drivers,
            catalogue,
            authorizer,
            clock,
            secrets,
            sources,
            data,
            events: broadcast::Sender::new(crate::event::EVENTS_BEHIND_MAX),
            cancels: watch::Sender::new(0),
            hold,
            recall: Recall::default(),
            steady: Steady::default(),
            audit: Mutex::new(audit),
            endpoints: Mutex::new(endpoints),
            endpoints_turn: tokio::sync::Mutex::default(),
            health: Mutex::default(),
        }
    }

    /// The present moment; never before one that was given already.
    pub(crate) fn now(&self) -> Timestamp {
        self.steady.now(&*self.clock)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.hold.epoch()
    }

    /// Tells whoever watches; nobody watching is no failure.
    pub(crate) fn tell(&self, event: Event) {
        telemetry::told(&event);
        let _ = self.events.send(event);
    }

    /// Asks what is under way to stop.
    pub(crate) fn cancel(&self) {
        self.cancels.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The requests to stop from now on; those of before count as seen.
    pub(crate) fn cancels(&self) -> watch::Receiver<u64> {
        self.cancels.subscribe()
    }

    // A panic while one of these is held leaves the value as it was between two whole changes, so a poisoned lock is
    // taken all the same.

    pub(crate) fn endpoints(&self) -> MutexGuard<'_, Endpoints> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn audit(&self) -> MutexGuard<'_, AuditFile> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, BTreeMap<ResourceId, HealthTracker>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answers of a replica so far.
    pub(crate) fn health_of(&self, resource: &ResourceId) -> HealthTracker {
        self.health().get(resource).cloned().unwrap_or_default()
    }

    pub(crate) fn set_health(&self, resource: &ResourceId, tracker: HealthTracker) {
        self.health().insert(resource.clone(), tracker);
    }

    pub(crate) fn forget_health(&self, resource: &ResourceId) {
        self.health().remove(resource);
    }
}
