//! Files as a machine that loses its power leaves them: what was synced is there, of the rest any torn part.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::mutant::Mutant;

/// Names of the files.
pub(super) const JOURNAL: &str = "journal";
pub(super) const STATE: &str = "state.json";
pub(super) const LEASE: &str = "lease";

#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    written: Vec<u8>,
}

/// The files of one control plane.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    files: BTreeMap<&'static str, File>,
    mutant: Option<Mutant>,
}

impl Disk {
    pub(super) const fn new(mutant: Option<Mutant>) -> Self {
        let files = BTreeMap::new();
        Self { files, mutant }
    }

    pub(super) fn durable(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], |file| &file.durable)
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Cuts a file to `len` bytes, durably.
    pub(super) fn truncate(&mut self, name: &'static str, len: u64) {
        let file = self.files.entry(name).or_default();
        file.durable.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        file.written.clear();
    }

    /// Writes at the end; not durable yet.
    pub(super) fn append(&mut self, name: &'static str, bytes: &[u8]) {
        self.files.entry(name).or_default().written.extend_from_slice(bytes);
    }

    /// Makes everything written durable.
    pub(super) fn sync(&mut self, name: &'static str) {
        if self.mutant == Some(Mutant::NoSync) {
            return;
        }
        self.flush(name);
    }

    fn flush(&mut self, name: &'static str) {
        let file = self.files.entry(name).or_default();
        file.durable.append(&mut file.written);
    }

    /// Replaces a file by one rename: the old bytes or the new ones, nothing between.
    pub(super) fn replace(&mut self, name: &'static str, bytes: &[u8]) {
        let file = self.files.entry(name).or_default();
        file.durable = bytes.to_vec();
        file.written.clear();
    }

    /// The process dies with its machine: a torn part of what was not synced may be there, and its end may be zeros.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        for file in self.files.values_mut() {
            let kept = dice.below(file.written.len() + 1);
            let torn = file.written.drain(..).take(kept);
            let from = file.durable.len();
            file.durable.extend(torn);
            if kept > 0 && dice.one_in(3) {
                let zeroed = from + dice.below(kept);
                file.durable[zeroed..].fill(0);
            }
        }
    }
}
