//! Robust least squares with a ridge: Huber's M-estimate of a linear model with few dense columns and, beside them, at
//! most one long block of indicator columns (a profile over the phases of a season).
//!
//! The normal matrix is factored once; robustness comes from Huber's modified residuals (Huber, Robust Statistics, 1981,
//! section 7.8), which has the fixed point of re-weighting but reuses the factor, so that a pass costs rows times columns
//! instead of rows times columns squared. The indicator block is eliminated first: its own normal matrix is diagonal.
//! What the columns mean does not belong here (`lagged` knows).

use crate::num::{MAD_TO_SD, median};

/// Huber's constant, in robust standard deviations: 96 % efficient for normal errors.
const HUBER: f64 = 1.5;
/// A pivot below this share of its diagonal is a column that the others explain: its coefficient stays 0.
const PIVOT_MIN: f64 = 1e-10;
/// Lanes of the dot product: wide enough for the processor, and the order of additions is fixed.
const LANES: usize = 8;

/// What is to be solved: `target ≈ Σ βᵢ·columnᵢ + profile[phase]`, row by row.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    /// Columns of equal length.
    pub(crate) columns: Vec<&'a [f64]>,
    /// As long as the columns.
    pub(crate) target: &'a [f64],
    /// Weights of the rows, as long as the columns.
    pub(crate) weights: Option<&'a [f64]>,
    /// Added to the diagonal of the normal matrix, one for each column: a share of the diagonal, and an amount.
    pub(crate) ridge_share: f64,
    pub(crate) ridge: &'a [f64],
    /// The block of indicators, if any.
    pub(crate) profile: Option<Profile>,
}

/// Indicators of the phases of one period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) period: usize,
    /// Phase of the first row.
    pub(crate) first: usize,
    pub(crate) ridge: f64,
}

/// The coefficients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Solution {
    pub(crate) columns: Vec<f64>,
    /// One for each phase; empty without a profile.
    pub(crate) profile: Vec<f64>,
}

/// The normal matrix with the profile eliminated, factored.
struct Normal {
    ridge: Vec<f64>,
    factor: Cholesky,
    /// `weight · column` summed over the rows of a phase, phase by phase, and the sums of weights with the ridge.
    cross: Vec<f64>,
    counts: Vec<f64>,
}

/// The M-estimate after so many passes; one pass is least squares.
pub(crate) fn solve(problem: &Problem<'_>, passes: usize) -> Solution {
    let weighted = weighted_columns(problem);
    let normal = Normal::of(problem, &weighted);
    let mut found = Solution {
        columns: vec![0.0; problem.columns.len()],
        profile: vec![0.0; problem.profile.map_or(0, |p| p.period)],
    };
    let mut residuals = problem.target.to_vec();
    let mut sizes = Vec::with_capacity(residuals.len());
    for pass in 0..passes {
        let mut bounded = residuals.clone();
        if pass > 0 {
            sizes.clear();
            sizes.extend(residuals.iter().map(|r| r.abs()));
            let reach = HUBER * MAD_TO_SD * median(&mut sizes);
            if reach > 0.0 {
                for r in &mut bounded {
                    *r = r.clamp(-reach, reach);
                }
            }
        }
        normal.improve(problem, &weighted, &bounded, &mut found);
        residuals.copy_from_slice(problem.target);
        subtract_fit(problem, &found, &mut residuals);
    }
    found
}

fn weighted_columns(problem: &Problem<'_>) -> Vec<Vec<f64>> {
    let Some(weights) = problem.weights else {
        return Vec::new();
    };
    let weighted = |column: &&[f64]| column.iter().zip(weights).map(|(x, w)| x * w).collect();
    problem.columns.iter().map(weighted).collect()
}

fn subtract_fit(problem: &Problem<'_>, found: &Solution, residuals: &mut [f64]) {
    for (column, beta) in problem.columns.iter().zip(&found.columns) {
        for (r, x) in residuals.iter_mut().zip(*column) {
            *r -= beta * x;
        }
    }
    if let Some(profile) = problem.profile {
        for (row, r) in residuals.iter_mut().enumerate() {
            *r -= found.profile[(profile.first + row) % profile.period];
        }
    }
}

