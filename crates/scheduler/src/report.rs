//! How loaded, how even and how worthwhile a placement is: formulas 1 to 3 over its machines, as a value with rows that
//! print. Deciding on it is `rebalance`'s.

use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{
    Dimension, HOURS_PER_MONTH, Machine, MachineId, MicroUsd, MicroUsdPerHour, Placement, Ratio, Resources,
    ServiceName, Site,
};

use crate::formulas::{
    CostBenefit, Fold, FormulaError, Imbalance, Mean, cost_benefit, load_balance, utilisation_of,
    utilisation_per_dimension,
};
use crate::problem::Problem;

/// One machine's load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineLoad {
    /// Which machine.
    pub machine: MachineId,
    /// Where it is.
    pub site: Site,
    /// Its type.
    pub instance: String,
    /// Replicas on it.
    pub replicas: u32,
    /// What they ask for, in all.
    pub requested: Resources,
    /// Requested over capacity per dimension, in the order of [`Dimension::ALL`]; `None` where it has nothing of it.
    pub per_dimension: [Option<Ratio>; 4],
    /// `U_i` of formula 1: as measured where it is known, else requested over capacity, folded.
    pub utilisation: Ratio,
    /// Whether `utilisation` was measured.
    pub measured: bool,
    /// `LB_i` of formula 2.
    pub load_balance: f64,
    /// Its price.
    pub price: MicroUsdPerHour,
}

/// One service's cost against its own expected revenue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceBenefit {
    /// Which service.
    pub service: ServiceName,
    /// Its replicas' shares of their machines, per hour.
    pub cost: MicroUsdPerHour,
    /// `R_e` per hour.
    pub revenue: MicroUsdPerHour,
    /// `CE` of formula 3.
    pub ce: CostBenefit,
}

/// Load, evenness and benefit of a placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadReport {
    /// In the order of the placement's machines, so sorted by id.
    pub machines: Vec<MachineLoad>,
    /// `Ū` that `LB_i` compares with.
    pub mean: Ratio,
    /// Over all machines.
    pub imbalance: Imbalance,
    /// Machines and egress of one hour (a month's egress over 730 hours, rounded up).
    pub cost: MicroUsdPerHour,
    /// `CE` of formula 3 for the whole; `None` when the manifest names no revenue.
    pub ce: Option<CostBenefit>,
    /// `CE` of each service that names a revenue, sorted by service.
    pub services: Vec<ServiceBenefit>,
}

/// Formulas 1 to 3 of `docs/fidelity.md` over a placement, before anything runs: requested over capacity, unless the
/// snapshot has a measured utilisation of the machine.
///
/// # Errors
/// [`FormulaError::Nothing`] for a placement without machines; [`FormulaError::OverTotal`] or
/// [`FormulaError::ZeroTotal`] for one that its checker refuses; [`FormulaError::NegativeMoney`] for a negative revenue.
pub fn load_report(problem: &Problem<'_>, placement: &Placement, mean: Mean) -> Result<LoadReport, FormulaError> {
    let mut machines = Vec::with_capacity(placement.machines.len());
    for machine in &placement.machines {
        machines.push(machine_load(problem, placement, machine)?);
    }
    let utilisations: Vec<Ratio> = machines.iter().map(|m| m.utilisation).collect();
    let imbalance = Imbalance::of(&utilisations, mean)?;
    let mean = mean.of(&utilisations)?;
    for machine in &mut machines {
        machine.load_balance = load_balance(machine.utilisation, mean);
    }
    let hours = i64::try_from(HOURS_PER_MONTH).unwrap_or(i64::MAX);
    let egress = placement.cost.egress_per_month.as_micros();
    let egress_per_hour = egress / hours + i64::from(egress % hours > 0);
    let cost = placement
        .cost
        .machines_per_hour
        .as_micros()
        .saturating_add(egress_per_hour);
    let hourly = |cost: i64, revenue: MicroUsdPerHour| {
        cost_benefit(MicroUsd::from_micros(cost), MicroUsd::from_micros(revenue.as_micros()))
    };
    let ce = problem.manifest.revenue.map(|r| hourly(cost, r.per_hour)).transpose()?;
    let mut services = Vec::new();
    for service in &problem.manifest.services {
        let Some(revenue) = service.revenue else { continue };
        let own = placement
            .assignments
            .iter()
            .filter(|a| *a.replica.service() == service.name);
        let shares = own.fold(0i64, |sum, a| sum.saturating_add(a.share.as_micros()));
        services.push(ServiceBenefit {
            service: service.name.clone(),
            cost: MicroUsdPerHour::from_micros(shares),
            revenue: revenue.per_hour,
            ce: hourly(shares, revenue.per_hour)?,
        });
    }
    services.sort_by(|a, b| a.service.cmp(&b.service));
    Ok(LoadReport {
        machines,
        mean,
        imbalance,
        cost: MicroUsdPerHour::from_micros(cost),
        ce,
        services,
    })
}

fn machine_load(problem: &Problem<'_>, placement: &Placement, machine: &Machine) -> Result<MachineLoad, FormulaError> {
    let here = placement.assignments.iter().filter(|a| a.machine == machine.id);
    let mut requested = Resources::ZERO;
    let mut replicas = 0u32;
    for assignment in here {
        replicas = replicas.saturating_add(1);
        requested = requested
            .checked_add(&assignment.request)
            .ok_or(FormulaError::OverTotal {
                used: f64::MAX,
                total: f64::MAX,
            })?;
    }
    let measured = problem.snapshot.node(&machine.id).and_then(|n| n.utilisation);
    let utilisation = match measured {
        Some(measured) => measured,
        None => utilisation_of(&requested, &machine.capacity, Fold::Dominant)?,
    };
    Ok(MachineLoad {
        machine: machine.id.clone(),
        site: machine.site.clone(),
        instance: machine.instance.to_string(),
        replicas,
        requested,
        per_dimension: utilisation_per_dimension(&requested, &machine.capacity)?,
        utilisation,
        measured: measured.is_some(),
        load_balance: 0.0,
        price: machine.price,
    })
}

impl fmt::Display for MachineLoad {
    /// One row: machine, type and place, `U_i` (with its dimension, or `measured`), `LB_i`, price.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = Dimension::ALL.into_iter().zip(self.per_dimension).max_by(|a, b| {
            let value = |u: Option<Ratio>| u.map_or(-1.0, Ratio::get);
            // Of equal shares the first dimension.
            value(a.1).total_cmp(&value(b.1)).then(b.0.cmp(&a.0))
        });
        let by = if self.measured {
            "measured".to_owned()
        } else {
            largest.map_or_else(String::new, |(d, _)| d.to_string())
        };
        write!(
            f,
            "{:<12} {:<40} U {:.4} ({by}) LB {:+.4} {}",
            self.machine,
            format!("{} {}", self.site, self.instance),
            self.utilisation.get(),
            self.load_balance,
            self.price
        )
    }
}

impl fmt::Display for LoadReport {
    /// A row per machine, the imbalance, then `CE` of the whole and of each service that names a revenue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for machine in &self.machines {
            writeln!(f, "{machine}")?;
        }
        writeln!(f, "mean U {:.4}; imbalance: {}", self.mean.get(), self.imbalance)?;
        match self.ce {
            Some(ce) => write!(f, "CE {ce} at {}", self.cost)?,
            None => write!(f, "CE unknown: no revenue is named; cost {}", self.cost)?,
        }
        for service in &self.services {
            write!(
                f,
                "\nCE {} of {}: {} for {}",
                service.ce, service.service, service.cost, service.revenue
            )?;
        }
        Ok(())
    }
}
