//! A manifest's machines and replicas as the search sees them, under the same rules as a placement.
//!
//! The search is `engine`'s; here replicas and machines become numbers, a move is priced (machines that are given back,
//! egress, transfer of the disk), and what was found is written down. Replicas move one at a time: rules between
//! services make what two moves save together more than the sum of what each saves.

use std::time::Duration;

use skyloom_core::catalogue::EgressTarget;
use skyloom_core::{Dimension, Filter, MachineId, MicroUsd, Ratio};

use super::engine::{Board, Gain, Hop, Loads, Rules, Terms, obstacles, search};
use super::types::{Move, Rebalance, RebalanceConfig, RebalanceError, RebalanceInput, Refusal};
use crate::effort::Effort;
use crate::formulas::{CostBenefit, Imbalance, Mean, cost_benefit, wide};
use crate::model::Model;
use crate::place::keep;
use crate::problem::PlaceConfig;
use crate::rules::{View, all_hold};
use crate::state::State;

/// Units of work of one search; each move earns something, so that it ends by itself long before.
const UNITS_MAX: u64 = 100_000_000;

/// Decides which replicas to move between the machines that are there.
///
/// Takes, one after the other, the move that earns most (saving over the horizon less its cost), as long as its `CE`
/// (formula 3 of `docs/fidelity.md`) is at most `ce_max` and every hard rule holds, up to `moves_max`. A saving is money
/// (machines that are given back, egress) and balance (fall of the root mean square of `LB_i`, formula 2, times
/// `balance_value`). A plan of fewer than `moves_max` moves leaves nothing worth doing: a second run on its result
/// refuses. Cost: steps × replicas × machines. Plain clusters of any size are [`crate::cluster`]'s.
///
/// # Errors
/// [`RebalanceError::Problem`] when the problem contradicts itself, [`RebalanceError::NotANumber`] for a configuration
/// that holds NaN, infinity or a negative amount.
pub fn rebalance(input: &RebalanceInput<'_>, config: &RebalanceConfig) -> Result<Rebalance, RebalanceError> {
    for (value, what) in [
        (config.ce_max, "largest cost-benefit"),
        (config.move_cost.as_usd(), "cost of a move"),
        (config.balance_value.as_usd(), "value of balance"),
    ] {
        if !value.is_finite() || value < 0.0 {
            return Err(RebalanceError::NotANumber { value, what });
        }
    }
    let bounds = PlaceConfig::new().with_replicas_max(u32::MAX);
    let model = Model::build(&input.problem, &bounds)?;
    let (state, running) = keep(&model);
    let world = World::new(&model, input, config, running);
    Ok(world.plan(state))
}

/// What stays the same over a plan.
struct World<'w, 'm> {
    model: &'w Model<'m>,
    config: &'w RebalanceConfig,
    input: &'w RebalanceInput<'m>,
    /// Replicas that run where they may: the ones that can be moved.
    running: Vec<bool>,
    /// Their numbers in the model, by their number in the search.
    replicas: Vec<usize>,
    /// Ready machines: their numbers in the model, by their number in the search.
    nodes: Vec<usize>,
}

/// The rules of a placement, asked for one move.
#[derive(Clone)]
struct Chart<'c, 'w, 'm> {
    world: &'c World<'w, 'm>,
    state: State,
    /// Millionths of a dollar per month, as the state is.
    per_month: i128,
}

type Table<'c, 'w, 'm> = Board<Chart<'c, 'w, 'm>>;

