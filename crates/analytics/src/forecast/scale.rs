//! The scale on which a method sees the series: as it is, or bent so that swings which grow with the level even out.
//!
//! The usual logarithm needs to know where zero is, and then a shift of the series changes the answer. Here the origin is
//! estimated: of a few distances below the smallest value (in ranges of the series) the likeliest is taken, so that
//! forecasts move with shift and scale, and zeros and negatives are no special case.
//!
//! Source: the two-parameter transform of Box and Cox, Journal of the Royal Statistical Society B 26 (1964), equation 2,
//! and the profile likelihood of section 3; ours are the errors (those of a seasonal difference with a first-order
//! autoregression) and their law (Laplace's, which outliers move less than the normal one).

use crate::num;

/// How a scale is bent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Straight,
    Root,
    Log,
}

/// A bent scale for values on the unit scale; strictly rising.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bend {
    shape: Shape,
    /// Distance of the origin below the smallest value, in ranges.
    origin: f64,
}

/// Distances tried: from swings that nearly vanish at the smallest value to hardly any bend.
const ORIGINS: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
/// Least distance from the origin that a value may have, as a share of the origin's: an update may bring values below
/// the range that the scale was made for.
const NEAREST: f64 = 0.05;
/// Beyond so many logarithms no forecast is kept anyhow, and nothing overflows.
const LOG_MAX: f64 = 20.0;

impl Bend {
    pub(crate) const STRAIGHT: Self = Self {
        shape: Shape::Straight,
        origin: 1.0,
    };

    /// A logarithm with a given origin.
    pub(crate) const fn log(origin: f64) -> Self {
        Self {
            shape: Shape::Log,
            origin,
        }
    }

    /// The scale of this shape with the likeliest origin.
    pub(crate) fn fit(shape: Shape, values: &[f64], period: Option<usize>) -> Self {
        let distance = period.unwrap_or(1).min(values.len() / 3).max(1);
        let mut best = (f64::NEG_INFINITY, Self::STRAIGHT);
        if shape == Shape::Straight || values.len() < distance + 3 {
            return best.1;
        }
        for origin in ORIGINS {
            let likelihood = likelihood(
                Self {
                    shape: Shape::Log,
                    origin,
                },
                values,
                distance,
            );
            if likelihood > best.0 {
                best = (likelihood, Self { shape, origin });
            }
        }
        best.1
    }

    /// What is added to a value on the unit scale to get twice its distance from the origin in ranges.
    pub(crate) fn offset(self) -> f64 {
        1.0 + 2.0 * self.origin
    }

    pub(crate) fn apply(self, unit: f64) -> f64 {
        let from_origin = (f64::midpoint(unit, 1.0) + self.origin).max(self.origin * NEAREST);
        match self.shape {
            Shape::Straight => unit,
            Shape::Root => from_origin.sqrt(),
            Shape::Log => libm::log(from_origin),
        }
    }

    pub(crate) fn undo(self, bent: f64) -> f64 {
        let from_origin = match self.shape {
            Shape::Straight => return bent,
            Shape::Root => bent.max(0.0) * bent.max(0.0),
            Shape::Log => libm::exp(bent.min(LOG_MAX)),
        };
        2.0 * (from_origin - self.origin) - 1.0
    }
}

/// Logarithm of the likelihood of the values under this scale, up to a constant.
fn likelihood(bend: Bend, values: &[f64], distance: usize) -> f64 {
    let z: Vec<f64> = values.iter().map(|v| bend.apply(*v)).collect();
    let w: Vec<f64> = z[distance..].iter().zip(&z).map(|(a, b)| a - b).collect();
    let (mut cross, mut square) = (0.0, 0.0);
    for pair in w.windows(2) {
        cross += pair[0] * pair[1];
        square += pair[0] * pair[0];
    }
    let persistence = if square > 0.0 { cross / square } else { 0.0 };
    let size = w.windows(2).map(|p| (p[1] - persistence * p[0]).abs()).sum::<f64>();
    // The derivative of the logarithm is one over the distance from the origin: the second sum is the Jacobian.
    -num::count(w.len() - 1) * libm::log(size.max(f64::MIN_POSITIVE)) - z[distance + 1..].iter().sum::<f64>()
}
