//! Each term as offers and limits of a question.

use serde::{Deserialize, Serialize};

use super::error::TermError;
use crate::fleet::problem::{FleetProblem, Limit, MachineOffer};

/// Millionths: evictions are counted per million hours.
const MILLION: u128 = 1_000_000;

/// A spot price with what an eviction costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The price that is paid, in billionths of a dollar per hour.
    pub nano_usd_per_hour: u64,
    /// Expected evictions of one machine in a million hours.
    pub evictions_per_million_hours: u64,
    /// What one eviction costs (work lost, start again), in billionths of a dollar.
    pub nano_usd_per_eviction: u64,
}

impl Spot {
    /// What evictions are expected to cost, in billionths of a dollar per hour: rate x cost, rounded up. `None` beyond
    /// what can be counted.
    #[must_use]
    pub fn risk_nano_usd_per_hour(&self) -> Option<u64> {
        let product = u128::from(self.evictions_per_million_hours) * u128::from(self.nano_usd_per_eviction);
        u64::try_from(product.div_ceil(MILLION)).ok()
    }

    /// What the engine compares with other offers: the price and the risk. `None` beyond what can be counted.
    #[must_use]
    pub fn effective_nano_usd_per_hour(&self) -> Option<u64> {
        self.nano_usd_per_hour.checked_add(self.risk_nano_usd_per_hour()?)
    }
}

/// Machines that are paid for whether they are used or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// What it is called in reasons.
    pub name: String,
    /// How many machines are reserved.
    pub machines: u64,
    /// What each costs in any case, in billionths of a dollar per hour; 0 when it was paid up front.
    pub nano_usd_per_hour: u64,
}

/// An amount per hour that is paid in any case, for which machines are had at discounted prices; what goes beyond it is
/// on demand.
///
/// A machine is under it in full or not at all; providers that split the last machine are at most one machine cheaper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// What it is called in reasons.
    pub name: String,
    /// The amount, in billionths of a dollar per hour.
    pub nano_usd_per_hour: u64,
    /// Offers that it covers, with the discounted price of each in billionths of a dollar per hour.
    pub covers: Vec<(usize, u64)>,
}

/// Most of one resource in all machines of some offers together: a region's vCPUs of a family, for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What it is called in reasons.
    pub name: String,
    /// Which resource is counted: a position of [`FleetProblem::dimensions`], or `None` for devices.
    pub dimension: Option<usize>,
    /// The most that all machines together may have of it: the amount asked for counts, not whether there is a quota.
    pub max: u64,
    /// Offers that it concerns; what terms made of them is concerned as well.
    pub offers: Vec<usize>,
}

/// What an offer of a question with terms stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Standing {
    /// Itself.
    OnDemand,
    /// A spot machine of another offer.
    Spot {
        /// The offer.
        of: usize,
        /// Its terms.
        terms: Spot,
    },
    /// A reserved machine of another offer.
    Reserved {
        /// The offer.
        of: usize,
        /// By which reservation.
        name: String,
    },
    /// A machine of another offer under a commitment.
    Committed {
        /// The offer.
        of: usize,
        /// By which commitment.
        name: String,
    },
}

impl Standing {
    /// The offer whose machine it is; `at` itself when it stands for itself.
    #[must_use]
    pub const fn machine(&self, at: usize) -> usize {
        match self {
            Self::OnDemand => at,
            Self::Spot { of, .. } | Self::Reserved { of, .. } | Self::Committed { of, .. } => *of,
        }
    }
}

/// A question with terms of purchase, and what its offers stand for.
///
/// Offers that terms add come after all others, so positions of offers stay what they are.
///
/// ```
/// use skyloom_scheduler::Effort;
/// use skyloom_scheduler::fleet::terms::{FleetTerms, Reservation};
/// use skyloom_scheduler::fleet::{Amounts, Devices, FleetProblem, MachineOffer, Workload, buy};
///
/// let mut problem = FleetProblem::new(vec!["cpu".to_owned()]);
/// problem.workloads.push(Workload {
///     need: Amounts([4, 0, 0, 0, 0, 0, 0, 0]),
///     devices: Devices::None,
///     copies: 3,
///     per_machine_max: None,
///     eligible: None,
/// });
/// problem.offers.push(MachineOffer {
///     capacity: Amounts([4, 0, 0, 0, 0, 0, 0, 0]),
///     devices: 0,
///     nano_usd_per_hour: 100,
/// });
/// let mut terms = FleetTerms::new(problem);
/// terms.reserve(0, Reservation { name: "two".to_owned(), machines: 2, nano_usd_per_hour: 60 })?;
/// let answer = buy(terms.problem(), &mut Effort::units(1000))?;
/// let bill = terms.bill(&answer);
/// assert_eq!((answer.nano_usd_per_hour, bill.on_demand, bill.fixed), (220, 100, 120));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetTerms {
    problem: FleetProblem,
    standings: Vec<Standing>,
}

impl FleetTerms {
    /// A question without terms: every offer stands for itself.
    #[must_use]
    pub fn new(problem: FleetProblem) -> Self {
        let standings = vec![Standing::OnDemand; problem.offers.len()];
        Self { problem, standings }
    }

    /// The question to ask.
    #[must_use]
    pub const fn problem(&self) -> &FleetProblem {
        &self.problem
    }

