//! A cheaper fleet: nodes whose workloads fit elsewhere are drained and given back.
//!
//! Candidates are ordered by what giving them back leaves per move; receivers stand in the opposite order, so that the
//! nodes that are least worth draining fill up first. A node that received is not drained in the same round. Rounds
//! follow until one finds nothing; every round depends on the board alone.

use std::collections::BTreeMap;

use super::answer::{Refusal, Rule};
use super::book::Book;
use super::describe::Offer;
use super::index::Index;
use super::plan::{nothing_to_move, over_horizon};
use super::replace;
use super::report::{Account, Draft, Release};
use super::rooms::Rooms;
use super::settings::Settings;
use crate::effort::Effort;
use crate::formulas::{CostBenefit, as_f64, wide};
use crate::rebalance::engine::{Board, Hop, Terms, direct};

/// Up to so many candidates every set of them is tried.
const SETS_MAX: usize = 8;

/// Receivers with room that are tried for a workload before it counts as stuck.
const TRIES_MAX: usize = 512;

/// A node as part of a fleet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    /// Its price over the horizon.
    pub(super) saving: f64,
    pub(super) drain_cost: f64,
    /// Whether it may be given back.
    pub(super) may_go: bool,
    /// Whether it is no part of the fleet (any more, or yet).
    pub(super) gone: bool,
    /// Whether it receives while it is part of the fleet.
    pub(super) ready: bool,
}

/// What is being decided.
#[derive(Clone)]
pub(super) struct Consolidation<'a> {
    pub(super) board: Board<Book<'a>>,
    pub(super) terms: Terms,
    pub(super) assets: Vec<Asset>,
    /// Nodes that were there from the beginning.
    original: usize,
    pub(super) hops: Vec<Hop>,
    pub(super) added: Vec<&'a Offer>,
    pub(super) more: bool,
    /// Workloads that fit nowhere, by the rule.
    rejected: BTreeMap<Rule, u32>,
}

/// A set of nodes to be emptied.
struct Candidate {
    nodes: Vec<usize>,
    net: f64,
    moves: usize,
}

impl Candidate {
    fn per_move(&self) -> f64 {
        self.net / as_f64(self.moves.max(1))
    }
}

pub(super) fn draft<'a>(
    index: &Index<'a>,
    start: &Board<Book<'a>>,
    settings: &Settings,
    offers: &'a [Offer],
    effort: &mut Effort<'_>,
) -> Draft<'a> {
    if index.nodes.is_empty() {
        return Draft::refused(Refusal::NothingToMove);
    }
    let mut now = Consolidation::new(index, start, settings);
    loop {
        let before = now.mark();
        now.more = false;
        now.round();
        if now.mark() == before {
            replace::round(&mut now, settings, offers);
        }
        if now.mark() == before {
            break;
        }
        now.straighten(start);
        effort.spend(1);
        if !effort.within(1.0) {
            now.more = true;
            break;
        }
    }
    now.draft(start)
}

impl<'a> Consolidation<'a> {
    fn new(index: &Index<'a>, start: &Board<Book<'a>>, settings: &Settings) -> Self {
        let asset = |node: &&super::describe::Node| Asset {
            saving: over_horizon(settings, node.price),
            drain_cost: node.drain_cost.as_usd() * 1e6,
            may_go: !node.keep,
            gone: false,
            ready: node.ready,
        };
        Self {
            board: start.clone(),
            terms: super::plan::terms(settings, skyloom_core::MicroUsdPerHour::ZERO),
            assets: index.nodes.iter().map(asset).collect(),
            original: index.nodes.len(),
            hops: Vec::new(),
            added: Vec::new(),
            more: false,
            rejected: BTreeMap::new(),
        }
    }

    /// Changes with everything that is decided.
    fn mark(&self) -> (usize, usize) {
        let gone = self.assets[..self.original].iter().filter(|a| a.gone).count();
        (self.hops.len(), gone)
    }

    /// Moves that are left.
    pub(super) fn left(&self) -> usize {
        self.terms.moves_max.saturating_sub(self.hops.len())
    }

    /// Whether a machine is no part of the fleet and no move has to do with it.
    pub(super) fn is_spare(&self, node: usize) -> bool {
        self.assets[node].gone && !self.hops.iter().any(|h| h.to == node)
    }

