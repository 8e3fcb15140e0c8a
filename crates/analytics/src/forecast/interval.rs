//! Prediction intervals from a method's own hindcasts.
//!
//! Three parts. **How big** is the one-step error: root mean square of the hindcast errors, inflated for the parameters
//! that were fitted to the same values. **How it grows** with the lead: the model's own law, drawn towards what the
//! hindcasts show by as much as they can know (a hundred values hold only three independent errors thirty steps ahead).
//! **How far out** for a level: the conformal quantile of the standardised one-step errors (Lei et al., Journal of the
//! American Statistical Association 113, 2018), and Student's t where the errors are too few for it.
//! A plain normal interval was not taken: real metrics have tails, and it is always too narrow for short series.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::config::Level;
use super::method::Fitted;
use crate::num;

/// Below this many errors the tails are Student's t alone.
const CONFORMAL_MIN: usize = 20;
/// From this many errors on each side has a tail of its own; before, both share one twice as well known.
const SIGNED_MIN: usize = 200;
/// Origins used for the growth with the lead: neighbouring ones tell the same.
const ORIGINS_MAX: usize = 256;
/// Independent errors that the model's law of growth weighs as much as: chosen so that the law rules where fewer than
/// about eight independent errors were seen.
const LAW_WEIGHT: f64 = 8.0;

/// Largest inflation for fitted parameters: beyond, there are hardly more errors than parameters and Student's t is wide.
const INFLATION_MAX: f64 = 3.0;

/// Distances from the point to the two ends, for each lead; both non-negative and never falling with the lead.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    pub(crate) below: Vec<f64>,
    pub(crate) above: Vec<f64>,
    /// Whether the level came from the errors (conformal), not from Student's t.
    pub(crate) is_conformal: bool,
    /// One-step errors it was made from.
    pub(crate) errors: usize,
}

/// The interval of a fitted method on the unit scale; `values` is its history.
pub(crate) fn interval(fitted: &dyn Fitted, values: &[f64], horizon: usize, level: Level) -> Interval {
    let first = fitted.first_origin().clamp(1, values.len() - 1);
    let errors: Vec<f64> = (first..values.len())
        .map(|origin| values[origin] - fitted.path(origin, 1)[0])
        .collect();
    let (count, parameters) = (num::count(errors.len()), num::count(fitted.parameters()));
    let rms = num::rms(&errors);
    let freedom = (count - parameters).max(1.0);
    // Residuals are too small by (n - p) / n because the fit has seen them; the forecast adds p / n of its own.
    let inflation = ((count + parameters) / freedom).sqrt().clamp(1.0, INFLATION_MAX);
    let growth = growth(fitted, values, first, horizon, rms);
    let (below, above, is_conformal) = tails(&errors, rms, freedom, level);
    let scale = rms * inflation;
    Interval {
        below: growth.iter().map(|g| below * scale * g).collect(),
        above: growth.iter().map(|g| above * scale * g).collect(),
        is_conformal,
        errors: errors.len(),
    }
}

/// Size of the error at each lead relative to the first, never falling.
fn growth(fitted: &dyn Fitted, values: &[f64], first: usize, horizon: usize, rms: f64) -> Vec<f64> {
    let law = fitted.spread(horizon);
    if rms <= 0.0 {
        return law;
    }
    let seen = horizon.min(values.len() - first);
    let stride = (values.len() - first).div_ceil(ORIGINS_MAX);
    let (mut squares, mut counts) = (vec![0.0; seen], vec![0_usize; seen]);
    for origin in (first..values.len()).step_by(stride) {
        let path = fitted.path(origin, seen.min(values.len() - origin));
        for (lead, (p, v)) in path.iter().zip(&values[origin..]).enumerate() {
            squares[lead] += (v - p) * (v - p);
            counts[lead] += 1;
        }
    }
    let mut largest = 1.0_f64;
    let mut correction = 0.0; // log of shown over law; beyond the leads that were seen the last one holds
    (0..horizon)
        .map(|lead| {
            if lead < seen && counts[lead] > 0 && squares[lead] > 0.0 {
                let shown = (squares[lead] / num::count(counts[lead])).sqrt() / rms;
                let independent = num::count(counts[lead] * stride) / num::count(lead + 1);
                let trust = independent / (independent + LAW_WEIGHT);
                correction = trust * libm::log(shown / law[lead]);
            }
            largest = largest.max(law[lead] * libm::exp(correction));
            largest
        })
        .collect()
}

