//! The expected cost of finishing from any state, when spot comes and goes as a chain of two states.
//!
//! Solved backwards over a grid of work left and slack left (time beyond that work). Work on a machine lowers the one,
//! waiting and starts lower the other, so a single sweep is enough. Costs are in seconds on demand. What the rates are is
//! `belief`'s business.

use libm::exp;

use super::belief::Rates;

/// What the values depend on.
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

/// Whether there is spot, and what the job is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    UpSpot,
    UpDemand,
    UpFree,
    DownDemand,
    DownFree,
}

/// Values of one amount of work left: for each state one for each amount of slack.
type Row = [Vec<f64>; 5];

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

/// Rows at least and at most: the work left is divided no more coarsely than this, and no more finely than pays.
const ROWS_MIN: f64 = 64.0;
const ROWS_MAX: f64 = 512.0;
/// Steps that all slack is waited away in, where rows allow.
const WAITS: f64 = 24.0;
/// Starts are shorter than steps: slack has a finer grid.
const COLUMNS_PER_STEP: f64 = 4.0;

impl Values {
    /// Solves for all work and slack up to those of the terms.
    pub(super) fn new(terms: Terms) -> Self {
        let finest_s = terms.work_s / ROWS_MAX;
        let step_s = (terms.slack_s / WAITS)
            .clamp(finest_s, terms.work_s / ROWS_MIN)
            .max(terms.tick_s);
        let column_s = step_s / COLUMNS_PER_STEP;
        let columns = floor(terms.slack_s / column_s) + 2;
        let mut values = Self {
            terms,
            step_s,
            column_s,
            rows: vec![std::array::from_fn(|_| vec![0.0; columns])],
        };
        for row in 1..=floor(terms.work_s / step_s) + 1 {
            let next = values.row(as_f64(row) * step_s, &values.rows[row - 1]);
            values.rows.push(next);
        }
        values
    }

    pub(super) const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The expected cost of waiting for a step.
    pub(super) fn wait(&self, is_up: bool, work_s: f64, slack_s: f64) -> f64 {
        self.waited(is_up, slack_s, |state, slack_s| self.value(state, work_s, slack_s))
    }

    /// The expected cost of a step on demand, after a start where the job is elsewhere.
    pub(super) fn demand(&self, is_up: bool, is_there: bool, work_s: f64, slack_s: f64) -> f64 {
        let start_s = if is_there { 0.0 } else { self.terms.restart_s };
        let step_s = self.step_s.min(work_s);
        let after = |state| self.value(state, work_s - step_s, slack_s - start_s);
        start_s + step_s + self.blended(is_up, step_s, after(State::UpDemand), after(State::DownDemand))
    }

    /// The expected cost of a start on spot.
    pub(super) fn start_spot(&self, work_s: f64, slack_s: f64) -> f64 {
        self.started(slack_s, |state, slack_s| self.value(state, work_s, slack_s))
    }

    /// The values with this much work left, from those with a step less.
    fn row(&self, work_s: f64, below: &Row) -> Row {
        let columns = below[0].len();
        let Terms {
            restart_s, spot, rates, ..
        } = self.terms;
        let step_s = self.step_s;
        let evicted = 1.0 - exp(-rates.eviction * step_s);
        // Where the safety net is the only choice left.
        let mut row: Row = std::array::from_fn(|_| vec![restart_s + work_s; columns]);
        for column in 0..columns {
            let slack_s = as_f64(column) * self.column_s;
            let below = |state| below[state as usize][column];
            let stay = |is_up| step_s + self.blended(is_up, step_s, below(State::UpDemand), below(State::DownDemand));
            let (up_demand, down_demand) = (stay(true), stay(false));
            set(&mut row, State::UpDemand, column, up_demand);
            set(&mut row, State::DownDemand, column, down_demand);
            if slack_s < restart_s + self.terms.tick_s {
                continue;
            }
            // Taken away in the middle of the step, as often as at its end.
            let kept = spot * step_s + below(State::UpSpot);
            let taken = spot * step_s / 2.0 + self.evicted(work_s - step_s / 2.0, slack_s);
            set(
                &mut row,
                State::UpSpot,
                column,
                (1.0 - evicted) * kept + evicted * taken,
            );
            let demand = restart_s + self.between(&row, State::DownDemand, slack_s - restart_s);
            let wait = self.waited(false, slack_s, |state, slack_s| self.between(&row, state, slack_s));
            let down_free = demand.min(wait);
            set(&mut row, State::DownFree, column, down_free);
            let demand = restart_s + self.between(&row, State::UpDemand, slack_s - restart_s);
            let wait = self.waited(true, slack_s, |state, slack_s| self.between(&row, state, slack_s));
            let start = self.started(slack_s, |state, slack_s| self.between(&row, state, slack_s));
            let up_free = start.min(wait).min(demand);
            set(&mut row, State::UpFree, column, up_free);
            // From on demand one can leave at once.
            set(&mut row, State::UpDemand, column, up_demand.min(up_free));
            set(&mut row, State::DownDemand, column, down_demand.min(down_free));
        }
        row
    }

