//! Failover and failback: how every place stands after a look, and the plans that follow from it.
//!
//! Whether and when is the orchestrator's to decide; this stores the decision, then carries it out.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use skyloom_core::{Manifest, MicroUsdPerHour, ReplicaId, StepId, Unplaced};
use skyloom_orchestrator::{
    Failback, FailoverAction, OutOfReach, Place, PlanRequest, SagaStatus, Standing, doubles, fail_over, plan_for,
    shield, without_leaving,
};
use skyloom_scheduler::{Cheapest, Problem, place, unsatisfied};
use skyloom_security::access::{Action, Principal};

use super::ControlPlane;
use super::around::{Around, offered, refuse_touching};
use super::claim::Ground;
use super::histories;
use super::plane::Inner;
use crate::error::Error;
use crate::event::Event;
use crate::observe::{Seen, observe};

/// What a look at all places has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailoverReport {
    /// What the decision says of each place that something is wrong with, or was.
    pub decisions: Vec<FailoverAction>,
    /// Places that were lost and replaced in this look.
    pub failed_over: Vec<FailedOver>,
    /// Places that came back and were brought together in this look.
    pub failed_back: Vec<FailedBack>,
}

impl FailoverReport {
    /// Whether anything was done.
    #[must_use]
    pub const fn acted(&self) -> bool {
        !(self.failed_over.is_empty() && self.failed_back.is_empty())
    }
}

/// A place that was lost and replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedOver {
    /// Which.
    pub place: Place,
    /// Replicas that were brought up elsewhere.
    pub replicas: Vec<ReplicaId>,
    /// Replicas for which there is no other place, each with the rule that said no.
    pub stranded: Vec<Unplaced>,
    /// Price of all machines before, what is lost included, which is charged until it can be given back.
    pub price_before: MicroUsdPerHour,
    /// Price of all machines afterwards, what is lost included.
    pub price_after: MicroUsdPerHour,
    /// From the decision to healthy.
    pub took: Duration,
}

/// A place that came back and was brought together with its replacements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedBack {
    /// Which place.
    pub place: Place,
    /// How.
    pub failback: Failback,
    /// Recovered replicas that stay in place of their replacements.
    pub kept: Vec<ReplicaId>,
    /// Replicas of which one of two left.
    pub reunited: Vec<ReplicaId>,
    /// Price of all machines before.
    pub price_before: MicroUsdPerHour,
    /// Price of all machines afterwards.
    pub price_after: MicroUsdPerHour,
}

