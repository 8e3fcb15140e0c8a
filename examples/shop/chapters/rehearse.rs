//! The plan is carried out here: real processes in dependency order, checked by real HTTP, and then used.

use std::net::SocketAddr;

use hyper::Method;
use skyloom::core::{ReplicaState, ServiceName};
use skyloom::{Manifest, Status};

use crate::http::call;

/// Orders that customers place, so that there are data to sync.
pub(crate) const ORDERS: usize = 120;

/// Replicas that do what was asked of them: healthy, or ended with success.
pub(crate) fn running(status: &Status) -> usize {
    let does = |state| matches!(state, ReplicaState::Healthy | ReplicaState::Completed);
    status.replicas.iter().filter(|replica| does(replica.state)).count()
}

/// Addresses of the services that no other service depends on: where customers come in.
pub(crate) fn entrances(manifest: &Manifest, status: &Status) -> Vec<SocketAddr> {
    let is_used = |name: &ServiceName| {
        manifest
            .services
            .iter()
            .any(|s| s.depends_on.iter().any(|d| d.service == *name))
    };
    let entering = status
        .replicas
        .iter()
        .filter(|replica| !is_used(replica.replica.service()));
    entering
        .filter_map(|replica| replica.endpoints.values().next().copied())
        .collect()
}

/// Places orders through the entrances in turn; gives how many were taken.
pub(crate) async fn place_orders(entrances: &[SocketAddr]) -> usize {
    let mut taken = 0;
    for (number, entrance) in (0..ORDERS).zip(entrances.iter().cycle()) {
        let order = format!(
            "{{\"order\": {number}, \"items\": {}, \"note\": \"{}\"}}\n",
            number % 7 + 1,
            "x".repeat(number % 50)
        );
        let answer = call(Method::PUT, *entrance, &format!("/orders/{number:05}"), order).await;
        taken += usize::from(answer.is_ok_and(|(status, _)| status.is_success()));
    }
    taken
}
