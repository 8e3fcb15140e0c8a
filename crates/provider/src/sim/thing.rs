//! The things of a simulated cloud: machines with a meter for money, replicas with a meter for work.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use skyloom_core::{
    Bytes, Machine, MicroUsd, MicroUsdPerHour, PortName, Protocol, ResourceId, Resources, RunSpec, Timestamp,
};

use super::bill::{Charge, Destination, EgressItem, LineItem, cost_of};
use super::config::Tariff;
use super::program::SimProgram;
use crate::{PerMille, Resource, ResourceState, Usage};

/// Lines kept of what a replica printed; the oldest go first.
const LOG_LINES_MAX: usize = 1000;

/// A thing and all that the cloud knows of it.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) resource: Resource,
    /// It carries no owner tag; the one in `resource` is its last.
    pub(super) untagged: bool,
    /// Before that it is absent from listings.
    pub(super) visible_at: Timestamp,
    /// When a pending thing will run.
    pub(super) ready_at: Timestamp,
    /// Counts halts; what was due for an earlier incarnation no longer happens.
    pub(super) incarnation: u64,
    /// Whether it runs again when the outage is over.
    pub(super) lost_power: bool,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Machine(Box<MachineBody>),
    Replica(Box<ReplicaBody>),
}

#[derive(Debug, Clone)]
pub(super) struct MachineBody {
    pub(super) machine: Machine,
    pub(super) price: MicroUsdPerHour,
    pub(super) address: Ipv4Addr,
    /// What is charged at the present price, and since when; `None`: nothing is.
    pub(super) charged: Option<(Charge, Timestamp)>,
    /// When the present run began; unlike the interval that is charged, a new price does not begin it anew.
    pub(super) runs_since: Option<Timestamp>,
    /// When it will be taken back, once that is announced.
    pub(super) evicted_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) struct ReplicaBody {
    pub(super) machine: ResourceId,
    pub(super) request: Resources,
    /// What it was made to run.
    pub(super) run: RunSpec,
    pub(super) program: SimProgram,
    pub(super) ports: BTreeMap<PortName, (Protocol, SocketAddr)>,
    pub(super) log: VecDeque<String>,
    pub(super) meter: Meter,
    /// Bytes sent on command, by destination; what the program sends by itself follows from the meter.
    pub(super) sent: BTreeMap<Destination, u64>,
}

/// Work done, added up whenever the load changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meter {
    since: Option<Timestamp>,
    load: PerMille,
    cpu: Duration,
    ran: Duration,
}

