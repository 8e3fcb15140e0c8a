//! Who moved first, along the dependencies, with what was changed there.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::diagnose::{ChangeEvent, ChangeKind, DependencyGraph, Movement, Suspect, diagnose};
use skyloom_core::{ServiceName, Timestamp};

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn moved(service: &str, metric: &str, second: i64, score: f64) -> Movement {
    Movement {
        service: name(service),
        metric: metric.to_owned(),
        at: at(second),
        score,
    }
}

/// web -> api -> (db, cache), web -> auth; billing is on its own.
fn shop() -> DependencyGraph {
    [
        ("web", "api"),
        ("web", "auth"),
        ("api", "db"),
        ("api", "cache"),
        ("billing", "db"),
    ]
    .into_iter()
    .fold(DependencyGraph::default(), |graph, (from, to)| {
        graph.with(name(from), name(to))
    })
}

fn of_web(movements: &[Movement], changes: &[ChangeEvent]) -> Vec<Suspect> {
    diagnose(
        &shop(),
        &name("web"),
        at(1000),
        Duration::from_secs(600),
        movements,
        changes,
    )
}

fn ranking(suspects: &[Suspect]) -> Vec<String> {
    suspects.iter().map(|s| format!("{} {}", s.service, s.metric)).collect()
}

#[test]
fn the_dependency_that_moved_first_leads_and_explains_the_others() {
    let movements = [
        moved("web", "errors", 980, 0.9),
        moved("api", "latency", 900, 0.9),
        moved("db", "locks", 840, 0.8),
        moved("db", "locks", 950, 1.0),       // the same metric again
        moved("billing", "errors", 700, 1.0), // web does not need it
        moved("cache", "misses", 100, 1.0),   // long ago
        moved("auth", "cpu", 1001, 1.0),      // after the alarm
    ];
    let suspects = of_web(&movements, &[]);
    assert_eq!(ranking(&suspects), ["db locks", "api latency", "web errors"]);
    assert_eq!(
        (suspects[0].hops, suspects[0].before_alarm, &suspects[0].explained_by),
        (2, Duration::from_secs(160), &None)
    );
    assert_eq!(suspects[1].explained_by, Some(name("db")));
}

#[test]
fn a_change_just_before_tips_the_balance_and_stands_beside() {
    let movements = [moved("db", "locks", 880, 0.8), moved("auth", "cpu", 900, 0.8)];
    assert_eq!(of_web(&movements, &[])[0].service, name("auth")); // nearer
    let change = |service: &str, second, kind, note: &str| ChangeEvent {
        service: name(service),
        at: at(second),
        kind,
        note: note.to_owned(),
    };
    let changes = [
        change("db", 500, ChangeKind::Scale, "2 to 3"),
        change("db", 870, ChangeKind::Deploy, "version 7"),
        change("db", 890, ChangeKind::Deploy, "too late to be the cause"),
        change("auth", 100, ChangeKind::SpotNotice, "long ago"),
    ];
    let suspects = of_web(&movements, &changes);
    assert_eq!(suspects[0].service, name("db"));
    let notes: Vec<&str> = suspects[0].changes.iter().map(|c| c.note.as_str()).collect();
    assert_eq!(notes, ["version 7", "2 to 3"]);
    assert!(suspects[1].changes.is_empty());
}

#[test]
fn cycles_strangers_and_odd_scores_do_no_harm() {
    let ring = DependencyGraph::default()
        .with(name("a"), name("b"))
        .with(name("b"), name("a"))
        .with(name("a"), name("a"));
    let movements = [moved("a", "x", 5, f64::NAN), moved("b", "x", 5, 7.0)];
    let suspects = diagnose(&ring, &name("a"), at(10), Duration::ZERO, &movements, &[]);
    assert!(suspects.is_empty());
    let suspects = diagnose(&ring, &name("a"), at(10), Duration::from_secs(10), &movements, &[]);
    assert_eq!(ranking(&suspects), ["b x", "a x"]);
    assert!(
        diagnose(
            &ring,
            &name("stranger"),
            at(10),
            Duration::from_secs(10),
            &movements,
            &[]
        )
        .is_empty()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The order in which movements are handed in decides nothing, and every figure is in its range.
    #[test]
    fn the_ranking_does_not_depend_on_the_order(rows in prop::collection::vec((0..5_usize, 0..3_usize, 300..1100_i64, 0.0..1.0_f64), 0..20)) {
        let services = ["web", "api", "db", "cache", "auth"];
        let metrics = ["cpu", "errors", "latency"];
        // Two movements of one metric at one time would be a tie that nothing can break: keep one.
        let mut rows = rows;
        rows.sort_by_key(|r| (r.0, r.1, r.2));
        rows.dedup_by_key(|r| (r.0, r.1, r.2));
        let mut movements: Vec<Movement> = rows.iter().map(|r| moved(services[r.0], metrics[r.1], r.2, r.3)).collect();
        let forward = of_web(&movements, &[]);
        movements.reverse();
        prop_assert_eq!(&of_web(&movements, &[]), &forward);
        prop_assert!(forward.iter().all(|s| (0.0..=1.5).contains(&s.suspicion)));
        prop_assert!(forward.is_sorted_by(|a, b| a.suspicion >= b.suspicion));
    }
}
