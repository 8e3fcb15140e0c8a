//! Every machine that a replica could be on: those that are there, and each offer per kind of purchase and zone.

use std::collections::BTreeMap;

use skyloom_core::{Node, Offer, OfferKey, Purchase, ZoneName};

use super::{Opt, Region, SiteRef, fnv1a, region_index};
use crate::problem::Problem;
use crate::quotas::Quota;

/// The sites, the options over them (machines that are there first), and how many of the options are there already.
pub(super) fn all<'a>(
    problem: &Problem<'a>,
    regions: &[Region<'a>],
    quotas: &[Quota],
) -> (Vec<SiteRef<'a>>, Vec<Opt<'a>>, usize) {
    let mut nodes: Vec<&Node> = problem.snapshot.nodes.iter().collect();
    nodes.sort_by_key(|n| &n.machine.id);
    let offers = purchasable(problem, regions);
    let mut sites: Vec<SiteRef<'a>> = nodes.iter().map(|n| node_site(n, regions)).collect();
    sites.extend(offers.iter().map(|(_, _, site)| *site));
    sites.sort_unstable();
    sites.dedup();
    let site_of = |site: &SiteRef<'a>| sites.binary_search(site).unwrap_or_default();
    let mut options: Vec<Opt<'a>> = Vec::with_capacity(nodes.len() + offers.len());
    for node in &nodes {
        let site = node_site(node, regions);
        options.push(node_option(
            node,
            site_of(&site),
            site.region,
            regions[site.region].cloud,
            options.len(),
        ));
    }
    let mut groups: BTreeMap<(&OfferKey, Purchase), usize> = BTreeMap::new();
    for (offer, purchase, site) in offers {
        let next = nodes.len() + groups.len();
        let group = *groups.entry((&offer.key, purchase)).or_insert(next);
        let Some(price) = offer.price(purchase) else { continue };
        let zone = site.zone.map_or("", ZoneName::as_str);
        options.push(Opt {
            node: None,
            offer: Some(offer),
            site: site_of(&site),
            region: site.region,
            cloud: regions[site.region].cloud,
            purchase,
            price: price.per_hour,
            capacity: offer.capacity,
            group,
            hash: fnv1a(format!("{} {purchase} {zone}", offer.key).as_bytes()),
            quotas: taken(quotas, offer, purchase),
        });
    }
    (sites, options, nodes.len())
}

/// Numbers of the quotas that buying an offer concerns, with what it takes of each.
fn taken(quotas: &[Quota], offer: &Offer, purchase: Purchase) -> Vec<(usize, u64)> {
    let taken = |(number, quota): (usize, &Quota)| Some((number, quota.taken_by_offer(offer, purchase)?));
    quotas.iter().enumerate().filter_map(taken).collect()
}

/// Offers sorted by key, of equal keys the cheaper first and only; each per purchase and zone.
fn purchasable<'a>(problem: &Problem<'a>, regions: &[Region<'a>]) -> Vec<(&'a Offer, Purchase, SiteRef<'a>)> {
    let price = |offer: &Offer, purchase| offer.price(purchase).map(|p| p.per_hour);
    let mut best: BTreeMap<(&OfferKey, Purchase), &Offer> = BTreeMap::new();
    for offer in problem.catalogue.offers() {
        for purchase in [Purchase::OnDemand, Purchase::Spot] {
            if price(offer, purchase).is_none() {
                continue;
            }
            let slot = best.entry((&offer.key, purchase)).or_insert(offer);
            let rank = |o: &Offer| {
                (
                    price(o, purchase),
                    o.capacity.cpu,
                    o.capacity.memory,
                    o.capacity.disk,
                    o.capacity.gpu,
                )
            };
            if rank(offer) < rank(slot) {
                *slot = offer;
            }
        }
    }
    let mut all = Vec::new();
    for ((key, purchase), offer) in best {
        let Some(region) = region_index(regions, &key.region) else {
            continue;
        };
        let zones: &[ZoneName] = regions[region].info.map_or(&[], |info| &info.zones);
        match (&key.zone, zones) {
            (Some(zone), _) => all.push((
                offer,
                purchase,
                SiteRef {
                    region,
                    zone: Some(zone),
                },
            )),
            (None, []) => all.push((offer, purchase, SiteRef { region, zone: None })),
            (None, zones) => {
                all.extend(zones.iter().map(|zone| {
                    (
                        offer,
                        purchase,
                        SiteRef {
                            region,
                            zone: Some(zone),
                        },
                    )
                }));
            }
        }
    }
    all
}

fn node_site<'a>(node: &'a Node, regions: &[Region<'a>]) -> SiteRef<'a> {
    let site = &node.machine.site;
    SiteRef {
        region: region_index(regions, &site.region).unwrap_or_default(),
        zone: site.zone.as_ref(),
    }
}

fn node_option<'a>(node: &'a Node, site: usize, region: usize, cloud: usize, group: usize) -> Opt<'a> {
    Opt {
        node: Some(node),
        offer: None,
        site,
        region,
        cloud,
        purchase: node.machine.purchase,
        price: node.machine.price,
        capacity: node.machine.capacity,
        group,
        hash: fnv1a(node.machine.id.as_str().as_bytes()),
        quotas: Vec::new(),
    }
}
