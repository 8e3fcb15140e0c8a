//! The benchmark's scoring (Lavin and Ahmad, Evaluating real-time anomaly detection algorithms, ICMLA 2015): one
//! threshold for all files, early detections inside a window earn more, false alarms cost less shortly after one.

use crate::corpus::File;

/// What a detection, a false alarm and a miss are worth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    false_positive: f64,
    false_negative: f64,
}

/// The three profiles; a detection at the first row of a window earns 1 in each.
pub(crate) const PROFILES: [Profile; 3] = [
    Profile {
        name: "standard",
        false_positive: 0.11,
        false_negative: 1.0,
    },
    Profile {
        name: "low FP",
        false_positive: 0.22,
        false_negative: 1.0,
    },
    Profile {
        name: "low FN",
        false_positive: 0.11,
        false_negative: 2.0,
    },
];

/// Beyond this many window widths a false alarm costs in full.
const FAR: f64 = 3.0;

/// What a row is worth when it is detected.
#[derive(Debug, Clone, Copy)]
enum Worth {
    /// Inside this window.
    Hit(usize, f64),
    /// Outside: to be multiplied by the weight of false alarms.
    False(f64),
}

fn sigmoid(x: f64) -> f64 {
    if x > FAR {
        -1.0
    } else {
        2.0 / (1.0 + (5.0 * x).exp()) - 1.0
    }
}

fn real(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn worth(file: &File, row: usize) -> Worth {
    if let Some(window) = file
        .windows
        .iter()
        .position(|(first, last)| (*first..=*last).contains(&row))
    {
        let (first, last) = file.windows[window];
        let position = -real(last - row + 1) / real(last - first + 1);
        return Worth::Hit(window, sigmoid(position) / sigmoid(-1.0));
    }
    let before = file.windows.iter().rev().find(|(_, last)| *last < row);
    Worth::False(before.map_or(-1.0, |(first, last)| sigmoid(real(row - last) / real(last - first))))
}

/// The rows of one file that can be detected, highest anomaly score first.
#[derive(Debug)]
pub(crate) struct Curve(Vec<(f64, Worth)>);

impl Curve {
    /// One curve per file; `scores[f][row]` are anomaly scores.
    pub(crate) fn of_all(files: &[File], scores: &[Vec<f64>]) -> Vec<Self> {
        files
            .iter()
            .zip(scores)
            .map(|(file, scores)| Self::of(file, scores))
            .collect()
    }

    fn of(file: &File, scores: &[f64]) -> Self {
        let mut rows: Vec<(f64, usize)> = scores.iter().copied().zip(0..).skip(file.probation).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self(rows.into_iter().map(|(score, row)| (score, worth(file, row))).collect())
    }

    /// Score of one file for all thresholds in falling order, not normalised.
    fn sweep(&self, windows: usize, profile: Profile, thresholds: &[f64]) -> Vec<f64> {
        let mut best = vec![-profile.false_negative; windows];
        let mut total = -profile.false_negative * real(windows);
        let mut rows = self.0.iter().peekable();
        let mut sums = Vec::with_capacity(thresholds.len());
        for threshold in thresholds {
            while let Some((_, worth)) = rows.next_if(|(score, _)| score >= threshold) {
                match *worth {
                    Worth::Hit(window, value) if value > best[window] => {
                        total += value - best[window];
                        best[window] = value;
                    }
                    Worth::Hit(..) => {}
                    Worth::False(value) => total += value * profile.false_positive,
                }
            }
            sums.push(total);
        }
        sums
    }

    /// Normalised score of some of the files at one threshold.
    pub(crate) fn at_some(curves: &[Self], files: &[File], picked: &[usize], profile: Profile, threshold: f64) -> f64 {
        Self::sweep_some(curves, files, picked, profile, &[threshold])[0]
    }

    /// Normalised score of all files at one threshold.
    pub(crate) fn at(curves: &[Self], files: &[File], profile: Profile, threshold: f64) -> f64 {
        let all: Vec<usize> = (0..files.len()).collect();
        Self::at_some(curves, files, &all, profile, threshold)
    }

    /// Normalised scores of some of the files at each of the thresholds, which fall.
    pub(crate) fn sweep_some(
        curves: &[Self],
        files: &[File],
        picked: &[usize],
        profile: Profile,
        thresholds: &[f64],
    ) -> Vec<f64> {
        let windows: usize = picked.iter().map(|i| files[*i].windows.len()).sum();
        let mut sums = vec![0.0; thresholds.len()];
        for i in picked {
            let of_file = curves[*i].sweep(files[*i].windows.len(), profile, thresholds);
            sums.iter_mut().zip(of_file).for_each(|(sum, score)| *sum += score);
        }
        // 0 for a detector that never fires, 100 for one that fires once, at the first row of every window.
        let missed = profile.false_negative * real(windows);
        let perfect = real(windows);
        sums.into_iter()
            .map(|sum| 100.0 * (sum + missed) / (perfect + missed))
            .collect()
    }

    /// The highest normalised score over all thresholds, and that threshold: every distinct score counts, and one at
    /// which nothing is detected.
    pub(crate) fn best(curves: &[Self], files: &[File], profile: Profile) -> (f64, f64) {
        let mut thresholds: Vec<f64> = curves
            .iter()
            .flat_map(|curve| curve.0.iter().map(|row| row.0))
            .collect();
        thresholds.push(f64::INFINITY);
        thresholds.sort_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        let all: Vec<usize> = (0..files.len()).collect();
        let scores = Self::sweep_some(curves, files, &all, profile, &thresholds);
        let pairs = scores.into_iter().zip(thresholds);
        pairs.fold(
            (f64::NEG_INFINITY, 0.0),
            |best, next| if next.0 > best.0 { next } else { best },
        )
    }
}
