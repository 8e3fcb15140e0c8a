//! Steps on values that can be undone, and the record that undoes them.
//!
//! Sources: Box and Cox, Journal of the Royal Statistical Society B 26 (1964), equation 3 and the profile likelihood of
//! section 3. All three are strictly rising, so an interval stays an interval; the point of a forecast becomes the median
//! of the original unit, not its mean.

use serde::{Deserialize, Serialize};

use super::pipeline::PrepareError;
use super::step::Step;
use crate::num::{Unit, count, mean, saturate};

/// Powers looked at when `λ` is fitted: from the reciprocal to the square.
const LAMBDA: (f64, f64) = (-1.0, 2.0);
/// Golden-section steps for `λ`: 3 · 0.618³⁰ is below 2e-6.
const LAMBDA_STEPS: usize = 30;
/// Powers nearer to zero than this are the logarithm.
const LAMBDA_LOG: f64 = 1e-9;

/// One transform that was applied, with what it was fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Applied {
    Log1p,
    BoxCox { lambda: f64 },
    Standardise { mean: f64, sd: f64 },
}

/// Undoes the invertible steps of a pipeline, last one first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inverse(Vec<Applied>);

impl Inverse {
    /// A value of the prepared series in the unit of the samples (per second, after a counter). Strictly rising where it
    /// is not clipped; a value outside of a transform's image goes to the nearest end (below zero bytes is zero bytes),
    /// beyond the largest float to the largest. NaN stays NaN.
    #[must_use]
    pub fn apply(&self, value: f64) -> f64 {
        let back = self.0.iter().rev().fold(value, |v, applied| applied.undo(v));
        saturate(back)
    }

    /// The powers that were used by Box-Cox steps, in order of the pipeline.
    pub fn lambdas(&self) -> impl Iterator<Item = f64> + '_ {
        self.0.iter().filter_map(|a| match a {
            Applied::BoxCox { lambda } => Some(*lambda),
            Applied::Log1p | Applied::Standardise { .. } => None,
        })
    }

    /// Fits a transform to all values (in several segments), applies it in place and remembers how to undo it.
    pub(crate) fn transform(&mut self, step: &Step, segments: &mut [Vec<f64>]) -> Result<(), PrepareError> {
        check_domain(step, segments)?;
        let all: Vec<f64> = segments.concat();
        let applied = match step {
            Step::Log1p => Applied::Log1p,
            Step::BoxCox { lambda } => Applied::BoxCox {
                lambda: lambda.unwrap_or_else(|| likeliest(&all)),
            },
            Step::Standardise => standard(&all),
            Step::Order(_) | Step::CounterToRate | Step::Hampel(_) | Step::Resample(_) | Step::Seasons => return Ok(()),
        };
        for (index, value) in segments.iter_mut().flatten().enumerate() {
            *value = applied.apply(*value);
            if !value.is_finite() {
                return Err(PrepareError::Overflow {
                    step: step.name(),
                    index,
                });
            }
        }
        self.0.push(applied);
        Ok(())
    }
}

impl Applied {
    fn apply(self, y: f64) -> f64 {
        match self {
            Self::Log1p => libm::log1p(y),
            Self::BoxCox { lambda } => box_cox(y, lambda),
            Self::Standardise { mean, sd } => (y - mean) / sd,
        }
    }

    fn undo(self, z: f64) -> f64 {
        match self {
            Self::Log1p => saturate(libm::expm1(z)),
            Self::BoxCox { lambda } if lambda.abs() < LAMBDA_LOG => saturate(libm::exp(z)),
            Self::BoxCox { lambda } => {
                let base = lambda * z + 1.0;
                // The image is bounded by -1/λ: above for a negative power, below for a positive one.
                match (base > 0.0, lambda > 0.0) {
                    (true, _) => saturate(libm::pow(base, 1.0 / lambda)),
                    (false, true) => 0.0,
                    (false, false) => f64::MAX,
                }
            }
            Self::Standardise { mean, sd } => saturate(mean + saturate(z * sd)),
        }
    }
}

/// Box and Cox's transform of a positive value; `expm1` keeps its digits where the power is small.
fn box_cox(y: f64, lambda: f64) -> f64 {
    if lambda.abs() < LAMBDA_LOG {
        libm::log(y)
    } else {
        libm::expm1(lambda * libm::log(y)) / lambda
    }
}

fn check_domain(step: &Step, segments: &[Vec<f64>]) -> Result<(), PrepareError> {
    let above = match step {
        Step::Log1p => -1.0,
        Step::BoxCox { .. } => 0.0,
        Step::Order(_)
        | Step::CounterToRate
        | Step::Hampel(_)
        | Step::Resample(_)
        | Step::Seasons
        | Step::Standardise => return Ok(()),
    };
    match segments.iter().flatten().enumerate().find(|(_, v)| **v <= above) {
        Some((index, &value)) => Err(PrepareError::OutOfDomain {
            step: step.name(),
            index,
            value,
        }),
        None => Ok(()),
    }
}

fn standard(values: &[f64]) -> Applied {
    let middle = mean(values);
    let sd = Unit::of(values).map_or(1.0, |unit| {
        let z: Vec<f64> = values.iter().map(|v| unit.to_unit(*v)).collect();
        let zero = mean(&z);
        let square = z.iter().map(|v| (v - zero) * (v - zero)).sum::<f64>() / count(z.len());
        saturate(square.sqrt() * unit.half())
    });
    Applied::Standardise {
        mean: middle,
        sd: if sd > 0.0 { sd } else { 1.0 },
    }
}

/// The power with the largest profile likelihood, by golden section; constant values give 1 (no change but a shift).
fn likeliest(values: &[f64]) -> f64 {
    // The likelihood does not depend on the unit: values are divided by their largest so that no power overflows.
    let largest = values.iter().copied().fold(0.0, f64::max);
    let logs: Vec<f64> = values.iter().map(|v| libm::log(v / largest)).collect();
    if Unit::of(&logs).is_none() || logs.iter().any(|l| !l.is_finite()) {
        return 1.0;
    }
    let log_sum: f64 = logs.iter().sum();
    let cost = |lambda: f64| {
        let z: Vec<f64> = logs
            .iter()
            .map(|l| {
                if lambda.abs() < LAMBDA_LOG {
                    *l
                } else {
                    libm::expm1(lambda * l) / lambda
                }
            })
            .collect();
        let zero = mean(&z);
        let variance = z.iter().map(|v| (v - zero) * (v - zero)).sum::<f64>() / count(z.len());
        count(z.len()) / 2.0 * libm::log(variance) - (lambda - 1.0) * log_sum
    };
    let ratio = f64::midpoint(5.0_f64.sqrt(), -1.0);
    let (mut lo, mut hi) = LAMBDA;
    for _ in 0..LAMBDA_STEPS {
        let (a, b) = (hi - ratio * (hi - lo), lo + ratio * (hi - lo));
        if cost(a) <= cost(b) { hi = b } else { lo = a }
    }
    f64::midpoint(lo, hi)
}
