//! Formulas 1 to 3 with the worked cases of `docs/fidelity.md`.

use proptest::prelude::*;
use skyloom_core::{Bytes, Dimension, MicroUsd, Millicores, Milligpus, Ratio, Resources};
use skyloom_scheduler::formulas::{
    CostBenefit, Fold, FormulaError, Imbalance, Mean, cost_benefit, load_balance, load_balances, utilisation,
    utilisation_of,
};
use skyloom_scheduler::{ShiftError, suggest_shift};

fn ratios(values: &[f64]) -> Vec<Ratio> {
    values.iter().map(|u| Ratio::new(*u).unwrap()).collect()
}

/// Four decimals, as the reference prints; minus zero is zero.
fn rounded(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| (v * 10_000.0).round() / 10_000.0 + 0.0).collect()
}

const FIVE_MACHINES: [f64; 5] = [0.6, 0.8, 0.5, 0.7, 0.9];

#[test]
fn the_worked_case_gives_the_formulas_own_figures_for_both_means() {
    let u = ratios(&FIVE_MACHINES);
    let supplied = Mean::Supplied(Ratio::new(0.65).unwrap());
    let rows: [(Mean, [f64; 5]); 2] = [
        (supplied, [-0.04, 0.1034, -0.1304, 0.037, 0.1613]),
        (Mean::Arithmetic, [-0.0769, 0.0667, -0.1667, 0.0, 0.125]),
    ];
    for (mean, expected) in rows {
        assert_eq!(rounded(&load_balances(&u, mean).unwrap()), expected);
    }
    assert!((Mean::Arithmetic.of(&u).unwrap().get() - 0.7).abs() < 1e-12);
}

#[test]
fn the_worked_shift_goes_to_v3_and_honours_v1_with_the_reason() {
    let u = ratios(&FIVE_MACHINES);
    let supplied = Mean::Supplied(Ratio::new(0.65).unwrap());
    let best = suggest_shift(&u, supplied, None, None).unwrap();
    assert_eq!(
        (best.from, best.to, best.better, best.honours_named()),
        (4, 2, 2, false)
    );
    let named = suggest_shift(&u, supplied, Some(4), Some(0)).unwrap();
    assert_eq!(
        (named.from, named.to, named.better, named.honours_named()),
        (4, 0, 2, true)
    );
    assert!(best.after.rms < named.after.rms && named.after.rms < named.before.rms);
    assert!((named.after_better.rms - best.after.rms).abs() < 1e-15);
    insta::assert_snapshot!(best, @"shift 0.2000 from V5 to V3: rms of LB 0.1065 -> 0.0573; V3 is the least loaded");
    insta::assert_snapshot!(named, @"shift 0.1500 from V5 to V1: rms of LB 0.1065 -> 0.0886; V1 was named, V3 is less loaded and would give 0.0573");
}

#[test]
fn shifts_that_make_no_sense_are_refused() {
    let u = ratios(&FIVE_MACHINES);
    let shift = |u: &[Ratio], from, to| suggest_shift(u, Mean::Arithmetic, from, to);
    assert_eq!(shift(&u[..1], None, None), Err(ShiftError::TooFew { count: 1 }));
    assert_eq!(
        shift(&u, Some(9), None),
        Err(ShiftError::Unknown { index: 9, count: 5 })
    );
    assert_eq!(shift(&u, Some(1), Some(1)), Err(ShiftError::Same { index: 1 }));
    // Towards a fuller machine there is nothing to shift.
    assert_eq!(shift(&u, Some(2), Some(4)).unwrap().amount, Ratio::ZERO);
    // Naming the fullest machine as target leaves the next one as source.
    assert_eq!(shift(&u, None, Some(4)).unwrap().from, 1);
}

#[test]
fn utilisation_names_its_zero_case_and_refuses_what_is_no_number() {
    assert_eq!(utilisation(30.0, 60.0).unwrap(), Ratio::new(0.5).unwrap());
    assert_eq!(utilisation(0.0, 60.0).unwrap(), Ratio::ZERO);
    assert!(matches!(utilisation(0.0, 0.0), Err(FormulaError::ZeroTotal { .. })));
    assert!(matches!(utilisation(2.0, 1.0), Err(FormulaError::OverTotal { .. })));
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(matches!(utilisation(bad, 1.0), Err(FormulaError::NotANumber { .. })));
        assert!(matches!(utilisation(0.5, bad), Err(FormulaError::NotANumber { .. })));
    }
}

