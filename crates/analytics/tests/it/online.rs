//! Forecasts that follow a stream: equal to the batch where that is promised, saved and restored bit for bit.

use skyloom_analytics::forecast::{
    Auto, BUILTIN, ForecastConfig, HISTORY_MAX, Naive, Online, OnlineError, OnlineState, SeasonalNaive, forecast_with,
};

use crate::sim::{Noise, close, series};

fn config() -> ForecastConfig {
    ForecastConfig::new(6, 0.9).unwrap().with_periods(&[7]).unwrap()
}

#[test]
fn a_new_fit_is_the_batch_bit_for_bit() {
    let values = Noise::new(1).seasonal(7, 0.1, 90);
    for method in BUILTIN {
        let mut online = Online::new(*method, &series(&values[..80]), config()).unwrap();
        for value in &values[80..] {
            online.push(*value).unwrap();
        }
        assert_eq!(online.since_fit(), 10);
        online.refit();
        assert_eq!(
            online.forecast(),
            forecast_with(*method, &series(&values), &config()).unwrap(),
            "{}",
            method.name()
        );
    }
}

/// Methods without parameters say after each value what the batch says; all others follow the series.
#[test]
fn values_are_taken_in_without_a_new_fit() {
    let values = Noise::new(2).seasonal(7, 0.0, 120);
    for method in BUILTIN {
        let mut online = Online::new(*method, &series(&values[..80]), config()).unwrap();
        for (t, value) in values.iter().enumerate().skip(80) {
            let before = online.forecast();
            online.push(*value).unwrap();
            let after = online.forecast();
            assert_eq!(before.steps[1].at, after.steps[0].at);
            assert!(
                after
                    .steps
                    .iter()
                    .all(|s| s.lo <= s.point && s.point <= s.hi && s.hi.is_finite())
            );
            if [&Naive as &dyn skyloom_analytics::forecast::Forecaster, &SeasonalNaive]
                .iter()
                .any(|m| m.name() == method.name())
            {
                let batch = forecast_with(*method, &series(&values[..=t]), &config()).unwrap();
                for (a, b) in after.steps.iter().zip(&batch.steps) {
                    assert!(close(a.point, b.point, 10.0, 1e-12));
                }
            }
        }
    }
}

#[test]
fn a_restored_state_goes_on_identically() {
    let values = Noise::new(3).seasonal(7, 0.1, 130);
    let mut online = Online::new(&Auto, &series(&values[..90]), config()).unwrap();
    for value in &values[90..110] {
        online.push(*value).unwrap();
    }
    let text = serde_json::to_string(&online.state()).unwrap();
    let state: OnlineState = serde_json::from_str(&text).unwrap();
    let mut restored = Online::restore(&Auto, config(), &state).unwrap();
    for value in &values[110..] {
        assert_eq!(restored.forecast(), online.forecast());
        restored.push(*value).unwrap();
        online.push(*value).unwrap();
    }
    assert_eq!(restored.forecast(), online.forecast());
}

#[test]
fn what_cannot_be_taken_in_is_refused_and_changes_nothing() {
    let mut online = Online::new(&Naive, &series(&[1.0, 2.0, 3.0]), config()).unwrap();
    let before = online.forecast();
    for bad in [f64::NAN, f64::INFINITY] {
        assert_eq!(online.push(bad), Err(OnlineError::NotFinite));
    }
    assert_eq!(online.forecast(), before);
    let mut state = online.state();
    assert!(matches!(
        Online::restore(&Auto, config(), &state),
        Err(OnlineError::Method { .. })
    ));
    state.version += 1;
    assert!(matches!(
        Online::restore(&Naive, config(), &state),
        Err(OnlineError::Version { .. })
    ));
    assert!(Online::new(&Naive, &series(&[1.0]), config()).is_err());
}

/// A constant history is fitted anew as soon as it varies, far values do no harm, and memory is bounded.
#[test]
fn constants_jumps_and_long_streams_are_followed() {
    let mut online = Online::new(&Auto, &series(&[4.0; 40]), config()).unwrap();
    online.push(4.0).unwrap();
    assert_eq!(online.since_fit(), 1);
    online.push(9.0).unwrap();
    assert_eq!(online.since_fit(), 0);
    online.push(1e300).unwrap();
    assert!(
        online
            .forecast()
            .steps
            .iter()
            .all(|s| s.point.is_finite() && s.hi.is_finite())
    );

    let mut naive = Online::new(&Naive, &series(&[1.0, 2.0]), config()).unwrap();
    for i in 0..3 * HISTORY_MAX {
        naive.push(f64::from(u8::from(i % 2 == 0))).unwrap();
    }
    let state = naive.state();
    assert!(state.history.len() + state.since.len() <= 2 * HISTORY_MAX);
}
