//! Availability against an enumeration of every state that can fail, and of every mix that can be bought.

use skyloom_core::{MicroUsdPerHour, Ratio};
use skyloom_scheduler::Effort;
use skyloom_scheduler::risk::availability::*;
use statrs::distribution::{Binomial, Discrete};

use crate::random_world::Dice;

fn usd(cents: u64) -> MicroUsdPerHour {
    MicroUsdPerHour::from_micros(i64::try_from(cents).unwrap() * 10_000)
}

fn p(value: f64) -> Ratio {
    Ratio::new(value).unwrap()
}

fn solve(problem: &AvailabilityProblem) -> Result<Availability, AvailabilityError> {
    cheapest_mix(problem, &mut Effort::units(5_000_000))
}

/// Counts of a mix: on demand and spot for each domain of the problem.
type Counts = Vec<[u32; 2]>;

fn supplies(domain: &Domain) -> [Option<&Supply>; 2] {
    [domain.on_demand.as_ref(), domain.spot.as_ref()]
}

/// Chance that `need` are up: every common cause up or down, and in each of those states every replica.
fn enumerated(problem: &AvailabilityProblem, counts: &Counts) -> f64 {
    let mut causes: Vec<f64> = problem.regions.iter().map(|r| r.down.get()).collect();
    let mut replicas: Vec<(Vec<usize>, f64)> = Vec::new();
    for (domain, counts) in problem.domains.iter().zip(counts) {
        let region = problem
            .regions
            .iter()
            .position(|r| Some(&r.name) == domain.region.as_ref());
        causes.push(domain.down.get());
        let zone = causes.len() - 1;
        for (supply, count) in supplies(domain).into_iter().zip(counts) {
            let Some(supply) = supply.filter(|_| *count > 0) else {
                continue;
            };
            causes.push(supply.gone.get());
            let mut on: Vec<usize> = vec![zone, causes.len() - 1];
            on.extend(region);
            replicas.extend((0..*count).map(|_| (on.clone(), supply.down.get())));
        }
    }
    let mut sum = 0.0;
    for state in 0_u32..1 << causes.len() {
        let is_down = |cause: usize| state >> cause & 1 == 1;
        let chance: f64 = causes
            .iter()
            .enumerate()
            .map(|(c, p)| if is_down(c) { *p } else { 1.0 - p })
            .product();
        if chance > 0.0 {
            let alive: Vec<f64> = replicas
                .iter()
                .filter(|(on, _)| !on.iter().any(|cause| is_down(*cause)))
                .map(|(_, down)| *down)
                .collect();
            sum += chance * enough(&alive, problem.need);
        }
    }
    sum
}

fn enough(down: &[f64], need: u32) -> f64 {
    let states = (0_u32..1 << down.len()).filter(|state| state.count_ones() >= need);
    states
        .map(|state| -> f64 {
            let each = down.iter().enumerate();
            each.map(|(i, p)| if state >> i & 1 == 1 { 1.0 - p } else { *p })
                .product()
        })
        .sum()
}

fn allowed(problem: &AvailabilityProblem, counts: &Counts) -> bool {
    let zones = problem.domains.iter().zip(counts).all(|(domain, counts)| {
        let each = supplies(domain)
            .into_iter()
            .zip(counts)
            .all(|(supply, n)| match supply {
                Some(supply) => (supply.running..=supply.max.unwrap()).contains(n),
                None => *n == 0,
            });
        each && counts.iter().sum::<u32>() <= domain.max.unwrap_or(u32::MAX)
    });
    zones
        && problem.regions.iter().all(|region| {
            let inside = problem
                .domains
                .iter()
                .zip(counts)
                .filter(|(d, _)| d.region.as_ref() == Some(&region.name));
            let sums = inside.fold([0, 0], |sums, (_, n)| [sums[0] + n[0], sums[1] + n[1]]);
            sums[0] <= region.on_demand_max.unwrap_or(u32::MAX) && sums[1] <= region.spot_max.unwrap_or(u32::MAX)
        })
}

fn cost(problem: &AvailabilityProblem, counts: &Counts) -> i64 {
    let price = |supply: Option<&Supply>, n: u32| supply.map_or(0, |s| s.price.as_micros() * i64::from(n));
    let each = problem.domains.iter().zip(counts);
    each.map(|(domain, n)| price(domain.on_demand.as_ref(), n[0]) + price(domain.spot.as_ref(), n[1]))
        .sum()
}

