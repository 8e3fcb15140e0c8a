//! A table of series: one a line, its id and then its values, oldest first.
//!
//! Cells may be quoted; empty cells after the last value do not count; an empty cell or `NaN` between values is a gap and
//! is filled on the straight line between its neighbours. A first line whose values are no numbers is a header.

use std::io::Read;

use thiserror::Error;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) values: Vec<f64>,
    /// Gaps that were filled.
    pub(crate) filled: usize,
}

/// Why a table cannot be read; lines and cells count from 1.
#[derive(Debug, Error)]
pub(crate) enum TableError {
    #[error("read line {line}: {source}")]
    Line { line: usize, source: csv::Error },
    #[error("read cell {cell} of line {line}: `{text}` is not a finite number")]
    Cell { line: usize, cell: usize, text: String },
    #[error("find a value in line {line} (`{id}`)")]
    Empty { line: usize, id: String },
    #[error("find a series in an empty table")]
    Nothing,
}

/// All series of a table, in order.
pub(crate) fn read(input: impl Read) -> Result<Vec<Row>, TableError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(input);
    let mut rows = Vec::new();
    for (i, record) in reader.records().enumerate() {
        let line = i + 1;
        let record = record.map_err(|source| TableError::Line { line, source })?;
        let is_header = i == 0 && record.len() > 1 && record.iter().skip(1).all(is_title);
        if !is_header && record.iter().any(|cell| !cell.trim().is_empty()) {
            rows.push(row(&record, line)?);
        }
    }
    if rows.is_empty() {
        Err(TableError::Nothing)
    } else {
        Ok(rows)
    }
}

fn is_title(cell: &str) -> bool {
    !cell.trim().is_empty() && cell.trim().parse::<f64>().is_err()
}

fn row(record: &csv::StringRecord, line: usize) -> Result<Row, TableError> {
    let id = record.get(0).unwrap_or_default().trim().to_owned();
    let mut cells = Vec::with_capacity(record.len());
    for (i, text) in record.iter().enumerate().skip(1) {
        cells.push(cell(text.trim()).ok_or_else(|| TableError::Cell {
            line,
            cell: i + 1,
            text: text.to_owned(),
        })?);
    }
    let last = cells.iter().rposition(Option::is_some);
    let first = cells.iter().position(Option::is_some);
    let (Some(first), Some(last)) = (first, last) else {
        return Err(TableError::Empty { line, id });
    };
    let (values, filled) = close(&cells[first..=last]);
    Ok(Row { id, values, filled })
}

/// `None` for a text that is no number, `Some(None)` for a gap.
fn cell(text: &str) -> Option<Option<f64>> {
    if text.is_empty() || text.eq_ignore_ascii_case("nan") || text.eq_ignore_ascii_case("na") {
        return Some(None);
    }
    text.parse::<f64>().ok().filter(|v| v.is_finite()).map(Some)
}

/// The values with gaps closed, and how many there were. The first and the last are values.
fn close(cells: &[Option<f64>]) -> (Vec<f64>, usize) {
    let mut values: Vec<f64> = Vec::with_capacity(cells.len());
    let mut gap = 0_u32;
    let mut filled = 0;
    for cell in cells {
        let Some(value) = *cell else {
            gap += 1;
            continue;
        };
        let before = values.last().copied().unwrap_or(value);
        for k in 1..=gap {
            let share = f64::from(k) / f64::from(gap + 1);
            values.push(before * (1.0 - share) + value * share);
            filled += 1;
        }
        gap = 0;
        values.push(value);
    }
    (values, filled)
}
