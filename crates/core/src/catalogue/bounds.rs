//! Sanity bounds of published figures, and the checks of offers, regions and tiers against them.
//!
//! A price list with a slipped decimal point sends a whole fleet to the wrong place, so a figure far outside everything
//! that was ever published is an error, not a bargain. Each bound leaves a wide margin around the extremes that were
//! seen in the clouds' lists of 2022 to 2026; they are limits of the possible, not of the reasonable.

use crate::{Bytes, MicroUsd, MicroUsdPerHour, Millicores, Milligpus, RegionInfo};

use super::{EgressRule, EgressTier, Offer, Problem, Purchase};

/// Lowest price of a vCPU-hour, 0.0001 USD: a quarter of the cheapest seen (0.0004, spot of a t4g.nano in Mumbai).
pub const VCPU_HOUR_MIN: MicroUsdPerHour = MicroUsdPerHour::from_micros(100);
/// Highest price of a vCPU-hour on a machine without devices, 5 USD: the dearest seen is 1.88 (a 3.8 TiB machine with
/// three quarters of its CPUs switched off).
pub const VCPU_HOUR_MAX: MicroUsdPerHour = MicroUsdPerHour::from_micros(5_000_000);
/// Lowest price of a device-hour, 0.015 USD: the cheapest seen is 0.024 (spot of a Radeon MI25). It refuses the famous
/// slip of a B200 at 0.01.
pub const GPU_HOUR_MIN: MicroUsdPerHour = MicroUsdPerHour::from_micros(15_000);
/// Highest price of a device-hour, 80 USD: the dearest seen is 23.33 (one of eight H100 in South Africa). Machines with
/// a small device and very many CPUs may cost as much as their CPUs do.
pub const GPU_HOUR_MAX: MicroUsdPerHour = MicroUsdPerHour::from_micros(80_000_000);
/// Most vCPUs of a machine, 4,096: the largest seen has 896.
pub const VCPUS_MAX: Millicores = Millicores::from_cores(4096);
/// Most memory of a machine, 128 TiB: the largest seen has 32.
pub const MEMORY_MAX: Bytes = Bytes::from_gib(128 * 1024);
/// Most devices of a machine, 256: the largest seen has 16; a rack sold as one has 72.
pub const ACCELERATORS_MAX: Milligpus = Milligpus::from_milligpus(256_000);
/// Highest price of a GiB that leaves a cloud, 1 USD: the dearest seen is 0.23.
pub const EGRESS_PER_GIB_MAX: MicroUsd = MicroUsd::from_micros(1_000_000);
/// Spot above this many percent of the on-demand price is remarked on ([`super::Catalogue::remarks`]). Spot auctions
/// reach the on-demand price (100 %) in good faith; well above it, one of the two figures belongs to another machine
/// (GCP's a2 list of 2022 has 259 %: on demand without the devices, spot with them).
pub const SPOT_OVER_ON_DEMAND_PERCENT: i64 = 110;

/// Whether every figure of an offer is possible. What needs the rest of the catalogue is checked there.
pub(super) fn check_offer(offer: &Offer) -> Result<(), Problem> {
    check_size(offer)?;
    if offer.on_demand.is_none() && offer.spot.is_none() {
        return Err(Problem::NoPrice);
    }
    for purchase in [Purchase::OnDemand, Purchase::Spot] {
        if let Some(price) = offer.price(purchase) {
            check_price(offer, purchase, price.per_hour)?;
        }
    }
    Ok(())
}

fn check_size(offer: &Offer) -> Result<(), Problem> {
    let capacity = &offer.capacity;
    if offer.vcpus.is_zero() || offer.vcpus > VCPUS_MAX {
        return Err(Problem::AbsurdCpu {
            vcpus: offer.vcpus,
            most: VCPUS_MAX,
        });
    }
    if capacity.cpu.is_zero() || capacity.cpu > offer.vcpus {
        return Err(Problem::SustainedAboveNominal {
            sustained: capacity.cpu,
            nominal: offer.vcpus,
        });
    }
    if capacity.memory.is_zero() || capacity.memory > MEMORY_MAX {
        return Err(Problem::AbsurdMemory {
            memory: capacity.memory,
            most: MEMORY_MAX,
        });
    }
    if offer.accelerator.is_none() != capacity.gpu.is_zero() {
        return Err(Problem::AcceleratorMismatch);
    }
    if capacity.gpu > ACCELERATORS_MAX {
        return Err(Problem::AbsurdAccelerators {
            count: capacity.gpu,
            most: ACCELERATORS_MAX,
        });
    }
    Ok(())
}

/// Whether a price is possible for the machine's size. The size must have been checked.
pub(super) fn check_price(offer: &Offer, purchase: Purchase, price: MicroUsdPerHour) -> Result<(), Problem> {
    match price.as_micros() {
        0 => return Err(Problem::ZeroPrice { purchase }),
        ..0 => return Err(Problem::NegativePrice { purchase }),
        1.. => {}
    }
    let (least, most) = price_range(offer.vcpus, offer.capacity.gpu);
    if price < least || price > most {
        return Err(Problem::AbsurdPrice {
            purchase,
            price,
            least,
            most,
        });
    }
    Ok(())
}

/// The sane range of an hour of a machine. The floor of devices holds besides the floor of CPUs; the ceilings add up.
fn price_range(vcpus: Millicores, gpus: Milligpus) -> (MicroUsdPerHour, MicroUsdPerHour) {
    let part = |rate: MicroUsdPerHour, milli: u64| {
        // At most 8e7 × 4,096,000: far inside i64.
        let milli = i64::try_from(milli).unwrap_or(i64::MAX);
        rate.as_micros().saturating_mul(milli) / 1000
    };
    let (cpu, gpu) = (vcpus.as_millicores(), gpus.as_milligpus());
    let least = part(VCPU_HOUR_MIN, cpu).max(part(GPU_HOUR_MIN, gpu)).max(1);
    let most = part(VCPU_HOUR_MAX, cpu).saturating_add(part(GPU_HOUR_MAX, gpu)).max(1);
    (MicroUsdPerHour::from_micros(least), MicroUsdPerHour::from_micros(most))
}

/// Whether a region's facts are possible.
pub(super) fn check_region(region: &RegionInfo) -> Result<(), Problem> {
    if let Some(point) = region.location {
        let on_earth =
            (-9000..=9000).contains(&point.lat_centidegrees) && (-18000..=18000).contains(&point.lon_centidegrees);
        if !on_earth {
            return Err(Problem::NotOnEarth);
        }
    }
    Ok(())
}

/// Whether tiers are marginal tiers: rising edges, open at the end, sane prices.
pub(super) fn check_rule(rule: &EgressRule) -> Result<(), Problem> {
    let Some((last, closed)) = rule.tiers.split_last() else {
        return Err(Problem::OpenTier);
    };
    if last.up_to.is_some() {
        return Err(Problem::OpenTier);
    }
    let mut previous = Bytes::ZERO;
    for tier in closed {
        let edge = tier.up_to.ok_or(Problem::OpenTier)?;
        if edge <= previous {
            return Err(Problem::TierNotRising { edge, previous });
        }
        previous = edge;
    }
    rule.tiers.iter().try_for_each(check_tier_price)
}

fn check_tier_price(tier: &EgressTier) -> Result<(), Problem> {
    if tier.per_gib < MicroUsd::ZERO || tier.per_gib > EGRESS_PER_GIB_MAX {
        return Err(Problem::AbsurdTier {
            per_gib: tier.per_gib,
            most: EGRESS_PER_GIB_MAX,
        });
    }
    Ok(())
}
