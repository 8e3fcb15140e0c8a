//! Where the series of a report come from: files, this machine, or a generator.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use skyloom::core::{Sample, Timestamp};
use thiserror::Error;

use crate::stamp::time;

/// A named series in the order of its samples.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
    /// Rows that are no sample.
    pub(crate) refused: usize,
}

/// Why there is nothing to draw.
#[derive(Debug, Error)]
pub(crate) enum SeriesError {
    #[error("open `{path}`: {source}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("read `{path}`: {source}")]
    Read { path: PathBuf, source: csv::Error },
    #[error("find the columns `timestamp` and `value` in `{path}`")]
    Columns { path: PathBuf },
    #[error("find a CSV file in `{path}`")]
    Nothing { path: PathBuf },
    #[error("find two samples in `{path}`")]
    TooShort { path: PathBuf },
    #[error("watch this machine: it was too short for two samples")]
    TooQuick,
    #[error("watch this machine: {what}")]
    Host { what: String },
}

/// Every file, sorted by path.
pub(crate) fn read(input: &Path) -> Result<Vec<Named>, SeriesError> {
    let mut files = Vec::new();
    if input.is_dir() {
        collect(input, &mut files)?;
        files.sort();
    } else {
        files.push(input.to_owned());
    }
    if files.is_empty() {
        return Err(SeriesError::Nothing { path: input.to_owned() });
    }
    files.iter().map(|path| file(path, input)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), SeriesError> {
    let fail = |source| SeriesError::Open {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
            files.push(path);
        }
    }
    Ok(())
}

fn file(path: &Path, input: &Path) -> Result<Named, SeriesError> {
    let opened = fs::File::open(path).map_err(|source| SeriesError::Open {
        path: path.to_owned(),
        source,
    })?;
    let read = |source| SeriesError::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(opened);
    let headers = reader.headers().map_err(read)?;
    let is_named = |header: &str, name: &str| header.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name);
    let column = |name: &str| headers.iter().position(|header| is_named(header, name));
    let (Some(at), Some(value)) = (column("timestamp"), column("value")) else {
        return Err(SeriesError::Columns { path: path.to_owned() });
    };
    let mut named = Named {
        name: path.strip_prefix(input).unwrap_or(path).to_string_lossy().into_owned(),
        samples: Vec::new(),
        refused: 0,
    };
    if named.name.is_empty() {
        named.name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    }
    for row in reader.records() {
        let row = row.map_err(read)?;
        let at = row.get(at).and_then(time);
        let value = row.get(value).and_then(|text| text.trim().parse::<f64>().ok());
        match (at, value.filter(|value| value.is_finite())) {
            (Some(at), Some(value)) => named.samples.push(Sample { at, value }),
            _ => named.refused += 1,
        }
    }
    if named.samples.len() < 2 {
        return Err(SeriesError::TooShort { path: path.to_owned() });
    }
    Ok(named)
}

/// Time between two looks at this machine.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// This machine: what moved of its processors, memory, disks and networks.
#[cfg(target_os = "linux")]
pub(crate) fn live(wanted: Duration) -> Result<Vec<Named>, SeriesError> {
    use skyloom::runtime::sources::{GatherConfig, Gatherer, HostStats};
    use skyloom::runtime::{Clock, SystemClock};
    let (host, begun) = (HostStats::new(), Instant::now());
    let mut gatherer = Gatherer::new(GatherConfig::new().with_sizes(1000, 100_000));
    while begun.elapsed() < wanted {
        let now = SystemClock.now();
        let points = host.read(now).map_err(|error| SeriesError::Host {
            what: error.to_string(),
        })?;
        gatherer.take(points, now);
        thread::sleep(LOOK_EVERY);
    }
    let named = |(labels, series): (&skyloom::analytics::alert::Labels, &skyloom::core::Series)| Named {
        name: labels.get("__name__").to_owned()
            + &labels
                .iter()
                .filter(|(name, _)| *name != "__name__")
                .map(|(name, value)| format!(" {name}={value}"))
                .collect::<String>(),
        samples: series.samples().to_vec(),
        refused: 0,
    };
    let mut all: Vec<Named> = gatherer.all().map(named).filter(|one| one.samples.len() > 1).collect();
    if all.is_empty() {
        return Err(SeriesError::TooQuick);
    }
    // What moved most, for its size, is looked at first.
    all.sort_by(|a, b| {
        liveliness(b)
            .total_cmp(&liveliness(a))
            .then_with(|| a.name.cmp(&b.name))
    });
    Ok(all)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn live(_: Duration) -> Result<Vec<Named>, SeriesError> {
    let what = "its statistics are read on Linux only".to_owned();
    Err(SeriesError::Host { what })
}

/// How often a series changes.
fn liveliness(one: &Named) -> f64 {
    let changes = one
        .samples
        .windows(2)
        .filter(|w| w[0].value.total_cmp(&w[1].value).is_ne())
        .count();
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    count(changes) / count(one.samples.len())
}

/// Five-minute samples of a week.
const STEPS: u32 = 7 * 288;

/// A shop's week: latency with a daily rhythm, a spike and a level shift; requests; a disk that fills up.
pub(crate) fn generated() -> Vec<Named> {
    let mut noise = Noise(7);
    let names = ["checkout latency, ms", "requests per second", "disk used, %"];
    let mut all: Vec<Named> = names
        .iter()
        .map(|name| Named {
            name: (*name).to_owned(),
            samples: Vec::new(),
            refused: 0,
        })
        .collect();
    for step in 0..STEPS {
        let at = Timestamp::from_secs(1_767_225_600 + 300 * i64::from(step));
        let day = (f64::from(step % 288) / 288.0 * std::f64::consts::TAU - 2.2).sin();
        let weekend = if step / 288 % 7 >= 5 { 0.6 } else { 1.0 };
        let requests = (220.0 + 150.0 * day) * weekend + 9.0 * noise.next();
        let slow = if (1100..1106).contains(&step) { 160.0 } else { 0.0 };
        let moved = if step > 1650 { 22.0 } else { 0.0 };
        let latency = 80.0 + 25.0 * day * weekend + slow + moved + 3.0 * noise.next();
        let disk = 55.0 + 11.0 * f64::from(step) / f64::from(STEPS) + 0.15 * noise.next();
        for (one, value) in all.iter_mut().zip([latency, requests, disk]) {
            one.samples.push(Sample { at, value });
        }
    }
    all
}

/// Knuth's MMIX generator; the sum of four uniforms is nearly normal.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        let mut sum = -2.0;
        for _ in 0..4 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sum += f64::from(u32::try_from(self.0 >> 32).unwrap_or(0)) / 4_294_967_296.0;
        }
        sum * 1.7
    }
}
