//! Rollouts of whole control planes on the simulated cloud: refused, taken back, switched; and changes from outside.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{DriftField, DriftPolicy, Manifest};
use skyloom_orchestrator::SagaStatus;
use skyloom_provider::sim::{SimConfig, TimedCloud};
use skyloom_runtime::{AnalysisSource, ControlPlane, EndpointsFile, Error, Measure, MeasureError, RuntimeConfig};

use crate::world::{START, World};

fn calm() -> SimConfig {
    SimConfig::new(7, START)
}

fn api(image: &str, more: &str) -> Manifest {
    let text = format!(
        r#"
        version = 1
        name = "shop"
        [[service]]
        name = "api"
        replicas = 3
        resources = {{ cpu = "50m", memory = "32MiB" }}
        run = {{ command = ["api"], image = "{image}", ports = [{{ name = "http" }}] }}
        {more}
        "#
    );
    Manifest::parse(&text, "shop.toml").unwrap()
}

const STAGED: &str = r#"
[service.rollout]
strategy = "canary"
steps = [{ replicas = 1, pause = "30s" }]
analysis = { metric = "errors", below = 0.1, for = "60s", interval = "10s", failures = 2 }
"#;

/// Whatever runs `api:2` has errors.
#[derive(Debug)]
struct Errors(TimedCloud);

#[async_trait]
impl AnalysisSource for Errors {
    async fn measure(&self, measure: &Measure) -> Result<Option<f64>, MeasureError> {
        let things = self.0.cloud().oracle();
        let ids: BTreeSet<_> = measure.replicas.iter().map(|replica| &replica.resource).collect();
        let bad = things
            .iter()
            .any(|t| ids.contains(&t.resource.id) && t.resource.observed.image.as_deref() == Some("api:2"));
        Ok((measure.metric == "errors").then_some(if bad { 0.5 } else { 0.0 }))
    }
}

fn open(world: &World) -> Result<Arc<ControlPlane>, Error> {
    let builder = world
        .builder_in(world.folder.path())
        .analysis(Errors(world.driver.clone()));
    builder.build().map(Arc::new)
}

fn images(world: &World) -> Vec<String> {
    let things = world.driver.cloud().oracle().into_iter();
    let mut images: Vec<String> = things.filter_map(|thing| thing.resource.observed.image).collect();
    images.sort();
    images
}

#[tokio::test(start_paused = true)]
async fn a_refused_canary_is_taken_back_and_a_good_one_goes_all_the_way() {
    let world = World::new(calm());
    let sky = open(&world).unwrap();
    sky.apply(sky.plan(&api("api:1", STAGED)).await.unwrap(), &world.me)
        .await
        .unwrap();
    let error = sky
        .apply(sky.plan(&api("api:2", STAGED)).await.unwrap(), &world.me)
        .await
        .unwrap_err();
    let Error::Reverted(reverted) = &error else {
        panic!("{error}")
    };
    assert!(reverted.cause.detail.contains("`errors`"), "{error}");
    assert_eq!(reverted.restored.len(), 1);
    assert_eq!(images(&world), ["api:1"; 3]);
    assert!(sky.plan(&api("api:1", STAGED)).await.unwrap().plan.is_empty());
    sky.apply(sky.plan(&api("api:3", STAGED)).await.unwrap(), &world.me)
        .await
        .unwrap();
    assert_eq!(images(&world), ["api:3"; 3]);
}

