//! Running a command beside a replica: its environment, its folder, a process group of its own, a time limit.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use skyloom_core::ResourceId;
use skyloom_provider::{Cause, ExecOutput, ResourceState};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use crate::driver::{Inner, LocalProcesses};
use crate::error::Fault;
use crate::process::{EXEC_RUN, mark_prefix};
use crate::spawn::{command, resolve, spawn_fault};

/// Most output that is kept: the last bytes of it.
const OUTPUT_BYTES: usize = 64 << 10;
/// Output is read in pieces of this size.
const PIECE_BYTES: usize = 8 << 10;
/// How long output is still read after the command ended, when something it left in the background holds the pipe
/// open. What it left behind belongs to the replica from then on, and ends with it.
const DRAIN_MAX: Duration = Duration::from_millis(200);

/// Kills a command's group when the call is over or its future is dropped. While the command is not waited for, its
/// number cannot be given to another.
struct Group(Option<Pid>);

impl Group {
    fn kill(&self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL); // gone already: what was wanted
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl LocalProcesses {
    /// The whole of [`skyloom_provider::Driver::exec`].
    pub(crate) async fn exec_beside(
        &self,
        id: &ResourceId,
        words: &[String],
        patience: Duration,
    ) -> Result<ExecOutput, Fault> {
        let began = Instant::now();
        let word = words.first().cloned().unwrap_or_default();
        let prepared = self.blocking({
            let (id, words) = (id.clone(), words.to_vec());
            move |inner| inner.prepare_exec(&id, &words)
        });
        let mut command = prepared.await?;
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = piped.spawn().map_err(|e| spawn_fault(&word, e))?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let mut group = Group(pid);
        let (mut output, mut errors) = (child.stdout.take(), child.stderr.take());
        let mut tail = Tail::default();
        // Far futures are beyond the clock: a patience that long never runs out.
        let deadline = began
            .checked_add(patience)
            .unwrap_or_else(|| began + Duration::from_secs(u32::MAX.into()));
        let ended = timeout_at(deadline, async {
            loop {
                tokio::select! {
                    Some(piece) = next(&mut output) => tail.add(&piece),
                    Some(piece) = next(&mut errors) => tail.add(&piece),
                    status = child.wait() => break status,
                }
            }
        });
        let status = match ended.await {
            Ok(status) => status.map_err(|e| Fault::system(&format!("wait for `{word}`"), e))?,
            Err(_) => {
                group.kill();
                drop(child.wait().await);
                group.0 = None;
                return Err(Fault::from(Cause::Timeout { after: patience }));
            }
        };
        group.0 = None;
        let drain = async {
            while let Some(piece) = next(&mut output).await {
                tail.add(&piece);
            }
            while let Some(piece) = next(&mut errors).await {
                tail.add(&piece);
            }
        };
        drop(tokio::time::timeout(DRAIN_MAX, drain).await);
        Ok(ExecOutput {
            code: status.code(),
            output: String::from_utf8_lossy(&tail.0).into_owned(),
        })
    }
}

impl Inner {
    fn prepare_exec(&self, id: &ResourceId, words: &[String]) -> Result<Command, Fault> {
        let record = self.present(id)?;
        if record.replica().is_none() {
            return Err(Fault::from(Cause::Unsupported));
        }
        if self.state(&record)? != ResourceState::Running {
            return Err(Fault::invalid("it does not run"));
        }
        let program = resolve(&self.config, words)?;
        let environment = self.environment_of(&record)?;
        let environment = environment.ok_or_else(|| Fault::invalid("its environment cannot be read"))?;
        let mark = format!("{}{EXEC_RUN}", mark_prefix(self.store.mark(), id));
        let arguments = words.get(1..).unwrap_or_default();
        Ok(command(&program, arguments, &environment, &mark, &self.store.work(id)))
    }
}

/// The last bytes of what a command printed.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn add(&mut self, piece: &[u8]) {
        self.0.extend(piece);
        let excess = self.0.len().saturating_sub(OUTPUT_BYTES);
        self.0.drain(..excess);
    }
}

/// What comes next out of a pipe. `None` at its end, and ever after. Loses nothing when it is dropped.
async fn next(pipe: &mut Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    let read = pipe.as_mut()?.read_buf(&mut piece).await.unwrap_or(0);
    if read == 0 {
        *pipe = None;
        return None;
    }
    Some(piece)
}
