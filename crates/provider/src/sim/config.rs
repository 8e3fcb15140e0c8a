//! How a simulated cloud behaves. Everything has a default that surprises nobody; faults, quotas and limits are off
//! until asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use skyloom_core::{CloudId, InstanceType, MicroUsd, MicroUsdPerHour, Purchase, RegionKey, Timestamp};

use super::bill::Destination;
use super::program::SimProgram;
use crate::{FaultRates, PerMille, RateLimit};

/// What a price is listed under.
pub(super) type PriceKey = (RegionKey, InstanceType, Purchase);

/// Configuration of a [`super::SimCloud`].
///
/// ```
/// use std::time::Duration;
/// use skyloom_core::Timestamp;
/// use skyloom_provider::sim::{Delay, SimCloud, SimConfig};
///
/// let config = SimConfig::new(42, Timestamp::from_secs(1_800_000_000))
///     .with_machine_start(Delay::between(Duration::from_secs(20), Duration::from_secs(60)))
///     .with_vcpu_quota("aws/eu-central-1".parse()?, 64);
/// let cloud = SimCloud::new(config);
/// assert_eq!(cloud.now(), Timestamp::from_secs(1_800_000_000));
/// # Ok::<(), skyloom_core::IdError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SimConfig {
    pub(super) name: String,
    pub(super) clouds: Option<Vec<CloudId>>,
    pub(super) seed: u64,
    pub(super) start: Timestamp,
    pub(super) machine_start: Delay,
    pub(super) replica_start: Delay,
    pub(super) delays_by_name: bool,
    pub(super) consistency_window: Duration,
    pub(super) token_memory: Option<Duration>,
    pub(super) fences: bool,
    pub(super) vcpu_quotas: BTreeMap<RegionKey, u64>,
    pub(super) machine_quota: Option<u64>,
    pub(super) capacity: BTreeMap<(RegionKey, InstanceType), u32>,
    pub(super) prices: BTreeMap<PriceKey, MicroUsdPerHour>,
    pub(super) tariff: Tariff,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) eviction_notice: Duration,
    pub(super) clock_skew_micros: i64,
    pub(super) programs: BTreeMap<String, SimProgram>,
    pub(super) faults: SimFaults,
    pub(super) events_max: usize,
}

/// What is charged besides a machine's price while it runs.
#[derive(Debug, Clone)]
pub(super) struct Tariff {
    pub(super) minimum_charge: Duration,
    pub(super) stopped_share: PerMille,
    egress: MicroUsd,
    egress_to: BTreeMap<(RegionKey, Destination), MicroUsd>,
}

/// AWS, Azure and GCP charge each start for a minute at least.
const MINIMUM_CHARGE: Duration = Duration::from_secs(60);

impl Default for Tariff {
    fn default() -> Self {
        Self {
            minimum_charge: MINIMUM_CHARGE,
            stopped_share: PerMille::NEVER,
            egress: MicroUsd::ZERO,
            egress_to: BTreeMap::new(),
        }
    }
}

impl Tariff {
    /// What a stopped machine of this price costs per hour, rounded down.
    pub(super) const fn stopped(&self, price: MicroUsdPerHour) -> MicroUsdPerHour {
        // A price is at most a million dollars, so that a thousand times it can be held.
        MicroUsdPerHour::from_micros(price.as_micros() * self.stopped_share.get() as i64 / 1000)
    }

    /// Price per GiB from a region to a destination.
    pub(super) fn per_gib(&self, from: &RegionKey, to: &Destination) -> MicroUsd {
        if matches!(to, Destination::Region(region) if region == from) {
            return MicroUsd::ZERO;
        }
        let key = (from.clone(), to.clone());
        self.egress_to.get(&key).copied().unwrap_or(self.egress)
    }
}

/// AWS announces the end of a spot instance this long before it.
const EVICTION_NOTICE: Duration = Duration::from_secs(120);
/// A week of a busy simulated shop; some tens of MiB.
const EVENTS_MAX: usize = 100_000;

