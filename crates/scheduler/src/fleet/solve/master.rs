//! The restricted master: a linear program `min cost·x, A x = b, x >= 0` that grows by columns.
//!
//! A primal simplex with a dense explicit inverse: at some hundreds of rows a pivot costs a fraction of a millisecond, and
//! nothing is proven by it. Its floating-point prices are only proposals: what they bound is established in integers by
//! `price` and `generate`. What a row or a column means does not belong here.

use super::matrix::inverted;

/// Entries smaller than this are no pivots.
const PIVOT_MIN: f64 = 1e-7;
/// Reduced costs must be below this share of a typical price to enter.
const REDUCED_MIN: f64 = 1e-9;
/// Pivots between two fresh inverses: rounding errors grow with their number.
const PIVOTS_PER_INVERSE: u32 = 400;
/// Columns looked at for the next pivots, until they save less than this share of the best saving.
const CANDIDATES: usize = 48;
const LEAST_SHARE: f64 = 0.1;

/// A column: its cost and its non-zero entries by row, rising.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) cost: f64,
    /// What costs are small or large against.
    pub(super) scale: f64,
    pub(super) entries: Vec<(u32, f64)>,
}

/// The program and its current basic solution.
#[derive(Debug, Clone)]
pub(super) struct Master {
    rows: usize,
    /// Right-hand side, a little perturbed so that no vertex is degenerate.
    rhs: Vec<f64>,
    columns: Vec<Column>,
    /// Column by row of the basis.
    basis: Vec<usize>,
    in_basis: Vec<bool>,
    /// Row-major inverse of the basis.
    inverse: Vec<f64>,
    /// Values of the basic columns.
    level: Vec<f64>,
    /// Dual values by row.
    prices: Vec<f64>,
    since_inverse: u32,
    /// Columns looked at for the next pivots, and what one must save to be taken without a look at all.
    candidates: Vec<usize>,
    /// Columns that could not be brought in.
    refused: Vec<usize>,
    least: f64,
}

impl Master {
    /// A program whose first basis is one artificial column per row, `+1` in it, at these costs. Right-hand sides must
    /// not be negative.
    pub(super) fn new(rhs: &[f64], artificial_costs: &[f64]) -> Self {
        let rows = rhs.len();
        let mut inverse = vec![0.0; rows * rows];
        (0..rows).for_each(|r| inverse[r * rows + r] = 1.0);
        let columns = artificial_costs
            .iter()
            .zip(0u32..)
            .map(|(cost, row)| Column {
                cost: *cost,
                scale: cost.abs(),
                entries: vec![(row, 1.0)],
            })
            .collect();
        let rhs: Vec<f64> = rhs
            .iter()
            .enumerate()
            .map(|(row, b)| b + perturbation(row, *b))
            .collect();
        Self {
            rows,
            level: rhs.clone(),
            rhs,
            columns,
            basis: (0..rows).collect(),
            in_basis: vec![true; rows],
            inverse,
            prices: artificial_costs.to_vec(),
            since_inverse: 0,
            candidates: Vec::new(),
            refused: Vec::new(),
            least: REDUCED_MIN,
        }
    }

    /// Adds a column and gives its number.
    pub(super) fn add(&mut self, column: Column) -> usize {
        self.columns.push(column);
        self.in_basis.push(false);
        self.columns.len() - 1
    }

    /// Dual value of each row.
    pub(super) fn prices(&self) -> &[f64] {
        &self.prices
    }

    /// What the current solution costs.
    pub(super) fn objective(&self) -> f64 {
        self.basis
            .iter()
            .zip(&self.level)
            .map(|(column, level)| self.columns[*column].cost * level)
            .sum()
    }

    /// Columns of the current solution with their values, by column.
    pub(super) fn solution(&self) -> Vec<(usize, f64)> {
        let mut solution: Vec<(usize, f64)> = self.basis.iter().copied().zip(self.level.iter().copied()).collect();
        solution.sort_unstable_by_key(|(column, _)| *column);
        solution
    }

    /// Reduced cost of a column that is not in the program yet, under the current prices.
    pub(super) fn reduced(&self, column: &Column) -> f64 {
        column.cost - dot(&column.entries, &self.prices)
    }

    /// Pivots until no column of the program improves it, or so many pivots; gives the pivots made.
    pub(super) fn solve(&mut self, pivots_max: u32) -> u32 {
        let mut pivots = 0;
        self.refused.clear();
        while pivots < pivots_max {
            let Some(entering) = self.entering() else { break };
            if !self.pivot(entering) {
                // Rounding errors, or a column that these numbers cannot take in.
                if self.since_inverse > 0 {
                    self.invert();
                } else {
                    self.refused.push(entering);
                }
                continue;
            }
            pivots += 1;
            if self.since_inverse >= PIVOTS_PER_INVERSE {
                self.invert();
            }
        }
        pivots
    }

    /// The column that saves most per unit among those that saved most when all were looked at; all are looked at again
    /// when none of them saves any more. `None` when no column saves.
    fn entering(&mut self) -> Option<usize> {
        for fresh in [false, true] {
            if fresh {
                self.look();
            }
            let mut list = std::mem::take(&mut self.candidates);
            let mut best: Option<(f64, usize)> = None;
            list.retain(|column| {
                let gain = self.gain(*column);
                if gain > best.map_or(0.0, |(other, _)| other) {
                    best = Some((gain, *column));
                }
                gain > REDUCED_MIN
            });
            self.candidates = list;
            if let Some((_, column)) = best.filter(|(gain, _)| *gain > if fresh { REDUCED_MIN } else { self.least }) {
                return Some(column);
            }
        }
        None
    }

