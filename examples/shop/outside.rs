//! What happens from outside of skyloom: a process is killed, processes are counted. Reads `/proc`, as any operator could.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use skyloom::core::ReplicaId;

use crate::Failure;

/// Processes whose environment has all these `NAME=value` pairs; those that end meanwhile are passed over.
fn processes_with(pairs: &[String]) -> Vec<i32> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = folders.filter_map(|folder| folder.file_name().to_string_lossy().parse::<i32>().ok());
    let carries = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
        pairs.iter().all(|pair| variables.contains(&pair.as_bytes()))
    };
    pids.filter(carries).collect()
}

/// Kills a replica's processes with SIGKILL, as a crash or an impatient operator would.
pub(crate) fn kill(replica: &ReplicaId, endpoints_file: &str) -> Result<usize, Failure> {
    let victims = processes_with(&[
        format!("SKYLOOM_REPLICA={replica}"),
        format!("SKYLOOM_ENDPOINTS={endpoints_file}"),
    ]);
    for pid in &victims {
        let pid = Pid::from_raw(*pid).ok_or("find a process id")?;
        kill_process(pid, Signal::KILL)?;
    }
    Ok(victims.len())
}

/// Processes of this control plane that are still there.
pub(crate) fn count(endpoints_file: &str) -> usize {
    processes_with(&[format!("SKYLOOM_ENDPOINTS={endpoints_file}")]).len()
}
