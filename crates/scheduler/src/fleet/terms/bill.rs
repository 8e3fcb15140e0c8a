//! What an answer's cost is made of.

use serde::{Deserialize, Serialize};

use super::offers::{FleetTerms, Standing};
use crate::fleet::answer::FleetAnswer;

/// What an answer's cost is made of, in billionths of a dollar per hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bill {
    /// Machines on demand.
    pub on_demand: u128,
    /// Spot machines, at the price that is paid.
    pub spot: u128,
    /// What their evictions are expected to cost: in the objective, not on the provider's bill.
    pub eviction_risk: u128,
    /// Reservations and commitments, used or not, and whatever else is paid in any case.
    pub fixed: u128,
    /// Machines that a reservation or a commitment paid for.
    pub prepaid_machines: u64,
}

impl Bill {
    /// What the provider will ask for.
    #[must_use]
    pub const fn paid(&self) -> u128 {
        self.on_demand + self.spot + self.fixed
    }

    /// What the purchase was compared by: what is paid, and the risk.
    #[must_use]
    pub const fn effective(&self) -> u128 {
        self.paid() + self.eviction_risk
    }
}

impl FleetTerms {
    /// Breaks an answer's cost down. The effective sum is the answer's cost, if it is an answer to this question.
    #[must_use]
    pub fn bill(&self, answer: &FleetAnswer) -> Bill {
        let problem = self.problem();
        let mut bill = Bill {
            fixed: u128::from(problem.fixed_nano_usd_per_hour),
            ..Bill::default()
        };
        for machine in &answer.machines {
            let Some(offer) = problem.offers.get(machine.offer) else {
                continue;
            };
            let price = u128::from(offer.nano_usd_per_hour);
            match &self.standings()[machine.offer] {
                Standing::OnDemand => bill.on_demand += price,
                Standing::Spot { terms, .. } => {
                    let paid = u128::from(terms.nano_usd_per_hour);
                    bill.spot += paid;
                    bill.eviction_risk += price - paid;
                }
                Standing::Reserved { .. } | Standing::Committed { .. } => bill.prepaid_machines += 1,
            }
        }
        bill
    }
}
