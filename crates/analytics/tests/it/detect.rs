//! The light preset as a stream: what it flags, how often it is wrong, causality, saved states.

use proptest::prelude::*;
use skyloom_analytics::detect::{
    DetectError, Detector, LIGHT_WARM_UP_SAMPLES, Part, REFRACTORY_SAMPLES, Reason, STATE_VERSION, Suppression, Verdict,
};
use skyloom_core::{Sample, Timestamp};

use crate::sim::{Noise, real, samples};

fn run(values: &[f64]) -> Vec<Verdict> {
    let mut detector = Detector::light();
    samples(values).into_iter().map(|s| detector.push(s).unwrap()).collect()
}

fn alarms(values: &[f64]) -> usize {
    run(values).iter().filter(|v| v.is_anomaly).count()
}

#[test]
fn a_spike_of_eight_deviations_after_fifty_normal_values_is_flagged_at_once() {
    for seed in 0..200 {
        for sign in [-8.0, 8.0] {
            let mut values = Noise::new(seed).ar(0.0, 51);
            values[50] = sign;
            let verdict = run(&values)[50];
            assert!(verdict.is_anomaly && verdict.score >= 0.5, "seed {seed}: {verdict:?}");
            assert!(verdict.band.lo > -8.0 && verdict.band.hi < 8.0);
        }
    }
}

/// The design point is 1e-6 per value with known level and scale; both are estimated, from as few as thirty values, so less
/// is promised: below 2e-5. No alarm in 200,000 values shows a rate below 1.5e-5 at 95 % confidence (3 / n). The seeds are
/// fixed, so the test itself cannot waver.
#[test]
fn noise_is_flagged_less_than_once_in_fifty_thousand_values() {
    type Stream = fn(&mut Noise) -> Vec<f64>;
    let streams: [(&str, Stream); 5] = [
        ("normal", |n| n.ar(0.0, 1000)),
        ("ar 0.5", |n| n.ar(0.5, 1000)),
        ("ar 0.8", |n| n.ar(0.8, 1000)),
        ("ar 0.95", |n| n.ar(0.95, 1000)),
        ("walk", |n| n.walk(1000)),
    ];
    for (name, stream) in streams {
        let count: usize = (0..200).map(|seed| alarms(&stream(&mut Noise::new(7000 + seed)))).sum();
        assert_eq!(count, 0, "{name}: alarms in 200,000 values");
    }
}

/// A detector that never fires would pass the test above: smaller spikes are found too, if not always.
#[test]
fn a_spike_of_six_deviations_after_two_hundred_values_is_mostly_flagged() {
    let mut found = 0;
    for seed in 0..200 {
        let mut values = Noise::new(seed).ar(0.0, 201);
        values[200] = 6.0;
        found += usize::from(run(&values)[200].is_anomaly);
    }
    assert!(found >= 160, "{found} of 200 found");
}

#[test]
fn each_part_fires_where_it_should_and_says_so() {
    // A slow, wide wave that jumps beyond its range by more than half: expected by its scale, new by its range.
    let mut values: Vec<f64> = (0..300).map(|i| 10.0 * (f64::from(i) / 3.0).sin()).collect();
    values.push(45.0);
    let verdict = *run(&values).last().unwrap();
    assert!(verdict.is_anomaly && verdict.band.hi < 45.0, "{verdict:?}");
    // A dip inside the range that is far from the level: only the tail can see it.
    let mut values: Vec<f64> = Noise::new(4).ar(0.0, 400).iter().map(|v| v * 0.1).collect();
    values[60] = 10.0; // widens the range
    values[399] = 8.0;
    let verdicts = run(&values);
    assert!(verdicts[60].is_anomaly);
    assert_eq!(
        verdicts[399].reason,
        Reason::Fired { part: Part::Tail },
        "{:?}",
        verdicts[399]
    );
}

