//! Pattern novelty: how far are the last values from the nearest earlier stretches of the series?
//!
//! The mean distance to the nearest few of all windows in memory (nearest-neighbour novelty; Ramaswamy, Rastogi and Shim,
//! SIGMOD 2000, with the mean of the nearest ones instead of the last of them). An index was not taken: two thousand
//! windows of three values cost about a microsecond, and every index over a sliding memory costs more to maintain.

/// Values per window.
const WINDOW: usize = 3;
/// Nearest windows that count: one alone would let a single earlier incident excuse the next.
const NEAREST: usize = 3;
/// Windows compared at a time.
const LANES: usize = 16;

/// Mean absolute difference between the last [`WINDOW`] values and their nearest windows among the earlier ones, in the
/// unit of the series. `values` are in order, the judged one last; 0 while there are too few.
pub(super) fn distance(values: &[f64]) -> f64 {
    let Some(last) = values.len().checked_sub(WINDOW) else {
        return 0.0;
    };
    let Some(windows) = last.checked_sub(WINDOW - 1).filter(|windows| *windows >= NEAREST) else {
        return 0.0;
    };
    let now = [values[last], values[last + 1], values[last + 2]];
    // Window i is values[i..i + WINDOW]; the last one ends just before the judged window begins.
    let (first, second, third) = (&values[..windows], &values[1..=windows], &values[2..windows + 2]);
    let mut nearest = [f64::MAX; NEAREST];
    let (a, b, c) = (
        first.chunks_exact(LANES),
        second.chunks_exact(LANES),
        third.chunks_exact(LANES),
    );
    for (i, r) in a.remainder().iter().enumerate() {
        let others = [*r, b.remainder()[i], c.remainder()[i]];
        keep(&mut nearest, between(others, now));
    }
    for ((a, b), c) in a.zip(b).zip(c) {
        let mut distances = [0.0; LANES];
        for i in 0..LANES {
            distances[i] = between([a[i], b[i], c[i]], now);
        }
        let mut smallest = distances[0];
        for distance in &distances[1..] {
            smallest = if *distance < smallest { *distance } else { smallest };
        }
        if smallest < nearest[NEAREST - 1] {
            distances.iter().for_each(|distance| keep(&mut nearest, *distance));
        }
    }
    (nearest[0] + nearest[1] + nearest[2]) / 9.0
}

fn between(a: [f64; WINDOW], b: [f64; WINDOW]) -> f64 {
    (a[0] - b[0]).abs() + (a[1] - b[1]).abs() + (a[2] - b[2]).abs()
}

fn keep(nearest: &mut [f64; NEAREST], distance: f64) {
    if distance < nearest[2] {
        nearest[2] = distance;
        nearest.sort_unstable_by(f64::total_cmp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All windows sorted by distance, as the words say it.
    fn slow(values: &[f64]) -> f64 {
        let n = values.len();
        if n < 2 * WINDOW + NEAREST - 1 {
            return 0.0;
        }
        let now = &values[n - 3..];
        let mut all: Vec<f64> = values[..n - 3]
            .windows(3)
            .map(|w| w.iter().zip(now).map(|(a, b)| (a - b).abs()).sum::<f64>() / 3.0)
            .collect();
        all.sort_by(f64::total_cmp);
        (all[0] + all[1] + all[2]) / 3.0
    }

    #[test]
    fn the_fast_way_agrees_with_the_slow_one() {
        let mut state = 1_u64;
        let values: Vec<f64> = (0..200)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                f64::from(u32::try_from(state >> 40).unwrap())
            })
            .collect();
        for n in 0..values.len() {
            let (fast, slow) = (distance(&values[..n]), slow(&values[..n]));
            assert!((fast - slow).abs() <= 1e-9 * slow, "{n}: {fast} {slow}");
        }
    }
}
