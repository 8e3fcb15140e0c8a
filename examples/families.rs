//! Forecasts of families of series that no method was made for one of: ten to ten thousand values, with and without seasons,
//! zeros, negatives, breaks.
//!
//! The reader learns what the automatic choices are worth where nobody has looked, against the plain methods: the mean
//! absolute error as a share of seasonal naive's (naive's where there is no season), and how much of the future the 90 %
//! intervals hold. `families --seeds 20`; nothing is read from files.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use skyloom::analytics::RegularSeries;
use skyloom::analytics::forecast::{Forecast, ForecastConfig, by_name, forecast_with, score};
use skyloom::core::Timestamp;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Scores methods on generated families.
#[derive(Debug, Parser)]
struct Arguments {
    /// Series of each family.
    #[arg(long, default_value_t = 20)]
    seeds: u32,
    /// Detect the seasons instead of giving them.
    #[arg(long)]
    detect: bool,
    /// Methods beside seasonal naive.
    #[arg(long, value_delimiter = ',', default_value = "theta,fast,auto")]
    methods: Vec<String>,
    /// Share of the future that intervals are meant to hold.
    #[arg(long, default_value_t = 0.9)]
    level: f64,
}

type Stream = fn(&mut Noise, usize) -> Vec<f64>;

struct Family {
    name: &'static str,
    periods: &'static [usize],
    len: usize,
    horizon: usize,
    stream: Stream,
}

const fn family(name: &'static str, periods: &'static [usize], len: usize, horizon: usize, stream: Stream) -> Family {
    Family {
        name,
        periods,
        len,
        horizon,
        stream,
    }
}

const FAMILIES: &[Family] = &[
    family("10 values, autoregressive", &[], 10, 4, |n, len| n.ar(0.5, len)),
    family("20 values, trend", &[], 20, 12, |n, len| n.line(0.5, len)),
    family("20 values, walk with drift", &[], 20, 8, |n, len| n.walk(0.3, len)),
    family("60 values, monthly, trend", &[12], 60, 12, |n, len| {
        n.seasonal(12, 0.05, len)
    }),
    family("84 values, growing swings", &[12], 84, 12, Noise::growing),
    family("100 values, walk", &[], 100, 20, |n, len| n.walk(0.0, len)),
    family("120 values, days of the week", &[7], 120, 14, |n, len| {
        n.seasonal(7, 0.0, len)
    }),
    family("40 values, trend breaks", &[], 40, 12, |n, len| n.breaks(len, 12)),
    family("120 values, trend breaks", &[], 120, 24, |n, len| n.breaks(len, 30)),
    family("240 values, trend breaks, season", &[12], 240, 24, |n, len| {
        let season = n.seasonal(12, 0.0, len);
        n.breaks(len, 60).iter().zip(season).map(|(a, b)| a + b).collect()
    }),
    family("200 values, level shifts", &[], 200, 20, |n, len| n.shifts(len)),
    family("90 values, intermittent", &[7], 90, 14, Noise::intermittent),
    family("300 values, two seasons", &[8, 56], 300, 16, |n, len| {
        n.two_seasons(8, 7, len)
    }),
    family("1,000 values, negative, hourly", &[24], 1000, 48, |n, len| {
        n.seasonal(24, 0.0, len).iter().map(|v| v - 80.0).collect()
    }),
    family("700 values, hour and week", &[24, 168], 700, 48, |n, len| {
        n.two_seasons(24, 7, len)
    }),
    family("2,000 values, autoregressive", &[], 2000, 24, |n, len| n.ar(0.9, len)),
    family("10,000 values, five-minute days", &[288], 10_000, 288, |n, len| {
        n.two_seasons(288, 7, len)
    }),
];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    print!("{:<36}", "error as a share of seasonal naive's");
    for method in &arguments.methods {
        print!(" {method:>8} inside");
    }
    println!();
    let mut logs = vec![0.0; arguments.methods.len()];
    for family in FAMILIES {
        // The long ones cost as much as all the others together.
        let seeds = if family.len > 5000 {
            arguments.seeds.min(3)
        } else {
            arguments.seeds
        };
        let mut naive = 0.0;
        let mut found = vec![(0.0, 0.0); arguments.methods.len()];
        for seed in 0..seeds {
            let values = (family.stream)(&mut Noise::new(900 + u64::from(seed)), family.len + family.horizon);
            let (history, truth) = values.split_at(family.len);
            naive += error(&ahead("seasonal-naive", family, history, arguments)?, truth);
            for (method, sums) in arguments.methods.iter().zip(&mut found) {
                let ahead = ahead(method, family, history, arguments)?;
                let inside: Vec<(f64, f64)> = ahead.steps.iter().map(|s| (s.lo, s.hi)).collect();
                sums.0 += error(&ahead, truth);
                sums.1 += score::coverage(truth, &inside) / f64::from(seeds);
            }
        }
        print!("{:<36}", family.name);
        for (sums, log) in found.iter().zip(&mut logs) {
            let share = sums.0 / naive;
            *log += share.ln();
            print!(" {share:>8.3} {:>6.3}", sums.1);
        }
        println!();
    }
    print!("{:<36}", "geometric mean");
    #[expect(clippy::cast_precision_loss, reason = "a dozen families")]
    let means: Vec<f64> = logs.iter().map(|log| (log / FAMILIES.len() as f64).exp()).collect();
    for mean in &means {
        print!(" {mean:>8.3}       ");
    }
    println!();
    // The chapter's assertion.
    if means.iter().any(|mean| !(mean.is_finite() && *mean < 1.0)) {
        return Err("beat seasonal naive in the mean over all families".into());
    }
    Ok(())
}

