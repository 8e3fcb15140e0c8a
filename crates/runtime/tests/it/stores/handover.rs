//! Two control planes on one store and one cloud: never do both act, whatever the first one believes.

use std::sync::Arc;
use std::time::Duration;

use skyloom_provider::sim::{Delay, SimConfig};
use skyloom_runtime::store::StoreError;
use skyloom_runtime::{ControlPlane, Error, Event, LeaseConfig, RuntimeConfig};
use tokio::runtime::Runtime;

use super::faulty::{Faulty, Mood};
use super::model::{Flaw, Model};
use crate::world::{START, World, shop};

const TTL: Duration = Duration::from_secs(20);

fn leased() -> RuntimeConfig {
    let lease = LeaseConfig::new()
        .with_ttl(TTL)
        .with_wait(TTL * 2)
        .with_call_within(Duration::from_secs(5));
    RuntimeConfig::new().with_lease(lease)
}

async fn open(world: &World, store: &Faulty) -> Result<ControlPlane, Error> {
    let builder = world.builder_in(world.folder.path());
    builder.store(store.clone()).config(leased()).open().await
}

/// An executor that stands still, clock and all, unless it is run.
fn executor() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// The first controller is stopped in the middle of its plan with everything that it has under way; its clock stops too,
/// so that when it is woken it believes that its lease has a long time yet. Meanwhile a second one has taken over and
/// finished the plan. Only epochs stand between the first and a second copy of everything.
#[test]
fn a_controller_that_slept_through_its_lease_changes_nothing() {
    let mut refused = 0;
    for position in 1.. {
        let (asleep, awake) = (executor(), executor());
        let store = Faulty::new(Model::new(Flaw::None));
        let (world, applying) = asleep.block_on(async {
            let world = World::new(SimConfig::new(7, START));
            let sky = Arc::new(open(&world, &store).await.unwrap());
            let proposal = sky.plan(&shop(3)).await.unwrap();
            let mut events = sky.watch();
            let (applied_by, me) = (Arc::clone(&sky), world.me.clone());
            let applying = tokio::spawn(async move { applied_by.apply(proposal, &me).await });
            for _ in 0..position {
                if matches!(events.recv().await, Ok(Event::PlanEnded { .. }) | Err(_)) {
                    break;
                }
            }
            (world, applying)
        });
        if applying.is_finished() {
            break;
        }
        // Its lease ends while it is asleep.
        store.lapse();
        let beside = world.beside();
        let (second, made) = awake.block_on(async {
            let second = open(&beside, &store).await.unwrap();
            second.recover(&beside.me).await.unwrap();
            assert!(second.plan(&shop(3)).await.unwrap().plan.is_empty());
            (second, ids(&world))
        });
        let journal = store.journal();
        let woken = asleep.block_on(applying).unwrap();
        match woken {
            Err(Error::LeaseLost(StoreError::Fenced { epoch: 1, .. }) | Error::PlanFailed(_)) => refused += 1,
            other => panic!("event {position}: {other:?}"),
        }
        assert_eq!(ids(&world), made, "event {position}: the sleeper has changed something");
        assert_eq!(
            store.journal(),
            journal,
            "event {position}: the sleeper has written something"
        );
        assert_eq!(world.replicas(), ["store/0", "worker/0", "worker/1", "worker/2"]);
        awake.block_on(async {
            assert!(second.plan(&shop(3)).await.unwrap().plan.is_empty());
            assert_eq!(second.status().await.unwrap().strangers, []);
            second.destroy(&beside.me).await.unwrap();
        });
        assert!(world.names().is_empty());
    }
    assert!(refused >= 6, "{refused} sleepers were refused");
}

fn ids(world: &World) -> Vec<String> {
    let things = world.driver.cloud().oracle().into_iter();
    let mut ids: Vec<String> = things.map(|thing| thing.resource.id.to_string()).collect();
    ids.sort();
    ids
}