/// Every mix that is allowed.
fn mixes(problem: &AvailabilityProblem) -> Vec<Counts> {
    let mut all: Vec<Counts> = vec![Vec::new()];
    for domain in &problem.domains {
        let most = supplies(domain).map(|supply| supply.map_or(0, |s| s.max.unwrap()));
        all = all
            .into_iter()
            .flat_map(|head| {
                (0..=most[0]).flat_map(move |on_demand| {
                    let head = head.clone();
                    (0..=most[1]).map(move |spot| [head.clone(), vec![[on_demand, spot]]].concat())
                })
            })
            .collect();
    }
    all.retain(|counts| allowed(problem, counts));
    all
}

fn random_problem(dice: &mut Dice) -> AvailabilityProblem {
    let chances = [0.0, 0.001, 0.01, 0.05, 0.2];
    let regions: Vec<Region> = (0..dice.roll(2))
        .map(|n| {
            let mut region = Region::new(format!("r{n}"), p(*dice.pick(&chances)));
            region.on_demand_max = dice.one_in(3).then(|| u32::try_from(1 + dice.roll(2)).unwrap());
            region.spot_max = dice.one_in(3).then(|| u32::try_from(1 + dice.roll(2)).unwrap());
            region
        })
        .collect();
    let twins = dice.one_in(2).then(|| random_domain(dice, &chances));
    let mut domains = Vec::new();
    for n in 0..1 + dice.roll(3) {
        let twin = twins.clone().filter(|_| !dice.one_in(3));
        let mut domain = twin.unwrap_or_else(|| random_domain(dice, &chances));
        domain.name = format!("d{n}");
        if !regions.is_empty() && !dice.one_in(3) {
            domain.region = Some(regions[0].name.clone());
            // Two kinds that run could be above a region's quota.
            for supply in [&mut domain.on_demand, &mut domain.spot].into_iter().flatten() {
                supply.running = 0;
            }
        }
        domains.push(domain);
    }
    AvailabilityProblem {
        need: u32::try_from(1 + dice.roll(3)).unwrap(),
        slo: p(*dice.pick(&[0.5, 0.9, 0.97, 0.995, 0.9991])),
        domains,
        regions,
    }
}

fn random_domain(dice: &mut Dice, chances: &[f64]) -> Domain {
    let mut domain = Domain::new("", p(*dice.pick(chances)));
    let supply = |dice: &mut Dice, cents: u64| {
        let max = u32::try_from(1 + dice.roll(2)).unwrap();
        let mut supply = Supply::new(usd(cents + dice.roll(9)), p(*dice.pick(chances)))
            .with_gone(p(*dice.pick(chances)))
            .with_max(max);
        if dice.one_in(5) {
            supply.running = 1;
        }
        supply
    };
    domain.on_demand = (!dice.one_in(5)).then(|| supply(dice, 20));
    domain.spot = (!dice.one_in(5)).then(|| supply(dice, 4));
    domain.max = dice.one_in(4).then_some(2);
    domain
}

#[test]
fn the_mix_is_the_cheapest_of_all_mixes_over_all_states() {
    let mut dice = Dice::new(11);
    let mut found = 0;
    for case in 0..150 {
        let problem = random_problem(&mut dice);
        let chances: Vec<(Counts, f64)> = mixes(&problem)
            .into_iter()
            .map(|counts| (counts.clone(), enumerated(&problem, &counts)))
            .collect();
        let slo = problem.slo.get();
        assert!(
            chances.iter().all(|(_, up)| (up - slo).abs() > 1e-13),
            "{case}: a tie needs another oracle"
        );
        let enough: Vec<&(Counts, f64)> = chances.iter().filter(|(_, up)| *up >= slo).collect();
        match solve(&problem) {
            Ok(answer) => {
                found += 1;
                let least = enough.iter().map(|(counts, _)| cost(&problem, counts)).min();
                assert_eq!(Some(answer.best.cost.as_micros()), least, "{case}: {problem:?}");
                let often = enough
                    .iter()
                    .filter(|(counts, _)| Some(cost(&problem, counts)) == least);
                let often = often.map(|(_, up)| *up).fold(0.0, f64::max);
                assert!(
                    (answer.best.probability - often).abs() < 1e-12,
                    "{case}: {answer:?} against {often}"
                );
                assert!(answer.is_proven() && answer.gap == 0.0, "{case}: {answer:?}");
                assert!(
                    answer
                        .runner_up
                        .iter()
                        .all(|next| next.cost >= answer.best.cost && next.probability >= slo)
                );
            }
            Err(AvailabilityError::Unsatisfiable { reachable, .. }) => {
                assert!(enough.is_empty(), "{case}: {problem:?}");
                let best = chances.iter().map(|(_, up)| *up).fold(0.0, f64::max);
                let is_shared = !problem.regions.is_empty() || problem.domains.iter().any(|d| d.max.is_some());
                assert!(
                    reachable < best + 1e-12 && reachable < slo,
                    "{case}: {reachable} {best}"
                );
                assert!(reachable > best - 1e-12 || is_shared, "{case}: {reachable} {best}");
            }
            Err(other) => panic!("{case}: {other}: {problem:?}"),
        }
    }
    assert!((60..150).contains(&found), "{found} of 150 could be met");
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let mut dice = Dice::new(5);
    for _ in 0..60 {
        let mut problem = random_problem(&mut dice);
        let first = solve(&problem);
        problem.domains.reverse();
        problem.regions.reverse();
        assert_eq!(solve(&problem), first);
    }
}

