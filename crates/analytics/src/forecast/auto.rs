//! The automatic choice: every candidate of the table is back-tested from several origins, and those that beat the
//! naive guard are combined, weighted by their error.
//!
//! A combination instead of a pick: the winner of a short back-test is often luck, and a weight is continuous in the
//! data where a pick jumps. The guard is the better of the naive and the seasonal naive method. Only candidates with no
//! larger back-test error than the guard enter, so that by convexity the combination has none either.

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
        let candidates = admitted(back_test(training));
        let total: f64 = candidates.iter().map(|c| weight(c.error)).sum();
        let mut members = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let fitted = candidate.method.fit(&Training {
                values: training.values,
                periods: candidate.period.as_slice(),
            })?;
            let member = Member {
                name: candidate.method.name().to_owned(),
                period: candidate.period,
                weight: weight(candidate.error) / total,
                error: candidate.error,
            };
            members.push((member, fitted));
        }
        Ok(Box::new(FittedAuto { members }))
    }
}

fn weight(error: f64) -> f64 {
    (error + PERFECT).powi(SHARPNESS)
}

/// Every candidate with its mean absolute error over all origins and leads; one that cannot be fitted at some origin is
/// left out. The naive method can always be, so the list is never empty.
fn back_test(training: &Training<'_>) -> Vec<Candidate> {
    let len = training.values.len();
    let lead = (len / LEAD_SHARE).clamp(1, LEAD_MAX);
    let stride = (lead / 2).max(1);
    let origins: Vec<usize> = (0..ORIGINS)
        .map(|k| len - lead - k * stride)
        .filter(|origin| *origin >= len / 2)
        .collect();
    let mut candidates = Vec::new();
    for method in super::BUILTIN.iter().copied().filter(|m| m.is_candidate()) {
        let periods: Vec<Option<usize>> = if method.is_seasonal() {
            training.periods.iter().copied().map(Some).collect()
        } else {
            vec![None]
        };
        for period in periods {
            if let Some(error) = error_of(method, period, training.values, &origins, lead) {
                candidates.push(Candidate { method, period, error });
            }
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

/// Those with no larger error than the guard. The guard is one of them.
fn admitted(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let guard = candidates
        .iter()
        .filter(|c| [Naive.name(), SeasonalNaive.name()].contains(&c.method.name()))
        .map(|c| c.error)
        .fold(f64::INFINITY, f64::min);
    candidates.into_iter().filter(|c| c.error <= guard).collect()
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
            let kept = admitted(all);
            assert!(!kept.is_empty());
            let total: f64 = kept.iter().map(|c| weight(c.error)).sum();
            let bound: f64 = kept.iter().map(|c| weight(c.error) / total * c.error).sum();
            assert!(bound <= guard * (1.0 + 1e-12), "{bound} above {guard}");
        }
    }
}
