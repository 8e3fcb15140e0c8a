//! Without a subcommand: every series of a table is continued by the automatic choice, one line each.
//!
//! What was done instead of what was asked for (gaps filled, a history cut, a simpler method) is said on the error stream.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use skyloom::analytics::forecast::{
    BUILTIN, Forecast, ForecastConfig, ForecastConfigError, ForecastError, ForecastStep, Forecaster, by_name,
    forecast_with,
};
use skyloom::analytics::{RegularSeries, RegularSeriesError};
use skyloom::core::Timestamp;
use thiserror::Error;

use crate::table::{Row, TableError, read};

/// Level of the interval when none is asked for: it is not written then.
const LEVEL_DEFAULT: f64 = 0.95;

/// What is forecast, and how far.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The table of series: a line each, the id and then the values; a header is allowed.
    #[arg(long)]
    input: PathBuf,
    /// Steps ahead.
    #[arg(long)]
    horizon: usize,
    /// Seasonal periods in steps, separated by commas; detected for each series when not given, `0` for none.
    #[arg(long, value_delimiter = ',')]
    periods: Option<Vec<usize>>,
    /// The table to write: a line for each series, the id and then the forecasts.
    #[arg(long)]
    out: PathBuf,
    /// Write `lo|mid|hi` with an interval that holds this share of the future.
    #[arg(long)]
    intervals: Option<f64>,
    /// How much work each series is worth: `auto` (all methods, the default), `fast` (the quick ones), or one built-in
    /// method by its name.
    #[arg(long, default_value = "auto")]
    preset: String,
}

/// Why series cannot be forecast.
#[derive(Debug, Error)]
pub(crate) enum ForecastFileError {
    #[error("open `{path}`: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("read `{path}`: it could not {source}")]
    Read { path: PathBuf, source: TableError },
    #[error("write `{path}`: {source}")]
    Write { path: PathBuf, source: csv::Error },
    #[error("{0}")]
    Config(#[from] ForecastConfigError),
    #[error("find the preset `{asked}` among {known}")]
    Preset { asked: String, known: String },
    #[error("forecast series `{id}`: it could not {source}")]
    Series { id: String, source: RegularSeriesError },
    #[error("forecast series `{id}`: it could not {source}")]
    Forecast { id: String, source: ForecastError },
    #[error("write one line for each of {series} series: {written} written")]
    Lines { series: usize, written: usize },
}

/// Reads, forecasts, writes.
pub(crate) fn run(args: &Args) -> Result<(), ForecastFileError> {
    let mut config = ForecastConfig::new(args.horizon, args.intervals.unwrap_or(LEVEL_DEFAULT))?;
    if let Some(periods) = &args.periods {
        let given: Vec<usize> = periods.iter().copied().filter(|p| *p != 0).collect();
        config = config.with_periods(&given)?;
    }
    let unknown = || ForecastFileError::Preset {
        asked: args.preset.clone(),
        known: BUILTIN.iter().map(|m| m.name()).collect::<Vec<_>>().join(", "),
    };
    let method = by_name(&args.preset).ok_or_else(unknown)?;
    let path = || args.input.clone();
    let file = File::open(&args.input).map_err(|source| ForecastFileError::Open { path: path(), source })?;
    let rows = read(file).map_err(|source| ForecastFileError::Read { path: path(), source })?;
    let wrote = |source| ForecastFileError::Write {
        path: args.out.clone(),
        source,
    };
    let mut out = csv::WriterBuilder::new()
        .flexible(true)
        .from_path(&args.out)
        .map_err(wrote)?;
    let mut written = 0;
    for row in &rows {
        let steps = continue_row(row, method, &config)?;
        let cells = steps.iter().map(|s| match args.intervals {
            Some(_) => format!("{}|{}|{}", s.lo, s.point, s.hi),
            None => s.point.to_string(),
        });
        out.write_record(std::iter::once(row.id.clone()).chain(cells))
            .map_err(wrote)?;
        written += 1;
    }
    out.flush().map_err(|source| wrote(source.into()))?;
    if written == rows.len() {
        Ok(())
    } else {
        Err(ForecastFileError::Lines {
            series: rows.len(),
            written,
        })
    }
}

/// The steps ahead of one series. A single value is repeated: there is nothing an interval could be made from.
fn continue_row(
    row: &Row,
    method: &dyn Forecaster,
    config: &ForecastConfig,
) -> Result<Vec<ForecastStep>, ForecastFileError> {
    let id = || row.id.clone();
    let series = RegularSeries::new(Timestamp::EPOCH, Duration::from_secs(1), row.values.clone())
        .map_err(|source| ForecastFileError::Series { id: id(), source })?;
    if row.filled > 0 {
        eprintln!("{}: {} missing values filled on a straight line", row.id, row.filled);
    }
    if let [only] = row.values[..] {
        eprintln!("{}: a single value is repeated, its interval has no width", row.id);
        let at = |lead| series.at(1 + lead);
        let step = |lead| ForecastStep {
            at: at(lead),
            lo: only,
            point: only,
            hi: only,
        };
        return Ok((0..config.horizon()).map(step).collect());
    }
    let ahead =
        forecast_with(method, &series, config).map_err(|source| ForecastFileError::Forecast { id: id(), source })?;
    explain(row, &ahead);
    Ok(ahead.steps)
}

fn explain(row: &Row, ahead: &Forecast) {
    if ahead.values_used < row.values.len() {
        eprintln!(
            "{}: the last {} of {} values are used",
            row.id,
            ahead.values_used,
            row.values.len()
        );
    }
    if let Some(fallback) = ahead.fallback {
        eprintln!("{}: `{}` is used, because {fallback}", row.id, ahead.method);
    }
}
