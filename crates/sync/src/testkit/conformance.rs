//! What every [`Store`] must do, as cases that anybody can run on an own store.
//!
//! ```
//! # futures::executor::block_on(async {
//! use skyloom_sync::InMemory;
//! use skyloom_sync::testkit::check_store;
//!
//! let findings = check_store(&InMemory::new("mine")).await;
//! assert!(findings.is_empty(), "{findings:?}");
//! # })
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Barrier;

use async_trait::async_trait;
use futures::executor::block_on;
use futures::future::{BoxFuture, FutureExt};
use skyloom_core::Class;

use crate::store::{
    ByteStream, BytesBody, CHUNK_BYTES_MAX, Cause, Condition, Cursor, Etag, Metadata, ObjectMeta, Store, StoreError,
    StoreOperation,
};
use crate::{ContentHash, Key};

/// Writers of the race cases.
const WRITERS: u64 = 64;

/// A case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, also the folder of its keys.
    pub name: &'static str,
    run: for<'a> fn(&'a Ground<'a>) -> BoxFuture<'a, Result<(), String>>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A case that a store does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The case.
    pub case: &'static str,
    /// What the store did.
    pub reason: String,
}

macro_rules! case {
    ($name:ident) => {
        Case {
            name: stringify!($name),
            run: |ground| $name(ground).boxed(),
        }
    };
}

/// All cases.
pub const CASES: &[Case] = &[
    case!(what_is_put_comes_back),
    case!(what_is_not_there_is_not_found),
    case!(create_only_where_nothing_is),
    case!(update_only_the_version_that_was_seen),
    case!(read_only_the_version_that_was_asked),
    case!(delete_only_the_version_that_was_seen),
    case!(pages_give_every_key_once_in_order),
    case!(odd_keys_come_back),
    case!(metadata_comes_back),
    case!(a_failed_body_leaves_nothing),
    case!(a_reader_never_sees_two_versions_mixed),
    case!(of_many_creators_one_wins),
    case!(of_many_updaters_one_wins),
    case!(of_many_deleters_one_wins),
    case!(a_name_is_an_object_or_a_folder),
];

/// Runs all cases on an empty store (their objects stay there). Nothing found: the store conforms. Starts threads, and
/// blocks.
pub async fn check_store(store: &dyn Store) -> Vec<Finding> {
    let mut findings = Vec::new();
    for case in CASES {
        let ground = Ground {
            store,
            folder: case.name,
        };
        if let Err(reason) = (case.run)(&ground).await {
            findings.push(Finding {
                case: case.name,
                reason,
            });
        }
    }
    findings
}

/// The store, and the folder of one case in it.
struct Ground<'a> {
    store: &'a dyn Store,
    folder: &'static str,
}

macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

impl Ground<'_> {
    fn key(&self, name: &str) -> Result<Key, String> {
        Key::new(format!("{}/{name}", self.folder)).map_err(|error| error.to_string())
    }

    async fn put(&self, key: &Key, bytes: &[u8], condition: &Condition) -> Result<ObjectMeta, StoreError> {
        let mut body = BytesBody::new(bytes);
        self.store.put(key, &mut body, condition, &Metadata::new()).await
    }

    async fn create(&self, key: &Key, bytes: &[u8]) -> Result<ObjectMeta, String> {
        let created = self.put(key, bytes, &Condition::IfAbsent).await;
        created.map_err(|error| format!("failed to {error}"))
    }

    async fn read(&self, key: &Key) -> Result<(Vec<u8>, ObjectMeta), String> {
        let text = |error: StoreError| format!("failed to {error}");
        let mut download = self.store.get(key, None).await.map_err(text)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = download.body.next_chunk().await.map_err(text)? {
            let size = chunk.len();
            ensure!((1..=CHUNK_BYTES_MAX).contains(&size), "a chunk of {size} bytes");
            bytes.extend(chunk);
        }
        Ok((bytes, download.head.meta))
    }

    async fn expect(&self, key: &Key, bytes: &[u8]) -> Result<(), String> {
        let (found, _) = self.read(key).await?;
        ensure!(
            found == bytes,
            "`{key}` has {} other bytes, {} were put",
            found.len(),
            bytes.len()
        );
        Ok(())
    }

    async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<ObjectMeta>, String> {
        let (mut all, mut cursor): (Vec<ObjectMeta>, Option<Cursor>) = (Vec::new(), None);
        loop {
            let page = self.store.list(prefix, cursor.as_ref(), limit).await;
            let page = page.map_err(|error| format!("failed to {error}"))?;
            ensure!(
                page.objects.len() <= limit,
                "a page of {} of {limit}",
                page.objects.len()
            );
            all.extend(page.objects);
            match page.next {
                Some(next) if Some(&next) == cursor.as_ref() => return Err("a page that leads to itself".to_owned()),
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    }
}

fn refused<T>(result: Result<T, StoreError>, what: &str) -> Result<(), String> {
    match result {
        Err(error) if matches!(error.cause, Cause::Precondition { .. }) => Ok(()),
        Err(error) => Err(format!("{what}: expected an unmet precondition, failed to {error}")),
        Ok(_) => Err(format!("{what}: expected an unmet precondition, it was done")),
    }
}

fn missing<T>(result: Result<T, StoreError>, what: &str) -> Result<(), String> {
    match result {
        Err(error) if error.class() == Class::NotFound => Ok(()),
        Err(error) => Err(format!("{what}: expected `not found`, failed to {error}")),
        Ok(_) => Err(format!("{what}: expected `not found`, it was done")),
    }
}

/// `size` bytes that differ from place to place.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect()
}

