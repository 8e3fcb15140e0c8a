//! Spot under a deadline: what every policy of the table pays over recorded traces, against on demand and the optimum.
//!
//! The reader learns how much of the saving of somebody who knows the future a policy reaches that does not, that no
//! policy misses a deadline under the safety net, and how little a trace file needs. The columns of the file are
//! `kind,nodes,collection,zone,resource,gap_seconds,points,max_value,mean_value,rle`, where `rle` is
//! `value*count;value*count;…`; without a file, a synthetic trace is replayed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde::Serialize;
use skyloom::core::MicroUsdPerHour;
use skyloom::scheduler::risk::spot::policy::OnDemandOnly;
use skyloom::scheduler::risk::spot::{
    BuiltinPilot, JobTerms, Market, PILOTS, SpotJob, SpotTrace, SpotZone, Window, optimum, replay,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Replays policies for spot under a deadline.
#[derive(Debug, Parser)]
struct Arguments {
    /// CSV file of traces; a synthetic trace without it.
    #[arg(long)]
    traces: Option<PathBuf>,
    /// Name of a policy, or `all`.
    #[arg(long, default_value = "all")]
    policy: String,
    /// Hours of work.
    #[arg(long, default_value_t = 24.0)]
    work_hours: f64,
    /// Deadline over work.
    #[arg(long, default_value_t = 1.5)]
    slack: f64,
    /// Dollars per hour on demand.
    #[arg(long, default_value = "3.06")]
    on_demand_price: String,
    /// Dollars per hour as spot.
    #[arg(long, default_value = "0.918")]
    spot_price: String,
    /// Paid minutes without progress after each start.
    #[arg(long, default_value_t = 6.0)]
    overhead_minutes: f64,
    /// Most minutes of work that an eviction takes: the time between two checkpoints.
    #[arg(long, default_value_t = 0.0)]
    loss_minutes: f64,
    /// Starts per trace, evenly over it.
    #[arg(long, default_value_t = 16)]
    starts: usize,
    /// Use traces of one collection and resource, in several zones at the same time, as one market.
    #[arg(long)]
    together: bool,
    /// Only every second trace: `0` the even ones, `1` the odd ones (a check that nothing was fitted to the others).
    #[arg(long)]
    half: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failed to {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut tracks = match &arguments.traces {
        Some(path) => read(path)?,
        None => vec![synthetic()?],
    };
    if arguments.together {
        tracks = together(tracks);
    }
    if let Some(half) = arguments.half {
        tracks = tracks.into_iter().skip(half % 2).step_by(2).collect();
    }
    let report = Race::new(arguments)?.run(&tracks)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    assertion(&report)
}

/// The chapter's assertion: nobody is late, and nobody beats somebody who knows the future.
fn assertion(report: &Report) -> Result<(), Failure> {
    if report.missed > 0 {
        return Err(format!("meet {} deadlines", report.missed).into());
    }
    match report.total.iter().find(|entry| entry.ratio < report.optimum) {
        Some(entry) => Err(format!("believe `{}`: it costs less than the optimum", entry.policy).into()),
        None => Ok(()),
    }
}

/// Simultaneous traces of one market.
#[derive(Debug)]
struct Track {
    name: String,
    /// `availability` or `preemption`.
    kind: String,
    /// What else must be equal for zones to be one market.
    group: String,
    gap_seconds: u64,
    zones: Vec<String>,
    traces: Vec<SpotTrace>,
}

impl Track {
    fn points(&self) -> usize {
        self.traces.iter().map(|trace| trace.up().len()).min().unwrap_or(0)
    }
}

/// Reads the traces of a file in its order.
fn read(path: &Path) -> Result<Vec<Track>, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("read `{shown}`: {e}"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        let found = header.iter().position(|column| column.trim() == name);
        found.ok_or_else(|| format!("find the column `{name}` in `{shown}`"))
    };
    let names = ["kind", "nodes", "collection", "zone", "resource", "gap_seconds", "rle"];
    let mut columns = Vec::new();
    for name in names {
        columns.push(column(name)?);
    }
    let mut tracks = Vec::new();
    for (row, line) in lines.enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        let values: Option<Vec<&str>> = columns.iter().map(|at| cells.get(*at).copied()).collect();
        let refuse = |why: String| format!("read row {} of `{shown}`: {why}", row + 1);
        let Some([kind, nodes, collection, zone, resource, gap, rle]) = values.as_deref() else {
            return Err(refuse("it has too few cells".to_owned()).into());
        };
        let gap_seconds = gap.parse().map_err(|_| refuse(format!("`{gap}` is not a tick")))?;
        let count: u32 = nodes
            .parse()
            .map_err(|_| refuse(format!("`{nodes}` is not a number of nodes")))?;
        let trace = SpotTrace::from_runs(rle, count).map_err(|e| refuse(e.to_string()))?;
        tracks.push(Track {
            name: format!("{kind} {nodes} {collection} {zone} {resource}"),
            kind: (*kind).to_owned(),
            group: format!("{kind} {nodes} {collection} {resource}"),
            gap_seconds,
            zones: vec![(*zone).to_owned()],
            traces: vec![trace],
        });
    }
    if tracks.is_empty() {
        return Err(format!("find a trace in `{shown}`").into());
    }
    Ok(tracks)
}

