//! Formulas 1 to 3 of `docs/fidelity.md`: utilisation, load balance, cost-benefit.
//!
//! Only arithmetic with its zero cases lives here. Which machines and periods go into it is `report`'s and `rebalance`'s
//! business. Non-finite numbers stop at this border: a clamp would not stop NaN.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Dimension, MicroUsd, Ratio, Resources};
use thiserror::Error;

/// Why a formula has no value.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum FormulaError {
    /// Formula 1 with `T_i = 0`: nothing was there to be used.
    #[error("take a utilisation of a total of zero ({what})")]
    ZeroTotal {
        /// Of what the total is.
        what: String,
    },
    /// Formula 1 with more in use than there is.
    #[error("take a utilisation of `{used}` out of `{total}`: more is used than there is")]
    OverTotal {
        /// What is in use.
        used: f64,
        /// What there is.
        total: f64,
    },
    /// A number is NaN, infinite or below zero.
    #[error("accept `{value}` as {what}: it must be finite and not negative")]
    NotANumber {
        /// What was given.
        value: f64,
        /// What it stands for.
        what: &'static str,
    },
    /// A mean, or an imbalance, of no resources at all.
    #[error("take the mean utilisation of no resources")]
    Nothing,
    /// Formula 3 with a negative amount.
    #[error("weigh a negative amount of money: cost `{cost}`, revenue `{revenue}`")]
    NegativeMoney {
        /// `R_c`.
        cost: MicroUsd,
        /// `R_e`.
        revenue: MicroUsd,
    },
}

impl FormulaError {
    /// What kind of failure this is: a formula's input is wrong as it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// How the utilisations of several dimensions become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fold {
    /// The largest (dominant share).
    #[default]
    Dominant,
    /// The arithmetic mean over the dimensions that the resource has.
    Mean,
    /// One dimension only.
    Only(Dimension),
}

/// Formula 1 of `docs/fidelity.md`: `U = R / T`, busy over total, in the same unit and over the same window.
///
/// ```
/// use skyloom_scheduler::formulas::utilisation;
///
/// assert_eq!(utilisation(36.0, 60.0)?.get(), 0.6);
/// assert!(utilisation(0.0, 0.0).is_err());
/// # Ok::<(), skyloom_scheduler::formulas::FormulaError>(())
/// ```
///
/// # Errors
/// [`FormulaError::NotANumber`] for NaN, infinity or a negative number, [`FormulaError::ZeroTotal`] for `total = 0`,
/// [`FormulaError::OverTotal`] for `busy > total`.
pub fn utilisation(busy: f64, total: f64) -> Result<Ratio, FormulaError> {
    for (value, what) in [(busy, "busy time"), (total, "total time")] {
        if !value.is_finite() || value < 0.0 {
            return Err(FormulaError::NotANumber { value, what });
        }
    }
    if total <= 0.0 {
        return Err(FormulaError::ZeroTotal {
            what: "time".to_owned(),
        });
    }
    Ratio::new(busy / total).map_err(|_| FormulaError::OverTotal { used: busy, total })
}

/// Formula 1 over the dimensions of a machine: used over capacity, folded.
///
/// A dimension of which the machine has nothing and nothing is used is not a dimension of it and is left out.
///
/// # Errors
/// [`FormulaError::ZeroTotal`] when something is used of what is not there, when the machine has nothing at all, or
/// when the one dimension asked for is not there; [`FormulaError::OverTotal`] when more is used than there is.
pub fn utilisation_of(used: &Resources, capacity: &Resources, fold: Fold) -> Result<Ratio, FormulaError> {
    let per_dimension = utilisation_per_dimension(used, capacity)?;
    let values = || per_dimension.iter().flatten().map(|u| u.get());
    let count = values().count();
    let folded = match fold {
        Fold::Only(dimension) => {
            let index = Dimension::ALL.iter().position(|d| *d == dimension);
            let value = index.and_then(|i| per_dimension[i]);
            return value.ok_or_else(|| FormulaError::ZeroTotal {
                what: dimension.to_string(),
            });
        }
        Fold::Dominant => values().fold(0.0, f64::max),
        Fold::Mean => values().sum::<f64>() / as_f64(count.max(1)),
    };
    if count == 0 {
        return Err(FormulaError::ZeroTotal {
            what: "every dimension".to_owned(),
        });
    }
    Ok(unit(folded))
}

