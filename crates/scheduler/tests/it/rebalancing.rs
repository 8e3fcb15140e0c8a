//! Moves that are worth it, and polite refusals.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use skyloom_core::*;
use skyloom_scheduler::formulas::{Imbalance, Mean};
use skyloom_scheduler::{Problem, Rebalance, RebalanceConfig, RebalanceInput, Refusal, rebalance};

use crate::random_world::Dice;
use crate::world::*;

/// Three machines: two jobs on the first, one on the second, none on the third; each job uses `used` of what it asks.
fn uneven() -> World {
    let nodes = vec![node("n-1", "eu-1a"), node("n-2", "eu-1b"), node("n-3", "eu-1c")];
    let mut world = World::new()
        .with(vec![service("job", 3, "1", "1GiB")])
        .with_nodes(nodes)
        .without_offers();
    let request = world.manifest.services[0].resources;
    world.snapshot.replicas = [("job/0", "n-1"), ("job/1", "n-1"), ("job/2", "n-2")]
        .map(|(r, m)| running(r, m, request))
        .to_vec();
    world
}

/// A day's horizon; a move costs a cent, an hour at an imbalance of 1 costs a dollar.
fn config() -> RebalanceConfig {
    let (cost, value) = ("0.01".parse().unwrap(), "1".parse().unwrap());
    RebalanceConfig::new(5, Duration::from_secs(24 * 3600), cost, value)
}

fn run(world: &World, usage: &BTreeMap<ReplicaId, Resources>, config: &RebalanceConfig) -> Rebalance {
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    rebalance(
        &RebalanceInput {
            problem,
            usage,
            last_moved: None,
        },
        config,
    )
    .unwrap()
}

/// The world after the moves, as it would be observed: measured utilisations included where they were.
fn moved(world: &World, plan: &Rebalance) -> World {
    let mut next = world.clone();
    for step in &plan.moves {
        let replica = next
            .snapshot
            .replicas
            .iter_mut()
            .find(|r| r.replica == step.replica)
            .unwrap();
        assert_eq!(replica.machine, step.from);
        replica.machine = step.to.clone();
    }
    for node in next.snapshot.nodes.iter_mut().filter(|n| n.utilisation.is_some()) {
        node.utilisation = plan.utilisation_after.get(&node.machine.id).copied();
    }
    next
}

#[test]
fn the_most_loaded_gives_to_the_least_loaded_with_its_benefit() {
    let world = uneven();
    // An idle machine costs its price once it is used; balance must be worth more than that here.
    let config = RebalanceConfig::new(
        5,
        Duration::from_secs(24 * 3600),
        "0.01".parse().unwrap(),
        "9".parse().unwrap(),
    );
    let plan = run(&world, &BTreeMap::new(), &config);
    assert_eq!(plan.moves.len(), 1);
    let step = &plan.moves[0];
    assert_eq!((step.from.as_str(), step.to.as_str()), ("n-1", "n-3"));
    assert!(plan.imbalance_after.rms < plan.imbalance_before.rms && plan.imbalance_after.rms < 1e-9);
    assert!(step.ce.earns() && plan.ce == Some(step.ce) && plan.refusal.is_none());
    insta::assert_snapshot!(step.because, @"`n-1` goes from U 0.5000 to 0.2500, `n-3` from 0.0000 to 0.2500; next best is `n-2` (rms 0.6086 instead of 0.0000)");
    let again = run(&moved(&world, &plan), &BTreeMap::new(), &config);
    assert!(
        again.moves.is_empty() && matches!(again.refusal, Some(Refusal::Even { .. })),
        "{again:?}"
    );
}

