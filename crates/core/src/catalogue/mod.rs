//! The price catalogue: dated offers, regions and egress tiers of several clouds, its readers and the built-in table.
//!
//! Prices are facts with a date and a source. Which offer is best is the scheduler's business; what is bought from is
//! a [`Catalogue`], which cannot hold an unchecked row. `docs/catalogue.md` says what the built-in table contains.

mod bounds;
mod builtin;
mod egress;
mod error;
mod merge;
mod offer;
mod quote;
mod read;
mod shared;
mod sheet;
mod table;

pub use bounds::{
    ACCELERATORS_MAX, EGRESS_PER_GIB_MAX, GPU_HOUR_MAX, GPU_HOUR_MIN, MEMORY_MAX, SPOT_OVER_ON_DEMAND_PERCENT,
    VCPU_HOUR_MAX, VCPU_HOUR_MIN, VCPUS_MAX,
};
pub use egress::{EgressQuote, EgressRule, EgressScope, EgressTarget, EgressTier, RegionPrefixes};
pub use error::{CatalogueError, EgressError, Problem};
pub use offer::{ATTACHABLE_DISK, Accelerator, Offer, OfferKey, Price, Purchase, Source, SourceId};
pub use read::{CsvOptions, OnRow, ReadCatalogue, Skipped};
pub use shared::{UNPUBLISHED_BASELINE_PERCENT, sustained_cpu};
pub use table::{Catalogue, CatalogueParts, Remark};

/// The guide's code is run with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/catalogue.md")]
struct Guide;