async fn what_is_put_comes_back(ground: &Ground<'_>) -> Result<(), String> {
    for size in [1, 0, 2, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 3 * CHUNK_BYTES_MAX] {
        let (key, content) = (ground.key(&format!("size-{size}"))?, bytes(size));
        let put = ground.create(&key, &content).await?;
        let (read, got) = ground.read(&key).await?;
        ensure!(read == content, "`{key}`: {} bytes came back changed", read.len());
        let head = ground.store.head(&key).await.map_err(|error| error.to_string())?.meta;
        let listed = ground.list(key.as_str(), 10).await?;
        for (from, meta) in [
            ("put", Some(&put)),
            ("head", Some(&head)),
            ("get", Some(&got)),
            ("list", listed.first()),
        ] {
            let told = meta.map(|meta| (&meta.key, meta.size, &meta.etag));
            ensure!(
                told == Some((&key, size as u64, &put.etag)),
                "{from} tells {told:?} of `{key}`"
            );
            let hash = meta.and_then(|meta| meta.hash);
            ensure!(
                hash.is_none_or(|hash| hash == ContentHash::of(&content)),
                "{from} tells a wrong hash"
            );
        }
    }
    Ok(())
}

async fn what_is_not_there_is_not_found(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("nothing/here")?;
    missing(ground.store.head(&key).await, "head")?;
    missing(ground.store.get(&key, None).await, "get")?;
    missing(ground.store.get(&key, Some(&Etag::new("x"))).await, "conditional get")?;
    missing(ground.store.delete(&key, &Condition::Any).await, "delete")?;
    let tag = Condition::IfMatch(Etag::new("x"));
    missing(ground.store.delete(&key, &tag).await, "conditional delete")
}

async fn create_only_where_nothing_is(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("a")?;
    ground.create(&key, b"first").await?;
    refused(ground.put(&key, b"second", &Condition::IfAbsent).await, "create again")?;
    ground.expect(&key, b"first").await?;
    let deleted = ground.store.delete(&key, &Condition::Any).await;
    deleted.map_err(|error| format!("failed to {error}"))?;
    ground.create(&key, b"third").await.map(drop)
}

async fn update_only_the_version_that_was_seen(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("a")?;
    let first = ground.create(&key, b"first").await?.etag;
    let second = ground.put(&key, b"second", &Condition::IfMatch(first.clone())).await;
    let second = second.map_err(|error| format!("failed to {error}"))?.etag;
    ensure!(first != second, "two contents have one tag");
    refused(
        ground.put(&key, b"third", &Condition::IfMatch(first)).await,
        "update an old version",
    )?;
    ground.expect(&key, b"second").await?;
    let absent = ground.key("absent")?;
    refused(
        ground.put(&absent, b"x", &Condition::IfMatch(second)).await,
        "update nothing",
    )?;
    missing(ground.store.head(&absent).await, "head after a refused update")
}

async fn read_only_the_version_that_was_asked(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("a")?;
    let first = ground.create(&key, b"first").await?.etag;
    let fresh = ground.store.get(&key, Some(&first)).await;
    fresh.map_err(|error| format!("failed to {error}"))?;
    let second = ground.put(&key, b"second", &Condition::IfMatch(first.clone())).await;
    second.map_err(|error| format!("failed to {error}"))?;
    refused(ground.store.get(&key, Some(&first)).await, "read an old version")
}

async fn delete_only_the_version_that_was_seen(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("a")?;
    let first = ground.create(&key, b"first").await?.etag;
    let second = ground.put(&key, b"second", &Condition::IfMatch(first.clone())).await;
    let second = second.map_err(|error| format!("failed to {error}"))?.etag;
    let stale = ground.store.delete(&key, &Condition::IfMatch(first)).await;
    refused(stale, "delete an old version")?;
    refused(
        ground.store.delete(&key, &Condition::IfAbsent).await,
        "delete what is absent",
    )?;
    ground.expect(&key, b"second").await?;
    let fresh = ground.store.delete(&key, &Condition::IfMatch(second)).await;
    fresh.map_err(|error| format!("failed to {error}"))?;
    missing(ground.store.head(&key).await, "head after delete")?;
    let listed = ground.list(key.as_str(), 10).await?;
    ensure!(listed.is_empty(), "a deleted object is listed");
    Ok(())
}

