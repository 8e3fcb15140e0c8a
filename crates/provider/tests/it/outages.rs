//! Regions and zones that go down with what is in them, things that change behind everybody's back, and answers about
//! somebody else's things.

use futures::executor::block_on;
use skyloom_core::Site;
use skyloom_provider::sim::{Fate, MixUp, Origin, SimCloud, SimEventKind, SimThing};
use skyloom_provider::{Cause, Driver, ResourceState};

use crate::samples::{EPOCH, REGION, STOP, buy, immediate, machine, owner, place, seconds, shop};

fn region() -> Site {
    Site {
        region: REGION.parse().unwrap(),
        zone: None,
    }
}

fn zone() -> Site {
    Site {
        zone: Some("eu-central-1a".parse().unwrap()),
        ..region()
    }
}

fn states(cloud: &SimCloud) -> Vec<ResourceState> {
    cloud.oracle().into_iter().map(|thing| thing.resource.state).collect()
}

#[test]
fn what_is_in_a_region_runs_on_restarts_or_is_gone() {
    let (running, stopped) = (ResourceState::Running, ResourceState::Stopped);
    let rows = [
        (Fate::RunsOn, vec![running.clone(); 2], vec![running.clone(); 2]),
        (Fate::Restarts, vec![stopped.clone(); 2], vec![running; 2]),
        (Fate::Gone, vec![stopped; 2], vec![]),
    ];
    for (fate, during, after) in rows {
        let (cloud, on, web) = shop(immediate(1));
        cloud.begin_outage(region(), fate);
        cloud.begin_outage(region(), Fate::Gone);
        assert_eq!(states(&cloud), during, "{fate:?}; a second outage changes nothing");
        for id in [&on.id, &web.id] {
            let error = block_on(cloud.get(id)).unwrap_err();
            assert!(
                matches!(error.cause, Cause::Unavailable { .. }),
                "nobody learns of it: {error}"
            );
        }
        assert!(block_on(cloud.list(&owner())).is_err());
        let charged = cloud.bill().total();
        cloud.advance(seconds(3600));
        assert_eq!(cloud.bill().total() > charged, fate == Fate::RunsOn, "{fate:?}");
        cloud.end_outage(&region());
        cloud.advance(seconds(300));
        assert_eq!(states(&cloud), after, "{fate:?}");
        assert_eq!(block_on(cloud.get(&web.id)).is_ok(), !after.is_empty(), "{fate:?}");
    }
}

#[test]
fn a_zone_takes_its_own_along_and_its_region_answers() {
    let cloud = SimCloud::new(immediate(1));
    let mut there = machine("there");
    there.site = zone();
    let there = block_on(cloud.create(&buy(there, "t1"))).unwrap();
    let other = block_on(cloud.create(&buy(machine("other"), "t2"))).unwrap();
    cloud.begin_outage(zone(), Fate::Gone);
    assert!(matches!(
        block_on(cloud.get(&there.id)).unwrap_err().cause,
        Cause::NotFound
    ));
    assert!(block_on(cloud.get(&other.id)).is_ok());
    let mut more = machine("more");
    more.site = zone();
    let refused = block_on(cloud.create(&buy(more.clone(), "t3"))).unwrap_err();
    assert!(matches!(refused.cause, Cause::NoCapacity { .. }), "{refused}");
    cloud.end_outage(&zone());
    block_on(cloud.create(&buy(more, "t3"))).unwrap();
}

#[test]
fn what_changes_behind_everybodys_back_is_in_the_log() {
    let (cloud, on, web) = shop(immediate(1));
    cloud.stop_by_hand(&web.id).unwrap();
    assert_eq!(block_on(cloud.get(&web.id)).unwrap().state, ResourceState::Stopped);
    cloud.retag(&web.id, "somebody".parse().unwrap()).unwrap();
    assert_eq!(block_on(cloud.list(&owner())).unwrap().len(), 1);
    cloud.vanish(&on.id).unwrap();
    assert!(cloud.oracle().is_empty(), "a machine takes its replicas along");
    assert!(matches!(cloud.vanish(&on.id), Err(Cause::NotFound)));
    let edits = cloud.events().into_iter().filter_map(|event| match event.what {
        SimEventKind::Edited { what, .. } => Some(what),
        _ => None,
    });
    let edits: Vec<_> = edits.collect();
    assert_eq!(
        edits,
        [
            "stopped by hand",
            "given from `shop` to `somebody`",
            "taken away",
            "taken away"
        ]
    );
}

#[test]
fn a_copy_of_an_inventory_runs_at_once_under_the_ids_that_it_had() {
    let cloud = SimCloud::new(immediate(1));
    let origin = |id: &str| Origin {
        id: id.parse().unwrap(),
        owner: owner(),
        operation: format!("op-{id}").parse().unwrap(),
        token: format!("token-{id}").parse().unwrap(),
    };
    cloud.stock_machine(origin("i-0abc"), &machine("m")).unwrap();
    assert!(matches!(
        cloud.stock_machine(origin("i-0abc"), &machine("m")),
        Err(Cause::Invalid { .. })
    ));
    let on = "i-0abc".parse().unwrap();
    let skyloom_provider::What::Replica(web) = place("web/0", "m", &on, "t").what else {
        unreachable!("a replica was asked for")
    };
    cloud.stock_replica(origin("p-1"), &web.spec, &on).unwrap();
    let missing = "i-1".parse().unwrap();
    assert!(matches!(
        cloud.stock_replica(origin("p-2"), &web.spec, &missing),
        Err(Cause::NotFound)
    ));
    let names: Vec<String> = cloud
        .oracle()
        .into_iter()
        .map(|t: SimThing| t.resource.id.to_string())
        .collect();
    assert_eq!(names, ["i-0abc", "p-1"]);
    assert_eq!(states(&cloud), [ResourceState::Running, ResourceState::Running]);
    cloud.advance(seconds(10));
    assert_eq!(cloud.bill().total().unwrap().as_micros(), 1000);
    block_on(cloud.delete(&"p-1".parse().unwrap(), STOP, EPOCH)).unwrap();
}

#[test]
fn a_mixed_up_answer_is_about_somebody_else_and_changes_nothing() {
    for mix_up in [MixUp::Owner, MixUp::Operation, MixUp::Thing] {
        let cloud = SimCloud::new(immediate(1));
        cloud.mix_up_at(0, mix_up);
        let request = buy(machine("m"), "t");
        let answer = block_on(cloud.create(&request)).unwrap();
        let truth = cloud.oracle().remove(0).resource;
        assert_eq!(answer.owner == truth.owner, mix_up != MixUp::Owner);
        assert_eq!(answer.operation == truth.operation, mix_up != MixUp::Operation);
        assert_eq!(answer.id == truth.id, mix_up != MixUp::Thing);
        assert_eq!(
            block_on(cloud.create(&request)).unwrap(),
            truth,
            "the same token, answered as it is"
        );
    }
}
