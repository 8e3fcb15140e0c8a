//! Planning a graph of tasks over clouds: the cheapest plan, with its bound, over the built-in catalogue.
//!
//! Workloads (random, seed 1; the generator is the example's): a general graph of 100 tasks with 40 candidates each and
//! about 175 edges; chains and trees of 10,000 tasks with 10 candidates each; edges carry 0.1 to 100 GiB and each region has
//! sent 20 TiB in this month already; the front of cost and time of a chain of 10 tasks with 6 candidates. Unexplained. Result: time per plan, and that the gap of
//! those that are asserted is zero.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use skyloom::Catalogue;
use skyloom::scheduler::Effort;
use skyloom::scheduler::dag::{DagConfig, FrontConfig, Objective, front, plan};

#[path = "../../examples/dag/random.rs"]
mod random;

use random::{SENT_GIB, Shape, already, random};

/// Units of effort at most.
const WORK: u64 = 200_000;

fn dag(c: &mut Criterion) {
    let catalogue = Catalogue::builtin();
    let config = DagConfig::new(Objective::Cost)
        .with_explain(false)
        .with_already_this_month(already(&catalogue, SENT_GIB));
    let mut group = c.benchmark_group("dag");
    group.sample_size(10);
    let rows = [
        ("general_100x40", 100, 40, Shape::General),
        ("chain_10000x10", 10_000, 10, Shape::Chain),
        ("tree_10000x10", 10_000, 10, Shape::Tree),
    ];
    for (name, tasks, candidates, shape) in rows {
        let dag = random(&catalogue, tasks, candidates, 1, shape);
        let best = plan(&dag, &catalogue, &config, &mut Effort::units(WORK)).unwrap();
        assert!(best.gap <= 0.0, "{name} is proven optimal");
        group.bench_function(name, |b| {
            b.iter(|| plan(&dag, &catalogue, &config, &mut Effort::units(WORK)).unwrap())
        });
    }
    let chain = random(&catalogue, 10, 6, 1, Shape::Chain);
    let fineness = FrontConfig::new();
    group.bench_function("front_chain_10x6", |b| {
        b.iter(|| front(&chain, &catalogue, &config, &fineness, &mut Effort::units(WORK)).unwrap())
    });
    group.finish();
}

criterion_group!(benches, dag);
criterion_main!(benches);
