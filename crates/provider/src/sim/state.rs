//! The state of a simulated cloud and its clock: what is there, what is due, and what happens when time passes.
//!
//! No locks and no driver trait here: this is a plain state machine, and `cloud` puts it behind the port.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use skyloom_core::{Digest, OwnerTag, Purchase, RegionKey, ResourceId, Site, Timestamp, Token};

use super::bill::{Bill, EgressItem, LineItem};
use super::config::SimConfig;
use super::event::{SimEvent, SimEventKind};
use super::mix_up::MixUp;
use super::mutate::{Mutation, Waits};
use super::outage::Fate;
use super::thing::{Body, Thing};
use crate::dice::Dice;
use crate::{Cause, Epoch, FaultPlan, Operation, RateLimit, Resource, ResourceState};

/// Virtual time ends this long after its start: a century, so that the price of any one interval can be held.
const HORIZON: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// A repeated mutation arrives again within this time: longer than most calls take, so that others come between.
const REPEAT_WITHIN: Duration = Duration::from_secs(5);
/// Streams of chance, one per purpose: how long things take, what goes wrong, how long listings lag.
const DELAYS: u64 = 1;
const CHANCES: u64 = 2;
const WINDOWS: u64 = 3;

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) config: SimConfig,
    pub(super) now: Timestamp,
    horizon: Timestamp,
    pub(super) things: BTreeMap<ResourceId, Thing>,
    /// Tokens, also of things deleted since.
    pub(super) tokens: BTreeMap<Token, TokenUse>,
    epochs: BTreeMap<OwnerTag, Epoch>,
    pub(super) outages: BTreeMap<Site, Fate>,
    due: BTreeMap<(Timestamp, u64), Due>,
    due_count: u64,
    pub(super) made: u64,
    pub(super) charged: Vec<LineItem>,
    /// What replicas sent that are gone.
    charged_egress: Vec<EgressItem>,
    /// Calls that are answered with somebody else's thing.
    pub(super) mix_ups: BTreeMap<u64, MixUp>,
    pub(super) plan: FaultPlan,
    rate_limit: Option<RateLimit>,
    pub(super) delays: Dice,
    pub(super) chances: Dice,
    pub(super) windows: Dice,
    events: VecDeque<SimEvent>,
    /// The call being served.
    pub(super) call: Option<u64>,
}

/// What a token was used for.
#[derive(Debug, Clone)]
pub(super) struct TokenUse {
    pub(super) parameters: Digest,
    pub(super) id: ResourceId,
    pub(super) at: Timestamp,
}

/// Something that happens by itself when its time comes.
#[derive(Debug, Clone)]
enum Due {
    /// A pending thing runs.
    Run { id: ResourceId, incarnation: u64 },
    /// A program ends.
    End {
        id: ResourceId,
        incarnation: u64,
        code: Option<i32>,
    },
    /// The end of a spot machine is announced.
    Notice { id: ResourceId, incarnation: u64 },
    /// A machine is taken back.
    Evict { id: ResourceId, incarnation: u64 },
    /// A mutation arrives again.
    Redeliver(Box<Mutation>),
}

impl State {
    pub(super) fn new(config: SimConfig) -> Self {
        let dice = |stream| Dice::new(config.seed, stream);
        Self {
            now: config.start,
            horizon: config.start.saturating_add(HORIZON),
            things: BTreeMap::new(),
            tokens: BTreeMap::new(),
            epochs: BTreeMap::new(),
            outages: BTreeMap::new(),
            mix_ups: BTreeMap::new(),
            due: BTreeMap::new(),
            due_count: 0,
            made: 0,
            charged: Vec::new(),
            charged_egress: Vec::new(),
            plan: FaultPlan::new(config.seed, config.faults.calls),
            rate_limit: config.rate_limit,
            delays: dice(DELAYS),
            chances: dice(CHANCES),
            windows: dice(WINDOWS),
            events: VecDeque::new(),
            call: None,
            config,
        }
    }

    // --- the clock ---------------------------------------------------------------------------------------------

    /// Moves the clock by `time` and lets everything happen that is due until then, in order of time and, at the same
    /// time, of arrangement.
    pub(super) fn advance(&mut self, time: Duration) {
        let target = self.now.saturating_add(time).min(self.horizon);
        while let Some(((at, order), due)) = self.due.pop_first() {
            if at > target {
                self.due.insert((at, order), due);
                break;
            }
            self.now = self.now.max(at);
            self.fire(due);
        }
        self.now = target;
    }

