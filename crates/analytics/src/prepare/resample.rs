//! From samples to a regular grid: cells, their values, short gaps filled, long ones refused or split.

use std::time::Duration;

use skyloom_core::{Sample, Timestamp};

use super::pipeline::{PrepareError, StepReport};
use super::step::{Aggregate, Fill, LongGap, Resample};
use crate::RegularSeries;
use crate::num::count;

/// Most grid points of one result: 128 MiB of values. A finer grid over a longer time is a mistake in the step.
pub const GRID_LEN_MAX: usize = 1 << 24;

/// A cell that has samples: its number since the epoch, and its value.
struct Cell {
    number: i64,
    value: f64,
}

/// The segments in order of time; at least one when there is a sample.
pub(crate) fn resample(
    samples: &[Sample],
    settings: Resample,
    report: &mut StepReport,
) -> Result<Vec<RegularSeries>, PrepareError> {
    let step_us = i64::try_from(settings.step.as_micros()).unwrap_or(i64::MAX);
    let gap_max = i64::try_from(settings.gap_max.as_micros()).unwrap_or(i64::MAX) / step_us;
    let cells = fold(samples, step_us, settings.aggregate);
    report.dropped += samples.len() - cells.len();
    let mut segments = Vec::new();
    let mut values: Vec<f64> = Vec::new();
    let mut total = 0_usize;
    let mut first = 0;
    for (i, cell) in cells.iter().enumerate() {
        if let Some(before) = i.checked_sub(1).map(|b| &cells[b]) {
            let empty = i128::from(cell.number) - i128::from(before.number) - 1;
            if empty > i128::from(gap_max) {
                let (from, to) = (start(before.number, step_us), start(cell.number, step_us));
                if settings.long_gap == LongGap::Refuse {
                    return Err(PrepareError::GapTooLong {
                        from,
                        to,
                        gap_max: settings.gap_max,
                    });
                }
                segments.push(segment(
                    cells[first].number,
                    settings.step,
                    std::mem::take(&mut values),
                )?);
                first = i;
            } else {
                let empty = usize::try_from(empty).unwrap_or(usize::MAX);
                total = total.saturating_add(empty);
                if total > GRID_LEN_MAX {
                    return Err(PrepareError::TooLong { len: total });
                }
                report.added += empty;
                fill(&mut values, before.value, cell.value, empty, settings.fill);
            }
        }
        total += 1;
        if total > GRID_LEN_MAX {
            return Err(PrepareError::TooLong { len: total });
        }
        values.push(cell.value);
    }
    if let Some(cell) = cells.get(first) {
        segments.push(segment(cell.number, settings.step, values)?);
    }
    Ok(segments)
}

/// Samples in rising time to cells in rising order.
fn fold(samples: &[Sample], step_us: i64, aggregate: Aggregate) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut in_cell = 1.0;
    for sample in samples {
        let number = sample.at.as_micros().div_euclid(step_us);
        match cells.last_mut() {
            Some(cell) if cell.number == number => {
                in_cell += 1.0;
                match aggregate {
                    Aggregate::Mean => cell.value += sample.value / in_cell - cell.value / in_cell,
                    Aggregate::Last => cell.value = sample.value,
                }
            }
            _ => {
                in_cell = 1.0;
                cells.push(Cell {
                    number,
                    value: sample.value,
                });
            }
        }
    }
    cells
}

/// Values for a run of empty cells between two others.
fn fill(values: &mut Vec<f64>, before: f64, after: f64, empty: usize, how: Fill) {
    for k in 1..=empty {
        let share = count(k) / count(empty + 1);
        values.push(match how {
            Fill::Linear => before * (1.0 - share) + after * share,
            Fill::Locf => before,
        });
    }
}

/// Beginning of a cell. The first one may begin before the first time that can be held; it then carries that time.
fn start(number: i64, step_us: i64) -> Timestamp {
    Timestamp::from_micros(number.saturating_mul(step_us))
}

fn segment(number: i64, step: Duration, values: Vec<f64>) -> Result<RegularSeries, PrepareError> {
    let step_us = i64::try_from(step.as_micros()).unwrap_or(i64::MAX);
    let len = values.len();
    RegularSeries::new(start(number, step_us), step, values).map_err(|_| PrepareError::TooLong { len })
}
