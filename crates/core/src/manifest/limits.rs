//! How much manifest is accepted. Each bound keeps a mistake or an attack from costing more than a moment.

/// Bytes of text: a manifest of 10,000 services has about as many.
pub const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// Levels of lists and tables in each other: the deepest key of a manifest is at 6.
pub const DEPTH_MAX: usize = 64;
/// Values in a manifest, after YAML aliases are replaced by what they stand for: 40 per service of the largest number
/// of services.
pub const VALUES_MAX: usize = 400_000;
/// Services of a manifest: twice what the largest tested placement has.
pub const SERVICES_MAX: usize = 10_000;
/// Data sets of a manifest; as services.
pub const DATA_SETS_MAX: usize = 10_000;
/// Moves, and imports, of a manifest: each is compared with each.
pub const CLAIMS_MAX: usize = 1_000;
/// Replicas of one service: every replica is placed, planned and watched on its own.
pub const REPLICAS_MAX: u32 = 10_000;
/// Replicas of all services together.
pub const REPLICAS_TOTAL_MAX: u64 = 100_000;
