//! A stream that does not end: ten million values through each preset of the detector, through quiet, drift, shifts, bursts,
//! gaps, repeated and backward times and values that are no numbers.
//!
//! The reader learns what a stream may hold: memory stays where it was, every score and every end of a band is a number, and
//! alarms stay rare. `endless --points 10000000`; processor time, so that a busy machine tells the same.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use skyloom::analytics::detect::Detector;
use skyloom::core::{Sample, Timestamp};

/// Streams values through the detectors.
#[derive(Debug, Parser)]
struct Arguments {
    /// Values through each preset.
    #[arg(long, default_value_t = 10_000_000)]
    points: u64,
}

/// Most bytes of state for one series: what the presets promise.
const BYTES_MAX: [(&str, usize); 2] = [("default", 64 << 10), ("light", 1 << 10)];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    for ((name, bytes_max), mut detector) in BYTES_MAX.into_iter().zip([Detector::new(), Detector::light()]) {
        let mut stream = Stream { seed: 11, level: 0.0 };
        let (mut alarms, mut refused, mut most_bytes) = (0_u64, 0_u64, 0);
        let before = cpu_seconds();
        for i in 0..arguments.points {
            let sample = stream.next(i);
            let Ok(verdict) = detector.push(sample) else {
                refused += 1;
                continue;
            };
            let numbers = [verdict.score, verdict.band.lo, verdict.band.hi];
            if !(numbers.iter().all(|n| n.is_finite()) && verdict.band.lo <= verdict.band.hi) {
                return Err(format!(
                    "keep to numbers at value {i} of the {name} preset: {verdict:?}"
                ));
            }
            alarms += u64::from(verdict.is_anomaly);
            if i.is_multiple_of(1000) {
                most_bytes = most_bytes.max(detector.size_bytes());
            }
        }
        let seconds = cpu_seconds() - before;
        println!(
            "{name}: {} values, {alarms} alarms, {refused} no numbers, at most {most_bytes} bytes, {:.0} values per CPU second",
            arguments.points,
            f64::from(u32::try_from(arguments.points).unwrap_or(u32::MAX)) / seconds
        );
        if most_bytes > bytes_max || alarms > arguments.points / 100 {
            return Err(format!("keep the {name} preset to {bytes_max} bytes and alarms rare"));
        }
    }
    Ok(())
}

/// Five-minute samples with everything that happens in years.
struct Stream {
    seed: u64,
    level: f64,
}

impl Stream {
    fn uniform(&mut self) -> f64 {
        // Knuth's MMIX generator.
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.seed >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    fn next(&mut self, i: u64) -> Sample {
        let step = i64::try_from(i).unwrap_or(i64::MAX);
        let mut at = Timestamp::from_secs(300 * step);
        let phase = f64::from(u32::try_from(i % 288).unwrap_or(0)) / 288.0;
        let noise: f64 = (0..4).map(|_| self.uniform()).sum::<f64>() - 2.0;
        self.level += 0.01 * noise;
        let odd = self.uniform();
        let value = match i % 100_000 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -1e300,
            3 => 5e-324,
            4..20 => {
                at = Timestamp::from_secs(0);
                50.0
            }
            // Standing still for longer than any window.
            40_000..43_000 => 50.0,
            60_000..60_050 => 400.0 * odd,
            _ if odd < 1e-5 => 500.0,
            _ => 50.0 + 20.0 * (phase * std::f64::consts::TAU).sin() + self.level + noise,
        };
        if i.is_multiple_of(250_000) {
            self.level += 30.0;
        }
        Sample { at, value }
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos).as_secs_f64()
}
