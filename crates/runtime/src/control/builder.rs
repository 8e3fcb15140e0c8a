//! Putting a control plane together: its folder, its drivers, its rules.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use skyloom_core::{Catalogue, DataName, OwnerTag, RegionKey};
use skyloom_provider::{Driver, RateLimit};
use skyloom_security::access::{AllowAll, Authorizer};
use skyloom_security::audit::LogKey;
use skyloom_sync::Store;

use super::around::Outage;
use super::plane::Inner;
use super::{ControlPlane, histories};
use crate::clock::{Clock, SystemClock};
use crate::config::RuntimeConfig;
use crate::data::{DataPlace, DataPlaces};
use crate::drivers::Drivers;
use crate::endpoints::Endpoints;
use crate::env::{EnvSecrets, SecretResolver};
use crate::error::Error;
use crate::insight::Metrics;
use crate::shared::{Parts, Shared};
use crate::store::{AuditFile, FileJournal, Interrupted, JournalEntry, Lease, State, StoreError, seed};

/// The parts of a control plane. Only the folder and a driver are needed.
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ControlPlaneBuilder {
    state_dir: PathBuf,
    drivers: Drivers,
    catalogue: Option<Catalogue>,
    authorizer: Arc<dyn Authorizer>,
    clock: Arc<dyn Clock>,
    secrets: Arc<dyn SecretResolver>,
    config: RuntimeConfig,
    audit_key: Option<LogKey>,
    data: Vec<(DataName, RegionKey, DataPlace)>,
}

impl ControlPlaneBuilder {
    pub(super) fn new() -> Self {
        Self {
            state_dir: PathBuf::from("skyloom-state"),
            drivers: Drivers::default(),
            catalogue: None,
            authorizer: Arc::new(AllowAll),
            clock: Arc::new(SystemClock),
            secrets: Arc::new(EnvSecrets),
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

    /// Takes the lease and reads what is there. A plan of before a crash is found here and waits for
    /// [`ControlPlane::recover`].
    ///
    /// # Errors
    /// [`Error::NoDriver`]; [`Error::Store`] when the folder cannot be used, another controller holds it, or a file in it
    /// is damaged.
    pub fn build(self) -> Result<ControlPlane, Error> {
        if self.drivers.is_empty() {
            return Err(Error::NoDriver);
        }
        let folder = &self.state_dir;
        fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        let folder = &fs::canonicalize(folder).map_err(StoreError::io("open", folder))?;
        let lease = Lease::take(&folder.join("lease"))?;
        let owner = OwnerTag::new(format!("skyloom-{}", hex(&seed(&folder.join("identity"))?[..8])))?;
        let audit_key = match self.audit_key {
            Some(key) => key,
            None => own_key(&owner, &seed(&folder.join("audit.key"))?),
        };
        let state = State::load(&folder.join("state.json"))?;
        let opened = FileJournal::open::<JournalEntry>(&folder.join("journal"))?;
        if opened.torn_bytes > 0 {
            tracing::warn!(bytes = opened.torn_bytes, "the journal's torn end was cut off");
        }
        let interrupted = Interrupted::from_entries(opened.records, &state);
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
            data,
            lease,
            audit: AuditFile::open(folder, audit_key)?,
            endpoints: Endpoints::new(folder.join("endpoints.json")),
        });
        let inner = Inner {
            state,
            state_path: folder.join("state.json"),
            journal: Arc::new(Mutex::new(opened.journal)),
            interrupted,
            heal: histories::load(&folder.join("state.json"))?,
            outage: Outage::new(histories::load(&folder.join("state.json"))?),
        };
        shared.recall.set_out(inner.outage.history.out());
        Ok(ControlPlane::assemble(Arc::new(shared), inner, Metrics::default()))
    }
}

/// The key of the control plane's own making.
fn own_key(owner: &OwnerTag, seed: &[u8; 32]) -> LogKey {
    LogKey::from_seed(owner.as_str(), seed).expect("invariant: `skyloom-` and hexadecimal digits can name a log")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
