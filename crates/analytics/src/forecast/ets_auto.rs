//! The exponential smoothing that suits a series, chosen by an information criterion.
//!
//! Source: Hyndman, Koehler, Snyder and Grose, International Journal of Forecasting 18 (2002): all forms are fitted, the
//! least AICc wins. Ours: additive errors only, start values read off instead of searched, a short search for every form
//! and a long one for the winner.

use super::ets::{Ets, Season, Trend};
use super::method::{Candidacy, Fallback, Fitted, Forecaster, SeasonUse, Training};
use super::naive::Naive;
use crate::num;

/// Exponential smoothing of the form with the least AICc: three trends times no season, an additive or a multiplicative
/// one (of the first given period).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoEts;

/// As [`AutoEts`] with short searches and forms compared on the latest values only: the one that automatic choices use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuickEts;

/// Evaluations of the search with which [`AutoEts`] compares forms, from each start; [`QuickEts`] looks once, and less the
/// longer the values are.
const EVALUATIONS: usize = 150;
const EVALUATIONS_QUICK: usize = 30;
/// Where that search begins.
const SPEEDS: [f64; 2] = [0.1, 0.5];
const SPEED_QUICK: [f64; 1] = [0.3];
/// [`QuickEts`] compares forms on so many cycles, and so many values at least.
const CYCLES_COMPARED: usize = 8;
const LEN_COMPARED: usize = 200;
/// Values the simplest form needs.
const LEN_MIN: usize = 4;

impl Forecaster for AutoEts {
    fn name(&self) -> &'static str {
        "ets"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::All
    }
    fn candidacy(&self) -> Candidacy {
        Candidacy::Never
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        LEN_MIN
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let form = chosen(training.values, training.periods, &SPEEDS, EVALUATIONS)?;
        let (fitted, _) = form.fit_from(training.values, &SPEEDS, EVALUATIONS)?;
        Ok(Box::new(fitted))
    }
}

impl Forecaster for QuickEts {
    fn name(&self) -> &'static str {
        "ets-quick"
    }
    fn seasons(&self) -> SeasonUse {
        SeasonUse::All
    }
    fn needs(&self, _periods: &[usize]) -> usize {
        LEN_MIN
    }
    fn simpler(&self) -> Option<&'static dyn Forecaster> {
        Some(&Naive)
    }
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback> {
        let longest = training
            .periods
            .first()
            .map_or(0, |p| p.saturating_mul(CYCLES_COMPARED));
        let recent = training.values.len().saturating_sub(longest.max(LEN_COMPARED));
        let form = chosen(
            &training.values[recent..],
            training.periods,
            &SPEED_QUICK,
            EVALUATIONS_QUICK,
        )?;
        Ok(Box::new(form.fit(training.values)?))
    }
}

/// The form with the least criterion; the first of equals, which is the plainest.
fn chosen(values: &[f64], periods: &[usize], speeds: &[f64], evaluations: usize) -> Result<Ets, Fallback> {
    let len = values.len();
    let mut best: Option<(f64, Ets)> = None;
    for form in forms(periods) {
        if len < form.needs() || criterion_penalty(form, len).is_none() {
            continue;
        }
        let (_, square) = form.fit_from(values, speeds, evaluations)?;
        let penalty = criterion_penalty(form, len).unwrap_or(f64::INFINITY);
        let criterion = num::count(len) * libm::log(square.max(f64::MIN_POSITIVE)) + penalty;
        if best.is_none_or(|(least, _)| criterion < least) {
            best = Some((criterion, form));
        }
    }
    best.map(|(_, form)| form)
        .ok_or(Fallback::TooShort { len, needed: LEN_MIN })
}

/// `2k + 2k(k+1)/(n-k-1)`; `None` when there are not enough values for so many parameters.
fn criterion_penalty(form: Ets, len: usize) -> Option<f64> {
    // The error's variance is a parameter too. A form without alternatives needs no criterion.
    let k = form.parameters() + form.states() + 1;
    if form == Ets::LEVEL && len < k + 2 {
        return Some(0.0);
    }
    let (n, k) = (
        num::count(len.checked_sub(k + 1).filter(|left| *left > 0)?),
        num::count(k),
    );
    Some(2.0 * k + 2.0 * k * (k + 1.0) / n)
}

fn forms(periods: &[usize]) -> Vec<Ets> {
    let mut seasons = vec![Season::None];
    if let Some(&period) = periods.first() {
        seasons.extend([Season::Additive(period), Season::Multiplicative(period)]);
    }
    let trends = [Trend::None, Trend::Damped, Trend::Straight];
    seasons
        .into_iter()
        .flat_map(|season| trends.map(|trend| Ets::new(trend, season)))
        .collect()
}
