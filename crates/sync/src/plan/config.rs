//! What a synchronisation is asked to do.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use skyloom_core::MicroUsd;
pub use skyloom_core::SyncMode;

use crate::Filter;
use crate::plan::Side;

/// Calls under way at once, unless the caller says otherwise: what saturates a bucket from one machine; at
/// [`CHUNK_BYTES_MAX`](crate::CHUNK_BYTES_MAX) each it is 4 MiB of buffers.
const CONCURRENCY: NonZeroU32 = NonZeroU32::new(16).expect("invariant: 16 is not 0");

/// Times that an operation is tried, unless the caller says otherwise.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).expect("invariant: 3 is not 0");

/// Bytes of a billed gigabyte: clouds bill traffic in 10^9 bytes or round in their own favour.
const BYTES_PER_GB: u64 = 1_000_000_000;

/// What happens to a key whose content was changed on both sides, differently. No rule drops bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictRule {
    /// The left content keeps the name, the right one gets a name made from its hash, see
    /// [`conflict_key`](crate::conflict_key).
    #[default]
    KeepBoth,
    /// Both sides stay as they are, and the plan names the key, until somebody decides.
    Hold,
}

/// How many deletes are too many. A plan is refused when it deletes on one side more than `count` objects and more than
/// `percent` of the objects that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxDelete {
    /// Deletes that are always allowed.
    pub count: u64,
    /// Share of the objects of the side, in percent; 100 or more allows everything.
    pub percent: u32,
}

impl Default for MaxDelete {
    /// Half of what is there, as rclone's bisync has it.
    fn default() -> Self {
        Self { count: 0, percent: 50 }
    }
}

impl MaxDelete {
    /// Everything.
    pub const UNLIMITED: Self = Self {
        count: u64::MAX,
        percent: 100,
    };

    /// Most deletes on a side with `objects` objects.
    #[must_use]
    pub fn allowed(&self, objects: u64) -> u64 {
        let share = u128::from(objects) * u128::from(self.percent) / 100;
        self.count.max(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

/// Price of moving bytes from one side to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferPrice {
    /// For 10^9 bytes out of the left store.
    pub left_per_gb: MicroUsd,
    /// For 10^9 bytes out of the right store.
    pub right_per_gb: MicroUsd,
}

impl TransferPrice {
    /// Price of `bytes` out of one side, rounded up to a millionth of a dollar; none when it cannot be held.
    #[must_use]
    pub fn of(&self, from: Side, bytes: u64) -> Option<MicroUsd> {
        let per_gb = match from {
            Side::Left => self.left_per_gb,
            Side::Right => self.right_per_gb,
        };
        let product = i128::from(per_gb.as_micros()).checked_mul(i128::from(bytes))?;
        let (gb, rest) = (i128::from(BYTES_PER_GB), product.rem_euclid(i128::from(BYTES_PER_GB)));
        let micros = product.div_euclid(gb) + i128::from(rest != 0);
        i64::try_from(micros).ok().map(MicroUsd::from_micros)
    }
}

/// What a synchronisation is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncConfig {
    /// Direction.
    pub mode: SyncMode,
    /// Which keys it is about.
    pub filter: Filter,
    /// What happens to a key that was changed on both sides.
    pub conflict: ConflictRule,
    /// How many deletes are too many.
    pub max_delete: MaxDelete,
    /// In a mirror's first run, delete what only the right has. Otherwise nothing is deleted without a merge base.
    pub allow_delete_without_base: bool,
    /// What moving bytes costs, where it is known.
    pub price: Option<TransferPrice>,
    /// Operations under way at once. A store that blocks, such as a local disk, does them one after the other.
    pub concurrency: NonZeroU32,
    /// Times that an operation is tried while it fails with a retryable class. Nothing waits between: a pause belongs to
    /// the store's adapter or to the caller, who runs the synchronisation again.
    pub attempts: NonZeroU32,
}

impl SyncConfig {
    /// Everything in this direction, keeping both contents of a conflict, deleting at most half of a side.
    #[must_use]
    pub fn new(mode: SyncMode) -> Self {
        Self {
            mode,
            filter: Filter::default(),
            conflict: ConflictRule::default(),
            max_delete: MaxDelete::default(),
            allow_delete_without_base: false,
            price: None,
            concurrency: CONCURRENCY,
            attempts: ATTEMPTS,
        }
    }

    /// The same about other keys.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// The same with another conflict rule.
    #[must_use]
    pub const fn with_conflict(mut self, conflict: ConflictRule) -> Self {
        self.conflict = conflict;
        self
    }

    /// The same with another limit of deletes.
    #[must_use]
    pub const fn with_max_delete(mut self, max_delete: MaxDelete) -> Self {
        self.max_delete = max_delete;
        self
    }

    /// The same, allowed to delete in a mirror's first run what only the right has.
    #[must_use]
    pub const fn with_delete_without_base(mut self) -> Self {
        self.allow_delete_without_base = true;
        self
    }

    /// The same with a price for moving bytes.
    #[must_use]
    pub const fn with_price(mut self, price: TransferPrice) -> Self {
        self.price = Some(price);
        self
    }

    /// The same with another number of operations under way at once.
    #[must_use]
    pub const fn with_concurrency(mut self, concurrency: NonZeroU32) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// The same with another number of attempts.
    #[must_use]
    pub const fn with_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_side_may_go() {
        for (count, percent, objects, allowed) in [(0, 50, 10, 5), (0, 50, 1, 0), (3, 50, 1, 3), (0, 100, 7, 7)] {
            assert_eq!(MaxDelete { count, percent }.allowed(objects), allowed);
        }
        assert_eq!(MaxDelete::UNLIMITED.allowed(0), u64::MAX);
        let most = MaxDelete {
            count: 0,
            percent: u32::MAX,
        };
        assert_eq!(most.allowed(u64::MAX), u64::MAX);
    }

    #[test]
    fn prices_round_up_and_never_overflow() {
        let price = TransferPrice {
            left_per_gb: MicroUsd::from_micros(90_000),
            right_per_gb: MicroUsd::MAX,
        };
        let rows = [
            (Side::Left, 0, Some(0)),
            (Side::Left, 1, Some(1)),
            (Side::Left, 1_000_000_000, Some(90_000)),
            (Side::Left, 1_000_000_001, Some(90_001)),
            (Side::Right, u64::MAX, None),
        ];
        for (from, bytes, micros) in rows {
            assert_eq!(price.of(from, bytes), micros.map(MicroUsd::from_micros), "{bytes}");
        }
    }
}
