//! Failure risk, error budgets and validity: against simulation, the book's figures, and their borders.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::warn::{BurnWindow, ErrorBudget, FailureHistory, Validity, ValidityState};
use skyloom_core::{Ratio, Timestamp};

use crate::sim::Noise;

const DAY: Duration = Duration::from_secs(86_400);

fn day(n: i64) -> Timestamp {
    Timestamp::from_secs(86_400 * n)
}

/// Nodes whose failure rates come from the prior itself (exponential: gamma with one failure's worth): the stated risk and
/// the share that failed agree in each third of the stated risks.
#[test]
fn the_failure_risk_is_calibrated() {
    let (fleet_days, horizon) = (60.0, 10);
    let mut noise = Noise::new(11);
    let mut nodes = Vec::new();
    for _ in 0..6000 {
        let rate = -(1.0 - noise.uniform()).ln() / fleet_days;
        let mut history = FailureHistory::new(day(0), DAY * 60, DAY * 1_000_000).unwrap();
        let mut hour = 0.0;
        let mut fails = false;
        loop {
            hour += -(1.0 - noise.uniform()).ln() / rate * 24.0;
            if hour >= f64::from(24 * (200 + horizon)) {
                break;
            }
            #[expect(clippy::cast_possible_truncation, reason = "hours of a year")]
            let when = Timestamp::from_secs((hour * 3600.0) as i64);
            if when <= day(200) {
                history.failed(when);
            } else {
                fails = true;
            }
        }
        let risk = history.risk(day(200), DAY * u32::try_from(horizon).unwrap()).get();
        nodes.push((risk, f64::from(u8::from(fails))));
    }
    nodes.sort_by(|a, b| a.0.total_cmp(&b.0));
    for third in nodes.chunks(2000) {
        let stated = third.iter().map(|n| n.0).sum::<f64>() / 2000.0;
        let happened = third.iter().map(|n| n.1).sum::<f64>() / 2000.0;
        // Three standard errors of a share of 2,000.
        assert!((stated - happened).abs() < 0.034, "{stated} {happened}");
    }
}

#[test]
fn a_repaired_node_is_trusted_again_and_bad_settings_are_refused() {
    let mut node = FailureHistory::new(day(0), DAY * 200, DAY * 30).unwrap();
    (0..4).for_each(|n| node.failed(day(50 + n)));
    let risks: Vec<f64> = [54, 90, 150, 300].map(|n| node.risk(day(n), DAY * 7).get()).to_vec();
    assert!(risks.is_sorted_by(|a, b| a > b), "{risks:?}");
    assert!(FailureHistory::new(day(0), Duration::ZERO, DAY).is_err());
    assert!(FailureHistory::new(day(0), DAY, Duration::ZERO).is_err());
    assert_eq!(node.risk(day(60), Duration::ZERO), Ratio::ZERO);
    assert!(node.risk(day(60), Duration::MAX).get() > 0.99);
}

/// The book's table for 99.9 % over 30 days: a steady error rate fires when it has burnt 2 %, 5 % and 10 % of the budget.
#[test]
fn burn_rates_fire_where_the_book_says() {
    let rows = [
        (0.0143, [false, true, true]),
        (0.0145, [true, true, true]),
        (0.0061, [false, true, true]),
        (0.0009, [false; 3]),
    ];
    for (errors, expected) in rows {
        let mut budget = ErrorBudget::new(Ratio::new(0.999).unwrap(), DAY * 30).unwrap();
        let minutes = 4 * 24 * 60;
        for minute in 0..minutes {
            budget
                .count(Timestamp::from_secs(60 * minute), 1000.0, 1000.0 * errors)
                .unwrap();
        }
        let rates = budget.rates(Timestamp::from_secs(60 * minutes));
        let fires: Vec<bool> = rates.iter().map(|rate| rate.fires).collect();
        assert_eq!(fires, expected, "{errors}: {rates:?}");
        assert!((rates[0].long - errors / 0.001).abs() < 0.05);
    }
}

#[test]
fn a_burst_that_is_over_stops_firing_and_budgets_end_when_they_say() {
    let mut budget = ErrorBudget::new(Ratio::new(0.99).unwrap(), DAY * 30).unwrap();
    let minute = |n: i64| Timestamp::from_secs(60 * n);
    for n in 0..2000 {
        budget
            .count(minute(n), 100.0, if (1900..1930).contains(&n) { 60.0 } else { 0.0 })
            .unwrap();
    }
    let fast = |now| {
        budget
            .rates(minute(now))
            .into_iter()
            .find(|r| r.window == BurnWindow::Fast)
            .unwrap()
    };
    assert!(fast(1930).fires && !fast(1950).fires && fast(1950).long > 14.4);
    let left = budget.left(minute(2000));
    assert!((0.0..0.2).contains(&left), "{left}"); // 1,800 of the 2,000 that may fail
    let end = budget.exhausted_at(minute(2000), BurnWindow::Medium).unwrap();
    assert!(end > minute(2000));
    assert_eq!(budget.exhausted_at(minute(9000), BurnWindow::Fast), None);
    let before = budget.clone();
    for (events, failed) in [
        (1.0, 2.0),
        (-1.0, -1.0),
        (f64::NAN, 0.0),
        (f64::INFINITY, 0.0),
        (1.0, f64::NAN),
    ] {
        assert!(budget.count(minute(2001), events, failed).is_err());
    }
    assert_eq!(budget, before);
    assert!(ErrorBudget::new(Ratio::ONE, DAY).is_err() && ErrorBudget::new(Ratio::ZERO, DAY).is_err());
    assert!(ErrorBudget::new(Ratio::new(0.5).unwrap(), Duration::from_secs(8639)).is_err());
    let text = serde_json::to_string(&budget).unwrap();
    assert_eq!(serde_json::from_str::<ErrorBudget>(&text).unwrap(), budget);
}

#[test]
fn validity_at_its_borders() {
    let validity = Validity {
        from: day(0),
        until: day(90),
    };
    let rows = [
        (-1, ValidityState::NotYet),
        (0, ValidityState::Valid),
        (59, ValidityState::Valid),
        (60, ValidityState::Due),
        (81, ValidityState::Urgent),
        (90, ValidityState::Expired),
        (1000, ValidityState::Expired),
    ];
    for (n, state) in rows {
        assert_eq!(validity.state(day(n)), state, "day {n}");
    }
    let backwards = Validity {
        from: day(9),
        until: day(1),
    };
    assert_eq!(
        (backwards.state(day(5)), backwards.share_left(day(0))),
        (ValidityState::Expired, Ratio::ZERO)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Risks are probabilities, rise with the horizon and with every further failure.
    #[test]
    fn risks_are_in_order(failures in prop::collection::vec(0..400_i64, 0..20), extra in 0..300_i64, horizon in 1..500_u32) {
        let mut node = FailureHistory::new(day(0), DAY * 100, DAY * 60).unwrap();
        failures.iter().for_each(|n| node.failed(day(*n)));
        let now = day(300);
        let risk = node.risk(now, DAY * horizon).get();
        prop_assert!((0.0..=1.0).contains(&risk) && node.risk(now, DAY * (horizon + 1)).get() >= risk);
        let mut worse = node.clone();
        worse.failed(day(extra));
        prop_assert!(worse.risk(now, DAY * horizon).get() >= risk);
    }
}
