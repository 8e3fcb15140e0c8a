//! Creating a machine or a replica, and finding out what an interrupted creation left.
//!
//! Everything here runs under the folder's lock, on a thread that may block: one creation is one piece, whatever
//! happens to the future that asked for it.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use skyloom_core::{Machine, ResourceId, Resources};
use skyloom_provider::{Cause, CreateRequest, Epoch, NewReplica, ResourceState, What};

use crate::driver::Inner;
use crate::error::Fault;
use crate::lifecycle::KILL_WAIT_MAX;
use crate::ports::{choose, held};
use crate::process::{find_started, identify, mark_prefix, members, signal};
use crate::record::{Phase, Record, Replica, Thing, id_of};
use crate::spawn::{self, Environment, check_ports, resolve};
use crate::store::{Lock, now};

impl Inner {
    /// The whole of [`skyloom_provider::Driver::create`].
    pub(crate) fn create(&self, request: &CreateRequest) -> Result<Record, Fault> {
        let lock = self.store.lock()?;
        self.store.admit(&lock, &request.owner, request.epoch)?;
        let id = id_of(&request.token);
        if self.store.is_buried(&id) {
            return Err(Fault::from(Cause::TokenReused));
        }
        if let Some(known) = self.settled(&lock, &id)? {
            return self.repeated(request, known);
        }
        match &request.what {
            What::Machine(machine) => self.create_machine(&lock, request, machine),
            What::Replica(new) => self.create_replica(&lock, request, new),
        }
    }

    /// A token that is known already: the same thing again, or a misuse.
    fn repeated(&self, request: &CreateRequest, known: Record) -> Result<Record, Fault> {
        let same = known.token == request.token && known.parameters == request.parameters();
        match known.phase {
            Phase::Deleting { .. } => Err(Fault::from(Cause::TokenReused)),
            _ if !same => Err(Fault::from(Cause::TokenReused)),
            _ => Ok(known),
        }
    }

    fn create_machine(&self, lock: &Lock<'_>, request: &CreateRequest, machine: &Machine) -> Result<Record, Fault> {
        let phase = Phase::Up { process: None };
        let record = new_record(request, phase, Thing::Machine(machine.clone()));
        self.store.add(lock, &record)?;
        Ok(record)
    }

    fn create_replica(&self, lock: &Lock<'_>, request: &CreateRequest, new: &NewReplica) -> Result<Record, Fault> {
        let others = self.occupying()?;
        self.check_machine(request, new, &others)?;
        check_ports(&new.spec)?;
        let program = resolve(&self.config, &new.spec.run.command)?;
        let ports = choose(&new.spec.run.ports, &held(&others))?;
        let environment = spawn::environment(&self.config, new, &ports)?;
        let replica = Replica {
            spec: new.spec.clone(),
            machine: new.machine.clone(),
            ports,
            env_names: new.env.keys().cloned().collect(),
            run: 1,
        };
        let mut record = new_record(request, Phase::Starting, Thing::Replica(Box::new(replica.clone())));
        self.store.add(lock, &record)?;
        let launched = self.launch(lock, &mut record, &replica, &program, &environment);
        if let Err(fault) = launched {
            self.store.remove(lock, &record.id)?;
            return Err(fault);
        }
        self.environments().insert(record.id.clone(), environment);
        Ok(record)
    }

    /// Everything that takes room and ports. A replica whose program has ended takes none: its replacement may come
    /// before it is removed, as on a real machine.
    fn occupying(&self) -> Result<Vec<Record>, Fault> {
        let mut occupying = Vec::new();
        for record in self.store.readable()? {
            if !matches!(self.state(&record)?, ResourceState::Exited { .. }) {
                occupying.push(record);
            }
        }
        Ok(occupying)
    }

    /// Whether the replica's machine is there, is the planned one, and has room.
    fn check_machine(&self, request: &CreateRequest, new: &NewReplica, others: &[Record]) -> Result<(), Fault> {
        let gone = || Fault::from(Cause::NotFound).on(&new.machine);
        let record = self.store.record(&new.machine)?.ok_or_else(gone)?;
        let Thing::Machine(machine) = &record.thing else {
            return Err(Fault::invalid(format!("`{}` is not a machine", new.machine)));
        };
        if record.owner != request.owner || matches!(record.phase, Phase::Deleting { .. }) {
            return Err(gone());
        }
        if matches!(record.phase, Phase::Stopped) {
            return Err(Fault::invalid(format!("the machine `{}` is stopped", new.machine)));
        }
        if machine.id != new.spec.machine || machine.site != new.spec.site {
            let (id, site) = (&machine.id, &machine.site);
            let (wanted, place) = (&new.spec.machine, &new.spec.site);
            let detail = format!("planned for machine `{wanted}` at `{place}`, given `{id}` at `{site}`");
            return Err(Fault::invalid(detail));
        }
        let on_it = others.iter().filter(|other| other.is_on(&new.machine));
        let mut requests = on_it.filter_map(|other| other.replica().map(|r| &r.spec.request));
        let used = requests.try_fold(new.spec.request, |sum: Resources, more| sum.checked_add(more));
        match used {
            Some(used) if used.fits_in(&machine.capacity) => Ok(()),
            used => {
                let dimension = used.and_then(|used| used.first_excess(&machine.capacity));
                let what = dimension.map_or_else(|| "the sum of all requests".to_owned(), |d| d.to_string());
                let what = format!("{what} on `{}`", new.machine);
                Err(Fault::from(Cause::NoCapacity { what }))
            }
        }
    }

