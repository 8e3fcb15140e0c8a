//! A rehearsal: the control loop itself, on a simulated copy of the inventory, in virtual time, with the loss injected.
//!
//! The copy is one simulated cloud per cloud, so that one that is lost does not silence the others. Nothing in it is real:
//! programs are not started, secrets are blank, and health is asked of the simulated cloud instead of over a network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use skyloom_core::{
    Catalogue, Class, CloudId, HealthCheck, HealthProbe, Manifest, MicroUsd, MicroUsdPerHour, ReplicaId, ResourceId,
    RunSpec, Secret, SecretRef, ServiceName, Site, Timestamp,
};
use skyloom_orchestrator::drill::{DrillReport, Loss, Shortfall};
use skyloom_orchestrator::{FailoverAction, Place, jobs};
use skyloom_provider::sim::{Delay, Fate, Origin, SimCloud, SimConfig, SimEventKind, SimProgram, SimThing};
use skyloom_provider::{Cause, Kind, ResourceState};
use skyloom_security::access::Principal;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, sleep};

use super::drill::{DrillConfig, Inventory, lost_machines};
use super::{ControlPlane, ControlPlaneBuilder};
use crate::clock::Clock;
use crate::config::RuntimeConfig;
use crate::env::SecretResolver;
use crate::error::Error;
use crate::event::Event;
use crate::store::{Lease, State, StoreError};

/// Time between two measurements.
const TICK: Duration = Duration::from_secs(1);
/// How long the copy may take to be found healthy before anything is lost.
const SETTLE_MAX: Duration = Duration::from_secs(300);

/// All that a rehearsal needs.
pub(super) struct Rehearsal {
    pub(super) seed: u64,
    pub(super) folder: PathBuf,
    pub(super) loss: Loss,
    pub(super) drill: DrillConfig,
    pub(super) config: RuntimeConfig,
    pub(super) catalogue: Catalogue,
    pub(super) inventory: Inventory,
    pub(super) report: DrillReport,
}

/// The clock of the rehearsal: the inventory's time, going on as the paused clock does.
#[derive(Debug, Clone, Copy)]
struct VirtualClock(Timestamp, Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.saturating_add(self.1.elapsed())
    }
}

/// Every secret is there and empty.
#[derive(Debug)]
struct Blank;

impl SecretResolver for Blank {
    fn resolve(&self, _: &SecretRef) -> Option<Secret<String>> {
        Some(Secret::new(String::new()))
    }
}

impl Rehearsal {
    /// Lives through the loss and reports.
    pub(super) fn run(mut self) -> Result<DrillReport, Error> {
        let mut name = self.folder.clone().into_os_string();
        name.push(".lease");
        // One at a time, so that what an earlier one has left can be taken away.
        let _lease = Lease::take(&PathBuf::from(name))?;
        self.clear()?;
        fs::create_dir_all(&self.folder).map_err(StoreError::io("create", &self.folder))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .map_err(StoreError::io("start a rehearsal in", &self.folder))?;
        let lived = runtime.block_on(self.live());
        drop(runtime);
        self.clear()?;
        lived?;
        Ok(self.report)
    }

