//! Data sets and regions.

use super::super::de::Spanned;
use super::super::error::Fault;
use super::super::raw::{RawBackup, RawData, RawRegion, RawSync};
use super::super::scalars::TextOr;
use super::Places;
use super::names::Once;
use super::values::{name, some_time};
use crate::{BackupSpec, DataReplica, DataSpec, RegionKey, SyncSpec};

pub(super) fn data_set(raw: &RawData, places: &Places<'_>) -> Result<DataSpec, Fault> {
    if raw.replicas.value.is_empty() {
        return Err(Fault::bad_value(raw.replicas.span, "[]", "at least one copy"));
    }
    let mut seen = Once::new("copy in");
    let mut replicas = Vec::with_capacity(raw.replicas.value.len());
    for replica in &raw.replicas.value {
        let region = region(replica)?;
        seen.check(&region.to_string(), replica.span)?;
        let at = Some(places.of(replica.span));
        replicas.push(DataReplica { region, at });
    }
    Ok(DataSpec {
        name: name(&raw.name)?,
        at: Some(places.of(raw.name.span)),
        class: raw.class,
        replicas,
        sync: raw.sync.as_ref().map(sync).transpose()?,
        backup: raw.backup.as_ref().map(backup).transpose()?,
    })
}

/// A region, from `cloud/region` or from a table.
pub(super) fn region(raw: &Spanned<TextOr<RawRegion>>) -> Result<RegionKey, Fault> {
    match &raw.value {
        TextOr::Text(text) => name(&Spanned {
            span: raw.span,
            value: text.clone(),
        }),
        TextOr::Table(RawRegion { cloud, region }) => Ok(RegionKey {
            cloud: name(cloud)?,
            region: name(region)?,
        }),
    }
}

fn sync(raw: &RawSync) -> Result<SyncSpec, Fault> {
    Ok(SyncSpec {
        mode: raw.mode,
        lag_max: raw.lag_max.as_ref().map(some_time).transpose()?,
    })
}

fn backup(raw: &RawBackup) -> Result<BackupSpec, Fault> {
    let (every, keep) = (some_time(&raw.every)?, some_time(&raw.keep)?);
    if keep < every {
        // There would be times without any backup.
        let expected = "at least as long as `every`";
        return Err(Fault::bad_value(raw.keep.span, &raw.keep.value.0, expected));
    }
    Ok(BackupSpec { every, keep })
}