    /// What it takes and leaves to empty a node; `None` when it may not go, or is not worth it.
    fn candidate(&self, node: usize) -> Option<Candidate> {
        let asset = self.assets[node];
        let residents = &self.board.residents[node];
        let stays = asset.gone || !asset.may_go || residents.iter().any(|w| !self.board.movable[*w]);
        let net = asset.saving - self.terms.threshold * self.cost_of(node);
        (!stays && asset.saving >= 1.0 && net >= 0.0).then(|| Candidate {
            nodes: vec![node],
            net,
            moves: residents.len(),
        })
    }

    /// What emptying a node costs.
    pub(super) fn cost_of(&self, node: usize) -> f64 {
        let moves = self.board.residents[node]
            .iter()
            .map(|w| self.board.rules.move_cost(*w));
        moves.fold(self.assets[node].drain_cost, |sum, cost| sum + cost)
    }

    /// Empties what can be emptied.
    fn round(&mut self) {
        for node in 0..self.assets.len() {
            let idle = self.board.residents[node].is_empty() && self.candidate(node).is_some();
            if idle {
                self.assets[node].gone = true;
                self.board.rules.set_ready(node, false);
            }
        }
        let mut candidates: Vec<Candidate> = (0..self.assets.len()).filter_map(|n| self.candidate(n)).collect();
        // The sort is stable: ties stay in the order of the nodes.
        candidates.sort_by(|a, b| b.per_move().total_cmp(&a.per_move()));
        let order: Vec<usize> = candidates.iter().flat_map(|c| c.nodes.clone()).collect();
        let mut rooms = self.rooms(&order);
        if candidates.len() <= SETS_MAX {
            candidates = sets(&candidates);
        }
        let mut locked = vec![false; self.assets.len()];
        for candidate in candidates {
            let again = candidate.nodes.iter().any(|n| locked[*n] || self.assets[*n].gone);
            if !again && let Some(hops) = self.empty(&candidate.nodes, &mut rooms) {
                hops.iter().for_each(|hop| locked[hop.to] = true);
                self.hops.extend(hops);
            }
            if self.more && self.left() == 0 {
                return;
            }
        }
    }

    /// Receivers: first what stays, then the candidates, the least worth emptying first.
    fn rooms(&self, candidates: &[usize]) -> Rooms {
        let mut place = vec![0; self.assets.len()];
        candidates
            .iter()
            .zip(1..)
            .for_each(|(node, number)| place[*node] = number);
        let mut order: Vec<usize> = (0..self.assets.len())
            .filter(|n| self.assets[*n].ready && !self.assets[*n].gone)
            .collect();
        order.sort_by_key(|n| {
            if place[*n] == 0 {
                (0, *n)
            } else {
                (1, usize::MAX - place[*n])
            }
        });
        let rules = &self.board.rules;
        Rooms::new(rules.dims(), self.assets.len(), order, |n, d| rules.free(n, d))
    }

    /// Empties nodes together; takes everything back when a workload fits nowhere or moves do not suffice.
    fn empty(&mut self, nodes: &[usize], rooms: &mut Rooms) -> Option<Vec<Hop>> {
        for node in nodes {
            self.board.rules.set_ready(*node, false);
            rooms.set(*node, |_| 0);
        }
        let mut hops = Vec::new();
        let fits = self.largest_first(nodes).into_iter().all(|workload| {
            let to = self.receiver(workload, rooms);
            hops.extend(to.map(|to| self.hop(workload, to, rooms)));
            to.is_some()
        });
        let too_many = fits && hops.len() > self.left();
        self.more |= too_many;
        if fits && !too_many {
            nodes.iter().for_each(|node| self.assets[*node].gone = true);
            return Some(hops);
        }
        for hop in hops.iter().rev() {
            self.hop(hop.workload, hop.from, rooms);
        }
        for node in nodes {
            self.board.rules.set_ready(*node, self.assets[*node].ready);
            let rules = &self.board.rules;
            rooms.set(*node, |d| rules.free(*node, d));
        }
        None
    }

    fn hop(&mut self, workload: usize, to: usize, rooms: &mut Rooms) -> Hop {
        let hop = self.board.shift(workload, to);
        let rules = &self.board.rules;
        rooms.set(hop.to, |d| rules.free(hop.to, d));
        hop
    }

