//! Two tables become a question. Columns are found by their names; a column that both tables have and that is none of
//! the known ones is one more resource. What a purchase is does not belong here.

use std::fmt;
use std::path::Path;

use csv::ByteRecord;
use skyloom::scheduler::fleet::{Amounts, DIMENSIONS_MAX, Devices, FleetProblem, MachineOffer, Workload};

use crate::decimal::Decimal;

/// Columns of which every question has both.
const RESOURCES: [&str; 2] = ["cpu_milli", "mem_mib"];
/// Columns of the types that are no resource.
const OF_TYPES: [&str; 4] = ["cloud", "type", "gpus", "price"];
/// Columns of the pods that are no resource.
const OF_PODS: [&str; 2] = ["gpus", "gpu_milli"];
/// Columns that only name a row.
const NAMES: [&str; 6] = ["name", "pod", "pod_name", "id", "namespace", "row"];

/// Digits after the point that a price can have.
const PRICE_DECIMALS: u32 = 9;

/// What the parts of a question are called in its tables.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) types: Vec<TypeName>,
    /// Digits after the point that each resource is counted with.
    pub(crate) decimals: Vec<u32>,
}

/// What an offer is called.
#[derive(Debug)]
pub(crate) struct TypeName {
    pub(crate) cloud: String,
    pub(crate) name: String,
}

/// A table that cannot be used, and where.
#[derive(Debug)]
pub(crate) struct SheetError {
    path: String,
    /// Counted from 1; 0 when the whole file is meant.
    line: u64,
    what: String,
}

impl fmt::Display for SheetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what } = self;
        if *line == 0 {
            write!(f, "read {path}: {what}")
        } else {
            write!(f, "read {path}:{line}: {what}")
        }
    }
}

impl std::error::Error for SheetError {}

/// A file with its header read.
struct Sheet {
    path: String,
    text: Vec<u8>,
    columns: Vec<String>,
}

impl Sheet {
    fn open(path: &Path) -> Result<Self, SheetError> {
        let shown = path.display().to_string();
        let error = |line, what: String| SheetError {
            path: shown.clone(),
            line,
            what,
        };
        let text = std::fs::read(path).map_err(|cause| error(0, cause.to_string()))?;
        let mut reader = reader(&text);
        let header = reader.byte_headers().map_err(|cause| error(1, cause.to_string()))?;
        let name = |cell: &[u8]| String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').to_owned();
        let columns: Vec<String> = header.iter().map(name).collect();
        for (at, column) in columns.iter().enumerate() {
            if columns[..at].contains(column) {
                return Err(error(1, format!("column `{column}` is there twice")));
            }
        }
        Ok(Self {
            path: shown,
            text,
            columns,
        })
    }

    fn error(&self, line: u64, what: String) -> SheetError {
        SheetError {
            path: self.path.clone(),
            line,
            what,
        }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    fn required(&self, name: &str) -> Result<usize, SheetError> {
        self.column(name)
            .ok_or_else(|| self.error(1, format!("column `{name}` is missing")))
    }

    /// Calls `each` with every row.
    fn rows(&self, mut each: impl FnMut(Row<'_>) -> Result<(), SheetError>) -> Result<(), SheetError> {
        let mut reader = reader(&self.text);
        let mut record = ByteRecord::new();
        loop {
            let more = reader.read_byte_record(&mut record).map_err(|cause| {
                let line = cause.position().map_or(0, csv::Position::line);
                self.error(line, cause.to_string())
            })?;
            if !more {
                return Ok(());
            }
            each(Row {
                sheet: self,
                record: &record,
            })?;
        }
    }
}

fn reader(text: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text)
}

#[derive(Clone, Copy)]
struct Row<'a> {
    sheet: &'a Sheet,
    record: &'a ByteRecord,
}

impl Row<'_> {
    fn error(&self, column: usize, what: &str) -> SheetError {
        let line = self.record.position().map_or(0, csv::Position::line);
        let name = &self.sheet.columns[column];
        self.sheet.error(line, format!("column `{name}`: {what}"))
    }

    fn text(&self, column: usize) -> String {
        String::from_utf8_lossy(self.record.get(column).unwrap_or_default()).into_owned()
    }

    fn decimal(&self, column: usize) -> Result<Decimal, SheetError> {
        let cell = self.record.get(column).unwrap_or_default();
        let text = std::str::from_utf8(cell).map_err(|_| self.error(column, "not UTF-8"))?;
        Decimal::parse(text).map_err(|what| self.error(column, &what))
    }

    /// A whole number; 0 where the table has no such column.
    fn count(&self, column: Option<usize>) -> Result<u32, SheetError> {
        let Some(column) = column else { return Ok(0) };
        let decimal = self.decimal(column)?;
        let whole = decimal.in_units(0).filter(|_| decimal.decimals() == 0);
        whole.and_then(|whole| u32::try_from(whole).ok()).ok_or_else(|| {
            self.error(
                column,
                &format!("`{}` is not a whole number that can be", self.text(column)),
            )
        })
    }

    fn amounts(&self, resources: &Resources, columns: &[usize]) -> Result<Amounts, SheetError> {
        let mut amounts = Amounts::default();
        for ((amount, column), decimals) in amounts.0.iter_mut().zip(columns).zip(&resources.decimals) {
            let value = self.decimal(*column)?.in_units(*decimals);
            *amount = value.ok_or_else(|| self.error(*column, "more than can be counted"))?;
        }
        Ok(amounts)
    }
}

