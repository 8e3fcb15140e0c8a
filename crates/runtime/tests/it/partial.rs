//! Partial plans, data before services, and a manifest that is edited while its plan is carried out.

use std::fs;

use skyloom_core::{Action, Manifest, ServiceName};
use skyloom_provider::sim::SimConfig;
use skyloom_runtime::Error;

use crate::world::{START, World, shop};

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn calm() -> SimConfig {
    SimConfig::new(7, START)
}

#[tokio::test(start_paused = true)]
async fn a_partial_plan_says_what_it_leaves_out_and_the_whole_one_finishes() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let first = sky.plan_targets(&shop(3), &[name("store")]).await.unwrap();
    assert_eq!(first.manifest.services.len(), 1);
    sky.apply(first, &world.me).await.unwrap();
    assert_eq!(world.replicas(), ["store/0"]);
    let status = sky.status().await.unwrap();
    assert_eq!(status.left_out, [name("worker")].into());
    assert!(
        status.to_string().contains("partly applied; left as it was: worker"),
        "{status}"
    );
    // Healing keeps to what is in force.
    assert!(sky.heal(&world.me).await.unwrap().healed.is_empty());
    drop(sky);
    let sky = world.reopen().await;
    assert_eq!(
        sky.status().await.unwrap().left_out,
        [name("worker")].into(),
        "also after a restart"
    );
    sky.apply(sky.plan(&shop(3)).await.unwrap(), &world.me).await.unwrap();
    assert_eq!(world.replicas(), ["store/0", "worker/0", "worker/1", "worker/2"]);
    assert!(sky.status().await.unwrap().left_out.is_empty());
    // The other way round: what a target needs is there already and is not touched.
    let second = sky.plan_targets(&shop(4), &[name("worker")]).await.unwrap();
    let replicas: Vec<String> = second
        .plan
        .steps
        .iter()
        .filter_map(|step| step.action.replica())
        .map(ToString::to_string)
        .collect();
    assert_eq!(replicas, ["worker/3"], "{second}");
    let unknown = sky.plan_targets(&shop(4), &[name("wroker")]).await.unwrap_err();
    assert!(matches!(unknown, Error::Target(_)), "{unknown}");
}

/// A store that starts when the copies of its data are verified equal.
fn with_data(need: &str) -> Manifest {
    let text = format!(
        r#"
        version = 1
        name = "shop"
        [[service]]
        name = "store"
        depends_on = [{need}]
        data = ["orders"]
        resources = {{ cpu = "1", memory = "2GiB" }}
        run = {{ command = ["store"], env = {{ STORE = "{{data.orders}}" }} }}
        [[data]]
        name = "orders"
        replicas = ["aws/eu-central-1", "aws/eu-west-1"]
        "#
    );
    Manifest::parse(&text, "shop.toml").unwrap()
}

fn has_sync(plan: &skyloom_core::Plan) -> bool {
    plan.steps
        .iter()
        .any(|step| matches!(step.action, Action::SyncData { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_service_starts_when_the_copies_of_its_data_are_equal() {
    let world = World::new(calm());
    let catalogue = skyloom_core::Catalogue::builtin().retain(|offer| offer.key.region.cloud.as_str() == "aws");
    let open = || {
        world
            .builder_in(world.folder.path())
            .catalogue(catalogue.clone())
            .build()
    };
    let sky = open().unwrap();
    let folder = world.folder.path().join("data/orders");
    fs::create_dir_all(folder.join("aws-eu-central-1")).unwrap();
    fs::write(folder.join("aws-eu-central-1/ledger"), "one").unwrap();
    let wanted = with_data(r#"{ data = "orders", condition = "synced", max_age = "1h" }"#);
    let proposal = sky.plan(&wanted).await.unwrap();
    assert!(has_sync(&proposal.plan), "{proposal}");
    sky.apply(proposal, &world.me).await.unwrap();
    assert_eq!(fs::read_to_string(folder.join("aws-eu-west-1/ledger")).unwrap(), "one");
    // Within the hour nothing has to be copied for another replica, also after a restart.
    drop(sky);
    let sky = open().unwrap();
    let mut two = wanted.clone();
    two.services[0].replicas = std::num::NonZeroU32::new(2).unwrap();
    assert!(!has_sync(&sky.plan(&two).await.unwrap().plan));
    tokio::time::sleep(std::time::Duration::from_secs(3700)).await;
    assert!(has_sync(&sky.plan(&two).await.unwrap().plan));
    // A synchronisation by hand counts too.
    sky.sync(&"orders".parse().unwrap(), &world.me).await.unwrap();
    assert!(!has_sync(&sky.plan(&two).await.unwrap().plan));
    // Without an age it is done in the plan that starts the service.
    let strict = with_data(r#"{ data = "orders" }"#);
    let mut strict_two = strict.clone();
    strict_two.services[0].replicas = std::num::NonZeroU32::new(2).unwrap();
    assert!(has_sync(&sky.plan(&strict_two).await.unwrap().plan));
}

#[tokio::test(start_paused = true)]
async fn copies_that_cannot_be_made_equal_start_nothing() {
    let world = World::new(calm());
    let catalogue = skyloom_core::Catalogue::builtin().retain(|offer| offer.key.region.cloud.as_str() == "aws");
    let sky = world
        .builder_in(world.folder.path())
        .catalogue(catalogue)
        .build()
        .unwrap();
    let wanted = with_data(r#"{ data = "orders" }"#);
    let proposal = sky.plan(&wanted).await.unwrap();
    // The copy has another object of the same name that nobody has synchronised before: a conflict.
    for (region, text) in [("aws-eu-central-1", "one"), ("aws-eu-west-1", "two")] {
        let folder = world.folder.path().join("data/orders").join(region);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ledger"), text).unwrap();
    }
    // A folder where the merge base is kept that cannot be written.
    let bases = world.folder.path().join("sync");
    fs::write(&bases, "in the way").unwrap();
    let failed = sky.apply(proposal, &world.me).await.unwrap_err();
    assert!(matches!(failed, Error::PlanFailed(_)), "{failed}");
    assert!(world.replicas().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_manifest_edited_meanwhile_changes_the_next_plan_and_not_this_one() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let path = world.folder.path().join("shop.toml");
    let text = |replicas: u32| {
        format!(
            "version = 1\nname = \"shop\"\n[[service]]\nname = \"web\"\nreplicas = {replicas}\n\
             resources = {{ cpu = 1, memory = \"1GiB\" }}\nrun = {{ command = [\"web\"] }}\n"
        )
    };
    let read = || Manifest::parse(&fs::read_to_string(&path).unwrap(), "shop.toml").unwrap();
    fs::write(&path, text(2)).unwrap();
    let proposal = sky.plan(&read()).await.unwrap();
    let planned = proposal.id();
    let edit = async {
        tokio::task::yield_now().await;
        fs::write(&path, text(5)).unwrap();
    };
    let (applied, ()) = tokio::join!(sky.apply(proposal, &world.me), edit);
    assert_eq!(applied.unwrap().plan, planned);
    assert_eq!(world.replicas(), ["web/0", "web/1"], "what was planned");
    let next = sky.plan(&read()).await.unwrap();
    let created: Vec<String> = next
        .plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::CreateReplica { .. }))
        .filter_map(|step| step.action.replica())
        .map(ToString::to_string)
        .collect();
    assert_eq!(created, ["web/2", "web/3", "web/4"]);
}
