//! Processes as `/proc` shows them: who belongs to a replica, who is alive, and signals to exactly those.
//!
//! A process belongs to a replica when its environment carries the replica's mark (inherited by all descendants), or
//! when it is in the replica's process group *and* that group is known to be ours still: its leader is the recorded
//! process (number and start time), or another member carries the mark. A number alone proves nothing; the kernel
//! gives it again to strangers. cgroups would be simpler, and need privileges that a newcomer's machine does not give.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use procfs::process::{Process, Stat, all_processes};
use procfs::{ProcError, ProcResult};
use rustix::process::{Pid, PidfdFlags, Signal, getuid, kill_process_group, pidfd_open, pidfd_send_signal};
use skyloom_core::ResourceId;

use crate::error::Fault;
use crate::record::ProcessId;

/// Environment variable by which a replica's processes are known: `MARK/RESOURCE/RUN`.
pub(crate) const MARK_VARIABLE: &str = "SKYLOOM_LOCAL";
/// What takes the place of the run in the mark of a command run by `exec`.
pub(crate) const EXEC_RUN: &str = "exec";
/// Longest wait for processes that are in the middle of `exec` and have no environment yet.
const EXEC_WAIT_MAX: Duration = Duration::from_secs(2);
/// Pause between two looks at such a process.
const EXEC_PAUSE: Duration = Duration::from_millis(1);

/// The mark of a replica's processes, without the run.
pub(crate) fn mark_prefix(folder_mark: &str, id: &ResourceId) -> String {
    format!("{folder_mark}/{id}/")
}

/// A live process of a replica.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) pid: i32,
    pub(crate) start_ticks: u64,
    pub(crate) in_group: bool,
    /// User and system time, waited-for children included.
    pub(crate) cpu_ticks: u64,
    pub(crate) resident_pages: u64,
}

/// What is left of a recorded process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    Alive,
    /// Ended, not waited for yet; the exit code where the system shows it.
    Zombie(Option<i32>),
    Gone,
}

/// Which boot this is: process numbers and start times mean nothing in another.
pub(crate) fn boot_id() -> Result<String, Fault> {
    let path = std::path::Path::new("/proc/sys/kernel/random/boot_id");
    let id = std::fs::read_to_string(path).map_err(|e| Fault::file("read", path, e))?;
    Ok(id.trim().to_owned())
}

/// The identity of a process that is there now; also of one that has just ended and is not waited for.
pub(crate) fn identify(pid: i32) -> Result<ProcessId, Fault> {
    let stat = Process::new(pid).and_then(|process| process.stat());
    Ok(ProcessId {
        pid,
        start_ticks: stat.map_err(proc_fault)?.starttime,
        boot: boot_id()?,
    })
}

/// What is left of a recorded process now.
pub(crate) fn leader(process: &ProcessId) -> Result<Leader, Fault> {
    if process.boot != boot_id()? {
        return Ok(Leader::Gone);
    }
    let stat = match Process::new(process.pid).and_then(|p| p.stat()) {
        Ok(stat) if stat.starttime == process.start_ticks => stat,
        Ok(_) => return Ok(Leader::Gone),
        Err(error) if is_gone(&error) => return Ok(Leader::Gone),
        Err(error) => return Err(proc_fault(error)),
    };
    Ok(match stat.state {
        'X' | 'x' => Leader::Gone,
        'Z' => Leader::Zombie(stat.exit_code.and_then(exit_code)),
        _ => Leader::Alive,
    })
}

/// The exit code in a wait status; `None` when a signal ended it.
const fn exit_code(status: i32) -> Option<i32> {
    if status & 0x7f == 0 {
        Some((status >> 8) & 0xff)
    } else {
        None
    }
}

