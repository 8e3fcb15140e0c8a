//! The linear program over the contents found so far: a primal simplex with a dense inverse, for a few dozen rows.
//!
//! Only its prices are used, and those are checked afterwards in whole numbers: a rounding here can make a bound weaker,
//! never wrong.

/// Pivots of one solution; with slightly perturbed amounts a few per row are enough.
const PIVOTS_PER_ROW: usize = 40;

/// What counts as zero.
const TINY: f64 = 1e-9;

#[derive(Debug)]
struct Column {
    cost: f64,
    entries: Vec<(usize, f64)>,
}

/// `min cost·x` over `demand` rows that must be covered and `limit` rows that must not be exceeded.
#[derive(Debug)]
pub(super) struct Master {
    columns: Vec<Column>,
    basis: Vec<usize>,
    inverse: Vec<Vec<f64>>,
    level: Vec<f64>,
    /// Columns that stand for what is left out or over.
    own: usize,
}

impl Master {
    /// Rows first of demands, with what leaving one of it uncovered costs, then of limits.
    pub(super) fn new(demands: &[(f64, f64)], limits: &[f64]) -> Self {
        let rows = demands.len() + limits.len();
        let mut columns = Vec::new();
        let mut level = Vec::new();
        for (row, (amount, penalty)) in demands.iter().enumerate() {
            columns.push(Column {
                cost: *penalty,
                entries: vec![(row, 1.0)],
            });
            // Slightly different amounts keep the pivots from turning in a circle.
            let number = f64::from(u32::try_from(row + 1).unwrap_or(u32::MAX));
            level.push(amount * (1.0 + 1e-7 * number));
        }
        for (index, amount) in limits.iter().enumerate() {
            columns.push(Column {
                cost: 0.0,
                entries: vec![(demands.len() + index, 1.0)],
            });
            level.push(*amount);
        }
        let surplus = (0..demands.len()).map(|row| Column {
            cost: 0.0,
            entries: vec![(row, -1.0)],
        });
        columns.extend(surplus);
        let unit = |row: usize| (0..rows).map(|c| if c == row { 1.0 } else { 0.0 }).collect();
        Self {
            own: columns.len(),
            columns,
            basis: (0..rows).collect(),
            inverse: (0..rows).map(unit).collect(),
            level,
        }
    }

    /// One more content that may be taken.
    pub(super) fn add(&mut self, cost: f64, entries: Vec<(usize, f64)>) {
        self.columns.push(Column { cost, entries });
    }

    /// Solves on from where it is; gives the price of each row (of a limit: not above zero).
    pub(super) fn solve(&mut self) -> Vec<f64> {
        let rows = self.basis.len();
        for _ in 0..PIVOTS_PER_ROW * rows {
            let prices = self.prices();
            let Some(entering) = self.entering(&prices) else {
                return prices;
            };
            if !self.pivot(entering) {
                break;
            }
        }
        self.prices()
    }

    /// How much of each content is taken that was added, by the order of adding; those not named are not taken.
    pub(super) fn taken(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let own = self.own;
        let basis = self.basis.iter().zip(&self.level);
        basis.filter_map(move |(column, level)| Some((column.checked_sub(own)?, *level)))
    }

    fn prices(&self) -> Vec<f64> {
        let mut prices = vec![0.0; self.basis.len()];
        for (column, row) in self.basis.iter().zip(&self.inverse) {
            let cost = self.columns[*column].cost;
            if cost != 0.0 {
                prices
                    .iter_mut()
                    .zip(row)
                    .for_each(|(price, entry)| *price += cost * entry);
            }
        }
        prices
    }

    /// The column that would save most per unit of its own cost.
    fn entering(&self, prices: &[f64]) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for (index, column) in self.columns.iter().enumerate() {
            let worth: f64 = column.entries.iter().map(|(row, entry)| prices[*row] * entry).sum();
            let saving = (worth - column.cost) / (column.cost.abs() + 1.0);
            if saving > TINY && best.is_none_or(|(most, _)| saving > most) {
                best = Some((saving, index));
            }
        }
        best.map(|(_, index)| index)
    }

    /// Brings a column into the basis; whether it could.
    fn pivot(&mut self, entering: usize) -> bool {
        let direction: Vec<f64> = self
            .inverse
            .iter()
            .map(|row| {
                self.columns[entering]
                    .entries
                    .iter()
                    .map(|(c, entry)| row[*c] * entry)
                    .sum()
            })
            .collect();
        let mut leaving: Option<(f64, usize)> = None;
        for (row, slope) in direction.iter().enumerate().filter(|(_, slope)| **slope > TINY) {
            let ratio = self.level[row] / slope;
            if leaving.is_none_or(|(least, _)| ratio < least) {
                leaving = Some((ratio, row));
            }
        }
        let Some((ratio, out)) = leaving else { return false };
        let pivot = direction[out];
        self.inverse[out].iter_mut().for_each(|entry| *entry /= pivot);
        let pivot_row = self.inverse[out].clone();
        for (row, slope) in direction
            .iter()
            .enumerate()
            .filter(|(row, slope)| *row != out && **slope != 0.0)
        {
            let target = &mut self.inverse[row];
            target
                .iter_mut()
                .zip(&pivot_row)
                .for_each(|(entry, above)| *entry -= slope * above);
            self.level[row] = (self.level[row] - slope * ratio).max(0.0);
        }
        self.level[out] = ratio;
        self.basis[out] = entering;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_program_is_solved_to_its_known_optimum() {
        // Cover 6 of a and 4 of b: content (2, 1) at 5 and (1, 2) at 6; dual prices 4/3 and 7/3, objective 52/3.
        let mut master = Master::new(&[(6.0, 100.0), (4.0, 100.0)], &[]);
        master.add(5.0, vec![(0, 2.0), (1, 1.0)]);
        master.add(6.0, vec![(0, 1.0), (1, 2.0)]);
        let prices = master.solve();
        assert!(
            (prices[0] - 4.0 / 3.0).abs() < 1e-6 && (prices[1] - 7.0 / 3.0).abs() < 1e-6,
            "{prices:?}"
        );
    }

    #[test]
    fn a_limit_has_a_price_below_zero_when_it_binds() {
        // Free room for one content of 2, everything else at 3 each.
        let mut master = Master::new(&[(5.0, 100.0)], &[1.0]);
        master.add(0.0, vec![(0, 2.0), (1, 1.0)]);
        master.add(3.0, vec![(0, 1.0)]);
        let prices = master.solve();
        assert!(
            (prices[0] - 3.0).abs() < 1e-6 && (prices[1] + 6.0).abs() < 1e-6,
            "{prices:?}"
        );
    }
}
