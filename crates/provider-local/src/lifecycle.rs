//! Stopping, deleting and starting again: intent, act, note, each change of the folder under its lock, and no lock
//! held while a replica uses its grace.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use skyloom_core::{ResourceId, StopSpec};
use skyloom_provider::{Cause, Epoch, ResourceState};

use crate::driver::{Inner, LocalProcesses};
use crate::error::Fault;
use crate::ports::check_free;
use crate::process::{environment, mark_prefix, members, signal};
use crate::reaper::Status;
use crate::record::{Phase, ProcessId, Record, Thing};
use crate::spawn::{Environment, read_back, resolve};
use crate::store::Lock;

/// Longest wait for processes that were sent SIGKILL: only one that hangs in the kernel needs it.
pub(crate) const KILL_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pauses between two looks at the process table while processes end: short first, as most end at once.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// What has to end.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    id: ResourceId,
    process: Option<ProcessId>,
    run: Option<u32>,
}

impl Target {
    fn of(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            process: record.phase.process().cloned(),
            run: record.replica().map(|replica| replica.run),
        }
    }
}

impl LocalProcesses {
    /// The whole of [`skyloom_provider::Driver::delete`].
    pub(crate) async fn delete_thing(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), Fault> {
        let begun = self.blocking({
            let id = id.clone();
            move |inner| inner.begin_delete(&id, epoch)
        });
        let Some(target) = begun.await? else {
            return Ok(());
        };
        self.end(&target, stop.grace).await?;
        self.blocking(move |inner| inner.finish_delete(&target.id)).await
    }

    /// The whole of [`skyloom_provider::Driver::stop`].
    pub(crate) async fn stop_thing(&self, id: &ResourceId, stop: StopSpec, epoch: Epoch) -> Result<(), Fault> {
        let begun = self.blocking({
            let id = id.clone();
            move |inner| inner.begin_stop(&id, epoch)
        });
        let Some(target) = begun.await? else {
            return Ok(());
        };
        self.end(&target, stop.grace).await?;
        self.blocking(move |inner| inner.finish_stop(&target.id)).await
    }

    /// The whole of [`skyloom_provider::Driver::start`].
    pub(crate) async fn start_thing(&self, id: &ResourceId, epoch: Epoch) -> Result<(), Fault> {
        let check = self.blocking({
            let id = id.clone();
            move |inner| inner.begin_start(&id, epoch)
        });
        if let Some(target) = check.await? {
            self.end(&target, Duration::ZERO).await?; // what an ended replica left running
        }
        let id = id.clone();
        self.blocking(move |inner| inner.finish_start(&id, epoch)).await
    }

    /// SIGTERM, grace, SIGKILL, until none of the target's processes lives and none is a zombie of ours.
    async fn end(&self, target: &Target, grace: Duration) -> Result<(), Fault> {
        if !grace.is_zero() && self.end_by(target, Signal::TERM, grace).await? {
            return Ok(());
        }
        if self.end_by(target, Signal::KILL, KILL_WAIT_MAX).await? {
            return Ok(());
        }
        Err(Fault::from(Cause::Timeout { after: KILL_WAIT_MAX }))
    }

