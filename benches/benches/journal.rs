//! Journalling: records appended and made durable, one sync per batch, on the file system of the temporary folder.
//!
//! Workloads: batches of 1, 10 and 100 records of about 200 bytes. Result: time per batch. The figure is the disk's as
//! much as ours: compare batches with each other, not machines.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skyloom::core::{Digest, StepId};
use skyloom::orchestrator::Record;
use skyloom::runtime::store::FileJournal;

fn records(count: u32) -> Vec<Record> {
    let one = |step| Record::Intent {
        step: StepId(step),
        operation: format!("op-{step}").parse().unwrap(),
        token: format!("token-{step}").parse().unwrap(),
        attempt: 1,
        parameters: Digest::of_bytes(&step.to_le_bytes()),
    };
    (0..count).map(one).collect()
}

fn journalling(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("journal");
    for count in [1, 10, 100] {
        let path = folder.path().join(format!("journal-{count}"));
        let mut journal = FileJournal::open::<Record>(&path).unwrap().journal;
        let batch = records(count);
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(format!("append_{count}"), |b| {
            b.iter(|| journal.append(&batch).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, journalling);
criterion_main!(benches);
