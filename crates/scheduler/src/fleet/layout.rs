//! Which devices of one machine go to whom: whole devices and shares that may not straddle two.
//!
//! This is the one judge of whether devices suffice, for the engine; the checker has its own.

use super::folded::{Folded, Pattern};
use super::problem::{DEVICE_MILLI, Devices};

/// Steps that a search for a layout may take where placing the largest first fails.
const STEPS_MAX: u32 = 200_000;

/// Most shares that are searched for: the search is as deep as there are shares.
const SEARCHED_MAX: usize = 256;

/// Devices of each copy, item by item of a pattern, copy by copy; rising. `None` if none was found.
pub(crate) fn layout(folded: &Folded, pattern: &Pattern) -> Option<Vec<Vec<Vec<u32>>>> {
    let mut devices: Vec<Vec<Vec<u32>>> = Vec::with_capacity(pattern.items.len());
    let mut next = 0u32;
    let mut shares: Vec<(u32, usize)> = Vec::new();
    for (at, (class, copies)) in pattern.items.iter().enumerate() {
        devices.push(Vec::new());
        match folded.classes[*class as usize].devices {
            Devices::None => {}
            Devices::Whole(each) => {
                for _ in 0..*copies {
                    let end = next.checked_add(each)?;
                    devices[at].push((next..end).collect());
                    next = end;
                }
            }
            Devices::Share(milli) => shares.extend((0..*copies).map(|_| (milli, at))),
        }
    }
    let left = folded.shapes[pattern.shape].devices.checked_sub(next)?;
    shares.sort_by(|a, b| b.cmp(a));
    let sizes: Vec<u32> = shares.iter().map(|(milli, _)| *milli).collect();
    for ((_, at), device) in shares.iter().zip(pack(left, &sizes)?) {
        devices[*at].push(vec![next + device]);
    }
    Some(devices)
}

/// A device below `devices` for each share, given falling: first fit, then a search.
pub(crate) fn pack(devices: u32, shares: &[u32]) -> Option<Vec<u32>> {
    let total: u64 = shares.iter().map(|share| u64::from(*share)).sum();
    if total > u64::from(devices) * u64::from(DEVICE_MILLI) {
        return None;
    }
    let mut free: Vec<u32> = Vec::new();
    let mut places = Vec::with_capacity(shares.len());
    for share in shares {
        let device = free.iter().position(|free| free >= share).unwrap_or(free.len());
        if device == free.len() {
            free.push(DEVICE_MILLI);
        }
        free[device] -= share;
        places.push(u32::try_from(device).ok()?);
    }
    if free.len() <= devices as usize {
        return Some(places);
    }
    if shares.len() > SEARCHED_MAX {
        return None;
    }
    let mut search = Search {
        shares,
        free: vec![DEVICE_MILLI; devices as usize],
        places: Vec::with_capacity(shares.len()),
        steps: STEPS_MAX,
    };
    search.place().then_some(search.places)
}

struct Search<'a> {
    shares: &'a [u32],
    free: Vec<u32>,
    places: Vec<u32>,
    steps: u32,
}

impl Search<'_> {
    /// Places the rest of the shares; devices with equal room are tried once, and equal shares in rising order.
    fn place(&mut self) -> bool {
        let next = self.places.len();
        let Some(&share) = self.shares.get(next) else {
            return true;
        };
        let equal = next > 0 && self.shares[next - 1] == share;
        let from = if equal { self.places[next - 1] as usize } else { 0 };
        let mut tried: Vec<u32> = Vec::new();
        for device in from..self.free.len() {
            let free = self.free[device];
            if free < share || tried.contains(&free) {
                continue;
            }
            if self.steps == 0 {
                return false;
            }
            self.steps -= 1;
            tried.push(free);
            self.free[device] -= share;
            let Ok(place) = u32::try_from(device) else { return false };
            self.places.push(place);
            if self.place() {
                return true;
            }
            self.places.pop();
            self.free[device] += share;
        }
        false
    }
}