/// Formula 1 per dimension, in the order of [`Dimension::ALL`]; `None` where the machine has nothing of it.
///
/// # Errors
/// As [`utilisation_of`], except that a machine with nothing at all gives four times `None`.
pub fn utilisation_per_dimension(used: &Resources, capacity: &Resources) -> Result<[Option<Ratio>; 4], FormulaError> {
    let mut folded = [None; 4];
    for (slot, dimension) in folded.iter_mut().zip(Dimension::ALL) {
        let (used, total) = (used.get(dimension), capacity.get(dimension));
        if used > total {
            return Err(if total == 0 {
                FormulaError::ZeroTotal {
                    what: dimension.to_string(),
                }
            } else {
                FormulaError::OverTotal {
                    used: wide(used),
                    total: wide(total),
                }
            });
        }
        if total > 0 {
            *slot = Some(unit(wide(used) / wide(total)));
        }
    }
    Ok(folded)
}

/// Formula 1 for a machine by what its replicas use: the sum over them, folded to the dominant dimension. A replica that
/// is not measured counts as using what it asks for. Measured use can be more than the machine has (several rehearsed
/// machines share one real one); it is then fully used. `None` for a machine that has nothing.
///
/// ```
/// use skyloom_core::{Bytes, Millicores, Resources};
/// use skyloom_scheduler::formulas::measured_utilisation;
///
/// let cores = |n: u64| Resources::new(Millicores::from_millicores(n * 1000), Bytes::ZERO);
/// let (asks, uses) = (cores(2), cores(1));
/// let u = measured_utilisation(&cores(4), [(&asks, Some(&uses)), (&asks, None)]);
/// assert_eq!(u.map(|u| u.get()), Some(0.75));
/// ```
#[must_use]
pub fn measured_utilisation<'a>(
    capacity: &Resources,
    replicas: impl IntoIterator<Item = (&'a Resources, Option<&'a Resources>)>,
) -> Option<Ratio> {
    let used = replicas.into_iter().fold(Resources::ZERO, |sum, (request, measured)| {
        let sum = sum.checked_add(measured.unwrap_or(request)).unwrap_or(*capacity);
        Resources {
            cpu: sum.cpu.min(capacity.cpu),
            memory: sum.memory.min(capacity.memory),
            disk: sum.disk.min(capacity.disk),
            gpu: sum.gpu.min(capacity.gpu),
        }
    });
    utilisation_of(&used, capacity, Fold::Dominant).ok()
}

/// Which `Ū` formula 2 compares with.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mean {
    /// The arithmetic mean of the utilisations.
    #[default]
    Arithmetic,
    /// A mean of the caller's: a target, or a capacity-weighted mean.
    Supplied(Ratio),
}

impl Mean {
    /// `Ū` for these utilisations.
    ///
    /// # Errors
    /// [`FormulaError::Nothing`] for the arithmetic mean of nothing.
    pub fn of(self, utilisations: &[Ratio]) -> Result<Ratio, FormulaError> {
        match self {
            Self::Supplied(mean) => Ok(mean),
            Self::Arithmetic if utilisations.is_empty() => Err(FormulaError::Nothing),
            Self::Arithmetic => {
                let sum: f64 = utilisations.iter().map(|u| u.get()).sum();
                Ok(unit(sum / as_f64(utilisations.len())))
            }
        }
    }
}

/// Formula 2 of `docs/fidelity.md`: `LB = (U - Ū) / (U + Ū)`, in -1..=1; under the mean is negative, over it positive,
/// and `U = Ū = 0` gives 0.
///
/// ```
/// use skyloom_core::Ratio;
/// use skyloom_scheduler::formulas::load_balance;
///
/// let lb = load_balance(Ratio::new(0.9)?, Ratio::new(0.65)?);
/// assert_eq!(format!("{lb:.4}"), "0.1613");
/// # Ok::<(), skyloom_core::RatioError>(())
/// ```
#[must_use]
pub fn load_balance(utilisation: Ratio, mean: Ratio) -> f64 {
    let sum = utilisation.get() + mean.get();
    if sum > 0.0 {
        (utilisation.get() - mean.get()) / sum
    } else {
        0.0
    }
}

/// Formula 2 for each of `utilisations`, in their order.
///
/// # Errors
/// [`FormulaError::Nothing`] for the arithmetic mean of nothing.
pub fn load_balances(utilisations: &[Ratio], mean: Mean) -> Result<Vec<f64>, FormulaError> {
    let mean = mean.of(utilisations)?;
    Ok(utilisations.iter().map(|u| load_balance(*u, mean)).collect())
}

/// How uneven a system is, in four figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Imbalance {
    /// Largest `|LB_i|`, 0..=1.
    pub max_abs: f64,
    /// Root mean square of `LB_i`, 0..=1.
    pub rms: f64,
    /// Coefficient of variation of `U_i` (population standard deviation over arithmetic mean); 0 when all are 0.
    pub cv: f64,
    /// Jain's fairness of `U_i`, `1/n..=1`; 1 is even, also when all are 0 (Jain, Chiu, Hawe, DEC TR-301, 1984).
    pub jain: f64,
}

