//! Time to exhaustion: exact on lines, honest on noise.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::forecast::Level;
use skyloom_analytics::warn::{Limit, WarnError, time_to_exhaustion};
use skyloom_core::Timestamp;

use crate::sim::{Noise, real, series};

const HOUR: Duration = Duration::from_secs(3600);

fn level() -> Level {
    Level::new(0.9).unwrap()
}

#[test]
fn a_clean_line_meets_its_limit_where_it_must_in_both_directions() {
    let up: Vec<f64> = (0..50).map(|i| 10.0 + 0.5 * f64::from(i)).collect();
    let down: Vec<f64> = up.iter().map(|v| 100.0 - v).collect();
    for (values, limit) in [(up, Limit::Above(60.0)), (down, Limit::Below(40.0))] {
        let end = time_to_exhaustion(&series(&values), limit, HOUR, level()).unwrap();
        for at in [end.earliest, end.expected, end.latest] {
            let off = (at.unwrap().as_micros() - 100_000_000).abs();
            assert!(off < 1000, "{end:?}");
        }
        assert!(end.probability.get() > 0.999_999);
        assert!((end.approach_per_sec - 0.5).abs() < 1e-9);
    }
}

#[test]
fn the_probability_is_calibrated_on_noisy_lines() {
    // Limit at the true line's end: half of the futures are above it. 400 seeds: a standard error of 0.025, times three,
    // and the probability is itself an estimate.
    let horizon = 30;
    let (mut stated, mut happened, mut inside) = (0.0, 0.0, 0.0);
    for seed in 0..400 {
        let mut noise = Noise::new(seed);
        let mut at = |i: usize| 0.1 * real(i) + noise.normal();
        let values: Vec<f64> = (0..60).map(&mut at).collect();
        let future = at(59 + horizon);
        let limit = 0.1 * real(59 + horizon);
        if values[59] >= limit {
            continue;
        }
        let ahead = Duration::from_secs(u64::try_from(horizon).unwrap());
        let end = time_to_exhaustion(&series(&values), Limit::Above(limit), ahead, level()).unwrap();
        stated += end.probability.get();
        happened += f64::from(u8::from(future >= limit));
        inside += 1.0;
        assert!(end.earliest.is_none_or(|e| end.expected.is_none_or(|x| e <= x)));
    }
    assert!(
        inside > 300.0 && (stated / inside - happened / inside).abs() < 0.1,
        "{stated} {happened} {inside}"
    );
}

#[test]
fn receding_flat_and_exhausted_series_have_their_answers() {
    let falling: Vec<f64> = (0..30).map(|i| 50.0 - f64::from(i)).collect();
    let end = time_to_exhaustion(&series(&falling), Limit::Above(60.0), HOUR, level()).unwrap();
    assert_eq!((end.earliest, end.expected, end.latest), (None, None, None));
    assert!(end.probability.get() < 1e-6 && end.approach_per_sec < 0.0);
    let end = time_to_exhaustion(&series(&[5.0; 30]), Limit::Above(6.0), HOUR, level()).unwrap();
    assert!(end.expected.is_none() && end.probability.get() < 1e-9, "{end:?}");
    let end = time_to_exhaustion(&series(&[5.0, 5.0, 5.0, 6.0]), Limit::Above(6.0), HOUR, level()).unwrap();
    assert_eq!(
        (end.latest, end.probability.get().to_bits()),
        (Some(Timestamp::from_secs(3)), 1.0_f64.to_bits())
    );
    let flat = series(&[5.0; 3]);
    assert_eq!(
        time_to_exhaustion(&flat, Limit::Above(6.0), HOUR, level()),
        Err(WarnError::TooShort { len: 3 })
    );
    let four = series(&[5.0; 4]);
    assert_eq!(
        time_to_exhaustion(&four, Limit::Above(6.0), Duration::ZERO, level()),
        Err(WarnError::Horizon)
    );
    let limit = f64::INFINITY;
    assert_eq!(
        time_to_exhaustion(&four, Limit::Below(limit), HOUR, level()),
        Err(WarnError::Limit { limit })
    );
    assert!(time_to_exhaustion(&four, Limit::Above(f64::NAN), HOUR, level()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any values and any limit: no panic, a probability, times within the horizon and in order.
    #[test]
    fn answers_are_in_order(
        values in prop::collection::vec(prop_oneof![-1e3..1e3, -1e308..1e308, Just(1.0)], 4..40),
        limit in prop_oneof![-1e3..1e3, -1e308..1e308],
        above in any::<bool>(),
        seconds in 1..1_000_000_u64,
    ) {
        let limit = if above { Limit::Above(limit) } else { Limit::Below(limit) };
        let ahead = Duration::from_secs(seconds);
        let end = time_to_exhaustion(&series(&values), limit, ahead, level()).unwrap();
        let now = series(&values).at(values.len() - 1);
        prop_assert!(end.approach_per_sec.is_finite());
        let last = now.saturating_add(ahead + Duration::from_micros(1));
        for at in [end.earliest, end.expected, end.latest].into_iter().flatten() {
            prop_assert!(now <= at && at <= last);
        }
        if let (Some(earliest), Some(expected)) = (end.earliest, end.expected) {
            prop_assert!(earliest <= expected);
        }
        if let (Some(expected), Some(latest)) = (end.expected, end.latest) {
            prop_assert!(expected <= latest);
        }
    }
}
