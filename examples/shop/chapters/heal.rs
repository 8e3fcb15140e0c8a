//! One replica is killed from outside; the supervisor notices and replaces it.

use std::time::{Duration, Instant};

use skyloom::core::{ReplicaId, ReplicaState};
use skyloom::{Event, Skyloom, Status};

use crate::Failure;
use crate::outside;
use crate::report::Healed;

/// Longest time to detect and replace; far above what it takes, and the end of the wait.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// The replica to kill: one of the service with the most replicas, so that the others carry on.
pub(crate) fn victim(status: &Status) -> Option<ReplicaId> {
    let healthy: Vec<&ReplicaId> = status
        .replicas
        .iter()
        .filter(|r| r.state == ReplicaState::Healthy)
        .map(|r| &r.replica)
        .collect();
    let siblings = |replica: &ReplicaId| {
        healthy
            .iter()
            .filter(|other| other.service() == replica.service())
            .count()
    };
    healthy
        .iter()
        .max_by_key(|replica| (siblings(replica), replica.index()))
        .map(|replica| (*replica).clone())
}

/// Kills it and waits until the supervisor tells that another one is healthy in its place.
pub(crate) async fn kill_and_watch(
    sky: &Skyloom,
    replica: &ReplicaId,
    endpoints_file: &str,
) -> Result<Healed, Failure> {
    let mut events = sky.watch();
    let begun = Instant::now();
    if outside::kill(replica, endpoints_file)? == 0 {
        return Err(format!("find the process of `{replica}`").into());
    }
    let mut last_failure = None;
    let healed = async {
        loop {
            match events.recv().await? {
                Event::Healed {
                    replica: healed,
                    killed,
                    replaced,
                    ..
                } if healed == *replica => {
                    return Ok::<_, Failure>((killed, replaced));
                }
                Event::SupervisionFailed { detail } => last_failure = Some(detail),
                _ => {}
            }
        }
    };
    let healed = tokio::time::timeout(HEALED_WITHIN, healed).await;
    let (killed, replaced) = healed.map_err(|_| {
        let why = last_failure.unwrap_or_else(|| "nothing was told".to_owned());
        format!("heal `{replica}` within {HEALED_WITHIN:?}: {why}")
    })??;
    Ok(Healed {
        replica: replica.to_string(),
        killed: killed.to_string(),
        replaced: replaced.to_string(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}
