//! Everything a series can do wrong, through every forecasting method: a typed error or a stated fallback, no panic, and
//! no NaN.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::forecast::{BUILTIN, ForecastConfig, forecast, forecast_with};
use skyloom_analytics::{RegularSeries, RegularSeriesError};
use skyloom_core::Timestamp;

use crate::sim::{Noise, series};

fn assert_sane(values: &[f64], config: &ForecastConfig) {
    for method in BUILTIN {
        let Ok(ahead) = forecast_with(*method, &series(values), config) else {
            assert!(values.len() < 2);
            continue;
        };
        assert_eq!(ahead.steps.len(), config.horizon());
        for s in &ahead.steps {
            let name = method.name();
            assert!(
                s.lo.is_finite() && s.point.is_finite() && s.hi.is_finite(),
                "{name}: {s:?}"
            );
            assert!(s.lo <= s.point && s.point <= s.hi, "{name}: {s:?}");
        }
    }
}

#[test]
fn values_that_are_not_finite_do_not_get_in() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = RegularSeries::new(Timestamp::EPOCH, Duration::from_secs(1), vec![1.0, bad]);
        assert_eq!(refused, Err(RegularSeriesError::NotFinite { index: 1 }));
    }
}

#[test]
fn extreme_series_give_finite_forecasts() {
    let huge: Vec<f64> = (0..40_i32).map(|i| 1e300 * f64::from(i % 7 - 3)).collect();
    let largest: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { f64::MAX } else { -f64::MAX }).collect();
    let tiny: Vec<f64> = (0..40_i32).map(|i| f64::MIN_POSITIVE * f64::from(i)).collect();
    let subnormal: Vec<f64> = (0..40_i32).map(|i| 5e-324 * f64::from(i % 3)).collect();
    let offset: Vec<f64> = (0..40_i32).map(|i| 1e15 + f64::from(i % 5)).collect();
    let mut step = vec![0.0; 20];
    step.extend([1e300; 20]);
    let mut one_odd = vec![1.0; 60];
    one_odd[30] = 2.0;
    let rows: [&[f64]; 11] = [
        &[],
        &[1.0],
        &[1.0, 2.0],
        &[0.0; 3],
        &huge,
        &largest,
        &tiny,
        &subnormal,
        &offset,
        &step,
        &one_odd,
    ];
    for values in rows {
        for periods in [&[][..], &[2], &[7, 12]] {
            for level in [0.01, 0.95, 0.999_999] {
                assert_sane(
                    values,
                    &ForecastConfig::new(30, level).unwrap().with_periods(periods).unwrap(),
                );
            }
            assert_sane(values, &ForecastConfig::new(3, 0.9).unwrap());
        }
    }
}

#[test]
fn ten_thousand_points_are_forecast_and_only_the_last_4096_count() {
    let mut values = Noise::new(3).seasonal(24, 0.01, 10_000);
    let config = ForecastConfig::new(48, 0.95).unwrap().with_periods(&[24]).unwrap();
    let ahead = forecast(&series(&values), &config).unwrap();
    assert_eq!(ahead.fallback, None);
    let now = values[9_952..].iter().sum::<f64>() / 48.0;
    let then = ahead.steps.iter().map(|s| s.point).sum::<f64>() / 48.0;
    assert!((now - then).abs() < 2.0, "{now} {then}");
    for v in &mut values[..10_000 - 4096] {
        *v = -1e9;
    }
    assert_eq!(forecast(&series(&values), &config).unwrap(), ahead);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any finite values, any period, any level.
    #[test]
    fn any_series_is_forecast_sanely(
        values in prop::collection::vec(
            prop_oneof![4 => -1.0..1.0_f64, 2 => Just(0.0), 1 => -1e300..1e300_f64, 1 => Just(f64::MAX), 1 => Just(1e-310)],
            0..60,
        ),
        period in 2..40_usize,
        level in 0.001..0.999_f64,
        horizon in 1..40_usize,
    ) {
        let config = ForecastConfig::new(horizon, level).unwrap();
        assert_sane(&values, &config);
        assert_sane(&values, &config.with_periods(&[period]).unwrap());
    }
}
