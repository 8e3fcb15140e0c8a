//! Fail at every single call of a store or the base, then run again: the end is the same as without the failure.

use futures::executor::block_on;
use proptest::prelude::*;
use skyloom_core::Timestamp;
use skyloom_sync::testkit::{Fault, FaultPlan, FaultyBase, FaultyStore};
use skyloom_sync::{
    Durability, InMemory, InMemoryBase, LocalDisk, MaxDelete, SyncConfig, SyncMode, SyncReport, prepare, sync,
};

use crate::support::{World, fill, key, texts_of};

const CONFIGS: [SyncMode; 2] = [SyncMode::TwoWay, SyncMode::Mirror];

fn config(mode: SyncMode) -> SyncConfig {
    SyncConfig::new(mode).with_max_delete(MaxDelete::UNLIMITED)
}

/// A pair with a history: every kind of operation is due.
fn setup(seed: u8) -> World {
    let world = World::with(
        &[("a", "1"), ("b", "2"), ("c/d", "3"), ("gone", "4"), ("both", "5")],
        &[],
    );
    block_on(sync(
        &world.left,
        &world.right,
        &world.base,
        &config(SyncMode::TwoWay),
        Timestamp::EPOCH,
    ))
    .unwrap();
    fill(
        &world.left,
        &[
            ("a", "new on the left"),
            ("both", "left"),
            ("n", "created"),
            ("same", "same"),
        ],
    );
    fill(&world.right, &[("both", "right"), ("same", "same")]);
    world.left.remove(&key("gone"));
    if seed.is_multiple_of(2) {
        world.right.remove(&key("c/d"));
        fill(&world.right, &[("b", "new on the right")]);
    }
    if seed.is_multiple_of(3) {
        world.left.remove(&key("b"));
    }
    world
}

/// Runs once with a fault; the report if the run came to its end.
fn run_with(world: &World, plan: &std::sync::Arc<FaultPlan>, config: &SyncConfig) -> Option<SyncReport> {
    let left = FaultyStore::new(Shared(&world.left), plan.clone());
    let right = FaultyStore::new(Shared(&world.right), plan.clone());
    let base = FaultyBase::new(SharedBase(&world.base), plan.clone());
    block_on(sync(&left, &right, &base, config, Timestamp::EPOCH)).ok()
}

#[test]
fn a_crash_at_every_call_changes_nothing_of_the_end() {
    for (mode, seed) in CONFIGS.into_iter().flat_map(|mode| [(mode, 0), (mode, 1), (mode, 3)]) {
        let config = config(mode);
        let whole = setup(seed);
        let counter = FaultPlan::none();
        assert!(run_with(&whole, &counter, &config).unwrap().is_complete());
        let expected = whole.contents();
        assert!(counter.calls() > 40, "{}", counter.calls());
        for at in 0..counter.calls() {
            for fault in [Fault::CrashBefore, Fault::CrashAfter] {
                let world = setup(seed);
                run_with(&world, &FaultPlan::new(at, fault), &config);
                // The base is never ahead: what it says was on both sides is, or was changed since by a user.
                let report = world.sync(&config).unwrap();
                let place = format!("{mode:?} {seed} {fault:?} at call {at}");
                assert!(report.is_complete(), "{place}: {report:?}");
                assert_eq!(world.contents(), expected, "{place}");
                assert!(world.prepare(&config).unwrap().is_settled(), "{place}");
            }
        }
    }
}

#[test]
fn one_failing_call_is_tried_again() {
    let config = config(SyncMode::TwoWay);
    let whole = setup(0);
    let counter = FaultPlan::none();
    run_with(&whole, &counter, &config).unwrap();
    let expected = whole.contents();
    let (mut survived, mut calls) = (0, 0);
    for at in 0..counter.calls() {
        for fault in [Fault::OnceBefore, Fault::OnceAfter] {
            let world = setup(0);
            calls += 1;
            // Listing and the base are not tried again: the run fails as a whole, and the next one does it.
            if let Some(report) = run_with(&world, &FaultPlan::new(at, fault), &config) {
                assert!(report.is_complete(), "{fault:?} at {at}: {report:?}");
                assert_eq!(world.contents(), expected, "{fault:?} at {at}");
                survived += 1;
            }
            assert!(world.sync(&config).unwrap().is_complete());
            assert_eq!(world.contents(), expected);
        }
    }
    assert!(survived * 2 > calls, "{survived} of {calls} survived");
}

