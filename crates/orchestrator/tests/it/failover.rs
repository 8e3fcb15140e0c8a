//! When places are lost and back: that nothing is declared in haste, nothing flaps, and a plan around what is out of reach
//! never touches it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use skyloom_core::{DataClass, DataReplica, DataSpec, ReplicaState, Timestamp};
use skyloom_orchestrator::drill::{SurvivingCopy, finish_times, first_capable, surviving_copies};
use skyloom_orchestrator::{
    Contact, Failback, FailoverAction, FailoverDecision, FailoverHistory, FailoverPolicy, HoldReason, OutOfReach,
    Place, Standing, doubles, fail_over, plan, shield, without_leaving,
};

use crate::fixture::{empty, manifest, observed, place as put, resource, service, shop, snapshot};

const HOME: &str = "aws/eu-central-1";
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

fn contact(text: &str, answered: u32, gone: u32) -> Contact {
    Contact {
        place: place(text),
        asked: 4,
        answered,
        replicas: 3,
        gone,
    }
}

fn policy() -> FailoverPolicy {
    FailoverPolicy::new()
        .with_patience(3, SECOND * 60)
        .with_stable(3, SECOND * 100)
        .with_failback(Failback::Auto)
        .with_budget(1, SECOND * 1000)
}

/// As [`fail_over`], through the history's persisted form.
fn look(contacts: &[Contact], witness: bool, history: &mut FailoverHistory, now: i64) -> Vec<FailoverAction> {
    let FailoverDecision { actions, history: next } = fail_over(contacts, witness, history, &policy(), at(now));
    *history = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
    assert_eq!(*history, next);
    actions
}

fn is_lost(actions: &[FailoverAction]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, FailoverAction::FailOver { .. }))
}

#[test]
fn a_place_is_lost_after_enough_looks_and_enough_time_and_back_likewise() {
    let mut history = FailoverHistory::new();
    let (silent, well) = ([contact(HOME, 0, 0)], [contact(HOME, 4, 0)]);
    for now in [0, 59] {
        assert!(!is_lost(&look(&silent, true, &mut history, now)));
    }
    // The time is over, the looks are not; and the clock that goes back does not undo a look.
    let actions = look(&silent, true, &mut history, 10);
    assert!(
        matches!(actions[..], [FailoverAction::Suspect { until, .. }] if until == at(60)),
        "{actions:?}"
    );
    let actions = look(&silent, true, &mut history, 61);
    assert!(
        matches!(actions[..], [FailoverAction::FailOver { since, .. }] if since == at(0)),
        "{actions:?}"
    );
    assert_eq!(history.out(), BTreeSet::from([place(HOME)]));
    assert_eq!(look(&silent, true, &mut history, 100), []);
    let back = |actions: &[FailoverAction]| matches!(actions, [FailoverAction::FailBack { .. }]);
    for now in [200, 299, 250] {
        assert!(!back(&look(&well, true, &mut history, now)), "{now}");
        assert_eq!(history.standing(&place(HOME)), Standing::Returning);
    }
    // One bad look, and it begins anew.
    look(&silent, true, &mut history, 299);
    for now in [300, 310, 320, 399] {
        assert!(!back(&look(&well, true, &mut history, now)), "{now}");
    }
    assert!(back(&look(&well, true, &mut history, 400)));
    assert!(
        !back(&look(&well, true, &mut history, 401)),
        "what did not work is not tried at once again"
    );
    assert!(back(&look(&well, true, &mut history, 460)));
    history.settled(&place(HOME));
    assert_eq!(history.standing(&place(HOME)), Standing::Present);
}

