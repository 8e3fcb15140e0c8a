//! Decomposition, then smoothing: seasons are repeated as they were last, what is left of the series is continued by
//! exponential smoothing with a damped trend.
//!
//! Source: Bandara, Hyndman and Bergmeir, MSTL (2021, arXiv 2107.13462), section 4; the decomposition is `decompose`'s.

use super::decompose::decompose;
use super::ets::{Ets, FittedEts};
use super::method::{Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use super::scale::{Bend, Shape};

/// Seasons by decomposition, the rest by a damped trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mstl;

/// Cycles of a period that must be there; longer periods are left out.
const CYCLES_MIN: usize = 2;

#[derive(Debug, Clone)]
struct FittedMstl {
    bend: Bend,
    periods: Vec<usize>,
    /// One for each period; grows by repetition.
    seasons: Vec<Vec<f64>>,
    adjusted: FittedEts,
}

impl Forecaster for Mstl {
    fn name(&self) -> &'static str {
        "mstl"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::All
    }
    fn needs(&self, periods: &[usize]) -> usize {
        let shortest = periods.first().map(|p| p.saturating_mul(CYCLES_MIN));
        shortest.map_or(usize::MAX, |needed| needed.max(Ets::TREND.needs()))
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let (len, needed) = (training.values.len(), self.needs(training.periods));
        if training.periods.is_empty() {
            return Err(Fallback::NoSeason);
        }
        if len < needed {
            return Err(Fallback::TooShort { len, needed });
        }
        let fits = |p: &&usize| p.saturating_mul(CYCLES_MIN) <= len;
        let periods: Vec<usize> = training.periods.iter().filter(fits).copied().collect();
        let bend = Bend::fit(Shape::Log, training.values, periods.first().copied());
        let z: Vec<f64> = training.values.iter().map(|v| bend.apply(*v)).collect();
        let parts = decompose(&z, &periods);
        let adjusted: Vec<f64> = parts.trend.iter().zip(&parts.rest).map(|(t, r)| t + r).collect();
        Ok(Box::new(FittedMstl {
            bend,
            periods,
            seasons: parts.seasons,
            adjusted: Ets::TREND.fit(&adjusted)?,
        }))
    }
}

impl FittedMstl {
    /// All seasons together at a time, which may lie beyond what is known: the last cycle before `known` is repeated.
    fn season(&self, time: usize, known: usize) -> f64 {
        let of = |(season, period): (&Vec<f64>, &usize)| {
            let cycles = (time + 1).saturating_sub(known).div_ceil(*period);
            season[time - cycles * period]
        };
        self.seasons.iter().zip(&self.periods).map(of).sum()
    }
}

impl Fitted for FittedMstl {
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64> {
        let adjusted = self.adjusted.path(origin, horizon);
        (adjusted.iter().enumerate())
            .map(|(lead, v)| self.bend.undo(v + self.season(origin + lead, origin)))
            .collect()
    }

    fn push(&mut self, value: f64) {
        let known = self.seasons.first().map_or(0, Vec::len);
        self.adjusted.push(self.bend.apply(value) - self.season(known, known));
        for (season, period) in self.seasons.iter_mut().zip(&self.periods) {
            season.push(season[season.len() - period]);
        }
    }

    fn first_origin(&self) -> usize {
        let longest = self.periods.last().copied().unwrap_or(1);
        longest.max(self.adjusted.first_origin())
    }

    fn spread(&self, horizon: usize) -> Vec<f64> {
        self.adjusted.spread(horizon)
    }

    fn parameters(&self) -> usize {
        self.adjusted.parameters()
    }
}
