//! The automatic choice: every candidate of the table is back-tested from several origins, and those that beat the
//! naive guard are combined, weighted by their error.
//!
//! A combination instead of a pick: the winner of a short back-test is often luck, and a weight is continuous in the
//! data where a pick jumps. The guard is the better of the naive and the seasonal naive method. Only candidates with a
//! smaller back-test error than the guard enter, so that by convexity the combination has no larger one either; they
//! enter gradually, because a smoother that has turned into the naive method must not count as a second opinion.

use super::method::{Fallback, Fitted, Forecaster, Member, Training};
use super::naive::{Naive, SeasonalNaive};
use crate::num;

/// Chooses and weights the other methods of [`BUILTIN`](super::BUILTIN) by their error in a rolling-origin back-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auto;

/// Origins of the back-test.
const ORIGINS: usize = 5;
/// Values below which a back-test would be a lottery: the naive method is used.
const LEN_MIN: usize = 10;
/// A back-test path is at most this share of the history long (a quarter); most of it must remain to be fitted.
const LEAD_SHARE: usize = 4;
/// Longest back-test path: a few seasons of hourly data; farther leads are extrapolated by every method alike.
const LEAD_MAX: usize = 96;
/// Weights are errors to this power: sharp enough that a bad method fades, flat enough that two equals are averaged.
const SHARPNESS: i32 = -3;
/// A candidate counts in full from this share below the guard's error, and not at all at the guard's error.
const CLEARLY_BETTER: f64 = 0.1;
/// Errors this close are a tie, and the plainer method is the guard: rounding must not decide.
const TIE: f64 = 1e-9;
/// Members with a smaller share than this are left out: they would only shorten the history of hindcasts.
const SHARE_MIN: f64 = 1e-3;
/// Added to errors on the unit scale: a perfect method has a finite weight, and wins by far.
const PERFECT: f64 = 1e-9;

#[derive(Debug)]
struct Candidate {
    method: &'static dyn Forecaster,
    period: Option<usize>,
    error: f64,
}

#[derive(Debug)]
struct FittedAuto {
    members: Vec<(Member, Box<dyn Fitted>)>,
}

impl Forecaster for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }
    fn is_seasonal(&self) -> bool {
        true
    }
    fn is_candidate(&self) -> bool {
        false
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        LEN_MIN
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        if training.values.len() < LEN_MIN {
            return Err(Fallback::TooShort {
                len: training.values.len(),
                needed: LEN_MIN,
            });
        }
        let shares = shares(back_test(training));
        let mut members = Vec::with_capacity(shares.len());
        for (candidate, weight) in shares {
            let fitted = candidate.method.fit(&Training {
                values: training.values,
                periods: candidate.period.as_slice(),
            })?;
            let member = Member {
                name: candidate.method.name().to_owned(),
                period: candidate.period,
                weight,
                error: candidate.error,
            };
            members.push((member, fitted));
        }
        Ok(Box::new(FittedAuto { members }))
    }
}

/// Every candidate that can be fitted at the latest origin, with its mean absolute error over all origins and leads. The
/// naive method always can, so the list is never empty.
fn back_test(training: &Training<'_>) -> Vec<Candidate> {
    let len = training.values.len();
    let lead = (len / LEAD_SHARE).clamp(1, LEAD_MAX);
    let stride = (lead / 2).max(1);
    let latest = len - lead;
    let candidates: Vec<_> = candidates(training.periods)
        .into_iter()
        .filter(|(method, period)| method.needs(period.as_slice()) <= latest)
        .collect();
    // Errors compare only at common origins: early ones, where a long season does not fit yet, are given up.
    let needed = candidates.iter().map(|(m, p)| m.needs(p.as_slice())).max().unwrap_or(1);
    let origins: Vec<usize> = (0..ORIGINS)
        .map(|k| latest - k * stride)
        .filter(|origin| *origin >= needed.max(len / 2).min(latest))
        .collect();
    candidates
        .into_iter()
        .filter_map(|(method, period)| {
            let error = error_of(method, period, training.values, &origins, lead)?;
            Some(Candidate { method, period, error })
        })
        .collect()
}

/// The candidates of the table, seasonal ones once for each period.
fn candidates(periods: &[usize]) -> Vec<(&'static dyn Forecaster, Option<usize>)> {
    let mut candidates = Vec::new();
    for method in super::BUILTIN.iter().copied().filter(|m| m.is_candidate()) {
        if method.is_seasonal() {
            candidates.extend(periods.iter().map(|period| (method, Some(*period))));
        } else {
            candidates.push((method, None));
        }
    }
    candidates
}

