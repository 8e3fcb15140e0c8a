//! A world of one's own, changed by what is supposed; the caller's is never touched.

use std::collections::BTreeSet;

use skyloom_core::catalogue::{CatalogueParts, Price};
use skyloom_core::{
    Budget, Bytes, Catalogue, CloudId, DataName, Digest, Dimension, Manifest, MicroUsd, MicroUsdPerHour, Millicores,
    Milligpus, Node, ObservedReplica, Offer, Placement, Purchase, RegionKey, ReplicaState, ResourceId, Resources,
    ServiceName, ServiceSpec, Snapshot,
};

use super::WhatIfError;
use super::change::{Change, GrowthOf, Outage, PriceChange, Rule, Selector};
use crate::problem::{PlaceConfig, Problem};

/// Everything that a decision is made from, owned.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) manifest: Manifest,
    pub(super) snapshot: Snapshot,
    pub(super) catalogue: Catalogue,
    pub(super) config: PlaceConfig,
    /// Copies of data sets that are gone.
    pub(super) lost_copies: Vec<(DataName, RegionKey)>,
}

impl World {
    pub(super) fn of(problem: &Problem<'_>, config: &PlaceConfig) -> Self {
        Self {
            manifest: problem.manifest.clone(),
            snapshot: problem.snapshot.clone(),
            catalogue: problem.catalogue.clone(),
            config: config.clone(),
            lost_copies: Vec::new(),
        }
    }