/// Joins the traces of equal kind, collection, resource and length; those that stand alone are left out.
fn together(tracks: Vec<Track>) -> Vec<Track> {
    let mut groups: BTreeMap<(String, u64, usize), Vec<Track>> = BTreeMap::new();
    for track in tracks {
        let key = (track.group.clone(), track.gap_seconds, track.points());
        groups.entry(key).or_default().push(track);
    }
    let several = groups.into_iter().filter(|(_, members)| members.len() > 1);
    several
        .map(|((group, gap_seconds, _), members)| Track {
            name: format!("{group}, {} zones", members.len()),
            kind: members[0].kind.clone(),
            group,
            gap_seconds,
            zones: members.iter().flat_map(|m| m.zones.clone()).collect(),
            traces: members.into_iter().flat_map(|m| m.traces).collect(),
        })
        .collect()
}

/// Two weeks of five-minute ticks whose spells up and down are short and long by turns.
fn synthetic() -> Result<Track, Failure> {
    let mut runs = String::new();
    let mut points = 0;
    for round in 0_u64.. {
        let (up, down) = (4 + round * 37 % 61, 2 + round * 23 % 41);
        points += up + down;
        if points > 14 * 288 {
            break;
        }
        runs.push_str(&format!("1*{up};0*{down};"));
    }
    Ok(Track {
        name: "synthetic".to_owned(),
        kind: "synthetic".to_owned(),
        group: String::new(),
        gap_seconds: 300,
        zones: vec!["zone-a".to_owned()],
        traces: vec![SpotTrace::from_runs(&runs, 1)?],
    })
}

/// One policy on one trace, or on all.
#[derive(Debug, Serialize)]
struct Entry {
    policy: &'static str,
    /// Cost over that on demand.
    ratio: f64,
    missed: usize,
    evictions: f64,
    starts: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    trace: String,
    kind: String,
    windows: usize,
    /// Share of the trace with spot somewhere.
    up: f64,
    entries: Vec<Entry>,
    optimum: f64,
}

/// Means over some traces.
#[derive(Debug, Serialize)]
struct Mean {
    of: String,
    traces: usize,
    entries: Vec<Entry>,
    optimum: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    rows: Vec<Row>,
    /// By kind of trace.
    kinds: Vec<Mean>,
    /// Traces that are shorter than one deadline.
    skipped: Vec<String>,
    /// Means over the traces.
    total: Vec<Entry>,
    optimum: f64,
    missed: usize,
}

/// What stays the same over all traces.
#[derive(Debug)]
struct Race {
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
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
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

    fn run(&self, tracks: &[Track]) -> Result<Report, Failure> {
        let (mut rows, mut skipped) = (Vec::new(), Vec::new());
        for track in tracks {
            match self.over(track)? {
                Some(row) => rows.push(row),
                None => skipped.push(track.name.clone()),
            }
        }
        if rows.is_empty() {
            return Err("find a trace that is as long as the deadline".into());
        }
        let mut kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let kinds = kinds
            .iter()
            .map(|kind| self.mean_of(kind, &rows.iter().filter(|row| row.kind == *kind).collect::<Vec<_>>()));
        let total = self.mean_of("all", &rows.iter().collect::<Vec<_>>());
        Ok(Report {
            kinds: kinds.collect(),
            skipped,
            missed: total.entries.iter().map(|entry| entry.missed).sum(),
            optimum: total.optimum,
            total: total.entries,
            rows,
        })
    }

    fn mean_of(&self, of: &str, rows: &[&Row]) -> Mean {
        let entries = self.pilots.iter().enumerate().map(|(index, pilot)| {
            let entries = || rows.iter().map(|row| &row.entries[index]);
            Entry {
                policy: pilot.name,
                ratio: mean(entries().map(|entry| entry.ratio)),
                missed: entries().map(|entry| entry.missed).sum(),
                evictions: mean(entries().map(|entry| entry.evictions)),
                starts: mean(entries().map(|entry| entry.starts)),
            }
        });
        Mean {
            of: of.to_owned(),
            traces: rows.len(),
            entries: entries.collect(),
            optimum: mean(rows.iter().map(|row| row.optimum)),
        }
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
            kind: track.kind.clone(),
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
        for kind in &self.kinds {
            write!(f, "{:59}", format!("mean of {} {} traces", kind.traces, kind.of))?;
            for entry in &kind.entries {
                write!(f, " {:>16.4}", entry.ratio)?;
            }
            writeln!(f, " {:>8.4}", kind.optimum)?;
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
