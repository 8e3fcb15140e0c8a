//! From moves between numbers to a plan: what each saves, why, and what the next best would have given.

use std::collections::BTreeMap;

use skyloom_core::{MachineId, MicroUsd, MicroUsdPerHour, Ratio};

use super::answer::{Bought, GivenBack, Move, NextBest, Plan, Refusal, Step, Why};
use super::book::Book;
use super::describe::{Offer, WorkloadId};
use super::index::Index;
use super::neighbours::Noise;
use super::settings::Settings;
use crate::formulas::{CostBenefit, Imbalance, cost_benefit};
use crate::rebalance::engine::{Board, Hop, Run, Terms, fall, runs};

/// Other receivers that are weighed for the next best.
const OTHERS: usize = 16;

/// Moves after which sums of many changes are taken anew.
const REFRESH_EVERY: usize = 64;

/// A node that is emptied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Release {
    pub(super) node: usize,
    /// Over the horizon, in micro-USD.
    pub(super) saving: f64,
    pub(super) cost: f64,
}

/// How moves are accounted for.
#[derive(Debug, Clone, Default)]
pub(super) enum Account {
    /// By the fall of the root mean square, worth this over the horizon.
    Evenness { value: f64 },
    /// By the nodes given back and bought.
    #[default]
    Nodes,
    /// By the slow-downs that end.
    Noise(Noise),
}

/// What a search for one of the goals found.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft<'a> {
    pub(super) hops: Vec<Hop>,
    pub(super) account: Account,
    pub(super) released: Vec<Release>,
    /// Offers of the nodes that the search added to its board, in their order; some may be unused.
    pub(super) added: Vec<&'a Offer>,
    pub(super) more: bool,
    pub(super) exhaustive: bool,
    pub(super) refusal: Option<Refusal>,
}

/// One move as it is made.
struct Made {
    hop: Hop,
    saving: f64,
    cost: f64,
    rms: [f64; 2],
    why: Why,
    /// Node, saving and root mean square of the second best receiver.
    next: Option<(usize, Option<f64>, f64)>,
    empties: bool,
    buys: bool,
}

/// Makes the moves on `board`, where nothing has moved yet, and writes down what they do.
pub(super) fn write<'a>(index: &Index<'a>, settings: &Settings, board: Board<Book<'a>>, draft: Draft<'a>) -> Plan {
    let mut scribe = Scribe::new(index, settings, board, &draft);
    let imbalance_before = scribe.imbalance();
    let idle = scribe.release_idle();
    let made: Vec<Made> = draft
        .hops
        .iter()
        .enumerate()
        .map(|(number, hop)| scribe.make(number, *hop))
        .collect();
    scribe.board.loads.refresh();
    let amounts: Vec<(f64, f64)> = made.iter().map(|m| (m.saving, m.cost)).collect();
    let runs = runs(&amounts, settings.threshold);
    let steps = steps(&runs);
    let moves = scribe.moves(&made, &runs, &steps);
    let (mut given_back, bought) = (scribe.given_back(&made, &moves), scribe.bought(&made));
    given_back.splice(0..0, idle.iter().map(|r| scribe.release(r.node, None)));
    let of_steps =
        |amount: fn(&Step) -> MicroUsd| steps.iter().map(|s| i128::from(amount(s).as_micros())).sum::<i128>();
    let saving = narrow(of_steps(|s| s.saving) + idle.iter().map(|r| whole(r.saving)).sum::<i128>());
    let cost = narrow(of_steps(|s| s.cost) + idle.iter().map(|r| whole(r.cost)).sum::<i128>());
    let price_before = total(index.nodes.iter().map(|n| n.price));
    let (freed, spent) = (
        total(given_back.iter().map(|g| g.price)),
        total(bought.iter().map(|b| b.price)),
    );
    let price_after = price_before.as_micros() - freed.as_micros();
    let acts = !moves.is_empty() || !given_back.is_empty();
    Plan {
        imbalance_before,
        imbalance_after: scribe.imbalance(),
        price_before,
        price_after: MicroUsdPerHour::from_micros(price_after.saturating_add(spent.as_micros())),
        ce: acts.then(|| cost_benefit(cost, saving).unwrap_or(CostBenefit::NoBenefit)),
        saving,
        cost,
        moves,
        steps,
        given_back,
        bought,
        slowed_after: scribe.slowed_after(),
        more: draft.more,
        exhaustive: draft.exhaustive,
        refusal: draft.refusal,
    }
}

struct Scribe<'d, 'a> {
    index: &'d Index<'a>,
    settings: &'d Settings,
    board: Board<Book<'a>>,
    account: Account,
    released: BTreeMap<usize, Release>,
    added: &'d [&'a Offer],
    /// Names of added nodes that were used, by their number on the board.
    used: BTreeMap<usize, MachineId>,
    terms: Terms,
}

