//! What a replica uses, read from the kernel when asked: no sampling thread, no estimate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use procfs::process::{FDTarget, Process};
use skyloom_core::{Bytes, ResourceId};
use skyloom_provider::Usage;

use crate::error::Fault;
use crate::network::Network;
use crate::process::Member;
use crate::store::now;

/// Keeps processor time from going backwards.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<BTreeMap<ResourceId, (u32, u64)>>);

impl Meter {
    /// The largest figure seen of this run: a process that ends without being waited for by its parent in the replica
    /// takes its time with it.
    fn cpu_ticks(&self, id: &ResourceId, run: u32, ticks: u64) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen.entry(id.clone()).or_insert((run, 0));
        if entry.0 != run {
            *entry = (run, 0);
        }
        entry.1 = entry.1.max(ticks);
        entry.1
    }

    /// Forgets a replica that is gone.
    pub(crate) fn forget(&self, id: &ResourceId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// What these processes use: time and memory summed over them (a page shared by two counts twice).
    pub(crate) fn read(
        &self,
        network: &Network,
        id: &ResourceId,
        run: u32,
        members: &[Member],
    ) -> Result<Usage, Fault> {
        let ticks = members.iter().fold(0_u64, |sum, m| sum.saturating_add(m.cpu_ticks));
        let pages = members
            .iter()
            .fold(0_u64, |sum, m| sum.saturating_add(m.resident_pages));
        let counts = sockets(members).and_then(|inodes| network.sample(id, &inodes));
        Ok(Usage {
            at: now(),
            cpu: duration(self.cpu_ticks(id, run, ticks)),
            memory: Bytes::from_bytes(pages.saturating_mul(procfs::page_size())),
            network_in: counts.map(|c| Bytes::from_bytes(c.received)),
            network_out: counts.map(|c| Bytes::from_bytes(c.sent)),
        })
    }
}

/// Clock ticks as time.
fn duration(ticks: u64) -> Duration {
    let per_second = procfs::ticks_per_second().max(1);
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(per_second);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The sockets that these processes hold; `None` when they may not be looked at.
fn sockets(members: &[Member]) -> Option<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for member in members {
        let Ok(process) = Process::new(member.pid) else {
            continue; // ended meanwhile
        };
        let files = match process.fd() {
            Ok(files) => files,
            Err(procfs::ProcError::PermissionDenied(_)) => return None,
            Err(_) => continue,
        };
        for file in files.flatten() {
            if let FDTarget::Socket(inode) = file.target {
                inodes.insert(inode);
            }
        }
    }
    Some(inodes)
}
