//! Risk: spot under a deadline, the cheapest mix for an availability, packing by mean and variance.
//!
//! Workloads: 24 h of work within 36 h in ticks of 5 minutes and starts of 6, on a synthetic trace of one zone (spells
//! of 20 to 320 minutes up and 10 to 210 down by turns), one replay of each policy and the clairvoyant optimum; 3 and 10 of
//! replicas needed over 3 and 5 zones of different prices at 0.9995; 1,000 workloads of four sizes with deviations of a
//! fifth to a half of their means, epsilon 0.01. Nothing is drawn: no seed. Result: time per replay, decision, packing.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use skyloom::core::{Bytes, MicroUsdPerHour, Millicores, Ratio, Resources};
use skyloom::scheduler::Effort;
use skyloom::scheduler::risk::availability::{AvailabilityProblem, Domain, Supply, cheapest_mix};
use skyloom::scheduler::risk::overload::{Overload, Tail, Uncertain, Use, pack_by_use};
use skyloom::scheduler::risk::spot::{JobTerms, Market, PILOTS, SpotJob, SpotTrace, SpotZone, Window, optimum, replay};

fn spot(c: &mut Criterion) {
    let runs: String = (0..100)
        .map(|n| format!("1*{};0*{};", 4 + n * 37 % 61, 2 + n * 23 % 41))
        .collect();
    let traces = [SpotTrace::from_runs(&runs, 1).unwrap()];
    let job = SpotJob::new(&JobTerms {
        work: Duration::from_secs(24 * 3600),
        deadline: Duration::from_secs(36 * 3600),
        tick: Duration::from_secs(300),
        restart: Duration::from_secs(360),
        loss: Duration::ZERO,
    })
    .unwrap();
    let zone = SpotZone {
        name: "zone".to_owned(),
        price: MicroUsdPerHour::from_micros(918_000),
    };
    let market = Market::new(MicroUsdPerHour::from_micros(3_060_000), vec![zone]).unwrap();
    let window = Window::new(&traces, 0, &job, &market).unwrap();
    let mut group = c.benchmark_group("spot");
    group.sample_size(10);
    for pilot in PILOTS {
        group.bench_function(pilot.name, |b| {
            b.iter(|| replay(&job, &market, window, (pilot.new)().as_mut()))
        });
    }
    group.bench_function("optimum", |b| b.iter(|| optimum(&job, &market, window)));
    group.finish();
}

fn availability(c: &mut Criterion) {
    let mut group = c.benchmark_group("availability");
    group.sample_size(10);
    for (need, zones) in [(3, 3), (10, 5)] {
        let p = |value: f64| Ratio::new(value).unwrap();
        let usd = |micros: i64| MicroUsdPerHour::from_micros(micros);
        let domains = (0..zones).map(|n| {
            Domain::new(format!("z{n}"), p(0.0005))
                .with_on_demand(Supply::new(usd(100_000 + n * 7000), p(0.001)))
                .with_spot(Supply::new(usd(30_000 + n * 1000), p(0.02)).with_gone(p(0.05)))
        });
        let problem = AvailabilityProblem {
            need,
            slo: p(0.9995),
            domains: domains.collect(),
            regions: Vec::new(),
        };
        assert!(
            cheapest_mix(&problem, &mut Effort::units(5_000_000))
                .unwrap()
                .is_proven()
        );
        group.bench_function(format!("{need}_of_{zones}_zones"), |b| {
            b.iter(|| cheapest_mix(&problem, &mut Effort::units(5_000_000)).unwrap())
        });
    }
    group.finish();
}

fn packing(c: &mut Criterion) {
    let cpu = |milli: u64| Resources::new(Millicores::from_millicores(milli), Bytes::from_bytes(milli << 21));
    let workloads: Vec<Uncertain> = (0..1000_u64)
        .map(|n| {
            let mean = [250, 500, 1000, 1750][usize::try_from(n % 4).unwrap()];
            let deviation = mean * (20 + n * 7 % 31) / 100;
            Uncertain {
                request: cpu(mean + 2 * deviation),
                used: Use {
                    mean: cpu(mean),
                    deviation: cpu(deviation),
                },
            }
        })
        .collect();
    let overload = Overload::new(0.01, Tail::Normal, Ratio::ZERO).unwrap();
    let capacity = cpu(32_000);
    let packing = pack_by_use(&workloads, &capacity, 1000, &overload).unwrap();
    assert!(packing.by_use.machines.len() < packing.by_request.machines.len());
    let mut group = c.benchmark_group("overload");
    group.sample_size(10);
    group.bench_function("pack_1000", |b| {
        b.iter(|| pack_by_use(&workloads, &capacity, 1000, &overload).unwrap())
    });
    group.finish();
}

criterion_group!(benches, spot, availability, packing);
criterion_main!(benches);
