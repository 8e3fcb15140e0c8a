//! Offers that no other offer beats: at least as much of everything, at no higher price, under no further limit, for
//! everybody who may use it. What may be lost is only a choice between equals.

use super::problem::{Amounts, Devices};

/// An offer while it is compared with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its position in the question.
    pub(crate) offer: usize,
    pub(crate) capacity: Amounts,
    pub(crate) devices: u32,
    pub(crate) price: u64,
    /// What one machine takes of which limits, rising, without zeros.
    pub(crate) takes: Vec<(usize, u64)>,
    /// Bits of the eligibility rows that it is in.
    pub(crate) rows: Vec<u64>,
}

impl Candidate {
    pub(crate) fn is_in(&self, row: usize) -> bool {
        self.rows[row / 64] >> (row % 64) & 1 == 1
    }

    /// Whether one machine can carry one copy of a workload of this row.
    pub(crate) fn carries(&self, row: usize, need: &Amounts, devices: Devices) -> bool {
        let wanted = match devices {
            Devices::None => 0,
            Devices::Share(_) => 1,
            Devices::Whole(devices) => devices,
        };
        self.is_in(row) && wanted <= self.devices && need.0.iter().zip(self.capacity.0).all(|(n, c)| *n <= c)
    }

    fn beats(&self, other: &Self) -> bool {
        let more = |a: &Amounts, b: &Amounts| a.0.iter().zip(b.0).all(|(a, b)| *a >= b);
        let limit = |(at, taken): &(usize, u64)| other.takes.iter().any(|(o, t)| o == at && t >= taken);
        self.price <= other.price
            && self.devices >= other.devices
            && more(&self.capacity, &other.capacity)
            && self
                .rows
                .iter()
                .zip(&other.rows)
                .all(|(own, theirs)| theirs & !own == 0)
            && self.takes.iter().all(limit)
    }
}

/// Those that no other one beats, in the order given, which must be by rising price; of equal ones the first.
pub(crate) fn undominated(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.iter().any(|other| other.beats(&candidate)) {
            continue;
        }
        // One that costs as much may have come first.
        let price = candidate.price;
        kept.retain(|other| other.price < price || !candidate.beats(other));
        kept.push(candidate);
    }
    kept
}
