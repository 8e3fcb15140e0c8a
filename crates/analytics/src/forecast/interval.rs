//! Prediction intervals from a method's own hindcasts.
//!
//! Three parts. **How big** is the one-step error: root mean square of the hindcast errors, inflated for the parameters
//! that were fitted to the same values. **How it grows** with the lead: the model's own law, drawn towards what the
//! hindcasts show by as much as they can know (a hundred values hold only three independent errors thirty steps ahead).
//! **How far out** for a level: the conformal quantile of the standardised one-step errors (Lei et al., Journal of the
//! American Statistical Association 113, 2018), and Student's t where the errors are too few for it.
//! A plain normal interval was not taken: real metrics have tails, and it is always too narrow for short series.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::config::Level;
use super::method::Fitted;
use super::scale::Bend;
use crate::num;

/// Below this many errors the tails are Student's t alone.
const CONFORMAL_MIN: usize = 20;
/// Independent errors that a hindcast path counts as: one when its errors go together, at most these; and the most that
/// few paths may widen an interval.
const ERRORS_PER_PATH_MAX: f64 = 4.0;
const CAUTION_MAX: f64 = 3.0;
/// Fewest errors that Student's t is taken for: with fewer it is wider than anything that was seen could justify.
const FREEDOM_MIN: f64 = 3.0;
/// Origins used for the growth with the lead: neighbouring ones tell the same.
const ORIGINS_MAX: usize = 160;
/// Independent errors that the model's law of growth weighs as much as: chosen so that the law rules where fewer than
/// about eight independent errors were seen.
const LAW_WEIGHT: f64 = 8.0;

/// Largest inflation for fitted parameters: beyond, there are hardly more errors than parameters and Student's t is wide.
const INFLATION_MAX: f64 = 3.0;

/// Distance from the point to either end, for each lead, on the bent scale; non-negative and never falling with the lead.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Interval {
    pub(crate) reach: Vec<f64>,
    /// Whether the level came from the errors (conformal), not from Student's t.
    pub(crate) is_conformal: bool,
    /// One-step errors it was made from.
    pub(crate) errors: usize,
}

/// Errors of the hindcasts: a row for each origin, shorter where the history ends.
struct Hindcasts {
    rows: Vec<Vec<f64>>,
    /// Distance of the origins.
    stride: usize,
}

/// The interval of a fitted method on the unit scale; `values` is its history.
pub(crate) fn interval(fitted: &dyn Fitted, values: &[f64], horizon: usize, level: Level, bend: Bend) -> Interval {
    let hindcasts = Hindcasts::of(fitted, values, horizon, bend);
    let firsts: Vec<f64> = hindcasts.rows.iter().map(|row| row[0]).collect();
    let (count, parameters) = (num::count(firsts.len()), num::count(fitted.parameters()));
    let one = num::rms(&firsts);
    let freedom = (count - parameters).max(1.0);
    // Residuals are too small by (n - p) / n because the fit has seen them; the forecast adds p / n of its own.
    let inflation = ((count + parameters) / freedom).sqrt().clamp(1.0, INFLATION_MAX);
    let growth = hindcasts.growth(&fitted.spread(horizon), one);
    let standard: Vec<f64> = hindcasts
        .rows
        .iter()
        .flat_map(|row| row.iter().zip(&growth).map(|(e, g)| e / (one * g)))
        .collect();
    let paths = hindcasts.freedom(horizon, &growth);
    let (reach, is_conformal) = tails(&standard, firsts.len(), freedom.min(paths.max(FREEDOM_MIN)), level);
    // Student's t has been careful already.
    let caution = if is_conformal { caution(paths, level) } else { 1.0 };
    let scale = one * inflation * caution;
    Interval {
        reach: growth.iter().map(|g| reach * scale * g).collect(),
        is_conformal,
        errors: firsts.len(),
    }
}

