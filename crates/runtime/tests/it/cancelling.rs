//! How a plan ends that is told to stop, or whose driver does not do its part: always, and with everything known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use skyloom_core::{Manifest, OwnerTag, ReplicaState, ResourceId, Secret, SecretRef, StepId, StopSpec, Token};
use skyloom_orchestrator::SagaStatus;
use skyloom_provider::sim::{SimConfig, SimProgram, TimedCloud};
use skyloom_provider::{
    Capabilities, Cause, CreateRequest, Driver, DriverError, Epoch, ExecOutput, Quota, Resource, Usage, What,
};
use skyloom_runtime::{ControlPlane, Error, Event, SecretResolver};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::world::{START, World, shop};

/// Longer than any plan of these tests may take, whatever its driver does.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// Cancels at the `position`-th event; `false` when the plan had ended before.
async fn cancel_at(sky: &ControlPlane, mut events: Receiver<Event>, position: usize) -> bool {
    for _ in 0..position {
        if matches!(events.recv().await.unwrap(), Event::PlanEnded { .. }) {
            return false;
        }
    }
    events.recv().await.unwrap();
    sky.cancel();
    true
}

/// What the events so far say: how often each step was done, and the last count of steps done.
fn done(events: &mut Receiver<Event>) -> (BTreeMap<StepId, u32>, u64) {
    let (mut steps, mut last) = (BTreeMap::new(), 0);
    while let Ok(event) = events.try_recv() {
        if let Event::StepDone { step, done } = event {
            *steps.entry(step).or_default() += 1;
            last = done;
        }
    }
    (steps, last)
}

