//! Statistics of a container: the files of its control group, version 2 or 1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::point::{Kind, Point};

/// A file of a control group is a screen of numbers.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// From here on a limit of version 1 means none: the largest number of whole pages.
const UNLIMITED: f64 = 9.0e18;

/// Why a container cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// The folder is no control group of either version.
    #[error("find a control group in `{folder}`")]
    Nothing {
        /// Which.
        folder: PathBuf,
    },
    /// A file that has to be there cannot be read.
    #[error("read `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// What was said.
        #[source]
        source: io::Error,
    },
    /// A file has another form.
    #[error("find a number in `{path}`")]
    Form {
        /// Which.
        path: PathBuf,
    },
}

impl CgroupError {
    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Nothing { .. } => Class::NotFound,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Class::NotFound,
            Self::File { .. } => Class::Denied,
            Self::Form { .. } => Class::Unsupported,
        }
    }
}

/// Where the files of a control group are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Version {
    /// One folder for everything.
    Two(PathBuf),
    /// A folder per controller: `ROOT/cpuacct/PATH`, `ROOT/memory/PATH`, …
    One { root: PathBuf, path: PathBuf },
}

/// The statistics of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupStats {
    name: String,
    version: Version,
}

impl CgroupStats {
    /// The control group at `path` (relative, as `/proc/PID/cgroup` shows it without the leading slash; empty for the
    /// whole mount) under the mount `root` (usually `/sys/fs/cgroup`). Its series have the label `container`.
    ///
    /// # Errors
    /// [`CgroupError::Nothing`] where there is none.
    pub fn find(
        name: impl Into<String>,
        root: impl Into<PathBuf>,
        path: impl Into<PathBuf>,
    ) -> Result<Self, CgroupError> {
        let (root, path) = (root.into(), path.into());
        let folder = root.join(&path);
        let version = if folder.join("cpu.stat").is_file() && folder.join("cgroup.procs").is_file() {
            Version::Two(folder)
        } else if root.join("memory").join(&path).join("memory.usage_in_bytes").is_file() {
            Version::One { root, path }
        } else {
            return Err(CgroupError::Nothing { folder });
        };
        let name = name.into();
        Ok(Self { name, version })
    }

    /// Everything as it is now: processor time and throttled time in seconds, memory and its limit in bytes, bytes read and
    /// written so far. A controller that is off for the group is left out.
    ///
    /// # Errors
    /// [`CgroupError`] names the file; the group may have ended.
    pub fn read(&self, at: Timestamp) -> Result<Vec<Point>, CgroupError> {
        let mut points = Vec::new();
        let mut put = |name: &str, kind, value: Option<f64>| {
            if let Some(value) = value {
                points.push(Point::new(name, &[("container", &self.name)], kind, at, value));
            }
        };
        let [cpu, throttled, memory, limit, read, written] = match &self.version {
            Version::Two(folder) => two(folder)?,
            Version::One { root, path } => one(root, path)?,
        };
        put("container_cpu_seconds_total", Kind::Counter, cpu);
        put("container_throttled_seconds_total", Kind::Counter, throttled);
        put("container_memory_bytes", Kind::Gauge, memory);
        put("container_memory_limit_bytes", Kind::Gauge, limit);
        put("container_disk_read_bytes_total", Kind::Counter, read);
        put("container_disk_written_bytes_total", Kind::Counter, written);
        Ok(points)
    }
}

type Figures = [Option<f64>; 6];

fn two(folder: &Path) -> Result<Figures, CgroupError> {
    let cpu = keyed(&folder.join("cpu.stat"), &["usage_usec", "throttled_usec"])?;
    let seconds = |micros: Option<f64>| micros.map(|micros| micros / 1e6);
    let io = text_if_there(&folder.join("io.stat"))?;
    // `8:0 rbytes=1 wbytes=2 rios=3 …` for each device.
    let moved = |key: &str| {
        let words = io.as_deref()?.split_ascii_whitespace();
        let figures = words.filter_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse::<f64>().ok());
        Some(figures.sum())
    };
    Ok([
        seconds(cpu[0]),
        seconds(cpu[1]),
        number_if_there(&folder.join("memory.current"))?,
        number_if_there(&folder.join("memory.max"))?,
        moved("rbytes"),
        moved("wbytes"),
    ])
}

fn one(root: &Path, path: &Path) -> Result<Figures, CgroupError> {
    let of = |controller: &str, file: &str| root.join(controller).join(path).join(file);
    let throttled = text_if_there(&of("cpu", "cpu.stat"))?;
    let throttled = throttled.as_deref().and_then(|text| value_of(text, "throttled_time"));
    let io = text_if_there(&of("blkio", "blkio.throttle.io_service_bytes"))?;
    // `8:0 Read 1` for each device and way.
    let moved = |way: &str| {
        let lines = io.as_deref()?.lines();
        let figures = lines.filter_map(|line| line.split_once(way)?.1.trim().parse::<f64>().ok());
        Some(figures.sum())
    };
    let seconds = |nanos: Option<f64>| nanos.map(|nanos| nanos / 1e9);
    Ok([
        seconds(number_if_there(&of("cpuacct", "cpuacct.usage"))?),
        seconds(throttled),
        number_if_there(&of("memory", "memory.usage_in_bytes"))?,
        number_if_there(&of("memory", "memory.limit_in_bytes"))?.filter(|limit| *limit < UNLIMITED),
        moved(" Read "),
        moved(" Write "),
    ])
}

fn text(path: &Path) -> Result<String, CgroupError> {
    use std::io::Read;
    let failed = |source| CgroupError::File {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn text_if_there(path: &Path) -> Result<Option<String>, CgroupError> {
    match text(path) {
        Ok(text) => Ok(Some(text)),
        Err(CgroupError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The only number of a file; `max` is none.
fn number_if_there(path: &Path) -> Result<Option<f64>, CgroupError> {
    let Some(text) = text_if_there(path)? else {
        return Ok(None);
    };
    match text.trim() {
        "max" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| CgroupError::Form { path: path.to_owned() }),
    }
}

fn keyed<const N: usize>(path: &Path, keys: &[&str; N]) -> Result<[Option<f64>; N], CgroupError> {
    let text = text(path)?;
    Ok(keys.map(|key| value_of(&text, key)))
}

/// The number after a key that begins a line.
fn value_of(text: &str, key: &str) -> Option<f64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}
