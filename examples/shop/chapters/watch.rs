//! Usage of the real processes is sampled; one is given real load, which the detector must flag; its next minutes are
//! forecast.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use skyloom::analytics::detect::{Part, Reason};
use skyloom::core::{ReplicaId, Sample};
use skyloom::runtime::Taken;
use skyloom::{Metric, Skyloom};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Failure;
use crate::http::call;
use crate::report::{Anomaly, Forecast, Usage};

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(150);
/// Samples of normal use that are taken before the load: the detector learns what is normal from 30 or so.
const SAMPLES_BEFORE: usize = 45;
/// Samples within which the load must have been flagged.
const SAMPLES_UNDER_LOAD: usize = 40;
/// Samples that are taken under load at least: rebalancing looks at the mean of the last ten, and has to see the load in
/// all of them.
const SAMPLES_LOADED_MIN: usize = 12;
/// The value of a drill: more cores than any replica of an example uses.
const DRILL_CORES: f64 = 1000.0;
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

/// What a replica used on average in the samples so far.
pub(crate) async fn usage(sky: &Skyloom, replica: &ReplicaId) -> Usage {
    let mean = async |metric| {
        let samples = sky.samples(replica, metric).await;
        let count = u32::try_from(samples.len()).ok().filter(|count| *count > 0)?;
        Some(samples.iter().map(|sample| sample.value).sum::<f64>() / f64::from(count))
    };
    Usage {
        replica: replica.to_string(),
        cpu_cores: mean(Metric::Cpu).await.unwrap_or_default(),
        memory_bytes: mean(Metric::Memory).await.unwrap_or_default(),
        network_in_bytes_per_second: mean(Metric::NetworkIn).await,
        network_out_bytes_per_second: mean(Metric::NetworkOut).await,
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
/// Where there is nothing to load, or the machine is so busy that the load does not stand out, a value is offered as a
/// drill instead, and the reason says so.
pub(crate) async fn flag(sky: &Skyloom, replica: &ReplicaId, is_loaded: bool) -> Anomaly {
    let mut found = Anomaly {
        replica: replica.to_string(),
        metric: "cpu".to_owned(),
        ..Anomaly::default()
    };
    if is_loaded {
        sample_under_load(sky, replica, &mut found).await;
    }
    if !found.flagged
        && let Some(last) = sky.samples(replica, Metric::Cpu).await.last()
    {
        let at = last.at.saturating_add(SAMPLE_EVERY);
        if let Some(taken) = sky.offer(replica, Metric::Cpu, Sample { at, value: DRILL_CORES }).await {
            note(&mut found, &taken);
            found.reason = format!("a drill, since no load stood out: {}", found.reason);
        }
    }
    found
}

async fn sample_under_load(sky: &Skyloom, replica: &ReplicaId, found: &mut Anomaly) {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..SAMPLES_UNDER_LOAD {
        if found.flagged && number >= SAMPLES_LOADED_MIN {
            return;
        }
        ticks.tick().await;
        for taken in sky.sample().await {
            if taken.metric == Metric::Cpu && taken.replica == *replica && !found.flagged {
                note(found, &taken);
            }
        }
    }
}

/// Takes a value down if it was flagged.
fn note(found: &mut Anomaly, taken: &Taken) {
    let Reason::Fired { part } = taken.verdict.reason else {
        return;
    };
    found.flagged = true;
    found.value = taken.sample.value;
    (found.expected_lo, found.expected_hi) = (taken.verdict.band.lo, taken.verdict.band.hi);
    found.score = taken.verdict.score;
    found.reason = match part {
        Part::Range => "it left the range of everything seen before".to_owned(),
        other => format!("it is far out in the tail of what was expected ({other:?})"),
    };
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
