//! Terms of purchase: each changes what is bought as it should, and the bill adds up.

use skyloom_scheduler::Effort;
use skyloom_scheduler::fleet::terms::*;
use skyloom_scheduler::fleet::*;

use super::questions::{offer, question, tiny, workload};

/// Five workloads of one machine each, or three on the larger machine.
fn fleet() -> FleetTerms {
    FleetTerms::new(question(
        vec![workload(&[4, 4], Devices::None, 6)],
        vec![offer(&[4, 4], 0, 100), offer(&[12, 12], 0, 270)],
    ))
}

fn bought(terms: &FleetTerms) -> (FleetAnswer, Bill) {
    let answer = buy(terms.problem(), &mut Effort::units(20_000)).unwrap();
    assert_eq!(check(terms.problem(), &answer), []);
    let bill = terms.bill(&answer);
    assert_eq!(bill.effective(), answer.nano_usd_per_hour);
    (answer, bill)
}

#[test]
fn spot_is_taken_when_its_risk_is_worth_it() {
    let spot = |evictions_per_million_hours| Spot {
        nano_usd_per_hour: 40,
        evictions_per_million_hours,
        nano_usd_per_eviction: 1_000_000_000,
    };
    assert_eq!(spot(1).risk_nano_usd_per_hour(), Some(1000));
    let rows = [(0, (0, 240, 0)), (1, (540, 0, 0))];
    for (evictions, (on_demand, spot_paid, risk)) in rows {
        let mut terms = fleet();
        terms.spot(0, spot(evictions), None).unwrap();
        let (_, bill) = bought(&terms);
        assert_eq!(
            (bill.on_demand, bill.spot, bill.eviction_risk),
            (on_demand, spot_paid, risk)
        );
    }
    let mut terms = fleet();
    let mild = Spot {
        nano_usd_per_eviction: 3_000_001,
        ..spot(10)
    };
    assert_eq!(mild.risk_nano_usd_per_hour(), Some(31), "rounded up");
    terms.spot(0, mild, None).unwrap();
    let (_, bill) = bought(&terms);
    assert_eq!((bill.spot, bill.eviction_risk, bill.paid()), (240, 186, 240));
}

#[test]
fn spot_is_only_for_those_who_may() {
    let mut problem = fleet().problem().clone();
    problem.eligibility = vec![vec![0, 1], vec![0, 1]];
    problem.workloads = vec![workload(&[4, 4], Devices::None, 1), workload(&[4, 4], Devices::None, 1)];
    problem.workloads[0].eligible = Some(0);
    problem.workloads[1].eligible = Some(1);
    let mut terms = FleetTerms::new(problem);
    let cheap = Spot {
        nano_usd_per_hour: 1,
        evictions_per_million_hours: 0,
        nano_usd_per_eviction: 0,
    };
    terms.spot(0, cheap, Some(&[1])).unwrap();
    let (answer, bill) = bought(&terms);
    assert_eq!((bill.on_demand, bill.spot), (100, 1));
    let spot = answer.machines.iter().find(|machine| machine.offer == 2).unwrap();
    assert_eq!(spot.residents[0].workload, 1);
}

#[test]
fn a_reservation_is_used_up_to_its_number_and_paid_in_any_case() {
    for (reserved, on_demand) in [(0, 540), (3, 270), (5, 100), (9, 0)] {
        let mut terms = fleet();
        let reservation = Reservation {
            name: "small ones".to_owned(),
            machines: reserved,
            nano_usd_per_hour: 50,
        };
        terms.reserve(0, reservation).unwrap();
        let (_, bill) = bought(&terms);
        assert_eq!(
            (bill.on_demand, bill.fixed),
            (on_demand, u128::from(reserved) * 50),
            "{reserved} reserved"
        );
    }
}

#[test]
fn a_commitment_covers_discounted_machines_up_to_its_amount() {
    let mut terms = fleet();
    let commitment = Commitment {
        name: "plan".to_owned(),
        nano_usd_per_hour: 200,
        covers: vec![(0, 70), (1, 190)],
    };
    let twins = terms.commit(commitment).unwrap();
    assert_eq!(twins, [2, 3]);
    let (answer, bill) = bought(&terms);
    // One large machine under the plan (190 of 200) and one on demand.
    assert_eq!((bill.fixed, bill.on_demand, bill.prepaid_machines), (200, 270, 1));
    assert!(answer.machines.iter().any(|machine| machine.offer == 3));
}

