//! Stale plans are refused, and the difference between two worlds is named.

use proptest::prelude::*;
use skyloom_core::{Class, Plan, Ratio, ReplicaState, Snapshot, Timestamp};
use skyloom_orchestrator::{Change, diff, plan, verify, verify_from};

use crate::fixture::{machine, node, observed, place, replica, resource, shop, snapshot};
use crate::scenario::scenario;

/// The shop runs but for frontend/3, which is planned.
fn before() -> (Snapshot, Plan) {
    let shop = shop();
    let ids = [
        "backend/0",
        "backend/1",
        "database/0",
        "frontend/0",
        "frontend/1",
        "frontend/2",
    ];
    let there = ids
        .iter()
        .map(|id| observed(&shop, id, "m", ReplicaState::Healthy))
        .collect();
    let snapshot = snapshot(&["m"], there);
    let placement = place(&shop, &snapshot, |_| 16, |_| String::from("m"));
    let plan = plan(&shop, &placement, &snapshot).unwrap();
    assert_eq!(plan.steps.len(), 1);
    (snapshot, plan)
}

#[test]
fn measurements_do_not_make_a_plan_stale() {
    let (mut there, plan) = before();
    there.taken_at = Timestamp::from_secs(9);
    there.nodes[0].utilisation = Some(Ratio::new(0.5).unwrap());
    assert_eq!(verify(&plan, &there), Ok(()));
    assert_eq!(diff(&before().0, &there), []);
}

#[test]
fn a_moved_world_is_named() {
    let (old, plan) = before();
    let mut new = old.clone();
    new.generation = 2;
    let bare = verify(&plan, &new).unwrap_err();
    assert_eq!((bare.planned, bare.current, bare.class()), (1, 2, Class::Conflict));
    insta::assert_snapshot!(bare, @"apply a plan of generation 1 to generation 2: nothing that the plan touches has moved, but it was decided from what is not true any more");
    new.replicas.remove(1);
    new.replicas[0].state = ReplicaState::Failed;
    new.nodes.push(node(machine("n", 2)));
    let full = verify_from(&plan, &old, &new).unwrap_err();
    insta::assert_snapshot!(full, @"apply a plan of generation 1 to generation 2: machine `n` has appeared, `backend/1` (`r-backend/1-m`) is gone, `backend/0` was healthy and is failed");
    // A snapshot that is not the plan's tells nothing.
    assert_eq!(verify_from(&plan, &new, &new).unwrap_err().changes, []);
}

#[test]
fn a_contradiction_is_found_within_the_generation_too() {
    let (old, plan) = before();
    let mut twice = old.clone();
    twice
        .replicas
        .push(observed(&shop(), "frontend/3", "m", ReplicaState::Started));
    let appeared = Change::ReplicaAppeared {
        replica: replica("frontend/3"),
        resource: resource("r-frontend/3-m"),
        machine: machine("m", 1).id,
    };
    assert_eq!(verify(&plan, &twice).unwrap_err().changes, [appeared]);
    let mut other = old.clone();
    other.nodes[0].resource = resource("vm-other");
    let machine = machine("m", 1).id;
    assert_eq!(
        verify(&plan, &other).unwrap_err().changes,
        [Change::MachineChanged {
            machine: machine.clone()
        }]
    );
    other.nodes.clear();
    assert_eq!(
        verify(&plan, &other).unwrap_err().changes,
        [Change::MachineGone { machine }]
    );
}

#[test]
fn what_a_step_counts_on_is_named_when_it_has_moved() {
    let shop = shop();
    let ids = ["backend/0", "backend/1"];
    let mut there = snapshot(
        &["m"],
        ids.map(|id| observed(&shop, id, "m", ReplicaState::Healthy)).to_vec(),
    );
    there
        .replicas
        .push(observed(&shop, "database/0", "m", ReplicaState::Started));
    let on = |id: &skyloom_core::ReplicaId| String::from(if id.to_string() == "frontend/0" { "n" } else { "m" });
    let mut fewer = shop.clone();
    fewer.services[0].depends_on[0].service = crate::fixture::name("database");
    let plan = plan(&fewer, &place(&fewer, &there, |_| 16, on), &there).unwrap();
    assert_eq!(verify(&plan, &there), Ok(()));
    // A machine that was to be bought is there.
    let mut bought = there.clone();
    bought.nodes.push(node(machine("n", 16)));
    let stale = verify(&plan, &bought).unwrap_err().to_string();
    assert!(stale.ends_with("machine `n` has appeared"), "{stale}");
    // A replica that was to be waited for is gone, or another one has its name.
    let mut gone = there.clone();
    gone.replicas.pop();
    let stale = verify(&plan, &gone).unwrap_err().to_string();
    assert!(stale.ends_with("`database/0` (`r-database/0-m`) is gone"), "{stale}");
    gone.replicas
        .push(observed(&shop, "database/0", "x", ReplicaState::Started));
    assert!(verify(&plan, &gone).is_err());
    // A later generation, though nothing has moved.
    let mut later = there.clone();
    later.generation = 9;
    assert_eq!(verify(&plan, &later).unwrap_err().changes, []);
}

#[test]
fn every_kind_of_change_is_seen() {
    let (old, _) = before();
    let mut new = old.clone();
    new.nodes[0].ready = false;
    new.replicas[0].spec = skyloom_core::Digest::of("other");
    new.replicas[1].resource = resource("elsewhere");
    let texts: Vec<String> = diff(&old, &new).iter().map(ToString::to_string).collect();
    let expected = [
        "machine `m` has changed",
        "`backend/1` has appeared on `m`",
        "`backend/1` (`r-backend/1-m`) is gone",
        "`backend/0` has changed",
    ];
    assert_eq!(texts, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(15))]

    /// A world differs from itself in nothing, and what appears one way is gone the other way.
    #[test]
    fn differences_are_symmetric(a: u64, b: u64) {
        let (a, b) = (scenario(a).snapshot, scenario(b).snapshot);
        prop_assert_eq!(diff(&a, &a), []);
        let count = |changes: &[Change], wanted: fn(&Change) -> bool| changes.iter().filter(|c| wanted(c)).count();
        let (there, back) = (diff(&a, &b), diff(&b, &a));
        let appeared = |c: &Change| matches!(c, Change::MachineAppeared { .. } | Change::ReplicaAppeared { .. });
        let gone = |c: &Change| matches!(c, Change::MachineGone { .. } | Change::ReplicaGone { .. });
        prop_assert_eq!(count(&there, appeared), count(&back, gone));
        prop_assert_eq!(there.len(), back.len());
    }
}
