//! Whole control planes on the simulated cloud: up, healed, rolled back, interrupted, taken down.

use std::collections::BTreeSet;
use std::time::Duration;

use skyloom_core::{Budget, ReplicaState};
use skyloom_orchestrator::SagaStatus;
use skyloom_provider::sim::{SimConfig, SimProgram};
use skyloom_provider::{Cause, Operation};
use skyloom_runtime::{Error, Event};
use skyloom_security::access::{Action, Effect, Principal, Role, RoleSet, Rule};
use tokio::sync::broadcast::error::TryRecvError;

use crate::world::{START, World, shop};

fn calm() -> SimConfig {
    SimConfig::new(7, START)
}

#[tokio::test(start_paused = true)]
async fn a_shop_comes_up_in_order_and_goes_down_without_a_trace() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let mut events = sky.watch();
    let proposal = sky.plan(&shop(3)).await.unwrap();
    assert!(world.names().is_empty(), "planning touches nothing");
    sky.apply(proposal, &world.me).await.unwrap();
    assert_eq!(world.replicas(), ["store/0", "worker/0", "worker/1", "worker/2"]);
    let mut healthy = Vec::new();
    loop {
        match events.try_recv() {
            Ok(Event::Healthy { replica }) => healthy.push(replica.service().to_string()),
            Ok(_) => {}
            Err(TryRecvError::Empty) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(healthy.first().map(String::as_str), Some("store"), "dependencies first");
    let status = sky.status().await.unwrap();
    assert_eq!((status.healthy(), status.generation), (4, 1));
    assert!(
        sky.plan(&shop(3)).await.unwrap().plan.is_empty(),
        "a second plan has nothing to do"
    );
    sky.destroy(&world.me).await.unwrap();
    assert!(world.names().is_empty());
    assert_eq!(
        sky.verify_audit(None).unwrap().records,
        4,
        "two calls, begun and succeeded each"
    );
}

#[tokio::test(start_paused = true)]
async fn growing_and_shrinking_moves_only_the_difference() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let before: BTreeSet<String> = ids(&world);
    sky.apply(sky.plan(&shop(4)).await.unwrap(), &world.me).await.unwrap();
    assert!(ids(&world).is_superset(&before), "what ran goes on running");
    assert_eq!(world.replicas().len(), 5);
    sky.apply(sky.plan(&shop(1)).await.unwrap(), &world.me).await.unwrap();
    assert_eq!(world.replicas(), ["store/0", "worker/0"]);
}

fn ids(world: &World) -> BTreeSet<String> {
    world
        .driver
        .cloud()
        .oracle()
        .into_iter()
        .map(|thing| thing.resource.id.to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_crashed_replica_is_replaced_and_named() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let status = sky.status().await.unwrap();
    let victim = status
        .replicas
        .iter()
        .find(|r| r.replica.to_string() == "worker/1")
        .unwrap();
    world.driver.cloud().crash(&victim.resource).unwrap();
    let report = sky.heal(&world.me).await.unwrap();
    assert_eq!(report.healed.len(), 1);
    assert_eq!(report.healed[0].killed.as_ref(), Some(&victim.resource));
    assert_ne!(report.healed[0].replaced, victim.resource);
    let status = sky.status().await.unwrap();
    assert_eq!(status.healthy(), 3);
    assert!(
        status
            .replicas
            .iter()
            .all(|replica| replica.state == ReplicaState::Healthy)
    );
    assert_eq!(
        sky.heal(&world.me).await.unwrap().healed,
        [],
        "a second look has nothing to do"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_stays_up_is_given_up_within_the_budget() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(1)).await.unwrap(), &world.me).await.unwrap();
    let mut replaced = 0;
    for _ in 0..200 {
        let status = sky.status().await.unwrap();
        let running = status
            .replicas
            .iter()
            .find(|r| r.replica.to_string() == "worker/0" && r.state.is_live());
        if let Some(worker) = running {
            world.driver.cloud().crash(&worker.resource).unwrap();
        }
        replaced += sky.heal(&world.me).await.unwrap().healed.len();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((1..=6).contains(&replaced), "{replaced} replacements");
}

#[tokio::test(start_paused = true)]
async fn a_failed_plan_is_rolled_back_and_can_be_tried_again() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(3)).await.unwrap();
    world
        .driver
        .cloud()
        .fail_next(Operation::Create, Cause::NoCapacity { what: "m".to_owned() });
    let error = sky.apply(proposal, &world.me).await.unwrap_err();
    let Error::PlanFailed(status) = &error else {
        panic!("{error}")
    };
    assert!(matches!(**status, SagaStatus::RolledBack { .. }), "{status:?}");
    assert!(world.names().is_empty(), "nothing half-done is left");
    sky.apply(sky.plan(&shop(3)).await.unwrap(), &world.me).await.unwrap();
    assert_eq!(world.replicas().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_ends_at_once_fails_its_plan_with_a_reason() {
    let world = World::new(calm().with_program("worker", SimProgram::job(Duration::ZERO, 3)));
    let sky = world.open().unwrap();
    let error = sky
        .apply(sky.plan(&shop(1)).await.unwrap(), &world.me)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ended with code 3"), "{error}");
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_for_a_world_that_has_moved_is_refused() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(1)).await.unwrap();
    sky.apply(proposal.clone(), &world.me).await.unwrap();
    let before = world.names();
    assert!(matches!(sky.apply(proposal, &world.me).await, Err(Error::Stale(_))));
    assert_eq!(world.names(), before);
}

