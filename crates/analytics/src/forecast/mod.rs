//! Forecasts, formula 8 of docs/fidelity.md: `Ŷ(t) = g(Y, θ)`, always with a prediction interval.
//!
//! A method implements [`Forecaster`] in a file of its own and has one line in [`BUILTIN`]; the properties in the tests,
//! the automatic choice ([`Auto`]) and the docs iterate over that table. Intervals do not belong to the methods: they
//! come from each method's own hindcasts (`interval`), so that a new one gets honest intervals for free.

mod analog;
mod auto;
mod combine;
mod config;
mod decompose;
mod double;
mod ets;
mod ets_auto;
mod interval;
mod lagged;
mod linear;
mod method;
mod mstl;
mod naive;
mod online;
mod run;
mod scale;
pub mod score;
mod search;
mod season;
mod theta;
mod trained;

pub use analog::Analog;
pub use auto::{Auto, Fast};
pub use config::{ForecastConfig, ForecastConfigError, HISTORY_MAX, HORIZON_MAX, Level, PERIODS_MAX, Seasons};
pub use decompose::{Decomposition, decompose};
pub use double::DoubleSeason;
pub use ets::{Ets, FittedEts, HoltDamped, HoltWinters, Season, SimpleExp, Trend};
pub use ets_auto::{AutoEts, QuickEts};
pub use lagged::Lagged;
pub use method::{Candidacy, Fallback, Fitted, Forecaster, Member, SeasonUse, Training};
pub use mstl::Mstl;
pub use naive::{Drift, Naive, SeasonalNaive};
pub use online::{ONLINE_STATE_VERSION, Online, OnlineError, OnlineState};
pub use run::{Forecast, ForecastError, ForecastStep, IntervalSource, forecast, forecast_with};
pub use season::{detect_period, detect_periods};
pub use theta::Theta;

/// Every built-in method. A new one is one file and one line here.
pub const BUILTIN: &[&dyn Forecaster] = &[
    &Naive,
    &Drift,
    &SeasonalNaive,
    &SimpleExp,
    &HoltDamped,
    &HoltWinters,
    &AutoEts,
    &QuickEts,
    &Theta,
    &Mstl,
    &DoubleSeason,
    &Analog,
    &lagged::LAGGED,
    &lagged::LAGGED_ROOT,
    &lagged::LAGGED_STEP,
    &lagged::LAGGED_SEASON,
    &lagged::LAGGED_FOURIER,
    &lagged::LAGGED_PROFILE,
    &Auto,
    &Fast,
];

/// The built-in method of that name, as [`Forecaster::name`] gives it.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Forecaster> {
    BUILTIN.iter().copied().find(|f| f.name() == name)
}
