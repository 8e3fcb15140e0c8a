//! Small clusters against everything that can be reached: breadth first, by plain counting, in code of its own.

use std::collections::BTreeSet;

use skyloom_core::MicroUsd;
use skyloom_scheduler::cluster::*;

use crate::random_cluster::*;
use crate::random_world::Dice;

/// Small numbers: exact.
fn real(amount: u64) -> f64 {
    f64::from(u32::try_from(amount).unwrap())
}

/// The cluster in the plainest form: for each workload the nodes it may be on, and who may not meet whom.
struct Plain<'c> {
    cluster: &'c Cluster,
    may: Vec<Vec<bool>>,
    apart: Vec<Vec<bool>>,
}

impl<'c> Plain<'c> {
    fn new(cluster: &'c Cluster) -> Self {
        let may = |w: &Workload, n: &Node| {
            n.ready
                && w.nodes.as_ref().is_none_or(|set| set.contains(&n.id))
                && w.labels.iter().all(|(k, v)| n.labels.get(k) == Some(v))
                && n.taints.iter().all(|t| w.tolerates.contains(t))
        };
        let meets = |a: &Workload, b: &Workload| a.apart_from.intersection(&b.groups).next().is_some();
        let all = &cluster.workloads;
        Self {
            cluster,
            may: all
                .iter()
                .map(|w| cluster.nodes.iter().map(|n| may(w, n)).collect())
                .collect(),
            apart: all
                .iter()
                .map(|a| all.iter().map(|b| meets(a, b) || meets(b, a)).collect())
                .collect(),
        }
    }

    fn start(&self) -> Vec<usize> {
        let place = |w: &Workload| self.cluster.nodes.iter().position(|n| n.id == w.node).unwrap();
        self.cluster.workloads.iter().map(place).collect()
    }

    fn sum(&self, at: &[usize], node: usize, d: usize, used: bool) -> u64 {
        let amount = |w: &Workload| {
            if used {
                w.used.as_ref().unwrap_or(&w.request)[d]
            } else {
                w.request[d]
            }
        };
        let on = at.iter().zip(&self.cluster.workloads).filter(|(n, _)| **n == node);
        on.map(|(_, w)| amount(w)).sum()
    }

    fn level(&self, at: &[usize], node: usize) -> f64 {
        let of = &self.cluster.nodes[node];
        let other = |d: usize| of.other_use.get(d).copied().unwrap_or(0);
        (0..2)
            .map(|d| real(self.sum(at, node, d, true) + other(d)) / real(of.capacity[d]))
            .fold(0.0, f64::max)
    }

    fn rms(&self, at: &[usize]) -> f64 {
        let ready = (0..self.cluster.nodes.len()).filter(|n| self.cluster.nodes[*n].ready);
        let u: Vec<f64> = ready.map(|n| self.level(at, n).min(1.0)).collect();
        let count = real(u.len() as u64);
        let mean = u.iter().sum::<f64>() / count;
        if u.is_empty() {
            return 0.0;
        }
        let squares: f64 = u
            .iter()
            .filter(|u| **u + mean > 0.0)
            .map(|u| ((u - mean) / (u + mean)).powi(2))
            .sum();
        (squares / count).sqrt()
    }

    /// Members per domain of a spread: those of domains that count for the least, and all.
    fn spread(&self, at: &[usize], rule: &Spread) -> (Vec<(String, u32)>, u32) {
        let domain = |n: usize| match rule.over.as_str() {
            "node" => self.cluster.nodes[n].id.to_string(),
            level => self.cluster.nodes[n].domains[level].clone(),
        };
        let members: Vec<usize> = (0..at.len())
            .filter(|w| self.cluster.workloads[*w].groups.contains(&rule.group))
            .collect();
        let names: BTreeSet<String> = (0..self.cluster.nodes.len()).map(domain).collect();
        let count = |name: &String| {
            let there = members.iter().filter(|w| domain(at[**w]) == *name);
            u32::try_from(there.count()).unwrap()
        };
        let open = |name: &String| {
            (0..self.cluster.nodes.len()).any(|n| domain(n) == *name && members.iter().any(|w| self.may[*w][n]))
        };
        let least = names.iter().filter(|n| open(n)).map(count).min().unwrap_or(0);
        (names.iter().map(|n| (n.clone(), count(n))).collect(), least)
    }