#[test]
fn a_crash_at_every_call_with_a_disk_store() {
    let config = config(SyncMode::Mirror);
    let run = |at: u64, fault: Fault| {
        let folder = tempfile::tempdir().unwrap();
        let left = InMemory::new("left");
        let base = InMemoryBase::new();
        let open = || {
            LocalDisk::open(folder.path())
                .unwrap()
                .with_durability(Durability::Buffered)
        };
        fill(&left, &[("a", "1"), ("b/c", "2"), ("gone", "3")]);
        block_on(sync(&left, &open(), &base, &config, Timestamp::EPOCH)).unwrap();
        fill(&left, &[("a", "new"), ("d", "4")]);
        left.remove(&key("gone"));
        let plan = FaultPlan::new(at, fault);
        let disk = open();
        {
            let right = FaultyStore::new(Shared(&disk), plan.clone());
            let left = FaultyStore::new(Shared(&left), plan.clone());
            let _ = block_on(sync(&left, &right, &base, &config, Timestamp::EPOCH));
        }
        let calls = plan.calls();
        drop(disk);
        let right = open();
        assert!(
            block_on(sync(&left, &right, &base, &config, Timestamp::EPOCH))
                .unwrap()
                .is_complete()
        );
        assert!(block_on(prepare(&left, &right, &base, &config)).unwrap().is_settled());
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let found = [("a", read("a")), ("b/c", read("b/c")), ("d", read("d"))];
        assert_eq!(
            found
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<std::collections::BTreeMap<_, _>>(),
            texts_of(&[("a", "new"), ("b/c", "2"), ("d", "4")])
        );
        assert!(!folder.path().join("gone").exists());
        let leftovers = std::fs::read_dir(folder.path().join(".skyloom/tmp")).unwrap().count();
        assert_eq!(leftovers, 1, "only the session that is open");
        calls
    };
    let calls = run(u64::MAX, Fault::OnceBefore);
    for at in 0..calls {
        run(at, Fault::CrashBefore);
        run(at, Fault::CrashAfter);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Several crashes in a row, each somewhere else, also end the same.
    #[test]
    fn repeated_crashes_end_the_same(faults in prop::collection::vec((0..60u64, any::<bool>()), 1..5), seed in 0..6u8) {
        let config = config(SyncMode::TwoWay);
        let whole = setup(seed);
        whole.sync(&config).unwrap();
        let world = setup(seed);
        for (at, after) in faults {
            let fault = if after { Fault::CrashAfter } else { Fault::CrashBefore };
            run_with(&world, &FaultPlan::new(at, fault), &config);
        }
        prop_assert!(world.sync(&config).unwrap().is_complete());
        prop_assert_eq!(world.contents(), whole.contents());
    }
}

/// A store that somebody else owns.
#[derive(Debug)]
struct Shared<'a, S>(&'a S);

mod shared {
    //! Passing every call on.

    use async_trait::async_trait;
    use skyloom_sync::{
        Base, BaseError, BaseStore, ByteStream, Capabilities, Condition, Cursor, Download, Etag, Head, Key, Metadata,
        ObjectMeta, Page, Store, StoreError, StoreId,
    };

    use super::{Shared, SharedBase};

    #[async_trait]
    impl<S: Store> Store for Shared<'_, S> {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn id(&self) -> &StoreId {
            self.0.id()
        }
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
            self.0.list(prefix, after, limit).await
        }
        async fn head(&self, key: &Key) -> Result<Head, StoreError> {
            self.0.head(key).await
        }
        async fn get(&self, key: &Key, if_match: Option<&Etag>) -> Result<Download, StoreError> {
            self.0.get(key, if_match).await
        }
        async fn put(
            &self,
            key: &Key,
            body: &mut dyn ByteStream,
            condition: &Condition,
            metadata: &Metadata,
        ) -> Result<ObjectMeta, StoreError> {
            self.0.put(key, body, condition, metadata).await
        }
        async fn delete(&self, key: &Key, condition: &Condition) -> Result<(), StoreError> {
            self.0.delete(key, condition).await
        }
    }

    #[async_trait]
    impl<B: BaseStore> BaseStore for SharedBase<'_, B> {
        async fn load(&self) -> Result<Option<Base>, BaseError> {
            self.0.load().await
        }
        async fn save(&self, base: &Base) -> Result<(), BaseError> {
            self.0.save(base).await
        }
    }
}

/// A base that somebody else owns.
#[derive(Debug)]
struct SharedBase<'a, B>(&'a B);
