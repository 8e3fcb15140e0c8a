//! Autoscaling: the original's rules by hand, what must never happen, histograms against sorting, replays.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::scale::{
    DecayingHistogram, HistogramConfig, Limit, Reactive, ReactiveConfig, ReplayConfig, RightSizer, ScaleReason,
    ScalingRules, Select, clairvoyant, predicted_floor, replay,
};
use skyloom_core::{Ratio, Timestamp};

use crate::sim::{Noise, real};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn free() -> ScalingRules {
    ScalingRules {
        stabilisation: Duration::ZERO,
        tolerance: 0.1,
        limits: Vec::new(),
        select: Select::Max,
    }
}

#[test]
fn the_proportional_rule_is_the_originals() {
    let rows = [
        (3, Some(1.5), 5, ScaleReason::Proportional),
        (4, Some(1.1), 4, ScaleReason::WithinTolerance),
        (4, Some(1.100_001), 5, ScaleReason::Proportional),
        (4, Some(0.9), 4, ScaleReason::WithinTolerance),
        (10, Some(0.55), 6, ScaleReason::Proportional),
        (10, Some(0.0), 1, ScaleReason::Bounded),
        (10, Some(99.0), 20, ScaleReason::Bounded),
        (7, None, 7, ScaleReason::NoReading),
        (7, Some(f64::NAN), 7, ScaleReason::NoReading),
        (0, Some(5.0), 1, ScaleReason::Bounded), // switched off by hand, but not allowed to be
    ];
    for (current, ratio, replicas, reason) in rows {
        let config = ReactiveConfig::new(1, 20).unwrap().with_rules(free(), free()).unwrap();
        let decision = Reactive::new(config).decide(current, ratio, at(0));
        assert_eq!(
            (decision.replicas, decision.reason),
            (replicas, reason),
            "{current} {ratio:?}"
        );
    }
    assert!(ReactiveConfig::new(3, 2).is_err() && ReactiveConfig::new(0, 0).is_err());
    let bad = ScalingRules {
        tolerance: f64::NAN,
        ..free()
    };
    assert!(ReactiveConfig::new(1, 2).unwrap().with_rules(bad, free()).is_err());
    let long = ScalingRules {
        stabilisation: secs(3601),
        ..free()
    };
    assert!(ReactiveConfig::new(1, 2).unwrap().with_rules(free(), long).is_err());
}

#[test]
fn up_is_limited_to_double_or_four_more_per_fifteen_seconds() {
    let mut scaler = Reactive::new(ReactiveConfig::new(1, 1000).unwrap());
    let mut path = vec![1];
    for second in 0..46 {
        let decision = scaler.decide(*path.last().unwrap(), Some(1000.0), at(second));
        if decision.replicas != *path.last().unwrap() {
            assert_eq!((second % 15, decision.reason), (0, ScaleReason::RateLimited));
            path.push(decision.replicas);
        }
    }
    assert_eq!(path, [1, 5, 10, 20, 40]);
}

#[test]
fn down_waits_for_the_stabilisation_window_and_takes_its_highest() {
    let mut scaler = Reactive::new(ReactiveConfig::new(1, 100).unwrap());
    let mut current = scaler.decide(10, Some(1.5), at(0)).replicas; // 15
    for second in (15..300).step_by(15) {
        let decision = scaler.decide(current, Some(0.2), at(second));
        assert_eq!(
            (decision.replicas, decision.reason),
            (15, ScaleReason::Stabilised),
            "{second}"
        );
        current = decision.replicas;
    }
    assert_eq!(scaler.decide(current, Some(0.2), at(300)).replicas, 3);
}

#[test]
fn limits_per_direction_and_selection() {
    let period = secs(60);
    let limits = vec![
        Limit::Replicas { count: 2, period },
        Limit::Percent { percent: 50, period },
    ];
    let with = |select| ScalingRules {
        limits: limits.clone(),
        select,
        ..free()
    };
    let rows = [(Select::Max, 15, 5), (Select::Min, 12, 8), (Select::Disabled, 10, 10)];
    for (select, up, down) in rows {
        let config = ReactiveConfig::new(1, 100)
            .unwrap()
            .with_rules(with(select), with(select))
            .unwrap();
        assert_eq!(
            Reactive::new(config.clone()).decide(10, Some(9.0), at(0)).replicas,
            up,
            "{select:?}"
        );
        assert_eq!(
            Reactive::new(config).decide(10, Some(0.1), at(0)).replicas,
            down,
            "{select:?}"
        );
    }
}

