//! Floats of a saved state as their 64 bits, so that a restored detector goes on bit for bit, whatever the format.
//!
//! Decimal text was not taken: not every reader of JSON rounds to the nearest float.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One float.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde's `with` asks for"
)]
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    value.to_bits().serialize(serializer)
}

/// One float.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    u64::deserialize(deserializer).map(f64::from_bits)
}

/// A queue of floats.
pub(crate) mod queue {
    use std::collections::VecDeque;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(values: &VecDeque<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|v| v.to_bits()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<f64>, D::Error> {
        Ok(Vec::<u64>::deserialize(deserializer)?
            .into_iter()
            .map(f64::from_bits)
            .collect())
    }
}

/// Two floats, one for each of two rivals.
pub(crate) mod pair {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(values: &[f64; 2], serializer: S) -> Result<S::Ok, S::Error> {
        values.map(f64::to_bits).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 2], D::Error> {
        Ok(<[u64; 2]>::deserialize(deserializer)?.map(f64::from_bits))
    }
}
