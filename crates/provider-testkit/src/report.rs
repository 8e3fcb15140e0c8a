//! What the suite found. Printing and judging only; nothing is run here.

use std::fmt;

/// The result of a whole run: one entry per case of the suite, in the suite's order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Name of the driver, from its capabilities.
    pub driver: String,
    /// One per case.
    pub cases: Vec<CaseResult>,
}

/// The result of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Name of the case, which is the name of its function.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The driver keeps this part of the contract.
    Passed,
    /// It does not.
    Failed {
        /// What was expected and what was found.
        why: String,
    },
    /// It could not be tried; it counts neither way, but it is always printed.
    Skipped {
        /// Which ability is missing.
        why: String,
    },
}

impl Report {
    /// An empty report about the driver of this name.
    #[must_use]
    pub const fn new(driver: String) -> Self {
        Self {
            driver,
            cases: Vec::new(),
        }
    }

    /// The cases that failed, in the suite's order. A test asserts that there are none:
    /// `assert!(report.failures().is_empty(), "{report}")`.
    #[must_use]
    pub fn failures(&self) -> Vec<&CaseResult> {
        let failed = |case: &&CaseResult| matches!(case.outcome, Outcome::Failed { .. });
        self.cases.iter().filter(failed).collect()
    }

    /// The cases that were skipped, in the suite's order.
    #[must_use]
    pub fn skipped(&self) -> Vec<&CaseResult> {
        let skipped = |case: &&CaseResult| matches!(case.outcome, Outcome::Skipped { .. });
        self.cases.iter().filter(skipped).collect()
    }

    /// How the case of this name went; `None` when the suite has no such case.
    #[must_use]
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.cases
            .iter()
            .find(|case| case.name == name)
            .map(|case| &case.outcome)
    }

    /// The report, when no case failed.
    ///
    /// # Errors
    /// [`NotConforming`], which prints the whole report, when at least one case failed.
    pub fn passed(self) -> Result<Self, NotConforming> {
        if self.failures().is_empty() {
            Ok(self)
        } else {
            Err(NotConforming { report: self })
        }
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
            "driver `{}`: {passed} passed, {failed} failed, {skipped} skipped",
            self.driver
        )
    }
}

/// A driver breaks its contract.
#[derive(Clone, PartialEq, Eq)]
pub struct NotConforming {
    /// What was found.
    pub report: Report,
}

impl fmt::Display for NotConforming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conform to the driver contract:\n{}", self.report)
    }
}

impl fmt::Debug for NotConforming {
    /// As `Display`, since `unwrap` and a test's `Err` print this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {self}")
    }
}

impl std::error::Error for NotConforming {}
