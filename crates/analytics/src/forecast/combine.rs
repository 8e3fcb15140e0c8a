//! Weights of a combination from back-test errors, with a guard that the combination has to beat.
//!
//! A combination instead of a pick: the winner of a short back-test is often luck, and a weight is continuous in the
//! data where a pick jumps. The guard is the better naive method. As the combination's own error in the back-test comes
//! near the guard's, weight moves over to the guard; at the guard's error it has it all. By convexity the result is never
//! worse than the guard in that back-test. Which candidates there are does not belong here.

use crate::num;

/// Weights are mean absolute errors to this power: sharp enough that a bad method fades, flat enough that equals are
/// averaged.
const SHARPNESS: i32 = -4;
/// A candidate with more than this many times the least error is left out.
const HOPELESS: f64 = 2.0;
/// From this share below the guard's error on, the guard has no part.
const CLEARLY_BETTER: f64 = 0.02;
/// Smaller shares than this are left out: they would only cost time.
const SHARE_MIN: f64 = 1e-2;
/// Steps from those weights towards the least error of the combination, and their rate: few and short, because a
/// back-test holds only a handful of independent errors.
const STEPS: usize = 10;
const RATE: f64 = 0.3;
/// Largest slope that a step follows.
const STEP_MAX: f64 = 4.0;
/// Added to errors on the unit scale: a perfect method has a finite weight, and wins by far.
const PERFECT: f64 = 1e-9;

/// Shares that sum to 1, one for each candidate; `errors` are its signed errors on the unit scale, equally many for all.
pub(crate) fn shares(errors: &[Vec<f64>], guard: usize) -> Vec<f64> {
    let sizes: Vec<f64> = errors.iter().map(|e| mean_size(e)).collect();
    let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
    let weight = |size: f64| {
        if size > HOPELESS * least + PERFECT {
            0.0
        } else {
            (size + PERFECT).powi(SHARPNESS)
        }
    };
    let mut shares: Vec<f64> = sizes.iter().map(|size| weight(*size)).collect();
    normalise(&mut shares);
    for _ in 0..STEPS {
        descend(errors, &mut shares);
    }
    for share in &mut shares {
        *share = if *share < SHARE_MIN { 0.0 } else { *share };
    }
    normalise(&mut shares);
    let combined = mean_size(&weighted(errors, &shares));
    let lead = (sizes[guard] - combined) / (CLEARLY_BETTER * sizes[guard] + PERFECT);
    let trust = lead.clamp(0.0, 1.0);
    for share in &mut shares {
        *share *= trust;
    }
    shares[guard] += 1.0 - trust;
    shares
}

/// One step of exponentiated gradient (Kivinen and Warmuth, Information and Computation 132, 1997) on the mean absolute
/// error of the combination: a candidate gains by how much it errs against the others.
fn descend(errors: &[Vec<f64>], shares: &mut [f64]) {
    let combined = weighted(errors, shares);
    let size = mean_size(&combined) + PERFECT;
    for (share, row) in shares.iter_mut().zip(errors) {
        let along: f64 = row.iter().zip(&combined).map(|(e, c)| e * sign(*c)).sum();
        let slope = along / num::count(row.len().max(1)) / size;
        *share *= libm::exp(-RATE * (slope - 1.0).clamp(-STEP_MAX, STEP_MAX));
    }
    normalise(shares);
}

fn sign(x: f64) -> f64 {
    f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))
}

fn weighted(rows: &[Vec<f64>], shares: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; rows.first().map_or(0, Vec::len)];
    for (row, share) in rows.iter().zip(shares) {
        for (s, v) in sum.iter_mut().zip(row) {
            *s += share * v;
        }
    }
    sum
}

fn mean_size(errors: &[f64]) -> f64 {
    errors.iter().map(|e| e.abs()).sum::<f64>() / num::count(errors.len().max(1))
}

fn normalise(shares: &mut [f64]) {
    let total: f64 = shares.iter().sum();
    for share in shares {
        *share /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors of three candidates, of which the first is the guard.
    fn rows(seed: usize) -> Vec<Vec<f64>> {
        let value = |row: usize, i: usize| num::count((i * 7919 + row * 104_729 + seed * 31) % 113) / 113.0 - 0.5;
        (0..3)
            .map(|row| (0..60).map(|i| value(row, i) * num::count(row + 1)).collect())
            .collect()
    }

    #[test]
    fn shares_sum_to_one_and_never_lose_to_the_guard() {
        for seed in 0..50 {
            let errors = rows(seed);
            for guard in 0..3 {
                let shares = shares(&errors, guard);
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                let combined = mean_size(&weighted(&errors, &shares));
                assert!(combined <= mean_size(&errors[guard]) * (1.0 + 1e-12), "{seed} {guard}");
            }
        }
    }

    #[test]
    fn a_perfect_candidate_gets_everything_and_equals_share() {
        let noisy = rows(1)[0].clone();
        let opposite: Vec<f64> = noisy.iter().map(|e| -e).collect();
        assert!(shares(&[noisy.clone(), vec![0.0; 60]], 0)[1] > 0.999);
        let equal = shares(&[vec![1.0; 60], noisy, opposite], 0);
        assert!((equal[1] - equal[2]).abs() < 0.1 && equal[0] < 0.1, "{equal:?}");
    }
}
