//! Port numbers for replicas on the loopback address.
//!
//! The system chooses (bind to port 0, note, release); numbers in any record of the folder are never given twice.
//! Between the release and the child's own bind somebody else may take the number: the child then fails to listen and
//! ends, which is seen and healed like any other exit.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use rustix::io::Errno;
use skyloom_core::{PortName, PortSpec, Protocol};
use skyloom_provider::Cause;

use crate::error::Fault;
use crate::record::Record;

/// Tries for a number that no record holds. Each try keeps its port until all are found, so no try repeats another.
const TRIES_MAX: usize = 1000;

/// Numbers held by replicas, by transport.
pub(crate) type Held = BTreeSet<(Protocol, u16)>;

/// The numbers that these things hold, stopped and ended ones included.
pub(crate) fn held(records: &[Record]) -> Held {
    let replicas = records.iter().filter_map(Record::replica);
    replicas
        .flat_map(|replica| {
            let number = |spec: &PortSpec| Some((spec.protocol, *replica.ports.get(&spec.name)?));
            replica.spec.run.ports.iter().filter_map(number)
        })
        .collect()
}

/// Keeps a port from others for as long as it lives; never read.
enum Kept {
    Tcp(#[expect(dead_code, reason = "held, not used")] TcpListener),
    Udp(#[expect(dead_code, reason = "held, not used")] UdpSocket),
}

/// A number per named port.
pub(crate) fn choose(specs: &[PortSpec], held: &Held) -> Result<BTreeMap<PortName, u16>, Fault> {
    let mut kept = Vec::new();
    let mut numbers = BTreeMap::new();
    for spec in specs {
        let number = match spec.port {
            Some(fixed) => take(spec.protocol, fixed.get(), held, &mut kept)?,
            None => take_any(spec.protocol, held, &mut kept)?,
        };
        numbers.insert(spec.name.clone(), number);
    }
    Ok(numbers)
}

/// Whether the numbers a replica had are still free.
pub(crate) fn check_free(specs: &[PortSpec], numbers: &BTreeMap<PortName, u16>) -> Result<(), Fault> {
    let mut kept = Vec::new();
    for spec in specs {
        if let Some(number) = numbers.get(&spec.name) {
            take(spec.protocol, *number, &Held::new(), &mut kept)?;
        }
    }
    Ok(())
}

fn take(protocol: Protocol, port: u16, held: &Held, kept: &mut Vec<Kept>) -> Result<u16, Fault> {
    if held.contains(&(protocol, port)) {
        return Err(Fault::from(Cause::PortInUse { port }));
    }
    match bind(protocol, port) {
        Ok((number, socket)) => {
            kept.push(socket);
            Ok(number)
        }
        Err(e) if Errno::from_io_error(&e) == Some(Errno::ADDRINUSE) => {
            Err(Fault::from(Cause::PortInUse { port }).with_source(e))
        }
        Err(e) => Err(Fault::system(&format!("bind port {port}"), e)),
    }
}

fn take_any(protocol: Protocol, held: &Held, kept: &mut Vec<Kept>) -> Result<u16, Fault> {
    for _ in 0..TRIES_MAX {
        let (number, socket) = bind(protocol, 0).map_err(|e| Fault::system("bind a port", e))?;
        kept.push(socket);
        if !held.contains(&(protocol, number)) {
            return Ok(number);
        }
    }
    let what = "ports".to_owned();
    Err(Fault::from(Cause::SystemExhausted { what }))
}

fn bind(protocol: Protocol, port: u16) -> io::Result<(u16, Kept)> {
    let address = (Ipv4Addr::LOCALHOST, port);
    match protocol {
        Protocol::Tcp => TcpListener::bind(address).and_then(|s| Ok((s.local_addr()?.port(), Kept::Tcp(s)))),
        Protocol::Udp => UdpSocket::bind(address).and_then(|s| Ok((s.local_addr()?.port(), Kept::Udp(s)))),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn spec(name: &str, protocol: Protocol, port: u16) -> PortSpec {
        PortSpec {
            name: PortName::new(name).unwrap(),
            protocol,
            port: NonZeroU16::new(port),
        }
    }

    #[test]
    fn a_held_number_is_refused_for_its_own_transport_only() {
        let free = choose(&[spec("a", Protocol::Tcp, 0)], &Held::new()).unwrap();
        let port = *free.values().next().unwrap();
        let held = Held::from([(Protocol::Tcp, port)]);
        let refused = choose(&[spec("a", Protocol::Tcp, port)], &held).unwrap_err();
        assert_eq!(refused.cause, Cause::PortInUse { port });
        assert!(choose(&[spec("a", Protocol::Udp, port)], &held).is_ok());
    }

    #[test]
    fn one_number_twice_in_one_replica_is_refused() {
        let free = choose(&[spec("a", Protocol::Tcp, 0)], &Held::new()).unwrap();
        let port = *free.values().next().unwrap();
        let both = [spec("a", Protocol::Tcp, port), spec("b", Protocol::Tcp, port)];
        assert_eq!(
            choose(&both, &Held::new()).unwrap_err().cause,
            Cause::PortInUse { port }
        );
    }
}
