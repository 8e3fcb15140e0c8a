//! From a command to a process: where the program is, what environment it sees, how it is started.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::Access;
use skyloom_core::{PortName, ReplicaSpec, Secret};
use skyloom_provider::{Cause, NewReplica};
use tokio::process::{Child, Command};

use crate::config::LocalConfig;
use crate::error::Fault;
use crate::process::MARK_VARIABLE;

/// What a replica sees, values included. Prints as `[redacted]`; held in memory only.
pub(crate) type Environment = Secret<BTreeMap<OsString, OsString>>;

/// The program that the first word of a command stands for: the embedder's answer, else a path, else along `PATH`.
pub(crate) fn resolve(config: &LocalConfig, command: &[String]) -> Result<PathBuf, Fault> {
    let Some(word) = command.first().filter(|word| !word.is_empty()) else {
        return Err(Fault::invalid(
            "the command is empty, and a command is what this driver starts",
        ));
    };
    if command.iter().any(|part| part.contains('\0')) {
        return Err(Fault::invalid("the command holds a NUL character"));
    }
    let not_found = || Fault::from(Cause::CommandNotFound { command: word.clone() });
    let path = config.resolve(word).or_else(|| {
        if word.contains('/') {
            return Some(PathBuf::from(word));
        }
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders)
            .map(|folder| folder.join(word))
            .find(|path| is_program(path))
    });
    let path = path.filter(|path| is_program(path)).ok_or_else(not_found)?;
    std::path::absolute(path).map_err(|e| not_found().with_source(e)) // the child starts in another folder
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

/// The environment of a new replica: little of the controller's, all that was given, and where its ports are.
pub(crate) fn environment(
    config: &LocalConfig,
    new: &NewReplica,
    ports: &BTreeMap<PortName, u16>,
) -> Result<Environment, Fault> {
    let mut environment = BTreeMap::new();
    for name in config.env_passed() {
        if let Some(value) = std::env::var_os(name) {
            environment.insert(OsString::from(name), value);
        }
    }
    for (name, value) in &new.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.expose().contains('\0') {
            let detail = format!("the environment variable `{}` cannot be set", name.escape_debug());
            return Err(Fault::invalid(detail));
        }
        environment.insert(OsString::from(name), OsString::from(value.expose()));
    }
    environment.insert("SKYLOOM_HOST".into(), "127.0.0.1".into());
    environment.insert("SKYLOOM_REPLICA".into(), new.spec.replica.to_string().into());
    for (name, number) in ports {
        let variable = port_variable(name);
        if environment
            .insert(variable.clone().into(), number.to_string().into())
            .is_some()
        {
            let detail = format!("`{variable}` would be set twice: by a port name and another, or by `env`");
            return Err(Fault::invalid(detail));
        }
    }
    Ok(Secret::new(environment))
}

/// `SKYLOOM_PORT_<NAME>`: upper case, `-` as `_`.
fn port_variable(name: &PortName) -> String {
    format!("SKYLOOM_PORT_{}", name.as_str().to_ascii_uppercase().replace('-', "_"))
}

/// Refuses port names that are there twice, before anything is written.
pub(crate) fn check_ports(spec: &ReplicaSpec) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    match spec.run.ports.iter().find(|port| !names.insert(&port.name)) {
        Some(port) => Err(Fault::invalid(format!("the port name `{}` is there twice", port.name))),
        None => Ok(()),
    }
}

/// A command in a process group of its own, with this environment and nothing else, its mark included.
pub(crate) fn command(
    program: &Path,
    arguments: &[String],
    environment: &Environment,
    mark: &str,
    folder: &Path,
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.expose())
        .env(MARK_VARIABLE, mark)
        .current_dir(folder)
        .stdin(Stdio::null())
        .process_group(0);
    command
}

/// Starts a replica. Both outputs go to the end of its log.
pub(crate) fn start(mut command: Command, word: &str, log: &Path) -> Result<Child, Fault> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log);
    let output = file.map_err(|e| Fault::file("open", log, e))?;
    let errors = output.try_clone().map_err(|e| Fault::file("open", log, e))?;
    let spawned = command.stdout(output).stderr(errors).spawn();
    spawned.map_err(|e| spawn_fault(word, e))
}

/// What a failed start means. A file without `#!` or of another machine's format cannot be started either.
pub(crate) fn spawn_fault(word: &str, error: io::Error) -> Fault {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::ACCESS | Errno::NOEXEC | Errno::NOTDIR | Errno::LOOP | Errno::LIBBAD) => {
            let command = word.to_owned();
            Fault::from(Cause::CommandNotFound { command }).with_source(error)
        }
        _ => Fault::system(&format!("start `{word}`"), error),
    }
}

/// Reads an environment back from a running process, without the mark, which the next start sets anew.
pub(crate) fn read_back(variables: Vec<(OsString, OsString)>) -> Environment {
    let unmarked = variables
        .into_iter()
        .filter(|(name, _)| name != OsStr::new(MARK_VARIABLE));
    Secret::new(unmarked.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn programs_are_found_by_the_resolver_then_by_path() {
        let resolver = |word: &str| (word == "shop").then(|| PathBuf::from("/bin/sh"));
        let config = LocalConfig::new("/nowhere").with_resolver(resolver);
        assert_eq!(resolve(&config, &words(&["shop", "-c"])).unwrap(), Path::new("/bin/sh"));
        assert!(resolve(&config, &words(&["sh"])).unwrap().ends_with("sh"));
        assert_eq!(resolve(&config, &words(&["/bin/sh"])).unwrap(), Path::new("/bin/sh"));
        for word in ["no-such-program-anywhere", "/etc/passwd", "/etc", "/bin/sh/x", "../sh"] {
            let fault = resolve(&config, &words(&[word])).unwrap_err();
            assert_eq!(
                fault.cause,
                Cause::CommandNotFound {
                    command: word.to_owned()
                }
            );
        }
        for command in [&[][..], &[""], &["sh", "a\0b"]] {
            let fault = resolve(&config, &words(command)).unwrap_err();
            assert!(matches!(fault.cause, Cause::Invalid { .. }), "{command:?}");
        }
    }

    #[test]
    fn port_variables_are_what_a_shell_can_name() {
        let name = PortName::new("grpc-web_2").unwrap();
        assert_eq!(port_variable(&name), "SKYLOOM_PORT_GRPC_WEB_2");
    }
}
