//! The second half of a layered layout: where boxes stand and edges run, in whole pixels.
//!
//! Each layer's places are those nearest to the mean of their neighbours that keep the order and the distance: a
//! regression with ordered values, solved exactly by pooling neighbours that are too close (Ayer et al. 1955).

use super::layers::Layers;

/// Distance of layers, and of boxes of one layer.
const LAYER_GAP: i64 = 64;
const ROW_GAP: i64 = 14;
/// Height that a long edge takes in the layers it passes.
const BEND: i64 = 6;
/// Passes over all layers, forth and back.
const PASSES: usize = 12;

/// Width and height of a box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: i64,
    pub(super) height: i64,
}

/// Where a box stands: its left upper corner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) x: i64,
    pub(super) y: i64,
}

/// A layout.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) boxes: Vec<Point>,
    /// For each edge the horizontal pieces that it runs along; curves join them.
    pub(super) edges: Vec<Way>,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// The way of an edge.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// From the right side of the first box to the left side of the last: from x to x at y each.
    pub(super) pieces: Vec<(i64, i64, i64)>,
    /// Whether the arrow is at the beginning: the edge closes a loop.
    pub(super) reversed: bool,
}

/// Lays boxes out from left to right; edges are pairs of their numbers, none from a box to itself.
pub(super) fn lay_out(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let layers = Layers::new(sizes.len(), edges);
    let height = |node: usize| sizes.get(node).map_or(BEND, |size| size.height);
    let middle = middles(&layers, &height);
    let widths: Vec<i64> = layers
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .filter_map(|node| sizes.get(*node))
                .map(|size| size.width)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut left = Vec::with_capacity(widths.len());
    let mut x = 0;
    for width in &widths {
        left.push(x);
        x += width + LAYER_GAP;
    }
    let top = (0..middle.len())
        .map(|node| middle[node] - height(node) / 2)
        .min()
        .unwrap_or(0);
    let bottom = (0..middle.len())
        .map(|node| middle[node] + height(node) / 2)
        .max()
        .unwrap_or(0);
    let place = |node: usize| {
        let layer = layers.layer[node];
        let width = sizes.get(node).map_or(widths[layer], |size| size.width);
        (left[layer], left[layer] + width, middle[node] - top)
    };
    let way = |(way, reversed): (&Vec<usize>, &bool)| {
        let last = way.len() - 1;
        let piece = |(i, node): (usize, &usize)| {
            let (from, to, y) = place(*node);
            match i {
                // To the end of its layer first: a box beside it may be wider.
                0 => (to, left[layers.layer[*node]] + widths[layers.layer[*node]], y),
                i if i == last => (from, from, y),
                _ => (from, to, y),
            }
        };
        Way {
            pieces: way.iter().enumerate().map(piece).collect(),
            reversed: *reversed,
        }
    };
    Layout {
        boxes: sizes
            .iter()
            .enumerate()
            .map(|(node, size)| Point {
                x: left[layers.layer[node]],
                y: middle[node] - top - size.height / 2,
            })
            .collect(),
        edges: layers.ways.iter().zip(&layers.reversed).map(way).collect(),
        width: (x - LAYER_GAP).max(0),
        height: bottom - top,
    }
}

/// The middle of each node, bends included.
fn middles(layers: &Layers, height: &impl Fn(usize) -> i64) -> Vec<i64> {
    let mut middle = vec![0i64; layers.layer.len()];
    for row in &layers.rows {
        let mut y = 0;
        for &node in row {
            middle[node] = y + height(node) / 2;
            y += height(node) + ROW_GAP;
        }
    }
    for pass in 0..PASSES {
        let neighbours = if pass % 2 == 0 { &layers.before } else { &layers.after };
        let count = layers.rows.len();
        for i in 0..count {
            let row = &layers.rows[if pass % 2 == 0 { i } else { count - 1 - i }];
            let wished = row.iter().map(|node| {
                let all = &neighbours[*node];
                let sum: i64 = all.iter().map(|other| middle[*other]).sum();
                let mean = i64::try_from(all.len()).ok().and_then(|n| sum.checked_div(n));
                // Long edges are drawn straight before boxes are drawn near.
                let weight = if *node < layers.real { 1 } else { 4 };
                mean.map_or((middle[*node], 1), |mean| (mean, weight))
            });
            let wished: Vec<(i64, i64)> = wished.collect();
            for (node, y) in row.iter().zip(apart(row, &wished, height)) {
                middle[*node] = y;
            }
        }
    }
    middle
}