impl Rules for Chart<'_, '_, '_> {
    type Rule = Filter;

    /// The first rule that forbids a move, for the replica itself or for one that relies on it.
    fn reject(&mut self, workload: usize, from: usize, to: usize) -> Option<Filter> {
        let (model, replica) = (self.world.model, self.world.replicas[workload]);
        let (from, to) = (self.world.nodes[from], self.world.nodes[to]);
        self.state.remove(model, replica);
        let rejected = View::new(model, &self.state, replica).reject(model, &self.state, to, Some(to));
        let broken = rejected.or_else(|| {
            self.state.add(model, replica, to);
            let holds = all_hold(model, &self.state, &self.world.running);
            self.state.remove(model, replica);
            (!holds).then_some(Filter::Affinity)
        });
        self.state.add(model, replica, from);
        broken
    }

    /// The resource of which the replica uses the largest part.
    fn overload(&self, workload: usize, to: usize) -> Filter {
        let capacity = &self.world.model.options[self.world.nodes[to]].capacity;
        let used = self.world.used(self.world.replicas[workload]);
        let share = |d: &Dimension| wide(used.get(*d)) / wide(capacity.get(*d).max(1));
        let largest = Dimension::ALL.into_iter().max_by(|a, b| share(a).total_cmp(&share(b)));
        largest.map_or(Filter::Cpu, Filter::from)
    }

    fn moved(&mut self, workload: usize, _: usize, to: usize) {
        let (model, replica) = (self.world.model, self.world.replicas[workload]);
        self.state.remove(model, replica);
        self.state.add(model, replica, self.world.nodes[to]);
        self.per_month = self.state.total_per_month(model);
    }

    fn saves(&mut self, workload: usize, from: usize, to: usize) -> f64 {
        let (model, replica) = (self.world.model, self.world.replicas[workload]);
        self.state.remove(model, replica);
        self.state.add(model, replica, self.world.nodes[to]);
        let after = self.state.total_per_month(model);
        self.state.remove(model, replica);
        self.state.add(model, replica, self.world.nodes[from]);
        real(self.world.over_horizon(self.per_month - after))
    }

    fn cost(&self, workload: usize, from: usize, to: usize) -> f64 {
        let (replica, world) = (self.world.replicas[workload], self.world);
        let transfer = world.transfer(replica, world.nodes[from], world.nodes[to]);
        real(i128::from(world.config.move_cost.as_micros()) + transfer)
    }
}

impl<'w, 'm> World<'w, 'm> {
    fn new(
        model: &'w Model<'m>,
        input: &'w RebalanceInput<'m>,
        config: &'w RebalanceConfig,
        running: Vec<bool>,
    ) -> Self {
        let ready = |n: &usize| model.options[*n].node.is_some_and(|node| node.ready);
        Self {
            model,
            config,
            input,
            replicas: (0..running.len()).filter(|r| running[*r]).collect(),
            running,
            nodes: (0..model.node_count).filter(ready).collect(),
        }
    }

