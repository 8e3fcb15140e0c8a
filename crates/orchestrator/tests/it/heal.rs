//! Healing: what is replaced when, and that it never runs away.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_core::{ObservedReplica, ReplicaState, RetryPolicy, Timestamp};
use skyloom_orchestrator::{HealAction, HealHistory, HealPolicy, Sickness, WaitReason, heal};

use crate::fixture::{Dice, manifest, observed, replica, service, shop, snapshot};

const SECOND: Duration = Duration::from_secs(1);

fn at(secs: u64) -> Timestamp {
    Timestamp::EPOCH.saturating_add(Duration::from_secs(secs))
}

/// The shop with its database in this state; `None`: nowhere to be seen.
fn world(database: Option<ReplicaState>) -> Vec<ObservedReplica> {
    let shop = shop();
    let ids = [
        "backend/0",
        "backend/1",
        "frontend/0",
        "frontend/1",
        "frontend/2",
        "frontend/3",
    ];
    let mut all: Vec<_> = ids
        .iter()
        .map(|id| observed(&shop, id, "m", ReplicaState::Healthy))
        .collect();
    all.extend(database.map(|state| observed(&shop, "database/0", "m", state)));
    all
}

fn ask(
    database: Option<ReplicaState>,
    history: &mut HealHistory,
    policy: &HealPolicy,
    now: Timestamp,
) -> Vec<HealAction> {
    let decision = heal(&shop(), &snapshot(&["m"], world(database)), history, policy, now);
    let stored = serde_json::to_string(&decision.history).unwrap();
    *history = serde_json::from_str(&stored).unwrap();
    decision.actions
}

#[test]
fn a_failing_replica_is_replaced_ever_more_slowly_and_then_given_up() {
    let policy = HealPolicy::new().with_backoff(RetryPolicy::new(3, SECOND * 10, SECOND * 100));
    let mut history = HealHistory::new();
    let sickness = Sickness::Failed;
    let dead = Some(ReplicaState::Failed);
    let replica = || replica("database/0");
    let replace = |replacement| HealAction::Replace {
        replica: replica(),
        sickness,
        replacement,
    };
    let wait = |secs| HealAction::Wait {
        replica: replica(),
        sickness,
        until: at(secs),
        because: WaitReason::Backoff,
    };
    assert_eq!(ask(Some(ReplicaState::Healthy), &mut history, &policy, at(0)), []);
    assert_eq!(ask(dead, &mut history, &policy, at(1)), [replace(1)]);
    assert_eq!(ask(dead, &mut history, &policy, at(2)), [wait(11)]);
    assert_eq!(ask(dead, &mut history, &policy, at(11)), [replace(2)]);
    assert_eq!(ask(dead, &mut history, &policy, at(30)), [wait(31)]);
    assert_eq!(ask(dead, &mut history, &policy, at(31)), [replace(3)]);
    let given_up = HealAction::GiveUp {
        replica: replica(),
        sickness,
        replacements: 3,
    };
    assert_eq!(ask(dead, &mut history, &policy, at(9_999)), [given_up]);
    assert_eq!(history.replacements(&replica()), 3);
}

#[test]
fn a_stable_time_makes_up_for_the_past() {
    let policy = HealPolicy::new().with_stable_after(SECOND * 60);
    let mut history = HealHistory::new();
    let (dead, well) = (Some(ReplicaState::Unhealthy), Some(ReplicaState::Healthy));
    ask(dead, &mut history, &policy, at(0));
    ask(well, &mut history, &policy, at(10));
    ask(well, &mut history, &policy, at(69));
    assert_eq!(history.replacements(&replica("database/0")), 1);
    ask(well, &mut history, &policy, at(70));
    assert_eq!(history.replacements(&replica("database/0")), 0);
}

#[test]
fn lost_contact_is_not_death() {
    let policy = HealPolicy::new().with_lost_after(SECOND * 30);
    for missing in [None, Some(ReplicaState::Lost)] {
        let mut history = HealHistory::new();
        let first = ask(missing, &mut history, &policy, at(0));
        let waits = |a: &HealAction| matches!(a, HealAction::Wait { because: WaitReason::OutOfSight, until, .. } if *until == at(30));
        assert!(first.iter().all(waits), "{first:?}");
        // Seen again in between: the clock starts anew.
        ask(Some(ReplicaState::Healthy), &mut history, &policy, at(20));
        assert!(
            !ask(missing, &mut history, &policy, at(31))
                .iter()
                .any(|a| matches!(a, HealAction::Replace { .. }))
        );
        assert!(
            ask(missing, &mut history, &policy, at(61))
                .iter()
                .all(|a| matches!(a, HealAction::Replace { .. }))
        );
    }
}

#[test]
fn a_job_that_has_ended_is_well_and_a_server_that_has_is_not() {
    let mut job = service("job", 1);
    job.run.ports.clear();
    let manifest = manifest(vec![job, service("server", 1)]);
    let ended = ["job/0", "server/0"]
        .map(|id| observed(&manifest, id, "m", ReplicaState::Completed))
        .to_vec();
    let decision = heal(
        &manifest,
        &snapshot(&["m"], ended),
        &HealHistory::new(),
        &HealPolicy::new(),
        at(0),
    );
    let replaced: Vec<_> = decision.replacements().map(ToString::to_string).collect();
    assert_eq!(replaced, ["server/0"]);
}

