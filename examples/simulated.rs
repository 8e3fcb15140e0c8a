//! The control loop on the simulated cloud: hours in an instant, without a process, an account or a bill to pay.
//!
//! The reader learns how to try a program against a cloud that misbehaves: the answer to the first purchase is lost, a
//! replica crashes, and in the end there is nothing doubled, nothing left, and a bill to look at. Two pieces make it run in
//! virtual time: a [`Clock`] that follows tokio's paused clock, and a [`TimedCloud`] that takes the cloud to that time
//! before each call.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use skyloom::core::Timestamp;
use skyloom::provider::Operation;
use skyloom::provider::sim::{SimCloud, SimConfig, SimEvent, SimEventKind, TimedCloud};
use skyloom::runtime::Clock;
use skyloom::{Manifest, Principal, Skyloom};
use tokio::time::{Instant, sleep};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// When the story begins.
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
/// How long the shop runs before it is taken down.
const UPTIME: Duration = Duration::from_secs(24 * 3600);
const SEED: u64 = 42;

const SHOP: &str = r#"
version = 1
name = "shop"
[residency]
allow = ["EU"]
[[service]]
name = "store"
resources = { cpu = "1", memory = "2GiB" }
purchase = "on-demand"
run = { command = ["store"] }
[[service]]
name = "worker"
replicas = 3
depends_on = ["store"]
resources = { cpu = "500m", memory = "512MiB" }
purchase = "on-demand"
run = { command = ["worker"] }
"#;

/// Follows tokio's clock, which is paused: waiting costs no time, and time passes only by waiting.
#[derive(Debug, Clone, Copy)]
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        START.saturating_add(self.0.elapsed())
    }
}

/// Names of everything that truly is there.
fn present(driver: &TimedCloud) -> Vec<String> {
    let things = driver.at_present().oracle();
    things.into_iter().map(|thing| thing.resource.name).collect()
}

/// Builds the same world each time; the seed is all that chance there is.
fn world(folder: &Path) -> Result<(TimedCloud, Skyloom), Failure> {
    let clock = Virtual(Instant::now());
    let driver = SimCloud::new(SimConfig::new(SEED, START)).following(move || clock.now());
    let builder = Skyloom::builder().state_dir(folder).provider(driver.clone());
    let sky = builder.clock(clock).build()?;
    Ok((driver, sky))
}

/// The number of the first call that buys something, from a run in which nothing goes wrong.
async fn first_purchase(manifest: &Manifest, me: &Principal) -> Result<u64, Failure> {
    let folder = tempfile::tempdir()?;
    let (driver, sky) = world(folder.path())?;
    sky.apply(sky.plan(manifest).await?, me).await?;
    let create = |event: &SimEvent| {
        let is_create = matches!(
            event.what,
            SimEventKind::Called {
                operation: Operation::Create,
                ..
            }
        );
        event.call.filter(|_| is_create)
    };
    Ok(driver
        .cloud()
        .events()
        .iter()
        .find_map(create)
        .ok_or("find a purchase")?)
}

async fn story() -> Result<(), Failure> {
    let (manifest, me) = (Manifest::parse(SHOP, "shop.toml")?, Principal::new("mira", []));
    let purchase = first_purchase(&manifest, &me).await?;
    let folder = tempfile::tempdir()?;
    let (driver, sky) = world(folder.path())?;

    driver.cloud().lose_reply_at(purchase);
    let proposal = sky.plan(&manifest).await?;
    let rate = proposal.plan.price_after;
    sky.apply(proposal, &me).await?;
    let events = driver.cloud().events();
    let lost = events.iter().any(|e| matches!(e.what, SimEventKind::ReplyLost { .. }));
    assert!(lost, "the answer to the purchase was lost");
    let names = present(&driver);
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "nothing was made twice: {names:?}");
    let status = sky.status().await?;
    assert_eq!((status.healthy(), status.strangers.len()), (4, 0));
    println!("The answer to call {purchase}, a purchase, was lost; nothing was made twice:\n{status}");

    let victim = status.replicas.first().ok_or("find a replica")?;
    driver.cloud().crash(&victim.resource)?;
    let report = sky.heal(&me).await?;
    let healed = report.healed.first().ok_or("heal the crashed replica")?;
    assert_eq!(
        (&healed.replica, healed.killed.as_ref()),
        (&victim.replica, Some(&victim.resource))
    );
    assert_eq!(sky.status().await?.healthy(), 4);
    println!(
        "{} crashed and was replaced in {:.1?} of virtual time.",
        healed.replica, healed.took
    );

    sleep(UPTIME).await;
    sky.destroy(&me).await?;
    assert!(present(&driver).is_empty(), "nothing is left");
    let bill = driver.cloud().bill();
    let total = bill.total().ok_or("add up the bill")?;
    assert!(bill.items.iter().all(|item| !item.open), "nothing is paid any more");
    let day = UPTIME.as_secs_f64() / 3600.0 * rate.as_usd();
    assert!(
        (day..day * 1.05).contains(&total.as_usd()),
        "{total} is a day at {rate}, and a little"
    );
    println!(
        "A day later it was taken down: {} machines, {total} in all.",
        bill.items.len()
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build()?.block_on(story())
}
