//! Where replicas are during a decision: machines with what is on them. Rules are `rules`' business; here only room counts.

use skyloom_core::{Dimension, Filter, Resources};

use crate::model::{Model, SiteCounts};

/// A machine that is there or was opened by this decision.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Which option of the model.
    pub(crate) option: usize,
    /// What is taken, by replicas of the manifest and by others.
    pub(crate) used: Resources,
    /// GPU requests on it, by replicas of the manifest and by others.
    pub(crate) gpus: Vec<u64>,
    /// Replicas of the manifest on it, sorted.
    pub(crate) residents: Vec<usize>,
    /// Services of other replicas on it.
    pub(crate) foreign: Vec<usize>,
}

impl Slot {
    fn empty(option: usize) -> Self {
        Self {
            option,
            used: Resources::ZERO,
            gpus: Vec::new(),
            residents: Vec::new(),
            foreign: Vec::new(),
        }
    }
}

/// An assignment of replicas to slots; the first slots are the machines that are there.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) slots: Vec<Slot>,
    /// Slot of each replica.
    pub(crate) at: Vec<Option<usize>>,
    /// Replicas per site of each service, sorted by site.
    pub(crate) counts: SiteCounts,
    /// What machines to buy take of each quota.
    pub(crate) quota_used: Vec<u64>,
}

impl State {
    /// Nothing placed; foreign replicas take their room.
    pub(crate) fn new(model: &Model<'_>) -> Self {
        let mut slots: Vec<Slot> = (0..model.node_count).map(Slot::empty).collect();
        for foreign in &model.foreign {
            let slot = &mut slots[foreign.node];
            // A machine that is over-full already has no room: it counts as full.
            slot.used = slot.used.checked_add(&foreign.request).unwrap_or(Resources {
                cpu: skyloom_core::Millicores::MAX,
                ..slot.used
            });
            if !foreign.request.gpu.is_zero() {
                slot.gpus.push(foreign.request.gpu.as_milligpus());
            }
            slot.foreign.push(foreign.service);
        }
        Self {
            slots,
            at: vec![None; model.replicas.len()],
            counts: vec![Vec::new(); model.services.len()],
            quota_used: vec![0; model.quotas.len()],
        }
    }

    /// Opens a machine of that option and gives its slot; an emptied one is used again.
    pub(crate) fn open(&mut self, model: &Model<'_>, option: usize) -> usize {
        let spare = (model.node_count..self.slots.len()).find(|i| self.slots[*i].residents.is_empty());
        match spare {
            Some(index) => {
                self.slots[index] = Slot::empty(option);
                index
            }
            None => {
                self.slots.push(Slot::empty(option));
                self.slots.len() - 1
            }
        }
    }

    /// Puts a replica, which must be nowhere and must have room, into a slot.
    pub(crate) fn add(&mut self, model: &Model<'_>, replica: usize, slot: usize) {
        let service = model.service_of[replica];
        let request = model.request(service);
        let target = &mut self.slots[slot];
        if target.residents.is_empty() {
            for (quota, amount) in &model.options[target.option].quotas {
                self.quota_used[*quota] = self.quota_used[*quota].saturating_add(*amount);
            }
        }
        target.used = target.used.checked_add(request).unwrap_or(target.used);
        if !request.gpu.is_zero() {
            target.gpus.push(request.gpu.as_milligpus());
        }
        let position = target.residents.partition_point(|r| *r < replica);
        target.residents.insert(position, replica);
        self.at[replica] = Some(slot);
        change_count(&mut self.counts[service], model.options[target.option].site, true);
    }

    /// Takes a replica off its slot and gives the slot; `None`: it was nowhere.
    pub(crate) fn remove(&mut self, model: &Model<'_>, replica: usize) -> Option<usize> {
        let slot = self.at[replica].take()?;
        let service = model.service_of[replica];
        let request = model.request(service);
        let target = &mut self.slots[slot];
        target.used = target.used.checked_sub(request).unwrap_or(target.used);
        if let Some(position) = target.gpus.iter().position(|g| *g == request.gpu.as_milligpus()) {
            target.gpus.remove(position);
        }
        if let Ok(position) = target.residents.binary_search(&replica) {
            target.residents.remove(position);
        }
        if target.residents.is_empty() {
            for (quota, amount) in &model.options[target.option].quotas {
                self.quota_used[*quota] = self.quota_used[*quota].saturating_sub(*amount);
            }
        }
        change_count(&mut self.counts[service], model.options[target.option].site, false);
        Some(slot)
    }

