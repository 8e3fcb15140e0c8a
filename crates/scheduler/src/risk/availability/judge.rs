//! Whether a mix truly meets the objective: floats where they are sure, whole numbers where they are not.

use super::exact;
use super::plan::Plan;
use super::problem::Priced;
use super::tail::{Odds, relative_error};
use skyloom_core::MicroUsdPerHour;

/// A plan with its odds for all counts up to a limit for each stage.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) plan: &'a Plan,
    pub(super) odds: Odds,
    pub(super) count_max: Vec<u32>,
}

impl<'a> Judge<'a> {
    pub(super) fn up_to(plan: &'a Plan, count_max: Vec<u32>) -> Self {
        Self {
            plan,
            odds: Odds::up_to(plan, &count_max),
            count_max,
        }
    }

    /// For one mix alone, which may be large.
    pub(super) fn only(plan: &'a Plan, counts: Vec<u32>) -> Self {
        Self {
            plan,
            odds: Odds::only(plan, &counts),
            count_max: counts,
        }
    }

    /// Whether the chance of a shortfall is at most the allowed one.
    pub(super) fn meets(&self, counts: &[u32]) -> bool {
        let shortfall = self.odds.shortfall(self.plan, counts);
        self.meets_with(counts, shortfall)
    }

    /// As [`Judge::meets`], with the shortfall of the odds.
    pub(super) fn meets_with(&self, counts: &[u32], shortfall: f64) -> bool {
        let allowed = self.plan.allowed.as_f64();
        let error = self.error(counts);
        if self.plan.allowed.units() == 0 {
            return self.is_certain(counts);
        }
        if shortfall * (1.0 + error) <= allowed {
            true
        } else if shortfall * (1.0 - error) > allowed {
            false
        } else {
            exact::holds(self.plan, counts).unwrap_or(false)
        }
    }

    /// Whether enough replicas stay up when everything fails that can.
    fn is_certain(&self, counts: &[u32]) -> bool {
        let surviving = self.plan.stages.iter().zip(counts).filter(|(stage, _)| {
            let zone = &self.plan.zones[stage.zone];
            let layers = [stage.down, stage.gone, zone.down, self.plan.areas[zone.region].down];
            layers.iter().all(|chance| chance.units() == 0)
        });
        surviving.map(|(_, count)| u64::from(*count)).sum::<u64>() >= self.plan.need as u64
    }

    fn error(&self, counts: &[u32]) -> f64 {
        relative_error(self.plan, counts.iter().map(|c| u64::from(*c)).sum())
    }

    /// An upper bound on the chance of a shortfall.
    pub(super) fn shortfall_at_most(&self, counts: &[u32]) -> f64 {
        if self.is_certain(counts) {
            return 0.0;
        }
        // What is too small for a float is not nothing.
        let shortfall = self.odds.shortfall(self.plan, counts) * (1.0 + 2.0 * self.error(counts));
        shortfall.clamp(f64::MIN_POSITIVE, 1.0)
    }

    pub(super) fn priced(&self, counts: &[u32]) -> Priced {
        let shortfall = self.shortfall_at_most(counts);
        let probability = 1.0 - shortfall;
        Priced {
            mix: self.plan.mix(counts),
            cost: usd(self.plan.cost(counts)),
            shortfall,
            // The subtraction rounds by at most half a unit in the last place of a number below 1.
            probability: if shortfall > 0.0 {
                (probability - f64::EPSILON).max(0.0)
            } else {
                1.0
            },
        }
    }
}

pub(super) fn usd(micros: u64) -> MicroUsdPerHour {
    MicroUsdPerHour::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
