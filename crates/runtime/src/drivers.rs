//! Which driver carries out what: by cloud, in the order of registration.

use std::sync::Arc;
use std::time::Duration;

use skyloom_core::{CloudId, OwnerTag};
use skyloom_provider::{Driver, DriverError, Resource};

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

    /// Everything with this owner tag at every provider.
    ///
    /// # Errors
    /// The first provider that cannot be asked: a partial listing would look like a loss.
    pub(crate) async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        let mut all = Vec::new();
        for driver in &self.0 {
            all.extend(driver.list(owner).await?);
        }
        Ok(all)
    }
}