impl SimConfig {
    /// A cloud that stands in for any cloud, whose clock starts at `start`. Machines take 20 to 60 s to run and
    /// replicas 1 to 5 s, a new thing may be absent from listings for up to 5 s, and nothing goes wrong.
    #[must_use]
    pub fn new(seed: u64, start: Timestamp) -> Self {
        let seconds = |least, most| Delay::between(Duration::from_secs(least), Duration::from_secs(most));
        Self {
            name: "sim".to_owned(),
            clouds: None,
            seed,
            start,
            machine_start: seconds(20, 60),
            replica_start: seconds(1, 5),
            delays_by_name: false,
            consistency_window: Duration::from_secs(5),
            token_memory: None,
            fences: true,
            vcpu_quotas: BTreeMap::new(),
            machine_quota: None,
            capacity: BTreeMap::new(),
            prices: BTreeMap::new(),
            tariff: Tariff::default(),
            rate_limit: None,
            eviction_notice: EVICTION_NOTICE,
            clock_skew_micros: 0,
            programs: BTreeMap::new(),
            faults: SimFaults::none(),
            events_max: EVENTS_MAX,
        }
    }

    /// The same, standing in for this cloud only, which also gives the driver its name (`sim-aws`) and its resource
    /// ids their prefix. Creating elsewhere is [`crate::Cause::Invalid`].
    #[must_use]
    pub fn for_cloud(mut self, cloud: CloudId) -> Self {
        self.name = format!("sim-{cloud}");
        self.clouds = Some(vec![cloud]);
        self
    }

    /// The same, with machines taking this long from `create` to running.
    #[must_use]
    pub const fn with_machine_start(mut self, delay: Delay) -> Self {
        self.machine_start = delay;
        self
    }

    /// The same, with replicas taking this long from `create` (or from their machine's running) to running.
    #[must_use]
    pub const fn with_replica_start(mut self, delay: Delay) -> Self {
        self.replica_start = delay;
        self
    }

    /// The same, drawing how long a thing takes to start from the seed and its name and not in the order of calls: for
    /// callers whose calls overlap in an order that is not theirs to decide.
    #[must_use]
    pub const fn with_delays_by_name(mut self) -> Self {
        self.delays_by_name = true;
        self
    }

    /// The same, with new things absent from `list` and `find_by_token` for up to this long.
    #[must_use]
    pub const fn with_consistency_window(mut self, window: Duration) -> Self {
        self.consistency_window = window;
        self
    }

    /// The same, forgetting a token this long after the creation that used it, as real clouds do after hours or days:
    /// the same token then makes a second thing. Without it a token is remembered for ever. What is there is still
    /// found by its token.
    #[must_use]
    pub const fn with_token_memory(mut self, memory: Duration) -> Self {
        self.token_memory = Some(memory);
        self
    }

    /// The same, letting late controllers act: a cloud without epochs, for tests that must show what goes wrong there.
    /// It breaks the contract of [`crate::Driver`] on purpose.
    #[must_use]
    pub const fn without_fencing(mut self) -> Self {
        self.fences = false;
        self
    }

    /// The same, allowing this many virtual CPUs in a region. A machine counts its CPU capacity, rounded up to whole
    /// CPUs, while it is pending or running. A region without a quota has no limit.
    #[must_use]
    pub fn with_vcpu_quota(mut self, region: RegionKey, vcpus: u64) -> Self {
        self.vcpu_quotas.insert(region, vcpus);
        self
    }

    /// The same, allowing this many pending or running machines over all regions.
    #[must_use]
    pub const fn with_machine_quota(mut self, machines: u64) -> Self {
        self.machine_quota = Some(machines);
        self
    }

    /// The same, having this many machines of a type in a region at once. A type without a limit never runs out.
    #[must_use]
    pub fn with_capacity(mut self, region: RegionKey, instance: InstanceType, machines: u32) -> Self {
        self.capacity.insert((region, instance), machines);
        self
    }

    /// The same, billing this price. A machine without a listed price is billed at the price of its request.
    #[must_use]
    pub fn with_price(
        mut self,
        region: RegionKey,
        instance: InstanceType,
        purchase: Purchase,
        price: MicroUsdPerHour,
    ) -> Self {
        self.prices.insert((region, instance, purchase), price);
        self
    }

    /// The same, charging each start of a machine for this long at least; a minute unless told otherwise.
    #[must_use]
    pub const fn with_minimum_charge(mut self, time: Duration) -> Self {
        self.tariff.minimum_charge = time;
        self
    }

