//! Where there is room: the first node, in a given order, that has enough of every resource left.

/// A tournament over nodes: every inner place knows the most that is free below it, by dimension.
#[derive(Debug)]
pub(super) struct Rooms {
    dims: usize,
    /// Leaves, a power of two.
    width: usize,
    /// Root at 1; `dims` numbers per place.
    most: Vec<u64>,
    order: Vec<usize>,
    /// Place of each node in the order; `usize::MAX`: not in it.
    place: Vec<usize>,
}

impl Rooms {
    /// Nodes in the order in which they are to receive, of `nodes` in all; `free` gives what is free, by dimension.
    pub(super) fn new(dims: usize, nodes: usize, order: Vec<usize>, free: impl Fn(usize, usize) -> u64) -> Self {
        let width = order.len().next_power_of_two().max(1);
        let mut rooms = Self {
            dims,
            width,
            most: vec![0; 2 * width * dims],
            place: vec![usize::MAX; nodes],
            order,
        };
        for (place, node) in rooms.order.iter().enumerate() {
            rooms.place[*node] = place;
            for d in 0..dims {
                rooms.most[(width + place) * dims + d] = free(*node, d);
            }
        }
        for inner in (1..width).rev() {
            rooms.lift(inner);
        }
        rooms
    }

    /// Says anew what is free on a node; nothing closes it.
    pub(super) fn set(&mut self, node: usize, free: impl Fn(usize) -> u64) {
        let place = self.place[node];
        if place == usize::MAX {
            return;
        }
        let mut at = self.width + place;
        for d in 0..self.dims {
            self.most[at * self.dims + d] = free(d);
        }
        while at > 1 {
            at /= 2;
            self.lift(at);
        }
    }

    /// The first node at this place of the order or later that has room, with its place.
    pub(super) fn next(&self, from: usize, asked: &[u64]) -> Option<(usize, usize)> {
        if from >= self.order.len() {
            return None;
        }
        let mut at = self.width + from;
        loop {
            if self.has(at, asked) {
                if at >= self.width {
                    let place = at - self.width;
                    return self.order.get(place).map(|node| (*node, place));
                }
                at *= 2;
                continue;
            }
            // To the next subtree on the right.
            while at % 2 == 1 {
                at /= 2;
                if at == 0 {
                    return None;
                }
            }
            at += 1;
        }
    }

    fn has(&self, at: usize, asked: &[u64]) -> bool {
        let most = &self.most[at * self.dims..(at + 1) * self.dims];
        most.iter().zip(asked).all(|(most, asked)| most >= asked)
    }

    fn lift(&mut self, at: usize) {
        for d in 0..self.dims {
            let below = |child: usize| self.most[child * self.dims + d];
            self.most[at * self.dims + d] = below(2 * at).max(below(2 * at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rooms;

    #[test]
    fn the_first_with_room_is_found() {
        let free = [[1, 9], [5, 2], [4, 4], [9, 9], [0, 0]];
        let mut rooms = Rooms::new(2, 5, vec![4, 0, 2, 1, 3], |n, d| free[n][d]);
        let rows = [
            (0, [0, 0], Some((4, 0))),
            (0, [1, 1], Some((0, 1))),
            (0, [2, 1], Some((2, 2))),
            (3, [2, 1], Some((1, 3))),
            (0, [5, 3], Some((3, 4))),
            (0, [10, 0], None),
            (5, [0, 0], None),
        ];
        for (from, asked, found) in rows {
            assert_eq!(rooms.next(from, &asked), found, "{from} {asked:?}");
        }
        rooms.set(3, |_| 0);
        assert_eq!(rooms.next(0, &[5, 3]), None);
    }
}