#[tokio::test(start_paused = true)]
async fn a_cancel_at_any_event_is_heard_and_leaves_nothing_unknown() {
    let mut cancelled = 0;
    for position in 0.. {
        let world = World::new(SimConfig::new(11, START));
        let sky = world.open().unwrap();
        let proposal = sky.plan(&shop(2)).await.unwrap();
        let (applied, was_in_time) =
            tokio::join!(sky.apply(proposal, &world.me), cancel_at(&sky, sky.watch(), position));
        match applied {
            Ok(_) => assert!(position > 0, "the first event comes before anything is done"),
            Err(Error::PlanFailed(status)) if matches!(*status, SagaStatus::Cancelled { .. }) => cancelled += 1,
            Err(error) => panic!("event {position}: {error}"),
        }
        let status = sky.status().await.unwrap();
        assert_eq!(status.strangers, [], "event {position}");
        assert_eq!(
            status.replicas.len() + status.machines.len(),
            world.names().len(),
            "event {position}"
        );
        sky.destroy(&world.me).await.unwrap();
        assert!(world.names().is_empty(), "event {position}");
        if !was_in_time {
            break;
        }
    }
    assert!(cancelled >= 6, "{cancelled} applies were cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_before_the_plan_does_not_concern_it() {
    let world = World::new(SimConfig::new(11, START));
    let sky = world.open().unwrap();
    let proposal = sky.plan(&shop(1)).await.unwrap();
    sky.cancel();
    sky.apply(proposal, &world.me).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_step_is_told_as_done_once_also_when_its_answer_was_lost() {
    for call in 0..12 {
        let world = World::new(SimConfig::new(11, START));
        let sky = world.open().unwrap();
        let mut events = sky.watch();
        let proposal = sky.plan(&shop(2)).await.unwrap();
        let all: BTreeMap<StepId, u32> = proposal.plan.steps.iter().map(|step| (step.id, 1)).collect();
        world.driver.cloud().lose_reply_at(world.driver.cloud().calls() + call);
        sky.apply(proposal, &world.me).await.unwrap();
        assert_eq!(done(&mut events).0, all, "call {call}");
        let outcome = sky.destroy(&world.me).await.unwrap();
        assert_eq!(done(&mut events).1, outcome.steps, "the last count is the whole plan");
    }
}

/// What a driver does in place of a creation.
#[derive(Debug, Clone, Copy)]
enum Oddity {
    Hang,
    Panic,
    QuoteSecrets,
}

#[expect(clippy::panic, reason = "what a driver's panic leads to is tried")]
fn misbehave() -> ! {
    panic!("a driver's bug")
}

/// A simulated cloud whose first creations are odd.
#[derive(Debug, Clone)]
struct Odd {
    sane: TimedCloud,
    capabilities: Capabilities,
    oddity: Oddity,
    left: Arc<AtomicU32>,
}

impl Odd {
    /// Names its cloud, so that it goes before the world's own driver.
    fn new(world: &World, oddity: Oddity, times: u32) -> Self {
        let mut capabilities = world.driver.capabilities().clone();
        capabilities.clouds = Some(vec!["aws".parse().unwrap()]);
        Self {
            sane: world.driver.clone(),
            capabilities,
            oddity,
            left: Arc::new(AtomicU32::new(times)),
        }
    }
}

#[async_trait]
impl Driver for Odd {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn create(&self, request: &CreateRequest) -> Result<Resource, DriverError> {
        let is_odd = match (&request.what, self.oddity) {
            (What::Machine(_), Oddity::QuoteSecrets) => false,
            _ => {
                let one_less = |left: u32| left.checked_sub(1);
                self.left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                    .is_ok()
            }
        };
        match (self.oddity, &request.what) {
            _ if !is_odd => self.sane.create(request).await,
            (Oddity::Hang, _) => std::future::pending().await,
            (Oddity::QuoteSecrets, What::Replica(new)) => {
                let all: Vec<&str> = new.env.values().map(|value| value.expose().as_str()).collect();
                let cause = Cause::Invalid {
                    detail: "bad variable".to_owned(),
                };
                Err(DriverError::new("odd", "create", cause)
                    .with_source(std::io::Error::other(format!("refused {}", all.join(" ")))))
            }
            (Oddity::Panic | Oddity::QuoteSecrets, _) => misbehave(),
        }
    }

    async fn get(&self, id: &ResourceId) -> Result<Resource, DriverError> {
        self.sane.get(id).await
    }

    async fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, DriverError> {
        self.sane.list(owner).await
    }

    async fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, DriverError> {
        self.sane.find_by_token(owner, token).await
    }

    async fn delete(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.sane.delete(id, stop, epoch).await
    }

    async fn stop(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), DriverError> {
        self.sane.stop(id, stop, epoch).await
    }

    async fn start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), DriverError> {
        self.sane.start(id, epoch).await
    }

    async fn logs(&self, id: &ResourceId, lines: usize) -> Result<Vec<String>, DriverError> {
        self.sane.logs(id, lines).await
    }

    async fn usage(&self, id: &ResourceId) -> Result<Usage, DriverError> {
        self.sane.usage(id).await
    }

    async fn exec(&self, id: &ResourceId, command: &[String], limit: Duration) -> Result<ExecOutput, DriverError> {
        self.sane.exec(id, command, limit).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>, DriverError> {
        self.sane.quotas().await
    }
}

/// Applies a shop with an odd driver, within the patience of these tests.
async fn apply_oddly(world: &World, oddity: Oddity, times: u32, manifest: &Manifest) -> Result<(), Error> {
    let builder = world.builder_in(world.folder.path()).secrets(OneSecret);
    let sky = builder.provider(Odd::new(world, oddity, times)).build().unwrap();
    let proposal = sky.plan(manifest).await.unwrap();
    let applied = timeout(PATIENCE, sky.apply(proposal, &world.me)).await;
    applied.unwrap().map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_looked_up_and_made_again() {
    let world = World::new(SimConfig::new(11, START));
    apply_oddly(&world, Oddity::Hang, 1, &shop(1)).await.unwrap();
    assert_eq!(world.replicas(), ["store/0", "worker/0"]);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_never_answers_ends_its_plan() {
    let world = World::new(SimConfig::new(11, START));
    let error = apply_oddly(&world, Oddity::Hang, u32::MAX, &shop(1)).await.unwrap_err();
    assert!(error.to_string().contains("no answer within 60s"), "{error}");
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_fails_its_step_and_says_so() {
    let world = World::new(SimConfig::new(11, START));
    let error = apply_oddly(&world, Oddity::Panic, u32::MAX, &shop(1))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the driver panicked"), "{error}");
    assert!(world.names().is_empty());
}

/// One secret, whatever is asked for.
#[derive(Debug)]
struct OneSecret;

impl SecretResolver for OneSecret {
    fn resolve(&self, _: &SecretRef) -> Option<Secret<String>> {
        Some(Secret::new("canary-51c0".to_owned()))
    }
}

/// One service of one replica with this line in its table and these lines of a health check.
fn single(line: &str, health: &str) -> Manifest {
    let text = format!(
        r#"
        version = 1
        name = "shop"
        [[service]]
        name = "web"
        resources = {{ cpu = "500m", memory = "512MiB" }}
        {line}
        {health}
        "#
    );
    Manifest::parse(&text, "shop.toml").unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_said_is_told_with_its_causes_and_without_secrets() {
    let world = World::new(SimConfig::new(11, START));
    let line = r#"run = { command = ["web"], env = { PASSWORD = { secret = "vault:db" } } }"#;
    let error = apply_oddly(&world, Oddity::QuoteSecrets, u32::MAX, &single(line, ""))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("bad variable: refused") && text.contains("[redacted]"),
        "{text}"
    );
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ends_at_once_with_success_is_a_success() {
    let world = World::new(SimConfig::new(11, START).with_program("web", SimProgram::job(Duration::ZERO, 0)));
    let sky = world.open().unwrap();
    let job = single(r#"run = { command = ["web"] }"#, "");
    sky.apply(sky.plan(&job).await.unwrap(), &world.me).await.unwrap();
    assert_eq!(sky.status().await.unwrap().replicas[0].state, ReplicaState::Completed);
    assert!(sky.plan(&job).await.unwrap().plan.is_empty(), "it is not done again");
}

#[tokio::test(start_paused = true)]
async fn a_service_with_a_health_check_may_not_end() {
    let world = World::new(SimConfig::new(11, START).with_program("web", SimProgram::job(Duration::ZERO, 0)));
    let sky = world.open().unwrap();
    let health = "[service.health]\nexec = [\"probe\"]";
    let service = single(r#"run = { command = ["web"] }"#, health);
    let error = sky
        .apply(sky.plan(&service).await.unwrap(), &world.me)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ended with code 0"), "{error}");
    assert!(world.names().is_empty());
}
