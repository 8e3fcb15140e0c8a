//! What is gathered around the deployment, and what alerts lead to: through the gate, like any other call.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use skyloom_analytics::alert::{ALERT_NAME, Alert};
use skyloom_core::ReplicaId;
use skyloom_security::access::Principal;

use super::ControlPlane;
use crate::alerting::{Alarms, Ended, Mode, Reaction, Recoveries, Recovery, Remedy};
use crate::error::Error;
use crate::event::Event;
use crate::sources::{Gatherer, LogLines};

impl ControlPlane {
    /// All named series: sources feed it, [`ControlPlane::sample`] adds what drivers measure of replicas, and
    /// [`Alarms`] reads it.
    #[must_use]
    pub fn gatherer(&self) -> Arc<StdMutex<Gatherer>> {
        Arc::clone(&self.gathered)
    }

    /// Reads the last `lines` lines of every replica and adds how often each shape of line came to the series.
    ///
    /// # Errors
    /// As [`ControlPlane::logs`] for the first replica whose lines the principal may not read; a provider that cannot be asked
    /// only leaves its replica out.
    pub async fn gather_logs(&self, logs: &mut LogLines, lines: usize, principal: &Principal) -> Result<(), Error> {
        let replicas: Vec<ReplicaId> = {
            let inner = self.inner.lock().await;
            let known = inner.state.replicas.values();
            known.map(|known| known.spec.replica.clone()).collect()
        };
        let known: BTreeSet<&ReplicaId> = replicas.iter().collect();
        logs.keep_only(|replica| known.contains(replica));
        for replica in &replicas {
            match self.logs(replica, lines, principal).await {
                Ok(lines) => drop(logs.take(replica, &lines)),
                Err(error @ (Error::Denied { .. } | Error::AuditUnavailable(_))) => return Err(error),
                Err(error) => tracing::debug!(%error, %replica, "its lines could not be read"),
            }
        }
        let now = self.shared.now();
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.take(logs.points(now), now);
        Ok(())
    }

    /// One round of watching: samples every replica, evaluates the rules, and answers what fires.
    pub async fn watch_over(
        &self,
        alarms: &mut Alarms,
        recoveries: &mut Recoveries,
        principal: &Principal,
    ) -> Vec<Reaction> {
        self.sample().await;
        let tick = alarms.tick(self.shared.now());
        self.react(recoveries, &tick.alerts, principal).await
    }

    /// Proposes or begins what these alerts ask for, in the name of `principal`. Each triggered recovery passes an access
    /// decision and leaves an audit record that names its alert, also when it fails; a failure of one does not stop the next.
    pub async fn react(&self, recoveries: &mut Recoveries, alerts: &[Alert], principal: &Principal) -> Vec<Reaction> {
        let mut reactions = Vec::new();
        for (recovery, alert) in recoveries.due(alerts, self.shared.now()) {
            let ended = match recovery.mode {
                Mode::Propose => Ended::Proposed,
                Mode::Trigger => match self.carry_remedy(&recovery, &alert, principal).await {
                    Ok(()) => Ended::Done,
                    Err(error @ Error::Denied { .. }) => Ended::Denied(crate::call::chain(&error)),
                    Err(error) => Ended::Failed(crate::call::chain(&error)),
                },
            };
            let name = alert.labels.get(ALERT_NAME).to_owned();
            self.shared.tell(Event::Reacted {
                recovery: recovery.name.clone(),
                alert: name.clone(),
                outcome: match &ended {
                    Ended::Proposed => "proposed".to_owned(),
                    Ended::Done => "done".to_owned(),
                    Ended::Denied(detail) | Ended::Failed(detail) => detail.clone(),
                },
            });
            reactions.push(Reaction {
                recovery: recovery.name,
                alert: name,
                ended,
            });
        }
        reactions
    }

    async fn carry_remedy(&self, recovery: &Recovery, alert: &Alert, principal: &Principal) -> Result<(), Error> {
        let (deployment, regions) = {
            let inner = self.inner.lock().await;
            (inner.deployment().ok_or(Error::NothingDeployed)?, inner.regions())
        };
        let subject = format!("{} for {}", recovery.name, alert.labels.get(ALERT_NAME));
        let action = recovery.remedy.action();
        let admitted = self.shared.admit(principal, action, &deployment, regions, subject)?;
        let result = match &recovery.remedy {
            Remedy::Heal => self.heal(principal).await.map(drop),
            Remedy::Rebalance(config) => self.rebalance(config, principal).await.map(drop),
            Remedy::Own(own) => own.act(alert).await.map_err(|detail| Error::Remedy { detail }),
        };
        self.shared.close(admitted, result)
    }
}
