//! Greedy moves, the most profitable first, under the same rules as a placement.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::catalogue::EgressTarget;
use skyloom_core::{Dimension, Filter, MachineId, MicroUsd, Ratio};

use super::types::{Move, Rebalance, RebalanceConfig, RebalanceError, RebalanceInput, Refusal};
use crate::formulas::{CostBenefit, Imbalance, cost_benefit, wide};
use crate::model::Model;
use crate::place::keep;
use crate::problem::PlaceConfig;
use crate::rules::{View, all_hold};
use crate::state::State;

/// Steps of one plan. A step that moves a replica again replaces its move, so there can be more steps than moves; each
/// earns something, so that they end by themselves long before.
const STEPS_MAX: u32 = 10_000;

/// Decides which replicas to move between the machines that are there.
///
/// Takes, one after the other, the move that earns most (saving over the horizon less its cost), as long as its `CE`
/// (formula 3 of `docs/fidelity.md`) is at most `ce_max` and every hard rule holds, up to `moves_max`. A saving is money
/// (machines that are given back, egress) and balance (fall of the root mean square of `LB_i`, formula 2, times
/// `balance_value`). A plan of fewer than `moves_max` moves leaves nothing worth doing: a second run on its result
/// refuses. Cost: steps × replicas × machines².
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
    let (state, pinned) = keep(&model);
    let world = World::new(&model, input, config, pinned);
    Ok(world.plan(state))
}

/// What stays the same over a plan.
struct World<'w, 'm> {
    model: &'w Model<'m>,
    config: &'w RebalanceConfig,
    input: &'w RebalanceInput<'m>,
    /// Replicas that run where they may: the ones that can be moved.
    running: Vec<bool>,
    /// Ready machines.
    nodes: Vec<usize>,
}

/// One move with what it gives.
#[derive(Debug, Clone, Copy)]
struct Step {
    replica: usize,
    from: usize,
    to: usize,
    cost: i128,
    saving: i128,
    rms_after: f64,
}

impl Step {
    const fn earns(&self) -> i128 {
        self.saving - self.cost
    }

    fn ce(&self) -> CostBenefit {
        cost_benefit(money(self.cost), money(self.saving)).unwrap_or(CostBenefit::NoBenefit)
    }
}

fn money(micros: i128) -> MicroUsd {
    MicroUsd::from_micros(i64::try_from(micros.max(0)).unwrap_or(i64::MAX))
}

/// Where replicas are and how loaded machines are, while the plan grows.
#[derive(Clone)]
struct Now {
    state: State,
    /// In the order of [`World::nodes`].
    loads: Vec<f64>,
}

