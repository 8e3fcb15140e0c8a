//! Latency sketches against exact quantiles, and the step that finds seasons.

use std::time::Duration;

use skyloom_analytics::prepare::{
    Aggregate, Disorder, Duplicates, Fill, LatencySketch, LongGap, Order, Pipeline, Resample, SKETCH_ERROR,
    SketchError, Step,
};
use skyloom_core::Ratio;

use crate::sim::{Noise, samples};

#[test]
fn quantiles_stay_within_the_relative_error_and_merging_is_adding() {
    let mut noise = Noise::new(8);
    let mut values: Vec<f64> = (0..4000).map(|_| (2.0 * noise.normal()).exp()).collect();
    let (mut whole, mut left, mut right) = (LatencySketch::new(), LatencySketch::new(), LatencySketch::new());
    for (i, value) in values.iter().enumerate() {
        whole.add(*value).unwrap();
        if i % 3 == 0 { &mut left } else { &mut right }.add(*value).unwrap();
    }
    let mut other = right.clone();
    other.merge(&left);
    left.merge(&right);
    assert_eq!((left.count(), other.count()), (4000, 4000));
    values.sort_by(f64::total_cmp);
    for (share, rank) in [(0.01, 39), (0.5, 1999), (0.95, 3799), (0.99, 3959)] {
        let share = Ratio::new(share).unwrap();
        let found = whole.quantile(share).unwrap();
        // A neighbouring rank is allowed: definitions of a quantile differ by one.
        let (lo, hi) = (
            values[rank - 1] * (1.0 - SKETCH_ERROR),
            values[rank + 1] * (1.0 + SKETCH_ERROR),
        );
        assert!((lo..=hi).contains(&found), "{found} not in {lo}..{hi}");
        assert_eq!(left.quantile(share), whole.quantile(share));
        assert_eq!(other.quantile(share), whole.quantile(share));
    }
}

#[test]
fn what_is_no_latency_is_refused() {
    let mut sketch = LatencySketch::new();
    for value in [-1.0, f64::INFINITY, f64::NAN] {
        let refused: SketchError = sketch.add(value).unwrap_err();
        assert_eq!(refused.value.to_bits(), value.to_bits());
    }
    assert_eq!((sketch.count(), sketch.quantile(Ratio::new(0.5).unwrap())), (0, None));
}

#[test]
fn seasons_are_found_in_preparation_and_no_value_changes() {
    let values = Noise::new(4).seasonal(6, 0.0, 120);
    let order = Step::Order(Order {
        disorder: Disorder::Sort,
        duplicates: Duplicates::Last,
    });
    let grid = Step::Resample(Resample {
        step: Duration::from_secs(1),
        aggregate: Aggregate::Mean,
        fill: Fill::Linear,
        gap_max: Duration::ZERO,
        long_gap: LongGap::Split,
    });
    let prepared = Pipeline::new(vec![order, grid, Step::Seasons])
        .unwrap()
        .run(&samples(&values))
        .unwrap();
    assert_eq!(prepared.periods, [6]);
    assert_eq!(prepared.regular.values(), values);
}
