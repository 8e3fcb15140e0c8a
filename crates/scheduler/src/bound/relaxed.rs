//! The problem without its rules between machines: demands, and the kinds of machines that could hold them.
//!
//! Everything left out makes the least cost lower or leaves it, so that a bound of this is a bound of the whole. What
//! is kept: room in every dimension (GPU devices by their sum), every rule of a replica about its machine, how many of
//! a service may share one, what must not be together, and the traffic that costs something wherever it starts.

use std::collections::BTreeMap;

use skyloom_core::{Dimension, Resources, SpreadOver};

use crate::model::Model;
use crate::state::{HOURS, State};

/// Kinds of machines that are there, at most; beyond it similar ones are taken together, the best of each respect.
const THERE_MAX: usize = 64;

/// Replicas of one or several services that are the same to every machine.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    /// The services that it stands for.
    pub(super) services: Vec<usize>,
    pub(super) request: [u64; 4],
    /// Replicas.
    pub(super) count: u64,
    /// Most of them on one machine.
    pub(super) most_together: u64,
    /// Other demands that may not be on a machine with it.
    pub(super) apart: Vec<usize>,
}

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    capacity: [u64; 4],
    open: Vec<bool>,
    extra: Vec<i128>,
}

/// A kind of machine, with its price.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) capacity: [u64; 4],
    /// Whether each demand may be on it.
    pub(super) open: Vec<bool>,
    /// What the traffic of each demand's replicas costs there at least, in millionths of a dollar per month.
    pub(super) extra: Vec<f64>,
    /// Millionths of a dollar per month.
    pub(super) price: i128,
    /// How many there are; `None`: as many as are bought.
    pub(super) times: Option<u64>,
    /// Options of the model that are of this kind at this price.
    pub(super) options: Vec<usize>,
}

/// The problem as far as the bound sees it.
#[derive(Debug)]
pub(super) struct Relaxed {
    pub(super) demands: Vec<Demand>,
    /// What can be bought, then what is there.
    pub(super) shapes: Vec<Shape>,
    /// What is paid whatever the rest does.
    pub(super) paid: i128,
}

impl Relaxed {
    /// Of the replicas of `todo` (sorted), which are to be anywhere; `pinned` ones stay where `state` has them.
    /// Of each of `anchors`, a service with one replica, it is supposed that it is in that region.
    pub(super) fn of(
        model: &Model<'_>,
        state: &State,
        todo: &[usize],
        pinned: &[bool],
        anchors: &[(usize, usize)],
    ) -> Self {
        let places = Places::of(model, anchors);
        let (demands, members) = demands(model, state, todo, anchors);
        let view = View {
            model,
            members: &members,
            places: &places,
        };
        let mut shapes = view.for_sale();
        shapes.extend(view.there(state, pinned));
        let stays = |slot: &usize| state.slots[*slot].residents.iter().any(|r| pinned[*r]);
        let machines: i128 = (0..model.node_count).filter(stays).map(|slot| price(model, slot)).sum();
        let traffic: i128 = (0..pinned.len())
            .filter(|r| pinned[*r])
            .filter_map(|r| Some(places.extra[model.service_of[r]][region_of(model, state, r)?]))
            .sum();
        // Each sum that is billed, one per region and direction, may be rounded down by half a millionth.
        let sums = |s: usize| model.services[s].count * model.egress.directions(s);
        let rounding = (0..model.services.len()).map(sums).fold(0usize, usize::saturating_add) as i128;
        Self {
            demands,
            shapes,
            paid: machines + traffic - rounding,
        }
    }
}

fn price(model: &Model<'_>, option: usize) -> i128 {
    i128::from(model.options[option].price.as_micros()) * HOURS
}

fn region_of(model: &Model<'_>, state: &State, replica: usize) -> Option<usize> {
    Some(model.options[state.slots[state.at[replica]?].option].region)
}

/// Per service and region: what traffic costs there at least per replica, and whether an anchor lets it be there.
struct Places {
    extra: Vec<Vec<i128>>,
    open: Vec<Vec<bool>>,
}

impl Places {
    fn of(model: &Model<'_>, anchors: &[(usize, usize)]) -> Self {
        let regions = 0..model.regions.len();
        let services = 0..model.services.len();
        let extra = |s: usize, r: usize| {
            let replicas = i128::try_from(model.services[s].count).unwrap_or(i128::MAX);
            let exchanged = |(anchor, place): &(usize, usize)| {
                let egress = &model.egress;
                let sent = egress.between((s, *anchor), (r, *place), &model.regions);
                (sent + egress.between((*anchor, s), (*place, r), &model.regions)) / replicas
            };
            let others = anchors.iter().filter(|(anchor, _)| *anchor != s);
            model.egress.at_least(s, r, &model.regions) + others.map(exchanged).sum::<i128>()
        };
        let open = |s: usize, r: usize| anchors.iter().all(|anchor| may_be(model, s, r, *anchor));
        Self {
            extra: services
                .clone()
                .map(|s| regions.clone().map(|r| extra(s, r)).collect())
                .collect(),
            open: services
                .map(|s| regions.clone().map(|r| open(s, r)).collect())
                .collect(),
        }
    }
}