impl Thing {
    /// Whether it takes part of a quota or of a machine: it runs or soon will.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.resource.state, ResourceState::Pending | ResourceState::Running)
    }

    /// Whether it has ended for good unless it is started anew: its room and its ports are free.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(
            self.resource.state,
            ResourceState::Exited { .. } | ResourceState::Evicted
        )
    }

    pub(super) const fn machine(&self) -> Option<&MachineBody> {
        match &self.body {
            Body::Machine(machine) => Some(machine),
            Body::Replica(_) => None,
        }
    }

    pub(super) const fn replica(&self) -> Option<&ReplicaBody> {
        match &self.body {
            Body::Machine(_) => None,
            Body::Replica(replica) => Some(replica),
        }
    }

    /// Whether it is a replica on this machine, in whatever state.
    pub(super) fn is_on(&self, machine: &ResourceId) -> bool {
        self.replica().is_some_and(|replica| replica.machine == *machine)
    }

    /// Becomes running: money and work are metered, ports answer, the program prints. Returns what was charged until now
    /// for being stopped.
    pub(super) fn run(&mut self, now: Timestamp, tariff: &Tariff) -> Option<LineItem> {
        let charge = self.charge(now, tariff, false);
        self.resource.state = ResourceState::Running;
        match &mut self.body {
            Body::Machine(machine) => {
                machine.charged = Some((Charge::Running, now));
                machine.runs_since = Some(now);
            }
            Body::Replica(replica) => {
                replica.meter.begin(now, replica.program.load);
                self.resource.endpoints = replica
                    .ports
                    .iter()
                    .map(|(name, (_, at))| (name.clone(), *at))
                    .collect();
                for line in replica.program.prints.clone() {
                    replica.print(line);
                }
            }
        }
        charge
    }

    /// Ceases to run, whatever the reason: what was due is outdated, meters end, ports no longer answer. Returns the
    /// intervals to charge, if the thing was being charged.
    pub(super) fn halt(&mut self, state: ResourceState, now: Timestamp, tariff: &Tariff) -> Vec<LineItem> {
        let charges = self.charge(now, tariff, false).into_iter();
        let charges = charges.chain(self.rest_of_minimum(now, tariff)).collect();
        let kept = state == ResourceState::Stopped && tariff.stopped_share.get() > 0;
        self.resource.state = state;
        self.resource.endpoints.clear();
        self.incarnation += 1;
        match &mut self.body {
            Body::Machine(machine) => {
                machine.charged = kept.then_some((Charge::Stopped, now));
                machine.runs_since = None;
                machine.evicted_at = None;
            }
            Body::Replica(replica) => replica.meter.end(now, &replica.request),
        }
        charges
    }

    /// The interval charged at the present price until now; `None` for a replica, a machine that is not charged, and
    /// an interval of no length.
    pub(super) fn charge(&self, now: Timestamp, tariff: &Tariff, open: bool) -> Option<LineItem> {
        let (charge, from) = self.machine()?.charged?;
        self.line(charge, (from, now), tariff, open)
    }

    /// What is missing to the minimum charge of a run that ends now.
    fn rest_of_minimum(&self, now: Timestamp, tariff: &Tariff) -> Option<LineItem> {
        let least = self.machine()?.runs_since?.saturating_add(tariff.minimum_charge);
        self.line(Charge::Minimum, (now, least), tariff, false)
    }

    fn line(
        &self,
        charge: Charge,
        (from, until): (Timestamp, Timestamp),
        tariff: &Tariff,
        open: bool,
    ) -> Option<LineItem> {
        let body = self.machine().filter(|_| from < until)?;
        let price = match charge {
            Charge::Running | Charge::Minimum => body.price,
            Charge::Stopped => tariff.stopped(body.price),
        };
        Some(LineItem {
            id: self.resource.id.clone(),
            name: self.resource.name.clone(),
            owner: self.resource.owner.clone(),
            site: self.resource.site.clone(),
            instance: body.machine.instance.clone(),
            purchase: body.machine.purchase,
            charge,
            from,
            until,
            open,
            price,
            // Prices and times are bounded so that one interval fits: see `PRICE_MAX` and `HORIZON`.
            cost: price.over(until.saturating_since(from)).unwrap_or(MicroUsd::MAX),
        })
    }

    /// What the bytes cost that a replica has sent until now, by destination; free ones are left out.
    pub(super) fn egress(&self, now: Timestamp, tariff: &Tariff) -> Vec<EgressItem> {
        let Some(replica) = self.replica() else {
            return Vec::new();
        };
        let from = &self.resource.site.region;
        let items = replica.sent_until(now).into_iter().filter_map(|(to, bytes)| {
            let (bytes, per_gib) = (Bytes::from_bytes(bytes), tariff.per_gib(from, &to));
            let cost = cost_of(bytes, per_gib);
            (cost > MicroUsd::ZERO).then(|| EgressItem {
                id: self.resource.id.clone(),
                name: self.resource.name.clone(),
                owner: self.resource.owner.clone(),
                from: from.clone(),
                to,
                bytes,
                per_gib,
                cost,
            })
        });
        items.collect()
    }
}

impl ReplicaBody {
    pub(super) fn print(&mut self, line: String) {
        if self.log.len() == LOG_LINES_MAX {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    /// Bytes sent until now, by destination.
    fn sent_until(&self, now: Timestamp) -> BTreeMap<Destination, u64> {
        let mut meter = self.meter;
        meter.add_up(now, &self.request);
        let mut sent = self.sent.clone();
        for (to, per_second) in &self.program.sends {
            let total = sent.entry(to.clone()).or_default();
            *total = total.saturating_add(flown(*per_second, meter.ran));
        }
        sent
    }

    /// Work done until now; `at` is the provider's clock.
    pub(super) fn usage(&self, now: Timestamp, at: Timestamp) -> Usage {
        let mut meter = self.meter;
        let running = meter.since.is_some();
        meter.add_up(now, &self.request);
        let network = Bytes::from_bytes(flown(self.program.network_per_second, meter.ran));
        Usage {
            at,
            cpu: meter.cpu,
            // Half of what was asked for: plausible, constant, easy to check.
            memory: Bytes::from_bytes(if running { self.request.memory.as_bytes() / 2 } else { 0 }),
            network_in: Some(network),
            network_out: Some(network),
        }
    }
}

/// Bytes at this rate over this time, rounded down.
fn flown(per_second: Bytes, time: Duration) -> u64 {
    let bytes = u128::from(per_second.as_bytes()).saturating_mul(time.as_micros()) / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Meter {
    fn begin(&mut self, now: Timestamp, load: PerMille) {
        self.since = Some(now);
        self.load = load;
    }

    /// Changes the load from now on.
    pub(super) fn set_load(&mut self, now: Timestamp, request: &Resources, load: PerMille) {
        self.add_up(now, request);
        self.load = load;
    }

    fn end(&mut self, now: Timestamp, request: &Resources) {
        self.add_up(now, request);
        self.since = None;
    }

    /// CPU time is running time x CPU asked for x load, rounded down to a microsecond at each change.
    fn add_up(&mut self, now: Timestamp, request: &Resources) {
        let Some(since) = self.since else { return };
        let ran = now.saturating_since(since);
        let micros = ran
            .as_micros()
            .saturating_mul(u128::from(request.cpu.as_millicores()))
            .saturating_mul(u128::from(self.load.get()))
            / 1_000_000;
        let cpu = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.cpu = self.cpu.saturating_add(cpu);
        self.ran = self.ran.saturating_add(ran);
        self.since = Some(now);
    }
}
