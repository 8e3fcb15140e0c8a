//! An order in which every task comes after those it waits for, or a shortest loop.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Positions sorted so that every edge goes forwards, the lowest first where there is a choice.
///
/// # Errors
/// A shortest loop, beginning at its lowest position.
pub(super) fn order(count: usize, edges: &[(usize, usize)]) -> Result<Vec<usize>, Vec<usize>> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waits = vec![0usize; count];
    for &(from, to) in edges {
        after[from].push(to);
        waits[to] += 1;
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..count).filter(|n| waits[*n] == 0).map(Reverse).collect();
    let mut sorted = Vec::with_capacity(count);
    while let Some(Reverse(node)) = ready.pop() {
        sorted.push(node);
        for &next in &after[node] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    if sorted.len() == count {
        return Ok(sorted);
    }
    let stuck: Vec<usize> = (0..count).filter(|n| waits[*n] > 0).collect();
    Err(shortest_loop(&stuck, &after))
}

/// Breadth first from each node that is on or behind a loop.
fn shortest_loop(stuck: &[usize], after: &[Vec<usize>]) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::new();
    for &start in stuck {
        let limit = if best.is_empty() { usize::MAX } else { best.len() - 1 };
        if let Some(found) = loop_through(start, after, limit) {
            best = found;
        }
        if best.len() == 1 {
            break;
        }
    }
    let lowest = best.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(at, _)| at);
    best.rotate_left(lowest);
    best
}

/// A shortest way from `start` back to it of at most `limit` steps.
fn loop_through(start: usize, after: &[Vec<usize>], limit: usize) -> Option<Vec<usize>> {
    let mut before = vec![None; after.len()];
    let mut queue = VecDeque::from([(start, 1usize)]);
    while let Some((node, steps)) = queue.pop_front() {
        if steps > limit {
            return None;
        }
        for &next in &after[node] {
            if next == start {
                let mut way = vec![node];
                while let Some(earlier) = before[way[way.len() - 1]] {
                    way.push(earlier);
                }
                way.reverse();
                return Some(way);
            }
            if before[next].is_none() {
                before[next] = Some(node);
                queue.push_back((next, steps + 1));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_go_forwards_and_the_lowest_comes_first() {
        assert_eq!(order(5, &[(3, 1), (1, 0), (3, 4), (2, 0)]), Ok(vec![2, 3, 1, 0, 4]));
        assert_eq!(order(0, &[]), Ok(vec![]));
    }

    #[test]
    fn the_shortest_loop_is_named_from_its_lowest() {
        let edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 1), (4, 5), (5, 6), (6, 4), (6, 7)];
        assert_eq!(order(8, &edges), Err(vec![4, 5, 6]));
        assert_eq!(order(2, &[(0, 1), (1, 1)]), Err(vec![1]));
        assert_eq!(order(3, &[(2, 1), (1, 2), (0, 1)]), Err(vec![1, 2]));
    }
}