/// What adds up on a machine, and where it stands in the two tables.
struct Resources {
    names: Vec<String>,
    in_types: Vec<usize>,
    in_pods: Vec<usize>,
    /// Digits after the point that any amount has.
    decimals: Vec<u32>,
}

impl Resources {
    fn of(types: &Sheet, pods: &Sheet) -> Result<Self, SheetError> {
        let mut names: Vec<String> = RESOURCES.map(str::to_owned).to_vec();
        let known = |column: &str, own: &[&str]| {
            own.contains(&column) || NAMES.contains(&column) || RESOURCES.contains(&column)
        };
        for column in types.columns.iter().filter(|column| !known(column, &OF_TYPES)) {
            let there = pods.column(column).is_some();
            names.extend(there.then(|| column.clone()));
            if !there {
                return Err(types.error(1, format!("column `{column}` is unknown and not in {}", pods.path)));
            }
        }
        if let Some(column) = pods.columns.iter().find(|c| !known(c, &OF_PODS) && !names.contains(c)) {
            return Err(pods.error(1, format!("column `{column}` is unknown and not in {}", types.path)));
        }
        if names.len() > DIMENSIONS_MAX {
            let what = format!("`{}` resources, at most `{DIMENSIONS_MAX}` are possible", names.len());
            return Err(types.error(1, what));
        }
        let columns = |sheet: &Sheet| {
            names
                .iter()
                .map(|name| sheet.required(name))
                .collect::<Result<Vec<_>, _>>()
        };
        let (in_types, in_pods) = (columns(types)?, columns(pods)?);
        let mut decimals = vec![0; names.len()];
        for (sheet, columns) in [(types, &in_types), (pods, &in_pods)] {
            sheet.rows(|row| {
                for (decimals, column) in decimals.iter_mut().zip(columns) {
                    *decimals = row.decimal(*column)?.decimals().max(*decimals);
                }
                Ok(())
            })?;
        }
        Ok(Self {
            names,
            in_types,
            in_pods,
            decimals,
        })
    }
}

/// Reads both tables.
pub(crate) fn read(types: &Path, pods: &Path) -> Result<(Names, FleetProblem), SheetError> {
    let (types, pods) = (Sheet::open(types)?, Sheet::open(pods)?);
    let resources = Resources::of(&types, &pods)?;
    let mut problem = FleetProblem::new(resources.names.clone());
    let types = read_types(&types, &resources, &mut problem)?;
    read_pods(&pods, &resources, &mut problem)?;
    let decimals = resources.decimals;
    Ok((Names { types, decimals }, problem))
}

fn read_types(sheet: &Sheet, resources: &Resources, problem: &mut FleetProblem) -> Result<Vec<TypeName>, SheetError> {
    let (cloud, name, price) = (
        sheet.required("cloud")?,
        sheet.required("type")?,
        sheet.required("price")?,
    );
    let devices = sheet.column("gpus");
    let mut names = Vec::new();
    sheet.rows(|row| {
        let nano = row.decimal(price)?.in_units(PRICE_DECIMALS);
        problem.offers.push(MachineOffer {
            capacity: row.amounts(resources, &resources.in_types)?,
            devices: row.count(devices)?,
            nano_usd_per_hour: nano.ok_or_else(|| row.error(price, "more than can be counted"))?,
        });
        names.push(TypeName {
            cloud: row.text(cloud),
            name: row.text(name),
        });
        Ok(())
    })?;
    Ok(names)
}

fn read_pods(sheet: &Sheet, resources: &Resources, problem: &mut FleetProblem) -> Result<(), SheetError> {
    let gpus = sheet.column("gpus");
    let milli = sheet.column("gpu_milli").or(gpus);
    sheet.rows(|row| {
        let whole = row.count(gpus)?;
        let milli_of_each = if milli == gpus { 1000 } else { row.count(milli)? };
        let devices = match (whole, milli_of_each) {
            (0, _) => Devices::None,
            (whole, 1000) => Devices::Whole(whole),
            (1, share @ 1..1000) => Devices::Share(share),
            (_, share) => {
                let what = format!("`{share}` thousandths of each of `{whole}` devices cannot be given");
                return Err(row.error(milli.unwrap_or_default(), &what));
            }
        };
        problem.workloads.push(Workload {
            need: row.amounts(resources, &resources.in_pods)?,
            devices,
            copies: 1,
            per_machine_max: None,
            eligible: None,
        });
        Ok(())
    })
}
