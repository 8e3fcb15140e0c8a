//! What no placement costs less than, machines and traffic together.
//!
//! Relaxed: each service may be divided over sites in any shares, a copy is worth in each site what `values` proves, and
//! each byte costs what `traffic` proves. Then the cost is linear in each service's shares while the others' stay, so
//! some least one puts every service into one site as a whole: a sum of small costs, whose minimum or bound is a bound
//! for every placement. A service's traffic to itself is left out: it costs at least nothing. Rules between services
//! count where the other service is a single replica, since then there is one site to be near.

use skyloom_core::SpreadOver;

use super::error::ManifestFleetError;
use super::parts::domain;
use super::site::{Partial, question};
use super::traffic::Rates;
use crate::effort::Effort;
use crate::fleet::fold::{Fold, fold};
use crate::fleet::problem::FleetProblem;
use crate::fleet::values::{bound, values};
use crate::fleet::{greedy, solve};
use crate::minsum::{self, FORBIDDEN, Limits, Model as Sum, Rows};
use crate::model::{Model, Target};
use crate::state::HOURS;

/// Pairs of an option and a service up to which all sites together are also bounded as one market.
const MARKET_PAIRS_MAX: usize = 4_000_000;

/// Markets whose values take effort; the others keep the quick ones.
const SHARPENED_MAX: u32 = 24;

/// Markets that a site is compared with.
const ZONES_LOOKED_AT: usize = 8;

/// What a copy of each service is worth in a site at least, in billionths of a dollar per hour; `None`: it fits nowhere.
pub(crate) type Worths = Vec<Vec<Option<u64>>>;

/// What a region sells to the services, in one of its zones or more that sell the same.
struct Market {
    problem: FleetProblem,
    sites: Vec<usize>,
    folding: Fold,
    /// By class.
    values: Vec<u64>,
}

impl Market {
    /// What all copies are worth together.
    fn total(&self) -> u128 {
        total(&self.folding, &self.values)
    }
}

fn total(folding: &Fold, values: &[u64]) -> u128 {
    let worth = folding.folded.classes.iter().zip(values);
    worth
        .map(|(class, value)| u128::from(class.count) * u128::from(*value))
        .sum()
}

/// Worth by site and service, for so many replicas of each, by quick values.
pub(crate) fn worths(model: &Model<'_>, placed: &[u64]) -> Result<Worths, ManifestFleetError> {
    Ok(by_site(model, placed, &markets(model, placed)?))
}

/// The same by values that take effort: markets that carry most come first, then the cheapest.
fn sharp_worths(model: &Model<'_>, placed: &[u64], effort: &mut Effort<'_>) -> Result<Worths, ManifestFleetError> {
    let mut markets = markets(model, placed)?;
    markets.sort_by_key(|market| (std::cmp::Reverse(market.folding.folded.classes.len()), market.total()));
    let sharpened = u32::try_from(markets.len()).unwrap_or(u32::MAX).min(SHARPENED_MAX);
    for (number, market) in (0..sharpened).zip(&mut markets) {
        let (from, to) = (
            f64::from(number) / f64::from(sharpened),
            f64::from(number + 1) / f64::from(sharpened),
        );
        effort.between(from, to, |effort| sharpen(market, effort));
    }
    Ok(by_site(model, placed, &markets))
}

/// Values are proven all together, so they are taken all or none.
fn sharpen(market: &mut Market, effort: &mut Effort<'_>) {
    let folded = &market.folding.folded;
    let start = greedy::first(folded, effort, 0.1);
    if folded.classes.is_empty() || start.missing() > 0 {
        return;
    }
    if let Some(values) = solve::values(folded, &start, effort)
        && total(&market.folding, &values) > market.total()
    {
        market.values = values;
    }
}

fn by_site(model: &Model<'_>, placed: &[u64], markets: &[Market]) -> Worths {
    let mut worths = vec![Vec::new(); model.sites.len()];
    for market in markets {
        let of_services = by_workload(&market.folding, placed.len(), &market.values);
        market.sites.iter().for_each(|site| worths[*site] = of_services.clone());
    }
    worths
}

