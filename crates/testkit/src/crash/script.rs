//! What a world is: a cloud with its faults, a deployment that runs, what happens to it, and the next wish.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use skyloom_core::{
    Analysis, Assignment, Bytes, CanaryStep, Condition, CostSummary, Dependency, DriftField, DriftPolicy, EnvValue,
    Limit, Machine, MachineId, Manifest, MicroUsdPerHour, Millicores, Millionths, Placement, PortSpec, Purchase,
    PurchasePreference, ReplicaId, Residency, Resources, RetryPolicy, Rollout, RolloutStrategy, RunSpec, SecretRef,
    ServiceName, ServiceSpec, Share, Snapshot, StopSpec, Timestamp,
};
use skyloom_orchestrator::{OnCancel, SagaConfig};
use skyloom_provider::sim::{Delay, SimConfig, SimFaults, SimProgram};
use skyloom_provider::{FaultRates, PerMille, RateLimit};

use super::dice::Dice;
use super::mutant::Mutant;

const SERVICES: [&str; 4] = ["c", "a", "d", "b"];
const MACHINES: usize = 3;

/// A request that is on its way when its caller dies arrives within this time or never.
pub(super) const LATE_WITHIN: Duration = Duration::from_secs(3);
/// Listings lag at most this long.
const LAG: Duration = Duration::from_secs(3);
/// Recovery waits for both.
const WINDOW: Duration = Duration::from_secs(7);
/// Tokens are forgotten after this long in some worlds; longer than a controller needs to give a call up.
pub(super) const TOKEN_MEMORY: Duration = Duration::from_secs(600);

/// Why a new generation is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Each of its replicas starts, and breaks down soon after.
    Dies,
    /// It runs, and metrics say that it should not.
    BadMetric,
}

/// The image of a generation that is no good.
pub(super) const NO_GOOD: &str = "image:no-good";

/// What is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// `None`: nothing any more.
    pub(super) manifest: Option<Manifest>,
    places: BTreeMap<ReplicaId, String>,
    cores: BTreeMap<String, u32>,
}

/// A world before anything has happened.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) first: Wish,
    pub(super) then: Wish,
    pub(super) cloud: SimConfig,
    pub(super) faults: SimFaults,
    pub(super) saga: SagaConfig,
    pub(super) calls_per_second: u32,
    pub(super) burst: u32,
    /// A provider that answers no call of the second plan: every repetition has to end.
    pub(super) dead: bool,
    /// How many things of before break down between the two wishes.
    pub(super) damage: usize,
    /// A provider that says what it was given.
    pub(super) talkative: bool,
    /// The move of the second wish at which somebody asks to stop.
    pub(super) cancel_at: Option<usize>,
    pub(super) secret: String,
    /// What is no good about the new generation, if anything is.
    pub(super) trouble: Option<Trouble>,
    /// Services of either wish whose program ends.
    pub(super) jobs: BTreeSet<ServiceName>,
}

impl Script {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut dice = Dice::new(seed);
        let secret = format!("hush-{:016x}", dice.draw());
        let first = manifest(&mut dice);
        let mut second = if dice.one_in(6) {
            None
        } else {
            Some(changed(&first, &mut dice))
        };
        let flaw = second
            .as_mut()
            .filter(|_| dice.one_in(5))
            .and_then(|second| trouble(second, &mut Dice::new(seed ^ 0x7061)));
        let places = places(&first, &mut dice);
        let next = second
            .as_ref()
            .map_or_else(BTreeMap::new, |m| self::places(m, &mut dice));
        let cores = cores(&[&places, &next], &mut dice);
        let wished = [Some(&first), second.as_ref()].into_iter().flatten();
        let jobs = wished.flat_map(skyloom_orchestrator::jobs).cloned().collect();
        let (calls_per_second, burst) = [(1000, 1000), (10, 3), (4, 2)][dice.below(3)];
        let faulty = dice.one_in(2);
        let faults = if faulty { faults(&mut dice) } else { SimFaults::none() };
        let of = |manifest, places| Wish {
            manifest,
            places,
            cores: cores.clone(),
        };
        Self {
            first: of(Some(first), places),
            then: of(second, next),
            cloud: cloud(seed, &mut dice, mutant),
            faults,
            saga: saga(&mut dice),
            calls_per_second,
            burst,
            dead: dice.one_in(12),
            damage: dice.below(3),
            talkative: dice.one_in(3),
            cancel_at: dice.one_in(8).then(|| dice.below(60)),
            trouble: flaw,
            secret,
            jobs,
        }
    }

    /// What every metric of a new generation is, in millionths: the limits of the analysis are half-way.
    pub(super) const fn metric(&self) -> i64 {
        match self.trouble {
            Some(Trouble::BadMetric) => 1_000_000,
            _ => 0,
        }
    }

    /// What the controller keeps to.
    pub(super) fn pace(&self, mutant: Option<Mutant>) -> RateLimit {
        let of = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        if mutant == Some(Mutant::NoPacing) {
            return RateLimit::new(of(1_000_000), of(1_000_000));
        }
        RateLimit::new(of(self.calls_per_second), of(self.burst))
    }
}

