//! The index of one class: a tournament of nodes by score, and the log of changed nodes from which it catches up.
//!
//! A class looks again only at nodes that changed since it was asked last, so a placement costs about one score per class
//! and a walk to the root, however many nodes there are. A tree of wide nodes (16 keys are one cache line) was taken over
//! a binary heap: it is updated in place, and its ties go to the lowest node.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Children of a tree node.
const FAN: usize = 16;

/// The key of a node that a class cannot be on: worse than any score.
pub(super) const NONE: u32 = u32::MAX;

/// The key of a score: keys are ordered as scores are in single precision, lower is better; not a number is the worst.
#[expect(
    clippy::cast_possible_truncation,
    reason = "scores are compared in single precision; beyond it they are infinite, which is in order"
)]
pub(super) fn key(score: f64) -> u32 {
    if score.is_nan() {
        return NONE - 1;
    }
    // Adding zero makes one zero of the two.
    let bits = (score as f32 + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The score of a key, in single precision.
fn score(key: u32) -> f64 {
    let bits = if key >> 31 == 1 { key & !(1 << 31) } else { !key };
    f64::from(f32::from_bits(bits))
}

/// Nodes of one class, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Tournament {
    /// `levels[0]` has a key per node, each level above the least of 16 below; all padded to full tree nodes.
    levels: Vec<Vec<u32>>,
}

impl Tournament {
    pub(super) fn build(keys: impl Iterator<Item = u32>) -> Self {
        let mut levels = vec![padded(keys.collect())];
        while levels.last().is_some_and(|top| top.len() > FAN) {
            let below = levels.last().map_or(&[][..], Vec::as_slice);
            let above = below.chunks_exact(FAN).map(least).collect();
            levels.push(padded(above));
        }
        Self { levels }
    }

    /// Changes the key of a node.
    pub(super) fn set(&mut self, node: usize, key: u32) {
        let (mut at, mut key) = (node, key);
        for level in &mut self.levels {
            let old = std::mem::replace(&mut level[at], key);
            if old == key {
                return;
            }
            at /= FAN;
            key = least(&level[at * FAN..(at + 1) * FAN]);
        }
    }

    pub(super) fn get(&self, node: usize) -> u32 {
        self.levels[0][node]
    }

    /// The score of a node on which the class fits, in single precision.
    pub(super) fn cost(&self, node: usize) -> f64 {
        score(self.get(node))
    }

    /// The best node, the lowest among equals; `None`: the class fits nowhere.
    pub(super) fn best(&self) -> Option<usize> {
        let top = self.levels.last()?;
        let key = least(top);
        if key == NONE {
            return None;
        }
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let children = &level[at * FAN..(at + 1) * FAN];
            at = at * FAN + children.iter().position(|k| *k == key)?;
        }
        Some(at)
    }

    /// All nodes the class fits on, best first, the lowest first among equals.
    pub(super) fn ascending(&self) -> Ascending<'_> {
        let mut ascending = Ascending {
            levels: &self.levels,
            open: BinaryHeap::new(),
        };
        ascending.expand(self.levels.len(), 0);
        ascending
    }
}

/// See [`Tournament::ascending`].
#[derive(Debug)]
pub(super) struct Ascending<'a> {
    levels: &'a [Vec<u32>],
    /// Key, first node below it, level, place in the level.
    open: BinaryHeap<Reverse<(u32, usize, usize, usize)>>,
}

impl Ascending<'_> {
    /// Opens the children of a tree node; `level` is the children's level plus one.
    fn expand(&mut self, level: usize, at: usize) {
        let Some(level) = level.checked_sub(1) else { return };
        let span = FAN.pow(u32::try_from(level).unwrap_or(0));
        for place in at * FAN..(at + 1) * FAN {
            let key = self.levels[level][place];
            if key != NONE {
                self.open.push(Reverse((key, place * span, level, place)));
            }
        }
    }
}

