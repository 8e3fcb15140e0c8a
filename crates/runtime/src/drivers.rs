//! Which driver carries out what: by cloud, in the order of registration. The rate and the end of every call, and the
//! repetition of calls that may be repeated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use skyloom_core::{CloudId, OwnerTag, ResourceId, RetryDecision, RetryPolicy, StopSpec, Timestamp, Token};
use skyloom_provider::{
    Admission, Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Quota, RateLimit, Resource,
    Usage,
};
use tokio::time::{Instant, sleep, timeout};

use crate::checked::Checked;

/// The registered drivers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drivers(Vec<Arc<dyn Driver>>);

impl Drivers {
    /// Registers one more. A driver that names its clouds goes before one that stands in for all.
    pub(crate) fn register(&mut self, driver: Arc<dyn Driver>) {
        self.0.push(driver);
        self.0.sort_by_key(|driver| driver.capabilities().clouds.is_none());
    }

    /// As [`Drivers::register`], making no more calls than the provider allows.
    pub(crate) fn register_within(&mut self, driver: Arc<dyn Driver>, limit: RateLimit) {
        self.register(Arc::new(Paced {
            driver,
            limit: Mutex::new(limit),
            begun: Instant::now(),
        }));
    }

    /// The same drivers, each of whose calls ends within this time.
    pub(crate) fn timed(self, within: Duration) -> Self {
        let timed = |driver| Arc::new(Timed { driver, within }) as Arc<dyn Driver>;
        Self(self.0.into_iter().map(timed).collect())
    }

    /// The same drivers, each of whose answers is about what was asked for.
    pub(crate) fn checked(self, owner: &OwnerTag) -> Self {
        let checked = |driver| Arc::new(Checked::new(driver, owner.clone())) as Arc<dyn Driver>;
        Self(self.0.into_iter().map(checked).collect())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The driver for a cloud: one that names it, otherwise one that stands in for all.
    pub(crate) fn for_cloud(&self, cloud: &CloudId) -> Option<&Arc<dyn Driver>> {
        self.0.iter().find(|driver| {
            driver
                .capabilities()
                .clouds
                .as_ref()
                .is_none_or(|clouds| clouds.contains(cloud))
        })
    }

    /// The longest consistency window of all.
    pub(crate) fn consistency_window(&self) -> Duration {
        self.0
            .iter()
            .map(|driver| driver.capabilities().consistency_window)
            .max()
            .unwrap_or_default()
    }

    /// Everything with this owner tag, provider by provider. Reading is harmless, so a call without an answer is
    /// repeated; one that cannot be asked hides nothing of the others.
    pub(crate) async fn list_each(
        &self,
        owner: &OwnerTag,
        policy: &RetryPolicy,
    ) -> Vec<(Arc<dyn Driver>, Result<Vec<Resource>, DriverError>)> {
        let lists = self
            .0
            .iter()
            .map(|driver| async move { (Arc::clone(driver), retry(policy, || driver.list(owner)).await) });
        join_all(lists).await
    }
}

/// A driver each of whose calls ends: one without an answer in time is [`Cause::Timeout`], its effect in doubt.
///
/// Here and nowhere else, so that no caller can forget it. What a call waits for by its nature, the grace of a stop or
/// the time of a command, comes on top.
#[derive(Debug)]
struct Timed {
    driver: Arc<dyn Driver>,
    within: Duration,
}

impl Timed {
    async fn bounded<T>(
        &self,
        operation: &'static str,
        on_top: Duration,
        call: impl Future<Output = Result<T, DriverError>> + Send,
    ) -> Result<T, DriverError> {
        let after = self.within.saturating_add(on_top);
        let late = || DriverError::new(self.capabilities().name.clone(), operation, Cause::Timeout { after });
        timeout(after, call).await.unwrap_or_else(|_| Err(late()))
    }
}

#[async_trait]
impl Driver for Timed {
    fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        self.bounded("create", Duration::ZERO, self.driver.create(request))
            .await
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        self.bounded("get", Duration::ZERO, self.driver.get(id)).await
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        self.bounded("list", Duration::ZERO, self.driver.list(owner)).await
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        let call = self.driver.find_by_token(owner, token);
        self.bounded("find_by_token", Duration::ZERO, call).await
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.bounded("delete", stop.grace, self.driver.delete(id, stop, epoch))
            .await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.bounded("stop", stop.grace, self.driver.stop(id, stop, epoch))
            .await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.bounded("start", Duration::ZERO, self.driver.start(id, epoch))
            .await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.bounded("logs", Duration::ZERO, self.driver.logs(id, lines)).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.bounded("usage", Duration::ZERO, self.driver.usage(id)).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], limit: Duration) -> Result<ExecOutput, DriverError> {
        self.bounded("exec", limit, self.driver.exec(id, command, limit)).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        self.bounded("quotas", Duration::ZERO, self.driver.quotas()).await
    }
}

/// A driver whose calls keep to a rate: one that comes too early waits for its turn.
///
/// One limit for all operations, as the clouds count them; every call of the control plane goes through it, those of
/// look-ups and observations too.
#[derive(Debug)]
struct Paced {
    driver: Arc<dyn Driver>,
    limit: Mutex<RateLimit>,
    begun: Instant,
}

impl Paced {
    async fn turn(&self) {
        loop {
            let now = Timestamp::EPOCH.saturating_add(self.begun.elapsed());
            let admission = self.limit.lock().unwrap_or_else(PoisonError::into_inner).take(now);
            match admission {
                Admission::Go => return,
                Admission::Wait(wait) => sleep(wait).await,
            }
        }
    }
}

#[async_trait]
impl Driver for Paced {
    fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        self.turn().await;
        self.driver.create(request).await
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        self.turn().await;
        self.driver.get(id).await
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        self.turn().await;
        self.driver.list(owner).await
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        self.turn().await;
        self.driver.find_by_token(owner, token).await
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.turn().await;
        self.driver.delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.turn().await;
        self.driver.stop(id, stop, epoch).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.turn().await;
        self.driver.start(id, epoch).await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.turn().await;
        self.driver.logs(id, lines).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.turn().await;
        self.driver.usage(id).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], limit: Duration) -> Result<ExecOutput, DriverError> {
        self.turn().await;
        self.driver.exec(id, command, limit).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        self.turn().await;
        self.driver.quotas().await
    }
}

/// Calls until it succeeds or the policy gives up, waiting in between. Only for calls that may be repeated.
pub(crate) async fn retry<T, F>(policy: &RetryPolicy, mut call: impl FnMut() -> F) -> Result<T, DriverError>
where
    F: Future<Output = Result<T, DriverError>>,
{
    let mut failed = 0;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failed += 1;
        match policy.decide(failed, error.class(), 0) {
            RetryDecision::After(wait) => sleep(wait).await,
            RetryDecision::GiveUp => return Err(error),
        }
    }
}
