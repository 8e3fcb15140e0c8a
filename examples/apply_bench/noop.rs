//! A provider that does nothing and does it at once: what is left to measure is the control plane.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use skyloom::core::{OwnerTag, ResourceId, StopSpec, Timestamp, Token};
use skyloom::provider::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Kind, Quota, Resource, ResourceState,
    Usage,
};

/// Things that exist in a map only. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Noop {
    capabilities: Arc<Capabilities>,
    things: Arc<Mutex<Things>>,
}

#[derive(Debug, Default)]
struct Things {
    by_id: BTreeMap<ResourceId, Resource>,
    by_token: BTreeMap<Token, ResourceId>,
}

impl Noop {
    pub(crate) fn new() -> Self {
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
        };
        Self {
            capabilities: Arc::new(capabilities),
            things: Arc::default(),
        }
    }

    /// How many things there are.
    pub(crate) fn count(&self) -> usize {
        self.things().by_id.len()
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse<T>(&self, operation: &'static str, cause: Cause) -> Result<T, DriverError> {
        Err(DriverError::new(&self.capabilities.name, operation, cause))
    }
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
        let Ok(id) = ResourceId::new(format!("noop-{:06}", things.by_token.len())) else {
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
            endpoints: BTreeMap::new(),
            created_at: Timestamp::EPOCH,
            observed: skyloom::core::Attributes::default(),
        };
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
