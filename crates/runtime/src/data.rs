//! Where the copies of data sets are, and keeping them equal.
//!
//! What is copied and what is a conflict is `skyloom-sync`'s to decide; this knows which store stands for which region.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use skyloom_core::{Class, DataName, DataSpec, Manifest, RegionKey, Timestamp};
use skyloom_sync::{BaseFile, LocalDisk, Store, SyncConfig, SyncError, SyncReport, VerifyReport, sync, verify};
use thiserror::Error;

use crate::store::StoreError;
use crate::sync_records::SyncRecords;

/// A copy of a data set.
#[derive(Debug, Clone)]
pub struct DataPlace {
    /// The store that holds it.
    pub store: Arc<dyn Store>,
    /// What `{data.NAME}` stands for: a path or a URL.
    pub location: String,
}

/// Why the copies of a data set could not be found or made equal.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The manifest in force has no such data set.
    #[error("find data set `{data}`")]
    Unknown {
        /// Its name.
        data: DataName,
    },
    /// The folder of a copy cannot be used.
    #[error(transparent)]
    Folder(#[from] StoreError),
    /// A copy's store cannot be opened.
    #[error("open a copy of data set `{data}`")]
    Open {
        /// Its name.
        data: DataName,
        /// What went wrong.
        source: Box<skyloom_sync::StoreError>,
    },
    /// The copies differ afterwards: some objects are in conflict, failed, or changed meanwhile.
    #[error("make the copy of `{data}` in `{region}` equal to its primary; the outcome says which objects differ")]
    Unequal {
        /// Its name.
        data: DataName,
        /// The first copy that differs.
        region: RegionKey,
        /// All that was done.
        outcome: Box<SyncOutcome>,
    },
    /// Copies could not be made equal.
    #[error("synchronise data set `{data}`")]
    Sync {
        /// Its name.
        data: DataName,
        /// What went wrong.
        source: Box<SyncError>,
    },
}

impl DataError {
    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unknown { .. } => Class::NotFound,
            Self::Folder(error) => error.class(),
            Self::Open { source, .. } => source.class(),
            Self::Unequal { .. } => Class::Conflict,
            Self::Sync { source, .. } => source.class(),
        }
    }
}

/// What a synchronisation of all copies has come to.
#[derive(Debug, Clone, Serialize)]
pub struct SyncOutcome {
    /// The primary copy.
    pub primary: RegionKey,
    /// The other copies, in the manifest's order.
    pub copies: Vec<CopyOutcome>,
}

/// What the synchronisation of one copy has come to.
#[derive(Debug, Clone, Serialize)]
pub struct CopyOutcome {
    /// Where the copy is.
    pub region: RegionKey,
    /// What was done.
    pub report: SyncReport,
    /// Both sides read in full and compared by content hash afterwards.
    pub verification: VerifyReport,
}

impl CopyOutcome {
    /// Whether everything was done and both sides have the same content.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.report.is_complete() && self.verification.is_equal()
    }
}

/// The copies of all data sets.
#[derive(Debug)]
pub(crate) struct DataPlaces {
    folder: PathBuf,
    places: Mutex<BTreeMap<(DataName, RegionKey), DataPlace>>,
    /// The data sets of the manifest in force.
    sets: Mutex<BTreeMap<DataName, DataSpec>>,
    /// When copies were last made equal to their primary.
    synced: SyncRecords,
    /// One synchronisation at a time: two over one merge base would contradict each other.
    busy: Arc<tokio::sync::Mutex<()>>,
}

impl DataPlaces {
    /// Registered copies; the others become folders under `folder` when a manifest names them.
    pub(crate) fn new(folder: &std::path::Path, registered: Vec<(DataName, RegionKey, DataPlace)>) -> Self {
        let places = registered
            .into_iter()
            .map(|(data, region, place)| ((data, region), place))
            .collect();
        Self {
            folder: folder.to_owned(),
            synced: SyncRecords::new(folder.join("sync")),
            places: Mutex::new(places),
            sets: Mutex::default(),
            busy: Arc::default(),
        }
    }

    /// Brings a manifest's data sets into force: each copy has a store from here on.
    pub(crate) fn adopt(&self, manifest: &Manifest) -> Result<(), DataError> {
        for set in &manifest.data {
            for copy in &set.replicas {
                self.ensure(set, &copy.region)?;
            }
        }
        let named = |set: &DataSpec| (set.name.clone(), set.clone());
        *self.sets.lock().unwrap_or_else(PoisonError::into_inner) = manifest.data.iter().map(named).collect();
        Ok(())
    }

