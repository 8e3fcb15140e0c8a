//! A store that stalls, refuses or loses its answers: the plan halts with a typed error and can be resumed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::Class;
use skyloom_provider::sim::SimConfig;
use skyloom_runtime::store::{Ask, ControlStore, Document, Entry, Session, StoreError};
use skyloom_runtime::{ControlPlane, Error, LeaseConfig, RuntimeConfig};

use super::model::{Flaw, Model};
use crate::world::{START, World, shop};

/// What a store does to its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    Fine,
    /// Never answers.
    Stalls,
    /// Does nothing and says so.
    Refuses,
    /// Does it and says that it has failed.
    LosesAnswers,
}

#[derive(Debug, Clone)]
pub(crate) struct Faulty {
    inner: Model,
    mood: Arc<AtomicU8>,
    /// Writes that go through before the mood begins.
    spared: Arc<AtomicU64>,
}

impl Faulty {
    pub(crate) fn new(inner: Model) -> Self {
        Self {
            inner,
            mood: Arc::default(),
            spared: Arc::default(),
        }
    }

    pub(crate) fn set(&self, mood: Mood, spared: u64) {
        self.spared.store(spared, Ordering::SeqCst);
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// The present lease ends.
    pub(crate) fn lapse(&self) {
        self.inner.end_lease();
    }

    /// Everything that is in the journal.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.inner.entries()
    }

    async fn pass<T>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        let mood = self.mood.load(Ordering::SeqCst);
        let is_spared = self
            .spared
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok();
        let refused = || StoreError::Unavailable {
            operation: "write to",
            place: PathBuf::from("faulty"),
            class: Class::Transient,
            source: "the connection was reset".into(),
        };
        if is_spared || mood == Mood::Fine as u8 {
            return call.await;
        }
        if mood == Mood::Stalls as u8 {
            std::future::pending::<()>().await;
        }
        if mood == Mood::LosesAnswers as u8 {
            call.await?;
        }
        Err(refused())
    }
}

#[async_trait]
impl ControlStore for Faulty {
    async fn take(&self, ask: &Ask) -> Result<Arc<dyn Session>, StoreError> {
        let session = self.pass(self.inner.take(ask)).await?;
        let store = self.clone();
        Ok(Arc::new(FaultySession { session, store }))
    }
}

#[derive(Debug)]
struct FaultySession {
    session: Arc<dyn Session>,
    store: Faulty,
}

#[async_trait]
impl Session for FaultySession {
    fn epoch(&self) -> u64 {
        self.session.epoch()
    }

    fn ttl(&self) -> Option<Duration> {
        self.session.ttl()
    }

    fn place(&self) -> PathBuf {
        self.session.place()
    }

    async fn renew(&self) -> Result<(), StoreError> {
        self.store.pass(self.session.renew()).await
    }

    async fn release(&self) -> Result<(), StoreError> {
        self.store.pass(self.session.release()).await
    }

    async fn read(&self, document: Document) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.pass(self.session.read(document)).await
    }

    async fn replace(&self, document: Document, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.pass(self.session.replace(document, bytes)).await
    }

    async fn journal(&self) -> Result<Vec<Entry>, StoreError> {
        self.store.pass(self.session.journal()).await
    }

    async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.store.pass(self.session.append(entries)).await
    }

    async fn reset(&self) -> Result<(), StoreError> {
        self.store.pass(self.session.reset()).await
    }
}

/// A lease that nothing of these tests lets lapse, and a store that is waited for five seconds.
pub(crate) fn patient() -> RuntimeConfig {
    let lease = LeaseConfig::new()
        .with_ttl(Duration::from_secs(100_000))
        .with_call_within(Duration::from_secs(5));
    RuntimeConfig::new().with_lease(lease)
}

async fn open(world: &World, store: &Faulty) -> ControlPlane {
    let builder = world.builder_in(world.folder.path());
    builder.store(store.clone()).config(patient()).open().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_plan_halts_at_a_faulty_store_and_goes_on_when_it_is_well_again() {
    for mood in [Mood::Stalls, Mood::Refuses, Mood::LosesAnswers] {
        let mut halted = 0;
        for spared in 0.. {
            let world = World::new(SimConfig::new(7, START));
            let store = Faulty::new(Model::new(Flaw::None));
            let sky = open(&world, &store).await;
            let proposal = sky.plan(&shop(2)).await.unwrap();
            store.set(mood, spared);
            let applied = sky.apply(proposal.clone(), &world.me).await;
            store.set(Mood::Fine, 0);
            let is_last = applied.is_ok();
            match (mood, applied) {
                (_, Ok(_)) => {}
                (Mood::Stalls, Err(Error::Store(StoreError::Late { after, .. }))) => assert_eq!(after.as_secs(), 5),
                (Mood::Refuses | Mood::LosesAnswers, Err(Error::Store(StoreError::Unavailable { .. }))) => {}
                (_, Err(error)) => panic!("{mood:?} after {spared} writes: {error}"),
            }
            halted += usize::from(!is_last);
            // Nothing is begun before it is known what is there.
            if sky.interrupted().await.is_some() {
                assert!(matches!(sky.plan(&shop(2)).await, Err(Error::Interrupted { .. })));
            }
            sky.recover(&world.me).await.unwrap();
            if sky.status().await.unwrap().healthy() == 0 {
                // Not even the plan had come through.
                sky.apply(proposal, &world.me).await.unwrap();
            }
            assert_eq!(
                world.replicas(),
                ["store/0", "worker/0", "worker/1"],
                "{mood:?} after {spared} writes"
            );
            assert!(sky.plan(&shop(2)).await.unwrap().plan.is_empty());
            assert_eq!(sky.status().await.unwrap().strangers, []);
            if is_last {
                break;
            }
        }
        assert!(halted >= 5, "{mood:?}: halted {halted} times");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_not_there_is_a_typed_error_and_leaves_nothing() {
    let world = World::new(SimConfig::new(7, START));
    let builder = || world.builder_in(world.folder.path()).config(patient());
    let store = Faulty::new(Model::new(Flaw::None));
    store.set(Mood::Stalls, 0);
    let opened = builder().store(store.clone()).open().await;
    assert!(
        matches!(opened, Err(Error::Store(StoreError::Late { .. }))),
        "{opened:?}"
    );
    assert!(matches!(builder().store(store).build(), Err(Error::NeedsOpen)));
}
