//! Every policy over the same windows of every trace, and the table of what that costs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use skyloom::core::MicroUsdPerHour;
use skyloom::scheduler::risk::spot::policy::OnDemandOnly;
use skyloom::scheduler::risk::spot::{
    BuiltinPilot, JobTerms, Market, PILOTS, SpotJob, SpotZone, Window, optimum, replay,
};

use crate::traces::Track;
use crate::{Arguments, Failure};

/// One policy on one trace, or on all.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) policy: &'static str,
    /// Cost over that on demand.
    pub(crate) ratio: f64,
    pub(crate) missed: usize,
    pub(crate) evictions: f64,
    pub(crate) starts: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    trace: String,
    windows: usize,
    /// Share of the trace with spot somewhere.
    up: f64,
    entries: Vec<Entry>,
    optimum: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
    /// Traces that are shorter than one deadline.
    skipped: Vec<String>,
    /// Means over the traces.
    pub(crate) total: Vec<Entry>,
    pub(crate) optimum: f64,
    pub(crate) missed: usize,
}

/// What stays the same over all traces.
#[derive(Debug)]
pub(crate) struct Race {
    pilots: Vec<&'static BuiltinPilot>,
    work: Duration,
    deadline: Duration,
    restart: Duration,
    loss: Duration,
    on_demand: MicroUsdPerHour,
    spot: MicroUsdPerHour,
    starts: usize,
}

impl Race {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let pilots: Vec<&BuiltinPilot> = PILOTS
            .iter()
            .filter(|pilot| arguments.policy == "all" || arguments.policy == pilot.name)
            .collect();
        if pilots.is_empty() {
            let names: Vec<&str> = PILOTS.iter().map(|pilot| pilot.name).collect();
            return Err(format!(
                "find the policy `{}`: there are all, {}",
                arguments.policy,
                names.join(", ")
            )
            .into());
        }
        if arguments.starts == 0 {
            return Err("replay from zero starts".into());
        }
        Ok(Self {
            pilots,
            work: whole_seconds("work hours", arguments.work_hours * 3600.0)?,
            deadline: whole_seconds("slack", arguments.slack * arguments.work_hours * 3600.0)?,
            restart: whole_seconds("overhead minutes", arguments.overhead_minutes * 60.0)?,
            loss: whole_seconds("loss minutes", arguments.loss_minutes * 60.0)?,
            on_demand: arguments.on_demand_price.parse()?,
            spot: arguments.spot_price.parse()?,
            starts: arguments.starts,
        })
    }

    pub(crate) fn run(&self, tracks: &[Track]) -> Result<Report, Failure> {
        let mut report = Report {
            rows: Vec::new(),
            skipped: Vec::new(),
            total: Vec::new(),
            optimum: 0.0,
            missed: 0,
        };
        for track in tracks {
            match self.over(track)? {
                Some(row) => report.rows.push(row),
                None => report.skipped.push(track.name.clone()),
            }
        }
        if report.rows.is_empty() {
            return Err("find a trace that is as long as the deadline".into());
        }
        for (index, pilot) in self.pilots.iter().enumerate() {
            let entries = || report.rows.iter().map(|row| &row.entries[index]);
            report.total.push(Entry {
                policy: pilot.name,
                ratio: mean(entries().map(|entry| entry.ratio)),
                missed: entries().map(|entry| entry.missed).sum(),
                evictions: mean(entries().map(|entry| entry.evictions)),
                starts: mean(entries().map(|entry| entry.starts)),
            });
        }
        report.optimum = mean(report.rows.iter().map(|row| row.optimum));
        report.missed = report.total.iter().map(|entry| entry.missed).sum();
        Ok(report)
    }

    /// `None` for a trace that is shorter than the deadline.
    fn over(&self, track: &Track) -> Result<Option<Row>, Failure> {
        let job = SpotJob::new(&JobTerms {
            work: self.work,
            deadline: self.deadline,
            tick: Duration::from_secs(track.gap_seconds),
            restart: self.restart,
            loss: self.loss,
        })?;
        let zones = track.zones.iter().map(|name| SpotZone {
            name: name.clone(),
            price: self.spot,
        });
        let market = Market::new(self.on_demand, zones.collect())?;
        let ticks = usize::try_from(job.ticks())?;
        let Some(room) = track.points().checked_sub(ticks) else {
            return Ok(None);
        };
        let mut starts: Vec<usize> = (0..self.starts).map(|n| room * n / (self.starts - 1).max(1)).collect();
        starts.dedup();
        let mut windows = Vec::new();
        for start in &starts {
            windows.push(Window::new(&track.traces, *start, &job, &market)?);
        }
        let base = windows
            .iter()
            .map(|w| replay(&job, &market, *w, &mut OnDemandOnly).cost.as_usd());
        let base: Vec<f64> = base.collect();
        let entries = self.pilots.iter().map(|pilot| {
            let outcomes: Vec<_> = windows
                .iter()
                .map(|w| replay(&job, &market, *w, (pilot.new)().as_mut()))
                .collect();
            Entry {
                policy: pilot.name,
                ratio: mean(outcomes.iter().zip(&base).map(|(o, base)| o.cost.as_usd() / base)),
                missed: outcomes.iter().filter(|o| o.missed).count(),
                evictions: mean(outcomes.iter().map(|o| as_f64(o.evictions))),
                starts: mean(outcomes.iter().map(|o| as_f64(o.starts))),
            }
        });
        let up = (0..track.points()).filter(|tick| track.traces.iter().any(|trace| trace.up()[*tick]));
        Ok(Some(Row {
            trace: track.name.clone(),
            windows: windows.len(),
            up: as_f64(up.count() as u64) / as_f64(track.points() as u64),
            entries: entries.collect(),
            optimum: mean(
                windows
                    .iter()
                    .zip(&base)
                    .map(|(w, base)| optimum(&job, &market, *w).as_usd() / base),
            ),
        }))
    }
}

fn whole_seconds(what: &str, seconds: f64) -> Result<Duration, Failure> {
    let whole = Duration::try_from_secs_f64(seconds.round());
    whole.map_err(|_| format!("accept `{seconds}` seconds by {what}: they must be finite and not negative").into())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a replay, for a report")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count.max(1))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cost over that on demand\n")?;
        write!(f, "{:54} {:>4}", "trace", "up")?;
        for entry in &self.total {
            write!(f, " {:>16}", entry.policy)?;
        }
        writeln!(f, " {:>8}", "optimum")?;
        for row in &self.rows {
            write!(f, "{:54} {:>3.0}%", row.trace, row.up * 100.0)?;
            for entry in &row.entries {
                write!(f, " {:>16.4}", entry.ratio)?;
            }
            writeln!(f, " {:>8.4}", row.optimum)?;
        }
        write!(f, "{:59}", format!("mean of {} traces", self.rows.len()))?;
        for entry in &self.total {
            write!(f, " {:>16.4}", entry.ratio)?;
        }
        writeln!(f, " {:>8.4}", self.optimum)?;
        for (name, of) in [("starts", 0), ("evictions", 1), ("missed deadlines", 2)] {
            write!(f, "{name:59}")?;
            for entry in &self.total {
                match of {
                    0 => write!(f, " {:>16.1}", entry.starts)?,
                    1 => write!(f, " {:>16.1}", entry.evictions)?,
                    _ => write!(f, " {:>16}", entry.missed)?,
                }
            }
            writeln!(f)?;
        }
        for trace in &self.skipped {
            writeln!(f, "skipped, shorter than the deadline: {trace}")?;
        }
        Ok(())
    }
}