    /// Looks at all columns for those that save most.
    fn look(&mut self) {
        let mut all: Vec<(f64, usize)> = (0..self.columns.len())
            .map(|column| (self.gain(column), column))
            .filter(|(gain, _)| *gain > REDUCED_MIN)
            .collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.truncate(CANDIDATES);
        self.least = all
            .first()
            .map_or(REDUCED_MIN, |(gain, _)| (gain * LEAST_SHARE).max(REDUCED_MIN));
        self.candidates = all.into_iter().map(|(_, column)| column).collect();
    }

    /// What a column saves per unit, as a share of its cost.
    fn gain(&self, column: usize) -> f64 {
        if self.in_basis[column] || self.refused.contains(&column) {
            return 0.0;
        }
        let column = &self.columns[column];
        -self.reduced(column) / column.scale.max(1.0)
    }

    /// Brings a column into the basis; false when numbers do not allow it.
    fn pivot(&mut self, entering: usize) -> bool {
        let rows = self.rows;
        let direction = self.direction(entering);
        let mut leaving: Option<(f64, usize)> = None;
        for (row, (step, level)) in direction.iter().zip(&self.level).enumerate() {
            if *step > PIVOT_MIN {
                let ratio = level.max(0.0) / step;
                let better = leaving.is_none_or(|(other, at)| {
                    ratio < other - 1e-12 || (ratio <= other + 1e-12 && *step > direction[at])
                });
                if better {
                    leaving = Some((ratio, row));
                }
            }
        }
        let Some((ratio, at)) = leaving else { return false };
        let reduced = self.reduced(&self.columns[entering]);
        for (level, step) in self.level.iter_mut().zip(&direction) {
            *level = (*level - ratio * step).max(0.0);
        }
        self.level[at] = ratio;
        let pivot = direction[at];
        let mut row_at: Vec<f64> = self.inverse[at * rows..(at + 1) * rows].to_vec();
        row_at.iter_mut().for_each(|value| *value /= pivot);
        for (row, step) in direction.iter().enumerate() {
            if row != at && step.abs() > 1e-13 {
                let target = &mut self.inverse[row * rows..(row + 1) * rows];
                target.iter_mut().zip(&row_at).for_each(|(t, p)| *t -= step * p);
            }
        }
        self.inverse[at * rows..(at + 1) * rows].copy_from_slice(&row_at);
        self.prices.iter_mut().zip(&row_at).for_each(|(y, p)| *y += reduced * p);
        self.in_basis[self.basis[at]] = false;
        self.in_basis[entering] = true;
        self.basis[at] = entering;
        self.since_inverse += 1;
        true
    }

    /// The inverse times a column.
    fn direction(&self, column: usize) -> Vec<f64> {
        let entries = &self.columns[column].entries;
        (0..self.rows)
            .map(|row| {
                let line = &self.inverse[row * self.rows..(row + 1) * self.rows];
                entries.iter().map(|(r, value)| line[*r as usize] * value).sum()
            })
            .collect()
    }

    /// Computes the inverse, the levels and the prices afresh from the basis (Gauss-Jordan with partial pivoting).
    fn invert(&mut self) {
        self.since_inverse = 0;
        let rows = self.rows;
        let mut matrix = vec![0.0; rows * rows];
        for (position, column) in self.basis.iter().enumerate() {
            for (row, value) in &self.columns[*column].entries {
                matrix[*row as usize * rows + position] = *value;
            }
        }
        let Some(inverse) = inverted(matrix, rows) else {
            return; // Singular in these numbers: the updated inverse is the better one.
        };
        self.inverse = inverse;
        for row in 0..rows {
            let line = &self.inverse[row * rows..(row + 1) * rows];
            self.level[row] = line.iter().zip(&self.rhs).map(|(a, b)| a * b).sum::<f64>().max(0.0);
        }
        self.price_rows();
    }

    /// The prices that the basis and its inverse give.
    fn price_rows(&mut self) {
        let rows = self.rows;
        self.prices.iter_mut().for_each(|price| *price = 0.0);
        for (row, column) in self.basis.iter().enumerate() {
            let cost = self.columns[*column].cost;
            let line = &self.inverse[row * rows..(row + 1) * rows];
            self.prices.iter_mut().zip(line).for_each(|(y, a)| *y += cost * a);
        }
    }
}

/// A small push of the right-hand side that differs from row to row and is the same in every run.
fn perturbation(row: usize, rhs: f64) -> f64 {
    let mut z = (row as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    #[expect(clippy::cast_precision_loss, reason = "only 20 bits are used")]
    let unit = (z >> 44) as f64 / f64::from(1u32 << 20);
    rhs.abs().max(1.0) * 1e-7 * (0.5 + unit)
}

fn dot(entries: &[(u32, f64)], dense: &[f64]) -> f64 {
    entries.iter().map(|(row, value)| dense[*row as usize] * value).sum()
}
