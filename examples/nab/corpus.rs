//! Reading the benchmark's folder: series in file order, labelled windows as rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use skyloom::core::{Sample, Timestamp};

use crate::Failure;

/// Share of a file that is not scored, and the length up to which that share grows.
const PROBATION_SHARE: f64 = 0.15;
const PROBATION_LEN_MAX: f64 = 5000.0;

/// One series of the benchmark.
#[derive(Debug)]
pub(crate) struct File {
    /// `group/name.csv`.
    pub(crate) name: String,
    /// As they stand in the file: repeated and backward stamps included.
    pub(crate) samples: Vec<Sample>,
    /// First and last row of each labelled window.
    pub(crate) windows: Vec<(usize, usize)>,
    /// Rows at the start that are not scored.
    pub(crate) probation: usize,
}

impl File {
    pub(crate) fn group(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// All files of the benchmark, by name.
pub(crate) fn read(folder: &Path) -> Result<Vec<File>, Failure> {
    let labels = folder.join("labels/combined_windows.json");
    let text = fs::read_to_string(&labels).map_err(|error| format!("read `{}`: {error}", labels.display()))?;
    let windows: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&text)?;
    windows
        .into_iter()
        .map(|(name, windows)| file(folder, name, &windows))
        .collect()
}

fn file(folder: &Path, name: String, windows: &[[String; 2]]) -> Result<File, Failure> {
    let path = folder.join("data").join(&name);
    let mut reader = csv::Reader::from_path(&path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
    let mut samples = Vec::new();
    for row in reader.records() {
        let row = row?;
        let at = stamp(row.get(0).unwrap_or_default())?;
        let value = row.get(1).unwrap_or_default().trim().parse()?;
        samples.push(Sample { at, value });
    }
    // A window begins and ends with the first row of its stamps.
    let row = |text: &str| {
        let at = stamp(text)?;
        let found = samples.iter().position(|sample| sample.at == at);
        found.ok_or_else(|| Failure::from(format!("find a row at `{text}` in `{name}`")))
    };
    let windows = windows
        .iter()
        .map(|[from, to]| Ok((row(from)?, row(to)?)))
        .collect::<Result<_, Failure>>()?;
    let len = f64::from(u32::try_from(samples.len())?);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 750"
    )]
    let probation = (PROBATION_SHARE * len.min(PROBATION_LEN_MAX)).floor() as usize;
    Ok(File {
        name,
        samples,
        windows,
        probation,
    })
}

/// `YYYY-MM-DD HH:MM:SS`, of universal time, with or without a fraction.
fn stamp(text: &str) -> Result<Timestamp, Failure> {
    let whole = text.trim().split('.').next().unwrap_or_default();
    let rfc = format!("{}Z", whole.replace(' ', "T"));
    Ok(rfc
        .parse()
        .map_err(|error| format!("read the time `{text}`: {error}"))?)
}