fn ahead(method: &str, family: &Family, history: &[f64], arguments: &Arguments) -> Result<Forecast, Failure> {
    let method = by_name(method).ok_or_else(|| format!("find a method named `{method}`"))?;
    let mut config = ForecastConfig::new(family.horizon, arguments.level)?;
    if !arguments.detect {
        config = config.with_periods(family.periods)?;
    }
    let series = RegularSeries::new(Timestamp::EPOCH, Duration::from_secs(1), history.to_vec())?;
    Ok(forecast_with(method, &series, &config)?)
}

fn error(ahead: &Forecast, truth: &[f64]) -> f64 {
    let points: Vec<f64> = ahead.steps.iter().map(|step| step.point).collect();
    score::mean_absolute_error(truth, &points)
}

/// Knuth's MMIX generator with what is built on it.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        let mut noise = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // The first numbers of neighbouring seeds resemble each other.
        for _ in 0..4 {
            noise.uniform();
        }
        noise
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    fn ar(&mut self, phi: f64, len: usize) -> Vec<f64> {
        let mut x = 0.0;
        let step = |_| {
            x = phi * x + self.normal();
            x
        };
        (0..len).map(step).collect()
    }

    fn walk(&mut self, drift: f64, len: usize) -> Vec<f64> {
        let mut x = 0.0;
        let step = |_| {
            x += drift + self.normal();
            x
        };
        (0..len).map(step).collect()
    }

    fn line(&mut self, slope: f64, len: usize) -> Vec<f64> {
        (0..len).map(|t| slope * real(t) + self.normal()).collect()
    }

    fn seasonal(&mut self, period: usize, slope: f64, len: usize) -> Vec<f64> {
        let season: Vec<f64> = (0..period).map(|_| 4.0 * self.normal()).collect();
        (0..len)
            .map(|t| 20.0 + slope * real(t) + season[t % period] + self.normal())
            .collect()
    }

    fn two_seasons(&mut self, period: usize, cycles: usize, len: usize) -> Vec<f64> {
        let phase = |t: usize| (real(t % period) / real(period) * std::f64::consts::TAU).sin();
        let days: Vec<f64> = (0..cycles).map(|_| 2.0 * self.normal()).collect();
        let mut slow = 0.0;
        let step = |t: usize| {
            slow = 0.95 * slow + 0.3 * self.normal();
            30.0 + 6.0 * phase(t) + days[t / period % cycles] + slow + 0.5 * self.normal()
        };
        (0..len).map(step).collect()
    }

    /// The slope changes about every `every` values.
    fn breaks(&mut self, len: usize, every: usize) -> Vec<f64> {
        let (mut x, mut slope) = (0.0, 0.0);
        let step = |_| {
            if self.uniform() < 1.0 / real(every) {
                slope = 0.6 * self.normal();
            }
            x += slope;
            x + 0.7 * self.normal()
        };
        (0..len).map(step).collect()
    }

    fn shifts(&mut self, len: usize) -> Vec<f64> {
        let mut level = 0.0;
        let step = |_| {
            if self.uniform() < 0.02 {
                level += 6.0 * self.normal();
            }
            level + self.normal()
        };
        (0..len).map(step).collect()
    }

    fn growing(&mut self, len: usize) -> Vec<f64> {
        let swing: Vec<f64> = (0..12).map(|_| 0.2 * self.normal()).collect();
        let step = |t: usize| (3.0 + 0.01 * real(t) + swing[t % 12] + 0.03 * self.normal()).exp();
        (0..len).map(step).collect()
    }

    fn intermittent(&mut self, len: usize) -> Vec<f64> {
        let step = |_| {
            if self.uniform() < 0.2 {
                (1.0 + 3.0 * self.uniform()).floor()
            } else {
                0.0
            }
        };
        (0..len).map(step).collect()
    }
}

fn real(t: usize) -> f64 {
    f64::from(u32::try_from(t).unwrap_or(u32::MAX))
}
