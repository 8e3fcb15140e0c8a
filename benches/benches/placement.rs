//! Placement: the cheapest place for every replica over the whole built-in catalogue, in an empty world.
//!
//! Workloads: the shop (7 replicas of 3 services, all constraints), and chains of 5 services with 6 and 60 replicas each
//! (30 and 300 replicas, residency only); the shop by every policy of the scheduler's table, with one seed. Also: loading
//! the catalogue, reading the manifest. Result: time per decision.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use skyloom::scheduler::policy::BUILTIN;
use skyloom::{Catalogue, Manifest};
use skyloom_benches::{SHOP, chain, cheapest, placed};

/// For the policies that draw; any will do.
const SEED: u64 = 1;

fn placement(c: &mut Criterion) {
    let catalogue = Catalogue::builtin();
    let mut group = c.benchmark_group("placement");
    group.sample_size(10);
    let rows = [
        ("shop_7", SHOP.to_owned()),
        ("chain_30", chain(5, 6)),
        ("chain_300", chain(5, 60)),
    ];
    for (name, text) in rows {
        let manifest = Manifest::parse(&text, "bench.toml").unwrap();
        assert!(cheapest(&manifest, &catalogue).unwrap().unplaced.is_empty());
        group.bench_function(name, |b| b.iter(|| cheapest(&manifest, &catalogue).unwrap()));
    }
    group.finish();
}

fn policies(c: &mut Criterion) {
    let catalogue = Catalogue::builtin();
    let manifest = Manifest::parse(SHOP, "shop.toml").unwrap();
    let mut group = c.benchmark_group("policy");
    group.sample_size(10);
    for builtin in BUILTIN {
        let policy = (builtin.new)(SEED);
        group.bench_function(builtin.name, |b| {
            b.iter(|| placed(&manifest, &catalogue, policy.as_ref()).unwrap())
        });
    }
    group.finish();
}

fn reading(c: &mut Criterion) {
    c.bench_function("catalogue/builtin", |b| {
        b.iter_batched(|| (), |()| Catalogue::builtin(), BatchSize::PerIteration)
    });
    c.bench_function("manifest/shop", |b| {
        b.iter(|| Manifest::parse(SHOP, "shop.toml").unwrap())
    });
}

criterion_group!(benches, placement, policies, reading);
criterion_main!(benches);
