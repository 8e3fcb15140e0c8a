//! The latest values as one slice, oldest first: a buffer of twice the length that is moved to its front when it is full.
//!
//! A ring was not taken: its two halves would cut every loop over windows in two.

use serde::{Deserialize, Serialize};

use crate::bits::{self, Bits};

/// Up to `cap` values at hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Recent<T: Bits> {
    cap: usize,
    #[serde(with = "bits::list")]
    values: Vec<T>,
}

impl<T: Bits> Recent<T> {
    pub(super) const fn new(cap: usize) -> Self {
        Self {
            cap,
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, value: T) {
        if self.values.len() >= 2 * self.cap {
            self.values.drain(..self.values.len() - self.cap);
        }
        if self.values.len() == self.values.capacity() {
            // Doubling, but never beyond what is needed.
            let more = self.values.len().max(16).min(2 * self.cap - self.values.len());
            self.values.reserve_exact(more);
        }
        self.values.push(value);
    }

    /// The latest `cap` values, or all there are.
    pub(super) fn all(&self) -> &[T] {
        &self.values[self.values.len().saturating_sub(self.cap)..]
    }

    /// The latest `len` values, or all there are; `len <= cap`.
    pub(super) fn last(&self, len: usize) -> &[T] {
        &self.values[self.values.len().saturating_sub(len)..]
    }

    /// The value that came `back` values before the latest one.
    pub(super) fn before(&self, back: usize) -> Option<T> {
        self.values.len().checked_sub(back + 1).map(|i| self.values[i])
    }

    pub(super) fn is_sound(&self, cap: usize, is_finite: impl Fn(T) -> bool) -> bool {
        self.cap == cap && self.values.len() <= 2 * cap && self.values.iter().all(|v| is_finite(*v))
    }

    pub(super) const fn size_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>()
    }
}
