//! The calls: plan, apply, recover, status, logs, sync, sample, destroy.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use skyloom_analytics::forecast::Forecast;
use skyloom_core::{DataName, Digest, Manifest, Placement, Plan, RegionKey, ReplicaId, Sample, ServiceName, Snapshot};
use skyloom_orchestrator::{HealHistory, Place, SagaStatus, Standing, shield};
use skyloom_scheduler::{Cheapest, Policy, Problem, check_within};
use skyloom_security::access::{Action, Principal};
use skyloom_security::audit::{Checkpoint, VerifyingLogKey, verify};
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

use super::around::{Outage, decided, left_behind};
use super::carry::Resumed;
use super::failover::PlaceStatus;
use super::status::Status;
use super::{ControlPlaneBuilder, Proposal};
use crate::data::SyncOutcome;
use crate::error::Error;
use crate::event::Event;
use crate::insight::{Metric, Metrics, Taken};
use crate::observe::{glance, observe};
use crate::shared::Shared;
use crate::sources::{Gatherer, points_of};
use crate::store::{Document, Interrupted, State};
use crate::telemetry;

/// A control plane for one deployment, embedded in the program that holds this value.
///
/// One call that changes something runs at a time; the others wait. Dropping the future of such a call is a crash in
/// small: the journal knows how far it was, and [`ControlPlane::recover`] or [`ControlPlane::destroy`] go on from there.
#[derive(Debug)]
pub struct ControlPlane {
    pub(super) shared: Arc<Shared>,
    pub(super) inner: Mutex<Inner>,
    pub(super) metrics: Mutex<Metrics>,
    pub(super) gathered: Arc<StdMutex<Gatherer>>,
}

/// Stands in the audit log for a deployment whose name is not known any more.
const NAMELESS: &str = "nameless";

/// Regions that a plan touches.
pub(super) fn regions_of(plan: &Plan) -> BTreeSet<RegionKey> {
    let mut regions = BTreeSet::new();
    for step in &plan.steps {
        regions.insert(step.action.site().region.clone());
        if let skyloom_core::Action::SyncData { copies, .. } = &step.action {
            regions.extend(copies.iter().cloned());
        }
    }
    regions
}

/// What only one call at a time may touch.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) interrupted: Option<Interrupted>,
    pub(super) heal: HealHistory,
    pub(super) outage: Outage,
}

/// What applying a plan has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The plan.
    pub plan: Digest,
    /// Its steps.
    pub steps: u64,
    /// How it ended.
    pub status: SagaStatus,
}

/// What the verification of the audit trail has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditState {
    /// Records that a signed checkpoint covers, all unchanged.
    pub records: u64,
    /// The checkpoint: keep it elsewhere and pass it next time, so that a rollback of the whole folder shows too.
    pub checkpoint: Checkpoint,
    /// The key that it was verified with.
    pub key: VerifyingLogKey,
}

impl ControlPlane {
    /// The parts of a control plane.
    pub fn builder() -> ControlPlaneBuilder {
        ControlPlaneBuilder::new()
    }

    pub(super) fn assemble(shared: Arc<Shared>, inner: Inner, metrics: Metrics) -> Self {
        let gathered = Gatherer::new(shared.config.gather.clone());
        Self {
            shared,
            inner: Mutex::new(inner),
            metrics: Mutex::new(metrics),
            gathered: Arc::new(StdMutex::new(gathered)),
        }
    }

    /// What would be done to bring the manifest about, at the least cost. Touches nothing.
    ///
    /// # Errors
    /// The manifest contradicts itself or names unknown places, some replica has no place ([`Error::Unsatisfied`]), a
    /// rule cannot be met ([`Error::Place`]), a provider cannot be asked, or a plan of before a crash is unfinished.
    pub async fn plan(&self, manifest: &Manifest) -> Result<Proposal, Error> {
        self.plan_with(manifest, &Cheapest).await
    }

    /// As [`ControlPlane::plan`], with another policy.
    ///
    /// # Errors
    /// As [`ControlPlane::plan`].
    #[tracing::instrument(name = "plan", skip_all, fields(deployment = %manifest.name, services = manifest.services.len()))]
    pub async fn plan_with(&self, manifest: &Manifest, policy: &(dyn Policy + Sync)) -> Result<Proposal, Error> {
        let begun = Instant::now();
        let planned = self.look_and_plan(manifest, policy).await;
        telemetry::planned(&planned, begun.elapsed());
        planned
    }