    /// Whether all ended within `patience` after the signal. SIGTERM is sent once, SIGKILL as often as needed: what
    /// is just being forked is not there to be killed.
    async fn end_by(&self, target: &Target, what: Signal, patience: Duration) -> Result<bool, Fault> {
        let began = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut sent = false;
        loop {
            let send = (!sent || what == Signal::KILL).then_some(what);
            let round = target.clone();
            if self.blocking(move |inner| inner.end_round(&round, send)).await? {
                return Ok(true);
            }
            sent = true;
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

impl Inner {
    /// Sends the signal to what lives; true when nothing did, and our own child was waited for.
    fn end_round(&self, target: &Target, what: Option<Signal>) -> Result<bool, Fault> {
        let prefix = mark_prefix(self.store.mark(), &target.id);
        let left = members(&prefix, target.process.as_ref())?;
        if let Some(what) = what {
            signal(&left, target.process.as_ref(), what);
        }
        let waited_for = match target.run {
            Some(run) => self.children.status(&target.id, run) != Some(Status::Alive),
            None => true,
        };
        Ok(left.is_empty() && waited_for)
    }

    /// Writes down that a thing is going. `None` when it is gone already, or was a machine, which goes in one step.
    fn begin_delete(&self, id: &ResourceId, epoch: Epoch) -> Result<Option<Target>, Fault> {
        let lock = self.store.lock()?;
        let mut record = match self.admitted(&lock, id, epoch)? {
            None => return Ok(None),
            Some(Ok(record)) => record,
            // Its processes carry their mark, so that it can be ended without its record.
            Some(Err(_)) => {
                return Ok(Some(Target {
                    id: id.clone(),
                    process: None,
                    run: None,
                }));
            }
        };
        if let Thing::Machine(_) = record.thing {
            self.check_empty(&record)?;
            self.store.bury(&lock, id, Some(&record))?;
            return Ok(None);
        }
        let target = Target::of(&record);
        let process = target.process.clone();
        record.phase = Phase::Deleting { process };
        self.store.replace(&lock, &record)?;
        Ok(Some(target))
    }

    fn finish_delete(&self, id: &ResourceId) -> Result<(), Fault> {
        let lock = self.store.lock()?;
        let record = match self.store.record(id) {
            Ok(None) => return Ok(()),
            Ok(record) => record,
            Err(fault) if fault.is_damage() => None,
            Err(fault) => return Err(fault),
        };
        self.store.bury(&lock, id, record.as_ref())?;
        drop(lock);
        self.children.forget(id);
        self.environments().remove(id);
        self.network.forget(id);
        self.meter.forget(id);
        Ok(())
    }

    /// A machine may go or stop only when no replica is on it.
    fn check_empty(&self, machine: &Record) -> Result<(), Fault> {
        let others = self.store.readable()?;
        match others.iter().find(|other| other.is_on(&machine.id)) {
            Some(other) => {
                let by = other.replica().map_or_else(String::new, |r| r.spec.replica.to_string());
                Err(Fault::from(Cause::InUse { by }))
            }
            None => Ok(()),
        }
    }

    /// The record of a thing that is to be changed. One that is being deleted is told as gone.
    fn changeable(&self, lock: &Lock<'_>, id: &ResourceId, epoch: Epoch) -> Result<Record, Fault> {
        let record = self
            .admitted(lock, id, epoch)?
            .ok_or_else(|| Fault::from(Cause::NotFound))??;
        match record.phase {
            Phase::Deleting { .. } => Err(Fault::from(Cause::NotFound)),
            _ => Ok(record),
        }
    }

    /// Writes down that a thing is being stopped. `None` when it is stopped.
    fn begin_stop(&self, id: &ResourceId, epoch: Epoch) -> Result<Option<Target>, Fault> {
        let lock = self.store.lock()?;
        let mut record = self.changeable(&lock, id, epoch)?;
        if record.phase == Phase::Stopped {
            return Ok(None);
        }
        if let Thing::Machine(_) = record.thing {
            self.check_empty(&record)?;
            record.phase = Phase::Stopped;
            self.store.replace(&lock, &record)?;
            return Ok(None);
        }
        self.keep_environment(&record)?;
        let target = Target::of(&record);
        let process = target.process.clone();
        record.phase = Phase::Stopping { process };
        self.store.replace(&lock, &record)?;
        Ok(Some(target))
    }

    fn finish_stop(&self, id: &ResourceId) -> Result<(), Fault> {
        let lock = self.store.lock()?;
        match self.store.record(id)? {
            Some(mut record) if matches!(record.phase, Phase::Stopping { .. }) => {
                record.phase = Phase::Stopped;
                self.store.replace(&lock, &record)
            }
            _ => Ok(()), // deleted or started by another call meanwhile
        }
    }

    /// Checks that a thing may be started. `Some`: what is left of its last run has to end first.
    fn begin_start(&self, id: &ResourceId, epoch: Epoch) -> Result<Option<Target>, Fault> {
        let lock = self.store.lock()?;
        let record = self.changeable(&lock, id, epoch)?;
        match self.state(&record)? {
            ResourceState::Running => Ok(None),
            _ if record.replica().is_none() => Ok(None),
            _ => Ok(Some(Target::of(&record))),
        }
    }

    fn finish_start(&self, id: &ResourceId, epoch: Epoch) -> Result<(), Fault> {
        let lock = self.store.lock()?;
        let mut record = self.changeable(&lock, id, epoch)?;
        if self.state(&record)? == ResourceState::Running {
            return match record.phase {
                Phase::Up { .. } => Ok(()),
                _ => Err(Fault::from(Cause::InUse { by: "stop".to_owned() })),
            };
        }
        let Some(mut replica) = record.replica().cloned() else {
            record.phase = Phase::Up { process: None };
            return self.store.replace(&lock, &record);
        };
        let environment = self.environments().get(id).cloned();
        let environment = environment.ok_or_else(|| {
            Fault::invalid("its environment was known only to the controller that stopped it; create it anew")
        })?;
        let program = resolve(&self.config, &replica.spec.run.command)?;
        check_free(&replica.spec.run.ports, &replica.ports)?;
        let before = record.clone();
        replica.run = replica.run.saturating_add(1);
        record.phase = Phase::Starting;
        record.thing = Thing::Replica(Box::new(replica.clone()));
        self.store.replace(&lock, &record)?;
        self.network.forget(id);
        let launched = self.launch(&lock, &mut record, &replica, &program, &environment);
        if launched.is_err() {
            self.store.replace(&lock, &before)?;
        }
        launched
    }

    /// Remembers what a running replica sees, so that it can be started again with the same.
    fn keep_environment(&self, record: &Record) -> Result<(), Fault> {
        let known = self.environments().contains_key(&record.id);
        if let Some(process) = record.phase.process().filter(|_| !known) {
            let variables = environment(process)?;
            if !variables.is_empty() {
                self.environments().insert(record.id.clone(), read_back(variables));
            }
        }
        Ok(())
    }

    /// What a running replica sees: as it was given, or read back from its process.
    pub(crate) fn environment_of(&self, record: &Record) -> Result<Option<Environment>, Fault> {
        self.keep_environment(record)?;
        Ok(self.environments().get(&record.id).cloned())
    }
}
