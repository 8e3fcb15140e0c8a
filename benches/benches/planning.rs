//! Planning: from a placement to an immutable plan, and the saga that carries it out without any calls of its own.
//!
//! Workloads: chains of 5 services with 6 and 60 replicas each (30 and 300 replicas), placed once beforehand; the saga is
//! driven by a world in which every call succeeds at once. No randomness. Result: time per plan or run.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use skyloom::core::{Plan, ResourceId, Snapshot, Timestamp};
use skyloom::orchestrator::{Command, Event, Saga, SagaConfig, SagaStatus, plan};
use skyloom::{Catalogue, Manifest};
use skyloom_benches::{chain, cheapest};

/// Carries a plan out in a world in which everything succeeds at once; gives the number of records.
fn run(plan: &Plan) -> u64 {
    let mut saga = Saga::new(plan.clone(), SagaConfig::new(), 1).unwrap();
    let (mut records, now) = (0, Timestamp::EPOCH);
    while !saga.status().is_final() {
        let command = saga.poll_command().unwrap();
        let event = match command {
            Command::Record { seq, .. } => {
                records = seq;
                Event::Recorded { seq }
            }
            Command::Create { step, .. } => Event::Created {
                step,
                resource: ResourceId::new(format!("r{}", step.0)).unwrap(),
            },
            Command::AwaitReady { step, until, .. } => Event::Ready { step, until },
            Command::Delete { step, .. } => Event::Gone { step },
            Command::Lookup { step, .. } => Event::Found { step, resource: None },
            Command::Look { .. } | Command::StopAwaiting { .. } => Event::Tick,
        };
        saga.handle(event, now).unwrap();
    }
    assert_eq!(saga.status(), SagaStatus::Succeeded);
    records
}

fn planning(c: &mut Criterion) {
    let catalogue = Catalogue::builtin();
    let snapshot = Snapshot::empty(0, Timestamp::EPOCH);
    let mut group = c.benchmark_group("planning");
    for (name, replicas) in [("30", 6), ("300", 60)] {
        let manifest = Manifest::parse(&chain(5, replicas), "bench.toml").unwrap();
        let placement = cheapest(&manifest, &catalogue).unwrap();
        let made = plan(&manifest, &placement, &snapshot).unwrap();
        group.bench_function(format!("plan_{name}"), |b| {
            b.iter(|| plan(&manifest, &placement, &snapshot).unwrap())
        });
        group.bench_function(format!("saga_{name}"), |b| b.iter(|| run(&made)));
    }
    group.finish();
}

criterion_group!(benches, planning);
criterion_main!(benches);
