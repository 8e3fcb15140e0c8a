//! Which driver carries out what: by cloud, in the order of registration.

use std::sync::Arc;
use std::time::Duration;

use skyloom_core::{CloudId, OwnerTag};
use skyloom_provider::{Driver, DriverError, Resource};

/// The registered drivers.
#[derive(Debug, Clone, Default)]
pub struct Drivers(Vec<Arc<dyn Driver>>);

impl Drivers {
    /// Registers one more. A driver that names its clouds goes before one that stands in for all.
    pub fn register(&mut self, driver: Arc<dyn Driver>) {
        self.0.push(driver);
        self.0.sort_by_key(|driver| driver.capabilities().clouds.is_none());
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All drivers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.0.iter()
    }

    /// The driver for a cloud: one that names it, otherwise one that stands in for all.
    #[must_use]
    pub fn for_cloud(&self, cloud: &CloudId) -> Option<&Arc<dyn Driver>> {
        self.0.iter().find(|driver| driver.capabilities().clouds.as_ref().is_none_or(|clouds| clouds.contains(cloud)))
    }

    /// The longest consistency window of all.
    #[must_use]
    pub fn consistency_window(&self) -> Duration {
        self.0.iter().map(|driver| driver.capabilities().consistency_window).max().unwrap_or_default()
    }

    /// Everything with this owner tag at every provider.
    ///
    /// # Errors
    /// The first provider that cannot be asked: a partial listing would look like a loss.
    pub async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        let mut all = Vec::new();
        for driver in &self.0 {
            all.extend(driver.list(owner).await?);
        }
        Ok(all)
    }
}