#[tokio::test(start_paused = true)]
async fn a_second_controller_is_kept_out() {
    let world = World::new(calm());
    let first = world.open().unwrap();
    assert!(matches!(world.open(), Err(Error::Store(_))));
    drop(first);
    world.open().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_may_not_is_refused_and_recorded() {
    let world = World::new(calm());
    let name = |text: &str| text.parse().unwrap();
    let rule = Rule::new(Effect::Allow, [Action::Apply]);
    let roles = RoleSet::new([Role {
        name: name("deployer"),
        inherits: BTreeSet::new(),
        rules: vec![rule],
    }])
    .unwrap();
    let sky = world.builder_in(world.folder.path()).authorizer(roles).build().unwrap();
    let deployer = Principal::new("dora", [name("deployer")]);
    let stranger = Principal::new("eve", []);
    let proposal = sky.plan(&shop(1)).await.unwrap();
    assert!(matches!(
        sky.apply(proposal.clone(), &stranger).await,
        Err(Error::Denied { .. })
    ));
    assert!(world.names().is_empty());
    sky.apply(proposal, &deployer).await.unwrap();
    let before = world.names();
    assert!(matches!(sky.destroy(&deployer).await, Err(Error::Denied { .. })));
    assert_eq!(world.names(), before);
    assert_eq!(
        sky.verify_audit(None).unwrap().records,
        4,
        "refused, begun, succeeded, refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_proposal_that_was_edited_is_checked_again_and_refused() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(2)).await.unwrap();
    let mut cheaper = proposal.clone();
    cheaper.placement.machines[0].price = "0.000001".parse().unwrap();
    let refused = sky.apply(cheaper, &world.me).await.unwrap_err();
    assert!(matches!(refused, Error::BrokenPlacement(_)), "{refused}");
    let mut asks_for_more = proposal.clone();
    asks_for_more.manifest.budget = Some(Budget {
        per_month: "0.01".parse().unwrap(),
        at: None,
    });
    let refused = sky.apply(asks_for_more, &world.me).await.unwrap_err();
    assert!(refused.to_string().contains("exceeds the budget"), "{refused}");
    let mut elsewhere = proposal.clone();
    for step in &mut elsewhere.plan.steps {
        if let skyloom_core::Action::CreateReplica { spec } = &mut step.action {
            spec.machine = "m-9-9".parse().unwrap();
        }
    }
    let refused = sky.apply(elsewhere, &world.me).await.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::StepElsewhere { .. } | Error::Malformed(_) | Error::Stale(_)
        ),
        "{refused}"
    );
    assert!(world.names().is_empty(), "nothing was touched");
    sky.apply(proposal, &world.me).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_recorded_is_refused() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(1)).await.unwrap();
    // A folder in the place of the checkpoint: it cannot be replaced by a file.
    std::fs::create_dir(world.folder.path().join("audit.checkpoint")).unwrap();
    assert!(matches!(
        sky.apply(proposal, &world.me).await,
        Err(Error::AuditUnavailable(_))
    ));
    assert!(world.names().is_empty());
}