async fn pages_give_every_key_once_in_order(ground: &Ground<'_>) -> Result<(), String> {
    // `-` and `.` sort before `/`, `0` after it: a listing by folders has another order than one by keys.
    let mut names: Vec<String> = [
        "a-b", "a.b", "a/b", "a/b-c/d", "a/b.c", "a/b0", "a0", "b", "ü", "A", "zz/1/2/3",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend((0..20).map(|n| format!("many/{n}")));
    for name in &names {
        ground.create(&ground.key(name)?, name.as_bytes()).await?;
    }
    names.sort();
    for prefix in ["", "a", "a/", "a/b", "many/1", "none"] {
        let expected: Vec<_> = names.iter().filter(|name| name.starts_with(prefix)).cloned().collect();
        for limit in [1, 2, 7, 1000] {
            let folder = format!("{}/", ground.folder);
            let listed = ground.list(&format!("{folder}{prefix}"), limit).await?;
            let found: Vec<_> = listed
                .iter()
                .filter_map(|meta| meta.key.as_str().strip_prefix(&folder))
                .collect();
            ensure!(
                found == expected,
                "pages of {limit} from `{prefix}`: {found:?}, expected {expected:?}"
            );
        }
    }
    Ok(())
}

async fn odd_keys_come_back(ground: &Ground<'_>) -> Result<(), String> {
    let long = "l".repeat(200);
    let names = [
        "a b",
        "a+b",
        "a%2Fb",
        "a\\b",
        "a'\"b",
        "a&b=c?d#e",
        ".hidden",
        "...",
        "~",
        "e\u{301}",
        "é",
        "日本",
        "🦀",
        "-rf",
        "*",
        "[x]",
        "{y}",
        "$(z)",
        "a:b",
        &long,
    ];
    for name in names {
        let key = ground.key(name)?;
        ground.create(&key, name.as_bytes()).await?;
    }
    for name in names {
        ground.expect(&ground.key(name)?, name.as_bytes()).await?;
    }
    let listed = ground.list(&format!("{}/", ground.folder), 1000).await?;
    ensure!(
        listed.len() == names.len(),
        "{} of {} keys are listed",
        listed.len(),
        names.len()
    );
    Ok(())
}

async fn metadata_comes_back(ground: &Ground<'_>) -> Result<(), String> {
    let text = |error: StoreError| format!("failed to {error}");
    if !ground.store.capabilities().metadata {
        return Ok(());
    }
    let make = |value: &str| Metadata::new().with("origin", value).map_err(|error| error.to_string());
    let (key, one, two) = (ground.key("a")?, make("eu west")?, make("us")?);
    for (content, metadata) in [
        (b"1", &one),
        (b"1", &two),
        (b"2", &one),
        (b"1", &Metadata::new()),
        (b"2", &two),
    ] {
        let mut body = BytesBody::new(content.to_vec());
        ground
            .store
            .put(&key, &mut body, &Condition::Any, metadata)
            .await
            .map_err(text)?;
        let head = ground.store.head(&key).await.map_err(text)?;
        ensure!(
            head.metadata == *metadata,
            "head tells {:?}, {metadata:?} was put",
            head.metadata
        );
        let got = ground.store.get(&key, None).await.map_err(text)?.head;
        ensure!(got == head, "get tells {got:?}, head {head:?}");
    }
    Ok(())
}

/// Some bytes, then an error.
struct Failing(bool);

#[async_trait]
impl ByteStream for Failing {
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if std::mem::replace(&mut self.0, true) {
            let what = "rest of the body";
            let cause = Cause::Unsupported { what };
            return Err(StoreError::new("source", StoreOperation::Get, None, cause));
        }
        Ok(Some(bytes(CHUNK_BYTES_MAX)))
    }
}

async fn a_failed_body_leaves_nothing(ground: &Ground<'_>) -> Result<(), String> {
    let (old, new) = (ground.key("old")?, ground.key("new")?);
    ground.create(&old, b"old").await?;
    for key in [&old, &new] {
        let put = ground
            .store
            .put(key, &mut Failing(false), &Condition::Any, &Metadata::new())
            .await;
        let own = put.as_ref().err().map(|error| (error.store.as_str(), error.class()));
        ensure!(
            own == Some(("source", Class::Unsupported)),
            "the body's error came back as {put:?}"
        );
    }
    missing(ground.store.head(&new).await, "head after a failed body")?;
    ground.expect(&old, b"old").await
}

