//! What the embedder decides: where the state is, how commands are found, how much log is kept.
//!
//! No default for the folder: state that is lost because nobody chose its place is lost for good.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skyloom_core::Bytes;

/// Log of one replica that is kept on disk, unless the embedder says otherwise.
const LOG_KEPT: Bytes = Bytes::from_mib(8);

/// Variables of the controller's own environment that a replica sees: what programs need to find commands, a home,
/// a place for temporary files, their language and time zone. Nothing else is handed on, so that no credential of
/// the controller leaks into a service.
const ENV_PASSED: [&str; 7] = ["PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "TZ"];

/// Finds the program for the first word of a command.
///
/// Implemented for closures `Fn(&str) -> Option<PathBuf>`. `None` means "not mine": the word is then looked up along
/// the controller's `PATH`.
pub trait Resolver: Send + Sync {
    /// The program that `word` stands for; a path that exists and may be executed.
    fn resolve(&self, word: &str) -> Option<PathBuf>;
}

impl<F: Fn(&str) -> Option<PathBuf> + Send + Sync> Resolver for F {
    fn resolve(&self, word: &str) -> Option<PathBuf> {
        self(word)
    }
}

/// How a [`crate::LocalProcesses`] works.
#[derive(Clone)]
pub struct LocalConfig {
    root: PathBuf,
    resolver: Option<Arc<dyn Resolver>>,
    log_kept: Bytes,
    env_passed: Vec<String>,
}

impl LocalConfig {
    /// State in the folder `root`, which is made when it is not there; no resolver, 8 MiB of log per replica.
    ///
    /// The folder belongs to the driver: one sub-folder per machine and replica. It must be on a local file system
    /// (file locks and atomic renames are relied upon).
    #[must_use]
    pub fn new(root: impl AsRef<Path>) -> Self {
        Self {
            root: root.as_ref().to_owned(),
            resolver: None,
            log_kept: LOG_KEPT,
            env_passed: ENV_PASSED.map(str::to_owned).to_vec(),
        }
    }

    /// The same, with this look-up for the first word of a command. Without one, only `PATH` is searched.
    #[must_use]
    pub fn with_resolver(mut self, resolver: impl Resolver + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// The same, keeping at least the last `kept` bytes of each replica's output on disk; at least 1 MiB is kept.
    ///
    /// Disk use is bounded by about twice that: older output is given back whenever the replica is looked at (by
    /// `list`, `usage` or `logs`) and has more.
    #[must_use]
    pub fn with_log_kept(mut self, kept: Bytes) -> Self {
        self.log_kept = kept.max(Bytes::from_mib(1));
        self
    }

    /// The same, handing on these variables of the controller's environment instead of `PATH`, `HOME`, `USER`,
    /// `TMPDIR`, `LANG`, `LC_ALL` and `TZ`.
    #[must_use]
    pub fn with_env_passed<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.env_passed = names.into_iter().map(Into::into).collect();
        self
    }

    /// Where the state is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) const fn log_kept(&self) -> Bytes {
        self.log_kept
    }

    pub(crate) fn env_passed(&self) -> &[String] {
        &self.env_passed
    }

    pub(crate) fn resolve(&self, word: &str) -> Option<PathBuf> {
        self.resolver.as_ref().and_then(|resolver| resolver.resolve(word))
    }
}

impl fmt::Debug for LocalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalConfig")
            .field("root", &self.root)
            .field("resolver", &self.resolver.as_ref().map(|_| ".."))
            .field("log_kept", &self.log_kept)
            .field("env_passed", &self.env_passed)
            .finish()
    }
}
