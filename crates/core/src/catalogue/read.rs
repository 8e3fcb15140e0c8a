//! Reading price lists that others publish: SkyPilot's catalogue format and the flat format with a cloud per row.
//!
//! Text and bytes come in as arguments; fetching and unpacking them is the caller's. Prices are read as exact decimals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{
    Bytes, CloudId, Date, InstanceType, MicroUsdPerHour, Millicores, Milligpus, QuantityError, RegionInfo, RegionKey,
    RegionName, Resources, ZoneName,
};

use super::bounds::check_offer;
use super::sheet::{Column, Row, Sheet, shown};
use super::{
    ATTACHABLE_DISK, Accelerator, Catalogue, CatalogueError, CatalogueParts, Offer, OfferKey, Price, Problem, Purchase,
    Source, SourceId, sustained_cpu,
};
use crate::quantity::{Fraction, scaled};

/// What to do with a row that cannot become an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnRow {
    /// Leave it out and list it in [`ReadCatalogue::skipped`].
    Skip,
    /// Fail.
    Refuse,
}

/// How a price list is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CsvOptions {
    /// What errors call the input.
    pub file: String,
    /// Who published the prices.
    pub source: String,
    /// When the prices held.
    pub as_of: Date,
    /// Rows that price something else than a machine one can place on: no instance type, no region, no size, a machine
    /// without the devices it always comes with, a repeated row, or a name that is not a name here. Skipped unless set
    /// otherwise: published lists have them.
    pub unusable: OnRow,
    /// Rows with no price, a zero, negative or impossible one, or an impossible size. Refused unless set otherwise:
    /// where one figure is wrong, others may be.
    pub absurd: OnRow,
}

impl CsvOptions {
    /// Options for an input that errors call `file`, with prices that `source` published as of a date.
    #[must_use]
    pub fn new(file: impl Into<String>, source: impl Into<String>, as_of: Date) -> Self {
        Self {
            file: file.into(),
            source: source.into(),
            as_of,
            unusable: OnRow::Skip,
            absurd: OnRow::Refuse,
        }
    }

    /// The same with this treatment of rows that price no placeable machine.
    #[must_use]
    pub fn with_unusable(mut self, unusable: OnRow) -> Self {
        self.unusable = unusable;
        self
    }

    /// The same with this treatment of impossible figures.
    #[must_use]
    pub fn with_absurd(mut self, absurd: OnRow) -> Self {
        self.absurd = absurd;
        self
    }
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Line, from 1.
    pub line: u64,
    /// The column that says so.
    pub column: &'static str,
    /// What stands there, cut to a printable length.
    pub text: String,
    /// Why.
    pub reason: Problem,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column `{}`, `{}`: {}",
            self.line, self.column, self.text, self.reason
        )
    }
}

/// What a price list gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadCatalogue {
    /// The offers, with regions of which nothing is known but their zones. Merge it over [`Catalogue::builtin`] to give
    /// them jurisdictions and places.
    pub catalogue: Catalogue,
    /// Rows that were left out, by line.
    pub skipped: Vec<Skipped>,
}

