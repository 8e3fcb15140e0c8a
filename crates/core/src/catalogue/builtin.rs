//! The built-in catalogue: our own selection of public list prices, embedded as five small tables.
//!
//! `builtin/sources.csv` dates each list; `types.csv` has the machine types, `prices.csv` their prices by region,
//! `regions.csv` where regions are and under which laws, `egress.csv` the tiers. The selection and how to extend it are
//! described in `docs/catalogue.md`. Text rather than a compiled table: a wrong figure is found and mended by anybody.

use std::collections::{BTreeMap, BTreeSet};

use crate::quantity::{Fraction, scaled};
use crate::{
    Bytes, CloudId, Date, GeoPoint, IdError, InstanceType, Jurisdiction, MicroUsd, Millicores, Milligpus, RegionInfo,
    RegionKey, RegionName, Resources, ZoneName,
};

use super::sheet::{Column, Row, Sheet};
use super::{
    ATTACHABLE_DISK, Accelerator, Catalogue, CatalogueError, CatalogueParts, EgressRule, EgressScope, EgressTier,
    Offer, OfferKey, Price, Problem, RegionPrefixes, Source, SourceId, sustained_cpu,
};

impl Catalogue {
    /// The built-in catalogue: ten clouds, their public list prices with a date and a source each. It reads embedded
    /// text and takes about a millisecond; keep the value rather than asking again.
    ///
    /// ```
    /// use skyloom_core::Catalogue;
    ///
    /// let catalogue = Catalogue::builtin();
    /// assert!(catalogue.clouds().len() >= 6);
    /// assert!(!catalogue.in_region(&"aws/eu-central-1".parse()?).is_empty());
    /// # Ok::<(), skyloom_core::IdError>(())
    /// ```
    ///
    /// # Panics
    /// Never: the tables are constants of the crate and a test reads them.
    #[must_use]
    pub fn builtin() -> Self {
        builtin_parts()
            .and_then(Self::new)
            .expect("invariant: the embedded tables are read by a test")
    }
}

fn builtin_parts() -> Result<CatalogueParts, CatalogueError> {
    let lists = read_lists()?;
    let types = read_types()?;
    Ok(CatalogueParts {
        offers: read_offers(&types, &lists)?,
        regions: read_regions()?,
        egress: read_egress(&lists)?,
        sources: lists.sources,
    })
}

/// Dated price lists by their code.
#[derive(Debug)]
struct Lists {
    by_code: BTreeMap<String, (Date, SourceId)>,
    sources: Vec<Source>,
}

fn read_lists() -> Result<Lists, CatalogueError> {
    let mut sheet = Sheet::open(include_bytes!("builtin/sources.csv"), "builtin/sources.csv")?;
    let (code, as_of, name) = (sheet.column("code")?, sheet.column("as_of")?, sheet.column("name")?);
    let mut lists = Lists {
        by_code: BTreeMap::new(),
        sources: Vec::new(),
    };
    while let Some(row) = sheet.next_row()? {
        let date = row.text(as_of).parse();
        let date = date.map_err(|_| {
            row.error(
                as_of,
                Problem::NotAWord {
                    expected: "a date YYYY-MM-DD",
                },
            )
        })?;
        let number = u16::try_from(lists.sources.len()).unwrap_or(u16::MAX);
        lists
            .by_code
            .insert(row.text(code).to_owned(), (date, SourceId(number)));
        lists.sources.push(Source {
            name: row.text(name).to_owned(),
        });
    }
    Ok(lists)
}

impl Lists {
    fn at(&self, row: &Row<'_>, column: Column) -> Result<(Date, SourceId), CatalogueError> {
        let known = self.by_code.get(row.text(column)).copied();
        known.ok_or_else(|| {
            row.error(
                column,
                Problem::NotAWord {
                    expected: "a code of sources.csv",
                },
            )
        })
    }
}

/// What a machine type has, wherever it is sold.
#[derive(Debug)]
struct Type {
    instance: InstanceType,
    vcpus: Millicores,
    capacity: Resources,
    arch: String,
    accelerator: Option<Accelerator>,
}