#[test]
fn a_clock_that_goes_backwards_frees_no_budget() {
    let policy = HealPolicy::new()
        .with_budget(1, SECOND * 100)
        .with_backoff(RetryPolicy::new(9, SECOND, SECOND));
    let mut history = HealHistory::new();
    let dead = Some(ReplicaState::Failed);
    assert_eq!(ask(Some(ReplicaState::Healthy), &mut history, &policy, at(1_000)), []);
    let first = ask(dead, &mut history, &policy, at(900));
    assert!(matches!(first[..], [HealAction::Replace { .. }]));
    // By the latest time ever seen the first replacement was at 1,000.
    let second = ask(dead, &mut history, &policy, at(1_050));
    assert!(
        matches!(second[..], [HealAction::Wait { until, .. }] if until == at(1_100)),
        "{second:?}"
    );
}

#[test]
fn the_longest_sick_come_first_where_the_budget_is_short() {
    let policy = HealPolicy::new().with_budget(1, SECOND * 100);
    let shop = shop();
    let mut history = HealHistory::new();
    let sick = |ids: &[&str]| {
        let mut all = world(Some(ReplicaState::Healthy));
        all.iter_mut()
            .filter(|o| ids.contains(&o.replica.to_string().as_str()))
            .for_each(|o| o.state = ReplicaState::Failed);
        snapshot(&["m"], all)
    };
    let mut replaced = Vec::new();
    for (now, ids) in [
        (0, &["frontend/3"][..]),
        (50, &["frontend/2"]),
        (60, &["backend/0", "frontend/2"]),
        (100, &["backend/0", "frontend/2"]),
    ] {
        let decision = heal(&shop, &sick(ids), &history, &policy, at(now));
        replaced.extend(decision.replacements().map(|r| (now, r.to_string())));
        if now == 50 {
            assert_eq!(decision.ask_again, Some(at(100)));
        }
        history = decision.history;
    }
    assert_eq!(
        replaced,
        [(0, String::from("frontend/3")), (100, String::from("frontend/2"))]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// In no window are there more replacements than the budget, whatever happens and however the clock runs.
    #[test]
    fn the_budget_holds_in_every_window(seed: u64, budget in 0u32..5) {
        let window = SECOND * 100;
        let policy = HealPolicy::new().with_budget(budget, window).with_backoff(RetryPolicy::new(9, SECOND, SECOND * 4));
        let mut dice = Dice(seed);
        let (mut history, mut now, mut latest, mut replaced) = (HealHistory::new(), 1_000u64, 0, Vec::new());
        for _ in 0..60 {
            now = if dice.one_in(10) { now.saturating_sub(dice.next() % 200) } else { now + dice.next() % 30 };
            latest = now.max(latest);
            let mut all = world(Some(ReplicaState::Healthy));
            all.retain(|_| !dice.one_in(6));
            for observed in &mut all {
                observed.state = [ReplicaState::Healthy, ReplicaState::Failed, ReplicaState::Unhealthy][dice.below(3)];
            }
            let there = snapshot(&["m"], all);
            let decision = heal(&shop(), &there, &history, &policy, at(now));
            let again = heal(&shop(), &there, &history, &policy, at(now));
            prop_assert_eq!(&decision, &again);
            replaced.extend(decision.replacements().map(|_| latest));
            history = decision.history;
        }
        for start in &replaced {
            let inside = replaced.iter().filter(|t| *t >= start && *t - start < window.as_secs()).count();
            prop_assert!(inside <= budget as usize, "{} in the window from {}", inside, start);
        }
        prop_assert!(budget == 0 || !replaced.is_empty());
    }

    /// A replica that is never well again is replaced a bounded number of times, ever more slowly, and then given up: the
    /// total is finite however long anybody asks.
    #[test]
    fn what_is_broken_for_good_is_given_up(attempts in 1u32..6, looks in 10usize..300, step in 1u64..400, lost: bool) {
        let policy = HealPolicy::new().with_backoff(RetryPolicy::new(attempts, SECOND * 2, SECOND * 300));
        let sick = if lost { ReplicaState::Lost } else { ReplicaState::Failed };
        let mut history = HealHistory::new();
        let mut times: Vec<u64> = Vec::new();
        for look in 0..looks as u64 {
            let actions = ask(Some(sick), &mut history, &policy, at(look * step));
            if actions.iter().any(|a| matches!(a, HealAction::Replace { .. })) {
                times.push(look * step);
            }
        }
        prop_assert!(times.len() < attempts.max(2) as usize + 1, "{} replacements of {} attempts", times.len(), attempts);
        // Each wait is at least as long as its backoff, which doubles.
        for (n, pair) in times.windows(2).enumerate() {
            prop_assert!(pair[1] - pair[0] >= 2u64 << n, "{:?}", times);
        }
    }
}