/// How many root mean squares the interval reaches below and above, and whether the errors decided it. Both never fall
/// with the level: intervals nest.
fn tails(errors: &[f64], rms: f64, freedom: f64, level: Level) -> (f64, f64, bool) {
    let student = student(freedom, level);
    if rms <= 0.0 || errors.len() < CONFORMAL_MIN {
        return (student, student, false);
    }
    if errors.len() < SIGNED_MIN {
        let sizes = errors.iter().map(|e| e.abs() / rms).collect();
        let (reach, enough) = conformal(sizes, level.get(), student);
        return (reach, reach, enough);
    }
    let one_sided = f64::midpoint(level.get(), 1.0);
    let (above, enough) = conformal(errors.iter().map(|e| e / rms).collect(), one_sided, student);
    let (below, _) = conformal(errors.iter().map(|e| -e / rms).collect(), one_sided, student);
    (below.max(0.0), above.max(0.0), enough)
}

/// The conformal quantile: the `⌈(n + 1)·share⌉`-th smallest. Where that is beyond the last, the larger of the last and
/// Student's t, so that it goes on rising.
fn conformal(mut sizes: Vec<f64>, share: f64, student: f64) -> (f64, bool) {
    sizes.sort_unstable_by(f64::total_cmp);
    let rank = num::index((num::count(sizes.len() + 1) * share).ceil(), usize::MAX).max(1);
    match sizes.get(rank - 1) {
        Some(size) => (*size, true),
        None => (sizes.last().copied().unwrap_or(0.0).max(student), false),
    }
}

/// The two-sided quantile of Student's t.
fn student(freedom: f64, level: Level) -> f64 {
    let upper = f64::midpoint(level.get(), 1.0);
    StudentsT::new(0.0, 1.0, freedom)
        .map(|t| t.inverse_cdf(upper))
        .ok()
        .filter(|q| q.is_finite())
        .map_or(f64::MAX, |q| q.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles printed in the usual tables of Student's t, two-sided.
    #[test]
    fn student_quantiles_are_those_of_the_tables() {
        for (freedom, level, quantile) in [
            (1.0, 0.95, 12.706),
            (5.0, 0.9, 2.015),
            (30.0, 0.95, 2.042),
            (1000.0, 0.99, 2.581),
        ] {
            let q = student(freedom, Level::new(level).unwrap());
            assert!((q - quantile).abs() < 1e-3, "{freedom} {level}: {q}");
        }
        for level in [1e-300, 0.5, 1.0 - f64::EPSILON / 2.0] {
            assert!(student(1.0, Level::new(level).unwrap()) >= 0.0);
        }
    }

    #[test]
    fn tails_never_shrink_when_the_level_rises() {
        for n in [1_usize, 5, 19, 20, 60, 199, 200, 500] {
            let errors: Vec<f64> = (0..n).map(|i| num::count((i * 7919) % 101) / 101.0 - 0.3).collect();
            let (rms, mut last) = (num::rms(&errors), (0.0, 0.0));
            for k in 1..200 {
                let level = Level::new(f64::from(k) / 200.0).unwrap();
                let (below, above, _) = tails(&errors, rms, num::count(n), level);
                assert!(below >= last.0 && above >= last.1, "{n} {k}");
                last = (below, above);
            }
        }
    }
}