    /// The same, charging a stopped machine this share of its price, for its disk and address; nothing unless told.
    #[must_use]
    pub const fn with_stopped_share(mut self, share: PerMille) -> Self {
        self.tariff.stopped_share = share;
        self
    }

    /// The same, charging this much per GiB (2^30 bytes) that a replica sends out of its region; nothing unless told.
    #[must_use]
    pub const fn with_egress_price(mut self, per_gib: MicroUsd) -> Self {
        self.tariff.egress = per_gib;
        self
    }

    /// The same, charging this much per GiB from one region to one destination, whatever other egress costs.
    #[must_use]
    pub fn with_egress_price_to(mut self, from: RegionKey, to: Destination, per_gib: MicroUsd) -> Self {
        self.tariff.egress_to.insert((from, to), per_gib);
        self
    }

    /// The same, throttling calls beyond this limit, all operations together.
    #[must_use]
    pub const fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// The same, announcing evictions this long before them.
    #[must_use]
    pub const fn with_eviction_notice(mut self, notice: Duration) -> Self {
        self.eviction_notice = notice;
        self
    }

    /// The same, with the provider's clock this many microseconds before (positive) or behind (negative) the
    /// caller's: it shows in `created_at` and `Usage::at`, not in bill and event log.
    #[must_use]
    pub const fn with_clock_skew_micros(mut self, micros: i64) -> Self {
        self.clock_skew_micros = micros;
        self
    }

    /// The same, where the program of this name (first word of a command, else the image) behaves so. Programs
    /// without a behaviour are [`SimProgram::service`] as a replica, and end at once with code 0 in `exec`.
    #[must_use]
    pub fn with_program(mut self, name: impl Into<String>, program: SimProgram) -> Self {
        self.programs.insert(name.into(), program);
        self
    }

    /// The same, with these faults.
    #[must_use]
    pub const fn with_faults(mut self, faults: SimFaults) -> Self {
        self.faults = faults;
        self
    }

    /// The same, keeping the latest this many events (100,000 unless told otherwise).
    #[must_use]
    pub const fn with_events_max(mut self, events_max: usize) -> Self {
        self.events_max = events_max;
        self
    }
}

/// How long something takes: drawn evenly from a range, in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Delay {
    /// No time at all: done when the call returns.
    pub const NONE: Self = Self::exactly(Duration::ZERO);

    /// Always this long.
    #[must_use]
    pub const fn exactly(time: Duration) -> Self {
        Self {
            least: time,
            most: time,
        }
    }

    /// Between the two, both included; their order does not matter.
    #[must_use]
    pub fn between(one: Duration, other: Duration) -> Self {
        Self {
            least: one.min(other),
            most: one.max(other),
        }
    }
}

/// What goes wrong by chance. Scripted faults are calls of [`super::SimCloud`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SimFaults {
    /// Lost requests, lost answers and repeated delivery. A repeated mutation arrives again within 5 s of virtual
    /// time, so possibly after later calls.
    pub calls: FaultRates,
    /// A new machine is refused with [`crate::Cause::NoCapacity`].
    pub no_capacity: PerMille,
    /// A replica ends with code 1 as soon as it runs.
    pub failed_starts: PerMille,
    /// A running spot machine is taken back within an hour of running; asked anew for every hour.
    pub evictions_per_hour: PerMille,
}

impl SimFaults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The same, with calls going wrong on their way at these rates.
    #[must_use]
    pub const fn with_calls(mut self, rates: FaultRates) -> Self {
        self.calls = rates;
        self
    }

    /// The same, out of capacity this often.
    #[must_use]
    pub const fn with_no_capacity(mut self, chance: PerMille) -> Self {
        self.no_capacity = chance;
        self
    }

    /// The same, with this share of starts failing.
    #[must_use]
    pub const fn with_failed_starts(mut self, chance: PerMille) -> Self {
        self.failed_starts = chance;
        self
    }

    /// The same, with running spot machines taken back at this rate per hour.
    #[must_use]
    pub const fn with_evictions_per_hour(mut self, chance: PerMille) -> Self {
        self.evictions_per_hour = chance;
        self
    }
}
