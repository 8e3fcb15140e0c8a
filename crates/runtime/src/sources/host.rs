//! Statistics of the machine: processors, memory, disks, file systems and networks, as the kernel of Linux counts them.

use std::fs::File;
use std::path::{Path, PathBuf};

use procfs::prelude::{FromRead, FromReadSI};
use procfs::{DiskStats, ExplicitSystemInfo, KernelStats, LoadAverage, Meminfo, ProcError};
use skyloom_core::{Class, Timestamp};
use thiserror::Error;

use super::point::{Kind, Point};

/// Ticks per second in which the kernel tells processor time: fixed for programs, whatever its own clock is.
const TICKS_PER_SECOND: u64 = 100;
/// The unit of disk statistics, fixed in the kernel.
const SECTOR_BYTES: f64 = 512.0;
/// Most devices of one sort that are told about.
const DEVICES_MAX: usize = 64;

/// Why the machine cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// A file of the kernel.
    #[error("read `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// What was said.
        #[source]
        source: Box<ProcError>,
    },
}

impl HostError {
    /// [`Class::Unsupported`]: the kernel does not show it here.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Unsupported
    }
}

/// The machine's statistics, by their folder.
///
/// ```
/// use skyloom_core::Timestamp;
/// use skyloom_runtime::sources::HostStats;
///
/// let points = HostStats::new().read(Timestamp::EPOCH)?;
/// assert!(points.iter().any(|point| point.labels.get("__name__") == "host_memory_available_bytes"));
/// # Ok::<(), skyloom_runtime::sources::HostError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HostStats {
    proc: PathBuf,
    file_systems: Vec<PathBuf>,
}

impl Default for HostStats {
    fn default() -> Self {
        Self::new()
    }
}

