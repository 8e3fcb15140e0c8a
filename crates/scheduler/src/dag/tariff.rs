//! What a volume costs on one meter, exactly, and the straight lines below it that the search works with.
//!
//! Money is counted in grains, 2^-30 of a micro-dollar: bytes times micro-dollars per GiB are whole grains, so that no
//! tier rounds. Which flows go over which meter is the network's.

use skyloom_core::catalogue::EgressTier;
use skyloom_core::{Bytes, MicroUsd};

/// Grains of a micro-dollar.
pub(super) const GRAINS: i128 = 1 << 30;

/// Volumes of up to so many bits have an exact hull.
const HULL_BITS: u32 = 53;

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

/// What stands for a tariff: `offset` once, and [`Curve::charge`] for each flow by itself; together nowhere above the
/// tariff of the sum, in the range it was made for.
///
/// Under the line `offset + rate × volume` that touches the tariff's lowest convex curve at some volume, a flow that is
/// larger than that volume may be charged more than the line says: as much as the convex curve does. Both are convex in the
/// flow and nothing for no bytes, so the charges of several flows are together no more than that of their sum
/// (superadditivity), which the offset brings below the tariff. With the flattest line each flow is priced as if it were
/// alone; with the steepest, as if the allowance were used up by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Curve {
    pub(super) rate: i64,
    pub(super) offset: i128,
    /// Volumes, the least and the most, where the line of this rate touches the lowest convex curve.
    pub(super) touches: (u64, u64),
    /// A flow of so many bytes or fewer is charged by the rate alone.
    pub(super) straight_up_to: u64,
    /// Charges from there on.
    bends: Vec<Knot>,
    /// No flow can be larger.
    pub(super) room: u64,
}

impl Curve {
    /// Every byte at one rate.
    pub(super) const fn flat(rate: i64) -> Self {
        Self {
            rate,
            offset: 0,
            touches: (0, u64::MAX),
            straight_up_to: u64::MAX,
            bends: Vec::new(),
            room: u64::MAX,
        }
    }

    /// What a flow is charged, in grains, rounded down; at most [`Curve::room`].
    pub(super) fn charge(&self, bytes: u64) -> i128 {
        let bend = self.bends.iter().rev().find(|bend| bend.volume <= bytes);
        bend.map_or(i128::from(bytes) * i128::from(self.rate), |bend| {
            bend.cost + i128::from(bytes - bend.volume) * i128::from(bend.rate)
        })
    }

    /// Grains per byte, at most, of any flow.
    pub(super) fn rate_max(&self) -> i64 {
        self.bends.iter().map(|bend| bend.rate).fold(self.rate, i64::max)
    }
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

    /// Each flow by all tiers, as if it were alone: no bound, where later tiers are cheaper.
    pub(super) fn alone(&self) -> Curve {
        Curve {
            rate: self.knots[0].rate,
            straight_up_to: self.knots.get(1).map_or(u64::MAX, |knot| knot.volume),
            bends: self.knots[1..].to_vec(),
            ..Curve::flat(0)
        }
    }

