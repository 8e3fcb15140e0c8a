//! A driver whose calls are counted and timed.
//!
//! Outermost of all wrappers, so that a call counts as its caller sees it: a wait for the rate limit is part of its time,
//! and one that is given up is a failure.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::SharedString;
use skyloom_core::{OwnerTag, ResourceId, StopSpec, Token};
use skyloom_provider::{
    Capabilities, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Quota, Resource, Retag, Usage,
};
use tokio::time::Instant;

use super::emit::called;

/// What a driver is called in labels.
#[derive(Debug)]
pub(super) struct Labels {
    name: Arc<str>,
    cloud: Arc<str>,
}

impl Labels {
    fn new(capabilities: &Capabilities) -> Self {
        let clouds = capabilities.clouds.as_ref().map(|clouds| {
            let names: Vec<String> = clouds.iter().map(ToString::to_string).collect();
            names.join("+")
        });
        Self {
            name: capabilities.name.as_str().into(),
            // One that stands in for every cloud.
            cloud: clouds.as_deref().unwrap_or("any").into(),
        }
    }

    pub(super) fn name(&self) -> SharedString {
        Arc::clone(&self.name).into()
    }

    pub(super) fn cloud(&self) -> SharedString {
        Arc::clone(&self.cloud).into()
    }
}

/// The wrapper.
#[derive(Debug)]
pub(crate) struct Metered {
    driver: Arc<dyn Driver>,
    labels: Labels,
}

impl Metered {
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        let labels = Labels::new(driver.capabilities());
        Self { driver, labels }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, DriverError>> + Send,
    ) -> Result<T, DriverError> {
        let begun = Instant::now();
        let answer = call.await;
        let failure = answer.as_ref().err().map(DriverError::class);
        called(&self.labels, operation, failure, begun.elapsed());
        answer
    }
}

#[async_trait]
impl Driver for Metered {
    fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        self.timed("create", self.driver.create(request)).await
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        self.timed("get", self.driver.get(id)).await
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        self.timed("list", self.driver.list(owner)).await
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        self.timed("find_by_token", self.driver.find_by_token(owner, token))
            .await
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.timed("delete", self.driver.delete(id, stop, epoch)).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.timed("stop", self.driver.stop(id, stop, epoch)).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.timed("start", self.driver.start(id, epoch)).await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.timed("logs", self.driver.logs(id, lines)).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.timed("usage", self.driver.usage(id)).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], limit: Duration) -> Result<ExecOutput, DriverError> {
        self.timed("exec", self.driver.exec(id, command, limit)).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        self.timed("quotas", self.driver.quotas()).await
    }

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        self.timed("inspect", self.driver.inspect(id)).await
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        self.timed("others", self.driver.others(owner)).await
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        self.timed("retag", self.driver.retag(request)).await
    }
}
