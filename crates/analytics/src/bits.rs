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

/// A float and its bits.
pub(crate) trait Bits: Copy {
    type Raw: Serialize + for<'de> Deserialize<'de>;
    fn to_raw(self) -> Self::Raw;
    fn from_raw(raw: Self::Raw) -> Self;
}

impl Bits for f64 {
    type Raw = u64;
    fn to_raw(self) -> u64 {
        self.to_bits()
    }
    fn from_raw(raw: u64) -> Self {
        Self::from_bits(raw)
    }
}

impl Bits for f32 {
    type Raw = u32;
    fn to_raw(self) -> u32 {
        self.to_bits()
    }
    fn from_raw(raw: u32) -> Self {
        Self::from_bits(raw)
    }
}

/// Any number of floats, in a vector.
pub(crate) mod list {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Bits;

    pub(crate) fn serialize<T: Bits, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|v| v.to_raw()))
    }

    pub(crate) fn deserialize<'de, T: Bits, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        Ok(Vec::<T::Raw>::deserialize(deserializer)?
            .into_iter()
            .map(T::from_raw)
            .collect())
    }
}

/// A fixed number of floats.
pub(crate) mod array {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::list;

    pub(crate) fn serialize<const N: usize, S: Serializer>(
        values: &[f64; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        list::serialize(values, serializer)
    }

    pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[f64; N], D::Error> {
        let values: Vec<f64> = list::deserialize(deserializer)?;
        let found = values.len();
        values
            .try_into()
            .map_err(|_| D::Error::invalid_length(found, &"the length of the state"))
    }
}

/// Positions in the stream, each with a float.
pub(crate) mod marks {
    use std::collections::VecDeque;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(marks: &VecDeque<(u64, f64)>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(marks.iter().map(|(at, v)| (at, v.to_bits())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<(u64, f64)>, D::Error> {
        Ok(Vec::<(u64, u64)>::deserialize(deserializer)?
            .into_iter()
            .map(|(at, bits)| (at, f64::from_bits(bits)))
            .collect())
    }
}