impl Script {
    /// What the controller's saga is told, which a mutant may have changed.
    pub(super) fn saga_of(&self, mutant: Option<Mutant>) -> SagaConfig {
        match mutant {
            Some(Mutant::EndlessRetry) => self.saga.with_retry(retry(u32::MAX)),
            Some(Mutant::NoWindow) => self.saga.with_consistency_window(Duration::ZERO),
            Some(Mutant::NoParallelism) => self.saga.with_parallelism(NonZeroU32::MAX),
            _ => self.saga,
        }
    }
}

fn cloud(seed: u64, dice: &mut Dice, mutant: Option<Mutant>) -> SimConfig {
    let seconds = |least, most| Delay::between(Duration::from_secs(least), Duration::from_secs(most));
    let mut config = SimConfig::new(seed, Timestamp::from_secs(1_800_000_000))
        .with_machine_start(seconds(1, 8))
        .with_replica_start(seconds(0, 4))
        .with_consistency_window(LAG)
        .with_program("job", SimProgram::job(Duration::from_secs(2), 0))
        .with_program("dies", SimProgram::job(Duration::from_secs(2), 1));
    if dice.one_in(2) {
        config = config.with_token_memory(TOKEN_MEMORY);
    }
    if dice.one_in(3) {
        config = config.with_clock_skew_micros(-90_000_000);
    }
    if mutant == Some(Mutant::NoFencing) {
        config = config.without_fencing();
    }
    config
}

fn faults(dice: &mut Dice) -> SimFaults {
    let mut per_mille = |most: usize| PerMille::new(u16::try_from(dice.below(most)).unwrap_or(0));
    let calls = FaultRates::none()
        .with_lost_requests(per_mille(120))
        .with_lost_replies(per_mille(120))
        .with_repeats(per_mille(200));
    SimFaults::none()
        .with_calls(calls)
        .with_no_capacity(per_mille(60))
        .with_failed_starts(per_mille(120))
}

fn saga(dice: &mut Dice) -> SagaConfig {
    let seconds = Duration::from_secs;
    let parallelism = NonZeroU32::MIN.saturating_add(u32::try_from(dice.below(4)).unwrap_or(0));
    let config = SagaConfig::new()
        .with_parallelism(parallelism)
        .with_retry(retry(ATTEMPTS))
        .with_call_within(seconds(20))
        .with_ready_within(seconds(120))
        .with_complete_within(seconds(240))
        .with_consistency_window(WINDOW)
        .with_look_every(seconds(3));
    if dice.one_in(2) {
        return config.with_on_cancel(OnCancel::Compensate);
    }
    config
}

/// Attempts that a step has.
pub(super) const ATTEMPTS: u32 = 4;

const fn retry(attempts: u32) -> RetryPolicy {
    RetryPolicy::new(attempts, Duration::from_millis(200), Duration::from_secs(2))
}

// --- manifests -----------------------------------------------------------------------------------------------------

fn manifest(dice: &mut Dice) -> Manifest {
    let count = 1 + dice.below(3);
    let mut services: Vec<ServiceSpec> = (0..count).map(|i| service(i, dice)).collect();
    settle_jobs(&mut services);
    Manifest {
        name: name("shop"),
        source: String::from("world"),
        residency: Residency::default(),
        budget: None,
        revenue: None,
        services,
        data: Vec::new(),
        moved: Vec::new(),
        imports: Vec::new(),
    }
}

