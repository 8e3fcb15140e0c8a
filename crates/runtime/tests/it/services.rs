//! What services see of the control plane: endpoints, environment, secrets; and what happens to those that never work.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use skyloom_core::{Manifest, ReplicaId, ResourceId, Secret, SecretRef};
use skyloom_provider::sim::{SimConfig, SimProgram};
use skyloom_runtime::{Endpoint, Endpoints, EndpointsFile, Error, SecretResolver};

use crate::world::{START, World, shop};

fn read(path: &Path) -> EndpointsFile {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn endpoint(replica: &str, port: u16) -> Endpoint {
    let replica: ReplicaId = replica.parse().unwrap();
    Endpoint {
        replica,
        ports: BTreeMap::from([("http".parse().unwrap(), ([127, 0, 0, 1], port).into())]),
    }
}

#[test]
fn endpoints_hold_who_entered_and_has_not_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.json");
    let mut endpoints = Endpoints::new(path.clone());
    let id = |text: &str| ResourceId::new(text).unwrap();
    endpoints.enter(&id("old"), endpoint("web/1", 1)).unwrap();
    endpoints.enter(&id("first"), endpoint("web/0", 2)).unwrap();
    // While a replica moves there are two of its name; the old one leaving does not take the new one along.
    endpoints.enter(&id("new"), endpoint("web/1", 3)).unwrap();
    endpoints.leave(&id("old")).unwrap();
    let ports: Vec<u16> = endpoints
        .addresses(&"web".parse().unwrap(), None)
        .iter()
        .map(|a| a.port())
        .collect();
    assert_eq!(ports, [2, 3], "sorted by replica");
    assert_eq!(read(&path), endpoints.to_file());
    endpoints.leave(&id("first")).unwrap();
    endpoints.leave(&id("new")).unwrap();
    let file = read(&path);
    assert_eq!(
        file.services.get("web").map(Vec::len),
        Some(0),
        "a service without replicas has an empty list"
    );
}

#[test]
fn a_whole_list_is_written_when_it_changes_and_replaces_one_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.json");
    let id = |text: &str| ResourceId::new(text).unwrap();
    let web = || ["web".parse().unwrap(), "store".parse().unwrap()];
    let count = |service: &str| read(&path).services.get(service).map(Vec::len);
    Endpoints::new(path.clone())
        .enter(&id("old"), endpoint("web/0", 1))
        .unwrap();

    let mut endpoints = Endpoints::new(path.clone());
    endpoints.set_all(web(), BTreeMap::new()).unwrap();
    assert_eq!(
        (count("web"), count("store")),
        (Some(0), Some(0)),
        "the stale entry is gone"
    );
    let both = BTreeMap::from([(id("a"), endpoint("web/0", 1)), (id("b"), endpoint("web/1", 2))]);
    endpoints.set_all(web(), both.clone()).unwrap();
    assert_eq!((count("web"), count("store")), (Some(2), Some(0)));

    fs::remove_file(&path).unwrap();
    endpoints.set_all(web(), both).unwrap();
    assert!(!path.exists(), "what is shown already is not written again");
    endpoints.leave(&id("a")).unwrap();
    assert_eq!(count("web"), Some(1));
    endpoints.set_all([], BTreeMap::new()).unwrap();
    assert_eq!(
        (count("web"), count("store")),
        (Some(0), Some(0)),
        "a service is not forgotten"
    );
}

#[test]
fn a_list_that_cannot_be_written_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing-folder").join("endpoints.json");
    let mut endpoints = Endpoints::new(path);
    assert!(
        endpoints
            .enter(&ResourceId::new("a").unwrap(), endpoint("web/0", 1))
            .is_err()
    );
    assert!(endpoints.addresses(&"web".parse().unwrap(), None).is_empty());
}

