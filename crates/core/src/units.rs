//! Amounts of CPU, memory and GPU as checked integers, and the ratio 0..=1.
//!
//! Money has its own room (`money`). Nothing here wraps, saturates or rounds silently.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quantity::{Fraction, QuantityError, scaled, split_suffix};

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident, $from:ident, $get:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);
            /// The largest amount that can be held.
            pub const MAX: Self = Self(u64::MAX);

            #[doc = concat!("An amount in ", $unit, ".")]
            #[must_use]
            pub const fn $from(n: u64) -> Self {
                Self(n)
            }

            #[doc = concat!("The amount in ", $unit, ".")]
            #[must_use]
            pub const fn $get(self) -> u64 {
                self.0
            }

            /// Whether this is nothing.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// The sum, or `None` beyond the largest amount.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The difference, or `None` below zero.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The product, or `None` beyond the largest amount.
            #[must_use]
            pub const fn checked_mul(self, factor: u64) -> Option<Self> {
                match self.0.checked_mul(factor) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }
        }
    };
}

amount!(
    /// CPU in thousandths of a core. Written `"500m"` or `"2"` or `"0.5"`.
    Millicores, from_millicores, as_millicores, "thousandths of a core"
);
amount!(
    /// Memory, disk or traffic in bytes. Written `"4GiB"`, `"40GB"`, `"512MiB"`.
    Bytes, from_bytes, as_bytes, "bytes"
);
amount!(
    /// GPU in thousandths of one device. Written `"1"`, `"0.5"` or `"250m"`.
    Milligpus, from_milligpus, as_milligpus, "thousandths of a device"
);

impl Millicores {
    /// Whole cores; beyond the largest amount it stays at the largest.
    #[must_use]
    pub const fn from_cores(cores: u32) -> Self {
        Self(cores as u64 * 1000)
    }
}

impl Bytes {
    /// Gibibytes (2^30 bytes).
    #[must_use]
    pub const fn from_gib(gib: u32) -> Self {
        Self((gib as u64) << 30)
    }

    /// Mebibytes (2^20 bytes).
    #[must_use]
    pub const fn from_mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }
}

/// `"500m"` (thousandths) or `"2"` / `"0.5"` (whole units).
fn parse_milli(text: &str, unit: &'static str) -> Result<u64, QuantityError> {
    let (number, suffix) = split_suffix(text);
    let scale = match suffix {
        "" => 1000,
        "m" => 1,
        _ => {
            return Err(QuantityError::UnknownUnit {
                text: text.to_owned(),
                expected: "`m` or no suffix",
            });
        }
    };
    scaled(number, scale, unit, Fraction::Refuse, text)
}

fn fmt_milli(n: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if n.is_multiple_of(1000) {
        write!(f, "{}", n / 1000)
    } else {
        write!(f, "{n}m")
    }
}

impl FromStr for Millicores {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse_milli(text, "millicore").map(Self)
    }
}

impl FromStr for Milligpus {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse_milli(text, "thousandth of a device").map(Self)
    }
}

/// Byte suffixes, largest first; the first that divides exactly is used for printing.
const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

impl FromStr for Bytes {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (number, suffix) = split_suffix(text);
        let suffix = if suffix == "KB" { "kB" } else { suffix };
        let scale = BYTE_UNITS
            .iter()
            .find(|(name, _)| *name == suffix || (suffix.is_empty() && *name == "B"))
            .map(|(_, scale)| *scale)
            .ok_or_else(|| QuantityError::UnknownUnit {
                text: text.to_owned(),
                expected: "B, kB, KiB, MB, MiB, GB, GiB, TB, TiB",
            })?;
        scaled(number, scale, "byte", Fraction::Refuse, text).map(Self)
    }
}

impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_milli(self.0, f)
    }
}

impl fmt::Display for Milligpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_milli(self.0, f)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = BYTE_UNITS
            .iter()
            .find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale));
        let (name, scale) = exact.unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / scale)
    }
}

/// A finite number in 0..=1: a share, a probability, a utilisation.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio(f64);

/// The number is not a finite one in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("accept `{value}` as a ratio: it must be in 0..=1")]
pub struct RatioError {
    /// What was given.
    pub value: f64,
}

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0.0);
    /// All of it.
    pub const ONE: Self = Self(1.0);

    /// A checked ratio.
    ///
    /// # Errors
    /// [`RatioError`] when `value` is NaN, infinite, below 0 or above 1.
    pub fn new(value: f64) -> Result<Self, RatioError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(RatioError { value })
        }
    }

    /// The number, in 0..=1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Ratio {
    type Error = RatioError;
    fn try_from(value: f64) -> Result<Self, RatioError> {
        Self::new(value)
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> Self {
        ratio.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_printed() {
        let rows = [
            ("2", "2"),
            ("500m", "500m"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("0", "0"),
        ];
        for (text, printed) in rows {
            assert_eq!(text.parse::<Millicores>().unwrap().to_string(), printed);
        }
        let rows = [
            ("4GiB", "4GiB"),
            ("40GB", "40GB"),
            ("1.5 MiB", "1536KiB"),
            ("0", "0B"),
            ("1KB", "1kB"),
        ];
        for (text, printed) in rows {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), printed);
        }
        assert!(matches!(
            "4 gib".parse::<Bytes>(),
            Err(QuantityError::UnknownUnit { .. })
        ));
        assert!(matches!("-4GiB".parse::<Bytes>(), Err(QuantityError::Negative { .. })));
        assert!(matches!(
            "18446744073709551616B".parse::<Bytes>(),
            Err(QuantityError::Overflow { .. })
        ));
    }

    #[test]
    fn ratios_refuse_what_is_outside() {
        for bad in [f64::NAN, f64::INFINITY, -0.1, 1.000_001] {
            assert!(Ratio::new(bad).is_err());
        }
        assert_eq!(serde_json::to_string(&Ratio::ONE).unwrap(), "1.0");
        assert!(serde_json::from_str::<Ratio>("1.5").is_err());
    }
}
