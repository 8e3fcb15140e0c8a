//! The expected cost of finishing from any state, when spot comes and goes as a two-state chain.

use libm::exp;

use super::belief::Rates;

/// Everything in units of the on-demand price: costs are seconds on demand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) work_s: f64,
    pub(super) slack_s: f64,
    pub(super) tick_s: f64,
    pub(super) restart_s: f64,
    pub(super) loss_s: f64,
    /// Spot price over on-demand price.
    pub(super) spot: f64,
    pub(super) rates: Rates,
}

/// Values of one amount of work left, for each amount of slack.
#[derive(Debug, Clone)]
struct Row {
    /// Up and on spot.
    up_spot: Vec<f64>,
    /// Up and on demand.
    up_demand: Vec<f64>,
    /// Up and on nothing.
    up_free: Vec<f64>,
    /// Down and on demand.
    down_demand: Vec<f64>,
    /// Down and on nothing.
    down_free: Vec<f64>,
}

/// Expected costs on a grid of work left and slack left.
#[derive(Debug, Clone)]
pub(super) struct Values {
    terms: Terms,
    /// Seconds of work between rows, and of time between decisions.
    step_s: f64,
    /// Seconds of slack between columns.
    column_s: f64,
    rows: Vec<Row>,
}

const ROWS_MIN: f64 = 64.0;
const ROWS_MAX: f64 = 512.0;
const IDLE_STEPS: f64 = 24.0;
const COLUMNS_PER_STEP: f64 = 4.0;

impl Values {
    pub(super) fn new(terms: Terms) -> Self {
        let step_s = (terms.slack_s / IDLE_STEPS)
            .clamp(terms.work_s / ROWS_MAX, terms.work_s / ROWS_MIN)
            .max(terms.tick_s);
        let column_s = step_s / COLUMNS_PER_STEP;
        let mut values = Self {
            terms,
            step_s,
            column_s,
            rows: Vec::new(),
        };
        let columns = count(terms.slack_s / column_s) + 2;
        let zero = vec![0.0; columns];
        values.rows.push(Row {
            up_spot: zero.clone(),
            up_demand: zero.clone(),
            up_free: zero.clone(),
            down_demand: zero.clone(),
            down_free: zero,
        });
        for row in 1..=count(terms.work_s / step_s) + 1 {
            let next = values.row(row, columns);
            values.rows.push(next);
        }
        values
    }

    pub(super) const fn terms(&self) -> &Terms {
        &self.terms
    }

    fn row(&self, row: usize, columns: usize) -> Row {
        let Terms { restart_s, spot, rates, .. } = self.terms;
        let h = self.step_s;
        let work_s = size(row) * h;
        let (evicted, dry, back) = (
            1.0 - exp(-rates.eviction * h),
            1.0 - exp(-rates.drought * h),
            1.0 - exp(-rates.return_ * h),
        );
        let forced = restart_s + work_s;
        let below = &self.rows[row - 1];
        let mut new = Row {
            up_spot: vec![forced; columns],
            up_demand: vec![work_s; columns],
            up_free: vec![forced; columns],
            down_demand: vec![work_s; columns],
            down_free: vec![forced; columns],
        };
        for column in 0..columns {
            let slack_s = size(column) * self.column_s;
            new.up_demand[column] = h + (1.0 - dry) * below.up_demand[column] + dry * below.down_demand[column];
            new.down_demand[column] = h + (1.0 - back) * below.down_demand[column] + back * below.up_demand[column];
            if slack_s < restart_s + self.terms.tick_s {
                continue;
            }
            // Taken away in the middle of the step.
            let lost = self.after_eviction(work_s - h / 2.0, slack_s, h);
            new.up_spot[column] =
                (1.0 - evicted) * (spot * h + below.up_spot[column]) + evicted * (spot * h / 2.0 + lost);
            new.down_free[column] = ((1.0 - back) * self.at(&new.down_free, slack_s - h)
                + back * self.at(&new.up_free, slack_s - h))
            .min(restart_s + self.at(&new.down_demand, slack_s - restart_s));
            new.up_free[column] = self
                .start_spot_in(&new, work_s, slack_s)
                .min((1.0 - dry) * self.at(&new.up_free, slack_s - h) + dry * self.at(&new.down_free, slack_s - h))
                .min(restart_s + self.at(&new.up_demand, slack_s - restart_s));
            new.down_demand[column] = new.down_demand[column].min(new.down_free[column]);
            new.up_demand[column] = new.up_demand[column].min(new.up_free[column]);
        }
        new
    }

