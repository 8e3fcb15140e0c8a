//! Loads to replay: a synthetic day, and recorded arrivals in steps.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use skyloom::analytics::scale::{ReplayConfig, predicted_floor};
use skyloom::core::Timestamp;

use crate::Failure;

/// Seconds per step.
const STEP_SECS: u32 = 10;
/// Start-up of a replica: image, model, warm-up.
const START_UP: Duration = Duration::from_secs(120);
/// Seed of the synthetic day.
const SEED: u64 = 1;
/// Steps that every rule is prepared for: until the first replica that it asks for is ready.
const PREPARED: usize = 14;
/// Load of a token that is read, in tokens that are written: reading is done in parallel.
const READ_SHARE: f64 = 0.1;
/// Load per second that one replica serves.
const TOKENS_PER_SEC: f64 = 150.0;

/// A load and the service it meets.
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) config: ReplayConfig,
    /// Per step, as replayed.
    pub(crate) values: Vec<f64>,
    /// Per step, what came before, for whoever looks ahead.
    pub(crate) history: Vec<f64>,
    /// Steps after which the load resembles itself; 0 for none.
    pub(crate) period: usize,
    pub(crate) max: u32,
}

/// A service that starts prepared for the first minutes, whatever the rule.
fn config(capacity_per_sec: f64, values: &[f64]) -> Result<ReplayConfig, Failure> {
    let step = Duration::from_secs(u64::from(STEP_SECS));
    let mut config = ReplayConfig::new(step, START_UP, capacity_per_sec * f64::from(STEP_SECS))?;
    let first = values.iter().take(PREPARED).copied().fold(0.0, f64::max);
    config.replicas = predicted_floor(&[first], config.capacity)?.max(1);
    Ok(config)
}

/// Two days of history and a third that is replayed: quiet nights, a steep morning, a dip at noon, a sharp evening peak, noise
/// that grows with the load, and each day a little different. Requests per step; a replica serves 50 a second.
pub(crate) fn synthetic_day() -> Result<Load, Failure> {
    let per_day = 86_400 / STEP_SECS;
    let mut state = SEED;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 32).unwrap_or(0)) / 4_294_967_296.0
    };
    let mut days = Vec::new();
    for _ in 0..3 {
        let scale = 0.9 + 0.2 * uniform();
        for step in 0..per_day {
            let hour = f64::from(step) * 24.0 / f64::from(per_day);
            let ramp = |from: f64, width: f64| 1.0 / (1.0 + (-(hour - from) / width).exp());
            let bump = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
            let shape =
                0.1 + 0.7 * (ramp(8.5, 0.03) - ramp(19.0, 0.8)) - 0.25 * bump(12.5, 0.5) + 0.6 * bump(20.0, 0.3);
            let noise = 1.0 + 0.2 * (uniform() + uniform() + uniform() - 1.5);
            days.push(500.0 * f64::from(STEP_SECS) * scale * shape.max(0.02) * noise);
        }
    }
    let values = days.split_off(days.len() / 3 * 2);
    Ok(Load {
        name: "synthetic day, 10 s steps, 2 min start-up".to_owned(),
        config: config(50.0, &values)?,
        values,
        history: days,
        period: usize::try_from(per_day)?,
        max: 60,
    })
}

/// Tokens per step of recorded arrivals: written ones in full, read ones in part.
pub(crate) fn trace(path: &Path) -> Result<Load, Failure> {
    let file = File::open(path).map_err(|error| format!("open `{}`: {error}", path.display()))?;
    let mut reader = csv::Reader::from_reader(MultiGzDecoder::new(BufReader::new(file)));
    let mut arrivals: Vec<(i64, f64)> = Vec::new();
    for row in reader.records() {
        let row = row?;
        let field = |i: usize| row.get(i).unwrap_or_default().trim();
        let at: Timestamp = format!("{}Z", field(0).replace(' ', "T"))
            .parse()
            .map_err(|error| format!("read a time: {error}"))?;
        let (read, written): (f64, f64) = (field(1).parse()?, field(2).parse()?);
        arrivals.push((at.as_micros(), written + READ_SHARE * read));
    }
    let first = arrivals
        .iter()
        .map(|(at, _)| *at)
        .min()
        .ok_or("find an arrival in the trace")?;
    let step_us = i64::from(STEP_SECS) * 1_000_000;
    let mut values = Vec::new();
    for (at, tokens) in arrivals {
        let step = usize::try_from((at - first) / step_us)?;
        values.resize(values.len().max(step + 1), 0.0);
        values[step] += tokens;
    }
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Load {
        name: format!("{name}, tokens per 10 s, 2 min start-up"),
        config: config(TOKENS_PER_SEC, &values)?,
        values,
        history: Vec::new(),
        period: 0,
        max: 100,
    })
}
