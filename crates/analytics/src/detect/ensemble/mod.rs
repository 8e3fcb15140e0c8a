//! The default preset: several parts look at the last values in their own way, each says how rare that is in its own past,
//! and a score says how rare all of it is together.
//!
//! A part gives a size without unit (a distance in ranges, a shift in deviations); its [`rank::Rank`] turns that into
//! decades of rarity; the weighted decades are added as squares, so that one part alone must be very sure and several
//! may each be a little less. The gate lets through only what is a record of the recent past. Weights and constants
//! are the same for every series; `docs/analytics/detect.md` says how they were chosen.

mod change;
mod gate;
mod neighbours;
mod profile;
mod rank;
mod recent;
mod shift;

use serde::{Deserialize, Serialize};
use skyloom_core::Sample;

use self::change::Change;
use self::gate::Gate;
use self::neighbours::Neighbours;
use self::profile::Profile;
use self::rank::Rank;
use self::recent::Recent;
use self::shift::Shift;
use super::verdict::ALARM_SCORE;
use super::{Band, Part, Reason, Verdict, Weights};
use crate::{bits, num};

/// Values that the default preset learns before the first alarm can be raised.
pub const WARM_UP_SAMPLES: u32 = 100;
/// Values among which the default preset looks for similar stretches: about a week of five-minute samples.
pub const HISTORY: usize = 2_000;
/// Shifts of less than a hundredth of a deviation, and distances of less than a hundredth of the range, are none.
const SIZE_MIN: f64 = 0.01;
/// Values beyond this are judged as if they were there: squares of differences stay finite.
const VALUE_MAX: f64 = 1e100;
/// The combined decades at which an alarm begins.
const ALARM_DECADES: f64 = 1.45;
/// Excess beyond the range that counts as one unit, as a share of the range.
const EXCESS_UNIT: f64 = 0.005;
/// Octaves of excess that are told apart: twenty times the range is as new as it gets.
const EXCESS_OCTAVES_MAX: f64 = 12.0;
/// Share of the range that is always granted as deviation of a residual.
const CHANGE_RANGE_SHARE: f64 = 0.01;
/// Deviations of the residual to both sides of what is usual at this time of the day that the band grants.
const BAND_DEVIATIONS: f64 = 4.0;

/// What a part measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Distance of the residuals to their nearest earlier stretch, in ranges.
    Neighbours,
    /// Shift of the mean of this entry of [`RESIDUAL_SHORTS`].
    ResidualLevel(usize),
    /// Shift of the mean of this entry of [`VALUE_SHORTS`].
    Level(usize),
    /// The larger cumulative sum of residuals.
    Change,
    /// Change of the scatter over this entry of [`VALUE_SHORTS`].
    Spread(usize),
}

/// Lengths of the short side for residuals from the time of the day, and for values as they are.
const RESIDUAL_SHORTS: [usize; 3] = [6, 12, 48];
const VALUE_SHORTS: [usize; 3] = [24, 48, 144];
/// Weight of the excess beyond the range, per octave.
const RANGE_WEIGHT: f64 = 0.62;
/// Everything that is ranked, with its weight per decade.
const RANKED: [(Part, Measure, f64); 9] = [
    (Part::Pattern, Measure::Neighbours, 0.33),
    (Part::Daytime, Measure::ResidualLevel(0), 0.41),
    (Part::Daytime, Measure::ResidualLevel(1), 0.37),
    (Part::Daytime, Measure::ResidualLevel(2), 0.26),
    (Part::Level, Measure::Level(1), 0.19),
    (Part::Level, Measure::Level(2), 0.35),
    (Part::Spread, Measure::Spread(0), 0.35),
    (Part::Spread, Measure::Spread(1), 0.19),
    (Part::Change, Measure::Change, 0.3),
];

