//! Which driver carries out what: by cloud, in the order of registration. The rate and the end of every call, the gate
//! before every change, and the repetition of calls that may be repeated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use skyloom_core::{CloudId, OwnerTag, ResourceId, RetryDecision, RetryPolicy, StopSpec, Timestamp, Token};
use skyloom_provider::{
    Admission, Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Quota, RateLimit,
    Resource, Retag, Usage,
};
use tokio::time::{Instant, sleep, timeout};

use crate::checked::Checked;
use crate::gate::Gate;
use crate::telemetry::{self, Metered};
/// The registered drivers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drivers {
    drivers: Vec<Arc<dyn Driver>>,
    gate: Gate,
}

impl Drivers {
    /// Registers one more. A driver that names its clouds goes before one that stands in for all.
    pub(crate) fn register(&mut self, driver: Arc<dyn Driver>) {
        self.gated(driver, None);
    }

    /// As [`Drivers::register`], making no more calls than the provider allows.
    pub(crate) fn register_within(&mut self, driver: Arc<dyn Driver>, limit: RateLimit) {
        self.gated(driver, Some(Mutex::new(limit)));
    }

    fn gated(&mut self, driver: Arc<dyn Driver>, limit: Option<Mutex<RateLimit>>) {
        self.drivers.push(Arc::new(Gated {
            driver,
            gate: self.gate.clone(),
            limit,
            begun: Instant::now(),
        }));
        self.drivers
            .sort_by_key(|driver| driver.capabilities().clouds.is_none());
    }

    /// What every change has to pass.
    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The same drivers, each of whose calls ends within this time and is counted.
    pub(crate) fn timed(self, within: Duration) -> Self {
        let timed = |driver| Arc::new(Metered::new(Arc::new(Timed { driver, within }))) as Arc<dyn Driver>;
        Self {
            drivers: self.drivers.into_iter().map(timed).collect(),
            gate: self.gate,
        }
    }

    /// All of them, those that name their clouds first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.drivers.iter()
    }

    /// The same drivers, each of whose answers is about what was asked for.
    pub(crate) fn checked(self, owner: &OwnerTag) -> Self {
        let checked = |driver| Arc::new(Checked::new(driver, owner.clone())) as Arc<dyn Driver>;
        Self {
            drivers: self.drivers.into_iter().map(checked).collect(),
            gate: self.gate,
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.drivers.is_empty()
    }

    /// The driver for a cloud: one that names it, otherwise one that stands in for all.
    pub(crate) fn for_cloud(&self, cloud: &CloudId) -> Option<&Arc<dyn Driver>> {
        self.drivers.iter().find(|driver| {
            driver
                .capabilities()
                .clouds
                .as_ref()
                .is_none_or(|clouds| clouds.contains(cloud))
        })
    }

    /// The longest consistency window of all.
    pub(crate) fn consistency_window(&self) -> Duration {
        self.drivers
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
            .drivers
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

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        self.bounded("inspect", Duration::ZERO, self.driver.inspect(id)).await
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        self.bounded("others", Duration::ZERO, self.driver.others(owner)).await
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        self.bounded("retag", Duration::ZERO, self.driver.retag(request)).await
    }
}

/// A driver whose calls keep to a rate, if there is one: one that comes too early waits for its turn. What changes
/// something passes the gate after that wait, as the last thing before it goes out.
///
/// One limit for all operations, as the clouds count them; every call of the control plane goes through it, those of
/// look-ups and observations too.
#[derive(Debug)]
struct Gated {
    driver: Arc<dyn Driver>,
    gate: Gate,
    limit: Option<Mutex<RateLimit>>,
    begun: Instant,
}

impl Gated {
    /// A turn for a call that changes something.
    async fn pass(&self, operation: &'static str) -> Result<(), DriverError> {
        self.turn().await;
        let refused = |cause| DriverError::new(self.capabilities().name.clone(), operation, cause);
        self.gate.admit().map_err(refused)
    }

    async fn turn(&self) {
        let Some(limit) = &self.limit else { return };
        loop {
            let now = Timestamp::EPOCH.saturating_add(self.begun.elapsed());
            let admission = limit.lock().unwrap_or_else(PoisonError::into_inner).take(now);
            match admission {
                Admission::Go => return,
                Admission::Wait(wait) => sleep(wait).await,
            }
        }
    }
}

#[async_trait]
impl Driver for Gated {
    fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        self.pass("create").await?;
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
        self.pass("delete").await?;
        self.driver.delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.pass("stop").await?;
        self.driver.stop(id, stop, epoch).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.pass("start").await?;
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

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        self.turn().await;
        self.driver.inspect(id).await
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        self.turn().await;
        self.driver.others(owner).await
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        self.pass("retag").await?;
        self.driver.retag(request).await
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
            RetryDecision::After(wait) => {
                telemetry::read_again(error.class());
                sleep(wait).await;
            }
            RetryDecision::GiveUp => return Err(error),
        }
    }
}
