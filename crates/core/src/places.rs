//! Whether the places that a manifest names exist in a catalogue.
//!
//! Apart from the parser, because a manifest is read without a catalogue, and apart from the scheduler, because a
//! misspelt region is a mistake to report and not a constraint that nothing meets.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

use crate::nearest::nearest;
use crate::{Catalogue, Class, CloudId, DataName, Location, Manifest, RegionKey, ServiceName};

/// Which kind of place is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// A cloud.
    Cloud,
    /// A region of a known cloud.
    Region,
}

impl fmt::Display for PlaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cloud => "cloud",
            Self::Region => "region",
        })
    }
}

/// Who named a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceUser {
    /// A service, by its `clouds` or `regions`.
    Service(ServiceName),
    /// A data set, by its `replicas`.
    Data(DataName),
}

impl fmt::Display for PlaceUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "service `{name}`"),
            Self::Data(name) => write!(f, "data set `{name}`"),
        }
    }
}

/// A manifest names a cloud or region that the catalogue does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "find the {what} `{name}` of {user} in the catalogue (`{manifest}`{}){}",
    at.map(|at| format!(", line {}, column {}", at.line, at.column)).unwrap_or_default(),
    nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
)]
pub struct UnknownPlace {
    /// Where the manifest came from, such as `shop.toml`.
    pub manifest: String,
    /// Where it names the place; of a service's `clouds` and `regions` the place of the service.
    pub at: Option<Location>,
    /// Which kind of place.
    pub what: PlaceKind,
    /// The name: `aws`, or `aws/eu-central-1`.
    pub name: String,
    /// Who named it.
    pub user: PlaceUser,
    /// The name of the catalogue that it was probably meant to be.
    pub nearest: Option<String>,
}

impl UnknownPlace {
    /// Always [`Class::Invalid`]: the manifest cannot succeed with this catalogue.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// Checks that every cloud and region which the manifest names is in the catalogue: the copies of data sets, and the
/// `clouds` and `regions` of services. The first unknown one is reported, data sets first, in the manifest's order.
///
/// # Errors
/// [`UnknownPlace`] names it, where it stands, and the nearest known name.
pub fn check_places(manifest: &Manifest, catalogue: &Catalogue) -> Result<(), UnknownPlace> {
    let regions: BTreeSet<&RegionKey> = catalogue.regions().map(|region| &region.key).collect();
    check(manifest, &regions)
}

fn check(manifest: &Manifest, regions: &BTreeSet<&RegionKey>) -> Result<(), UnknownPlace> {
    let clouds: BTreeSet<&CloudId> = regions.iter().map(|key| &key.cloud).collect();
    let unknown = |what, name: String, user, at, nearest| UnknownPlace {
        manifest: manifest.source.clone(),
        at,
        what,
        name,
        user,
        nearest,
    };
    let cloud_known = |cloud: &CloudId, user: PlaceUser, at| {
        if clouds.contains(cloud) {
            return Ok(());
        }
        let near = nearest(cloud.as_str(), clouds.iter().map(|c| c.as_str())).map(str::to_owned);
        Err(unknown(PlaceKind::Cloud, cloud.to_string(), user, at, near))
    };
    let region_known = |key: &RegionKey, user: PlaceUser, at| {
        cloud_known(&key.cloud, user.clone(), at)?;
        if regions.contains(key) {
            return Ok(());
        }
        let of_cloud = regions.iter().filter(|known| known.cloud == key.cloud);
        let near = nearest(key.region.as_str(), of_cloud.map(|known| known.region.as_str()));
        let near = near.map(|region| format!("{}/{region}", key.cloud));
        Err(unknown(PlaceKind::Region, key.to_string(), user, at, near))
    };
    for data in &manifest.data {
        for replica in &data.replicas {
            region_known(&replica.region, PlaceUser::Data(data.name.clone()), replica.at)?;
        }
    }
    for service in &manifest.services {
        for cloud in &service.clouds {
            cloud_known(cloud, PlaceUser::Service(service.name.clone()), service.at)?;
        }
        for key in &service.regions {
            region_known(key, PlaceUser::Service(service.name.clone()), service.at)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataReplica, DataSpec, Residency};

    fn manifest_with_copy_in(region: &str) -> Manifest {
        Manifest {
            name: "shop".parse().unwrap(),
            source: "shop.toml".to_owned(),
            residency: Residency::default(),
            budget: None,
            revenue: None,
            services: Vec::new(),
            data: vec![DataSpec {
                name: "orders".parse().unwrap(),
                at: None,
                class: crate::DataClass::Internal,
                replicas: vec![DataReplica {
                    region: region.parse().unwrap(),
                    at: Some(Location { line: 7, column: 3 }),
                }],
                sync: None,
                backup: None,
            }],
            moved: Vec::new(),
            imports: Vec::new(),
        }
    }

    #[test]
    fn unknown_places_are_named_with_their_nearest() {
        let known: Vec<RegionKey> = ["aws/eu-central-1", "aws/eu-west-1", "gcp/europe-west3"]
            .iter()
            .map(|key| key.parse().unwrap())
            .collect();
        let regions: BTreeSet<&RegionKey> = known.iter().collect();
        let rows = [
            ("aws/eu-central-1", None),
            (
                "aws/eu-centrl-1",
                Some(
                    "find the region `aws/eu-centrl-1` of data set `orders` in the catalogue (`shop.toml`, line 7, \
                     column 3); did you mean `aws/eu-central-1`?",
                ),
            ),
            (
                "gpc/europe-west3",
                Some(
                    "find the cloud `gpc` of data set `orders` in the catalogue (`shop.toml`, line 7, column 3); did \
                     you mean `gcp`?",
                ),
            ),
            (
                "gcp/mars",
                Some(
                    "find the region `gcp/mars` of data set `orders` in the catalogue (`shop.toml`, line 7, column 3)",
                ),
            ),
        ];
        for (region, expected) in rows {
            let got = check(&manifest_with_copy_in(region), &regions).map_err(|e| e.to_string());
            assert_eq!(got.err().as_deref(), expected, "{region}");
        }
    }

    #[test]
    fn an_empty_catalogue_knows_no_place() {
        let error = check_places(&manifest_with_copy_in("aws/eu-west-1"), &Catalogue::default()).unwrap_err();
        assert_eq!((error.what, error.nearest.as_deref()), (PlaceKind::Cloud, None));
    }
}