fn markets(model: &Model<'_>, placed: &[u64]) -> Result<Vec<Market>, ManifestFleetError> {
    let wanted: Vec<(usize, u64)> = placed.iter().copied().enumerate().collect();
    let mut markets: Vec<Market> = Vec::new();
    for (site, options) in options_by_site(model).into_iter().enumerate() {
        let problem = question(model, &options, &wanted, Partial::Whole);
        // Zones of one region mostly sell the same, and sites are sorted by region.
        if let Some(same) = markets
            .iter_mut()
            .rev()
            .take(ZONES_LOOKED_AT)
            .find(|other| other.problem == problem)
        {
            same.sites.push(site);
            continue;
        }
        let folding = fold(&problem)?;
        markets.push(Market {
            values: values(&folding.folded),
            problem,
            sites: vec![site],
            folding,
        });
    }
    Ok(markets)
}

fn by_workload(folding: &Fold, workloads: usize, values: &[u64]) -> Vec<Option<u64>> {
    let mut of = vec![None; workloads];
    for (members, value) in folding.members.iter().zip(values) {
        members.iter().for_each(|workload| of[*workload] = Some(*value));
    }
    of
}

pub(crate) fn options_by_site(model: &Model<'_>) -> Vec<Vec<usize>> {
    let mut by_site = vec![Vec::new(); model.sites.len()];
    for (at, option) in model.options.iter().enumerate() {
        by_site[option.site].push(at);
    }
    by_site
}

/// The bound, in millionths of a dollar per month, for placements of exactly so many replicas of each service.
pub(crate) fn lower_bound(
    model: &Model<'_>,
    placed: &[u64],
    rates: &Rates<'_, '_>,
    effort: &mut Effort<'_>,
) -> Result<i128, ManifestFleetError> {
    let worths = effort.between(0.0, 0.5, |effort| sharp_worths(model, placed, effort))?;
    let joint = effort.between(0.5, 0.7, |effort| joint(model, placed, &worths, rates, effort));
    let whole = effort.between(0.7, 1.0, |effort| all_sites(model, placed, effort))?;
    Ok(joint.max(whole).max(0))
}

/// All sites as one market, traffic free.
fn all_sites(model: &Model<'_>, placed: &[u64], effort: &mut Effort<'_>) -> Result<i128, ManifestFleetError> {
    if model.options.len().saturating_mul(placed.len()) > MARKET_PAIRS_MAX {
        return Ok(0);
    }
    let options: Vec<usize> = (0..model.options.len()).collect();
    let wanted: Vec<(usize, u64)> = placed.iter().copied().enumerate().collect();
    let folding = fold(&question(model, &options, &wanted, Partial::Whole))?;
    let start = greedy::first(&folding.folded, effort, 0.1);
    if start.missing() > 0 || !folding.left_out.is_empty() {
        return Ok(0);
    }
    let proven = solve::values(&folding.folded, &start, effort).map_or(0, |values| total(&folding, &values));
    Ok(per_month(proven.max(bound(&folding.folded))))
}

/// Billionths per hour as millionths per month, rounded down.
pub(crate) fn per_month(nano_per_hour: u128) -> i128 {
    let month = nano_per_hour.saturating_mul(HOURS.unsigned_abs()) / 1000;
    i128::try_from(month).unwrap_or(i128::MAX)
}

