//! A part of all assignments: what each task may still choose, and how much each meter may count.
//!
//! Splitting into parts and bounding them is the search's.

use super::compile::{Compiled, End};
use super::tariff::GRAINS;

/// Positions of the choices left of each task, rising.
pub(super) type Domains = Vec<Vec<usize>>;

/// Least and most volume per meter.
pub(super) type Spans = Vec<(u64, u64)>;

/// A part of all assignments.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) domains: Domains,
    /// Volumes that this part is confined to.
    pub(super) confined: Spans,
    /// Lower bound of the cost in grains.
    pub(super) bound: i128,
}

impl Node {
    /// All assignments.
    pub(super) fn all(compiled: &Compiled<'_>) -> Self {
        Self {
            domains: compiled
                .steps
                .iter()
                .map(|step| (0..step.choices.len()).collect())
                .collect(),
            confined: vec![(0, u64::MAX); compiled.network.meters.len()],
            bound: 0,
        }
    }

    /// Whether a task has nothing left.
    pub(super) fn is_empty(&self) -> bool {
        self.domains.iter().any(Vec::is_empty)
    }

    /// Number of assignments.
    pub(super) fn assignments(&self) -> u64 {
        self.domains
            .iter()
            .map(|domain| domain.len() as u64)
            .fold(1, u64::saturating_mul)
    }

    /// Choices left of all tasks together.
    pub(super) fn choices(&self) -> usize {
        self.domains.iter().map(Vec::len).sum()
    }

    /// The volumes that each meter can count with what may still be chosen, in plans that cost less than `beat` grains;
    /// `None`: there are none.
    pub(super) fn volumes(&self, compiled: &Compiled<'_>, beat: i128) -> Option<Volumes> {
        let network = &compiled.network;
        let words = network.words();
        let masks = self.masks(compiled);
        let mut volumes = Volumes {
            spans: vec![(0, 0); network.meters.len()],
            certain: vec![0; network.meters.len()],
            is_certain: vec![false; compiled.flows.len()],
        };
        let mut fixed = vec![0u64; words];
        for (flow, is_certain) in compiled.flows.iter().zip(&mut volumes.is_certain) {
            let from = match flow.from {
                End::Task(task) => Senders::Some(&masks[task * words..(task + 1) * words]),
                End::Data(region) => Senders::One(region),
            };
            let to = match flow.to {
                End::Task(task) => &masks[task * words..(task + 1) * words],
                End::Data(region) => {
                    fixed.fill(0);
                    fixed[region / 64] |= 1 << (region % 64);
                    &fixed
                }
            };
            let only = from.only();
            from.for_each(|sender| {
                for way in network.ways(sender) {
                    let receivers = network.receivers(way);
                    if receivers.iter().zip(to).any(|(a, b)| a & b != 0) {
                        volumes.spans[way.meter].1 += flow.bytes;
                        if only && receivers.iter().zip(to).all(|(a, b)| b & !a == 0) {
                            volumes.certain[way.meter] += flow.bytes;
                            *is_certain = true;
                        }
                    }
                }
            });
        }
        volumes.confine(&self.confined, compiled, beat - self.least(compiled))?;
        Some(volumes)
    }

    /// The regions that each task may still be in, a bit each.
    fn masks(&self, compiled: &Compiled<'_>) -> Vec<u64> {
        let words = compiled.network.words();
        let mut masks = vec![0u64; self.domains.len() * words];
        for ((domain, step), mask) in self
            .domains
            .iter()
            .zip(&compiled.steps)
            .zip(masks.chunks_exact_mut(words))
        {
            for choice in domain {
                let region = step.choices[*choice].region;
                mask[region / 64] |= 1 << (region % 64);
            }
        }
        masks
    }

    /// What the tasks cost at least, in grains.
    fn least(&self, compiled: &Compiled<'_>) -> i128 {
        let of_task = |(domain, step): (&Vec<usize>, &super::compile::Step<'_>)| {
            let costs = domain.iter().map(|choice| step.choices[*choice].cost);
            i128::from(costs.min().unwrap_or(0))
        };
        self.domains.iter().zip(&compiled.steps).map(of_task).sum::<i128>() * GRAINS
    }
}

/// Where a flow may come from.
#[derive(Debug, Clone, Copy)]
enum Senders<'m> {
    One(usize),
    Some(&'m [u64]),
}

impl Senders<'_> {
    fn only(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Some(mask) => mask.iter().map(|word| word.count_ones()).sum::<u32>() == 1,
        }
    }

    fn for_each(&self, mut with: impl FnMut(usize)) {
        match self {
            Self::One(region) => with(*region),
            Self::Some(mask) => {
                for (at, &word) in mask.iter().enumerate() {
                    let mut left = word;
                    while left != 0 {
                        with(at * 64 + left.trailing_zeros() as usize);
                        left &= left - 1;
                    }
                }
            }
        }
    }
}

/// What meters can count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volumes {
    /// Least and most per meter.
    pub(super) spans: Spans,
    /// Bytes that each meter counts whatever is chosen.
    pub(super) certain: Vec<u64>,
    /// The flows of which that is so.
    pub(super) is_certain: Vec<bool>,
}

impl Volumes {
    /// Of no meter.
    pub(super) const fn none() -> Self {
        Self {
            spans: Vec::new(),
            certain: Vec::new(),
            is_certain: Vec::new(),
        }
    }

    /// Cuts the spans to what meters are confined to, and to what leaves a plan cheaper than `room` more grains.
    fn confine(&mut self, confined: &Spans, compiled: &Compiled<'_>, room: i128) -> Option<()> {
        for (at, meter) in compiled.network.meters.iter().enumerate() {
            let (low, high) = (self.certain[at], self.spans[at].1);
            let affordable = meter.tariff.volume_below(room);
            self.spans[at] = (low.max(confined[at].0), high.min(confined[at].1).min(affordable));
            if self.spans[at].0 > self.spans[at].1 {
                return None;
            }
        }
        Some(())
    }
}
