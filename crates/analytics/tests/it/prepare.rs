//! Formula 7: repairs, grids, gaps, transforms and their inverses, and the report of what was changed.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::forecast::{ForecastConfig, forecast};
use skyloom_analytics::prepare::{
    Aggregate, Disorder, Duplicates, Fill, Hampel, Inversion, LongGap, Order, Pipeline, PipelineError, PrepareError,
    RawSample, Resample, Step,
};
use skyloom_core::Timestamp;

use crate::sim::{Noise, close};

const SECOND: Duration = Duration::from_secs(1);
const ORDER: Step = Step::Order(Order {
    disorder: Disorder::Sort,
    duplicates: Duplicates::Last,
});
const GRID: Resample = Resample {
    step: SECOND,
    aggregate: Aggregate::Mean,
    fill: Fill::Linear,
    gap_max: Duration::from_secs(2),
    long_gap: LongGap::Refuse,
};

/// Samples as (milliseconds, value).
fn raw(samples: &[(i64, f64)]) -> Vec<RawSample> {
    let at = |ms: i64| Timestamp::from_micros(ms * 1000);
    samples
        .iter()
        .map(|&(ms, value)| RawSample { at: at(ms), value })
        .collect()
}

fn check(steps: &[Step], samples: &[(i64, f64)], expected: Result<&[f64], PrepareError>) {
    let got = Pipeline::new(steps.to_vec()).unwrap().run(&raw(samples));
    match (got, expected) {
        (Ok(got), Ok(values)) => {
            assert_eq!(got.regular.len(), values.len(), "{got:?}");
            let same = got
                .regular
                .values()
                .iter()
                .zip(values)
                .all(|(a, b)| close(*a, *b, 1.0, 1e-12));
            assert!(same, "{:?} is not {values:?}", got.regular);
        }
        (got, expected) => assert_eq!(got.map(|p| p.regular.values().to_vec()), expected.map(<[f64]>::to_vec)),
    }
}

#[test]
fn order_and_duplicates_follow_the_policy() {
    let mess = [(0, 1.0), (2000, 3.0), (1000, 2.0), (2000, 5.0)];
    let order = |disorder, duplicates| [Step::Order(Order { disorder, duplicates }), Step::Resample(GRID)];
    let at = Timestamp::from_secs(2);
    check(&order(Disorder::Sort, Duplicates::First), &mess, Ok(&[1.0, 2.0, 3.0]));
    check(&order(Disorder::Sort, Duplicates::Last), &mess, Ok(&[1.0, 2.0, 5.0]));
    check(&order(Disorder::Sort, Duplicates::Mean), &mess, Ok(&[1.0, 2.0, 4.0]));
    check(
        &order(Disorder::Sort, Duplicates::Refuse),
        &mess,
        Err(PrepareError::Duplicate { at }),
    );
    check(
        &order(Disorder::DropLate, Duplicates::Last),
        &mess,
        Ok(&[1.0, 3.0, 5.0]),
    );
    check(
        &order(Disorder::Refuse, Duplicates::Last),
        &mess,
        Err(PrepareError::OutOfOrder { index: 2 }),
    );
}

#[test]
fn cells_take_the_mean_or_the_last_and_begin_on_multiples_of_the_step() {
    let samples = [(-500, 7.0), (250, 1.0), (750, 3.0), (1999, 9.0)];
    check(&[ORDER, Step::Resample(GRID)], &samples, Ok(&[7.0, 2.0, 9.0]));
    let last = Resample {
        aggregate: Aggregate::Last,
        ..GRID
    };
    check(&[ORDER, Step::Resample(last)], &samples, Ok(&[7.0, 3.0, 9.0]));
    let prepared = Pipeline::new(vec![ORDER, Step::Resample(GRID)])
        .unwrap()
        .run(&raw(&samples))
        .unwrap();
    assert_eq!(prepared.regular.start(), Timestamp::from_secs(-1));
}

