//! Looking ahead: how much GPU a node would keep stranded if expected pods came to it until nothing fits.
//!
//! Pods without GPU are left out: they go where they strand least, which is seldom here.
//! A fixed sample of arrival sequences is played on the node as it would stand; the answer depends on what is free only,
//! so it is remembered. The memory is a table of fixed size in which a newer state replaces an older one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{NodeView, World};

/// Sequences played: the standard error of a mean stranding of 300 thousandths is then about 40. States are compared on
/// the same sequences, so their difference errs less.
const SEQUENCES: usize = 64;
/// Pods in a sequence; an empty node of eight devices is full after about twenty.
const LENGTH: usize = 64;
/// States remembered, a power of two.
const STATES: usize = 1 << 15;
/// Devices of a state that is remembered; larger nodes are played each time.
const DEVICES: usize = 16;

/// A kind of pods, as a fill needs it.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    cpu: u64,
    share: u16,
    whole: u16,
}

/// What is free, devices sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    cpu: u64,
    model: usize,
    count: usize,
    devices: [u16; DEVICES],
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Fills {
    /// Sequences per model, one after the other, each of [`LENGTH`] or empty.
    arrivals: Vec<Vec<Arrival>>,
    known: Vec<Option<(State, f64)>>,
}

impl Fills {
    pub(super) fn new(world: &World<'_>) -> Self {
        let kinds: Vec<&super::Typical> = world.pods.iter().filter(|pod| pod.ask.gpu() > 0).collect();
        let all: f64 = kinds.iter().map(|pod| pod.count).sum();
        let mut drawn = ChaCha8Rng::seed_from_u64(0);
        let mut places = Vec::with_capacity(SEQUENCES * LENGTH);
        while places.len() < SEQUENCES * LENGTH && all > 0.0 {
            let wanted = f64::from(drawn.next_u32()) / f64::from(u32::MAX) * all;
            let mut sum = 0.0;
            let reached = |pod: &&super::Typical| {
                sum += pod.count;
                sum >= wanted
            };
            places.push(kinds.iter().position(reached).unwrap_or(0));
        }
        let on = |model: usize| {
            let arrival = |place: &usize| {
                let pod = kinds[*place];
                let ask = pod.ask;
                Arrival {
                    cpu: if pod.on_model[model] { ask.cpu } else { u64::MAX },
                    share: ask.share,
                    whole: ask.whole,
                }
            };
            places.iter().map(arrival).collect()
        };
        Self {
            arrivals: (0..world.models.len()).map(on).collect(),
            known: vec![None; STATES],
        }
    }

    /// Thousandths of GPU left over, meant over the sequences.
    pub(super) fn stranded(&mut self, node: &NodeView<'_>) -> f64 {
        let mut state = State {
            cpu: node.cpu,
            model: node.facts.model,
            count: node.devices.len(),
            devices: [0; DEVICES],
        };
        let Some(devices) = state.devices.get_mut(..node.devices.len()) else {
            return self.play(node);
        };
        devices.copy_from_slice(node.devices);
        devices.sort_unstable();
        let cell = place(&state);
        if let Some((known, stranded)) = self.known[cell]
            && known == state
        {
            return stranded;
        }
        let stranded = self.play(node);
        self.known[cell] = Some((state, stranded));
        stranded
    }

    fn play(&self, node: &NodeView<'_>) -> f64 {
        let sequences = self.arrivals[node.facts.model].chunks_exact(LENGTH);
        let left: u32 = sequences.map(|sequence| play_one(sequence, node)).sum();
        f64::from(left) / f64::from(u32::try_from(SEQUENCES).unwrap_or(1))
    }
}

/// Thousandths of GPU left over after one sequence. Shares go to the device that is left fullest.
fn play_one(sequence: &[Arrival], node: &NodeView<'_>) -> u32 {
    let mut space = [0; 64];
    let count = node.devices.len().min(64);
    let devices = &mut space[..count];
    devices.copy_from_slice(&node.devices[..count]);
    let mut cpu = node.cpu;
    let mut left = node.gpu();
    for pod in sequence {
        if left == 0 {
            break;
        }
        if pod.cpu > cpu {
            continue;
        }
        if pod.share > 0 {
            let serving = devices.iter_mut().filter(|free| **free >= pod.share);
            let Some(device) = serving.min_by_key(|free| **free) else {
                continue;
            };
            *device -= pod.share;
            left -= u32::from(pod.share);
        } else if pod.whole > 0 {
            if devices.iter().filter(|free| **free == 1000).count() < usize::from(pod.whole) {
                continue;
            }
            let whole = devices.iter_mut().filter(|free| **free == 1000);
            whole.take(usize::from(pod.whole)).for_each(|free| *free = 0);
            left -= 1000 * u32::from(pod.whole);
        }
        cpu -= pod.cpu;
    }
    left
}

/// Where a state is remembered (FNV-1a over its words).
fn place(state: &State) -> usize {
    let words = [state.cpu, state.model as u64, state.count as u64].into_iter();
    let devices = state.devices.iter().map(|free| u64::from(*free));
    let hash = words.chain(devices).fold(0xcbf2_9ce4_8422_2325_u64, |hash, word| {
        (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)
    });
    usize::try_from((hash ^ (hash >> 29)) % (STATES as u64)).unwrap_or(0)
}
