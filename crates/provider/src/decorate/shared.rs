//! A shared or boxed driver is a driver, so that decorators can be put around `Arc<dyn Driver>`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{OwnerTag, ResourceId, StopSpec, Token};

use crate::{
    Capabilities, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Quota, Resource, Retag, Usage,
};

macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        impl<D: Driver + ?Sized> Driver for $pointer<D> {
            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }

            async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
                (**self).create(request).await
            }

            async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
                (**self).get(id).await
            }

            async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
                (**self).list(owner).await
            }

            async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
                (**self).find_by_token(owner, token).await
            }

            async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
                (**self).delete(id, stop, epoch).await
            }

            async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
                (**self).stop(id, stop, epoch).await
            }

            async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
                (**self).start(id, epoch).await
            }

            async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
                (**self).logs(id, lines).await
            }

            async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
                (**self).usage(id).await
            }

            async fn exec(
                &self,
                id: &ResourceId,
                command: &[String],
                timeout: Duration,
            ) -> Result<ExecOutput, DriverError> {
                (**self).exec(id, command, timeout).await
            }

            async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
                (**self).quotas().await
            }

            async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
                (**self).inspect(id).await
            }

            async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
                (**self).others(owner).await
            }

            async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
                (**self).retag(request).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
