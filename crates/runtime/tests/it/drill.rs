//! Drills: what they report is what a loss comes to, they touch nothing, and a seed says all.

use std::time::Duration;

use skyloom_core::{Catalogue, Filter, Manifest, RegionKey};
use skyloom_orchestrator::FailoverPolicy;
use skyloom_orchestrator::drill::{DrillMode, DrillReport, Loss, SurvivingCopy};
use skyloom_provider::sim::SimConfig;
use skyloom_runtime::{ControlPlane, DrillConfig, Error, RuntimeConfig};

use crate::world::{START, World};

const REGIONS: [&str; 2] = ["aws/eu-central-1", "gcp/europe-west3"];

fn manifest() -> Manifest {
    let text = r#"
        version = 1
        name = "shop"
        [[service]]
        name = "store"
        replicas = 2
        resources = { cpu = "500m", memory = "512MiB" }
        purchase = "on-demand"
        data = ["orders"]
        spread = { over = "region", max_skew = 1 }
        run = { command = ["store"], ports = [{ name = "http" }] }
        health = { http = { port = "http", path = "/healthz" }, interval = "1s" }
        [[service]]
        name = "pinned"
        replicas = 1
        resources = { cpu = "500m", memory = "512MiB" }
        purchase = "on-demand"
        regions = ["aws/eu-central-1"]
        run = { command = ["pinned"] }
        [[data]]
        name = "orders"
        class = "internal"
        replicas = [{ cloud = "aws", region = "eu-central-1" }, { cloud = "gcp", region = "europe-west3" }]
        sync = { mode = "mirror" }
        "#;
    let mut manifest = Manifest::parse(text, "shop.toml").unwrap();
    // Nothing listens in the simulated cloud that stands for the real one here.
    manifest.services[0].health.as_mut().unwrap().probe = skyloom_core::HealthProbe::Exec {
        command: vec!["health".to_owned()],
    };
    manifest
}

fn open() -> (World, ControlPlane) {
    let world = World::new(SimConfig::new(3, START));
    let regions: Vec<RegionKey> = REGIONS.iter().map(|r| r.parse().unwrap()).collect();
    let catalogue = Catalogue::builtin().retain(|offer| regions.contains(&offer.key.region));
    let policy = FailoverPolicy::new().with_patience(3, Duration::from_secs(60));
    let builder = world.builder_in(world.folder.path()).catalogue(catalogue);
    let sky = builder
        .config(RuntimeConfig::new().with_failover(policy))
        .build()
        .unwrap();
    (world, sky)
}

async fn running() -> (World, ControlPlane) {
    let (world, sky) = open();
    sky.apply(sky.plan(&manifest()).await.unwrap(), &world.me)
        .await
        .unwrap();
    (world, sky)
}

