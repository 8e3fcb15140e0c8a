//! What drivers measure of replicas, as named series like any other.

use super::point::{Kind, Point};
use crate::insight::{Metric, Taken};

/// The values of one round: `replica_cpu_cores`, `replica_memory_bytes` and bytes per second received and sent, with the
/// labels `service` and `replica`.
pub(crate) fn points_of(taken: &[Taken]) -> Vec<Point> {
    let point = |taken: &Taken| {
        let name = match taken.metric {
            Metric::Cpu => "replica_cpu_cores",
            Metric::Memory => "replica_memory_bytes",
            Metric::NetworkIn => "replica_network_received_bytes:rate",
            Metric::NetworkOut => "replica_network_sent_bytes:rate",
        };
        let replica = taken.replica.to_string();
        let labels = [("service", taken.replica.service().as_str()), ("replica", &replica)];
        Point::new(name, &labels, Kind::Gauge, taken.sample.at, taken.sample.value)
    };
    taken.iter().map(point).collect()
}
