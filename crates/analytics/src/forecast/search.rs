//! Derivative-free minimisation inside the unit cube: the simplex of Nelder and Mead (The Computer Journal 7, 1965),
//! with every trial clamped to the cube and a fixed number of evaluations.
//!
//! Small dimensions only (the smoothing parameters of [`super::ets`]). A library optimiser was not taken: it would weigh
//! more than this page, and its stopping rule would be part of our answers.

/// Side of the first simplex: a fifth of the cube reaches across it in a few steps.
const SIDE: f64 = 0.2;
/// The search stops early when the simplex is this flat, relative to its best value.
const FLATNESS: f64 = 1e-10;

/// A point and its cost.
type Vertex<const N: usize> = ([f64; N], f64);

/// The best point found from `start` with at most about `evaluations` calls of `cost`; never worse than `start`. A cost
/// that is not finite counts as infinite.
pub(crate) fn minimise<const N: usize>(
    start: [f64; N],
    evaluations: usize,
    mut cost: impl FnMut(&[f64; N]) -> f64,
) -> ([f64; N], f64) {
    let mut judge = |x: [f64; N]| -> Vertex<N> {
        let x = x.map(|v| v.clamp(0.0, 1.0));
        let c = cost(&x);
        (x, if c.is_finite() { c } else { f64::INFINITY })
    };
    let mut simplex = vec![judge(start)];
    for axis in 0..N {
        let mut x = start;
        x[axis] += if x[axis] + SIDE <= 1.0 { SIDE } else { -SIDE };
        simplex.push(judge(x));
    }
    let mut used = N + 1;
    while used < evaluations {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (simplex[0].1, simplex[N].1);
        if worst - best <= FLATNESS * best.abs() {
            break;
        }
        used += step(&mut simplex, &mut judge);
    }
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
    simplex[0]
}

/// One move of a sorted simplex: reflect, then expand, contract or shrink. Gives the evaluations used.
fn step<const N: usize>(simplex: &mut [Vertex<N>], judge: &mut impl FnMut([f64; N]) -> Vertex<N>) -> usize {
    let worst = simplex[N];
    let mut centre = [0.0; N];
    for (x, _) in &simplex[..N] {
        for axis in 0..N {
            centre[axis] += x[axis] / crate::num::count(N);
        }
    }
    let along = |t: f64| std::array::from_fn(|axis| centre[axis] + t * (worst.0[axis] - centre[axis]));
    let reflected = judge(along(-1.0));
    if reflected.1 < simplex[0].1 {
        let expanded = judge(along(-2.0));
        simplex[N] = if expanded.1 < reflected.1 { expanded } else { reflected };
        return 2;
    }
    if reflected.1 < simplex[N - 1].1 {
        simplex[N] = reflected;
        return 1;
    }
    let contracted = judge(along(if reflected.1 < worst.1 { -0.5 } else { 0.5 }));
    if contracted.1 < worst.1.min(reflected.1) {
        simplex[N] = contracted;
        return 2;
    }
    let best = simplex[0].0;
    for vertex in &mut simplex[1..] {
        *vertex = judge(std::array::from_fn(|axis| f64::midpoint(best[axis], vertex.0[axis])));
    }
    2 + N
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_bowl_inside_and_at_the_border_of_the_cube() {
        let (x, _) = minimise([0.5, 0.5], 200, |x| (x[0] - 0.3).powi(2) + 4.0 * (x[1] - 0.8).powi(2));
        assert!((x[0] - 0.3).abs() < 1e-3 && (x[1] - 0.8).abs() < 1e-3, "{x:?}");
        let (x, _) = minimise([0.5], 100, |x| x[0] + 1.0);
        assert!(x[0] < 1e-3, "{x:?}");
    }

    #[test]
    fn a_cost_that_is_nan_everywhere_leaves_the_start() {
        let (x, c) = minimise([0.25, 0.5, 0.75], 50, |_| f64::NAN);
        assert!(c.is_infinite());
        assert!(x.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}
