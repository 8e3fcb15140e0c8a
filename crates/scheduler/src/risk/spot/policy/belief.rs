//! What a pilot believes of spot capacity from what it has seen: how long it stays, and how long it stays away.
//!
//! Rates by counting, with an opinion for the time before anything is seen. What follows from them is `value`'s. Rates that
//! depend on the age of a spell were tried on recorded traces and cost more: one job sees too few spells.

use crate::risk::spot::Moment;

/// Rates per second at which spells end, and what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Of the end of capacity in the zone that would be taken.
    pub(super) eviction: f64,
    /// Of the end of capacity everywhere.
    pub(super) drought: f64,
    /// Of the return of capacity anywhere.
    pub(super) return_: f64,
    /// Chance that another zone is up when one goes down.
    pub(super) refuge: f64,
}

/// Time in a state, and the times that it ended.
#[derive(Debug, Clone, Copy, Default)]
struct Spells {
    seconds: f64,
    ends: f64,
}

impl Spells {
    /// Rate at which the state ends, as if `PRIOR_SPELLS` spells of `PRIOR_SPELL_S` had been seen before.
    fn rate(self) -> f64 {
        (self.ends + PRIOR_SPELLS) / (self.seconds + PRIOR_SPELLS * PRIOR_SPELL_S)
    }
}

/// A spell that nothing is known of lasts an hour: the order of magnitude between flicker and days.
const PRIOR_SPELL_S: f64 = 3600.0;
/// How many spells that opinion is worth.
const PRIOR_SPELLS: f64 = 1.0;

/// Counts over the ticks seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Belief {
    seen: Vec<bool>,
    zone_up: Vec<Spells>,
    any_up: Spells,
    any_down: Spells,
    /// Times that a zone went down, and that another was up then.
    lost: f64,
    refuges: f64,
}

impl Belief {
    /// Takes in what a tick shows.
    pub(super) fn learn(&mut self, moment: &Moment<'_>) {
        let tick_s = as_f64(moment.job.tick_s());
        let any = moment.up.contains(&true);
        if self.seen.len() == moment.up.len() {
            let before = self.seen.contains(&true);
            let spells = if before { &mut self.any_up } else { &mut self.any_down };
            spells.seconds += tick_s;
            spells.ends += f64::from(u8::from(before != any));
            for (zone, spells) in self.zone_up.iter_mut().enumerate() {
                if self.seen[zone] {
                    let ended = !moment.up[zone];
                    spells.seconds += tick_s;
                    spells.ends += f64::from(u8::from(ended));
                    self.lost += f64::from(u8::from(ended));
                    self.refuges += f64::from(u8::from(ended && any));
                }
            }
        } else {
            self.zone_up = vec![Spells::default(); moment.up.len()];
        }
        self.seen = moment.up.to_vec();
    }

    /// Rate at which capacity in a zone ends.
    pub(super) fn eviction(&self, zone: usize) -> f64 {
        self.zone_up.get(zone).copied().unwrap_or_default().rate()
    }

    /// The rates as they look when this zone would be taken.
    pub(super) fn rates(&self, zone: usize) -> Rates {
        Rates {
            eviction: self.eviction(zone),
            drought: self.any_up.rate(),
            return_: self.any_down.rate(),
            refuge: if self.lost > 0.0 { self.refuges / self.lost } else { 0.0 },
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a job are below 2^30")]
pub(super) fn as_f64(seconds: u64) -> f64 {
    seconds as f64
}
