//! When each copy of a data set was last made equal to its primary and verified: what is known of how much a loss would
//! lose. Kept in a file beside the merge bases; times are those at which the copying began.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use skyloom_core::{DataName, RegionKey, Timestamp};

use crate::store::{StoreError, read_if_there, replace_file};

/// Version of the file's form.
const VERSION: u32 = 1;

/// The records of all data sets.
#[derive(Debug)]
pub(crate) struct SyncRecords {
    folder: PathBuf,
    /// Two copies may be ready in the same moment.
    busy: Mutex<()>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    version: u32,
    copies: Vec<Record>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    data: DataName,
    region: RegionKey,
    at: Timestamp,
}

impl SyncRecords {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            busy: Mutex::new(()),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("synced.json")
    }

    /// All records; none where there is no file.
    pub(crate) fn read(&self) -> Result<BTreeMap<(DataName, RegionKey), Timestamp>, StoreError> {
        let path = self.path();
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(BTreeMap::new());
        };
        let format = |detail| StoreError::Format { path, detail };
        let file: File = match serde_json::from_slice(&bytes) {
            Ok(file) => file,
            Err(error) => return Err(format(crate::call::chain(&error))),
        };
        if file.version != VERSION {
            let version = file.version;
            return Err(format(format!(
                "it has version {version}, version {VERSION} is understood"
            )));
        }
        let records = file.copies.into_iter();
        Ok(records
            .map(|record| ((record.data, record.region), record.at))
            .collect())
    }

    /// Notes that a copy was equal to what its primary was at `at`.
    pub(crate) fn note(&self, data: &DataName, region: &RegionKey, at: Timestamp) -> Result<(), StoreError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.read()?;
        all.insert((data.clone(), region.clone()), at);
        let copies = all.into_iter().map(|((data, region), at)| Record { data, region, at });
        let file = File {
            version: VERSION,
            copies: copies.collect(),
        };
        let json = serde_json::to_vec_pretty(&file).expect("invariant: sync records have a JSON form");
        fs::create_dir_all(&self.folder).map_err(StoreError::io("create", &self.folder))?;
        replace_file(&self.path(), &json)
    }
}
