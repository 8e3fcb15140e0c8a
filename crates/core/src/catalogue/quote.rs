//! Pricing a transfer with a catalogue: the closest rule, or the internet tier with a flag.

use crate::{Bytes, MicroUsd, RegionKey, RegionName};

use super::egress::{FreeTiers, marginal_cost};
use super::{Catalogue, EgressError, EgressQuote, EgressRule, EgressScope, EgressTarget};

impl Catalogue {
    /// What it costs to send a month's `volume` from a region.
    ///
    /// The closest rule of the source cloud for the scope is taken, with marginal tiers. Where there is none the quote is
    /// flagged as `assumed`: the cloud's internet tiers are taken, or failing them the dearest internet tiers of the
    /// catalogue for this volume. An assumed quote counts nothing as free, so an unknown price is never zero.
    /// Allowances that belong to an account or come with machines (DigitalOcean, Linode, Vultr) are not counted.
    ///
    /// The cost is zero for zero bytes, rises with the volume, and has no jump at a tier's edge.
    ///
    /// ```
    /// use skyloom_core::catalogue::EgressTarget;
    /// use skyloom_core::{Bytes, Catalogue};
    ///
    /// let catalogue = Catalogue::builtin();
    /// let (frankfurt, ireland) = ("aws/eu-central-1".parse()?, "aws/eu-west-1".parse()?);
    /// let quote = catalogue.egress_cost(&frankfurt, EgressTarget::Region(&ireland), Bytes::from_gib(40))?;
    /// assert_eq!((quote.cost.to_string().as_str(), quote.assumed), ("0.80 USD", false));
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    /// [`EgressError::Unknown`]: no rule holds and the catalogue has no internet tier above zero.
    ///
    /// # Panics
    /// Never: a checked tier costs at most [`super::EGRESS_PER_GIB_MAX`], at which the largest volume is far inside what
    /// money can hold.
    pub fn egress_cost(
        &self,
        from: &RegionKey,
        to: EgressTarget<'_>,
        volume: Bytes,
    ) -> Result<EgressQuote, EgressError> {
        let known = |cost| EgressQuote { cost, assumed: false };
        if volume.is_zero() || to.scope_from(from).is_none() {
            return Ok(known(MicroUsd::ZERO));
        }
        if let Some(rule) = self.egress_rule(from, to) {
            return Ok(known(charge(rule, volume, FreeTiers::Free)));
        }
        let assumed = self.assumed_egress_rules(from);
        if assumed.is_empty() {
            return Err(EgressError::Unknown { from: from.clone() });
        }
        let costs = assumed.into_iter().map(|rule| charge(rule, volume, FreeTiers::Charged));
        let dearest = costs.max().unwrap_or(MicroUsd::ZERO);
        // A few bytes round to nothing, and an unknown price is never nothing.
        let cost = dearest.max(MicroUsd::from_micros(1));
        Ok(EgressQuote { cost, assumed: true })
    }

    /// The rule by which bytes from a region to a target are charged: the closest one of the source cloud for the scope.
    /// `None`: the transfer is free ([`EgressTarget::SameZone`]), or no rule holds and a price has to be assumed.
    #[must_use]
    pub fn egress_rule(&self, from: &RegionKey, to: EgressTarget<'_>) -> Option<&EgressRule> {
        let to_region = match to {
            EgressTarget::Region(key) => Some(&key.region),
            EgressTarget::SameZone | EgressTarget::OtherZone | EgressTarget::Internet => None,
        };
        self.closest_rule(from, to.scope_from(from)?, to_region)
    }

    /// The internet rules to fall back to where no rule holds, of which the dearest is taken and nothing counts as free:
    /// the one of the region, else all of the cloud, else all; rules that charge nothing are never among them.
    #[must_use]
    pub fn assumed_egress_rules(&self, from: &RegionKey) -> Vec<&EgressRule> {
        let charges = |rule: &&EgressRule| rule.tiers.iter().any(|t| t.per_gib > MicroUsd::ZERO);
        if let Some(own) = self.closest_rule(from, EgressScope::Internet, None).filter(charges) {
            return vec![own];
        }
        let internet = || {
            self.egress_rules()
                .iter()
                .filter(|r| r.scope == EgressScope::Internet)
                .filter(charges)
        };
        let of_cloud: Vec<&EgressRule> = internet().filter(|r| r.from == from.cloud).collect();
        if of_cloud.is_empty() {
            internet().collect()
        } else {
            of_cloud
        }
    }

    /// The rule that names source and destination most closely; of equals, the first in order.
    fn closest_rule(&self, from: &RegionKey, scope: EgressScope, to: Option<&RegionName>) -> Option<&EgressRule> {
        let mut best: Option<((usize, usize), &EgressRule)> = None;
        for rule in self
            .egress_rules()
            .iter()
            .filter(|r| r.from == from.cloud && r.scope == scope)
        {
            let to_closeness = match (scope, to) {
                (EgressScope::InterRegion, Some(to)) => rule.to_regions.closeness(to),
                _ => Some(0),
            };
            let Some(closeness) = rule.from_regions.closeness(&from.region).zip(to_closeness) else {
                continue;
            };
            if best.is_none_or(|(other, _)| closeness > other) {
                best = Some((closeness, rule));
            }
        }
        best.map(|(_, rule)| rule)
    }
}

/// What a checked rule charges.
fn charge(rule: &EgressRule, volume: Bytes, free: FreeTiers) -> MicroUsd {
    marginal_cost(&rule.tiers, volume, free)
        .expect("invariant: 2^34 GiB at 1 USD each are far inside i64 micro-dollars")
}
