//! A world for whole control planes: a simulated cloud whose time follows tokio's paused clock.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{Catalogue, Manifest, OwnerTag, ResourceId, StopSpec, Timestamp, Token};
use skyloom_provider::sim::{SimCloud, SimConfig};
use skyloom_provider::{
    Capabilities, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Kind, Quota, Resource, Usage,
};
use skyloom_runtime::store::StoreError;
use skyloom_runtime::{Clock, ControlPlane, ControlPlaneBuilder, Error};
use skyloom_security::access::Principal;
use tokio::time::Instant;

/// When every world begins.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Follows tokio's clock, which a test pauses: waiting costs no time, and time passes only by waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        START.saturating_add(self.0.elapsed())
    }
}

/// A simulated cloud that is taken to the present before each call.
#[derive(Debug, Clone)]
pub(crate) struct TimedCloud {
    pub(crate) cloud: SimCloud,
    clock: PausedClock,
}

impl TimedCloud {
    fn at_present(&self) -> &SimCloud {
        self.cloud.advance(self.clock.now().saturating_since(self.cloud.now()));
        &self.cloud
    }
}

#[async_trait]
impl Driver for TimedCloud {
    fn capabilities(&self) -> &Capabilities {
        self.cloud.capabilities()
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        tokio::task::yield_now().await;
        self.at_present().create(request).await
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
        self.at_present().delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.at_present().stop(id, stop, epoch).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.at_present().start(id, epoch).await
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
}

/// A cloud, a folder for the control plane, and somebody who may do everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) driver: TimedCloud,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) me: Principal,
}

impl World {
    pub(crate) fn new(config: SimConfig) -> Self {
        let driver = TimedCloud {
            cloud: SimCloud::new(config),
            clock: PausedClock(Instant::now()),
        };
        Self {
            driver,
            folder: tempfile::tempdir().unwrap(),
            me: Principal::new("mira", []),
        }
    }

    pub(crate) fn clock(&self) -> PausedClock {
        self.driver.clock
    }

    /// Another on the same cloud, with a folder of its own.
    pub(crate) fn beside(&self) -> Self {
        Self {
            driver: self.driver.clone(),
            folder: tempfile::tempdir().unwrap(),
            me: self.me.clone(),
        }
    }

    pub(crate) fn builder_in(&self, folder: &Path) -> ControlPlaneBuilder {
        ControlPlane::builder()
            .state_dir(folder)
            .provider(self.driver.clone())
            .clock(self.driver.clock)
            .catalogue(one_region())
    }

    pub(crate) fn open(&self) -> Result<Arc<ControlPlane>, Error> {
        self.builder_in(self.folder.path()).build().map(Arc::new)
    }

    /// Opens the folder again after a crash: calls that were dropped give the lease back as soon as their tasks have
    /// been told, which takes a few turns of the executor.
    pub(crate) async fn reopen(&self) -> Arc<ControlPlane> {
        const TURNS_MAX: usize = 100;
        for _ in 0..TURNS_MAX {
            match self.open() {
                Err(Error::Store(StoreError::Held { .. })) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
        self.open().unwrap()
    }

    /// Names of everything that the cloud holds, sorted; a name twice is a duplicate.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .driver
            .at_present()
            .oracle()
            .into_iter()
            .map(|thing| thing.resource.name)
            .collect();
        names.sort();
        names
    }

    /// The replicas among them.
    pub(crate) fn replicas(&self) -> Vec<String> {
        let things = self
            .driver
            .at_present()
            .oracle()
            .into_iter()
            .map(|thing| thing.resource);
        let mut names: Vec<String> = things.filter(|r| r.kind == Kind::Replica).map(|r| r.name).collect();
        names.sort();
        names
    }
}

/// The offers of one region: these tests are about what happens to a decision, not about making it.
pub(crate) fn one_region() -> Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    let read = || Catalogue::builtin().retain(|offer| offer.key.region.to_string() == "aws/eu-central-1");
    CATALOGUE.get_or_init(read).clone()
}

/// A shop of `replicas` workers behind one store, in the European Union.
pub(crate) fn shop(replicas: u32) -> Manifest {
    let text = format!(
        r#"
        version = 1
        name = "shop"
        [residency]
        allow = ["EU"]
        [[service]]
        name = "store"
        replicas = 1
        resources = {{ cpu = "1", memory = "2GiB" }}
        purchase = "on-demand"
        run = {{ command = ["store"] }}
        [[service]]
        name = "worker"
        replicas = {replicas}
        depends_on = ["store"]
        resources = {{ cpu = "500m", memory = "512MiB" }}
        run = {{ command = ["worker"], env = {{ STORE = "{{service.store.endpoints}}" }} }}
        "#
    );
    Manifest::parse(&text, "shop.toml").unwrap()
}
