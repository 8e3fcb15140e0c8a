//! State in any object store with conditional writes (feature `object-store`).
//!
//! One object is ever replaced, the head: it has the lease, and says which other objects count. All others are written
//! once, under names that nobody uses again. A change takes effect when the head is replaced under the condition that it
//! is still the one that was read, and at no other moment: so a controller whose lease was taken changes nothing, however
//! late its requests arrive. Two requests per change instead of one are the price; appending without the head would need
//! a barrier per kind of write, each to be proven by itself.
//!
//! Whether a lease lasts is not read off any clock on the wall: a contender watches the head, and takes the lease when it
//! was not renewed for the lease's whole time by the contender's own monotonic clock. So opening after a crash waits for
//! that time once, and neither clocks that differ nor one that is set back matter.

mod head;
mod session;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
pub use object_store;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion};
use skyloom_core::{Class, Timestamp};
use tokio::time::Instant;

use super::control_store::{Ask, ControlStore, Session};
use super::error::StoreError;
use crate::clock::Clock;
use head::{Head, object_epoch};
use session::{Local, ObjectSession};

/// State under a prefix of an object store.
///
/// ```
/// # tokio_test(async {
/// use skyloom_runtime::store::object::{ObjectControlStore, object_store::memory::InMemory};
/// use skyloom_runtime::store::{Ask, ControlStore};
///
/// let store = ObjectControlStore::new(InMemory::new(), "shop");
/// let ask = Ask { holder: "me".to_owned(), ttl: std::time::Duration::from_secs(15) };
/// let session = store.take(&ask).await.unwrap();
/// assert_eq!(session.epoch(), 1);
/// # });
/// # fn tokio_test(f: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(f);
/// # }
/// ```
pub struct ObjectControlStore {
    objects: Objects,
    clock: Arc<dyn Clock>,
    /// Epoch and renewals of the lease that was seen last, and since when it has been seen so.
    seen: Mutex<Option<((u64, u64), Timestamp)>>,
    /// Whether the server was seen to keep its conditions.
    is_checked: AtomicBool,
}

impl fmt::Debug for ObjectControlStore {
    /// The place only: what an object store prints of itself may be more than is wanted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectControlStore({})", self.objects.place().display())
    }
}

impl ObjectControlStore {
    /// The store under this prefix, with a slash or without. Nothing else may be kept there.
    #[must_use]
    pub fn new(store: impl ObjectStore, prefix: &str) -> Self {
        Self {
            objects: Objects {
                store: Arc::new(store),
                prefix: Path::from(prefix),
            },
            clock: Arc::new(Monotonic(Instant::now())),
            seen: Mutex::default(),
            is_checked: AtomicBool::new(false),
        }
    }

    /// The same with another clock by which other controllers' leases are watched. It must not go faster than theirs.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Whether the lease of this head still lasts, as far as this handle has seen; then how long yet.
    fn lasts(&self, head: &Head) -> Option<Duration> {
        head.holder.as_ref()?;
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match &*seen {
            Some((lease, since)) if *lease == (head.epoch, head.renewals) => *since,
            _ => {
                *seen = Some(((head.epoch, head.renewals), now));
                now
            }
        };
        let left = head.ttl().saturating_sub(now.saturating_since(since));
        (!left.is_zero()).then_some(left)
    }

    fn held(&self, head: &Head, left: Option<Duration>) -> StoreError {
        StoreError::Held {
            path: self.objects.place(),
            holder: head.holder.clone(),
            lapses_within: left,
        }
    }
}

#[async_trait]
impl ControlStore for ObjectControlStore {
    async fn take(&self, ask: &Ask) -> Result<Arc<dyn Session>, StoreError> {
        let objects = &self.objects;
        let nonce = nonce(objects)?;
        let (mut tried, mut lost) = (0, 1);
        let (head, version) = loop {
            let (head, mode) = match objects.head().await? {
                None => (Head::first(ask, &nonce), PutMode::Create),
                Some((head, version)) => {
                    if let Some(left) = self.lasts(&head) {
                        return Err(self.held(&head, Some(left)));
                    }
                    (head.next(ask, &nonce), PutMode::Update(version))
                }
            };
            tried += 1;
            let error = match objects.put_head(&head, mode).await {
                Ok(version) => break (head, version),
                Err(error) => error,
            };
            match objects.head().await? {
                // It was ourselves, and the answer was lost.
                Some((there, version)) if there.stamp == head.stamp => break (there, version),
                // Another contender, or a last change of a holder whose lease has lapsed: it does not make it longer.
                _ if is_condition(&error) && tried < TAKES_MAX => {}
                // No answer that says anything: it was not made, or refused for what it was to replace.
                _ if !is_condition(&error) && lost < ATTEMPTS => lost += 1,
                Some((there, _)) if is_condition(&error) => return Err(self.held(&there, None)),
                _ => return Err(objects.failed("take the lease of", error)),
            }
        };
        if !self.is_checked.load(Ordering::Relaxed) {
            objects.check_conditions(head.epoch).await?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        let local = Local::new(head, version);
        Ok(Arc::new(ObjectSession::new(objects.clone(), nonce, local)))
    }
}

/// The objects of one control plane.
#[derive(Clone)]
struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// Times that a lapsed lease is tried for while its holder goes on writing.
const TAKES_MAX: u32 = 64;
/// Times that an object which is written once is written before it is given up: an answer may be lost.
const ATTEMPTS: u32 = 3;

impl Objects {
    fn place(&self) -> PathBuf {
        PathBuf::from(self.store.to_string()).join(self.prefix.as_ref())
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn failed(&self, operation: &'static str, error: object_store::Error) -> StoreError {
        use object_store::Error;
        let class = match &error {
            Error::NotFound { .. } => Class::NotFound,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Class::Denied,
            Error::NotSupported { .. } | Error::NotImplemented { .. } => Class::Unsupported,
            Error::AlreadyExists { .. } | Error::Precondition { .. } => Class::Conflict,
            Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => Class::Invalid,
            _ => Class::Transient,
        };
        StoreError::Unavailable {
            operation,
            place: self.place(),
            class,
            source: Box::new(error),
        }
    }

    /// The head with the condition under which it is replaced; `None` where nothing ever was.
    async fn head(&self) -> Result<Option<(Head, UpdateVersion)>, StoreError> {
        let got = match self.store.get(&self.path("head")).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", error)),
        };
        let version = UpdateVersion {
            e_tag: got.meta.e_tag.clone(),
            version: got.meta.version.clone(),
        };
        let bytes = got.bytes().await.map_err(|error| self.failed("read", error))?;
        let head = Head::from_bytes(&bytes, &self.place().join("head"))?;
        Ok(Some((head, version)))
    }

