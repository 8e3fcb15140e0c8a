//! A part of all assignments: what each task may still choose, and how much each meter may count.
//!
//! Splitting into parts and bounding them is the search's.

use std::borrow::Cow;

use super::compile::{Compiled, End};
use super::network::Bits;

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

    /// The volumes that each meter can count with what may still be chosen; `None`: not those it is confined to.
    pub(super) fn spans(&self, compiled: &Compiled<'_>) -> Option<Spans> {
        let mut spans: Spans = vec![(0, 0); compiled.network.meters.len()];
        let masks: Vec<Bits> = self
            .domains
            .iter()
            .zip(&compiled.steps)
            .map(|(domain, step)| {
                let mut mask = compiled.network.no_regions();
                for choice in domain {
                    let region = step.choices[*choice].region;
                    mask[region / 64] |= 1 << (region % 64);
                }
                mask
            })
            .collect();
        for flow in &compiled.flows {
            let (from, to) = (regions(compiled, &masks, flow.from), regions(compiled, &masks, flow.to));
            let only = from.iter().map(|word| word.count_ones()).sum::<u32>() == 1;
            for sender in members(&from) {
                for (meter, receivers) in compiled.network.ways(sender) {
                    let some = receivers.iter().zip(to.iter()).any(|(a, b)| a & b != 0);
                    let all = receivers.iter().zip(to.iter()).all(|(a, b)| b & !a == 0);
                    let span = &mut spans[*meter as usize];
                    span.0 += if only && all { flow.bytes } else { 0 };
                    span.1 += if some { flow.bytes } else { 0 };
                }
            }
        }
        for (span, confined) in spans.iter_mut().zip(&self.confined) {
            *span = (span.0.max(confined.0), span.1.min(confined.1));
            if span.0 > span.1 {
                return None;
            }
        }
        Some(spans)
    }
}

fn regions<'m>(compiled: &Compiled<'_>, masks: &'m [Bits], end: End) -> Cow<'m, [u64]> {
    match end {
        End::Task(task) => Cow::Borrowed(masks[task].as_slice()),
        End::Data(region) => {
            let mut mask = compiled.network.no_regions();
            mask[region / 64] |= 1 << (region % 64);
            Cow::Owned(mask)
        }
    }
}

/// The regions of a set, rising.
fn members(bits: &[u64]) -> impl Iterator<Item = usize> + '_ {
    bits.iter().enumerate().flat_map(|(at, word)| {
        (0..64)
            .filter(move |bit| word >> bit & 1 == 1)
            .map(move |bit| at * 64 + bit)
    })
}
