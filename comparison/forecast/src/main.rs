//! Rival libraries on a table of series: `forecast-peers METHOD TABLE HORIZON PERIODS OUT`, a line per series.
//!
//! The table is the `forecast` example's: id, then values, no header. A series that a library refuses is written with its
//! seasonal naive forecast, and counted on the error stream.

use std::error::Error;
use std::fs;

use anofox_forecast::models::MSTLForecaster;
use anofox_forecast::models::exponential::AutoETS as AnofoxEts;
use anofox_forecast::models::theta::AutoTheta;
use anofox_forecast::prelude::{Forecaster, TimeSeries};
use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::prelude::*;
use chrono::{DateTime, TimeDelta};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [method, table, horizon, periods, out] = &arguments[..] else {
        return Err("usage: forecast-peers METHOD TABLE HORIZON PERIODS OUT".into());
    };
    let horizon: usize = horizon.parse()?;
    let periods: Vec<usize> = periods.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let mut lines = String::new();
    let mut refused = 0;
    for line in fs::read_to_string(table)?.lines() {
        let mut cells = line.split(',').map(|cell| cell.trim_matches('"'));
        let id = cells.next().unwrap_or_default();
        let values: Vec<f64> = cells
            .filter(|c| !c.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let points = ahead(method, &values, horizon, &periods).unwrap_or_else(|_| {
            refused += 1;
            let season = &values[values.len().saturating_sub(periods[0])..];
            (0..horizon).map(|lead| season[lead % season.len()]).collect()
        });
        lines.push_str(id);
        for point in points {
            lines.push_str(&format!(",{point}"));
        }
        lines.push('\n');
    }
    fs::write(out, lines)?;
    eprintln!("refused: {refused}");
    Ok(())
}

fn ahead(method: &str, values: &[f64], horizon: usize, periods: &[usize]) -> Result<Vec<f64>, Failure> {
    match method {
        "augurs-mstl-ets" => {
            let model = MSTLModel::new(periods.to_vec(), AutoETS::non_seasonal().into_trend_model());
            Ok(model.fit(values)?.predict(horizon, None)?.point)
        }
        "anofox-mstl-ets" => anofox(MSTLForecaster::new(periods.to_vec()), values, horizon),
        "anofox-ets" => anofox(AnofoxEts::with_period(periods[0]), values, horizon),
        "anofox-theta" => anofox(AutoTheta::seasonal(periods[0]), values, horizon),
        other => Err(format!("no peer is named `{other}`").into()),
    }
}

fn anofox(mut model: impl Forecaster, values: &[f64], horizon: usize) -> Result<Vec<f64>, Failure> {
    let start = DateTime::UNIX_EPOCH;
    let times = (0..values.len()).map(|hour| start + TimeDelta::hours(i64::try_from(hour).unwrap_or(0)));
    let series = TimeSeries::univariate(times.collect(), values.to_vec())?;
    model.fit(&series)?;
    Ok(model.predict(horizon)?.primary().to_vec())
}
