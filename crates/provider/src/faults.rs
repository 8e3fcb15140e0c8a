//! What goes wrong between caller and provider, and when: seeded chance and a script. Deciding only; who holds a
//! [`FaultPlan`] carries its verdicts out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::dice::Dice;
use crate::{Cause, Operation, PerMille};

/// How often calls go wrong on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FaultRates {
    /// The request never arrives: no effect, the caller gets [`Cause::Unavailable`].
    pub lost_requests: PerMille,
    /// The answer never arrives: the effect happened, the caller gets [`Cause::Unavailable`].
    pub lost_replies: PerMille,
    /// A mutation arrives twice.
    pub repeats: PerMille,
}

impl FaultRates {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The same, losing this many requests.
    #[must_use]
    pub const fn with_lost_requests(mut self, chance: PerMille) -> Self {
        self.lost_requests = chance;
        self
    }

    /// The same, losing this many answers.
    #[must_use]
    pub const fn with_lost_replies(mut self, chance: PerMille) -> Self {
        self.lost_replies = chance;
        self
    }

    /// The same, delivering this many mutations twice.
    #[must_use]
    pub const fn with_repeats(mut self, chance: PerMille) -> Self {
        self.repeats = chance;
        self
    }
}

/// The streams of chance that a plan draws from; kept apart from other users of the seed.
const STREAM: u64 = 0x66_61_75_6c_74;

/// Decides the fate of each call: by script where one applies, else by chance.
///
/// Calls are counted from 0 in the order in which they are judged. Each consumes the same number of draws, so that
/// the fate of call `k` depends on the seed, the rates and `k` alone.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    rates: FaultRates,
    dice: Dice,
    calls: u64,
    next: BTreeMap<Operation, VecDeque<Cause>>,
    lost_requests: BTreeSet<u64>,
    lost_replies: BTreeSet<u64>,
    repeats: BTreeSet<u64>,
}

/// The fate of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which call it is, from 0.
    pub call: u64,
    /// It fails with this and has no effect.
    pub refuse: Option<Cause>,
    /// It has its effect, but the caller gets [`Cause::Unavailable`].
    pub lose_reply: bool,
    /// It is delivered twice (mutations only).
    pub repeat: bool,
}

impl FaultPlan {
    /// A plan with an empty script.
    #[must_use]
    pub fn new(seed: u64, rates: FaultRates) -> Self {
        Self {
            rates,
            dice: Dice::new(seed, STREAM),
            calls: 0,
            next: BTreeMap::new(),
            lost_requests: BTreeSet::new(),
            lost_replies: BTreeSet::new(),
            repeats: BTreeSet::new(),
        }
    }

    /// Replaces the rates from the next call on; the script stays.
    pub const fn set_rates(&mut self, rates: FaultRates) {
        self.rates = rates;
    }

    /// Fails the next call of `operation` with `cause`, without effect. Several are used up one per call, in order.
    pub fn fail_next(&mut self, operation: Operation, cause: Cause) {
        self.next.entry(operation).or_default().push_back(cause);
    }

    /// Loses the request of call number `call` (from 0).
    pub fn lose_request_at(&mut self, call: u64) {
        self.lost_requests.insert(call);
    }

    /// Loses the answer of call number `call` (from 0).
    pub fn lose_reply_at(&mut self, call: u64) {
        self.lost_replies.insert(call);
    }

    /// Delivers call number `call` (from 0) twice, if it is a mutation.
    pub fn repeat_at(&mut self, call: u64) {
        self.repeats.insert(call);
    }

    /// Calls judged so far: the number of the next one.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// The fate of the next call.
    pub fn judge(&mut self, operation: Operation) -> Verdict {
        let call = self.calls;
        self.calls = call.saturating_add(1);
        let chance = [self.rates.lost_requests, self.rates.lost_replies, self.rates.repeats];
        let [lost_request, lost_reply, repeat] = chance.map(|rate| self.dice.happens(rate));
        let scripted = self.next.get_mut(&operation).and_then(VecDeque::pop_front);
        let lost_request = self.lost_requests.remove(&call) || lost_request;
        Verdict {
            call,
            refuse: scripted.or_else(|| lost_request.then(request_lost)),
            lose_reply: self.lost_replies.remove(&call) || lost_reply,
            repeat: operation.is_mutation() && (self.repeats.remove(&call) || repeat),
        }
    }
}

/// What a caller sees of a lost request: the same as of a lost answer, or there would be nothing to find out.
pub(crate) fn request_lost() -> Cause {
    reply_lost()
}

/// What a caller sees of a lost answer.
pub(crate) fn reply_lost() -> Cause {
    Cause::Unavailable {
        detail: "the connection was lost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fate_of_a_call_depends_on_its_number_not_on_what_came_before() {
        let rates = FaultRates::none().with_lost_replies(PerMille::new(300));
        let (mut a, mut b) = (FaultPlan::new(7, rates), FaultPlan::new(7, rates));
        b.fail_next(Operation::Get, Cause::Denied);
        b.set_rates(FaultRates::none());
        let _ = (a.judge(Operation::Get), b.judge(Operation::Get));
        b.set_rates(rates);
        let fates = |plan: &mut FaultPlan| (0..200).map(|_| plan.judge(Operation::Create)).collect::<Vec<_>>();
        let (a, b) = (fates(&mut a), fates(&mut b));
        assert_eq!(a, b);
        let lost = a.iter().filter(|v| v.lose_reply).count();
        assert!((30..=90).contains(&lost), "{lost} of 200 at 300 in a thousand");
    }

    #[test]
    fn the_script_is_used_up() {
        let mut plan = FaultPlan::new(0, FaultRates::none());
        plan.fail_next(Operation::List, Cause::Denied);
        plan.lose_reply_at(1);
        plan.repeat_at(1);
        plan.lose_request_at(3);
        let verdicts: Vec<_> = [
            Operation::Get,
            Operation::Delete,
            Operation::List,
            Operation::Get,
            Operation::List,
        ]
        .map(|operation| plan.judge(operation))
        .into();
        let refused: Vec<_> = verdicts.iter().map(|v| v.refuse.clone()).collect();
        assert_eq!(refused, [None, None, Some(Cause::Denied), Some(request_lost()), None]);
        assert_eq!(
            verdicts.iter().map(|v| v.lose_reply).collect::<Vec<_>>(),
            [false, true, false, false, false]
        );
        assert_eq!(
            verdicts.iter().map(|v| v.repeat).collect::<Vec<_>>(),
            [false, true, false, false, false]
        );
    }
}
