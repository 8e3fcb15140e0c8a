//! Where the measurements of a rollout come from: sources of the embedder, and what the control plane sees by itself.
//!
//! Whether a measurement is good is in the plan, and the saga decides; here it is only fetched.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use skyloom_core::{Class, Millionths, PortName, ReplicaId, ResourceId, ServiceName};
use std::net::SocketAddr;
use thiserror::Error;

/// Built in: the part of the new replicas, 0 to 1, whose last health check got a bad answer.
pub const METRIC_UNHEALTHY: &str = "unhealthy";
/// Built in: resident bytes of the largest of the new replicas, as its driver tells.
pub const METRIC_MEMORY: &str = "memory";

/// What is to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Measure {
    /// The metric, by the name that the manifest gives it.
    pub metric: String,
    /// The service that is rolled out.
    pub service: ServiceName,
    /// Its replicas of the new generation, sorted.
    pub replicas: Vec<MeasuredReplica>,
}

/// A replica of the new generation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MeasuredReplica {
    /// Which.
    pub replica: ReplicaId,
    /// What the provider calls it.
    pub resource: ResourceId,
    /// Where its ports are.
    pub endpoints: BTreeMap<PortName, SocketAddr>,
}

/// Why a source could not measure.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("measure `{metric}`: {detail}")]
#[non_exhaustive]
pub struct MeasureError {
    /// The metric.
    pub metric: String,
    /// What kind of failure.
    pub class: Class,
    /// What was said; no secrets.
    pub detail: String,
}

impl MeasureError {
    /// A failure of a source to measure `metric`.
    pub fn new(metric: impl Into<String>, class: Class, detail: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            class,
            detail: detail.into(),
        }
    }
}

/// Tells how a new generation does.
///
/// A source is asked once per interval of an analysis. It answers with the metric's value over the time since about the
/// last question; `None`: it does not know this metric, and the next source is asked. A failure, a value that is no finite
/// number, and an answer that takes longer than a call may, count as a bad measurement. Dropping the future leaves nothing
/// behind.
#[async_trait]
pub trait AnalysisSource: fmt::Debug + Send + Sync {
    /// The value now.
    ///
    /// # Errors
    /// [`MeasureError`] when the metric is known and cannot be had.
    async fn measure(&self, measure: &Measure) -> Result<Option<f64>, MeasureError>;
}

/// The sources of a control plane, asked in the order in which they were registered; the built-in metrics come last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(Vec<Arc<dyn AnalysisSource>>);

impl Sources {
    pub(crate) fn register(&mut self, source: Arc<dyn AnalysisSource>) {
        self.0.push(source);
    }

    /// A value, if any source has one. What cannot be measured is told to the log and is absent.
    pub(crate) async fn measure(&self, measure: &Measure) -> Option<Millionths> {
        for source in &self.0 {
            match source.measure(measure).await {
                Ok(None) => {}
                Ok(Some(value)) => return Millionths::from_f64(value),
                Err(error) => {
                    tracing::warn!(%error, "a metric could not be measured");
                    return None;
                }
            }
        }
        None
    }
}
