//! Published figures: the scorer on the hourly series of the M4 competition, and the automatic choice on a few of them.
//!
//! The data are not part of the project. Without them the tests say so and pass.

use std::fs;
use std::path::Path;

use skyloom_analytics::forecast::{Auto, Fast, ForecastConfig, Forecaster, Level, forecast_with, score};

use crate::sim::{real, series};

const PERIODS: [usize; 2] = [24, 168];
const HORIZON: usize = 48;

/// A series a line.
type Table = Vec<Vec<f64>>;

/// Histories and futures, or `None` with a word on the error stream.
#[expect(clippy::disallowed_methods, reason = "a test reads what the engine may not")]
fn hourly() -> Option<(Table, Table)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/m4");
    let read = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        let row = |line: &str| line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect();
        Some(text.lines().map(row).collect())
    };
    let found = read("hourly-train.csv").zip(read("hourly-test.csv"));
    if found.is_none() {
        eprintln!("skipped: no M4 data in {}", folder.display());
    }
    found
}

/// Mean sMAPE and MASE of what a function makes of each history.
fn means(data: &(Table, Table), every: usize, ahead: impl Fn(&[f64]) -> Vec<f64>) -> (f64, f64) {
    let (mut smape, mut mase, mut count) = (0.0, 0.0, 0.0);
    for (history, truth) in data.0.iter().zip(&data.1).step_by(every) {
        let points = ahead(history);
        smape += score::smape(truth, &points);
        mase += score::mean_absolute_error(truth, &points) / score::naive_scale(history, 24).unwrap();
        count += 1.0;
    }
    (smape / count, mase / count)
}

/// sMAPE and MASE as the competition published them, to the digits it gave.
#[test]
fn the_scorer_gives_the_published_figures() {
    let Some(data) = hourly() else { return };
    type Method = fn(&[f64]) -> Vec<f64>;
    let rows: [(&str, Method, f64, f64); 3] = [
        ("naive2", |y| score::naive2(y, 24, HORIZON), 18.383, 2.395),
        (
            "seasonal naive",
            |y| (0..HORIZON).map(|h| y[y.len() - 24 + h % 24]).collect(),
            13.912,
            1.193,
        ),
        ("naive", |y| vec![y[y.len() - 1]; HORIZON], 43.003, 11.608),
    ];
    for (name, method, smape, mase) in rows {
        let (s, m) = means(&data, 1, method);
        assert!((s - smape).abs() < 6e-4 && (m - mase).abs() < 6e-4, "{name}: {s} {m}");
    }
}

/// Every fortieth series: both choices leave the seasonal naive method far behind, and the intervals hold.
#[test]
fn the_automatic_choices_beat_the_seasonal_naive_method() {
    let Some(data) = hourly() else { return };
    let config = ForecastConfig::new(HORIZON, 0.95)
        .unwrap()
        .with_periods(&PERIODS)
        .unwrap();
    let naive = means(&data, 40, |y| (0..HORIZON).map(|h| y[y.len() - 24 + h % 24]).collect());
    let methods: [(&dyn Forecaster, f64); 2] = [(&Auto, 0.85), (&Fast, 0.85)];
    for (method, most) in methods {
        let points = |y: &[f64]| {
            let ahead = forecast_with(method, &series(y), &config).unwrap();
            ahead.steps.iter().map(|s| s.point).collect()
        };
        let (smape, mase) = means(&data, 40, points);
        assert!(
            smape < most * naive.0 && mase < most * naive.1,
            "{}: {smape} {mase}, naive {naive:?}",
            method.name()
        );
    }
    let (mut inside, mut count) = (0.0, 0);
    for (history, truth) in data.0.iter().zip(&data.1).step_by(40) {
        let ahead = forecast_with(&Fast, &series(history), &config).unwrap();
        let intervals: Vec<(f64, f64)> = ahead.steps.iter().map(|s| (s.lo, s.hi)).collect();
        inside += score::coverage(truth, &intervals);
        count += 1;
    }
    // Eleven series are few: the share over all 414 is in the docs.
    assert!((0.85..=1.0).contains(&(inside / real(count))), "{inside} of {count}");
}

#[test]
fn measures_on_numbers_that_can_be_checked_by_hand() {
    let level = Level::new(0.95).unwrap();
    assert!((score::smape(&[1.0, 0.0], &[3.0, 0.0]) - 50.0).abs() < 1e-12);
    assert_eq!(score::naive_scale(&[1.0, 3.0, 2.0, 5.0], 2), Some(1.5));
    assert_eq!(score::naive_scale(&[1.0, 1.0], 1), None);
    assert_eq!(score::naive_scale(&[1.0], 4), None);
    // Width 2 twice; the second value is 1 below, at 40 a unit.
    let intervals = [(0.0, 2.0), (0.0, 2.0)];
    assert!((score::interval_score(&[1.0, -1.0], &intervals, level) - 22.0).abs() < 1e-9);
    assert!((score::coverage(&[2.0, -1.0], &intervals) - 0.5).abs() < 1e-12);
    assert!(score::naive2(&[], 4, 3).is_empty());
}
