//! A part of a question: some copies of each class, as a question of its own.
//!
//! Classes without copies are gone, the others keep their order; limits hold what the rest of the purchase leaves of them.

use crate::fleet::folded::{Bought, Folded, Pattern};

/// A part with the names of its classes in the whole.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) folded: Folded,
    /// Class of the whole, by class of the part.
    classes: Vec<u32>,
    /// Class of the part, by class of the whole.
    names: Vec<Option<u32>>,
}

impl Part {
    /// So many copies of each class, beside machines that are bought already.
    pub(super) fn new(whole: &Folded, counts: &[u64], bought: &[(Pattern, u64)]) -> Self {
        let mut folded = whole.clone();
        for (limit, full) in folded.limits.iter_mut().zip(&whole.limits) {
            let taken = bought.iter().map(|(p, n)| full.takes[p.shape].saturating_mul(*n));
            limit.max = limit.max.saturating_sub(taken.fold(0, u64::saturating_add));
        }
        let mut names = vec![None; counts.len()];
        let mut classes = Vec::new();
        folded.classes.clear();
        for ((class, spec), count) in (0u32..).zip(&whole.classes).zip(counts) {
            if *count > 0 {
                names[class as usize] = u32::try_from(classes.len()).ok();
                classes.push(class);
                folded
                    .classes
                    .push(crate::fleet::folded::Class { count: *count, ..*spec });
            }
        }
        Self { folded, classes, names }
    }

    /// A load in the part's names, if the part has copies enough for it.
    pub(super) fn within(&self, pattern: &Pattern) -> Option<Pattern> {
        let mut items = Vec::with_capacity(pattern.items.len());
        for (class, copies) in &pattern.items {
            let name = self.names[*class as usize]?;
            if u64::from(*copies) > self.folded.classes[name as usize].count {
                return None;
            }
            items.push((name, *copies));
        }
        Some(Pattern {
            shape: pattern.shape,
            items,
        })
    }

    /// A load of the part in the whole's names.
    pub(super) fn outside(&self, pattern: &Pattern) -> Pattern {
        let items = pattern
            .items
            .iter()
            .map(|(class, copies)| (self.classes[*class as usize], *copies));
        Pattern {
            shape: pattern.shape,
            items: items.collect(),
        }
    }

    /// Values of classes of the whole, by class of the part.
    pub(super) fn values(&self, values: &[i64]) -> Vec<i64> {
        self.classes.iter().map(|class| values[*class as usize]).collect()
    }

    /// Copies of each class, all of them.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.folded.classes.iter().map(|class| class.count).collect()
    }

    /// Copies left out of the part, by class of the whole.
    pub(super) fn left_outside(&self, left_out: &[u64], whole: usize) -> Vec<u64> {
        let mut left = vec![0; whole];
        for (class, missing) in self.classes.iter().zip(left_out) {
            left[*class as usize] = *missing;
        }
        left
    }

    /// A purchase of the part in the whole's names, without what it leaves out.
    pub(super) fn bought_outside(&self, bought: &Bought) -> Vec<(Pattern, u64)> {
        bought
            .machines
            .iter()
            .map(|(pattern, n)| (self.outside(pattern), *n))
            .collect()
    }
}
