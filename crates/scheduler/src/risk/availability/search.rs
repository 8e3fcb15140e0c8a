//! The cheapest mix, by a best-first search over stages under the bound of `bound`, with the proof or the gap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};
use skyloom_core::MicroUsdPerHour;

use super::bound::Bound;
use super::judge::{Judge, usd};
use super::plan::{Plan, slot};
use super::problem::{AvailabilityError, AvailabilityProblem, Priced};
use super::seed::{fullest, seed};
use super::tail::{Layers, relative_error};
use crate::Effort;

/// Chances that partial mixes are kept with at most, 100 MB of them; beyond it the answer has a gap.
const CHANCES_MAX: usize = 12_000_000;
/// Mixes of the least cost that are compared for the one that is up most often.
const TIES_MAX: usize = 1000;

/// The answer: a mix, the next best one, and how much cheaper another could be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Availability {
    /// The cheapest mix found that meets the objective, running replicas included; of equally cheap ones the one that is
    /// up most often.
    pub best: Priced,
    /// The next best that was met on the way: as cheap or dearer, of other numbers.
    pub runner_up: Option<Priced>,
    /// No mix that meets the objective is cheaper than this.
    pub lower_bound: MicroUsdPerHour,
    /// (cost - lower bound) / lower bound; 0 when the mix is proven to be the cheapest.
    pub gap: f64,
    /// Partial mixes weighed.
    pub work: u64,
}

impl Availability {
    /// Whether no cheaper mix meets the objective.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.lower_bound >= self.best.cost
    }
}

/// The number and mix of replicas such that at least `need` are up with probability `slo` at least cost.
///
/// Exact: the chances of regions, zones, kinds and replicas being down are put together by convolution, in floats with
/// a bound on their error, and in whole numbers where that cannot tell. A unit of `effort` is a partial mix weighed.
///
/// ```
/// use skyloom_core::{MicroUsdPerHour, Ratio};
/// use skyloom_scheduler::Effort;
/// use skyloom_scheduler::risk::availability::{AvailabilityProblem, Domain, Supply, cheapest_mix};
///
/// let (usd, p) = (MicroUsdPerHour::from_micros, |p: f64| Ratio::new(p));
/// let zone = |name: &str| -> Result<Domain, skyloom_core::RatioError> {
///     let on_demand = Supply::new(usd(100_000), p(0.001)?);
///     let spot = Supply::new(usd(30_000), p(0.02)?).with_gone(p(0.05)?);
///     Ok(Domain::new(name, p(0.0005)?).with_on_demand(on_demand).with_spot(spot))
/// };
/// let problem = AvailabilityProblem {
///     need: 3,
///     slo: p(0.9995)?,
///     domains: vec![zone("a")?, zone("b")?, zone("c")?],
///     regions: Vec::new(),
/// };
/// let answer = cheapest_mix(&problem, &mut Effort::units(1_000_000))?;
/// assert!(answer.is_proven() && answer.best.probability >= 0.9995);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`AvailabilityError::Unsatisfiable`] with the best that can be reached; [`AvailabilityError::Undecided`] when the effort
/// ends before anything is found; the other variants for input that contradicts itself.
pub fn cheapest_mix(problem: &AvailabilityProblem, effort: &mut Effort<'_>) -> Result<Availability, AvailabilityError> {
    problem.check()?;
    let plan = Plan::new(problem);
    let (in_view, found) = start(&plan, problem, effort)?;
    let dearest = plan.stages.iter().map(|stage| stage.price).max().unwrap_or(0);
    let budget = match &found {
        // Room for a runner-up.
        Some(counts) => plan.cost(counts).saturating_add(dearest),
        None => plan.cost(&in_view),
    };
    let affordable = |stage: &super::plan::Stage| match budget.checked_div(stage.price) {
        Some(count) => u32::try_from(count).unwrap_or(u32::MAX).clamp(stage.min, stage.max),
        None => stage.max,
    };
    let count_max = match &found {
        Some(_) => plan.stages.iter().map(affordable).collect(),
        None => in_view,
    };
    let judge = Judge::up_to(&plan, count_max);
    let mut search = Search::new(&judge, found, budget);
    search.run(effort);
    search.answer(problem, effort)
}

