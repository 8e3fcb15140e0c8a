//! Drills: what the loss of a place would come to, found out without losing it.
//!
//! Both kinds ask the scheduler what there would be instead. A dry run stops there and sums up; a rehearsal lets the control
//! loop itself live through it, see `rehearsal`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skyloom_core::{
    Action, InstanceType, Manifest, MicroUsdPerHour, Placement, Plan, RegionKey, ReplicaId, Snapshot, Step, Timestamp,
    Unplaced,
};
use skyloom_orchestrator::drill::{
    DrillMode, DrillReport, Loss, ServiceRecovery, finish_times, first_capable, surviving_copies,
};
use skyloom_orchestrator::{FailoverHistory, OutOfReach, shield};
use skyloom_scheduler::{Cheapest, Problem, place};

use super::ControlPlane;
use super::around::offered;
use super::claim::Ground;
use super::rehearsal::Rehearsal;
use crate::error::Error;
use crate::observe::{Seen, glance};
use crate::store::State;

/// What a drill supposes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DrillConfig {
    /// The seed of the simulated cloud; `None`: a dry run against the real inventory.
    pub seed: Option<u64>,
    /// How long a new machine takes until it runs, at least and at most.
    pub machine_start: (Duration, Duration),
    /// How long a new replica takes on a running machine, at least and at most.
    pub replica_start: (Duration, Duration),
    /// How long a rehearsal goes on at most, in virtual time.
    pub within: Duration,
    /// Time between two looks of the rehearsed control loop; times in the report are whole multiples of a second.
    pub look_every: Duration,
    /// Machines of a type that a region has left, where that is to be rehearsed.
    pub capacity: Vec<(RegionKey, InstanceType, u32)>,
}

impl DrillConfig {
    /// A rehearsal with this seed: machines start in 20 to 60 s and replicas in 1 to 5 s, an hour is the end, and there is
    /// room everywhere.
    #[must_use]
    pub const fn rehearsal(seed: u64) -> Self {
        let seconds = Duration::from_secs;
        Self {
            seed: Some(seed),
            machine_start: (seconds(20), seconds(60)),
            replica_start: (seconds(1), seconds(5)),
            within: seconds(3600),
            look_every: seconds(5),
            capacity: Vec::new(),
        }
    }

    /// A dry run: nothing is simulated, and the longest times are supposed.
    #[must_use]
    pub const fn dry_run() -> Self {
        let mut config = Self::rehearsal(0);
        config.seed = None;
        config
    }

    /// The same with measured or supposed start-up times: of a machine, and of a replica on it.
    #[must_use]
    pub const fn with_starts(mut self, machine: (Duration, Duration), replica: (Duration, Duration)) -> Self {
        (self.machine_start, self.replica_start) = (machine, replica);
        self
    }

    /// The same, ending after this much virtual time at the latest.
    #[must_use]
    pub const fn with_within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The same, with so many machines of a type left in a region.
    #[must_use]
    pub fn with_capacity(mut self, region: RegionKey, instance: InstanceType, machines: u32) -> Self {
        self.capacity.push((region, instance, machines));
        self
    }
}

/// Today's inventory, as a drill is made from it.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) at: Timestamp,
    pub(super) manifest: Manifest,
    pub(super) state: State,
    pub(super) seen: Seen,
    pub(super) history: FailoverHistory,
}

/// What there would be after a loss.
#[derive(Debug)]
pub(super) struct After {
    pub(super) placement: Option<Placement>,
    plan: Option<Plan>,
    unplaced: Vec<Unplaced>,
    refused: Option<String>,
}

impl ControlPlane {
    /// What the loss of a cloud, a region, a zone or a machine would come to: how long until everything is healthy again,
    /// how old the newest surviving copies are, what it costs, and what would have no other place and why. Nothing real is
    /// touched: the inventory is read, and the rest happens in a simulated cloud ([`DrillConfig::rehearsal`]) or on paper
    /// ([`DrillConfig::dry_run`]).
    ///
    /// Equal inventory, time and seed give an equal report.
    ///
    /// # Errors
    /// [`Error::NothingDeployed`]; [`Error::UnknownLoss`]; [`Error::Unreachable`] when the inventory cannot be read as a whole; [`Error::Store`]
    /// when a record or the rehearsal's folder cannot be used, or another rehearsal is under way; otherwise as
    /// [`ControlPlane::heal`] in the rehearsal.
    pub async fn drill(&self, loss: &Loss, config: &DrillConfig) -> Result<DrillReport, Error> {
        let (inventory, folder) = {
            let inner = self.inner.lock().await;
            let manifest = inner.state.manifest_in_force().cloned().ok_or(Error::NothingDeployed)?;
            let seen = glance(&self.shared, &inner.state).await.whole()?;
            let inventory = Inventory {
                at: self.shared.now(),
                manifest,
                state: inner.state.clone(),
                seen,
                history: inner.outage.history.clone(),
            };
            (inventory, self.endpoints_file().with_file_name("drill"))
        };
        if !self.knows(&inventory, loss) {
            return Err(Error::UnknownLoss(loss.clone()));
        }
        let mode = config
            .seed
            .map_or(DrillMode::DryRun, |seed| DrillMode::Rehearsal { seed });
        let mut report = DrillReport::new(loss.clone(), mode, inventory.at);
        let synced = self.shared.data.synced()?;
        report.data = surviving_copies(&inventory.manifest, loss.place().as_ref(), &synced, inventory.at);
        let after = self.after(&inventory, loss)?;
        self.sum_up(&inventory, loss, &after, &mut report);
        let Some(seed) = config.seed else {
            self.on_paper(&after, config, &mut report);
            return Ok(report);
        };
        let rehearsal = Rehearsal {
            seed,
            folder,
            loss: loss.clone(),
            drill: config.clone(),
            config: self.shared.config.clone(),
            catalogue: self.shared.catalogue.clone(),
            inventory,
            report,
        };
        // A runtime of its own, on a thread that may wait for it.
        let run = tokio::task::spawn_blocking(move || rehearsal.run());
        run.await
            .unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
    }