    fn clear(&self) -> Result<(), StoreError> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &self.folder)(error))
            }
            _ => Ok(()),
        }
    }

    async fn live(&mut self) -> Result<(), Error> {
        let copy = self.copy()?;
        let me = Principal::new("drill", []);
        copy.settle(&self.inventory.manifest, &me).await?;
        let before = copy.healthy(&BTreeSet::new());
        copy.lose(&self.loss, &self.inventory)?;
        let events = copy.plane.watch();
        let never = std::future::pending();
        tokio::select! {
            // Always in this order: the report does not depend on who is asked first.
            biased;
            () = copy.plane.supervise(&me, never) => {}
            () = self.measure(&copy, &before, events) => {}
        }
        Ok(())
    }

    /// The copy of the inventory, with a control plane over it.
    fn copy(&self) -> Result<Copy, Error> {
        let manifest = rehearsable(&self.inventory.manifest);
        let mut state = self.inventory.state.clone();
        let there = |id: &ResourceId| self.inventory.seen.resources.contains_key(id);
        state.replicas.retain(|id, _| there(id));
        state.machines.retain(|_, known| there(&known.resource));
        for known in state.replicas.values_mut() {
            let spec = &mut known.spec;
            (spec.run, spec.health) = simulated(spec.replica.service(), &spec.run, spec.health.as_ref());
        }
        state.manifest = Some(manifest.clone());
        state.save(&self.folder.join("state.json"))?;
        let clock = VirtualClock(self.inventory.at, Instant::now());
        let clouds = self.clouds(&manifest);
        let mut builder = ControlPlaneBuilder::new()
            .state_dir(&self.folder)
            .catalogue(self.catalogue.clone())
            .clock(clock)
            .secrets(Blank)
            .config(
                self.config
                    .clone()
                    .with_supervise_every(self.drill.look_every)
                    .with_lease(crate::hold::LeaseConfig::new()),
            );
        for cloud in clouds.values() {
            builder = builder.provider(cloud.clone().following(move || clock.now()));
        }
        let copy = Copy {
            plane: builder.build()?,
            clouds,
            clock,
            stocked: state.machines.values().map(|known| known.resource.clone()).collect(),
        };
        copy.stock(&state, &self.inventory)?;
        Ok(copy)
    }

    fn clouds(&self, manifest: &Manifest) -> BTreeMap<CloudId, SimCloud> {
        let offered = self.catalogue.clouds().into_iter();
        let used = self.inventory.state.machines.values();
        let used = used.map(|known| &known.machine.site.region.cloud);
        let names: BTreeSet<&CloudId> = offered.chain(used).collect();
        let jobs = jobs(manifest);
        let cloud = |name: &CloudId| {
            let between = |(least, most)| Delay::between(least, most);
            let mut config = SimConfig::new(self.seed, self.inventory.at)
                .for_cloud(name.clone())
                .with_machine_start(between(self.drill.machine_start))
                .with_replica_start(between(self.drill.replica_start))
                .with_delays_by_name()
                .with_consistency_window(Duration::ZERO);
            for (region, instance, machines) in &self.drill.capacity {
                config = config.with_capacity(region.clone(), instance.clone(), *machines);
            }
            for job in &jobs {
                config = config.with_program(job.as_str(), SimProgram::job(self.drill.replica_start.1, 0));
            }
            (name.clone(), SimCloud::new(config))
        };
        names.into_iter().map(cloud).collect()
    }

    /// Takes the measure every second until everything that has a place is healthy again, or the time is over.
    async fn measure(&mut self, copy: &Copy, before: &BTreeMap<ServiceName, usize>, mut events: Receiver<Event>) {
        let begun = Instant::now();
        let mut lost: BTreeSet<Place> = self.loss.place().into_iter().collect();
        lost.extend(self.inventory.history.out());
        self.report.cost.during = MicroUsdPerHour::ZERO;
        loop {
            let passed = begun.elapsed();
            self.listen(&mut events, passed);
            let healthy = copy.healthy(&lost);
            let done = self.take(&healthy, before, passed);
            let running = copy.running_price(&lost);
            let now = running
                .checked_add(self.report.cost.lost_but_charged)
                .unwrap_or(MicroUsdPerHour::MAX);
            self.report.cost.during = self.report.cost.during.max(now);
            if done || passed >= self.drill.within {
                self.report.cost.after = running;
                self.report.cost.failover = self.report.rto().and_then(|_| copy.bought());
                self.report.shortfalls = copy.shortfalls();
                return;
            }
            sleep(TICK).await;
        }
    }

    fn listen(&mut self, events: &mut Receiver<Event>, passed: Duration) {
        loop {
            match events.try_recv() {
                Ok(Event::Place {
                    decision: FailoverAction::FailOver { .. },
                }) => {
                    self.report.declared_after.get_or_insert(passed);
                }
                Ok(_) | Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return,
            }
        }
    }

    /// Takes one count into the report; `true`: there is nothing more to wait for.
    fn take(
        &mut self,
        healthy: &BTreeMap<ServiceName, usize>,
        before: &BTreeMap<ServiceName, usize>,
        passed: Duration,
    ) -> bool {
        let mut done = true;
        for service in &mut self.report.services {
            let count = |counts: &BTreeMap<ServiceName, usize>| {
                let count = counts.get(&service.service).copied().unwrap_or_default();
                u32::try_from(count).unwrap_or(u32::MAX)
            };
            // Who was not well before cannot be well again.
            let (is, was) = (count(healthy), count(before).min(service.replicas));
            let without = self
                .report
                .unplaced
                .iter()
                .filter(|u| *u.replica.service() == service.service);
            let without = u32::try_from(without.count()).unwrap_or(u32::MAX);
            service.healthy = is;
            if is < service.floor {
                service.below_floor = service.below_floor.saturating_add(TICK);
            }
            if is >= was {
                service
                    .rto
                    .get_or_insert(if service.lost == 0 { Duration::ZERO } else { passed });
            } else if is < was.saturating_sub(without) && self.report.refused.is_none() {
                done = false;
            }
        }
        // What has no place at all stays as it is; the loss must have been noticed to say so.
        let noticed = self.report.declared_after.is_some() || self.loss.place().is_none();
        done && (noticed || self.report.services.iter().all(|service| service.rto.is_some()))
    }
}

