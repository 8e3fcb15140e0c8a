//! What several tests need: short names for keys and contents, two stores and their base.

use std::collections::BTreeMap;

use futures::executor::block_on;
use skyloom_core::Timestamp;
use skyloom_sync::{
    ContentHash, InMemory, InMemoryBase, Key, Store, SyncConfig, SyncError, SyncMode, SyncPlan, SyncReport, prepare,
    sync,
};

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

/// Two stores in memory and their base.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) left: InMemory,
    pub(crate) right: InMemory,
    pub(crate) base: InMemoryBase,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            left: InMemory::new("left"),
            right: InMemory::new("right"),
            base: InMemoryBase::new(),
        }
    }

    pub(crate) fn with(left: &[(&str, &str)], right: &[(&str, &str)]) -> Self {
        let world = Self::new();
        fill(&world.left, left);
        fill(&world.right, right);
        world
    }

    pub(crate) fn sync(&self, config: &SyncConfig) -> Result<SyncReport, SyncError> {
        block_on(sync(&self.left, &self.right, &self.base, config, Timestamp::EPOCH))
    }

    pub(crate) fn prepare(&self, config: &SyncConfig) -> Result<SyncPlan, SyncError> {
        block_on(prepare(&self.left, &self.right, &self.base, config))
    }

    pub(crate) fn contents(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        (texts(&self.left), texts(&self.right))
    }
}

pub(crate) fn fill(store: &InMemory, objects: &[(&str, &str)]) {
    for (name, text) in objects {
        store.insert(key(name), text.as_bytes());
    }
}

pub(crate) fn texts(store: &InMemory) -> BTreeMap<String, String> {
    let contents = store.contents().into_iter();
    contents
        .map(|(key, bytes)| (key.to_string(), String::from_utf8(bytes).unwrap()))
        .collect()
}

pub(crate) fn texts_of(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect()
}

pub(crate) fn mirror() -> SyncConfig {
    SyncConfig::new(SyncMode::Mirror)
}

pub(crate) fn two_way() -> SyncConfig {
    SyncConfig::new(SyncMode::TwoWay)
}

/// The bytes of an object, or none.
pub(crate) fn read(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
    block_on(async {
        let mut download = store.get(&key(name), None).await.ok()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = download.body.next_chunk().await.unwrap() {
            bytes.extend(chunk);
        }
        Some(bytes)
    })
}
