//! Stores that are wrong in one way, as real servers are: a suite that finds nothing in them proves nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::key::Key;
use crate::store::{
    ByteStream, BytesBody, Capabilities, Condition, Cursor, Download, Etag, Head, Metadata, ObjectMeta, Page, Store,
    StoreError, StoreId,
};

/// In which way a store is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutation {
    /// Writes whatever the condition says, as several S3 servers do.
    IgnoresPutConditions,
    /// Deletes whatever the condition says.
    IgnoresDeleteConditions,
    /// Reads whatever version is there.
    IgnoresGetConditions,
    /// Forgets user metadata.
    LosesMetadata,
    /// Keeps an object without its last byte.
    TearsBodies,
    /// Drops the last object of every page that is not the last.
    SkipsBetweenPages,
    /// Ends every listing after its first page.
    TruncatesListings,
    /// Keeps what came before a body failed.
    KeepsFailedBodies,
    /// Flips a bit of the first object that is written, and only of that.
    DamagesFirstPut,
}

impl Mutation {
    /// All that [`check_store`](super::check_store) must find.
    pub const ALL: [Self; 9] = [
        Self::IgnoresPutConditions,
        Self::IgnoresDeleteConditions,
        Self::IgnoresGetConditions,
        Self::LosesMetadata,
        Self::TearsBodies,
        Self::SkipsBetweenPages,
        Self::TruncatesListings,
        Self::KeepsFailedBodies,
        Self::DamagesFirstPut,
    ];
}

/// A store that is wrong in one way.
#[derive(Debug)]
pub struct Mutant<S> {
    inner: S,
    mutation: Mutation,
    puts: AtomicU64,
}

impl<S: Store> Mutant<S> {
    /// `inner`, wrong in this way.
    pub const fn new(inner: S, mutation: Mutation) -> Self {
        Self {
            inner,
            mutation,
            puts: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl<S: Store> Store for Mutant<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn id(&self) -> &StoreId {
        self.inner.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let mut page = self.inner.list(prefix, after, limit).await?;
        match self.mutation {
            Mutation::SkipsBetweenPages if page.next.is_some() => drop(page.objects.pop()),
            Mutation::TruncatesListings => page.next = None,
            _ => {}
        }
        Ok(page)
    }

    async fn head(&self, key: &Key) -> Result<Head, StoreError> {
        self.inner.head(key).await
    }

    async fn get(&self, key: &Key, if_match: Option<&Etag>) -> Result<Download, StoreError> {
        let if_match = if_match.filter(|_| self.mutation != Mutation::IgnoresGetConditions);
        self.inner.get(key, if_match).await
    }

    async fn put(
        &self,
        key: &Key,
        body: &mut dyn ByteStream,
        condition: &Condition,
        metadata: &Metadata,
    ) -> Result<ObjectMeta, StoreError> {
        let (mut bytes, mut failed) = (Vec::new(), None);
        loop {
            match body.next_chunk().await {
                Ok(Some(chunk)) => bytes.extend(chunk),
                Ok(None) => break,
                Err(error) if self.mutation == Mutation::KeepsFailedBodies => {
                    failed = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let put = self.puts.fetch_add(1, Ordering::SeqCst);
        let none = Metadata::new();
        let (mut condition, mut metadata) = (condition, metadata);
        match self.mutation {
            Mutation::IgnoresPutConditions => condition = &Condition::Any,
            Mutation::LosesMetadata => metadata = &none,
            Mutation::TearsBodies => drop(bytes.pop()),
            Mutation::DamagesFirstPut if put == 0 => bytes.iter_mut().take(1).for_each(|b| *b ^= 1),
            _ => {}
        }
        let put = self
            .inner
            .put(key, &mut BytesBody::new(bytes), condition, metadata)
            .await;
        failed.map_or(put, Err)
    }

    async fn delete(&self, key: &Key, condition: &Condition) -> Result<(), StoreError> {
        match self.mutation {
            Mutation::IgnoresDeleteConditions => self.inner.delete(key, &Condition::Any).await,
            _ => self.inner.delete(key, condition).await,
        }
    }
}
