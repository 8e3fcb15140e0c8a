//! Plans of thousands of steps: cancelled, dropped, and watched by somebody who is too slow.

use std::time::Duration;

use skyloom_core::{Condition, Dependency, Manifest, ServiceName};
use skyloom_orchestrator::{SagaConfig, SagaStatus};
use skyloom_provider::Noop;
use skyloom_runtime::store::StoreError;
use skyloom_runtime::{ControlPlane, EVENTS_BEHIND_MAX, Error, Event, RuntimeConfig};
use skyloom_scheduler::{BestFit, PlaceConfig};
use skyloom_security::access::Principal;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::world::one_region;

const NODES: usize = 2_000;
const WIDTH: usize = 50;

/// Layers of services, each waiting for the one above it.
fn layers() -> Manifest {
    let text = r#"
        version = 1
        name = "layers"
        [[service]]
        name = "model"
        resources = { cpu = "1m", memory = "1MiB" }
        run = { command = ["noop"] }
    "#;
    let mut manifest = Manifest::parse(text, "layers.toml").unwrap();
    let model = manifest.services.remove(0);
    let name = |node: usize| ServiceName::new(format!("n{node}")).unwrap();
    manifest.services = (0..NODES)
        .map(|node| {
            let mut service = model.clone();
            service.name = name(node);
            service.depends_on = node
                .checked_sub(WIDTH)
                .into_iter()
                .map(|above| Dependency {
                    service: name(above),
                    condition: Condition::Healthy,
                    at: None,
                })
                .collect();
            service
        })
        .collect();
    manifest
}

struct Big {
    provider: Noop,
    folder: tempfile::TempDir,
    me: Principal,
}

impl Big {
    fn new() -> Self {
        Self {
            provider: Noop::new(),
            folder: tempfile::tempdir().unwrap(),
            me: Principal::new("mira", []),
        }
    }

    fn open(&self) -> Result<ControlPlane, Error> {
        let saga = SagaConfig::new().with_parallelism(100.try_into().unwrap());
        let place = PlaceConfig::new().with_replicas_max(u32::try_from(NODES).unwrap());
        let offer = "aws/eu-central-1 m6i.8xlarge";
        let sky = ControlPlane::builder()
            .state_dir(self.folder.path())
            .provider(self.provider.clone())
            .catalogue(one_region().retain(|one| one.key.to_string() == offer))
            .config(RuntimeConfig::new().with_saga(saga).with_place(place));
        sky.build()
    }

    /// Opens the folder again: a dropped call gives the lease back when its last write has ended.
    async fn reopen(&self) -> ControlPlane {
        loop {
            match self.open() {
                Err(Error::Store(StoreError::Held { .. })) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
    }
}

/// Waits until so many steps are done; that a plan has ended meanwhile is its own affair.
async fn after_steps(sky: &ControlPlane, steps: u64) {
    let mut events = sky.watch();
    loop {
        match events.recv().await {
            Ok(Event::StepDone { done, .. }) if done >= steps => return,
            Ok(Event::PlanEnded { .. }) | Err(RecvError::Closed) => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
        }
    }
}

#[tokio::test]
async fn an_apply_of_thousands_is_cancelled_anywhere_and_the_next_brings_the_rest() {
    let big = Big::new();
    let sky = big.open().unwrap();
    let manifest = layers();
    let mut made = 0;
    // Drawn once.
    for steps in [1, 137, 613, 422] {
        let proposal = sky.plan_with(&manifest, &BestFit).await.unwrap();
        let all = proposal.plan.steps.len();
        let (applied, ()) = tokio::join!(sky.apply(proposal, &big.me), async {
            after_steps(&sky, steps).await;
            sky.cancel();
        });
        let Err(Error::PlanFailed(status)) = applied else {
            panic!("cancelled after {steps} of {all} steps: {applied:?}");
        };
        assert!(matches!(*status, SagaStatus::Cancelled { .. }), "{status:?}");
        assert!(big.provider.count() > made, "what was made stays");
        made = big.provider.count();
        let seen = sky.status().await.unwrap();
        assert_eq!(
            (seen.replicas.len() + seen.machines.len(), seen.strangers.len()),
            (made, 0)
        );
    }
    sky.apply(sky.plan_with(&manifest, &BestFit).await.unwrap(), &big.me)
        .await
        .unwrap();
    assert!(sky.plan_with(&manifest, &BestFit).await.unwrap().plan.is_empty());
    assert_eq!(big.provider.count(), NODES + 1, "each once, and the machine");
}

#[tokio::test]
async fn an_apply_of_thousands_is_dropped_anywhere_and_recovered() {
    let big = Big::new();
    let manifest = layers();
    let sky = big.open().unwrap();
    let proposal = sky.plan_with(&manifest, &BestFit).await.unwrap();
    tokio::select! {
        applied = sky.apply(proposal, &big.me) => panic!("it was to be dropped: {applied:?}"),
        () = after_steps(&sky, 311) => {}
    }
    for steps in [500, 1_444] {
        tokio::select! {
            recovered = sky.recover(&big.me) => panic!("it was to be dropped: {recovered:?}"),
            () = after_steps(&sky, steps) => {}
        }
    }
    assert!(sky.interrupted().await.is_some());
    drop(sky);
    let sky = big.reopen().await;
    let outcome = sky.recover(&big.me).await.unwrap().unwrap();
    assert_eq!(outcome.status, SagaStatus::Succeeded);
    assert!(sky.plan_with(&manifest, &BestFit).await.unwrap().plan.is_empty());
    assert_eq!(big.provider.count(), NODES + 1, "each once, and the machine");
}

#[tokio::test]
async fn a_watcher_that_never_reads_holds_nothing_up_and_is_told_what_it_missed() {
    let big = Big::new();
    let sky = big.open().unwrap();
    let (mut asleep, mut awake) = (sky.watch(), sky.watch());
    let counting = tokio::spawn(async move {
        let mut count = 0u64;
        loop {
            match awake.recv().await {
                Ok(Event::PlanEnded { .. }) => return count + 1,
                Ok(_) => count += 1,
                Err(RecvError::Lagged(missed)) => count += missed,
                Err(RecvError::Closed) => return count,
            }
        }
    });
    let proposal = sky.plan_with(&layers(), &BestFit).await.unwrap();
    let applied = tokio::time::timeout(Duration::from_secs(300), sky.apply(proposal, &big.me)).await;
    applied.expect("nobody waits for a watcher").unwrap();
    let all = counting.await.unwrap();
    let missed = match asleep.try_recv() {
        Err(TryRecvError::Lagged(missed)) => missed,
        other => panic!("it slept through {all} events: {other:?}"),
    };
    let mut last = None;
    let mut left = 0u64;
    while let Ok(event) = asleep.try_recv() {
        left += 1;
        last = Some(event);
    }
    assert_eq!(left, EVENTS_BEHIND_MAX as u64, "the newest are kept");
    assert_eq!(missed + left, all);
    assert!(matches!(last, Some(Event::PlanEnded { .. })), "{last:?}");
}
