//! Rows of different lengths, one after the other in one piece of memory.
//!
//! A model of ten thousand variables has ten thousand short lists of costs; each in a vector of its own, making and
//! dropping them takes longer than solving. What the rows mean is their users'.

/// Rows by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows<T> {
    values: Vec<T>,
    /// Where each row ends.
    ends: Vec<usize>,
}

impl<T> Rows<T> {
    /// None yet, with room for so many rows and values.
    pub(crate) fn with_capacity(rows: usize, values: usize) -> Self {
        Self {
            values: Vec::with_capacity(values),
            ends: Vec::with_capacity(rows),
        }
    }

    /// How many rows there are.
    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        start..self.ends[row]
    }

    /// A row.
    pub(crate) fn row(&self, row: usize) -> &[T] {
        &self.values[self.range(row)]
    }

    /// A row to be changed.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [T] {
        let range = self.range(row);
        &mut self.values[range]
    }

    /// The rows in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[T]> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.ends.push(self.values.len());
    }

    /// Rows of the same lengths.
    pub(crate) fn map<U>(&self, of: impl FnMut(&T) -> U) -> Rows<U> {
        Rows {
            values: self.values.iter().map(of).collect(),
            ends: self.ends.clone(),
        }
    }
}

impl<T> FromIterator<Vec<T>> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = Vec<T>>>(rows: I) -> Self {
        let mut all = Self::with_capacity(0, 0);
        rows.into_iter().for_each(|row| all.push(row));
        all
    }
}
