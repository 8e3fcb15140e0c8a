//! Drivers that keep the contract pass every case, and no case is skipped on a driver that can do everything.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use skyloom_provider::sim::{Delay, SimCloud};
use skyloom_provider::{Driver, FaultInjecting, FaultRates, Recording};
use skyloom_provider_testkit::{CASES, Outcome, run};

use crate::world::{SimHarness, config};

/// The only case that has nothing to try on a driver that declares everything and stands in for any cloud.
const NOT_TRIED: [&str; 2] = ["what_is_not_declared_is_unsupported", "other_clouds_are_refused"];

fn check<D: Driver + 'static>(harness: &SimHarness<impl Fn(SimCloud) -> D + Send + Sync>, not_tried: &[&str]) {
    let report = block_on(run(harness));
    assert_eq!(report.cases.len(), CASES.len());
    for case in &report.cases {
        let as_expected = match case.outcome {
            Outcome::Passed => !not_tried.contains(&case.name),
            Outcome::Skipped { .. } => not_tried.contains(&case.name),
            Outcome::Failed { .. } => false,
        };
        assert!(as_expected, "{}\n{report}", case.name);
    }
}

#[test]
fn the_simulated_cloud_conforms_for_every_seed() {
    for seed in 0..20 {
        let harness = SimHarness {
            config: config(seed),
            wrap: |cloud| cloud,
        };
        check(&harness, &NOT_TRIED);
    }
}

#[test]
fn a_simulated_cloud_for_one_cloud_refuses_the_others() {
    let config = config(1).for_cloud("aws".parse().unwrap());
    check(
        &SimHarness {
            config,
            wrap: |cloud| cloud,
        },
        &NOT_TRIED[..1],
    );
}

#[test]
fn an_immediate_and_consistent_cloud_conforms() {
    let config = config(1)
        .with_machine_start(Delay::NONE)
        .with_replica_start(Delay::NONE)
        .with_consistency_window(Duration::ZERO);
    check(
        &SimHarness {
            config,
            wrap: |cloud| cloud,
        },
        &NOT_TRIED,
    );
}

#[test]
fn a_cloud_that_delivers_every_mutation_twice_conforms() {
    let faults = FaultRates::none().with_repeats(skyloom_provider::PerMille::ALWAYS);
    let wrap = |cloud| FaultInjecting::new(cloud, 1, faults);
    check(
        &SimHarness {
            config: config(1),
            wrap,
        },
        &NOT_TRIED,
    );
}

#[test]
fn decorators_keep_the_contract() {
    let shared = |cloud: SimCloud| -> Arc<dyn Driver> { Arc::new(cloud) };
    check(
        &SimHarness {
            config: config(2),
            wrap: shared,
        },
        &NOT_TRIED,
    );
    let boxed = |cloud: SimCloud| -> Box<dyn Driver> { Box::new(Recording::new(cloud)) };
    check(
        &SimHarness {
            config: config(3),
            wrap: boxed,
        },
        &NOT_TRIED,
    );
    let quiet = |cloud| FaultInjecting::new(Recording::new(cloud), 1, FaultRates::none());
    check(
        &SimHarness {
            config: config(4),
            wrap: quiet,
        },
        &NOT_TRIED,
    );
}

skyloom_provider_testkit::conformance!(
    the_macro_declares_a_test,
    block_on,
    SimHarness {
        config: config(5),
        wrap: |cloud| cloud,
    }
);
