//! Rules that look at GPUs only: packing (Antman) and clustering (Gandiva), as the comparison of Weng et al. has them.
//!
//! Pods without GPU cost the same everywhere, so they go to the lowest node where they fit.

use super::{Policy, Trial, World};

/// GPUs that are shared already, then nodes in use, then empty nodes.
///
/// After Xiao et al., "AntMan" (OSDI 2020), with the scores of the published comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GpuPacking;

impl Policy for GpuPacking {
    fn name(&self) -> &'static str {
        "gpu_packing"
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        if trial.ask.gpu() == 0 {
            return 0.0;
        }
        let before = trial.before.devices;
        let opened = |free: &&u16| **free < 1000;
        let free_now: u32 = before.iter().filter(|free| **free == 1000).map(|_| 1).sum();
        if before.iter().all(|free| *free == 1000) {
            return -f64::from(33 - free_now.min(32));
        }
        // The tightest devices first, as far as they serve.
        let each = if trial.ask.whole > 0 { 1000 } else { trial.ask.share };
        let tightest = before.iter().filter(opened).filter(|free| **free >= each).min();
        match tightest {
            Some(free) if trial.ask.whole == 0 => -f64::from(100 - free / 100),
            _ => -f64::from(50 - trial.ask.whole.clamp(1, 17)),
        }
    }
}

/// Nodes that hold pods of the same GPU ask, the fullest first.
///
/// After Xiao et al., "Gandiva" (OSDI 2018), with the scores of the published comparison.
#[derive(Debug, Clone, Default)]
pub struct GpuClustering {
    /// Thousandths of GPU of the largest node.
    largest: u32,
}

impl Policy for GpuClustering {
    fn name(&self) -> &'static str {
        "gpu_clustering"
    }

    fn learn(&mut self, world: &World<'_>) {
        self.largest = world.nodes.iter().map(|(facts, _)| facts.gpu).max().unwrap_or(0);
    }

    fn cost(&mut self, trial: &Trial<'_>) -> f64 {
        let ask = trial.ask.gpu();
        if ask == 0 {
            return 0.0;
        }
        let kinds = trial.before.asks.iter().filter(|(gpu, _)| *gpu > 0);
        let alike = kinds.clone().any(|(gpu, _)| *gpu == ask);
        let tier = match kinds.count() {
            1 if alike => 75,
            _ if alike => 50,
            0 => 25,
            _ => 0,
        };
        let largest = self.largest.max(1);
        let fullness = 25 * (largest - trial.before.gpu().min(largest)) / largest;
        -f64::from(tier + fullness)
    }
}
