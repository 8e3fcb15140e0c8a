//! Usage of replicas as series: sampled through drivers, judged value by value, forecast on request.
//!
//! The judging and forecasting are `skyloom-analytics`'; this asks drivers, turns counters into rates and keeps bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use skyloom_analytics::detect::{Detector, Verdict};
use skyloom_analytics::forecast::{Forecast, ForecastConfig, ForecastConfigError, ForecastError, forecast};
use skyloom_analytics::prepare::{Pipeline, PipelineError, PrepareError};
use skyloom_core::{Class, ReplicaId, ResourceId, Sample, Series};
use skyloom_provider::{DriverError, Usage};
use thiserror::Error;

use crate::shared::Shared;
use crate::store::State;

/// What is measured of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Processor time per time, in cores.
    Cpu,
    /// Resident memory, in bytes.
    Memory,
    /// Bytes received per second over the network.
    NetworkIn,
    /// Bytes sent per second over the network.
    NetworkOut,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::NetworkIn, Self::NetworkOut];
}

/// Why there is no forecast of a metric.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum InsightError {
    /// Nothing has been sampled of it.
    #[error("find samples of {metric:?} of `{replica}`")]
    NoSamples {
        /// Which replica.
        replica: ReplicaId,
        /// Which metric.
        metric: Metric,
    },
    /// The grid is out of range.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The samples could not be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// What is asked for is out of range.
    #[error(transparent)]
    Config(#[from] ForecastConfigError),
    /// The samples cannot be forecast.
    #[error(transparent)]
    Forecast(#[from] ForecastError),
}

impl InsightError {
    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NoSamples { .. } => Class::NotFound,
            Self::Pipeline(error) => error.class(),
            Self::Prepare(error) => error.class(),
            Self::Config(error) => error.class(),
            Self::Forecast(error) => error.class(),
        }
    }
}

/// One value that was taken, and what the detector says of it.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// Which replica.
    pub replica: ReplicaId,
    /// Which metric.
    pub metric: Metric,
    /// When and what.
    pub sample: Sample,
    /// Whether it is as expected.
    pub verdict: Verdict,
}

/// Series and detectors of everything that runs.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    tracked: BTreeMap<(ReplicaId, Metric), Tracked>,
    /// The counters behind the rates; of a resource, because a replaced replica counts from zero.
    last: BTreeMap<ResourceId, Usage>,
}

#[derive(Debug, Default)]
struct Tracked {
    series: Series,
    detector: Detector,
}

impl Metrics {
    /// Takes one sample of every live replica. Drivers that cannot measure are passed over.
    pub(crate) async fn sample(&mut self, shared: &Shared, state: &State) -> Vec<Taken> {
        let asked = state.replicas.iter().filter_map(|(id, known)| {
            let driver = shared.drivers.for_cloud(&known.spec.site.region.cloud)?;
            let measures = driver.capabilities().usage;
            measures.then_some(async move { (id, &known.spec.replica, driver.usage(id).await) })
        });
        let answers: Vec<(&ResourceId, &ReplicaId, Result<Usage, DriverError>)> = join_all(asked).await;
        let mut taken = Vec::new();
        let mut last = BTreeMap::new();
        for (id, replica, answer) in answers {
            let Ok(usage) = answer else { continue };
            if let Some(before) = self.last.get(id) {
                for (metric, value) in rates(before, &usage) {
                    let sample = Sample { at: usage.at, value };
                    taken.extend(self.take(replica, metric, sample, shared.config.samples_kept_max));
                }
            }
            last.insert(id.clone(), usage);
        }
        self.last = last;
        taken
    }

    /// Keeps and judges one value; `None` for one that is not later than the last (a clock that went back).
    pub(crate) fn take(
        &mut self,
        replica: &ReplicaId,
        metric: Metric,
        sample: Sample,
        kept_max: usize,
    ) -> Option<Taken> {
        let tracked = self.tracked.entry((replica.clone(), metric)).or_default();
        tracked.series.push(sample).ok()?;
        tracked.series.keep_last(kept_max);
        let verdict = tracked.detector.push(sample).ok()?;
        Some(Taken {
            replica: replica.clone(),
            metric,
            sample,
            verdict,
        })
    }

    pub(crate) fn series(&self, replica: &ReplicaId, metric: Metric) -> Option<&Series> {
        self.tracked
            .get(&(replica.clone(), metric))
            .map(|tracked| &tracked.series)
    }

    /// The mean of the last `count` values.
    pub(crate) fn recent_mean(&self, replica: &ReplicaId, metric: Metric, count: usize) -> Option<f64> {
        let samples = self.series(replica, metric)?.samples();
        let recent = &samples[samples.len().saturating_sub(count)..];
        let length = u32::try_from(recent.len()).ok().filter(|n| *n > 0)?;
        Some(recent.iter().map(|sample| sample.value).sum::<f64>() / f64::from(length))
    }

    /// A forecast over `ahead` on a grid of `step`, with an interval that holds a share of `level` of the future.
    pub(crate) fn forecast(
        &self,
        replica: &ReplicaId,
        metric: Metric,
        step: Duration,
        ahead: Duration,
        level: f64,
    ) -> Result<Forecast, InsightError> {
        let missing = || InsightError::NoSamples {
            replica: replica.clone(),
            metric,
        };
        let series = self
            .series(replica, metric)
            .filter(|series| !series.is_empty())
            .ok_or_else(missing)?;
        let prepared = Pipeline::gauge(step)?.run(series.samples())?;
        let horizon = ahead.as_nanos().div_ceil(step.as_nanos().max(1));
        let horizon = usize::try_from(horizon).unwrap_or(usize::MAX);
        // None of the metrics can be negative.
        let config = ForecastConfig::new(horizon, level)?.with_bounds(0.0, f64::INFINITY)?;
        Ok(prepared.invert(&forecast(&prepared.regular, &config)?))
    }
}

/// Counters of two moments as rates between them, and memory as it is now. Nothing when no time has passed.
fn rates(before: &Usage, now: &Usage) -> Vec<(Metric, f64)> {
    let seconds = now.at.saturating_since(before.at).as_secs_f64();
    if seconds <= 0.0 {
        return Vec::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "bytes of one process are far below 2^53")]
    let bytes = |amount: skyloom_core::Bytes| amount.as_bytes() as f64;
    let per_second = |metric, before: Option<skyloom_core::Bytes>, now: Option<skyloom_core::Bytes>| {
        let moved = now?.checked_sub(before?)?;
        Some((metric, bytes(moved) / seconds))
    };
    let cpu = now.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds;
    let mut rates = vec![(Metric::Cpu, cpu), (Metric::Memory, bytes(now.memory))];
    rates.extend(per_second(Metric::NetworkIn, before.network_in, now.network_in));
    rates.extend(per_second(Metric::NetworkOut, before.network_out, now.network_out));
    rates
}
