//! Byte counts of TCP sockets, as the kernel's `sock_diag` netlink family tells them to any user.
//!
//! `/proc` cannot say it: `/proc/PID/io` counts `read` and `write` on files as well, `/proc/PID/net/dev` is the whole
//! network namespace. Only what is needed of the format is here (`linux/inet_diag.h`, `linux/tcp.h`), read through
//! checked slices; attribution to replicas is in `network`. UDP sockets have no byte counts in the kernel.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with, sockopt,
};

/// `SOCK_DIAG_BY_FAMILY`: both the request and the kind of its answers and of the notes about ended sockets.
const BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `AF_INET` and `AF_INET6`.
const FAMILIES: [u8; 2] = [2, 10];
const IPPROTO_TCP: u8 = 6;
/// The attribute that carries `struct tcp_info`.
const INET_DIAG_INFO: u16 = 2;
/// All states but `LISTEN`, `TIME_WAIT` and `NEW_SYN_RECV`, which have no counts.
const STATES: u32 = 0xfff & !(1 << 10 | 1 << 6 | 1 << 12);
/// Groups `SKNLGRP_INET_TCP_DESTROY` and `SKNLGRP_INET6_TCP_DESTROY` as a mask.
const GROUPS_ENDED: u32 = 1 << 0 | 1 << 2;
/// The kernel never sends more in one piece.
const RECEIVE_BYTES: usize = 64 << 10;
/// Asked for as queue of notes; the system may give less.
const QUEUE_BYTES: usize = 4 << 20;
const HEADER_BYTES: usize = 16;
/// `struct inet_diag_msg`, before its attributes.
const MESSAGE_BYTES: usize = 72;

/// Bytes that a socket has received and sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Counts {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            received: self.received.saturating_add(other.received),
            sent: self.sent.saturating_add(other.sent),
        }
    }
}

/// A TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Unique for as long as the system runs.
    pub(crate) cookie: u64,
    /// As in `/proc/PID/fd`; 0 when no process holds it.
    pub(crate) inode: u64,
    pub(crate) local_port: u16,
    pub(crate) counts: Counts,
}

fn open() -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )?;
    Ok(socket)
}

/// All TCP connections of this network namespace. Cost is linear in their number.
pub(crate) fn connections() -> io::Result<Vec<Connection>> {
    let socket = open()?;
    let mut found = Vec::new();
    for family in FAMILIES {
        send(&socket, &request(family), SendFlags::empty())?;
        while !receive(&socket, RecvFlags::empty(), &mut found)? {}
    }
    Ok(found)
}

/// A socket that gets a note with the final counts of each TCP connection that ends, and does not block.
pub(crate) fn ended_notes() -> io::Result<OwnedFd> {
    let socket = open()?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    let _ = sockopt::set_socket_recv_buffer_size(&socket, QUEUE_BYTES); // a wish; overruns are survived
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS_ENDED))?;
    Ok(socket)
}

/// Reads the notes that wait, one piece of them.
pub(crate) fn read_notes(socket: impl AsFd) -> io::Result<Vec<Connection>> {
    let mut found = Vec::new();
    receive(socket, RecvFlags::DONTWAIT, &mut found)?;
    Ok(found)
}

fn request(family: u8) -> Vec<u8> {
    let body: u32 = 56; // struct inet_diag_req_v2
    let length = body.saturating_add(16);
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend([0; 8]); // sequence and port: one request at a time on a socket of its own
    bytes.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.extend([0; 48]); // any address
    bytes
}

/// Receives one piece; true when it was the last of an answer.
fn receive(socket: impl AsFd, flags: RecvFlags, found: &mut Vec<Connection>) -> io::Result<bool> {
    let mut buffer = vec![0; RECEIVE_BYTES];
    let (_, length) = recv(socket, buffer.as_mut_slice(), flags)?;
    buffer.truncate(length);
    parse(&buffer, found)
}

fn parse(mut bytes: &[u8], found: &mut Vec<Connection>) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = bytes.get(HEADER_BYTES..length) else {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        };
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => return Err(refusal(message)),
            BY_FAMILY => found.extend(connection(message)),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn refusal(message: &[u8]) -> io::Error {
    let negative = u32_at(message, 0).map_or(0, u32::cast_signed);
    io::Error::from_raw_os_error(negative.saturating_neg())
}

/// `struct inet_diag_msg` with its attributes; `None` for one without counts.
fn connection(message: &[u8]) -> Option<Connection> {
    let info = attribute(message.get(MESSAGE_BYTES..)?, INET_DIAG_INFO)?;
    let cookie = u64::from(u32_at(message, 44)?) | u64::from(u32_at(message, 48)?) << 32;
    let port = message.get(4..6)?;
    Some(Connection {
        cookie,
        inode: u64::from(u32_at(message, 68)?),
        local_port: u16::from_be_bytes(port.try_into().ok()?),
        counts: counts(info)?,
    })
}

/// The counts in `struct tcp_info`. Sent is what the program handed over, without repetitions (Linux 4.19), else what
/// the other side has confirmed.
fn counts(info: &[u8]) -> Option<Counts> {
    let confirmed = u64_at(info, 120)?;
    let handed_over = u64_at(info, 200)
        .zip(u64_at(info, 208))
        .map(|(all, again)| all.saturating_sub(again));
    Some(Counts {
        received: u64_at(info, 128)?,
        sent: handed_over.unwrap_or(confirmed),
    })
}

fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..length)?;
        if u16_at(bytes, 2)? & 0x3fff == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_counts_what_two_sockets_exchange() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[7; 5000]).unwrap();
        server.read_exact(&mut [0; 5000]).unwrap();

        let port = listener.local_addr().unwrap().port();
        let all = connections().unwrap();
        let server_side = all.iter().find(|c| c.local_port == port).unwrap();
        assert_eq!(
            server_side.counts,
            Counts {
                received: 5000,
                sent: 0
            }
        );
        let client_port = client.local_addr().unwrap().port();
        let client_side = all.iter().find(|c| c.local_port == client_port).unwrap();
        assert_eq!(
            client_side.counts,
            Counts {
                received: 0,
                sent: 5000
            }
        );
        assert!(server_side.inode != 0 && server_side.cookie != client_side.cookie);
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = open().unwrap();
        send(&socket, &request(2), SendFlags::empty()).unwrap();
        let mut buffer = vec![0; RECEIVE_BYTES];
        let (_, length) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
        buffer.truncate(length);
        for cut in 0..buffer.len() {
            drop(parse(&buffer[..cut], &mut Vec::new()));
        }
        for byte in 0..buffer.len().min(600) {
            for value in [0, 1, 3, 15, 255] {
                let mut changed = buffer.clone();
                changed[byte] = value;
                if u32_at(&changed, 0) != Some(0) {
                    drop(parse(&changed, &mut Vec::new()));
                }
            }
        }
    }
}