/// Whether a service may be in a region while an anchor is at its place.
fn may_be(model: &Model<'_>, service: usize, region: usize, (anchor, place): (usize, usize)) -> bool {
    if service == anchor {
        return region == place;
    }
    let spec = &model.services[service];
    let near = |max: u64| model.round_trip(region, place).is_some_and(|t| t <= max);
    let shared = |over: SpreadOver| match over {
        SpreadOver::Cloud => model.regions[region].cloud == model.regions[place].cloud,
        SpreadOver::Machine | SpreadOver::Zone | SpreadOver::Region => region == place,
    };
    let limits = spec.latency.iter().filter(|(to, _)| *to == anchor);
    let affinities = spec.affinity.iter().filter(|(to, _)| *to == anchor);
    limits.into_iter().all(|(_, max)| near(*max)) && affinities.into_iter().all(|(_, over)| shared(*over))
}

fn amounts(resources: &Resources) -> [u64; 4] {
    Dimension::ALL.map(|d| resources.get(d))
}

/// The demands, and the service that stands for each. Services that no rule and no machine tells apart are one.
fn demands(model: &Model<'_>, state: &State, todo: &[usize], anchors: &[(usize, usize)]) -> (Vec<Demand>, Vec<usize>) {
    let mut demands: Vec<Demand> = Vec::new();
    let mut members: Vec<usize> = Vec::new();
    for (service, spec) in model.services.iter().enumerate() {
        let first = todo.partition_point(|r| *r < spec.first);
        let own = &todo[first..todo.partition_point(|r| *r < spec.first + spec.count)];
        let count = own.len() as u64;
        if count == 0 {
            continue;
        }
        let stay = state
            .placed_of(model, service)
            .filter(|(r, _)| own.binary_search(r).is_err());
        let together = most_together(model, service, count + stay.count() as u64);
        let alike = |at: &usize| {
            let other = &model.services[members[*at]];
            let tied = |s: &crate::model::Service<'_>| {
                let limits = s
                    .latency
                    .iter()
                    .map(|(to, _)| to)
                    .chain(s.affinity.iter().map(|(to, _)| to));
                anchors.iter().any(|(anchor, _)| limits.clone().any(|to| to == anchor))
            };
            let plain = spec.conflicts.is_empty() && other.conflicts.is_empty() && !tied(spec) && !tied(other);
            let unlimited = together.is_none() && demands[*at].most_together == demands[*at].count;
            let same = other.spec.resources == spec.spec.resources
                && !model.egress.concerns(service)
                && !model.egress.concerns(members[*at]);
            let open = |(a, b): (&Option<_>, &Option<_>)| a.is_none() == b.is_none();
            plain && unlimited && same && other.statics.iter().zip(&spec.statics).all(open)
        };
        match (0..members.len()).find(alike) {
            Some(at) => {
                demands[at].services.push(service);
                demands[at].count += count;
                demands[at].most_together += count;
            }
            None => {
                demands.push(Demand {
                    services: vec![service],
                    request: amounts(&spec.spec.resources),
                    count,
                    most_together: together.unwrap_or(count).min(count),
                    apart: Vec::new(),
                });
                members.push(service);
            }
        }
    }
    for (demand, service) in demands.iter_mut().zip(&members) {
        let conflicts = &model.services[*service].conflicts;
        let others = members.iter().enumerate().filter(|(_, s)| *s != service);
        demand.apart = others
            .filter(|(_, s)| conflicts.binary_search(s).is_ok())
            .map(|(at, _)| at)
            .collect();
    }
    (demands, members)
}

/// Most replicas of a service on one machine that is bought, by its rules; `None`: no rule says.
///
/// A spread with a skew of `s` over `d` domains lets one hold `m` only if every other holds at least `m - s` of the `n`
/// replicas: `m + (d - 1)(m - s) <= n`. Rules towards other services change which domains count; then nothing is said.
fn most_together(model: &Model<'_>, service: usize, placed: u64) -> Option<u64> {
    let spec = &model.services[service];
    let alone = spec.conflicts.binary_search(&service).is_ok().then_some(1);
    let free = spec.latency.is_empty() && spec.affinity.is_empty();
    let by_rule = spec.spec.spread.iter().filter_map(|rule| {
        let skew = u64::from(rule.max_skew.get());
        let mut domains: Vec<usize> = match rule.over {
            // A machine that could be bought is an empty domain, always.
            SpreadOver::Machine => return (free && !spec.buyable.is_empty()).then_some(skew),
            SpreadOver::Zone => spec.eligible.iter().map(|(site, _)| *site).collect(),
            SpreadOver::Region => spec
                .eligible
                .iter()
                .map(|(site, _)| model.sites[*site].region)
                .collect(),
            SpreadOver::Cloud => {
                let cloud = |site: usize| model.regions[model.sites[site].region].cloud;
                spec.eligible.iter().map(|(site, _)| cloud(*site)).collect()
            }
        };
        domains.sort_unstable();
        domains.dedup();
        let domains = domains.len() as u64;
        (free && domains > 1).then(|| ((placed + (domains - 1) * skew) / domains).max(1))
    });
    by_rule.chain(alone).min()
}