#[test]
fn a_quota_counts_what_is_asked_for_over_all_terms_of_an_offer() {
    let mut terms = fleet();
    terms
        .reserve(
            0,
            Reservation {
                name: "one".to_owned(),
                machines: 1,
                nano_usd_per_hour: 0,
            },
        )
        .unwrap();
    let quota = |dimension, max| Quota {
        name: "region".to_owned(),
        dimension,
        max,
        offers: vec![0, 1],
    };
    terms.quota(quota(Some(0), 16)).unwrap();
    let cheap = Spot {
        nano_usd_per_hour: 10,
        evictions_per_million_hours: 0,
        nano_usd_per_eviction: 0,
    };
    terms.spot(0, cheap, None).unwrap();
    let (answer, _) = bought(&terms);
    let cpu: u64 = answer
        .machines
        .iter()
        .map(|m| terms.problem().offers[m.offer].capacity.0[0])
        .sum();
    assert_eq!(cpu, 16);
    assert_eq!(answer.left_out[0].copies, 2);
    let names = vec!["region".to_owned()];
    assert!(matches!(&answer.left_out[0].reason, LeftOutReason::Limited { limits } if limits.ends_with(&names)));
    // Nobody has devices: a quota of none of them stops nothing.
    let mut none = fleet();
    none.quota(quota(None, 0)).unwrap();
    assert!(bought(&none).0.left_out.is_empty());
}

#[test]
fn a_free_offer_more_never_makes_a_fleet_dearer_and_its_terms_are_kept() {
    for seed in 0..100 {
        let mut terms = FleetTerms::new(tiny(seed, 8));
        let plain = bought(&terms).0;
        let reservation = Reservation {
            name: "some".to_owned(),
            machines: seed % 4,
            nano_usd_per_hour: 0,
        };
        let twin = terms.reserve(0, reservation).unwrap();
        let (answer, _) = bought(&terms);
        let used = answer.machines.iter().filter(|machine| machine.offer == twin).count() as u64;
        assert!(used <= seed % 4, "seed {seed}");
        assert!(answer.lower_bound_nano_usd_per_hour <= plain.nano_usd_per_hour || !plain.left_out.is_empty());
    }
}

#[test]
fn a_term_that_cannot_be_is_refused() {
    let reservation = |name: &str, machines| Reservation {
        name: name.to_owned(),
        machines,
        nano_usd_per_hour: 2,
    };
    let dear = Spot {
        nano_usd_per_hour: u64::MAX,
        evictions_per_million_hours: 1,
        nano_usd_per_eviction: 1,
    };
    let quota = |offers, dimension| Quota {
        name: "quota".to_owned(),
        dimension,
        max: 1,
        offers,
    };
    let mut terms = fleet();
    let twin = terms.reserve(0, reservation("taken", 1)).unwrap();
    let refused = [
        terms.clone().reserve(9, reservation("r", 1)).unwrap_err(),
        terms.clone().reserve(twin, reservation("r", 1)).unwrap_err(),
        terms.clone().reserve(0, reservation("taken", 1)).unwrap_err(),
        terms.clone().reserve(0, reservation("r", u64::MAX)).unwrap_err(),
        terms.clone().spot(0, dear, None).unwrap_err(),
        terms.clone().quota(quota(vec![7], None)).unwrap_err(),
        terms.clone().quota(quota(vec![0], Some(2))).unwrap_err(),
    ];
    let texts: Vec<String> = refused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    find offer `9`: there are `3`
    put further terms on offer `2`: it is not on demand
    tell two limits named `taken` apart
    hold the fixed cost of `r`: it is beyond what can be counted
    hold the effective price of `spot machines of offer 0`: it is beyond what can be counted
    find offer `7`: there are `3`
    find dimension `2`: there are `2`
    ");
    assert!(
        refused
            .iter()
            .all(|error| error.class() == skyloom_core::Class::Invalid)
    );
}
