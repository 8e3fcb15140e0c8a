//! Regions that are lost and come back, on the simulated cloud: what is brought up, what is never touched, and how it
//! comes together again. The traps are those that others fell into.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use skyloom_core::{Catalogue, Manifest, RegionKey, ReplicaState, ResourceId, Site};
use skyloom_orchestrator::{Failback, FailoverAction, FailoverPolicy, Place, Standing};
use skyloom_provider::sim::{Fate, SimConfig, SimEventKind};
use skyloom_provider::{Cause, Kind, Operation, ResourceState};
use skyloom_runtime::{ControlPlane, EndpointsFile, Error, Event, RuntimeConfig};
use tokio::time::sleep;

use crate::world::{START, World};

const FRONT: [&str; 2] = ["aws/eu-central-1", "aws/eu-west-1"];
const APART: &str = "aws/eu-north-1";
const PATIENCE: Duration = Duration::from_secs(60);
const STABLE: Duration = Duration::from_secs(120);

fn policy(failback: Failback) -> FailoverPolicy {
    FailoverPolicy::new()
        .with_patience(3, PATIENCE)
        .with_stable(3, STABLE)
        .with_failback(failback)
}

fn catalogue() -> Catalogue {
    let regions: BTreeSet<RegionKey> = FRONT.iter().chain([&APART]).map(|r| r.parse().unwrap()).collect();
    Catalogue::builtin().retain(|offer| regions.contains(&offer.key.region))
}

/// `front` may be in either of two regions, `apart` in a third one.
fn manifest() -> Manifest {
    Manifest::parse(
        r#"
        version = 1
        name = "shop"
        [residency]
        allow = ["EU"]
        [[service]]
        name = "front"
        replicas = 3
        resources = { cpu = "500m", memory = "512MiB" }
        regions = ["aws/eu-central-1", "aws/eu-west-1"]
        purchase = "on-demand"
        run = { command = ["front"], ports = [{ name = "http" }] }
        [[service]]
        name = "apart"
        replicas = 2
        resources = { cpu = "500m", memory = "512MiB" }
        regions = ["aws/eu-north-1"]
        purchase = "on-demand"
        run = { command = ["apart"], ports = [{ name = "http" }] }
        "#,
        "shop.toml",
    )
    .unwrap()
}

struct Story {
    world: World,
    sky: Arc<ControlPlane>,
    /// Where `front` is.
    home: RegionKey,
    /// What is there at the beginning.
    at_home: BTreeSet<ResourceId>,
}

impl Story {
    async fn begin(failback: Failback) -> Self {
        let world = World::new(SimConfig::new(3, START));
        let sky = Arc::new(open(&world, failback));
        let proposal = sky.plan(&manifest()).await.unwrap();
        let home = proposal
            .placement
            .machines
            .iter()
            .map(|machine| machine.site.region.clone())
            .find(|region| region.to_string() != APART)
            .unwrap();
        sky.apply(proposal, &world.me).await.unwrap();
        let things = world
            .driver
            .at_present()
            .oracle()
            .into_iter()
            .map(|thing| thing.resource);
        let at_home = things
            .filter(|resource| resource.site.region == home)
            .map(|r| r.id)
            .collect();
        Self {
            world,
            sky,
            home,
            at_home,
        }
    }

    fn site(&self) -> Site {
        Site {
            region: self.home.clone(),
            zone: None,
        }
    }

    fn place(&self) -> Place {
        Place::Region(self.home.clone())
    }

    /// Looks every 10 s for so long; returns all decisions.
    async fn look_for(&self, time: Duration) -> Vec<FailoverAction> {
        let mut decisions = Vec::new();
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until {
            let report = self.sky.heal(&self.world.me).await.unwrap();
            decisions.extend(report.failover.decisions);
            sleep(Duration::from_secs(10)).await;
        }
        decisions
    }

    /// Live replicas of `front` in the cloud's own truth: at home, and elsewhere.
    fn fronts(&self) -> (usize, usize) {
        let things = self.world.driver.at_present().oracle();
        let live = things.iter().filter(|thing| {
            let resource = &thing.resource;
            resource.kind == Kind::Replica
                && resource.name.starts_with("front/")
                && resource.state == ResourceState::Running
        });
        let (home, away): (Vec<_>, Vec<_>) = live.partition(|thing| thing.resource.site.region == self.home);
        (home.len(), away.len())
    }

    fn listed(&self, service: &str) -> usize {
        listed(&self.sky, service)
    }