    async fn look_and_plan(&self, manifest: &Manifest, policy: &(dyn Policy + Sync)) -> Result<Proposal, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        self.settle_doubts(&mut inner).await?;
        self.plan_within(&inner, manifest, None, policy).await
    }

    /// Carries a proposal out, journalled: after a crash at any moment [`ControlPlane::recover`] goes on.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Stale`] when the world has moved since the proposal was made;
    /// [`Error::BrokenPlacement`] and [`Error::StepElsewhere`] when it is not one that could have been made;
    /// [`Error::PlanFailed`] when it was begun and did not succeed (what it had made is then removed again); [`Error::AuditUnavailable`] and
    /// [`Error::Store`] when something could not be recorded.
    pub async fn apply(&self, proposal: Proposal, principal: &Principal) -> Result<Outcome, Error> {
        let mut inner = self.inner.lock().await;
        let deployment = proposal.manifest.name.clone();
        let subject = format!("plan {}", proposal.id().short());
        let admitted = self
            .shared
            .admit(principal, Action::Apply, &deployment, proposal.regions(), subject)?;
        let result = self.apply_admitted(&mut inner, proposal).await;
        self.shared.close(admitted, result)
    }

    async fn apply_admitted(&self, inner: &mut Inner, proposal: Proposal) -> Result<Outcome, Error> {
        inner.refuse_when_interrupted()?;
        inner.refuse_other_deployment(&proposal)?;
        let seen = observe(&self.shared, &inner.state).await?;
        super::around::refuse_touching(&proposal.plan, &seen.unreachable)?;
        let mut out = inner.outage.out_of_reach(&seen.silent, self.shared.now());
        out.stranded = BTreeSet::new();
        let shown = shield(&seen.snapshot, &out);
        let left = left_behind(&proposal.placement, &out.lost);
        out.stranded.clone_from(&left);
        skyloom_orchestrator::verify(&proposal.plan, &shield(&seen.snapshot, &out))?;
        let claimed = self.claimed(&inner.state, &proposal.manifest, &shown).await?;
        if let Some(step) = claimed.claims.uncovered(&proposal.plan) {
            return Err(Error::StepElsewhere { step });
        }
        self.check_again(&proposal, &decided(&proposal.placement, &left), &claimed.snapshot)?;
        inner.outage.forget_stranded();
        self.carry_out(inner, proposal.plan, Some(proposal.manifest)).await
    }

    /// Refuses a proposal whose placement breaks a rule of its manifest as the world is now, or whose steps put something
    /// elsewhere than its placement says: a proposal is plain data, and may have been stored, edited or forged.
    fn check_again(&self, proposal: &Proposal, placement: &Placement, snapshot: &Snapshot) -> Result<(), Error> {
        let problem = Problem {
            manifest: &proposal.manifest,
            snapshot,
            catalogue: &self.shared.catalogue,
        };
        let broken = check_within(&problem, &self.shared.config.place.quotas, placement);
        if !broken.is_empty() {
            return Err(Error::BrokenPlacement(broken));
        }
        match proposal.step_elsewhere() {
            Some(step) => Err(Error::StepElsewhere { step }),
            None => Ok(()),
        }
    }

    /// Asks the plan under way to stop: nothing new is begun, calls under way are waited for, what was made stays.
    ///
    /// Seen whenever it comes between [`Event::PlanBegun`] and the end of the plan; a plan that begins later is not
    /// concerned.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Short digest of a plan of before a crash (or of one whose way back was not made) that waits for [`ControlPlane::recover`].
    pub async fn interrupted(&self) -> Option<String> {
        self.inner.lock().await.unfinished().map(|plan| plan.short())
    }

    /// Goes on with a plan of before a crash, if there is one.
    ///
    /// # Errors
    /// As [`ControlPlane::apply`], and [`Error::Replay`] when the journal does not belong to its plan.
    pub async fn recover(&self, principal: &Principal) -> Result<Option<Outcome>, Error> {
        let mut inner = self.inner.lock().await;
        let is_up = inner
            .interrupted
            .as_ref()
            .map(|interrupted| interrupted.manifest.is_some());
        let action = if is_up.unwrap_or(true) {
            Action::Apply
        } else {
            Action::Destroy
        };
        self.recover_as(&mut inner, principal, action).await
    }

    /// As [`ControlPlane::recover`], under a right of the caller's choice.
    pub(super) async fn recover_as(
        &self,
        inner: &mut Inner,
        principal: &Principal,
        action: Action,
    ) -> Result<Option<Outcome>, Error> {
        let Some(interrupted) = &inner.interrupted else {
            return self.go_back_as(inner, principal, action).await;
        };
        let deployment = interrupted.plan.deployment.clone();
        let subject = format!("plan {}, resumed", interrupted.plan.id().short());
        let admitted = self
            .shared
            .admit(principal, action, &deployment, regions_of(&interrupted.plan), subject)?;
        let result = match self.resume(inner, false).await {
            Ok(Some(Resumed { plan, status })) => self.conclude(inner, &plan, status).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.shared.close(admitted, result)
    }

    /// Takes everything down in reverse order, also what an interrupted plan has left, and what carries our owner tag
    /// though nothing here knows it.
    ///
    /// # Errors
    /// [`Error::NothingDeployed`] when there is nothing at all; otherwise as [`ControlPlane::apply`]. What could not be
    /// removed stays known, so that it can be tried again.
    pub async fn destroy(&self, principal: &Principal) -> Result<Outcome, Error> {
        let mut inner = self.inner.lock().await;
        let strangers = match inner.deployment() {
            Some(_) => Vec::new(),
            None => observe(&self.shared, &inner.state).await?.strangers,
        };
        let (deployment, mut regions) = match inner.deployment() {
            Some(deployment) => (deployment, inner.regions()),
            None if strangers.is_empty() => return Err(Error::NothingDeployed),
            None => (ServiceName::new(NAMELESS)?, BTreeSet::new()),
        };
        regions.extend(strangers.into_iter().map(|resource| resource.site.region));
        let admitted = self
            .shared
            .admit(principal, Action::Destroy, &deployment, regions, "everything")?;
        let result = self.destroy_admitted(&mut inner, &deployment).await;
        self.shared.close(admitted, result)
    }

    async fn destroy_admitted(&self, inner: &mut Inner, deployment: &ServiceName) -> Result<Outcome, Error> {
        // However an interrupted plan ends: what it has left is known then, and is taken down with the rest.
        self.resume(inner, true).await?;
        self.settle_doubts(inner).await?;
        // Strangers first: a machine that carries one cannot be given back.
        self.remove_strangers(&inner.state).await?;
        let seen = observe(&self.shared, &inner.state).await?;
        let reached = seen.reached();
        let plan = skyloom_orchestrator::destroy(deployment, &reached, inner.state.manifest.as_ref())?;
        let outcome = self.carry_out(inner, plan, None).await?;
        // What could not be reached is still known, and goes with the next attempt.
        Error::refuse_unreachable(&seen.unreachable)?;
        Ok(outcome)
    }

    /// How everything is, looked at now. While a plan is carried out this answers at once, from what is durable by then
    /// and what providers say, without probing anybody.
    ///
    /// # Errors
    /// The endpoints file that cannot be written, or the journal of the plan under way that cannot be read. A region that
    /// does not answer is in the status.
    pub async fn status(&self) -> Result<Status, Error> {
        let inner = match self.here_or_under_way().await? {
            Here::UnderWay(state) => {
                let seen = glance(&self.shared, &state).await;
                let out = self.shared.recall.out();
                let places = PlaceStatus::all(&out, &seen, |place| standing_by(&out, place));
                return Ok(Status::of(&state, &seen, places));
            }
            Here::Inner(inner) => inner,
            Here::Busy => self.inner.lock().await,
        };
        let seen = observe(&self.shared, &inner.state).await?;
        let history = &inner.outage.history;
        let places = PlaceStatus::all(&history.out(), &seen, |place| history.standing(place));
        Ok(Status::of(&inner.state, &seen, places))
    }

    /// Who can tell how things are: this value itself, or the journal of the plan under way.
    async fn here_or_under_way(&self) -> Result<Here<'_>, Error> {
        if let Ok(inner) = self.inner.try_lock() {
            return Ok(Here::Inner(inner));
        }
        match self.shared.recall.under_way() {
            Some(under_way) => Ok(Here::UnderWay(Box::new(under_way.state(&self.shared.hold).await?))),
            None => Ok(Here::Busy),
        }
    }

    /// The last `lines` lines that a replica printed, oldest first; also while a plan is carried out.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NoReplica`], or the provider's.
    pub async fn logs(&self, replica: &ReplicaId, lines: usize, principal: &Principal) -> Result<Vec<String>, Error> {
        let state = match self.here_or_under_way().await? {
            Here::UnderWay(state) => *state,
            Here::Inner(inner) => inner.known_state(),
            Here::Busy => self.inner.lock().await.known_state(),
        };
        let deployment = state.deployment.clone().ok_or(Error::NothingDeployed)?;
        let admitted = self.shared.admit(
            principal,
            Action::ReadLogs,
            &deployment,
            BTreeSet::new(),
            replica.to_string(),
        )?;
        drop(admitted);
        // While one moves, or is lost with its place, there are two of its name: whoever is called is meant.
        let listed = |id: &skyloom_core::ResourceId| self.shared.endpoints().has(id);
        let found = state
            .replicas
            .iter()
            .filter(|(_, known)| known.spec.replica == *replica)
            .max_by_key(|(id, _)| listed(id));
        let no_replica = || Error::NoReplica {
            replica: replica.clone(),
        };
        // Asked before it is told whether there is such a replica.
        let regions = found.iter().map(|(_, known)| known.spec.site.region.clone()).collect();
        drop(
            self.shared
                .admit(principal, Action::ReadLogs, &deployment, regions, replica.to_string())?,
        );
        let (resource, known) = found.ok_or_else(no_replica)?;
        let driver = self
            .shared
            .drivers
            .for_cloud(&known.spec.site.region.cloud)
            .ok_or_else(no_replica)?;
        Ok(driver.logs(resource, lines).await?)
    }

    /// What happens from now on. A watcher that is too slow misses events and is told so.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Makes the copies of a data set equal to its primary, and verifies both sides by content hash.
    ///
    /// # Errors
    /// [`Error::Denied`], or [`Error::Data`]: no such data set, a store failed, or copies differ afterwards.
    pub async fn sync(&self, data: &DataName, principal: &Principal) -> Result<SyncOutcome, Error> {
        // Copying may take long; replicas are looked after meanwhile.
        let manifest = self
            .inner
            .lock()
            .await
            .state
            .manifest
            .clone()
            .ok_or(Error::NothingDeployed)?;
        let regions: BTreeSet<RegionKey> = manifest
            .data_set(data)
            .into_iter()
            .flat_map(|set| set.replicas.iter().map(|r| r.region.clone()))
            .collect();
        let admitted = self
            .shared
            .admit(principal, Action::Sync, &manifest.name, regions, format!("data {data}"))?;
        let begun = self.shared.now();
        let synced = self.shared.data.sync(&manifest, data, begun).await;
        telemetry::synced(&synced);
        if synced.is_ok() {
            let mut inner = self.inner.lock().await;
            let mut state = inner.state.clone();
            state.verified.insert(data.clone(), begun);
            self.shared.hold.replace(Document::STATE, &state.to_bytes()).await?;
            inner.state = state;
        }
        self.shared.close(admitted, synced.map_err(Error::from))
    }

    /// Samples the usage of every replica once and judges each value; those that need no sample now are passed over where
    /// [`crate::RuntimeConfig::sampling`] says so. The first call only reads the counters.
    pub async fn sample(&self) -> Vec<Taken> {
        let state = self.inner.lock().await.state.clone();
        let taken = self.metrics.lock().await.sample(&self.shared, &state).await;
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.take(points_of(&taken), self.shared.now());
        taken
    }

    /// Feeds a value from elsewhere into a replica's series: a meter of the embedder's own, or a drill.
    pub async fn offer(&self, replica: &ReplicaId, metric: Metric, sample: Sample) -> Option<Taken> {
        self.metrics
            .lock()
            .await
            .take(replica, metric, sample, self.shared.config.samples_kept_max)
    }

    /// Samples of a metric so far, oldest first.
    pub async fn samples(&self, replica: &ReplicaId, metric: Metric) -> Vec<Sample> {
        let metrics = self.metrics.lock().await;
        metrics
            .series(replica, metric)
            .map(|series| series.samples().to_vec())
            .unwrap_or_default()
    }

    /// Continues a metric over `ahead` on a grid of `step`, with an interval that holds a share of `level` (0 to 1) of
    /// the future.
    ///
    /// # Errors
    /// [`Error::Insight`]: too few samples, or a setting out of range.
    pub async fn forecast(
        &self,
        replica: &ReplicaId,
        metric: Metric,
        step: Duration,
        ahead: Duration,
        level: f64,
    ) -> Result<Forecast, Error> {
        Ok(self
            .metrics
            .lock()
            .await
            .forecast(replica, metric, step, ahead, level)?)
    }

    /// Verifies the audit trail as it is on disk, and that it still contains what `last_seen` covered.
    ///
    /// # Errors
    /// [`Error::Audit`] names what does not hold; [`Error::Store`] when the trail cannot be read.
    pub fn verify_audit(&self, last_seen: Option<&Checkpoint>) -> Result<AuditState, Error> {
        let audit = self.shared.audit();
        let (lines, note) = audit.read_back()?;
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let key = audit.key().verifying_key();
        let verified = verify(&lines, &note, &key, last_seen)?;
        Ok(AuditState {
            records: verified.records,
            checkpoint: verified.checkpoint,
            key,
        })
    }

    /// The price catalogue in use.
    #[must_use]
    pub fn catalogue(&self) -> &skyloom_core::Catalogue {
        &self.shared.catalogue
    }

    /// The file that lists healthy replicas; services find it by [`crate::ENDPOINTS_VARIABLE`].
    #[must_use]
    pub fn endpoints_file(&self) -> PathBuf {
        self.shared.endpoints().path().to_owned()
    }

    /// Gives the lease back, so that the next controller need not wait for it to lapse, and changes nothing from then on.
    /// A plan under way halts and waits to be resumed.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be told; the lease then lapses by itself.
    pub async fn close(&self) -> Result<(), Error> {
        Ok(self.shared.hold.release().await?)
    }

    /// Counts the controllers of this store: what every change of this one carries.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.epoch()
    }

    /// Where a data set's primary copy is, as `{data.NAME}` gives it to services.
    #[must_use]
    pub fn data_location(&self, data: &DataName) -> Option<String> {
        self.shared.data.location(data)
    }
}

