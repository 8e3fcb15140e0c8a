//! Trying the new out: stages of a canary, the time in which a replica must stay healthy, the switch of blue-green.
//!
//! Each is a gate, a step of the plan like any other, so that a crash in the middle of a pause is a crash at a step. The
//! obvious design, a runtime that waits between two plans, would leave the choice to whoever executes them.

use std::time::Duration;

use skyloom_core::{
    After, Analysis, BarrierId, CanaryStep, Gate, ObservedReplica, ReplicaSpec, ResourceId, RolloutStrategy, Share,
    Site, StepId, Until,
};

use super::PlanError;
use super::diff::Entry;
use super::entry::{Context, Written};
use super::steps::{Steps, Waits};

/// How far the stages of a canary are.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// The stage that is being filled.
    stage: usize,
    /// Replicas of the new generation so far, and the edges at which those of the present stage are ready.
    watched: Vec<StepId>,
    ready: Vec<After>,
    site: Option<Site>,
    /// The last gate: what follows waits for it.
    pub(super) gate: Option<After>,
}

impl<'a> Context<'a, '_> {
    /// The stages of a canary; none for other strategies, and for a canary that is only "one first".
    fn stages(&self) -> Vec<CanaryStep> {
        let rollout = &self.service.rollout;
        match rollout.strategy {
            RolloutStrategy::Canary if rollout.steps.is_empty() && !rollout.analysis.is_empty() => vec![CanaryStep {
                replicas: Share::Count(std::num::NonZeroU32::MIN),
                pause: Duration::ZERO,
            }],
            RolloutStrategy::Canary => rollout.steps.clone(),
            RolloutStrategy::Rolling | RolloutStrategy::BlueGreen => Vec::new(),
        }
    }

    /// The edge at which a created replica is ready: healthy, and still so after the service's time.
    pub(super) fn ready(&self, steps: &mut Steps<'a>, created: StepId, spec: &ReplicaSpec) -> Result<After, PlanError> {
        let healthy = After {
            step: created,
            until: Self::READY,
        };
        let hold = self.service.rollout.ready_for;
        if hold.is_zero() {
            return Ok(healthy);
        }
        let gate = self.gate_over(vec![created], spec.site.clone(), hold, &[], Vec::new());
        let waits = Waits::default().step(created, Self::READY);
        let why = String::from("is ready when it stays healthy");
        let step = steps.gate(gate, why, waits)?;
        let until = Until::Done;
        Ok(After { step, until })
    }

    /// Counts a replica of the new generation, and closes the stages that it fills.
    pub(super) fn tried(
        &self,
        steps: &mut Steps<'a>,
        trial: &mut Trial,
        entry: &Entry<'_>,
        (created, ready): (StepId, After),
    ) -> Result<(), PlanError> {
        let stages = self.stages();
        if trial.stage >= stages.len() || !is_update(entry) {
            return Ok(());
        }
        trial.watched.push(created);
        trial.ready.push(ready);
        trial.site.get_or_insert_with(|| entry.spec.site.clone());
        let all = self.service.replicas.get();
        while let Some(stage) = stages.get(trial.stage)
            && trial.watched.len() >= stage.replicas.of(all) as usize
        {
            self.close(steps, trial, *stage)?;
        }
        Ok(())
    }

    /// Closes a stage for which there were not enough replicas to fill it.
    pub(super) fn tried_all(&self, steps: &mut Steps<'a>, trial: &mut Trial) -> Result<(), PlanError> {
        match self.stages().get(trial.stage) {
            Some(stage) if !trial.ready.is_empty() => self.close(steps, trial, *stage),
            _ => Ok(()),
        }
    }

    fn close(&self, steps: &mut Steps<'a>, trial: &mut Trial, stage: CanaryStep) -> Result<(), PlanError> {
        trial.stage += 1;
        let Some(site) = trial.site.clone() else { return Ok(()) };
        let analysis = &self.service.rollout.analysis;
        let gate = self.gate_over(trial.watched.clone(), site, stage.pause, analysis, Vec::new());
        let after = std::mem::take(&mut trial.ready).into_iter().chain(trial.gate);
        let waits = after.fold(Waits::default(), |waits, after| waits.step(after.step, after.until));
        let why = format!("{} of the new generation are tried", stage.replicas);
        let step = steps.gate(gate, why, waits)?;
        let until = Until::Done;
        trial.gate = Some(After { step, until });
        Ok(())
    }

    /// Blue-green: watches all new ones, lets them into the endpoints in place of the old ones, and keeps those for a
    /// while. The edge at which the old ones may go; `None`: when all new ones are ready.
    pub(super) fn promote(
        &self,
        steps: &mut Steps<'a>,
        written: &Written<'a>,
        (site, olds): (Option<Site>, &[&'a ObservedReplica]),
        all_new: Option<BarrierId>,
    ) -> Result<Option<StepId>, PlanError> {
        let rollout = &self.service.rollout;
        let Some(site) = site else { return Ok(None) };
        let analysis: &[Analysis] = if written.updates > 0 { &rollout.analysis } else { &[] };
        let switch_from: Vec<ResourceId> = if self.switches {
            olds.iter()
                .filter(|old| old.state.is_live())
                .map(|old| old.resource.clone())
                .collect()
        } else {
            Vec::new()
        };
        let trivial = switch_from.is_empty() && analysis.is_empty() && rollout.keep.is_zero();
        if trivial {
            return Ok(None);
        }
        let created = written.created.clone();
        let gate = self.gate_over(created.clone(), site.clone(), Duration::ZERO, analysis, switch_from);
        let ready = written.ready.iter().copied();
        let waits = ready.fold(Waits::default().all(all_new), |w, after| {
            w.step(after.step, after.until)
        });
        let mut last = steps.gate(gate, String::from("all new ones of its service are tried"), waits)?;
        if !rollout.keep.is_zero() {
            let gate = self.gate_over(created, site, rollout.keep, &[], Vec::new());
            let waits = Waits::default().step(last, Until::Done);
            last = steps.gate(gate, String::from("the old ones are kept for a way back"), waits)?;
        }
        Ok(Some(last))
    }

    fn gate_over(
        &self,
        watched: Vec<StepId>,
        site: Site,
        hold: Duration,
        analysis: &[Analysis],
        switch_from: Vec<ResourceId>,
    ) -> Gate {
        Gate {
            service: self.service.name.clone(),
            site,
            watched,
            hold,
            analysis: analysis.to_vec(),
            switch_from,
        }
    }
}

/// Whether the entry brings a new form of a replica that serves, and not only another place for it.
pub(super) fn is_update(entry: &Entry<'_>) -> bool {
    let digest = entry.spec.digest();
    super::entry::is_rolled(entry) && entry.olds.iter().all(|old| !old.state.is_live() || old.spec != digest)
}
