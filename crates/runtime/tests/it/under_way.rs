//! What can be asked while a plan is carried out.

use std::sync::Arc;
use std::time::Duration;

use skyloom_core::Manifest;
use skyloom_provider::sim::{Delay, SimConfig, SimProgram};
use skyloom_runtime::{EndpointsFile, Event};
use tokio::time::{sleep, timeout};

use crate::world::{START, World, shop};

fn config() -> SimConfig {
    SimConfig::new(3, START)
        .with_machine_start(Delay::exactly(Duration::from_secs(60)))
        .with_replica_start(Delay::exactly(Duration::from_secs(20)))
        .with_program("store", SimProgram::service().printing(["open"]))
}

#[tokio::test(start_paused = true)]
async fn status_and_logs_answer_while_a_plan_is_carried_out_and_touch_nothing() {
    let world = World::new(config());
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(3)).await.unwrap();
    let applying = tokio::spawn({
        let (sky, me) = (Arc::clone(&sky), world.me.clone());
        async move { sky.apply(proposal, &me).await.map(drop) }
    });
    let (mut seen, mut logs) = (Vec::new(), 0);
    let store = "store/0".parse().unwrap();
    while !applying.is_finished() {
        let status = timeout(Duration::from_millis(100), sky.status())
            .await
            .unwrap()
            .unwrap();
        seen.push((status.machines.len(), status.replicas.len(), status.healthy()));
        let printed = sky.logs(&store, 10, &world.me);
        logs += timeout(Duration::from_millis(100), printed)
            .await
            .unwrap()
            .map_or(0, |lines| lines.len());
        sleep(Duration::from_secs(5)).await;
    }
    applying.await.unwrap().unwrap();
    seen.dedup();
    assert!(seen.len() >= 4, "the status follows the plan: {seen:?}");
    assert!(seen.iter().any(|(_, replicas, _)| *replicas == 1), "{seen:?}");
    assert!(logs > 0);
    assert_eq!(sky.status().await.unwrap().healthy(), 4);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_status_does_not_send_callers_to_what_is_about_to_stop() {
    let world = World::new(config());
    let sky = world.open().unwrap();
    let text = r#"
        version = 1
        name = "web"
        [[service]]
        name = "web"
        replicas = 2
        resources = { cpu = "500m", memory = "512MiB" }
        run = { command = ["web"], ports = [{ name = "http" }] }
        stop = { grace = "30s" }
    "#;
    let manifest = |replicas| {
        let text = text.replace("replicas = 2", &format!("replicas = {replicas}"));
        Manifest::parse(&text, "web.toml").unwrap()
    };
    sky.apply(sky.plan(&manifest(2)).await.unwrap(), &world.me)
        .await
        .unwrap();
    let listed = || {
        let bytes = std::fs::read(sky.endpoints_file()).unwrap();
        let file: EndpointsFile = serde_json::from_slice(&bytes).unwrap();
        file.services.get("web").map_or(0, Vec::len)
    };
    assert_eq!(listed(), 2);
    let mut events = sky.watch();
    let applying = tokio::spawn({
        let (sky, me, proposal) = (
            Arc::clone(&sky),
            world.me.clone(),
            sky.plan(&manifest(1)).await.unwrap(),
        );
        async move { sky.apply(proposal, &me).await.map(drop) }
    });
    while !matches!(events.recv().await.unwrap(), Event::StepBegun { .. }) {}
    // Out of the list, and not told to stop yet.
    sleep(Duration::from_millis(100)).await;
    assert_eq!(listed(), 1);
    assert_eq!(world.replicas().len(), 2);
    assert_eq!(sky.status().await.unwrap().replicas.len(), 2);
    assert_eq!(listed(), 1, "asking does not put it back");
    applying.await.unwrap().unwrap();
    assert_eq!((listed(), world.replicas().len()), (1, 1));
}
