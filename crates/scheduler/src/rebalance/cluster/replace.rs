//! Buying cheaper machines: the workloads of one node, or of several, go to a new one that costs less.

use super::describe::Offer;
use super::drain::{Asset, Consolidation};
use super::plan::over_horizon;
use super::settings::Settings;
use crate::rebalance::engine::Hop;

/// Nodes that are considered for going together into one machine.
const MERGED_MAX: usize = 256;

/// An offer and the nodes whose workloads would go to it.
struct Trade<'a> {
    offer: &'a Offer,
    nodes: Vec<usize>,
    net: f64,
}

/// Buys and gives back as long as it is worth it; the best trade first.
pub(super) fn round<'a>(now: &mut Consolidation<'a>, settings: &Settings, offers: &'a [Offer]) {
    let mut offers: Vec<&Offer> = offers.iter().collect();
    offers.sort_by(|a, b| a.price.cmp(&b.price).then_with(|| a.id.cmp(&b.id)));
    let mut singles: Vec<Trade<'a>> = (0..now.assets.len())
        .filter_map(|n| single(now, settings, &offers, n))
        .collect();
    singles.sort_by(|a, b| b.net.total_cmp(&a.net));
    for trade in singles {
        make(now, settings, &trade);
    }
    loop {
        let mut trades: Vec<Trade<'a>> = offers.iter().filter_map(|o| merged(now, settings, o)).collect();
        trades.sort_by(|a, b| b.net.total_cmp(&a.net));
        if !trades.into_iter().any(|trade| make(now, settings, &trade)) {
            return;
        }
    }
}

/// Whether a node may be given back with all that is on it.
fn may_go(now: &Consolidation<'_>, node: usize) -> bool {
    let asset = now.assets[node];
    let residents = &now.board.residents[node];
    asset.may_go && !asset.gone && !residents.is_empty() && residents.iter().all(|w| now.board.movable[*w])
}

/// What a node's workloads ask for.
fn asked(now: &Consolidation<'_>, node: usize) -> Vec<u64> {
    let mut sum = vec![0u64; now.board.rules.dims()];
    for workload in &now.board.residents[node] {
        for (sum, asks) in sum.iter_mut().zip(now.board.rules.request(*workload)) {
            *sum = sum.saturating_add(*asks);
        }
    }
    sum
}

fn holds(offer: &Offer, asked: &[u64]) -> bool {
    offer.capacity.iter().zip(asked).all(|(has, asks)| has >= asks)
}

/// The cheapest offer that holds what is on one node, if that is worth it.
fn single<'a>(now: &Consolidation<'a>, settings: &Settings, offers: &[&'a Offer], node: usize) -> Option<Trade<'a>> {
    if !may_go(now, node) {
        return None;
    }
    let asked = asked(now, node);
    let offer = offers.iter().find(|o| holds(o, &asked))?;
    let saving = now.assets[node].saving - over_horizon(settings, offer.price);
    let net = saving - now.terms.threshold * now.cost_of(node);
    (saving >= 1.0 && net >= 0.0).then(|| Trade {
        offer,
        nodes: vec![node],
        net,
    })
}

/// Nodes that together fit into one machine of an offer, those first that save most for the room they take.
fn merged<'a>(now: &Consolidation<'a>, settings: &Settings, offer: &'a Offer) -> Option<Trade<'a>> {
    let net = |node: usize| now.assets[node].saving - now.terms.threshold * now.cost_of(node);
    let share = |asked: &[u64]| {
        let shares = asked.iter().zip(&offer.capacity);
        shares
            .map(|(a, c)| crate::formulas::wide(*a) / crate::formulas::wide((*c).max(1)))
            .fold(1e-9, f64::max)
    };
    let mut nodes: Vec<(f64, usize, Vec<u64>)> = Vec::new();
    for node in (0..now.assets.len()).filter(|n| may_go(now, *n) && net(*n) > 0.0) {
        let asked = asked(now, node);
        if holds(offer, &asked) {
            nodes.push((net(node) / share(&asked), node, asked));
        }
    }
    nodes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    nodes.truncate(MERGED_MAX);
    let price = over_horizon(settings, offer.price);
    let mut trade = Trade {
        offer,
        nodes: Vec::new(),
        net: -price,
    };
    let mut sum = vec![0u64; offer.capacity.len()];
    for (_, node, asked) in nodes {
        let next: Vec<u64> = sum.iter().zip(&asked).map(|(a, b)| a.saturating_add(*b)).collect();
        if holds(offer, &next) {
            trade.net += net(node);
            trade.nodes.push(node);
            sum = next;
        }
    }
    (trade.nodes.len() > 1 && trade.net >= 1.0).then_some(trade)
}

/// Buys, moves and gives back; nothing is changed when a rule forbids a move or moves do not suffice.
fn make<'a>(now: &mut Consolidation<'a>, settings: &Settings, trade: &Trade<'a>) -> bool {
    if trade.nodes.iter().any(|n| now.assets[*n].gone) {
        return false;
    }
    let new = machine(now, settings, trade.offer);
    for node in &trade.nodes {
        now.board.rules.set_ready(*node, false);
    }
    now.board.rules.set_ready(new, true);
    let mut hops: Vec<Hop> = Vec::new();
    let fits = now.largest_first(&trade.nodes).into_iter().all(|workload| {
        let free = now.board.forbidden(workload, new, &now.terms).is_none();
        if free {
            hops.push(now.board.shift(workload, new));
        }
        free
    });
    let too_many = fits && hops.len() > now.left();
    now.more |= too_many;
    if fits && !too_many {
        trade.nodes.iter().for_each(|n| now.assets[*n].gone = true);
        now.assets[new].gone = false;
        now.hops.extend(hops);
        return true;
    }
    for hop in hops.iter().rev() {
        now.board.shift(hop.workload, hop.from);
    }
    for node in &trade.nodes {
        now.board.rules.set_ready(*node, now.assets[*node].ready);
    }
    now.board.rules.set_ready(new, false);
    false
}

/// A machine of an offer that is no part of the fleet yet: one that was tried in vain, or a new one.
fn machine<'a>(now: &mut Consolidation<'a>, settings: &Settings, offer: &'a Offer) -> usize {
    let first = now.assets.len() - now.added.len();
    let spare = now
        .added
        .iter()
        .zip(first..)
        .find(|(o, n)| o.id == offer.id && now.is_spare(*n));
    if let Some((_, node)) = spare {
        return node;
    }
    now.board.rules.add_node(offer);
    now.board.add_node(&offer.capacity);
    now.added.push(offer);
    now.assets.push(Asset {
        saving: over_horizon(settings, offer.price),
        drain_cost: 0.0,
        may_go: true,
        gone: true,
        ready: true,
    });
    now.assets.len() - 1
}
