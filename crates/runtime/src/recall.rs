//! What is remembered between looks and beside a plan under way: what was seen last, which places are out, and from where
//! a plan set out. Memory only; what must outlive the process is in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skyloom_core::ResourceId;
use skyloom_orchestrator::Place;
use skyloom_provider::Resource;

use crate::hold::Hold;
use crate::store::{Interrupted, State, StoreError};

/// Remembered things.
#[derive(Debug, Default)]
pub(crate) struct Recall {
    seen: Mutex<Arc<BTreeMap<ResourceId, Resource>>>,
    out: Mutex<Arc<BTreeSet<Place>>>,
    under_way: Mutex<Option<UnderWay>>,
}

/// Where a plan that is being carried out set out from, and the journal that says how far it is.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    state: Arc<State>,
}

impl UnderWay {
    /// The state as far as it is durable by now.
    pub(crate) async fn state(&self, hold: &Hold) -> Result<State, StoreError> {
        let mut state = (*self.state).clone();
        let entries = hold.entries().await?;
        if let Some(Interrupted { plan, records, .. }) = Interrupted::from_entries(entries, &state) {
            state.deployment.get_or_insert_with(|| plan.deployment.clone());
            records.iter().for_each(|record| state.record(&plan, record));
        }
        Ok(state)
    }
}

/// As long as it is there, a plan is under way.
#[derive(Debug)]
pub(crate) struct UnderWayGuard<'a>(&'a Recall);

impl Drop for UnderWayGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.under_way) = None;
    }
}

impl Recall {
    /// What the last look has seen, by what the provider calls it.
    pub(crate) fn seen(&self) -> Arc<BTreeMap<ResourceId, Resource>> {
        Arc::clone(&lock(&self.seen))
    }

    pub(crate) fn set_seen(&self, seen: Arc<BTreeMap<ResourceId, Resource>>) {
        *lock(&self.seen) = seen;
    }

    /// One that was seen between two looks.
    pub(crate) fn note(&self, resource: &Resource) {
        Arc::make_mut(&mut *lock(&self.seen)).insert(resource.id.clone(), resource.clone());
    }

    /// The places that nobody is sent to.
    pub(crate) fn out(&self) -> Arc<BTreeSet<Place>> {
        Arc::clone(&lock(&self.out))
    }

    pub(crate) fn set_out(&self, out: BTreeSet<Place>) {
        *lock(&self.out) = Arc::new(out);
    }

    /// A plan begins here.
    pub(crate) fn begin(&self, state: &State) -> UnderWayGuard<'_> {
        *lock(&self.under_way) = Some(UnderWay {
            state: Arc::new(state.clone()),
        });
        UnderWayGuard(self)
    }

    /// The plan that is under way.
    pub(crate) fn under_way(&self) -> Option<UnderWay> {
        lock(&self.under_way).clone()
    }
}

/// No holder leaves a value half changed, so a lock is taken even after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