#[test]
fn short_gaps_are_filled_long_ones_refused_or_split() {
    let gap2 = [(0, 1.0), (3000, 4.0)];
    let gap3 = [(0, 1.0), (1000, 2.0), (5000, 4.0), (6000, 6.0)];
    check(&[ORDER, Step::Resample(GRID)], &gap2, Ok(&[1.0, 2.0, 3.0, 4.0]));
    let locf = Resample {
        fill: Fill::Locf,
        ..GRID
    };
    check(&[ORDER, Step::Resample(locf)], &gap2, Ok(&[1.0, 1.0, 1.0, 4.0]));
    let (from, to, gap_max) = (Timestamp::from_secs(1), Timestamp::from_secs(5), GRID.gap_max);
    check(
        &[ORDER, Step::Resample(GRID)],
        &gap3,
        Err(PrepareError::GapTooLong { from, to, gap_max }),
    );
    let split = Resample {
        long_gap: LongGap::Split,
        ..GRID
    };
    let steps = vec![ORDER, Step::Resample(split), Step::Standardise];
    let prepared = Pipeline::new(steps).unwrap().run(&raw(&gap3)).unwrap();
    assert_eq!((prepared.regular.start(), prepared.regular.len()), (to, 2));
    assert_eq!(prepared.earlier.len(), 1);
    let back: Vec<f64> = prepared.earlier[0]
        .values()
        .iter()
        .map(|v| prepared.inverse.apply(*v))
        .collect();
    assert!(close(back[0], 1.0, 1.0, 1e-12) && close(back[1], 2.0, 1.0, 1e-12));
    // A century between two samples at a microsecond grid: neither filled nor allocated.
    let fine = Resample {
        step: Duration::from_micros(1),
        gap_max: Duration::from_secs(4_000_000_000),
        ..GRID
    };
    let century = raw(&[(0, 1.0), (3_000_000_000_000, 2.0)]);
    let refused = Pipeline::new(vec![ORDER, Step::Resample(fine)]).unwrap().run(&century);
    assert!(matches!(refused, Err(PrepareError::TooLong { .. })));
}

#[test]
fn counters_become_rates_and_restarts_count_from_zero() {
    let counter = [(0, 100.0), (1000, 150.0), (2000, 10.0), (4000, 30.0)];
    check(
        &[ORDER, Step::CounterToRate, Step::Resample(GRID)],
        &counter,
        Ok(&[50.0, 10.0, 10.0, 10.0]),
    );
    let prepared = Pipeline::counter(SECOND).unwrap().run(&raw(&counter)).unwrap();
    assert!(prepared.is_unit_changed);
    assert_eq!(
        (prepared.report.steps[1].changed, prepared.report.steps[1].dropped),
        (1, 1)
    );
    let negative = PrepareError::OutOfDomain {
        step: "counter-to-rate",
        index: 1,
        value: -5.0,
    };
    check(
        &[ORDER, Step::CounterToRate, Step::Resample(GRID)],
        &[(0, 1.0), (1000, -5.0)],
        Err(negative),
    );
    let overflow = PrepareError::Overflow {
        step: "counter-to-rate",
        index: 0,
    };
    check(
        &[ORDER, Step::CounterToRate, Step::Resample(GRID)],
        &[(0, 0.0), (1, 1e308)],
        Err(overflow),
    );
    let empty = PrepareError::Empty {
        received: 1,
        step: "counter-to-rate",
    };
    check(
        &[ORDER, Step::CounterToRate, Step::Resample(GRID)],
        &[(0, 1.0)],
        Err(empty),
    );
}

#[test]
fn outliers_are_clipped_to_the_border_and_counted() {
    let mut samples: Vec<(i64, f64)> = (0..41)
        .map(|i| (i * 1000, [1.0, 2.0, 3.0][usize::try_from(i % 3).unwrap()]))
        .collect();
    samples[20].1 = 500.0;
    let hampel = Step::Hampel(Hampel {
        half_window: 5,
        threshold: 3.0,
    });
    for steps in [
        [ORDER, hampel, Step::Resample(GRID)],
        [ORDER, Step::Resample(GRID), hampel],
    ] {
        let prepared = Pipeline::new(steps.to_vec()).unwrap().run(&raw(&samples)).unwrap();
        // The neighbourhood's median is 2 and its MAD is 1.
        let border = 2.0 + 3.0 * 1.482_602_218_505_602;
        assert!(
            close(prepared.regular.values()[20], border, 1.0, 1e-12),
            "{}",
            prepared.regular.values()[20]
        );
        let changed: usize = prepared.report.steps.iter().map(|s| s.changed).sum();
        assert_eq!(changed, 1);
    }
}

