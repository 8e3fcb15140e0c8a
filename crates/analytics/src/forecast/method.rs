//! The seam between a forecasting method and everything around it.
//!
//! A method only fits and continues. Scaling, seasons, intervals, clipping and fallbacks are the caller's (`run`), so
//! that they are the same for all.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a method is fitted to.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// Oldest first, all within -1..=1 (the caller has scaled them), at least two, not all equal in the whole; a
    /// back-test hands in a prefix, which may be.
    pub values: &'a [f64],
    /// Seasonal periods in steps, rising, each at least 2; may be empty, may be longer than the values.
    pub periods: &'a [usize],
    /// Steps ahead that will be asked for, at least 1.
    pub horizon: usize,
}

/// How a method uses the seasons it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeasonUse {
    /// It reads none.
    None,
    /// It reads the first one; the automatic choice tries it once for each.
    Each,
    /// It reads all of them at once, and does without when there is none.
    All,
}

/// Which automatic choice may use a method; rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Candidacy {
    /// Neither: it chooses among others, or is a part of another method.
    Never,
    /// The default one.
    Thorough,
    /// The fast one too.
    Quick,
}

/// Why something simpler was done than what was asked for. It is in the result, never silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fallback {
    /// All values are equal: the forecast repeats them and the interval has no width.
    Constant,
    /// Fewer values than the method needs; a simpler one was used.
    TooShort {
        /// Values there are.
        len: usize,
        /// Values the method needs.
        needed: usize,
    },
    /// The method needs a season and none was given or found; its form without season was used.
    NoSeason,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => f.write_str("all values are equal"),
            Self::TooShort { len, needed } => write!(f, "`{len}` values where `{needed}` are needed"),
            Self::NoSeason => f.write_str("no season was given or found"),
        }
    }
}

/// An untrained forecasting method.
///
/// # Contract
/// - Deterministic: equal training gives equal results, and no state is kept between calls.
/// - Equivariant: `values → a·values + b` with `a > 0` moves the forecasts accordingly, up to rounding.
/// - `fit` never panics, whatever finite values it gets, and succeeds whenever [`Forecaster::needs`] is met.
/// - [`Forecaster::simpler`] leads to a method that always fits in a few steps.
pub trait Forecaster: fmt::Debug + Send + Sync {
    /// Short, lower-case, unique in [`BUILTIN`](super::BUILTIN).
    fn name(&self) -> &'static str;

    /// Whether and how it reads `periods`.
    fn seasons(&self) -> SeasonUse {
        SeasonUse::None
    }

    /// Which automatic choice may use it.
    fn candidacy(&self) -> Candidacy {
        Candidacy::Thorough
    }

    /// The least number of values it can be fitted to, with the first of these periods when it is seasonal.
    fn needs(&self, periods: &[usize]) -> usize;

    /// What to use instead when it cannot be fitted; `None` for a method that always can.
    fn simpler(&self) -> Option<&'static dyn Forecaster>;

    /// Fits it.
    ///
    /// # Errors
    /// The [`Fallback`] that says why it cannot be fitted.
    fn fit(&self, training: &Training<'_>) -> Result<Box<dyn Fitted>, Fallback>;
}

/// A trained method, which still knows what it would have said at each point of its history.
pub trait Fitted: fmt::Debug + Send + Sync {
    /// Formula 8 of docs/fidelity.md: the next `horizon` values after the first `origin` of the history, from those
    /// `origin` values alone and the fitted parameters. `first_origin() <= origin <= len`; `origin = len` is the
    /// forecast, smaller ones are hindcasts that the interval is made from. Finite, of length `horizon`.
    fn path(&self, origin: usize, horizon: usize) -> Vec<f64>;

    /// Takes in the value after the last one, with the parameters as they are; origins up to the new length are then
    /// allowed.
    fn push(&mut self, value: f64);

    /// The first origin whose path does not lean on values after it (start values may be averages of the beginning).
    fn first_origin(&self) -> usize;

    /// How the standard error grows with the lead, relative to one step, if the model is right: `horizon` numbers from
    /// 1, never falling.
    fn spread(&self, horizon: usize) -> Vec<f64>;

    /// Number of estimated parameters, start values not counted.
    fn parameters(&self) -> usize;

    /// What it is made of; empty for a single method.
    fn members(&self) -> Vec<Member> {
        Vec::new()
    }
}

/// One method inside a combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name in [`BUILTIN`](super::BUILTIN).
    pub name: String,
    /// The period it was given, for a seasonal method.
    pub period: Option<usize>,
    /// Its share in the forecast, in 0..=1; all shares sum to 1.
    pub weight: f64,
    /// Mean absolute error in the back-test, in the unit of the series.
    pub error: f64,
}
