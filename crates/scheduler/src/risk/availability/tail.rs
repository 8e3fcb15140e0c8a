//! The chance of a shortfall in floats, with a bound on its own error.
//!
//! Only the chances of 0 to `need - 1` replicas up are carried. All are sums and products of numbers that are not
//! negative, so every result is good to a relative error that grows with the number of operations, however small it is:
//! one minus an availability would not be.

use super::chance::Chance;
use super::plan::{Plan, Stage};

/// Chances of 0, 1, … replicas up, below the number needed.
pub(super) type Below = Vec<f64>;

/// Chances of so many up of one kind in one zone, for each count from 0.
#[derive(Debug, Clone)]
pub(super) struct Kernels {
    first: u32,
    by_count: Vec<Below>,
    gone: f64,
    there: f64,
}

impl Kernels {
    /// For the counts from `first` to `last`.
    fn new(stage: &Stage, need: usize, first: u32, last: u32) -> Self {
        let (down, up) = (stage.down.as_f64(), stage.down.complement().as_f64());
        let mut now = vec![0.0; need];
        now[0] = 1.0;
        let mut by_count = Vec::new();
        for count in 0..=last {
            if count >= first {
                by_count.push(now.clone());
            }
            for x in (0..need).rev() {
                let one_less = if x == 0 { 0.0 } else { now[x - 1] };
                now[x] = now[x] * down + one_less * up;
            }
        }
        Self {
            first,
            by_count,
            gone: stage.gone.as_f64(),
            there: stage.gone.complement().as_f64(),
        }
    }

    /// The chances with `count` replicas, a count that they were made for.
    pub(super) fn of(&self, count: u32) -> Below {
        let index = usize::try_from(count - self.first).unwrap_or(usize::MAX);
        let mut mixed: Below = self.by_count[index].iter().map(|p| p * self.there).collect();
        mixed[0] += self.gone;
        mixed
    }
}

/// What is known in the middle of a zone: the chances if region and zone are up, if the zone is down, if the region is.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    pub(super) up: Below,
    pub(super) zone_down: Below,
    pub(super) region_down: Below,
}

impl Layers {
    /// Before the first zone.
    pub(super) fn new(need: usize) -> Self {
        let mut up = vec![0.0; need];
        up[0] = 1.0;
        Self {
            zone_down: up.clone(),
            region_down: up.clone(),
            up,
        }
    }

    /// Adds replicas to the zone.
    pub(super) fn add(&mut self, kernel: &[f64]) {
        let mut sum = vec![0.0; self.up.len()];
        for (x, p) in kernel.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            for (slot, q) in sum[x..].iter_mut().zip(&self.up) {
                *slot += p * q;
            }
        }
        self.up = sum;
    }

    pub(super) fn leave_zone(&mut self, down: Chance) {
        blend(&mut self.up, &self.zone_down, down);
        self.zone_down.clone_from(&self.up);
    }

    pub(super) fn leave_region(&mut self, down: Chance) {
        blend(&mut self.up, &self.region_down, down);
        self.zone_down.clone_from(&self.up);
        self.region_down.clone_from(&self.up);
    }
}

/// `without` with chance `down`, else `up`.
pub(super) fn blend(up: &mut [f64], without: &[f64], down: Chance) {
    let (q, p) = (down.complement().as_f64(), down.as_f64());
    for (slot, other) in up.iter_mut().zip(without) {
        *slot = *slot * q + other * p;
    }
}

/// Chances for every stage of a plan.
#[derive(Debug, Clone)]
pub(super) struct Odds {
    pub(super) kernels: Vec<Kernels>,
}

impl Odds {
    /// For all counts up to these, stage by stage.
    pub(super) fn up_to(plan: &Plan, count_max: &[u32]) -> Self {
        let stages = plan.stages.iter().zip(count_max);
        Self {
            kernels: stages
                .map(|(stage, last)| Kernels::new(stage, plan.need, 0, *last))
                .collect(),
        }
    }

    /// For these counts alone.
    pub(super) fn only(plan: &Plan, counts: &[u32]) -> Self {
        let stages = plan.stages.iter().zip(counts);
        Self {
            kernels: stages
                .map(|(stage, count)| Kernels::new(stage, plan.need, *count, *count))
                .collect(),
        }
    }

    /// The chance that fewer than needed are up.
    pub(super) fn shortfall(&self, plan: &Plan, counts: &[u32]) -> f64 {
        let mut layers = Layers::new(plan.need);
        for area in &plan.areas {
            for zone in &plan.zones[area.zones.clone()] {
                for stage in zone.stages.clone().filter(|s| counts[*s] > 0) {
                    layers.add(&self.kernels[stage].of(counts[stage]));
                }
                layers.leave_zone(zone.down);
            }
            layers.leave_region(area.down);
        }
        layers.up.iter().sum()
    }
}

/// How far, relatively, a shortfall of that many replicas may be off: three roundings for each replica, and for each
/// stage, zone and region a sum over `need` products, all generously.
pub(super) fn relative_error(plan: &Plan, replicas: u64) -> f64 {
    let layers = plan.stages.len() + plan.zones.len() + plan.areas.len();
    let sums = as_f64(layers as u64) * (as_f64(plan.need as u64) + 16.0);
    (8.0 * as_f64(replicas) + 2.0 * sums + 64.0) * f64::EPSILON
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of replicas and layers are far below 2^53"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}
