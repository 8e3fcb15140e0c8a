//! Anomaly detection on a stream: one pass, a few kilobytes per series, no look-ahead, fixed defaults.
//!
//! A [`Detector`] runs every part of [`BUILTIN`] beside each other and lets a gate suppress repeats. A part is one file
//! with a type that implements `Judge`, and one line in the table below; the alarm's reason, the saved state and the
//! tests follow from that line. Grouping, routing and silencing of alarms do not belong here, nor does seasonality:
//! remove it first (`prepare`) or judge forecast errors.

mod bits;
mod detector;
mod gate;
mod range;
mod tail;

pub use detector::{Band, DetectError, Detector, DetectorStateError, Reason, STATE_VERSION, Verdict, WARM_UP_SAMPLES};
pub use gate::{PRECEDENTS, REFRACTORY_SAMPLES, Suppression};

use serde::{Deserialize, Serialize};

/// What a part says about one value, before it learns it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Opinion {
    /// 0 (as expected) to 1; 0.5 is where an alarm begins.
    pub(crate) score: f64,
    /// Where the part would not have raised an alarm.
    pub(crate) lo: f64,
    pub(crate) hi: f64,
}

/// A part of the detector: judges a value by what came before, then learns it. Constant time and memory; never NaN for
/// finite values; independent of time stamps.
pub(crate) trait Judge: Default {
    /// Judges, then learns.
    fn judge(&mut self, value: f64) -> Opinion;
    /// Whether all numbers of a restored state are usable.
    fn is_sound(&self) -> bool;
}

macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident => $judge:ty, $name:literal;)+) => {
        /// The parts a detector is made of, as an alarm names them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Part { $($(#[$doc])* $part,)+ }

        /// Every part, in the order in which they are asked.
        pub const BUILTIN: &[Part] = &[$(Part::$part,)+];

        impl std::fmt::Display for Part {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$part => $name,)+ })
            }
        }

        /// The state of one part.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum PartState { $($part($judge),)+ }

        impl PartState {
            fn new(part: Part) -> Self {
                match part { $(Part::$part => Self::$part(<$judge>::default()),)+ }
            }
            const fn part(&self) -> Part {
                match self { $(Self::$part(_) => Part::$part,)+ }
            }
            fn judge(&mut self, value: f64) -> Opinion {
                match self { $(Self::$part(judge) => judge.judge(value),)+ }
            }
            fn is_sound(&self) -> bool {
                match self { $(Self::$part(judge) => judge.is_sound(),)+ }
            }
        }
    };
}

parts! {
    /// The value is far out in the tail of the usual distance from where the series was going.
    Tail => tail::Tail, "tail";
    /// The value leaves the range the series has kept to by a good part of that range.
    Range => range::Range, "range";
}
