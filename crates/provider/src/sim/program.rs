//! What the replicas of a simulated cloud do, since no program really runs: how long, how it ends, what it prints.

use std::time::Duration;

use skyloom_core::{Bytes, RunSpec};

use super::bill::Destination;
use crate::PerMille;

/// The behaviour of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimProgram {
    pub(super) runs_for: Option<Duration>,
    pub(super) exit_code: i32,
    pub(super) stops_in: Duration,
    pub(super) prints: Vec<String>,
    pub(super) load: PerMille,
    pub(super) network_per_second: Bytes,
    pub(super) sends: Vec<(Destination, Bytes)>,
}

impl SimProgram {
    /// Runs until it is stopped, ends one second after SIGTERM, uses a tenth of the CPU that it asked for, and sends
    /// and receives nothing.
    #[must_use]
    pub const fn service() -> Self {
        Self {
            runs_for: None,
            exit_code: 0,
            stops_in: Duration::from_secs(1),
            prints: Vec::new(),
            load: PerMille::new(100),
            network_per_second: Bytes::ZERO,
            sends: Vec::new(),
        }
    }

    /// Ends by itself after this long with this exit code; otherwise like [`Self::service`].
    #[must_use]
    pub const fn job(runs_for: Duration, exit_code: i32) -> Self {
        let mut program = Self::service();
        program.runs_for = Some(runs_for);
        program.exit_code = exit_code;
        program
    }

    /// The same, ending this long after SIGTERM. Where that is beyond the grace, it is killed at the end of the grace.
    #[must_use]
    pub const fn stopping_in(mut self, stops_in: Duration) -> Self {
        self.stops_in = stops_in;
        self
    }

    /// The same, printing these lines at each start. For a command run by `exec`: all that it prints.
    #[must_use]
    pub fn printing<L: Into<String>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.prints = lines.into_iter().map(Into::into).collect();
        self
    }

    /// The same, using this share of the CPU that the replica asked for.
    #[must_use]
    pub const fn with_load(mut self, load: PerMille) -> Self {
        self.load = load;
        self
    }

    /// The same, sending this many bytes per second and receiving as many.
    #[must_use]
    pub const fn with_network(mut self, per_second: Bytes) -> Self {
        self.network_per_second = per_second;
        self
    }

    /// The same, sending this many bytes per second there while it runs, besides what it does otherwise: what leaves its
    /// region is charged.
    #[must_use]
    pub fn sending(mut self, to: Destination, per_second: Bytes) -> Self {
        self.sends.push((to, per_second));
        self
    }
}

/// The name by which a program is looked up: first word of the command, else the image.
pub(super) fn program_name(run: &RunSpec) -> Option<&str> {
    run.command.first().or(run.image.as_ref()).map(String::as_str)
}
