//! A world that lies: answers about somebody else's things, clocks that go back, files of a later version.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use skyloom_core::{Class, ReplicaSpec, ReplicaState, Timestamp};
use skyloom_provider::Operation;
use skyloom_provider::sim::{MixUp, Origin, SimConfig, SimEventKind, SimProgram};
use skyloom_runtime::store::StoreError;
use skyloom_runtime::{Clock, Error};
use tokio::time::Instant;

use crate::world::{START, World, shop};

/// The calls to mix up: every creation, and the first ones of every other kind, of a run in which nothing goes wrong.
async fn calls() -> Vec<u64> {
    const OF_OTHERS: usize = 2;
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let mut counts = BTreeMap::new();
    let events = world.driver.cloud().events().into_iter();
    let chosen = events.filter_map(|event| match event.what {
        SimEventKind::Called { operation, .. } => {
            let count = counts.entry(operation).or_insert(0);
            *count += 1;
            event
                .call
                .filter(|_| operation == Operation::Create || *count <= OF_OTHERS)
        }
        _ => None,
    });
    chosen.collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_never_adopted_whichever_answer_is_mixed_up() {
    let calls = calls().await;
    assert!(calls.len() >= 8, "{calls:?}");
    let mut mixed = 0;
    for (mix_up, call) in [MixUp::Owner, MixUp::Operation, MixUp::Thing]
        .into_iter()
        .flat_map(|mix_up| calls.iter().map(move |call| (mix_up, *call)))
    {
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
            .filter(|event| matches!(event.what, SimEventKind::MixedUp { .. }))
            .count();
        if let Err(error) = applied {
            assert_eq!(error.class(), Class::Bug, "{mix_up:?} at {call}: {error}");
            sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
        }
        let status = sky.status().await.unwrap();
        let theirs = |replica: &skyloom_runtime::ReplicaStatus| replica.resource.as_str().contains("-x-");
        assert!(!status.replicas.iter().any(theirs), "{mix_up:?} at {call}");
        assert_eq!(
            (status.healthy(), status.strangers.len()),
            (3, 0),
            "{mix_up:?} at {call}"
        );
        let mut names = world.names();
        names.dedup();
        assert_eq!(names.len(), world.names().len(), "doubled: {mix_up:?} at {call}");
    }
    assert!(mixed >= 12, "{mixed} answers to creations were mixed up");
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
    cloud.vanish(&replicas[0].resource).unwrap();
    cloud.stop_by_hand(&replicas[1].resource).unwrap();
    for _ in 0..60 {
        sky.heal(&world.me).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(sky.status().await.unwrap().healthy(), 3);
    cloud
        .hand_over(&replicas[2].resource, "somebody".parse().unwrap())
        .unwrap();
    let status = sky.status().await.unwrap();
    let given = status
        .replicas
        .iter()
        .find(|r| r.resource == replicas[2].resource)
        .unwrap();
    assert_eq!(
        given.state,
        ReplicaState::Lost,
        "what was given to somebody is not ours"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stranger_of_a_known_service_gets_the_grace_of_its_service() {
    let slow = SimProgram::service().stopping_in(Duration::from_secs(25));
    let world = World::new(SimConfig::new(3, START).with_program("worker", slow));
    let sky = world.open().unwrap();
    let mut manifest = shop(2);
    manifest.services[1].stop.grace = Duration::from_secs(30);
    sky.apply(sky.plan(&manifest).await.unwrap(), &world.me).await.unwrap();
    // Somebody takes one away and puts another one of that service in its place.
    let cloud = world.driver.cloud();
    let thing = cloud
        .oracle()
        .into_iter()
        .find(|thing| thing.resource.name == "worker/1")
        .unwrap();
    let status = sky.status().await.unwrap();
    let known = status
        .replicas
        .iter()
        .find(|r| r.resource == thing.resource.id)
        .unwrap();
    let service = &manifest.services[1];
    let spec = ReplicaSpec {
        replica: known.replica.clone(),
        machine: known.machine.clone(),
        site: thing.resource.site.clone(),
        request: service.resources,
        run: service.run.clone(),
        health: None,
        stop: service.stop,
    };
    let origin = Origin {
        id: "by-hand".parse().unwrap(),
        owner: thing.resource.owner.clone(),
        operation: "by-hand".parse().unwrap(),
        token: "by-hand".parse().unwrap(),
    };
    cloud.vanish(&thing.resource.id).unwrap();
    cloud
        .stock_replica(origin, &spec, thing.machine.as_ref().unwrap())
        .unwrap();
    sky.destroy(&world.me).await.unwrap();
    let events = cloud.events();
    let at = |found: &dyn Fn(&SimEventKind) -> bool| events.iter().find(|event| found(&event.what)).unwrap().at;
    let asked = at(
        &|what| matches!(what, SimEventKind::Called { operation: Operation::Delete, subject: Some(s), .. } if s == "by-hand"),
    );
    let gone = at(&|what| matches!(what, SimEventKind::Deleted { id } if id.as_str() == "by-hand"));
    assert_eq!(
        gone.saturating_since(asked),
        Duration::from_secs(25),
        "and not ten seconds"
    );
}
