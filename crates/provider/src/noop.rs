//! A provider that does nothing and does it at once: what is left to measure, or to test by the thousand, is whatever drives
//! it. No time, no faults, no money: those are the simulated cloud's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{OwnerTag, PortName, ResourceId, StopSpec, Timestamp, Token};

use crate::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Kind, Quota, Resource, ResourceState,
    Usage, What,
};

/// Things that exist in a map only, and run from the beginning. Clones share it.
///
/// Honours tokens and owner tags; a port of a replica has an address of its own, at which nobody answers. What it cannot
/// do (stop, start, logs, usage, commands) is declared and refused.
///
/// ```
/// use skyloom_provider::{Driver, Noop};
///
/// let provider = Noop::new();
/// assert_eq!((provider.count(), provider.capabilities().logs), (0, false));
/// ```
#[derive(Debug, Clone)]
pub struct Noop {
    capabilities: Arc<Capabilities>,
    things: Arc<Mutex<Things>>,
}

#[derive(Debug, Default)]
struct Things {
    by_id: BTreeMap<ResourceId, Resource>,
    by_token: BTreeMap<Token, ResourceId>,
    /// How many were ever made.
    made: u32,
}

impl Default for Noop {
    /// [`Noop::new`].
    fn default() -> Self {
        Self::new()
    }
}

impl Noop {
    /// One without any thing.
    #[must_use]
    pub fn new() -> Self {
        let capabilities = Capabilities {
            name: "noop".to_owned(),
            kinds: vec![Kind::Machine, Kind::Replica],
            clouds: None,
            consistency_window: Duration::ZERO,
            logs: false,
            usage: false,
            exec: false,
            stop_start: false,
            rehearsal: true,
            adopt: false,
        };
        Self {
            capabilities: Arc::new(capabilities),
            things: Arc::default(),
        }
    }

    /// How many things there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.things().by_id.len()
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse<T>(&self, operation: &'static str, cause: Cause) -> Result<T, DriverError> {
        Err(DriverError::new(&self.capabilities.name, operation, cause))
    }
}

/// An address of its own for each port of a replica.
fn endpoints(request: &CreateRequest, number: u32) -> BTreeMap<PortName, SocketAddr> {
    let What::Replica(replica) = &request.what else {
        return BTreeMap::new();
    };
    let [_, a, b, c] = number.to_be_bytes();
    let ports = replica.spec.run.ports.iter().zip(8000..);
    ports
        .map(|(port, number)| (port.name.clone(), ([10, a, b, c], number).into()))
        .collect()
}

#[async_trait]
impl Driver for Noop {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        let mut things = self.things();
        if let Some(made) = things.by_token.get(&request.token).and_then(|id| things.by_id.get(id)) {
            return Ok(made.clone());
        }
        let Ok(id) = ResourceId::new(format!("noop-{:06}", things.made)) else {
            drop(things);
            return self.refuse("create", Cause::Unsupported);
        };
        let resource = Resource {
            id: id.clone(),
            kind: request.kind(),
            name: request.name(),
            owner: request.owner.clone(),
            operation: request.operation.clone(),
            token: request.token.clone(),
            parameters: request.parameters(),
            site: request.site().clone(),
            state: ResourceState::Running,
            endpoints: endpoints(request, things.made),
            created_at: Timestamp::EPOCH,
            observed: skyloom_core::Attributes::default(),
        };
        things.made += 1;
        things.by_token.insert(request.token.clone(), id.clone());
        things.by_id.insert(id, resource.clone());
        Ok(resource)
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        let found = self.things().by_id.get(id).cloned();
        found.map_or_else(|| self.refuse("get", Cause::NotFound), Ok)
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        let things = self.things();
        let theirs = things.by_id.values().filter(|thing| thing.owner == *owner);
        Ok(theirs.cloned().collect())
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        let things = self.things();
        let found = things.by_token.get(token).and_then(|id| things.by_id.get(id));
        Ok(found.filter(|thing| thing.owner == *owner).cloned())
    }

    async fn delete(&self, id: &ResourceId, _stop: StopSpec, _epoch: Epoch) -> Result<(), DriverError> {
        self.things().by_id.remove(id);
        Ok(())
    }

    async fn stop(&self, _id: &ResourceId, _stop: StopSpec, _epoch: Epoch) -> Result<(), DriverError> {
        self.refuse("stop", Cause::Unsupported)
    }

    async fn start(&self, _id: &ResourceId, _epoch: Epoch) -> Result<(), DriverError> {
        self.refuse("start", Cause::Unsupported)
    }

    async fn logs(&self, _id: &ResourceId, _lines: usize) -> Result<Vec<String>, DriverError> {
        self.refuse("logs", Cause::Unsupported)
    }

    async fn usage(&self, _id: &ResourceId) -> Result<Usage, DriverError> {
        self.refuse("usage", Cause::Unsupported)
    }

    async fn exec(&self, _id: &ResourceId, _command: &[String], _limit: Duration) -> Result<ExecOutput, DriverError> {
        self.refuse("exec", Cause::Unsupported)
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        Ok(Vec::new())
    }
}
