//! One order of arrival, played to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use skyloom::scheduler::online::{ClassId, Expected, NodeSpec, OnlineConfig, Placer, PodSpec, policy};

use super::Failure;

/// Percent of the cluster's GPUs asked for, at which the allocation is noted.
pub(crate) const MARKS: [u64; 5] = [90, 100, 110, 120, 130];

/// What came out.
#[derive(Debug)]
pub(crate) struct Run {
    /// Thousandths of GPU in the cluster.
    pub(crate) capacity: u64,
    /// Thousandths of GPU allocated at each mark.
    pub(crate) allocated: Vec<u64>,
    pub(crate) asked: u64,
    pub(crate) placed: u64,
    pub(crate) moved: u64,
    /// Refused pods that ask for no GPU.
    pub(crate) refused_cpu_only: u64,
    /// Refused pods by the filter that refuses on most nodes at the end.
    pub(crate) unplaced: BTreeMap<String, u64>,
    /// Processor time of the placing alone.
    pub(crate) spent: Duration,
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from((u128::from(z) * count as u128) >> 64).unwrap_or(0)
    }
}

/// Replays one order. `told`: the policy knows how often each kind of pod is in the list, not when it comes.
pub(crate) fn run(nodes: &[NodeSpec], pods: &[PodSpec], policy: &str, seed: u64, told: bool) -> Result<Run, Failure> {
    let names = || policy::BUILTIN.iter().map(|b| b.name).collect::<Vec<_>>().join(", ");
    let rule = policy::by_name(policy).ok_or_else(|| format!("find policy `{policy}`: there are {}", names()))?;
    let mut config = OnlineConfig::new(seed);
    if told {
        config = config.with_expected(expected(pods));
    }
    let mut placer = Placer::new(nodes.to_vec(), rule, &config)?;
    let classes: Vec<ClassId> = pods.iter().map(|pod| placer.class(pod)).collect::<Result<_, _>>()?;
    let gpu = |pod: usize| pods[pod].request.gpu.as_milligpus();
    let capacity = nodes.iter().map(|node| node.capacity.gpu.as_milligpus()).sum();
    let order = order(capacity, pods.len(), seed, gpu)?;

    let mut refused = vec![0_u64; pods.len()];
    let mut run = Run {
        capacity,
        allocated: Vec::new(),
        asked: order.len() as u64,
        placed: 0,
        moved: 0,
        refused_cpu_only: 0,
        unplaced: BTreeMap::new(),
        spent: Duration::ZERO,
    };
    let (mut allocated, mut asked) = (0, 0);
    let begin = processor_time();
    for pod in order {
        asked += gpu(pod);
        if placer.place(classes[pod])?.placed().is_some() {
            allocated += gpu(pod);
            run.placed += 1;
        } else {
            refused[pod] += 1;
        }
        while MARKS
            .get(run.allocated.len())
            .is_some_and(|mark| asked * 100 >= mark * capacity)
        {
            run.allocated.push(allocated);
        }
    }
    run.spent = processor_time().saturating_sub(begin);
    run.moved = placer.moves_made();
    let refusals = refused.iter().enumerate().filter(|(_, count)| **count > 0);
    for (pod, count) in refusals {
        let totals = placer.explain(classes[pod])?.totals();
        let most = totals.iter().max_by_key(|(_, nodes)| **nodes);
        let why = most.map_or_else(
            || "room was there at the end".to_owned(),
            |(filter, _)| filter.to_string(),
        );
        *run.unplaced.entry(why).or_default() += count;
        run.refused_cpu_only += if gpu(pod) == 0 { *count } else { 0 };
    }
    Ok(run)
}

/// How often each kind of pod is in the list.
fn expected(pods: &[PodSpec]) -> Vec<Expected> {
    let mut kinds: BTreeMap<String, Expected> = BTreeMap::new();
    for pod in pods {
        let kind = kinds.entry(format!("{pod:?}")).or_insert_with(|| Expected {
            pod: pod.clone(),
            count: 0,
        });
        kind.count += 1;
    }
    kinds.into_values().collect()
}

/// A random order of the list, and beyond its end pods drawn from it, until the last mark has been asked for.
fn order(capacity: u64, pods: usize, seed: u64, gpu: impl Fn(usize) -> u64) -> Result<Vec<usize>, Failure> {
    if capacity == 0 || (0..pods).all(|pod| gpu(pod) == 0) {
        return Err("ask for GPUs: neither nodes nor pods may be without any".into());
    }
    let mut dice = Dice(seed);
    let mut order: Vec<usize> = (0..pods).collect();
    for last in (1..pods).rev() {
        order.swap(last, dice.below(last + 1));
    }
    let target = MARKS[MARKS.len() - 1] * capacity;
    let mut asked = 0;
    let enough = |pod: &usize| {
        asked += gpu(*pod) * 100;
        asked >= target
    };
    if let Some(last) = order.iter().position(enough) {
        order.truncate(last + 1);
    }
    while asked < target {
        let pod = dice.below(pods);
        asked += gpu(pod) * 100;
        order.push(pod);
    }
    Ok(order)
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