/// A copy of the inventory.
struct Copy {
    plane: ControlPlane,
    clouds: BTreeMap<CloudId, SimCloud>,
    clock: VirtualClock,
    /// Machines that were there before the loss.
    stocked: BTreeSet<ResourceId>,
}

impl Copy {
    fn cloud_of(&self, site: &Site) -> Option<&SimCloud> {
        self.clouds.get(&site.region.cloud)
    }

    /// Puts today's machines and replicas into the simulated clouds.
    fn stock(&self, state: &State, inventory: &Inventory) -> Result<(), Error> {
        let origin = |number: usize, id: &ResourceId| {
            Ok::<_, skyloom_core::IdError>(Origin {
                id: id.clone(),
                owner: self.plane.shared.owner.clone(),
                operation: format!("stocked-{number}").parse()?,
                token: format!("stocked-{number}").parse()?,
            })
        };
        let failed = |cause: Cause| Error::from(skyloom_provider::DriverError::new("a rehearsal", "stock", cause));
        let machines = state.machines.values().enumerate();
        for (number, known) in machines {
            if let Some(cloud) = self.cloud_of(&known.machine.site) {
                let origin = origin(number, &known.resource)?;
                cloud.stock_machine(origin, &known.machine).map_err(failed)?;
            }
        }
        for (number, (id, known)) in state.replicas.iter().enumerate() {
            let on = state.machines.get(&known.spec.machine).map(|machine| &machine.resource);
            let (Some(cloud), Some(on)) = (self.cloud_of(&known.spec.site), on) else {
                continue;
            };
            let origin = origin(state.machines.len().saturating_add(number), id)?;
            cloud.stock_replica(origin, &known.spec, on).map_err(failed)?;
            let is = inventory.seen.resources.get(id).map(|resource| &resource.state);
            match is {
                Some(ResourceState::Exited { code: Some(code) }) => cloud.exit(id, *code).map_err(failed)?,
                Some(ResourceState::Exited { code: None } | ResourceState::Evicted | ResourceState::Stopped) => {
                    cloud.crash(id).map_err(failed)?;
                }
                Some(ResourceState::Pending | ResourceState::Running) | None => {}
            }
        }
        Ok(())
    }

    /// Lets the control plane find what is there.
    async fn settle(&self, manifest: &Manifest, me: &Principal) -> Result<(), Error> {
        let wanted = usize::try_from(manifest.replica_count()).unwrap_or(usize::MAX);
        let begun = Instant::now();
        while begun.elapsed() < SETTLE_MAX {
            self.plane.heal(me).await?;
            if self.healthy(&BTreeSet::new()).values().sum::<usize>() >= wanted {
                break;
            }
            sleep(TICK).await;
        }
        Ok(())
    }

    fn things(&self) -> impl Iterator<Item = SimThing> {
        let present = |cloud: &SimCloud| {
            cloud.advance(self.clock.now().saturating_since(cloud.now()));
            cloud.oracle()
        };
        self.clouds.values().flat_map(present)
    }

    /// Injects the loss.
    fn lose(&self, loss: &Loss, inventory: &Inventory) -> Result<(), Error> {
        drop(self.things());
        let region = |region: &skyloom_core::RegionKey| Site {
            region: region.clone(),
            zone: None,
        };
        match loss {
            Loss::Region(key) => self.outage(region(key), Fate::Restarts),
            Loss::Zone(key, zone) => {
                let zone = Some(zone.clone());
                self.outage(Site { zone, ..region(key) }, Fate::Gone);
            }
            Loss::Cloud(name) => {
                let catalogue = self.plane.shared.catalogue.regions().map(|info| &info.key);
                let used = inventory
                    .state
                    .machines
                    .values()
                    .map(|known| &known.machine.site.region);
                let regions: BTreeSet<_> = catalogue.chain(used).filter(|key| key.cloud == *name).collect();
                regions
                    .into_iter()
                    .for_each(|key| self.outage(region(key), Fate::Restarts));
            }
            Loss::Machine(_) => {
                for machine in lost_machines(inventory, loss) {
                    let Some(known) = inventory.state.machines.get(&machine) else {
                        continue;
                    };
                    if let Some(cloud) = self.cloud_of(&known.machine.site) {
                        // One that was not there any more has nothing to lose.
                        let _ = cloud.vanish(&known.resource);
                    }
                }
            }
        }
        Ok(())
    }