type Types = BTreeMap<(CloudId, InstanceType), Type>;

fn read_types() -> Result<Types, CatalogueError> {
    let mut sheet = Sheet::open(include_bytes!("builtin/types.csv"), "builtin/types.csv")?;
    let (cloud, instance) = (sheet.column("cloud")?, sheet.column("instance_type")?);
    let (vcpus, memory, arch) = (
        sheet.column("vcpus")?,
        sheet.column("memory_gib")?,
        sheet.column("arch")?,
    );
    let (accelerator, count) = (sheet.column("accelerator")?, sheet.column("accelerator_count")?);
    let mut types = BTreeMap::new();
    while let Some(row) = sheet.next_row()? {
        let cloud_id: CloudId = name(&row, cloud)?;
        let instance: InstanceType = name(&row, instance)?;
        let vcpus = Millicores::from_millicores(figure(&row, vcpus, 1000)?);
        let gpu = if row.text(count).is_empty() {
            0
        } else {
            figure(&row, count, 1000)?
        };
        let capacity = Resources::new(
            sustained_cpu(&cloud_id, &instance, vcpus),
            Bytes::from_bytes(figure(&row, memory, 1 << 30)?),
        );
        let accelerator = row.text(accelerator);
        let made = Type {
            instance: instance.clone(),
            vcpus,
            capacity: capacity
                .with_disk(ATTACHABLE_DISK)
                .with_gpu(Milligpus::from_milligpus(gpu)),
            arch: row.text(arch).to_owned(),
            accelerator: (!accelerator.is_empty()).then(|| Accelerator {
                name: accelerator.to_owned(),
            }),
        };
        types.insert((cloud_id, instance), made);
    }
    Ok(types)
}

fn read_offers(types: &Types, lists: &Lists) -> Result<Vec<Offer>, CatalogueError> {
    let mut sheet = Sheet::open(include_bytes!("builtin/prices.csv"), "builtin/prices.csv")?;
    let (cloud, region) = (sheet.column("cloud")?, sheet.column("region")?);
    let instance = sheet.column("instance_type")?;
    let (on_demand, on_demand_list) = (sheet.column("on_demand")?, sheet.column("on_demand_list")?);
    let (spot, spot_list) = (sheet.column("spot")?, sheet.column("spot_list")?);
    let mut offers = Vec::new();
    while let Some(row) = sheet.next_row()? {
        let cloud: CloudId = name(&row, cloud)?;
        let of_type = types.get(&(cloud.clone(), name(&row, instance)?)).ok_or_else(|| {
            row.error(
                instance,
                Problem::NotAWord {
                    expected: "a type of types.csv",
                },
            )
        })?;
        let region = RegionKey {
            cloud,
            region: name(&row, region)?,
        };
        offers.push(Offer {
            key: OfferKey {
                region,
                instance: of_type.instance.clone(),
                zone: None,
            },
            vcpus: of_type.vcpus,
            capacity: of_type.capacity,
            arch: of_type.arch.clone(),
            accelerator: of_type.accelerator.clone(),
            on_demand: price(&row, on_demand, on_demand_list, lists)?,
            spot: price(&row, spot, spot_list, lists)?,
        });
    }
    Ok(offers)
}

fn price(row: &Row<'_>, column: Column, list: Column, lists: &Lists) -> Result<Option<Price>, CatalogueError> {
    let text = row.text(column);
    if text.is_empty() {
        return Ok(None);
    }
    let per_hour = text
        .parse()
        .map_err(|error: crate::QuantityError| row.error(column, error.into()))?;
    let (as_of, source) = lists.at(row, list)?;
    Ok(Some(Price {
        per_hour,
        as_of,
        source,
    }))
}

