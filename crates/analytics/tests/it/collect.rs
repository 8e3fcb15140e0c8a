//! Formula 6: what is taken, how often, and the error that is left.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::collect::{Draw, SampleError, Sampler, SamplerConfig, WARM_UP_SAMPLES};
use skyloom_core::{Ratio, Sample, Timestamp};

use crate::sim::{Noise, samples};

const SECOND: Duration = Duration::from_secs(1);

fn limits(floor: f64, ceiling: f64) -> Result<SamplerConfig, SampleError> {
    let (floor, ceiling) = (Ratio::new(floor).unwrap(), Ratio::new(ceiling).unwrap());
    SamplerConfig::new(SECOND, 1.0)?.with_limits(floor, ceiling)
}

/// Polls a stream: the share of ticks taken, and the root-mean-square error of holding the last taken value.
fn poll(values: &[f64], config: SamplerConfig) -> (f64, f64) {
    let mut sampler = Sampler::new(config);
    let (mut taken, mut held, mut square) = (0.0, values[0], 0.0);
    for sample in samples(values) {
        if sampler.decide(sample.at, Draw::Diffuse).unwrap().take {
            sampler.observe(sample).unwrap();
            held = sample.value;
            taken += 1.0;
        }
        square += (sample.value - held) * (sample.value - held);
    }
    let n = crate::sim::real(values.len());
    (taken / n, (square / n).sqrt())
}

#[test]
fn the_stated_error_holds_on_walks_and_slopes_and_the_work_follows_the_liveliness() {
    let mut last_share = 0.0;
    for (step, tolerance) in [(0.05, 1.0), (0.2, 1.0), (0.4, 1.0)] {
        let values: Vec<f64> = Noise::new(7).walk(5000).iter().map(|v| v * step).collect();
        let (share, error) = poll(&values, SamplerConfig::new(SECOND, tolerance).unwrap());
        // The bound is for the end of a gap, the mean over a gap is below it; 10 % for the estimated rate.
        assert!(error <= 1.1 * tolerance, "{step}: {error}");
        assert!(share > last_share && share < 0.6, "{step}: {share}");
        last_share = share;
    }
    let slope: Vec<f64> = (0..2000).map(|i| 0.25 * f64::from(i)).collect();
    let (share, error) = poll(&slope, SamplerConfig::new(SECOND, 1.0).unwrap());
    assert!(error <= 1.0 && (0.2..0.35).contains(&share), "{share} {error}");
}

#[test]
fn a_flat_series_is_sampled_at_the_floor_and_a_wild_one_at_the_ceiling() {
    let (share, error) = poll(&[5.0; 2000], limits(0.1, 0.8).unwrap());
    assert!((0.1..0.11).contains(&share) && error.abs() < 1e-12, "{share}");
    let wild: Vec<f64> = Noise::new(1).walk(2000).iter().map(|v| v * 100.0).collect();
    let (share, _) = poll(&wild, limits(0.1, 0.8).unwrap());
    assert!((0.79..=0.801).contains(&share), "{share}");
}

#[test]
fn an_offered_value_is_never_further_from_the_held_one_than_the_tolerance() {
    let mut noise = Noise::new(3);
    let values: Vec<f64> = noise.walk(3000).iter().map(|v| v * 0.7).collect();
    let mut sampler = Sampler::new(limits(0.05, 0.2).unwrap());
    let (mut held, mut taken, mut forced) = (f64::NAN, 0, 0);
    for sample in samples(&values) {
        let decision = sampler.offer(sample, Draw::Uniform(noise.uniform())).unwrap();
        taken += i32::from(decision.take);
        forced += i32::from(decision.forced);
        if decision.take {
            held = sample.value;
        }
        assert!((sample.value - held).abs() <= 1.0);
    }
    assert!(forced > 0 && taken < 2400, "{forced} forced, {taken} taken");
}

#[test]
fn a_jump_raises_the_probability_at_once() {
    let mut sampler = Sampler::new(limits(0.05, 1.0).unwrap());
    for sample in samples(&[20.0; 40]) {
        sampler.observe(sample).unwrap();
    }
    assert!((sampler.probability().get() - 0.05).abs() < 1e-12);
    let at = Timestamp::from_secs(40);
    sampler.observe(Sample { at, value: 30.0 }).unwrap();
    assert!((sampler.probability().get() - 1.0).abs() < 1e-12);
    assert!((sampler.features().unwrap().novelty - 1.0).abs() < 1e-12);
}

