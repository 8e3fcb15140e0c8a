//! Rules of vector packing over CPU and GPU: best fit, worst fit and dot product.
//!
//! As in the simulator of Weng et al., "Beware of Fragmentation" (USENIX ATC 2023): both dimensions are divided by the
//! largest node's and weigh the same, and scores are whole hundredths, so that many nodes tie and the lowest wins.
//! Deviation: the largest node is the cluster's own, not a constant, and memory is not scored, as there.

use super::{Policy, Trial, World, real};

/// The largest node in each dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Largest {
    cpu: f64,
    gpu: f64,
}

impl Default for Largest {
    fn default() -> Self {
        Self { cpu: 1.0, gpu: 1.0 }
    }
}

impl Largest {
    fn of(world: &World<'_>) -> Self {
        let most = |amount: u64| real(amount.max(1));
        Self {
            cpu: most(world.nodes.iter().map(|(facts, _)| facts.cpu).max().unwrap_or(1)),
            gpu: most(
                world
                    .nodes
                    .iter()
                    .map(|(facts, _)| u64::from(facts.gpu))
                    .max()
                    .unwrap_or(1),
            ),
        }
    }

    /// Mean share of the largest node that stays free, in hundredths, 0..=100.
    fn left(&self, trial: &Trial<'_>) -> f64 {
        let left = real(trial.after.cpu) / self.cpu + f64::from(trial.after.gpu()) / self.gpu;
        left / 2.0 * 100.0
    }
}

/// Takes the node that is left fullest.
#[derive(Debug, Clone, Default)]
pub struct BestFit {
    largest: Largest,
}

impl Policy for BestFit {
    fn name(&self) -> &'static str {
        "best_fit"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.largest = Largest::of(world);
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        -(100.0 - self.largest.left(trial)).floor()
    }
}

/// Takes the node that is left emptiest.
#[derive(Debug, Clone, Default)]
pub struct WorstFit {
    largest: Largest,
}

impl Policy for WorstFit {
    fn name(&self) -> &'static str {
        "worst_fit"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.largest = Largest::of(world);
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        -self.largest.left(trial).floor()
    }
}

/// Takes the node whose free resources are least in line with what is asked.
///
/// After Grandl et al., "Multi-resource packing for cluster schedulers" (SIGCOMM 2014), which takes the largest product;
/// with one cluster and no queue to choose from, the published comparison takes the smallest.
#[derive(Debug, Clone, Default)]
pub struct DotProduct {
    largest: Largest,
}

impl Policy for DotProduct {
    fn name(&self) -> &'static str {
        "dot_product"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.largest = Largest::of(world);
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        let Largest { cpu, gpu } = self.largest;
        let along_cpu = real(trial.before.cpu) / cpu * (real(trial.ask.cpu) / cpu);
        let along_gpu = f64::from(trial.before.gpu()) / gpu * (f64::from(trial.ask.gpu()) / gpu);
        -((1.0 - f64::midpoint(along_cpu, along_gpu)) * 100.0).floor()
    }
}