    fn allowed(&self, at: &[usize], workload: usize, to: usize) -> bool {
        let what = &self.cluster.workloads[workload];
        let mut after = at.to_vec();
        after[workload] = to;
        let node = &self.cluster.nodes[to];
        let fits = (0..2).all(|d| self.sum(&after, to, d, false) <= node.capacity[d]);
        let meets = (0..at.len()).any(|other| other != workload && at[other] == to && self.apart[workload][other]);
        let even = self
            .cluster
            .spread
            .iter()
            .filter(|r| what.groups.contains(&r.group))
            .all(|rule| {
                let ((before, least_before), (then, least)) = (self.spread(at, rule), self.spread(&after, rule));
                let most = |counts: &[(String, u32)]| counts.iter().map(|(_, n)| *n).max().unwrap();
                let (skew_before, skew) = (
                    most(&before).saturating_sub(least_before),
                    most(&then).saturating_sub(least),
                );
                let name = if rule.over == "node" {
                    node.id.to_string()
                } else {
                    node.domains[&rule.over].clone()
                };
                let here = then.iter().find(|(n, _)| *n == name).unwrap().1;
                let same = before == then;
                same || here.saturating_sub(least) <= rule.max_skew && skew <= rule.max_skew.max(skew_before)
            });
        !what.pinned && self.may[workload][to] && fits && !meets && even && self.level(&after, to) <= 1.0 + 1e-9
    }

    /// Every assignment within that many allowed moves, with the fewest moves it takes.
    fn reachable(&self, moves_max: usize) -> Vec<(Vec<usize>, usize)> {
        let mut seen = BTreeSet::from([self.start()]);
        let mut all = vec![(self.start(), 0)];
        let mut first = 0;
        for depth in 1..=moves_max {
            let last = all.len();
            for index in first..last {
                let at = all[index].0.clone();
                for workload in 0..at.len() {
                    for to in (0..self.cluster.nodes.len()).filter(|n| *n != at[workload]) {
                        let mut after = at.clone();
                        after[workload] = to;
                        if !seen.contains(&after) && self.allowed(&at, workload, to) {
                            seen.insert(after.clone());
                            all.push((after, depth));
                        }
                    }
                }
            }
            first = last;
        }
        all
    }
}

fn small(seed: u64) -> (Cluster, u32) {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let (nodes, workloads, moves) = (2 + dice.roll(3), 3 + dice.roll(5), 1 + dice.roll(3));
    (
        cluster(seed, nodes, workloads, !seed.is_multiple_of(3)),
        u32::try_from(moves).unwrap(),
    )
}

#[test]
fn the_root_mean_square_is_within_a_twentieth_of_the_best_within_reach() {
    let (mut improved, mut equal) = (0, 0);
    for seed in 0..1000 {
        let (cluster, moves) = small(seed);
        let plain = Plain::new(&cluster);
        let reach = plain.reachable(usize::try_from(moves).unwrap());
        let best = reach.iter().map(|(at, _)| plain.rms(at)).fold(f64::MAX, f64::min);
        let mut settings = settings(balance(), moves);
        settings.move_cost = MicroUsd::ZERO;
        let mut free = cluster.clone();
        free.workloads.iter_mut().for_each(|w| w.move_cost = None);
        let plan = plan(&free, &settings).unwrap();
        assert_eq!(check(&free, &settings, &plan), [], "seed {seed}");
        let found = plan.imbalance_after.rms;
        // A millionth of a dollar is the least that counts, which a fall of 1e-7 is not worth.
        assert!(found <= best * 1.05 + 1e-7, "seed {seed}: {found} instead of {best}");
        assert!(
            found >= best - 1e-9,
            "seed {seed}: {found} is better than what can be reached, {best}"
        );
        improved += u32::from(!plan.moves.is_empty());
        equal += u32::from(found <= best + 1e-7);
    }
    // The cases say something: most have something to gain.
    assert!(improved > 600, "{improved}");
    assert!(equal == 1000, "{equal}");
}

#[test]
fn with_costs_no_reachable_assignment_leaves_more() {
    for seed in 0..300 {
        let (mut cluster, moves) = small(seed);
        // One cost for all: then what an assignment costs is how many moves it takes.
        cluster.workloads.iter_mut().for_each(|w| w.move_cost = None);
        let plain = Plain::new(&cluster);
        let mut settings = settings(balance(), moves).with_threshold(1.5);
        settings.move_cost = MicroUsd::from_micros(i64::try_from(seed * 4000).unwrap());
        let before = plain.rms(&plain.start());
        let net = |rms: f64, moves: usize| {
            24e6 * (before - rms) - 1.5 * settings.move_cost.as_usd() * 1e6 * real(moves as u64)
        };
        let reach = plain.reachable(usize::try_from(moves).unwrap());
        let best = reach
            .iter()
            .map(|(at, moves)| net(plain.rms(at), *moves))
            .fold(0.0, f64::max);
        let plan = plan(&cluster, &settings).unwrap();
        let found = net(plan.imbalance_after.rms, plan.moves.len());
        assert!((found - best).abs() <= 2.0, "seed {seed}: {found} instead of {best}");
    }
}
