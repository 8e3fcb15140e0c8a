//! Services that wait for data, and jobs that were done before.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::{
    Action, Class, Condition, DataClass, DataNeed, DataReplica, DataSpec, Manifest, Plan, ReplicaState, Timestamp,
    Until,
};
use skyloom_orchestrator::{Command, PlanError, PlanRequest, Record, SagaConfig, SagaStatus, plan, plan_for};

use crate::fixture::{checked, empty, manifest, needs, observed, place, service, snapshot, touch};
use crate::runner::{Fault, Runner};
use crate::world::World;

const NOW: Timestamp = Timestamp::from_secs(10_000);

fn orders(regions: &[&str]) -> DataSpec {
    DataSpec {
        name: "orders".parse().unwrap(),
        at: None,
        class: DataClass::Internal,
        replicas: regions
            .iter()
            .map(|region| DataReplica {
                region: region.parse().unwrap(),
                at: None,
            })
            .collect(),
        sync: None,
        backup: None,
    }
}

/// `db` waits for `orders`, `web` for `db` and `orders`.
fn waiting(max_age: Option<Duration>) -> Manifest {
    let need = DataNeed {
        data: "orders".parse().unwrap(),
        max_age,
        at: None,
    };
    let mut db = checked(service("db", 2));
    db.synced.push(need.clone());
    let mut web = needs(service("web", 1), "db", Condition::Healthy, 0);
    web.synced.push(need);
    let mut wanted = manifest(vec![db, web]);
    wanted.data.push(orders(&["aws/eu-central-1", "gcp/europe-west3"]));
    wanted
}

fn planned(wanted: &Manifest, verified: Option<Timestamp>) -> Result<Plan, PlanError> {
    let mut there = empty();
    there.taken_at = NOW;
    let placement = place(wanted, &there, |_| 16, |_| String::from("m"));
    let verified: BTreeMap<_, _> = verified.map(|at| ("orders".parse().unwrap(), at)).into_iter().collect();
    plan_for(&PlanRequest::new(wanted, &placement, &there).with_verified(&verified))
}

fn syncs(plan: &Plan) -> Vec<&skyloom_core::Step> {
    let is_sync = |step: &&skyloom_core::Step| matches!(step.action, Action::SyncData { .. });
    plan.steps.iter().filter(is_sync).collect()
}

#[test]
fn copies_are_made_equal_once_before_whoever_waits_for_them() {
    let plan = planned(&waiting(None), Some(NOW)).unwrap();
    let [sync] = syncs(&plan)[..] else { panic!("{plan}") };
    let creates = plan
        .steps
        .iter()
        .filter(|s| matches!(s.action, Action::CreateReplica { .. }));
    for step in creates {
        let waits = plan.all_after(step);
        assert!(
            waits
                .iter()
                .any(|after| after.step == sync.id && after.until == Until::Done),
            "{plan}"
        );
    }
    let mut world = World::default();
    assert_eq!(
        Runner::new(&plan, SagaConfig::new(), &mut world, 5).finish(),
        SagaStatus::Succeeded
    );
}

#[test]
fn an_age_that_is_allowed_saves_the_copying() {
    let hour = Duration::from_secs(3600);
    let count = |verified: Option<Timestamp>| syncs(&planned(&waiting(Some(hour)), verified).unwrap()).len();
    assert_eq!(count(None), 1);
    assert_eq!(count(Some(Timestamp::from_secs(10_000 - 3600))), 0);
    assert_eq!(count(Some(Timestamp::from_secs(10_000 - 3601))), 1);
    // A time to come is no proof: some clock has been wrong.
    assert_eq!(count(Some(Timestamp::from_secs(10_001))), 1);
}

#[test]
fn one_copy_is_equal_to_itself_and_an_unknown_set_is_named() {
    let mut one = waiting(None);
    one.data = vec![orders(&["aws/eu-central-1"])];
    assert!(syncs(&planned(&one, None).unwrap()).is_empty());
    one.data.clear();
    let error = planned(&one, None).unwrap_err();
    insta::assert_snapshot!(error, @"plan `db`: it waits for data set `orders`, which the manifest does not have");
    assert_eq!(error.class(), Class::Invalid);
}

#[test]
fn copies_that_stay_unequal_keep_the_service_from_starting() {
    let plan = planned(&waiting(None), None).unwrap();
    let sync = syncs(&plan)[0].id;
    let mut world = World::default();
    let fails = move |step, _, command: &Command| {
        (step == sync && matches!(command, Command::Create { .. })).then_some(Fault::Refused(Class::Conflict))
    };
    let mut runner = Runner::new(&plan, SagaConfig::new(), &mut world, 5).with_faults(fails);
    let status = runner.finish();
    assert!(matches!(status, SagaStatus::RolledBack { .. }), "{status:?}");
    let begun = |record: &&Record| matches!(record, Record::Intent { step, .. } if *step > sync);
    let started: Vec<_> = runner.journal.iter().filter(begun).collect();
    assert!(started.iter().all(|record| {
        let step = record.step().unwrap();
        !matches!(plan.step(step).unwrap().action, Action::CreateReplica { .. })
    }));
    assert!(world.things.is_empty());
}

/// `web` waits for the completion of `migrate`.
fn with_job() -> Manifest {
    let mut job = service("migrate", 1);
    job.run.ports.clear();
    manifest(vec![job, needs(service("web", 1), "migrate", Condition::Completed, 0)])
}

fn kinds(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.action.to_string()).collect()
}

#[test]
fn a_job_that_was_done_before_is_done_unless_it_has_changed() {
    let wanted = with_job();
    let done = observed(&wanted, "migrate/0", "m", ReplicaState::Completed);
    // Done in an earlier generation and the same: its dependent starts at once.
    let mut there = snapshot(&["m"], vec![done.clone()]);
    there.generation = 7;
    let place_on_m = |wanted: &Manifest| place(wanted, &there, |_| 16, |_| String::from("m"));
    let same = plan(&wanted, &place_on_m(&wanted), &there).unwrap();
    assert_eq!(kinds(&same), ["+ web/0 on m"]);
    assert!(same.all_after(&same.steps[0]).is_empty());
    // Changed: what was done is not what is asked for. It is done again, and its dependent waits.
    let mut changed = wanted.clone();
    touch(&mut changed.services[0], 2);
    let again = plan(&changed, &place_on_m(&changed), &there).unwrap();
    assert_eq!(kinds(&again), ["+ migrate/0 on m", "- migrate/0 on m", "+ web/0 on m"]);
    let web = again.steps.last().unwrap();
    let waits = again.all_after(web);
    assert!(
        waits
            .iter()
            .any(|after| after.step.0 == 0 && after.until == Until::Completed)
    );
    // Failed: it is done again.
    let mut failed = there.clone();
    failed.replicas[0].state = ReplicaState::Failed;
    let placement = place(&wanted, &failed, |_| 16, |_| String::from("m"));
    let retried = plan(&wanted, &placement, &failed).unwrap();
    assert_eq!(retried.steps[0].why, "the old one has failed");
    // Done on a machine that is gone since: nothing shows it any more, so it is done again.
    let mut lost = there.clone();
    lost.nodes.clear();
    let placement = place(&wanted, &lost, |_| 16, |_| String::from("m"));
    let redone = plan(&wanted, &placement, &lost).unwrap();
    assert!(kinds(&redone).contains(&String::from("+ migrate/0 on m")));
}
