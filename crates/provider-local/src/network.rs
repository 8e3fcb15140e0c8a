//! Whose traffic it was: TCP byte counts summed per replica.
//!
//! A live connection belongs to the replica whose process holds it. When it ends, the kernel's note brings its final
//! counts; a connection never seen alive is still attributed when its local port is one that this driver gave out
//! (everything a server answers). What is missed: connections that a replica opens *outwards* and closes between two
//! samples, and notes lost when more end than the queue holds. So a figure is a lower bound that is exact for servers
//! and for long-lived clients. Traffic before this driver took a replica over is only known as far as connections live.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use skyloom_core::ResourceId;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::task::AbortHandle;

use crate::netdiag::{Connection, Counts, connections, ended_notes, read_notes};

/// Samples for which a connection that is no longer listed waits for the kernel's note before its last known counts
/// are taken as final. A note comes within milliseconds; one that came after that would count twice.
const SAMPLES_MISSING_MAX: u8 = 20;

/// Counts traffic per replica.
#[derive(Debug, Default)]
pub(crate) struct Network {
    ledger: Arc<Mutex<Ledger>>,
    listener: OnceLock<Option<AbortHandle>>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// TCP ports given out, with their replica.
    ports: BTreeMap<u16, ResourceId>,
    /// Connections that count for a replica, by cookie.
    live: BTreeMap<u64, Live>,
    /// What ended connections have carried.
    ended: BTreeMap<ResourceId, Counts>,
}

#[derive(Debug)]
struct Live {
    owner: ResourceId,
    counts: Counts,
    samples_missing: u8,
}

impl Network {
    /// Begins to listen for ended connections, once. Must be called inside a tokio runtime.
    pub(crate) fn listen(&self) {
        self.listener.get_or_init(|| {
            // Any datagram socket may be waited for under this type; the one made for it is unsafe to make.
            let notes = ended_notes().map(std::os::unix::net::UnixDatagram::from);
            let notes = notes.and_then(UnixDatagram::from_std).ok()?;
            Some(tokio::spawn(follow(notes, Arc::clone(&self.ledger))).abort_handle())
        });
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that these TCP ports are this replica's.
    pub(crate) fn give(&self, id: &ResourceId, ports: impl IntoIterator<Item = u16>) {
        let mut ledger = self.ledger();
        for port in ports {
            ledger.ports.insert(port, id.clone());
        }
    }

    /// Forgets a replica that is gone.
    pub(crate) fn forget(&self, id: &ResourceId) {
        let mut ledger = self.ledger();
        ledger.ports.retain(|_, owner| owner != id);
        ledger.live.retain(|_, live| live.owner != *id);
        ledger.ended.remove(id);
    }

    /// What the replica whose processes hold these sockets has carried so far. `None` where the kernel does not tell.
    pub(crate) fn sample(&self, id: &ResourceId, inodes: &BTreeSet<u64>) -> Option<Counts> {
        // No note may be taken between the listing and its use: a connection that has ended would be live again.
        let mut ledger = self.ledger();
        let connections = connections().ok()?;
        ledger.note_live(id, inodes, &connections);
        Some(ledger.total(id))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(Some(listener)) = self.listener.get() {
            listener.abort();
        }
    }
}

async fn follow(notes: UnixDatagram, ledger: Arc<Mutex<Ledger>>) {
    while notes.readable().await.is_ok() {
        // An error other than "nothing there" is an overrun: the notes that were lost are not counted.
        if let Ok(ended) = notes.try_io(Interest::READABLE, || read_notes(&notes)) {
            ledger.lock().unwrap_or_else(PoisonError::into_inner).note_ended(&ended);
        }
    }
}

impl Ledger {
    fn note_live(&mut self, id: &ResourceId, inodes: &BTreeSet<u64>, connections: &[Connection]) {
        self.live
            .values_mut()
            .filter(|l| l.owner == *id)
            .for_each(|l| l.samples_missing += 1);
        for connection in connections {
            let known = self.live.get(&connection.cookie).map(|live| live.owner.clone());
            let owner = if inodes.contains(&connection.inode) {
                Some(id.clone())
            } else {
                known
            };
            if let Some(owner) = owner {
                let live = Live {
                    owner,
                    counts: connection.counts,
                    samples_missing: 0,
                };
                self.live.insert(connection.cookie, live);
            }
        }
        let is_over = |_: &u64, live: &mut Live| live.samples_missing > SAMPLES_MISSING_MAX;
        for (_, live) in self.live.extract_if(.., is_over) {
            add(&mut self.ended, live.owner, live.counts);
        }
    }

    fn note_ended(&mut self, ended: &[Connection]) {
        for connection in ended {
            let known = self.live.remove(&connection.cookie).map(|live| live.owner);
            if let Some(owner) = known.or_else(|| self.ports.get(&connection.local_port).cloned()) {
                add(&mut self.ended, owner, connection.counts);
            }
        }
    }

    fn total(&self, id: &ResourceId) -> Counts {
        let ended = self.ended.get(id).copied().unwrap_or_default();
        let live = self.live.values().filter(|live| live.owner == *id);
        live.fold(ended, |sum, live| sum.plus(live.counts))
    }
}

fn add(ended: &mut BTreeMap<ResourceId, Counts>, owner: ResourceId, counts: Counts) {
    let sum = ended.entry(owner).or_default();
    *sum = sum.plus(counts);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ResourceId {
        ResourceId::new(text).unwrap()
    }

    fn connection(cookie: u64, inode: u64, local_port: u16, received: u64, sent: u64) -> Connection {
        Connection {
            cookie,
            inode,
            local_port,
            counts: Counts { received, sent },
        }
    }

    #[test]
    fn each_byte_is_counted_once_from_open_to_end() {
        let (a, b) = (id("a"), id("b"));
        let mut ledger = Ledger::default();
        ledger.ports.insert(80, a.clone());
        let (of_a, of_b) = (BTreeSet::from([11]), BTreeSet::from([22]));
        let both = [connection(1, 11, 80, 5, 6), connection(2, 22, 4000, 6, 5)];
        ledger.note_live(&a, &of_a, &both);
        ledger.note_live(&b, &of_b, &both);
        assert_eq!(ledger.total(&a), Counts { received: 5, sent: 6 });
        assert_eq!(ledger.total(&b), Counts { received: 6, sent: 5 });

        ledger.note_ended(&[connection(1, 0, 80, 9, 6), connection(2, 0, 4000, 6, 9)]);
        assert_eq!(
            ledger.total(&a),
            Counts { received: 9, sent: 6 },
            "the final counts replace the last seen"
        );
        assert_eq!(ledger.total(&b), Counts { received: 6, sent: 9 });

        ledger.note_ended(&[connection(3, 0, 80, 1, 1), connection(4, 0, 5000, 1, 1)]);
        assert_eq!(
            ledger.total(&a),
            Counts { received: 10, sent: 7 },
            "never seen alive, but on a given port"
        );
        assert_eq!(
            ledger.total(&b),
            Counts { received: 6, sent: 9 },
            "a stranger's is nobody's"
        );
    }

    #[test]
    fn a_connection_whose_note_was_lost_keeps_its_last_counts() {
        let a = id("a");
        let mut ledger = Ledger::default();
        ledger.note_live(&a, &BTreeSet::from([11]), &[connection(1, 11, 80, 5, 6)]);
        for _ in 0..=SAMPLES_MISSING_MAX {
            ledger.note_live(&a, &BTreeSet::new(), &[]);
            assert_eq!(ledger.total(&a), Counts { received: 5, sent: 6 });
        }
        assert!(ledger.live.is_empty(), "bounded");
    }
}
