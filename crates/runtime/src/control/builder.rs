//! Putting a control plane together: its folder, its drivers, its rules.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;

use skyloom_core::{Catalogue, DataName, OwnerTag, RegionKey};
use skyloom_provider::{Driver, RateLimit};
use skyloom_security::access::{AllowAll, Authorizer};
use skyloom_security::audit::LogKey;
use skyloom_sync::Store;

use super::around::Outage;
use super::plane::Inner;
use super::{ControlPlane, histories};
use crate::analysis::{AnalysisSource, Sources};
use crate::clock::{Clock, SystemClock};
use crate::config::RuntimeConfig;
use crate::data::{DataPlace, DataPlaces};
use crate::drivers::Drivers;
use crate::endpoints::Endpoints;
use crate::env::{EnvSecrets, SecretResolver};
use crate::error::Error;
use crate::hold::Hold;
use crate::insight::Metrics;
use crate::shared::{Parts, Shared};
use crate::store::{AuditFile, ControlStore, DirStore, Document, Interrupted, Lease, State, StoreError, seed};

/// The parts of a control plane. Only the folder and a driver are needed.
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ControlPlaneBuilder {
    state_dir: PathBuf,
    store: Option<Arc<dyn ControlStore>>,
    holder: Option<String>,
    drivers: Drivers,
    catalogue: Option<Catalogue>,
    authorizer: Arc<dyn Authorizer>,
    clock: Arc<dyn Clock>,
    secrets: Arc<dyn SecretResolver>,
    sources: Sources,
    config: RuntimeConfig,
    audit_key: Option<LogKey>,
    data: Vec<(DataName, RegionKey, DataPlace)>,
}

impl ControlPlaneBuilder {
    pub(super) fn new() -> Self {
        Self {
            state_dir: PathBuf::from("skyloom-state"),
            store: None,
            holder: None,
            drivers: Drivers::default(),
            catalogue: None,
            authorizer: Arc::new(AllowAll),
            clock: Arc::new(SystemClock),
            secrets: Arc::new(EnvSecrets),
            sources: Sources::default(),
            config: RuntimeConfig::new(),
            audit_key: None,
            data: Vec::new(),
        }
    }