    fn ensure(&self, set: &DataSpec, region: &RegionKey) -> Result<(), DataError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (set.name.clone(), region.clone());
        if places.contains_key(&key) {
            return Ok(());
        }
        let name = file_name(&format!("{}-{}", region.cloud, region.region));
        let folder = self.folder.join("data").join(set.name.as_str()).join(name);
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        let open = |source: skyloom_sync::StoreError| DataError::Open {
            data: set.name.clone(),
            source: Box::new(source),
        };
        let store = LocalDisk::open(&folder).map_err(open)?;
        let location = folder.to_string_lossy().into_owned();
        places.insert(
            key,
            DataPlace {
                store: Arc::new(store),
                location,
            },
        );
        Ok(())
    }

    /// Where services find a data set: its primary copy, so that there is one place to write to.
    pub(crate) fn location(&self, data: &DataName) -> Option<String> {
        let primary = self.set(data)?.replicas.first()?.region.clone();
        self.place(data, &primary).map(|place| place.location)
    }

    fn set(&self, data: &DataName) -> Option<DataSpec> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.get(data).cloned()
    }

    /// As [`Self::sync`], for a data set of the manifest in force.
    pub(crate) async fn sync_known(&self, data: &DataName, now: Timestamp) -> Result<SyncOutcome, DataError> {
        let set = self
            .set(data)
            .ok_or_else(|| DataError::Unknown { data: data.clone() })?;
        self.sync_set(&set, now).await
    }

    /// When each copy was last made equal to its primary, as far as that was recorded.
    pub(crate) fn synced(&self) -> Result<BTreeMap<(DataName, RegionKey), Timestamp>, StoreError> {
        self.synced.read()
    }

    fn place(&self, data: &DataName, region: &RegionKey) -> Option<DataPlace> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&(data.clone(), region.clone())).cloned()
    }

    /// Makes every copy equal to the primary (or both to each other, in two-way mode), and verifies it.
    pub(crate) async fn sync(
        &self,
        manifest: &Manifest,
        data: &DataName,
        now: Timestamp,
    ) -> Result<SyncOutcome, DataError> {
        let unknown = || DataError::Unknown { data: data.clone() };
        let set = manifest.data_set(data).ok_or_else(unknown)?;
        self.sync_set(set, now).await
    }

    async fn sync_set(&self, set: &DataSpec, now: Timestamp) -> Result<SyncOutcome, DataError> {
        let data = &set.name;
        let unknown = || DataError::Unknown { data: data.clone() };
        let (primary, others) = set.replicas.split_first().ok_or_else(unknown)?;
        let from = self.place(data, &primary.region).ok_or_else(unknown)?.store;
        let config = SyncConfig::new(set.sync.map(|sync| sync.mode).unwrap_or_default());
        let bases = self.folder.join("sync").join(data.as_str());
        fs::create_dir_all(&bases).map_err(StoreError::io("create", &bases))?;
        let mut copies = Vec::new();
        for copy in others {
            let to = self.place(data, &copy.region).ok_or_else(unknown)?.store;
            let base = BaseFile::new(bases.join(file_name(&format!("{}--{}.json", primary.region, copy.region))));
            let busy = Arc::clone(&self.busy).lock_owned().await;
            let (report, verification) = copy_and_verify(busy, [Arc::clone(&from), to], base, config.clone(), now)
                .await
                .map_err(|source| DataError::Sync {
                    data: data.clone(),
                    source: Box::new(source),
                })?;
            let outcome = CopyOutcome {
                region: copy.region.clone(),
                report,
                verification,
            };
            if outcome.is_verified() {
                self.synced.note(data, &copy.region, now)?;
            }
            copies.push(outcome);
        }
        let outcome = SyncOutcome {
            primary: primary.region.clone(),
            copies,
        };
        match outcome.copies.iter().find(|copy| !copy.is_verified()) {
            None => Ok(outcome),
            Some(copy) => {
                let region = copy.region.clone();
                Err(DataError::Unequal {
                    data: data.clone(),
                    region,
                    outcome: Box::new(outcome),
                })
            }
        }
    }
}

/// Stores of a local disk block, so the whole runs on a thread that may. It ends there even when nobody waits for it any
/// more, so it keeps the right to synchronise until then.
async fn copy_and_verify(
    busy: tokio::sync::OwnedMutexGuard<()>,
    [from, to]: [Arc<dyn Store>; 2],
    base: BaseFile,
    config: SyncConfig,
    now: Timestamp,
) -> Result<(SyncReport, VerifyReport), SyncError> {
    let runtime = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let _busy = busy;
        runtime.block_on(async {
            let report = sync(&*from, &*to, &base, &config, now).await?;
            Ok((report, verify(&*from, &*to, &config).await?))
        })
    });
    work.await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Region names may have characters that file names may not.
fn file_name(text: &str) -> String {
    text.replace(['/', ':'], "_")
}