/// A controller that cannot renew stops by itself before anybody else may begin, by its own clock alone.
#[tokio::test(start_paused = true)]
async fn a_controller_that_cannot_renew_stops_before_its_lease_ends() {
    let world = World::new(SimConfig::new(7, START));
    let model = Model::on(Flaw::None, world.clock());
    let store = Faulty::new(model.clone());
    let sky = open(&world, &store).await.unwrap();
    let proposal = sky.plan(&shop(2)).await.unwrap();
    store.set(Mood::Stalls, 0);
    tokio::time::sleep(TTL * 3 / 4 + Duration::from_millis(1)).await;
    let calls = world.driver.cloud().calls();
    let refused = sky.apply(proposal, &world.me).await;
    assert!(
        matches!(refused, Err(Error::LeaseLost(StoreError::Lapsed { epoch: 1, .. }))),
        "{refused:?}"
    );
    assert!(world.names().is_empty());
    let looked = world.driver.cloud().calls() - calls;
    assert!(
        looked <= 1,
        "{looked} calls of a controller without a lease: it may look, once"
    );
    // Nobody has taken it: once the store answers again, this one goes on.
    store.set(Mood::Fine, 0);
    tokio::time::sleep(TTL / 2).await;
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    // This time somebody has.
    store.set(Mood::Stalls, 0);
    let second_world = world.beside();
    let second = open(&second_world, &Faulty::new(model)).await.unwrap();
    assert_eq!((sky.epoch(), second.epoch()), (1, 2));
    store.set(Mood::Fine, 0);
    tokio::time::sleep(TTL).await;
    let refused = sky.destroy(&world.me).await;
    assert!(
        matches!(refused, Err(Error::LeaseLost(StoreError::Fenced { by: Some(2), .. }))),
        "{refused:?}"
    );
    assert_eq!(world.replicas().len(), 3);
    second.destroy(&second_world.me).await.unwrap();
    assert!(world.names().is_empty());
}

/// A plan under way halts when the lease cannot be renewed, and whoever has the lease goes on with it.
#[tokio::test(start_paused = true)]
async fn a_plan_under_way_halts_with_the_lease_and_is_resumed_by_the_next() {
    let world = World::new(SimConfig::new(7, START).with_machine_start(Delay::exactly(TTL * 3)));
    let model = Model::on(Flaw::None, world.clock());
    let store = Faulty::new(model.clone());
    let sky = open(&world, &store).await.unwrap();
    let proposal = sky.plan(&shop(2)).await.unwrap();
    let mut events = sky.watch();
    let stalling = async {
        while !matches!(events.recv().await.unwrap(), Event::StepBegun { .. }) {}
        store.set(Mood::Stalls, 1);
    };
    let (halted, ()) = tokio::join!(sky.apply(proposal, &world.me), stalling);
    assert!(
        matches!(halted, Err(Error::LeaseLost(_) | Error::Store(StoreError::Late { .. }))),
        "{halted:?}"
    );
    let second_world = world.beside();
    let second = open(&second_world, &Faulty::new(model)).await.unwrap();
    assert!(second.interrupted().await.is_some());
    second.recover(&second_world.me).await.unwrap();
    assert_eq!(world.replicas(), ["store/0", "worker/0", "worker/1"]);
    assert!(second.plan(&shop(2)).await.unwrap().plan.is_empty());
}

/// A controller that is closed gives its lease back at once, and changes nothing afterwards.
#[tokio::test(start_paused = true)]
async fn a_closed_controller_makes_room_at_once() {
    let world = World::new(SimConfig::new(7, START));
    let store = Faulty::new(Model::on(Flaw::None, world.clock()));
    let first = open(&world, &store).await.unwrap();
    first
        .apply(first.plan(&shop(1)).await.unwrap(), &world.me)
        .await
        .unwrap();
    let second_world = world.beside();
    let refused = second_world
        .builder_in(second_world.folder.path())
        .store(store.clone())
        .open()
        .await;
    assert!(
        matches!(refused, Err(Error::Store(StoreError::Held { .. }))),
        "{refused:?}"
    );
    first.close().await.unwrap();
    let second = second_world
        .builder_in(second_world.folder.path())
        .store(store)
        .open()
        .await
        .unwrap();
    assert!(matches!(first.destroy(&world.me).await, Err(Error::LeaseLost(_))));
    assert!(
        second.plan(&shop(1)).await.unwrap().plan.is_empty(),
        "what the first has made is known"
    );
    first.close().await.unwrap();
    second.destroy(&second_world.me).await.unwrap();
}
