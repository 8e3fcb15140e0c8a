//! The fluid program as a linear program: `min price·z` where every class is spread over shapes and no shape is over-full.
//!
//! For each class `Σ_t x_ct = n_c`, for each shape and measure `Σ_c need_cm / capacity_tm · x_ct <= z_t`. A primal simplex
//! with generalised upper bounds (Dantzig and Van Slyke, 1967): each class has a home among the shapes, and only flows
//! beside it stand in the working basis, which so has a row per shape and measure, not one per class. Nothing is proven by
//! its floats. What a measure is, which shapes are looked at, and what the prices prove belong to the room above.

use super::super::carrier::as_float;
use super::super::matrix::inverted;

/// Entries smaller than this are no pivots.
const PIVOT_MIN: f64 = 1e-9;
/// What a flow must save, as a share of what it costs, to be brought in.
const SAVING_MIN: f64 = 1e-9;
/// Pivots between two fresh inverses: rounding errors grow with their number.
const PIVOTS_PER_INVERSE: u32 = 300;
/// Entering candidates kept of one look at all flows, until they save less than this share of the best saving.
const CANDIDATES: usize = 64;
const LEAST_SHARE: f64 = 0.05;
/// Machines of each shape that are bought beside those needed, so that no basis is degenerate.
const SPARE: f64 = 1e-7;

/// One shape: its price, and by measure one over its capacity (0 where it has none and nothing needs any).
#[derive(Debug, Clone)]
pub(super) struct Carrying {
    pub(super) price: f64,
    pub(super) inverse_capacity: Vec<f64>,
    /// By class: whether one copy fits.
    pub(super) holds: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    /// Copies of a class on a shape that is not its home.
    Flow { class: usize, shape: usize },
    /// Machines of a shape.
    Machines(usize),
    /// What a row leaves unused.
    Slack(usize),
}

/// The program and its current basic solution.
#[derive(Debug, Clone)]
pub(super) struct Simplex {
    measures: usize,
    /// By class and measure.
    needs: Vec<f64>,
    counts: Vec<f64>,
    shapes: Vec<Carrying>,
    /// By class: the shape that takes what other flows leave.
    home: Vec<usize>,
    /// By class: positions of its other flows in the basis.
    beside: Vec<Vec<usize>>,
    basis: Vec<Variable>,
    /// Row-major inverse of the working basis.
    inverse: Vec<f64>,
    level: Vec<f64>,
    /// By row: what one machine's measure costs; their sum over a shape's rows is its price.
    prices: Vec<f64>,
    since_inverse: u32,
}

/// What blocks an entering variable first.
#[derive(Debug, Clone, Copy)]
enum Blocker {
    Position(usize),
    Home(usize),
}

impl Simplex {
    /// A program over some shapes with each class at a home that holds it.
    pub(super) fn new(
        measures: usize,
        needs: Vec<f64>,
        counts: Vec<f64>,
        shapes: Vec<Carrying>,
        home: Vec<usize>,
    ) -> Self {
        let rows = shapes.len() * measures;
        let mut this = Self {
            measures,
            beside: vec![Vec::new(); counts.len()],
            needs,
            counts,
            shapes,
            home,
            basis: Vec::with_capacity(rows),
            inverse: Vec::new(),
            level: Vec::new(),
            prices: Vec::new(),
            since_inverse: 0,
        };
        let loads = this.loads_at_home();
        for shape in 0..this.shapes.len() {
            this.open(shape, &loads);
        }
        this.refresh();
        this
    }

    /// Takes in another shape, which carries nothing yet.
    pub(super) fn add_shape(&mut self, shape: Carrying) {
        self.shapes.push(shape);
        let at = self.shapes.len() - 1;
        let loads = vec![0.0; self.shapes.len() * self.measures];
        self.open(at, &loads);
        self.refresh();
    }

    /// Puts the rows of a shape into the basis: its machines where it is fullest, slack elsewhere.
    fn open(&mut self, shape: usize, loads: &[f64]) {
        let rows = shape * self.measures..(shape + 1) * self.measures;
        let need = |row: &usize| loads[*row] + self.spare(*row);
        let fullest = rows.clone().max_by(|a, b| need(a).total_cmp(&need(b)));
        for row in rows {
            self.basis.push(if Some(row) == fullest {
                Variable::Machines(shape)
            } else {
                Variable::Slack(row)
            });
        }
    }

