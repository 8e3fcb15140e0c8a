//! Where things can be: clouds, regions, zones, jurisdictions, and how far apart regions are.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CloudId, IdError, RegionName, ZoneName};

/// A region of a cloud: `aws/eu-central-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegionKey {
    /// The cloud.
    pub cloud: CloudId,
    /// The region in that cloud's own words.
    pub region: RegionName,
}

impl fmt::Display for RegionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.cloud, self.region))
    }
}

impl FromStr for RegionKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (cloud, region) = text.split_once('/').ok_or_else(|| IdError {
            text: text.chars().take(80).collect(),
            kind: "region key",
            expected: "cloud/region",
        })?;
        Ok(Self {
            cloud: CloudId::new(cloud)?,
            region: RegionName::new(region)?,
        })
    }
}

/// A region and, where the region has fault domains, one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site {
    /// The region.
    pub region: RegionKey,
    /// The fault domain; `None` where the region is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => f.pad(&format!("{}:{zone}", self.region)),
            None => f.pad(&self.region.to_string()),
        }
    }
}

/// A body of law that a place is under: `EU` (the union, not the continent), `US`, `UK`, `CH`, or an ISO 3166-1
/// alpha-2 country. Two to eight upper-case letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Jurisdiction(String);

impl Jurisdiction {
    /// A checked code.
    ///
    /// # Errors
    /// [`IdError`] when the text is not two to eight upper-case letters.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        if (2..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase()) {
            Ok(Self(text))
        } else {
            let text = text.chars().take(80).collect();
            Err(IdError {
                text,
                kind: "jurisdiction",
                expected: "2 to 8 upper-case letters, such as EU, US, UK, CH",
            })
        }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Jurisdiction {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Jurisdiction {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<Jurisdiction> for String {
    fn from(code: Jurisdiction) -> Self {
        code.0
    }
}

/// A place on Earth in hundredths of a degree: exact, ordered, enough for a latency estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GeoPoint {
    /// Latitude, -9000..=9000, north positive.
    pub lat_centidegrees: i32,
    /// Longitude, -18000..=18000, east positive.
    pub lon_centidegrees: i32,
}

/// What is known of a region besides its prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionInfo {
    /// Which region.
    pub key: RegionKey,
    /// Laws it is under: country and, where the country belongs to one, its union. Empty: unknown, so that any
    /// residency rule excludes it.
    pub jurisdictions: BTreeSet<Jurisdiction>,
    /// Where it is, roughly (the city).
    pub location: Option<GeoPoint>,
    /// Fault domains, sorted; empty where the region is one.
    pub zones: Vec<ZoneName>,
}

/// Signals in fibre travel about 200 km per millisecond.
const FIBRE_KM_PER_MS: f64 = 200.0;
/// Real paths are longer than great circles; measured inter-region round trips cluster around this factor.
const PATH_STRETCH: f64 = 1.6;
/// Switching and the last metres, added to every path that leaves a zone.
const LOCAL_ROUND_TRIP: Duration = Duration::from_micros(1000);

impl RegionInfo {
    /// Estimated round-trip time to `other`: great-circle distance (haversine, radius 6,371 km) there and back at
    /// 200 km/ms, stretched by 1.6, plus 1 ms. The same region gives 1 ms; an unknown place gives `None`.
    ///
    /// An estimate to filter by, not a measurement; it is rounded to whole microseconds.
    #[must_use]
    pub fn round_trip_to(&self, other: &Self) -> Option<Duration> {
        if self.key == other.key {
            return Some(LOCAL_ROUND_TRIP);
        }
        let km = great_circle_km(self.location?, other.location?);
        let ms = 2.0 * km / FIBRE_KM_PER_MS * PATH_STRETCH;
        Some(LOCAL_ROUND_TRIP + Duration::from_micros(whole_micros(ms)))
    }
}

/// Milliseconds to whole microseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "distances on Earth give 0..=400 ms"
)]
fn whole_micros(ms: f64) -> u64 {
    (ms * 1000.0).clamp(0.0, 1e9) as u64
}

fn great_circle_km(a: GeoPoint, b: GeoPoint) -> f64 {
    const EARTH_RADIUS_KM: f64 = 6371.0;
    let radians = |centidegrees: i32| f64::from(centidegrees) / 100.0 * std::f64::consts::PI / 180.0;
    let (lat_a, lat_b) = (radians(a.lat_centidegrees), radians(b.lat_centidegrees));
    let half_lat = libm::sin((lat_b - lat_a) / 2.0);
    let half_lon = libm::sin((radians(b.lon_centidegrees) - radians(a.lon_centidegrees)) / 2.0);
    let h = half_lat * half_lat + libm::cos(lat_a) * libm::cos(lat_b) * half_lon * half_lon;
    2.0 * EARTH_RADIUS_KM * libm::asin(libm::sqrt(h.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(key: &str, lat_centidegrees: i32, lon_centidegrees: i32) -> RegionInfo {
        RegionInfo {
            key: key.parse().unwrap(),
            jurisdictions: BTreeSet::new(),
            location: Some(GeoPoint {
                lat_centidegrees,
                lon_centidegrees,
            }),
            zones: Vec::new(),
        }
    }

    #[test]
    fn round_trips_are_plausible_and_symmetric() {
        let frankfurt = region("aws/eu-central-1", 5011, 868);
        let amsterdam = region("vultr/ams", 5237, 490);
        let tokyo = region("gcp/asia-northeast1", 3568, 13969);
        let ms = |a: &RegionInfo, b: &RegionInfo| a.round_trip_to(b).unwrap().as_millis();
        assert_eq!(ms(&frankfurt, &frankfurt), 1);
        assert!((3..=10).contains(&ms(&frankfurt, &amsterdam)));
        assert!((120..=260).contains(&ms(&frankfurt, &tokyo)));
        assert_eq!(frankfurt.round_trip_to(&tokyo), tokyo.round_trip_to(&frankfurt));
    }
}
