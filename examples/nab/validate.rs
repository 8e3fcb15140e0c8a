//! How much of the score is owed to having seen the labels: settings chosen on one half of the files, scored on the other.

use skyloom::analytics::detect::{Detector, Part, Weights};

use crate::corpus::File;
use crate::detectors::stream;
use crate::score::{Curve, PROFILES};
use crate::{Failure, show};

/// Seed of the settings and of the halves.
const SEED: u64 = 20_15;
/// Halvings of the corpus.
const HALVINGS: u32 = 100;
/// Deviation of the logarithm of each weight around the default.
const SPREAD: f64 = 0.5;
/// Thresholds that a setting may choose from: `0.99` down in equal steps.
const THRESHOLDS: u32 = 160;
const THRESHOLD_STEP: f64 = 0.005;

/// Draws settings, halves the files, chooses the setting and the threshold on one half, scores the other.
pub(crate) fn run(files: &[File], settings: u32) -> Result<(), Failure> {
    let mut draw = Draw(SEED);
    let thresholds: Vec<f64> = (0..THRESHOLDS).map(|i| 0.99 - THRESHOLD_STEP * f64::from(i)).collect();
    let mut curves = Vec::new();
    for number in 0..settings {
        let weights = if number == 0 {
            Weights::default()
        } else {
            drawn(&mut draw)?
        };
        let of_file = |file: &File| stream(Detector::new().with_weights(weights), &file.samples);
        let scores: Vec<Vec<f64>> = files.iter().map(of_file).collect();
        curves.push(Curve::of_all(files, &scores));
    }
    let (mut chosen, mut unseen) = ([0.0; 3], [0.0; 3]);
    for _ in 0..HALVINGS {
        let (here, there) = halves(files.len(), &mut draw);
        for (p, profile) in PROFILES.into_iter().enumerate() {
            let mut best = (f64::NEG_INFINITY, 0, 0);
            for (setting, curves) in curves.iter().enumerate() {
                let sweep = Curve::sweep_some(curves, files, &here, profile, &thresholds);
                for (threshold, score) in sweep.into_iter().enumerate() {
                    if score > best.0 {
                        best = (score, setting, threshold);
                    }
                }
            }
            chosen[p] += best.0 / f64::from(HALVINGS);
            let score = Curve::at_some(&curves[best.1], files, &there, profile, thresholds[best.2]);
            unseen[p] += score / f64::from(HALVINGS);
        }
    }
    println!("{settings} settings, {HALVINGS} halvings:");
    show("  on the half they saw", chosen, None);
    show("  on the other half", unseen, None);
    Ok(())
}

fn drawn(draw: &mut Draw) -> Result<Weights, Failure> {
    let mut weights = Weights::default();
    for part in Part::ALL {
        weights = weights.with(part, (SPREAD * draw.normal()).exp().min(100.0))?;
    }
    Ok(weights)
}

fn halves(count: usize, draw: &mut Draw) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<(u64, usize)> = (0..count).map(|i| (draw.next(), i)).collect();
    order.sort_unstable();
    let order: Vec<usize> = order.into_iter().map(|(_, i)| i).collect();
    let (here, there) = order.split_at(count / 2);
    (here.to_vec(), there.to_vec())
}

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..1`.
    fn uniform(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}
