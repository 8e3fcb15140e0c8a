//! A series as the sum of a trend, one season for each period, and the rest.
//!
//! Source: Bandara, Hyndman and Bergmeir, MSTL (2021, arXiv 2107.13462): seasons are refined in turn, each with the others
//! taken out. Ours: the trend is a centred moving average over one period instead of a local regression, and the phases of
//! a season are smoothed over its cycles with tricube weights; both cost a constant per value.

use crate::num;

/// Rounds of refinement.
const ROUNDS: usize = 2;
/// Cycles to each side over which the phase of a season is smoothed: the shortest season, and more for each longer one.
const REACH: usize = 4;
const REACH_MORE: usize = 2;

/// The parts of a series; they add up to it exactly, up to rounding.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decomposition {
    /// Slow movement.
    pub trend: Vec<f64>,
    /// One for each period, in the order given; sums to about zero over a period.
    pub seasons: Vec<Vec<f64>>,
    /// What is left.
    pub rest: Vec<f64>,
}

/// Splits finite values into trend, seasons and rest. A period of which there are not two cycles, or below 2, has a season
/// of zeros.
///
/// ```
/// use skyloom_analytics::forecast::decompose;
/// let values: Vec<f64> = (0..40).map(|t| f64::from(t) * 0.1 + [3.0, -1.0, -2.0, 0.0][t as usize % 4]).collect();
/// let parts = decompose(&values, &[4]);
/// assert!((parts.seasons[0][20] - 3.0).abs() < 0.1 && parts.rest[20].abs() < 0.1);
/// ```
#[must_use]
pub fn decompose(values: &[f64], periods: &[usize]) -> Decomposition {
    let len = values.len();
    let mut seasons = vec![vec![0.0; len]; periods.len()];
    let usable = |period: usize| period >= 2 && period <= len / 2;
    for _ in 0..ROUNDS {
        for (i, &period) in periods.iter().enumerate().filter(|(_, p)| usable(**p)) {
            let others = without(
                values,
                seasons.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, s)| s),
            );
            let trend = moving_average(&others, period);
            let swings: Vec<f64> = others.iter().zip(&trend).map(|(v, t)| v - t).collect();
            let rough = smooth_phases(&swings, period, REACH + REACH_MORE * i);
            let level = moving_average(&rough, period);
            seasons[i] = rough.iter().zip(&level).map(|(s, l)| s - l).collect();
        }
    }
    let adjusted = without(values, seasons.iter());
    let longest = periods.iter().copied().filter(|p| usable(*p)).max().unwrap_or(1);
    let trend = moving_average(&adjusted, longest);
    let rest = adjusted.iter().zip(&trend).map(|(v, t)| v - t).collect();
    Decomposition { trend, seasons, rest }
}

/// Mean deviation of each phase from a centred moving average; sums to zero.
pub(crate) fn profile(values: &[f64], period: usize) -> Vec<f64> {
    let trend = moving_average(values, period);
    let (mut sums, mut counts) = (vec![0.0; period], vec![0_usize; period]);
    for (t, (v, m)) in values.iter().zip(&trend).enumerate() {
        sums[t % period] += v - m;
        counts[t % period] += 1;
    }
    let raw: Vec<f64> = sums
        .iter()
        .zip(&counts)
        .map(|(s, c)| s / num::count((*c).max(1)))
        .collect();
    let mean = num::mean(&raw);
    raw.iter().map(|r| r - mean).collect()
}

fn without<'a>(values: &[f64], seasons: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let mut left = values.to_vec();
    for season in seasons {
        for (l, s) in left.iter_mut().zip(season) {
            *l -= s;
        }
    }
    left
}

/// Centred mean over one period (ends of an even one by half); near the ends of the series the line through the last
/// period that fits is continued.
fn moving_average(values: &[f64], period: usize) -> Vec<f64> {
    let (len, half) = (values.len(), period / 2);
    if period < 2 || len < 2 * half + 1 {
        return vec![num::mean(values); len];
    }
    let mut sums = Vec::with_capacity(len + 1);
    sums.push(0.0);
    for v in values {
        sums.push(sums[sums.len() - 1] + v);
    }
    let at = |centre: usize| {
        let (from, to) = (centre - half, centre + half);
        let whole = sums[to + 1] - sums[from];
        if period.is_multiple_of(2) {
            (whole - f64::midpoint(values[from], values[to])) / num::count(period)
        } else {
            whole / num::count(period)
        }
    };
    let mut trend: Vec<f64> = (0..len).map(|t| at(t.clamp(half, len - 1 - half))).collect();
    let span = half.min(len - 1 - 2 * half);
    if span > 0 {
        let slope = |from: usize, to: usize, trend: &[f64]| (trend[to] - trend[from]) / num::count(span);
        let (first, last) = (half, len - 1 - half);
        let (before, after) = (slope(first, first + span, &trend), slope(last - span, last, &trend));
        for k in 1..=half {
            trend[first - k] = trend[first] - before * num::count(k);
            trend[last + k] = trend[last] + after * num::count(k);
        }
    }
    trend
}

/// Each phase smoothed over its cycles.
fn smooth_phases(values: &[f64], period: usize, reach: usize) -> Vec<f64> {
    let weight = |apart: usize| {
        let x = num::count(apart) / num::count(reach + 1);
        let left = 1.0 - x * x * x;
        left * left * left
    };
    let mut smooth = vec![0.0; values.len()];
    for (t, slot) in smooth.iter_mut().enumerate() {
        let (mut sum, mut total) = (values[t], 1.0);
        for apart in 1..=reach {
            let w = weight(apart);
            for at in [t.checked_sub(apart * period), Some(t + apart * period)]
                .into_iter()
                .flatten()
            {
                if let Some(value) = values.get(at) {
                    sum += w * value;
                    total += w;
                }
            }
        }
        *slot = sum / total;
    }
    smooth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_seasons_sum_to_about_zero() {
        let values: Vec<f64> = (0..400)
            .map(|t| num::count(t) * 0.02 + num::count(t % 24) / 10.0 + num::count((t * 7919) % 31) / 40.0)
            .collect();
        let parts = decompose(&values, &[24, 168]);
        for (t, value) in values.iter().enumerate() {
            let sum = parts.trend[t] + parts.rest[t] + parts.seasons.iter().map(|s| s[t]).sum::<f64>();
            assert!((sum - value).abs() < 1e-9);
        }
        let cycle: f64 = parts.seasons[0][192..216].iter().sum();
        assert!(cycle.abs() < 0.05, "{cycle}");
    }

    #[test]
    fn short_and_odd_inputs_have_parts_too() {
        for len in 0..12 {
            let values: Vec<f64> = (0..len).map(num::count).collect();
            for periods in [&[][..], &[1], &[2], &[3, 5], &[100]] {
                let parts = decompose(&values, periods);
                assert!(parts.rest.len() == len && parts.trend.iter().chain(&parts.rest).all(|v| v.is_finite()));
            }
        }
    }
}
