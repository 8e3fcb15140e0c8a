//! The names: what is counted, in which unit, with which labels. One table, from which descriptions and docs follow.

use metrics::{Unit, with_recorder};

/// What kind of series a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric that a control plane emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricInfo {
    /// Its name.
    pub name: &'static str,
    /// What kind of series it is.
    pub kind: MetricKind,
    /// Its unit; `None`: a plain number.
    pub unit: Option<Unit>,
    /// Its labels, all of them on every value.
    pub labels: &'static [&'static str],
    /// What it tells, for people.
    pub help: &'static str,
}

pub(super) const PLANS: &str = "skyloom_plans_total";
pub(super) const PLAN_SECONDS: &str = "skyloom_plan_seconds";
pub(super) const APPLIES: &str = "skyloom_applies_total";
pub(super) const APPLY_SECONDS: &str = "skyloom_apply_seconds";
pub(super) const STEPS: &str = "skyloom_steps_total";
pub(super) const CALLS: &str = "skyloom_driver_calls_total";
pub(super) const CALL_SECONDS: &str = "skyloom_driver_call_seconds";
pub(super) const RETRIES: &str = "skyloom_retries_total";
pub(super) const JOURNAL_APPENDS: &str = "skyloom_journal_appends_total";
pub(super) const JOURNAL_BATCH: &str = "skyloom_journal_batch_records";
pub(super) const JOURNAL_SECONDS: &str = "skyloom_journal_append_seconds";
pub(super) const LEASE_EPOCH: &str = "skyloom_lease_epoch";
pub(super) const REPLICAS: &str = "skyloom_replicas";
pub(super) const REPLICAS_LOST: &str = "skyloom_replicas_lost_total";
pub(super) const HEALINGS: &str = "skyloom_healings_total";
pub(super) const HEALING_SECONDS: &str = "skyloom_healing_seconds";
pub(super) const ENDPOINT_CHANGES: &str = "skyloom_endpoint_changes_total";
pub(super) const ENDPOINT_WRITES: &str = "skyloom_endpoint_writes_total";
pub(super) const SYNCS: &str = "skyloom_syncs_total";
pub(super) const SYNC_BYTES: &str = "skyloom_sync_bytes_total";

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricInfo {
    MetricInfo {
        name,
        kind: MetricKind::Counter,
        unit: Some(Unit::Count),
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricInfo {
    MetricInfo {
        kind: MetricKind::Gauge,
        unit: None,
        ..counter(name, labels, help)
    }
}

const fn seconds(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricInfo {
    MetricInfo {
        kind: MetricKind::Histogram,
        unit: Some(Unit::Seconds),
        ..counter(name, labels, help)
    }
}

/// Every metric of a control plane.
pub const METRICS: &[MetricInfo] = &[
    counter(PLANS, &["outcome"], "plans that were asked for, by what came of it"),
    seconds(
        PLAN_SECONDS,
        &["outcome"],
        "time from the question to the plan, the look at everything included",
    ),
    counter(
        APPLIES,
        &["kind", "outcome"],
        "plans that were carried out, by how they ended",
    ),
    seconds(
        APPLY_SECONDS,
        &["kind", "outcome"],
        "time from a plan's first record to its end",
    ),
    counter(STEPS, &["kind", "outcome"], "what has durably become of steps"),
    counter(
        CALLS,
        &["driver", "cloud", "operation", "class"],
        "calls of drivers, by the class of their failure",
    ),
    seconds(
        CALL_SECONDS,
        &["driver", "cloud", "operation"],
        "time until a driver's answer, or until it was given up",
    ),
    counter(
        RETRIES,
        &["what", "class"],
        "failed calls that are repeated, by the class of the failure",
    ),
    counter(
        JOURNAL_APPENDS,
        &["outcome"],
        "batches of records that were made durable with one sync",
    ),
    MetricInfo {
        unit: Some(Unit::Count),
        ..seconds(JOURNAL_BATCH, &[], "records per batch")
    },
    seconds(JOURNAL_SECONDS, &[], "time to write and sync a batch"),
    gauge(LEASE_EPOCH, &[], "epoch of the lease that this controller holds"),
    gauge(REPLICAS, &["state"], "replicas by what the last look has shown"),
    counter(
        REPLICAS_LOST,
        &[],
        "replicas that were healthy and were found not to be",
    ),
    counter(HEALINGS, &["outcome"], "lost replicas that were replaced or given up"),
    seconds(
        HEALING_SECONDS,
        &[],
        "time from the detection of a lost replica to its successor being healthy",
    ),
    counter(
        ENDPOINT_CHANGES,
        &["change"],
        "replicas that entered or left the endpoints while a plan was carried out",
    ),
    counter(
        ENDPOINT_WRITES,
        &[],
        "writes of the endpoints' file for such changes; many changes may share one",
    ),
    counter(SYNCS, &["outcome"], "synchronisations of data sets"),
    MetricInfo {
        unit: Some(Unit::Bytes),
        ..counter(SYNC_BYTES, &[], "bytes that were moved between copies of data sets")
    },
];

/// Tells the installed recorder what the metrics mean; once, after it was installed.
pub fn describe() {
    with_recorder(|recorder| {
        for metric in METRICS {
            let (name, unit, help) = (metric.name.into(), metric.unit, metric.help.into());
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, unit, help),
                MetricKind::Gauge => recorder.describe_gauge(name, unit, help),
                MetricKind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}
