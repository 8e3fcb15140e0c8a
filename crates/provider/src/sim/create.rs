//! Creating things in a simulated cloud: idempotency, quotas, capacity, room on machines, ports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use skyloom_core::{
    Attributes, Digest, Dimension, EnvValue, Machine, MicroUsdPerHour, OwnerTag, PortName, PortSpec, Protocol,
    RegionKey, ReplicaSpec, ResourceId, Resources, Secret,
};

use super::config::Delay;
use super::event::SimEventKind;
use super::program::{SimProgram, program_name};
use super::state::{State, TokenUse};
use super::thing::{Body, MachineBody, Meter, ReplicaBody, Thing};
use crate::dice::Dice;
use crate::{Cause, CreateRequest, Kind, Resource, ResourceState, What};

/// No machine costs a million dollars an hour; the bound keeps every interval's cost within what can be held.
const PRICE_MAX: MicroUsdPerHour = MicroUsdPerHour::from_micros(1_000_000_000_000);
/// First port given out on a machine: above the registered services, below Linux's ephemeral range.
const PORT_FIRST: u16 = 20_000;

/// The tag that carries our name for a thing.
const TAG_NAME: &str = "skyloom-name";

/// What a console would show of a new thing. Values that are secret are not shown.
fn shown(request: &CreateRequest) -> Attributes {
    let tags = Some(BTreeMap::from([(TAG_NAME.to_owned(), request.name())]));
    match &request.what {
        What::Machine(machine) => Attributes {
            tags,
            instance: Some(machine.instance.clone()),
            ..Attributes::default()
        },
        What::Replica(new) => {
            let run = &new.spec.run;
            let value = |name: &String, value: &Secret<String>| match run.env.get(name) {
                Some(EnvValue::Text(_)) => Some(value.expose().clone()),
                _ => None,
            };
            let env = new.env.iter().map(|(name, given)| (name.clone(), value(name, given)));
            Attributes {
                image: run.image.clone(),
                command: Some(run.command.clone()),
                env: Some(env.collect()),
                tags,
                request: Some(new.spec.request),
                instance: None,
            }
        }
    }
}

impl State {
    /// As the large clouds have it: the token decides before anything else is looked at, an unsuccessful request does
    /// not use it up, and it stays used after its thing is gone.
    pub(super) fn create(&mut self, request: &CreateRequest) -> Result<Resource, Cause> {
        self.fence(&request.owner, request.epoch)?;
        let parameters = request.parameters();
        if let Some(used) = self.tokens.get(&request.token).filter(|used| self.remembers(used)) {
            let there = self.things.get(&used.id).filter(|_| used.parameters == parameters);
            return there.map(|thing| thing.resource.clone()).ok_or(Cause::TokenReused);
        }
        self.check_cloud(request)?;
        let (body, site, delay) = match &request.what {
            What::Machine(machine) => {
                let body = self.buy(machine)?;
                (
                    Body::Machine(Box::new(body)),
                    machine.site.clone(),
                    self.machine_delay(machine.id.as_str()),
                )
            }
            What::Replica(new) => {
                let delay = self.replica_delay(&request.name(), &new.machine, &request.owner)?;
                let body = self.place(&new.spec, &new.machine)?;
                let site = self
                    .things
                    .get(&new.machine)
                    .map_or_else(|| new.spec.site.clone(), |on| on.resource.site.clone());
                (Body::Replica(Box::new(body)), site, delay)
            }
        };
        let id = self.next_id(request.kind());
        let price = match &body {
            Body::Machine(machine) => Some(machine.price),
            Body::Replica(_) => None,
        };
        let resource = Resource {
            id: id.clone(),
            kind: request.kind(),
            name: request.name(),
            owner: request.owner.clone(),
            operation: request.operation.clone(),
            token: request.token.clone(),
            parameters,
            site,
            state: ResourceState::Pending,
            endpoints: BTreeMap::new(),
            created_at: self.provider_clock(),
            observed: shown(request),
        };
        self.enter(resource, body, price, delay);
        self.things
            .get(&id)
            .map(|thing| thing.resource.clone())
            .ok_or_else(|| Cause::Unexpected {
                detail: "a thing vanished while it was made".to_owned(),
            })
    }

