//! What goes wrong on command and by chance, and what of it a caller can tell.

use std::time::Duration;

use futures::executor::block_on;
use skyloom_core::{Class, Purchase};
use skyloom_provider::sim::{SimCloud, SimEventKind, SimFaults};
use skyloom_provider::{Cause, Driver, FaultRates, Operation, PerMille, ResourceState};

use crate::samples::{EPOCH, STOP, buy, immediate, machine, owner, place, seconds, shop};

/// A caller that retries with the same token, as the journal protocol does, gets one thing whichever call is lost.
#[test]
fn a_lost_request_or_answer_at_any_call_leaves_one_thing() {
    for lost_reply in [false, true] {
        for k in 0..6 {
            let cloud = SimCloud::new(immediate(1));
            if lost_reply {
                cloud.lose_reply_at(k)
            } else {
                cloud.lose_request_at(k)
            }
            let create = |request: &_| {
                (0..3)
                    .find_map(|_| match block_on(cloud.create(request)) {
                        Ok(made) => Some(made),
                        Err(error) => {
                            assert_eq!(error.class(), Class::Transient);
                            None
                        }
                    })
                    .unwrap()
            };
            let on = create(&buy(machine("m"), "t-m"));
            for n in 0..3 {
                create(&place(&format!("web/{n}"), "m", &on.id, &format!("t{n}")));
            }
            assert_eq!(cloud.oracle().len(), 4, "call {k}, reply lost: {lost_reply}");
            let made = cloud
                .events()
                .iter()
                .filter(|event| matches!(event.what, SimEventKind::Created { .. }))
                .count();
            assert_eq!((made, cloud.calls()), (4, if k < 4 { 5 } else { 4 }));
        }
    }
}

#[test]
fn a_lost_request_has_no_effect_and_a_lost_answer_has() {
    for (lose_reply, things) in [(false, 0), (true, 1)] {
        let cloud = SimCloud::new(immediate(1));
        if lose_reply {
            cloud.lose_reply_at(0)
        } else {
            cloud.lose_request_at(0)
        }
        let error = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "create at `sim` on `m`: the provider did not answer: the connection was lost"
        );
        assert_eq!(cloud.oracle().len(), things);
    }
}

#[test]
fn the_next_call_fails_as_told_and_only_that() {
    let (cloud, _, web) = shop(immediate(1));
    cloud.fail_next(Operation::Delete, Cause::Denied);
    cloud.fail_next(Operation::Delete, Cause::Throttled { retry_after: None });
    assert!(block_on(cloud.get(&web.id)).is_ok());
    let classes = [(); 2].map(|()| block_on(cloud.delete(&web.id, STOP, EPOCH)).unwrap_err().class());
    assert_eq!(classes, [Class::Denied, Class::Throttled]);
    assert!(block_on(cloud.delete(&web.id, STOP, EPOCH)).is_ok());
}

#[test]
fn a_repeated_stop_may_arrive_after_a_start() {
    let mut stopped_again = 0;
    for seed in 0..30 {
        let (cloud, _, web) = shop(immediate(seed));
        cloud.repeat_at(cloud.calls());
        block_on(cloud.stop(&web.id, STOP, EPOCH)).unwrap();
        cloud.advance(seconds(1));
        block_on(cloud.start(&web.id, EPOCH)).unwrap();
        cloud.advance(seconds(5));
        let state = block_on(cloud.get(&web.id)).unwrap().state;
        stopped_again += usize::from(state == ResourceState::Stopped);
    }
    assert!((15..30).contains(&stopped_again), "{stopped_again} of 30");
}

#[test]
fn a_repeated_create_makes_nothing_even_after_a_delete() {
    let cloud = SimCloud::new(immediate(4));
    cloud.repeat_at(0);
    let made = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap();
    block_on(cloud.delete(&made.id, STOP, EPOCH)).unwrap();
    cloud.advance(seconds(5));
    assert!(cloud.oracle().is_empty());
    let refused = cloud.events().into_iter().find_map(|event| match event.what {
        SimEventKind::Refused { class, .. } => Some(class),
        _ => None,
    });
    assert_eq!(refused, Some(Class::Conflict));
}

#[test]
fn chance_takes_spot_machines_back_at_the_rate_asked_for() {
    let rate = SimFaults::none().with_evictions_per_hour(PerMille::new(200));
    let (mut spot, mut on_demand) = (0, 0);
    for seed in 0..200 {
        let cloud = SimCloud::new(immediate(seed).with_faults(rate).with_eviction_notice(Duration::ZERO));
        let mut cheap = machine("spot");
        cheap.purchase = Purchase::Spot;
        block_on(cloud.create(&buy(cheap, "t1"))).unwrap();
        block_on(cloud.create(&buy(machine("dear"), "t2"))).unwrap();
        cloud.advance(seconds(3600));
        for thing in cloud
            .oracle()
            .iter()
            .filter(|thing| thing.resource.state == ResourceState::Evicted)
        {
            if thing.resource.name == "spot" {
                spot += 1
            } else {
                on_demand += 1
            }
        }
    }
    // Binomial(200, 0.2): mean 40, standard deviation 5.7; five of them to either side.
    assert!((12..=68).contains(&spot), "{spot} of 200");
    assert_eq!(on_demand, 0);
}

#[test]
fn chance_fails_starts_and_runs_out_of_capacity() {
    let always = PerMille::ALWAYS;
    let (cloud, _, web) = shop(immediate(1).with_faults(SimFaults::none().with_failed_starts(always)));
    assert_eq!(web.state, ResourceState::Exited { code: Some(1) });
    cloud.set_faults(SimFaults::none().with_no_capacity(always));
    let refused = block_on(cloud.create(&buy(machine("n"), "t-n"))).unwrap_err();
    assert!(matches!(refused.cause, Cause::NoCapacity { .. }));
    cloud.set_faults(SimFaults::none().with_calls(FaultRates::none().with_lost_requests(always)));
    assert!(block_on(cloud.list(&owner())).is_err());
    cloud.set_faults(SimFaults::none());
    block_on(cloud.start(&web.id, EPOCH)).unwrap();
    assert_eq!(block_on(cloud.get(&web.id)).unwrap().state, ResourceState::Running);
}