    /// When the next thing happens by itself, if any is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    fn schedule(&mut self, after: Duration, due: Due) {
        let at = self.now.saturating_add(after);
        self.due_count += 1;
        self.due.insert((at, self.due_count), due);
    }

    fn fire(&mut self, due: Due) {
        let call = self.call.take();
        match due {
            Due::Run { id, incarnation } => {
                if self.is_current(&id, incarnation) {
                    self.run(&id);
                }
            }
            Due::End { id, incarnation, code } => {
                if self.is_current(&id, incarnation) {
                    self.end(&id, code);
                }
            }
            Due::Notice { id, incarnation } => {
                if self.is_current(&id, incarnation) {
                    self.notice_eviction(&id);
                }
            }
            Due::Evict { id, incarnation } => {
                if self.is_current(&id, incarnation) {
                    self.evict(&id);
                }
            }
            Due::Redeliver(mutation) => self.redeliver(&mutation),
        }
        self.call = call;
    }

    fn is_current(&self, id: &ResourceId, incarnation: u64) -> bool {
        self.things
            .get(id)
            .is_some_and(|thing| thing.incarnation == incarnation)
    }

    // --- what happens to things ----------------------------------------------------------------------------------

    /// Lets a pending thing run after `delay`.
    pub(super) fn run_after(&mut self, id: &ResourceId, delay: Duration) {
        let ready_at = self.now.saturating_add(delay);
        let Some(thing) = self.things.get_mut(id) else { return };
        thing.resource.state = ResourceState::Pending;
        thing.ready_at = ready_at;
        let incarnation = thing.incarnation;
        if delay.is_zero() {
            self.run(id);
        } else {
            self.schedule(
                delay,
                Due::Run {
                    id: id.clone(),
                    incarnation,
                },
            );
        }
    }

    fn run(&mut self, id: &ResourceId) {
        let now = self.now;
        let Some(thing) = self.things.get_mut(id) else { return };
        self.charged.extend(thing.run(now, &self.config.tariff));
        let (incarnation, faults) = (thing.incarnation, self.config.faults);
        let spot = thing.machine().is_some_and(|m| m.machine.purchase == Purchase::Spot);
        let program = thing.replica().map(|replica| replica.program.clone());
        self.log(SimEventKind::Running { id: id.clone() });
        if spot && let Some(after) = self.eviction_after() {
            self.schedule(
                after,
                Due::Notice {
                    id: id.clone(),
                    incarnation,
                },
            );
        }
        let Some(program) = program else { return };
        if self.chances.happens(faults.failed_starts) {
            self.end(id, Some(1));
        } else if let Some(runs_for) = program.runs_for {
            let code = Some(program.exit_code);
            self.schedule(
                runs_for,
                Due::End {
                    id: id.clone(),
                    incarnation,
                    code,
                },
            );
        }
    }

    /// When the eviction of a spot machine that runs from now on is announced: the first hour in which chance has it,
    /// at an even moment of that hour. Looks a month ahead, which bounds the draws.
    fn eviction_after(&mut self) -> Option<Duration> {
        const HOURS_MAX: u32 = 730;
        let hour = Duration::from_secs(3600);
        let rate = self.config.faults.evictions_per_hour;
        if rate.get() == 0 {
            return None;
        }
        let hours = (0..HOURS_MAX).find(|_| self.chances.happens(rate))?;
        Some(hour * hours + self.chances.between(Duration::ZERO, hour))
    }

    /// A replica's program ends by itself.
    pub(super) fn end(&mut self, id: &ResourceId, code: Option<i32>) {
        self.halt(id, ResourceState::Exited { code });
        self.log(SimEventKind::Exited { id: id.clone(), code });
    }

    /// Ceases to run, and is charged for it.
    pub(super) fn halt(&mut self, id: &ResourceId, state: ResourceState) {
        let now = self.now;
        if let Some(thing) = self.things.get_mut(id) {
            self.charged.extend(thing.halt(state, now, &self.config.tariff));
        }
    }

    /// Announces that a machine will be taken back, and when; a second announcement changes nothing.
    pub(super) fn notice_eviction(&mut self, id: &ResourceId) {
        let notice = self.config.eviction_notice;
        let evicted_at = self.now.saturating_add(notice);
        let Some(thing) = self.things.get_mut(id) else { return };
        let incarnation = thing.incarnation;
        let Body::Machine(machine) = &mut thing.body else {
            return;
        };
        if machine.evicted_at.is_some() {
            return;
        }
        machine.evicted_at = Some(evicted_at);
        self.log(SimEventKind::EvictionNoticed {
            id: id.clone(),
            evicted_at,
        });
        if notice.is_zero() {
            self.evict(id);
        } else {
            self.schedule(
                notice,
                Due::Evict {
                    id: id.clone(),
                    incarnation,
                },
            );
        }
    }

    /// Takes a machine back, and with it every replica on it that has not ended.
    fn evict(&mut self, id: &ResourceId) {
        let gone_with =
            |thing: &&Thing| thing.is_on(id) && !matches!(thing.resource.state, ResourceState::Exited { .. });
        let replicas: Vec<ResourceId> = self
            .things
            .values()
            .filter(gone_with)
            .map(|thing| thing.resource.id.clone())
            .collect();
        for evicted in replicas.iter().chain([id]) {
            self.halt(evicted, ResourceState::Evicted);
            self.log(SimEventKind::Evicted { id: evicted.clone() });
        }
    }

    /// Removes a thing; its token stays used.
    pub(super) fn remove(&mut self, id: &ResourceId) {
        self.halt(id, ResourceState::Stopped);
        if let Some(thing) = self.things.remove(id) {
            self.charged_egress.extend(thing.egress(self.now, &self.config.tariff));
            self.log(SimEventKind::Deleted { id: id.clone() });
        }
    }

    // --- calls ---------------------------------------------------------------------------------------------------

    /// Lets a call in: counts it, logs it, and refuses it when a fault, the rate limit or an outage says so.
    /// Otherwise returns whether its answer is lost and whether it is repeated.
    pub(super) fn admit(
        &mut self,
        operation: Operation,
        subject: Option<String>,
        epoch: Option<Epoch>,
    ) -> Result<Admitted, Cause> {
        let verdict = self.plan.judge(operation);
        self.call = Some(verdict.call);
        self.log(SimEventKind::Called {
            operation,
            subject,
            epoch,
        });
        if let Some(cause) = verdict.refuse {
            return Err(cause);
        }
        if let Some(limit) = &mut self.rate_limit
            && let crate::Admission::Wait(wait) = limit.take(self.now)
        {
            return Err(Cause::Throttled {
                retry_after: Some(wait),
            });
        }
        Ok(Admitted {
            lose_reply: verdict.lose_reply,
            repeat: verdict.repeat,
        })
    }

    /// Logs how a call ended and what its caller gets.
    pub(super) fn answer<T>(
        &mut self,
        operation: Operation,
        lose_reply: bool,
        result: Result<T, Cause>,
    ) -> Result<T, Cause> {
        if let Err(cause) = &result {
            let (class, why) = (cause.class(), cause.to_string());
            self.log(SimEventKind::Refused { operation, class, why });
        }
        if lose_reply {
            self.log(SimEventKind::ReplyLost { operation });
        }
        self.call = None;
        if lose_reply {
            Err(crate::faults::reply_lost())
        } else {
            result
        }
    }

    /// Arranges that a mutation arrives again.
    pub(super) fn repeat_later(&mut self, mutation: Mutation) {
        let after = self.chances.between(Duration::from_micros(1), REPEAT_WITHIN);
        self.schedule(after, Due::Redeliver(Box::new(mutation)));
    }

    fn redeliver(&mut self, mutation: &Mutation) {
        let operation = mutation.operation();
        self.log(SimEventKind::Redelivered { operation });
        let result = self.reach(mutation).and_then(|()| self.apply(mutation, Waits::No));
        // Nobody hears this answer.
        let _ = self.answer(operation, false, result);
    }

    /// Refuses what a region that is down would have to answer.
    pub(super) fn reach(&self, mutation: &Mutation) -> Result<(), Cause> {
        let region = match mutation {
            Mutation::Create(request) => {
                self.reach_zone(request)?;
                Some(&request.site().region)
            }
            Mutation::Retag(request) => self.things.get(&request.id).map(|thing| &thing.resource.site.region),
            Mutation::Delete { id, .. } | Mutation::Stop { id, .. } | Mutation::Start { id, .. } => {
                self.things.get(id).map(|thing| &thing.resource.site.region)
            }
        };
        region.map_or(Ok(()), |region| self.reach_region(region))
    }

    pub(super) fn reach_region(&self, region: &RegionKey) -> Result<(), Cause> {
        let whole = Site {
            region: region.clone(),
            zone: None,
        };
        if self.outages.contains_key(&whole) {
            return Err(Cause::Unavailable {
                detail: format!("region `{region}` is down"),
            });
        }
        Ok(())
    }

    /// Refuses controllers older than the latest of this owner, and remembers the latest.
    pub(super) fn fence(&mut self, owner: &OwnerTag, epoch: Epoch) -> Result<(), Cause> {
        let seen = self.epochs.entry(owner.clone()).or_default();
        if epoch < *seen && self.config.fences {
            return Err(Cause::StaleEpoch {
                seen: seen.0,
                ours: epoch.0,
            });
        }
        *seen = epoch.max(*seen);
        Ok(())
    }

    // --- looking -------------------------------------------------------------------------------------------------

    /// The thing of this id, when its region can be reached.
    pub(super) fn look(&self, id: &ResourceId) -> Result<&Thing, Cause> {
        let thing = self.things.get(id).ok_or(Cause::NotFound)?;
        self.reach_region(&thing.resource.site.region)?;
        Ok(thing)
    }

    pub(super) fn list(&self, owner: &OwnerTag) -> Result<Vec<Resource>, Cause> {
        let mut found = Vec::new();
        for thing in self.things.values().filter(|thing| thing.owner() == Some(owner)) {
            self.reach_region(&thing.resource.site.region)?;
            if thing.visible_at <= self.now {
                found.push(self.mixed_up(thing.resource.clone()));
            }
        }
        Ok(found)
    }

    pub(super) fn find_by_token(&self, owner: &OwnerTag, token: &Token) -> Result<Option<Resource>, Cause> {
        let Some(thing) = self.tokens.get(token).and_then(|used| self.things.get(&used.id)) else {
            return Ok(None);
        };
        self.reach_region(&thing.resource.site.region)?;
        // A thing that changed hands is not found by the token of its maker.
        let marked = thing.owner() == Some(owner) && thing.resource.token == *token;
        let theirs = marked && thing.visible_at <= self.now;
        Ok(theirs.then(|| self.mixed_up(thing.resource.clone())))
    }

    /// What the provider's own clock says.
    pub(super) fn provider_clock(&self) -> Timestamp {
        let skewed = self.now.as_micros().saturating_add(self.config.clock_skew_micros);
        Timestamp::from_micros(skewed)
    }

    pub(super) fn bill(&self) -> Bill {
        let (now, tariff) = (self.now, &self.config.tariff);
        let open = self.things.values().filter_map(|thing| thing.charge(now, tariff, true));
        let sent = self.things.values().flat_map(|thing| thing.egress(now, tariff));
        let mut bill = Bill {
            items: self.charged.iter().cloned().chain(open).collect(),
            egress: self.charged_egress.iter().cloned().chain(sent).collect(),
        };
        bill.sort();
        bill
    }

    /// Charges what was charged at the old price until now, and charges the new one from now on.
    pub(super) fn reprice(&mut self, id: &ResourceId, price: skyloom_core::MicroUsdPerHour) {
        let now = self.now;
        let Some(thing) = self.things.get_mut(id) else { return };
        self.charged.extend(thing.charge(now, &self.config.tariff, false));
        if let Body::Machine(machine) = &mut thing.body {
            machine.price = price;
            machine.charged = machine.charged.map(|(charge, _)| (charge, now));
        }
        self.log(SimEventKind::Repriced { id: id.clone(), price });
    }

    pub(super) fn log(&mut self, what: SimEventKind) {
        if self.config.events_max == 0 {
            return;
        }
        if self.events.len() >= self.config.events_max {
            self.events.pop_front();
        }
        let (at, call) = (self.now, self.call);
        self.events.push_back(SimEvent { at, call, what });
    }

    pub(super) fn events(&self) -> Vec<SimEvent> {
        self.events.iter().cloned().collect()
    }

    pub(super) fn take_events(&mut self) -> Vec<SimEvent> {
        std::mem::take(&mut self.events).into()
    }
}

/// A call that was let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    pub(super) lose_reply: bool,
    pub(super) repeat: bool,
}