    async fn standing(&self) -> Option<Standing> {
        let status = self.sky.status().await.unwrap();
        let place = status.places.iter().find(|status| status.place == self.place());
        place.map(|status| status.standing)
    }

    /// Things of the home region that were deleted on somebody's call so far.
    fn deleted_at_home(&self) -> usize {
        let events = self.world.driver.cloud().events();
        let deleted = events.iter().filter(|event| {
            let at_home = matches!(&event.what, SimEventKind::Deleted { id } if self.at_home.contains(id));
            at_home && event.call.is_some()
        });
        deleted.count()
    }
}

fn open(world: &World, failback: Failback) -> ControlPlane {
    world
        .builder_in(world.folder.path())
        .catalogue(catalogue())
        .config(RuntimeConfig::new().with_failover(policy(failback)))
        .build()
        .unwrap()
}

fn listed(sky: &ControlPlane, service: &str) -> usize {
    let file: EndpointsFile = serde_json::from_slice(&fs::read(sky.endpoints_file()).unwrap()).unwrap();
    file.services.get(service).map_or(0, Vec::len)
}

#[tokio::test(start_paused = true)]
async fn a_region_that_does_not_answer_hides_nothing_of_the_others_and_loses_nothing() {
    let story = Story::begin(Failback::Manual).await;
    let cloud = story.world.driver.cloud();
    cloud.set_outage(story.home.clone(), true);
    let apart = |thing: &skyloom_provider::sim::SimThing| thing.resource.name == "apart/0";
    let victim = cloud.oracle().into_iter().find(apart).unwrap();
    cloud.crash(&victim.resource.id).unwrap();
    let report = story.sky.heal(&story.world.me).await.unwrap();
    assert_eq!(report.healed.len(), 1, "{report:?}");
    assert_eq!(story.fronts(), (3, 0), "one bad look is no loss");
    assert_eq!(story.listed("front"), 3, "and nobody is known to be unwell");
    let status = story.sky.status().await.unwrap();
    assert_eq!(status.healthy(), 5);
    assert!(status.places.iter().any(|place| place.problem.is_some()), "{status}");
    cloud.set_outage(story.home.clone(), false);
    story.look_for(Duration::from_secs(30)).await;
    assert_eq!((story.fronts(), story.deleted_at_home()), ((3, 0), 0));
    assert_eq!(story.standing().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_flaps_is_never_declared_lost() {
    let story = Story::begin(Failback::Auto).await;
    for _ in 0..20 {
        story.world.driver.cloud().set_outage(story.home.clone(), true);
        story.look_for(PATIENCE - Duration::from_secs(20)).await;
        story.world.driver.cloud().set_outage(story.home.clone(), false);
        story.look_for(Duration::from_secs(10)).await;
    }
    assert_eq!((story.fronts(), story.deleted_at_home()), ((3, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_lets_nobody_in_has_lost_nothing() {
    let story = Story::begin(Failback::Auto).await;
    for _ in 0..10_000 {
        story.world.driver.cloud().fail_next(Operation::List, Cause::Denied);
        story.world.driver.cloud().fail_next(Operation::Get, Cause::Denied);
    }
    let decisions = story.look_for(PATIENCE * 5).await;
    assert_eq!(decisions, [], "whoever refuses is there");
    assert_eq!(
        (story.fronts(), story.listed("front"), story.deleted_at_home()),
        ((3, 0), 3, 0)
    );
    let status = story.sky.status().await.unwrap();
    assert!(
        status.places.iter().all(|place| place.problem.is_some()),
        "and it is said: {status}"
    );
    assert!(!status.places.is_empty());
}

/// Loses the home region, lets it be declared, and checks what must hold while it is lost.
async fn lose(story: &Story, fate: Fate) {
    story.world.driver.cloud().begin_outage(story.site(), fate);
    let decisions = story.look_for(PATIENCE + Duration::from_secs(60)).await;
    let declared = |action: &&FailoverAction| matches!(action, FailoverAction::FailOver { .. });
    assert_eq!(decisions.iter().filter(declared).count(), 1, "{decisions:?}");
    assert_eq!(story.fronts().1, 3, "brought up elsewhere");
    assert_eq!(story.deleted_at_home(), 0, "and nothing is deleted on lost contact");
    assert_eq!(story.listed("front"), 3);
    assert_eq!(story.standing().await, Some(Standing::Lost));
}

#[tokio::test(start_paused = true)]
async fn a_lost_region_is_brought_up_elsewhere_and_taken_back_when_it_is_stable() {
    let story = Story::begin(Failback::Auto).await;
    lose(&story, Fate::RunsOn).await;
    story.world.driver.cloud().end_outage(&story.site());
    story.look_for(STABLE - Duration::from_secs(20)).await;
    assert_eq!(
        (story.fronts(), story.listed("front")),
        ((3, 3), 3),
        "back, but not for long enough"
    );
    // The least that callers see while things come together.
    let mut events = story.sky.watch();
    let least = async {
        let mut least = usize::MAX;
        loop {
            match events.recv().await {
                Ok(Event::FailedBack { kept, removed, .. }) => break (least, kept, removed),
                Ok(_) => least = least.min(story.listed("front")),
                Err(error) => panic!("{error}"),
            }
        }
    };
    let ((least, kept, removed), _) = tokio::join!(least, story.look_for(Duration::from_secs(120)));
    assert_eq!((kept, removed), (3, 3));
    assert!(least >= 3, "callers saw {least} of 3");
    assert_eq!(
        story.fronts(),
        (3, 0),
        "recovered replicas are kept, their replacements are gone"
    );
    assert_eq!((story.listed("front"), story.standing().await), (3, None));
    assert_eq!(story.deleted_at_home(), 0);
    let machines = story.world.driver.at_present().oracle();
    let machines = machines.iter().filter(|thing| thing.resource.kind == Kind::Machine);
    assert_eq!(
        machines.count(),
        story.sky.status().await.unwrap().machines.len(),
        "nothing is paid that nobody knows"
    );
    assert!(
        story.sky.plan(&manifest()).await.unwrap().plan.steps.is_empty(),
        "and nothing is left to do"
    );
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_never_taken_back_is_cleaned_up_only_when_it_is_stable() {
    let story = Story::begin(Failback::Never).await;
    lose(&story, Fate::RunsOn).await;
    story.world.driver.cloud().end_outage(&story.site());
    story.look_for(STABLE - Duration::from_secs(20)).await;
    assert_eq!(story.deleted_at_home(), 0);
    story.look_for(Duration::from_secs(60)).await;
    assert_eq!(story.fronts(), (0, 3), "the replacements stay");
    assert_eq!((story.listed("front"), story.standing().await), (3, None));
}

#[tokio::test(start_paused = true)]
async fn what_came_back_waits_for_an_order_out_of_the_endpoints_and_is_not_deleted() {
    let story = Story::begin(Failback::Manual).await;
    lose(&story, Fate::RunsOn).await;
    let me = &story.world.me;
    let early = story.sky.fail_back(&story.place(), Failback::Auto, me).await;
    assert!(
        matches!(
            early,
            Err(Error::NotBack {
                standing: Standing::Lost,
                ..
            })
        ),
        "{early:?}"
    );
    story.world.driver.cloud().end_outage(&story.site());
    story.look_for(STABLE * 4).await;
    assert_eq!(story.standing().await, Some(Standing::Back));
    assert_eq!((story.fronts(), story.listed("front")), ((3, 3), 3));
    assert_eq!(story.deleted_at_home(), 0);
    let report = story.sky.fail_back(&story.place(), Failback::Auto, me).await.unwrap();
    assert_eq!(report.failed_back[0].kept.len(), 3, "{report:?}");
    assert!(report.failed_back[0].price_after < report.failed_back[0].price_before);
    assert_eq!(
        (story.fronts(), story.listed("front"), story.standing().await),
        ((3, 0), 3, None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_region_that_comes_back_empty_or_restarted_doubles_nothing() {
    for fate in [Fate::Gone, Fate::Restarts] {
        let story = Story::begin(Failback::Auto).await;
        lose(&story, fate).await;
        story.world.driver.cloud().end_outage(&story.site());
        story.look_for(STABLE * 2).await;
        let (home, away) = story.fronts();
        assert_eq!(home + away, 3, "{fate:?}");
        assert_eq!((story.listed("front"), story.standing().await), (3, None), "{fate:?}");
        assert!(
            story.sky.plan(&manifest()).await.unwrap().plan.steps.is_empty(),
            "{fate:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_starts_anew_knows_what_is_lost() {
    let mut story = Story::begin(Failback::Manual).await;
    lose(&story, Fate::RunsOn).await;
    story.world.driver.cloud().end_outage(&story.site());
    // Another control plane in its place, so that the first one gives back its lease.
    let elsewhere = World::new(SimConfig::new(3, START));
    story.sky = Arc::new(open(&elsewhere, Failback::Manual));
    story.sky = Arc::new(open(&story.world, Failback::Manual));
    assert_eq!(story.standing().await, Some(Standing::Lost));
    story.look_for(Duration::from_secs(60)).await;
    assert_eq!((story.fronts(), story.listed("front")), ((3, 3), 3), "fenced as before");
    assert_eq!(story.deleted_at_home(), 0);
}

#[tokio::test(start_paused = true)]
async fn rules_stay_hard_and_who_has_no_other_place_does_not_stop_the_others() {
    let story = Story::begin(Failback::Auto).await;
    // `apart` may be nowhere else.
    let site = Site {
        region: APART.parse().unwrap(),
        zone: None,
    };
    story.world.driver.cloud().begin_outage(site.clone(), Fate::Gone);
    let mut events = story.sky.watch();
    story.look_for(PATIENCE + Duration::from_secs(60)).await;
    let mut stranded = 0;
    while let Ok(event) = events.try_recv() {
        stranded += usize::from(matches!(event, Event::FailedOver { replicas: 0, .. }));
    }
    assert_eq!(stranded, 1);
    let status = story.sky.status().await.unwrap();
    assert_eq!(story.listed("apart"), 0, "{status}");
    // Somebody of the others is still healed.
    let cloud = story.world.driver.cloud();
    let victim = cloud
        .oracle()
        .into_iter()
        .find(|t| t.resource.name == "front/1")
        .unwrap();
    cloud.crash(&victim.resource.id).unwrap();
    story.look_for(Duration::from_secs(60)).await;
    assert_eq!((story.fronts(), story.listed("front")), ((3, 0), 3));
    cloud.end_outage(&site);
    story.look_for(STABLE * 2).await;
    assert_eq!(story.listed("apart"), 2, "it comes up again where it may be");
}

#[tokio::test(start_paused = true)]
async fn somebody_may_leave_a_region_that_still_answers() {
    let story = Story::begin(Failback::Auto).await;
    let report = story.sky.evacuate(&story.place(), &story.world.me).await.unwrap();
    assert_eq!(report.failed_over[0].replicas.len(), 3);
    assert!(
        report.failed_over[0].price_after > report.failed_over[0].price_before,
        "both are paid for now"
    );
    assert_eq!(
        (story.fronts(), story.listed("front"), story.deleted_at_home()),
        ((3, 3), 3, 0)
    );
    story.look_for(STABLE * 2).await;
    assert_eq!((story.fronts(), story.standing().await), ((3, 3), Some(Standing::Back)));
    let me = &story.world.me;
    story.sky.fail_back(&story.place(), Failback::Never, me).await.unwrap();
    assert_eq!(
        (story.fronts(), story.listed("front"), story.standing().await),
        ((0, 3), 3, None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_teardown_takes_down_what_it_can_reach_and_says_what_is_left() {
    let story = Story::begin(Failback::Manual).await;
    let cloud = story.world.driver.cloud();
    cloud.set_outage(story.home.clone(), true);
    let me = &story.world.me;
    let error = story.sky.destroy(me).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable(regions) if regions.contains_key(&story.home)),
        "{error}"
    );
    let left = cloud.oracle();
    assert!(
        left.iter().all(|thing| thing.resource.site.region == story.home),
        "the others are gone"
    );
    story.look_for(Duration::from_secs(300)).await;
    assert_eq!(cloud.oracle().len(), left.len(), "nothing is healed that is to go");
    cloud.set_outage(story.home.clone(), false);
    story.sky.destroy(me).await.unwrap();
    assert!(cloud.oracle().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_would_have_to_touch_what_does_not_answer_is_refused() {
    let story = Story::begin(Failback::Manual).await;
    story.world.driver.cloud().set_outage(story.home.clone(), true);
    let mut other = manifest();
    other.services[0].run.command.push("--new".to_owned());
    let refused = story.sky.plan(&other).await;
    assert!(matches!(&refused, Err(Error::Unreachable(_))), "{refused:?}");
    let mut apart = manifest();
    apart.services[1].run.command.push("--new".to_owned());
    let proposal = story.sky.plan(&apart).await.unwrap();
    story.sky.apply(proposal, &story.world.me).await.unwrap();
    let status = story.sky.status().await.unwrap();
    let healthy = status.replicas.iter().filter(|r| r.state == ReplicaState::Healthy);
    assert_eq!(healthy.count(), 5, "{status}");
    assert_eq!((story.fronts(), story.deleted_at_home()), ((3, 0), 0));
}