    /// What each offer stands for, in the order of the offers.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// Machines of an offer can also be had on the spot market, at their price and risk; for workloads of these sets of
    /// offers (all that have the offer, if `None`). Gives the position of the added offer.
    ///
    /// A workload that names no set may be on any offer, and so on this one.
    ///
    /// # Errors
    ///
    /// When the offer is not there or not on demand, or the effective price cannot be counted.
    pub fn spot(&mut self, of: usize, terms: Spot, sets: Option<&[usize]>) -> Result<usize, TermError> {
        let price = terms.effective_nano_usd_per_hour().ok_or_else(|| TermError::Overflow {
            what: "effective price",
            name: format!("spot machines of offer {of}"),
        })?;
        self.twin(of, price, Standing::Spot { of, terms }, sets)
    }

    /// Machines of an offer are paid for in any case. Gives the position of the added offer.
    ///
    /// # Errors
    ///
    /// When the offer is not there or not on demand, the name is taken, or the fee cannot be counted.
    pub fn reserve(&mut self, of: usize, terms: Reservation) -> Result<usize, TermError> {
        self.is_free(&terms.name)?;
        self.is_on_demand(of)?;
        self.pay_anyway(terms.machines.checked_mul(terms.nano_usd_per_hour), &terms.name)?;
        let name = terms.name.clone();
        let twin = self.twin(of, 0, Standing::Reserved { of, name }, None)?;
        self.problem.limits.push(Limit {
            name: terms.name,
            max: terms.machines,
            takes: vec![(twin, 1)],
        });
        Ok(twin)
    }

    /// An amount per hour is paid in any case and buys machines at discounted prices. Gives the positions of the added
    /// offers, in the order of those covered.
    ///
    /// # Errors
    ///
    /// When an offer is not there or not on demand, the name is taken, or the sum of fixed amounts cannot be counted.
    pub fn commit(&mut self, terms: Commitment) -> Result<Vec<usize>, TermError> {
        self.is_free(&terms.name)?;
        for (of, _) in &terms.covers {
            self.is_on_demand(*of)?;
        }
        self.pay_anyway(Some(terms.nano_usd_per_hour), &terms.name)?;
        let mut takes = Vec::with_capacity(terms.covers.len());
        for (of, discounted) in terms.covers {
            let name = terms.name.clone();
            let twin = self.twin(of, 0, Standing::Committed { of, name }, None)?;
            takes.push((twin, discounted));
        }
        let twins = takes.iter().map(|(twin, _)| *twin).collect();
        self.problem.limits.push(Limit {
            name: terms.name,
            max: terms.nano_usd_per_hour,
            takes,
        });
        Ok(twins)
    }

    /// Limits what all machines of some offers have of a resource. Terms that are added later are concerned as well.
    ///
    /// # Errors
    ///
    /// When an offer or the dimension is not there, or the name is taken.
    pub fn quota(&mut self, terms: Quota) -> Result<(), TermError> {
        self.is_free(&terms.name)?;
        let dimensions = self.problem.dimensions.len();
        if let Some(dimension) = terms.dimension.filter(|dimension| *dimension >= dimensions) {
            return Err(TermError::UnknownDimension { dimension, dimensions });
        }
        for offer in &terms.offers {
            self.offer(*offer)?;
        }
        let amount = |offer: &MachineOffer| match terms.dimension {
            Some(dimension) => offer.capacity.0[dimension],
            None => u64::from(offer.devices),
        };
        let concerned = |at: usize| terms.offers.contains(&self.standings[at].machine(at));
        let takes = self.problem.offers.iter().enumerate().filter(|(at, _)| concerned(*at));
        let takes = takes.map(|(at, offer)| (at, amount(offer))).collect();
        self.problem.limits.push(Limit {
            name: terms.name,
            max: terms.max,
            takes,
        });
        Ok(())
    }

    fn offer(&self, offer: usize) -> Result<&MachineOffer, TermError> {
        let offers = self.problem.offers.len();
        self.problem
            .offers
            .get(offer)
            .ok_or(TermError::UnknownOffer { offer, offers })
    }

    fn is_on_demand(&self, offer: usize) -> Result<(), TermError> {
        self.offer(offer)?;
        if self.standings[offer] == Standing::OnDemand {
            Ok(())
        } else {
            Err(TermError::NotOnDemand { offer })
        }
    }

    fn is_free(&self, name: &str) -> Result<(), TermError> {
        let taken = self.problem.limits.iter().any(|limit| limit.name == name);
        let name = name.to_owned();
        if taken {
            Err(TermError::DuplicateName { name })
        } else {
            Ok(())
        }
    }

    fn pay_anyway(&mut self, amount: Option<u64>, name: &str) -> Result<(), TermError> {
        let sum = amount.and_then(|amount| self.problem.fixed_nano_usd_per_hour.checked_add(amount));
        self.problem.fixed_nano_usd_per_hour = sum.ok_or_else(|| TermError::Overflow {
            what: "fixed cost",
            name: name.to_owned(),
        })?;
        Ok(())
    }

    /// Adds an offer that is like another one but for its price: under the same limits, in the same sets of offers
    /// unless only some are named.
    fn twin(&mut self, of: usize, price: u64, standing: Standing, sets: Option<&[usize]>) -> Result<usize, TermError> {
        self.is_on_demand(of)?;
        let twin = self.problem.offers.len();
        let offer = MachineOffer {
            nano_usd_per_hour: price,
            ..self.offer(of)?.clone()
        };
        self.problem.offers.push(offer);
        self.standings.push(standing);
        for (at, set) in self.problem.eligibility.iter_mut().enumerate() {
            let named = sets.is_none_or(|sets| sets.contains(&at));
            if named && set.contains(&of) {
                set.push(twin);
            }
        }
        for limit in &mut self.problem.limits {
            let taken = limit
                .takes
                .iter()
                .find(|(offer, _)| *offer == of)
                .map(|(_, taken)| *taken);
            limit.takes.extend(taken.map(|taken| (twin, taken)));
        }
        Ok(twin)
    }
}
