//! The default preset as a stream: what it flags and in whose name, causality, units, saved states, bounds.

use std::time::Duration;

use proptest::prelude::*;
use skyloom_analytics::detect::{
    DetectError, Detector, HISTORY, Part, Reason, STATE_VERSION, Suppression, Verdict, WARM_UP_SAMPLES, Weights,
};
use skyloom_core::{Sample, Timestamp};

use crate::sim::{Noise, real};

const FIVE_MINUTES: i64 = 300;
const DAY: usize = 288;

fn samples(values: &[f64]) -> Vec<Sample> {
    let at = |i| Timestamp::from_secs(i64::try_from(i).unwrap() * FIVE_MINUTES);
    let sample = |(i, value): (usize, &f64)| Sample {
        at: at(i),
        value: *value,
    };
    values.iter().enumerate().map(sample).collect()
}

fn run(values: &[f64]) -> Vec<Verdict> {
    let mut detector = Detector::new();
    samples(values).into_iter().map(|s| detector.push(s).unwrap()).collect()
}

fn alarms(verdicts: &[Verdict]) -> Vec<usize> {
    (0..verdicts.len()).filter(|i| verdicts[*i].is_anomaly).collect()
}

/// Two weeks of five-minute samples with a daily wave and noise.
fn daily(seed: u64, days: usize) -> Vec<f64> {
    let mut noise = Noise::new(seed);
    let phase = |i: usize| std::f64::consts::TAU * real(i % DAY) / real(DAY);
    (0..days * DAY)
        .map(|i| 50.0 + 20.0 * phase(i).sin() + 1.5 * noise.normal())
        .collect()
}

/// Every kind of incident within a day of its beginning, in most of the streams; each alone, at a time of its own.
#[test]
fn incidents_of_every_kind_are_found() {
    type Incident = fn(&mut [f64], &mut Noise);
    let incidents: [(&str, Incident); 5] = [
        ("a spike", |v, _| v[0] += 60.0),
        ("a night that does not come", |v, _| v[..DAY].fill(70.0)),
        ("a level shift", |v, _| v[..DAY].iter_mut().for_each(|x| *x += 25.0)),
        ("a flat line", |v, _| v[..DAY].fill(50.0)),
        ("a storm", |v, n| {
            v[..DAY].iter_mut().for_each(|x| *x += 15.0 * n.normal())
        }),
    ];
    for (name, incident) in incidents {
        let mut found = 0;
        for seed in 0..8 {
            let mut values = daily(seed, 12);
            let at = 10 * DAY + usize::try_from(seed).unwrap() * 14;
            incident(&mut values[at..], &mut Noise::new(900 + seed));
            let verdicts = run(&values);
            found += usize::from(alarms(&verdicts).iter().any(|i| (at..at + DAY).contains(i)));
        }
        assert!(found >= 7, "{name}: found in {found} of 8");
    }
}

/// It is meant to be sensitive; what that costs on streams without any incident is asserted, so that it is known.
#[test]
fn quiet_days_and_noise_cost_few_alarms() {
    let count = |values: &[f64]| alarms(&run(values)).len();
    let quiet: usize = (0..6).map(|seed| count(&daily(seed, 14))).sum();
    let noise: usize = (0..6)
        .map(|seed| count(&Noise::new(500 + seed).ar(0.5, 14 * DAY)))
        .sum();
    let walk: usize = (0..6).map(|seed| count(&Noise::new(700 + seed).walk(14 * DAY))).sum();
    // 6 streams of two weeks: 12 weeks each.
    assert!(quiet <= 36 && noise <= 36 && walk <= 72, "{quiet} {noise} {walk}");
    println!("alarms in 12 weeks of five-minute samples: {quiet} daily, {noise} AR(0.5), {walk} walk");
}

#[test]
fn an_alarm_names_its_part_and_shows_the_band() {
    let mut values = daily(1, 10);
    values.push(200.0);
    let verdict = *run(&values).last().unwrap();
    assert_eq!(verdict.reason, Reason::Fired { part: Part::Range });
    assert!(verdict.is_anomaly && verdict.band.hi < 100.0, "{verdict:?}");
    // A value of the day, at night.
    let mut values = daily(2, 12);
    let night = 11 * DAY + DAY * 3 / 4;
    values[night..night + 12].fill(69.0);
    let verdicts = run(&values);
    let fired = (night..night + 12).find(|i| verdicts[*i].is_anomaly).unwrap();
    let Reason::Fired { part } = verdicts[fired].reason else {
        panic!("{:?}", verdicts[fired])
    };
    assert!(matches!(part, Part::Daytime | Part::Pattern), "{part}");
    assert!(verdicts[fired].band.hi < 69.0, "{:?}", verdicts[fired]);
}