/// As many replicas of each stage as it takes to be enough, and a first mix of them; an error when all that can be bought
/// are too few.
fn start(
    plan: &Plan,
    problem: &AvailabilityProblem,
    effort: &mut Effort<'_>,
) -> Result<(Vec<u32>, Option<Vec<u32>>), AvailabilityError> {
    let ideal = plan.ideal();
    let mut limit = problem.need.saturating_mul(2) + 16;
    loop {
        let in_view = |plan: &Plan| -> Vec<u32> {
            let stages = plan.stages.iter();
            stages.map(|s| s.max.min(limit.max(s.min))).collect()
        };
        let counts = in_view(&ideal);
        let is_all = counts.iter().zip(&ideal.stages).all(|(n, s)| *n == s.max);
        if Judge::only(&ideal, counts.clone()).meets(&counts) {
            let judge = Judge::up_to(plan, in_view(plan));
            let found = seed(&judge, effort);
            return Ok((judge.count_max, found));
        }
        if is_all {
            return Err(unsatisfiable(plan, problem));
        }
        limit = limit.saturating_mul(4);
    }
}

fn unsatisfiable(plan: &Plan, problem: &AvailabilityProblem) -> AvailabilityError {
    let most: Vec<u32> = plan.stages.iter().map(|stage| stage.max).collect();
    let judge = Judge::only(plan, fullest(plan, &most));
    AvailabilityError::Unsatisfiable {
        need: problem.need,
        slo: problem.slo,
        reachable: judge.priced(&judge.count_max).probability,
    }
}

/// A mix that is decided up to a stage.
#[derive(Debug, Clone)]
struct Label {
    /// Stages decided.
    decided: usize,
    cost: u64,
    layers: Layers,
    counts: Vec<u32>,
    /// Replicas of both kinds in the region so far.
    in_area: [u64; 2],
}

#[derive(Debug)]
struct Search<'a> {
    judge: &'a Judge<'a>,
    plan: &'a Plan,
    bound: Option<Bound>,
    budget: u64,
    labels: Vec<Option<Label>>,
    /// Least cost at which a label can end, the most decided first.
    queue: BinaryHeap<Reverse<(u64, Reverse<usize>, usize)>>,
    /// Mixes that are enough: cost, shortfall, counts.
    found: Vec<(u64, f64, Vec<u32>)>,
    seeded: Option<Vec<u32>>,
    /// No mix is cheaper.
    proven: u64,
    is_exhausted: bool,
}

impl<'a> Search<'a> {
    fn new(judge: &'a Judge<'a>, seeded: Option<Vec<u32>>, budget: u64) -> Self {
        let plan = judge.plan;
        Self {
            judge,
            plan,
            bound: Bound::new(plan, &judge.odds, &judge.count_max, budget),
            budget,
            labels: Vec::new(),
            queue: BinaryHeap::new(),
            found: Vec::new(),
            seeded,
            proven: plan.least_cost(),
            is_exhausted: false,
        }
    }

    fn run(&mut self, effort: &mut Effort<'_>) {
        if self.bound.is_none() {
            return;
        }
        self.push(
            0,
            Label {
                decided: 0,
                cost: 0,
                layers: Layers::new(self.plan.need),
                counts: Vec::new(),
                in_area: [0; 2],
            },
        );
        while let Some(Reverse((least, _, id))) = self.queue.pop() {
            // What can only end dearer than the second mix is not looked at.
            let best = self.found.iter().map(|(cost, ..)| *cost).min();
            self.proven = self.proven.max(least).min(best.unwrap_or(u64::MAX));
            let is_tie = best.is_some_and(|best| least <= best) && self.found.len() < TIES_MAX;
            if self.found.len() >= 2 && !is_tie {
                return;
            }
            if !effort.within(1.0) || self.labels.len() >= CHANCES_MAX / (3 * self.plan.need) {
                return;
            }
            let Some(label) = self.labels.get_mut(id).and_then(Option::take) else {
                continue;
            };
            if label.decided == self.plan.stages.len() {
                let shortfall = label.layers.up.iter().sum();
                if self.judge.meets_with(&label.counts, shortfall) {
                    self.found.push((label.cost, shortfall, label.counts));
                }
                continue;
            }
            self.expand(&label, effort);
        }
        self.is_exhausted = true;
    }

    fn push(&mut self, least: u64, label: Label) {
        self.queue
            .push(Reverse((least, Reverse(label.decided), self.labels.len())));
        self.labels.push(Some(label));
    }