    /// Writes a thing down that runs and is seen at once, and draws nothing.
    pub(super) fn enter_at_once(&mut self, resource: Resource, body: Body, price: Option<MicroUsdPerHour>) {
        self.enter_seen(resource, body, price, (Duration::ZERO, Duration::ZERO));
    }

    /// Writes a new thing down and lets it run when its time comes.
    fn enter(&mut self, resource: Resource, body: Body, price: Option<MicroUsdPerHour>, delay: Duration) {
        let lag = self.windows.between(Duration::ZERO, self.config.consistency_window);
        self.enter_seen(resource, body, price, (delay, lag));
    }

    fn enter_seen(
        &mut self,
        resource: Resource,
        body: Body,
        price: Option<MicroUsdPerHour>,
        (delay, lag): (Duration, Duration),
    ) {
        let id = resource.id.clone();
        let used = TokenUse {
            parameters: resource.parameters,
            id: id.clone(),
            at: self.now,
        };
        self.tokens.insert(resource.token.clone(), used);
        self.log(SimEventKind::Created {
            id: id.clone(),
            of: resource.kind,
            name: resource.name.clone(),
            owner: resource.owner.clone(),
            operation: resource.operation.clone(),
            token: resource.token.clone(),
            price,
        });
        let thing = Thing {
            resource,
            untagged: false,
            visible_at: self.now.saturating_add(lag),
            ready_at: self.now,
            incarnation: 0,
            lost_power: false,
            body,
        };
        self.things.insert(id.clone(), thing);
        self.run_after(&id, delay);
    }

    /// Whether a token still counts as used.
    fn remembers(&self, used: &TokenUse) -> bool {
        let memory = self.config.token_memory;
        memory.is_none_or(|memory| self.now.saturating_since(used.at) <= memory)
    }

    fn next_id(&mut self, kind: Kind) -> ResourceId {
        self.made += 1;
        let letter = match kind {
            Kind::Machine => 'm',
            Kind::Replica => 'r',
        };
        let text = format!("{}-{letter}-{:06}", self.config.name, self.made);
        ResourceId::new(text).expect("invariant: a driver name is `sim` or `sim-` and a cloud of at most 63 characters")
    }

    fn check_cloud(&self, request: &CreateRequest) -> Result<(), Cause> {
        let cloud = &request.site().region.cloud;
        if self.config.clouds.as_ref().is_none_or(|clouds| clouds.contains(cloud)) {
            return Ok(());
        }
        Err(Cause::Invalid {
            detail: format!("this cloud is `{}`, not `{cloud}`", self.config.name),
        })
    }

    pub(super) fn machine_delay(&mut self, name: &str) -> Duration {
        self.draw(self.config.machine_start, name)
    }

    /// How long a thing of this name takes.
    fn draw(&mut self, delay: Delay, name: &str) -> Duration {
        if self.config.delays_by_name {
            let digest = Digest::of(&(self.config.seed, name));
            let seed = digest
                .as_bytes()
                .iter()
                .take(8)
                .fold(0, |seed, byte| seed << 8 | u64::from(*byte));
            return Dice::new(seed, 0).between(delay.least, delay.most);
        }
        self.delays.between(delay.least, delay.most)
    }

    /// How long a replica on this machine takes to run: its own time, after the machine runs.
    pub(super) fn replica_delay(&mut self, name: &str, on: &ResourceId, owner: &OwnerTag) -> Result<Duration, Cause> {
        let machine = self
            .things
            .get(on)
            .filter(|thing| thing.owner() == Some(owner) && thing.machine().is_some());
        let machine = machine.ok_or(Cause::NotFound)?;
        let until_ready = match machine.resource.state {
            ResourceState::Pending => machine.ready_at.saturating_since(self.now),
            ResourceState::Running => Duration::ZERO,
            ResourceState::Stopped | ResourceState::Evicted | ResourceState::Exited { .. } => {
                let detail = format!("machine `{}` does not run", machine.resource.name);
                return Err(Cause::Invalid { detail });
            }
        };
        let own = self.draw(self.config.replica_start, name);
        Ok(until_ready.saturating_add(own))
    }

    // --- machines ------------------------------------------------------------------------------------------------

    fn buy(&mut self, machine: &Machine) -> Result<MachineBody, Cause> {
        let key = (machine.site.region.clone(), machine.instance.clone(), machine.purchase);
        let price = self.config.prices.get(&key).copied().unwrap_or(machine.price);
        check_price(price)?;
        self.check_limits(machine)?;
        Ok(MachineBody {
            price,
            ..self.stocked(machine)
        })
    }

