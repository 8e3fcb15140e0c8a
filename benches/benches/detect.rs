//! Detection on a stream: points judged per second over many interleaved series, by preset.
//!
//! Workload: 1,000 series, five-minute samples of a daily wave with normal-like noise (the sum of four uniforms), one value of
//! each series in turn, so that every push meets a cold state; 2,500 values of each have come before (the default
//! preset's history is then full). Seed 1. Result: points per second on one core; the floors are 200,000 for the default
//! preset and 2,000,000 for the light one.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skyloom::analytics::detect::Detector;
use skyloom::core::{Sample, Timestamp};

const SERIES: u32 = 1_000;
const WARM: i64 = 2_500;
/// Seconds between two values of a series, and values of a day.
const STEP: i64 = 300;
const DAY: f64 = 288.0;

struct Stream {
    detectors: Vec<Detector>,
    round: i64,
    state: u64,
    alarms: u64,
}

impl Stream {
    fn new(detector: &Detector, warm: i64) -> Self {
        let mut stream = Self {
            detectors: vec![detector.clone(); usize::try_from(SERIES).unwrap()],
            round: 0,
            state: 1,
            alarms: 0,
        };
        (0..warm).for_each(|_| stream.turn());
        stream
    }

    /// Knuth's MMIX generator, the high bits as a number in 0..1.
    fn uniform(&mut self) -> f64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.state >> 32).unwrap()) / 4_294_967_296.0
    }

    /// One value of every series.
    fn turn(&mut self) {
        let at = Timestamp::from_secs(self.round * STEP);
        let phase = f64::from(u32::try_from(self.round % 288).unwrap()) / DAY;
        let wave = 20.0 * (phase * std::f64::consts::TAU).sin();
        for i in 0..self.detectors.len() {
            let noise: f64 = (0..4).map(|_| self.uniform()).sum();
            let value = 50.0 + wave + 2.0 * noise;
            let verdict = self.detectors[i].push(Sample { at, value }).unwrap();
            self.alarms += u64::from(verdict.is_anomaly);
        }
        self.round += 1;
    }
}

fn points(c: &mut Criterion) {
    // Test mode proves that it runs; filling the history for that would cost time.
    let testing = std::env::args().any(|argument| argument == "--test");
    let mut group = c.benchmark_group("detect");
    group.throughput(Throughput::Elements(u64::from(SERIES)));
    group.sample_size(20);
    for (name, detector) in [("default", Detector::new()), ("light", Detector::light())] {
        let mut stream = Stream::new(&detector, if testing { 5 } else { WARM });
        let largest = stream.detectors.iter().map(Detector::size_bytes).max().unwrap();
        println!("{name}: at most {largest} bytes per series");
        group.bench_function(name, |b| b.iter(|| stream.turn()));
        println!(
            "{name}: {} alarms in {} points",
            stream.alarms,
            stream.round * i64::from(SERIES)
        );
    }
    group.finish();
}

criterion_group!(benches, points);
criterion_main!(benches);