#[test]
fn dimensions_fold_by_the_dominant_share_unless_told_otherwise() {
    let capacity = Resources::new(Millicores::from_cores(4), Bytes::from_gib(8));
    let used = Resources::new(Millicores::from_cores(1), Bytes::from_gib(6));
    let fold = |fold| utilisation_of(&used, &capacity, fold).map(Ratio::get);
    assert_eq!(fold(Fold::Dominant), Ok(0.75));
    assert_eq!(fold(Fold::Mean), Ok(0.5));
    assert_eq!(fold(Fold::Only(Dimension::Cpu)), Ok(0.25));
    assert!(matches!(
        fold(Fold::Only(Dimension::Gpu)),
        Err(FormulaError::ZeroTotal { .. })
    ));
    let gpu = used.with_gpu(Milligpus::from_milligpus(1));
    assert!(matches!(
        utilisation_of(&gpu, &capacity, Fold::Dominant),
        Err(FormulaError::ZeroTotal { .. })
    ));
    assert!(matches!(
        utilisation_of(&Resources::ZERO, &Resources::ZERO, Fold::Mean),
        Err(FormulaError::ZeroTotal { .. })
    ));
    assert!(matches!(
        utilisation_of(&capacity, &used, Fold::Mean),
        Err(FormulaError::OverTotal { .. })
    ));
}

#[test]
fn cost_benefit_sorts_no_benefit_last() {
    let usd = MicroUsd::from_micros;
    let ce = |cost, revenue| cost_benefit(usd(cost), usd(revenue)).unwrap();
    let mut values = vec![ce(1, 0), ce(300, 100), ce(0, 0), ce(50, 100), ce(0, 100)];
    values.sort();
    let expected = [
        CostBenefit::Ratio(0.0),
        CostBenefit::Ratio(0.5),
        CostBenefit::Ratio(1.0),
        CostBenefit::Ratio(3.0),
        CostBenefit::NoBenefit,
    ];
    assert_eq!(values, expected);
    assert!(ce(50, 100).earns() && !ce(0, 0).earns() && !CostBenefit::NoBenefit.earns());
    assert!(matches!(
        cost_benefit(usd(-1), usd(1)),
        Err(FormulaError::NegativeMoney { .. })
    ));
    assert_eq!(CostBenefit::NoBenefit.to_string(), "no benefit");
}

#[test]
fn imbalance_of_the_idle_and_of_nothing_is_defined() {
    let idle = Imbalance::of(&ratios(&[0.0, 0.0]), Mean::Arithmetic).unwrap();
    assert_eq!(
        idle,
        Imbalance {
            max_abs: 0.0,
            rms: 0.0,
            cv: 0.0,
            jain: 1.0
        }
    );
    assert_eq!(
        Imbalance::of(&[], Mean::Supplied(Ratio::ONE)),
        Err(FormulaError::Nothing)
    );
    let one_of_two = Imbalance::of(&ratios(&[1.0, 0.0]), Mean::Arithmetic).unwrap();
    assert_eq!((one_of_two.max_abs, one_of_two.cv, one_of_two.jain), (1.0, 1.0, 0.5));
}

proptest! {
    #[test]
    fn load_balance_is_bounded_antisymmetric_and_rises_with_utilisation(u in 0.0f64..=1.0, v in 0.0f64..=1.0, m in 0.0f64..=1.0) {
        let (u, v, m) = (Ratio::new(u).unwrap(), Ratio::new(v).unwrap(), Ratio::new(m).unwrap());
        let lb = load_balance(u, m);
        prop_assert!((-1.0..=1.0).contains(&lb));
        prop_assert!((lb + load_balance(m, u)).abs() < 1e-15);
        if u > v {
            prop_assert!(lb >= load_balance(v, m));
        }
    }

    #[test]
    fn imbalance_figures_keep_their_ranges_and_agree_on_evenness(u in proptest::collection::vec(0.0f64..=1.0, 1..30)) {
        let imbalance = Imbalance::of(&ratios(&u), Mean::Arithmetic).unwrap();
        let n = f64::from(u32::try_from(u.len()).unwrap());
        prop_assert!(imbalance.rms <= imbalance.max_abs + 1e-12 && imbalance.max_abs <= 1.0);
        prop_assert!(imbalance.jain <= 1.0 + 1e-12 && imbalance.jain >= 1.0 / n - 1e-12);
        // Jain's fairness is 1 / (1 + cv²): two ways to one figure.
        prop_assert!((imbalance.jain - 1.0 / (1.0 + imbalance.cv * imbalance.cv)).abs() < 1e-9);
    }
}