    /// A step of waiting.
    fn waited(&self, is_up: bool, slack_s: f64, value: impl Fn(State, f64) -> f64) -> f64 {
        let left_s = slack_s - self.step_s;
        self.blended(
            is_up,
            self.step_s,
            value(State::UpFree, left_s),
            value(State::DownFree, left_s),
        )
    }

    /// A start on spot: the machine may be taken away while it warms up.
    fn started(&self, slack_s: f64, value: impl Fn(State, f64) -> f64) -> f64 {
        let Terms {
            restart_s, spot, rates, ..
        } = self.terms;
        let survives = exp(-rates.eviction * restart_s);
        survives * (spot * restart_s + value(State::UpSpot, slack_s - restart_s))
            + (1.0 - survives) * (spot * restart_s / 2.0 + value(State::DownFree, slack_s - restart_s / 2.0))
    }

    /// Evicted with this much work left: what is not saved has to be done again, in another zone if one is up.
    fn evicted(&self, work_s: f64, slack_s: f64) -> f64 {
        let again_s = self.terms.loss_s / 2.0;
        let refuge = self.terms.rates.refuge;
        let value = |state| self.value(state, work_s, slack_s - again_s) + again_s;
        refuge * value(State::UpFree) + (1.0 - refuge) * value(State::DownFree)
    }

    /// The mean of two values, of spot being up and down after `later_s`.
    fn blended(&self, is_up: bool, later_s: f64, up: f64, down: f64) -> f64 {
        let rates = self.terms.rates;
        let change = 1.0 - exp(-if is_up { rates.drought } else { rates.return_ } * later_s);
        let is_up = if is_up { 1.0 - change } else { change };
        is_up * up + (1.0 - is_up) * down
    }

    /// Between the rows that are there, and beyond the last with the slope of the two before.
    fn value(&self, state: State, work_s: f64, slack_s: f64) -> f64 {
        let x = (work_s / self.step_s).max(0.0);
        let Some(last) = (self.rows.len() - 1).checked_sub(1) else {
            return x * self.step_s;
        };
        let low = floor(x).min(last);
        let share = x - as_f64(low);
        let value = |row: usize| self.between(&self.rows[row], state, slack_s);
        value(low) * (1.0 - share) + value(low + 1) * share
    }

    /// Between the columns of a row, and the first and last beyond them.
    fn between(&self, row: &Row, state: State, slack_s: f64) -> f64 {
        let values = &row[state as usize];
        let x = (slack_s / self.column_s).max(0.0);
        let left = floor(x).min(values.len() - 1);
        let right = (left + 1).min(values.len() - 1);
        let share = (x - as_f64(left)).min(1.0);
        values[left] * (1.0 - share) + values[right] * share
    }
}

fn set(row: &mut Row, state: State, column: usize, value: f64) {
    row[state as usize][column] = value;
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a grid index: small and not negative"
)]
fn floor(x: f64) -> usize {
    x as usize
}

#[expect(clippy::cast_precision_loss, reason = "a grid index: small")]
fn as_f64(index: usize) -> f64 {
    index as f64
}