#[test]
fn a_forecast_raises_and_never_lowers() {
    let config = || ReactiveConfig::new(1, 50).unwrap().with_rules(free(), free()).unwrap();
    let decide = |floor| Reactive::new(config()).decide_at_least(10, Some(0.5), floor, at(0));
    assert_eq!((decide(12).replicas, decide(12).reason), (12, ScaleReason::Forecast));
    assert_eq!(decide(3).replicas, 5);
    assert_eq!(decide(99).replicas, 50);
    assert_eq!(predicted_floor(&[10.0, 25.0, f64::NAN], 10.0), Ok(3));
    assert_eq!(predicted_floor(&[], 10.0), Ok(0));
    assert!(predicted_floor(&[1.0], 0.0).is_err());
}

fn weighted_quantile(mut samples: Vec<(f64, f64)>, share: f64) -> f64 {
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = samples.iter().map(|s| s.1).sum();
    let mut sum = 0.0;
    samples
        .iter()
        .find(|s| {
            sum += s.1;
            sum >= share * total
        })
        .unwrap()
        .0
}

#[test]
fn percentiles_agree_with_sorting_and_old_samples_fade() {
    let half_life = secs(1000);
    let mut histogram = DecayingHistogram::new(HistogramConfig::new(0.01, 1e4, half_life).unwrap());
    assert_eq!(histogram.percentile(Ratio::ONE), None);
    let mut noise = Noise::new(3);
    let mut samples = Vec::new();
    for i in 0..3000_i64 {
        let used = noise.normal().exp() * if i < 2000 { 1.0 } else { 20.0 };
        histogram.add(used, 1.0, at(i)).unwrap();
        samples.push((used, 2.0_f64.powf(f64::from(i32::try_from(i - 3000).unwrap()) / 1000.0)));
    }
    for share in [0.1, 0.5, 0.9, 0.99] {
        let (found, exact) = (
            histogram.percentile(Ratio::new(share).unwrap()).unwrap(),
            weighted_quantile(samples.clone(), share),
        );
        assert!((1.0..=1.06).contains(&(found / exact)), "{share}: {found} {exact}");
    }
    // A century of half-lives later only the new counts, and nothing overflows.
    for i in 1..=1000_i64 {
        histogram.add(5.0, 1.0, at(3000 + i * 100_000)).unwrap();
    }
    let all = histogram.percentile(Ratio::new(0.001).unwrap()).unwrap();
    assert!((5.0..5.5).contains(&all), "{all}");
    for (value, weight) in [(-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        assert!(histogram.add(value, weight, at(0)).is_err());
    }
    for (first, largest) in [(0.0, 1.0), (2.0, 1.0), (1.0, f64::INFINITY), (1e-300, 1e300)] {
        assert!(
            HistogramConfig::new(first, largest, half_life).is_err(),
            "{first} {largest}"
        );
    }
}

#[test]
fn right_sizing_asks_for_what_is_used_and_learns_from_being_killed() {
    let scale = HistogramConfig::new(1e6, 1e12, secs(86_400)).unwrap();
    let mut memory = RightSizer::new(scale, Ratio::new(0.15).unwrap());
    assert_eq!(memory.recommend(1.0), None);
    (0..30).for_each(|day| memory.observe(1e9, at(86_400 * day)).unwrap());
    let calm = memory.recommend(1.15e9).unwrap();
    assert!(
        !calm.should_change && (1.15e9..1.25e9).contains(&calm.target),
        "{calm:?}"
    );
    (30..34).for_each(|day| memory.observe_out_of_memory(2e9, at(86_400 * day)).unwrap());
    let after = memory.recommend(1.15e9).unwrap();
    assert!(after.should_change && after.target > 2.4e9, "{after:?}");
    let text = serde_json::to_string(&memory).unwrap();
    assert_eq!(serde_json::from_str::<RightSizer>(&text).unwrap(), memory);
}

#[test]
fn a_replay_counts_what_waits_what_is_late_and_what_is_paid() {
    // One replica serves 10 a step; 3 steps of 20 leave 30 waiting, served by step 5.
    let config = ReplayConfig::new(secs(10), secs(20), 10.0).unwrap();
    let load = [20.0, 20.0, 20.0, 0.0, 0.0, 0.0, 0.0];
    let outcome = replay(&config, &load, |_| 1).unwrap();
    // Served in order: step 1 serves the rest of step 0, which waited one step: in time. Step 2 and 3 serve what came in
    // step 1 (late from step 3 on: two steps), and so on: 10 of step 1 and 20 of step 2 are late.
    assert!((outcome.violated - 30.0 / 60.0).abs() < 1e-12, "{outcome:?}");
    assert_eq!((outcome.steps_violated, outcome.changes), (3, 0));
    assert!((outcome.replica_hours - 70.0 / 3600.0).abs() < 1e-12);
    // One more asked for after step 0 starts for two steps, is paid at once and serves from step 3 on.
    let outcome = replay(&config, &load, |seen| {
        assert_eq!(seen.ready, if seen.now >= at(40) { 2 } else { 1 });
        2
    })
    .unwrap();
    assert!((outcome.replica_hours - 130.0 / 3600.0).abs() < 1e-12, "{outcome:?}");
    assert!(replay(&config, &[f64::NAN], |_| 1).is_err() && ReplayConfig::new(secs(0), secs(1), 1.0).is_err());
    // None at all: everything is late.
    let outcome = replay(&config, &load, |_| 0).unwrap();
    assert!(outcome.violated > 0.6, "{outcome:?}");
}

#[test]
fn the_clairvoyant_is_never_late_and_no_rule_without_violations_is_cheaper() {
    let mut noise = Noise::new(5);
    for start_up in [0, 10, 40, 200] {
        let load: Vec<f64> = (0..500)
            .map(|i| 50.0 + 40.0 * (real(i) / 20.0).sin() + 5.0 * noise.normal().abs())
            .collect();
        let mut config = ReplayConfig::new(secs(10), secs(start_up), 10.0).unwrap();
        config.replicas = 20;
        let plan = clairvoyant(&config, &load, 1.0, 1, 100).unwrap();
        let mut step = 0;
        let best = replay(&config, &load, |_| {
            step += 1;
            plan[step - 1]
        })
        .unwrap();
        assert_eq!(best.steps_violated, 0);
        let peak = replay(&config, &load, |_| 20).unwrap();
        assert!(best.replica_hours < peak.replica_hours);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is measured: within the bounds, never down without a reading, no change inside the tolerance on a fresh
    /// scaler, never faster than the limits, and a saved scaler decides the same.
    #[test]
    fn decisions_keep_their_promises(
        readings in prop::collection::vec(prop_oneof![3 => (0.0..4.0_f64).prop_map(Some), 1 => Just(None)], 1..60),
        start in 1..40_u32,
        cut in 0..60_usize,
    ) {
        let mut scaler = Reactive::new(ReactiveConfig::new(2, 30).unwrap());
        let mut current = start;
        let mut path = Vec::new();
        for (i, ratio) in readings.into_iter().enumerate() {
            let now = at(5 * i64::try_from(i).unwrap());
            if i == cut {
                scaler = serde_json::from_str(&serde_json::to_string(&scaler).unwrap()).unwrap();
            }
            let decision = scaler.decide(current, ratio, now);
            prop_assert!((2..=30).contains(&decision.replicas));
            if ratio.is_none() {
                prop_assert!(decision.replicas >= current.min(30));
            }
            path.push(current);
            // Double or four more than fifteen seconds (three decisions) ago, whichever is more.
            let before = path[path.len().saturating_sub(3)].max(2);
            prop_assert!(decision.replicas <= (2 * before).max(before + 4).max(current), "{:?} {}", path, decision.replicas);
            current = decision.replicas;
        }
    }

    /// Load and capacity in another unit change nothing.
    #[test]
    fn a_replay_does_not_depend_on_the_unit(load in prop::collection::vec(0.0..100.0_f64, 1..80), power in -20..20_i32) {
        let unit = 2.0_f64.powi(power);
        let config = |unit: f64| ReplayConfig::new(secs(10), secs(25), 12.0 * unit).unwrap();
        let scaled: Vec<f64> = load.iter().map(|l| l * unit).collect();
        let rule = |seen: skyloom_analytics::scale::Observation| (seen.utilisation * f64::from(seen.ready)).ceil().clamp(1.0, 9.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 9")]
        let run = |load: &[f64], unit| replay(&config(unit), load, |seen| rule(seen) as u32).unwrap();
        let (plain, scaled) = (run(&load, 1.0), run(&scaled, unit));
        prop_assert!(plain.violated >= 0.0 && plain.violated <= 1.0);
        prop_assert!((plain.violated - scaled.violated).abs() < 1e-9);
        prop_assert!((plain.replica_hours - scaled.replica_hours).abs() < 1e-9);
    }
}