impl HostStats {
    /// This machine, and the file system of `/`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            proc: PathBuf::from("/proc"),
            file_systems: vec![PathBuf::from("/")],
        }
    }

    /// The same read from another folder: the host's, mounted into a container.
    #[must_use]
    pub fn with_proc(mut self, folder: impl Into<PathBuf>) -> Self {
        self.proc = folder.into();
        self
    }

    /// The same with the file systems of these paths.
    #[must_use]
    pub fn with_file_systems(mut self, paths: Vec<PathBuf>) -> Self {
        self.file_systems = paths;
        self
    }

    /// Everything as it is now: processor time in seconds by mode, memory and file systems in bytes, disks and networks in
    /// bytes so far, load averages. File systems that cannot be read are left out.
    ///
    /// # Errors
    /// [`HostError`] names the file.
    pub fn read(&self, at: Timestamp) -> Result<Vec<Point>, HostError> {
        let mut points = Vec::new();
        let mut put = |name: &str, labels: &[(&str, &str)], kind, value| {
            points.push(Point::new(name, labels, kind, at, value));
        };
        self.processors(&mut put)?;
        self.memory(&mut put)?;
        self.disks(&mut put)?;
        self.networks(&mut put)?;
        self.space(&mut put);
        Ok(points)
    }

    fn processors(&self, put: &mut impl FnMut(&str, &[(&str, &str)], Kind, f64)) -> Result<(), HostError> {
        // Times come in ticks; what else is in here is not used.
        let system = ExplicitSystemInfo {
            boot_time_secs: 0,
            ticks_per_second: TICKS_PER_SECOND,
            page_size: 4096,
            is_little_endian: cfg!(target_endian = "little"),
        };
        let stats = self.file("stat", |file| KernelStats::from_read(file, &system))?;
        let total = &stats.total;
        let modes = [
            ("user", Some(total.user)),
            ("nice", Some(total.nice)),
            ("system", Some(total.system)),
            ("idle", Some(total.idle)),
            ("iowait", total.iowait),
            ("irq", total.irq),
            ("softirq", total.softirq),
            ("steal", total.steal),
        ];
        for (mode, ticks) in modes {
            if let Some(ticks) = ticks {
                let seconds = number(ticks) / number(TICKS_PER_SECOND);
                put("host_cpu_seconds_total", &[("mode", mode)], Kind::Counter, seconds);
            }
        }
        put("host_cpus", &[], Kind::Gauge, number(stats.cpu_time.len() as u64));
        let load = self.file("loadavg", LoadAverage::from_read)?;
        put("host_load1", &[], Kind::Gauge, f64::from(load.one));
        Ok(())
    }

    fn memory(&self, put: &mut impl FnMut(&str, &[(&str, &str)], Kind, f64)) -> Result<(), HostError> {
        let memory = self.file("meminfo", Meminfo::from_read)?;
        put("host_memory_total_bytes", &[], Kind::Gauge, number(memory.mem_total));
        let available = memory.mem_available.unwrap_or(memory.mem_free);
        put("host_memory_available_bytes", &[], Kind::Gauge, number(available));
        let swap = memory.swap_total.saturating_sub(memory.swap_free);
        put("host_swap_used_bytes", &[], Kind::Gauge, number(swap));
        Ok(())
    }

    fn disks(&self, put: &mut impl FnMut(&str, &[(&str, &str)], Kind, f64)) -> Result<(), HostError> {
        let disks = self.file("diskstats", DiskStats::from_read)?;
        let told = disks.0.iter().filter(|disk| disk.reads + disk.writes > 0);
        for disk in told.take(DEVICES_MAX) {
            let labels = [("device", disk.name.as_str())];
            let read = number(disk.sectors_read) * SECTOR_BYTES;
            let written = number(disk.sectors_written) * SECTOR_BYTES;
            put("host_disk_read_bytes_total", &labels, Kind::Counter, read);
            put("host_disk_written_bytes_total", &labels, Kind::Counter, written);
            let busy = number(disk.time_in_progress) / 1e3;
            put("host_disk_busy_seconds_total", &labels, Kind::Counter, busy);
        }
        Ok(())
    }

    fn networks(&self, put: &mut impl FnMut(&str, &[(&str, &str)], Kind, f64)) -> Result<(), HostError> {
        use procfs::net::InterfaceDeviceStatus;
        let networks = self.file("net/dev", InterfaceDeviceStatus::from_read)?;
        let mut devices: Vec<_> = networks.0.values().collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        for device in devices.into_iter().take(DEVICES_MAX) {
            let labels = [("device", device.name.as_str())];
            let (received, sent) = (number(device.recv_bytes), number(device.sent_bytes));
            put("host_network_received_bytes_total", &labels, Kind::Counter, received);
            put("host_network_sent_bytes_total", &labels, Kind::Counter, sent);
        }
        Ok(())
    }

    fn space(&self, put: &mut impl FnMut(&str, &[(&str, &str)], Kind, f64)) {
        for path in self.file_systems.iter().take(DEVICES_MAX) {
            let Ok(space) = rustix::fs::statvfs(path) else {
                tracing::debug!(path = %path.display(), "a file system could not be read");
                continue;
            };
            let mount = path.to_string_lossy();
            let labels = [("mount", mount.as_ref())];
            let bytes = |blocks: u64| number(blocks.saturating_mul(space.f_frsize));
            put(
                "host_filesystem_size_bytes",
                &labels,
                Kind::Gauge,
                bytes(space.f_blocks),
            );
            put(
                "host_filesystem_available_bytes",
                &labels,
                Kind::Gauge,
                bytes(space.f_bavail),
            );
        }
    }

    fn file<T>(&self, name: &str, read: impl FnOnce(File) -> Result<T, ProcError>) -> Result<T, HostError> {
        let path = self.proc.join(name);
        let opened = File::open(&path).map_err(|error| ProcError::Io(error, Some(path.clone())));
        opened.and_then(read).map_err(|source| failed(&path, source))
    }
}

fn failed(path: &Path, source: ProcError) -> HostError {
    HostError::File {
        path: path.to_owned(),
        source: Box::new(source),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counters beyond 2^53 lose their last digits, not their rate"
)]
fn number(count: u64) -> f64 {
    count as f64
}
