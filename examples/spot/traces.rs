//! Where traces come from: a CSV file, or made up.

use std::collections::BTreeMap;
use std::path::Path;

use skyloom::scheduler::risk::spot::SpotTrace;

use crate::Failure;

/// Simultaneous traces of one market.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) name: String,
    /// What else must be equal for zones to be one market.
    group: String,
    pub(crate) gap_seconds: u64,
    pub(crate) zones: Vec<String>,
    pub(crate) traces: Vec<SpotTrace>,
}

impl Track {
    pub(crate) fn points(&self) -> usize {
        self.traces.iter().map(|trace| trace.up().len()).min().unwrap_or(0)
    }
}

/// Reads the traces of a file in its order.
pub(crate) fn read(path: &Path) -> Result<Vec<Track>, Failure> {
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
pub(crate) fn together(tracks: Vec<Track>) -> Vec<Track> {
    let mut groups: BTreeMap<(String, u64, usize), Vec<Track>> = BTreeMap::new();
    for track in tracks {
        let key = (track.group.clone(), track.gap_seconds, track.points());
        groups.entry(key).or_default().push(track);
    }
    let several = groups.into_iter().filter(|(_, members)| members.len() > 1);
    several
        .map(|((group, gap_seconds, _), members)| Track {
            name: format!("{group}, {} zones", members.len()),
            group,
            gap_seconds,
            zones: members.iter().flat_map(|m| m.zones.clone()).collect(),
            traces: members.into_iter().flat_map(|m| m.traces).collect(),
        })
        .collect()
}

/// Two weeks of five-minute ticks whose spells up and down are short and long by turns.
pub(crate) fn synthetic() -> Result<Track, Failure> {
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
        group: String::new(),
        gap_seconds: 300,
        zones: vec!["zone-a".to_owned()],
        traces: vec![SpotTrace::from_runs(&runs, 1)?],
    })
}
