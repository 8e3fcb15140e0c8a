//! Who is scored: the detectors of the library, and three whose scores are known.

use std::collections::VecDeque;

use libm::erfc;

use skyloom::analytics::detect::{Detector, Part, Weights};
use skyloom::core::Sample;

use crate::corpus::File;

/// A detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// Never fires: 0 by definition.
    Never,
    /// Fires at the first row of every window: 100 by definition. It reads the labels, to check the scorer.
    Oracle,
    /// The benchmark's own baseline, in our words: mean and deviation of the last values, the tail of the normal distribution.
    WindowedGaussian,
    /// The light preset.
    Light,
    /// The default preset.
    Default,
}

impl Contestant {
    pub(crate) const ALL: [Self; 5] = [
        Self::Never,
        Self::Oracle,
        Self::WindowedGaussian,
        Self::Light,
        Self::Default,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Never => "never fires",
            Self::Oracle => "knows the labels",
            Self::WindowedGaussian => "windowed Gaussian",
            Self::Light => "light preset",
            Self::Default => "default preset",
        }
    }

    /// What the benchmark defines or publishes as its standard score.
    pub(crate) const fn published(self) -> Option<f64> {
        match self {
            Self::Never => Some(0.0),
            Self::Oracle => Some(100.0),
            Self::WindowedGaussian => Some(39.6495),
            Self::Light | Self::Default => None,
        }
    }

    /// An anomaly score for every row, from the rows before it.
    pub(crate) fn scores(self, file: &File, weights: Weights) -> Vec<f64> {
        match self {
            Self::Never => vec![0.0; file.samples.len()],
            Self::Oracle => {
                let is_first = |row| file.windows.iter().any(|(first, _)| *first == row);
                (0..file.samples.len())
                    .map(|row| f64::from(u8::from(is_first(row))))
                    .collect()
            }
            Self::WindowedGaussian => windowed_gaussian(&file.samples),
            Self::Light => stream(Detector::light(), &file.samples),
            Self::Default => stream(Detector::new().with_weights(weights), &file.samples),
        }
    }
}

/// `PART=FACTOR`.
pub(crate) fn weight(text: &str) -> Result<(Part, f64), String> {
    let wrong = || format!("`{text}` is no PART=FACTOR");
    let (name, factor) = text.split_once('=').ok_or_else(wrong)?;
    let part = Part::ALL
        .into_iter()
        .find(|part| part.to_string() == name)
        .ok_or_else(wrong)?;
    Ok((part, factor.parse().map_err(|_| wrong())?))
}

/// A detector over a series, row by row.
pub(crate) fn stream(mut detector: Detector, samples: &[Sample]) -> Vec<f64> {
    let judge = |sample: &Sample| detector.push(*sample).map_or(0.0, |verdict| verdict.score);
    samples.iter().map(judge).collect()
}

/// Values in the window, and values after which it moves on.
const WINDOW: usize = 6400;
const STEP: usize = 100;
/// Deviation that stands for none.
const DEVIATION_MIN: f64 = 1e-6;

fn windowed_gaussian(samples: &[Sample]) -> Vec<f64> {
    let mut window: VecDeque<f64> = VecDeque::new();
    let mut waiting = Vec::new();
    let (mut mean, mut deviation) = (0.0, 1.0);
    let mut scores = Vec::with_capacity(samples.len());
    for Sample { value, .. } in samples {
        let z = (value - mean).abs() / deviation;
        let tail = 0.5 * erfc(z / std::f64::consts::SQRT_2);
        let score = if window.is_empty() { 0.0 } else { 1.0 - tail };
        // The published scores were stored with twelve decimals; without that, fewer rows would share the highest one.
        scores.push((score * 1e12).round() / 1e12);
        if window.len() < WINDOW {
            window.push_back(*value);
        } else {
            waiting.push(*value);
            if waiting.len() < STEP {
                continue;
            }
            window.drain(..STEP);
            window.extend(waiting.drain(..));
        }
        let n = f64::from(u32::try_from(window.len()).unwrap_or(u32::MAX));
        mean = window.iter().sum::<f64>() / n;
        deviation = (window.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
        if deviation <= 0.0 {
            deviation = DEVIATION_MIN;
        }
    }
    scores
}
