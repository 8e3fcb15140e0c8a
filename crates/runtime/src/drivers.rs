//! Which driver carries out what: by cloud, in the order of registration. And the repetition of calls that may be
//! repeated.

use std::sync::Arc;
use std::time::Duration;

use skyloom_core::{CloudId, OwnerTag, RetryDecision, RetryPolicy};
use skyloom_provider::{Driver, DriverError, Resource};
use tokio::time::sleep;

/// The registered drivers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drivers(Vec<Arc<dyn Driver>>);

impl Drivers {
    /// Registers one more. A driver that names its clouds goes before one that stands in for all.
    pub(crate) fn register(&mut self, driver: Arc<dyn Driver>) {
        self.0.push(driver);
        self.0.sort_by_key(|driver| driver.capabilities().clouds.is_none());
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

    /// Everything with this owner tag at every provider. Reading is harmless, so a call without an answer is repeated.
    ///
    /// # Errors
    /// The first provider that cannot be asked: a partial listing would look like a loss.
    pub(crate) async fn list(&self, owner: &OwnerTag, policy: &RetryPolicy) -> Result<Vec<Resource>, DriverError> {
        let mut all = Vec::new();
        for driver in &self.0 {
            all.extend(retry(policy, || driver.list(owner)).await?);
        }
        Ok(all)
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
