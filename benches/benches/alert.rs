//! The alert engine: one evaluation of many rules over many series.
//!
//! Workload: 100,000 series (100 metrics of 1,000 instances in 10 clusters), 10,000 rules. `cluster`: each rule selects one
//! metric of one cluster, 100 series, so a million conditions per evaluation. `metric`: each selects all instances of one
//! metric, ten million conditions. Values are uniform in 0..1 and thresholds such that one condition in a thousand
//! holds; half of the values are drawn anew before every evaluation. Seed 1. Result: time per evaluation; the floor is one second.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use skyloom::analytics::alert::{Comparison, Condition, Engine, Labels, Matcher, Rule, SeriesIndex};
use skyloom::core::Timestamp;

const METRICS: usize = 100;
const INSTANCES: usize = 1_000;
const CLUSTERS: usize = 10;
const RULES: usize = 10_000;
/// Share of conditions that hold.
const HOLDS: f64 = 0.001;

fn index(metrics: usize) -> SeriesIndex {
    let mut index = SeriesIndex::default();
    for metric in 0..metrics {
        for instance in 0..INSTANCES {
            let labels = [
                ("__name__", format!("metric_{metric}")),
                ("cluster", format!("c{}", instance % CLUSTERS)),
                ("instance", format!("i{instance}")),
            ];
            index.insert(labels.into_iter().collect::<Labels>());
        }
    }
    index
}

fn rules(metrics: usize, count: usize, by_cluster: bool) -> Vec<Rule> {
    let rule = |n: usize| {
        let mut select = vec![Matcher::equal("__name__", format!("metric_{}", n % metrics))];
        if by_cluster {
            select.push(Matcher::equal("cluster", format!("c{}", n / metrics % CLUSTERS)));
        }
        let high = Condition::Value {
            is: Comparison::Above,
            than: 1.0 - HOLDS,
        };
        Rule::new(format!("rule {n}"), select, high).with_holds(Duration::from_secs(30), Duration::from_secs(60))
    };
    (0..count).map(rule).collect()
}

struct Values {
    values: Vec<f64>,
    state: u64,
}

impl Values {
    fn draw(&mut self) {
        for i in 0..self.values.len() {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if self.state >> 63 == 1 {
                self.values[i] = f64::from(u32::try_from((self.state >> 31) & 0xffff_ffff).unwrap()) / 4_294_967_296.0;
            }
        }
    }
}

fn evaluation(c: &mut Criterion) {
    // Test mode proves that it runs; a large index for that would cost time.
    let testing = std::env::args().any(|argument| argument == "--test");
    let (metrics, count) = if testing { (2, 50) } else { (METRICS, RULES) };
    let index = index(metrics);
    let mut group = c.benchmark_group("alert");
    group.sample_size(10);
    for (name, by_cluster) in [("cluster", true), ("metric", false)] {
        let mut engine = Engine::new(rules(metrics, count, by_cluster)).unwrap();
        let mut values = Values {
            values: vec![0.0; index.len()],
            state: 1,
        };
        let mut second = 0;
        let mut alerts = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                values.draw();
                second += 15;
                let now = Timestamp::from_secs(second);
                alerts += engine.evaluate(&index, values.values.as_slice(), now).len();
            });
        });
        println!("{name}: {alerts} alerts given");
    }
    group.finish();
}

criterion_group!(benches, evaluation);
criterion_main!(benches);