/// State of the preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ensemble {
    weights: Weights,
    seen: u64,
    #[serde(with = "bits")]
    lo: f64,
    #[serde(with = "bits")]
    hi: f64,
    profile: Profile,
    neighbours: Neighbours,
    residuals: Recent<f64>,
    values: Recent<f64>,
    residual_shifts: Vec<Shift>,
    value_shifts: Vec<Shift>,
    change: Change,
    ranks: Vec<Rank>,
    gate: Gate,
}

impl Default for Ensemble {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            seen: 0,
            lo: 0.0,
            hi: 0.0,
            profile: Profile::default(),
            neighbours: Neighbours::default(),
            residuals: Recent::new(RESIDUALS_KEPT),
            values: Recent::new(VALUES_KEPT),
            residual_shifts: RESIDUAL_SHORTS.map(Shift::new).to_vec(),
            value_shifts: VALUE_SHORTS.map(Shift::new).to_vec(),
            change: Change::default(),
            ranks: vec![Rank::default(); RANKED.len()],
            gate: Gate::default(),
        }
    }
}

/// One more than the longest short sides.
const VALUES_KEPT: usize = VALUE_SHORTS[VALUE_SHORTS.len() - 1] + 1;
const RESIDUALS_KEPT: usize = RESIDUAL_SHORTS[RESIDUAL_SHORTS.len() - 1] + 1;

impl Ensemble {
    pub(crate) const fn set_weights(&mut self, weights: Weights) {
        self.weights = weights;
    }

    /// Judges a finite value, then learns it.
    pub(crate) fn judge(&mut self, sample: Sample, resolution: f64) -> Verdict {
        let value = sample.value.clamp(-VALUE_MAX, VALUE_MAX);
        if self.seen == 0 {
            (self.lo, self.hi) = (value, value);
        }
        let (lo, hi) = (self.lo, self.hi);
        let excess = octaves_beyond(value, lo, hi);
        (self.lo, self.hi) = (lo.min(value), hi.max(value));
        let range = self.hi - self.lo;
        let daytime = self.profile.push(sample.at, value);
        let novelty = self.neighbours.push(daytime.residual, range);
        self.residuals.push(daytime.residual);
        self.values.push(value);

        // The long side of the residuals, before this value: where it was expected and how surely.
        let (offset, deviation) = self.residual_shifts[0].long();
        let middle = (daytime.usual + offset).clamp(lo, hi);
        let reach = BAND_DEVIATIONS * deviation;
        let band = Band::new((middle - reach).max(lo), (middle + reach).min(hi), middle, resolution);
        let away = (daytime.residual - offset) / (deviation + CHANGE_RANGE_SHARE * range);
        let shift = self
            .change
            .push(sample.at, if range > 0.0 { num::saturate(away) } else { 0.0 });
        let (part, decades) = self.decades(excess, novelty, shift, range);
        let decades = if (value - middle).abs() <= resolution {
            0.0
        } else {
            decades
        };
        let verdict = self.verdict(part, decades, band);
        self.dated(verdict)
    }

    /// A change that is told carries its beginning, and is known from then on.
    fn dated(&mut self, verdict: Verdict) -> Verdict {
        if verdict.reason != (Reason::Fired { part: Part::Change }) {
            return verdict;
        }
        let since = self.change.since();
        self.change.reset();
        verdict.with_since(since)
    }

    fn verdict(&mut self, part: Part, decades: f64, band: Band) -> Verdict {
        let held_back = self.gate.pass(self.seen, decades);
        let is_warm = self.seen >= u64::from(WARM_UP_SAMPLES);
        self.seen = self.seen.saturating_add(1);
        let score = decades / (decades + ALARM_DECADES);
        let wanted = score >= ALARM_SCORE;
        let reason = match (is_warm, wanted, held_back) {
            (false, _, _) => Reason::WarmUp,
            (true, true, None) => Reason::Fired { part },
            (true, true, Some(by)) => Reason::Suppressed { part, by },
            // A small repeat is as quiet as a large one, so that whoever sets a lower threshold meets no repeats either.
            (true, false, Some(_)) => return Verdict::quiet(score, band),
            (true, false, None) => Reason::Expected,
        };
        Verdict::new(score, reason, band)
    }