/// What a search for the next step found besides it.
#[derive(Default)]
struct Findings {
    /// Best `CE` of a step that rules allow and that saves something.
    best: Option<CostBenefit>,
    rejected: BTreeMap<Filter, u32>,
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
            running,
            nodes: (0..model.node_count).filter(ready).collect(),
        }
    }

    fn plan(&self, state: State) -> Rebalance {
        let start = Now {
            loads: self.nodes.iter().map(|n| self.load(&state, *n)).collect(),
            state,
        };
        if let Some(refusal) = self.refuses_at_once() {
            return self.answer(&start, &start, Vec::new(), Some(refusal));
        }
        let mut now = start.clone();
        let mut origin: BTreeMap<usize, usize> = BTreeMap::new();
        let mut order: Vec<usize> = Vec::new();
        let mut findings = Findings::default();
        for _ in 0..STEPS_MAX {
            findings = Findings::default();
            let full = order.len() >= usize::try_from(self.config.moves_max).unwrap_or(usize::MAX);
            let may_move = |r: usize| !full || origin.contains_key(&r);
            let Some(step) = self.best_step(&mut now, may_move, &mut findings) else {
                break;
            };
            self.apply(&mut now, step.replica, step.to);
            let first = *origin.entry(step.replica).or_insert(step.from);
            order.retain(|r| *r != step.replica);
            if first == step.to {
                origin.remove(&step.replica);
            } else {
                order.push(step.replica);
            }
        }
        let moves = self.replay(&start, &now, &order);
        let refusal = moves.is_empty().then(|| self.refusal(&start, findings));
        self.answer(&start, &now, moves, refusal)
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
        if self.nodes.len() < 2 || !self.running.contains(&true) {
            return Some(Refusal::NothingToMove);
        }
        let named = self.config.target.as_ref()?;
        let there = self.nodes.iter().any(|n| self.id(*n) == named);
        (!there).then(|| Refusal::NoSuchTarget { machine: named.clone() })
    }

    fn refusal(&self, start: &Now, findings: Findings) -> Refusal {
        match findings.best {
            Some(best) => Refusal::NotWorthIt {
                best,
                ce_max: self.config.ce_max,
            },
            None if !findings.rejected.is_empty() => Refusal::Forbidden {
                rejected: findings.rejected,
            },
            None => Refusal::Even {
                rms: self.imbalance(&start.loads).rms,
            },
        }
    }

    /// The step that earns most among those that save something, are allowed and have a small enough `CE`.
    fn best_step(&self, now: &mut Now, may_move: impl Fn(usize) -> bool, findings: &mut Findings) -> Option<Step> {
        let rms = self.imbalance(&now.loads).rms;
        let before = now.state.total_per_month(self.model);
        let targets: Vec<usize> = match &self.config.target {
            Some(named) => self.nodes.iter().copied().filter(|n| self.id(*n) == named).collect(),
            None => self.nodes.clone(),
        };
        let mut steps = Vec::new();
        for replica in (0..self.running.len()).filter(|r| self.running[*r] && may_move(*r)) {
            for &to in &targets {
                steps.extend(self.step(now, replica, to, rms, before).filter(|s| s.saving > 0));
            }
        }
        steps.sort_by_key(|s| (std::cmp::Reverse(s.earns()), s.replica, s.to));
        for step in steps {
            if let Some(filter) = self.forbidden(now, step.replica, step.to) {
                *findings.rejected.entry(filter).or_insert(0) += 1;
                continue;
            }
            let ce = step.ce();
            if ce.ratio().is_some_and(|ratio| ratio <= self.config.ce_max) {
                return Some(step);
            }
            findings.best = Some(findings.best.map_or(ce, |best| best.min(ce)));
        }
        None
    }

    /// What moving a replica gives; `None` when it is there already or would overload the machine.
    fn step(&self, now: &mut Now, replica: usize, to: usize, rms: f64, before: i128) -> Option<Step> {
        let from = now.state.at[replica].filter(|from| *from != to)?;
        let loads = self.loads_after(&now.loads, replica, from, to)?;
        let rms_after = self.imbalance(&loads).rms;
        now.state.remove(self.model, replica);
        now.state.add(self.model, replica, to);
        let after = now.state.total_per_month(self.model);
        now.state.remove(self.model, replica);
        now.state.add(self.model, replica, from);
        let saving = self.over_horizon(before - after) + self.worth(rms - rms_after);
        let cost = i128::from(self.config.move_cost.as_micros()) + self.transfer(replica, from, to);
        Some(Step {
            replica,
            from,
            to,
            cost,
            saving,
            rms_after,
        })
    }

    /// The first rule that forbids a move, for the replica itself or for one that relies on it.
    fn forbidden(&self, now: &mut Now, replica: usize, to: usize) -> Option<Filter> {
        let from = now.state.remove(self.model, replica)?;
        let rejected = View::new(self.model, &now.state, replica).reject(self.model, &now.state, to, Some(to));
        let broken = rejected.or_else(|| {
            now.state.add(self.model, replica, to);
            let holds = all_hold(self.model, &now.state, &self.running);
            now.state.remove(self.model, replica);
            (!holds).then_some(Filter::Affinity)
        });
        now.state.add(self.model, replica, from);
        broken
    }

    fn apply(&self, now: &mut Now, replica: usize, to: usize) {
        if let Some(from) = now.state.remove(self.model, replica) {
            now.state.add(self.model, replica, to);
            if let Some(loads) = self.loads_after(&now.loads, replica, from, to) {
                now.loads = loads;
            }
        }
    }

    /// The moves as they will be made, each replica straight to where it ends.
    fn replay(&self, start: &Now, end: &Now, order: &[usize]) -> Vec<Move> {
        let mut now = start.clone();
        let mut moves = Vec::new();
        for &replica in order {
            let rms = self.imbalance(&now.loads).rms;
            let before = now.state.total_per_month(self.model);
            let Some(step) = end.state.at[replica].and_then(|to| self.step(&mut now, replica, to, rms, before)) else {
                continue;
            };
            let because = self.because(&mut now, &step, rms, before);
            self.apply(&mut now, replica, step.to);
            moves.push(Move {
                replica: self.model.replicas[replica].clone(),
                from: self.id(step.from).clone(),
                to: self.id(step.to).clone(),
                cost: money(step.cost),
                saving: money(step.saving),
                ce: step.ce(),
                rms_before: rms,
                rms_after: step.rms_after,
                because,
            });
        }
        moves
    }

    /// What the move does to both machines, and the best other target.
    fn because(&self, now: &mut Now, step: &Step, rms: f64, before: i128) -> String {
        let after = self.loads_after(&now.loads, step.replica, step.from, step.to);
        let u = |loads: &[f64], node: usize| self.position(node).map_or(0.0, |i| loads[i]);
        let after = after.as_deref().unwrap_or(&now.loads);
        let text = format!(
            "`{}` goes from U {:.4} to {:.4}, `{}` from {:.4} to {:.4}",
            self.id(step.from),
            u(&now.loads, step.from),
            u(after, step.from),
            self.id(step.to),
            u(&now.loads, step.to),
            u(after, step.to),
        );
        let mut others: Vec<Step> = Vec::new();
        for &to in self.nodes.iter().filter(|n| **n != step.to) {
            others.extend(self.step(now, step.replica, to, rms, before));
        }
        others.retain(|s| self.forbidden(now, s.replica, s.to).is_none());
        let Some(next) = others.into_iter().max_by_key(|s| (s.earns(), std::cmp::Reverse(s.to))) else {
            return format!("{text}; no other machine may take it");
        };
        let (id, rms) = (self.id(next.to), next.rms_after);
        if next.earns() > step.earns() {
            format!(
                "{text}; `{id}` would be better (rms {rms:.4} instead of {:.4}), but this target was named",
                step.rms_after
            )
        } else {
            format!(
                "{text}; next best is `{id}` (rms {rms:.4} instead of {:.4})",
                step.rms_after
            )
        }
    }

    fn answer(&self, start: &Now, end: &Now, moves: Vec<Move>, refusal: Option<Refusal>) -> Rebalance {
        let sum = |amount: fn(&Move) -> MicroUsd| moves.iter().map(|m| i128::from(amount(m).as_micros())).sum::<i128>();
        let ce = cost_benefit(money(sum(|m| m.cost)), money(sum(|m| m.saving))).unwrap_or(CostBenefit::NoBenefit);
        let by_machine = |loads: &[f64]| {
            let pairs = self.nodes.iter().zip(ratios(loads));
            pairs
                .map(|(node, u)| (self.id(*node).clone(), u))
                .collect::<BTreeMap<MachineId, Ratio>>()
        };
        Rebalance {
            ce: (!moves.is_empty()).then_some(ce),
            moves,
            refusal,
            imbalance_before: self.imbalance(&start.loads),
            imbalance_after: self.imbalance(&end.loads),
            utilisation_before: by_machine(&start.loads),
            utilisation_after: by_machine(&end.loads),
        }
    }

    fn id(&self, node: usize) -> &'m MachineId {
        let node = self.model.options[node]
            .node
            .expect("invariant: the first options are machines that are there");
        &node.machine.id
    }

    fn position(&self, node: usize) -> Option<usize> {
        self.nodes.iter().position(|n| *n == node)
    }

    /// Utilisation of a machine: measured where known, else what its replicas use.
    fn load(&self, state: &State, node: usize) -> f64 {
        if let Some(measured) = self.model.options[node].node.and_then(|n| n.utilisation) {
            return measured.get();
        }
        let own = state.slots[node].residents.iter().map(|r| self.share(*r, node));
        let capacity = &self.model.options[node].capacity;
        let others = self.model.foreign.iter().filter(|f| f.node == node);
        let others = others.map(|f| dominant(&f.request, capacity));
        // Not `sum`: the sum of nothing is minus zero.
        own.chain(others).fold(0.0, |sum, share| sum + share).min(1.0)
    }

    /// The part of a machine that a replica uses, by its dominant resource.
    fn share(&self, replica: usize, node: usize) -> f64 {
        let asked = self.model.request(self.model.service_of[replica]);
        let used = self.input.usage.get(&self.model.replicas[replica]).unwrap_or(asked);
        dominant(used, &self.model.options[node].capacity)
    }

    /// Loads after a move; `None` when the receiver would have more than it can do.
    fn loads_after(&self, loads: &[f64], replica: usize, from: usize, to: usize) -> Option<Vec<f64>> {
        /// Room for the rounding of sums of shares.
        const FULL: f64 = 1.0 + 1e-9;
        let mut after = loads.to_vec();
        if let Some(from_index) = self.position(from) {
            after[from_index] = (after[from_index] - self.share(replica, from)).max(0.0);
        }
        let to_index = self.position(to)?;
        after[to_index] += self.share(replica, to);
        (after[to_index] <= FULL).then_some(after)
    }

    fn imbalance(&self, loads: &[f64]) -> Imbalance {
        let even = Imbalance {
            max_abs: 0.0,
            rms: 0.0,
            cv: 0.0,
            jain: 1.0,
        };
        Imbalance::of(&ratios(loads), self.config.mean).unwrap_or(even)
    }

    /// What a monthly saving comes to over the horizon.
    fn over_horizon(&self, per_month: i128) -> i128 {
        const NANOS_PER_MONTH: i128 = 730 * 3600 * 1_000_000_000;
        let nanos = i128::try_from(self.config.horizon.as_nanos()).unwrap_or(i128::MAX);
        per_month.saturating_mul(nanos) / NANOS_PER_MONTH
    }

    /// What a fall of the imbalance is worth over the horizon, in millionths of a dollar, rounded down.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded to what an amount of money can be"
    )]
    fn worth(&self, fall: f64) -> i128 {
        /// Falls below it are rounding, not evenness.
        const NOISE: f64 = 1e-12;
        if fall.abs() < NOISE {
            return 0;
        }
        let hours = self.config.horizon.as_secs_f64() / 3600.0;
        let micros = fall * self.config.balance_value.as_usd() * 1e6 * hours;
        micros.clamp(-9e18, 9e18).floor() as i128
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

fn dominant(used: &skyloom_core::Resources, capacity: &skyloom_core::Resources) -> f64 {
    let share = |d: Dimension| match capacity.get(d) {
        0 => 0.0,
        whole => wide(used.get(d)) / wide(whole),
    };
    Dimension::ALL.into_iter().map(share).fold(0.0, f64::max)
}

fn ratios(loads: &[f64]) -> Vec<Ratio> {
    loads
        .iter()
        .map(|u| Ratio::new(u.clamp(0.0, 1.0)).unwrap_or(Ratio::ONE))
        .collect()
}
