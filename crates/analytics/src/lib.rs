//! Collection, preparation, forecasts with intervals, anomaly detection, early warning, diagnosis, alerts and autoscaling.
//!
//! Eight rooms, each usable alone: [`collect`] decides whether a sample is worth taking, [`prepare`] turns raw samples
//! into a regular grid, [`forecast`](mod@forecast) continues that grid with a prediction interval, [`detect`] judges a
//! stream sample by sample, [`warn`](mod@warn) says what will go wrong, [`diagnose`](mod@diagnose) where it began,
//! [`alert`] who is told, [`scale`] how many replicas it takes. Nothing here fetches a sample, reads a
//! clock or draws a random number: time, uniform numbers and settings are arguments, and equal input gives equal output.
//!
//! ```
//! use std::time::Duration;
//! use skyloom_analytics::{forecast::{ForecastConfig, forecast}, prepare::Pipeline};
//! use skyloom_core::{Sample, Timestamp};
//!
//! // Memory of a process in bytes, sampled about every 200 ms with some jitter.
//! let raw: Vec<Sample> = (0..60_i32)
//!     .map(|i| Sample { at: Timestamp::from_micros(i64::from(i) * 200_000 + i64::from(i % 7) * 900), value: 5e6 + f64::from(i) * 1e3 })
//!     .collect();
//! let prepared = Pipeline::gauge(Duration::from_millis(200))?.run(&raw)?;
//! let ahead = prepared.invert(&forecast(&prepared.regular, &ForecastConfig::new(10, 0.9)?)?);
//! assert!(ahead.steps.iter().all(|s| s.lo <= s.point && s.point <= s.hi));
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

pub mod alert;
mod bits;
pub mod collect;
pub mod detect;
pub mod diagnose;
pub mod forecast;
mod num;
pub mod prepare;
mod regular;
pub mod scale;
pub mod warn;

pub use regular::{RegularSeries, RegularSeriesError};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/insight.md")]
struct Guide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/analytics/detect.md")]
struct DetectGuide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/analytics/warn.md")]
struct WarnGuide;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/analytics/forecast.md")]
struct ForecastGuide;
