//! The gate that every public call passes: an access decision, and an audit record before and after what changes.

use std::collections::BTreeSet;

use skyloom_core::{RegionKey, ServiceName};
use skyloom_security::access::{AccessRequest, Action, Decision, Principal, Target};
use skyloom_security::audit::{AuditRecord, Outcome};

use crate::error::Error;
use crate::shared::Shared;

/// An allowed call, to be closed with its outcome.
#[derive(Debug)]
#[must_use = "the outcome of an allowed call is recorded"]
pub(crate) struct Admitted {
    principal: String,
    action: Action,
    deployment: ServiceName,
    reason: String,
    subject: String,
}

impl Shared {
    /// Asks whether `principal` may; records a refusal, and the beginning of a change.
    pub(crate) fn admit(
        &self,
        principal: &Principal,
        action: Action,
        deployment: &ServiceName,
        regions: BTreeSet<RegionKey>,
        subject: impl Into<String>,
    ) -> Result<Admitted, Error> {
        let target = Target {
            deployment: deployment.clone(),
            regions,
        };
        let request = AccessRequest {
            principal: principal.clone(),
            action,
            target,
            at: self.now(),
        };
        let decision = self.authorizer.decide(&request);
        let admitted = Admitted {
            principal: principal.name.clone(),
            action,
            deployment: deployment.clone(),
            reason: decision.to_string(),
            subject: subject.into(),
        };
        if !decision.is_allowed() {
            self.record(&admitted, &decision, Outcome::Refused)?;
            let principal = principal.name.clone();
            return Err(Error::Denied {
                principal,
                action,
                decision: Box::new(decision),
            });
        }
        if action.is_mutation() {
            self.record(&admitted, &decision, Outcome::Begun)?;
        }
        Ok(admitted)
    }

    fn record(&self, admitted: &Admitted, decision: &Decision, outcome: Outcome) -> Result<(), Error> {
        let record = AuditRecord {
            sequence: 0,
            at: self.now(),
            principal: admitted.principal.clone(),
            action: admitted.action,
            deployment: admitted.deployment.clone(),
            effect: decision.effect,
            reason: admitted.reason.clone(),
            outcome,
            subject: admitted.subject.clone(),
        };
        self.audit().append(record).map_err(Error::AuditUnavailable)
    }

    /// Records how an allowed change ended and gives the result on. A success whose record cannot be written is a
    /// failure: the caller must know that the trail has a gap.
    pub(crate) fn close<T>(&self, admitted: Admitted, result: Result<T, Error>) -> Result<T, Error> {
        let outcome = match &result {
            Ok(_) => Outcome::Succeeded,
            Err(error) => Outcome::Failed {
                detail: format!("{}: {error}", error.class()),
            },
        };
        let Admitted {
            principal,
            action,
            deployment,
            reason,
            subject,
        } = admitted;
        let effect = skyloom_security::access::Effect::Allow;
        let record = AuditRecord {
            sequence: 0,
            at: self.now(),
            principal,
            action,
            deployment,
            effect,
            reason,
            outcome,
            subject,
        };
        let recorded = self.audit().append(record).map_err(Error::OutcomeUnrecorded);
        match (result, recorded) {
            (Ok(value), Ok(())) => Ok(value),
            (Ok(_), Err(unrecorded)) => Err(unrecorded),
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(unrecorded)) => {
                tracing::error!(%unrecorded, "the outcome of a failed call is missing in the audit log");
                Err(error)
            }
        }
    }
}
