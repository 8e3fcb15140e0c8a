//! What a copy is worth: prices of the dimensions from a small linear program, and corrections from what was paid.
//!
//! The program (the dual of buying fractions of machines that hold fractions of copies): the most that all needs can be
//! worth when no machine is worth more than its price. Values only steer greedy rules; nothing is proven from them.

use super::room::Room;
use crate::fleet::folded::{Bought, Class, Folded};
use crate::fleet::problem::{DEVICE_MILLI, DIMENSIONS_MAX, Devices};

/// Amounts in all dimensions, devices last, as floats.
pub(crate) type Extent = [f64; DIMENSIONS_MAX + 1];

/// Pivots that the program may take; it has nine columns.
const PIVOTS_MAX: usize = 200;

#[expect(
    clippy::cast_precision_loss,
    reason = "values steer greedy rules; nothing is proven from them"
)]
pub(crate) const fn float(integer: u64) -> f64 {
    integer as f64
}

pub(crate) fn extent_of_class(class: &Class) -> Extent {
    let devices = match class.devices {
        Devices::None => 0.0,
        Devices::Share(milli) => f64::from(milli) / f64::from(DEVICE_MILLI),
        Devices::Whole(devices) => f64::from(devices),
    };
    extent(&class.need.0, devices)
}

pub(crate) fn extent_of_shape(folded: &Folded, shape: usize) -> Extent {
    let shape = &folded.shapes[shape];
    extent(&shape.capacity.0, f64::from(shape.devices))
}

fn extent(amounts: &[u64; DIMENSIONS_MAX], devices: f64) -> Extent {
    let mut extent = [0.0; DIMENSIONS_MAX + 1];
    extent
        .iter_mut()
        .zip(amounts)
        .for_each(|(to, amount)| *to = float(*amount));
    extent[DIMENSIONS_MAX] = devices;
    extent
}

pub(crate) fn dot(a: &Extent, b: &Extent) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A value for each class from the fluid program, never below a small part of what a machine for it alone costs: a
/// class whose dimension is not scarce is not free.
pub(crate) fn fluid(folded: &Folded) -> Vec<f64> {
    let prices = dimension_prices(folded);
    let alone = alone(folded);
    let value = |(class, alone): (&Class, f64)| dot(&extent_of_class(class), &prices).max(alone * 0.02);
    folded.classes.iter().zip(alone).map(value).collect()
}

/// For each class what a copy costs on machines that hold nothing else, at best. Machines that limits ration are no
/// measure of what one more copy costs, so they count only where there are no others.
pub(crate) fn alone(folded: &Folded) -> Vec<f64> {
    let of = |class: usize| {
        let spec = &folded.classes[class];
        let per_copy = |shape: usize| {
            let room = Room::of(&folded.shapes[shape], folded.dimensions);
            let copies = if folded.accepts(shape, class) {
                room.copies(spec, spec.count)
            } else {
                0
            };
            (copies > 0).then(|| float(folded.shapes[shape].price) / float(copies))
        };
        let least = |rationed: bool| {
            let shapes = (0..folded.shapes.len()).filter(|shape| is_rationed(folded, *shape) == rationed);
            shapes.filter_map(per_copy).fold(f64::INFINITY, f64::min)
        };
        let free = least(false);
        if free.is_finite() { free } else { least(true) }
    };
    (0..folded.classes.len()).map(of).collect()
}

fn is_rationed(folded: &Folded, shape: usize) -> bool {
    folded.limits.iter().any(|limit| limit.takes[shape] > 0)
}