    /// The folder of the control plane; `skyloom-state` by default. Created where it is not there.
    pub fn state_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_dir = folder.into();
        self
    }

    /// What keeps lease, journal and state; the folder by default. The audit log, its key, the endpoints file and data
    /// sets without a store of their own stay in the folder. Such a control plane is opened by [`Self::open`].
    pub fn store(mut self, store: impl ControlStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What others are told while this controller holds the lease; the process and a random number by default.
    pub fn holder(mut self, name: impl Into<String>) -> Self {
        self.holder = Some(name.into());
        self
    }

    /// Registers a driver. One that names its clouds goes before one that stands in for all.
    pub fn provider(mut self, driver: impl Driver + 'static) -> Self {
        self.drivers.register(Arc::new(driver));
        self
    }

    /// As [`Self::provider`], for a provider that throttles: no more calls per second than this are made, all operations
    /// together. A call that comes too early waits; the wait counts as part of the call's time.
    pub fn provider_within(mut self, driver: impl Driver + 'static, limit: RateLimit) -> Self {
        self.drivers.register_within(Arc::new(driver), limit);
        self
    }

    /// The price catalogue; the built-in one by default.
    pub fn catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = Some(catalogue);
        self
    }

    /// Who decides about access; by default everybody may do everything, which fits a program that is its own only user.
    pub fn authorizer(mut self, authorizer: impl Authorizer + 'static) -> Self {
        self.authorizer = Arc::new(authorizer);
        self
    }

    /// The clock; the operating system's by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where secret values come from; by default backend `env` is this process's environment.
    pub fn secrets(mut self, secrets: impl SecretResolver + 'static) -> Self {
        self.secrets = Arc::new(secrets);
        self
    }

    /// Registers a source of measurements for rollouts with analysis. Sources are asked in the order in which they were
    /// registered; the built-in metrics come last.
    pub fn analysis(mut self, source: impl AnalysisSource + 'static) -> Self {
        self.sources.register(Arc::new(source));
        self
    }

    /// Bounds and intervals.
    pub fn config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }

    /// The key that signs audit checkpoints. By default one is made and kept in the state folder, which shows
    /// tampering by whoever cannot read that folder; a key from elsewhere shows tampering by others as well.
    pub fn audit_key(mut self, key: LogKey) -> Self {
        self.audit_key = Some(key);
        self
    }

    /// The store of a data set's copy in a region, and what `{data.NAME}` stands for there. Copies that are not
    /// registered are folders under the state folder.
    pub fn data_store(
        mut self,
        data: DataName,
        region: RegionKey,
        store: impl Store + 'static,
        location: impl Into<String>,
    ) -> Self {
        self.data.push((
            data,
            region,
            DataPlace {
                store: Arc::new(store),
                location: location.into(),
            },
        ));
        self
    }

    /// As [`Self::open`], for a control plane in a folder: that needs no waiting and no executor.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::NeedsOpen`] where a store was given.
    pub fn build(self) -> Result<ControlPlane, Error> {
        if self.store.is_some() || !self.config.lease.wait.is_zero() {
            return Err(Error::NeedsOpen);
        }
        // The directory store never waits while it is opened, so this is ready at once.
        self.open().now_or_never().unwrap_or(Err(Error::NeedsOpen))
    }

    /// Takes the lease and reads what is there. A plan of before a crash is found here and waits for
    /// [`ControlPlane::recover`]. Where the lease lapses by time it is renewed by a task of the executor that this runs
    /// on, until the control plane is dropped or closed.
    ///
    /// # Errors
    /// [`Error::NoDriver`]; [`Error::Store`] when the folder or the store cannot be used, another controller holds it, or
    /// something in it is damaged.
    pub async fn open(self) -> Result<ControlPlane, Error> {
        if self.drivers.is_empty() {
            return Err(Error::NoDriver);
        }
        let folder = &self.state_dir;
        fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        let folder = &fs::canonicalize(folder).map_err(StoreError::io("open", folder))?;
        let holder = self.holder.map_or_else(a_name, Ok)?;
        let gate = self.drivers.gate().clone();
        let lease = &self.config.lease;
        let hold = match &self.store {
            // The folder is kept from other controllers of this machine all the same: it has the audit log.
            Some(store) => {
                let folder = Lease::take(&folder.join("lease"))?;
                Hold::take(store.as_ref(), lease, holder, gate, Some(folder)).await?
            }
            None => Hold::take(&DirStore::new(folder), lease, holder, gate, None).await?,
        };
        let owner = OwnerTag::new(format!("skyloom-{}", hex(&identity(&hold).await?[..8])))?;
        let audit_key = match self.audit_key {
            Some(key) => key,
            None => own_key(&owner, &seed(&folder.join("audit.key"))?),
        };
        let state = load_state(&hold).await?;
        let interrupted = Interrupted::from_entries(hold.entries().await?, &state);
        let heal = histories::load(&hold).await?;
        let outage = Outage::new(histories::load(&hold).await?);
        let data = DataPlaces::new(folder, self.data);
        if let Some(manifest) = &state.manifest {
            data.adopt(manifest)?;
        }
        let shared = Shared::new(Parts {
            config: self.config,
            owner,
            drivers: self.drivers,
            catalogue: self.catalogue.unwrap_or_else(Catalogue::builtin),
            authorizer: self.authorizer,
            clock: self.clock,
            secrets: self.secrets,
            sources: self.sources,
            data,
            hold,
            audit: AuditFile::open(folder, audit_key)?,
            endpoints: Endpoints::new(folder.join("endpoints.json")),
        });
        let inner = Inner {
            state,
            interrupted,
            heal,
            outage,
        };
        shared.recall.set_out(inner.outage.history.out());
        Ok(ControlPlane::assemble(Arc::new(shared), inner, Metrics::default()))
    }
}

/// The bytes that the owner tag comes from: made once, by the first controller of the store.
async fn identity(hold: &Hold) -> Result<[u8; 32], StoreError> {
    if let Some(bytes) = hold.read(Document::IDENTITY).await? {
        return <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| StoreError::Format {
            path: hold.path(Document::IDENTITY.name()),
            detail: format!("it has {} bytes, expected 32", bytes.len()),
        });
    }
    let bytes = random(&hold.path(Document::IDENTITY.name()))?;
    hold.replace(Document::IDENTITY, &bytes).await?;
    Ok(bytes)
}

async fn load_state(hold: &Hold) -> Result<State, StoreError> {
    let Some(bytes) = hold.read(Document::STATE).await? else {
        return Ok(State::default());
    };
    State::from_bytes(&bytes).map_err(|detail| StoreError::Format {
        path: hold.path(Document::STATE.name()),
        detail,
    })
}

/// A name for this controller that no other has.
fn a_name() -> Result<String, StoreError> {
    let random = random(Path::new("the holder's name"))?;
    Ok(format!("process {} ({})", std::process::id(), hex(&random[..4])))
}

fn random(what: &Path) -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    let refused = |error| StoreError::io("draw random bytes for", what)(std::io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

/// The key of the control plane's own making.
fn own_key(owner: &OwnerTag, seed: &[u8; 32]) -> LogKey {
    LogKey::from_seed(owner.as_str(), seed).expect("invariant: `skyloom-` and hexadecimal digits can name a log")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
