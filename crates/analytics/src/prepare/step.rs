//! The steps a pipeline is made of, as data: what each does, with which settings, and whether it can be undone.

use std::time::Duration;

/// One step of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Drops values that are not finite, restores rising time and settles duplicates. First in every pipeline.
    Order(Order),
    /// Turns an ever rising counter into a rate per second between neighbouring samples. A fall is a restart (or a wrap)
    /// from zero, as Prometheus' `rate` takes it: the new reading is what was counted since. One sample is used up.
    CounterToRate,
    /// Pulls outliers back to the border of what the neighbourhood explains. Looks both ways, so it is for histories,
    /// never in front of a detector.
    Hampel(Hampel),
    /// Lays the samples on a regular grid and closes short gaps.
    Resample(Resample),
    /// `ln(1 + y)`; values above -1.
    Log1p,
    /// Box and Cox's power transform `(y^λ - 1) / λ`, or `ln y` for `λ = 0`; values above 0. `None` fits `λ` in -1..=2
    /// by maximum likelihood.
    BoxCox {
        /// The power, or `None` to fit it.
        lambda: Option<f64>,
    },
    /// Finds the seasonal periods ([`detect_periods`](crate::forecast::detect_periods)) of the values as they are at this
    /// point and puts them beside the result; changes no value.
    Seasons,
    /// Subtracts the mean and divides by the standard deviation (by 1 when that is 0).
    Standardise,
}

/// Whether a step can be undone on a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inversion {
    /// Yes: [`Prepared::invert`](super::Prepared::invert) does it.
    Invertible,
    /// No, and there is no need: it repairs or observes samples and keeps their unit. What was dropped is gone.
    Repair,
    /// No, and the unit changes: forecasts stay in the new one.
    ChangesUnit,
}

/// What to do with samples whose time is not after the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disorder {
    /// Sort by time; of equal times the order of arrival is kept.
    Sort,
    /// Drop a sample that comes after a later one: what a stream can do.
    DropLate,
    /// Refuse the input.
    Refuse,
}

/// What to do with several samples of one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// Keep the first to arrive.
    First,
    /// Keep the last to arrive.
    Last,
    /// Keep their mean.
    Mean,
    /// Refuse the input.
    Refuse,
}

/// Settings of [`Step::Order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Time going backwards.
    pub disorder: Disorder,
    /// Time standing still.
    pub duplicates: Duplicates,
}

/// Settings of [`Step::Hampel`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hampel {
    /// Neighbours looked at on each side, 1 to 1,000.
    pub half_window: usize,
    /// Distance from the neighbourhood's median that is left alone, in robust standard deviations (1.4826 · MAD);
    /// positive, 3 is usual. Where more than half of a neighbourhood is equal (MAD 0) nothing is touched.
    pub threshold: f64,
}

/// How the samples of one grid cell become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Their mean.
    Mean,
    /// The latest of them.
    Last,
}

/// How a cell without a sample gets a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// On the straight line between its neighbours.
    Linear,
    /// The last value before it, carried forward.
    Locf,
}

/// What to do with a gap that is too long to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongGap {
    /// Refuse the input.
    Refuse,
    /// Split there: the latest part is the result, the ones before are kept beside it.
    Split,
}

/// Settings of [`Step::Resample`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resample {
    /// Width of a cell: whole microseconds, above zero. Cell borders are multiples of it since the epoch, so that
    /// several series share a grid; a value carries the time of its cell's beginning.
    pub step: Duration,
    /// How the samples of a cell become one value.
    pub aggregate: Aggregate,
    /// How an empty cell gets one.
    pub fill: Fill,
    /// Longest run of empty cells that is filled, as time; zero fills nothing.
    pub gap_max: Duration,
    /// What to do with a longer one.
    pub long_gap: LongGap,
}

impl Step {
    /// Its name, as reports and errors give it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::CounterToRate => "counter-to-rate",
            Self::Hampel(_) => "hampel",
            Self::Resample(_) => "resample",
            Self::Log1p => "log1p",
            Self::BoxCox { .. } => "box-cox",
            Self::Seasons => "seasons",
            Self::Standardise => "standardise",
        }
    }

    /// Whether it can be undone on a forecast.
    #[must_use]
    pub const fn inversion(&self) -> Inversion {
        match self {
            Self::Order(_) | Self::Hampel(_) | Self::Resample(_) | Self::Seasons => Inversion::Repair,
            Self::CounterToRate => Inversion::ChangesUnit,
            Self::Log1p | Self::BoxCox { .. } | Self::Standardise => Inversion::Invertible,
        }
    }

    /// Whether it is undone on a forecast.
    #[must_use]
    pub const fn is_invertible(&self) -> bool {
        matches!(self.inversion(), Inversion::Invertible)
    }
}
