//! The way back: when a plan has failed after something old was gone, the generation before is brought about again.
//!
//! A second plan, made from the manifest of before and what is there now, and journalled as any other. That it is due is
//! in the state from the moment in which the failed plan is settled, so that a controller which dies between the two
//! plans, or within either, leaves it to the next one.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use skyloom_core::{Digest, Plan, RegionKey, ReplicaId};
use skyloom_orchestrator::{Failure, SagaStatus, displaced, jobs_are_done, way_back};
use skyloom_scheduler::Cheapest;
use skyloom_security::access::{Action, Principal};

use super::ControlPlane;
use super::claim::Ground;
use super::plane::{Inner, Outcome};
use crate::error::Error;
use crate::event::Event;
use crate::observe::observe;
use crate::store::{Aim, Document, Reverting};

/// A plan that failed, and the way back that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reverted {
    /// The plan that failed.
    pub failed: Digest,
    /// Why.
    pub cause: Failure,
    /// The plan that led back.
    pub by: Digest,
    /// Replicas that it brought about again, sorted. Others had been restored by undoing, or were never touched.
    pub restored: BTreeSet<ReplicaId>,
}

impl fmt::Display for Reverted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, restored, .. } = self;
        write!(
            f,
            "step {} failed ({}), and the generation before is in force again, {} replicas of it made anew",
            cause.step,
            cause.detail,
            restored.len()
        )
    }
}

impl ControlPlane {
    /// What a plan has come to, with the way back where one is due.
    pub(super) async fn conclude(&self, inner: &mut Inner, plan: &Plan, status: SagaStatus) -> Result<Outcome, Error> {
        let outcome = Outcome::of(plan, status);
        match inner.state.reverting.clone() {
            None => outcome,
            // Boxed: the way back is a plan, whose end comes here again.
            Some(reverting) => match Box::pin(self.go_back(inner, reverting)).await? {
                Some(reverted) => Err(Error::Reverted(Box::new(reverted))),
                None => outcome,
            },
        }
    }

    /// Makes a way back that was left to be made, if one was.
    pub(super) async fn go_back_as(
        &self,
        inner: &mut Inner,
        principal: &Principal,
        action: Action,
    ) -> Result<Option<Outcome>, Error> {
        let Some(reverting) = inner.state.reverting.clone() else {
            return Ok(None);
        };
        let deployment = inner.deployment().ok_or(Error::NothingDeployed)?;
        let places = inner.state.replicas.values().map(|known| &known.spec.site);
        let regions: BTreeSet<RegionKey> = places.map(|site| site.region.clone()).collect();
        let subject = format!("the way back from plan {}", reverting.plan.short());
        let admitted = self.shared.admit(principal, action, &deployment, regions, subject)?;
        let result = match self.go_back(inner, reverting).await {
            Ok(Some(reverted)) => Err(Error::Reverted(Box::new(reverted))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.shared.close(admitted, result)
    }

    /// Brings the manifest in force about again; `None` when undoing has done it already.
    async fn go_back(&self, inner: &mut Inner, reverting: Reverting) -> Result<Option<Reverted>, Error> {
        let failed = |source: Error| Error::RevertFailed {
            cause: reverting.cause.clone(),
            source: Box::new(source),
        };
        self.settle_doubts(inner).await.map_err(failed)?;
        let manifest = inner.state.manifest.clone().ok_or(Error::NothingDeployed)?;
        let seen = observe(&self.shared, &inner.state).await.map_err(failed)?;
        let snapshot = jobs_are_done(&manifest, &seen.snapshot);
        let restored = displaced(&manifest, &snapshot);
        let ground = Ground::in_force(&snapshot);
        let proposal = match self.decide(&inner.state, &way_back(&manifest), &ground, &Cheapest) {
            Ok(proposal) => proposal,
            Err(error) => {
                // Nothing can be planned, now or later: it is told, and left to the next plan.
                self.give_up_way_back(inner, Aim::Unsettled).await?;
                return Err(failed(error));
            }
        };
        if proposal.plan.is_empty() {
            self.give_up_way_back(inner, Aim::Up).await?;
            return Ok(None);
        }
        self.shared.tell(Event::Reverting {
            cause: reverting.cause.detail.clone(),
        });
        let by = proposal.id();
        match Box::pin(self.carry_out(inner, proposal.plan, Some(manifest))).await {
            Ok(_) => Ok(Some(Reverted {
                failed: reverting.plan,
                cause: reverting.cause,
                by,
                restored,
            })),
            Err(error) => Err(failed(error)),
        }
    }

    async fn give_up_way_back(&self, inner: &mut Inner, aim: Aim) -> Result<(), Error> {
        let mut state = inner.state.clone();
        (state.reverting, state.aim) = (None, aim);
        self.shared.hold.replace(Document::STATE, &state.to_bytes()).await?;
        inner.state = state;
        Ok(())
    }
}
