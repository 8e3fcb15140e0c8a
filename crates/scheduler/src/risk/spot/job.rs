//! What is to be done by when, and what machines cost: the checked input of everything about spot.
//!
//! Durations become whole seconds and prices stay integers, so that a deadline is met or missed exactly. Reading files
//! does not belong here, and neither does any decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, MicroUsdPerHour};
use thiserror::Error;

/// Longest duration that is accepted, about 34 years: products of durations and prices then stay far below 2^127.
const SECONDS_MAX: u64 = 1 << 30;

/// Most ticks from start to deadline; a policy is asked once for each.
pub const TICKS_MAX: u64 = 1 << 22;

/// Why a job, a market or a trace is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpotError {
    /// A duration that must be positive is zero.
    #[error("accept a {what} of zero")]
    Zero {
        /// Which one.
        what: &'static str,
    },
    /// A duration is not in whole seconds, or beyond 34 years.
    #[error("accept a {what} of {given:?}: it must be in whole seconds, and at most {SECONDS_MAX} of them")]
    Duration {
        /// Which one.
        what: &'static str,
        /// What was given.
        given: Duration,
    },
    /// The job cannot be done in time even on demand from the first second.
    #[error("finish {work_s} s of work and a start of {restart_s} s within {deadline_s} s")]
    DeadlineTooShort {
        /// Seconds of work.
        work_s: u64,
        /// Seconds that a start takes.
        restart_s: u64,
        /// Seconds to the deadline.
        deadline_s: u64,
    },
    /// The deadline is too many ticks away.
    #[error("decide {ticks} times: at most {TICKS_MAX} ticks are accepted")]
    TooManyTicks {
        /// Ticks to the deadline.
        ticks: u64,
    },
    /// A price is negative, or the on-demand price, to which everything is compared, is zero.
    #[error("accept {price} as the price of `{of}`")]
    Price {
        /// `on-demand`, or the zone.
        of: String,
        /// What was given.
        price: MicroUsdPerHour,
    },
    /// There is no zone to ask for spot.
    #[error("use a market without zones")]
    NoZones,
    /// Two zones have one name.
    #[error("tell two zones apart that are both called `{zone}`")]
    DuplicateZone {
        /// The name.
        zone: String,
    },
    /// The traces are not one for each zone of the market.
    #[error("match {traces} traces to {zones} zones")]
    ZoneCount {
        /// Traces given.
        traces: usize,
        /// Zones of the market.
        zones: usize,
    },
    /// A trace ends before the deadline.
    #[error("replay {ticks} ticks from tick {start} of a trace of {points}")]
    TraceTooShort {
        /// First tick.
        start: usize,
        /// Ticks to the deadline.
        ticks: u64,
        /// Ticks of the trace.
        points: usize,
    },
    /// A trace in run-length form cannot be read.
    #[error("read `{text}` as `value*count` (run {run})")]
    Run {
        /// What was given, cut to a printable length.
        text: String,
        /// Which run, counted from 0.
        run: usize,
    },
}

impl SpotError {
    /// What kind of failure this is: the input is wrong as it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// A job as a caller writes it down; [`SpotJob::new`] checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTerms {
    /// Time that the work takes on one machine of either kind, without interruption.
    pub work: Duration,
    /// Time from now by which it must be done.
    pub deadline: Duration,
    /// Time between two decisions.
    pub tick: Duration,
    /// Paid time without progress after each start of a machine: boot, set-up, reading the checkpoint.
    pub restart: Duration,
    /// Most progress that is lost when spot capacity is taken away: the time between two checkpoints. Leaving by choice
    /// loses none.
    pub loss: Duration,
}

/// A job that can be done in time, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpotJob {
    work_s: u64,
    deadline_s: u64,
    tick_s: u64,
    restart_s: u64,
    loss_s: u64,
}