    /// Every count of the next stage that can still end within the budget.
    fn expand(&mut self, label: &Label, effort: &mut Effort<'_>) {
        let stage = label.decided;
        let terms = &self.plan.stages[stage];
        let most = self.most(label);
        for count in terms.min..=most {
            let cost = label.cost + terms.price * u64::from(count);
            if cost > self.budget {
                break;
            }
            effort.spend(1);
            let mut next = label.clone();
            next.decided += 1;
            next.cost = cost;
            next.counts.push(count);
            next.in_area[slot(terms.purchase)] += u64::from(count);
            if count > 0 {
                next.layers.add(&self.judge.odds.kernels[stage].of(count));
            }
            let Some(least) = self.least(stage, &next) else {
                continue;
            };
            self.close(stage, &mut next);
            self.push(least, next);
        }
    }

    /// The least cost at which the label can end; `None` when it cannot within the budget.
    fn least(&self, stage: usize, label: &Label) -> Option<u64> {
        let bound = self.bound.as_ref()?;
        // The bound's own rounding is that of the odds, over at most as many replicas as the budget holds.
        let replicas: u64 = self.judge.count_max.iter().map(|n| u64::from(*n)).sum();
        let allowed = self.plan.allowed.as_f64() * (1.0 + 2.0 * relative_error(self.plan, replicas));
        let left = self.budget - label.cost;
        if bound.least(self.plan, stage, &label.layers, left) > allowed {
            return None;
        }
        bound
            .least_spending(self.plan, stage, &label.layers, allowed)
            .map(|spending| label.cost + spending)
    }

    /// Most replicas that limits, quotas and the order of twins leave for the next stage.
    fn most(&self, label: &Label) -> u32 {
        let stage = label.decided;
        let terms = &self.plan.stages[stage];
        let zone = &self.plan.zones[terms.zone];
        let area = &self.plan.areas[zone.region];
        let in_zone: u32 = label.counts[zone.stages.start..].iter().sum();
        let kind = slot(terms.purchase);
        let in_area = u64::from(area.max[kind]).saturating_sub(label.in_area[kind]);
        let mut most = self.judge.count_max[stage]
            .min(zone.max.saturating_sub(in_zone))
            .min(u32::try_from(in_area).unwrap_or(u32::MAX));
        if zone.is_twin {
            // Of twins the first has the more replicas: as many as it, where all before are equal too.
            let width = zone.stages.len();
            let before = zone.stages.start - width;
            let offset = stage - zone.stages.start;
            if label.counts[zone.stages.start..] == label.counts[before..before + offset] {
                most = most.min(label.counts[before + offset]);
            }
        }
        most
    }

    /// Leaves the zone and the region where this was their last stage.
    fn close(&self, stage: usize, label: &mut Label) {
        let zone_of = |stage: usize| self.plan.stages.get(stage).map(|s| s.zone);
        let zone = self.plan.stages[stage].zone;
        let next = zone_of(stage + 1);
        if next == Some(zone) {
            return;
        }
        label.layers.leave_zone(self.plan.zones[zone].down);
        let area = self.plan.zones[zone].region;
        if next.map(|z| self.plan.zones[z].region) != Some(area) {
            label.layers.leave_region(self.plan.areas[area].down);
            label.in_area = [0; 2];
        }
    }

    fn answer(self, problem: &AvailabilityProblem, effort: &Effort<'_>) -> Result<Availability, AvailabilityError> {
        let mut found = self.found;
        let seeded = self
            .seeded
            .filter(|counts| found.len() < 2 && found.iter().all(|(.., other)| other != counts));
        if let Some(counts) = seeded {
            let shortfall = self.judge.odds.shortfall(self.plan, &counts);
            found.push((self.plan.cost(&counts), shortfall, counts));
        }
        found.sort_by(|a, b| (a.0.cmp(&b.0)).then(a.1.total_cmp(&b.1)).then_with(|| a.2.cmp(&b.2)));
        let Some((cost, _, counts)) = found.first() else {
            let is_all = self
                .judge
                .count_max
                .iter()
                .zip(&self.plan.stages)
                .all(|(n, s)| *n == s.max);
            return Err(if self.is_exhausted && is_all {
                unsatisfiable(self.plan, problem)
            } else {
                AvailabilityError::Undecided
            });
        };
        let proven = if self.is_exhausted {
            *cost
        } else {
            self.proven.min(*cost)
        };
        Ok(Availability {
            best: self.judge.priced(counts),
            runner_up: found.get(1).map(|(.., counts)| self.judge.priced(counts)),
            lower_bound: usd(proven),
            gap: gap(*cost, proven),
            work: effort.done(),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn gap(cost: u64, bound: u64) -> f64 {
    // A bound of nothing counts as a millionth of a dollar: the gap stays a number.
    cost.saturating_sub(bound) as f64 / bound.max(1) as f64
}