#[test]
fn a_named_target_is_honoured_and_a_better_one_told() {
    let world = uneven();
    let config = RebalanceConfig::new(1, Duration::from_secs(24 * 3600), MicroUsd::ZERO, "9".parse().unwrap());
    let mut busy = world.clone();
    busy.snapshot.nodes[0].utilisation = Some(Ratio::new(0.9).unwrap());
    busy.snapshot.nodes[1].utilisation = Some(Ratio::new(0.3).unwrap());
    busy.snapshot.nodes[2].utilisation = Some(Ratio::new(0.1).unwrap());
    let free = run(&busy, &BTreeMap::new(), &config);
    assert_eq!(free.moves[0].to.as_str(), "n-3");
    let named = run(&busy, &BTreeMap::new(), &config.with_target("n-2".parse().unwrap()));
    assert_eq!(named.moves[0].to.as_str(), "n-2");
    assert!(
        named.moves[0].because.contains("`n-3` would be better"),
        "{}",
        named.moves[0].because
    );
}

#[test]
fn refusals_are_polite_and_say_why() {
    let world = uneven();
    let none = BTreeMap::new();
    let dear = RebalanceConfig::new(5, Duration::from_secs(60), "100".parse().unwrap(), "9".parse().unwrap());
    let refusal = |world: &World, config: &RebalanceConfig| {
        let plan = run(world, &none, config);
        assert!(plan.moves.is_empty() && plan.ce.is_none());
        assert_eq!(plan.imbalance_before, plan.imbalance_after);
        plan.refusal.unwrap()
    };
    assert!(matches!(refusal(&world, &dear), Refusal::NotWorthIt { .. }));
    assert!(matches!(refusal(&World::new(), &config()), Refusal::NothingToMove));
    let named = config().with_target("n-9".parse().unwrap());
    insta::assert_snapshot!(refusal(&world, &named), @"the target `n-9` is not there or not ready");
    let mut apart = world.clone();
    apart.manifest.services[0]
        .labels
        .insert("zone".to_owned(), "eu-1a".to_owned());
    apart.snapshot.replicas.pop();
    let worthy = RebalanceConfig::new(5, Duration::from_secs(24 * 3600), MicroUsd::ZERO, "9".parse().unwrap());
    assert!(
        matches!(refusal(&apart, &worthy), Refusal::Forbidden { rejected } if rejected.contains_key(&Filter::Labels))
    );
}

#[test]
fn a_rebalance_right_after_another_waits() {
    let world = uneven();
    let catalogue = world.catalogue();
    let problem = Problem {
        manifest: &world.manifest,
        snapshot: &world.snapshot,
        catalogue: &catalogue,
    };
    let usage = BTreeMap::new();
    let now = world.snapshot.taken_at;
    let earlier = Timestamp::from_micros(now.as_micros() - 60_000_000);
    let config = config().with_cooldown(Duration::from_secs(300));
    let plan = rebalance(
        &RebalanceInput {
            problem,
            usage: &usage,
            last_moved: Some(earlier),
        },
        &config,
    )
    .unwrap();
    assert_eq!(
        plan.refusal,
        Some(Refusal::TooSoon {
            wait: Duration::from_secs(240)
        })
    );
}

#[test]
fn a_machine_that_can_be_given_back_is_worth_a_move() {
    // Balance counts nothing; the second job's machine costs a dime an hour.
    let mut world = uneven();
    world.snapshot.replicas.remove(0);
    let config = RebalanceConfig::new(
        3,
        Duration::from_secs(30 * 24 * 3600),
        "1".parse().unwrap(),
        MicroUsdPerHour::ZERO,
    );
    let plan = run(&world, &BTreeMap::new(), &config);
    assert_eq!(plan.moves.len(), 1);
    // 0.10 USD/h over 720 hours.
    assert_eq!(
        (
            plan.moves[0].saving.to_string().as_str(),
            plan.moves[0].cost.to_string().as_str()
        ),
        ("72.00 USD", "1.00 USD")
    );
    assert!(
        run(&world, &BTreeMap::new(), &config.with_ce_max(0.01))
            .moves
            .is_empty()
    );
}

#[test]
fn usage_counts_and_not_what_is_requested() {
    let world = uneven();
    let idle = |r: &str| {
        (
            r.parse().unwrap(),
            Resources::new(Millicores::from_millicores(1), Bytes::from_mib(1)),
        )
    };
    let usage = BTreeMap::from([idle("job/0"), idle("job/1")]);
    let plan = run(&world, &usage, &config());
    assert!(plan.utilisation_before[&"n-1".parse::<MachineId>().unwrap()].get() < 0.01);
}

