//! GPU fragments of a node: what the expected pods, each taken alone, could not use of what is free.
//!
//! The measure of Weng et al., "Beware of Fragmentation" (USENIX ATC 2023), section 3: for a kind of pod that does not fit
//! on the node all its free GPU is a fragment; for one that fits, the devices that could not serve it; for one that asks
//! for no GPU, all of it. The node's fragments are the mean over kinds, weighted. Memory is left out, as there.
//!
//! The published way asks every kind of pod for every node; here running sums over sorted demands answer the same with
//! one look per device.

use super::{NodeView, Typical, World};

/// Shares and whole devices asked for by pods that fit, as running sums.
#[derive(Debug, Clone, Default)]
struct Sums {
    /// Row per number of CPU levels that fit, column per number of share levels that fit: weight of shares.
    shares: Vec<f64>,
    /// The same with whole devices.
    wholes: Vec<f64>,
}

/// Tables for [`Fragments::of`].
#[derive(Debug, Clone, Default)]
pub(super) struct Fragments {
    /// Weight of all kinds.
    pub(super) total: f64,
    /// Distinct CPU demands of pods with GPU, rising.
    cpu_levels: Vec<u64>,
    /// How many distinct shares are at most this many thousandths.
    share_rank: Vec<u16>,
    share_columns: usize,
    whole_columns: usize,
    /// Per model.
    sums: Vec<Sums>,
}

impl Fragments {
    /// With a weight for each kind; with whole weights the sums are exact.
    pub(super) fn new(world: &World<'_>, weight: impl Fn(&Typical) -> f64) -> Self {
        let with_gpu = || world.pods.iter().filter(|pod| pod.ask.gpu() > 0);
        let mut cpu_levels: Vec<u64> = with_gpu().map(|pod| pod.ask.cpu).collect();
        let mut share_levels: Vec<u16> = with_gpu().map(|pod| pod.ask.share).filter(|share| *share > 0).collect();
        cpu_levels.sort_unstable();
        cpu_levels.dedup();
        share_levels.sort_unstable();
        share_levels.dedup();
        let rank = |free: u16| share_levels.partition_point(|share| *share <= free);
        let most = usize::from(with_gpu().map(|pod| pod.ask.whole).max().unwrap_or(0).min(64));
        let mut tables = Self {
            total: world.pods.iter().map(&weight).sum(),
            share_rank: (0..=1000)
                .map(|free| u16::try_from(rank(free)).unwrap_or(u16::MAX))
                .collect(),
            share_columns: share_levels.len() + 1,
            whole_columns: most + 1,
            sums: vec![Sums::default(); world.models.len()],
            cpu_levels,
        };
        for (model, sums) in tables.sums.iter_mut().enumerate() {
            let rows = tables.cpu_levels.len() + 1;
            sums.shares = vec![0.0; rows * tables.share_columns];
            sums.wholes = vec![0.0; rows * tables.whole_columns];
            for pod in with_gpu().filter(|pod| pod.on_model[model]) {
                let first_row = tables.cpu_levels.partition_point(|cpu| *cpu < pod.ask.cpu) + 1;
                let (table, columns, first) = if pod.ask.whole > 0 {
                    (&mut sums.wholes, tables.whole_columns, usize::from(pod.ask.whole))
                } else {
                    (&mut sums.shares, tables.share_columns, rank(pod.ask.share))
                };
                for row in first_row..rows {
                    for column in first..columns {
                        table[row * columns + column] += weight(pod);
                    }
                }
            }
        }
        tables
    }

    /// Fragments of a node in thousandths of a device, times [`Fragments::total`].
    #[inline]
    pub(super) fn of(&self, node: &NodeView<'_>) -> f64 {
        let row = self.cpu_levels.partition_point(|cpu| *cpu <= node.cpu);
        let sums = &self.sums[node.facts.model];
        let shares = &sums.shares[row * self.share_columns..][..self.share_columns];
        let (mut free, mut whole, mut widest) = (0_u32, 0_usize, 0_u16);
        for device in node.devices {
            free += u32::from(*device);
            whole += usize::from(*device == 1000);
            widest = widest.max(*device);
        }
        let fit_shares = shares[self.rank(widest)];
        let fit_wholes = sums.wholes[row * self.whole_columns + whole.min(self.whole_columns - 1)];
        let mut fragments = f64::from(free) * (self.total - fit_shares - fit_wholes);
        for device in node.devices {
            let unserved = fit_shares - shares[self.rank(*device)] + if *device < 1000 { fit_wholes } else { 0.0 };
            fragments += f64::from(*device) * unserved;
        }
        fragments
    }

    #[inline]
    fn rank(&self, free: u16) -> usize {
        usize::from(self.share_rank[usize::from(free)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ask, Facts};
    use super::*;

    /// The definition, asked pod by pod and device by device.
    fn by_definition(pods: &[Typical], node: &NodeView<'_>) -> f64 {
        let of = |pod: &Typical| {
            let each = if pod.ask.whole > 0 { 1000 } else { pod.ask.share };
            let serving = node.devices.iter().filter(|free| **free >= each).count();
            let fits = pod.ask.gpu() > 0
                && pod.on_model[node.facts.model]
                && pod.ask.cpu <= node.cpu
                && serving >= usize::from(pod.ask.whole.max(1));
            let lost = node.devices.iter().filter(|free| !fits || **free < each);
            pod.count * lost.map(|free| f64::from(*free)).sum::<f64>()
        };
        pods.iter().map(of).sum()
    }

    #[test]
    fn running_sums_give_what_the_definition_gives() {
        let pod = |cpu, share, whole, models: [bool; 2], count| Typical {
            ask: Ask {
                cpu,
                memory: 0,
                share,
                whole,
            },
            on_model: models.to_vec(),
            names_models: false,
            count,
        };
        let pods = [
            pod(4000, 0, 0, [true, true], 9.0),
            pod(1000, 250, 0, [true, true], 40.0),
            pod(8000, 500, 0, [true, false], 7.0),
            pod(2000, 500, 0, [true, true], 3.0),
            pod(6000, 0, 1, [true, true], 11.0),
            pod(32_000, 0, 4, [false, true], 2.0),
        ];
        let models = ["A".to_owned(), "B".to_owned()];
        let world = World::new(&models, &[], &pods);
        let fragments = Fragments::new(&world, |pod| pod.count);
        for model in 0..2 {
            for cpu in [0, 999, 1000, 2000, 7999, 8000, 64_000] {
                for devices in [
                    &[][..],
                    &[0],
                    &[250],
                    &[499, 1000],
                    &[1000; 4],
                    &[700, 1000, 0, 1000, 1000, 1000],
                ] {
                    let facts = Facts {
                        cpu: 64_000,
                        memory: 0,
                        gpu: 0,
                        devices: devices.len(),
                        model,
                    };
                    let node = NodeView::new((cpu, 0), devices, &facts, &[]);
                    let (ours, defined) = (fragments.of(&node), by_definition(&pods, &node));
                    assert!(
                        (ours - defined).abs() < 1e-9,
                        "{model} {cpu} {devices:?}: {ours} {defined}"
                    );
                }
            }
        }
    }
}