/// A controller that dies at any time of a refused rollout leaves the way back to the next one.
#[tokio::test(start_paused = true)]
async fn a_way_back_is_resumed_after_a_crash() {
    for secs in [20, 45, 62, 66, 70] {
        let world = World::new(calm());
        let sky = open(&world).unwrap();
        sky.apply(sky.plan(&api("api:1", STAGED)).await.unwrap(), &world.me)
            .await
            .unwrap();
        let proposal = sky.plan(&api("api:2", STAGED)).await.unwrap();
        let applying = sky.apply(proposal, &world.me);
        let died = tokio::time::timeout(Duration::from_secs(secs), applying).await.is_err();
        drop(sky);
        let mut sky = open(&world);
        for _ in 0..100 {
            if sky.is_ok() {
                break;
            }
            tokio::task::yield_now().await;
            sky = open(&world);
        }
        let sky = sky.unwrap();
        if died {
            assert!(sky.interrupted().await.is_some());
            let refused = sky.plan(&api("api:3", STAGED)).await.unwrap_err();
            assert!(matches!(refused, Error::Interrupted { .. }), "{refused}");
            let error = sky.recover(&world.me).await.unwrap_err();
            assert!(matches!(error, Error::Reverted(_)), "after {secs} s: {error}");
        }
        assert_eq!(images(&world), ["api:1"; 3], "after {secs} s");
        assert!(sky.plan(&api("api:1", STAGED)).await.unwrap().plan.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_way_back_what_was_made_for_something_old_stays() {
    let world = World::new(calm());
    let builder = world
        .builder_in(world.folder.path())
        .analysis(Errors(world.driver.clone()));
    let sky = builder
        .config(RuntimeConfig::new().with_auto_revert(false))
        .build()
        .unwrap();
    sky.apply(sky.plan(&api("api:1", STAGED)).await.unwrap(), &world.me)
        .await
        .unwrap();
    let error = sky
        .apply(sky.plan(&api("api:2", STAGED)).await.unwrap(), &world.me)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::PlanFailed(s) if matches!(**s, SagaStatus::RolledBack { .. })),
        "{error}"
    );
    assert_eq!(images(&world), ["api:1", "api:1", "api:2"]);
}

/// The replicas that callers are shown, as the file has them.
fn shown(sky: &ControlPlane) -> BTreeSet<std::net::SocketAddr> {
    let file: EndpointsFile = serde_json::from_slice(&std::fs::read(sky.endpoints_file()).unwrap()).unwrap();
    let replicas = file.services.into_values().flatten();
    replicas.flat_map(|replica| replica.ports.into_values()).collect()
}

/// Callers see all of the old or all of the new, never a mixture; a new generation that dies while the old one is kept
/// gives way to it again.
#[tokio::test(start_paused = true)]
async fn blue_green_switches_in_one_moment_and_back() {
    const GREEN: &str = "rollout = { strategy = \"blue-green\", ready_for = \"5s\", keep = \"60s\" }";
    for dies in [false, true] {
        let world = World::new(calm());
        let sky = open(&world).unwrap();
        sky.apply(sky.plan(&api("api:1", GREEN)).await.unwrap(), &world.me)
            .await
            .unwrap();
        let blue = shown(&sky);
        assert_eq!(blue.len(), 3);
        let (other, me) = (Arc::clone(&sky), world.me.clone());
        let proposal = sky.plan(&api("api:3", GREEN)).await.unwrap();
        let applying = tokio::spawn(async move { other.apply(proposal, &me).await });
        let mut seen = Vec::new();
        while !applying.is_finished() {
            let now = shown(&sky);
            if seen.last() != Some(&now) {
                seen.push(now);
            }
            if dies && seen.len() == 2 {
                let new = world.driver.cloud().oracle().into_iter();
                let new = new.filter(|t| t.resource.observed.image.as_deref() == Some("api:3"));
                new.for_each(|thing| drop(world.driver.cloud().crash(&thing.resource.id)));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ended = applying.await.unwrap();
        assert_eq!(seen.first(), Some(&blue));
        assert!(seen.iter().all(|list| list.len() == 3), "{seen:?}");
        assert!(seen[1].is_disjoint(&blue));
        if dies {
            assert!(ended.is_err());
            assert_eq!(seen.last(), Some(&blue), "back to blue");
            assert_eq!(images(&world), ["api:1"; 3]);
        } else {
            ended.unwrap();
            assert_eq!((seen.len(), images(&world)), (2, vec![String::from("api:3"); 3]));
        }
    }
}

/// An edit from outside is told with its field, and corrected by healing exactly when the service says so.
#[tokio::test(start_paused = true)]
async fn an_edit_is_told_and_corrected_as_the_manifest_says() {
    for (policy, told, healed) in [
        (DriftPolicy::Correct, true, 1),
        (DriftPolicy::Report, true, 0),
        (DriftPolicy::Ignore, false, 0),
    ] {
        let world = World::new(calm());
        let sky = open(&world).unwrap();
        let word = serde_json::to_string(&policy).unwrap();
        let manifest = api("api:1", &format!("drift = {{ image = {word} }}"));
        sky.apply(sky.plan(&manifest).await.unwrap(), &world.me).await.unwrap();
        let edited = sky.status().await.unwrap().replicas[0].resource.clone();
        let edit = |shown: &mut skyloom_core::Attributes| shown.image = Some(String::from("evil:1"));
        world.driver.cloud().edit(&edited, edit).unwrap();
        let fields: Vec<_> = sky
            .status()
            .await
            .unwrap()
            .drifts
            .iter()
            .map(|d| (d.field, d.policy))
            .collect();
        assert_eq!(
            fields,
            if told {
                vec![(DriftField::Image, policy)]
            } else {
                vec![]
            }
        );
        assert_eq!(sky.plan(&manifest).await.unwrap().plan.is_empty(), healed == 0);
        assert_eq!(sky.heal(&world.me).await.unwrap().healed.len(), healed);
        let left = images(&world).iter().filter(|image| *image == "evil:1").count();
        assert_eq!(left, 1 - healed, "{policy:?}");
        assert_eq!(sky.status().await.unwrap().healthy(), 3);
    }
}