#[test]
fn repeats_are_held_back_and_say_why() {
    let mut values: Vec<f64> = Noise::new(8).ar(0.0, 400).iter().map(|v| v * 0.1).collect();
    for i in (60..400).step_by(40) {
        values[i] = 5.0;
    }
    values[61] = 6.0;
    let verdicts = run(&values);
    assert!(verdicts[60].is_anomaly);
    let by = |i: usize| match verdicts[i].reason {
        Reason::Suppressed { by, .. } => by,
        other => panic!("{i}: {other:?}"),
    };
    assert_eq!(by(61), Suppression::Refractory);
    assert_eq!((by(100), by(140)), (Suppression::Precedent, Suppression::Precedent));
    assert_eq!(verdicts.iter().filter(|v| v.is_anomaly).count(), 1);
    // Clearly further out than its precedents it is news again.
    values[380] = 9.0;
    assert!(run(&values)[380].is_anomaly);
}

#[test]
fn nothing_is_flagged_in_the_warm_up_and_a_wild_start_does_not_blind() {
    let mut values = vec![0.0; usize::try_from(LIGHT_WARM_UP_SAMPLES).unwrap()];
    values[5] = 1e9;
    assert!(run(&values).iter().all(|v| v.reason == Reason::WarmUp && !v.is_anomaly));
    // A process that starts with a burst and idles: the same burst later is an anomaly.
    let mut values: Vec<f64> = Noise::new(6).ar(0.0, 90).iter().map(|v| 3.0 + v.abs()).collect();
    values[0] = 100.0;
    values[1] = 95.0;
    values[80] = 100.0;
    let verdicts = run(&values);
    assert!(verdicts[80].is_anomaly, "{:?}", verdicts[80]);
}

#[test]
fn a_series_that_stood_still_is_judged_by_its_resolution() {
    let mut values = vec![4096.0; 100];
    values[80] = 8192.0;
    assert!(run(&values)[80].is_anomaly);
    let mut patient = Detector::light().with_resolution(5000.0).unwrap();
    for sample in samples(&values) {
        let verdict = patient.push(sample).unwrap();
        assert!(!verdict.is_anomaly && verdict.band.hi >= 8192.0);
    }
    let at = Timestamp::from_secs(100);
    assert!(patient.push(Sample { at, value: 50_000.0 }).unwrap().is_anomaly);
    for resolution in [-1.0, f64::INFINITY] {
        assert_eq!(
            Detector::light().with_resolution(resolution),
            Err(DetectError::Resolution { resolution })
        );
    }
}

#[test]
fn a_level_shift_is_flagged_once_and_then_learnt() {
    let mut values = Noise::new(12).ar(0.0, 600);
    for v in &mut values[300..] {
        *v += 20.0;
    }
    let flagged: Vec<usize> = run(&values)
        .iter()
        .enumerate()
        .filter(|(_, v)| v.is_anomaly)
        .map(|(i, _)| i)
        .collect();
    assert_eq!(flagged, [300]);
}

#[test]
fn a_state_is_small_and_of_another_version_or_damaged_it_is_refused() {
    let mut detector = Detector::light();
    for sample in samples(&Noise::new(1).walk(2000)) {
        detector.push(sample).unwrap();
    }
    let text = serde_json::to_string(&detector).unwrap();
    assert!(detector.size_bytes() <= 1024, "{} bytes", detector.size_bytes());
    let version = format!("\"version\":{STATE_VERSION}");
    assert!(text.contains(&version));
    for (from, to) in [
        (version.as_str(), "\"version\":99"),
        ("\"seen\":2000", "\"seen\":-1"),
        ("\"tail\"", "\"tale\""),
    ] {
        assert!(
            serde_json::from_str::<Detector>(&text.replace(from, to)).is_err(),
            "{from}"
        );
    }
    let nan = f64::NAN.to_bits().to_string();
    assert!(
        serde_json::from_str::<Detector>(&text.replacen("\"resolution\":0", &format!("\"resolution\":{nan}"), 1))
            .is_err()
    );
}