    /// Whether the catalogue or the inventory has what is to be lost.
    fn knows(&self, inventory: &Inventory, loss: &Loss) -> bool {
        let Some(place) = loss.place() else {
            return !lost_machines(inventory, loss).is_empty();
        };
        let listed = self.shared.catalogue.regions().any(|region| {
            let zones = region.zones.iter().any(|zone| place.covers(&region.key, Some(zone)));
            zones || place.covers_region(&region.key)
        });
        listed || !lost_machines(inventory, loss).is_empty()
    }

    /// What the scheduler would do after the loss.
    fn after(&self, inventory: &Inventory, loss: &Loss) -> Result<After, Error> {
        let (snapshot, out) = world_after(inventory, loss);
        let catalogue = offered(&self.shared.catalogue, &out.lost, |_| false);
        let problem_of = |snapshot| Problem {
            manifest: &inventory.manifest,
            snapshot,
            catalogue: &catalogue,
        };
        let shown = shield(&snapshot, &out);
        let placement = match place(&problem_of(&shown), &Cheapest, &self.shared.config.place) {
            Ok(placement) => placement,
            Err(error) => {
                return Ok(After {
                    placement: None,
                    plan: None,
                    unplaced: Vec::new(),
                    refused: Some(crate::call::chain(&error)),
                });
            }
        };
        let unplaced = placement.unplaced.clone();
        let scope = (&FailoverHistory::new(), out);
        let ground = Ground::in_force(&snapshot);
        let none = BTreeMap::new();
        let around = self.decide_around(&inventory.state, &inventory.manifest, &ground, &Cheapest, scope, &none);
        let plan = match around {
            Ok(around) => Some(around.proposal.plan),
            Err(Error::Unsatisfied(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(After {
            placement: Some(placement),
            plan,
            unplaced,
            refused: None,
        })
    }

    /// What follows from the inventory and the decision alone.
    fn sum_up(&self, inventory: &Inventory, loss: &Loss, after: &After, report: &mut DrillReport) {
        let lost = lost_machines(inventory, loss);
        let nodes = &inventory.seen.snapshot.nodes;
        let price = |keep: &dyn Fn(bool) -> bool| {
            let kept = nodes.iter().filter(|node| keep(lost.contains(&node.machine.id)));
            MicroUsdPerHour::checked_sum(kept.map(|node| node.machine.price)).unwrap_or(MicroUsdPerHour::MAX)
        };
        let mut hit: BTreeMap<&skyloom_core::ServiceName, BTreeSet<&ReplicaId>> = BTreeMap::new();
        for known in inventory.state.replicas.values() {
            if lost.contains(&known.spec.machine) {
                hit.entry(known.spec.replica.service())
                    .or_default()
                    .insert(&known.spec.replica);
            }
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        report.machines_lost = count(lost.len());
        report.replicas_lost = count(hit.values().map(BTreeSet::len).sum());
        let services = inventory.manifest.services.iter().map(|service| {
            let replicas = service.replicas.get();
            let lost = count(hit.get(&service.name).map_or(0, BTreeSet::len));
            let floor = replicas.saturating_sub(service.rollout.max_unavailable);
            ServiceRecovery::new(service.name.clone(), replicas, lost, floor)
        });
        report.services = services.collect();
        report.services.sort_by(|a, b| a.service.cmp(&b.service));
        report.unplaced.clone_from(&after.unplaced);
        report.refused.clone_from(&after.refused);
        let cost = &mut report.cost;
        cost.before = price(&|_| true);
        cost.lost_but_charged = if matches!(loss, Loss::Machine(_)) {
            MicroUsdPerHour::ZERO
        } else {
            price(&|lost| lost)
        };
        let today = self.cost_today(inventory);
        cost.egress_before_per_month = today.map_or(skyloom_core::MicroUsd::ZERO, |cost| cost.egress_per_month);
        let then = after.placement.as_ref().map(|placement| placement.cost);
        cost.egress_after_per_month = then.map(|cost| cost.egress_per_month);
        cost.egress_assumed =
            today.is_some_and(|cost| cost.egress_assumed) || then.is_some_and(|cost| cost.egress_assumed);
        cost.after = then.map_or(price(&|lost| !lost), |cost| cost.machines_per_hour);
        cost.during = cost
            .after
            .checked_add(cost.lost_but_charged)
            .unwrap_or(MicroUsdPerHour::MAX);
    }

    fn cost_today(&self, inventory: &Inventory) -> Option<skyloom_core::CostSummary> {
        let problem = Problem {
            manifest: &inventory.manifest,
            snapshot: &inventory.seen.snapshot,
            catalogue: &self.shared.catalogue,
        };
        let placement = place(&problem, &Cheapest, &self.shared.config.place);
        placement.ok().map(|placement| placement.cost)
    }

    /// Times by the plan's order and the longest supposed start-up times, after the time until the loss is noticed.
    fn on_paper(&self, after: &After, config: &DrillConfig, report: &mut DrillReport) {
        let runtime = &self.shared.config;
        let noticed = if report.loss.place().is_some() {
            runtime
                .failover
                .after
                .max(runtime.supervise_every.saturating_mul(runtime.failover.looks))
        } else {
            runtime.heal.lost_after.saturating_add(runtime.supervise_every)
        };
        report.declared_after = report
            .loss
            .place()
            .filter(|_| report.machines_lost > 0)
            .map(|_| noticed);
        let takes = |step: &Step| match &step.action {
            Action::CreateMachine { .. } => config.machine_start.1,
            Action::CreateReplica { spec } => {
                let checks = spec
                    .health
                    .as_ref()
                    .map(|h| h.interval.saturating_mul(h.healthy_after.get()));
                config.replica_start.1.saturating_add(checks.unwrap_or_default())
            }
            _ => Duration::ZERO,
        };
        let times = after
            .plan
            .as_ref()
            .map(|plan| first_capable(plan, &finish_times(plan, takes)));
        let mut longest = Duration::ZERO;
        for service in &mut report.services {
            let without = report
                .unplaced
                .iter()
                .filter(|u| *u.replica.service() == service.service)
                .count();
            let without = u32::try_from(without).unwrap_or(u32::MAX);
            let back = times.as_ref().and_then(|times| times.get(&service.service)).copied();
            let left = service.replicas.saturating_sub(service.lost);
            let back = noticed.saturating_add(back.unwrap_or_default());
            (service.rto, service.healthy) = match (service.lost, &times) {
                (0, _) => (Some(Duration::ZERO), service.replicas),
                (_, Some(_)) if without == 0 => (Some(back), service.replicas),
                (_, Some(_)) => (None, service.replicas.saturating_sub(without)),
                (_, None) => (None, left),
            };
            if left < service.floor {
                // At most: until the last replica is back, not until the floor is reached.
                service.below_floor = service.rto.unwrap_or(config.within);
            }
            longest = longest.max(service.rto.unwrap_or_default());
        }
        let added = after.plan.as_ref().map(|plan| {
            let bought = plan.steps.iter().filter_map(|step| match &step.action {
                Action::CreateMachine { machine } => Some(machine.price),
                _ => None,
            });
            MicroUsdPerHour::checked_sum(bought).unwrap_or(MicroUsdPerHour::MAX)
        });
        report.cost.failover = added
            .filter(|_| report.is_placed())
            .and_then(|price| price.over(longest.saturating_sub(noticed)));
    }
}

/// Machines that a loss takes.
pub(super) fn lost_machines(inventory: &Inventory, loss: &Loss) -> BTreeSet<skyloom_core::MachineId> {
    let machines = inventory.state.machines.values().map(|known| &known.machine);
    let place = loss.place();
    machines
        .filter(|machine| match (loss, &place) {
            (Loss::Machine(id), _) => machine.id == *id,
            (_, Some(place)) => place.covers_site(&machine.site),
            (_, None) => false,
        })
        .map(|machine| machine.id.clone())
        .collect()
}

/// The world after a loss, and what of it is out of reach: also what is out today.
fn world_after(inventory: &Inventory, loss: &Loss) -> (Snapshot, OutOfReach) {
    let mut snapshot = inventory.seen.snapshot.clone();
    if let Loss::Machine(machine) = loss {
        snapshot.nodes.retain(|node| node.machine.id != *machine);
        snapshot.replicas.retain(|replica| replica.machine != *machine);
    }
    let mut lost = inventory.history.out();
    lost.extend(loss.place());
    let out = OutOfReach {
        lost,
        ..OutOfReach::default()
    };
    (snapshot, out)
}
