//! Rebalancing of plain clusters: what holds for every goal, from one table; and worked cases of each.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::{MicroUsd, MicroUsdPerHour};
use skyloom_scheduler::cluster::*;

use crate::random_cluster::*;
use crate::random_world::Dice;

/// Every goal, by name.
fn goals() -> [(&'static str, Goal); 4] {
    [
        ("balance", balance()),
        ("consolidate", Goal::Consolidate { offers: Vec::new() }),
        ("buy", Goal::Consolidate { offers: offers() }),
        ("neighbours", neighbours()),
    ]
}

/// Clusters of several sizes with settings of several kinds, for each goal.
fn cases() -> Vec<(String, Cluster, Settings)> {
    let mut cases = Vec::new();
    // 66: a slow-down falls under the tolerance while the plan is made.
    for seed in (0..32u64).chain([66]) {
        let mut dice = Dice::new(seed + 7000);
        let nodes = [3, 5, 8, 60][usize::try_from(seed % 4).unwrap()];
        let cluster = cluster(seed, nodes, nodes * (2 + dice.roll(3)), seed % 5 != 0);
        let moves = u32::try_from([1, 3, 10, 1000][usize::try_from(dice.roll(4)).unwrap()]).unwrap();
        for (name, goal) in goals() {
            let threshold = f64::from(u32::try_from(dice.roll(4)).unwrap());
            let ceiling = if dice.one_in(2) { 1.0 } else { 0.8 };
            let settings = settings(goal, moves).with_threshold(threshold).with_ceiling(ceiling);
            cases.push((format!("{name}, seed {seed}"), cluster.clone(), settings));
        }
    }
    cases
}

#[test]
fn every_plan_is_feasible_conserves_and_keeps_its_bounds() {
    let mut acted: BTreeMap<String, u32> = BTreeMap::new();
    for (name, cluster, settings) in cases() {
        let plan = plan(&cluster, &settings).unwrap();
        assert_eq!(check(&cluster, &settings, &plan), [], "{name}");
        let after = apply(&cluster, &settings, &plan);
        let ids = |c: &Cluster| {
            let mut ids: Vec<WorkloadId> = c.workloads.iter().map(|w| w.id.clone()).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids(&cluster), ids(&after), "{name}: nothing is lost or doubled");
        assert_eq!(
            after.nodes.len(),
            cluster.nodes.len() + plan.bought.len() - plan.given_back.len(),
            "{name}"
        );
        match settings.goal {
            Goal::Balance { .. } => assert!(plan.imbalance_after.rms <= plan.imbalance_before.rms + 1e-12, "{name}"),
            Goal::Consolidate { .. } => assert!(plan.price_after <= plan.price_before, "{name}"),
            Goal::Neighbours { .. } => {}
        }
        *acted.entry(name.split(',').next().unwrap().to_owned()).or_default() += u32::from(!plan.is_empty());
    }
    assert!(
        acted.values().all(|n| *n > 8),
        "every goal has something to do: {acted:?}"
    );
}

#[test]
fn a_second_run_right_after_plans_nothing() {
    let mut settled = 0;
    for (name, cluster, settings) in cases() {
        let first = plan(&cluster, &settings).unwrap();
        if first.more {
            continue;
        }
        settled += 1;
        let after = apply(&cluster, &settings, &first);
        let second = plan(&after, &settings).unwrap();
        assert!(
            second.is_empty() && second.refusal.is_some(),
            "{name}: {:?} after {:?}",
            second,
            first.moves.len()
        );
    }
    assert!(settled > 50, "{settled}");
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    for (name, cluster, settings) in cases().into_iter().step_by(3) {
        let mut shuffled = cluster.clone();
        let mut dice = Dice::new(99);
        for index in (1..shuffled.workloads.len()).rev() {
            shuffled
                .workloads
                .swap(index, usize::try_from(dice.roll(index as u64 + 1)).unwrap());
        }
        shuffled.nodes.reverse();
        shuffled.spread.reverse();
        assert_eq!(
            plan(&cluster, &settings).unwrap(),
            plan(&shuffled, &settings).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn a_plan_with_another_budget_threshold_or_pin_is_caught() {
    let cluster = cluster(4, 6, 30, true);
    let settings = settings(balance(), 10);
    let plan = plan(&cluster, &settings).unwrap();
    assert!(plan.moves.len() > 1);
    let caught = |cluster: &Cluster, settings: &Settings, plan: &Plan| !check(cluster, settings, plan).is_empty();
    assert!(caught(&cluster, &settings.clone().with_threshold(1e6), &plan));
    let mut few = settings.clone();
    few.moves_max = 1;
    assert!(caught(&cluster, &few, &plan));
    let moved = &plan.moves[0];
    let mut mutant = plan.clone();
    mutant.moves.swap_remove(0);
    assert!(caught(&cluster, &settings, &mutant));
    let mutants: [fn(&mut Cluster, &Move); 6] = [
        |c, m| {
            c.workloads
                .iter_mut()
                .filter(|w| w.id == m.workload)
                .for_each(|w| w.pinned = true)
        },
        |c, m| {
            c.workloads
                .iter_mut()
                .filter(|w| w.id == m.workload)
                .for_each(|w| w.nodes = Some([m.from.clone()].into()))
        },
        |c, m| {
            c.nodes
                .iter_mut()
                .filter(|n| n.id == m.to)
                .for_each(|n| n.ready = false)
        },
        |c, m| {
            c.nodes
                .iter_mut()
                .filter(|n| n.id == m.to)
                .for_each(|n| n.capacity = vec![10, 10])
        },
        |c, m| {
            c.nodes
                .iter_mut()
                .filter(|n| n.id == m.to)
                .for_each(|n| n.taints.extend(["new".to_owned()]))
        },
        |c, m| {
            c.workloads
                .iter_mut()
                .filter(|w| w.id == m.workload)
                .for_each(|w| w.labels.extend([("a".to_owned(), "b".to_owned())]))
        },
    ];
    for (number, mutate) in mutants.into_iter().enumerate() {
        let mut other = cluster.clone();
        mutate(&mut other, moved);
        assert!(caught(&other, &settings, &plan), "mutant {number}");
    }
}

fn two(first: [u64; 3], second: [u64; 3]) -> Cluster {
    let mut cluster = Cluster::new(&["cpu"]);
    cluster.nodes = [0, 1].map(|n| Node::new(node_id(n), vec![1000])).to_vec();
    for (node, sizes) in [first, second].into_iter().enumerate() {
        for (number, size) in sizes.into_iter().enumerate().filter(|(_, size)| *size > 0) {
            let id = format!("w{node}{number}");
            cluster
                .workloads
                .push(Workload::new(id, node_id(node as u64), vec![size]));
        }
    }
    cluster
}

#[test]
fn two_workloads_change_places_where_no_single_move_helps() {
    // 900 and 500: only 600 against 400 evens them.
    let cluster = two([600, 300, 0], [400, 100, 0]);
    let settings = settings(balance(), 2);
    let plan = plan(&cluster, &settings).unwrap();
    assert!(
        plan.exhaustive && plan.imbalance_after.rms < 1e-9,
        "{:?}",
        plan.imbalance_after
    );
    assert_eq!(plan.moves.len(), 2);
    assert_eq!(check(&cluster, &settings, &plan), []);
}

#[test]
fn steps_of_an_exchange_pay_only_together_and_a_third_node_lets_them_pass() {
    // Neither fits beside the other; the empty node is for one of them only.
    let mut cluster = two([700, 0, 0], [300, 250, 0]);
    cluster.nodes[0].capacity = vec![1000];
    cluster.nodes[1].capacity = vec![700];
    let mut parking = Node::new(node_id(2), vec![700]);
    parking.other_use = vec![650];
    cluster.nodes.push(parking);
    let settings = settings(balance(), 3);
    let plan = plan(&cluster, &settings).unwrap();
    assert_eq!(check(&cluster, &settings, &plan), []);
    let steps: usize = plan.steps.iter().map(|s| s.moves).sum();
    assert_eq!(steps, plan.moves.len());
}

#[test]
fn nodes_are_drained_and_given_back_within_the_budget_of_moves() {
    let mut cluster = two([200, 100, 100], [300, 0, 0]);
    for node in &mut cluster.nodes {
        node.price = "0.1".parse().unwrap();
    }
    let mut generous = settings(Goal::Consolidate { offers: Vec::new() }, 3);
    let found = plan(&cluster, &generous).unwrap();
    // One move empties the second node, three the first.
    assert_eq!((found.moves.len(), found.given_back[0].node.clone()), (1, node_id(1)));
    assert_eq!(
        (found.saving.to_string().as_str(), found.cost.to_string().as_str()),
        ("2.40 USD", "0.01 USD")
    );
    assert_eq!(found.price_after.to_string(), "0.10 USD/h");
    insta::assert_snapshot!(found.moves[0], @"`w10` from `n00001` to `n00000`: saves 2.40 USD, costs 0.01 USD; its node is given back, which saves 0.10 USD/h; no other node may take it");
    generous.moves_max = 0;
    let refused = plan(&cluster, &generous).unwrap();
    assert_eq!(refused.refusal, Some(Refusal::TooManyMoves { moves_max: 0 }));
    generous.moves_max = 3;
    cluster.nodes[1].drain_cost = "2.395".parse().unwrap();
    cluster.nodes[0].keep = true;
    let refused = plan(&cluster, &generous).unwrap();
    assert!(
        matches!(refused.refusal, Some(Refusal::NotWorthIt { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_dearer_fleet_moves_to_a_cheaper_machine_and_says_what_was_lost() {
    let mut cluster = two([200, 100, 100], [300, 0, 0]);
    for node in &mut cluster.nodes {
        node.price = "0.5".parse().unwrap();
    }
    let mut offer = offers().remove(0);
    offer.capacity = vec![800];
    let target = Target {
        price: offer.price,
        lower_bound: "0.065".parse().unwrap(),
        offers: vec![offer],
    };
    let settings = settings(balance(), 10);
    let drift = drift(&cluster, &target, &settings).unwrap();
    assert_eq!(drift.lost.to_string(), "0.93 USD/h");
    assert_eq!(drift.lost_at_most.to_string(), "0.935 USD/h");
    assert_eq!(drift.lost_after.to_string(), "0.00 USD/h");
    assert_eq!(
        (
            drift.plan.bought.len(),
            drift.plan.given_back.len(),
            drift.plan.moves.len()
        ),
        (1, 2, 4)
    );
    let mut goal = settings;
    goal.goal = Goal::Consolidate { offers: target.offers };
    assert_eq!(check(&cluster, &goal, &drift.plan), []);
}

#[test]
fn the_cheaper_of_victim_and_offender_moves() {
    let mut cluster = two([100, 100, 100], [100, 0, 0]);
    cluster.workloads[0].used = Some(vec![500]);
    for victim in [1, 2] {
        cluster.workloads[victim].slowed = Some(0.3);
    }
    cluster.workloads[0].slowed = Some(0.0);
    let settings = settings(neighbours(), 5);
    let found = plan(&cluster, &settings).unwrap();
    assert_eq!(
        (found.moves.len(), found.moves[0].workload.as_str()),
        (1, "w00"),
        "the offender: one move instead of two"
    );
    assert!(matches!(found.moves[0].why, Why::Noisy { .. }));
    cluster.workloads[0].move_cost = Some("12".parse().unwrap());
    let found = plan(&cluster, &settings).unwrap();
    let moved: Vec<&str> = found.moves.iter().map(|m| m.workload.as_str()).collect();
    assert_eq!(moved, ["w01", "w02"], "the victims: the offender is dear to move");
    cluster.workloads.iter_mut().for_each(|w| w.slowed = Some(0.01));
    let quiet = plan(&cluster, &settings).unwrap();
    assert!(matches!(quiet.refusal, Some(Refusal::NothingToGain { .. })));
}

#[test]
fn refusals_are_typed_and_say_why() {
    let even = two([500, 0, 0], [500, 0, 0]);
    let uneven = two([300, 200, 0], [0, 0, 0]);
    let mut pinned = uneven.clone();
    pinned.workloads.iter_mut().for_each(|w| w.pinned = true);
    let mut apart = uneven.clone();
    apart
        .workloads
        .iter_mut()
        .for_each(|w| w.nodes = Some([node_id(0)].into()));
    let dear = settings(balance(), 5).with_threshold(1e9);
    let rows: Vec<(&Cluster, Settings, &str)> = vec![
        (
            &even,
            settings(balance(), 5),
            "no move would save anything at an imbalance of 0.0000",
        ),
        (
            &pinned,
            settings(balance(), 5),
            "there are not two nodes with something that may move",
        ),
        (
            &apart,
            settings(balance(), 5),
            "every useful move is forbidden: 2 by allowed nodes",
        ),
        (&uneven, dear, ""),
        (
            &uneven,
            settings(balance(), 0),
            "what is worth it takes more than 0 moves",
        ),
    ];
    for (cluster, settings, text) in rows {
        let plan = plan(cluster, &settings).unwrap();
        assert!(plan.is_empty());
        let refusal = plan.refusal.unwrap();
        assert!(
            text.is_empty() && matches!(refusal, Refusal::NotWorthIt { .. }) || refusal.to_string() == text,
            "{refusal}"
        );
    }
}

/// What is wrong, how it is brought about, and what is said of it.
type Spoiled = (&'static str, fn(&mut Cluster), &'static str);

#[test]
fn bad_input_is_named() {
    let good = two([300, 200, 0], [100, 0, 0]);
    let goal = || settings(balance(), 5);
    let rows: Vec<Spoiled> = vec![
        (
            "no dimension",
            |c| c.dimensions.clear(),
            "count `0` dimensions: 1 to 8 are accepted",
        ),
        (
            "short list",
            |c| c.nodes[1].capacity.clear(),
            "read `0` amounts of node `n00001`: there are `1` dimensions",
        ),
        (
            "zero capacity",
            |c| c.nodes[1].capacity = vec![0],
            "use node `n00001`: its capacity is zero in every dimension",
        ),
        (
            "two nodes",
            |c| c.nodes[1].id = node_id(0),
            "tell two nodes `n00000` apart",
        ),
        (
            "two workloads",
            |c| c.workloads[1].id = WorkloadId::new("w00"),
            "tell two workloads `w00` apart",
        ),
        (
            "no name",
            |c| c.workloads[1].id = WorkloadId::new(""),
            "name a workload on `n00000`: its id is empty",
        ),
        (
            "nowhere",
            |c| c.workloads[1].node = node_id(7),
            "find node `n00007`, which workload `w01` names as where it runs",
        ),
        (
            "elsewhere",
            |c| c.workloads[1].nodes = Some([node_id(7)].into()),
            "find node `n00007`, which workload `w01` names as one it may be on",
        ),
        (
            "no node",
            |c| c.workloads[1].nodes = Some([].into()),
            "keep the rules of workload `w01`: the list of nodes it may be on is empty",
        ),
        (
            "not a number",
            |c| c.workloads[1].slowed = Some(f64::NAN),
            "accept `NaN` as the slow-down of workload `w01`: it must be 0 to 1",
        ),
        (
            "negative price",
            |c| c.nodes[1].price = MicroUsdPerHour::from_micros(-1),
            "accept a negative price of node `n00001`",
        ),
        (
            "negative cost",
            |c| c.workloads[1].move_cost = Some(MicroUsd::from_micros(-1)),
            "accept a negative cost of moving of workload `w01`",
        ),
        (
            "beyond 64 bits",
            |c| c.workloads[..2].iter_mut().for_each(|w| w.request = vec![1 << 63]),
            "hold the sum of all cpu: it is beyond 64 bits",
        ),
        (
            "no level",
            |c| {
                c.spread.push(Spread {
                    group: "g".to_owned(),
                    over: "rack".to_owned(),
                    max_skew: 1,
                })
            },
            "spread group `g` over `rack`: no node says where it is at that level",
        ),
        (
            "no skew",
            |c| {
                c.spread.push(Spread {
                    group: "g".to_owned(),
                    over: "node".to_owned(),
                    max_skew: 0,
                })
            },
            "keep the rules of the spread of group `g`: a skew of 0 forbids every move; 1 is the least",
        ),
    ];
    for (name, spoil, text) in rows {
        let mut bad = good.clone();
        spoil(&mut bad);
        let error = plan(&bad, &goal()).unwrap_err();
        assert_eq!(error.to_string(), text, "{name}");
    }
    for (settings, text) in [
        (
            goal().with_threshold(f64::NAN),
            "accept `NaN` as threshold: it must be finite and not negative",
        ),
        (
            goal().with_threshold(-1.0),
            "accept `-1` as threshold: it must be finite and not negative",
        ),
        (
            goal().with_ceiling(0.0),
            "accept `0` as ceiling: it must be over 0 and at most 1",
        ),
    ] {
        let ClusterError::Settings(error) = plan(&good, &settings).unwrap_err() else {
            unreachable!("the settings are at fault");
        };
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn quantities_of_two_to_the_sixty_third_are_worked_with() {
    let mut cluster = two([1, 1, 0], [0, 0, 0]);
    cluster.nodes.iter_mut().for_each(|n| n.capacity = vec![u64::MAX]);
    cluster.workloads[0].request = vec![1 << 63];
    cluster.workloads[1].request = vec![1 << 62];
    let settings = settings(balance(), 5);
    let plan = plan(&cluster, &settings).unwrap();
    assert_eq!(check(&cluster, &settings, &plan), []);
    assert_eq!(plan.moves.len(), 1);
}

#[test]
fn an_empty_cluster_or_one_node_is_refused_and_a_long_horizon_does_not_overflow() {
    let empty = Cluster::new(&["cpu"]);
    for (name, goal) in goals() {
        let mut settings = settings(goal, 5);
        settings.horizon = Duration::from_secs(u64::MAX);
        if name != "buy" {
            let refused = plan(&empty, &settings).unwrap();
            assert_eq!(refused.refusal, Some(Refusal::NothingToMove), "{name}");
            let plan = plan(&two([300, 200, 0], [100, 0, 0]), &settings).unwrap();
            assert!(plan.saving <= MicroUsd::MAX, "{name}");
        }
    }
}
