//! Outliers among replicas, and log lines as series.

use proptest::prelude::*;
use skyloom_analytics::detect::{Detector, GroupConfig, GroupError, LogConfig, TemplateId, Templates, outliers};
use skyloom_core::{Ratio, Sample, Timestamp};

use crate::sim::{Noise, real};

fn odd(members: &[Vec<f64>]) -> Vec<usize> {
    let members: Vec<&[f64]> = members.iter().map(Vec::as_slice).collect();
    let reports = outliers(&members, &GroupConfig::default()).unwrap();
    reports.iter().filter(|r| r.is_outlier).map(|r| r.member).collect()
}

/// Replicas that follow one load.
fn replicas(seed: u64, count: usize, len: usize) -> Vec<Vec<f64>> {
    let mut noise = Noise::new(seed);
    let load: Vec<f64> = (0..len).map(|i| 10.0 + 5.0 * (real(i) / 9.0).sin()).collect();
    (0..count)
        .map(|_| load.iter().map(|l| l + 0.3 * noise.normal()).collect())
        .collect()
}

#[test]
fn the_replica_that_leaves_the_group_is_found_and_the_others_are_left_alone() {
    for seed in 0..50 {
        let mut group = replicas(seed, 7, 60);
        assert!(odd(&group).is_empty(), "seed {seed}");
        group[2].iter_mut().skip(20).for_each(|v| *v += 4.0);
        assert_eq!(odd(&group), [2], "seed {seed}");
        // One spike is no outlier: that is a matter for its own detector.
        let mut group = replicas(seed, 7, 60);
        group[4][30] = 500.0;
        assert!(odd(&group).is_empty(), "seed {seed}");
    }
}

#[test]
fn equal_replicas_are_equal_and_bad_groups_are_refused() {
    assert!(odd(&[vec![1.0; 5], vec![1.0; 5], vec![1.0; 5]]).is_empty());
    assert_eq!(odd(&[vec![1.0; 5], vec![1.0; 5], vec![1.5; 5]]), [2]);
    assert!(odd(&[vec![f64::MAX; 3], vec![-f64::MAX; 3], vec![0.0; 3]]).len() < 3);
    let config = GroupConfig::default();
    assert_eq!(
        outliers(&[&[1.0], &[1.0]], &config),
        Err(GroupError::TooFew { members: 2 })
    );
    let short = outliers(&[&[1.0], &[1.0], &[]], &config);
    assert_eq!(
        short,
        Err(GroupError::Length {
            member: 2,
            len: 0,
            expected: 1
        })
    );
    let bad = outliers(&[&[1.0], &[f64::NAN], &[1.0]], &config);
    assert_eq!(bad, Err(GroupError::NotFinite { member: 1, index: 0 }));
    assert!(GroupConfig::default().with(0.0, Ratio::ONE).is_err());
}

#[test]
fn lines_fall_into_templates_and_a_burst_of_one_is_flagged_as_a_series() {
    let mut templates = Templates::new(LogConfig::default());
    let mut detector = Detector::light();
    let mut noise = Noise::new(4);
    let mut alarms = Vec::new();
    for minute in 0..200_i64 {
        for line in 0..20 {
            templates.push(&format!(
                "request {line} from 10.0.0.{line} served in {} ms",
                minute % 7
            ));
        }
        let timeouts = if minute == 150 {
            60
        } else {
            i64::from(u32::from(noise.uniform() < 0.5)) + 2
        };
        for n in 0..timeouts {
            templates.push(&format!("timeout talking to backend{n}"));
        }
        let counts = templates.take_counts();
        assert_eq!(counts[0], 20);
        let value = f64::from(u32::try_from(counts[1]).unwrap());
        let verdict = detector
            .push(Sample {
                at: Timestamp::from_secs(60 * minute),
                value,
            })
            .unwrap();
        if verdict.is_anomaly {
            alarms.push(minute);
        }
    }
    assert_eq!((templates.all().len(), alarms), (2, vec![150]));
    assert_eq!(templates.show(TemplateId(1)).unwrap(), "timeout talking to <*>");
    assert!(templates.push("kernel panic").is_new && !templates.push("kernel panic").is_new);
}

#[test]
fn similar_lines_merge_and_different_ones_do_not() {
    let mut templates = Templates::new(LogConfig::default());
    let lines = [
        ("user alice logged in from home", 0),
        ("user alice logged in from work", 0),
        ("user alice logged out quite suddenly", 1), // of six tokens three are equal to the template's: `user alice logged`
        ("disk sda is nearly full now", 2),
        ("user bob logged in from home", 3), // another second token: another branch of the tree
        ("", 4),
    ];
    for (line, expected) in lines {
        let found = templates.push(line);
        if expected != 1 {
            assert!(found.template.is_some(), "{line}");
        }
    }
    assert_eq!(templates.show(TemplateId(0)).unwrap().split(' ').next(), Some("user"));
    assert_eq!(templates.show(TemplateId(9)), None);
    assert!(LogConfig::default().with(1.5, 3).is_err() && LogConfig::default().with(0.5, 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Shifting and scaling all members together changes no report; moving one member's place moves its report.
    #[test]
    fn groups_do_not_depend_on_unit_and_order(seed in any::<u64>(), power in -20..20_i32, count in 3..9_usize) {
        let group: Vec<Vec<f64>> = replicas(seed, count, 12);
        let unit = 2.0_f64.powi(power);
        let reports = |group: &[Vec<f64>]| {
            let members: Vec<&[f64]> = group.iter().map(Vec::as_slice).collect();
            outliers(&members, &GroupConfig::default()).unwrap()
        };
        let plain = reports(&group);
        let scaled: Vec<Vec<f64>> = group.iter().map(|m| m.iter().map(|v| v * unit).collect()).collect();
        prop_assert_eq!(&reports(&scaled), &plain);
        let mut turned = group;
        turned.rotate_left(1);
        let turned = reports(&turned);
        for (i, report) in plain.iter().enumerate() {
            let other = turned[(i + count - 1) % count];
            prop_assert_eq!((report.out, report.is_outlier), (other.out, other.is_outlier));
        }
    }

    /// Any lines: bounded, every line counted once, saved and restored the same.
    #[test]
    fn every_line_is_counted_once(lines in prop::collection::vec("[a-c0-1 ]{0,12}", 0..120), bound in 1..8_usize) {
        let mut templates = Templates::new(LogConfig::default().with(0.6, bound).unwrap());
        let mut restored = templates.clone();
        for (i, line) in lines.iter().enumerate() {
            if i == lines.len() / 2 {
                restored = serde_json::from_str(&serde_json::to_string(&templates).unwrap()).unwrap();
            }
            let found = templates.push(line);
            if i >= lines.len() / 2 {
                prop_assert_eq!(restored.push(line), found);
            }
        }
        prop_assert!(templates.all().len() <= bound);
        let lines_of: u64 = templates.all().iter().map(|t| t.lines).sum();
        prop_assert_eq!(lines_of + templates.overflow(), u64::try_from(lines.len()).unwrap());
        prop_assert_eq!(templates.take_counts().iter().sum::<u64>(), lines_of);
        prop_assert!(templates.take_counts().iter().all(|count| *count == 0));
    }
}