    /// Pivots until nothing saves anything or `go_on`, asked after each look at all flows with the pivots since the last
    /// time, says no; tells whether the end was reached.
    pub(super) fn solve(&mut self, mut go_on: impl FnMut(u32) -> bool) -> bool {
        loop {
            let candidates = self.candidates();
            let Some(best) = candidates.first().map(|(saving, _)| *saving) else {
                return true;
            };
            let mut pivots = 0;
            for (_, variable) in candidates {
                if self.saving(variable) > LEAST_SHARE * best && self.bring_in(variable) {
                    pivots += 1;
                }
            }
            if pivots == 0 {
                self.refresh();
                return true;
            }
            if !go_on(pivots) {
                return false;
            }
        }
    }

    /// Prices of a shape's measures for its whole capacity: never negative, together its price.
    pub(super) fn prices_of(&self, shape: usize) -> Vec<f64> {
        let own = &self.prices[shape * self.measures..(shape + 1) * self.measures];
        let positive: Vec<f64> = own.iter().map(|p| p.max(0.0)).collect();
        let sum: f64 = positive.iter().sum();
        let scale = if sum > 0.0 { self.shapes[shape].price / sum } else { 0.0 };
        positive.iter().map(|p| p * scale).collect()
    }

    /// Value of each class: the least that any of the shapes takes for it, at most a machine's price whatever the numbers.
    pub(super) fn values(&self) -> Vec<f64> {
        let mut values = vec![f64::INFINITY; self.counts.len()];
        for (at, shape) in self.shapes.iter().enumerate() {
            let prices = self.prices_of(at);
            for (class, value) in values.iter_mut().enumerate().filter(|(class, _)| shape.holds[*class]) {
                let parts = self.need(class).iter().zip(&prices).zip(&shape.inverse_capacity);
                let cost: f64 = parts.map(|((n, p), i)| n * p * i).sum();
                *value = value.min(cost.min(shape.price));
            }
        }
        values
    }

    fn rows(&self) -> usize {
        self.basis.len()
    }

    fn need(&self, class: usize) -> &[f64] {
        &self.needs[class * self.measures..(class + 1) * self.measures]
    }

    /// Copies of a class at its home.
    fn at_home(&self, class: usize) -> f64 {
        self.counts[class] - self.beside[class].iter().map(|at| self.level[*at]).sum::<f64>()
    }

    fn loads_at_home(&self) -> Vec<f64> {
        let mut loads = vec![0.0; self.shapes.len() * self.measures];
        for (class, home) in self.home.iter().enumerate() {
            self.add_flow(&mut loads, class, *home, self.counts[class]);
        }
        loads
    }

    fn add_flow(&self, rows: &mut [f64], class: usize, shape: usize, copies: f64) {
        let own = &mut rows[shape * self.measures..(shape + 1) * self.measures];
        let shares = self.need(class).iter().zip(&self.shapes[shape].inverse_capacity);
        own.iter_mut()
            .zip(shares)
            .for_each(|(row, (n, i))| *row += n * i * copies);
    }

    /// The column of a variable in the working basis.
    fn column(&self, variable: Variable) -> Vec<f64> {
        let mut column = vec![0.0; self.rows()];
        match variable {
            Variable::Flow { class, shape } => {
                self.add_flow(&mut column, class, shape, 1.0);
                self.add_flow(&mut column, class, self.home[class], -1.0);
            }
            Variable::Machines(shape) => {
                column[shape * self.measures..(shape + 1) * self.measures].fill(-1.0);
            }
            Variable::Slack(row) => column[row] = 1.0,
        }
        column
    }

    /// What a copy of a class costs on a shape under the current prices.
    fn cost(&self, class: usize, shape: usize) -> f64 {
        let prices = &self.prices[shape * self.measures..(shape + 1) * self.measures];
        let parts = self
            .need(class)
            .iter()
            .zip(prices)
            .zip(&self.shapes[shape].inverse_capacity);
        parts.map(|((n, p), i)| n * p * i).sum()
    }

    /// What a variable saves per unit, times the units that there may be; 0 where that is not worth a pivot.
    fn saving(&self, variable: Variable) -> f64 {
        match variable {
            Variable::Flow { class, shape } => {
                let here = self.cost(class, self.home[class]);
                let saved = here - self.cost(class, shape);
                if saved > SAVING_MIN * here.abs().max(1.0) {
                    saved * self.counts[class]
                } else {
                    0.0
                }
            }
            Variable::Machines(shape) => {
                let sum: f64 = self.prices[shape * self.measures..(shape + 1) * self.measures]
                    .iter()
                    .sum();
                let saved = sum - self.shapes[shape].price;
                if saved > SAVING_MIN * self.shapes[shape].price {
                    saved
                } else {
                    0.0
                }
            }
            Variable::Slack(row) => {
                let price = self.shapes[row / self.measures].price;
                let saved = -self.prices[row];
                if saved > SAVING_MIN * price { saved } else { 0.0 }
            }
        }
    }

