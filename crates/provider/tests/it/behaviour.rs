//! What a simulated cloud does when nothing goes wrong by chance.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use futures::executor::block_on;
use skyloom_core::{Bytes, Class, MicroUsdPerHour, Millicores, Timestamp};
use skyloom_provider::sim::{Delay, SimCloud, SimEventKind, SimProgram};
use skyloom_provider::{Cause, Driver, Epoch, Operation, PerMille, Quota, RateLimit, ResourceState, What};

use crate::samples::{
    EPOCH, REGION, STOP, buy, config, immediate, machine, owner, place, place_program, seconds, shop, start,
};

#[test]
fn a_machine_is_pending_for_its_start_and_then_runs() {
    for seed in 0..50 {
        let cloud = SimCloud::new(config(seed).with_machine_start(Delay::between(seconds(20), seconds(60))));
        let made = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap();
        assert_eq!(made.state, ResourceState::Pending);
        cloud.advance(seconds(20) - Duration::from_micros(1));
        let state = || block_on(cloud.get(&made.id)).unwrap().state;
        assert_eq!(state(), ResourceState::Pending, "seed {seed}");
        cloud.advance(seconds(40) + Duration::from_micros(1));
        assert_eq!(state(), ResourceState::Running, "seed {seed}");
    }
}

#[test]
fn a_replica_waits_for_its_machine_and_is_reached_only_when_it_runs() {
    let config = config(3)
        .with_machine_start(Delay::exactly(seconds(30)))
        .with_replica_start(Delay::exactly(seconds(2)));
    let cloud = SimCloud::new(config);
    let on = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap();
    let web = block_on(cloud.create(&place("web/0", "m", &on.id, "t2"))).unwrap();
    let look = || block_on(cloud.get(&web.id)).unwrap();
    cloud.advance(seconds(31));
    assert_eq!((look().state, look().endpoints.len()), (ResourceState::Pending, 0));
    assert_eq!(cloud.advance_to_next(), Some(start().saturating_add(seconds(32))));
    assert_eq!((look().state, look().endpoints.len()), (ResourceState::Running, 1));
    assert!(look().endpoints.values().all(|endpoint| endpoint.ip().is_loopback()));
    assert_eq!(cloud.advance_to_next(), None);
}

#[test]
fn listings_lag_behind_within_the_window_and_get_does_not() {
    let mut lagged = 0;
    for seed in 0..40 {
        let cloud = SimCloud::new(config(seed).with_consistency_window(seconds(5)));
        let request = buy(machine("m"), "t");
        let made = block_on(cloud.create(&request)).unwrap();
        let seen = || {
            let listed = !block_on(cloud.list(&owner())).unwrap().is_empty();
            assert_eq!(
                listed,
                block_on(cloud.find_by_token(&owner(), &request.token))
                    .unwrap()
                    .is_some()
            );
            listed
        };
        assert!(block_on(cloud.get(&made.id)).is_ok());
        cloud.advance(Duration::from_millis(2500));
        lagged += usize::from(!seen());
        // The token is known at once, even where listings are behind.
        assert_eq!(block_on(cloud.create(&request)).unwrap().id, made.id);
        cloud.advance(Duration::from_millis(2500));
        assert!(seen(), "seed {seed}");
    }
    assert!((8..=32).contains(&lagged), "{lagged} of 40 lagged by half the window");
}