impl Imbalance {
    /// The four figures of these utilisations. A supplied mean changes `max_abs` and `rms` only.
    ///
    /// # Errors
    /// [`FormulaError::Nothing`] when there are no utilisations, whatever the mean.
    pub fn of(utilisations: &[Ratio], mean: Mean) -> Result<Self, FormulaError> {
        let arithmetic = Mean::Arithmetic.of(utilisations)?.get();
        let balances = load_balances(utilisations, mean)?;
        let n = as_f64(utilisations.len());
        let square_sum: f64 = utilisations.iter().map(|u| u.get() * u.get()).sum();
        let variance = utilisations
            .iter()
            .map(|u| (u.get() - arithmetic) * (u.get() - arithmetic))
            .sum::<f64>()
            / n;
        let idle = square_sum <= 0.0;
        Ok(Self {
            max_abs: balances.iter().fold(0.0, |max, lb| lb.abs().max(max)),
            rms: libm::sqrt(balances.iter().map(|lb| lb * lb).sum::<f64>() / n),
            cv: if idle { 0.0 } else { libm::sqrt(variance) / arithmetic },
            jain: if idle {
                1.0
            } else {
                (n * arithmetic) * (n * arithmetic) / (n * square_sum)
            },
        })
    }
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "max |LB| {:.4}, rms {:.4}, cv {:.4}, jain {:.4}",
            self.max_abs, self.rms, self.cv, self.jain
        )
    }
}

/// `CE` of formula 3; smaller is better, and "no benefit" sorts last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostBenefit {
    /// `R_c / R_e`: below 1 it earns.
    Ratio(f64),
    /// Something is paid and nothing earned.
    NoBenefit,
}

impl CostBenefit {
    /// Whether more is earned than paid.
    #[must_use]
    pub fn earns(self) -> bool {
        matches!(self, Self::Ratio(ratio) if ratio < 1.0)
    }

    /// The ratio; `None` for no benefit.
    #[must_use]
    pub const fn ratio(self) -> Option<f64> {
        match self {
            Self::Ratio(ratio) => Some(ratio),
            Self::NoBenefit => None,
        }
    }
}

impl Eq for CostBenefit {}

impl Ord for CostBenefit {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Ratio(a), Self::Ratio(b)) => a.total_cmp(b),
            (Self::Ratio(_), Self::NoBenefit) => Ordering::Less,
            (Self::NoBenefit, Self::Ratio(_)) => Ordering::Greater,
            (Self::NoBenefit, Self::NoBenefit) => Ordering::Equal,
        }
    }
}

impl PartialOrd for CostBenefit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for CostBenefit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(ratio) => f.pad(&format!("{ratio:.4}")),
            Self::NoBenefit => f.pad("no benefit"),
        }
    }
}

/// Formula 3 of `docs/fidelity.md`: `CE = R_c / R_e` over one period. `R_e = 0` with `R_c > 0` is
/// [`CostBenefit::NoBenefit`]; nothing paid and nothing earned breaks even and is a ratio of 1.
///
/// ```
/// use skyloom_core::MicroUsd;
/// use skyloom_scheduler::formulas::{CostBenefit, cost_benefit};
///
/// let (cost, revenue) = (MicroUsd::from_micros(250), MicroUsd::from_micros(1000));
/// assert_eq!(cost_benefit(cost, revenue)?, CostBenefit::Ratio(0.25));
/// assert_eq!(cost_benefit(cost, MicroUsd::ZERO)?, CostBenefit::NoBenefit);
/// # Ok::<(), skyloom_scheduler::formulas::FormulaError>(())
/// ```
///
/// # Errors
/// [`FormulaError::NegativeMoney`] when either amount is below zero.
pub fn cost_benefit(cost: MicroUsd, revenue: MicroUsd) -> Result<CostBenefit, FormulaError> {
    if cost < MicroUsd::ZERO || revenue < MicroUsd::ZERO {
        return Err(FormulaError::NegativeMoney { cost, revenue });
    }
    Ok(match (cost.as_micros(), revenue.as_micros()) {
        (0, 0) => CostBenefit::Ratio(1.0),
        (_, 0) => CostBenefit::NoBenefit,
        (cost, revenue) => CostBenefit::Ratio(wide(cost.unsigned_abs()) / wide(revenue.unsigned_abs())),
    })
}

/// A number known to be in 0..=1 but for rounding in the last place.
fn unit(value: f64) -> Ratio {
    Ratio::new(value.clamp(0.0, 1.0)).unwrap_or_default()
}

/// An amount for a statistic.
#[expect(
    clippy::cast_precision_loss,
    reason = "a statistic, not an account: 53 bits are enough"
)]
pub(crate) const fn wide(amount: u64) -> f64 {
    amount as f64
}

/// A length for a statistic.
#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
pub(crate) const fn as_f64(count: usize) -> f64 {
    count as f64
}
