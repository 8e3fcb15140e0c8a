//! How calls reach a provider: at what rate, and what becomes of those that nobody could find out about.

use std::num::NonZeroU32;

use skyloom_core::Manifest;
use skyloom_provider::sim::{SimCloud, SimConfig};
use skyloom_provider::{Cause, Operation, RateLimit};
use skyloom_runtime::{ControlPlane, Error};
use tokio::time::Instant;

use crate::world::{START, World, one_region};

fn one_service() -> Manifest {
    let text = r#"
        version = 1
        name = "shop"
        [[service]]
        name = "web"
        resources = { cpu = "500m", memory = "512MiB" }
        run = { command = ["web"] }
    "#;
    Manifest::parse(text, "shop.toml").unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_made_than_the_provider_allows() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = SimCloud::new(SimConfig::new(3, START));
    let (per_second, burst) = (2, 3);
    let limit = RateLimit::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap());
    let sky = ControlPlane::builder()
        .state_dir(folder.path())
        .provider_within(cloud.clone(), limit)
        .catalogue(one_region())
        .build()
        .unwrap();
    let begun = Instant::now();
    for _ in 0..11 {
        sky.status().await.unwrap();
    }
    assert_eq!(cloud.calls(), 11);
    // Three at once, then two in a second.
    assert_eq!(begun.elapsed().as_secs(), 4);
}

/// Look-ups without an answer for longer than a plan asks: it ends with a creation in doubt, and the next plan begins
/// with finding it.
#[tokio::test(start_paused = true)]
async fn what_was_left_in_doubt_is_found_by_the_next_plan() {
    let world = World::new(SimConfig::new(3, START));
    let sky = world.open().unwrap();
    let cloud = world.driver.cloud().clone();
    let proposal = sky.plan(&one_service()).await.unwrap();
    // `apply` looks once more; then the machine is asked for.
    let creation = cloud.calls() + 1;
    cloud.lose_reply_at(creation);
    for _ in 0..10 {
        let detail = "nobody answers".to_owned();
        cloud.fail_next(Operation::FindByToken, Cause::Unavailable { detail });
    }
    let failed = sky.apply(proposal, &world.me).await.unwrap_err();
    assert!(matches!(failed, Error::PlanFailed(_)), "{failed}");
    assert_eq!(world.names().len(), 1, "the machine is there, and nobody knows");
    let again = sky.plan(&one_service()).await.unwrap();
    assert!(sky.status().await.unwrap().strangers.is_empty(), "now it is known");
    sky.apply(again, &world.me).await.unwrap();
    assert!(sky.plan(&one_service()).await.unwrap().plan.is_empty());
    assert_eq!(world.names().len(), 2, "one machine, one replica");
}
