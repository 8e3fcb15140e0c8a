//! Making room by exchange: two pods that take the same GPU but different CPU or memory change places.
//!
//! When GPUs are nearly all taken no pod can move alone, and yet CPU lies free in pieces on many nodes. An exchange needs
//! no free GPU: the frugal pod comes to the node that lacks CPU, the hungry one goes where CPU lies idle.

use std::collections::BTreeMap;

use super::migrate::Candidate;
use super::placer::Placer;
use super::pods::Pod;
use super::policy::real;

/// Hosts that are kept for each class: those with most CPU free.
const HOSTS: usize = 4;

/// Classes by share and whole devices, with the places where a pod of theirs could take more CPU.
pub(super) type Exchange = BTreeMap<(u16, u16), Vec<(usize, Vec<u32>)>>;

impl Placer {
    /// For each GPU ask the classes that take it, with pods on the nodes that have most CPU free.
    pub(super) fn exchange(&self) -> Exchange {
        let mut hosts: Vec<Vec<(u64, u32)>> = vec![Vec::new(); self.classes.len()];
        for (slot, pod) in self.pods.iter() {
            let class = &self.classes[pod.class];
            if !class.rules.are_none() {
                continue;
            }
            let free = self.nodes.entries[pod.node].room.cpu;
            let best = &mut hosts[pod.class];
            if best.len() < HOSTS || best.last().is_some_and(|(least, _)| *least < free) {
                best.insert(best.partition_point(|(other, _)| *other >= free), (free, slot));
                best.truncate(HOSTS);
            }
        }
        let mut exchange = Exchange::new();
        for (class, hosts) in hosts.into_iter().enumerate().filter(|(_, hosts)| !hosts.is_empty()) {
            let ask = (self.classes[class].share, self.classes[class].whole);
            let slots = hosts.into_iter().map(|(_, slot)| slot).collect();
            exchange.entry(ask).or_default().push((class, slots));
        }
        exchange
    }

    /// Adds exchanges of a pod on the node after which the newcomer has its CPU and memory there; its GPU is free already.
    pub(super) fn exchanges_on(&self, newcomer: usize, node: usize, exchange: &Exchange, found: &mut Vec<Candidate>) {
        let wanted = &self.classes[newcomer];
        let room = self.nodes.room(node);
        if !room.has_devices(wanted) {
            return;
        }
        let cpu_lack = wanted.cpu.saturating_sub(room.room.cpu);
        let memory_lack = wanted.memory.saturating_sub(room.room.memory);
        for slot in &self.nodes.residents[node] {
            let Some(pod) = self
                .pods
                .get(*slot)
                .filter(|pod| self.classes[pod.class].rules.are_none())
            else {
                continue;
            };
            for (cpu, memory, pair) in self.offers(*slot, pod, exchange) {
                if cpu >= cpu_lack && memory >= memory_lack {
                    found.push(Candidate {
                        // An exchange costs what it frees beyond need.
                        cost: real(cpu - cpu_lack),
                        node,
                        slots: Vec::new(),
                        exchange: Some(pair),
                    });
                }
            }
        }
    }

    /// Pods that could come in exchange for this one: CPU and memory gained, and the two.
    fn offers(&self, slot: u32, pod: &Pod, exchange: &Exchange) -> Vec<(u64, u64, (u32, u32))> {
        let hungry = &self.classes[pod.class];
        let alike = exchange.get(&(hungry.share, hungry.whole)).into_iter().flatten();
        let offer = |(class, partners): &(usize, Vec<u32>)| {
            let frugal = &self.classes[*class];
            let gain = (
                hungry.cpu.checked_sub(frugal.cpu)?,
                hungry.memory.checked_sub(frugal.memory)?,
            );
            let partner = partners.iter().find(|partner| self.can_exchange(pod, **partner))?;
            (gain.0 + gain.1 > 0).then_some((gain.0, gain.1, (slot, *partner)))
        };
        alike.filter_map(offer).collect()
    }

    /// Whether a pod fits where a more frugal one of the same GPU ask is, and may be there, and the other way round.
    fn can_exchange(&self, hungry: &Pod, partner: u32) -> bool {
        let Some(frugal) = self.pods.get(partner) else {
            return false;
        };
        let (one, two) = (&self.classes[hungry.class], &self.classes[frugal.class]);
        let there = self.nodes.room(frugal.node);
        frugal.node != hungry.node
            && one.barred[self.nodes.profile(frugal.node)].is_none()
            && two.barred[self.nodes.profile(hungry.node)].is_none()
            && one.cpu - two.cpu <= there.room.cpu
            && one.memory - two.memory <= there.room.memory
            && one.disk == two.disk
            && one.extra == two.extra
    }
}