impl Catalogue {
    /// Reads the flat format, whose header has these columns in any order, others among them:
    /// `cloud,instance_type,vcpus,memory_gib,accelerator,accelerator_count,arch,region,zone,price_usd_hour,spot_price_usd_hour`.
    ///
    /// Sizes in vCPUs and GiB, fractions allowed; prices in USD per hour, empty where there is none; zone empty where
    /// the price is per region. CPU is set to what can be sustained ([`sustained_cpu`]), disk to [`ATTACHABLE_DISK`].
    ///
    /// ```
    /// use skyloom_core::Catalogue;
    /// use skyloom_core::catalogue::CsvOptions;
    ///
    /// let text = "cloud,instance_type,vcpus,memory_gib,accelerator,accelerator_count,arch,region,zone,\
    ///             price_usd_hour,spot_price_usd_hour\n\
    ///             mine,big,16,64,,,x86_64,cellar,,0.5,\n";
    /// let read = Catalogue::read_csv(text.as_bytes(), &CsvOptions::new("mine.csv", "our own", "2026-11-01".parse()?))?;
    /// let catalogue = Catalogue::builtin().merge(read.catalogue)?;
    /// assert_eq!(catalogue.in_region(&"mine/cellar".parse()?).len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    ///
    /// # Errors
    /// - [`CatalogueError::NotUtf8`], [`CatalogueError::RowLength`]: the input is not a table of text.
    /// - [`CatalogueError::MissingColumn`], [`CatalogueError::RepeatedColumn`]: the header.
    /// - [`CatalogueError::Cell`]: a value that cannot be used, unless the options say to skip its row; always for two
    ///   rows of one key that contradict each other and for a figure that is not a number.
    /// - [`CatalogueError::TooManyRows`]: more than two million rows.
    pub fn read_csv(bytes: &[u8], options: &CsvOptions) -> Result<ReadCatalogue, CatalogueError> {
        let sheet = Sheet::open(bytes, &options.file)?;
        let columns = Columns {
            cloud: Cloud::Column(sheet.column("cloud")?),
            instance: sheet.column("instance_type")?,
            vcpus: sheet.column("vcpus")?,
            memory: sheet.column("memory_gib")?,
            accelerator: Some(sheet.column("accelerator")?),
            accelerator_count: Some(sheet.column("accelerator_count")?),
            arch: Some(sheet.column("arch")?),
            region: sheet.column("region")?,
            zone: Some(sheet.column("zone")?),
            on_demand: sheet.column("price_usd_hour")?,
            spot: Some(sheet.column("spot_price_usd_hour")?),
        };
        read_rows(sheet, &columns, options)
    }

    /// Reads a `vms.csv` of SkyPilot's catalogue. The file does not say its cloud, so the caller does.
    ///
    /// Its columns are `InstanceType`, `vCPUs`, `MemoryGiB`, `Price`, `Region`, and where the cloud has them
    /// `AcceleratorName`, `AcceleratorCount`, `SpotPrice`, `AvailabilityZone`; their order differs by cloud, and others
    /// (`GpuInfo`, `Generation`) are passed over. Otherwise as [`Catalogue::read_csv`]; the architecture is not known.
    ///
    /// # Errors
    /// As [`Catalogue::read_csv`].
    pub fn read_skypilot_csv(
        bytes: &[u8],
        cloud: &CloudId,
        options: &CsvOptions,
    ) -> Result<ReadCatalogue, CatalogueError> {
        let sheet = Sheet::open(bytes, &options.file)?;
        let columns = Columns {
            cloud: Cloud::Given(cloud.clone()),
            instance: sheet.column("InstanceType")?,
            vcpus: sheet.column("vCPUs")?,
            memory: sheet.column("MemoryGiB")?,
            accelerator: sheet.optional_column("AcceleratorName")?,
            accelerator_count: sheet.optional_column("AcceleratorCount")?,
            arch: None,
            region: sheet.column("Region")?,
            zone: sheet.optional_column("AvailabilityZone")?,
            on_demand: sheet.column("Price")?,
            spot: sheet.optional_column("SpotPrice")?,
        };
        read_rows(sheet, &columns, options)
    }
}

/// Where the cloud of a row stands.
#[derive(Debug)]
enum Cloud {
    Column(Column),
    Given(CloudId),
}

/// Which column means what.
#[derive(Debug)]
struct Columns {
    cloud: Cloud,
    instance: Column,
    vcpus: Column,
    memory: Column,
    accelerator: Option<Column>,
    accelerator_count: Option<Column>,
    arch: Option<Column>,
    region: Column,
    zone: Option<Column>,
    on_demand: Column,
    spot: Option<Column>,
}

/// Why a row gives no offer, and which treatment that gets.
#[derive(Debug)]
struct Fault {
    column: Column,
    problem: Problem,
    kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    /// [`CsvOptions::unusable`].
    Unusable,
    /// [`CsvOptions::absurd`].
    Absurd,
    /// Always an error.
    Fatal,
}

impl Fault {
    fn unusable(column: Column, problem: impl Into<Problem>) -> Self {
        Self {
            column,
            problem: problem.into(),
            kind: FaultKind::Unusable,
        }
    }

    /// A figure that could not be read: below zero or too large is absurd, no figure at all is fatal.
    fn figure(column: Column, error: QuantityError) -> Self {
        let problem = Problem::from(error);
        let kind = if problem == Problem::NotANumber {
            FaultKind::Fatal
        } else {
            FaultKind::Absurd
        };
        Self { column, problem, kind }
    }

    fn absurd(column: Column, problem: impl Into<Problem>) -> Self {
        Self {
            column,
            problem: problem.into(),
            kind: FaultKind::Absurd,
        }
    }
}

