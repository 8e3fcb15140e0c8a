//! What decisions remember across restarts: one small document each beside the state, replaced as a whole, with a version.

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skyloom_orchestrator::{FAILOVER_VERSION, FailoverHistory, HEAL_VERSION, HealHistory};

use crate::hold::Hold;
use crate::store::{Document, StoreError};

/// A history that is kept as a document of its own.
pub(super) trait Kept: Serialize + DeserializeOwned + Default {
    /// Where it is kept.
    const DOCUMENT: Document;
    /// The version that is understood.
    const VERSION: u32;
}

impl Kept for HealHistory {
    const DOCUMENT: Document = Document::HEALING;
    const VERSION: u32 = HEAL_VERSION;
}

impl Kept for FailoverHistory {
    const DOCUMENT: Document = Document::FAILOVER;
    const VERSION: u32 = FAILOVER_VERSION;
}

/// Replaces a history.
pub(super) async fn save<T: Kept>(hold: &Hold, history: &T) -> Result<(), StoreError> {
    let json = serde_json::to_vec(history).expect("invariant: a history has a JSON form");
    hold.replace(T::DOCUMENT, &json).await
}

/// The history of before; a fresh one where there is none.
pub(super) async fn load<T: Kept>(hold: &Hold) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Some(bytes) = hold.read(T::DOCUMENT).await? else {
        return Ok(T::default());
    };
    let format = |detail| StoreError::Format {
        path: hold.path(T::DOCUMENT.name()),
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
