//! What decisions remember across restarts: one small file each beside the state, replaced as a whole, with a version.

use std::path::Path;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skyloom_orchestrator::{FAILOVER_VERSION, FailoverHistory, HEAL_VERSION, HealHistory};

use crate::store::{StoreError, read_if_there, replace_file};

/// A history that is kept in a file.
pub(super) trait Kept: Serialize + DeserializeOwned + Default {
    /// The file beside the state.
    const FILE: &'static str;
    /// The version that is understood.
    const VERSION: u32;
}

impl Kept for HealHistory {
    const FILE: &'static str = "healing.json";
    const VERSION: u32 = HEAL_VERSION;
}

impl Kept for FailoverHistory {
    const FILE: &'static str = "failover.json";
    const VERSION: u32 = FAILOVER_VERSION;
}

/// Replaces a history.
pub(super) fn save<T: Kept>(state_path: &Path, history: &T) -> Result<(), StoreError> {
    let json = serde_json::to_vec(history).expect("invariant: a history has a JSON form");
    replace_file(&state_path.with_file_name(T::FILE), &json)
}

/// The history of before; a fresh one where there is none.
pub(super) fn load<T: Kept>(state_path: &Path) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let path = state_path.with_file_name(T::FILE);
    let Some(bytes) = read_if_there(&path)? else {
        return Ok(T::default());
    };
    let format = |detail| StoreError::Format {
        path: path.clone(),
        detail,
    };
    let damaged = |error: serde_json::Error| format(crate::call::chain(&error));
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version != T::VERSION {
        let understood = T::VERSION;
        return Err(format(format!(
            "it has version {version}, version {understood} is understood"
        )));
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}
