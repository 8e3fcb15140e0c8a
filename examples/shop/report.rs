//! The story as data: what `--json` prints. Field names are a promise to whoever reads it with a program.

use serde::Serialize;
use skyloom::Manifest;
use skyloom::core::{Machine, Placement};

use crate::chapters::decide::Decided;

/// The whole story.
#[derive(Debug, Default, Serialize)]
pub struct Story {
    pub name: String,
    pub placement: Vec<Placed>,
    pub machines: Vec<MachineRow>,
    pub usd_per_hour: f64,
    pub usd_per_month: f64,
    pub running: usize,
    pub start_seconds: f64,
    pub healed: Healed,
    pub rebalance: Rebalance,
    pub sync: Sync,
    pub forecast: Forecast,
    pub anomaly: Anomaly,
    pub denied: bool,
    pub audit: Audit,
    pub left_behind: usize,
}

/// What `--plan --json` prints.
#[derive(Debug, Serialize)]
pub struct Plan {
    pub name: String,
    pub placement: Vec<Placed>,
    pub machines: Vec<MachineRow>,
    pub usd_per_hour: f64,
    pub usd_per_month: f64,
    pub egress_usd_per_month: f64,
    pub unplaced: Vec<Unplaced>,
    /// The same manifest on one cloud alone, cheapest first; clouds that cannot hold it have no price.
    pub alternatives: Vec<Alternative>,
}

/// One replica and its share of its machine's price by dominant resource.
#[derive(Debug, Clone, Serialize)]
pub struct Placed {
    pub service: String,
    pub replica: u32,
    pub cloud: String,
    pub region: String,
    pub zone: Option<String>,
    pub machine: String,
    pub instance: String,
    pub purchase: String,
    pub usd_per_hour: f64,
}

/// One machine.
#[derive(Debug, Clone, Serialize)]
pub struct MachineRow {
    pub id: String,
    pub cloud: String,
    pub region: String,
    pub zone: Option<String>,
    pub instance: String,
    pub purchase: String,
    pub usd_per_hour: f64,
    pub price_as_of: String,
    /// Requested over capacity, before anything runs (formula 1).
    pub utilisation: f64,
    /// Formula 2.
    pub load_balance: f64,
}

/// A replica without a place.
#[derive(Debug, Clone, Serialize)]
pub struct Unplaced {
    pub service: String,
    pub replica: u32,
    pub rule: String,
    pub reason: String,
}

/// The manifest on one cloud alone.
#[derive(Debug, Clone, Serialize)]
pub struct Alternative {
    pub cloud: String,
    pub offers: usize,
    pub usd_per_hour: Option<f64>,
    pub reason: Option<String>,
}

/// A replica that was killed from outside, and its replacement; both as the provider calls them.
#[derive(Debug, Default, Serialize)]
pub struct Healed {
    pub replica: String,
    pub killed: String,
    pub replaced: String,
    pub seconds: f64,
}

/// What rebalancing decided under load.
#[derive(Debug, Default, Serialize)]
pub struct Rebalance {
    pub loaded: String,
    pub imbalance_before: f64,
    pub imbalance_after: f64,
    pub moves: usize,
    pub ce: f64,
    pub decision: String,
}

/// Two synchronisations of the data set: everything, then only the change.
#[derive(Debug, Default, Serialize)]
pub struct Sync {
    pub data: String,
    pub objects: u64,
    pub bytes_first: u64,
    pub bytes_second: u64,
    pub objects_second: u64,
    pub verified: bool,
}

/// The next minutes of one metric.
#[derive(Debug, Default, Serialize)]
pub struct Forecast {
    pub replica: String,
    pub metric: String,
    pub method: String,
    pub samples: usize,
    pub level: f64,
    pub minutes: f64,
    /// The last step of the horizon.
    pub lo: f64,
    pub mid: f64,
    pub hi: f64,
}

/// The anomaly that was injected as real load.
#[derive(Debug, Default, Serialize)]
pub struct Anomaly {
    pub replica: String,
    pub metric: String,
    pub flagged: bool,
    pub value: f64,
    pub expected_lo: f64,
    pub expected_hi: f64,
    pub score: f64,
    pub reason: String,
}

/// The audit trail.
#[derive(Debug, Default, Serialize)]
pub struct Audit {
    pub records: u64,
    pub verified: bool,
}

/// Replicas with their places and shares.
pub fn placed(placement: &Placement) -> Vec<Placed> {
    let machine = |id| placement.machines.iter().find(|machine: &&Machine| machine.id == id);
    let rows = placement.assignments.iter().filter_map(|assignment| {
        let machine = machine(assignment.machine.clone())?;
        Some(Placed {
            service: assignment.replica.service().to_string(),
            replica: assignment.replica.index(),
            cloud: machine.site.region.cloud.to_string(),
            region: machine.site.region.region.to_string(),
            zone: machine.site.zone.as_ref().map(ToString::to_string),
            machine: machine.id.to_string(),
            instance: machine.instance.to_string(),
            purchase: machine.purchase.to_string(),
            usd_per_hour: assignment.share.as_usd(),
        })
    });
    rows.collect()
}

/// Machines with their loads, in the order of the placement.
pub fn machines(decided: &Decided) -> Vec<MachineRow> {
    let rows = decided.placement.machines.iter().map(|machine| {
        let load = decided.loads.machines.iter().find(|load| load.machine == machine.id);
        MachineRow {
            id: machine.id.to_string(),
            cloud: machine.site.region.cloud.to_string(),
            region: machine.site.region.region.to_string(),
            zone: machine.site.zone.as_ref().map(ToString::to_string),
            instance: machine.instance.to_string(),
            purchase: machine.purchase.to_string(),
            usd_per_hour: machine.price.as_usd(),
            price_as_of: machine.price_as_of.to_string(),
            utilisation: load.map_or(0.0, |load| load.utilisation.get()),
            load_balance: load.map_or(0.0, |load| load.load_balance),
        }
    });
    rows.collect()
}

impl Plan {
    /// A decision as data.
    pub fn of(manifest: &Manifest, decided: &Decided) -> Self {
        let placement = &decided.placement;
        let unplaced = placement.unplaced.iter().map(|unplaced| Unplaced {
            service: unplaced.replica.service().to_string(),
            replica: unplaced.replica.index(),
            rule: unplaced.filter.to_string(),
            reason: unplaced.reason.clone(),
        });
        Self {
            name: manifest.name.to_string(),
            placement: placed(placement),
            machines: machines(decided),
            usd_per_hour: placement.cost.machines_per_hour.as_usd(),
            usd_per_month: placement.cost.total_per_month.as_usd(),
            egress_usd_per_month: placement.cost.egress_per_month.as_usd(),
            unplaced: unplaced.collect(),
            alternatives: decided.alternatives.clone(),
        }
    }
}
