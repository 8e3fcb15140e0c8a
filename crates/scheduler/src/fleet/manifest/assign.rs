//! Which part of which service goes to which site: proposals by sums of small costs, judged by the machines that they
//! really need, and improved part by part.

use std::collections::BTreeMap;

use super::bound::{Near, Worths, amount, options_by_site, per_month};
use super::error::ManifestFleetError;
use super::parts::{Part, keeps_apart, parts};
use super::site::{Partial, question};
use super::traffic::Rates;
use crate::effort::Effort;
use crate::fleet::fold::{Fold, fold};
use crate::fleet::folded::Bought;
use crate::fleet::greedy;
use crate::minsum::{self, FORBIDDEN, Limits, Model as Sum};
use crate::model::{Model, Target};
use crate::state::change_count;

/// Sites to which everything is drawn, one after the other.
const FAVOURED_MAX: usize = 12;

/// Sites that a single part is tried in.
const MOVES_MAX: usize = 6;

/// Makes a site dear that is not the favoured one: more than any saving, less than anything forbidden.
const ELSEWHERE: i128 = 1 << 40;

/// Entries that a proposal's tables may have: proposals are many, and need not be exact.
const LIMITS: Limits = Limits {
    table_entries_max: 1 << 18,
    elimination_max: 1 << 24,
    entries_max: 1 << 23,
    marginals: false,
};

/// Copies without a machine, then millionths of a dollar per month.
pub(crate) type Cost = (u64, i128);

/// Replicas per service of one site, and which of them may not share machines with which: a colour is one question.
pub(crate) type Load = Vec<(usize, u64)>;

/// The search for sites.
pub(crate) struct Assigner<'s, 'm> {
    pub(crate) model: &'s Model<'m>,
    pub(crate) parts: Vec<Part>,
    rates: &'s Rates<'s, 'm>,
    worths: &'s Worths,
    /// Options of each site.
    pub(crate) options: Vec<Vec<usize>>,
    /// What machines for a load of a site cost, in billionths per hour, and copies without one.
    known: BTreeMap<(usize, Load), (u64, u128)>,
}

impl<'s, 'm> Assigner<'s, 'm> {
    pub(crate) fn new(model: &'s Model<'m>, rates: &'s Rates<'s, 'm>, worths: &'s Worths) -> Self {
        Self {
            model,
            parts: parts(model),
            rates,
            worths,
            options: options_by_site(model),
            known: BTreeMap::new(),
        }
    }

