//! A fleet for a manifest: services become workloads, regions and rules become who may go where, traffic joins the cost.
//!
//! Data flow: `parts` (services as pieces that go to one site each) -> `assign` (which piece goes to which site, by sums
//! of small costs) -> `site` (the cheapest machines of each site) -> `settled` (replicas on machines, every rule looked
//! at again) -> `plan` (the answer). `bound` proves from below, over all placements, with `super::values` and `traffic`.
//! What rules cannot be said in a question about machines is held by the rules of `crate::rules`, never dropped.

mod assign;
mod bound;
mod error;
mod parts;
mod plan;
mod report;
mod settled;
mod site;
mod traffic;

pub use error::ManifestFleetError;
pub use plan::{FleetOptions, buy_for};
pub use report::{ManifestFleet, RejectedOffer, ServiceChoice};