async fn a_reader_never_sees_two_versions_mixed(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("a")?;
    let version = |n: u8| vec![n; 2 * CHUNK_BYTES_MAX];
    ground.create(&key, &version(1)).await?;
    let text = |error: StoreError| format!("failed to {error}");
    let mut download = ground.store.get(&key, None).await.map_err(text)?;
    let mut read = download.body.next_chunk().await.map_err(text)?.unwrap_or_default();
    ground.put(&key, &version(2), &Condition::Any).await.map_err(text)?;
    loop {
        match download.body.next_chunk().await {
            Ok(Some(chunk)) => read.extend(chunk),
            Ok(None) => break,
            Err(_) => return ground.expect(&key, &version(2)).await,
        }
    }
    ensure!(read == version(1), "a reader got {} bytes of two versions", read.len());
    ground.expect(&key, &version(2)).await
}

/// All writers at once; gives the numbers of those who won.
fn race(ground: &Ground<'_>, work: impl Fn(u64) -> Result<(), StoreError> + Sync) -> Result<Vec<u64>, String> {
    let barrier = Barrier::new(usize::try_from(WRITERS).unwrap_or(0));
    let results: BTreeMap<u64, Result<(), StoreError>> = std::thread::scope(|scope| {
        let start = |n| {
            let (barrier, work) = (&barrier, &work);
            let writer = scope.spawn(move || {
                barrier.wait();
                work(n)
            });
            (n, writer)
        };
        let writers: Vec<_> = (0..WRITERS).map(start).collect();
        writers
            .into_iter()
            .filter_map(|(n, writer)| Some((n, writer.join().ok()?)))
            .collect()
    });
    ensure!(results.len() as u64 == WRITERS, "a writer in `{}` died", ground.folder);
    let mut winners = Vec::new();
    for (n, result) in results {
        match result {
            Ok(()) => winners.push(n),
            Err(error) if matches!(error.cause, Cause::Precondition { .. } | Cause::NotFound) => {}
            Err(error) => return Err(format!("writer {n} failed to {error}")),
        }
    }
    ensure!(winners.len() == 1, "{} of {WRITERS} writers won", winners.len());
    Ok(winners)
}

async fn of_many_creators_one_wins(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("deep/folder/a")?;
    let content = |n: u64| format!("writer {n}");
    let winners = race(ground, |n| {
        block_on(ground.put(&key, content(n).as_bytes(), &Condition::IfAbsent)).map(drop)
    })?;
    for n in winners {
        ground.expect(&key, content(n).as_bytes()).await?;
    }
    Ok(())
}

async fn of_many_updaters_one_wins(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("a")?;
    let seen = Condition::IfMatch(ground.create(&key, b"old").await?.etag);
    let content = |n: u64| format!("writer {n}");
    let winners = race(ground, |n| {
        block_on(ground.put(&key, content(n).as_bytes(), &seen)).map(drop)
    })?;
    for n in winners {
        ground.expect(&key, content(n).as_bytes()).await?;
    }
    Ok(())
}

async fn of_many_deleters_one_wins(ground: &Ground<'_>) -> Result<(), String> {
    let key = ground.key("deep/a")?;
    let seen = Condition::IfMatch(ground.create(&key, b"old").await?.etag);
    race(ground, |_| block_on(ground.store.delete(&key, &seen)))?;
    missing(ground.store.head(&key).await, "head after delete")
}

async fn a_name_is_an_object_or_a_folder(ground: &Ground<'_>) -> Result<(), String> {
    let (object, inside) = (ground.key("a")?, ground.key("a/b")?);
    ground.create(&object, b"object").await?;
    let put = ground.put(&inside, b"inside", &Condition::IfAbsent).await;
    match ground.store.capabilities().folders {
        false => ground.expect(&inside, b"inside").await?,
        true => {
            let class = put.err().map(|error| error.class());
            ensure!(class == Some(Class::Conflict), "an object inside an object: {class:?}");
            missing(ground.store.head(&inside).await, "head inside an object")?;
            let deleted = ground.store.delete(&object, &Condition::Any).await;
            deleted.map_err(|error| format!("failed to {error}"))?;
            ground.create(&inside, b"inside").await?;
            let put = ground.put(&object, b"object", &Condition::IfAbsent).await;
            ensure!(put.is_err(), "an object in place of a folder");
            let deleted = ground.store.delete(&inside, &Condition::Any).await;
            deleted.map_err(|error| format!("failed to {error}"))?;
            ground.create(&object, b"object").await?;
        }
    }
    ground.expect(&object, b"object").await
}