    /// Variables outside the basis that save most, the best first.
    fn candidates(&mut self) -> Vec<(f64, Variable)> {
        self.refresh_prices();
        let unit: Vec<f64> = (0..self.rows())
            .map(|row| self.prices[row] * self.shapes[row / self.measures].inverse_capacity[row % self.measures])
            .collect();
        let mut found: Vec<(f64, Variable)> = Vec::new();
        for class in 0..self.counts.len() {
            let need = self.need(class);
            let cost = |shape: usize| -> f64 {
                let unit = &unit[shape * self.measures..(shape + 1) * self.measures];
                need.iter().zip(unit).map(|(n, u)| n * u).sum()
            };
            let here = cost(self.home[class]);
            let mut best = (here, self.home[class]);
            for (shape, carrying) in self.shapes.iter().enumerate() {
                let there = cost(shape);
                if there < best.0 && carrying.holds[class] {
                    best = (there, shape);
                }
            }
            let variable = Variable::Flow { class, shape: best.1 };
            if here - best.0 > SAVING_MIN * here.abs().max(1.0) && best.1 != self.home[class] {
                found.push(((here - best.0) * self.counts[class], variable));
            }
        }
        let others = (0..self.rows())
            .map(Variable::Slack)
            .chain((0..self.shapes.len()).map(Variable::Machines));
        found.extend(others.map(|v| (self.saving(v), v)).filter(|(saving, _)| *saving > 0.0));
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.truncate(CANDIDATES);
        found
    }

    /// How the basis changes per unit of a column.
    fn response(&self, column: &[f64]) -> Vec<f64> {
        let entries: Vec<(usize, f64)> = column.iter().copied().enumerate().filter(|(_, x)| *x != 0.0).collect();
        self.inverse
            .chunks_exact(self.rows().max(1))
            .map(|row| entries.iter().map(|(at, x)| row[*at] * x).sum())
            .collect()
    }

    /// Brings a variable into the basis as far as it goes; false when it cannot be.
    fn bring_in(&mut self, entering: Variable) -> bool {
        if self.basis.contains(&entering) {
            return false;
        }
        let mut response = self.response(&self.column(entering));
        let entering_class = match entering {
            Variable::Flow { class, .. } => Some(class),
            Variable::Machines(_) | Variable::Slack(_) => None,
        };
        let Some((step, blocker)) = self.block(&response, entering_class) else {
            return false;
        };
        for (level, change) in self.level.iter_mut().zip(&response) {
            *level -= step * change;
        }
        let at = match blocker {
            Blocker::Position(at) => at,
            Blocker::Home(class) => {
                if self.beside[class].is_empty() {
                    if let Variable::Flow { shape, .. } = entering {
                        self.home[class] = shape;
                    }
                    return true;
                }
                self.move_home(class, entering_class, &mut response)
            }
        };
        self.replace(at, entering, &response, step);
        true
    }

    /// How far a response can go, and what stops it.
    fn block(&self, response: &[f64], entering: Option<usize>) -> Option<(f64, Blocker)> {
        let mut best: Option<(f64, f64, Blocker)> = None;
        let mut consider = |step: f64, pivot: f64, blocker: Blocker| {
            let nearer =
                best.is_none_or(|(other, size, _)| step < other - 1e-12 || step <= other + 1e-12 && pivot > size);
            if nearer {
                best = Some((step, pivot, blocker));
            }
        };
        for (at, change) in response.iter().enumerate() {
            if *change > PIVOT_MIN {
                consider((self.level[at] / change).max(0.0), *change, Blocker::Position(at));
            }
        }
        let mut looked = entering;
        for (at, variable) in self.basis.iter().enumerate() {
            let Variable::Flow { class, .. } = *variable else {
                continue;
            };
            if self.beside[class][0] != at {
                continue;
            }
            let rate = self.rate_at_home(class, response, entering);
            if rate < -PIVOT_MIN {
                consider((self.at_home(class) / -rate).max(0.0), -rate, Blocker::Home(class));
            }
            if looked == Some(class) {
                looked = None;
            }
        }
        if let Some(class) = looked {
            consider(self.at_home(class).max(0.0), 1.0, Blocker::Home(class));
        }
        best.map(|(step, _, blocker)| (step, blocker))
    }

    /// How copies at home change per unit of the entering variable.
    fn rate_at_home(&self, class: usize, response: &[f64], entering: Option<usize>) -> f64 {
        let beside: f64 = self.beside[class].iter().map(|at| response[*at]).sum();
        if entering == Some(class) { beside - 1.0 } else { beside }
    }

