//! What the suite found. Printing and judging only; nothing is run here.

use std::fmt;

/// The result of a whole run: one entry per case, in the suite's order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What the harness calls the store.
    pub store: String,
    /// One per case.
    pub cases: Vec<CaseResult>,
}

/// The result of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Name of the case.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The store keeps this promise.
    Passed,
    /// It does not.
    Failed {
        /// What was expected and what was found.
        why: String,
    },
    /// It could not be tried; it counts neither way, but it is always printed.
    Skipped {
        /// What is missing.
        why: String,
    },
}

impl Report {
    pub(super) const fn new(store: String) -> Self {
        let cases = Vec::new();
        Self { store, cases }
    }

    /// The cases that failed. A test asserts that there are none: `assert!(report.failures().is_empty(), "{report}")`.
    #[must_use]
    pub fn failures(&self) -> Vec<&CaseResult> {
        let failed = |case: &&CaseResult| matches!(case.outcome, Outcome::Failed { .. });
        self.cases.iter().filter(failed).collect()
    }

    /// The cases that were skipped.
    #[must_use]
    pub fn skipped(&self) -> Vec<&CaseResult> {
        let skipped = |case: &&CaseResult| matches!(case.outcome, Outcome::Skipped { .. });
        self.cases.iter().filter(skipped).collect()
    }
}

impl fmt::Display for Report {
    /// One line per case, then a line that counts them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            match &case.outcome {
                Outcome::Passed => writeln!(f, "passed   {}", case.name)?,
                Outcome::Failed { why } => writeln!(f, "FAILED   {}: {why}", case.name)?,
                Outcome::Skipped { why } => writeln!(f, "skipped  {}: {why}", case.name)?,
            }
        }
        let (failed, skipped) = (self.failures().len(), self.skipped().len());
        let passed = self.cases.len() - failed - skipped;
        write!(
            f,
            "store `{}`: {passed} passed, {failed} failed, {skipped} skipped",
            self.store
        )
    }
}
