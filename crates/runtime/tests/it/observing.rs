//! What a control plane makes of answers over time: intervals, restarts, replicas that hang, series that end.

use std::fs;
use std::time::Duration;

use skyloom_core::{Manifest, ReplicaId, ReplicaState, Sample};
use skyloom_provider::sim::SimConfig;
use skyloom_provider::{Cause, Operation};
use skyloom_runtime::{Adaptive, ControlPlane, EndpointsFile, Metric, RuntimeConfig};

use crate::world::{START, World};

/// Bad answers in a row that make a replica unhealthy, as the manifest below says.
const UNHEALTHY_AFTER: usize = 3;

fn probed() -> Manifest {
    let text = r#"
        version = 1
        name = "shop"
        [[service]]
        name = "web"
        resources = { cpu = "500m", memory = "512MiB" }
        run = { command = ["web"], ports = [{ name = "http" }] }
        [service.health]
        exec = ["probe"]
        interval = "1s"
        start_within = "20s"
        unhealthy_after = 3
    "#;
    Manifest::parse(text, "shop.toml").unwrap()
}

fn fail_probes(world: &World, count: usize) {
    for _ in 0..count {
        let detail = "it hangs".to_owned();
        world
            .driver
            .cloud()
            .fail_next(Operation::Exec, Cause::Invalid { detail });
    }
}

async fn state(sky: &ControlPlane) -> ReplicaState {
    sky.status().await.unwrap().replicas[0].state
}

fn listed(sky: &ControlPlane) -> Option<usize> {
    let file: EndpointsFile = serde_json::from_slice(&fs::read(sky.endpoints_file()).unwrap()).unwrap();
    file.services.get("web").map(Vec::len)
}

#[tokio::test(start_paused = true)]
async fn looking_often_does_not_ask_more_often() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&probed()).await.unwrap(), &world.me).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    fail_probes(&world, UNHEALTHY_AFTER - 1);
    for _ in 0..10 {
        assert_eq!(state(&sky).await, ReplicaState::Healthy);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(state(&sky).await, ReplicaState::Healthy);
    fail_probes(&world, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(state(&sky).await, ReplicaState::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_hangs_across_a_restart_is_healed() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&probed()).await.unwrap(), &world.me).await.unwrap();
    assert_eq!(listed(&sky), Some(1));
    drop(sky);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let sky = world.reopen().await;
    fail_probes(&world, UNHEALTHY_AFTER);
    for _ in 1..UNHEALTHY_AFTER {
        assert_eq!(state(&sky).await, ReplicaState::Started);
        assert_eq!(listed(&sky), Some(0), "a list of before the restart does not stay");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(state(&sky).await, ReplicaState::Unhealthy);
    let report = sky.heal(&world.me).await.unwrap();
    assert_eq!(report.healed.len(), 1, "{report:?}");
    assert_eq!(state(&sky).await, ReplicaState::Healthy);
    assert_eq!(listed(&sky), Some(1));
}

#[tokio::test(start_paused = true)]
async fn series_of_replicas_that_are_not_there_end_with_the_next_sample() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&probed()).await.unwrap(), &world.me).await.unwrap();
    let sample = Sample { at: START, value: 0.5 };
    let names: [ReplicaId; 2] = ["web/0".parse().unwrap(), "nobody/0".parse().unwrap()];
    for replica in &names {
        assert!(sky.offer(replica, Metric::Cpu, sample).await.is_some());
    }
    sky.sample().await;
    assert_eq!(sky.samples(&names[0], Metric::Cpu).await.len(), 1);
    assert!(sky.samples(&names[1], Metric::Cpu).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn drivers_are_asked_seldom_about_what_stands_still_and_the_counters_go_on() {
    let world = World::new(SimConfig::new(3, START));
    let sampling = Adaptive::new(0.05, Duration::from_secs(1)).unwrap();
    let config = RuntimeConfig::new().with_sampling(sampling);
    let sky = world.builder_in(world.folder.path()).config(config).build().unwrap();
    sky.apply(sky.plan(&probed()).await.unwrap(), &world.me).await.unwrap();
    const TICKS: usize = 400;
    for _ in 0..TICKS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sky.sample().await;
    }
    let samples = sky.samples(&"web/0".parse().unwrap(), Metric::Cpu).await;
    // One chance in twenty is always taken, and the first eight.
    assert!((20..TICKS / 4).contains(&samples.len()), "{} of {TICKS}", samples.len());
    let gap = |pair: &[Sample]| pair[1].at.saturating_since(pair[0].at);
    assert!(samples.windows(2).all(|pair| gap(pair) <= Duration::from_secs(21)));
    // A rate over a longer gap is the mean over it, not the whole of it in one second.
    let first = samples[0].value;
    assert!(
        samples
            .iter()
            .all(|sample| (sample.value - first).abs() <= 0.05 * first.abs().max(1.0))
    );
}