#[test]
fn nothing_is_declared_beyond_the_budget_without_a_witness_or_against_the_policy() {
    let other = "gcp/europe-west3";
    let both = [contact(HOME, 0, 0), contact(other, 0, 0)];
    let mut history = FailoverHistory::new();
    for now in [0, 30, 60] {
        let actions = look(&both, false, &mut history, now);
        assert!(!is_lost(&actions), "nobody answers: it may be us");
    }
    let held = |actions: &[FailoverAction], reason| {
        let holds =
            |action: &&FailoverAction| matches!(action, FailoverAction::Hold { because, .. } if *because == reason);
        actions.iter().filter(holds).count()
    };
    assert_eq!(
        held(&look(&both, false, &mut history, 61), HoldReason::NobodyAnswers),
        2
    );
    let actions = look(&both, true, &mut history, 62);
    assert_eq!((is_lost(&actions), held(&actions, HoldReason::Budget)), (true, 1));
    let manual = policy().without_declaring();
    let decision = fail_over(&both[1..], true, &history, &manual, at(9000));
    assert_eq!(held(&decision.actions, HoldReason::Order), 1);
}

#[test]
fn a_cloud_that_goes_region_by_region_is_one_loss() {
    let regions = [
        "aws/eu-central-1",
        "aws/eu-north-1",
        "aws/eu-west-1",
        "gcp/europe-west3",
    ];
    let all = regions.map(|region| contact(region, 0, 0));
    let mut history = FailoverHistory::new();
    for now in [0, 30, 59] {
        look(&all, true, &mut history, now);
    }
    look(&all, true, &mut history, 60);
    let lost: Vec<String> = history.out().iter().map(ToString::to_string).collect();
    assert_eq!(lost, regions[..3], "and the other cloud is beyond the budget");
}

#[test]
fn a_place_that_was_left_on_purpose_waits_for_an_order_and_a_cloud_is_as_its_regions_are() {
    let mut history = FailoverHistory::new();
    assert!(history.declare(place("aws"), at(0)));
    assert!(!history.declare(place("aws"), at(1)), "it is out already");
    let well = [contact(HOME, 4, 0), contact("gcp/europe-west3", 0, 0)];
    for now in [10, 60, 109] {
        assert!(
            look(&well, true, &mut history, now)
                .iter()
                .all(|a| !matches!(a, FailoverAction::AwaitOrder { .. }))
        );
    }
    assert!(!history.order(&place("aws"), Failback::Never), "it is not back yet");
    let waits = |actions: &[FailoverAction]| actions.contains(&FailoverAction::AwaitOrder { place: place("aws") });
    assert!(waits(&look(&well, true, &mut history, 110)), "whatever the policy says");
    assert!(history.order(&place("aws"), Failback::Never));
    let actions = look(&well, true, &mut history, 111);
    let expected = FailoverAction::FailBack {
        place: place("aws"),
        failback: Failback::Never,
    };
    assert!(actions.contains(&expected), "{actions:?}");
}

#[test]
fn a_place_that_answers_and_has_lost_everything_is_lost_too() {
    let mut history = FailoverHistory::new();
    let empty = [contact(HOME, 4, 3)];
    assert!((0..=6).any(|i| is_lost(&look(&empty, true, &mut history, i * 10))));
    let mut one_gone = contact(HOME, 4, 1);
    one_gone.replicas = 1;
    let mut history = FailoverHistory::new();
    for i in 0..100 {
        assert!(!is_lost(&look(
            std::slice::from_ref(&one_gone),
            true,
            &mut history,
            i * 10
        )));
    }
}

