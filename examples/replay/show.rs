//! The report: means over the seeds, as text or JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use skyloom::scheduler::online::NodeSpec;

use super::run::{MARKS, Run};

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    policy: String,
    nodes: usize,
    gpus: f64,
    seeds: usize,
    /// Percent of the cluster's GPUs allocated, by percent asked for; mean over the seeds.
    allocated_pct: BTreeMap<String, f64>,
    /// The same per seed.
    allocated_pct_by_seed: Vec<BTreeMap<String, f64>>,
    /// Pods placed per second of processor time of the placing alone, on one core.
    placements_per_second: f64,
    /// The same counting refused pods as well.
    decisions_per_second: f64,
    /// Moves per hundred pods placed.
    moved_pct: f64,
    /// Means over the seeds.
    asked_pods: f64,
    placed_pods: f64,
    refused_cpu_only_pods: f64,
    /// Refused pods by the filter that refuses them on most nodes at the end.
    unplaced: BTreeMap<String, f64>,
}

impl Report {
    pub(crate) fn new(policy: &str, nodes: &[NodeSpec], runs: &[Run]) -> Self {
        let by_seed: Vec<BTreeMap<String, f64>> = runs.iter().map(allocated_pct).collect();
        let over_seeds = |of: &dyn Fn(&Run) -> u64| real(runs.iter().map(of).sum()) / real(runs.len() as u64);
        let mut mean = BTreeMap::new();
        for (mark, pct) in by_seed.iter().flatten() {
            *mean.entry(mark.clone()).or_default() += pct / real(runs.len() as u64);
        }
        let mut unplaced: BTreeMap<String, f64> = BTreeMap::new();
        for (why, count) in runs.iter().flat_map(|run| &run.unplaced) {
            *unplaced.entry(why.clone()).or_default() += real(*count) / real(runs.len() as u64);
        }
        let seconds: f64 = runs.iter().map(|run| run.spent.as_secs_f64()).sum();
        let sum = |of: &dyn Fn(&Run) -> u64| real(runs.iter().map(of).sum());
        Self {
            policy: policy.to_owned(),
            nodes: nodes.len(),
            gpus: runs.first().map_or(0.0, |run| real(run.capacity) / 1000.0),
            seeds: runs.len(),
            allocated_pct: mean,
            allocated_pct_by_seed: by_seed,
            placements_per_second: sum(&|run| run.placed) / seconds,
            decisions_per_second: sum(&|run| run.asked) / seconds,
            moved_pct: 100.0 * sum(&|run| run.moved) / sum(&|run| run.placed).max(1.0),
            asked_pods: over_seeds(&|run| run.asked),
            placed_pods: over_seeds(&|run| run.placed),
            refused_cpu_only_pods: over_seeds(&|run| run.refused_cpu_only),
            unplaced,
        }
    }

    pub(crate) fn show(&self) {
        println!(
            "{} on {} nodes with {} GPUs, mean of {} seeds",
            self.policy, self.nodes, self.gpus, self.seeds
        );
        for mark in MARKS {
            let allocated = self.allocated_pct.get(&mark.to_string()).copied().unwrap_or(f64::NAN);
            println!("  {mark:>3}% of the GPUs asked for: {allocated:>7.3}% allocated");
        }
        println!(
            "  {:.0} placements/s, {:.0} decisions/s of processor time on one core",
            self.placements_per_second, self.decisions_per_second
        );
        println!(
            "  {:.0} pods asked, {:.0} placed, {:.1} without GPU refused, {:.3}% moved",
            self.asked_pods, self.placed_pods, self.refused_cpu_only_pods, self.moved_pct
        );
        for (why, count) in &self.unplaced {
            println!("  refused mostly for {why}: {count:.1}");
        }
    }
}

fn allocated_pct(run: &Run) -> BTreeMap<String, f64> {
    let pct = |(mark, allocated): (&u64, &u64)| (mark.to_string(), 100.0 * real(*allocated) / real(run.capacity));
    MARKS.iter().zip(&run.allocated).map(pct).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of pods and thousandths of GPUs")]
fn real(count: u64) -> f64 {
    count as f64
}
