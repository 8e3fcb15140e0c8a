//! Column generation: contents of machines that are worth having, and the prices that they settle.
//!
//! In floats throughout; whoever needs a proof verifies the prices afterwards.

use super::knapsack::{at_most, best_content};
use super::master::Master;
use super::relaxed::{Demand, Relaxed, Shape};
use super::{float, whole};

/// Rounds of column generation; the prices settle long before on all but the oddest problems.
const ROUNDS_MAX: u32 = 80;

/// Steps of one knapsack.
const STEPS_MAX: u32 = 3_000;

/// When bound and program differ by less than this share, more rounds do not pay.
const CLOSE: f64 = 1e-5;

/// A machine with a content.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Which of the shapes.
    pub(super) shape: usize,
    /// How many of each demand.
    pub(super) counts: Vec<u64>,
}

/// What a generation settled on.
#[derive(Debug)]
pub(super) struct Generated {
    /// Price of each demand, in millionths of a dollar per month: the best found, valid but for rounding.
    pub(super) values: Vec<f64>,
    /// How much of each column of the pool is taken by the least fractional cover.
    pub(super) taken: Vec<(usize, f64)>,
}

/// Covers `demands` (those of `relaxed`, with other amounts perhaps) by contents; `pool` keeps them for another time.
pub(super) fn generate(relaxed: &Relaxed, demands: &[Demand], pool: &mut Vec<Column>) -> Generated {
    let limits: Vec<f64> = relaxed.shapes.iter().filter_map(|s| s.times).map(float).collect();
    let mut rows: Vec<Option<usize>> = Vec::new();
    for shape in &relaxed.shapes {
        let limited = rows.iter().flatten().count();
        rows.push(shape.times.map(|_| demands.len() + limited));
    }
    let amounts: Vec<(f64, f64)> = (0..demands.len())
        .map(|d| (float(demands[d].count), left_out(relaxed, d)))
        .collect();
    let mut master = Master::new(&amounts, &limits);
    pool.iter().for_each(|column| add(&mut master, relaxed, &rows, column));
    let mut best = (f64::NEG_INFINITY, vec![0.0; demands.len()]);
    for _ in 0..ROUNDS_MAX {
        let prices = master.solve();
        let values: Vec<f64> = prices[..demands.len()].iter().map(|y| y.max(0.0)).collect();
        let worth: f64 = values.iter().zip(demands).map(|(y, d)| y * float(d.count)).sum();
        let rent: f64 = prices[demands.len()..].iter().zip(&limits).map(|(y, m)| y * m).sum();
        let (mut scale, mut given) = (1.0f64, 0.0);
        let known = pool.len();
        for (number, shape) in relaxed.shapes.iter().enumerate() {
            let price = whole(shape.price);
            if at_most(shape, demands, &values, price) <= price {
                continue;
            }
            let content = best_content(shape, demands, &values, STEPS_MAX);
            match shape.times {
                Some(times) => given += (content.upper - price).max(0.0) * float(times),
                None => scale = scale.min(price / content.upper),
            }
            let rent = rows[number].map_or(0.0, |row| -prices[row]);
            if content.value > (price + rent) * (1.0 + 1e-9) + 0.5 {
                let column = Column {
                    shape: number,
                    counts: content.counts,
                };
                add(&mut master, relaxed, &rows, &column);
                pool.push(column);
            }
        }
        let bound = worth * scale - given;
        if bound > best.0 {
            best = (bound, values.iter().map(|y| y * scale).collect());
        }
        if pool.len() == known || worth + rent - bound <= CLOSE * bound.abs() {
            break;
        }
    }
    Generated {
        values: best.1,
        taken: master.taken().collect(),
    }
}

fn add(master: &mut Master, relaxed: &Relaxed, rows: &[Option<usize>], column: &Column) {
    let shape = &relaxed.shapes[column.shape];
    let counts = column.counts.iter().enumerate().filter(|(_, n)| **n > 0);
    let mut entries: Vec<(usize, f64)> = counts.map(|(demand, n)| (demand, float(*n))).collect();
    let traffic: f64 = entries.iter().map(|(demand, n)| shape.extra[*demand] * n).sum();
    entries.extend(rows[column.shape].map(|row| (row, 1.0)));
    master.add(whole(shape.price) + traffic, entries);
}

/// The price at which a replica is rather left out: twice what one alone costs where it is cheapest.
fn left_out(relaxed: &Relaxed, demand: usize) -> f64 {
    let alone = |shape: &Shape| whole(shape.price) + shape.extra[demand];
    let open = relaxed.shapes.iter().filter(|s| s.open[demand]);
    let to_buy = open
        .clone()
        .filter(|s| s.times.is_none())
        .map(alone)
        .fold(f64::INFINITY, f64::min);
    let any = open.map(alone).fold(1.0, f64::max);
    to_buy.min(any) * 2.0
}
