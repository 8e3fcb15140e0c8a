//! User metadata beside the objects of a disk store.
//!
//! A record is filed under the key and the content it belongs to. So it can be written before the object takes its
//! place: a crash between leaves a record that nobody looks up, never an object with metadata of another version.
//! Extended attributes were not taken because many file systems lack them or lose them on copy.

use serde::{Deserialize, Serialize};

use super::hidden::Hidden;
use super::local::Durability;
use crate::hash::Hasher;
use crate::store::{Cause, Metadata};
use crate::{ContentHash, Key};

/// Version of a record.
const RECORD_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    key: Key,
    hash: ContentHash,
    metadata: Metadata,
}

/// Folder and name of the record of one content of one key.
fn place(key: &Key, hash: &ContentHash) -> (String, String) {
    let mut hasher = Hasher::default();
    hasher.update(key.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(hash.as_bytes());
    let name = hasher.finish().0.to_string();
    (format!("meta/{}", &name[..2]), name)
}

pub(super) fn read(hidden: &Hidden, key: &Key, hash: &ContentHash) -> Result<Metadata, Cause> {
    let (folder, name) = place(key, hash);
    let Some(bytes) = hidden.read(&format!("{folder}/{name}")).map_err(Cause::from_io)? else {
        return Ok(Metadata::new());
    };
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| Cause::from_io(error.into()))?;
    Ok(record.metadata)
}

pub(super) fn write(
    hidden: &Hidden,
    key: &Key,
    hash: &ContentHash,
    metadata: &Metadata,
    durability: Durability,
) -> Result<(), Cause> {
    if metadata.is_empty() {
        return remove(hidden, key, hash);
    }
    let record = Record {
        version: RECORD_VERSION,
        key: key.clone(),
        hash: *hash,
        metadata: metadata.clone(),
    };
    let bytes = serde_json::to_vec(&record).map_err(|error| Cause::from_io(error.into()))?;
    let (folder, name) = place(key, hash);
    hidden
        .replace(&folder, &name, &bytes, durability)
        .map_err(Cause::from_io)
}

pub(super) fn remove(hidden: &Hidden, key: &Key, hash: &ContentHash) -> Result<(), Cause> {
    let (folder, name) = place(key, hash);
    hidden.remove(&format!("{folder}/{name}")).map_err(Cause::from_io)
}