#[test]
fn quotas_are_per_region_and_count_what_runs() {
    let cloud = SimCloud::new(
        immediate(1)
            .with_vcpu_quota(REGION.parse().unwrap(), 5)
            .with_machine_quota(3),
    );
    let first = block_on(cloud.create(&buy(machine("m0"), "t0"))).unwrap();
    block_on(cloud.create(&buy(machine("m1"), "t1"))).unwrap();
    let third = block_on(cloud.create(&buy(machine("m2"), "t2"))).unwrap_err();
    let quota = format!("vcpus/{REGION}");
    assert_eq!(
        third.cause,
        Cause::QuotaExceeded {
            quota: quota.clone(),
            asked: 6,
            allowed: 5
        }
    );
    assert_eq!(third.class(), Class::Exhausted);
    // A stopped machine counts no longer; nor can it start again when others took its place.
    block_on(cloud.stop(&first.id, STOP, EPOCH)).unwrap();
    block_on(cloud.create(&buy(machine("m2"), "t2"))).unwrap();
    assert_eq!(
        block_on(cloud.start(&first.id, EPOCH)).unwrap_err().class(),
        Class::Exhausted
    );
    let quotas = block_on(cloud.quotas()).unwrap();
    let row = |name: String, used, allowed| Quota { name, used, allowed };
    assert_eq!(quotas, [row("machines".to_owned(), 2, 3), row(quota, 4, 5)]);
    let mut elsewhere = machine("m3");
    elsewhere.site.region = "aws/us-east-1".parse().unwrap();
    block_on(cloud.create(&buy(elsewhere.clone(), "t3"))).unwrap();
    elsewhere.id = "m4".parse().unwrap();
    let fourth = block_on(cloud.create(&buy(elsewhere, "t4"))).unwrap_err();
    assert!(matches!(fourth.cause, Cause::QuotaExceeded { quota, asked: 4, allowed: 3 } if quota == "machines"));
}

#[test]
fn a_type_runs_out_and_comes_back() {
    let (region, instance) = (REGION.parse().unwrap(), "m5.large".parse().unwrap());
    let cloud = SimCloud::new(immediate(1).with_capacity(REGION.parse().unwrap(), "m5.large".parse().unwrap(), 1));
    block_on(cloud.create(&buy(machine("m0"), "t0"))).unwrap();
    let request = buy(machine("m1"), "t1");
    let refused = block_on(cloud.create(&request)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "create at `sim` on `m1`: no capacity for `m5.large in aws/eu-central-1`"
    );
    cloud.set_capacity(region, instance, Some(2));
    // A refused request has not used its token up.
    block_on(cloud.create(&request)).unwrap();
}

#[test]
fn too_many_calls_are_throttled_until_time_passes() {
    let one = NonZeroU32::new(1).unwrap();
    let cloud = SimCloud::new(immediate(1).with_rate_limit(RateLimit::new(one, NonZeroU32::new(2).unwrap())));
    assert!(block_on(cloud.quotas()).is_ok() && block_on(cloud.quotas()).is_ok());
    let refused = block_on(cloud.create(&buy(machine("m"), "t"))).unwrap_err();
    let retry_after = Some(seconds(1));
    assert_eq!(refused.cause, Cause::Throttled { retry_after });
    assert!(cloud.oracle().is_empty());
    cloud.advance(seconds(1));
    assert!(block_on(cloud.create(&buy(machine("m"), "t"))).is_ok());
}

