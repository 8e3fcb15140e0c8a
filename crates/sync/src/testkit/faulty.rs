//! A store, and a merge base, that fail at one chosen call: before or after its effect, once or for good.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use skyloom_core::Class;

use crate::base::Base;
use crate::base_store::{BaseError, BaseStore};
use crate::key::Key;
use crate::store::{
    ByteStream, Capabilities, Cause, Condition, Cursor, Download, Etag, Head, Metadata, ObjectMeta, Page, Store,
    StoreError, StoreId, StoreOperation,
};

/// How a chosen call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program dies before the call: it and all later ones fail without effect.
    CrashBefore,
    /// The program dies after the call: it has its effect, which nobody learns of, and all later ones fail.
    CrashAfter,
    /// The call fails without effect, later ones work.
    OnceBefore,
    /// The call has its effect but fails, later ones work: an answer that was lost.
    OnceAfter,
}

/// Which call fails, counted over everything that shares the plan. Reading one chunk of an object counts as a call.
#[derive(Debug)]
pub struct FaultPlan {
    calls: AtomicU64,
    at: u64,
    fault: Fault,
    class: Class,
}

/// What a call is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Work,
    Fail,
    WorkThenFail,
}

impl FaultPlan {
    /// Call number `at`, from 0, fails.
    #[must_use]
    pub fn new(at: u64, fault: Fault) -> Arc<Self> {
        Self::with_class(at, fault, Class::Transient)
    }

    /// Call number `at`, from 0, fails with this class; [`Class::Exhausted`] is a full disk.
    #[must_use]
    pub fn with_class(at: u64, fault: Fault, class: Class) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicU64::new(0),
            at,
            fault,
            class,
        })
    }

    /// No call fails; for counting them.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Self::new(u64::MAX, Fault::OnceBefore)
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn verdict(&self) -> Verdict {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::CrashBefore if call >= self.at => Verdict::Fail,
            Fault::CrashAfter if call > self.at => Verdict::Fail,
            Fault::OnceBefore if call == self.at => Verdict::Fail,
            Fault::CrashAfter | Fault::OnceAfter if call == self.at => Verdict::WorkThenFail,
            _ => Verdict::Work,
        }
    }
}

fn injected(store: &str, operation: StoreOperation, key: Option<&Key>, class: Class) -> StoreError {
    let source = io::Error::other("an injected fault");
    StoreError::new(store, operation, key, Cause::Io { class, source })
}

/// A store whose calls fail as planned.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Arc<FaultPlan>,
}

impl<S: Store> FaultyStore<S> {
    /// `inner`, failing as planned.
    pub const fn new(inner: S, plan: Arc<FaultPlan>) -> Self {
        Self { inner, plan }
    }

    async fn call<T>(
        &self,
        operation: StoreOperation,
        key: Option<&Key>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let fail = || injected(self.inner.name(), operation, key, self.plan.class);
        match self.plan.verdict() {
            Verdict::Work => work.await,
            Verdict::Fail => Err(fail()),
            Verdict::WorkThenFail => work.await.and(Err(fail())),
        }
    }
}

struct FaultyBody {
    inner: Box<dyn ByteStream>,
    plan: Arc<FaultPlan>,
    store: String,
    key: Key,
}

#[async_trait]
impl ByteStream for FaultyBody {
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.plan.verdict() {
            Verdict::Work => self.inner.next_chunk().await,
            Verdict::Fail | Verdict::WorkThenFail => {
                let (key, class) = (Some(&self.key), self.plan.class);
                Err(injected(&self.store, StoreOperation::Get, key, class))
            }
        }
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
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
        self.call(StoreOperation::List, None, self.inner.list(prefix, after, limit))
            .await
    }

    async fn head(&self, key: &Key) -> Result<Head, StoreError> {
        self.call(StoreOperation::Head, Some(key), self.inner.head(key)).await
    }

    async fn get(&self, key: &Key, if_match: Option<&Etag>) -> Result<Download, StoreError> {
        let download = self.call(StoreOperation::Get, Some(key), self.inner.get(key, if_match));
        let Download { head, body } = download.await?;
        let body = FaultyBody {
            inner: body,
            plan: Arc::clone(&self.plan),
            store: self.name().to_owned(),
            key: key.clone(),
        };
        Ok(Download {
            head,
            body: Box::new(body),
        })
    }

    async fn put(
        &self,
        key: &Key,
        body: &mut dyn ByteStream,
        condition: &Condition,
        metadata: &Metadata,
    ) -> Result<ObjectMeta, StoreError> {
        let put = self.inner.put(key, body, condition, metadata);
        self.call(StoreOperation::Put, Some(key), put).await
    }

    async fn delete(&self, key: &Key, condition: &Condition) -> Result<(), StoreError> {
        let delete = self.inner.delete(key, condition);
        self.call(StoreOperation::Delete, Some(key), delete).await
    }
}

/// A merge base whose calls fail as planned.
#[derive(Debug)]
pub struct FaultyBase<B> {
    inner: B,
    plan: Arc<FaultPlan>,
}

impl<B: BaseStore> FaultyBase<B> {
    /// `inner`, failing as planned.
    pub const fn new(inner: B, plan: Arc<FaultPlan>) -> Self {
        Self { inner, plan }
    }
}

fn injected_base(action: &'static str) -> BaseError {
    BaseError::Io {
        action,
        place: "a faulty base".to_owned(),
        class: Class::Transient,
        source: io::Error::other("an injected fault"),
    }
}

#[async_trait]
impl<B: BaseStore> BaseStore for FaultyBase<B> {
    async fn load(&self) -> Result<Option<Base>, BaseError> {
        match self.plan.verdict() {
            Verdict::Work => self.inner.load().await,
            Verdict::Fail | Verdict::WorkThenFail => Err(injected_base("read")),
        }
    }

    async fn save(&self, base: &Base) -> Result<(), BaseError> {
        match self.plan.verdict() {
            Verdict::Work => self.inner.save(base).await,
            Verdict::Fail => Err(injected_base("write")),
            Verdict::WorkThenFail => self.inner.save(base).await.and(Err(injected_base("write"))),
        }
    }
}
