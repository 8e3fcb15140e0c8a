//! Usage of the real processes is sampled; one is given real load, which the detector must flag; its next minutes are
//! forecast.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use skyloom::analytics::detect::Reason;
use skyloom::core::ReplicaId;
use skyloom::{Metric, Skyloom};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Failure;
use crate::http::call;
use crate::report::{Anomaly, Forecast};

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(150);
/// Samples of normal use that are taken before the load: the detector learns what is normal from 30 or so.
const SAMPLES_BEFORE: usize = 45;
/// Samples within which the load must have been flagged.
const SAMPLES_UNDER_LOAD: usize = 40;
/// Samples that are taken under load at least: rebalancing looks at the mean of the last ten, and has to see the load in
/// all of them.
const SAMPLES_LOADED_MIN: usize = 12;
/// Length of the forecast.
const AHEAD: Duration = Duration::from_secs(180);
/// Step of the forecast's grid.
const STEP: Duration = Duration::from_secs(1);
/// Share of the future that the interval is to hold.
const LEVEL: f64 = 0.95;
/// Requests under way at the same time that keep a replica busy.
const BUSY_REQUESTS: usize = 2;

/// Samples normal use: the shop serves a request now and then.
pub(crate) async fn learn_what_is_normal(sky: &Skyloom, entrances: &[SocketAddr]) {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..SAMPLES_BEFORE {
        ticks.tick().await;
        if let Some(entrance) = entrances.get(number % entrances.len().max(1)) {
            // A service that does not know orders answers something else; it is use all the same.
            let _ = call(Method::GET, *entrance, "/orders", "").await;
        }
        sky.sample().await;
    }
}

/// Keeps a replica busy until the set is dropped.
pub(crate) fn load(address: SocketAddr) -> JoinSet<()> {
    let mut busy = JoinSet::new();
    for _ in 0..BUSY_REQUESTS {
        busy.spawn(async move {
            loop {
                if call(Method::GET, address, "/burn?ms=400", "").await.is_err() {
                    tokio::time::sleep(SAMPLE_EVERY).await;
                }
            }
        });
    }
    busy
}

/// Samples under load until the detector has flagged the replica's CPU and the load fills what rebalancing looks at.
pub(crate) async fn flag(sky: &Skyloom, replica: &ReplicaId) -> Anomaly {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut found = Anomaly {
        replica: replica.to_string(),
        metric: "cpu".to_owned(),
        ..Anomaly::default()
    };
    for number in 0..SAMPLES_UNDER_LOAD {
        if found.flagged && number >= SAMPLES_LOADED_MIN {
            break;
        }
        ticks.tick().await;
        for taken in sky.sample().await {
            let fired = taken.verdict.is_anomaly && taken.metric == Metric::Cpu && taken.replica == *replica;
            if fired && !found.flagged {
                let part = match taken.verdict.reason {
                    Reason::Fired { part } => format!("{part:?} fired"),
                    other => format!("{other:?}"),
                };
                found.flagged = true;
                found.value = taken.sample.value;
                (found.expected_lo, found.expected_hi) = (taken.verdict.band.lo, taken.verdict.band.hi);
                (found.score, found.reason) = (taken.verdict.score, part);
            }
        }
    }
    found
}

/// The next minutes of a replica's processor use, and the interval that is to hold them.
pub(crate) async fn look_ahead(sky: &Skyloom, replica: &ReplicaId) -> Result<Forecast, Failure> {
    let ahead = sky.forecast(replica, Metric::Cpu, STEP, AHEAD, LEVEL).await?;
    let last = ahead.steps.last().ok_or("forecast at least one step")?;
    Ok(Forecast {
        replica: replica.to_string(),
        metric: "cpu".to_owned(),
        method: ahead.method.clone(),
        samples: sky.samples(replica, Metric::Cpu).await.len(),
        level: LEVEL,
        minutes: AHEAD.as_secs_f64() / 60.0,
        lo: last.lo,
        mid: last.point,
        hi: last.hi,
    })
}