/// The places nearest to the wished ones (weighted squares) in the given order and without overlap.
fn apart(row: &[usize], wished: &[(i64, i64)], height: &impl Fn(usize) -> i64) -> Vec<i64> {
    let mut offset = Vec::with_capacity(row.len());
    let mut sum = 0;
    for (i, node) in row.iter().enumerate() {
        if let Some(previous) = i.checked_sub(1) {
            sum += height(row[previous]) / 2 + ROW_GAP + height(*node) / 2 + 1;
        }
        offset.push(sum);
    }
    // Blocks of nodes that touch: weighted sum, weight, how many.
    let mut blocks: Vec<(i64, i64, usize)> = Vec::new();
    for ((wish, weight), offset) in wished.iter().zip(&offset) {
        let mut block = ((wish - offset) * weight, *weight, 1);
        while let Some(above) = blocks.last().copied()
            && above.0 * block.1 > block.0 * above.1
        {
            blocks.pop();
            block = (above.0 + block.0, above.1 + block.1, above.2 + block.2);
        }
        blocks.push(block);
    }
    let bases = blocks
        .into_iter()
        .flat_map(|(sum, weight, count)| std::iter::repeat_n(sum.div_euclid(weight), count));
    bases.zip(offset).map(|(base, offset)| base + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 100, height: 40 };

    /// A small, portable stream of numbers.
    fn draw(state: &mut u64) -> usize {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*state >> 33).unwrap()
    }

    fn random(seed: u64) -> (usize, Vec<(usize, usize)>) {
        let mut state = seed;
        let count = 1 + draw(&mut state) % 30;
        let edges = (0..draw(&mut state) % 60).map(|_| (draw(&mut state) % count, draw(&mut state) % count));
        (count, edges.filter(|(from, to)| from != to).collect())
    }

    #[test]
    fn boxes_never_overlap_and_edges_end_at_their_boxes() {
        for seed in 0..300 {
            let (count, edges) = random(seed);
            let layout = lay_out(&vec![SIZE; count], &edges);
            for (i, a) in layout.boxes.iter().enumerate() {
                assert!(a.x >= 0 && a.y >= 0, "seed {seed}: {a:?}");
                assert!(a.x + SIZE.width <= layout.width && a.y + SIZE.height <= layout.height + 1);
                for b in &layout.boxes[..i] {
                    let apart = (a.x - b.x).abs() >= SIZE.width || (a.y - b.y).abs() >= SIZE.height;
                    assert!(apart, "seed {seed}: {a:?} and {b:?} overlap");
                }
            }
            assert_eq!(layout.edges.len(), edges.len());
            for (way, &(from, to)) in layout.edges.iter().zip(&edges) {
                let (from, to) = if way.reversed { (to, from) } else { (from, to) };
                let (first, last) = (way.pieces[0], way.pieces[way.pieces.len() - 1]);
                assert_eq!(first.0, layout.boxes[from].x + SIZE.width, "seed {seed}");
                assert_eq!(last.0, layout.boxes[to].x, "seed {seed}");
                assert!(way.pieces.windows(2).all(|pair| pair[0].1 < pair[1].0), "seed {seed}");
            }
        }
    }

    #[test]
    fn only_loops_turn_edges_round() {
        for seed in 0..300 {
            let (count, edges) = random(seed);
            let acyclic: Vec<_> = edges.iter().copied().filter(|(from, to)| from < to).collect();
            let layout = lay_out(&vec![SIZE; count], &acyclic);
            assert!(layout.edges.iter().all(|way| !way.reversed));
        }
        let ring = lay_out(&[SIZE; 3], &[(0, 1), (1, 2), (2, 0)]);
        assert_eq!(ring.edges.iter().filter(|way| way.reversed).count(), 1);
    }

    #[test]
    fn two_parallel_lines_do_not_cross() {
        let layout = lay_out(&[SIZE; 4], &[(0, 3), (1, 2)]);
        let y = |node: usize| layout.boxes[node].y;
        assert_eq!((y(0), y(1)), (y(3), y(2)));
        assert_eq!(lay_out(&[], &[]).width, 0);
    }
}
