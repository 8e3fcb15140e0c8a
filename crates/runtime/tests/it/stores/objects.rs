//! The object store: the suite over memory, over answers that get lost, and over a real server; servers that take
//! conditions and ignore them; and every place at which another holder can come in between.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use skyloom_runtime::store::conformance::{Damage, Harness, Subject, run};
use skyloom_runtime::store::object::ObjectControlStore;
use skyloom_runtime::store::object::object_store::aws::AmazonS3Builder;
use skyloom_runtime::store::object::object_store::memory::InMemory;
use skyloom_runtime::store::object::object_store::path::Path;
use skyloom_runtime::store::object::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use skyloom_runtime::store::{Ask, ControlStore, Document, Entry, Session, StoreError};
use tokio::sync::{Notify, Semaphore};

use super::clocks::HandClock;
use super::conforming::assert_conforms;

/// What stands between the store and its objects.
#[derive(Debug, Clone)]
enum Between {
    Nothing,
    /// Every so many writes happen and their answer is lost.
    LostAnswers {
        every: u64,
    },
    /// Nothing is conditional.
    IgnoresAll,
    /// What is to be there only if absent overwrites.
    IgnoresAbsent,
    /// What is to be there only if unchanged overwrites.
    IgnoresUnchanged,
    /// The request of this number waits.
    Stops(Arc<Stop>),
}

#[derive(Debug)]
struct Stop {
    /// Requests until the one that waits.
    left: AtomicU64,
    reached: Notify,
    go: Semaphore,
}

#[derive(Debug, Clone)]
struct Tampered {
    inner: Arc<dyn ObjectStore>,
    between: Between,
    writes: Arc<AtomicU64>,
}

impl Tampered {
    fn new(inner: Arc<dyn ObjectStore>, between: Between) -> Self {
        let writes = Arc::default();
        Self { inner, between, writes }
    }

    async fn stop(&self) {
        let Between::Stops(stop) = &self.between else { return };
        let left = |left: u64| left.checked_sub(1);
        if stop.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) == Ok(1) {
            stop.reached.notify_one();
            drop(stop.go.acquire().await.unwrap());
        }
    }
}

