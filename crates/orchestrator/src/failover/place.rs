//! Where something can be lost as a whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, CloudId, RegionKey, Site, ZoneName};
use thiserror::Error;

/// A cloud, a region or a zone: `aws`, `aws/eu-central-1`, `aws/eu-central-1:a`.
///
/// ```
/// use skyloom_orchestrator::Place;
///
/// let region: Place = "aws/eu-central-1".parse()?;
/// let zone: Place = "aws/eu-central-1:a".parse()?;
/// assert!(region.covers(&"aws/eu-central-1".parse()?, None));
/// assert!(!zone.covers(&"aws/eu-central-1".parse()?, None), "a zone is not its region");
/// assert_eq!(zone.to_string(), "aws/eu-central-1:a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// All regions of a cloud.
    Cloud(CloudId),
    /// A region with all its zones.
    Region(RegionKey),
    /// One fault domain of a region.
    Zone(RegionKey, ZoneName),
}

/// The text names no place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read `{text}` as a place: expected `cloud`, `cloud/region` or `cloud/region:zone`")]
pub struct PlaceNameError {
    /// What was given (cut to a printable length).
    pub text: String,
}

impl PlaceNameError {
    /// Always [`Class::Invalid`].
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

impl Place {
    /// The cloud that it is, or is in.
    #[must_use]
    pub const fn cloud(&self) -> &CloudId {
        match self {
            Self::Cloud(cloud) => cloud,
            Self::Region(region) | Self::Zone(region, _) => &region.cloud,
        }
    }

    /// Whether a machine there is in the place; `zone` is `None` where its region has no fault domains, or where any will
    /// do.
    #[must_use]
    pub fn covers(&self, region: &RegionKey, zone: Option<&ZoneName>) -> bool {
        match self {
            Self::Cloud(cloud) => *cloud == region.cloud,
            Self::Region(key) => key == region,
            Self::Zone(key, name) => key == region && zone == Some(name),
        }
    }

    /// Whether a site is in the place.
    #[must_use]
    pub fn covers_site(&self, site: &Site) -> bool {
        self.covers(&site.region, site.zone.as_ref())
    }

    /// Whether a whole region is in the place: its stores too.
    #[must_use]
    pub fn covers_region(&self, region: &RegionKey) -> bool {
        self.covers(region, None)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud(cloud) => f.pad(cloud.as_str()),
            Self::Region(region) => f.pad(&region.to_string()),
            Self::Zone(region, zone) => f.pad(&format!("{region}:{zone}")),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceNameError;

    fn from_str(text: &str) -> Result<Self, PlaceNameError> {
        const SHOWN_MAX: usize = 80;
        let error = || PlaceNameError {
            text: text.chars().take(SHOWN_MAX).collect(),
        };
        let Some((region, zone)) = text.split_once(':') else {
            return if text.contains('/') {
                text.parse().map(Self::Region).map_err(|_| error())
            } else {
                CloudId::new(text).map(Self::Cloud).map_err(|_| error())
            };
        };
        let region = region.parse().map_err(|_| error())?;
        let zone = ZoneName::new(zone).map_err(|_| error())?;
        Ok(Self::Zone(region, zone))
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceNameError;

    fn try_from(text: String) -> Result<Self, PlaceNameError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}