impl ControlPlane {
    /// Looks at every place once: declares lost what the policy says is lost and brings it up elsewhere, and brings
    /// together what is back. [`ControlPlane::heal`] and so [`ControlPlane::supervise`] do this before anything else.
    ///
    /// # Errors
    /// As [`ControlPlane::heal`].
    pub async fn fail_over(&self, principal: &Principal) -> Result<FailoverReport, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        let Some(manifest) = inner.state.manifest_in_force().cloned() else {
            return Ok(FailoverReport::default());
        };
        let seen = observe(&self.shared, &inner.state).await?;
        self.look_at_places(&mut inner, &manifest, &seen, principal).await
    }

    /// Declares a place lost on somebody's order, and brings up elsewhere what was there: before a region is left for good,
    /// or where the policy declares nothing by itself. Nothing in it is touched; what becomes of it waits for
    /// [`ControlPlane::fail_back`], whatever the policy says.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::NothingDeployed`]; otherwise as [`ControlPlane::apply`].
    pub async fn evacuate(&self, place: &Place, principal: &Principal) -> Result<FailoverReport, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        let manifest = inner.state.manifest_in_force().cloned().ok_or(Error::NothingDeployed)?;
        let admitted = self.admit_failover(principal, &manifest, &inner, place, "declare lost")?;
        let mut history = inner.outage.history.clone();
        let declared = history.declare(place.clone(), self.shared.now());
        let saved = histories::save(&self.shared.hold, &history).await.map_err(Error::from);
        self.shared.close(admitted, saved)?;
        self.remember(&mut inner, history);
        let mut report = FailoverReport::default();
        if declared {
            let seen = observe(&self.shared, &inner.state).await?;
            report.failed_over.push(
                self.replace_place(&mut inner, &manifest, &seen, place, principal)
                    .await?,
            );
        }
        Ok(report)
    }

    /// Decides what becomes of a place that is back and waits for somebody, and does it.
    ///
    /// # Errors
    /// [`Error::NotBack`]; [`Error::Denied`]; otherwise as [`ControlPlane::apply`].
    pub async fn fail_back(
        &self,
        place: &Place,
        failback: Failback,
        principal: &Principal,
    ) -> Result<FailoverReport, Error> {
        let mut inner = self.inner.lock().await;
        inner.refuse_when_interrupted()?;
        let manifest = inner.state.manifest_in_force().cloned().ok_or(Error::NothingDeployed)?;
        let admitted = self.admit_failover(principal, &manifest, &inner, place, "decide about")?;
        let mut history = inner.outage.history.clone();
        let ordered = if history.order(place, failback) {
            histories::save(&self.shared.hold, &history).await.map_err(Error::from)
        } else {
            Err(Error::NotBack {
                place: place.clone(),
                standing: history.standing(place),
            })
        };
        self.shared.close(admitted, ordered)?;
        self.remember(&mut inner, history);
        let seen = observe(&self.shared, &inner.state).await?;
        self.look_at_places(&mut inner, &manifest, &seen, principal).await
    }

    /// Takes a look into account, stores the decision, tells it, and carries it out. A plan that fails is told and tried
    /// again: the place is out all the same, and healing goes on with what is missing.
    pub(super) async fn look_at_places(
        &self,
        inner: &mut Inner,
        manifest: &Manifest,
        seen: &Seen,
        principal: &Principal,
    ) -> Result<FailoverReport, Error> {
        let policy = &self.shared.config.failover;
        let now = self.shared.now();
        let decision = fail_over(&seen.contacts, seen.witness, &inner.outage.history, policy, now);
        let news = inner.outage.news(&decision.actions);
        // Durable before anything follows from it. Looks that only count are not worth a write: a restart counts anew.
        if decision.history.out() != inner.outage.history.out() || !news.is_empty() {
            histories::save(&self.shared.hold, &decision.history).await?;
        }
        for decision in news {
            self.shared.tell(Event::Place { decision });
        }
        self.remember(inner, decision.history);
        let mut report = FailoverReport {
            decisions: decision.actions.clone(),
            ..FailoverReport::default()
        };
        for action in decision.actions {
            match action {
                FailoverAction::FailOver { place, .. } => {
                    let done = self.replace_place(inner, manifest, seen, &place, principal).await;
                    report.failed_over.extend(self.or_told(done)?);
                }
                FailoverAction::FailBack { place, failback } => {
                    let done = self.reunite(inner, manifest, (&place, failback), principal).await;
                    report.failed_back.extend(self.or_told(done)?);
                }
                _ => {}
            }
        }
        Ok(report)
    }

    /// A plan that failed is told; what could not be recorded or was not allowed ends the look.
    fn or_told<T>(&self, done: Result<T, Error>) -> Result<Option<T>, Error> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error @ (Error::PlanFailed(_) | Error::Unsatisfied(_) | Error::Place(_) | Error::Unreachable(_))) => {
                self.shared.tell(Event::SupervisionFailed {
                    detail: crate::call::chain(&error),
                });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn remember(&self, inner: &mut Inner, history: skyloom_orchestrator::FailoverHistory) {
        let out = history.out();
        if out != inner.outage.history.out() {
            inner.outage.forget_stranded();
        }
        self.shared.recall.set_out(out);
        inner.outage.history = history;
    }

    fn admit_failover(
        &self,
        principal: &Principal,
        manifest: &Manifest,
        inner: &Inner,
        place: &Place,
        what: &str,
    ) -> Result<crate::guard::Admitted, Error> {
        let sites = inner.state.replicas.values().map(|known| &known.spec.site);
        let regions = sites
            .filter(|site| place.covers_site(site))
            .map(|site| site.region.clone());
        self.shared.admit(
            principal,
            Action::Heal,
            &manifest.name,
            regions.collect(),
            format!("{what} {place}"),
        )
    }

    /// Brings up elsewhere what was in a lost place. No step touches the place.
    async fn replace_place(
        &self,
        inner: &mut Inner,
        manifest: &Manifest,
        seen: &Seen,
        place: &Place,
        principal: &Principal,
    ) -> Result<FailedOver, Error> {
        let begun = self.shared.now();
        // The endpoints lose the place at once, before anything new is there.
        let seen_again = observe(&self.shared, &inner.state).await?;
        let out = inner.outage.out_of_reach(&seen_again.silent, begun);
        let scope = (&inner.outage.history, out);
        let ground = Ground::in_force(&seen_again.snapshot);
        let around = self.decide_around(
            &inner.state,
            manifest,
            &ground,
            &Cheapest,
            scope,
            &seen_again.unreachable,
        )?;
        let Around { proposal, stranded } = around;
        inner.outage.strand(&stranded, &self.shared.config.failover, begun);
        let admitted = self.admit_failover(principal, manifest, inner, place, "fail over from")?;
        let made = made_by(&proposal.plan);
        let price = |seen: &Seen| {
            MicroUsdPerHour::checked_sum(seen.snapshot.nodes.iter().map(|node| node.machine.price))
                .unwrap_or(MicroUsdPerHour::MAX)
        };
        let price_before = price(seen);
        let added = proposal.plan.price_after.checked_sub(proposal.plan.price_before);
        let result = self.carry_out_watched(inner, proposal.plan, manifest.clone()).await;
        self.shared.close(admitted, result)?;
        let took = self.shared.now().saturating_since(begun);
        self.shared.tell(Event::FailedOver {
            place: place.clone(),
            replicas: made.len() as u64,
            took,
        });
        Ok(FailedOver {
            place: place.clone(),
            replicas: made,
            stranded,
            price_before,
            price_after: added
                .and_then(|added| price_before.checked_add(added))
                .unwrap_or(MicroUsdPerHour::MAX),
            took,
        })
    }

    /// Carries a plan out; a region in which its creations failed gets nothing new for a while.
    pub(super) async fn carry_out_watched(
        &self,
        inner: &mut Inner,
        plan: skyloom_core::Plan,
        manifest: Manifest,
    ) -> Result<(), Error> {
        if plan.steps.is_empty() {
            return Ok(());
        }
        let creations: Vec<(StepId, skyloom_core::RegionKey)> = plan
            .steps
            .iter()
            .filter(|step| {
                matches!(
                    step.action,
                    skyloom_core::Action::CreateMachine { .. } | skyloom_core::Action::CreateReplica { .. }
                )
            })
            .map(|step| (step.id, step.action.site().region.clone()))
            .collect();
        let result = self.carry_out(inner, plan, Some(manifest)).await;
        if let Err(Error::PlanFailed(status)) = &result
            && let SagaStatus::RolledBack { cause, .. } = &**status
            && (cause.class.is_retryable() || cause.class == skyloom_core::Class::Exhausted)
            && let Some((_, region)) = creations.iter().find(|(step, _)| *step == cause.step)
        {
            let mut history = inner.outage.history.clone();
            history.avoid(region, &self.shared.config.failover, self.shared.now());
            histories::save(&self.shared.hold, &history).await?;
            inner.outage.history = history;
        }
        result.map(drop)
    }

    /// Brings what came back together with what was made in its place: who stays is decided first, and who leaves goes
    /// when all who stay are healthy.
    async fn reunite(
        &self,
        inner: &mut Inner,
        manifest: &Manifest,
        (place, failback): (&Place, Failback),
        principal: &Principal,
    ) -> Result<FailedBack, Error> {
        // In the endpoints again, if they are well: whoever leaves then does not leave a gap.
        let mut others = inner.outage.history.out();
        others.remove(place);
        self.shared.recall.set_out(others.clone());
        let done = self
            .reunite_without(inner, manifest, (place, failback, &others), principal)
            .await;
        match &done {
            Ok(_) => {
                let mut history = inner.outage.history.clone();
                history.settled(place);
                histories::save(&self.shared.hold, &history).await?;
                self.remember(inner, history);
            }
            Err(_) => self.shared.recall.set_out(inner.outage.history.out()),
        }
        done
    }

    async fn reunite_without(
        &self,
        inner: &mut Inner,
        manifest: &Manifest,
        (place, failback, others): (&Place, Failback, &BTreeSet<Place>),
        principal: &Principal,
    ) -> Result<FailedBack, Error> {
        let seen = observe(&self.shared, &inner.state).await?;
        let out = OutOfReach {
            lost: others.clone(),
            silent: seen.silent.clone(),
            stranded: BTreeSet::new(),
        };
        let whole = shield(&seen.snapshot, &out);
        let pairs = doubles(&whole, place);
        let staying = without_leaving(&whole, place, failback);
        let catalogue = offered(&self.shared.catalogue, others, |region| {
            seen.unreachable.contains_key(region)
        });
        let problem = Problem {
            manifest,
            snapshot: &staying,
            catalogue: &catalogue,
        };
        let mut placement = place_all(&problem, &self.shared.config.place)?;
        // Decided on who stays, planned on who is there: so whoever does not stay goes.
        placement.snapshot = whole.reference();
        let request = PlanRequest::new(manifest, &placement, &whole)
            .with_previous(inner.state.manifest.as_ref())
            .with_verified(&inner.state.verified);
        let plan = plan_for(&request)?;
        refuse_touching(&plan, &seen.unreachable)?;
        let admitted = self.admit_failover(principal, manifest, inner, place, "fail back to")?;
        let (price_before, price_after) = (plan.price_before, plan.price_after);
        let result = self.carry_out_watched(inner, plan, manifest.clone()).await;
        self.shared.close(admitted, result)?;
        let kept: Vec<ReplicaId> = pairs
            .iter()
            .filter(|double| inner.state.replicas.contains_key(&double.recovered))
            .map(|double| double.replica.clone())
            .collect();
        let reunited: Vec<ReplicaId> = pairs.into_iter().map(|double| double.replica).collect();
        self.shared.tell(Event::FailedBack {
            place: place.clone(),
            kept: kept.len() as u64,
            removed: reunited.len() as u64,
        });
        Ok(FailedBack {
            place: place.clone(),
            failback,
            kept,
            reunited,
            price_before,
            price_after,
        })
    }
}