fn error_of(
    method: &dyn Forecaster,
    period: Option<usize>,
    values: &[f64],
    origins: &[usize],
    lead: usize,
) -> Option<f64> {
    let mut errors = Vec::with_capacity(origins.len() * lead);
    for &origin in origins {
        let training = Training {
            values: &values[..origin],
            periods: period.as_slice(),
        };
        let path = method.fit(&training).ok()?.path(origin, lead);
        errors.extend(path.iter().zip(&values[origin..]).map(|(p, v)| (p - v).abs()));
    }
    let error = num::mean(&errors);
    error.is_finite().then_some(error)
}

/// The candidates that count, with shares that sum to 1. The guard is one of them.
fn shares(candidates: Vec<Candidate>) -> Vec<(Candidate, f64)> {
    let Some(guard) = guard(&candidates) else {
        return Vec::new();
    };
    let (best, margin) = (candidates[guard].error, CLEARLY_BETTER * candidates[guard].error);
    let weight = |(i, c): (usize, &Candidate)| {
        let entry = if i == guard {
            1.0
        } else {
            ((best - c.error) / margin.max(PERFECT)).clamp(0.0, 1.0)
        };
        entry * (c.error + PERFECT).powi(SHARPNESS)
    };
    let mut weights: Vec<f64> = candidates.iter().enumerate().map(weight).collect();
    let total: f64 = weights.iter().sum();
    for w in &mut weights {
        *w = if *w < SHARE_MIN * total { 0.0 } else { *w };
    }
    let total: f64 = weights.iter().sum();
    let kept = candidates.into_iter().zip(weights).filter(|(_, w)| *w > 0.0);
    kept.map(|(c, w)| (c, w / total)).collect()
}

/// Position of the better naive method; the first of equals, which is the plainer one.
fn guard(candidates: &[Candidate]) -> Option<usize> {
    let mut guard: Option<usize> = None;
    for (i, c) in candidates.iter().enumerate() {
        let is_naive = [Naive.name(), SeasonalNaive.name()].contains(&c.method.name());
        if is_naive && guard.is_none_or(|g| c.error < candidates[g].error * (1.0 - TIE)) {
            guard = Some(i);
        }
    }
    guard
}

impl FittedAuto {
    fn weighted(&self, horizon: usize, of: impl Fn(&dyn Fitted) -> Vec<f64>) -> Vec<f64> {
        let mut sum = vec![0.0; horizon];
        for (member, fitted) in &self.members {
            for (s, v) in sum.iter_mut().zip(of(fitted.as_ref())) {
                *s += member.weight * v;
            }
        }
        sum
    }
}

impl Fitted for FittedAuto {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        self.weighted(horizon, |fitted| fitted.path(origin, horizon))
    }

    fn first_origin(&self) -> usize {
        self.members.iter().map(|(_, f)| f.first_origin()).max().unwrap_or(1)
    }

    /// The weighted mean of the members' growth: an upper bound when their errors are not perfectly correlated.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        self.weighted(horizon, |fitted| fitted.spread(horizon))
    }

    fn parameters(&self) -> usize {
        let mean: f64 = self
            .members
            .iter()
            .map(|(m, f)| m.weight * num::count(f.parameters()))
            .sum();
        num::index(mean.ceil(), usize::MAX)
    }

    fn members(&self) -> Vec<Member> {
        self.members.iter().map(|(m, _)| m.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_combination_is_never_worse_than_the_guard_in_its_own_back_test() {
        for period in [3_usize, 6, 12] {
            let values: Vec<f64> = (0..60)
                .map(|i| num::count(i % period) / 12.0 + num::count((i * 7919) % 13) / 40.0)
                .collect();
            let training = Training {
                values: &values,
                periods: &[period],
            };
            let all = back_test(&training);
            let guard = all
                .iter()
                .filter(|c| c.method.name().ends_with("naive"))
                .map(|c| c.error)
                .fold(f64::INFINITY, f64::min);
            let shares = shares(all);
            assert!((shares.iter().map(|(_, w)| w).sum::<f64>() - 1.0).abs() < 1e-12);
            let bound: f64 = shares.iter().map(|(c, w)| w * c.error).sum();
            assert!(bound <= guard * (1.0 + 1e-12), "{bound} above {guard}");
        }
    }
}
