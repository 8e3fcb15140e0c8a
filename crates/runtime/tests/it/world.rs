//! A world for whole control planes: a simulated cloud whose time follows tokio's paused clock.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use skyloom_core::{Catalogue, Manifest, Timestamp};
use skyloom_provider::Kind;
use skyloom_provider::sim::{SimCloud, SimConfig, TimedCloud};
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

/// A cloud, a folder for the control plane, and somebody who may do everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) driver: TimedCloud,
    pub(crate) clock: PausedClock,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) me: Principal,
}

impl World {
    pub(crate) fn new(config: SimConfig) -> Self {
        let clock = PausedClock(Instant::now());
        Self {
            driver: SimCloud::new(config).following(move || clock.now()),
            clock,
            folder: tempfile::tempdir().unwrap(),
            me: Principal::new("mira", []),
        }
    }

    pub(crate) fn clock(&self) -> PausedClock {
        self.clock
    }

    /// Another on the same cloud, with a folder of its own.
    pub(crate) fn beside(&self) -> Self {
        Self {
            driver: self.driver.clone(),
            clock: self.clock,
            folder: tempfile::tempdir().unwrap(),
            me: self.me.clone(),
        }
    }

    pub(crate) fn builder_in(&self, folder: &Path) -> ControlPlaneBuilder {
        ControlPlane::builder()
            .state_dir(folder)
            .provider(self.driver.clone())
            .clock(self.clock)
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
