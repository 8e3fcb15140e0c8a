//! A world that lies: answers about somebody else's things, clocks that go back, files of a later version.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use skyloom_core::{Class, Timestamp};
use skyloom_provider::sim::{MixUp, SimConfig, SimEventKind};
use skyloom_runtime::store::StoreError;
use skyloom_runtime::{Clock, Error};
use tokio::time::Instant;

use crate::world::{START, World, shop};

/// Calls that bring the shop up when nothing goes wrong.
async fn calls() -> u64 {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    world.driver.cloud().calls()
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_never_adopted_whichever_answer_is_mixed_up() {
    let calls = calls().await;
    assert!(calls > 10);
    let (mut mixed, mut refused) = (0, 0);
    for mix_up in [MixUp::Owner, MixUp::Operation, MixUp::Thing] {
        for call in (0..calls).step_by(2) {
            let world = World::new(SimConfig::new(3, START));
            world.driver.cloud().mix_up_at(call, mix_up);
            let sky = world.open().unwrap();
            let applied = match sky.plan(&shop(2)).await {
                Ok(proposal) => sky.apply(proposal, &world.me).await.map(drop),
                Err(error) => Err(error),
            };
            let events = world.driver.cloud().events();
            mixed += events
                .iter()
                .filter(|e| matches!(e.what, SimEventKind::MixedUp { .. }))
                .count();
            if let Err(error) = applied {
                assert_eq!(error.class(), Class::Bug, "{mix_up:?} at {call}: {error}");
                refused += 1;
                sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
            }
            let status = sky.status().await.unwrap();
            assert!(
                status.replicas.iter().all(|r| !r.resource.as_str().contains("-x-")),
                "{mix_up:?} at {call}"
            );
            assert_eq!(
                (status.healthy(), status.strangers.len()),
                (3, 0),
                "{mix_up:?} at {call}"
            );
            let mut names = world.names();
            names.dedup();
            assert_eq!(names.len(), world.names().len(), "doubled: {mix_up:?} at {call}");
        }
    }
    assert!(mixed > 0 && refused > 0, "{mixed} mixed up, {refused} refused");
}

/// A clock that somebody sets back by an hour again and again.
#[derive(Debug, Clone)]
struct SetBack(Instant, Arc<AtomicI64>);

impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        let back = self.1.fetch_add(1, Ordering::Relaxed) / 7 * 3_600_000_000;
        let now = START.saturating_add(self.0.elapsed());
        Timestamp::from_micros(now.as_micros() - back)
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_stops_neither_a_plan_nor_healing() {
    let world = World::new(SimConfig::new(3, START));
    let clock = SetBack(Instant::now(), Arc::default());
    let builder = world.builder_in(world.folder.path()).clock(clock);
    let sky = builder.build().unwrap();
    let within = Duration::from_secs(600);
    let story = async {
        sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
        let victim = sky.status().await.unwrap().replicas[0].resource.clone();
        world.driver.cloud().vanish(&victim).unwrap();
        while sky.heal(&world.me).await.unwrap().healed.is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(sky.status().await.unwrap().healthy(), 3);
        sky.destroy(&world.me).await.unwrap();
    };
    tokio::time::timeout(within, story).await.unwrap();
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn histories_of_a_later_version_are_refused_by_name() {
    for file in ["healing.json", "failover.json"] {
        let world = World::new(SimConfig::new(3, START));
        drop(world.open().unwrap());
        let path = world.folder.path().join(file);
        fs::write(&path, r#"{"version":2,"something":"new"}"#).unwrap();
        let refused = world.open().unwrap_err();
        let Error::Store(StoreError::Format { path: named, detail }) = &refused else {
            panic!("{refused}");
        };
        assert!(named.ends_with(file) && detail.contains("version 2"), "{refused}");
        fs::write(&path, "{\"version\":1,").unwrap();
        assert!(
            matches!(world.open(), Err(Error::Store(StoreError::Format { .. }))),
            "{file}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_edited_by_hand_is_found_and_healed() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let replicas = sky.status().await.unwrap().replicas;
    let cloud = world.driver.cloud();
    cloud.hand_over(&replicas[0].resource, "somebody".parse().unwrap()).unwrap();
    cloud.stop_by_hand(&replicas[1].resource).unwrap();
    for _ in 0..60 {
        sky.heal(&world.me).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(sky.status().await.unwrap().healthy(), 3);
    let theirs = cloud
        .oracle()
        .into_iter()
        .filter(|t| t.resource.owner.as_str() == "somebody");
    assert_eq!(theirs.count(), 1, "what was given to somebody is his");
}