    /// The largest volume that costs less than `grains`, or 0.
    pub(super) fn volume_below(&self, grains: i128) -> u64 {
        let last = self.knots.iter().rev().find(|knot| knot.cost < grains);
        let Some(knot) = last else {
            return 0;
        };
        if knot.rate == 0 {
            // Free from here on; where it is not for ever, what follows begins at this cost.
            return u64::MAX;
        }
        let more = (grains - 1 - knot.cost) / i128::from(knot.rate);
        knot.volume.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
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

    /// The flattest and the steepest slope of the lowest convex curve through the tariff in `low..=high`; equal where a
    /// line is as good as a curve.
    pub(super) fn slopes(&self, low: u64, high: u64) -> (i64, i64) {
        let hull = self.hull(low, high);
        match (hull.windows(2).next(), hull.windows(2).last()) {
            (Some(first), Some(last)) => (slope(first), slope(last)),
            _ => {
                let rate = self.knot(low).rate;
                (rate, rate)
            }
        }
    }

    /// The curve of this rate for volumes in `low..=high`, `certain` bytes of which are charged by the rate alone.
    pub(super) fn curve(&self, low: u64, high: u64, certain: u64, rate: i64) -> Curve {
        let hull = self.hull(low, high);
        let above = |(volume, cost): &(u64, i128)| cost - i128::from(*volume) * i128::from(rate);
        // From the exact points: the hull may be coarser.
        let offset = self.points(low, high).iter().map(above).min().unwrap_or(0);
        let least = hull.iter().map(above).min().unwrap_or(0);
        let on = |point: &&(u64, i128)| above(point) == least;
        let first = hull.iter().find(on).map_or(low, |point| point.0);
        let last = hull.iter().rev().find(on).map_or(low, |point| point.0);
        let paid = i128::from(certain) * i128::from(rate);
        let bend = |pair: &[(u64, i128)]| Knot {
            volume: pair[0].0.saturating_sub(certain),
            cost: pair[0].1 - offset - paid,
            rate: slope(pair),
        };
        // A coarse hull may be above the tariff: then the line alone is taken.
        let bends: Vec<Knot> = if high < 1 << HULL_BITS {
            hull.windows(2).filter(|pair| pair[0].0 >= last).map(bend).collect()
        } else {
            Vec::new()
        };
        Curve {
            rate,
            offset,
            touches: (first, last),
            straight_up_to: bends.first().map_or(u64::MAX, |bend| bend.volume),
            bends,
            room: high.saturating_sub(certain),
        }
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
        let shift = (u64::BITS - high.leading_zeros()).saturating_sub(HULL_BITS);
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

/// Of a piece of a hull, rounded down.
fn slope(pair: &[(u64, i128)]) -> i64 {
    let run = i128::from((pair[1].0 - pair[0].0).max(1));
    i64::try_from((pair[1].1 - pair[0].1).div_euclid(run)).unwrap_or(i64::MAX)
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
    fn charges_of_flows_are_together_below_the_tariff_of_their_sum_and_touch_it() {
        let tariff = Tariff::new(&usual(), 0);
        let volumes = [0, 50, 100, 101, 5000, 10_240, 30_000, 51_200, 90_000].map(|gib| gib * GIB);
        for (i, &low) in volumes.iter().enumerate() {
            for &high in &volumes[i..] {
                let (first, last) = tariff.slopes(low, high);
                for rate in [first, i64::midpoint(first, last), last, 0, 7, 60_000, 200_000] {
                    for certain in [0, low / 2, low] {
                        check_curve(&tariff, (low, high), certain, rate);
                    }
                }
            }
        }
    }

    /// Splits every volume of the range into flows in several ways.
    fn check_curve(tariff: &Tariff, (low, high): (u64, u64), certain: u64, rate: i64) {
        let curve = tariff.curve(low, high, certain, rate);
        let line = |v: u64| curve.offset + i128::from(v) * i128::from(rate);
        for at in [curve.touches.0, curve.touches.1] {
            assert!(at >= low && at <= high);
            assert!(tariff.cost(at) - line(at) < GRAINS, "{low} {high} {rate} {at}");
        }
        for step in 0..=20 {
            let volume = low + (high - low) / 20 * step;
            let free = volume - certain;
            for flows in [
                vec![free],
                vec![free / 2, free - free / 2],
                vec![free / 3, free / 7, free - free / 3 - free / 7],
            ] {
                let charged: i128 = flows.iter().map(|bytes| curve.charge(*bytes)).sum();
                let whole = charged + line(certain);
                assert!(whole <= tariff.cost(volume), "{low} {high} {certain} {rate} {flows:?}");
                let by_line = i128::from(free) * i128::from(rate);
                assert!(
                    charged >= by_line - i128::from(free),
                    "no less than the line, but for rounded slopes"
                );
            }
        }
    }

    #[test]
    fn a_flow_beyond_the_allowance_is_charged_as_if_alone_by_the_flattest_curve() {
        let tariff = Tariff::new(&tiers(&[(Some(100), 0), (None, 90_000)]), 0);
        let curve = tariff.curve(0, 5000 * GIB, 0, 0);
        for gib in [0, 60, 100, 101, 4000] {
            assert_eq!(curve.charge(gib * GIB) + curve.offset, tariff.cost(gib * GIB));
        }
        let between = tariff.curve(0, 5000 * GIB, 0, 45_000);
        assert_eq!(rounded(between.charge(10 * GIB)), 450_000);
        assert_eq!(rounded(between.charge(300 * GIB) + between.offset), 200 * 90_000);
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