fn read_rows(mut sheet: Sheet<'_>, columns: &Columns, options: &CsvOptions) -> Result<ReadCatalogue, CatalogueError> {
    let mut offers: BTreeMap<OfferKey, (u64, Offer)> = BTreeMap::new();
    let mut skipped = Vec::new();
    while let Some(row) = sheet.next_row()? {
        let fault = match offer_of(&row, columns, options.as_of) {
            Ok(offer) => match offers.get(&offer.key) {
                None => {
                    offers.insert(offer.key.clone(), (row.line, offer));
                    continue;
                }
                Some((first, known)) => repeated(*first, *known == offer, columns),
            },
            Err(fault) => fault,
        };
        let on_row = match fault.kind {
            FaultKind::Unusable => options.unusable,
            FaultKind::Absurd => options.absurd,
            FaultKind::Fatal => OnRow::Refuse,
        };
        match on_row {
            OnRow::Refuse => return Err(row.error(fault.column, fault.problem)),
            OnRow::Skip => skipped.push(Skipped {
                line: row.line,
                column: fault.column.name,
                text: shown(row.text(fault.column)),
                reason: fault.problem,
            }),
        }
    }
    let offers: Vec<Offer> = offers.into_values().map(|(_, offer)| offer).collect();
    let regions = regions_of(&offers);
    let sources = vec![Source {
        name: options.source.clone(),
    }];
    let catalogue = Catalogue::new(CatalogueParts {
        offers,
        regions,
        egress: Vec::new(),
        sources,
    })?;
    Ok(ReadCatalogue { catalogue, skipped })
}

fn repeated(first: u64, equal: bool, columns: &Columns) -> Fault {
    let column = columns.instance;
    if equal {
        Fault::unusable(column, Problem::Repeated { first })
    } else {
        Fault {
            column,
            problem: Problem::Contradiction { first },
            kind: FaultKind::Fatal,
        }
    }
}

/// The regions that offers name, with the zones that they name.
fn regions_of(offers: &[Offer]) -> Vec<RegionInfo> {
    let mut regions: BTreeMap<&RegionKey, Vec<ZoneName>> = BTreeMap::new();
    for offer in offers {
        let zones = regions.entry(&offer.key.region).or_default();
        zones.extend(offer.key.zone.clone());
    }
    regions
        .into_iter()
        .map(|(key, mut zones)| {
            zones.sort();
            zones.dedup();
            RegionInfo {
                key: key.clone(),
                jurisdictions: BTreeSet::new(),
                location: None,
                zones,
            }
        })
        .collect()
}

fn offer_of(row: &Row<'_>, columns: &Columns, as_of: Date) -> Result<Offer, Fault> {
    // Figures first: a negative price is an error wherever it stands, also in a row that would be skipped.
    let on_demand = price(row, Some(columns.on_demand))?;
    let spot = price(row, columns.spot)?;
    let key = key_of(row, columns)?;
    let (vcpus, memory) = size(row, columns)?;
    let (accelerator, gpu) = devices(row, columns)?;
    if accelerator.is_none() && comes_with_devices(&key) {
        let column = columns.accelerator.unwrap_or(columns.instance);
        return Err(Fault::unusable(column, Problem::WithoutDevices));
    }
    let cpu = sustained_cpu(&key.region.cloud, &key.instance, vcpus);
    let dated = |per_hour| Price {
        per_hour,
        as_of,
        source: SourceId(0),
    };
    let offer = Offer {
        key,
        vcpus,
        capacity: Resources::new(cpu, memory).with_disk(ATTACHABLE_DISK).with_gpu(gpu),
        arch: row.optional_text(columns.arch).to_owned(),
        accelerator,
        on_demand: on_demand.map(dated),
        spot: spot.map(dated),
    };
    check_offer(&offer).map_err(|problem| Fault::absurd(culprit(&problem, columns), problem))?;
    Ok(offer)
}

/// The column that a failed check is about.
fn culprit(problem: &Problem, columns: &Columns) -> Column {
    match problem {
        Problem::AbsurdCpu { .. } | Problem::SustainedAboveNominal { .. } => columns.vcpus,
        Problem::AbsurdMemory { .. } => columns.memory,
        Problem::AbsurdAccelerators { .. } => columns.accelerator_count.unwrap_or(columns.instance),
        Problem::ZeroPrice {
            purchase: Purchase::Spot,
        }
        | Problem::NegativePrice {
            purchase: Purchase::Spot,
        }
        | Problem::AbsurdPrice {
            purchase: Purchase::Spot,
            ..
        } => columns.spot.unwrap_or(columns.on_demand),
        _ => columns.on_demand,
    }
}

