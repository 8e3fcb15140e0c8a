//! Fragmentation gradient descent as published.
//!
//! Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent" (USENIX
//! ATC 2023), with what its simulator does beyond the paper: the kinds of pods are the most frequent ones up to 95% of
//! all, and a place scores whole hundredths of the sigmoid of the fragments that it takes away, in devices. The rounding
//! makes many places tie, and the lowest node wins; without it the rule packs less well.

use super::fragments::Fragments;
use super::{DeviceRule, NodeView, Policy, Trial, Typical, World};

/// Share of all expected pods that the typical ones make up.
const TYPICAL_SHARE: f64 = 0.95;

/// See the module.
#[derive(Debug, Clone)]
pub struct Fgd {
    fragments: Fragments,
    steps: Steps,
}

impl Default for Fgd {
    fn default() -> Self {
        Self {
            fragments: Fragments::default(),
            steps: Steps::new(),
        }
    }
}

impl Policy for Fgd {
    fn name(&self) -> &'static str {
        "fgd"
    }

    fn learn(&mut self, world: &World<'_>) {
        let typical = most_frequent(world.pods);
        self.fragments = Fragments::new(&World::new(world.models, world.nodes, &typical), |pod| pod.count);
    }

    fn device_rule(&self) -> DeviceRule {
        DeviceRule::LeastCost
    }

    fn value(&mut self, node: &NodeView<'_>) -> f64 {
        self.fragments.of(node)
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        let gone = trial.value - self.fragments.of(&trial.after);
        -f64::from(self.steps.hundredths(gone / self.fragments.total / 1000.0))
    }
}

/// The kinds in their order, up to 95% of the pods. Kinds that differ in memory only are one.
fn most_frequent(pods: &[Typical]) -> Vec<Typical> {
    let mut kinds: Vec<Typical> = Vec::new();
    for pod in pods {
        let alike = |kind: &&mut Typical| {
            (kind.ask.cpu, kind.ask.share, kind.ask.whole) == (pod.ask.cpu, pod.ask.share, pod.ask.whole)
                && kind.on_model == pod.on_model
                && kind.names_models == pod.names_models
        };
        match kinds.iter_mut().find(alike) {
            Some(kind) => kind.count += pod.count,
            None => kinds.push(pod.clone()),
        }
    }
    kinds.sort_by(|a, b| b.count.total_cmp(&a.count));
    let all: f64 = kinds.iter().map(|kind| kind.count).sum();
    let mut sum = 0.0;
    let wanted = |kind: &Typical| {
        let more = sum < TYPICAL_SHARE * all;
        sum += kind.count;
        more
    };
    let count = kinds.iter().map(wanted).take_while(|more| *more).count();
    kinds.truncate(count);
    kinds
}

/// Whole hundredths of the sigmoid, without computing it: the steps' places are kept.
#[derive(Debug, Clone)]
struct Steps {
    /// From `at[k]` on, the sigmoid has `k` hundredths.
    at: Vec<f64>,
    /// Hundredths at the left end of each cell.
    coarse: Vec<u8>,
}

/// Beyond this the sigmoid has 0 or 99 hundredths.
const FAR: f64 = 8.0;
/// Cells per unit; so narrow that no cell holds two steps.
const CELLS: f64 = 64.0;

impl Steps {
    fn new() -> Self {
        let logit = |share: f64| libm::log(share / (1.0 - share));
        let at: Vec<f64> = (0..100_u8)
            .map(|k| {
                if k == 0 {
                    f64::NEG_INFINITY
                } else {
                    logit(f64::from(k) / 100.0)
                }
            })
            .collect();
        let below = |x: f64| u8::try_from(at.partition_point(|step| *step <= x) - 1).unwrap_or(99);
        let coarse = (0..1024_u16).map(|cell| below(f64::from(cell) / CELLS - FAR)).collect();
        Self { at, coarse }
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the cells; not a number is the first"
    )]
    fn hundredths(&self, x: f64) -> u8 {
        let cell = ((x + FAR) * CELLS).clamp(0.0, 1023.0) as usize;
        let left = self.coarse[cell];
        let next = self.at.get(usize::from(left) + 1);
        left + u8::from(next.is_some_and(|step| *step <= x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_those_of_the_sigmoid() {
        let steps = Steps::new();
        for n in -40_000..40_000_i32 {
            let x = f64::from(n) / 4003.0;
            let whole = (100.0 / (1.0 + libm::exp(-x))).floor();
            // The sigmoid comes to 100 only by rounding, far out.
            assert!((f64::from(steps.hundredths(x)) - whole.min(99.0)).abs() < 0.5, "{x}");
        }
        assert_eq!((steps.hundredths(0.0), steps.hundredths(f64::NAN)), (50, 0));
    }
}
