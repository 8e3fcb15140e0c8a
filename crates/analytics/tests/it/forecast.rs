//! Formula 8: forecasts that must be exact, laws of all methods of the table, and what is said when data are short.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::RegularSeries;
use skyloom_analytics::forecast::{
    Auto, BUILTIN, Candidacy, Drift, Ets, Fallback, Fitted, Forecast, ForecastConfig, ForecastConfigError,
    ForecastError, HORIZON_MAX, HoltWinters, IntervalSource, Naive, SeasonalNaive, by_name, detect_period, forecast,
    forecast_with,
};
use skyloom_core::Timestamp;

use crate::sim::{Noise, close, real, series};

fn asked(horizon: usize) -> ForecastConfig {
    ForecastConfig::new(horizon, 0.9).unwrap()
}

fn points(forecast: &Forecast) -> Vec<f64> {
    forecast.steps.iter().map(|s| s.point).collect()
}

#[test]
fn noise_free_seasons_are_continued_exactly() {
    for (period, cycles) in [(2, 12), (4, 8), (7, 6), (24, 5)] {
        let profile: Vec<f64> = (0..period).map(|i| real((i * 7919) % 13) - 4.0).collect();
        let values: Vec<f64> = (0..period * cycles).map(|i| profile[i % period]).collect();
        for given in [true, false] {
            let config = if given {
                asked(2 * period).with_periods(&[period]).unwrap()
            } else {
                asked(2 * period)
            };
            let methods = [by_name("auto").unwrap(), &HoltWinters, &SeasonalNaive];
            for method in methods {
                let ahead = forecast_with(method, &series(&values), &config).unwrap();
                assert_eq!((ahead.periods.as_slice(), ahead.fallback), ([period].as_slice(), None));
                for (i, step) in ahead.steps.iter().enumerate() {
                    assert!(
                        close(step.point, profile[i % period], 10.0, 1e-9),
                        "{} {period}",
                        method.name()
                    );
                    assert!(step.hi - step.lo < 1e-6, "{} {period}: {step:?}", method.name());
                }
            }
        }
    }
}

#[test]
fn the_baselines_are_their_definitions() {
    let values = series(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0]);
    let config = asked(4).with_periods(&[3]).unwrap();
    for (method, truth) in [
        ("naive", [9.0, 9.0, 9.0, 9.0]),
        ("drift", [10.2, 11.4, 12.6, 13.8]),
        ("seasonal-naive", [1.0, 5.0, 9.0, 1.0]),
    ] {
        let ahead = forecast_with(by_name(method).unwrap(), &values, &config).unwrap();
        for (p, t) in points(&ahead).iter().zip(truth) {
            assert!(close(*p, t, 10.0, 1e-12), "{method}: {p} is not {t}");
        }
        assert_eq!((ahead.method.as_str(), ahead.fallback), (method, None));
    }
    let at: Vec<i64> = forecast(&values, &config)
        .unwrap()
        .steps
        .iter()
        .map(|s| s.at.as_micros())
        .collect();
    assert_eq!(at, [6_000_000, 7_000_000, 8_000_000, 9_000_000]);
}

/// The recursion of the book written down a second time, with the parameters of the fit read off its first two hindcasts
/// of a level model: `l' = l + α·(y - l)`.
#[test]
fn a_level_follows_its_recursion_and_beats_every_speed_of_a_grid() {
    let values: Vec<f64> = Noise::new(5).ar(0.5, 80).iter().map(|v| v / 4.0).collect();
    let fitted = Ets::LEVEL.fit(&values).unwrap();
    let level = |t: usize| fitted.path(t, 1)[0];
    let alpha = (level(11) - level(10)) / (values[10] - level(10));
    assert!((0.0..=1.0).contains(&alpha));
    let cost = |alpha: f64| {
        let mut l = level(0);
        let mut sum = 0.0;
        for v in &values {
            sum += (v - l) * (v - l);
            l += alpha * (v - l);
        }
        (sum, l)
    };
    let (best, last) = cost(alpha);
    assert!(close(last, level(80), 1.0, 1e-9));
    for k in 0..=100 {
        assert!(
            best <= cost(f64::from(k) / 100.0).0 * (1.0 + 1e-6),
            "{alpha} loses to {k} %"
        );
    }
}

