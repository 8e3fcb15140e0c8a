//! `detect`: the same rows with what the default detector says about each, at the same relative path.
//!
//! One pass in file order, fixed defaults, no label and no look-ahead: a row's verdict depends on the rows above it only.
//! Rows that cannot be judged (no number, NaN, infinite) stay, and their reason says so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use skyloom::analytics::detect::{Detector, Verdict};
use skyloom::core::{Sample, Timestamp};
use thiserror::Error;

use crate::stamp::time;

/// What `detect` reads and writes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A CSV file with the columns `timestamp` and `value`, or a folder with such files at any depth.
    #[arg(long)]
    input: PathBuf,
    /// The folder to write to: for each file one at the same relative path.
    #[arg(long)]
    out: PathBuf,
}

/// Why files cannot be judged.
#[derive(Debug, Error)]
pub(crate) enum DetectFilesError {
    #[error("open `{path}`: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("write `{path}`: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("read `{path}`: {source}")]
    Read { path: PathBuf, source: csv::Error },
    #[error("find the columns `timestamp` and `value` in `{path}`")]
    Columns { path: PathBuf },
    #[error("find a CSV file in `{path}`")]
    Nothing { path: PathBuf },
    #[error("keep every row of `{path}`: {rows} read, {written} written")]
    Rows { path: PathBuf, rows: usize, written: usize },
}

/// What was done with one file.
struct Done {
    rows: usize,
    alarms: usize,
    refused: usize,
}

/// Judges every file.
pub(crate) fn run(args: Args) -> Result<(), DetectFilesError> {
    let Args { input, out } = args;
    let mut files = Vec::new();
    if input.is_dir() {
        collect(&input, &mut files)?;
        files.sort();
    } else {
        files.push(input.clone());
    }
    if files.is_empty() {
        return Err(DetectFilesError::Nothing { path: input });
    }
    let (mut rows, mut alarms, mut refused) = (0, 0, 0);
    for path in &files {
        let relative = match path.strip_prefix(&input) {
            Ok(relative) if !relative.as_os_str().is_empty() => relative,
            _ => Path::new(path.file_name().unwrap_or(path.as_os_str())),
        };
        let done = file(path, &out.join(relative))?;
        (rows, alarms, refused) = (rows + done.rows, alarms + done.alarms, refused + done.refused);
    }
    println!(
        "{} files, {rows} rows, {alarms} alarms, {refused} rows not judged",
        files.len()
    );
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DetectFilesError> {
    let fail = |source| DetectFilesError::Open {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
        {
            files.push(path);
        }
    }
    Ok(())
}

fn file(from: &Path, to: &Path) -> Result<Done, DetectFilesError> {
    let read = |source| DetectFilesError::Read {
        path: from.to_owned(),
        source,
    };
    let write = |source| DetectFilesError::Write {
        path: to.to_owned(),
        source,
    };
    let opened = fs::File::open(from).map_err(|source| DetectFilesError::Open {
        path: from.to_owned(),
        source,
    })?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(io::BufReader::new(opened));
    let headers = reader.headers().map_err(read)?;
    let column = |name: &str| {
        headers
            .iter()
            .position(|h| h.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name))
    };
    let (Some(at), Some(value)) = (column("timestamp"), column("value")) else {
        return Err(DetectFilesError::Columns { path: from.to_owned() });
    };
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(write)?;
    }
    let mut writer = csv::Writer::from_path(to).map_err(|error| write(error.into()))?;
    let mut put = |row: [&str; 5]| writer.write_record(row).map_err(|error| write(error.into()));
    put(["timestamp", "value", "anomaly_score", "is_anomaly", "reason"])?;
    let mut judge = Judge::default();
    let mut done = Done {
        rows: 0,
        alarms: 0,
        refused: 0,
    };
    let mut written = 0;
    for row in reader.records() {
        let row = row.map_err(read)?;
        done.rows += 1;
        let (at, value) = (row.get(at).unwrap_or_default(), row.get(value).unwrap_or_default());
        let (score, is_anomaly, reason) = match judge.push(at, value) {
            Some(verdict) => (verdict.score, verdict.is_anomaly, reason(&verdict)),
            None => (0.0, false, "not judged: the value is no finite number".to_owned()),
        };
        done.alarms += usize::from(is_anomaly);
        done.refused += usize::from(reason.starts_with("not judged"));
        put([
            at,
            value,
            &score.to_string(),
            if is_anomaly { "true" } else { "false" },
            &reason,
        ])?;
        written += 1;
    }
    writer.flush().map_err(write)?;
    // The chapter's assertion.
    if written != done.rows {
        return Err(DetectFilesError::Rows {
            path: from.to_owned(),
            rows: done.rows,
            written,
        });
    }
    Ok(done)
}

fn reason(verdict: &Verdict) -> String {
    let band = verdict.band;
    format!("{verdict}; expected {} to {}", shown(band.lo), shown(band.hi))
}

/// Six significant digits, whatever the unit.
fn shown(value: f64) -> String {
    let plain = 1e-3..1e9;
    if value.abs() < f64::MIN_POSITIVE || plain.contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.5e}")
    }
}

/// The detector and the last time that could be read: a row whose time cannot be read is taken to be at that one.
struct Judge {
    detector: Detector,
    last: Timestamp,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            detector: Detector::new(),
            last: Timestamp::EPOCH,
        }
    }
}

impl Judge {
    fn push(&mut self, at: &str, value: &str) -> Option<Verdict> {
        self.last = time(at).unwrap_or(self.last);
        let value = value.trim().parse().ok()?;
        self.detector.push(Sample { at: self.last, value }).ok()
    }
}
