//! Finding the season of a series: a peak of the autocorrelation that a seasonal profile then has to explain.
//!
//! A peak alone would not do: a random walk has peaks too.

use crate::num;

/// Full cycles a season must have been seen: with two, any slow wave would be one.
const CYCLES_MIN: usize = 3;
/// Longest season looked for: a week of ten-minute data; it bounds the work to history times this.
const PERIOD_MAX: usize = 1024;
/// Least autocorrelation at the period.
const PEAK_MIN: f64 = 0.3;
/// A shorter peak this close to the highest is preferred: multiples of a period correlate as well as the period.
const PEAK_TIE: f64 = 0.8;
/// Most seasons detected.
const DETECTED_MAX: usize = 3;
/// Share of the detrended variance the seasonal profile must explain (seasonal strength of Wang, Smith and Hyndman, Data
/// Mining and Knowledge Discovery 13, 2006, with degrees of freedom). Their usual 0.64 misses a quarter of the seasons
/// of ten cycles at a signal-to-noise ratio of four; this one a tenth, and noise still has none (see the tests).
const STRENGTH_MIN: f64 = 0.5;
/// Mean square on the unit scale below which detrended values are rounding (an error of 1e-12 of the range).
const ROUNDING: f64 = 1e-24;

/// The seasonal period of these values in steps, or `None` when there is no clear one. Values that are not finite, too
/// few values and constant ones have none. Costs the length times a third of the length, at most 1,024.
///
/// ```
/// let daily: Vec<f64> = (0..96).map(|h| f64::from(h % 24)).collect();
/// assert_eq!(skyloom_analytics::forecast::detect_period(&daily), Some(24));
/// ```
#[must_use]
pub fn detect_period(values: &[f64]) -> Option<usize> {
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let unit = num::Unit::of(values)?;
    let z: Vec<f64> = values.iter().map(|v| unit.to_unit(*v)).collect();
    let lag_max = (z.len() / CYCLES_MIN).min(PERIOD_MAX);
    if lag_max < 2 {
        return None;
    }
    let level = detrended(&z);
    let total: f64 = level.iter().map(|v| v * v).sum();
    if total <= ROUNDING * num::count(z.len()) {
        return None; // a straight line: what is left is rounding
    }
    let correlation: Vec<f64> = (0..=lag_max + 1)
        .map(|lag| {
            level
                .iter()
                .zip(&level[lag.min(level.len())..])
                .map(|(a, b)| a * b)
                .sum::<f64>()
                / total
        })
        .collect();
    // The raw sum loses a share of lag / n by having fewer terms; undone so that long periods are not at a disadvantage.
    let fair = |lag: usize| correlation[lag] * num::count(level.len()) / num::count(level.len() - lag);
    let peaks: Vec<usize> = (2..=lag_max)
        .filter(|&lag| fair(lag) >= PEAK_MIN && fair(lag) >= fair(lag - 1) && fair(lag) >= fair(lag + 1))
        .collect();
    let highest = peaks.iter().map(|&lag| fair(lag)).fold(0.0, f64::max);
    peaks
        .into_iter()
        .filter(|&lag| fair(lag) >= PEAK_TIE * highest)
        .find(|&lag| strength(&level, lag) >= STRENGTH_MIN)
}

/// The seasonal periods of these values in steps, rising: the clearest short one ([`detect_period`]), and those that are
/// left when its profile has been taken out, or that its cycles' means show (a week in hourly values is a season of seven
/// days). At most three.
///
/// ```
/// let hour_of_week = |t: u32| f64::from(t % 24) + if t / 24 % 7 < 5 { 10.0 } else { 0.0 };
/// let hourly: Vec<f64> = (0..24 * 7 * 4).map(hour_of_week).collect();
/// assert_eq!(skyloom_analytics::forecast::detect_periods(&hourly), [24, 168]);
/// ```
#[must_use]
pub fn detect_periods(values: &[f64]) -> Vec<usize> {
    let mut periods: Vec<usize> = Vec::new();
    let mut rest = values.to_vec();
    while let Some(period) = detect_period(&rest).filter(|p| !periods.contains(p)) {
        periods.push(period);
        let cycles: Vec<f64> = rest.chunks_exact(period).map(num::mean).collect();
        let longer = detect_period(&cycles).map(|cycles| cycles * period);
        if let Some(longer) = longer.filter(|longer| !periods.contains(longer)) {
            periods.push(longer);
        }
        if periods.len() >= DETECTED_MAX {
            break;
        }
        rest = without_profiles(values, &periods);
    }
    periods.sort_unstable();
    periods.truncate(DETECTED_MAX);
    periods
}

/// The values minus the mean of their phase, for each period in turn.
fn without_profiles(values: &[f64], periods: &[usize]) -> Vec<f64> {
    let mut rest = values.to_vec();
    for &period in periods {
        for phase in 0..period {
            let of_phase: Vec<f64> = rest.iter().skip(phase).step_by(period).copied().collect();
            let mean = num::mean(&of_phase);
            for value in rest.iter_mut().skip(phase).step_by(period) {
                *value -= mean;
            }
        }
    }
    rest
}

/// The values minus their least-squares line.
fn detrended(values: &[f64]) -> Vec<f64> {
    let middle = num::count(values.len() - 1) / 2.0;
    let (mean, slope) = (num::mean(values), num::slope(values));
    values
        .iter()
        .enumerate()
        .map(|(i, v)| v - mean - slope * (num::count(i) - middle))
        .collect()
}

/// Share of the variance that the mean profile of this period explains, corrected for the number of its means (the
/// adjusted R² of a regression on the phase).
fn strength(values: &[f64], period: usize) -> f64 {
    let n = values.len();
    let (mut sums, mut counts) = (vec![0.0; period], vec![0_usize; period]);
    for (i, v) in values.iter().enumerate() {
        sums[i % period] += v;
        counts[i % period] += 1;
    }
    let left: f64 = values
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let e = v - sums[i % period] / num::count(counts[i % period]);
            e * e
        })
        .sum();
    let total: f64 = values.iter().map(|v| v * v).sum();
    1.0 - (left / num::count(n - period)) / (total / num::count(n - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_period_of_a_wave_on_a_slope_and_none_of_a_line() {
        for period in [2_usize, 5, 7, 24] {
            let wave: Vec<f64> = (0..period * 5)
                .map(|i| f64::from(u8::from(i % period == 0)) * 3.0 + 0.2 * num::count(i))
                .collect();
            assert_eq!(detect_period(&wave), Some(period));
        }
        let line: Vec<f64> = (0..100).map(|i| 0.5 * f64::from(i)).collect();
        assert_eq!(detect_period(&line), None);
        assert_eq!(detect_period(&[1.0, f64::NAN, 2.0]), None);
        assert_eq!(detect_period(&[1.0; 50]), None);
        assert_eq!(detect_period(&[]), None);
    }
}
