//! Fleet purchase: the first answer, and what a little effort adds, over a synthetic market.
//!
//! Market: 120 offers in five families (2, 4, 8 GiB per core; with devices 1 to 8; small), prices near linear with 20%
//! noise. Pods: log-normal CPU (median 1 core, sigma 1.0, at most 48), memory 1 to 8 GiB per core, 5% with a device or a
//! share of one. Sizes: 10,000 distinct draws; 1,000,000 pods of 500 classes. Seed 7, SplitMix64. Result: time per
//! purchase, unfolded to single pods. `first` has no effort to spend: only what is always done.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use skyloom::scheduler::Effort;
use skyloom::scheduler::fleet::{Amounts, Devices, FleetProblem, MachineOffer, Workload, buy, check};

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// The sum of twelve uniform draws is nearly normal.
    fn normal(&mut self) -> f64 {
        (0..12)
            .map(|_| f64::from(u32::try_from(self.roll(1 << 20)).unwrap()) / f64::from(1 << 20))
            .sum::<f64>()
            - 6.0
    }
}

fn amounts(cpu_milli: u64, mem_mib: u64) -> Amounts {
    Amounts([cpu_milli, mem_mib, 0, 0, 0, 0, 0, 0])
}

fn market(dice: &mut Dice) -> Vec<MachineOffer> {
    let mut offers = Vec::new();
    for (family, gib_per_core) in [2, 4, 8, 6, 3].into_iter().enumerate() {
        for cores in [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128] {
            for variant in 0..2 {
                let devices = if family == 3 {
                    u32::try_from(cores / 12 + variant).unwrap().clamp(1, 8)
                } else {
                    0
                };
                let fair = cores * 30_000_000 + cores * gib_per_core * 4_000_000 + u64::from(devices) * 800_000_000;
                offers.push(MachineOffer {
                    capacity: amounts(cores * 1000, cores * gib_per_core * 1024),
                    devices,
                    nano_usd_per_hour: fair * (90 + dice.roll(21)) / 100,
                });
            }
        }
    }
    offers
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a draw between 100 and 48,000"
)]
fn pod(dice: &mut Dice) -> Workload {
    let cpu = ((dice.normal().exp() * 10.0).clamp(1.0, 480.0) as u64) * 100;
    let memory = (cpu * (1024 + dice.roll(7 * 1024)) / 1000 / 128).max(1) * 128;
    let devices = match dice.roll(60) {
        0 => Devices::Whole(1),
        1 => Devices::Share(500),
        2 => Devices::Share(u32::try_from(100 + 10 * dice.roll(80)).unwrap()),
        _ => Devices::None,
    };
    Workload {
        need: amounts(cpu, memory.min(380 * 1024)),
        devices,
        copies: 1,
        per_machine_max: None,
        eligible: None,
    }
}

fn question(pods: u64, classes: u64) -> FleetProblem {
    let mut dice = Dice(7);
    let mut problem = FleetProblem::new(vec!["cpu".to_owned(), "memory".to_owned()]);
    problem.offers = market(&mut dice);
    let kinds: Vec<Workload> = (0..classes).map(|_| pod(&mut dice)).collect();
    let kind = |dice: &mut Dice| kinds[usize::try_from(dice.roll(classes)).unwrap()].clone();
    problem.workloads = if pods == classes {
        kinds
    } else {
        (0..pods).map(|_| kind(&mut dice)).collect()
    };
    problem
}

fn fleet(c: &mut Criterion) {
    let mut group = c.benchmark_group("fleet");
    group.sample_size(10);
    let rows = [
        ("first/10000_pods", 10_000, 10_000, 0),
        ("first/1000000_pods_500_classes", 1_000_000, 500, 0),
        ("units_1000000/1000_pods", 1000, 1000, 1_000_000),
    ];
    for (name, pods, classes, units) in rows {
        let problem = question(pods, classes);
        let answer = buy(&problem, &mut Effort::units(units)).unwrap();
        assert!(check(&problem, &answer).is_empty() && answer.left_out.is_empty());
        group.bench_function(name, |b| b.iter(|| buy(&problem, &mut Effort::units(units)).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, fleet);
criterion_main!(benches);
