//! Traffic from below: a price per byte that no volume of a direction undercuts, so that a sum over needs is below the
//! bill whatever the other needs add to the same tiers.
//!
//! Tiers are marginal and mostly fall, so the average price of a volume is least at some tier's edge or at all that
//! could go that way. What a price list gives away at first would make that least price nothing; so the price is of what
//! goes beyond it, and what all directions together give away is taken off once, at the end, as is their rounding.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Model, Target, Toward, toward_region};

/// A price as a fraction: millionths of a dollar for so many bytes, beyond those that are free.
#[derive(Debug, Clone, Copy)]
struct Rate {
    micros: u128,
    per: u128,
    free: u64,
}

impl Rate {
    const NOTHING: Self = Self {
        micros: 0,
        per: 1,
        free: 0,
    };

    fn cost(self, bytes: u128) -> u128 {
        bytes.saturating_mul(self.micros) / self.per
    }

    fn is_below(self, other: Self) -> bool {
        self.micros.saturating_mul(other.per) < other.micros.saturating_mul(self.per)
    }
}

/// Steps in which an assumed price is looked at: it is the dearest of several lists, whose crossings are not known.
const STEPS: u64 = 32;

/// Prices per byte from below, worked out when asked.
#[derive(Debug)]
pub(crate) struct Rates<'s, 'm> {
    model: &'s Model<'m>,
    /// Edges of all tiers of the catalogue, rising.
    edges: Vec<u64>,
    /// Bytes of all needs.
    all: u64,
    known: RefCell<BTreeMap<(usize, Toward), Rate>>,
}

impl<'s, 'm> Rates<'s, 'm> {
    pub(crate) fn new(model: &'s Model<'m>) -> Self {
        let rules = model.problem.catalogue.egress_rules();
        let edges: BTreeSet<u64> = rules
            .iter()
            .flat_map(|rule| &rule.tiers)
            .filter_map(|tier| tier.up_to)
            .map(skyloom_core::Bytes::as_bytes)
            .filter(|bytes| *bytes > 0)
            .collect();
        let all = model
            .egress
            .needs()
            .iter()
            .fold(0u64, |sum, need| sum.saturating_add(need.bytes));
        Self {
            model,
            edges: edges.into_iter().filter(|edge| *edge < all).collect(),
            all,
            known: RefCell::default(),
        }
    }

    /// Not more than what these bytes add to the bill, in millionths of a dollar per month, but for [`Rates::given`].
    fn cost(&self, from: usize, toward: Toward, bytes: u128) -> i128 {
        let mut known = self.known.borrow_mut();
        let rate = *known.entry((from, toward)).or_insert_with(|| self.rate(from, toward));
        i128::try_from(rate.cost(bytes)).unwrap_or(i128::MAX)
    }

    fn rate(&self, from: usize, toward: Toward) -> Rate {
        let quoted = |bytes: u64| self.model.egress.quoted(&self.model.regions, from, toward, bytes);
        let edges = || self.edges.iter().copied().chain([self.all]);
        let free = edges().take_while(|edge| quoted(*edge).0 == 0).last().unwrap_or(0);
        let mut least: Option<Rate> = None;
        let mut lower = |micros: i128, bytes: u64| {
            // What is billed may have been rounded up.
            let rate = Rate {
                micros: (micros - 1).max(0).unsigned_abs(),
                per: u128::from(bytes.saturating_sub(free).max(1)),
                free,
            };
            if least.is_none_or(|least| rate.is_below(least)) {
                least = Some(rate);
            }
        };
        let mut last = 0u64;
        for edge in edges().filter(|edge| *edge > free) {
            let (micros, assumed) = quoted(edge);
            lower(micros, edge);
            if assumed && last > 0 {
                // Between two steps the bill is at least that of the first, the volume at most that of the second.
                let width = (edge - last).div_ceil(STEPS);
                for step in 0..STEPS {
                    let start = last.saturating_add(step.saturating_mul(width));
                    lower(quoted(start).0, start.saturating_add(width));
                }
            }
            last = edge;
        }
        least.unwrap_or(Rate::NOTHING)
    }

    /// Not more than what a part of a service adds by traffic that does not depend on other services, in one site.
    pub(crate) fn alone(&self, service: usize, site: usize, replicas: u64) -> i128 {
        let region = self.model.sites[site].region;
        let needs = self.model.egress.needs().iter().filter(|need| need.from == service);
        needs
            .filter_map(|need| {
                let toward = match &need.to {
                    Target::Internet => Toward::Internet,
                    Target::Data(nearest) => toward_region(region, nearest[region]?, &self.model.regions)?,
                    Target::Service(_) => return None,
                };
                let bytes = u128::from(need.bytes) * u128::from(replicas) / u128::from(need.senders.max(1));
                Some(self.cost(region, toward, bytes))
            })
            .sum()
    }

    /// Not more than what bytes from one site to another add.
    pub(crate) fn between(&self, from: usize, to: usize, bytes: u128) -> i128 {
        let toward = match (from == to, self.model.sites[from].region, self.model.sites[to].region) {
            (true, ..) => return 0,
            (false, a, b) if a == b => Toward::OtherZone,
            (false, a, b) => toward_region(a, b, &self.model.regions).unwrap_or(Toward::Internet),
        };
        self.cost(self.model.sites[from].region, toward, bytes)
    }

    /// By how much all costs that were asked for may be above the bills: what each direction gives away, and half a
    /// millionth for the rounding of each bill.
    pub(crate) fn given(&self) -> i128 {
        let known = self.known.borrow();
        let given = known
            .values()
            .map(|rate| rate.cost(u128::from(rate.free)).saturating_add(1));
        i128::try_from(given.fold(0u128, u128::saturating_add)).unwrap_or(i128::MAX)
    }
}
