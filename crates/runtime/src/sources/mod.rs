//! Where series come from: exporters that are asked, senders that push, the host, containers, log lines and drivers.
//!
//! Each source gives [`Point`]s and knows nothing of the others; [`Gatherer`] is where they become series. Deciding what a
//! value means belongs to `skyloom-analytics`, who is told to [`crate::alerting`].

mod cgroup;
mod derive;
mod exposition;
mod gatherer;
#[cfg(target_os = "linux")]
mod host;
mod logs;
#[cfg(feature = "otlp")]
mod otlp;
mod point;
#[cfg(feature = "receive")]
mod receiver;
#[cfg(feature = "remote-write")]
mod remote_write;
mod replicas;
mod scrape;

pub use cgroup::{CgroupError, CgroupStats};
pub use exposition::{ExpositionError, PAGE_SAMPLES_MAX, parse_exposition};
pub use gatherer::{Alarm, GatherConfig, Gatherer, Intake, Refusal};
#[cfg(target_os = "linux")]
pub use host::{HostError, HostStats};
pub use logs::{LinesTaken, LogLines};
#[cfg(feature = "otlp")]
pub use otlp::{OtlpEncoding, OtlpError, decode_otlp};
pub use point::{Kind, Point};
#[cfg(feature = "receive")]
pub use receiver::{CONNECTIONS_MAX, Receiver};
#[cfg(feature = "remote-write")]
pub use remote_write::{RemoteWriteError, decode_remote_write};
pub(crate) use replicas::points_of;
pub use scrape::{ScrapeError, Scraper};