/// Who can tell how things are.
enum Here<'a> {
    /// Nothing is under way.
    Inner(tokio::sync::MutexGuard<'a, Inner>),
    /// A plan is, and this is how far it is.
    UnderWay(Box<State>),
    /// Another call is, for a moment.
    Busy,
}

/// While a plan is carried out, places are known to be out, and no more.
fn standing_by(out: &BTreeSet<Place>, place: &Place) -> Standing {
    if out.contains(place) {
        Standing::Lost
    } else {
        Standing::Present
    }
}

impl Inner {
    /// The state, with the deployment that an unfinished plan was bringing up.
    fn known_state(&self) -> State {
        let mut state = self.state.clone();
        state.deployment = self.deployment();
        state
    }

    /// The deployment that is there, or that an unfinished plan was bringing up.
    pub(super) fn deployment(&self) -> Option<ServiceName> {
        let begun = self
            .interrupted
            .as_ref()
            .map(|interrupted| interrupted.plan.deployment.clone());
        self.state.deployment.clone().or(begun)
    }

    /// Regions of everything that is there, or that an unfinished plan touches.
    pub(super) fn regions(&self) -> BTreeSet<RegionKey> {
        let machines = self.state.machines.values().map(|known| &known.machine.site);
        let replicas = self.state.replicas.values().map(|known| &known.spec.site);
        let mut regions: BTreeSet<RegionKey> = machines.chain(replicas).map(|site| site.region.clone()).collect();
        regions.extend(
            self.interrupted
                .iter()
                .flat_map(|interrupted| regions_of(&interrupted.plan)),
        );
        regions
    }

    /// One control plane has one deployment, and the right to apply one is no right to take another down.
    fn refuse_other_deployment(&self, proposal: &Proposal) -> Result<(), Error> {
        let asked = &proposal.manifest.name;
        let running = self.state.deployment.as_ref().filter(|running| *running != asked);
        let other = running.or_else(|| Some(&proposal.plan.deployment).filter(|planned| *planned != asked));
        match other {
            Some(running) => Err(Error::OtherDeployment {
                running: running.clone(),
                asked: asked.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The plan that is to be gone on with, or from which a way back is to be made.
    fn unfinished(&self) -> Option<Digest> {
        let interrupted = self.interrupted.as_ref().map(|interrupted| interrupted.plan.id());
        interrupted.or_else(|| self.state.reverting.as_ref().map(|reverting| reverting.plan))
    }

    pub(super) fn refuse_when_interrupted(&self) -> Result<(), Error> {
        match self.unfinished() {
            Some(plan) => Err(Error::Interrupted { plan: plan.short() }),
            None => Ok(()),
        }
    }
}