    /// Workloads of nodes, those that ask for the largest part of their node first.
    pub(super) fn largest_first(&self, nodes: &[usize]) -> Vec<usize> {
        let mut list: Vec<(f64, usize)> = Vec::new();
        for node in nodes {
            let capacity = self.board.rules.capacity(*node);
            for workload in &self.board.residents[*node] {
                let shares = self.board.rules.request(*workload).iter().zip(capacity);
                let share = shares
                    .map(|(asks, has)| wide(*asks) / wide((*has).max(1)))
                    .fold(0.0, f64::max);
                list.push((share, *workload));
            }
        }
        list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        list.into_iter().map(|(_, workload)| workload).collect()
    }

    /// The first node that may take a workload.
    fn receiver(&mut self, workload: usize, rooms: &Rooms) -> Option<usize> {
        let mut from = 0;
        let mut rule = Rule::Room;
        for _ in 0..TRIES_MAX {
            let Some((node, place)) = rooms.next(from, self.board.rules.request(workload)) else {
                break;
            };
            match self.board.forbidden(workload, node, &self.terms) {
                _ if node == self.board.at[workload] => {}
                None => return Some(node),
                Some(forbids) => rule = forbids,
            }
            from = place + 1;
        }
        *self.rejected.entry(rule).or_insert(0) += 1;
        None
    }

    /// Cuts detours out: a node that received in one round may be emptied in a later one.
    fn straighten(&mut self, start: &Board<Book<'a>>) {
        let start = self.with_added(start);
        self.hops = direct(&start, &self.hops, &self.terms);
    }

    fn with_added(&self, start: &Board<Book<'a>>) -> Board<Book<'a>> {
        let mut start = start.clone();
        for offer in &self.added {
            start.rules.add_node(offer);
            start.add_node(&offer.capacity);
        }
        start
    }

    fn draft(mut self, start: &Board<Book<'a>>) -> Draft<'a> {
        let used = |node: usize| self.hops.iter().any(|h| h.to == node);
        let gone = (0..self.assets.len()).filter(|n| self.assets[*n].gone && (*n < self.original || used(*n)));
        let released: Vec<Release> = gone
            .map(|node| Release {
                node,
                saving: self.assets[node].saving,
                cost: self.assets[node].drain_cost,
            })
            .collect();
        let refusal = released.is_empty().then(|| self.refusal(start));
        Draft {
            hops: std::mem::take(&mut self.hops),
            account: Account::Nodes,
            released,
            added: self.added,
            more: self.more,
            exhaustive: false,
            refusal,
        }
    }

    fn refusal(&self, start: &Board<Book<'a>>) -> Refusal {
        let ratio = |node: usize| {
            let asset = self.assets[node];
            let movable = start.residents[node].iter().all(|w| start.movable[*w]);
            (asset.may_go && movable && asset.saving >= 1.0).then(|| self.cost_of(node) / asset.saving)
        };
        if self.more {
            return Refusal::TooManyMoves {
                moves_max: u32::try_from(self.terms.moves_max).unwrap_or(u32::MAX),
            };
        }
        if !self.rejected.is_empty() {
            return Refusal::Forbidden {
                rejected: self.rejected.clone(),
            };
        }
        match (0..self.original).filter_map(ratio).min_by(f64::total_cmp) {
            Some(best) => Refusal::NotWorthIt {
                best: CostBenefit::Ratio(best),
                threshold: self.terms.threshold,
            },
            None => nothing_to_move(start).unwrap_or_else(|| Refusal::NothingToGain { rms: start.loads.rms() }),
        }
    }
}

/// Every set of a few candidates, the one that leaves most first.
fn sets(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut sets: Vec<Candidate> = (1usize..1 << candidates.len())
        .map(|mask| {
            let chosen = candidates.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
            chosen.fold(
                Candidate {
                    nodes: Vec::new(),
                    net: 0.0,
                    moves: 0,
                },
                |mut set, (_, one)| {
                    set.nodes.extend(&one.nodes);
                    set.net += one.net;
                    set.moves += one.moves;
                    set
                },
            )
        })
        .collect();
    sets.sort_by(|a, b| b.net.total_cmp(&a.net));
    sets
}