    fn table(&self, state: State) -> Table<'_, 'w, 'm> {
        let number = |node: usize| self.nodes.binary_search(&node).unwrap_or_default();
        let at: Vec<usize> = self
            .replicas
            .iter()
            .map(|r| state.at[*r].map(number).unwrap_or_default())
            .collect();
        let amounts = |of: &skyloom_core::Resources| Dimension::ALL.map(|d| of.get(d));
        let use_of = self.replicas.iter().flat_map(|r| amounts(self.used(*r))).collect();
        let mean = match self.config.mean {
            Mean::Arithmetic => None,
            Mean::Supplied(mean) => Some(mean.get()),
        };
        let mut loads = Loads::new(Dimension::ALL.len(), use_of, mean);
        for node in &self.nodes {
            let mut others = [0u64; 4];
            for foreign in self.model.foreign.iter().filter(|f| f.node == *node) {
                for (sum, amount) in others.iter_mut().zip(amounts(&foreign.request)) {
                    *sum = sum.saturating_add(amount);
                }
            }
            loads.add_node(&amounts(&self.model.options[*node].capacity), &others, true);
        }
        at.iter()
            .enumerate()
            .for_each(|(workload, node)| loads.put(workload, *node));
        for (number, node) in self.nodes.iter().enumerate() {
            let measured = self.model.options[*node].node.and_then(|n| n.utilisation);
            measured.into_iter().for_each(|u| loads.measure(number, u.get()));
        }
        let per_month = state.total_per_month(self.model);
        let chart = Chart {
            world: self,
            state,
            per_month,
        };
        Board::new(chart, loads, at, vec![true; self.replicas.len()], self.nodes.len())
    }

    fn plan(&self, state: State) -> Rebalance {
        let start = self.table(state);
        if let Some(refusal) = self.refuses_at_once() {
            return self.answer(&start, &start, Vec::new(), Some(refusal));
        }
        let terms = self.terms();
        let mut end = start.clone();
        let found = search(&mut end, &terms, &mut Effort::units(UNITS_MAX));
        let moves = self.write(start.clone(), &straight(found.hops), &terms);
        let refusal = moves.is_empty().then(|| self.refusal(&mut end, &terms));
        self.answer(&start, &end, moves, refusal)
    }

    fn terms(&self) -> Terms {
        let hours = self.config.horizon.as_secs_f64() / 3600.0;
        let named = self.config.target.as_ref();
        Terms {
            value: self.config.balance_value.as_usd() * 1e6 * hours,
            threshold: if self.config.ce_max > 0.0 {
                1.0 / self.config.ce_max
            } else {
                f64::MAX
            },
            moves_max: usize::try_from(self.config.moves_max).unwrap_or(usize::MAX),
            target: named.and_then(|named| self.nodes.iter().position(|n| self.id(*n) == named)),
            together: false,
            ceiling: 1.0,
            least: 1.0,
        }
    }

    /// Reasons that need no search.
    fn refuses_at_once(&self) -> Option<Refusal> {
        if let Some(last) = self.input.last_moved {
            let passed = self.input.problem.snapshot.taken_at.saturating_since(last);
            let wait = self.config.cooldown.saturating_sub(passed);
            if wait > Duration::ZERO {
                return Some(Refusal::TooSoon { wait });
            }
        }
        if self.nodes.len() < 2 || self.replicas.is_empty() {
            return Some(Refusal::NothingToMove);
        }
        let named = self.config.target.as_ref()?;
        let there = self.nodes.iter().any(|n| self.id(*n) == named);
        (!there).then(|| Refusal::NoSuchTarget { machine: named.clone() })
    }

    fn refusal(&self, table: &mut Table<'_, '_, '_>, terms: &Terms) -> Refusal {
        let obstacles = obstacles(table, terms);
        let best = obstacles.best.map(|gain| benefit(&gain));
        match best.filter(|ce| ce.ratio().is_none_or(|ratio| ratio > self.config.ce_max)) {
            Some(best) => Refusal::NotWorthIt {
                best,
                ce_max: self.config.ce_max,
            },
            None if best.is_none() && !obstacles.rejected.is_empty() => Refusal::Forbidden {
                rejected: obstacles.rejected,
            },
            None => Refusal::Even {
                rms: self.imbalance(table).rms,
            },
        }
    }

    /// The moves as they will be made.
    fn write(&self, mut table: Table<'_, '_, '_>, hops: &[Hop], terms: &Terms) -> Vec<Move> {
        let mut moves = Vec::new();
        for hop in hops {
            table.loads.refresh();
            let rms = table.loads.rms();
            let Some(gain) = table.gain(hop.workload, hop.to, rms, terms) else {
                continue;
            };
            let because = self.because(&mut table, *hop, &gain, rms, terms);
            table.shift(hop.workload, hop.to);
            moves.push(Move {
                replica: self.model.replicas[self.replicas[hop.workload]].clone(),
                from: self.id(self.nodes[hop.from]).clone(),
                to: self.id(self.nodes[hop.to]).clone(),
                cost: money(gain.cost),
                saving: money(gain.saving),
                ce: benefit(&gain),
                rms_before: rms,
                rms_after: gain.rms_after,
                because,
            });
        }
        moves
    }

    /// What the move does to both machines, and the best other target.
    fn because(&self, table: &mut Table<'_, '_, '_>, hop: Hop, gain: &Gain, rms: f64, terms: &Terms) -> String {
        let Hop { workload, from, to } = hop;
        let text = format!(
            "`{}` goes from U {:.4} to {:.4}, `{}` from {:.4} to {:.4}",
            self.id(self.nodes[from]),
            table.loads.level(from),
            table.loads.level_after(from, Some(workload), None),
            self.id(self.nodes[to]),
            table.loads.level(to),
            table.loads.level_after(to, None, Some(workload)),
        );
        let earns = |gain: &Gain| gain.saving - gain.cost;
        let mut next: Option<(usize, Gain)> = None;
        for other in (0..self.nodes.len()).filter(|n| *n != to) {
            let gain = table.gain(workload, other, rms, terms);
            let better = gain.filter(|g| next.is_none_or(|(_, best)| earns(g) > earns(&best)));
            if let Some(gain) = better.filter(|_| table.forbidden(workload, other, terms).is_none()) {
                next = Some((other, gain));
            }
        }
        let Some((next, other)) = next else {
            return format!("{text}; no other machine may take it");
        };
        let (id, rms) = (self.id(self.nodes[next]), other.rms_after);
        if earns(&other) > earns(gain) {
            format!(
                "{text}; `{id}` would be better (rms {rms:.4} instead of {:.4}), but this target was named",
                gain.rms_after
            )
        } else {
            format!(
                "{text}; next best is `{id}` (rms {rms:.4} instead of {:.4})",
                gain.rms_after
            )
        }
    }

    fn answer(
        &self,
        start: &Table<'_, '_, '_>,
        end: &Table<'_, '_, '_>,
        moves: Vec<Move>,
        refusal: Option<Refusal>,
    ) -> Rebalance {
        let sum = |amount: fn(&Move) -> MicroUsd| {
            moves
                .iter()
                .map(|m| amount(m).as_micros())
                .fold(0i64, i64::saturating_add)
        };
        let (cost, saving) = (sum(|m| m.cost), sum(|m| m.saving));
        let ce = cost_benefit(MicroUsd::from_micros(cost), MicroUsd::from_micros(saving));
        let by_machine = |table: &Table<'_, '_, '_>| {
            let pairs = self.nodes.iter().zip(ratios(table));
            pairs.map(|(node, u)| (self.id(*node).clone(), u)).collect()
        };
        Rebalance {
            ce: (!moves.is_empty()).then(|| ce.unwrap_or(CostBenefit::NoBenefit)),
            moves,
            refusal,
            imbalance_before: self.imbalance(start),
            imbalance_after: self.imbalance(end),
            utilisation_before: by_machine(start),
            utilisation_after: by_machine(end),
        }
    }

    fn id(&self, node: usize) -> &'m MachineId {
        let node = self.model.options[node]
            .node
            .expect("invariant: the first options are machines that are there");
        &node.machine.id
    }

    /// What a replica uses: measured, else what it asks for.
    fn used(&self, replica: usize) -> &skyloom_core::Resources {
        let asked = self.model.request(self.model.service_of[replica]);
        self.input.usage.get(&self.model.replicas[replica]).unwrap_or(asked)
    }

    fn imbalance(&self, table: &Table<'_, '_, '_>) -> Imbalance {
        let even = Imbalance {
            max_abs: 0.0,
            rms: 0.0,
            cv: 0.0,
            jain: 1.0,
        };
        Imbalance::of(&ratios(table), self.config.mean).unwrap_or(even)
    }

    /// What a monthly saving comes to over the horizon.
    fn over_horizon(&self, per_month: i128) -> i128 {
        const NANOS_PER_MONTH: i128 = 730 * 3600 * 1_000_000_000;
        let nanos = i128::try_from(self.config.horizon.as_nanos()).unwrap_or(i128::MAX);
        per_month.saturating_mul(nanos) / NANOS_PER_MONTH
    }

    /// What it costs to bring the replica's disk along.
    fn transfer(&self, replica: usize, from: usize, to: usize) -> i128 {
        let disk = self.model.request(self.model.service_of[replica]).disk;
        let site = |node: usize| self.model.options[node].node.map(|n| &n.machine.site);
        let (Some(a), Some(b)) = (site(from), site(to)) else {
            return 0;
        };
        let target = match (a == b, a.region == b.region) {
            (true, _) => EgressTarget::SameZone,
            (false, true) => EgressTarget::OtherZone,
            (false, false) => EgressTarget::Region(&b.region),
        };
        let quote = self.model.problem.catalogue.egress_cost(&a.region, target, disk);
        // What has no price is not moved: nothing earns that much.
        quote.map_or(i128::from(i64::MAX), |quote| i128::from(quote.cost.as_micros()))
    }
}