#[test]
fn what_was_as_far_out_lately_is_no_news() {
    let mut values = daily(3, 12);
    values[11 * DAY] += 60.0;
    values[11 * DAY + 40] += 60.0;
    let verdicts = run(&values);
    assert!(verdicts[11 * DAY].is_anomaly);
    let second = verdicts[11 * DAY + 40];
    assert!(!second.is_anomaly && second.score < 0.25, "{second:?}");
    assert!(
        !matches!(
            second.reason,
            Reason::Suppressed {
                by: Suppression::Refractory,
                ..
            }
        ) || second.score < 0.5
    );
}

#[test]
fn weights_silence_a_part_and_are_checked() {
    let mut values = daily(4, 12);
    values[11 * DAY] = 200.0;
    let parts = [Part::Range, Part::Pattern, Part::Daytime, Part::Level, Part::Spread];
    let none = parts
        .iter()
        .fold(Weights::default(), |w, part| w.with(*part, 0.0).unwrap());
    let mut deaf = Detector::new().with_weights(none);
    assert!(samples(&values).into_iter().all(|s| !deaf.push(s).unwrap().is_anomaly));
    for weight in [-1.0, f64::NAN, 101.0] {
        assert!(Weights::default().with(Part::Level, weight).is_err());
    }
}

/// A shift of one and a half deviations that stays: each value alone is usual, their sum is not. It is told by name, with the
/// time since when, soon; weighed so heavily it is wrong now and then, but in fewer than half of the streams.
#[test]
fn a_lasting_shift_is_told_with_its_beginning_once_that_part_is_asked_for() {
    const AT: usize = 6 * DAY;
    let others = [Part::Range, Part::Pattern, Part::Daytime, Part::Level, Part::Spread];
    let silent = others
        .iter()
        .fold(Weights::default(), |w, part| w.with(*part, 0.0).unwrap());
    let changes = silent.with(Part::Change, 4.0).unwrap();
    let told = |values: &[f64]| {
        let mut detector = Detector::new().with_weights(changes);
        let verdicts: Vec<Verdict> = samples(values).into_iter().map(|s| detector.push(s).unwrap()).collect();
        let fired = |i: &usize| verdicts[*i].is_anomaly && *i >= AT;
        let first = (0..verdicts.len()).find(fired);
        first.map(|i| (i, verdicts[i]))
    };
    let (mut quiet, mut found) = (0, 0);
    for seed in 0..8 {
        let mut values = Noise::new(40 + seed).ar(0.0, 8 * DAY);
        quiet += usize::from(told(&values).is_none_or(|(i, _)| i > AT + DAY / 4));
        values[AT..].iter_mut().for_each(|value| *value += 1.5);
        let Some((i, verdict)) = told(&values) else { continue };
        assert_eq!(verdict.reason, Reason::Fired { part: Part::Change });
        assert!(
            verdict.to_string().starts_with("change fired: level shift since "),
            "{verdict}"
        );
        let since = verdict.since.unwrap();
        let shifted = samples(&values)[AT].at;
        let off = since.saturating_since(shifted).max(shifted.saturating_since(since));
        let step = samples(&values)[1].at.saturating_since(samples(&values)[0].at);
        found += usize::from(i < AT + DAY / 4 && off <= step * 12);
    }
    assert!(found >= 7 && quiet >= 4, "{found} found, {quiet} quiet");
}

#[test]
fn constants_short_streams_and_hostile_stamps_are_no_anomalies() {
    let flat = vec![7.0; 3 * DAY];
    assert!(alarms(&run(&flat)).is_empty());
    assert!(run(&[]).is_empty() && run(&[1.0])[0].reason == Reason::WarmUp);
    let mut detector = Detector::new();
    for (i, value) in daily(5, 8).into_iter().enumerate() {
        // Repeated, backward, and at both ends of what can be held.
        let at = [0, 5, -7, i64::MAX, i64::MIN][i % 5];
        let verdict = detector
            .push(Sample {
                at: Timestamp::from_micros(at),
                value,
            })
            .unwrap();
        assert!(verdict.score.is_finite());
    }
    assert_eq!(
        detector.push(Sample {
            at: Timestamp::EPOCH,
            value: f64::NAN
        }),
        Err(DetectError::NotFinite)
    );
}

#[test]
fn nothing_is_flagged_in_the_warm_up() {
    let mut values = Noise::new(6).ar(0.0, usize::try_from(WARM_UP_SAMPLES).unwrap());
    values[60] = 1e6;
    assert!(
        run(&values)
            .iter()
            .all(|v| v.reason == Reason::WarmUp && v.score.to_bits() == 0)
    );
}