/// Services depend on earlier ones only, so that there is no loop.
fn service(index: usize, dice: &mut Dice) -> ServiceSpec {
    let strategies = [
        RolloutStrategy::Rolling,
        RolloutStrategy::Canary,
        RolloutStrategy::BlueGreen,
    ];
    let mut depends_on = Vec::new();
    for earlier in &SERVICES[..index] {
        if dice.one_in(2) {
            let condition = [
                Condition::Started,
                Condition::Healthy,
                Condition::Healthy,
                Condition::Completed,
            ];
            depends_on.push(Dependency {
                service: name(earlier),
                condition: condition[dice.below(condition.len())],
                at: None,
            });
        }
    }
    let rollout = Rollout {
        strategy: strategies[dice.below(3)],
        max_unavailable: u32::try_from(dice.below(2)).unwrap_or(0),
        max_surge: u32::try_from(dice.below(3)).unwrap_or(0),
        ..Rollout::default()
    };
    let rollout = if dice.one_in(3) { tried(rollout, dice) } else { rollout };
    // A fixed port is a service's own, and one replica has it.
    let number = 8080 + u16::try_from(index).unwrap_or(0);
    let port = std::num::NonZeroU16::new(number).filter(|_| dice.one_in(6));
    let more = u32::try_from(dice.below(2)).unwrap_or(0);
    let replicas = NonZeroU32::MIN.saturating_add(if port.is_some() { 0 } else { more });
    ServiceSpec {
        name: name(SERVICES[index]),
        at: None,
        replicas,
        resources: Resources::new(Millicores::from_cores(1), Bytes::from_gib(1)),
        purchase: PurchasePreference::Any,
        depends_on,
        synced: Vec::new(),
        data: Vec::new(),
        latency: Vec::new(),
        egress: Vec::new(),
        spread: Vec::new(),
        affinity: Vec::new(),
        anti_affinity: Vec::new(),
        labels: BTreeMap::new(),
        tolerations: Vec::new(),
        clouds: BTreeSet::new(),
        regions: BTreeSet::new(),
        residency: None,
        revenue: None,
        run: run(port),
        health: None,
        stop: StopSpec::default(),
        rollout,
        drift: drift(dice),
    }
}

/// The same with something that tries the new out.
fn tried(mut rollout: Rollout, dice: &mut Dice) -> Rollout {
    let seconds = |dice: &mut Dice, most| Duration::from_secs(dice.below(most) as u64);
    if dice.one_in(3) {
        rollout.ready_for = seconds(dice, 5);
    }
    match rollout.strategy {
        RolloutStrategy::Rolling => {}
        RolloutStrategy::Canary => {
            let step = |percent, dice: &mut Dice| CanaryStep {
                replicas: Share::Percent(percent),
                pause: seconds(dice, 6),
            };
            rollout.steps = vec![step(50, dice)];
        }
        RolloutStrategy::BlueGreen => rollout.keep = seconds(dice, 5),
    }
    if rollout.strategy != RolloutStrategy::Rolling && dice.one_in(2) {
        rollout.analysis.push(judged());
    }
    rollout
}

fn judged() -> Analysis {
    Analysis {
        metric: String::from("errors"),
        limit: Limit::Below(Millionths::from_millionths(500_000)),
        over: Duration::from_secs(6),
        interval: Duration::from_secs(3),
        failures: 0,
    }
}

fn drift(dice: &mut Dice) -> BTreeMap<DriftField, DriftPolicy> {
    let policies = [DriftPolicy::Correct, DriftPolicy::Report, DriftPolicy::Ignore];
    let mut drift = BTreeMap::new();
    // What is down is always repaired here: the worlds are about that.
    let down = [DriftField::Missing, DriftField::State];
    for field in DriftField::ALL
        .into_iter()
        .filter(|field| field.has_policy() && !down.contains(field))
    {
        if dice.one_in(5) {
            drift.insert(field, policies[dice.below(policies.len())]);
        }
    }
    drift
}

/// Makes one service of a new generation no good.
fn trouble(second: &mut Manifest, dice: &mut Dice) -> Option<Trouble> {
    let jobs: BTreeSet<ServiceName> = skyloom_orchestrator::jobs(second).into_iter().cloned().collect();
    let mut servers: Vec<&mut ServiceSpec> = second.services.iter_mut().filter(|s| !jobs.contains(&s.name)).collect();
    let chosen = dice.below(servers.len());
    let service = servers.get_mut(chosen)?;
    service.run.image = Some(String::from(NO_GOOD));
    if dice.one_in(2) {
        service.run.command[0] = String::from("dies");
        service.rollout.ready_for = Duration::from_secs(4);
        return Some(Trouble::Dies);
    }
    if service.rollout.strategy == RolloutStrategy::Rolling {
        service.rollout.strategy = RolloutStrategy::Canary;
    }
    service.rollout.analysis = vec![judged()];
    Some(Trouble::BadMetric)
}

fn run(port: Option<std::num::NonZeroU16>) -> RunSpec {
    let secret = SecretRef {
        backend: String::from("env"),
        name: String::from("KEY"),
        version: None,
    };
    RunSpec {
        image: None,
        command: vec![String::from("web")],
        env: BTreeMap::from([(String::from("KEY"), EnvValue::Secret(secret))]),
        ports: vec![PortSpec {
            name: name("http"),
            protocol: skyloom_core::Protocol::Tcp,
            port,
        }],
    }
}

