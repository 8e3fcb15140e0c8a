//! Dense square matrices, row by row in one vector: what both simplexes need of them. Which basis they are is theirs.

/// A pivot smaller than this is none.
const PIVOT_MIN: f64 = 1e-12;

/// The inverse by Gauss and Jordan with row exchanges; `None` where the matrix is singular in these numbers.
pub(super) fn inverted(mut matrix: Vec<f64>, rows: usize) -> Option<Vec<f64>> {
    let mut inverse = vec![0.0; rows * rows];
    (0..rows).for_each(|at| inverse[at * rows + at] = 1.0);
    for at in 0..rows {
        let size = |row: &usize| matrix[row * rows + at].abs();
        let largest = (at..rows).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        if size(&largest) <= PIVOT_MIN {
            return None;
        }
        swap_rows(&mut matrix, rows, at, largest);
        swap_rows(&mut inverse, rows, at, largest);
        let pivot = matrix[at * rows + at];
        for side in [&mut matrix, &mut inverse] {
            side[at * rows..(at + 1) * rows]
                .iter_mut()
                .for_each(|value| *value /= pivot);
        }
        let left: Vec<f64> = matrix[at * rows + at..(at + 1) * rows].to_vec();
        let right: Vec<f64> = inverse[at * rows..(at + 1) * rows].to_vec();
        for row in (0..rows).filter(|row| *row != at) {
            let factor = matrix[row * rows + at];
            if factor != 0.0 {
                subtract(&mut matrix[row * rows + at..(row + 1) * rows], &left, factor);
                subtract(&mut inverse[row * rows..(row + 1) * rows], &right, factor);
            }
        }
    }
    Some(inverse)
}

fn subtract(target: &mut [f64], source: &[f64], factor: f64) {
    target.iter_mut().zip(source).for_each(|(t, s)| *t -= factor * s);
}

fn swap_rows(matrix: &mut [f64], rows: usize, a: usize, b: usize) {
    if a != b {
        let (low, high) = (a.min(b), a.max(b));
        let (head, tail) = matrix.split_at_mut(high * rows);
        head[low * rows..(low + 1) * rows].swap_with_slice(&mut tail[..rows]);
    }
}