impl Hindcasts {
    fn of(fitted: &dyn Fitted, values: &[f64], horizon: usize, bend: Bend) -> Self {
        let first = fitted.first_origin().clamp(1, values.len() - 1);
        let stride = (values.len() - first).div_ceil(ORIGINS_MAX);
        let row = |origin: usize| {
            let path = fitted.path(origin, horizon.min(values.len() - origin));
            path.iter()
                .zip(&values[origin..])
                .map(|(p, v)| bend.apply(*v) - bend.apply(*p))
                .collect()
        };
        Self {
            rows: (first..values.len()).step_by(stride).map(row).collect(),
            stride,
        }
    }

    /// Independent errors at a lead, from 0: those of neighbouring origins overlap.
    fn independent(&self, lead: usize) -> f64 {
        let seen = self.rows.iter().filter(|row| row.len() > lead).count();
        num::count(seen * self.stride) / num::count(lead + 1)
    }

    /// Size of the error at each lead relative to the first, never falling.
    fn growth(&self, law: &[f64], one: f64) -> Vec<f64> {
        if one <= 0.0 {
            return law.to_vec();
        }
        let mut largest = 1.0_f64;
        let mut correction = 0.0; // log of shown over law; beyond the leads that were seen the last one holds
        let sized = |lead: usize| {
            let errors: Vec<f64> = self.rows.iter().filter_map(|row| row.get(lead)).copied().collect();
            num::rms(&errors)
        };
        (0..law.len())
            .map(|lead| {
                let shown = sized(lead) / one;
                if shown > 0.0 {
                    let independent = self.independent(lead);
                    let trust = independent / (independent + LAW_WEIGHT);
                    correction = trust * libm::log(shown / law[lead]);
                }
                largest = largest.max(law[lead] * libm::exp(correction));
                largest
            })
            .collect()
    }

    /// Independent errors that were seen over whole paths. Errors at neighbouring leads go together: where a walk leaves
    /// its forecast it stays away, and the whole path is one error. With their correlation `r` a path of `h` leads holds
    /// `h·(1 - r)/(1 + r)` of them, as a first-order autoregression does (Bartlett, 1946).
    fn freedom(&self, horizon: usize, growth: &[f64]) -> f64 {
        let (mut together, mut alone) = (0.0, 0.0);
        for row in &self.rows {
            let standard: Vec<f64> = row.iter().zip(growth).map(|(e, g)| e / g).collect();
            for pair in standard.windows(2) {
                together += pair[0] * pair[1];
                alone += f64::midpoint(pair[0] * pair[0], pair[1] * pair[1]);
            }
        }
        let correlation = if alone > 0.0 {
            (together / alone).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let leads = num::count(horizon);
        let each = (leads * (1.0 - correlation) / (1.0 + correlation)).clamp(1.0, ERRORS_PER_PATH_MAX);
        let span = num::count(self.rows.len() * self.stride);
        (each * span / leads).max(1.0)
    }
}

/// How much wider for having seen few independent errors: Student's t over the normal quantile.
fn caution(freedom: f64, level: Level) -> f64 {
    let normal = Normal::standard().inverse_cdf(f64::midpoint(level.get(), 1.0));
    if normal > 0.0 {
        (student(freedom, level) / normal).clamp(1.0, CAUTION_MAX)
    } else {
        1.0
    }
}

/// How many sizes the interval reaches below and above, and whether the errors decided it. Both never fall with the
/// level: intervals nest.
fn tails(standard: &[f64], origins: usize, freedom: f64, level: Level) -> (f64, bool) {
    let student = student(freedom, level);
    if origins < CONFORMAL_MIN || standard.iter().any(|e| !e.is_finite()) {
        return (student, false);
    }
    let sizes = standard.iter().map(|e| e.abs()).collect();
    conformal(sizes, level.get(), student)
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
        for n in [1_usize, 5, 19, 20, 60, 200] {
            let errors: Vec<f64> = (0..n).map(|i| num::count((i * 7919) % 101) / 101.0 - 0.3).collect();
            let mut last = 0.0;
            for k in 1..200 {
                let level = Level::new(f64::from(k) / 200.0).unwrap();
                let (reach, _) = tails(&errors, n, num::count(n), level);
                assert!(reach >= last, "{n} {k}");
                last = reach;
            }
        }
    }
}
