//! The three baselines: last value, last value with drift, last season. Every other method has to beat them.
//!
//! Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., section 5.2 (methods) and
//! section 5.5 (growth of their standard errors).

use super::method::{Candidacy, Fallback, Fitted, Forecaster, SeasonUse, Training};
use crate::num;

/// Repeats the last value. Fits anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naive;

/// Continues the straight line from the first value to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift;

/// Repeats the last full season (of the first given period).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeasonalNaive;

/// Values a drift needs: the slope is one parameter, and two points would make it a perfect fit.
const DRIFT_LEN_MIN: usize = 4;

#[derive(Debug)]
struct FittedNaive {
    values: Vec<f64>,
    /// Values one period back are repeated; 1 for the plain naive.
    period: usize,
    drift: bool,
}

impl Forecaster for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }
    fn candidacy(&self) -> Candidacy {
        Candidacy::Quick
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        1
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        None
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        FittedNaive::fit(training.values, 1, false, 1)
    }
}

impl Forecaster for Drift {
    fn name(&self) -> &'static str {
        "drift"
    }
    fn candidacy(&self) -> Candidacy {
        Candidacy::Quick
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        DRIFT_LEN_MIN
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        FittedNaive::fit(training.values, 1, true, self.needs(training.periods))
    }
}

impl Forecaster for SeasonalNaive {
    fn name(&self) -> &'static str {
        "seasonal-naive"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::Each
    }
    fn candidacy(&self) -> Candidacy {
        Candidacy::Quick
    }
    /// One season to repeat, and one value to see an error of.
    fn needs(&self, periods: &[usize]) -> usize {
        periods.first().map_or(2, |p| p.saturating_add(1))
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let period = *training.periods.first().ok_or(Fallback::NoSeason)?;
        FittedNaive::fit(training.values, period, false, self.needs(training.periods))
    }
}

impl Naive {
    /// The fit that cannot fail: there is at least one value.
    pub(crate) fn fitted(values: &[f64]) -> Box<dyn Fitted> {
        Box::new(FittedNaive {
            values: values.to_vec(),
            period: 1,
            drift: false,
        })
    }
}

impl FittedNaive {
    fn fit(values: &[f64], period: usize, drift: bool, needed: usize) -> Result<Box<dyn Fitted>, Fallback> {
        if values.len() < needed {
            return Err(Fallback::TooShort {
                len: values.len(),
                needed,
            });
        }
        Ok(Box::new(Self {
            values: values.to_vec(),
            period,
            drift,
        }))
    }

    /// Slope of the line from the first to the last of `origin` values.
    fn slope(&self, origin: usize) -> f64 {
        if self.drift && origin > 1 {
            (self.values[origin - 1] - self.values[0]) / num::count(origin - 1)
        } else {
            0.0
        }
    }
}

impl Fitted for FittedNaive {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        let season = &self.values[origin - self.period..origin];
        let slope = self.slope(origin);
        (0..horizon)
            .map(|lead| season[lead % self.period] + slope * num::count(lead + 1))
            .collect()
    }

    fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    fn first_origin(&self) -> usize {
        self.period.max(if self.drift { 2 } else { 1 })
    }

    /// `√h` for the naive, `√(h·(1 + h/(n-1)))` with drift, `√(number of seasons begun)` for the seasonal one.
    fn spread(&self, horizon: usize) -> Vec<f64> {
        let n = num::count(self.values.len().saturating_sub(1).max(1));
        let at = |lead: usize| {
            let h = num::count((lead - 1) / self.period + 1);
            if self.drift {
                (h * (1.0 + h / n)).sqrt()
            } else {
                h.sqrt()
            }
        };
        let one = at(1);
        (1..=horizon).map(|lead| at(lead) / one).collect()
    }

    fn parameters(&self) -> usize {
        usize::from(self.drift)
    }
}