#[test]
fn independent_replicas_are_binomial() {
    for (need, slo, down) in [(1, 0.999, 0.1), (3, 0.9995, 0.01), (20, 0.99999, 0.02), (40, 0.9, 0.3)] {
        let zone = Domain::new("only", Ratio::ZERO).with_on_demand(Supply::new(usd(10), p(down)));
        let problem = AvailabilityProblem {
            need,
            slo: p(slo),
            domains: vec![zone],
            regions: Vec::new(),
        };
        let answer = solve(&problem).unwrap();
        let count = answer.best.mix[0].on_demand;
        assert_eq!(answer.best.mix.len(), 1);
        let up = Binomial::new(1.0 - down, u64::from(count)).unwrap();
        let shortfall: f64 = (0..u64::from(need)).map(|x| up.pmf(x)).sum();
        assert!(
            (answer.best.shortfall / shortfall - 1.0).abs() < 1e-10,
            "{shortfall} {answer:?}"
        );
        if need > 1 {
            assert_eq!(replicas_if_independent(need, p(slo), p(down), 1000), Some(count));
        }
    }
}

#[test]
fn a_decimal_limit_is_met_to_its_last_digit() {
    // 0.1^3 is 0.001 and 0.5^2 is 0.25: floats alone cannot tell.
    let rows = [
        (0.1, 0.999, 3),
        (0.1, 0.999_000_000_001, 4),
        (0.5, 0.75, 2),
        (0.5, 0.750_000_000_001, 3),
        (0.2, 0.9984, 4),
        (0.3, 0.99757, 5),
        (0.01, 0.999_999, 3),
    ];
    for (down, slo, count) in rows {
        for spread in [false, true] {
            // Alone in a zone that never fails, or each in a zone that fails with the replica's chance.
            let domains: Vec<Domain> = if spread {
                (0..6)
                    .map(|n| {
                        Domain::new(format!("z{n}"), p(down)).with_spot(Supply::new(usd(3), Ratio::ZERO).with_max(1))
                    })
                    .collect()
            } else {
                vec![Domain::new("z", Ratio::ZERO).with_spot(Supply::new(usd(3), p(down)))]
            };
            let problem = AvailabilityProblem {
                need: 1,
                slo: p(slo),
                domains,
                regions: Vec::new(),
            };
            let answer = solve(&problem).unwrap();
            let bought: u32 = answer.best.mix.iter().map(|m| m.spot).sum();
            assert_eq!(bought, count, "{down} {slo} {spread}");
        }
    }
}

fn three_zones() -> AvailabilityProblem {
    let zone = |name: &str, cents: u64| {
        Domain::new(name, p(0.0005))
            .with_on_demand(Supply::new(usd(cents), p(0.001)))
            .with_spot(Supply::new(usd(3), p(0.02)).with_gone(p(0.05)))
    };
    AvailabilityProblem {
        need: 6,
        slo: p(0.9999),
        domains: vec![zone("a", 10), zone("b", 11), zone("c", 12)],
        regions: Vec::new(),
    }
}

#[test]
fn more_to_choose_from_is_never_dearer_and_more_to_ask_for_never_cheaper() {
    let problem = three_zones();
    let cost = |problem: &AvailabilityProblem| solve(problem).unwrap().best.cost;
    let base = cost(&problem);
    let mut wider = problem.clone();
    wider
        .domains
        .push(Domain::new("d", p(0.001)).with_spot(Supply::new(usd(2), p(0.1)).with_gone(p(0.1))));
    assert!(cost(&wider) <= base);
    let mut harder = problem.clone();
    harder.slo = p(0.99999);
    assert!(cost(&harder) > base);
    let mut more = problem.clone();
    more.need = 7;
    assert!(cost(&more) > base);
    let mut running = problem;
    running.domains[2].on_demand.as_mut().unwrap().running = 4;
    let kept = solve(&running).unwrap();
    assert!(kept.best.cost >= base);
    assert!(kept.best.mix.iter().any(|m| m.domain == "c" && m.on_demand >= 4));
}