impl Normal {
    fn of(problem: &Problem<'_>, weighted: &[Vec<f64>]) -> Self {
        let size = problem.columns.len();
        let mut matrix = vec![0.0; size * size];
        let mut ridge = vec![0.0; size];
        for i in 0..size {
            let left = weighted.get(i).map_or(problem.columns[i], Vec::as_slice);
            for j in 0..=i {
                matrix[i * size + j] = dot(left, problem.columns[j]);
            }
            ridge[i] = problem.ridge_share * matrix[i * size + i] + problem.ridge[i];
            matrix[i * size + i] += ridge[i];
        }
        let (cross, counts) = profile_sums(problem, weighted);
        for (phase, count) in counts.iter().enumerate() {
            let row = &cross[phase * size..(phase + 1) * size];
            for i in 0..size {
                let share = row[i] / count;
                for j in 0..=i {
                    matrix[i * size + j] -= share * row[j];
                }
            }
        }
        Self {
            ridge,
            factor: Cholesky::of(matrix, size),
            cross,
            counts,
        }
    }

    /// One Newton step for the bounded residuals.
    fn improve(&self, problem: &Problem<'_>, weighted: &[Vec<f64>], bounded: &[f64], found: &mut Solution) {
        let size = problem.columns.len();
        let mut right: Vec<f64> = (0..size)
            .map(|i| {
                let column = weighted.get(i).map_or(problem.columns[i], Vec::as_slice);
                dot(column, bounded) - self.ridge[i] * found.columns[i]
            })
            .collect();
        let mut sums = vec![0.0; self.counts.len()];
        if let Some(profile) = problem.profile {
            for (row, r) in bounded.iter().enumerate() {
                let weight = problem.weights.map_or(1.0, |w| w[row]);
                sums[(profile.first + row) % profile.period] += weight * r;
            }
            for (phase, sum) in sums.iter_mut().enumerate() {
                *sum -= profile.ridge * found.profile[phase];
                let share = *sum / self.counts[phase];
                for (r, c) in right.iter_mut().zip(&self.cross[phase * size..]) {
                    *r -= share * c;
                }
            }
        }
        self.factor.solve(&mut right);
        for (beta, step) in found.columns.iter_mut().zip(&right) {
            *beta += step;
        }
        for (phase, sum) in sums.iter().enumerate() {
            let explained = dot(&self.cross[phase * size..(phase + 1) * size], &right);
            found.profile[phase] += (sum - explained) / self.counts[phase];
        }
    }
}

fn profile_sums(problem: &Problem<'_>, weighted: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let size = problem.columns.len();
    let Some(profile) = problem.profile else {
        return (Vec::new(), Vec::new());
    };
    let mut cross = vec![0.0; size * profile.period];
    let mut counts = vec![profile.ridge; profile.period];
    for row in 0..problem.target.len() {
        counts[(profile.first + row) % profile.period] += problem.weights.map_or(1.0, |w| w[row]);
    }
    for i in 0..size {
        let column = weighted.get(i).map_or(problem.columns[i], Vec::as_slice);
        for (row, x) in column.iter().enumerate() {
            cross[(profile.first + row) % profile.period * size + i] += x;
        }
    }
    (cross, counts)
}

/// The lower factor of a symmetric matrix, row by row; a column without information has an infinite pivot.
struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Reads the lower triangle.
    fn of(mut matrix: Vec<f64>, size: usize) -> Self {
        for i in 0..size {
            let diagonal = matrix[i * size + i];
            for j in 0..=i {
                let (above, below) = matrix.split_at(i * size);
                let inner = if i == j {
                    dot(&below[..j], &below[..j])
                } else {
                    dot(&below[..j], &above[j * size..j * size + j])
                };
                let left = matrix[i * size + j] - inner;
                matrix[i * size + j] = if i == j {
                    let is_known = left > PIVOT_MIN * diagonal && left > 0.0;
                    if is_known { left.sqrt() } else { f64::INFINITY }
                } else {
                    left / matrix[j * size + j]
                };
            }
        }
        Self { size, lower: matrix }
    }

    fn solve(&self, right: &mut [f64]) {
        for i in 0..self.size {
            let row = &self.lower[i * self.size..=i * self.size + i];
            right[i] = (right[i] - dot(&row[..i], &right[..i])) / row[i];
        }
        for i in (0..self.size).rev() {
            right[i] /= self.lower[i * self.size + i];
            let x = right[i];
            for (r, l) in right[..i].iter_mut().zip(&self.lower[i * self.size..]) {
                *r -= x * l;
            }
        }
    }
}