/// The model as the demands see it.
struct View<'v, 'm> {
    model: &'v Model<'m>,
    /// The service that stands for each demand.
    members: &'v [usize],
    places: &'v Places,
}

impl View<'_, '_> {
    /// What can be bought, each kind at its least price.
    fn for_sale(&self) -> Vec<Shape> {
        let (model, members) = (self.model, self.members);
        let mut options: Vec<usize> = members
            .iter()
            .flat_map(|s| model.services[*s].buyable.iter().copied())
            .collect();
        options.sort_unstable();
        options.dedup();
        let mut kinds: BTreeMap<Kind, (i128, Vec<usize>)> = BTreeMap::new();
        for option in options {
            let asked = price(model, option);
            let (least, of) = kinds.entry(self.kind(option)).or_insert((asked, Vec::new()));
            if asked < *least {
                (*least, *of) = (asked, Vec::new());
            }
            if asked == *least {
                of.push(option);
            }
        }
        let kinds = kinds.into_iter();
        kinds
            .map(|(kind, (price, options))| shape(kind, price, None, options))
            .collect()
    }

    fn kind(&self, option: usize) -> Kind {
        let (model, region) = (self.model, self.model.options[option].region);
        let open = |s: &usize| model.services[*s].statics[option].is_none() && self.places.open[*s][region];
        Kind {
            capacity: amounts(&model.options[option].capacity),
            open: self.members.iter().map(open).collect(),
            extra: self.members.iter().map(|s| self.places.extra[*s][region]).collect(),
        }
    }

    /// Machines that are there, with the room that those leave that stay on them.
    fn there(&self, state: &State, pinned: &[bool]) -> Vec<Shape> {
        let (model, members) = (self.model, self.members);
        let mut kinds: BTreeMap<(Kind, i128), Vec<usize>> = BTreeMap::new();
        for slot in 0..model.node_count {
            let here = &state.slots[slot];
            let stays: Vec<usize> = here.residents.iter().copied().filter(|r| pinned[*r]).collect();
            let mut taken = amounts(&here.used);
            for moved in here.residents.iter().filter(|r| !pinned[**r]) {
                let request = amounts(model.request(model.service_of[*moved]));
                taken
                    .iter_mut()
                    .zip(request)
                    .for_each(|(taken, part)| *taken = taken.saturating_sub(part));
            }
            let mut kind = self.kind(slot);
            kind.capacity
                .iter_mut()
                .zip(taken)
                .for_each(|(free, taken)| *free = free.saturating_sub(taken));
            let services = stays
                .iter()
                .map(|r| model.service_of[*r])
                .chain(here.foreign.iter().copied());
            let services: Vec<usize> = services.collect();
            for (open, member) in kind.open.iter_mut().zip(members) {
                let conflicts = &model.services[*member].conflicts;
                *open &= services.iter().all(|s| conflicts.binary_search(s).is_err());
            }
            if kind.open.contains(&true) {
                let price = if stays.is_empty() { price(model, slot) } else { 0 };
                kinds.entry((kind, price)).or_default().push(slot);
            }
        }
        together(kinds.into_iter().collect())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "amounts of money of one machine's traffic, far below 2^53 or else merely a weaker bound by rounding"
)]
fn shape(kind: Kind, price: i128, times: Option<u64>, options: Vec<usize>) -> Shape {
    Shape {
        capacity: kind.capacity,
        open: kind.open,
        extra: kind.extra.into_iter().map(|cost| cost as f64).collect(),
        price,
        times,
        options,
    }
}

/// Takes neighbours of a too long list together: the most room, the least price, open to all that either is open to.
fn together(kinds: Vec<((Kind, i128), Vec<usize>)>) -> Vec<Shape> {
    let size = kinds.len().div_ceil(THERE_MAX).max(1);
    let merged = kinds.chunks(size).filter_map(|group| {
        let (((mut kind, mut price), mut slots), rest) =
            group.split_first().map(|(first, rest)| (first.clone(), rest))?;
        for ((other, other_price), more) in rest {
            kind.capacity
                .iter_mut()
                .zip(&other.capacity)
                .for_each(|(a, b)| *a = (*a).max(*b));
            kind.open.iter_mut().zip(&other.open).for_each(|(a, b)| *a |= *b);
            kind.extra
                .iter_mut()
                .zip(&other.extra)
                .for_each(|(a, b)| *a = (*a).min(*b));
            price = price.min(*other_price);
            slots.extend(more);
        }
        Some(shape(kind, price, Some(slots.len() as u64), slots))
    });
    merged.collect()
}
