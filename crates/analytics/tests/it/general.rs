//! The automatic choices on families of series that no setting was made for one of: never much worse than the seasonal
//! naive method, better in the mean.

use skyloom_analytics::forecast::{
    Auto, Ets, Fast, Fitted, ForecastConfig, Forecaster, Season, SeasonalNaive, Trend, by_name, detect_periods,
    forecast_with, score,
};

use crate::sim::{Noise, close, real, series};

type Stream = fn(&mut Noise, usize) -> Vec<f64>;

/// Name, periods, history, horizon, generator.
const FAMILIES: &[(&str, &[usize], usize, usize, Stream)] = &[
    ("ten points", &[], 10, 4, |n, len| n.ar(0.5, len)),
    ("monthly", &[12], 60, 12, |n, len| n.seasonal(12, 0.05, len)),
    ("growing swings", &[12], 84, 12, |n, len| {
        let swing: Vec<f64> = (0..12).map(|_| 0.2 * n.normal()).collect();
        (0..len)
            .map(|t| (3.0 + 0.01 * real(t) + swing[t % 12] + 0.03 * n.normal()).exp())
            .collect()
    }),
    ("week of days", &[7], 120, 14, |n, len| n.seasonal(7, 0.0, len)),
    ("first seasons", &[7], 18, 7, |n, len| n.seasonal(7, 0.0, len)),
    ("intermittent", &[7], 90, 14, |n, len| {
        (0..len)
            .map(|_| {
                if n.uniform() < 0.2 {
                    (1.0 + 3.0 * n.uniform()).floor()
                } else {
                    0.0
                }
            })
            .collect()
    }),
    ("negative", &[24], 120, 24, |n, len| {
        n.seasonal(24, 0.0, len).iter().map(|v| v - 50.0).collect()
    }),
    ("no season where one was said", &[12], 100, 12, |n, len| n.ar(0.8, len)),
    ("two seasons", &[8, 56], 300, 16, |n, len| {
        let (day, week) = (n.seasonal(8, 0.0, 8), n.seasonal(7, 0.0, 7));
        (0..len)
            .map(|t| day[t % 8] + week[t / 8 % 7] + 0.5 * n.normal())
            .collect()
    }),
];

#[test]
fn no_family_is_much_worse_than_seasonal_naive_and_the_mean_is_better() {
    let methods: [&dyn Forecaster; 3] = [&SeasonalNaive, &Fast, &Auto];
    let mut gain = [0.0; 3];
    for (name, periods, len, horizon, stream) in FAMILIES {
        let mut errors = [0.0; 3];
        for seed in 0..6 {
            let values = stream(&mut Noise::new(500 + seed), len + horizon);
            let config = ForecastConfig::new(*horizon, 0.9)
                .unwrap()
                .with_periods(periods)
                .unwrap();
            for (error, method) in errors.iter_mut().zip(methods) {
                let ahead = forecast_with(method, &series(&values[..*len]), &config).unwrap();
                let points: Vec<f64> = ahead.steps.iter().map(|s| s.point).collect();
                *error += score::mean_absolute_error(&values[*len..], &points);
            }
        }
        for (k, error) in errors.iter().enumerate() {
            assert!(
                *error <= 1.1 * errors[0],
                "{name}: {} has {errors:?}",
                methods[k].name()
            );
            gain[k] += (error / errors[0]).ln() / real(FAMILIES.len());
        }
    }
    assert!(gain[1].exp() < 0.85 && gain[2].exp() < 0.83, "{gain:?}");
}

/// Without noise a model must find the truth that is of its own form.
#[test]
fn seasonal_smoothing_continues_what_is_of_its_form() {
    let index = [1.3, 0.7, 1.1, 0.9];
    let grows: Vec<f64> = (0..48).map(|t| (1.0 + 0.02 * real(t)) * index[t % 4] - 1.5).collect();
    let fitted = Ets::new(Trend::Straight, Season::Multiplicative(4))
        .fit(&grows[..40])
        .unwrap();
    for (point, truth) in fitted.path(40, 8).iter().zip(&grows[40..]) {
        assert!(close(*point, *truth, 1.0, 0.05), "{point} {truth}");
    }
    let adds: Vec<f64> = (0..48).map(|t| 0.02 * real(t) + index[t % 4] - 1.5).collect();
    for method in ["ets", "theta", "mstl"] {
        let config = ForecastConfig::new(8, 0.9).unwrap().with_periods(&[4]).unwrap();
        let ahead = forecast_with(by_name(method).unwrap(), &series(&adds[..40]), &config).unwrap();
        for (step, truth) in ahead.steps.iter().zip(&adds[40..]) {
            // Theta halves the slope and damping bends it: an eighth of the range over eight steps.
            assert!((step.point - truth).abs() < 0.2, "{method}: {step:?} {truth}");
        }
    }
}

/// An autoregression finds the coefficients that made the series: its forecasts are the true conditional means, nearly.
#[test]
fn an_autoregression_forecasts_the_conditional_mean() {
    let mut noise = Noise::new(77);
    let (mut a, mut b) = (0.0, 0.0);
    let values: Vec<f64> = (0..1500)
        .map(|_| {
            (a, b) = (1.2 * a - 0.5 * b + noise.normal(), a);
            a
        })
        .collect();
    let config = ForecastConfig::new(3, 0.9).unwrap().with_periods(&[]).unwrap();
    let ahead = forecast_with(by_name("lagged").unwrap(), &series(&values), &config).unwrap();
    let (mut x, mut y) = (values[1499], values[1498]);
    for step in &ahead.steps {
        (x, y) = (1.2 * x - 0.5 * y, x);
        assert!((step.point - x).abs() < 0.5, "{step:?} {x}");
    }
}

#[test]
fn several_seasons_are_found_and_none_in_noise() {
    let mut noise = Noise::new(3);
    let day: Vec<f64> = (0..24)
        .map(|h| (real(h) / 24.0 * std::f64::consts::TAU).sin() * 6.0)
        .collect();
    let hourly: Vec<f64> = (0..24 * 7 * 5)
        .map(|t| day[t % 24] + if t / 24 % 7 < 5 { 3.0 } else { 0.0 } + 0.5 * noise.normal())
        .collect();
    assert_eq!(detect_periods(&hourly), [24, 168]);
    assert!(detect_periods(&noise.ar(0.0, 300)).is_empty());
    assert!(detect_periods(&[]).is_empty());
}
