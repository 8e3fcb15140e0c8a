//! Forecasts against the truth, in the measures of the M4 competition.
//!
//! The reader learns what each method is worth on series of one's own: a table with the histories, one with what came
//! after, and either a table of forecasts (as the `forecast` example writes it) or the names of built-in methods.
//! `m4_score --train train.csv --test test.csv --periods 24,168 --naive2 18.383,2.395 --methods seasonal-naive,fast,auto`

#[path = "forecast/table.rs"]
mod table;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use skyloom::analytics::RegularSeries;
use skyloom::analytics::forecast::{ForecastConfig, Level, by_name, forecast_with, score};
use skyloom::core::Timestamp;

use table::{Row, read};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Scores forecasts in the measures of the M4 competition.
#[derive(Debug, Parser)]
struct Arguments {
    /// The histories: a line each, the id and then the values.
    #[arg(long)]
    train: PathBuf,
    /// What came after, same order, equally long lines.
    #[arg(long)]
    test: PathBuf,
    /// Forecasts to score: `id,value,…` or `id,lo|mid|hi,…`, same order.
    #[arg(long, conflicts_with = "methods")]
    forecast: Option<PathBuf>,
    /// Names of built-in methods, or `naive2`, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "naive2,seasonal-naive,fast,auto")]
    methods: Vec<String>,
    /// Seasonal periods, separated by commas; the first is the one of MASE. Detected when not given, MASE then is of 1.
    #[arg(long, value_delimiter = ',')]
    periods: Option<Vec<usize>>,
    /// Mean sMAPE and MASE of Naive2 over all series; computed when not given.
    #[arg(long, value_delimiter = ',')]
    naive2: Option<Vec<f64>>,
    /// Level of the intervals.
    #[arg(long, default_value_t = 0.95)]
    level: f64,
    /// Take every so manieth series only.
    #[arg(long, default_value_t = 1)]
    every: usize,
}

/// Means over all series.
#[derive(Debug, Default, Clone, Copy)]
struct Means {
    smape: f64,
    mase: f64,
    msis: f64,
    coverage: f64,
    series: f64,
}

/// The forecast of one series.
struct Ahead {
    points: Vec<f64>,
    intervals: Vec<(f64, f64)>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let every = arguments.every.max(1);
    let load = |path: &Path| -> Result<Vec<Row>, Failure> {
        let file = File::open(path).map_err(|e| format!("open `{}`: {e}", path.display()))?;
        let rows = read(file).map_err(|e| format!("read `{}`: it could not {e}", path.display()))?;
        Ok(rows.into_iter().step_by(every).collect())
    };
    let (train, test) = (load(&arguments.train)?, load(&arguments.test)?);
    if train.len() != test.len() {
        return Err(format!("score {} histories with {} futures", train.len(), test.len()).into());
    }
    let period = arguments.periods.as_ref().and_then(|p| p.first()).copied().unwrap_or(1);
    let level = Level::new(arguments.level)?;
    let judge = |ahead: &dyn Fn(usize) -> Result<Ahead, Failure>| -> Result<Means, Failure> {
        let mut means = Means::default();
        for (i, (history, truth)) in train.iter().zip(&test).enumerate() {
            means.add(&history.values, &truth.values, &ahead(i)?, period, level);
        }
        Ok(means.over())
    };
    let naive2 = |i: usize| -> Result<Ahead, Failure> {
        Ok(Ahead::exact(score::naive2(
            &train[i].values,
            period,
            test[i].values.len(),
        )))
    };
    let benchmark = match arguments.naive2.as_deref() {
        Some([smape, mase]) => (*smape, *mase),
        _ => {
            let means = judge(&naive2)?;
            (means.smape, means.mase)
        }
    };
    println!("method                sMAPE    MASE     OWA    MSIS  coverage  series per CPU second");
    if let Some(path) = &arguments.forecast {
        let rows = forecasts(path, every)?;
        let means = judge(&|i| {
            rows.get(i)
                .map(Ahead::copy)
                .ok_or_else(|| "find a forecast for each series".into())
        })?;
        means.print("file", benchmark, None);
        return Ok(());
    }
    for name in &arguments.methods {
        let before = cpu_seconds();
        let means = if name == "naive2" {
            judge(&naive2)?
        } else {
            judge(&|i| built_in(name, &train[i], test[i].values.len(), arguments))?
        };
        assert!(means.smape.is_finite() && means.mase.is_finite(), "a score is a number");
        means.print(name, benchmark, Some(means.series / (cpu_seconds() - before)));
    }
    Ok(())
}