/// A random assignment of up to eight replicas to up to four machines, some measured.
fn random(seed: u64) -> World {
    let mut dice = Dice::new(seed);
    let zones = ["eu-1a", "eu-1b", "eu-1c"];
    let count = 2 + usize::try_from(dice.roll(3)).unwrap();
    let mut nodes: Vec<Node> = (0..count).map(|i| node(&format!("n-{i}"), zones[i % 3])).collect();
    let mut apart = service("apart", 2, "500m", "512MiB");
    apart.anti_affinity = vec!["apart".parse().unwrap()];
    let mut even = service("even", 3, "500m", "512MiB");
    even.spread = vec![spread(SpreadOver::Zone, 2)];
    let services = vec![apart, even, service("free", 3, "750m", "1GiB")];
    for node in &mut nodes {
        if !dice.one_in(3) {
            continue;
        }
        node.utilisation = Some(Ratio::new(f64::from(u32::try_from(dice.roll(100)).unwrap()) / 100.0).unwrap());
    }
    let mut world = World::new().with(services.clone()).with_nodes(nodes).without_offers();
    for service in &services {
        for index in 0..service.replicas.get() {
            let machine = format!("n-{}", dice.roll(count as u64));
            world.snapshot.replicas.push(running(
                &format!("{}/{index}", service.name),
                &machine,
                service.resources,
            ));
        }
    }
    // What breaks a rule or has no room as it is, is not the rebalancer's to mend.
    let mut kept = world.clone();
    let placed = world.place(&skyloom_scheduler::Cheapest);
    kept.snapshot.replicas.retain(|r| {
        placed
            .assignments
            .iter()
            .any(|a| a.replica == r.replica && a.machine == r.machine)
    });
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_plan_keeps_its_bounds_and_rules_and_leaves_nothing_for_a_second_run(seed in 0u64..1_000_000, moves_max in 0u32..4) {
        let world = random(seed);
        let cents = i64::try_from(seed % 50).unwrap();
        let config = RebalanceConfig::new(
            moves_max,
            Duration::from_secs(24 * 3600),
            MicroUsd::from_micros(cents * 10_000),
            MicroUsdPerHour::from_micros(2_000_000),
        );
        let plan = run(&world, &BTreeMap::new(), &config);
        prop_assert!(plan.moves.len() <= usize::try_from(moves_max).unwrap());
        prop_assert_eq!(plan.moves.is_empty(), plan.refusal.is_some());
        let mut replicas: Vec<&ReplicaId> = plan.moves.iter().map(|m| &m.replica).collect();
        replicas.sort();
        replicas.dedup();
        prop_assert_eq!(replicas.len(), plan.moves.len(), "no replica moves twice");
        let cost: i64 = plan.moves.iter().map(|m| m.cost.as_micros()).sum();
        let saving: i64 = plan.moves.iter().map(|m| m.saving.as_micros()).sum();
        prop_assert!(plan.moves.is_empty() || cost <= saving, "the plan earns what it costs");
        let after = moved(&world, &plan);
        // Everything that ran still satisfies the rules where it is now: placing again moves nothing of it.
        let placed = after.place(&skyloom_scheduler::Cheapest);
        for replica in &after.snapshot.replicas {
            let stays = placed.assignments.iter().any(|a| a.replica == replica.replica && a.machine == replica.machine);
            prop_assert!(stays, "{} broke a rule", replica.replica);
        }
        if plan.moves.len() < usize::try_from(moves_max).unwrap() {
            let again = run(&after, &BTreeMap::new(), &config);
            prop_assert!(again.moves.is_empty(), "{:?}", again.moves);
        }
    }
}

#[test]
fn imbalance_in_the_plan_is_formula_two_over_its_utilisations() {
    let world = uneven();
    let plan = run(&world, &BTreeMap::new(), &config());
    let u: Vec<Ratio> = plan.utilisation_before.values().copied().collect();
    assert_eq!(plan.imbalance_before, Imbalance::of(&u, Mean::Arithmetic).unwrap());
}
