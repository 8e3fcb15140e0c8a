//! The calls: plan, apply, recover, status, logs, sync, sample, destroy.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use skyloom_analytics::forecast::Forecast;
use skyloom_core::{
    DataName, Digest, Manifest, Placement, Plan, RegionKey, ReplicaId, Sample, ServiceName, Snapshot, check_places,
};
use skyloom_orchestrator::{HealHistory, Place, SagaStatus, ServiceGraph, Standing, shield};
use skyloom_scheduler::{Cheapest, Policy, Problem, check_within, place, unsatisfied};
use skyloom_security::access::{Action, Principal};
use skyloom_security::audit::{Checkpoint, VerifyingLogKey, verify};
use tokio::sync::{Mutex, broadcast};

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
use crate::store::{FileJournal, Interrupted, State};

/// A control plane for one deployment, embedded in the program that holds this value.
///
/// One call that changes something runs at a time; the others wait. Dropping the future of such a call is a crash in
/// small: the journal knows how far it was, and [`ControlPlane::recover`] or [`ControlPlane::destroy`] go on from there.
#[derive(Debug)]
pub struct ControlPlane {
    pub(super) shared: Arc<Shared>,
    pub(super) inner: Mutex<Inner>,
    pub(super) metrics: Mutex<Metrics>,
}

/// Stands in the audit log for a deployment whose name is not known any more.
const NAMELESS: &str = "nameless";

/// Regions that a plan touches.
fn regions_of(plan: &Plan) -> BTreeSet<RegionKey> {
    plan.steps
        .iter()
        .map(|step| step.action.site().region.clone())
        .collect()
}

/// What only one call at a time may touch.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) state_path: PathBuf,
    pub(super) journal: Arc<StdMutex<FileJournal>>,
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
        Self {
            shared,
            inner: Mutex::new(inner),
            metrics: Mutex::new(metrics),
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
    pub async fn plan_with(&self, manifest: &Manifest, policy: &(dyn Policy + Sync)) -> Result<Proposal, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        self.settle_doubts(&mut inner).await?;
        let seen = observe(&self.shared, &inner.state).await?;
        let out = inner.outage.out_of_reach(&seen.silent, self.shared.now());
        let scope = (&inner.outage.history, out);
        let around = self.propose_around(manifest, &seen.snapshot, policy, scope, &seen.unreachable)?;
        Ok(around.proposal)
    }

    /// Decides and plans on a snapshot.
    pub(super) fn propose(
        &self,
        manifest: &Manifest,
        snapshot: &Snapshot,
        policy: &(dyn Policy + Sync),
    ) -> Result<Proposal, Error> {
        check_places(manifest, &self.shared.catalogue)?;
        ServiceGraph::build(manifest)?;
        let problem = Problem {
            manifest,
            snapshot,
            catalogue: &self.shared.catalogue,
        };
        let placement = place(&problem, policy, &self.shared.config.place)?;
        let left_out = unsatisfied(&placement);
        if !left_out.is_empty() {
            return Err(Error::Unsatisfied(left_out));
        }
        let plan = skyloom_orchestrator::plan(manifest, &placement, snapshot)?;
        Ok(Proposal {
            manifest: manifest.clone(),
            placement,
            plan,
        })
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
        self.check_again(&proposal, &decided(&proposal.placement, &left), &shown)?;
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

    /// Short digest of a plan of before a crash that waits for [`ControlPlane::recover`].
    pub async fn interrupted(&self) -> Option<String> {
        self.inner
            .lock()
            .await
            .interrupted
            .as_ref()
            .map(|interrupted| interrupted.plan.id().short())
    }

    /// Goes on with a plan of before a crash, if there is one.
    ///
    /// # Errors
    /// As [`ControlPlane::apply`], and [`Error::Replay`] when the journal does not belong to its plan.
    pub async fn recover(&self, principal: &Principal) -> Result<Option<Outcome>, Error> {
        let mut inner = self.inner.lock().await;
        let Some(interrupted) = &inner.interrupted else {
            return Ok(None);
        };
        let action = if interrupted.manifest.is_some() {
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
            return Ok(None);
        };
        let deployment = interrupted.plan.deployment.clone();
        let subject = format!("plan {}, resumed", interrupted.plan.id().short());
        let admitted = self
            .shared
            .admit(principal, action, &deployment, regions_of(&interrupted.plan), subject)?;
        let result = match self.resume(inner, false).await {
            Ok(Some(Resumed { plan, status })) => Outcome::of(&plan, status).map(Some),
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
        let inner = match self.here_or_under_way()? {
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
    fn here_or_under_way(&self) -> Result<Here<'_>, Error> {
        if let Ok(inner) = self.inner.try_lock() {
            return Ok(Here::Inner(inner));
        }
        match self.shared.recall.under_way() {
            Some(under_way) => Ok(Here::UnderWay(Box::new(under_way.state()?))),
            None => Ok(Here::Busy),
        }
    }

    /// The last `lines` lines that a replica printed, oldest first; also while a plan is carried out.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NoReplica`], or the provider's.
    pub async fn logs(&self, replica: &ReplicaId, lines: usize, principal: &Principal) -> Result<Vec<String>, Error> {
        let state = match self.here_or_under_way()? {
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
        let synced = self
            .shared
            .data
            .sync(&manifest, data, self.shared.now())
            .await
            .map_err(Error::from);
        self.shared.close(admitted, synced)
    }

    /// Samples the usage of every replica once and judges each value. The first call only reads the counters.
    pub async fn sample(&self) -> Vec<Taken> {
        let state = self.inner.lock().await.state.clone();
        self.metrics.lock().await.sample(&self.shared, &state).await
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
    fn regions(&self) -> BTreeSet<RegionKey> {
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

    pub(super) fn refuse_when_interrupted(&self) -> Result<(), Error> {
        match &self.interrupted {
            Some(interrupted) => Err(Error::Interrupted {
                plan: interrupted.plan.id().short(),
            }),
            None => Ok(()),
        }
    }

    /// The interrupted plan with every record that is durable by now, read back from the journal.
    pub(super) fn read_interrupted(&self) -> Result<Option<Interrupted>, Error> {
        if self.interrupted.is_none() {
            return Ok(None);
        }
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Interrupted::from_entries(journal.read_back()?, &self.state))
    }
}