#[test]
fn memory_is_bounded_however_long_the_stream() {
    let mut detector = Detector::new();
    let mut noise = Noise::new(9);
    let mut largest = 0;
    for i in 0..12 * HISTORY {
        let at = Timestamp::EPOCH.saturating_add(Duration::from_secs(60) * u32::try_from(i).unwrap());
        detector
            .push(Sample {
                at,
                value: noise.normal(),
            })
            .unwrap();
        largest = largest.max(detector.size_bytes());
    }
    assert!(largest <= 64 * 1024, "{largest} bytes");
    assert!(largest > HISTORY * 4, "the history is counted");
}

#[test]
fn a_damaged_state_is_refused() {
    let mut detector = Detector::new();
    for sample in samples(&daily(7, 2)) {
        detector.push(sample).unwrap();
    }
    let text = serde_json::to_string(&detector).unwrap();
    assert_eq!(serde_json::from_str::<Detector>(&text).unwrap(), detector);
    let nan = f64::NAN.to_bits();
    let version = format!("\"version\":{STATE_VERSION}");
    let damages = [
        (version.as_str(), "\"version\":1".to_owned()),
        ("\"cap\":2000", "\"cap\":3".to_owned()),
        ("\"slot\":", "\"slot\":4".to_owned()),
        ("\"total\":", "\"total\":9".to_owned()),
        ("\"lo\":", format!("\"lo\":{nan},\"was\":")),
    ];
    for (from, to) in damages {
        assert!(text.contains(from), "{from}");
        let damaged = text.replacen(from, &to, 1);
        assert!(serde_json::from_str::<Detector>(&damaged).is_err(), "{from}");
    }
}

fn any_values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        4 => -1.0..1.0_f64,
        2 => Just(0.5),
        1 => -1e300..1e300_f64,
        1 => prop_oneof![Just(f64::MAX), Just(-f64::MAX), Just(0.0), Just(f64::MIN_POSITIVE), Just(5e-324)],
    ];
    prop::collection::vec(value, 0..260)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the values: scores in 0..=1, at least 0.5 exactly for alarms, bands finite and in order.
    #[test]
    fn verdicts_keep_their_promises(values in any_values()) {
        for v in run(&values) {
            prop_assert!((0.0..=1.0).contains(&v.score), "{:?}", v);
            prop_assert_eq!(v.is_anomaly, v.score >= 0.5);
            prop_assert_eq!(v.is_anomaly, matches!(v.reason, Reason::Fired { .. }));
            prop_assert!(v.band.lo.is_finite() && v.band.hi.is_finite() && v.band.lo <= v.band.hi);
        }
    }

    /// What comes later changes no verdict.
    #[test]
    fn verdicts_are_causal(values in any_values(), other in any_values(), cut in 0..260_usize) {
        let cut = cut.min(values.len());
        let mut changed = values[..cut].to_vec();
        changed.extend(other);
        prop_assert_eq!(&run(&values)[..cut], &run(&changed)[..cut]);
    }

    /// Saved and restored at any point it goes on bit for bit, and refused values leave it as it was.
    #[test]
    fn a_restored_state_goes_on_identically(values in any_values(), cut in 0..260_usize) {
        let mut original = Detector::new();
        let mut restored = Detector::new();
        for (i, sample) in samples(&values).into_iter().enumerate() {
            if i == cut {
                restored = serde_json::from_str(&serde_json::to_string(&original).unwrap()).unwrap();
                prop_assert_eq!(&restored, &original);
            }
            prop_assert_eq!(original.push(Sample { value: f64::INFINITY, ..sample }), Err(DetectError::NotFinite));
            let verdict = original.push(sample).unwrap();
            if i >= cut {
                prop_assert_eq!(restored.push(sample).unwrap(), verdict);
            }
        }
    }

    /// Scaling by a power of two changes no score at all; shifting by whole numbers (values are multiples of 2^-10, so that
    /// it is exact) changes none but by rounding, which may tip a class of the ranks now and then.
    #[test]
    fn scores_do_not_depend_on_the_unit(seed in any::<u64>(), power in -30..30_i32, shift in -4..4_i32) {
        let values: Vec<f64> = Noise::new(seed).ar(0.5, 400).iter().map(|v| (v * 1024.0).round() / 1024.0).collect();
        let scaled: Vec<f64> = values.iter().map(|v| v * 2.0_f64.powi(power)).collect();
        let shifted: Vec<f64> = values.iter().map(|v| v + f64::from(shift)).collect();
        let plain = run(&values);
        let mut tipped = 0;
        for (p, (s, t)) in plain.iter().zip(run(&scaled).iter().zip(run(&shifted))) {
            prop_assert_eq!(p.score.to_bits(), s.score.to_bits());
            tipped += usize::from((p.score - t.score).abs() > 1e-6);
        }
        prop_assert!(tipped <= 4, "{} scores moved", tipped);
    }
}
