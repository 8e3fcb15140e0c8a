//! What a volume costs on one meter, exactly, and the straight lines below it that the search works with.
//!
//! Money is counted in grains, 2^-30 of a micro-dollar: bytes times micro-dollars per GiB are whole grains, so that no
//! tier rounds. Which flows go over which meter is the network's.

use skyloom_core::catalogue::EgressTier;
use skyloom_core::{Bytes, MicroUsd};

/// Grains of a micro-dollar.
pub(super) const GRAINS: i128 = 1 << 30;

/// Micro-dollars, rounded half up.
pub(super) fn rounded(grains: i128) -> i128 {
    (grains + GRAINS / 2).div_euclid(GRAINS)
}

/// From `volume` on (beyond what was sent before), each byte costs `rate` grains; up to there it is `cost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Knot {
    volume: u64,
    cost: i128,
    rate: i64,
}

/// A marginal price list from a point on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tariff {
    /// Volumes rising, the first 0; never empty.
    knots: Vec<Knot>,
}

/// `offset + rate × volume`, nowhere above the tariff in the range it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) rate: i64,
    pub(super) offset: i128,
    /// A volume where it touches the tariff.
    pub(super) touches: u64,
}

impl Tariff {
    /// These tiers after `already`.
    pub(super) fn new(tiers: &[EgressTier], already: u64) -> Self {
        let mut knots: Vec<Knot> = Vec::with_capacity(tiers.len());
        let (mut below, mut volume, mut cost) = (0u64, 0u64, 0i128);
        for tier in tiers {
            let top = tier.up_to.map_or(u64::MAX, Bytes::as_bytes).max(below);
            let rate = tier.per_gib.as_micros().max(0);
            let start = below.max(already);
            if top > start {
                let inside = top - start;
                if knots.last().is_none_or(|last| last.rate != rate) {
                    knots.push(Knot { volume, cost, rate });
                }
                cost += i128::from(inside) * i128::from(rate);
                volume = volume.saturating_add(inside);
            }
            below = top;
        }
        if knots.is_empty() {
            let rate = tiers.last().map_or(0, |tier| tier.per_gib.as_micros().max(0));
            knots.push(Knot { volume, cost, rate });
        }
        Self { knots }
    }