fn joint(model: &Model<'_>, placed: &[u64], worths: &Worths, rates: &Rates<'_, '_>, effort: &mut Effort<'_>) -> i128 {
    let services: Vec<usize> = (0..placed.len()).filter(|service| placed[*service] > 0).collect();
    let sites: Vec<Vec<usize>> = services
        .iter()
        .map(|service| {
            (0..model.sites.len())
                .filter(|site| worths[*site][*service].is_some())
                .collect()
        })
        .collect();
    let unary = |(service, sites): (&usize, &Vec<usize>)| {
        let cost = |site: &usize| {
            let worth = u128::from(worths[*site][*service].unwrap_or(0));
            let machines = per_month(worth.saturating_mul(u128::from(placed[*service])));
            amount(machines.saturating_add(rates.alone(*service, *site, placed[*service])))
        };
        sites.iter().map(cost).collect::<Vec<i64>>()
    };
    let costs: Rows<i64> = services.iter().zip(&sites).map(unary).collect();
    let joints = joints(model, placed, &services);
    let pairs = joints.iter().map(|joint| joint.pair).collect();
    let fill = |at: usize, table: &mut [i64]| {
        let (a, b) = joints[at].pair;
        let states = sites[a]
            .iter()
            .flat_map(|from| sites[b].iter().map(move |to| (*from, *to)));
        table.iter_mut().zip(states).for_each(|(entry, (from, to))| {
            *entry = match &joints[at].what {
                What::Bytes(bytes) => amount(rates.between(from, to, *bytes)),
                What::Near(near) => {
                    if near.allows(model, from, to) {
                        0
                    } else {
                        FORBIDDEN
                    }
                }
            };
        });
    };
    let outcome = minsum::solve(&Sum::new(costs, pairs, &fill), &Limits::default(), FORBIDDEN, effort);
    let bound = outcome.map_or(0, |outcome| outcome.bound);
    if bound == FORBIDDEN {
        0
    } else {
        i128::from(bound) - rates.given()
    }
}

/// A cost as the sums have it; beyond what they hold it is cut, which keeps a bound a bound.
pub(crate) fn amount(micros: i128) -> i64 {
    i64::try_from(micros.clamp(0, i128::from(minsum::COST_MAX >> 12))).unwrap_or(0)
}

/// What joins two services.
struct Joint {
    pair: (usize, usize),
    what: What,
}

enum What {
    Bytes(u128),
    Near(Near),
}

/// How near a service must be to the only replica of another.
pub(crate) enum Near {
    RoundTrip(u64),
    Shared(SpreadOver),
}

impl Near {
    pub(crate) fn allows(&self, model: &Model<'_>, from: usize, to: usize) -> bool {
        match self {
            Self::RoundTrip(max) => {
                let trip = model.round_trip(model.sites[from].region, model.sites[to].region);
                trip.is_some_and(|trip| trip <= *max)
            }
            Self::Shared(over) => domain(model, *over, from) == domain(model, *over, to),
        }
    }
}

fn joints(model: &Model<'_>, placed: &[u64], services: &[usize]) -> Vec<Joint> {
    let at = |service: usize| services.binary_search(&service).ok();
    let mut joints = Vec::new();
    for need in model.egress.needs() {
        let Target::Service(to) = need.to else { continue };
        let Some(pair) = at(need.from).zip(at(to)).filter(|_| to != need.from) else {
            continue;
        };
        let bytes = u128::from(need.bytes) * u128::from(placed[need.from]) / u128::from(need.senders.max(1));
        joints.push(Joint {
            pair,
            what: What::Bytes(bytes),
        });
    }
    for (service, spec) in model.services.iter().enumerate() {
        let trips = spec.latency.iter().map(|(to, max)| (*to, Near::RoundTrip(*max)));
        let shares = spec.affinity.iter().map(|(to, over)| (*to, Near::Shared(*over)));
        for (to, near) in trips.chain(shares) {
            // Only when all replicas have a place do rules between them hold without exception.
            let whole = |service: usize| {
                model
                    .services
                    .get(service)
                    .is_some_and(|s| s.count as u64 == placed[service])
            };
            let single = model.services.get(to).is_some_and(|target| target.count == 1);
            if let Some(pair) = at(service)
                .zip(at(to))
                .filter(|_| single && to != service && whole(service) && whole(to))
            {
                joints.push(Joint {
                    pair,
                    what: What::Near(near),
                });
            }
        }
    }
    joints
}
