//! Usage of replicas as series: sampled through drivers, judged value by value, forecast on request.
//!
//! The judging and forecasting are `skyloom-analytics`'; this asks drivers, turns counters into rates and keeps bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use skyloom_analytics::detect::{Detector, Verdict};
use skyloom_analytics::forecast::{Forecast, ForecastConfig, ForecastConfigError, ForecastError, forecast};
use skyloom_analytics::prepare::{Pipeline, PipelineError, PrepareError};
use skyloom_core::{Class, ReplicaId, ResourceId, Sample, Series, Timestamp};
use skyloom_provider::{DriverError, Usage};
use thiserror::Error;

use crate::pace::{Adaptive, Pace};
use crate::shared::Shared;
use crate::store::State;

/// Most series kept at once: all metrics of as many replicas as a placement takes by default. Values may come from the
/// embedder, under any name, and each series takes memory.
const SERIES_MAX: usize = 4 * 10_000;

/// A difference in bytes of memory that is too small to matter. Linux counts resident pages per task in batches of 64, so
/// an idle process stands still and then steps by up to 64 pages of 4 KiB.
const MEMORY_RESOLUTION: f64 = 262_144.0;

/// What is measured of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
#[non_exhaustive]
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
    /// How closely each resource is followed, where that is adaptive.
    paces: BTreeMap<ResourceId, BTreeMap<Metric, Pace>>,
}

#[derive(Debug)]
struct Tracked {
    series: Series,
    detector: Detector,
}

impl Tracked {
    fn new(metric: Metric) -> Self {
        let detector = match metric {
            Metric::Memory => Detector::light().with_resolution(MEMORY_RESOLUTION),
            Metric::Cpu | Metric::NetworkIn | Metric::NetworkOut => Ok(Detector::light()),
        };
        Self {
            series: Series::default(),
            detector: detector.expect("invariant: the resolution is finite and not negative"),
        }
    }
}

impl Metrics {
    /// Takes one sample of every live replica. Drivers that cannot measure are passed over; series of replicas that the
    /// state does not know any more end here.
    pub(crate) async fn sample(&mut self, shared: &Shared, state: &State) -> Vec<Taken> {
        self.keep_only(&state.replicas.values().map(|known| &known.spec.replica).collect());
        self.paces.retain(|id, _| state.replicas.contains_key(id));
        let now = shared.now();
        let resting: BTreeSet<ResourceId> = state
            .replicas
            .keys()
            .filter(|id| !self.is_due(id, now))
            .cloned()
            .collect();
        let asked = state.replicas.iter().filter_map(|(id, known)| {
            if resting.contains(id) {
                return None;
            }
            let driver = shared.drivers.for_cloud(&known.spec.site.region.cloud)?;
            let measures = driver.capabilities().usage;
            measures.then_some(async move { (id, &known.spec.replica, driver.usage(id).await) })
        });
        let answers: Vec<(&ResourceId, &ReplicaId, Result<Usage, DriverError>)> = join_all(asked).await;
        let mut taken = Vec::new();
        let mut last = BTreeMap::new();
        for id in &resting {
            last.extend(self.last.remove_entry(id));
        }
        for (id, replica, answer) in answers {
            let usage = match answer {
                Ok(usage) => usage,
                Err(error) => {
                    tracing::debug!(%error, %replica, resource = %id, "the usage could not be read");
                    // The counters go on meanwhile: the next answer gives the mean rate since the last one.
                    last.extend(self.last.remove_entry(id));
                    continue;
                }
            };
            if let Some(before) = self.last.get(id) {
                for (metric, value) in rates(before, &usage) {
                    let sample = Sample { at: usage.at, value };
                    self.follow(id, metric, sample, shared.config.sampling);
                    taken.extend(self.take(replica, metric, sample, shared.config.samples_kept_max));
                }
            }
            last.insert(id.clone(), usage);
        }
        self.last = last;
        taken
    }

    /// Whether any metric of a resource asks for a sample now. All of them are asked: each counts its own chances.
    fn is_due(&mut self, id: &ResourceId, now: Timestamp) -> bool {
        let Some(paces) = self.paces.get_mut(id) else {
            return true;
        };
        paces
            .values_mut()
            .filter_map(|pace| pace.is_due(now).then_some(()))
            .count()
            > 0
    }

    fn follow(&mut self, id: &ResourceId, metric: Metric, sample: Sample, sampling: Option<Adaptive>) {
        if let Some(sampling) = sampling {
            let paces = self.paces.entry(id.clone()).or_default();
            paces
                .entry(metric)
                .or_insert_with(|| Pace::new(sampling))
                .observe(sample);
        }
    }

    fn keep_only(&mut self, known: &BTreeSet<&ReplicaId>) {
        self.tracked.retain(|(replica, _), _| known.contains(replica));
    }

    /// Keeps and judges one value; `None` for one that is not later than the last (a clock that went back), and for a
    /// new series when there are [`SERIES_MAX`].
    pub(crate) fn take(
        &mut self,
        replica: &ReplicaId,
        metric: Metric,
        sample: Sample,
        kept_max: usize,
    ) -> Option<Taken> {
        let key = (replica.clone(), metric);
        if self.tracked.len() >= SERIES_MAX && !self.tracked.contains_key(&key) {
            tracing::debug!(%replica, ?metric, "no new series: there are {SERIES_MAX}");
            return None;
        }
        let tracked = self.tracked.entry(key).or_insert_with(|| Tracked::new(metric));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(index: u32) -> ReplicaId {
        ReplicaId::new("web".parse().unwrap(), index)
    }

    fn sample(second: i64, value: f64) -> Sample {
        let at = Timestamp::from_secs(second);
        Sample { at, value }
    }

    #[test]
    fn a_step_of_some_pages_is_no_anomaly_and_a_leap_is_one() {
        const STILL: i64 = 200;
        let rows = [(4096.0, false), (65_536.0, false), (262_144.0, false), (1e9, true)];
        for (step, is_anomaly) in rows {
            let mut metrics = Metrics::default();
            for second in 0..STILL {
                let taken = metrics
                    .take(&replica(0), Metric::Memory, sample(second, 5e7), 500)
                    .unwrap();
                assert!(!taken.verdict.is_anomaly);
            }
            let taken = metrics.take(&replica(0), Metric::Memory, sample(STILL, 5e7 + step), 500);
            assert_eq!(taken.unwrap().verdict.is_anomaly, is_anomaly, "a step of {step} bytes");
        }
    }

    #[test]
    fn series_are_bounded_and_end_with_their_replica() {
        let mut metrics = Metrics::default();
        for index in 0..u32::try_from(SERIES_MAX).unwrap() {
            assert!(metrics.take(&replica(index), Metric::Cpu, sample(1, 0.5), 9).is_some());
        }
        let (old, new) = (replica(0), replica(u32::MAX));
        assert!(metrics.take(&new, Metric::Cpu, sample(1, 0.5), 9).is_none());
        assert!(metrics.take(&old, Metric::Cpu, sample(2, 0.5), 9).is_some());
        metrics.keep_only(&BTreeSet::from([&old]));
        assert_eq!(metrics.tracked.len(), 1);
        assert!(metrics.take(&new, Metric::Cpu, sample(1, 0.5), 9).is_some());
    }
}
