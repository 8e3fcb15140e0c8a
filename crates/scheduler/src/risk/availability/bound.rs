//! What a budget can still buy at best: a lower bound on the chance of a shortfall, for every stage, budget and need.
//!
//! The bound lets whoever buys see how many replicas are up before buying the next kind, and pay for each path of what
//! is seen alone. So it is at most the true least chance; and since a path with a failed zone has to pay for the
//! replacement out of the same budget, it is not far below it.

use super::bisect;
use super::plan::Plan;
use super::tail::{Below, Layers, Odds, blend};

/// Chances this small are left out of the sums: that only lowers the bound.
const NEGLIGIBLE: f64 = 1e-20;
/// A need that no budget of the table can meet; finite, so that a chance of zero times it is zero.
const HOPELESS: f64 = 1e300;
/// Budgets in a table, at most and at least.
const LEVELS_MAX: u64 = 2048;
const LEVELS_MIN: u64 = 16;
/// Multiplications to spend on tables.
const WORK_MAX: u64 = 300_000_000;

/// Least chances of a shortfall by budget (rows) and need (columns 1, 2, …).
type Table = Vec<f64>;

#[derive(Debug)]
pub(super) struct Bound {
    need: usize,
    /// Millionths of a dollar per hour between two budgets.
    unit: u64,
    levels: usize,
    after_stage: Vec<Table>,
    after_zone: Vec<Table>,
    after_area: Vec<Table>,
}

impl Bound {
    /// Tables for budgets up to `budget`; `None` where even coarse ones are too much work.
    pub(super) fn new(plan: &Plan, odds: &Odds, count_max: &[u32], budget: u64) -> Option<Self> {
        let need = plan.need;
        let kernels: Vec<Vec<Vec<(usize, f64)>>> = (0..plan.stages.len())
            .map(|stage| {
                (0..=count_max[stage])
                    .map(|n| sparse(&odds.kernels[stage].of(n)))
                    .collect()
            })
            .collect();
        let per_level: u64 = kernels.iter().flatten().map(|k| (k.len() * need) as u64).sum();
        let levels = (WORK_MAX / per_level.max(1)).min(LEVELS_MAX);
        if levels < LEVELS_MIN {
            return None;
        }
        let common = plan
            .stages
            .iter()
            .fold(0, |gcd, stage| greatest_common(gcd, stage.price));
        let unit = common.max(budget.div_ceil(levels)).max(1);
        let levels = usize::try_from(budget / unit + 1).ok()?;
        let mut bound = Self {
            need,
            unit,
            levels,
            after_stage: vec![Table::new(); plan.stages.len()],
            after_zone: vec![Table::new(); plan.zones.len()],
            after_area: vec![Table::new(); plan.areas.len()],
        };
        bound.fill(plan, &kernels);
        Some(bound)
    }

    fn fill(&mut self, plan: &Plan, kernels: &[Vec<Vec<(usize, f64)>>]) {
        let mut next = vec![1.0; self.levels * self.need];
        for (a, area) in plan.areas.iter().enumerate().rev() {
            self.after_area[a].clone_from(&next);
            for z in area.zones.clone().rev() {
                self.after_zone[z].clone_from(&next);
                for stage in plan.zones[z].stages.clone().rev() {
                    let before = self.before(plan, stage, &kernels[stage], &next);
                    self.after_stage[stage] = std::mem::replace(&mut next, before);
                }
                blend(&mut next, &self.after_zone[z], plan.zones[z].down);
            }
            blend(&mut next, &self.after_area[a], area.down);
        }
    }

    fn before(&self, plan: &Plan, stage: usize, kernels: &[Vec<(usize, f64)>], after: &[f64]) -> Table {
        let terms = &plan.stages[stage];
        let mut table = vec![HOPELESS; self.levels * self.need];
        for (level, row) in table.chunks_mut(self.need).enumerate() {
            let first = usize::try_from(terms.min).unwrap_or(usize::MAX).min(kernels.len());
            for (count, kernel) in kernels.iter().enumerate().skip(first) {
                let Ok(spent) = usize::try_from(terms.price * count as u64 / self.unit) else {
                    break;
                };
                let Some(left) = level.checked_sub(spent) else { break };
                let rest = &after[left * self.need..(left + 1) * self.need];
                for (column, slot) in row.iter_mut().enumerate() {
                    let chance: f64 = kernel
                        .iter()
                        .take_while(|(x, _)| *x <= column)
                        .map(|(x, p)| p * rest[column - x])
                        .sum();
                    *slot = slot.min(chance);
                }
            }
        }
        table
    }

    /// The least chance of a shortfall after `stage`, with this much left to spend.
    pub(super) fn least(&self, plan: &Plan, stage: usize, layers: &Layers, left: u64) -> f64 {
        self.least_at(plan, stage, layers, left / self.unit)
    }

    /// The least that must still be spent after `stage` for a shortfall of at most `allowed`; `None`: more than the
    /// tables know.
    pub(super) fn least_spending(&self, plan: &Plan, stage: usize, layers: &Layers, allowed: f64) -> Option<u64> {
        let enough = |level: u32| self.least_at(plan, stage, layers, u64::from(level)) <= allowed;
        let top = u32::try_from(self.levels - 1).unwrap_or(u32::MAX);
        bisect::least(0, top, enough).map(|level| u64::from(level) * self.unit)
    }

    fn least_at(&self, plan: &Plan, stage: usize, layers: &Layers, level: u64) -> f64 {
        let zone = plan.stages[stage].zone;
        let area = plan.zones[zone].region;
        let level = usize::try_from(level).unwrap_or(usize::MAX).min(self.levels - 1);
        let row = |table: &Table, below: &Below| -> f64 {
            let rest = &table[level * self.need..(level + 1) * self.need];
            // With x up, `need - x` more are needed: the last column is for x = 0.
            below.iter().zip(rest.iter().rev()).map(|(p, least)| p * least).sum()
        };
        let (zone_p, area_p) = (plan.zones[zone].down, plan.areas[area].down);
        let up = row(&self.after_stage[stage], &layers.up);
        let zone_down = row(&self.after_zone[zone], &layers.zone_down);
        let region_down = row(&self.after_area[area], &layers.region_down);
        let region_up = zone_p.complement().as_f64() * up + zone_p.as_f64() * zone_down;
        area_p.complement().as_f64() * region_up + area_p.as_f64() * region_down
    }
}

fn sparse(kernel: &[f64]) -> Vec<(usize, f64)> {
    let entries = kernel.iter().copied().enumerate();
    entries.filter(|(_, p)| *p > NEGLIGIBLE).collect()
}

const fn greatest_common(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