fn any_values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        4 => -1.0..1.0_f64,
        2 => Just(0.5),
        1 => -1e300..1e300_f64,
        1 => prop_oneof![Just(f64::MAX), Just(-f64::MAX), Just(0.0), Just(f64::MIN_POSITIVE)],
    ];
    prop::collection::vec(value, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever the values: scores in 0..=1, at least 0.5 exactly for alarms, bands finite and in order, quiet times kept.
    #[test]
    fn verdicts_keep_their_promises(values in any_values()) {
        let mut last_alarm = None;
        for (i, v) in run(&values).into_iter().enumerate() {
            prop_assert!((0.0..=1.0).contains(&v.score));
            prop_assert_eq!(v.is_anomaly, v.score >= 0.5);
            prop_assert_eq!(v.is_anomaly, matches!(v.reason, Reason::Fired { .. }));
            prop_assert!(v.band.lo.is_finite() && v.band.hi.is_finite() && v.band.lo <= v.band.hi);
            if v.is_anomaly {
                let quiet = usize::try_from(REFRACTORY_SAMPLES).unwrap();
                prop_assert!(last_alarm.is_none_or(|l| i - l > quiet));
                // Equal only where the band ends at the largest float.
                prop_assert!(values[i] <= v.band.lo || values[i] >= v.band.hi);
                last_alarm = Some(i);
            }
        }
    }

    /// What comes later changes no verdict, and time stamps change none at all.
    #[test]
    fn verdicts_are_causal(values in any_values(), other in any_values(), cut in 0..150_usize) {
        let cut = cut.min(values.len());
        let mut changed = values[..cut].to_vec();
        changed.extend(other);
        prop_assert_eq!(&run(&values)[..cut], &run(&changed)[..cut]);
        let mut detector = Detector::light();
        let still: Vec<Verdict> = values
            .iter()
            .map(|&value| detector.push(Sample { at: Timestamp::EPOCH, value }).unwrap())
            .collect();
        prop_assert_eq!(run(&values), still);
    }

    /// A detector saved and restored at any point goes on bit for bit, and refused values leave it as it was.
    #[test]
    fn a_restored_state_goes_on_identically(values in any_values(), cut in 0..150_usize) {
        let mut original = Detector::light();
        let mut restored = Detector::light();
        for (i, sample) in samples(&values).into_iter().enumerate() {
            if i == cut {
                restored = serde_json::from_str(&serde_json::to_string(&original).unwrap()).unwrap();
                prop_assert_eq!(&restored, &original);
            }
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                prop_assert_eq!(original.push(Sample { value, ..sample }), Err(DetectError::NotFinite));
            }
            let verdict = original.push(sample).unwrap();
            if i >= cut {
                let again = restored.push(sample).unwrap();
                prop_assert_eq!(again, verdict);
                prop_assert_eq!(again.score.to_bits(), verdict.score.to_bits());
            }
        }
    }

    /// Scaling by a power of two changes no score; a shift changes none but by rounding.
    #[test]
    fn scores_do_not_depend_on_the_unit(seed in any::<u64>(), power in -30..30_i32, shift in -4..4_i32) {
        let values: Vec<f64> = Noise::new(seed).ar(0.5, 120).iter().map(|v| (v * 1024.0).round() / 1024.0).collect();
        let scaled: Vec<f64> = values.iter().map(|v| v * 2.0_f64.powi(power)).collect();
        let shifted: Vec<f64> = values.iter().map(|v| v + f64::from(shift)).collect();
        let plain = run(&values);
        for (p, (s, t)) in plain.iter().zip(run(&scaled).iter().zip(run(&shifted))) {
            prop_assert_eq!(p.score.to_bits(), s.score.to_bits());
            prop_assert!((p.score - t.score).abs() < 1e-9, "{} {}", p.score, t.score);
        }
    }
}

#[test]
fn one_detector_judges_ten_thousand_values_without_growing() {
    let values = Noise::new(77).ar(0.3, 10_000);
    let mut detector = Detector::light();
    let mut longest = 0;
    for (i, sample) in samples(&values).into_iter().enumerate() {
        detector.push(sample).unwrap();
        if i % 1000 == 999 {
            longest = longest.max(serde_json::to_string(&detector).unwrap().len());
        }
    }
    assert!(longest < 8192 && real(longest) > 0.0, "{longest}");
}
