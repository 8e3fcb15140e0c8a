//! What an operator sees: the values after a story on the simulated cloud, their labels, and the spans.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use skyloom_provider::sim::{Delay, SimConfig};
use skyloom_runtime::Error;
use skyloom_runtime::telemetry::{METRICS, describe};

use crate::recorder::{Book, Made, Series, Spans};
use crate::world::{START, World, shop};

/// Comes up, is planned again, loses a replica, is healed, goes down.
async fn story(world: &World, workers: u32) {
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(workers)).await.unwrap();
    // The first call lists, the second creates a machine.
    world.driver.cloud().lose_reply_at(world.driver.cloud().calls() + 1);
    sky.apply(proposal, &world.me).await.unwrap();
    assert!(sky.plan(&shop(workers)).await.unwrap().plan.is_empty());
    let status = sky.status().await.unwrap();
    let victim = status
        .replicas
        .iter()
        .find(|r| r.replica.to_string() == "worker/0")
        .unwrap();
    world.driver.cloud().crash(&victim.resource).unwrap();
    assert_eq!(sky.heal(&world.me).await.unwrap().healed.len(), 1);
    sky.destroy(&world.me).await.unwrap();
}

fn slow_start() -> SimConfig {
    SimConfig::new(11, START).with_machine_start(Delay::exactly(Duration::from_secs(40)))
}

#[tokio::test(start_paused = true)]
async fn the_values_are_those_of_the_story() {
    let book = Book::default();
    let _installed = metrics::set_default_local_recorder(&book);
    let world = World::new(slow_start());
    story(&world, 2).await;

    let times = |name: &str, labels: &[(&str, &str)]| book.sum(name, labels).times;
    let value = |name: &str, labels: &[(&str, &str)]| book.sum(name, labels).value;
    let is = |name: &str, labels: &[(&str, &str)], expected: f64| {
        let found = value(name, labels);
        assert!(
            (found - expected).abs() < 1e-9,
            "{name} {labels:?}: {found}, not {expected}"
        );
    };
    is("skyloom_plans_total", &[("outcome", "made")], 1.0);
    is("skyloom_plans_total", &[("outcome", "nothing_to_do")], 1.0);
    assert_eq!(times("skyloom_plan_seconds", &[]), 2);
    // The first apply and the healing.
    is(
        "skyloom_applies_total",
        &[("kind", "apply"), ("outcome", "succeeded")],
        2.0,
    );
    is(
        "skyloom_applies_total",
        &[("kind", "destroy"), ("outcome", "succeeded")],
        1.0,
    );
    let took = value("skyloom_apply_seconds", &[("kind", "apply")]);
    assert!((40.0..120.0).contains(&took), "machines take 40 s to start: {took}");
    // One store, two workers, a third in place of the one that broke down.
    is(
        "skyloom_steps_total",
        &[("kind", "create_replica"), ("outcome", "done")],
        4.0,
    );
    is(
        "skyloom_steps_total",
        &[("kind", "create_replica"), ("outcome", "ready")],
        4.0,
    );
    is(
        "skyloom_steps_total",
        &[("kind", "delete_replica"), ("outcome", "done")],
        4.0,
    );
    let made = value(
        "skyloom_steps_total",
        &[("kind", "create_machine"), ("outcome", "done")],
    );
    assert!(made >= 1.0);
    is(
        "skyloom_steps_total",
        &[("kind", "delete_machine"), ("outcome", "done")],
        made,
    );
    is("skyloom_steps_total", &[("outcome", "given_up")], 0.0);
    // One answer was lost, whichever call it was of.
    is("skyloom_driver_calls_total", &[("class", "transient")], 1.0);
    is(
        "skyloom_driver_calls_total",
        &[("operation", "create"), ("class", "ok")],
        3.0 + made,
    );
    // What was made is looked for at once, when no listing shows it yet, and after the consistency window.
    is(
        "skyloom_driver_calls_total",
        &[("operation", "find_by_token"), ("class", "ok")],
        2.0,
    );
    let calls = value("skyloom_driver_calls_total", &[]);
    is(
        "skyloom_driver_calls_total",
        &[("driver", "sim"), ("cloud", "any")],
        calls,
    );
    assert!(
        (f64::from(times("skyloom_driver_call_seconds", &[])) - calls).abs() < 1e-9,
        "each call is timed"
    );
    is("skyloom_retries_total", &[], 1.0);
    let appends = value("skyloom_journal_appends_total", &[("outcome", "durable")]);
    assert!((f64::from(times("skyloom_journal_append_seconds", &[])) - appends).abs() < 1e-9);
    assert!(
        value("skyloom_journal_batch_records", &[]) > appends,
        "records share syncs"
    );
    is("skyloom_journal_appends_total", &[("outcome", "failed")], 0.0);
    is("skyloom_lease_epoch", &[], 1.0);
    is("skyloom_replicas", &[("state", "lost")], 0.0);
    is("skyloom_replicas_lost_total", &[], 1.0);
    is("skyloom_healings_total", &[("outcome", "replaced")], 1.0);
    assert_eq!(times("skyloom_healing_seconds", &[]), 1);
}