impl<'d, 'a> Scribe<'d, 'a> {
    fn new(index: &'d Index<'a>, settings: &'d Settings, mut board: Board<Book<'a>>, draft: &'d Draft<'a>) -> Self {
        for offer in &draft.added {
            board.rules.add_node(offer);
            board.add_node(&offer.capacity);
        }
        for release in &draft.released {
            board.rules.set_ready(release.node, false);
        }
        let value = match draft.account {
            Account::Evenness { value } => value,
            Account::Nodes | Account::Noise(_) => 0.0,
        };
        Self {
            index,
            settings,
            board,
            account: draft.account.clone(),
            released: draft.released.iter().map(|r| (r.node, *r)).collect(),
            added: &draft.added,
            used: BTreeMap::new(),
            terms: Terms {
                value,
                threshold: settings.threshold,
                moves_max: draft.hops.len(),
                target: None,
                together: false,
                ceiling: settings.ceiling,
                least: 1.0,
            },
        }
    }

    /// Gives back what is empty before the first move.
    fn release_idle(&mut self) -> Vec<Release> {
        let idle = self
            .released
            .values()
            .filter(|r| self.board.residents[r.node].is_empty());
        let idle: Vec<Release> = idle.copied().collect();
        idle.iter().for_each(|r| self.board.leave(r.node));
        idle
    }

    fn make(&mut self, number: usize, hop: Hop) -> Made {
        if number.is_multiple_of(REFRESH_EVERY) {
            self.board.loads.refresh();
        }
        let buys = self.buy(hop.to);
        let before = self.board.loads.rms();
        let next = self.next_best(hop, before);
        let levels = |board: &Board<Book<'_>>| [board.loads.level(hop.from), board.loads.level(hop.to)];
        let (was, cost) = (levels(&self.board), self.board.rules.move_cost(hop.workload));
        let noise = match &mut self.account {
            Account::Noise(noise) => Some(noise.moved(&self.board, hop)),
            Account::Evenness { .. } | Account::Nodes => None,
        };
        self.board.shift(hop.workload, hop.to);
        let now = levels(&self.board);
        let release = self.released.get(&hop.from).copied();
        let release = release.filter(|_| self.board.residents[hop.from].is_empty());
        if release.is_some() {
            self.board.leave(hop.from);
        }
        let after = self.board.loads.rms();
        let evens = Why::Evens {
            giver: [was[0], now[0]],
            receiver: [was[1], now[1]],
        };
        let (saving, why) = match (&self.account, noise) {
            (_, Some(noise)) => noise,
            (Account::Evenness { value }, None) => (*value * fall(before, after), evens),
            (Account::Nodes | Account::Noise(_), None) => {
                let price = self
                    .released
                    .get(&hop.from)
                    .map(|_| self.index.nodes.get(hop.from).map(|n| n.price));
                let why = price.flatten().map_or(evens, |price| Why::Drains { price });
                (release.map_or(0.0, |r| r.saving) - buys.map_or(0.0, |price| price), why)
            }
        };
        Made {
            hop,
            saving,
            cost: cost + release.map_or(0.0, |r| r.cost),
            rms: [before, after],
            why,
            next,
            empties: release.is_some(),
            buys: buys.is_some(),
        }
    }

    /// Buys a node when it is needed first; its price over the horizon.
    fn buy(&mut self, node: usize) -> Option<f64> {
        let offer = node.checked_sub(self.index.nodes.len()).map(|i| self.added[i])?;
        if self.used.contains_key(&node) {
            return None;
        }
        let id = self.fresh_name();
        self.used.insert(node, id);
        self.board.enter(node);
        Some(super::plan::over_horizon(self.settings, offer.price))
    }

    fn fresh_name(&self) -> MachineId {
        let mut number = self.used.len() + 1;
        loop {
            let id = MachineId::new(format!("new-{number}")).expect("invariant: letters, a dash and digits are a name");
            if self.index.node(&id).is_none() && !self.used.values().any(|used| *used == id) {
                return id;
            }
            number += 1;
        }
    }

    /// The receiver that would have been second: of the least used that may take it, the one that leaves most evenness.
    fn next_best(&mut self, hop: Hop, rms: f64) -> Option<(usize, Option<f64>, f64)> {
        let others: Vec<usize> = self
            .board
            .least_used()
            .filter(|n| *n != hop.to && *n != hop.from)
            .take(OTHERS)
            .collect();
        let mut best: Option<(usize, Option<f64>, f64)> = None;
        let leaving = self.board.leaving(hop.workload);
        for to in others {
            let Some(gain) = self.board.gain_from(&leaving, hop.workload, to, rms, &self.terms) else {
                continue;
            };
            let better = best.is_none_or(|(_, _, rms)| gain.rms_after < rms);
            if better && self.board.forbidden(hop.workload, to, &self.terms).is_none() {
                let saving = matches!(self.account, Account::Evenness { .. }).then_some(gain.saving);
                best = Some((to, saving, gain.rms_after));
            }
        }
        best
    }

    fn imbalance(&self) -> Imbalance {
        let levels = self.board.loads.levels();
        let ratios: Vec<Ratio> = levels.iter().map(|u| Ratio::new(*u).unwrap_or(Ratio::ONE)).collect();
        Imbalance::of(&ratios, self.settings.mean).unwrap_or(Imbalance {
            max_abs: 0.0,
            rms: 0.0,
            cv: 0.0,
            jain: 1.0,
        })
    }

