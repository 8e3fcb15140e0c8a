//! Merkle trees as RFC 6962, section 2.1, has them: SHA-256, leaves prefixed by 0x00, nodes by 0x01.
//!
//! Proofs are verified by the iterative algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2, which share no code with
//! the recursive definitions that make them.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Hash of a leaf: `SHA-256(0x00 || bytes)`.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Largest power of two below `n` (`n` at least 2).
const fn split_point(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// Root over leaf hashes; the hash of nothing for none. Linear.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split_point(leaves.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The right edge of a growing tree: roots of its complete subtrees, one per set bit of its size, largest first. At most
/// 64 hashes however many leaves there were, and amortised two hashes per leaf; for the root, one per subtree.
///
/// ```
/// use skyloom_security::audit::{MerkleFrontier, leaf_hash, root_of};
///
/// let leaves = [leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")];
/// let mut frontier = MerkleFrontier::default();
/// for leaf in leaves {
///     frontier.push(leaf);
/// }
/// assert_eq!(frontier.root(), root_of(&leaves));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MerkleFrontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl MerkleFrontier {
    /// Adds a leaf's hash at the right.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root over all leaves so far: the one that [`root_of`] gives.
    #[must_use]
    pub fn root(&self) -> Hash {
        let from_right = self.subtrees.iter().rev().copied();
        from_right
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(|| root_of(&[]))
    }
}

/// Proof that leaf `index` is in the tree over `leaves`: the siblings from the leaf up. `None` outside the tree.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    match leaves.len() {
        n if index >= n => None,
        1 => Some(Vec::new()),
        n => {
            let (left, right) = leaves.split_at(split_point(n));
            let (mut proof, sibling) = if index < left.len() {
                (inclusion_proof(left, index)?, root_of(right))
            } else {
                (inclusion_proof(right, index - left.len())?, root_of(left))
            };
            proof.push(sibling);
            Some(proof)
        }
    }
}

/// Whether `proof` shows that `leaf` is at `index` of the tree of `size` leaves with that `root`.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Proof that the tree over the first `old` leaves is a prefix of the tree over all. Empty when `old` is 0 or all;
/// `None` when there are fewer than `old`.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], old: usize) -> Option<Vec<Hash>> {
    match old {
        0 => Some(Vec::new()),
        _ if old > leaves.len() => None,
        _ => Some(subproof(leaves, old, true)),
    }
}

fn subproof(leaves: &[Hash], old: usize, is_old_root: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if is_old_root { Vec::new() } else { vec![root_of(leaves)] };
    }
    let (left, right) = leaves.split_at(split_point(leaves.len()));
    let (mut proof, sibling) = if old <= left.len() {
        (subproof(left, old, is_old_root), root_of(right))
    } else {
        (subproof(right, old - left.len(), false), root_of(left))
    };
    proof.push(sibling);
    proof
}

/// Whether `proof` shows that the tree of `old_size` with `old_root` is a prefix of the tree of `size` with `root`.
#[must_use]
pub fn verify_consistency(old_size: u64, old_root: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if old_size > size {
        return false;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == root_of(&[]);
    }
    if old_size == size {
        return proof.is_empty() && old_root == root;
    }
    let mut proof = proof.iter();
    // When the old tree is complete, its root is the starting point and is not repeated in the proof.
    let first = if old_size.is_power_of_two() {
        Some(old_root)
    } else {
        proof.next()
    };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old_hash, mut hash) = (*first, *first);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && hash == *root
}