    async fn put_head(&self, head: &Head, mode: PutMode) -> Result<UpdateVersion, object_store::Error> {
        let payload = PutPayload::from(head.to_bytes());
        let put = self.store.put_opts(&self.path("head"), payload, mode.into()).await?;
        Ok(put.into())
    }

    /// Writes an object whose name nobody else uses and nobody uses again.
    async fn put_once(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            let payload = PutPayload::from(bytes.to_vec());
            match self
                .store
                .put_opts(&self.path(name), payload, PutMode::Create.into())
                .await
            {
                // There already: an attempt whose answer was lost, since the name is ours alone.
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
                Err(error) if attempt == ATTEMPTS => return Err(self.failed("write to", error)),
                Err(_) => attempt += 1,
            }
        }
    }

    /// The bytes of an object that the head names; `None` when it is not there.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let got = match self.store.get(&self.path(name)).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    /// Removes what the head does not name any more. What cannot be removed is swept by a later holder.
    async fn forget(&self, names: Vec<String>) {
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let gone = self
            .store
            .delete_stream(stream::iter(paths).boxed())
            .collect::<Vec<_>>()
            .await;
        let failed =
            |one: &Result<Path, object_store::Error>| !matches!(one, Ok(_) | Err(object_store::Error::NotFound { .. }));
        let stay = gone.iter().filter(|one| failed(one)).count();
        if stay > 0 {
            tracing::debug!(stay, "objects that are of no more use stay");
        }
    }

    /// Refuses a server that takes conditional writes and ignores the conditions: everything here rests on them.
    async fn check_conditions(&self, epoch: u64) -> Result<(), StoreError> {
        let name = format!("check/{epoch:020}");
        let path = self.path(&name);
        self.put_once(&name, b"first").await?;
        let wrong = UpdateVersion {
            e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
            version: None,
        };
        for mode in [PutMode::Create, PutMode::Update(wrong)] {
            self.refuses(&path, mode).await?;
        }
        self.forget(vec![name]).await;
        Ok(())
    }

    /// Whether the server refuses a write whose condition does not hold.
    async fn refuses(&self, path: &Path, mode: PutMode) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            let payload = PutPayload::from_static(b"second");
            match self.store.put_opts(path, payload, mode.clone().into()).await {
                Err(error) if is_condition(&error) => return Ok(()),
                Ok(_) => return Err(StoreError::Unconditional { place: self.place() }),
                Err(error) if attempt == ATTEMPTS => {
                    return Err(self.failed("try the conditional writes of", error));
                }
                Err(_) => attempt += 1,
            }
        }
    }

    /// Removes what earlier holders have written without its ever having counted, or have not removed. Their requests may
    /// still arrive, but none of them can make such an object count: the head has changed.
    async fn sweep(&self, head: &Head) {
        let listed = self
            .store
            .list(Some(&self.prefix))
            .map_ok(|meta| meta.location)
            .try_collect::<Vec<Path>>();
        let listed = match listed.await {
            Ok(listed) => listed,
            Err(error) => return tracing::debug!(%error, "what earlier controllers have left stays"),
        };
        let names = listed.iter().filter_map(|path| {
            let parts: Vec<_> = path
                .prefix_match(&self.prefix)?
                .map(|part| part.as_ref().to_owned())
                .collect();
            Some(parts.join("/"))
        });
        let is_left = |name: &String| object_epoch(name).is_some_and(|epoch| epoch < head.epoch) && !head.names(name);
        self.forget(names.filter(is_left).collect()).await;
    }
}

/// Whether a write was refused for its condition.
const fn is_condition(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }
    )
}

/// What tells the writes of one session from those of all others.
fn nonce(objects: &Objects) -> Result<String, StoreError> {
    let mut bytes = [0; 8];
    let refused = |error| StoreError::io("draw random bytes for", &objects.place())(std::io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(refused)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

/// Time since the handle was made, by a clock that is never set.
#[derive(Debug)]
struct Monotonic(Instant);

impl Clock for Monotonic {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.saturating_add(self.0.elapsed())
    }
}
