//! Making room by exchange: two pods that take the same GPU but different CPU or memory change places.
//!
//! When GPUs are nearly all taken no pod can move alone, and yet CPU lies free in pieces on many nodes. An exchange needs
//! no free GPU: the frugal pod comes to the node that lacks CPU, the hungry one goes where CPU lies idle.

use std::collections::BTreeMap;

use super::migrate::Candidate;
use super::placer::Placer;
use super::pods::Pod;

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

    /// Exchanges of a pod on the node after which the newcomer has its CPU and memory there; its GPU is free already.
    pub(super) fn exchanges_on(&self, newcomer: usize, node: usize, exchange: &Exchange, found: &mut Vec<Candidate>) {
        let wanted = &self.classes[newcomer];
        let room = self.nodes.room(node);
        if wanted.share > room.room.widest || wanted.whole > room.room.whole {
            return;
        }
        let lack = |ask: u64, free: u64| ask.saturating_sub(free);
        let (cpu, memory) = (lack(wanted.cpu, room.room.cpu), lack(wanted.memory, room.room.memory));
        for slot in &self.nodes.residents[node] {
            let Some(pod) = self.pods.get(*slot) else { continue };
            let hungry = &self.classes[pod.class];
            if hungry.cpu < cpu || hungry.memory < memory || !hungry.rules.are_none() {
                continue;
            }
            for (class, slots) in exchange.get(&(hungry.share, hungry.whole)).into_iter().flatten() {
                let frugal = &self.classes[*class];
                let enough = |hungry: u64, frugal: u64, lack: u64| hungry >= frugal && hungry - frugal >= lack;
                if !enough(hungry.cpu, frugal.cpu, cpu) || !enough(hungry.memory, frugal.memory, memory) {
                    continue;
                }
                let partner = slots.iter().find(|partner| self.can_exchange(pod, **partner));
                if let Some(partner) = partner {
                    #[expect(clippy::cast_precision_loss, reason = "ranks candidates")]
                    let cost = (hungry.cpu - frugal.cpu - cpu) as f64;
                    found.push(Candidate {
                        cost,
                        node,
                        slots: vec![*slot],
                        partner: Some(*partner),
                    });
                }
            }
        }
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