/// Prices of the dimensions by a dense simplex, with each dimension scaled to its demand.
pub(crate) fn dimension_prices(folded: &Folded) -> Extent {
    let mut demand = [0.0; DIMENSIONS_MAX + 1];
    for class in &folded.classes {
        let need = extent_of_class(class);
        demand
            .iter_mut()
            .zip(need)
            .for_each(|(sum, each)| *sum += each * float(class.count));
    }
    let used: Vec<usize> = (0..demand.len()).filter(|d| demand[*d] > 0.0).collect();
    // Rows: shapes. Columns: dimensions, in units of their demand, then the right-hand side.
    let all_rationed = (0..folded.shapes.len()).all(|shape| is_rationed(folded, shape));
    let mut rows: Vec<Vec<f64>> = (0..folded.shapes.len())
        .filter(|shape| all_rationed || !is_rationed(folded, *shape))
        .map(|shape| {
            let capacity = extent_of_shape(folded, shape);
            let mut row: Vec<f64> = used.iter().map(|d| capacity[*d] / demand[*d]).collect();
            row.push(float(folded.shapes[shape].price));
            row
        })
        .collect();
    let values = simplex(&mut rows, used.len());
    let mut prices = [0.0; DIMENSIONS_MAX + 1];
    used.iter()
        .zip(values)
        .for_each(|(d, value)| prices[*d] = value / demand[*d]);
    prices
}

/// Maximises the sum of the columns' variables, `rows · x <= right`, from zero; the rows' slacks start as the basis.
/// A column swaps places with the row's basic variable, so the table keeps its size.
fn simplex(rows: &mut [Vec<f64>], columns: usize) -> Vec<f64> {
    let mut gains = vec![1.0f64; columns];
    // Which variable stands in a column or row: those from `columns` on are slacks.
    let mut in_column: Vec<usize> = (0..columns).collect();
    let mut in_row: Vec<usize> = (columns..columns + rows.len()).collect();
    for _ in 0..PIVOTS_MAX {
        let Some(column) = (0..columns)
            .filter(|c| gains[*c] > 1e-9)
            .max_by(|a, b| gains[*a].total_cmp(&gains[*b]))
        else {
            break;
        };
        let ratio = |row: &usize| (rows[*row][column] > 1e-12).then(|| rows[*row][columns] / rows[*row][column]);
        let leaving = (0..rows.len()).filter(|row| ratio(row).is_some());
        let Some(row) = leaving.min_by(|a, b| ratio(a).unwrap_or(0.0).total_cmp(&ratio(b).unwrap_or(0.0))) else {
            break;
        };
        pivot(rows, &mut gains, row, column);
        std::mem::swap(&mut in_column[column], &mut in_row[row]);
    }
    let mut values = vec![0.0; columns];
    for (row, variable) in rows.iter().zip(in_row) {
        if variable < columns {
            values[variable] = row[columns].max(0.0);
        }
    }
    values
}

fn pivot(rows: &mut [Vec<f64>], gains: &mut [f64], row: usize, column: usize) {
    let by = rows[row][column];
    rows[row].iter_mut().for_each(|value| *value /= by);
    rows[row][column] = 1.0 / by;
    let pivot = rows[row].clone();
    for (_, other) in rows.iter_mut().enumerate().filter(|(at, _)| *at != row) {
        let factor = other[column];
        if factor.abs() > 0.0 {
            other
                .iter_mut()
                .zip(&pivot)
                .for_each(|(value, by)| *value -= factor * by);
            other[column] = -factor / by;
        }
    }
    let factor = gains[column];
    gains
        .iter_mut()
        .zip(&pivot)
        .for_each(|(value, by)| *value -= factor * by);
    gains[column] = -factor / by;
}

/// Values moved towards what each class was charged in a purchase: a machine's price is shared by value.
pub(crate) fn corrected(folded: &Folded, values: &[f64], bought: &Bought, pace: f64) -> Vec<f64> {
    let mut charged = vec![0.0; values.len()];
    for (pattern, copies) in &bought.machines {
        let value: f64 = pattern
            .items
            .iter()
            .map(|(c, n)| values[*c as usize] * f64::from(*n))
            .sum();
        let factor = float(folded.shapes[pattern.shape].price) * float(*copies) / value.max(f64::MIN_POSITIVE);
        for (class, count) in &pattern.items {
            charged[*class as usize] += factor * values[*class as usize] * f64::from(*count);
        }
    }
    let next = |class: usize| {
        let missing = bought.left_out.get(class).copied().unwrap_or(0);
        if missing > 0 {
            return values[class] * 4.0;
        }
        (1.0 - pace) * values[class] + pace * charged[class] / float(folded.classes[class].count)
    };
    (0..values.len()).map(next).collect()
}
