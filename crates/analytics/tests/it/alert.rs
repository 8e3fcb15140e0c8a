//! Rules at their exact boundaries, notifications told once, states that outlive a restart.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::alert::{
    Alert, Comparison, Condition, Engine, ForecastLine, Inhibition, Labels, MatchOp, Matcher, Notification, Notifier,
    Readings, Route, Rule, SeriesId, SeriesIndex, Silence, Status, Timing,
};
use skyloom_core::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn high() -> Condition {
    Condition::Value {
        is: Comparison::Above,
        than: 10.0,
    }
}

fn one_series() -> SeriesIndex {
    let mut index = SeriesIndex::default();
    index.insert(labels(&[("__name__", "load"), ("host", "a")]));
    index
}

fn rule(hold: u64, keep: u64) -> Rule {
    Rule::new("High", vec![Matcher::equal("__name__", "load")], high()).with_holds(secs(hold), secs(keep))
}

/// A value per ten seconds; what is said at each: `.` nothing, `F` fires, `R` resolves.
fn story(hold: u64, keep: u64, values: &[f64]) -> String {
    let (index, mut engine) = (one_series(), Engine::new(vec![rule(hold, keep)]).unwrap());
    let say = |(i, value): (usize, &f64)| {
        let alerts = engine.evaluate(&index, [*value].as_slice(), at(10 * i64::try_from(i).unwrap()));
        match alerts.as_slice() {
            [] => '.',
            [Alert { ends_at: None, .. }] => 'F',
            _ => 'R',
        }
    };
    values.iter().enumerate().map(say).collect()
}

#[test]
fn for_and_keep_firing_for_hold_at_their_exact_boundaries() {
    let (h, l, n) = (20.0, 0.0, f64::NAN);
    let rows: [(u64, u64, &[f64], &str); 9] = [
        (0, 0, &[l, h, l, l], ".FR."),
        (20, 0, &[h, h, h, h, l], "..FFR"),
        (21, 0, &[h, h, h, h, l], "...FR"),
        (20, 0, &[h, h, l, h, h, h], ".....F"),
        (0, 20, &[h, l, l, l, l], "FFFR."),
        (0, 21, &[h, l, l, l, l], "FFFFR"),
        (0, 20, &[h, l, h, l, l, l], "FFFFFR"),
        (0, 0, &[h, n, h], "FRF"),
        (10, 10, &[h, l, h, h, l, l], "...FFR"),
    ];
    for (hold, keep, values, expected) in rows {
        assert_eq!(story(hold, keep, values), expected, "for {hold} keep {keep} {values:?}");
    }
}

/// Readings with everything.
struct Full;

impl Readings for Full {
    fn value(&self, _: SeriesId) -> Option<f64> {
        Some(5.0)
    }
    fn forecast(&self, _: SeriesId, ahead: Duration, line: ForecastLine) -> Option<f64> {
        let spread = [-2.0, 0.0, 2.0][line as usize];
        (ahead <= secs(3600)).then_some(12.0 + spread)
    }
    fn anomaly(&self, _: SeriesId) -> Option<f64> {
        Some(0.7)
    }
}

#[test]
fn conditions_look_ahead_combine_and_know_what_they_cannot_tell() {
    let ahead = |line, seconds, than| Condition::Forecast {
        ahead: secs(seconds),
        line,
        is: Comparison::AtLeast,
        than,
    };
    let not = |c| Condition::Not(Box::new(c));
    let unknown = || ahead(ForecastLine::Hi, 7200, 0.0);
    let rows = [
        (high(), false),
        (ahead(ForecastLine::Point, 600, 12.0), true),
        (ahead(ForecastLine::Lo, 600, 12.0), false),
        (ahead(ForecastLine::Hi, 600, 14.0), true),
        (unknown(), false),
        (not(unknown()), false),
        (not(high()), true),
        (Condition::Anomaly { score: 0.7 }, true),
        (Condition::Absent, false),
        (
            Condition::All(vec![ahead(ForecastLine::Hi, 60, 13.0), not(high())]),
            true,
        ),
        (Condition::All(vec![unknown(), not(high())]), false),
        (not(Condition::All(vec![unknown(), high()])), true), // one that is false settles it
        (Condition::Any(vec![unknown(), Condition::Anomaly { score: 0.5 }]), true),
        (not(Condition::Any(vec![unknown(), high()])), false),
        (Condition::All(Vec::new()), true),
        (Condition::Any(Vec::new()), false),
    ];
    for (condition, expected) in rows {
        let rule = Rule::new("R", Vec::new(), condition.clone());
        let fired = Engine::new(vec![rule])
            .unwrap()
            .evaluate(&one_series(), &Full, at(0))
            .len();
        assert_eq!(fired == 1, expected, "{condition:?}");
    }
}