    pub(super) const fn problem(&self) -> Problem<'_> {
        Problem {
            manifest: &self.manifest,
            snapshot: &self.snapshot,
            catalogue: &self.catalogue,
        }
    }

    /// As if a placement had been carried out: its machines are there and its replicas run.
    pub(super) fn carry_out(&mut self, placement: &Placement) -> Result<(), WhatIfError> {
        let snapshot = &mut self.snapshot;
        snapshot.generation = snapshot.generation.saturating_add(1);
        for machine in &placement.machines {
            if snapshot.node(&machine.id).is_none() {
                snapshot.nodes.push(Node {
                    resource: ResourceId::new(format!("supposed-{}", machine.id))?,
                    machine: machine.clone(),
                    labels: std::collections::BTreeMap::new(),
                    taints: Vec::new(),
                    ready: true,
                    utilisation: None,
                });
            }
        }
        snapshot.nodes.sort_by(|a, b| a.machine.id.cmp(&b.machine.id));
        let wanted = |replica: &ObservedReplica| {
            let service = self.manifest.service(replica.replica.service());
            service.is_some_and(|s| replica.replica.index() < s.replicas.get())
        };
        snapshot.replicas.retain(|replica| !wanted(replica));
        for assignment in &placement.assignments {
            snapshot.replicas.push(ObservedReplica {
                replica: assignment.replica.clone(),
                machine: assignment.machine.clone(),
                resource: ResourceId::new(format!("supposed-{}", assignment.replica))?,
                request: assignment.request,
                spec: Digest::of_bytes(b"supposed"),
                state: ReplicaState::Healthy,
            });
        }
        snapshot
            .replicas
            .sort_by(|a, b| (&a.replica, &a.machine).cmp(&(&b.replica, &b.machine)));
        Ok(())
    }

    /// Supposes one change.
    pub(super) fn suppose(&mut self, change: &Change) -> Result<(), WhatIfError> {
        match change {
            Change::Price { offers, to } => self.price(change, offers, *to),
            Change::EgressPrice { cloud, factor } => self.egress_price(change, cloud.as_ref(), *factor),
            Change::Outage(outage) => self.outage(change, outage),
            Change::Growth { service, of, factor } => self.growth(change, service.as_ref(), *of, *factor),
            Change::Rule(rule) => self.rule(change, rule),
            Change::RemoveOffers(offers) => self.remove(change, offers),
            Change::AddOffers(offers) => {
                let mut parts = self.catalogue.clone().into_parts();
                let keys: BTreeSet<_> = offers.iter().map(|offer| &offer.key).collect();
                parts.offers.retain(|offer| !keys.contains(&offer.key));
                parts.offers.extend(offers.iter().cloned());
                self.rebuild(change, parts)
            }
        }
    }

    fn rebuild(&mut self, change: &Change, parts: CatalogueParts) -> Result<(), WhatIfError> {
        self.catalogue = Catalogue::new(parts).map_err(|source| WhatIfError::Catalogue {
            change: change.to_string(),
            source: Box::new(source),
        })?;
        Ok(())
    }

    fn price(&mut self, change: &Change, offers: &Selector, to: PriceChange) -> Result<(), WhatIfError> {
        let ppm = match to {
            PriceChange::Factor(factor) => Some(millionths(change, factor)?),
            PriceChange::PerHour(_) => None,
        };
        let changed = |price: MicroUsdPerHour| match (to, ppm) {
            (PriceChange::PerHour(price), _) => Ok(price),
            (PriceChange::Factor(_), ppm) => times(price.as_micros(), ppm.unwrap_or(1_000_000))
                .map(MicroUsdPerHour::from_micros)
                .ok_or_else(|| WhatIfError::Beyond {
                    change: change.to_string(),
                }),
        };
        let mut parts = self.catalogue.clone().into_parts();
        let mut any = false;
        for price in selected(&mut parts.offers, offers) {
            any = true;
            if let Some(price) = price {
                price.per_hour = changed(price.per_hour)?;
            }
        }
        for node in &mut self.snapshot.nodes {
            let machine = &mut node.machine;
            if offers.covers(&machine.site.region, &machine.instance, machine.purchase) {
                machine.price = changed(machine.price)?;
                any = true;
            }
        }
        known(any, change)?;
        self.rebuild(change, parts)
    }

    fn egress_price(&mut self, change: &Change, cloud: Option<&CloudId>, factor: f64) -> Result<(), WhatIfError> {
        let ppm = millionths(change, factor)?;
        let mut parts = self.catalogue.clone().into_parts();
        let mut any = false;
        for rule in parts
            .egress
            .iter_mut()
            .filter(|rule| cloud.is_none_or(|only| *only == rule.from))
        {
            any = true;
            for tier in &mut rule.tiers {
                let price = times(tier.per_gib.as_micros(), ppm);
                let price = price.ok_or_else(|| WhatIfError::Beyond {
                    change: change.to_string(),
                })?;
                tier.per_gib = MicroUsd::from_micros(price);
            }
        }
        known(any, change)?;
        self.rebuild(change, parts)
    }

    fn remove(&mut self, change: &Change, offers: &Selector) -> Result<(), WhatIfError> {
        let mut parts = self.catalogue.clone().into_parts();
        let mut any = false;
        for price in selected(&mut parts.offers, offers) {
            (*price, any) = (None, true);
        }
        known(any, change)?;
        parts
            .offers
            .retain(|offer| offer.on_demand.is_some() || offer.spot.is_some());
        self.rebuild(change, parts)
    }

    fn outage(&mut self, change: &Change, outage: &Outage) -> Result<(), WhatIfError> {
        let mut parts = self.catalogue.clone().into_parts();
        let zone = outage.zone.as_ref();
        let mut any = false;
        let mut without_zones: BTreeSet<RegionKey> = BTreeSet::new();
        for region in parts.regions.iter_mut().filter(|region| outage.touches(&region.key)) {
            match zone {
                None => any = true,
                Some(zone) if region.zones.contains(zone) => {
                    any = true;
                    region.zones.retain(|known| known != zone);
                    if region.zones.is_empty() {
                        without_zones.insert(region.key.clone());
                    }
                }
                Some(_) => {}
            }
        }
        let gone = |region: &RegionKey, of: Option<&skyloom_core::ZoneName>| {
            outage.touches(region) && (zone.is_none() || of == zone)
        };
        let nodes = self.snapshot.nodes.len();
        self.snapshot
            .nodes
            .retain(|node| !gone(&node.machine.site.region, node.machine.site.zone.as_ref()));
        any |= self.snapshot.nodes.len() < nodes;
        known(any, change)?;
        let left: BTreeSet<_> = self.snapshot.nodes.iter().map(|n| n.machine.id.clone()).collect();
        self.snapshot.replicas.retain(|replica| left.contains(&replica.machine));
        parts.offers.retain(|offer| {
            let key = &offer.key;
            !gone(&key.region, key.zone.as_ref()) && !without_zones.contains(&key.region)
        });
        if zone.is_none() {
            for data in &mut self.manifest.data {
                let (lost, kept) = data.replicas.drain(..).partition(|copy| outage.touches(&copy.region));
                data.replicas = kept;
                let lost: Vec<skyloom_core::DataReplica> = lost;
                self.lost_copies
                    .extend(lost.into_iter().map(|copy| (data.name.clone(), copy.region)));
            }
        }
        self.rebuild(change, parts)
    }

    fn growth(
        &mut self,
        change: &Change,
        of: Option<&ServiceName>,
        what: GrowthOf,
        factor: f64,
    ) -> Result<(), WhatIfError> {
        let ppm = millionths(change, factor)?;
        let beyond = || WhatIfError::Beyond {
            change: change.to_string(),
        };
        let mut any = false;
        for service in concerned(&mut self.manifest.services, of) {
            any = true;
            match what {
                GrowthOf::Replicas => {
                    let replicas = grown(u64::from(service.replicas.get()), ppm).and_then(|n| u32::try_from(n).ok());
                    let replicas = replicas.and_then(std::num::NonZeroU32::new);
                    service.replicas = replicas.ok_or_else(beyond)?;
                }
                GrowthOf::Resources => {
                    service.resources = grown_resources(&service.resources, ppm).ok_or_else(beyond)?
                }
                GrowthOf::Traffic => {
                    for need in &mut service.egress {
                        let bytes = grown(need.per_month.as_bytes(), ppm).ok_or_else(beyond)?;
                        need.per_month = Bytes::from_bytes(bytes);
                    }
                }
            }
        }
        known(any, change)
    }

    fn rule(&mut self, change: &Change, rule: &Rule) -> Result<(), WhatIfError> {
        match rule {
            Rule::Residency(residency) => self.manifest.residency = residency.clone(),
            Rule::Budget(budget) => self.manifest.budget = budget.map(|per_month| Budget { per_month, at: None }),
            Rule::ForbidCloud(cloud) => return self.forbid(change, &|region| region.cloud == *cloud),
            Rule::ForbidRegion(forbidden) => return self.forbid(change, &|region| region == forbidden),
            Rule::Spread { service, rule } => {
                let mut any = false;
                for service in concerned(&mut self.manifest.services, service.as_ref()) {
                    any = true;
                    service.spread.retain(|known| known.over != rule.over);
                    service.spread.push(*rule);
                }
                return known(any, change);
            }
            Rule::Purchase { service, purchase } => {
                let mut any = false;
                for service in concerned(&mut self.manifest.services, service.as_ref()) {
                    any = true;
                    service.purchase = *purchase;
                }
                return known(any, change);
            }
            Rule::Quota(quota) => self.config.quotas.push(quota.clone()),
        }
        Ok(())
    }

    /// Leaves every service the regions that it may use and that are not forbidden.
    fn forbid(&mut self, change: &Change, forbidden: &dyn Fn(&RegionKey) -> bool) -> Result<(), WhatIfError> {
        let mut regions: BTreeSet<RegionKey> = self.catalogue.regions().map(|region| region.key.clone()).collect();
        regions.extend(self.snapshot.nodes.iter().map(|node| node.machine.site.region.clone()));
        known(regions.iter().any(forbidden), change)?;
        for service in &mut self.manifest.services {
            let allowed = |region: &&RegionKey| {
                let cloud = service.clouds.is_empty() || service.clouds.contains(&region.cloud);
                let named = service.regions.is_empty() || service.regions.contains(region);
                cloud && named && !forbidden(region)
            };
            let left: BTreeSet<RegionKey> = regions.iter().filter(allowed).cloned().collect();
            // An empty list would mean any region.
            if left.is_empty() {
                return Err(WhatIfError::Contradicts {
                    change: change.to_string(),
                    service: service.name.clone(),
                });
            }
            service.regions = left;
        }
        Ok(())
    }
}

