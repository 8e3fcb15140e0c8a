//! How full a machine may be when use is uncertain: by mean and variance instead of by requests.

mod load;
mod pack;

pub use load::{Load, Overload, OverloadError, Tail, Use};
pub use pack::{OverloadPacking, PackOverloadError, Packed, Uncertain, WORKLOADS_MAX, pack_by_use};
