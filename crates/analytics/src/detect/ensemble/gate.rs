//! What keeps an alarm from being raised again and again: only a record of the recent past is news.
//!
//! "Recent" grows with the stream, up to a bound: after an hour the last minutes are the past, after a week the last day
//! is. Within a few values of the last record the next one must be clearly larger.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::bits;
use crate::detect::Suppression;

/// Values that count as the recent past: this many at first,
const PAST_MIN: u64 = 90;
/// one more for every so many values seen,
const PAST_PER: u64 = 50;
/// and this many at most.
const PAST_MAX: u64 = 500;
/// A record this close to the one before must be larger by [`AFTERSHOCK_FACTOR`].
const AFTERSHOCK: u64 = 72;
const AFTERSHOCK_FACTOR: f64 = 1.2;
/// Sizes below this are never records.
const RECORD_MIN: f64 = 0.3;

/// State of the gate: both queues are short, because only what may still hold something back is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Gate {
    /// Falling sizes of the recent past, each larger than all that came after it.
    #[serde(with = "bits::marks")]
    past: VecDeque<(u64, f64)>,
    /// Records of late.
    #[serde(with = "bits::marks")]
    records: VecDeque<(u64, f64)>,
}

impl Gate {
    /// Whether `size`, at position `now` of the stream, is held back; then remembers it.
    pub(super) fn pass(&mut self, now: u64, size: f64) -> Option<Suppression> {
        let reach = (PAST_MIN + now / PAST_PER).min(PAST_MAX);
        while self.past.front().is_some_and(|(at, _)| at + reach < now) {
            self.past.pop_front();
        }
        while self.records.front().is_some_and(|(at, _)| at + AFTERSHOCK < now) {
            self.records.pop_front();
        }
        let largest = self.past.front().map_or(0.0, |(_, size)| *size);
        let held_back = if size <= largest || size <= RECORD_MIN {
            Some(Suppression::Precedent)
        } else if self
            .records
            .iter()
            .any(|(_, record)| size <= AFTERSHOCK_FACTOR * record)
        {
            Some(Suppression::Refractory)
        } else {
            self.records.push_back((now, size));
            None
        };
        while self.past.back().is_some_and(|(_, before)| *before <= size) {
            self.past.pop_back();
        }
        self.past.push_back((now, size));
        held_back
    }

    pub(super) fn is_sound(&self, now: u64) -> bool {
        let queues = [&self.past, &self.records];
        let in_order = queues.iter().all(|q| {
            q.iter().is_sorted_by(|a, b| a.0 < b.0) && q.iter().all(|(at, size)| *at < now && size.is_finite())
        });
        in_order
            && queues
                .iter()
                .all(|q| u64::try_from(q.len()).is_ok_and(|len| len <= PAST_MAX + 1))
    }

    pub(super) fn size_bytes(&self) -> usize {
        (self.past.capacity() + self.records.capacity()) * size_of::<(u64, f64)>()
    }
}