    fn outage(&self, site: Site, fate: Fate) {
        if let Some(cloud) = self.cloud_of(&site) {
            cloud.begin_outage(site, fate);
        }
    }

    /// Replicas of each service that are well outside of what is lost: in the clouds' truth and in the control plane's
    /// judgement.
    fn healthy(&self, lost: &BTreeSet<Place>) -> BTreeMap<ServiceName, usize> {
        let mut well: BTreeMap<ServiceName, BTreeSet<ReplicaId>> = BTreeMap::new();
        for thing in self.things() {
            let resource = &thing.resource;
            let outside = !lost.iter().any(|place| place.covers_site(&resource.site));
            let is_well = match resource.state {
                ResourceState::Running => self.plane.shared.health_of(&resource.id).is_healthy(),
                ResourceState::Exited { code: Some(0) } => true,
                _ => false,
            };
            if resource.kind == Kind::Replica
                && outside
                && is_well
                && let Ok(replica) = resource.name.parse::<ReplicaId>()
            {
                well.entry(replica.service().clone()).or_default().insert(replica);
            }
        }
        well.into_iter()
            .map(|(service, replicas)| (service, replicas.len()))
            .collect()
    }

    /// Price of all machines that run or soon will, outside of what is lost.
    fn running_price(&self, lost: &BTreeSet<Place>) -> MicroUsdPerHour {
        let live: BTreeSet<ResourceId> = self
            .things()
            .filter(|thing| matches!(thing.resource.state, ResourceState::Pending | ResourceState::Running))
            .filter(|thing| !lost.iter().any(|place| place.covers_site(&thing.resource.site)))
            .map(|thing| thing.resource.id)
            .collect();
        let prices = self.prices();
        let priced = live.iter().filter_map(|id| prices.get(id).copied());
        MicroUsdPerHour::checked_sum(priced).unwrap_or(MicroUsdPerHour::MAX)
    }

    /// Prices of all machines that ever were.
    fn prices(&self) -> BTreeMap<ResourceId, MicroUsdPerHour> {
        let created = self
            .clouds
            .values()
            .flat_map(SimCloud::events)
            .filter_map(|event| match event.what {
                SimEventKind::Created {
                    id, price: Some(price), ..
                } => Some((id, price)),
                _ => None,
            });
        created.collect()
    }

    /// What was charged for machines that were bought after the loss.
    fn bought(&self) -> Option<MicroUsd> {
        let items = self.clouds.values().flat_map(|cloud| cloud.bill().items);
        MicroUsd::checked_sum(
            items
                .filter(|item| !self.stocked.contains(&item.id))
                .map(|item| item.cost),
        )
    }

    /// What was asked for in vain.
    fn shortfalls(&self) -> Vec<Shortfall> {
        let mut refused: BTreeMap<String, u32> = BTreeMap::new();
        for event in self.clouds.values().flat_map(SimCloud::events) {
            if let SimEventKind::Refused {
                class: Class::Exhausted,
                why,
                ..
            } = event.what
            {
                let count = refused.entry(why).or_default();
                *count = count.saturating_add(1);
            }
        }
        refused
            .into_iter()
            .map(|(what, refused)| Shortfall { what, refused })
            .collect()
    }
}

/// A manifest whose services can be simulated.
fn rehearsable(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    for service in &mut manifest.services {
        (service.run, service.health) = simulated(&service.name, &service.run, service.health.as_ref());
    }
    manifest
}

/// What is started and how it is asked: the program goes by its service's name, and whoever would be asked over a network
/// is asked by a command, as often and as patiently.
fn simulated(service: &ServiceName, run: &RunSpec, health: Option<&HealthCheck>) -> (RunSpec, Option<HealthCheck>) {
    let mut run = run.clone();
    run.command = vec![service.to_string()];
    let health = health.cloned().map(|mut check| {
        check.probe = HealthProbe::Exec {
            command: vec!["health".to_owned()],
        };
        check
    });
    (run, health)
}