/// A shop whose only service asks `probe` for its health.
fn probed() -> Manifest {
    let text = r#"
        version = 1
        name = "shop"
        [[service]]
        name = "web"
        replicas = 2
        resources = { cpu = "500m", memory = "512MiB" }
        run = { command = ["web"], ports = [{ name = "http" }] }
        [service.health]
        exec = ["probe"]
        interval = "1s"
        start_within = "20s"
    "#;
    Manifest::parse(text, "shop.toml").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_gets_healthy_fails_its_plan_and_leaves_nothing() {
    let sick = SimProgram::job(Duration::ZERO, 1);
    let world = World::new(SimConfig::new(3, START).with_program("probe", sick));
    let sky = world.open().unwrap();
    let begun = tokio::time::Instant::now();
    let error = sky
        .apply(sky.plan(&probed()).await.unwrap(), &world.me)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::PlanFailed(_)), "{error}");
    assert!(error.to_string().contains("was not healthy within 20s"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(300), "start_within ends the wait");
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_probe_succeeds_is_healthy() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&probed()).await.unwrap(), &world.me).await.unwrap();
    assert_eq!(sky.status().await.unwrap().healthy(), 2);
    let file = read(&sky.endpoints_file());
    assert_eq!(file.services.get("web").map(Vec::len), Some(2));
    sky.destroy(&world.me).await.unwrap();
    assert_eq!(read(&sky.endpoints_file()).services.get("web").map(Vec::len), Some(0));
}

/// One secret, whatever is asked for.
#[derive(Debug)]
struct OneSecret;

const CANARY: &str = "canary-7f3a-do-not-store";

impl SecretResolver for OneSecret {
    fn resolve(&self, reference: &SecretRef) -> Option<Secret<String>> {
        (reference.name == "db/password").then(|| Secret::new(CANARY.to_owned()))
    }
}

fn with_secret(name: &str) -> Manifest {
    let text = format!(
        r#"
        version = 1
        name = "shop"
        [[service]]
        name = "web"
        resources = {{ cpu = "500m", memory = "512MiB" }}
        run = {{ command = ["web"], env = {{ PASSWORD = {{ secret = "vault:{name}" }} }} }}
        "#
    );
    Manifest::parse(&text, "shop.toml").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_in_no_file_of_the_control_plane() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world
        .builder_in(world.folder.path())
        .secrets(OneSecret)
        .build()
        .unwrap();
    let proposal = sky.plan(&with_secret("db/password")).await.unwrap();
    let shown = format!("{proposal}{proposal:?}{}", serde_json::to_string(&proposal).unwrap());
    assert!(!shown.contains(CANARY));
    sky.apply(proposal, &world.me).await.unwrap();
    let mut read = 0;
    for entry in fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert!(
                !String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(CANARY),
                "{}",
                path.display()
            );
            read += 1;
        }
    }
    assert!(read >= 5, "state, journal, audit, endpoints and lease were looked at");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_secret_fails_the_plan_with_its_reference() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world
        .builder_in(world.folder.path())
        .secrets(OneSecret)
        .build()
        .unwrap();
    let error = sky
        .apply(sky.plan(&with_secret("nobody")).await.unwrap(), &world.me)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("resolve secret `vault:nobody`"), "{error}");
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn supervision_heals_until_it_is_told_to_stop() {
    let world = World::new(SimConfig::new(5, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(1)).await.unwrap(), &world.me).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let supervised = {
        let (sky, me) = (std::sync::Arc::clone(&sky), world.me.clone());
        tokio::spawn(async move {
            sky.supervise(&me, async {
                let _ = stopped.await;
            })
            .await;
        })
    };
    let victim = sky.status().await.unwrap().replicas[0].resource.clone();
    world.driver.cloud().crash(&victim).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let status = sky.status().await.unwrap();
    assert_eq!(status.healthy(), 2);
    assert!(status.replicas.iter().all(|replica| replica.resource != victim));
    drop(stop);
    supervised.await.unwrap();
}