/// Each replica straight to where it ends: at most one move of it, where its last one was.
fn straight(hops: Vec<Hop>) -> Vec<Hop> {
    let mut straight: Vec<Hop> = Vec::new();
    for hop in hops {
        let earlier = straight.iter().position(|h| h.workload == hop.workload);
        let from = earlier.map_or(hop.from, |place| straight.remove(place).from);
        if from != hop.to {
            straight.push(Hop { from, ..hop });
        }
    }
    straight
}

fn ratios(table: &Table<'_, '_, '_>) -> Vec<Ratio> {
    let levels = table.loads.levels().into_iter();
    levels.map(|u| Ratio::new(u).unwrap_or(Ratio::ONE)).collect()
}

fn benefit(gain: &Gain) -> CostBenefit {
    cost_benefit(money(gain.cost), money(gain.saving)).unwrap_or(CostBenefit::NoBenefit)
}

/// Micro-USD rounded down; nothing below zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "bounded to what an amount of money can be"
)]
fn money(micros: f64) -> MicroUsd {
    MicroUsd::from_micros(micros.clamp(0.0, 9e18).floor() as i64)
}

/// An amount in micro-USD for weighing.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 9 thousand million dollars, a weight beyond"
)]
const fn real(micros: i128) -> f64 {
    micros as f64
}