#[test]
fn a_gap_is_told_when_the_effort_ends_and_a_replay_gives_the_same() {
    let mut problem = three_zones();
    problem.need = 30;
    let mut effort = Effort::units(3000);
    let early = cheapest_mix(&problem, &mut effort).unwrap();
    assert!(early.gap > 0.0 && !early.is_proven() && early.lower_bound < early.best.cost);
    let log = effort.log();
    assert_eq!(cheapest_mix(&problem, &mut Effort::replayed(&log)).unwrap(), early);
    let late = solve(&problem).unwrap();
    assert!(late.best.cost <= early.best.cost && late.lower_bound >= early.lower_bound);
}

#[test]
fn bad_input_is_refused_by_name() {
    let zone = Domain::new("a", p(0.01)).with_on_demand(Supply::new(usd(10), p(0.01)));
    let problem = |domains: Vec<Domain>| AvailabilityProblem {
        need: 2,
        slo: p(0.9),
        domains,
        regions: vec![Region::new("r", Ratio::ZERO)],
    };
    let good = problem(vec![zone.clone()]);
    let with = |change: fn(&mut AvailabilityProblem)| {
        let mut bad = good.clone();
        change(&mut bad);
        solve(&bad).unwrap_err().to_string()
    };
    type Spoil = fn(&mut AvailabilityProblem);
    let rows: [(Spoil, &str); 10] = [
        (|b| b.need = 0, "keep 0 replicas up"),
        (|b| b.need = 2_000_000_000, "keep 2000000000 replicas up"),
        (|b| b.domains.clear(), "spread replicas over 0 domains"),
        (|b| b.domains.push(b.domains[0].clone()), "both called `a`"),
        (|b| b.regions.push(b.regions[0].clone()), "both called `r`"),
        (
            |b| b.domains[0].region = Some("x".to_owned()),
            "find the region `x` of domain `a`",
        ),
        (
            |b| b.domains[0].on_demand.as_mut().unwrap().price = MicroUsdPerHour::from_micros(-1),
            "price of a replica in `a`",
        ),
        (
            |b| b.domains[0].on_demand.as_mut().unwrap().price = MicroUsdPerHour::MAX,
            "price of a replica in `a`",
        ),
        (
            |b| b.domains[0].on_demand.as_mut().unwrap().price = MicroUsdPerHour::ZERO,
            "free replicas in `a`",
        ),
        (
            |b| {
                b.domains[0].max = Some(1);
                b.domains[0].on_demand.as_mut().unwrap().running = 2;
            },
            "keep 2 running replicas in `a`: at most 1",
        ),
    ];
    for (change, part) in rows {
        let text = with(change);
        assert!(text.contains(part), "{text}");
    }
    assert!(Ratio::new(f64::NAN).is_err() && Ratio::new(-0.1).is_err());
}

#[test]
fn what_cannot_be_reached_says_what_can() {
    // A zone that is down one time in a hundred gives 0.99 at most, with any number of replicas.
    let mut problem = AvailabilityProblem {
        need: 1,
        slo: p(0.999),
        domains: vec![Domain::new("a", p(0.01)).with_on_demand(Supply::new(usd(10), p(0.01)))],
        regions: Vec::new(),
    };
    let reached = |problem: &AvailabilityProblem| match solve(problem) {
        Err(AvailabilityError::Unsatisfiable { reachable, .. }) => Some(reachable),
        _ => None,
    };
    assert!((reached(&problem).unwrap() - 0.99).abs() < 1e-9);
    problem.slo = Ratio::ONE;
    assert!(reached(&problem).unwrap() < 1.0);
    // Nothing that can fail is certain, and that which cannot is.
    problem.domains[0].down = Ratio::ZERO;
    assert!(reached(&problem).unwrap() < 1.0);
    problem.domains[0].on_demand.as_mut().unwrap().down = Ratio::ZERO;
    let certain = solve(&problem).unwrap();
    assert!(certain.best.probability >= 1.0 && certain.best.mix[0].on_demand == 1);
    // No kind is sold at all.
    problem.domains[0].on_demand = None;
    assert_eq!(reached(&problem), Some(0.0));
}