proptest! {
    /// Whatever the looks are: a place is only declared lost after the last looks, as many as the policy says and over as
    /// long as it says, were all bad; and never more of them than the budget.
    #[test]
    fn no_loss_without_the_looks_for_it(looks in prop::collection::vec((0u8..4, 0i64..40), 1..200)) {
        let mut history = FailoverHistory::new();
        let (mut now, mut bad_since, mut bad, mut declared) = (0, None, 0, Vec::new());
        for (kind, wait) in looks {
            now += wait;
            let contacts = match kind {
                0 => vec![contact(HOME, 4, 0)],
                1 => Vec::new(),
                _ => vec![contact(HOME, 0, 0)],
            };
            let was_out = history.standing(&place(HOME)).is_out();
            match kind {
                0 => (bad_since, bad) = (None, 0),
                1 => {}
                _ if was_out => {}
                _ => {
                    bad_since.get_or_insert(now);
                    bad += 1;
                }
            }
            if is_lost(&look(&contacts, true, &mut history, now)) {
                prop_assert!(bad >= 3 && now - bad_since.unwrap() >= 60, "{bad} looks since {bad_since:?} at {now}");
                prop_assert!(declared.iter().filter(|at| now - **at < 1000).count() == 0, "{declared:?} and {now}");
                declared.push(now);
                (bad_since, bad) = (None, 0);
            }
        }
    }
}

#[test]
fn a_plan_around_a_lost_place_touches_nothing_in_it() {
    let shop = shop();
    let ids = [
        "database/0",
        "backend/0",
        "backend/1",
        "frontend/0",
        "frontend/1",
        "frontend/2",
        "frontend/3",
    ];
    let well = |machine| {
        ids.map(|id| observed(&shop, id, machine, ReplicaState::Healthy))
            .to_vec()
    };
    let mut world = snapshot(&["lost", "spare"], well("lost"));
    world.nodes[1].machine.site.region = "aws/eu-west-1".parse().unwrap();
    let out = OutOfReach {
        lost: BTreeSet::from([place(HOME)]),
        ..OutOfReach::default()
    };
    let shown = shield(&world, &out);
    assert_eq!((shown.nodes.len(), shown.replicas.len()), (1, 0));
    assert_eq!(shown.generation, world.generation);
    let mut elsewhere = put(&shop, &shown, |_| 16, |_| "spare".to_owned());
    elsewhere.machines[0].site = world.nodes[1].machine.site.clone();
    let around = plan(&shop, &elsewhere, &shown).unwrap();
    assert_eq!(around.steps.len(), ids.len());
    for step in &around.steps {
        assert!(!place(HOME).covers_site(step.action.site()), "{}", step.action);
    }
    // What is only silent stays as it is, with no room for more.
    let silent = OutOfReach {
        silent: world
            .nodes
            .iter()
            .map(|node| node.resource.clone())
            .chain(world.replicas.iter().map(|r| r.resource.clone()))
            .collect(),
        ..OutOfReach::default()
    };
    let shown = shield(&world, &silent);
    assert_eq!(
        shown.nodes.len(),
        1,
        "an empty machine that does not answer is not given back"
    );
    assert!(
        shown
            .replicas
            .iter()
            .all(|replica| replica.state == ReplicaState::Healthy)
    );
    let used = shown
        .replicas
        .iter()
        .map(|r| r.request)
        .reduce(|a, b| a.checked_add(&b).unwrap());
    assert_eq!(Some(shown.nodes[0].machine.capacity), used);
    assert_eq!(shield(&world, &OutOfReach::default()), world);
}

#[test]
fn of_each_double_one_leaves_as_the_policy_says() {
    let web = manifest(vec![service("web", 3)]);
    let mut recovered: Vec<_> = ["web/0", "web/1", "web/2"]
        .map(|id| observed(&web, id, "home", ReplicaState::Healthy))
        .to_vec();
    recovered[2].state = ReplicaState::Unhealthy;
    let mut all = recovered.clone();
    all.extend(["web/0", "web/1", "web/2"].map(|id| {
        let mut replacement = observed(&web, id, "away", ReplicaState::Healthy);
        replacement.resource = resource(&format!("new-{}", id.replace('/', "-")));
        replacement
    }));
    let mut world = snapshot(&["home", "away"], all);
    let away = world
        .nodes
        .iter_mut()
        .find(|node| node.machine.id.as_str() == "away")
        .unwrap();
    away.machine.site.region = "aws/eu-west-1".parse().unwrap();
    let home = place(HOME);
    assert_eq!(
        doubles(&world, &home).iter().map(|d| d.is_well).collect::<Vec<_>>(),
        [true, true, false]
    );
    let machines = |failback| {
        let mut left: Vec<(String, String)> = without_leaving(&world, &home, failback)
            .replicas
            .iter()
            .map(|r| (r.replica.to_string(), r.machine.to_string()))
            .collect();
        left.sort();
        left.into_iter().map(|(_, machine)| machine).collect::<Vec<_>>()
    };
    assert_eq!(machines(Failback::Auto), ["home", "home", "away"]);
    assert_eq!(machines(Failback::Never), ["away", "away", "away"]);
}