/// Begins an apply, drops everything after a while, opens the folder again and recovers.
async fn crash_and_recover(seed: u64, crash_after: Duration) -> (World, u64) {
    let world = World::new(SimConfig::new(seed, START));
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(4)).await.unwrap();
    let interrupted = tokio::time::timeout(crash_after, sky.apply(proposal, &world.me))
        .await
        .is_err();
    drop(sky);
    let sky = world.reopen().await;
    assert_eq!(sky.interrupted().await.is_some(), interrupted);
    sky.recover(&world.me).await.unwrap();
    assert_eq!(
        world.replicas(),
        ["store/0", "worker/0", "worker/1", "worker/2", "worker/3"],
        "seed {seed}"
    );
    let status = sky.status().await.unwrap();
    assert_eq!((status.healthy(), status.strangers.len()), (5, 0), "seed {seed}");
    assert!(sky.plan(&shop(4)).await.unwrap().plan.is_empty(), "seed {seed}");
    sky.destroy(&world.me).await.unwrap();
    assert!(world.names().is_empty(), "seed {seed}");
    (world, u64::from(interrupted))
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_of_an_apply_loses_and_doubles_nothing() {
    let mut interrupted = 0;
    for seed in 0..40 {
        let crash_after = Duration::from_millis(seed * 2_311 % 90_000);
        interrupted += crash_and_recover(seed, crash_after).await.1;
    }
    assert!(interrupted >= 20, "{interrupted} of 40 applies were really interrupted");
}

#[tokio::test(start_paused = true)]
async fn destroying_after_a_crash_removes_what_the_crash_left() {
    for seed in 0..20 {
        let world = World::new(SimConfig::new(seed, START));
        let sky = world.open().unwrap();
        let proposal = sky.plan(&shop(3)).await.unwrap();
        let crash_after = Duration::from_millis(seed * 3_571 % 60_000);
        let applied = tokio::time::timeout(crash_after, sky.apply(proposal, &world.me)).await;
        // The same controller goes on, as after Ctrl-C.
        match sky.destroy(&world.me).await {
            Ok(_) => {}
            Err(Error::NothingDeployed) => assert!(applied.is_err(), "nothing had begun"),
            Err(error) => panic!("seed {seed}: {error}"),
        }
        assert!(world.names().is_empty(), "seed {seed}: {:?}", world.names());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_at_any_call_doubles_nothing() {
    for call in 0..30 {
        let world = World::new(calm());
        let sky = world.open().unwrap();
        let proposal = sky.plan(&shop(2)).await.unwrap();
        world.driver.cloud().lose_reply_at(world.driver.cloud().calls() + call);
        sky.apply(proposal, &world.me).await.unwrap();
        assert_eq!(world.replicas(), ["store/0", "worker/0", "worker/1"], "call {call}");
        sky.destroy(&world.me).await.unwrap();
        assert!(world.names().is_empty(), "call {call}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_fails_forgets_nothing_and_the_next_destroy_removes_all() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    let status = sky.status().await.unwrap();
    let victim = status
        .replicas
        .iter()
        .find(|r| r.replica.to_string() == "worker/1")
        .unwrap();
    world.driver.cloud().crash(&victim.resource).unwrap();
    for _ in 0..5 {
        world
            .driver
            .cloud()
            .fail_next(Operation::Create, Cause::NoCapacity { what: "m".to_owned() });
    }
    assert!(sky.heal(&world.me).await.is_err());
    assert_eq!(sky.status().await.unwrap().strangers, [], "what is there is known");
    sky.destroy(&world.me).await.unwrap();
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_teardown_that_fails_midway_is_not_undone_by_healing() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(2)).await.unwrap(), &world.me).await.unwrap();
    for _ in 0..40 {
        world.driver.cloud().fail_next(Operation::Delete, Cause::Denied);
    }
    assert!(sky.destroy(&world.me).await.is_err());
    let left = world.names();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(sky.heal(&world.me).await.unwrap().healed, []);
    assert_eq!(world.names(), left, "nothing is brought back");
    let mut tries = 0;
    while sky.destroy(&world.me).await.is_err() {
        tries += 1;
        assert!(tries < 60, "the teardown ends once the provider lets it");
    }
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_right_to_apply_one_deployment_takes_no_other_down() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    sky.apply(sky.plan(&shop(1)).await.unwrap(), &world.me).await.unwrap();
    let before = world.names();
    let mut other = shop(1);
    other.name = "blog".parse().unwrap();
    let proposal = sky.plan(&other).await.unwrap();
    assert!(matches!(
        sky.apply(proposal, &world.me).await,
        Err(Error::OtherDeployment { .. })
    ));
    assert_eq!(world.names(), before);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_proposal_is_refused_and_blocks_nothing() {
    let world = World::new(calm());
    let sky = world.open().unwrap();
    let mut proposal = sky.plan(&shop(1)).await.unwrap();
    proposal.plan.steps.swap(0, 1);
    assert!(matches!(sky.apply(proposal, &world.me).await, Err(Error::Malformed(_))));
    sky.apply(sky.plan(&shop(1)).await.unwrap(), &world.me).await.unwrap();
    assert_eq!(world.replicas(), ["store/0", "worker/0"]);
}