#[tokio::test(start_paused = true)]
async fn there_are_as_many_series_for_a_large_deployment_as_for_a_small_one() {
    let series = async |workers| {
        let book = Book::default();
        let _installed = metrics::set_default_local_recorder(&book);
        story(&World::new(slow_start()), workers).await;
        book.all().into_keys().collect::<BTreeSet<Series>>()
    };
    let (small, large) = (series(1).await, series(30).await);
    assert_eq!(small, large);
    let known: BTreeMap<&str, BTreeSet<&str>> = METRICS
        .iter()
        .map(|metric| (metric.name, metric.labels.iter().copied().collect()))
        .collect();
    let names = ["shop", "store", "worker", "mira", "eu-central"];
    for (name, labels) in &large {
        let found: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
        assert_eq!(known.get(name.as_str()), Some(&found), "{name}");
        let quoted = labels
            .values()
            .find(|value| names.iter().any(|name| value.contains(name)));
        assert_eq!(quoted, None, "{name} carries a name that a user chose");
    }
    assert!(large.len() > 30, "{} series", large.len());
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_fails_is_counted_as_what_became_of_it() {
    let book = Book::default();
    let _installed = metrics::set_default_local_recorder(&book);
    let world = World::new(SimConfig::new(11, START));
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(1)).await.unwrap();
    world
        .driver
        .cloud()
        .set_outage("aws/eu-central-1".parse().unwrap(), true);
    let failed = sky.apply(proposal, &world.me).await;
    assert!(matches!(failed, Err(Error::PlanFailed(_))), "{failed:?}");
    let ended = book.sum("skyloom_applies_total", &[("kind", "apply")]);
    assert_eq!((ended.times, ended.value > 0.0), (1, true));
    assert_eq!(book.sum("skyloom_applies_total", &[("outcome", "succeeded")]).times, 0);
    assert!(book.sum("skyloom_retries_total", &[("what", "step")]).value >= 1.0);
}

#[test]
fn every_metric_is_described_and_documented() {
    let book = Book::default();
    metrics::with_local_recorder(&book, describe);
    let described = book.described.lock().unwrap().clone();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runtime/telemetry.md");
    let page = fs::read_to_string(page).unwrap();
    for metric in METRICS {
        assert!(described.iter().any(|name| name == metric.name), "{}", metric.name);
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", metric.name)));
        let row = row.unwrap_or_else(|| panic!("`{}` is not on the page", metric.name));
        for label in metric.labels {
            assert!(row.contains(&format!("`{label}`")), "{row}: {label}");
        }
    }
    assert_eq!(described.len(), METRICS.len());
}

#[tokio::test(start_paused = true)]
async fn spans_nest_and_steps_close_when_they_are_over() {
    let spans = Spans::default();
    let _listening = spans.listen();
    let world = World::new(slow_start());
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(2)).await.unwrap();
    let steps = proposal.plan.steps.len();
    sky.apply(proposal, &world.me).await.unwrap();

    let all = spans.all();
    let named = |name: &str| {
        all.iter()
            .filter(|span| span.name == name)
            .cloned()
            .collect::<Vec<Made>>()
    };
    let parent = |span: &Made| span.parent.map(|id| all[usize::try_from(id).unwrap() - 1].clone());
    assert_eq!(named("plan").len(), 1);
    let applies = named("apply");
    assert_eq!(
        (applies.len(), applies[0].fields["steps"].clone()),
        (1, steps.to_string())
    );
    let of_steps = named("step");
    let numbers: BTreeSet<String> = of_steps.iter().map(|span| span.fields["step"].clone()).collect();
    assert_eq!((of_steps.len(), numbers.len()), (steps, steps), "one span per step");
    for step in &of_steps {
        assert_eq!(parent(step).unwrap().name, "apply");
        assert!(step.fields.contains_key("kind") && step.fields.contains_key("site"));
    }
    let calls = named("call");
    assert!(calls.len() >= 2 * steps, "each is made and waited for");
    for call in &calls {
        let step = parent(call).unwrap();
        assert_eq!((step.name, &step.fields["step"]), ("step", &call.fields["step"]));
    }
    // The machine is over long before the last replica's first call.
    let first = of_steps
        .iter()
        .find(|step| step.fields["kind"] == "\"create_machine\"")
        .unwrap();
    assert!(first.closed_at.unwrap() < all.len(), "{first:?}");
    assert!(all.iter().all(|span| span.closed_at.is_some()), "all are closed");
}