    /// Makes the shape of another flow the home of a class, so that the old home stands in its place in the basis; gives
    /// that place.
    fn move_home(&mut self, class: usize, entering: Option<usize>, response: &mut [f64]) -> usize {
        let rate = self.rate_at_home(class, response, entering);
        let value = self.at_home(class);
        let largest = |at: &usize| response[*at].abs();
        let at = self.beside[class]
            .iter()
            .copied()
            .max_by(|a, b| largest(a).total_cmp(&largest(b)))
            .unwrap_or(0);
        let rows = self.rows();
        let mut moved = vec![0.0; rows];
        for other in &self.beside[class] {
            let row = &self.inverse[other * rows..(other + 1) * rows];
            moved.iter_mut().zip(row).for_each(|(m, r)| *m -= r);
        }
        self.inverse[at * rows..(at + 1) * rows].copy_from_slice(&moved);
        if let Variable::Flow { shape, .. } = self.basis[at] {
            self.basis[at] = Variable::Flow {
                class,
                shape: self.home[class],
            };
            self.home[class] = shape;
        }
        self.level[at] = value;
        response[at] = -rate;
        at
    }

    /// Puts a variable at the given level into a place of the basis.
    fn replace(&mut self, at: usize, entering: Variable, response: &[f64], level: f64) {
        let saved = self.reduced(entering);
        let rows = self.rows();
        let pivot = response[at];
        let mut own = self.inverse[at * rows..(at + 1) * rows].to_vec();
        own.iter_mut().for_each(|x| *x /= pivot);
        for (other, change) in response
            .iter()
            .enumerate()
            .filter(|(other, change)| *other != at && **change != 0.0)
        {
            let row = &mut self.inverse[other * rows..(other + 1) * rows];
            row.iter_mut().zip(&own).for_each(|(x, o)| *x -= change * o);
        }
        self.inverse[at * rows..(at + 1) * rows].copy_from_slice(&own);
        self.prices
            .iter_mut()
            .zip(&own)
            .for_each(|(price, o)| *price -= saved * o);
        if let Variable::Flow { class, .. } = self.basis[at] {
            self.beside[class].retain(|other| *other != at);
        }
        if let Variable::Flow { class, .. } = entering {
            self.beside[class].push(at);
        }
        self.basis[at] = entering;
        self.level[at] = level;
        self.since_inverse += 1;
        if self.since_inverse >= PIVOTS_PER_INVERSE {
            self.refresh();
        }
    }

    /// The reduced cost of a variable.
    fn reduced(&self, variable: Variable) -> f64 {
        match variable {
            Variable::Flow { class, shape } => self.cost(class, shape) - self.cost(class, self.home[class]),
            Variable::Machines(shape) => {
                let sum: f64 = self.prices[shape * self.measures..(shape + 1) * self.measures]
                    .iter()
                    .sum();
                self.shapes[shape].price - sum
            }
            Variable::Slack(row) => self.prices[row],
        }
    }

    /// Machines bought beside those that a row needs, another number for each.
    fn spare(&self, row: usize) -> f64 {
        if self.shapes[row / self.measures].inverse_capacity[row % self.measures] <= 0.0 {
            return 0.0;
        }
        let shaken = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        SPARE * (1.0 + as_float(shaken) / 16_777_216.0)
    }

    /// A fresh inverse, with levels and prices from it.
    fn refresh(&mut self) {
        let rows = self.rows();
        let mut square = vec![0.0; rows * rows];
        for (at, variable) in self.basis.iter().enumerate() {
            for (row, x) in self.column(*variable).into_iter().enumerate() {
                square[row * rows + at] = x;
            }
        }
        // Singular in these numbers: the updated inverse is the better one.
        if let Some(inverse) = inverted(square, rows) {
            self.inverse = inverse;
        }
        let loads = self.loads_at_home();
        let right: Vec<f64> = loads
            .iter()
            .enumerate()
            .map(|(row, load)| -self.spare(row) - load)
            .collect();
        self.level = self.response(&right);
        self.refresh_prices();
        self.since_inverse = 0;
    }

    fn refresh_prices(&mut self) {
        let rows = self.rows();
        self.prices = vec![0.0; rows];
        for (at, variable) in self.basis.iter().enumerate() {
            if let Variable::Machines(shape) = variable {
                let price = self.shapes[*shape].price;
                let row = &self.inverse[at * rows..(at + 1) * rows];
                self.prices.iter_mut().zip(row).for_each(|(p, x)| *p -= price * x);
            }
        }
    }
}