    /// The first dimension in which a request has no room in a slot.
    pub(crate) fn lacks(&self, model: &Model<'_>, slot: usize, request: &Resources) -> Option<Filter> {
        let slot = &self.slots[slot];
        let capacity = &model.options[slot.option].capacity;
        let lacks = |d: &Dimension| {
            slot.used
                .get(*d)
                .checked_add(request.get(*d))
                .is_none_or(|sum| sum > capacity.get(*d))
        };
        if let Some(dimension) = Dimension::ALL.iter().find(|d| request.get(**d) > 0 && lacks(d)) {
            return Some(Filter::from(*dimension));
        }
        let gpu = request.gpu.as_milligpus();
        let holds = gpu == 0 || devices_hold(capacity.gpu.as_milligpus(), &slot.gpus, gpu);
        (!holds).then_some(Filter::Gpu)
    }

    /// Millionths of a dollar per month for the machines in use.
    pub(crate) fn machines_per_hour(&self, model: &Model<'_>) -> i128 {
        let used = self.slots.iter().filter(|s| !s.residents.is_empty());
        used.map(|s| i128::from(model.options[s.option].price.as_micros()))
            .sum()
    }

    /// Millionths of a dollar per month, machines and egress.
    pub(crate) fn total_per_month(&self, model: &Model<'_>) -> i128 {
        let egress = model.egress.per_month(&self.counts, &model.sites, &model.regions).0;
        self.machines_per_hour(model) * HOURS + egress
    }

    /// Replicas that are nowhere.
    pub(crate) fn unplaced(&self) -> usize {
        self.at.iter().filter(|slot| slot.is_none()).count()
    }

    /// Replicas of a service that are somewhere.
    pub(crate) fn placed_of<'s>(
        &'s self,
        model: &Model<'_>,
        service: usize,
    ) -> impl Iterator<Item = (usize, usize)> + 's {
        let service = &model.services[service];
        (service.first..service.first + service.count).filter_map(|r| self.at[r].map(|slot| (r, slot)))
    }
}

/// Hours in a month of account.
pub(crate) const HOURS: i128 = 730;

/// One more or one less replica in a site of a sorted list.
pub(crate) fn change_count(counts: &mut Vec<(usize, u32)>, site: usize, more: bool) {
    match counts.binary_search_by_key(&site, |(s, _)| *s) {
        Ok(index) if more => counts[index].1 += 1,
        Ok(index) => {
            counts[index].1 -= 1;
            if counts[index].1 == 0 {
                counts.remove(index);
            }
        }
        Err(index) if more => counts.insert(index, (site, 1)),
        Err(_) => {}
    }
}

/// Whether devices of `capacity` thousandths in all (whole ones, and one partial for the rest) hold the requests and
/// one `more`: from 1,000 on whole devices, below that a share of one device. First fit by decreasing size: it never
/// says yes wrongly, and for shares that halve (1/2, 1/4, …) never no.
pub(crate) fn devices_hold(capacity: u64, requests: &[u64], more: u64) -> bool {
    const DEVICE: u64 = 1000;
    let (mut whole, partial) = (capacity / DEVICE, capacity % DEVICE);
    let mut shares = Vec::new();
    for request in requests.iter().copied().chain([more]).filter(|r| *r > 0) {
        if request < DEVICE {
            shares.push(request);
        } else if request % DEVICE == 0 && request / DEVICE <= whole {
            whole -= request / DEVICE;
        } else {
            return false;
        }
    }
    shares.sort_unstable_by(|a, b| b.cmp(a));
    // The partial device first: what fits there keeps a whole one whole.
    let mut free = vec![partial];
    for share in shares {
        match free.iter_mut().find(|f| **f >= share) {
            Some(device) => *device -= share,
            None if whole > 0 => {
                whole -= 1;
                free.push(DEVICE - share);
            }
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::devices_hold;

    #[test]
    fn shares_do_not_straddle_devices() {
        let rows: &[(u64, &[u64], u64, bool)] = &[
            (2000, &[600], 600, true),
            (1000, &[600], 600, false),
            (2000, &[600, 600], 600, false),
            (2000, &[500, 500, 500], 500, true),
            (2000, &[500], 1000, true),
            (2000, &[500], 2000, false),
            (2000, &[], 1500, false),
            (500, &[], 500, true),
            (500, &[], 1000, false),
            (1500, &[500], 1000, true),
            (u64::MAX, &[], 1000, true),
            (4000, &[], u64::MAX, false),
            (0, &[], 0, true),
        ];
        for (capacity, requests, more, holds) in rows {
            assert_eq!(
                devices_hold(*capacity, requests, *more),
                *holds,
                "{capacity} {requests:?} {more}"
            );
        }
    }
}