/// All live processes of a replica, whoever started them. Reads the whole process table once.
///
/// A process that is just loading its program shows no environment for a moment; it is waited for, since a process
/// that is overlooked here is one that is never ended.
pub(crate) fn members(prefix: &str, process: Option<&ProcessId>) -> Result<Vec<Member>, Fault> {
    let boot = boot_id()?;
    let process = process.filter(|p| p.boot == boot);
    let mut leader_is_ours = false;
    let mut found = Vec::new();
    let deadline = Instant::now() + EXEC_WAIT_MAX;
    for other in all_processes().map_err(proc_fault)? {
        let Some((other, stat)) = readable(other)?.and_then(|found| loaded(found, deadline)) else {
            continue;
        };
        let in_group = process.is_some_and(|p| p.pid == stat.pgrp);
        leader_is_ours |= process.is_some_and(|p| p.pid == stat.pid && p.start_ticks == stat.starttime);
        if matches!(stat.state, 'Z' | 'X' | 'x') {
            continue;
        }
        let marked = mark_of(&other).is_some_and(|mark| mark.starts_with(prefix.as_bytes()));
        if in_group || marked {
            found.push((marked, member(&stat, in_group)));
        }
    }
    let group_is_ours = leader_is_ours || found.iter().any(|(marked, member)| *marked && member.in_group);
    found.retain(|(marked, _)| *marked || group_is_ours);
    Ok(found.into_iter().map(|(_, member)| member).collect())
}

fn member(stat: &Stat, in_group: bool) -> Member {
    let children = |ticks: i64| u64::try_from(ticks).unwrap_or(0);
    let own = stat.utime.saturating_add(stat.stime);
    let waited_for = children(stat.cutime).saturating_add(children(stat.cstime));
    Member {
        pid: stat.pid,
        start_ticks: stat.starttime,
        in_group,
        cpu_ticks: own.saturating_add(waited_for),
        resident_pages: stat.rss,
    }
}

/// The process that was started under this very mark, when nobody wrote down its number: of all that carry the mark
/// and lead a group, the one that began first.
///
/// Only to be called with the folder's lock, so that a child of a dead controller has reached its program (see
/// `store`). Even then the kernel closes the lock a moment before it shows the new environment, which is waited for.
pub(crate) fn find_started(mark: &str) -> Result<Option<ProcessId>, Fault> {
    let deadline = Instant::now() + EXEC_WAIT_MAX;
    let mut first: Option<(u64, i32)> = None;
    for other in all_processes().map_err(proc_fault)? {
        let Some((other, stat)) = readable(other)?.and_then(|found| loaded(found, deadline)) else {
            continue;
        };
        let leads = stat.pgrp == stat.pid && !matches!(stat.state, 'Z' | 'X' | 'x');
        if leads && mark_of(&other).is_some_and(|found| found == mark.as_bytes()) {
            let candidate = (stat.starttime, stat.pid);
            first = Some(first.map_or(candidate, |f| f.min(candidate)));
        }
    }
    first.map(|(_, pid)| identify(pid)).transpose()
}

/// The process when it has its environment, waiting for one that is just loading its program; `None` when it ended.
fn loaded((process, mut stat): (Process, Stat), deadline: Instant) -> Option<(Process, Stat)> {
    while is_in_exec(&process, &stat) && Instant::now() < deadline {
        std::thread::sleep(EXEC_PAUSE);
        stat = process.stat().ok()?;
    }
    Some((process, stat))
}

/// Whether it has memory but no environment yet, which the kernel shows only while a program is being loaded.
fn is_in_exec(process: &Process, stat: &Stat) -> bool {
    let starting = stat.vsize > 0 && stat.env_end == Some(0) && !matches!(stat.state, 'Z' | 'X' | 'x');
    starting
        && process.uid().is_ok_and(|uid| uid == getuid().as_raw())
        && process.environ().is_ok_and(|environment| environment.is_empty())
}

/// The value of the mark variable; `None` where there is none or where it may not be read.
fn mark_of(process: &Process) -> Option<Vec<u8>> {
    let environment = process.environ().ok()?;
    let mark = environment.get(OsStr::new(MARK_VARIABLE))?;
    Some(mark.as_bytes().to_vec())
}

