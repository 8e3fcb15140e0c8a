//! Changes to a world, as data: what a user may suppose.
//!
//! They are applied in their order by `apply`; nothing here knows what follows from them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    CloudId, InstanceType, MicroUsd, MicroUsdPerHour, Offer, Purchase, PurchasePreference, RegionKey, RegionName,
    Residency, ServiceName, SpreadRule, ZoneName,
};
use thiserror::Error;

use crate::quotas::Quota;

/// One supposition.
///
/// As JSON: `{"outage": {"cloud": "aws", "region": "eu-west-1"}}`, `{"price": {"offers": {"cloud": "gcp"}, "to":
/// {"factor": 1.2}}}`, `{"growth": {"service": "frontend", "of": "replicas", "factor": 3}}`, `{"rule":
/// {"forbid-cloud": "aws"}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// Machines cost more or less, those that run included.
    Price {
        /// Which.
        offers: Selector,
        /// What they cost then.
        to: PriceChange,
    },
    /// Traffic costs more or less.
    EgressPrice {
        /// What leaves this cloud; `None`: any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cloud: Option<CloudId>,
        /// Times as much; above zero.
        factor: f64,
    },
    /// A cloud, region or zone is gone: its machines with what runs on them, its offers, and the copies of data sets
    /// there (a zone takes none: stores span the zones of a region).
    Outage(Outage),
    /// A service, or every service, grows (or shrinks) by a factor.
    Growth {
        /// Which; `None`: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<ServiceName>,
        /// What of it grows.
        of: GrowthOf,
        /// Times as much, rounded up; above zero.
        factor: f64,
    },
    /// A rule is added, or replaces the one of its kind.
    Rule(Rule),
    /// Offers can no longer be bought. What runs stays.
    RemoveOffers(Selector),
    /// Offers can be bought besides; one of a known key replaces it. Their prices' sources are positions in the
    /// catalogue's list.
    AddOffers(Vec<Offer>),
}

/// A new price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriceChange {
    /// Times as much, rounded half up; above zero.
    Factor(f64),
    /// This much per hour.
    PerHour(MicroUsdPerHour),
}

/// Which offers are meant: all that agree in every respect that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selector {
    /// The cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudId>,
    /// The region, by the cloud's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionName>,
    /// The type; a `*` at its end stands for any ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The kind of purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
}

impl Selector {
    /// Whether machines of that place, type and purchase are meant.
    #[must_use]
    pub fn covers(&self, region: &RegionKey, instance: &InstanceType, purchase: Purchase) -> bool {
        let typed = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => instance.as_str().starts_with(beginning),
            None => instance.as_str() == pattern,
        };
        self.cloud.as_ref().is_none_or(|cloud| *cloud == region.cloud)
            && self.region.as_ref().is_none_or(|name| *name == region.region)
            && self.instance.as_ref().is_none_or(typed)
            && self.purchase.is_none_or(|only| only == purchase)
    }
}

/// The text does not select anything.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read `{text}` as `cloud[/region[/type[/spot|on-demand]]]`, with `*` for any")]
pub struct SelectorError {
    /// What was given (cut to a printable length).
    pub text: String,
}

impl FromStr for Selector {
    type Err = SelectorError;

    /// `aws`, `aws/eu-west-1`, `*/*/m7g.*`, `gcp/*/*/spot`.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError {
            text: text.chars().take(80).collect(),
        };
        let parts: Vec<&str> = text.trim().split('/').collect();
        if parts.len() > 4 || parts.iter().any(|part| part.is_empty()) {
            return Err(wrong());
        }
        let part = |index: usize| parts.get(index).copied().filter(|part| *part != "*");
        let purchase = match part(3) {
            None => None,
            Some("spot") => Some(Purchase::Spot),
            Some("on-demand") => Some(Purchase::OnDemand),
            Some(_) => return Err(wrong()),
        };
        Ok(Self {
            cloud: part(0).map(str::parse).transpose().map_err(|_| wrong())?,
            region: part(1).map(str::parse).transpose().map_err(|_| wrong())?,
            instance: part(2).map(str::to_owned),
            purchase,
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = || "*".to_owned();
        let parts = [
            self.cloud.as_ref().map_or_else(any, ToString::to_string),
            self.region.as_ref().map_or_else(any, ToString::to_string),
            self.instance.clone().unwrap_or_else(any),
            self.purchase.map_or_else(any, |purchase| purchase.to_string()),
        ];
        f.write_str(&parts.join("/"))
    }
}

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The cloud.
    pub cloud: CloudId,
    /// Only this region of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionName>,
    /// Only this zone of that region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
}

