//! How old the newest copy of each data set is that survives a loss (the recovery point).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skyloom_core::{DataName, Manifest, RegionKey, Timestamp};

use crate::Place;

/// The copy that is left after a loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "copy")]
pub enum SurvivingCopy {
    /// The primary itself: nothing is lost.
    Primary {
        /// Where.
        region: RegionKey,
    },
    /// Another copy; what was written since is lost.
    Synced {
        /// Where.
        region: RegionKey,
        /// When it was last made equal to the primary.
        at: Timestamp,
        /// How long before the loss that was.
        age: Duration,
    },
    /// Another copy, and nobody has recorded when it was last made equal: its age is not known.
    Unknown {
        /// Where.
        region: RegionKey,
    },
    /// There is none: all of it is lost.
    None,
}

/// What is left of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecovery {
    /// Which.
    pub data: DataName,
    /// The newest copy that survives.
    #[serde(flatten)]
    pub copy: SurvivingCopy,
}

/// The newest surviving copy of each data set of a manifest, in the manifest's order. `synced` says when each copy was
/// last made equal to its primary; a record from after the loss counts as made at the loss.
#[must_use]
pub fn surviving_copies(
    manifest: &Manifest,
    lost: Option<&Place>,
    synced: &BTreeMap<(DataName, RegionKey), Timestamp>,
    at: Timestamp,
) -> Vec<DataRecovery> {
    let survives = |region: &RegionKey| lost.is_none_or(|place| !place.covers_region(region));
    let recovery = |set: &skyloom_core::DataSpec| {
        let mut regions = set.replicas.iter().map(|copy| &copy.region);
        let copy = match regions.next() {
            None => SurvivingCopy::None,
            Some(primary) if survives(primary) => SurvivingCopy::Primary {
                region: primary.clone(),
            },
            Some(_) => {
                let left: Vec<&RegionKey> = regions.filter(|region| survives(region)).collect();
                let record = |region: &RegionKey| synced.get(&(set.name.clone(), region.clone())).copied();
                let newest = left
                    .iter()
                    .filter_map(|region| record(region).map(|at| (at, *region)))
                    // Of equally new ones the first of the manifest.
                    .reduce(|best, other| if other.0 > best.0 { other } else { best });
                match (newest, left.first()) {
                    (Some((synced_at, region)), _) => SurvivingCopy::Synced {
                        region: region.clone(),
                        at: synced_at,
                        age: at.saturating_since(synced_at),
                    },
                    (None, Some(region)) => SurvivingCopy::Unknown {
                        region: (*region).clone(),
                    },
                    (None, None) => SurvivingCopy::None,
                }
            }
        };
        DataRecovery {
            data: set.name.clone(),
            copy,
        }
    };
    manifest.data.iter().map(recovery).collect()
}
