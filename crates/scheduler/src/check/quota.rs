//! Quotas: what the machines of a region and family come to.

use std::collections::BTreeSet;

use skyloom_core::{Catalogue, Machine, MachineId, Placement};

use super::Violation;
use crate::problem::Problem;
use crate::quotas::{Quota, QuotaUnit};

/// Whether machines to buy bring a quota above what it allows. Machines that are there count, and are no offence alone.
pub(super) fn exceeded(problem: &Problem<'_>, quota: &Quota, placement: &Placement) -> Option<Violation> {
    let there: BTreeSet<&MachineId> = problem.snapshot.nodes.iter().map(|n| &n.machine.id).collect();
    let sum =
        |machines: Vec<&Machine>| -> u128 { machines.into_iter().map(|m| amount(problem.catalogue, quota, m)).sum() };
    let held = sum(problem.snapshot.nodes.iter().map(|n| &n.machine).collect());
    let bought = sum(placement.machines.iter().filter(|m| !there.contains(&m.id)).collect());
    (bought > 0 && held + bought > u128::from(quota.allowed)).then(|| Violation::OverQuota {
        quota: Box::new(quota.clone()),
        used: held + bought,
    })
}

/// What one machine counts; 0: the quota does not concern it.
fn amount(catalogue: &Catalogue, quota: &Quota, machine: &Machine) -> u128 {
    let other_kind = quota.purchase.is_some() && quota.purchase != Some(machine.purchase);
    let name = machine.instance.to_string();
    let other_family = !quota.families.is_empty() && !quota.families.iter().any(|f| name.starts_with(f));
    if machine.site.region != quota.region || other_kind || other_family {
        return 0;
    }
    let sold = catalogue
        .offers()
        .iter()
        .find(|o| o.key.region == machine.site.region && o.key.instance == machine.instance);
    let (cpu, gpu) = sold.map_or((machine.capacity.cpu, machine.capacity.gpu), |o| {
        (o.vcpus, o.capacity.gpu)
    });
    let whole = |milli: u64| u128::from(milli).div_ceil(1000);
    match quota.unit {
        QuotaUnit::Machines => 1,
        QuotaUnit::Vcpus => whole(cpu.as_millicores()),
        QuotaUnit::Devices => whole(gpu.as_milligpus()),
    }
}

/// Whether one more machine for sale could ever be bought under the quotas, beside what is there.
pub(super) fn could_buy(problem: &Problem<'_>, quotas: &[Quota], machine: &Machine) -> bool {
    quotas.iter().all(|quota| {
        let asked = amount(problem.catalogue, quota, machine);
        let held: u128 = problem
            .snapshot
            .nodes
            .iter()
            .map(|n| amount(problem.catalogue, quota, &n.machine))
            .sum();
        asked == 0 || held + asked <= u128::from(quota.allowed)
    })
}