#[test]
fn replicas_need_a_running_machine_of_ours_with_room() {
    let (cloud, on, _) = shop(immediate(1));
    let refuses = |request: &_, why: &str| {
        let error = block_on(cloud.create(request)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    let mut too_big = place("big/0", "m", &on.id, "t-big");
    if let What::Replica(new) = &mut too_big.what {
        new.spec.request.cpu = Millicores::from_millicores(1501);
    }
    refuses(
        &too_big,
        "invalid request: machine `m` has no room for 1501m cpu, 1GiB: too little cpu",
    );
    if let What::Replica(new) = &mut too_big.what {
        new.spec.request.memory = Bytes::MAX;
    }
    refuses(&too_big, "has no room");
    refuses(&place("a/0", "other", &on.id, "t-a"), "is machine `m`");
    refuses(
        &place("a/0", "m", &"nowhere".parse().unwrap(), "t-a"),
        "create at `sim` on `nowhere`: no such thing",
    );
    let mut foreign = place("a/0", "m", &on.id, "t-a");
    foreign.owner = "stranger".parse().unwrap();
    refuses(&foreign, "no such thing");
    for n in 1..4 {
        block_on(cloud.create(&place(&format!("web/{n}"), "m", &on.id, &format!("t{n}")))).unwrap();
    }
    refuses(&place("web/4", "m", &on.id, "t4"), "too little cpu");
    let replicas = cloud.oracle().len() - 1;
    assert_eq!(replicas, 4);
}

#[test]
fn what_has_ended_gives_its_room_up_and_starts_again_only_where_there_is_room() {
    let (cloud, on, web) = shop(immediate(1));
    let place = |n: u32| block_on(cloud.create(&place(&format!("web/{n}"), "m", &on.id, &format!("t{n}"))));
    let placed: Vec<_> = (1..4).map(|n| place(n).unwrap()).collect();
    cloud.crash(&web.id).unwrap();
    let fifth = place(4).unwrap();
    let refused = block_on(cloud.start(&web.id, EPOCH)).unwrap_err();
    assert!(refused.to_string().contains("has no room"), "{refused}");
    // What was stopped on request keeps its room, so that it can always start again.
    block_on(cloud.stop(&placed[0].id, STOP, EPOCH)).unwrap();
    assert!(block_on(cloud.start(&web.id, EPOCH)).is_err());
    block_on(cloud.start(&placed[0].id, EPOCH)).unwrap();
    block_on(cloud.delete(&fifth.id, STOP, EPOCH)).unwrap();
    block_on(cloud.start(&web.id, EPOCH)).unwrap();
}

#[test]
fn a_fixed_port_is_given_once_per_machine() {
    let (cloud, on, _) = shop(immediate(1));
    let on_port = |name: &str, port: u16| {
        let mut request = place(name, "m", &on.id, name);
        if let What::Replica(new) = &mut request.what {
            new.spec.run.ports[0].port = NonZeroU16::new(port);
        }
        block_on(cloud.create(&request))
    };
    let given = on_port("a/0", 8080).unwrap();
    assert_eq!(given.endpoints.values().next().unwrap().port(), 8080);
    assert_eq!(on_port("a/1", 8080).unwrap_err().cause, Cause::PortInUse { port: 8080 });
    block_on(cloud.delete(&given.id, STOP, EPOCH)).unwrap();
    assert!(on_port("a/1", 8080).is_ok());
}

#[test]
fn a_graceful_stop_takes_the_programs_time_but_no_more_than_the_grace() {
    let config = immediate(1)
        .with_program("slow", SimProgram::service().stopping_in(seconds(4)))
        .with_program("stubborn", SimProgram::service().stopping_in(seconds(3600)));
    let (cloud, on, web) = shop(config);
    let took = |act: &dyn Fn()| {
        let before = cloud.now();
        act();
        cloud.now().saturating_since(before)
    };
    assert_eq!(
        took(&|| block_on(cloud.delete(&web.id, STOP, EPOCH)).unwrap()),
        seconds(1)
    );
    assert_eq!(
        took(&|| block_on(cloud.delete(&web.id, STOP, EPOCH)).unwrap()),
        Duration::ZERO
    );
    for (program, time) in [("slow", 4), ("stubborn", 10)] {
        let request = place_program("job/0", "m", &on.id, program, program);
        let made = block_on(cloud.create(&request)).unwrap();
        assert_eq!(
            took(&|| block_on(cloud.stop(&made.id, STOP, EPOCH)).unwrap()),
            seconds(time),
            "{program}"
        );
        assert_eq!(
            took(&|| block_on(cloud.delete(&made.id, STOP, EPOCH)).unwrap()),
            Duration::ZERO
        );
    }
}

#[test]
fn programs_end_on_their_own_and_on_command() {
    let (cloud, on, web) = shop(immediate(1).with_program("job", SimProgram::job(seconds(30), 3)));
    let job = block_on(cloud.create(&place_program("job/0", "m", &on.id, "t-j", "job"))).unwrap();
    cloud.advance(seconds(29));
    let state = |id| block_on(cloud.get(id)).unwrap().state;
    assert_eq!(state(&job.id), ResourceState::Running);
    cloud.advance(seconds(1));
    assert_eq!(state(&job.id), ResourceState::Exited { code: Some(3) });
    cloud.crash(&web.id).unwrap();
    assert_eq!(state(&web.id), ResourceState::Exited { code: None });
    assert!(matches!(cloud.crash(&web.id), Err(Cause::Invalid { .. })));
    assert_eq!(cloud.complete(&"nobody".parse().unwrap()), Err(Cause::NotFound));
    // Started again, it is the same thing and can complete; the end that was due before does not come again.
    block_on(cloud.start(&web.id, EPOCH)).unwrap();
    cloud.complete(&web.id).unwrap();
    assert_eq!(state(&web.id), ResourceState::Exited { code: Some(0) });
    block_on(cloud.start(&job.id, EPOCH)).unwrap();
    block_on(cloud.stop(&job.id, STOP, EPOCH)).unwrap();
    cloud.advance(seconds(3600));
    assert_eq!(state(&job.id), ResourceState::Stopped);
}

#[test]
fn a_machine_with_replicas_is_neither_deleted_nor_stopped() {
    let (cloud, on, web) = shop(immediate(1));
    let by = Cause::InUse { by: "web/0".to_owned() };
    assert_eq!(block_on(cloud.delete(&on.id, STOP, EPOCH)).unwrap_err().cause, by);
    assert_eq!(block_on(cloud.stop(&on.id, STOP, EPOCH)).unwrap_err().cause, by);
    block_on(cloud.stop(&web.id, STOP, EPOCH)).unwrap();
    block_on(cloud.stop(&on.id, STOP, EPOCH)).unwrap();
    let refused = block_on(cloud.start(&web.id, EPOCH)).unwrap_err();
    assert!(refused.to_string().ends_with("machine `m` does not run"), "{refused}");
}

#[test]
fn an_eviction_is_announced_and_takes_the_replicas_along() {
    let (cloud, on, web) = shop(immediate(1).with_eviction_notice(seconds(120)));
    let at = cloud.evict(&on.id).unwrap();
    assert_eq!(at, cloud.now().saturating_add(seconds(120)));
    assert_eq!(cloud.oracle()[0].evicted_at, Some(at));
    cloud.advance(seconds(60));
    assert_eq!(cloud.evict(&on.id), Ok(at), "a second announcement changes nothing");
    assert_eq!(cloud.oracle()[0].evicted_at, Some(at));
    cloud.advance(seconds(59));
    assert_eq!(block_on(cloud.get(&web.id)).unwrap().state, ResourceState::Running);
    cloud.advance(seconds(1));
    for id in [&on.id, &web.id] {
        assert_eq!(block_on(cloud.get(id)).unwrap().state, ResourceState::Evicted);
        assert!(block_on(cloud.start(id, EPOCH)).is_err());
    }
    let evicted = cloud
        .events()
        .into_iter()
        .filter(|event| matches!(event.what, SimEventKind::Evicted { .. }));
    assert_eq!(evicted.map(|event| event.at).collect::<Vec<_>>(), [at, at]);
}

#[test]
fn a_region_that_is_down_answers_nothing_and_runs_on() {
    let (cloud, on, web) = shop(immediate(1));
    cloud.set_outage(REGION.parse().unwrap(), true);
    let before = cloud.bill().total().unwrap();
    let classes = [
        block_on(cloud.get(&on.id)).unwrap_err().class(),
        block_on(cloud.list(&owner())).unwrap_err().class(),
        block_on(cloud.create(&buy(machine("m2"), "t2"))).unwrap_err().class(),
        block_on(cloud.create(&buy(machine("m"), "t-m"))).unwrap_err().class(),
        block_on(cloud.find_by_token(&owner(), &web.token)).unwrap_err().class(),
        block_on(cloud.delete(&web.id, STOP, EPOCH)).unwrap_err().class(),
    ];
    assert_eq!(classes, [Class::Transient; 6]);
    assert!(block_on(cloud.list(&"stranger".parse().unwrap())).unwrap().is_empty());
    cloud.advance(seconds(10));
    cloud.set_outage(REGION.parse().unwrap(), false);
    assert_eq!(block_on(cloud.get(&web.id)).unwrap().state, ResourceState::Running);
    assert_eq!(cloud.bill().total().unwrap().as_micros() - before.as_micros(), 1000);
}

#[test]
fn usage_follows_the_load() {
    let program = SimProgram::service()
        .with_load(PerMille::new(200))
        .with_network(Bytes::from_bytes(50));
    let config = immediate(1)
        .with_program("serve", program)
        .with_clock_skew_micros(-7_000_000);
    let (cloud, _, web) = shop(config);
    let before = block_on(cloud.usage(&web.id)).unwrap();
    assert_eq!(before.at, Timestamp::from_micros(cloud.now().as_micros() - 7_000_000));
    assert_eq!(before.memory, Bytes::from_mib(512));
    cloud.advance(seconds(100));
    cloud.set_load(&web.id, PerMille::ALWAYS).unwrap();
    cloud.advance(seconds(100));
    let after = block_on(cloud.usage(&web.id)).unwrap();
    // Half a core at 20 % for 100 s, then at 100 % for 100 s.
    assert_eq!(after.cpu - before.cpu, seconds(10) + seconds(50));
    let network = |usage: &skyloom_provider::Usage| usage.network_in.unwrap().as_bytes();
    assert_eq!(network(&after) - network(&before), 200 * 50);
}

#[test]
fn logs_keep_the_last_thousand_lines() {
    let (cloud, on, web) = shop(immediate(1).with_program("serve", SimProgram::service().printing(["ready"])));
    for n in 0..1000 {
        cloud.print(&web.id, format!("line {n}")).unwrap();
    }
    let all = block_on(cloud.logs(&web.id, usize::MAX)).unwrap();
    assert_eq!(
        (all.len(), all[0].as_str(), all[999].as_str()),
        (1000, "line 0", "line 999")
    );
    assert_eq!(block_on(cloud.logs(&on.id, 1)).unwrap_err().cause, Cause::Unsupported);
}

#[test]
fn secrets_are_in_no_event_and_no_debug_text() {
    let (cloud, ..) = shop(immediate(1));
    let told = format!(
        "{:?} {:?} {}",
        cloud,
        cloud.oracle(),
        serde_json::to_string(&cloud.events()).unwrap()
    );
    assert!(!told.contains("hunter2"));
}

#[test]
fn epochs_fence_per_owner() {
    let (cloud, on, web) = shop(immediate(1));
    block_on(cloud.delete(&web.id, STOP, Epoch(9))).unwrap();
    let refused = block_on(cloud.delete(&on.id, STOP, Epoch(8))).unwrap_err();
    assert_eq!(refused.cause, Cause::StaleEpoch { seen: 9, ours: 8 });
    let mut other = buy(machine("x"), "t-x");
    other.owner = "stranger".parse().unwrap();
    assert!(block_on(cloud.create(&other)).is_ok());
}

#[test]
fn wild_input_is_refused_or_bounded_and_never_panics() {
    let cloud = SimCloud::new(immediate(1).with_events_max(3));
    for (id, price) in [("a", -1), ("b", i64::MAX), ("c", i64::MIN)] {
        let mut wild = machine(id);
        wild.price = MicroUsdPerHour::from_micros(price);
        assert_eq!(
            block_on(cloud.create(&buy(wild, id))).unwrap_err().class(),
            Class::Invalid
        );
    }
    let mut huge = machine("d");
    huge.capacity.cpu = Millicores::MAX;
    block_on(cloud.create(&buy(huge, "d"))).unwrap();
    cloud.advance(Duration::MAX);
    cloud.advance(Duration::MAX);
    let century = seconds(100 * 365 * 24 * 3600);
    assert_eq!(cloud.now(), start().saturating_add(century));
    assert_eq!(cloud.events().len(), 3);
    let late = SimCloud::new(skyloom_provider::sim::SimConfig::new(
        1,
        Timestamp::from_micros(i64::MAX),
    ));
    block_on(late.create(&buy(machine("m"), "t"))).unwrap();
    late.advance(Duration::MAX);
    assert_eq!(late.now(), Timestamp::from_micros(i64::MAX));
    assert_eq!(Operation::ALL.map(Operation::name).len(), 14);
}
