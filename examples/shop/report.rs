//! The story as data: what `--json` prints. Field names are a promise to whoever reads it with a program.

use serde::Serialize;
use skyloom::Manifest;
use skyloom::core::{Machine, Placement};

use crate::chapters::decide::Decided;

/// The whole story.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) placement: Vec<Placed>,
    pub(crate) machines: Vec<MachineRow>,
    pub(crate) usd_per_hour: f64,
    pub(crate) usd_per_month: f64,
    pub(crate) running: usize,
    pub(crate) start_seconds: f64,
    pub(crate) healed: Healed,
    pub(crate) usage: Usage,
    pub(crate) rebalance: Rebalance,
    pub(crate) sync: Sync,
    pub(crate) forecast: Forecast,
    pub(crate) anomaly: Anomaly,
    pub(crate) denied: bool,
    pub(crate) audit: Audit,
    pub(crate) left_behind: usize,
}

/// What `--plan --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) placement: Vec<Placed>,
    pub(crate) machines: Vec<MachineRow>,
    pub(crate) usd_per_hour: f64,
    pub(crate) usd_per_month: f64,
    pub(crate) egress_usd_per_month: f64,
    pub(crate) unplaced: Vec<Unplaced>,
    /// The same manifest on one cloud alone, cheapest first; clouds that cannot hold it have no price.
    pub(crate) alternatives: Vec<Alternative>,
}

/// One replica and its share of its machine's price by dominant resource.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Placed {
    pub(crate) service: String,
    pub(crate) replica: u32,
    pub(crate) cloud: String,
    pub(crate) region: String,
    pub(crate) zone: Option<String>,
    pub(crate) machine: String,
    pub(crate) instance: String,
    pub(crate) purchase: String,
    pub(crate) usd_per_hour: f64,
}

/// One machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MachineRow {
    pub(crate) id: String,
    pub(crate) cloud: String,
    pub(crate) region: String,
    pub(crate) zone: Option<String>,
    pub(crate) instance: String,
    pub(crate) purchase: String,
    pub(crate) usd_per_hour: f64,
    pub(crate) price_as_of: String,
    /// Requested over capacity, before anything runs (formula 1).
    pub(crate) utilisation: f64,
    /// Formula 2.
    pub(crate) load_balance: f64,
}

/// A replica without a place.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Unplaced {
    pub(crate) service: String,
    pub(crate) replica: u32,
    pub(crate) rule: String,
    pub(crate) reason: String,
}

/// The manifest on one cloud alone.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Alternative {
    pub(crate) cloud: String,
    pub(crate) offers: usize,
    pub(crate) usd_per_hour: Option<f64>,
    pub(crate) reason: Option<String>,
}

/// A replica that was killed from outside, and its replacement; both as the provider calls them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Healed {
    pub(crate) replica: String,
    pub(crate) killed: String,
    pub(crate) replaced: String,
    pub(crate) seconds: f64,
}

/// What one replica's real processes used, averaged over the samples before the load.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Usage {
    pub(crate) replica: String,
    pub(crate) cpu_cores: f64,
    pub(crate) memory_bytes: f64,
    /// `None` where the driver cannot tell a replica's traffic apart.
    pub(crate) network_in_bytes_per_second: Option<f64>,
    pub(crate) network_out_bytes_per_second: Option<f64>,
}

/// What rebalancing decided under load.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rebalance {
    pub(crate) loaded: String,
    pub(crate) imbalance_before: f64,
    pub(crate) imbalance_after: f64,
    pub(crate) moves: usize,
    pub(crate) ce: f64,
    pub(crate) decision: String,
}

/// Two synchronisations of the data set: everything, then only the change.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sync {
    pub(crate) data: String,
    pub(crate) objects: u64,
    pub(crate) bytes_first: u64,
    pub(crate) bytes_second: u64,
    pub(crate) objects_second: u64,
    pub(crate) verified: bool,
}

/// The next minutes of one metric.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Forecast {
    pub(crate) replica: String,
    pub(crate) metric: String,
    pub(crate) method: String,
    pub(crate) samples: usize,
    pub(crate) level: f64,
    pub(crate) minutes: f64,
    /// The last step of the horizon.
    pub(crate) lo: f64,
    pub(crate) mid: f64,
    pub(crate) hi: f64,
}

/// The anomaly that was injected as real load.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Anomaly {
    pub(crate) replica: String,
    pub(crate) metric: String,
    pub(crate) flagged: bool,
    pub(crate) value: f64,
    pub(crate) expected_lo: f64,
    pub(crate) expected_hi: f64,
    pub(crate) score: f64,
    pub(crate) reason: String,
}

/// The audit trail.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Audit {
    pub(crate) records: u64,
    pub(crate) verified: bool,
}

/// Replicas with their places and shares.
pub(crate) fn placed(placement: &Placement) -> Vec<Placed> {
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
pub(crate) fn machines(decided: &Decided) -> Vec<MachineRow> {
    let rows = decided.placement.machines.iter().map(|machine| {
        let load = decided.load_of(machine);
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
    pub(crate) fn of(manifest: &Manifest, decided: &Decided) -> Self {
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
