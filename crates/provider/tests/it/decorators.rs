//! The decorators around a driver.

use std::sync::Arc;

use futures::executor::block_on;
use skyloom_core::Class;
use skyloom_provider::sim::SimCloud;
use skyloom_provider::{Cause, Driver, FaultInjecting, FaultRates, Operation, PerMille, Recording};

use crate::samples::{EPOCH, STOP, buy, immediate, machine, owner};

#[test]
fn injected_faults_stand_before_and_after_the_driver() {
    let cloud = SimCloud::new(immediate(1));
    let recording = Arc::new(Recording::new(cloud.clone()));
    let driver = FaultInjecting::new(Arc::clone(&recording), 1, FaultRates::none());
    driver.lose_request_at(0);
    driver.lose_reply_at(1);
    driver.repeat_at(2);
    driver.fail_next(Operation::List, Cause::Denied);
    let request = buy(machine("m"), "t");
    let create = || block_on(driver.create(&request)).map_err(|error| error.class());
    assert_eq!(create(), Err(Class::Transient));
    assert!(
        cloud.oracle().is_empty() && recording.calls().is_empty(),
        "a lost request does not arrive"
    );
    assert_eq!(create(), Err(Class::Transient));
    assert_eq!(cloud.oracle().len(), 1, "a lost answer has had its effect");
    let made = create().unwrap();
    assert_eq!(recording.calls().len(), 3, "a repeated mutation arrives twice");
    let refused = block_on(driver.list(&owner())).unwrap_err();
    assert_eq!(
        (refused.class(), refused.operation, driver.calls()),
        (Class::Denied, "list", 4)
    );
    block_on(driver.delete(&made.id, STOP, EPOCH)).unwrap();
    assert!(driver.inner().inner().oracle().is_empty());
}

#[test]
fn chance_repeats_itself_for_a_seed() {
    let fates = |seed| {
        let rates = FaultRates::none().with_lost_requests(PerMille::new(500));
        let driver = FaultInjecting::new(SimCloud::new(immediate(1)), seed, rates);
        (0..64).map(|_| block_on(driver.quotas()).is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(fates(3), fates(3));
    assert_ne!(fates(3), fates(4));
}

#[test]
fn a_record_names_the_call_and_its_end() {
    let driver = Recording::new(SimCloud::new(immediate(1)));
    let made = block_on(driver.create(&buy(machine("m"), "t"))).unwrap();
    let _ = block_on(driver.get(&"nobody".parse().unwrap()));
    block_on(driver.delete(&made.id, STOP, EPOCH)).unwrap();
    let told: Vec<_> = driver
        .calls()
        .into_iter()
        .map(|call| (call.operation, call.subject, call.failed))
        .collect();
    assert_eq!(
        told,
        [
            (Operation::Create, "m".to_owned(), None),
            (Operation::Get, "nobody".to_owned(), Some(Class::NotFound)),
            (Operation::Delete, made.id.to_string(), None),
        ]
    );
    assert_eq!(driver.calls()[0].token.as_ref().unwrap().as_str(), "t");
    assert_eq!(driver.calls()[2].epoch, Some(EPOCH));
    driver.clear();
    assert!(driver.calls().is_empty());
}