    /// Evicted with `work_s` left of what is saved, at most a step above the rows that are there.
    fn after_eviction(&self, work_s: f64, slack_s: f64, _h: f64) -> f64 {
        let lost_s = self.terms.loss_s / 2.0;
        let refuge = self.terms.rates.refuge;
        let value = |pick: fn(&Row) -> &Vec<f64>| self.extrapolated(pick, work_s, slack_s - lost_s) + lost_s;
        refuge * value(|row| &row.up_free) + (1.0 - refuge) * value(|row| &row.down_free)
    }

    /// A start on spot: it may be taken away while it warms up.
    fn start_spot_in(&self, row: &Row, _work_s: f64, slack_s: f64) -> f64 {
        let Terms { restart_s, spot, rates, .. } = self.terms;
        let survives = exp(-rates.eviction * restart_s);
        let free = &row.down_free;
        survives * (spot * restart_s + self.at(&row.up_spot, slack_s - restart_s))
            + (1.0 - survives) * (spot * restart_s / 2.0 + self.at(free, slack_s - restart_s / 2.0))
    }

    /// Between the columns of one row.
    fn at(&self, values: &[f64], slack_s: f64) -> f64 {
        let x = (slack_s / self.column_s).max(0.0);
        let left = count(x).min(values.len() - 1);
        let right = (left + 1).min(values.len() - 1);
        let share = (x - size(left)).clamp(0.0, 1.0);
        values[left] * (1.0 - share) + values[right] * share
    }

    /// Between rows, and beyond the last with the slope of the two before.
    fn extrapolated(&self, pick: fn(&Row) -> &Vec<f64>, work_s: f64, slack_s: f64) -> f64 {
        let last = self.rows.len() - 1;
        let x = (work_s / self.step_s).max(0.0);
        if last == 0 {
            return x * self.step_s;
        }
        let low = count(x).min(last - 1);
        let share = x - size(low);
        let value = |row: usize| self.at(pick(&self.rows[row]), slack_s);
        value(low) * (1.0 - share) + value(low + 1) * share
    }

    /// Up, on demand or free: the cost of going to spot now.
    pub(super) fn start_spot(&self, work_s: f64, slack_s: f64) -> f64 {
        let Terms { restart_s, spot, rates, .. } = self.terms;
        let survives = exp(-rates.eviction * restart_s);
        survives * (spot * restart_s + self.extrapolated(|r| &r.up_spot, work_s, slack_s - restart_s))
            + (1.0 - survives)
                * (spot * restart_s / 2.0 + self.extrapolated(|r| &r.down_free, work_s, slack_s - restart_s / 2.0))
    }

    /// The cost of staying on demand (or starting there) for a step.
    pub(super) fn demand(&self, up: bool, started: bool, work_s: f64, slack_s: f64) -> f64 {
        let Terms { restart_s, rates, .. } = self.terms;
        let h = self.step_s.min(work_s);
        let change = 1.0 - exp(-if up { rates.drought } else { rates.return_ } * h);
        let to_up = if up { 1.0 - change } else { change };
        let (start_s, slack_s) = if started { (0.0, slack_s) } else { (restart_s, slack_s - restart_s) };
        start_s
            + h
            + to_up * self.extrapolated(|r| &r.up_demand, work_s - h, slack_s)
            + (1.0 - to_up) * self.extrapolated(|r| &r.down_demand, work_s - h, slack_s)
    }

    /// The cost of waiting for a step.
    pub(super) fn wait(&self, up: bool, work_s: f64, slack_s: f64) -> f64 {
        let h = self.step_s;
        let rates = self.terms.rates;
        let change = 1.0 - exp(-if up { rates.drought } else { rates.return_ } * h);
        let to_up = if up { 1.0 - change } else { change };
        to_up * self.extrapolated(|r| &r.up_free, work_s, slack_s - h)
            + (1.0 - to_up) * self.extrapolated(|r| &r.down_free, work_s, slack_s - h)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a grid index: small and not negative")]
fn count(x: f64) -> usize {
    x as usize
}

#[expect(clippy::cast_precision_loss, reason = "a grid index")]
fn size(index: usize) -> f64 {
    index as f64
}