    /// A machine at the price that it says, asking nobody.
    pub(super) fn stocked(&self, machine: &Machine) -> MachineBody {
        MachineBody {
            machine: machine.clone(),
            price: machine.price,
            address: machine_address(self.made + 1),
            charged: None,
            runs_since: None,
            evicted_at: None,
        }
    }

    /// Quotas first, then capacity, as the clouds do; then chance.
    pub(super) fn check_limits(&mut self, machine: &Machine) -> Result<(), Cause> {
        for quota in self.quotas_of(machine) {
            if quota.asked > quota.allowed {
                return Err(Cause::QuotaExceeded {
                    quota: quota.name,
                    asked: quota.asked,
                    allowed: quota.allowed,
                });
            }
        }
        let (region, instance) = (&machine.site.region, &machine.instance);
        let like = |other: &&Machine| other.instance == *instance && other.site.region == *region;
        let most = self.config.capacity.get(&(region.clone(), instance.clone()));
        let full = most.is_some_and(|most| self.live_machines().filter(like).count() as u64 >= u64::from(*most));
        // Asked in any case: each purchase takes one draw, whatever the limits are.
        let out_of_luck = self.chances.happens(self.config.faults.no_capacity);
        if full || out_of_luck {
            let what = format!("{instance} in {region}");
            return Err(Cause::NoCapacity { what });
        }
        Ok(())
    }

    fn live_machines(&self) -> impl Iterator<Item = &Machine> {
        let live = self.things.values().filter(|thing| thing.is_live());
        live.filter_map(Thing::machine).map(|body| &body.machine)
    }

    /// vCPUs in use in a region, as its quota counts them.
    pub(super) fn vcpus_in_use(&self, region: &RegionKey) -> u64 {
        let here = self.live_machines().filter(|machine| machine.site.region == *region);
        here.map(vcpus).fold(0, u64::saturating_add)
    }

    pub(super) fn machines_in_use(&self) -> u64 {
        self.live_machines().count() as u64
    }

    /// The quotas that one more machine would count against.
    fn quotas_of(&self, machine: &Machine) -> Vec<Asked> {
        let region = &machine.site.region;
        let cpus = self.config.vcpu_quotas.get(region).map(|allowed| Asked {
            name: vcpu_quota_name(region),
            asked: self.vcpus_in_use(region).saturating_add(vcpus(machine)),
            allowed: *allowed,
        });
        let machines = self.config.machine_quota.map(|allowed| Asked {
            name: MACHINE_QUOTA.to_owned(),
            asked: self.machines_in_use().saturating_add(1),
            allowed,
        });
        cpus.into_iter().chain(machines).collect()
    }

    // --- replicas ------------------------------------------------------------------------------------------------

    pub(super) fn place(&self, spec: &ReplicaSpec, on: &ResourceId) -> Result<ReplicaBody, Cause> {
        let thing = self.things.get(on).ok_or(Cause::NotFound)?;
        let body = thing.machine().ok_or(Cause::NotFound)?;
        if spec.machine != body.machine.id || spec.site.region != body.machine.site.region {
            let detail = format!("`{on}` is machine `{}` in {}", body.machine.id, body.machine.site);
            return Err(Cause::Invalid { detail });
        }
        self.check_room(on, &spec.request)?;
        let name = program_name(&spec.run);
        let program = name.and_then(|name| self.config.programs.get(name)).cloned();
        Ok(ReplicaBody {
            machine: on.clone(),
            request: spec.request,
            run: spec.run.clone(),
            program: program.unwrap_or_else(SimProgram::service),
            ports: self.give_ports(on, body.address, &spec.run.ports)?,
            log: VecDeque::new(),
            meter: Meter::default(),
            sent: BTreeMap::new(),
        })
    }

