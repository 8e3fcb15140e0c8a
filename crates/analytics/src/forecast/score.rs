//! How good forecasts were: the measures of the M4 competition, and its benchmark to measure against.
//!
//! Source: Makridakis, Spiliotis and Assimakopoulos, International Journal of Forecasting 36 (2020), section 2 and
//! appendix A. Choosing forecasts by these measures does not belong here: they read the truth.

use super::config::Level;
use crate::num;

/// Symmetric mean absolute percentage error, in percent, 0 to 200; a step where both are 0 counts 0. The shorter of the
/// two decides the length; 0 for none.
#[must_use]
pub fn smape(truth: &[f64], points: &[f64]) -> f64 {
    let terms: Vec<f64> = truth
        .iter()
        .zip(points)
        .map(|(a, f)| {
            let size = a.abs() + f.abs();
            if size > 0.0 { 200.0 * (a - f).abs() / size } else { 0.0 }
        })
        .collect();
    num::mean(&terms)
}

/// Mean absolute error, in the unit of the series.
#[must_use]
pub fn mean_absolute_error(truth: &[f64], points: &[f64]) -> f64 {
    let errors: Vec<f64> = truth.iter().zip(points).map(|(a, f)| (a - f).abs()).collect();
    num::mean(&errors)
}

/// What MASE and MSIS are relative to: the mean absolute error of the seasonal naive method on the history (period 1:
/// of the last value). `None` when that is 0 or there are not more values than the period.
#[must_use]
pub fn naive_scale(history: &[f64], period: usize) -> Option<f64> {
    let later = history.get(period..)?;
    let scale = mean_absolute_error(later, history);
    (!later.is_empty() && scale > 0.0).then_some(scale)
}

/// Mean interval score of one series, to be divided by [`naive_scale`] for MSIS: width, and `2 / (1 - level)` times the
/// distance of each value outside. `intervals` are (lower, upper).
#[must_use]
pub fn interval_score(truth: &[f64], intervals: &[(f64, f64)], level: Level) -> f64 {
    let penalty = 2.0 / (1.0 - level.get());
    let terms: Vec<f64> = truth
        .iter()
        .zip(intervals)
        .map(|(a, (lo, hi))| (hi - lo) + penalty * ((lo - a).max(0.0) + (a - hi).max(0.0)))
        .collect();
    num::mean(&terms)
}

/// Share of values inside their interval, ends included.
#[must_use]
pub fn coverage(truth: &[f64], intervals: &[(f64, f64)]) -> f64 {
    let inside = |(a, (lo, hi)): (&f64, &(f64, f64))| f64::from(u8::from(lo <= a && a <= hi));
    let terms: Vec<f64> = truth.iter().zip(intervals).map(inside).collect();
    num::mean(&terms)
}

/// Naive2, the competition's benchmark: the last value, seasonally adjusted by classical multiplicative decomposition
/// when the autocorrelation at the period is significant at 90 % (and at least three periods are there).
///
/// Source: the competition's own description: significant means `|r_m| > 1.645·√((1 + 2·Σ_{k<m} r_k²) / n)`. Values are
/// meant to be positive. Empty for an empty history.
#[must_use]
pub fn naive2(history: &[f64], period: usize, horizon: usize) -> Vec<f64> {
    let Some(&last) = history.last() else {
        return Vec::new();
    };
    if !is_seasonal(history, period) {
        return vec![last; horizon];
    }
    let indices = multiplicative_indices(history, period);
    let len = history.len();
    let adjusted = last / indices[(len - 1) % period];
    (0..horizon)
        .map(|lead| adjusted * indices[(len + lead) % period])
        .collect()
}

fn is_seasonal(history: &[f64], period: usize) -> bool {
    let len = history.len();
    if period < 2 || len < 3 * period {
        return false;
    }
    let mean = num::mean(history);
    let away: Vec<f64> = history.iter().map(|v| v - mean).collect();
    let total: f64 = away.iter().map(|v| v * v).sum();
    let correlation = |lag: usize| away.iter().zip(&away[lag..]).map(|(a, b)| a * b).sum::<f64>() / total;
    let before: f64 = (1..period).map(|lag| correlation(lag) * correlation(lag)).sum();
    correlation(period).abs() > 1.645 * ((1.0 + 2.0 * before) / num::count(len)).sqrt()
}

/// Ratios to a centred moving average, averaged by phase, with mean 1.
fn multiplicative_indices(history: &[f64], period: usize) -> Vec<f64> {
    let half = period / 2;
    let (mut sums, mut counts) = (vec![0.0; period], vec![0_usize; period]);
    for centre in half..history.len() - half {
        let window = &history[centre - half..=centre + half];
        let trend = if period.is_multiple_of(2) {
            let ends = f64::midpoint(window[0], window[period]);
            (window[1..period].iter().sum::<f64>() + ends) / num::count(period)
        } else {
            num::mean(window)
        };
        sums[centre % period] += history[centre] / trend;
        counts[centre % period] += 1;
    }
    let raw: Vec<f64> = sums
        .iter()
        .zip(&counts)
        .map(|(s, c)| s / num::count((*c).max(1)))
        .collect();
    let mean = num::mean(&raw);
    raw.iter().map(|index| index / mean).collect()
}