/// The scalar product, in lanes.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let mut lanes = [0.0; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f64 = chunks_a
        .remainder()
        .iter()
        .zip(chunks_b.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: usize) -> f64 {
        f64::from(u16::try_from((i * 7919 + i * i * 31) % 1009).unwrap()) / 1009.0 - 0.5
    }

    fn columns(rows: usize) -> Vec<Vec<f64>> {
        (0..3)
            .map(|c| (0..rows).map(|i| noise(i * 3 + c * 101 + 1)).collect())
            .collect()
    }

    fn problem<'a>(columns: &'a [Vec<f64>], target: &'a [f64], profile: Option<Profile>) -> Problem<'a> {
        Problem {
            columns: columns.iter().map(Vec::as_slice).collect(),
            target,
            weights: None,
            ridge_share: 0.0,
            ridge: &[0.0; 3],
            profile,
        }
    }

    #[test]
    fn coefficients_and_profile_of_an_exact_model_come_back() {
        let columns = columns(120);
        let table = [0.5, -1.0, 0.25, 2.0];
        let target: Vec<f64> = (0..120)
            .map(|i| 2.0 * columns[0][i] - columns[1][i] + 0.5 * columns[2][i] + table[(i + 1) % 4])
            .collect();
        let profile = Profile {
            period: 4,
            first: 1,
            ridge: 1e-12,
        };
        let found = solve(&problem(&columns, &target, Some(profile)), 3);
        for (beta, truth) in found.columns.iter().zip([2.0, -1.0, 0.5]) {
            assert!((beta - truth).abs() < 1e-8);
        }
        for (value, truth) in found.profile.iter().zip(table) {
            assert!((value - truth).abs() < 1e-8);
        }
    }

    /// At the M-estimate the bounded residuals are orthogonal to every column: its definition, not its algorithm.
    #[test]
    fn bounded_residuals_are_orthogonal_and_outliers_do_not_pull() {
        let columns = columns(200);
        let mut target: Vec<f64> = (0..200).map(|i| columns[0][i] + 0.02 * noise(i + 7)).collect();
        for i in (0..200).step_by(10) {
            target[i] += 50.0;
        }
        let plain = solve(&problem(&columns, &target, None), 1);
        let robust = solve(&problem(&columns, &target, None), 60);
        assert!((robust.columns[0] - 1.0).abs() < 0.05 && (plain.columns[0] - 1.0).abs() > 0.2);
        let mut residuals = target.clone();
        subtract_fit(&problem(&columns, &target, None), &robust, &mut residuals);
        let mut sizes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
        let reach = HUBER * MAD_TO_SD * median(&mut sizes);
        let bounded: Vec<f64> = residuals.iter().map(|r| r.clamp(-reach, reach)).collect();
        for column in &columns {
            assert!(dot(column, &bounded).abs() < 1e-4, "{}", dot(column, &bounded));
        }
    }

    #[test]
    fn equal_and_empty_columns_are_left_out_without_harm() {
        let mut columns = columns(50);
        columns[1] = columns[0].clone();
        columns[2] = vec![0.0; 50];
        let target: Vec<f64> = columns[0].iter().map(|x| 3.0 * x).collect();
        let found = solve(&problem(&columns, &target, None), 5);
        assert!(found.columns.iter().all(|b| b.is_finite()));
        assert!((found.columns[0] + found.columns[1] - 3.0).abs() < 1e-6);
    }
}