    /// The best sites found, one per part; `None`: a part has no site at all, or rules forbid every choice tried.
    pub(crate) fn best(&mut self, effort: &mut Effort<'_>) -> Result<Option<Vec<usize>>, ManifestFleetError> {
        let mut best: Option<(Cost, Vec<usize>)> = None;
        let mut favoured: Vec<Option<usize>> = vec![None];
        favoured.extend(self.favourites().into_iter().map(Some));
        for site in favoured {
            if best.is_some() && !effort.within(0.5) {
                break;
            }
            let Some(sites) = self.proposal(site, effort) else {
                continue;
            };
            let cost = self.cost(&sites, effort)?;
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, sites));
            }
        }
        let Some((mut cost, mut sites)) = best else {
            return Ok(None);
        };
        while effort.within(1.0) {
            let Some(better) = self.moved(cost, &sites, effort)? else {
                break;
            };
            (cost, sites) = better;
        }
        Ok(Some(sites))
    }

    fn eligible(&self, part: usize) -> Vec<usize> {
        let service = self.parts[part].service;
        (0..self.model.sites.len())
            .filter(|site| self.worths[*site][service].is_some())
            .collect()
    }

    /// Not more than what a part costs in a site by itself.
    fn alone(&self, part: usize, site: usize) -> i128 {
        let Part { service, count, .. } = self.parts[part];
        let worth = u128::from(self.worths[site][service].unwrap_or(0)) * count as u128;
        per_month(worth) + self.rates.alone(service, site, count as u64)
    }

    /// Sites that can take most, then where that is cheapest.
    fn favourites(&self) -> Vec<usize> {
        let judge = |site: usize| {
            let takes = |part: &usize| self.worths[site][self.parts[*part].service].is_some();
            let parts: Vec<usize> = (0..self.parts.len()).filter(takes).collect();
            let cost: i128 = parts.iter().map(|part| self.alone(*part, site)).sum();
            (std::cmp::Reverse(parts.len()), cost, site)
        };
        let mut judged: Vec<_> = (0..self.model.sites.len()).map(judge).collect();
        judged.sort_unstable();
        judged.into_iter().take(FAVOURED_MAX).map(|(.., site)| site).collect()
    }

    fn proposal(&self, favoured: Option<usize>, effort: &mut Effort<'_>) -> Option<Vec<usize>> {
        let states: Vec<Vec<usize>> = (0..self.parts.len()).map(|part| self.eligible(part)).collect();
        let cost = |part: usize, site: usize| {
            let elsewhere = favoured.is_some_and(|favoured| favoured != site);
            amount(self.alone(part, site) + if elsewhere { ELSEWHERE } else { 0 })
        };
        let unary = states.iter().enumerate();
        let unary = unary
            .map(|(part, sites)| sites.iter().map(|site| cost(part, *site)).collect())
            .collect();
        let pairs = self.pairs();
        let fill = |at: usize, table: &mut [i64]| {
            let (a, b) = pairs[at];
            let both = states[a]
                .iter()
                .flat_map(|from| states[b].iter().map(move |to| (*from, *to)));
            table
                .iter_mut()
                .zip(both)
                .for_each(|(entry, (x, y))| *entry = self.joint((a, x), (b, y)));
        };
        let sum = Sum::new(unary, pairs.clone(), &fill);
        let outcome = minsum::solve(&sum, &LIMITS, FORBIDDEN, effort).ok()?;
        let (_, chosen) = outcome.best?;
        Some(chosen.iter().zip(&states).map(|(state, sites)| sites[*state]).collect())
    }

    /// Pairs of parts between which traffic flows or a rule holds.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for a in 0..self.parts.len() {
            for b in a + 1..self.parts.len() {
                if self.are_joined(self.parts[a].service, self.parts[b].service) {
                    pairs.push((a, b));
                }
            }
        }
        pairs
    }

    fn are_joined(&self, a: usize, b: usize) -> bool {
        let names = |from: usize, to: usize| {
            let spec = &self.model.services[from];
            let sends =
                |need: &&crate::model::Need| need.from == from && matches!(need.to, Target::Service(t) if t == to);
            self.model.egress.needs().iter().any(|need| sends(&need))
                || spec.latency.iter().any(|(target, _)| *target == to)
                || spec.affinity.iter().any(|(target, _)| *target == to)
        };
        a == b || names(a, b) || names(b, a)
    }

    /// What two parts in two sites cost together, or that they may not be there.
    fn joint(&self, (a, x): (usize, usize), (b, y): (usize, usize)) -> i64 {
        let (one, other) = (self.parts[a], self.parts[b]);
        if one.service == other.service {
            let pieces = self.parts.iter().filter(|part| part.service == one.service).count();
            if keeps_apart(self.model, one.service, pieces, x, y) {
                return FORBIDDEN;
            }
        }
        if !self.is_near((one, x), (other, y)) || !self.is_near((other, y), (one, x)) {
            return FORBIDDEN;
        }
        amount(self.flow((one, x), (other, y)) + self.flow((other, y), (one, x)))
    }

    /// Whether the rules of one part allow the other's site; of a service in several parts any may be the near one.
    fn is_near(&self, (from, x): (Part, usize), (to, y): (Part, usize)) -> bool {
        let spec = &self.model.services[from.service];
        let whole = to.count == self.model.services[to.service].count;
        let trips = spec.latency.iter().map(|(to, max)| (*to, Near::RoundTrip(*max)));
        let shares = spec.affinity.iter().map(|(to, over)| (*to, Near::Shared(*over)));
        let mut rules = trips.chain(shares).filter(|(target, _)| *target == to.service && whole);
        rules.all(|(_, near)| near.allows(self.model, x, y))
    }

    fn flow(&self, (from, x): (Part, usize), (to, y): (Part, usize)) -> i128 {
        let needs = self
            .model
            .egress
            .needs()
            .iter()
            .filter(|need| need.from == from.service);
        let bytes = needs
            .filter(|need| matches!(need.to, Target::Service(t) if t == to.service))
            .map(|need| {
                let share = u128::from(need.bytes) * from.count as u128 / u128::from(need.senders.max(1));
                share * to.count as u128 / self.model.services[to.service].count.max(1) as u128
            });
        self.rates.between(x, y, bytes.sum())
    }

    /// What sites really cost: their machines by greedy rules, and the bill for traffic.
    fn cost(&mut self, sites: &[usize], effort: &mut Effort<'_>) -> Result<Cost, ManifestFleetError> {
        let (mut missing, mut nano) = (0, 0);
        for (site, load) in self.loads(sites) {
            let (without, price) = self.site_cost(site, load, effort)?;
            missing += without;
            nano += price;
        }
        let mut counts = vec![Vec::new(); self.model.services.len()];
        for (part, site) in self.parts.iter().zip(sites) {
            (0..part.count).for_each(|_| change_count(&mut counts[part.service], *site, true));
        }
        let traffic = self
            .model
            .egress
            .per_month(&counts, &self.model.sites, &self.model.regions)
            .0;
        Ok((missing, per_month(nano) + traffic))
    }

    /// Loads of each site in use; services that may not share machines are in different loads.
    pub(crate) fn loads(&self, sites: &[usize]) -> Vec<(usize, Load)> {
        let mut by_site: BTreeMap<usize, BTreeMap<usize, u64>> = BTreeMap::new();
        for (part, site) in self.parts.iter().zip(sites) {
            *by_site.entry(*site).or_default().entry(part.service).or_default() += part.count as u64;
        }
        let mut loads = Vec::new();
        for (site, services) in by_site {
            let mut colours: Vec<Load> = Vec::new();
            for (service, count) in services {
                let conflicts = &self.model.services[service].conflicts;
                let free = |load: &&mut Load| {
                    load.iter()
                        .all(|(other, _)| *other == service || conflicts.binary_search(other).is_err())
                };
                match colours.iter_mut().find(free) {
                    Some(load) => load.push((service, count)),
                    None => colours.push(vec![(service, count)]),
                }
            }
            loads.extend(colours.into_iter().map(|load| (site, load)));
        }
        loads
    }

    fn site_cost(
        &mut self,
        site: usize,
        load: Load,
        effort: &mut Effort<'_>,
    ) -> Result<(u64, u128), ManifestFleetError> {
        let key = (site, load);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let folding = self.fold(&key.0, &key.1)?;
        let bought = greedy::first(&folding.folded, effort, 1.0);
        let left_out: u64 = folding.left_out.iter().map(|entry| entry.copies).sum();
        let cost = (bought.missing() + left_out, bought.price(&folding.folded));
        self.known.insert(key, cost);
        Ok(cost)
    }

    pub(crate) fn fold(&self, site: &usize, load: &Load) -> Result<Fold, ManifestFleetError> {
        Ok(fold(&question(self.model, &self.options[*site], load, Partial::None))?)
    }

    /// The first move of one part to another site that is cheaper.
    fn moved(
        &mut self,
        cost: Cost,
        sites: &[usize],
        effort: &mut Effort<'_>,
    ) -> Result<Option<(Cost, Vec<usize>)>, ManifestFleetError> {
        for part in 0..self.parts.len() {
            let mut targets: Vec<(i128, usize)> = self
                .eligible(part)
                .into_iter()
                .map(|site| (self.alone(part, site), site))
                .collect();
            targets.sort_unstable();
            // Where others are already, a part may find room that is paid for.
            let used = sites
                .iter()
                .copied()
                .filter(|site| self.worths[*site][self.parts[part].service].is_some());
            let mut targets: Vec<usize> = targets
                .into_iter()
                .take(MOVES_MAX)
                .map(|(_, site)| site)
                .chain(used)
                .collect();
            targets.sort_unstable();
            targets.dedup();
            for site in targets.into_iter().filter(|site| *site != sites[part]) {
                if !effort.within(1.0) {
                    return Ok(None);
                }
                let mut trial = sites.to_vec();
                trial[part] = site;
                if self.is_allowed(&trial, part) {
                    let next = self.cost(&trial, effort)?;
                    if next < cost {
                        return Ok(Some((next, trial)));
                    }
                }
            }
        }
        Ok(None)
    }

    fn is_allowed(&self, sites: &[usize], part: usize) -> bool {
        let others = (0..self.parts.len()).filter(|other| *other != part);
        others.into_iter().all(|other| {
            !self.are_joined(self.parts[part].service, self.parts[other].service)
                || self.joint((part, sites[part]), (other, sites[other])) < FORBIDDEN
        })
    }
}

/// The machines of one load, as good as the effort allows.
pub(crate) fn machines(folding: &Fold, effort: &mut Effort<'_>) -> Bought {
    let start = greedy::first(&folding.folded, effort, 0.1);
    let start = greedy::polish(&folding.folded, start, effort, 0.3);
    if start.missing() > 0 {
        return start;
    }
    crate::fleet::solve::improve(&folding.folded, start, effort).0
}