/// A price, exact in decimal; `None` where the cell is empty.
fn price(row: &Row<'_>, column: Option<Column>) -> Result<Option<MicroUsdPerHour>, Fault> {
    let Some((column, text)) = column.map(|c| (c, row.text(c))).filter(|(_, text)| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|error| Fault::figure(column, error))
}

fn key_of(row: &Row<'_>, columns: &Columns) -> Result<OfferKey, Fault> {
    let cloud = match &columns.cloud {
        Cloud::Given(cloud) => cloud.clone(),
        Cloud::Column(column) => CloudId::new(row.text(*column)).map_err(|e| Fault::unusable(*column, e))?,
    };
    let instance = row.text(columns.instance);
    if instance.is_empty() {
        return Err(Fault::unusable(columns.instance, Problem::NoInstance));
    }
    let instance = InstanceType::new(instance).map_err(|e| Fault::unusable(columns.instance, e))?;
    let region = row.text(columns.region);
    if region.is_empty() {
        return Err(Fault::unusable(columns.region, Problem::NoRegion));
    }
    let region = RegionName::new(region).map_err(|e| Fault::unusable(columns.region, e))?;
    let zone = columns
        .zone
        .map(|column| (column, row.text(column)))
        .filter(|(_, text)| !text.is_empty());
    let zone = zone
        .map(|(column, text)| ZoneName::new(text).map_err(|e| Fault::unusable(column, e)))
        .transpose()?;
    Ok(OfferKey {
        region: RegionKey { cloud, region },
        instance,
        zone,
    })
}

fn size(row: &Row<'_>, columns: &Columns) -> Result<(Millicores, Bytes), Fault> {
    let vcpus = amount(row, columns.vcpus, 1000, "vCPU count")?;
    let memory = amount(row, columns.memory, 1 << 30, "amount of memory")?;
    Ok((Millicores::from_millicores(vcpus), Bytes::from_bytes(memory)))
}

/// A positive decimal times `scale`, rounded half up.
fn amount(row: &Row<'_>, column: Column, scale: u64, unit: &'static str) -> Result<u64, Fault> {
    let text = row.text(column);
    if text.is_empty() {
        return Err(Fault::unusable(column, Problem::SizeUnknown));
    }
    match scaled(text, scale, unit, Fraction::Round, &shown(text)) {
        Ok(0) => Err(Fault::unusable(column, Problem::SizeUnknown)),
        Ok(n) => Ok(n),
        Err(error) => Err(Fault::figure(column, error)),
    }
}

fn devices(row: &Row<'_>, columns: &Columns) -> Result<(Option<Accelerator>, Milligpus), Fault> {
    let name = row.optional_text(columns.accelerator);
    let counted = columns.accelerator_count.filter(|column| !row.text(*column).is_empty());
    let count = match counted {
        None => 0,
        Some(column) => {
            let text = row.text(column);
            scaled(text, 1000, "number of devices", Fraction::Round, &shown(text))
                .map_err(|error| Fault::figure(column, error))?
        }
    };
    if name.is_empty() != (count == 0) {
        let column = columns
            .accelerator_count
            .or(columns.accelerator)
            .unwrap_or(columns.instance);
        return Err(Fault::unusable(column, Problem::AcceleratorMismatch));
    }
    let accelerator = (!name.is_empty()).then(|| Accelerator { name: name.to_owned() });
    Ok((accelerator, Milligpus::from_milligpus(count)))
}

/// GCP families whose machines cannot be had without their devices. Some lists price the two in separate rows, and the
/// machine's row alone would look like a large machine at a third of its price; others price both and forget to name the
/// devices. The row does not tell which.
const GCP_DEVICE_FAMILIES: [&str; 6] = ["a2-", "a3-", "a4-", "a4x-", "g2-", "g4-"];

fn comes_with_devices(key: &OfferKey) -> bool {
    let name = key.instance.as_str();
    key.region.cloud.as_str() == "gcp" && GCP_DEVICE_FAMILIES.iter().any(|family| name.starts_with(family))
}