#[test]
fn bad_settings_and_samples_are_refused_and_change_nothing() {
    assert_eq!(SamplerConfig::new(Duration::ZERO, 1.0), Err(SampleError::Tick));
    for tolerance in [0.0, -1.0, f64::INFINITY] {
        assert_eq!(
            SamplerConfig::new(SECOND, tolerance),
            Err(SampleError::Tolerance { tolerance })
        );
    }
    assert!(SamplerConfig::new(SECOND, f64::NAN).is_err());
    assert!(matches!(limits(0.0, 1.0), Err(SampleError::Limits { .. })));
    assert!(matches!(limits(0.5, 0.4), Err(SampleError::Limits { .. })));
    let mut sampler = Sampler::new(limits(0.1, 1.0).unwrap());
    let at = Timestamp::from_secs(5);
    sampler.observe(Sample { at, value: 1.0 }).unwrap();
    let before = sampler.clone();
    for value in [f64::NAN, f64::INFINITY] {
        let later = Timestamp::from_secs(6);
        assert_eq!(
            sampler.observe(Sample { at: later, value }),
            Err(SampleError::NotFinite)
        );
    }
    assert_eq!(
        sampler.observe(Sample { at, value: 1.0 }),
        Err(SampleError::OutOfOrder { at, last: at })
    );
    for uniform in [1.0, -0.1] {
        assert_eq!(
            sampler.decide(at, Draw::Uniform(uniform)),
            Err(SampleError::Uniform { uniform })
        );
    }
    assert!(sampler.decide(at, Draw::Uniform(f64::NAN)).is_err());
    assert_eq!(sampler, before);
    insta::assert_snapshot!(
        SampleError::OutOfOrder { at, last: at },
        @"observe a sample at `1970-01-01T00:00:05Z`: the last one is at `1970-01-01T00:00:05Z`"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The probability stays within floor and ceiling, is a function of what was observed, and with error diffusion no
    /// gap is longer than 1 / floor ticks.
    #[test]
    fn probabilities_and_gaps_keep_their_bounds(
        values in prop::collection::vec(prop_oneof![-1e3..1e3, -1e300..1e300, Just(0.0)], 1..200),
        floor in 0.02..0.5_f64,
        above in 0.0..0.5_f64,
    ) {
        let ceiling = floor + above;
        let mut sampler = Sampler::new(limits(floor, ceiling).unwrap());
        let mut gap = 0.0;
        for (i, sample) in samples(&values).into_iter().enumerate() {
            let p = sampler.probability().get();
            prop_assert!(p >= floor && p <= ceiling);
            let decision = sampler.decide(sample.at, Draw::Diffuse).unwrap();
            prop_assert!(decision.expected_error.is_finite());
            gap += 1.0;
            prop_assert!(gap <= (1.0 / floor).ceil() + 1e-9, "gap {} at {}", gap, i);
            if decision.take {
                gap = 0.0;
                sampler.observe(sample).unwrap();
            }
            if let Some(features) = sampler.features() {
                prop_assert!(features.level.is_finite() && features.variability.is_finite());
                prop_assert!((0.0..=1.0).contains(&features.novelty));
            }
        }
    }

    /// With uniform numbers the share taken is the probability: n Bernoulli trials, five standard deviations.
    #[test]
    fn uniform_draws_take_the_probability(seed in any::<u64>(), floor in 0.1..0.9_f64) {
        let mut noise = Noise::new(seed);
        let mut sampler = Sampler::new(limits(floor, 1.0).unwrap());
        for sample in samples(&[1.0; 20]) {
            sampler.observe(sample).unwrap();
        }
        prop_assert!(20 > WARM_UP_SAMPLES);
        let n = 2000.0;
        let taken: f64 = (0..2000)
            .map(|i| {
                let now = Timestamp::from_secs(20 + i);
                f64::from(u8::from(sampler.decide(now, Draw::Uniform(noise.uniform())).unwrap().take))
            })
            .sum();
        prop_assert!((taken / n - floor).abs() <= 5.0 * (floor * (1.0 - floor) / n).sqrt());
    }
}
