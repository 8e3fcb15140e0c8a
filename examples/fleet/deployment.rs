//! The second form: machines for a manifest, over price lists of several clouds, with traffic in the cost.
//!
//! The reader learns that the answer is an ordinary placement, which the ordinary checker judges.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use skyloom::core::{Machine, Placement, Timestamp};
use skyloom::scheduler::fleet::{FleetOptions, ManifestFleet, buy_for};
use skyloom::scheduler::{Effort, Problem, check};
use skyloom::{Catalogue, Manifest};

use crate::Failure;

/// Most kinds of machines, and rejected offers, that the table lists.
const LINES_MAX: usize = 40;

/// Hours of a month of account.
const HOURS: i64 = 730;

/// Buys for a manifest and writes the answer down.
pub(crate) fn run(
    manifest: &Path,
    catalogue: &Catalogue,
    seconds: f64,
    out: Option<&PathBuf>,
    start: Instant,
) -> Result<(), Failure> {
    let shown = manifest.display().to_string();
    let bytes = std::fs::read(manifest).map_err(|cause| format!("read {shown}: {cause}"))?;
    let manifest = Manifest::parse_bytes(&bytes, &shown)?;
    let snapshot = skyloom::core::Snapshot::empty(0, Timestamp::EPOCH);
    let problem = Problem {
        manifest: &manifest,
        snapshot: &snapshot,
        catalogue,
    };
    let allowed = (seconds - 0.02 - start.elapsed().as_secs_f64()).max(0.25 * seconds);
    let from = Instant::now();
    let spent = || from.elapsed().as_secs_f64() / allowed;
    let fleet = buy_for(&problem, &FleetOptions::new(), &mut Effort::watched(&spent))?;
    if let Some(violation) = check(&problem, &fleet.placement).first() {
        return Err(format!("stand by the answer: {violation}").into());
    }
    if let Some(path) = out {
        write(&fleet, path, start)?;
    }
    show(&fleet);
    println!("{:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn write(fleet: &ManifestFleet, path: &Path, start: Instant) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| format!("write {}: {cause}", path.display());
    let placement = &fleet.placement;
    let bound = fleet.lower_bound_per_month.as_micros();
    let total = placement.cost.total_per_month.as_micros();
    let usd = |micros: i64| serde_json::Number::from_f64(dollars(micros));
    let unplaced: Vec<_> = placement
        .unplaced
        .iter()
        .map(|one| json!({"replica": one.replica.to_string(), "filter": one.filter, "reason": one.reason}))
        .collect();
    let answer = json!({
        "usd_per_hour": usd(total / HOURS + i64::from(total % HOURS > 0)),
        "lower_bound_usd_per_hour": usd(bound / HOURS),
        "gap": gap(fleet),
        "seconds": start.elapsed().as_secs_f64(),
        "usd_per_month": usd(total),
        "lower_bound_usd_per_month": usd(bound),
        "machines_usd_per_hour": usd(placement.cost.machines_per_hour.as_micros()),
        "egress_usd_per_month": usd(placement.cost.egress_per_month.as_micros()),
        "egress_assumed": placement.cost.egress_assumed,
        "nodes": nodes(placement),
        "unplaced": unplaced,
        "choices": fleet.choices,
    });
    let mut file = std::fs::File::create(path).map_err(failed)?;
    serde_json::to_writer_pretty(&file, &answer)?;
    file.write_all(b"\n").map_err(failed)?;
    Ok(())
}

fn nodes(placement: &Placement) -> Vec<serde_json::Value> {
    let mut pods: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for assignment in &placement.assignments {
        pods.entry(assignment.machine.as_str())
            .or_default()
            .push(assignment.replica.to_string());
    }
    let node = |machine: &Machine| {
        json!({
            "cloud": machine.site.region.cloud,
            "region": machine.site.region.region,
            "zone": machine.site.zone,
            "type": machine.instance,
            "purchase": machine.purchase,
            "usd_per_hour": dollars(machine.price.as_micros()),
            "pods": pods.get(machine.id.as_str()),
        })
    };
    placement.machines.iter().map(node).collect()
}

/// A finite number also where the bound is zero and the cost is not: then a millionth of a dollar stands for it.
fn gap(fleet: &ManifestFleet) -> f64 {
    let gap = fleet.gap();
    if gap.is_finite() {
        gap
    } else {
        dollars(fleet.placement.cost.total_per_month.as_micros()) * 1e6
    }
}

fn show(fleet: &ManifestFleet) {
    let placement = &fleet.placement;
    let mut kinds: BTreeMap<(String, String, String), (u32, i64)> = BTreeMap::new();
    for machine in &placement.machines {
        let key = (
            machine.site.to_string(),
            machine.instance.to_string(),
            machine.purchase.to_string(),
        );
        let (machines, micros) = kinds.entry(key).or_default();
        *machines += 1;
        *micros += machine.price.as_micros();
    }
    println!("{:>8} {:>12}  machines", "number", "USD/h");
    for ((site, instance, purchase), (machines, micros)) in kinds.iter().take(LINES_MAX) {
        println!("{machines:>8} {:>12.4}  {site} {instance} {purchase}", dollars(*micros));
    }
    for choice in &fleet.choices {
        let chosen: Vec<String> = choice
            .chosen
            .iter()
            .map(|(region, instance, _, replicas)| format!("{replicas} on {region} {instance}"))
            .collect();
        let rejected: Vec<String> = choice
            .rejected
            .iter()
            .map(|(filter, n)| format!("{n} by {filter}"))
            .collect();
        println!("{}: {}", choice.service, chosen.join(", "));
        println!(
            "    {} offers could carry it; rejected: {}",
            choice.feasible,
            rejected.join(", ")
        );
    }
    println!(
        "{} machines, {} per month, {} of it traffic; none cheaper than {} can hold this: gap {:.3}%",
        placement.machines.len(),
        placement.cost.total_per_month,
        placement.cost.egress_per_month,
        fleet.lower_bound_per_month,
        gap(fleet) * 100.0
    );
    if let Some(first) = placement.unplaced.first() {
        println!(
            "{} replicas have no machine, the first of them `{}`: {}",
            placement.unplaced.len(),
            first.replica,
            first.reason
        );
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "millionths of a dollar up to 2^53 are exact, which is nine billion dollars"
)]
fn dollars(micros: i64) -> f64 {
    micros as f64 / 1e6
}
