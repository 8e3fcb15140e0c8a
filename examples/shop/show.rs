//! The story as text. Only words and columns here: everything shown was decided or measured elsewhere.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use skyloom::core::MicroUsd;
use skyloom::scheduler::formulas::CostBenefit;
use skyloom::{Manifest, Proposal};

use crate::chapters::decide::Decided;
use crate::report::{Anomaly, Forecast, Healed, Story, Sync, Usage};

/// Prints a piece of the story. A reader that has gone away is no reason to stop: what was begun is finished.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// The priced and explained placement.
pub(crate) fn decision(manifest: &Manifest, decided: &Decided) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let placement = &decided.placement;
    writeln!(text, "== {}: where it runs and what that costs", manifest.name)?;
    writeln!(
        text,
        "{} offers of {} clouds were looked at; {} replicas on {} machines:\n",
        decided.offers,
        decided.alternatives.len(),
        placement.assignments.len(),
        placement.machines.len()
    )?;
    machines(&mut text, decided)?;
    replicas(&mut text, decided)?;
    for unplaced in &placement.unplaced {
        writeln!(text, "  {} has no place: {}", unplaced.replica, unplaced.reason)?;
    }
    money(&mut text, manifest, decided)?;
    alternatives(&mut text, decided)?;
    Ok(text)
}

fn machines(text: &mut String, decided: &Decided) -> fmt::Result {
    writeln!(
        text,
        "  {:<8} {:<32} {:<22} {:<10} {:>10} {:>6} {:>7}",
        "machine", "where", "type", "purchase", "USD/h", "U_i", "LB_i"
    )?;
    for machine in &decided.placement.machines {
        let load = decided.load_of(machine);
        let (utilisation, balance) = load.map_or((0.0, 0.0), |load| (load.utilisation.get(), load.load_balance));
        writeln!(
            text,
            "  {:<8} {:<32} {:<22} {:<10} {:>10.6} {:>6.3} {:>7.3}",
            machine.id,
            machine.site,
            machine.instance,
            machine.purchase.to_string(),
            machine.price.as_usd(),
            utilisation,
            balance
        )?;
    }
    let Some(loads) = &decided.loads else {
        return writeln!(text);
    };
    writeln!(
        text,
        "  U_i is requested over capacity, as nothing runs yet (a shared processor counts its baseline); mean {:.3}, \
         imbalance (RMS of LB_i) {:.3}\n",
        loads.mean.get(),
        loads.imbalance.rms
    )
}

fn replicas(text: &mut String, decided: &Decided) -> fmt::Result {
    let placement = &decided.placement;
    for (assignment, explanation) in placement.assignments.iter().zip(&placement.explanations) {
        writeln!(
            text,
            "  {:<14} on {:<8} {:>10.6} USD/h",
            assignment.replica,
            assignment.machine,
            assignment.share.as_usd()
        )?;
        writeln!(text, "      because {}", explanation.because)?;
        if let Some(runner_up) = &explanation.runner_up {
            writeln!(text, "      runner-up {}", runner_up.candidate)?;
            writeln!(text, "      which lost because {}", runner_up.lost_because)?;
        }
    }
    for (service, rejections) in &placement.rejections {
        let mut by_filter: BTreeMap<String, usize> = BTreeMap::new();
        for rejection in rejections {
            *by_filter.entry(rejection.filter.to_string()).or_default() += 1;
        }
        let counts: Vec<String> = by_filter
            .iter()
            .map(|(filter, count)| format!("{count} by {filter}"))
            .collect();
        writeln!(
            text,
            "  {service}: rejected {}",
            if counts.is_empty() {
                "none".to_owned()
            } else {
                counts.join(", ")
            }
        )?;
    }
    writeln!(text)
}

fn money(text: &mut String, manifest: &Manifest, decided: &Decided) -> fmt::Result {
    let cost = &decided.placement.cost;
    let assumed = if cost.egress_assumed {
        ", partly at an assumed price"
    } else {
        ""
    };
    writeln!(
        text,
        "  {} = {} a month, and {} of egress a month{assumed}",
        cost.machines_per_hour, cost.machines_per_month, cost.egress_per_month
    )?;
    if let Some(budget) = manifest.budget {
        let left = budget
            .per_month
            .checked_sub(cost.total_per_month)
            .unwrap_or(MicroUsd::ZERO);
        writeln!(text, "  budget {} a month, {left} left", budget.per_month)?;
    }
    let Some(loads) = &decided.loads else {
        return writeln!(text);
    };
    if let Some(ce) = &loads.ce {
        writeln!(text, "  CE of the whole {}", benefit(ce))?;
    }
    for service in &loads.services {
        writeln!(text, "  CE of {} {}", service.service, benefit(&service.ce))?;
    }
    writeln!(text)
}

