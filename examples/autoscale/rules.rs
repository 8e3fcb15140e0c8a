//! The rules that are compared.

use std::time::Duration;

use skyloom::analytics::RegularSeries;
use skyloom::analytics::forecast::{ForecastConfig, SeasonalNaive, forecast, forecast_with};
use skyloom::analytics::scale::{LeadTime, Observation, Reactive, ReactiveConfig, predicted_floor};
use skyloom::core::{Ratio, Timestamp};

use crate::Failure;
use crate::load::Load;

/// Share of the capacity that is to be used.
pub(crate) const TARGET: f64 = 0.7;
/// Steps that are averaged into one value of the forecast.
const COARSE: usize = 3;
/// Coarse values that a forecast without a season looks back over.
const LOOK_BACK: usize = 120;
/// Coarse values before the first forecast.
const LOOK_BACK_MIN: usize = 20;
/// Coarse values per value of a season's profile: five minutes.
const SEASON_COARSE: usize = 10;
/// Level of the interval; its upper end is planned for.
const LEVEL: f64 = 0.8;

/// Kubernetes' rule with its defaults.
pub(crate) struct Hpa(Reactive);

pub(crate) fn reactive(max: u32) -> Result<Hpa, Failure> {
    Ok(Hpa(Reactive::new(ReactiveConfig::new(1, max)?)))
}

/// What is measured per replica over the target; replicas that start count as idle, as in the original.
fn ratio(seen: Observation) -> f64 {
    seen.utilisation * f64::from(seen.ready) / f64::from(seen.replicas.max(1)) / TARGET
}

impl Hpa {
    pub(crate) fn decide(&mut self, seen: Observation) -> u32 {
        self.0.decide(seen.replicas, Some(ratio(seen)), seen.now).replicas
    }
}

/// The same rule with the floor of a forecast.
pub(crate) struct Ahead {
    rule: Reactive,
    lead: LeadTime,
    past: Vec<f64>,
    step: Duration,
    period: usize,
    capacity: f64,
    floor: u32,
    seen: usize,
}

impl Ahead {
    pub(crate) fn new(load: &Load) -> Result<Self, Failure> {
        let mut lead = LeadTime::new(load.config.start_up);
        lead.observe(load.config.start_up); // measured in the replay: always the same
        Ok(Self {
            rule: Reactive::new(ReactiveConfig::new(1, load.max)?),
            lead,
            past: load.history.clone(),
            step: load.config.step,
            period: load.period,
            capacity: load.config.capacity * TARGET,
            floor: 0,
            seen: 0,
        })
    }

    pub(crate) fn decide(&mut self, seen: Observation) -> u32 {
        self.past.push(seen.arrived);
        self.seen += 1;
        let coarse = if self.period > 0 {
            COARSE * SEASON_COARSE
        } else {
            COARSE
        };
        if self.seen.is_multiple_of(coarse) {
            // Where nothing can be forecast, the reactive rule decides alone.
            self.floor = self.forecast_floor(coarse).unwrap_or(0);
        }
        self.rule
            .decide_at_least(seen.replicas, Some(ratio(seen)), self.floor, seen.now)
            .replicas
    }

    /// The replicas for the highest upper end from now until a replica asked for at the next forecast would be ready.
    fn forecast_floor(&self, coarse: usize) -> Option<u32> {
        let coarse_f = f64::from(u32::try_from(coarse).ok()?);
        let means: Vec<f64> = self
            .past
            .rchunks_exact(coarse)
            .map(|chunk| chunk.iter().sum::<f64>() / coarse_f)
            .collect();
        let mut means: Vec<f64> = means.into_iter().rev().collect();
        if self.period == 0 {
            means.drain(..means.len().saturating_sub(LOOK_BACK));
        }
        if means.len() < LOOK_BACK_MIN {
            return None;
        }
        let step = self.step * u32::try_from(coarse).ok()?;
        let lead = self.lead.quantile(Ratio::new(0.9).ok()?);
        let horizon = usize::try_from(lead.as_nanos().div_ceil(step.as_nanos())).ok()? + 1;
        let config = ForecastConfig::new(horizon, LEVEL)
            .ok()?
            .with_bounds(0.0, f64::INFINITY)
            .ok()?;
        let config = if self.period > 0 {
            config.with_periods(&[self.period / coarse]).ok()?
        } else {
            config
        };
        let series = RegularSeries::new(Timestamp::EPOCH, step, means).ok()?;
        // What the automatic choice expects, and what was at this time a season ago: a ramp that comes every day is not to be
        // averaged away.
        let mut upper: Vec<f64> = forecast(&series, &config)
            .ok()?
            .steps
            .iter()
            .map(|step| step.hi)
            .collect();
        if self.period > 0
            && let Ok(usual) = forecast_with(&SeasonalNaive, &series, &config)
        {
            upper.extend(usual.steps.iter().map(|step| step.hi));
        }
        predicted_floor(&upper, self.capacity).ok()
    }
}
