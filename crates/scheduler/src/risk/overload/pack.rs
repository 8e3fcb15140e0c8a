//! Workloads onto equal machines under a chance constraint, next to a packing by requests of the same making.
//!
//! A portfolio of orders and rules, the best of which is kept, and a bound below which no packing gets. Which machines
//! are bought, and every other rule of placement, belong elsewhere.

use serde::{Deserialize, Serialize};
use skyloom_core::{Class, Dimension, Resources};
use thiserror::Error;

use super::{Load, Overload, Use};

/// Most workloads of one packing: every order looks at every machine for each.
pub const WORKLOADS_MAX: usize = 20_000;

/// A workload with what it asks for and what it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncertain {
    /// What it asks for.
    pub request: Resources,
    /// What it is known to use.
    pub used: Use,
}

/// Why nothing is packed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackOverloadError {
    /// A machine has nothing.
    #[error("pack onto machines that have nothing")]
    NoCapacity,
    /// There are too many workloads.
    #[error("pack {workloads} workloads at once: at most {WORKLOADS_MAX} are accepted")]
    TooMany {
        /// How many were given.
        workloads: usize,
    },
}

impl PackOverloadError {
    /// What kind of failure this is: the input is wrong as it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Invalid
    }
}

/// Workloads by machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Packed {
    /// For each machine the positions of its workloads, rising; machines in order of their first.
    pub machines: Vec<Vec<usize>>,
    /// Positions of those that found no place: too large for an empty machine, or beyond the most machines.
    pub unplaced: Vec<usize>,
}

/// A packing by use, and one by requests to compare it with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OverloadPacking {
    /// By mean and variance.
    pub by_use: Packed,
    /// By requests.
    pub by_request: Packed,
    /// Machines that any packing by use of the same workloads needs.
    pub machines_min: usize,
}

/// Packs workloads onto at most `machines_max` machines of this capacity such that each is overrun with at most the allowed
/// probability, on few machines.
///
/// Cost: workloads x machines, six times.
///
/// # Errors
/// [`PackOverloadError::NoCapacity`] for a machine with nothing, [`PackOverloadError::TooMany`] beyond [`WORKLOADS_MAX`].
pub fn pack_by_use(
    workloads: &[Uncertain],
    capacity: &Resources,
    machines_max: usize,
    overload: &Overload,
) -> Result<OverloadPacking, PackOverloadError> {
    if *capacity == Resources::ZERO {
        return Err(PackOverloadError::NoCapacity);
    }
    if workloads.len() > WORKLOADS_MAX {
        return Err(PackOverloadError::TooMany {
            workloads: workloads.len(),
        });
    }
    let uses: Vec<Use> = workloads.iter().map(|w| w.used).collect();
    let steady = |w: &Uncertain| Use {
        mean: w.request,
        deviation: Resources::ZERO,
    };
    let requests: Vec<Use> = workloads.iter().map(steady).collect();
    let by_use = Bins::best(&uses, capacity, machines_max, overload);
    Ok(OverloadPacking {
        machines_min: machines_min(&uses, &by_use.unplaced, capacity, overload),
        by_request: Bins::best(&requests, capacity, machines_max, overload),
        by_use,
    })
}

/// How a packing chooses among the machines that a workload fits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The first.
    First,
    /// The one that is then fullest.
    Fullest,
}

struct Bins<'a> {
    capacity: &'a Resources,
    overload: &'a Overload,
    loads: Vec<Load>,
    packed: Packed,
}

impl<'a> Bins<'a> {
    /// The packing with the fewest unplaced, then the fewest machines, of the portfolio.
    fn best(uses: &[Use], capacity: &'a Resources, machines_max: usize, overload: &'a Overload) -> Packed {
        let size = |used: &Use| fullness(&overload.effective(&Load::of([used])), capacity);
        let mean = |used: &Use| fullness(&Load::mean_of(used), capacity);
        // Alike together: variances then pool where they are large.
        let restless = |used: &Use| size(used) - mean(used);
        let keys: [&dyn Fn(&Use) -> f64; 3] = [&size, &mean, &restless];
        let mut best: Option<Packed> = None;
        for key in keys {
            let sizes: Vec<f64> = uses.iter().map(key).collect();
            let mut order: Vec<usize> = (0..uses.len()).collect();
            order.sort_by(|a, b| {
                sizes[*b]
                    .total_cmp(&sizes[*a])
                    .then_with(|| uses[*a].order(&uses[*b]))
                    .then(a.cmp(b))
            });
            for rule in [Rule::First, Rule::Fullest] {
                let mut bins = Bins {
                    capacity,
                    overload,
                    loads: Vec::new(),
                    packed: Packed::default(),
                };
                for &item in &order {
                    bins.put(item, &uses[item], machines_max, rule);
                }
                let packed = bins.finished();
                let rank = |p: &Packed| (p.unplaced.len(), p.machines.len());
                if best.as_ref().is_none_or(|kept| rank(&packed) < rank(kept)) {
                    best = Some(packed);
                }
            }
        }
        best.unwrap_or_default()
    }

    fn put(&mut self, item: usize, used: &Use, machines_max: usize, rule: Rule) {
        let with = |load: &Load| {
            let mut sum = *load;
            sum.add(used);
            sum
        };
        let fits = |load: &Load| self.overload.fits(&with(load), self.capacity);
        let mut fitting = (0..self.loads.len()).filter(|machine| fits(&self.loads[*machine]));
        let chosen = match rule {
            Rule::First => fitting.next(),
            Rule::Fullest => {
                let full = |m: &usize| fullness(&self.overload.effective(&with(&self.loads[*m])), self.capacity);
                fitting
                    .map(|machine| (full(&machine), machine))
                    .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
                    .map(|(_, machine)| machine)
            }
        };
        let machine = match chosen {
            Some(machine) => machine,
            None if self.loads.len() < machines_max && fits(&Load::default()) => {
                self.loads.push(Load::default());
                self.packed.machines.push(Vec::new());
                self.loads.len() - 1
            }
            None => return self.packed.unplaced.push(item),
        };
        self.loads[machine].add(used);
        self.packed.machines[machine].push(item);
    }

    fn finished(mut self) -> Packed {
        self.packed
            .machines
            .iter_mut()
            .for_each(|machine| machine.sort_unstable());
        self.packed.machines.sort_unstable();
        self.packed.unplaced.sort_unstable();
        self.packed
    }
}

/// The dominant share of a machine; a dimension that it does not have counts only when it is used.
fn fullness(effective: &[f64; 4], capacity: &Resources) -> f64 {
    let shares = Dimension::ALL.iter().zip(effective).map(|(dimension, size)| {
        let has = Load::whole(capacity.get(*dimension));
        if *size > 0.0 { size / has } else { 0.0 }
    });
    shares.fold(0.0, f64::max)
}

/// Machines that the placed workloads need at least: deviations add up to no less than the deviation of the sum, so all of
/// them on machines side by side need what they need on one of the joint size.
fn machines_min(uses: &[Use], unplaced: &[usize], capacity: &Resources, overload: &Overload) -> usize {
    let placed = uses
        .iter()
        .enumerate()
        .filter(|(item, _)| unplaced.binary_search(item).is_err());
    let all = Load::of(placed.map(|(_, used)| used));
    let share = fullness(&overload.effective_at_least(&all), capacity);
    // A hair below, against rounding.
    let least = libm::ceil(share * (1.0 - 1e-9));
    if least >= 1e9 {
        return usize::MAX;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number in 0..10^9"
    )]
    let machines = least as usize;
    machines
}
