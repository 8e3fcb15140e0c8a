//! What is asked of a forecast: how far, how sure, which seasons. Checked here once, trusted afterwards.

use serde::{Deserialize, Serialize};
use skyloom_core::Class;
use thiserror::Error;

/// Longest horizon: more steps than any history here could support, few enough to hold.
pub const HORIZON_MAX: usize = 100_000;
/// Values used of a longer history, the latest ones: two weeks of five-minute data; it bounds the time of a fit.
pub const HISTORY_MAX: usize = 4096;
/// Most seasonal periods: hour, day, week and year with their harmonics are fewer.
pub const PERIODS_MAX: usize = 8;

/// The share of future values an interval is meant to hold: strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Level(f64);

impl Level {
    /// A checked level.
    ///
    /// # Errors
    /// [`ForecastConfigError::Level`] unless `0 < level < 1`.
    pub fn new(level: f64) -> Result<Self, ForecastConfigError> {
        if level > 0.0 && level < 1.0 {
            Ok(Self(level))
        } else {
            Err(ForecastConfigError::Level { level })
        }
    }

    /// The share, strictly between 0 and 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Level {
    type Error = ForecastConfigError;
    fn try_from(level: f64) -> Result<Self, ForecastConfigError> {
        Self::new(level)
    }
}

impl From<Level> for f64 {
    fn from(level: Level) -> Self {
        level.0
    }
}

/// Where the seasonal periods come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Seasons {
    /// Found by autocorrelation ([`detect_period`](super::detect_period)).
    #[default]
    Detect,
    /// There are none.
    None,
    /// These, in steps of the grid, rising and distinct; made by [`ForecastConfig::with_periods`].
    Given(Vec<usize>),
}

/// What is asked of one forecast.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ForecastConfig {
    pub(crate) horizon: usize,
    pub(crate) level: Level,
    pub(crate) seasons: Seasons,
    pub(crate) floor: f64,
    pub(crate) ceiling: f64,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum ForecastConfigError {
    /// The horizon is 0 or beyond [`HORIZON_MAX`].
    #[error("forecast `{horizon}` steps: it must be 1 to `{HORIZON_MAX}`")]
    Horizon {
        /// Steps asked for.
        horizon: usize,
    },
    /// The level is not strictly between 0 and 1.
    #[error("hold a share of `{level}` of the future: it must be strictly between 0 and 1")]
    Level {
        /// The level asked for.
        level: f64,
    },
    /// A period is below 2 steps.
    #[error("use a season of `{period}` steps: it must be at least 2")]
    Period {
        /// The period asked for.
        period: usize,
    },
    /// More than [`PERIODS_MAX`] periods.
    #[error("use `{count}` seasons: at most `{PERIODS_MAX}` are allowed")]
    TooManyPeriods {
        /// Number of periods asked for.
        count: usize,
    },
    /// Not `floor <= ceiling`, or one of them is NaN.
    #[error("keep a forecast within `{floor}` and `{ceiling}`: the first must not be above the second")]
    Bounds {
        /// Least value asked for.
        floor: f64,
        /// Largest value asked for.
        ceiling: f64,
    },
}

impl ForecastConfigError {
    /// Always [`Class::Invalid`]: the same request will fail again.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl ForecastConfig {
    /// `horizon` steps of the grid ahead, with an interval that holds a share of `level`; the season is detected, the
    /// values are unbounded.
    ///
    /// # Errors
    /// [`ForecastConfigError::Horizon`] outside `1..=HORIZON_MAX`, [`ForecastConfigError::Level`] unless `0 < level < 1`.
    pub fn new(horizon: usize, level: f64) -> Result<Self, ForecastConfigError> {
        if horizon == 0 || horizon > HORIZON_MAX {
            return Err(ForecastConfigError::Horizon { horizon });
        }
        Ok(Self {
            horizon,
            level: Level::new(level)?,
            seasons: Seasons::Detect,
            floor: f64::NEG_INFINITY,
            ceiling: f64::INFINITY,
        })
    }

    /// Gives the seasonal periods in steps of the grid, in any order; none at all means no season.
    ///
    /// # Errors
    /// [`ForecastConfigError::Period`] for one below 2, [`ForecastConfigError::TooManyPeriods`].
    pub fn with_periods(mut self, periods: &[usize]) -> Result<Self, ForecastConfigError> {
        if let Some(&period) = periods.iter().find(|p| **p < 2) {
            return Err(ForecastConfigError::Period { period });
        }
        if periods.len() > PERIODS_MAX {
            return Err(ForecastConfigError::TooManyPeriods { count: periods.len() });
        }
        let mut given = periods.to_vec();
        given.sort_unstable();
        given.dedup();
        self.seasons = if given.is_empty() {
            Seasons::None
        } else {
            Seasons::Given(given)
        };
        Ok(self)
    }

    /// Clips points and intervals to `floor..=ceiling`, for quantities that cannot leave it (a CPU share, bytes in use);
    /// infinities leave a side open.
    ///
    /// # Errors
    /// [`ForecastConfigError::Bounds`] when `floor > ceiling` or one is NaN.
    pub fn with_bounds(mut self, floor: f64, ceiling: f64) -> Result<Self, ForecastConfigError> {
        if floor <= ceiling {
            (self.floor, self.ceiling) = (floor, ceiling);
            Ok(self)
        } else {
            Err(ForecastConfigError::Bounds { floor, ceiling })
        }
    }

    /// Steps ahead, 1..=[`HORIZON_MAX`].
    #[must_use]
    pub const fn horizon(&self) -> usize {
        self.horizon
    }

    /// The share of future values the interval is meant to hold.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }
}