    fn slowed_after(&self) -> BTreeMap<WorkloadId, f64> {
        let Account::Noise(noise) = &self.account else {
            return BTreeMap::new();
        };
        let changed = self.index.workloads.iter().zip(noise.slowed(&self.board));
        let changed = changed.filter_map(|(w, now)| {
            now.filter(|now| w.slowed.is_some_and(|s| (s - now).abs() > 0.0))
                .map(|now| (w.id.clone(), now))
        });
        changed.collect()
    }

    fn id(&self, node: usize) -> MachineId {
        let there = self.index.nodes.get(node).map(|n| &n.id);
        there
            .or_else(|| self.used.get(&node))
            .cloned()
            .expect("invariant: a move is to a node that is there or bought")
    }

    fn moves(&self, made: &[Made], runs: &[Run], steps: &[Step]) -> Vec<Move> {
        let mut moves = Vec::with_capacity(made.len());
        for ((number, run), step) in runs.iter().enumerate().zip(steps) {
            let made = &made[run.hops.clone()];
            let costs: Vec<i128> = made.iter().map(|m| whole(m.cost)).collect();
            for (made, saving) in made.iter().zip(share(step.saving, &costs)) {
                let next_best = made.next.map(|(node, alone, rms_after)| NextBest {
                    node: self.id(node),
                    saving: alone.map_or(saving, |alone| narrow(whole(alone))),
                    rms_after,
                });
                moves.push(Move {
                    workload: self.index.workloads[made.hop.workload].id.clone(),
                    from: self.id(made.hop.from),
                    to: self.id(made.hop.to),
                    cost: narrow(whole(made.cost)),
                    saving,
                    step: number,
                    rms_before: made.rms[0],
                    rms_after: made.rms[1],
                    why: made.why.clone(),
                    next_best,
                });
            }
        }
        moves
    }

    fn release(&self, node: usize, step: Option<usize>) -> GivenBack {
        GivenBack {
            node: self.id(node),
            price: self.price(node),
            step,
        }
    }

    fn price(&self, node: usize) -> MicroUsdPerHour {
        let there = self.index.nodes.get(node).map(|n| n.price);
        there.unwrap_or_else(|| self.added[node - self.index.nodes.len()].price)
    }

    fn given_back(&self, made: &[Made], moves: &[Move]) -> Vec<GivenBack> {
        let emptied = made.iter().zip(moves).filter(|(made, _)| made.empties);
        emptied
            .map(|(made, step)| self.release(made.hop.from, Some(step.step)))
            .collect()
    }

    fn bought(&self, made: &[Made]) -> Vec<Bought> {
        let buys = made.iter().filter(|m| m.buys).map(|m| m.hop.to);
        buys.map(|node| Bought {
            node: self.id(node),
            offer: self.added[node - self.index.nodes.len()].id.clone(),
            price: self.price(node),
        })
        .collect()
    }
}

/// Amounts of the runs in money; savings are rounded down together, so that no cent is counted twice.
fn steps(runs: &[Run]) -> Vec<Step> {
    let (mut sum, mut told) = (0.0, 0);
    let mut steps = Vec::with_capacity(runs.len());
    for run in runs {
        sum += run.saving;
        let saving = narrow(whole(sum) - told);
        told = whole(sum);
        let cost = narrow(whole(run.cost));
        steps.push(Step {
            moves: run.hops.len(),
            saving,
            cost,
            ce: cost_benefit(cost, saving).unwrap_or(CostBenefit::NoBenefit),
        });
    }
    steps
}

/// A total in parts as these weights are to each other, evenly when all are 0; the parts sum to it.
fn share(total: MicroUsd, weights: &[i128]) -> Vec<MicroUsd> {
    let sum: i128 = weights.iter().sum();
    let (mut before, mut told) = (0i128, 0i128);
    let one = i128::from(sum == 0);
    let sum = if sum == 0 {
        i128::try_from(weights.len()).unwrap_or(1)
    } else {
        sum
    };
    let mut parts = Vec::with_capacity(weights.len());
    for weight in weights {
        before += weight + one;
        let upto = i128::from(total.as_micros()) * before / sum;
        parts.push(narrow(upto - told));
        told = upto;
    }
    parts
}

fn total(prices: impl Iterator<Item = MicroUsdPerHour>) -> MicroUsdPerHour {
    MicroUsdPerHour::from_micros(prices.fold(0i64, |sum, price| sum.saturating_add(price.as_micros())))
}

/// Micro-USD rounded down, but for the noise of sums.
#[expect(
    clippy::cast_possible_truncation,
    reason = "bounded to what an amount of money can be"
)]
fn whole(micros: f64) -> i128 {
    (micros + 1e-6).clamp(-9e18, 9e18).floor() as i128
}

fn narrow(micros: i128) -> MicroUsd {
    MicroUsd::from_micros(i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX }))
}
