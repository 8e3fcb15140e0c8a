//! Graphs of tasks from a seed over the built-in catalogue: what the chapter's `--random` plans and the bench measures.
//!
//! A task asks for 2 to 32 virtual CPUs with 2, 4 or 8 GiB each for a quarter of an hour to eight hours on one machine, and
//! may run on the cheapest offers that fit in each of up to 40 regions of all clouds, taken in turn; an offer is 0.7 to 1.3
//! times as fast as another. Edges carry 0.1 to 100 GiB, evenly on a logarithmic scale. Pricing and planning do not belong here.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use skyloom::Catalogue;
use skyloom::core::catalogue::EgressScope;
use skyloom::core::{Bytes, MicroUsdPerHour, Offer, RegionKey};
use skyloom::scheduler::dag::{AlreadySent, Candidate, Dag, Edge, NodeId, Task};

/// Regions of one graph at most.
const REGIONS_MAX: usize = 40;

/// What each region has sent already in this month, in GiB: past every free allowance, as an account is that runs graphs
/// of thousands of tasks.
pub(crate) const SENT_GIB: u32 = 20_480;

/// How the tasks hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One after the other.
    Chain,
    /// Each task after one of those before it.
    Tree,
    /// Each task after one to three of those before it, 1.75 on average.
    General,
}

/// Evenly drawn numbers.
#[derive(Debug)]
struct Dice(ChaCha8Rng);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0.next_u64() % sides
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll(n.max(1) as u64)).unwrap_or(0)
    }
}

/// A graph of so many tasks with so many candidates each.
#[must_use]
pub(crate) fn random(catalogue: &Catalogue, tasks: usize, candidates: usize, seed: u64, shape: Shape) -> Dag {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let regions = regions(catalogue, candidates.clamp(1, REGIONS_MAX));
    let per_region = candidates.div_ceil(regions.len().max(1));
    let name = |n: usize| NodeId::new(format!("task{n:05}"));
    let mut fitting = BTreeMap::new();
    let mut dag = Dag::default();
    for n in 0..tasks {
        let vcpus = 2000 << dice.roll(5);
        let memory = (vcpus / 1000 * (2 << dice.roll(3))) << 30;
        let seconds = u32::try_from(900 * (1 + dice.roll(32))).unwrap_or(900);
        let offers = fitting
            .entry((vcpus, memory))
            .or_insert_with(|| offers(catalogue, &regions, (vcpus, memory), per_region, &mut dice));
        let of_task = offers.iter().take(candidates).map(|fitting| Candidate {
            offer: fitting.offer.clone(),
            region: fitting.region.clone(),
            per_hour: fitting.per_hour,
            run_seconds: f64::from(seconds * fitting.percent / 100),
            nodes: 1,
        });
        dag.tasks.push(Task::new(name(n), of_task.collect()));
        for before in before(&mut dice, n, shape) {
            let bytes = Bytes::from_bytes(volume(&mut dice));
            dag.edges.push(Edge {
                from: name(before),
                to: name(n),
                bytes,
            });
        }
    }
    dag
}

/// The same volume sent already from every region, to the internet and to other regions each.
#[must_use]
pub(crate) fn already(catalogue: &Catalogue, gib: u32) -> Vec<AlreadySent> {
    let scopes = [EgressScope::InterRegion, EgressScope::Internet];
    let regions = catalogue.regions().filter(|_| gib > 0);
    let sent = |key: &RegionKey, scope| AlreadySent {
        region: key.clone(),
        scope,
        bytes: Bytes::from_gib(gib),
    };
    regions
        .flat_map(|region| scopes.map(|scope| sent(&region.key, scope)))
        .collect()
}

/// The tasks that one waits for.
fn before(dice: &mut Dice, n: usize, shape: Shape) -> Vec<usize> {
    let mut before = match (n, shape) {
        (0, _) => Vec::new(),
        (_, Shape::Chain) => vec![n - 1],
        (_, Shape::Tree) => vec![dice.below(n)],
        (_, Shape::General) => {
            let count = [1, 1, 2, 3][dice.below(4)];
            (0..count).map(|_| dice.below(n)).collect()
        }
    };
    before.sort_unstable();
    before.dedup();
    before
}

/// 0.1 to 100 GiB in whole MiB, each power of two as likely as another.
fn volume(dice: &mut Dice) -> u64 {
    let mebibytes = 100 << dice.roll(10);
    (mebibytes + dice.roll(mebibytes)) << 20
}

/// So many regions with offers, of each cloud one in turn.
fn regions(catalogue: &Catalogue, count: usize) -> Vec<RegionKey> {
    let mut of_cloud: BTreeMap<&str, Vec<&RegionKey>> = BTreeMap::new();
    for region in catalogue.regions().map(|region| &region.key) {
        if !catalogue.in_region(region).is_empty() {
            of_cloud.entry(region.cloud.as_str()).or_default().push(region);
        }
    }
    let longest = of_cloud.values().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|turn| of_cloud.values().filter_map(move |regions| regions.get(turn)));
    in_turn.take(count).map(|region| (*region).clone()).collect()
}

/// An offer that is large enough.
#[derive(Debug)]
struct Fitting {
    offer: String,
    region: RegionKey,
    per_hour: MicroUsdPerHour,
    /// How long a task takes on it, in hundredths.
    percent: u32,
}

/// The cheapest offers of each region with so many millicores and bytes, the cheapest of every region first.
fn offers(
    catalogue: &Catalogue,
    regions: &[RegionKey],
    (millicores, memory): (u64, u64),
    per_region: usize,
    dice: &mut Dice,
) -> Vec<Fitting> {
    let fits =
        |offer: &&Offer| offer.capacity.cpu.as_millicores() >= millicores && offer.capacity.memory.as_bytes() >= memory;
    let mut ranked = Vec::new();
    for region in regions {
        let priced = catalogue.in_region(region).iter().filter(fits);
        let mut priced: Vec<(MicroUsdPerHour, &Offer)> = priced
            .filter_map(|offer| Some((offer.on_demand?.per_hour, offer)))
            .collect();
        priced.sort_by(|a, b| (a.0, &a.1.key).cmp(&(b.0, &b.1.key)));
        priced.truncate(per_region);
        ranked.extend(priced.into_iter().enumerate());
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let named = ranked.into_iter().map(|(_, (per_hour, offer))| Fitting {
        offer: offer.key.instance.to_string(),
        region: offer.key.region.clone(),
        per_hour,
        percent: 70 + u32::try_from(dice.roll(61)).unwrap_or(0),
    });
    named.collect()
}
