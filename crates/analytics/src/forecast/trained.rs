//! A method fitted to a history, with everything around it: scale, find the season, fit (or fall back and say so), add the
//! interval, scale back. Values that come later are taken in without a new fit.

use skyloom_core::Timestamp;

use super::Naive;
use super::config::{ForecastConfig, Seasons};
use super::interval::{Interval, interval};
use super::method::{Fallback, Fitted, Forecaster, Training};
use super::run::{Forecast, ForecastError, ForecastStep, IntervalSource};
use super::scale::{Bend, Shape};
use super::season::detect_periods;
use crate::num::{Unit, saturate};

/// Steps of [`Forecaster::simpler`] that are followed before the naive method is used; the built-in chain has three.
const SIMPLER_MAX: usize = 8;
/// Values from which on an interval may widen with the level: fewer cannot tell a bend from luck.
const BEND_LEN_MIN: usize = 60;
/// Later values farther out than this many half ranges of the history are taken in as if they were there.
const UNIT_MAX: f64 = 1e6;

/// A fitted method, or the one value that a constant history has.
#[derive(Debug)]
pub(crate) enum Trained {
    Constant { value: f64, len: usize },
    Varied(Box<Varied>),
}

/// A method fitted to a history that varies.
#[derive(Debug)]
pub(crate) struct Varied {
    unit: Unit,
    bend: Bend,
    name: &'static str,
    fitted: Box<dyn Fitted>,
    fallback: Option<Fallback>,
    periods: Vec<usize>,
    interval: Interval,
    /// Values it was fitted to, those it has taken in, and the last one on the unit scale.
    fitted_to: usize,
    len: usize,
    last: f64,
}

impl Trained {
    /// Fits the method to all of the history.
    pub(crate) fn on(method: &dyn Forecaster, history: &[f64], config: &ForecastConfig) -> Result<Self, ForecastError> {
        let len = history.len();
        let Some(&last) = history.last().filter(|_| len > 1) else {
            return Err(ForecastError::TooShort { len });
        };
        let Some(unit) = Unit::of(history) else {
            return Ok(Self::Constant { value: last, len });
        };
        let values: Vec<f64> = history.iter().map(|v| unit.to_unit(*v)).collect();
        let periods = match &config.seasons {
            Seasons::None => Vec::new(),
            Seasons::Given(periods) => periods.clone(),
            Seasons::Detect => detect_periods(&values),
        };
        let training = Training {
            values: &values,
            periods: &periods,
            horizon: config.horizon,
        };
        let (name, fitted, fallback) = fit(method, &training);
        let bend = if len < BEND_LEN_MIN {
            Bend::STRAIGHT
        } else {
            Bend::fit(Shape::Log, &values, periods.first().copied())
        };
        let interval = interval(fitted.as_ref(), &values, config.horizon, config.level, bend);
        Ok(Self::Varied(Box::new(Varied {
            unit,
            bend,
            name,
            fitted,
            fallback,
            interval,
            fitted_to: len,
            len,
            last: unit.to_unit(last),
            periods,
        })))
    }

    /// Takes in the next value with the parameters as they are; false when only a new fit can: a constant history has
    /// begun to vary.
    pub(crate) fn push(&mut self, next: f64) -> bool {
        match self {
            Self::Constant { value, len } => {
                *len += 1;
                next.to_bits() == value.to_bits()
            }
            Self::Varied(varied) => {
                varied.last = varied.unit.to_unit(next).clamp(-UNIT_MAX, UNIT_MAX);
                varied.fitted.push(varied.last);
                varied.len += 1;
                true
            }
        }
    }

    /// The forecast from the last value on; `at` gives the time of a lead, from 0.
    pub(crate) fn ahead(&self, config: &ForecastConfig, at: impl Fn(usize) -> Timestamp) -> Forecast {
        match self {
            Self::Constant { value, len } => constant(*value, *len, config, at),
            Self::Varied(varied) => varied.ahead(config, at),
        }
    }
}

impl Varied {
    fn ahead(&self, config: &ForecastConfig, at: impl Fn(usize) -> Timestamp) -> Forecast {
        let path = self.fitted.path(self.len, config.horizon);
        let to_value = |z: f64| saturate(self.unit.to_value(saturate(z)).clamp(config.floor, config.ceiling));
        let step = |lead: usize| {
            let z = if path[lead].is_nan() { self.last } else { path[lead] };
            let (centre, reach) = (self.bend.apply(z), self.interval.reach[lead]);
            ForecastStep {
                at: at(lead),
                lo: to_value(self.bend.undo(centre - reach).min(z)),
                point: to_value(z),
                hi: to_value(self.bend.undo(centre + reach).max(z)),
            }
        };
        let mut members = self.fitted.members();
        for member in &mut members {
            member.error = saturate(member.error * self.unit.half());
        }
        let errors = self.interval.errors;
        Forecast {
            method: self.name.to_owned(),
            members,
            fallback: self.fallback,
            values_used: self.fitted_to,
            periods: self.periods.clone(),
            level: config.level,
            interval: if self.interval.is_conformal {
                IntervalSource::Conformal { errors }
            } else {
                IntervalSource::StudentT { errors }
            },
            steps: (0..config.horizon).map(step).collect(),
        }
    }
}

/// Fits the method, or the first simpler one that fits; the reason kept is the first one.
fn fit(method: &dyn Forecaster, training: &Training<'_>) -> (&'static str, Box<dyn Fitted>, Option<Fallback>) {
    let mut reason = match method.fit(training) {
        Ok(fitted) => return (method.name(), fitted, None),
        Err(reason) => Some(reason),
    };
    let mut next = method.simpler();
    for _ in 0..SIMPLER_MAX {
        let Some(simpler) = next else { break };
        match simpler.fit(training) {
            Ok(fitted) => return (simpler.name(), fitted, reason),
            Err(other) => reason = reason.or(Some(other)),
        }
        next = simpler.simpler();
    }
    (Naive.name(), Naive::fitted(training.values), reason)
}

/// The forecast of a series that never varied.
fn constant(value: f64, len: usize, config: &ForecastConfig, at: impl Fn(usize) -> Timestamp) -> Forecast {
    let value = saturate(value.clamp(config.floor, config.ceiling));
    let step = |lead| ForecastStep {
        at: at(lead),
        lo: value,
        point: value,
        hi: value,
    };
    Forecast {
        method: Naive.name().to_owned(),
        members: Vec::new(),
        fallback: Some(Fallback::Constant),
        values_used: len,
        periods: Vec::new(),
        level: config.level,
        interval: IntervalSource::Constant,
        steps: (0..config.horizon).map(step).collect(),
    }
}