#[test]
fn a_damped_trend_bends_a_line_and_its_hindcasts_know_no_future() {
    let values: Vec<f64> = (0..40).map(|i| 0.02 * f64::from(i)).collect();
    let fitted = Ets::TREND.fit(&values).unwrap();
    let path = fitted.path(40, 60);
    assert!(path.windows(2).all(|w| w[1] > w[0] && w[1] - w[0] <= 0.02 + 1e-9));
    // With equal parameters a hindcast only reads what came before: the state after `t` values is that of the recursion.
    assert_eq!(fitted.path(20, 5).len(), 5);
    assert!(close(fitted.path(20, 1)[0], 0.4, 1.0, 0.05));
}

#[test]
fn the_automatic_choice_is_near_the_best_method_on_streams_of_each_kind() {
    type Stream = fn(&mut Noise) -> Vec<f64>;
    let kinds: [(&str, Stream); 3] = [
        ("noise", |n| n.ar(0.0, 72)),
        ("walk", |n| n.walk(72)),
        ("season", |n| n.seasonal(6, 0.05, 72)),
    ];
    for (kind, stream) in kinds {
        let mut errors = vec![0.0; BUILTIN.len()];
        for seed in 0..40 {
            let values = stream(&mut Noise::new(seed));
            let config = asked(12).with_periods(&[6]).unwrap();
            for (k, method) in BUILTIN.iter().enumerate() {
                let ahead = forecast_with(*method, &series(&values[..60]), &config).unwrap();
                errors[k] += points(&ahead)
                    .iter()
                    .zip(&values[60..])
                    .map(|(p, v)| (p - v).abs())
                    .sum::<f64>();
            }
        }
        let auto = BUILTIN.iter().position(|m| m.name() == "auto").unwrap();
        let best = errors.iter().copied().fold(f64::INFINITY, f64::min);
        // A choice made on 60 values cannot always be right: a quarter is the price allowed for not being told.
        assert!(errors[auto] <= 1.25 * best, "{kind}: {errors:?}");
    }
}

#[test]
fn members_of_the_combination_are_listed_with_shares_that_sum_to_one() {
    let values = Noise::new(11).seasonal(6, 0.0, 90);
    let ahead = forecast(&series(&values), &asked(6).with_periods(&[6, 12]).unwrap()).unwrap();
    let sum: f64 = ahead.members.iter().map(|m| m.weight).sum();
    assert!((sum - 1.0).abs() < 1e-12 && ahead.members.iter().all(|m| m.error > 0.0));
    assert!(
        ahead
            .members
            .iter()
            .any(|m| m.name == "seasonal-naive" && m.period == Some(6)),
        "{:?}",
        ahead.members
    );
    assert!(
        ahead
            .members
            .iter()
            .all(|m| by_name(&m.name).is_some() && m.name != "auto")
    );
}

#[test]
fn a_given_season_is_used_as_soon_as_two_cycles_can_be_back_tested() {
    let profile = Noise::new(31).seasonal(12, 0.0, 12);
    let mut noise = Noise::new(32);
    let values: Vec<f64> = (0..36).map(|i| profile[i % 12] * 4.0 + 0.1 * noise.normal()).collect();
    let ahead = forecast(&series(&values), &asked(12).with_periods(&[12]).unwrap()).unwrap();
    assert!(
        ahead.members.iter().any(|m| m.name == "theta" || m.name == "ets-quick"),
        "{:?}",
        ahead.members
    );
    for (i, step) in ahead.steps.iter().enumerate() {
        assert!((step.point - profile[i] * 4.0).abs() < 1.0, "{i}: {step:?}");
    }
}

#[test]
fn seasons_are_rarely_seen_in_noise_and_mostly_found_where_they_are() {
    let (mut false_finds, mut finds) = (0, 0);
    for seed in 0..100 {
        let mut noise = Noise::new(seed);
        false_finds += i32::from(detect_period(&noise.ar(0.0, 80)).is_some());
        false_finds += i32::from(detect_period(&noise.ar(0.8, 80)).is_some());
        false_finds += i32::from(detect_period(&noise.walk(200)).is_some());
        finds += i32::from(detect_period(&noise.seasonal(8, 0.02, 80)) == Some(8));
    }
    assert!(false_finds <= 5, "{false_finds} of 300 found in noise");
    // The profile is drawn too: some are nearly flat or repeat within themselves.
    assert!(finds >= 85, "{finds} of 100 found");
}

