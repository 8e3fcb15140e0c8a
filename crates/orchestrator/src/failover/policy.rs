//! How soon a place counts as lost, and what becomes of it when it is back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of replicas that come back with their place, beside their replacements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failback {
    /// Those that are well are kept in place of their replacements, which go then.
    Auto,
    /// Both stay, the recovered ones out of the endpoints, until somebody decides.
    #[default]
    Manual,
    /// The replacements stay; what came back goes.
    Never,
}

/// When a place is lost, and when it is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailoverPolicy {
    /// Whether a place is ever declared lost without somebody's order.
    pub automatic: bool,
    /// A place is lost after this many bad looks in a row, and not before `after`.
    pub looks: u32,
    /// A place is lost after this long without a good look, and not before `looks`.
    pub after: Duration,
    /// A lost place is back after this many good looks in a row, and not before `stable_for`.
    pub stable_looks: u32,
    /// A lost place is back after this long without a bad look, and not before `stable_looks`.
    pub stable_for: Duration,
    /// What becomes of what comes back.
    pub failback: Failback,
    /// Places declared lost within `window`, at most: where everything seems to go at once, somebody had better look. The
    /// regions of one cloud that are lost within `after` of each other count once.
    pub budget: u32,
    /// Length of the window.
    pub window: Duration,
    /// How long nothing new is put into a region in which the calls of a plan have failed.
    pub avoid_for: Duration,
}

impl FailoverPolicy {
    /// Lost after three looks and two minutes; back after three looks and ten minutes; two places an hour; what comes
    /// back waits for somebody; ten minutes away from a region that refuses.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            automatic: true,
            looks: 3,
            after: Duration::from_secs(120),
            stable_looks: 3,
            stable_for: Duration::from_secs(600),
            failback: Failback::Manual,
            budget: 2,
            window: Duration::from_secs(3600),
            avoid_for: Duration::from_secs(600),
        }
    }

    /// The same, declaring nothing lost by itself.
    #[must_use]
    pub const fn without_declaring(mut self) -> Self {
        self.automatic = false;
        self
    }

    /// The same, lost after so many looks and so long.
    #[must_use]
    pub const fn with_patience(mut self, looks: u32, after: Duration) -> Self {
        (self.looks, self.after) = (looks, after);
        self
    }

    /// The same, back after so many looks and so long.
    #[must_use]
    pub const fn with_stable(mut self, looks: u32, stable_for: Duration) -> Self {
        (self.stable_looks, self.stable_for) = (looks, stable_for);
        self
    }

    /// The same, with another end for what comes back.
    #[must_use]
    pub const fn with_failback(mut self, failback: Failback) -> Self {
        self.failback = failback;
        self
    }

    /// The same, with at most `budget` places lost in each `window`.
    #[must_use]
    pub const fn with_budget(mut self, budget: u32, window: Duration) -> Self {
        (self.budget, self.window) = (budget, window);
        self
    }

    /// The same, staying away from a region that refuses for this long.
    #[must_use]
    pub const fn with_avoid_for(mut self, avoid_for: Duration) -> Self {
        self.avoid_for = avoid_for;
        self
    }
}

impl Default for FailoverPolicy {
    /// [`FailoverPolicy::new`].
    fn default() -> Self {
        Self::new()
    }
}
