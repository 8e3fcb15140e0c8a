//! Random clusters from a seed: sizes, uses and every kind of rule, some of them broken from the start.

use std::time::Duration;

use skyloom_core::{MachineId, MicroUsd, MicroUsdPerHour};
use skyloom_scheduler::cluster::*;

use crate::random_world::Dice;

pub(crate) fn node_id(number: u64) -> MachineId {
    format!("n{number:05}").parse().unwrap()
}

/// A cluster of that many nodes and workloads; `ruled`: with labels, taints, groups, spreads and pins.
pub(crate) fn cluster(seed: u64, nodes: u64, workloads: u64, ruled: bool) -> Cluster {
    let mut dice = Dice::new(seed);
    let mut cluster = Cluster::new(&["cpu", "memory"]);
    for number in 0..nodes {
        let size = 1 + dice.roll(3);
        let mut node = Node::new(node_id(number), vec![4000 * size, 16_000 * size + 1000 * dice.roll(4)]);
        node.price = MicroUsdPerHour::from_micros(i64::try_from(size * 90_000 + dice.roll(40_000)).unwrap());
        node.domains.insert("zone".to_owned(), format!("z{}", number % 3));
        if ruled {
            decorate(&mut node, &mut dice);
        }
        cluster.nodes.push(node);
    }
    for number in 0..workloads {
        let request = vec![200 + 100 * dice.roll(18), 500 + 250 * dice.roll(20)];
        let mut workload = Workload::new(format!("w{number:06}"), node_id(dice.roll(nodes)), request.clone());
        workload.used = Some(request.iter().map(|r| r * (20 + dice.roll(100)) / 100).collect());
        if ruled {
            restrict(&mut workload, &mut dice, nodes);
        }
        cluster.workloads.push(workload);
    }
    if ruled {
        let rules = [("even", "zone", 1), ("level", "node", 2)];
        let rules = rules.map(|(group, over, max_skew)| Spread {
            group: group.to_owned(),
            over: over.to_owned(),
            max_skew,
        });
        cluster.spread = rules.to_vec();
    }
    fit(&mut cluster);
    cluster
}

fn decorate(node: &mut Node, dice: &mut Dice) {
    if dice.one_in(3) {
        node.labels.insert("disk".to_owned(), "ssd".to_owned());
    }
    if dice.one_in(6) {
        node.taints.insert("spot".to_owned());
    }
    node.keep = dice.one_in(8);
    node.ready = !dice.one_in(12);
    if dice.one_in(4) {
        node.other_use = vec![100 * dice.roll(5), 500 * dice.roll(4)];
        node.drain_cost = MicroUsd::from_micros(20_000);
    }
}

fn restrict(workload: &mut Workload, dice: &mut Dice, nodes: u64) {
    match dice.roll(12) {
        0 => {
            workload.labels.insert("disk".to_owned(), "ssd".to_owned());
        }
        1 => {
            workload.groups.insert("even".to_owned());
        }
        2 => {
            workload.groups.insert("level".to_owned());
        }
        3 => {
            workload.groups.insert("apart".to_owned());
            workload.apart_from.insert("apart".to_owned());
        }
        4 => {
            workload.apart_from.insert("even".to_owned());
        }
        5 => {
            let here = workload.node.clone();
            workload.nodes = Some([here, node_id(dice.roll(nodes)), node_id(dice.roll(nodes))].into());
        }
        6 => workload.pinned = dice.one_in(2),
        _ => {}
    }
    if dice.one_in(3) {
        workload.tolerates.insert("spot".to_owned());
    }
    if dice.one_in(4) {
        workload.move_cost = Some(MicroUsd::from_micros(i64::try_from(dice.roll(400_000)).unwrap()));
    }
    if dice.one_in(5) {
        workload.slowed = Some(f64::from(u32::try_from(dice.roll(100)).unwrap()) / 100.0);
        workload.used = Some(
            workload
                .request
                .iter()
                .map(|r| r * (50 + dice.roll(200)) / 100)
                .collect(),
        );
    }
}

/// Leaves out workloads that do not fit where the dice put them; most clusters are not over-full.
fn fit(cluster: &mut Cluster) {
    let mut kept: Vec<Workload> = Vec::new();
    for workload in std::mem::take(&mut cluster.workloads) {
        let node = cluster.nodes.iter().find(|n| n.id == workload.node).unwrap();
        let fits = (0..node.capacity.len()).all(|d| {
            let taken: u64 = kept.iter().filter(|w| w.node == node.id).map(|w| w.request[d]).sum();
            taken + workload.request[d] <= node.capacity[d]
        });
        if fits {
            kept.push(workload);
        }
    }
    cluster.workloads = kept;
}

/// A goal that evenness matters for, at a dollar per hour.
pub(crate) fn balance() -> Goal {
    Goal::Balance {
        value: MicroUsdPerHour::from_micros(1_000_000),
    }
}

/// A goal for which neighbours matter, at a dollar per hour.
pub(crate) fn neighbours() -> Goal {
    Goal::Neighbours {
        value: MicroUsdPerHour::from_micros(1_000_000),
        burst: 1.2,
        tolerance: 0.02,
    }
}

/// Machines in three sizes.
pub(crate) fn offers() -> Vec<Offer> {
    let offer = |(name, size, price): (&str, u64, i64)| Offer {
        id: name.to_owned(),
        capacity: vec![4000 * size, 16_000 * size],
        price: MicroUsdPerHour::from_micros(price),
        domains: [("zone".to_owned(), "z0".to_owned())].into(),
        labels: std::collections::BTreeMap::new(),
        taints: std::collections::BTreeSet::new(),
    };
    [("small", 1, 70_000), ("medium", 2, 120_000), ("large", 4, 200_000)]
        .map(offer)
        .to_vec()
}

/// Moves within a day's horizon at a cent each.
pub(crate) fn settings(goal: Goal, moves_max: u32) -> Settings {
    Settings::new(
        goal,
        moves_max,
        Duration::from_secs(24 * 3600),
        MicroUsd::from_micros(10_000),
    )
}