fn of<'a>(report: &'a DrillReport, service: &str) -> &'a skyloom_orchestrator::drill::ServiceRecovery {
    report.services.iter().find(|s| s.service.as_str() == service).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rehearsed_loss_is_survived_where_there_is_another_place_and_named_where_there_is_none() {
    let (world, sky) = running().await;
    let loss = Loss::Region(REGIONS[0].parse().unwrap());
    let before = world.driver.at_present().oracle();
    let report = sky.drill(&loss, &DrillConfig::rehearsal(7)).await.unwrap();
    assert_eq!(report.mode, DrillMode::Rehearsal { seed: 7 });
    let store = of(&report, "store");
    assert_eq!((store.lost, store.healthy), (1, 2), "{report}");
    let rto = store.rto.unwrap();
    let declared = report.declared_after.unwrap();
    assert!(declared >= Duration::from_secs(60) && rto > declared, "{report}");
    assert!(
        rto <= declared + Duration::from_secs(60 + 5 + 10),
        "a machine, a replica, and a few looks: {report}"
    );
    let pinned = of(&report, "pinned");
    assert_eq!((pinned.lost, pinned.healthy, pinned.rto), (1, 0, None));
    assert_eq!(report.unplaced.len(), 1);
    assert_eq!(report.unplaced[0].filter, Filter::Place);
    assert_eq!((report.rto(), report.is_placed()), (None, false));
    assert!(report.cost.lost_but_charged > skyloom_core::MicroUsdPerHour::ZERO);
    assert!(report.cost.during > report.cost.after, "{report}");
    // Never synchronised: nobody knows how old the other copy is.
    assert!(matches!(report.data[0].copy, SurvivingCopy::Unknown { .. }));
    assert_eq!(report.rpo(), None);
    assert!(report.to_string().contains("unknown"), "{report}");
    let again = sky.drill(&loss, &DrillConfig::rehearsal(7)).await.unwrap();
    assert_eq!(
        serde_json::to_string(&report).unwrap(),
        serde_json::to_string(&again).unwrap()
    );
    assert_eq!(world.driver.at_present().oracle(), before, "nothing real is touched");
    assert!(!world.folder.path().join("drill").exists(), "and nothing is left of it");
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<DrillReport>(&text).unwrap(), report);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_copy_is_the_time_since_the_last_synchronisation() {
    let (world, sky) = running().await;
    sky.sync(&"orders".parse().unwrap(), &world.me).await.unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let dry = DrillConfig::dry_run();
    let report = sky.drill(&Loss::Cloud("aws".parse().unwrap()), &dry).await.unwrap();
    assert_eq!(report.rpo(), Some(Duration::from_secs(300)), "{report}");
    let report = sky.drill(&Loss::Cloud("gcp".parse().unwrap()), &dry).await.unwrap();
    assert_eq!(report.rpo(), Some(Duration::ZERO), "the primary survives: {report}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_and_a_rehearsal_decide_alike() {
    let (_world, sky) = running().await;
    for loss in [
        Loss::Region(REGIONS[0].parse().unwrap()),
        Loss::Region(REGIONS[1].parse().unwrap()),
        Loss::Cloud("aws".parse().unwrap()),
    ] {
        let [dry, lived] = [DrillConfig::dry_run(), DrillConfig::rehearsal(1)];
        let dry = sky.drill(&loss, &dry).await.unwrap();
        let lived = sky.drill(&loss, &lived).await.unwrap();
        assert_eq!((&dry.unplaced, &dry.refused), (&lived.unplaced, &lived.refused));
        assert_eq!(
            (dry.machines_lost, dry.replicas_lost),
            (lived.machines_lost, lived.replicas_lost)
        );
        assert_eq!(dry.cost.before, lived.cost.before);
        for (on_paper, lived) in dry.services.iter().zip(&lived.services) {
            assert_eq!(
                (on_paper.healthy, on_paper.rto.is_some()),
                (lived.healthy, lived.rto.is_some()),
                "{loss}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_machine_is_healed_and_a_shortfall_is_named() {
    let (_world, sky) = running().await;
    let status = sky.status().await.unwrap();
    let machine = status
        .machines
        .iter()
        .find(|m| m.site.region.to_string() == REGIONS[1])
        .unwrap();
    let loss = Loss::Machine(machine.id.clone());
    let report = sky.drill(&loss, &DrillConfig::rehearsal(1)).await.unwrap();
    assert_eq!((report.machines_lost, report.declared_after), (1, None));
    assert!(
        report.rto().is_some_and(|rto| rto >= Duration::from_secs(30)),
        "{report}"
    );
    let scarce = DrillConfig::rehearsal(1)
        .with_capacity(machine.site.region.clone(), machine.instance.clone(), 0)
        .with_within(Duration::from_secs(900));
    let report = sky.drill(&loss, &scarce).await.unwrap();
    assert!(
        report.shortfalls.iter().any(|s| s.what.contains("no capacity")),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_cannot_be_lost() {
    let (_world, sky) = running().await;
    let dry = DrillConfig::dry_run();
    for place in ["mars", "aws/nowhere", "aws/eu-central-1:nowhere"] {
        let loss = place.parse::<skyloom_orchestrator::Place>().unwrap().into();
        let refused = sky.drill(&loss, &dry).await;
        assert!(matches!(refused, Err(Error::UnknownLoss(_))), "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_the_other_places_exceed_says_no_to_the_whole() {
    let solo = |budget: &str| {
        let text = format!(
            r#"
            version = 1
            name = "solo"
            {budget}
            [[service]]
            name = "solo"
            replicas = 1
            resources = {{ cpu = "500m", memory = "512MiB" }}
            purchase = "on-demand"
            run = {{ command = ["solo"] }}
            "#
        );
        Manifest::parse(&text, "solo.toml").unwrap()
    };
    let (world, sky) = open();
    let placement = sky.plan(&solo("")).await.unwrap().placement;
    let today = placement.cost.total_per_month.as_usd();
    let budget = format!("budget = {{ usd_per_month = {:.2} }}", today + 0.01);
    let proposal = sky.plan(&solo(&budget)).await.unwrap();
    sky.apply(proposal, &world.me).await.unwrap();
    let loss = Loss::Region(placement.machines[0].site.region.clone());
    for config in [
        DrillConfig::dry_run(),
        DrillConfig::rehearsal(1).with_within(Duration::from_secs(600)),
    ] {
        let report = sky.drill(&loss, &config).await.unwrap();
        let refused = report.refused.as_deref().unwrap_or_default();
        assert!(refused.contains("budget"), "{report}");
        assert!(!report.is_placed() && report.rto().is_none(), "{report}");
    }
}
