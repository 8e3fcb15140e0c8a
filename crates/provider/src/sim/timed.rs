//! A simulated cloud that follows somebody else's clock, such as the paused clock of an async runtime.
#![deny(clippy::missing_trait_methods)]

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{OwnerTag, ResourceId, StopSpec, Timestamp, Token};

use super::cloud::SimCloud;
use crate::{
    Capabilities, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Inspected, Quota, Resource, Retag, Usage,
};

/// A simulated cloud that is taken to the present of a clock before each call. Clones share one cloud.
///
/// A mutation gives way once before it is made, as a call over a network would: whoever drives several at a time gets to
/// drop one that was begun and not made.
#[derive(Clone)]
pub struct TimedCloud {
    cloud: SimCloud,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for TimedCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedCloud")
            .field("cloud", &self.cloud)
            .finish_non_exhaustive()
    }
}

impl SimCloud {
    /// This cloud, following a clock. A clock that goes backwards leaves the cloud where it is.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicI64, Ordering};
    /// use std::sync::Arc;
    /// use futures::executor::block_on;
    /// use skyloom_core::Timestamp;
    /// use skyloom_provider::{Driver, sim::{SimCloud, SimConfig}};
    ///
    /// let seconds = Arc::new(AtomicI64::new(0));
    /// let clock = Arc::clone(&seconds);
    /// let cloud = SimCloud::new(SimConfig::new(1, Timestamp::EPOCH))
    ///     .following(move || Timestamp::from_secs(clock.load(Ordering::Relaxed)));
    /// seconds.store(60, Ordering::Relaxed);
    /// block_on(cloud.list(&"shop".parse()?))?;
    /// assert_eq!(cloud.cloud().now(), Timestamp::from_secs(60));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn following(self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> TimedCloud {
        TimedCloud {
            cloud: self,
            now: Arc::new(now),
        }
    }
}

impl TimedCloud {
    /// The cloud as it was at the last call.
    #[must_use]
    pub const fn cloud(&self) -> &SimCloud {
        &self.cloud
    }

    /// The cloud as it is now.
    pub fn at_present(&self) -> &SimCloud {
        self.cloud.advance((self.now)().saturating_since(self.cloud.now()));
        &self.cloud
    }

    /// As [`TimedCloud::at_present`], after giving way once.
    async fn in_turn(&self) -> &SimCloud {
        let mut gave_way = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut gave_way, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.at_present()
    }
}

#[async_trait]
impl Driver for TimedCloud {
    fn capabilities(&self) -> &Capabilities {
        self.cloud.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        self.in_turn().await.create(request).await
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        self.at_present().get(id).await
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        self.at_present().list(owner).await
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        self.at_present().find_by_token(owner, token).await
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.in_turn().await.delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.in_turn().await.stop(id, stop, epoch).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.in_turn().await.start(id, epoch).await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.at_present().logs(id, lines).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.at_present().usage(id).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError> {
        self.at_present().exec(id, command, timeout).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        self.at_present().quotas().await
    }

    async fn inspect(&self, id: &ResourceId) -> Result<Inspected, DriverError> {
        self.at_present().inspect(id).await
    }

    async fn others(&self, owner: &OwnerTag) -> Result<Vec<Inspected>, DriverError> {
        self.at_present().others(owner).await
    }

    async fn retag(&self, request: &Retag) -> Result<Resource, DriverError> {
        self.in_turn().await.retag(request).await
    }
}