fn benefit(ce: &CostBenefit) -> String {
    format!("{ce}{}", if ce.earns() { ": it earns" } else { ": it does not earn" })
}

fn alternatives(text: &mut String, decided: &Decided) -> fmt::Result {
    writeln!(text, "  on one cloud alone:")?;
    for alternative in &decided.alternatives {
        match (alternative.usd_per_hour, &alternative.reason) {
            (Some(price), _) => writeln!(text, "    {:<8} {price:>10.6} USD/h of machines", alternative.cloud)?,
            (None, Some(reason)) => writeln!(text, "    {:<8} not possible: {reason}", alternative.cloud)?,
            (None, None) => writeln!(text, "    {:<8} not possible", alternative.cloud)?,
        }
    }
    writeln!(text)
}

/// What the rehearsal is and is not.
pub(crate) fn rehearsal(proposal: &Proposal) -> String {
    let clouds: Vec<String> = {
        let regions = proposal.regions();
        let mut clouds: Vec<String> = regions.iter().map(|region| region.cloud.to_string()).collect();
        clouds.dedup();
        clouds
    };
    format!(
        "== Rehearsal: the local driver stands in for {}; nothing is bought.\n   Real processes, real HTTP, plan {} with \
         {} steps. Other drivers carry the same plan to the clouds.\n",
        clouds.join(", "),
        proposal.id().short(),
        proposal.plan.steps.len()
    )
}

/// A replica that was killed and replaced.
pub(crate) fn healed(healed: &Healed) -> String {
    format!(
        "== Healing: {} was killed from outside ({}); {} took its place after {:.2} s.\n",
        healed.replica, healed.killed, healed.replaced, healed.seconds
    )
}

/// Bytes per second for people.
fn rate(bytes_per_second: Option<f64>) -> String {
    bytes_per_second.map_or_else(|| "not told apart".to_owned(), |rate| format!("{rate:.0} B/s"))
}

/// What was used, the forecast and the anomaly.
pub(crate) fn insight(usage: &Usage, forecast: &Forecast, anomaly: &Anomaly) -> String {
    let flagged = if anomaly.flagged {
        format!(
            "flagged at {:.2} cores (expected {:.3} to {:.3}): {}",
            anomaly.value, anomaly.expected_lo, anomaly.expected_hi, anomaly.reason
        )
    } else {
        "not flagged".to_owned()
    };
    format!(
        "== Watching: {} uses {:.4} cores, {:.1} MiB, network in {}, out {}.\n   Its {} over {} samples; in {:.0} minutes {:.4} cores ({:.0}%: {:.4} to {:.4}), by {}.\n   Then load was \
         added to {}: {flagged}.\n",
        usage.replica,
        usage.cpu_cores,
        usage.memory_bytes / f64::from(1 << 20),
        rate(usage.network_in_bytes_per_second),
        rate(usage.network_out_bytes_per_second),
        forecast.metric,
        forecast.samples,
        forecast.minutes,
        forecast.mid,
        forecast.level * 100.0,
        forecast.lo,
        forecast.hi,
        forecast.method,
        anomaly.replica
    )
}

/// Both synchronisations.
pub(crate) fn synced(sync: &Sync) -> String {
    format!(
        "== Sync: {} has {} objects, {} bytes went to the copy, {}.\n   One file was changed: {} object and {} bytes moved.\n",
        sync.data,
        sync.objects,
        sync.bytes_first,
        if sync.verified {
            "verified by content hash"
        } else {
            "NOT verified"
        },
        sync.objects_second,
        sync.bytes_second
    )
}

/// The stranger.
pub(crate) fn denied(denied: bool) -> String {
    format!(
        "== Access: eve, a viewer, asked to destroy the shop and was {}.\n",
        if denied { "denied" } else { "NOT denied" }
    )
}

/// The end.
pub(crate) fn the_end(story: &Story) -> String {
    format!(
        "== The end: everything is taken down, {} left behind; {} audit records, {}.",
        story.left_behind,
        story.audit.records,
        if story.audit.verified {
            "all verified against the signed checkpoint"
        } else {
            "NOT verified"
        }
    )
}