impl fmt::Display for Tampered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Tampered {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        self.stop().await;
        let is_ignored = matches!(
            (&self.between, &options.mode),
            (Between::IgnoresAll, _)
                | (Between::IgnoresAbsent, PutMode::Create)
                | (Between::IgnoresUnchanged, PutMode::Update(_))
        );
        if is_ignored {
            options.mode = PutMode::Overwrite;
        }
        let put = self.inner.put_opts(location, payload, options).await;
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        match self.between {
            Between::LostAnswers { every } if write % every == every - 1 => Err(Error::Generic {
                store: "tampered",
                source: "the connection was reset".into(),
            }),
            _ => put,
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "multipart".to_owned(),
            implementer: "tampered".to_owned(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.stop().await;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Fresh prefixes of one object store.
struct Objects {
    name: &'static str,
    store: Arc<dyn ObjectStore>,
    between: Between,
    fresh: AtomicU64,
}

impl Objects {
    fn new(name: &'static str, store: Arc<dyn ObjectStore>, between: Between) -> Self {
        Self {
            name,
            store,
            between,
            fresh: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl Harness for Objects {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn fresh(&self) -> Box<dyn Subject> {
        let number = self.fresh.fetch_add(1, Ordering::SeqCst);
        Box::new(Prefix {
            store: Arc::clone(&self.store),
            seen: Tampered::new(Arc::clone(&self.store), self.between.clone()),
            prefix: format!("run-{}/{}/{number}", std::process::id(), self.name.replace(' ', "-")),
            clock: HandClock::new(),
        })
    }
}

struct Prefix {
    store: Arc<dyn ObjectStore>,
    seen: Tampered,
    prefix: String,
    clock: HandClock,
}

impl Prefix {
    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    async fn bytes(&self, path: &Path) -> Vec<u8> {
        self.store.get(path).await.unwrap().bytes().await.unwrap().to_vec()
    }

    async fn put(&self, path: &Path, bytes: Vec<u8>) {
        self.store.put(path, bytes.into()).await.unwrap();
    }
}

#[async_trait]
impl Subject for Prefix {
    fn open(&self) -> Arc<dyn ControlStore> {
        Arc::new(ObjectControlStore::new(self.seen.clone(), &self.prefix).with_clock(self.clock.clone()))
    }

    async fn lapse(&self) {
        self.clock.advance(Duration::from_secs(20));
    }

    async fn pass(&self, time: Duration) -> bool {
        self.clock.advance(time);
        true
    }

    async fn damage(&self, damage: Damage) -> bool {
        let journal = self.path("journal");
        let listed: Vec<_> = self.store.list(Some(&journal)).collect().await;
        let mut segments: Vec<Path> = listed.into_iter().map(|meta| meta.unwrap().location).collect();
        segments.sort();
        assert_eq!(segments.len(), 3);
        let [first, middle, last] = [0, 1, 2].map(|i| segments[i].clone());
        match damage {
            Damage::Torn => {
                let mut bytes = self.bytes(&last).await;
                bytes.truncate(bytes.len() - 5);
                self.put(&last, bytes).await;
            }
            Damage::Flipped => {
                let mut bytes = self.bytes(&middle).await;
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
                self.put(&middle, bytes).await;
            }
            Damage::Swapped => {
                let (one, other) = (self.bytes(&first).await, self.bytes(&middle).await);
                self.put(&first, other).await;
                self.put(&middle, one).await;
            }
            Damage::Removed => self.store.delete(&middle).await.unwrap(),
            Damage::Later => {
                let head = String::from_utf8(self.bytes(&self.path("head")).await).unwrap();
                let head = head.replacen("\"version\":1", "\"version\":2", 1);
                self.put(&self.path("head"), head.into_bytes()).await;
            }
            _ => return false,
        }
        true
    }
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[tokio::test]
async fn the_object_store_conforms_in_memory() {
    assert_conforms(&run(&Objects::new("memory", memory(), Between::Nothing)).await, 0);
}

#[tokio::test]
async fn the_object_store_conforms_where_answers_get_lost() {
    for every in [2, 3, 5] {
        let harness = Objects::new("memory that loses answers", memory(), Between::LostAnswers { every });
        assert_conforms(&run(&harness).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_object_store_conforms_on_a_real_server() {
    let Ok(address) = std::env::var("SKYLOOM_TEST_S3") else {
        println!("skipped: SKYLOOM_TEST_S3 names no server (http://HOST:PORT/BUCKET)");
        return;
    };
    let (endpoint, bucket) = address.rsplit_once('/').unwrap();
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_bucket_name(bucket)
        .with_allow_http(true);
    let builder = builder
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test");
    let server: Arc<dyn ObjectStore> = Arc::new(builder.build().unwrap());
    assert_conforms(
        &run(&Objects::new("s3", Arc::clone(&server), Between::Nothing)).await,
        0,
    );
    let harness = Objects::new("s3 that loses answers", server, Between::LostAnswers { every: 3 });
    assert_conforms(&run(&harness).await, 0);
}

#[tokio::test]
async fn servers_that_ignore_conditions_are_refused_before_anything_rests_on_them() {
    for between in [Between::IgnoresAll, Between::IgnoresAbsent, Between::IgnoresUnchanged] {
        let store = ObjectControlStore::new(Tampered::new(memory(), between.clone()), "shop");
        let refused = store.take(&ask("a")).await;
        assert!(
            matches!(refused, Err(StoreError::Unconditional { .. })),
            "{between:?}: {refused:?}"
        );
        let report = run(&Objects::new("ignores conditions", memory(), between)).await;
        assert!(!report.failures().is_empty());
    }
}

fn ask(holder: &str) -> Ask {
    Ask {
        holder: holder.to_owned(),
        ttl: Duration::from_secs(20),
    }
}

fn entries(numbers: Range<u32>) -> Vec<Entry> {
    numbers.map(|n| serde_json::value::to_raw_value(&n).unwrap()).collect()
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.get().to_owned()).collect()
}

#[tokio::test]
async fn a_clock_that_is_set_back_takes_no_lease_early() {
    let (objects, clock) = (memory(), HandClock::new());
    let handle = || ObjectControlStore::new(Arc::clone(&objects), "shop").with_clock(clock.clone());
    let _holder = handle().take(&ask("a")).await.unwrap();
    let other = handle();
    let held = other.take(&ask("b")).await;
    assert!(
        matches!(held, Err(StoreError::Held { holder: Some(ref name), .. }) if name == "a"),
        "{held:?}"
    );
    clock.set_back(Duration::from_secs(3600));
    assert!(other.take(&ask("b")).await.is_err());
    clock.advance(Duration::from_secs(3610));
    assert!(other.take(&ask("b")).await.is_err(), "half its time has passed");
    clock.advance(Duration::from_secs(10));
    assert_eq!(other.take(&ask("b")).await.unwrap().epoch(), 2);
}

#[tokio::test]
async fn nothing_stays_behind_that_does_not_count() {
    let objects = memory();
    let (store, clock) = (Arc::clone(&objects), HandClock::new());
    let handle = || ObjectControlStore::new(Arc::clone(&store), "shop").with_clock(clock.clone());
    let stale = handle().take(&ask("a")).await.unwrap();
    for n in 0..5 {
        stale.append(&entries(n..n + 1)).await.unwrap();
        stale.replace(Document::STATE, b"{}").await.unwrap();
    }
    let other = handle();
    assert!(other.take(&ask("b")).await.is_err());
    clock.advance(Duration::from_secs(20));
    let later = other.take(&ask("b")).await.unwrap();
    assert!(stale.append(&entries(9..10)).await.is_err());
    assert!(stale.replace(Document::HEALING, b"{}").await.is_err());
    later.reset().await.unwrap();
    later.renew().await.unwrap();
    let left: Vec<_> = objects
        .list(None)
        .map(|meta| meta.unwrap().location.to_string())
        .collect()
        .await;
    assert_eq!(left.len(), 2, "the head and one document: {left:?}");
    assert_eq!(later.read(Document::STATE).await.unwrap().as_deref(), Some(&b"{}"[..]));
}

/// What an earlier holder tries.
#[derive(Debug, Clone, Copy)]
enum Change {
    Append,
    Replace,
    Reset,
    Renew,
    Release,
}

async fn change(session: Arc<dyn Session>, change: Change) -> std::result::Result<(), StoreError> {
    match change {
        Change::Append => session.append(&entries(100..103)).await,
        Change::Replace => session.replace(Document::STATE, b"stale").await,
        Change::Reset => session.reset().await,
        Change::Renew => session.renew().await,
        Change::Release => session.release().await,
    }
}

/// An earlier holder is stopped at each request of each change, a later one takes over and works, then the first goes on:
/// its change was there before the later one read, or it is refused and never is.
#[tokio::test]
async fn a_change_happens_before_the_next_holder_reads_or_never() {
    for what in [
        Change::Append,
        Change::Replace,
        Change::Reset,
        Change::Renew,
        Change::Release,
    ] {
        let mut stops = 0;
        for request in 1.. {
            let (objects, clock) = (memory(), HandClock::new());
            let stop = Arc::new(Stop {
                left: AtomicU64::new(0),
                reached: Notify::new(),
                go: Semaphore::new(0),
            });
            let seen = Tampered::new(Arc::clone(&objects), Between::Stops(Arc::clone(&stop)));
            let first = ObjectControlStore::new(seen, "shop").with_clock(clock.clone());
            let stale = first.take(&ask("stale")).await.unwrap();
            stale.append(&entries(0..3)).await.unwrap();
            stale.replace(Document::STATE, b"first").await.unwrap();
            let second = ObjectControlStore::new(Arc::clone(&objects), "shop").with_clock(clock.clone());
            assert!(second.take(&ask("later")).await.is_err());
            stop.left.store(request, Ordering::SeqCst);
            let mut changing = tokio::spawn(change(Arc::clone(&stale), what));
            let was_stopped = tokio::select! {
                biased;
                ended = &mut changing => {
                    ended.unwrap().unwrap();
                    false
                }
                () = stop.reached.notified() => true,
            };
            if !was_stopped {
                break;
            }
            stops += 1;
            clock.advance(Duration::from_secs(20));
            let later = second.take(&ask("later")).await.unwrap();
            let read = texts(&later.journal().await.unwrap());
            let state = later.read(Document::STATE).await.unwrap();
            later.append(&entries(200..201)).await.unwrap();
            stop.go.add_permits(1);
            let ended = changing.await.unwrap();
            let again = texts(&later.journal().await.unwrap());
            assert_eq!(
                again,
                [read, texts(&entries(200..201))].concat(),
                "{what:?} stopped at request {request}"
            );
            assert_eq!(
                later.read(Document::STATE).await.unwrap(),
                state,
                "{what:?} stopped at request {request}"
            );
            assert!(
                matches!(ended, Ok(()) | Err(StoreError::Fenced { by: Some(2), .. })),
                "{what:?}: {ended:?}"
            );
            later.renew().await.unwrap();
            assert!(
                second.take(&ask("third")).await.is_err(),
                "{what:?}: the lease is still held"
            );
        }
        assert!(stops >= 1, "{what:?} was stopped {stops} times");
    }
}