/// The environment that a live process was started with. Empty when it may not be read.
pub(crate) fn environment(process: &ProcessId) -> Result<Vec<(std::ffi::OsString, std::ffi::OsString)>, Fault> {
    if leader(process)? != Leader::Alive {
        return Ok(Vec::new());
    }
    let read = Process::new(process.pid)
        .and_then(|p| p.environ())
        .map_err(proc_fault)?;
    Ok(read.into_iter().collect())
}

/// Sends a signal to all members: to the group at once, and to each that left it.
///
/// A group number is only used while a member of it was just seen; a process that left is addressed by a file
/// descriptor taken before its start time is checked again.
pub(crate) fn signal(members: &[Member], process: Option<&ProcessId>, signal: Signal) {
    let group = process.filter(|_| members.iter().any(|m| m.in_group));
    if let Some(group) = group.and_then(|p| Pid::from_raw(p.pid)) {
        let _ = kill_process_group(group, signal); // gone in between: what was wanted
    }
    for stray in members.iter().filter(|m| !m.in_group) {
        drop(signal_one(stray, signal));
    }
}

fn signal_one(stray: &Member, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(stray.pid) else {
        return Ok(());
    };
    let held = pidfd_open(pid, PidfdFlags::empty())?;
    let stat = Process::new(stray.pid).and_then(|p| p.stat());
    if stat.is_ok_and(|s| s.starttime == stray.start_ticks) {
        pidfd_send_signal(held, signal)?;
    }
    Ok(())
}

/// Threads of this user, which is what the system's limit of processes counts.
pub(crate) fn threads_of_user() -> Result<u64, Fault> {
    let ours = getuid().as_raw();
    let mut threads = 0_u64;
    for other in all_processes().map_err(proc_fault)? {
        let Some((other, stat)) = readable(other)? else {
            continue;
        };
        if other.uid().is_ok_and(|uid| uid == ours) {
            threads = threads.saturating_add(u64::try_from(stat.num_threads).unwrap_or(0));
        }
    }
    Ok(threads)
}

/// A process with its state; `None` when it went away while it was read.
fn readable(process: ProcResult<Process>) -> Result<Option<(Process, Stat)>, Fault> {
    let read = process.and_then(|p| p.stat().map(|stat| (p, stat)));
    match read {
        Ok(pair) => Ok(Some(pair)),
        Err(error) if is_gone(&error) || matches!(error, ProcError::PermissionDenied(_)) => Ok(None),
        Err(error) => Err(proc_fault(error)),
    }
}

fn is_gone(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        // A process that ends while it is read answers "no such process".
        ProcError::Io(e, _) => e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()),
        _ => false,
    }
}

pub(crate) fn proc_fault(error: ProcError) -> Fault {
    match error {
        ProcError::PermissionDenied(path) => {
            let error = io::Error::from(rustix::io::Errno::ACCESS);
            Fault::file("read", &path.unwrap_or_else(|| "/proc".into()), error)
        }
        ProcError::NotFound(path) => {
            let error = io::Error::from(rustix::io::Errno::NOENT);
            Fault::file("read", &path.unwrap_or_else(|| "/proc".into()), error)
        }
        ProcError::Io(error, path) => Fault::file("read", &path.unwrap_or_else(|| "/proc".into()), error),
        other => Fault::unexpected("`/proc` cannot be read").with_source(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_become_exit_codes() {
        for (status, code) in [
            (0, Some(0)),
            (7 << 8, Some(7)),
            (255 << 8, Some(255)),
            (9, None),
            (0x8b, None),
        ] {
            assert_eq!(exit_code(status), code, "{status:#x}");
        }
    }

    #[test]
    fn a_number_with_another_start_time_is_another_process() {
        let mut me = identify(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(leader(&me).unwrap(), Leader::Alive);
        me.start_ticks += 1;
        assert_eq!(leader(&me).unwrap(), Leader::Gone);
        me.start_ticks -= 1;
        me.boot = "another boot".to_owned();
        assert_eq!(leader(&me).unwrap(), Leader::Gone);
    }
}
