//! The light preset: two parts of a few numbers each, and a gate that keeps repeats back. Under 1 KiB per series.
//!
//! Seasons do not belong here: remove them first (`prepare`), judge forecast errors, or take the default preset.

mod gate;
mod range;
mod tail;

pub use gate::{PRECEDENTS, REFRACTORY_SAMPLES};

use serde::{Deserialize, Serialize};

use self::gate::Gate;
use self::range::Range;
use self::tail::Tail;
use super::verdict::ALARM_SCORE;
use super::{Band, Part, Reason, Verdict};
use crate::num;

/// Values that the light preset learns before the first alarm can be raised.
pub const LIGHT_WARM_UP_SAMPLES: u32 = 30;

/// What a part says about one value, before it learns it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Opinion {
    /// 0 (as expected) to 1; 0.5 is where an alarm begins.
    score: f64,
    /// Where the part would not have raised an alarm.
    lo: f64,
    hi: f64,
}

/// State of the preset.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Light {
    seen: u32,
    tail: Tail,
    range: Range,
    gate: Gate,
}

impl Light {
    /// Judges a finite value, then learns it.
    pub(crate) fn judge(&mut self, value: f64, resolution: f64) -> Verdict {
        let (tail, range) = (self.tail.judge(value), self.range.judge(value));
        let middle = tail.lo / 2.0 + tail.hi / 2.0;
        let (part, mut score) = if range.score > tail.score {
            (Part::Range, range.score)
        } else {
            (Part::Tail, tail.score)
        };
        let away = num::saturate((value - middle).abs());
        if away <= resolution {
            score = 0.0;
        }
        let band = Band::new(tail.lo.max(range.lo), tail.hi.min(range.hi), middle, resolution);
        let is_warm = self.seen >= LIGHT_WARM_UP_SAMPLES;
        let wanted = is_warm && score >= ALARM_SCORE;
        let kept_back = self.gate.pass(away, wanted, self.seen >= LIGHT_WARM_UP_SAMPLES / 2);
        self.seen = self.seen.saturating_add(1);
        let reason = match (wanted, kept_back) {
            (true, None) => Reason::Fired { part },
            (true, Some(by)) => Reason::Suppressed { part, by },
            (false, _) if is_warm => Reason::Expected,
            (false, _) => Reason::WarmUp,
        };
        Verdict::new(score, reason, band)
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.tail.is_sound() && self.range.is_sound() && self.gate.is_sound()
    }
}