#[test]
fn an_absent_series_fires_and_labels_are_the_series_and_the_rules() {
    let index = one_series();
    let severe = labels(&[("severity", "page")]);
    let rule = Rule::new("Gone", Vec::new(), Condition::Absent).with_labels(severe);
    let alerts = Engine::new(vec![rule])
        .unwrap()
        .evaluate(&index, [f64::NAN].as_slice(), at(3));
    assert_eq!(
        alerts[0].labels.to_string(),
        r#"{alertname="Gone", host="a", severity="page"}"#
    );
    assert_eq!(alerts[0].annotations, Labels::default());
    assert!(Engine::new(vec![rule_named("x"), rule_named("x")]).is_err());
}

fn rule_named(name: &str) -> Rule {
    Rule::new(name, Vec::new(), high())
}

#[test]
fn selection_finds_what_matching_each_series_finds() {
    let mut index = SeriesIndex::default();
    let mut all = Vec::new();
    for i in 0..200 {
        let (host, job) = (format!("h{}", i % 7), format!("j{}", i % 5));
        let series = labels(&[
            ("__name__", "load"),
            ("host", &host),
            ("job", &job),
            ("n", &i.to_string()),
        ]);
        index.insert(series.clone());
        all.push(series);
    }
    let matcher = |name, op, value: &str| Matcher::new(name, op, value).unwrap();
    let rows = [
        vec![Matcher::equal("host", "h3"), Matcher::equal("job", "j2")],
        vec![
            matcher("host", MatchOp::Regex, "h[12]"),
            matcher("job", MatchOp::NotEqual, "j0"),
        ],
        vec![matcher("host", MatchOp::NotRegex, "h.*")],
        vec![Matcher::equal("zone", "")], // lacking it
        vec![Matcher::equal("host", "none")],
        vec![matcher("host", MatchOp::Regex, "h")], // anchored: nothing
    ];
    for select in rows {
        let expected = all.iter().filter(|l| select.iter().all(|m| m.matches(l))).count();
        let rule = Rule::new("R", select.clone(), Condition::Not(Box::new(high())));
        let values = vec![0.0; 200];
        let alerts = Engine::new(vec![rule])
            .unwrap()
            .evaluate(&index, values.as_slice(), at(0));
        assert_eq!(alerts.len(), expected, "{select:?}");
    }
    assert!(Matcher::new("host", MatchOp::Regex, "(").is_err());
}

fn firing(name: &str, host: &str, from: i64) -> Alert {
    let index = {
        let mut index = SeriesIndex::default();
        index.insert(labels(&[("__name__", "load"), ("host", host), ("cluster", "c1")]));
        index
    };
    let mut engine = Engine::new(vec![Rule::new(name, Vec::new(), high())]).unwrap();
    engine.evaluate(&index, [20.0].as_slice(), at(from)).remove(0)
}

fn resolved(mut alert: Alert, when: i64) -> Alert {
    alert.ends_at = Some(at(when));
    alert
}

fn timing() -> Timing {
    Timing {
        wait: secs(30),
        interval: secs(300),
        repeat: secs(3600),
    }
}

fn notifier(inhibitions: Vec<Inhibition>) -> Notifier {
    Notifier::new(Route::new("ops").with_groups(&["alertname"], timing()), inhibitions)
}

fn told(sent: &[Notification]) -> Vec<(Status, usize)> {
    sent.iter()
        .map(|n| (n.payload.status, n.payload.alerts.len()))
        .collect()
}