    /// The combined decades of rarity, and the part that contributes most.
    fn decades(&mut self, excess: f64, novelty: f64, shift: f64, range: f64) -> (Part, f64) {
        let wants_spread = |short: usize| RANKED.iter().any(|(_, measure, _)| *measure == Measure::Spread(short));
        let mut of_residual = [0.0; RESIDUAL_SHORTS.len()];
        for (moved, shift) in of_residual.iter_mut().zip(&mut self.residual_shifts) {
            *moved = shift.push(&self.residuals, range, false).level;
        }
        let mut level = [0.0; VALUE_SHORTS.len()];
        let mut spread = [0.0; VALUE_SHORTS.len()];
        for (i, shift) in self.value_shifts.iter_mut().enumerate() {
            let moved = shift.push(&self.values, range, wants_spread(i));
            (level[i], spread[i]) = (moved.level, moved.spread);
        }
        let weighted = self.weights.of(Part::Range) * RANGE_WEIGHT * excess;
        let mut most = (Part::Range, weighted);
        let mut sum = weighted * weighted;
        for ((part, measure, weight), rank) in RANKED.iter().zip(&mut self.ranks) {
            let size = match *measure {
                Measure::Neighbours => novelty,
                Measure::ResidualLevel(i) => of_residual[i],
                Measure::Level(i) => level[i],
                Measure::Spread(i) => spread[i],
                Measure::Change => shift,
            };
            // What is too small to matter is not told apart: on a series that repeats itself exactly, sizes are rounding.
            let size = if size < SIZE_MIN { 0.0 } else { num::saturate(size) };
            let weighted = self.weights.of(*part) * weight * rank.push(size);
            if weighted > most.1 {
                most = (*part, weighted);
            }
            sum += weighted * weighted;
        }
        (most.0, sum.sqrt())
    }

    pub(crate) fn is_sound(&self) -> bool {
        let shifts = |shifts: &[Shift], shorts: &[usize]| {
            shifts.len() == shorts.len() && shifts.iter().zip(shorts).all(|(shift, short)| shift.is_sound(*short))
        };
        self.weights.is_sound()
            && self.lo.is_finite()
            && self.hi.is_finite()
            && self.lo <= self.hi
            && self.profile.is_sound()
            && self.neighbours.is_sound()
            && self.residuals.is_sound(RESIDUALS_KEPT, f64::is_finite)
            && self.values.is_sound(VALUES_KEPT, f64::is_finite)
            && shifts(&self.residual_shifts, &RESIDUAL_SHORTS)
            && shifts(&self.value_shifts, &VALUE_SHORTS)
            && self.ranks.len() == RANKED.len()
            && self.ranks.iter().all(Rank::is_sound)
            && self.change.is_sound()
            && self.gate.is_sound(self.seen)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + Profile::size_bytes()
            + self.neighbours.size_bytes()
            + self.residuals.size_bytes()
            + self.values.size_bytes()
            + (RESIDUAL_SHORTS.len() + VALUE_SHORTS.len()) * size_of::<Shift>()
            + RANKED.len() * (size_of::<Rank>() + Rank::size_bytes())
            + self.gate.size_bytes()
    }
}

/// How far a value is beyond the range, in octaves of [`EXCESS_UNIT`].
fn octaves_beyond(value: f64, lo: f64, hi: f64) -> f64 {
    let excess = (value - hi).max(lo - value);
    if excess <= 0.0 {
        return 0.0;
    }
    // A range of zero width: infinitely far beyond.
    libm::log2(1.0 + excess / (hi - lo) / EXCESS_UNIT).min(EXCESS_OCTAVES_MAX)
}
