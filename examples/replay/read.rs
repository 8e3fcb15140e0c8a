//! The two lists, read strictly: a bad row names its file and line. Columns that are not known are passed over.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use skyloom::core::{Bytes, MachineId, Millicores, Milligpus, Resources};
use skyloom::scheduler::online::{NodeSpec, PodSpec};

const MIB: u64 = 1 << 20;

/// Why a list cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file as a whole.
    File { path: PathBuf, why: String },
    /// One row.
    Row { path: PathBuf, line: u64, why: String },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, why } => write!(f, "read `{}`: {why}", path.display()),
            Self::Row { path, line, why } => write!(f, "read {}:{line}: {why}", path.display()),
        }
    }
}

impl std::error::Error for ReadError {}

/// Nodes of a list.
pub(crate) fn nodes(path: &Path) -> Result<Vec<NodeSpec>, ReadError> {
    let rows = rows(path, &["sn", "cpu_milli", "memory_mib", "gpu", "model"])?;
    let node = |row: &Row| {
        let capacity = Resources::new(Millicores::from_millicores(row.number(1)?), row.memory(2)?);
        let gpus = Milligpus::from_milligpus(row.number(3)?);
        let gpus = gpus.checked_mul(1000).ok_or_else(|| row.bad("`gpu` is too large"))?;
        let id = MachineId::new(row.text(0)).map_err(|e| row.bad(&e.to_string()))?;
        Ok(NodeSpec::new(id, capacity.with_gpu(gpus)).with_gpu_model(row.text(4)))
    };
    rows.iter().map(node).collect()
}

/// Pods of a list, in its order.
pub(crate) fn pods(path: &Path) -> Result<Vec<PodSpec>, ReadError> {
    let rows = rows(
        path,
        &["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "?gpu_spec"],
    )?;
    let pod = |row: &Row| {
        let (count, each) = (row.number(3)?, row.number(4)?);
        let milligpus = match (count, each) {
            (0, _) => 0,
            (1, 1..=1000) => each,
            (_, 1000) => count
                .checked_mul(1000)
                .ok_or_else(|| row.bad("`num_gpu` is too large"))?,
            _ => {
                return Err(row.bad(&format!(
                    "{count} GPUs of {each} thousandths each: a share is of one GPU"
                )));
            }
        };
        let request = Resources::new(Millicores::from_millicores(row.number(1)?), row.memory(2)?);
        let mut pod = PodSpec::new(request.with_gpu(Milligpus::from_milligpus(milligpus)));
        if milligpus > 0 {
            let models = row.text(5).split('|').filter(|model| !model.is_empty());
            pod.gpu_models = models.map(str::to_owned).collect();
        }
        Ok(pod)
    };
    rows.iter().map(pod).collect()
}

/// One row, with the wanted columns in their order.
struct Row {
    path: PathBuf,
    line: u64,
    wanted: &'static [&'static str],
    fields: Vec<String>,
}

impl Row {
    fn text(&self, column: usize) -> &str {
        &self.fields[column]
    }

    fn number(&self, column: usize) -> Result<u64, ReadError> {
        let text = self.text(column);
        let parsed = text.parse::<u64>();
        parsed.map_err(|e| self.bad(&format!("`{}` is `{text}`: {e}", self.wanted[column])))
    }

    fn memory(&self, column: usize) -> Result<Bytes, ReadError> {
        let bytes = Bytes::from_bytes(self.number(column)?).checked_mul(MIB);
        bytes.ok_or_else(|| self.bad(&format!("`{}` is too large", self.wanted[column])))
    }

    fn bad(&self, why: &str) -> ReadError {
        ReadError::Row {
            path: self.path.clone(),
            line: self.line,
            why: why.to_owned(),
        }
    }
}

/// All rows; a column that is wanted with `?` may be missing, and is empty then.
fn rows(path: &Path, wanted: &'static [&'static str]) -> Result<Vec<Row>, ReadError> {
    let whole = |why: String| ReadError::File {
        path: path.to_owned(),
        why,
    };
    let file = File::open(path).map_err(|e| whole(e.to_string()))?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(file);
    let header = reader.headers().map_err(|e| whole(e.to_string()))?.clone();
    let place = |name: &&str| match (
        header.iter().position(|h| h == name.trim_start_matches('?')),
        name.starts_with('?'),
    ) {
        (Some(at), _) => Ok(Some(at)),
        (None, true) => Ok(None),
        (None, false) => Err(whole(format!("there is no column `{name}`"))),
    };
    let places: Vec<Option<usize>> = wanted.iter().map(place).collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| whole(e.to_string()))?;
        let mut row = Row {
            path: path.to_owned(),
            line: record.position().map_or(0, csv::Position::line),
            wanted,
            fields: Vec::new(),
        };
        for (place, name) in places.iter().zip(wanted) {
            let field = place.map_or(Some(""), |at| record.get(at));
            let optional = name.starts_with('?').then_some("");
            let field = field
                .or(optional)
                .ok_or_else(|| row.bad(&format!("`{name}` is missing")))?;
            row.fields.push(field.to_owned());
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(whole("there are no rows".to_owned()));
    }
    Ok(rows)
}