fn concerned<'s>(
    services: &'s mut [ServiceSpec],
    of: Option<&ServiceName>,
) -> impl Iterator<Item = &'s mut ServiceSpec> {
    services
        .iter_mut()
        .filter(move |service| of.is_none_or(|name| service.name == *name))
}

/// The prices that a selector means, of those that there are.
fn selected<'o>(offers: &'o mut [Offer], selector: &'o Selector) -> impl Iterator<Item = &'o mut Option<Price>> {
    offers.iter_mut().flat_map(move |offer| {
        let key = &offer.key;
        let prices = [
            (Purchase::OnDemand, &mut offer.on_demand),
            (Purchase::Spot, &mut offer.spot),
        ];
        let meant = prices.map(|(purchase, price)| {
            let covered = price.is_some() && selector.covers(&key.region, &key.instance, purchase);
            covered.then_some(price)
        });
        meant.into_iter().flatten()
    })
}

/// An error when a change concerns nothing that is there.
fn known(any: bool, change: &Change) -> Result<(), WhatIfError> {
    if any {
        Ok(())
    } else {
        Err(WhatIfError::Unknown {
            change: change.to_string(),
        })
    }
}

/// A factor in whole millionths, so that what follows is exact.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be above zero and at most a million before"
)]
fn millionths(change: &Change, factor: f64) -> Result<u64, WhatIfError> {
    const MOST: f64 = 1e6;
    let ppm = libm::round(factor * 1e6);
    if factor.is_finite() && factor > 0.0 && factor <= MOST && ppm >= 1.0 {
        Ok(ppm as u64)
    } else {
        Err(WhatIfError::Factor {
            factor,
            change: change.to_string(),
        })
    }
}

/// Times so many millionths, rounded half up; `None` beyond what can be held.
fn times(amount: i64, ppm: u64) -> Option<i64> {
    let product = i128::from(amount) * i128::from(ppm) + 500_000;
    i64::try_from(product.div_euclid(1_000_000)).ok()
}

/// Times so many millionths, rounded up.
fn grown(amount: u64, ppm: u64) -> Option<u64> {
    u64::try_from((u128::from(amount) * u128::from(ppm)).div_ceil(1_000_000)).ok()
}

/// Every dimension times so many millionths, rounded up; GPU devices that were whole stay whole.
fn grown_resources(resources: &Resources, ppm: u64) -> Option<Resources> {
    let part = |dimension| grown(resources.get(dimension), ppm);
    let gpu = match part(Dimension::Gpu)? {
        shared if shared <= 1000 => shared,
        whole => whole.div_ceil(1000).checked_mul(1000)?,
    };
    Some(Resources {
        cpu: Millicores::from_millicores(part(Dimension::Cpu)?),
        memory: Bytes::from_bytes(part(Dimension::Memory)?),
        disk: Bytes::from_bytes(part(Dimension::Disk)?),
        gpu: Milligpus::from_milligpus(gpu),
    })
}
