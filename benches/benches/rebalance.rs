//! Rebalancing: plans for plain clusters of 1,000, 10,000 and 100,000 nodes with ten workloads each.
//!
//! Nodes of 8, 16 or 32 cores in three zones; workloads of up to two cores that use 20% to 90% of what they request, the
//! first nodes filled more than the last (the lower of two draws), seed 1, in services that are kept apart by nodes. Each
//! goal with at most one move per ten nodes, a day's horizon and five cents a move. Result: time per plan, reading of the
//! cluster and explanation of each move included.
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot unwrap has failed; macros make its items"
)]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use skyloom::core::{MicroUsd, MicroUsdPerHour};
use skyloom::scheduler::cluster::{Cluster, Goal, Node, Settings, Workload, plan};

/// SplitMix64 (Steele, Lea, Flood, 2014).
fn roll(state: &mut u64, sides: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % sides
}

fn cluster(nodes: u64) -> Cluster {
    let mut state = 1;
    let mut cluster = Cluster::new(&["cpu", "memory"]);
    for number in 0..nodes {
        let size = 1 << roll(&mut state, 3);
        let mut node = Node::new(
            format!("n{number:06}").parse().unwrap(),
            vec![8000 * size, 32_000 * size],
        );
        node.price = MicroUsdPerHour::from_micros(i64::try_from(330_000 * size).unwrap());
        cluster.nodes.push(node);
    }
    let mut free: Vec<Vec<u64>> = cluster.nodes.iter().map(|n| n.capacity.clone()).collect();
    for number in 0..nodes * 10 {
        let request = vec![100 + 100 * roll(&mut state, 20), 256 * (1 + roll(&mut state, 24))];
        let at = usize::try_from(roll(&mut state, nodes).min(roll(&mut state, nodes))).unwrap();
        if free[at].iter().zip(&request).any(|(free, asks)| free < asks) {
            continue;
        }
        free[at].iter_mut().zip(&request).for_each(|(free, asks)| *free -= asks);
        let id = cluster.nodes[at].id.clone();
        let mut workload = Workload::new(format!("w{number:07}"), id, request.clone());
        workload.used = Some(request.iter().map(|r| r * (20 + roll(&mut state, 70)) / 100).collect());
        workload.groups.insert(format!("service-{}", number % (nodes / 2)));
        if number % 3 == 0 {
            workload.apart_from = workload.groups.clone();
        }
        if number % 50 == 0 {
            workload.slowed = Some(0.2);
        }
        cluster.workloads.push(workload);
    }
    cluster
}

fn rebalance(c: &mut Criterion) {
    let one = MicroUsdPerHour::from_micros(1_000_000);
    let mut group = c.benchmark_group("rebalance");
    group.sample_size(10);
    for nodes in [1000, 10_000, 100_000u64] {
        let cluster = cluster(nodes);
        let worth = MicroUsdPerHour::from_micros(i64::try_from(nodes).unwrap() * 600_000);
        let goals = [
            ("balance", Goal::Balance { value: worth }),
            ("consolidate", Goal::Consolidate { offers: Vec::new() }),
            (
                "neighbours",
                Goal::Neighbours {
                    value: one,
                    burst: 1.2,
                    tolerance: 0.02,
                },
            ),
        ];
        for (name, goal) in goals {
            let moves = u32::try_from(nodes / 10).unwrap();
            let cost = MicroUsd::from_micros(50_000);
            let settings = Settings::new(goal, moves, Duration::from_secs(24 * 3600), cost);
            assert!(!plan(&cluster, &settings).unwrap().is_empty());
            group.bench_function(BenchmarkId::new(name, nodes), |b| {
                b.iter(|| plan(&cluster, &settings).unwrap())
            });
        }
    }
    group.finish();
}

criterion_group!(benches, rebalance);
criterion_main!(benches);
