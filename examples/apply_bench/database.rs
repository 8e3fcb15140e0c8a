//! A PostgreSQL of the bench's own, for the time of one run: started from the programs that are installed, on a free port of
//! the loopback, in a temporary folder, and stopped when the value goes.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, io};

use super::Failure;

/// Where Debian puts the servers, a folder per version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who runs the server where the bench is root, as which it does not run.
const SERVER_USER: &str = "postgres";

/// A server that runs while this value lives.
#[derive(Debug)]
pub(super) struct OwnDatabase {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl OwnDatabase {
    /// Starts one. The errors complete “failed to …”.
    pub(super) fn start() -> Result<Self, Failure> {
        let programs = programs().ok_or(
            "find a database: give its address by --url, or install PostgreSQL (Debian's package postgresql-15)",
        )?;
        let folder = tempfile::tempdir()?;
        // The server's own user has to get to its folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        if is_root() {
            done(Command::new("chown").arg(SERVER_USER).arg(&data).output()?)?;
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let own = Self { programs, folder, port };
        own.run(
            "initdb",
            &["-A", "trust", "-U", SERVER_USER, "-E", "UTF8", "--locale=C"],
        )?;
        let options = format!("-p {port} -k '' -c listen_addresses=127.0.0.1");
        let log = data.join("log");
        let log = log.to_str().ok_or("use a temporary folder whose name is not UTF-8")?;
        own.run("pg_ctl", &["-w", "-t", "60", "-l", log, "-o", &options, "start"])?;
        Ok(own)
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("host=127.0.0.1 port={} user={SERVER_USER} dbname=postgres", self.port)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Failure> {
        let data = self.folder.path().join("data");
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            let (user, group) = (format!("--reuid={SERVER_USER}"), format!("--regid={SERVER_USER}"));
            command.args([user, group, "--clear-groups".to_owned()]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&data).arg("-D").arg(&data).args(arguments);
        // A server that outlives the command must not keep its pipes: no output is read of it.
        if arguments.contains(&"start") {
            let status = command.stdout(std::process::Stdio::null()).status()?;
            return match status.success() {
                true => Ok(()),
                false => Err(format!("start a database: {status}").into()),
            };
        }
        done(command.output()?)
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        if let Err(error) = self.run("pg_ctl", &["-m", "immediate", "-w", "stop"]) {
            eprintln!("failed to {error}");
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let version = |path: &PathBuf| {
        path.file_name()
            .and_then(OsStr::to_str)
            .and_then(|name| name.parse::<u32>().ok())
    };
    let folders = fs::read_dir(Path::new(VERSIONS)).ok()?;
    let folders = folders.filter_map(|entry: io::Result<fs::DirEntry>| Some(entry.ok()?.path()));
    let newest = folders.filter(|path| version(path).is_some()).max_by_key(version)?;
    Some(newest.join("bin"))
}

fn done(output: Output) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("start a database: {said}").into())
}
