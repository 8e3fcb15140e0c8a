//! A store in memory: the reference that other stores are compared with, and a stand-in for tests.
//!
//! Its tags are counters, not content hashes, and its listings carry no hashes: as with a bucket, so that nothing above
//! comes to rely on what only a local disk can give.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    ByteStream, BytesBody, Capabilities, Cause, Condition, Cursor, Download, Etag, Head, Metadata, ObjectMeta,
    PAGE_OBJECTS_MAX, Page, Store, StoreError, StoreId, StoreOperation,
};
use crate::Key;

/// A store in memory.
///
/// ```
/// # futures::executor::block_on(async {
/// use skyloom_sync::{BytesBody, Condition, InMemory, Key, Metadata, Store};
///
/// let store = InMemory::new("cache");
/// let key = Key::new("a")?;
/// let mut body = BytesBody::new(*b"hello");
/// store.put(&key, &mut body, &Condition::IfAbsent, &Metadata::new()).await?;
/// assert_eq!(store.head(&key).await?.meta.size, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct InMemory {
    id: StoreId,
    capabilities: Capabilities,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    objects: BTreeMap<Key, Stored>,
}

#[derive(Debug, Clone)]
struct Stored {
    generation: u64,
    bytes: Arc<[u8]>,
    metadata: Metadata,
}

impl Stored {
    fn etag(&self) -> Etag {
        Etag::new(format!("g{}", self.generation))
    }

    fn head(&self, key: &Key) -> Head {
        let meta = ObjectMeta {
            key: key.clone(),
            size: self.bytes.len() as u64,
            etag: self.etag(),
            hash: None,
        };
        let metadata = self.metadata.clone();
        Head { meta, metadata }
    }
}

impl InMemory {
    /// An empty store. `name` is its identity too: two stores of one synchronisation need two names.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            id: StoreId::new(name),
            capabilities: Capabilities::full(),
            state: Mutex::default(),
        }
    }

    /// The same with other capabilities, to try how a plan copes with them; the store itself keeps doing everything.
    #[must_use]
    pub const fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// All objects and their bytes.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<Key, Vec<u8>> {
        let state = self.lock();
        let objects = state.objects.iter();
        objects
            .map(|(key, stored)| (key.clone(), stored.bytes.to_vec()))
            .collect()
    }

    /// Writes as a user would: without condition.
    pub fn insert(&self, key: Key, bytes: impl Into<Arc<[u8]>>) {
        self.lock().store(key, bytes.into(), Metadata::new());
    }

    /// Deletes as a user would; whether it was there.
    pub fn remove(&self, key: &Key) -> bool {
        self.lock().objects.remove(key).is_some()
    }

    /// A panic of another thread cannot leave the map half-changed, so a poisoned lock is taken all the same.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, operation: StoreOperation, key: &Key, cause: Cause) -> StoreError {
        StoreError::new(self.id.as_str(), operation, Some(key), cause)
    }

    fn find(&self, operation: StoreOperation, key: &Key) -> Result<Stored, StoreError> {
        let stored = self.lock().objects.get(key).cloned();
        stored.ok_or_else(|| self.fail(operation, key, Cause::NotFound))
    }
}

impl State {
    fn store(&mut self, key: Key, bytes: Arc<[u8]>, metadata: Metadata) -> ObjectMeta {
        self.generation += 1;
        let stored = Stored {
            generation: self.generation,
            bytes,
            metadata,
        };
        let meta = stored.head(&key).meta;
        self.objects.insert(key, stored);
        meta
    }
}

/// A condition that does not hold, as a cause.
fn unmet(condition: &Condition, found: Option<Etag>) -> Cause {
    Cause::Precondition {
        expected: condition.clone(),
        found,
    }
}

#[async_trait]
impl Store for InMemory {
    fn name(&self) -> &str {
        self.id.as_str()
    }

    fn id(&self) -> &StoreId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let limit = if limit == 0 {
            PAGE_OBJECTS_MAX
        } else {
            limit.min(PAGE_OBJECTS_MAX)
        };
        let state = self.lock();
        let after = after.map_or(&[][..], Cursor::as_bytes);
        // A cursor that is no text lies within no key: the range starts at its last whole character.
        let floor = after.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let from = prefix.max(floor);
        let range: (Bound<&str>, Bound<&str>) = (Bound::Included(from), Bound::Unbounded);
        let mut objects: Vec<ObjectMeta> = state
            .objects
            .range::<str, _>(range)
            .take_while(|(key, _)| key.as_str().starts_with(prefix))
            .filter(|(key, _)| after.is_empty() || key.as_str().as_bytes() > after)
            .take(limit + 1)
            .map(|(key, stored)| stored.head(key).meta)
            .collect();
        let more = objects.len() > limit;
        objects.truncate(limit);
        let last = objects.last().filter(|_| more);
        let next = last.map(|meta| Cursor::after(meta.key.as_str()));
        Ok(Page {
            objects,
            skipped: Vec::new(),
            next,
        })
    }

    async fn head(&self, key: &Key) -> Result<Head, StoreError> {
        Ok(self.find(StoreOperation::Head, key)?.head(key))
    }

    async fn get(&self, key: &Key, if_match: Option<&Etag>) -> Result<Download, StoreError> {
        let stored = self.find(StoreOperation::Get, key)?;
        if let Some(tag) = if_match.filter(|tag| **tag != stored.etag()) {
            let cause = unmet(&Condition::IfMatch(tag.clone()), Some(stored.etag()));
            return Err(self.fail(StoreOperation::Get, key, cause));
        }
        Ok(Download {
            head: stored.head(key),
            body: Box::new(BytesBody::new(stored.bytes)),
        })
    }

    async fn put(
        &self,
        key: &Key,
        body: &mut dyn ByteStream,
        condition: &Condition,
        metadata: &Metadata,
    ) -> Result<ObjectMeta, StoreError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next_chunk().await? {
            bytes.extend(chunk);
        }
        let mut state = self.lock();
        let found = state.objects.get(key).map(Stored::etag);
        if !condition.holds(found.as_ref()) {
            return Err(self.fail(StoreOperation::Put, key, unmet(condition, found)));
        }
        Ok(state.store(key.clone(), bytes.into(), metadata.clone()))
    }

    async fn delete(&self, key: &Key, condition: &Condition) -> Result<(), StoreError> {
        let mut state = self.lock();
        let Some(found) = state.objects.get(key).map(Stored::etag) else {
            return Err(self.fail(StoreOperation::Delete, key, Cause::NotFound));
        };
        if !condition.holds(Some(&found)) {
            return Err(self.fail(StoreOperation::Delete, key, unmet(condition, Some(found))));
        }
        state.objects.remove(key);
        Ok(())
    }
}