impl Iterator for Ascending<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while let Some(Reverse((_, node, level, at))) = self.open.pop() {
            if level == 0 {
                return Some(node);
            }
            self.expand(level, at);
        }
        None
    }
}

fn padded(mut keys: Vec<u32>) -> Vec<u32> {
    keys.resize(keys.len().max(1).next_multiple_of(FAN), NONE);
    keys
}

fn least(keys: &[u32]) -> u32 {
    keys.iter().fold(NONE, |least, key| least.min(*key))
}

/// Which nodes changed, in order.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    /// Number of the first entry that is kept.
    base: u64,
    list: Vec<u32>,
    /// Number of the last change of each node.
    last: Vec<u64>,
}

impl Changes {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            base: 0,
            list: Vec::new(),
            last: vec![0; nodes],
        }
    }

    pub(super) fn note(&mut self, node: usize) {
        // A class that is so far behind looks at every node anew, which is cheaper anyway.
        if self.list.len() > 4 * self.last.len() + 64 {
            let half = self.list.len() / 2;
            self.list.drain(..half);
            self.base += half as u64;
        }
        self.last[node] = self.end();
        self.list.push(u32::try_from(node).unwrap_or(u32::MAX));
    }

    /// Number of the next change.
    pub(super) fn end(&self) -> u64 {
        self.base + self.list.len() as u64
    }

    /// Nodes changed since, each once; `None`: looking at all of them is cheaper, or the log does not reach back.
    pub(super) fn since(&self, seen: u64) -> Option<impl Iterator<Item = usize> + '_> {
        let first = usize::try_from(seen.checked_sub(self.base)?).ok()?;
        let new = self.list.get(first..)?;
        (new.len() <= self.last.len()).then(|| {
            let numbered = (seen..).zip(new);
            numbered.filter_map(|(number, node)| (self.last[*node as usize] == number).then_some(*node as usize))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_scores_are() {
        let scores = [f64::NEG_INFINITY, -3e9, -1.0, -0.0, 1e-9, 2.0, 1e300, f64::NAN];
        let keys: Vec<u32> = scores.iter().map(|s| key(*s)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!(key(0.0), key(-0.0));
        assert!(keys.iter().all(|k| *k < NONE));
    }

    #[test]
    fn the_tournament_agrees_with_a_sort() {
        for nodes in [0, 1, 15, 16, 17, 255, 256, 257, 5000] {
            let mut keys: Vec<u32> = (0..nodes).map(|n| (n * 7919 + 13) % 101).collect();
            let mut tree = Tournament::build(keys.iter().copied());
            for step in 0..keys.len().min(300) {
                let node = step * 31 % keys.len();
                keys[node] = [NONE, 5, 50, 100][step % 4];
                tree.set(node, keys[node]);
                let best = (0..keys.len())
                    .filter(|n| keys[*n] != NONE)
                    .min_by_key(|n| (keys[*n], *n));
                assert_eq!(tree.best(), best);
            }
            let mut order: Vec<usize> = (0..keys.len()).filter(|n| keys[*n] != NONE).collect();
            order.sort_by_key(|n| (keys[*n], *n));
            assert_eq!(tree.ascending().collect::<Vec<_>>(), order);
        }
    }

    #[test]
    fn each_change_is_seen_once_and_a_log_that_is_too_short_says_so() {
        let mut changes = Changes::new(3);
        for node in [0, 1, 0, 2] {
            changes.note(node);
        }
        let seen = |changes: &Changes, from| changes.since(from).map(Iterator::collect::<Vec<_>>);
        assert_eq!(seen(&changes, 1), Some(vec![1, 0, 2]));
        assert_eq!(seen(&changes, 4), Some(Vec::new()));
        assert_eq!(seen(&changes, 0), None);
        for _ in 0..1000 {
            changes.note(1);
        }
        assert_eq!(seen(&changes, 4), None);
        assert_eq!(seen(&changes, changes.end() - 1), Some(vec![1]));
    }
}