/// Whoever is waited for to complete is a job that does.
fn settle_jobs(services: &mut [ServiceSpec]) {
    let completed: BTreeSet<_> = services
        .iter()
        .flat_map(|service| &service.depends_on)
        .filter(|dependency| dependency.condition == Condition::Completed)
        .map(|dependency| dependency.service.clone())
        .collect();
    for service in services {
        let program = if completed.contains(&service.name) {
            "job"
        } else {
            "web"
        };
        service.run.command[0] = String::from(program);
    }
}

fn changed(first: &Manifest, dice: &mut Dice) -> Manifest {
    let mut second = first.clone();
    for (index, service) in second.services.iter_mut().enumerate() {
        match dice.below(4) {
            0 | 1 => service.run.image = Some(format!("image:{}", dice.below(1000))),
            2 => *service = self::service(index, dice),
            _ => {}
        }
    }
    if second.services.len() > 1 && dice.one_in(4) {
        let gone = second.services.remove(dice.below(second.services.len()));
        for service in &mut second.services {
            service.depends_on.retain(|dependency| dependency.service != gone.name);
        }
    } else if second.services.len() < SERVICES.len() && dice.one_in(3) {
        let added = service(second.services.len(), dice);
        let known: BTreeSet<_> = second.services.iter().map(|service| service.name.clone()).collect();
        if !known.contains(&added.name) {
            second.services.push(added);
        }
    }
    settle_jobs(&mut second.services);
    second
}

fn places(manifest: &Manifest, dice: &mut Dice) -> BTreeMap<ReplicaId, String> {
    let mut places = BTreeMap::new();
    for service in &manifest.services {
        for index in 0..service.replicas.get() {
            let machine = format!("m{}", dice.below(MACHINES));
            places.insert(ReplicaId::new(service.name.clone(), index), machine);
        }
    }
    places
}

/// Machines that hold either deployment, some of them exactly.
fn cores(placements: &[&BTreeMap<ReplicaId, String>], dice: &mut Dice) -> BTreeMap<String, u32> {
    let fullest = |id: &String| {
        let load = |places: &&BTreeMap<ReplicaId, String>| places.values().filter(|at| *at == id).count();
        placements.iter().map(load).max().unwrap_or(0)
    };
    let sized = |id: String| {
        let cores = (fullest(&id) + dice.below(3)).max(1);
        (id, u32::try_from(cores).unwrap_or(1))
    };
    (0..MACHINES).map(|i| format!("m{i}")).map(sized).collect()
}

impl Wish {
    /// The placement of this wish in a world as it is: where a machine is broken, another one is bought.
    pub(super) fn placement(&self, snapshot: &Snapshot) -> Placement {
        let mut assignments = Vec::new();
        let mut machines: BTreeMap<MachineId, Machine> = BTreeMap::new();
        for (replica, place) in &self.places {
            let service = self
                .manifest
                .iter()
                .flat_map(|m| &m.services)
                .find(|s| s.name == *replica.service());
            let Some(service) = service else { continue };
            let machine = self.machine(place, snapshot);
            assignments.push(Assignment {
                replica: replica.clone(),
                machine: machine.id.clone(),
                request: service.resources,
                share: MicroUsdPerHour::ZERO,
            });
            machines.insert(machine.id.clone(), machine);
        }
        Placement {
            snapshot: snapshot.reference(),
            policy: String::from("drawn"),
            machines: machines.into_values().collect(),
            assignments,
            unplaced: Vec::new(),
            explanations: Vec::new(),
            rejections: BTreeMap::new(),
            cost: CostSummary::default(),
        }
    }

    fn machine(&self, place: &str, snapshot: &Snapshot) -> Machine {
        let of = |text: String| {
            let cores = self.cores.get(place).copied().unwrap_or(1);
            Machine {
                id: MachineId::new(text).expect("invariant: letters and digits"),
                site: skyloom_core::Site {
                    region: "aws/eu-central-1".parse().expect("invariant: a region"),
                    zone: None,
                },
                instance: "m5.large".parse().expect("invariant: a type"),
                purchase: Purchase::OnDemand,
                price: MicroUsdPerHour::from_micros(100_000),
                price_as_of: "2026-11-01".parse().expect("invariant: a date"),
                capacity: Resources::new(Millicores::from_cores(cores), Bytes::from_gib(cores)),
                arch: String::from("x86_64"),
            }
        };
        let usable = |id: &MachineId| snapshot.node(id).is_none_or(|node| node.ready);
        let mut names = (0..).map(|n| {
            if n == 0 {
                place.to_owned()
            } else {
                format!("{place}-{n}")
            }
        });
        names
            .find_map(|text| Some(of(text)).filter(|machine| usable(&machine.id)))
            .expect("invariant: endless names")
    }
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("invariant: a name")
}