#[test]
fn a_group_waits_is_told_once_and_repeated_only_after_its_time() {
    let mut notifier = notifier(Vec::new());
    notifier.take(&[firing("High", "a", 0)], at(0));
    assert_eq!(notifier.poll_deadline(), Some(at(30)));
    notifier.take(&[firing("High", "b", 10)], at(10));
    assert!(notifier.poll(at(29)).is_empty());
    assert_eq!(told(&notifier.poll(at(30))), [(Status::Firing, 2)]); // one for both
    assert!(notifier.poll(at(30)).is_empty());
    // Evaluated again and again: nothing new, until the time of repetition.
    let mut sent = Vec::new();
    for now in (40..7200).step_by(10) {
        notifier.take(&[firing("High", "a", 0), firing("High", "b", 10)], at(now));
        sent.extend(notifier.poll(at(now)).iter().map(|n| (now, n.payload.alerts.len())));
    }
    assert_eq!(sent, [(3630, 2)]);
    // Something new: at the next look at the group.
    notifier.take(&[firing("High", "c", 7200)], at(7200));
    assert_eq!(told(&notifier.poll(at(7230))), [(Status::Firing, 3)]);
    // One resolves, then all: each told once, then the group is gone.
    notifier.take(&[resolved(firing("High", "c", 7200), 7300)], at(7300));
    assert_eq!(told(&notifier.poll(at(7530))), [(Status::Firing, 3)]);
    notifier.take(
        &[
            resolved(firing("High", "a", 0), 7600),
            resolved(firing("High", "b", 10), 7600),
        ],
        at(7600),
    );
    assert_eq!(told(&notifier.poll(at(7830))), [(Status::Resolved, 2)]);
    assert_eq!(
        (notifier.poll_deadline(), notifier.poll(at(99_999))),
        (None, Vec::new())
    );
}

#[test]
fn what_resolves_before_it_was_told_is_never_told() {
    let mut notifier = notifier(Vec::new());
    notifier.take(&[firing("High", "a", 0)], at(0));
    notifier.take(&[resolved(firing("High", "a", 0), 20)], at(20));
    assert!(notifier.poll(at(30)).is_empty() && notifier.poll_deadline().is_none());
}

#[test]
fn silences_and_inhibitions_hold_back_and_let_go() {
    let source = vec![Matcher::equal("alertname", "ClusterDown")];
    let target = vec![Matcher::equal("alertname", "High")];
    let inhibition = Inhibition {
        source,
        target,
        equal: vec!["cluster".to_owned()],
    };
    let mut notifier = notifier(vec![inhibition]);
    let down = firing("ClusterDown", "a", 0);
    notifier.take(&[firing("High", "a", 0), down.clone()], at(0));
    let sent = notifier.poll(at(30));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].payload.common_labels.get("alertname"), "ClusterDown");
    notifier.take(&[resolved(down, 100)], at(100));
    let sent = notifier.poll(at(330));
    let names: Vec<&str> = sent.iter().map(|n| n.payload.common_labels.get("alertname")).collect();
    assert_eq!(names, ["ClusterDown", "High"]); // resolved, and no longer held back
    let silence = Silence {
        matchers: vec![Matcher::new("host", MatchOp::Regex, "a|b").unwrap()],
        starts_at: at(400),
        ends_at: at(1000),
        comment: "maintenance".to_owned(),
    };
    let number = notifier.silence(silence.clone());
    assert!(silence.covers(&labels(&[("host", "b")]), at(400)) && !silence.covers(&labels(&[("host", "b")]), at(1000)));
    notifier.take(&[firing("Other", "b", 500)], at(500));
    assert!(notifier.poll(at(530)).is_empty());
    assert_eq!(told(&notifier.poll(at(1130))), [(Status::Firing, 1)]); // it has ended
    assert!(!notifier.unsilence(number));
}

#[test]
fn routes_are_tried_in_order_and_deepest_first() {
    let page =
        |receiver: &str, severity: &str| Route::new(receiver).with_matchers(vec![Matcher::equal("severity", severity)]);
    let database =
        page("database", "page").with_child(Route::new("night").with_matchers(vec![Matcher::equal("host", "b")]));
    let root = Route::new("all")
        .with_child(page("log", "page").with_continue())
        .with_child(database);
    let receivers = |alert: &Alert| {
        let mut notifier = Notifier::new(root.clone(), Vec::new());
        notifier.take(std::slice::from_ref(alert), at(0));
        notifier
            .poll(at(60))
            .into_iter()
            .map(|n| n.receiver)
            .collect::<Vec<_>>()
    };
    let mut alert = firing("High", "a", 0);
    assert_eq!(receivers(&alert), ["all"]);
    alert.labels = alert.labels.with("severity", "page");
    assert_eq!(receivers(&alert), ["log", "database"]);
    alert.labels = alert.labels.with("host", "b");
    assert_eq!(receivers(&alert), ["log", "night"]);
}