fn built_in(name: &str, row: &Row, horizon: usize, arguments: &Arguments) -> Result<Ahead, Failure> {
    let method = by_name(name).ok_or_else(|| format!("find a method named `{name}`"))?;
    let mut config = ForecastConfig::new(horizon, arguments.level)?;
    if let Some(periods) = &arguments.periods {
        config = config.with_periods(periods)?;
    }
    let series = RegularSeries::new(Timestamp::EPOCH, Duration::from_secs(1), row.values.clone())?;
    let ahead = forecast_with(method, &series, &config)?;
    Ok(Ahead {
        points: ahead.steps.iter().map(|s| s.point).collect(),
        intervals: ahead.steps.iter().map(|s| (s.lo, s.hi)).collect(),
    })
}

/// The lines of a forecast table.
fn forecasts(path: &Path, every: usize) -> Result<Vec<Ahead>, Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_path(path)?;
    let mut rows = Vec::new();
    for record in reader.records().step_by(every) {
        let mut ahead = Ahead::exact(Vec::new());
        for cell in record?.iter().skip(1) {
            let numbers: Vec<f64> = cell.split('|').map(str::parse).collect::<Result<_, _>>()?;
            let (lo, mid, hi) = match numbers[..] {
                [mid] => (mid, mid, mid),
                [lo, mid, hi] => (lo, mid, hi),
                _ => return Err(format!("read the forecast `{cell}`").into()),
            };
            ahead.points.push(mid);
            ahead.intervals.push((lo, hi));
        }
        rows.push(ahead);
    }
    Ok(rows)
}

impl Ahead {
    fn exact(points: Vec<f64>) -> Self {
        let intervals = points.iter().map(|p| (*p, *p)).collect();
        Self { points, intervals }
    }

    fn copy(&self) -> Self {
        Self {
            points: self.points.clone(),
            intervals: self.intervals.clone(),
        }
    }
}

impl Means {
    fn add(&mut self, history: &[f64], truth: &[f64], ahead: &Ahead, period: usize, level: Level) {
        // A history without any change has no scale: the series counts with its errors as they are.
        let scale = score::naive_scale(history, period).unwrap_or(1.0);
        self.smape += score::smape(truth, &ahead.points);
        self.mase += score::mean_absolute_error(truth, &ahead.points) / scale;
        self.msis += score::interval_score(truth, &ahead.intervals, level) / scale;
        self.coverage += score::coverage(truth, &ahead.intervals);
        self.series += 1.0;
    }

    fn over(self) -> Self {
        let n = self.series.max(1.0);
        Self {
            smape: self.smape / n,
            mase: self.mase / n,
            msis: self.msis / n,
            coverage: self.coverage / n,
            series: self.series,
        }
    }

    fn print(&self, name: &str, benchmark: (f64, f64), speed: Option<f64>) {
        let owa = 0.5 * (self.smape / benchmark.0 + self.mase / benchmark.1);
        let speed = speed.map_or_else(String::new, |s| format!("{s:.0}"));
        println!(
            "{name:18} {:8.3} {:7.3} {owa:7.4} {:7.3} {:9.3}  {speed}",
            self.smape, self.mase, self.msis, self.coverage
        );
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let whole = Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    );
    whole.as_secs_f64()
}