#[test]
fn the_newest_surviving_copy_counts_and_what_is_not_known_is_said() {
    let mut shop = shop();
    let regions = ["aws/eu-central-1", "aws/eu-west-1", "gcp/europe-west3"];
    shop.data = vec![DataSpec {
        name: "orders".parse().unwrap(),
        at: None,
        class: DataClass::Internal,
        replicas: regions
            .map(|region| DataReplica {
                region: region.parse().unwrap(),
                at: None,
            })
            .to_vec(),
        sync: None,
        backup: None,
    }];
    let key = |region: &str| ("orders".parse().unwrap(), region.parse().unwrap());
    let ask = |lost: &str, records: &[(&str, i64)]| {
        let synced: BTreeMap<_, _> = records.iter().map(|(region, t)| (key(region), at(*t))).collect();
        let lost = (!lost.is_empty()).then(|| place(lost));
        surviving_copies(&shop, lost.as_ref(), &synced, at(1000)).remove(0).copy
    };
    let region = |text: &str| text.parse().unwrap();
    let synced = |text: &str, t: i64| SurvivingCopy::Synced {
        region: region(text),
        at: at(t),
        age: SECOND * u32::try_from((1000 - t).max(0)).unwrap(),
    };
    assert_eq!(
        ask("", &[]),
        SurvivingCopy::Primary {
            region: region(regions[0])
        }
    );
    assert_eq!(
        ask("gcp", &[]),
        SurvivingCopy::Primary {
            region: region(regions[0])
        }
    );
    assert_eq!(
        ask("aws/eu-central-1:a", &[]),
        SurvivingCopy::Primary {
            region: region(regions[0])
        }
    );
    assert_eq!(
        ask(HOME, &[]),
        SurvivingCopy::Unknown {
            region: region(regions[1])
        }
    );
    assert_eq!(
        ask(HOME, &[(regions[1], 400), (regions[2], 700)]),
        synced(regions[2], 700)
    );
    assert_eq!(
        ask("aws", &[(regions[1], 900), (regions[2], 700)]),
        synced(regions[2], 700)
    );
    assert_eq!(ask(HOME, &[(regions[1], 2000)]), synced(regions[1], 2000));
    shop.data[0].replicas.truncate(1);
    assert_eq!(
        surviving_copies(&shop, Some(&place(HOME)), &BTreeMap::new(), at(0))[0].copy,
        SurvivingCopy::None
    );
}

#[test]
fn a_plan_takes_as_long_as_its_longest_way() {
    let shop = shop();
    let whole = plan(&shop, &put(&shop, &empty(), |_| 16, |_| "m".to_owned()), &empty()).unwrap();
    let takes = |step: &skyloom_core::Step| match step.action {
        skyloom_core::Action::CreateMachine { .. } => SECOND * 40,
        _ => SECOND * 5,
    };
    let capable = first_capable(&whole, &finish_times(&whole, takes));
    let seconds: Vec<(String, u64)> = capable.iter().map(|(s, t)| (s.to_string(), t.as_secs())).collect();
    let expected = [("backend", 50), ("database", 45), ("frontend", 55)].map(|(s, t)| (s.to_owned(), t));
    assert_eq!(seconds, expected);
}