fn read_regions() -> Result<Vec<RegionInfo>, CatalogueError> {
    let mut sheet = Sheet::open(include_bytes!("builtin/regions.csv"), "builtin/regions.csv")?;
    let (cloud, region) = (sheet.column("cloud")?, sheet.column("region")?);
    let (country, union) = (sheet.column("country")?, sheet.column("union")?);
    let (lat, lon) = (sheet.column("lat_centidegrees")?, sheet.column("lon_centidegrees")?);
    let zones = sheet.column("zones")?;
    let mut regions = Vec::new();
    while let Some(row) = sheet.next_row()? {
        let mut jurisdictions = BTreeSet::from([name::<Jurisdiction>(&row, country)?]);
        if !row.text(union).is_empty() {
            jurisdictions.insert(name(&row, union)?);
        }
        let named: Result<Vec<ZoneName>, IdError> = row
            .text(zones)
            .split('|')
            .filter(|zone| !zone.is_empty())
            .map(ZoneName::new)
            .collect();
        let named = named.map_err(|error| row.error(zones, error.into()))?;
        regions.push(RegionInfo {
            key: RegionKey {
                cloud: name(&row, cloud)?,
                region: name::<RegionName>(&row, region)?,
            },
            jurisdictions,
            location: Some(GeoPoint {
                lat_centidegrees: signed(&row, lat)?,
                lon_centidegrees: signed(&row, lon)?,
            }),
            zones: named,
        });
    }
    Ok(regions)
}

fn read_egress(lists: &Lists) -> Result<Vec<EgressRule>, CatalogueError> {
    let mut sheet = Sheet::open(include_bytes!("builtin/egress.csv"), "builtin/egress.csv")?;
    let (cloud, scope) = (sheet.column("cloud")?, sheet.column("scope")?);
    let (from_regions, to_regions) = (sheet.column("from_regions")?, sheet.column("to_regions")?);
    let (tiers, list) = (sheet.column("tiers")?, sheet.column("list")?);
    let mut rules = Vec::new();
    while let Some(row) = sheet.next_row()? {
        let (as_of, source) = lists.at(&row, list)?;
        rules.push(EgressRule {
            from: name(&row, cloud)?,
            scope: match row.text(scope) {
                "inter-zone" => EgressScope::InterZone,
                "inter-region" => EgressScope::InterRegion,
                "internet" => EgressScope::Internet,
                _ => {
                    let expected = "`inter-zone`, `inter-region` or `internet`";
                    return Err(row.error(scope, Problem::NotAWord { expected }));
                }
            },
            from_regions: RegionPrefixes::new(row.text(from_regions)),
            to_regions: RegionPrefixes::new(row.text(to_regions)),
            tiers: row
                .text(tiers)
                .split('|')
                .map(|tier| tier_of(&row, tiers, tier))
                .collect::<Result<_, _>>()?,
            as_of,
            source,
        });
    }
    Ok(rules)
}

/// `10240:0.09`: up to 10,240 GiB, 0.09 USD per GiB; `*` is the open end.
fn tier_of(row: &Row<'_>, column: Column, tier: &str) -> Result<EgressTier, CatalogueError> {
    let expected = "tiers such as `100:0|10240:0.09|*:0.05`";
    let (edge, rate) = tier
        .split_once(':')
        .ok_or_else(|| row.error(column, Problem::NotAWord { expected }))?;
    let up_to = match edge {
        "*" => None,
        _ => Some(decimal(row, column, edge, 1 << 30).map(Bytes::from_bytes)?),
    };
    let per_gib: MicroUsd = rate
        .parse()
        .map_err(|error: crate::QuantityError| row.error(column, error.into()))?;
    Ok(EgressTier { up_to, per_gib })
}

fn name<T: std::str::FromStr<Err = IdError>>(row: &Row<'_>, column: Column) -> Result<T, CatalogueError> {
    row.text(column)
        .parse()
        .map_err(|error: IdError| row.error(column, error.into()))
}

fn figure(row: &Row<'_>, column: Column, scale: u64) -> Result<u64, CatalogueError> {
    decimal(row, column, row.text(column), scale)
}

fn decimal(row: &Row<'_>, column: Column, text: &str, scale: u64) -> Result<u64, CatalogueError> {
    scaled(text, scale, "amount", Fraction::Round, text).map_err(|error| row.error(column, error.into()))
}

fn signed(row: &Row<'_>, column: Column) -> Result<i32, CatalogueError> {
    row.text(column)
        .parse()
        .map_err(|_| row.error(column, Problem::NotANumber))
}