    /// Whatever has not ended keeps its room, also when stopped, so that it can always be started again.
    pub(super) fn check_room(&self, on: &ResourceId, request: &Resources) -> Result<(), Cause> {
        let machine = &self
            .things
            .get(on)
            .and_then(Thing::machine)
            .ok_or(Cause::NotFound)?
            .machine;
        let holds_room = |thing: &&Thing| thing.is_on(on) && !thing.has_ended();
        let held = self.things.values().filter(holds_room).filter_map(Thing::replica);
        let sum = held
            .map(|replica| replica.request)
            .try_fold(*request, |sum, more| sum.checked_add(&more));
        let excess = sum.map_or(Some(Dimension::Cpu), |sum| sum.first_excess(&machine.capacity));
        excess.map_or(Ok(()), |dimension| {
            let detail = format!(
                "machine `{}` has no room for {request}: too little {dimension}",
                machine.id
            );
            Err(Cause::Invalid { detail })
        })
    }

    /// The first port of a thing that has ended which somebody else has by now.
    pub(super) fn check_ports(&self, id: &ResourceId, on: &ResourceId) -> Result<(), Cause> {
        let others = self
            .things
            .values()
            .filter(|thing| thing.is_on(on) && !thing.has_ended());
        let others = others
            .filter(|thing| thing.resource.id != *id)
            .filter_map(Thing::replica);
        let taken: BTreeSet<_> = others.flat_map(|replica| replica.ports.values()).collect();
        let own = self.things.get(id).and_then(Thing::replica);
        let clash = own
            .iter()
            .flat_map(|replica| replica.ports.values())
            .find(|port| taken.contains(port));
        clash.map_or(Ok(()), |(_, at)| Err(Cause::PortInUse { port: at.port() }))
    }

    /// Addresses for the ports: the machine's address with the number asked for, or with the lowest free one.
    fn give_ports(&self, on: &ResourceId, address: Ipv4Addr, asked: &[PortSpec]) -> Result<Ports, Cause> {
        // What has ended holds its numbers against being drawn again, so that it can be started again, but not against
        // whoever asks for one of them.
        let (mut held, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for thing in self.things.values().filter(|thing| thing.is_on(on)) {
            let ports = thing.replica().into_iter().flat_map(|replica| replica.ports.values());
            let numbers = ports.map(|(protocol, at)| (*protocol, at.port()));
            if thing.has_ended() {
                held.extend(numbers);
            } else {
                taken.extend(numbers);
            }
        }
        let (fixed, free): (Vec<_>, Vec<_>) = asked.iter().partition(|port| port.port.is_some());
        let mut given = Ports::new();
        for port in fixed.into_iter().chain(free) {
            let is_free = |number: &u16| {
                let key = (port.protocol, *number);
                !taken.contains(&key) && !held.contains(&key)
            };
            let lowest = || (PORT_FIRST..=u16::MAX).find(is_free);
            let number = port.port.map(std::num::NonZeroU16::get).or_else(lowest);
            let number = number.ok_or_else(|| Cause::SystemExhausted {
                what: "ports".to_owned(),
            })?;
            if !taken.insert((port.protocol, number)) {
                return Err(Cause::PortInUse { port: number });
            }
            given.insert(port.name.clone(), (port.protocol, SocketAddr::from((address, number))));
        }
        Ok(given)
    }
}

/// Refuses prices whose cost over the whole of virtual time could not be held.
pub(super) fn check_price(price: MicroUsdPerHour) -> Result<(), Cause> {
    if (MicroUsdPerHour::ZERO..=PRICE_MAX).contains(&price) {
        return Ok(());
    }
    let detail = format!("a machine may cost 0 to {PRICE_MAX}, not {price}");
    Err(Cause::Invalid { detail })
}

type Ports = BTreeMap<PortName, (Protocol, SocketAddr)>;

/// Name of the quota on machines.
pub(super) const MACHINE_QUOTA: &str = "machines";

/// Name of the quota on virtual CPUs of a region.
pub(super) fn vcpu_quota_name(region: &RegionKey) -> String {
    format!("vcpus/{region}")
}

/// A quota and what it would be asked for.
struct Asked {
    name: String,
    asked: u64,
    allowed: u64,
}

/// CPU capacity in whole CPUs, rounded up.
fn vcpus(machine: &Machine) -> u64 {
    machine.capacity.cpu.as_millicores().div_ceil(1000)
}

/// The address of the `n`-th thing made: in 127.0.0.0/8, where nothing is ever sent out, above 127.1.0.0, where
/// nothing real listens.
fn machine_address(n: u64) -> Ipv4Addr {
    let [.., a, b, c] = n.to_be_bytes();
    Ipv4Addr::new(127, (a % 254) + 1, b, c)
}
