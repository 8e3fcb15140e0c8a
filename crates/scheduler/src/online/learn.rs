//! What the policy knows of the pods to come: told beforehand, or learnt from the ones that came.

use std::collections::BTreeMap;

use super::class::device_ask;
use super::nodes::{Facts, Nodes};
use super::placer::Placer;
use super::policy::{Ask, Typical, World, real};
use super::score::view;
use super::{Expected, OnlineError, PodSpec};

/// Pods after which a placer that was told nothing learns for the first time; later whenever they have doubled.
const FIRST_LESSON: u64 = 32;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Learning {
    told: Vec<Typical>,
    /// Pods that came, per class.
    came: Vec<u64>,
    all: u64,
    /// Number of pods at which to learn next; `None`: what was told stands.
    next: Option<u64>,
}

impl Learning {
    /// # Errors
    /// [`OnlineError::GpuNotWhole`].
    pub(super) fn new(expected: &[Expected], nodes: &Nodes) -> Result<Self, OnlineError> {
        let kinds = expected
            .iter()
            .map(|kind| typical(&kind.pod, u64::from(kind.count), nodes));
        Ok(Self {
            told: most_frequent_first(kinds.collect::<Result<_, _>>()?),
            came: Vec::new(),
            all: 0,
            next: expected.is_empty().then_some(FIRST_LESSON),
        })
    }
}

impl Placer {
    /// A pod of the class came; every so often the policy learns from it.
    pub(super) fn arrived(&mut self, class: usize) {
        let learning = &mut self.learning;
        let Some(next) = learning.next else { return };
        learning.came.resize(self.classes.len(), 0);
        learning.came[class] += 1;
        learning.all += 1;
        if learning.all >= next {
            learning.next = Some(next.saturating_mul(2));
            self.learn();
        }
    }

    /// Tells the policy what is known; every score is void afterwards.
    pub(super) fn learn(&mut self) {
        let mut pods = self.learning.told.clone();
        if self.learning.next.is_some() {
            let came = self.learning.came.iter().zip(&self.classes);
            let kinds = came.filter_map(|(count, class)| typical(&class.spec, *count, &self.nodes).ok());
            pods = most_frequent_first(kinds.collect());
        }
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for entry in &self.nodes.entries {
            *counts.entry(entry.profile).or_default() += 1;
        }
        let kind = |(profile, count): (&u32, &u32)| (self.nodes.profiles[*profile as usize].facts, *count);
        let kinds: Vec<(Facts, u32)> = counts.iter().map(kind).collect();
        self.policy.learn(&World::new(&self.nodes.models, &kinds, &pods));
        for node in 0..self.nodes.len() {
            self.nodes.entries[node].value = self.policy.value(&view(&self.nodes, node));
        }
        self.cached.iter_mut().for_each(|cached| cached.seen = None);
    }
}

fn typical(pod: &PodSpec, count: u64, nodes: &Nodes) -> Result<Typical, OnlineError> {
    let (share, whole) = device_ask(pod.request.gpu)?;
    let may = |model: &String| pod.gpu_models.is_empty() || pod.gpu_models.contains(model);
    Ok(Typical {
        ask: Ask {
            cpu: pod.request.cpu.as_millicores(),
            memory: pod.request.memory.as_bytes(),
            share,
            whole,
        },
        on_model: nodes.models.iter().map(may).collect(),
        names_models: !pod.gpu_models.is_empty(),
        count: real(count),
    })
}

/// Kinds that come at all, in an order that does not depend on the order of the input.
fn most_frequent_first(mut kinds: Vec<Typical>) -> Vec<Typical> {
    kinds.retain(|kind| kind.count > 0.0);
    let rank = |kind: &Typical| {
        let Ask {
            cpu,
            memory,
            share,
            whole,
        } = kind.ask;
        (cpu, memory, share, whole, kind.on_model.clone(), kind.names_models)
    };
    kinds.sort_by(|a, b| b.count.total_cmp(&a.count).then_with(|| rank(a).cmp(&rank(b))));
    kinds
}