impl Outage {
    /// Whether a region is touched, in whole or in part.
    pub(super) fn touches(&self, region: &RegionKey) -> bool {
        self.cloud == region.cloud && self.region.as_ref().is_none_or(|name| *name == region.region)
    }
}

impl FromStr for Outage {
    type Err = SelectorError;

    /// `aws`, `aws/eu-west-1` or `aws/eu-west-1:eu-west-1a`.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError {
            text: text.chars().take(80).collect(),
        };
        let (place, zone) = text
            .trim()
            .split_once(':')
            .map_or((text.trim(), None), |(p, z)| (p, Some(z)));
        let (cloud, region) = place.split_once('/').map_or((place, None), |(c, r)| (c, Some(r)));
        if zone.is_some() && region.is_none() {
            return Err(wrong());
        }
        Ok(Self {
            cloud: cloud.parse().map_err(|_| wrong())?,
            region: region.map(str::parse).transpose().map_err(|_| wrong())?,
            zone: zone.map(str::parse).transpose().map_err(|_| wrong())?,
        })
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cloud)?;
        self.region.as_ref().map_or(Ok(()), |region| write!(f, "/{region}"))?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, ":{zone}"))
    }
}

/// What of a service grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrowthOf {
    /// Replicas.
    Replicas,
    /// What each replica asks for, in every dimension.
    Resources,
    /// The traffic that it sends.
    Traffic,
}

impl fmt::Display for GrowthOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replicas => "replicas",
            Self::Resources => "resources",
            Self::Traffic => "traffic",
        })
    }
}

/// A rule that is added, or that replaces the one of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The manifest's residency.
    Residency(Residency),
    /// The manifest's budget per month; `None`: none.
    Budget(Option<MicroUsd>),
    /// No replica on this cloud.
    ForbidCloud(CloudId),
    /// No replica in this region.
    ForbidRegion(RegionKey),
    /// A spread, in place of the service's rule over the same domains.
    Spread {
        /// Which service; `None`: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<ServiceName>,
        /// The rule.
        rule: SpreadRule,
    },
    /// The kinds of purchase that may carry a service.
    Purchase {
        /// Which service; `None`: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<ServiceName>,
        /// Which kinds.
        purchase: PurchasePreference,
    },
    /// One more quota.
    Quota(Quota),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |service: &Option<ServiceName>| {
            service
                .as_ref()
                .map_or_else(|| "every service".to_owned(), |s| format!("`{s}`"))
        };
        match self {
            Self::Price { offers, to } => match to {
                PriceChange::Factor(factor) => write!(f, "{offers} costs {factor} times as much"),
                PriceChange::PerHour(price) => write!(f, "{offers} costs {price}"),
            },
            Self::EgressPrice { cloud, factor } => {
                let from = cloud
                    .as_ref()
                    .map_or_else(|| "any cloud".to_owned(), ToString::to_string);
                write!(f, "traffic from {from} costs {factor} times as much")
            }
            Self::Outage(outage) => write!(f, "{outage} is gone"),
            Self::Growth {
                service,
                of: what,
                factor,
            } => write!(f, "the {what} of {} are {factor} times as much", of(service)),
            Self::RemoveOffers(offers) => write!(f, "{offers} cannot be bought"),
            Self::AddOffers(offers) => write!(f, "{} offers can be bought besides", offers.len()),
            Self::Rule(rule) => match rule {
                Rule::Residency(residency) => write!(f, "residency is {}", crate::model::residency_text(residency)),
                Rule::Budget(Some(budget)) => write!(f, "the budget is {budget} per month"),
                Rule::Budget(None) => f.write_str("there is no budget"),
                Rule::ForbidCloud(cloud) => write!(f, "nothing may run on {cloud}"),
                Rule::ForbidRegion(region) => write!(f, "nothing may run in {region}"),
                Rule::Spread { service, rule } => {
                    write!(
                        f,
                        "{} is spread over {:?} by at most {}",
                        of(service),
                        rule.over,
                        rule.max_skew
                    )
                }
                Rule::Purchase { service, purchase } => write!(f, "{} takes {purchase:?}", of(service)),
                Rule::Quota(quota) => write!(f, "the quota is {quota}"),
            },
        }
    }
}