/// A placement of everything.
fn place_all(problem: &Problem<'_>, config: &skyloom_scheduler::PlaceConfig) -> Result<skyloom_core::Placement, Error> {
    let placement = place(problem, &Cheapest, config)?;
    let left_out = unsatisfied(&placement);
    if left_out.is_empty() {
        Ok(placement)
    } else {
        Err(Error::Unsatisfied(left_out))
    }
}

/// The replicas that a plan brings up, sorted.
fn made_by(plan: &skyloom_core::Plan) -> Vec<ReplicaId> {
    let made = plan.steps.iter().filter_map(|step| match &step.action {
        skyloom_core::Action::CreateReplica { spec } => Some(spec.replica.clone()),
        _ => None,
    });
    let made: BTreeSet<ReplicaId> = made.collect();
    made.into_iter().collect()
}

/// How a place stands, for the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlaceStatus {
    /// Which.
    pub place: Place,
    /// How it stands; a region that does not answer may still be [`Standing::Present`].
    pub standing: Standing,
    /// What was said, where it does not answer.
    pub problem: Option<String>,
}

impl PlaceStatus {
    pub(super) fn all(inner_out: &BTreeSet<Place>, seen: &Seen, standing: impl Fn(&Place) -> Standing) -> Vec<Self> {
        let silent = seen.unreachable.keys().cloned().map(Place::Region);
        let places: BTreeSet<Place> = silent.chain(inner_out.iter().cloned()).collect();
        let status = |place: Place| Self {
            standing: standing(&place),
            problem: match &place {
                Place::Region(region) => seen.unreachable.get(region).cloned(),
                Place::Cloud(_) | Place::Zone(..) => None,
            },
            place,
        };
        places.into_iter().map(status).collect()
    }
}
