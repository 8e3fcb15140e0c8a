//! Taking over and renaming through a whole control plane: what runs, runs on, also when the controller dies meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{Manifest, OwnerTag, ReplicaState, ResourceId, StopSpec, Token};
use skyloom_orchestrator::ClaimError;
use skyloom_provider::sim::{SimConfig, TimedCloud};
use skyloom_provider::{Capabilities, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Quota, Resource, Usage};
use skyloom_runtime::{ControlPlane, Error};

use crate::world::{START, World, shop};

/// What the cloud calls each thing, by its name there.
fn ids(world: &World) -> BTreeMap<String, ResourceId> {
    let things = world.driver.cloud().oracle();
    things
        .into_iter()
        .map(|thing| (thing.resource.name, thing.resource.id))
        .collect()
}

/// The shop whose workers are called crew.
fn renamed() -> Manifest {
    let text = r#"
        version = 1
        name = "shop"
        [residency]
        allow = ["EU"]
        [[moved]]
        from = "worker"
        to = "crew"
        [[service]]
        name = "store"
        replicas = 1
        resources = { cpu = "1", memory = "2GiB" }
        purchase = "on-demand"
        run = { command = ["store"] }
        [[service]]
        name = "crew"
        replicas = 2
        depends_on = ["store"]
        resources = { cpu = "500m", memory = "512MiB" }
        run = { command = ["worker"], env = { STORE = "{service.store.endpoints}" } }
    "#;
    Manifest::parse(text, "shop.toml").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_renamed_service_runs_on_under_its_new_name() {
    let world = World::new(SimConfig::new(7, START));
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let before = ids(&world);
    let proposal = sky.plan(&renamed()).await.unwrap();
    assert_eq!(proposal.plan.steps.len(), 2, "{proposal}");
    sky.apply(proposal, &world.me).await.unwrap();
    let after = ids(&world);
    assert_eq!(after["crew/0"], before["worker/0"]);
    assert_eq!(after["crew/1"], before["worker/1"]);
    assert_eq!(world.replicas(), ["crew/0", "crew/1", "store/0"]);
    let status = sky.status().await.unwrap();
    assert_eq!((status.healthy(), status.strangers.len()), (3, 0));
    assert!(sky.plan(&renamed()).await.unwrap().plan.is_empty());
    drop(sky);
    let sky = world.reopen().await;
    assert!(
        sky.plan(&renamed()).await.unwrap().plan.is_empty(),
        "also after a restart"
    );
    sky.destroy(&world.me).await.unwrap();
    assert!(world.names().is_empty());
}

/// A cloud on which another control plane runs the shop, which is gone for good; and the owner tag it used.
async fn orphaned(seed: u64) -> (World, String, tempfile::TempDir) {
    let world = World::new(SimConfig::new(seed, START));
    let other = tempfile::tempdir().unwrap();
    let sky = world.builder_in(other.path()).build().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let owner = world.driver.cloud().oracle()[0].resource.owner.to_string();
    // Listings lag behind what was just made.
    tokio::time::sleep(Duration::from_secs(120)).await;
    (world, owner, other)
}

/// The shop, importing what runs already.
fn importing(world: &World, owner: Option<&str>) -> Manifest {
    let mut manifest = shop(2);
    for (name, resource) in ids(world) {
        let Ok(replica) = name.parse() else { continue };
        manifest.imports.push(skyloom_core::Import {
            replica,
            resource,
            cloud: None,
            taken_from: owner.map(|owner| owner.parse().unwrap()),
            at: None,
        });
    }
    assert_eq!(manifest.imports.len(), 3);
    manifest
}

async fn assert_taken(world: &World, sky: &ControlPlane, before: &BTreeMap<String, ResourceId>, wanted: &Manifest) {
    let things = world.driver.cloud().oracle();
    let replicas: Vec<_> = before.iter().filter(|(name, _)| name.contains('/')).collect();
    for (name, id) in replicas {
        let thing = things.iter().find(|thing| thing.resource.id == *id).unwrap();
        assert_eq!(thing.resource.name, *name, "it runs on");
    }
    let status = sky.status().await.unwrap();
    assert_eq!((status.replicas.len(), status.strangers.len()), (3, 0));
    assert!(
        status
            .replicas
            .iter()
            .all(|replica| replica.state == ReplicaState::Healthy)
    );
    assert!(sky.plan(wanted).await.unwrap().plan.is_empty());
    assert!(sky.adoptable().await.unwrap().is_empty(), "nothing is left to take");
}

#[tokio::test(start_paused = true)]
async fn what_another_control_plane_left_is_taken_over_with_its_machines() {
    let (world, owner, _other) = orphaned(7).await;
    let before = ids(&world);
    let sky = world.open().unwrap();
    assert_eq!(sky.adoptable().await.unwrap().len(), before.len());
    let wanted = importing(&world, Some(&owner));
    let proposal = sky.plan(&wanted).await.unwrap();
    let kinds: Vec<String> = proposal.plan.steps.iter().map(|step| step.action.to_string()).collect();
    assert!(
        kinds
            .iter()
            .all(|kind| kind.starts_with("> ") || kind.starts_with("= ")),
        "{proposal}"
    );
    sky.apply(proposal, &world.me).await.unwrap();
    assert_taken(&world, &sky, &before, &wanted).await;
    sky.destroy(&world.me).await.unwrap();
    assert!(world.names().is_empty(), "what was taken over is ours to remove");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_of_taking_over_loses_nothing() {
    let mut interrupted = 0;
    for seed in 0..24 {
        let (world, owner, _other) = orphaned(seed).await;
        let before = ids(&world);
        let wanted = importing(&world, Some(&owner));
        let sky = world.open().unwrap();
        let proposal = sky.plan(&wanted).await.unwrap();
        // One answer is lost, so that an effect may have to be found again.
        world
            .driver
            .cloud()
            .lose_reply_at(world.driver.cloud().calls() + 3 + seed);
        let crash_after = Duration::from_millis(seed * 43 % 1_000);
        let cut = tokio::time::timeout(crash_after, sky.apply(proposal, &world.me)).await;
        interrupted += u64::from(cut.is_err());
        drop((sky, cut));
        let sky = world.reopen().await;
        let went_on = sky.recover(&world.me).await.unwrap().is_some();
        let rest = sky.plan(&wanted).await.unwrap();
        assert!(!went_on || rest.plan.is_empty(), "seed {seed}: {rest}");
        sky.apply(rest, &world.me).await.unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_taken(&world, &sky, &before, &wanted).await;
    }
    assert!(interrupted >= 8, "{interrupted} of 24 were really interrupted");
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_over_is_healed_like_any_other() {
    let (world, owner, _other) = orphaned(13).await;
    let sky = world.open().unwrap();
    let wanted = importing(&world, Some(&owner));
    sky.apply(sky.plan(&wanted).await.unwrap(), &world.me).await.unwrap();
    let taken = ids(&world)["worker/0"].clone();
    world.driver.cloud().crash(&taken).unwrap();
    let report = sky.heal(&world.me).await.unwrap();
    assert_eq!(report.healed[0].killed.as_ref(), Some(&taken));
    assert_ne!(ids(&world)["worker/0"], taken);
    // The import names what is gone, and its replica is down at the moment: that is no reason to refuse.
    world.driver.cloud().crash(&ids(&world)["worker/0"]).unwrap();
    let again = sky.plan(&wanted).await.unwrap();
    assert!(again.to_string().contains("the old one has failed"), "{again}");
}

/// The world's cloud, which here can neither look at things of others nor give new marks.
#[derive(Debug)]
struct Plain {
    cloud: TimedCloud,
    capabilities: Capabilities,
}

impl Plain {
    fn new(world: &World) -> Self {
        let mut capabilities = world.driver.capabilities().clone();
        capabilities.adopt = false;
        // Goes before the world's own driver.
        capabilities.clouds = Some(vec!["aws".parse().unwrap()]);
        Self {
            cloud: world.driver.clone(),
            capabilities,
        }
    }
}

#[async_trait]
impl Driver for Plain {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        self.cloud.create(request).await
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        self.cloud.get(id).await
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        self.cloud.list(owner).await
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        self.cloud.find_by_token(owner, token).await
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.cloud.delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.cloud.stop(id, stop, epoch).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.cloud.start(id, epoch).await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.cloud.logs(id, lines).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.cloud.usage(id).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], timeout: Duration) -> Result<ExecOutput, DriverError> {
        self.cloud.exec(id, command, timeout).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        self.cloud.quotas().await
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_driver_gives_no_marks_a_rename_is_the_states_alone_and_nothing_is_taken() {
    let world = World::new(SimConfig::new(7, START));
    let open = || {
        let plain = Plain::new(&world);
        world.builder_in(world.folder.path()).provider(plain).build().unwrap()
    };
    let sky = open();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let before = ids(&world);
    let proposal = sky.plan(&renamed()).await.unwrap();
    sky.apply(proposal, &world.me).await.unwrap();
    assert_eq!(ids(&world), before, "the cloud knows the old names");
    let names = |status: &skyloom_runtime::Status| -> Vec<String> {
        status
            .replicas
            .iter()
            .map(|replica| replica.replica.to_string())
            .collect()
    };
    assert_eq!(names(&sky.status().await.unwrap()), ["crew/0", "crew/1", "store/0"]);
    drop(sky);
    let sky = open();
    assert!(sky.plan(&renamed()).await.unwrap().plan.is_empty());
    let import = skyloom_core::Import {
        replica: "crew/0".parse().unwrap(),
        resource: "i-1".parse().unwrap(),
        cloud: Some("aws".parse().unwrap()),
        taken_from: None,
        at: None,
    };
    let refused = sky.import(&renamed(), vec![import]).await.unwrap_err();
    assert_eq!(refused.class(), skyloom_core::Class::Unsupported, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_is_nobodys_needs_no_owner_and_what_is_anothers_does() {
    let (world, _, _other) = orphaned(9).await;
    let sky = world.open().unwrap();
    let wanted = importing(&world, None);
    let refused = sky.plan(&wanted).await.unwrap_err();
    assert!(
        matches!(refused, Error::Claim(ClaimError::OtherOwner { .. })),
        "{refused}"
    );
    for id in ids(&world).into_values() {
        world.driver.cloud().untag(&id).unwrap();
    }
    let before = ids(&world);
    sky.apply(sky.plan(&wanted).await.unwrap(), &world.me).await.unwrap();
    assert_taken(&world, &sky, &before, &wanted).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_meanwhile_is_given_up_and_all_is_given_back() {
    let (world, owner, _other) = orphaned(11).await;
    let sky = world.open().unwrap();
    let proposal = sky.plan(&importing(&world, Some(&owner))).await.unwrap();
    let before = world.driver.cloud().oracle();
    // The last thing of the plan is let go by its owner between plan and call: it is not the one that was planned.
    let last = ids(&world)["worker/1"].clone();
    world.driver.cloud().untag(&last).unwrap();
    let refused = sky.apply(proposal, &world.me).await.unwrap_err();
    assert!(matches!(refused, Error::StepElsewhere { .. }), "{refused}");
    let owners = |things: &[skyloom_provider::sim::SimThing]| -> Vec<String> {
        things.iter().map(|thing| thing.resource.owner.to_string()).collect()
    };
    assert_eq!(
        owners(&world.driver.cloud().oracle()),
        owners(&before),
        "nothing was touched"
    );
}

#[tokio::test(start_paused = true)]
async fn a_take_over_that_fails_midway_is_undone() {
    let (world, owner, _other) = orphaned(12).await;
    let sky = world.open().unwrap();
    let proposal = sky.plan(&importing(&world, Some(&owner))).await.unwrap();
    let before = world.driver.cloud().oracle();
    let denied = skyloom_provider::Cause::Denied;
    let adopts = proposal
        .plan
        .steps
        .iter()
        .filter(|step| step.action.to_string().starts_with("> "))
        .count();
    assert!(adopts >= 4, "{proposal}");
    world
        .driver
        .cloud()
        .fail_next(skyloom_provider::Operation::Retag, denied);
    let failed = sky.apply(proposal, &world.me).await.unwrap_err();
    assert!(matches!(failed, Error::PlanFailed(_)), "{failed}");
    let marks = |things: Vec<skyloom_provider::sim::SimThing>| -> Vec<(String, String)> {
        let marks = things
            .into_iter()
            .map(|thing| (thing.resource.name, thing.resource.owner.to_string()));
        marks.collect()
    };
    assert_eq!(
        marks(world.driver.cloud().oracle()),
        marks(before),
        "every thing has its old marks"
    );
    assert!(sky.status().await.unwrap().replicas.is_empty());
    // It can be tried again.
    let wanted = importing(&world, Some(&owner));
    sky.apply(sky.plan(&wanted).await.unwrap(), &world.me).await.unwrap();
}