    /// Starts the process of a record whose phase is `Starting`, and completes the record. On an error nothing runs,
    /// and the record is as it was.
    pub(crate) fn launch(
        &self,
        lock: &Lock<'_>,
        record: &mut Record,
        replica: &Replica,
        program: &Path,
        environment: &Environment,
    ) -> Result<(), Fault> {
        let id = record.id.clone();
        let prefix = mark_prefix(self.store.mark(), &id);
        let mark = format!("{prefix}{}", replica.run);
        let (word, arguments) = replica
            .spec
            .run
            .command
            .split_first()
            .map_or(("", [].as_slice()), |(w, a)| (w, a));
        let command = spawn::command(program, arguments, environment, &mark, &self.store.work(&id));
        let mut child = spawn::start(command, word, &self.store.log(&id))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        // Not waited for yet, so that it can be identified even when it has ended already.
        let identified = match pid {
            Some(pid) => identify(pid),
            None => Err(Fault::unexpected("a started process has no number")),
        };
        let completed = identified.and_then(|process| {
            let process = Some(process);
            let completed = Record {
                phase: Phase::Up { process },
                ..record.clone()
            };
            self.store.replace(lock, &completed).map(|()| completed)
        });
        let outcome = match completed {
            Ok(completed) => {
                self.give_ports(&completed);
                *record = completed;
                Ok(())
            }
            Err(fault) => {
                drop(child.start_kill()); // has ended by itself: what was wanted
                self.kill_now(&prefix).and(Err(fault))
            }
        };
        self.children.watch(&self.store, &id, replica.run, child);
        outcome
    }

    /// Ends all processes of a thing at once, and waits for it.
    fn kill_now(&self, prefix: &str) -> Result<(), Fault> {
        let deadline = Instant::now() + KILL_WAIT_MAX;
        loop {
            let left = members(prefix, None)?; // none is in a group: no group was recorded, each is addressed
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Fault::from(Cause::Timeout { after: KILL_WAIT_MAX }));
            }
            signal(&left, None, Signal::KILL);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The record of a thing with an interrupted start found out about; `None` when it is not there.
    pub(crate) fn settled(&self, lock: &Lock<'_>, id: &ResourceId) -> Result<Option<Record>, Fault> {
        match self.store.record(id)? {
            Some(record) if record.phase == Phase::Starting => self.recover(lock, record),
            other => Ok(other),
        }
    }

    /// What became of a start whose controller died before it wrote down the process: it runs and is taken over; or it
    /// ran and is over; or it never began, and then the thing is as it was before.
    fn recover(&self, lock: &Lock<'_>, mut record: Record) -> Result<Option<Record>, Fault> {
        let Some(replica) = record.replica() else {
            return Ok(Some(record));
        };
        let prefix = mark_prefix(self.store.mark(), &record.id);
        let process = find_started(&format!("{prefix}{}", replica.run))?;
        let is_first = replica.run == 1;
        if process.is_some() || !members(&prefix, None)?.is_empty() {
            record.phase = Phase::Up { process };
        } else if !is_first {
            record.phase = Phase::Stopped;
        } else if self.store.log(&record.id).metadata().is_ok_and(|log| log.len() > 0) {
            record.phase = Phase::Up { process: None };
        } else {
            self.store.remove(lock, &record.id)?;
            return Ok(None);
        }
        self.store.replace(lock, &record)?;
        Ok(Some(record))
    }

    /// Checks the epoch for a thing that may be damaged: `Err` carries the damage when it is.
    pub(crate) fn admitted(
        &self,
        lock: &Lock<'_>,
        id: &ResourceId,
        epoch: Epoch,
    ) -> Result<Option<Result<Record, Fault>>, Fault> {
        match self.settled(lock, id) {
            Ok(None) => Ok(None),
            Ok(Some(record)) => {
                self.store.admit(lock, &record.owner, epoch)?;
                Ok(Some(Ok(record)))
            }
            Err(fault) if fault.is_damage() => {
                self.store.admit_any(lock, epoch)?;
                Ok(Some(Err(fault)))
            }
            Err(fault) => Err(fault),
        }
    }
}

fn new_record(request: &CreateRequest, phase: Phase, thing: Thing) -> Record {
    Record {
        id: id_of(&request.token),
        owner: request.owner.clone(),
        operation: request.operation.clone(),
        token: request.token.clone(),
        parameters: request.parameters(),
        created_at: now(),
        phase,
        thing,
    }
}