#[test]
fn the_body_is_that_of_alertmanager() {
    let mut notifier = notifier(Vec::new());
    notifier.take(&[firing("High", "a", 0)], at(0));
    let body = serde_json::to_string_pretty(&notifier.poll(at(30))[0].payload).unwrap();
    insta::assert_snapshot!(body, @r#"
    {
      "version": "4",
      "groupKey": "{}:{alertname=\"High\"}",
      "truncatedAlerts": 0,
      "status": "firing",
      "receiver": "ops",
      "groupLabels": {
        "alertname": "High"
      },
      "commonLabels": {
        "alertname": "High",
        "cluster": "c1",
        "host": "a"
      },
      "commonAnnotations": {
        "value": "20"
      },
      "externalURL": "",
      "alerts": [
        {
          "status": "firing",
          "labels": {
            "alertname": "High",
            "cluster": "c1",
            "host": "a"
          },
          "annotations": {
            "value": "20"
          },
          "startsAt": "1970-01-01T00:00:00Z",
          "endsAt": "0001-01-01T00:00:00Z",
          "generatorURL": "",
          "fingerprint": "c3c7e089261d3e2b"
        }
      ]
    }
    "#);
}

/// 64-bit FNV-1a of the empty input and of `a`, as its authors publish them, through one label.
#[test]
fn fingerprints_are_fnv_1a() {
    assert_eq!(Labels::default().fingerprint(), 0xcbf2_9ce4_8422_2325);
    let by_hand = b"a\xffb\xff".iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211)
    });
    assert_eq!(labels(&[("a", "b")]).fingerprint(), by_hand);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Engine and notifier saved and restored at any step (into an index built in another order) say the same as without.
    #[test]
    fn a_restart_loses_and_repeats_nothing(values in prop::collection::vec((0..3_u8, 0..3_u8), 1..60), cut in 0..60_usize) {
        let hosts = ["a", "b"];
        let index_of = |order: [usize; 2]| {
            let mut index = SeriesIndex::default();
            for i in order {
                index.insert(labels(&[("__name__", "load"), ("host", hosts[i])]));
            }
            index
        };
        let readings = |order: [usize; 2], pair: (u8, u8)| {
            let both = [pair.0, pair.1].map(|v| if v == 2 { f64::NAN } else { f64::from(v) * 20.0 });
            [both[order[0]], both[order[1]]]
        };
        let (mut order, mut index) = ([0, 1], index_of([0, 1]));
        let mut engine = Engine::new(vec![rule(40, 60)]).unwrap();
        let mut notifier = notifier(Vec::new());
        let (mut kept_engine, mut kept_notifier) = (engine.clone(), notifier.clone());
        let kept_index = index.clone();
        for (i, pair) in values.into_iter().enumerate() {
            let now = at(20 * i64::try_from(i).unwrap());
            if i == cut {
                let saved = serde_json::to_string(&engine.save(&index)).unwrap();
                (order, index) = ([1, 0], index_of([1, 0]));
                engine = Engine::new(vec![rule(40, 60)]).unwrap();
                engine.restore(serde_json::from_str(&saved).unwrap(), &mut index);
                notifier = serde_json::from_str(&serde_json::to_string(&notifier).unwrap()).unwrap();
            }
            let mut alerts = engine.evaluate(&index, readings(order, pair).as_slice(), now);
            let kept = kept_engine.evaluate(&kept_index, readings([0, 1], pair).as_slice(), now);
            alerts.sort_by(|a, b| a.labels.cmp(&b.labels));
            prop_assert_eq!(&alerts, &kept);
            notifier.take(&alerts, now);
            kept_notifier.take(&kept, now);
            prop_assert_eq!(notifier.poll(now), kept_notifier.poll(now));
        }
    }
}
