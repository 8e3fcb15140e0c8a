//! What a plan is made from, beyond manifest, placement and snapshot.

use std::collections::BTreeMap;

use skyloom_core::{DataName, Manifest, Placement, Snapshot, Targets, Timestamp};

use super::claim::Claims;

/// What a plan is made from. Only the first three are needed; see [`crate::plan_for`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PlanRequest<'a> {
    /// What is wanted.
    pub manifest: &'a Manifest,
    /// Where everything goes.
    pub placement: &'a Placement,
    /// What is there; with claims, as [`crate::claim`] gave it.
    pub snapshot: &'a Snapshot,
    /// What the manifest claims of it.
    pub claims: Option<&'a Claims>,
    /// The manifest in force until now: tells in which order services go that are not wanted any more.
    pub previous: Option<&'a Manifest>,
    /// What the plan is confined to, as [`crate::confine`] gave it.
    pub targets: Option<&'a Targets>,
    /// When the copies of each data set were last verified equal.
    pub verified: Option<&'a BTreeMap<DataName, Timestamp>>,
}

impl<'a> PlanRequest<'a> {
    /// A plan for the whole deployment.
    #[must_use]
    pub const fn new(manifest: &'a Manifest, placement: &'a Placement, snapshot: &'a Snapshot) -> Self {
        Self {
            manifest,
            placement,
            snapshot,
            claims: None,
            previous: None,
            targets: None,
            verified: None,
        }
    }

    /// The same, claiming these things; `snapshot` must be the one that came with them.
    #[must_use]
    pub const fn with_claims(mut self, claims: &'a Claims) -> Self {
        self.claims = Some(claims);
        self
    }

    /// The same, coming after this manifest.
    #[must_use]
    pub const fn with_previous(mut self, previous: Option<&'a Manifest>) -> Self {
        self.previous = previous;
        self
    }

    /// The same, confined to these services; `manifest` must be the one that came with them.
    #[must_use]
    pub const fn with_targets(mut self, targets: Option<&'a Targets>) -> Self {
        self.targets = targets;
        self
    }

    /// The same, knowing when data sets were verified.
    #[must_use]
    pub const fn with_verified(mut self, verified: &'a BTreeMap<DataName, Timestamp>) -> Self {
        self.verified = Some(verified);
        self
    }
}