#[test]
fn the_fitted_power_is_that_of_the_data() {
    // Squares of, and exponentials of, values spread evenly: powers near 1/2 and 0 make them even again.
    for (power, map) in [(0.5, (|x: f64| x * x) as fn(f64) -> f64), (0.0, f64::exp)] {
        let mut noise = Noise::new(21);
        let samples: Vec<(i64, f64)> = (0..400).map(|i| (i * 1000, map(6.0 + noise.normal()))).collect();
        let steps = vec![ORDER, Step::Resample(GRID), Step::BoxCox { lambda: None }];
        let prepared = Pipeline::new(steps).unwrap().run(&raw(&samples)).unwrap();
        let lambda = prepared.inverse.lambdas().next().unwrap();
        // Its standard error is about 0.15 for 400 values of this spread; three of them.
        assert!((lambda - power).abs() < 0.45, "{lambda} for {power}");
        for (z, (_, y)) in prepared.regular.values().iter().zip(&samples) {
            assert!(close(prepared.inverse.apply(*z), *y, 0.0, 1e-9));
        }
    }
}

#[test]
fn inverses_are_safe_outside_of_the_image() {
    let samples: Vec<(i64, f64)> = (0..20_i32).map(|i| (i64::from(i) * 1000, 1.0 + f64::from(i))).collect();
    for lambda in [-1.0, -0.5, 0.0, 0.5, 2.0] {
        let steps = vec![
            ORDER,
            Step::Resample(GRID),
            Step::BoxCox { lambda: Some(lambda) },
            Step::Standardise,
        ];
        let prepared = Pipeline::new(steps).unwrap().run(&raw(&samples)).unwrap();
        let mut last = -1.0;
        for z in [-1e300, -1e3, -10.0, -1.0, 0.0, 1.0, 10.0, 1e3, 1e300] {
            let y = prepared.inverse.apply(z);
            assert!(y.is_finite() && y >= 0.0 && y >= last, "{lambda} {z}: {y} after {last}");
            last = y;
        }
    }
}

#[test]
fn a_logarithm_of_what_has_none_is_refused() {
    let domain = |step, value| PrepareError::OutOfDomain { step, index: 1, value };
    let steps = |step| [ORDER, Step::Resample(GRID), step];
    check(
        &steps(Step::Log1p),
        &[(0, 1.0), (1000, -1.0)],
        Err(domain("log1p", -1.0)),
    );
    let box_cox = Step::BoxCox { lambda: None };
    check(&steps(box_cox), &[(0, 1.0), (1000, 0.0)], Err(domain("box-cox", 0.0)));
    check(&steps(box_cox), &[(0, 3.0), (1000, 3.0)], Ok(&[2.0, 2.0]));
    check(&steps(Step::Standardise), &[(0, 3.0), (1000, 3.0)], Ok(&[0.0, 0.0]));
}

#[test]
fn steps_declare_whether_they_can_be_undone_and_where_they_may_stand() {
    let hampel = Step::Hampel(Hampel {
        half_window: 1,
        threshold: 3.0,
    });
    for (step, inversion) in [
        (ORDER, Inversion::Repair),
        (hampel, Inversion::Repair),
        (Step::Resample(GRID), Inversion::Repair),
        (Step::CounterToRate, Inversion::ChangesUnit),
        (Step::Log1p, Inversion::Invertible),
        (Step::BoxCox { lambda: None }, Inversion::Invertible),
        (Step::Standardise, Inversion::Invertible),
    ] {
        assert_eq!(step.inversion(), inversion);
        assert_eq!(step.is_invertible(), inversion == Inversion::Invertible);
    }
    let grid = Step::Resample(GRID);
    let refused = |steps: &[Step]| Pipeline::new(steps.to_vec()).unwrap_err();
    assert_eq!(refused(&[]), PipelineError::NotOrdered);
    assert_eq!(refused(&[grid]), PipelineError::NotOrdered);
    assert_eq!(refused(&[ORDER]), PipelineError::NotResampled);
    for (steps, step, index) in [
        (vec![ORDER, ORDER, grid], "order", 1),
        (vec![ORDER, grid, grid], "resample", 2),
        (vec![ORDER, Step::Log1p, grid], "log1p", 1),
        (vec![ORDER, grid, Step::CounterToRate], "counter-to-rate", 2),
    ] {
        assert_eq!(refused(&steps), PipelineError::Misplaced { step, index });
    }
    for bad in [
        Step::Hampel(Hampel {
            half_window: 0,
            threshold: 3.0,
        }),
        Step::Hampel(Hampel {
            half_window: 5,
            threshold: f64::NAN,
        }),
        Step::Resample(Resample {
            step: Duration::ZERO,
            ..GRID
        }),
        Step::Resample(Resample {
            step: Duration::from_nanos(1500),
            ..GRID
        }),
    ] {
        let refusal = refused(&[ORDER, bad]);
        assert!(
            matches!(refusal, PipelineError::Setting { index: 1, .. }),
            "{refusal:?}"
        );
    }
    assert!(Pipeline::gauge(Duration::MAX).is_err());
    insta::assert_snapshot!(
        refused(&[ORDER, Step::Resample(Resample { step: Duration::ZERO, ..GRID })]),
        @"build a pipeline with `resample` as step `1`: its step (a positive number of whole microseconds) is out of range"
    );
}