    /// Where nothing is known: of each tier of these lists the dearest rate, and nothing free.
    pub(super) fn assumed<'a>(lists: impl Iterator<Item = &'a [EgressTier]> + Clone, already: u64) -> Self {
        let mut edges: Vec<Option<Bytes>> = lists.clone().flatten().map(|tier| tier.up_to).collect();
        edges.sort_by_key(|edge| edge.map_or(u64::MAX, Bytes::as_bytes));
        edges.dedup();
        let rate_below = |tiers: &[EgressTier], edge: Option<Bytes>| {
            let reaches = |tier: &EgressTier| tier.up_to.is_none() || (edge.is_some() && tier.up_to >= edge);
            let from = tiers.iter().position(reaches).unwrap_or(0);
            let charged = tiers[from..]
                .iter()
                .map(|tier| tier.per_gib)
                .find(|rate| *rate > MicroUsd::ZERO);
            charged.or_else(|| tiers.iter().map(|tier| tier.per_gib).max())
        };
        let dearest = |edge| lists.clone().filter_map(|tiers| rate_below(tiers, edge)).max();
        let tiers: Vec<EgressTier> = edges
            .iter()
            .map(|edge| EgressTier {
                up_to: *edge,
                per_gib: dearest(*edge).unwrap_or(MicroUsd::ZERO),
            })
            .collect();
        Self::new(&tiers, already)
    }

    /// What a volume costs.
    pub(super) fn cost(&self, volume: u64) -> i128 {
        let knot = self.knot(volume);
        knot.cost + i128::from(volume - knot.volume) * i128::from(knot.rate)
    }

    fn knot(&self, volume: u64) -> &Knot {
        let after = self
            .knots
            .iter()
            .position(|knot| knot.volume > volume)
            .unwrap_or(self.knots.len());
        &self.knots[after.saturating_sub(1)]
    }

    /// The rates, each once.
    pub(super) fn rates(&self) -> impl Iterator<Item = i64> {
        self.knots.iter().map(|knot| knot.rate)
    }

    /// Whether the tariff is one straight line in `low..=high`.
    pub(super) fn is_straight(&self, low: u64, high: u64) -> bool {
        !self.knots.iter().any(|knot| knot.volume > low && knot.volume < high)
    }

    /// The edge inside `low..=high`, ends not included, that is closest to `at`.
    pub(super) fn edge_near(&self, low: u64, high: u64, at: u64) -> Option<u64> {
        let inside = self
            .knots
            .iter()
            .map(|knot| knot.volume)
            .filter(|v| *v > low && *v < high);
        inside.min_by_key(|v| v.abs_diff(at))
    }

    /// The slopes of the lowest convex curve through the tariff in `low..=high` left and right of `at`: every line with a
    /// slope between them through that curve at `at` is below the tariff.
    pub(super) fn slopes(&self, low: u64, high: u64, at: u64) -> (i64, i64) {
        let hull = self.hull(low, high);
        let slope = |pair: &[(u64, i128)]| {
            let run = i128::from((pair[1].0 - pair[0].0).max(1));
            i64::try_from((pair[1].1 - pair[0].1).div_euclid(run)).unwrap_or(i64::MAX)
        };
        let at = at.clamp(low, high);
        if hull.len() < 2 {
            let rate = self.knot(low).rate;
            return (rate, rate);
        }
        let left = hull
            .windows(2)
            .filter(|pair| pair[0].0 < at || pair[0].0 == low)
            .map(slope)
            .max();
        let right = hull
            .windows(2)
            .filter(|pair| pair[1].0 > at || pair[1].0 == high)
            .map(slope)
            .min();
        (left.unwrap_or(0), right.unwrap_or(0))
    }

    /// The highest line of this slope that is nowhere above the tariff in `low..=high`.
    pub(super) fn line(&self, low: u64, high: u64, rate: i64) -> Line {
        let above = |(volume, cost): (u64, i128)| (cost - i128::from(volume) * i128::from(rate), volume);
        let lowest = self.points(low, high).into_iter().map(above).min();
        let (offset, touches) = lowest.unwrap_or((0, low));
        Line { rate, offset, touches }
    }

    /// The ends and the edges between them, with their costs.
    fn points(&self, low: u64, high: u64) -> Vec<(u64, i128)> {
        let inside = self
            .knots
            .iter()
            .map(|knot| knot.volume)
            .filter(|v| *v > low && *v < high);
        let mut volumes = vec![low];
        volumes.extend(inside);
        if high > low {
            volumes.push(high);
        }
        volumes.into_iter().map(|v| (v, self.cost(v))).collect()
    }

    /// Lower convex hull of the points.
    fn hull(&self, low: u64, high: u64) -> Vec<(u64, i128)> {
        // A cost is below 2^20 times a volume (the largest rate): with volumes of 53 bits the products stay in 128 bits.
        // A coarser hull is as valid: lines are made from the exact points.
        let shift = (u64::BITS - high.leading_zeros()).saturating_sub(53);
        let mut hull: Vec<(u64, i128)> = Vec::new();
        for point in self.points(low, high) {
            while let [.., a, b] = hull[..] {
                let left = ((b.1 - a.1) >> shift) * i128::from((point.0 - a.0) >> shift);
                let right = ((point.1 - a.1) >> shift) * i128::from((b.0 - a.0) >> shift);
                if left < right {
                    break;
                }
                hull.pop();
            }
            hull.push(point);
        }
        hull
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn tiers(rows: &[(Option<u64>, i64)]) -> Vec<EgressTier> {
        let tier = |(gib, micros): &(Option<u64>, i64)| EgressTier {
            up_to: gib.map(|gib| Bytes::from_bytes(gib * GIB)),
            per_gib: MicroUsd::from_micros(*micros),
        };
        rows.iter().map(tier).collect()
    }

    /// Free, dear, cheaper, cheap: neither convex nor concave.
    fn usual() -> Vec<EgressTier> {
        tiers(&[
            (Some(100), 0),
            (Some(10_240), 90_000),
            (Some(51_200), 85_000),
            (None, 50_000),
        ])
    }

    #[test]
    fn tiers_are_marginal_at_every_edge() {
        let tariff = Tariff::new(&usual(), 0);
        let rows = [
            (0, 0),
            (99, 0),
            (100, 0),
            (101, 90_000),
            (10_239, 10_139 * 90_000),
            (10_240, 10_140 * 90_000),
            (10_241, 10_140 * 90_000 + 85_000),
            (51_200, 10_140 * 90_000 + 40_960 * 85_000),
            (51_201, 10_140 * 90_000 + 40_960 * 85_000 + 50_000),
        ];
        for (gib, micros) in rows {
            assert_eq!(rounded(tariff.cost(gib * GIB)), micros, "{gib} GiB");
        }
    }

    #[test]
    fn what_was_sent_before_moves_the_edges() {
        let whole = Tariff::new(&usual(), 0);
        for already in [0, 1, 99 * GIB, 100 * GIB, 101 * GIB, 60_000 * GIB] {
            let rest = Tariff::new(&usual(), already);
            for more in [0, 1, GIB, 100 * GIB, 20_000 * GIB] {
                assert_eq!(rest.cost(more), whole.cost(already + more) - whole.cost(already));
            }
        }
    }

    #[test]
    fn lines_are_below_the_tariff_and_touch_it() {
        let tariff = Tariff::new(&usual(), 0);
        let volumes = [0, 50, 100, 101, 5000, 10_240, 30_000, 51_200, 90_000].map(|gib| gib * GIB);
        for (i, &low) in volumes.iter().enumerate() {
            for &high in &volumes[i..] {
                for &at in volumes.iter().filter(|v| **v >= low && **v <= high) {
                    let (left, right) = tariff.slopes(low, high, at);
                    assert!(left <= right);
                    for rate in [left, i64::midpoint(left, right), right, 0, 200_000] {
                        let line = tariff.line(low, high, rate);
                        let value = |v: u64| line.offset + i128::from(v) * i128::from(line.rate);
                        assert_eq!(value(line.touches), tariff.cost(line.touches));
                        for &v in volumes.iter().filter(|v| **v >= low && **v <= high) {
                            assert!(value(v) <= tariff.cost(v), "{low} {high} {at} {rate} {v}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_assumed_tariff_is_the_dearest_and_never_free() {
        let dear = tiers(&[(Some(10), 0), (None, 70_000)]);
        let lists = [usual(), dear];
        let tariff = Tariff::assumed(lists.iter().map(Vec::as_slice), 0);
        assert_eq!(rounded(tariff.cost(GIB)), 90_000);
        assert_eq!(rounded(tariff.cost(60_000 * GIB) - tariff.cost(59_999 * GIB)), 70_000);
    }
}
