//! The story from start to end, and its end in every case: nothing is left behind, also after a failure or Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use skyloom::core::DataName;
use skyloom::runtime::store::Lease;
use skyloom::{Error, LocalConfig, LocalProcesses, Manifest, Principal, RuntimeConfig, Skyloom};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::chapters::{balance, decide, guard, heal, rehearse, sync, watch};
use crate::report::{self, Story};
use crate::{Failure, outside, progress, show};

/// What the chapters have in common.
struct Stage {
    sky: Arc<Skyloom>,
    me: Principal,
    manifest: Manifest,
    /// Whether the story is told on standard output.
    aloud: bool,
}

impl Stage {
    fn say(&self, text: impl FnOnce() -> String) {
        if self.aloud {
            show::say(&text());
        }
    }
}

/// Tells the whole story; `None` when it was interrupted.
pub(crate) async fn tell(manifest: Manifest, aloud: bool) -> Result<Option<Story>, Failure> {
    // First of all: from here on a signal ends the story, and never the program with processes left behind.
    let interrupted = interrupted()?;
    let folder = tempfile::tempdir()?;
    let state_dir = folder.path().join("state");
    let sky = Arc::new(open(folder.path(), &state_dir)?);
    let me = guard::operator()?;
    let stage = Stage {
        sky: Arc::clone(&sky),
        me: me.clone(),
        manifest,
        aloud,
    };
    let mut telling = JoinSet::new();
    telling.spawn(async move { chapters(&stage).await });
    let told = tokio::select! {
        told = telling.join_next() => told,
        () = interrupted => None,
    };
    // Dropping a call that is under way is a crash in small; taking everything down begins where its journal ends.
    telling.shutdown().await;
    let torn_down = tear_down(&sky, &me).await;
    let endpoints_file = sky.endpoints_file().display().to_string();
    let left_in_place = sky
        .status()
        .await
        .map_or(1, |status| status.replicas.len() + status.machines.len());
    let audit = guard::verify_trail(&sky);
    drop(sky);
    let locks = usize::from(Lease::take(&state_dir.join("lease")).is_err());
    let left_behind = outside::count(&endpoints_file) + left_in_place + locks;
    torn_down?;
    let Some(told) = told else {
        eprintln!("interrupted; {left_behind} things left behind");
        return Ok(None);
    };
    let mut story = told??;
    (story.audit, story.left_behind) = (audit?, left_behind);
    if aloud {
        show::say(&show::the_end(&story));
    }
    Ok(Some(story))
}

/// A control plane whose local driver stands in for every cloud, and starts this very program as the shop.
fn open(folder: &Path, state_dir: &Path) -> Result<Skyloom, Failure> {
    let this_program: PathBuf = std::env::current_exe()?;
    let resolver = move |word: &str| (word == "shop").then(|| this_program.clone());
    let local = LocalProcesses::open(LocalConfig::new(folder.join("processes")).with_resolver(resolver))?;
    let config = RuntimeConfig::new().with_supervise_every(std::time::Duration::from_millis(250));
    let builder = Skyloom::builder().state_dir(state_dir).provider(local).config(config);
    Ok(builder.authorizer(guard::roles()?).build()?)
}

/// Resolves at Ctrl-C or SIGTERM, also at one that came between this call and the first wait.
fn interrupted() -> Result<impl Future<Output = ()>, Failure> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn tear_down(sky: &Skyloom, me: &Principal) -> Result<(), Failure> {
    match sky.destroy(me).await {
        Ok(_) | Err(Error::NothingDeployed) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn chapters(stage: &Stage) -> Result<Story, Failure> {
    let mut story = Story {
        name: stage.manifest.name.to_string(),
        ..Story::default()
    };
    decide_and_rehearse(stage, &mut story).await?;
    let mut supervisor = JoinSet::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let (sky, me) = (Arc::clone(&stage.sky), stage.me.clone());
    supervisor.spawn(async move {
        sky.supervise(&me, async {
            let _ = stopped.await;
        })
        .await;
    });
    break_and_balance(stage, &mut story).await?;
    sync_and_guard(stage, &mut story).await?;
    drop(stop);
    supervisor.join_next().await;
    Ok(story)
}

async fn decide_and_rehearse(stage: &Stage, story: &mut Story) -> Result<(), Failure> {
    let proposal = stage.sky.plan(&stage.manifest).await?;
    let decided = decide::surround(&stage.manifest, stage.sky.catalogue(), proposal.placement.clone())?;
    (story.placement, story.machines) = (report::placed(&decided.placement), report::machines(&decided));
    story.usd_per_hour = decided.placement.cost.machines_per_hour.as_usd();
    story.usd_per_month = decided.placement.cost.total_per_month.as_usd();
    let text = show::decision(&stage.manifest, &decided)?;
    stage.say(|| text);
    stage.say(|| show::rehearsal(&proposal));
    let begun = Instant::now();
    let bar = progress::draw(&stage.sky, "rehearse");
    stage.sky.apply(proposal, &stage.me).await?;
    bar.await?;
    story.start_seconds = begun.elapsed().as_secs_f64();
    let status = stage.sky.status().await?;
    story.running = rehearse::running(&status);
    let taken = rehearse::place_orders(&rehearse::entrances(&stage.manifest, &status)).await;
    stage.say(|| {
        format!("{status}{taken} orders were taken by the services at the front, by way of those behind them.\n")
    });
    Ok(())
}

async fn break_and_balance(stage: &Stage, story: &mut Story) -> Result<(), Failure> {
    let status = stage.sky.status().await?;
    let Some(victim) = heal::victim(&status) else {
        stage.say(|| "== Nothing runs for long here: nobody is killed, nobody is loaded.\n".to_owned());
        return Ok(());
    };
    let endpoints_file = stage.sky.endpoints_file().display().to_string();
    story.healed = heal::kill_and_watch(&stage.sky, &victim, &endpoints_file).await?;
    stage.say(|| show::healed(&story.healed));

    let status = stage.sky.status().await?;
    let entrances = rehearse::entrances(&stage.manifest, &status);
    watch::learn_what_is_normal(&stage.sky, &entrances).await;
    let (busy, address) = balance::whom_to_load(&status).ok_or("find a healthy replica")?;
    story.usage = watch::usage(&stage.sky, &busy).await;
    story.forecast = watch::look_ahead(&stage.sky, &busy).await?;
    let load = address.map(watch::load);
    story.anomaly = watch::flag(&stage.sky, &busy, load.is_some()).await;
    let (rebalanced, text) = balance::rebalance(&stage.sky, &stage.manifest, &busy).await?;
    drop(load);
    story.rebalance = rebalanced;
    stage.say(|| show::insight(&story.usage, &story.forecast, &story.anomaly));
    stage.say(|| text);
    Ok(())
}

async fn sync_and_guard(stage: &Stage, story: &mut Story) -> Result<(), Failure> {
    let set = stage
        .manifest
        .data
        .iter()
        .find(|set| set.replicas.len() > 1)
        .map(|set| set.name.clone());
    story.sync = match set {
        Some(set) => sync::copy_change_copy(&stage.sky, &set, &stage.me).await?,
        None => sync::copy_change_copy_of_own(&DataName::new("example")?).await?,
    };
    stage.say(|| show::synced(&story.sync));
    story.denied = guard::stranger_is_denied(&stage.sky).await?;
    stage.say(|| show::denied(story.denied));
    Ok(())
}
