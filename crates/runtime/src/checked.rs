//! A driver whose answers are about what was asked for: a proxy, a cache or a bug in between may answer with somebody
//! else's thing, and what is not ours must not be adopted.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{OwnerTag, ResourceId, StopSpec, Token};
use skyloom_provider::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Quota, Resource, Retag,
    Usage,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Checked {
    driver: Arc<dyn Driver>,
    owner: OwnerTag,
}

impl Checked {
    pub(crate) const fn new(driver: Arc<dyn Driver>, owner: OwnerTag) -> Self {
        Self { driver, owner }
    }

    fn expect<T: PartialEq + ToString>(
        &self,
        operation: &'static str,
        resource: &Resource,
        (what, asked, got): (&'static str, &T, &T),
    ) -> Result<(), DriverError> {
        if asked == got {
            return Ok(());
        }
        let cause = Cause::OtherThing {
            what,
            got: got.to_string().into(),
        };
        Err(DriverError::new(self.capabilities().name.clone(), operation, cause).on(&resource.id))
    }

    fn ours(&self, operation: &'static str, resource: &Resource) -> Result<(), DriverError> {
        self.expect(operation, resource, ("owner", &self.owner, &resource.owner))
    }
}

#[async_trait]
impl Driver for Checked {
    fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        let made = self.driver.create(request).await?;
        self.ours("create", &made)?;
        self.expect("create", &made, ("operation", &request.operation, &made.operation))?;
        self.expect("create", &made, ("token", &request.token, &made.token))?;
        self.expect("create", &made, ("name", &request.name(), &made.name))?;
        Ok(made)
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        let found = self.driver.get(id).await?;
        self.expect("get", &found, ("id", id, &found.id))?;
        self.ours("get", &found)?;
        Ok(found)
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        let found = self.driver.list(owner).await?;
        for resource in &found {
            self.expect("list", resource, ("owner", owner, &resource.owner))?;
        }
        Ok(found)
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        let found = self.driver.find_by_token(owner, token).await?;
        if let Some(resource) = &found {
            self.expect("find_by_token", resource, ("owner", owner, &resource.owner))?;
            self.expect("find_by_token", resource, ("token", token, &resource.token))?;
        }
        Ok(found)
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.driver.delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.driver.stop(id, stop, epoch).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.driver.start(id, epoch).await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.driver.logs(id, lines).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.driver.usage(id).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], limit: Duration) -> Result<ExecOutput, DriverError> {
        self.driver.exec(id, command, limit).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        self.driver.quotas().await
    }

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        self.driver.inspect(id).await
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        self.driver.others(owner).await
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        let taken = self.driver.retag(request).await?;
        self.expect("retag", &taken, ("id", &request.id, &taken.id))?;
        Ok(taken)
    }
}