#[test]
fn forecasts_come_back_in_the_unit_of_the_samples() {
    let mut noise = Noise::new(9);
    let samples: Vec<(i64, f64)> = (0..60)
        .map(|i| (i * 1000, 1e6 * (0.2 * noise.normal()).exp()))
        .collect();
    let steps = vec![ORDER, Step::Resample(GRID), Step::Log1p, Step::Standardise];
    let prepared = Pipeline::new(steps).unwrap().run(&raw(&samples)).unwrap();
    let ahead = forecast(&prepared.regular, &ForecastConfig::new(10, 0.9).unwrap()).unwrap();
    for step in prepared.invert(&ahead).steps {
        assert!(
            4e5 < step.lo && step.lo < step.point && step.point < step.hi && step.hi < 2.5e6,
            "{step:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever arrives is refused with a reason, or becomes a finite grid that the report accounts for: received =
    /// kept + dropped - added.
    #[test]
    fn any_samples_become_a_grid_or_a_reason(
        samples in prop::collection::vec(
            (-20_000..20_000_i64, prop_oneof![-10.0..10.0, Just(f64::NAN), Just(f64::INFINITY), -1e308..1e308]),
            0..60,
        ),
        counter in any::<bool>(),
    ) {
        let pipeline = if counter { Pipeline::counter(SECOND) } else { Pipeline::gauge(SECOND) }.unwrap();
        match pipeline.run(&raw(&samples)) {
            Ok(prepared) => {
                prop_assert!(prepared.regular.values().iter().all(|v| v.is_finite()));
                let total: usize = prepared.earlier.iter().map(|s| s.len()).sum::<usize>() + prepared.regular.len();
                let (dropped, added) = prepared.report.steps.iter().fold((0, 0), |(d, a), s| (d + s.dropped, a + s.added));
                prop_assert_eq!(prepared.report.received + added, total + dropped);
                prop_assert_eq!(prepared.report.steps.last().unwrap().kept, total);
                for pair in prepared.earlier.windows(2) {
                    prop_assert!(pair[0].at(pair[0].len()) < pair[1].start());
                }
            }
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }

    /// The order of arrival does not matter to a pipeline that sorts, as long as no two samples share a time.
    #[test]
    fn arrival_order_does_not_matter(seed in any::<u64>(), len in 1..40_usize) {
        let mut noise = Noise::new(seed);
        let sorted: Vec<(i64, f64)> = (0..len).map(|i| (i64::try_from(i).unwrap() * 700, noise.normal())).collect();
        let mut shuffled = sorted.clone();
        shuffled.sort_by_key(|(_, v)| v.to_bits());
        let pipeline = Pipeline::gauge(SECOND).unwrap();
        let (a, b) = (pipeline.run(&raw(&sorted)).unwrap(), pipeline.run(&raw(&shuffled)).unwrap());
        prop_assert_eq!(a.regular, b.regular);
    }

    /// Undoing every transform gives the grid back.
    #[test]
    fn transforms_are_undone(values in prop::collection::vec(1e-3..1e6_f64, 2..40), lambda in -1.0..2.0_f64) {
        let samples: Vec<(i64, f64)> = values.iter().enumerate().map(|(i, v)| (i64::try_from(i).unwrap() * 1000, *v)).collect();
        for steps in [
            vec![ORDER, Step::Resample(GRID), Step::Log1p, Step::Standardise],
            vec![ORDER, Step::Resample(GRID), Step::Standardise],
            vec![ORDER, Step::Resample(GRID), Step::BoxCox { lambda: Some(lambda.max(0.0)) }],
        ] {
            let prepared = Pipeline::new(steps).unwrap().run(&raw(&samples)).unwrap();
            let largest = values.iter().copied().fold(0.0, f64::max);
            for (z, y) in prepared.regular.values().iter().zip(&values) {
                prop_assert!(close(prepared.inverse.apply(*z), *y, largest, 1e-9), "{} {}", prepared.inverse.apply(*z), y);
            }
        }
    }
}