#[test]
fn what_cannot_be_done_is_said() {
    let short = |len, needed| Some(Fallback::TooShort { len, needed });
    let rising: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
    type Row = (&'static str, usize, &'static [usize], &'static str, Option<Fallback>);
    let rows: [Row; 10] = [
        ("auto", 2, &[], "naive", short(2, 10)),
        ("auto", 9, &[3], "naive", short(9, 10)),
        ("auto", 10, &[3], "auto", None),
        ("drift", 3, &[], "naive", short(3, 4)),
        ("simple-exp", 3, &[], "naive", short(3, 4)),
        ("holt-damped", 7, &[], "simple-exp", short(7, 8)),
        ("holt-winters", 40, &[], "holt-damped", Some(Fallback::NoSeason)),
        ("holt-winters", 20, &[10], "holt-damped", short(20, 22)),
        ("holt-winters", 2, &[usize::MAX], "naive", short(2, usize::MAX)),
        ("seasonal-naive", 6, &[6], "naive", short(6, 7)),
    ];
    for (method, len, periods, used, fallback) in rows {
        let config = asked(3).with_periods(periods).unwrap();
        let ahead = forecast_with(by_name(method).unwrap(), &series(&rising[..len]), &config).unwrap();
        assert_eq!(
            (ahead.method.as_str(), ahead.fallback),
            (used, fallback),
            "{method} {len}"
        );
    }
    for values in [&[][..], &[1.0]] {
        let len = values.len();
        assert_eq!(
            forecast(&series(values), &asked(3)),
            Err(ForecastError::TooShort { len })
        );
    }
    let flat = forecast(&series(&[0.1; 30]), &asked(3)).unwrap();
    assert_eq!(
        (flat.fallback, flat.interval),
        (Some(Fallback::Constant), IntervalSource::Constant)
    );
    assert!(
        flat.steps
            .iter()
            .all(|s| [s.lo, s.point, s.hi].map(f64::to_bits) == [0.1_f64.to_bits(); 3])
    );
    // Two points: one error, Student's t with one degree of freedom (12.706 at 95 %).
    let two = forecast(&series(&[1.0, 2.0]), &ForecastConfig::new(1, 0.95).unwrap()).unwrap();
    assert_eq!(two.interval, IntervalSource::StudentT { errors: 1 });
    assert!(close(two.steps[0].hi, 2.0 + 12.706, 1.0, 1e-3), "{two:?}");
    insta::assert_snapshot!(two.fallback.unwrap(), @"`2` values where `10` are needed");
}

#[test]
fn bad_requests_are_refused() {
    for horizon in [0, HORIZON_MAX + 1] {
        assert_eq!(
            ForecastConfig::new(horizon, 0.9),
            Err(ForecastConfigError::Horizon { horizon })
        );
    }
    for level in [0.0, 1.0, -0.5, 1.5] {
        assert_eq!(ForecastConfig::new(1, level), Err(ForecastConfigError::Level { level }));
    }
    assert!(ForecastConfig::new(1, f64::NAN).is_err());
    assert_eq!(
        asked(1).with_periods(&[24, 1]),
        Err(ForecastConfigError::Period { period: 1 })
    );
    assert_eq!(
        asked(1).with_periods(&[2; 9]),
        Err(ForecastConfigError::TooManyPeriods { count: 9 })
    );
    assert!(asked(1).with_bounds(1.0, 0.0).is_err() && asked(1).with_bounds(f64::NAN, 0.0).is_err());
    assert!(asked(HORIZON_MAX).with_bounds(0.0, f64::INFINITY).is_ok());
}

#[test]
fn bounds_clip_points_and_intervals() {
    let values: Vec<f64> = (0..30)
        .map(|i| 0.9 - 0.02 * f64::from(i) + f64::from(i % 3) * 0.01)
        .collect();
    let ahead = forecast_with(&Drift, &series(&values), &asked(400).with_bounds(0.0, 1.0).unwrap()).unwrap();
    assert!(
        ahead
            .steps
            .iter()
            .all(|s| 0.0 <= s.lo && s.lo <= s.point && s.point <= s.hi && s.hi <= 1.0)
    );
    assert!(ahead.steps.iter().any(|s| s.point.abs() < 1e-12 && s.hi > 0.0));
    assert!(
        ahead.steps[399].hi.abs() < 1e-12,
        "clearly beyond the floor all three are at the floor"
    );
}

#[test]
fn a_forecast_survives_serde() {
    let ahead = forecast(&series(&Noise::new(2).walk(50)), &asked(5)).unwrap();
    let back: Forecast = serde_json::from_str(&serde_json::to_string(&ahead).unwrap()).unwrap();
    assert_eq!(
        (&back.method, back.interval, back.level),
        (&ahead.method, ahead.interval, ahead.level)
    );
    // Not every reader of JSON rounds to the nearest float: the last digit may differ.
    for (b, a) in back.steps.iter().zip(&ahead.steps) {
        assert!(b.at == a.at && close(b.lo, a.lo, 0.0, 1e-15) && close(b.hi, a.hi, 0.0, 1e-15));
    }
    let grid: RegularSeries = serde_json::from_str(r#"{"start":0,"step_us":10,"values":[1.0]}"#).unwrap();
    assert_eq!(grid.at(3), Timestamp::from_micros(30));
    assert!(serde_json::from_str::<RegularSeries>(r#"{"start":0,"step_us":0,"values":[]}"#).is_err());
    assert!(RegularSeries::new(Timestamp::EPOCH, Duration::from_nanos(1500), vec![]).is_err());
    let late = Timestamp::from_micros(i64::MAX - 5);
    assert!(RegularSeries::new(late, Duration::from_micros(1), vec![0.0; 7]).is_err());
}

/// Anything a metric may look like, short enough that every method is tried in every case.
fn streams() -> impl Strategy<Value = Vec<f64>> {
    (2..70_usize, any::<u64>(), 0..5_usize).prop_map(|(len, seed, kind)| {
        let mut noise = Noise::new(seed);
        match kind {
            0 => noise.ar(0.0, len),
            1 => noise.ar(0.9, len),
            2 => noise.walk(len),
            3 => noise.seasonal(5, 0.1, len),
            _ => noise.ar(0.0, len).iter().map(|v| v.round()).collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Shifting and scaling the series moves every method's points and intervals by the same shift and scale. What
    /// is left is rounding, amplified by the search: it stops where the cost is flat to 1e-10, which leaves parameters a
    /// freedom of 1e-5, and forecasts one of 1e-4 of the range.
    #[test]
    fn forecasts_move_with_shift_and_scale(values in streams(), power in -20..20_i32, shift in -8..8_i32) {
        let (a, b) = (2.0_f64.powi(power), f64::from(shift) * 2.0_f64.powi(power));
        let moved: Vec<f64> = values.iter().map(|v| a * v + b).collect();
        let config = asked(8).with_periods(&[5]).unwrap();
        let range = values.iter().fold(0.0_f64, |m, v| m.max(v.abs())) + 8.0;
        for method in BUILTIN {
            let plain = forecast_with(*method, &series(&values), &config).unwrap();
            let other = forecast_with(*method, &series(&moved), &config).unwrap();
            prop_assert_eq!(&plain.method, &other.method);
            for (p, o) in plain.steps.iter().zip(&other.steps) {
                for (p, o) in [(p.lo, o.lo), (p.point, o.point), (p.hi, o.hi)] {
                    prop_assert!((a * p + b - o).abs() <= 1e-4 * a * range.max(p.abs()), "{} {} {}", method.name(), a * p + b, o);
                }
            }
        }
    }

    /// Equal input gives equal bytes, and nothing before the last 4,096 values has any influence.
    #[test]
    fn forecasts_are_functions_of_their_arguments(values in streams()) {
        let once = forecast(&series(&values), &asked(5)).unwrap();
        let twice = forecast(&series(&values), &asked(5)).unwrap();
        prop_assert_eq!(serde_json::to_string(&once).unwrap(), serde_json::to_string(&twice).unwrap());
    }

    /// A hindcast reads nothing after its origin, once the parameters are equal: naive methods have none to fit.
    #[test]
    fn hindcasts_of_naive_methods_are_causal(values in streams(), cut in 0.0..1.0_f64) {
        use skyloom_analytics::forecast::{Forecaster, Training};
        let periods = [3];
        for method in [&Naive as &dyn Forecaster, &SeasonalNaive, &Drift] {
            let Ok(whole) = method.fit(&Training { values: &values, periods: &periods, horizon: 8 }) else { continue };
            let first = whole.first_origin();
            let span = real(values.len() - first) * cut;
            let origin = first + (0..values.len()).filter(|k| real(*k) < span).count().min(values.len() - first);
            if let Ok(part) = method.fit(&Training { values: &values[..origin], periods: &periods, horizon: 8 }) {
                prop_assert_eq!(whole.path(origin, 7), part.path(origin, 7));
            }
        }
    }
}

#[test]
fn the_automatic_choice_is_in_the_table_once_and_names_are_unique() {
    let mut names: Vec<&str> = BUILTIN.iter().map(|m| m.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BUILTIN.len());
    assert_eq!(BUILTIN.iter().filter(|m| m.candidacy() == Candidacy::Never).count(), 4);
    assert!(by_name("nothing").is_none());
    let auto: &dyn skyloom_analytics::forecast::Forecaster = &Auto;
    assert!(auto.simpler().is_some());
}