impl SpotJob {
    /// Checks a job.
    ///
    /// # Errors
    /// [`SpotError::Zero`] for no work or no tick, [`SpotError::Duration`] for fractions of a second and eternities,
    /// [`SpotError::DeadlineTooShort`] when one start and the work take longer than the deadline allows,
    /// [`SpotError::TooManyTicks`] for a tick that is too short for the deadline.
    pub fn new(terms: &JobTerms) -> Result<Self, SpotError> {
        let job = Self {
            work_s: seconds("work", terms.work)?,
            deadline_s: seconds("deadline", terms.deadline)?,
            tick_s: seconds("tick", terms.tick)?,
            restart_s: seconds("restart", terms.restart)?,
            loss_s: seconds("loss", terms.loss)?,
        };
        for (value, what) in [(job.work_s, "work"), (job.tick_s, "tick")] {
            if value == 0 {
                return Err(SpotError::Zero { what });
            }
        }
        if job.work_s + job.restart_s > job.deadline_s {
            return Err(SpotError::DeadlineTooShort {
                work_s: job.work_s,
                restart_s: job.restart_s,
                deadline_s: job.deadline_s,
            });
        }
        if job.ticks() > TICKS_MAX {
            return Err(SpotError::TooManyTicks { ticks: job.ticks() });
        }
        Ok(job)
    }

    /// Seconds of work.
    #[must_use]
    pub const fn work_s(&self) -> u64 {
        self.work_s
    }

    /// Seconds to the deadline.
    #[must_use]
    pub const fn deadline_s(&self) -> u64 {
        self.deadline_s
    }

    /// Seconds between two decisions.
    #[must_use]
    pub const fn tick_s(&self) -> u64 {
        self.tick_s
    }

    /// Paid seconds without progress after a start.
    #[must_use]
    pub const fn restart_s(&self) -> u64 {
        self.restart_s
    }

    /// Most seconds of progress lost with an eviction.
    #[must_use]
    pub const fn loss_s(&self) -> u64 {
        self.loss_s
    }

    /// Decisions to the deadline; the last tick may be cut short by it.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        self.deadline_s.div_ceil(self.tick_s)
    }
}

fn seconds(what: &'static str, given: Duration) -> Result<u64, SpotError> {
    if given.subsec_nanos() != 0 || given.as_secs() > SECONDS_MAX {
        return Err(SpotError::Duration { what, given });
    }
    Ok(given.as_secs())
}

/// A place that sells spot capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotZone {
    /// Its name.
    pub name: String,
    /// Its spot price.
    pub price: MicroUsdPerHour,
}

/// What machines cost: on demand (always to be had), and spot in each zone (when it is there).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Market {
    on_demand: MicroUsdPerHour,
    zones: Vec<SpotZone>,
}

impl Market {
    /// Checks a market. Zones are named by their position from then on.
    ///
    /// # Errors
    /// [`SpotError::Price`] for a negative price or an on-demand price of zero, [`SpotError::NoZones`],
    /// [`SpotError::DuplicateZone`].
    pub fn new(on_demand: MicroUsdPerHour, zones: Vec<SpotZone>) -> Result<Self, SpotError> {
        let refuse = |of: &str, price| {
            Err(SpotError::Price {
                of: of.to_owned(),
                price,
            })
        };
        if on_demand <= MicroUsdPerHour::ZERO {
            return refuse("on-demand", on_demand);
        }
        if zones.is_empty() {
            return Err(SpotError::NoZones);
        }
        for (index, zone) in zones.iter().enumerate() {
            if zone.price < MicroUsdPerHour::ZERO {
                return refuse(&zone.name, zone.price);
            }
            if zones[..index].iter().any(|other| other.name == zone.name) {
                return Err(SpotError::DuplicateZone {
                    zone: zone.name.clone(),
                });
            }
        }
        Ok(Self { on_demand, zones })
    }

    /// The on-demand price.
    #[must_use]
    pub const fn on_demand(&self) -> MicroUsdPerHour {
        self.on_demand
    }

    /// The zones, in the caller's order; at least one.
    #[must_use]
    pub fn zones(&self) -> &[SpotZone] {
        &self.zones
    }

    /// Price of a seat in millionths of a dollar per hour; 0 for idling and for a zone that is not there.
    pub(crate) fn rate(&self, seat: super::Seat) -> u128 {
        let price = match seat {
            super::Seat::Idle => MicroUsdPerHour::ZERO,
            super::Seat::OnDemand => self.on_demand,
            super::Seat::Spot(zone) => self.zones.get(zone).map_or(MicroUsdPerHour::ZERO, |z| z.price),
        };
        u128::try_from(price.as_micros()).unwrap_or(0)
    }
}
